// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names that come and go: many processes create queues by a few names, open them by
 * name and by node, use them and destroy them, all at once, and are killed meanwhile.
 * Each call works or says that there is no such queue, or that there is one already;
 * what is open works on without its name; and in the end nothing is left.
 */

#include <poll.h>

#include "own_test.h"
#include "abuse.h"

#define PROCESSES	8
#define OWNERS		2	/* of them, who make names of their own */
#define NAMES		3	/* which the others share */
#define FILES		6	/* that a process has open at most */
#define ROUNDS		100	/* at 100 percent */
#define NAME_SIZE	(MPMCQ_NAME_MAX + 1)
#define MODULE_USERS	"/sys/module/mpmcq/refcnt"

/* How often; shared by all. */
struct counts {
	__u32 calls;
	__u32 created;
	__u32 taken;		/* EEXIST */
	__u32 by_name;
	__u32 by_node;
	__u32 absent;		/* ENOENT */
	__u32 stale;		/* ENXIO: the node is there, the queue is not */
	__u32 destroyed;
	__u32 nameless;		/* uses of a queue whose name is gone */
	__u32 watched;		/* read from sysfs */
	__u32 owned;		/* names that were nobody else's */
};

struct crowd {
	__u64 random;
	char prefix[NAME_SIZE / 2];
	struct counts *counts;
	int device;
	int nodes;		/* before all this */
	long users;
	pid_t pid[PROCESSES];
	int killed;
};

struct process {
	struct crowd *crowd;
	struct counts *counts;
	__u64 random;
	int files;
	int fd[FILES];
};

static void node_of(char *path, const char *name)
{
	snprintf(path, 2 * NAME_SIZE, DEVICE "-%s", name);
}

static int open_node(const char *name, int flags)
{
	char path[2 * NAME_SIZE];

	node_of(path, name);
	return result(open(path, flags));
}

static int make_named(struct process *p, const char *name, __u32 flags)
{
	struct mpmcq_create like = {
		.flags = flags, .capacity = 2 << below(&p->random, 4), .msg_size = MSG_SIZE_MIN,
		.open_flags = O_RDWR | O_NONBLOCK, .mode = 0600,
	};

	snprintf(like.name, sizeof(like.name), "%s", name);
	return create(p->crowd->device, like);
}

/* Whether sysfs has it, and says so. */
static bool is_shown(const char *name, const char *attribute)
{
	char path[3 * NAME_SIZE], value[16];
	int fd, ret;

	snprintf(path, sizeof(path), "/sys/class/mpmcq/mpmcq-%s/%s", name, attribute);
	fd = open(path, O_RDONLY);
	if (fd < 0) {
		expect(errno == ENOENT || errno == ENODEV, "open in sysfs", -errno);
		return false;
	}
	ret = result(read(fd, value, sizeof(value)));
	expect(ret > 1 || ret == -ENODEV, "read from sysfs", ret);
	close(fd);
	return ret > 1;
}

/*
 * Those who share names
 */
static void some_name(struct process *p, char *name)
{
	snprintf(name, NAME_SIZE, "%s.%u", p->crowd->prefix, below(&p->random, NAMES));
}

static void keep(struct process *p, int fd)
{
	int i = p->files < FILES ? p->files++ : (int)below(&p->random, FILES);

	if (p->fd[i])
		close(p->fd[i]);
	p->fd[i] = fd;
}

static void close_some(struct process *p)
{
	int i = below(&p->random, FILES);

	if (i < p->files) {
		close(p->fd[i]);
		p->fd[i] = p->fd[--p->files];
		p->fd[p->files] = 0;
	}
}

