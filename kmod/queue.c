// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue: slots that go round between rings, and the waiting.
 *
 *	            copy in                     copy out
 *	 free ----> sender ----> ready ------> receiver ---------> free
 *	   ^          |            ^           ^      |             ^
 *	   '- fault --'            |   returned'      '-> lease ----'
 *	                 |        NACK     ^---- fault ---' |
 *	                 |         '-------'----------------+-----> dead
 *	                 '-- delay --> parked <--- delay ---'
 *
 * What is done between the rings is in message.c, packed.c and lease.c.  Whoever is
 * stopped while it holds an index costs the queue that slot, and costs nobody any time.
 *
 * Waking
 * ------
 * Every put, into whichever ring and for whatever reason, is followed by the
 * wake of the side that waits for that ring.  Nobody is left asleep because
 * one of two must see the other:
 *
 *	waiter (task or poller)         putter
 *	enters the wait queue           puts an index
 *	full barrier     WAIT           full barrier     WAKE
 *	looks at the ring               looks at the wait queue
 *
 * For tasks WAIT is the barrier in prepare_to_wait_exclusive(), and what looks
 * at the ring is the very take that ends the wait.  For pollers it is in
 * mpmcq_file_poll(), for those who want SIGIO in mpmcq_file_fasync().
 *
 * A put wakes one task.  It picks it from the wait queue under the lock of that, and
 * wakes it when it has let go of the lock.  For where processors are virtual, the waker's
 * may be stopped in the middle; and a woken task that had to wait for that lock, as it
 * would to leave the wait queue or to enter it again, could not run either.  Nobody else
 * finds the picked task to wake it, so the waker keeps preemption and interrupts off until
 * it has.
 *
 * A picked task may have been awake, and the waker then picks the next.  And one that
 * was asleep may not take what it was woken for: a signal got it, the message was too
 * long for it, or it took another index and left this one behind.  And a task that
 * leaves without having been woken may have been in the wait queue long enough to be
 * picked.  So whoever leaves the wait queue, for whatever reason, looks once more and
 * wakes the next task if there is still something there.
 *
 * Whoever was picked looks after that, and sees what was put: when it is woken; or when it
 * leaves by itself, for finish_wait() acquires what list_del_init_careful() released; or
 * when it enters the wait queue again, under the lock.
 *
 * So one wake-up stands for all that is there when the woken task looks that last time,
 * and a put need not wake anybody if it relies on one before it: if, after WAKE, the
 * index at the head is one that was put before.  For while that is in the ring,
 *
 *  - its putter has yet to look at head, and will wake a task, which looks later, or
 *    rely in its turn; or
 *  - it woke a task, when that index was in the ring.  Of those that were woken so, and
 *    of those whom these woke, one has yet to look for the last time: it would have
 *    found that index, and wake another; or
 *  - it relied on one before it, which was in the ring then.  The same is true of that,
 *    and when it had been taken, this one was there to be found.
 *
 * Nobody sleeps who went to sleep when there was an index: he would have taken it.  And
 * who finds nobody in the wait queue wakes nobody.  Whoever sleeps then was picked by
 * another, who will wake him; and before he sleeps again he enters the wait queue, where
 * he had not been seen, and so sees what was put: WAIT.
 *
 *	putter                          woken task
 *	puts an index                   sees that head has moved
 *	full barrier     WAKE           full barrier     AGAIN
 *	looks at head                   looks at the ring
 *
 * Either the putter sees that there is no index before its own any more, or the task
 * sees the putter's; whoever moved head.  So it is when the task leaves; and when it
 * finds nothing and goes to sleep again, where the barrier is WAIT.
 *
 * A task may be long in coming to a processor while others sleep.  So when what waits
 * grows by about a further quarter of the capacity another is woken; and whoever relies
 * on others sees to it that a timer is armed, which wakes one in the next tick of the
 * clock or the one after if there is still something, and goes on doing so.  The barriers
 * LATE let the putter see that the timer has gone off, or the timer see what the putter
 * saw and put.
 *
 * The litmus tests of all this are WAKE+WAIT+task, WAKE+WAIT+poller,
 * WAKE+WAIT+sigio, WAKE+WAIT+pass-on, WAKE+WAIT+again, WAKE+AGAIN, WAKE+AGAIN+other,
 * LATE+LATE, MOVE+WAKE+WAIT and LOOK+WAKE+WAIT in Documentation/litmus-tests/.
 *
 * Between a put and its wake a waker must not be stopped, or sleepers would
 * sleep on; wakes_begin() keeps preemption away meanwhile, though not interrupts.  Not
 * so with PREEMPT_RT, where the locks of wait queues sleep: there a waker of low
 * priority that is preempted just then leaves a sleeper asleep until it runs
 * again.  So that it is never preempted with a picked task in its hands, it wakes under
 * the lock there, whose holder is as urgent as who waits for it.  A closer may be stopped
 * before it has woken all.
 *
 * Signals come first
 * ------------------
 * A task that is about to die, to stop, to freeze or to exec has a signal pending, and a
 * message that it took then would be lost to the living.  So a waiter tests for a signal before
 * each look: in the spin, in the wait queue, and after each sleep; and a packed call before each
 * further batch.  A waiter with a signal leaves the wait queue as any waiter does, and passes a
 * wake-up on.
 *
 * A task that was asleep when its signal came takes nothing.  One that was running may have
 * tested just before, and takes at most what this one look finds.  The looks with which a call
 * begins, before it waits, come without a test: calls make progress however many signals come.
 *
 * The end
 * -------
 * A closed queue has ended for its readers when every index is in free, or dead, and
 * so no message is on its way, neither from a sender nor back from a lease.  A send
 * that looked before the queue was closed is waited for:
 *
 *	sender                  closer          receiver
 *	takes from free         closes          sees that it is closed
 *	full barrier    OPEN                    full barrier    END
 *	sees it open                            counts free
 *
 * If the receiver sees what the closer did, and the sender does not, then the receiver
 * sees what the sender took.  And the one that brings the last index home wakes those
 * who wait for the end: it puts the index, passes the full barrier WAKE and sees that
 * the queue is closed, or else the waiter, who saw that and then passed END, has seen
 * the index.  Of two that bring the last two home, each puts, passes WAKE and counts, so
 * one of them at least sees both.
 *
 * Indices are counted one after the other, and a queue may be reopened meanwhile.  If
 * it was, and an index counted that came home after that, then the receiver sees that
 * the queue was reopened: STILL, and the FILL and MOVE of index_ring.h.
 *
 * Closing is not only seen by those who look for the end.  Who asks for SIGIO passes
 * WAIT and looks whether the queue is closed; who closes it passes WAKE and looks who
 * wants SIGIO.  Tasks and pollers it wakes under the lock of their wait queue, which it
 * takes in any case.  A task that is not there as it has been picked is woken by whoever
 * picked it, and sees that the queue is closed, or else enters the wait queue in time.
 *
 * The litmus tests are OPEN+END, WAKE+END, FILL+STILL, MOVE+STILL and
 * WAKE+WAIT+close.
 */

