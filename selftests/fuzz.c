// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on the device, by several threads and processes, with buffers and
 * structs good and bad, interrupted by signals and ended by SIGKILL; on the default
 * queue, on others that all workers use, and on queues that each worker makes and
 * destroys.  Each result has to be one that the call may have there and then, every
 * message arrives whole, in order and as often as it may, and in the end the account
 * of each queue adds up and each slot can still be filled.
 *
 * MPMCQ_FUZZ_CALLS is how many calls each test makes (default 10000).  Each test
 * tells its seed; with MPMCQ_FUZZ_SEED set to it every worker makes the same calls
 * again, but for what depends on what others did.  How they interleave may differ.
 * A worker predicts its own queues exactly, and if it is alone the default queue,
 * too; then what depends on the time is left out, and a replay is the same.  The
 * results of what others use as well are judged by what those may do.
 *
 * The control_ tests feed the judgement with faults.
 */

#include <liburing.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/random.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "mpmcq_test.h"
#include "fuzz_model.h"
#include "test_util.h"

#define OWN		8	/* files a worker has to itself */
#define HOT		8	/* another one, that all in its process replace */
#define COMMON		9	/* one of each queue that all workers share, for all */
#define POOL		13	/* and two, packed and not, that hold messages for all */
#define LAST		15	/* two by which to look at a queue in the end */
#define FILES		17
#define OPEN_FILES	32
#define SEGMENTS	(IOV_MAX + 1)
#define TIMERS		2

/* Queues that all workers share: the default queue, ... */
enum { DEFAULT, DROPPING, TIMED, POOLED, SHARED };

static const struct mpmcq_create shared_queues[SHARED] = {
	[DROPPING] = {
		.capacity = 8, .msg_size = 200, .flags = MPMCQ_DROP_OLDEST, .max_deliveries = 3,
	},
	[TIMED] = { .capacity = 16, .msg_size = 300, .lease_ms = 20, .max_deliveries = 2 },
	[POOLED] = { .capacity = 32, .msg_size = 100, .max_deliveries = 4 },
};

static const __u32 pool_modes[] = { MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, MPMCQ_MODE_LEASE };

#define POOL_HELD	6	/* by each of these two */

static const char *const counters[] = {
	[SENT] = "sent", [RECEIVED] = "received", [ACKED] = "acked", [RETURNED] = "returned",
	[REJECTED] = "rejected", [DROPPED] = "dropped",
};

#define OWN_QUEUES	4	/* that a worker has to itself, at a time */
#define OWN_NAMES	3
#define CONTENDED	2	/* names that all workers create and destroy */
#define OWN_CAPACITY	1024U	/* at most */
#define OWN_MSG_SIZE	2000U
#define STALE		64

/* What epoll was asked to tell of a file. */
struct interest {
	__u32 events;		/* 0 if it is not registered */
	bool disarmed;		/* EPOLLONESHOT has struck */
	__u32 generation;	/* of the file in its place */
};

/* The descriptors of a worker, and its timers. */
struct files {
	int fd[FILES];
	int of[FILES];			/* which open file */
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
	struct batch batch;
	__u64 ids[MESSAGES_MAX];

	/* The buffer of the call: */
	struct iovec iov[SEGMENTS];
	int segments;
	int broken;			/* the one of them that is in the hole */
	size_t at[SEGMENTS + 1];	/* where in the pages; the last is the end */
};

/* What all workers share besides the world. */
struct stage {
	struct world *world;
	struct queue queue[SHARED];
	int queues;			/* of these; the others are not there */
	int pool[2];
	pid_t pid;			/* part of the names */
	bool nodes;			/* named queues have them in /dev */
	__u32 longest;			/* buffer, in bytes */
};

/* As whom to create, open and destroy. */
struct identity {
	uid_t uid;
	gid_t gid;
	bool able;			/* and to do what only root may */
};

/* Shared by the process it runs in and by those that it forks, one at a time. */
struct worker {
	struct stage *stage;
	struct world *world;
	struct order order;
	struct arena *arena;
	__u64 seed;
	int id;
	__u32 call;			/* number of the current call */
	__u32 number;			/* of the next message */
	__u64 random;
	bool forked;
	bool parked;			/* to be killed */
	bool failed;
	bool done;			/* its pages may stay */
	bool privileged;
	struct identity self;
	struct files files;
	struct open_file open[OPEN_FILES];
	struct queue own[OWN_QUEUES];
	__u64 stale[STALE];		/* ids of the last deliveries */
	__u32 stales;
	int mail[2];			/* a socket, and what is in it: */
	int parcel;			/* which open file, or -1 */
};

static struct worker *new_workers(struct stage *stage, __u64 seed)
{
	struct world *world = stage->world;
	/* The last one does not work, but judges in the end. */
	struct worker *w = share((world->workers + 1) * sizeof(*w));
	__u32 i, j;

	for (i = 0; w && i < world->workers + 1; i++) {
		w[i].stage = stage;
		w[i].world = world;
		w[i].id = i;
		w[i].seed = seed;
		w[i].random = seed + i * 0x632be59bd9b4e019ULL;
		w[i].parcel = -1;
		for (j = 0; j < OPEN_FILES; j++)
			if (!list_init(&w[i].open[j].held, MPMCQ_MAX_HELD_MAX))
				return NULL;
		for (j = 0; j < OWN_QUEUES; j++) {
			struct queue *q = &w[i].own[j];

			q->exact = true;
			if (!list_init(&q->ready, OWN_CAPACITY) ||
			    !list_init(&q->returned, OWN_CAPACITY) ||
			    !list_init(&q->dead, OWN_CAPACITY))
				return NULL;
		}
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

#define draw_of(w, array)	(array)[draw(w, ARRAY_SIZE(array))]

static bool is_alone(const struct worker *w)
{
	return w->world->workers == 1;
}

/*
 * The controls: what a bad queue would do is told.
 */
FIXTURE(control)
{
	struct world *world;
	struct queue *q;
	struct open_file *f;
	struct order order;
	unsigned char buf[256];
	__u64 id;		/* of the last delivery */
};

FIXTURE_VARIANT(control)
{
	int workers;
};

FIXTURE_VARIANT_ADD(control, exact) { .workers = 1 };
FIXTURE_VARIANT_ADD(control, crowd) { .workers = 2 };

FIXTURE_SETUP(control)
{
	self->world = new_world(variant->workers, 4);
	self->q = share(sizeof(*self->q));
	self->f = share(sizeof(*self->f));
	ASSERT_TRUE(self->world && self->q && self->f);
	ASSERT_TRUE(list_init(&self->q->ready, 2) && list_init(&self->q->returned, 2) &&
		    list_init(&self->q->dead, 2) && list_init(&self->f->held, 2));
	self->q->like = (struct mpmcq_create){
		.capacity = 2, .msg_size = 64, .max_deliveries = 2, .name = "control",
	};
	self->q->exact = variant->workers == 1;
	self->q->ordered = true;
	self->q->named = true;
	begin_queue(self->world, self->q);
	opened(self->f, self->q, O_RDWR, 0, 0);
}

FIXTURE_TEARDOWN(control)
{
}

static int deliver_one(FIXTURE_DATA(control) * self, __u32 number, __u32 len)
{
	struct message m;
	int faults;

	write_message(self->buf, len, 0, number);
	faults = arrived(self->world, self->f, &self->order, self->buf, len, &m);
	m.id = ++self->id;
	return faults & (TORN | UNKNOWN) ? faults : faults | delivered(self->world, self->f, m);
}

#define send(number, len) ({ \
	will_send(self->world, self->q, 0, number); \
	sent(self->world, self->q, 0, number, len); })

#define deliver(number, len)	deliver_one(self, number, len)
#define account(unnamed)	balance(self->world, self->q, 0, self->world->workers, unnamed)

/* A fault that only an exact prediction tells. */
#define if_exact(fault)		(self->q->exact ? (fault) : 0)

TEST_F(control, good)
{
	send(0, 16);
	EXPECT_EQ(0, deliver(0, 16));
	send(2, 64);
	send(3, 3);
	EXPECT_EQ(0, deliver(2, 64));
	EXPECT_EQ(0, deliver(0, 3));
	EXPECT_EQ(0, account(0));
}

TEST_F(control, lost)
{
	send(0, 20);
	send(1, 20);
	deliver(1, 20);
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, account(1));
	EXPECT_EQ(REPEATED, account(2));
}

TEST_F(control, short_lost)
{
	send(0, 5);
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, account(1));
	EXPECT_EQ(REPEATED, account(2));
}

TEST_F(control, repeated)
{
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
	EXPECT_EQ(REPEATED, account(0));
}

TEST_F(control, short_repeated)
{
	send(0, 5);
	EXPECT_EQ(0, deliver(0, 5));
	deliver(0, 5);
	EXPECT_EQ(REPEATED, account(0));
}

TEST_F(control, nobodys)
{
	struct queue other = *self->q;

	EXPECT_EQ(UNKNOWN, deliver(1, 20));
	EXPECT_EQ(UNKNOWN, deliver(self->world->numbers, 20));
	will_send(self->world, self->q, 0, 1);
	not_sent(self->world, 0, 1);
	EXPECT_EQ(UNKNOWN, deliver(1, 20));
	other.serial++;
	will_send(self->world, &other, 0, 1);
	sent(self->world, &other, 0, 1, 20);
	EXPECT_EQ(UNKNOWN, deliver(1, 20));
}

TEST_F(control, failed_but_sent)
{
	will_send(self->world, self->q, 0, 1);
	deliver(1, 20);
	EXPECT_EQ(0, account(0));
	not_sent(self->world, 0, 1);
	EXPECT_EQ(UNKNOWN, account(0));
}

TEST_F(control, in_doubt)
{
	will_send(self->world, self->q, 0, 1);
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(0, account(1));
	EXPECT_EQ(REPEATED, account(2));
	send(2, 20);
	entry_of(self->world, 0, 2)->doubt = 1;
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(0, account(2));
	EXPECT_EQ(REPEATED, account(3));
}

TEST_F(control, reordered)
{
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(if_exact(REORDERED), deliver(1, 20));
	EXPECT_EQ(REORDERED, deliver(0, 20) & REORDERED);
}

TEST_F(control, torn)
{
	struct message m;
	int i, len;

	for (len = 2; len < 64; len += 7) {
		write_message(self->buf, len, 0, 1);
		for (i = 0; i < len; i++) {
			self->buf[i] ^= 0x10;
			EXPECT_EQ(TORN, arrived(self->world, self->f, &self->order, self->buf, len,
						&m));
			self->buf[i] ^= 0x10;
		}
		for (i = -1; i <= 1; i += 2)
			EXPECT_EQ(TORN, arrived(self->world, self->f, &self->order, self->buf,
						len + i, &m));
	}
}

#define lease(modes_, max) ({ \
	self->f->modes = MPMCQ_MODE_LEASE | (modes_); \
	self->f->max_held = max; \
	self->q->ordered = false; })

/* What the reader says of the only message that it holds. */
#define end_with(verdict) ({ \
	let_all_go(self->world, self->f); \
	end_all_leases(self->world, self->f, verdict); })

TEST_F(control, leased)
{
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, deliver(0, 20));
	/* Held by one, it comes to another. */
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
}

TEST_F(control, acknowledged_and_read)
{
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(ACK));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
}

TEST_F(control, acknowledged_twice)
{
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	append(&self->f->held, *at(&self->f->held, 0));
	EXPECT_EQ(REPEATED, end_with(ACK));
	EXPECT_EQ(REPEATED, account(0));
}

TEST_F(control, given_back_and_lost)
{
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(LOST, account(0));
}

TEST_F(control, too_many_held)
{
	lease(0, 1);
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(EXCESSIVE, deliver(1, 20));
}

TEST_F(control, given_back_in_order)
{
	lease(0, 2);
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK_FRONT));
	self->q->ready.n = 0;
	self->q->returned.n = 0;
	self->q->dead.n = 0;

	send(2, 20);
	send(3, 20);
	EXPECT_EQ(0, deliver(2, 20));
	EXPECT_EQ(0, end_with(NACK_FRONT));
	EXPECT_EQ(if_exact(REORDERED), deliver(3, 20));
}

TEST_F(control, dead)
{
	int i;

	lease(0, 2);
	send(0, 20);
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, deliver(0, 20));
		EXPECT_EQ(0, end_with(NACK));
	}
	/* That was one delivery too many. */
	EXPECT_EQ(if_exact(1), (int)end_dead(self->q, 1, true));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REJECT));
	EXPECT_EQ(if_exact(1), (int)end_dead(self->q, 0, false));
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, account(1));
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* One packed message that was read. */
static __u32 pack_one(FIXTURE_DATA(control) * self, __u32 number, __u32 len, __u32 deliveries)
{
	struct mpmcq_msg msg = { .len = len, .id = ++self->id, .deliveries = deliveries };

	memset(self->buf, 0, sizeof(self->buf));
	memcpy(self->buf, &msg, sizeof(msg));
	write_message(self->buf + sizeof(msg), len, 0, number);
	return MPMCQ_MSG_SPACE(len);
}

#define unpack(len) ({ \
	__u64 ids[2]; \
	__u32 n; \
	arrived_packed(self->world, self->f, &self->order, self->buf, len, ids, &n); })

TEST_F(control, packed)
{
	const int bad[] = {
		offsetof(struct mpmcq_msg, flags), offsetof(struct mpmcq_msg, reserved),
		offsetof(struct mpmcq_msg, deliveries), sizeof(struct mpmcq_msg) + 20,
		sizeof(struct mpmcq_msg) + 23,
	};
	__u32 i, space;

	lease(MPMCQ_MODE_PACKED, 2);
	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		send(i, 20);
		space = pack_one(self, i, 20, 1);
		if (i < ARRAY_SIZE(bad))
			self->buf[bad[i]] ^= 0x80;
		EXPECT_EQ(i < ARRAY_SIZE(bad) ? MISLABELLED : 0, unpack(space));
		end_with(ACK);
	}
	send(i, 20);
	space = pack_one(self, i, 20, 1);
	EXPECT_EQ(MISLABELLED, unpack(space - 8));
	EXPECT_EQ(MISLABELLED, unpack(8));
	self->buf[sizeof(struct mpmcq_msg)] ^= 1;
	EXPECT_EQ(TORN, unpack(space));
}

TEST_F(control, same_id)
{
	__u32 space;

	self->f->modes = MPMCQ_MODE_PACKED;
	send(0, 20);
	send(1, 20);
	space = pack_one(self, 0, 20, 0);
	EXPECT_EQ(0, unpack(space));
	self->id--;
	space = pack_one(self, 1, 20, 0);
	EXPECT_EQ(MISLABELLED, unpack(space));
}

