/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A control for the pause test: the ring with a sequence number in each entry, by
 * D. Vyukov.  It is fast and right, but whoever is stopped between claiming a
 * position and publishing it stops all that come behind.
 *
 * An entry is sequence << 32 | index; for position P, sequence P means that it may
 * be written, P + 1 that it may be read.
 */
#ifndef _MPMCQ_VYUKOV_RING_H
#define _MPMCQ_VYUKOV_RING_H

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
		atomic64_set(&entries[i], (i < count ? i + 1 : i) << 32 | i);
	atomic64_set(&ring->head, 0);
	atomic64_set(&ring->tail, count);
}

/* Never full: there are no more indices than entries. */
static inline void index_ring_put(struct index_ring *ring, u32 index)
{
	s64 pos = atomic64_read(&ring->tail);

	while (!atomic64_try_cmpxchg_relaxed(&ring->tail, &pos, pos + 1))
		;
	while (atomic64_read_acquire(&ring->entries[pos & ring->mask]) >> 32 != pos)
		;	/* the take a lap ago is not through */
	atomic64_set(&ring->entries[pos & ring->mask], (pos + 1) << 32 | index);
}

static inline int index_ring_take(struct index_ring *ring)
{
	s64 pos = atomic64_read(&ring->head), entry;

	for (;;) {
		entry = atomic64_read_acquire(&ring->entries[pos & ring->mask]);
		if (entry >> 32 == pos)
			return INDEX_RING_EMPTY;
		if (entry >> 32 != pos + 1)
			pos = atomic64_read(&ring->head);
		else if (atomic64_try_cmpxchg_relaxed(&ring->head, &pos, pos + 1))
			break;
	}
	atomic64_set(&ring->entries[pos & ring->mask], (pos + ring->mask + 1) << 32);
	return (u32)entry;
}

#include "one_by_one.h"

#endif /* _MPMCQ_VYUKOV_RING_H */
