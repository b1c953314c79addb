// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same with rings that publish without order: a data race.
 */

#include <linux/atomic.h>

#define atomic64_try_cmpxchg_release	atomic64_try_cmpxchg_relaxed
#define atomic64_set_release		atomic64_set

#include "ring_whole.c"