#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/irqflags.h>
#include <linux/jiffies.h>
#include <linux/kernel.h>
#include <linux/ktime.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>
#include <linux/timer.h>
#include <linux/uio.h>

#include <linux/mpmcq.h>

#include "claim.h"
#include "compat.h"
#include "park.h"
#include "queue.h"
#include "trace.h"

/*
 * How often a waiter looks again before it sleeps, if another processor may bring something
 * meanwhile.  It takes as long as one sleep and one wake-up do.
 *
 * The task that wants this processor may be the one that is to bring it.  So a waiter sleeps at
 * once if others sleep already.  One that waits alone spins all the same, which gives the
 * scheduler time to move the other task to another processor.
 */
#define MPMCQ_SPINS	100

/* After a full barrier. */
static __always_inline bool has_sleepers(struct mpmcq_waiters *w)
{
	/* Whoever is not there yet sees what it waits for: WAIT. */
	return waitqueue_active(&w->tasks);
}

/* A task taken from a wait queue, and the flags to wake it with. */
struct picked {
	struct task_struct *task;
	int flags;
};

/* The waiters' wake function, under the lock of the wait queue. */
static int pick_task(struct wait_queue_entry *entry, unsigned int mode, int flags, void *key)
{
	struct picked *picked = key;

	/* Who wakes all has no place for them; nor has wake_task() with PREEMPT_RT. */
	if (!picked)
		return autoremove_wake_function(entry, mode, flags, key);
	picked->task = get_task_struct(entry->private);
	picked->flags = flags;
	/* The last that is done with @entry: it is on the stack of one who may leave now. */
	list_del_init_careful(&entry->entry);
	return 1;
}

/*
 * Returns whether the task was asleep, or about to sleep.  That may be somewhere else if it
 * has left by itself; as with wake_up_q(), every interruptible sleep has to bear it.
 *
 * The entry is in no wait queue: it tells default_wake_function() of the task.  Modules have
 * nothing else that does this: wake_up_q() and wake_up_state() are not exported, and
 * wake_up_process() would end uninterruptible sleeps, and takes no flags.
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
 * PREEMPT_RT the pick is the wake-up.
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

/*
 * Wakes the one that has waited longest of those who are asleep.
 *
 * @sync is the hint that pipes give the scheduler, too: that the one who wakes is likely to
 * wait soon.  There is nothing that says so when many are sent at a time, and then it costs
 * little: it only tells where the woken task is to run.
 *
 * Context: after wakes_begin(), or a timer's.
 */
static noinline void wake_task(struct mpmcq_queue *q, struct mpmcq_waiters *w, bool sync)
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

/* What a waiter looks for when it has left the wait queue. */
typedef bool (*left_fn)(struct mpmcq_queue *q, bool dead);

/* Of the highest level, as others may be of that. */
static bool slot_left(struct mpmcq_queue *q, bool dead)
{
	return mpmcq_queue_writable(q, q->config.levels - 1);
}

/*
 * Returns whether there was a task to wake, and something for it.  No WF_SYNC hint: the interrupted
 * task is not about to sleep.
 */
static bool wake_late(struct mpmcq_queue *q, struct mpmcq_waiters *w, left_fn is_left)
{
	if (!has_sleepers(w) || !is_left(q, false))
		return false;
	wake_task(q, w, false);
	return true;
}

/**
 * mpmcq_wake_late() - wake those whom puts left to others to wake, who may be late
 * @late: of the queue
 *
 * Context: a timer's.
 */
void mpmcq_wake_late(struct timer_list *late)
{
	struct mpmcq_queue *q = container_of(late, struct mpmcq_queue, late);
	bool again;

	smp_mb();	/* LATE */
	again = wake_late(q, &q->readers, mpmcq_queue_readable);
	again |= wake_late(q, &q->writers, slot_left);
	if (again)
		mod_timer(late, jiffies + 1);
}

/*
 * Returns true if the put of @n indices at @pos may skip its wake-up: an earlier put's wake-up is
 * still pending, and the woken task will chain it.  With several levels of priority it is not so:
 * the woken task may find the earlier message in another ring, or behind it.  Call after the WAKE
 * barrier.
 */
