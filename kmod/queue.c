// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue: slots that go round between rings, and the waiting.
 *
 *	            copy in                     copy out
 *	 free ----> sender ----> ready ------> receiver ----> free
 *	   ^          |                        ^      |
 *	   '- fault --'          returned -----'      |
 *	                             ^---- fault -----'
 *
 * An operation that need not sleep takes no lock, allocates nothing and
 * copies once.  It holds one index while it copies, with page faults disabled,
 * so that a page that is long in coming is waited for with empty hands: the
 * index goes back first.  Whoever is stopped while it holds an index costs the
 * queue that slot, and costs nobody any time.
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
 * mpmcq_poll() of file.c, for those who want SIGIO in mpmcq_fasync().
 *
 * A put wakes one task.  That task may not take what it was woken for: a
 * signal got it, the message was too long for it, or it took another index
 * and left this one behind.  And a task that leaves without having been woken
 * may have been in the wait queue long enough to be picked.  So whoever leaves
 * the wait queue, for whatever reason, looks once more and wakes the next task
 * if there is still something there.
 *
 * The litmus tests of all this are WAKE+WAIT+task, WAKE+WAIT+poller,
 * WAKE+WAIT+sigio, WAKE+WAIT+pass-on and MOVE+WAKE+WAIT in
 * Documentation/litmus-tests/.
 *
 * Between a put and its wake a waker must not be stopped, or sleepers would
 * sleep on; mpmcq_put() keeps preemption away for these few instructions.  Not
 * so with PREEMPT_RT, where the locks of wait queues sleep: there a waker of low
 * priority that is preempted just then leaves a sleeper asleep until it runs
 * again.
 *
 * Order
 * -----
 * Receives take messages in the order in which sends put them.  A receive whose
 * buffer is not there hands its message back to returned and so lets others get
 * at later ones first; one that took such a later one may then take the former.
 * That is the price of holding nothing while pages are faulted in.  A reader that
 * waits hardly ever pays it: it fetches its pages before it goes to sleep.
 */

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/vmalloc.h>

#include "compat.h"
#include "queue.h"

/*
 * How often pages are faulted in for one message before it is given up.  They
 * may be taken away again before we get to copy; so many times means that
 * they can be faulted in but not accessed.
 */
#define MPMCQ_FAULT_TRIES	16

/**
 * struct mpmcq_slot - room for one message
 * @len: length of the message, in bytes
 * @data: the message
 *
 * Written by the owner of the index only.  @len is also peeked at by receives
 * that want to know whether the message at the head fits, see claim_from().
 */
struct mpmcq_slot {
	u32 len;
	u8 data[] __aligned(8);
};

/* What a slot costs beyond the message: its header and an entry in each ring. */
static_assert(sizeof(struct mpmcq_slot) + 3 * sizeof(atomic64_t) <= 56);

static struct mpmcq_slot *slot_of(const struct mpmcq_queue *q, u32 index)
{
	return q->slots + index * q->stride;
}

/* Zeroed; where there is no memory it fails rather than have processes killed. */
static void *alloc_table(size_t n, size_t size)
{
	size_t bytes;

	if (check_mul_overflow(n, size, &bytes))
		return NULL;
	return __vmalloc(bytes, GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_NORETRY);
}

static void waiters_init(struct mpmcq_waiters *w, __poll_t events, int band)
{
	init_waitqueue_head(&w->tasks);
	init_waitqueue_head(&w->pollers);
	w->async = NULL;
	w->events = events;
	w->band = band;
}

/**
 * mpmcq_queue_create() - make an empty queue
 * @capacity: messages it has room for; a power of two,
 *	%MPMCQ_CAPACITY_MIN to %MPMCQ_CAPACITY_MAX
 * @msg_size: longest message in bytes, 1 to %MPMCQ_MSG_SIZE_MAX
 *
 * Return: the queue, or an ERR_PTR: -EINVAL for a value out of range, -ENOMEM.
 * Context: may sleep.
 */
