// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases that end by themselves when their time is up.
 */

#include "lease_test.h"

/* A queue whose leases last @ms, with @n messages held by @le. */
static int make_timed(int ms, int n, int *le, struct mpmcq_msg *msg)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .lease_ms = ms);

	*le = put_and_hold(fd, n, msg);
	return *le < 0 ? -1 : fd;
}

TEST(deadline)
{
	struct mpmcq_msg msg[4], again;
	long before = now_ms();
	int i, le, fd = make_timed(300, 4, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(300, info_of(fd).lease_ms);
	EXPECT_EQ(1, ack(le, msg[1].id));
	ASSERT_TRUE(comes_true(depth(fd) == 3));
	EXPECT_LE(300, now_ms() - before);
	EXPECT_GT(5000, now_ms() - before);
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(0, leased(fd));
	EXPECT_EQ(-ENOENT, ack(le, msg[0].id));
	EXPECT_EQ(-ENOENT, nack(le, msg[2].id));
	EXPECT_EQ(-ENOENT, touch(le, msg[3].id));
	EXPECT_EQ(0, ack_all(le));
	for (i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		EXPECT_EQ(1, take_packed(le, 4, LEN, i, &again));
		EXPECT_EQ(2, again.deliveries);
		EXPECT_EQ(-ENOENT, ack(le, msg[i].id));
		EXPECT_EQ(1, ack(le, again.id));
	}
	close(le);
	close(fd);
}

/* The read after it acknowledges nothing, and says nothing of it. */
TEST(deadline_one_at_a_time)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .lease_ms = 20);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 1));
	ASSERT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	ASSERT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(le, large, LEN));
	EXPECT_EQ(0, leased(fd));
	close(le);
	close(fd);
}

/* In the order read, also if not all at once. */
TEST(deadline_order)
{
	struct mpmcq_msg msg;
	int i, fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			       .lease_ms = 200);
	int le = attach(fd, O_RDONLY, LEASE | PACKED, 0);

	ASSERT_LE(0, le);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		usleep(1000);
	}
	ASSERT_TRUE(comes_true(depth(fd) == 5));
	EXPECT_EQ(4, take_some(fd, 5, 0));
	close(le);
	close(fd);
}

/* Not so soon that a slow machine has not put the reader to sleep by then. */
TEST(deadline_wakes)
{
	struct mpmcq_msg msg[2];
	int ep, le, fd = make_timed(1000, 2, &le, msg);
	struct epoll_event event;
	struct call call;

	ASSERT_LE(0, fd);
	ep = watch(fd, EPOLLIN | EPOLLET);
	ASSERT_EQ(0, start_blocked(&call, take, attach(fd, O_RDONLY, 0, 0), large, LEN));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 10000));
	EXPECT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(1, take_some(fd, 1, 1));
	close(ep);
	close(le);
	close(fd);
}

/* Also the file itself that held it, and waits for more. */
TEST(deadline_wakes_the_holder)
{
	int le, fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR,
				.lease_ms = 50);
	struct mpmcq_msg msg;
	struct call call;

	le = attach(fd, O_RDONLY, LEASE | PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	ASSERT_EQ(0, start_call(&call, take, le, large, 100));
	EXPECT_EQ(space_of(LEN), finish_call(&call));
	EXPECT_EQ(space_of(LEN), unpack(large, 100, LEN, 1, &msg));
	EXPECT_EQ(2, msg.deliveries);
	EXPECT_EQ(1, ack(le, msg.id));
	close(le);
	close(fd);
}

/* Who is held up here for nearly as long as the lease lasts tries again. */
TEST(deadline_moves)
{
	struct mpmcq_msg msg[2];
	int tries, le, fd;
	long start, last, before, longest;

	for (tries = 0; tries < 10; tries++) {
		fd = make_timed(400, 2, &le, msg);
		ASSERT_LE(0, fd);
		longest = 0;
		for (start = last = now_ms(); now_ms() - start < 1000; last = now_ms()) {
			usleep(20000);
			before = now_ms();
			touch(le, msg[0].id);
			settle_all(le, MPMCQ_SETTLE_TOUCH);
			if (now_ms() - last > longest)
				longest = now_ms() - last;
		}
		if (longest < 300)
			break;
		close(le);
		close(fd);
	}
	ASSERT_GT(10, tries) TH_LOG("this machine is too slow");
	EXPECT_EQ(2, held(le));
	EXPECT_TRUE(comes_true(depth(fd) == 2));
	EXPECT_LE(399, now_ms() - before);
	EXPECT_EQ(2, take_all(fd));
	close(le);
	close(fd);
}

