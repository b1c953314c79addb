// SPDX-License-Identifier: GPL-2.0-only
/*
 * A queue that drops its oldest message when it is full: which, how many, and what
 * it must not drop.
 */

#include "own_test.h"

static unsigned char large[MSG_SIZE_MAX + 1];

/*
 * A queue of one's own, on which @fd waits and @nb does not, and @le holds what it
 * reads.
 */
FIXTURE(drop)
{
	int fd;
	int nb;
	int le;
	int capacity;
};

FIXTURE_VARIANT(drop)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(drop, shortest) { .capacity = 2 };
FIXTURE_VARIANT_ADD(drop, usual) { .capacity = 8 };
FIXTURE_VARIANT_ADD(drop, many) { .capacity = 128 };

FIXTURE_SETUP(drop)
{
	self->capacity = variant->capacity;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64,
			      .flags = MPMCQ_DROP_OLDEST, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	self->le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_LE(0, self->nb);
	ASSERT_LE(0, self->le);
}

FIXTURE_TEARDOWN(drop)
{
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(0, info_of(self->fd).dead);
	close(self->le);
	close(self->nb);
	close(self->fd);
}

static __u64 dropped(int fd)
{
	return info_of(fd).dropped;
}

TEST_F(drop, nothing_while_there_is_room)
{
	int i;

	EXPECT_EQ(MPMCQ_DROP_OLDEST, info_of(self->fd).flags);
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	EXPECT_EQ(0, dropped(self->fd));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, take_msg(self->nb, LEN, i));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
}

TEST_F(drop, oldest)
{
	int i, n = 3 * self->capacity + 1;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(LEN, put_msg(i % 2 ? self->nb : self->fd, LEN, i));
		ASSERT_EQ(i < self->capacity ? i + 1 : self->capacity, depth(self->fd));
	}
	EXPECT_EQ(n - self->capacity, dropped(self->fd));
	EXPECT_EQ(n, info_of(self->fd).sent);
	for (i = n - self->capacity; i < n; i++)
		ASSERT_EQ(LEN, take_msg(self->nb, LEN, i));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	EXPECT_EQ(n - self->capacity, dropped(self->fd));
}

/* A write that is refused anyway drops nothing. */
TEST_F(drop, not_for_what_is_not_sent)
{
	int i, pk = attach(self->fd, O_WRONLY | O_NONBLOCK, PACKED, 0);
	struct mpmcq_msg bad = {};

	ASSERT_LE(0, pk);
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	EXPECT_EQ(-EMSGSIZE, put(self->fd, large, 65));
	EXPECT_EQ(-EINVAL, put(self->fd, large, 0));
	EXPECT_EQ(-EINVAL, put(pk, &bad, sizeof(bad)));
	EXPECT_EQ(0, dropped(self->fd));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, take_msg(self->nb, LEN, i));
	close(pk);
}

/* What is held, returned, or dead is not dropped. */
TEST_F(drop, only_what_is_ready)
{
	struct mpmcq_msg msg;
	int i;

	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 0, &msg));
	for (i = 0; i < 2 * self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 100 + i));
	EXPECT_EQ(2 * self->capacity, dropped(self->fd));
	EXPECT_EQ(1, settle(self->le, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, &msg.id, 1, NULL));
	for (i = 0; i < 2 * self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 400 + i));
	EXPECT_EQ(4 * self->capacity, dropped(self->fd));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 0, &msg));
	EXPECT_EQ(2, msg.deliveries);
	EXPECT_EQ(1, reject(self->le, msg.id));
	for (i = 0; i < 2 * self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 700 + i));
	EXPECT_EQ(6 * self->capacity, dropped(self->fd));
	EXPECT_EQ(1, info_of(self->fd).dead);
	EXPECT_EQ(1, purge(self->fd, 0));
	for (i = self->capacity + 1; i < 2 * self->capacity; i++)
		ASSERT_EQ(LEN, take_msg(self->nb, LEN, 700 + i));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
}

/* With nothing to be dropped a write waits, as elsewhere. */
TEST_F(drop, nothing_to_drop)
{
	int i, le = attach(self->fd, O_RDONLY, LEASE | PACKED, self->capacity);
	int half = self->capacity / 2;
	struct call call;

	ASSERT_LE(0, le);
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	ASSERT_EQ(half, take_packed(le, half, LEN, 0, NULL));
	ASSERT_EQ(half, settle_all(le, MPMCQ_SETTLE_REJECT));
	for (i = half; i < self->capacity; i++)
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, NULL));
	EXPECT_EQ(-EAGAIN, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(0, poll_now(self->fd));
	EXPECT_EQ(0, dropped(self->fd));
	fill(large, LEN, 500);
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, LEN));
	EXPECT_EQ(self->capacity - half, ack_all(le));
	EXPECT_EQ(LEN, finish_call(&call));

	/* Or is woken for what comes back, and may drop that. */
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 500));
	EXPECT_EQ(half, revive(self->fd, 0));
	for (i = 0; i < 3 * self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	EXPECT_EQ(2 * self->capacity + half, dropped(self->fd));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(le);
}

