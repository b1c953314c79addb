// SPDX-License-Identifier: GPL-2.0-only
/*
 * A private queue by the shared library, to tell what that adds to a plain write and read
 */
#include <errno.h>

#include <libmpmcq.h>

#include "transport.h"

static int lib_open(struct channel *c, size_t size)
{
	return ours_open_like(c, &(struct mpmcq_create){ }, size);
}

static ssize_t lib_send(struct channel *c, const void *message, size_t size)
{
	ssize_t ret;

	c->calls++;
	ret = mpmcq_send(c->in, message, size);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

static ssize_t lib_receive(struct channel *c, void *message, size_t size)
{
	ssize_t ret;

	c->calls++;
	ret = mpmcq_receive(c->out, message, size);
	if (ret >= 0)
		return ret;
	errno = -ret;
	return -1;
}

const struct transport lib_transport = {
	.name = "lib",
	.text = "a private queue, by the shared library",
	.kind = KIND_OURS,
	.open = lib_open,
	.send = lib_send,
	.finish = ours_finish,
	.receive = lib_receive,
	.close = fd_close,
};