static noinline bool rely_on_others(struct mpmcq_queue *q, const struct index_ring *ring,
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
 * Whether one of those who poll may be unable to take what was put: a full holder, see lease.c; or
 * who sends below what may be dropped.
 */
static bool some_are_unable(const struct mpmcq_queue *q, const struct mpmcq_waiters *w)
{
	if (w == &q->writers)
		return q->lower && q->config.flags & MPMCQ_DROP_OLDEST;
	return atomic_read(&w->full_holders);
}

/*
 * Wakes pollers after a put of @n indices, and after WAKE.  An edge-triggered poller may have seen
 * the last put, so each put wakes all pollers that are not exclusive.  It wakes @n exclusive ones,
 * because they do not pass a wake-up on; and all if one of them may be unable to take what was put,
 * or if this is the end, of which every poller is told.
 */
static noinline void wake_pollers(struct mpmcq_queue *q, struct mpmcq_waiters *w, unsigned int n,
				  bool end)
{
	bool all = end || some_are_unable(q, w);

	__wake_up(&w->pollers, TASK_INTERRUPTIBLE, all ? 0 : n,
		  end ? NULL : poll_to_key(w->events));
}

/* After WAKE; @ring is NULL if that put relies on no other; @end: it is the end for them. */
static __always_inline void wake(struct mpmcq_queue *q, struct mpmcq_waiters *w,
				 const struct index_ring *ring, s64 pos, unsigned int n, bool end)
{
	if (has_sleepers(w) && !(ring && rely_on_others(q, ring, pos, n)))
		wake_task(q, w, true);
	/* As in has_sleepers(). */
	if (waitqueue_active(&w->pollers))
		wake_pollers(q, w, n, end);
}

/* Sides of a queue, a bit for each. */
enum { READERS = 1, WRITERS = 2, DEAD_READERS = 4 };

/* After WAKE. */
static __always_inline bool has_ended(struct mpmcq_queue *q)
{
	return mpmcq_queue_closed(q) && mpmcq_queue_drained(q, false);
}

/*
 * Wakes those who wait for that ring, where @n indices were put at @pos; and, if this put brings
 * a closed queue to its end, those who wait for the end.
 */
static __always_inline unsigned int wake_for(struct mpmcq_queue *q, const struct index_ring *ring,
					     s64 pos, unsigned int n)
{
	bool to_free = ring == &q->free, to_dead = ring == &q->dead, end;
	bool to_ready = !to_free && !to_dead && ring != &q->returned;
	unsigned int sides = 0;

	smp_mb();	/* WAKE */
	end = (to_free || to_dead) && unlikely(has_ended(q));
	if (to_free || (to_ready && q->config.flags & MPMCQ_DROP_OLDEST)) {
		/* The first that waits may be below the message, and must not drop it. */
		if (to_ready && unlikely(q->lower) && has_sleepers(&q->writers))
			wake_up_interruptible_all(&q->writers.tasks);
		wake(q, &q->writers, to_free ? ring : NULL, pos, n, false);
		sides |= WRITERS;
	}
	if (to_dead || end) {
		wake(q, &q->dead_readers, NULL, pos, n, end);
		sides |= DEAD_READERS;
	}
	if (!(to_free || to_dead) || end) {
		wake(q, &q->readers, to_ready ? ring : NULL, pos, n, end);
		sides |= READERS;
	}
	return sides;
}

/* After a full barrier. */
static void signal_owners(struct mpmcq_waiters *w)
{
	/* Whoever is not there yet sees what it waits for: WAIT. */
	if (READ_ONCE(w->async))
		kill_fasync(&w->async, SIGIO, w->band);
}

/*
 * There may be many, so not with preemption off: a putter that is preempted here sends
 * its signals late.
 */
static __always_inline void signal_for(struct mpmcq_queue *q, unsigned int sides)
{
	if (sides & WRITERS)
		signal_owners(&q->writers);
	if (sides & DEAD_READERS)
		signal_owners(&q->dead_readers);
	if (sides & READERS)
		signal_owners(&q->readers);
}

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
 * Follows wakes_begin() and the put; so it is with every put but those that fill a new
 * queue.  Inline, as most of it is about which ring that is.
 */
static __always_inline void put_end(struct mpmcq_queue *q, const struct index_ring *ring,
				    s64 pos, unsigned int n)
{
	unsigned int sides = wake_for(q, ring, pos, n);

	wakes_end();
	signal_for(q, sides);
}

static __always_inline void mpmcq_put_one(struct mpmcq_queue *q, struct index_ring *ring,
					  u32 index)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put(ring, index);
	put_end(q, ring, pos, 1);
}

static void mpmcq_put(struct mpmcq_queue *q, struct index_ring *ring, const u32 *indices,
		      unsigned int n)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put_n(ring, indices, n);
	put_end(q, ring, pos, n);
}

/*
 * What a send or receive does first, and a waiter each time it looks: takes indices
 * and returns how many, or says why there are none.
 */
typedef int (*claim_fn)(struct mpmcq_queue *q, struct mpmcq_claim *claim);

/*
 * What a look at a ring does: returns what it is there for, or -EAGAIN if the ring is
 * empty, and in @pos where its head was.
 */
typedef int (*look_fn)(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		       s64 *pos);

#define LOOK_AGAIN	(-1)	/* for a position: see look_in_all() */

/* Whether a ring that comes before the one that is looked at has something by now. */
static bool earlier_filled(const struct mpmcq_claim *claim)
{
	unsigned int i;

	for (i = 0; i < claim->n_earlier; i++)
		if (!index_ring_empty(claim->earlier[i]))
			return true;
	return false;
}

/*
 * Looks in one ring, and then in another.
 *
 * An index that was in @second when @first was looked at may be in @first by now: a
 * message that was handed back, or its slot, which is free.  So there is none only if
 * @first was empty before and after @second was, and nothing has come and gone there
 * meanwhile, for then head would have moved.
 */
static __always_inline int look_in(struct mpmcq_queue *q, struct index_ring *first,
				   struct index_ring *second, look_fn look,
				   struct mpmcq_claim *claim)
{
	s64 pos, before, other;
	int ret = look(q, first, claim, &pos);

	while (ret == -EAGAIN) {
		before = pos;
		ret = look(q, second, claim, &other);
		if (ret != -EAGAIN)
			break;
		ret = look(q, first, claim, &pos);
		if (ret != -EAGAIN || pos == before)
			break;
	}
	return ret;
}

/*
 * Looks in several rings, in this order.
 *
 * There is none only if all were empty at one moment: if each was empty twice, and nothing has come
 * and gone there in between, for then its head would have moved.  The moment is that between the
 * two passes: see litmus test LOOK+WAKE+levels.
 *
 * If there is one, all before it were empty while it was at the head: @look asks earlier_filled()
 * between its look at a head and the take.  Else it could take what was sent after a message that
 * comes before it, and which a slow look has missed.
 */
static noinline int look_in_all(struct mpmcq_queue *q, struct index_ring *const *rings,
				unsigned int n, look_fn look, struct mpmcq_claim *claim)
{
	s64 seen[MPMCQ_LEVELS_MAX + 1] = { }, pos;
	unsigned int i, same = 0;
	int ret;

	claim->earlier = rings;
	while (same < n) {
		same = 0;
		for (i = 0; i < n; i++) {
			claim->n_earlier = i;
			ret = look(q, rings[i], claim, &pos);
			if (ret != -EAGAIN)
				goto out;
			/* Positions begin after 0, and LOOK_AGAIN is none. */
			same += pos == seen[i] && pos != LOOK_AGAIN;
			seen[i] = pos;
		}
	}
	ret = -EAGAIN;
out:
	claim->n_earlier = 0;
	return ret;
}

