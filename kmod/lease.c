// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: messages that a reader has read and keeps until it says what becomes of them,
 * until their time is up, or until the reader is gone.
 *
 * A message that is held is in no ring: its index is in the hands of an entry of its
 * holder's table.  Whoever unlinks the entry, under the holder's lock, has the
 * index then and puts it into a ring, without the lock.  So of an acknowledgment, a
 * deadline and a close that come at the same time one ends the lease, and the others
 * find none.
 *
 * The lock is one open file's own.  Nobody else ever waits for it.
 */

#include <linux/err.h>
#include <linux/hash.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include "lease.h"
#include "limits.h"
#include "queue.h"

/**
 * struct mpmcq_lease - a message that is held, or room for one
 * @held: among those held, in the order read
 * @due: among those held, in the order of @deadline, if the queue has lease_ms
 * @hash: among those held with the same hash of @id; or among the spare ones
 * @id: names the delivery
 * @deadline: when it is to be given back, in jiffies, if the queue has lease_ms
 * @index: where the message is
 *
 * Protected by the lock of struct mpmcq_holder.
 */
struct mpmcq_lease {
	struct list_head held;
	struct list_head due;
	struct hlist_node hash;
	u64 id;
	u64 deadline;
	u32 index;
};

/**
 * struct mpmcq_holder - the messages that a reader holds
 * @q: the queue
 * @user: on whose account the table is
 * @lock: protects all that follows but @max, @bits and @expiry; taken from process
 *	context only
 * @held: messages held, in the order read
 * @due: the same, in the order of their deadlines, if the queue has lease_ms
 * @spare: unused entries
 * @n: messages held; also read without the lock
 * @reserved: entries that packed reads under way will need
 * @max: number of entries
 * @bits: binary logarithm of the number of buckets
 * @buckets: messages held, by the hash of their ids
 * @expiry: gives back what is overdue; pending while messages are held, if the queue
 *	has lease_ms
 * @table: the entries
 */
struct mpmcq_holder {
	struct mpmcq_queue *q;
	struct mpmcq_user *user;
	spinlock_t lock;	/* see above */
	struct list_head held;
	struct list_head due;
	struct hlist_head spare;
	u32 n;
	u32 reserved;
	u32 max;
	unsigned int bits;
	struct hlist_head *buckets;
	struct delayed_work expiry;
	struct mpmcq_lease table[];
};

static u64 deadline_from_now(const struct mpmcq_queue *q)
{
	/* The jiffy under way may be nearly over. */
	return get_jiffies_64() + msecs_to_jiffies(q->config.lease_ms) + 1;
}

/* Under the lock. */
static void expire_later(struct mpmcq_holder *h)
{
	struct mpmcq_lease *first;
	u64 now = get_jiffies_64();

	if (!h->q->config.lease_ms || list_empty(&h->due))
		return;
	first = list_first_entry(&h->due, struct mpmcq_lease, due);
	schedule_delayed_work(&h->expiry, first->deadline > now ? first->deadline - now : 0);
}

/* Under the lock: the index is in the caller's hands then. */
static u32 unlink_lease(struct mpmcq_holder *h, struct mpmcq_lease *lease)
{
	list_del(&lease->held);
	if (h->q->config.lease_ms)
		list_del(&lease->due);
	hlist_del(&lease->hash);
	hlist_add_head(&lease->hash, &h->spare);
	WRITE_ONCE(h->n, h->n - 1);
	return lease->index;
}

/* Without the lock: what becomes of messages that were unlinked. */
static void settle_messages(struct mpmcq_queue *q, const u32 *indices, unsigned int n,
			    enum mpmcq_verdict verdict)
{
	if (!n)
		return;
	switch (verdict) {
	case MPMCQ_ACK:
		mpmcq_count(q, MPMCQ_ACKED, n);
		mpmcq_free(q, indices, n);
		break;
	case MPMCQ_NACK:
	case MPMCQ_NACK_FRONT:
		mpmcq_count(q, MPMCQ_RETURNED, n);
		mpmcq_give_back(q, indices, n, verdict == MPMCQ_NACK_FRONT);
		break;
	case MPMCQ_REJECT:
		mpmcq_count(q, MPMCQ_REJECTED, n);
		mpmcq_set_aside(q, indices, n);
		break;
	}
}

