// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controls of the fuzzer: messages that are lost, repeated, torn, reordered, unknown, late or
 * labelled wrong.
 */

#include "control.h"

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
	will_send(self->world, self->q, message(1));
	not_sent(self->world, message(1));
	EXPECT_EQ(UNKNOWN, deliver(1, 20));
	other.serial++;
	will_send(self->world, &other, message(1));
	sent(self->world, &other, *message(1));
	EXPECT_EQ(UNKNOWN, deliver(1, 20));
}

TEST_F(control, failed_but_sent)
{
	will_send(self->world, self->q, message(1));
	deliver(1, 20);
	EXPECT_EQ(0, account(0));
	not_sent(self->world, message(1));
	EXPECT_EQ(UNKNOWN, account(0));
}

TEST_F(control, in_doubt)
{
	will_send(self->world, self->q, message(1));
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
	EXPECT_EQ(0, end_with(NACK, .flags = MPMCQ_SETTLE_FRONT));
	self->q->ready.n = 0;
	self->q->returned.n = 0;
	self->q->dead.n = 0;

	send(2, 20);
	send(3, 20);
	EXPECT_EQ(0, deliver(2, 20));
	EXPECT_EQ(0, end_with(NACK, .flags = MPMCQ_SETTLE_FRONT));
	EXPECT_EQ(if_exact(REORDERED), deliver(3, 20));
}

/* What came back without a call goes to a file that holds nothing, and is all it has. */
TEST_F(control, suspects)
{
	lease(MPMCQ_MODE_PACKED, 4);
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(CAME_BACK));
	EXPECT_EQ(if_exact(1), next_is_suspect(self->q));
	EXPECT_EQ(if_exact(1), next_may_be_suspect(self->q));
	EXPECT_FALSE(holds_suspect(self->f));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(if_exact(1), holds_suspect(self->f));
	EXPECT_FALSE(next_may_be_suspect(self->q));
	EXPECT_EQ(0, end_with(NACK, .flags = MPMCQ_SETTLE_FRONT));
	EXPECT_FALSE(next_may_be_suspect(self->q));
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
	/* This was none. */
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK, .flags = MPMCQ_SETTLE_UNTRIED));
	EXPECT_EQ(0, (int)end_dead(self->q, 1, true));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REJECT));
	EXPECT_EQ(if_exact(1), (int)end_dead(self->q, 0, false));
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, account(1));
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* Dead ones that are held are dead again, or gone, or sent again; and have a reason meanwhile. */
TEST_F(control, dead_and_held)
{
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REJECT));
	lease(MPMCQ_MODE_DEAD, 2);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(if_exact(1), (int)self->q->leased);
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20) & REORDERED);
	self->f->held.n = 1;
	entry_of(self->world, 0, 0)->out = 1;
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(CAME_BACK));
	EXPECT_EQ(0, (int)self->q->ready.n);
	EXPECT_EQ(if_exact(1), (int)self->q->dead.n);
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REVIVE));
	EXPECT_EQ(if_exact(1), next_is_suspect(self->q));
	EXPECT_EQ(0, (int)self->q->dead.n);
	lease(0, 2);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REJECT));
	lease(MPMCQ_MODE_DEAD, 2);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(ACK));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
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
		offsetof(struct mpmcq_msg, flags), offsetof(struct mpmcq_msg, priority),
		offsetof(struct mpmcq_msg, reason), offsetof(struct mpmcq_msg, delay_ms),
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

/* To read a dead message is no delivery, whoever holds it. */
TEST_F(control, packed_dead)
{
	__u32 space;
	int i;

	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(REJECT));
	lease(MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD, 2);
	for (i = 0; i < 2; i++) {
		space = pack_one(self, 0, 20, i ? 1 : 3);
		self->buf[offsetof(struct mpmcq_msg, reason)] = MPMCQ_REASON_REJECTED;
		EXPECT_EQ(i ? 0 : MISLABELLED, unpack(space));
		EXPECT_EQ(0, end_with(NACK));
	}
	space = pack_one(self, 0, 20, 1);
	EXPECT_EQ(MISLABELLED, unpack(space));
}

TEST_F(control, packed_levels)
{
	__u32 space;

	levels(2);
	lease(MPMCQ_MODE_PACKED, 2);
	send(0, 20, .priority = 1);
	space = pack_one(self, 0, 20, 1);
	EXPECT_EQ(MISLABELLED, unpack(space));
	send(1, 20, .priority = 1);
	space = pack_one(self, 1, 20, 1);
	self->buf[offsetof(struct mpmcq_msg, priority)] = 1;
	EXPECT_EQ(0, unpack(space));
	send(2, 5);
	space = pack_one(self, 0, 5, 1);
	self->buf[offsetof(struct mpmcq_msg, priority)] = 2;
	EXPECT_EQ(MISLABELLED, unpack(space) & MISLABELLED);
}

