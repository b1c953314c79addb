// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed format: many messages a call, each behind a struct mpmcq_msg.
 *
 * Messages go in batches.  A batch takes its indices at once, copies with page faults
 * disabled, and puts them at once; what it could not copy goes back where it came
 * from, in order, before pages are waited for.  A call waits for nothing once it has
 * moved one message.
 *
 * The copies are as in message.c, but that into a slot may be longer than msg_size, by
 * the padding and %MPMCQ_SLOT_BEHIND.
 */

#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <linux/mpmcq.h>

#include "compat.h"
#include "lease.h"
#include "message.h"
#include "packed.h"
#include "queue.h"
#include "trace.h"

#define MPMCQ_ALIGN	8

/* A slot begins like a message in the packed format. */
static_assert(sizeof(struct mpmcq_slot) == sizeof(struct mpmcq_msg));
static_assert(offsetof(struct mpmcq_slot, len) == offsetof(struct mpmcq_msg, len));
static_assert(offsetof(struct mpmcq_slot, id) == offsetof(struct mpmcq_msg, id));
static_assert(offsetof(struct mpmcq_slot, deliveries) == offsetof(struct mpmcq_msg, deliveries));

static size_t space_of(u32 len)
{
	return MPMCQ_MSG_SPACE((size_t)len);
}

/*
 * After a batch was copied by the pointer or by @iter, of which @count was left before: to
 * be left are @bytes less; if that is negative, more, by what was fetched before.
 */
static void settle_iter(struct iov_iter *iter, size_t count, ssize_t bytes)
{
	iov_iter_revert(iter, count - iov_iter_count(iter));
	if (bytes < 0)
		iov_iter_revert(iter, -bytes);
	else
		iov_iter_advance(iter, bytes);
}

/* Whether a header is right, and @rest bytes behind it enough for its message. */
static int check_header(const struct mpmcq_queue *q, const struct mpmcq_msg *msg, size_t rest)
{
	if (!msg->len || msg->flags || msg->reserved)
		return -EINVAL;
	if (msg->len > q->config.msg_size)
		return -EMSGSIZE;
	return rest < ALIGN((size_t)msg->len, MPMCQ_ALIGN) ? -EINVAL : 0;
}

/*
 * Fetches the first header and says how long its message is, which is all there.  Moves
 * on past it, or not at all if it fails.
 */
static int fetch_header(struct mpmcq_queue *q, struct iov_iter *from, u32 *len)
{
	struct mpmcq_msg msg;
	int ret;

	if (iov_iter_count(from) < sizeof(msg))
		return -EINVAL;
	if (!copy_from_iter_full(&msg, sizeof(msg), from))
		return -EFAULT;
	ret = check_header(q, &msg, iov_iter_count(from));
	if (ret)
		iov_iter_revert(from, sizeof(msg));
	*len = msg.len;
	return ret;
}

static noinline size_t copy_rest_in(struct mpmcq_slot *slot, size_t copied, size_t len,
				    const char __user *buf, struct iov_iter *from)
{
	return copied + mpmcq_copy_from(slot->data + copied, buf ? buf + copied : NULL,
					len - copied, from);
}

/*
 * Copies messages into slots, until pages are missing or a header is wrong.  The header
 * of the first has been fetched, which says it is of @len bytes.
 *
 * Each message comes with its padding and the header of the one behind it, for which a
 * slot has room: one copy for all.  If a page is missing, where it ended says little: some
 * processors load far ahead of what they store.  So what is still missing of the message
 * is tried once more by itself.
 */
static unsigned int copy_batch_in(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				  size_t len, struct iov_iter *from)
{
	const char __user *buf = mpmcq_user_buffer(from);
	size_t count = iov_iter_count(from), rest = count;
	ssize_t done = -(ssize_t)sizeof(struct mpmcq_msg);	/* the first header */
	unsigned int i = 0;

	pagefault_disable();
	for (;;) {
		struct mpmcq_slot *slot = mpmcq_slot(q, claim->index[i]);
		size_t space = space_of(len), copied;
		const struct mpmcq_msg *next = (void *)slot + space;

		copied = mpmcq_copy_from(slot->data, buf, min(space, rest), from);
		if (unlikely(copied < len))
			copied = copy_rest_in(slot, copied, len, buf, from);
		if (unlikely(copied < len))
			break;
		mpmcq_slot_fill(slot, len);
		trace_mpmcq_send(q->number, len);
		done += space;
		rest -= copied;
		if (++i == claim->n || copied < space || check_header(q, next, rest))
			break;
		len = next->len;
		if (likely(buf))
			buf += copied;
	}
	pagefault_enable();
	settle_iter(from, count, done);
	return i;
}

