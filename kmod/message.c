// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain messages: a send copies one into a slot and publishes it, a receive takes one and copies it
 * out.
 *
 * An operation that need not sleep allocates nothing, copies once, and takes no lock except those
 * of the wait queues that it wakes.  It owns an index while it copies, so page faults are disabled.
 *
 * The copies are those without the check of hardened usercopy.  The check could only tell that a
 * slot is within the memory of all slots.  With page faults disabled most kernels do not even check
 * vmalloc memory, but spend time on it.  No length is more than msg_size: a send compares its
 * length with msg_size, and a receive has the length that was sent.
 *
 * Missing pages
 * -------------
 * A copy that falls short has to fetch pages, which may take forever: they may be on a stalled FUSE
 * mount, or under userfaultfd.
 *
 *	sender                                  receiver
 *	puts the slot back into free            keeps the message
 *	fetches pages with no slot              fetches pages, under no lock
 *	takes a slot again                      copies again
 *
 * A sender gives its slot up, because others could use that room.  A receiver keeps its message,
 * because others would take later ones first, and order would depend on whose buffer is in memory.
 *
 * A receiver whose buffer hangs costs the queue the slots of its messages, at most 64, as every
 * stopped operation does.  Readers wait for it only if they wait for the end of a closed queue,
 * writers only if all slots are held so.  After a bad address or a fatal signal the receiver puts
 * the message at the tail of returned, or of dead if it was a dead letter.
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
 * How often in a row the pages of one message are fetched before a call fails with EFAULT.  Pages
 * may be taken away again before the copy; 64 times in a row means that they can be fetched but not
 * accessed.
 */
#define MPMCQ_FAULT_TRIES	64

/*
 * Copies a message into a slot.  Returns false if pages are missing, and then @from is as before.
 *
 * Copies by the user pointer if the iterator has only one buffer: to advance the iterator, which
 * nothing needs here, takes a tenth of the time of a call.
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

/* Copies a message out of a slot, as copy_in(). */
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
 * mpmcq_try_again() - whether a sender may fetch pages and copy once more
 * @tries: how many times in a row nothing could be copied; 0 if something was
 * @wait_ms: the call's limit, as of struct mpmcq_claim
 *
 * Return: 0 if it may; -EFAULT after 64 tries; -ERESTARTSYS, with a limit -EINTR, if a signal is
 * pending.
 * Context: may sleep; the caller owns no slot.
 */
int mpmcq_try_again(unsigned int tries, u32 wait_ms)
{
	if (tries == MPMCQ_FAULT_TRIES)
		return -EFAULT;
	if (signal_pending(current))
		return wait_ms && wait_ms != MPMCQ_WAIT_FOREVER ? -EINTR : -ERESTARTSYS;
	cond_resched();
	return 0;
}

/**
 * mpmcq_fetch_pages() - fetch the pages that a receiver's copy has found missing
 * @to: the buffer
 * @bytes: how much of it the next message needs
 * @tries: in, out: how often the pages of this message were fetched
 *
 * The caller keeps its messages meanwhile, see "Missing pages" in message.c.
 *
 * Return: 0 if the caller has to copy again; -EFAULT if the address is bad, or after 64 tries;
 * -EINTR if a fatal signal is pending.
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
 * Stamps a message with the time and the opener of the sending file.  The opener, not the caller,
 * because a program whose standard error another program has put on a queue does not vouch for what
 * it writes there.
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
 * mpmcq_send_slots() - stamp and publish messages
 * @q: the queue
 * @indices: slots that the caller owns, with data and word
 * @n: how many; at least 1
 * @delay_ms: how long no reader gets them, in milliseconds; 0 unless @q has %MPMCQ_DELAY
 * @cred: credentials of the opener of the sending file
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

/* Stamps a message if the queue has stamps.  Returns the bits of its priority in the word. */
static noinline u64 mark(const struct mpmcq_queue *q, const struct mpmcq_slot *slot,
			 const struct cred *cred, u64 priority)
{
	if (q->config.flags & MPMCQ_STAMP)
		mpmcq_slot_stamp(q, slot, cred);
	return priority << MPMCQ_PRIORITY_SHIFT;
}

