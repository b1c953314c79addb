// SPDX-License-Identifier: GPL-2.0-only
/*
 * O_ASYNC: a signal for every message a reader could take, and for every slot a
 * writer could fill.
 */

#include <poll.h>

#include "mpmcq_test.h"

/* Sends @pid the signal @sig, or SIGIO if that is 0, when something is up at @fd. */
static int async_on(int fd, pid_t pid, int sig)
{
	if (fcntl(fd, F_SETOWN, pid) || fcntl(fd, F_SETSIG, sig))
		return -errno;
	return result(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
}

static int async_off(int fd)
{
	return result(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_ASYNC));
}

/* From now on the signals are queued for next_signal(). */
static void block_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGIO);
	sigaddset(set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* The next signal that is queued, or -EAGAIN. */
static int next_signal(siginfo_t *info)
{
	const struct timespec now = {};
	sigset_t set;

	block_signals(&set);
	memset(info, JUNK, sizeof(*info));
	return result(sigtimedwait(&set, info, &now));
}

TEST_F(queue, reader_gets_sigio)
{
	siginfo_t info;
	sigset_t set;

	block_signals(&set);
	ASSERT_EQ(0, async_on(self->fd, getpid(), 0));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(SIGIO, next_signal(&info));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

TEST_F(queue, reader_gets_details)
{
	int i, fd = open(DEVICE, O_RDONLY);
	siginfo_t info;
	sigset_t set;

	ASSERT_LE(0, fd);
	block_signals(&set);
	ASSERT_EQ(0, async_on(fd, getpid(), SIGRTMIN));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, put_msg(self->nb, 1, i));
		EXPECT_EQ(SIGRTMIN, next_signal(&info));
		EXPECT_EQ(POLL_IN, info.si_code);
		EXPECT_EQ(POLLIN | POLLRDNORM, info.si_band);
		EXPECT_EQ(fd, info.si_fd);
		EXPECT_EQ(-EAGAIN, next_signal(&info));
	}
	/* Room is not for readers to know. */
	EXPECT_EQ(2, take_all(self->nb));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	close(fd);
}

TEST_F(queue, writer_gets_details)
{
	int i, fd = open(DEVICE, O_WRONLY);
	siginfo_t info;
	sigset_t set;

	ASSERT_LE(0, fd);
	block_signals(&set);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, async_on(fd, getpid(), SIGRTMIN));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(1, take_msg(self->nb, 1, i));
		EXPECT_EQ(SIGRTMIN, next_signal(&info));
		EXPECT_EQ(POLL_OUT, info.si_code);
		EXPECT_EQ(POLLOUT | POLLWRNORM | POLLWRBAND, info.si_band);
		EXPECT_EQ(fd, info.si_fd);
		EXPECT_EQ(-EAGAIN, next_signal(&info));
	}
	/* Messages are not for writers to know. */
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	close(fd);
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
}

TEST_F(queue, off_again)
{
	siginfo_t info;
	sigset_t set;

	block_signals(&set);
	ASSERT_EQ(0, async_on(self->fd, getpid(), 0));
	ASSERT_EQ(0, async_off(self->fd));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	ASSERT_EQ(1, take_msg(self->nb, 1, 1));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	ASSERT_EQ(0, async_on(self->fd, getpid(), 0));
	ASSERT_EQ(1, put_msg(self->nb, 1, 2));
	EXPECT_EQ(SIGIO, next_signal(&info));
	ASSERT_EQ(1, take_msg(self->nb, 1, 2));
}

/* The final close unhooks the file. */
TEST_F(queue, close_while_on)
{
	int i, fd[8];
	siginfo_t info;
	sigset_t set;

	block_signals(&set);
	for (i = 0; i < 8; i++) {
		fd[i] = open(DEVICE, i % 3);	/* O_RDONLY, O_WRONLY, O_RDWR */
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, async_on(fd[i], getpid(), SIGRTMIN));
	}
	for (i = 0; i < 8; i++)
		close(fd[i]);
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	ASSERT_EQ(1, take_msg(self->nb, 1, 1));
	EXPECT_EQ(-EAGAIN, next_signal(&info));
}

/* Every open file that asked is told. */
TEST_F(queue, many_readers)
{
	int i, fd[8];
	bool told[8] = {};
	siginfo_t info;
	sigset_t set;

	block_signals(&set);
	for (i = 0; i < 8; i++) {
		fd[i] = open(DEVICE, O_RDONLY);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, async_on(fd[i], getpid(), SIGRTMIN));
	}
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	while (next_signal(&info) == SIGRTMIN) {
		for (i = 0; i < 8; i++)
			told[i] |= info.si_fd == fd[i];
	}
	for (i = 0; i < 8; i++) {
		EXPECT_TRUE(told[i]);
		close(fd[i]);
	}
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

/* The owner of the file gets the signal, whoever opened it and set it up. */
TEST_F(queue, child_is_owner)
{
	siginfo_t info;
	sigset_t set;
	int status;
	pid_t pid;

	block_signals(&set);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(sigwaitinfo(&set, NULL) != SIGIO);
	ASSERT_EQ(0, async_on(self->fd, pid, 0));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-EAGAIN, next_signal(&info));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

TEST_HARNESS_MAIN
