// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcqfs, the filesystem of queues: CREATE, open and unlink with the permissions they need;
 * the other calls of the VFS; mount options; user namespaces; unmounting amid use.  limits.c
 * tests the limits of users.
 *
 * Each test has a mount of its own at "q", in an otherwise empty working directory.
 */

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

#include "queuefs_test.h"

#define REFCNT	"/sys/module/mpmcq/refcnt"

static unsigned char large[MSG_SIZE_MAX];

FIXTURE(fs)
{
	char base[32];
	int root;	/* directory of the mount */
};

FIXTURE_SETUP(fs)
{
	ASSERT_EQ(0, enter_scratch(self->base, sizeof(self->base)));
	ASSERT_EQ(0, mkdir("q", 0755));
	ASSERT_EQ(0, mount_queues("q", 0, ""));
	self->root = open("q", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(fs)
{
	EXPECT_EQ(0, become(0, 0, 0));
	close(self->root);
	leave_scratch(self->base);
}

/* Makes a small queue in directory @dir. */
static int make(int dir, const char *name, __u32 mode)
{
	return create_at(dir, name, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .mode = mode });
}

static int make_exist_ok(int dir, const char *name)
{
	return create_at(dir, name, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .mode = 0600, .flags = MPMCQ_EXIST_OK });
}

static int make_private(int fd)
{
	return create(fd, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .open_flags = O_RDWR });
}

/* Opens @path and closes it again.  Returns 0 or -errno. */
static int try_open(const char *path, int flags)
{
	int fd = result(open(path, flags | O_CLOEXEC, 0600));

	return fd < 0 ? fd : result(close(fd));
}

static int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

/* Closes the directory, and mounts a new filesystem at "q" in place of the old one. */
static int mount_anew(int *root, unsigned long flags, const char *options)
{
	int ret;

	close(*root);
	*root = -1;
	if (umount2("q", 0))
		return -errno;
	ret = mount_queues("q", flags, options);
	if (ret)
		return ret;
	*root = result(open("q", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return *root < 0 ? *root : 0;
}

/*
 * Making, opening, removing
 */
TEST_F(fs, made_opened_removed)
{
	int first, second, third;

	EXPECT_EQ(-ENOENT, open_at(self->root, "x", O_RDWR));
	EXPECT_EQ(-ENOENT, remove_at(self->root, "x"));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	first = open_at(self->root, "x", O_RDWR | O_NONBLOCK);
	second = open_at(self->root, "x", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, first);
	ASSERT_LE(0, second);
	ASSERT_EQ(LEN, put_msg(first, LEN, 1));
	EXPECT_EQ(LEN, take_msg(second, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(second, large, LEN));
	EXPECT_EQ(-EBADF, put_msg(second, LEN, 1));

	/* Messages stay while nobody has it open. */
	ASSERT_EQ(LEN, put_msg(first, LEN, 2));
	close(first);
	close(second);
	first = result(open("q/x", O_RDWR | O_NONBLOCK));
	ASSERT_LE(0, first);
	EXPECT_EQ(LEN, take_msg(first, LEN, 2));

	/* Open files work on without the name. */
	ASSERT_EQ(LEN, put_msg(first, LEN, 3));
	EXPECT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(-ENOENT, remove_at(self->root, "x"));
	EXPECT_EQ(-ENOENT, open_at(self->root, "x", O_RDWR));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	second = open_at(self->root, "x", O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, second);
	EXPECT_NE(info_of(first).number, info_of(second).number);
	EXPECT_EQ(-EAGAIN, take(second, large, LEN));
	third = attach(first, O_RDWR, 0, 0);
	ASSERT_LE(0, third);
	EXPECT_EQ(LEN, take_msg(third, LEN, 3));
	EXPECT_EQ(LEN, put_msg(third, LEN, 4));
	EXPECT_EQ(LEN, take_msg(first, LEN, 4));
	close(third);
	close(second);
	close(first);
}

/* The queue is as CREATE asked for, and the call opens no descriptor. */
TEST_F(fs, configuration)
{
	const struct mpmcq_create like = {
		.flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE, .capacity = 16, .msg_size = 24,
		.max_deliveries = 3, .lease_ms = 60000, .mode = 0640,
	};
	struct mpmcq_info info;
	int fd, next = dup(self->root);

	close(next);
	ASSERT_EQ(0, create_at(self->root, "x", like));
	EXPECT_EQ(next, dup(self->root));
	close(next);
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	info = info_of(fd);
	EXPECT_EQ(like.flags, info.flags);
	EXPECT_EQ(16, info.capacity);
	EXPECT_EQ(24, info.msg_size);
	EXPECT_EQ(3, info.max_deliveries);
	EXPECT_EQ(60000, info.lease_ms);
	EXPECT_EQ(0, info.modes);
	close(fd);
	ASSERT_EQ(0, create_at(self->root, "y", (struct mpmcq_create){ .mode = 0600 }));
	fd = open_at(self->root, "y", O_RDONLY);
	ASSERT_LE(0, fd);
	info = info_of(fd);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(1024, info.capacity);
	EXPECT_EQ(1024, info.msg_size);
	EXPECT_EQ(0, info.max_deliveries);
	EXPECT_EQ(0, info.lease_ms);
	close(fd);
}

TEST_F(fs, bad_configuration)
{
	const struct mpmcq_create bad[] = {
		{ .capacity = 3 }, { .capacity = 1 }, { .capacity = 2097152 },
		{ .msg_size = 65537 }, { .lease_ms = 1U << 31 }, { .flags = 0x20 },
		{ .flags = 0x8000 }, { .flags = 0x20000 }, { .flags = 1U << 31 },
		{ .open_flags = O_RDWR }, { .open_flags = O_WRONLY }, { .open_flags = O_NONBLOCK },
		{ .open_flags = O_CLOEXEC }, { .mode = 01000 }, { .mode = 02755 },
		{ .mode = 04755 }, { .mode = 0100600 }, { .mode = 1U << 31 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct mpmcq_create like = bad[i];

		EXPECT_EQ(-EINVAL, create_at(self->root, "x", like)) TH_LOG("number %zu", i);
		like.flags |= MPMCQ_EXIST_OK;
		EXPECT_EQ(-EINVAL, create_at(self->root, "x", like)) TH_LOG("number %zu", i);
	}
	EXPECT_FALSE(is_there(self->root, "x"));
}

TEST_F(fs, exist_ok)
{
	const struct mpmcq_create like = {
		.flags = MPMCQ_DROP_OLDEST, .capacity = 4, .msg_size = 64, .max_deliveries = 3,
		.lease_ms = 60000, .mode = 0640,
	};
	struct mpmcq_create other = like;
	struct stat dir, dir_after, st;
	int fd;

	other.flags |= MPMCQ_EXIST_OK;
	ASSERT_EQ(0, create_at(self->root, "x", other));
	EXPECT_EQ(-EEXIST, create_at(self->root, "x", like));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(0, fstat(self->root, &dir));
	usleep(20000);

	/* Mode and owner are not compared, and do not change; nor is how files begin. */
	EXPECT_EQ(0, create_at(self->root, "x", other));
	other.mode = 0600;
	EXPECT_EQ(0, create_at(self->root, "x", other));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(0640, st.st_mode & 0777);
	EXPECT_EQ(1, depth(fd));
	ASSERT_EQ(0, fstat(self->root, &dir_after));
	EXPECT_EQ(dir.st_mtim.tv_nsec, dir_after.st_mtim.tv_nsec);
	EXPECT_EQ(dir.st_mtim.tv_sec, dir_after.st_mtim.tv_sec);
	ASSERT_EQ(0, chown("q/x", OWNER, GROUP));
	EXPECT_EQ(0, create_at(self->root, "x", other));
	other.flags |= MPMCQ_START_LEASE;
	EXPECT_EQ(0, create_at(self->root, "x", other));
	other.flags &= ~MPMCQ_START_LEASE;
	other.levels = 1;	/* which is what 0 stands for */
	EXPECT_EQ(0, create_at(self->root, "x", other));
	other.levels = 0;

	/* Everything else is compared. */
#define EXPECT_OTHER(member, value) do {					\
	typeof(other.member) was = other.member;				\
										\
	other.member = value;							\
	EXPECT_EQ(-EEXIST, create_at(self->root, "x", other));			\
	other.member = was;							\
	EXPECT_EQ(0, create_at(self->root, "x", other));			\
} while (0)
	EXPECT_OTHER(flags, MPMCQ_EXIST_OK);
	EXPECT_OTHER(flags, MPMCQ_EXIST_OK | MPMCQ_AUTO_CLOSE);
	EXPECT_OTHER(flags, MPMCQ_EXIST_OK | MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE);
	EXPECT_OTHER(flags, MPMCQ_EXIST_OK | MPMCQ_DROP_OLDEST | MPMCQ_STAMP);
	EXPECT_OTHER(flags, MPMCQ_EXIST_OK | MPMCQ_DROP_OLDEST | MPMCQ_DELAY);
	EXPECT_OTHER(retry_ms, 1);
	EXPECT_OTHER(levels, 2);
	EXPECT_OTHER(capacity, 8);
	EXPECT_OTHER(capacity, 0);
	EXPECT_OTHER(msg_size, 63);
	EXPECT_OTHER(msg_size, 0);
	EXPECT_OTHER(max_deliveries, 0);
	EXPECT_OTHER(max_deliveries, 4);
	EXPECT_OTHER(lease_ms, 0);
	EXPECT_OTHER(lease_ms, 60001);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
}

/* A 0 that stands for a default compares as the default. */
TEST_F(fs, exist_ok_of_defaults)
{
	const struct mpmcq_create defaults = { .flags = MPMCQ_EXIST_OK, .mode = 0600 };
	const struct mpmcq_create same = {
		.flags = MPMCQ_EXIST_OK, .capacity = 1024, .msg_size = 1024, .mode = 0600,
	};

	ASSERT_EQ(0, create_at(self->root, "x", defaults));
	EXPECT_EQ(0, create_at(self->root, "x", same));
	ASSERT_EQ(0, create_at(self->root, "y", same));
	EXPECT_EQ(0, create_at(self->root, "y", defaults));
}

/* Makes a queue that takes long, and says in @state that it has begun, and that it is done. */
static int make_large(int root, volatile int *state)
{
	const struct mpmcq_create large = {
		.capacity = 1024, .msg_size = 65536, .mode = 0600, .flags = MPMCQ_EXIST_OK,
	};

	*state = 1;
	if (!CHECK(0, create_at(root, "large", large)))
		return 1;
	*state = 2;
	return 0;
}

/* Who only looks a name up does not wait for those who make a queue. */
TEST_F(fs, exist_ok_while_another_is_made)
{
	volatile int *state = map_shared(sizeof(*state));
	int n = 0, status;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, state);
	ASSERT_EQ(0, make_exist_ok(self->root, "x"));
	pid = fork();
	if (!pid)
		_exit(make_large(self->root, state));
	ASSERT_LT(0, pid);
	while (*state < 1)
		;
	while (*state < 2) {
		ASSERT_EQ(0, make_exist_ok(self->root, "x"));
		n++;
	}
	EXPECT_LT(20, n);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	munmap((void *)state, sizeof(*state));
}

/* In each of several processes: all calls succeed, and all open the same queue. */
static int make_and_count(int root)
{
	char name[16];
	int i, fd;

	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		if (!CHECK(0, make_exist_ok(root, name)))
			return 1;
		fd = open_at(root, name, O_WRONLY | O_NONBLOCK);
		if (!CHECK(1, fd >= 0) || !CHECK(LEN, put_msg(fd, LEN, i)))
			return 1;
		close(fd);
	}
	return 0;
}

TEST_F(fs, exist_ok_of_many_at_once)
{
	char name[16];
	pid_t pid[4];
	int i, fd;

	/* There is room for each queue once.  A caller that comes second must not need more. */
	ASSERT_EQ(0, mount_anew(&self->root, 0, "max=200"));
	for (i = 0; i < 4; i++) {
		pid[i] = fork_child(make_and_count(self->root));
		ASSERT_LT(0, pid[i]);
	}
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, child_end(pid[i]));
	for (i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		fd = open_at(self->root, name, O_RDONLY);
		ASSERT_LE(0, fd);
		EXPECT_EQ(4, depth(fd)) TH_LOG("%s", name);
		close(fd);
	}
}

