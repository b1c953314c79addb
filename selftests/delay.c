// SPDX-License-Identifier: GPL-2.0-only
/*
 * Delays: a message that is sent or given back with one is parked, and comes no sooner; retries
 * wait longer each time; a closed queue waits for what is parked, or does not if it is told so.
 */

#include <poll.h>
#include <stddef.h>

#include "own_test.h"

#define DELAY	MPMCQ_SETTLE_DELAY

#define CAPACITY	64
#define FOR_EVER	UINT32_MAX	/* 49.7 days */

static __u32 parked(int fd)
{
	return info_of(fd).parked;
}

static int put_one(int fd, __u32 delay_ms, unsigned int seed)
{
	return put_delayed(fd, &delay_ms, 1, seed);
}

/* As settle(), with a delay. */
static int settle_delayed(int fd, __u32 op, __u32 flags, __u64 id, __u32 delay_ms)
{
	struct mpmcq_settle req = {
		.size = sizeof(req), .op = op, .flags = flags, .ids = (unsigned long)&id,
		.count = 1, .delay_ms = delay_ms,
	};
	int ret = result(ioctl(fd, MPMCQ_IOC_SETTLE, &req));

	return ret < 0 ? ret : (int)req.done;
}

/* Waits up to 10 s until @fd is readable; how many ms after @since, -ETIME if it is not. */
static long readable_after(int fd, long long since)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	if (poll(&pfd, 1, 10000) != 1)
		return -ETIME;
	return (now_ns(CLOCK_BOOTTIME) - since) / 1000000;
}

/* Numbers of the next @n messages, waiting for each; false if one does not come. */
static bool come_in_order(int fd, const int *numbers, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (readable_after(fd, 0) < 0 || take_msg(fd, LEN, numbers[i]) != LEN)
			return false;
	return true;
}

FIXTURE(delay)
{
	int fd;		/* plain; does not wait, as the others */
	int pk;		/* packed */
	int le;		/* packed, with leases */
};

