// SPDX-License-Identifier: GPL-2.0-only
/*
 * Our queue as the module has it: slots, and two rings of their indices
 */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "verify.h"
#include "../ringtest/shim.h"
#include "../../kmod/index_ring.h"
#include "candidate.h"

#define ORDER	10

struct mpmcq {
	struct index_ring free, ready;
	atomic64_t entries[2][1 << ORDER] ____cacheline_aligned_in_smp;
	struct message slots[1 << ORDER];
};

static inline bool push(void *handle, const struct message *m)
{
	struct mpmcq *q = handle;
	int index = index_ring_take(&q->free);

	if (index == INDEX_RING_EMPTY)
		return false;
	q->slots[index] = *m;
	index_ring_put(&q->ready, index);
	return true;
}

static inline bool pop(void *handle, struct message *m)
{
	struct mpmcq *q = handle;
	int index = index_ring_take(&q->ready);

	if (index == INDEX_RING_EMPTY)
		return false;
	*m = q->slots[index];
	index_ring_put(&q->free, index);
	return true;
}

#include "loops.h"

static void *mpmcq_open(void)
{
	struct mpmcq *q = aligned_alloc(64, sizeof(*q));

	if (!q)
		err(EXIT_FAILURE, "memory");
	memset(q->entries, 0, sizeof(q->entries));
	index_ring_init(&q->free, q->entries[0], ORDER, 1 << ORDER);
	index_ring_init(&q->ready, q->entries[1], ORDER, 0);
	return q;
}

const struct candidate candidate_mpmcq = {
	.name = "mpmcq",
	.text = "this project's ring: slots, and two rings of indices",
	.capacity = 1 << ORDER,
	.lock_free = true,
	.bounded = true,
	.fifo = true,
	.open = mpmcq_open,
	.attach = plain_attach,
	LOOPS,
};