/*
 * Names
 */
TEST_F(fs, good_and_bad_names)
{
	const struct {
		const char *name;
		int ret;
	} names[] = {
		{ "", -ENOENT }, { ".", -EINVAL }, { "..", -EINVAL }, { "/", -EINVAL },
		{ "/x", -EINVAL }, { "x/", -EINVAL }, { "x/y", -EINVAL }, { "../x", -EINVAL },
		{ "./x", -EINVAL }, { "...", 0 }, { ".x", 0 }, { "-x", 0 }, { "x.", 0 },
		{ " ", 0 }, { "x\ny", 0 }, { "\xc3\xa9", 0 }, { "\xff\xfe", 0 }, { "mpmcq", 0 },
	};
	char name[4] = "x?y";
	size_t i;
	int c;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(names[i].ret, make(self->root, names[i].name, 0600))
			TH_LOG("name '%s'", names[i].name);
		if (!names[i].ret) {
			EXPECT_TRUE(is_there(self->root, names[i].name));
			EXPECT_EQ(0, remove_at(self->root, names[i].name));
		}
	}
	for (c = 1; c < 256; c++) {
		name[1] = c;
		EXPECT_EQ(c == '/' ? -EINVAL : 0, make(self->root, name, 0600))
			TH_LOG("character %d", c);
		EXPECT_EQ(c == '/' ? -ENOENT : 0, remove_at(self->root, name));
	}
}

TEST_F(fs, lengths_of_names)
{
	char *edge = (char *)map_edge(), *name;
	int len;

	ASSERT_NE(NULL, edge);
	for (len = 1; len <= NAME_MAX; len++) {
		/* Reading behind the end of the name would fail. */
		name = edge - len - 1;
		memset(name, 'a', len);
		name[len] = '\0';
		ASSERT_EQ(0, make(self->root, name, 0600)) TH_LOG("length %d", len);
		ASSERT_TRUE(is_there(self->root, name));
		ASSERT_EQ(-EEXIST, make(self->root, name, 0600));
		ASSERT_EQ(0, remove_at(self->root, name));
	}
	for (len = NAME_MAX + 1; len <= 2 * PATH_MAX; len += len < 300 ? 1 : 250) {
		name = edge - len - 1;
		memset(name, 'a', len);
		name[len] = '\0';
		ASSERT_EQ(-ENAMETOOLONG, make(self->root, name, 0600)) TH_LOG("length %d", len);
	}
	/* Names without an end. */
	for (len = 0; len <= NAME_MAX; len += 15) {
		memset(edge - len, 'a', len);
		ASSERT_EQ(-EFAULT, make(self->root, edge - len, 0600)) TH_LOG("length %d", len);
	}
}

/*
 * Owner, mode, permissions
 */
TEST_F(fs, modes_and_umask)
{
	const mode_t masks[] = { 0, 022, 027, 077, 0777, 0111 };
	size_t i;
	mode_t mode;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		for (mode = 0; mode <= 0777; mode += 7) {
			umask(masks[i]);
			ASSERT_EQ(0, make(self->root, "x", mode));
			EXPECT_EQ(mode & ~masks[i], (mode_t)mode_of("q/x"))
				TH_LOG("mode %o, umask %o", mode, masks[i]);
			ASSERT_EQ(0, remove_at(self->root, "x"));
		}
	}
	umask(022);
}

TEST_F(fs, owner)
{
	struct stat st;

	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OWNER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(0, stat("q", &st));
	EXPECT_EQ(0, st.st_uid);

	/* Owner and group are fsuid and fsgid. */
	setfsgid(GROUP);
	setfsuid(OTHER);
	EXPECT_EQ(0, make(self->root, "y", 0600));
	setfsuid(0);
	setfsgid(0);
	ASSERT_EQ(0, stat("q/y", &st));
	EXPECT_EQ(OTHER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
}

TEST_F(fs, group_of_the_directory)
{
	struct stat st;

	ASSERT_EQ(0, chown("q", 0, GROUP));
	ASSERT_EQ(0, chmod("q", 02777));
	ASSERT_EQ(0, become(OWNER, OWNER, 0));
	ASSERT_EQ(0, make(self->root, "x", 0670));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OWNER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(0650, st.st_mode & 07777);
	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, OWNER, 0));
	ASSERT_EQ(0, make(self->root, "y", 0670));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/y", &st));
	EXPECT_EQ(OWNER, st.st_gid);
}

/* Users, and how far the bits of a mode are shifted that count for them: the file is OWNER's. */
static const struct {
	uid_t uid;
	gid_t gid, more;
	int shift;	/* -1: all is allowed */
} people[] = {
	{ OWNER, GROUP, 0, 6 }, { OWNER, OTHER, 0, 6 }, { OTHER, GROUP, 0, 3 },
	{ OTHER, OTHER, GROUP, 3 }, { OTHER, OTHER, 0, 0 }, { 0, 0, 0, -1 },
};

static bool may(int who, mode_t mode, mode_t what)
{
	return people[who].shift < 0 || (mode >> people[who].shift & what) == what;
}

TEST_F(fs, permissions_of_the_directory)
{
	const mode_t modes[] = {
		0777, 0755, 0750, 0700, 0733, 0722, 0711, 0744, 0766, 0573, 0375, 0677, 0, 01777,
	};
	size_t i;
	int j;

	ASSERT_EQ(0, chown("q", OWNER, GROUP));
	ASSERT_EQ(0, make(self->root, "there", 0666));
	ASSERT_EQ(0, chmod("q/there", 0666));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, chmod("q", modes[i]));
		for (j = 0; j < (int)ARRAY_SIZE(people); j++) {
			bool make_it = may(j, modes[i], 3), find_it = may(j, modes[i], 1);

			ASSERT_EQ(0, become(people[j].uid, people[j].gid, people[j].more));
			EXPECT_EQ(make_it ? 0 : -EACCES, make(self->root, "x", 0600))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			/* With EXIST_OK search permission is enough for an existing queue. */
			EXPECT_EQ(find_it ? 0 : -EACCES, make_exist_ok(self->root, "there"))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(make_it ? 0 : -EACCES, make_exist_ok(self->root, "y"))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(find_it ? 0 : -EACCES, try_open("q/there", O_RDWR))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(may(j, modes[i], 4) ? 0 : -EACCES, try_open("q", O_RDONLY))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			if (make_it) {
				EXPECT_EQ(0, remove_at(self->root, "x"));
				EXPECT_EQ(0, remove_at(self->root, "y"));
			} else {
				EXPECT_EQ(-EACCES, remove_at(self->root, "there"))
					TH_LOG("directory of mode %o, user %d", modes[i], j);
			}
			ASSERT_EQ(0, become(0, 0, 0));
		}
	}
	EXPECT_TRUE(is_there(self->root, "there"));
	EXPECT_FALSE(is_there(self->root, "x"));
}

/* Without permission nothing is charged to the mount, so nothing there can be too much. */
TEST_F(fs, no_charge_without_permission)
{
	ASSERT_EQ(0, mount_anew(&self->root, 0, "max=1,size=1m"));
	ASSERT_EQ(0, make(self->root, "one", 0600));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(-EACCES, make(self->root, "two", 0600));
	EXPECT_EQ(-EACCES, create_at(self->root, "large", (struct mpmcq_create){
		.capacity = 1 << 20, .msg_size = 65536,
	}));
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(-ENOSPC, make(self->root, "two", 0600));
}