#define judge(ret, ...) ({ \
	const struct request r = { .file = self->f, __VA_ARGS__ }; \
	const struct expected e = expect(&r); \
	as_expected(&e, ret); })

#define close_queue() ({ \
	self->q->closed = true; \
	increment(&self->q->closings); })

TEST_F(control, write_results)
{
	bool crowd = !self->q->exact;

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
	EXPECT_FALSE(judge(-EPIPE, of_20_bytes));
	EXPECT_EQ(crowd, judge(-EINTR, of_20_bytes));
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

	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(judge(-EAGAIN, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_FALSE(judge(-EINTR, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_TRUE(judge(-EINTR, of_20_bytes));
	EXPECT_FALSE(judge(-ECANCELED, of_20_bytes));
	EXPECT_TRUE(judge(-ECANCELED, of_20_bytes, .cancelled = true));
	EXPECT_EQ(crowd, judge(20, of_20_bytes));
	EXPECT_FALSE(judge(-EPIPE, of_20_bytes));

	close_queue();
	EXPECT_TRUE(judge(-EPIPE, of_20_bytes));
	EXPECT_EQ(crowd, judge(-EINTR, of_20_bytes));
	EXPECT_EQ(crowd, judge(20, of_20_bytes));
}

TEST_F(control, read_results)
{
	bool exact = self->q->exact;

#define into_30_bytes .total = 30, .there = 30, .may_refuse = true
	EXPECT_TRUE(judge(-EAGAIN, into_30_bytes));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes));
	EXPECT_EQ(!exact, judge(20, into_30_bytes));
	EXPECT_FALSE(judge(0, into_30_bytes));

	send(0, 20);
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(!exact, judge(19, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EMSGSIZE, into_30_bytes));
	EXPECT_FALSE(judge(31, into_30_bytes));
	EXPECT_FALSE(judge(0, into_30_bytes));
	EXPECT_FALSE(judge(-EFAULT, into_30_bytes));
	EXPECT_TRUE(judge(-EFAULT, into_30_bytes, .flaky = true));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes));
	EXPECT_TRUE(judge(-EINTR, into_30_bytes, .faulty = true));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes, .faulty = true, .quiet = true));
	EXPECT_EQ(!exact, judge(-EFAULT, .total = 30, .there = 20));
	EXPECT_TRUE(judge(-EFAULT, .total = 30, .there = 19));
	EXPECT_FALSE(judge(20, .total = 30, .there = 19));
	EXPECT_TRUE(judge(-EMSGSIZE, .total = 19, .there = 19));
	EXPECT_FALSE(judge(-EFAULT, .total = 19, .there = 19));
	EXPECT_TRUE(judge(-EFAULT, .total = 19, .there = 18));
	EXPECT_FALSE(judge(20, .total = 19, .there = 19));
	EXPECT_FALSE(judge(-EMSGSIZE, .total = 64, .there = 64));
	EXPECT_TRUE(judge(0, .may_wait = true));
	EXPECT_FALSE(judge(-EAGAIN, .may_refuse = true));

	close_queue();
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(!exact, judge(0, into_30_bytes));
}

TEST_F(control, the_end)
{
	bool exact = self->q->exact;

	close_queue();
	EXPECT_TRUE(judge(0, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_30_bytes));
	EXPECT_FALSE(judge(-EDEADLK, into_30_bytes));
	EXPECT_EQ(exact ? POLLHUP : POLLHUP | POLLIN,
		  ready_events(self->f, exact) & (POLLHUP | POLLIN));

	/* It is not, while there are dead ones, for who reads those. */
	self->q->closed = false;
	send(0, 20);
	lease(MPMCQ_MODE_PACKED, 2);
	deliver(0, 20);
	self->q->closed = true;
	EXPECT_EQ(!exact, judge(0, .total = 99, .there = 99, .may_wait = true));
	EXPECT_TRUE(judge(-EDEADLK, .total = 99, .there = 99, .may_wait = true));
	EXPECT_EQ(!exact, judge(-EINTR, .total = 99, .there = 99, .may_wait = true));
	self->f->nonblock = true;
	EXPECT_FALSE(judge(-EDEADLK, .total = 99, .there = 99, .may_refuse = true));
	EXPECT_TRUE(judge(-EAGAIN, .total = 99, .there = 99, .may_refuse = true));
	EXPECT_EQ(exact ? 0 : POLLHUP, ready_events(self->f, false) & POLLHUP);
	end_with(REJECT);
	EXPECT_EQ(POLLHUP, ready_events(self->f, false) & POLLHUP);
	EXPECT_TRUE(judge(0, .total = 99, .there = 99, .may_refuse = true));
	self->f->modes = MPMCQ_MODE_DEAD;
	EXPECT_EQ(!exact, judge(0, into_30_bytes));
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(exact ? 0 : POLLHUP, ready_events(self->f, false) & POLLHUP);

	/* Others have reopened it. */
	self->q->closed = false;
	self->q->reopened = self->q->closings;
	EXPECT_FALSE(judge(0, into_30_bytes, .reopened = self->q->reopened));
}

TEST_F(control, drop)
{
	send(0, 20);
	send(1, 20);
	self->q->like.flags = MPMCQ_DROP_OLDEST;
	EXPECT_EQ(!self->q->exact, judge(-EINTR, of_20_bytes));
	EXPECT_TRUE(judge(20, of_20_bytes));
	EXPECT_EQ(POLLOUT, ready_events(self->f, false) & POLLOUT);
	send(2, 20);
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* Two messages of 20 bytes, 48 with what is around them. */
#define PACKED_WRITE(n_, good_) (struct batch){ \
	.n = n_, .good = good_, .wrong = { 1, { -EINVAL }, 1, 0 }, \
	.of = { { 20, 0, 48 }, { 20, 1, 96 }, { 20, 2, 144 } }, }

TEST_F(control, packed_write_results)
{
	struct batch two = PACKED_WRITE(2, 2), three = PACKED_WRITE(3, 3);
	struct batch one = PACKED_WRITE(2, 1), none = PACKED_WRITE(2, 0);
	bool exact = self->q->exact;

	self->f->modes = MPMCQ_MODE_PACKED;
#define of_96_bytes .write = true, .total = 96, .there = 96, .quiet = true, .may_refuse = true
	EXPECT_TRUE(judge(96, of_96_bytes, .batch = &two));
	EXPECT_EQ(!exact, judge(48, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(97, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(0, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(-EINVAL, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(-EFAULT, of_96_bytes, .batch = &two));
	EXPECT_TRUE(judge(48, of_96_bytes, .batch = &one));
	EXPECT_FALSE(judge(96, of_96_bytes, .batch = &one));
	EXPECT_FALSE(judge(-EINVAL, of_96_bytes, .batch = &one));
	EXPECT_TRUE(judge(-EINVAL, of_96_bytes, .batch = &none));
	EXPECT_FALSE(judge(48, of_96_bytes, .batch = &none));
	EXPECT_FALSE(judge(-EMSGSIZE, of_96_bytes, .batch = &none));
	EXPECT_TRUE(judge(96, .write = true, .total = 144, .there = 144, .batch = &three));
	EXPECT_EQ(!exact, judge(144, .write = true, .total = 144, .there = 144, .batch = &three));

	EXPECT_TRUE(judge(48, .write = true, .total = 96, .there = 91, .batch = &two));
	EXPECT_FALSE(judge(96, .write = true, .total = 96, .there = 91, .batch = &two));
	EXPECT_TRUE(judge(-EFAULT, .write = true, .total = 96, .there = 43, .batch = &two));
	EXPECT_FALSE(judge(48, .write = true, .total = 96, .there = 43, .batch = &two));
	EXPECT_FALSE(judge(-EAGAIN, .write = true, .total = 96, .there = 43, .batch = &two));

	send(0, 20);
	EXPECT_TRUE(judge(48, of_96_bytes, .batch = &two));
	EXPECT_EQ(!exact, judge(96, of_96_bytes, .batch = &two));
	send(1, 20);
	EXPECT_EQ(!exact, judge(48, of_96_bytes, .batch = &two));
	EXPECT_TRUE(judge(-EAGAIN, of_96_bytes, .batch = &two));
}

TEST_F(control, packed_read_results)
{
	bool exact = self->q->exact;

#define into_99_bytes .total = 99, .there = 99, .quiet = true, .may_refuse = true
	lease(MPMCQ_MODE_PACKED, 1);
	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(judge(48, into_99_bytes));
	EXPECT_EQ(!exact, judge(96, into_99_bytes));
	EXPECT_FALSE(judge(-ENOBUFS, into_99_bytes));
	self->f->max_held = 2;
	EXPECT_TRUE(judge(96, into_99_bytes));
	EXPECT_EQ(!exact, judge(48, into_99_bytes));
	EXPECT_FALSE(judge(100, into_99_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_99_bytes));
	EXPECT_TRUE(judge(48, .total = 95, .there = 95, .quiet = true));
	EXPECT_FALSE(judge(96, .total = 95, .there = 95));
	EXPECT_TRUE(judge(48, .total = 99, .there = 95));
	EXPECT_FALSE(judge(96, .total = 99, .there = 95));
	EXPECT_TRUE(judge(-EMSGSIZE, .total = 47, .there = 47));
	EXPECT_FALSE(judge(48, .total = 47, .there = 47));
	EXPECT_TRUE(judge(-EFAULT, .total = 99, .there = 47));
	deliver(0, 20);
	EXPECT_EQ(!exact, judge(96, into_99_bytes));
	deliver(1, 20);
	EXPECT_TRUE(judge(-ENOBUFS, into_99_bytes));
	EXPECT_FALSE(judge(-EAGAIN, into_99_bytes));
	EXPECT_FALSE(judge(48, into_99_bytes));
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

TEST_F(control, events)
{
	bool exact = self->q->exact;

	EXPECT_EQ(exact ? POLLOUT | POLLWRNORM : 0, (int)ready_events(self->f, true));
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLIN));
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(exact ? POLLIN | POLLRDNORM : 0, (int)ready_events(self->f, true));
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLOUT));
	self->f->access = O_WRONLY;
	EXPECT_EQ(0, ready_events(self->f, false) & (POLLIN | POLLHUP));
	self->f->access = O_RDONLY;
	EXPECT_EQ(0, ready_events(self->f, false) & POLLOUT);
	self->f->modes = MPMCQ_MODE_DEAD;
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLIN));
}

TEST_F(control, info)
{
	const struct mpmcq_info right = {
		.size = sizeof(right), .version = 1, .capacity = 2, .msg_size = 64, .depth = 1,
		.features = 0xff, .max_deliveries = 2, .name = "control",
	};
	/* What others decide need not be as predicted. */
	const bool loose[] = { [4] = true, [9] = true, [10] = true, [11] = true };
	__u32 words[sizeof(right) / sizeof(__u32)], i;
	struct mpmcq_info info;

	send(0, 20);
	EXPECT_EQ(NULL, misinformed(&right, sizeof(right), self->f));
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		memcpy(words, &right, sizeof(words));
		words[i] = i == 1 ? 0 : words[i] + 1;
		memcpy(&info, words, sizeof(info));
		EXPECT_EQ(!self->q->exact && i < ARRAY_SIZE(loose) && loose[i],
			  !misinformed(&info, sizeof(info), self->f))
			TH_LOG("word %u", i);
		EXPECT_EQ(i > 5 || (!self->q->exact && loose[i]),
			  !misinformed(&info, MPMCQ_INFO_SIZE_VER0, self->f))
			TH_LOG("word %u, of the first version", i);
	}
}

#define refused(check, ...) ({ \
	struct expected e_ = NOTHING; \
	check(__VA_ARGS__, self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })
#define create_refused(...) \
	refused(check_create, (&(struct mpmcq_create){ .open_flags = O_RDWR, __VA_ARGS__ }))
#define attach_refused(...)	refused(check_attach, (&(struct mpmcq_attach){ __VA_ARGS__ }))
#define mode_refused(...)	refused(check_mode, (&(struct mpmcq_mode){ __VA_ARGS__ }))
#define leases_refused(verdict, ...) \
	refused(check_leases, (&(struct mpmcq_leases){ __VA_ARGS__ }), verdict)

TEST_F(control, arguments)
{
	EXPECT_EQ(0, create_refused());
	EXPECT_EQ(0, create_refused(.capacity = 2, .msg_size = 1, .name = "a.-_9", .mode = 0777));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 1));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 12));
	EXPECT_EQ(-EINVAL, create_refused(.msg_size = 65537));
	EXPECT_EQ(-EINVAL, create_refused(.flags = 8));
	EXPECT_EQ(-EINVAL, create_refused(.flags = MPMCQ_AUTO_DESTROY));
	EXPECT_EQ(-EINVAL, create_refused(.mode = 0600));
	EXPECT_EQ(-EINVAL, create_refused(.mode = 01000, .name = "a"));
	EXPECT_EQ(-EINVAL, create_refused(.name = "-a"));
	EXPECT_EQ(-EINVAL, create_refused(.name = "a\0b"));
	EXPECT_EQ(-EFBIG, create_refused(.capacity = 1048576, .msg_size = 65536));
	EXPECT_EQ(0, attach_refused(.open_flags = O_RDWR, .modes = MPMCQ_MODE_LEASE,
				    .max_held = 1));
	EXPECT_EQ(-EINVAL, attach_refused(.open_flags = O_ACCMODE));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = 8));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD));
	EXPECT_EQ(-EINVAL, attach_refused(.max_held = 1));
	EXPECT_EQ(-EBADF, attach_refused(.open_flags = O_WRONLY, .modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(0, mode_refused(.modes = MPMCQ_MODE_LEASE, .max_held = MPMCQ_MAX_HELD_MAX));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_LEASE,
					.max_held = MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(-EINVAL, mode_refused(.reserved = 1));
	EXPECT_EQ(0, leases_refused(ACK, .count = 1));
	EXPECT_EQ(-EINVAL, leases_refused(ACK, .count = 0));
	EXPECT_EQ(-EINVAL, leases_refused(ACK, .flags = MPMCQ_LEASES_ALL, .count = 1));
	EXPECT_EQ(-EINVAL, leases_refused(ACK, .flags = MPMCQ_LEASES_FRONT, .count = 1));
	EXPECT_EQ(0, leases_refused(NACK, .flags = MPMCQ_LEASES_FRONT, .count = 1));
	self->f->access = O_RDONLY;
	EXPECT_EQ(-EBADF, create_refused(.name = "a"));
	EXPECT_EQ(-EACCES, attach_refused(.open_flags = O_RDWR));
	EXPECT_EQ(-EBADF, refused(check_dead, (&(struct mpmcq_dead){}), true));
	EXPECT_EQ(0, refused(check_dead, (&(struct mpmcq_dead){}), false));
	self->f->access = O_WRONLY;
	EXPECT_EQ(-EBADF, mode_refused(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBADF, leases_refused(ACK, .count = 1));
}

TEST_F(control, modes_stay)
{
#define mode_set(...) ({ \
	struct expected e_ = NOTHING; \
	expect_mode((&(struct mpmcq_mode){ __VA_ARGS__ }), self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })

	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_PACKED));
	lease(0, 2);
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBUSY, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 1));
	EXPECT_EQ(-EBUSY, mode_set(.modes = 0));
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
	char text[256];
	int i, n = 0;

	if (as_expected(e, ret))
		return true;
	text[0] = '\0';
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

