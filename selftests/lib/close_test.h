/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of closing share: a queue that is open again at the end of a test.
 */
#ifndef MPMCQ_CLOSE_TEST_H
#define MPMCQ_CLOSE_TEST_H

#include "own_test.h"

static unsigned char large[MSG_SIZE_MAX];

/* A queue of one's own, on which @fd waits and @nb does not; and a file for either way. */
FIXTURE(close)
{
	int fd;
	int nb;
	int reader;
	int writer;
	int capacity;
};

FIXTURE_VARIANT(close)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(close, shortest) { .capacity = 2 };
FIXTURE_VARIANT_ADD(close, usual) { .capacity = 16 };

FIXTURE_SETUP(close)
{
	self->capacity = variant->capacity;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	self->reader = attach(self->fd, O_RDONLY | O_NONBLOCK, 0, 0);
	self->writer = attach(self->fd, O_WRONLY | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->nb);
	ASSERT_LE(0, self->reader);
	ASSERT_LE(0, self->writer);
}

/* Reopened, the queue is as it was. */
FIXTURE_TEARDOWN(close)
{
	EXPECT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(0, info_of(self->fd).closed);
	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(0, info_of(self->fd).dead);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	close(self->writer);
	close(self->reader);
	close(self->nb);
	close(self->fd);
}

#endif /* MPMCQ_CLOSE_TEST_H */
