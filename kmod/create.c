// SPDX-License-Identifier: GPL-2.0-only
/*
 * Creating and freeing a queue, its memory, and its counters
 */

#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/kmemleak.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/poll.h>
#include <linux/timer.h>
#include <linux/uuid.h>
#include <linux/vmalloc.h>

#include <linux/mpmcq.h>

#include "compat.h"
#include "create.h"
#include "limits.h"
#include "park.h"
#include "queue.h"
#include "redeliver.h"
#include "wake.h"

/* Memory of the inode and the directory entry of a queue with a name, rounded up. */
#define MPMCQ_FILE_BYTES	2048

/*
 * A slot costs 48 bytes beyond the message if there is one level, as the documents say: what goes
 * before the message, and an entry in each ring.
 */
static_assert(sizeof(struct mpmcq_slot) + 4 * sizeof(atomic64_t) == 48);

/* A queue of up to so many bytes gets contiguous pages, if there are any. */
#define MPMCQ_SMALL_BYTES	(PAGE_SIZE << PAGE_ALLOC_COSTLY_ORDER)

static void waiters_init(struct mpmcq_waiters *w, const struct index_ring *ring,
			 __poll_t events, int band)
{
	init_waitqueue_head(&w->tasks);
	init_waitqueue_head(&w->pollers);
	atomic_set(&w->asleep, 0);
	atomic_set(&w->full_holders, 0);
	w->async = NULL;
	w->ring = ring;
	w->events = events;
	w->band = band;
}

static bool config_valid(const struct mpmcq_config *config)
{
	return is_power_of_2(config->capacity) && config->capacity >= MPMCQ_CAPACITY_MIN &&
		config->capacity <= MPMCQ_CAPACITY_MAX && config->msg_size &&
		config->msg_size <= MPMCQ_MSG_SIZE_MAX && config->lease_ms <= INT_MAX &&
		config->levels && config->levels <= MPMCQ_LEVELS_MAX &&
		config->max_deliveries <= MPMCQ_MAX_DELIVERIES_MAX &&
		(!config->retry_max_ms ||
		 (config->retry_ms && config->retry_max_ms >= config->retry_ms));
}

static size_t stride_of(const struct mpmcq_config *config)
{
	return ALIGN(sizeof(struct mpmcq_slot) + config->msg_size, 8) +
	       (config->flags & MPMCQ_STAMP ? sizeof(struct mpmcq_stamp) : 0);
}

/* free, returned, dead, and ready for each level */
static unsigned int rings_of(const struct mpmcq_config *config)
{
	return 3 + config->levels;
}

/*
 * All memory that a queue takes without its name.  Queue, counters, rings, entries, slots and
 * parked messages are one allocation, because many queues are small.  With a valid config it is
 * less than 2^37 bytes, so it cannot overflow on the 64-bit kernels that main.c accepts.
 */
static size_t bytes_of(const struct mpmcq_config *config)
{
	size_t slot = rings_of(config) * sizeof(atomic64_t) + stride_of(config);
	size_t bytes = sizeof(struct mpmcq_queue) + nr_cpu_ids * sizeof(struct mpmcq_counters) +
		       (config->levels - 1) * sizeof(struct index_ring) + config->capacity * slot;

	if (config->flags & MPMCQ_DELAY)
		bytes += mpmcq_park_bytes(config->capacity);
	return bytes <= MPMCQ_SMALL_BYTES ? PAGE_SIZE << get_order(bytes) : PAGE_ALIGN(bytes);
}

/*
 * Returns zeroed memory, or NULL; @bytes are from bytes_of().
 *
 * Not kvzalloc(): with init_on_alloc it zeroes the pages of kmalloc() twice, which takes much of
 * the time of making a small queue.  Several pages may come from vmalloc(), so the allocator does
 * not reclaim or move pages to make them contiguous.
 */
static void *alloc_queue(size_t bytes)
{
	gfp_t gfp = MPMCQ_GFP_TABLE | __GFP_ZERO;
	unsigned int order = get_order(bytes);
	void *q = NULL;

	if (bytes <= MPMCQ_SMALL_BYTES)
		q = (void *)__get_free_pages(order ? gfp & ~__GFP_DIRECT_RECLAIM : gfp, order);
	if (!q)
		return __vmalloc(bytes, gfp);
	/* kmemleak scans the queue, which has the only pointers to some memory. */
	kmemleak_alloc(q, bytes, 1, gfp);
	return q;
}

static void free_queue(struct mpmcq_queue *q)
{
	if (is_vmalloc_addr(q)) {
		vfree(q);
	} else {
		kmemleak_free(q);
		free_pages((unsigned long)q, get_order(bytes_of(&q->config)));
	}
}

