// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures that the kernel is told to have.  Each operation is repeated with its
 * 1st, 2nd, 3rd ... allocation or copy failing until one goes through without; and
 * reads and writes with all copies failing.  After each nothing is lost, nothing is
 * left behind, and every slot can be used.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION and the three kinds of failures below,
 * and root.  Loading the module is tested if MPMCQ_RELOAD=1 allows that and
 * MPMCQ_KO is its file; in the end it is loaded as it was.
 */

#include <poll.h>
#include <sys/epoll.h>

#include "mpmcq_test.h"

#define SEGMENTS	12	/* more than the kernel has room for without allocating */
#define FILES		80	/* more than poll has room for without allocating */
#define POINTS_MAX	10000
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* A file that is set while a test runs. */
struct setting {
	const char *path;
	const char *value;
	char was[32];
};

#define SLAB		"/sys/kernel/debug/failslab/"
#define PAGE_ALLOC	"/sys/kernel/debug/fail_page_alloc/"
#define USERCOPY	"/sys/kernel/debug/fail_usercopy/"
#define EACH(name, value) \
	{ SLAB name, value, "" }, { PAGE_ALLOC name, value, "" }, { USERCOPY name, value, "" }

static struct setting injection[] = {
	EACH("verbose", "0"),		/* a dump of the stack would be a complaint */
	EACH("task-filter", "Y"),
	EACH("interval", "1"),
	EACH("times", "-1"),
	EACH("space", "0"),
	EACH("probability", "0"),	/* until a test wants all copies to fail */
	{ SLAB "ignore-gfp-wait", "N", "" },
	{ PAGE_ALLOC "ignore-gfp-wait", "N", "" },
	{ PAGE_ALLOC "ignore-gfp-highmem", "N", "" },
	{ PAGE_ALLOC "min-order", "0", "" },
};

static bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

static bool set(struct setting *setting, int n)
{
	bool done = true;

	for (; n--; setting++)
		done = done && read_text(setting->path, setting->was, sizeof(setting->was)) &&
		       write_text(setting->path, setting->value);
	return done;
}

static void restore(struct setting *setting, int n)
{
	while (n--)
		if (setting[n].was[0])
			write_text(setting[n].path, setting[n].was);
}

/* Runs before the harness begins, as queue_or_skip() does. */
static void __attribute__((constructor)) injection_or_skip(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(injection); i++) {
		if (access(injection[i].path, W_OK)) {
			ksft_print_header();
			ksft_exit_skip("%s: %s\n", injection[i].path, strerror(errno));
		}
	}
}

/* The nth failure of this thread, and of no other. */
static int fail_nth = -1;

static bool arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fail_nth, text, n, 0) == n;
}

/* How many failures were still to come, 0 if it has happened. */
static unsigned int disarm(void)
{
	char text[16] = "";
	ssize_t n = pread(fail_nth, text, sizeof(text) - 1, 0);

	/* Reading copies, and so does writing: then it happens only now. */
	while (!arm(0))
		;
	return n > 0 ? strtoul(text, NULL, 10) : 1;
}

/* What the operations work on. */
struct data {
	int fd;
	int nb;				/* does not wait */
	int capacity;
	int len;			/* of a message: as long as can be */
	unsigned char buf[MSG_SIZE_MAX];
	struct iovec iov[SEGMENTS];
	struct pollfd pfd[FILES];
	int epoll;
	int file;			/* that is read */
	long users;			/* of the module */
	struct mpmcq_info *info;
};

FIXTURE(inject)
{
	struct data data;
};