TEST_F(fs, permissions_of_the_queue)
{
	const mode_t modes[] = {
		0600, 0640, 0660, 0604, 0666, 0444, 0222, 0400, 0040, 0004, 0420, 0077, 0707, 0777,
		0111, 0,
	};
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const mode_t needed[] = { 4, 2, 6 };
	size_t i, k;
	int j;

	umask(0);
	ASSERT_EQ(0, chmod("q", 0777));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, become(OWNER, GROUP, 0));
		ASSERT_EQ(0, make(self->root, "x", modes[i]));
		for (j = 0; j < (int)ARRAY_SIZE(people); j++) {
			ASSERT_EQ(0, become(people[j].uid, people[j].gid, people[j].more));
			for (k = 0; k < ARRAY_SIZE(accesses); k++) {
				EXPECT_EQ(may(j, modes[i], needed[k]) ? 0 : -EACCES,
					  try_open("q/x", accesses[k]))
					TH_LOG("mode %o, user %d, access %d", modes[i], j,
					       accesses[k]);
			}
		}
		ASSERT_EQ(0, become(0, 0, 0));
		ASSERT_EQ(0, remove_at(self->root, "x"));
	}
}

/* In a child that cannot become root again. */
static int stranger(int root)
{
	bool good = CHECK(0, become_for_good(OTHER, OTHER));

	good &= CHECK(-EACCES, try_open("q/owners", O_RDONLY));
	good &= CHECK(-EACCES, try_open("q/owners", O_WRONLY));
	good &= CHECK(0, try_open("q/shared", O_RDWR));
	good &= CHECK(-EPERM, result(chmod("q/shared", 0777)));
	good &= CHECK(-EPERM, result(chown("q/shared", OTHER, OTHER)));
	good &= CHECK(-EPERM, result(chmod("q", 0777)));
	good &= CHECK(-EACCES, make(root, "x", 0600));
	good &= CHECK(-EACCES, remove_at(root, "shared"));
	good &= CHECK(0, make_exist_ok(root, "shared"));
	return !good;
}

TEST_F(fs, other_process)
{
	ASSERT_EQ(0, make(self->root, "owners", 0600));
	ASSERT_EQ(0, make(self->root, "shared", 0666));
	ASSERT_EQ(0, chmod("q/shared", 0666));
	ASSERT_EQ(0, chown("q/owners", OWNER, GROUP));
	EXPECT_EQ(0, child_end(fork_child(stranger(self->root))));
	EXPECT_EQ(0666, mode_of("q/shared"));
	EXPECT_EQ(0755, mode_of("q"));
}

/* chmod(2) and chown(2) decide about later opens.  Open files work on. */
TEST_F(fs, chmod_and_chown)
{
	struct stat st;
	int fd, more;

	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDWR));
	EXPECT_EQ(-EPERM, result(chmod("q/x", 0666)));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, chmod("q/x", 0606));
	EXPECT_EQ(-EPERM, result(chown("q/x", OTHER, -1)));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	fd = result(open("q/x", O_RDWR | O_NONBLOCK));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, chmod("q/x", 0600));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	more = attach(fd, O_RDWR, 0, 0);
	EXPECT_LE(0, more);
	close(more);

	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(0, chown("q/x", OTHER, OTHER));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OTHER, st.st_uid);
	EXPECT_EQ(OTHER, st.st_gid);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
	close(fd);
}

/* A process that inherits an open file needs no permission, and can open nothing more. */
TEST_F(fs, inherited_file)
{
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, open_at(self->root, "x", O_RDWR));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_LE(0, more);
	EXPECT_EQ(LEN, take_msg(more, LEN, 1));
	EXPECT_EQ(-EACCES, attach(more, O_RDWR, 0, 0));
	EXPECT_EQ(-EACCES, remove_at(self->root, "x"));
	close(more);
	close(fd);
}

/* In a sticky directory users remove their own queues only. */
TEST_F(fs, sticky_directory)
{
	ASSERT_EQ(0, chmod("q", 01777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0666));
	ASSERT_EQ(0, chmod("q/x", 0666));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(-EPERM, remove_at(self->root, "x"));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY));
	EXPECT_EQ(0, try_open("q/x", O_RDWR | O_TRUNC));
	/* The VFS refuses O_CREAT of another's file here.  A shell's ">" uses O_CREAT. */
	EXPECT_EQ(-EACCES, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));

	/* In a directory that only a group can write to, as /dev/mpmcqfs, O_CREAT works. */
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, chown("q", 0, GROUP));
	ASSERT_EQ(0, chmod("q", 01775));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	EXPECT_EQ(-EPERM, remove_at(self->root, "x"));
	EXPECT_EQ(0, make(self->root, "y", 0600));
	EXPECT_EQ(0, remove_at(self->root, "y"));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, make(self->root, "y", 0600));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, remove_at(self->root, "x"));
}

/*
 * The other calls
 */
TEST_F(fs, nothing_else_can_be_made)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "q/y" };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFCHR | 0600, st.st_rdev)));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFIFO | 0600, 0)));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFBLK | 0600, makedev(7, 0))));
	EXPECT_EQ(-EPERM, result(mkdir("q/y", 0755)));
	EXPECT_EQ(-EPERM, result(symlink("x", "q/y")));
	EXPECT_EQ(-EPERM, result(link("q/x", "q/y")));
	EXPECT_EQ(-EPERM, result(rename("q/x", "q/y")));
	EXPECT_EQ(-EPERM, result(bind(sock, (struct sockaddr *)&at, sizeof(at))));
	EXPECT_EQ(-EACCES, result(mknod("q/y", S_IFREG | 0600, 0)));
	EXPECT_EQ(-EACCES, try_open("q/y", O_RDWR | O_CREAT));
	EXPECT_EQ(-EACCES, try_open("q/y", O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(-EOPNOTSUPP, try_open("q", O_RDWR | O_TMPFILE));
	EXPECT_FALSE(is_there(self->root, "y"));
	EXPECT_TRUE(is_there(self->root, "x"));

	/* On an existing queue. */
	EXPECT_EQ(-EEXIST, result(mknod("q/x", S_IFCHR | 0600, st.st_rdev)));
	EXPECT_EQ(-EEXIST, result(mkdir("q/x", 0755)));
	EXPECT_EQ(-EEXIST, try_open("q/x", O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(0, try_open("q/x", O_RDWR | O_CREAT));
	EXPECT_EQ(-ENOTDIR, try_open("q/x", O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(-ENOTDIR, try_open("q/x/y", O_RDONLY));
	EXPECT_EQ(-ENOTDIR, result(rmdir("q/x")));
	EXPECT_EQ(-EINVAL, result(truncate("q/x", 0)));
	EXPECT_EQ(-EISDIR, try_open("q", O_RDWR));
	EXPECT_EQ(-ENOENT, result(rename("q/y", "q/x")));
	close(sock);
}

/* rename(2) and link(2) cross no mount. */
TEST_F(fs, nothing_moves_in_or_out)
{
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_LE(0, close(creat("plain", 0600)));
	EXPECT_EQ(-EXDEV, result(rename("q/x", "x")));
	EXPECT_EQ(-EXDEV, result(rename("plain", "q/plain")));
	EXPECT_EQ(-EXDEV, result(link("q/x", "x")));
	EXPECT_EQ(-EXDEV, result(link("plain", "q/plain")));
}

static int execute(const char *path)
{
	execl(path, path, NULL);
	return errno;
}

TEST_F(fs, nothing_can_be_executed)
{
	ASSERT_EQ(0, make(self->root, "x", 0777));
	EXPECT_EQ(EACCES, child_end(fork_child(execute("q/x"))));
	EXPECT_EQ(-EOPNOTSUPP, result(setxattr("q", "user.x", "x", 1, 0)));
}

/* An open(2) that fails does not count as a writer, so AUTO_CLOSE does not close the queue. */
TEST_F(fs, direct_io)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	char path[64];
	int reader, writer;
	size_t i;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, reader);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(-EINVAL, try_open("q/x", accesses[i] | O_DIRECT));
		EXPECT_EQ(-EINVAL, try_open(path, accesses[i] | O_DIRECT));
		EXPECT_EQ(0, info_of(reader).closed) TH_LOG("access %d", accesses[i]);
	}
	EXPECT_EQ(-EINVAL, attach(reader, O_RDONLY | O_DIRECT, 0, 0));
	EXPECT_EQ(-EINVAL, result(fcntl(reader, F_SETFL, O_DIRECT)));
	writer = open_at(self->root, "x", O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(LEN, put_msg(writer, LEN, 1));
	EXPECT_EQ(-EINVAL, try_open("q/x", O_WRONLY | O_DIRECT));
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	close(reader);
}

/* The same for other opens that fail. */
TEST_F(fs, failed_opens_close_nothing)
{
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	struct rlimit files, none;
	int reader, i;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, reopen_queue(reader));
	close(attach(reader, O_RDONLY, 0, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EMFILE, try_open("q/x", O_WRONLY));
		EXPECT_EQ(-EMFILE, attach(reader, O_WRONLY, 0, 0));
	}
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	EXPECT_EQ(-EINVAL, attach(reader, O_WRONLY, 0, 1));
	EXPECT_EQ(-EBADF, attach(reader, O_WRONLY, MPMCQ_MODE_LEASE, 0));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_WRONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, put_msg(reader, LEN, 1));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(reader);
}

/* O_PATH does not open the queue. */
TEST_F(fs, path_only)
{
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	char path[64];
	struct stat st;
	int fd, writer, reader, dir;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDONLY);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	fd = open_at(self->root, "x", O_PATH);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, put_msg(fd, LEN, 1));
	EXPECT_EQ(-EBADF, take(fd, large, LEN));
	EXPECT_EQ(-EBADF, depth(fd));
	EXPECT_EQ(-EBADF, attach(fd, O_RDONLY, 0, 0));
	EXPECT_EQ(-EBADF, close_queue(fd));
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-EACCES, try_open(path, O_RDONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	close(open_at(self->root, "x", O_PATH | O_RDWR));
	EXPECT_EQ(0, info_of(reader).closed);
	writer = result(open(path, O_WRONLY));
	ASSERT_LE(0, writer);
	EXPECT_EQ(LEN, put_msg(writer, LEN, 1));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));

	dir = result(open("q", O_PATH | O_DIRECTORY));
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EBADF, make(dir, "y", 0600));
	EXPECT_FALSE(is_there(self->root, "y"));
	close(dir);
	close(writer);
	close(fd);
	close(reader);
}

