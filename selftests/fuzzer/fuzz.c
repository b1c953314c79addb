// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random calls on queues, by several threads and processes, with buffers and structs good
 * and bad, interrupted by signals and ended by SIGKILL; on the default queue, on queues in
 * an mpmcqfs that all workers use, and on queues that each worker makes and removes, there,
 * in mounts of its own or without a name.  Each result has to be one that the call may have
 * there and then, every message arrives whole, in order and as often as it may, and in the
 * end the account of each queue adds up, each slot can still be filled, and no mount is busy.
 *
 * All mounts are in a mount namespace of the test's own, and in the last variant in a user
 * namespace, too.
 *
 * MPMCQ_FUZZ_CALLS is how many calls each test makes (default 10000).  Each test
 * tells its seed; with MPMCQ_FUZZ_SEED set to it every worker makes the same calls
 * again, but for what depends on what others did.  How they interleave may differ.
 * A worker predicts its own queues exactly, and if it is alone the default queue,
 * too; then what depends on the time is left out, and a replay is the same.  The
 * results of what others use as well are judged by what those may do.
 *
 * The control_ tests feed the judgement with faults.
 */

#include <poll.h>
#include <stddef.h>
#include <sys/random.h>

#include "fuzz.h"
#include "mpmcq_test.h"

/*
 * The controls: what a bad queue would do is told.
 */
FIXTURE(control)
{
	struct world *world;
	struct queue *q;
	struct open_file *f;
	struct order order;
	unsigned char buf[256];
	__u64 id;		/* of the last delivery */
};

FIXTURE_VARIANT(control)
{
	int workers;
};

FIXTURE_VARIANT_ADD(control, exact) { .workers = 1 };
FIXTURE_VARIANT_ADD(control, crowd) { .workers = 2 };

FIXTURE_SETUP(control)
{
	self->world = new_world(variant->workers, 4);
	self->q = share(sizeof(*self->q));
	self->f = share(sizeof(*self->f));
	ASSERT_TRUE(self->world && self->q && self->f);
	ASSERT_TRUE(list_init(&self->q->ready, 2) && list_init(&self->q->returned, 2) &&
		    list_init(&self->q->dead, 2) && list_init(&self->q->parked, 2) &&
		    list_init(&self->f->held, 2));
	self->q->like = (struct mpmcq_create){
		.capacity = 2, .msg_size = 64, .max_deliveries = 2, .levels = 1,
	};
	self->q->exact = variant->workers == 1;
	self->q->ordered = true;
	begin_queue(self->world, self->q);
	self->q->named = true;
	self->q->number = 7;
	opened(self->f, self->q, O_RDWR, 0, 0);
}

FIXTURE_TEARDOWN(control)
{
}

static int deliver_one(FIXTURE_DATA(control) * self, __u32 number, __u32 len)
{
	struct message m;
	int faults;

	write_message(self->buf, len, 0, number);
	faults = arrived(self->world, self->f, &self->order, self->buf, len, &m);
	m.id = ++self->id;
	return faults & (TORN | UNKNOWN) ? faults : faults | delivered(self->world, self->f, m);
}

static void send_one(FIXTURE_DATA(control) * self, struct message m)
{
	will_send(self->world, self->q, &m);
	sent(self->world, self->q, m);
}

#define send(number_, len_, ...) \
	send_one(self, (struct message){ .number = number_, .len = len_, __VA_ARGS__ })

#define message(number_)	(&(struct message){ .number = number_, .len = 20 })
#define deliver(number, len)	deliver_one(self, number, len)
#define account(unseen)	balance(self->world, self->q, 0, self->world->workers, unseen)

/* A fault that only an exact prediction tells. */
#define if_exact(fault)		(self->q->exact ? (fault) : 0)

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

#define lease(modes_, max) ({ \
	self->f->modes = MPMCQ_MODE_LEASE | (modes_); \
	self->f->max_held = max; \
	self->q->ordered = false; })

#define levels(n)	({ self->q->like.levels = n; self->q->ordered = false; })

/* What the reader says of the only message that it holds. */
#define end_with(fate_, ...) ({ \
	let_all_go(self->world, self->f); \
	end_all_leases(self->world, self->f, (struct verdict){ .fate = fate_, __VA_ARGS__ }); })

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

#define SEQ(generation, slot)	((__u64)(generation) << SEQ_SHIFT | (slot))

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

#define judge(ret, ...) ({ \
	const struct request r = { .file = self->f, __VA_ARGS__ }; \
	const struct expected e = expect(&r); \
	as_expected(&e, ret); })

#define is_closed() ({ \
	self->q->closed = true; \
	increment(&self->q->closings); })

