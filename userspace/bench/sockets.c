// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pairs of Unix sockets that keep messages apart
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <unistd.h>

#include "others.h"

static int open_pair(struct channel *c, int type)
{
	int fds[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	c->in = fds[0];
	c->out = fds[1];
	c->capacity = 0;	/* bytes, and what the kernel adds to a message */
	return 0;
}

static int seqpacket_open(struct channel *c, size_t size)
{
	(void)size;
	return open_pair(c, SOCK_SEQPACKET);
}

static int dgram_open(struct channel *c, size_t size)
{
	(void)size;
	return open_pair(c, SOCK_DGRAM);
}

const struct transport seqpacket_transport = {
	.name = "seqpacket",
	.text = "Unix sockets, SOCK_SEQPACKET",
	.open = seqpacket_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};

const struct transport dgram_transport = {
	.name = "dgram",
	.text = "Unix sockets, SOCK_DGRAM",
	.open = dgram_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};
