// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring: what can complete at once does so in the submission; the rest
 * completes when a message or a slot is there, or is cancelled without a loss.
 */

#include <poll.h>

#include "mpmcq_test.h"
#include "uring_test.h"

#define FLIGHT		32	/* requests in flight together */

static unsigned char large[MSG_SIZE_MAX + 1];

TEST_F(queue, at_once)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	fill(large, 6, 1);
	prep_write(&ring, self->fd, large, 6, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(6, done_now(&ring, &id));
	EXPECT_EQ(1, id);
	EXPECT_EQ(1, depth(self->fd));

	prep_read(&ring, self->fd, large, self->msg_size, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(6, done_now(&ring, &id));
	EXPECT_EQ(2, id);
	EXPECT_TRUE(is_filled(large, 6, 1));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, vectors_at_once)
{
	struct iovec out[] = { { large, 2 }, { large + 2, 5 } };
	struct iovec in[] = { { large, 4 }, { large + 4, 3 } };
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	fill(large, 7, 2);
	io_uring_prep_writev(io_uring_get_sqe(&ring), self->fd, out, 2, -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(7, done_now(&ring, &id));

	memset(large, JUNK, 7);
	io_uring_prep_readv(io_uring_get_sqe(&ring), self->fd, in, 2, -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(7, done_now(&ring, &id));
	EXPECT_TRUE(is_filled(large, 7, 2));
	io_uring_queue_exit(&ring);
}

/* Memory that is registered must not be a file's, as that of variables is. */
TEST_F(queue, fixed_buffers)
{
	unsigned char *mem = mmap(NULL, 2 * MSG_SIZE_MAX, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { mem, 2 * MSG_SIZE_MAX };
	struct io_uring ring;
	int id, len = self->msg_size;

	ASSERT_NE(MAP_FAILED, mem);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	fill(mem, len, 3);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), self->fd, mem, len, -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(len, done(&ring, &id));

	memset(mem, JUNK, 2 * MSG_SIZE_MAX);
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), self->fd, mem + 1, len, -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(len, done(&ring, &id));
	EXPECT_TRUE(is_junk(mem, 1));
	EXPECT_TRUE(is_filled(mem + 1, len, 3));
	EXPECT_TRUE(is_junk(mem + 1 + len, MARGIN));
	io_uring_queue_exit(&ring);
	munmap(mem, 2 * MSG_SIZE_MAX);
}

TEST_F(queue, errors)
{
	void *none = mmap(NULL, getpagesize(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct io_uring ring;
	int id;

	ASSERT_NE(MAP_FAILED, none);
	if (!ring_init(_metadata, &ring))
		return;
	prep_write(&ring, self->fd, large, self->msg_size + 1, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EMSGSIZE, done(&ring, &id));
	prep_write(&ring, self->fd, none, 5, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EFAULT, done(&ring, &id));
	EXPECT_EQ(0, depth(self->fd));

	ASSERT_EQ(5, put_msg(self->fd, 5, 4));
	prep_read(&ring, self->fd, large, 4, 3);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EMSGSIZE, done(&ring, &id));
	io_uring_prep_read(io_uring_get_sqe(&ring), self->fd, none, 5, -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EFAULT, done(&ring, &id));
	EXPECT_EQ(5, take_msg(self->fd, 5, 4));
	io_uring_queue_exit(&ring);
	munmap(none, getpagesize());
}

/* Without RWF_NOWAIT a request may wait, even on a file with O_NONBLOCK. */
TEST_F(queue, nowait)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->fd, large, 1, 1)->rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EAGAIN, done_now(&ring, &id));

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	prep_write(&ring, self->fd, large, 1, 2)->rw_flags = RWF_NOWAIT;
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EAGAIN, done_now(&ring, &id));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, read_waits)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->fd, large, self->msg_size, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(6, put_msg(self->nb, 6, 5));
	EXPECT_EQ(6, done(&ring, &id));
	EXPECT_TRUE(is_filled(large, 6, 5));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, write_waits)
{
	struct io_uring ring;
	int i, id;

	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(self->capacity, put_all(self->nb, 2, 0));
	fill(large, 2, self->capacity);
	prep_write(&ring, self->fd, large, 2, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(2, take_msg(self->nb, 2, 0));
	EXPECT_EQ(2, done(&ring, &id));
	for (i = 1; i <= self->capacity; i++)
		ASSERT_EQ(2, take_msg(self->nb, 2, i));
	io_uring_queue_exit(&ring);
}

/* Run by a worker thread from the start. */
TEST_F(queue, worker_waits)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->fd, large, 6, 1)->flags |= IOSQE_ASYNC;
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(6, put_msg(self->nb, 6, 6));
	EXPECT_EQ(6, done(&ring, &id));
	EXPECT_TRUE(is_filled(large, 6, 6));
	io_uring_queue_exit(&ring);
}

