// SPDX-License-Identifier: GPL-2.0-only
/*
 * A container reaches the queues that it was given, and no others.
 *
 * The test has a mount namespace of its own, and works in a tmpfs there.  "The host" in comments is
 * the test.
 */

#include <sys/vfs.h>

#include "container.h"
#include "device_group.h"

static const char * const parameters[] = { "max_user_bytes", "max_user_queues" };

FIXTURE(containers)
{
	char dir[sizeof(DIR_TEMPLATE)];
	int host;		/* root directory of the host's mpmcqfs */
	int major;		/* of /dev/mpmcq */
	struct container first, second, third;
	struct device_group group;
	char was[ARRAY_SIZE(parameters)][32];
};

FIXTURE_SETUP(containers)
{
	static const char * const folders[] = {
		"host", "root", "cgroup", "first", "a", "b", "over",
	};
	struct stat st;
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(path, sizeof(path), PARAMETERS "%s", parameters[i]);
		snprintf(self->was[i], sizeof(self->was[i]), "%.31s", line(path, ""));
	}
	ASSERT_EQ(0, stat(DEVICE, &st));
	self->major = major(st.st_rdev);
	strcpy(self->dir, DIR_TEMPLATE);
	ASSERT_NE(NULL, mkdtemp(self->dir));
	umask(0);
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	ASSERT_EQ(0, mount("tmpfs", self->dir, "tmpfs", 0, "mode=755"));
	ASSERT_EQ(0, chdir(self->dir));
	for (i = 0; i < ARRAY_SIZE(folders); i++)
		ASSERT_EQ(0, mkdir(folders[i], 0755));
	ASSERT_EQ(0, mount("mpmcqfs", "host", "mpmcqfs", 0, NULL)) TH_LOG("%s", strerror(errno));
	self->host = open("host", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->host);
}

FIXTURE_TEARDOWN(containers)
{
	struct container *all[] = { &self->first, &self->second, &self->third };
	int device;
	size_t i;

	EXPECT_EQ(0, become(0, false));
	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (all[i]->pid)
			EXPECT_EQ(0, stop(all[i]));
	for (i = 0; i < ARRAY_SIZE(parameters); i++)
		EXPECT_TRUE(set_parameter(parameters[i], self->was[i]));
	remove_group(_metadata, &self->group);

	/* No container could close the default queue. */
	device = open(DEVICE, O_RDWR);
	EXPECT_EQ(0, info_of(device).closed);
	reopen_queue(device);
	close(device);

	close(self->host);
	EXPECT_EQ(0, chdir("/"));
	EXPECT_EQ(0, umount2(self->dir, MNT_DETACH));
	EXPECT_EQ(0, rmdir(self->dir));
}

/* Makes a queue of the host, and opens it. */
static int make_open(int host, const char *name, unsigned int mode)
{
	int ret = create_at(host, name, (struct mpmcq_create){ SMALL, .mode = mode });

	return ret < 0 ? ret : result(openat(host, name, RDWR | O_CLOEXEC));
}

#define PRIVATE		.like = { SMALL, .open_flags = RDWR }

/*
 * A container without a user namespace, as of docker run --device /dev/mpmcq: root with
 * CAP_DAC_OVERRIDE and CAP_MKNOD.  Its control group allows the default queue only.
 */