FIXTURE_SETUP(delay)
{
	self->fd = make_queue(.capacity = CAPACITY, .msg_size = 64, .flags = MPMCQ_DELAY,
			      .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->pk = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	self->le = attach(self->fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_LE(0, self->pk);
	ASSERT_LE(0, self->le);
}

/* No slot is lost. */
FIXTURE_TEARDOWN(delay)
{
	char buf[64];

	close(self->pk);
	close(self->le);
	ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	EXPECT_TRUE(comes_true(!read(self->fd, buf, sizeof(buf))));
	EXPECT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(CAPACITY, put_all(self->fd, LEN, 0));
	close(self->fd);
}

TEST_F(delay, sent)
{
	static const __u32 delays[] = { 1, 20, 200 };
	struct mpmcq_info info;
	long long since;
	size_t i;
	long ms;

	for (i = 0; i < ARRAY_SIZE(delays); i++) {
		since = now_ns(CLOCK_BOOTTIME);
		ASSERT_EQ(1, put_one(self->pk, delays[i], i));
		info = info_of(self->fd);
		if (delays[i] == 200) {
			EXPECT_EQ(1, info.parked);
			EXPECT_EQ(0, info.depth);
			EXPECT_EQ(0, poll_now(self->fd) & POLLIN);
			EXPECT_EQ(0, next_len(self->fd));
			EXPECT_EQ(-EAGAIN, take_msg(self->fd, LEN, i));
		}
		EXPECT_EQ(i + 1, info.sent);
		ms = readable_after(self->fd, since);
		EXPECT_LE(delays[i], ms);
		TH_LOG("%u ms: after %ld ms", delays[i], ms);
		EXPECT_EQ(0, parked(self->fd));
		EXPECT_EQ(LEN, take_msg(self->fd, LEN, i));
		EXPECT_EQ(i + 1, info_of(self->fd).received);
		EXPECT_EQ(i + 1, info_of(self->fd).sent);
	}
}

/* By their times, equal ones in the order sent, and past those that do not wait. */
TEST_F(delay, order)
{
	static const __u32 delays[] = { 300, 0, 100, 200, 0, 100, 200, 300, 0, 100 };
	static const int order[] = { 1, 4, 8, 2, 5, 9, 3, 6, 0, 7 };
	struct mpmcq_msg msg[3];

	ASSERT_EQ(10, put_delayed(self->pk, delays, 10, 0));
	EXPECT_EQ(3, depth(self->fd));
	EXPECT_EQ(7, parked(self->fd));
	EXPECT_EQ(10, info_of(self->fd).sent);
	EXPECT_TRUE(come_in_order(self->fd, order, 10));

	/* A pack that is all of one delay. */
	ASSERT_EQ(3, put_delayed(self->pk, (__u32[]){ 30, 30, 30 }, 3, 20));
	ASSERT_LE(30, readable_after(self->fd, now_ns(CLOCK_BOOTTIME)) + 5);
	ASSERT_TRUE(comes_true(depth(self->fd) == 3));
	ASSERT_EQ(3, take_packed(self->pk, 3, LEN, 20, msg));
	EXPECT_EQ(0, msg[0].delay_ms);
}

TEST_F(delay, for_ever)
{
	unsigned char buf[LEN];

	EXPECT_EQ(1, put_one(self->pk, FOR_EVER, 1));
	EXPECT_EQ(1, put_one(self->pk, FOR_EVER - 60000, 0));
	usleep(50000);
	EXPECT_EQ(2, parked(self->fd));
	EXPECT_EQ(-EAGAIN, take_msg(self->fd, LEN, 0));
	/* One that comes later may be due sooner. */
	EXPECT_EQ(1, put_one(self->pk, 1, 2));
	EXPECT_LE(0, readable_after(self->fd, 0));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	EXPECT_TRUE(come_in_order(self->fd, (int[]){ 0, 1 }, 2));
	EXPECT_EQ(0, take(self->fd, buf, LEN));
}

/* The clock that people set has no say. */
TEST_F(delay, clock_is_set)
{
	struct timespec now, other;
	long long since = now_ns(CLOCK_BOOTTIME);
	int i;

	if (geteuid())
		SKIP(return, "only root sets the clock");
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, put_one(self->pk, 300, i));
		clock_gettime(CLOCK_REALTIME, &now);
		other = now;
		other.tv_sec += i ? -3600 : 3600;
		ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &other));
		EXPECT_EQ(1, parked(self->fd));
		EXPECT_LE(300 * (i + 1), readable_after(self->fd, since));
		EXPECT_EQ(LEN, take_msg(self->fd, LEN, i));
		clock_gettime(CLOCK_REALTIME, &other);
		other.tv_sec -= i ? -3600 : 3600;
		ASSERT_EQ(0, clock_settime(CLOCK_REALTIME, &other));
	}
}

/* Each that waits in a read, or in poll(2), is woken when a message is due. */
TEST_F(delay, wakes)
{
	int i, blocking = attach(self->fd, O_RDONLY, 0, 0);
	unsigned char buf[2][LEN + 1];
	struct call call[2];
	long long since;

	ASSERT_LE(0, blocking);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start_call(&call[i], take, blocking, buf[i], LEN + 1));
	wait_all_asleep(call, 2, SYS_read);
	since = now_ns(CLOCK_BOOTTIME);
	ASSERT_EQ(2, put_delayed(self->pk, (__u32[]){ 100, 100 }, 2, 0));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_LE(100000000LL, now_ns(CLOCK_BOOTTIME) - since);
	close(blocking);
}