FIXTURE_SETUP(inject)
{
	struct data *d = &self->data;
	struct mpmcq_info info;

	d->fd = open(DEVICE, O_RDWR);
	d->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	d->epoll = epoll_create1(0);
	ASSERT_LE(0, d->fd);
	ASSERT_LE(0, d->nb);
	ASSERT_LE(0, d->epoll);
	ASSERT_EQ(0, query(d->fd, &info));
	ASSERT_EQ(0, info.depth);
	d->capacity = info.capacity;
	d->len = info.msg_size;
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_LE(0, fail_nth);
	/* No page faults, which allocate too. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	ASSERT_TRUE(set(injection, ARRAY_SIZE(injection)));
}

FIXTURE_TEARDOWN(inject)
{
	struct data *d = &self->data;

	restore(injection, ARRAY_SIZE(injection));
	EXPECT_EQ(0, depth(d->fd));
	EXPECT_EQ(d->capacity, put_all(d->nb, 1, 0));
	EXPECT_EQ(d->capacity, take_all(d->nb));
	close(fail_nth);
	close(d->epoll);
	close(d->nb);
	close(d->fd);
}

/* An operation that may fail. */
struct operation {
	const char *name;
	unsigned int least;			/* so many points can fail */
	void (*prepare)(struct data *d);
	int (*run)(struct data *d);
	int error[4];				/* that it may fail with */
	/* What came of it, @ret, is what it says; whether all is well. */
	bool (*verify)(struct data *d, int ret);
};

static bool may_return(const struct operation *op, int ret)
{
	size_t i;

	for (i = 0; ret < 0 && i < ARRAY_SIZE(op->error); i++)
		if (op->error[i] == ret)
			return true;
	return ret >= 0;
}

/* What can be wrong with an operation; a bit each. */
enum fault {
	MISREPORTED	= 1,	/* it failed as it may not */
	MISDONE		= 2,	/* what came of it is not what it said */
	TOO_FEW		= 4,	/* points that can fail */
};

/* Repeats the operation until nothing fails; what is wrong with it. */
static int judge(struct __test_metadata *_metadata, struct data *d, const struct operation *op)
{
	bool injected = true;
	unsigned int nth;
	int ret, fault, faults = 0;

	for (nth = 1; injected; nth++) {
		ASSERT_GT(POINTS_MAX, nth);
		op->prepare(d);
		ASSERT_TRUE(arm(nth));
		ret = op->run(d);
		injected = !disarm();
		fault = (injected ? may_return(op, ret) : ret >= 0) ? 0 : MISREPORTED;
		if (!op->verify(d, ret))
			fault |= MISDONE;
		if (fault)
			TH_LOG("%s: point %u: returned %d, fault %#x", op->name, nth, ret, fault);
		faults |= fault;
	}
	TH_LOG("%s: %u points", op->name, nth - 2);
	return nth - 2 < op->least ? faults | TOO_FEW : faults;
}

static void all_points(struct __test_metadata *_metadata, struct data *d,
		       const struct operation *op)
{
	EXPECT_EQ(0, judge(_metadata, d, op));
}

/* Cuts the message in pieces of all sizes. */
static void cut(struct data *d)
{
	int i, done = 0;

	for (i = 0; i < SEGMENTS; i++) {
		d->iov[i].iov_base = d->buf + done;
		d->iov[i].iov_len = i < SEGMENTS - 1 ? d->len / SEGMENTS + i % 2 : d->len - done;
		if ((int)d->iov[i].iov_len > d->len - done)
			d->iov[i].iov_len = d->len - done;
		done += d->iov[i].iov_len;
	}
}

/* Writing */
static void prepare_write(struct data *d)
{
	fill(d->buf, d->len, 1);
	cut(d);
}

static int run_write(struct data *d)
{
	return result(write(d->fd, d->buf, d->len));
}

static int run_writev(struct data *d)
{
	return result(writev(d->fd, d->iov, SEGMENTS));
}

/* It was sent whole, or not at all. */
static bool verify_write(struct data *d, int ret)
{
	if (ret < 0)
		return depth(d->fd) == 0;
	return ret == d->len && depth(d->fd) == 1 && take_msg(d->nb, d->len, 1) == d->len;
}

/* Reading */
static void prepare_read(struct data *d)
{
	put_msg(d->nb, d->len, 1);
	put_msg(d->nb, d->len, 2);
	memset(d->buf, JUNK, d->len);
	cut(d);
}

static int run_read(struct data *d)
{
	return result(read(d->fd, d->buf, d->len));
}

static int run_readv(struct data *d)
{
	return result(readv(d->fd, d->iov, SEGMENTS));
}

/* It was read whole, or comes next. */
static bool verify_read(struct data *d, int ret)
{
	if (ret < 0 ? take_msg(d->nb, d->len, 1) != d->len :
		      ret != d->len || !is_filled(d->buf, d->len, 1))
		return false;
	return take_msg(d->nb, d->len, 2) == d->len && depth(d->fd) == 0;
}

/* Opening */
static long users(void)
{
	char text[16];

	return read_text("/sys/module/mpmcq/refcnt", text, sizeof(text)) ? atol(text) : -1;
}

static void prepare_open(struct data *d)
{
	d->users = users();
}

static int run_open(struct data *d)
{
	return result(open(DEVICE, O_RDWR));
}

/* It works and is closed, or has never been. */
static bool verify_open(struct data *d, int ret)
{
	bool works = ret < 0 || (put_msg(ret, 5, 3) == 5 && take_msg(ret, 5, 3) == 5);

	if (ret >= 0)
		close(ret);
	return works && users() == d->users;
}

/* ioctl */
static void prepare_info(struct data *d)
{
	d->info = (void *)d->buf;
	memset(d->buf, 0, getpagesize());
	d->info->size = sizeof(*d->info);
}

static void prepare_long_info(struct data *d)
{
	prepare_info(d);
	d->info->size = getpagesize();
}

static int run_info(struct data *d)
{
	return result(ioctl(d->fd, MPMCQ_IOC_INFO, d->info));
}

static bool verify_info(struct data *d, int ret)
{
	return ret < 0 || (d->info->size == sizeof(*d->info) &&
			   (int)d->info->capacity == d->capacity && !d->info->depth);
}

/* Waiting: with more entries in wait queues than fit on the stack. */
static void prepare_poll(struct data *d)
{
	int i;

	for (i = 0; i < FILES; i++)
		d->pfd[i] = (struct pollfd){ .fd = d->fd, .events = POLLIN | POLLOUT };
}

static int run_poll(struct data *d)
{
	return result(poll(d->pfd, FILES, 0));
}

static bool verify_poll(struct data *d, int ret)
{
	int i;

	for (i = 0; ret >= 0 && i < FILES; i++)
		if (d->pfd[i].revents != POLLOUT)
			return false;
	return ret < 0 || ret == FILES;
}

static int epoll_op(struct data *d, int op)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	return result(epoll_ctl(d->epoll, op, d->fd, &event));
}

