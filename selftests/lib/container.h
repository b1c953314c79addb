/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A container is a child with namespaces and a root directory of its own.  It executes the
 * calls that the test orders over a socket, and answers with what each returned.  So the test
 * itself says what it expects.
 */
#ifndef MPMCQ_CONTAINER_H
#define MPMCQ_CONTAINER_H

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "own_test.h"

#define DIR_TEMPLATE	"/tmp/mpmcq-containers-XXXXXX"
#define OWNER		1001	/* a user of the host */
#define OTHER		1002	/* another one */
#define FIRST_IDS	100000	/* first of the ids that a user namespace maps to 0 and up */
#define SECOND_IDS	200000
#define IDS		65536	/* mapped by each user namespace */
#define OWN		""	/* the container mounts an mpmcqfs of its own */
#define RDWR		(O_RDWR | O_NONBLOCK)
#define RDONLY		(O_RDONLY | O_NONBLOCK)
#define WRONLY		(O_WRONLY | O_NONBLOCK)

/* Members of struct mpmcq_create.  Two large queues take more than SMALL_LIMIT bytes. */
#define SMALL		.capacity = 8, .msg_size = 16
#define LARGE		.capacity = 512, .msg_size = 1024
#define SMALL_LIMIT	"1000000"

/* The capabilities that docker gives to a container. */
#define CAP(name)	(1ULL << CAP_##name)
#define DOCKER_CAPS	(CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FSETID) | CAP(FOWNER) | CAP(MKNOD) | \
			 CAP(NET_RAW) | CAP(SETGID) | CAP(SETUID) | CAP(SETFCAP) | CAP(SETPCAP) | \
			 CAP(NET_BIND_SERVICE) | CAP(SYS_CHROOT) | CAP(KILL) | CAP(AUDIT_WRITE))

static inline void __attribute__((constructor)) root_or_skip(void)
{
	if (!geteuid())
		return;
	ksft_print_header();
	ksft_exit_skip("only root makes containers here\n");
}

struct container {
	pid_t pid;		/* 0 if there is none */
	int sock;		/* orders go in, answers come back */
};

/* How a container is to be. */
struct setup {
	uid_t ids;		/* first id of its user namespace; 0: it has none of its own */
	uid_t owner;		/* of its user namespace */
	const char *group;	/* directory of its control group, or NULL */
	bool docker_caps;	/* drop all other capabilities */
	const char *queues;	/* what is at /queues: this directory, OWN, or NULL for nothing */
	unsigned long flags;	/* of a mount of @queues */
};

/* A call for a container to make.  Strings are in the struct: it goes to another process. */
struct order {
	int (*call)(int sock, const struct order *order);
	char path[32];
	char type[16];
	char options[64];
	char name[16];
	int fd;
	unsigned int flags;
	unsigned int mode;
	unsigned int seed;
	uid_t id;
	dev_t dev;
	struct mpmcq_create like;
};

static inline int open_file(int sock, const struct order *order)
{
	return result(open(order->path, order->flags | O_CLOEXEC));
}

static inline int open_at(int sock, const struct order *order)
{
	return result(openat(order->fd, order->name, order->flags | O_CLOEXEC));
}

static inline int close_file(int sock, const struct order *order)
{
	return result(close(order->fd));
}

/* Without a name: a private queue. */
static inline int make_file(int sock, const struct order *order)
{
	return create_at(order->fd, *order->name ? order->name : NULL, order->like);
}

static inline int attach_file(int sock, const struct order *order)
{
	return attach(order->fd, order->flags, order->mode, 0);
}

static inline int send_msg(int sock, const struct order *order)
{
	return put_msg(order->fd, LEN, order->seed);
}

static inline int receive_msg(int sock, const struct order *order)
{
	return take_msg(order->fd, LEN, order->seed);
}

static inline int count_messages(int sock, const struct order *order)
{
	return depth(order->fd);
}

static inline int close_it(int sock, const struct order *order)
{
	return close_queue(order->fd);
}

static inline int reopen_it(int sock, const struct order *order)
{
	return reopen_queue(order->fd);
}

static inline int mount_it(int sock, const struct order *order)
{
	return result(mount("none", order->path, order->type, order->flags, order->options));
}

static inline int make_folder(int sock, const struct order *order)
{
	return result(mkdir(order->path, order->mode));
}

static inline int make_node(int sock, const struct order *order)
{
	return result(mknod(order->path, S_IFCHR | 0666, order->dev));
}

static inline int remove_file(int sock, const struct order *order)
{
	return result(unlink(order->path));
}

static inline int change_mode(int sock, const struct order *order)
{
	return result(chmod(order->path, order->mode));
}

static inline int owner_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -errno : (int)st.st_uid;
}

static inline int tell_owner(int sock, const struct order *order)
{
	return owner_of(order->path);
}

