// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels of priority: messages of a higher one are read before all of a lower one, and in the order
 * sent within one; nobody is left asleep, and nothing above is dropped for what is below.
 */

#include "own_test.h"

#define LEVELS	4
#define CAPACITY	16

static int set_priority(int fd, __u32 modes, __u32 priority)
{
	struct mpmcq_mode req = { .size = sizeof(req), .modes = modes, .priority = priority };

	return result(ioctl(fd, MPMCQ_IOC_MODE, &req));
}

static int attach_at(int fd, __u32 open_flags, __u32 modes, __u32 priority)
{
	struct mpmcq_attach req = {
		.size = sizeof(req), .open_flags = open_flags, .modes = modes, .priority = priority,
	};

	return result(ioctl(fd, MPMCQ_IOC_ATTACH, &req));
}

/* Takes one message, with its header; its number, 0 to 255, or -errno. */
static int take_any(int fd, struct mpmcq_msg *msg)
{
	unsigned char buf[MPMCQ_MSG_SPACE(LEN)];
	int ret = take(fd, buf, sizeof(buf));

	if (ret < 0)
		return ret;
	memcpy(msg, buf, sizeof(*msg));
	return is_filled(buf + sizeof(*msg), LEN, buf[sizeof(*msg)]) ? buf[sizeof(*msg)] : -EBADMSG;
}

/* @pk and @le are packed and do not wait; @level[i] is plain, sends with priority i, and waits. */
FIXTURE(priority)
{
	int fd;
	int pk;
	int le;
	int level[LEVELS];
};

FIXTURE_VARIANT(priority)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(priority, blocks) { .flags = MPMCQ_DELAY };
FIXTURE_VARIANT_ADD(priority, drops) { .flags = MPMCQ_DELAY | MPMCQ_DROP_OLDEST };

FIXTURE_SETUP(priority)
{
	int i;

	self->fd = make_queue(.capacity = CAPACITY, .msg_size = 64, .levels = LEVELS,
			      .flags = variant->flags, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->pk = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	self->le = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED | LEASE, 0);
	ASSERT_LE(0, self->pk);
	ASSERT_LE(0, self->le);
	for (i = 0; i < LEVELS; i++) {
		self->level[i] = attach_at(self->fd, O_RDWR, 0, i);
		ASSERT_LE(0, self->level[i]);
	}
}

FIXTURE_TEARDOWN(priority)
{
	int i;

	close(self->le);
	for (i = 0; i < LEVELS; i++)
		close(self->level[i]);
	take_all(self->fd);
	EXPECT_EQ(0, depth(self->fd));
	for (i = 0; i < CAPACITY; i++)
		EXPECT_EQ(LEN, put_msg(self->fd, LEN, i));
	EXPECT_EQ(CAPACITY, depth(self->fd));
	close(self->pk);
	close(self->fd);
}

TEST_F(priority, order)
{
	static const __u8 levels[] = { 0, 3, 1, 2, 3, 0, 1, 2, 0, 3 };
	static const int order[] = { 1, 4, 9, 3, 7, 2, 6, 0, 5, 8 };
	struct mpmcq_info info;
	struct mpmcq_msg msg;
	int i, round;

	EXPECT_EQ(LEVELS, info_of(self->fd).levels);
	for (round = 0; round < 2; round++) {
		if (!round)
			ASSERT_EQ(10, put_prior(self->pk, levels, 10, 0));
		for (i = 0; i < 10 && round; i++)
			ASSERT_EQ(LEN, put_msg(self->level[levels[i]], LEN, i));
		EXPECT_EQ(10, depth(self->fd));
		EXPECT_EQ(LEN, next_len(self->fd));
		for (i = 0; i < 10; i++) {
			ASSERT_EQ(order[i], take_any(self->pk, &msg));
			EXPECT_EQ(levels[order[i]], msg.priority);
		}
		info = info_of(self->fd);
		EXPECT_EQ(10 * (round + 1), info.sent);
		EXPECT_EQ(10 * (round + 1), info.received);
	}
	/* A pack goes over levels, and plain readers too. */
	ASSERT_EQ(3, put_prior(self->pk, levels, 3, 0));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 0));
	EXPECT_EQ(-EAGAIN, take_any(self->pk, &msg));
}