TEST_F(delay, not_asked_for)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	EXPECT_EQ(0, info_of(fd).flags);
	EXPECT_EQ(-EINVAL, put_one(le, 1, 0));
	/* What comes before it is sent. */
	EXPECT_EQ(2, put_delayed(le, (__u32[]){ 0, 0, 1, 0 }, 4, 0));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
	EXPECT_EQ(-EOPNOTSUPP, settle_delayed(le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 1));
	EXPECT_EQ(-EOPNOTSUPP, settle_delayed(le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 0));
	EXPECT_EQ(1, info_of(le).held);
	EXPECT_EQ(0, result(ioctl(fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	close(le);
	close(fd);
}

TEST_F(delay, config)
{
	struct mpmcq_create bad[] = {
		{ .retry_max_ms = 1 }, { .retry_ms = 2, .retry_max_ms = 1 },
		{ .retry_ms = UINT32_MAX, .retry_max_ms = UINT32_MAX - 1 },
	};
	struct mpmcq_info info;
	size_t i;
	int fd;

	EXPECT_EQ(MPMCQ_DELAY, info_of(self->fd).flags);
	EXPECT_EQ(MPMCQ_FEATURE_DELAY, info_of(self->fd).features & MPMCQ_FEATURE_DELAY);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		bad[i].open_flags = O_RDWR;
		EXPECT_EQ(-EINVAL, create_by_device(bad[i])) TH_LOG("%zu", i);
	}
	fd = make_queue(.retry_ms = 1, .retry_max_ms = UINT32_MAX, .open_flags = O_RDWR);
	ASSERT_LE(0, fd);
	info = info_of(fd);
	EXPECT_EQ(MPMCQ_DELAY, info.flags);
	EXPECT_EQ(1, info.retry_ms);
	EXPECT_EQ(UINT32_MAX, info.retry_max_ms);
	close(fd);
}

/* A mount is not there for all who run this. */
TEST_F(delay, exist_ok)
{
	const struct mpmcq_create like = {
		.capacity = 2, .msg_size = 8, .retry_ms = 5, .retry_max_ms = 50, .mode = 0600,
		.flags = MPMCQ_EXIST_OK,
	};
	struct mpmcq_create other = like;

	if (access(MOUNT, W_OK))
		SKIP(return, "no " MOUNT ", or not for us");
	ASSERT_EQ(0, create_named("delay-exist-ok", like));
	EXPECT_EQ(0, create_named("delay-exist-ok", like));
	other.flags |= MPMCQ_DELAY;
	EXPECT_EQ(0, create_named("delay-exist-ok", other));
	other.retry_ms = 6;
	EXPECT_EQ(-EEXIST, create_named("delay-exist-ok", other));
	other = like;
	other.retry_max_ms = 0;
	EXPECT_EQ(-EEXIST, create_named("delay-exist-ok", other));
	EXPECT_EQ(0, remove_named("delay-exist-ok"));
}

TEST_F(delay, nack)
{
	struct mpmcq_msg msg;
	long long since;

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	since = now_ns(CLOCK_BOOTTIME);
	EXPECT_EQ(1, settle_delayed(self->le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 100));
	EXPECT_EQ(1, parked(self->fd));
	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	EXPECT_LE(100, readable_after(self->le, since));
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 1, &msg));
	EXPECT_EQ(2, msg.deliveries);
	EXPECT_EQ(2, info_of(self->fd).sent);

	/* At once; and not counted. */
	EXPECT_EQ(1, settle_delayed(self->le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 0));
	EXPECT_EQ(0, parked(self->fd));
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 1, &msg));
	EXPECT_EQ(3, msg.deliveries);
	EXPECT_EQ(1, settle_delayed(self->le, MPMCQ_SETTLE_NACK, DELAY | UNTRIED, msg.id, 10));
	EXPECT_EQ(0, readable_after(self->le, now_ns(CLOCK_BOOTTIME)) < 0);
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 1, &msg));
	EXPECT_EQ(3, msg.deliveries);
	EXPECT_EQ(1, ack(self->le, msg.id));
}

TEST_F(delay, bad_settle)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_NACK, 0, msg.id, 1));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_NACK, FRONT, msg.id, 1));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_NACK, FRONT | DELAY, msg.id, 0));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_ACK, DELAY, msg.id, 0));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_REJECT, DELAY, msg.id, 1));
	EXPECT_EQ(-EINVAL, settle_delayed(self->le, MPMCQ_SETTLE_TOUCH, 0, msg.id, 1));
	EXPECT_EQ(1, info_of(self->le).held);
	EXPECT_EQ(1, ack(self->le, msg.id));
}

