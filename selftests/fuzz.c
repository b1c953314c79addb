// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on the device, by several threads and processes, with buffers
 * good and bad, interrupted by signals.  Each result has to be one that the call
 * may have there and then, every message written arrives once, whole and in order,
 * and in the end each slot can still be filled.
 *
 * MPMCQ_FUZZ_CALLS is how many calls each test makes (default 10000).  Each test
 * tells its seed; with MPMCQ_FUZZ_SEED set to it every worker makes the same calls
 * again.  How they interleave may differ.  The test with one worker leaves out what
 * depends on the time, so the queue is predicted exactly and a replay is the same;
 * with several the results are judged by what the others may do.
 *
 * The control_ tests feed the judgement with faults.
 */

#include <liburing.h>
#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <time.h>

#include "fuzz_model.h"

#define OWN		8	/* files a worker has to itself */
#define HOT		8	/* another one, that all in its process replace */
#define COMMON		9	/* and one that all workers share */
#define FILES		10
#define SEGMENTS	(IOV_MAX + 1)
#define TIMERS		2

/* What epoll was asked to tell of a file. */
struct interest {
	__u32 events;		/* 0 if it is not registered */
	bool disarmed;		/* EPOLLONESHOT has struck */
	__u32 generation;	/* of the file in its place */
};

/* The descriptors of a worker, and what they are like; and its timers. */
struct files {
	int fd[FILES];
	int of[FILES];			/* which open file */
	struct open_file {
		int access;
		bool nonblock;
		bool async;
	} open[FILES];
	int epoll;
	struct interest interest[FILES];
	timer_t timer[TIMERS];
};

/* Memory for buffers: the pages of one file, mapped several times. */
enum view { GOOD, READ_ONLY, FRESH, FLAKY /* the last, see lay_out() */, VIEWS };

struct arena {
	unsigned char *view[VIEWS];	/* beyond the end of which nothing is accessible */
	unsigned char *hole;		/* nor is this page */
	size_t size;
	int file;
	struct io_uring ring;
	unsigned char msg[2 * MSG_SIZE_MAX];

	/* The buffer of the call: */
	struct iovec iov[SEGMENTS];
	int segments;
	int broken;			/* the one of them that is in the hole */
	size_t at[SEGMENTS + 1];	/* where in the pages; the last is the end */
};

/* Shared by the process it runs in and by those that it forks, one at a time. */
struct worker {
	struct world *world;
	struct order order;
	struct arena *arena;
	__u64 seed;
	int id;
	__u32 call;			/* number of the current call */
	__u32 number;			/* of the next message */
	__u64 random;
	bool forked;
	bool failed;
	bool done;			/* its pages may stay */
	struct files files;
};

static struct worker *new_workers(struct world *world, __u64 seed)
{
	struct worker *w = share(world->workers * sizeof(*w));
	__u32 i;

	for (i = 0; w && i < world->workers; i++) {
		w[i].world = world;
		w[i].id = i;
		w[i].seed = seed;
		w[i].random = seed + i * 0x632be59bd9b4e019ULL;
	}
	return w;
}

/* Below @n; the same each time for a seed, a worker and how many it has drawn. */
static __u32 draw(struct worker *w, __u32 n)
{
	__u64 z = w->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z >> 32) % n;
}

static bool one_in(struct worker *w, __u32 n)
{
	return !draw(w, n);
}

/*
 * The controls: what a bad queue would do is told.
 */
FIXTURE(control)
{
	struct world *world;
	struct order order;
	unsigned char buf[64];
};

FIXTURE_VARIANT(control)
{
	int workers;
};

FIXTURE_VARIANT_ADD(control, exact) { .workers = 1 };
FIXTURE_VARIANT_ADD(control, crowd) { .workers = 2 };

FIXTURE_SETUP(control)
{
	self->world = new_world(variant->workers, 4, 2, 64);
	ASSERT_NE(NULL, self->world);
	self->world->ordered = true;
}

FIXTURE_TEARDOWN(control)
{
}

#define deliver(number, len) ({ \
	write_message(self->buf, len, 0, number); \
	arrived(self->world, &self->order, self->buf, len); })

TEST_F(control, good)
{
	sent(self->world, 0, 0, 16);
	EXPECT_EQ(0, deliver(0, 16));
	sent(self->world, 0, 2, 64);
	sent(self->world, 0, 0, 3);
	EXPECT_EQ(0, deliver(2, 64));
	EXPECT_EQ(0, deliver(0, 3));
	EXPECT_EQ(0, all_arrived(self->world));
}

TEST_F(control, lost)
{
	sent(self->world, 0, 0, 20);
	sent(self->world, 0, 1, 20);
	deliver(1, 20);
	EXPECT_EQ(LOST, all_arrived(self->world));
}

TEST_F(control, short_lost)
{
	sent(self->world, 0, 0, 5);
	EXPECT_EQ(LOST, all_arrived(self->world));
}

TEST_F(control, repeated)
{
	sent(self->world, 0, 0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(REORDERED, deliver(0, 20));
	EXPECT_EQ(REPEATED, all_arrived(self->world));
}

TEST_F(control, short_repeated)
{
	sent(self->world, 0, 0, 5);
	EXPECT_EQ(0, deliver(0, 5));
	deliver(0, 5);
	EXPECT_EQ(REPEATED, all_arrived(self->world));
}

TEST_F(control, failed_but_sent)
{
	deliver(1, 20);
	EXPECT_EQ(UNKNOWN, all_arrived(self->world));
}

TEST_F(control, reordered)
{
	sent(self->world, 0, 0, 20);
	sent(self->world, 0, 1, 20);
	EXPECT_EQ(self->world->exact ? REORDERED : 0, deliver(1, 20));
	EXPECT_EQ(REORDERED, deliver(0, 20));
	EXPECT_EQ(0, all_arrived(self->world));
}

TEST_F(control, torn)
{
	int i, len;

	for (len = 2; len < 64; len += 7) {
		write_message(self->buf, len, 0, 1);
		for (i = 0; i < len; i++) {
			self->buf[i] ^= 0x10;
			EXPECT_EQ(TORN, arrived(self->world, &self->order, self->buf, len));
			self->buf[i] ^= 0x10;
		}
		EXPECT_EQ(TORN, arrived(self->world, &self->order, self->buf, len - 1));
		EXPECT_EQ(TORN, arrived(self->world, &self->order, self->buf, len + 1));
	}
}

#define judge(ret, ...) ({ \
	const struct request r = { __VA_ARGS__ }; \
	const struct expected e = expect(self->world, &r); \
	as_expected(&e, ret); })