/* Those that came back first, of whatever level, and then from the highest level on. */
static noinline int look_in_levels(struct mpmcq_queue *q, look_fn look, struct mpmcq_claim *claim)
{
	struct index_ring *rings[MPMCQ_LEVELS_MAX + 1] = { &q->returned, &q->ready };
	unsigned int i;

	for (i = 1; i < q->config.levels; i++)
		rings[i + 1] = &q->lower[i - 1];
	return look_in_all(q, rings, q->config.levels + 1, look, claim);
}

/* Empty slots first, and then the messages that may be dropped, from the lowest level on. */
static noinline int look_for_slot_in_levels(struct mpmcq_queue *q, look_fn look,
					    struct mpmcq_claim *claim)
{
	struct index_ring *rings[MPMCQ_LEVELS_MAX + 1] = { &q->free };
	unsigned int i;

	for (i = 0; i <= claim->priority; i++)
		rings[i + 1] = mpmcq_ready_ring(q, i);
	return look_in_all(q, rings, claim->priority + 2, look, claim);
}

/* Looks for an empty slot, or for a message to be dropped. */
static __always_inline int look_for_slot(struct mpmcq_queue *q, look_fn look,
					 struct mpmcq_claim *claim)
{
	if (unlikely(q->lower))
		return look_for_slot_in_levels(q, look, claim);
	return look_in(q, &q->free, &q->ready, look, claim);
}

/* Looks where the next message is. */
static __always_inline int look_for_message(struct mpmcq_queue *q, look_fn look,
					    struct mpmcq_claim *claim)
{
	s64 pos;

	if (claim->dead)
		return look(q, &q->dead, claim, &pos);
	if (unlikely(q->lower))
		return look_in_levels(q, look, claim);
	return look_in(q, &q->returned, &q->ready, look, claim);
}

/* Takes empty slots, or the oldest message's. */
static int take_slots(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	unsigned int n;

	claim->dropped = ring != &q->free;
	while (index_ring_peek(ring, pos) != INDEX_RING_EMPTY) {
		if (earlier_filled(claim)) {
			*pos = LOOK_AGAIN;
			break;
		}
		n = index_ring_take_n(ring, claim->index, claim->dropped ? 1 : claim->max);
		if (n)
			return n;
	}
	return -EAGAIN;
}

/*
 * A suspect was taken, and another message may be next.  Who could not take it, and was told so,
 * may be able to take that.  See "Suspects" in lease.c.  After wakes_begin() and the take; returns
 * whether signal_owners() has to follow, after wakes_end().
 */
static bool suspect_taken(struct mpmcq_queue *q)
{
	smp_mb();	/* WAKE */
	if (!atomic_read(&q->readers.full_holders))
		return false;
	mpmcq_wake_readers_pollers(q, false);
	return true;
}

/* Takes messages with a suspect among them. */
static noinline bool take_suspect(struct mpmcq_queue *q, struct index_ring *ring, s64 pos,
				  unsigned int n)
{
	bool taken, tell;

	wakes_begin();
	taken = index_ring_take_at(ring, pos, n);
	tell = taken && suspect_taken(q);
	wakes_end();
	if (tell)
		signal_owners(&q->readers);
	return taken;
}

/* Takes empty slots, or that of the oldest message, which is dropped. */
static int take_slots_or_drop(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	bool tell;
	int n;

	wakes_begin();
	n = look_for_slot(q, take_slots, claim);
	tell = n > 0 && claim->dropped &&
		mpmcq_slot(q, claim->index[0])->word & MPMCQ_SUSPECT && suspect_taken(q);
	wakes_end();
	if (tell)
		signal_owners(&q->readers);
	return n;
}

static int claim_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int n;

	/* Or those who keep trying would keep the end from being seen. */
	if (unlikely(mpmcq_queue_closed(q)))
		return -EPIPE;
	claim->dropped = false;
	if (claim->drop)
		n = take_slots_or_drop(q, claim);
	else
		n = index_ring_take_n(&q->free, claim->index, claim->max);
	if (n <= 0)
		return -EAGAIN;

	if (unlikely(!mpmcq_was_open(q))) {
		if (claim->dropped)
			mpmcq_hand_back_one(q, claim->index[0]);
		else
			mpmcq_put(q, &q->free, claim->index, n);
		return -EPIPE;
	}
	if (claim->dropped) {
		mpmcq_count(q, MPMCQ_DROPPED, n);
		mpmcq_count(q, MPMCQ_UNDELIVERED, n);
		trace_mpmcq_drop(q->number, mpmcq_len(mpmcq_slot(q, claim->index[0])));
	}
	claim->n = n;
	return n;
}

/*
 * How many of the first @got messages are to be taken, as long as they fit; if none, @why says why.
 * To a caller with @holds a suspect goes alone, and only while it has nothing in hand; while it has
 * a suspect, nothing goes there.
 */
static __always_inline unsigned int count_fitting(struct mpmcq_queue *q,
						  struct mpmcq_claim *claim, unsigned int got,
						  int *why)
{
	u32 holds = claim->holds ? READ_ONCE(*claim->holds) : 0;
	size_t room = claim->room;
	unsigned int n;

	claim->suspect = false;
	for (n = 0; n < got; n++) {
		u64 word = READ_ONCE(mpmcq_slot(q, claim->index[n])->word);
		bool suspect = word & MPMCQ_SUSPECT;
		size_t space = claim->header + ALIGN((size_t)mpmcq_word_len(word), claim->align);

		*why = -EMSGSIZE;
		if (space > room)
			break;
		*why = -ENOBUFS;
		if (unlikely(holds & MPMCQ_SUSPECT) ||
		    (unlikely(suspect) && claim->holds && (n || holds)))
			break;
		claim->suspect |= suspect;
		if (unlikely(suspect) && claim->holds)
			return 1;
		room -= space;
	}
	return n;
}

/*
 * Takes messages from the head on as long as they fit.
 *
 * Lengths are read while others may take the messages, send the next in their slots
 * and so change them.  If the first fits, winning the take says that this did not
 * happen.  If not, nothing is taken that could tell, so the head has to be
 * looked at again: RECHECK in index_ring_at_head() pairs with LEN in
 * mpmcq_slot_fill(), see the litmus test RECHECK+LEN.
 */