/* A message that comes back to the tail of ready is one that can be dropped. */
TEST_F(drop, waits_for_what_is_given_back)
{
	int i, le = attach(self->fd, O_RDONLY, LEASE | PACKED, self->capacity);
	struct mpmcq_msg msg[128];
	struct call call;

	ASSERT_LE(0, le);
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	ASSERT_EQ(self->capacity, take_packed(le, self->capacity, LEN, 0, msg));
	fill(large, LEN, 500);
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, LEN));
	EXPECT_EQ(1, nack(le, msg[0].id));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_EQ(1, dropped(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 500));
	EXPECT_EQ(self->capacity - 1, ack_all(le));
	close(le);
}

TEST_F(drop, poll)
{
	int i, ep = watch(self->nb, EPOLLOUT);

	ASSERT_LE(0, ep);
	for (i = 0; i < 2 * self->capacity; i++) {
		EXPECT_EQ((i ? READABLE : 0) | WRITABLE, poll_now(self->nb));
		EXPECT_EQ(EPOLLOUT, event_now(ep));
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	}
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(ep);
}

/* However many there are in one write, the last ones stay. */
TEST_F(drop, packed)
{
	int pk = attach(self->fd, O_RDWR, PACKED, 0), n = 3 * self->capacity + 1, i, ret;

	ASSERT_LE(0, pk);
	for (i = 0; i < n; i += ret) {
		ret = put_packed(pk, n - i, LEN, i);
		ASSERT_LT(0, ret);
	}
	EXPECT_EQ(self->capacity, depth(self->fd));
	EXPECT_EQ(n - self->capacity, dropped(self->fd));
	ASSERT_EQ(self->capacity, take_packed(pk, n, LEN, n - self->capacity, NULL));
	close(pk);
}

/* Readers that wait get what is sent. */
TEST_F(drop, wakes_readers)
{
	struct call call;
	int i;

	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(LEN, finish_call(&call));
		ASSERT_TRUE(is_filled(large, LEN, i));
	}
	EXPECT_EQ(0, dropped(self->fd));
}

#define WRITERS		2
#define READERS		2
#define MESSAGES	5000

struct traffic {
	int fd;
	int writers;
	int read;
	unsigned char seen[WRITERS][MESSAGES];
};

static void *write_all(void *arg)
{
	struct traffic *all = arg;
	int msg[2] = { __atomic_fetch_add(&all->writers, 1, __ATOMIC_SEQ_CST), 0 };

	for (; msg[1] < MESSAGES; msg[1]++)
		if (put(all->fd, msg, sizeof(msg)) != sizeof(msg))
			return "a write failed";
	return NULL;
}

static void *read_to_the_end(void *arg)
{
	struct traffic *all = arg;
	int ret, msg[2], next[WRITERS] = {};

	while ((ret = take(all->fd, msg, sizeof(msg))) == sizeof(msg)) {
		if (msg[0] < 0 || msg[0] >= WRITERS || msg[1] < 0 || msg[1] >= MESSAGES)
			return "a message was garbled";
		if (msg[1] < next[msg[0]])
			return "a message came before an earlier one";
		next[msg[0]] = msg[1] + 1;
		__atomic_add_fetch(&all->seen[msg[0]][msg[1]], 1, __ATOMIC_SEQ_CST);
		__atomic_add_fetch(&all->read, 1, __ATOMIC_SEQ_CST);
	}
	return ret ? "a read failed" : NULL;
}

/* Each message is read once or dropped, and counted once. */
TEST_F_TIMEOUT(drop, amid_traffic, 60)
{
	static struct traffic all;
	pthread_t thread[WRITERS + READERS];
	void *failure;
	int i, j;

	all.fd = self->fd;
	for (i = 0; i < WRITERS + READERS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL,
					    i < WRITERS ? write_all : read_to_the_end, &all));
	for (i = 0; i < WRITERS + READERS; i++) {
		if (i == WRITERS)
			ASSERT_EQ(0, close_queue(self->fd));
		ASSERT_EQ(0, pthread_join(thread[i], &failure));
		EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	}
	EXPECT_EQ(WRITERS * MESSAGES, all.read + dropped(self->fd));
	EXPECT_EQ(WRITERS * MESSAGES, info_of(self->fd).sent);
	for (i = 0; i < WRITERS; i++)
		for (j = 0; j < MESSAGES; j++)
			EXPECT_GE(1, all.seen[i][j]);
	EXPECT_EQ(0, reopen_queue(self->fd));
}

TEST_HARNESS_MAIN