static void tell_faults(struct worker *w, const char *call, ssize_t ret, int faults)
{
	static const char *const what[] = {
		", and a message is torn", ", and another message was next",
		", and a message is nobody's", ", and a message is lost",
		", and a message comes again", ", and its header or padding is wrong",
		", and that is more than may be held",
	};
	int i;

	for (i = 0; i < (int)ARRAY_SIZE(what); i++)
		if (faults & 1 << i)
			complain(w, call, ret, what[i]);
}

/*
 * The files
 */
static struct open_file *open_file(struct worker *w, int i)
{
	return &w->open[w->files.of[i]];
}

/* Any that the worker may use: mostly one of its own. */
static int draw_file(struct worker *w)
{
	__u32 others = (is_alone(w) ? COMMON + 1 : LAST) - OWN;

	return draw(w, 4) ? draw(w, OWN) : OWN + draw(w, others);
}

/* Whether other descriptors of the worker are of the same open file. */
static bool has_twin(struct worker *w, int i)
{
	return open_file(w, i)->refs > 1;
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

/*
 * A child of another thread has all descriptors for a moment.  What the last close
 * of an open file does cannot be expected meanwhile.
 */
static pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;

static void before_close(struct worker *w, const struct open_file *f)
{
	if (f->refs == 1)
		let_all_go(w->world, f);
	pthread_mutex_lock(&forking);
}

static void after_close(struct worker *w, struct open_file *f)
{
	pthread_mutex_unlock(&forking);
	if (!--f->refs)
		closed(w->world, f);
}

static void close_file(struct worker *w, int i)
{
	struct open_file *f = open_file(w, i);

	forget(w, i);
	before_close(w, f);
	has_to(w, "close", result(close(w->files.fd[i])), 0);
	after_close(w, f);
	w->files.fd[i] = -1;
	w->files.of[i] = -1;
}

static int unused_open_file(struct worker *w)
{
	int of;

	for (of = 0; of < OPEN_FILES && w->open[of].queue; of++)
		;
	return of;
}

/* A new descriptor is to be file @i. */
static struct open_file *put_file(struct worker *w, int i, int fd, struct queue *q, int flags,
				  __u32 modes, __u32 max_held)
{
	int of = unused_open_file(w);
	struct open_file *f = &w->open[of];

	opened(f, q, flags & O_ACCMODE, modes, max_held);
	f->nonblock = flags & O_NONBLOCK;
	if (w->files.fd[i] >= 0)
		close_file(w, i);
	w->files.fd[i] = fd;
	w->files.of[i] = of;
	return f;
}

static int draw_open_flags(struct worker *w)
{
	static const int access[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };

	return draw_of(w, access) | (one_in(w, 2) ? O_NONBLOCK : 0) |
	       (one_in(w, 2) ? O_CLOEXEC : 0);
}

/* With neither access nothing can be read or written. */
static int draw_node_flags(struct worker *w)
{
	return draw_open_flags(w) | (one_in(w, 8) ? O_ACCMODE : 0) |
	       (one_in(w, 4) ? O_APPEND : 0);
}

static void open_default(struct worker *w, int i)
{
	int flags = draw_node_flags(w), fd;
	char path[32] = DEVICE;

	if (one_in(w, 4))
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->files.fd[COMMON]);
	fd = result(open(path, flags));
	if (fd < 0)
		complain(w, "open", fd, "");
	else
		put_file(w, i, fd, &w->stage->queue[DEFAULT], flags, 0, 0)->node = true;
}

static void open_badly(struct worker *w)
{
	static const struct { int flag, error; } bad[] = {
		{ O_DIRECT, -EINVAL }, { O_DIRECTORY, -ENOTDIR }, { O_CREAT | O_EXCL, -EEXIST },
	};
	int i = draw(w, ARRAY_SIZE(bad));

	has_to(w, "open", result(open(DEVICE, draw_node_flags(w) | bad[i].flag, 0)),
	       bad[i].error);
}

/*
 * Structs
 */

/* A struct for the kernel, which may be laid out so that it has to be refused. */
struct args {
	unsigned char *at;
	bool read_only;			/* nothing can come back */
	struct expected refusal;
};

/* The addresses that user space cannot have on any machine. */
static void *draw_kernel_address(struct worker *w)
{
	static const unsigned long address[] = { 1UL << 63, -1UL << 31, -4096UL };

	return (void *)draw_of(w, address);
}

static __u32 draw_size(struct worker *w, __u32 known, __u32 least)
{
	const __u32 sizes[] = {
		0, 4, least - 1, least, known - 1, known, known + 1, known + 8,
		4095, 4096, 4097, UINT32_MAX,
	};

	return one_in(w, 6) ? draw_of(w, sizes) : known;
}

/*
 * Gives @args, which begins with its size, any size and tail, and puts it at the end of
 * the pages, or over it.  @least is the size of the first that was published.  What comes
 * back may have no place there.
 */
static struct args lay_out_args(struct worker *w, void *args, __u32 known, __u32 least,
				bool may_be_read_only)
{
	__u32 size = draw_size(w, known, least);
	__u32 len = size < least ? least : size > 4096 ? 4096 : size;
	__u32 there = one_in(w, 16) ? draw(w, len) : len;
	bool tail = size > known && one_in(w, 2) && there > known;
	unsigned char *end = w->arena->view[GOOD] + w->arena->size;
	struct args a = {
		.at = end - there, .read_only = one_in(w, 16) && may_be_read_only,
		.refusal = NOTHING,
	};

	memcpy(args, &size, sizeof(size));
	memset(a.at, 0, there);
	memcpy(a.at, args, there < known ? there : known);
	if (tail)
		end[-1] = 1;
	if (there < sizeof(size)) {
		may_fail(&a.refusal, -EFAULT);
	} else if (size < least) {
		may_fail(&a.refusal, -EINVAL);
	} else if (size > 4096) {
		may_fail(&a.refusal, -E2BIG);
	} else {
		if (there < len)
			may_fail(&a.refusal, -EFAULT);
		if (tail)
			may_fail(&a.refusal, -E2BIG);
	}
	if (a.read_only)
		a.at += w->arena->view[READ_ONLY] - w->arena->view[GOOD];
	if (one_in(w, 64)) {
		a.at = draw_kernel_address(w);
		a.refusal = NOTHING;
		may_fail(&a.refusal, -EFAULT);
	}
	return a;
}

/* All but the size is anything. */
static void draw_garbage(struct worker *w, void *args, __u32 size)
{
	unsigned char *byte = args;
	__u32 i;

	for (i = sizeof(size); i < size; i++)
		byte[i] = one_in(w, 2) ? draw(w, 256) : 0;
}

static int call_args(struct worker *w, int i, unsigned int cmd, const struct args *a)
{
	/* The size in the call is that of some version of the struct. */
	if (one_in(w, 8))
		cmd = _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), draw(w, 1 << 14));
	return result(ioctl(w->files.fd[i], cmd, a->at));
}

/*
 * Queues with names, and as whom they are used
 */
static void set_capabilities(bool all)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int i;

	syscall(SYS_capget, &header, data);
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = all ? data[i].permitted : 0;
	syscall(SYS_capset, &header, data);
}

static bool is_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	syscall(SYS_capget, &header, data);
	return data[0].effective & 1 << CAP_SYS_ADMIN &&
	       data[0].effective & 1 << CAP_DAC_OVERRIDE &&
	       data[0].effective & 1 << CAP_SETUID && data[0].effective & 1 << CAP_SETGID;
}

static struct identity draw_identity(struct worker *w)
{
	struct identity id = w->self;
	bool other_user = one_in(w, 3), other_group = one_in(w, 2), unable = one_in(w, 2);

	if (!w->privileged)
		return id;
	if (other_user)
		id.uid = 61000 + draw(w, 2);
	if (other_group)
		id.gid = 61000 + draw(w, 2);
	id.able = !unable;
	return id;
}

/* As that for a call, ... */
static void become(struct worker *w, const struct identity *id)
{
	if (!w->privileged)
		return;
	setfsgid(id->gid);
	setfsuid(id->uid);
	set_capabilities(id->able);
}

/* ... and then again as oneself. */
static void be_oneself(struct worker *w)
{
	if (!w->privileged)
		return;
	set_capabilities(true);
	setfsuid(w->self.uid);
	setfsgid(w->self.gid);
}

static bool in_group(struct worker *w, const struct identity *id, gid_t gid)
{
	gid_t groups[64];
	int n = getgroups(ARRAY_SIZE(groups), groups);

	if (id->gid == gid)
		return true;
	while (n-- > 0)
		if (groups[n] == gid)
			return true;
	return false;
}

static bool may_open(struct worker *w, const struct queue *q, int flags, const struct identity *id)
{
	__u32 access = flags & O_ACCMODE, mode = q->like.mode;
	__u32 want = (access != O_WRONLY ? 4 : 0) | (access != O_RDONLY ? 2 : 0);

	if (id->uid == q->uid)
		mode >>= 6;
	else if (in_group(w, id, q->gid))
		mode >>= 3;
	return !(want & ~mode) || (id->able && w->privileged);
}

/* The queue of that name, of those this worker has to do with. */
static struct queue *find_queue(struct worker *w, const char *name)
{
	int i;

	for (i = 0; i < OWN_QUEUES; i++)
		if (w->own[i].serial && w->own[i].named && !strcmp(w->own[i].like.name, name))
			return &w->own[i];
	for (i = DEFAULT + 1; i < w->stage->queues; i++)
		if (!strcmp(w->stage->queue[i].like.name, name))
			return &w->stage->queue[i];
	return NULL;
}

static bool is_taken(struct worker *w, const char *name)
{
	return !strcmp(name, "mpmcq") || find_queue(w, name);
}

static void name_own(struct worker *w, char *name, int i)
{
	int n = snprintf(name, MPMCQ_NAME_MAX + 1, "fuzz-%d-%d_%d.", w->stage->pid, w->id, i);

	/* One is as long as can be. */
	if (!i)
		memset(name + n, 'x', MPMCQ_NAME_MAX - n);
}

/* A name, or what is none; @name is all 0 before. */
static void draw_name(struct worker *w, char *name)
{
	static const char *const names[] = {
		"mpmcq", "", ".a", "-a", "a/b", "a b", "..", "a\n", "\xc3\xbc",
	};

	switch (draw(w, 16)) {
	case 0:
		strcpy(name, draw_of(w, names));
		break;
	case 1:		/* which does not end */
		memset(name, 'a', MPMCQ_NAME_MAX + 1);
		break;
	case 2:		/* with more behind its end */
		name_own(w, name, 1);
		name[MPMCQ_NAME_MAX - draw(w, 4)] = 'a';
		break;
	case 3 ... 4:
		if (!is_alone(w))
			strcpy(name, w->stage->queue[1 + draw(w, SHARED - 1)].like.name);
		break;
	default:
		name_own(w, name, draw(w, OWN_NAMES));
	}
}

static struct queue *unused_queue(struct worker *w)
{
	int i;

	for (i = 0; i < OWN_QUEUES; i++)
		if (!w->own[i].serial)
			return &w->own[i];
	return NULL;
}

static void draw_create(struct worker *w, struct mpmcq_create *c)
{
	static const __u32 capacities[] = { 2, 2, 4, 8, 16, 64, 256, 0 };
	static const __u32 msg_sizes[] = { 1, 8, 15, 16, 24, 40, 100, 600, OWN_MSG_SIZE, 0 };
	static const __u32 bad_capacities[] = { 1, 3, 1000, 2097152, 1U << 31, UINT32_MAX };
	static const __u32 deliveries[] = { 0, 0, 1, 2, 3, 8, UINT32_MAX };
	static const __u32 lease_ms[] = { 0, 0, 3600000, INT_MAX };
	static const __u32 modes[] = { 0600, 0600, 0660, 0666, 0400, 0040, 0 };

	*c = (struct mpmcq_create){
		.capacity = draw_of(w, capacities),
		.msg_size = draw_of(w, msg_sizes),
		.max_deliveries = draw_of(w, deliveries),
		.lease_ms = draw_of(w, lease_ms),
		.open_flags = draw_open_flags(w),
		.flags = (one_in(w, 4) ? MPMCQ_DROP_OLDEST : 0) |
			 (one_in(w, 4) ? MPMCQ_AUTO_CLOSE : 0),
	};
	if (one_in(w, 2)) {
		draw_name(w, c->name);
		c->mode = draw_of(w, modes);
		c->flags |= one_in(w, 3) ? MPMCQ_AUTO_DESTROY : 0;
	}
	switch (draw(w, 32)) {
	case 0:
		c->capacity = draw_of(w, bad_capacities);
		break;
	case 1:
		c->msg_size = 65537 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 2:
		c->flags ^= 1U << draw(w, 32);
		break;
	case 3:
		c->open_flags ^= 1U << draw(w, 32);
		break;
	case 4:
		c->mode ^= 1U << draw(w, 32);
		break;
	case 5:
		c->lease_ms = INT_MAX + 1U + draw(w, 2);
		break;
	case 6:
		c->capacity = 1048576;
		c->msg_size = 65536;
		break;
	case 7:
		draw_garbage(w, c, sizeof(*c));
		break;
	}
}

