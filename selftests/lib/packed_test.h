/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of packed reads and writes share: a queue with open files of all kinds.
 */
#ifndef MPMCQ_PACKED_TEST_H
#define MPMCQ_PACKED_TEST_H

#include "own_test.h"

#define HEADER	((int)sizeof(struct mpmcq_msg))

static unsigned char large[1 << 20];

static inline int smaller(int a, int b)
{
	return a < b ? a : b;
}

/* A queue of one's own.  @fd and @pk wait, @nb and @pn do not; @pk and @pn are packed. */
FIXTURE(packed)
{
	int fd;
	int nb;
	int pk;
	int pn;
	int capacity;
	int msg_size;
};

FIXTURE_VARIANT(packed)
{
	int capacity;
	int msg_size;
};

FIXTURE_VARIANT_ADD(packed, shortest) { .capacity = 2, .msg_size = 61 };
FIXTURE_VARIANT_ADD(packed, usual) { .capacity = 8, .msg_size = 1024 };
FIXTURE_VARIANT_ADD(packed, many) { .capacity = 256, .msg_size = 100 };
FIXTURE_VARIANT_ADD(packed, longest) { .capacity = 4, .msg_size = MSG_SIZE_MAX };

FIXTURE_SETUP(packed)
{
	self->capacity = variant->capacity;
	self->msg_size = variant->msg_size;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = self->msg_size,
			      .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->nb);
	self->pk = attach(self->fd, O_RDWR, MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, self->pk);
	self->pn = attach(self->fd, O_RDWR | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, self->pn);
}

FIXTURE_TEARDOWN(packed)
{
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, take_all(self->nb));
	close(self->pn);
	close(self->pk);
	close(self->nb);
	close(self->fd);
}

#endif /* MPMCQ_PACKED_TEST_H */
