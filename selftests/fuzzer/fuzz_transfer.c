// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads and writes
 */
#include "fuzz.h"

/* What a completion is of. */
#define REQUEST	1
#define CANCEL	2

/* How a read or write may be made. */
enum method { PLAIN, VECTOR, VECTOR2, URING, METHODS };

struct how {
	enum method method;
	int flags;		/* of preadv2(), pwritev2() or the io_uring request */
	off_t offset;
	bool async;		/* the request, from the start */
	const struct iovec *iov;
	int segments;
};

/* Has the kernel refuse it. */
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
	bool packed = has_mode(f, MPMCQ_MODE_PACKED), may_be_bad = r->write, matters;
	size_t len;

	if (packed)
		len = r->write ? draw_batch(w, f) : draw_room(w, f);
	else
		len = draw_length(w, q->like.msg_size, r->write);
	how->method = draw(w, w->forked ? URING : METHODS);
	how->segments = how->method == PLAIN ? 1 : draw_segments(w);
	how->iov = a->iov;
	/*
	 * What is handed back is read late.  It is not known then which is the oldest, to be
	 * dropped, and of those that are alike which has been delivered too often, or how often.
	 */
	matters = q->like.flags & MPMCQ_DROP_OLDEST ||
		  (packed && (q->like.max_deliveries || q->like.retry_ms));
	if (!q->ordered && !(q->exact && matters))
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
	r->deferred = how->method == URING || how->flags == RWF_NOWAIT;
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

void turn(struct queue *q)
{
	if (!waiting(q, false))
		q->filling = true;
	else if (!room(q))
		q->filling = false;
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
static void fill_buffer(struct worker *w, const struct request *r)
{
	const struct queue *q = r->file->queue;
	struct arena *a = w->arena;
	__u32 i;

	if (!r->batch && r->total > q->like.msg_size)
		return;
	if (!r->batch)
		write_message(a->msg, r->total, w->id, r->message.number);
	scatter(a);
	if (!r->batch)
		will_send(w->world, q, &r->message);
	for (i = 0; r->batch && i < r->batch->good; i++)
		will_send(w->world, q, &r->batch->of[i].m);
}

static void sent_between(struct worker *w, struct queue *q, struct message m, __u64 now)
{
	m.sent_from = w->order.call_began;
	m.sent_to = now;
	sent(w->world, q, m);
}

void has_written(struct worker *w, const struct request *r, const char *name, ssize_t ret)
{
	struct queue *q = r->file->queue;
	const struct batch *b = r->batch;
	int i, n = b ? messages_in(b, ret) : 0;
	__u64 now = boottime();

	if (n < 0)
		complain(w, name, ret, ", and those are no whole messages");
	for (i = 0; b && i < (int)b->good; i++) {
		if (i < n)
			sent_between(w, q, b->of[i].m, now);
		else
			not_sent(w->world, &b->of[i].m);
	}
	if (!b && ret > 0)
		sent_between(w, q, r->message, now);
	else if (!b)
		not_sent(w->world, &r->message);
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
	if (f->queue->exact && r->faulty && gets_through(r) && (packed || ret == -EFAULT))
		hand_back(f->queue, has_mode(f, MPMCQ_MODE_DEAD), packed);
}

/* Whether a read acknowledges if it waits, or gets a message. */
static bool acknowledges(const struct request *r)
{
	return !r->write && gets_through(r) && r->total && !r->file->pooled && !r->deferred &&
	       (r->file->modes & (MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE)) == MPMCQ_MODE_LEASE;
}

/* Whether that is what came of such a read; one that failed has, if it had waited before. */
static bool has_acknowledged(const struct request *r, int fd, ssize_t ret)
{
	struct mpmcq_info info;

	if (ret != -EMSGSIZE && ret != -EFAULT)
		return true;
	if (r->file->queue->exact || r->file->queue->timed)
		return false;
	return !query(fd, &info) && !info.held;
}

static void acknowledge(struct worker *w, const struct request *r, const char *name)
{
	struct open_file *f = &w->open[r->file - w->open];

	let_all_go(w->world, f);
	tell_faults(w, name, 0, end_all_leases(w->world, f, (struct verdict){ .fate = ACK }));
}

/* Now and then one that may read a dead message. */
static int draw_transfer_file(struct worker *w)
{
	int i, j, from = draw_file(w);

	if (!one_in(w, 4))
		return from;
	for (i = 0; i < OWN; i++) {
		j = (from + i) % OWN;
		if (has_mode(open_file(w, j), MPMCQ_MODE_DEAD) && open_file(w, j)->queue->dead.n)
			return j;
	}
	return from;
}

void call_transfer(struct worker *w)
{
	static ssize_t (*const methods[])(struct worker *, int, bool, const struct how *) = {
		[PLAIN] = plain, [VECTOR] = vector, [VECTOR2] = vector2, [URING] = uring,
	};
	static const char *const names[][METHODS] = {
		{ "read", "readv", "preadv2", "io_uring: readv" },
		{ "write", "writev", "pwritev2", "io_uring: writev" },
	};
	int i = draw_transfer_file(w);
	struct open_file *f = open_file(w, i);
	struct request r = { .file = f, .write = draw_write(w, f), .refusal = NOTHING };
	const char *name;
	struct expected e;
	struct how how = {};
	ssize_t ret;

	draw_transfer(w, &r, &how, i);
	if (r.write && !r.batch)
		r.message = (struct message){
			.len = r.total, .producer = w->id, .number = w->number++,
			.priority = f->priority,
		};
	if (r.write)
		fill_buffer(w, &r);
	name = names[r.write][how.method];
	/* Where there is no message, that alone may end the queue. */
	if (acknowledges(&r) && f->queue->exact &&
	    !waiting(f->queue, has_mode(f, MPMCQ_MODE_DEAD)))
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
	/* By its first read a file keeps the lease with which it began. */
	if (!r.write && gets_through(&r) && !r.deferred)
		f->started = false;
	if (acknowledges(&r) && has_acknowledged(&r, w->files.fd[i], ret))
		acknowledge(w, &r, name);
	if (r.write)
		has_written(w, &r, name, ret);
	else
		has_read(w, &r, name, ret);
	if (f->queue->exact)
		turn(f->queue);
}
