/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fuzz.c expects of the queue: which messages are under way, which results a
 * call may have, and what is wrong.  With one worker the queue is predicted exactly;
 * with several, within what the others may do.
 */
#ifndef MPMCQ_FUZZ_MODEL_H
#define MPMCQ_FUZZ_MODEL_H

#include "record.h"

#define WORKERS		8	/* at most */

/* What can be wrong with the messages; a bit each. */
enum fault {
	TORN		= 1,	/* not as it was written */
	REORDERED	= 2,	/* after a later one of the same worker */
	UNKNOWN		= 4,	/* of a write that failed, or never written */
	LOST		= 8,
	REPEATED	= 16,
};

/* What is known of the queue; shared by all processes of a test. */
struct world {
	__u32 workers;
	__u32 calls;			/* of each worker, so no more messages */
	__u32 capacity;
	__u32 msg_size;
	bool ordered;			/* no reader may have to hand a message back */
	__u32 shorts_sent[sizeof(struct record)];
	__u32 shorts_seen[sizeof(struct record)];
	__u8 *sent;			/* by worker and number */
	__u8 *seen;			/* how often */

	/* With one worker, the messages in the queue: */
	bool exact;
	__u32 head;
	__u32 depth;
	struct queued {
		__u32 len;
		__u32 number;
	} *queue;
};

/* The numbers a worker expects next, or later ones, by the worker that wrote them. */
struct order {
	__u32 next[WORKERS];
};