/* Twice as long each time, up to the limit; then dead, at once. */
TEST(retries)
{
	static const __u32 least[] = { 40, 80, 100 };
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .retry_ms = 40, .retry_max_ms = 100, .max_deliveries = 4);
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;
	long long since;
	size_t i;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	for (i = 0; i < ARRAY_SIZE(least); i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
		EXPECT_EQ(i + 1, msg.deliveries);
		since = now_ns(CLOCK_BOOTTIME);
		ASSERT_EQ(1, nack(le, msg.id));
		EXPECT_LE(least[i], readable_after(le, since)) TH_LOG("retry %zu", i);
	}
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	ASSERT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(0, parked(fd));
	EXPECT_EQ(1, info_of(fd).dead);
	close(le);
	close(fd);
}

/* What its reader did not fail at does not wait. */
TEST(no_retry)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .retry_ms = FOR_EVER, .lease_ms = 50);
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, FRONT, &msg.id, 1, NULL));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, UNTRIED, &msg.id, 1, NULL));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, settle_delayed(le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 0));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	/* Its deadline passes; and its file ends. */
	EXPECT_LE(0, readable_after(fd, 0));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	close(le);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	/* But a plain NACK does. */
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 2, &msg));
	EXPECT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(1, parked(fd));
	close(le);
	close(fd);
}

/* A retry_ms that is doubled too often stays at the limit. */
TEST(retry_overflow)
{
	int i, fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			       .retry_ms = 1U << 31);
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	for (i = 0; i < 70; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
		EXPECT_EQ(1, settle_delayed(le, MPMCQ_SETTLE_NACK, DELAY, msg.id, 0));
	}
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(71, msg.deliveries);
	EXPECT_EQ(1, nack(le, msg.id));
	usleep(20000);
	EXPECT_EQ(1, parked(fd));
	EXPECT_EQ(0, poll_now(fd) & POLLIN);
	close(le);
	close(fd);
}

/* The end waits for what is parked. */
TEST_F(delay, end)
{
	int blocking = attach(self->fd, O_RDONLY, 0, 0);
	unsigned char buf[LEN + 1];
	struct call call;

	ASSERT_LE(0, blocking);
	ASSERT_EQ(1, put_one(self->pk, 100, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(0, poll_now(self->fd) & (POLLIN | POLLHUP));
	EXPECT_EQ(-EAGAIN, take_msg(self->fd, LEN, 0));
	ASSERT_EQ(0, start_call(&call, take, blocking, buf, LEN + 1));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_EQ(0, take(blocking, buf, LEN));
	EXPECT_EQ(-EPIPE, put_one(self->pk, 1, 2));
	close(blocking);
}

/* Unless all is due: what is parked, and what a reader gives back then. */
TEST_F(delay, end_due)
{
	unsigned char buf[LEN + 1];
	struct mpmcq_msg msg;

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 0));
	ASSERT_EQ(3, put_delayed(self->pk, (__u32[]){ FOR_EVER, 50000, FOR_EVER }, 3, 1));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 0, &msg));
	/* Also if it is closed already. */
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(3, parked(self->fd));
	ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	EXPECT_TRUE(come_in_order(self->fd, (int[]){ 2, 1, 3 }, 3));
	EXPECT_EQ(1, settle_delayed(self->le, MPMCQ_SETTLE_NACK, DELAY, msg.id, FOR_EVER));
	EXPECT_EQ(0, parked(self->fd));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 0));
	EXPECT_EQ(0, take(self->fd, buf, LEN));

	/* Once it is open there are delays again; and after a close that does not say so. */
	ASSERT_EQ(0, reopen_queue(self->fd));
	ASSERT_EQ(1, put_one(self->pk, FOR_EVER, 1));
	usleep(10000);
	EXPECT_EQ(1, parked(self->fd));
	ASSERT_EQ(0, close_queue(self->fd));
	usleep(10000);
	EXPECT_EQ(1, parked(self->fd));
}

