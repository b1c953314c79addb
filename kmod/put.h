/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_PUT_H
#define _MPMCQ_PUT_H

#include "queue.h"

void mpmcq_put(struct mpmcq_queue *q, struct index_ring *ring, const u32 *indices,
	       unsigned int n);
void mpmcq_publish(struct mpmcq_queue *q, const u32 *indices, unsigned int n);
void mpmcq_publish_one(struct mpmcq_queue *q, u32 index);
void mpmcq_publish_one_at(struct mpmcq_queue *q, u32 index, u32 priority);
void mpmcq_free(struct mpmcq_queue *q, const u32 *indices, unsigned int n);
void mpmcq_free_one(struct mpmcq_queue *q, u32 index);
void mpmcq_hand_back_one(struct mpmcq_queue *q, u32 index);
void mpmcq_hand_back(struct mpmcq_queue *q, const struct mpmcq_claim *claim, unsigned int first);

#endif /* _MPMCQ_PUT_H */
