// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pipes in packet mode
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "transport.h"

/* A packet has a page of the pipe to itself. */
static int pipe_open(struct channel *c, size_t size)
{
	unsigned int room = ROOM;
	int fds[2];

	if (size > PIPE_BUF) {
		errno = EMSGSIZE;
		return -1;
	}
	if (pipe2(fds, O_DIRECT | O_CLOEXEC) < 0)
		return -1;
	c->out = fds[0];
	c->in = fds[1];
	/* Without privileges less may be had; the default always. */
	while (room > 1 && fcntl(c->in, F_SETPIPE_SZ, room * getpagesize()) < 0)
		room /= 2;
	c->capacity = fcntl(c->in, F_GETPIPE_SZ) / getpagesize();
	return 0;
}

const struct transport pipe_transport = {
	.name = "pipe",
	.text = "packet-mode pipe (O_DIRECT), F_SETPIPE_SZ as large as may be",
	.kind = KIND_PEER,
	.open = pipe_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};