static void init_rings(struct mpmcq_queue *q)
{
	u32 capacity = q->config.capacity;
	unsigned int order = ilog2(capacity);
	u32 i;

	index_ring_init(&q->free, q->entries, order, capacity);
	index_ring_init(&q->ready, q->entries + capacity, order, 0);
	index_ring_init(&q->returned, q->entries + 2 * capacity, order, 0);
	index_ring_init(&q->dead, q->entries + 3 * capacity, order, 0);
	for (i = 1; i < q->config.levels; i++)
		index_ring_init(&q->lower[i - 1], q->entries + (3 + i) * capacity, order, 0);
}

static void publish_due(struct work_struct *work)
{
	mpmcq_publish_due(container_of(work, struct mpmcq_park, work)->q);
}

static void init_park(struct mpmcq_queue *q)
{
	q->park = q->slots + q->config.capacity * q->stride;
	q->park->q = q;
	mpmcq_park_init(q->park, q->config.capacity, &q->closings, publish_due);
}

/**
 * mpmcq_queue_charge() - charge a queue that is to be made to the caller's accounts
 * @config: its configuration
 * @quota: limits of the set of queues that it gets a name in; NULL for a private queue
 *
 * Return: for mpmcq_queue_create(), or an ERR_PTR: -EINVAL for a value out of range, and those
 * of mpmcq_charge().
 * Context: may sleep.
 */
struct mpmcq_charge *mpmcq_queue_charge(const struct mpmcq_config *config,
					struct mpmcq_quota *quota)
{
	if (!config_valid(config))
		return ERR_PTR(-EINVAL);
	return mpmcq_charge(quota, bytes_of(config) + (quota ? MPMCQ_FILE_BYTES : 0), 1);
}

/**
 * mpmcq_queue_create() - make an empty queue
 * @config: its configuration, with values in range
 * @charge: from mpmcq_queue_charge(); this function takes it over, also if it fails; NULL for a
 *	queue that is charged to no account
 *
 * Return: the queue with one reference, or an ERR_PTR: -ENOMEM.
 * Context: may sleep.
 */
struct mpmcq_queue *mpmcq_queue_create(const struct mpmcq_config *config,
				       struct mpmcq_charge *charge)
{
	static atomic_t number;
	struct mpmcq_queue *q;

	q = alloc_queue(bytes_of(config));
	if (!q) {
		mpmcq_uncharge(charge);
		return ERR_PTR(-ENOMEM);
	}
	q->charge = charge;
	q->config = *config;
	q->stride = stride_of(config);
	q->marks = config->flags & MPMCQ_STAMP || config->levels > 1;
	q->lower = config->levels > 1 ? (struct index_ring *)&q->counters[nr_cpu_ids] : NULL;
	q->entries = (void *)&q->counters[nr_cpu_ids] +
		     (config->levels - 1) * sizeof(struct index_ring);
	q->slots = q->entries + rings_of(config) * config->capacity;
	q->number = atomic_inc_return(&number);
	uuid_gen(&q->uuid);
	kref_init(&q->refs);
	mutex_init(&q->writers_lock);
	timer_setup(&q->late, mpmcq_wake_late, 0);
	init_rings(q);
	if (config->flags & MPMCQ_DELAY)
		init_park(q);
	waiters_init(&q->readers, &q->ready, EPOLLIN | EPOLLRDNORM, POLL_IN);
	waiters_init(&q->writers, &q->free, EPOLLOUT | EPOLLWRNORM, POLL_OUT);
	waiters_init(&q->dead_readers, &q->dead, EPOLLIN | EPOLLRDNORM, POLL_IN);
	return q;
}

static void mpmcq_queue_release(struct kref *refs)
{
	struct mpmcq_queue *q = container_of(refs, struct mpmcq_queue, refs);

	if (q->park)
		mpmcq_park_end(q->park);
	timer_delete_sync(&q->late);
	mpmcq_uncharge(q->charge);
	free_queue(q);
}

/**
 * mpmcq_queue_get() - take a reference
 * @q: the queue; the caller has a reference, or something that keeps one
 *
 * Return: @q.
 * Context: any.
 */
struct mpmcq_queue *mpmcq_queue_get(struct mpmcq_queue *q)
{
	kref_get(&q->refs);
	return q;
}

/**
 * mpmcq_queue_put() - drop a reference; the last one frees the queue and its messages
 * @q: the queue
 *
 * Context: may sleep.
 */
void mpmcq_queue_put(struct mpmcq_queue *q)
{
	kref_put(&q->refs, mpmcq_queue_release);
}

/**
 * mpmcq_queue_depth() - estimate how many messages wait
 * @q: the queue
 *
 * Return: 0 to the queue's capacity; exact while no message is sent or received.
 * Context: any.
 */
