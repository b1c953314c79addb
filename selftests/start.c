// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues whose readers begin with a lease of one message at a time, so that programs that only
 * know read(2) lose nothing when they die.
 */

#include "own_test.h"

FIXTURE(start)
{
	int fd;		/* plain, does not wait */
	int first;	/* what CREATE returned */
};

FIXTURE_SETUP(start)
{
	self->first = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
				 .flags = MPMCQ_START_LEASE);
	ASSERT_LE(0, self->first);
	self->fd = attach(self->first, O_RDWR | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(start)
{
	close(self->first);
	take_all(self->fd);
	EXPECT_EQ(8, put_all(self->fd, LEN, 0));
	close(self->fd);
}

TEST_F(start, reads_acknowledge)
{
	unsigned char buf[LEN];

	EXPECT_EQ(LEASE, info_of(self->first).modes);
	EXPECT_EQ(1, info_of(self->first).max_held);
	EXPECT_EQ(MPMCQ_START_LEASE, info_of(self->first).flags);
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	EXPECT_EQ(LEN, take_msg(self->first, LEN, 1));
	EXPECT_EQ(1, info_of(self->first).held);
	EXPECT_EQ(LEN, take_msg(self->first, LEN, 2));
	EXPECT_EQ(1, info_of(self->fd).acked);
	EXPECT_EQ(1, settle(self->first, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_ALL, NULL, 0, NULL));
	EXPECT_EQ(LEN, take_msg(self->first, LEN, 2));
	close(self->first);
	self->first = -1;
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	EXPECT_EQ(-EAGAIN, take(self->fd, buf, LEN));
}

/* An open file says its modes itself by ATTACH. */
TEST_F(start, attached)
{
	static const __u32 modes[] = {
		0, PACKED, LEASE, LEASE | PACKED, DEAD, DEAD | LEASE | PACKED,
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = attach(self->first, O_RDWR | O_NONBLOCK, modes[i], 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(modes[i], info_of(fd).modes);
		if (modes[i] & LEASE)
			EXPECT_EQ(8, info_of(fd).max_held);
		close(fd);
	}
	fd = attach(self->first, O_WRONLY, 0, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, info_of(fd).modes);
	close(fd);
}

/* So does MODE, before the first read. */
TEST_F(start, replaced)
{
	struct mpmcq_msg msg[2];

	ASSERT_EQ(0, set_modes(self->first, LEASE | PACKED, 4));
	EXPECT_EQ(LEASE | PACKED, info_of(self->first).modes);
	EXPECT_EQ(4, info_of(self->first).max_held);
	EXPECT_EQ(-EBUSY, set_modes(self->first, LEASE, 1));
	EXPECT_EQ(0, set_modes(self->first, LEASE | PACKED, 4));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	ASSERT_EQ(2, take_packed(self->first, 2, LEN, 1, msg));
	EXPECT_EQ(2, ack_all(self->first));
}

TEST_F(start, replaced_by_none)
{
	ASSERT_EQ(0, set_modes(self->first, 0, 0));
	EXPECT_EQ(0, info_of(self->first).modes);
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(self->first, LEN, 1));
	EXPECT_EQ(0, info_of(self->fd).acked);
	/* From here on it is as any other. */
	ASSERT_EQ(0, set_modes(self->first, PACKED, 0));
	ASSERT_EQ(0, set_modes(self->first, LEASE | PACKED, 8));
	EXPECT_EQ(8, info_of(self->first).max_held);
	EXPECT_EQ(-EBUSY, set_modes(self->first, 0, 0));
}

TEST_F(start, read_before)
{
	unsigned char buf[LEN];

	/* Also one that found nothing. */
	EXPECT_EQ(-EAGAIN, take(self->first, buf, LEN));
	EXPECT_EQ(-EBUSY, set_modes(self->first, 0, 0));
	EXPECT_EQ(-EBUSY, set_modes(self->first, PACKED, 0));
	EXPECT_EQ(-EBUSY, set_modes(self->first, LEASE | PACKED, 0));
	EXPECT_EQ(0, set_modes(self->first, LEASE, 1));
	EXPECT_EQ(LEASE, info_of(self->first).modes);
}

static ssize_t change_mode(int fd, void *buf, size_t len)
{
	return set_modes(fd, LEASE | PACKED, 4);
}

/* A read and a change of modes at once: one of them comes first, and no message is lost. */
TEST_F(start, raced)
{
	unsigned char buf[100];
	int i, file, ret, changes = 0;
	struct call call;

	for (i = 0; i < 300; i++) {
		file = make_queue(.capacity = 2, .msg_size = 64, .flags = MPMCQ_START_LEASE,
				  .open_flags = O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, file);
		ASSERT_EQ(LEN, put_msg(file, LEN, i));
		ASSERT_EQ(0, start_call(&call, change_mode, file, NULL, 0));
		ret = take(file, buf, sizeof(buf));
		changes += !finish_call(&call);
		EXPECT_TRUE(call.ret == 0 || call.ret == -EBUSY);
		EXPECT_EQ(call.ret ? LEN : space_of(LEN), ret == -EBUSY ? space_of(LEN) : ret);
		EXPECT_EQ(ret > 0, info_of(file).held);
		EXPECT_EQ(ret > 0, ack_all(file));
		EXPECT_EQ(ret <= 0, depth(file));
		close(file);
	}
	TH_LOG("%d of %d changed first", changes, i);
}

TEST(named)
{
	struct mpmcq_create like = {
		.capacity = 2, .msg_size = 64, .mode = 0600, .flags = MPMCQ_START_LEASE,
	};
	int fd, writer;

	if (access(MOUNT, W_OK))
		SKIP(return, "no " MOUNT ", or not for us");
	ASSERT_EQ(0, create_named("start-lease", like));
	/* Not compared. */
	like.flags = MPMCQ_EXIST_OK;
	EXPECT_EQ(0, create_named("start-lease", like));
	writer = open_named("start-lease", O_WRONLY | O_NONBLOCK);
	fd = open_named("start-lease", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, writer);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, info_of(writer).modes);
	EXPECT_EQ(LEASE, info_of(fd).modes);
	EXPECT_EQ(LEN, put_msg(writer, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(1, info_of(fd).held);
	close(fd);
	fd = open_named("start-lease", O_RDONLY | O_NONBLOCK);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
	close(writer);
	EXPECT_EQ(0, remove_named("start-lease"));
}

TEST_HARNESS_MAIN