static int claim_from(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	unsigned int got, n;
	s64 head;
	int why;

	while ((got = index_ring_peek_n(ring, claim->index, claim->max, &head))) {
		if (unlikely(earlier_filled(claim))) {
			head = LOOK_AGAIN;
			break;
		}
		n = count_fitting(q, claim, got, &why);
		if (n && (unlikely(claim->suspect) ? take_suspect(q, ring, head, n) :
			  index_ring_take_at(ring, head, n))) {
			claim->n = n;
			claim->id = mpmcq_delivery_id(q, ring, head);
			return n;
		}
		if (!n && index_ring_at_head(ring, head))
			return why;
	}
	*pos = head;
	return -EAGAIN;
}

/**
 * mpmcq_try_claim_messages() - take messages if there are any
 * @q: the queue
 * @claim: what is wanted, and what there was
 *
 * Return: as mpmcq_claim_messages(), but -EAGAIN where that would wait.
 * Context: any.
 */
int mpmcq_try_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int ret = look_for_message(q, claim_from, claim);

	if (ret != -EAGAIN || likely(!mpmcq_queue_closed(q)))
		return ret;
	if (mpmcq_queue_drained(q, claim->dead))
		return 0;
	/* What it would wait for is in its own hands. */
	if (claim->held && READ_ONCE(*claim->held))
		return -EDEADLK;
	return -EAGAIN;
}

static bool others_wait(struct mpmcq_waiters *w)
{
	/* A guess, without a barrier: no wake-up depends on it. */
	return waitqueue_active(&w->tasks);
}

/* Looks up to MPMCQ_SPINS times more before the caller sleeps, unless there is a signal. */
static int spin(struct mpmcq_queue *q, struct mpmcq_waiters *w, claim_fn fn,
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

/* Sleeps until woken, or until a time of CLOCK_MONOTONIC; false if that was it. */
static bool sleep_until(ktime_t *until)
{
	if (!until) {
		schedule();
		return true;
	}
	return schedule_hrtimeout_range(until, current->timer_slack_ns, HRTIMER_MODE_ABS);
}

/*
 * Sleeps until @fn returns something else than -EAGAIN, a signal is pending, or it is @until.
 * Whatever it is, @fn has the last look.
 */
static int sleep_and_look(struct mpmcq_queue *q, struct mpmcq_waiters *w, claim_fn fn,
			  struct mpmcq_claim *claim, ktime_t *until)
{
	DEFINE_WAIT_FUNC(wait, pick_task);
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
		 * A picked task is off the wait queue, and takes its lock only to enter again:
		 * it looks before that.
		 */
		ret = signal_pending(current) ? -ERESTARTSYS : fn(q, claim);
	} while (ret == -EAGAIN && in_time);
	finish_wait(&w->tasks, &wait);
	return ret;
}

/*
 * Spins, then sleeps.  The caller copies after it has left the wait queue and runs again.  As with
 * sockets, a call with a limit is not restarted after a signal: it would wait anew.
 */
static int spin_then_wait(struct mpmcq_queue *q, struct mpmcq_waiters *w, claim_fn fn,
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

/* Passes the wake-up on, if it had one. */
static void pass_on(struct mpmcq_queue *q, struct mpmcq_waiters *w, left_fn is_left, bool dead)
{
	s64 head;

	for (;;) {
		head = index_ring_head(w->ring);
		smp_mb();	/* AGAIN */
		if (is_left(q, dead))
			break;
		/* Nothing is what was looked at after the barrier, if head was seen before. */
		if (index_ring_at_head(w->ring, head))
			return;
		cond_resched();
	}
	wakes_begin();
	smp_mb();	/* WAKE */
	if (has_sleepers(w))
		wake_task(q, w, true);
	wakes_end();
}

static bool message_left(struct mpmcq_queue *q, bool dead)
{
	return mpmcq_queue_readable(q, dead) || mpmcq_queue_drained(q, dead);
}

static int wait_for_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	int ret = spin_then_wait(q, &q->writers, claim_slots, claim);

	pass_on(q, &q->writers, slot_left, false);
	return ret;
}

/* What mpmcq_claim_slots() does when claim_slots() has found nothing free. */
static int claim_slots_else(struct mpmcq_queue *q, struct mpmcq_claim *claim,
			    struct iov_iter *from, size_t bytes)
{
	int ret = -EAGAIN;

	if (q->config.flags & MPMCQ_DROP_OLDEST) {
		if (from && fault_in_iov_iter_readable(from, bytes))
			return -EFAULT;
		claim->drop = true;
		ret = claim_slots(q, claim);
	}
	if (ret == -EAGAIN && claim->wait_ms)
		ret = wait_for_slots(q, claim);
	return ret;
}

/**
 * mpmcq_claim_slot_else() - what mpmcq_claim_slot() does when it has found nothing free
 * @q: the queue
 * @from: what will be copied into it
 * @bytes: how much of it
 * @wait_ms: as of struct mpmcq_claim
 * @priority: as of struct mpmcq_claim
 *
 * Return, context: as mpmcq_claim_slot().
 */
int mpmcq_claim_slot_else(struct mpmcq_queue *q, struct iov_iter *from, size_t bytes, u32 wait_ms,
			  u32 priority)
{
	u32 index;
	struct mpmcq_claim claim = {
		.wait_ms = wait_ms, .priority = priority, .max = 1, .index = &index,
	};
	int ret = claim_slots_else(q, &claim, from, bytes);

	return ret < 0 ? ret : (int)index;
}

/**
 * mpmcq_claim_slots() - take empty slots
 * @q: the queue
 * @claim: @wait_ms, @priority, @max and @index; the rest is set here
 * @from: what will be copied into them; NULL if that is in memory
 * @bytes: how much of it
 *
 * Of a full queue that drops its oldest message, that one's; but not before @from has
 * been faulted in, or it could be dropped for nothing.
 *
 * Return: how many, at least 1; -EPIPE if the queue is closed, -EAGAIN if it is full
 * for longer than it may wait; -ERESTARTSYS, with a limit -EINTR, if a signal came while waiting;
 * -EFAULT.
 * Context: may sleep if it may wait, or if pages of @from are missing.
 */
int mpmcq_claim_slots(struct mpmcq_queue *q, struct mpmcq_claim *claim, struct iov_iter *from,
		      size_t bytes)
{
	int ret;

	claim->drop = false;
	ret = claim_slots(q, claim);
	return ret == -EAGAIN ? claim_slots_else(q, claim, from, bytes) : ret;
}

