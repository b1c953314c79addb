// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the rest of the kernel forbids: device cgroups, security modules, cgroups without memory
 */
#define _GNU_SOURCE
#include <linux/landlock.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "test.h"

#define GROUPS	"/tmp/lib-groups"
#define GROUP	GROUPS "/test/"
#define SAVED	"/tmp/lib-saved"

/* Runs a worker that is stopped at once if it can begin. */
static int run_worker(int fd)
{
	int stop = eventfd(1, EFD_CLOEXEC);
	int ret = mpmcq_run_worker(fd, 8, stop, 0, handle_nothing, NULL);

	close(stop);
	return ret;
}

/**
 * struct result - a call, and what it returned, for calls after which nothing can be printed yet
 * @what: the call
 * @ret: what it returned
 */
static struct result {
	const char *what;
	long ret;
} results[16];

static int count;	/* of results */

#define CALL(what)	(results[count++] = (struct result){ #what, what })

/* Whether all calls returned @want; or, as a control, none did. */
static void check_results(int line, long want, bool all)
{
	for (int i = 0; i < count; i++)
		if (all || results[i].ret == want)
			test_is(__FILE__, line, results[i].what, all ? want : 0, results[i].ret);
	TRUE(count > 0);
	count = 0;
}

#define ALL_ARE(want)	check_results(__LINE__, want, true)
#define NONE_IS(want)	check_results(__LINE__, want, false)

/* Version 1, where a rule takes no program, and a cgroup without memory kills nobody. */
static bool make_group(const char *controller)
{
	mkdir(GROUPS, 0700);
	if (mount("none", GROUPS, "cgroup", 0, controller) < 0) {
		test_skip("mount -t cgroup", strerror(errno));
		return false;
	}
	IS(0, mkdir(GROUP, 0700));
	return true;
}

static void remove_group(void)
{
	IS(0, rmdir(GROUP));
	IS(0, umount(GROUPS));
	IS(0, rmdir(GROUPS));
}

/* A file that can be restored. */
static void save_one(void)
{
	int fd = PRIVATE();

	IS(1, put(fd, "a"));
	IS(1, mpmcq_save_queue(fd, SAVED, 0, 0));
	close(fd);
}

/* --- device cgroups --- */

static void without_devices(void)
{
	int fd = mpmcq_open("lib-a", O_RDWR), other;

	write_text(GROUP "cgroup.procs", "0");
	IS(-EPERM, mpmcq_open("lib-a", O_RDWR));
	IS(-EPERM, mpmcq_open("/dev/mpmcq", O_RDWR));
	IS(-EPERM, NAMED("lib-b"));
	IS(-EPERM, mpmcq_restore_queue(SAVED, "lib-b", 0));
	/* What needs no device. */
	other = attach(fd, 0, 0);
	TRUE(other >= 0);
	TRUE(PRIVATE() >= 0);
	own_mount("");
	IS(0, mount("none", "/dev/mpmcqfs", "tmpfs", 0, NULL));
	IS(-EPERM, PRIVATE());
}

static void device_groups(void)
{
	if (!make_group("devices"))
		return;
	save_one();
	IS(0, NAMED("lib-a"));
	write_text(GROUP "devices.deny", "a");
	in_child(without_devices);
	IS(0, mpmcq_remove_queue("lib-a"));
	IS(0, unlink(SAVED));
	remove_group();
}

/* --- security modules --- */

/* Forbids all to the caller but to list the directory of queues. */
static void restrict_self(void)
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
			LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_CHAR |
			LANDLOCK_ACCESS_FS_REMOVE_FILE,
	};
	struct landlock_path_beneath_attr list = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_DIR,
		.parent_fd = open("/dev/mpmcqfs", O_PATH | O_CLOEXEC),
	};
	int rules = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);

	IS(0, syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &list, 0));
	IS(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	IS(0, syscall(SYS_landlock_restrict_self, rules, 0));
	close(rules);
	close(list.parent_fd);
}

static void restricted(void)
{
	int fd = mpmcq_open("lib-a", O_RDWR);

	restrict_self();
	IS(-EACCES, mpmcq_open("lib-a", O_RDWR));
	IS(-EACCES, attach(fd, 0, 0));
	IS(-EACCES, run_worker(fd));
	IS(-EACCES, NAMED("lib-b"));
	IS(-EACCES, mpmcq_remove_queue("lib-a"));
	IS(-EACCES, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(0, info_of(fd).closed);
	IS(-EACCES, mpmcq_restore_queue(SAVED, "lib-b", 0));
	/* What has no path. */
	TRUE(attach(PRIVATE(), 0, 0) >= 0);
}

static void security_modules(void)
{
	if (syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) < 0) {
		test_skip("landlock", strerror(errno));
		return;
	}
	save_one();
	IS(0, NAMED("lib-a"));
	in_child(restricted);
	IS(0, mpmcq_remove_queue("lib-a"));
	IS(0, unlink(SAVED));
}

/* @held holds one message. */
static void use_open_files(int fd, int held, struct mpmcq_forward *forward)
{
	struct iovec iov = { "a", 1 };
	char buf[SIZE];

	CALL(mpmcq_forward_message(held, forward));
	CALL(mpmcq_send(fd, "a", 1));
	CALL(mpmcq_send_timed(fd, "a", 1, 1000));
	CALL(mpmcq_send_msgs(fd, NULL, &iov, 1));
	CALL(mpmcq_receive(fd, buf, sizeof(buf)));
	CALL(mpmcq_receive_timed(fd, buf, sizeof(buf), 1000));
}