TEST_F(containers, default_queue_only)
{
	struct rule rules[] = { { 1, 3, DEV_RWM }, { 1, 5, DEV_RWM }, { self->major, 0, DEV_RWM } };
	struct container *c = &self->first;
	const char *why = make_group(&self->group);
	int device, private, roots, users, minor;

	if (why)
		SKIP(return, "no device control groups: %s", why);
	ASSERT_EQ(0, set_rules(&self->group, rules, ARRAY_SIZE(rules)));
	roots = make_open(self->host, "roots", 0600);
	users = make_open(self->host, "users", 0600);
	ASSERT_LE(0, roots);
	ASSERT_LE(0, users);
	ASSERT_EQ(0, fchownat(self->host, "users", OWNER, OWNER, 0));
	ASSERT_EQ(LEN, put_msg(roots, LEN, 1));
	ASSERT_EQ(LEN, put_msg(users, LEN, 2));
	ASSERT_EQ(0, start_container(c, .group = self->group.path, .docker_caps = true));

	/* The container has no files of the host's queues, and cannot mount or make one. */
	EXPECT_EQ(-ENOENT, inside(c, open_file, .path = MOUNT "/roots", .flags = RDWR));
	EXPECT_EQ(-ENOENT, inside(c, open_file, .path = "/queues/roots", .flags = RDWR));
	EXPECT_EQ(-EPERM, inside(c, mount_it, .path = "/queues", .type = "mpmcqfs"));
	for (minor = 1; minor < 4; minor++) {
		EXPECT_EQ(-EPERM, inside(c, make_node, .path = "/tmp/node",
					 .dev = makedev(self->major, minor)));
	}

	/* No call on the default queue leads to them. */
	device = inside(c, open_file, .path = DEVICE, .flags = RDWR);
	ASSERT_LE(0, device);
	EXPECT_EQ(-ENOTDIR, inside(c, make_file, .fd = device, .name = "roots"));
	EXPECT_EQ(-ENOTDIR, inside(c, make_file, .fd = device, .name = "new", .like.mode = 0666));
	EXPECT_EQ(-ENOTDIR, inside(c, make_file, .fd = device, .name = "roots",
				   .like = { SMALL, .flags = MPMCQ_EXIST_OK }));
	EXPECT_EQ(0, inside(c, try_all_calls, .fd = device, .name = "roots"));
	EXPECT_EQ(0, inside(c, try_all_calls, .fd = device, .name = "users"));
	EXPECT_EQ(-EPERM, inside(c, close_it, .fd = device));
	EXPECT_EQ(-EPERM, inside(c, reopen_it, .fd = device));

	private = inside(c, make_file, .fd = device, PRIVATE);
	ASSERT_LE(0, private);
	EXPECT_EQ(LEN, inside(c, send_msg, .fd = private, .seed = 3));
	EXPECT_EQ(LEN, inside(c, receive_msg, .fd = private, .seed = 3));
	EXPECT_LE(0, inside(c, attach_file, .fd = private, .flags = RDWR));
	EXPECT_LE(0, inside(c, make_file, .fd = private, PRIVATE));
	EXPECT_EQ(-ENOTDIR, inside(c, make_file, .fd = private, .name = "users"));

	/* The host's queues are as they were. */
	EXPECT_EQ(2, count_files("host"));
	EXPECT_EQ(0, info_of(roots).closed);
	EXPECT_EQ(LEN, take_msg(roots, LEN, 1));
	EXPECT_EQ(-EAGAIN, take_msg(roots, LEN, 0));
	EXPECT_EQ(LEN, take_msg(users, LEN, 2));
	EXPECT_EQ(-EAGAIN, take_msg(users, LEN, 0));
}

/* A node that has the device number of queue files leads to no queue. */
TEST_F(containers, nodes_made_inside)
{
	struct rule rules[] = { { -1, -1, DEV_M }, { self->major, 1, DEV_R } };
	const dev_t dev = makedev(self->major, 1);
	struct container *c = &self->first;
	const char *why = make_group(&self->group);

	if (why)
		SKIP(return, "no device control groups: %s", why);
	ASSERT_LE(0, make_open(self->host, "jobs", 0666));
	ASSERT_EQ(0, start_container(c, .group = self->group.path, .docker_caps = true));
	EXPECT_EQ(-EPERM, inside(c, make_node, .path = "/tmp/node", .dev = dev));

	/* Docker lets containers make all nodes. */
	ASSERT_EQ(0, set_rules(&self->group, rules, 1));
	EXPECT_EQ(0, inside(c, make_node, .path = "/tmp/node", .dev = dev));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/tmp/node", .flags = RDONLY));

	ASSERT_EQ(0, set_rules(&self->group, rules, 2));
	EXPECT_EQ(-ENXIO, inside(c, open_file, .path = "/tmp/node", .flags = RDONLY));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/tmp/node", .flags = RDWR));

	/* The same access opens the host's queue itself. */
	ASSERT_EQ(0, start_container(&self->second, .group = self->group.path,
				     .docker_caps = true, .queues = "host"));
	EXPECT_LE(0, inside(&self->second, open_file, .path = "/queues/jobs", .flags = RDONLY));
}

