// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting: a call that finds nothing spins, then sleeps.
 *
 * Signals come first
 * ------------------
 * A task that is about to die, to stop, to freeze or to exec has a signal pending, and a message
 * that it took then would be lost to the living.  So a waiter tests for a signal before each look:
 * in the spin, in the wait queue, and after each sleep.  A packed call tests before each further
 * batch.  A waiter with a signal leaves the wait queue as any waiter does, and passes its wake-up
 * on.
 *
 * A task that was asleep when its signal came takes nothing.  A running task may have tested just
 * before, and takes at most what this one look finds.  The looks with which a call begins, before
 * it waits, come without a test: calls make progress however many signals come.
 */

#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>

#include <linux/mpmcq.h>

#include "trace.h"
#include "wait.h"
#include "wake.h"

/*
 * How often a waiter looks again before it sleeps, if another processor may bring something
 * meanwhile.  These looks take as long as one sleep and one wake-up.
 *
 * Another task that wants this processor may be the one that is to bring it.  So a waiter sleeps at
 * once if another task is there and others sleep already.  A waiter that waits alone spins all the
 * same, until the scheduler wants the processor.  That gives the scheduler time to move the other
 * task to another processor.
 */
#define MPMCQ_SPINS	100

static bool others_wait(struct mpmcq_waiters *w)
{
	/* A guess, without a barrier: no wake-up depends on it. */
	return waitqueue_active(&w->tasks);
}

/* Looks up to MPMCQ_SPINS times more before the caller sleeps, unless there is a signal. */
static int spin(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_claim_fn fn,
		struct mpmcq_claim *claim)
{
	unsigned int spins = num_online_cpus() > 1 ? MPMCQ_SPINS : 0;
	int ret = -EAGAIN;

	while (ret == -EAGAIN && spins-- && !need_resched() && !signal_pending(current) &&
	       (single_task_running() || !others_wait(w))) {
		cpu_relax();
		ret = fn(q, claim);
	}
	return ret;
}

/* Sleeps until woken, or until a time of CLOCK_MONOTONIC; returns false if that time has come. */
static bool sleep_until(ktime_t *until)
{
	if (!until) {
		schedule();
		return true;
	}
	return schedule_hrtimeout_range(until, current->timer_slack_ns, HRTIMER_MODE_ABS);
}

/*
 * Sleeps until @fn returns something else than -EAGAIN, a signal is pending, or it is @until.  @fn
 * has the last look, but not if a signal is pending.
 */
static int sleep_and_look(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_claim_fn fn,
			  struct mpmcq_claim *claim, ktime_t *until)
{
	DEFINE_WAIT_FUNC(wait, mpmcq_pick_task);
	bool in_time = true;
	int ret;

	do {
		s64 head = index_ring_head(w->ring);

		prepare_to_wait_exclusive(&w->tasks, &wait, TASK_INTERRUPTIBLE);	/* WAIT */
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		ret = fn(q, claim);
		if (ret != -EAGAIN)
			break;
		/*
		 * If head has moved, that look may have missed what was put before the
		 * barrier.  A signal that comes from here on keeps schedule() from sleeping.
		 */
		if (index_ring_at_head(w->ring, head))
			in_time = sleep_until(until);
		else
			cond_resched();
		/*
		 * A picked task is off the wait queue.  It takes the lock of the wait queue only
		 * to enter again, and looks before that.
		 */
		ret = signal_pending(current) ? -ERESTARTSYS : fn(q, claim);
	} while (ret == -EAGAIN && in_time);
	finish_wait(&w->tasks, &wait);
	return ret;
}

/**
 * mpmcq_spin_then_wait() - wait until a look finds something
 * @q: the queue
 * @w: the side to wait on
 * @fn: the look
 * @claim: what the caller wants, and out: what it got; @wait_ms is the limit
 *
 * The caller copies after it has left the wait queue and runs again.  It calls mpmcq_pass_wakeup()
 * in any case.
 *
 * Return: as @fn; -EAGAIN if it found nothing for @wait_ms; -ERESTARTSYS if a signal came.  With a
 * limit that is -EINTR, as with sockets: a restarted call would wait anew.
 * Context: may sleep.
 */
int mpmcq_spin_then_wait(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_claim_fn fn,
			 struct mpmcq_claim *claim)
{
	bool limited = claim->wait_ms != MPMCQ_WAIT_FOREVER;
	ktime_t until = limited ? ktime_add_ms(ktime_get(), claim->wait_ms) : 0;
	int ret = spin(q, w, fn, claim);

	if (ret == -EAGAIN) {
		trace_mpmcq_block(q->number, w == &q->writers);
		atomic_inc(&w->asleep);
		ret = sleep_and_look(q, w, fn, claim, limited ? &until : NULL);
		atomic_dec(&w->asleep);
	}
	return ret == -ERESTARTSYS && limited ? -EINTR : ret;
}

/**
 * mpmcq_pass_wakeup() - wake the next waiter if work is left (wake-up chaining)
 * @q: the queue
 * @w: the side that the caller waited on
 * @is_left: whether work is left
 * @dead: argument of @is_left
 *
 * A put wakes one task, and that task may not take what it was woken for: a signal got it, the
 * message was too long for it, or it took another index and left this one behind.  A task that
 * leaves without having been woken may still have been picked.  So every waiter that leaves the
 * wait queue looks once more and wakes the next waiter if work is left.
 *
 * A picked task looks after it was picked, and so sees what was put: when it is woken; when it
 * leaves by itself, because finish_wait() acquires what list_del_init_careful() released; or when
 * it enters the wait queue again, under the lock.
 *
 * The litmus tests are WAKE+WAIT+pass-on and WAKE+WAIT+again.
 *
 * Context: process.
 */
void mpmcq_pass_wakeup(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_left_fn is_left,
		       bool dead)
{
	s64 head;

	for (;;) {
		head = index_ring_head(w->ring);
		smp_mb();	/* AGAIN */
		if (is_left(q, dead))
			break;
		/* If head has not moved since before the barrier, this look counts. */
		if (index_ring_at_head(w->ring, head))
			return;
		cond_resched();
	}
	wakes_begin();
	smp_mb();	/* WAKE */
	if (has_sleepers(w))
		mpmcq_wake_task(q, w, true);
	wakes_end();
}
