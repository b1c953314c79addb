/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_REDELIVER_H
#define _MPMCQ_REDELIVER_H

#include "queue.h"

void mpmcq_publish_delayed(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 delay_ms);
void mpmcq_publish_due(struct mpmcq_queue *q);
void mpmcq_give_back(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 flags,
		     u32 delay_ms);
void mpmcq_set_aside(struct mpmcq_queue *q, const u32 *indices, unsigned int n, u32 reason);
void mpmcq_return_dead(struct mpmcq_queue *q, const u32 *indices, unsigned int n);
void mpmcq_revive_batch(struct mpmcq_queue *q, const u32 *indices, unsigned int n);
u32 mpmcq_revive(struct mpmcq_queue *q, u32 max);
u32 mpmcq_purge(struct mpmcq_queue *q, u32 max);

#endif /* _MPMCQ_REDELIVER_H */
