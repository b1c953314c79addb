// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is loaded and unloaded again and again while processes try to use the device
 * without a pause, make queues, and mount mpmcqfs.  An open works or says that there is no
 * device; a mount works or says that there is no such filesystem; on an open file everything
 * works; and the module goes when no file is open and nothing is mounted.
 *
 * MPMCQ_RELOAD=1 allows it; MPMCQ_KO is the module's file, without it modprobe finds one.
 * Meanwhile no mount may load the module by itself: kernel.modprobe is empty.  In the end the
 * module is loaded, and mpmcqfs mounted, as it was.
 */

#include "mpmcq_test.h"	/* with the default queue, which has to be there and empty */
#include "queuefs_test.h"
#include "abuse.h"

#define NAME		"mpmcq"
#define ATTRIBUTES	"/sys/class/mpmcq/mpmcq/"
#define LOADED		"/sys/module/mpmcq/refcnt"
#define MODPROBE	"/proc/sys/kernel/modprobe"
#define USERS		3	/* of the device */
#define MOUNTERS	2
#define WATCHERS	1	/* of sysfs */
#define PROCESSES	(USERS + MOUNTERS + WATCHERS)
#define MOUNTS		8	/* of others, at most */

/* How often; shared by all. */
struct counts {
	int opened;
	int no_node;		/* ENOENT */
	int no_device;		/* ENXIO: the node is there, the module on its way */
	int calls;
	int namespaces;		/* that are there */
	int mounted;
	int no_type;		/* ENODEV */
	int named;		/* that went with their mount */
	int homeless;		/* uses of a queue whose mount is gone */
	int watched;
};

static int load(const char *parameters)
{
	const char *file = getenv("MPMCQ_KO");
	char command[100];
	int fd, ret;

	if (!file) {
		snprintf(command, sizeof(command), "modprobe " NAME " %s", parameters);
		return system(command);
	}
	fd = open(file, O_RDONLY | O_CLOEXEC);
	ret = result(syscall(SYS_finit_module, fd, parameters, 0));
	close(fd);
	return ret;
}

static int unload(void)
{
	return result(syscall(SYS_delete_module, NAME, O_NONBLOCK));
}

/*
 * What others have mounted, from /proc/self/mounts
 */
struct mounts {
	int n;
	struct {
		char path[100];
		char options[100];
	} of[MOUNTS];
};

/* Of the options, those that mpmcqfs knows. */
static void keep_own_options(char *to, size_t size, char *options)
{
	static const char * const known[] = { "mode=", "uid=", "gid=", "size=", "max=" };
	char *option;
	unsigned int i;

	*to = 0;
	for (option = strtok(options, ","); option; option = strtok(NULL, ",")) {
		for (i = 0; i < ARRAY_SIZE(known); i++)
			if (!strncmp(option, known[i], strlen(known[i])))
				snprintf(to + strlen(to), size - strlen(to), "%s%s",
					 *to ? "," : "", option);
	}
}

/* Unmounts all of mpmcqfs, and notes it; false if that cannot be. */
static bool unmount_all(struct mounts *mounts)
{
	FILE *file = fopen("/proc/self/mounts", "r");
	char line[512], path[100], type[32], options[256];
	int i;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %99s %31s %255s", path, type, options) != 3 ||
		    strcmp(type, "mpmcqfs"))
			continue;
		if (mounts->n == MOUNTS)
			return false;
		strcpy(mounts->of[mounts->n].path, path);
		keep_own_options(mounts->of[mounts->n].options, sizeof(mounts->of[0].options),
				 options);
		mounts->n++;
	}
	if (file)
		fclose(file);
	for (i = mounts->n; i; i--) {
		if (!umount2(mounts->of[i - 1].path, 0))
			continue;
		say("cannot unmount %s: %s", mounts->of[i - 1].path, strerror(errno));
		/* Only those behind it are to be mounted again. */
		mounts->n -= i;
		memmove(mounts->of, mounts->of + i, mounts->n * sizeof(mounts->of[0]));
		return false;
	}
	return true;
}

static bool mount_all(const struct mounts *mounts)
{
	bool good = true;
	int i, ret;

	for (i = 0; i < mounts->n; i++) {
		ret = mount_queues(mounts->of[i].path, 0, mounts->of[i].options);
		good &= !ret;
		if (ret)
			say("cannot mount %s: %d", mounts->of[i].path, ret);
	}
	return good;
}

