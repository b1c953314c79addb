/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_CREATE_H
#define _MPMCQ_CREATE_H

#include "queue.h"

struct mpmcq_charge *mpmcq_queue_charge(const struct mpmcq_config *config,
					struct mpmcq_quota *quota);
struct mpmcq_queue *mpmcq_queue_create(const struct mpmcq_config *config,
				       struct mpmcq_charge *charge);
struct mpmcq_queue *mpmcq_queue_get(struct mpmcq_queue *q);
void mpmcq_queue_put(struct mpmcq_queue *q);
u32 mpmcq_queue_depth(const struct mpmcq_queue *q);
u32 mpmcq_queue_dead(const struct mpmcq_queue *q);
u32 mpmcq_queue_free(const struct mpmcq_queue *q);
u32 mpmcq_queue_leased(const struct mpmcq_queue *q);
u32 mpmcq_queue_parked(const struct mpmcq_queue *q);
u64 mpmcq_queue_counter(const struct mpmcq_queue *q, enum mpmcq_counter which);
u64 mpmcq_queue_sent(const struct mpmcq_queue *q);
u64 mpmcq_queue_received(const struct mpmcq_queue *q);
u32 mpmcq_queue_readers_asleep(const struct mpmcq_queue *q);

#endif /* _MPMCQ_CREATE_H */