/* The device control group is asked when a queue's file is opened. */
TEST_F(containers, devices_of_a_group)
{
	struct rule all[] = { { self->major, 1, DEV_R | DEV_W } };
	struct rule read[] = { { self->major, 1, DEV_R } };
	struct container *c = &self->first;
	const char *why = make_group(&self->group);
	int jobs, passed, fd;

	if (why)
		SKIP(return, "no device control groups: %s", why);
	jobs = make_open(self->host, "jobs", 0666);
	ASSERT_LE(0, jobs);
	ASSERT_EQ(0, start_container(c, .group = self->group.path, .docker_caps = true,
				     .queues = "host"));

	/* It allows no device of ours. */
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = DEVICE, .flags = RDWR));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = DEVICE, .flags = RDONLY));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/queues/jobs", .flags = RDWR));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/queues/jobs", .flags = RDONLY));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/queues/jobs", .flags = WRONLY));

	/* A descriptor that the host passes in keeps the access it was opened with. */
	passed = hand_in(c, jobs);
	ASSERT_LE(0, passed);
	EXPECT_EQ(LEN, inside(c, send_msg, .fd = passed, .seed = 1));
	EXPECT_EQ(LEN, take_msg(jobs, LEN, 1));
	EXPECT_LE(0, inside(c, attach_file, .fd = passed, .flags = RDWR));

	/* It allows queue files, but not the default queue. */
	ASSERT_EQ(0, set_rules(&self->group, all, 1));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = DEVICE, .flags = RDWR));
	fd = inside(c, open_file, .path = "/queues/jobs", .flags = RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(jobs, LEN, 2));
	EXPECT_EQ(LEN, inside(c, receive_msg, .fd = fd, .seed = 2));

	/* It allows reading only.  ATTACH cannot add writing. */
	ASSERT_EQ(0, set_rules(&self->group, read, 1));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/queues/jobs", .flags = RDWR));
	EXPECT_EQ(-EPERM, inside(c, open_file, .path = "/queues/jobs", .flags = WRONLY));
	fd = inside(c, open_file, .path = "/queues/jobs", .flags = RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, inside(c, attach_file, .fd = fd, .flags = RDWR));
	EXPECT_EQ(-EACCES, inside(c, attach_file, .fd = fd, .flags = WRONLY));
	EXPECT_EQ(-EBADF, inside(c, send_msg, .fd = fd, .seed = 3));
}

/* Makes queue "jobs" in a container's own mpmcqfs, for its root only, and opens it. */
static int make_jobs(const struct container *c)
{
	int dir = inside(c, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	int ret = dir < 0 ? dir : inside(c, make_file, .fd = dir, .name = "jobs",
					 .like = { SMALL, .mode = 0600 });

	return ret < 0 ? ret : inside(c, open_file, .path = "/queues/jobs", .flags = RDWR);
}

/* Each container mounts an mpmcqfs, and opens device nodes in a user namespace. */
TEST_F(containers, mounts_of_their_own)
{
	int fd[3], dir, err = no_user_ns();
	char path[64];

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS, .queues = OWN));
	ASSERT_EQ(0, start_container(&self->second, .ids = SECOND_IDS, .queues = OWN));
	fd[0] = make_open(self->host, "jobs", 0600);
	fd[1] = make_jobs(&self->first);
	fd[2] = make_jobs(&self->second);
	ASSERT_LE(0, fd[0]);
	ASSERT_LE(0, fd[1]);
	ASSERT_LE(0, fd[2]);

	EXPECT_EQ(LEN, put_msg(fd[0], LEN, 1));
	EXPECT_EQ(LEN, inside(&self->first, send_msg, .fd = fd[1], .seed = 2));
	EXPECT_EQ(LEN, inside(&self->second, send_msg, .fd = fd[2], .seed = 3));
	EXPECT_EQ(1, inside(&self->first, count_messages, .fd = fd[1]));
	EXPECT_EQ(LEN, inside(&self->first, receive_msg, .fd = fd[1], .seed = 2));
	EXPECT_EQ(-EAGAIN, inside(&self->first, receive_msg, .fd = fd[1]));
	EXPECT_EQ(LEN, inside(&self->second, receive_msg, .fd = fd[2], .seed = 3));
	EXPECT_EQ(-EAGAIN, inside(&self->second, receive_msg, .fd = fd[2]));
	EXPECT_EQ(LEN, take_msg(fd[0], LEN, 1));
	EXPECT_EQ(-EAGAIN, take_msg(fd[0], LEN, 0));

	/* Removing one leaves the others of that name. */
	EXPECT_EQ(0, inside(&self->first, remove_file, .path = "/queues/jobs"));
	EXPECT_EQ(0, inside(&self->first, count_names, .path = "/queues"));
	EXPECT_EQ(1, inside(&self->second, count_names, .path = "/queues"));
	EXPECT_EQ(1, count_files("host"));

	/* Its owner is the container's root, whose id is another one here. */
	EXPECT_EQ(0, inside(&self->second, tell_owner, .path = "/queues/jobs"));
	snprintf(path, sizeof(path), "/proc/%d/root/queues/jobs", self->second.pid);
	EXPECT_EQ(SECOND_IDS, owner_of(path));

	/* Another container's root has no rights here, also if the directory is passed to it. */
	dir = inside(&self->second, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	dir = hand_in(&self->first, hand_out(&self->second, dir));
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EACCES, inside(&self->first, open_at, .fd = dir, .name = "jobs", .flags = RDWR));
	EXPECT_EQ(-EACCES,
		  inside(&self->first, open_at, .fd = dir, .name = "jobs", .flags = RDONLY));
	EXPECT_EQ(-EACCES, inside(&self->first, make_file, .fd = dir, .name = "new"));
	EXPECT_EQ(1, inside(&self->second, count_names, .path = "/queues"));
}

