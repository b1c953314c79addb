/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for kmod/park.h: messages that are parked, without time.  Each call is one step, as it is
 * under one lock.  All that is parked is due when the work looks, so a thread that does the work
 * stands for a timer that may go off at any moment.
 */
#ifndef _MPMCQ_RINGTEST_PARK_H
#define _MPMCQ_RINGTEST_PARK_H

#include "kernel.h"

#define PARK_MAX	8

struct work_struct {
	bool unused;
};

typedef void (*work_func_t)(struct work_struct *work);

struct mpmcq_park {
	struct mpmcq_queue *q;
	const atomic_t *closings;
	int all_due;
	u32 n;
	u32 indices[PARK_MAX];
	struct work_struct work;
};

/* A mask of the indices that are parked. */
static unsigned int parked_now;

static inline size_t mpmcq_park_bytes(u32 capacity)
{
	(void)capacity;
	return sizeof(struct mpmcq_park);
}

static inline void mpmcq_park_init(struct mpmcq_park *p, u32 capacity, const atomic_t *closings,
				   work_func_t work)
{
	(void)capacity;
	(void)work;
	p->closings = closings;
	parked_now = 0;
}

static inline void mpmcq_park_end(struct mpmcq_park *p)
{
	(void)p;
}

static inline bool mpmcq_park_add(struct mpmcq_park *p, const u32 *indices, unsigned int n,
				  u32 delay_ms)
{
	(void)delay_ms;
	step();
	if (saw(p->all_due && p->all_due == p->closings->counter))
		return false;
	for (unsigned int i = 0; i < n; i++) {
		parked_now |= 1U << indices[i];
		p->indices[p->n++] = indices[i];
	}
	return true;
}

static inline unsigned int mpmcq_park_remove_due(struct mpmcq_park *p, u32 *indices,
						 unsigned int max)
{
	unsigned int n;

	(void)max;
	step();
	n = saw(p->n);
	p->n = 0;
	for (unsigned int i = 0; i < n; i++)
		indices[i] = saw(p->indices[i]);
	parked_now = 0;
	return n;
}

static inline void mpmcq_park_all_due(struct mpmcq_park *p, int closings)
{
	step();
	if (closings - p->all_due > 0)
		p->all_due = closings;
}

/* Nothing that is parked is peeked at here. */
static inline void mpmcq_park_lock(struct mpmcq_park *p)
{
	(void)p;
}

#define mpmcq_park_unlock(p)		mpmcq_park_lock(p)
#define mpmcq_park_first(p)		(-ENOENT)
#define mpmcq_park_after(p, index)	(-ENOENT)
#define mpmcq_park_has(p, index)	false
#define mpmcq_park_left_ms(p, index)	0

#endif /* _MPMCQ_RINGTEST_PARK_H */
