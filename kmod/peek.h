/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_PEEK_H
#define _MPMCQ_PEEK_H

#include <linux/types.h>

#include "queue.h"

/**
 * struct mpmcq_peeked - a copy of a message, and its state
 * @data: where the copy goes
 * @room: bytes there; of a longer message only the beginning is copied
 * @index: out: the slot
 * @generation: out: of the slot, when the message was sent
 * @word: out: of the slot
 * @stamp: out: of the slot, in queues with %MPMCQ_STAMP
 * @left_ms: out: of a parked message, how long until it is due, in milliseconds
 */
struct mpmcq_peeked {
	void *data;
	size_t room;
	u32 index;
	u64 generation;
	u64 word;
	struct mpmcq_stamp stamp;
	u32 left_ms;
};

int mpmcq_peek_at(struct mpmcq_queue *q, const struct index_ring *ring, u32 n,
		  struct mpmcq_peeked *p);
int mpmcq_peek_seq(struct mpmcq_queue *q, const struct index_ring *ring, u64 seq,
		   struct mpmcq_peeked *p);
int mpmcq_peek_parked(struct mpmcq_queue *q, u64 seq, bool next, struct mpmcq_peeked *p);

#endif /* _MPMCQ_PEEK_H */
