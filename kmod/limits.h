/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_LIMITS_H
#define _MPMCQ_LIMITS_H

#include <linux/gfp.h>
#include <linux/types.h>

struct mpmcq_charge;

/*
 * Flags for tables whose size a user chose: the call fails where memory is short, and the allocator
 * does not try hard.  vmalloc() allocates page tables as usual.
 */
#define MPMCQ_GFP_TABLE	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY)

/**
 * struct mpmcq_quota - the limits of a set of queues, and what the set takes of them
 * @max_bytes: most memory of its queues, in bytes; 0 for no limit
 * @max_queues: most queues; 0 for no limit
 * @bytes: memory of its queues now, in bytes
 * @queues: number of queues now
 *
 * @bytes and @queues are written under accounts_lock of limits.c.  The limits may change at any
 * time.
 */
struct mpmcq_quota {
	unsigned long max_bytes;
	unsigned long max_queues;
	unsigned long bytes;
	unsigned long queues;
};

struct mpmcq_charge *mpmcq_charge(struct mpmcq_quota *quota, size_t bytes, unsigned int queues);
void mpmcq_uncharge(struct mpmcq_charge *charge);

#endif /* _MPMCQ_LIMITS_H */