/* A copy of a node, as "cp -a" makes it, leads to no queue. */
TEST_F(fs, copied_node)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	struct stat st, other, device;
	unsigned int minor;
	size_t i;
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, make(self->root, "y", 0600));
	ASSERT_EQ(0, stat("q/x", &st));
	ASSERT_EQ(0, stat("q/y", &other));
	ASSERT_EQ(0, stat(DEVICE, &device));
	EXPECT_EQ(st.st_rdev, other.st_rdev);
	EXPECT_EQ(makedev(major(device.st_rdev), 1), st.st_rdev);
	ASSERT_EQ(0, mknod("copy", S_IFCHR | 0666, st.st_rdev));
	for (i = 0; i < ARRAY_SIZE(accesses); i++)
		EXPECT_EQ(-ENXIO, try_open("copy", accesses[i]));
	/* Each makes the kernel look for a module. */
	for (minor = 2; minor < 1 << 20; minor <<= 6) {
		ASSERT_EQ(0, mknod("none", S_IFCHR | 0666,
				   makedev(major(device.st_rdev), minor)));
		EXPECT_EQ(-ENXIO, try_open("none", O_RDWR)) TH_LOG("minor %u", minor);
		ASSERT_EQ(0, unlink("none"));
	}

	/* A copy of /dev/mpmcq leads to the default queue. */
	ASSERT_EQ(0, mknod("default", S_IFCHR | 0666, device.st_rdev));
	fd = result(open("default", O_RDONLY));
	ASSERT_LE(0, fd);
	i = open(DEVICE, O_RDONLY);
	EXPECT_EQ(info_of(i).number, info_of(fd).number);
	close(i);
	close(fd);
}

TEST_F(fs, stat)
{
	struct stat st, other, dir;
	time_t before = time(NULL), after;
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0640));
	ASSERT_EQ(0, make(self->root, "y", 0640));
	after = time(NULL);
	ASSERT_EQ(0, stat("q/x", &st));
	ASSERT_EQ(0, stat("q/y", &other));
	ASSERT_EQ(0, stat("q", &dir));
	EXPECT_EQ((mode_t)(S_IFCHR | 0640), st.st_mode);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(dir.st_dev, st.st_dev);
	EXPECT_NE(0, st.st_ino);
	EXPECT_NE(other.st_ino, st.st_ino);
	EXPECT_NE(dir.st_ino, st.st_ino);
	EXPECT_TRUE(S_ISDIR(dir.st_mode));
	EXPECT_EQ(2, dir.st_nlink);
	/* Timestamps of files are up to a tick late. */
	EXPECT_LE(before - 1, st.st_mtime);
	EXPECT_GE(after, st.st_mtime);
	EXPECT_EQ(st.st_mtime, st.st_ctime);
	EXPECT_LE(before - 1, st.st_atime);
	EXPECT_GE(after, st.st_atime);

	fd = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	ASSERT_EQ(0, fstat(fd, &other));
	EXPECT_EQ(st.st_ino, other.st_ino);
	EXPECT_EQ(0, other.st_nlink);
	close(fd);
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* The directory's times change with its names, and with nothing else. */
TEST_F(fs, times_of_the_directory)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st, last;

	ASSERT_EQ(0, fstat(self->root, &last));
	usleep(20000);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_TRUE(is_later(&st.st_mtim, &last.st_mtim));
	EXPECT_TRUE(is_later(&st.st_ctim, &last.st_ctim));
	last = st;
	usleep(20000);
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(-EINVAL, make(self->root, "..", 0600));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_FALSE(is_later(&st.st_mtim, &last.st_mtim));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_TRUE(is_later(&st.st_mtim, &last.st_mtim));
	EXPECT_TRUE(is_later(&st.st_ctim, &last.st_ctim));

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, utimensat(self->root, "x", old, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(1000, st.st_atime);
	EXPECT_EQ(2000, st.st_mtime);
}

/* Locks belong to the queue's file, however it was opened. */
TEST_F(fs, locks)
{
	struct flock whole = { .l_type = F_WRLCK };
	int one, two, three;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, make(self->root, "y", 0600));
	one = open_at(self->root, "x", O_RDWR);
	two = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	three = attach(one, O_RDWR, 0, 0);
	ASSERT_LE(0, three);
	EXPECT_EQ(0, flock(one, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(two, LOCK_SH | LOCK_NB)));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(three, LOCK_SH | LOCK_NB)));
	close(one);
	EXPECT_EQ(0, flock(two, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(three, LOCK_EX | LOCK_NB)));
	one = open_at(self->root, "y", O_RDWR);
	EXPECT_EQ(0, flock(one, LOCK_EX | LOCK_NB));

	/* So do POSIX locks; another queue has its own. */
	ASSERT_EQ(0, fcntl(two, F_SETLK, &whole));
	EXPECT_EQ(EAGAIN, child_end(fork_child(fcntl(three, F_SETLK, &whole) ? errno : 0)));
	EXPECT_EQ(0, child_end(fork_child(fcntl(one, F_SETLK, &whole) ? errno : 0)));
	close(one);
	close(two);
	close(three);
}

/* The next event of an inotify, about a short name or none. */
static int next_event(int in, char *name)
{
	union {
		struct inotify_event event;
		char room[sizeof(struct inotify_event) + 16];
	} buf;
	int ret = result(read(in, &buf, sizeof(buf.event)));

	/* EINVAL: an event with a name.  There is room for one such event now. */
	if (ret == -EINVAL)
		ret = result(read(in, &buf, sizeof(buf)));
	if (ret < 0)
		return ret;
	strcpy(name, buf.event.len ? buf.event.name : "");
	return buf.event.mask;
}

