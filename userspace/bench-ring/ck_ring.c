// SPDX-License-Identifier: GPL-2.0-only
/*
 * Concurrency Kit: ck_ring, messages by value
 */
#include <err.h>
#include <stdlib.h>

#include <ck_ring.h>

#include "verify.h"
#include "candidate.h"

CK_RING_PROTOTYPE(message, message)

struct ring {
	struct ck_ring ring OWN_LINE;
	struct message slots[CAPACITY] OWN_LINE;
};

static inline bool push(void *handle, const struct message *m)
{
	struct ring *r = handle;

	return ck_ring_enqueue_mpmc_message(&r->ring, r->slots, (struct message *)m);
}

static inline bool pop(void *handle, struct message *m)
{
	struct ring *r = handle;

	return ck_ring_dequeue_mpmc_message(&r->ring, r->slots, m);
}

#include "loops.h"

static void *ring_open(void)
{
	struct ring *r = aligned_alloc(64, sizeof(*r));

	if (!r)
		err(EXIT_FAILURE, "memory");
	ck_ring_init(&r->ring, CAPACITY);
	return r;
}

const struct candidate candidate_ck_ring = {
	.name = "ck-ring",
	.text = "Concurrency Kit's ck_ring (mpmc), by value",
	.capacity = CAPACITY - 1,
	.bounded = true,
	.fifo = true,
	.note = "producers wait for those before them",
	.open = ring_open,
	.attach = plain_attach,
	LOOPS,
};
