/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_PACKED_H
#define _MPMCQ_PACKED_H

#include <linux/types.h>

struct cred;
struct iov_iter;
struct mpmcq_caller;
struct mpmcq_claim;
struct mpmcq_holder;
struct mpmcq_queue;
struct mpmcq_stamp;

void mpmcq_tell_stamp(const struct mpmcq_queue *q, const struct mpmcq_stamp *stamp,
		      const struct cred *cred, u64 *age_ns, u32 *uid, u32 *gid);
ssize_t mpmcq_packed_send(struct mpmcq_queue *q, struct iov_iter *from, u32 wait_ms,
			  const struct mpmcq_caller *by);
ssize_t mpmcq_packed_receive(struct mpmcq_queue *q, struct iov_iter *to,
			     struct mpmcq_claim *claim, struct mpmcq_holder *h,
			     const struct mpmcq_caller *by);

#endif /* _MPMCQ_PACKED_H */
