// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parked messages: what is sent or given back with a delay, until it is due.
 *
 * A parked message is in no ring.  Its index is in a tree in the order of the times, under a
 * spinlock.  A queue has a tree only if it was created with one.
 *
 * The timer only queues work.  It is armed for the first message of the tree:
 *
 *	invariant	while anything is parked, the timer is armed for a time no later than the
 *			first, or the work is pending or about to take the lock
 *
 * mpmcq_park_add() keeps it when it brings the new first one, and mpmcq_park_remove_due() when it
 * leaves one that is not due.  If it takes as many as it may, its caller calls again.
 *
 * Times are those of CLOCK_BOOTTIME, which goes on while the machine is suspended, and is set by
 * nobody.
 */

#include <linux/kernel.h>

#include "compat.h"
#include "park.h"

static struct workqueue_struct *park_wq;	/* written once, at load */

/**
 * mpmcq_parks_init() - what all queues with a delay need
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int mpmcq_parks_init(void)
{
	/* Not bound to the timer's processor, where a task may hang in a loop. */
	park_wq = alloc_workqueue("mpmcq_park", WQ_UNBOUND, 0);
	return park_wq ? 0 : -ENOMEM;
}

/**
 * mpmcq_parks_exit() - undo mpmcq_parks_init()
 *
 * Context: may sleep; there is no queue.
 */
void mpmcq_parks_exit(void)
{
	destroy_workqueue(park_wq);
}

/**
 * mpmcq_park_bytes() - memory for what may be parked
 * @capacity: how many messages
 *
 * Return: bytes.
 * Context: any.
 */
size_t mpmcq_park_bytes(u32 capacity)
{
	return sizeof(struct mpmcq_park) + capacity * sizeof(struct timerqueue_node);
}

static enum hrtimer_restart first_is_due(struct hrtimer *timer)
{
	struct mpmcq_park *p = container_of(timer, struct mpmcq_park, timer);

	queue_work(park_wq, &p->work);
	return HRTIMER_NORESTART;
}

/**
 * mpmcq_park_init() - nothing is parked
 * @p: zeroed memory of mpmcq_park_bytes()
 * @capacity: how many messages there are
 * @closings: changes when the queue is closed or reopened; odd while it is closed
 * @work: calls mpmcq_park_remove_due() until that returns less than it may
 *
 * Context: may sleep.
 */
void mpmcq_park_init(struct mpmcq_park *p, u32 capacity, const atomic_t *closings,
		     work_func_t work)
{
	u32 i;

	p->closings = closings;
	spin_lock_init(&p->lock);
	timerqueue_init_head(&p->tree);
	mpmcq_hrtimer_setup(&p->timer, first_is_due, CLOCK_BOOTTIME, HRTIMER_MODE_ABS);
	INIT_WORK(&p->work, work);
	for (i = 0; i < capacity; i++)
		timerqueue_init(&p->nodes[i]);
}

/**
 * mpmcq_park_end() - no work is under way or will be
 * @p: the messages, which stay where they are
 *
 * Context: may sleep; nobody adds or changes anything any more.
 */
void mpmcq_park_end(struct mpmcq_park *p)
{
	spin_lock(&p->lock);
	p->ending = true;
	spin_unlock(&p->lock);
	hrtimer_cancel(&p->timer);
	cancel_work_sync(&p->work);
}

/* Under the lock.  A message that comes after the work for this has run is not parked. */
static bool is_all_due(const struct mpmcq_park *p)
{
	return p->all_due && p->all_due == atomic_read(p->closings);
}

/**
 * mpmcq_park_add() - park messages
 * @p: the others
 * @indices: messages in the caller's hands
 * @n: how many
 * @delay_ms: for so long, in milliseconds
 *
 * They will be due in the order given.
 *
 * Return: true if they are parked; false if nothing is to wait just now, and then they are
 * still in the caller's hands.
 * Context: process.
 */
bool mpmcq_park_add(struct mpmcq_park *p, const u32 *indices, unsigned int n, u32 delay_ms)
{
	bool all_due, is_first = false;
	unsigned int i;
	ktime_t due;

	spin_lock(&p->lock);
	/* Under the lock, so that the same delay keeps the order. */
	due = ktime_add_ms(ktime_get_boottime(), delay_ms);
	all_due = is_all_due(p);
	for (i = 0; i < n && !all_due; i++) {
		struct timerqueue_node *node = &p->nodes[indices[i]];

		node->expires = due;
		is_first |= timerqueue_add(&p->tree, node);
		WRITE_ONCE(p->n, p->n + 1);
	}
	if (is_first)
		hrtimer_start(&p->timer, due, HRTIMER_MODE_ABS);
	spin_unlock(&p->lock);
	return !all_due;
}