static inline int count_files(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static inline int count_names(int sock, const struct order *order)
{
	return count_files(order->path);
}

static inline int become_id(int sock, const struct order *order)
{
	return result(seteuid(order->id));
}

/* Clones the mount at a path; a descriptor of the clone. */
static inline int clone_mount(int sock, const struct order *order)
{
	return result(syscall(SYS_open_tree, AT_FDCWD, order->path, 1 /* OPEN_TREE_CLONE */));
}

static inline int accept_file(int sock, const struct order *order)
{
	return receive_fd(sock);
}

static inline int pass_file(int sock, const struct order *order)
{
	return send_fd(sock, order->fd);
}

/*
 * Makes ioctls of all numbers with the module's magic, in all directions and in all sizes that
 * a struct of ours has or had, with a name at every place for one.  Returns the number of wrong
 * results.  A number that is not ours gives ENOTTY.  One that is ours fails, except INFO.
 */
static inline int try_all_calls(int sock, const struct order *order)
{
	static const unsigned int sizes[] = { 0, 4, 8, 16, 24, 40, 48, 56, 64, 80, 112, 256 };
	const unsigned int last = _IOC_NR(MPMCQ_IOC_PURGE);
	unsigned int nr, dir, cmd;
	int ret, bad = 0;
	char args[256];
	size_t i, at;

	for (nr = 0; nr < 256; nr++) {
		for (i = 0; i < ARRAY_SIZE(sizes) * 4; i++) {
			dir = i % 4;
			cmd = _IOC(dir, MPMCQ_IOC_MAGIC, nr, sizes[i / 4]);
			memset(args, 0, sizeof(args));
			memcpy(args, &sizes[i / 4], sizeof(*sizes));
			for (at = 8; at + sizeof(order->name) <= sizeof(args); at += 16)
				memcpy(args + at, order->name, sizeof(order->name));
			/* A wrong flag keeps these two from touching dead messages. */
			if (nr == _IOC_NR(MPMCQ_IOC_REVIVE) || nr == _IOC_NR(MPMCQ_IOC_PURGE))
				args[4] = 1;
			ret = result(ioctl(order->fd, cmd, args));
			if (nr > last ? ret == -ENOTTY : ret < 0 || (!ret && !nr))
				continue;
			fprintf(stderr, "# ioctl %#x: %d\n", cmd, ret);
			bad++;
		}
	}
	return bad;
}

static inline bool tell(const struct container *c, const struct order *order)
{
	return send(c->sock, order, sizeof(*order), MSG_NOSIGNAL) == sizeof(*order);
}

static inline int answer_of(const struct container *c)
{
	int ret;

	return recv(c->sock, &ret, sizeof(ret), 0) == sizeof(ret) ? ret : -ESRCH;
}

static inline int give_order(const struct container *c, const struct order *order)
{
	return tell(c, order) ? answer_of(c) : -ESRCH;
}

/* What the call returned that container @c made, or -errno. */
#define inside(c, call_, ...) \
	give_order(c, &(struct order){ .call = call_, ##__VA_ARGS__ })

/* Passes a descriptor into a container; its number there. */
static inline int hand_in(const struct container *c, int fd)
{
	const struct order order = { .call = accept_file };

	return tell(c, &order) && send_fd(c->sock, fd) > 0 ? answer_of(c) : -ESRCH;
}

/* Passes a descriptor out of a container; its number here. */
static inline int hand_out(const struct container *c, int fd)
{
	const struct order order = { .call = pass_file, .fd = fd };
	int ret, got;

	/* The answer would be taken for a message with a descriptor. */
	if (fd < 0)
		return fd;
	if (!tell(c, &order))
		return -ESRCH;
	got = receive_fd(c->sock);
	ret = answer_of(c);
	return ret < 0 ? ret : got;
}

static inline int failed(const char *what)
{
	int err = errno;

	fprintf(stderr, "# container: %s: %s\n", what, strerror(err));
	return -err;
}

/* Makes effective what is in @keep of the permitted capabilities, and may drop the others. */
static inline int set_caps(__u64 keep, bool drop_others)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	int i;

	for (i = 0; drop_others && prctl(PR_CAPBSET_READ, i) >= 0; i++)
		if (!(keep >> i & 1) && prctl(PR_CAPBSET_DROP, i))
			return failed("dropping a capability");
	if (syscall(SYS_capget, &header, data))
		return failed("capget");
	for (i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted & (__u32)(keep >> 32 * i);
		if (drop_others)
			data[i].permitted = data[i].effective;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &header, data) ? failed("capset") : 0;
}

/* The test goes on as user @uid of the host; root's capabilities stay effective @with_caps. */
static inline int become(uid_t uid, bool with_caps)
{
	if (seteuid(0) || setegid(uid) || seteuid(uid))
		return -errno;
	return with_caps ? set_caps(~0ULL, false) : 0;
}

static inline int bind_mount(const char *what, const char *where)
{
	return mount(what, where, NULL, MS_BIND, NULL) ? failed(what) : 0;
}

static inline int make_dev(void)
{
	static const char * const nodes[][2] = {
		{ "/dev/null", "root/dev/null" }, { "/dev/zero", "root/dev/zero" },
		{ DEVICE, "root" DEVICE },
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (mknod(nodes[i][1], S_IFREG | 0600, 0))
			return failed(nodes[i][1]);
		ret = bind_mount(nodes[i][0], nodes[i][1]);
		if (ret)
			return ret;
	}
	return 0;
}

static inline int mount_queues(const struct setup *setup)
{
	const unsigned long flags = MS_REMOUNT | MS_BIND | setup->flags;
	int ret;

	if (!setup->queues)
		return 0;
	if (!*setup->queues)
		return mount("mpmcqfs", "root/queues", "mpmcqfs", setup->flags, NULL) ?
			failed("mount mpmcqfs") : 0;
	ret = bind_mount(setup->queues, "root/queues");
	if (!ret && setup->flags && mount(NULL, "root/queues", NULL, flags, NULL))
		ret = failed("remount");
	return ret;
}

/* pivot_root(2) fails in an initramfs. */
static inline int enter_root(void)
{
	if (chdir("root"))
		return failed("chdir");
	if (!syscall(SYS_pivot_root, ".", ".")) {
		if (umount2(".", MNT_DETACH))
			return failed("umount of the host's root");
	} else if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".")) {
		return failed("pivot_root");
	}
	return chdir("/") ? failed("chdir") : 0;
}

