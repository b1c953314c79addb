// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waking: the argument against lost wake-ups is in wake.h, that for wake-up chaining in wait.c.
 */

#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/poll.h>
#include <linux/sched/task.h>
#include <linux/timer.h>

#include <linux/mpmcq.h>

#include "look.h"
#include "trace.h"
#include "wake.h"

/* A task taken from a wait queue, and the flags to wake it with. */
struct picked {
	struct task_struct *task;
	int flags;
};

/**
 * mpmcq_pick_task() - wake function of waiting tasks: take the task off the wait queue
 * @entry: the task's entry
 * @mode: states to wake
 * @flags: flags of the wake-up
 * @key: struct picked, where the task is to go; NULL to wake it here
 *
 * The waker wakes the picked task after it has released the lock of the wait queue.  On a virtual
 * processor a waker may be stopped while it holds that lock, and a woken task needs the lock to
 * leave the wait queue.
 *
 * Return: 1 if the task was picked or woken, else 0.
 * Context: under the lock of the wait queue.
 */
int mpmcq_pick_task(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	struct picked *picked = key;

	/* A waker of all tasks has no place for them.  With PREEMPT_RT no waker has. */
	if (!picked)
		return autoremove_wake_function(entry, mode, flags, key);
	picked->task = get_task_struct(entry->private);
	picked->flags = flags;
	/* The last access to @entry: it is on the stack of a task that may leave from here on. */
	list_del_init_careful(&entry->entry);
	return 1;
}

/*
 * Returns true if the task was asleep, or about to sleep.  It may sleep elsewhere if it has left
 * the wait queue by itself; as with wake_up_q(), every interruptible sleep bears that.
 *
 * The entry is in no wait queue: it tells default_wake_function() of the task.  Modules have
 * no other way: wake_up_q() and wake_up_state() are not exported, and wake_up_process() would
 * end uninterruptible sleeps, and takes no flags.
 */
static bool wake_picked(const struct picked *picked)
{
	struct wait_queue_entry entry = { .private = picked->task };
	bool woken = default_wake_function(&entry, TASK_INTERRUPTIBLE, picked->flags, NULL);

	put_task_struct(picked->task);
	return woken;
}

/*
 * No other waker finds the task between the pick and the wake-up.  So interrupts stay off for both,
 * as long as wake_up() keeps them off: handlers of the network run for milliseconds.  With
 * PREEMPT_RT the pick is the wake-up: the holder of the wait queue's lock is as urgent as the
 * tasks that wait for the lock, so it is never preempted with a picked task in its hands.
 */
static __always_inline void picks_begin(unsigned long *flags)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_save(*flags);
}

static __always_inline void picks_end(unsigned long flags)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		local_irq_restore(flags);
}

/**
 * mpmcq_wake_task() - wake the task that has slept longest on one side
 * @q: the queue
 * @w: the side
 * @sync: the hint that pipes give the scheduler, too: the waker is likely to sleep soon.  For a
 *	waker that sends many messages the hint is wrong, and costs little: it only decides where
 *	the woken task runs
 *
 * A picked task may have been awake.  Then the waker picks the next.
 *
 * Context: after wakes_begin(), or a timer's.
 */
noinline void mpmcq_wake_task(struct mpmcq_queue *q, struct mpmcq_waiters *w, bool sync)
{
	struct picked picked, *key = IS_ENABLED(CONFIG_PREEMPT_RT) ? NULL : &picked;
	unsigned long flags;
	bool again;

	trace_mpmcq_wake(q->number, w == &q->writers);
	do {
		picked.task = NULL;
		picks_begin(&flags);
		if (sync)
			__wake_up_sync_key(&w->tasks, TASK_INTERRUPTIBLE, key);
		else
			__wake_up(&w->tasks, TASK_INTERRUPTIBLE, 1, key);
		again = picked.task && !wake_picked(&picked);
		picks_end(flags);
	} while (again);
}

/*
 * Returns true if a task slept and there was work for it.  No WF_SYNC hint: the interrupted task
 * is not about to sleep.
 */
static bool wake_late(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_left_fn is_left)
{
	if (!has_sleepers(w) || !is_left(q, false))
		return false;
	mpmcq_wake_task(q, w, false);
	return true;
}

/**
 * mpmcq_wake_late() - wake a task on each side if work is left there
 * @late: timer of the queue, armed by mpmcq_may_skip_wake()
 *
 * A woken task may be long in coming to a processor while others sleep.  So this wakes one more in
 * the next tick or the one after, and again in each tick while there is work and a task asleep.
 *
 * Context: a timer's.
 */
void mpmcq_wake_late(struct timer_list *late)
{
	struct mpmcq_queue *q = container_of(late, struct mpmcq_queue, late);
	bool again;

	smp_mb();	/* LATE */
	again = wake_late(q, &q->readers, mpmcq_queue_readable);
	again |= wake_late(q, &q->writers, mpmcq_slot_left);
	if (again)
		mod_timer(late, jiffies + 1);
}

