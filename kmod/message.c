// SPDX-License-Identifier: GPL-2.0-only
/*
 * One message: copied into a slot and sent, received and copied out of it.
 *
 * An operation that need not sleep takes no lock but those of sleepers that it wakes,
 * allocates nothing and copies once.  It holds an index while it copies, with page
 * faults disabled.
 *
 * The copies are those without the check of hardened usercopy.  It could only say that
 * a slot is within the memory of all slots, and while page faults are disabled most
 * kernels do not say that of vmalloc memory, but take time for it.  No length is more
 * than msg_size: that of a send has been compared with it, and of a receive it is that
 * of what was sent.
 *
 * Missing pages
 * -------------
 * If the copy falls short, pages have to be fetched, which may take forever: they may be on a
 * stalled FUSE mount, or under userfaultfd.
 *
 *	sender                                  receiver
 *	puts the slot back into free            keeps the message
 *	fetches pages with empty hands          fetches pages, under no lock
 *	takes a slot again                      copies again
 *
 * A sender must not take away room that others could use.  A receiver must not hand its message
 * back: others would take later ones first, and order would depend on whose buffer is in
 * memory.
 *
 * A receiver whose buffer hangs costs the queue the slots of what it was given, up to a batch, as
 * every stopped operation does.  Readers wait for it only if they wait for the end of a closed
 * queue; writers only if all slots are held so.  A bad address or a fatal signal puts the message
 * behind the returned ones, or behind the dead ones if it was dead.
 */

#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <linux/mpmcq.h>

#include "claim.h"
#include "compat.h"
#include "message.h"
#include "put.h"
#include "queue.h"
#include "redeliver.h"
#include "trace.h"

/*
 * How often the pages of one message are fetched before a call fails with EFAULT.  They may be
 * taken away again before we get to copy; so many times in a row means that they can be fetched
 * but not accessed.
 */
#define MPMCQ_FAULT_TRIES	64

/*
 * Copies a message into a slot; false if pages are missing, and @from is as before then.
 * By the pointer where there is one: what an iterator takes to be moved on, which nobody
 * needs here, is a tenth of all that a call costs.
 */
static __always_inline bool copy_in(struct mpmcq_slot *slot, size_t len, struct iov_iter *from)
{
	const void __user *buf = mpmcq_user_buffer(from);
	size_t copied;

	pagefault_disable();
	copied = likely(buf) ? len - _copy_from_user(slot->data, buf, len) :
			       _copy_from_iter(slot->data, len, from);
	pagefault_enable();
	if (likely(copied == len))
		return true;
	if (!buf)
		iov_iter_revert(from, copied);
	return false;
}

/* The same out of it. */
static __always_inline bool copy_out(const struct mpmcq_slot *slot, size_t len, struct iov_iter *to)
{
	void __user *buf = mpmcq_user_buffer(to);
	size_t copied;

	pagefault_disable();
	copied = likely(buf) ? len - _copy_to_user(buf, slot->data, len) :
			       _copy_to_iter(slot->data, len, to);
	pagefault_enable();
	if (likely(copied == len))
		return true;
	if (!buf)
		iov_iter_revert(to, copied);
	return false;
}

/**
 * mpmcq_try_again() - whether a sender goes on
 * @tries: how many times in a row nothing could be copied; 0 if something was
 *
 * Return: 0 if so; -EFAULT if it was too often, -ERESTARTSYS if a signal is pending.
 * Context: may sleep; the caller has empty hands.
 */
int mpmcq_try_again(unsigned int tries)
{
	if (tries == MPMCQ_FAULT_TRIES)
		return -EFAULT;
	if (signal_pending(current))
		return -ERESTARTSYS;
	cond_resched();
	return 0;
}

/**
 * mpmcq_fetch_pages() - fetch the pages that a receiver's copy has found missing
 * @to: the buffer
 * @bytes: what the next message needs of it
 * @tries: in, out: how often the pages of this message were fetched
 *
 * The caller keeps its messages meanwhile, see "Missing pages" in message.c.
 *
 * Return: 0 if the copy is to be tried again; -EFAULT if the address is bad, or if the pages
 * were fetched %MPMCQ_FAULT_TRIES times in vain; -EINTR if a fatal signal is pending.
 * Context: may sleep.
 */