static inline void *share(size_t n)
{
	void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static inline struct world *new_world(__u32 workers, __u32 calls, __u32 capacity, __u32 msg_size)
{
	struct world *world = share(sizeof(*world));

	if (!world)
		return NULL;
	world->workers = workers;
	world->calls = calls;
	world->capacity = capacity;
	world->msg_size = msg_size;
	world->exact = workers == 1;
	world->sent = share(workers * calls);
	world->seen = share(workers * calls);
	world->queue = share(capacity * sizeof(*world->queue));
	return world->sent && world->seen && world->queue ? world : NULL;
}

/* Messages too short for a record are all alike, and only counted. */
static inline void write_message(void *buf, __u32 len, __u32 worker, __u32 number)
{
	struct record *rec = buf;

	if (len < sizeof(*rec)) {
		fill(buf, len, len);
		return;
	}
	*rec = (struct record){ .producer = worker, .number = number, .len = len };
	fill(rec + 1, len - sizeof(*rec), number + worker);
	rec->sum = sum_of(rec, len);
}

/* A write has returned that the message was sent. */
static inline void sent(struct world *world, __u32 worker, __u32 number, __u32 len)
{
	if (len < sizeof(struct record))
		__atomic_add_fetch(&world->shorts_sent[len], 1, __ATOMIC_RELAXED);
	else
		world->sent[worker * world->calls + number] = 1;
	if (world->exact) {
		world->queue[(world->head + world->depth) % world->capacity] =
			(struct queued){ .len = len, .number = number };
		world->depth++;
	}
}

/* The message that has to come next, of which there is one. */
static inline const struct queued *next(const struct world *world)
{
	return &world->queue[world->head % world->capacity];
}

/* Whether it is that, if it is known. */
static inline bool is_next(struct world *world, const struct record *rec, __u32 len)
{
	const struct queued *wanted = next(world);

	if (!world->exact)
		return true;
	if (!world->depth)
		return false;
	world->head++;
	world->depth--;
	return wanted->len == len && (len < sizeof(*rec) || wanted->number == rec->number);
}

/* What is wrong with a message that was read. */
static inline int arrived(struct world *world, struct order *order, const void *buf, __u32 len)
{
	const struct record *rec = buf;
	int faults = 0;

	if (len < sizeof(*rec)) {
		if (!is_filled(buf, len, len))
			return TORN;
		__atomic_add_fetch(&world->shorts_seen[len], 1, __ATOMIC_RELAXED);
	} else {
		if (!is_whole(buf, len))
			return TORN;
		if (rec->producer >= world->workers || rec->number >= world->calls)
			return UNKNOWN;
		if (world->ordered && rec->number < order->next[rec->producer])
			faults |= REORDERED;
		order->next[rec->producer] = rec->number + 1;
		__atomic_add_fetch(&world->seen[rec->producer * world->calls + rec->number], 1,
				   __ATOMIC_RELAXED);
	}
	return is_next(world, rec, len) ? faults : faults | REORDERED;
}

/* What is wrong with all of them, once the queue is empty. */
static inline int all_arrived(const struct world *world)
{
	int faults = 0;
	__u32 i;

	for (i = 0; i < world->workers * world->calls; i++) {
		if (world->seen[i] < world->sent[i])
			faults |= LOST;
		else if (world->seen[i] > 1)
			faults |= REPEATED;
		else if (world->seen[i] > world->sent[i])
			faults |= UNKNOWN;
	}
	for (i = 1; i < sizeof(struct record); i++) {
		if (world->shorts_seen[i] < world->shorts_sent[i])
			faults |= LOST;
		else if (world->shorts_seen[i] > world->shorts_sent[i])
			faults |= REPEATED;
	}
	return faults;
}

#define ERRORS	8

/* Any of these errors, or a value from @min to @max. */
struct expected {
	int errors;
	int error[ERRORS];
	ssize_t min;
	ssize_t max;
};

#define NOTHING	((struct expected){ .min = 1 })

static inline void may_fail(struct expected *e, int error)
{
	e->error[e->errors++] = error;
}

static inline void may_return(struct expected *e, ssize_t min, ssize_t max)
{
	e->min = min;
	e->max = max;
}

static inline bool as_expected(const struct expected *e, ssize_t ret)
{
	int i;

	for (i = 0; i < e->errors; i++)
		if (ret == e->error[i])
			return true;
	return ret >= e->min && ret <= e->max;
}

/* A read or write, as far as its result depends on it. */
struct request {
	bool write;
	bool vector;		/* that of 0 bytes does nothing, and is not wrong */
	bool may_wait;
	bool may_refuse;	/* to wait; both if others decide */
	bool cancelled;		/* in the end, rather than interrupted */
	bool early;		/* perhaps before it has begun */
	bool flaky;		/* pages come and go */
	size_t total;		/* bytes asked for */
	size_t there;		/* of which so many, from the first on, are accessible */
	struct expected refusal;	/* by the kernel, before the driver is asked */
};

static inline void expect_waiting(const struct request *r, struct expected *e)
{
	if (r->may_refuse)
		may_fail(e, -EAGAIN);
	if (r->may_wait)
		may_fail(e, -EINTR);
	if (r->may_wait && r->cancelled)
		may_fail(e, -ECANCELED);
}

static inline void expect_write(const struct world *world, const struct request *r,
				struct expected *e)
{
	if (!r->total && r->vector) {
		may_return(e, 0, 0);
	} else if (!r->total) {
		may_fail(e, -EINVAL);
	} else if (r->total > world->msg_size) {
		may_fail(e, -EMSGSIZE);
	} else {
		if (!world->exact || world->depth == world->capacity)
			expect_waiting(r, e);
		if (world->exact && world->depth == world->capacity)
			return;
		if (r->flaky || r->there < r->total)
			may_fail(e, -EFAULT);
		if (r->there >= r->total)
			may_return(e, r->total, r->total);
	}
}

static inline void expect_read(const struct world *world, const struct request *r,
			       struct expected *e)
{
	size_t shortest = 1, longest = world->msg_size;

	if (!r->total) {
		may_return(e, 0, 0);
		return;
	}
	if (!world->exact || !world->depth)
		expect_waiting(r, e);
	if (world->exact && !world->depth)
		return;
	if (world->exact) {
		shortest = next(world)->len;
		longest = shortest;
	}
	if (longest > r->total)
		may_fail(e, -EMSGSIZE);
	if (shortest > r->total)
		return;
	if (longest > r->total)
		longest = r->total;
	if (r->flaky || r->there < longest)
		may_fail(e, -EFAULT);
	if (r->there >= shortest)
		may_return(e, shortest, r->there < longest ? r->there : longest);
}

static inline struct expected expect(const struct world *world, const struct request *r)
{
	struct expected e = NOTHING;

	if (r->refusal.errors)
		e = r->refusal;
	else if (r->write)
		expect_write(world, r, &e);
	else
		expect_read(world, r, &e);
	if (r->early)
		may_fail(&e, -ECANCELED);
	return e;
}

#endif /* MPMCQ_FUZZ_MODEL_H */
