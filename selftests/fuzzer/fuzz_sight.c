// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a peek finds, and whether what it shows is right
 */
#include <string.h>

#include "fuzz_expect.h"

void check_peek(const struct mpmcq_peek *p, const struct open_file *f, struct expected *e)
{
	bool ready = p->where == MPMCQ_PEEK_READY, parked = p->where == MPMCQ_PEEK_PARKED;
	bool named = p->flags == MPMCQ_PEEK_SEQ || (parked && p->flags == MPMCQ_PEEK_NEXT);

	if (!p->where || p->where > MPMCQ_PEEK_PARKED || (p->flags && !named) ||
	    p->priority >= (ready ? f->queue->like.levels : 1) ||
	    (named ? !p->seq : p->seq) || (p->position && (named || parked)))
		may_fail(e, -EINVAL);
	if (!readable(f))
		may_fail(e, -EBADF);
}

static struct list *list_of(struct queue *q, __u32 where)
{
	return where == MPMCQ_PEEK_READY ? &q->ready : where == MPMCQ_PEEK_RETURNED ? &q->returned :
	       where == MPMCQ_PEEK_DEAD ? &q->dead : &q->parked;
}

/* Whether messages that are alike may have changed places. */
static bool is_mixed(const struct queue *q, const struct message *m)
{
	return q->mixed && m->len < sizeof(struct record);
}

/* Whether it is known what is there, and in which order. */
static bool is_ordered(const struct queue *q, __u32 where)
{
	if (!q->exact)
		return false;
	if (where == MPMCQ_PEEK_DEAD)
		return !q->dead_vague;
	return where == MPMCQ_PEEK_PARKED || !(q->fuzzy || q->vague);
}

static struct message *seen_at(struct list *list, bool level, __u32 priority, __u32 position)
{
	__u32 i;

	for (i = 0; i < list->n; i++)
		if ((!level || at(list, i)->priority == priority) && !position--)
			return at(list, i);
	return NULL;
}

/* The place of the message of that name; -1 if there is none, -2 if there may be one. */
static int place_of(const struct queue *q, const struct list *list, __u64 seq)
{
	int place = -1;
	__u32 i;

	for (i = 0; i < list->n; i++) {
		const struct message *m = at(list, i);

		if (!m->seq || is_mixed(q, m))
			place = -2;
	}
	for (i = 0; i < list->n; i++)
		if (at(list, i)->seq == seq && !is_mixed(q, at(list, i)))
			place = i;
	return place;
}

struct sight look_at(struct queue *q, const struct mpmcq_peek *p)
{
	bool level = p->where == MPMCQ_PEEK_READY, next = p->flags & MPMCQ_PEEK_NEXT;
	struct list *list = list_of(q, p->where);
	struct sight sight = {};
	int place;

	if (!is_ordered(q, p->where))
		return (struct sight){ .unknown = true };
	if (!p->flags) {
		sight.m = seen_at(list, level, p->priority, p->position);
		return sight;
	}
	place = place_of(q, list, p->seq);
	sight.unknown = place == -2;
	sight.stale = next && place < 0;
	if (place >= 0 && next)
		sight.m = seen_at(list, false, 0, place + 1);
	else if (place >= 0 && (!level || at(list, place)->priority == p->priority))
		sight.m = at(list, place);
	return sight;
}

/* Whether a message may be written, or copied, to the buffer; or has to fail. */
static void expect_copy(const struct mpmcq_peek *p, __u32 len, __u32 there, struct expected *e)
{
	if (p->buf_len && len > p->buf_len)
		may_fail(e, -EMSGSIZE);
	else if (p->buf_len && len > there)
		may_fail(e, -EFAULT);
	else
		may_return(e, 0, 0);
}

void expect_peek(const struct queue *q, const struct mpmcq_peek *p, const struct sight *sight,
		 __u32 there, struct expected *e)
{
	if (sight->m) {
		expect_copy(p, sight->m->len, there, e);
		return;
	}
	if (sight->unknown || !sight->stale)
		may_fail(e, -ENOENT);
	if (p->flags & MPMCQ_PEEK_NEXT && (sight->unknown || sight->stale))
		may_fail(e, -ESTALE);
	if (!sight->unknown)
		return;
	expect_copy(p, 1, there, e);
	expect_copy(p, p->buf_len < q->like.msg_size ? p->buf_len : q->like.msg_size, there, e);
	expect_copy(p, q->like.msg_size, there, e);
	if (!q->exact)
		may_fail(e, -EAGAIN);
}