/*
 * The users
 */
static void use_private(int fd)
{
	int own = create(fd, (struct mpmcq_create){
		.capacity = 4, .msg_size = MSG_SIZE_MIN, .open_flags = O_RDWR | O_NONBLOCK,
	});

	expect(own >= 0, "CREATE", own);
	expect(put_msg(own, 1, 1) == 1 && take_msg(own, 1, 1) == 1, "a private queue", own);
	close(own);
}

static void use_file(struct counts *counts, __u64 *random, int fd)
{
	struct mpmcq_info info;
	int i, ret;

	for (i = below(random, 4); i; i--, count(&counts->calls)) {
		switch (below(random, 7)) {
		case 0:
			write_one(fd);
			break;
		case 1:
			read_one(fd);
			break;
		case 2:
			poll_once(fd, below(random, 2));
			break;
		case 3:
			ret = query(fd, &info);
			expect(!ret && info.depth <= info.capacity, "ioctl", ret);
			break;
		case 4:
		case 5:
			use_private(fd);
			break;
		default:
			ret = next_len(fd);
			expect(!ret || ret == MSG_SIZE_MIN, "FIONREAD", ret);
		}
	}
}

/* Opens the device, again and again, and uses it when that works. */
static void use_device(struct counts *counts, __u64 random)
{
	int fd;

	for (;;) {
		fd = open(DEVICE, O_RDWR | O_NONBLOCK);
		if (fd >= 0) {
			count(&counts->opened);
			use_file(counts, &random, fd);
			close(fd);
		} else if (errno == ENOENT) {
			count(&counts->no_node);
		} else {
			expect(errno == ENXIO, "open", -errno);
			count(&counts->no_device);
		}
		usleep(below(&random, 2000));
	}
}

/* Some queues of a mount, and the end of the mount, while they are open or not. */
static void use_mount(struct counts *counts, __u64 *random, const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd, ret;
	bool lazy = one_in(random, 2);

	ret = create_at(dir, "a", (struct mpmcq_create){ .capacity = 2, .msg_size = 8 });
	expect(!ret, "CREATE with a name", ret);
	ret = create_at(dir, "b", (struct mpmcq_create){ .capacity = 2, .msg_size = 8 });
	expect(!ret, "CREATE with a name", ret);
	count(&counts->named);
	fd = open_at(dir, "a", O_RDWR | O_NONBLOCK);
	expect(fd >= 0, "open of a queue", fd);
	close(dir);
	expect(put_msg(fd, 1, 1) == 1, "write to a queue", fd);
	dawdle(random);
	ret = result(umount2(path, lazy ? MNT_DETACH : 0));
	expect(ret == (lazy ? 0 : -EBUSY), "umount of what is in use", ret);
	dawdle(random);
	expect(take_msg(fd, 1, 1) == 1, "read from a queue", fd);
	if (lazy) {
		ret = mount_queues(path, 0, NULL);
		expect(!ret, "mount while a queue is open", ret);
		count(&counts->homeless);
	}
	close(fd);
	ret = result(umount2(path, 0));
	expect(!ret, "umount", ret);
}

/* In a mount namespace of its own, mounts again and again, and uses it when that works. */
static void use_mounts(struct counts *counts, __u64 random, const char *base)
{
	int ret;

	ret = unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	      mount("tmpfs", base, "tmpfs", 0, NULL) ? -errno : 0;
	expect(!ret, "a mount namespace", ret);
	count(&counts->namespaces);
	for (;;) {
		ret = mount_queues(base, 0, one_in(&random, 2) ? "mode=1777,size=1m" : NULL);
		expect(!ret || ret == -ENODEV, "mount", ret);
		count(ret ? &counts->no_type : &counts->mounted);
		if (!ret)
			use_mount(counts, &random, base);
		usleep(below(&random, 2000));
	}
}

