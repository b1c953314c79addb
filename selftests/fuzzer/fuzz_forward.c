// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forwarding: what one file holds goes to another queue, or to the end of its own
 */
#include <stddef.h>

#include "fuzz.h"

/* Mostly one that holds a message of which the id is known. */
static int draw_holder(struct worker *w)
{
	int i, j, from = draw_leased_file(w);

	if (one_in(w, 8))
		return from;
	for (i = 0; i < OWN; i++) {
		j = (from + i) % OWN;
		if (open_file(w, j)->held.n && at(&open_file(w, j)->held, 0)->id)
			return j;
	}
	return from;
}

static int draw_target(struct worker *w)
{
	int i = draw_file(w);

	return writable(open_file(w, i)) ? i : draw_file(w);
}

/* The message itself stays in what is known only if nobody else uses either queue. */
static bool may_go_itself(const struct open_file *f, const struct open_file *to)
{
	return f->queue->exact && to->queue->exact;
}

/* A new payload in @m, which is this worker's next message; of that so much is accessible. */
static __u32 draw_payload(struct worker *w, const struct queue *q, struct mpmcq_forward *fw,
			  struct message *m)
{
	struct arena *a = w->arena;
	bool bad = one_in(w, 8), outside = one_in(w, 2);
	__u32 len = draw_length(w, q->like.msg_size, true), there = len;
	unsigned char *at = a->view[GOOD];

	*m = (struct message){ .len = len, .producer = w->id, .number = w->number++ };
	if (len && len <= q->like.msg_size)
		write_message(at, len, w->id, m->number);
	if (bad && outside) {
		at = a->hole;
		there = 0;
	} else if (bad) {
		there = draw(w, len < 64 ? len + 1 : 64);
		at = memcpy(a->text_end - there, at, there);
	}
	fw->buf = (unsigned long)at;
	fw->len = len;
	return there;
}

/* Makes the arguments wrong. */
static void spoil_forward(struct worker *w, struct mpmcq_forward *fw)
{
	switch (draw(w, 4)) {
	case 0:
		fw->flags = 1U << draw(w, 32);
		break;
	case 1:
		if (fw->buf)
			fw->len = 0;
		else
			fw->len = 1 + draw(w, 100);
		break;
	case 2:
		if (fw->buf)
			fw->len = 65537 + draw(w, 2) * draw(w, 1U << 31);
		break;
	default:
		fw->flags = 1 + draw(w, 255);
		fw->len = draw(w, 2);
		fw->buf = draw(w, 2);
	}
}

/* A descriptor to which nothing is forwarded, and why. */
static int draw_wrong_fd(struct worker *w, struct expected *e)
{
	const struct { int fd, error; } wrong[] = {
		{ -1, -EBADF }, { INT_MAX, -EBADF }, { w->files.dir[0], -EBADF },
		{ w->arena->file, -EINVAL }, { w->mail[0], -EINVAL },
	};
	__u32 i = draw(w, ARRAY_SIZE(wrong));

	may_fail(e, wrong[i].error);
	return wrong[i].fd;
}

/* What goes where. */
struct route {
	struct open_file *from;
	struct open_file *to;
	int held;		/* place of the message among those held, -1 if it is not */
	bool itself;		/* without a new payload */
	struct message m;	/* as it will be */
};

/* What was forwarded is another message from now on. */
static void has_forwarded(struct worker *w, struct route *route, __u64 seq)
{
	struct queue *to = route->to->queue;
	bool here = to == route->from->queue && route->held >= 0;
	__u64 old = here ? at(&route->from->held, route->held)->seq : 0;
	struct message *m = &route->m;
	int faults = 0;

	m->seq = 0;
	if (seq == old || !has_seq(w->world, to, m, seq))
		complain(w, "ioctl: FORWARD", 0, ", and seq names no new message");
	m->sent_from = w->order.call_began;
	m->sent_to = boottime();
	if (route->held < 0) {
		sent(w->world, to, *m);
	} else {
		let_go(w->world, route->from->queue, at(&route->from->held, route->held));
		faults = forwarded(w->world, route->from, route->held, to, *m, route->itself);
	}
	tell_faults(w, "ioctl: FORWARD", 0, faults);
	remember_seq(w, seq);
	if (route->from->queue->exact)
		turn(route->from->queue);
	if (to->exact)
		turn(to);
}

/* As of a write to file @i. */
static struct request request_of(struct worker *w, int i)
{
	const struct open_file *to = open_file(w, i);

	return (struct request){
		.file = to, .write = true, .reopened = load(&to->queue->reopened),
		.may_refuse = i >= OWN || to->nonblock, .may_wait = i >= OWN || !to->nonblock,
	};
}

