/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What index_ring.h takes from the kernel, for user space: the same names, by
 * the compiler's atomics.
 *
 * With PLANT_RELAXED_PUBLISH a release becomes relaxed: a planted fault that
 * ThreadSanitizer must report.
 *
 * With SHIM_STEPS every access to shared memory is a step of steps.h: the
 * scheduler there says when it happens, and is told what came of it.
 */
#ifndef _MPMCQ_RINGTEST_SHIM_H
#define _MPMCQ_RINGTEST_SHIM_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

typedef int64_t s64;
typedef uint64_t u64;
typedef uint32_t u32;
typedef struct { s64 counter; } atomic64_t;

#define SMP_CACHE_BYTES			64
#define ____cacheline_aligned_in_smp	__attribute__((__aligned__(SMP_CACHE_BYTES)))

#ifdef PLANT_RELAXED_PUBLISH
#define SHIM_RELEASE			__ATOMIC_RELAXED
#else
#define SHIM_RELEASE			__ATOMIC_RELEASE
#endif

#ifdef SHIM_STEPS
#include "steps.h"

#define SHIM_STILL	5

/*
 * Memory that stays as it is while threads run.  To look at it is no step: nobody could
 * tell when that was.
 */
static struct {
	const void *from, *to;
} shim_still[SHIM_STILL];

static inline void step_at(const void *p)
{
	for (unsigned int i = 0; i < SHIM_STILL; i++)
		if (p >= shim_still[i].from && p < shim_still[i].to)
			return;
	step();
}
#else
static inline void step_at(const void *p)
{
	(void)p;
}

static inline s64 saw(s64 value)
{
	return value;
}
#endif

#define ARRAY_SIZE(a)			(sizeof(a) / sizeof((a)[0]))
#define ilog2(n)			(63 - __builtin_clzll(n))
#define clamp_t(type, v, lo, hi)	shim_clamp(v, lo, hi)

static inline s64 shim_clamp(s64 v, s64 lo, s64 hi)
{
	return v < lo ? lo : v > hi ? hi : v;
}

static inline void smp_rmb(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline s64 atomic64_read(const atomic64_t *v)
{
	step_at(v);
	return saw(__atomic_load_n(&v->counter, __ATOMIC_RELAXED));
}

static inline s64 atomic64_read_acquire(const atomic64_t *v)
{
	step_at(v);
	return saw(__atomic_load_n(&v->counter, __ATOMIC_ACQUIRE));
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	step_at(v);
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic64_set_release(atomic64_t *v, s64 i)
{
	step_at(v);
	__atomic_store_n(&v->counter, i, SHIM_RELEASE);
}

static inline bool shim_cmpxchg(atomic64_t *v, s64 *old, s64 new, int order)
{
	bool done;

	step_at(v);
	done = __atomic_compare_exchange_n(&v->counter, old, new, false, order,
					   __ATOMIC_RELAXED);
	if (!done)
		saw(*old);
	return saw(done);
}

static inline bool atomic64_try_cmpxchg_relaxed(atomic64_t *v, s64 *old, s64 new)
{
	return shim_cmpxchg(v, old, new, __ATOMIC_RELAXED);
}

static inline bool atomic64_try_cmpxchg_release(atomic64_t *v, s64 *old, s64 new)
{
	return shim_cmpxchg(v, old, new, SHIM_RELEASE);
}

#endif /* _MPMCQ_RINGTEST_SHIM_H */
