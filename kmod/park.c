// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parked messages: sent or given back with a delay, and not yet due.
 *
 * A parked message is in no ring.  Its index is in a tree in the order of the times, under a
 * spinlock.  A queue has a tree only if it was created with %MPMCQ_DELAY.
 *
 * The timer only queues work.
 *
 * Invariant: while any message is parked, the timer is armed for a time no later than the first, or
 * the work is pending or about to take the lock.
 *
 * mpmcq_park_add() arms the timer if it brings a new first message.  mpmcq_park_remove_due() arms
 * it if it leaves a message that is not due.  If it has taken @max, its caller calls again.
 *
 * Times are those of CLOCK_BOOTTIME, which runs on while the machine is suspended and which no user
 * sets.
 */

#include <linux/kernel.h>

#include "compat.h"
#include "park.h"

static struct workqueue_struct *park_wq;	/* written once, at load */

/**
 * mpmcq_parks_init() - make the workqueue for all parks
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
 * Context: may sleep; there is no queue any more.
 */
void mpmcq_parks_exit(void)
{
	destroy_workqueue(park_wq);
}

/**
 * mpmcq_park_bytes() - memory of a park
 * @capacity: number of slots of the queue
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
 * mpmcq_park_init() - initialise a park without messages
 * @p: zeroed memory of mpmcq_park_bytes()
 * @capacity: number of slots of the queue
 * @closings: changes when the queue is closed or reopened; odd while it is closed
 * @work: calls mpmcq_park_remove_due() until that returns less than its @max
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
 * mpmcq_park_end() - stop the timer and the work
 * @p: the park; its messages stay where they are
 *
 * Context: may sleep; no other operation uses the park any more.
 */
void mpmcq_park_end(struct mpmcq_park *p)
{
	spin_lock(&p->lock);
	p->ending = true;
	spin_unlock(&p->lock);
	hrtimer_cancel(&p->timer);
	cancel_work_sync(&p->work);
}

/* Under the lock.  While true, no message may be parked, because the work may have run already. */
static bool is_all_due(const struct mpmcq_park *p)
{
	return p->all_due && p->all_due == atomic_read(p->closings);
}

/**
 * mpmcq_park_add() - park messages
 * @p: the park
 * @indices: messages that the caller owns
 * @n: how many
 * @delay_ms: for how long, in milliseconds
 *
 * They will be due in the order given.
 *
 * Return: true if they are parked; false if all messages are due now, and then the caller still
 * owns them.
 * Context: process.
 */
bool mpmcq_park_add(struct mpmcq_park *p, const u32 *indices, unsigned int n, u32 delay_ms)
{
	bool all_due, is_first = false;
	unsigned int i;
	ktime_t due;

	spin_lock(&p->lock);
	/* Under the lock, so that equal delays keep the order. */
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
 * @p: the park
 * @indices: out: the messages, which the caller owns, in the order of their times
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
 * mpmcq_park_all_due() - make all messages due until the queue is reopened
 * @p: the park
 * @closings: the queue's value now, which is odd; while it stays so, no message is parked
 *
 * Context: process.
 */
void mpmcq_park_all_due(struct mpmcq_park *p, int closings)
{
	spin_lock(&p->lock);
	/* A later close, after a reopen, may have been here first. */
	if (closings - p->all_due > 0)
		p->all_due = closings;
	spin_unlock(&p->lock);
	queue_work(park_wq, &p->work);
}

/**
 * mpmcq_park_lock() - lock a park for the functions below
 * @p: the park
 *
 * Context: process; the caller may not sleep before mpmcq_park_unlock().
 */
void mpmcq_park_lock(struct mpmcq_park *p) __acquires(&p->lock)
{
	spin_lock(&p->lock);
}

/**
 * mpmcq_park_unlock() - undo mpmcq_park_lock()
 * @p: the park
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
 * @p: the park, locked
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
 * @p: the park, locked
 * @index: the other, which is parked
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
 * @p: the park, locked
 * @index: the message
 *
 * Context: process.
 */
bool mpmcq_park_has(const struct mpmcq_park *p, u32 index)
{
	return !RB_EMPTY_NODE(&p->nodes[index].node);
}

/**
 * mpmcq_park_left_ms() - how long until a message is due
 * @p: the park, locked
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
