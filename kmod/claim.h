/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Claiming empty slots and messages.  The fast path for one slot or one message is inline here; it
 * needs no struct mpmcq_claim.
 */
#ifndef _MPMCQ_CLAIM_H
#define _MPMCQ_CLAIM_H

#include "put.h"
#include "queue.h"

int mpmcq_claim_slot_slow(struct mpmcq_queue *q, struct iov_iter *from, size_t bytes,
			  u32 wait_ms, u32 priority);
int mpmcq_claim_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim, struct iov_iter *from,
		      size_t bytes);
int mpmcq_try_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim);
int mpmcq_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim);

/**
 * mpmcq_delivery_id() - name a delivery
 * @q: the queue
 * @ring: where the message was, one of the rings of messages
 * @pos: its position there; unique, because each position is taken once
 *
 * Context: any.
 */
static inline u64 mpmcq_delivery_id(const struct mpmcq_queue *q, const struct index_ring *ring,
				    s64 pos)
{
	unsigned int which = ring == &q->ready ? 0 : ring == &q->returned ? 1 :
			     ring == &q->dead ? 2 : 3 + (ring - q->lower);

	return pos * MPMCQ_ID_STEP + which;
}

/**
 * mpmcq_was_open() - whether the queue was open when the caller took slots
 * @q: the queue
 *
 * Call after the take.  OPEN pairs with END, see close.c.
 *
 * Context: any.
 */
static inline bool mpmcq_was_open(const struct mpmcq_queue *q)
{
	smp_mb__after_atomic();	/* OPEN */
	return !mpmcq_queue_closed(q);
}

/**
 * mpmcq_claim_slot() - take one empty slot
 * @q: the queue
 * @from: the data to be copied into the slot
 * @bytes: its length in bytes
 * @wait_ms: as of struct mpmcq_claim
 * @priority: as of struct mpmcq_claim
 *
 * Return: the index, which the caller owns; the errors of mpmcq_claim_slots().
 * Context: may sleep if it may wait, or if pages of @from are missing.
 */
static inline int mpmcq_claim_slot(struct mpmcq_queue *q, struct iov_iter *from, size_t bytes,
				   u32 wait_ms, u32 priority)
{
	int index;

	if (unlikely(mpmcq_queue_closed(q)))
		return -EPIPE;
	index = index_ring_take(&q->free);
	if (unlikely(index == INDEX_RING_EMPTY))
		return mpmcq_claim_slot_slow(q, from, bytes, wait_ms, priority);
	if (likely(mpmcq_was_open(q)))
		return index;
	mpmcq_free_one(q, index);
	return -EPIPE;
}

/**
 * mpmcq_claim_ready_fast() - take the next message in the usual case
 * @q: the queue
 * @room: bytes in the buffer
 * @pos: out: its position in ready
 * @len: out: its length in bytes
 *
 * In the usual case no message has come back, and the next message fits and has not been delivered
 * before, so its word is a length.  claim_from() says why the length is valid.
 *
 * Return: the index, which the caller owns; %INDEX_RING_EMPTY in all other cases, also if there are
 * messages.
 * Context: any.
 */
static inline int mpmcq_claim_ready_fast(struct mpmcq_queue *q, size_t room, s64 *pos, u32 *len)
{
	int index;
	u64 word;

	if (unlikely(!index_ring_empty(&q->returned)))
		return INDEX_RING_EMPTY;
	do {
		index = index_ring_peek(&q->ready, pos);
		if (unlikely(index == INDEX_RING_EMPTY))
			return INDEX_RING_EMPTY;
		word = READ_ONCE(mpmcq_slot(q, index)->word);
		if (unlikely(word > room))
			return INDEX_RING_EMPTY;
	} while (unlikely(!index_ring_take_at(&q->ready, *pos, 1)));
	*len = word;
	return index;
}

#endif /* _MPMCQ_CLAIM_H */
