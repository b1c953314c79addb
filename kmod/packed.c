// SPDX-License-Identifier: GPL-2.0-only
/*
 * The packed format: many messages a call, each behind a struct mpmcq_msg.
 *
 * Messages go in batches of at most 64.  A batch takes its indices at once, copies with page faults
 * disabled, and puts its indices at once.  If pages are missing, a sender puts the remaining slots
 * back, and a receiver keeps its messages: see "Missing pages" in message.c.  Once a call has moved
 * one message it waits for no other, and for no slot.
 *
 * Short messages in a single buffer are copied word by word, and user access is opened once for a
 * run of them, because opening and closing it takes longer than such a copy.  No function may be
 * called while it is open.  All other messages are copied by the iterator, one by one.  So is the
 * message that ends a run, because it is long, or wrong, or its pages are missing.
 */

#include <linux/cred.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/uidgid.h>
#include <linux/uio.h>

#include <linux/mpmcq.h>

#include "claim.h"
#include "compat.h"
#include "lease.h"
#include "message.h"
#include "packed.h"
#include "put.h"
#include "queue.h"
#include "trace.h"

#define MPMCQ_ALIGN	8

/*
 * Longest short message, in bytes: the default msg_size.  In emulation messages of that length go
 * 1.4 times as fast by words.  For longer ones processors have something faster than words.
 */
#define MPMCQ_SHORT	1024U

static __always_inline size_t padded(u32 len)
{
	return ALIGN((size_t)len, MPMCQ_ALIGN);
}

static __always_inline size_t space_of(u32 len)
{
	return MPMCQ_MSG_SPACE((size_t)len);
}

/* The same with headers of @header bytes. */
static size_t space_with(u32 header, u32 len)
{
	return header + padded(len);
}

static u32 header_size(const struct mpmcq_caller *by)
{
	return by->meta ? sizeof(struct mpmcq_meta) : sizeof(struct mpmcq_msg);
}

/* Returns 0 if a header is valid and its message fits the @rest bytes behind it, else an error. */
static int check_header(const struct mpmcq_queue *q, const struct mpmcq_msg *msg, size_t rest)
{
	if (!msg->len || msg->flags || msg->priority >= q->config.levels)
		return -EINVAL;
	/* Not EOPNOTSUPP: io_uring takes that of a write for EAGAIN. */
	if (msg->delay_ms && !q->park)
		return -EINVAL;
	if (msg->len > q->config.msg_size)
		return -EMSGSIZE;
	return rest < padded(msg->len) ? -EINVAL : 0;
}

/*
 * Reads the header of a complete message.  Moves on past its @header bytes, or not at all if it
 * fails.
 */
static int fetch_header(struct mpmcq_queue *q, struct iov_iter *from, u32 header,
			struct mpmcq_msg *msg)
{
	int ret;

	if (iov_iter_count(from) < header)
		return -EINVAL;
	if (!copy_from_iter_full(msg, sizeof(*msg), from))
		return -EFAULT;
	iov_iter_advance(from, header - sizeof(*msg));
	ret = check_header(q, msg, iov_iter_count(from));
	if (ret)
		iov_iter_revert(from, header);
	return ret;
}

/* Returns false if pages are missing.  Four at a time, because the loop costs more than a copy. */
static __always_inline bool get_words(void *data, const void __user *buf, size_t bytes)
{
	const unsigned long __user *from = buf;
	unsigned long *to = data;
	size_t n = bytes / sizeof(*to);

	for (; n >= 4; n -= 4, to += 4, from += 4) {
		unsafe_get_user(to[0], &from[0], missing);
		unsafe_get_user(to[1], &from[1], missing);
		unsafe_get_user(to[2], &from[2], missing);
		unsafe_get_user(to[3], &from[3], missing);
	}
	for (; n; n--, to++, from++)
		unsafe_get_user(*to, from, missing);
	return true;
missing:
	return false;
}

static __always_inline bool put_words(void __user *buf, const void *data, size_t bytes)
{
	const unsigned long *from = data;
	unsigned long __user *to = buf;
	size_t n = bytes / sizeof(*to);

	for (; n >= 4; n -= 4, to += 4, from += 4) {
		unsafe_put_user(from[0], &to[0], missing);
		unsafe_put_user(from[1], &to[1], missing);
		unsafe_put_user(from[2], &to[2], missing);
		unsafe_put_user(from[3], &to[3], missing);
	}
	for (; n; n--, to++, from++)
		unsafe_put_user(*from, to, missing);
	return true;
missing:
	return false;
}