TEST_F(control, write_results)
{
	bool crowd = !self->q->exact;

#define of_20_bytes .write = true, .total = 20, .there = 20, .may_wait = true
	EXPECT_TRUE(judge(20, of_20_bytes));
	EXPECT_FALSE(judge(19, of_20_bytes));
	EXPECT_FALSE(judge(21, of_20_bytes));
	EXPECT_FALSE(judge(0, of_20_bytes));
	EXPECT_FALSE(judge(-EFAULT, of_20_bytes));
	EXPECT_FALSE(judge(-EMSGSIZE, of_20_bytes));
	EXPECT_FALSE(judge(-EINVAL, of_20_bytes));
	EXPECT_FALSE(judge(-ERANGE, of_20_bytes));
	EXPECT_FALSE(judge(-EAGAIN, of_20_bytes));
	EXPECT_FALSE(judge(-EPIPE, of_20_bytes));
	EXPECT_EQ(crowd, judge(-EINTR, of_20_bytes));
	EXPECT_TRUE(judge(-EFAULT, of_20_bytes, .flaky = true));
	EXPECT_TRUE(judge(20, of_20_bytes, .flaky = true));

	EXPECT_FALSE(judge(20, .write = true, .total = 20, .there = 19));
	EXPECT_TRUE(judge(-EFAULT, .write = true, .total = 20, .there = 19));
	EXPECT_FALSE(judge(65, .write = true, .total = 65, .there = 65));
	EXPECT_TRUE(judge(-EMSGSIZE, .write = true, .total = 65, .there = 65));
	EXPECT_FALSE(judge(-EMSGSIZE, .write = true, .total = 64, .there = 64));
	EXPECT_TRUE(judge(-EINVAL, .write = true));
	EXPECT_FALSE(judge(0, .write = true));
	EXPECT_TRUE(judge(0, .write = true, .vector = true));

	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(judge(-EAGAIN, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_FALSE(judge(-EINTR, .write = true, .total = 1, .there = 1, .may_refuse = true));
	EXPECT_TRUE(judge(-EINTR, of_20_bytes));
	EXPECT_FALSE(judge(-ECANCELED, of_20_bytes));
	EXPECT_TRUE(judge(-ECANCELED, of_20_bytes, .cancelled = true));
	EXPECT_EQ(crowd, judge(20, of_20_bytes));
	EXPECT_FALSE(judge(-EPIPE, of_20_bytes));

	is_closed();
	EXPECT_TRUE(judge(-EPIPE, of_20_bytes));
	EXPECT_EQ(crowd, judge(-EINTR, of_20_bytes));
	EXPECT_EQ(crowd, judge(20, of_20_bytes));
}

TEST_F(control, read_results)
{
	bool exact = self->q->exact;

#define into_30_bytes .total = 30, .there = 30, .may_refuse = true
	EXPECT_TRUE(judge(-EAGAIN, into_30_bytes));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes));
	EXPECT_EQ(!exact, judge(20, into_30_bytes));
	EXPECT_FALSE(judge(0, into_30_bytes));

	send(0, 20);
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(!exact, judge(19, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_30_bytes));
	EXPECT_EQ(!exact, judge(-EMSGSIZE, into_30_bytes));
	EXPECT_FALSE(judge(31, into_30_bytes));
	EXPECT_FALSE(judge(0, into_30_bytes));
	EXPECT_FALSE(judge(-EFAULT, into_30_bytes));
	EXPECT_TRUE(judge(-EFAULT, into_30_bytes, .flaky = true));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes));
	EXPECT_TRUE(judge(-EINTR, into_30_bytes, .faulty = true));
	EXPECT_FALSE(judge(-EINTR, into_30_bytes, .faulty = true, .quiet = true));
	EXPECT_EQ(!exact, judge(-EFAULT, .total = 30, .there = 20));
	EXPECT_TRUE(judge(-EFAULT, .total = 30, .there = 19));
	EXPECT_FALSE(judge(20, .total = 30, .there = 19));
	EXPECT_TRUE(judge(-EMSGSIZE, .total = 19, .there = 19));
	EXPECT_FALSE(judge(-EFAULT, .total = 19, .there = 19));
	EXPECT_TRUE(judge(-EFAULT, .total = 19, .there = 18));
	EXPECT_FALSE(judge(20, .total = 19, .there = 19));
	EXPECT_FALSE(judge(-EMSGSIZE, .total = 64, .there = 64));
	EXPECT_TRUE(judge(0, .may_wait = true));
	EXPECT_FALSE(judge(-EAGAIN, .may_refuse = true));

	is_closed();
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_EQ(!exact, judge(0, into_30_bytes));
}

/* Who has waited long enough is told so; nobody else is. */
TEST_F(control, timeouts)
{
	bool exact = self->q->exact;

#define into_30_waiting .total = 30, .there = 30, .may_wait = true
	EXPECT_FALSE(judge(-EAGAIN, into_30_waiting));
	set_timeouts(self->f, UINT32_MAX, 5);
	EXPECT_FALSE(judge(-EAGAIN, into_30_waiting));
	set_timeouts(self->f, 5, UINT32_MAX);
	EXPECT_TRUE(judge(-EAGAIN, into_30_waiting));
	EXPECT_TRUE(judge(-EINTR, into_30_waiting));
	send(0, 20);
	EXPECT_EQ(!exact, judge(-EAGAIN, into_30_waiting));
	send(1, 20);
	EXPECT_FALSE(judge(-EAGAIN, of_20_bytes));
	set_timeouts(self->f, 5, 5);
	EXPECT_TRUE(judge(-EAGAIN, of_20_bytes));
	EXPECT_EQ(exact, !judge(20, of_20_bytes));
	is_closed();
	EXPECT_EQ(!exact, judge(-EAGAIN, of_20_bytes));
}

TEST_F(control, deferred_reads)
{
	send(0, 20);
	EXPECT_TRUE(judge(20, into_30_bytes, .deferred = true));
	EXPECT_FALSE(judge(-EINVAL, into_30_bytes, .deferred = true));
	lease(0, 2);
	EXPECT_TRUE(judge(20, into_30_bytes));
	EXPECT_FALSE(judge(20, into_30_bytes, .deferred = true));
	EXPECT_TRUE(judge(-EINVAL, into_30_bytes, .deferred = true));
	lease(MPMCQ_MODE_PACKED, 2);
	EXPECT_TRUE(judge(48, .total = 99, .there = 99, .deferred = true));
	EXPECT_FALSE(judge(-EINVAL, .total = 99, .there = 99, .deferred = true));
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

/* Two messages of 20 bytes, 48 with what is around them. */
#define PACKED_WRITE(n_, good_) (struct batch){ \
	.n = n_, .good = good_, .wrong = { 1, { -EINVAL }, 1, 0 }, \
	.of = { { { .len = 20 }, 48 }, { { .len = 20 }, 96 }, { { .len = 20 }, 144 } }, }

