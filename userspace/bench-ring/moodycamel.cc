// SPDX-License-Identifier: GPL-2.0-only
/*
 * moodycamel::ConcurrentQueue with tokens, all memory allocated beforehand
 *
 * Each producer has a queue of its own, here of the capacity of the others, so that
 * producers are held back as they are elsewhere.
 */
#include <concurrentqueue/concurrentqueue.h>

extern "C" {
#include "verify.h"
}
#include "candidate.h"

struct Traits : moodycamel::ConcurrentQueueDefaultTraits {
	static const size_t MAX_SUBQUEUE_SIZE = CAPACITY;
};

using Queue = moodycamel::ConcurrentQueue<message, Traits>;

struct Thread {
	Queue *queue;
	moodycamel::ProducerToken *producer;
	moodycamel::ConsumerToken *consumer;
};

static inline bool push(void *handle, const struct message *m)
{
	Thread *t = static_cast<Thread *>(handle);

	return t->queue->try_enqueue(*t->producer, *m);
}

static inline bool pop(void *handle, struct message *m)
{
	Thread *t = static_cast<Thread *>(handle);

	return t->queue->try_dequeue(*t->consumer, *m);
}

#include "loops.h"

static void *moodycamel_open(void)
{
	return new Queue(CAPACITY, MAX_THREADS, 0);
}

static void *moodycamel_attach(void *queue, unsigned int roles)
{
	Queue *q = static_cast<Queue *>(queue);

	return new Thread {
		q,
		roles & PRODUCER ? new moodycamel::ProducerToken(*q) : nullptr,
		roles & CONSUMER ? new moodycamel::ConsumerToken(*q) : nullptr,
	};
}

const struct candidate candidate_moodycamel = {
	.name = "moodycamel",
	.text = "moodycamel::ConcurrentQueue, tokens, no allocation while it runs",
	.capacity = CAPACITY,
	.lock_free = false,
	.bounded = true,
	.fifo = false,
	.note = "capacity of each producer; who stops while it pops keeps a block",
	.open = moodycamel_open,
	.attach = moodycamel_attach,
	LOOPS,
};
