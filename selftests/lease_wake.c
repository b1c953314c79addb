// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom leases wake: readers when messages come back, writers when they are acknowledged, and the
 * holder when it has room again.
 */

#include "lease_test.h"

TEST_F(lease, give_backs_wake_readers)
{
	unsigned char buf[FEW][LEN];
	struct mpmcq_msg msg[FEW];
	struct call call[FEW];
	int i, way, le;

	for (way = 0; way < 3; way++) {
		le = put_and_hold(self->fd, self->n, msg);
		ASSERT_LE(0, le);
		for (i = 0; i < self->n; i++)
			ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
		if (way == 0)
			EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_NACK));
		if (way == 1)
			EXPECT_EQ(self->n, settle(le, MPMCQ_SETTLE_NACK, ALL | FRONT, NULL, 0,
						  NULL));
		close(le);
		for (i = 0; i < self->n; i++)
			EXPECT_EQ(LEN, finish_call(&call[i]));
	}
}

TEST_F(lease, acks_wake_writers)
{
	struct mpmcq_msg msg[FEW];
	struct call call[FEW];
	int i, le, one = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, one);
	fill(large, LEN, 1);
	le = put_and_hold(self->fd, self->n, msg);
	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity - self->n, put_all(self->nb, LEN, 1));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, self->fd, large, LEN));
	EXPECT_EQ(self->n, ack_all(le));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));

	/* And by the next read. */
	ASSERT_EQ(LEN, take(one, large + 100, LEN));
	ASSERT_EQ(0, start_blocked(&call[0], put, self->fd, large, LEN));
	ASSERT_EQ(LEN, take(one, large + 100, LEN));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	EXPECT_EQ(1, ack_all(one));
	take_all(self->nb);
	close(le);
	close(one);
}

TEST_F(lease, edges)
{
	int in = watch(self->nb, EPOLLIN | EPOLLET), out = watch(self->nb, EPOLLOUT | EPOLLET);
	struct mpmcq_msg msg[FEW];
	int le = put_and_hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity - self->n, put_all(self->nb, LEN, 0));
	event_now(in);
	event_now(out);
	EXPECT_EQ(0, event_now(in));
	EXPECT_EQ(0, event_now(out));
	EXPECT_EQ(1, nack(le, msg[0].id));
	EXPECT_EQ(EPOLLIN, event_now(in));
	EXPECT_EQ(0, event_now(out));
	EXPECT_EQ(1, ack(le, msg[1].id));
	EXPECT_EQ(0, event_now(in));
	EXPECT_EQ(EPOLLOUT, event_now(out));
	close(le);
	if (self->n > 2)
		EXPECT_EQ(EPOLLIN, event_now(in));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
	close(in);
	close(out);
}

/* Nobody is told of what somebody else holds, not even the holder. */
TEST_F(lease, poll)
{
	struct mpmcq_msg msg;
	int le = hold_some(1, &msg);

	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	EXPECT_EQ(WRITABLE, poll_now(le));
	EXPECT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(le));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 0));
}

static ssize_t poll_for_message(int fd, void *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = result(ppoll(&pfd, 1, NULL, NULL));

	return ret < 0 ? ret : pfd.revents;
}

/* Takes as many as it may hold, and leaves one; the file, which reads and writes, or -1. */
static int hold_all(int fd, int n, struct mpmcq_msg *msg)
{
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, n);
	int i, got, all = 0;

	for (i = 0; i <= n; i++)
		if (put_msg(fd, LEN, i) != LEN)
			return -1;
	/* A read takes half of the room that is left. */
	while ((got = take_packed(le, n - all, LEN, all, msg + all)) > 0)
		all += got;
	return all == n ? le : -1;
}

/* An event loop that has enough in hand is not told of what it could not read. */
TEST_F(lease, full_holder_is_not_readable)
{
	int le, max = self->n - 1, out = watch(self->nb, EPOLLOUT);
	struct mpmcq_msg msg[FEW];

	ASSERT_LE(0, out);
	le = hold_all(self->nb, max, msg);
	ASSERT_LE(0, le);
	EXPECT_EQ(max == self->capacity - 1 ? 0 : WRITABLE, poll_now(le));
	EXPECT_EQ(READABLE, poll_now(self->nb) & READABLE);
	EXPECT_EQ(-ENOBUFS, take_packed(le, 1, LEN, 0, NULL));
	EXPECT_EQ(1, touch(le, msg[0].id));
	EXPECT_EQ(0, poll_now(le) & READABLE);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(READABLE, poll_now(le) & READABLE);
	EXPECT_EQ(1, take_packed(le, 1, LEN, max, NULL));
	EXPECT_EQ(0, poll_now(le) & READABLE);
	EXPECT_EQ(max, ack_all(le));
	close(le);
	close(out);
}