/* Reads what sysfs has of the default queue. */
static void watch_sysfs(struct counts *counts, __u64 random)
{
	static const char * const files[] = {
		ATTRIBUTES "capacity", ATTRIBUTES "msg_size", ATTRIBUTES "depth",
	};
	char buf[32];
	int fd, ret;

	for (;;) {
		fd = open(files[below(&random, ARRAY_SIZE(files))], O_RDONLY);
		if (fd >= 0) {
			ret = result(read(fd, buf, sizeof(buf)));
			expect(ret > 1 || ret == -ENODEV, "read from sysfs", ret);
			count(&counts->watched);
			close(fd);
		} else {
			expect(errno == ENOENT || errno == ENODEV, "open in sysfs", -errno);
		}
		usleep(below(&random, 2000));
	}
}

/* Whether a line of the kernel's log says that something is wrong. */
static bool is_complaint(const char *line)
{
	static const char * const bad[] = { "BUG:", "WARNING:", "Call Trace", "mpmcq" };
	static const char * const fine[] = {
		"mpmcq: loading out-of-tree module", "mpmcq: module verification failed",
		" unread messages discarded", ": kobject_release, parent "
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fine); i++)
		if (strstr(line, fine[i]))
			return false;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (strstr(line, bad[i]))
			return true;
	return false;
}

/* How many of the lines since the last time are complaints. */
static int complaints(int kmsg)
{
	char line[1024];
	int len, n = 0;

	for (;;) {
		len = read(kmsg, line, sizeof(line) - 1);
		if (len < 0 && errno != EPIPE)
			return errno == EAGAIN ? n : -errno;
		line[len > 0 ? len : 0] = 0;
		if (is_complaint(line)) {
			say("log: %s", line);
			n++;
		}
	}
}

FIXTURE(reload)
{
	char as_found[100];
	char modprobe[100];
	struct mounts mounts;
	char base[32];
	__u64 random;
	struct counts *counts;
	pid_t pid[PROCESSES];
};

FIXTURE_SETUP(reload)
{
	static const char * const parameters[] = { "capacity", "msg_size", "lease_ms" };
	char path[100];
	unsigned int i, n = 0;

	for (i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(path, sizeof(path), PARAMETERS "%s", parameters[i]);
		n += snprintf(self->as_found + n, sizeof(self->as_found) - n, "%s=%.10s ",
			      parameters[i], line(path, ""));
	}
	strcpy(self->base, "/tmp/mpmcq-reload-XXXXXX");
	self->random = seed();
	self->counts = shared_memory(sizeof(*self->counts));
	ASSERT_NE(NULL, self->counts);
}

FIXTURE_TEARDOWN(reload)
{
	int i;

	for (i = 0; i < PROCESSES && self->pid[i]; i++)
		kill(self->pid[i], SIGKILL);
	while (!umount2(self->base, MNT_DETACH))
		;
	rmdir(self->base);
	if (*self->modprobe)
		EXPECT_TRUE(write_text(MODPROBE, self->modprobe));
	EXPECT_TRUE(!access(LOADED, F_OK) || !load(self->as_found));
	EXPECT_TRUE(mount_all(&self->mounts));
}

/* Something that keeps the module: it says so when it is to go, and stays. */
#define expect_in_use()	EXPECT_EQ(-EWOULDBLOCK, unload())

/* A mount of the test's own, and a queue in it that stays open when the mount has gone. */
static void hold_by_mount(struct __test_metadata *_metadata, const char *base)
{
	int dir, fd;

	ASSERT_EQ(0, mount_queues(base, 0, NULL));
	expect_in_use();
	dir = open(base, O_RDONLY | O_DIRECTORY);
	EXPECT_EQ(0, create_at(dir, "a", (struct mpmcq_create){ .capacity = 2, .msg_size = 1 }));
	fd = open_at(dir, "a", O_RDONLY);
	ASSERT_LE(0, fd);
	close(dir);
	EXPECT_EQ(0, umount2(base, MNT_DETACH));
	expect_in_use();
	close(fd);
}