/* Reads a header.  @more is the priority, or larger than any priority if a flag is set. */
static __always_inline bool get_header(const struct mpmcq_msg __user *from, u32 *len,
				       u32 *delay_ms, u32 *more)
{
	u16 flags;
	u8 priority;

	unsafe_get_user(*len, &from->len, missing);
	unsafe_get_user(flags, &from->flags, missing);
	unsafe_get_user(priority, &from->priority, missing);
	unsafe_get_user(*delay_ms, &from->delay_ms, missing);
	*more = flags << 8 | priority;
	return true;
missing:
	return false;
}

/* Two 32-bit fields as they lie in memory. */
static __always_inline u64 pair(u32 first, u32 second)
{
#ifdef __BIG_ENDIAN
	return (u64)first << 32 | second;
#else
	return first | (u64)second << 32;
#endif
}

/*
 * Writes the header of a message that is not dead and of the lowest priority.  Three words, because
 * a store for each field makes a packed message take 2 % more instructions (make bench-exact).
 */
static __always_inline bool put_header(struct mpmcq_msg __user *to, u32 len, u64 id,
				       u32 deliveries)
{
	u64 __user *words = (u64 __user *)to;

	unsafe_put_user(pair(len, 0), &words[0], missing);
	unsafe_put_user(id, &words[1], missing);
	unsafe_put_user(pair(deliveries, 0), &words[2], missing);
	return true;
missing:
	return false;
}

/*
 * Copies short messages into slots, from the @i-th on, and moves on past them.  Stops at a message
 * that is not short, not valid or not there, or has another priority or delay than @like.  Returns
 * its number.
 */
static unsigned int copy_short_in(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				  unsigned int i, struct iov_iter *from,
				  const struct mpmcq_msg *like)
{
	const char __user *buf = mpmcq_user_words(from);
	size_t count = iov_iter_count(from), at = 0;
	u32 longest = min(q->config.msg_size, MPMCQ_SHORT);

	if (!buf || !user_read_access_begin(buf, count))
		return i;
	for (; i < claim->n && count - at >= sizeof(struct mpmcq_msg); i++) {
		const struct mpmcq_msg __user *header = (void __user *)(buf + at);
		struct mpmcq_slot *slot = mpmcq_slot(q, claim->index[i]);
		u32 len, delay, more;

		if (!get_header(header, &len, &delay, &more) || !len || len > longest ||
		    more != like->priority || delay != like->delay_ms || count - at < space_of(len))
			break;
		mpmcq_slot_begin(slot);
		if (!get_words(slot->data, header + 1, padded(len)))
			break;
		mpmcq_slot_fill(slot, mpmcq_word(len, like->priority));
		at += space_of(len);
	}
	user_read_access_end();
	iov_iter_advance(from, at);
	return i;
}

/*
 * Copies any message with the priority and delay of @msg into a slot, moves on past it, and leaves
 * its header in @msg.  Returns false if there is none, it is not valid, or pages are missing.
 */
static bool copy_one_in(struct mpmcq_queue *q, struct mpmcq_slot *slot, struct iov_iter *from,
			u32 header, struct mpmcq_msg *msg)
{
	const struct mpmcq_msg like = *msg;
	size_t copied;

	if (fetch_header(q, from, header, msg) < 0)
		return false;
	if (msg->delay_ms != like.delay_ms || msg->priority != like.priority) {
		iov_iter_revert(from, header);
		return false;
	}
	mpmcq_slot_begin(slot);
	copied = _copy_from_iter(slot->data, msg->len, from);
	if (copied < msg->len) {
		iov_iter_revert(from, header + copied);
		return false;
	}
	iov_iter_advance(from, padded(msg->len) - msg->len);
	mpmcq_slot_fill(slot, mpmcq_word(msg->len, msg->priority));
	return true;
}

/*
 * Copies messages into slots and moves on past them; returns how many.  @msg is the header of the
 * first.  All have its priority and delay.  Each is likely to be as long as the one before.
 */
static unsigned int copy_batch_in(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				  struct iov_iter *from, u32 header, struct mpmcq_msg msg)
{
	unsigned int i = 0;

	pagefault_disable();
	while (i < claim->n) {
		if (msg.len <= MPMCQ_SHORT && header == sizeof(msg))
			i = copy_short_in(q, claim, i, from, &msg);
		if (i == claim->n ||
		    !copy_one_in(q, mpmcq_slot(q, claim->index[i]), from, header, &msg))
			break;
		i++;
	}
	pagefault_enable();
	return i;
}

/*
 * Sends a batch: as many messages as there are if all are as long as the first.  It takes no more
 * than half of the free slots, else other senders would find the queue full for messages that are
 * not there.  Returns how many messages, 0 if pages were missing and have been fetched, or an
 * error.
 */
