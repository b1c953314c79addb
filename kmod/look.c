// SPDX-License-Identifier: GPL-2.0-only
/*
 * Looking into rings: several levels of priority, and what can be said of the next message without
 * taking it.
 */

#include <linux/kernel.h>
#include <linux/ktime.h>

#include <linux/mpmcq.h>

#include "look.h"

/*
 * Looks in several rings, in this order.
 *
 * There is none only if all rings were empty at one moment.  That is so if each was empty twice and
 * its head has not moved in between: then nothing has come and gone there.  The moment is the one
 * between the two passes, see the litmus test LOOK+WAKE+levels.
 *
 * If there is one, all earlier rings were empty while it was at the head, because @look asks
 * earlier_filled() between its look at the head and its take.  Else it could take an index
 * that was put after one in an earlier ring, which a slow look has missed.
 */
static noinline int look_in_all(struct mpmcq_queue *q, struct index_ring *const *rings,
				unsigned int n, mpmcq_look_fn look, struct mpmcq_claim *claim)
{
	s64 seen[MPMCQ_LEVELS_MAX + 1] = { }, pos;
	unsigned int i, same = 0;
	int ret;

	claim->earlier = rings;
	while (same < n) {
		same = 0;
		for (i = 0; i < n; i++) {
			claim->n_earlier = i;
			ret = look(q, rings[i], claim, &pos);
			if (ret != -EAGAIN)
				goto out;
			/* Positions begin after 0, and LOOK_AGAIN is none. */
			same += pos == seen[i] && pos != LOOK_AGAIN;
			seen[i] = pos;
		}
	}
	ret = -EAGAIN;
out:
	claim->n_earlier = 0;
	return ret;
}

/**
 * mpmcq_look_for_message_in_levels() - mpmcq_look_for_message() with several levels of priority
 * @q: the queue
 * @look: the look at each ring
 * @claim: for @look
 *
 * Looks in returned first, and then from the highest level on.
 *
 * Return: as mpmcq_look_for_message().
 * Context: that of @look.
 */
noinline int mpmcq_look_for_message_in_levels(struct mpmcq_queue *q, mpmcq_look_fn look,
					      struct mpmcq_claim *claim)
{
	struct index_ring *rings[MPMCQ_LEVELS_MAX + 1] = { &q->returned, &q->ready };
	unsigned int i;

	for (i = 1; i < q->config.levels; i++)
		rings[i + 1] = &q->lower[i - 1];
	return look_in_all(q, rings, q->config.levels + 1, look, claim);
}

/**
 * mpmcq_look_for_slot_in_levels() - mpmcq_look_for_slot() with several levels of priority
 * @q: the queue
 * @look: the look at each ring
 * @claim: for @look
 *
 * Looks for empty slots first, and then for messages that may be dropped, from the lowest level on.
 *
 * Return: as mpmcq_look_for_slot().
 * Context: that of @look.
 */
noinline int mpmcq_look_for_slot_in_levels(struct mpmcq_queue *q, mpmcq_look_fn look,
					   struct mpmcq_claim *claim)
{
	struct index_ring *rings[MPMCQ_LEVELS_MAX + 1] = { &q->free };
	unsigned int i;

	for (i = 0; i <= claim->priority; i++)
		rings[i + 1] = mpmcq_ready_ring(q, i);
	return look_in_all(q, rings, claim->priority + 2, look, claim);
}

static int peek_at(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		   s64 *pos)
{
	int index = index_ring_peek(ring, pos);

	return index == INDEX_RING_EMPTY ? -EAGAIN : index;
}

/**
 * mpmcq_queue_readable() - whether a message waits
 * @q: the queue
 * @dead: whether it is about dead messages
 *
 * Context: any.
 */
bool mpmcq_queue_readable(struct mpmcq_queue *q, bool dead)
{
	struct mpmcq_claim claim = { .dead = dead };

	return mpmcq_look_for_message(q, peek_at, &claim) != -EAGAIN;
}

/**
 * mpmcq_queue_writable() - whether a write would not wait
 * @q: the queue
 * @priority: of what is to be written
 *
 * Context: any.
 */