/* A container is given the host's directory.  Permissions go by the ids as mapped. */
TEST_F(containers, directory_of_the_host)
{
	const int nobody = atoi(line("/proc/sys/kernel/overflowuid", ""));
	struct container *c = &self->first;
	int fd, for_all, for_root, mapped, dir, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	for_all = make_open(self->host, "open", 0666);
	for_root = make_open(self->host, "closed", 0600);
	mapped = make_open(self->host, "mapped", 0600);
	ASSERT_LE(0, for_all);
	ASSERT_LE(0, for_root);
	ASSERT_LE(0, mapped);
	ASSERT_EQ(0, fchownat(self->host, "mapped", FIRST_IDS, FIRST_IDS, 0));
	ASSERT_EQ(0, start_container(c, .ids = FIRST_IDS, .queues = "host"));

	EXPECT_EQ(3, inside(c, count_names, .path = "/queues"));
	EXPECT_EQ(nobody, inside(c, tell_owner, .path = "/queues/open"));
	EXPECT_EQ(0, inside(c, tell_owner, .path = "/queues/mapped"));

	fd = inside(c, open_file, .path = "/queues/open", .flags = RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(for_all, LEN, 1));
	EXPECT_EQ(LEN, inside(c, receive_msg, .fd = fd, .seed = 1));
	EXPECT_EQ(LEN, inside(c, send_msg, .fd = fd, .seed = 2));
	EXPECT_EQ(LEN, take_msg(for_all, LEN, 2));
	fd = inside(c, open_file, .path = "/queues/mapped", .flags = RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, inside(c, send_msg, .fd = fd, .seed = 3));
	EXPECT_EQ(LEN, take_msg(mapped, LEN, 3));
	EXPECT_EQ(-EACCES, inside(c, open_file, .path = "/queues/closed", .flags = RDONLY));
	EXPECT_EQ(-EACCES, inside(c, open_file, .path = "/queues/closed", .flags = RDWR));
	EXPECT_EQ(-EPERM, inside(c, change_mode, .path = "/queues/closed", .mode = 0666));
	EXPECT_EQ(0, inside(c, change_mode, .path = "/queues/mapped", .mode = 0606));

	/* The directory is root's, with mode 0755. */
	dir = inside(c, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EACCES, inside(c, make_file, .fd = dir, .name = "new"));
	EXPECT_EQ(-EACCES, inside(c, remove_file, .path = "/queues/open"));
	EXPECT_EQ(-EACCES, inside(c, remove_file, .path = "/queues/mapped"));

	/* With mode 1777 every user makes queues, and removes only his own. */
	ASSERT_EQ(0, fchmod(self->host, 01777));
	EXPECT_EQ(0, inside(c, make_file, .fd = dir, .name = "new", .like.mode = 0600));
	EXPECT_EQ(FIRST_IDS, owner_of("host/new"));
	EXPECT_EQ(-EPERM, inside(c, remove_file, .path = "/queues/open"));
	EXPECT_EQ(0, inside(c, remove_file, .path = "/queues/new"));
	EXPECT_EQ(3, count_files("host"));
}

/* The host and another container are given the mpmcqfs that a container has mounted. */
TEST_F(containers, directory_of_a_container)
{
	const int nobody = atoi(line("/proc/sys/kernel/overflowuid", ""));
	int fd, mine, theirs, tree, host, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS, .queues = OWN));
	mine = make_jobs(&self->first);
	ASSERT_LE(0, mine);
	ASSERT_EQ(0, inside(&self->first, change_mode, .path = "/queues", .mode = 0777));
	tree = inside(&self->first, clone_mount, .path = "/queues");
	if (tree == -ENOSYS)
		SKIP(return, "no open_tree(2)");
	tree = hand_out(&self->first, tree);
	ASSERT_LE(0, tree);
	ASSERT_EQ(0, result(syscall(SYS_move_mount, tree, "", AT_FDCWD, "first",
				    4 /* MOVE_MOUNT_F_EMPTY_PATH */)));
	close(tree);
	ASSERT_EQ(0, start_container(&self->second, .ids = SECOND_IDS, .queues = "first"));
	ASSERT_EQ(0, start_container(&self->third, .ids = SECOND_IDS, .queues = OWN));

	/* The mode for others applies to the other container. */
	EXPECT_EQ(nobody, inside(&self->second, tell_owner, .path = "/queues/jobs"));
	EXPECT_EQ(-EACCES, inside(&self->second, open_file, .path = "/queues/jobs", .flags = RDWR));
	EXPECT_EQ(-ENOENT, inside(&self->third, open_file, .path = "/queues/jobs", .flags = RDWR));
	ASSERT_EQ(0, inside(&self->first, change_mode, .path = "/queues/jobs", .mode = 0606));
	theirs = inside(&self->second, open_file, .path = "/queues/jobs", .flags = RDWR);
	ASSERT_LE(0, theirs);
	EXPECT_EQ(LEN, inside(&self->first, send_msg, .fd = mine, .seed = 1));
	EXPECT_EQ(LEN, inside(&self->second, receive_msg, .fd = theirs, .seed = 1));
	EXPECT_EQ(LEN, inside(&self->second, send_msg, .fd = theirs, .seed = 2));
	fd = result(open("first/jobs", RDWR | O_CLOEXEC));
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, take_msg(fd, LEN, 2));
	close(fd);

	/* The owner of a queue needs an id in the user namespace of the mount. */
	fd = inside(&self->second, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOVERFLOW, inside(&self->second, make_file, .fd = fd, .name = "new"));
	host = open("first", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, host);
	EXPECT_EQ(-EOVERFLOW, create_at(host, "new", (struct mpmcq_create){ SMALL }));
	ASSERT_EQ(0, become(FIRST_IDS, false));
	EXPECT_EQ(0, create_at(host, "new", (struct mpmcq_create){ SMALL }));
	ASSERT_EQ(0, become(0, false));
	EXPECT_EQ(0, inside(&self->first, tell_owner, .path = "/queues/new"));
	close(host);

	/* Root of the host removes them. */
	EXPECT_EQ(0, unlink("first/jobs"));
	EXPECT_EQ(1, inside(&self->first, count_names, .path = "/queues"));
}

