// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: a reader holds a message that it has read until it settles the message, the deadline
 * passes, or the reader's open file ends.
 *
 * Invariant: a held message is in no ring, and one entry of its holder's table owns its index.
 *
 * A task ends a lease by unlinking the entry under the holder's lock.  It owns the index then, and
 * puts it into a ring after it has released the lock.  If an acknowledgment, a deadline and a close
 * come at the same time, one of them ends the lease and the others find none.
 *
 * Each open file has its own lock.  Only calls on that file and the work of its timer take it.
 *
 * Deadlines are times of CLOCK_BOOTTIME, which advances while the machine is suspended.  The timer
 * of a holder only queues work.  The workqueue is unbound, because a bound worker would wait for
 * the processor of the timer, where the reader that misses its deadline may be looping.
 *
 * The timer is armed lazily.  All leases of a queue last equally long, and TOUCH only moves
 * deadlines later.  So the first lease arms the timer, and later leases leave it as it is, until
 * the timer's work finds that nothing is held.
 *
 * Invariant: while messages with deadlines are held, the timer is armed for a time no later than
 * the first deadline, or its work is pending or about to take the lock.
 *
 * Full holders
 * ------------
 * A holder is full when it has no room for another message.  Then poll(2) does not report its file
 * as readable, and a read fails with ENOBUFS.  Both set told_full under the lock.  An operation
 * that makes room clears told_full under the lock, and then wakes the pollers of this file if a
 * message waits.  If none waits, the next put wakes them.
 *
 * A put of one message wakes one exclusive poller.  That poller's holder may be full; then it
 * cannot take the message and chains no wake-up.  So puts wake all pollers while full_holders of
 * the queue, the number of holders with told_full, is not 0.  A holder that raises it from 0 to 1
 * wakes all pollers if a message waits already:
 *
 *	putter                          poller of a full holder
 *	puts an index                   makes full_holders 1
 *	full barrier     WAKE           full barrier     FULL
 *	reads full_holders              looks at the rings
 *
 * Impossible: the putter misses the full holder and the poller misses the message.  The litmus test
 * is WAKE+FULL.  A holder that raises the count further wakes no poller: the holder that raised it
 * from 0 sees every put that saw 0.
 *
 * Holders of dead messages do the same, with full_holders of the dead readers.
 *
 * Suspects
 * --------
 * A message that came back because its reader's file ended, or because its deadline passed, may
 * have killed or hung the reader.  So may a dead message that is revived.  Each is a suspect until
 * a reader settles it.  Only UNTRIED leaves a message what it is.
 *
 * A packed read takes a suspect alone, and only if its open file holds nothing else; a holder of a
 * suspect is full.  So the next death has one message to blame, and each other message of the pack
 * loses one delivery.  (A file that is not packed holds one message at a time anyway.)
 *
 * Several threads may read by one file.  Each read looks at in_hand before it takes messages, and
 * calls mpmcq_holder_admit() before it copies them.
 *
 * Invariant: a holder that has a suspect, held or claimed, has nothing else.
 *
 * A read is refused if another thread was admitted in between.  It hands back what it has claimed,
 * and fails as if the holder were full.
 *
 * While a file holds messages and a suspect is next, a read fails and poll(2) does not report the
 * file as readable.  Another reader may take the suspect, and then this file may take the message
 * behind it.  So the taker of a suspect wakes all pollers if full_holders is not 0.  The race is as
 * in the table above, with a take in place of the put.
 */

#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <linux/mpmcq.h>

#include "compat.h"
#include "lease.h"
#include "limits.h"
#include "look.h"
#include "put.h"
#include "queue.h"
#include "redeliver.h"
#include "wake.h"

/**
 * struct mpmcq_lease - an entry of a holder's table: a message that is held, or a spare entry
 * @held: node of the holder's @held
 * @due: node of the holder's @due, if the queue has lease_ms
 * @hash: node of a bucket, by the hash of @id; in a spare entry: node of @spare
 * @id: names the delivery
 * @deadline: when the lease ends, in CLOCK_BOOTTIME, if the queue has lease_ms
 * @index: slot of the message
 *
 * Protected by the lock of struct mpmcq_holder.
 */
