/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_LEASE_H
#define _MPMCQ_LEASE_H

#include <linux/types.h>
#include <linux/wait.h>

struct mpmcq_claim;
struct mpmcq_holder;
struct mpmcq_queue;

/**
 * struct mpmcq_verdict - what becomes of messages that are held
 * @op: %MPMCQ_SETTLE_ACK, %MPMCQ_SETTLE_NACK or %MPMCQ_SETTLE_REJECT; of dead messages also
 *	%MPMCQ_SETTLE_REVIVE, and all but this and %MPMCQ_SETTLE_ACK leave them dead
 * @flags: of %MPMCQ_SETTLE_NACK: those of mpmcq_give_back(); others have no effect
 * @delay_ms: of %MPMCQ_SETTLE_NACK: that of mpmcq_give_back()
 */
struct mpmcq_verdict {
	u32 op;
	u32 flags;
	u32 delay_ms;
};

/**
 * struct mpmcq_room - whom to tell that a full holder has room again
 * @pollers: pollers of the holder's open file
 * @shared: set if the file may have pollers that are not in @pollers, but only among the readers'
 *	pollers of the queue
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
