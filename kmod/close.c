// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closing and the end.
 *
 * A closed queue has ended for its readers when every index is in free or dead.  Then no message is
 * on its way, neither from a sender nor back from a lease.  The end waits for a send that saw the
 * queue open:
 *
 *	sender                  closer          receiver
 *	takes from free         closes          sees that it is closed
 *	full barrier    OPEN                    full barrier    END
 *	sees it open                            counts free
 *
 * Impossible: the receiver sees the close, the sender does not, and the receiver counts the
 * sender's index.
 *
 * The put that brings the last index home wakes those that wait for the end.  It puts the index,
 * passes the full barrier WAKE and sees that the queue is closed; or else a waiter, which saw that
 * and then passed END, has seen the index.  Of two puts that bring the last two indices home, each
 * puts, passes WAKE and counts, so at least one sees both.
 *
 * The receiver counts indices one after the other, and the queue may be reopened meanwhile.  If it
 * was, and the receiver counted an index that came home after that, then the receiver sees that the
 * queue was reopened, by STILL and the FILL and MOVE of index_ring.h.
 *
 * A close wakes those that do not look for the end, too.  A file that asks for SIGIO passes WAIT
 * and looks whether the queue is closed; the closer passes WAKE and looks for such files.  The
 * closer wakes tasks and pollers under the lock of their wait queue.  A picked task is not there:
 * the waker that picked it wakes it, and then it sees that the queue is closed, or enters the wait
 * queue in time.  A closer may be stopped before it has woken all.
 *
 * The litmus tests are OPEN+END, WAKE+END, FILL+STILL, MOVE+STILL and WAKE+WAIT+close.
 */

#include <linux/mutex.h>

#include <linux/mpmcq.h>

#include "close.h"
#include "park.h"
#include "wake.h"

/**
 * mpmcq_queue_close() - take no more messages; the queue ends when the last is gone
 * @q: the queue; may be closed already
 * @all_due: parked messages are due now, and nothing is parked until the queue is reopened
 *
 * Context: process.
 */
void mpmcq_queue_close(struct mpmcq_queue *q, bool all_due)
{
	int closings = atomic_read(&q->closings);
	bool closed;

	do {
		closed = closings & 1;
	} while (!closed &&
		 !atomic_try_cmpxchg(&q->closings, &closings, closings + 1));	/* WAKE */
	/* If it has been reopened since, or closed again, this has no effect. */
	if (all_due && q->park)
		mpmcq_park_all_due(q->park, closed ? closings : closings + 1);
	if (closed)
		return;
	/* Readers, too, for which there is no end yet: they may hold what is missing. */
	mpmcq_wake_all(q, &q->readers);
	mpmcq_wake_all(q, &q->dead_readers);
	mpmcq_wake_all(q, &q->writers);
}

/**
 * mpmcq_queue_reopen() - take messages again
 * @q: the queue; may be open already
 *
 * Wakes no task, because writers of a closed queue fail and do not wait.
 *
 * Context: process.
 */
void mpmcq_queue_reopen(struct mpmcq_queue *q)
{
	int closings = atomic_read(&q->closings);

	do {
		if (!(closings & 1))
			return;
	} while (!atomic_try_cmpxchg(&q->closings, &closings, closings + 1));
}

/**
 * mpmcq_queue_add_writer() - count an open file with write access
 * @q: the queue
 *
 * Context: may sleep.
 */
void mpmcq_queue_add_writer(struct mpmcq_queue *q)
{
	mutex_lock(&q->writers_lock);
	q->writers_open++;
	mutex_unlock(&q->writers_lock);
}

/**
 * mpmcq_queue_remove_writer() - an open file with write access is closed
 * @q: the queue; with %MPMCQ_AUTO_CLOSE it is closed if that was the last one
 *
 * Context: may sleep.
 */
void mpmcq_queue_remove_writer(struct mpmcq_queue *q)
{
	mutex_lock(&q->writers_lock);
	/* Under the lock: else this could close it after the next writer has reopened it. */
	if (!--q->writers_open && q->config.flags & MPMCQ_AUTO_CLOSE)
		mpmcq_queue_close(q, false);
	mutex_unlock(&q->writers_lock);
}

/**
 * mpmcq_queue_drained() - whether the queue is closed and no message will come
 * @q: the queue
 * @dead: whether dead messages count as well
 *
 * The queue was closed when all indices were counted: by @closings it had not been reopened since
 * before that.
 *
 * Context: any.
 */
bool mpmcq_queue_drained(struct mpmcq_queue *q, bool dead)
{
	int closings = atomic_read(&q->closings);

	if (likely(!(closings & 1)))
		return false;
	smp_mb();	/* END */
	if (!index_ring_hold_all(&q->free, dead ? NULL : &q->dead, q->config.capacity))
		return false;
	smp_rmb();	/* STILL */
	return atomic_read(&q->closings) == closings;
}