/* One packed message that was read with a long header. */
static __u32 pack_long(FIXTURE_DATA(control) * self, __u32 number, __u32 len, __u64 seq)
{
	struct mpmcq_meta meta = {
		.msg = { .len = len, .id = ++self->id }, .seq = seq, .uid = 65534, .gid = 65534,
	};

	if (self->q->like.flags & MPMCQ_STAMP) {
		meta.uid = geteuid();
		meta.gid = getegid();
	}
	memset(self->buf, 0, sizeof(self->buf));
	memcpy(self->buf, &meta, sizeof(meta));
	write_message(self->buf + sizeof(meta), len, 0, number);
	return MPMCQ_META_SPACE(len);
}

#define long_headers() ({ self->f->modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_META; })

TEST_F(control, meta)
{
	const int bad[] = {
		offsetof(struct mpmcq_meta, age_ns), offsetof(struct mpmcq_meta, uid),
		offsetof(struct mpmcq_meta, gid), offsetof(struct mpmcq_meta, state),
		offsetof(struct mpmcq_meta, reserved),
	};
	const __u64 bad_seqs[] = { 0, SEQ(0, 1), SEQ(1, 2), 5 };
	__u32 i, space;

	long_headers();
	for (i = 0; i <= ARRAY_SIZE(bad); i++) {
		send(0, 5);
		space = pack_long(self, 0, 5, SEQ(3, 1));
		if (i < ARRAY_SIZE(bad))
			self->buf[bad[i]] ^= 0x80;
		EXPECT_EQ(i < ARRAY_SIZE(bad) ? MISLABELLED : 0, unpack(space)) TH_LOG("%u", i);
	}
	for (i = 0; i < ARRAY_SIZE(bad_seqs); i++) {
		send(0, 5);
		EXPECT_EQ(MISLABELLED, unpack(pack_long(self, 0, 5, bad_seqs[i])));
	}
	send(0, 5);
	space = pack_long(self, 0, 5, SEQ(4, 1));
	self->buf[offsetof(struct mpmcq_meta, state)] = MPMCQ_STATE_SUSPECT;
	EXPECT_EQ(if_exact(MISLABELLED), unpack(space));
	EXPECT_EQ(MISLABELLED, unpack(space - 8));
}

/* A message keeps its name. */
TEST_F(control, names_of_messages)
{
	struct message m = { .number = 1, .len = 20 };

	will_send(self->world, self->q, &m);
	EXPECT_TRUE(has_seq(self->world, self->q, &m, SEQ(7, 0)));
	EXPECT_TRUE(has_seq(self->world, self->q, &m, SEQ(7, 0)));
	EXPECT_FALSE(has_seq(self->world, self->q, &m, SEQ(8, 0)));
	EXPECT_FALSE(has_seq(self->world, self->q, &m, SEQ(7, 1)));
}

#define age(ns) ({ \
	__u32 space_ = pack_long(self, 0, 20, SEQ(3, 1)); \
	__u64 age_ = ns; \
	memcpy(self->buf + offsetof(struct mpmcq_meta, age_ns), &age_, sizeof(age_)); \
	unpack(space_); })