/* What is due first comes back first. */
TEST(deadline_order_after_touch)
{
	struct mpmcq_msg msg[3];
	int le, fd = make_timed(300, 3, &le, msg);

	ASSERT_LE(0, fd);
	usleep(20000);
	EXPECT_EQ(1, touch(le, msg[1].id));
	usleep(20000);
	EXPECT_EQ(1, touch(le, msg[0].id));
	ASSERT_TRUE(comes_true(depth(fd) == 3));
	EXPECT_EQ(2, take_some(fd, 1, 2));
	EXPECT_EQ(1, take_some(fd, 1, 1));
	EXPECT_EQ(0, take_some(fd, 1, 0));
	close(le);
	close(fd);
}

/* A touch moves the deadline of that message alone. */
TEST(deadline_of_others_stays)
{
	struct mpmcq_msg msg[2];
	int le, fd = make_timed(200, 2, &le, msg);

	ASSERT_LE(0, fd);
	while (!depth(fd)) {
		ASSERT_EQ(1, touch(le, msg[0].id)) TH_LOG("too slow, or touched in vain");
		usleep(5000);
	}
	EXPECT_EQ(1, take_some(fd, 1, 1));
	EXPECT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(0, take_some(fd, 1, 0));
	close(le);
	close(fd);
}

TEST(long_deadline)
{
	struct mpmcq_msg msg[2];
	int le, fd = make_timed(INT_MAX, 2, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(INT_MAX, info_of(fd).lease_ms);
	usleep(50000);
	EXPECT_EQ(2, held(le));
	EXPECT_EQ(1, touch(le, msg[0].id));
	EXPECT_EQ(2, ack_all(le));
	close(le);
	close(fd);
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/*
 * Deadlines do not lose precision with length, and never come early.  The timer wheel would be
 * up to an eighth late; one late message may be the machine's fault, half of them are not.
 */
TEST(deadline_is_exact)
{
	enum { QUEUES = 15, LEASE_MS = 4000, APART_MS = 37 };
	int fd[QUEUES], le[QUEUES], i;
	long end[QUEUES], late[QUEUES];
	struct mpmcq_msg msg;

	for (i = 0; i < QUEUES; i++) {
		long before;

		fd[i] = make_timed(LEASE_MS, 1, &le[i], &msg);
		ASSERT_LE(0, fd[i]);
		before = now_ns(CLOCK_BOOTTIME) / 1000;
		ASSERT_EQ(1, touch(le[i], msg.id));
		end[i] = before + LEASE_MS * 1000L;
		usleep(APART_MS * 1000);
	}
	for (i = 0; i < QUEUES; i++) {
		struct pollfd pfd = { .fd = fd[i], .events = POLLIN };

		EXPECT_EQ(1, poll(&pfd, 1, 2 * LEASE_MS));
		late[i] = now_ns(CLOCK_BOOTTIME) / 1000 - end[i];
		EXPECT_LE(0, late[i]);
		close(le[i]);
		close(fd[i]);
	}
	qsort(late, QUEUES, sizeof(*late), by_value);
	TH_LOG("late by %ld to %ld us, half of them by less than %ld", late[0], late[QUEUES - 1],
	       late[QUEUES / 2]);
	EXPECT_GT(30000, late[QUEUES / 2]);
}

/* A message that was given back before its time does not come back once more. */
TEST(deadline_after_the_end)
{
	struct mpmcq_msg msg[4];
	int i, le, fd = make_timed(200, 4, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, reject(le, msg[2].id));
	close(le);
	EXPECT_EQ(2, take_all(fd));
	EXPECT_EQ(1, purge(fd, 0));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(LEN, put_msg(fd, LEN, i));
	usleep(300000);
	EXPECT_EQ(8, depth(fd));
	EXPECT_EQ(7, take_some(fd, 8, 0));
	EXPECT_EQ(-EAGAIN, take(fd, large, LEN));
	close(fd);
}

/* Whoever is first, the deadline or the request: one of them gets it, whole. */
TEST(deadline_races)
{
	int i, acked = 0, back = 0, fd = make_queue(.capacity = 4, .msg_size = 64, .lease_ms = 4,
						    .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	for (i = 0; i < 200; i++) {
		int ret = -ENOENT;

		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		usleep(2000 + i % 40 * 250);
		if (i % 3 == 0) {
			ret = ack(le, msg.id);
		} else if (i % 3 == 1) {
			nack(le, msg.id);
		} else {
			close(le);
			le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
		}
		if (ret == 1) {
			acked++;
			ASSERT_EQ(-EAGAIN, take(fd, large, LEN));
		} else {
			back++;
			ASSERT_EQ(-ENOENT, ret);
			ASSERT_TRUE(comes_true(depth(fd) == 1));
			ASSERT_EQ(LEN, take_msg(fd, LEN, i));
			ASSERT_EQ(-EAGAIN, take(fd, large, LEN));
		}
		ASSERT_EQ(0, held(le));
		ASSERT_EQ(0, leased(fd));
	}
	EXPECT_EQ(200, acked + back);
	EXPECT_EQ(4, put_all(fd, LEN, 0));
	close(le);
	close(fd);
}

TEST_HARNESS_MAIN
