// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which results a call may have
 */
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>

#include "fuzz_expect.h"

void may_fail(struct expected *e, int error)
{
	int i;

	for (i = 0; i < e->errors; i++)
		if (e->error[i] == error)
			return;
	e->error[e->errors++] = error;
}

void may_return(struct expected *e, ssize_t min, ssize_t max)
{
	e->min = min;
	e->max = max;
}

bool as_expected(const struct expected *e, ssize_t ret)
{
	int i;

	for (i = 0; i < e->errors; i++)
		if (ret == e->error[i])
			return true;
	return ret >= e->min && ret <= e->max;
}

static bool may_be_closed(const struct request *r)
{
	const struct queue *q = r->file->queue;

	return q->exact ? q->closed : load(&q->closings) > r->reopened;
}

static void expect_interruption(const struct request *r, struct expected *e)
{
	may_fail(e, -EINTR);
	if (r->cancelled)
		may_fail(e, -ECANCELED);
}

static bool has_timeout(const struct request *r)
{
	return r->write ? r->file->snd_timeout_ms : r->file->rcv_timeout_ms;
}

static void expect_waiting(const struct request *r, struct expected *e)
{
	if (r->may_refuse || has_timeout(r))
		may_fail(e, -EAGAIN);
	if (r->may_wait)
		expect_interruption(r, e);
}

/* Missing pages are fetched, unless there is a signal. */
static void expect_fetching(const struct request *r, struct expected *e)
{
	if (r->faulty && !r->quiet)
		expect_interruption(r, e);
}

/* Whether one message can be sent, or that it cannot. */
static bool expect_slot(const struct request *r, __u32 priority, struct expected *e)
{
	const struct queue *q = r->file->queue;

	if (may_be_closed(r))
		may_fail(e, -EPIPE);
	if (q->exact && q->closed)
		return false;
	if (q->exact && (room(q) || can_drop(q, priority)))
		return true;
	expect_waiting(r, e);
	return !q->exact;
}

static void expect_write_one(const struct request *r, struct expected *e)
{
	const struct queue *q = r->file->queue;
	bool can_send, bad = r->flaky || r->there < r->total;

	if (!r->total || r->total > q->like.msg_size) {
		may_fail(e, r->total ? -EMSGSIZE : -EINVAL);
		if (may_be_closed(r))
			may_fail(e, -EPIPE);
		return;
	}
	can_send = expect_slot(r, r->file->priority, e);
	/* Nothing is dropped before the pages are there. */
	if (bad && (can_send || q->like.flags & MPMCQ_DROP_OLDEST))
		may_fail(e, -EFAULT);
	if (!can_send)
		return;
	expect_fetching(r, e);
	if (r->there >= r->total)
		may_return(e, r->total, r->total);
}

/* The messages up to the first that has a part that is not accessible. */
static __u32 accessible(const struct request *r, bool padding_too)
{
	const struct batch *b = r->batch;
	size_t start = 0;
	__u32 i;

	for (i = 0; i < b->good; i++) {
		size_t end = start + header_size(r->file) + b->of[i].m.len;

		if ((padding_too ? b->of[i].end : end) > r->there)
			break;
		start = b->of[i].end;
	}
	return i;
}

/* How many of the first @n messages find a slot in a queue that is exact, one after the other. */
static __u32 slots_for(const struct queue *q, const struct batch *b, __u32 n)
{
	__u32 level[MPMCQ_LEVELS_MAX] = {}, left = room(q), i, lowest;
	bool drop = q->like.flags & MPMCQ_DROP_OLDEST;

	for (i = 0; i < q->ready.n; i++)
		level[at(&q->ready, i)->priority]++;
	for (i = 0; i < n; i++) {
		__u32 priority = b->of[i].m.priority;

		for (lowest = 0; lowest < priority && !level[lowest]; lowest++)
			;
		if (left)
			left--;
		else if (drop && level[lowest])
			level[lowest]--;
		else
			break;
		level[priority] += !b->of[i].m.delay_ms;
	}
	return i;
}