static void use(struct process *p, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	unsigned char buf[MSG_SIZE_MIN + MARGIN] = {};
	struct mpmcq_info info;
	int ret;

	switch (below(&p->random, 5)) {
	case 0:
		ret = put(fd, buf, MSG_SIZE_MIN);
		expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "write", ret);
		break;
	case 1:
		ret = take(fd, buf, sizeof(buf));
		expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "read", ret);
		break;
	case 2:
		ret = result(poll(&pfd, 1, below(&p->random, 2)));
		expect(ret == !!pfd.revents && !(pfd.revents & ~pfd.events), "poll", ret);
		break;
	case 3:
		ret = attach(fd, O_RDWR | O_NONBLOCK, 0, 0);
		expect(ret >= 0, "ATTACH", ret);
		keep(p, ret);
		break;
	default:
		ret = query(fd, &info);
		expect(!ret && info.depth <= info.capacity &&
		       !strncmp(info.name, p->crowd->prefix, strlen(p->crowd->prefix)),
		       "INFO", ret);
	}
}

static void create_some(struct process *p)
{
	char name[NAME_SIZE];
	int fd;

	some_name(p, name);
	fd = make_named(p, name, one_in(&p->random, 2) ? MPMCQ_AUTO_DESTROY : MPMCQ_DROP_OLDEST);
	expect(fd >= 0 || fd == -EEXIST, "CREATE", fd);
	count(fd >= 0 ? &p->counts->created : &p->counts->taken);
	if (fd >= 0)
		keep(p, fd);
}

static void open_some(struct process *p)
{
	char name[NAME_SIZE];
	int fd;

	some_name(p, name);
	if (one_in(&p->random, 2)) {
		fd = open_queue(p->crowd->device, name, O_RDWR | O_NONBLOCK);
		expect(fd >= 0 || fd == -ENOENT, "OPEN", fd);
		count(fd >= 0 ? &p->counts->by_name : &p->counts->absent);
	} else {
		fd = open_node(name, O_RDWR | O_NONBLOCK);
		expect(fd >= 0 || fd == -ENOENT || fd == -ENXIO, "open", fd);
		count(fd >= 0 ? &p->counts->by_node :
		      fd == -ENXIO ? &p->counts->stale : &p->counts->absent);
	}
	if (fd >= 0)
		keep(p, fd);
}

/* Whether it had that name; by now it may be another's. */
static bool was_named(int fd, const char *name)
{
	return !strcmp(info_of(fd).name, name);
}

static void destroy_some(struct process *p)
{
	char name[NAME_SIZE];
	int ret, i;

	some_name(p, name);
	ret = destroy_queue(p->crowd->device, name);
	expect(!ret || ret == -ENOENT, "DESTROY", ret);
	count(ret ? &p->counts->absent : &p->counts->destroyed);
	for (i = 0; !ret && i < p->files; i++) {
		if (was_named(p->fd[i], name)) {
			use(p, p->fd[i]);
			count(&p->counts->nameless);
		}
	}
}

static void watch_some(struct process *p)
{
	static const char * const attributes[] = { "capacity", "depth", "sent", "dev" };
	char name[NAME_SIZE];

	some_name(p, name);
	if (is_shown(name, attributes[below(&p->random, 4)]))
		count(&p->counts->watched);
}

static void share_names(struct process *p)
{
	for (;; count(&p->counts->calls)) {
		if (one_in(&p->random, 8))
			dawdle(&p->random);
		switch (below(&p->random, 8)) {
		case 0:
			create_some(p);
			break;
		case 1:
		case 2:
			open_some(p);
			break;
		case 3:
			destroy_some(p);
			break;
		case 4:
			watch_some(p);
			break;
		case 5:
			close_some(p);
			break;
		default:
			if (p->files)
				use(p, p->fd[below(&p->random, p->files)]);
		}
	}
}

/*
 * Those who do not: every call has to do what it would if they were alone.
 */
static void expect_file(const char *what, int fd)
{
	expect(fd >= 0, what, fd);
	expect(put_msg(fd, LEN, 1) == LEN && take_msg(fd, LEN, 1) == LEN, what, 0);
	close(fd);
}

static void expect_present(struct process *p, const char *name)
{
	expect_file("OPEN of one's own", open_queue(p->crowd->device, name, O_RDWR));
	expect_file("open of one's own", open_node(name, O_RDWR));
	expect(make_named(p, name, 0) == -EEXIST, "CREATE of what is there", 0);
	expect(is_shown(name, "capacity"), "sysfs of one's own", 0);
}