struct mpmcq_lease {
	struct list_head held;
	struct list_head due;
	struct hlist_node hash;
	u64 id;
	ktime_t deadline;
	u32 index;
};

/**
 * struct mpmcq_holder - the messages that an open file holds
 * @q: the queue
 * @charge: charge of the table's memory; NULL for a table of one entry
 * @room: pollers to wake when there is room
 * @lock: protects all that follows but @max, @dead, @bits, @timer and @expiry; taken from process
 *	context only
 * @held: messages held, in the order read
 * @due: the same, in the order of their deadlines, if the queue has lease_ms
 * @spare: unused entries
 * @n: number of messages held; also read without the lock
 * @reserved: number of entries that packed reads under way will need
 * @claimed: of @reserved, number of entries with an admitted message
 * @suspect: the holder has one message, held or claimed, and that is a suspect
 * @in_hand: @n + @claimed, with %MPMCQ_SUSPECT if @suspect; also read without the lock
 * @armed: the timer is armed or its work is still to come, see above; only if the queue has
 *	lease_ms
 * @ending: the file is closed: the work must not arm the timer any more
 * @told_full: a read or poll was told that the holder is full, see above; full_holders of its side
 *	of @q counts the holder meanwhile
 * @max: number of entries; written once
 * @dead: whether the messages are dead; written once
 * @bits: binary logarithm of the number of buckets; written once
 * @buckets: messages held, by the hash of their ids
 * @timer: queues @expiry at a deadline
 * @expiry: gives overdue messages back
 * @table: the entries
 */
struct mpmcq_holder {
	struct mpmcq_queue *q;
	struct mpmcq_charge *charge;
	struct mpmcq_room *room;
	spinlock_t lock;	/* see above */
	struct list_head held;
	struct list_head due;
	struct hlist_head spare;
	u32 n;
	u32 reserved;
	u32 claimed;
	bool suspect;
	u32 in_hand;
	bool armed;
	bool ending;
	bool told_full;
	u32 max;
	bool dead;
	unsigned int bits;
	struct hlist_head *buckets;
	struct hrtimer timer;
	struct work_struct expiry;
	struct mpmcq_lease table[];
};

static struct workqueue_struct *expiry_wq;	/* written once, at load */

static ktime_t new_deadline(const struct mpmcq_queue *q)
{
	return ktime_add_ms(ktime_get_boottime(), q->config.lease_ms);
}

/* Call under the lock.  Arms the timer for the first deadline, if there is one. */
static void arm_timer(struct mpmcq_holder *h)
{
	struct mpmcq_lease *first = list_first_entry_or_null(&h->due, struct mpmcq_lease, due);

	h->armed = first && !h->ending;
	if (h->armed)
		hrtimer_start(&h->timer, first->deadline, HRTIMER_MODE_ABS);
}

static enum hrtimer_restart deadline_passed(struct hrtimer *timer)
{
	struct mpmcq_holder *h = container_of(timer, struct mpmcq_holder, timer);

	queue_work(expiry_wq, &h->expiry);
	return HRTIMER_NORESTART;
}

static struct mpmcq_waiters *side_of(const struct mpmcq_holder *h)
{
	return mpmcq_readers_of(h->q, h->dead);
}

/* Call under the lock. */
static bool is_full(const struct mpmcq_holder *h)
{
	return h->suspect || h->n + h->reserved >= h->max;
}

/* Call under the lock.  Returns true if there is no room for the next message. */
static bool has_no_room(struct mpmcq_holder *h)
{
	return is_full(h) ||
	       (!h->dead && h->n + h->claimed && mpmcq_queue_next_is_suspect(h->q));
}

/*
 * Call under the lock, after room was made.  Clears told_full if the next message has room, and
 * returns true if the caller has to call tell_room().  If that message is a suspect that has no
 * room here, its taker wakes the pollers.
 */
static bool has_to_tell(struct mpmcq_holder *h)
{
	bool tell = h->told_full && !has_no_room(h);

	if (tell) {
		h->told_full = false;
		atomic_dec(&side_of(h)->full_holders);
	}
	return tell;
}