static void prepare_nothing(struct data *d)
{
}

static int run_epoll(struct data *d)
{
	return epoll_op(d, EPOLL_CTL_ADD);
}

static bool verify_epoll(struct data *d, int ret)
{
	struct epoll_event event;
	int events = epoll_wait(d->epoll, &event, 1, 0);

	if (ret < 0)
		return events == 0 && epoll_op(d, EPOLL_CTL_MOD) == -ENOENT;
	return events == 1 && event.events == EPOLLOUT && epoll_op(d, EPOLL_CTL_DEL) == 0;
}

static void prepare_async(struct data *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fcntl(d->fd, F_SETOWN, getpid());
}

static int run_async(struct data *d)
{
	return result(fcntl(d->fd, F_SETFL, O_ASYNC));
}

/* Half of it would be a signal for one of message and room. */
static bool verify_async(struct data *d, int ret)
{
	const struct timespec now = {};
	bool was_on = fcntl(d->fd, F_GETFL) & O_ASYNC;
	int signals = 0, i;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	for (i = 0; i < 2; i++) {
		if ((i ? take_msg(d->nb, 1, 4) : put_msg(d->nb, 1, 4)) != 1)
			return false;
		if (sigtimedwait(&set, NULL, &now) == SIGIO)
			signals++;
	}
	if (fcntl(d->fd, F_SETFL, 0))
		return false;
	return was_on == (ret >= 0) && signals == (ret >= 0 ? 2 : 0);
}

