// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening and making queues, and each errno of that
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "test.h"

static char long_name[5000];

static void names(void)
{
	struct stat st;
	int fd;

	IS(0, NAMED("lib-a"));
	IS(0, stat("/dev/mpmcqfs/lib-a", &st));
	IS(0600, st.st_mode & 07777);
	fd = mpmcq_open("lib-a", O_RDWR | O_NONBLOCK);
	TRUE(fd >= 0);
	TRUE(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	IS(1, put(fd, "x"));
	close(fd);
	fd = mpmcq_open("/dev/mpmcqfs/lib-a", O_RDONLY);
	TRUE(got(fd, "x"));
	close(fd);
	IS(-EEXIST, NAMED("lib-a"));
	IS(0, NAMED("lib-a", .flags = MPMCQ_EXIST_OK));
	IS(-EEXIST, NAMED("lib-a", .flags = MPMCQ_EXIST_OK | MPMCQ_STAMP));
	IS(0, mpmcq_remove_queue("/dev/mpmcqfs/lib-a"));
	IS(-ENOENT, mpmcq_remove_queue("lib-a"));
	IS(-ENOENT, mpmcq_open("lib-a", O_RDWR));
}

static void wrong_names(void)
{
	memset(long_name, 'x', sizeof(long_name) - 1);
	IS(-ENAMETOOLONG, mpmcq_open(long_name, O_RDWR));
	IS(-ENAMETOOLONG, NAMED(long_name));
	IS(-ENAMETOOLONG, mpmcq_remove_queue(long_name));
	long_name[256] = '\0';
	IS(-ENAMETOOLONG, mpmcq_open(long_name, O_RDWR));
	IS(-ENAMETOOLONG, NAMED(long_name));
	IS(-ENAMETOOLONG, mpmcq_remove_queue(long_name));
	IS(-ENOENT, mpmcq_open("", O_RDWR));
	IS(-ENOENT, NAMED(""));
	IS(-ENOENT, NAMED("/dev/mpmcqfs/"));
	IS(-ENOENT, mpmcq_remove_queue(""));
	IS(-EINVAL, NAMED("."));
	IS(-EINVAL, NAMED(".."));
	IS(-EISDIR, mpmcq_remove_queue("."));
	IS(-EINVAL, mpmcq_open("lib-a", O_RDWR | O_CREAT));
	IS(-EINVAL, mpmcq_open("lib-a", O_ACCMODE));
}

static void no_queues(void)
{
	IS(-ENODEV, mpmcq_open("/nowhere/lib-a", O_RDWR));
	IS(-ENODEV, mpmcq_open("/dev/null", O_RDWR));
	IS(-ENODEV, mpmcq_open("/dev", O_RDONLY));
	IS(-ENODEV, mpmcq_open("/proc/version", O_RDONLY));
	IS(-ENODEV, mpmcq_open("/proc/version/lib-a", O_RDONLY));
	IS(-ENODEV, NAMED("/proc/lib-a"));
	IS(-ENODEV, NAMED("/nowhere/lib-a"));
	IS(-ENODEV, NAMED("/proc/version/lib-a"));
	IS(-ENODEV, mpmcq_remove_queue("/proc/version"));
}

static void make_private_as_nobody(void)
{
	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(-EACCES, PRIVATE());
}

static void in_child_of_nobody(void)
{
	in_child(make_private_as_nobody);
}

static void without_permission(void)
{
	own_mount("mode=0755");
	IS(0, NAMED("lib-p"));
	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(-EACCES, mpmcq_open("lib-p", O_RDWR));
	IS(-EACCES, NAMED("lib-q"));
	IS(-EACCES, mpmcq_remove_queue("lib-p"));
}

/* To remove a queue takes the right to write to the directory, not to read it. */
static void without_looking(void)
{
	own_mount("mode=0733");
	IS(0, NAMED("lib-p"));
	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(0, mpmcq_remove_queue("lib-p"));
}

/* In a sticky directory a queue is for its owner to remove. */
static void sticky_directory(void)
{
	own_mount("mode=01777");
	IS(0, NAMED("lib-p"));
	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(-EPERM, mpmcq_remove_queue("lib-p"));
}

/* Neither the directory nor the default queue. */
static void without_any(void)
{
	own_mount("mode=0700");
	IS(0, chmod("/dev/mpmcq", 0600));
	in_child_of_nobody();
	IS(0, chmod("/dev/mpmcq", 0660));
}

/* By a descriptor of the mount in a user namespace that does not know the caller. */
static void not_mapped(void)
{
	IS(0, unshare(CLONE_NEWUSER | CLONE_NEWNS));
	IS(0, mount("none", "/dev/mpmcqfs", "mpmcqfs", 0, NULL));
	IS(-EOVERFLOW, NAMED("lib-a"));
}

static void permissions(void)
{
	in_child(without_permission);
	in_child(sticky_directory);
	in_child(without_any);
	in_child(not_mapped);
	in_child(without_looking);
}

/* As if the module were not loaded: no file of it is there. */
static void without_module(void)
{
	IS(0, unshare(CLONE_NEWNS));
	IS(0, mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL));
	IS(0, mount("none", "/dev", "tmpfs", 0, NULL));
	IS(-ENODEV, mpmcq_open("jobs", O_RDWR));
	IS(-ENODEV, mpmcq_open("/dev/mpmcq", O_RDWR));
	IS(-ENODEV, NAMED("jobs"));
	IS(-ENODEV, PRIVATE());
	IS(-ENODEV, mpmcq_remove_queue("jobs"));
	IS(0, mknod("/dev/mpmcq", S_IFCHR | 0600, makedev(510, 0)));
	IS(-ENXIO, mpmcq_open("/dev/mpmcq", O_RDWR));
	IS(-ENODEV, PRIVATE());
}