/**
 * mpmcq_may_skip_wake() - whether a put needs no wake-up of its own
 * @q: the queue
 * @ring: where it put
 * @pos: the position of its first index there
 * @n: how many indices it put
 *
 * A put may skip its wake-up if, after WAKE, an index that was put earlier is at the head.  While
 * that index is in the ring, a wake-up is pending, because
 *
 *  - its putter has yet to look at head, and will wake a task or skip in its turn; or
 *  - its putter woke a task while the index was in the ring.  Of the tasks that were woken so, and
 *    of those that these woke by wake-up chaining, one has yet to look for the last time: it would
 *    have found that index and woken another; or
 *  - its putter skipped because of an earlier index.  The same is true of that, and when that was
 *    taken, this one was there to be found.
 *
 *	putter                          woken task
 *	puts an index                   sees that head has moved
 *	full barrier     WAKE           full barrier     AGAIN
 *	looks at head                   looks at the ring
 *
 * Impossible: the putter sees an earlier index at the head and the task misses the putter's index,
 * whichever task moved head.  This holds when the task leaves the wait queue, and when it finds
 * nothing and sleeps again; then the barrier is WAIT.
 *
 * No task sleeps that went to sleep while there was an index: it would have taken the index.  A
 * waker that finds the wait queue empty wakes no task: a task that sleeps then was picked by
 * another waker, which will wake it.  Before it sleeps again it enters the wait queue, where the
 * first waker had not seen it, and so sees the put: WAIT.
 *
 * Two things bound the delay.  A put does not skip when the backlog grows past a further quarter
 * of the capacity.  And a put that skips arms a timer, see mpmcq_wake_late(); the barriers LATE let
 * the putter see that the timer has gone off, or the timer see what the putter saw and put.
 *
 * With several levels of priority a put never skips: the woken task may find the earlier message in
 * another ring, or behind this one.
 *
 * The litmus tests are WAKE+AGAIN, WAKE+AGAIN+other, LATE+LATE, MOVE+WAKE+WAIT and LOOK+WAKE+WAIT.
 *
 * Return: true if the put may skip its wake-up.
 * Context: after WAKE.
 */
noinline bool mpmcq_may_skip_wake(struct mpmcq_queue *q, const struct index_ring *ring,
				  s64 pos, unsigned int n)
{
	s64 before = pos - index_ring_head(ring);
	s64 quarter = -(s64)max(q->config.capacity / 4, 1U);

	if (IS_ENABLED(CONFIG_PREEMPT_RT) || q->lower || before <= 0 ||
	    ((before - 1) & quarter) != ((before + n - 1) & quarter))
		return false;
	smp_mb();	/* LATE */
	timer_reduce(&q->late, jiffies + 1);
	return true;
}

/*
 * Whether a poller may be unable to take what was put: a full holder (see lease.c), or a sender
 * whose priority is below what may be dropped.
 */
static bool has_unable_poller(const struct mpmcq_queue *q, const struct mpmcq_waiters *w)
{
	if (w == &q->writers)
		return q->lower && q->config.flags & MPMCQ_DROP_OLDEST;
	return atomic_read(&w->full_holders);
}

/**
 * mpmcq_wake_pollers() - wake pollers after a put
 * @q: the queue
 * @w: their side
 * @n: how many indices were put
 * @end: this is the end for them, see close.c
 *
 * Each put wakes all pollers that are not exclusive, because an edge-triggered poller may have seen
 * the last put.  It wakes @n exclusive pollers, because they chain no wake-up.  It wakes all
 * exclusive ones if one of them may be unable to take what was put, and at the end.
 *
 * Context: any, after a full barrier.
 */
noinline void mpmcq_wake_pollers(struct mpmcq_queue *q, struct mpmcq_waiters *w, unsigned int n,
				 bool end)
{
	bool all = end || has_unable_poller(q, w);

	__wake_up(&w->pollers, TASK_INTERRUPTIBLE, all ? 0 : n,
		  end ? NULL : poll_to_key(w->events));
}

/**
 * mpmcq_wake_readers_pollers() - wake all that poll for messages
 * @q: the queue
 * @dead: for dead messages
 *
 * Context: any.
 */
void mpmcq_wake_readers_pollers(struct mpmcq_queue *q, bool dead)
{
	mpmcq_wake_pollers(q, mpmcq_readers_of(q, dead), 0, false);
}

/**
 * mpmcq_wake_writers_pollers() - wake all that poll for room
 * @q: the queue
 *
 * A poller that begins later sees what the caller stored before this call, by the lock of the wait
 * queue.
 *
 * Context: any.
 */
void mpmcq_wake_writers_pollers(struct mpmcq_queue *q)
{
	mpmcq_wake_pollers(q, &q->writers, 0, false);
}

/**
 * mpmcq_wake_all() - wake all tasks and pollers of a side at a close, and signal its owners
 * @q: the queue
 * @w: the side
 *
 * Context: process, after a full barrier.
 */
void mpmcq_wake_all(struct mpmcq_queue *q, struct mpmcq_waiters *w)
{
	wake_up_interruptible_all(&w->tasks);
	mpmcq_wake_pollers(q, w, 0, true);
	kill_fasync(&w->async, SIGIO, w->band);
}