static int send_batch(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
		      const struct mpmcq_caller *by)
{
	const u32 header = header_size(by);
	size_t count = iov_iter_count(from);
	u32 indices[MPMCQ_BATCH];
	struct mpmcq_claim claim = { .wait_ms = wait_ms, .index = indices };
	struct mpmcq_msg msg;
	unsigned int done;
	int ret = fetch_header(q, from, header, &msg);

	if (ret < 0)
		return ret;
	iov_iter_revert(from, header);
	claim.max = min_t(size_t, count / space_with(header, msg.len), MPMCQ_BATCH);
	claim.priority = msg.priority;
	claim.max = clamp(index_ring_count(&q->free) / 2, 1U, claim.max);
	ret = mpmcq_claim_slots(q, &claim, from, header + msg.len);
	if (ret < 0)
		return ret;

	done = copy_batch_in(q, &claim, from, header, msg);
	if (done)
		mpmcq_send_slots(q, indices, done, msg.delay_ms, by->cred);
	if (done == claim.n)
		return done;
	mpmcq_free(q, indices + done, claim.n - done);
	if (!done && fault_in_iov_iter_readable(from, header + msg.len))
		return -EFAULT;
	return done;
}

/**
 * mpmcq_packed_send() - send many messages
 * @q: the queue
 * @from: the messages, each behind its header
 * @wait_ms: for an empty slot, as of struct mpmcq_claim
 * @by: the open file
 *
 * Return: bytes of the messages that were sent, with headers and padding.  If that would be 0:
 * -EINVAL if there is no message or the first header is not valid, and the errors of mpmcq_send().
 * Context: may sleep.
 */
ssize_t mpmcq_packed_send(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
			  const struct mpmcq_caller *by)
{
	size_t all = iov_iter_count(from);
	unsigned int tries = 0;
	int ret = -EINVAL;

	while (iov_iter_count(from)) {
		ret = send_batch(q, from, iov_iter_count(from) < all ? 0 : wait_ms, by);
		tries = ret ? 0 : tries + 1;
		if (ret >= 0)
			ret = mpmcq_try_again(tries, wait_ms);
		if (ret)
			break;
	}
	return iov_iter_count(from) < all ? all - iov_iter_count(from) : ret;
}

/* The header of the @i-th message of a claim.  @kept: this delivery counts. */
static __always_inline struct mpmcq_msg header_of(const struct mpmcq_slot *slot,
						  const struct mpmcq_claim *claim,
						  unsigned int i, bool kept)
{
	return (struct mpmcq_msg) {
		.len = mpmcq_word_len(slot->word),
		.id = claim->id + i * MPMCQ_ID_STEP,
		.deliveries = mpmcq_word_deliveries(slot->word) + kept,
		.priority = mpmcq_word_priority(slot->word),
		.reason = (slot->word & MPMCQ_REASON) >> MPMCQ_REASON_SHIFT,
	};
}

/*
 * Copies short messages out, from the @i-th on, and moves on past them.  Stops at a message that is
 * not short, or whose pages are missing.  Returns its number.
 */
static unsigned int copy_short_out(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				   unsigned int i, struct iov_iter *to, bool kept)
{
	char __user *buf = mpmcq_user_words(to);
	size_t count = iov_iter_count(to), at = 0;

	if (!buf || !user_write_access_begin(buf, count))
		return i;
	for (; i < claim->n; i++) {
		const struct mpmcq_slot *slot = mpmcq_slot(q, claim->index[i]);
		struct mpmcq_msg __user *header = (void __user *)(buf + at);
		u32 len = mpmcq_word_len(slot->word);
		size_t whole = round_down(len, MPMCQ_ALIGN);

		/* A claim takes only what fits.  Else this would write to unchecked addresses. */
		if (len > MPMCQ_SHORT || slot->word & (MPMCQ_REASON | MPMCQ_PRIORITY) ||
		    space_of(len) > count - at)
			break;
		if (!put_header(header, len, claim->id + i * MPMCQ_ID_STEP,
				mpmcq_word_deliveries(slot->word) + kept) ||
		    !put_words(header + 1, slot->data, whole))
			break;
		if (whole < len) {
			char __user *end = (char __user *)(header + 1) + whole;

			unsafe_put_user(0ULL, (u64 __user *)end, out);
			unsafe_copy_to_user(end, slot->data + whole, len - whole, out);
		}
		at += space_of(len);
	}
out:
	user_write_access_end();
	iov_iter_advance(to, at);
	return i;
}