static void expect_write_packed(const struct request *r, struct expected *e)
{
	const struct queue *q = r->file->queue;
	const struct batch *b = r->batch;
	__u32 least = accessible(r, true), most = accessible(r, false);

	if (!least && (r->flaky || r->there < r->total))
		may_fail(e, -EFAULT);
	if (!b->good) {
		*e = b->wrong;
		if (r->flaky || r->there < r->total)
			may_fail(e, -EFAULT);
		if (may_be_closed(r))
			may_fail(e, -EPIPE);
		return;
	}
	if (!expect_slot(r, b->of[0].m.priority, e))
		return;
	expect_fetching(r, e);
	if (r->flaky)
		may_fail(e, -EFAULT);
	if (!most)
		return;
	if (q->exact) {
		least = slots_for(q, b, least);
		most = slots_for(q, b, most);
	}
	if (!q->exact || !r->quiet || !least)
		least = 1;
	may_return(e, b->of[least - 1].end, b->of[most - 1].end);
}

/* Bytes that a message of that length takes in the buffer. */
static size_t space_in(const struct request *r, __u32 len)
{
	return has_mode(r->file, MPMCQ_MODE_PACKED) ? space_by(r->file, len) : len;
}

/* There is no message, or may be none. */
static void expect_no_message(const struct request *r, struct expected *e)
{
	const struct open_file *f = r->file;
	const struct queue *q = f->queue;
	bool holds = f->held.n || f->pooled;

	if (q->exact && drained(q, has_mode(f, MPMCQ_MODE_DEAD))) {
		may_return(e, 0, 0);
		return;
	}
	if (may_be_closed(r) && holds && !f->nonblock) {
		may_fail(e, -EDEADLK);
		/* Unless it is not to wait for other reasons, there is no other way out. */
		if (q->exact && r->may_wait && !r->cancelled)
			return;
	}
	expect_waiting(r, e);
}

/*
 * How many bytes a packed read gets of a queue that is exact and has messages; @least if what may
 * be a suspect is one.
 */
static size_t packed_bytes(const struct request *r, bool least)
{
	const struct open_file *f = r->file;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD), leased = has_mode(f, MPMCQ_MODE_LEASE);
	__u32 i, n = waiting(f->queue, dead);
	size_t sum = 0, most = r->there;

	if (leased && n > f->max_held - f->held.n)
		n = f->max_held - f->held.n;
	for (i = 0; i < n; i++) {
		size_t space = space_by(f, nth(f->queue, dead, i)->len);
		bool alone = leased && !dead && (least ? may_be_suspect : is_suspect)(f->queue, i);

		if (sum + space > most || (i && alone))
			break;
		sum += space;
		if (alone)
			break;
	}
	return sum;
}

/*
 * A suspect goes to those with packed leases who hold nothing, and then they get nothing else.
 * False if the next message does not go to @f.
 */
static bool expect_suspect(const struct open_file *f, struct expected *e)
{
	const struct queue *q = f->queue;

	if (!f->held.n || has_mode(f, MPMCQ_MODE_DEAD))
		return true;
	if (!q->exact || holds_suspect(f) || next_may_be_suspect(q))
		may_fail(e, -ENOBUFS);
	return !q->exact || !(holds_suspect(f) || next_is_suspect(q));
}

