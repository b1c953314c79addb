// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closing a queue: nobody writes any more, what is there is read, and then there
 * is an end.
 */

#include <sys/select.h>

#include "own_test.h"
#include "uring_test.h"

#define MANY	32

static unsigned char large[MSG_SIZE_MAX];

/* A queue of one's own, on which @fd waits and @nb does not; and a file for either way. */
FIXTURE(close)
{
	int fd;
	int nb;
	int reader;
	int writer;
	int capacity;
};

FIXTURE_VARIANT(close)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(close, shortest)
{
	.capacity = 2,
};

FIXTURE_VARIANT_ADD(close, usual)
{
	.capacity = 16,
};

FIXTURE_SETUP(close)
{
	self->capacity = variant->capacity;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	self->reader = attach(self->fd, O_RDONLY | O_NONBLOCK, 0, 0);
	self->writer = attach(self->fd, O_WRONLY | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->nb);
	ASSERT_LE(0, self->reader);
	ASSERT_LE(0, self->writer);
}

/* Reopened, the queue is as it was. */
FIXTURE_TEARDOWN(close)
{
	EXPECT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(0, info_of(self->fd).closed);
	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(0, info_of(self->fd).dead);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	close(self->writer);
	close(self->reader);
	close(self->nb);
	close(self->fd);
}

/* Without a signal: SIGPIPE would end the test. */
TEST_F(close, writes_fail)
{
	int pk = attach(self->fd, O_WRONLY, PACKED, 0);
	struct iovec iov = { large, LEN };

	ASSERT_LE(0, pk);
	EXPECT_EQ(0, info_of(self->fd).closed);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(1, info_of(self->fd).closed);
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(-EPIPE, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(-EPIPE, put_packed(pk, 2, LEN, 0));
	EXPECT_EQ(-EPIPE, result(writev(self->fd, &iov, 1)));
	EXPECT_EQ(-EPIPE, result(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, depth(self->fd));
	close(pk);
}

TEST_F(close, writes_to_the_full_queue_fail)
{
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(-EPIPE, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
}

TEST_F(close, only_by_writers)
{
	EXPECT_EQ(-EBADF, close_queue(self->reader));
	EXPECT_EQ(0, info_of(self->fd).closed);
	EXPECT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EBADF, reopen_queue(self->reader));
	EXPECT_EQ(1, info_of(self->reader).closed);
	EXPECT_EQ(0, reopen_queue(self->writer));
	EXPECT_EQ(0, info_of(self->reader).closed);
	EXPECT_EQ(0, reopen_queue(self->writer));
	EXPECT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
}

TEST_F(close, argument)
{
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, 2)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, large)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, -1UL)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, 1UL << 32)));
	EXPECT_EQ(0, info_of(self->fd).closed);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, 1)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, large)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, 1UL << 32)));
	EXPECT_EQ(1, info_of(self->fd).closed);
}

TEST_F(close, drained_then_ended)
{
	int i, pk = attach(self->fd, O_RDONLY, PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(self->capacity, depth(self->fd));
	for (i = 0; i < self->capacity - 1; i++)
		EXPECT_EQ(LEN, take_msg(i % 2 ? self->fd : self->reader, LEN, i));
	EXPECT_EQ(-EMSGSIZE, take(self->fd, large, LEN - 1));
	EXPECT_EQ(1, take_packed(pk, 5, LEN, i, NULL));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, take(self->fd, large, LEN));
		EXPECT_EQ(0, take(self->reader, large, 1));
		EXPECT_EQ(0, take(pk, large, 100));
		EXPECT_EQ(0, take(pk, large, 1));
	}
	EXPECT_TRUE(is_junk(large, 1));
	EXPECT_EQ(0, next_len(self->fd));
	close(pk);
}

TEST_F(close, wakes_all_readers)
{
	static unsigned char buf[MANY][LEN];
	struct call call[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
	ASSERT_EQ(0, close_queue(self->writer));
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, finish_call(&call[i]));
		EXPECT_TRUE(is_junk(buf[i], LEN));
	}
}

