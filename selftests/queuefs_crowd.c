// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many at once in mpmcqfs: queues are made, opened and removed, and mounts come and go amid use.
 */

#include "fs_test.h"

static unsigned char large[MSG_SIZE_MAX];

#define CROWD	6
#define ROUNDS	3000

/* How often calls ended how, in all processes. */
struct counts {
	int stop;
	int created;
	int taken;	/* EEXIST */
	int full;	/* ENOSPC */
	int opened;
	int absent;	/* ENOENT */
	int removed;
	int elsewhere;	/* ENOTTY: the directory is not, or no longer, one of mpmcqfs */
};

static void count(int *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

static struct counts *shared_counts(void)
{
	return mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Counts @ret.  Returns whether a creation may end so. */
static bool is_good_creation(struct counts *n, int ret)
{
	switch (ret) {
	case 0:
		count(&n->created);
		return true;
	case -EEXIST:
		count(&n->taken);
		return true;
	case -ENOSPC:
		count(&n->full);
		return true;
	case -ENOTTY:
		count(&n->elsewhere);
		return true;
	}
	return CHECK(0, ret);
}

/* Opens and uses a queue, if it exists.  Any queue that can be opened is complete. */
static bool use_queue(struct counts *n, const char *path)
{
	int ret, more, fd = result(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
	bool good = true;

	if (fd == -ENOENT) {
		count(&n->absent);
		return true;
	}
	if (!CHECK(1, fd >= 0))
		return CHECK(0, fd);
	count(&n->opened);
	good &= CHECK(4, info_of(fd).capacity);
	good &= CHECK(64, info_of(fd).msg_size);
	ret = put_msg(fd, LEN, 0);
	good &= ret == -EAGAIN || CHECK(LEN, ret);
	more = attach(fd, O_RDONLY | O_NONBLOCK, 0, 0);
	good &= CHECK(1, more >= 0);
	ret = take_msg(more, LEN, 0);
	good &= ret == -EAGAIN || CHECK(LEN, ret);
	close(more);
	close(fd);
	return good;
}

static bool remove_queue(struct counts *n, const char *path)
{
	int ret = result(unlink(path));

	if (!ret)
		count(&n->removed);
	return ret == -ENOENT || CHECK(0, ret);
}

static int in_the_crowd(int root, unsigned int seed, struct counts *n)
{
	char path[8] = "q/x";
	bool good = true;
	int i, ret;

	for (i = 0; good && i < ROUNDS; i++) {
		path[2] = 'a' + rand_r(&seed) / 64 % 4;
		switch (rand_r(&seed) / 64 % 8) {
		case 0:
		case 1:
			good = is_good_creation(n, make(root, path + 2, 0600));
			break;
		case 2:
			ret = make_exist_ok(root, path + 2);
			good = ret == -ENOSPC || CHECK(0, ret);
			break;
		case 3:
			ret = try_open(path, O_RDWR | O_CREAT);
			good = ret == -EACCES || CHECK(0, ret);
			break;
		case 4:
		case 5:
			good = use_queue(n, path);
			break;
		default:
			good = remove_queue(n, path);
		}
	}
	return !good;
}

TEST_F_TIMEOUT(fs, crowd, 300)
{
	struct counts *n = shared_counts();
	unsigned long long blocks;
	char name[2] = "a";
	pid_t pid[CROWD];
	int i, status;

	ASSERT_NE(MAP_FAILED, n);
	ASSERT_EQ(0, mount_anew(&self->root, 0, "size=64m,max=100"));
	blocks = statfs_of("q").f_bfree;
	for (i = 0; i < CROWD; i++) {
		pid[i] = fork_child(in_the_crowd(self->root, i + 1, n));
		ASSERT_LT(0, pid[i]);
	}
	/* Meanwhile the limits change. */
	for (i = 0; !waitpid(pid[0], &status, WNOHANG); i++) {
		ASSERT_EQ(0, remount(0, i % 2 ? "max=2,size=64m" : "max=100,size=1m"));
		usleep(i % 2 ? 1000 : 5000);
	}
	EXPECT_EQ(0, status);
	for (i = 1; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	ASSERT_EQ(0, remount(0, "size=64m,max=100"));
	for (i = 0; i < 4; i++) {
		name[0] = 'a' + i;
		remove_at(self->root, name);
	}
	TH_LOG("%d created, %d were there, %d had no room, %d opened, %d absent, %d removed",
	       n->created, n->taken, n->full, n->opened, n->absent, n->removed);
	EXPECT_LT(100, n->created);
	EXPECT_LT(100, n->taken);
	EXPECT_LT(100, n->opened);
	EXPECT_LT(100, n->absent);
	EXPECT_LT(100, n->removed);
	EXPECT_EQ(0, n->elsewhere);
	/* All memory came back. */
	EXPECT_EQ(100, statfs_of("q").f_ffree);
	EXPECT_EQ(blocks, statfs_of("q").f_bfree);
}

/* A queue is complete before its name exists: a process that waits for the name can open it. */
static int open_when_created(int in, int rounds)
{
	char name[16], path[32];
	int fd;

	for (; rounds; rounds--) {
		if (!CHECK(IN_CREATE, next_event(in, name)))
			return 1;
		snprintf(path, sizeof(path), "q/%s", name);
		fd = result(open(path, O_WRONLY));
		if (!CHECK(1, fd >= 0) || !CHECK(64, info_of(fd).msg_size) ||
		    !CHECK(LEN, put_msg(fd, LEN, rounds)))
			return 1;
		close(fd);
	}
	return 0;
}

TEST_F(fs, opened_when_created)
{
	int in = inotify_init1(0), rounds = 300, fd;
	char name[16];
	pid_t pid;

	ASSERT_LE(0, inotify_add_watch(in, "q", IN_CREATE));
	pid = fork_child(open_when_created(in, rounds));
	for (; rounds; rounds--) {
		snprintf(name, sizeof(name), "x%d", rounds);
		ASSERT_EQ(0, make(self->root, name, 0600));
		fd = open_at(self->root, name, O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(LEN, take_msg(fd, LEN, rounds));
		ASSERT_EQ(0, remove_at(self->root, name));
		close(fd);
	}
	EXPECT_EQ(0, child_end(pid));
	close(in);
}

/* Makes and uses a queue at "r", while the parent mounts and unmounts there. */
static int use_what_is_mounted(struct counts *n)
{
	bool good = true;
	int dir, i;

	for (i = 0; good && !__atomic_load_n(&n->stop, __ATOMIC_RELAXED); i++) {
		dir = result(open("r", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		good = CHECK(1, dir >= 0) && is_good_creation(n, make(dir, "x", 0600));
		close(dir);
		good = good && use_queue(n, "r/x");
		if (i % 3 == 0)
			good = good && remove_queue(n, "r/x");
	}
	return !good;
}

TEST_F_TIMEOUT(fs, mounted_and_unmounted, 300)
{
	int i, tries, before = atoi(line(REFCNT, ""));
	struct counts *n = shared_counts();
	pid_t pid[CROWD];

	ASSERT_NE(MAP_FAILED, n);
	ASSERT_EQ(0, mkdir("r", 0755));
	for (i = 0; i < CROWD; i++) {
		pid[i] = fork_child(use_what_is_mounted(n));
		ASSERT_LT(0, pid[i]);
	}
	for (i = 0; i < 200; i++) {
		ASSERT_EQ(0, mount_queues("r", 0, ""));
		usleep(i % 7 * 1000);
		tries = i % 2 ? 0 : 100;
		/* The children may keep it busy for any time. */
		while (umount2("r", tries ? 0 : MNT_DETACH)) {
			ASSERT_EQ(EBUSY, errno);
			tries--;
		}
	}
	__atomic_store_n(&n->stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < CROWD; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	TH_LOG("%d created, %d were there, %d opened, %d absent, %d removed, %d not mounted",
	       n->created, n->taken, n->opened, n->absent, n->removed, n->elsewhere);
	EXPECT_LT(10, n->created);
	EXPECT_LT(10, n->opened);
	EXPECT_LT(10, n->elsewhere);
	EXPECT_EQ(0, n->full);
	EXPECT_TRUE(comes_true(atoi(line(REFCNT, "")) == before));
}

/* Readers sleep on when the queue loses name and mount, and get what is sent then. */
TEST_F(fs, unmounted_under_sleepers)
{
	struct call call[8];
	int i, fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, fd, large + i * LEN, LEN));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	close(self->root);
	ASSERT_EQ(0, umount2("q", MNT_DETACH));
	wait_all_asleep(call, 8, SYS_read);
	for (i = 0; i < 8; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	close(fd);
	for (i = 0; i < 8; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
}

TEST_HARNESS_MAIN