static void call_create(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct identity id = draw_identity(w);
	struct queue *q = unused_queue(w);
	struct mpmcq_create c;
	struct expected e;
	struct args a;

	draw_create(w, &c);
	a = lay_out_args(w, &c, sizeof(c), sizeof(c), true);
	e = a.refusal;
	check_create(&c, open_file(w, by), &e);
	if (is_name(c.name, sizeof(c.name)) && is_taken(w, c.name))
		may_fail(&e, -EEXIST);
	if (!e.errors && !q)
		return;
	if (!e.errors)
		may_return(&e, 0, INT_MAX);
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_CREATE, &a);
	be_oneself(w);
	if (!returned(w, "ioctl: CREATE", ret, &e) || ret < 0)
		return;
	begin_queue(w->world, q);
	q->like = c;
	q->like.capacity = c.capacity ? c.capacity : 1024;
	q->like.msg_size = c.msg_size ? c.msg_size : 1024;
	q->named = !has_no_name(&c);
	q->uid = id.uid;
	q->gid = id.gid;
	put_file(w, i, ret, q, c.open_flags, 0, 0);
}

static void call_open_name(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct mpmcq_name name = { .open_flags = draw_open_flags(w) };
	struct identity id = draw_identity(w);
	const struct queue *q;
	struct expected e;
	struct args a;

	draw_name(w, name.name);
	if (one_in(w, 16))
		name.open_flags ^= 1U << draw(w, 32);
	if (one_in(w, 32))
		draw_garbage(w, &name, sizeof(name));
	a = lay_out_args(w, &name, sizeof(name), sizeof(name), true);
	e = a.refusal;
	if (!are_open_flags(name.open_flags) || !is_name(name.name, sizeof(name.name)))
		may_fail(&e, -EINVAL);
	if (!e.errors) {
		q = find_queue(w, name.name);
		if (!q)
			may_fail(&e, -ENOENT);
		else if (!may_open(w, q, name.open_flags, &id))
			may_fail(&e, -EACCES);
		else
			may_return(&e, 0, INT_MAX);
	}
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_OPEN, &a);
	be_oneself(w);
	if (returned(w, "ioctl: OPEN", ret, &e) && ret >= 0)
		put_file(w, i, ret, find_queue(w, name.name), name.open_flags, 0, 0);
}

/* The node of a queue, in /dev or in sysfs. */
static void path_of(const struct queue *q, const char *where, char *path, size_t size)
{
	snprintf(path, size, "%s/mpmcq%s%s", where, strcmp(q->like.name, "mpmcq") ? "-" : "",
		 strcmp(q->like.name, "mpmcq") ? q->like.name : "");
}

/* By its node, if it has one. */
static void call_open_node(struct worker *w)
{
	int i = draw(w, OWN), flags = draw_open_flags(w), ret;
	struct expected e = NOTHING;
	char name[MPMCQ_NAME_MAX + 1] = "", path[96];
	struct queue *q;

	draw_name(w, name);
	q = is_name(name, sizeof(name)) ? find_queue(w, name) : NULL;
	if (!q || !w->stage->nodes)
		return;
	path_of(q, "/dev", path, sizeof(path));
	if (may_open(w, q, flags, &w->self))
		may_return(&e, 0, INT_MAX);
	else
		may_fail(&e, -EACCES);
	ret = result(open(path, flags));
	if (returned(w, "open", ret, &e) && ret >= 0)
		put_file(w, i, ret, q, flags, 0, 0)->node = true;
}

/* Its node goes, and who has come by it cannot open it any more. */
static void call_destroy(struct worker *w)
{
	struct identity id = draw_identity(w);
	struct mpmcq_name name = {};
	int by = draw_file(w), node = -1, ret;
	struct queue *q = NULL;
	struct expected e;
	struct args a;
	char path[96];

	draw_name(w, name.name);
	if (one_in(w, 16))
		name.open_flags = 1U << draw(w, 32);
	if (one_in(w, 32))
		draw_garbage(w, &name, sizeof(name));
	a = lay_out_args(w, &name, sizeof(name), sizeof(name), true);
	e = a.refusal;
	if (name.open_flags || !is_name(name.name, sizeof(name.name)))
		may_fail(&e, -EINVAL);
	if (!e.errors) {
		q = find_queue(w, name.name);
		if (!q)
			may_fail(&e, -ENOENT);
		else if (!q->exact)
			return;
		else if (id.uid != q->uid && !(id.able && w->privileged))
			may_fail(&e, -EPERM);
		else
			may_return(&e, 0, 0);
	}
	if (q && w->stage->nodes) {
		path_of(q, "/dev", path, sizeof(path));
		node = open(path, O_PATH);
		if (node < 0)
			complain(w, "open: O_PATH", -errno, "");
	}
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_DESTROY, &a);
	be_oneself(w);
	if (returned(w, "ioctl: DESTROY", ret, &e) && !ret) {
		q->named = false;
		if (!q->files)
			q->serial = 0;
		if (node >= 0) {
			has_to(w, "open", result(open(path, O_RDWR)), -ENOENT);
			snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
			has_to(w, "open", result(open(path, O_RDWR)), -ENXIO);
		}
	}
	if (node >= 0)
		close(node);
}

static void call_attach(struct worker *w)
{
	static const __u32 most[] = { 0, 0, 1, 2, 5, 64, 1000, MPMCQ_MAX_HELD_MAX };
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct open_file *f = open_file(w, by);
	struct mpmcq_attach req = {
		.open_flags = draw_open_flags(w), .modes = draw(w, 8),
	};
	struct expected e;
	struct args a;

	if (req.modes & MPMCQ_MODE_LEASE && req.modes & MPMCQ_MODE_DEAD && !one_in(w, 8))
		req.modes &= ~MPMCQ_MODE_DEAD;
	/* Where all messages have to keep their order none may come back. */
	if (f->queue->ordered)
		req.modes &= ~MPMCQ_MODE_LEASE;
	if (req.modes & MPMCQ_MODE_LEASE || one_in(w, 32))
		req.max_held = draw_of(w, most);
	if (one_in(w, 32))
		req.max_held = MPMCQ_MAX_HELD_MAX + 1 + draw(w, 2) * draw(w, 1U << 31);
	if (one_in(w, 32))
		req.modes ^= 1U << (3 + draw(w, 29));
	if (one_in(w, 32))
		req.open_flags ^= 1U << draw(w, 32);
	if (one_in(w, 64) && !f->queue->ordered)
		draw_garbage(w, &req, sizeof(req));
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), true);
	e = a.refusal;
	check_attach(&req, f, &e);
	if (!e.errors)
		may_return(&e, 0, INT_MAX);
	ret = call_args(w, by, MPMCQ_IOC_ATTACH, &a);
	if (!returned(w, "ioctl: ATTACH", ret, &e) || ret < 0)
		return;
	put_file(w, i, ret, f->queue, req.open_flags, req.modes,
		 req.modes & MPMCQ_MODE_LEASE ? most_held(f->queue, req.max_held) : 0);
}

static void call_open(struct worker *w)
{
	if (one_in(w, 4))
		open_badly(w);
	else
		open_default(w, draw(w, OWN));
}

static void name_contended(struct worker *w, char *name, int i)
{
	snprintf(name, MPMCQ_NAME_MAX + 1, "fuzz-%d-x%d", w->stage->pid, i);
}

/* Names that others create and destroy at any moment; what is sent there is nobody's. */
static void call_contended(struct worker *w)
{
	struct mpmcq_create c = { .size = sizeof(c), .capacity = 2, .msg_size = 8, .mode = 0600 };
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = O_RDWR | O_NONBLOCK };
	int by = w->files.fd[COMMON], fd, how = draw(w, 4), k = draw(w, CONTENDED);
	bool end = one_in(w, 2), read_it = one_in(w, 2);
	char path[96];
	__u64 buf[8] = {};

	if (is_alone(w))
		return;
	name_contended(w, name.name, k);
	memcpy(c.name, name.name, sizeof(c.name));
	c.open_flags = name.open_flags;
	c.flags = draw(w, 8);
	snprintf(path, sizeof(path), "/dev/mpmcq-%s", name.name);
	switch (how) {
	case 0:
		fd = result(ioctl(by, MPMCQ_IOC_CREATE, &c));
		break;
	case 1:
		fd = result(ioctl(by, MPMCQ_IOC_OPEN, &name));
		break;
	case 2:
		fd = result(open(path, O_RDWR | O_NONBLOCK));
		break;
	default:
		name.open_flags = 0;
		fd = result(ioctl(by, MPMCQ_IOC_DESTROY, &name));
		if (fd && fd != -ENOENT)
			complain(w, "ioctl: DESTROY", fd, "");
		return;
	}
	if (fd < 0) {
		if (fd != (how ? -ENOENT : -EEXIST) && (fd != -ENXIO || how != 2))
			complain(w, "a name in use by others", fd, "");
		return;
	}
	put(fd, buf, sizeof(buf[0]));
	if (end)
		has_to(w, "ioctl: CLOSE", result(ioctl(fd, MPMCQ_IOC_CLOSE, 0)), 0);
	if (read_it)
		take(fd, buf, sizeof(buf));
	pthread_mutex_lock(&forking);
	close(fd);
	pthread_mutex_unlock(&forking);
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
	int i = draw_file(w), fd = w->files.fd[i];
	struct open_file *f = open_file(w, i);
	int nonblock = draw(w, 2), async = one_in(w, 3);

	/* The hot one may just now be another's own. */
	if (i == HOT)
		return;
	set_owner(w, fd);
	if (one_in(w, 2)) {
		has_to(w, "fcntl: F_SETFL", result(fcntl(fd, F_SETFL, (nonblock ? O_NONBLOCK : 0) |
							 (async ? O_ASYNC : 0))), 0);
	} else {
		has_to(w, "ioctl: FIONBIO", result(ioctl(fd, FIONBIO, &nonblock)), 0);
		has_to(w, "ioctl: FIOASYNC", result(ioctl(fd, FIOASYNC, &async)), 0);
	}
	if (i >= OWN)
		return;
	f->nonblock = nonblock;
	/* With neither access there is nothing that a signal could tell. */
	f->async = async && (readable(f) || writable(f));
	check_flags(w, i);
}

/*
 * The buffers
 */
static unsigned char *map_pages(size_t len, int prot, int file)
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
	a->size = (w->stage->longest + (SEGMENTS + 1) * MARGIN + 3 * page) / page * page;
	a->file = memfd_create("arena", 0);
	a->hole = map_pages(page, PROT_NONE, -1);
	if (a->file < 0 || !a->hole || ftruncate(a->file, a->size))
		return false;
	for (i = 0; i < VIEWS; i++) {
		/* The last page is beyond the end of the file. */
		a->view[i] = map_pages(a->size + page, PROT_READ | PROT_WRITE, a->file);
		if (!a->view[i])
			return false;
	}
	return !mprotect(a->view[GOOD] + a->size, page, PROT_NONE) &&
	       !mprotect(a->view[READ_ONLY], a->size + page, PROT_READ) &&
	       !io_uring_queue_init(8, &a->ring, 0);
}

/* Of @left bytes, those for one of @more segments. */
static size_t draw_part(struct worker *w, size_t left, int more)
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
	enum view view = bad ? draw(w, r->file->queue->exact ? FLAKY : VIEWS) : GOOD;
	int i, broken = bad && segments && one_in(w, 4) ? (int)draw(w, segments) : -1;

	/* Padding is not asked for, and what is behind it would be accessible. */
	if (r->write && has_mode(r->file, MPMCQ_MODE_PACKED))
		broken = -1;

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
		v->iov_len = draw_part(w, left, segments - i);
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
	r->faulty = view != GOOD || r->there < len;
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

/* Copies what is to be written to the buffer, or @len bytes of what was read back. */
static void scatter(struct arena *a)
{
	size_t done = 0;
	int i;

	for (i = 0; i < a->segments; i++) {
		memcpy(a->view[GOOD] + a->at[i], a->msg + done, visible(a, i));
		done += length_at(a, i);
	}
}

static void collect(struct arena *a, size_t len)
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

static size_t draw_length(struct worker *w, __u32 longest, bool write)
{
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
		if (longest < sizeof(struct record))
			return 1 + draw(w, longest);
		return sizeof(struct record) + draw(w, longest < 128 ? longest - 15 : 112);
	}
}

