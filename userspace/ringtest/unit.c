// SPDX-License-Identifier: GPL-2.0-only
/* The index ring, one thread: what each operation promises. */

#include "shim.h"
#include "../../kmod/index_ring.h"

#include "kselftest_harness.h"

#define MAX_ORDER	12
#define LAPS		5

FIXTURE(ring) {
	struct index_ring ring;
	atomic64_t entries[1 << MAX_ORDER];
	u32 size;
};

FIXTURE_VARIANT(ring) {
	unsigned int order;
};

/* 1 and 2: smaller than a cache line; 3: one line; 4: just two lines; 5: more. */
FIXTURE_VARIANT_ADD(ring, order_1) { .order = 1 };
FIXTURE_VARIANT_ADD(ring, order_2) { .order = 2 };
FIXTURE_VARIANT_ADD(ring, order_3) { .order = 3 };
FIXTURE_VARIANT_ADD(ring, order_4) { .order = 4 };
FIXTURE_VARIANT_ADD(ring, order_5) { .order = 5 };
FIXTURE_VARIANT_ADD(ring, order_10) { .order = 10 };
FIXTURE_VARIANT_ADD(ring, order_12) { .order = MAX_ORDER };

FIXTURE_SETUP(ring)
{
	self->size = 1U << variant->order;
	index_ring_init(&self->ring, self->entries, variant->order, 0);
}

FIXTURE_TEARDOWN(ring)
{
}

TEST_F(ring, new_ring_is_empty)
{
	s64 pos;
	u32 index;

	EXPECT_TRUE(index_ring_empty(&self->ring));
	EXPECT_EQ(0, index_ring_count(&self->ring));
	EXPECT_EQ(INDEX_RING_EMPTY, index_ring_take(&self->ring));
	EXPECT_EQ(INDEX_RING_EMPTY, index_ring_peek(&self->ring, &pos));
	EXPECT_EQ(0, index_ring_take_n(&self->ring, &index, 1));
}

TEST_F(ring, new_ring_can_be_full)
{
	index_ring_init(&self->ring, self->entries, variant->order, self->size);
	EXPECT_EQ(self->size, index_ring_count(&self->ring));
	for (u32 i = 0; i < self->size; i++)
		ASSERT_EQ((int)i, index_ring_take(&self->ring));
	EXPECT_TRUE(index_ring_empty(&self->ring));
}

TEST_F(ring, new_ring_can_be_partly_filled)
{
	index_ring_init(&self->ring, self->entries, variant->order, 1);
	EXPECT_EQ(1, index_ring_count(&self->ring));
	index_ring_put(&self->ring, 1);
	EXPECT_EQ(0, index_ring_take(&self->ring));
	EXPECT_EQ(1, index_ring_take(&self->ring));
	EXPECT_TRUE(index_ring_empty(&self->ring));
}

/* Every position of a lap has an entry of its own, inside the array. */
TEST_F(ring, entries_are_a_permutation)
{
	bool seen[1 << MAX_ORDER] = { false };

	for (u32 i = 0; i < self->size; i++) {
		s64 at = __index_ring_entry(self->ring.table, self->size + i) - self->entries;

		ASSERT_LE(0, at);
		ASSERT_GT(self->size, at);
		ASSERT_FALSE(seen[at]);
		seen[at] = true;
	}
}

TEST_F(ring, runs_are_on_different_lines)
{
	s64 line = SMP_CACHE_BYTES / sizeof(self->entries[0]);

	if (self->size <= 2 * line)
		return;		/* there is no other line, or not always */
	for (s64 i = 0; i < self->size; i++) {
		s64 a = (__index_ring_entry(self->ring.table, i) - self->entries) / line;
		s64 b = (__index_ring_entry(self->ring.table, i + 1) - self->entries) / line;

		ASSERT_EQ((i + 1) % INDEX_RING_RUN != 0, a == b);
	}
}

/* At every depth, through several laps: first in, first out. */
TEST_F(ring, fifo_across_laps)
{
	for (u32 depth = 1; depth <= self->size; depth = depth * 2) {
		u32 put = 0, taken = 0;

		while (taken < LAPS * self->size) {
			while (put - taken < depth)
				index_ring_put(&self->ring, put++ % self->size);
			ASSERT_EQ(depth, index_ring_count(&self->ring));
			ASSERT_EQ((int)(taken % self->size), index_ring_take(&self->ring));
			taken++;
		}
		while (taken < put)
			ASSERT_EQ((int)(taken++ % self->size), index_ring_take(&self->ring));
		ASSERT_TRUE(index_ring_empty(&self->ring));
	}
}

