// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of a queue, of a user, and of all.  Each test sets the limits and restores them.
 */

#include <sys/resource.h>

#include "limits_test.h"

TEST_F(limits, by_default)
{
	EXPECT_STREQ("268435456", self->was[0]);
	EXPECT_STREQ("268435456", self->was[1]);
	EXPECT_STREQ("0", self->was[2]);
	EXPECT_STREQ("1024", self->was[3]);
}

/* max_queue_bytes holds for root, too. */
TEST_F(limits, size_of_a_queue)
{
	struct mpmcq_create huge = { .capacity = 1048576, .msg_size = 65536 };
	struct mpmcq_create named_huge = { .capacity = 128, .msg_size = 1024, .mode = 0600 };
	int user, fd;

	EXPECT_EQ(-EFBIG, create(self->device, huge));
	ASSERT_TRUE(set_parameter("max_queue_bytes", "100000"));
	huge.capacity = 128;
	huge.msg_size = 1024;
	for (user = 0; user < 2; user++) {
		ASSERT_EQ(0, become(user ? OWNER : 0, user ? GROUP : 0, 0));
		fd = create(self->device, some_kb);
		EXPECT_LE(0, fd);
		close(fd);
		EXPECT_EQ(0, create_at(self->root, "x", named_kb));
		EXPECT_EQ(0, remove_at(self->root, "x"));
		EXPECT_EQ(-EFBIG, create(self->device, huge));
		EXPECT_EQ(-EFBIG, create_at(self->root, "x", named_huge));
		EXPECT_FALSE(is_there(self->root, "x"));
	}
}

/* Without limits a queue that is larger than memory is ENOMEM, and no process is killed. */
TEST_F_TIMEOUT(limits, more_than_there_is, 300)
{
	struct mpmcq_create huge = {
		.capacity = 1048576, .msg_size = 65536, .open_flags = O_RDWR,
	};
	struct mpmcq_create named_huge = {
		.capacity = 1048576, .msg_size = 65536, .mode = 0600,
	};
	size_t i;
	int fd;

	if (sysconf(_SC_PHYS_PAGES) / (1073741824 / getpagesize()) >= 64)
		SKIP(return, "there may be memory for it here");
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(set_parameter(parameters[i], "1000000000000000"));
	EXPECT_EQ(-ENOMEM, create(self->device, huge));
	EXPECT_EQ(-ENOMEM, create_at(self->root, "x", named_huge));
	EXPECT_FALSE(is_there(self->root, "x"));
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(limits, queues_of_a_user)
{
	int round, i, fd[4], with_name, more;

	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++) {
			fd[i] = create(self->device, some_kb);
			ASSERT_LE(0, fd[i]);
		}
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		EXPECT_EQ(-EDQUOT, create_at(self->root, "x", named_kb));
		EXPECT_FALSE(is_there(self->root, "x"));
		/* Files are not queues. */
		more = attach(fd[0], O_RDONLY, 0, 0);
		EXPECT_LE(0, more);
		close(fd[0]);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(more);
		ASSERT_EQ(0, create_at(self->root, "x", named_kb));

		/* A queue with a name counts while nobody has it open, */
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		EXPECT_EQ(-EDQUOT, create_at(self->root, "y", named_kb));
		/* and an open queue counts without its name. */
		with_name = open_at(self->root, "x", O_RDWR);
		ASSERT_LE(0, with_name);
		EXPECT_EQ(0, remove_at(self->root, "x"));
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(with_name);
		fd[0] = create(self->device, some_kb);
		EXPECT_LE(0, fd[0]);
		for (i = 0; i < 3; i++)
			close(fd[i]);
	}

	/* Every user has an account.  Root has no limit. */
	for (i = 0; i < 3; i++)
		fd[i] = create(self->device, some_kb);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	more = create(self->device, some_kb);
	EXPECT_LE(0, more);
	close(more);
	ASSERT_EQ(0, become(0, 0, 0));
	for (round = 0; round < 5; round++) {
		more = create(self->device, some_kb);
		EXPECT_LE(0, more);
		/* Closing takes it off the account of the user who made it. */
		EXPECT_EQ(0, become(OWNER, GROUP, 0));
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(more);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		EXPECT_EQ(0, become(0, 0, 0));
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* After chown(2) a queue stays on the account of the user who made it. */
TEST_F(limits, of_a_file_that_is_given_away)
{
	ASSERT_TRUE(set_parameter("max_user_queues", "2"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, create_at(self->root, "x", named_kb));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, chown("q/x", OTHER, GROUP));
	EXPECT_EQ(1, room_of(self->device, OWNER));
	EXPECT_EQ(2, room_of(self->device, OTHER));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(2, room_of(self->device, OWNER));
}

/* EXIST_OK of an existing queue needs no room. */
TEST_F(limits, of_what_is_there_already)
{
	struct mpmcq_create like = named_kb;

	like.flags = MPMCQ_EXIST_OK;
	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, create_at(self->root, "x", like));
	EXPECT_EQ(0, create_at(self->root, "x", like));
	EXPECT_EQ(-EDQUOT, create_at(self->root, "y", like));
	EXPECT_EQ(-EEXIST, create_at(self->root, "x", named_kb));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(0, create_at(self->root, "x", like));
	EXPECT_EQ(1, room_of(self->device, OTHER));
}

