// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers that die while they forward, delay and reorder: two queues with priorities and delays,
 * and workers that read each and are killed at random, more of them all the time.  Some messages
 * kill whoever reads them.  In the end each of these is dead, and each other message is in one of
 * the queues, once.
 *
 * MPMCQ_CRASH_SECONDS	how long; 3 by default, as many as you like
 * MPMCQ_CRASH_SEED	of what is random, to try the same again as far as that can be
 */

#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "own_test.h"

#define LEVELS		4
#define CAPACITY	512
#define INNOCENT	200	/* messages; their numbers are lower than those of the others */
#define DEADLY		3
#define MESSAGES	(INNOCENT + DEADLY)
#define MOST		8	/* deliveries; so many deaths in a row do not come by chance */
#define WORKERS		6
#define HELD		4	/* by a worker, at a time */
#define LATEST_MS	20	/* of delays */

/* A worker: where it reads, where it forwards to, and what it draws from. */
struct worker {
	int le;
	int to;
	unsigned int seed;
};

static unsigned int draw(struct worker *w, unsigned int n)
{
	return rand_r(&w->seed) % n;
}

/* Back to where it came from, as if it had not been read; 0 or -errno. */
static int put_back(struct worker *w, __u64 id)
{
	static const __u32 flags[] = { 0, MPMCQ_SETTLE_FRONT, MPMCQ_SETTLE_DELAY };
	struct mpmcq_settle req = {
		.size = sizeof(req), .op = MPMCQ_SETTLE_NACK, .count = 1, .ids = (unsigned long)&id,
		.flags = MPMCQ_SETTLE_UNTRIED | flags[draw(w, 3)],
	};

	if (req.flags & MPMCQ_SETTLE_DELAY)
		req.delay_ms = draw(w, LATEST_MS);
	return result(ioctl(w->le, MPMCQ_IOC_SETTLE, &req));
}

/* To the other queue or to the end of its own, as it is or once more from memory; 0 or -errno. */
static int pass_on(struct worker *w, __u64 id, const int *number)
{
	struct mpmcq_forward req = {
		.size = sizeof(req), .fd = draw(w, 4) ? w->to : w->le, .id = id,
		.priority = draw(w, LEVELS), .delay_ms = draw(w, 2) ? draw(w, LATEST_MS) : 0,
	};

	if (draw(w, 2)) {
		req.buf = (unsigned long)number;
		req.len = sizeof(*number);
	}
	return result(ioctl(w->le, MPMCQ_IOC_FORWARD, &req));
}

/* Works until it is killed; returns what kept it from that. */
static int work(int from, int to, unsigned int seed)
{
	struct worker w = {
		.le = attach(from, O_RDWR, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED, HELD),
		.to = to, .seed = seed,
	};
	unsigned char buf[HELD * MPMCQ_MSG_SPACE(sizeof(int))];
	int space = space_of(sizeof(int)), at, n, ret = w.le < 0 ? -w.le : 0, number;
	struct mpmcq_msg msg;

	while (!ret) {
		n = read(w.le, buf, sizeof(buf));
		if (n <= 0)
			return n < 0 ? errno : EPIPE;
		for (at = 0; at < n && !ret; at += space) {
			memcpy(&msg, buf + at, sizeof(msg));
			memcpy(&number, buf + at + sizeof(msg), sizeof(number));
			if (number >= INNOCENT)
				raise(SIGKILL);
			ret = -(draw(&w, 3) ? pass_on(&w, msg.id, &number) : put_back(&w, msg.id));
		}
	}
	return ret;
}

/* How often each message is in a queue that nobody uses any more, by their numbers. */
static int count_seen(int fd, unsigned char *seen)
{
	int number;

	while (take(fd, &number, sizeof(number)) == sizeof(number)) {
		if (number < 0 || number >= MESSAGES)
			return -EBADMSG;
		seen[number]++;
	}
	return 0;
}

/* Takes the dead messages, which have to be those that kill; how many, with their headers. */
static int take_dead(int fd, struct mpmcq_msg *msg)
{
	unsigned char buf[(DEADLY + 1) * MPMCQ_MSG_SPACE(sizeof(int))];
	int space = space_of(sizeof(int)), ret = take(fd, buf, sizeof(buf)), at, n = 0, number;

	for (at = 0; at < ret; at += space, n++) {
		memcpy(&msg[n], buf + at, sizeof(*msg));
		memcpy(&number, buf + at + sizeof(*msg), sizeof(number));
		if (number < INNOCENT)
			return -EBADMSG;
	}
	return ret < 0 ? ret : n;
}

/* Sends all, the deadly ones among the others. */
static int send_all(int fd)
{
	int i, number, ret;

	for (i = 0; i < MESSAGES; i++) {
		number = i * 11 % MESSAGES;	/* no common factor */
		ret = put(fd, &number, sizeof(number));
		if (ret != sizeof(number))
			return ret;
	}
	return 0;
}