TEST_F(close, wakes_all_writers)
{
	struct call call[MANY];
	int i, pk = attach(self->fd, O_WRONLY, PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	pack(large, LEN, 99);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, i % 2 ? pk : self->fd, large,
					   space_of(LEN)));
	ASSERT_EQ(0, close_queue(self->nb));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(-EPIPE, finish_call(&call[i]));
	for (i = 0; i < self->capacity; i++)
		EXPECT_EQ(LEN, take_msg(self->fd, LEN, i));
	EXPECT_EQ(0, take(self->fd, large, LEN));
	close(pk);
}

/* More readers than messages: the end comes to those who got none. */
TEST_F(close, some_get_a_message)
{
	static unsigned char buf[MANY][LEN];
	struct call call[MANY];
	int i, n = 0;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < MANY; i++) {
		int ret = finish_call(&call[i]);

		EXPECT_TRUE(!ret || ret == LEN) TH_LOG("%d", ret);
		n += ret == LEN;
	}
	EXPECT_EQ(2, n);
}

/* What is held may come back, so that is waited for. */
TEST_F(close, waits_for_leases)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0), way, i;
	unsigned char buf[3][LEN];
	struct mpmcq_msg msg;
	struct call call[3];

	ASSERT_LE(0, le);
	for (way = 0; way < 2; way++) {
		int got = 0;

		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
		ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
		ASSERT_EQ(0, close_queue(self->fd));
		EXPECT_EQ(-EAGAIN, take(self->reader, large, LEN));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
		EXPECT_EQ(1, way ? nack(le, msg.id) : ack(le, msg.id));
		for (i = 0; i < 3; i++)
			got += finish_call(&call[i]);
		EXPECT_EQ(way ? LEN : 0, got);
		EXPECT_EQ(0, take(self->reader, large, LEN));
		ASSERT_EQ(0, reopen_queue(self->fd));
	}
	close(le);
}

/* It may be the worker's death that brings it back. */
TEST_F(close, waits_for_a_dead_worker)
{
	struct call call;
	pid_t pid = fork();
	int le;

	ASSERT_LE(0, pid);
	if (!pid) {
		le = attach(self->fd, O_RDONLY, LEASE, 0);
		take(le, large, LEN);
		pause();
	}
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_TRUE(comes_true(info_of(self->fd).leased == 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	EXPECT_EQ(0, take(self->fd, large, LEN));
}

/* Rejected ones are dead, and not waited for. */
TEST_F(close, dead_are_not_waited_for)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	int dd = attach(self->fd, O_RDONLY | O_NONBLOCK, DEAD, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_LE(0, dd);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, close_queue(self->fd));
	/* Not only are there dead ones to come, there is one to be read, too. */
	EXPECT_EQ(-EAGAIN, take(dd, large, LEN));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(-EAGAIN, take(dd, large, LEN));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(POLLHUP, poll_now(self->reader));
	EXPECT_EQ(READABLE, poll_now(dd));
	EXPECT_EQ(LEN, take_msg(dd, LEN, 1));
	EXPECT_EQ(POLLHUP, poll_now(dd));
	EXPECT_EQ(0, take(dd, large, LEN));
	close(dd);
	close(le);
}

TEST_F(close, wakes_readers_of_the_dead)
{
	int dw = attach(self->fd, O_RDONLY, DEAD, 0);
	struct call call[4];
	int i;

	ASSERT_LE(0, dw);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, dw, large, LEN));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, finish_call(&call[i]));
	ASSERT_EQ(0, reopen_queue(self->fd));

	/* As long as there is something else, it may die. */
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, dw, large, LEN));
	ASSERT_EQ(0, close_queue(self->fd));
	wait_all_asleep(call, 4, SYS_read);
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, finish_call(&call[i]));
	close(dw);
}

