// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modes, leases, dead messages
 */
#include <stddef.h>

#include "fuzz.h"

void call_mode(struct worker *w)
{
	int i = draw_file(w), ret;
	struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	struct mpmcq_mode req = {
		.modes = draw_modes(w, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE),
	};
	struct expected e;
	struct args a;

	req.max_held = draw_max_held(w, req.modes);
	if (one_in(w, 32))
		req.modes ^= 1U << (one_in(w, 4) ? 2 : 4 + draw(w, 28));
	req.rcv_timeout_ms = draw_timeout(w);
	req.snd_timeout_ms = draw_timeout(w);
	req.priority = draw_priority(w, q);
	if (one_in(w, 32))
		req.priority = q->like.levels + draw(w, 1U << 31);
	if (one_in(w, 64))
		draw_garbage(w, &req, sizeof(req));
	if (q->ordered)
		req.modes &= ~MPMCQ_MODE_LEASE;
	/* That of others stays as it is, but may be set again. */
	if (i >= OWN || f->fixed) {
		req.modes = f->modes;
		req.priority = f->priority;
		req.rcv_timeout_ms = f->rcv_timeout_ms;
		req.snd_timeout_ms = f->snd_timeout_ms;
	}
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), true);
	e = a.refusal;
	check_mode(&req, f, &e);
	if (!e.errors)
		expect_mode(&req, f, &e);
	ret = call_args(w, w->files.fd[i], MPMCQ_IOC_MODE, &a);
	if (!returned(w, "ioctl: MODE", ret, &e) || ret)
		return;
	set_modes(f, req.modes, req.max_held);
	f->priority = req.priority;
	set_timeouts(f, req.rcv_timeout_ms, req.snd_timeout_ms);
}

__u64 draw_id(struct worker *w, const struct open_file *f)
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
		     __u32 done, struct verdict verdict)
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