/* Call without the lock.  Wakes the pollers that may have been told that the holder is full. */
static void tell_room(struct mpmcq_holder *h, bool tell)
{
	if (!tell || !mpmcq_queue_readable(h->q, h->dead))
		return;
	__wake_up(&h->room->pollers, TASK_INTERRUPTIBLE, 0, poll_to_key(h->q->readers.events));
	if (READ_ONCE(h->room->shared))
		mpmcq_wake_readers_pollers(h->q, h->dead);
}

/* Call under the lock, after a change of @n, @claimed or @suspect. */
static void set_in_hand(struct mpmcq_holder *h)
{
	WRITE_ONCE(h->in_hand, (h->n + h->claimed) | (h->suspect ? MPMCQ_SUSPECT : 0));
}

/* Call under the lock.  Returns the index, which the caller owns from then on. */
static u32 unlink_lease(struct mpmcq_holder *h, struct mpmcq_lease *lease)
{
	list_del(&lease->held);
	if (h->q->config.lease_ms)
		list_del(&lease->due);
	hlist_del(&lease->hash);
	hlist_add_head(&lease->hash, &h->spare);
	WRITE_ONCE(h->n, h->n - 1);
	h->suspect = false;
	set_in_hand(h);
	return lease->index;
}

static const struct mpmcq_verdict acknowledged = { .op = MPMCQ_SETTLE_ACK };

/* The deadline has passed, or the open file has ended. */
static const struct mpmcq_verdict came_back = {
	.op = MPMCQ_SETTLE_NACK, .flags = MPMCQ_SETTLE_FRONT | MPMCQ_CAME_BACK,
};

/* Dead messages stay dead, unless their holder acknowledges or revives them. */
static void settle_dead(struct mpmcq_queue *q, const u32 *indices, unsigned int n,
			struct mpmcq_verdict verdict)
{
	if (verdict.op == MPMCQ_SETTLE_ACK) {
		mpmcq_count(q, MPMCQ_ACKED, n);
		mpmcq_free(q, indices, n);
		return;
	}
	mpmcq_count(q, MPMCQ_LEASED, -(long)n);
	if (verdict.op == MPMCQ_SETTLE_REVIVE)
		mpmcq_revive_batch(q, indices, n);
	else
		mpmcq_return_dead(q, indices, n);
}

/* Call without the lock, with messages that were unlinked. */
static void settle_messages(const struct mpmcq_holder *h, const u32 *indices, unsigned int n,
			    struct mpmcq_verdict verdict)
{
	struct mpmcq_queue *q = h->q;

	if (!n)
		return;
	if (h->dead) {
		settle_dead(q, indices, n, verdict);
		return;
	}
	switch (verdict.op) {
	case MPMCQ_SETTLE_ACK:
		mpmcq_count(q, MPMCQ_ACKED, n);
		mpmcq_free(q, indices, n);
		break;
	case MPMCQ_SETTLE_NACK:
		mpmcq_count(q, MPMCQ_RETURNED, n);
		mpmcq_give_back(q, indices, n, verdict.flags, verdict.delay_ms);
		break;
	case MPMCQ_SETTLE_REJECT:
		mpmcq_count(q, MPMCQ_REJECTED, n);
		mpmcq_set_aside(q, indices, n, MPMCQ_REASON_REJECTED);
		break;
	}
}

/* Gives overdue messages back, in the order of their deadlines. */
static void expire_leases(struct work_struct *work)
{
	struct mpmcq_holder *h = container_of(work, struct mpmcq_holder, expiry);
	struct mpmcq_lease *lease, *next;
	u32 indices[MPMCQ_BATCH];
	unsigned int n;
	bool tell;

	do {
		ktime_t now = ktime_get_boottime();

		n = 0;
		spin_lock(&h->lock);
		list_for_each_entry_safe(lease, next, &h->due, due) {
			if (ktime_after(lease->deadline, now) || n == MPMCQ_BATCH)
				break;
			indices[n++] = unlink_lease(h, lease);
		}
		tell = has_to_tell(h);
		if (n < MPMCQ_BATCH)
			arm_timer(h);
		spin_unlock(&h->lock);
		settle_messages(h, indices, n, came_back);
		tell_room(h, tell);
		cond_resched();
	} while (n == MPMCQ_BATCH);
}