bool mpmcq_queue_writable(struct mpmcq_queue *q, u32 priority)
{
	struct mpmcq_claim claim = { .priority = priority };

	if (mpmcq_queue_closed(q))
		return true;
	if (q->config.flags & MPMCQ_DROP_OLDEST)
		return mpmcq_look_for_slot(q, peek_at, &claim) != -EAGAIN;
	return !index_ring_empty(&q->free);
}

/**
 * mpmcq_slot_left() - whether there is room for a message of the highest priority
 * @q: the queue
 * @dead: not used, as of mpmcq_left_fn
 *
 * Of the highest level, because a task of that level may wait.
 *
 * Context: any.
 */
bool mpmcq_slot_left(struct mpmcq_queue *q, bool dead)
{
	return mpmcq_queue_writable(q, q->config.levels - 1);
}

/*
 * The word of the next message in a ring, see claim_from() on how it is validated.  Takes nothing.
 * Returns false if the ring is empty.
 */
static bool next_word_in(struct mpmcq_queue *q, struct index_ring *ring, s64 *pos, u64 *word)
{
	int index;

	while ((index = index_ring_peek(ring, pos)) != INDEX_RING_EMPTY) {
		*word = READ_ONCE(mpmcq_slot(q, index)->word);
		if (index_ring_at_head(ring, *pos))
			return true;
	}
	return false;
}

static int len_in(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		  s64 *pos)
{
	u64 word;

	return next_word_in(q, ring, pos, &word) ? (int)mpmcq_word_len(word) : -EAGAIN;
}

static int suspect_in(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	u64 word;

	return next_word_in(q, ring, pos, &word) ? !!(word & MPMCQ_SUSPECT) : -EAGAIN;
}

/**
 * mpmcq_queue_next_is_suspect() - whether the next message is a suspect
 * @q: the queue
 *
 * Context: any.
 */
bool mpmcq_queue_next_is_suspect(struct mpmcq_queue *q)
{
	struct mpmcq_claim claim = { };

	return mpmcq_look_for_message(q, suspect_in, &claim) > 0;
}

/**
 * mpmcq_queue_next_len() - length of the next message
 * @q: the queue
 * @dead: whether it is about dead messages
 *
 * Return: length in bytes, 0 if no message waits.
 * Context: any.
 */
u32 mpmcq_queue_next_len(struct mpmcq_queue *q, bool dead)
{
	struct mpmcq_claim claim = { .dead = dead };

	return max(mpmcq_look_for_message(q, len_in, &claim), 0);
}

/*
 * When the next message of a ring was sent; U64_MAX if there is none.  Validated as lengths are,
 * see claim_from(): a later message's stamp is stored after BEGIN, which releases, and WRITE.
 */
static u64 sent_in(struct mpmcq_queue *q, struct index_ring *ring)
{
	u64 sent;
	int index;
	s64 pos;

	while ((index = index_ring_peek(ring, &pos)) != INDEX_RING_EMPTY) {
		sent = READ_ONCE(mpmcq_stamp_of(q, mpmcq_slot(q, index))->sent_ns);
		if (index_ring_at_head(ring, pos))
			return sent;
	}
	return U64_MAX;
}

/**
 * mpmcq_queue_oldest_ns() - age of the oldest message that waits
 * @q: the queue
 *
 * Of the messages in returned, the one that came back first counts.
 *
 * Return: nanoseconds; 0 if no message waits, or the queue does not have %MPMCQ_STAMP.
 * Context: any.
 */
u64 mpmcq_queue_oldest_ns(struct mpmcq_queue *q)
{
	u64 sent, now;
	u32 i;

	if (!(q->config.flags & MPMCQ_STAMP))
		return 0;
	sent = sent_in(q, &q->returned);
	for (i = 0; i < q->config.levels; i++)
		sent = min(sent, sent_in(q, mpmcq_ready_ring(q, i)));
	now = ktime_get_boottime_ns();
	return now > sent ? now - sent : 0;
}
