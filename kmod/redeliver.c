// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of a message that is sent with a delay, or given back: it is parked, published again
 * or set aside as a dead letter.  A dead letter is revived or purged.
 */

#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include <linux/mpmcq.h>

#include "park.h"
#include "put.h"
#include "redeliver.h"
#include "trace.h"

/* Puts messages at the tail that have been sent before. */
static void publish_again(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	mpmcq_count(q, MPMCQ_PUT_AGAIN, n);
	mpmcq_publish(q, indices, n);
}

/* Parks messages that have been sent, or puts them at the tail. */
static void park_or_publish(struct mpmcq_queue *q, const u32 *indices, unsigned int n,
			    u32 delay_ms)
{
	unsigned int i;

	/* Traced first: others may have a message as soon as it is parked. */
	if (trace_mpmcq_park_enabled())
		for (i = 0; i < n && delay_ms; i++)
			trace_mpmcq_park(q->number, mpmcq_len(mpmcq_slot(q, indices[i])), delay_ms);
	if (!delay_ms || !mpmcq_park_add(q->park, indices, n, delay_ms))
		publish_again(q, indices, n);
}

/**
 * mpmcq_publish_delayed() - send messages with a delay
 * @q: the queue, which has %MPMCQ_DELAY
 * @indices: slots in the caller's hands, with data and lengths of the messages
 * @n: how many; at least 1
 * @delay_ms: how long no reader gets them, in milliseconds
 *
 * Context: process.
 */
void mpmcq_publish_delayed(struct mpmcq_queue *q, const u32 *indices, unsigned int n,
			   u32 delay_ms)
{
	/* Counted as sent now, so the put when they are due is not counted. */
	mpmcq_count(q, MPMCQ_PUT_AGAIN, -(long)n);
	park_or_publish(q, indices, n, delay_ms);
}

/**
 * mpmcq_publish_due() - publish the parked messages that are due
 * @q: the queue, which has %MPMCQ_DELAY
 *
 * Context: process, of the work of the park.
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
			publish_again(q, indices, n);
		cond_resched();
	} while (n == MPMCQ_BATCH);
}

/* Called by the owner of the slot. */
static void set_word(struct mpmcq_slot *slot, u64 word)
{
	if (word != slot->word)
		smp_store_release(&slot->word, word);	/* LEN */
}

/**
 * mpmcq_set_aside() - set messages aside as dead letters
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

/* How long to park a message that was given back, in milliseconds. */
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
 * mpmcq_give_back() - give messages back for redelivery
 * @q: the queue
 * @indices: messages in the caller's hands, which were delivered
 * @n: how many, 1 to %MPMCQ_BATCH
 * @flags: %MPMCQ_SETTLE_FRONT: before ready messages, else after them; %MPMCQ_SETTLE_UNTRIED: the
 *	delivery does not count, and they are suspects or not as before; %MPMCQ_SETTLE_DELAY: after
 *	@delay_ms; %MPMCQ_CAME_BACK: they are suspects from now on; without it they are none
 * @delay_ms: in milliseconds
 *
 * Messages that have had @max_deliveries deliveries are set aside instead.
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
		/* A run of messages with equal delays keeps its order. */
		delay = retry_delay(&q->config, flags, delay_ms, deliveries);
		if (backs && delay != run_delay) {
			park_or_publish(q, back, backs, run_delay);
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
		park_or_publish(q, back, backs, run_delay);
	if (asides)
		mpmcq_set_aside(q, aside, asides, MPMCQ_REASON_DELIVERIES);
}

/**
 * mpmcq_return_dead() - put dead messages back unchanged
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
 * mpmcq_revive_batch() - publish dead messages again, as suspects without deliveries
 * @q: the queue
 * @indices: messages in the caller's hands
 * @n: how many; at least 1
 *
 * Context: process.
 */
void mpmcq_revive_batch(struct mpmcq_queue *q, const u32 *indices, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(q, indices[i]);

		set_word(slot, (slot->word & (MPMCQ_LEN | MPMCQ_PRIORITY)) | MPMCQ_SUSPECT);
	}
	atomic64_add(n, &q->suspected);
	publish_again(q, indices, n);
}

/*
 * Takes up to @max dead messages and passes them to @fn.  At most the capacity, because messages
 * may die as fast as this takes them.
 */
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
 * mpmcq_revive() - publish dead messages again, as suspects without deliveries
 * @q: the queue
 * @max: at most so many, the oldest first; 0 for all
 *
 * Return: how many.
 * Context: may sleep.
 */
u32 mpmcq_revive(struct mpmcq_queue *q, u32 max)
{
	return take_dead(q, max, mpmcq_revive_batch);
}

/**
 * mpmcq_purge() - remove dead messages and free their slots
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