/**
 * mpmcq_leases_init() - make the workqueue for deadlines
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int mpmcq_leases_init(void)
{
	expiry_wq = alloc_workqueue("mpmcq", WQ_UNBOUND, 0);
	return expiry_wq ? 0 : -ENOMEM;
}

/**
 * mpmcq_leases_exit() - undo mpmcq_leases_init()
 *
 * Context: may sleep; no file is open.
 */
void mpmcq_leases_exit(void)
{
	destroy_workqueue(expiry_wq);
}

/* Returns the size of a holder with its table, and with the buckets behind the table. */
static size_t bytes_of(u32 max, unsigned int bits)
{
	size_t buckets = sizeof(struct hlist_head) << bits;

	return sizeof(struct mpmcq_holder) + max * sizeof(struct mpmcq_lease) + buckets;
}

/**
 * mpmcq_holder_create() - make the table of an open file that holds messages
 * @q: the queue; must stay until mpmcq_holder_destroy()
 * @room: pollers to wake when there is room; must stay likewise
 * @max: how many messages at a time, 1 to %MPMCQ_MAX_HELD_MAX
 * @dead: whether the messages are dead ones
 *
 * Return: the table, or an ERR_PTR: -ENOMEM, and with @max above 1 those of mpmcq_charge().
 * Context: may sleep.
 */
struct mpmcq_holder *mpmcq_holder_create(struct mpmcq_queue *q, struct mpmcq_room *room, u32 max,
					 bool dead)
{
	unsigned int bits = ilog2(roundup_pow_of_two(max + 1));
	struct mpmcq_charge *charge = NULL;
	struct mpmcq_holder *h;
	u32 i;

	/* A table of one is as small as an open file, and that is charged to no account, either. */
	if (max > 1)
		charge = mpmcq_charge(NULL, bytes_of(max, bits), 0);
	if (IS_ERR(charge))
		return ERR_CAST(charge);
	h = kvzalloc(bytes_of(max, bits), max > 1 ? MPMCQ_GFP_TABLE : GFP_KERNEL_ACCOUNT);
	if (!h) {
		mpmcq_uncharge(charge);
		return ERR_PTR(-ENOMEM);
	}
	h->q = q;
	h->charge = charge;
	h->room = room;
	h->max = max;
	h->dead = dead;
	h->bits = bits;
	h->buckets = (struct hlist_head *)(h->table + max);
	spin_lock_init(&h->lock);
	INIT_LIST_HEAD(&h->held);
	INIT_LIST_HEAD(&h->due);
	INIT_HLIST_HEAD(&h->spare);
	mpmcq_hrtimer_setup(&h->timer, deadline_passed, CLOCK_BOOTTIME, HRTIMER_MODE_ABS);
	INIT_WORK(&h->expiry, expire_leases);
	for (i = 0; i < max; i++)
		hlist_add_head(&h->table[i].hash, &h->spare);
	return h;
}

/**
 * mpmcq_holder_destroy() - give held messages back, in the order read, and free the table
 * @h: the table; no call is using it
 *
 * Context: may sleep.
 */
void mpmcq_holder_destroy(struct mpmcq_holder *h)
{
	spin_lock(&h->lock);
	h->ending = true;
	spin_unlock(&h->lock);
	/* Wait for the work: it may be giving back messages that were read before the rest. */
	hrtimer_cancel(&h->timer);
	cancel_work_sync(&h->expiry);
	mpmcq_holder_end_all(h, came_back);
	if (h->told_full)
		atomic_dec(&side_of(h)->full_holders);
	mpmcq_uncharge(h->charge);
	kvfree(h);
}

/**
 * mpmcq_holder_reserve() - reserve room for messages about to be read
 * @h: the table
 * @n: for how many messages
 *
 * Reserves no more than half of the room, rounded up: the rest is for other reads of the open file.
 *
 * Return: for how many messages, at most @n; 0 if the holder is full.  mpmcq_holder_keep() and
 * mpmcq_holder_unreserve() must use them up.
 * Context: process.
 */