TEST_F(priority, by_mode)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(0, set_priority(self->fd, 0, 2));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(2, info_of(self->fd).priority);
	ASSERT_EQ(0, set_priority(self->fd, 0, 3));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	EXPECT_EQ(-EINVAL, set_priority(self->fd, 0, LEVELS));
	EXPECT_EQ(-EINVAL, set_priority(self->fd, 0, UINT32_MAX));
	EXPECT_EQ(2, take_any(self->pk, &msg));
	EXPECT_EQ(1, take_any(self->pk, &msg));
	EXPECT_EQ(2, msg.priority);
	ASSERT_EQ(0, set_priority(self->fd, 0, 0));
}

TEST_F(priority, bad)
{
	int one = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int pk = attach(one, O_RDWR | O_NONBLOCK, PACKED, 0);

	ASSERT_LE(0, pk);
	EXPECT_EQ(1, info_of(one).levels);
	EXPECT_EQ(-EINVAL, put_prior(pk, (__u8[]){ 1 }, 1, 0));
	EXPECT_EQ(-EINVAL, put_prior(self->pk, (__u8[]){ LEVELS }, 1, 0));
	EXPECT_EQ(-EINVAL, put_prior(self->pk, (__u8[]){ 255 }, 1, 0));
	EXPECT_EQ(2, put_prior(self->pk, (__u8[]){ 0, 3, 4, 0 }, 4, 0));
	EXPECT_EQ(-EINVAL, attach_at(one, O_RDWR, 0, 1));
	EXPECT_EQ(-EINVAL, attach_at(self->fd, O_RDWR, 0, LEVELS));
	EXPECT_EQ(-EINVAL, make_queue(.levels = 5, .open_flags = O_RDWR));
	EXPECT_EQ(-EINVAL, make_queue(.levels = UINT32_MAX, .open_flags = O_RDWR));
	close(pk);
	close(one);
}

/* What comes back keeps its level, at its end or before all. */
TEST_F(priority, comes_back)
{
	struct mpmcq_msg msg[2];

	ASSERT_EQ(3, put_prior(self->pk, (__u8[]){ 2, 2, 3 }, 3, 0));
	ASSERT_EQ(2, take_any(self->le, &msg[0]));
	ASSERT_EQ(0, take_any(self->le, &msg[1]));
	EXPECT_EQ(1, nack(self->le, msg[1].id));
	EXPECT_EQ(1, nack(self->le, msg[0].id));
	ASSERT_EQ(2, take_any(self->le, &msg[0]));
	ASSERT_EQ(1, take_any(self->pk, &msg[1]));
	ASSERT_EQ(0, take_any(self->le, &msg[1]));
	EXPECT_EQ(2, msg[1].priority);
	EXPECT_EQ(2, msg[1].deliveries);

	ASSERT_EQ(1, put_prior(self->pk, (__u8[]){ 3 }, 1, 9));
	EXPECT_EQ(1, settle(self->le, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, &msg[1].id, 1, NULL));
	EXPECT_EQ(0, take_any(self->pk, &msg[1]));
	EXPECT_EQ(2, msg[1].priority);
	EXPECT_EQ(9, take_any(self->pk, &msg[1]));

	EXPECT_EQ(1, reject(self->le, msg[0].id));
	ASSERT_EQ(1, put_prior(self->pk, (__u8[]){ 1 }, 1, 5));
	EXPECT_EQ(1, revive(self->fd, 0));
	EXPECT_EQ(2, take_any(self->pk, &msg[0]));
	EXPECT_EQ(3, msg[0].priority);
	EXPECT_EQ(5, take_any(self->pk, &msg[0]));
}