struct mpmcq_queue *mpmcq_queue_create(u32 capacity, u32 msg_size)
{
	unsigned int order;
	struct mpmcq_queue *q;

	if (!is_power_of_2(capacity) || capacity < MPMCQ_CAPACITY_MIN ||
	    capacity > MPMCQ_CAPACITY_MAX || !msg_size || msg_size > MPMCQ_MSG_SIZE_MAX)
		return ERR_PTR(-EINVAL);

	q = kzalloc(sizeof(*q), GFP_KERNEL);
	if (!q)
		return ERR_PTR(-ENOMEM);

	q->capacity = capacity;
	q->msg_size = msg_size;
	q->stride = ALIGN(sizeof(struct mpmcq_slot) + msg_size, 8);
	q->entries = alloc_table(capacity, 3 * sizeof(*q->entries));
	if (!q->entries)
		goto err_queue;
	q->slots = alloc_table(capacity, q->stride);
	if (!q->slots)
		goto err_entries;

	order = ilog2(capacity);
	index_ring_init(&q->free, q->entries, order, capacity);
	index_ring_init(&q->ready, q->entries + capacity, order, 0);
	index_ring_init(&q->returned, q->entries + 2 * capacity, order, 0);
	waiters_init(&q->readers, EPOLLIN | EPOLLRDNORM, POLL_IN);
	waiters_init(&q->writers, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	return q;

err_entries:
	vfree(q->entries);
err_queue:
	kfree(q);
	return ERR_PTR(-ENOMEM);
}

/**
 * mpmcq_queue_destroy() - free a queue and what is in it
 * @q: the queue; nobody uses it any more, no open file refers to it
 *
 * Context: may sleep.
 */
void mpmcq_queue_destroy(struct mpmcq_queue *q)
{
	vfree(q->slots);
	vfree(q->entries);
	kfree(q);
}

static void wake_task(struct mpmcq_waiters *w)
{
	smp_mb();	/* WAKE */
	if (waitqueue_active(&w->tasks))
		wake_up_interruptible(&w->tasks);
}

/* Pollers are told of every put: an edge-triggered one may have seen the last. */
static void wake(struct mpmcq_waiters *w)
{
	wake_task(w);
	/* The barrier in wake_task() is for these two as well. */
	if (waitqueue_active(&w->pollers))
		wake_up_interruptible_poll(&w->pollers, w->events);
	if (READ_ONCE(w->async))
		kill_fasync(&w->async, SIGIO, w->band);
}

/* The only way an index gets into a ring, but for the first time. */
static void mpmcq_put(struct index_ring *ring, u32 index, struct mpmcq_waiters *w)
{
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_disable();
	index_ring_put(ring, index);
	wake(w);
	if (!IS_ENABLED(CONFIG_PREEMPT_RT))
		preempt_enable();
}

/*
 * What a send or receive does first, and a waiter each time it looks:
 * takes an index, or says -EAGAIN or -EMSGSIZE.
 */
typedef int (*claim_fn)(struct mpmcq_queue *q, size_t room);

/* Takes an empty slot, whatever the room. */
static int claim_free(struct mpmcq_queue *q, size_t room)
{
	int index = index_ring_take(&q->free);

	return index == INDEX_RING_EMPTY ? -EAGAIN : index;
}

/*
 * What a look at a ring of messages does: returns what it is there for, or -EAGAIN
 * if the ring is empty.  In @pos is where the head was.
 */
typedef int (*look_fn)(struct mpmcq_queue *q, struct index_ring *ring, size_t room, s64 *pos);

/*
 * Looks where the next message is.
 *
 * One that was ready when returned was looked at may be in returned by now, handed
 * back by another receive.  So there is none only if returned was empty before
 * and after ready was, and nothing has come and gone there meanwhile, for then
 * head would have moved.
 */
static __always_inline int look_for_message(struct mpmcq_queue *q, look_fn look, size_t room)
{
	s64 pos, before, ready;
	int ret = look(q, &q->returned, room, &pos);

	while (ret == -EAGAIN) {
		before = pos;
		ret = look(q, &q->ready, room, &ready);
		if (ret != -EAGAIN)
			break;
		ret = look(q, &q->returned, room, &pos);
		if (pos == before)
			break;
	}
	return ret;
}

/*
 * Takes the message at the head unless it is longer than @room.
 *
 * The length is read while others may take the message, send the next in its
 * slot and so change it.  If it fits, winning the take says that this did not
 * happen.  If not, nothing is taken that could tell, so the head has to be
 * looked at again: RECHECK in index_ring_at_head() pairs with LEN in
 * mpmcq_send(), see the litmus test RECHECK+LEN.
 */
static int claim_from(struct mpmcq_queue *q, struct index_ring *ring, size_t room, s64 *pos)
{
	int index;

	while ((index = index_ring_peek(ring, pos)) != INDEX_RING_EMPTY) {
		if (READ_ONCE(slot_of(q, index)->len) <= room) {
			if (index_ring_take_at(ring, *pos))
				return index;
		} else if (index_ring_at_head(ring, *pos)) {
			return -EMSGSIZE;
		}
	}
	return -EAGAIN;
}

/* Takes the next message. */
static int claim_message(struct mpmcq_queue *q, size_t room)
{
	return look_for_message(q, claim_from, room);
}

/*
 * Sleeps until @claim has something to say.  The copying is left to the
 * caller, who runs again and is in no wait queue.
 */
static int wait_for(struct mpmcq_queue *q, struct mpmcq_waiters *w, claim_fn claim, size_t room)
{
	DEFINE_WAIT(wait);
	int ret;

	for (;;) {
		prepare_to_wait_exclusive(&w->tasks, &wait, TASK_INTERRUPTIBLE);	/* WAIT */
		ret = claim(q, room);
		if (ret != -EAGAIN)
			break;
		if (signal_pending(current)) {
			ret = -ERESTARTSYS;
			break;
		}
		schedule();
	}
	finish_wait(&w->tasks, &wait);
	return ret;
}

static int wait_for_free(struct mpmcq_queue *q)
{
	int index = wait_for(q, &q->writers, claim_free, 0);

	if (mpmcq_queue_writable(q))
		wake_task(&q->writers);
	return index;
}

static int wait_for_message(struct mpmcq_queue *q, size_t room)
{
	int index = wait_for(q, &q->readers, claim_message, room);

	if (mpmcq_queue_readable(q))
		wake_task(&q->readers);
	return index;
}

static bool copy_in(struct mpmcq_slot *slot, size_t len, struct iov_iter *from)
{
	size_t copied;

	pagefault_disable();
	copied = copy_from_iter(slot->data, len, from);
	pagefault_enable();
	if (copied == len)
		return true;
	iov_iter_revert(from, copied);
	return false;
}

static bool copy_out(struct mpmcq_slot *slot, size_t len, struct iov_iter *to)
{
	size_t copied;

	pagefault_disable();
	copied = copy_to_iter(slot->data, len, to);
	pagefault_enable();
	if (copied == len)
		return true;
	iov_iter_revert(to, copied);
	return false;
}

/**
 * mpmcq_send() - queue one message
 * @q: the queue
 * @from: the message, all that is in the iterator
 * @nowait: rather fail than wait for an empty slot
 *
 * Return: length of the message; -EINVAL if that is 0, -EMSGSIZE if it is more
 * than the queue's msg_size; -EAGAIN if the queue is full and @nowait;
 * -ERESTARTSYS if a signal came while waiting; -EFAULT.  After an error
 * nothing is sent.
 * Context: may sleep if not @nowait, or if pages of @from are missing.
 */
ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, bool nowait)
{
	size_t len = iov_iter_count(from);
	unsigned int tries;

	if (!len)
		return -EINVAL;
	if (len > q->msg_size)
		return -EMSGSIZE;

	for (tries = 0; tries < MPMCQ_FAULT_TRIES; tries++) {
		int index = claim_free(q, len);
		struct mpmcq_slot *slot;

		if (index == -EAGAIN && !nowait)
			index = wait_for_free(q);
		if (index < 0)
			return index;
		slot = slot_of(q, index);
		if (copy_in(slot, len, from)) {
			/* Pairs with RECHECK of index_ring.h. */
			smp_store_release(&slot->len, len);	/* LEN */
			mpmcq_put(&q->ready, index, &q->readers);
			return len;
		}
		mpmcq_put(&q->free, index, &q->writers);
		if (fault_in_iov_iter_readable(from, len))
			break;
	}
	return -EFAULT;
}