/**
 * mpmcq_park_remove_due() - take messages that are due
 * @p: what is parked
 * @indices: out: the messages, now in the caller's hands, in the order of their times
 * @max: at most so many; at least 1
 *
 * Return: how many; if @max, there may be more.
 * Context: process.
 */
unsigned int mpmcq_park_remove_due(struct mpmcq_park *p, u32 *indices, unsigned int max)
{
	struct timerqueue_node *node;
	unsigned int n = 0;
	bool all_due;
	ktime_t now;

	spin_lock(&p->lock);
	now = ktime_get_boottime();
	all_due = is_all_due(p);
	while ((node = timerqueue_getnext(&p->tree)) && n < max &&
	       (all_due || !ktime_after(node->expires, now))) {
		timerqueue_del(&p->tree, node);
		WRITE_ONCE(p->n, p->n - 1);
		indices[n++] = node - p->nodes;
	}
	if (node && n < max && !p->ending)
		hrtimer_start(&p->timer, node->expires, HRTIMER_MODE_ABS);
	spin_unlock(&p->lock);
	return n;
}

/**
 * mpmcq_park_all_due() - let nothing wait
 * @p: what is parked
 * @closings: while the queue's have this value, which is odd; what comes then is not parked
 *
 * Context: process.
 */
void mpmcq_park_all_due(struct mpmcq_park *p, int closings)
{
	spin_lock(&p->lock);
	/* Another close may have been quicker, which came after a reopen. */
	if (closings - p->all_due > 0)
		p->all_due = closings;
	spin_unlock(&p->lock);
	queue_work(park_wq, &p->work);
}

/**
 * mpmcq_park_lock() - let nothing come or go, for those that follow
 * @p: what is parked
 *
 * Context: process; not to sleep before mpmcq_park_unlock().
 */
void mpmcq_park_lock(struct mpmcq_park *p) __acquires(&p->lock)
{
	spin_lock(&p->lock);
}

/**
 * mpmcq_park_unlock() - undo mpmcq_park_lock()
 * @p: what is parked
 *
 * Context: process.
 */
void mpmcq_park_unlock(struct mpmcq_park *p) __releases(&p->lock)
{
	spin_unlock(&p->lock);
}

static int index_of(const struct mpmcq_park *p, const struct timerqueue_node *node)
{
	return node ? (int)(node - p->nodes) : -ENOENT;
}

/**
 * mpmcq_park_first() - the message that is due first
 * @p: what is parked, locked
 *
 * Return: its index, or -ENOENT.
 * Context: process.
 */
int mpmcq_park_first(const struct mpmcq_park *p)
{
	return index_of(p, timerqueue_getnext((struct timerqueue_head *)&p->tree));
}

/**
 * mpmcq_park_after() - the message that is due after another
 * @p: what is parked, locked
 * @index: the other
 *
 * Return: its index, or -ENOENT.
 * Context: process.
 */
int mpmcq_park_after(const struct mpmcq_park *p, u32 index)
{
	return index_of(p, timerqueue_iterate_next((struct timerqueue_node *)&p->nodes[index]));
}

/**
 * mpmcq_park_has() - whether a message is parked
 * @p: what is parked, locked
 * @index: the message
 *
 * Context: process.
 */
bool mpmcq_park_has(const struct mpmcq_park *p, u32 index)
{
	return !RB_EMPTY_NODE(&p->nodes[index].node);
}

/**
 * mpmcq_park_left_ms() - how long a message is to wait yet
 * @p: what is parked, locked
 * @index: a message that is parked
 *
 * Return: milliseconds, rounded up; 0 if it is due.
 * Context: process.
 */
u32 mpmcq_park_left_ms(const struct mpmcq_park *p, u32 index)
{
	s64 left = ktime_sub(p->nodes[index].expires, ktime_get_boottime());

	return left > 0 ? DIV_ROUND_UP_ULL(left, NSEC_PER_MSEC) : 0;
}