static inline int make_root(const struct setup *setup)
{
	if (mount("tmpfs", "root", "tmpfs", 0, "mode=755"))
		return failed("mount tmpfs");
	if (mkdir("root/dev", 0755) || mkdir("root/tmp", 0777) || mkdir("root/queues", 0755))
		return failed("mkdir");
	return make_dev() ?: mount_queues(setup) ?: enter_root();
}

/* The first process of a container. */
static inline void __attribute__((noreturn)) be_container(int sock, const struct setup *setup)
{
	struct order order;
	int fd, ret;
	char go;

	for (fd = 3; fd < 256; fd++)
		if (fd != sock)
			close(fd);
	/* The host writes the maps of ids first. */
	if (recv(sock, &go, 1, 0) != 1)
		_exit(1);
	ret = 0;
	if (setup->ids && (setgroups(0, NULL) || setresgid(0, 0, 0) || setresuid(0, 0, 0)))
		ret = failed("becoming root");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ret = ret ?: make_root(setup);
	if (!ret && setup->docker_caps)
		ret = set_caps(DOCKER_CAPS, true);
	while (send(sock, &ret, sizeof(ret), MSG_NOSIGNAL) == sizeof(ret) &&
	       recv(sock, &order, sizeof(order), 0) == sizeof(order))
		ret = order.call(sock, &order);
	_exit(0);
}

static inline int map_ids(pid_t pid, uid_t first)
{
	static const char * const maps[] = { "uid_map", "gid_map" };
	char path[64], map[64];
	size_t i;

	snprintf(map, sizeof(map), "0 %u %u\n", first, IDS);
	for (i = 0; i < ARRAY_SIZE(maps); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, maps[i]);
		if (!write_text(path, map))
			return failed(path);
	}
	return 0;
}

static inline int join_group(pid_t pid, const char *group)
{
	char path[64], number[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(number, sizeof(number), "%d", pid);
	return write_text(path, number) ? 0 : failed(path);
}

static inline int start(struct container *c, const struct setup *setup)
{
	struct clone_args args = {
		.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
			 (setup->ids ? CLONE_NEWUSER : 0),
		.exit_signal = SIGCHLD,
	};
	int ret, sock[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		return failed("socketpair");
	/* The caller's effective id owns the new user namespace. */
	if (setup->owner && become(setup->owner, true))
		return failed("becoming the owner");
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		be_container(sock[1], setup);
	ret = pid < 0 ? failed("clone3") : 0;
	if (setup->owner && become(0, false))
		ret = failed("becoming root again");
	close(sock[1]);
	if (pid < 0) {
		close(sock[0]);
		return ret;
	}
	*c = (struct container){ .pid = pid, .sock = sock[0] };
	if (!ret && setup->ids)
		ret = map_ids(pid, setup->ids);
	if (!ret && setup->group)
		ret = join_group(pid, setup->group);
	if (ret)
		return ret;
	return send(c->sock, "", 1, MSG_NOSIGNAL) == 1 ? answer_of(c) : -ESRCH;
}

#define start_container(c, ...)	start(c, &(struct setup){ __VA_ARGS__ })

/* Ends a container; what its first process exited with. */
static inline int stop(struct container *c)
{
	int ret;

	close(c->sock);
	ret = child_end(c->pid);
	c->pid = 0;
	return ret;
}

/* The errno with which a user namespace is refused, or 0. */
static inline int no_user_ns(void)
{
	return child_end(fork_child(unshare(CLONE_NEWUSER) ? errno : 0));
}

#endif /* MPMCQ_CONTAINER_H */