/**
 * mpmcq_tell_stamp() - tell when and by whom a message was sent, as struct mpmcq_meta has it
 * @q: the queue
 * @stamp: of the message, or a copy of that; not used in a queue without %MPMCQ_STAMP
 * @cred: credentials of the opener of the reading file
 * @age_ns: for the age, in nanoseconds
 * @uid: for the user id of the sender
 * @gid: for the group id of the sender
 *
 * Context: any.
 */
void mpmcq_tell_stamp(const struct mpmcq_queue *q, const struct mpmcq_stamp *stamp,
		      const struct cred *cred, u64 *age_ns, u32 *uid, u32 *gid)
{
	bool stamped = q->config.flags & MPMCQ_STAMP;

	/* The clock of the sender's processor may have been ahead. */
	*age_ns = stamped ? max_t(s64, ktime_get_boottime_ns() - stamp->sent_ns, 0) : 0;
	*uid = from_kuid_munged(cred->user_ns, stamped ? KUIDT_INIT(stamp->uid) : INVALID_UID);
	*gid = from_kgid_munged(cred->user_ns, stamped ? KGIDT_INIT(stamp->gid) : INVALID_GID);
}

/* Sets what struct mpmcq_meta has beyond struct mpmcq_msg. */
static void add_meta(struct mpmcq_queue *q, u32 index, const struct cred *cred,
		     struct mpmcq_meta *meta)
{
	const struct mpmcq_slot *slot = mpmcq_slot(q, index);

	meta->seq = mpmcq_seq(index, slot->generation);
	mpmcq_tell_stamp(q, mpmcq_stamp_of(q, slot), cred, &meta->age_ns, &meta->uid, &meta->gid);
	meta->state = slot->word & MPMCQ_SUSPECT ? MPMCQ_STATE_SUSPECT : 0;
}

/* Copies the @i-th message out and moves on past it.  Returns false if pages are missing. */
static bool copy_one_out(struct mpmcq_queue *q, const struct mpmcq_claim *claim, unsigned int i,
			 struct iov_iter *to, bool kept, const struct mpmcq_caller *by)
{
	const struct mpmcq_slot *slot = mpmcq_slot(q, claim->index[i]);
	struct mpmcq_meta meta = { .msg = header_of(slot, claim, i, kept) };
	const struct mpmcq_msg msg = meta.msg;
	size_t count = iov_iter_count(to), padding = padded(msg.len) - msg.len;

	if (by->meta)
		add_meta(q, claim->index[i], by->cred, &meta);
	if (_copy_to_iter(&meta, claim->header, to) == claim->header &&
	    _copy_to_iter(slot->data, msg.len, to) == msg.len &&
	    iov_iter_zero(padding, to) == padding)
		return true;
	iov_iter_revert(to, count - iov_iter_count(to));
	return false;
}

/*
 * Copies messages out, from the @i-th on, and moves on past them.  Stops at a message whose pages
 * are missing.  Returns its number.
 */
static unsigned int copy_batch_out(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				   unsigned int i, struct iov_iter *to, bool kept,
				   const struct mpmcq_caller *by)
{
	pagefault_disable();
	while (i < claim->n) {
		if (!by->meta && mpmcq_len(mpmcq_slot(q, claim->index[i])) <= MPMCQ_SHORT)
			i = copy_short_out(q, claim, i, to, kept);
		if (i == claim->n || !copy_one_out(q, claim, i, to, kept, by))
			break;
		i++;
	}
	pagefault_enable();
	return i;
}

/* Hands a claim back and fails if the holder may not have it beside what it has. */
static int admit_batch(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
		       struct mpmcq_holder *h)
{
	if (!mpmcq_holder_admit(h, claim)) {
		mpmcq_hand_back(q, claim, 0);
		return -ENOBUFS;
	}
	return claim->n;
}

/*
 * Claims a batch of no more messages than may fit, and reserves room for them in the holder, if
 * any.  A read that waits claims one message, because other reads of the open file would lack the
 * room that it reserves.
 */
static int claim_batch(struct mpmcq_queue *q, struct mpmcq_claim *claim, struct mpmcq_holder *h,
		       u32 wait_ms)
{
	int ret;

	claim->max = clamp_t(size_t, claim->room / space_with(claim->header, 1), 1, MPMCQ_BATCH);
	if (h)
		claim->max = mpmcq_holder_reserve(h, claim->max);
	if (!claim->max)
		return -ENOBUFS;
	ret = mpmcq_try_claim_messages(q, claim);
	if (ret == -EAGAIN && wait_ms) {
		if (h)
			mpmcq_holder_unreserve(h, claim->max - 1);
		claim->max = 1;
		ret = mpmcq_claim_messages(q, claim);
	}
	if (ret > 0 && h)
		ret = admit_batch(q, claim, h);
	if (h && claim->max > max(ret, 0))
		mpmcq_holder_unreserve(h, claim->max - max(ret, 0));
	return ret;
}

