// SPDX-License-Identifier: GPL-2.0-only
/*
 * Single messages through an open file in packed mode
 *
 * Those to be sent are collected, and go PACK_MESSAGES at a time; those received come as
 * many at a time, and are handed out one by one.  A channel does one or the other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#include "packed.h"

struct pack {
	size_t room;
	size_t begin;	/* of what is neither sent nor handed out yet */
	size_t end;
	char bytes[];	/* aligned as a struct mpmcq_msg */
};

int packed_begin(struct channel *c)
{
	size_t room = PACK_MESSAGES * MPMCQ_MSG_SPACE(c->size);
	struct pack *p;

	/*
	 * There from the start, and after a fork(), which would take the pages of private
	 * memory away: see mpmcq(4) on order and missing pages.
	 */
	p = mmap(NULL, sizeof(*p) + room, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		return -1;
	p->room = room;
	c->pack = p;
	return 0;
}

int packed_flush(struct channel *c)
{
	struct pack *p = c->pack;

	while (p->begin < p->end) {
		ssize_t n;

		c->calls++;
		n = write(c->in, p->bytes + p->begin, p->end - p->begin);
		if (n < 0)
			return -1;
		p->begin += n;
	}
	p->begin = 0;
	p->end = 0;
	return 0;
}

void *packed_place(struct channel *c)
{
	return c->pack->bytes + c->pack->end + sizeof(struct mpmcq_msg);
}

ssize_t packed_send(struct channel *c, const void *message, size_t size)
{
	struct mpmcq_msg *msg = packed_place(c) - sizeof(*msg);
	struct pack *p = c->pack;

	*msg = (struct mpmcq_msg){ .len = size };
	if (message != msg + 1)
		memcpy(msg + 1, message, size);
	p->end += MPMCQ_MSG_SPACE(size);
	return p->end == p->room && packed_flush(c) < 0 ? -1 : (ssize_t)size;
}

/* Receives more, when all have been handed out. */
static ssize_t refill(struct channel *c)
{
	struct pack *p = c->pack;
	ssize_t n;

	c->calls++;
	n = read(c->out, p->bytes, p->room);
	if (n > 0) {
		p->begin = 0;
		p->end = n;
	}
	return n;
}

ssize_t packed_take(struct channel *c, const void **message)
{
	const struct mpmcq_msg *msg;
	struct pack *p = c->pack;

	if (p->begin == p->end) {
		ssize_t n = refill(c);

		if (n <= 0)
			return n;
	}
	msg = (const void *)(p->bytes + p->begin);
	if (p->end - p->begin < sizeof(*msg) || !msg->len ||
	    MPMCQ_MSG_SPACE(msg->len) > p->end - p->begin) {
		errno = EBADMSG;
		return -1;
	}
	*message = msg + 1;
	p->begin += MPMCQ_MSG_SPACE(msg->len);
	return msg->len;
}

ssize_t packed_receive(struct channel *c, void *message, size_t size)
{
	const void *taken;
	ssize_t len = packed_take(c, &taken);

	if (len > 0)
		memcpy(message, taken, (size_t)len < size ? (size_t)len : size);
	return len;
}