/**
 * mpmcq_receive() - take one message
 * @q: the queue
 * @to: where the message goes
 * @nowait: rather fail than wait for a message
 *
 * Return: length of the message; 0 if @to has no room at all; -EMSGSIZE if it
 * has less than the next message needs; -EAGAIN if the queue is empty and
 * @nowait; -ERESTARTSYS if a signal came while waiting; -EFAULT.  After an
 * error no message is lost; after -EFAULT the one that was to be read comes
 * before all that were not yet read.
 * Context: may sleep if not @nowait, or if pages of @to are missing.
 */
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, bool nowait)
{
	size_t room = iov_iter_count(to);
	unsigned int tries = 0;
	int last = -1;

	if (!room)
		return 0;

	while (tries++ < MPMCQ_FAULT_TRIES) {
		int index = claim_message(q, room);
		struct mpmcq_slot *slot;
		u32 len;

		if (index == -EAGAIN && !nowait) {
			/* Only to keep the order; the message may need less of it. */
			fault_in_iov_iter_writeable(to, min_t(size_t, room, q->msg_size));
			index = wait_for_message(q, room);
		}
		if (index < 0)
			return index;
		slot = slot_of(q, index);
		len = slot->len;
		if (copy_out(slot, len, to)) {
			mpmcq_put(&q->free, index, &q->writers);
			return len;
		}
		mpmcq_put(&q->returned, index, &q->readers);
		if (fault_in_iov_iter_writeable(to, len))
			break;
		/* Another message, and more pages perhaps: another reader had the last. */
		if (index != last)
			tries = 0;
		last = index;
	}
	return -EFAULT;
}

