// SPDX-License-Identifier: GPL-2.0-only
/*
 * Suspects: a message that came back because its reader died or hung goes alone to the next one,
 * so that the message that kills its readers is found, and no other dies of it.
 */

#include "own_test.h"

#define JOBS	10
#define POISON	4	/* number of the job that kills */
#define TRIES	3	/* max_deliveries */

/* A queue, a file with packed leases, and another; reads do not wait. */
FIXTURE(suspect)
{
	int fd;
	int le;
	int other;
};

FIXTURE_SETUP(suspect)
{
	self->fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			      .max_deliveries = 100);
	ASSERT_LE(0, self->fd);
	self->le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	self->other = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_LE(0, self->le);
	ASSERT_LE(0, self->other);
}

/* No slot is lost. */
FIXTURE_TEARDOWN(suspect)
{
	close(self->le);
	close(self->other);
	take_all(self->fd);
	EXPECT_EQ(16, put_all(self->fd, LEN, 0));
	close(self->fd);
}

/* Messages @first to @first + @n - 1 are suspects then, and all that wait. */
static int make_suspects(int fd, int first, int n)
{
	int i, le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);

	for (i = 0; i < n; i++)
		if (put_msg(fd, LEN, first + i) != LEN)
			return -1;
	return take_packed(le, n, LEN, first, NULL) == n ? close(le) : -1;
}

TEST_F(suspect, comes_alone)
{
	struct mpmcq_msg msg;
	int i;

	ASSERT_EQ(0, make_suspects(self->fd, 0, 3));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 3));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 4));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, take_packed(self->le, 5, LEN, i, &msg));
		EXPECT_EQ(2, msg.deliveries);
		EXPECT_EQ(-ENOBUFS, take_packed(self->le, 5, LEN, 0, NULL));
		EXPECT_EQ(0, poll_now(self->le) & POLLIN);
		EXPECT_EQ(1, held(self->le));
		EXPECT_EQ(1, ack(self->le, msg.id));
		EXPECT_EQ(POLLIN, poll_now(self->le) & POLLIN);
	}
	EXPECT_EQ(2, take_packed(self->le, 5, LEN, 3, NULL));
	EXPECT_EQ(2, ack_all(self->le));
}

