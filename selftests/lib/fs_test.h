/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of mpmcqfs share.
 *
 * Each test has a mount of its own at "q", in an otherwise empty working directory.
 */
#ifndef MPMCQ_FS_TEST_H
#define MPMCQ_FS_TEST_H

#include <sys/inotify.h>
#include <sys/vfs.h>

#include "queuefs_test.h"

#define REFCNT	"/sys/module/mpmcq/refcnt"

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
static inline int make(int dir, const char *name, __u32 mode)
{
	return create_at(dir, name, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .mode = mode });
}

static inline int make_exist_ok(int dir, const char *name)
{
	return create_at(dir, name, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .mode = 0600, .flags = MPMCQ_EXIST_OK });
}

static inline int make_private(int fd)
{
	return create(fd, (struct mpmcq_create){
			.capacity = 4, .msg_size = 64, .open_flags = O_RDWR });
}

/* Opens @path and closes it again.  Returns 0 or -errno. */
static inline int try_open(const char *path, int flags)
{
	int fd = result(open(path, flags | O_CLOEXEC, 0600));

	return fd < 0 ? fd : result(close(fd));
}

static inline int mode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

/* Closes the directory, and mounts a new filesystem at "q" in place of the old one. */
static inline int mount_anew(int *root, unsigned long flags, const char *options)
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

static inline int remount(unsigned long flags, const char *options)
{
	return result(mount(NULL, "q", NULL, MS_REMOUNT | flags, options));
}

static inline struct statfs statfs_of(const char *path)
{
	struct statfs fs;

	if (statfs(path, &fs))
		memset(&fs, JUNK, sizeof(fs));
	return fs;
}

/* The next event of an inotify, about a short name or none. */
static inline int next_event(int in, char *name)
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

/* Returns the target of the link in /proc/self/fd. */
static inline const char *link_of(int fd)
{
	static char link[PATH_MAX];
	char path[64];
	int len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, link, sizeof(link) - 1);
	link[len < 0 ? 0 : len] = '\0';
	return link;
}

#endif /* MPMCQ_FS_TEST_H */