static void module_missing(void)
{
	in_child(without_module);
}

static void set_parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/mpmcq/parameters/%s", name);
	write_text(path, value);
}

static void with_limits(void)
{
	struct mpmcq_mode mode = {
		.size = sizeof(mode), .modes = MPMCQ_MODE_LEASE, .max_held = 8,
	};
	int fd;

	/* For root there are none. */
	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	fd = PRIVATE();
	TRUE(fd >= 0);
	IS(-EDQUOT, PRIVATE());
	IS(-EDQUOT, NAMED("lib-a"));
	IS(-EDQUOT, attach(fd, MPMCQ_MODE_LEASE, 8));
	IS(-EDQUOT, mpmcq_set_mode(fd, &mode));
	IS(-EDQUOT, mpmcq_run_worker(fd, 8, -1, 0, handle_nothing, NULL));
}

static void limits(void)
{
	struct mpmcq_mode mode = {
		.size = sizeof(mode), .modes = MPMCQ_MODE_LEASE, .max_held = 8,
	};
	int fd;

	/* Room for one queue of 8 messages. */
	IS(0, chmod("/dev/mpmcqfs", 01777));
	set_parameter("max_user_bytes", "4096");
	set_parameter("max_user_queues", "1");
	in_child(with_limits);
	set_parameter("max_user_queues", "1024");
	set_parameter("max_user_bytes", "268435456");
	fd = PRIVATE();
	set_parameter("max_total_bytes", "1");
	IS(-ENOSPC, PRIVATE());
	IS(-ENOSPC, attach(fd, MPMCQ_MODE_LEASE, 8));
	IS(-ENOSPC, mpmcq_set_mode(fd, &mode));
	IS(-ENOSPC, mpmcq_run_worker(fd, 8, -1, 0, handle_nothing, NULL));
	close(fd);
	set_parameter("max_total_bytes", "0");
}