/* Keeps or frees the @done messages that were delivered, and hands the others back. */
static void finish_batch(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
			 struct mpmcq_holder *h, unsigned int done)
{
	if (h)
		mpmcq_holder_keep(h, claim, done, claim->n);
	else if (done)
		mpmcq_free(q, claim->index, done);
	if (done < claim->n)
		mpmcq_hand_back(q, claim, done);
}

/*
 * Copies a batch out, and fetches pages as long as any are missing.  Returns how many messages were
 * delivered; if not all, @ret has the error.  A fatal signal makes it 0: the reader sees none.
 */
static unsigned int deliver_batch(struct mpmcq_queue *q, const struct mpmcq_claim *claim,
				  struct iov_iter *to, bool kept, const struct mpmcq_caller *by,
				  int *ret)
{
	unsigned int i, done = 0, before, tries = 0;
	u32 len;

	for (;;) {
		before = done;
		done = copy_batch_out(q, claim, before, to, kept, by);
		if (done == claim->n)
			break;
		if (done > before)
			tries = 0;
		len = mpmcq_len(mpmcq_slot(q, claim->index[done]));
		*ret = mpmcq_fetch_pages(to, space_with(claim->header, len), &tries);
		if (*ret)
			break;
	}
	if (done < claim->n && *ret == -EINTR)
		done = 0;
	if (trace_mpmcq_receive_enabled())
		for (i = 0; i < done; i++)
			trace_mpmcq_receive(q->number, mpmcq_len(mpmcq_slot(q, claim->index[i])));
	return done;
}

/* Receives a batch.  Returns how many messages, or an error; -ENOMSG if no message will come. */
static int receive_batch(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim,
			 struct mpmcq_holder *h, u32 wait_ms, const struct mpmcq_caller *by)
{
	unsigned int done;
	int ret;

	claim->room = min(iov_iter_count(to),
			  MPMCQ_BATCH * space_with(claim->header, q->config.msg_size));
	ret = claim_batch(q, claim, h, wait_ms);
	if (ret <= 0)
		return ret ?: -ENOMSG;
	done = deliver_batch(q, claim, to, h && !claim->dead, by, &ret);
	finish_batch(q, claim, h, done);
	return done == claim->n ? done : ret;
}

/* As with sockets, a call with a timeout is not restarted. */
static int interrupted(const struct mpmcq_claim *claim)
{
	bool limited = claim->wait_ms && claim->wait_ms != MPMCQ_WAIT_FOREVER;

	return limited ? -EINTR : -ERESTARTSYS;
}

/**
 * mpmcq_packed_receive() - receive as many messages as there are and fit
 * @q: the queue
 * @to: where they go, each behind its header
 * @claim: @wait_ms, @dead and @held; the rest is set here
 * @h: holds the messages from then on; NULL if their slots are freed
 * @by: the open file
 *
 * Return: bytes of the messages, with headers and padding; 0 if @to has no room at all, or at the
 * end of a closed queue.  If there is no message: -ENOBUFS if @h has no room, or the next message
 * is a suspect and @h may not have it beside what it has; and the errors of mpmcq_receive().
 * Context: may sleep.
 */
ssize_t mpmcq_packed_receive(struct mpmcq_queue *q, struct iov_iter *to,
			     struct mpmcq_claim *claim, struct mpmcq_holder *h,
			     const struct mpmcq_caller *by)
{
	size_t all = iov_iter_count(to);
	u32 indices[MPMCQ_BATCH];
	int ret = 0;

	claim->index = indices;
	claim->header = header_size(by);
	claim->align = MPMCQ_ALIGN;
	claim->holds = mpmcq_holder_in_hand(h);
	while (iov_iter_count(to)) {
		ret = receive_batch(q, to, claim, h,
				    iov_iter_count(to) < all ? 0 : claim->wait_ms, by);
		/* Another thread may have made room since. */
		if (ret == -ENOBUFS && iov_iter_count(to) == all && !mpmcq_holder_full(h)) {
			if (signal_pending(current))
				return interrupted(claim);
			cond_resched();
			continue;
		}
		if (ret < 0 || signal_pending(current))
			break;
		cond_resched();
	}
	if (iov_iter_count(to) < all)
		return all - iov_iter_count(to);
	return ret == -ENOMSG ? 0 : ret;
}