TEST_F(priority, delayed)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(2, put_each(self->pk, 2, LEN, 0, (__u8[]){ 1, 2 }, (__u32[]){ 20, 20 }));
	EXPECT_TRUE(comes_true(depth(self->fd) == 2));
	EXPECT_EQ(1, take_any(self->pk, &msg));
	EXPECT_EQ(2, msg.priority);
	EXPECT_EQ(0, take_any(self->pk, &msg));
}

/* The oldest of the lowest level goes, and none above what is sent. */
TEST_F(priority, full)
{
	__u8 mixed[CAPACITY];
	struct mpmcq_msg msg;
	int i, nb;

	for (i = 0; i < CAPACITY; i++)
		mixed[i] = i % 2 ? 2 : 1;
	for (i = 0; i < CAPACITY; i += nb) {
		nb = put_prior(self->pk, mixed + i, CAPACITY - i, i);
		ASSERT_LT(0, nb);
	}
	nb = attach_at(self->fd, O_WRONLY | O_NONBLOCK, 0, 0);
	EXPECT_EQ(-EAGAIN, put_msg(nb, LEN, 99));
	EXPECT_EQ(0, poll_now(nb) & POLLOUT);
	close(nb);
	nb = attach_at(self->fd, O_WRONLY | O_NONBLOCK, 0, 1);
	if (!(variant->flags & MPMCQ_DROP_OLDEST)) {
		EXPECT_EQ(-EAGAIN, put_msg(nb, LEN, 99));
		close(nb);
		return;
	}
	EXPECT_EQ(POLLOUT, poll_now(nb) & POLLOUT);
	EXPECT_EQ(LEN, put_msg(nb, LEN, 99));
	close(nb);
	for (i = 1; i < CAPACITY; i += 2)
		EXPECT_EQ(i, take_any(self->pk, &msg));
	/* Number 0 went. */
	for (i = 2; i < CAPACITY; i += 2)
		EXPECT_EQ(i, take_any(self->pk, &msg));
	EXPECT_EQ(99, take_any(self->pk, &msg));
	EXPECT_EQ(1, info_of(self->fd).dropped);
}

/* A writer that may not drop what came does not keep one asleep who may; a free slot is for any. */
TEST_F(priority, writers_wait)
{
	bool drops = variant->flags & MPMCQ_DROP_OLDEST;
	unsigned char buf[LEN];
	struct mpmcq_msg msg[CAPACITY];
	struct call call[2];
	int i, le;

	le = attach(self->fd, O_RDONLY | O_NONBLOCK, PACKED | LEASE, 16);
	ASSERT_LE(0, le);
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(LEN, put_msg(self->level[2], LEN, i));
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(i, take_any(le, &msg[i]));
	fill(buf, LEN, 77);
	ASSERT_EQ(0, start_blocked(&call[0], put, self->level[1], buf, LEN));
	ASSERT_EQ(0, start_blocked(&call[1], put, self->level[3], buf, LEN));
	EXPECT_EQ(1, nack(le, msg[0].id));
	if (drops)
		EXPECT_EQ(LEN, finish_call(&call[1]));
	EXPECT_EQ(0, __atomic_load_n(&call[0].done, __ATOMIC_SEQ_CST));
	EXPECT_EQ(drops, __atomic_load_n(&call[1].done, __ATOMIC_SEQ_CST));
	EXPECT_EQ(1, ack(le, msg[1].id));
	if (!drops)
		EXPECT_EQ(1, ack(le, msg[2].id));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	if (!drops)
		EXPECT_EQ(LEN, finish_call(&call[1]));
	close(le);
}

/* 1 if a poll by epoll instance @ep tells of something within 10 seconds. */
static int polled(int ep)
{
	struct epoll_event event;

	return epoll_wait(ep, &event, 1, 10000);
}

