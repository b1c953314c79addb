// SPDX-License-Identifier: GPL-2.0-only
/*
 * One message: copied into a slot and sent, received and copied out of it.
 *
 * An operation that need not sleep takes no lock but those of sleepers that it wakes,
 * allocates nothing and copies once.  It holds an index while it copies, with page
 * faults disabled, so that a page that is long in coming is waited for with empty
 * hands: the index goes back first.
 *
 * The copies are those without the check of hardened usercopy.  It could only say that
 * a slot is within the memory of all slots, and while page faults are disabled most
 * kernels do not say that of vmalloc memory, but take time for it.  No length is more
 * than msg_size: that of a send has been compared with it, and of a receive it is that
 * of what was sent.
 *
 * Order
 * -----
 * Receives take messages in the order in which sends put them.  A receive whose
 * buffer is not there hands its message back to returned and so lets others get
 * at later ones first; one that took such a later one may then take the former.
 * That is the price of holding nothing while pages are faulted in.  A reader that
 * waits hardly ever pays it: it fetches its pages before it goes to sleep.  Nor do
 * those that find messages that came back before, or are dead: one that is handed back
 * would be behind the others, so they fetch their pages first, see mpmcq_room().
 */

#include <linux/kernel.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "claim.h"
#include "compat.h"
#include "message.h"
#include "queue.h"
#include "trace.h"

/*
 * How often pages are faulted in before a call gives up.  They may be taken away again
 * before we get to copy, or another reader's message need more; so many times means
 * that they can be faulted in but not accessed.
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
 * mpmcq_try_again() - whether to go on, after a message could not be copied
 * @tries: how often that has happened in this call, or in a row
 *
 * Return: 0 if so; -EFAULT if it was too often, -ERESTARTSYS if there is a signal.
 * Context: may sleep.
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
 * mpmcq_send() - queue one message
 * @q: the queue
 * @from: the message, all that is in the iterator
 * @nowait: rather fail than wait for an empty slot
 *
 * Return: length of the message; -EINVAL if that is 0, -EMSGSIZE if it is more
 * than the queue's msg_size; -EPIPE if the queue is closed; -EAGAIN if it is full
 * and @nowait; -ERESTARTSYS if a signal came while waiting; -EFAULT.  After an error
 * nothing is sent.
 * Context: may sleep if not @nowait, or if pages of @from are missing.
 */
ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, bool nowait)
{
	size_t len = iov_iter_count(from);
	unsigned int tries = 0;
	int ret = 0;
	u32 index;

	if (!len)
		return -EINVAL;
	if (len > q->config.msg_size)
		return -EMSGSIZE;

	while (!ret) {
		ret = mpmcq_claim_slot(q, from, len, nowait);
		if (ret < 0)
			break;
		index = ret;
		if (copy_in(mpmcq_slot(q, index), len, from)) {
			mpmcq_slot_fill(mpmcq_slot(q, index), len);
			trace_mpmcq_send(q->number, len);
			mpmcq_publish_one(q, index);
			return len;
		}
		mpmcq_free_one(q, index);
		ret = fault_in_iov_iter_readable(from, len) ? -EFAULT : mpmcq_try_again(++tries);
	}
	return ret;
}

/**
 * mpmcq_room() - how much of a reader's buffer to use
 * @q: the queue
 * @to: the buffer
 * @claim: @dead and @header; @room is set here
 * @want: bytes that are of use; at most what is left of @to
 *
 * Where a message that has to be handed back would be behind others that are to
 * come after it, pages are faulted in before one is taken: for the next message, and
 * for what fits into a page.
 *
 * Return: 0; -EFAULT if not even the next message's pages can be had.
 * Context: may sleep.
 */
int mpmcq_room(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim, size_t want)
{
	size_t next, bytes;

	claim->room = want;
	if (likely(index_ring_empty(claim->dead ? &q->dead : &q->returned)))
		return 0;
	next = claim->header + ALIGN((size_t)mpmcq_queue_next_len(q, claim->dead), claim->align);
	bytes = min(want, max(next, PAGE_SIZE));
	claim->room = bytes - fault_in_iov_iter_writeable(to, bytes);
	return claim->room < min(next, want) ? -EFAULT : 0;
}

