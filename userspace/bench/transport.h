/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What carries the messages
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ROOM		1024	/* messages, asked for where room can be asked for */
#define HEADROOM	8	/* bytes before a message which are the transport's to use */
#define MESSAGE_MAX	65536
#define PACK_MESSAGES	64	/* that a packed transport moves by one call */

struct mpmcq_create;
struct pack;
struct shm_ring;

/* An open transport; made by the parent, used by the processes it forks. */
struct channel {
	int in;
	int out;
	unsigned int capacity;	/* messages it has room for */
	size_t size;		/* of a message */
	unsigned long calls;	/* system calls by which this process sent and received */
	struct pack *pack;	/* of one process, see packed.c */
	struct shm_ring *ring;	/* see shm_ring.c */
};

enum kind {
	KIND_OURS,
	KIND_PEER,	/* what else the kernel has */
	KIND_MEMORY,	/* the kernel is asked to sleep and to wake only */
};

/*
 * Calls return -1 and set errno when they fail; send and receive block.  A message has
 * HEADROOM bytes before it, aligned for a long.  The optional ones:
 * @begin: called first by each process that uses what the parent opened
 * @place: where the next message to send is to be made, of @size bytes; send then gets this
 * @take: as receive, but says where the message is, which stays until the next call
 * @flush: a producer has sent all, or pauses; none may stay behind
 * @finish: the producers are done, and receive is to return 0 from now on when there are
 *	no more messages; without it each consumer is sent a message to stop
 */
struct transport {
	const char *name;
	const char *text;
	enum kind kind;
	int (*open)(struct channel *c, size_t size);
	int (*begin)(struct channel *c, bool producer);
	void *(*place)(struct channel *c);
	ssize_t (*send)(struct channel *c, const void *message, size_t size);
	int (*flush)(struct channel *c);
	int (*finish)(struct channel *c);
	ssize_t (*receive)(struct channel *c, void *message, size_t size);
	ssize_t (*take)(struct channel *c, const void **message);
	void (*close)(struct channel *c);
};

extern const struct transport mpmcq_transport, packed_transport, lease_transport;
extern const struct transport stamp_transport, levels_transport, delay_transport;
/* Of bench-exact alone. */
extern const struct transport lib_transport, relay_transport, forward_transport;
extern const struct transport pipe_transport, mqueue_transport, sysv_transport;
extern const struct transport seqpacket_transport, dgram_transport, ring_transport;

/* Those that are measured if none is named, and those that have to be named. */
extern const struct transport *const transports[], *const more_transports[];
extern const size_t transport_count, more_transport_count;

/* NULL if there is none of that name. */
const struct transport *transport_find(const char *name);

/*
 * For our own queues: one like @like, of ROOM messages if it does not say, of @size bytes, open on
 * both ends; what closes such a channel after a failure, and keeps errno; what closes the queue.
 */
int ours_open_like(struct channel *c, const struct mpmcq_create *like, size_t size);
int ours_give_up(struct channel *c);
int ours_finish(struct channel *c);

/* For those that are file descriptors. */
ssize_t fd_send(struct channel *c, const void *message, size_t size);
ssize_t fd_receive(struct channel *c, void *message, size_t size);
void fd_close(struct channel *c);

/* Of the others, but for packed_transport, see packed.h. */
ssize_t mqueue_send(struct channel *c, const void *message, size_t size);
ssize_t mqueue_receive(struct channel *c, void *message, size_t size);
ssize_t sysv_send(struct channel *c, const void *message, size_t size);
ssize_t sysv_receive(struct channel *c, void *message, size_t size);
ssize_t ring_send(struct channel *c, const void *message, size_t size);
ssize_t ring_receive(struct channel *c, void *message, size_t size);

#endif /* TRANSPORT_H */
