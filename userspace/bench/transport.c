// SPDX-License-Identifier: GPL-2.0-only
/*
 * What carries the messages: our queues and what else the kernel has
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
#include <sys/resource.h>
#include <unistd.h>

#include "packed.h"
#include "queue.h"
#include "transport.h"

#define ROOM 1024

ssize_t fd_send(struct channel *c, const void *message, size_t size)
{
	return write(c->in, message, size);
}

ssize_t fd_receive(struct channel *c, void *message, size_t size)
{
	return read(c->out, message, size);
}

void fd_close(struct channel *c)
{
	close(c->in);
	if (c->out != c->in)
		close(c->out);
}

static int mpmcq_open(struct channel *c, size_t size)
{
	struct mpmcq_info info;

	c->in = open(mpmcq_device, O_RDWR | O_CLOEXEC);
	if (c->in < 0)
		return -1;
	c->out = c->in;
	if (queue_info(c->in, &info) < 0)
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

static int private_open(struct channel *c, size_t size)
{
	struct mpmcq_create create = {
		.capacity = ROOM,
		.msg_size = size,
		.open_flags = O_RDWR,
	};

	c->in = queue_create(&create);
	if (c->in < 0)
		return -1;
	c->out = c->in;
	c->capacity = ROOM;
	c->size = size;
	return 0;
}

static int private_finish(struct channel *c)
{
	return queue_close(c->in);
}

static int packed_open(struct channel *c, size_t size)
{
	if (private_open(c, size) < 0)
		return -1;
	if (queue_mode(c->in, MPMCQ_MODE_PACKED) < 0) {
		fd_close(c);
		return -1;
	}
	return 0;
}

static int packed_begin_worker(struct channel *c, bool producer)
{
	(void)producer;
	return packed_begin(c);
}

/* Messages belong to an open file, so each consumer has its own. */
static int lease_begin(struct channel *c, bool producer)
{
	if (producer)
		return 0;
	c->out = queue_attach(c->in, O_RDONLY, MPMCQ_MODE_LEASE, 1);
	return c->out < 0 ? -1 : 0;
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
	{
		.name = "mpmcq",
		.text = "this queue, capacity as loaded",
		.open = mpmcq_open,
		.send = fd_send,
		.receive = fd_receive,
		.close = fd_close,
	}, {
		.name = "packed",
		.text = "a private queue, 64 messages a call",
		.open = packed_open,
		.begin = packed_begin_worker,
		.send = packed_send,
		.flush = packed_flush,
		.finish = private_finish,
		.receive = packed_receive,
		.close = fd_close,
	}, {
		.name = "lease",
		.text = "a private queue, each read acknowledges the message before",
		.open = private_open,
		.begin = lease_begin,
		.send = fd_send,
		.finish = private_finish,
		.receive = fd_receive,
		.close = fd_close,
	}, {
		.name = "pipe",
		.text = "packet-mode pipe (O_DIRECT) of default size",
		.open = pipe_open,
		.send = fd_send,
		.receive = fd_receive,
		.close = fd_close,
	}, {
		.name = "pipe-large",
		.text = "the same, F_SETPIPE_SZ for as many messages as may be",
		.open = pipe_large_open,
		.send = fd_send,
		.receive = fd_receive,
		.close = fd_close,
	}, {
		.name = "mqueue",
		.text = "POSIX message queue, mq_maxmsg as large as may be",
		.open = mqueue_open,
		.send = mqueue_send,
		.receive = mqueue_receive,
		.close = mqueue_close,
	},
};

const size_t transport_count = sizeof(transports) / sizeof(*transports);