/* Not even beside messages that are none, which stay where they are. */
TEST_F(suspect, not_to_a_holder)
{
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 9));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 9, NULL));
	ASSERT_EQ(0, make_suspects(self->fd, 0, 2));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	EXPECT_EQ(-ENOBUFS, take_packed(self->le, 5, LEN, 0, NULL));
	EXPECT_EQ(0, poll_now(self->le) & POLLIN);
	EXPECT_EQ(POLLIN, poll_now(self->other) & POLLIN);
	EXPECT_EQ(3, depth(self->fd));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, take_packed(self->le, 5, LEN, 0, NULL));
	EXPECT_EQ(1, take_packed(self->other, 5, LEN, 1, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, take_packed(self->le, 5, LEN, 2, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, ack_all(self->other));
}

/* A pack ends before one. */
TEST_F(suspect, ends_a_pack)
{
	int i;

	for (i = 0; i < 3; i++)
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
	ASSERT_EQ(3, take_packed(self->other, 3, LEN, 0, NULL));
	ASSERT_EQ(3, settle_all(self->other, MPMCQ_SETTLE_REJECT));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 3));
	ASSERT_EQ(1, revive(self->fd, 1));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 4));

	EXPECT_EQ(1, take_packed(self->le, 5, LEN, 3, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, take_packed(self->le, 5, LEN, 0, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, take_packed(self->le, 5, LEN, 4, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(2, purge(self->fd, 0));
}

/* Those who keep nothing, or one message at a time, read them as any other. */
TEST_F(suspect, other_readers)
{
	int pk = attach(self->fd, O_RDONLY | O_NONBLOCK, PACKED, 0);
	int one = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	char buf[LEN];

	ASSERT_EQ(0, make_suspects(self->fd, 0, 5));
	EXPECT_EQ(LEN, next_len(self->fd));
	EXPECT_EQ(-EMSGSIZE, take(self->fd, buf, LEN - 1));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 0));
	EXPECT_EQ(2, take_packed(pk, 2, LEN, 1, NULL));
	EXPECT_EQ(LEN, take_msg(one, LEN, 3));
	EXPECT_EQ(POLLIN, poll_now(one) & POLLIN);
	EXPECT_EQ(LEN, take_msg(one, LEN, 4));
	EXPECT_EQ(-EAGAIN, take(one, buf, LEN));
	EXPECT_EQ(0, held(one));
	close(one);
	close(pk);
}

/* It is none any more when its reader has said what becomes of it. */
TEST_F(suspect, until_it_is_settled)
{
	static const __u32 flags[] = { 0, FRONT };
	struct mpmcq_msg msg;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, make_suspects(self->fd, 0, 2));
		ASSERT_EQ(1, take_packed(self->le, 2, LEN, 0, &msg));
		ASSERT_EQ(1, take_packed(self->other, 2, LEN, 1, NULL));
		EXPECT_EQ(1, settle(self->le, MPMCQ_SETTLE_NACK, flags[i], &msg.id, 1, NULL));
		EXPECT_EQ(1, settle(self->other, MPMCQ_SETTLE_NACK, flags[i] | ALL, NULL, 0,
				    NULL));
		EXPECT_EQ(2, take_packed(self->le, 2, LEN, 0, NULL)) TH_LOG("%#x", flags[i]);
		EXPECT_EQ(2, ack_all(self->le));
	}
	/* Nor is the next message in its slot. */
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, make_suspects(self->fd, 0, 2));
		ASSERT_EQ(LEN, take_msg(self->fd, LEN, 0));
		ASSERT_EQ(LEN, take_msg(self->fd, LEN, 1));
	}
	for (i = 0; i < 16; i++)
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
	EXPECT_EQ(16, take_packed(self->le, 16, LEN, 0, NULL));
	EXPECT_EQ(16, ack_all(self->le));
}

/* One that was not tried is as before: a suspect, or not. */
TEST_F(suspect, untried)
{
	static const __u32 flags[] = { UNTRIED, FRONT | UNTRIED };
	struct mpmcq_msg msg;
	size_t i;
	int n;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		ASSERT_EQ(0, make_suspects(self->fd, 0, 2));
		for (n = 0; n < 4; n++) {
			ASSERT_EQ(1, take_packed(self->le, 2, LEN, n % 2, &msg));
			EXPECT_EQ(2, msg.deliveries);
			EXPECT_EQ(1, settle(self->le, MPMCQ_SETTLE_NACK, flags[i], &msg.id, 1,
					    NULL));
		}
		take_all(self->fd);
		for (n = 0; n < 2; n++)
			ASSERT_EQ(LEN, put_msg(self->fd, LEN, n));
		for (n = 0; n < 4; n++) {
			ASSERT_EQ(2, take_packed(self->le, 2, LEN, 0, NULL));
			EXPECT_EQ(2, settle(self->le, MPMCQ_SETTLE_NACK, flags[i] | ALL, NULL, 0,
					    NULL));
		}
		take_all(self->fd);
	}
}