int mpmcq_fetch_pages(struct iov_iter *to, size_t bytes, unsigned int *tries)
{
	bool bad = *tries == MPMCQ_FAULT_TRIES || fault_in_iov_iter_writeable(to, bytes);

	if (fatal_signal_pending(current))
		return -EINTR;
	if (bad)
		return -EFAULT;
	++*tries;
	cond_resched();
	return 0;
}

/*
 * Notes when the message in a slot is sent, and by whom: who opened the file, not who calls.  A
 * program that another one started with its standard error on a queue does not vouch for what it
 * writes there.
 */
static void mpmcq_slot_stamp(const struct mpmcq_queue *q, const struct mpmcq_slot *slot,
			     const struct cred *cred)
{
	struct mpmcq_stamp *stamp = mpmcq_stamp_of(q, slot);

	stamp->uid = __kuid_val(cred->euid);
	stamp->gid = __kgid_val(cred->egid);
	WRITE_ONCE(stamp->sent_ns, ktime_get_boottime_ns());
}

/**
 * mpmcq_send_slots() - send what is in slots, with all that goes with that
 * @q: the queue
 * @indices: slots in the caller's hands, with their messages' data and lengths
 * @n: how many; at least 1
 * @delay_ms: how long nobody may receive them, in milliseconds; 0 unless @q has %MPMCQ_DELAY
 * @cred: of who opened the file
 *
 * Context: process.
 */
void mpmcq_send_slots(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms,
		      const struct cred *cred)
{
	unsigned int i;

	if (q->config.flags & MPMCQ_STAMP)
		for (i = 0; i < n; i++)
			mpmcq_slot_stamp(q, mpmcq_slot(q, indices[i]), cred);
	if (trace_mpmcq_send_enabled())
		for (i = 0; i < n; i++)
			trace_mpmcq_send(q->number, mpmcq_len(mpmcq_slot(q, indices[i])));
	if (delay_ms)
		mpmcq_publish_delayed(q, indices, n, delay_ms);
	else
		mpmcq_publish(q, indices, n);
}

/* Stamps a message if the queue wants that; returns its priority, as it is in the word. */
static noinline u64 mark(const struct mpmcq_queue *q, const struct mpmcq_slot *slot,
			 const struct cred *cred, u64 priority)
{
	if (q->config.flags & MPMCQ_STAMP)
		mpmcq_slot_stamp(q, slot, cred);
	return priority << MPMCQ_PRIORITY_SHIFT;
}

/**
 * mpmcq_send() - queue one message
 * @q: the queue
 * @from: the message, all that is in the iterator
 * @wait_ms: for an empty slot, as of struct mpmcq_claim
 * @by: the open file
 *
 * Return: length of the message; -EINVAL if that is 0, -EMSGSIZE if it is more
 * than the queue's msg_size; -EPIPE if the queue is closed; -EAGAIN if it is full
 * for longer than it may wait; -ERESTARTSYS, with a limit -EINTR, if a signal came while waiting;
 * -EFAULT.  After an error nothing is sent.
 * Context: may sleep if it may wait, or if pages of @from are missing.
 */
ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
		   const struct mpmcq_caller *by)
{
	u32 priority = READ_ONCE(by->priority);
	size_t len = iov_iter_count(from);
	unsigned int tries = 0;
	int ret = 0;
	u32 index;
	u64 word;

	if (!len)
		return -EINVAL;
	if (len > q->config.msg_size)
		return -EMSGSIZE;

	while (!ret) {
		ret = mpmcq_claim_slot(q, from, len, wait_ms, priority);
		if (ret < 0)
			break;
		index = ret;
		mpmcq_slot_begin(mpmcq_slot(q, index));
		if (copy_in(mpmcq_slot(q, index), len, from)) {
			word = len;
			if (unlikely(q->marks))
				word |= mark(q, mpmcq_slot(q, index), by->cred, priority);
			mpmcq_slot_fill(mpmcq_slot(q, index), word);
			trace_mpmcq_send(q->number, len);
			if (unlikely(q->lower))
				mpmcq_publish_one_at(q, index, priority);
			else
				mpmcq_publish_one(q, index);
			return len;
		}
		mpmcq_free_one(q, index);
		ret = fault_in_iov_iter_readable(from, len) ? -EFAULT : mpmcq_try_again(++tries);
	}
	return ret;
}