static void close_default_queue(void)
{
	int fd = mpmcq_open("/dev/mpmcq", O_RDWR | O_NONBLOCK);

	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(-EPERM, mpmcq_close_queue(fd, 0));
	IS(-EPERM, mpmcq_reopen_queue(fd));
	IS(-EPERM, mpmcq_save_queue(fd, "/tmp/lib-saved", 0, 0));
}

static void default_queue(void)
{
	in_child(close_default_queue);
}

static void in_other_mounts(void)
{
	own_mount("max=1");
	IS(0, NAMED("lib-a"));
	IS(-ENOSPC, NAMED("lib-b"));
	IS(0, mount("/dev/null", "/dev/mpmcqfs/lib-a", "none", MS_BIND, NULL));
	IS(-EBUSY, mpmcq_remove_queue("lib-a"));
	IS(0, umount("/dev/mpmcqfs/lib-a"));
	IS(0, mount("none", "/dev/mpmcqfs", "none", MS_REMOUNT | MS_RDONLY, NULL));
	IS(-EROFS, NAMED("lib-b"));
	IS(-EROFS, mpmcq_remove_queue("lib-a"));
	IS(0, mount("none", "/dev/mpmcqfs", "mpmcqfs", MS_NODEV, NULL));
	IS(0, NAMED("lib-a"));
	IS(-EACCES, mpmcq_open("lib-a", O_RDWR));
	/* Without the directory the default queue serves. */
	IS(0, mount("none", "/dev/mpmcqfs", "tmpfs", 0, NULL));
	TRUE(PRIVATE() >= 0);
}

static void other_mounts(void)
{
	in_child(in_other_mounts);
}

static void copies_of_nodes(void)
{
	struct stat st;

	IS(0, symlink("lib-loop", "/tmp/lib-loop"));
	IS(-ELOOP, mpmcq_open("/tmp/lib-loop", O_RDWR));
	IS(-ELOOP, NAMED("/tmp/lib-loop/lib-a"));
	IS(-ELOOP, mpmcq_remove_queue("/tmp/lib-loop/lib-a"));
	IS(0, unlink("/tmp/lib-loop"));
	IS(0, NAMED("lib-a"));
	IS(0, stat("/dev/mpmcqfs/lib-a", &st));
	IS(0, mknod("/dev/lib-copy", S_IFCHR | 0600, st.st_rdev));
	IS(-ENXIO, mpmcq_open("/dev/lib-copy", O_RDWR));
	IS(0, unlink("/dev/lib-copy"));
	IS(0, mpmcq_remove_queue("lib-a"));
}

static void configurations(void)
{
	struct mpmcq_create create = { .size = sizeof(create) };
	struct { struct mpmcq_create known; __u64 unknown; } longer = {
		.known = { .size = sizeof(longer), .open_flags = O_RDWR },
	};
	int fd;

	IS(-EINVAL, PRIVATE(.capacity = 3));
	IS(-EINVAL, PRIVATE(.mode = 0600));
	IS(-EINVAL, PRIVATE(.name = 1));
	IS(-EINVAL, PRIVATE(.flags = 0x8000));
	IS(-EINVAL, PRIVATE(.flags = MPMCQ_EXIST_OK));
	IS(-EINVAL, NAMED("lib-a", .open_flags = O_RDWR));
	IS(-EINVAL, NAMED("lib-a", .name = 1));
	IS(-EFBIG, PRIVATE(.capacity = 1048576, .msg_size = 65536));
	IS(-EFBIG, NAMED("lib-a", .capacity = 1048576, .msg_size = 65536));
	create.size = 8;
	IS(-EINVAL, mpmcq_create_private(&create));
	create.size = 5000;
	IS(-E2BIG, mpmcq_create_private(&create));
	IS(-E2BIG, mpmcq_create_queue("lib-a", &create));
	fd = mpmcq_create_private(&longer.known);
	TRUE(fd >= 0);
	close(fd);
	longer.unknown = 1;
	IS(-ENOSYS, mpmcq_create_private(&longer.known));
	IS(-ENOSYS, mpmcq_create_queue("lib-a", &longer.known));
}

