// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that close by themselves with their last writer.
 */

#include "own_test.h"

static unsigned char large[LEN];

/* An AUTO_CLOSE queue with a name, so that it can be opened again after it was closed. */
FIXTURE(auto_close)
{
	char name[32];
};

FIXTURE_SETUP(auto_close)
{
	snprintf(self->name, sizeof(self->name), "test-%d", getpid());
	ASSERT_EQ(0, make_named(self->name, .capacity = 4, .msg_size = 64,
				.flags = MPMCQ_AUTO_CLOSE, .mode = 0600))
		TH_LOG("is there an mpmcqfs at " MOUNT "?");
}

FIXTURE_TEARDOWN(auto_close)
{
	EXPECT_EQ(0, remove_named(self->name));
}

TEST_F(auto_close, last_writer)
{
	int fd = open_named(self->name, O_RDWR), reader, writer, twin;
	struct call call;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MPMCQ_AUTO_CLOSE, info_of(fd).flags);
	reader = attach(fd, O_RDONLY, 0, 0);
	writer = open_named(self->name, O_WRONLY);
	twin = dup(writer);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, twin);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	close(writer);
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	ASSERT_EQ(LEN, put_msg(twin, LEN, 2));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 2));
	ASSERT_EQ(0, start_blocked(&call, take, reader, large, LEN));
	close(twin);
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(POLLHUP, poll_now(reader));

	/* It stays closed until somebody opens it again. */
	writer = open_named(self->name, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(-EPIPE, put_msg(writer, LEN, 3));
	ASSERT_EQ(0, reopen_queue(writer));
	EXPECT_EQ(LEN, put_msg(writer, LEN, 3));
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 3));
	EXPECT_EQ(0, take(reader, large, LEN));
	close(reader);
}

/* As long as there was no writer, readers wait for the first. */
TEST_F(auto_close, no_writer_yet)
{
	int reader = open_named(self->name, O_RDONLY), writer;

	ASSERT_LE(0, reader);
	close(attach(reader, O_RDONLY, 0, 0));
	close(open_named(self->name, O_RDONLY));
	EXPECT_EQ(0, info_of(reader).closed);
	writer = open_named(self->name, O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(0, info_of(reader).closed);
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	close(reader);
}

/* A queue without its name closes alone.  The queue that has the name now stays open. */
TEST_F(auto_close, name_of_another)
{
	int writer = open_named(self->name, O_WRONLY), reader = open_named(self->name, O_RDONLY);
	int other;

	ASSERT_LE(0, writer);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, remove_named(self->name));
	ASSERT_EQ(0, make_named(self->name, .capacity = 4, .msg_size = 64,
				.flags = MPMCQ_AUTO_CLOSE, .mode = 0600));
	other = open_named(self->name, O_RDONLY);
	ASSERT_LE(0, other);
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(0, info_of(other).closed);
	close(other);
	close(reader);
}

/* The last writer closes the queue also if nothing else has it open. */
TEST_F(auto_close, unwatched)
{
	int fd = open_named(self->name, O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	fd = open_named(self->name, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, info_of(fd).closed);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(0, take(fd, large, LEN));
	close(fd);
}

TEST_F(auto_close, killed_writer)
{
	int fd = open_named(self->name, O_RDWR), reader;
	struct call call;
	pid_t pid;

	ASSERT_LE(0, fd);
	reader = attach(fd, O_RDONLY, 0, 0);
	pid = fork_child(put_msg(fd, LEN, 1) != LEN || pause());
	ASSERT_LE(0, pid);
	close(fd);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	ASSERT_EQ(0, start_blocked(&call, take, reader, large, LEN));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(0, finish_call(&call));
	close(reader);
}

/* Writing counts, whatever else the file is for. */
TEST_F(auto_close, files_of_other_modes)
{
	int fd = open_named(self->name, O_WRONLY), dead, reader;

	ASSERT_LE(0, fd);
	reader = open_named(self->name, O_RDONLY);
	dead = open_named(self->name, O_RDWR);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, dead);
	close(fd);
	fd = attach(dead, O_RDWR, DEAD, 0);
	ASSERT_LE(0, fd);
	close(dead);
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	close(fd);
	EXPECT_EQ(1, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(reader);
}

TEST_HARNESS_MAIN