TEST_F(control, packed_write_results)
{
	struct batch two = PACKED_WRITE(2, 2), three = PACKED_WRITE(3, 3);
	struct batch one = PACKED_WRITE(2, 1), none = PACKED_WRITE(2, 0);
	bool exact = self->q->exact;

	self->f->modes = MPMCQ_MODE_PACKED;
#define of_96_bytes .write = true, .total = 96, .there = 96, .quiet = true, .may_refuse = true
	EXPECT_TRUE(judge(96, of_96_bytes, .batch = &two));
	EXPECT_EQ(!exact, judge(48, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(97, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(0, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(-EINVAL, of_96_bytes, .batch = &two));
	EXPECT_FALSE(judge(-EFAULT, of_96_bytes, .batch = &two));
	EXPECT_TRUE(judge(48, of_96_bytes, .batch = &one));
	EXPECT_FALSE(judge(96, of_96_bytes, .batch = &one));
	EXPECT_FALSE(judge(-EINVAL, of_96_bytes, .batch = &one));
	EXPECT_TRUE(judge(-EINVAL, of_96_bytes, .batch = &none));
	EXPECT_FALSE(judge(48, of_96_bytes, .batch = &none));
	EXPECT_FALSE(judge(-EMSGSIZE, of_96_bytes, .batch = &none));
	EXPECT_TRUE(judge(96, .write = true, .total = 144, .there = 144, .batch = &three));
	EXPECT_EQ(!exact, judge(144, .write = true, .total = 144, .there = 144, .batch = &three));

	EXPECT_TRUE(judge(48, .write = true, .total = 96, .there = 91, .batch = &two));
	EXPECT_FALSE(judge(96, .write = true, .total = 96, .there = 91, .batch = &two));
	EXPECT_TRUE(judge(-EFAULT, .write = true, .total = 96, .there = 43, .batch = &two));
	EXPECT_FALSE(judge(48, .write = true, .total = 96, .there = 43, .batch = &two));
	EXPECT_FALSE(judge(-EAGAIN, .write = true, .total = 96, .there = 43, .batch = &two));

	send(0, 20);
	EXPECT_TRUE(judge(48, of_96_bytes, .batch = &two));
	EXPECT_EQ(!exact, judge(96, of_96_bytes, .batch = &two));
	send(1, 20);
	EXPECT_EQ(!exact, judge(48, of_96_bytes, .batch = &two));
	EXPECT_TRUE(judge(-EAGAIN, of_96_bytes, .batch = &two));
}

/* One in the middle has nothing that it may drop. */
TEST_F(control, packed_write_by_level)
{
	struct batch three = PACKED_WRITE(3, 3);
	bool exact = self->q->exact;

	levels(3);
	self->f->modes = MPMCQ_MODE_PACKED;
	self->q->like.flags = MPMCQ_DROP_OLDEST;
	send(0, 20, .priority = 1);
#define of_144_bytes .write = true, .total = 144, .there = 144, .quiet = true, .batch = &three
	three.of[1].m.priority = 2;
	three.of[2].m.priority = 2;
	EXPECT_TRUE(judge(144, of_144_bytes));
	EXPECT_EQ(!exact, judge(96, of_144_bytes));
	three.of[0].m.priority = 2;
	three.of[1].m.priority = 0;
	EXPECT_EQ(!exact, judge(144, of_144_bytes));
	EXPECT_TRUE(judge(48, of_144_bytes));
	send(1, 20, .priority = 2);
	three.of[0].m.priority = 0;
	EXPECT_EQ(!exact, judge(48, of_144_bytes));
	EXPECT_TRUE(judge(-EAGAIN, of_144_bytes, .may_refuse = true));
}

TEST_F(control, packed_read_results)
{
	bool exact = self->q->exact;

#define into_99_bytes .total = 99, .there = 99, .quiet = true, .may_refuse = true
	lease(MPMCQ_MODE_PACKED, 1);
	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(judge(48, into_99_bytes));
	EXPECT_EQ(!exact, judge(96, into_99_bytes));
	EXPECT_FALSE(judge(-ENOBUFS, into_99_bytes));
	self->f->max_held = 2;
	EXPECT_TRUE(judge(96, into_99_bytes));
	EXPECT_EQ(!exact, judge(48, into_99_bytes));
	EXPECT_FALSE(judge(100, into_99_bytes));
	EXPECT_EQ(!exact, judge(-EAGAIN, into_99_bytes));
	EXPECT_TRUE(judge(48, .total = 95, .there = 95, .quiet = true));
	EXPECT_FALSE(judge(96, .total = 95, .there = 95));
	EXPECT_TRUE(judge(48, .total = 99, .there = 95));
	EXPECT_FALSE(judge(96, .total = 99, .there = 95));
	EXPECT_TRUE(judge(-EMSGSIZE, .total = 47, .there = 47));
	EXPECT_FALSE(judge(48, .total = 47, .there = 47));
	EXPECT_TRUE(judge(-EFAULT, .total = 99, .there = 47));
	deliver(0, 20);
	EXPECT_EQ(!exact, judge(96, into_99_bytes));
	deliver(1, 20);
	EXPECT_TRUE(judge(-ENOBUFS, into_99_bytes));
	EXPECT_FALSE(judge(-EAGAIN, into_99_bytes));
	EXPECT_FALSE(judge(48, into_99_bytes));
}

TEST_F(control, refusals)
{
	struct expected refusal = NOTHING;

	may_fail(&refusal, -EBADF);
	EXPECT_TRUE(judge(-EBADF, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(-EAGAIN, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(20, into_30_bytes, .refusal = refusal));
	EXPECT_FALSE(judge(0, into_30_bytes, .refusal = refusal));
}

TEST_F(control, events)
{
	bool exact = self->q->exact;

	EXPECT_EQ(exact ? POLLOUT | POLLWRNORM : 0, (int)ready_events(self->f, true));
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLIN));
	send(0, 20);
	send(1, 20);
	EXPECT_EQ(exact ? POLLIN | POLLRDNORM : 0, (int)ready_events(self->f, true));
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLOUT));
	self->f->access = O_WRONLY;
	EXPECT_EQ(0, ready_events(self->f, false) & (POLLIN | POLLHUP));
	self->f->access = O_RDONLY;
	EXPECT_EQ(0, ready_events(self->f, false) & POLLOUT);
	self->f->modes = MPMCQ_MODE_DEAD;
	EXPECT_EQ(!exact, !!(ready_events(self->f, false) & POLLIN));
}

TEST_F(control, info)
{
	const struct mpmcq_info right = {
		.size = sizeof(right), .version = 1, .capacity = 2, .msg_size = 64, .depth = 1,
		.features = 2 * MPMCQ_FEATURE_LEVELS - 1, .max_deliveries = 2, .number = 7,
		.sent = 1, .levels = 1, .uuid = { 1 },
	};
	/* What others decide need not be as predicted, and all counters may be ahead. */
	const bool loose[sizeof(right) / sizeof(__u32)] = {
		[4] = true, [9 ... 11] = true, [20 ... 35] = true, [42 ... 43] = true,
	};
	__u32 words[sizeof(right) / sizeof(__u32)], i;
	__u64 counts[COUNTS];
	struct mpmcq_info info;

	self->q->uuid = uuid_of(&right);
	send(0, 20);
	copy_counts(self->q, counts);
	EXPECT_EQ(NULL, misinformed(&right, sizeof(right), self->f, counts));
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		memcpy(words, &right, sizeof(words));
		words[i] = i == 1 ? 0 : words[i] + 1;
		memcpy(&info, words, sizeof(info));
		EXPECT_EQ(!self->q->exact && loose[i],
			  !misinformed(&info, sizeof(info), self->f, counts))
			TH_LOG("word %u", i);
		info.size += MPMCQ_INFO_SIZE_VER0 - sizeof(info);
		EXPECT_EQ(i > 5 || (!self->q->exact && loose[i]),
			  !misinformed(&info, MPMCQ_INFO_SIZE_VER0, self->f, counts))
			TH_LOG("word %u, of the first version", i);
	}
}