/* A struct of a program that was compiled with another header than the library. */
union longer {
	__u32 size;
	struct mpmcq_info info;
	struct mpmcq_mode mode;
	struct mpmcq_attach attach;
	struct mpmcq_peek peek;
	struct mpmcq_forward forward;
	char bytes[512];
};

static int ask(int fd, union longer *args)
{
	return mpmcq_get_info(fd, &args->info);
}

static int set_mode(int fd, union longer *args)
{
	return mpmcq_set_mode(fd, &args->mode);
}

static int attach_and_close(int fd, union longer *args)
{
	int ret = mpmcq_attach_queue(fd, &args->attach);

	return ret < 0 ? ret : close(ret);
}

static int peek(int fd, union longer *args)
{
	args->peek.where = MPMCQ_PEEK_READY;
	return mpmcq_peek_message(fd, &args->peek);
}

static int forward(int fd, union longer *args)
{
	args->forward.fd = fd;
	return mpmcq_forward_message(fd, &args->forward);
}

static void lengths(void)
{
	static const struct { int (*call)(int fd, union longer *args); int ok; } calls[] = {
		{ ask, 0 }, { set_mode, 0 }, { attach_and_close, 0 }, { peek, -ENOENT },
		{ forward, -ENOENT },
	};
	int fd = PRIVATE();

	for (unsigned int i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		union longer args = { };

		args.size = 4;
		IS(-EINVAL, calls[i].call(fd, &args));
		args.size = 5000;
		IS(-E2BIG, calls[i].call(fd, &args));
		args.size = sizeof(args);
		IS(calls[i].ok, calls[i].call(fd, &args));
		memset(&args, 0, sizeof(args));
		args.size = sizeof(args);
		args.bytes[sizeof(args) - 1] = 1;
		IS(-ENOSYS, calls[i].call(fd, &args));
	}
	close(fd);
}

static void without_descriptors(void)
{
	int fd = PRIVATE();
	struct rlimit none = { 0, 0 };

	IS(0, setrlimit(RLIMIT_NOFILE, &none));
	IS(-EMFILE, PRIVATE());
	IS(-EMFILE, mpmcq_open("/dev/mpmcq", O_RDWR));
	IS(-EMFILE, NAMED("lib-a"));
	IS(-EMFILE, attach(fd, 0, 0));
	IS(-EMFILE, mpmcq_run_worker(fd, 8, -1, 0, handle_nothing, NULL));
	IS(-EMFILE, mpmcq_remove_queue("lib-a"));
	IS(-EMFILE, mpmcq_save_queue(fd, "/tmp/lib-saved", 0, 0));
	IS(0, info_of(fd).closed);
	IS(-EMFILE, mpmcq_restore_queue("/proc/version", "lib-a", 0));
}

/* All files of the machine are taken; root may have more. */
static void without_files(void)
{
	int fd = PRIVATE();

	IS(0, setresuid(NOBODY, NOBODY, NOBODY));
	IS(-ENFILE, PRIVATE());
	IS(-ENFILE, NAMED("lib-a"));
	IS(-ENFILE, mpmcq_remove_queue("lib-a"));
	IS(-ENFILE, mpmcq_open("/dev/mpmcq", O_RDWR));
	IS(-ENFILE, attach(fd, 0, 0));
	IS(-ENFILE, mpmcq_run_worker(fd, 8, -1, 0, handle_nothing, NULL));
}

static void descriptors(void)
{
	in_child(without_descriptors);
	write_text("/proc/sys/fs/file-max", "0");
	in_child(without_files);
	write_text("/proc/sys/fs/file-max", "1000000");
}