/* How long a message may yet have to wait that is parked. */
static bool has_delay(const struct world *world, const struct mpmcq_peek *p,
		      const struct message *m)
{
	__u64 gone_ms = (boottime() - world->began) / 1000000;

	if (p->where != MPMCQ_PEEK_PARKED)
		return !p->delay_ms;
	return !m || (p->delay_ms <= m->delay_ms && p->delay_ms + gone_ms >= m->delay_ms);
}

/* Which message it is that was copied, if it is one that was sent there. */
static bool is_sent(const struct world *world, const struct queue *q, const void *data, __u32 len,
		    struct message *m)
{
	struct record rec;

	*m = (struct message){ .len = len };
	if (len < sizeof(rec))
		return is_filled(data, len, len);
	if (!is_whole(data, len))
		return false;
	memcpy(&rec, data, sizeof(rec));
	m->producer = rec.producer;
	m->number = rec.number;
	return rec.producer < world->workers && rec.number < world->numbers &&
	       entry(world, m)->queue == q->serial && entry(world, m)->state != NOT_SENT;
}

/* What is true of any message there. */
static const char *implausible(const struct queue *q, const struct mpmcq_peek *p)
{
	__u32 max = q->like.max_deliveries;
	bool dead = p->where == MPMCQ_PEEK_DEAD;

	if (!p->len || p->len > q->like.msg_size)
		return "len";
	if (max && p->deliveries > max)
		return "deliveries";
	if (p->state & ~(dead ? 0 : MPMCQ_STATE_SUSPECT))
		return "state";
	if (!dead != !p->reason || p->reason > MPMCQ_REASON_DELIVERIES)
		return "reason";
	if (p->where == MPMCQ_PEEK_READY ? p->msg_priority != p->priority :
					   p->msg_priority >= q->like.levels)
		return "msg_priority";
	if (p->flags == MPMCQ_PEEK_SEQ && p->found != p->seq)
		return "found (not seq)";
	return NULL;
}

/* Whether it can be so old, and who sent it. */
static bool has_stamp(const struct world *world, const struct queue *q, const struct mpmcq_peek *p,
		      const struct message *m)
{
	bool known = m && !is_mixed(q, m);

	if (!(q->like.flags & MPMCQ_STAMP))
		return !p->age_ns && p->uid == NOBODY && p->gid == NOBODY;
	return p->uid == world->uid && p->gid == world->gid &&
	       p->age_ns <= boottime() - (known ? m->sent_from : world->began);
}

const char *misseen(struct world *world, const struct queue *q, const struct mpmcq_peek *p,
		    const struct sight *sight, const void *data)
{
	const char *wrong = implausible(q, p);
	struct message other = { .len = p->len }, *m = sight->m;

	if (wrong)
		return wrong;
	if (!has_delay(world, p, m))
		return "delay_ms";
	if (!has_stamp(world, q, p, m))
		return "age_ns, uid or gid";
	if (data && !is_sent(world, q, data, p->len, &other))
		return "the message (nobody's, or torn)";
	/* Of a queue that is not exact the name is known by the message. */
	if (!m)
		return data && !q->exact && !has_seq(world, q, &other, p->found) ? "found" : NULL;
	if (p->len != m->len)
		return "len";
	if (data && m->len >= sizeof(struct record) &&
	    (other.producer != m->producer || other.number != m->number))
		return "the message (another one)";
	if (!is_mixed(q, m) &&
	    (p->deliveries != m->deliveries || p->reason != m->reason ||
	     p->state != (m->suspect ? MPMCQ_STATE_SUSPECT : 0) || p->msg_priority != m->priority))
		return "deliveries, reason, state or msg_priority";
	return has_seq(world, q, m, p->found) ? NULL : "found";
}