/**
 * mpmcq_send() - send one message
 * @q: the queue
 * @from: the message, all that is in the iterator
 * @wait_ms: for an empty slot, as of struct mpmcq_claim
 * @by: the open file
 *
 * Return: length of the message; -EINVAL if that is 0; -EMSGSIZE if it is more than the queue's
 * msg_size; -EPIPE if the queue is closed; -EAGAIN if it was full for @wait_ms; -ERESTARTSYS, with
 * a limit -EINTR, if a signal came; -EFAULT.  After an error nothing is
 * sent.
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
		ret = fault_in_iov_iter_readable(from, len) ? -EFAULT :
							      mpmcq_try_again(++tries, wait_ms);
	}
	return ret;
}

/* Fetches pages and copies, until all is copied.  Returns 0, or as mpmcq_fetch_pages(). */
static noinline int copy_out_slowly(const struct mpmcq_slot *slot, size_t len, struct iov_iter *to)
{
	unsigned int tries = 0;
	int ret;

	do {
		ret = mpmcq_fetch_pages(to, len, &tries);
	} while (!ret && !copy_out(slot, len, to));
	return ret;
}

/* Copies a message out.  If that fails, the caller still owns the message. */
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

/* Copies out the message @taken, if any, which the caller owns then.  Hands it back on failure. */
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
 * mpmcq_claim_ready_fast() with several levels.  Looks from the lowest level up.  So all higher
 * levels, and returned, were empty after the message was seen at the head of its level: the take
 * overtakes no message that was sent before to a higher level.
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

static __always_inline ssize_t receive_by_level(struct mpmcq_queue *q, struct iov_iter *to,
						u32 *index, struct index_ring **from, s64 *pos)
{
	u32 len;
	int taken = claim_by_level(q, iov_iter_count(to), from, pos, &len);

	return deliver_taken(q, taken, len, to, index);
}

/* Not inline, so that queues of one level are no slower. */
static noinline ssize_t try_receive_by_level(struct mpmcq_queue *q, struct iov_iter *to)
{
	struct index_ring *from = NULL;
	u32 index;
	s64 pos = 0;
	ssize_t len = receive_by_level(q, to, &index, &from, &pos);

	if (likely(len > 0))
		mpmcq_free_one(q, index);
	return len;
}

static noinline ssize_t try_receive_leased_by_level(struct mpmcq_queue *q, struct iov_iter *to,
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
 * mpmcq_try_receive() - receive one message and free its slot, in the usual case
 * @q: the queue
 * @to: where the message goes
 *
 * The usual case is that of mpmcq_claim_ready_fast().
 *
 * Return: length of the message; 0 in all other cases, and then the caller has to call
 * mpmcq_receive(); -EFAULT, or -EINTR if a fatal signal came while pages were fetched.
 * Context: may sleep if pages of @to are missing.
 */
ssize_t mpmcq_try_receive(struct mpmcq_queue *q, struct iov_iter *to)
{
	ssize_t len;
	u32 index;
	s64 pos;

	if (unlikely(q->lower))
		return try_receive_by_level(q, to);
	len = receive_ready(q, to, &index, &pos);
	if (likely(len > 0))
		mpmcq_free_one(q, index);
	return len;
}

/**
 * mpmcq_try_receive_leased() - receive one message and keep it, in the usual case
 * @q: the queue
 * @to: where the message goes
 * @index: out: the message, which the caller owns
 * @id: out: names the delivery
 *
 * Otherwise as mpmcq_try_receive().
 *
 * Return: as mpmcq_try_receive().
 * Context: as mpmcq_try_receive().
 */
ssize_t mpmcq_try_receive_leased(struct mpmcq_queue *q, struct iov_iter *to, u32 *index, u64 *id)
{
	ssize_t len;
	s64 pos;

	if (unlikely(q->lower))
		return try_receive_leased_by_level(q, to, index, id);
	len = receive_ready(q, to, index, &pos);
	if (likely(len > 0))
		*id = mpmcq_delivery_id(q, &q->ready, pos);
	return len;
}

/**
 * mpmcq_receive() - receive one message
 * @q: the queue
 * @to: where the message goes
 * @claim: @wait_ms, @dead, @held and @index; the rest is set here
 *
 * The caller owns the message then, and frees or keeps it.
 *
 * Return: length of the message; 0 if @to has no room at all, or if the queue is closed and no
 * message will come, and then the caller owns none; -EMSGSIZE if the next message needs more room
 * than @to has; -EAGAIN if the queue was empty for @wait_ms; -EDEADLK as mpmcq_claim_messages();
 * -ERESTARTSYS, with a limit -EINTR, if a signal came while waiting; -EFAULT, or -EINTR if a fatal
 * signal came while pages were fetched.  After an error no message is lost.
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
