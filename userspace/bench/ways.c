// SPDX-License-Identifier: GPL-2.0-only
/*
 * What bench-exact compares: a floor, our queues, and what else the kernel has
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "transport.h"
#include "ways.h"

static int floor_open(struct channel *c, size_t size)
{
	(void)size;
	c->in = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (c->in < 0)
		return -1;
	c->out = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	if (c->out < 0) {
		close(c->in);
		return -1;
	}
	return 0;
}

static const struct transport floor_transport = {
	.name = "floor",
	.text = "no queue: write to /dev/null, read from /dev/zero",
	.open = floor_open,
	.send = fd_send,
	.receive = fd_receive,
	.close = fd_close,
};

static const char *const names[] = {
	"floor", "mpmcq", "lib", "stamp", "levels", "delay", "packed", "lease", "relay",
	"forward", "pipe", "mqueue", "sysv", "seqpacket", "dgram",
};

static const struct transport *find(const char *name)
{
	static const struct transport *const more[] = {
		&floor_transport, &lib_transport, &relay_transport, &forward_transport,
	};

	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
		if (!strcmp(name, more[i]->name))
			return more[i];
	return transport_find(name);
}

/* Fills in @ways, of which there are at most MAX_WAYS; returns how many. */
size_t ways_find(struct way *ways)
{
	size_t n = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct way way = { .name = names[i], .transport = find(names[i]) };

		if (!way.transport)
			continue;
		way.batch = strcmp(way.name, "packed") ? 0 : PACK_MESSAGES;
		way.delay_ms = way.transport == &delay_transport;
		way.zeros = way.transport == &floor_transport;
		ways[n++] = way;
	}
	return n;
}

const char *way_text(const struct way *way)
{
	return way->transport->text;
}