TEST_F(containers, nodev)
{
	int err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_LE(0, make_open(self->host, "jobs", 0666));
	ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS, .queues = "host",
				     .flags = MS_NODEV));
	ASSERT_EQ(0, start_container(&self->second, .queues = "host", .flags = MS_NODEV));
	ASSERT_EQ(0, start_container(&self->third, .ids = FIRST_IDS, .queues = "host"));
	EXPECT_EQ(-EACCES, inside(&self->first, open_file, .path = "/queues/jobs", .flags = RDWR));
	EXPECT_EQ(-EACCES,
		  inside(&self->second, open_file, .path = "/queues/jobs", .flags = RDONLY));
	EXPECT_LE(0, inside(&self->third, open_file, .path = "/queues/jobs", .flags = RDWR));
}

/* Makes a large queue in a container's own mpmcqfs, for everybody. */
static int make_large(const struct container *c)
{
	int dir = inside(c, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	int ret = dir < 0 ? dir : inside(c, make_file, .fd = dir, .name = "large",
					 .like = { LARGE, .mode = 0666 });

	if (dir >= 0)
		inside(c, close_file, .fd = dir);
	return ret;
}

/* The queues of a container's mount end with the container: it exits, or is killed. */
TEST_F_TIMEOUT(containers, queues_end_with_the_container, 60)
{
	int round, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_TRUE(set_parameter("max_user_bytes", SMALL_LIMIT));
	ASSERT_EQ(0, start_container(&self->second, .ids = FIRST_IDS, .owner = OWNER,
				     .queues = OWN));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS, .owner = OWNER,
					     .queues = OWN));
		EXPECT_EQ(0, make_large(&self->first));
		EXPECT_LE(0, inside(&self->first, open_file, .path = "/queues/large",
				    .flags = RDWR));
		/* The two have one account. */
		EXPECT_EQ(-EDQUOT, make_large(&self->second));
		if (round)
			EXPECT_EQ(0, kill(self->first.pid, SIGKILL));
		EXPECT_EQ(round ? -SIGKILL : 0, stop(&self->first));
		EXPECT_TRUE(comes_true(!make_large(&self->second)));
		EXPECT_EQ(0, inside(&self->second, remove_file, .path = "/queues/large"));
	}
}

/* A descriptor that was passed out keeps the queues of a container that has ended. */
TEST_F_TIMEOUT(containers, passed_out, 60)
{
	int round, fd, jobs, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_TRUE(set_parameter("max_user_bytes", SMALL_LIMIT));
	ASSERT_EQ(0, start_container(&self->second, .ids = FIRST_IDS, .owner = OWNER,
				     .queues = OWN));
	for (round = 0; round < 2; round++) {
		ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS, .owner = OWNER,
					     .queues = OWN));
		ASSERT_EQ(0, make_large(&self->first));
		jobs = inside(&self->first, open_file, .path = "/queues/large", .flags = RDWR);
		ASSERT_LE(0, jobs);
		EXPECT_EQ(LEN, inside(&self->first, send_msg, .fd = jobs, .seed = 1));
		/* A queue in the first round, the directory in the second. */
		fd = !round ? jobs : inside(&self->first, open_file, .path = "/queues",
					    .flags = O_RDONLY | O_DIRECTORY);
		fd = hand_out(&self->first, fd);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, stop(&self->first));

		usleep(200000);
		EXPECT_EQ(-EDQUOT, make_large(&self->second));
		jobs = round ? result(openat(fd, "large", RDWR | O_CLOEXEC)) : fd;
		ASSERT_LE(0, jobs);
		EXPECT_EQ(LEN, take_msg(jobs, LEN, 1));
		EXPECT_EQ(LEN, put_msg(jobs, LEN, 2));
		EXPECT_EQ(LEN, take_msg(jobs, LEN, 2));
		if (round)
			close(jobs);
		close(fd);
		EXPECT_TRUE(comes_true(!make_large(&self->second)));
		EXPECT_EQ(0, inside(&self->second, remove_file, .path = "/queues/large"));
	}
}

