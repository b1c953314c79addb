// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening a queue, and waiting for it.
 *
 * It is always opened non-blocking and waited for with poll(2), so that one piece
 * of code serves --nonblock, --timeout and waiting for ever.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "mpmcq.h"

/* What the queue is called in messages. */
const char *queue_text(void)
{
	return queue_name ? queue_name : device;
}

static void get_info(int fd, struct mpmcq_info *info)
{
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	if (ioctl(fd, MPMCQ_IOC_INFO, info) < 0)
		err(EXIT_FAILURE, "%s: not a queue", device);
}

int open_device(int flags, struct mpmcq_info *info)
{
	int fd = open(device, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(EXIT_FAILURE, "%s", device);
	if (fd <= STDERR_FILENO) {
		close(fd);	/* or what we print would go to the queue */
		errx(EXIT_FAILURE, "standard input, output or error is closed");
	}
	get_info(fd, info);
	return fd;
}

/* The rest of @name is zero already. */
void set_name(char *name, const char *from)
{
	size_t length = strlen(from);

	if (!length || length > MPMCQ_NAME_MAX)
		usage_error("the name of a queue has 1 to %d bytes: '%s'", MPMCQ_NAME_MAX, from);
	memcpy(name, from, length);
}

int open_queue(int flags, struct mpmcq_info *info)
{
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = flags | O_NONBLOCK };
	int fd, through;

	if (queue_name)
		set_name(name.name, queue_name);
	fd = open_device(flags, info);
	/* The default queue has a name too, but cannot be opened by it. */
	if (!queue_name || !strcmp(info->name, queue_name))
		return fd;

	through = fd;
	fd = ioctl(through, MPMCQ_IOC_OPEN, &name);
	if (fd < 0)
		err(EXIT_FAILURE, "%s", queue_name);
	close(through);
	get_info(fd, info);
	return fd;
}

void *allocate(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(EXIT_FAILURE, NULL);
	return p;
}

int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits, no longer than timeout_ms after @start; false when that has passed. */
bool wait_for(struct pollfd *fds, nfds_t n, int64_t start)
{
	int64_t left = -1;
	int ready;

	if (timeout_ms >= 0) {
		left = start + timeout_ms - now_ms();
		if (left <= 0)
			return false;
	}
	ready = poll(fds, n, left);
	if (ready < 0 && errno != EINTR)
		err(EXIT_FAILURE, "poll");
	return ready != 0;
}