/* Unmounting takes the queues off the accounts of the users who made them. */
TEST_F(limits, of_an_unmounted_filesystem)
{
	char name[2] = "0";
	int fd, i;

	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (i = 0; i < 3; i++) {
		name[0] = '0' + i;
		ASSERT_EQ(0, create_at(self->root, name, named_kb));
	}
	EXPECT_EQ(0, room_of(self->device, OWNER));
	close(self->root);
	ASSERT_EQ(0, umount2("q", 0));
	EXPECT_EQ(3, room_of(self->device, OWNER));

	/* After a lazy unmount, closing the last file does. */
	ASSERT_EQ(0, mount_queues("q", 0, "mode=777"));
	self->root = open("q", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (i = 0; i < 3; i++) {
		name[0] = '0' + i;
		ASSERT_EQ(0, create_at(self->root, name, named_kb));
	}
	fd = open_at(self->root, "0", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(0, 0, 0));
	close(self->root);
	ASSERT_EQ(0, umount2("q", MNT_DETACH));
	EXPECT_GT(3, room_of(self->device, OWNER));
	close(fd);
	EXPECT_TRUE(comes_true(room_of(self->device, OWNER) == 3));
}

TEST_F(limits, bytes_of_a_user)
{
	int round, n, first = 0, more;

	ASSERT_TRUE(set_parameter("max_user_bytes", "300000"));
	for (round = 0; round < 5; round++) {
		n = room_of(self->device, OWNER);
		/* All memory counts.  The messages alone would fit 4 times. */
		EXPECT_LT(1, n);
		EXPECT_GT(5, n);
		if (!round)
			first = n;
		EXPECT_EQ(first, n);
		more = create(self->device, some_kb);
		EXPECT_LE(0, more);
		close(more);
	}
	/* A queue with a name counts as well. */
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, create_at(self->root, "x", named_kb));
	EXPECT_GT(first, room_of(self->device, OWNER));
}