/**
 * mpmcq_claim_messages() - take messages, and wait if there are none
 * @q: the queue
 * @claim: what is wanted, and what there was
 *
 * Return: how many; 0 if the queue is closed and no message will come; -EMSGSIZE if
 * the room is less than the next one needs; -ENOBUFS if that is a suspect, and the caller holds
 * others; -EDEADLK if the queue is closed and others
 * can come from the caller's hands only; -EAGAIN if there was none for @wait_ms; -ERESTARTSYS, with
 * a limit -EINTR, if a signal came while waiting.
 * Context: may sleep.
 */
int mpmcq_claim_messages(struct mpmcq_queue *q, struct mpmcq_claim *claim)
{
	struct mpmcq_waiters *w = claim->dead ? &q->dead_readers : &q->readers;
	int ret = spin_then_wait(q, w, mpmcq_try_claim_messages, claim);

	pass_on(q, w, message_left, claim->dead);
	return ret;
}

/* Each into the ring of its level; neighbours of the same at once. */
static noinline void put_by_priority(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	unsigned int i, first = 0;

	for (i = 1; i <= n; i++) {
		u32 level = mpmcq_word_priority(mpmcq_slot(q, indices[first])->word);

		if (i < n && mpmcq_word_priority(mpmcq_slot(q, indices[i])->word) == level)
			continue;
		mpmcq_put(q, mpmcq_ready_ring(q, level), indices + first, i - first);
		first = i;
	}
}

/**
 * mpmcq_publish() - send what is in slots
 * @q: the queue
 * @indices: slots in the caller's hands, with their messages' data and lengths
 * @n: how many; at least 1
 *
 * Context: any.
 */
void mpmcq_publish(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	if (unlikely(q->lower))
		put_by_priority(q, indices, n);
	else
		mpmcq_put(q, &q->ready, indices, n);
}

/**
 * mpmcq_publish_one() - send what is in one slot, in a queue of one level
 * @q: the queue
 * @index: the slot, in the caller's hands; its data and length are there
 *
 * Context: as mpmcq_publish().
 */
void mpmcq_publish_one(struct mpmcq_queue *q, u32 index)
{
	mpmcq_put_one(q, &q->ready, index);
}

/**
 * mpmcq_publish_one_at() - send what is in one slot, with a priority
 * @q: the queue
 * @index: the slot, in the caller's hands; its data, length and priority are there
 * @priority: the same
 *
 * Context: as mpmcq_publish().
 */
void mpmcq_publish_one_at(struct mpmcq_queue *q, u32 index, u32 priority)
{
	s64 pos;

	wakes_begin();
	pos = index_ring_put(mpmcq_ready_ring(q, priority), index);
	/* Those to wake are the same for all levels, and where the put was matters to none. */
	put_end(q, &q->ready, pos, 1);
}

/* At the tail of what waits; they have been sent before. */
static void put_again(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	mpmcq_count(q, MPMCQ_PUT_AGAIN, n);
	mpmcq_publish(q, indices, n);
}

/* Parks messages that have been sent, or puts them at the tail. */
static void put_later(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms)
{
	unsigned int i;

	/* Before it is parked: others may have it then. */
	if (trace_mpmcq_park_enabled())
		for (i = 0; i < n && delay_ms; i++)
			trace_mpmcq_park(q->number, mpmcq_len(mpmcq_slot(q, indices[i])), delay_ms);
	if (!delay_ms || !mpmcq_park_add(q->park, indices, n, delay_ms))
		put_again(q, indices, n);
}

/**
 * mpmcq_publish_later() - send what is in slots, but let nobody receive it for some time
 * @q: the queue, which has %MPMCQ_DELAY
 * @indices: slots in the caller's hands, with their messages' data and lengths
 * @n: how many; at least 1
 * @delay_ms: how long, in milliseconds
 *
 * Context: process.
 */
void mpmcq_publish_later(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms)
{
	/* Sent now, put once more when they are due. */
	mpmcq_count(q, MPMCQ_PUT_AGAIN, -(long)n);
	put_later(q, indices, n, delay_ms);
}

/**
 * mpmcq_publish_due() - let readers have the messages that are due
 * @q: the queue, which has %MPMCQ_DELAY
 *
 * Context: process, of the work of its park.
 */
void mpmcq_publish_due(struct mpmcq_queue *q)
{
	u32 indices[MPMCQ_BATCH];
	unsigned int n, i;

	do {
		n = mpmcq_park_remove_due(q->park, indices, MPMCQ_BATCH);
		if (trace_mpmcq_due_enabled())
			for (i = 0; i < n; i++)
				trace_mpmcq_due(q->number, mpmcq_len(mpmcq_slot(q, indices[i])));
		if (n)
			put_again(q, indices, n);
		cond_resched();
	} while (n == MPMCQ_BATCH);
}

/**
 * mpmcq_free() - give up slots
 * @q: the queue
 * @indices: slots in the caller's hands; what was in them is gone
 * @n: how many; at least 1
 *
 * Context: any.
 */
void mpmcq_free(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	if (n == 1)
		mpmcq_free_one(q, *indices);
	else
		mpmcq_put(q, &q->free, indices, n);
}

/**
 * mpmcq_free_one() - give up a slot
 * @q: the queue
 * @index: a slot in the caller's hands; what was in it is gone
 *
 * Context: any.
 */
void mpmcq_free_one(struct mpmcq_queue *q, u32 index)
{
	mpmcq_put_one(q, &q->free, index);
}

/**
 * mpmcq_hand_back_one() - undo mpmcq_claim_ready()
 * @q: the queue
 * @index: the message, which could not be delivered
 *
 * Context: any.
 */
void mpmcq_hand_back_one(struct mpmcq_queue *q, u32 index)
{
	mpmcq_count(q, MPMCQ_UNDELIVERED, 1);
	mpmcq_put(q, &q->returned, &index, 1);
}

/**
 * mpmcq_hand_back() - undo a claim of messages that could not be delivered
 * @q: the queue
 * @claim: the claim
 * @first: so many of them were delivered
 *
 * Context: any.
 */
void mpmcq_hand_back(struct mpmcq_queue *q, const struct mpmcq_claim *claim, unsigned int first)
{
	mpmcq_count(q, MPMCQ_UNDELIVERED, claim->n - first);
	mpmcq_put(q, claim->dead ? &q->dead : &q->returned, claim->index + first,
		  claim->n - first);
}