/* Of a message that was sent, or read, INFO has to know. */
TEST_F(control, info_behind)
{
	struct mpmcq_info info = {
		.size = sizeof(info), .version = 1, .capacity = 2, .msg_size = 64, .levels = 1,
		.features = 2 * MPMCQ_FEATURE_LEVELS - 1, .max_deliveries = 2, .number = 7,
		.sent = 1, .received = 1, .uuid = { 1 },
	};
	__u64 counts[COUNTS];

	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	copy_counts(self->q, counts);
	EXPECT_EQ(NULL, misinformed(&info, sizeof(info), self->f, counts));
	info.received = 0;
	EXPECT_STREQ("received", misinformed(&info, sizeof(info), self->f, counts));
	info.sent = 0;
	EXPECT_STREQ("sent", misinformed(&info, sizeof(info), self->f, counts));
}

TEST_F(control, info_oldest)
{
	struct mpmcq_info info = {
		.size = sizeof(info), .version = 1, .capacity = 2, .msg_size = 64, .levels = 1,
		.features = 2 * MPMCQ_FEATURE_LEVELS - 1, .max_deliveries = 2, .number = 7,
		.flags = MPMCQ_STAMP, .uuid = { 1 }, .oldest_ns = 1000,
	};
	bool crowd = !self->q->exact;
	__u64 counts[COUNTS];

#define is_right() ({ \
	copy_counts(self->q, counts); \
	!misinformed(&info, sizeof(info), self->f, counts); })

	self->q->like.flags = MPMCQ_STAMP;
	EXPECT_EQ(crowd, is_right());
	info.sent = 1;
	info.depth = 1;
	send(0, 20, .sent_from = boottime() - 1000000, .sent_to = boottime());
	EXPECT_TRUE(is_right());
	info.oldest_ns = boottime() / 2;
	EXPECT_EQ(crowd, is_right());
	info.oldest_ns = UINT64_MAX;
	EXPECT_FALSE(is_right());
	info.oldest_ns = 0;
	EXPECT_EQ(crowd, is_right());
}

/* What is told of messages that come again. */
TEST_F(control, counted_again)
{
	const __u64 *counts = self->q->counts;

	lease(0, 2);
	self->q->like.max_deliveries = 3;
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, (int)counts[REDELIVERED]);
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, (int)counts[SUSPECTED]);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(if_exact(1), (int)counts[REDELIVERED]);
	EXPECT_EQ(0, end_with(CAME_BACK));
	EXPECT_EQ(if_exact(1), (int)counts[SUSPECTED]);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(if_exact(2), (int)counts[REDELIVERED]);
	/* It dies by that. */
	EXPECT_EQ(0, end_with(CAME_BACK));
	EXPECT_EQ(if_exact(1), (int)counts[SUSPECTED]);
	EXPECT_EQ(if_exact(1), (int)end_dead(self->q, 0, true));
	EXPECT_EQ(if_exact(2), (int)counts[SUSPECTED]);
}

