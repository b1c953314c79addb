// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts of mpmcqfs: their options, limits and ends.
 */

#include <ctype.h>

#include "fs_test.h"

static unsigned char large[MSG_SIZE_MAX];

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

TEST_HARNESS_MAIN
