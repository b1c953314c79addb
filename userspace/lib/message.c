// SPDX-License-Identifier: MIT
/*
 * One message a call, or a packed buffer
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

EXPORT ssize_t mpmcq_send(int fd, const void *message, size_t len)
{
	ssize_t ret = write(fd, message, len);

	return ret < 0 ? -errno : ret;
}

EXPORT ssize_t mpmcq_receive(int fd, void *buf, size_t size)
{
	ssize_t ret = read(fd, buf, size);

	return ret < 0 ? -errno : ret;
}

int64_t mpmcq__now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* When @timeout_ms from now will be over; negative: never. */
int64_t mpmcq__end_of(int timeout_ms)
{
	/* The clock is cut to whole milliseconds: one more, never to be too early. */
	return timeout_ms < 0 ? -1 : mpmcq__now_ms() + timeout_ms + (timeout_ms > 0);
}

/* How long poll(2) is to wait until @end: 0 if that is over, -1 for ever. */
int mpmcq__left_until(int64_t end)
{
	int64_t left = end - mpmcq__now_ms();

	if (end < 0)
		return -1;
	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : left;
}

#define TRIES_MAX	4	/* in a row, before waits that poll(2) ends too early are slowed */
#define HELD_LOOK_MS	100	/* between two looks whether a queue has been closed */

/*
 * Returns 0 when @fd may be ready, after at most @most_ms if that is not negative.  @tries is how
 * many were in vain so far: poll(2) goes by the priority of the open file, so for another message
 * it may be ready at once, again and again.
 */
static int wait_for(int fd, short events, int64_t end, int most_ms, unsigned int tries)
{
	struct pollfd poll_fd = { .fd = fd, .events = events };
	int left = mpmcq__left_until(end);
	bool is_cut = most_ms >= 0 && (left < 0 || left > most_ms);
	int ready;

	if (tries >= TRIES_MAX && left && poll(NULL, 0, 1) < 0)
		return -errno;
	ready = poll(&poll_fd, 1, is_cut ? most_ms : left);
	if (ready < 0)
		return -errno;
	return ready || is_cut ? 0 : -EAGAIN;
}

/*
 * An open file that holds messages of a closed queue would wait for itself.  A read with O_NONBLOCK
 * does not tell, and poll(2) does not end if the queue is closed meanwhile.
 */
static int wait_to_receive(int fd, int64_t end, unsigned int tries)
{
	struct mpmcq_info info = { .size = sizeof(info) };
	bool holds = !mpmcq_get_info(fd, &info) && info.held;

	if (holds && info.closed)
		return -EDEADLK;
	return wait_for(fd, POLLIN, end, holds ? HELD_LOOK_MS : -1, tries);
}

static ssize_t send_now(int fd, const struct iovec *iov)
{
	ssize_t ret = pwritev2(fd, iov, 1, -1, RWF_NOWAIT);

	return ret < 0 ? -errno : ret;
}

/* A file with leases that is not packed takes read(2) alone. */
static ssize_t receive_now(int fd, const struct iovec *iov)
{
	ssize_t ret = preadv2(fd, iov, 1, -1, RWF_NOWAIT);
	int flags;

	if (ret >= 0)
		return ret;
	if (errno != EINVAL)
		return -errno;
	flags = fcntl(fd, F_GETFL);
	return flags & O_NONBLOCK ? mpmcq_receive(fd, iov->iov_base, iov->iov_len) : -EINVAL;
}

EXPORT ssize_t mpmcq_send_timed(int fd, const void *message, size_t len, int timeout_ms)
{
	struct iovec iov = { (void *)message, len };
	int64_t end = mpmcq__end_of(timeout_ms);
	unsigned int tries = 0;
	ssize_t ret;
	int wait;

	/* The kernel returns 0 for vectors of 0 bytes, and never asks the module. */
	if (!len)
		return mpmcq_send(fd, message, len);
	while ((ret = send_now(fd, &iov)) == -EAGAIN) {
		wait = wait_for(fd, POLLOUT, end, -1, tries++);
		if (wait)
			return wait;
	}
	return ret;
}

EXPORT ssize_t mpmcq_receive_timed(int fd, void *buf, size_t size, int timeout_ms)
{
	struct iovec iov = { buf, size };
	int64_t end = mpmcq__end_of(timeout_ms);
	unsigned int tries = 0;
	ssize_t ret;
	int wait;

	while ((ret = receive_now(fd, &iov)) == -EAGAIN) {
		wait = wait_to_receive(fd, end, tries++);
		if (wait == -EDEADLK) {
			/* A message may have come before the queue was closed. */
			ret = receive_now(fd, &iov);
			return ret == -EAGAIN ? wait : ret;
		}
		if (wait)
			return wait;
	}
	return ret;
}