/* If the copy fails it is still one, and the reader can have others. */
TEST_F(suspect, copy_fails)
{
	unsigned char *edge = map_edge();

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(0, make_suspects(self->fd, 0, 1));
	EXPECT_EQ(-EFAULT, result(read(self->le, edge - 30, 200)));
	EXPECT_EQ(0, held(self->le));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(1, take_packed(self->le, 2, LEN, 0, NULL));
	EXPECT_EQ(-ENOBUFS, take_packed(self->le, 2, LEN, 1, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(1, take_packed(self->le, 2, LEN, 1, NULL));
	EXPECT_EQ(1, ack_all(self->le));
}

/* A holder that was told that it cannot read is told when it can: one took the suspect away. */
TEST_F(suspect, taken_away_wakes_pollers)
{
	int i, taken, pk = attach(self->fd, O_RDONLY | O_NONBLOCK, PACKED, 0);

	for (i = 0; i < 3; i++) {
		int ep = watch(self->le, EPOLLIN | EPOLLET);

		ASSERT_LE(0, ep);
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, 9));
		ASSERT_EQ(1, take_packed(self->le, 1, LEN, 9, NULL));
		ASSERT_EQ(0, make_suspects(self->fd, 0, 1));
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
		while (event_now(ep))
			;
		EXPECT_EQ(0, poll_now(self->le) & POLLIN);
		if (i == 0)
			taken = take_msg(self->fd, LEN, 0) == LEN;
		else
			taken = take_packed(i == 1 ? pk : self->other, 1, LEN, 0, NULL);
		EXPECT_EQ(1, taken);
		EXPECT_EQ(EPOLLIN, event_now(ep));
		EXPECT_EQ(1, take_packed(self->le, 5, LEN, 1, NULL));
		EXPECT_EQ(2, ack_all(self->le));
		EXPECT_EQ(i == 2, ack_all(self->other));
		close(ep);
	}
	close(pk);
}

/* So is one that settles what it holds. */
TEST_F(suspect, settled_wakes_pollers)
{
	int ep = watch(self->le, EPOLLIN | EPOLLET);

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 9));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 9, NULL));
	ASSERT_EQ(0, make_suspects(self->fd, 0, 1));
	while (event_now(ep))
		;
	EXPECT_EQ(0, poll_now(self->le) & POLLIN);
	EXPECT_EQ(1, ack_all(self->le));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(1, take_packed(self->le, 1, LEN, 0, NULL));
	close(ep);
}

/*
 * One who waits for a message while it holds others does not get the suspect, and another does.  If
 * that is not so quick, the former is told.
 */
TEST_F(suspect, holder_that_waits)
{
	int waits = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	int free = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	unsigned char buf[2][200];
	struct call call[2];
	int ret;

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 9));
	ASSERT_EQ(1, take_packed(waits, 1, LEN, 9, NULL));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 0));
	ASSERT_EQ(1, take_packed(self->other, 1, LEN, 0, NULL));
	ASSERT_EQ(0, start_blocked(&call[0], take, waits, buf[0], 200));
	ASSERT_EQ(0, start_blocked(&call[1], take, free, buf[1], 200));
	close(self->other);
	self->other = -1;
	EXPECT_EQ(space_of(LEN), finish_call(&call[1]));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ret = finish_call(&call[0]);
	EXPECT_TRUE(ret == -ENOBUFS || ret == space_of(LEN)) TH_LOG("returned %d", ret);
	EXPECT_EQ(ret > 0 ? 2 : 1, ack_all(waits));
	EXPECT_EQ(1, ack_all(free));
	close(waits);
	close(free);
}

/* Where it is dropped to make room, the holder can have what comes then. */
TEST(dropped)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .flags = MPMCQ_DROP_OLDEST);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	int ep;

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 9));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 0, NULL));
	ASSERT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 9, NULL));
	ASSERT_EQ(1, revive(fd, 0));
	EXPECT_EQ(-ENOBUFS, take_packed(le, 1, LEN, 0, NULL));
	ep = watch(le, EPOLLIN | EPOLLET);
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	close(ep);
	close(le);
	close(fd);
}

/*
 * Workers that die or hang
 */

static int number_of(const void *job)
{
	int i;

	for (i = 0; !is_filled(job, LEN, i); i++)
		;
	return i;
}

enum way { DIES, HANGS, STOPS };

/*
 * Works on packs until there are no more; job POISON ends it as @way says.  Counts how often that
 * was begun, and how often others were done.
 */