/* The queues, and who works on them. */
struct crew {
	int queue[2];
	pid_t worker[WORKERS];
	unsigned int seed;
	unsigned long deaths;
};

FIXTURE(crash)
{
	struct crew crew;
};

/* Starts worker @i; false if that cannot be, and then there is none. */
static bool put_to_work(struct crew *crew, int i)
{
	unsigned int seed = rand_r(&crew->seed);
	pid_t pid = fork_child(work(crew->queue[i % 2], crew->queue[!(i % 2)], seed));

	crew->worker[i] = pid > 0 ? pid : 0;
	return pid > 0;
}

static void kill_worker(const struct crew *crew, int i)
{
	if (crew->worker[i])
		kill(crew->worker[i], SIGKILL);
}

FIXTURE_SETUP(crash)
{
	struct crew *crew = &self->crew;
	int i;

	crew->seed = number_from("MPMCQ_CRASH_SEED", time(NULL));
	TH_LOG("MPMCQ_CRASH_SEED=%u", crew->seed);
	for (i = 0; i < 2; i++) {
		crew->queue[i] = make_queue(.capacity = CAPACITY, .msg_size = sizeof(int),
					    .flags = MPMCQ_DELAY, .levels = LEVELS,
					    .max_deliveries = MOST, .open_flags = O_RDWR);
		ASSERT_LE(0, crew->queue[i]);
	}
	ASSERT_EQ(0, send_all(crew->queue[0]));
	for (i = 0; i < WORKERS; i++)
		ASSERT_TRUE(put_to_work(crew, i));
}

FIXTURE_TEARDOWN(crash)
{
	close(self->crew.queue[0]);
	close(self->crew.queue[1]);
}

/* Whoever has died is replaced; false if one has ended in another way. */
static bool replace_dead(struct crew *crew)
{
	pid_t pid;
	int i, status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < WORKERS && crew->worker[i] != pid; i++)
			;
		if (i == WORKERS)
			return false;
		crew->worker[i] = 0;
		if (!WIFSIGNALED(status))
			ksft_print_msg("a worker ended with %d\n", WEXITSTATUS(status));
		if (!WIFSIGNALED(status) || !put_to_work(crew, i))
			return false;
		crew->deaths++;
	}
	return true;
}

/* Kills them at random until the time is up and all that kills is dead; not for ever. */
static bool kill_at_random(struct crew *crew, long ms)
{
	long end = now_ms() + ms, latest = end + 60000;

	while (now_ms() < end || (info_of(crew->queue[0]).dead < DEADLY && now_ms() < latest)) {
		usleep(rand_r(&crew->seed) % 5000);
		kill_worker(crew, rand_r(&crew->seed) % WORKERS);
		if (!replace_dead(crew))
			return false;
	}
	return true;
}

static void kill_all(struct crew *crew)
{
	int i;

	for (i = 0; i < WORKERS; i++)
		kill_worker(crew, i);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

TEST_F_TIMEOUT(crash, at_random, 36000)
{
	struct crew *crew = &self->crew;
	unsigned char seen[MESSAGES] = { };
	struct mpmcq_msg msg[DEADLY + 1] = { };
	int i, le, wrong = 0;
	bool good;

	good = kill_at_random(crew, 1000L * number_from("MPMCQ_CRASH_SECONDS", 3));
	kill_all(crew);
	ASSERT_TRUE(good);
	TH_LOG("%lu died, %llu forwarded", crew->deaths,
	       info_of(crew->queue[0]).acked + info_of(crew->queue[1]).acked);
	EXPECT_LT(0, info_of(crew->queue[1]).acked);
	/* Not only by the messages that kill. */
	EXPECT_LT(DEADLY * MOST, crew->deaths);

	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, info_of(crew->queue[i]).leased);
		EXPECT_EQ(i ? 0 : DEADLY, info_of(crew->queue[i]).dead);
		EXPECT_EQ(0, result(ioctl(crew->queue[i], MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
		EXPECT_EQ(0, count_seen(crew->queue[i], seen));
	}
	for (i = 0; i < MESSAGES; i++)
		wrong += seen[i] != (i < INNOCENT);
	EXPECT_EQ(0, wrong);

	le = attach(crew->queue[0], O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD | MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, le);
	EXPECT_EQ(DEADLY, take_dead(le, msg));
	for (i = 0; i < DEADLY; i++) {
		EXPECT_EQ(MOST, msg[i].deliveries);
		EXPECT_EQ(MPMCQ_REASON_DELIVERIES, msg[i].reason);
	}
	close(le);
}

TEST_HARNESS_MAIN
