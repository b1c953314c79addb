// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private queues of ours: plain, packed, leased
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>

#include "packed.h"
#include "queue.h"
#include "transport.h"

int ours_open_like(struct channel *c, const struct mpmcq_create *like, size_t size)
{
	struct mpmcq_create create = *like;

	create.capacity = create.capacity ? create.capacity : ROOM;
	create.msg_size = size;
	create.open_flags = O_RDWR;
	c->in = queue_create(&create);
	if (c->in < 0)
		return -1;
	c->out = c->in;
	c->capacity = create.capacity;
	c->size = size;
	return 0;
}

int ours_give_up(struct channel *c)
{
	int error = errno;

	fd_close(c);
	errno = error;
	return -1;
}

int ours_finish(struct channel *c)
{
	return queue_close(c->in);
}

static int ours_open(struct channel *c, size_t size)
{
	return ours_open_like(c, &(struct mpmcq_create){ }, size);
}

static int packed_open(struct channel *c, size_t size)
{
	if (ours_open(c, size) < 0)
		return -1;
	return queue_mode(c->in, MPMCQ_MODE_PACKED) < 0 ? ours_give_up(c) : 0;
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

const struct transport mpmcq_transport = {
	.name = "mpmcq",
	.text = "a private queue, plain",
	.kind = KIND_OURS,
	.open = ours_open,
	.send = fd_send,
	.finish = ours_finish,
	.receive = fd_receive,
	.close = fd_close,
};

const struct transport packed_transport = {
	.name = "packed",
	.text = "a private queue, up to 64 messages a call",
	.kind = KIND_OURS,
	.open = packed_open,
	.begin = packed_begin_worker,
	.place = packed_place,
	.send = packed_send,
	.flush = packed_flush,
	.finish = ours_finish,
	.receive = packed_receive,
	.take = packed_take,
	.close = fd_close,
};

const struct transport lease_transport = {
	.name = "lease",
	.text = "a private queue, each read acknowledges the message before",
	.kind = KIND_OURS,
	.open = ours_open,
	.begin = lease_begin,
	.send = fd_send,
	.finish = ours_finish,
	.receive = fd_receive,
	.close = fd_close,
};