/* A descriptor that the host passes in gives its own access, and no more. */
TEST_F(containers, passed_in)
{
	static const int flags[] = { RDONLY, WRONLY, RDWR };
	int i, j, fd, ret, mine, theirs, err = no_user_ns();
	struct container *c = &self->first;

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	mine = make_open(self->host, "jobs", 0600);
	ASSERT_LE(0, mine);
	ASSERT_EQ(0, start_container(c, .ids = FIRST_IDS, .queues = "host"));
	EXPECT_EQ(-EACCES, inside(c, open_file, .path = "/queues/jobs", .flags = RDONLY));

	for (i = 0; i < 3; i++) {
		bool reads = flags[i] != WRONLY, writes = flags[i] != RDONLY;

		fd = open("host/jobs", flags[i] | O_CLOEXEC);
		ASSERT_LE(0, fd);
		theirs = hand_in(c, fd);
		close(fd);
		ASSERT_LE(0, theirs);
		EXPECT_EQ(writes ? LEN : -EBADF, inside(c, send_msg, .fd = theirs, .seed = 1));
		EXPECT_EQ(writes, inside(c, count_messages, .fd = theirs));
		EXPECT_EQ(writes ? LEN : -EAGAIN, take_msg(mine, LEN, 1));
		EXPECT_EQ(LEN, put_msg(mine, LEN, 2));
		EXPECT_EQ(reads ? LEN : -EBADF, inside(c, receive_msg, .fd = theirs, .seed = 2));
		EXPECT_EQ(reads ? -EAGAIN : LEN, take_msg(mine, LEN, 2));
		for (j = 0; j < 3; j++) {
			bool may = i == 2 || i == j;

			ret = inside(c, attach_file, .fd = theirs, .flags = flags[j]);
			EXPECT_EQ(may ? 0 : -EACCES, ret < 0 ? ret : 0)
				TH_LOG("opened %#x, attached %#x", flags[i], flags[j]);
			if (ret >= 0)
				inside(c, close_file, .fd = ret);
		}
		/* A writer may close a queue that is a file. */
		EXPECT_EQ(writes ? 0 : -EBADF, inside(c, close_it, .fd = theirs));
		EXPECT_EQ(writes ? -EPIPE : LEN, put_msg(mine, LEN, 3));
		EXPECT_EQ(writes ? 0 : -EBADF, inside(c, reopen_it, .fd = theirs));
		EXPECT_EQ(!writes, take_all(mine));
		EXPECT_EQ(0, inside(c, close_file, .fd = theirs));
	}
}

/* Closing the default queue takes CAP_SYS_ADMIN in the initial user namespace. */
TEST_F(containers, default_queue_stays_open)
{
	int i, device, fd, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	device = open(DEVICE, RDWR | O_CLOEXEC);
	ASSERT_LE(0, device);
	ASSERT_EQ(0, start_container(&self->first, .ids = FIRST_IDS));
	ASSERT_EQ(0, start_container(&self->second, .docker_caps = true));
	for (i = 0; i < 2; i++) {
		const struct container *c = i ? &self->second : &self->first;

		fd = hand_in(c, device);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EPERM, inside(c, close_it, .fd = fd));
		EXPECT_EQ(0, info_of(device).closed);
		EXPECT_EQ(-EPERM, inside(c, reopen_it, .fd = fd));
		EXPECT_LE(0, inside(c, count_messages, .fd = fd));
		EXPECT_LE(0, inside(c, make_file, .fd = fd, PRIVATE));
	}
	close(device);
}

/* Containers use up memory, by one large queue, or the number of queues, by four small ones. */
FIXTURE(limits)
{
	FIXTURE_DATA(containers) world;
};

FIXTURE_VARIANT(limits)
{
	const char *parameter, *value;
	int count;
	struct mpmcq_create like;
};

FIXTURE_VARIANT_ADD(limits, bytes)
{
	.parameter = "max_user_bytes", .value = SMALL_LIMIT, .count = 1,
	.like = { LARGE, .open_flags = RDWR },
};

FIXTURE_VARIANT_ADD(limits, queues)
{
	.parameter = "max_user_queues", .value = "4", .count = 4,
	.like = { SMALL, .open_flags = RDWR },
};

FIXTURE_SETUP(limits)
{
	containers_setup(_metadata, &self->world, NULL);
	ASSERT_TRUE(set_parameter(variant->parameter, variant->value));
}