static void expect_read(const struct request *r, struct expected *e)
{
	const struct open_file *f = r->file;
	const struct queue *q = f->queue;
	bool packed = has_mode(f, MPMCQ_MODE_PACKED), dead = has_mode(f, MPMCQ_MODE_DEAD);
	size_t shortest = space_in(r, 1), longest = space_in(r, q->like.msg_size);
	__u32 i;

	if (!r->total)
		may_return(e, 0, 0);
	/* By its next read the caller would acknowledge what it may not have seen. */
	if (r->deferred && !packed && has_mode(f, MPMCQ_MODE_LEASE)) {
		may_fail(e, -EINVAL);
		return;
	}
	if (f->pooled && has_mode(f, MPMCQ_MODE_LEASE))
		may_fail(e, packed ? -ENOBUFS : -EBUSY);
	if (!r->total)
		return;
	if (packed && has_mode(f, MPMCQ_MODE_LEASE) &&
	    (f->held.n == f->max_held || (q->exact && holds_suspect(f)))) {
		may_fail(e, -ENOBUFS);
		if (r->flaky || r->there < r->total)
			may_fail(e, -EFAULT);
		if (!q->timed)
			return;
	}
	if (!q->exact || !waiting(q, dead))
		expect_no_message(r, e);
	if (q->exact && !waiting(q, dead))
		return;
	if (q->exact) {
		shortest = SIZE_MAX;
		longest = 0;
	}
	for (i = 0; q->exact && i < choices(q, dead); i++) {
		size_t space = space_in(r, nth(q, dead, i)->len);

		shortest = space < shortest ? space : shortest;
		longest = space > longest ? space : longest;
	}
	if (longest > r->total)
		may_fail(e, -EMSGSIZE);
	/* Of a buffer that is both too short and not accessible either may be said. */
	if (r->flaky || (r->there < r->total && r->there < longest))
		may_fail(e, -EFAULT);
	if (packed && has_mode(f, MPMCQ_MODE_LEASE) && !expect_suspect(f, e))
		return;
	expect_fetching(r, e);
	if (!q->exact && may_be_closed(r))
		may_return(e, 0, 0);
	if (r->there < shortest)
		return;
	if (packed && q->exact && !q->vague) {
		longest = packed_bytes(r, false);
		shortest = r->quiet ? packed_bytes(r, true) : shortest;
	} else if (packed || longest > r->there) {
		longest = r->there;
	}
	may_return(e, !q->exact && may_be_closed(r) ? 0 : shortest, longest);
}

struct expected expect(const struct request *r)
{
	struct expected e = NOTHING;

	if (r->refusal.errors)
		e = r->refusal;
	else if (r->write && !r->total && r->vector)
		may_return(&e, 0, 0);
	else if (r->write && r->batch)
		expect_write_packed(r, &e);
	else if (r->write)
		expect_write_one(r, &e);
	else
		expect_read(r, &e);
	if (r->early)
		may_fail(&e, -ECANCELED);
	return e;
}

void check_forward(const struct mpmcq_forward *fw, struct expected *e)
{
	if (fw->flags || !fw->buf != !fw->len)
		may_fail(e, -EINVAL);
	if (fw->len > 65536)
		may_fail(e, -EMSGSIZE);
}

/* Whether the other queue can have such a message, or why not. */
static bool is_fitting(const struct forwarding *fw, struct expected *e)
{
	const struct mpmcq_create *like = &fw->to->queue->like;
	__u32 len = fw->args->buf || !fw->held ? fw->args->len : fw->held->len;
	int errors = e->errors;

	if (len > like->msg_size)
		may_fail(e, -EMSGSIZE);
	if (fw->args->priority >= like->levels)
		may_fail(e, -EINVAL);
	if (fw->args->delay_ms && !(like->flags & MPMCQ_DELAY))
		may_fail(e, -EOPNOTSUPP);
	return e->errors == errors;
}

void expect_forward(const struct forwarding *fw, struct expected *e)
{
	const struct request *r = &fw->request;
	const struct queue *to = fw->to->queue;
	bool sent;

	if (!fw->held || fw->uncertain)
		may_fail(e, -ENOENT);
	if ((!fw->held && !fw->uncertain) || !is_fitting(fw, e))
		return;
	if (to == fw->from) {
		/* It keeps its slot. */
		if (may_be_closed(r))
			may_fail(e, -EPIPE);
		sent = !to->exact || !to->closed;
	} else {
		sent = expect_slot(r, fw->args->priority, e);
	}
	if (sent)
		may_return(e, 0, 0);
}

bool gets_through(const struct request *r)
{
	return !r->refusal.errors && (r->total || !r->vector);
}