static void attaching(void)
{
	struct mpmcq_attach args = { .size = sizeof(args), .open_flags = O_RDWR };
	int fd = PRIVATE(.open_flags = O_RDONLY), other;

	IS(-EACCES, mpmcq_attach_queue(fd, &args));
	args.open_flags = O_RDONLY;
	other = mpmcq_attach_queue(fd, &args);
	TRUE(other >= 0);
	TRUE(fcntl(other, F_GETFD) & FD_CLOEXEC);
	close(other);
	close(fd);
	fd = PRIVATE(.open_flags = O_WRONLY);
	args = (struct mpmcq_attach){
		.size = sizeof(args), .open_flags = O_WRONLY, .modes = MPMCQ_MODE_LEASE,
	};
	IS(-EBADF, mpmcq_attach_queue(fd, &args));
	args.modes = 0x80;
	IS(-EINVAL, mpmcq_attach_queue(fd, &args));
	close(fd);
}

static void modes(void)
{
	struct mpmcq_mode mode = { .size = sizeof(mode), .modes = MPMCQ_MODE_LEASE };
	int fd = PRIVATE();

	IS(0, mpmcq_set_mode(fd, &mode));
	IS(MPMCQ_MODE_LEASE, info_of(fd).modes);
	mode.modes = MPMCQ_MODE_PACKED;
	IS(-EBUSY, mpmcq_set_mode(fd, &mode));
	mode.priority = 1;
	IS(-EINVAL, mpmcq_set_mode(fd, &mode));
	mode.size = 4;
	IS(-EINVAL, mpmcq_set_mode(fd, &mode));
	close(fd);
	fd = PRIVATE(.open_flags = O_WRONLY);
	mode = (struct mpmcq_mode){ .size = sizeof(mode), .modes = MPMCQ_MODE_LEASE };
	IS(-EBADF, mpmcq_set_mode(fd, &mode));
	close(fd);
}

static void closing(void)
{
	int fd = PRIVATE(), reader = PRIVATE(.open_flags = O_RDONLY);

	IS(1, put(fd, "x"));
	IS(0, mpmcq_close_queue(fd, 0));
	IS(0, mpmcq_close_queue(fd, MPMCQ_CLOSE_DUE));
	IS(-EINVAL, mpmcq_close_queue(fd, 0x100));
	IS(1, info_of(fd).closed);
	IS(-EPIPE, put(fd, "x"));
	TRUE(got(fd, "x"));
	IS(0, mpmcq_receive(fd, long_name, 100));
	IS(0, mpmcq_reopen_queue(fd));
	IS(1, put(fd, "x"));
	IS(-EBADF, mpmcq_close_queue(reader, 0));
	IS(-EBADF, mpmcq_reopen_queue(reader));
	close(fd);
	close(reader);
}

/* Each call by a descriptor that is closed, of another kind, or of a directory. */
static void no_queue(int fd)
{
	struct mpmcq_info info = { .size = sizeof(info) };
	struct mpmcq_mode mode = { .size = sizeof(mode) };
	struct mpmcq_attach args = { .size = sizeof(args), .open_flags = O_RDONLY };
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY };
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = fd, .id = 1 };
	__u64 id = 1;

	IS(-EBADF, mpmcq_get_info(fd, &info));
	IS(-EBADF, mpmcq_check_features(fd, 0, NULL, 0));
	IS(-EBADF, mpmcq_set_mode(fd, &mode));
	IS(-EBADF, mpmcq_attach_queue(fd, &args));
	IS(-EBADF, mpmcq_close_queue(fd, 0));
	IS(-EBADF, mpmcq_reopen_queue(fd));
	IS(-EBADF, mpmcq_settle_ids(fd, MPMCQ_SETTLE_ACK, 0, 0, &id, 1));
	IS(-EBADF, mpmcq_settle_all(fd, MPMCQ_SETTLE_ACK, 0, 0));
	IS(-EBADF, mpmcq_forward_message(fd, &forward));
	IS(-EBADF, mpmcq_peek_message(fd, &peek));
	IS(-EBADF, mpmcq_revive_dead(fd, 0));
	IS(-EBADF, mpmcq_purge_dead(fd, 0));
	IS(-EBADF, mpmcq_save_queue(fd, "/tmp/lib-saved", 0, 0));
}

