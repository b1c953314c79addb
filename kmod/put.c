// SPDX-License-Identifier: GPL-2.0-only
/*
 * Putting indices into rings: publish a message, free a slot, hand a message back.  Each put wakes
 * the waiters for that ring, see wake.h.
 */

#include <linux/kernel.h>
#include <linux/wait.h>

#include <linux/mpmcq.h>

#include "close.h"
#include "put.h"
#include "wake.h"

/*
 * Wakes one side.  Call after WAKE.  @ring is NULL if this put may not skip its wake-up.  @end:
 * this is the end for that side.
 */
static __always_inline void wake(struct mpmcq_queue *q, struct mpmcq_waiters *w,
				 const struct index_ring *ring, s64 pos, unsigned int n, bool end)
{
	if (has_sleepers(w) && !(ring && mpmcq_may_skip_wake(q, ring, pos, n)))
		mpmcq_wake_task(q, w, true);
	/* As in has_sleepers(): a poller that is not there yet sees the put. */
	if (waitqueue_active(&w->pollers))
		mpmcq_wake_pollers(q, w, n, end);
}

/* The sides of a queue, a bit each. */
enum { READERS = 1, WRITERS = 2, DEAD_READERS = 4 };

/* Call after WAKE. */
static __always_inline bool has_ended(struct mpmcq_queue *q)
{
	return mpmcq_queue_closed(q) && mpmcq_queue_drained(q, false);
}

/*
 * Wakes the sides that wait for @ring, where @n indices were put at @pos.  If this put brings a
 * closed queue to its end, wakes all waiters for the end.  Returns the sides that were woken.
 */
static __always_inline unsigned int wake_for(struct mpmcq_queue *q, const struct index_ring *ring,
					     s64 pos, unsigned int n)
{
	bool to_free = ring == &q->free, to_dead = ring == &q->dead, end;
	bool to_ready = !to_free && !to_dead && ring != &q->returned;
	unsigned int sides = 0;

	smp_mb();	/* WAKE */
	end = (to_free || to_dead) && unlikely(has_ended(q));
	if (to_free || (to_ready && q->config.flags & MPMCQ_DROP_OLDEST)) {
		/* The first waiter may have a lower priority, so it may not drop the message. */
		if (to_ready && unlikely(q->lower) && has_sleepers(&q->writers))
			wake_up_interruptible_all(&q->writers.tasks);
		wake(q, &q->writers, to_free ? ring : NULL, pos, n, false);
		sides |= WRITERS;
	}
	if (to_dead || end) {
		wake(q, &q->dead_readers, NULL, pos, n, end);
		sides |= DEAD_READERS;
	}
	if (!(to_free || to_dead) || end) {
		wake(q, &q->readers, to_ready ? ring : NULL, pos, n, end);
		sides |= READERS;
	}
	return sides;
}

static __always_inline void signal_for(struct mpmcq_queue *q, unsigned int sides)
{
	if (sides & WRITERS)
		mpmcq_signal_owners(&q->writers);
	if (sides & DEAD_READERS)
		mpmcq_signal_owners(&q->dead_readers);
	if (sides & READERS)
		mpmcq_signal_owners(&q->readers);
}

/*
 * Ends a put that wakes_begin() has begun.  Every put ends so, except when a new queue is filled.
 * Inline, because the callers know the ring, and most of this depends on it.
 */
static __always_inline void put_end(struct mpmcq_queue *q, const struct index_ring *ring,
				    s64 pos, unsigned int n)
{
	unsigned int sides = wake_for(q, ring, pos, n);

	wakes_end();
	signal_for(q, sides);
}

static __always_inline void put_one(struct mpmcq_queue *q, struct index_ring *ring,
				    u32 index)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put(ring, index);
	put_end(q, ring, pos, 1);
}

/**
 * mpmcq_put() - put indices into a ring and wake its waiters
 * @q: the queue
 * @ring: one of its rings
 * @indices: indices that the caller owns
 * @n: how many; at least 1
 *
 * Context: any.
 */
void mpmcq_put(struct mpmcq_queue *q, struct index_ring *ring, const u32 *indices,
	       unsigned int n)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put_n(ring, indices, n);
	put_end(q, ring, pos, n);
}

/* Puts each message into the ring of its level, and a run of one level with one put. */
static noinline void put_by_priority(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	unsigned int i, first = 0;

	for (i = 1; i <= n; i++) {
		u32 level = mpmcq_word_priority(mpmcq_slot(q, indices[first])->word);

		if (i < n && mpmcq_word_priority(mpmcq_slot(q, indices[i])->word) == level)
			continue;
		mpmcq_put(q, mpmcq_ready_ring(q, level), indices + first, i - first);
		first = i;
	}
}

/**
 * mpmcq_publish() - publish messages
 * @q: the queue
 * @indices: slots that the caller owns, with data and word
 * @n: how many; at least 1
 *
 * Context: any.
 */
void mpmcq_publish(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	if (unlikely(q->lower))
		put_by_priority(q, indices, n);
	else
		mpmcq_put(q, &q->ready, indices, n);
}

/**
 * mpmcq_publish_one() - publish one message, in a queue of one level
 * @q: the queue
 * @index: a slot that the caller owns, with data and word
 *
 * Context: any.
 */
void mpmcq_publish_one(struct mpmcq_queue *q, u32 index)
{
	put_one(q, &q->ready, index);
}

/**
 * mpmcq_publish_one_at() - publish one message with a priority
 * @q: the queue
 * @index: a slot that the caller owns, with data and word
 * @priority: the priority in the word
 *
 * Context: any.
 */
void mpmcq_publish_one_at(struct mpmcq_queue *q, u32 index, u32 priority)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put(mpmcq_ready_ring(q, priority), index);
	/* All levels wake the same sides.  With several levels @pos has no effect. */
	put_end(q, &q->ready, pos, 1);
}

/**
 * mpmcq_free() - free slots
 * @q: the queue
 * @indices: slots that the caller owns; their messages are gone
 * @n: how many; at least 1
 *
 * Context: any.
 */
void mpmcq_free(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	if (n == 1)
		mpmcq_free_one(q, *indices);
	else
		mpmcq_put(q, &q->free, indices, n);
}

/**
 * mpmcq_free_one() - free a slot
 * @q: the queue
 * @index: a slot that the caller owns; its message is gone
 *
 * Context: any.
 */
void mpmcq_free_one(struct mpmcq_queue *q, u32 index)
{
	put_one(q, &q->free, index);
}

/**
 * mpmcq_hand_back_one() - hand back a message that was claimed but not delivered
 * @q: the queue
 * @index: the message, which is not dead; it goes into returned
 *
 * Context: any.
 */
void mpmcq_hand_back_one(struct mpmcq_queue *q, u32 index)
{
	mpmcq_count(q, MPMCQ_UNDELIVERED, 1);
	mpmcq_put(q, &q->returned, &index, 1);
}

/**
 * mpmcq_hand_back() - hand back messages that were claimed but not delivered
 * @q: the queue
 * @claim: the claim
 * @first: how many of its messages were delivered, the first ones
 *
 * Context: any.
 */
void mpmcq_hand_back(struct mpmcq_queue *q, const struct mpmcq_claim *claim, unsigned int first)
{
	mpmcq_count(q, MPMCQ_UNDELIVERED, claim->n - first);
	mpmcq_put(q, claim->dead ? &q->dead : &q->returned, claim->index + first,
		  claim->n - first);
}
