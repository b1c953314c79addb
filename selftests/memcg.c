// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory cgroups: what queues and tables of leases take is charged to the cgroup of the task that
 * asks for it, and comes off when they go; and a cgroup without room gets an error, and loses
 * nothing.
 */

#include <sys/stat.h>

#include "own_test.h"

#define CGROUPS		"/sys/fs/cgroup/"
#define CGROUP		CGROUPS "mpmcq-memcg"
#define MIB		1048576L
#define MANY		64

/* The number in line @key of a file of the cgroup, or all that is in it; -1 if there is none. */
static long number(const char *name, const char *key)
{
	char path[128], word[64];
	long value, found = -1;
	FILE *file;

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (!key && fscanf(file, "%ld", &value) == 1)
		found = value;
	while (key && found < 0 && fscanf(file, "%63s %ld", word, &value) == 2)
		if (!strcmp(word, key))
			found = value;
	fclose(file);
	return found;
}

static long charged(void)
{
	return number("memory.current", NULL);
}

FIXTURE(memcg)
{
	bool there;
};

FIXTURE_SETUP(memcg)
{
	if (access(CGROUPS "cgroup.procs", W_OK))
		SKIP(return, "no cgroup2 at " CGROUPS ", or not for us");
	write_text(CGROUPS "cgroup.subtree_control", "+memory");
	ASSERT_EQ(0, mkdir(CGROUP, 0755));
	self->there = true;
	if (charged() < 0)
		SKIP(return, "no memory controller");
	ASSERT_TRUE(write_text(CGROUP "/cgroup.procs", "0"));
}

FIXTURE_TEARDOWN(memcg)
{
	if (!self->there)
		return;
	EXPECT_TRUE(write_text(CGROUPS "cgroup.procs", "0"));
	EXPECT_EQ(0, rmdir(CGROUP));
}

/* The rings of a queue with short messages take as much as the slots. */
TEST_F_TIMEOUT(memcg, queue, 120)
{
	const struct mpmcq_create likes[] = {
		{ .capacity = 1 << 20, .msg_size = 1, .open_flags = O_RDWR },
		{ .capacity = 1 << 10, .msg_size = 65536, .open_flags = O_RDWR },
	};
	const long least[] = { 24 * MIB + 4 * 8 * MIB, 64 * MIB };
	int i, fd;

	for (i = 0; i < 2 && charged() >= 0; i++) {
		long before = charged(), with;

		fd = create_by_device(likes[i]);
		ASSERT_LE(0, fd);
		with = charged() - before;
		TH_LOG("%ld KiB charged, at least %ld wanted", with >> 10, least[i] >> 10);
		EXPECT_LE(least[i], with);
		EXPECT_GT(least[i] + least[i] / 8, with);
		close(fd);
		EXPECT_TRUE(comes_true(charged() - before < MIB));
	}
}

TEST_F_TIMEOUT(memcg, leases, 120)
{
	int i, le[MANY], fd = make_queue(.capacity = 4096, .msg_size = 1, .open_flags = O_RDWR);
	long before = charged();

	if (before < 0)
		return;
	ASSERT_LE(0, fd);
	for (i = 0; i < MANY; i++) {
		le[i] = attach(fd, O_RDONLY, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED, 4096);
		ASSERT_LE(0, le[i]);
	}
	/* Each entry is in two lists and a bucket, with an id and an index. */
	EXPECT_LE(MANY * 4096 * (2 * 16 + 16 + 8 + 4), charged() - before);
	for (i = 0; i < MANY; i++)
		close(le[i]);
	EXPECT_TRUE(comes_true(charged() - before < MIB));
	close(fd);
}

/*
 * Small queues: a page or more each, and the open file and the charge.  Processors charge some
 * pages ahead, so not all of the latter is seen.
 */
TEST_F_TIMEOUT(memcg, small_queues, 120)
{
	enum { QUEUES = 900 };
	int i, fd[QUEUES];
	long before = charged();

	if (before < 0)
		return;
	for (i = 0; i < QUEUES; i++) {
		fd[i] = make_queue(.capacity = 2, .msg_size = 1, .open_flags = O_RDWR);
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_LE(QUEUES * (4096 + 128), charged() - before);
	for (i = 0; i < QUEUES; i++)
		close(fd[i]);
}

/* What there is no memory for fails, and the program goes on. */
TEST_F_TIMEOUT(memcg, limit, 120)
{
	char limit[32];
	int fd;

	if (charged() < 0)
		return;
	fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	snprintf(limit, sizeof(limit), "%ld", charged() + 8 * MIB);
	ASSERT_TRUE(write_text(CGROUP "/memory.max", limit));
	EXPECT_EQ(-ENOMEM, make_queue(.capacity = 1024, .msg_size = 65536, .open_flags = O_RDWR));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(0, number("memory.events", "oom_kill"));
	ASSERT_TRUE(write_text(CGROUP "/memory.max", "max"));
	close(fd);
}

TEST_HARNESS_MAIN
