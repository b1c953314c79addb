// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peeking: a copy of a message that stays where it is.
 *
 * A receiver may take the message while it is copied, and a sender may send another one in its
 * slot.  So the copy counts only if the generation of the slot is the same afterwards as before:
 *
 *	sender					peeker
 *	takes the slot from free		finds the index in the ring: LOOK
 *	generation + 1		BEGIN		reads generation and word
 *						head has not passed the index: RECHECK
 *	write barrier		WRITE		reads data and stamp
 *	writes data, stamp, word		read barrier	COPY
 *						generation has not changed
 *
 * Impossible: generation or word are later ones and head has not passed the index, because BEGIN
 * and LEN, which store them, release the taker's move of head.
 *
 * Impossible: a byte of data or stamp is of a later message and the generation has not changed,
 * because the sender stores the generation before WRITE and the peeker reads it after COPY.
 *
 * A receiver may take the message after RECHECK, and even give it back.  The message was there when
 * its generation was read.
 *
 * The copy goes to memory of the call, and to the user only when it counts.
 *
 * The litmus tests are RECHECK+BEGIN and WRITE+COPY in Documentation/litmus-tests/.
 */

#include <linux/compiler.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <linux/mpmcq.h>

#include "park.h"
#include "peek.h"

/* How often a copy is tried before it fails with EAGAIN, because receivers take the message. */
#define MPMCQ_PEEK_TRIES	64

static void copy_data(const struct mpmcq_queue *q, const struct mpmcq_slot *slot,
		      struct mpmcq_peeked *p)
{
	/* A sender may be writing another message there.  Then the copy does not count. */
	data_race(memcpy(p->data, slot->data, min_t(size_t, mpmcq_word_len(p->word), p->room)));
	if (!(q->config.flags & MPMCQ_STAMP))
		return;
	/* Likewise. */
	data_race(p->stamp = *mpmcq_stamp_of(q, slot));
}

/* Copies the message @index at @pos of a ring.  Returns false if it is not there any more. */
static bool try_copy(struct mpmcq_queue *q, const struct index_ring *ring, s64 pos, u32 index,
		     struct mpmcq_peeked *p)
{
	const struct mpmcq_slot *slot = mpmcq_slot(q, index);

	p->index = index;
	p->generation = READ_ONCE(slot->generation);
	p->word = READ_ONCE(slot->word);
	if (!index_ring_not_taken(ring, pos))
		return false;
	copy_data(q, slot, p);
	smp_rmb();	/* COPY */
	return READ_ONCE(slot->generation) == p->generation;
}

/**
 * mpmcq_peek_at() - copy a message by its place in a ring
 * @q: the queue
 * @ring: one of its rings of messages
 * @n: how many messages are before it
 * @p: the copy
 *
 * Return: 0; -ENOENT if there are no more than @n; -EAGAIN if receivers took it before it was
 * copied, in 64 tries.
 * Context: any.
 */
int mpmcq_peek_at(struct mpmcq_queue *q, const struct index_ring *ring, u32 n,
		  struct mpmcq_peeked *p)
{
	unsigned int tries;

	if (n >= q->config.capacity)
		return -ENOENT;
	for (tries = 0; tries < MPMCQ_PEEK_TRIES; tries++) {
		s64 head = index_ring_head(ring);
		int index = index_ring_look(ring, head + n);

		if (index == INDEX_RING_EMPTY && index_ring_at_head(ring, head))
			return -ENOENT;
		if (index != INDEX_RING_EMPTY && try_copy(q, ring, head + n, index, p))
			return 0;
	}
	return -EAGAIN;
}

/**
 * mpmcq_peek_seq() - copy a message of a ring by its name
 * @q: the queue
 * @ring: one of its rings of messages
 * @seq: from mpmcq_seq(); may be anything
 * @p: the copy
 *
 * Looks at all entries, of 8 bytes each.
 *
 * Return: 0; -ENOENT if it is not there; -EAGAIN if a receiver took it while it was copied.
 * Context: may sleep.
 */
int mpmcq_peek_seq(struct mpmcq_queue *q, const struct index_ring *ring, u64 seq,
		   struct mpmcq_peeked *p)
{
	u32 index = seq & (BIT_ULL(MPMCQ_SEQ_SHIFT) - 1), n;
	s64 pos = index_ring_head(ring);
	int at;

	for (n = 0; n < q->config.capacity; n++, pos++) {
		at = index_ring_look(ring, pos);
		if (at == INDEX_RING_EMPTY && index_ring_not_taken(ring, pos))
			return -ENOENT;
		if (at == (int)index)
			break;
		if (!(n % 4096))
			cond_resched();
	}
	if (n == q->config.capacity)
		return -ENOENT;
	if (!try_copy(q, ring, pos, index, p))
		return -EAGAIN;
	return mpmcq_seq(index, p->generation) == seq ? 0 : -ENOENT;
}

/**
 * mpmcq_peek_parked() - copy a parked message
 * @q: the queue
 * @seq: from mpmcq_seq(), may be anything; 0 for the message that is due first
 * @next: copy the message that is due after @seq; only if @seq is not 0
 * @p: the copy
 *
 * Return: 0; -ENOENT if there is none; -ESTALE if @next and @seq is not parked.
 * Context: process.
 */
int mpmcq_peek_parked(struct mpmcq_queue *q, u64 seq, bool next, struct mpmcq_peeked *p)
{
	u32 named = seq & (BIT_ULL(MPMCQ_SEQ_SHIFT) - 1);
	int index;

	if (!q->park)
		return next ? -ESTALE : -ENOENT;
	mpmcq_park_lock(q->park);
	if (!seq)
		index = mpmcq_park_first(q->park);
	else if (named >= q->config.capacity || !mpmcq_park_has(q->park, named) ||
		 mpmcq_seq(named, mpmcq_slot(q, named)->generation) != seq)
		index = next ? -ESTALE : -ENOENT;
	else
		index = next ? mpmcq_park_after(q->park, named) : (int)named;
	if (index >= 0) {
		p->index = index;
		p->generation = mpmcq_slot(q, index)->generation;
		p->left_ms = mpmcq_park_left_ms(q->park, index);
		p->word = READ_ONCE(mpmcq_slot(q, index)->word);
		copy_data(q, mpmcq_slot(q, index), p);
	}
	mpmcq_park_unlock(q->park);
	return min(index, 0);
}
