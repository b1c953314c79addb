// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcqfs in user namespaces, and under a cgroup that allows devices.
 */

#include <sys/sysmacros.h>

#include "device_group.h"
#include "fs_test.h"

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

static int enter_cgroup(const char *path)
{
	char procs[96];

	snprintf(procs, sizeof(procs), "%s/cgroup.procs", path);
	return write_text(procs, "0") ? 0 : -errno;
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
		program = load_rules(&(struct rule){ major(st.st_rdev), filters[i].minor, DEV_RWM },
				     1);
		if (program < 0)
			SKIP(return, "the kernel has no device cgroup by BPF: %s",
			     strerror(-program));
		ASSERT_EQ(0, mkdir(cgroup, 0755));
		dir = open(cgroup, O_RDONLY | O_DIRECTORY);
		EXPECT_EQ(0, attach_rules(BPF_PROG_ATTACH, dir, program));
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
