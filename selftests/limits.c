// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of a queue, of a user, and of all, and accounts of users with user namespaces.  Each
 * test sets the limits and restores them.
 */

#include <sys/resource.h>

#include "queuefs_test.h"


static const char * const parameters[] = {
	"max_queue_bytes", "max_user_bytes", "max_total_bytes", "max_user_queues",
};

/* @root is the directory of an mpmcqfs at "q", in which every user may make queues. */
FIXTURE(limits)
{
	char base[32];
	int root;
	int device;
	char was[ARRAY_SIZE(parameters)][32];
};

static const char *parameter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return line(path, "");
}

FIXTURE_SETUP(limits)
{
	size_t i;

	self->device = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->device);
	for (i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(self->was[i], sizeof(self->was[i]), "%.31s", parameter(parameters[i]));
		ASSERT_NE('\0', self->was[i][0]) TH_LOG("cannot read %s", parameters[i]);
	}
	ASSERT_EQ(0, enter_scratch(self->base, sizeof(self->base)));
	ASSERT_EQ(0, mkdir("q", 0755));
	ASSERT_EQ(0, mount_queues("q", 0, "mode=777"));
	self->root = open("q", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(limits)
{
	size_t i;

	EXPECT_EQ(0, become(0, 0, 0));
	for (i = 0; i < ARRAY_SIZE(parameters); i++)
		EXPECT_TRUE(set_parameter(parameters[i], self->was[i]));
	close(self->root);
	leave_scratch(self->base);
	close(self->device);
}

static const struct mpmcq_create some_kb = {
	.capacity = 64, .msg_size = 1024, .open_flags = O_RDWR,
};

/* The same with a name. */
static const struct mpmcq_create named_kb = { .capacity = 64, .msg_size = 1024, .mode = 0600 };

/*
 * Makes private queues until CREATE fails, at most 32, and closes them.  Returns how many;
 * @failure is the error, or 0.
 */
static int room_for(int device, int *failure)
{
	int i, n, fd[32];

	for (n = 0; n < (int)ARRAY_SIZE(fd); n++) {
		fd[n] = create(device, some_kb);
		if (fd[n] < 0)
			break;
	}
	*failure = n < (int)ARRAY_SIZE(fd) ? fd[n] : 0;
	for (i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

/* Returns how many queues user @uid can make before EDQUOT; -1 if something else stops him. */
static int room_of(int device, uid_t uid)
{
	int n, failure, ret = become(uid, GROUP, 0);

	n = room_for(device, &failure);
	ret = ret ?: become(0, 0, 0);
	return ret || failure != -EDQUOT ? -1 : n;
}

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

/*
 * Leases
 */
#define FILES	64

/* Opens files with the largest table of leases until that fails, and closes them. */
static int leases_for(int queue, int *failure)
{
	int i, n, fd[FILES];

	for (n = 0; n < FILES; n++) {
		fd[n] = attach(queue, O_RDONLY, LEASE, MPMCQ_MAX_HELD_MAX);
		if (fd[n] < 0)
			break;
	}
	*failure = n < FILES ? fd[n] : 0;
	for (i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

static int make_large(int device)
{
	return create(device, (struct mpmcq_create){
			.capacity = 4096, .msg_size = 8, .open_flags = O_RDWR });
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

/*
 * User namespaces.  A queue is on the account of the user who makes it, and on that of the
 * owner of each namespace the user is in.
 */
#define FIRST	100000	/* id 0 of a namespace, outside of it */
#define IDS	8

/* What a child in a namespace works with. */
struct job {
	int device;
	int root;	/* where queues with a name may be made, too; -1: nowhere */
	int queue;
	int sock;
	int expected;	/* how many queues, or files, it can make in all */
};

/*
 * Makes queues as one user after the other, without and with a name, until EDQUOT.  Returns
 * how many; @fd are their files.
 */
static int make_by_turns(const struct job *job, int *fd, int most)
{
	int n, ret = 0;
	char name[32];

	for (n = 0; n < most; n++) {
		ret = become(n % IDS, n % IDS, 0);
		snprintf(name, sizeof(name), "%d.%d", getpid(), n);
		if (!ret && n % 3 == 2 && job->root >= 0) {
			ret = create_at(job->root, name, named_kb);
			ret = ret ?: open_at(job->root, name, O_RDWR);
			remove_at(job->root, name);
		} else if (!ret) {
			ret = create(job->device, some_kb);
		}
		if (ret < 0)
			break;
		fd[n] = ret;
	}
	return CHECK(-EDQUOT, ret) & CHECK(0, become(0, 0, 0)) ? n : -1;
}

/* Makes as many queues as it can, stops, closes them, and stops again, for the parent to look. */
static int fill_namespace(void *arg)
{
	struct job *job = arg;
	int fd[32], failure, i, n = make_by_turns(job, fd, ARRAY_SIZE(fd));
	bool good = CHECK(job->expected, n);

	/* Capabilities in the namespace are no exemption. */
	good &= CHECK(-EDQUOT, create(job->device, some_kb));
	raise(SIGSTOP);
	for (i = 0; i < n; i++)
		close(fd[i]);
	good &= CHECK(0, become(IDS - 1, IDS - 1, 0));
	good &= CHECK(job->expected, room_for(job->device, &failure));
	good &= CHECK(0, become(0, 0, 0));
	raise(SIGSTOP);
	return !good;
}

/* All users of a namespace together have what its owner may have. */
TEST_F(limits, queues_of_a_namespace)
{
	struct job job = { .device = self->device, .root = self->root, .expected = 3 };
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	pid = start_in_namespace(OWNER, FIRST, IDS, fill_namespace, &job);
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	EXPECT_EQ(3, room_of(self->device, OTHER));
	/* Each of the first three ids has made one queue. */
	EXPECT_EQ(2, room_of(self->device, FIRST));
	EXPECT_EQ(2, room_of(self->device, FIRST + 2));
	EXPECT_EQ(3, room_of(self->device, FIRST + 3));
	ASSERT_EQ(0, go_on(pid));
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(3, room_of(self->device, OWNER));
	EXPECT_EQ(3, room_of(self->device, FIRST));
	ASSERT_EQ(0, go_on(pid));
	EXPECT_EQ(0, child_end(pid));
}

/* Queues that the owner has outside count inside. */
TEST_F(limits, queues_of_the_owner)
{
	struct job job = { .device = self->device, .root = -1, .expected = 1 };
	int fd[2], i;
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (i = 0; i < 2; i++) {
		fd[i] = create(self->device, some_kb);
		ASSERT_LE(0, fd[i]);
	}
	ASSERT_EQ(0, become(0, 0, 0));
	pid = start_in_namespace(OWNER, FIRST, IDS, fill_namespace, &job);
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	ASSERT_EQ(0, go_on(pid));
	ASSERT_TRUE(stops(pid));
	ASSERT_EQ(0, go_on(pid));
	EXPECT_EQ(0, child_end(pid));
	for (i = 0; i < 2; i++)
		close(fd[i]);
}

TEST_F(limits, bytes_of_a_namespace)
{
	struct job job = { .device = self->device, .root = -1 };
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_bytes", "500000"));
	job.expected = room_of(self->device, OWNER);
	ASSERT_LT(1, job.expected);
	pid = start_in_namespace(OWNER, FIRST, IDS, fill_namespace, &job);
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	EXPECT_EQ(job.expected, room_of(self->device, OTHER));
	ASSERT_EQ(0, go_on(pid));
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(job.expected, room_of(self->device, OWNER));
	ASSERT_EQ(0, go_on(pid));
	EXPECT_EQ(0, child_end(pid));
}

static int lease_by_turns(void *arg)
{
	struct job *job = arg;
	int n, ret = 0;

	for (n = 0; n < FILES; n++) {
		ret = become(n % IDS, n % IDS, 0);
		ret = ret ?: attach(job->queue, O_RDONLY, LEASE, MPMCQ_MAX_HELD_MAX);
		if (ret < 0)
			break;
	}
	return !(CHECK(-EDQUOT, ret) & CHECK(job->expected, n));
}

TEST_F(limits, leases_of_a_namespace)
{
	struct job job = { .queue = make_large(self->device) };
	int failure;

	ASSERT_LE(0, job.queue);
	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_bytes", "1000000"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	job.expected = leases_for(job.queue, &failure);
	ASSERT_LT(0, job.expected);
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(0, in_namespace(OWNER, FIRST, IDS, lease_by_turns, &job));
	/* Closing the files has given all of it back. */
	EXPECT_EQ(0, in_namespace(OWNER, FIRST, IDS, lease_by_turns, &job));
	close(job.queue);
}

/* A namespace that root owns has an account of its own. */
TEST_F(limits, namespaces_of_root)
{
	struct job job = { .device = self->device, .root = self->root, .expected = 3 };
	pid_t pid[2];
	int i, failure;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	for (i = 0; i < 2; i++) {
		pid[i] = start_in_namespace(0, FIRST + i * IDS, IDS, fill_namespace, &job);
		ASSERT_TRUE(stops(pid[i]));
	}
	EXPECT_EQ(3, room_of(self->device, OWNER));
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, false));
	EXPECT_EQ(3, room_for(self->device, &failure));
	EXPECT_EQ(-EDQUOT, failure);
	ASSERT_EQ(0, set_capability(CAP_SYS_RESOURCE, true));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, go_on(pid[i]));
		ASSERT_TRUE(stops(pid[i]));
		ASSERT_EQ(0, go_on(pid[i]));
		EXPECT_EQ(0, child_end(pid[i]));
	}
}

/* In a namespace: fills a namespace below, which has other ids and is owned by id 2. */
static int fill_inner_namespace(void *arg)
{
	struct job *job = arg;
	pid_t pid = start_in_namespace(2, IDS, IDS, fill_namespace, job);
	bool good = CHECK(true, stops(pid));

	good &= CHECK(0, become(1, 1, 0));
	good &= CHECK(-EDQUOT, create(job->device, some_kb));
	good &= CHECK(0, become(0, 0, 0));
	raise(SIGSTOP);
	good &= CHECK(0, go_on(pid));
	good &= CHECK(true, stops(pid));
	good &= CHECK(0, go_on(pid));
	good &= CHECK(0, child_end(pid));
	return !good;
}

/* A queue is on the accounts of all namespaces above. */
TEST_F(limits, nested_namespaces)
{
	struct job job = { .device = self->device, .root = self->root, .expected = 3 };
	uid_t owner;
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	for (owner = 0; owner <= OWNER; owner += OWNER) {
		pid = start_in_namespace(owner, FIRST, 2 * IDS, fill_inner_namespace, &job);
		ASSERT_TRUE(stops(pid));
		EXPECT_EQ(owner ? 0 : 3, room_of(self->device, OWNER));
		EXPECT_EQ(3, room_of(self->device, OTHER));
		/* FIRST + 2 owns the inner namespace.  FIRST + IDS is its id 0. */
		EXPECT_EQ(0, room_of(self->device, FIRST + 2));
		EXPECT_EQ(3, room_of(self->device, FIRST + 1));
		EXPECT_EQ(2, room_of(self->device, FIRST + IDS));
		ASSERT_EQ(0, go_on(pid));
		EXPECT_EQ(0, child_end(pid));
		EXPECT_EQ(3, room_of(self->device, OWNER));
		EXPECT_EQ(3, room_of(self->device, FIRST + 2));
	}
}

static int whole_limit(void *arg)
{
	struct job *job = arg;
	int failure, n = room_for(job->device, &failure);

	return !(CHECK(job->expected, n) & CHECK(-EDQUOT, failure));
}

static int whole_limit_within(void *arg)
{
	return in_namespace(0, 0, 1, whole_limit, arg);
}

/* A user who owns the namespace he is in is charged once. */
TEST_F(limits, own_id_in_a_namespace)
{
	struct job job = { .device = self->device, .expected = 3 };

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	EXPECT_EQ(0, in_namespace(OWNER, OWNER, 1, whole_limit, &job));
	EXPECT_EQ(0, in_namespace(OWNER, OWNER, 1, whole_limit_within, &job));
	ASSERT_TRUE(set_parameter("max_user_queues", "1024"));
	ASSERT_TRUE(set_parameter("max_user_bytes", "500000"));
	job.expected = room_of(self->device, OWNER);
	EXPECT_LT(1, job.expected);
	EXPECT_EQ(0, in_namespace(OWNER, OWNER, 1, whole_limit, &job));
	EXPECT_EQ(0, in_namespace(OWNER, OWNER, 1, whole_limit_within, &job));
}

static int send_queue(void *arg)
{
	struct job *job = arg;
	bool good = CHECK(0, become(3, 3, 0));
	int fd = create(job->device, some_kb);

	good &= CHECK(true, fd >= 0);
	good &= CHECK(1, send_fd(job->sock, fd));
	return !good;
}

/* A queue that outlives the namespace stays on its accounts. */
TEST_F(limits, queue_from_a_namespace_that_is_gone)
{
	struct job job = { .device = self->device };
	int fd, sock[2];

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	job.sock = sock[1];
	ASSERT_EQ(0, in_namespace(OWNER, FIRST, IDS, send_queue, &job));
	fd = receive_fd(sock[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	EXPECT_EQ(0, room_of(self->device, FIRST + 3));
	EXPECT_EQ(1, room_of(self->device, FIRST));
	EXPECT_EQ(1, room_of(self->device, OTHER));
	close(fd);
	EXPECT_EQ(1, room_of(self->device, OWNER));
	EXPECT_EQ(1, room_of(self->device, FIRST + 3));
	close(sock[0]);
	close(sock[1]);
}

/* In a namespace: fills a mount of its own. */
static int fill_own_mount(void *arg)
{
	bool good = CHECK(0, result(unshare(CLONE_NEWNS)));
	char name[2] = "a";
	int root, i;

	good &= CHECK(0, mount_queues("ns", 0, "mode=777"));
	root = open("ns", O_RDONLY | O_DIRECTORY);
	for (i = 0; i < 4; i++) {
		name[0] = 'a' + i;
		good &= CHECK(0, become(i, i, 0));
		good &= CHECK(i < 3 ? 0 : -EDQUOT, create_at(root, name, named_kb));
	}
	close(root);
	raise(SIGSTOP);
	return !good;
}

TEST_F(limits, mount_in_a_namespace)
{
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_EQ(0, mkdir("ns", 0755));
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	pid = start_in_namespace(OWNER, FIRST, IDS, fill_own_mount, NULL);
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	ASSERT_EQ(0, go_on(pid));
	EXPECT_EQ(0, child_end(pid));
	/* The end of the mount namespace unmounts it. */
	EXPECT_TRUE(comes_true(room_of(self->device, OWNER) == 3));

	/* The same if it is killed. */
	pid = start_in_namespace(OWNER, FIRST, IDS, fill_own_mount, NULL);
	ASSERT_TRUE(stops(pid));
	EXPECT_EQ(0, room_of(self->device, OWNER));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_TRUE(comes_true(room_of(self->device, OWNER) == 3));
	EXPECT_EQ(3, room_of(self->device, FIRST));
}

TEST_HARNESS_MAIN