TEST_F(fs, inotify)
{
	int in = inotify_init1(IN_NONBLOCK), fd;
	char name[16];

	ASSERT_LE(0, in);
	ASSERT_LE(0, inotify_add_watch(in, "q", IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(IN_CREATE, next_event(in, name));
	EXPECT_STREQ("x", name);
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(0, make_exist_ok(self->root, "x"));
	EXPECT_EQ(-EINVAL, create_at(self->root, "y", (struct mpmcq_create){ .capacity = 3 }));
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	ASSERT_EQ(0, chmod("q/x", 0640));
	EXPECT_EQ(IN_ATTRIB, next_event(in, name));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(IN_DELETE, next_event(in, name));
	EXPECT_STREQ("x", name);
	close(fd);
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	close(in);

	/* Events of the queue itself. */
	in = inotify_init1(IN_NONBLOCK);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_LE(0, inotify_add_watch(in, "q/x", IN_OPEN | IN_CLOSE | IN_ACCESS | IN_MODIFY |
				       IN_DELETE_SELF));
	fd = open_at(self->root, "x", O_RDWR);
	EXPECT_EQ(IN_OPEN, next_event(in, name));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(IN_MODIFY, next_event(in, name));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(IN_ACCESS, next_event(in, name));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	close(fd);
	EXPECT_EQ(IN_CLOSE_WRITE, next_event(in, name));
	EXPECT_EQ(IN_DELETE_SELF, next_event(in, name));
	close(in);
}

/* ATTACH opens the same file, with no access that the first open file lacks. */
TEST_F(fs, attach)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int i, j, fd[3], got, round;
	struct stat one, two;

	ASSERT_EQ(0, make(self->root, "x", 0));
	for (i = 0; i < 3; i++) {
		fd[i] = open_at(self->root, "x", accesses[i]);
		ASSERT_LE(0, fd[i]);
	}
	ASSERT_EQ(0, fstat(fd[0], &one));
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 3; i++) {
			for (j = 0; j < 3; j++) {
				got = attach(fd[i], accesses[j] | O_NONBLOCK, 0, 0);
				if (i != 2 && i != j) {
					EXPECT_EQ(-EACCES, got) TH_LOG("%d by %d", j, i);
					continue;
				}
				ASSERT_LE(0, got) TH_LOG("%d by %d, round %d", j, i, round);
				EXPECT_EQ(FD_CLOEXEC, fcntl(got, F_GETFD));
				EXPECT_EQ(accesses[j] | O_NONBLOCK,
					  fcntl(got, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
				ASSERT_EQ(0, fstat(got, &two));
				EXPECT_EQ(one.st_dev, two.st_dev);
				EXPECT_EQ(one.st_ino, two.st_ino);
				EXPECT_EQ(-ESPIPE, result(lseek(got, 0, SEEK_CUR)));
				EXPECT_EQ(i == 0 || j == 0 ? -EBADF : LEN, put_msg(got, LEN, 1));
				if (j)
					EXPECT_EQ(LEN, take_msg(fd[2], LEN, 1));
				close(got);
			}
		}
		/* Once more without its name. */
		if (!round)
			ASSERT_EQ(0, remove_at(self->root, "x"));
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* INFO works with any access. */
TEST_F(fs, info_of_any_access)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct mpmcq_info info;
	__u32 number = 0;
	int i, fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	for (i = 0; i < 3; i++) {
		fd = open_at(self->root, "x", accesses[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, query(fd, &info));
		EXPECT_EQ(4, info.capacity);
		EXPECT_EQ(64, info.msg_size);
		if (!i)
			number = info.number;
		EXPECT_EQ(number, info.number);
		EXPECT_EQ(i == 1 ? -EBADF : 0, next_len(fd));
		close(fd);
	}
}

TEST_F(fs, opened_by_proc)
{
	char path[64];
	int fd, again;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = result(open(path, O_RDWR));
	ASSERT_LE(0, again);
	EXPECT_EQ(LEN, put_msg(again, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(again);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open(path, O_RDONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	again = result(open(path, O_RDWR));
	ASSERT_LE(0, again);
	EXPECT_EQ(LEN, put_msg(again, LEN, 2));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 2));
	close(again);
	close(fd);
}

/* Returns the target of the link in /proc/self/fd. */
static const char *link_of(int fd)
{
	static char link[PATH_MAX];
	char path[64];
	int len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	link[len < 0 ? 0 : len] = '\0';
	return link;
}

TEST_F(fs, told_by_fdinfo)
{
	char want[64];
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	snprintf(want, sizeof(want), "%s/q/x", self->base);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_STREQ(want, link_of(fd));
	snprintf(want, sizeof(want), "%u", info_of(fd).number);
	EXPECT_STREQ(want, told_of(fd, "number:\t"));
	EXPECT_STREQ("4", told_of(fd, "capacity:\t"));
	more = attach(fd, O_RDONLY, MPMCQ_MODE_LEASE, 0);
	snprintf(want, sizeof(want), "%s/q/x", self->base);
	EXPECT_STREQ(want, told_of(more, "queue:\t"));
	EXPECT_STREQ("lease", told_of(more, "modes:\t"));
	close(more);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	snprintf(want, sizeof(want), "%s/q/x (deleted)", self->base);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_STREQ(want, link_of(fd));
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_STREQ(want, told_of(more, "queue:\t"));
	close(more);
	close(fd);

	/* A name with a newline does not forge a line. */
	ASSERT_EQ(0, make(self->root, "x\nheld:\t77", 0600));
	fd = open_at(self->root, "x\nheld:\t77", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	close(fd);
}

/* The mount at /dev/mpmcqfs. */
TEST(default_mount)
{
	char name[32], want[64];
	struct statfs fs;
	int fd;

	if (statfs(MOUNT, &fs) || fs.f_type != MPMCQFS_MAGIC)
		SKIP(return, "no mpmcqfs is mounted at " MOUNT);
	snprintf(name, sizeof(name), "test-%d", getpid());
	ASSERT_EQ(0, make_named(name, .capacity = 4, .msg_size = 64, .mode = 0600));
	fd = open_named(name, O_RDWR);
	EXPECT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	snprintf(want, sizeof(want), MOUNT "/%s", name);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_EQ(0, remove_named(name));
	EXPECT_EQ(-ENOENT, remove_named(name));
	snprintf(want, sizeof(want), MOUNT "/%s (deleted)", name);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	close(fd);
}

/*
 * The directory
 */
#define THOUSAND	1000

TEST_F_TIMEOUT(fs, thousand, 120)
{
	bool seen[THOUSAND] = {};
	struct dirent *entry;
	char name[32];
	struct stat st;
	int i, fd, n;
	DIR *dir;

	for (i = 0; i < THOUSAND; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		ASSERT_EQ(0, create_at(self->root, name, (struct mpmcq_create){
					.capacity = 2, .msg_size = 16, .mode = 0600 }));
		fd = open_at(self->root, name, O_WRONLY);
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
		close(fd);
	}
	dir = opendir("q");
	ASSERT_NE(NULL, dir);
	for (n = 0; (entry = readdir(dir)); n++) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) {
			EXPECT_EQ(DT_DIR, entry->d_type);
			continue;
		}
		EXPECT_EQ(DT_CHR, entry->d_type);
		i = atoi(entry->d_name + 1);
		ASSERT_TRUE(i >= 0 && i < THOUSAND && !seen[i]) TH_LOG("%s", entry->d_name);
		seen[i] = true;
		ASSERT_EQ(0, fstatat(self->root, entry->d_name, &st, 0));
		EXPECT_EQ(st.st_ino, entry->d_ino);
	}
	EXPECT_EQ(THOUSAND + 2, n);

	/* Removing entries during the reading hides no others. */
	rewinddir(dir);
	for (n = 0; (entry = readdir(dir));) {
		if (*entry->d_name == '.')
			continue;
		i = atoi(entry->d_name + 1);
		fd = open_at(self->root, entry->d_name, O_RDONLY);
		ASSERT_EQ(LEN, take_msg(fd, LEN, i));
		close(fd);
		ASSERT_EQ(0, remove_at(self->root, entry->d_name));
		n++;
	}
	EXPECT_EQ(THOUSAND, n);
	closedir(dir);
}

TEST_F(fs, descriptor_of_the_directory)
{
	const unsigned int requests[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_SETTLE, MPMCQ_IOC_ATTACH,
		MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN,
		MPMCQ_IOC_REVIVE, MPMCQ_IOC_PURGE, _IO(MPMCQ_IOC_MAGIC, 99), 0x5401 /* TCGETS */,
		_IOW('m', _IOC_NR(MPMCQ_IOC_CREATE), struct mpmcq_create), 0, UINT32_MAX,
	};
	size_t i;
	int fd;

	memset(large, 0, sizeof(large));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		*(__u32 *)large = _IOC_SIZE(requests[i]);
		EXPECT_EQ(-ENOTTY, result(ioctl(self->root, requests[i], large)))
			TH_LOG("request %#x", requests[i]);
	}
	EXPECT_EQ(-EISDIR, take(self->root, large, 16));
	EXPECT_EQ(-EBADF, put(self->root, large, 16));

	/* CREATE without a name makes a private queue. */
	fd = make_private(self->root);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_STREQ("anon_inode:[mpmcq]", link_of(fd));
	close(fd);
	EXPECT_EQ(-EINVAL, create(self->root, (struct mpmcq_create){ .flags = MPMCQ_EXIST_OK }));
	EXPECT_EQ(-EINVAL, create(self->root, (struct mpmcq_create){ .mode = 0600 }));
}

/* CREATE with a name takes a directory of mpmcqfs. */
TEST_F(fs, no_directory)
{
	int queue, private = make_private(self->root), device = open(DEVICE, O_RDWR);
	int tmpfs = open(".", O_RDONLY | O_DIRECTORY);

	ASSERT_EQ(0, make(self->root, "x", 0600));
	queue = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, queue);
	EXPECT_EQ(-ENOTDIR, make(queue, "y", 0600));
	EXPECT_EQ(-ENOTDIR, make(private, "y", 0600));
	EXPECT_EQ(-ENOTDIR, make(device, "y", 0600));
	EXPECT_EQ(-ENOTTY, make(tmpfs, "y", 0600));
	close(tmpfs);
	close(device);
	close(private);
	close(queue);
}

/* CREATE with a name needs no free descriptor. */
TEST_F(fs, no_descriptor_left)
{
	struct rlimit files, none;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, make_private(self->root));
	EXPECT_EQ(-EMFILE, open_at(self->root, ".", O_RDONLY));
	EXPECT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(0, make_exist_ok(self->root, "x"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
	EXPECT_EQ(0, remove_at(self->root, "x"));
}

/*
 * Mounts
 */

static int remount(unsigned long flags, const char *options)
{
	return result(mount(NULL, "q", NULL, MS_REMOUNT | flags, options));
}

/* Returns the value of option @name that mountinfo shows for @base/@path, or "". */
static const char *option_of(const char *base, const char *path, const char *name)
{
	static char value[64];
	char text[1024], at[256], want[64], *options, *found;
	FILE *file = fopen("/proc/self/mountinfo", "r");

	*value = '\0';
	snprintf(want, sizeof(want), "%s/%s", base, path);
	while (file && fgets(text, sizeof(text), file)) {
		if (sscanf(text, "%*d %*d %*s %*s %255s", at) != 1 || strcmp(at, want))
			continue;
		options = strstr(text, " - mpmcqfs ");
		if (!options)
			continue;
		/* The options follow the type and the source. */
		options = strrchr(options, ' ');
		*options = ',';
		options[strcspn(options, "\n")] = '\0';
		*value = '\0';
		found = strstr(options, name);
		if (found && found[-1] == ',')
			snprintf(value, sizeof(value), "%.*s",
				 (int)strcspn(found + strlen(name), ","), found + strlen(name));
	}
	if (file)
		fclose(file);
	return value;
}

/* Converts a number of bytes with or without a suffix. */
static unsigned long long bytes(const char *text)
{
	static const char units[] = "kmg";
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	const char *unit = *end ? strchr(units, tolower(*end)) : NULL;

	return unit ? n << 10 * (unit - units + 1) : n;
}

static struct statfs statfs_of(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		memset(&fs, JUNK, sizeof(fs));
	return fs;
}

TEST_F(fs, good_options)
{
	const struct {
		const char *options;
		mode_t mode;
		uid_t uid;
		gid_t gid;
		unsigned long long size;
		unsigned long max;
	} mounts[] = {
		{ "", 0755, 0, 0, 0, 0 },
		{ "mode=1777", 01777, 0, 0, 0, 0 },
		{ "mode=700", 0700, 0, 0, 0, 0 },
		{ "mode=0755", 0755, 0, 0, 0, 0 },
		{ "mode=2770,gid=2001", 02770, 0, GROUP, 0, 0 },
		{ "mode=0", 0, 0, 0, 0, 0 },
		{ "mode=7777", 07777, 0, 0, 0, 0 },
		{ "uid=1001", 0755, OWNER, 0, 0, 0 },
		{ "uid=0,gid=0", 0755, 0, 0, 0, 0 },
		{ "size=0", 0755, 0, 0, 0, 0 },
		{ "size=1048576", 0755, 0, 0, 1048576, 0 },
		{ "size=64k", 0755, 0, 0, 65536, 0 },
		{ "size=3m", 0755, 0, 0, 3145728, 0 },
		{ "size=2M", 0755, 0, 0, 2097152, 0 },
		{ "size=5g", 0755, 0, 0, 5368709120, 0 },
		{ "max=0", 0755, 0, 0, 0, 0 },
		{ "max=1", 0755, 0, 0, 0, 1 },
		{ "max=1000000", 0755, 0, 0, 0, 1000000 },
		{ "size=1m,max=7,mode=1775,uid=1002,gid=2001", 01775, OTHER, GROUP, 1048576, 7 },
		{ "size=1m,size=2m,max=3,max=4", 0755, 0, 0, 2097152, 4 },
	};
	const char *shown;
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		ASSERT_EQ(0, mount_anew(&self->root, 0, mounts[i].options))
			TH_LOG("%s", mounts[i].options);
		ASSERT_EQ(0, fstat(self->root, &st));
		EXPECT_EQ(mounts[i].mode, st.st_mode & 07777) TH_LOG("%s", mounts[i].options);
		EXPECT_EQ(mounts[i].uid, st.st_uid) TH_LOG("%s", mounts[i].options);
		EXPECT_EQ(mounts[i].gid, st.st_gid) TH_LOG("%s", mounts[i].options);
		EXPECT_EQ(mounts[i].size, statfs_of("q").f_blocks * statfs_of("q").f_bsize)
			TH_LOG("%s", mounts[i].options);
		EXPECT_EQ(mounts[i].max, statfs_of("q").f_files) TH_LOG("%s", mounts[i].options);

		/* /proc shows the options that differ from the default. */
		shown = option_of(self->base, "q", "mode=");
		EXPECT_EQ(mounts[i].mode, *shown ? strtoul(shown, NULL, 8) : 0755)
			TH_LOG("%s: mode=%s", mounts[i].options, shown);
		shown = option_of(self->base, "q", "uid=");
		EXPECT_EQ(mounts[i].uid, (uid_t)atoi(shown)) TH_LOG("%s", mounts[i].options);
		shown = option_of(self->base, "q", "gid=");
		EXPECT_EQ(mounts[i].gid, (gid_t)atoi(shown)) TH_LOG("%s", mounts[i].options);
		shown = option_of(self->base, "q", "size=");
		EXPECT_EQ(mounts[i].size, bytes(shown))
			TH_LOG("%s: size=%s", mounts[i].options, shown);
		EXPECT_EQ(!mounts[i].size, !*shown);
		shown = option_of(self->base, "q", "max=");
		EXPECT_EQ(mounts[i].max, (unsigned long)atol(shown))
			TH_LOG("%s: max=%s", mounts[i].options, shown);
		EXPECT_EQ(!mounts[i].max, !*shown);
	}
}

TEST_F(fs, bad_options)
{
	static const char * const bad[] = {
		"mode=8", "mode=10000", "mode=x", "mode=", "mode", "mode=-1", "mode=755x",
		"uid=x", "uid=-1", "uid=4294967295", "uid=4294967296", "uid=", "uid",
		"gid=x", "gid=-1", "gid=4294967295", "gid=", "gid",
		"size=x", "size=", "size", "size=-1", "size=1x", "size=1kk", "size=k", "size= 1",
		"size=10%", "size=18446744073709551616", "size=99999999999999999999",
		"size=18446744073709551615g", "size=17179869184g",
		"max=x", "max=", "max", "max=-1", "max=1k", "max=1x", "max=18446744073709551616",
		"nosuch", "nosuch=1", "size=1m,nosuch", "capacity=4", "Mode=755",
	};
	size_t i;

	ASSERT_EQ(0, mkdir("p", 0755));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(-EINVAL, mount_queues("p", 0, bad[i])) TH_LOG("%s", bad[i]);
		umount2("p", 0);
		EXPECT_EQ(-EINVAL, remount(0, bad[i])) TH_LOG("remount,%s", bad[i]);
	}
	EXPECT_EQ(0, statfs_of("q").f_blocks);
	EXPECT_EQ(0, statfs_of("q").f_files);
	EXPECT_EQ(0, rmdir("p"));
}

