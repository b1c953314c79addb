// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kinds of queues with names: ours, and those of POSIX
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#include "queues.h"

static char reason[256];	/* of what begin() returns */

/* --- files of mpmcqfs --- */

const char *mpmcqfs_directory = "/dev/mpmcqfs";

static int directory;

static const char *mpmcqfs_begin(unsigned int queues)
{
	struct statfs fs;

	(void)queues;
	directory = open(mpmcqfs_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory >= 0 && fstatfs(directory, &fs) == 0 && fs.f_type == MPMCQFS_MAGIC)
		return NULL;
	snprintf(reason, sizeof(reason), "%s: %s (mount mpmcqfs: make load)", mpmcqfs_directory,
		 directory < 0 ? strerror(errno) : "not in mpmcqfs");
	return reason;
}

static int mpmcqfs_open(const char *name, int flags)
{
	return openat(directory, name + 1, flags | O_CLOEXEC);
}

static int mpmcqfs_create(const char *name)
{
	struct mpmcq_create create = {
		.size = sizeof(create),
		.capacity = CAPACITY,
		.msg_size = SIZE,
		.mode = 0600,
		.name = (unsigned long)(name + 1),
	};

	return ioctl(directory, MPMCQ_IOC_CREATE, &create);
}

static ssize_t mpmcqfs_send(int fd, const char *message)
{
	return write(fd, message, SIZE);
}

static ssize_t mpmcqfs_receive(int fd, char *message)
{
	return read(fd, message, SIZE);
}

static int mpmcqfs_remove(const char *name)
{
	return unlinkat(directory, name + 1, 0);
}

const struct queue_kind mpmcqfs_kind = {
	.name = "mpmcqfs",
	.text = "files of mpmcqfs",
	.limits = "max_* in /sys/module/mpmcq/parameters; size= and max= of the mount",
	.begin = mpmcqfs_begin,
	.create = mpmcqfs_create,
	.open = mpmcqfs_open,
	.send = mpmcqfs_send,
	.receive = mpmcqfs_receive,
	.remove = mpmcqfs_remove,
};

/* --- POSIX message queues --- */

#define QUEUES_MAX	"/proc/sys/fs/mqueue/queues_max"

static unsigned int queues_max;	/* as it was */

static int write_queues_max(unsigned int value)
{
	FILE *file = fopen(QUEUES_MAX, "w");
	int ret;

	if (!file)
		return -1;
	ret = fprintf(file, "%u\n", value) < 0 ? -1 : 0;
	return fclose(file) ? -1 : ret;
}

static void restore_queues_max(void)
{
	if (write_queues_max(queues_max) < 0)
		warn("%s, which was %u", QUEUES_MAX, queues_max);
}

/* The system has a limit, and this process has one, which ends with it. */
static const char *posix_begin(unsigned int queues)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	FILE *file = fopen(QUEUES_MAX, "r");
	int n;

	if (!file) {
		snprintf(reason, sizeof(reason), "%s: %s", QUEUES_MAX, strerror(errno));
		return reason;
	}
	n = fscanf(file, "%u", &queues_max);
	fclose(file);
	if (n != 1)
		return QUEUES_MAX " is no number";
	if (setrlimit(RLIMIT_MSGQUEUE, &all) < 0) {
		snprintf(reason, sizeof(reason), "cannot raise RLIMIT_MSGQUEUE: %s (run as root)",
			 strerror(errno));
		return reason;
	}
	/* Others may have as many as they are allowed now. */
	if (write_queues_max(queues_max + queues) < 0) {
		snprintf(reason, sizeof(reason), "cannot raise %s: %s (run as root)", QUEUES_MAX,
			 strerror(errno));
		return reason;
	}
	atexit(restore_queues_max);
	return NULL;
}

static int posix_create(const char *name)
{
	struct mq_attr attr = { .mq_maxmsg = CAPACITY, .mq_msgsize = SIZE };
	mqd_t mq = mq_open(name, O_RDWR | O_NONBLOCK | O_CREAT | O_EXCL, 0600, &attr);

	return mq < 0 ? -1 : mq_close(mq);
}

static int posix_open(const char *name, int flags)
{
	return mq_open(name, flags);
}

static ssize_t posix_send(int fd, const char *message)
{
	return mq_send(fd, message, SIZE, 0) < 0 ? -1 : SIZE;
}

static ssize_t posix_receive(int fd, char *message)
{
	return mq_receive(fd, message, SIZE, NULL);
}

const struct queue_kind posix_kind = {
	.name = "posix",
	.text = "POSIX message queues",
	.limits = "/proc/sys/fs/mqueue, RLIMIT_MSGQUEUE",
	.begin = posix_begin,
	.create = posix_create,
	.open = posix_open,
	.send = posix_send,
	.receive = posix_receive,
	.remove = mq_unlink,
};