TEST_F(control, ages)
{
	const __u64 ms = 1000000, hour = 3600000 * ms;
	__u64 now = boottime();

	long_headers();
	self->q->like.flags = MPMCQ_STAMP;
	self->world->began = now - hour;
	self->order.call_began = now - 10 * ms;
	send(0, 20, .sent_from = now - 40 * ms, .sent_to = now - 30 * ms);
	EXPECT_EQ(0, age(25 * ms));
	send(0, 20, .sent_from = now - 40 * ms, .sent_to = now - 30 * ms);
	EXPECT_EQ(if_exact(MISLABELLED), age(19 * ms) & MISLABELLED);
	send(0, 20, .sent_from = now - hour / 4, .sent_to = now - 30 * ms);
	EXPECT_EQ(if_exact(MISLABELLED), age(hour / 2) & MISLABELLED);
	send(0, 20, .sent_from = now - hour, .sent_to = now);
	EXPECT_EQ(MISLABELLED, age(2 * hour) & MISLABELLED);
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

TEST_F(control, the_end)
{
	bool exact = self->q->exact;

	is_closed();
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

TEST_F(control, levels)
{
	levels(3);
	send(0, 20, .priority = 1);
	send(1, 20, .priority = 2);
	EXPECT_EQ(0, deliver(1, 20));
	send(2, 20, .priority = 1);
	EXPECT_EQ(if_exact(REORDERED), deliver(2, 20));

	/* What came back is read first, and what is put at its end stays on its level. */
	self->q->ready.n = 0;
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	send(3, 20, .priority = 2);
	EXPECT_EQ(0, end_with(NACK, .flags = MPMCQ_SETTLE_FRONT));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* Of some first ones it is not known where they are: what passes them may be before or behind. */
TEST_F(control, levels_and_faults)
{
	levels(2);
	self->f->modes = MPMCQ_MODE_PACKED;
	send(0, 20);
	hand_back(self->q, false, true);
	send(1, 20);
	EXPECT_FALSE(self->q->vague);
	EXPECT_EQ(0, deliver(0, 20));
	send(2, 20, .priority = 1);
	EXPECT_EQ(if_exact(1), self->q->vague);
	EXPECT_EQ(0, deliver(1, 20));
	EXPECT_EQ(0, deliver(2, 20));
	EXPECT_FALSE(self->q->vague);
}

TEST_F(control, drop_by_level)
{
	const bool exact = self->q->exact;

	levels(3);
	self->q->like.flags = MPMCQ_DROP_OLDEST;
	send(0, 20, .priority = 1);
	send(1, 20, .priority = 2);
	EXPECT_EQ(!exact, judge(20, of_20_bytes));
	EXPECT_TRUE(judge(-EINTR, of_20_bytes));
	EXPECT_EQ(exact ? 0 : POLLOUT, ready_events(self->f, false) & POLLOUT);
	self->f->priority = 1;
	EXPECT_TRUE(judge(20, of_20_bytes));
	EXPECT_EQ(!exact, judge(-EINTR, of_20_bytes));
	EXPECT_EQ(POLLOUT, ready_events(self->f, false) & POLLOUT);
	send(2, 20, .priority = 1);
	EXPECT_EQ(0, deliver(1, 20));
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* What is parked takes room, is not read, is not dropped, and keeps the end away. */
TEST_F(control, delays)
{
	bool exact = self->q->exact;

	delays();
	send(0, 20, .delay_ms = 2 * HOUR);
	EXPECT_TRUE(judge(-EAGAIN, into_30_bytes));
	EXPECT_EQ(!exact, judge(20, into_30_bytes));
	EXPECT_EQ(exact ? 0 : POLLIN, ready_events(self->f, false) & POLLIN);
	send(1, 20, .delay_ms = HOUR);
	EXPECT_TRUE(judge(-EINTR, of_20_bytes));
	EXPECT_EQ(!exact, judge(20, of_20_bytes));
	self->q->like.flags |= MPMCQ_DROP_OLDEST;
	EXPECT_EQ(!exact, judge(20, of_20_bytes));
	is_closed();
	EXPECT_EQ(!exact, judge(0, into_30_bytes));
	EXPECT_TRUE(judge(-EAGAIN, into_30_bytes));
	EXPECT_EQ(exact ? 0 : POLLHUP, ready_events(self->f, false) & POLLHUP);
	make_all_due(self->q);
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(0, deliver(1, 20));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_TRUE(judge(0, into_30_bytes));
	EXPECT_EQ(0, account(0));
}

TEST_F(control, delayed_and_early)
{
	delays();
	send(0, 20, .delay_ms = HOUR);
	EXPECT_EQ(if_exact(REORDERED), deliver(0, 20));
}

/* The order is that of the times, and equal ones as they were sent. */
TEST_F(control, delays_in_order)
{
	delays();
	send(0, 20, .delay_ms = HOUR);
	send(1, 20, .delay_ms = HOUR);
	make_all_due(self->q);
	EXPECT_EQ(if_exact(REORDERED), deliver(1, 20));
}

/* Longer each time, up to a limit; and at once by FRONT or UNTRIED, or as DELAY says. */
TEST_F(control, retries)
{
	delays();
	lease(0, 2);
	self->q->like.retry_ms = HOUR;
	self->q->like.retry_max_ms = 3 * HOUR;
	self->q->like.max_deliveries = 0;
#define retried(...) ({ \
	EXPECT_EQ(0, deliver(0, 20)); \
	EXPECT_EQ(0, end_with(NACK, __VA_ARGS__)); \
	self->q->parked.n ? at(&self->q->parked, 0)->delay_ms : 0; })

	send(0, 20);
	EXPECT_EQ(if_exact(HOUR), (int)retried());
	make_all_due(self->q);
	self->q->all_due = false;
	EXPECT_EQ(0, retried(.flags = MPMCQ_SETTLE_FRONT));
	EXPECT_EQ(0, retried(.flags = MPMCQ_SETTLE_UNTRIED));
	EXPECT_EQ(0, retried(.flags = MPMCQ_SETTLE_DELAY));
	EXPECT_EQ(if_exact(3 * HOUR), (int)retried());
	make_all_due(self->q);
	/* As long as the queue is closed so nothing waits. */
	EXPECT_EQ(0, retried());
	self->q->all_due = false;
	EXPECT_EQ(if_exact(5), (int)retried(.flags = MPMCQ_SETTLE_DELAY, .delay_ms = 5));
}

TEST_HARNESS_MAIN