u32 mpmcq_holder_reserve(struct mpmcq_holder *h, u32 n)
{
	spin_lock(&h->lock);
	n = is_full(h) ? 0 : min(n, DIV_ROUND_UP(h->max - h->n - h->reserved, 2));
	h->reserved += n;
	spin_unlock(&h->lock);
	return n;
}

/**
 * mpmcq_holder_unreserve() - give up reserved room that is not needed
 * @h: the table
 * @n: for how many messages
 *
 * Context: process.
 */
void mpmcq_holder_unreserve(struct mpmcq_holder *h, u32 n)
{
	bool tell;

	spin_lock(&h->lock);
	h->reserved -= n;
	tell = has_to_tell(h);
	spin_unlock(&h->lock);
	tell_room(h, tell);
}

/*
 * Returns true, and sets told_full, if there is no room for the next message.  @told: told_full was
 * not set before; @first: it was not set in any holder of this side.
 */
static bool look_for_room(struct mpmcq_holder *h, bool *told, bool *first)
{
	bool full, tell;

	spin_lock(&h->lock);
	full = has_no_room(h);
	*told = full && !h->told_full;
	*first = *told && atomic_inc_return(&side_of(h)->full_holders) == 1;
	h->told_full |= full;
	tell = !full && has_to_tell(h);
	spin_unlock(&h->lock);
	tell_room(h, tell);
	return full;
}

/**
 * mpmcq_holder_full() - whether there is no room for the next message
 * @h: the table
 *
 * If there is none, pollers of the file are woken when there is room again.
 *
 * Return: true if there is no room; the caller then reports that to its own caller.
 * Context: process.
 */
bool mpmcq_holder_full(struct mpmcq_holder *h)
{
	bool full, told, first;

	/*
	 * Look again after the barrier: a suspect that was next may be gone, and its taker may not
	 * have seen that this holder is full.
	 */
	while ((full = look_for_room(h, &told, &first)) && told) {
		smp_mb();	/* FULL */
		if (first && mpmcq_queue_readable(h->q, h->dead))
			mpmcq_wake_readers_pollers(h->q, h->dead);
	}
	return full;
}

/**
 * mpmcq_holder_admit() - whether a read may deliver what it has claimed
 * @h: the table
 * @claim: the messages, for which room was reserved
 *
 * Return: true if it may; then mpmcq_holder_keep() has to follow.  False if a suspect would be
 * together with another message, see "Suspects".
 * Context: process.
 */
bool mpmcq_holder_admit(struct mpmcq_holder *h, const struct mpmcq_claim *claim)
{
	bool admitted;

	spin_lock(&h->lock);
	admitted = !h->suspect && !(claim->suspect && h->n + h->claimed);
	if (admitted) {
		h->claimed += claim->n;
		h->suspect = claim->suspect;
		set_in_hand(h);
	}
	spin_unlock(&h->lock);
	return admitted;
}

/* Called by the owner of the slot.  The count stops at MPMCQ_MAX_DELIVERIES_MAX. */
static void count_delivery(struct mpmcq_queue *q, struct mpmcq_slot *slot)
{
	if (mpmcq_word_deliveries(slot->word))
		atomic64_inc(&q->redelivered);
	if (mpmcq_word_deliveries(slot->word) < MPMCQ_MAX_DELIVERIES_MAX)
		smp_store_release(&slot->word, slot->word + MPMCQ_DELIVERY);	/* LEN */
}

/* Call under the lock, with at least one spare entry. */
static void link_lease(struct mpmcq_holder *h, u64 id, u32 index)
{
	struct mpmcq_lease *lease = hlist_entry(h->spare.first, struct mpmcq_lease, hash);

	hlist_del(&lease->hash);
	hlist_add_head(&lease->hash, &h->buckets[hash_64(id, h->bits)]);
	list_add_tail(&lease->held, &h->held);
	lease->id = id;
	lease->index = index;
	WRITE_ONCE(h->n, h->n + 1);
	if (!h->dead)
		count_delivery(h->q, mpmcq_slot(h->q, index));
	if (h->q->config.lease_ms) {
		/* The clock is read under the lock, so deadlines are in the order of due. */
		lease->deadline = new_deadline(h->q);
		list_add_tail(&lease->due, &h->due);
	}
}