/* A remount changes limits, not mode and owner, which chmod(2) and chown(2) may have set. */
TEST_F(fs, remount)
{
	struct stat st;

	ASSERT_EQ(0, mount_anew(&self->root, 0, "size=1m,max=7,mode=1775,gid=2001"));
	ASSERT_EQ(0, chmod("q", 0711));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(0, remount(0, "size=2m,max=3,mode=777,uid=1001,gid=0"));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_EQ(0711, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(2097152, bytes(option_of(self->base, "q", "size=")));
	EXPECT_EQ(3, atoi(option_of(self->base, "q", "max=")));
	EXPECT_EQ(3, statfs_of("q").f_files);
	EXPECT_EQ(2, statfs_of("q").f_ffree);

	/* Options that are not given keep their value. */
	EXPECT_EQ(0, remount(0, "max=5"));
	EXPECT_EQ(2097152, bytes(option_of(self->base, "q", "size=")));
	EXPECT_EQ(5, statfs_of("q").f_files);
	EXPECT_EQ(0, remount(0, ""));
	EXPECT_EQ(5, statfs_of("q").f_files);
	EXPECT_EQ(0, remount(0, "size=0"));
	EXPECT_EQ(0, statfs_of("q").f_blocks);
	EXPECT_EQ(5, statfs_of("q").f_files);
	EXPECT_EQ(-EINVAL, remount(0, "max=6,nosuch"));
	EXPECT_EQ(5, statfs_of("q").f_files);
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
}

#ifndef SYS_statmount
#define SYS_statmount		457
#endif
#define STATX_MNT_UNIQUE	0x4000	/* STATX_MNT_ID_UNIQUE, from 6.8 on */
#define WANT_OPTIONS		0x80	/* STATMOUNT_MNT_OPTS, from 6.11 on */

/* Writes the options of mount @path to @options, as statmount(2) tells them. */
static int stat_options(const char *path, char *options, size_t size)
{
	struct {
		__u32 size, spare;
		__u64 mnt_id, param;
	} request = { .size = sizeof(request), .param = WANT_OPTIONS };
	struct {
		__u32 size, options;
		__u64 mask, other[62];
		char text[512];
	} told = { };
	struct statx stx;
	int ret;

	if (statx(AT_FDCWD, path, 0, STATX_MNT_UNIQUE, &stx))
		return -errno;
	if (!(stx.stx_mask & STATX_MNT_UNIQUE))
		return -EOPNOTSUPP;
	request.mnt_id = stx.stx_mnt_id;
	ret = result(syscall(SYS_statmount, &request, &told, sizeof(told), 0));
	if (ret)
		return ret;
	if (!(told.mask & WANT_OPTIONS) || told.options >= sizeof(told.text))
		return -EOPNOTSUPP;
	snprintf(options, size, ",%s,", told.text + told.options);
	return 0;
}

/*
 * The kernel asks for the options without a file that they are written to.  Kernels before
 * 6.11 tell none.
 */
TEST_F(fs, statmount)
{
	static const struct {
		const char *given;
		const char *told;
	} options[] = {
		{ "max=7", ",max=7," },
		{ "uid=1001", ",uid=1001," },
		{ "gid=2001,max=3", ",gid=2001,max=3," },
		{ "mode=1775,uid=1001,gid=2001", ",mode=1775,uid=1001,gid=2001," },
	};
	int want = kernel_before(6, 11) ? -EOPNOTSUPP : 0;
	char text[512];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		ASSERT_EQ(0, mount_anew(&self->root, 0, options[i].given));
		ASSERT_EQ(want, stat_options("q", text, sizeof(text)));
		if (!want)
			EXPECT_NE(NULL, strstr(text, options[i].told)) TH_LOG("%s", text);
	}
}

/* Makes up to @most queues, "0", "1" and so on.  Returns how many; @failure is the error. */
static int make_many(int root, int most, int *failure)
{
	char name[16];
	int i;

	*failure = 0;
	for (i = 0; i < most; i++) {
		snprintf(name, sizeof(name), "%d", i);
		*failure = make(root, name, 0600);
		if (*failure)
			break;
	}
	return i;
}

static void remove_many(int root, int n)
{
	char name[16];

	while (n--) {
		snprintf(name, sizeof(name), "%d", n);
		remove_at(root, name);
	}
}

TEST_F(fs, max)
{
	int i, n, failure, fd;

	ASSERT_EQ(0, mount_anew(&self->root, 0, "max=3"));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(3, statfs_of("q").f_ffree);
		n = make_many(self->root, 10, &failure);
		EXPECT_EQ(3, n);
		EXPECT_EQ(-ENOSPC, failure);
		EXPECT_EQ(0, statfs_of("q").f_ffree);
		/* A full mount refuses neither EXIST_OK nor private queues. */
		EXPECT_EQ(0, make_exist_ok(self->root, "0"));
		EXPECT_EQ(-EEXIST, make(self->root, "0", 0600));
		fd = make_private(self->root);
		EXPECT_LE(0, fd);
		close(fd);

		/* A queue counts until its last open file is closed. */
		fd = open_at(self->root, "1", O_RDONLY);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, remove_at(self->root, "1"));
		EXPECT_EQ(-ENOSPC, make(self->root, "1", 0600));
		EXPECT_EQ(0, statfs_of("q").f_ffree);
		close(fd);
		EXPECT_EQ(1, statfs_of("q").f_ffree);
		EXPECT_EQ(0, make(self->root, "1", 0600));
		remove_many(self->root, n);
	}

	/* The limit may be lower than what exists. */
	ASSERT_EQ(3, make_many(self->root, 10, &failure));
	ASSERT_EQ(0, remount(0, "max=1"));
	EXPECT_EQ(1, statfs_of("q").f_files);
	EXPECT_EQ(0, statfs_of("q").f_ffree);
	EXPECT_EQ(0, remove_at(self->root, "0"));
	EXPECT_EQ(-ENOSPC, make(self->root, "0", 0600));
	EXPECT_EQ(0, remove_at(self->root, "1"));
	EXPECT_EQ(-ENOSPC, make(self->root, "0", 0600));
	EXPECT_EQ(0, remove_at(self->root, "2"));
	EXPECT_EQ(0, make(self->root, "0", 0600));
	EXPECT_EQ(-ENOSPC, make(self->root, "1", 0600));
	ASSERT_EQ(0, remount(0, "max=0"));
	EXPECT_EQ(0, make(self->root, "1", 0600));
}