/* By the owner of the slot. */
static void set_word(struct mpmcq_slot *slot, u64 word)
{
	if (word != slot->word)
		smp_store_release(&slot->word, word);	/* LEN */
}

/**
 * mpmcq_set_aside() - put messages to the dead ones
 * @q: the queue
 * @indices: messages in the caller's hands
 * @n: how many; at least 1
 * @reason: %MPMCQ_REASON_REJECTED and the like
 *
 * Context: any.
 */
void mpmcq_set_aside(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 reason)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(q, indices[i]);

		set_word(slot, (slot->word & ~(MPMCQ_SUSPECT | MPMCQ_REASON)) |
			       (u64)reason << MPMCQ_REASON_SHIFT);
	}
	mpmcq_count(q, MPMCQ_SET_ASIDE, n);
	mpmcq_put(q, &q->dead, indices, n);
}

/* For how many milliseconds a message that was given back is to be parked. */
static u32 retry_delay(const struct mpmcq_config *config, u32 flags, u32 delay_ms, u32 deliveries)
{
	u64 delay;

	if (flags & MPMCQ_SETTLE_DELAY)
		return delay_ms;
	if (!config->retry_ms || flags & (MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_UNTRIED))
		return 0;
	delay = (u64)config->retry_ms << min(deliveries - 1, 31U);
	return min_t(u64, delay, config->retry_max_ms ?: U32_MAX);
}

/**
 * mpmcq_give_back() - let messages be read again
 * @q: the queue
 * @indices: messages in the caller's hands, which were delivered
 * @n: how many, 1 to %MPMCQ_BATCH
 * @flags: %MPMCQ_SETTLE_FRONT: before ready ones, not after them; %MPMCQ_SETTLE_UNTRIED: the
 *	delivery is taken back, and they are suspects or not as before; %MPMCQ_SETTLE_DELAY: after
 *	@delay_ms; %MPMCQ_CAME_BACK: they are suspects from now on, else not
 * @delay_ms: in milliseconds
 *
 * Those that have been delivered too often are set aside instead.
 *
 * Context: process.
 */
void mpmcq_give_back(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 flags,
		     u32 delay_ms)
{
	u32 max = q->config.max_deliveries, deliveries, delay, run_delay = 0;
	u32 back[MPMCQ_BATCH], aside[MPMCQ_BATCH];
	unsigned int i, backs = 0, asides = 0;

	for (i = 0; i < n; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(q, indices[i]);

		if (flags & MPMCQ_SETTLE_UNTRIED)
			set_word(slot, slot->word - MPMCQ_DELIVERY);
		else
			set_word(slot, (slot->word & ~MPMCQ_SUSPECT) |
				       (flags & MPMCQ_CAME_BACK ? MPMCQ_SUSPECT : 0));
		deliveries = mpmcq_word_deliveries(slot->word);
		trace_mpmcq_return(q->number, mpmcq_len(slot), deliveries);
		if (max && deliveries >= max) {
			aside[asides++] = indices[i];
			continue;
		}
		/* A run of those that are to wait equally long keeps its order. */
		delay = retry_delay(&q->config, flags, delay_ms, deliveries);
		if (backs && delay != run_delay) {
			put_later(q, back, backs, run_delay);
			backs = 0;
		}
		run_delay = delay;
		back[backs++] = indices[i];
	}
	if (flags & MPMCQ_CAME_BACK)
		atomic64_add(n - asides, &q->suspected);
	if (backs && flags & MPMCQ_SETTLE_FRONT)
		mpmcq_put(q, &q->returned, back, backs);
	else if (backs)
		put_later(q, back, backs, run_delay);
	if (asides)
		mpmcq_set_aside(q, aside, asides, MPMCQ_REASON_DELIVERIES);
}

/**
 * mpmcq_return_dead() - put dead messages back among the dead ones, as they are
 * @q: the queue
 * @indices: messages in the caller's hands
 * @n: how many; at least 1
 *
 * Context: process.
 */
void mpmcq_return_dead(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	mpmcq_put(q, &q->dead, indices, n);
}

/**
 * mpmcq_revive_these() - send dead messages again, as suspects that have never been delivered
 * @q: the queue
 * @indices: messages in the caller's hands
 * @n: how many; at least 1
 *
 * Context: process.
 */
void mpmcq_revive_these(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(q, indices[i]);

		set_word(slot, (slot->word & (MPMCQ_LEN | MPMCQ_PRIORITY)) | MPMCQ_SUSPECT);
	}
	atomic64_add(n, &q->suspected);
	put_again(q, indices, n);
}

/* What becomes of dead messages; no more than there can be, as they may die as fast. */
static u32 take_dead(struct mpmcq_queue *q, u32 max,
		     void (*fn)(struct mpmcq_queue *q, const u32 *indices, unsigned int n))
{
	u32 indices[MPMCQ_BATCH], done = 0, n;

	max = min(max ?: q->config.capacity, q->config.capacity);
	while (done < max && !fatal_signal_pending(current)) {
		n = index_ring_take_n(&q->dead, indices, min(max - done, MPMCQ_BATCH));
		if (!n)
			break;
		mpmcq_count(q, MPMCQ_UNDELIVERED, n);
		fn(q, indices, n);
		done += n;
		cond_resched();
	}
	return done;
}

/**
 * mpmcq_revive() - send dead messages again, as suspects that have never been delivered
 * @q: the queue
 * @max: at most so many, the oldest first; 0 for all
 *
 * Return: how many.
 * Context: may sleep.
 */
u32 mpmcq_revive(struct mpmcq_queue *q, u32 max)
{
	return take_dead(q, max, mpmcq_revive_these);
}

/**
 * mpmcq_purge() - throw dead messages away
 * @q: the queue
 * @max: at most so many, the oldest first; 0 for all
 *
 * Return: how many.
 * Context: may sleep.
 */
u32 mpmcq_purge(struct mpmcq_queue *q, u32 max)
{
	return take_dead(q, max, mpmcq_free);
}

/**
 * mpmcq_wake_readers_pollers() - wake all who poll for messages
 * @q: the queue
 * @dead: for dead ones
 *
 * Context: any.
 */
void mpmcq_wake_readers_pollers(struct mpmcq_queue *q, bool dead)
{
	wake_pollers(q, dead ? &q->dead_readers : &q->readers, 0, false);
}

