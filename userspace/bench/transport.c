// SPDX-License-Identifier: GPL-2.0-only
/*
 * The list of transports, and what those that are file descriptors have in common
 */
#define _GNU_SOURCE
#include <string.h>
#include <unistd.h>

#include "transport.h"

const struct transport *const transports[] = {
	&mpmcq_transport,
	&packed_transport,
	&lease_transport,
	&pipe_transport,
	&mqueue_transport,
	&sysv_transport,
	&seqpacket_transport,
	&dgram_transport,
	&ring_transport,
};

const size_t transport_count = sizeof(transports) / sizeof(*transports);

const struct transport *const more_transports[] = {
	&stamp_transport,
	&levels_transport,
	&delay_transport,
};

const size_t more_transport_count = sizeof(more_transports) / sizeof(*more_transports);

const struct transport *transport_find(const char *name)
{
	for (size_t i = 0; i < transport_count; i++)
		if (!strcmp(name, transports[i]->name))
			return transports[i];
	for (size_t i = 0; i < more_transport_count; i++)
		if (!strcmp(name, more_transports[i]->name))
			return more_transports[i];
	return NULL;
}

ssize_t fd_send(struct channel *c, const void *message, size_t size)
{
	c->calls++;
	return write(c->in, message, size);
}

ssize_t fd_receive(struct channel *c, void *message, size_t size)
{
	c->calls++;
	return read(c->out, message, size);
}

void fd_close(struct channel *c)
{
	close(c->in);
	if (c->out != c->in)
		close(c->out);
}
