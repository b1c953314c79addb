/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Looking for the next message or an empty slot: which rings, in which order, and when a look may
 * say that there is none.
 */
#ifndef _MPMCQ_LOOK_H
#define _MPMCQ_LOOK_H

#include "queue.h"

/*
 * A look at one ring: returns what it is there for, or -EAGAIN if the ring is empty, and in @pos
 * where its head was.
 */
typedef int (*mpmcq_look_fn)(struct mpmcq_queue *q, struct index_ring *ring,
			     struct mpmcq_claim *claim, s64 *pos);

/* Whether work is left for waiters. */
typedef bool (*mpmcq_left_fn)(struct mpmcq_queue *q, bool dead);

#define LOOK_AGAIN	(-1)	/* for a position: the look does not count, see look_in_all() */

int mpmcq_look_for_message_in_levels(struct mpmcq_queue *q, mpmcq_look_fn look,
				     struct mpmcq_claim *claim);
int mpmcq_look_for_slot_in_levels(struct mpmcq_queue *q, mpmcq_look_fn look,
				  struct mpmcq_claim *claim);
bool mpmcq_queue_readable(struct mpmcq_queue *q, bool dead);
bool mpmcq_queue_writable(struct mpmcq_queue *q, u32 priority);
bool mpmcq_slot_left(struct mpmcq_queue *q, bool dead);
bool mpmcq_queue_next_is_suspect(struct mpmcq_queue *q);
u32 mpmcq_queue_next_len(struct mpmcq_queue *q, bool dead);
u64 mpmcq_queue_oldest_ns(struct mpmcq_queue *q);

/* Whether a ring that comes before the one that is looked at has filled meanwhile. */
static inline bool earlier_filled(const struct mpmcq_claim *claim)
{
	unsigned int i;

	for (i = 0; i < claim->n_earlier; i++)
		if (!index_ring_empty(claim->earlier[i]))
			return true;
	return false;
}

/*
 * Looks in one ring, and then in another.
 *
 * An index that was in @second when @first was looked at may be in @first by now: a message that
 * was handed back, or its slot, which is free.  So there is none only if @first was empty before
 * and after the look at @second, and its head has not moved meanwhile: then nothing has come and
 * gone there.
 */
static __always_inline int look_in(struct mpmcq_queue *q, struct index_ring *first,
				   struct index_ring *second, mpmcq_look_fn look,
				   struct mpmcq_claim *claim)
{
	s64 pos, before, other;
	int ret = look(q, first, claim, &pos);

	while (ret == -EAGAIN) {
		before = pos;
		ret = look(q, second, claim, &other);
		if (ret != -EAGAIN)
			break;
		ret = look(q, first, claim, &pos);
		if (ret != -EAGAIN || pos == before)
			break;
	}
	return ret;
}

/**
 * mpmcq_look_for_slot() - look for an empty slot, or for a message to be dropped
 * @q: the queue
 * @look: the look at each ring
 * @claim: for @look; @priority bounds what may be dropped
 *
 * Return: as @look; -EAGAIN if there was none at one moment.
 * Context: that of @look.
 */
static __always_inline int mpmcq_look_for_slot(struct mpmcq_queue *q, mpmcq_look_fn look,
					       struct mpmcq_claim *claim)
{
	if (unlikely(q->lower))
		return mpmcq_look_for_slot_in_levels(q, look, claim);
	return look_in(q, &q->free, &q->ready, look, claim);
}

/**
 * mpmcq_look_for_message() - look for the next message
 * @q: the queue
 * @look: the look at each ring
 * @claim: for @look; @dead says whether it is about dead messages
 *
 * Return: as @look; -EAGAIN if there was none at one moment.
 * Context: that of @look.
 */
static __always_inline int mpmcq_look_for_message(struct mpmcq_queue *q, mpmcq_look_fn look,
						  struct mpmcq_claim *claim)
{
	s64 pos;

	if (claim->dead)
		return look(q, &q->dead, claim, &pos);
	if (unlikely(q->lower))
		return mpmcq_look_for_message_in_levels(q, look, claim);
	return look_in(q, &q->returned, &q->ready, look, claim);
}

#endif /* _MPMCQ_LOOK_H */