static void expect_absent(struct process *p, const char *name)
{
	int ret = open_queue(p->crowd->device, name, O_RDWR);

	expect(ret == -ENOENT, "OPEN of none", ret);
	ret = open_node(name, O_RDWR);
	expect(ret == -ENOENT, "open of none", ret);
	ret = destroy_queue(p->crowd->device, name);
	expect(ret == -ENOENT, "DESTROY of none", ret);
	expect(!is_shown(name, "capacity"), "sysfs of none", 0);
}

static void own_a_name(struct process *p, const char *name, bool goes_alone)
{
	int fd = make_named(p, name, goes_alone ? MPMCQ_AUTO_DESTROY : 0);
	int node, ret;
	char path[64];

	expect(fd >= 0, "CREATE of one's own", fd);
	expect_present(p, name);
	node = open_node(name, O_PATH);
	expect(node >= 0, "open of a path", node);
	if (goes_alone) {
		close(fd);
	} else {
		ret = destroy_queue(p->crowd->device, name);
		expect(!ret, "DESTROY of one's own", ret);
		expect_file("a queue without a name", fd);
	}
	expect_absent(p, name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
	ret = result(open(path, O_RDWR));
	expect(ret == -ENXIO, "open of a stale node", ret);
	close(node);
	count(&p->counts->owned);
}

static void own_names(struct process *p)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), "%s.of.%d", p->crowd->prefix, getpid());
	for (;; count(&p->counts->calls)) {
		own_a_name(p, name, one_in(&p->random, 2));
		dawdle(&p->random);
	}
}

/*
 * All of them
 */
static bool hire(struct crowd *crowd, int i)
{
	crowd->random += PROCESSES;
	crowd->pid[i] = fork();
	if (!crowd->pid[i]) {
		struct process p = {
			.crowd = crowd, .counts = crowd->counts, .random = crowd->random + i,
		};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i < OWNERS)
			own_names(&p);
		else
			share_names(&p);
	}
	return crowd->pid[i] > 0;
}

static bool bury(struct crowd *crowd, int i)
{
	int status = wait_for_end(crowd->pid[i], "a killed process");

	crowd->pid[i] = 0;
	crowd->killed++;
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	say("process %d ended with %#x", i, status);
	return false;
}

static bool hire_all(struct crowd *crowd)
{
	int i;

	for (i = 0; i < PROCESSES; i++)
		if (!crowd->pid[i] && !hire(crowd, i))
			return false;
	return true;
}

/* Kills some, or all; false if one had ended otherwise. */
static bool kill_some(struct crowd *crowd, bool all)
{
	bool dead[PROCESSES] = {}, good = true;
	int i;

	for (i = 0; i < PROCESSES; i++) {
		dead[i] = crowd->pid[i] && (all || one_in(&crowd->random, 3));
		if (dead[i])
			kill(crowd->pid[i], SIGKILL);
		if (!all)
			dawdle(&crowd->random);
	}
	for (i = 0; i < PROCESSES; i++)
		if (dead[i])
			good &= bury(crowd, i);
	return good;
}

/* Waits until so much more has been done; false if nothing is, or somebody has ended. */
static bool go_on(struct crowd *crowd, __u32 calls)
{
	__u32 end = get(&crowd->counts->calls) + calls;
	struct watchdog dog = {};
	int i;

	while ((int)(get(&crowd->counts->calls) - end) < 0) {
		if (hangs(&dog, get(&crowd->counts->calls))) {
			for (i = 0; i < PROCESSES; i++)
				tell_waits(crowd->pid[i], "a process");
			return false;
		}
		usleep(500);
	}
	return true;
}

/* Of those in a folder whose names begin so: how many, and the first one's. */
static int count_entries(const char *path, const char *start, char *first)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, start, strlen(start)) && !n++ && first)
			snprintf(first, 2 * NAME_SIZE, "%.*s", 2 * NAME_SIZE - 1, entry->d_name);
	if (dir)
		closedir(dir);
	return dir ? n : -1;
}

static long module_users(void)
{
	return atol(line(MODULE_USERS, ""));
}