static int work_on_packs(int fd, int *worked, enum way way)
{
	int le = attach(fd, O_RDONLY, LEASE | PACKED, 0), at, ret;
	static __u64 buf[1024];

	while ((ret = result(read(le, buf, sizeof(buf)))) > 0) {
		for (at = 0; at < ret; at += space_of(LEN)) {
			const struct mpmcq_msg *msg = (void *)((char *)buf + at);
			int i = number_of(msg + 1);

			worked[i] += i == POISON;
			if (i == POISON && way == DIES)
				raise(SIGKILL);
			if (i == POISON && way == HANGS)
				usleep(400000);
			if (i == POISON && way == STOPS) {
				settle_all(le, MPMCQ_SETTLE_NACK);
				return 1;
			}
			worked[i] += ack(le, msg->id) == 1 && i != POISON;
		}
	}
	return ret ? 2 : 0;
}

/* A closed queue of jobs. */
static int make_jobs(__u32 lease_ms)
{
	int i, fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR,
			       .max_deliveries = TRIES, .lease_ms = lease_ms);

	for (i = 0; i < JOBS; i++)
		if (put_msg(fd, LEN, i) != LEN)
			return -1;
	return close_queue(fd) ? -1 : fd;
}

/*
 * Lets one worker after the other do @work, as long as they are killed.  How many were; the last
 * one's end goes to @end.
 */
static int count_kills(int (*work)(int fd, int *worked), int fd, int *worked, int *end)
{
	int kills = 0;

	while ((*end = child_end(fork_child(work(fd, worked)))) == -SIGKILL && kills < 100)
		kills++;
	return kills;
}

/* Workers that do @work die of the job that kills, and each other one is done once. */
static void one_dies(struct __test_metadata *_metadata, int fd, int (*work)(int fd, int *worked))
{
	int i, end, kills, *worked = map_shared(JOBS * sizeof(int));

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, worked);
	kills = count_kills(work, fd, worked, &end);
	EXPECT_EQ(0, end);
	EXPECT_EQ(TRIES, kills);
	for (i = 0; i < JOBS; i++)
		EXPECT_EQ(i == POISON ? TRIES : 1, worked[i]) TH_LOG("job %d", i);
	EXPECT_EQ(1, dead(fd));
	EXPECT_EQ(0, depth(fd));
}

static int die_over_packs(int fd, int *worked)
{
	return work_on_packs(fd, worked, DIES);
}

TEST(packs)
{
	int fd = make_jobs(0), dp;
	struct mpmcq_msg msg;

	one_dies(_metadata, fd, die_over_packs);
	dp = attach(fd, O_RDONLY | O_NONBLOCK, PACKED | MPMCQ_MODE_DEAD, 0);
	EXPECT_EQ(1, take_packed(dp, 1, LEN, POISON, &msg));
	EXPECT_EQ(TRIES, msg.deliveries);
	EXPECT_EQ(MPMCQ_REASON_DELIVERIES, msg.reason);
	close(dp);
	close(fd);
}

/* The same for one that hangs for longer than lease_ms: the deadline of all of the pack passes. */
TEST(hangs)
{
	int i, fd = make_jobs(150), *worked = map_shared(JOBS * sizeof(int));

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, worked);
	EXPECT_EQ(0, child_end(fork_child(work_on_packs(fd, worked, HANGS))));
	EXPECT_EQ(TRIES, worked[POISON]);
	for (i = 0; i < JOBS; i++)
		if (i != POISON)
			EXPECT_LE(1, worked[i]) TH_LOG("job %d", i);
	EXPECT_EQ(1, dead(fd));
	EXPECT_EQ(0, depth(fd));
	close(fd);
}

