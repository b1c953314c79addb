// SPDX-License-Identifier: GPL-2.0-only
/*
 * boost.lockfree: queue of fixed size, messages by value
 */
#include <cstdlib>

#include <boost/lockfree/queue.hpp>

extern "C" {
#include "verify.h"
}
#include "candidate.h"

using Queue = boost::lockfree::queue<message, boost::lockfree::capacity<CAPACITY>>;

static inline bool push(void *handle, const struct message *m)
{
	return static_cast<Queue *>(handle)->push(*m);
}

static inline bool pop(void *handle, struct message *m)
{
	return static_cast<Queue *>(handle)->pop(*m);
}

#include "loops.h"

static void *boost_open(void)
{
	Queue *q = new Queue;

	if (!q->is_lock_free())
		abort();
	return q;
}

const struct candidate candidate_boost = {
	.name = "boost",
	.text = "boost::lockfree::queue of fixed capacity, by value",
	.capacity = CAPACITY,
	.lock_free = true,
	.bounded = true,
	.fifo = true,
	.note = "against reuse it has tags of 16 bits",
	.open = boost_open,
	.attach = plain_attach,
	LOOPS,
};