/* What the kernel tells in text */
static void prepare_fdinfo(struct data *d)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	d->file = open(path, O_RDONLY);
}

static void prepare_sysfs(struct data *d)
{
	d->file = open("/sys/class/mpmcq/mpmcq/capacity", O_RDONLY);
}

static int run_text(struct data *d)
{
	return result(read(d->file, d->buf, 1024));
}

static bool verify_text(struct data *d, int ret)
{
	char wanted[16];

	close(d->file);
	d->buf[ret < 0 ? 0 : ret] = '\0';
	snprintf(wanted, sizeof(wanted), "%d\n", d->capacity);
	return ret < 0 || strstr((char *)d->buf, wanted);
}

/* One copy that fails is tried again: these two may not fail. */
TEST_F(inject, write)
{
	const struct operation op = {
		"write", 1, prepare_write, run_write, { 0 }, verify_write
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, writev)
{
	const struct operation op = {
		"writev", 2 + SEGMENTS, prepare_write, run_writev, { -EFAULT, -ENOMEM },
		verify_write
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, read)
{
	const struct operation op = {
		"read", 1, prepare_read, run_read, { 0 }, verify_read
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, readv)
{
	const struct operation op = {
		"readv", 2 + SEGMENTS, prepare_read, run_readv, { -EFAULT, -ENOMEM }, verify_read
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, open)
{
	const struct operation op = {
		"open", 3, prepare_open, run_open, { -ENOMEM, -EFAULT }, verify_open
	};

	if (users() < 0)
		SKIP(return, "the module is built in: it has no count of users");
	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, ioctl_info)
{
	const struct operation op = {
		"ioctl: INFO", 2, prepare_info, run_info, { -EFAULT }, verify_info
	};
	const struct operation op_long = {
		"ioctl: INFO of a page", 2, prepare_long_info, run_info, { -EFAULT }, verify_info
	};

	all_points(_metadata, &self->data, &op);
	all_points(_metadata, &self->data, &op_long);
}

TEST_F(inject, poll)
{
	const struct operation op = {
		"poll", 3, prepare_poll, run_poll, { -EFAULT, -ENOMEM }, verify_poll
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, epoll)
{
	const struct operation op = {
		"epoll_ctl", 4, prepare_nothing, run_epoll, { -EFAULT, -ENOMEM }, verify_epoll
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, async)
{
	const struct operation op = {
		"fcntl: O_ASYNC", 2, prepare_async, run_async, { -ENOMEM }, verify_async
	};

	all_points(_metadata, &self->data, &op);
}

TEST_F(inject, text)
{
	const struct operation op = {
		"fdinfo", 2, prepare_fdinfo, run_text, { -EFAULT, -ENOMEM }, verify_text
	};
	const struct operation op_sysfs = {
		"sysfs", 2, prepare_sysfs, run_text, { -EFAULT, -ENOMEM }, verify_text
	};

	all_points(_metadata, &self->data, &op);
	all_points(_metadata, &self->data, &op_sysfs);
}

/* The controls: operations that have to be found wrong. */
static int run_nothing(struct data *d)
{
	return 0;
}

static bool verify_nothing(struct data *d, int ret)
{
	return true;
}

TEST_F(inject, control_nothing_can_fail)
{
	const struct operation op = {
		"nothing", 1, prepare_nothing, run_nothing, { 0 }, verify_nothing
	};

	EXPECT_EQ(TOO_FEW, judge(_metadata, &self->data, &op));
}

static int run_refused_write(struct data *d)
{
	return -ENOMEM;
}

TEST_F(inject, control_failed_without_reason)
{
	const struct operation op = {
		"a refused write", 0, prepare_write, run_refused_write, { -ENOMEM }, verify_write
	};

	EXPECT_EQ(MISREPORTED, judge(_metadata, &self->data, &op));
}

static int run_lost_write(struct data *d)
{
	int ret = run_write(d);

	take_all(d->nb);
	return ret;
}

TEST_F(inject, control_write_loses)
{
	const struct operation op = {
		"a lost write", 1, prepare_write, run_lost_write, { 0 }, verify_write
	};

	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op));
}

/* Fails with the message already taken. */
static int run_losing_read(struct data *d)
{
	int ret = run_read(d);

	return ret < 0 ? ret : -EFAULT;
}

TEST_F(inject, control_failed_read_loses)
{
	const struct operation op = {
		"a losing read", 1, prepare_read, run_losing_read, { -EFAULT }, verify_read
	};

	EXPECT_EQ(MISREPORTED | MISDONE, judge(_metadata, &self->data, &op));
}

/*
 * All copies of a thread fail, and with them all that it could do about that: so it
 * is a thread of its own.
 */
static bool fail_from_now_on(void)
{
	return write_text("/proc/thread-self/make-it-fail", "1");
}

/* How often it failed, up to @times. */
static ssize_t fail_often(struct data *d, int (*run)(struct data *), size_t times)
{
	size_t i;

	if (!fail_from_now_on())
		return -1;
	for (i = 0; i < times && run(d) == -EFAULT; i++)
		;
	return i;
}

static ssize_t failing_writes(int fd, void *arg, size_t times)
{
	return fail_often(arg, run_write, times);
}

static ssize_t failing_reads(int fd, void *arg, size_t times)
{
	return fail_often(arg, run_read, times);
}

TEST_F(inject, all_copies)
{
	struct data *d = &self->data;
	int times = 2 * d->capacity;
	struct call call;

	prepare_write(d);
	ASSERT_TRUE(write_text(USERCOPY "probability", "100"));
	ASSERT_EQ(0, start_call(&call, failing_writes, d->fd, d, times));
	EXPECT_EQ(times, finish_call(&call));
	EXPECT_EQ(0, depth(d->fd));

	prepare_read(d);
	ASSERT_EQ(0, start_call(&call, failing_reads, d->fd, d, times));
	EXPECT_EQ(times, finish_call(&call));
	EXPECT_EQ(2, depth(d->fd));
	EXPECT_EQ(d->len, next_len(d->fd));
	ASSERT_TRUE(write_text(USERCOPY "probability", "0"));
	EXPECT_TRUE(verify_read(d, -EFAULT));
}

/*
 * Loading
 */
FIXTURE(load)
{
	char as_found[64];
};

/* The module's file */
static void *image;
static size_t image_size;

static unsigned int parameter(const char *path)
{
	char text[16];

	return read_text(path, text, sizeof(text)) ? atoi(text) : 0;
}

static int load(const char *parameters)
{
	return result(syscall(SYS_init_module, image, image_size, parameters));
}

static int unload(void)
{
	return result(syscall(SYS_delete_module, "mpmcq", O_NONBLOCK));
}

/* Nothing is left of it, nor of its device numbers. */
static bool gone(void)
{
	char text[4096];

	return access("/sys/module/mpmcq", F_OK) && access("/sys/class/mpmcq", F_OK) &&
	       access(DEVICE, F_OK) && read_text("/proc/devices", text, sizeof(text)) &&
	       !strstr(text, " mpmcq\n");
}

static bool works(void)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK);
	bool ok = fd >= 0 && put_msg(fd, 5, 1) == 5 && take_msg(fd, 5, 1) == 5;

	close(fd);
	return ok;
}

FIXTURE_SETUP(load)
{
	const char *allowed = getenv("MPMCQ_RELOAD"), *path = getenv("MPMCQ_KO");
	int file;

	if (!allowed || strcmp(allowed, "1") || !path)
		SKIP(return, "MPMCQ_RELOAD=1 and MPMCQ_KO would allow me to reload the module");
	file = open(path, O_RDONLY);
	ASSERT_LE(0, file);
	image_size = lseek(file, 0, SEEK_END);
	image = malloc(image_size);
	ASSERT_NE(NULL, image);
	ASSERT_EQ(image_size, pread(file, image, image_size, 0));
	close(file);
	snprintf(self->as_found, sizeof(self->as_found), "capacity=%u msg_size=%u",
		 parameter("/sys/module/mpmcq/parameters/capacity"),
		 parameter("/sys/module/mpmcq/parameters/msg_size"));
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	ASSERT_LE(0, fail_nth);
	ASSERT_EQ(0, mlockall(MCL_CURRENT | MCL_FUTURE));
	ASSERT_TRUE(set(injection, ARRAY_SIZE(injection)));
	ASSERT_EQ(0, unload());
}

FIXTURE_TEARDOWN(load)
{
	restore(injection, ARRAY_SIZE(injection));
	EXPECT_EQ(0, load(self->as_found));
	close(fail_nth);
}

#define NAME_DUMP	"    6d 70 6d 63 71 00 "		/* "mpmcq" at the start of a line */

/*
 * What kmemleak has found.  Before Linux 6.2 a class that cannot be registered leaves
 * its name behind, and only that: such names do not count, up to one for each load
 * that @failed.  A class that the module leaves behind is more than a name, or is
 * still registered, and then not gone().
 */
static int count_leaks(int failed)
{
	FILE *file = fopen(KMEMLEAK, "r");
	bool is_name = false;
	int n = 0, names = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "unreferenced object", 19)) {
			n++;
			is_name = false;
		} else if (!strncmp(line, NAME_DUMP, strlen(NAME_DUMP))) {
			is_name = true;
		} else if (is_name && strstr(line, "] __class_register+")) {
			names++;
		}
	}
	if (file)
		fclose(file);
	return n - (names < failed ? names : failed);
}

