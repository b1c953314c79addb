/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_LIMITS_H
#define _MPMCQ_LIMITS_H

#include <linux/gfp.h>
#include <linux/types.h>

struct mpmcq_user;

/*
 * How all memory is asked for that a user's call makes us take: where there is none,
 * the call fails rather than have processes killed.
 */
#define MPMCQ_GFP	(GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY)

struct mpmcq_user *mpmcq_charge(size_t bytes, unsigned int queues, bool limited);
void mpmcq_uncharge(struct mpmcq_user *user, size_t bytes, unsigned int queues);

#endif /* _MPMCQ_LIMITS_H */
