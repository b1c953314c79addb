/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_MESSAGE_H
#define _MPMCQ_MESSAGE_H

#include <linux/types.h>

#include "queue.h"

struct cred;

/**
 * mpmcq_slot_begin() - begin another message in a slot
 * @slot: a slot in the caller's hands
 *
 * Goes before anything is written there.  Inline also where nothing may be called, see packed.c.
 *
 * Context: any.
 */
static __always_inline void mpmcq_slot_begin(struct mpmcq_slot *slot)
{
	/* Pairs with RECHECK of index_ring.h and COPY of peek.c. */
	smp_store_release(&slot->generation, slot->generation + 1);	/* BEGIN */
	smp_wmb();	/* WRITE */
}

/**
 * mpmcq_slot_fill() - enter the length of the message in a slot
 * @slot: a slot in the caller's hands
 * @len: length in bytes
 *
 * Inline also where nothing may be called, see packed.c.
 *
 * Context: any.
 */
static __always_inline void mpmcq_slot_fill(struct mpmcq_slot *slot, u32 len)
{
	/* Pairs with RECHECK of index_ring.h. */
	smp_store_release(&slot->word, len);	/* LEN */
}

void mpmcq_send_slots(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms,
		      const struct cred *cred);
ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
		   const struct cred *cred);
ssize_t mpmcq_receive_now(struct mpmcq_queue *q, struct iov_iter *to);
ssize_t mpmcq_receive_kept_now(struct mpmcq_queue *q, struct iov_iter *to, u32 *index, u64 *id);
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim);

int mpmcq_fetch_pages(struct iov_iter *to, size_t bytes, unsigned int *tries);
int mpmcq_try_again(unsigned int tries);

#endif /* _MPMCQ_MESSAGE_H */
