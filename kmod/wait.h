/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_WAIT_H
#define _MPMCQ_WAIT_H

#include "look.h"

/*
 * A look of a waiter: takes indices and returns how many, or returns an error.  -EAGAIN says that
 * there are none.
 */
typedef int (*mpmcq_claim_fn)(struct mpmcq_queue *q, struct mpmcq_claim *claim);

int mpmcq_spin_then_wait(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_claim_fn fn,
			 struct mpmcq_claim *claim);
void mpmcq_pass_wakeup(struct mpmcq_queue *q, struct mpmcq_waiters *w, mpmcq_left_fn is_left,
		       bool dead);

#endif /* _MPMCQ_WAIT_H */
