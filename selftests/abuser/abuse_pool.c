// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of workers with leases, who are killed at any moment: in the middle of reads
 * and acknowledgments, while they hold many messages, while children of theirs have the
 * open file still, while it is under way to somebody else.  Every message is done in
 * the end, and once; and all slots are free.
 *
 * Producers and workers work in rounds, as in abuse.c: producers may send a number of
 * messages, and when the round is over, all must have been acknowledged.  If they are
 * not, somebody is asleep who should not be, or holds what he should not.  What happens
 * to the pool meanwhile is the test.
 *
 * The account is in memory that outlives whoever is killed.  A worker notes what it is
 * about to acknowledge, and when that is done; if it was killed in between, the message
 * may be delivered once more, or not.  What the kernel has counted settles that: as
 * many were acknowledged as were sent.
 */

#include "pool.h"

/*
 * The pool
 */
static bool hire(struct pool *pool, int i)
{
	struct place *place = &pool->account->place[i];

	place->idle = false;
	place->life++;
	pool->random += PRODUCERS + WORKERS;
	pool->pid[i] = fork();
	if (!pool->pid[i]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (is_producer(i))
			produce(pool, i);
		else
			work(pool, i);
	}
	return pool->pid[i] > 0;
}

static bool hire_all(struct pool *pool)
{
	int i;

	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (!pool->pid[i] && !hire(pool, i))
			return false;
	return true;
}

static void doom(struct pool *pool, int i)
{
	struct place *place = &pool->account->place[i];

	set(&place->doomed, place->life);
	kill(pool->pid[i], SIGKILL);
}

static bool bury(struct pool *pool, int i)
{
	int status = wait_for_end(pool->pid[i], "a killed worker");

	pool->pid[i] = 0;
	pool->killed++;
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	say("worker %d ended with %#x", i, status);
	return false;
}

/* What is under way on the socket comes to its end. */
static void receive_files(struct pool *pool)
{
	int fd;

	while ((fd = receive_fd(pool->sock[1])) >= 0)
		close(fd);
}

/* Ends the round for all who have a file that was somebody else's. */
static void end_round(struct pool *pool)
{
	add(&pool->account->round, 1);
	receive_files(pool);
}

static bool bury_all(struct pool *pool)
{
	bool good = true;
	int i;

	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			doom(pool, i);
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			good &= bury(pool, i);
	return good;
}

/* All that was to be sent was, and has been acknowledged. */
static bool settled(struct pool *pool)
{
	struct mpmcq_info info;
	int i;

	if (get(&pool->account->leave))
		return false;
	for (i = 0; i < PRODUCERS; i++)
		if (pool->pid[i] && !get(&pool->account->place[i].idle))
			return false;
	info = info_of(pool->fd);
	return !info.depth && !info.leased && !info.dead && info.acked == info.sent;
}

static void tell_pool(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);
	int i;

	say("waiting %u, leased %u, dead %u; sent %llu, acknowledged %llu; leave to send %u",
	    info.depth, info.leased, info.dead, (unsigned long long)info.sent,
	    (unsigned long long)info.acked, pool->account->leave);
	say("of these the sharers have %u", info_of(pool->shared_file).held);
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			tell_waits(pool->pid[i], is_producer(i) ? "producer" : "worker");
}

/* Of those who have died somewhere else; false if it is one of the pool. */
static bool reap(struct pool *pool)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < PRODUCERS + WORKERS; i++) {
			if (pool->pid[i] == pid) {
				say("process %d of the pool ended with %#x", pid, status);
				pool->pid[i] = 0;
				return false;
			}
		}
	}
	return true;
}

/* What sharers have held who are dead, their open file holds on: we give it back. */
static void help_sharers(struct pool *pool, int turn)
{
	if (turn % 64 == 63)
		settle_all(pool->shared_file, MPMCQ_SETTLE_NACK);
}