/* Names that were left by the dead, and are nobody's. */
static int destroy_rest(struct crowd *crowd)
{
	char start[2 * NAME_SIZE], name[2 * NAME_SIZE];
	int n = 0;

	snprintf(start, sizeof(start), "mpmcq-%s.", crowd->prefix);
	while (count_entries("/sys/class/mpmcq", start, name) > 0 &&
	       !destroy_queue(crowd->device, name + strlen("mpmcq-")))
		n++;
	return n;
}

static bool nothing_left(struct crowd *crowd)
{
	return count_entries("/dev", "mpmcq", NULL) == crowd->nodes &&
	       count_entries("/sys/class/mpmcq", "mpmcq", NULL) == crowd->nodes &&
	       module_users() == crowd->users;
}

FIXTURE(names)
{
	struct crowd crowd;
};

FIXTURE_SETUP(names)
{
	struct crowd *crowd = &self->crowd;

	crowd->random = seed();
	crowd->counts = shared_memory(sizeof(*crowd->counts));
	ASSERT_NE(NULL, crowd->counts);
	snprintf(crowd->prefix, sizeof(crowd->prefix), "abuse.%d", getpid());
	crowd->device = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, crowd->device);
	crowd->users = module_users();
	crowd->nodes = count_entries("/sys/class/mpmcq", "mpmcq", NULL);
}

FIXTURE_TEARDOWN(names)
{
	kill_some(&self->crowd, true);
	destroy_rest(&self->crowd);
}

TEST_F_TIMEOUT(names, come_and_go, 800)
{
	struct crowd *crowd = &self->crowd;
	struct counts *counts = crowd->counts;
	int round, rest;

	ASSERT_TRUE(nothing_left(crowd));
	for (round = percent_of(ROUNDS); round; round--) {
		ASSERT_TRUE(hire_all(crowd));
		ASSERT_TRUE(go_on(crowd, below(&crowd->random, 600)));
		ASSERT_TRUE(kill_some(crowd, false));
	}
	ASSERT_TRUE(kill_some(crowd, true));
	rest = destroy_rest(crowd);
	EXPECT_TRUE(nothing_left(crowd));
	say("%d processes killed, %d names were left; %u calls, %u reads from sysfs",
	    crowd->killed, rest, counts->calls, counts->watched);
	say("created %u, there already %u; opened by name %u, by node %u, absent %u, stale %u",
	    counts->created, counts->taken, counts->by_name, counts->by_node, counts->absent,
	    counts->stale);
	say("destroyed %u, used without a name %u; %u names of one's own", counts->destroyed,
	    counts->nameless, counts->owned);
	EXPECT_LT(0, counts->taken);
	EXPECT_LT(0, counts->by_name);
	EXPECT_LT(0, counts->by_node);
	EXPECT_LT(0, counts->absent);
	EXPECT_LT(0, counts->nameless);
	EXPECT_LT(0, counts->watched);
	EXPECT_LT(0, counts->owned);
}

/* The control: a name that stays, and a file that does. */
TEST_F(names, rest_is_found)
{
	struct crowd *crowd = &self->crowd;
	struct process p = { .crowd = crowd, .counts = crowd->counts, .random = 1 };
	char name[NAME_SIZE];
	int fd;

	some_name(&p, name);
	fd = make_named(&p, name, 0);
	ASSERT_LE(0, fd);
	EXPECT_FALSE(nothing_left(crowd));
	EXPECT_EQ(1, destroy_rest(crowd));
	EXPECT_FALSE(nothing_left(crowd));
	close(fd);
	EXPECT_TRUE(nothing_left(crowd));
}

/* The control: a wrong result ends the process, and that is noticed. */
TEST_F(names, wrong_result_is_found)
{
	struct crowd *crowd = &self->crowd;
	siginfo_t info;

	crowd->pid[0] = fork();
	if (!crowd->pid[0])
		expect(false, "as it has to be", -EIO);
	ASSERT_EQ(0, waitid(P_PID, crowd->pid[0], &info, WEXITED | WNOWAIT));
	EXPECT_FALSE(kill_some(crowd, true));
}

TEST_HARNESS_MAIN