#define refused(check, ...) ({ \
	struct expected e_ = NOTHING; \
	check(__VA_ARGS__, self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })
#define create_refused(...) ({ \
	struct expected e_ = NOTHING; \
	check_create((&(struct mpmcq_create){ __VA_ARGS__ }), true, &e_); \
	e_.errors ? e_.error[0] : 0; })
#define named_refused(...)	create_refused(.name = 1, __VA_ARGS__)
#define attach_refused(...)	refused(check_attach, (&(struct mpmcq_attach){ __VA_ARGS__ }))
#define mode_refused(...)	refused(check_mode, (&(struct mpmcq_mode){ __VA_ARGS__ }))
#define peek_refused(...)	refused(check_peek, (&(struct mpmcq_peek){ __VA_ARGS__ }))
#define forward_refused(...) ({ \
	struct expected e_ = NOTHING; \
	check_forward((&(struct mpmcq_forward){ __VA_ARGS__ }), &e_); \
	e_.errors ? e_.error[0] : 0; })
#define settle_refused(op_, ...) \
	refused(check_settle, (&(struct mpmcq_settle){ .op = MPMCQ_SETTLE_##op_, __VA_ARGS__ }))

TEST_F(control, arguments)
{
	EXPECT_EQ(0, create_refused(.open_flags = O_RDWR));
	EXPECT_EQ(0, named_refused(.capacity = 2, .msg_size = 1, .mode = 0777));
	EXPECT_EQ(0, named_refused(.flags = MPMCQ_EXIST_OK | MPMCQ_DROP_OLDEST));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 1));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 12));
	EXPECT_EQ(-EINVAL, create_refused(.msg_size = 65537));
	EXPECT_EQ(-EINVAL, create_refused(.flags = 32));
	EXPECT_EQ(-EINVAL, create_refused(.flags = MPMCQ_EXIST_OK));
	EXPECT_EQ(-EINVAL, create_refused(.mode = 0600));
	EXPECT_EQ(-EINVAL, named_refused(.mode = 01000));
	EXPECT_EQ(-EINVAL, named_refused(.open_flags = O_RDWR));
	EXPECT_EQ(-EFBIG, create_refused(.capacity = 1048576, .msg_size = 65536));
	EXPECT_EQ(0, attach_refused(.open_flags = O_RDWR, .modes = MPMCQ_MODE_LEASE,
				    .max_held = 1));
	EXPECT_EQ(-EINVAL, attach_refused(.open_flags = O_ACCMODE));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = 16));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = MPMCQ_MODE_META));
	EXPECT_EQ(0, attach_refused(.modes = MPMCQ_MODE_META | MPMCQ_MODE_PACKED));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_META));
	EXPECT_EQ(0, mode_refused(.modes = MPMCQ_MODE_META | MPMCQ_MODE_PACKED));
	EXPECT_EQ(-EINVAL, attach_refused(.max_held = 1));
	EXPECT_EQ(-EBADF, attach_refused(.open_flags = O_WRONLY, .modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(0, mode_refused(.modes = MPMCQ_MODE_LEASE, .max_held = MPMCQ_MAX_HELD_MAX));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_LEASE,
					.max_held = MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(-EINVAL, mode_refused(.priority = 1));
	EXPECT_EQ(-EINVAL, attach_refused(.priority = 1));
	self->q->like.levels = 2;
	EXPECT_EQ(0, mode_refused(.priority = 1));
	EXPECT_EQ(0, attach_refused(.priority = 1));
	EXPECT_EQ(-EINVAL, mode_refused(.priority = 2));
	EXPECT_EQ(-EINVAL, create_refused(.levels = MPMCQ_LEVELS_MAX + 1));
	EXPECT_EQ(0, settle_refused(ACK, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = 0));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .flags = MPMCQ_SETTLE_ALL, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_UNTRIED, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(TOUCH, .flags = MPMCQ_SETTLE_UNTRIED, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = 1, .delay_ms = 1));
	EXPECT_EQ(-EOPNOTSUPP, settle_refused(NACK, .flags = MPMCQ_SETTLE_DELAY, .count = 1));
	self->q->like.flags |= MPMCQ_DELAY;
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_DELAY, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .count = 1, .delay_ms = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .count = 1, .flags = MPMCQ_SETTLE_DELAY |
						MPMCQ_SETTLE_FRONT));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, refused(check_settle, (&(struct mpmcq_settle){ .count = 1 })));
	EXPECT_EQ(-EINVAL, refused(check_settle,
				   (&(struct mpmcq_settle){ .op = 6, .count = 1 })));
	EXPECT_EQ(-EINVAL, settle_refused(REVIVE, .count = 1));
	self->f->modes = MPMCQ_MODE_DEAD;
	EXPECT_EQ(0, settle_refused(REVIVE, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	self->f->access = O_RDONLY;
	EXPECT_EQ(-EBADF, settle_refused(REVIVE, .count = 1));
	self->f->modes = 0;
	self->f->access = O_RDWR;
	self->f->access = O_RDONLY;
	EXPECT_EQ(-EACCES, attach_refused(.open_flags = O_RDWR));
	EXPECT_EQ(-EBADF, refused(check_dead, (&(struct mpmcq_dead){}), true));
	EXPECT_EQ(0, refused(check_dead, (&(struct mpmcq_dead){}), false));
	self->f->access = O_WRONLY;
	EXPECT_EQ(-EBADF, mode_refused(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBADF, settle_refused(ACK, .count = 1));
}

TEST_F(control, forward_arguments)
{
	EXPECT_EQ(0, forward_refused());
	EXPECT_EQ(0, forward_refused(.buf = 1, .len = 65536));
	EXPECT_EQ(-EINVAL, forward_refused(.flags = 1));
	EXPECT_EQ(-EINVAL, forward_refused(.buf = 1));
	EXPECT_EQ(-EINVAL, forward_refused(.len = 1));
	EXPECT_EQ(-EMSGSIZE, forward_refused(.buf = 1, .len = 65537));
}

TEST_F(control, peek_arguments)
{
	const __u32 seq = MPMCQ_PEEK_SEQ, next = MPMCQ_PEEK_NEXT;

	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_READY, .position = 7));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_DEAD, .flags = seq, .seq = 1));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_PARKED));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_PARKED, .flags = next, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = 0));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED + 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .flags = seq));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .flags = next, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED, .flags = 3, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED, .position = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .priority = 1));
	self->q->like.levels = 2;
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_READY, .priority = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_DEAD, .priority = 1));
	self->f->access = O_WRONLY;
	EXPECT_EQ(-EBADF, peek_refused(.where = MPMCQ_PEEK_READY));
}