/* Gives back what is overdue, in the order of the deadlines. */
static void expire_leases(struct work_struct *work)
{
	struct mpmcq_holder *h = container_of(work, struct mpmcq_holder, expiry.work);
	struct mpmcq_lease *lease, *next;
	u32 indices[MPMCQ_BATCH];
	unsigned int n;

	do {
		u64 now = get_jiffies_64();

		n = 0;
		spin_lock(&h->lock);
		list_for_each_entry_safe(lease, next, &h->due, due) {
			if (lease->deadline > now || n == MPMCQ_BATCH)
				break;
			indices[n++] = unlink_lease(h, lease);
		}
		spin_unlock(&h->lock);
		settle_messages(h->q, indices, n, MPMCQ_NACK_FRONT);
		cond_resched();
	} while (n == MPMCQ_BATCH);

	spin_lock(&h->lock);
	expire_later(h);
	spin_unlock(&h->lock);
}

/* The table, and the buckets behind it. */
static size_t bytes_of(u32 max, unsigned int bits)
{
	size_t buckets = sizeof(struct hlist_head) << bits;

	return sizeof(struct mpmcq_holder) + max * sizeof(struct mpmcq_lease) + buckets;
}

/**
 * mpmcq_holder_create() - let a reader hold messages
 * @q: the queue; must stay until mpmcq_holder_destroy()
 * @max: how many at a time; 1 to %MPMCQ_MAX_HELD_MAX
 *
 * Return: the table, or an ERR_PTR: -ENOMEM, and those of mpmcq_charge().
 * Context: may sleep.
 */
struct mpmcq_holder *mpmcq_holder_create(struct mpmcq_queue *q, u32 max)
{
	unsigned int bits = ilog2(roundup_pow_of_two(max + 1));
	struct mpmcq_user *user = mpmcq_charge(bytes_of(max, bits), 0, true);
	struct mpmcq_holder *h;
	u32 i;

	if (IS_ERR(user))
		return ERR_CAST(user);
	h = kvzalloc(bytes_of(max, bits), MPMCQ_GFP);
	if (!h) {
		mpmcq_uncharge(user, bytes_of(max, bits), 0);
		return ERR_PTR(-ENOMEM);
	}
	h->q = q;
	h->user = user;
	h->max = max;
	h->bits = bits;
	h->buckets = (struct hlist_head *)(h->table + max);
	spin_lock_init(&h->lock);
	INIT_LIST_HEAD(&h->held);
	INIT_LIST_HEAD(&h->due);
	INIT_HLIST_HEAD(&h->spare);
	INIT_DELAYED_WORK(&h->expiry, expire_leases);
	for (i = 0; i < max; i++)
		hlist_add_head(&h->table[i].hash, &h->spare);
	return h;
}

/**
 * mpmcq_holder_destroy() - give back what is held, in the order read
 * @h: the table; no read is under way
 *
 * Context: may sleep.
 */
void mpmcq_holder_destroy(struct mpmcq_holder *h)
{
	cancel_delayed_work_sync(&h->expiry);
	mpmcq_holder_end_all(h, MPMCQ_NACK_FRONT);
	mpmcq_uncharge(h->user, bytes_of(h->max, h->bits), 0);
	kvfree(h);
}

/**
 * mpmcq_holder_reserve() - keep room for messages about to be read
 * @h: the table
 * @n: for how many
 *
 * Half of what room there was is left to other reads of the open file.
 *
 * Return: for how many, at most @n; 0 if there is no room at all; to be used up by
 * mpmcq_holder_keep() and mpmcq_holder_unreserve().
 * Context: process.
 */
u32 mpmcq_holder_reserve(struct mpmcq_holder *h, u32 n)
{
	spin_lock(&h->lock);
	n = min(n, DIV_ROUND_UP(h->max - h->n - h->reserved, 2));
	h->reserved += n;
	spin_unlock(&h->lock);
	return n;
}

/**
 * mpmcq_holder_unreserve() - give up room that is not needed
 * @h: the table
 * @n: for how many messages
 *
 * Context: process.
 */
void mpmcq_holder_unreserve(struct mpmcq_holder *h, u32 n)
{
	spin_lock(&h->lock);
	h->reserved -= n;
	spin_unlock(&h->lock);
}

/* Under the lock: there is a spare entry. */
static void link_lease(struct mpmcq_holder *h, u64 id, u32 index)
{
	struct mpmcq_lease *lease = hlist_entry(h->spare.first, struct mpmcq_lease, hash);

	hlist_del(&lease->hash);
	hlist_add_head(&lease->hash, &h->buckets[hash_64(id, h->bits)]);
	list_add_tail(&lease->held, &h->held);
	lease->id = id;
	lease->index = index;
	WRITE_ONCE(h->n, h->n + 1);
	mpmcq_slot(h->q, index)->deliveries++;
	if (h->q->config.lease_ms) {
		/* Under the lock, so that they are in the order of due. */
		lease->deadline = deadline_from_now(h->q);
		list_add_tail(&lease->due, &h->due);
	}
}