/* Whether poll says that the file could keep a message, or has to say so if @must. */
static bool has_room(const struct open_file *f, bool must)
{
	if (!has_mode(f, MPMCQ_MODE_LEASE) || !has_mode(f, MPMCQ_MODE_PACKED))
		return true;
	/* What others hold through the file, and what has run out, is not known. */
	if (f->pooled || f->queue->timed)
		return !must;
	if (f->held.n == f->max_held)
		return false;
	if (!f->held.n || has_mode(f, MPMCQ_MODE_DEAD))
		return true;
	if (!f->queue->exact)
		return !must;
	return !holds_suspect(f) &&
	       !(must ? next_may_be_suspect : next_is_suspect)(f->queue);
}

__u32 ready_events(const struct open_file *f, bool must)
{
	const struct queue *q = f->queue;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);
	__u32 mask = 0;

	if (!q->exact && must)
		return 0;
	if (readable(f) && (!q->exact || waiting(q, dead)) && has_room(f, must))
		mask |= POLLIN | POLLRDNORM;
	if (readable(f) && (!q->exact || (!waiting(q, dead) && drained(q, dead))))
		mask |= POLLHUP;
	if (writable(f) && (!q->exact || room(q) || can_drop(q, f->priority) || q->closed))
		mask |= POLLOUT | POLLWRNORM;
	return mask;
}

__u64 uuid_of(const struct mpmcq_info *info)
{
	__u64 half[2];

	memcpy(half, info->uuid, sizeof(half));
	return half[0] + 31 * half[1];
}

/* Whether a message can wait for so long. */
static bool has_waited(const struct queue *q, __u64 ns)
{
	if (!(q->like.flags & MPMCQ_STAMP) || (q->exact && !waiting(q, false)))
		return !ns;
	return ns <= boottime() - (q->exact ? oldest_from(q) : 0) && (ns || !q->exact);
}

const char *misinformed(const struct mpmcq_info *info, __u32 size, const struct open_file *f,
			const __u64 *counts)
{
	const struct queue *q = f->queue;
	bool exact = q->exact;

#define CHECK(field, condition) do { \
	if (size >= offsetof(struct mpmcq_info, field) + sizeof(info->field) && !(condition)) \
		return #field; \
} while (0)
#define CHECK_COUNT(field, n) \
	CHECK(field, exact ? info->field == (n) : info->field <= q->like.capacity)
#define CHECK_SUM(field, i) \
	CHECK(field, exact ? info->field == q->before[i] + q->counts[i] : \
		     info->field >= q->before[i] + ((i) < ACKED ? counts[i] : 0))

	CHECK(size, info->size == size);
	CHECK(version, info->version);
	CHECK(capacity, info->capacity == q->like.capacity);
	CHECK(msg_size, info->msg_size == q->like.msg_size);
	CHECK_COUNT(depth, waiting(q, false));
	CHECK(flags, info->flags == q->like.flags);
	CHECK(features, info->features == 2 * MPMCQ_FEATURE_LEVELS - 1);
	CHECK(levels, info->levels == q->like.levels);
	CHECK(priority, info->priority == f->priority);
	CHECK(rcv_timeout_ms, info->rcv_timeout_ms == f->rcv_timeout_ms);
	CHECK(snd_timeout_ms, info->snd_timeout_ms == f->snd_timeout_ms);
	CHECK(modes, info->modes == f->modes);
	CHECK(closed, exact ? info->closed == q->closed : info->closed <= 1);
	CHECK_COUNT(dead, q->dead.n);
	CHECK_COUNT(leased, q->leased);
	CHECK(max_deliveries, info->max_deliveries == q->like.max_deliveries);
	CHECK(lease_ms, info->lease_ms == q->like.lease_ms);
	CHECK(held, f->pooled ? info->held <= f->max_held :
	      q->timed ? info->held <= f->held.n : info->held == f->held.n);
	CHECK(max_held, info->max_held == f->max_held);
	CHECK(number, info->number && (!q->number || info->number == q->number));
	CHECK(parked, q->like.flags & MPMCQ_DELAY || !info->parked);
	CHECK_COUNT(parked, q->parked.n);
	CHECK_COUNT(free, q->like.capacity - waiting(q, false) - q->dead.n - q->leased -
			  q->parked.n);
	CHECK(reserved, !info->reserved);
	CHECK(retry_ms, info->retry_ms == q->like.retry_ms);
	CHECK(retry_max_ms, info->retry_max_ms == q->like.retry_max_ms);
	/* Of most calls by others we are not told how many messages they ended. */
	CHECK_SUM(sent, SENT);
	CHECK_SUM(received, RECEIVED);
	CHECK_SUM(acked, ACKED);
	CHECK_SUM(returned, RETURNED);
	CHECK_SUM(set_aside, SET_ASIDE);
	CHECK_SUM(dropped, DROPPED);
	/* Of those that are alike it is not known which has been delivered. */
	if (!q->mixed)
		CHECK_SUM(redelivered, REDELIVERED);
	CHECK_SUM(suspected, SUSPECTED);
	CHECK(oldest_ns, has_waited(q, info->oldest_ns));
	CHECK(readers_asleep, !exact || !info->readers_asleep);
	CHECK(writers_asleep, !exact || !info->writers_asleep);
	CHECK(uuid, uuid_of(info) && (!q->uuid || uuid_of(info) == q->uuid));