/* Who holds messages cannot wait for himself. */
TEST_F(close, holder_would_wait)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0), flags;
	struct iovec iov = { large, 100 };
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	flags = fcntl(le, F_GETFL);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(-EDEADLK, take(le, large, 100));
	EXPECT_EQ(-EDEADLK, take(le, large, 1));
	EXPECT_EQ(0, take(le, large, 0));
	/* It is no use to poll, which is what io_uring does after EAGAIN. */
	EXPECT_EQ(-EDEADLK, result(preadv2(le, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(0, fcntl(le, F_SETFL, flags | O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, take(le, large, 100));
	ASSERT_EQ(0, fcntl(le, F_SETFL, flags));
	EXPECT_EQ(1, info_of(le).held);
	/* What it gives back it may read again. */
	EXPECT_EQ(1, nack(le, msg.id));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(-EDEADLK, take(le, large, 100));
	EXPECT_EQ(1, ack(le, msg.id));
	EXPECT_EQ(0, take(le, large, 100));
	close(le);
}

/* Also if others hold some as well; one who holds none waits for all of them. */
TEST_F(close, holders_would_wait)
{
	int one = attach(self->fd, O_RDONLY, LEASE | PACKED, 1);
	int two = attach(self->fd, O_RDONLY, LEASE | PACKED, 2);
	struct call call;

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(1, take_packed(one, 1, LEN, 1, NULL));
	ASSERT_EQ(1, take_packed(two, 1, LEN, 2, NULL));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-ENOBUFS, take(one, large, 100));
	EXPECT_EQ(-EDEADLK, take(two, large, 100));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(1, ack_all(one));
	EXPECT_EQ(-EDEADLK, take(two, large + LEN, 100));
	wait_asleep(call.tid, SYS_read);
	EXPECT_EQ(1, ack_all(two));
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(0, take(one, large, 100));
	close(one);
	close(two);
}

/* Nor go on waiting for himself. */
TEST_F(close, holder_waits_already)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, 100));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EDEADLK, finish_call(&call));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(0, take(le, large, 100));
	close(le);
}

/* One at a time there is nothing that the reader holds when it waits. */
TEST_F(close, one_at_a_time)
{
	int one = attach(self->fd, O_RDONLY, LEASE, 0), two = attach(self->fd, O_RDONLY, LEASE, 0);
	struct call call;

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(LEN, take_msg(one, LEN, 1));
	ASSERT_EQ(LEN, take_msg(two, LEN, 2));
	ASSERT_EQ(0, close_queue(self->fd));
	/* The one waits for what the other holds. */
	ASSERT_EQ(0, start_blocked(&call, take, one, large, LEN));
	EXPECT_EQ(0, take(two, large + LEN, LEN));
	EXPECT_EQ(0, finish_call(&call));
	close(one);
	close(two);
}

TEST_F(close, poll)
{
	int i, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(0, poll_now(self->writer));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(WRITABLE, poll_now(self->writer));
	EXPECT_EQ(READABLE, poll_now(self->reader));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	for (i = 0; i < self->capacity - 1; i++)
		ASSERT_EQ(LEN, take_msg(self->fd, LEN, i));
	ASSERT_EQ(1, take_packed(le, 1, LEN, i, NULL));
	EXPECT_EQ(WRITABLE, poll_now(self->writer));
	EXPECT_EQ(0, poll_now(self->reader));
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(WRITABLE, poll_now(self->writer));
	EXPECT_EQ(POLLHUP, poll_now(self->reader));
	EXPECT_EQ(POLLHUP | WRITABLE, poll_now(self->fd));
	ASSERT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(WRITABLE, poll_now(self->writer));
	EXPECT_EQ(0, poll_now(self->reader));
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	close(le);
}

static ssize_t wait_event(int ep, void *buf, size_t len)
{
	struct epoll_event event;
	int ret = result(epoll_pwait(ep, &event, 1, -1, NULL));

	return ret < 0 ? ret : (ssize_t)event.events;
}

