// SPDX-License-Identifier: GPL-2.0-only
/*
 * DPDK: rte_ring in its three ways to order threads, messages by value, on memory of our
 * own and without DPDK's environment
 */
#include <err.h>
#include <stdlib.h>

#include <rte_ring.h>
#include <rte_ring_elem.h>

#include "verify.h"
#include "candidate.h"

static inline bool push(void *handle, const struct message *m)
{
	return !rte_ring_enqueue_elem(handle, (void *)m, sizeof(*m));
}

static inline bool pop(void *handle, struct message *m)
{
	return !rte_ring_dequeue_elem(handle, m, sizeof(*m));
}

#include "loops.h"

static void *ring_open(unsigned int flags)
{
	ssize_t size = rte_ring_get_memsize_elem(sizeof(struct message), CAPACITY);
	struct rte_ring *r = NULL;

	if (size > 0)
		r = aligned_alloc(64, size);
	if (!r || rte_ring_init(r, "bench", CAPACITY, flags))
		errx(EXIT_FAILURE, "no rte_ring");
	return r;
}

static void *plain_open(void)
{
	return ring_open(0);
}

static void *rts_open(void)
{
	return ring_open(RING_F_MP_RTS_ENQ | RING_F_MC_RTS_DEQ);
}

static void *hts_open(void)
{
	return ring_open(RING_F_MP_HTS_ENQ | RING_F_MC_HTS_DEQ);
}

const struct candidate candidate_rte_ring = {
	.name = "rte-ring",
	.text = "DPDK's rte_ring (multi-producer, multi-consumer), by value",
	.capacity = CAPACITY - 1,
	.bounded = true,
	.fifo = true,
	.note = "each waits for those before it",
	.open = plain_open,
	.attach = plain_attach,
	LOOPS,
};

const struct candidate candidate_rte_rts = {
	.name = "rte-rts",
	.text = "DPDK's rte_ring, relaxed tail (RTS)",
	.capacity = CAPACITY - 1,
	.bounded = true,
	.fifo = true,
	.note = "what is behind one that stopped is not seen",
	.open = rts_open,
	.attach = plain_attach,
	LOOPS,
};

const struct candidate candidate_rte_hts = {
	.name = "rte-hts",
	.text = "DPDK's rte_ring, one thread at a time at each end (HTS)",
	.capacity = CAPACITY - 1,
	.bounded = true,
	.fifo = true,
	.note = "each waits for the one before it",
	.open = hts_open,
	.attach = plain_attach,
	LOOPS,
};
