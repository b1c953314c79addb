/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What carries the messages
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stddef.h>
#include <sys/types.h>

/* An open transport; made by the parent, used by the processes it forks. */
struct channel {
	int in;
	int out;
	unsigned int capacity;	/* messages it has room for */
};

/* Calls return -1 and set errno when they fail; send and receive block. */
struct transport {
	const char *name;
	const char *text;
	int (*open)(struct channel *c, size_t size);
	ssize_t (*send)(struct channel *c, const void *message, size_t size);
	ssize_t (*receive)(struct channel *c, void *message, size_t size);
	void (*close)(struct channel *c);
};

extern const struct transport transports[];
extern const size_t transport_count;

extern const char *mpmcq_device;

#endif /* TRANSPORT_H */
