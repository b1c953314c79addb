/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What index_ring.h takes from the kernel, for user space: the same names, by
 * the compiler's atomics.
 *
 * With PLANT_RELAXED_PUBLISH a release becomes relaxed: a planted fault that
 * ThreadSanitizer must report.
 */
#ifndef _MPMCQ_RINGTEST_SHIM_H
#define _MPMCQ_RINGTEST_SHIM_H

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
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline s64 atomic64_read_acquire(const atomic64_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_ACQUIRE);
}

static inline void atomic64_set(atomic64_t *v, s64 i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline bool atomic64_try_cmpxchg_relaxed(atomic64_t *v, s64 *old, s64 new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static inline bool atomic64_try_cmpxchg_release(atomic64_t *v, s64 *old, s64 new)
{
	return __atomic_compare_exchange_n(&v->counter, old, new, false,
					   SHIM_RELEASE, __ATOMIC_RELAXED);
}

#endif /* _MPMCQ_RINGTEST_SHIM_H */