/* Of a packed read. */
static size_t draw_room(struct worker *w, __u32 longest)
{
	size_t most = MPMCQ_MSG_SPACE(longest);

	if (most > PACKED_MAX)
		most = PACKED_MAX;
	switch (draw(w, 16)) {
	case 0:
		return 0;
	case 1:
		return 1 + draw(w, MPMCQ_MSG_SPACE(1));
	case 2 ... 4:
		return MPMCQ_MSG_SPACE(1) + draw(w, 200);
	case 5 ... 7:
		return 1 + draw(w, most);
	case 8 ... 11:
		return most + draw(w, 200);
	default:
		return most + draw(w, PACKED_MAX - most + 1);
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

/*
 * Packed writes
 */
static __u32 draw_batch_size(struct worker *w)
{
	__u32 n;

	switch (draw(w, 8)) {
	case 0 ... 3:
		n = 1 + draw(w, 4);
		break;
	case 4 ... 6:
		n = 1 + draw(w, 16);
		break;
	default:
		n = one_in(w, 4) ? 0 : 1 + draw(w, BATCH);
	}
	return n;
}

static void pack_message(struct worker *w, struct batch *b, __u32 len)
{
	unsigned char *to = w->arena->msg + (b->n ? b->of[b->n - 1].end : 0);
	struct mpmcq_msg msg;
	__u32 space = MPMCQ_MSG_SPACE(len);

	/* What is ignored in a header may be anything. */
	memset(&msg, JUNK, sizeof(msg));
	msg.len = len;
	msg.flags = 0;
	msg.reserved = 0;
	memset(to, JUNK, space);
	memcpy(to, &msg, sizeof(msg));
	write_message(to + sizeof(msg), len, w->id, w->number);
	b->of[b->n].len = len;
	b->of[b->n].number = w->number++;
	b->of[b->n].end = to + space - w->arena->msg;
	b->n++;
}

/* Makes one of the messages malformed, and perhaps the last the shorter; the bytes left. */
static size_t spoil_batch(struct worker *w, struct batch *b, __u32 msg_size)
{
	__u32 i = draw(w, b->n), start = i ? b->of[i - 1].end : 0, space = b->of[i].end - start;
	struct mpmcq_msg msg;
	unsigned char *at = w->arena->msg + start;

	memcpy(&msg, at, sizeof(msg));
	b->good = i;
	may_fail(&b->wrong, -EINVAL);
	switch (draw(w, 6)) {
	case 0:
		msg.len = 0;
		break;
	case 1:
		msg.flags = 1U << draw(w, 32);
		break;
	case 2:
		msg.reserved = 1U << draw(w, 32);
		break;
	case 3:
		msg.len = msg_size + 1 + draw(w, 64);
		may_fail(&b->wrong, -EMSGSIZE);
		break;
	case 4:
		msg.len = UINT32_MAX - draw(w, 32);
		may_fail(&b->wrong, -EMSGSIZE);
		break;
	default:
		return start + 1 + draw(w, space - 1);
	}
	memcpy(at, &msg, sizeof(msg));
	return b->of[b->n - 1].end;
}

/* Makes a packed write; how many bytes. */
static size_t draw_batch(struct worker *w, const struct queue *q)
{
	struct batch *b = &w->arena->batch;
	__u32 n = draw_batch_size(w), i;
	size_t bytes;

	*b = (struct batch){ .wrong = NOTHING };
	if (one_in(w, 32)) {
		bytes = draw(w, 200);
		for (i = 0; i < bytes; i++)
			w->arena->msg[i] = draw(w, 256);
		/* With a chance of one in 2^64 it is well-formed. */
		may_fail(&b->wrong, -EINVAL);
		may_fail(&b->wrong, -EMSGSIZE);
		return bytes;
	}
	for (i = 0; i < n; i++) {
		__u32 len = draw_length(w, q->like.msg_size, true);

		if (!len || len > q->like.msg_size)
			len = 1;
		if ((b->n ? b->of[b->n - 1].end : 0) + MPMCQ_MSG_SPACE(len) > PACKED_MAX)
			break;
		pack_message(w, b, len);
	}
	b->good = b->n;
	if (b->n && one_in(w, 6))
		return spoil_batch(w, b, q->like.msg_size);
	if (!b->n)
		may_fail(&b->wrong, -EINVAL);
	return b->n ? b->of[b->n - 1].end : 0;
}

/* How many messages @bytes of the batch are; -1 if they are not whole. */
static int messages_in(const struct batch *b, ssize_t bytes)
{
	__u32 i;

	if (bytes <= 0)
		return 0;
	for (i = 0; i < b->good; i++)
		if (b->of[i].end == bytes)
			return i + 1;
	return -1;
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

	if (r->there < r->file->queue->like.msg_size || r->flaky ||
	    has_mode(r->file, MPMCQ_MODE_PACKED))
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
	const struct open_file *f = r->file;
	const struct queue *q = f->queue;
	struct arena *a = w->arena;
	bool packed = has_mode(f, MPMCQ_MODE_PACKED), may_be_bad = r->write;
	size_t len;

	if (packed)
		len = r->write ? draw_batch(w, q) : draw_room(w, q->like.msg_size);
	else
		len = draw_length(w, q->like.msg_size, r->write);
	how->method = draw(w, w->forked ? URING : METHODS);
	how->segments = how->method == PLAIN ? 1 : draw_segments(w);
	how->iov = a->iov;
	/*
	 * What is handed back is read late.  It is not known then which is the oldest, to be
	 * dropped, and of those that are alike which has been delivered too often.
	 */
	if (!q->ordered && !(q->exact && (q->like.flags & MPMCQ_DROP_OLDEST ||
					  (packed && q->like.max_deliveries))))
		may_be_bad = true;
	lay_out(w, r, how->segments ? len : 0, how->segments, may_be_bad && one_in(w, 3));
	if (packed && r->write) {
		if (!how->segments)
			a->batch = (struct batch){ .wrong = { 1, { -EINVAL }, 1, 0 } };
		r->batch = &a->batch;
	}
	r->vector = how->method == VECTOR || how->method == VECTOR2;
	/* Whether io_uring waits in spite of O_NONBLOCK depends on the kernel. */
	r->may_refuse = i >= OWN || f->nonblock;
	r->may_wait = i >= OWN || !f->nonblock || how->method == URING;
	r->cancelled = how->method == URING;
	/* If it never begins, nor does it acknowledge. */
	how->async = how->method == URING && one_in(w, 8) && !q->exact &&
		     !(has_mode(f, MPMCQ_MODE_LEASE) && !packed);
	r->early = how->async;
	if (!(r->write ? writable(f) : readable(f)))
		may_fail(&r->refusal, -EBADF);
	if (how->method == VECTOR2)
		draw_flags(w, r, how);
	if (how->method == PLAIN && one_in(w, 16))
		enlarge(w, r, how);
	else if (one_in(w, 16))
		spoil(w, r, how);
}

/*
 * More writes than reads for some time, then more reads: full or empty at the turns.
 * What others do does not decide, so that it is the same again.
 */
static bool draw_write(struct worker *w, const struct open_file *f)
{
	const struct queue *q = f->queue;
	__u32 period = 16 + 4 * q->like.capacity / w->world->workers;
	bool filling = q->exact ? q->filling : !(w->call / period % 2);
	bool write = draw(w, 8) < (filling ? 6U : 2U), anyway = one_in(w, 8);

	if (readable(f) != writable(f) && !anyway)
		write = writable(f);
	return write && w->number + BATCH <= w->world->numbers;
}

static void turn(struct queue *q)
{
	if (!waiting(q, false))
		q->filling = true;
	else if (!room(q))
		q->filling = false;
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

/* Once it returns no signal comes of them any more. */
static void stop_timers(struct worker *w)
{
	const struct itimerspec never = {};
	int i;

	for (i = 0; i < TIMERS; i++)
		timer_settime(w->files.timer[i], 0, &never, NULL);
}

/* Whether no signal can disturb a call that does not wait. */
static bool can_be_quiet(struct worker *w, const struct request *r, const struct how *how)
{
	int of;

	if (!is_alone(w) || r->file->queue == &w->stage->queue[DEFAULT] || how->method == URING)
		return false;
	for (of = 0; of < OPEN_FILES; of++)
		if (w->open[of].queue && w->open[of].async)
			return false;
	return true;
}

/* Writes the message or messages, as the buffer has room for them. */
static void fill_buffer(struct worker *w, const struct request *r, __u32 number)
{
	const struct queue *q = r->file->queue;
	struct arena *a = w->arena;
	__u32 i;

	if (!r->batch && r->total > q->like.msg_size)
		return;
	if (!r->batch)
		write_message(a->msg, r->total, w->id, number);
	scatter(a);
	if (!r->batch)
		will_send(w->world, q, w->id, number);
	for (i = 0; r->batch && i < r->batch->good; i++)
		will_send(w->world, q, w->id, r->batch->of[i].number);
}

static void has_written(struct worker *w, const struct request *r, const char *name, ssize_t ret,
			__u32 number)
{
	struct queue *q = r->file->queue;
	const struct batch *b = r->batch;
	int i, n = b ? messages_in(b, ret) : 0;

	if (n < 0)
		complain(w, name, ret, ", and those are no whole messages");
	for (i = 0; b && i < (int)b->good; i++) {
		if (i < n)
			sent(w->world, q, w->id, b->of[i].number, b->of[i].len);
		else
			not_sent(w->world, w->id, b->of[i].number);
	}
	if (!b && ret > 0)
		sent(w->world, q, w->id, number, ret);
	else if (!b)
		not_sent(w->world, w->id, number);
}

static void remember(struct worker *w, const __u64 *ids, __u32 n)
{
	while (n--)
		w->stale[w->stales++ % STALE] = *ids++;
}

static void has_read(struct worker *w, const struct request *r, const char *name, ssize_t ret)
{
	struct open_file *f = &w->open[r->file - w->open];
	bool packed = has_mode(f, MPMCQ_MODE_PACKED);
	struct arena *a = w->arena;
	struct message m;
	int faults = 0;
	__u32 n;

	if (!gaps_are_junk(a))
		complain(w, name, ret, ", and has written beyond its buffer");
	if (ret > 0)
		collect(a, ret);
	if (ret > 0 && packed) {
		faults = arrived_packed(w->world, f, &w->order, a->msg, ret, a->ids, &n);
		remember(w, a->ids, n);
	} else if (ret > 0) {
		faults = arrived(w->world, f, &w->order, a->msg, ret, &m);
		if (!(faults & (TORN | UNKNOWN)))
			faults |= delivered(w->world, f, m);
	}
	tell_faults(w, name, ret, faults);
	if (f->queue->exact && r->faulty && gets_through(r) &&
	    (packed || (ret < 0 && ret != -EMSGSIZE && ret != -EAGAIN)))
		hand_back(f->queue, has_mode(f, MPMCQ_MODE_DEAD), packed);
}

/* A read that is not packed acknowledges, whatever it returns. */
static void acknowledge(struct worker *w, const struct request *r, const char *name)
{
	struct open_file *f = &w->open[r->file - w->open];

	if (r->write || !gets_through(r) || f->pooled ||
	    (f->modes & (MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE)) != MPMCQ_MODE_LEASE)
		return;
	let_all_go(w->world, f);
	tell_faults(w, name, 0, end_all_leases(w->world, f, ACK));
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
	int i = draw_file(w);
	struct open_file *f = open_file(w, i);
	struct request r = { .file = f, .write = draw_write(w, f), .refusal = NOTHING };
	__u32 number = w->number;
	const char *name;
	struct expected e;
	struct how how = {};
	ssize_t ret;

	draw_transfer(w, &r, &how, i);
	if (r.write && !r.batch)
		w->number++;
	if (r.write)
		fill_buffer(w, &r, number);
	name = names[r.write][how.method];
	acknowledge(w, &r, name);
	r.reopened = load(&f->queue->reopened);
	r.quiet = one_in(w, 2) && can_be_quiet(w, &r, &how);
	if (f->queue->exact)
		e = expect(&r);
	if (r.quiet && e.min <= e.max)
		stop_timers(w);
	else
		start_timers(w);
	ret = methods[how.method](w, w->files.fd[i], r.write, &how);
	if (!f->queue->exact)
		e = expect(&r);
	if (!returned(w, name, ret, &e))
		return;
	if (r.write)
		has_written(w, &r, name, ret, number);
	else
		has_read(w, &r, name, ret);
	if (f->queue->exact)
		turn(f->queue);
}

/*
 * Modes, leases, dead messages, the end
 */
static void call_mode(struct worker *w)
{
	static const __u32 most[] = { 0, 0, 1, 2, 5, 64, 1000, MPMCQ_MAX_HELD_MAX };
	int i = draw_file(w), ret;
	struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	struct mpmcq_mode req = { .modes = draw(w, 4) };
	struct expected e;
	struct args a;

	if (req.modes & MPMCQ_MODE_LEASE || one_in(w, 32))
		req.max_held = draw_of(w, most);
	if (one_in(w, 32))
		req.max_held = MPMCQ_MAX_HELD_MAX + 1 + draw(w, 2) * draw(w, 1U << 31);
	if (one_in(w, 32))
		req.modes ^= 1U << (2 + draw(w, 30));
	if (one_in(w, 32))
		req.reserved = 1U << draw(w, 32);
	if (one_in(w, 64))
		draw_garbage(w, &req, sizeof(req));
	if (q->ordered)
		req.modes &= ~MPMCQ_MODE_LEASE;
	/* That of others stays as it is, but may be set again. */
	if (i >= OWN || f->fixed)
		req.modes = f->modes;
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), true);
	e = a.refusal;
	check_mode(&req, f, &e);
	if (!e.errors)
		expect_mode(&req, f, &e);
	ret = call_args(w, i, MPMCQ_IOC_MODE, &a);
	if (!returned(w, "ioctl: MODE", ret, &e) || ret)
		return;
	f->modes = req.modes | (f->modes & MPMCQ_MODE_DEAD);
	if (has_mode(f, MPMCQ_MODE_LEASE) && !f->max_held)
		f->max_held = most_held(q, req.max_held);
}

/* An id for a call about what @f holds. */
static __u64 draw_id(struct worker *w, const struct open_file *f)
{
	__u32 kind = draw(w, 8), which = draw(w, 1U << 30);
	const struct open_file *other = &w->open[draw(w, OPEN_FILES)];
	__u64 random = (__u64)draw(w, 1U << 31) << 32 | which;

	/* What is not known by its id could be hit by chance. */
	if (f->held.n && !at(&f->held, 0)->id)
		return random | 1ULL << 62;
	if (kind < 5 && f->held.n)
		return at(&f->held, which % f->held.n)->id;
	if (kind == 5 && other->queue && other->held.n && at(&other->held, 0)->id)
		return at(&other->held, which % other->held.n)->id;
	if ((kind == 6 || f->pooled) && w->stales)
		return w->stale[which % (w->stales < STALE ? w->stales : STALE)];
	return random | 1ULL << 62;
}

/* The first @done of those that are named have been dealt with. */
static int end_named(struct worker *w, struct open_file *f, const __u64 *ids, __u32 n,
		     __u32 done, enum verdict verdict)
{
	int faults = 0;
	__u32 i, j;

	for (i = 0; i < n; i++) {
		int held = find_held(f, ids[i]);

		for (j = 0; j < i && ids[j] != ids[i]; j++)
			;
		if (held < 0 || j < i)
			continue;
		if (done) {
			faults |= end_lease(w->world, f, held, verdict);
			done--;
		} else {
			hold(w->world, f->queue, at(&f->held, held));
		}
	}
	return faults;
}

/* Before it is done: others may have them at once. */
static void let_named_go(struct worker *w, const struct open_file *f, const __u64 *ids, __u32 n)
{
	__u32 i, j;

	for (i = 0; i < n; i++) {
		int held = find_held(f, ids[i]);

		for (j = 0; j < i && ids[j] != ids[i]; j++)
			;
		if (held >= 0 && j == i)
			let_go(w->world, f->queue, at(&f->held, held));
	}
}

/* Mostly one that may hold messages. */
static int draw_leased_file(struct worker *w)
{
	int i, j, from = draw_file(w), n = is_alone(w) ? COMMON + 1 : LAST;

	if (one_in(w, 8))
		return from;
	for (i = 0; i < n; i++) {
		j = (from + i) % n;
		if (has_mode(open_file(w, j), MPMCQ_MODE_LEASE))
			return j;
	}
	return from;
}

/* Ids of which only so many are in memory that can be read. */
static __u64 cut_off_ids(struct worker *w, const __u64 *ids, __u32 there)
{
	struct arena *a = w->arena;
	size_t bytes = there * sizeof(*ids);

	memcpy(a->view[GOOD] + a->size - bytes, ids, bytes);
	return (unsigned long)(a->view[GOOD] + a->size - bytes);
}

/* Arguments for ACK and the like. */
static void draw_leases(struct worker *w, struct mpmcq_leases *req, enum verdict verdict,
			const __u64 *ids, __u32 n)
{
	*req = (struct mpmcq_leases){
		.size = sizeof(*req), .done = JUNK,
		.flags = verdict == NACK_FRONT ? MPMCQ_LEASES_FRONT : 0,
	};
	if (one_in(w, 4)) {
		req->flags |= MPMCQ_LEASES_ALL;
	} else {
		req->ids = (unsigned long)ids;
		req->count = n;
	}
	switch (draw(w, 64)) {
	case 0:
		req->flags ^= 1U << draw(w, 32);
		break;
	case 1:
		req->count = !req->count;
		break;
	case 2:
		req->count = 65537 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 3:
		req->ids = (unsigned long)ids;
		break;
	case 4:
		draw_garbage(w, req, sizeof(*req));
		req->flags |= 4;
		break;
	}
}

/* What was done has to be as many as were held, of @named, and the result according to it. */
static void check_done(struct worker *w, const char *name, const struct open_file *f, int ret,
		       __u32 done, __u32 held, __u32 named)
{
	bool exact = !f->queue->timed && !f->pooled && ret != -EFAULT;
	const struct expected e = { .min = exact ? held : 0, .max = f->pooled ? named : held };

	returned(w, name, done, &e);
	if (ret != -EFAULT)
		has_to(w, name, ret, done < named ? -ENOENT : 0);
}

static void call_leases(struct worker *w)
{
	static const unsigned int cmds[] = {
		[ACK] = MPMCQ_IOC_ACK, [NACK] = MPMCQ_IOC_NACK, [NACK_FRONT] = MPMCQ_IOC_NACK,
		[REJECT] = MPMCQ_IOC_REJECT, [TOUCH] = MPMCQ_IOC_TOUCH,
	};
	static const char *const names[] = {
		[ACK] = "ioctl: ACK", [NACK] = "ioctl: NACK", [NACK_FRONT] = "ioctl: NACK",
		[REJECT] = "ioctl: REJECT", [TOUCH] = "ioctl: TOUCH",
	};
	static const enum verdict verdicts[] = {
		ACK, ACK, ACK, ACK, NACK, NACK, NACK_FRONT, NACK_FRONT, REJECT, TOUCH,
	};
	enum verdict verdict = draw_of(w, verdicts);
	int i = draw_leased_file(w), ret, faults = 0;
	struct open_file *f = open_file(w, i);
	bool exact = !f->queue->timed && !f->pooled, cut_off, all;
	__u32 n = one_in(w, 16) ? 1 + draw(w, BATCH) : 1 + draw(w, 4), j, held, done;
	__u64 *ids = w->arena->ids;
	struct mpmcq_leases req;
	struct expected e;
	struct args a;

	for (j = 0; j < n; j++)
		ids[j] = draw_id(w, f);
	draw_leases(w, &req, verdict, ids, n);
	all = req.flags & MPMCQ_LEASES_ALL;
	if (cmds[verdict] == MPMCQ_IOC_NACK)
		verdict = req.flags & MPMCQ_LEASES_FRONT ? NACK_FRONT : NACK;
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), exact);
	cut_off = exact && !all && one_in(w, 16);
	if (cut_off) {
		req.size = sizeof(req);
		req.ids = cut_off_ids(w, ids, draw(w, n));
		a = (struct args){ .at = (unsigned char *)&req, .refusal = NOTHING };
	}
	e = a.refusal;
	check_leases(&req, verdict, f, &e);
	held = all ? f->held.n : count_held(f, ids, n, verdict);
	if (e.errors) {
		ret = call_args(w, i, cmds[verdict], &a);
		returned(w, names[verdict], ret, &e);
		return;
	}

	if (a.read_only || cut_off) {
		may_fail(&e, -EFAULT);
	} else {
		may_return(&e, 0, 0);
		may_fail(&e, -ENOENT);
	}
	if (verdict != TOUCH && all)
		let_all_go(w->world, f);
	else if (verdict != TOUCH)
		let_named_go(w, f, ids, n);
	ret = call_args(w, i, cmds[verdict], &a);
	if (!returned(w, names[verdict], ret, &e))
		return;
	done = held;
	if (!a.read_only) {
		memcpy(&done, a.at + offsetof(struct mpmcq_leases, done), sizeof(done));
		check_done(w, names[verdict], f, ret, done, held, all ? done : n);
	}
	if (verdict == TOUCH)
		return;
	if (all)
		faults = end_all_leases(w->world, f, verdict);
	else
		faults = end_named(w, f, ids, n, f->queue->timed ? n : done, verdict);
	tell_faults(w, names[verdict], ret, faults);
}