TEST_F(control, modes_stay)
{
#define mode_set(...) ({ \
	struct expected e_ = NOTHING; \
	expect_mode((&(struct mpmcq_mode){ __VA_ARGS__ }), self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })

	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_PACKED));
	lease(0, 2);
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBUSY, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 1));
	EXPECT_EQ(-EBUSY, mode_set(.modes = 0));
}

/* One with which the file began may be replaced once, if the file was not read. */
TEST_F(control, start_lease)
{
	begin_with_lease(self->f);
	EXPECT_EQ(0, (int)self->f->modes);
	self->q->like.flags = MPMCQ_START_LEASE;
	self->f->access = O_WRONLY;
	begin_with_lease(self->f);
	EXPECT_EQ(0, (int)self->f->modes);
	self->f->access = O_RDWR;
	begin_with_lease(self->f);
	EXPECT_EQ(MPMCQ_MODE_LEASE, (int)self->f->modes);
	EXPECT_EQ(1, (int)self->f->max_held);
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_PACKED));
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 2));
	set_modes(self->f, MPMCQ_MODE_LEASE, 2);
	EXPECT_EQ(2, (int)self->f->max_held);
	EXPECT_EQ(-EBUSY, mode_set(.modes = MPMCQ_MODE_PACKED));
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 2));
}

#define delays()	({ self->q->like.flags = MPMCQ_DELAY; self->q->ordered = false; })
#define HOUR	3600000

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

#define peek(...)	((struct mpmcq_peek){ __VA_ARGS__ })
#define ready_at(n, ...)	peek(.where = MPMCQ_PEEK_READY, .position = n, __VA_ARGS__)

/* Whether that may be what a peek into a buffer of @len_ bytes returns, of which @there_ are. */
#define peeked(ret, len_, there_, p_) ({ \
	struct mpmcq_peek asked_ = p_; \
	struct expected e_ = NOTHING; \
	struct sight sight_; \
	asked_.buf_len = len_; \
	sight_ = look_at(self->q, &asked_); \
	expect_peek(self->q, &asked_, &sight_, there_, &e_); \
	as_expected(&e_, ret); })

TEST_F(control, peek_results)
{
	bool crowd = !self->q->exact;
	struct message *m;

	self->q->like.levels = 2;
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_at(0)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(0)));
	EXPECT_EQ(crowd, peeked(-EAGAIN, 64, 64, ready_at(0)));
	EXPECT_FALSE(peeked(-ESTALE, 64, 64, ready_at(0)));
	send(0, 20, .priority = 1);
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(0)));
	EXPECT_TRUE(peeked(0, 64, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(1, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, peek(.where = MPMCQ_PEEK_RETURNED)));
	EXPECT_TRUE(peeked(0, 0, 0, ready_at(0, .priority = 1)));
	EXPECT_TRUE(peeked(-EMSGSIZE, 19, 0, ready_at(0, .priority = 1)));
	EXPECT_FALSE(peeked(-EMSGSIZE, 0, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 19, 64, ready_at(0, .priority = 1)));
	EXPECT_TRUE(peeked(-EFAULT, 64, 19, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 19, ready_at(0, .priority = 1)));
	EXPECT_FALSE(peeked(-EFAULT, 64, 64, ready_at(0, .priority = 1)));

	/* Of one whose name is not known yet it cannot be known whether it has that one. */
#define ready_seq(seq_)	ready_at(0, .flags = MPMCQ_PEEK_SEQ, .seq = seq_, .priority = 1)
	EXPECT_TRUE(peeked(0, 64, 64, ready_seq(SEQ(1, 1))));
	if (crowd)
		return;
	m = at(&self->q->ready, 0);
	m->seq = SEQ(1, 0);
	EXPECT_FALSE(peeked(0, 64, 64, ready_seq(SEQ(1, 1))));
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 1))));
	EXPECT_TRUE(peeked(0, 64, 64, ready_seq(SEQ(1, 0))));
	EXPECT_FALSE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 0))));
	self->q->fuzzy = true;
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 0))));
}

