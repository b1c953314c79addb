/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of leases share: a queue with an open file that waits and one that does not, and
 * messages that are held.
 */
#ifndef MPMCQ_LEASE_TEST_H
#define MPMCQ_LEASE_TEST_H

#include "own_test.h"

#define FEW	6

static unsigned char large[MSG_SIZE_MAX];

/* Takes @n messages, the first number @seed; -1, or the number of the last. */
static inline int take_some(int nb, int n, unsigned int seed)
{
	int i;

	for (i = 0; i < n; i++)
		if (take_msg(nb, LEN, seed + i) != LEN)
			return -1;
	return seed + n - 1;
}

/*
 * A queue of one's own, on which @fd waits and @nb does not.  @n messages are
 * some, but no more than fit.
 */
FIXTURE(lease)
{
	int fd;
	int nb;
	int le;		/* of reader() or hold_some() */
	int capacity;
	int n;
};

FIXTURE_VARIANT(lease)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(lease, shortest) { .capacity = 2 };
FIXTURE_VARIANT_ADD(lease, usual) { .capacity = 32 };

FIXTURE_SETUP(lease)
{
	self->capacity = variant->capacity;
	self->n = self->capacity < FEW ? self->capacity : FEW;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->nb);
}

/* Nothing is held, and no slot is missing. */
FIXTURE_TEARDOWN(lease)
{
	if (self->le)
		close(self->le);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(0, dead(self->fd));
	EXPECT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(self->nb);
	close(self->fd);
}

/* A queue with @n messages, all of them held by a packed file. */
static inline int put_and_hold(int fd, int n, struct mpmcq_msg *msg)
{
	int i, le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);

	for (i = 0; i < n; i++)
		if (put_msg(fd, LEN, i) != LEN)
			return -1;
	return take_packed(le, n, LEN, 0, msg) == n ? le : -1;
}

/* The test reads with @file, and the fixture closes it. */
#define with_lease(file) ({ \
	self->le = file; \
	ASSERT_LE(0, self->le); \
	self->le; \
})

#define reader(flags, modes) \
	with_lease(attach(self->fd, O_RDONLY | (flags), LEASE | (modes), 0))

#define hold_some(n, msg)	with_lease(put_and_hold(self->fd, n, msg))

#endif /* MPMCQ_LEASE_TEST_H */