/* False if somebody sleeps who should not, or holds messages, or has ended. */
static bool come_to_rest(struct pool *pool)
{
	struct watchdog dog = {};
	struct mpmcq_info info;
	int turn;

	for (turn = 0; !settled(pool); turn++) {
		end_round(pool);
		if (!reap(pool))
			return false;
		info = info_of(pool->fd);
		if (hangs(&dog, info.acked + info.sent)) {
			tell_pool(pool);
			return false;
		}
		pool->revived += revive(pool->fd, 0);
		help_sharers(pool, turn);
		usleep(500);
	}
	return reap(pool);
}

/* Some are killed, some only disturbed; a producer and a worker of each kind are spared. */
static bool kill_some(struct pool *pool)
{
	int spared = below(&pool->random, PRODUCERS), i, n;
	int spared_worker = PRODUCERS + below(&pool->random, WORKERS - SHARERS);
	bool dead[PRODUCERS + WORKERS] = {}, good = true;

	for (n = below(&pool->random, 12); n >= 0; n--) {
		dawdle(&pool->random);
		i = below(&pool->random, PRODUCERS + WORKERS);
		if (dead[i])
			continue;
		switch (below(&pool->random, 8)) {
		case 0:
			kill(pool->pid[i], SIGUSR1);
			break;
		case 1:
			kill(pool->pid[i], SIGSTOP);
			dawdle(&pool->random);
			kill(pool->pid[i], SIGCONT);
			break;
		case 2:
			end_round(pool);
			break;
		default:
			dead[i] = i != spared && i != spared_worker;
			if (dead[i])
				doom(pool, i);
		}
	}
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (dead[i])
			good &= bury(pool, i);
	return good;
}

static bool has_room(const struct pool *pool, int messages)
{
	int i;

	for (i = 0; i < PRODUCERS; i++)
		if (get(&pool->account->next[i]) + messages + 2 * BATCH >= NUMBERS)
			return false;
	return true;
}

static void give(struct pool *pool, int messages)
{
	add(&pool->account->leave, messages);
	syscall(SYS_futex, &pool->account->leave, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Rounds, as far as the account has room; false if one ends badly. */
static bool run(struct pool *pool, int rounds)
{
	for (; rounds && has_room(pool, 8192); rounds--) {
		give(pool, 1 + below(&pool->random, 2 << below(&pool->random, 12)));
		if (!kill_some(pool) || !come_to_rest(pool) || !hire_all(pool))
			return false;
	}
	return true;
}

/* What is wrong with a message, in the end */
static int faults_of(const struct job *job)
{
	if (job->acks > 1)
		return REPEATED;
	if (job->sent == UNSENT && job->seen)
		return UNKNOWN;
	/* Whoever was killed while it sent it may not have. */
	if (!job->seen)
		return job->sent == SENT ? LOST : 0;
	return job->acks || job->acking ? 0 : LOST;
}

/* All that was sent has been seen, and acknowledged once, by us as by the kernel. */
static int check_account(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);
	int i, number, faults = 0;
	__u64 seen = 0;

	for (i = 0; i < PRODUCERS; i++) {
		for (number = 0; number < NUMBERS; number++) {
			struct job *job = &pool->account->job[i][number];
			int fault = faults_of(job);

			seen += job->seen > 0;
			if (fault)
				say("message %d of %d: %#x: sent %u, seen %u, acks %u, begun %u",
				    number, i, fault, job->sent, job->seen, job->acks,
				    job->acking);
			faults |= fault;
		}
	}
	if (info.sent != seen || info.acked != seen) {
		say("%llu messages were seen; sent %llu, acknowledged %llu",
		    (unsigned long long)seen, (unsigned long long)info.sent,
		    (unsigned long long)info.acked);
		faults |= MISCOUNTED;
	}
	return faults | pool->account->faults;
}

static bool start(struct pool *pool)
{
	pool->fd = make_queue(.capacity = CAPACITY, .msg_size = LONGEST,
			      .max_deliveries = MAX_DELIVERIES, .lease_ms = pool->lease_ms,
			      .open_flags = O_RDWR);
	pool->nb = attach(pool->fd, O_RDWR | O_NONBLOCK, 0, 0);
	pool->shared_file = attach(pool->fd, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
				   CAPACITY);
	pool->account = shared_memory(sizeof(*pool->account));
	if (pool->fd < 0 || pool->nb < 0 || pool->shared_file < 0 || !pool->account)
		return false;
	pool->account->round = 1;
	return hire_all(pool);
}

static void end(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);

	pool->returned += info.returned;
	say("%llu messages, %llu deliveries, %llu returned", (unsigned long long)info.sent,
	    (unsigned long long)info.received, (unsigned long long)info.returned);
	say("%d revived, %u late, %u heirs, %u passed", pool->revived, pool->account->late,
	    pool->account->heirs, pool->account->passed);
	close(pool->shared_file);
	close(pool->nb);
	close(pool->fd);
	munmap(pool->account, sizeof(*pool->account));
	pool->account = NULL;
}