TEST_F(fs, size)
{
	const struct mpmcq_create large_one = {
		.capacity = 1024, .msg_size = 1024, .mode = 0600,
	};
	unsigned long long before;
	int i, n, failure, first = 0, fd;

	ASSERT_EQ(0, mount_anew(&self->root, 0, "size=1m"));
	before = statfs_of("q").f_bfree;
	EXPECT_EQ(1048576, before * statfs_of("q").f_bsize);
	for (i = 0; i < 5; i++) {
		n = make_many(self->root, 10000, &failure);
		EXPECT_EQ(-ENOSPC, failure);
		/* A queue of 256 bytes takes at least that, and less than 100 KiB. */
		EXPECT_LT(10, n);
		EXPECT_GT(4096, n);
		if (!i)
			first = n;
		EXPECT_EQ(first, n);
		EXPECT_GT(before / 8, statfs_of("q").f_bfree);
		EXPECT_EQ(-ENOSPC, create_at(self->root, "x", large_one));
		EXPECT_EQ(0, make_exist_ok(self->root, "0"));
		fd = open_at(self->root, "0", O_RDONLY);
		ASSERT_LE(0, fd);
		remove_many(self->root, n);
		/* An open queue still counts. */
		EXPECT_GT(before, statfs_of("q").f_bfree);
		close(fd);
		EXPECT_EQ(before, statfs_of("q").f_bfree);
		EXPECT_EQ(before, statfs_of("q").f_bavail);
		EXPECT_EQ(-ENOSPC, create_at(self->root, "x", large_one));
		EXPECT_EQ(before, statfs_of("q").f_bfree);
	}
	ASSERT_EQ(0, remount(0, "size=2m"));
	EXPECT_EQ(0, create_at(self->root, "x", large_one));
	ASSERT_EQ(0, remount(0, "size=4k"));
	EXPECT_EQ(0, statfs_of("q").f_bfree);
	EXPECT_EQ(1, statfs_of("q").f_blocks * statfs_of("q").f_bsize / 4096);
	EXPECT_EQ(-ENOSPC, make(self->root, "y", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
}

TEST_F(fs, statfs)
{
	struct statfs fs = statfs_of("q"), other;
	int fd;

	EXPECT_EQ(MPMCQFS_MAGIC, fs.f_type);
	EXPECT_EQ(NAME_MAX, fs.f_namelen);
	EXPECT_LT(0, fs.f_bsize);
	EXPECT_EQ(0, fs.f_blocks);
	EXPECT_EQ(0, fs.f_bfree);
	EXPECT_EQ(0, fs.f_files);
	EXPECT_EQ(0, fs.f_ffree);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, statfs("q/x", &other));
	EXPECT_EQ(MPMCQFS_MAGIC, other.f_type);
	EXPECT_EQ(0, other.f_blocks);
	fd = open_at(self->root, "x", O_WRONLY);
	memset(&other, JUNK, sizeof(other));
	ASSERT_EQ(0, fstatfs(fd, &other));
	EXPECT_EQ(MPMCQFS_MAGIC, other.f_type);
	close(fd);
}

/* Each mount has its own queues.  A bind mount shares them. */
TEST_F(fs, mounts_are_apart)
{
	int other, one, two;
	struct stat st[2];

	ASSERT_EQ(0, mkdir("p", 0755));
	ASSERT_EQ(0, mount_queues("p", 0, "max=1"));
	ASSERT_EQ(0, mkdir("bind", 0755));
	ASSERT_EQ(0, mount("q", "bind", NULL, MS_BIND, NULL));
	other = open("p", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	EXPECT_FALSE(is_there(other, "x"));
	ASSERT_EQ(0, make(other, "x", 0600));
	EXPECT_EQ(-ENOSPC, make(other, "y", 0600));
	EXPECT_EQ(0, make(self->root, "y", 0600));
	one = open_at(self->root, "x", O_RDWR | O_NONBLOCK);
	two = open_at(other, "x", O_RDWR | O_NONBLOCK);
	ASSERT_EQ(0, fstat(one, &st[0]));
	ASSERT_EQ(0, fstat(two, &st[1]));
	EXPECT_NE(st[0].st_dev, st[1].st_dev);
	EXPECT_EQ(LEN, put_msg(one, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(two, large, LEN));
	close(two);
	two = result(open("bind/x", O_RDWR | O_NONBLOCK));
	ASSERT_LE(0, two);
	EXPECT_EQ(LEN, take_msg(two, LEN, 1));
	close(one);
	close(two);
	EXPECT_EQ(0, unlink("bind/x"));
	EXPECT_FALSE(is_there(self->root, "x"));
	EXPECT_TRUE(is_there(other, "x"));
	close(other);
	EXPECT_EQ(0, umount2("p", 0));
	EXPECT_EQ(0, umount2("bind", 0));
}

TEST_F(fs, nodev)
{
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_EQ(0, remount(MS_BIND | MS_NODEV, NULL));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDWR));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	/* CREATE and unlink work, as for device nodes. */
	EXPECT_EQ(0, make(self->root, "y", 0600));
	EXPECT_EQ(-EACCES, try_open("q/y", O_RDONLY));
	EXPECT_EQ(0, remove_at(self->root, "y"));
	ASSERT_EQ(0, remount(MS_BIND, NULL));
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
	ASSERT_EQ(0, mount_anew(&self->root, MS_NODEV, ""));
	EXPECT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
}

/* MS_RDONLY forbids to change names, not to use queues; for the filesystem and for a mount. */
TEST_F(fs, read_only)
{
	const unsigned long ways[] = { 0, MS_BIND };
	const struct mpmcq_create other = {
		.capacity = 8, .msg_size = 64, .mode = 0600, .flags = MPMCQ_EXIST_OK,
	};
	size_t i;
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		fd = open_at(self->root, "x", O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, remount(ways[i] | MS_RDONLY, ways[i] ? NULL : ""));
		EXPECT_EQ(-EROFS, make(self->root, "y", 0600));
		EXPECT_EQ(-EROFS, make_exist_ok(self->root, "y"));
		EXPECT_EQ(0, make_exist_ok(self->root, "x"));
		EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
		EXPECT_EQ(-EEXIST, create_at(self->root, "x", other));
		EXPECT_EQ(-EROFS, remove_at(self->root, "x"));
		EXPECT_EQ(-EROFS, result(chmod("q/x", 0666)));
		EXPECT_EQ(-EROFS, result(chown("q/x", OWNER, GROUP)));
		EXPECT_EQ(-EROFS, try_open("q/y", O_RDWR | O_CREAT));
		EXPECT_EQ(0, try_open("q/x", O_RDWR));
		EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_TRUNC));
		EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
		EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
		close(fd);
		fd = make_private(self->root);
		EXPECT_LE(0, fd);
		close(fd);
		ASSERT_EQ(0, remount(ways[i], ways[i] ? NULL : ""));
		EXPECT_EQ(0, make(self->root, "y", 0600));
		EXPECT_EQ(0, remove_at(self->root, "y"));
	}
	ASSERT_EQ(0, mount_anew(&self->root, MS_RDONLY, ""));
	EXPECT_EQ(-EROFS, make(self->root, "x", 0600));
}

TEST_F(fs, unmounted_while_open)
{
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, result(umount2("q", 0)));
	close(self->root);
	EXPECT_EQ(-EBUSY, result(umount2("q", 0)));
	more = attach(fd, O_RDONLY, 0, 0);
	close(fd);
	EXPECT_EQ(-EBUSY, result(umount2("q", 0)));
	close(more);
	EXPECT_EQ(0, umount2("q", 0));
	EXPECT_EQ(-ENOENT, try_open("q/x", O_RDWR));
	/* A new mount is empty. */
	ASSERT_EQ(0, mount_queues("q", 0, ""));
	EXPECT_EQ(-ENOENT, try_open("q/x", O_RDWR));
}

/* Open files and an open directory outlive a lazy unmount. */
TEST_F(fs, unmounted_lazily)
{
	struct call call;
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_blocked(&call, take, fd, large, LEN));
	ASSERT_EQ(0, umount2("q", MNT_DETACH));
	EXPECT_EQ(-ENOENT, try_open("q/x", O_RDWR));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	more = attach(fd, O_RDWR, 0, 0);
	ASSERT_LE(0, more);
	EXPECT_EQ(4, info_of(more).capacity);
	EXPECT_STREQ(link_of(more), told_of(more, "queue:\t"));
	close(more);
	EXPECT_EQ(0, make(self->root, "y", 0600));
	more = open_at(self->root, "y", O_RDWR);
	EXPECT_LE(0, more);
	close(self->root);
	EXPECT_EQ(LEN, put_msg(more, LEN, 2));
	EXPECT_EQ(LEN, take_msg(more, LEN, 2));
	close(more);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 3));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 3));
	close(fd);
}

/* The module is in use as long as a mount or an open file exists. */
TEST_F(fs, module_in_use)
{
	int before, fd;

	if (access(REFCNT, R_OK))
		SKIP(return, "the module cannot be unloaded here anyway");
	before = atoi(line(REFCNT, ""));
	EXPECT_LT(0, before);
	ASSERT_EQ(0, mkdir("p", 0755));
	ASSERT_EQ(0, mount_queues("p", 0, ""));
	EXPECT_LT(before, atoi(line(REFCNT, "")));
	fd = result(open("p", O_RDONLY | O_DIRECTORY));
	ASSERT_EQ(0, make(fd, "x", 0600));
	close(fd);
	fd = result(open("p/x", O_RDONLY));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, umount2("p", MNT_DETACH));
	EXPECT_LT(before, atoi(line(REFCNT, "")));
	close(fd);
	EXPECT_TRUE(comes_true(atoi(line(REFCNT, "")) == before));
}

/* Overlayfs refuses mpmcqfs as a layer: it would copy nodes, and copies lead to no queue. */
TEST_F(fs, no_overlay)
{
	const char *const dirs[] = { "lower", "upper", "work", "merged" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		ASSERT_EQ(0, mkdir(dirs[i], 0755));
	if (mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work"))
		SKIP(return, "overlayfs cannot be mounted here: %s", strerror(errno));
	ASSERT_EQ(0, umount2("merged", 0));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "merged", "overlay", 0,
					"lowerdir=q,upperdir=upper,workdir=work")));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "merged", "overlay", 0, "lowerdir=lower:q")));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "merged", "overlay", 0, "lowerdir=q:lower")));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "merged", "overlay", 0,
					"lowerdir=lower,upperdir=q,workdir=q")));
}