static void wrong_descriptors(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int dir = open("/dev/mpmcqfs", O_RDONLY | O_CLOEXEC);
	int closed = dup(null);

	close(closed);
	no_queue(-1);
	no_queue(closed);
	no_queue(null);
	no_queue(dir);
	IS(-EBADF, put(-1, "x"));
	IS(-EBADF, mpmcq_receive(closed, long_name, 1));
	IS(-EBADF, mpmcq_send_timed(closed, "x", 1, 0));
	IS(-EBADF, mpmcq_receive_timed(closed, long_name, 1, 0));
	close(null);
	close(dir);
}

static void versions(void)
{
	char text[256], other[256];
	int fd = PRIVATE();

	IS(mpmcq_get_version(), info_of(fd).version);
	IS(0, mpmcq_check_features(fd, MPMCQ_FEATURE_PEEK, text, sizeof(text)));
	snprintf(other, sizeof(other), "libmpmcq %1$u.%2$u.%3$u, module mpmcq %1$u.%2$u.%3$u",
		 mpmcq_get_version() >> 16, mpmcq_get_version() >> 8 & 0xff,
		 mpmcq_get_version() & 0xff);
	IS(0, strcmp(text, other));
	IS(-ENOSYS, mpmcq_check_features(fd, 1ULL << 63, text, sizeof(text)));
	TRUE(strstr(text, ", which lacks 0x8000000000000000"));
	IS(-ENOSYS, mpmcq_check_features(fd, 1ULL << 63, text, 9));
	IS(0, strcmp(text, "libmpmcq"));
	close(fd);
}

static void bad_memory(void)
{
	int fd = PRIVATE(), leased = attach(fd, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 0);
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = MPMCQ_PEEK_RETURNED, .buf = 1, .buf_len = SIZE,
	};
	struct iovec iov = { (void *)1, 1 };

	IS(-EFAULT, mpmcq_send_msgs(leased, NULL, &iov, 1));
	IS(-EFAULT, mpmcq_get_info(fd, (void *)1));
	IS(-EFAULT, mpmcq_send(fd, (void *)1, 1));
	IS(-EFAULT, mpmcq_send_timed(fd, (void *)1, 1, 50));
	IS(1, put(fd, "x"));
	IS(-EFAULT, mpmcq_receive(fd, (void *)1, 1));
	IS(-EFAULT, mpmcq_receive_timed(fd, (void *)1, 1, 50));
	IS(-EFAULT, mpmcq_peek_message(fd, &peek));
	IS(-EFAULT, mpmcq_settle_ids(leased, MPMCQ_SETTLE_ACK, 0, 0, (void *)1, 1));
	close(leased);
	close(fd);
}

const struct test queue_tests[] = {
	{ "queues are made, opened and removed by name and path", names },
	{ "names that no queue can have", wrong_names },
	{ "files that are no queues", no_queues },
	{ "permissions", permissions },
	{ "without the module each call says so", module_missing },
	{ "mounts: full, read-only, nodev, missing", other_mounts },
	{ "limits", limits },
	{ "the default queue cannot be closed", default_queue },
	{ "a copy of a node is no queue", copies_of_nodes },
	{ "configurations, shorter and longer ones", configurations },
	{ "structs that are shorter and longer than the library's", lengths },
	{ "without descriptors, without files", descriptors },
	{ "attach", attaching },
	{ "modes", modes },
	{ "close and reopen", closing },
	{ "descriptors that are closed, or of no queue", wrong_descriptors },
	{ "versions of library and module", versions },
	{ "bad addresses", bad_memory },
	{ }
};
