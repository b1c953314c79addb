/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_LIMITS_H
#define _MPMCQ_LIMITS_H

#include <linux/gfp.h>
#include <linux/types.h>

struct mpmcq_charge;

/*
 * How tables are asked for whose size a user chose: the call fails where memory is short, and
 * does not make the allocator try hard.  Page tables of vmalloc() are allocated as usual.
 */
#define MPMCQ_GFP_TABLE	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY)

/**
 * struct mpmcq_quota - the limits of a set of queues, and what it has of them
 * @max_bytes: memory of its queues, in bytes; 0 for no limit
 * @max_queues: number of its queues; 0 for no limit
 * @bytes: memory that its queues take now, in bytes
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