/* Loads the module, and unloads it as soon as it is not in use. */
static void load_and_unload(struct __test_metadata *_metadata, __u64 *random, const char *base,
			    int *refusals)
{
	unsigned int capacity = 2 << below(random, 10);
	struct watchdog dog = {};
	struct mpmcq_info info;
	char parameters[64];
	int fd, ret;

	snprintf(parameters, sizeof(parameters), "capacity=%u msg_size=%u", capacity,
		 MSG_SIZE_MIN + below(random, 100));
	ASSERT_EQ(0, load(parameters));
	fd = open(DEVICE, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(capacity, info.capacity);
	expect_in_use();
	close(fd);
	if (one_in(random, 2))
		hold_by_mount(_metadata, base);
	dawdle(random);
	while ((ret = unload()) == -EWOULDBLOCK) {
		++*refusals;
		ASSERT_FALSE(hangs(&dog, 0));
		dawdle(random);
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-1, open(DEVICE, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-ENODEV, mount_queues(base, 0, NULL));
}

/*
 * Returns when the mount namespaces are there.  Later they would be copied with what the test
 * has mounted, and keep that.
 */
static bool start_users(pid_t *pid, struct counts *counts, __u64 random, const char *base)
{
	int i;

	for (i = 0; i < PROCESSES; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			return false;
		if (pid[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i < USERS)
			use_device(counts, random + i);
		else if (i < USERS + MOUNTERS)
			use_mounts(counts, random + i, base);
		else
			watch_sysfs(counts, random + i);
	}
	return comes_true(get(&counts->namespaces) == MOUNTERS);
}

TEST_F_TIMEOUT(reload, again_and_again, 800)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	const char *leave = getenv("MPMCQ_RELOAD");
	int nb, i, refusals = 0, times = percent_of(200);
	struct mpmcq_info info;

	if (!leave || strcmp(leave, "1"))
		SKIP(return, "MPMCQ_RELOAD=1 would allow me to reload the module");
	ASSERT_LE(0, kmsg);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	ASSERT_NE(NULL, mkdtemp(self->base));
	strcpy(self->modprobe, line(MODPROBE, ""));
	ASSERT_TRUE(!*self->modprobe || write_text(MODPROBE, "\n"));
	ASSERT_TRUE(unmount_all(&self->mounts));
	ASSERT_EQ(0, unload()) TH_LOG("the module is in use");
	ASSERT_TRUE(start_users(self->pid, self->counts, self->random, self->base));
	for (i = 0; i < times; i++) {
		/* An assertion in there does not come back here. */
		load_and_unload(_metadata, &self->random, self->base, &refusals);
	}

	for (i = 0; i < PROCESSES; i++) {
		EXPECT_EQ(0, kill(self->pid[i], SIGKILL));
		EXPECT_EQ(SIGKILL, wait_for_end(self->pid[i], "a user"));
		self->pid[i] = 0;
	}
	say("%d times; unloading refused %d times", times, refusals);
	say("opened %d times, with %d calls; no node %d times, no device %d times",
	    self->counts->opened, self->counts->calls, self->counts->no_node,
	    self->counts->no_device);
	say("mounted %d times, no such filesystem %d times; %d queues went with their mount",
	    self->counts->mounted, self->counts->no_type, self->counts->named);
	EXPECT_LT(0, self->counts->calls);
	EXPECT_LT(0, self->counts->no_node);
	EXPECT_LT(0, self->counts->mounted);
	EXPECT_LT(0, self->counts->no_type);
	EXPECT_LT(0, self->counts->named);
	EXPECT_LT(0, self->counts->homeless);
	EXPECT_LT(0, self->counts->watched);

	ASSERT_EQ(0, load(self->as_found));
	nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, nb);
	ASSERT_EQ(0, query(nb, &info));
	check_slots(_metadata, nb, info.capacity);
	close(nb);
	EXPECT_EQ(0, complaints(kmsg));
}

/* A control. */
TEST(complaints_are_seen)
{
	EXPECT_FALSE(is_complaint("6,1,1,-;mpmcq: 3 unread messages discarded"));
	/* CONFIG_DEBUG_KOBJECT_RELEASE */
	EXPECT_FALSE(is_complaint("6,1,1,-;kobject: 'mpmcq' (01): kobject_release, parent 02"));
	EXPECT_TRUE(is_complaint("3,1,1,-;mpmcq: no memory for capacity=2 msg_size=16"));
	EXPECT_TRUE(is_complaint("4,1,1,-;WARNING: CPU: 0 PID: 1 at kernel/module.c:1"));
	EXPECT_TRUE(is_complaint("4,1,1,-;cdev_device_del [mpmcq]"));
}

TEST_HARNESS_MAIN