/*
 * Sends a batch: as many as there would be if all were as long as the first, but no
 * more than half of the free slots, or others would find the queue full for messages
 * that are not there.  Returns how many messages, 0 if pages are to be fetched first.
 */
static int send_batch(struct mpmcq_queue *q, struct iov_iter *from, bool nowait)
{
	size_t count = iov_iter_count(from);
	u32 indices[MPMCQ_BATCH], len;
	struct mpmcq_claim claim = { .nowait = nowait, .index = indices };
	unsigned int done;
	int ret = fetch_header(q, from, &len);

	if (ret < 0)
		return ret;
	claim.max = min_t(size_t, count / space_of(len), MPMCQ_BATCH);
	claim.max = clamp(index_ring_count(&q->free) / 2, 1U, claim.max);
	ret = mpmcq_claim_slots(q, &claim, from, len);
	if (ret < 0) {
		iov_iter_revert(from, sizeof(struct mpmcq_msg));
		return ret;
	}

	done = copy_batch_in(q, &claim, len, from);
	if (done)
		mpmcq_publish(q, indices, done);
	if (done == claim.n)
		return done;
	mpmcq_free(q, indices + done, claim.n - done);
	if (!done && fault_in_iov_iter_readable(from, sizeof(struct mpmcq_msg) + len))
		return -EFAULT;
	return done;
}

/*
 * Whether a call goes on after a batch of which @ret came, and not the first if @some;
 * @tries counts those in a row of which nothing came.
 */
static bool goes_on(int *ret, unsigned int *tries, bool some)
{
	if (*ret)
		*tries = 0;
	else
		*ret = mpmcq_try_again(++*tries);
	if (*ret < 0 || (some && signal_pending(current)))
		return false;
	cond_resched();
	return true;
}

/**
 * mpmcq_packed_send() - queue many messages
 * @q: the queue
 * @from: the messages, each behind its header
 * @nowait: rather fail than wait for an empty slot
 *
 * Return: bytes of the messages that were sent, with headers and padding.  If that
 * would be 0: -EINVAL if there is nothing or the first header is wrong, and
 * those of mpmcq_send().
 * Context: may sleep.
 */
ssize_t mpmcq_packed_send(struct mpmcq_queue *q, struct iov_iter *from, bool nowait)
{
	size_t all = iov_iter_count(from);
	unsigned int tries = 0;
	int ret = -EINVAL;

	while (iov_iter_count(from)) {
		bool some = iov_iter_count(from) < all;

		ret = send_batch(q, from, nowait || some);
		if (!goes_on(&ret, &tries, some))
			break;
	}
	return iov_iter_count(from) < all ? all - iov_iter_count(from) : ret;
}

/*
 * Copies messages out, with headers and padding as they lie in the slots, until pages
 * are missing.
 */
static unsigned int copy_batch_out(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				   struct iov_iter *to, bool kept)
{
	char __user *buf = mpmcq_user_buffer(to);
	size_t count = iov_iter_count(to), done = 0;
	unsigned int i;

	pagefault_disable();
	for (i = 0; i < claim->n; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(q, claim->index[i]);
		size_t space = space_of(slot->len), copied;

		slot->id = claim->id + i * MPMCQ_ID_STEP;
		slot->deliveries += kept;
		if (slot->len % MPMCQ_ALIGN)
			memset(slot->data + slot->len, 0, MPMCQ_ALIGN - slot->len % MPMCQ_ALIGN);
		copied = mpmcq_copy_to(buf ? buf + done : NULL, slot, space, to);
		slot->deliveries -= kept;
		if (copied < space)
			break;
		done += space;
		trace_mpmcq_receive(q->number, slot->len);
	}
	pagefault_enable();
	settle_iter(to, count, done);
	return i;
}