TEST_F(close, wakes_pollers)
{
	int dw = attach(self->fd, O_RDONLY, DEAD, 0);
	struct call call[4];

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(0, start_call(&call[0], poll_out, self->writer, NULL, 0));
	wait_asleep(call[0].tid, SYS_ppoll);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(POLLOUT, finish_call(&call[0]));
	ASSERT_EQ(self->capacity, take_all(self->nb));
	ASSERT_EQ(0, reopen_queue(self->fd));

	ASSERT_EQ(0, start_call(&call[0], poll_in, self->reader, NULL, 0));
	ASSERT_EQ(0, start_call(&call[1], poll_in, self->fd, NULL, 0));
	ASSERT_EQ(0, start_call(&call[2], select_in, self->reader, NULL, 0));
	wait_asleep(call[0].tid, SYS_ppoll);
	wait_asleep(call[1].tid, SYS_ppoll);
	wait_asleep(call[2].tid, SYS_pselect6);
	ASSERT_EQ(0, start_call(&call[3], poll_in, dw, NULL, 0));
	wait_asleep(call[3].tid, SYS_ppoll);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(POLLHUP, finish_call(&call[0]));
	EXPECT_EQ(POLLHUP, finish_call(&call[1]));
	EXPECT_EQ(1, finish_call(&call[2]));
	EXPECT_EQ(POLLHUP, finish_call(&call[3]));
	close(dw);
}

/* The end comes when the last lease does, and wakes pollers then. */
TEST_F(close, last_ack_wakes_pollers)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	int ep = watch(self->reader, EPOLLIN | EPOLLET);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_LE(0, ep);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, start_call(&call, poll_in, self->reader, NULL, 0));
	wait_asleep(call.tid, SYS_ppoll);
	/* There may have been an edge, but there is nothing to tell yet. */
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(POLLHUP, finish_call(&call));
	EXPECT_EQ(EPOLLHUP, event_now(ep));
	EXPECT_EQ(0, event_now(ep));
	close(ep);
	close(le);
}

/* And so does the last message that is read. */
TEST_F(close, last_read_wakes_pollers)
{
	int ep = watch(self->reader, EPOLLIN | EPOLLET);
	int out = watch(self->writer, EPOLLOUT | EPOLLET);

	ASSERT_LE(0, ep);
	ASSERT_LE(0, out);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	event_now(ep);
	event_now(out);
	EXPECT_EQ(0, event_now(out));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(EPOLLOUT, event_now(out));
	ASSERT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(EPOLLHUP, event_now(ep));
	close(ep);
	close(out);
}

/* Before the last one, an ACK has nothing to tell those who poll for messages. */
TEST_F(close, acks_before_the_last_wake_no_pollers)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	int ep = watch(self->nb, EPOLLIN);
	long before, i, n = self->capacity;
	struct mpmcq_msg msg[16];
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_LE(0, ep);
	for (i = 0; i < n; i++) {
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg[i]));
	}
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, start_call(&call, wait_event, ep, NULL, 0));
	wait_asleep(call.tid, SYS_epoll_pwait);
	before = sleeps_of(call.tid);
	ASSERT_LT(0, before);
	for (i = 0; i < n - 1; i++) {
		ASSERT_EQ(1, ack(le, msg[i].id));
		usleep(2000);
	}
	EXPECT_EQ(before, sleeps_of(call.tid));
	EXPECT_EQ(1, ack(le, msg[n - 1].id));
	EXPECT_EQ(EPOLLHUP, finish_call(&call));
	close(ep);
	close(le);
}

TEST_F(close, level_triggered)
{
	int ep = watch(self->reader, EPOLLIN);

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(EPOLLHUP, event_now(ep));
	EXPECT_EQ(EPOLLHUP, event_now(ep));
	ASSERT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	close(ep);
}

TEST_F(close, reopen)
{
	struct call call;

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(LEN, put_msg(self->nb, LEN, 2));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 2));
}

static int next_sigio(void)
{
	const struct timespec now = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return result(sigtimedwait(&set, NULL, &now));
}

TEST_F(close, owners_get_sigio)
{
	int *const files[] = { &self->reader, &self->writer };
	int i, fd;

	EXPECT_EQ(-EAGAIN, next_sigio());
	for (i = 0; i < 2; i++) {
		fd = *files[i];
		ASSERT_EQ(0, fcntl(fd, F_SETOWN, getpid()));
		ASSERT_EQ(0, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
		ASSERT_EQ(0, close_queue(self->fd));
		EXPECT_EQ(SIGIO, next_sigio());
		ASSERT_EQ(0, fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC));
		ASSERT_EQ(0, reopen_queue(self->fd));
		next_sigio();
	}
}

