/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of mpmcqfs and of limits share: mounts of their own, other users, user
 * namespaces, and checks in children.  The tests need root.
 */
#ifndef MPMCQ_QUEUEFS_TEST_H
#define MPMCQ_QUEUEFS_TEST_H

#include <grp.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "own_test.h"

#define OWNER	1001
#define OTHER	1002
#define GROUP	2001

static void __attribute__((constructor)) root_or_skip(void)
{
	if (geteuid()) {
		ksft_print_header();
		ksft_exit_skip("only root mounts, and can be several users: run it as root\n");
	}
}

/* Becomes user @uid, of group @gid and, unless it is 0, of group @more.  Can be undone. */
static inline int become(uid_t uid, gid_t gid, gid_t more)
{
	if (seteuid(0) || setgroups(!!more, &more) || setegid(gid) || seteuid(uid))
		return -errno;
	return 0;
}

/* As become(), and drops the privileges for good. */
static inline int become_for_good(uid_t uid, gid_t gid)
{
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return -errno;
	return 0;
}

/* Makes a capability ineffective, or effective again. */
static inline int set_capability(int cap, bool on)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	__u32 *effective = &data[CAP_TO_INDEX(cap)].effective;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	*effective = on ? *effective | CAP_TO_MASK(cap) : *effective & ~CAP_TO_MASK(cap);
	return result(syscall(SYS_capset, &header, data));
}

/* For children, in which the harness's macros do not work: prints what is not as expected. */
static inline bool is_as_expected(const char *file, int line, const char *what, long want,
				  long got)
{
	if (want != got)
		fprintf(stderr, "# %s:%d: expected %s to be %ld, it is %ld\n", file, line, what,
			want, got);
	return want == got;
}

#define CHECK(want, what)	is_as_expected(__FILE__, __LINE__, #what, want, what)

/* Mounts an mpmcqfs of its own at @path. */
static inline int mount_queues(const char *path, unsigned long flags, const char *options)
{
	return result(mount("mpmcqfs", path, "mpmcqfs", flags, options));
}

/*
 * Makes an empty directory, stores its path in @base, and goes there.  From then on only this
 * process and its children see what they mount, and it is unmounted when they end.
 */
static inline int enter_scratch(char *base, size_t size)
{
	snprintf(base, size, "/tmp/mpmcq-test-XXXXXX");
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    !mkdtemp(base) || mount("tmpfs", base, "tmpfs", 0, "mode=755") || chdir(base))
		return -errno;
	return 0;
}

static inline void leave_scratch(const char *base)
{
	if (chdir("/") || umount2(base, MNT_DETACH) || rmdir(base))
		fprintf(stderr, "# cannot remove %s: %s\n", base, strerror(errno));
}

static inline int open_at(int dir, const char *name, int flags)
{
	return result(openat(dir, name, flags | O_CLOEXEC));
}

static inline bool is_there(int dir, const char *name)
{
	return !faccessat(dir, name, F_OK, 0);
}

static inline int remove_at(int dir, const char *name)
{
	return result(unlinkat(dir, name, 0));
}

/*
 * Namespaces
 */
static inline int write_map(pid_t pid, const char *which, unsigned int first, unsigned int count)
{
	char path[64], map[64];
	int fd, ret, len = snprintf(map, sizeof(map), "0 %u %u\n", first, count);

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, which);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, map, len) == len ? 0 : -errno;
	close(fd);
	return ret;
}

/* In the child: becomes root of a new namespace as soon as the parent has mapped ids. */
static inline int enter_namespace(uid_t owner, int up, int down)
{
	char c = 0;

	if (owner && become_for_good(owner, owner))
		return -errno;
	if (unshare(CLONE_NEWUSER))
		return -errno;
	/* Else the maps in /proc belong to root, whom a nested namespace does not know. */
	prctl(PR_SET_DUMPABLE, 1);
	if (write(up, &c, 1) != 1 || read(down, &c, 1) != 1)
		return -EPIPE;
	return become_for_good(0, 0);
}

#define NO_NAMESPACE	99	/* exit status of a child that could not get that far */

/*
 * Starts a child that runs @fn as root of a user namespace of its own, whose owner is user
 * @owner, and exits with what that is.  Ids 0 to @count - 1 in it are @first and following.
 */
static inline pid_t start_in_namespace(uid_t owner, unsigned int first, unsigned int count,
				       int (*fn)(void *), void *arg)
{
	int up[2], down[2], ret;
	pid_t pid;
	char c;

	if (pipe2(up, O_CLOEXEC) || pipe2(down, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		close(up[0]);
		close(down[1]);
		ret = enter_namespace(owner, up[1], down[0]);
		if (ret)
			fprintf(stderr, "# no user namespace: %s\n", strerror(-ret));
		_exit(ret ? NO_NAMESPACE : fn(arg));
	}
	close(up[1]);
	close(down[0]);
	if (pid > 0 && read(up[0], &c, 1) == 1) {
		ret = write_map(pid, "uid_map", first, count);
		ret = ret ?: write_map(pid, "gid_map", first, count);
		if (ret)
			fprintf(stderr, "# cannot map ids: %s\n", strerror(-ret));
		else if (write(down[1], &c, 1) != 1)
			fprintf(stderr, "# the child is gone\n");
	}
	close(up[0]);
	close(down[1]);
	return pid;
}

static inline int in_namespace(uid_t owner, unsigned int first, unsigned int count,
			       int (*fn)(void *), void *arg)
{
	pid_t pid = start_in_namespace(owner, first, count, fn, arg);

	return pid < 0 ? pid : child_end(pid);
}

/* Whether users may make user namespaces. */
static inline bool has_namespaces(void)
{
	return !child_end(fork_child(become_for_good(OWNER, GROUP) || unshare(CLONE_NEWUSER)));
}

/* Waits until a child has stopped itself.  go_on() continues it. */
static inline bool stops(pid_t pid)
{
	int status;

	return waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status);
}

static inline int go_on(pid_t pid)
{
	return result(kill(pid, SIGCONT));
}

#endif /* MPMCQ_QUEUEFS_TEST_H */
