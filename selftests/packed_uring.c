// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packed reads and writes by io_uring.
 */

#include "packed_test.h"
#include "uring_test.h"

TEST_F(packed, uring_at_once)
{
	int i, id, at = 0, n = smaller(self->capacity, 9);
	struct io_uring ring;
	struct mpmcq_msg msg;

	if (!ring_init(_metadata, &ring))
		return;
	for (i = 0; i < n; i++)
		at += pack(large + at, 13, i);
	prep_write(&ring, self->pk, large, at, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(at, done_now(&ring, &id));
	prep_read(&ring, self->pk, large, sizeof(large), 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(at, done_now(&ring, &id));
	for (i = at = 0; i < n; i++, at += space_of(13))
		EXPECT_EQ(space_of(13), unpack(large + at, space_of(13), 13, i, &msg));
	io_uring_queue_exit(&ring);
}

TEST_F(packed, uring_waits)
{
	struct io_uring ring;
	struct mpmcq_msg msg;
	int id, at;

	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, self->pk, large, sizeof(large), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 1, &msg));

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	at = pack(large, LEN, self->capacity);
	at += pack(large + at, LEN, self->capacity + 1);
	prep_write(&ring, self->pk, large, at, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(LEN, take_msg(self->nb, LEN, 0));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(self->capacity, take_packed(self->pk, self->capacity, LEN, 1, NULL));
	io_uring_queue_exit(&ring);
}

TEST_F(packed, uring_errors)
{
	void *none = map(getpagesize(), PROT_NONE);
	struct mpmcq_msg *msg = (void *)large;
	struct io_uring ring;
	int id;

	ASSERT_NE(MAP_FAILED, none);
	if (!ring_init(_metadata, &ring))
		return;
	memset(large, 0, HEADER);
	prep_write(&ring, self->pk, large, HEADER, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EINVAL, done(&ring, &id));
	msg->len = self->msg_size + 1;
	prep_write(&ring, self->pk, large, space_of(msg->len), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EMSGSIZE, done(&ring, &id));
	prep_write(&ring, self->pk, none, HEADER + 8, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EFAULT, done(&ring, &id));

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	prep_read(&ring, self->pk, large, space_of(LEN) - 1, 2);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EMSGSIZE, done(&ring, &id));
	io_uring_prep_read(io_uring_get_sqe(&ring), self->pk, none, 100, -1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(-EFAULT, done(&ring, &id));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	io_uring_queue_exit(&ring);
	munmap(none, getpagesize());
}

TEST_F(packed, uring_fixed_buffers)
{
	int id, len = smaller(self->msg_size, 1000), room = space_of(len) + MARGIN;
	unsigned char *mem = map(getpagesize(), PROT_READ | PROT_WRITE);
	struct iovec iov = { mem, getpagesize() };
	struct io_uring ring;
	struct mpmcq_msg msg;

	ASSERT_NE(MAP_FAILED, mem);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(0, io_uring_register_buffers(&ring, &iov, 1));
	pack(mem, len, 3);
	io_uring_prep_write_fixed(io_uring_get_sqe(&ring), self->pk, mem, space_of(len), -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(space_of(len), done(&ring, &id));

	memset(mem, JUNK, getpagesize());
	io_uring_prep_read_fixed(io_uring_get_sqe(&ring), self->pk, mem + 1, room, -1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(space_of(len), done(&ring, &id));
	EXPECT_EQ(space_of(len), unpack(mem + 1, room, len, 3, &msg));
	EXPECT_TRUE(is_junk(mem + 1 + space_of(len), MARGIN));
	io_uring_queue_exit(&ring);
	munmap(mem, getpagesize());
}

TEST_HARNESS_MAIN
