// SPDX-License-Identifier: GPL-2.0-only
/*
 * The module is loaded and unloaded again and again while processes try to use
 * the device without a pause, and make queues of their own: an open works or says that
 * there is no device, on an open file everything works, and the module goes when no
 * file is open, and with it the names that are left.
 *
 * MPMCQ_RELOAD=1 allows it; MPMCQ_KO is the module's file, without it modprobe
 * finds one.  In the end the module is loaded as it was.
 */

#include <poll.h>

#include "mpmcq_test.h"	/* with the default queue, which has to be there and empty */
#include "own_test.h"
#include "abuse.h"

#define NAME		"mpmcq"
#define ATTRIBUTES	"/sys/class/mpmcq/mpmcq/"
#define OWN_ATTRIBUTES	"/sys/class/mpmcq/mpmcq-reload.0/"
#define LOADED		"/sys/module/mpmcq/refcnt"
#define USERS		4	/* of the device */
#define WATCHERS	1	/* of sysfs */
#define PROCESSES	(USERS + WATCHERS)

/* How often; shared by all. */
struct counts {
	int opened;
	int no_node;		/* ENOENT */
	int no_device;		/* ENXIO: the node is there, the module on its way */
	int calls;
	int named;		/* left without a user */
	int watched;
};

static int load(unsigned int capacity, unsigned int msg_size)
{
	const char *file = getenv("MPMCQ_KO");
	char parameters[64], command[100];
	int fd, ret;

	snprintf(parameters, sizeof(parameters), "capacity=%u msg_size=%u", capacity, msg_size);
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

/* A queue of one's own, with a name or without. */
static void use_own(struct counts *counts, __u64 *random, int fd, bool named)
{
	struct mpmcq_create like = {
		.capacity = 4, .msg_size = MSG_SIZE_MIN, .open_flags = O_RDWR | O_NONBLOCK,
		.mode = named ? 0600 : 0,
	};
	int own, ret;

	if (named)
		snprintf(like.name, sizeof(like.name), "reload.%u", below(random, 4));
	own = create(fd, like);
	if (own == -EEXIST)
		own = open_queue(fd, like.name, O_RDWR | O_NONBLOCK);
	expect(own >= 0 || (named && own == -ENOENT), "a queue of one's own", own);
	if (own < 0)
		return;
	ret = put_msg(own, 1, 1);
	expect(ret == 1 || (named && ret == -EAGAIN), "write to it", ret);
	if (named && one_in(random, 4)) {
		ret = destroy_queue(fd, like.name);
		expect(!ret || ret == -ENOENT, "DESTROY", ret);
	} else if (named) {
		count(&counts->named);
	}
	close(own);
}

static void use_file(struct counts *counts, __u64 *random, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	unsigned char buf[MSG_SIZE_MIN + MARGIN] = {};
	struct mpmcq_info info;
	int i, ret;

	for (i = below(random, 4); i; i--, count(&counts->calls)) {
		switch (below(random, 7)) {
		case 0:
			ret = put(fd, buf, MSG_SIZE_MIN);
			expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "write", ret);
			break;
		case 1:
			ret = take(fd, buf, sizeof(buf));
			expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "read", ret);
			break;
		case 2:
			ret = result(poll(&pfd, 1, below(random, 2)));
			expect(ret == !!pfd.revents && !(pfd.revents & ~pfd.events), "poll", ret);
			break;
		case 3:
			ret = query(fd, &info);
			expect(!ret && info.depth <= info.capacity, "ioctl", ret);
			break;
		case 4:
		case 5:
			use_own(counts, random, fd, one_in(random, 2));
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

/* The same with what sysfs has of the queue. */
static void watch_sysfs(struct counts *counts, __u64 random)
{
	static const char * const files[] = {
		ATTRIBUTES "capacity", ATTRIBUTES "msg_size", ATTRIBUTES "depth",
		OWN_ATTRIBUTES "capacity", OWN_ATTRIBUTES "depth"
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

static unsigned int attribute(const char *path)
{
	FILE *file = fopen(path, "r");
	unsigned int value = 0;

	if (!file || fscanf(file, "%u", &value) != 1)
		say("cannot read %s", path);
	if (file)
		fclose(file);
	return value;
}

/* Whether a line of the kernel's log says that something is wrong. */
static bool is_complaint(const char *line)
{
	static const char * const bad[] = { "BUG:", "WARNING:", "Call Trace", "mpmcq" };
	static const char * const fine[] = {
		"mpmcq: loading out-of-tree module", "mpmcq: module verification failed",
		" unread messages discarded"
	};
	unsigned int i;

	for (i = 0; i < 3; i++)
		if (strstr(line, fine[i]))
			return false;
	for (i = 0; i < 4; i++)
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
	unsigned int capacity;
	unsigned int msg_size;
	__u64 random;
	struct counts *counts;
	pid_t pid[PROCESSES];
};

FIXTURE_SETUP(reload)
{
	self->capacity = attribute("/sys/module/mpmcq/parameters/capacity");
	self->msg_size = attribute("/sys/module/mpmcq/parameters/msg_size");
	self->random = seed();
	self->counts = shared_memory(sizeof(*self->counts));
	ASSERT_NE(NULL, self->counts);
}

FIXTURE_TEARDOWN(reload)
{
	int i;

	for (i = 0; i < PROCESSES && self->pid[i]; i++)
		kill(self->pid[i], SIGKILL);
	EXPECT_TRUE(!access(LOADED, F_OK) || !load(self->capacity, self->msg_size));
}

/* Loads the module, and unloads it as soon as nobody uses it. */
static void load_and_unload(struct __test_metadata *_metadata, __u64 *random, int *refusals)
{
	unsigned int capacity = 2 << below(random, 10);
	struct watchdog dog = {};
	struct mpmcq_info info;
	int fd, ret;

	ASSERT_EQ(0, load(capacity, MSG_SIZE_MIN + below(random, 100)));
	fd = open(DEVICE, O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(capacity, info.capacity);
	EXPECT_EQ(-EWOULDBLOCK, unload());
	close(fd);
	dawdle(random);
	while ((ret = unload()) == -EWOULDBLOCK) {
		++*refusals;
		ASSERT_FALSE(hangs(&dog, 0));
		dawdle(random);
	}
	ASSERT_EQ(0, ret);
	EXPECT_EQ(-1, open(DEVICE, O_RDONLY));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(-1, access(DEVICE "-reload.0", F_OK));
	EXPECT_EQ(-1, access(OWN_ATTRIBUTES, F_OK));
}

static bool start_users(pid_t *pid, struct counts *counts, __u64 random)
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
		else
			watch_sysfs(counts, random + i);
	}
	return true;
}

TEST_F_TIMEOUT(reload, again_and_again, 800)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	const char *leave = getenv("MPMCQ_RELOAD");
	int nb, i, refusals = 0, times = percent_of(200);

	if (!leave || strcmp(leave, "1"))
		SKIP(return, "MPMCQ_RELOAD=1 would allow me to reload the module");
	if (geteuid())
		SKIP(return, "only root may load modules");
	ASSERT_LE(0, kmsg);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	ASSERT_EQ(0, unload()) TH_LOG("somebody uses the queue");
	ASSERT_TRUE(start_users(self->pid, self->counts, self->random));
	for (i = 0; i < times; i++) {
		/* An assertion in there does not come back here. */
		load_and_unload(_metadata, &self->random, &refusals);
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
	say("%d queues were left by their name", self->counts->named);
	EXPECT_LT(0, self->counts->calls);
	EXPECT_LT(0, self->counts->no_node);
	EXPECT_LT(0, self->counts->named);
	EXPECT_LT(0, self->counts->watched);

	ASSERT_EQ(0, load(self->capacity, self->msg_size));
	nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, nb);
	check_slots(_metadata, nb, self->capacity);
	EXPECT_EQ(0, complaints(kmsg));
}

/* A control. */
TEST(complaints_are_seen)
{
	EXPECT_FALSE(is_complaint("6,1,1,-;mpmcq: 3 unread messages discarded"));
	EXPECT_TRUE(is_complaint("3,1,1,-;mpmcq: no memory for capacity=2 msg_size=16"));
	EXPECT_TRUE(is_complaint("4,1,1,-;WARNING: CPU: 0 PID: 1 at kernel/module.c:1"));
	EXPECT_TRUE(is_complaint("4,1,1,-;cdev_device_del [mpmcq]"));
}

TEST_HARNESS_MAIN