TEST_F_TIMEOUT(limits, bytes_of_all, 300)
{
	struct mpmcq_create mb = { .capacity = 1024, .msg_size = 1024, .open_flags = O_RDWR };
	int i, fd;

	ASSERT_TRUE(set_parameter("max_total_bytes", "1"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-ENOSPC, create(self->device, some_kb));
	EXPECT_EQ(-ENOSPC, create_at(self->root, "x", named_kb));
	EXPECT_FALSE(is_there(self->root, "x"));
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(-ENOSPC, create(self->device, some_kb));
	ASSERT_TRUE(set_parameter("max_total_bytes", "134217728"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	/* Without giving back, 200 queues would exceed the limit. */
	for (i = 0; i < 200; i++) {
		fd = create(self->device, mb);
		ASSERT_LE(0, fd) TH_LOG("queue %d", i);
		close(fd);
	}
}

/* A queue stays on its maker's account while another user keeps it open. */
TEST_F(limits, of_a_queue_that_is_passed_on)
{
	int fd, sock[2];

	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	fd = create(self->device, some_kb);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, send_fd(sock[1], fd));
	close(fd);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	fd = receive_fd(sock[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	close(fd);
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);

	/* The same while its only file is in a socket. */
	ASSERT_EQ(1, send_fd(sock[1], fd));
	close(fd);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	close(sock[0]);
	close(sock[1]);
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);
	close(fd);
}

/* The table by which an open file holds messages counts. */
TEST_F(limits, bytes_of_leases)
{
	int i, n, round, first = 0, failure, fd[FILES], queue = make_large(self->device);

	ASSERT_LE(0, queue);
	ASSERT_TRUE(set_parameter("max_user_bytes", "1000000"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (round = 0; round < 3; round++) {
		n = leases_for(queue, &failure);
		EXPECT_EQ(-EDQUOT, failure);
		EXPECT_LT(0, n);
		if (!round)
			first = n;
		EXPECT_EQ(first, n);
	}
	/* An open file without leases has no table. */
	for (i = 0; i < n; i++) {
		fd[i] = attach(queue, O_RDONLY, LEASE, MPMCQ_MAX_HELD_MAX);
		ASSERT_LE(0, fd[i]);
	}
	fd[n] = attach(queue, O_RDONLY, PACKED, 0);
	ASSERT_LE(0, fd[n]);
	EXPECT_EQ(-EDQUOT, set_modes(fd[n], LEASE, MPMCQ_MAX_HELD_MAX));
	EXPECT_EQ(PACKED, info_of(fd[n]).modes);
	close(fd[0]);
	EXPECT_EQ(0, set_modes(fd[n], LEASE, MPMCQ_MAX_HELD_MAX));
	for (i = 1; i <= n; i++)
		close(fd[i]);
	close(queue);
}

/* A lease is no queue, so it works for a user who has more queues than he may have. */
TEST_F(limits, leases_are_no_queues)
{
	int i, more, fd[4];

	ASSERT_TRUE(set_parameter("max_user_queues", "4"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (i = 0; i < 4; i++) {
		fd[i] = create(self->device, some_kb);
		ASSERT_LE(0, fd[i]);
	}
	more = attach(fd[1], O_RDWR, LEASE, 0);
	EXPECT_LE(0, more);
	close(more);
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_TRUE(set_parameter("max_user_queues", "2"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	EXPECT_EQ(0, set_modes(fd[0], LEASE, 0));
	more = attach(fd[1], O_RDWR, LEASE, 0);
	EXPECT_LE(0, more);
	EXPECT_EQ(LEN, put_msg(more, LEN, 1));
	EXPECT_EQ(LEN, take_msg(more, LEN, 1));
	close(more);
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_TRUE(set_parameter("max_user_queues", "0"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	more = attach(fd[2], O_RDWR, LEASE, 0);
	EXPECT_LE(0, more);
	close(more);
	for (i = 0; i < 4; i++)
		close(fd[i]);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
}

/* A call that fails leaves nothing on the account. */
TEST_F(limits, failures_do_not_count)
{
	struct rlimit files, none;
	int i, fd, full;

	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, mkdir("full", 0755));
	ASSERT_EQ(0, mount_queues("full", 0, "mode=777,size=4k"));
	full = open("full", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, full);
	ASSERT_EQ(0, mkdir("closed", 0755));
	ASSERT_EQ(0, mount_queues("closed", 0, "mode=755"));
	fd = open("closed", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, create_at(self->root, "there", named_kb));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
		EXPECT_EQ(-EMFILE, create(self->device, some_kb));
		EXPECT_EQ(-EMFILE, attach(self->device, O_RDONLY, 0, 0));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
		EXPECT_EQ(-EINVAL, create(self->device, (struct mpmcq_create){ .capacity = 3 }));
		EXPECT_EQ(-EEXIST, create_at(self->root, "there", named_kb));
		EXPECT_EQ(-EINVAL, create_at(self->root, "a/b", named_kb));
		EXPECT_EQ(-ENOENT, create_at(self->root, "", named_kb));
		EXPECT_EQ(-EFAULT, create_at(self->root, (char *)1, named_kb));
		EXPECT_EQ(-EACCES, create_at(fd, "x", named_kb));
		EXPECT_EQ(-ENOSPC, create_at(full, "x", named_kb));
		EXPECT_EQ(-ENOTDIR, create_at(self->device, "x", named_kb));
	}
	EXPECT_EQ(1, room_of(self->device, OWNER));
	close(full);
	close(fd);
}

/* The default queue is on no account: root without CAP_SYS_RESOURCE has the whole limit. */
TEST_F(limits, bytes_of_the_default_queue)
{
	struct mpmcq_info info = info_of(self->device);
	int n, failure;

	if (info.capacity * (__u64)info.msg_size < 300000)
		SKIP(return, "the default queue is too small to matter");
	ASSERT_TRUE(set_parameter("max_user_bytes", "300000"));
	n = room_of(self->device, OWNER);
	EXPECT_LT(1, n);
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, false));
	EXPECT_EQ(n, room_for(self->device, &failure));
	EXPECT_EQ(-EDQUOT, failure);
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, true));
}

TEST_F(limits, number_of_the_default_queue)
{
	int failure;

	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, false));
	EXPECT_EQ(3, room_for(self->device, &failure));
	EXPECT_EQ(-EDQUOT, failure);
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, true));
	EXPECT_EQ(32, room_for(self->device, &failure));
	EXPECT_EQ(0, failure);
}

TEST_HARNESS_MAIN
