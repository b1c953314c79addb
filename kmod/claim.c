// SPDX-License-Identifier: GPL-2.0-only
/*
 * Claiming: empty slots for senders, messages for receivers, at once or after a wait.
 */

#include <linux/kernel.h>
#include <linux/uio.h>

#include <linux/mpmcq.h>

#include "claim.h"
#include "close.h"
#include "compat.h"
#include "look.h"
#include "put.h"
#include "trace.h"
#include "wait.h"
#include "wake.h"

/* The look of a sender: takes empty slots, or the slot of the oldest message. */
static int take_slots(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	unsigned int n;

	claim->dropped = ring != &q->free;
	while (index_ring_peek(ring, pos) != INDEX_RING_EMPTY) {
		if (earlier_filled(claim)) {
			*pos = LOOK_AGAIN;
			break;
		}
		n = index_ring_take_n(ring, claim->index, claim->dropped ? 1 : claim->max);
		if (n)
			return n;
	}
	return -EAGAIN;
}

/*
 * A suspect was taken, and another message may be next.  Wakes the holders that were told that they
 * cannot take the suspect, because they may be able to take that message: see "Suspects" in
 * lease.c.  Call after wakes_begin() and the take.  Returns whether mpmcq_signal_owners() has to
 * follow, after wakes_end().
 */
static bool suspect_taken(struct mpmcq_queue *q)
{
	smp_mb();	/* WAKE */
	if (!atomic_read(&q->readers.full_holders))
		return false;
	mpmcq_wake_readers_pollers(q, false);
	return true;
}

/* Takes messages with a suspect among them. */
static noinline bool take_suspect(struct mpmcq_queue *q, struct index_ring *ring, s64 pos,
				  unsigned int n)
{
	bool taken, tell;

	wakes_begin();
	taken = index_ring_take_at(ring, pos, n);
	tell = taken && suspect_taken(q);
	wakes_end();
	if (tell)
		mpmcq_signal_owners(&q->readers);
	return taken;
}

/* Takes empty slots, or drops the oldest message and takes its slot. */
static int take_slots_or_drop(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	bool tell;
	int n;

	wakes_begin();
	n = mpmcq_look_for_slot(q, take_slots, claim);
	tell = n > 0 && claim->dropped &&
		mpmcq_slot(q, claim->index[0])->word & MPMCQ_SUSPECT && suspect_taken(q);
	wakes_end();
	if (tell)
		mpmcq_signal_owners(&q->readers);
	return n;
}

static int claim_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int n;

	/* Else senders that keep trying would hide the end from readers. */
	if (unlikely(mpmcq_queue_closed(q)))
		return -EPIPE;
	claim->dropped = false;
	if (claim->drop)
		n = take_slots_or_drop(q, claim);
	else
		n = index_ring_take_n(&q->free, claim->index, claim->max);
	if (n <= 0)
		return -EAGAIN;

	if (unlikely(!mpmcq_was_open(q))) {
		if (claim->dropped)
			mpmcq_hand_back_one(q, claim->index[0]);
		else
			mpmcq_put(q, &q->free, claim->index, n);
		return -EPIPE;
	}
	if (claim->dropped) {
		mpmcq_count(q, MPMCQ_DROPPED, n);
		mpmcq_count(q, MPMCQ_UNDELIVERED, n);
		trace_mpmcq_drop(q->number, mpmcq_len(mpmcq_slot(q, claim->index[0])));
	}
	claim->n = n;
	return n;
}

/*
 * Returns how many of the first @got messages fit and may be taken together; if none, @why is the
 * error.  A caller with @holds takes a suspect alone, and only while it holds nothing.  While it
 * holds a suspect, it takes nothing.
 */
static __always_inline unsigned int count_fitting(struct mpmcq_queue *q,
						  struct mpmcq_claim *claim, unsigned int got,
						  int *why)
{
	u32 holds = claim->holds ? READ_ONCE(*claim->holds) : 0;
	size_t room = claim->room;
	unsigned int n;

	claim->suspect = false;
	for (n = 0; n < got; n++) {
		u64 word = READ_ONCE(mpmcq_slot(q, claim->index[n])->word);
		bool suspect = word & MPMCQ_SUSPECT;
		size_t space = claim->header + ALIGN((size_t)mpmcq_word_len(word), claim->align);

		*why = -EMSGSIZE;
		if (space > room)
			break;
		*why = -ENOBUFS;
		if (unlikely(holds & MPMCQ_SUSPECT) ||
		    (unlikely(suspect) && claim->holds && (n || holds)))
			break;
		claim->suspect |= suspect;
		if (unlikely(suspect) && claim->holds)
			return 1;
		room -= space;
	}
	return n;
}

/*
 * The look of a receiver: takes messages from the head on as long as they fit.
 *
 * It reads their lengths while other receivers may take the messages, and senders may write the
 * next messages into their slots.  If the first message fits, the take succeeds only if that did
 * not happen.  If it does not fit, there is no take that could tell.  So the head has to be looked
 * at again: RECHECK in index_ring_at_head() pairs with LEN in mpmcq_slot_fill(), see the litmus
 * test RECHECK+LEN.
 */