TEST_F(control, write_results)
{
	bool full = !self->world->exact;

#define of_20_bytes .write = true, .total = 20, .there = 20, .may_wait = true
	EXPECT_TRUE(judge(20, of_20_bytes));
	EXPECT_FALSE(judge(19, of_20_bytes));
	EXPECT_FALSE(judge(21, of_20_bytes));
	EXPECT_FALSE(judge(0, of_20_bytes));
	EXPECT_FALSE(judge(-EFAULT, of_20_bytes));
	EXPECT_FALSE(judge(-EMSGSIZE, of_20_bytes));
	EXPECT_FALSE(judge(-EINVAL, of_20_bytes));
	EXPECT_FALSE(judge(-ERANGE, of_20_bytes));
	EXPECT_FALSE(judge(-EAGAIN, of_20_bytes));
	EXPECT_EQ(full, judge(-EINTR, of_20_bytes));
	EXPECT_TRUE(judge(-EFAULT, of_20_bytes, .flaky = true));
	EXPECT_TRUE(judge(20, of_20_bytes, .flaky = true));

	EXPECT_FALSE(judge(20, .write = true, .total = 20, .there = 19));
	EXPECT_TRUE(judge(-EFAULT, .write = true, .total = 20, .there = 19));
	EXPECT_FALSE(judge(65, .write = true, .total = 65, .there = 65));
	EXPECT_TRUE(judge(-EMSGSIZE, .write = true, .total = 65, .there = 65));
	EXPECT_FALSE(judge(-EMSGSIZE, .write = true, .total = 64, .there = 64));
	EXPECT_TRUE(judge(-EINVAL, .write = true));
	EXPECT_FALSE(judge(0, .write = true));
	EXPECT_TRUE(judge(0, .write = true, .vector = true));

	sent(self->world, 0, 0, 20);
	sent(self->world, 0, 1, 20);
	EXPECT_TRUE(judge(-EAGAIN, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_FALSE(judge(-EINTR, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_TRUE(judge(-EINTR, of_20_bytes));
	EXPECT_FALSE(judge(-ECANCELED, of_20_bytes));
	EXPECT_TRUE(judge(-ECANCELED, of_20_bytes, .cancelled = true));
	EXPECT_EQ(!self->world->exact, judge(20, of_20_bytes));
}

TEST_F(control, read_results)
{
	bool exact = self->world->exact;

#define into_30_bytes .total = 30, .there = 30, .may_refuse = true
	EXPECT_TRUE(judge(-EAGAIN, into_30_bytes));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes));
	EXPECT_EQ(!exact, judge(20, into_30_bytes));

	sent(self->world, 0, 0, 20);
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(!exact, judge(19, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EMSGSIZE, into_30_bytes));
	EXPECT_FALSE(judge(31, into_30_bytes));
	EXPECT_FALSE(judge(0, into_30_bytes));
	EXPECT_FALSE(judge(-EFAULT, into_30_bytes));
	EXPECT_TRUE(judge(-EFAULT, into_30_bytes, .flaky = true));
	EXPECT_EQ(!exact, judge(-EFAULT, .total = 30, .there = 20));
	EXPECT_TRUE(judge(-EFAULT, .total = 30, .there = 19));
	EXPECT_FALSE(judge(20, .total = 30, .there = 19));
	EXPECT_TRUE(judge(-EMSGSIZE, .total = 19));
	EXPECT_FALSE(judge(20, .total = 19, .there = 19));
	EXPECT_FALSE(judge(-EMSGSIZE, .total = 64, .there = 64));
	EXPECT_TRUE(judge(0, .may_wait = true));
	EXPECT_FALSE(judge(-EAGAIN, .may_refuse = true));
}

TEST_F(control, refusals)
{
	struct expected refusal = NOTHING;

	may_fail(&refusal, -EBADF);
	EXPECT_TRUE(judge(-EBADF, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(-EAGAIN, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(20, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(0, into_30_bytes, .refusal = refusal));
}

/*
 * The calls.  The first failure of a worker is told, and is its end.
 */
static void complain(struct worker *w, const char *call, ssize_t ret, const char *instead)
{
	w->failed = true;
	dprintf(STDOUT_FILENO, "# MPMCQ_FUZZ_SEED=%llu: worker %d, call %u: %s: %zd%s\n",
		(unsigned long long)w->seed, w->id, w->call, call, ret, instead);
}

/* The call has to have returned what was expected; whether it has. */
static bool returned(struct worker *w, const char *call, ssize_t ret, const struct expected *e)
{
	char text[160];
	int i, n = 0;

	if (as_expected(e, ret))
		return true;
	for (i = 0; i < e->errors; i++)
		n += snprintf(text + n, sizeof(text) - n, ", not %d", e->error[i]);
	if (e->min <= e->max)
		snprintf(text + n, sizeof(text) - n, ", not %zd to %zd", e->min, e->max);
	complain(w, call, ret, text);
	return false;
}

/* That, where there is only one result. */
static bool has_to(struct worker *w, const char *call, ssize_t ret, ssize_t result)
{
	const struct expected e = { .min = result, .max = result };

	return returned(w, call, ret, &e);
}

/* The files */
static bool readable(const struct open_file *of)
{
	return of->access == O_RDONLY || of->access == O_RDWR;
}

static bool writable(const struct open_file *of)
{
	return of->access == O_WRONLY || of->access == O_RDWR;
}

static struct open_file *open_file(struct worker *w, int i)
{
	return &w->files.open[w->files.of[i]];
}

/* Which of @events poll may tell, or has to if @must, of file @i. */
static __u32 ready(struct worker *w, int i, __u32 events, bool must)
{
	const struct world *world = w->world;
	const struct open_file *of = open_file(w, i);
	__u32 mask = 0;

	if (readable(of) && (world->exact ? world->depth : !must))
		mask |= POLLIN | POLLRDNORM;
	if (writable(of) && (world->exact ? world->depth < world->capacity : !must))
		mask |= POLLOUT | POLLWRNORM;
	return events & mask;
}

/* Whether other descriptors of the worker are of the same open file. */
static bool has_twin(struct worker *w, int i)
{
	int j;

	for (j = 0; j < OWN; j++)
		if (j != i && w->files.of[j] == w->files.of[i])
			return true;
	return false;
}

/* Before file @i is replaced: closing it would leave it with epoll if it has a twin. */
static void forget(struct worker *w, int i)
{
	struct interest *interest = &w->files.interest[i];

	if (interest->events && has_twin(w, i))
		has_to(w, "epoll_ctl: del", result(epoll_ctl(w->files.epoll, EPOLL_CTL_DEL,
							     w->files.fd[i], NULL)), 0);
	*interest = (struct interest){ .generation = interest->generation + 1 };
}

static int unused_open_file(struct worker *w)
{
	int i, of;

	for (of = 0; of < OWN; of++) {
		for (i = 0; i < OWN && w->files.of[i] != of; i++)
			;
		if (i == OWN)
			break;
	}
	return of;
}

static void open_at(struct worker *w, int i, int flags)
{
	char path[32] = DEVICE;
	int of;

	if (one_in(w, 4))
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->files.fd[COMMON]);
	w->files.fd[i] = result(open(path, flags));
	w->files.of[i] = -1;
	of = unused_open_file(w);
	w->files.of[i] = of;
	w->files.open[of] = (struct open_file){
		.access = flags & O_ACCMODE,
		.nonblock = flags & O_NONBLOCK,
	};
	if (w->files.fd[i] < 0)
		complain(w, "open", w->files.fd[i], "");
}

static int draw_open_flags(struct worker *w)
{
	static const int access[] = { O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, O_ACCMODE };

	return access[draw(w, ARRAY_SIZE(access))] | (one_in(w, 2) ? O_NONBLOCK : 0) |
	       (one_in(w, 2) ? O_CLOEXEC : 0) | (one_in(w, 4) ? O_APPEND : 0);
}

static void call_open(struct worker *w)
{
	static const struct { int flag, error; } bad[] = {
		{ O_DIRECT, -EINVAL }, { O_DIRECTORY, -ENOTDIR }, { O_CREAT | O_EXCL, -EEXIST },
	};
	int i = draw(w, OWN), flags = draw_open_flags(w);

	if (one_in(w, 4)) {
		i = draw(w, ARRAY_SIZE(bad));
		has_to(w, "open", result(open(DEVICE, flags | bad[i].flag, 0)), bad[i].error);
		return;
	}
	forget(w, i);
	has_to(w, "close", result(close(w->files.fd[i])), 0);
	open_at(w, i, flags);
}

static void call_dup(struct worker *w)
{
	int from = draw(w, OWN), to = draw(w, OWN), fd = w->files.fd[to];

	if (from == to)
		return;
	/* The hot one is in use by others just now. */
	if (one_in(w, 2) && open_file(w, from)->access == O_RDWR) {
		has_to(w, "dup2", result(dup2(w->files.fd[from], w->files.fd[HOT])),
		       w->files.fd[HOT]);
		return;
	}
	forget(w, to);
	has_to(w, "dup3", result(dup3(w->files.fd[from], fd, one_in(w, 2) ? O_CLOEXEC : 0)), fd);
	w->files.of[to] = w->files.of[from];
}

static void check_flags(struct worker *w, int i)
{
	const struct open_file *of = open_file(w, i);

	has_to(w, "fcntl: F_GETFL",
	       result(fcntl(w->files.fd[i], F_GETFL)) & (O_ACCMODE | O_NONBLOCK | O_ASYNC),
	       of->access | (of->nonblock ? O_NONBLOCK : 0) | (of->async ? O_ASYNC : 0));
}

static void set_owner(struct worker *w, int fd)
{
	const struct f_owner_ex owner = { F_OWNER_TID, gettid() };

	has_to(w, "fcntl: F_SETOWN_EX", result(fcntl(fd, F_SETOWN_EX, &owner)), 0);
	has_to(w, "fcntl: F_SETSIG",
	       result(fcntl(fd, F_SETSIG, one_in(w, 2) ? 0 : SIGRTMIN + (int)draw(w, 2))), 0);
}

static void call_set_flags(struct worker *w)
{
	int i = one_in(w, 4) ? COMMON : (int)draw(w, OWN), fd = w->files.fd[i];
	struct open_file *of = open_file(w, i);
	int nonblock = draw(w, 2), async = one_in(w, 3);

	set_owner(w, fd);
	if (one_in(w, 2)) {
		has_to(w, "fcntl: F_SETFL", result(fcntl(fd, F_SETFL, (nonblock ? O_NONBLOCK : 0) |
							 (async ? O_ASYNC : 0))), 0);
	} else {
		has_to(w, "ioctl: FIONBIO", result(ioctl(fd, FIONBIO, &nonblock)), 0);
		has_to(w, "ioctl: FIOASYNC", result(ioctl(fd, FIOASYNC, &async)), 0);
	}
	if (i == COMMON)
		return;
	of->nonblock = nonblock;
	/* With neither access there is nothing that a signal could tell. */
	of->async = async && (readable(of) || writable(of));
	check_flags(w, i);
}

/* The buffers */
static unsigned char *map(size_t len, int prot, int file)
{
	void *mem = mmap(NULL, len, prot, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
			 file, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

/* False if memory or a descriptor is not to be had. */
static bool new_arena(struct worker *w)
{
	size_t page = getpagesize();
	struct arena *a = calloc(1, sizeof(*a));
	int i;

	if (!a)
		return false;
	w->arena = a;
	a->size = (w->world->msg_size + (SEGMENTS + 1) * MARGIN + 3 * page) / page * page;
	a->file = memfd_create("arena", 0);
	a->hole = map(page, PROT_NONE, -1);
	if (a->file < 0 || !a->hole || ftruncate(a->file, a->size))
		return false;
	for (i = 0; i < VIEWS; i++) {
		/* The last page is beyond the end of the file. */
		a->view[i] = map(a->size + page, PROT_READ | PROT_WRITE, a->file);
		if (!a->view[i])
			return false;
	}
	return !mprotect(a->view[GOOD] + a->size, page, PROT_NONE) &&
	       !mprotect(a->view[READ_ONLY], a->size + page, PROT_READ) &&
	       !io_uring_queue_init(8, &a->ring, 0);
}

/* Of @left bytes, those for one of @more segments. */
static size_t cut(struct worker *w, size_t left, int more)
{
	size_t len = more > 1 ? draw(w, 2 * left / more + 2) : left;

	return len < left ? len : left;
}

/*
 * Makes a buffer of @len bytes in so many segments, apart by MARGIN, and finds out
 * how much of it is accessible.
 */
static void lay_out(struct worker *w, struct request *r, size_t len, int segments, bool bad)
{
	struct arena *a = w->arena;
	size_t taken = len + (segments + 1) * MARGIN, page = getpagesize();
	size_t pos = draw(w, a->size - taken), left = len, done = 0;
	enum view view = bad ? draw(w, w->world->exact ? FLAKY : VIEWS) : GOOD;
	int i, broken = bad && segments && one_in(w, 4) ? (int)draw(w, segments) : -1;

	if (bad && one_in(w, 3))
		pos = a->size - taken + draw(w, taken);		/* over the end */
	else if (bad && one_in(w, 2))
		pos = 2 * page - draw(w, taken < page ? taken : page);
	r->total = len;
	r->there = view == READ_ONLY && !r->write ? 0 : SIZE_MAX;
	r->flaky = view == FLAKY;
	a->segments = segments;
	a->broken = broken;
	memset(a->view[GOOD] + pos, JUNK, pos + taken < a->size ? taken : a->size - pos);
	if (view == FRESH)
		madvise(a->view[FRESH], a->size, MADV_DONTNEED);
	/* A page that is there, so that the copy breaks off at the next one. */
	if (view == FRESH && one_in(w, 2))
		a->view[FRESH][pos] = JUNK;
	for (i = 0; i < segments; i++) {
		struct iovec *v = &a->iov[i];

		pos += MARGIN;
		v->iov_len = cut(w, left, segments - i);
		v->iov_base = i == broken ? a->hole : a->view[view] + pos;
		a->at[i] = pos;
		if (v->iov_len && r->there > done && i == broken)
			r->there = done;
		else if (v->iov_len && r->there > done && pos + v->iov_len > a->size)
			r->there = done + (pos < a->size ? a->size - pos : 0);
		pos += v->iov_len;
		done += v->iov_len;
		left -= v->iov_len;
	}
	a->at[i] = pos + MARGIN;
	if (r->there == SIZE_MAX)
		r->there = len;
}

/* The length of segment @i, whatever the call is told, and how much of it is accessible. */
static size_t length_at(const struct arena *a, int i)
{
	return a->at[i + 1] - MARGIN - a->at[i];
}

static size_t visible(const struct arena *a, int i)
{
	size_t len = length_at(a, i);

	if (i == a->broken || a->at[i] >= a->size)
		return 0;
	return a->at[i] + len < a->size ? len : a->size - a->at[i];
}

/* Copies the message to the buffer, or @len bytes back. */
static void scatter(struct arena *a)
{
	size_t done = 0;
	int i;

	for (i = 0; i < a->segments; i++) {
		memcpy(a->view[GOOD] + a->at[i], a->msg + done, visible(a, i));
		done += length_at(a, i);
	}
}

static void gather(struct arena *a, size_t len)
{
	size_t n, done = 0;
	int i;

	for (i = 0; done < len; i++) {
		n = visible(a, i);
		if (n > len - done)
			n = len - done;
		memcpy(a->msg + done, a->view[GOOD] + a->at[i], n);
		done += length_at(a, i);
	}
}

/* Whether nothing was written before, between and after the segments. */
static bool gaps_are_junk(const struct arena *a)
{
	size_t from, to;
	int i;

	for (i = 0; i <= a->segments; i++) {
		from = a->at[i] - MARGIN;
		to = a->at[i] < a->size ? a->at[i] : a->size;
		if (from < to && !is_junk(a->view[GOOD] + from, to - from))
			return false;
	}
	return true;
}

static size_t draw_length(struct worker *w, bool write)
{
	size_t longest = w->world->msg_size;

	switch (draw(w, 16)) {
	case 0:
		return 0;
	case 1:
		return longest;
	case 2:
		return longest + 1 + draw(w, 63);
	case 3 ... 5:
		return 1 + draw(w, sizeof(struct record) - 1);
	case 6 ... 8:
		return 1 + draw(w, longest);
	default:
		if (!write)
			return longest + draw(w, 64);
		return sizeof(struct record) + draw(w, longest < 128 ? longest - 15 : 112);
	}
}

static int draw_segments(struct worker *w)
{
	switch (draw(w, 32)) {
	case 0:
		return one_in(w, 4) ? IOV_MAX : 64;
	case 1:
		return one_in(w, 4) ? 0 : 1;
	default:
		return 1 + draw(w, 8);
	}
}

/* How a read or write may be made, and made to be refused by the kernel. */
#define REQUEST	1
#define CANCEL	2

enum method { PLAIN, VECTOR, VECTOR2, URING, METHODS };

struct how {
	enum method method;
	int flags;		/* of preadv2(), pwritev2() or the io_uring request */
	off_t offset;
	bool async;		/* the request, from the start */
	const struct iovec *iov;
	int segments;
};

/* The addresses that user space cannot have on any machine. */
static void *draw_kernel_address(struct worker *w)
{
	static const unsigned long address[] = { 1UL << 63, -1UL << 31, -4096UL };

	return (void *)address[draw(w, ARRAY_SIZE(address))];
}

static void spoil(struct worker *w, struct request *r, struct how *how)
{
	struct arena *a = w->arena;
	struct iovec *v = &a->iov[how->segments ? draw(w, how->segments) : 0];

	switch (draw(w, 4)) {
	case 0:
		if (!how->segments || !v->iov_len)
			return;
		v->iov_base = draw_kernel_address(w);
		may_fail(&r->refusal, -EFAULT);
		return;
	case 1:
		if (!how->segments || how->method == PLAIN)
			return;
		v->iov_len = SIZE_MAX - draw(w, 4096);
		may_fail(&r->refusal, -EINVAL);
		return;
	case 2:
		if (how->method == PLAIN)
			return;
		how->segments = SEGMENTS;
		may_fail(&r->refusal, -EINVAL);
		return;
	default:
		if (!how->segments || how->method == PLAIN)
			return;
		how->iov = (void *)a->hole;
		may_fail(&r->refusal, -EFAULT);
	}
}

static void draw_flags(struct worker *w, struct request *r, struct how *how)
{
	static const int flags[] = { RWF_NOWAIT, RWF_NOWAIT, RWF_HIPRI, RWF_DSYNC, RWF_SYNC };

	how->offset = -1;
	if (one_in(w, 3)) {
		how->flags = flags[draw(w, ARRAY_SIZE(flags))];
	} else if (one_in(w, 16)) {
		how->flags = 1 << 30;
		may_fail(&r->refusal, -EOPNOTSUPP);
		if (!r->total)		/* without a look at the flags */
			may_return(&r->refusal, 0, 0);
	}
	if (one_in(w, 16)) {
		how->offset = draw(w, 2);
		r->refusal = NOTHING;
		may_fail(&r->refusal, -ESPIPE);
	}
	if (how->flags == RWF_NOWAIT) {
		r->may_refuse = true;
		r->may_wait = false;
	}
}

static ssize_t plain(struct worker *w, int fd, bool write_it, const struct how *how)
{
	const struct iovec *v = how->iov;

	return result(write_it ? write(fd, v->iov_base, v->iov_len) :
				 read(fd, v->iov_base, v->iov_len));
}

static ssize_t vector(struct worker *w, int fd, bool write_it, const struct how *how)
{
	return result(write_it ? writev(fd, how->iov, how->segments) :
				 readv(fd, how->iov, how->segments));
}

static ssize_t vector2(struct worker *w, int fd, bool write_it, const struct how *how)
{
	return result(write_it ?
		      pwritev2(fd, how->iov, how->segments, how->offset, how->flags) :
		      preadv2(fd, how->iov, how->segments, how->offset, how->flags));
}

static void submit(struct io_uring *ring)
{
	while (io_uring_submit(ring) < 0)
		;
}

/*
 * One request, which is cancelled soon if it does not complete; more than once if
 * need be, as one that is about to wait gets away.
 */
static ssize_t uring(struct worker *w, int fd, bool write_it, const struct how *how)
{
	struct __kernel_timespec soon = { .tv_nsec = draw(w, 2) * 1000000 };
	struct io_uring *ring = &w->arena->ring;
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	bool done = false;
	int cancels = 0;
	ssize_t ret = 0;

	io_uring_prep_rw(write_it ? IORING_OP_WRITEV : IORING_OP_READV, sqe, fd, how->iov,
			 how->segments, -1);
	sqe->rw_flags = how->flags;
	sqe->flags |= how->async ? IOSQE_ASYNC : 0;
	sqe->user_data = REQUEST;
	submit(ring);
	while (!done || cancels) {
		if (!io_uring_wait_cqe_timeout(ring, &cqe, &soon)) {
			if (cqe->user_data == REQUEST) {
				ret = cqe->res;
				done = true;
			} else {
				cancels--;
			}
			io_uring_cqe_seen(ring, cqe);
		} else if (!done && cancels < 4) {
			sqe = io_uring_get_sqe(ring);
			io_uring_prep_cancel64(sqe, REQUEST, 0);
			sqe->user_data = CANCEL;
			submit(ring);
			cancels++;
		}
	}
	return ret;
}

/* A length that no buffer has; only the message's part of it will be touched. */
static void enlarge(struct worker *w, struct request *r, struct how *how)
{
	static const size_t length[] = { 1UL << 31, SSIZE_MAX, 1UL << 63, SIZE_MAX };
	int i = draw(w, ARRAY_SIZE(length));

	if (!how->segments || r->there < w->world->msg_size || r->flaky)
		return;
	r->total = length[i];
	w->arena->iov[0].iov_len = length[i];
	if (i)
		may_fail(&r->refusal, -EFAULT);
	if (i > 1)
		may_fail(&r->refusal, -EINVAL);
}

/* How, by which file and with which buffer to read or write. */
static void draw_transfer(struct worker *w, struct request *r, struct how *how, int i)
{
	const struct open_file *of = open_file(w, i);
	size_t len = draw_length(w, r->write);

	how->method = draw(w, w->forked ? URING : METHODS);
	how->segments = how->method == PLAIN ? 1 : draw_segments(w);
	how->iov = w->arena->iov;
	lay_out(w, r, how->segments ? len : 0, how->segments,
		(r->write || !w->world->ordered) && one_in(w, 3));
	r->vector = how->method == VECTOR || how->method == VECTOR2;
	/* Whether io_uring waits in spite of O_NONBLOCK depends on the kernel. */
	r->may_refuse = i >= OWN || of->nonblock;
	r->may_wait = i >= OWN || !of->nonblock || how->method == URING;
	r->cancelled = how->method == URING;
	how->async = how->method == URING && one_in(w, 8) && !w->world->exact;
	r->early = how->async;
	if (!(r->write ? writable(of) : readable(of)))
		may_fail(&r->refusal, -EBADF);
	if (how->method == VECTOR2)
		draw_flags(w, r, how);
	if (how->method == PLAIN && one_in(w, 16))
		enlarge(w, r, how);
	else if (one_in(w, 16))
		spoil(w, r, how);
}

/* More writes than reads for some time, then more reads: full or empty at the turns. */
static bool draw_write(struct worker *w)
{
	__u32 period = 16 + 4 * w->world->capacity / w->world->workers;

	return (int)draw(w, 8) < (w->call / period % 2 ? 1 : 7);
}

/* Signals to come soon, and again: the call will not wait for long. */
static void start_timers(struct worker *w)
{
	int i;

	for (i = 0; i < TIMERS; i++) {
		const struct itimerspec soon = {
			.it_value.tv_nsec = 1 + draw(w, 3000000),
			.it_interval.tv_nsec = 50000000,
		};

		timer_settime(w->files.timer[i], 0, &soon, NULL);
	}
}

static void call_transfer(struct worker *w)
{
	static ssize_t (*const methods[])(struct worker *, int, bool, const struct how *) = {
		[PLAIN] = plain, [VECTOR] = vector, [VECTOR2] = vector2, [URING] = uring,
	};
	static const char *const names[][METHODS] = {
		{ "read", "readv", "preadv2", "io_uring: readv" },
		{ "write", "writev", "pwritev2", "io_uring: writev" },
	};
	struct request r = { .write = draw_write(w), .refusal = NOTHING };
	int i = draw(w, FILES), number = w->number++, faults;
	struct arena *a = w->arena;
	const char *name;
	struct expected e;
	struct how how = {};
	ssize_t ret;

	draw_transfer(w, &r, &how, i);
	if (r.write && r.total <= w->world->msg_size) {
		write_message(a->msg, r.total, w->id, number);
		scatter(a);
	}
	name = names[r.write][how.method];
	e = expect(w->world, &r);
	start_timers(w);
	ret = methods[how.method](w, w->files.fd[i], r.write, &how);
	if (!returned(w, name, ret, &e))
		return;
	if (!r.write && !gaps_are_junk(a))
		complain(w, name, ret, ", and has written beyond its buffer");
	if (ret <= 0)
		return;
	if (r.write) {
		sent(w->world, w->id, number, ret);
		return;
	}
	gather(a, ret);
	faults = arrived(w->world, &w->order, a->msg, ret);
	if (faults & TORN)
		complain(w, name, ret, ", and the message is torn");
	if (faults & REORDERED)
		complain(w, name, ret, ", and another message was next");
	if (faults & UNKNOWN)
		complain(w, name, ret, ", and the message is nobody's");
}

/* Waiting for events */
static void call_poll(struct worker *w)
{
	struct pollfd pfd[3];
	int i, ret, n = 0, file[ARRAY_SIZE(pfd)];

	for (i = 0; i < (int)ARRAY_SIZE(pfd); i++) {
		file[i] = draw(w, FILES);
		pfd[i].fd = w->files.fd[file[i]];
		pfd[i].events = draw(w, 2) * POLLIN | draw(w, 2) * POLLOUT |
				draw(w, 2) * POLLRDNORM | draw(w, 2) * POLLWRNORM |
				draw(w, 2) * POLLPRI | draw(w, 2) * POLLRDHUP;
	}
	ret = result(poll(pfd, ARRAY_SIZE(pfd), draw(w, 3)));
	for (i = 0; i < (int)ARRAY_SIZE(pfd); i++) {
		int can = ready(w, file[i], pfd[i].events, false);
		int must = ready(w, file[i], pfd[i].events, true);

		if (pfd[i].revents & ~can || must & ~pfd[i].revents)
			complain(w, "poll", pfd[i].revents, " as events");
		n += !!pfd[i].revents;
	}
	if (n || ret != -EINTR)
		has_to(w, "poll", ret, n);
}

static void call_select(struct worker *w)
{
	int i = draw(w, FILES), fd = w->files.fd[i], n, got;
	struct timeval timeout = {};
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	n = result(select(fd + 1, &in, &out, &except, &timeout));
	if (n == -EINTR && !ready(w, i, POLLIN | POLLOUT, true))
		return;
	got = !!FD_ISSET(fd, &in) * POLLIN | !!FD_ISSET(fd, &out) * POLLOUT;
	has_to(w, "select", n, !!FD_ISSET(fd, &in) + !!FD_ISSET(fd, &out));
	if (got & ~ready(w, i, POLLIN | POLLOUT, false) ||
	    ready(w, i, POLLIN | POLLOUT, true) & ~got)
		complain(w, "select", got, " as events");
}

/* All files but the hot one, which may be another between two calls. */
static int draw_epoll_file(struct worker *w)
{
	int i = draw(w, OWN + 1);

	return i < OWN ? i : COMMON;
}

static void call_epoll_ctl(struct worker *w)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int i = draw_epoll_file(w), op = ops[draw(w, ARRAY_SIZE(ops))], want = 0;
	struct interest *interest = &w->files.interest[i];
	struct epoll_event event = {
		.events = draw(w, 2) * EPOLLIN | draw(w, 2) * EPOLLOUT | draw(w, 2) * EPOLLET |
			  draw(w, 2) * EPOLLONESHOT |
			  (one_in(w, 4) ? (__u32)EPOLLEXCLUSIVE : 0) | EPOLLERR | EPOLLHUP,
		.data.u64 = (__u64)interest->generation << 32 | i,
	};

	if (op != EPOLL_CTL_DEL && event.events & EPOLLEXCLUSIVE &&
	    (op == EPOLL_CTL_MOD || event.events & EPOLLONESHOT))
		want = -EINVAL;
	else if (op == EPOLL_CTL_ADD)
		want = interest->events ? -EEXIST : 0;
	else if (!interest->events)
		want = -ENOENT;
	else if (op == EPOLL_CTL_MOD && interest->events & EPOLLEXCLUSIVE)
		want = -EINVAL;
	has_to(w, "epoll_ctl", result(epoll_ctl(w->files.epoll, op, w->files.fd[i], &event)), want);
	if (want)
		return;
	interest->events = op == EPOLL_CTL_DEL ? 0 : event.events;
	interest->disarmed = false;
}

static void call_epoll_wait(struct worker *w)
{
	int i, n;
	struct epoll_event event[2 * FILES];
	__u32 got[FILES] = {}, wanted[FILES] = {};

	for (i = 0; i < FILES; i++)
		if (!w->files.interest[i].disarmed)
			wanted[i] = w->files.interest[i].events;
	n = result(epoll_wait(w->files.epoll, event, ARRAY_SIZE(event), draw(w, 3)));
	if (n < 0 && n != -EINTR)
		complain(w, "epoll_wait", n, "");
	while (n-- > 0) {
		i = event[n].data.u32;
		/* A file replaced here may live on elsewhere. */
		if (w->files.interest[i].generation != event[n].data.u64 >> 32)
			continue;
		got[i] = event[n].events;
		if (wanted[i] & EPOLLONESHOT)
			w->files.interest[i].disarmed = true;
	}
	for (i = 0; i < FILES; i++) {
		__u32 can = ready(w, i, wanted[i], false);
		__u32 must = wanted[i] & EPOLLET ? 0 : ready(w, i, wanted[i], true);

		if (got[i] & ~can || must & ~got[i])
			complain(w, "epoll_wait", got[i], " as events");
	}
}

/* What the queue is like */
static void check_depth(struct worker *w, const char *call, long depth)
{
	const struct world *world = w->world;

	if (world->exact)
		has_to(w, call, depth, world->depth);
	else if (depth < 0 || depth > world->capacity)
		complain(w, call, depth, " as depth");
}

static void call_next_len(struct worker *w)
{
	const struct world *world = w->world;
	int len = next_len(w->files.fd[draw(w, FILES)]);
	const struct expected any = { .max = world->msg_size };

	if (world->exact)
		has_to(w, "ioctl: FIONREAD", len, world->depth ? next(world)->len : 0);
	else
		returned(w, "ioctl: FIONREAD", len, &any);
}

/* INFO with any size, flags and tail, at the end of the pages or over it. */
static void call_info(struct worker *w)
{
	static const __u32 sizes[] = { 0, 20, 23, 24, 25, 32, 4095, 4096, 4097, UINT32_MAX };
	__u32 size = sizes[draw(w, ARRAY_SIZE(sizes))];
	__u32 len = size < sizeof(struct mpmcq_info) ? sizeof(struct mpmcq_info) :
		    size > 4096 ? 4096 : size;
	struct mpmcq_info info = { .size = size, .flags = one_in(w, 8) ? 1U << draw(w, 32) : 0 };
	__u32 there = one_in(w, 8) ? draw(w, len) : len, tail = one_in(w, 8);
	unsigned char *end = w->arena->view[GOOD] + w->arena->size, *at = end - there;
	bool read_only = one_in(w, 8), in_tail = size > sizeof(info) && tail;
	struct expected e = NOTHING;
	int ret;

	memset(at, 0, there);
	memcpy(at, &info, there < sizeof(info) ? there : sizeof(info));
	if (in_tail && there > sizeof(info))
		end[-1] = 1;
	if (there < sizeof(size))
		may_fail(&e, -EFAULT);
	else if (size < sizeof(info))
		may_fail(&e, -EINVAL);
	else if (size > 4096)
		may_fail(&e, -E2BIG);
	else if (there < len || (in_tail && there > sizeof(info)))
		may_fail(&e, there == len ? -E2BIG : -EFAULT);
	else if (info.flags)
		may_fail(&e, -EINVAL);
	else if (read_only)
		may_fail(&e, -EFAULT);
	else
		may_return(&e, 0, 0);
	if (in_tail && there < len && there > sizeof(info))
		may_fail(&e, -E2BIG);
	if (read_only)
		at += w->arena->view[READ_ONLY] - w->arena->view[GOOD];
	ret = result(ioctl(w->files.fd[draw(w, FILES)],
			   _IOC(_IOC_READ | _IOC_WRITE, MPMCQ_IOC_MAGIC, 0, draw(w, 1 << 14)), at));
	if (!returned(w, "ioctl: INFO", ret, &e) || ret)
		return;
	memcpy(&info, at, sizeof(info));
	if (info.size != sizeof(info) || info.capacity != w->world->capacity ||
	    info.msg_size != w->world->msg_size || info.flags)
		complain(w, "ioctl: INFO", info.size, " as size, or another wrong value");
	check_depth(w, "ioctl: INFO", info.depth);
}

static void call_ioctl(struct worker *w)
{
	/* Not the types of those that the kernel knows for all files. */
	unsigned int cmd = _IOC(draw(w, 4), one_in(w, 2) ? MPMCQ_IOC_MAGIC : 'm',
				1 + draw(w, 255), draw(w, 1 << 14));

	has_to(w, "ioctl", result(ioctl(w->files.fd[draw(w, FILES)], cmd, w->arena->hole)),
	       -ENOTTY);
}

/* The number behind @key in a file; -1 if there is none. */
static long number_in(const char *path, const char *key)
{
	char text[512];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *at;

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	at = strstr(text, key);
	return at ? atol(at + strlen(key)) : -1;
}

static void call_show(struct worker *w)
{
	char path[64];

	check_depth(w, "sysfs", number_in("/sys/class/mpmcq/mpmcq/depth", ""));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", w->files.fd[draw(w, FILES)]);
	check_depth(w, "fdinfo", number_in(path, "depth:\t"));
	has_to(w, "fdinfo", number_in(path, "capacity:\t"), w->world->capacity);
	has_to(w, "fdinfo", number_in(path, "msg_size:\t"), w->world->msg_size);
}

/* What a queue cannot do */
static void call_splice(struct worker *w, int i)
{
	int fd = w->files.fd[i], pipes[2];
	off_t start = 0;

	if (pipe(pipes)) {
		complain(w, "pipe", -errno, "");
		return;
	}
	has_to(w, "splice from", result(splice(fd, NULL, pipes[1], NULL, 1, SPLICE_F_NONBLOCK)),
	       readable(open_file(w, i)) ? -EINVAL : -EBADF);
	if (write(pipes[1], "", 1) != 1)
		complain(w, "write to a pipe", -errno, "");
	has_to(w, "splice to", result(splice(pipes[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK)),
	       writable(open_file(w, i)) ? -EINVAL : -EBADF);
	has_to(w, "sendfile from", result(sendfile(pipes[1], fd, NULL, 1)),
	       readable(open_file(w, i)) ? -EINVAL : -EBADF);
	has_to(w, "sendfile to", result(sendfile(fd, w->arena->file, &start, 1)),
	       writable(open_file(w, i)) ? -EINVAL : -EBADF);
	close(pipes[0]);
	close(pipes[1]);
}

static void call_wrong(struct worker *w)
{
	int i = draw(w, FILES), fd = w->files.fd[i];
	unsigned char *mem = w->arena->view[GOOD];
	void *got;

	switch (draw(w, 6)) {
	case 0:
		has_to(w, "lseek", result(lseek(fd, draw(w, 9), draw(w, 3))), -ESPIPE);
		break;
	case 1:
		has_to(w, "pread", result(pread(fd, mem, draw(w, 9), draw(w, 9))), -ESPIPE);
		has_to(w, "pwrite", result(pwrite(fd, mem, draw(w, 9), draw(w, 9))), -ESPIPE);
		break;
	case 2:
		has_to(w, "ftruncate", result(ftruncate(fd, draw(w, 9))), -EINVAL);
		break;
	case 3:
		has_to(w, "fsync", result(fsync(fd)), -EINVAL);
		break;
	case 4:
		got = mmap(NULL, getpagesize(), PROT_READ, MAP_PRIVATE, fd, 0);
		has_to(w, "mmap", got == MAP_FAILED ? -errno : 0,
		       readable(open_file(w, i)) ? -ENODEV : -EACCES);
		break;
	case 5:
		call_splice(w, i);
		break;
	}
}

/*
 * The workers
 */
static void any_call(struct worker *w);

/* Timers that signal this thread: one whose signal restarts calls, one not. */
static void new_timers(struct worker *w)
{
	static const int sig[] = { SIGUSR1, SIGUSR2 };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	int i;

	event._sigev_un._tid = gettid();
	for (i = 0; i < TIMERS; i++) {
		event.sigev_signo = sig[i];
		if (timer_create(CLOCK_MONOTONIC, &event, &w->files.timer[i]))
			complain(w, "timer_create", -errno, "");
	}
}

/* A child goes on in the worker's place; what it did with its descriptors is its own. */
static void call_fork(struct worker *w)
{
	__u32 end = w->call + 1 + draw(w, 16);
	struct files saved = w->files;
	int i, status = 0;
	pid_t pid = fork();

	if (!pid) {
		new_timers(w);
		w->forked = true;
		w->files.epoll = epoll_create1(0);
		memset(w->files.interest, 0, sizeof(w->files.interest));
		while (w->call < end && !w->failed)
			any_call(w);
		_exit(0);
	}
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pid < 0 || status)
		complain(w, "fork", pid < 0 ? -errno : status, "");
	w->forked = false;
	w->files = saved;
	/* It may have changed what is common to the descriptors of an open file. */
	for (i = 0; i < OWN; i++) {
		int flags = fcntl(w->files.fd[i], F_GETFL);

		open_file(w, i)->nonblock = flags & O_NONBLOCK;
		open_file(w, i)->async = flags & O_ASYNC;
	}
}

static void any_call(struct worker *w)
{
	static const struct {
		int weight;
		void (*fn)(struct worker *w);
	} calls[] = {
		{ 120, call_transfer }, { 12, call_poll }, { 6, call_select },
		{ 10, call_epoll_ctl }, { 10, call_epoll_wait }, { 4, call_next_len },
		{ 6, call_info }, { 4, call_ioctl }, { 4, call_show }, { 6, call_set_flags },
		{ 6, call_open }, { 6, call_dup }, { 5, call_wrong }, { 1, call_fork },
	};
	int i, pick = draw(w, 200);

	w->call++;
	for (i = 0; pick >= calls[i].weight; i++)
		pick -= calls[i].weight;
	if (calls[i].fn != call_fork || !w->forked)
		calls[i].fn(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	new_timers(w);
	w->files.epoll = epoll_create1(0);
	for (i = HOT; i < FILES; i++) {
		w->files.of[i] = i;
		w->files.open[i] = (struct open_file){ .access = O_RDWR };
	}
	for (i = 0; i < OWN; i++)
		w->files.of[i] = -1;
	for (i = 0; i < OWN; i++)
		open_at(w, i, draw_open_flags(w));
	while (w->call < w->world->calls && !w->failed)
		any_call(w);
	__atomic_store_n(&w->done, true, __ATOMIC_RELAXED);
	return NULL;
}

/* Has the pages of the workers' flaky views come and go; what they hold stays. */
static void *shake(void *arg)
{
	static const int prot[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	struct worker *w = arg, shaker = { .random = ~w->random };

	while (!__atomic_load_n(&w->done, __ATOMIC_RELAXED)) {
		struct arena *a = w->arena;

		if (one_in(&shaker, 3))
			madvise(a->view[FLAKY], a->size, MADV_DONTNEED);
		else
			mprotect(a->view[FLAKY], a->size, prot[draw(&shaker, ARRAY_SIZE(prot))]);
		usleep(draw(&shaker, 2000));
	}
	return NULL;
}

static void ignore_signal(int sig)
{
}

/* A process with @n workers, the first of which is @w; its exit status. */
static int run_process(struct worker *w, int n, int common)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	pthread_t shaker[WORKERS], worker[WORKERS];
	int i, hot = open(DEVICE, O_RDWR), failed = 0;

	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGRTMIN, &action, NULL);
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR2, &action, NULL);
	sigaction(SIGRTMIN + 1, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	for (i = 0; i < n; i++) {
		w[i].files.fd[HOT] = hot;
		w[i].files.fd[COMMON] = common;
		if (!new_arena(&w[i]))
			return KSFT_FAIL;
	}
	for (i = 0; i < n; i++)
		if (pthread_create(&shaker[i], NULL, shake, &w[i]) ||
		    pthread_create(&worker[i], NULL, work, &w[i]))
			return KSFT_FAIL;
	for (i = 0; i < n; i++) {
		pthread_join(worker[i], NULL);
		pthread_join(shaker[i], NULL);
		failed |= w[i].failed;
	}
	return failed ? KSFT_FAIL : KSFT_PASS;
}

FIXTURE_VARIANT(queue)
{
	int processes;
	int threads;
	bool ordered;
};

FIXTURE_VARIANT_ADD(queue, alone) { .processes = 1, .threads = 1 };
FIXTURE_VARIANT_ADD(queue, threads) { .processes = 1, .threads = 4 };
FIXTURE_VARIANT_ADD(queue, processes) { .processes = 4, .threads = 1, .ordered = true };
FIXTURE_VARIANT_ADD(queue, both) { .processes = 2, .threads = 3 };

static unsigned long long setting(const char *name, unsigned long long otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static __u64 new_seed(void)
{
	__u32 seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

/* What the workers have left is read, checked, and then nothing is missing. */
static void drain(struct __test_metadata *_metadata, struct world *world, int nonblocking)
{
	static unsigned char buf[MSG_SIZE_MAX];
	struct order order = {};
	int len;

	memset(buf, 0, sizeof(buf));
	while ((len = result(read(nonblocking, buf, sizeof(buf)))) > 0)
		ASSERT_EQ(0, arrived(world, &order, buf, len));
	EXPECT_EQ(-EAGAIN, len);
	EXPECT_EQ(0, all_arrived(world));
}

TEST_F_TIMEOUT(queue, fuzz, 3600)
{
	int i, n = variant->processes * variant->threads, status;
	__u64 seed = setting("MPMCQ_FUZZ_SEED", new_seed());
	struct world *world = new_world(n, setting("MPMCQ_FUZZ_CALLS", 10000) / n,
					self->capacity, self->msg_size);

	struct worker *w;

	ASSERT_NE(NULL, world);
	w = new_workers(world, seed);
	ASSERT_NE(NULL, w);
	TH_LOG("MPMCQ_FUZZ_SEED=%llu: %d workers, %u calls each", (unsigned long long)seed, n,
	       world->calls);
	world->ordered = variant->ordered;
	for (i = 0; i < n; i += variant->threads) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(run_process(&w[i], variant->threads, self->fd));
	}
	for (i = 0; i < variant->processes; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	drain(_metadata, world, self->nb);

	/* Each slot is where it can be used. */
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(self->capacity, put_all(self->nb, self->msg_size, 0));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(self->msg_size, take_msg(self->nb, self->msg_size, i));
}

TEST_HARNESS_MAIN
