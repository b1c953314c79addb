// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues of our own, by calls to the device
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "queue.h"

const char *mpmcq_device = "/dev/mpmcq";

/* A queue like @like, whose size is filled in; returns its descriptor. */
int queue_create(const struct mpmcq_create *like)
{
	struct mpmcq_create create = *like;
	int device = open(mpmcq_device, O_RDWR | O_CLOEXEC);
	int fd, error;

	if (device < 0)
		return -1;
	create.size = sizeof(create);
	fd = ioctl(device, MPMCQ_IOC_CREATE, &create);
	error = errno;
	close(device);
	errno = error;
	return fd;
}

int queue_attach(int fd, unsigned int open_flags, unsigned int modes, unsigned int max_held)
{
	struct mpmcq_attach attach = {
		.size = sizeof(attach),
		.open_flags = open_flags,
		.modes = modes,
		.max_held = max_held,
	};

	return ioctl(fd, MPMCQ_IOC_ATTACH, &attach);
}

int queue_mode(int fd, unsigned int modes)
{
	struct mpmcq_mode mode = { .size = sizeof(mode), .modes = modes };

	return ioctl(fd, MPMCQ_IOC_MODE, &mode);
}

int queue_info(int fd, struct mpmcq_info *info)
{
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	return ioctl(fd, MPMCQ_IOC_INFO, info);
}

int queue_close(int fd)
{
	return ioctl(fd, MPMCQ_IOC_CLOSE, 0);
}