TEST_F(close, uring)
{
	struct io_uring ring;
	int id, i;

	if (!ring_init(_metadata, &ring))
		return;
	for (i = 0; i < 4; i++)
		prep_read(&ring, self->fd, large + i * LEN, LEN, i);
	ASSERT_EQ(4, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, done(&ring, &id));
	prep_write(&ring, self->fd, large, LEN, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EPIPE, done(&ring, &id));
	ASSERT_EQ(0, reopen_queue(self->fd));

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	for (i = 0; i < 4; i++)
		prep_write(&ring, self->fd, large, LEN, i);
	ASSERT_EQ(4, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(-EPIPE, done(&ring, &id));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	io_uring_queue_exit(&ring);
}

/*
 * A read does not wait for the end of messages that its own open file holds, by io_uring
 * either.  If it waits when the queue is closed, only some kernels tell it.
 */
TEST_F(close, uring_holder)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	prep_read(&ring, le, large, 100, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(0, close_queue(self->fd));
	if (retries_woken(&ring))
		EXPECT_EQ(-EDEADLK, done(&ring, &id));
	prep_read(&ring, le, large, 100, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EDEADLK, done(&ring, &id));
	EXPECT_EQ(2, id);
	EXPECT_EQ(1, ack_all(le));
	if (!retries_woken(&ring)) {
		EXPECT_EQ(0, done(&ring, &id));
		EXPECT_EQ(1, id);
	}
	prep_read(&ring, le, large, 100, 3);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(0, done(&ring, &id));
	io_uring_queue_exit(&ring);
	close(le);
}

/* An AUTO_CLOSE queue with a name, so that it can be opened again after it was closed. */
FIXTURE(auto_close)
{
	char name[32];
};

FIXTURE_SETUP(auto_close)
{
	snprintf(self->name, sizeof(self->name), "test-%d", getpid());
	ASSERT_EQ(0, make_named(self->name, .capacity = 4, .msg_size = 64,
				.flags = MPMCQ_AUTO_CLOSE, .mode = 0600))
		TH_LOG("is there an mpmcqfs at " MOUNT "?");
}

FIXTURE_TEARDOWN(auto_close)
{
	EXPECT_EQ(0, remove_named(self->name));
}

TEST_F(auto_close, last_writer)
{
	int fd = open_named(self->name, O_RDWR), reader, writer, twin;
	struct call call;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MPMCQ_AUTO_CLOSE, info_of(fd).flags);
	reader = attach(fd, O_RDONLY, 0, 0);
	writer = open_named(self->name, O_WRONLY);
	twin = dup(writer);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, twin);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	close(writer);
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	ASSERT_EQ(LEN, put_msg(twin, LEN, 2));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 2));
	ASSERT_EQ(0, start_blocked(&call, take, reader, large, LEN));
	close(twin);
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(POLLHUP, poll_now(reader));

	/* It stays closed until somebody opens it again. */
	writer = open_named(self->name, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(-EPIPE, put_msg(writer, LEN, 3));
	ASSERT_EQ(0, reopen_queue(writer));
	EXPECT_EQ(LEN, put_msg(writer, LEN, 3));
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 3));
	EXPECT_EQ(0, take(reader, large, LEN));
	close(reader);
}

/* As long as there was no writer, readers wait for the first. */
TEST_F(auto_close, no_writer_yet)
{
	int reader = open_named(self->name, O_RDONLY), writer;

	ASSERT_LE(0, reader);
	close(attach(reader, O_RDONLY, 0, 0));
	close(open_named(self->name, O_RDONLY));
	EXPECT_EQ(0, info_of(reader).closed);
	writer = open_named(self->name, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(0, info_of(reader).closed);
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	close(reader);
}

/* A queue without its name closes alone.  The queue that has the name now stays open. */
TEST_F(auto_close, name_of_another)
{
	int writer = open_named(self->name, O_WRONLY), reader = open_named(self->name, O_RDONLY);
	int other;

	ASSERT_LE(0, writer);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, remove_named(self->name));
	ASSERT_EQ(0, make_named(self->name, .capacity = 4, .msg_size = 64,
				.flags = MPMCQ_AUTO_CLOSE, .mode = 0600));
	other = open_named(self->name, O_RDONLY);
	ASSERT_LE(0, other);
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(0, info_of(other).closed);
	close(other);
	close(reader);
}