static int peek_at(struct mpmcq_queue *q, struct index_ring *ring, size_t room, s64 *pos)
{
	int index = index_ring_peek(ring, pos);

	return index == INDEX_RING_EMPTY ? -EAGAIN : index;
}

/**
 * mpmcq_queue_readable() - whether a message waits
 * @q: the queue
 *
 * Context: any.
 */
bool mpmcq_queue_readable(struct mpmcq_queue *q)
{
	return look_for_message(q, peek_at, 0) != -EAGAIN;
}

/**
 * mpmcq_queue_writable() - whether a slot is empty
 * @q: the queue
 *
 * Context: any.
 */
bool mpmcq_queue_writable(const struct mpmcq_queue *q)
{
	return !index_ring_empty(&q->free);
}

/**
 * mpmcq_queue_depth() - about how many messages wait
 * @q: the queue
 *
 * Return: 0 to the queue's capacity; exact when nobody sends or receives.
 * Context: any.
 */
u32 mpmcq_queue_depth(const struct mpmcq_queue *q)
{
	return min(index_ring_count(&q->returned) + index_ring_count(&q->ready), q->capacity);
}

/* As claim_from(), but takes nothing. */
static int len_in(struct mpmcq_queue *q, struct index_ring *ring, size_t room, s64 *pos)
{
	int index;

	while ((index = index_ring_peek(ring, pos)) != INDEX_RING_EMPTY) {
		u32 len = READ_ONCE(slot_of(q, index)->len);

		if (index_ring_at_head(ring, *pos))
			return len;
	}
	return -EAGAIN;
}

/**
 * mpmcq_queue_next_len() - length of the next message
 * @q: the queue
 *
 * Return: length in bytes, 0 if no message waits.
 * Context: any.
 */
u32 mpmcq_queue_next_len(struct mpmcq_queue *q)
{
	return max(look_for_message(q, len_in, 0), 0);
}