static int claim_from(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	unsigned int got, n;
	s64 head;
	int why;

	while ((got = index_ring_peek_n(ring, claim->index, claim->max, &head))) {
		if (unlikely(earlier_filled(claim))) {
			head = LOOK_AGAIN;
			break;
		}
		n = count_fitting(q, claim, got, &why);
		if (n && (unlikely(claim->suspect) ? take_suspect(q, ring, head, n) :
			  index_ring_take_at(ring, head, n))) {
			claim->n = n;
			claim->id = mpmcq_delivery_id(q, ring, head);
			return n;
		}
		if (!n && index_ring_at_head(ring, head))
			return why;
	}
	*pos = head;
	return -EAGAIN;
}

/**
 * mpmcq_try_claim_messages() - take messages, do not wait
 * @q: the queue
 * @claim: what the caller wants, and out: what it got
 *
 * Return: as mpmcq_claim_messages(), but -EAGAIN where that would wait.
 * Context: any.
 */
int mpmcq_try_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int ret = mpmcq_look_for_message(q, claim_from, claim);

	if (ret != -EAGAIN || likely(!mpmcq_queue_closed(q)))
		return ret;
	if (mpmcq_queue_drained(q, claim->dead))
		return 0;
	/* The caller would wait for messages that it holds itself. */
	if (claim->held && READ_ONCE(*claim->held))
		return -EDEADLK;
	return -EAGAIN;
}

static bool message_left(struct mpmcq_queue *q, bool dead)
{
	return mpmcq_queue_readable(q, dead) || mpmcq_queue_drained(q, dead);
}

static int wait_for_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int ret = mpmcq_spin_then_wait(q, &q->writers, claim_slots, claim);

	mpmcq_pass_wakeup(q, &q->writers, mpmcq_slot_left, false);
	return ret;
}

/* The slow path of mpmcq_claim_slots(): no slot is free. */
static int claim_slots_slow(struct mpmcq_queue *q, struct mpmcq_claim *claim,
			    struct iov_iter *from, size_t bytes)
{
	int ret = -EAGAIN;

	if (q->config.flags & MPMCQ_DROP_OLDEST) {
		if (from && fault_in_iov_iter_readable(from, bytes))
			return -EFAULT;
		claim->drop = true;
		ret = claim_slots(q, claim);
	}
	if (ret == -EAGAIN && claim->wait_ms)
		ret = wait_for_slots(q, claim);
	return ret;
}

/**
 * mpmcq_claim_slot_slow() - slow path of mpmcq_claim_slot(): no slot is free
 * @q: the queue
 * @from: the data to be copied into the slot
 * @bytes: its length in bytes
 * @wait_ms: as of struct mpmcq_claim
 * @priority: as of struct mpmcq_claim
 *
 * Return: as mpmcq_claim_slot().
 * Context: as mpmcq_claim_slot().
 */
int mpmcq_claim_slot_slow(struct mpmcq_queue *q, struct iov_iter *from, size_t bytes, u32 wait_ms,
			  u32 priority)
{
	u32 index;
	struct mpmcq_claim claim = {
		.wait_ms = wait_ms, .priority = priority, .max = 1, .index = &index,
	};
	int ret = claim_slots_slow(q, &claim, from, bytes);

	return ret < 0 ? ret : (int)index;
}

/**
 * mpmcq_claim_slots() - take empty slots, and wait if there are none
 * @q: the queue
 * @claim: @wait_ms, @priority, @max and @index; the rest is set here
 * @from: the data to be copied into them; NULL if it is in kernel memory
 * @bytes: its length in bytes
 *
 * In a full queue with %MPMCQ_DROP_OLDEST this drops the oldest message and takes its slot.  Before
 * that it faults @from in, because a copy that fails would have dropped a message for nothing.
 *
 * Return: how many, at least 1; -EPIPE if the queue is closed; -EAGAIN if it was full for @wait_ms;
 * -ERESTARTSYS, with a limit -EINTR, if a signal came while waiting; -EFAULT.
 * Context: may sleep if it may wait, or if pages of @from are missing.
 */
int mpmcq_claim_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim, struct iov_iter *from,
		      size_t bytes)
{
	int ret;

	claim->drop = false;
	ret = claim_slots(q, claim);
	return ret == -EAGAIN ? claim_slots_slow(q, claim, from, bytes) : ret;
}

/**
 * mpmcq_claim_messages() - take messages, and wait if there are none
 * @q: the queue
 * @claim: what the caller wants, and out: what it got
 *
 * Return: how many; 0 if the queue is closed and no message will come; -EMSGSIZE if the next
 * message needs more than the room; -ENOBUFS if it is a suspect and the caller holds messages, or
 * the caller holds a suspect; -EDEADLK if the queue is closed and only the caller's own messages
 * can come; -EAGAIN if there was none for @wait_ms; -ERESTARTSYS, with a limit -EINTR, if a signal
 * came while waiting.
 * Context: may sleep.
 */
int mpmcq_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	struct mpmcq_waiters *w = mpmcq_readers_of(q, claim->dead);
	int ret = mpmcq_spin_then_wait(q, w, mpmcq_try_claim_messages, claim);

	mpmcq_pass_wakeup(q, w, message_left, claim->dead);
	return ret;
}
