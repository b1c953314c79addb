/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_LEASE_H
#define _MPMCQ_LEASE_H

#include <linux/types.h>
#include <linux/wait.h>

struct mpmcq_claim;
struct mpmcq_holder;
struct mpmcq_queue;

/**
 * struct mpmcq_verdict - how held messages are settled
 * @op: %MPMCQ_SETTLE_ACK, %MPMCQ_SETTLE_NACK or %MPMCQ_SETTLE_REJECT; for dead messages also
 *	%MPMCQ_SETTLE_REVIVE.  Dead messages stay dead by NACK and REJECT
 * @flags: with %MPMCQ_SETTLE_NACK: flags of mpmcq_give_back(); it ignores others
 * @delay_ms: with %MPMCQ_SETTLE_NACK: as of mpmcq_give_back(), in milliseconds
 */
struct mpmcq_verdict {
	u32 op;
	u32 flags;
	u32 delay_ms;
};

/**
 * struct mpmcq_room - pollers to wake when a full holder has room again
 * @pollers: pollers of the holder's open file
 * @shared: true if other pollers of the file may be registered with the queue's readers only
 */
struct mpmcq_room {
	wait_queue_head_t pollers;
	bool shared;
};

int mpmcq_leases_init(void);
void mpmcq_leases_exit(void);

struct mpmcq_holder *mpmcq_holder_create(struct mpmcq_queue *q, struct mpmcq_room *room, u32 max,
					 bool dead);
void mpmcq_holder_destroy(struct mpmcq_holder *h);

u32 mpmcq_holder_reserve(struct mpmcq_holder *h, u32 n);
void mpmcq_holder_unreserve(struct mpmcq_holder *h, u32 n);
bool mpmcq_holder_full(struct mpmcq_holder *h);
bool mpmcq_holder_admit(struct mpmcq_holder *h, const struct mpmcq_claim *claim);
void mpmcq_holder_keep(struct mpmcq_holder *h, const struct mpmcq_claim *claim, unsigned int n,
		       u32 admitted);
void mpmcq_holder_keep_next(struct mpmcq_holder *h, u64 id, u32 index);

u32 mpmcq_holder_end(struct mpmcq_holder *h, const u64 *ids, u32 n,
		     struct mpmcq_verdict verdict);
u32 mpmcq_holder_end_all(struct mpmcq_holder *h, struct mpmcq_verdict verdict);
int mpmcq_holder_len(struct mpmcq_holder *h, u64 id);
bool mpmcq_holder_release(struct mpmcq_holder *h, u64 id, u32 *index);
u32 mpmcq_holder_touch(struct mpmcq_holder *h, const u64 *ids, u32 n);
u32 mpmcq_holder_touch_all(struct mpmcq_holder *h);

const u32 *mpmcq_holder_held(const struct mpmcq_holder *h);
const u32 *mpmcq_holder_in_hand(const struct mpmcq_holder *h);
u32 mpmcq_holder_max(const struct mpmcq_holder *h);

#endif /* _MPMCQ_LEASE_H */