/**
 * mpmcq_wake_writers_pollers() - wake all who poll for room
 * @q: the queue
 *
 * By the lock of their wait queue: who begins to poll later sees what was stored before this.
 *
 * Context: any.
 */
void mpmcq_wake_writers_pollers(struct mpmcq_queue *q)
{
	wake_pollers(q, &q->writers, 0, false);
}

static void wake_all(struct mpmcq_queue *q, struct mpmcq_waiters *w)
{
	wake_up_interruptible_all(&w->tasks);
	wake_pollers(q, w, 0, true);
	kill_fasync(&w->async, SIGIO, w->band);
}

/**
 * mpmcq_queue_close() - take no more messages, and let readers come to an end
 * @q: the queue; may be closed already
 * @all_due: whether what is parked is due now, and nothing is parked until it is reopened
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
	/* Also readers for whom there is no end yet: they may hold what it takes. */
	wake_all(q, &q->readers);
	wake_all(q, &q->dead_readers);
	wake_all(q, &q->writers);
}

/**
 * mpmcq_queue_reopen() - take messages again
 * @q: the queue; may be open already
 *
 * Nobody waits for that: writers of a closed queue fail.
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
 * mpmcq_queue_add_writer() - an open file with write access comes
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
 * mpmcq_queue_remove_writer() - an open file with write access goes
 * @q: the queue; closed if that was the last one and it is so created
 *
 * Context: may sleep.
 */
void mpmcq_queue_remove_writer(struct mpmcq_queue *q)
{
	mutex_lock(&q->writers_lock);
	/* Here, or it could be closed after the next writer has come and reopened it. */
	if (!--q->writers_open && q->config.flags & MPMCQ_AUTO_CLOSE)
		mpmcq_queue_close(q, false);
	mutex_unlock(&q->writers_lock);
}

/**
 * mpmcq_queue_drained() - whether the queue is closed and no message will come
 * @q: the queue
 * @dead: whether it is about dead messages, too
 *
 * The queue was closed at the moment when all indices were counted: it had not been
 * reopened since before, by @closings.
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

static int peek_at(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		   s64 *pos)
{
	int index = index_ring_peek(ring, pos);

	return index == INDEX_RING_EMPTY ? -EAGAIN : index;
}

/**
 * mpmcq_queue_readable() - whether a message waits
 * @q: the queue
 * @dead: whether it is about dead messages
 *
 * Context: any.
 */
bool mpmcq_queue_readable(struct mpmcq_queue *q, bool dead)
{
	struct mpmcq_claim claim = { .dead = dead };

	return look_for_message(q, peek_at, &claim) != -EAGAIN;
}

/**
 * mpmcq_queue_writable() - whether a write would not wait
 * @q: the queue
 * @priority: of what is to be written
 *
 * Context: any.
 */
bool mpmcq_queue_writable(struct mpmcq_queue *q, u32 priority)
{
	struct mpmcq_claim claim = { .priority = priority };

	if (mpmcq_queue_closed(q))
		return true;
	if (q->config.flags & MPMCQ_DROP_OLDEST)
		return look_for_slot(q, peek_at, &claim) != -EAGAIN;
	return !index_ring_empty(&q->free);
}

/* As claim_from(), but takes nothing.  Returns false if the ring is empty. */
static bool next_word_in(struct mpmcq_queue *q, struct index_ring *ring, s64 *pos, u64 *word)
{
	int index;

	while ((index = index_ring_peek(ring, pos)) != INDEX_RING_EMPTY) {
		*word = READ_ONCE(mpmcq_slot(q, index)->word);
		if (index_ring_at_head(ring, *pos))
			return true;
	}
	return false;
}

static int len_in(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		  s64 *pos)
{
	u64 word;

	return next_word_in(q, ring, pos, &word) ? (int)mpmcq_word_len(word) : -EAGAIN;
}

static int suspect_in(struct mpmcq_queue *q, struct index_ring *ring, struct mpmcq_claim *claim,
		      s64 *pos)
{
	u64 word;

	return next_word_in(q, ring, pos, &word) ? !!(word & MPMCQ_SUSPECT) : -EAGAIN;
}

/**
 * mpmcq_queue_next_is_suspect() - whether the next message is one that a reader takes alone
 * @q: the queue
 *
 * Context: any.
 */
bool mpmcq_queue_next_is_suspect(struct mpmcq_queue *q)
{
	struct mpmcq_claim claim = { };

	return look_for_message(q, suspect_in, &claim) > 0;
}

/**
 * mpmcq_queue_next_len() - length of the next message
 * @q: the queue
 * @dead: whether it is about dead messages
 *
 * Return: length in bytes, 0 if no message waits.
 * Context: any.
 */
u32 mpmcq_queue_next_len(struct mpmcq_queue *q, bool dead)
{
	struct mpmcq_claim claim = { .dead = dead };

	return max(look_for_message(q, len_in, &claim), 0);
}

/*
 * When the next message of a ring was sent; U64_MAX if there is none.  As with lengths, see
 * claim_from(): a later message's stamp is stored after BEGIN, which releases, and WRITE.
 */
static u64 sent_in(struct mpmcq_queue *q, struct index_ring *ring)
{
	u64 sent;
	int index;
	s64 pos;

	while ((index = index_ring_peek(ring, &pos)) != INDEX_RING_EMPTY) {
		sent = READ_ONCE(mpmcq_stamp_of(q, mpmcq_slot(q, index))->sent_ns);
		if (index_ring_at_head(ring, pos))
			return sent;
	}
	return U64_MAX;
}

/**
 * mpmcq_queue_oldest_ns() - how long ago the oldest message that waits was sent
 * @q: the queue
 *
 * Of those that came back the one that came back first counts.
 *
 * Return: nanoseconds; 0 if no message waits, or the queue does not have %MPMCQ_STAMP.
 * Context: any.
 */
u64 mpmcq_queue_oldest_ns(struct mpmcq_queue *q)
{
	u64 sent, now;
	u32 i;

	if (!(q->config.flags & MPMCQ_STAMP))
		return 0;
	sent = sent_in(q, &q->returned);
	for (i = 0; i < q->config.levels; i++)
		sent = min(sent, sent_in(q, mpmcq_ready_ring(q, i)));
	now = ktime_get_boottime_ns();
	return now > sent ? now - sent : 0;
}