/* The read is not tried before the write it is linked to is done. */
TEST_F(queue, linked)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	fill(large, 6, 7);
	prep_write(&ring, self->nb, large, 6, 1)->flags |= IOSQE_IO_LINK;
	prep_read(&ring, self->nb, large + 6, 6, 2);
	ASSERT_EQ(2, io_uring_submit(&ring));
	EXPECT_EQ(6, done(&ring, &id));
	EXPECT_EQ(1, id);
	EXPECT_EQ(6, done(&ring, &id));
	EXPECT_EQ(2, id);
	EXPECT_TRUE(is_filled(large + 6, 6, 7));
	io_uring_queue_exit(&ring);
}

static int cancel(struct io_uring *ring, int which, int id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_cancel64(sqe, which, 0);
	sqe->user_data = id;
	return io_uring_submit(ring);
}

TEST_F(queue, cancelled_read)
{
	struct io_uring ring;
	int i, id, res;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->fd, large, 6, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(1, cancel(&ring, 1, 2));
	for (i = 0; i < 2; i++) {
		res = done(&ring, &id);
		EXPECT_EQ(id == 1 ? -ECANCELED : 0, res);
	}
	EXPECT_TRUE(is_junk(large, 6));
	EXPECT_EQ(6, put_msg(self->fd, 6, 8));
	EXPECT_EQ(6, take_msg(self->fd, 6, 8));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, cancelled_write)
{
	struct io_uring ring;
	int i, id, res;

	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	prep_write(&ring, self->fd, large, 6, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_EQ(1, cancel(&ring, 1, 2));
	for (i = 0; i < 2; i++) {
		res = done(&ring, &id);
		EXPECT_EQ(id == 1 ? -ECANCELED : 0, res);
	}
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	io_uring_queue_exit(&ring);
}

/* Closing the ring, too, gives up a read and no message. */
TEST_F(queue, closed_ring)
{
	struct io_uring ring;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->fd, large, 6, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, killed_process)
{
	struct io_uring ring;
	int fds[2], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!ring_init(_metadata, &ring))
			_exit(KSFT_SKIP);
		prep_read(&ring, self->fd, large, 6, 1);
		if (io_uring_submit(&ring) != 1 || write(fds[1], "r", 1) != 1)
			_exit(KSFT_FAIL);
		pause();
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) == 1)
		kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no io_uring for us");
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(6, put_msg(self->fd, 6, 9));
	EXPECT_EQ(6, take_msg(self->nb, 6, 9));
	close(fds[0]);
}