TEST_F(control, peek_next)
{
#define after(seq_)	peek(.where = MPMCQ_PEEK_PARKED, .flags = MPMCQ_PEEK_NEXT, .seq = seq_)
	bool crowd = !self->q->exact;

	delays();
	EXPECT_TRUE(peeked(-ESTALE, 64, 64, after(SEQ(1, 0))));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, after(SEQ(1, 0))));
	send(0, 20, .delay_ms = HOUR, .seq = SEQ(1, 1));
	send(1, 20, .delay_ms = 2 * HOUR, .seq = SEQ(1, 0));
	EXPECT_TRUE(peeked(0, 64, 64, after(SEQ(1, 1))));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, after(SEQ(1, 1))));
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, after(SEQ(1, 0))));
	EXPECT_TRUE(peeked(-ESTALE, 64, 64, after(SEQ(2, 0))));
	EXPECT_EQ(crowd, peeked(-ESTALE, 64, 64, after(SEQ(1, 0))));
}

/* What is wrong in what PEEK says of the first ready message; @data is number @n of 20 bytes. */
#define seen(n, ...) ({ \
	struct mpmcq_peek p_ = { .where = MPMCQ_PEEK_READY, .len = 20, .found = SEQ(3, 1) }; \
	const struct mpmcq_peek said_ = { __VA_ARGS__ }; \
	struct sight sight_ = look_at(self->q, &p_); \
	p_.len += said_.len; \
	p_.found += said_.found; \
	p_.deliveries += said_.deliveries; \
	p_.delay_ms += said_.delay_ms; \
	p_.state += said_.state; \
	p_.reason += said_.reason; \
	p_.msg_priority += said_.msg_priority; \
	write_message(self->buf, 20, 0, n); \
	misseen(self->world, self->q, &p_, &sight_, self->buf); })

TEST_F(control, peeked)
{
	bool crowd = !self->q->exact;

	send(0, 20);
	send(1, 20);
	EXPECT_EQ(NULL, seen(0));
	EXPECT_EQ(crowd, !seen(1));
	EXPECT_NE(NULL, seen(2));
	EXPECT_NE(NULL, seen(0, .len = 1));
	EXPECT_NE(NULL, seen(0, .found = 1 << SEQ_SHIFT));
	EXPECT_EQ(crowd, !seen(0, .deliveries = 1));
	EXPECT_NE(NULL, seen(0, .deliveries = 3));
	EXPECT_NE(NULL, seen(0, .delay_ms = 1));
	EXPECT_EQ(crowd, !seen(0, .state = MPMCQ_STATE_SUSPECT));
	EXPECT_NE(NULL, seen(0, .state = 2));
	EXPECT_NE(NULL, seen(0, .reason = 1));
	EXPECT_NE(NULL, seen(0, .msg_priority = 1));
	EXPECT_EQ(NULL, seen(0));
}

TEST_F(control, peeked_delays)
{
	struct mpmcq_peek p = {
		.where = MPMCQ_PEEK_PARKED, .len = 20, .found = SEQ(1, 0), .delay_ms = HOUR - 10,
	};
	struct sight sight;

	delays();
	self->world->began -= 1000000000;
	send(0, 20, .delay_ms = HOUR);
	sight = look_at(self->q, &p);
	EXPECT_EQ(NULL, misseen(self->world, self->q, &p, &sight, NULL));
	p.delay_ms = HOUR + 1;
	EXPECT_EQ(!self->q->exact, !misseen(self->world, self->q, &p, &sight, NULL));
	p.delay_ms = HOUR / 2;
	EXPECT_EQ(!self->q->exact, !misseen(self->world, self->q, &p, &sight, NULL));
}

/* Whether that may be what a FORWARD to the same queue, or another, returns. */
#define forward_may(ret, other_, held_, ...) ({ \
	const struct mpmcq_forward args_ = { __VA_ARGS__ }; \
	const struct message m_ = { .len = 20 }; \
	struct forwarding fw_ = { \
		.to = self->f, .args = &args_, .held = (held_) ? &m_ : NULL, \
		.from = (other_) ? NULL : self->q, \
		.request = { .file = self->f, .write = true, .may_refuse = true }, \
	}; \
	struct expected e_ = NOTHING; \
	expect_forward(&fw_, &e_); \
	as_expected(&e_, ret); })

TEST_F(control, forward_results)
{
	const bool exact = self->q->exact;
	int other;

	self->q->like.msg_size = 30;
	for (other = 0; other < 2; other++) {
		EXPECT_TRUE(forward_may(0, other, true));
		EXPECT_FALSE(forward_may(-ENOENT, other, true));
		EXPECT_TRUE(forward_may(-ENOENT, other, false));
		EXPECT_FALSE(forward_may(0, other, false));
		EXPECT_FALSE(forward_may(-EPIPE, other, true));
		EXPECT_TRUE(forward_may(0, other, true, .buf = 1, .len = 30));
		EXPECT_TRUE(forward_may(-EMSGSIZE, other, true, .buf = 1, .len = 31));
		EXPECT_FALSE(forward_may(0, other, true, .buf = 1, .len = 31));
		EXPECT_TRUE(forward_may(-EINVAL, other, true, .priority = 1));
		EXPECT_FALSE(forward_may(0, other, true, .priority = 1));
		EXPECT_TRUE(forward_may(-EOPNOTSUPP, other, true, .delay_ms = 1));
		EXPECT_FALSE(forward_may(0, other, true, .delay_ms = 1));
	}
	self->q->like.flags = MPMCQ_DELAY;
	EXPECT_TRUE(forward_may(0, true, true, .delay_ms = 1));
	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(forward_may(-EAGAIN, true, true));
	EXPECT_EQ(!exact, forward_may(0, true, true));
	EXPECT_TRUE(forward_may(0, false, true));
	EXPECT_FALSE(forward_may(-EAGAIN, false, true));
	is_closed();
	EXPECT_TRUE(forward_may(-EPIPE, true, true));
	EXPECT_TRUE(forward_may(-EPIPE, false, true));
	EXPECT_EQ(!exact, forward_may(0, false, true));
}

