// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unix sockets that keep messages apart
 *
 * One pair: all producers write to one end, all consumers read from the other.  The room
 * is that of the sender's buffer, in bytes of kernel memory; nothing else holds up the
 * senders of a connected pair.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport.h"

/* What the buffer is charged for a message of that length. */
static int charge(const struct channel *c, size_t size)
{
	static char message[MESSAGE_MAX];
	int bytes = 0;

	if (send(c->in, message, size, MSG_DONTWAIT) < 0 ||
	    ioctl(c->in, SIOCOUTQ, &bytes) < 0 ||
	    recv(c->out, message, size, 0) < 0)
		return -1;
	return bytes;
}

/* A message may be sent while there is a byte left; the kernel doubles what it is given. */
static int make_room(struct channel *c, size_t size)
{
	int want, have, each = charge(c, size);
	socklen_t length = sizeof(have);

	if (each <= 0)
		return -1;
	want = (long)each * ROOM / 2;
	if (setsockopt(c->in, SOL_SOCKET, SO_SNDBUFFORCE, &want, sizeof(want)) < 0 &&
	    setsockopt(c->in, SOL_SOCKET, SO_SNDBUF, &want, sizeof(want)) < 0)
		return -1;
	if (getsockopt(c->in, SOL_SOCKET, SO_SNDBUF, &have, &length) < 0)
		return -1;
	c->capacity = (have + each - 1) / each;
	return 0;
}

static int socket_open(struct channel *c, size_t size, int type)
{
	int fds[2], error;

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0)
		return -1;
	c->in = fds[0];
	c->out = fds[1];
	if (make_room(c, size) < 0) {
		error = errno;
		fd_close(c);
		errno = error;
		return -1;
	}
	return 0;
}

static int seqpacket_open(struct channel *c, size_t size)
{
	return socket_open(c, size, SOCK_SEQPACKET);
}

static int dgram_open(struct channel *c, size_t size)
{
	return socket_open(c, size, SOCK_DGRAM);
}

const struct transport seqpacket_transport = {
	.name = "seqpacket",
	.text = "Unix sockets, a pair of SOCK_SEQPACKET, SO_SNDBUF as large as may be",
	.kind = KIND_PEER,
	.open = seqpacket_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};

const struct transport dgram_transport = {
	.name = "dgram",
	.text = "Unix sockets, a pair of SOCK_DGRAM, SO_SNDBUF as large as may be",
	.kind = KIND_PEER,
	.open = dgram_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};
