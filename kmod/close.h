/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_CLOSE_H
#define _MPMCQ_CLOSE_H

#include "queue.h"

void mpmcq_queue_close(struct mpmcq_queue *q, bool all_due);
void mpmcq_queue_reopen(struct mpmcq_queue *q);
void mpmcq_queue_add_writer(struct mpmcq_queue *q);
void mpmcq_queue_remove_writer(struct mpmcq_queue *q);
bool mpmcq_queue_drained(struct mpmcq_queue *q, bool dead);

#endif /* _MPMCQ_CLOSE_H */
