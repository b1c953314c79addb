// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packed writes
 */
#include "fuzz.h"

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

void pack_message(struct worker *w, struct batch *b, const struct open_file *f, __u32 len)
{
	const struct message m = {
		.len = len, .producer = w->id, .number = w->number++,
		.priority = draw_priority(w, f->queue),
		.delay_ms = one_in(w, 2) ? draw_delay(w, f->queue) : 0,
	};
	unsigned char *to = w->arena->msg + (b->n ? b->of[b->n - 1].end : 0);
	__u32 space = space_by(f, len);
	struct mpmcq_msg msg;

	/* What is ignored in a header may be anything. */
	memset(&msg, JUNK, sizeof(msg));
	msg.len = len;
	msg.flags = 0;
	msg.priority = m.priority;
	msg.delay_ms = m.delay_ms;
	memset(to, JUNK, space);
	memcpy(to, &msg, sizeof(msg));
	write_message(to + header_size(f), len, w->id, m.number);
	b->of[b->n].m = m;
	b->of[b->n].end = to + space - w->arena->msg;
	b->n++;
}

/* Makes one of the messages malformed, and perhaps the last the shorter; the bytes left. */
static size_t spoil_batch(struct worker *w, struct batch *b, const struct queue *q)
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
		if (one_in(w, 2))
			msg.flags = 1U << draw(w, 16);
		else
			msg.priority = q->like.levels + draw(w, 256 - q->like.levels);
		break;
	case 2:
		if (q->like.flags & MPMCQ_DELAY) {
			msg.flags = 1;
			break;
		}
		msg.delay_ms = 1U << draw(w, 32);
		break;
	case 3:
		msg.len = q->like.msg_size + 1 + draw(w, 64);
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

size_t draw_batch(struct worker *w, const struct open_file *f)
{
	const struct queue *q = f->queue;
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
		if ((b->n ? b->of[b->n - 1].end : 0) + space_by(f, len) > PACKED_MAX)
			break;
		pack_message(w, b, f, len);
	}
	b->good = b->n;
	if (b->n && one_in(w, 6))
		return spoil_batch(w, b, q);
	if (!b->n)
		may_fail(&b->wrong, -EINVAL);
	return b->n ? b->of[b->n - 1].end : 0;
}

int messages_in(const struct batch *b, ssize_t bytes)
{
	__u32 i;

	if (bytes <= 0)
		return 0;
	for (i = 0; i < b->good; i++)
		if (b->of[i].end == bytes)
			return i + 1;
	return -1;
}