/**
 * mpmcq_holder_keep() - hold messages that have been delivered
 * @h: the table
 * @claim: the messages
 * @n: how many of them, from the first on; there is room for them
 * @reserved: for how many of them it was reserved
 *
 * Context: process.
 */
void mpmcq_holder_keep(struct mpmcq_holder *h, const struct mpmcq_claim *claim, unsigned int n,
		       u32 reserved)
{
	unsigned int i;

	mpmcq_count(h->q, MPMCQ_LEASED, n);
	spin_lock(&h->lock);
	for (i = 0; i < n; i++)
		link_lease(h, claim->id + i * MPMCQ_ID_STEP, claim->index[i]);
	h->reserved -= reserved;
	expire_later(h);
	spin_unlock(&h->lock);
}

/**
 * mpmcq_holder_keep_next() - hold a message, and acknowledge the one before
 * @h: the table; holds one message at most, and no other call is about to add one
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
	expire_later(h);
	spin_unlock(&h->lock);
	settle_messages(h->q, &done, before ? 1 : 0, MPMCQ_ACK);
}

/* Under the lock. */
static struct mpmcq_lease *find_lease(struct mpmcq_holder *h, u64 id)
{
	struct mpmcq_lease *lease;

	hlist_for_each_entry(lease, &h->buckets[hash_64(id, h->bits)], hash)
		if (lease->id == id)
			return lease;
	return NULL;
}

/**
 * mpmcq_holder_end() - say what becomes of some of the messages
 * @h: the table
 * @ids: names of their deliveries
 * @n: how many, at most %MPMCQ_BATCH
 * @verdict: what becomes of them
 *
 * Return: how many of them were held.
 * Context: process.
 */
u32 mpmcq_holder_end(struct mpmcq_holder *h, const u64 *ids, u32 n, enum mpmcq_verdict verdict)
{
	u32 indices[MPMCQ_BATCH], i, found = 0;

	spin_lock(&h->lock);
	for (i = 0; i < n; i++) {
		struct mpmcq_lease *lease = find_lease(h, ids[i]);

		if (lease)
			indices[found++] = unlink_lease(h, lease);
	}
	spin_unlock(&h->lock);
	settle_messages(h->q, indices, found, verdict);
	return found;
}

/**
 * mpmcq_holder_end_all() - say what becomes of all messages that are held
 * @h: the table
 * @verdict: what becomes of them, in the order read
 *
 * Return: how many there were.
 * Context: may sleep.
 */
u32 mpmcq_holder_end_all(struct mpmcq_holder *h, enum mpmcq_verdict verdict)
{
	u32 indices[MPMCQ_BATCH], n, done = 0;
	struct mpmcq_lease *lease, *next;

	for (;;) {
		n = 0;
		spin_lock(&h->lock);
		list_for_each_entry_safe(lease, next, &h->held, held) {
			/* Other reads may go on holding messages meanwhile. */
			if (n == MPMCQ_BATCH || done + n == h->max)
				break;
			indices[n++] = unlink_lease(h, lease);
		}
		spin_unlock(&h->lock);
		settle_messages(h->q, indices, n, verdict);
		done += n;
		if (n < MPMCQ_BATCH)
			return done;
		cond_resched();
	}
}

/* Under the lock. */
static void touch_lease(struct mpmcq_holder *h, struct mpmcq_lease *lease, u64 deadline)
{
	lease->deadline = deadline;
	if (h->q->config.lease_ms)
		list_move_tail(&lease->due, &h->due);
}

/**
 * mpmcq_holder_touch() - let the time of some of the messages start anew
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
	u64 deadline;

	spin_lock(&h->lock);
	deadline = deadline_from_now(h->q);
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
 * mpmcq_holder_touch_all() - let the time of all messages that are held start anew
 * @h: the table
 *
 * Return: how many there were.
 * Context: process.
 */
u32 mpmcq_holder_touch_all(struct mpmcq_holder *h)
{
	struct mpmcq_lease *lease;
	u64 deadline;
	u32 n;

	spin_lock(&h->lock);
	deadline = deadline_from_now(h->q);
	list_for_each_entry(lease, &h->held, held)
		lease->deadline = deadline;
	n = h->n;
	spin_unlock(&h->lock);
	return n;
}

/**
 * mpmcq_holder_held() - where to see how many messages are held
 * @h: the table, or NULL
 *
 * Return: the place, to be read by READ_ONCE(), or NULL.
 * Context: any.
 */
const u32 *mpmcq_holder_held(const struct mpmcq_holder *h)
{
	return h ? &h->n : NULL;
}

/**
 * mpmcq_holder_max() - how many messages may be held
 * @h: the table, or NULL
 *
 * Context: any.
 */
u32 mpmcq_holder_max(const struct mpmcq_holder *h)
{
	return h ? h->max : 0;
}
