// SPDX-License-Identifier: GPL-2.0-only
/*
 * What carries the messages: our queue and what else the kernel has
 *
 * Where room can be asked for, it is ROOM messages, our queue's default, or
 * what the caller may have of it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#include "transport.h"

#define ROOM 1024

const char *mpmcq_device = "/dev/mpmcq";

static ssize_t fd_send(struct channel *c, const void *message, size_t size)
{
	return write(c->in, message, size);
}

static ssize_t fd_receive(struct channel *c, void *message, size_t size)
{
	return read(c->out, message, size);
}

static void fd_close(struct channel *c)
{
	close(c->in);
	if (c->out != c->in)
		close(c->out);
}

static int mpmcq_open(struct channel *c, size_t size)
{
	struct mpmcq_info info = { .size = sizeof(info) };

	c->in = open(mpmcq_device, O_RDWR | O_CLOEXEC);
	if (c->in < 0)
		return -1;
	c->out = c->in;
	if (ioctl(c->in, MPMCQ_IOC_INFO, &info) < 0)
		goto fail;
	errno = size > info.msg_size ? EMSGSIZE : info.depth ? EBUSY : 0;
	if (errno)
		goto fail;
	c->capacity = info.capacity;
	return 0;
fail:
	close(c->in);
	return -1;
}

/* A packet has a page of the pipe to itself. */
static int pipe_open(struct channel *c, size_t size)
{
	int fds[2];

	if (size > PIPE_BUF) {
		errno = EMSGSIZE;
		return -1;
	}
	if (pipe2(fds, O_DIRECT | O_CLOEXEC) < 0)
		return -1;
	c->out = fds[0];
	c->in = fds[1];
	c->capacity = fcntl(c->in, F_GETPIPE_SZ) / getpagesize();
	return 0;
}

static int pipe_large_open(struct channel *c, size_t size)
{
	unsigned int room = ROOM;

	if (pipe_open(c, size) < 0)
		return -1;
	while (fcntl(c->in, F_SETPIPE_SZ, room * getpagesize()) < 0) {
		if (errno != EPERM || room <= c->capacity) {
			fd_close(c);
			return -1;
		}
		room /= 2;
	}
	c->capacity = room;
	return 0;
}

static int mqueue_open(struct channel *c, size_t size)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr attr = { .mq_maxmsg = ROOM, .mq_msgsize = size };
	char name[32];

	/* Only root may; others get what their limit has room for. */
	setrlimit(RLIMIT_MSGQUEUE, &all);
	snprintf(name, sizeof(name), "/mpmcq-bench-%d", getpid());
	while ((c->in = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr)) < 0) {
		if ((errno != EINVAL && errno != EMFILE) || attr.mq_maxmsg == 1)
			return -1;
		attr.mq_maxmsg /= 2;
	}
	mq_unlink(name);
	c->out = c->in;
	c->capacity = attr.mq_maxmsg;
	return 0;
}

static ssize_t mqueue_send(struct channel *c, const void *message, size_t size)
{
	return mq_send(c->in, message, size, 0);
}

static ssize_t mqueue_receive(struct channel *c, void *message, size_t size)
{
	return mq_receive(c->out, message, size, NULL);
}

static void mqueue_close(struct channel *c)
{
	mq_close(c->in);
}

const struct transport transports[] = {
	{ "mpmcq", "this queue, capacity as loaded",
	  mpmcq_open, fd_send, fd_receive, fd_close },
	{ "pipe", "packet-mode pipe (O_DIRECT) of default size",
	  pipe_open, fd_send, fd_receive, fd_close },
	{ "pipe-large", "the same, F_SETPIPE_SZ for as many messages as may be",
	  pipe_large_open, fd_send, fd_receive, fd_close },
	{ "mqueue", "POSIX message queue, mq_maxmsg as large as may be",
	  mqueue_open, mqueue_send, mqueue_receive, mqueue_close },
};

const size_t transport_count = sizeof(transports) / sizeof(*transports);
