/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Failures that the kernel is told to have: the nth allocation or copy of a thread, or
 * all of its copies from the nth on; and a judge of operations that have them.
 *
 * An operation is repeated with another point failing each time, until it goes through
 * without a failure, so that every point has failed once.
 */
#ifndef MPMCQ_INJECT_H
#define MPMCQ_INJECT_H

#include "mpmcq_test.h"
#include "test_util.h"

#define POINTS_MAX	10000

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
	EACH("probability", "0"),	/* until a test wants many copies to fail */
	{ SLAB "ignore-gfp-wait", "N", "" },
	{ PAGE_ALLOC "ignore-gfp-wait", "N", "" },
	{ PAGE_ALLOC "ignore-gfp-highmem", "N", "" },
	{ PAGE_ALLOC "min-order", "0", "" },
};

static inline bool read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

/* The number that a file holds, -1 if there is none. */
static inline long read_number(const char *path)
{
	char text[32];

	return read_text(path, text, sizeof(text)) ? atol(text) : -1;
}

static inline bool write_number(const char *path, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	return write_text(path, text);
}

static inline bool set(struct setting *setting, int n)
{
	bool done = true;

	for (; n--; setting++)
		done = done && read_text(setting->path, setting->was, sizeof(setting->was)) &&
		       write_text(setting->path, setting->value);
	return done;
}

static inline void set_back(struct setting *setting, int n)
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

static inline bool injection_begin(void)
{
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	/* No page faults, which allocate too. */
	return fail_nth >= 0 && !mlockall(MCL_CURRENT | MCL_FUTURE) &&
	       set(injection, ARRAY_SIZE(injection));
}

static inline void injection_end(void)
{
	set_back(injection, ARRAY_SIZE(injection));
	close(fail_nth);
}

static inline bool arm(unsigned int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fail_nth, text, n, 0) == n;
}

/* How many failures were still to come, 0 if it has happened. */
static inline unsigned int disarm(void)
{
	char text[16] = "";
	ssize_t n = pread(fail_nth, text, sizeof(text) - 1, 0);

	/* Reading copies, and so does writing: then it happens only now. */
	while (!arm(0))
		;
	return n > 0 ? strtoul(text, NULL, 10) : 1;
}

struct data;

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

static inline bool may_fail_so(const struct operation *op, int ret)
{
	size_t i;

	for (i = 0; ret < 0 && i < ARRAY_SIZE(op->error); i++)
		if (op->error[i] == ret)
			return true;
	return ret >= 0;
}

/* Runs it with some of its points failing; whether that happened, -1 if it cannot be. */
typedef int (*attempt_fn)(struct data *d, const struct operation *op, unsigned int nth, int *ret);

/* The @nth point */
static inline int fail_one(struct data *d, const struct operation *op, unsigned int nth, int *ret)
{
	if (!arm(nth))
		return -1;
	*ret = op->run(d);
	return !disarm();
}

/*
 * From now on all copies of this thread fail, and with them all that it could do about
 * that: so it is a thread of its own.
 */
static inline bool fail_from_now_on(void)
{
	return write_text("/proc/thread-self/make-it-fail", "1");
}

struct attempt {
	struct data *d;
	const struct operation *op;
	int ret;
	bool possible;
	bool made;
	bool counted;
};

/* The end of a thread copies, too: it has to wait. */
static inline void *make_attempt(void *arg)
{
	struct attempt *attempt = arg;

	attempt->possible = fail_from_now_on();
	if (attempt->possible)
		attempt->ret = attempt->op->run(attempt->d);
	__atomic_store_n(&attempt->made, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&attempt->counted, __ATOMIC_ACQUIRE))
		sched_yield();
	return NULL;
}

#define TIMES	1000000

/* All copies from the @nth on */
static inline int fail_copies(struct data *d, const struct operation *op, unsigned int nth,
			      int *ret)
{
	struct attempt attempt = { .d = d, .op = op };
	pthread_t thread;
	bool set_back;
	long times;

	/* The last of the space cannot be used. */
	if (!write_number(USERCOPY "space", nth) || !write_number(USERCOPY "times", TIMES) ||
	    !write_text(USERCOPY "probability", "100") ||
	    pthread_create(&thread, NULL, make_attempt, &attempt))
		return -1;
	while (!__atomic_load_n(&attempt.made, __ATOMIC_ACQUIRE))
		sched_yield();
	times = read_number(USERCOPY "times");
	set_back = write_text(USERCOPY "probability", "0") && write_text(USERCOPY "times", "-1");
	__atomic_store_n(&attempt.counted, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	*ret = attempt.ret;
	return attempt.possible && set_back ? times < TIMES : -1;
}

/* What can be wrong with an operation; a bit each. */
enum fault {
	MISREPORTED	= 1,	/* it failed as it may not */
	MISDONE		= 2,	/* what came of it is not what it said */
	TOO_FEW		= 4,	/* points that can fail */
};

/* Repeats the operation until nothing fails; what is wrong with it. */
static inline int judge(struct __test_metadata *_metadata, struct data *d,
			const struct operation *op, attempt_fn attempt)
{
	int ret, fault, faults = 0, injected = true;
	unsigned int nth;

	for (nth = 1; injected; nth++) {
		ASSERT_GT(POINTS_MAX, nth);
		op->prepare(d);
		injected = attempt(d, op, nth, &ret);
		ASSERT_LE(0, injected);
		fault = (injected ? may_fail_so(op, ret) : ret >= 0) ? 0 : MISREPORTED;
		if (!op->verify(d, ret))
			fault |= MISDONE;
		if (fault)
			TH_LOG("%s: point %u: returned %d, fault %#x", op->name, nth, ret, fault);
		faults |= fault;
	}
	TH_LOG("%s: %u points%s", op->name, nth - 2,
	       attempt == fail_copies ? ", all failing from there on" : "");
	return nth - 2 < op->least ? faults | TOO_FEW : faults;
}

#define all_points(d, op)	EXPECT_EQ(0, judge(_metadata, d, op, fail_one))
#define all_copies(d, op)	EXPECT_EQ(0, judge(_metadata, d, op, fail_copies))

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define NAME_DUMP	"    6d 70 6d 63 71 00 "	/* "mpmcq" at the start of a line */

/*
 * What kmemleak has found, as @path tells.  Before Linux 6.2 a class that cannot be
 * registered leaves its name behind, and only that: such names do not count, up to one
 * for each load that @failed.  A class that the module leaves behind is more than a
 * name, or is still registered.
 */
static inline int count_leaks(const char *path, int failed)
{
	FILE *file = fopen(path, "r");
	bool is_name = false;
	int n = 0, names = 0;
	char line[256];

	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (!strncmp(line, "unreferenced object", 19)) {
			n++;
			is_name = false;
		} else if (!strncmp(line, NAME_DUMP, strlen(NAME_DUMP))) {
			is_name = true;
		} else if (is_name && strstr(line, "] __class_register+")) {
			names++;
		}
	}
	fclose(file);
	return n - (names < failed ? names : failed);
}

/*
 * So that those names are no complaint at the end, kmemleak looks now, with the
 * console told to leave out what is only information, and then forgets what it has
 * found, unless it is more than that.
 */
static inline int leaks(int failed)
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
		n = count_leaks(KMEMLEAK, failed);
	set_back(console, ARRAY_SIZE(console));
	if (n <= 0)
		write_text(KMEMLEAK, "clear");
	return n;
}

#endif /* MPMCQ_INJECT_H */