static void call_dead(struct worker *w)
{
	static const __u32 counts[] = { 0, 0, 1, 2, 10, UINT32_MAX };
	int i = draw_file(w), ret;
	struct open_file *f = open_file(w, i);
	bool revive = one_in(w, 2);
	struct mpmcq_dead req = { .count = draw_of(w, counts), .done = JUNK };
	const char *name = revive ? "ioctl: REVIVE" : "ioctl: PURGE";
	struct queue *q = f->queue;
	struct expected e;
	struct args a;
	__u32 done, n;
	bool valid;

	if (one_in(w, 32))
		req.flags = 1U << draw(w, 32);
	if (one_in(w, 64))
		draw_garbage(w, &req, sizeof(req));
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), q->exact);
	e = a.refusal;
	check_dead(&req, revive, f, &e);
	valid = !e.errors;
	if (valid && a.read_only)
		may_fail(&e, -EFAULT);
	else if (valid)
		may_return(&e, 0, 0);
	ret = call_args(w, i, revive ? MPMCQ_IOC_REVIVE : MPMCQ_IOC_PURGE, &a);
	if (!returned(w, name, ret, &e) || !valid)
		return;
	memcpy(&done, a.at + offsetof(struct mpmcq_dead, done), sizeof(done));
	if (q->exact) {
		n = end_dead(q, req.count, revive);
		has_to(w, name, a.read_only ? n : done, n);
		turn(q);
		return;
	}
	if (done > q->like.capacity)
		complain(w, name, done, " messages");
	if (!revive)
		count(q, PURGED, done);
}