/* What ends a lease makes room, and that is news for who was told, or found, that there is none. */
TEST_F(lease, room_is_an_edge)
{
	static const __u32 ends[] = { MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_REJECT };
	int i, le, ep, ended, max = self->n - 1;
	struct mpmcq_msg msg[FEW];

	for (i = 0; i < 4; i++) {
		le = hold_all(self->nb, max, msg);
		ASSERT_LE(0, le);
		ep = watch(le, EPOLLIN | EPOLLET);
		ASSERT_LE(0, ep);
		EXPECT_EQ(0, event_now(ep));
		/* An edge that was told before the read found no room. */
		EXPECT_EQ(-ENOBUFS, take_packed(le, 1, LEN, 0, NULL));
		EXPECT_EQ(0, event_now(ep));
		ended = i < 3 ? settle(le, ends[i], 0, &msg[0].id, 1, NULL) : ack_all(le);
		EXPECT_EQ(i < 3 ? 1 : max, ended);
		EXPECT_EQ(EPOLLIN, event_now(ep));
		/* Told once: another acknowledgment is no news. */
		if (i < 3 && max > 1) {
			EXPECT_EQ(1, ack(le, msg[1].id));
			EXPECT_EQ(0, event_now(ep));
		}
		close(le);
		close(ep);
		take_all(self->nb);
		purge(self->fd, 0);
		ASSERT_EQ(0, depth(self->fd));
	}
}

/*
 * A put wakes one exclusive poller.  If that one's holder is full it cannot take the message, and
 * another has to be woken.
 */
TEST(full_holder_takes_no_wakeup)
{
	enum { WORKERS = 4 };
	int fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, n, le[WORKERS], ep[WORKERS];
	struct mpmcq_msg msg;

	ASSERT_LE(0, fd);
	for (i = 0; i < WORKERS; i++) {
		le[i] = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
		ep[i] = watch(le[i], EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_LE(0, ep[i]);
	}
	/* Whoever is told takes one message, and keeps it. */
	for (n = 0; n < WORKERS; n++) {
		int told = 0, took = 0;

		ASSERT_EQ(LEN, put_msg(fd, LEN, n));
		for (i = 0; i < WORKERS; i++) {
			if (!event_now(ep[i]))
				continue;
			told++;
			took += take_packed(le[i], 1, LEN, n, &msg) == 1;
		}
		EXPECT_LE(1, told);
		EXPECT_EQ(1, took);
	}
	/* All are full: nobody is told, until one has room. */
	ASSERT_EQ(LEN, put_msg(fd, LEN, n));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, event_now(ep[i]));
	EXPECT_EQ(1, ack_all(le[2]));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(i == 2 ? EPOLLIN : 0, event_now(ep[i]));
	for (i = 0; i < WORKERS; i++) {
		close(ep[i]);
		close(le[i]);
	}
	close(fd);
}