/* The last writer closes the queue also if nothing else has it open. */
TEST_F(auto_close, unwatched)
{
	int fd = open_named(self->name, O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	fd = open_named(self->name, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, info_of(fd).closed);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(0, take(fd, large, LEN));
	close(fd);
}

TEST_F(auto_close, killed_writer)
{
	int fd = open_named(self->name, O_RDWR), reader;
	struct call call;
	pid_t pid;

	ASSERT_LE(0, fd);
	reader = attach(fd, O_RDONLY, 0, 0);
	pid = fork_child(put_msg(fd, LEN, 1) != LEN || pause());
	ASSERT_LE(0, pid);
	close(fd);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	ASSERT_EQ(0, start_blocked(&call, take, reader, large, LEN));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(0, finish_call(&call));
	close(reader);
}

/* Writing counts, whatever else the file is for. */
TEST_F(auto_close, files_of_other_modes)
{
	int fd = open_named(self->name, O_WRONLY), dead, reader;

	ASSERT_LE(0, fd);
	reader = open_named(self->name, O_RDONLY);
	dead = open_named(self->name, O_RDWR);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, dead);
	close(fd);
	fd = attach(dead, O_RDWR, DEAD, 0);
	ASSERT_LE(0, fd);
	close(dead);
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(reader);
}

/*
 * Writers that write until they may no more, readers that read until the end: what
 * was sent has been read, also that of the last moment.
 */
#define WRITERS	3
#define READERS	3
#define ROUNDS	60

struct traffic {
	int fd;
	int sent;
	int read;
	int readers;
};

static void *write_to_the_end(void *arg)
{
	struct traffic *all = arg;
	int ret, pk = attach(all->fd, O_WRONLY, PACKED, 0);

	for (;;) {
		ret = put(all->fd, "message", 7);
		if (ret == 7)
			__atomic_add_fetch(&all->sent, 1, __ATOMIC_SEQ_CST);
		else
			break;
		ret = put_packed(pk, 3, LEN, 0);
		if (ret > 0)
			__atomic_add_fetch(&all->sent, ret, __ATOMIC_SEQ_CST);
		else
			break;
	}
	close(pk);
	return ret == -EPIPE ? NULL : "a write failed otherwise";
}

/* One of them holds what it reads, one reads packed. */
static void *read_to_the_end(void *arg)
{
	struct traffic *all = arg;
	int me = __atomic_fetch_add(&all->readers, 1, __ATOMIC_SEQ_CST) % 3, ret, at;
	int fd = attach(all->fd, O_RDONLY, me == 0 ? LEASE : me == 1 ? PACKED : 0, 0);
	unsigned char buf[200];
	struct mpmcq_msg msg;

	while ((ret = take(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; me == 1 && at < ret; at += space_of(msg.len)) {
			memcpy(&msg, buf + at, sizeof(msg));
			__atomic_add_fetch(&all->read, 1, __ATOMIC_SEQ_CST);
		}
		if (me != 1)
			__atomic_add_fetch(&all->read, 1, __ATOMIC_SEQ_CST);
	}
	close(fd);
	return ret ? "a read failed" : NULL;
}

TEST_F_TIMEOUT(close, amid_traffic, 60)
{
	struct traffic all = { .fd = self->fd };
	pthread_t thread[WRITERS + READERS];
	int round, i, sent = 0;
	void *failure;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < WRITERS + READERS; i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, i < WRITERS ?
						    write_to_the_end : read_to_the_end, &all));
		usleep(round * 100);
		ASSERT_EQ(0, close_queue(self->writer));
		for (i = 0; i < WRITERS + READERS; i++) {
			ASSERT_EQ(0, pthread_join(thread[i], &failure));
			ASSERT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
		}
		ASSERT_EQ(all.sent, all.read);
		ASSERT_EQ(0, depth(self->fd));
		ASSERT_EQ(0, reopen_queue(self->fd));
		sent = all.sent;
	}
	EXPECT_LT(100, sent);
}

TEST_HARNESS_MAIN
