/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_FORWARD_H
#define _MPMCQ_FORWARD_H

#include <linux/types.h>

struct cred;
struct mpmcq_holder;
struct mpmcq_queue;

/**
 * struct mpmcq_forwarding - a message to be forwarded
 * @id: names the delivery to the holder
 * @data: data to be sent in place of the message; NULL for the message itself
 * @len: length of @data in bytes; at least 1
 * @priority: priority in the other queue
 * @delay_ms: how long it is parked there, in milliseconds; 0 for not at all
 * @cred: credentials of the opener of the file of the other queue
 * @wait_ms: for an empty slot, as of struct mpmcq_claim
 * @seq: out: names the new message in the other queue
 */
struct mpmcq_forwarding {
	u64 id;
	const void *data;
	const struct cred *cred;
	u32 len;
	u32 priority;
	u32 delay_ms;
	u32 wait_ms;
	u64 seq;
};

int mpmcq_forward(struct mpmcq_queue *from, struct mpmcq_holder *h, struct mpmcq_queue *to,
		  struct mpmcq_forwarding *msg);

#endif /* _MPMCQ_FORWARD_H */
