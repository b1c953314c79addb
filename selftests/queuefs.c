// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcqfs, the filesystem of queues: CREATE and names.
 */

#include "fs_test.h"

static unsigned char large[MSG_SIZE_MAX];

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

TEST_HARNESS_MAIN
