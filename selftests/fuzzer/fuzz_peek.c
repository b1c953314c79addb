// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peeking
 */
#include <stddef.h>

#include "fuzz.h"

void remember_seq(struct worker *w, __u64 seq)
{
	w->seqs[w->seqs_seen++ % STALE] = seq;
}

/* A name of a message that is there, was there, is elsewhere, or never was. */
static __u64 draw_seq(struct worker *w, const struct list *list)
{
	__u32 kind = draw(w, 4), which = draw(w, 1U << 30);
	__u64 random = (__u64)draw(w, 1U << 31) << 32 | which;

	if (kind < 2 && list->n && at(list, which % list->n)->seq)
		return at(list, which % list->n)->seq;
	if (kind < 3 && w->seqs_seen)
		return w->seqs[which % (w->seqs_seen < STALE ? w->seqs_seen : STALE)];
	return random | 1ULL << 62;
}

/* Mostly where there is a message, if that is known. */
static __u32 draw_where(struct worker *w, const struct list *const *lists)
{
	__u32 where = 1 + draw(w, MPMCQ_PEEK_PARKED), i;

	if (one_in(w, 4))
		return where;
	for (i = 0; i < MPMCQ_PEEK_PARKED && !lists[where]->n; i++)
		where = where % MPMCQ_PEEK_PARKED + 1;
	return where;
}

/* How many of its level are before a message. */
static __u32 position_of(const struct list *list, const struct message *m)
{
	__u32 position = 0;
	const struct message *other;

	for (other = at(list, 0); other < m; other++)
		position += other->priority == m->priority;
	return position;
}

static void draw_place(struct worker *w, const struct queue *q, const struct list *list,
		       struct mpmcq_peek *p)
{
	bool ready = p->where == MPMCQ_PEEK_READY, far = one_in(w, 8);
	const struct message *m = list->n ? at(list, draw(w, list->n)) : NULL;

	if (!m || one_in(w, 4))
		p->position = draw(w, far ? 2 * q->like.capacity : 2);
	else
		p->position = ready ? position_of(list, m) : m - at(list, 0);
	if (ready)
		p->priority = m && !one_in(w, 4) ? m->priority : draw_priority(w, q);
}

static void draw_peek(struct worker *w, const struct queue *q, struct mpmcq_peek *p)
{
	const struct list *const lists[] = {
		[MPMCQ_PEEK_READY] = &q->ready, [MPMCQ_PEEK_RETURNED] = &q->returned,
		[MPMCQ_PEEK_DEAD] = &q->dead, [MPMCQ_PEEK_PARKED] = &q->parked,
	};
	__u64 seq;

	*p = (struct mpmcq_peek){ .where = draw_where(w, lists) };
	seq = draw_seq(w, lists[p->where]);
	draw_place(w, q, lists[p->where], p);
	if (one_in(w, 2)) {
		p->flags = p->where == MPMCQ_PEEK_PARKED && one_in(w, 2) ? MPMCQ_PEEK_NEXT :
									    MPMCQ_PEEK_SEQ;
		p->seq = seq;
	}
	if (p->flags || p->where == MPMCQ_PEEK_PARKED)
		p->position = 0;
	switch (draw(w, 64)) {
	case 0:
		p->where = one_in(w, 2) ? 0 : MPMCQ_PEEK_PARKED + 1 + draw(w, 1U << 31);
		break;
	case 1:
		p->flags ^= 1U << draw(w, 32);
		break;
	case 2:
		p->position ^= 1U << draw(w, 32);
		break;
	case 3:
		p->priority = draw(w, 8);
		break;
	case 4:
		p->seq = p->seq ? 0 : seq;
		break;
	case 5:
		draw_garbage(w, p, sizeof(*p));
		break;
	}
	memset(&p->found, JUNK, sizeof(*p) - offsetof(struct mpmcq_peek, found));
}

/* Where the message is to go; of that so many bytes are accessible. */
static void draw_peek_buffer(struct worker *w, const struct queue *q, struct mpmcq_peek *p,
			     __u32 *there)
{
	const __u32 lengths[] = {
		0, 1, sizeof(struct record), 1 + draw(w, q->like.msg_size), q->like.msg_size,
		q->like.msg_size + draw(w, 64), UINT32_MAX,
	};
	static const enum view views[] = { GOOD, GOOD, GOOD, FRESH, READ_ONLY };
	enum view view = draw_of(w, views);
	struct arena *a = w->arena;
	unsigned char *at = a->view[view];

	p->buf_len = draw_of(w, lengths);
	memset(a->view[GOOD], JUNK, q->like.msg_size + 2 * MARGIN);
	*there = view == READ_ONLY ? 0 : UINT32_MAX;
	if (one_in(w, 8)) {
		*there = draw(w, 64);
		at = a->text_end - *there;
	} else if (view == FRESH) {
		madvise(a->view[FRESH], a->size, MADV_DONTNEED);
	}
	p->buf = (unsigned long)at;
}

/* What came back: all that was to be filled in, or, if there is none, nothing. */
static void check_peeked(struct worker *w, struct queue *q, const struct mpmcq_peek *asked,
			 const struct sight *sight, int ret, const unsigned char *at)
{
	const size_t in = offsetof(struct mpmcq_peek, found);
	struct mpmcq_peek got;
	const unsigned char *data;
	const char *wrong;
	char text[64];

	memcpy(&got, at, sizeof(got));
	data = (void *)(unsigned long)(ret || !got.buf_len ? 0 : got.buf);
	if (memcmp(&got, asked, in))
		complain(w, "ioctl: PEEK", ret, ", and has changed what was asked");
	if (ret && ret != -EMSGSIZE) {
		if (memcmp(&got, asked, sizeof(got)))
			complain(w, "ioctl: PEEK", ret, ", and has filled something in");
		return;
	}
	wrong = misseen(w->world, q, &got, sight, data);
	snprintf(text, sizeof(text), ", and %s is wrong", wrong ? wrong : "nothing");
	if (wrong)
		complain(w, "ioctl: PEEK", ret, text);
	if (data == w->arena->view[GOOD] && !is_junk(data + got.len, MARGIN))
		complain(w, "ioctl: PEEK", ret, ", and has written beyond the message");
	remember_seq(w, got.found);
}

void call_peek(struct worker *w)
{
	int i = draw_file(w), ret;
	struct open_file *f = open_file(w, i);
	struct queue *q = f->queue;
	struct mpmcq_peek req;
	struct sight sight;
	struct expected e;
	struct args a;
	__u32 there;
	bool valid;

	draw_peek(w, q, &req);
	draw_peek_buffer(w, q, &req, &there);
	a = lay_out_args(w, &req, sizeof(req), MPMCQ_PEEK_SIZE_VER0, true);
	e = a.refusal;
	check_peek(&req, f, &e);
	valid = !e.errors;
	if (valid) {
		sight = look_at(q, &req);
		expect_peek(q, &req, &sight, there, &e);
	}
	/* If there is no message there is nothing to be filled in. */
	if (valid && a.read_only && sight.m)
		e = NOTHING;
	if (valid && a.read_only && (sight.m || sight.unknown)) {
		may_return(&e, 1, 0);
		may_fail(&e, -EFAULT);
	}
	ret = call_args(w, w->files.fd[i], MPMCQ_IOC_PEEK, &a);
	if (returned(w, "ioctl: PEEK", ret, &e) && valid && !a.read_only && ret != -EFAULT)
		check_peeked(w, q, &req, &sight, ret, a.at);
}