/* The same of those who poll, also if only one is to be woken; and of one who rises. */
TEST_F(priority, pollers_for_room)
{
	bool drops = variant->flags & MPMCQ_DROP_OLDEST;
	struct mpmcq_msg msg[CAPACITY];
	int i, le, ep[2];
	pid_t child[2];

	le = attach(self->fd, O_RDONLY | O_NONBLOCK, PACKED | LEASE, 16);
	ASSERT_LE(0, le);
	for (i = 0; i < 2; i++) {
		ep[i] = watch(self->level[2 * i], EPOLLOUT | EPOLLEXCLUSIVE);
		ASSERT_LE(0, ep[i]);
	}
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(LEN, put_msg(self->level[1], LEN, i));
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(i, take_any(le, &msg[i]));
	for (i = 0; i < 2; i++) {
		child[i] = fork_child(polled(ep[i]));
		ASSERT_LT(0, child[i]);
		wait_asleep(child[i], SYS_epoll_wait);
	}
	EXPECT_EQ(1, nack(le, msg[0].id));
	if (drops) {
		EXPECT_EQ(1, child_end(child[1]));
		EXPECT_EQ(0, set_priority(self->level[0], 0, 1));
		EXPECT_EQ(1, child_end(child[0]));
	} else {
		EXPECT_EQ(2, ack(le, msg[1].id) + ack(le, msg[2].id));
		EXPECT_EQ(1, child_end(child[0]));
		EXPECT_EQ(1, child_end(child[1]));
	}
	close(ep[0]);
	close(ep[1]);
	close(le);
}

/* Each put wakes one, whatever the level. */
TEST_F(priority, readers_wait)
{
	enum { READERS = 8, ROUNDS = 20 };
	unsigned char buf[READERS][LEN];
	struct call call[READERS];
	__u8 levels[READERS];
	int round, i;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < READERS; i++) {
			levels[i] = (i * 7 + round) % LEVELS;
			ASSERT_EQ(0, start_call(&call[i], take, self->level[0], buf[i], LEN));
		}
		wait_all_asleep(call, READERS, SYS_read);
		if (round % 2) {
			ASSERT_EQ(READERS, put_prior(self->pk, levels, READERS, 0));
		} else {
			for (i = 0; i < READERS; i++)
				ASSERT_EQ(LEN, put_msg(self->level[levels[i]], LEN, i));
		}
		for (i = 0; i < READERS; i++)
			EXPECT_EQ(LEN, finish_call(&call[i]));
		EXPECT_EQ(0, depth(self->fd));
	}
}

TEST_F(priority, peek_and_forward)
{
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY };
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = self->fd };
	struct mpmcq_msg msg;

	ASSERT_EQ(3, put_prior(self->pk, (__u8[]){ 1, 2, 1 }, 3, 0));
	EXPECT_EQ(-ENOENT, result(ioctl(self->fd, MPMCQ_IOC_PEEK, &peek)));
	peek.priority = 1;
	peek.position = 1;
	EXPECT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_PEEK, &peek)));
	EXPECT_EQ(1, peek.msg_priority);
	peek.priority = LEVELS;
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_PEEK, &peek)));
	ASSERT_EQ(1, take_any(self->le, &msg));
	forward.id = msg.id;
	forward.priority = LEVELS;
	EXPECT_EQ(-EINVAL, result(ioctl(self->le, MPMCQ_IOC_FORWARD, &forward)));
	forward.priority = 3;
	EXPECT_EQ(0, result(ioctl(self->le, MPMCQ_IOC_FORWARD, &forward)));
	EXPECT_EQ(1, take_any(self->pk, &msg));
	EXPECT_EQ(3, msg.priority);
	EXPECT_EQ(0, take_any(self->pk, &msg));
	EXPECT_EQ(2, take_any(self->pk, &msg));
}

/* A closed queue ends when no level has any. */
TEST_F(priority, end)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(2, put_prior(self->pk, (__u8[]){ 0, 3 }, 2, 0));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(1, take_any(self->pk, &msg));
	EXPECT_EQ(0, poll_now(self->fd) & POLLHUP);
	EXPECT_EQ(0, take_any(self->pk, &msg));
	EXPECT_EQ(POLLHUP, poll_now(self->fd) & POLLHUP);
	EXPECT_EQ(0, take(self->fd, &msg, sizeof(msg)));
	ASSERT_EQ(0, reopen_queue(self->fd));
}

TEST_HARNESS_MAIN