/* The same if the others were full, and told, when a message came that one of them left. */
TEST(full_holder_passes_on)
{
	int fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, le[2], ep[2];

	ASSERT_LE(0, fd);
	for (i = 0; i < 2; i++) {
		le[i] = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
		ep[i] = watch(le[i], EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_LE(0, ep[i]);
	}
	/* The first is full, and nobody has asked yet; so the put wakes it alone. */
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(1, take_packed(le[0], 1, LEN, 0, NULL));
	for (i = 0; i < 2; i++)
		event_now(ep[i]);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(0, event_now(ep[0]));
	EXPECT_EQ(EPOLLIN, event_now(ep[1]));
	for (i = 0; i < 2; i++) {
		close(ep[i]);
		close(le[i]);
	}
	close(fd);
}

/* Room of one holder is no news for others: 50 acknowledgments wake one poller, not two. */
TEST(room_is_no_news_for_others)
{
	enum { N = 50 };
	int fd = make_queue(.capacity = 128, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, before, le, other;
	struct mpmcq_msg msg;
	struct call call;

	ASSERT_LE(0, fd);
	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
	other = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
	ASSERT_LE(0, other);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(1, take_packed(other, 1, LEN, 0, NULL));
	for (i = 0; i <= N; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	ASSERT_EQ(0, start_call(&call, poll_for_message, other, NULL, 0));
	wait_asleep(call.tid, SYS_ppoll);
	before = sleeps_of(call.tid);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		EXPECT_EQ(0, poll_now(le) & READABLE);
		EXPECT_EQ(1, ack(le, msg.id));
		EXPECT_EQ(READABLE, poll_now(le) & READABLE);
		usleep(1000);
	}
	EXPECT_GT(5, sleeps_of(call.tid) - before);
	EXPECT_FALSE(call.done);
	EXPECT_EQ(1, ack_all(other));
	EXPECT_EQ(POLLIN, finish_call(&call));
	close(other);
	close(le);
	close(fd);
}

/* A task that sleeps in poll is woken by room; also by a deadline's. */
TEST_F(lease, room_wakes_pollers)
{
	int i, le, fd, max = self->n - 1;
	struct mpmcq_msg msg[FEW];
	struct call call;

	for (i = 0; i < 2; i++) {
		fd = make_queue(.capacity = self->capacity, .msg_size = 64, .lease_ms = i ? 100 : 0,
				.open_flags = O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd);
		le = hold_all(fd, max, msg);
		ASSERT_LE(0, le);
		ASSERT_EQ(0, start_call(&call, poll_for_message, le, NULL, 0));
		if (!i) {
			wait_asleep(call.tid, SYS_ppoll);
			EXPECT_EQ(1, ack(le, msg[0].id));
		}
		EXPECT_EQ(POLLIN, finish_call(&call));
		close(le);
		close(fd);
	}
}

/* While a closed queue drains only the last message home is news. */
TEST(end_wakes_once)
{
	enum { N = 64 };
	int i, le, before[2], fd = make_queue(.capacity = N, .msg_size = 64, .open_flags = O_RDWR);
	struct mpmcq_msg msg[N];
	struct call call[2];

	ASSERT_LE(0, fd);
	le = put_and_hold(fd, N, msg);
	ASSERT_LE(0, le);
	EXPECT_EQ(0, close_queue(fd));
	ASSERT_EQ(0, start_blocked(&call[0], take, fd, large, LEN));
	ASSERT_EQ(0, start_call(&call[1], poll_for_message, attach(fd, O_RDONLY, 0, 0), NULL, 0));
	wait_asleep(call[1].tid, SYS_ppoll);
	for (i = 0; i < 2; i++)
		before[i] = sleeps_of(call[i].tid);
	for (i = 0; i < N - 1; i++) {
		ASSERT_EQ(1, ack(le, msg[i].id));
		usleep(1000);
	}
	for (i = 0; i < 2; i++) {
		EXPECT_GT(3, sleeps_of(call[i].tid) - before[i]);
		EXPECT_FALSE(call[i].done);
	}
	EXPECT_EQ(1, ack(le, msg[N - 1].id));
	EXPECT_EQ(0, finish_call(&call[0]));
	EXPECT_EQ(POLLHUP, finish_call(&call[1]));
	close(call[1].fd);
	close(le);
	close(fd);
}

TEST_F(lease, as_many_as_may_be_held)
{
	int i, max, le;
	struct mpmcq_msg msg[FEW];

	for (max = 1; max < self->n; max++) {
		le = attach(self->fd, O_RDWR, LEASE | PACKED, max);
		ASSERT_LE(0, le);
		EXPECT_EQ(max, (int)info_of(le).max_held);
		for (i = 0; i < self->n; i++)
			ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(max, take_packed(le, self->n, LEN, 0, msg));
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(0, take(le, large, 0));
		EXPECT_EQ(self->n - max, depth(self->fd));
		EXPECT_EQ(1, ack(le, msg[0].id));
		EXPECT_EQ(1, take_packed(le, self->n, LEN, max, NULL));
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(self->n - max - 1, take_all(self->nb));
		/* It does not wait for a message that it may not take. */
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(max, ack_all(le));
		close(le);
	}
}

/* One after the other is possible also if only one may be held. */
enum { ALL_HELD = 4096, ALL_SIZE = 16 };

struct feed {
	int fd;
	int le;
	bool stop;
};

/* Keeps the queue full. */
static void *feed_messages(void *arg)
{
	struct feed *feed = arg;
	unsigned char *buf = malloc(64 * space_of(ALL_SIZE));
	int i;

	for (i = 0; i < 64; i++)
		pack(buf + i * space_of(ALL_SIZE), ALL_SIZE, i);
	while (!__atomic_load_n(&feed->stop, __ATOMIC_RELAXED))
		if (write(feed->fd, buf, 64 * space_of(ALL_SIZE)) < 0)
			sched_yield();
	free(buf);
	return NULL;
}

static void *keep_reading(void *arg)
{
	struct feed *feed = arg;
	unsigned char *buf = malloc(4096 * space_of(ALL_SIZE));

	while (!__atomic_load_n(&feed->stop, __ATOMIC_RELAXED))
		if (read(feed->le, buf, 4096 * space_of(ALL_SIZE)) < 0)
			sched_yield();
	free(buf);
	return NULL;
}

/* "All" is no more than a file may hold, however fast others read more through the file. */
TEST(all_is_bounded)
{
	int i, fd = make_queue(.capacity = 16384, .msg_size = ALL_SIZE, .open_flags = O_RDWR);
	struct feed feed = { .fd = attach(fd, O_WRONLY | O_NONBLOCK, PACKED, 0) };
	pthread_t feeder, reader;

	ASSERT_LE(0, fd);
	feed.le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, ALL_HELD);
	ASSERT_LE(0, feed.le);
	ASSERT_EQ(0, pthread_create(&feeder, NULL, feed_messages, &feed));
	ASSERT_EQ(0, pthread_create(&reader, NULL, keep_reading, &feed));
	for (i = 0; i < 200; i++) {
		int done = ack_all(feed.le);

		EXPECT_LE(0, done);
		EXPECT_GE(ALL_HELD, done);
		if (done < 0 || done > ALL_HELD)
			break;
		usleep(2000);
	}
	__atomic_store_n(&feed.stop, true, __ATOMIC_RELAXED);
	pthread_join(feeder, NULL);
	pthread_join(reader, NULL);
	close(feed.le);
	close(feed.fd);
	close(fd);
}

TEST_HARNESS_MAIN