/* Fetches pages and copies until all is copied, or fails as mpmcq_fetch_pages(). */
static noinline int copy_out_slowly(const struct mpmcq_slot *slot, size_t len, struct iov_iter *to)
{
	unsigned int tries = 0;
	int ret;

	do {
		ret = mpmcq_fetch_pages(to, len, &tries);
	} while (!ret && !copy_out(slot, len, to));
	return ret;
}

/* Copies a message out; if it fails the message is still in the caller's hands. */
static __always_inline int deliver(struct mpmcq_queue *q, const struct mpmcq_slot *slot, u32 len,
				   struct iov_iter *to)
{
	int ret = 0;

	if (unlikely(!copy_out(slot, len, to)))
		ret = copy_out_slowly(slot, len, to);
	if (unlikely(ret))
		return ret;
	trace_mpmcq_receive(q->number, len);
	return 0;
}

/* Copies out what was taken, if anything, and leaves the message in the caller's hands. */
static __always_inline ssize_t deliver_taken(struct mpmcq_queue *q, int taken, u32 len,
					     struct iov_iter *to, u32 *index)
{
	int ret;

	if (unlikely(taken == INDEX_RING_EMPTY))
		return 0;
	*index = taken;
	ret = deliver(q, mpmcq_slot(q, taken), len, to);
	if (likely(!ret))
		return len;
	mpmcq_hand_back_one(q, taken);
	return ret;
}

static __always_inline ssize_t receive_ready(struct mpmcq_queue *q, struct iov_iter *to,
					     u32 *index, s64 *pos)
{
	u32 len;
	int taken = mpmcq_claim_ready_fast(q, iov_iter_count(to), pos, &len);

	return deliver_taken(q, taken, len, to, index);
}

/*
 * mpmcq_claim_ready_fast() with several levels.  Looks from the lowest on, so that all that comes
 * before the message was empty after it was seen at the head: what was sent before it, to a higher
 * level, is not overtaken.
 */
static __always_inline int claim_by_level(struct mpmcq_queue *q, size_t room,
					  struct index_ring **from, s64 *pos, u32 *len)
{
	struct index_ring *ring;
	int index, found;
	u64 word;
	s64 at;

	do {
		found = INDEX_RING_EMPTY;
		ring = q->lower + q->config.levels - 1;
		do {
			ring = ring == q->lower ? &q->ready : ring - 1;
			index = index_ring_peek(ring, &at);
			if (index != INDEX_RING_EMPTY) {
				found = index;
				*from = ring;
				*pos = at;
			}
		} while (ring != &q->ready);
		if (found == INDEX_RING_EMPTY || unlikely(!index_ring_empty(&q->returned)))
			return INDEX_RING_EMPTY;
		word = READ_ONCE(mpmcq_slot(q, found)->word) & ~MPMCQ_PRIORITY;
		if (unlikely(word > room))
			return INDEX_RING_EMPTY;
	} while (unlikely(!index_ring_take_at(*from, *pos, 1)));
	*len = word;
	return found;
}

/* receive_ready() with several levels. */
static __always_inline ssize_t receive_by_level(struct mpmcq_queue *q, struct iov_iter *to,
						u32 *index, struct index_ring **from, s64 *pos)
{
	u32 len;
	int taken = claim_by_level(q, iov_iter_count(to), from, pos, &len);

	return deliver_taken(q, taken, len, to, index);
}

