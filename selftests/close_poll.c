// SPDX-License-Identifier: GPL-2.0-only
/*
 * What closing a queue tells those who wait otherwise than in a call: by poll, select, epoll, SIGIO
 * and io_uring.
 */

#include "close_test.h"
#include "uring_test.h"

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

TEST_HARNESS_MAIN
