// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases of those who read by io_uring and aio.
 */

#include <linux/aio_abi.h>

#include "lease_test.h"
#include "uring_test.h"

/* Makes a read by aio, which takes the file's position; its result. */
static int aio_read(int fd, void *buf, size_t len)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
		.aio_buf = (unsigned long)buf, .aio_nbytes = len,
	}, *iocbs = &iocb;
	struct io_event event = { .res = -ENODATA };
	aio_context_t ctx = 0;
	int ret = -ENOSYS;

	if (syscall(SYS_io_setup, 1, &ctx) < 0)
		return -errno;
	if (syscall(SYS_io_submit, ctx, 1, &iocbs) < 0)
		ret = -errno;
	else if (syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL) == 1)
		ret = event.res;
	syscall(SYS_io_destroy, ctx);
	return ret;
}

/* The result of one read by io_uring, of a ring made with @setup, with flags of an entry. */
static int uring_read(struct __test_metadata *_metadata, int fd, unsigned int setup, __u8 flags)
{
	struct io_uring ring;
	int id, ret = io_uring_queue_init(8, &ring, setup);

	if (ret)
		return ret == -ENOSYS || ret == -EPERM ? NOT_DONE : ret;
	prep_read(&ring, fd, large, LEN, 1)->flags |= flags;
	EXPECT_EQ(1, io_uring_submit(&ring));
	ret = done(&ring, &id);
	io_uring_queue_exit(&ring);
	return ret;
}

/*
 * A read that acknowledges the message before is one whose caller has that message by then.
 * With io_uring and aio the caller may not have seen it.
 */
TEST_F(lease, only_read_acknowledges)
{
	static const struct {
		unsigned int setup;
		__u8 flags;
	} ways[] = { { 0, 0 }, { 0, IOSQE_ASYNC }, { IORING_SETUP_SQPOLL, 0 } };
	int i, ret, le = reader(0, 0);

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(-EINVAL, aio_read(le, large, LEN));
	EXPECT_EQ(1, held(le));
	for (i = 0; i < 3; i++) {
		ret = uring_read(_metadata, le, ways[i].setup, ways[i].flags);
		if (ret == NOT_DONE)
			SKIP(break, "no io_uring for us");
		EXPECT_EQ(-EINVAL, ret);
		EXPECT_EQ(1, held(le));
	}
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, ack_all(le));
}

/* One request that reads again and again would acknowledge what nobody has looked at. */
TEST_F(lease, multishot_read_does_not_acknowledge)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE, 0);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	io_uring_prep_provide_buffers(io_uring_get_sqe(&ring), large, 16, 4, 1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_LE(0, done(&ring, &id));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, le, NULL, 0, -1);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
	ASSERT_EQ(1, io_uring_submit(&ring));
	/* Kernels without multishot reads say the same. */
	EXPECT_EQ(-EINVAL, done(&ring, &id));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(1, take_some(self->nb, 2, 0));
	io_uring_queue_exit(&ring);
	close(le);
}

/* A registered file is a reference like any other: its leases last as long as the ring. */
TEST_F(lease, uring_fixed_file)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, io_uring_register_files(&ring, &le, 1));
	close(le);
	usleep(20000);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(1, leased(self->fd));
	io_uring_queue_exit(&ring);
	/* The kernel may put the ring's files later than this. */
	EXPECT_TRUE(comes_true(depth(self->fd) == 1));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
}

TEST_F(lease, uring_packed)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct io_uring ring;
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, le, large, sizeof(large), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 1, &msg));
	EXPECT_EQ(1, msg.deliveries);
	EXPECT_EQ(1, ack(le, msg.id));
	io_uring_queue_exit(&ring);
	close(le);
}

/* The request in flight has the file, and so has the message until that is gone. */
TEST_F(lease, uring_outlives_close)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct mpmcq_msg msg;
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	prep_read(&ring, le, large, space_of(LEN), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	close(le);
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	EXPECT_EQ(0, depth(self->fd));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 2, &msg));
	EXPECT_TRUE(comes_true(depth(self->fd) == 2));
	EXPECT_EQ(2, take_some(self->nb, 2, 1));
	io_uring_queue_exit(&ring);
}

TEST_F(lease, uring_process_killed)
{
	int fds[2], status, le;
	struct io_uring ring;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!ring_init(_metadata, &ring))
			_exit(KSFT_SKIP);
		le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
		if (take_packed(le, 1, LEN, 1, NULL) != 1)
			_exit(KSFT_FAIL);
		prep_read(&ring, le, large, sizeof(large), 1);
		if (io_uring_submit(&ring) != 1 || write(fds[1], "r", 1) != 1)
			_exit(KSFT_FAIL);
		pause();
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) == 1)
		kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(comes_true(depth(self->fd) == 1));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	close(fds[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no io_uring for us");
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

TEST_HARNESS_MAIN