/* What goes to another queue leaves the first, and comes there as a new one. */
TEST_F(control, forwarded)
{
	struct message m = { .number = 0, .len = 20 };
	struct queue *from = self->q;
	struct queue *to = share(sizeof(*to));

	ASSERT_TRUE(to && list_init(&to->ready, 2) && list_init(&to->parked, 2));
	to->like = from->like;
	to->exact = from->exact;
	begin_queue(self->world, to);
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(LOST, account(0));
	let_go(self->world, from, at(&self->f->held, 0));
	EXPECT_EQ(0, forwarded(self->world, self->f, 0, to, m, true));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(1, (int)from->counts[ACKED]);
	EXPECT_EQ(if_exact(1), (int)to->ready.n);
	EXPECT_EQ(UNKNOWN, deliver(0, 20) & UNKNOWN);
	self->q = to;
	self->f->queue = to;
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, deliver(0, 20));
	m.number = 1;
	will_send(self->world, from, &m);
	let_go(self->world, to, at(&self->f->held, 0));
	EXPECT_EQ(0, forwarded(self->world, self->f, 0, from, m, false));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
}

#define name_refused(name) ({ \
	struct expected e_ = NOTHING; \
	check_name(name, &e_); \
	e_.errors ? e_.error[0] : 0; })

TEST_F(control, names)
{
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, name_refused(name));
	EXPECT_EQ(0, name_refused(name + 1));
	EXPECT_EQ(0, name_refused("-.*\n"));
	EXPECT_EQ(0, name_refused("..."));
	EXPECT_EQ(-ENOENT, name_refused(""));
	EXPECT_EQ(-EINVAL, name_refused("."));
	EXPECT_EQ(-EINVAL, name_refused(".."));
	EXPECT_EQ(-EINVAL, name_refused("a/b"));
}

TEST_F(control, existing)
{
	struct mpmcq_create like = self->q->like;

	EXPECT_FALSE(is_like(self->q, &like));
	like.flags |= MPMCQ_EXIST_OK;
	EXPECT_TRUE(is_like(self->q, &like));
	like.mode = 0666;
	EXPECT_TRUE(is_like(self->q, &like));
	like.lease_ms = 1;
	EXPECT_FALSE(is_like(self->q, &like));
	like.lease_ms = 0;
	like.flags |= MPMCQ_AUTO_CLOSE;
	EXPECT_FALSE(is_like(self->q, &like));
	like.flags = MPMCQ_EXIST_OK;
	like.levels = 2;
	EXPECT_FALSE(is_like(self->q, &like));
	like.levels = 0;
	EXPECT_TRUE(is_like(self->q, &like));
	like.capacity = 0;
	EXPECT_FALSE(is_like(self->q, &like));
	self->q->like.capacity = 1024;
	EXPECT_TRUE(is_like(self->q, &like));
}

static __u64 new_seed(void)
{
	__u32 seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = getpid();
	return seed;
}

FIXTURE_VARIANT(queue)
{
	int processes;
	int threads;
	bool ordered;
	bool inside;	/* a user namespace */
};

FIXTURE_VARIANT_ADD(queue, alone) { .processes = 1, .threads = 1 };
FIXTURE_VARIANT_ADD(queue, threads) { .processes = 1, .threads = 4 };
FIXTURE_VARIANT_ADD(queue, processes) { .processes = 4, .threads = 1, .ordered = true };
FIXTURE_VARIANT_ADD(queue, both) { .processes = 2, .threads = 3 };
FIXTURE_VARIANT_ADD(queue, user_namespace) { .processes = 2, .threads = 1, .inside = true };

TEST_F_TIMEOUT(queue, fuzz, 3600)
{
	int i, n = variant->processes * variant->threads, status;
	__u64 seed = number_from("MPMCQ_FUZZ_SEED", new_seed());
	struct stage *stage = share(sizeof(*stage));
	struct worker *w;
	const char *why;

	ASSERT_NE(NULL, stage);
	why = enter_namespaces(stage, variant->inside);
	if (why)
		SKIP(return, "%s", why);
	stage->world = new_world(n, number_from("MPMCQ_FUZZ_CALLS", 10000) / n);
	ASSERT_NE(NULL, stage->world);
	ASSERT_TRUE(set_up(stage, self->fd, n == 1));
	w = new_workers(stage, seed);
	ASSERT_NE(NULL, w);
	TH_LOG("MPMCQ_FUZZ_SEED=%llu: %d workers, %u calls each", (unsigned long long)seed, n,
	       stage->world->calls);
	stage->queue[DEFAULT].ordered = variant->ordered;
	for (i = 0; i < n; i += variant->threads) {
		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid)
			_exit(run_process(&w[i], variant->threads));
	}
	for (i = 0; i < variant->processes; i++) {
		ASSERT_LT(0, wait(&status));
		EXPECT_EQ(0, status);
	}
	for (i = 0; i < n; i++)
		w[n].failed |= w[i].failed;
	EXPECT_TRUE(judge_shared(&w[n]));
	leave_namespaces(stage);
}

TEST_HARNESS_MAIN