u32 mpmcq_queue_depth(const struct mpmcq_queue *q)
{
	u32 i, n = index_ring_count(&q->returned) + index_ring_count(&q->ready);

	for (i = 1; i < q->config.levels; i++)
		n += index_ring_count(&q->lower[i - 1]);
	return min(n, q->config.capacity);
}

/**
 * mpmcq_queue_free() - estimate how many slots no message occupies
 * @q: the queue
 *
 * Return: 0 to the queue's capacity; exact while no call takes or puts a slot.
 * Context: any.
 */
u32 mpmcq_queue_free(const struct mpmcq_queue *q)
{
	return index_ring_count(&q->free);
}

/**
 * mpmcq_queue_counter() - sum of one counter over all CPUs
 * @q: the queue
 * @which: the counter
 *
 * Context: any.
 */
u64 mpmcq_queue_counter(const struct mpmcq_queue *q, enum mpmcq_counter which)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += local64_read(&q->counters[cpu].n[which]);
	return sum;
}

/* How many indices were put into a ring that was empty at first. */
static u64 ever_put(const struct index_ring *ring)
{
	return index_ring_end(ring) - index_ring_start(ring);
}

static u64 ever_taken(const struct index_ring *ring)
{
	return index_ring_head(ring) - index_ring_start(ring);
}

static u64 all_put(const struct mpmcq_queue *q)
{
	u64 n = ever_put(&q->ready);
	u32 i;

	for (i = 1; i < q->config.levels; i++)
		n += ever_put(&q->lower[i - 1]);
	return n;
}

static u64 all_taken(const struct mpmcq_queue *q)
{
	u64 n = ever_taken(&q->ready) + ever_taken(&q->returned) + ever_taken(&q->dead);
	u32 i;

	for (i = 1; i < q->config.levels; i++)
		n += ever_taken(&q->lower[i - 1]);
	return n;
}

/*
 * Returns what the rings have counted, less @which.  Sums up again, up to 8 times, if the rings
 * have changed meanwhile.  An estimate while messages come and go, because the loads have no order.
 */
static u64 count_less(const struct mpmcq_queue *q, u64 (*all)(const struct mpmcq_queue *q),
		      enum mpmcq_counter which)
{
	unsigned int tries = 8;
	u64 before, n;

	do {
		before = all(q);
		n = mpmcq_queue_counter(q, which);
	} while (all(q) != before && --tries);
	return max_t(s64, before - n, 0);
}

/**
 * mpmcq_queue_sent() - how many messages were sent
 * @q: the queue
 *
 * A send counts nothing, because the positions of the ring count it.
 *
 * Return: exact while no message is sent, given back or due; else an estimate.
 * Context: any.
 */
u64 mpmcq_queue_sent(const struct mpmcq_queue *q)
{
	return count_less(q, all_put, MPMCQ_PUT_AGAIN);
}

/**
 * mpmcq_queue_received() - how many messages were delivered, with those that came back later
 * @q: the queue
 *
 * Return: with messages that are being copied; exact while no message is taken, to be received or
 * dropped; else an estimate.
 * Context: any.
 */
u64 mpmcq_queue_received(const struct mpmcq_queue *q)
{
	return count_less(q, all_taken, MPMCQ_UNDELIVERED);
}

/**
 * mpmcq_queue_readers_asleep() - how many tasks sleep in a read
 * @q: the queue
 *
 * Context: any.
 */
u32 mpmcq_queue_readers_asleep(const struct mpmcq_queue *q)
{
	return atomic_read(&q->readers.asleep) + atomic_read(&q->dead_readers.asleep);
}

/**
 * mpmcq_queue_dead() - estimate how many dead letters there are
 * @q: the queue
 *
 * Context: any.
 */
u32 mpmcq_queue_dead(const struct mpmcq_queue *q)
{
	return index_ring_count(&q->dead);
}

/**
 * mpmcq_queue_parked() - how many messages are parked
 * @q: the queue
 *
 * Context: any.
 */
u32 mpmcq_queue_parked(const struct mpmcq_queue *q)
{
	return q->park ? READ_ONCE(q->park->n) : 0;
}

/**
 * mpmcq_queue_leased() - estimate how many messages are under lease
 * @q: the queue
 *
 * Return: 0 to the queue's capacity; exact while no lease begins or ends.
 * Context: any.
 */
u32 mpmcq_queue_leased(const struct mpmcq_queue *q)
{
	s64 ended = mpmcq_queue_counter(q, MPMCQ_ACKED) +
		mpmcq_queue_counter(q, MPMCQ_RETURNED) +
		mpmcq_queue_counter(q, MPMCQ_REJECTED);

	return clamp_t(s64, mpmcq_queue_counter(q, MPMCQ_LEASED) - ended, 0, q->config.capacity);
}