/* Apart, so that queues of one level are no slower. */
static noinline ssize_t receive_by_level_now(struct mpmcq_queue *q, struct iov_iter *to)
{
	struct index_ring *from = NULL;
	u32 index;
	s64 pos = 0;
	ssize_t len = receive_by_level(q, to, &index, &from, &pos);

	if (likely(len > 0))
		mpmcq_free_one(q, index);
	return len;
}

static noinline ssize_t receive_by_level_kept(struct mpmcq_queue *q, struct iov_iter *to,
					      u32 *index, u64 *id)
{
	struct index_ring *from = NULL;
	s64 pos = 0;
	ssize_t len = receive_by_level(q, to, index, &from, &pos);

	if (likely(len > 0))
		*id = mpmcq_delivery_id(q, from, pos);
	return len;
}

/**
 * mpmcq_receive_now() - take one message, copy it and free its slot, in the usual case
 * @q: the queue
 * @to: where the message goes
 *
 * That is as in mpmcq_claim_ready_fast().
 *
 * Return: length of the message; 0 if it is not that case, and then mpmcq_receive() is
 * to be called; -EFAULT, or -EINTR if a fatal signal came while pages were fetched.
 * Context: may sleep if pages of @to are missing.
 */
ssize_t mpmcq_receive_now(struct mpmcq_queue *q, struct iov_iter *to)
{
	ssize_t len;
	u32 index;
	s64 pos;

	if (unlikely(q->lower))
		return receive_by_level_now(q, to);
	len = receive_ready(q, to, &index, &pos);
	if (likely(len > 0))
		mpmcq_free_one(q, index);
	return len;
}

/**
 * mpmcq_receive_kept_now() - take one message and copy it, in the usual case
 * @q: the queue
 * @to: where the message goes
 * @index: where to say which it was
 * @id: where to name the delivery
 *
 * As mpmcq_receive_now(), but the message is left in the caller's hands, to be kept.
 *
 * Return, context: as mpmcq_receive_now().
 */
ssize_t mpmcq_receive_kept_now(struct mpmcq_queue *q, struct iov_iter *to,
			       u32 *index, u64 *id)
{
	ssize_t len;
	s64 pos;

	if (unlikely(q->lower))
		return receive_by_level_kept(q, to, index, id);
	len = receive_ready(q, to, index, &pos);
	if (likely(len > 0))
		*id = mpmcq_delivery_id(q, &q->ready, pos);
	return len;
}

/**
 * mpmcq_receive() - take one message and copy it
 * @q: the queue
 * @to: where the message goes
 * @claim: @wait_ms, @dead, @held and @index; the rest is set here
 *
 * The message is left in the caller's hands, to be freed or kept.
 *
 * Return: length of the message; 0 if @to has no room at all, or if the queue is closed
 * and no message will come: then there is none; -EMSGSIZE if it
 * has less than the next message needs; -EAGAIN if the queue is empty for
 * longer than it may wait; -EDEADLK as mpmcq_claim_messages(); -ERESTARTSYS, with a limit -EINTR,
 * if a signal came while waiting; -EFAULT, or -EINTR if a fatal signal came while pages were
 * fetched.  After an error no message is lost.
 * Context: may sleep if it may wait, or if pages of @to are missing.
 */
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim)
{
	const struct mpmcq_slot *slot;
	int ret;
	u32 len;

	claim->room = min_t(size_t, iov_iter_count(to), q->config.msg_size);
	if (!claim->room)
		return 0;
	claim->header = 0;
	claim->align = 1;
	claim->max = 1;
	claim->holds = NULL;
	ret = mpmcq_try_claim_messages(q, claim);
	if (ret == -EAGAIN && claim->wait_ms)
		ret = mpmcq_claim_messages(q, claim);
	if (ret <= 0)
		return ret;

	slot = mpmcq_slot(q, claim->index[0]);
	len = mpmcq_len(slot);
	ret = deliver(q, slot, len, to);
	if (likely(!ret))
		return len;
	mpmcq_hand_back(q, claim, 0);
	return ret;
}