/* A worker that fails says so for all of the pack, and counts for all of it: it was not killed. */
TEST(gives_back_what_it_has)
{
	int i, fd = make_jobs(0), *worked = map_shared(JOBS * sizeof(int));

	ASSERT_LE(0, fd);
	ASSERT_NE(MAP_FAILED, worked);
	for (i = 0; i < TRIES; i++)
		EXPECT_EQ(1, child_end(fork_child(work_on_packs(fd, worked, STOPS))));
	EXPECT_EQ(0, child_end(fork_child(work_on_packs(fd, worked, STOPS))));
	EXPECT_EQ(TRIES, worked[POISON]);
	EXPECT_LE(1, dead(fd));
	close(fd);
}

/* One message at a time: the same number of deaths. */
static int work_one_by_one(int fd, int *worked)
{
	int le = attach(fd, O_RDONLY, LEASE, 0), ret;
	unsigned char buf[LEN];

	while ((ret = take(le, buf, LEN)) == LEN) {
		int i = number_of(buf);

		__atomic_add_fetch(&worked[i], 1, __ATOMIC_RELAXED);
		if (i == POISON)
			raise(SIGKILL);
	}
	return ret ? 1 : 0;
}

TEST(one_by_one)
{
	int fd = make_jobs(0);

	one_dies(_metadata, fd, work_one_by_one);
	close(fd);
}

/* Deploys: workers that are stopped in the middle of a pack give back what they have not begun. */
TEST(deploys)
{
	int i, n, le, fd = make_jobs(0);
	struct mpmcq_msg msg[JOBS];

	ASSERT_LE(0, fd);
	for (i = 0; i < 8; i++) {
		le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
		n = take_packed(le, JOBS, LEN, 0, msg);
		EXPECT_EQ(JOBS, n);
		EXPECT_EQ(1, msg[0].deliveries);
		EXPECT_EQ(n, settle(le, MPMCQ_SETTLE_NACK, UNTRIED | FRONT | ALL, NULL, 0, NULL));
		close(le);
	}
	EXPECT_EQ(0, dead(fd));
	EXPECT_EQ(JOBS, take_all(fd));
	close(fd);
}

/*
 * Threads on one open file
 */
#define THREADS	4

struct crew {
	int le;
	int *worked;
};

/* Takes packs, and gives up its processor now and then with one claimed. */
static void *work_beside(void *arg)
{
	const struct crew *crew = arg;
	int at, ret, i;
	__u64 buf[128];

	for (;;) {
		ret = result(read(crew->le, buf, sizeof(buf)));
		if (!ret)
			return NULL;
		for (at = 0; at < ret; at += space_of(LEN)) {
			const struct mpmcq_msg *msg = (void *)((char *)buf + at);

			i = number_of(msg + 1);
			__atomic_add_fetch(&crew->worked[i], 1, __ATOMIC_RELAXED);
			if (i == POISON)
				kill(getpid(), SIGKILL);
			sched_yield();
			ack(crew->le, msg->id);
		}
		if (ret == -EDEADLK || ret == -ENOBUFS)
			sched_yield();
	}
}

static int work_in_threads(int fd, int *worked)
{
	struct crew crew = { attach(fd, O_RDONLY, LEASE | PACKED, 0), worked };
	pthread_t threads[THREADS];
	int i;

	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, work_beside, &crew))
			return 1;
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

TEST(threads)
{
	int round, i, end, kills, *worked = map_shared(JOBS * sizeof(int));

	ASSERT_NE(MAP_FAILED, worked);
	for (round = 0; round < 20; round++) {
		int fd = make_jobs(0);

		ASSERT_LE(0, fd);
		memset(worked, 0, JOBS * sizeof(*worked));
		kills = count_kills(work_in_threads, fd, worked, &end);
		EXPECT_EQ(0, end);
		EXPECT_EQ(TRIES, kills);
		for (i = 0; i < JOBS; i++)
			if (i != POISON)
				EXPECT_LE(1, worked[i]) TH_LOG("job %d", i);
		EXPECT_EQ(1, dead(fd));
		EXPECT_EQ(0, depth(fd));
		close(fd);
	}
}

TEST_HARNESS_MAIN