/*
 * Many at once
 */
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

/*
 * User namespaces
 */
#define FIRST	100000	/* id 0 of a namespace, outside of it */
#define IDS	8

/* As root of a namespace: makes and uses a mount. */
static int mount_in_namespace(void *arg)
{
	bool good = CHECK(0, result(unshare(CLONE_NEWNS)));
	int root, fd;
	struct stat st;

	good &= CHECK(-EINVAL, mount_queues("ns", 0, "uid=8"));
	good &= CHECK(-EINVAL, mount_queues("ns", 0, "gid=1001"));
	if (!CHECK(0, mount_queues("ns", 0, "mode=711,gid=5,max=3")))
		return 1;
	root = open("ns", O_RDONLY | O_DIRECTORY);
	good &= CHECK(0, fstat(root, &st));
	good &= CHECK(0, st.st_uid);
	good &= CHECK(5, st.st_gid);
	good &= CHECK(0, make(root, "x", 0600));
	fd = result(open("ns/x", O_RDWR));
	good &= CHECK(LEN, put_msg(fd, LEN, 1));
	good &= CHECK(LEN, take_msg(fd, LEN, 1));

	/* Permissions hold for the users of the namespace. */
	good &= CHECK(0, become(3, 3, 0));
	good &= CHECK(-EACCES, try_open("ns/x", O_RDONLY));
	good &= CHECK(-EACCES, make(root, "y", 0600));
	good &= CHECK(0, become(0, 0, 0));
	good &= CHECK(0, result(chmod("ns", 0777)));
	good &= CHECK(0, become(3, 4, 0));
	good &= CHECK(0, make(root, "y", 0600));
	good &= CHECK(0, try_open("ns/y", O_RDWR));
	good &= CHECK(0, result(stat("ns/y", &st)));
	good &= CHECK(3, st.st_uid);
	good &= CHECK(4, st.st_gid);
	good &= CHECK(0, become(0, 0, 0));
	good &= CHECK(0, result(chown("ns/y", 6, 6)));
	good &= CHECK(0, result(stat("ns/y", &st)));
	good &= CHECK(6, st.st_uid);
	good &= CHECK(0, make(root, "z", 0600));
	good &= CHECK(-ENOSPC, make(root, "0", 0600));
	good &= CHECK(0, result(mount(NULL, "ns", NULL, MS_REMOUNT, "max=4")));
	good &= CHECK(0, make(root, "0", 0600));
	close(fd);
	close(root);
	good &= CHECK(0, result(umount2("ns", 0)));
	return !good;
}

TEST_F(fs, mount_in_namespace)
{
	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_EQ(0, mkdir("ns", 0755));
	EXPECT_EQ(0, in_namespace(OWNER, FIRST, IDS, mount_in_namespace, NULL));
	EXPECT_EQ(0, in_namespace(0, FIRST, IDS, mount_in_namespace, NULL));
}

/* As root of a namespace: has no privileges on a mount of the system. */
static int use_of_the_system(void *arg)
{
	int root = *(int *)arg;
	bool good = CHECK(-EACCES, try_open("q/x", O_RDWR));
	struct stat st;

	good &= CHECK(-EACCES, make(root, "y", 0600));
	good &= CHECK(0, try_open("q/shared", O_RDWR));
	good &= CHECK(-EPERM, result(chmod("q/shared", 0600)));
	good &= CHECK(-EACCES, remove_at(root, "shared"));
	good &= CHECK(-EPERM, result(umount2("q", MNT_DETACH)));
	good &= CHECK(-EPERM, remount(0, "max=1"));
	good &= CHECK(0, make(open("p", O_RDONLY), "mine", 0600));
	good &= CHECK(0, try_open("p/mine", O_RDWR));
	good &= CHECK(0, result(stat("p/mine", &st)));
	good &= CHECK(0, st.st_uid);
	return !good;
}

TEST_F(fs, namespace_on_the_mount_of_the_system)
{
	struct stat st;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	umask(0);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, make(self->root, "shared", 0666));
	ASSERT_EQ(0, mkdir("p", 0755));
	ASSERT_EQ(0, mount_queues("p", 0, "mode=777"));
	EXPECT_EQ(0, in_namespace(OWNER, FIRST, IDS, use_of_the_system, &self->root));
	ASSERT_EQ(0, stat("p/mine", &st));
	EXPECT_EQ(FIRST, st.st_uid);
	EXPECT_EQ(FIRST, st.st_gid);
}

static int mount_and_stop(void *arg)
{
	bool good = CHECK(0, result(unshare(CLONE_NEWNS)));
	int root;

	good &= CHECK(0, mount_queues("ns", 0, "mode=777"));
	root = open("ns", O_RDONLY | O_DIRECTORY);
	good &= CHECK(0, make(root, "x", 0600));
	raise(SIGSTOP);
	good &= CHECK(-ENOENT, try_open("ns/y", O_RDWR));
	good &= CHECK(-ENOENT, try_open("ns/x", O_RDWR));
	return !good;
}

/* A user without an id in the mount's namespace cannot own a queue there. */
TEST_F(fs, ids_that_are_not_mapped)
{
	char path[64];
	struct stat st;
	int dir, fd;
	pid_t pid;

	if (!has_namespaces())
		SKIP(return, "users may have no user namespace here");
	ASSERT_EQ(0, mkdir("ns", 0755));
	pid = start_in_namespace(OWNER, FIRST, IDS, mount_and_stop, NULL);
	ASSERT_TRUE(stops(pid));
	snprintf(path, sizeof(path), "/proc/%d/cwd/ns", pid);
	dir = result(open(path, O_RDONLY | O_DIRECTORY));
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EOVERFLOW, make(dir, "y", 0600));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EOVERFLOW, make(dir, "y", 0600));
	EXPECT_EQ(-EACCES, open_at(dir, "x", O_RDWR));
	ASSERT_EQ(0, become(FIRST + 1, FIRST + 1, 0));
	EXPECT_EQ(0, make(dir, "z", 0600));
	ASSERT_EQ(0, become(0, 0, 0));

	/* The system's root may open and remove what is there. */
	fd = open_at(dir, "x", O_RDWR);
	EXPECT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(FIRST, st.st_uid);
	EXPECT_EQ(0, remove_at(dir, "x"));
	ASSERT_EQ(0, go_on(pid));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 2));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 2));
	close(fd);
	close(dir);
}

/*
 * Device cgroups decide about queues by the number of the node.
 */
#define CGROUPS			"/sys/fs/cgroup"
#define CGROUP2_MAGIC		0x63677270

static int bpf(int cmd, union bpf_attr *attr)
{
	return result(syscall(SYS_bpf, cmd, attr, sizeof(*attr)));
}

/* Loads a program that allows @major:@minor and all devices of other major numbers. */
static int load_filter(int major, int minor)
{
	const struct bpf_insn program[] = {
		{
			.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2,
			.src_reg = BPF_REG_1, .off = offsetof(struct bpf_cgroup_dev_ctx, major),
		},
		{ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = BPF_REG_2, .off = 4, .imm = major },
		{
			.code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = BPF_REG_2,
			.src_reg = BPF_REG_1, .off = offsetof(struct bpf_cgroup_dev_ctx, minor),
		},
		{ .code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_2, .off = 2, .imm = minor },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE, .insns = (unsigned long)program,
		.insn_cnt = ARRAY_SIZE(program), .license = (unsigned long)"GPL",
	};

	return bpf(BPF_PROG_LOAD, &attr);
}

static int enter_cgroup(const char *path)
{
	char procs[96];
	int fd, ret;

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	fd = result(open(procs, O_WRONLY));
	if (fd < 0)
		return fd;
	ret = write(fd, "0", 1) == 1 ? 0 : -errno;
	close(fd);
	return ret;
}

/* Enters the cgroup.  Checks what calls for a queue and for the default queue return there. */
static int open_in_cgroup(const char *cgroup, int root, int queue, int device)
{
	bool good = CHECK(0, enter_cgroup(cgroup));

	good &= CHECK(queue, make(root, "y", 0600));
	remove_at(root, "y");
	good &= CHECK(queue, try_open("q/x", O_RDWR));
	good &= CHECK(queue, try_open("q/x", O_RDONLY));
	good &= CHECK(device, try_open(DEVICE, O_RDWR));
	return !good;
}

TEST_F(fs, device_cgroup)
{
	const struct {
		int minor;	/* that is allowed */
		int queue, device;
	} filters[] = { { 0, -EPERM, 0 }, { 1, 0, -EPERM }, { 2, -EPERM, -EPERM } };
	union bpf_attr attr;
	char cgroup[64];
	struct stat st;
	int program, dir;
	size_t i;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, stat("q/x", &st));
	snprintf(cgroup, sizeof(cgroup), CGROUPS "/mpmcq-test-%d", getpid());
	if (statfs_of(CGROUPS).f_type != CGROUP2_MAGIC)
		SKIP(return, "no cgroup2 is mounted at " CGROUPS);
	for (i = 0; i < ARRAY_SIZE(filters); i++) {
		program = load_filter(major(st.st_rdev), filters[i].minor);
		if (program < 0)
			SKIP(return, "the kernel has no device cgroup by BPF: %s",
			     strerror(-program));
		ASSERT_EQ(0, mkdir(cgroup, 0755));
		dir = open(cgroup, O_RDONLY | O_DIRECTORY);
		attr = (union bpf_attr){
			.target_fd = dir, .attach_bpf_fd = program,
			.attach_type = BPF_CGROUP_DEVICE,
		};
		EXPECT_EQ(0, bpf(BPF_PROG_ATTACH, &attr));
		EXPECT_EQ(0, child_end(fork_child(open_in_cgroup(cgroup, self->root,
								 filters[i].queue,
								 filters[i].device))))
			TH_LOG("minor %d is allowed", filters[i].minor);
		close(dir);
		close(program);
		EXPECT_TRUE(comes_true(!rmdir(cgroup)));
	}
}

TEST_HARNESS_MAIN