/**
 * mpmcq_holder_keep() - hold messages that have been delivered
 * @h: the table
 * @claim: the messages
 * @n: how many of them were delivered, from the first on; there is room for them
 * @admitted: how many of them were admitted: all; 0 for a file that has one read at a time
 *
 * Context: process.
 */
void mpmcq_holder_keep(struct mpmcq_holder *h, const struct mpmcq_claim *claim, unsigned int n,
		       u32 admitted)
{
	unsigned int i;
	bool tell;

	mpmcq_count(h->q, MPMCQ_LEASED, n);
	spin_lock(&h->lock);
	for (i = 0; i < n; i++)
		link_lease(h, claim->id + i * MPMCQ_ID_STEP, claim->index[i]);
	h->reserved -= admitted;
	h->claimed -= admitted;
	if (admitted && !n)
		h->suspect = false;
	set_in_hand(h);
	tell = has_to_tell(h);
	if (!h->armed)
		arm_timer(h);
	spin_unlock(&h->lock);
	tell_room(h, tell);
}

/**
 * mpmcq_holder_keep_next() - hold a message, and acknowledge the previous one
 * @h: the table; holds at most one message, and no other call adds one meanwhile
 * @id: names the delivery
 * @index: the message, which has been delivered
 *
 * Context: process.
 */
void mpmcq_holder_keep_next(struct mpmcq_holder *h, u64 id, u32 index)
{
	struct mpmcq_lease *before;
	u32 done = 0;

	mpmcq_count(h->q, MPMCQ_LEASED, 1);
	spin_lock(&h->lock);
	before = list_first_entry_or_null(&h->held, struct mpmcq_lease, held);
	if (before)
		done = unlink_lease(h, before);
	link_lease(h, id, index);
	set_in_hand(h);
	if (!h->armed)
		arm_timer(h);
	spin_unlock(&h->lock);
	settle_messages(h, &done, before ? 1 : 0, acknowledged);
}

/* Call under the lock. */
static struct mpmcq_lease *find_lease(struct mpmcq_holder *h, u64 id)
{
	struct mpmcq_lease *lease;

	hlist_for_each_entry(lease, &h->buckets[hash_64(id, h->bits)], hash)
		if (lease->id == id)
			return lease;
	return NULL;
}

/**
 * mpmcq_holder_len() - length of a message that is held
 * @h: the table
 * @id: names the delivery
 *
 * Return: length in bytes, or -ENOENT if it is not held.
 * Context: process.
 */
int mpmcq_holder_len(struct mpmcq_holder *h, u64 id)
{
	struct mpmcq_lease *lease;
	int len = -ENOENT;

	spin_lock(&h->lock);
	lease = find_lease(h, id);
	if (lease)
		len = mpmcq_len(mpmcq_slot(h->q, lease->index));
	spin_unlock(&h->lock);
	return len;
}

/**
 * mpmcq_holder_release() - end a lease as if the message were acknowledged
 * @h: the table
 * @id: names the delivery
 * @index: out: the message, which the caller owns from then on
 *
 * Return: true; false if the message is not held.
 * Context: process.
 */
bool mpmcq_holder_release(struct mpmcq_holder *h, u64 id, u32 *index)
{
	struct mpmcq_lease *lease;
	bool tell;

	spin_lock(&h->lock);
	lease = find_lease(h, id);
	if (lease)
		*index = unlink_lease(h, lease);
	tell = has_to_tell(h);
	spin_unlock(&h->lock);
	tell_room(h, tell);
	if (lease)
		mpmcq_count(h->q, MPMCQ_ACKED, 1);
	return lease;
}

/**
 * mpmcq_holder_end() - settle some of the messages
 * @h: the table
 * @ids: names of their deliveries
 * @n: how many, at most %MPMCQ_BATCH
 * @verdict: how to settle them; not %MPMCQ_SETTLE_TOUCH
 *
 * Return: how many of them were held.
 * Context: process.
 */