/*
 * Claims a batch, of no more than may fit, with room to hold it if it is to be held.  Who
 * waits wants one message: what room it had reserved would be lacking other reads of the
 * open file.
 */
static int claim_batch(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim,
		       struct mpmcq_holder *h, bool nowait, size_t room)
{
	int ret;

	claim->max = clamp_t(size_t, claim->room / space_of(1), 1, MPMCQ_BATCH);
	if (h)
		claim->max = mpmcq_holder_reserve(h, claim->max);
	if (!claim->max)
		return -ENOBUFS;
	ret = mpmcq_try_claim_messages(q, claim);
	if (ret == -EAGAIN && !nowait) {
		if (h)
			mpmcq_holder_unreserve(h, claim->max - 1);
		claim->max = 1;
		/* Only to keep the order, see mpmcq_receive(). */
		fault_in_iov_iter_writeable(to, min(room, space_of(q->config.msg_size)));
		claim->room = room;
		ret = mpmcq_claim_messages(q, claim);
	}
	if (h && claim->max > max(ret, 0))
		mpmcq_holder_unreserve(h, claim->max - max(ret, 0));
	return ret;
}

/* What becomes of a batch of which @done messages were copied. */
static void finish_batch(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
			 struct mpmcq_holder *h, unsigned int done)
{
	if (done) {
		mpmcq_count(q, MPMCQ_RECEIVED, done);
		if (h)
			mpmcq_holder_keep(h, claim, done, done);
		else
			mpmcq_free(q, claim->index, done);
	}
	if (done < claim->n) {
		mpmcq_hand_back(q, claim, done);
		if (h)
			mpmcq_holder_unreserve(h, claim->n - done);
	}
}

/*
 * Receives a batch.  Returns how many messages, -ENOMSG if there will be no more, 0 if
 * it is worth another try.
 */
static int receive_batch(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim,
			 struct mpmcq_holder *h, bool nowait)
{
	size_t first, room = min(iov_iter_count(to), MPMCQ_BATCH * space_of(q->config.msg_size));
	unsigned int done;
	int ret;

	do {
		ret = mpmcq_room(q, to, claim, room);
		if (ret)
			return ret;
		ret = claim_batch(q, to, claim, h, nowait, room);
		/* Or others took the message that pages were faulted in for. */
	} while (ret == -EMSGSIZE && claim->room < room);
	if (ret <= 0)
		return ret ?: -ENOMSG;

	first = space_of(mpmcq_slot(q, claim->index[0])->len);
	done = copy_batch_out(q, claim, to, h);
	finish_batch(q, claim, h, done);
	if (!done && fault_in_iov_iter_writeable(to, first))
		return -EFAULT;
	return done;
}

/**
 * mpmcq_packed_receive() - take as many messages as there are and fit
 * @q: the queue
 * @to: where they go, each behind its header
 * @claim: @nowait, @dead and @held; the rest is set here
 * @h: who holds them from then on, NULL for nobody
 *
 * Return: bytes of the messages, with headers and padding; 0 if @to has no room at
 * all, or at the end of a closed queue.  If there is no message: -ENOBUFS if @h has no
 * room, and those of mpmcq_receive().
 * Context: may sleep.
 */
ssize_t mpmcq_packed_receive(struct mpmcq_queue *q, struct iov_iter *to,
			     struct mpmcq_claim *claim, struct mpmcq_holder *h)
{
	size_t all = iov_iter_count(to);
	u32 indices[MPMCQ_BATCH];
	unsigned int tries = 0;
	int ret = 0;

	claim->index = indices;
	claim->header = sizeof(struct mpmcq_msg);
	claim->align = MPMCQ_ALIGN;
	while (iov_iter_count(to)) {
		bool some = iov_iter_count(to) < all;

		ret = receive_batch(q, to, claim, h, claim->nowait || some);
		if (!goes_on(&ret, &tries, some))
			break;
	}
	if (iov_iter_count(to) < all)
		return all - iov_iter_count(to);
	return ret == -ENOMSG ? 0 : ret;
}
