/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kmod/queue.c and mpmcq_poll() of kmod/file.c, as shipped but for their kernel
 * includes (the Makefile takes those out), on kernel.h; and a note of which ring has
 * which index, taken whenever queue.c puts or takes one.
 */
#ifndef _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H
#define _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H

#include "kernel.h"
#include "queue.h"
#include "search.h"

#define LEN_SHORT	8
#define LEN_LONG	16

/* Masks of the indices that are in each ring, or being put there. */
static struct {
	unsigned int free, ready, returned;
} holds;

static struct mpmcq_queue *queue;

static unsigned int *holds_of(const struct index_ring *ring)
{
	return ring == &queue->free ? &holds.free :
		ring == &queue->ready ? &holds.ready : &holds.returned;
}

static void note_put(const struct index_ring *ring, u32 index)
{
	if ((holds.free | holds.ready | holds.returned) & 1U << index)
		search_fault("an index was put that is in a ring");
	*holds_of(ring) |= 1U << index;
}

static void note_taken(const struct index_ring *ring, u32 index)
{
	if (!(*holds_of(ring) & 1U << index))
		search_fault("an index was taken that is not in the ring");
	*holds_of(ring) &= ~(1U << index);
}

/*
 * What the functions of index_ring.h keep in their local variables is gone when they
 * return; that need not be told apart any more.
 */
static void noted_put(struct index_ring *ring, u32 index)
{
	uint64_t seen = steps_seen(steps_self());

	note_put(ring, index);
	index_ring_put(ring, index);
	steps_forget(seen);
	saw(index);
}

static int noted_take(struct index_ring *ring)
{
	uint64_t seen = steps_seen(steps_self());
	int index = index_ring_take(ring);

	if (index != INDEX_RING_EMPTY)
		note_taken(ring, index);
	steps_forget(seen);
	return saw(index);
}

static int noted_peek(const struct index_ring *ring, s64 *pos)
{
	uint64_t seen = steps_seen(steps_self());
	int index = index_ring_peek(ring, pos);

	steps_forget(seen);
	saw(*pos);
	return saw(index);
}

static bool noted_take_at(struct index_ring *ring, s64 pos)
{
	if (!index_ring_take_at(ring, pos))
		return false;
	note_taken(ring, __index_ring_index(ring, __index_ring_entry(ring, pos)->counter));
	return true;
}

#define index_ring_put(ring, index)	noted_put(ring, index)
#define index_ring_take(ring)		noted_take(ring)
#define index_ring_peek(ring, pos)	noted_peek(ring, pos)
#define index_ring_take_at(ring, pos)	noted_take_at(ring, pos)

#include "queue.c"
#include "poll.c"

#undef index_ring_put
#undef index_ring_take
#undef index_ring_peek
#undef index_ring_take_at

/*
 * An empty queue of 2^@order slots whose rings are @skew positions on, with free's
 * indices backwards, so that no entry has by chance the index that comes next.
 */
static void queue_set_up(unsigned int order, unsigned int skew)
{
	u32 indices[1 << order];
	unsigned int n = 0;

	if (queue)
		mpmcq_queue_destroy(queue);
	queue = mpmcq_queue_create(1U << order, LEN_LONG);
	queue->readers.pollers.only_polls = true;
	queue->writers.pollers.only_polls = true;
	memset(tasks, 0, sizeof(tasks));
	while (skew--) {
		int index = index_ring_take(&queue->free);

		index_ring_put(&queue->ready, index);
		index_ring_put(&queue->free, index_ring_take(&queue->ready));
	}
	while (n < 1U << order)
		indices[n++] = index_ring_take(&queue->free);
	while (n)
		index_ring_put(&queue->free, indices[--n]);
	holds.free = (1U << (1U << order)) - 1;
	holds.ready = 0;
	holds.returned = 0;
}

/* A message of which @value tells all. */
static ssize_t send_value(u64 value, bool is_long, unsigned int missing, bool bad, bool nowait)
{
	struct iov_iter from = { .count = is_long ? LEN_LONG : LEN_SHORT, .value = value,
				 .missing = missing, .bad = bad };

	return mpmcq_send(queue, &from, nowait);
}

static ssize_t receive_value(u64 *value, bool is_long, unsigned int missing, bool bad,
			     bool nowait)
{
	struct iov_iter to = { .count = is_long ? LEN_LONG : LEN_SHORT,
			       .missing = missing, .bad = bad };
	ssize_t ret = mpmcq_receive(queue, &to, nowait);

	*value = to.value;
	return ret;
}

/* As poll(2): whether the queue can be read, or written; unless interrupted, with @wait. */
static bool poll_queue(unsigned int mode, bool exclusive, bool wait)
{
	struct file file = { .private_data = queue, .f_mode = mode };
	struct poll_table table = { .enter = wait, .exclusive = exclusive };
	bool able;

	while (!(able = mpmcq_poll(&file, &table)) && wait && !signal_pending(current)) {
		table.enter = false;
		set_current_state(TASK_INTERRUPTIBLE);
		step();
		if (!saw(current->triggered))
			schedule();
		current->sleepy = false;
		step();
		current->triggered = false;
	}
	poll_freewait(&table);
	return able;
}

static uint64_t hash_waiters(uint64_t hash, const wait_queue_head_t *head)
{
	for (unsigned int i = 0; i < head->n; i++)
		hash = search_mix(hash, (head->entries[i].task - tasks) << 2 |
				  head->entries[i].polls << 1 | head->entries[i].exclusive);
	return search_mix(hash, -1);
}

static uint64_t hash_ring(uint64_t hash, const struct index_ring *ring)
{
	hash = search_mix(hash, ring->head.counter);
	hash = search_mix(hash, ring->tail.counter);
	for (unsigned int i = 0; i < queue->capacity; i++)
		hash = search_mix(hash, ring->entries[i].counter);
	return hash;
}

static uint64_t hash_queue(void)
{
	uint64_t hash = search_mix(holds.free, holds.ready << 8 | holds.returned << 16);

	for (unsigned int i = 0; i < queue->capacity; i++)
		hash = search_mix(search_mix(hash, slot_of(queue, i)->len),
				  *(u64 *)slot_of(queue, i)->data);
	for (unsigned int i = 0; i < STEPS_MAX_THREADS; i++)
		hash = search_mix(hash, tasks[i].sleepy | tasks[i].asleep << 1 |
				  tasks[i].signalled << 2 | tasks[i].triggered << 3);
	hash = hash_waiters(hash, &queue->readers.tasks);
	hash = hash_waiters(hash, &queue->readers.pollers);
	hash = hash_waiters(hash, &queue->writers.tasks);
	hash = hash_waiters(hash, &queue->writers.pollers);
	return hash_ring(hash_ring(hash_ring(hash, &queue->free), &queue->ready),
			 &queue->returned);
}

#endif /* _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H */