/* Batches of every length at every offset, whole laps included. */
TEST_F(ring, batches_across_laps)
{
	u32 in[1 << MAX_ORDER], out[(1 << MAX_ORDER) + 1];

	for (u32 n = 1; n <= self->size; n += 1 + n / 7) {
		u32 next = 0;

		for (u32 round = 0; round < LAPS * self->size / n + 1; round++) {
			for (u32 i = 0; i < n; i++)
				in[i] = (next + i) % self->size;
			index_ring_put_n(&self->ring, in, n);
			ASSERT_EQ(n, index_ring_count(&self->ring));
			memset(out, 0xff, sizeof(out));
			ASSERT_EQ(n, index_ring_take_n(&self->ring, out, self->size + 1));
			ASSERT_EQ(0, memcmp(in, out, n * sizeof(in[0])));
			ASSERT_EQ((u32)-1, out[n]);
			next += n;
		}
		ASSERT_TRUE(index_ring_empty(&self->ring));
	}
}

TEST_F(ring, batch_takes_no_more_than_asked)
{
	u32 out[2] = { -1, -1 };

	index_ring_put(&self->ring, 1);
	index_ring_put(&self->ring, 0);
	EXPECT_EQ(1, index_ring_take_n(&self->ring, out, 1));
	EXPECT_EQ(1, out[0]);
	EXPECT_EQ((u32)-1, out[1]);
	EXPECT_EQ(0, index_ring_take(&self->ring));
}

TEST_F(ring, batch_of_none)
{
	index_ring_put_n(&self->ring, NULL, 0);
	EXPECT_TRUE(index_ring_empty(&self->ring));
}

TEST_F(ring, peek_takes_nothing)
{
	s64 pos;

	index_ring_put(&self->ring, 1);
	EXPECT_EQ(1, index_ring_peek(&self->ring, &pos));
	EXPECT_TRUE(index_ring_at_head(&self->ring, pos));
	EXPECT_EQ(1, index_ring_count(&self->ring));
	EXPECT_TRUE(index_ring_take_at(&self->ring, pos, 1));
	EXPECT_TRUE(index_ring_empty(&self->ring));
}

TEST_F(ring, stale_peek_is_noticed)
{
	s64 pos;

	index_ring_put(&self->ring, 0);
	index_ring_put(&self->ring, 1);
	EXPECT_EQ(0, index_ring_peek(&self->ring, &pos));
	EXPECT_EQ(0, index_ring_take(&self->ring));
	EXPECT_FALSE(index_ring_at_head(&self->ring, pos));
	EXPECT_FALSE(index_ring_take_at(&self->ring, pos, 1));
	EXPECT_EQ(1, index_ring_take(&self->ring));
}

/* The same entry again, a lap later, is not what was peeked at. */
TEST_F(ring, stale_peek_is_noticed_a_lap_later)
{
	s64 pos;

	index_ring_put(&self->ring, 0);
	EXPECT_EQ(0, index_ring_peek(&self->ring, &pos));
	for (u32 i = 0; i < self->size; i++) {
		EXPECT_EQ(0, index_ring_take(&self->ring));
		index_ring_put(&self->ring, 0);
	}
	EXPECT_FALSE(index_ring_at_head(&self->ring, pos));
	EXPECT_FALSE(index_ring_take_at(&self->ring, pos, 1));
	EXPECT_EQ(0, index_ring_take(&self->ring));
}

/* From the head on, through the end of a lap, as many as there are or as asked for. */
TEST_F(ring, peek_n_takes_nothing)
{
	u32 indices[(1 << MAX_ORDER) + 1];
	s64 pos;

	EXPECT_EQ(0, index_ring_peek_n(&self->ring, indices, 1, &pos));
	for (u32 skew = 0; skew < self->size; skew++) {
		for (u32 i = 0; i < self->size; i++)
			index_ring_put(&self->ring, i);
		memset(indices, 0xff, sizeof(indices));
		ASSERT_EQ(1, index_ring_peek_n(&self->ring, indices, 1, &pos));
		ASSERT_EQ((u32)-1, indices[1]);
		ASSERT_EQ(self->size,
			  index_ring_peek_n(&self->ring, indices, self->size + 1, &pos));
		for (u32 i = 0; i < self->size; i++)
			ASSERT_EQ(i, indices[i]);
		ASSERT_EQ((u32)-1, indices[self->size]);
		ASSERT_TRUE(index_ring_at_head(&self->ring, pos));
		ASSERT_EQ(self->size, index_ring_count(&self->ring));
		for (u32 i = 0; i < self->size; i++)
			ASSERT_EQ((int)i, index_ring_take(&self->ring));
		index_ring_put(&self->ring, 0);
		ASSERT_EQ(0, index_ring_take(&self->ring));
	}
}

