/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The operations on several indices, for the rings that serve as controls: one
 * index after the other.  Included at the end of such a ring.
 */
#ifndef _MPMCQ_ONE_BY_ONE_H
#define _MPMCQ_ONE_BY_ONE_H

static inline void index_ring_put_n(struct index_ring *ring, const u32 *indices, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		index_ring_put(ring, indices[i]);
}

static inline unsigned int index_ring_take_n(struct index_ring *ring, u32 *indices, unsigned int n)
{
	unsigned int got;

	for (got = 0; got < n; got++) {
		int index = index_ring_take(ring);

		if (index == INDEX_RING_EMPTY)
			break;
		indices[got] = index;
	}
	return got;
}

#endif /* _MPMCQ_ONE_BY_ONE_H */