/* Draws what goes where. */
static struct route draw_route(struct worker *w, int i, int j, struct mpmcq_forward *fw,
			       __u32 *there)
{
	struct route r = { .from = open_file(w, i), .to = open_file(w, j) };
	const struct queue *q = r.to->queue;
	bool new = one_in(w, 2);

	fw->id = draw_id(w, r.from);
	r.held = find_held(r.from, fw->id);
	r.itself = !new && r.held >= 0 && may_go_itself(r.from, r.to);
	if (r.itself)
		r.m = *at(&r.from->held, r.held);
	else
		*there = draw_payload(w, q, fw, &r.m);
	fw->priority = one_in(w, 32) ? q->like.levels + draw(w, 1U << 31) : draw_priority(w, q);
	fw->delay_ms = one_in(w, 3) ? draw_delay(w, q) : 0;
	if (!(q->like.flags & MPMCQ_DELAY) && one_in(w, 32))
		fw->delay_ms = 1U << draw(w, 32);
	r.m.priority = fw->priority;
	r.m.delay_ms = fw->delay_ms;
	r.m.deliveries = 0;
	r.m.suspect = false;
	r.m.reason = 0;
	r.m.id = 0;
	return r;
}

/* What is wrong before the messages are looked at. */
static void expect_refusal(const struct route *route, const struct mpmcq_forward *fw, __u32 there,
			   bool read_only, struct expected *e)
{
	check_forward(fw, e);
	if (read_only || (fw->buf && there < fw->len))
		may_fail(e, -EFAULT);
	if (!readable(route->from) || !writable(route->to))
		may_fail(e, -EBADF);
}

/* Where there was an error the call names nothing. */
static void check_no_seq(struct worker *w, int ret, __u64 seq, __u64 before)
{
	if (seq && seq != before)
		complain(w, "ioctl: FORWARD", ret, ", and seq names something");
}

static struct forwarding forwarding_of(const struct route *route, const struct mpmcq_forward *fw,
				       struct request request)
{
	const struct open_file *from = route->from;

	return (struct forwarding){
		.to = route->to, .args = fw, .from = from->queue,
		.held = route->held < 0 ? NULL : at(&from->held, route->held),
		.uncertain = from->pooled || from->queue->timed,
		.request = request,
	};
}

/* Makes the call by file @i; what it may return is added to @e if it was not refused before. */
static int forward(struct worker *w, int i, const struct route *route,
		   const struct forwarding *forwarding, const struct args *a, struct expected *e)
{
	bool refused = e->errors, exact = route->to->queue->exact;
	int ret;

	if (!route->itself)
		will_send(w->world, route->to->queue, &route->m);
	if (!refused && exact)
		expect_forward(forwarding, e);
	start_timers(w);
	ret = call_args(w, w->files.fd[i], MPMCQ_IOC_FORWARD, a);
	if (!refused && !exact)
		expect_forward(forwarding, e);
	if (ret && !route->itself)
		not_sent(w->world, &route->m);
	return ret;
}

void call_forward(struct worker *w)
{
	int i = draw_holder(w), j = draw_target(w), ret;
	struct mpmcq_forward fw = { .fd = w->files.fd[j] };
	struct expected e, wrong_fd = NOTHING;
	struct forwarding forwarding;
	struct route route;
	struct args a;
	__u32 there = 0;
	__u64 seq;

	if (w->number + BATCH > w->world->numbers)
		return;
	route = draw_route(w, i, j, &fw, &there);
	memset(&fw.seq, JUNK, sizeof(fw.seq));
	if (one_in(w, 16))
		spoil_forward(w, &fw);
	if (one_in(w, 16))
		fw.fd = draw_wrong_fd(w, &wrong_fd);
	a = lay_out_args(w, &fw, sizeof(fw), MPMCQ_FORWARD_SIZE_VER0, true);
	e = a.refusal;
	expect_refusal(&route, &fw, there, a.read_only, &e);
	if (wrong_fd.errors)
		may_fail(&e, wrong_fd.error[0]);
	forwarding = forwarding_of(&route, &fw, request_of(w, j));
	ret = forward(w, i, &route, &forwarding, &a, &e);
	if (!returned(w, "ioctl: FORWARD", ret, &e) || a.refusal.errors)
		return;
	memcpy(&seq, a.at + offsetof(struct mpmcq_forward, seq), sizeof(seq));
	if (ret)
		check_no_seq(w, ret, seq, fw.seq);
	else
		has_forwarded(w, &route, seq);
}