u32 mpmcq_holder_end(struct mpmcq_holder *h, const u64 *ids, u32 n, struct mpmcq_verdict verdict)
{
	u32 indices[MPMCQ_BATCH], i, found = 0;
	bool tell;

	spin_lock(&h->lock);
	for (i = 0; i < n; i++) {
		struct mpmcq_lease *lease = find_lease(h, ids[i]);

		if (lease)
			indices[found++] = unlink_lease(h, lease);
	}
	tell = has_to_tell(h);
	spin_unlock(&h->lock);
	settle_messages(h, indices, found, verdict);
	tell_room(h, tell);
	return found;
}

/**
 * mpmcq_holder_end_all() - settle all messages that are held, in the order read
 * @h: the table
 * @verdict: how to settle them; not %MPMCQ_SETTLE_TOUCH
 *
 * Return: how many it settled.
 * Context: may sleep.
 */
u32 mpmcq_holder_end_all(struct mpmcq_holder *h, struct mpmcq_verdict verdict)
{
	u32 indices[MPMCQ_BATCH], n, done = 0;
	struct mpmcq_lease *lease, *next;
	bool tell;

	for (;;) {
		n = 0;
		spin_lock(&h->lock);
		list_for_each_entry_safe(lease, next, &h->held, held) {
			/* At most max in all, because other reads may add messages meanwhile. */
			if (n == MPMCQ_BATCH || done + n == h->max)
				break;
			indices[n++] = unlink_lease(h, lease);
		}
		tell = has_to_tell(h);
		spin_unlock(&h->lock);
		settle_messages(h, indices, n, verdict);
		tell_room(h, tell);
		done += n;
		if (n < MPMCQ_BATCH)
			return done;
		cond_resched();
	}
}

/* Call under the lock. */
static void touch_lease(struct mpmcq_holder *h, struct mpmcq_lease *lease, ktime_t deadline)
{
	lease->deadline = deadline;
	if (h->q->config.lease_ms)
		list_move_tail(&lease->due, &h->due);
}

/**
 * mpmcq_holder_touch() - restart the visibility timeout (lease_ms) of some of the messages
 * @h: the table
 * @ids: names of their deliveries
 * @n: how many
 *
 * Return: how many of them were held.
 * Context: process.
 */
u32 mpmcq_holder_touch(struct mpmcq_holder *h, const u64 *ids, u32 n)
{
	u32 i, found = 0;
	ktime_t deadline;

	spin_lock(&h->lock);
	deadline = new_deadline(h->q);
	for (i = 0; i < n; i++) {
		struct mpmcq_lease *lease = find_lease(h, ids[i]);

		if (lease) {
			touch_lease(h, lease, deadline);
			found++;
		}
	}
	spin_unlock(&h->lock);
	return found;
}

/**
 * mpmcq_holder_touch_all() - restart the visibility timeout of all messages that are held
 * @h: the table
 *
 * Return: how many were held.
 * Context: process.
 */
u32 mpmcq_holder_touch_all(struct mpmcq_holder *h)
{
	struct mpmcq_lease *lease;
	ktime_t deadline;
	u32 n;

	spin_lock(&h->lock);
	deadline = new_deadline(h->q);
	list_for_each_entry(lease, &h->held, held)
		lease->deadline = deadline;
	n = h->n;
	spin_unlock(&h->lock);
	return n;
}

/**
 * mpmcq_holder_held() - where to read how many messages are held
 * @h: the table, or NULL
 *
 * Return: a pointer to the number, to be read by READ_ONCE(); NULL for NULL.
 * Context: any.
 */
const u32 *mpmcq_holder_held(const struct mpmcq_holder *h)
{
	return h ? &h->n : NULL;
}

/**
 * mpmcq_holder_in_hand() - where to read whether another message may be taken
 * @h: the table, or NULL
 *
 * Return: a pointer for @holds of struct mpmcq_claim; NULL for NULL.
 * Context: any.
 */
const u32 *mpmcq_holder_in_hand(const struct mpmcq_holder *h)
{
	return h ? &h->in_hand : NULL;
}

/**
 * mpmcq_holder_max() - how many messages may be held at a time
 * @h: the table, or NULL
 *
 * Return: the number; 0 for NULL.
 * Context: any.
 */
u32 mpmcq_holder_max(const struct mpmcq_holder *h)
{
	return h ? h->max : 0;
}
