/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What carries the messages
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PACK_MESSAGES	64	/* that a packed transport moves by one call */

struct pack;

/* An open transport; made by the parent, used by the processes it forks. */
struct channel {
	int in;
	int out;
	unsigned int capacity;	/* messages it has room for */
	size_t size;		/* of a message */
	struct pack *pack;	/* of one process, see packed.c */
};

/*
 * Calls return -1 and set errno when they fail; send and receive block.  The
 * optional ones:
 * @begin: called first by each process that uses what the parent opened
 * @flush: a producer has sent all; none may stay behind
 * @finish: the producers are done, and receive is to return 0 from now on when there are
 *	no more messages; without it each consumer is sent a message to stop
 */
struct transport {
	const char *name;
	const char *text;
	int (*open)(struct channel *c, size_t size);
	int (*begin)(struct channel *c, bool producer);
	ssize_t (*send)(struct channel *c, const void *message, size_t size);
	int (*flush)(struct channel *c);
	int (*finish)(struct channel *c);
	ssize_t (*receive)(struct channel *c, void *message, size_t size);
	void (*close)(struct channel *c);
};

/* For those that are file descriptors. */
ssize_t fd_send(struct channel *c, const void *message, size_t size);
ssize_t fd_receive(struct channel *c, void *message, size_t size);
void fd_close(struct channel *c);

extern const struct transport transports[];
extern const size_t transport_count;

#endif /* TRANSPORT_H */
