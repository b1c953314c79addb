// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index ring, many threads: two rings hand slots round as the queue does,
 * and every message must arrive once, whole, and in its producer's order.
 *
 * Built four times: as it is; with ThreadSanitizer; and, as controls that have
 * to fail, with a planted fault of each kind (see the Makefile).
 *
 * Usage: stress [MESSAGES]		per producer
 */

#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shim.h"
#ifdef PLANT_NAIVE_RING
#include "naive_ring.h"
#else
#include "../../kmod/index_ring.h"
#endif

#define MAX_THREADS	4
#define MAX_BATCH	8
#define MAX_SLOTS	1024
#define WORDS		6

/* Not atomic: what makes this safe is the order that the rings give. */
struct slot {
	u32 producer;
	u32 seq;
	u32 words[WORDS];
};

static struct run {
	struct index_ring free, ready;
	atomic64_t entries[2][MAX_SLOTS];
	struct slot slots[MAX_SLOTS];
	unsigned int producers, consumers, batch;
	u32 messages;
	atomic64_t received;
	atomic64_t faults;
	unsigned char *seen;		/* producers x messages; a consumer's CAS marks one */
} run;

static u32 word_of(u32 producer, u32 seq, unsigned int i)
{
	return (producer << 28) ^ (seq * 2654435761U) ^ i;
}

static void fill(struct slot *slot, u32 producer, u32 seq)
{
	slot->producer = producer;
	slot->seq = seq;
	for (unsigned int i = 0; i < WORDS; i++)
		slot->words[i] = word_of(producer, seq, i);
}

static void fault(void)
{
	__atomic_add_fetch(&run.faults.counter, 1, __ATOMIC_RELAXED);
}

/* Whole, known, not seen before, and later than the last of its producer. */
static void check(const struct slot *slot, s64 last[])
{
	u32 producer = slot->producer, seq = slot->seq;

	if (producer >= run.producers || seq >= run.messages) {
		fault();
		return;
	}
	for (unsigned int i = 0; i < WORDS; i++)
		if (slot->words[i] != word_of(producer, seq, i))
			fault();
	if (__atomic_exchange_n(&run.seen[producer * (size_t)run.messages + seq], 1,
				__ATOMIC_RELAXED))
		fault();
	if (seq <= last[producer])
		fault();
	last[producer] = seq;
}

/* A ring with a fault may hand out one index twice, or hang: end it early. */
static bool given_up(void)
{
	return atomic64_read(&run.faults) > 0;
}

static unsigned int take_some(struct index_ring *ring, u32 *indices, unsigned int want)
{
	int index;

	if (want > 1)
		return index_ring_take_n(ring, indices, want);
	index = index_ring_take(ring);
	if (index == INDEX_RING_EMPTY)
		return 0;
	indices[0] = index;
	return 1;
}

static void put_some(struct index_ring *ring, const u32 *indices, unsigned int n)
{
	if (n > 1)
		index_ring_put_n(ring, indices, n);
	else
		index_ring_put(ring, indices[0]);
}

static void *produce(void *arg)
{
	u32 producer = (uintptr_t)arg, indices[MAX_BATCH], seq = 0;

	while (seq < run.messages && !given_up()) {
		unsigned int left = run.messages - seq;
		unsigned int n = take_some(&run.free, indices,
					   left < run.batch ? left : run.batch);

		for (unsigned int i = 0; i < n; i++)
			fill(&run.slots[indices[i]], producer, seq++);
		if (n)
			put_some(&run.ready, indices, n);
		else
			sched_yield();
	}
	return NULL;
}

static void *consume(void *arg)
{
	s64 total = (s64)run.producers * run.messages;
	s64 last[MAX_THREADS];
	u32 indices[MAX_BATCH];

	(void)arg;
	memset(last, -1, sizeof(last));
	while (atomic64_read(&run.received) < total && !given_up()) {
		unsigned int n = take_some(&run.ready, indices, run.batch);

		for (unsigned int i = 0; i < n; i++)
			check(&run.slots[indices[i]], last);
		if (n) {
			__atomic_add_fetch(&run.received.counter, n, __ATOMIC_RELAXED);
			put_some(&run.free, indices, n);
		} else {
			sched_yield();
		}
	}
	return NULL;
}

/* With all threads gone, every index must be back in free, once. */
static void check_indices(unsigned int slots)
{
	bool seen[MAX_SLOTS] = { false };
	unsigned int n = 0;
	int index;

	while (n <= slots && (index = index_ring_take(&run.free)) != INDEX_RING_EMPTY) {
		if (seen[index])
			fault();
		seen[index] = true;
		n++;
	}
	if (n != slots)
		fault();
}

static bool run_once(unsigned int producers, unsigned int consumers, unsigned int order,
		     unsigned int batch, u32 messages)
{
	pthread_t threads[2 * MAX_THREADS];
	unsigned int n = 0;
	int ret;

	memset(&run, 0, sizeof(run));
	run.producers = producers;
	run.consumers = consumers;
	run.batch = batch;
	run.messages = messages;
	run.seen = calloc(producers, messages);
	if (!run.seen)
		err(1, "calloc");
	memset(run.entries, 0, sizeof(run.entries));
	index_ring_init(&run.free, run.entries[0], order, 1U << order);
	index_ring_init(&run.ready, run.entries[1], order, 0);

	while (n < producers + consumers) {
		ret = pthread_create(&threads[n], NULL, n < producers ? produce : consume,
				     (void *)(uintptr_t)n);
		if (ret)
			errx(1, "pthread_create: %s", strerror(ret));
		n++;
	}
	while (n)
		pthread_join(threads[--n], NULL);
	if (!given_up())
		check_indices(1U << order);
	free(run.seen);
	return !given_up();
}

int main(int argc, char **argv)
{
	static const unsigned int counts[] = { 1, 2, 4 };
	static const unsigned int orders[] = { 1, 2, 4, 10 };
	static const unsigned int batches[] = { 1, 3, MAX_BATCH };
	unsigned int test = 0, failed = 0;
	long messages = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;

	if (argc > 2 || messages < 1 || messages > 100000000) {
		fprintf(stderr, "usage: stress [MESSAGES]\n");
		return 2;
	}
	printf("TAP version 13\n1..%d\n", 3 * 3 * 4 * 3);
	for (unsigned int p = 0; p < 3; p++)
		for (unsigned int c = 0; c < 3; c++)
			for (unsigned int o = 0; o < 4; o++)
				for (unsigned int b = 0; b < 3; b++) {
					bool ok = run_once(counts[p], counts[c], orders[o],
							   batches[b], messages);

					failed += !ok;
					printf("%s %u - %ux%u slots %u batch %u\n",
					       ok ? "ok" : "not ok", ++test, counts[p], counts[c],
					       1U << orders[o], batches[b]);
				}
	return failed ? 1 : 0;
}