TEST_F(ring, several_are_taken_or_none)
{
	s64 pos, stale;

	for (u32 i = 0; i < self->size; i++)
		index_ring_put(&self->ring, i);
	EXPECT_EQ(0, index_ring_peek(&self->ring, &stale));
	EXPECT_EQ(0, index_ring_take(&self->ring));
	EXPECT_FALSE(index_ring_take_at(&self->ring, stale, 2));
	EXPECT_EQ(self->size - 1, index_ring_count(&self->ring));
	EXPECT_EQ(1, index_ring_peek(&self->ring, &pos));
	EXPECT_TRUE(index_ring_take_at(&self->ring, pos, self->size - 1));
	EXPECT_TRUE(index_ring_empty(&self->ring));
}

/* A put that was stopped before it moved tail on: nobody needs it to. */
TEST_F(ring, tail_lags)
{
	s64 tail = atomic64_read(&self->ring.tail);
	const u32 one = 1;

	index_ring_put(&self->ring, 0);
	atomic64_set(&self->ring.tail, tail);
	EXPECT_FALSE(index_ring_empty(&self->ring));
	EXPECT_EQ(1, index_ring_count(&self->ring));
	EXPECT_EQ(tail + 1, index_ring_put(&self->ring, 1));
	EXPECT_EQ(tail + 2, atomic64_read(&self->ring.tail));
	EXPECT_EQ(2, index_ring_count(&self->ring));
	EXPECT_EQ(0, index_ring_take(&self->ring));
	EXPECT_EQ(1, index_ring_take(&self->ring));

	tail = atomic64_read(&self->ring.tail);
	index_ring_put(&self->ring, 0);
	atomic64_set(&self->ring.tail, tail);
	EXPECT_EQ(tail + 1, index_ring_put_n(&self->ring, &one, 1));
	EXPECT_EQ(tail + 2, atomic64_read(&self->ring.tail));
	EXPECT_EQ(0, index_ring_take(&self->ring));
	EXPECT_EQ(1, index_ring_take(&self->ring));
}

/* A put that stored tail late, by any number of positions, up to some laps. */
TEST_F(ring, tail_lags_by_laps)
{
	s64 tail = atomic64_read(&self->ring.tail);
	s64 end = tail;

	for (u32 lag = 0; lag <= 3 * self->size; lag++) {
		while (end < tail + lag) {
			index_ring_put(&self->ring, 0);
			ASSERT_EQ(0, index_ring_take(&self->ring));
			end++;
		}
		atomic64_set(&self->ring.tail, tail);
		ASSERT_EQ(0, index_ring_count(&self->ring));
		ASSERT_EQ(end, index_ring_put(&self->ring, 1));
		ASSERT_EQ(++end, atomic64_read(&self->ring.tail));
		atomic64_set(&self->ring.tail, tail);
		ASSERT_EQ(1, index_ring_count(&self->ring));
		ASSERT_EQ(1, index_ring_take(&self->ring));
	}
}

/* All indices, in whatever part, in one ring and in another. */
TEST_F(ring, two_rings_hold_all)
{
	atomic64_t entries[1 << MAX_ORDER] = {};
	struct index_ring other;
	u32 size = self->size;

	index_ring_init(&other, entries, variant->order, size);
	for (u32 i = 0; i <= size; i++) {
		EXPECT_TRUE(index_ring_hold_all(&self->ring, &other, size));
		EXPECT_TRUE(index_ring_hold_all(&other, &self->ring, size));
		EXPECT_EQ(i == size, index_ring_hold_all(&self->ring, NULL, size));
		EXPECT_EQ(i == 0, index_ring_hold_all(&other, NULL, size));
		if (i == size)
			break;
		EXPECT_EQ((int)i, index_ring_take(&other));
		EXPECT_FALSE(index_ring_hold_all(&self->ring, &other, size));
		EXPECT_TRUE(index_ring_hold_all(&self->ring, &other, size - 1));
		index_ring_put(&self->ring, i);
	}
}

/* Puts that were stopped before they moved tail on are counted. */
TEST_F(ring, hold_all_counts_what_tail_is_not_past)
{
	s64 tail = atomic64_read(&self->ring.tail);

	for (u32 i = 0; i < self->size; i++)
		index_ring_put(&self->ring, i);
	atomic64_set(&self->ring.tail, tail);
	EXPECT_TRUE(index_ring_hold_all(&self->ring, NULL, self->size));
	EXPECT_EQ(self->size, index_ring_count(&self->ring));
}

/* Nor does a tail behind head make it count too few. */
TEST_F(ring, hold_all_counts_no_ring_as_less_than_empty)
{
	s64 tail = atomic64_read(&self->ring.tail);
	atomic64_t entries[1 << MAX_ORDER] = {};
	struct index_ring other;

	index_ring_init(&other, entries, variant->order, self->size);
	index_ring_put(&self->ring, index_ring_take(&other));
	index_ring_put(&other, index_ring_take(&self->ring));
	atomic64_set(&self->ring.tail, tail);
	EXPECT_TRUE(index_ring_hold_all(&self->ring, &other, self->size));
	EXPECT_TRUE(index_ring_hold_all(&other, &self->ring, self->size));
}

TEST_HARNESS_MAIN
