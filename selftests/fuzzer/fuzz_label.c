// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands in front of the messages of packed reads.
 */

#include "fuzz_model.h"

/* Notes that a delivery has that id; false if another had it. */
static bool is_new_id(struct world *world, const struct queue *q, __u64 id)
{
	__u64 key = ((__u64)q->serial << 48) + id + 1, old;
	__u32 i = (key * 0x9e3779b97f4a7c15ULL >> 32) % world->ids_size, tries;

	for (tries = 0; tries < 64; tries++, i = (i + 1) % world->ids_size) {
		old = 0;
		if (__atomic_compare_exchange_n(&world->ids[i], &old, key, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
		if (old == key)
			return false;
	}
	return true;
}

/* Whether a header and padding may stand around that message. */
static bool is_labelled(struct world *world, const struct open_file *f, const struct mpmcq_msg *msg,
			const void *padding, const struct message *m)
{
	static const unsigned char zeros[8];
	__u32 kept = has_mode(f, MPMCQ_MODE_LEASE) && !has_mode(f, MPMCQ_MODE_DEAD);
	__u32 max = f->queue->like.max_deliveries;

	if (msg->flags || msg->delay_ms || !is_new_id(world, f->queue, msg->id))
		return false;
	if (is_short(m) ? msg->priority >= f->queue->like.levels :
			  msg->priority != entry(world, m)->priority)
		return false;
	if (memcmp(padding, zeros, MPMCQ_MSG_SPACE(m->len) - sizeof(*msg) - m->len))
		return false;
	if (!has_mode(f, MPMCQ_MODE_DEAD) != !msg->reason || msg->reason > MPMCQ_REASON_DELIVERIES)
		return false;
	if (f->queue->exact && !(f->queue->mixed && is_short(m)))
		return msg->deliveries == m->deliveries + kept && msg->reason == m->reason &&
		       msg->priority == m->priority;
	return msg->deliveries >= kept && (!max || msg->deliveries <= max);
}

bool has_seq(struct world *world, const struct queue *q, struct message *m, __u64 seq)
{
	__u64 *known = q->exact ? &m->seq : &entry(world, m)->seq, none = 0;

	if (!(seq >> SEQ_SHIFT) || (seq & ((1 << SEQ_SHIFT) - 1)) >= q->like.capacity)
		return false;
	if (is_short(m) && (q->mixed || !q->exact))
		return true;
	return __atomic_compare_exchange_n(known, &none, seq, false, __ATOMIC_RELAXED,
					   __ATOMIC_RELAXED) || none == seq;
}

/* Whether a message that is read can be so old. */
static bool has_age(const struct world *world, const struct order *order, const struct queue *q,
		    const struct message *m, __u64 age)
{
	bool known = q->exact && !(q->mixed && is_short(m));

	if (!(q->like.flags & MPMCQ_STAMP))
		return !age;
	/* Read from call_began to now, and sent from sent_from to sent_to. */
	return age <= boottime() - (known ? m->sent_from : world->began) &&
	       (!known || age + m->sent_to >= order->call_began);
}

/* Whether what a long header tells beyond the short one may be so. */
static bool is_described(struct world *world, const struct open_file *f, const struct order *order,
			 const struct mpmcq_meta *meta, struct message *m)
{
	const struct queue *q = f->queue;
	bool stamped = q->like.flags & MPMCQ_STAMP, suspect = meta->state & MPMCQ_STATE_SUSPECT;

	if (meta->state & ~MPMCQ_STATE_SUSPECT || meta->reserved)
		return false;
	if (q->exact && !(q->mixed && is_short(m)) && suspect != m->suspect)
		return false;
	return has_seq(world, q, m, meta->seq) && has_age(world, order, q, m, meta->age_ns) &&
	       meta->uid == (stamped ? world->uid : NOBODY) &&
	       meta->gid == (stamped ? world->gid : NOBODY);
}

int arrived_packed(struct world *world, struct open_file *f, struct order *order,
		   const unsigned char *buf, __u32 len, __u64 *ids, __u32 *n)
{
	const __u32 header = header_size(f);
	struct mpmcq_meta meta;
	struct message m;
	int faults = 0;

	for (*n = 0; len; ++*n) {
		const struct mpmcq_msg *msg = &meta.msg;

		if (len < header)
			return faults | MISLABELLED;
		memcpy(&meta, buf, header);
		if (!msg->len || msg->len > f->queue->like.msg_size || space_by(f, msg->len) > len)
			return faults | MISLABELLED;
		faults |= arrived(world, f, order, buf + header, msg->len, &m);
		if (faults & (TORN | UNKNOWN))
			return faults;
		if (!is_labelled(world, f, msg, buf + header + msg->len, &m) ||
		    (has_mode(f, MPMCQ_MODE_META) && !is_described(world, f, order, &meta, &m)))
			faults |= MISLABELLED;
		m.id = msg->id;
		ids[*n] = msg->id;
		faults |= delivered(world, f, m);
		buf += space_by(f, msg->len);
		len -= space_by(f, msg->len);
	}
	return faults;
}
