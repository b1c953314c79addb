/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A planted fault: the ring that one writes first.  A put claims its position
 * by moving tail and fills the entry afterwards, so a take may find an entry
 * that is not filled yet.  The stress test must catch it.
 */
#ifndef _MPMCQ_NAIVE_RING_H
#define _MPMCQ_NAIVE_RING_H

#include <sched.h>

#define INDEX_RING_EMPTY	(-1)

struct index_ring {
	atomic64_t *entries;
	s64 mask;
	atomic64_t head;
	atomic64_t tail;
};

static inline void index_ring_init(struct index_ring *ring, atomic64_t *entries,
				   unsigned int order, u32 count)
{
	ring->entries = entries;
	ring->mask = (1LL << order) - 1;
	for (s64 i = 0; i <= ring->mask; i++)
		atomic64_set(&entries[i], i);
	atomic64_set(&ring->head, 0);
	atomic64_set(&ring->tail, count);
}

static inline void index_ring_put(struct index_ring *ring, u32 index)
{
	s64 pos = atomic64_read_acquire(&ring->tail);

	while (!atomic64_try_cmpxchg_release(&ring->tail, &pos, pos + 1))
		;
	if (!(pos % 64))
		sched_yield();	/* be stopped here now and then */
	atomic64_set(&ring->entries[pos & ring->mask], index);
}

static inline int index_ring_take(struct index_ring *ring)
{
	s64 pos = atomic64_read_acquire(&ring->head);
	s64 index;

	do {
		if (pos >= atomic64_read_acquire(&ring->tail))
			return INDEX_RING_EMPTY;
		index = atomic64_read_acquire(&ring->entries[pos & ring->mask]);
	} while (!atomic64_try_cmpxchg_release(&ring->head, &pos, pos + 1));
	return index;
}

#include "one_by_one.h"

#endif /* _MPMCQ_NAIVE_RING_H */