FIXTURE_TEARDOWN(limits)
{
	containers_teardown(_metadata, &self->world, NULL);
}

#define MANY	16

/* Makes private queues in a container until EDQUOT; how many, or -errno. */
static int use_up(const struct container *c, const struct mpmcq_create *like)
{
	int dir = inside(c, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	int ret, n = 0;

	if (dir < 0)
		return dir;
	do {
		ret = inside(c, make_file, .fd = dir, .like = *like);
	} while (ret >= 0 && ++n < MANY);
	inside(c, close_file, .fd = dir);
	return ret < 0 && ret != -EDQUOT ? ret : n;
}

/* Makes a private queue as a user of the host, and frees it. */
static int make_as(uid_t uid, int host, const struct mpmcq_create *like)
{
	int ret, fd;

	ret = become(uid, false);
	if (ret)
		return ret;
	fd = create(host, *like);
	ret = become(0, false);
	if (fd < 0)
		return fd;
	close(fd);
	return ret;
}

/* All ids of a container use up the account of its owner. */
TEST_F(limits, of_an_owner)
{
	struct container *first = &self->world.first, *second = &self->world.second;
	struct container *third = &self->world.third;
	int dir, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(first, .ids = FIRST_IDS, .owner = OWNER,
				     .queues = OWN));
	ASSERT_EQ(0, start_container(second, .ids = SECOND_IDS, .owner = OTHER,
				     .queues = OWN));
	ASSERT_EQ(0, start_container(third, .docker_caps = true, .queues = "host"));
	dir = inside(first, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	EXPECT_EQ(variant->count, use_up(first, &variant->like));
	EXPECT_EQ(0, inside(first, become_id, .id = 5));
	EXPECT_EQ(-EDQUOT, inside(first, make_file, .fd = dir, .like = variant->like));
	EXPECT_EQ(0, inside(first, become_id, .id = 0));
	EXPECT_EQ(0, inside(first, become_id, .id = IDS - 1));
	EXPECT_EQ(-EDQUOT, inside(first, make_file, .fd = dir, .like = variant->like));
	EXPECT_EQ(0, inside(first, become_id, .id = 0));

	/* The owner has that account on the host, too.  Others have theirs. */
	EXPECT_EQ(-EDQUOT, make_as(OWNER, self->world.host, &variant->like));
	EXPECT_EQ(0, make_as(OTHER, self->world.host, &variant->like));
	EXPECT_EQ(variant->count, use_up(second, &variant->like));
	EXPECT_EQ(-EDQUOT, make_as(OTHER, self->world.host, &variant->like));
	EXPECT_EQ(variant->count, use_up(third, &variant->like));

	/* CAP_SYS_RESOURCE in the initial user namespace exempts root of the host. */
	EXPECT_EQ(0, make_as(0, self->world.host, &variant->like));
	EXPECT_EQ(0, stop(first));
	EXPECT_TRUE(comes_true(!make_as(OWNER, self->world.host, &variant->like)));
	EXPECT_EQ(-EDQUOT, make_as(OTHER, self->world.host, &variant->like));
}

/* Each container that root has started has an account of its own. */
TEST_F(limits, of_root)
{
	struct container *first = &self->world.first, *second = &self->world.second;
	struct container *third = &self->world.third;
	int dir, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(first, .ids = FIRST_IDS, .queues = OWN));
	ASSERT_EQ(0, start_container(second, .ids = SECOND_IDS, .queues = OWN));
	ASSERT_EQ(0, start_container(third, .docker_caps = true, .queues = "host"));
	EXPECT_EQ(variant->count, use_up(first, &variant->like));
	dir = inside(first, open_file, .path = "/queues", .flags = O_RDONLY | O_DIRECTORY);
	ASSERT_LE(0, dir);
	EXPECT_EQ(0, inside(first, become_id, .id = 5));
	EXPECT_EQ(-EDQUOT, inside(first, make_file, .fd = dir, .like = variant->like));
	EXPECT_EQ(variant->count, use_up(second, &variant->like));
	EXPECT_EQ(variant->count, use_up(third, &variant->like));
	EXPECT_EQ(0, make_as(OWNER, self->world.host, &variant->like));
	EXPECT_EQ(0, make_as(0, self->world.host, &variant->like));
}

/* Containers without user namespaces share the accounts of the host's users, here root's. */
TEST_F(limits, without_user_namespace)
{
	struct container *first = &self->world.first, *second = &self->world.second;

	ASSERT_EQ(0, start_container(first, .docker_caps = true, .queues = "host"));
	ASSERT_EQ(0, start_container(second, .docker_caps = true, .queues = "host"));
	EXPECT_EQ(variant->count, use_up(first, &variant->like));
	EXPECT_EQ(0, use_up(second, &variant->like));
	EXPECT_EQ(0, make_as(OWNER, self->world.host, &variant->like));
	EXPECT_EQ(0, make_as(0, self->world.host, &variant->like));
	EXPECT_EQ(0, stop(first));
	EXPECT_TRUE(comes_true(use_up(second, &variant->like) > 0));
}