/* As some security modules forbid a file that was opened before, or came through a socket. */
static void forbidden(void)
{
	int fd = PRIVATE(), held = attach(fd, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 8), module;
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = fd };
	struct mpmcq_msg msg;
	char text[SIZE + 1];

	IS(1, put(fd, "a"));
	IS(1, take(held, &msg, text));
	forward.id = msg.id;
	module = deny_by_bpf();
	TRUE(module >= 0);
	use_open_files(fd, held, &forward);
	close(module);
	ALL_ARE(-EACCES);
	IS(0, info_of(fd).depth);
	IS(1, info_of(held).held);
	use_open_files(fd, held, &forward);
	NONE_IS(-EACCES);
}

static void module_of_bpf(void)
{
	int module = deny_by_bpf();

	if (module < 0) {
		test_skip("a security module by bpf", strerror(errno));
		return;
	}
	close(module);
	in_child(forbidden);
}

/* --- cgroups without memory --- */

#define LONG	65536	/* bytes of a message */

static char buf[LONG];
static __u64 ids[MPMCQ_MAX_HELD_MAX];	/* of no message */
static int stop;			/* readable */

static int close_if_open(int fd)
{
	return fd < 0 ? fd : close(fd);
}

static int set_lease(int fd)
{
	struct mpmcq_mode mode = {
		.size = sizeof(mode), .modes = MPMCQ_MODE_LEASE, .max_held = MPMCQ_MAX_HELD_MAX,
	};

	return mpmcq_set_mode(fd, &mode);
}

/*
 * Calls for which the kernel needs memory, by a queue of LONG bytes a message, and @plain, a file
 * of it without modes.  The second time the program touches no page that it has not touched before,
 * because there would be no memory for that either.
 */
static void ask_for_memory(int fd, int plain)
{
	struct mpmcq_forward forward = {
		.size = sizeof(forward), .fd = fd, .id = 1, .buf = (unsigned long)buf, .len = LONG,
	};
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = MPMCQ_PEEK_READY, .buf = (unsigned long)buf,
		.buf_len = LONG,
	};

	CALL(close_if_open(mpmcq_open("lib-a", O_RDWR)));
	CALL(NAMED("lib-b", .capacity = 64, .msg_size = LONG));
	CALL(close_if_open(PRIVATE(.capacity = 64, .msg_size = LONG)));
	CALL(close_if_open(attach(fd, MPMCQ_MODE_LEASE, MPMCQ_MAX_HELD_MAX)));
	CALL(set_lease(plain));
	CALL(mpmcq_settle_ids(fd, MPMCQ_SETTLE_ACK, 0, 0, ids, MPMCQ_MAX_HELD_MAX));
	CALL(mpmcq_forward_message(fd, &forward));
	CALL(mpmcq_peek_message(fd, &peek));
	CALL(mpmcq_run_worker(fd, MPMCQ_MAX_HELD_MAX, stop, 0, handle_nothing, NULL));
}

/* Until there is no memory for another open file; returns why there is none. */
static int take_memory(int fd, unsigned int modes, unsigned int max_held)
{
	int ret;

	do
		ret = attach(fd, modes, max_held);
	while (ret >= 0);
	return ret;
}

/* Limits the memory of the group to what it has. */
static void set_limit(int limit)
{
	int file = open(GROUP "memory.usage_in_bytes", O_RDONLY | O_CLOEXEC);
	char usage[32];
	ssize_t length = read(file, usage, sizeof(usage));

	TRUE(length > 0);
	close(file);
	IS(length, write(limit, usage, length));
}

static void without_memory(void)
{
	int limit = open(GROUP "memory.limit_in_bytes", O_WRONLY | O_CLOEXEC), fd, plain[2];

	/* Ends a wait for a page that does not come. */
	alarm(120);
	write_text(GROUP "cgroup.procs", "0");
	fd = PRIVATE(.capacity = 16, .msg_size = LONG);
	stop = eventfd(1, EFD_CLOEXEC);
	IS(LONG, mpmcq_send(fd, buf, LONG));
	plain[0] = attach(fd, 0, 0);
	plain[1] = attach(fd, 0, 0);
	ask_for_memory(fd, plain[0]);
	NONE_IS(-ENOMEM);
	IS(0, mpmcq_remove_queue("lib-b"));

	set_limit(limit);
	take_memory(fd, MPMCQ_MODE_LEASE, MPMCQ_MAX_HELD_MAX);
	/* The kernel frees some of what was closed only after a while. */
	sleep(1);
	CALL(take_memory(fd, MPMCQ_MODE_LEASE, MPMCQ_MAX_HELD_MAX));
	CALL(take_memory(fd, 0, 0));
	ask_for_memory(fd, plain[1]);
	IS(2, write(limit, "-1", 2));
	ALL_ARE(-ENOMEM);
	IS(0, info_of(fd).closed);
	IS(1, info_of(fd).depth);
}

static void memory_groups(void)
{
	if (!make_group("memory"))
		return;
	IS(0, NAMED("lib-a", .capacity = 2));
	/* Else the kernel would kill the child. */
	write_text(GROUP "memory.oom_control", "1");
	in_child(without_memory);
	IS(0, mpmcq_remove_queue("lib-a"));
	remove_group();
}

const struct test denied_tests[] = {
	{ "a device cgroup forbids queues", device_groups },
	{ "a security module forbids queues", security_modules },
	{ "a security module forbids to use queues that are open", module_of_bpf },
	{ "a cgroup without memory", memory_groups },
	{ }
};
