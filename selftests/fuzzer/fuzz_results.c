// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controls of the fuzzer: wrong results of reads and writes, wrong events, and wrong INFO.
 */

#include "control.h"

TEST_F(control, write_results)
{
	bool crowd = !self->q->exact;

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
		.sent = 1, .levels = 1, .free = 1, .uuid = { 1 },
	};
	/* What others decide need not be as predicted, and all counters may be ahead. */
	const bool loose[sizeof(right) / sizeof(__u32)] = {
		[4] = true, [9 ... 11] = true, [20 ... 35] = true, [42 ... 44] = true,
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
		.sent = 1, .received = 1, .free = 2, .uuid = { 1 },
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
		.flags = MPMCQ_STAMP, .uuid = { 1 }, .oldest_ns = 1000, .free = 2,
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
	info.free = 1;
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

TEST_HARNESS_MAIN