/*
 * So that those names are no complaint at the end, kmemleak looks now, with the
 * console told to leave out what is only information, and then forgets what it has
 * found.
 */
static int leaks(int failed)
{
	struct setting console[] = {
		{ "/sys/module/printk/parameters/ignore_loglevel", "N", "" },
		{ "/proc/sys/kernel/printk", "5", "" },
	};
	int n = -1;

	if (access(KMEMLEAK, W_OK))
		return 0;	/* the kernel does not look for leaks */
	sleep(6);		/* what is younger does not count */
	if (set(console, ARRAY_SIZE(console)) && write_text(KMEMLEAK, "scan") &&
	    write_text(KMEMLEAK, "scan"))
		n = count_leaks(failed);
	restore(console, ARRAY_SIZE(console));
	write_text(KMEMLEAK, "clear");
	return n;
}

/*
 * What the kernel does before it calls the module is not ours to try, and some of it
 * complains.  Where that ends is found by a load that fails before it has allocated
 * anything; a few are tried on the way there, as not every load takes as many.
 */
TEST_F_TIMEOUT(load, load, 600)
{
	unsigned int nth, before;
	bool injected = true;
	int ret, failed = 0;

	ASSERT_TRUE(arm(POINTS_MAX));
	ret = load("capacity=3");
	before = POINTS_MAX - disarm();
	ASSERT_EQ(-EINVAL, ret);
	ASSERT_LT(8, before);
	for (nth = before - 7; injected; nth++) {
		ASSERT_GT(POINTS_MAX, nth);
		ASSERT_TRUE(arm(nth));
		ret = load("capacity=2 msg_size=16");
		injected = !disarm();
		if (!ret) {
			EXPECT_TRUE(works()) TH_LOG("point %u", nth);
			ASSERT_EQ(0, unload()) TH_LOG("point %u", nth);
		} else {
			EXPECT_TRUE(injected);
			EXPECT_EQ(-ENOMEM, ret) TH_LOG("point %u", nth);
			failed++;
		}
		ASSERT_TRUE(gone()) TH_LOG("point %u: something is left after %d", nth, ret);
	}
	TH_LOG("load: %u points, after %u of the kernel's own", nth - 2 - before, before);
	EXPECT_LE(20, nth - 2 - before);
	EXPECT_EQ(0, leaks(failed));
}

TEST_HARNESS_MAIN