/* Other workers have to know when the queue may be closed. */
static void close_or_reopen(struct worker *w, struct queue *q, int fd, bool reopen)
{
	__u32 begun = load(&q->closings), all_done, old = load(&q->reopened);

	all_done = load(&q->closings_done) == begun;
	if (!reopen)
		increment(&q->closings);
	has_to(w, reopen ? "ioctl: REOPEN" : "ioctl: CLOSE",
	       result(ioctl(fd, reopen ? MPMCQ_IOC_REOPEN : MPMCQ_IOC_CLOSE, 0)), 0);
	q->closed = !reopen;
	if (!reopen)
		increment(&q->closings_done);
	/* Those that began later may take effect later. */
	while (reopen && all_done && old < begun &&
	       !__atomic_compare_exchange_n(&q->reopened, &old, begun, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
}

static void call_close(struct worker *w)
{
	int i = draw_file(w), fd = w->files.fd[i];
	struct open_file *f = open_file(w, i);
	struct queue *q = f->queue;
	bool reopen = one_in(w, 2), again = one_in(w, 4);
	struct expected e = NOTHING;
	unsigned long arg = one_in(w, 8) ? 1UL << draw(w, 8 * sizeof(long)) : 0;

	if (arg)
		may_fail(&e, -EINVAL);
	if (!writable(f))
		may_fail(&e, -EBADF);
	if (e.errors) {
		returned(w, "ioctl: CLOSE or REOPEN",
			 result(ioctl(fd, reopen ? MPMCQ_IOC_REOPEN : MPMCQ_IOC_CLOSE, arg)), &e);
		return;
	}
	/* One's own stays closed for some calls. */
	if (q->exact) {
		close_or_reopen(w, q, fd, q->closed ? !again : reopen);
		return;
	}
	if (!reopen) {
		close_or_reopen(w, q, fd, false);
		usleep(draw(w, 1000));
	}
	close_or_reopen(w, q, fd, true);
}

/*
 * Waiting for events
 */

/* Which of @events poll may tell, or has to if @must, of file @i. */
static __u32 ready(struct worker *w, int i, __u32 events, bool must)
{
	return ready_events(open_file(w, i), must) & (events | POLLHUP);
}

static void call_poll(struct worker *w)
{
	struct pollfd pfd[3];
	int i, ret, n = 0, file[ARRAY_SIZE(pfd)];

	for (i = 0; i < (int)ARRAY_SIZE(pfd); i++) {
		file[i] = draw_file(w);
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

/* What select may say of file @i, as poll would; the end can be read. */
static __u32 selected(struct worker *w, int i, bool must)
{
	__u32 events = ready(w, i, POLLIN | POLLOUT, must);

	return (events & POLLHUP ? POLLIN : 0) | (events & (POLLIN | POLLOUT));
}

static void call_select(struct worker *w)
{
	int i = draw_file(w), fd = w->files.fd[i], n, got;
	struct timeval timeout = {};
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	n = result(select(fd + 1, &in, &out, &except, &timeout));
	if (n == -EINTR && !selected(w, i, true))
		return;
	got = !!FD_ISSET(fd, &in) * POLLIN | !!FD_ISSET(fd, &out) * POLLOUT;
	has_to(w, "select", n, !!FD_ISSET(fd, &in) + !!FD_ISSET(fd, &out));
	if (got & ~selected(w, i, false) || selected(w, i, true) & ~got)
		complain(w, "select", got, " as events");
}

static void call_epoll_ctl(struct worker *w)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int i = draw_file(w), op = draw_of(w, ops), want = 0;
	struct interest *interest = &w->files.interest[i];
	struct epoll_event event = {
		.events = draw(w, 2) * EPOLLIN | draw(w, 2) * EPOLLOUT | draw(w, 2) * EPOLLET |
			  draw(w, 2) * EPOLLONESHOT |
			  (one_in(w, 4) ? (__u32)EPOLLEXCLUSIVE : 0) | EPOLLERR | EPOLLHUP,
		.data.u64 = (__u64)interest->generation << 32 | i,
	};

	/* The hot one may be another between two calls. */
	if (i == HOT)
		return;
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
		__u32 can = wanted[i] ? ready(w, i, wanted[i], false) : 0;
		__u32 must = !wanted[i] || wanted[i] & EPOLLET ? 0 : ready(w, i, wanted[i], true);

		if (got[i] & ~can || must & ~got[i])
			complain(w, "epoll_wait", got[i], " as events");
	}
}

/*
 * What the queue is like
 */
static void call_next_len(struct worker *w)
{
	int i = draw_file(w), len = next_len(w->files.fd[i]);
	const struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);
	struct expected e = { .max = q->like.msg_size };
	__u32 n;

	if (q->exact) {
		e = NOTHING;
		if (!waiting(q, dead))
			may_return(&e, 0, 0);
		for (n = 0; n < choices(q, dead) && !as_expected(&e, len); n++)
			may_return(&e, nth(q, dead, n)->len, nth(q, dead, n)->len);
	}
	returned(w, "ioctl: FIONREAD", len, &e);
}

/* INFO with any size, flags and tail, at the end of the pages or over it. */
static void call_info(struct worker *w)
{
	struct mpmcq_info info = { .flags = one_in(w, 8) ? 1U << draw(w, 32) : 0 };
	struct args a = lay_out_args(w, &info, sizeof(info), MPMCQ_INFO_SIZE_VER0, true);
	int i = draw_file(w), ret;
	__u32 size = info.size;
	struct expected e = a.refusal;
	const char *field;
	char text[64];

	if (info.flags)
		may_fail(&e, -EINVAL);
	if (!e.errors && a.read_only)
		may_fail(&e, -EFAULT);
	else if (!e.errors)
		may_return(&e, 0, 0);
	ret = call_args(w, i, MPMCQ_IOC_INFO, &a);
	if (!returned(w, "ioctl: INFO", ret, &e) || ret)
		return;
	memcpy(&info, a.at, size < sizeof(info) ? size : sizeof(info));
	field = misinformed(&info, size, open_file(w, i));
	if (field) {
		snprintf(text, sizeof(text), ", with a wrong %s", field);
		complain(w, "ioctl: INFO", ret, text);
	}
}

static void call_ioctl(struct worker *w)
{
	static const unsigned int known[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_ACK, MPMCQ_IOC_NACK, MPMCQ_IOC_REJECT,
		MPMCQ_IOC_TOUCH, MPMCQ_IOC_CREATE, MPMCQ_IOC_OPEN, MPMCQ_IOC_DESTROY,
		MPMCQ_IOC_ATTACH, MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN, MPMCQ_IOC_REVIVE,
		MPMCQ_IOC_PURGE,
	};
	unsigned int dir = draw(w, 4), size = draw(w, 1 << 14), cmd = draw_of(w, known);

	/* Not the types of those that the kernel knows for all files. */
	if (one_in(w, 2))
		cmd = _IOC(dir, one_in(w, 2) ? MPMCQ_IOC_MAGIC : 'm',
			   ARRAY_SIZE(known) + draw(w, 240), size);
	else if (dir != _IOC_DIR(cmd))
		cmd = _IOC(dir, MPMCQ_IOC_MAGIC, _IOC_NR(cmd), size);
	else
		cmd = _IOC(dir, 'm', _IOC_NR(cmd), size);
	has_to(w, "ioctl", result(ioctl(w->files.fd[draw_file(w)], cmd, w->arena->hole)),
	       -ENOTTY);
}

/* What is behind @key, with which a line of a file begins; "" if none does. */
static const char *shown(const char *path, const char *key)
{
	static __thread char text[512];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *at = text;

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	while (at && strncmp(at, key, strlen(key))) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return "";
	at[strcspn(at, "\n")] = '\0';
	return at + strlen(key);
}

/* The number there; -1 if there is none. */
static long number_in(const char *path, const char *key)
{
	const char *text = shown(path, key);

	return *text ? strtol(text, NULL, 10) : -1;
}

/* All that sysfs shows of a queue. */
static void check_sysfs(struct worker *w, const struct queue *q)
{
	/* The first 4 are so whatever others do, and the last 6 count from the start. */
	const struct {
		const char *name;
		__u64 value;
	} attrs[] = {
		{ "capacity", q->like.capacity }, { "msg_size", q->like.msg_size },
		{ "max_deliveries", q->like.max_deliveries },
		{ "lease_ms", q->like.lease_ms }, { "closed", q->closed },
		{ "depth", waiting(q, false) }, { "dead", q->dead.n }, { "leased", q->leased },
		{ "sent", q->counts[SENT] }, { "received", q->counts[RECEIVED] },
		{ "acked", q->counts[ACKED] }, { "returned", q->counts[RETURNED] },
		{ "rejected", q->counts[REJECTED] }, { "dropped", q->counts[DROPPED] },
	};
	int i = draw(w, ARRAY_SIZE(attrs));
	char folder[96], path[128];
	long value;

	path_of(q, "/sys/class/mpmcq", folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/%s", folder, attrs[i].name);
	value = number_in(path, "");
	if (i < 4 || (q->exact && (i < 8 || q != &w->stage->queue[DEFAULT])))
		has_to(w, path, value, attrs[i].value);
	else if (value < 0)
		complain(w, path, value, "");
}

static void check_fdinfo(struct worker *w, int i)
{
	static const char *const modes[] = {
		"plain", "packed", "lease", "packed lease", "dead", "packed dead",
	};
	const struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	char path[64], name[96] = "private";
	struct expected e = { .max = q->like.capacity };

	if (!has_no_name(&q->like))
		path_of(q, "", name, sizeof(name));
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", w->files.fd[i]);
	has_to(w, "fdinfo: queue", strcmp(shown(path, "queue:\t"), name + (*name == '/')), 0);
	has_to(w, "fdinfo: capacity", number_in(path, "capacity:\t"), q->like.capacity);
	has_to(w, "fdinfo: msg_size", number_in(path, "msg_size:\t"), q->like.msg_size);
	has_to(w, "fdinfo: modes", strcmp(shown(path, "modes:\t"), modes[f->modes]), 0);
	if (q->exact)
		may_return(&e, waiting(q, false), waiting(q, false));
	returned(w, "fdinfo: depth", number_in(path, "depth:\t"), &e);
	may_return(&e, q->timed ? 0 : f->held.n, f->pooled ? f->max_held : f->held.n);
	if (!f->pooled)
		returned(w, "fdinfo: held", number_in(path, "held:\t"), &e);
}

static void call_show(struct worker *w)
{
	int i = draw_file(w);
	const struct queue *q = open_file(w, i)->queue;

	/* Of a queue that has lost its name another may have it. */
	if (!has_no_name(&q->like) && (!q->exact || q->named))
		check_sysfs(w, q);
	check_fdinfo(w, i);
}

/*
 * What a queue cannot do
 */
static void call_splice(struct worker *w, int i)
{
	int fd = w->files.fd[i], pipes[2];
	int from = readable(open_file(w, i)) ? -EINVAL : -EBADF;
	int to = writable(open_file(w, i)) ? -EINVAL : -EBADF;
	off_t start = 0;

	if (pipe(pipes)) {
		complain(w, "pipe", -errno, "");
		return;
	}
	has_to(w, "splice from", result(splice(fd, NULL, pipes[1], NULL, 1, SPLICE_F_NONBLOCK)),
	       from);
	if (write(pipes[1], "", 1) != 1)
		complain(w, "write to a pipe", -errno, "");
	has_to(w, "splice to", result(splice(pipes[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK)), to);
	has_to(w, "sendfile from", result(sendfile(pipes[1], fd, NULL, 1)), from);
	has_to(w, "sendfile to", result(sendfile(fd, w->arena->file, &start, 1)), to);
	close(pipes[0]);
	close(pipes[1]);
}

static void call_wrong(struct worker *w)
{
	int i = draw_file(w), fd = w->files.fd[i];
	unsigned char *mem = w->arena->view[GOOD];
	struct expected e = NOTHING;
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
		may_fail(&e, -EINVAL);
		/* Of files without a node newer kernels say so. */
		if (!open_file(w, i)->node && writable(open_file(w, i)))
			may_fail(&e, -EOPNOTSUPP);
		returned(w, "ftruncate", result(ftruncate(fd, draw(w, 9))), &e);
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
 * Who has a file, and who comes to an end with it
 */
static void call_dup(struct worker *w)
{
	int from = draw(w, OWN), to = draw(w, OWN), fd = w->files.fd[to];
	struct open_file *f = open_file(w, from), *old = open_file(w, to);
	bool hot = one_in(w, 2), cloexec = one_in(w, 2);

	if (from == to)
		return;
	/* The hot one is in use by others just now. */
	if (hot && f->queue == &w->stage->queue[DEFAULT] && f->access == O_RDWR && !f->modes) {
		has_to(w, "dup2", result(dup2(w->files.fd[from], w->files.fd[HOT])),
		       w->files.fd[HOT]);
		f->fixed = true;
		return;
	}
	forget(w, to);
	f->refs++;
	before_close(w, old);
	has_to(w, "dup3", result(dup3(w->files.fd[from], fd, cloexec ? O_CLOEXEC : 0)), fd);
	after_close(w, old);
	w->files.of[to] = w->files.of[from];
}

/* Files are sent through a socket, and received from it, or end with it. */
static void call_mail(struct worker *w)
{
	int i = draw(w, OWN), fd, of = w->parcel;
	bool keep = one_in(w, 2), discard = one_in(w, 4);

	if (of < 0) {
		has_to(w, "sendmsg", send_fd(w->mail[0], w->files.fd[i]), 1);
		w->parcel = w->files.of[i];
		open_file(w, i)->refs++;
		if (keep)
			return;
		close_file(w, i);
		open_default(w, i);
	} else if (discard && !w->forked) {
		before_close(w, &w->open[of]);
		close(w->mail[1]);
		close(w->mail[0]);
		after_close(w, &w->open[of]);
		w->parcel = -1;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->mail))
			complain(w, "socketpair", -errno, "");
	} else {
		fd = receive_fd(w->mail[1]);
		if (fd < 0)
			complain(w, "recvmsg", fd, "");
		w->parcel = -1;
		close_file(w, i);
		w->files.fd[i] = fd;
		w->files.of[i] = of;
	}
}

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

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* In a child: closes all but @one and what is the worker's. */
static void close_others(struct worker *w, int one)
{
	int fd[FILES + 7] = { 0, 1, 2, w->arena->file, w->mail[0], w->mail[1], one };
	int i, last = -1;

	memcpy(fd + 7, w->files.fd, sizeof(w->files.fd));
	qsort(fd, ARRAY_SIZE(fd), sizeof(*fd), compare);
	for (i = 0; i < (int)ARRAY_SIZE(fd); i++) {
		if (fd[i] > last + 1)
			syscall(SYS_close_range, last + 1, fd[i] - 1, 0);
		last = fd[i] > last ? fd[i] : last;
	}
	syscall(SYS_close_range, last + 1, ~0U, 0);
}

/* A child, which soon has no descriptors but the worker's own. */
static pid_t fork_worker(struct worker *w)
{
	int pipes[2];
	pid_t pid;
	char c;

	pthread_mutex_lock(&forking);
	if (pipe(pipes))
		complain(w, "pipe", -errno, "");
	pid = fork();
	if (!pid) {
		pthread_mutex_init(&forking, NULL);
		close_others(w, pipes[1]);
		close(pipes[1]);
		return pid;
	}
	if (pid < 0)
		complain(w, "fork", -errno, "");
	close(pipes[1]);
	/* Ends when the child has closed it, too. */
	while (read(pipes[0], &c, 1) < 0 && errno == EINTR)
		;
	close(pipes[0]);
	pthread_mutex_unlock(&forking);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Whether another file before @i, of the same queue, holds messages as well. */
static bool is_second(struct worker *w, int i)
{
	const struct open_file *f = open_file(w, i), *other;
	int j;

	for (j = 0; j < i; j++) {
		other = w->files.fd[j] < 0 ? f : open_file(w, j);
		if (other != f && other->queue == f->queue && other->held.n)
			return true;
	}
	return false;
}

/*
 * Before a process ends.  In which order its files end then is not known, so of those by
 * which messages come back only one of a queue is left.
 */
static void leave(struct worker *w)
{
	int i, j;

	for (i = 0; i < OWN; i++) {
		struct open_file *f = open_file(w, i);
		int before = 0, mine = 0;

		for (j = 0; j < OWN; j++) {
			mine += w->files.of[j] == w->files.of[i];
			before += j < i && w->files.of[j] == w->files.of[i];
		}
		if (f->queue->exact && f->held.n && is_second(w, i))
			close_file(w, i);
		else if (!before && mine == f->refs)
			let_all_go(w->world, f);
	}
}

/*
 * A child goes on in the worker's place, and ends, or is killed; what it did with its
 * descriptors is its own.
 */
static void call_fork(struct worker *w)
{
	__u32 end = w->call + 1 + draw(w, 16);
	bool killed = one_in(w, 2);
	struct files saved = w->files;
	int i, status;
	pid_t pid;

	w->forked = true;
	w->parked = false;
	for (i = 0; i < OWN; i++)
		open_file(w, i)->refs++;
	pid = fork_worker(w);
	if (!pid) {
		new_timers(w);
		w->files.epoll = epoll_create1(0);
		memset(w->files.interest, 0, sizeof(w->files.interest));
		while (w->call < end && !w->failed)
			any_call(w);
		leave(w);
		__atomic_store_n(&w->parked, true, __ATOMIC_SEQ_CST);
		while (killed)
			pause();
		_exit(0);
	}
	while (killed && !__atomic_load_n(&w->parked, __ATOMIC_SEQ_CST) && !kill(pid, 0))
		usleep(100);
	if (killed)
		kill(pid, SIGKILL);
	status = wait_for(pid);
	if (status != (killed ? SIGKILL : 0))
		complain(w, "fork", status, " as status");
	for (i = 0; i < OWN; i++)
		if (w->files.fd[i] >= 0 && !--open_file(w, i)->refs)
			closed(w->world, open_file(w, i));
	w->forked = false;
	w->files = saved;
}

static int attach(int fd, int flags, __u32 modes, __u32 max_held)
{
	struct mpmcq_attach req = {
		.size = sizeof(req), .open_flags = flags, .modes = modes, .max_held = max_held,
	};

	return result(ioctl(fd, MPMCQ_IOC_ATTACH, &req));
}

static int request_leases(int fd, unsigned int cmd, const __u64 *id)
{
	struct mpmcq_leases req = {
		.size = sizeof(req), .flags = id ? 0 : MPMCQ_LEASES_ALL,
		.ids = (unsigned long)id, .count = !!id,
	};

	return result(ioctl(fd, cmd, &req));
}

/* The one who does it may be killed meanwhile: what is not certain then is in doubt. */
static void acknowledge_first(struct worker *w, struct open_file *f, int fd)
{
	unsigned char *buf = w->arena->msg;
	struct mpmcq_msg msg;
	struct message m;
	struct record rec;
	int ret;

	memcpy(&msg, buf, sizeof(msg));
	if (msg.len < sizeof(rec))
		return;
	memcpy(&rec, buf + sizeof(msg), sizeof(rec));
	m = (struct message){ .len = rec.len, .producer = rec.producer, .number = rec.number };
	entry(w->world, &m)->doubt = 1;
	ret = request_leases(fd, MPMCQ_IOC_ACK, &msg.id);
	if (!ret) {
		count(f->queue, ACKED, 1);
		tell_faults(w, "ioctl: ACK", ret, gone(w->world, f->queue, &m));
	} else if (ret != -ENOENT || !f->queue->timed) {
		complain(w, "ioctl: ACK", ret, ", by one who is to be killed");
	}
	entry(w->world, &m)->doubt = 0;
}

static void send_some(struct worker *w, struct open_file *f, int fd)
{
	struct batch *b = &w->arena->batch;
	__u32 msg_size = f->queue->like.msg_size, n = 1 + draw(w, 3), i;
	const struct request r = { .file = f, .batch = b };
	ssize_t ret;

	*b = (struct batch){};
	for (i = 0; i < n; i++)
		pack_message(w, b, sizeof(struct record) + draw(w, msg_size - 15));
	b->good = n;
	for (i = 0; i < n; i++)
		will_send(w->world, f->queue, w->id, b->of[i].number);
	ret = result(write(fd, w->arena->msg, b->of[n - 1].end));
	if (ret < 0 && ret != -EAGAIN && ret != -EPIPE)
		complain(w, "write", ret, ", by one who is to be killed");
	has_written(w, &r, "write", ret, 0);
}

/* Takes messages, acknowledges and sends some, until it is killed. */
static void work_until_killed(struct worker *w, struct queue *q, int fd, __u32 numbers)
{
	/* Nobody is told what it holds. */
	struct open_file f = {
		.queue = q, .access = O_RDWR, .pooled = true,
		.modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
	};
	__u64 *ids = w->arena->ids;

	for (;;) {
		ssize_t ret = result(read(fd, w->arena->msg, 1000));
		__u32 n;

		if (ret > 0) {
			tell_faults(w, "read", ret, arrived_packed(w->world, &f, &w->order,
								   w->arena->msg, ret, ids, &n));
			acknowledge_first(w, &f, fd);
		} else if (ret == -ENOBUFS) {
			request_leases(fd, MPMCQ_IOC_NACK, NULL);
		} else if (ret && ret != -EAGAIN && ret != -EDEADLK) {
			complain(w, "read", ret, ", by one who is to be killed");
		}
		if (w->number + 3 <= numbers)
			send_some(w, &f, fd);
		if (w->failed)
			_exit(KSFT_FAIL);
	}
}

#define DOOMED_NUMBERS	30

/* A process that is killed at any moment, with whatever it holds. */
static void call_doomed(struct worker *w)
{
	int k = 1 + draw(w, SHARED - 1), flags = O_RDWR | (one_in(w, 2) ? O_NONBLOCK : 0);
	__u32 delay = draw(w, 4000);
	int fd, status;
	pid_t pid;

	if (is_alone(w) || w->number + DOOMED_NUMBERS > w->world->numbers)
		return;
	w->number += DOOMED_NUMBERS;
	pid = fork_worker(w);
	if (!pid) {
		/* What it draws is its own, or nothing could be had again. */
		struct worker self = *w;

		self.number -= DOOMED_NUMBERS;
		self.random = ~self.random;
		fd = attach(w->files.fd[COMMON + k], flags,
			    MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 0);
		if (fd < 0)
			_exit(KSFT_FAIL);
		work_until_killed(&self, &w->stage->queue[k], fd, w->number);
	}
	usleep(delay);
	kill(pid, SIGKILL);
	status = wait_for(pid);
	if (status != SIGKILL)
		complain(w, "a process to be killed", status, " as status");
}

/*
 * The workers
 */
static void any_call(struct worker *w)
{
	static const struct {
		int weight;
		void (*fn)(struct worker *w);
	} calls[] = {
		{ 240, call_transfer }, { 60, call_leases }, { 20, call_poll }, { 10, call_select },
		{ 16, call_epoll_ctl }, { 16, call_epoll_wait }, { 8, call_next_len },
		{ 16, call_info }, { 8, call_ioctl }, { 10, call_show }, { 10, call_set_flags },
		{ 6, call_open }, { 12, call_attach }, { 16, call_create }, { 10, call_open_name },
		{ 4, call_open_node }, { 6, call_destroy }, { 12, call_mode }, { 12, call_dead },
		{ 12, call_close }, { 10, call_dup }, { 6, call_mail }, { 8, call_wrong },
		{ 6, call_contended }, { 2, call_fork }, { 1, call_doomed },
	};
	int i, pick, sum = 0;

	for (i = 0; i < (int)ARRAY_SIZE(calls); i++)
		sum += calls[i].weight;
	pick = draw(w, sum);
	w->call++;
	for (i = 0; pick >= calls[i].weight; i++)
		pick -= calls[i].weight;
	if (!w->forked || (calls[i].fn != call_fork && calls[i].fn != call_doomed))
		calls[i].fn(w);
}

/* Reads all that is there, by file @i, which does not wait; how many messages. */
static __u32 empty(struct worker *w, int i)
{
	struct open_file *f = open_file(w, i);
	struct message m;
	ssize_t ret = 0;
	__u32 n = 0;
	int faults;

	while (!w->failed &&
	       (ret = result(read(w->files.fd[i], w->arena->msg, MSG_SIZE_MAX))) > 0) {
		faults = arrived(w->world, f, &w->order, w->arena->msg, ret, &m);
		if (!(faults & (TORN | UNKNOWN)))
			faults |= delivered(w->world, f, m);
		tell_faults(w, "read, in the end", ret, faults);
		n++;
	}
	if (!w->failed)
		has_to(w, "read, in the end", ret, -EAGAIN);
	return n;
}

/* Each slot is where it can be used. */
static void use_all_slots(struct worker *w, const struct queue *q, int fd)
{
	__u32 i, len = q->like.msg_size;

	for (i = 0; i < q->like.capacity && !w->failed; i++)
		has_to(w, "write, in the end", put_msg(fd, len, i), len);
	if (!(q->like.flags & MPMCQ_DROP_OLDEST) && !w->failed)
		has_to(w, "write, in the end", put_msg(fd, len, i), -EAGAIN);
	for (i = 0; i < q->like.capacity && !w->failed; i++)
		has_to(w, "read, in the end", take_msg(fd, len, i), len);
}

/* How many have left without a name, by what the queue itself has counted. */
static __s64 count_unnamed(struct worker *w, const struct queue *q)
{
	__s64 counts[ARRAY_SIZE(counters)];
	char folder[96], path[128];
	int i;

	if (!q->named)
		return q->counts[PURGED] + q->counts[DROPPED];
	path_of(q, "/sys/class/mpmcq", folder, sizeof(folder));
	for (i = 0; i < (int)ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, counters[i]);
		counts[i] = number_in(path, "") - q->before[i];
		/* Those who were killed could not tell. */
		if (q->exact ? counts[i] != (__s64)q->counts[i] :
		    i < ACKED && counts[i] < (__s64)q->counts[i])
			complain(w, path, counts[i], ", not as often as it was seen");
	}
	return q->counts[PURGED] + counts[DROPPED] + counts[ACKED] - q->counts[ACKED];
}

/* What INFO says of file @i. */
static struct mpmcq_info info_of(struct worker *w, int i, const char *when)
{
	struct mpmcq_info info;
	const char *field;

	has_to(w, "ioctl: INFO", query(w->files.fd[i], &info), 0);
	field = misinformed(&info, sizeof(info), open_file(w, i));
	if (field)
		complain(w, field, 0, when);
	return info;
}

/* One more file of the queue, by which to look at it in the end; false if there is none. */
static bool open_last(struct worker *w, struct queue *q)
{
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = O_RDWR | O_NONBLOCK };
	int i, fd = -1;

	memcpy(name.name, q->like.name, sizeof(name.name));
	if (q == &w->stage->queue[DEFAULT])
		fd = result(open(DEVICE, O_RDWR | O_NONBLOCK));
	else if (q->named && may_open(w, q, O_RDWR, &w->self))
		fd = result(ioctl(w->files.fd[COMMON], MPMCQ_IOC_OPEN, &name));
	for (i = 0; i < OWN && fd < 0; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q &&
		    open_file(w, i)->access == O_RDWR)
			fd = attach(w->files.fd[i], O_RDWR | O_NONBLOCK, 0, 0);
	if (fd < 0)
		return false;
	put_file(w, LAST, fd, q, O_RDWR | O_NONBLOCK, 0, 0);
	return true;
}

/*
 * A queue that nobody else uses any more has to be as it was predicted, to the last
 * message; and it has to be of use yet.
 */
static void settle(struct worker *w, struct queue *q)
{
	const bool own = q >= w->own && q < w->own + OWN_QUEUES;
	struct mpmcq_info info;
	__s64 unnamed;
	int i, dead;

	if (!open_last(w, q))
		return;
	info_of(w, LAST, ", in the end");
	for (i = 0; i < OWN; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q)
			close_file(w, i);
	close_or_reopen(w, q, w->files.fd[LAST], true);
	dead = attach(w->files.fd[LAST], O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);
	if (dead < 0) {
		complain(w, "ioctl: ATTACH, in the end", dead, "");
		return;
	}
	put_file(w, LAST + 1, dead, q, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);

	info = info_of(w, LAST, ", when all others are closed");
	has_to(w, "leased", info.leased, 0);
	has_to(w, "depth", info.depth, empty(w, LAST));
	has_to(w, "dead", info.dead, empty(w, LAST + 1));
	info = info_of(w, LAST, ", when it is empty");
	has_to(w, "depth", info.depth, 0);
	has_to(w, "dead", info.dead, 0);
	unnamed = count_unnamed(w, q);
	tell_faults(w, "the account", unnamed,
		    balance(w->world, q, own ? w->id : 0, own ? 1 : w->world->workers, unnamed));
	use_all_slots(w, q, w->files.fd[LAST]);
	close_file(w, LAST + 1);
	close_file(w, LAST);
}

/* Takes the names away. */
static void destroy(struct worker *w, const char *text)
{
	struct mpmcq_name name = { .size = sizeof(name) };
	int ret;

	memcpy(name.name, text, strlen(text));
	ret = result(ioctl(w->files.fd[COMMON], MPMCQ_IOC_DESTROY, &name));
	if (ret && ret != -ENOENT)
		complain(w, "ioctl: DESTROY, in the end", ret, "");
}

static void begin_work(struct worker *w)
{
	struct stage *stage = w->stage;
	int i, of = OPEN_FILES;

	w->self = (struct identity){ .uid = geteuid(), .gid = getegid(), .able = true };
	w->privileged = is_privileged();
	w->files.epoll = epoll_create1(0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->mail))
		complain(w, "socketpair", -errno, "");
	for (i = 0; i < FILES; i++) {
		if (i != HOT)
			w->files.fd[i] = -1;
		w->files.of[i] = -1;
	}
	for (i = HOT; i < COMMON + stage->queues; i++) {
		int k = i == HOT ? DEFAULT : i - COMMON;

		if (i != HOT)
			w->files.fd[i] = stage->queue[k].fd;
		w->files.of[i] = --of;
		opened(&w->open[of], &stage->queue[k], O_RDWR, 0, 0);
		w->open[of].node = k == DEFAULT;
		w->open[of].fixed = true;
	}
	for (i = 0; i < 2 && stage->queues == SHARED; i++) {
		w->files.fd[POOL + i] = stage->pool[i];
		w->files.of[POOL + i] = --of;
		opened(&w->open[of], &stage->queue[POOLED], O_RDWR, pool_modes[i], POOL_HELD);
		w->open[of].pooled = true;
		w->open[of].fixed = true;
	}
}

