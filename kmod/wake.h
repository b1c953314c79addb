/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Waking tasks, pollers and owners of SIGIO.
 *
 * Every put is followed by the wake-up of the side that waits for that ring.  No wake-up is lost,
 * because at least one of the two sees the other:
 *
 *	waiter (task or poller)         waker
 *	enters the wait queue           puts an index
 *	full barrier     WAIT           full barrier     WAKE
 *	looks at the ring               looks at the wait queue
 *
 * Impossible: the waiter misses the index and the waker misses the waiter.
 *
 * For tasks WAIT is the barrier in prepare_to_wait_exclusive(), and the look is the take that ends
 * the wait.  For pollers WAIT is in mpmcq_file_poll(), for owners of SIGIO in mpmcq_file_fasync().
 * The litmus tests are WAKE+WAIT+task, WAKE+WAIT+poller and WAKE+WAIT+sigio.
 */
#ifndef _MPMCQ_WAKE_H
#define _MPMCQ_WAKE_H

#include <linux/fs.h>
#include <linux/preempt.h>

#include "queue.h"

/* Those who wait for messages, or for dead ones. */
static inline struct mpmcq_waiters *mpmcq_readers_of(struct mpmcq_queue *q, bool dead)
{
	return dead ? &q->dead_readers : &q->readers;
}

/* Call after a full barrier. */
static __always_inline bool has_sleepers(struct mpmcq_waiters *w)
{
	/* A task that is not in the wait queue yet sees the put: WAIT. */
	return waitqueue_active(&w->tasks);
}

/*
 * A waker that is stopped between its put and its wake-up leaves tasks asleep.  So preemption is
 * off between wakes_begin() and wakes_end(); interrupts are not.
 *
 * With PREEMPT_RT the locks of wait queues sleep, so preemption stays on.  There a waker of low
 * priority that is preempted between its put and its wake-up leaves a waiter asleep until it runs
 * again.
 */
static __always_inline void wakes_begin(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
}

static __always_inline void wakes_end(void)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();
}

/*
 * Call after a full barrier: an owner that is not in the list yet sees the put (WAIT).  Call after
 * wakes_end(), because there may be many owners.  A waker that is preempted here signals late.
 */
static inline void mpmcq_signal_owners(struct mpmcq_waiters *w)
{
	if (READ_ONCE(w->async))
		kill_fasync(&w->async, SIGIO, w->band);
}

int mpmcq_pick_task(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key);
void mpmcq_wake_task(struct mpmcq_queue *q, struct mpmcq_waiters *w, bool sync);
void mpmcq_wake_late(struct timer_list *late);
bool mpmcq_may_skip_wake(struct mpmcq_queue *q, const struct index_ring *ring, s64 pos,
			 unsigned int n);
void mpmcq_wake_pollers(struct mpmcq_queue *q, struct mpmcq_waiters *w, unsigned int n, bool end);
void mpmcq_wake_readers_pollers(struct mpmcq_queue *q, bool dead);
void mpmcq_wake_writers_pollers(struct mpmcq_queue *q);
void mpmcq_wake_all(struct mpmcq_queue *q, struct mpmcq_waiters *w);

#endif /* _MPMCQ_WAKE_H */