/* What is parked has its slot, and is dropped for nobody. */
TEST(not_dropped)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .flags = MPMCQ_DELAY | MPMCQ_DROP_OLDEST);
	int pk = attach(fd, O_RDWR | O_NONBLOCK, PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(1, put_one(pk, FOR_EVER, 0));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 2));
	EXPECT_EQ(1, info_of(fd).dropped);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 2));
	ASSERT_EQ(1, put_one(pk, FOR_EVER, 3));
	EXPECT_EQ(-EAGAIN, put_msg(fd, LEN, 4));
	EXPECT_EQ(0, poll_now(fd) & POLLOUT);
	EXPECT_EQ(1, info_of(fd).dropped);
	EXPECT_EQ(2, parked(fd));
	close(pk);
	close(fd);
}

/* Never early; how late depends on the machine. */
TEST(exact)
{
	enum { MESSAGES = 64 };
	int i, fd = make_queue(.capacity = MESSAGES, .msg_size = 64, .flags = MPMCQ_DELAY,
			       .open_flags = O_RDWR);
	int pk = attach(fd, O_RDWR, PACKED, 0);
	long long sent[MESSAGES], late, latest = 0;
	unsigned char buf[LEN];

	ASSERT_LE(0, pk);
	for (i = 0; i < MESSAGES; i++) {
		sent[i] = now_ns(CLOCK_BOOTTIME);
		ASSERT_EQ(1, put_one(pk, 100 + i, i));
	}
	for (i = 0; i < MESSAGES; i++) {
		ASSERT_EQ(LEN, take(fd, buf, LEN));
		late = now_ns(CLOCK_BOOTTIME) - sent[i] - (100 + i) * 1000000LL;
		EXPECT_LE(0, late) TH_LOG("message %d", i);
		EXPECT_TRUE(is_filled(buf, LEN, i));
		latest = late > latest ? late : latest;
	}
	TH_LOG("late by %lld us at most", latest / 1000);
	close(pk);
	close(fd);
}

/* All come, in order, when all are due at once. */
TEST(many)
{
	enum { MESSAGES = 1 << 16, BATCH = 64 };
	int i, n, got, fd = make_queue(.capacity = MESSAGES, .msg_size = 8, .flags = MPMCQ_DELAY,
				       .open_flags = O_RDWR);
	int pk = attach(fd, O_RDWR, PACKED, 0), space = space_of(8);
	unsigned char buf[BATCH * MPMCQ_MSG_SPACE(8)];
	__u32 delay_ms = FOR_EVER;
	__u64 number;

	ASSERT_LE(0, pk);
	for (n = 0; n < MESSAGES; n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			pack(buf + i * space, 8, 0);
			memcpy(buf + i * space + offsetof(struct mpmcq_msg, delay_ms), &delay_ms,
			       sizeof(delay_ms));
			number = n + i;
			memcpy(buf + i * space + sizeof(struct mpmcq_msg), &number, 8);
		}
		/* A write sends as many as there is half of the room for at a time. */
		for (got = 0; got < BATCH * space; got += i) {
			i = put(pk, buf + got, BATCH * space - got);
			ASSERT_LT(0, i);
		}
	}
	EXPECT_EQ(MESSAGES, parked(fd));
	ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	for (n = 0; n < MESSAGES; n++) {
		ASSERT_EQ(8, take(fd, &number, 8));
		ASSERT_EQ(n, number);
	}
	EXPECT_EQ(0, take(fd, &number, 8));
	close(pk);
	close(fd);
}

/* A queue goes with what is parked in it, and with a timer that is about to go off. */
TEST(goes_with_what_is_parked)
{
	int i, fd, pk;

	for (i = 0; i < 200; i++) {
		fd = make_queue(.capacity = CAPACITY, .msg_size = 64, .flags = MPMCQ_DELAY,
				.open_flags = O_RDWR | O_NONBLOCK);
		pk = attach(fd, O_RDWR | O_NONBLOCK, PACKED, 0);
		ASSERT_LE(0, pk);
		ASSERT_EQ(4, put_delayed(pk, (__u32[]){ 1, 2, 3, FOR_EVER }, 4, 0));
		usleep(i % 8 * 500);
		close(pk);
		close(fd);
	}
}

TEST_HARNESS_MAIN
