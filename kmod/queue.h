/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_QUEUE_H
#define _MPMCQ_QUEUE_H

#include <linux/types.h>
#include <linux/wait.h>

#include "index_ring.h"

struct fasync_struct;
struct iov_iter;

#define MPMCQ_CAPACITY_MIN	2U
#define MPMCQ_CAPACITY_MAX	1048576U
#define MPMCQ_MSG_SIZE_MAX	65536U

/**
 * struct mpmcq_waiters - who waits on one side of a queue
 * @tasks: tasks blocked in a send or receive; exclusive, woken one by one
 * @pollers: poll, select, epoll, io_uring; apart from @tasks so that a poller
 *	who does nothing cannot swallow a blocked task's wake-up
 * @async: open files that want SIGIO
 * @events: what @pollers are told
 * @band: what @async are told, POLL_IN or POLL_OUT
 *
 * The first three have locks of their own and may be looked at without, after
 * a full barrier; the last two are written once.
 */
struct mpmcq_waiters {
	wait_queue_head_t tasks;
	wait_queue_head_t pollers;
	struct fasync_struct *async;
	__poll_t events;
	int band;
};

/**
 * struct mpmcq_queue - slots, and where each of them is
 * @capacity: number of slots; a power of two
 * @msg_size: longest message, in bytes
 * @stride: from one slot to the next, in bytes
 * @slots: the slots, one after the other
 * @entries: memory of the three rings
 * @free: indices of empty slots
 * @ready: indices of messages, in the order sent
 * @returned: indices of messages handed back by a receive; read before @ready
 * @readers: who waits for a message
 * @writers: who waits for an empty slot
 *
 * Every index is at every moment in one ring or in the hands of one
 * operation.  Who took it owns the slot until he puts it; nobody else touches
 * the slot but to peek at its length.  What is not a ring or a waiters' side
 * is written once, by mpmcq_queue_create().
 */
struct mpmcq_queue {
	u32 capacity;
	u32 msg_size;
	size_t stride;
	void *slots;
	atomic64_t *entries;
	struct index_ring free;
	struct index_ring ready;
	struct index_ring returned;
	struct mpmcq_waiters readers;
	struct mpmcq_waiters writers;
};

struct mpmcq_queue *mpmcq_queue_create(u32 capacity, u32 msg_size);
void mpmcq_queue_destroy(struct mpmcq_queue *q);

ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, bool nowait);
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, bool nowait);

bool mpmcq_queue_readable(struct mpmcq_queue *q);
bool mpmcq_queue_writable(const struct mpmcq_queue *q);
u32 mpmcq_queue_depth(const struct mpmcq_queue *q);
u32 mpmcq_queue_next_len(struct mpmcq_queue *q);

#endif /* _MPMCQ_QUEUE_H */