#undef CHECK_SUM
#undef CHECK_COUNT
#undef CHECK
	return NULL;
}

/*
 * Arguments
 */
bool are_open_flags(__u32 flags)
{
	return !(flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) && (flags & O_ACCMODE) != O_ACCMODE;
}

void check_name(const char *name, struct expected *e)
{
	if (!*name)
		may_fail(e, -ENOENT);
	if (strlen(name) > NAME_MAX)
		may_fail(e, -ENAMETOOLONG);
	if (strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		may_fail(e, -EINVAL);
}

static __u32 capacity_of(const struct mpmcq_create *c)
{
	return c->capacity ? c->capacity : 1024;
}

static __u32 msg_size_of(const struct mpmcq_create *c)
{
	return c->msg_size ? c->msg_size : 1024;
}

struct mpmcq_create normalized(struct mpmcq_create c)
{
	c.flags &= ~MPMCQ_EXIST_OK;
	c.flags |= c.retry_ms ? MPMCQ_DELAY : 0;
	c.capacity = capacity_of(&c);
	c.msg_size = msg_size_of(&c);
	c.levels = c.levels ? c.levels : 1;
	return c;
}

void check_create(const struct mpmcq_create *c, bool on_directory, struct expected *e)
{
	__u32 capacity = capacity_of(c), msg_size = msg_size_of(c);
	__u32 flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY | MPMCQ_START_LEASE |
		      MPMCQ_STAMP |
		      (c->name ? MPMCQ_EXIST_OK : 0);

	if (capacity & (capacity - 1) || capacity < 2 || capacity > 1048576 ||
	    msg_size > 65536 || c->lease_ms > INT_MAX || c->flags & ~flags ||
	    c->levels > MPMCQ_LEVELS_MAX || c->reserved ||
	    c->max_deliveries > MPMCQ_MAX_DELIVERIES_MAX ||
	    (c->retry_max_ms && c->retry_max_ms < (c->retry_ms ? c->retry_ms : UINT32_MAX)))
		may_fail(e, -EINVAL);
	if (c->name ? c->open_flags || c->mode & ~0777 : c->mode || !are_open_flags(c->open_flags))
		may_fail(e, -EINVAL);
	if (c->name && !on_directory)
		may_fail(e, -ENOTDIR);
	/* No user has so much; less is not asked for in vain. */
	if ((__u64)capacity * msg_size > 1U << 30) {
		may_fail(e, -EFBIG);
		may_fail(e, -ENOSPC);
	}
}

bool is_like(const struct queue *q, const struct mpmcq_create *c)
{
	const struct mpmcq_create is = q->like, is_to_be = normalized(*c);

	return c->flags & MPMCQ_EXIST_OK && is.capacity == is_to_be.capacity &&
	       is.msg_size == is_to_be.msg_size &&
	       !((is.flags ^ is_to_be.flags) & ~MPMCQ_START_LEASE) &&
	       is.max_deliveries == is_to_be.max_deliveries &&
	       is.lease_ms == is_to_be.lease_ms && is.retry_ms == is_to_be.retry_ms &&
	       is.retry_max_ms == is_to_be.retry_max_ms && is.levels == is_to_be.levels;
}

static bool lacks_packed(__u32 modes)
{
	return modes & MPMCQ_MODE_META && !(modes & MPMCQ_MODE_PACKED);
}

void check_attach(const struct mpmcq_attach *a, const struct open_file *f, struct expected *e)
{
	__u32 access = a->open_flags & O_ACCMODE;
	__u32 modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD | MPMCQ_MODE_META;

	if (!are_open_flags(a->open_flags) || a->modes & ~modes || a->reserved ||
	    a->priority >= f->queue->like.levels || lacks_packed(a->modes) ||
	    (a->max_held && !(a->modes & MPMCQ_MODE_LEASE)) || a->max_held > MPMCQ_MAX_HELD_MAX)
		may_fail(e, -EINVAL);
	if ((access != O_WRONLY && !readable(f)) || (access != O_RDONLY && !writable(f)))
		may_fail(e, -EACCES);
	if (a->modes & (MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD) && access == O_WRONLY)
		may_fail(e, -EBADF);
}

void check_mode(const struct mpmcq_mode *m, const struct open_file *f, struct expected *e)
{
	__u32 modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_META |
		      (f->modes & MPMCQ_MODE_DEAD);
	bool lease = m->modes & MPMCQ_MODE_LEASE;

	if (m->priority >= f->queue->like.levels || m->modes & ~modes || lacks_packed(m->modes) ||
	    (m->max_held && !lease) || m->max_held > MPMCQ_MAX_HELD_MAX)
		may_fail(e, -EINVAL);
	if (lease && !readable(f))
		may_fail(e, -EBADF);
}

void expect_mode(const struct mpmcq_mode *m, const struct open_file *f, struct expected *e)
{
	__u32 modes = m->modes | (f->modes & MPMCQ_MODE_DEAD);

	if (has_mode(f, MPMCQ_MODE_LEASE) && !f->started &&
	    (modes != f->modes || most_held(f->queue, m->max_held) != f->max_held))
		may_fail(e, -EBUSY);
	else
		may_return(e, 0, 0);
}

void check_settle(const struct mpmcq_settle *s, const struct open_file *f, struct expected *e)
{
	bool all = s->flags & MPMCQ_SETTLE_ALL;
	__u32 flags = MPMCQ_SETTLE_ALL, both = MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_DELAY;

	if (s->op == MPMCQ_SETTLE_NACK && !has_mode(f, MPMCQ_MODE_DEAD))
		flags |= both | MPMCQ_SETTLE_UNTRIED;
	if (!s->op || s->op > MPMCQ_SETTLE_REVIVE || s->flags & ~flags ||
	    (s->op == MPMCQ_SETTLE_REVIVE && !has_mode(f, MPMCQ_MODE_DEAD)) ||
	    (s->flags & both) == both || (s->delay_ms && !(s->flags & MPMCQ_SETTLE_DELAY)) ||
	    (all && (s->ids || s->count)) ||
	    (!all && (!s->count || s->count > MPMCQ_MAX_HELD_MAX)))
		may_fail(e, -EINVAL);
	if (s->flags & MPMCQ_SETTLE_DELAY && !(f->queue->like.flags & MPMCQ_DELAY))
		may_fail(e, -EOPNOTSUPP);
	if (!readable(f) || (s->op == MPMCQ_SETTLE_REVIVE && !writable(f)))
		may_fail(e, -EBADF);
}

void check_dead(const struct mpmcq_dead *d, bool revive, const struct open_file *f,
		struct expected *e)
{
	if (d->flags)
		may_fail(e, -EINVAL);
	if (!readable(f) || (revive && !writable(f)))
		may_fail(e, -EBADF);
}
