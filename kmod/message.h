/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_MESSAGE_H
#define _MPMCQ_MESSAGE_H

#include <linux/types.h>

#include "queue.h"

struct cred;

/**
 * struct mpmcq_caller - what a call needs to know of its open file
 * @cred: credentials of the opener
 * @priority: of messages sent by plain writes; may change
 * @meta: headers of packed calls are struct mpmcq_meta
 */
struct mpmcq_caller {
	const struct cred *cred;
	u32 priority;
	bool meta;
};

/**
 * mpmcq_slot_begin() - begin another message in a slot
 * @slot: a slot that the caller owns
 *
 * Call before anything else is written to the slot.  Always inline, see mpmcq_slot().
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
 * mpmcq_slot_fill() - set the length of the message in a slot
 * @slot: a slot that the caller owns
 * @word: length in bytes, and perhaps a priority, see struct mpmcq_slot
 *
 * Always inline, see mpmcq_slot().
 *
 * Context: any.
 */
static __always_inline void mpmcq_slot_fill(struct mpmcq_slot *slot, u64 word)
{
	/* Pairs with RECHECK of index_ring.h. */
	smp_store_release(&slot->word, word);	/* LEN */
}

void mpmcq_send_slots(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms,
		      const struct cred *cred);
ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
		   const struct mpmcq_caller *by);
ssize_t mpmcq_try_receive(struct mpmcq_queue *q, struct iov_iter *to);
ssize_t mpmcq_try_receive_leased(struct mpmcq_queue *q, struct iov_iter *to, u32 *index, u64 *id);
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim);

int mpmcq_fetch_pages(struct iov_iter *to, size_t bytes, unsigned int *tries);
int mpmcq_try_again(unsigned int tries, u32 wait_ms);

#endif /* _MPMCQ_MESSAGE_H */