/* overlayfs would open queues with the credentials of its mounter. */
TEST_F(containers, no_layer_of_overlayfs)
{
	ASSERT_LE(0, make_open(self->host, "jobs", 0600));
	if (mount("overlay", "over", "overlay", 0, "lowerdir=a:b"))
		SKIP(return, "no overlayfs: %s", strerror(errno));
	ASSERT_EQ(0, umount("over"));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "over", "overlay", 0, "lowerdir=host:a")));
	EXPECT_EQ(-EINVAL, result(mount("overlay", "over", "overlay", 0, "lowerdir=a:host")));
	EXPECT_EQ(0, count_files("over"));
}

TEST_F(containers, no_layer_of_overlayfs_inside)
{
	struct container *c = &self->first;
	int ret, err = no_user_ns();

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(c, .ids = FIRST_IDS, .queues = OWN));
	ASSERT_LE(0, make_jobs(c));
	ASSERT_EQ(0, inside(c, make_folder, .path = "/tmp/a", .mode = 0755));
	ASSERT_EQ(0, inside(c, make_folder, .path = "/tmp/b", .mode = 0755));
	ASSERT_EQ(0, inside(c, make_folder, .path = "/tmp/over", .mode = 0755));
	ASSERT_EQ(0, inside(c, make_folder, .path = "/tmp/good", .mode = 0755));
	ret = inside(c, mount_it, .path = "/tmp/good", .type = "overlay",
		     .options = "lowerdir=/tmp/a:/tmp/b");
	/* Before 5.11 no user namespace mounts it. */
	if (ret == -EPERM && kernel_before(5, 11)) {
		EXPECT_EQ(-EPERM, inside(c, mount_it, .path = "/tmp/over", .type = "overlay",
					 .options = "lowerdir=/queues:/tmp/a"));
		return;
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EINVAL, inside(c, mount_it, .path = "/tmp/over", .type = "overlay",
				  .options = "lowerdir=/queues:/tmp/a"));
	EXPECT_EQ(-EINVAL, inside(c, mount_it, .path = "/tmp/over", .type = "overlay",
				  .options = "lowerdir=/tmp/a:/queues"));
	EXPECT_EQ(0, inside(c, count_names, .path = "/tmp/over"));
}

/* A copy of a queue's file is a node that leads to no queue. */
TEST_F(containers, copies)
{
	static const int flags[] = { RDONLY, WRONLY, RDWR };
	struct stat st;
	size_t i;

	ASSERT_LE(0, make_open(self->host, "jobs", 0666));
	ASSERT_EQ(0, system("cp -a host/jobs copy"));
	ASSERT_EQ(0, lstat("copy", &st));
	EXPECT_EQ(S_IFCHR | 0666, (int)st.st_mode);
	EXPECT_EQ(self->major, (int)major(st.st_rdev));
	EXPECT_EQ(1, (int)minor(st.st_rdev));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_EQ(-ENXIO, result(open("copy", flags[i])));
	ASSERT_EQ(0, unlink("host/jobs"));
	EXPECT_EQ(-ENXIO, result(open("copy", RDWR)));
	/* No node can be made beside the queues. */
	EXPECT_NE(0, system("cp -a copy host/again 2>/dev/null"));
	EXPECT_EQ(0, count_files("host"));
}

/* No node opens in a tmpfs of a user namespace, where the container itself can make none. */
TEST_F(containers, copies_inside)
{
	const dev_t dev = makedev(self->major, 1);
	struct container *c = &self->first;
	int ret, err = no_user_ns();
	char path[64];

	if (err)
		SKIP(return, "no user namespaces: %s", strerror(err));
	ASSERT_EQ(0, start_container(c, .ids = FIRST_IDS, .queues = OWN));
	ASSERT_LE(0, make_jobs(c));
	EXPECT_EQ(-EPERM, inside(c, make_node, .path = "/tmp/copy", .dev = dev));
	EXPECT_EQ(-EPERM, inside(c, make_node, .path = "/queues/copy", .dev = dev));
	snprintf(path, sizeof(path), "/proc/%d/root/tmp/copy", c->pid);
	/* The host makes the node under an id that the container has. */
	ASSERT_EQ(0, become(FIRST_IDS, true));
	ret = result(mknod(path, S_IFCHR | 0666, dev));
	ASSERT_EQ(0, become(0, false));
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-EACCES, inside(c, open_file, .path = "/tmp/copy", .flags = RDWR));
	EXPECT_EQ(-EACCES, result(open(path, RDWR)));
}

TEST_HARNESS_MAIN