/* Its own queues come to an end, too. */
static void end_work(struct worker *w)
{
	int i;

	if (w->parcel >= 0) {
		before_close(w, &w->open[w->parcel]);
		close(w->mail[1]);
		close(w->mail[0]);
		after_close(w, &w->open[w->parcel]);
	}
	for (i = 0; i < OWN_QUEUES; i++) {
		struct queue *q = &w->own[i];

		if (q->serial && !w->failed)
			settle(w, q);
		if (q->serial && q->named)
			destroy(w, q->like.name);
	}
	for (i = 0; i < OWN && !w->failed; i++)
		if (w->files.fd[i] >= 0)
			close_file(w, i);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	int i;

	new_timers(w);
	begin_work(w);
	for (i = 0; i < OWN; i++)
		open_default(w, i);
	while (w->call < w->world->calls && !w->failed)
		any_call(w);
	stop_timers(w);
	end_work(w);
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
			mprotect(a->view[FLAKY], a->size, draw_of(&shaker, prot));
		usleep(draw(&shaker, 2000));
	}
	return NULL;
}

static void ignore_signal(int sig)
{
}

/* A process with @n workers, the first of which is @w; its exit status. */
static int run_process(struct worker *w, int n)
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

/* Whatever has gone wrong, others find the default queue empty and open. */
static void restore(int fd)
{
	struct mpmcq_dead all = { .size = sizeof(all) };
	int nonblocking = open(DEVICE, O_RDONLY | O_NONBLOCK);

	ioctl(fd, MPMCQ_IOC_REOPEN, 0);
	ioctl(fd, MPMCQ_IOC_PURGE, &all);
	take_all(nonblocking);
	close(nonblocking);
}

/* When all workers have ended: what they shared.  Whether all is well with it. */
static bool judge_shared(struct worker *w)
{
	struct stage *stage = w->stage;
	char name[MPMCQ_NAME_MAX + 1];
	int i;

	if (!new_arena(w))
		return false;
	begin_work(w);
	for (i = 0; i < 2 && stage->queues == SHARED; i++)
		close(stage->pool[i]);
	for (i = 0; i < stage->queues; i++) {
		if (!w->failed)
			settle(w, &stage->queue[i]);
		if (i != DEFAULT)
			destroy(w, stage->queue[i].like.name);
	}
	for (i = 0; i < CONTENDED; i++) {
		name_contended(w, name, i);
		destroy(w, name);
	}
	if (w->failed)
		restore(stage->queue[DEFAULT].fd);
	return !w->failed;
}

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

static int create_queue(struct stage *stage, int by, int k, struct mpmcq_create c)
{
	struct queue *q = &stage->queue[k];

	c.size = sizeof(c);
	c.open_flags = O_RDWR;
	c.mode = 0600;
	snprintf(c.name, sizeof(c.name), "fuzz-%d-%d", stage->pid, k);
	q->like = c;
	q->timed = c.lease_ms;
	q->pooled = k == POOLED;
	q->named = true;
	q->uid = geteuid();
	q->gid = getegid();
	q->fd = result(ioctl(by, MPMCQ_IOC_CREATE, &c));
	begin_queue(stage->world, q);
	return q->fd;
}

/* The default queue as it is, with what it has counted before. */
static bool find_default(struct stage *stage, int fd, bool exact)
{
	struct queue *q = &stage->queue[DEFAULT];
	struct mpmcq_info info;
	char path[64];
	int i;

	if (query(fd, &info))
		return false;
	begin_queue(stage->world, q);
	q->fd = fd;
	q->named = true;
	q->exact = exact;
	q->like = (struct mpmcq_create){
		.flags = info.flags, .capacity = info.capacity, .msg_size = info.msg_size,
		.max_deliveries = info.max_deliveries, .lease_ms = info.lease_ms,
	};
	memcpy(q->like.name, info.name, sizeof(info.name));
	for (i = 0; i < (int)ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), "/sys/class/mpmcq/mpmcq/%s", counters[i]);
		q->before[i] = number_in(path, "");
	}
	return list_init(&q->ready, info.capacity) && list_init(&q->returned, info.capacity) &&
	       list_init(&q->dead, info.capacity);
}

/* The queues that all use, and what they have of them; false if they are not to be had. */
static bool set_up(struct stage *stage, int fd, bool alone)
{
	struct mpmcq_create probe = {
		.size = sizeof(probe), .flags = MPMCQ_AUTO_DESTROY, .open_flags = O_RDONLY,
	};
	char path[96];
	int i;

	stage->pid = getpid();
	if (!find_default(stage, fd, alone))
		return false;
	stage->longest = stage->queue[DEFAULT].like.msg_size + 64;
	if (stage->longest < PACKED_MAX + 256)
		stage->longest = PACKED_MAX + 256;

	snprintf(probe.name, sizeof(probe.name), "fuzz-%d-probe", stage->pid);
	i = ioctl(fd, MPMCQ_IOC_CREATE, &probe);
	snprintf(path, sizeof(path), "/dev/mpmcq-%s", probe.name);
	stage->nodes = !access(path, F_OK);
	close(i);

	stage->queues = alone ? 1 : SHARED;
	if (alone)
		return true;
	for (i = DROPPING; i < SHARED; i++)
		if (create_queue(stage, fd, i, shared_queues[i]) < 0)
			return false;
	for (i = 0; i < 2; i++) {
		stage->pool[i] = attach(stage->queue[POOLED].fd, O_RDWR, pool_modes[i],
					POOL_HELD);
		if (stage->pool[i] < 0)
			return false;
	}
	return true;
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

TEST_F_TIMEOUT(queue, fuzz, 3600)
{
	int i, n = variant->processes * variant->threads, status;
	__u64 seed = setting("MPMCQ_FUZZ_SEED", new_seed());
	struct stage *stage = share(sizeof(*stage));
	struct worker *w;

	ASSERT_NE(NULL, stage);
	stage->world = new_world(n, setting("MPMCQ_FUZZ_CALLS", 10000) / n);
	ASSERT_NE(NULL, stage->world);
	ASSERT_TRUE(set_up(stage, self->fd, n == 1));
	w = new_workers(stage, seed);
	ASSERT_NE(NULL, w);
	TH_LOG("MPMCQ_FUZZ_SEED=%llu: %d workers, %u calls each", (unsigned long long)seed, n,
	       stage->world->calls);
	stage->queue[DEFAULT].ordered = variant->ordered;
	for (i = 0; i < n; i += variant->threads) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(run_process(&w[i], variant->threads));
	}
	for (i = 0; i < variant->processes; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	for (i = 0; i < n; i++)
		w[n].failed |= w[i].failed;
	EXPECT_TRUE(judge_shared(&w[n]));
}

TEST_HARNESS_MAIN
