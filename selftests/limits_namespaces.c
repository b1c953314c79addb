// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts of users with user namespaces.
 */

#include "limits_test.h"

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