TEST_F(queue, many_reads)
{
	int buf[FLIGHT];
	bool seen[FLIGHT] = {};
	struct io_uring ring;
	int i, id;

	if (!ring_init(_metadata, &ring))
		return;
	for (i = 0; i < FLIGHT; i++)
		prep_read(&ring, self->fd, &buf[i], sizeof(buf[i]), i);
	ASSERT_EQ(FLIGHT, io_uring_submit(&ring));
	for (i = 0; i < FLIGHT; i++)
		ASSERT_EQ(4, put(self->fd, &i, 4));
	for (i = 0; i < FLIGHT; i++) {
		ASSERT_EQ(4, done(&ring, &id));
		ASSERT_LE(0, buf[id]);
		ASSERT_GT(FLIGHT, buf[id]);
		EXPECT_FALSE(seen[buf[id]]) TH_LOG("message %d came twice", buf[id]);
		seen[buf[id]] = true;
	}
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, many_writes)
{
	int msg[FLIGHT], got;
	bool seen[FLIGHT] = {};
	struct io_uring ring;
	int i, id;

	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	for (i = 0; i < FLIGHT; i++) {
		msg[i] = i;
		prep_write(&ring, self->fd, &msg[i], sizeof(msg[i]), i);
	}
	ASSERT_EQ(FLIGHT, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(1, take_msg(self->fd, 1, i));
	for (i = 0; i < FLIGHT; i++) {
		ASSERT_EQ(4, take(self->fd, &got, 4));
		ASSERT_LE(0, got);
		ASSERT_GT(FLIGHT, got);
		EXPECT_FALSE(seen[got]) TH_LOG("message %d came twice", got);
		seen[got] = true;
	}
	for (i = 0; i < FLIGHT; i++)
		ASSERT_EQ(4, done(&ring, &id));
	io_uring_queue_exit(&ring);
}

TEST_F(queue, poll_once)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	io_uring_prep_poll_add(io_uring_get_sqe(&ring), self->fd, POLLOUT);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(POLLOUT, done_now(&ring, &id));

	io_uring_prep_poll_add(io_uring_get_sqe(&ring), self->fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(POLLIN, done(&ring, &id));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	io_uring_queue_exit(&ring);
}

/* One request tells of every message. */
TEST_F(queue, poll_multishot)
{
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int i, id;

	if (!ring_init(_metadata, &ring))
		return;
	io_uring_prep_poll_multishot(io_uring_get_sqe(&ring), self->fd, POLLIN);
	ASSERT_EQ(1, io_uring_submit(&ring));
	if (!has_poll_multishot(&ring)) {
		EXPECT_EQ(-EINVAL, done(&ring, &id));
		io_uring_queue_exit(&ring);
		return;
	}
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(1, put_msg(self->nb, 1, i));
		ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
		EXPECT_EQ(POLLIN, cqe->res);
		EXPECT_TRUE(cqe->flags & IORING_CQE_F_MORE);
		io_uring_cqe_seen(&ring, cqe);
		ASSERT_EQ(1, take_msg(self->nb, 1, i));
	}
	io_uring_queue_exit(&ring);
}

/* One request reads every message, each into a buffer that the kernel picks. */
TEST_F(queue, read_multishot)
{
	enum { GROUP = 1, BUFFERS = 8, ROOM = 16, LAST = 5 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int i, id;

	if (!ring_init(_metadata, &ring))
		return;
	memset(large, JUNK, BUFFERS * ROOM);
	io_uring_prep_provide_buffers(io_uring_get_sqe(&ring), large, ROOM, BUFFERS, GROUP, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_LE(0, done(&ring, &id));

	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, self->fd, NULL, 0, -1);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	ASSERT_EQ(1, io_uring_submit(&ring));
	if (!has_read_multishot(&ring)) {
		EXPECT_EQ(-EINVAL, done(&ring, &id));
		io_uring_queue_exit(&ring);
		return;
	}
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	for (i = 0; i < LAST; i++) {
		ASSERT_EQ(6, put_msg(self->nb, 6, i));
		ASSERT_EQ(0, io_uring_wait_cqe(&ring, &cqe));
		EXPECT_EQ(6, cqe->res);
		EXPECT_TRUE(cqe->flags & IORING_CQE_F_MORE);
		ASSERT_TRUE(cqe->flags & IORING_CQE_F_BUFFER);
		id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
		ASSERT_GT(BUFFERS, id);
		EXPECT_TRUE(is_filled(large + id * ROOM, 6, i));
		EXPECT_TRUE(is_junk(large + id * ROOM + 6, ROOM - 6));
		io_uring_cqe_seen(&ring, cqe);
	}
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	io_uring_queue_exit(&ring);
	EXPECT_EQ(6, put_msg(self->nb, 6, LAST));
	EXPECT_EQ(6, take_msg(self->nb, 6, LAST));
}

TEST_HARNESS_MAIN
