/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_MESSAGE_H
#define _MPMCQ_MESSAGE_H

#include <linux/types.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "compat.h"
#include "queue.h"

/**
 * mpmcq_slot_fill() - enter the length of the message in a slot
 * @slot: a slot in the caller's hands
 * @len: length in bytes
 *
 * Context: any.
 */
static inline void mpmcq_slot_fill(struct mpmcq_slot *slot, u32 len)
{
	slot->deliveries = 0;
	/* Pairs with RECHECK of index_ring.h. */
	smp_store_release(&slot->len, len);	/* LEN */
}

/**
 * mpmcq_copy_from() - copy from the user by the pointer if there is one
 * @data: where to
 * @buf: where @from is, or NULL: then it is copied by @from, which moves on
 * @n: bytes
 * @from: the user's buffers
 *
 * Both this and mpmcq_copy_to() stop before a missing page, perhaps long before, if faults
 * are disabled.  What was not copied of @data is undefined, but no memory of others.
 *
 * Return: how many bytes were copied.
 * Context: any in which user memory may be accessed.
 */
static __always_inline size_t mpmcq_copy_from(void *data, const void __user *buf, size_t n,
					      struct iov_iter *from)
{
	return likely(buf) ? n - _copy_from_user(data, buf, n) : _copy_from_iter(data, n, from);
}

/**
 * mpmcq_copy_to() - copy to the user by the pointer if there is one
 * @buf: where @to is, or NULL: then it is copied by @to, which moves on
 * @data: where from
 * @n: bytes
 * @to: the user's buffers
 *
 * Return, context: as mpmcq_copy_from().
 */
static __always_inline size_t mpmcq_copy_to(void __user *buf, const void *data, size_t n,
					    struct iov_iter *to)
{
	return likely(buf) ? n - _copy_to_user(buf, data, n) : _copy_to_iter(data, n, to);
}

ssize_t mpmcq_send(struct mpmcq_queue *q, struct iov_iter *from, bool nowait);
ssize_t mpmcq_receive_now(struct mpmcq_queue *q, struct iov_iter *to);
ssize_t mpmcq_receive_kept_now(struct mpmcq_queue *q, struct iov_iter *to, u32 *index, u64 *id);
ssize_t mpmcq_receive(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim);

int mpmcq_room(struct mpmcq_queue *q, struct iov_iter *to, struct mpmcq_claim *claim,
	       size_t want);
int mpmcq_try_again(unsigned int tries);

#endif /* _MPMCQ_MESSAGE_H */