/* Does what there is to do, one by one.  A lease may end before its job is acknowledged. */
static bool work_off(struct pool *pool)
{
	int fd = attach(pool->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE, 1);
	struct job *job = NULL;
	char buf[LONGEST];
	int ret;

	while ((ret = take(fd, buf, sizeof(buf))) > 0) {
		fault(pool, receive(pool, identity(0, 1), buf, ret, &job));
		if (!job)
			break;
		if (ack_all(fd) == 1)
			add(&job->acks, 1);
		else if (!pool->lease_ms)
			break;
	}
	close(fd);
	return ret == -EAGAIN;
}

/*
 * Kills all of the pool in the middle of its work.  What it has held can be read at
 * once then, and when that is done everything must add up.
 */
static void stop(struct __test_metadata *_metadata, struct pool *pool)
{
	give(pool, 4 * CAPACITY);
	dawdle(&pool->random);
	EXPECT_TRUE(bury_all(pool));
	end_round(pool);
	EXPECT_TRUE(comes_true(reap(pool) && waitpid(-1, NULL, WNOHANG) < 0));
	close(pool->shared_file);
	pool->shared_file = -1;
	EXPECT_EQ(0, info_of(pool->fd).leased);

	revive(pool->fd, 0);
	EXPECT_TRUE(work_off(pool));
	EXPECT_EQ(0, info_of(pool->fd).leased);
	EXPECT_EQ(0, info_of(pool->fd).dead);
	EXPECT_EQ(0, check_account(pool));
	check_slots(_metadata, pool->nb, CAPACITY);
	end(pool);
}

FIXTURE(pool)
{
	struct pool pool;
};

FIXTURE_VARIANT(pool)
{
	__u32 lease_ms;
};

FIXTURE_VARIANT_ADD(pool, for_ever)
{
};

/* So short that a worker who is held up loses what it holds */
FIXTURE_VARIANT_ADD(pool, for_a_while) { .lease_ms = LEASE_MS };

FIXTURE_SETUP(pool)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct pool *pool = &self->pool;

	pool->random = seed();
	pool->lease_ms = variant->lease_ms;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pool->sock));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_TEARDOWN(pool)
{
	struct pool *pool = &self->pool;

	if (pool->account) {
		bury_all(pool);
		end_round(pool);
	}
	say("%d processes killed", pool->killed);
}

TEST_F_TIMEOUT(pool, killed, 800)
{
	struct pool *pool = &self->pool;
	int episode;

	for (episode = percent_of(10); episode; episode--) {
		ASSERT_TRUE(start(pool));
		ASSERT_TRUE(run(pool, 30));
		stop(_metadata, pool);
	}
	EXPECT_LT(0, pool->returned);
}

