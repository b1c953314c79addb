/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share that make their calls by io_uring.
 */
#ifndef MPMCQ_URING_TEST_H
#define MPMCQ_URING_TEST_H

#include <limits.h>
#include <liburing.h>

#include "mpmcq_test.h"

#define RING_SIZE	64
#define NOT_DONE	INT_MIN	/* no completion yet: not a result a call can have */

/* False, and the test skipped, if the system has no io_uring for us. */
static inline bool ring_init(struct __test_metadata *_metadata, struct io_uring *ring)
{
	int ret = io_uring_queue_init(RING_SIZE, ring, 0);

	if (ret)
		SKIP(return false, "no io_uring for us: %s", strerror(-ret));
	return true;
}

/*
 * io_uring differs from kernel to kernel, also by backports, so a test asks io_uring itself
 * what to expect.
 */

/* From 5.13 on. */
static inline bool has_poll_multishot(const struct io_uring *ring)
{
	return ring->features & IORING_FEAT_RSRC_TAGS;
}

/*
 * From 5.17 on, of which this feature is a sign.  Earlier, a request that waits is tried again
 * only if poll says that it can complete, and poll tells of no error but the end.
 */
static inline bool retries_woken(const struct io_uring *ring)
{
	return ring->features & IORING_FEAT_LINKED_FILE;
}

#define OP_READ_MULTISHOT	49	/* IORING_OP_READ_MULTISHOT, which older headers lack */

/* From 6.7 on. */
static inline bool has_read_multishot(struct io_uring *ring)
{
	struct io_uring_probe *probe = io_uring_get_probe_ring(ring);
	bool has = probe && io_uring_opcode_supported(probe, OP_READ_MULTISHOT);

	io_uring_free_probe(probe);
	return has;
}

static inline struct io_uring_sqe *prep_read(struct io_uring *ring, int fd, void *buf, int len,
					     int id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	memset(buf, JUNK, len);
	io_uring_prep_read(sqe, fd, buf, len, -1);
	sqe->user_data = id;
	return sqe;
}

static inline struct io_uring_sqe *prep_write(struct io_uring *ring, int fd, void *msg, int len,
					      int id)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_write(sqe, fd, msg, len, -1);
	sqe->user_data = id;
	return sqe;
}

/* The result of the next completion, or NOT_DONE; of which request, in @id. */
static inline int done_now(struct io_uring *ring, int *id)
{
	struct io_uring_cqe *cqe;
	int res;

	if (io_uring_peek_cqe(ring, &cqe))
		return NOT_DONE;
	res = cqe->res;
	*id = cqe->user_data;
	io_uring_cqe_seen(ring, cqe);
	return res;
}

/* As done_now(), but waits for it. */
static inline int done(struct io_uring *ring, int *id)
{
	struct io_uring_cqe *cqe;

	while (io_uring_wait_cqe(ring, &cqe))
		;
	return done_now(ring, id);
}

#endif /* MPMCQ_URING_TEST_H */