/* Copies a message out and counts it; false if pages are missing. */
static __always_inline bool deliver(struct mpmcq_queue *q, const struct mpmcq_slot *slot, u32 len,
				    struct iov_iter *to)
{
	if (!copy_out(slot, len, to))
		return false;
	mpmcq_count(q, MPMCQ_RECEIVED, 1);
	trace_mpmcq_receive(q->number, len);
	return true;
}

/* What the next two have in common: leaves the message in the caller's hands. */
static __always_inline ssize_t receive_ready(struct mpmcq_queue *q, struct iov_iter *to,
					     u32 *index, s64 *pos)
{
	int taken = mpmcq_claim_ready(q, iov_iter_count(to), pos);
	const struct mpmcq_slot *slot;
	u32 len;

	if (unlikely(taken == INDEX_RING_EMPTY))
		return 0;
	*index = taken;
	slot = mpmcq_slot(q, taken);
	len = slot->len;
	if (likely(deliver(q, slot, len, to)))
		return len;
	mpmcq_hand_back_one(q, taken);
	return 0;
}

/**
 * mpmcq_receive_now() - take one message, copy it and free its slot, in the usual case
 * @q: the queue
 * @to: where the message goes
 *
 * That is as in mpmcq_claim_ready(), and with a buffer whose pages are there.
 *
 * Return: length of the message; 0 if it is not that case, and then mpmcq_receive() is
 * to be called.
 * Context: does not sleep.
 */
ssize_t mpmcq_receive_now(struct mpmcq_queue *q, struct iov_iter *to)
{
	u32 index;
	s64 pos;
	ssize_t len = receive_ready(q, to, &index, &pos);

	if (likely(len))
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
	s64 pos;
	ssize_t len = receive_ready(q, to, index, &pos);

	if (likely(len))
		*id = mpmcq_delivery_id(q, &q->ready, pos);
	return len;
}

/**
 * mpmcq_receive() - take one message and copy it
 * @q: the queue
 * @to: where the message goes
 * @claim: @nowait, @dead, @held and @index; the rest is set here
 *
 * The message is left in the caller's hands, to be freed or kept.
 *
 * Return: length of the message; 0 if @to has no room at all, or if the queue is closed
 * and no message will come: then there is none; -EMSGSIZE if it
 * has less than the next message needs; -EAGAIN if the queue is empty and
 * nowait; -EDEADLK as mpmcq_claim_messages(); -ERESTARTSYS if a signal came while
 * waiting; -EFAULT.  After an error no message is lost.
 * Context: may sleep if not nowait, or if pages of @to are missing.
 */
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim)
{
	size_t room = min_t(size_t, iov_iter_count(to), q->config.msg_size);
	unsigned int tries = 0;
	int ret = 0;

	claim->header = 0;
	claim->align = 1;
	claim->max = 1;
	while (room && !ret) {
		struct mpmcq_slot *slot;
		u32 len;

		ret = mpmcq_room(q, to, claim, room);
		if (ret)
			break;
		ret = mpmcq_try_claim_messages(q, claim);
		if (ret == -EAGAIN && !claim->nowait) {
			/* Only to keep the order; the message may need less of it. */
			fault_in_iov_iter_writeable(to, room);
			claim->room = room;
			ret = mpmcq_claim_messages(q, claim);
		}
		if (ret == -EMSGSIZE && claim->room < room) {
			/* Others took the message that pages were faulted in for. */
			ret = 0;
			continue;
		}
		if (ret <= 0)
			break;
		slot = mpmcq_slot(q, claim->index[0]);
		len = slot->len;
		if (deliver(q, slot, len, to))
			return len;
		mpmcq_hand_back(q, claim, 0);
		ret = fault_in_iov_iter_writeable(to, len) ? -EFAULT : mpmcq_try_again(++tries);
	}
	return ret;
}
