// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forwarding: a message that is held goes to another queue, or to the tail of its own, as a new
 * one.
 *
 *	1  look the message up, for its length		under the holder's lock
 *	2  take an empty slot of the other queue	may wait
 *	3  end the lease				under the holder's lock
 *	4  copy						within the kernel
 *	5  publish there
 *	6  free the slot here
 *
 * The lease runs on until step 3.  If its deadline or another thread has ended it by then, the slot
 * goes back and the call fails.  A message that was dropped for the slot is not brought back,
 * because later ones may have been received meanwhile.
 *
 * From step 3 on no other operation finds the message, and nothing can fail or sleep: a new payload
 * was copied from the user before step 1.
 *
 * Invariant: the message is in one queue or in both, and in both only between steps 5 and 6, while
 * the forwarder owns its slot here.
 *
 * No two locks are held at once.  A message that stays in its queue keeps its slot, so that works
 * in a full queue.
 */

#include <linux/kernel.h>
#include <linux/string.h>

#include "claim.h"
#include "forward.h"
#include "lease.h"
#include "message.h"
#include "put.h"
#include "queue.h"
#include "trace.h"

/*
 * Sends what is in a slot: @len bytes of @data, or what is there without it.  Sets @msg->seq before
 * the publish, because a receiver may take the message and free its slot at once.
 */
static void send_as_new(struct mpmcq_queue *q, u32 index, const void *data, u32 len,
			struct mpmcq_forwarding *msg)
{
	struct mpmcq_slot *slot = mpmcq_slot(q, index);

	mpmcq_slot_begin(slot);
	if (data)
		memcpy(slot->data, data, len);
	mpmcq_slot_fill(slot, mpmcq_word(len, msg->priority));
	msg->seq = mpmcq_seq(index, slot->generation);
	mpmcq_send_slots(q, &index, 1, msg->delay_ms, msg->cred);
}

/* Sends to the tail of the same queue, in the same slot.  The lease holds off the queue's end. */
static int forward_here(struct mpmcq_queue *q, struct mpmcq_holder *h,
			struct mpmcq_forwarding *msg, u32 len)
{
	u32 index;

	if (mpmcq_queue_closed(q))
		return -EPIPE;
	if (!mpmcq_holder_release(h, msg->id, &index))
		return -ENOENT;
	send_as_new(q, index, msg->data, len, msg);
	return 0;
}

/**
 * mpmcq_forward() - send a message that is held as a new one, and end its lease
 * @from: the queue
 * @h: the holder of the message
 * @to: the other queue; may be the same
 * @msg: which message, and how
 *
 * Return: 0; -ENOENT if it is not held, or no longer held when there is a slot; -EMSGSIZE if it is
 * longer than @to allows; -EINVAL if @to has no such level; -EOPNOTSUPP for a delay if @to has no
 * %MPMCQ_DELAY; and those of mpmcq_claim_slots() except -EFAULT.  After an error the message is
 * held as before, unless its lease has ended.  If it has, @to may have dropped a message for the
 * slot, as for any send.
 * Context: process; may sleep if it may wait.
 */
int mpmcq_forward(struct mpmcq_queue *from, struct mpmcq_holder *h, struct mpmcq_queue *to,
		  struct mpmcq_forwarding *msg)
{
	int ret = mpmcq_holder_len(h, msg->id);
	u32 index, mine, len;
	struct mpmcq_claim claim = {
		.wait_ms = msg->wait_ms, .priority = msg->priority, .max = 1, .index = &index,
	};

	if (ret < 0)
		return ret;
	len = ret;
	if (msg->data)
		len = msg->len;
	if (len > to->config.msg_size)
		return -EMSGSIZE;
	if (msg->priority >= to->config.levels)
		return -EINVAL;
	if (msg->delay_ms && !to->park)
		return -EOPNOTSUPP;
	if (to == from)
		return forward_here(from, h, msg, len);

	ret = mpmcq_claim_slots(to, &claim, NULL, 0);
	if (ret < 0)
		return ret;
	if (!mpmcq_holder_release(h, msg->id, &mine)) {
		mpmcq_free_one(to, index);
		return -ENOENT;
	}
	trace_mpmcq_forward(from->number, to->number, len);
	send_as_new(to, index, msg->data ?: mpmcq_slot(from, mine)->data, len, msg);
	mpmcq_free_one(from, mine);
	return 0;
}