/* The controls: what is wrong is found. */
TEST_F_TIMEOUT(pool, lost_message_is_found, 200)
{
	struct pool *pool = &self->pool;
	char buf[LONGEST];

	ASSERT_TRUE(start(pool));
	ASSERT_TRUE(come_to_rest(pool));
	EXPECT_EQ(0, check_account(pool));
	EXPECT_TRUE(bury_all(pool));
	ASSERT_TRUE(hire(pool, 0));
	give(pool, CAPACITY / 2);
	ASSERT_TRUE(comes_true(get(&pool->account->place[0].idle) && !pool->account->leave));
	ASSERT_LT(0, take(pool->nb, buf, sizeof(buf)));
	EXPECT_TRUE(work_off(pool));
	EXPECT_EQ(LOST | MISCOUNTED, check_account(pool));
	EXPECT_TRUE(bury_all(pool));
	end(pool);
}

TEST_F_TIMEOUT(pool, sleeper_is_found, 200)
{
	struct pool *pool = &self->pool;
	int i;

	ASSERT_TRUE(start(pool));
	ASSERT_TRUE(come_to_rest(pool));
	for (i = PRODUCERS; i < PRODUCERS + WORKERS; i++) {
		kill(pool->pid[i], SIGSTOP);
		EXPECT_EQ(pool->pid[i], waitpid(pool->pid[i], NULL, WUNTRACED));
	}
	patience = 1;
	give(pool, 1);
	EXPECT_FALSE(come_to_rest(pool));
	for (i = PRODUCERS; i < PRODUCERS + WORKERS; i++)
		kill(pool->pid[i], SIGCONT);
	EXPECT_TRUE(come_to_rest(pool));
	stop(_metadata, pool);
}

TEST(account)
{
	static const struct {
		struct job job;
		int fault;
	} cases[] = {
		{ { .sent = SENT, .seen = 3, .acks = 1 }, 0 },
		{ { .sent = SENT, .seen = 1, .acking = 1 }, 0 },
		{ { .sent = TRYING, .seen = 1, .acks = 1 }, 0 },
		{ { .sent = TRYING }, 0 },
		{ { .sent = UNSENT }, 0 },
		{ { .sent = SENT }, LOST },
		{ { .sent = SENT, .seen = 1 }, LOST },
		{ { .sent = TRYING, .seen = 1 }, LOST },
		{ { .sent = SENT, .seen = 2, .acks = 2 }, REPEATED },
		{ { .sent = UNSENT, .seen = 1, .acks = 1 }, UNKNOWN },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].fault, faults_of(&cases[i].job)) TH_LOG("case %zu", i);
}

TEST(deliveries)
{
	struct pool pool = { .account = shared_memory(sizeof(*pool.account)) };
	__u32 first = identity(PRODUCERS, 1), other = identity(PRODUCERS + 1, 1);
	unsigned char msg[LONGEST];
	int len = make_message(msg, 1, 5, LONGEST);
	struct job *job;

	ASSERT_NE(NULL, pool.account);
	EXPECT_EQ(UNKNOWN, receive(&pool, first, msg, len, &job));
	pool.account->job[1][5].sent = TRYING;
	EXPECT_EQ(0, receive(&pool, first, msg, len, &job));
	EXPECT_EQ(&pool.account->job[1][5], job);
	EXPECT_EQ(SHARED, receive(&pool, other, msg, len, &job));
	pool.account->place[PRODUCERS + 1].doomed = 1;
	EXPECT_EQ(0, receive(&pool, first, msg, len, &job));
	job->acks = 1;
	EXPECT_EQ(REPEATED, receive(&pool, other, msg, len, &job));
	EXPECT_EQ(TORN, receive(&pool, first, msg, len - 1, &job));
	make_message(msg, PRODUCERS, 5, LONGEST);
	EXPECT_EQ(UNKNOWN, receive(&pool, first, msg, len, &job));
}

TEST_HARNESS_MAIN