int draw_leased_file(struct worker *w)
{
	int i, j, from = draw_file(w), n = is_alone(w) ? COMMON + 1 : LAST;
	bool holding = one_in(w, 2);

	if (one_in(w, 8))
		return from;
	for (i = 0; i < n; i++) {
		j = (from + i) % n;
		if (holding ? open_file(w, j)->held.n : has_mode(open_file(w, j), MPMCQ_MODE_LEASE))
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

static __u32 draw_op(struct worker *w, bool dead)
{
	static const __u32 ops[] = {
		MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK,
		MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_REJECT, MPMCQ_SETTLE_TOUCH,
	};
	static const __u32 dead_ops[] = {
		MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_REJECT,
		MPMCQ_SETTLE_TOUCH, MPMCQ_SETTLE_REVIVE, MPMCQ_SETTLE_REVIVE, MPMCQ_SETTLE_REVIVE,
	};

	return dead ? draw_of(w, dead_ops) : draw_of(w, ops);
}

static void draw_settle(struct worker *w, struct mpmcq_settle *req, const struct open_file *f,
			const __u64 *ids, __u32 n)
{
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);

	*req = (struct mpmcq_settle){ .size = sizeof(*req), .op = draw_op(w, dead), .done = JUNK };
	/* Dead ones have no such choice. */
	if (req->op == MPMCQ_SETTLE_NACK && (!dead || one_in(w, 8)))
		req->flags = draw(w, 8) * MPMCQ_SETTLE_FRONT;
	if (req->flags & MPMCQ_SETTLE_DELAY)
		req->delay_ms = draw_delay(w, f->queue);
	if (one_in(w, 4)) {
		req->flags |= MPMCQ_SETTLE_ALL;
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
		req->count = MPMCQ_MAX_HELD_MAX + 1 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 3:
		req->ids = (unsigned long)ids;
		break;
	case 4:
		draw_garbage(w, req, sizeof(*req));
		req->flags |= 16;
		break;
	case 5:
		req->op = one_in(w, 2) ? 0 : 6 + draw(w, 1U << 31);
		break;
	case 7:
		req->op = MPMCQ_SETTLE_REVIVE;
		break;
	case 6:
		if (!(req->flags & MPMCQ_SETTLE_DELAY))
			req->delay_ms = 1U << draw(w, 32);
		break;
	}
}

static struct verdict verdict_of(const struct mpmcq_settle *req)
{
	static const enum fate fates[] = {
		[MPMCQ_SETTLE_NACK] = NACK, [MPMCQ_SETTLE_REJECT] = REJECT,
		[MPMCQ_SETTLE_TOUCH] = TOUCH, [MPMCQ_SETTLE_REVIVE] = REVIVE,
	};

	return (struct verdict){
		.fate = req->op < ARRAY_SIZE(fates) ? fates[req->op] : ACK,
		.flags = req->flags, .delay_ms = req->delay_ms,
	};
}

/* What was done has to be as many as were held, of @named, and the result according to it. */
static void check_done(struct worker *w, const char *name, const struct open_file *f, int ret,
		       __u32 done, __u32 held, __u32 named)
{
	bool exact = !f->queue->timed && !f->pooled;
	const struct expected e = { .min = exact ? held : 0, .max = f->pooled ? named : held };

	returned(w, name, done, &e);
	has_to(w, name, ret, done < named ? -ENOENT : 0);
}

/* Nothing is done if any of the ids, or @done, cannot be had. */
void call_settle(struct worker *w)
{
	static const char *const names[] = {
		[ACK] = "ioctl: ACK", [NACK] = "ioctl: NACK", [REJECT] = "ioctl: REJECT",
		[TOUCH] = "ioctl: TOUCH", [REVIVE] = "ioctl: SETTLE_REVIVE",
	};
	int i = draw_leased_file(w), ret, faults = 0;
	struct open_file *f = open_file(w, i);
	bool exact = !f->queue->timed && !f->pooled, cut_off, all;
	__u32 n = one_in(w, 16) ? 1 + draw(w, BATCH) : 1 + draw(w, 4), j, held, done;
	__u64 *ids = w->arena->ids;
	struct mpmcq_settle req;
	struct verdict verdict;
	struct expected e;
	const char *name;
	struct args a;

	for (j = 0; j < n; j++)
		ids[j] = draw_id(w, f);
	draw_settle(w, &req, f, ids, n);
	all = req.flags & MPMCQ_SETTLE_ALL;
	verdict = verdict_of(&req);
	name = names[verdict.fate];
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), exact);
	cut_off = exact && !all && one_in(w, 16);
	if (cut_off) {
		req.size = sizeof(req);
		req.ids = cut_off_ids(w, ids, draw(w, n));
		a = (struct args){ .at = (unsigned char *)&req, .refusal = NOTHING };
	}
	e = a.refusal;
	check_settle(&req, f, &e);
	if (!e.errors && (a.read_only || cut_off))
		may_fail(&e, -EFAULT);
	if (e.errors) {
		ret = call_args(w, w->files.fd[i], MPMCQ_IOC_SETTLE, &a);
		returned(w, name, ret, &e);
		return;
	}

	held = all ? f->held.n : count_held(f, ids, n, verdict.fate);
	may_return(&e, 0, 0);
	may_fail(&e, -ENOENT);
	if (verdict.fate != TOUCH && all)
		let_all_go(w->world, f);
	else if (verdict.fate != TOUCH)
		let_named_go(w, f, ids, n);
	ret = call_args(w, w->files.fd[i], MPMCQ_IOC_SETTLE, &a);
	if (!returned(w, name, ret, &e))
		return;
	memcpy(&done, a.at + offsetof(struct mpmcq_settle, done), sizeof(done));
	check_done(w, name, f, ret, done, held, all ? done : n);
	if (verdict.fate == TOUCH)
		return;
	if (all)
		faults = end_all_leases(w->world, f, verdict);
	else
		faults = end_named(w, f, ids, n, f->queue->timed ? n : done, verdict);
	tell_faults(w, name, ret, faults);
}

void call_dead(struct worker *w)
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
	ret = call_args(w, w->files.fd[i], revive ? MPMCQ_IOC_REVIVE : MPMCQ_IOC_PURGE, &a);
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
