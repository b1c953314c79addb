// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packed reads and writes that fail: headers that are bad, or change, and memory that is not there.
 */

#include <stddef.h>

#include "packed_test.h"

/*
 * Writes @bytes of a bad message after each number of good ones: these are sent, and
 * the next call fails with @error and sends nothing.  Whether all that went so.
 */
static bool refused(int pn, int nb, int capacity, const void *bad, int bytes, int error)
{
	int goods[] = { 0, 1, capacity - 1, capacity }, i, j, at, good;
	int size = capacity * space_of(LEN) + bytes;
	unsigned char *buf = malloc(size);
	bool right = true;

	for (i = 0; i < 4; i++) {
		good = goods[i];
		for (at = j = 0; j < good; j++)
			at += pack(buf + at, LEN, j);
		memcpy(buf + at, bad, bytes);
		if (good)
			right &= put(pn, buf, at + bytes) == at && depth(pn) == good;
		right &= put(pn, buf + at, bytes) == error && depth(pn) == good;
		for (j = 0; j < good; j++)
			right &= take_msg(nb, LEN, j) == LEN;
	}
	free(buf);
	return right;
}

TEST_F(packed, bad_headers)
{
	const struct {
		__u32 len;
		int error;
	} bad[] = {
		{ 0, -EINVAL },
		{ self->msg_size + 1, -EMSGSIZE },
		{ MSG_SIZE_MAX + 1, -EMSGSIZE },
		{ INT_MAX, -EMSGSIZE },
		{ 1U << 31, -EMSGSIZE },
		{ UINT32_MAX - 24, -EMSGSIZE },
		{ UINT32_MAX - 23, -EMSGSIZE },
		{ UINT32_MAX - 7, -EMSGSIZE },
		{ UINT32_MAX - 6, -EMSGSIZE },
		{ UINT32_MAX, -EMSGSIZE },
	};
	static const size_t zero[] = {
		offsetof(struct mpmcq_msg, flags), offsetof(struct mpmcq_msg, flags) + 1,
		offsetof(struct mpmcq_msg, priority), offsetof(struct mpmcq_msg, delay_ms),
		offsetof(struct mpmcq_msg, delay_ms) + 1,
		offsetof(struct mpmcq_msg, delay_ms) + 2,
		offsetof(struct mpmcq_msg, delay_ms) + 3,
	};
	struct mpmcq_msg msg = {};
	size_t i;
	int bit;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		msg.len = bad[i].len;
		memset(large, 0, space_of(MSG_SIZE_MAX));
		memcpy(large, &msg, sizeof(msg));
		/* With as much behind it as the longest may have, and with less. */
		EXPECT_TRUE(refused(self->pn, self->nb, self->capacity, large,
				    space_of(MSG_SIZE_MAX + 1), bad[i].error))
			TH_LOG("length %u", bad[i].len);
		EXPECT_TRUE(refused(self->pn, self->nb, self->capacity, large,
				    space_of(8), bad[i].error))
			TH_LOG("length %u, short", bad[i].len);
	}
	/* Each bit of flags, priority and delay_ms. */
	for (bit = 0; bit < 8 * (int)ARRAY_SIZE(zero); bit++) {
		msg = (struct mpmcq_msg){ .len = 8 };
		memset(large, 0, space_of(8));
		memcpy(large, &msg, sizeof(msg));
		large[zero[bit / 8]] |= 1U << bit % 8;
		EXPECT_TRUE(refused(self->pn, self->nb, self->capacity, large, space_of(8),
				    -EINVAL)) TH_LOG("byte %zu, bit %d", zero[bit / 8], bit % 8);
	}
}

TEST_F_TIMEOUT(packed, cut_off, 200)
{
	int bytes, len, lengths[] = { 1, 8, 13, self->msg_size };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		pack(large, len, 1);
		for (bytes = 1; bytes < space_of(len); bytes = next_cut(bytes, space_of(len)))
			ASSERT_TRUE(refused(self->pn, self->nb, self->capacity, large, bytes,
					    -EINVAL)) TH_LOG("%d of %d", bytes, space_of(len));
	}
}

/* Nor does the waiting file wait for room for what is bad. */
TEST_F(packed, bad_when_full)
{
	struct mpmcq_msg msg = {};

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(-EINVAL, put(self->pk, &msg, sizeof(msg)));
	EXPECT_EQ(-EINVAL, put(self->pk, &msg, sizeof(msg) - 1));
	msg.len = self->msg_size + 1;
	memcpy(large, &msg, sizeof(msg));
	EXPECT_EQ(-EMSGSIZE, put(self->pk, large, space_of(msg.len)));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* By syscall(), lest the compiler complain that the buffer is not that long. */
static const size_t huge[] = {
	1UL << 31, (1UL << 31) - 65536, INT_MAX, (1UL << 32) + 1,
};

TEST_F(packed, huge_lengths)
{
	struct mpmcq_msg msg;
	int at, space = space_of(self->msg_size);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		memset(large, 0, sizeof(large));
		at = pack(large, LEN, i);
		at += pack(large + at, LEN, i + 1);
		ASSERT_EQ(at, result(syscall(SYS_write, self->pk, large, huge[i])));
		ASSERT_EQ(2, take_packed(self->pk, 2, LEN, i, NULL));

		ASSERT_EQ(2, put_packed(self->pk, 2, self->msg_size, i));
		memset(large, JUNK, 2 * space + MARGIN);
		ASSERT_EQ(2 * space, result(syscall(SYS_read, self->pk, large, huge[i])));
		EXPECT_EQ(space, unpack(large, space, self->msg_size, i, &msg));
		EXPECT_EQ(space, unpack(large + space, space, self->msg_size, i + 1, &msg));
		EXPECT_TRUE(is_junk(large + 2 * space, MARGIN));
	}
}

TEST_F(packed, unaligned)
{
	int offset, i, at, space = space_of(13), n = smaller(self->capacity, 3);
	struct mpmcq_msg msg;

	for (offset = 1; offset < 16; offset++) {
		for (i = at = 0; i < n; i++)
			at += pack(large + offset + at, 13, offset + i);
		ASSERT_EQ(at, put(self->pk, large + offset, at));
		ASSERT_EQ(at, take(self->pk, large + 16 - offset, at));
		for (i = 0; i < n; i++)
			ASSERT_EQ(space, unpack(large + 16 - offset + i * space, space, 13,
						offset + i, &msg));
	}
}

/*
 * A write over the edge of what is there sends the messages before it.  What is the
 * padding of one may be there or not.
 */
TEST_F(packed, write_over_edge)
{
	int i, j, at, ret, before, lengths[] = { 1, 13, self->msg_size };
	int n = smaller(self->capacity, 3);
	unsigned char *edge = map_edge_of(3 * space_of(self->msg_size));

	ASSERT_NE(NULL, edge);
	for (i = 0; i < 3; i++) {
		int len = lengths[i], space = space_of(len), total = n * space;

		for (before = 0; before < total; before = next_cut(before, total)) {
			int whole = before / space;
			int most = whole + (before % space >= HEADER + len);

			for (at = j = 0; at < before; at += space, j++) {
				pack(large, len, j);
				memcpy(edge - before + at, large, smaller(space, before - at));
			}
			ret = put(before % 2 ? self->pk : self->pn, edge - before, total);
			if (ret != most * space || !most)
				ASSERT_EQ(whole ? whole * space : -EFAULT, ret)
					TH_LOG("%d of %d bytes are there", before, total);
			whole = ret < 0 ? 0 : ret / space;
			ASSERT_EQ(whole, depth(self->fd));
			for (j = 0; j < whole; j++)
				ASSERT_EQ(len, take_msg(self->nb, len, j));
			if (whole < most || most * space < before)
				ASSERT_EQ(-EFAULT, put(self->pn, edge - before + whole * space,
						       total - whole * space));
			ASSERT_EQ(0, depth(self->fd));
		}
	}
}

/* A read over the edge delivers those before it; the others stay, in order. */
TEST_F(packed, read_over_edge)
{
	int i, j, before, lengths[] = { 1, 13, self->msg_size };
	int n = smaller(self->capacity, 3);
	unsigned char *edge = map_edge_of(3 * space_of(self->msg_size));
	struct mpmcq_msg msg;

	ASSERT_NE(NULL, edge);
	for (i = 0; i < 3; i++) {
		int len = lengths[i], space = space_of(len), total = n * space;

		for (before = 0; before < total; before = next_cut(before, total)) {
			int whole = before / space;

			ASSERT_EQ(n, put_packed(self->pk, n, len, before));
			memset(edge - before, JUNK, before);
			ASSERT_EQ(whole ? whole * space : -EFAULT,
				  result(read(before % 2 ? self->pk : self->pn, edge - before,
					      total + 100)))
				TH_LOG("%d of %d bytes are there", before, total);
			ASSERT_EQ(n - whole, depth(self->fd));
			for (j = 0; j < whole; j++)
				ASSERT_EQ(space, unpack(edge - before + j * space, space, len,
							before + j, &msg));
			if (before > whole * space)
				ASSERT_EQ(-EFAULT, result(read(self->pn,
							       edge - before + whole * space,
							       total + 100)));
			ASSERT_EQ(n - whole, take_packed(self->pn, n, len, before + whole, NULL));
		}
	}
}

TEST_F(packed, bad_addresses)
{
	void *const bad[] = { NULL, (void *)8, map(getpagesize(), PROT_NONE), (void *)-4096UL };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iovec iov[] = { { large, space_of(8) }, { bad[i], space_of(8) } };

		EXPECT_EQ(-EFAULT, put(self->pk, bad[i], space_of(8))) TH_LOG("at %p", bad[i]);
		EXPECT_EQ(0, depth(self->fd));
		ASSERT_EQ(2, put_packed(self->pk, 2, 8, i));
		EXPECT_EQ(-EFAULT, result(read(self->pk, bad[i], 2 * space_of(8))))
			TH_LOG("at %p", bad[i]);
		EXPECT_EQ(2, depth(self->fd));

		/* An address that no program has fails the call before we see it. */
		if (bad[i] != (void *)-4096UL) {
			EXPECT_EQ(space_of(8), result(readv(self->pk, iov, 2)));
			EXPECT_EQ(1, take_packed(self->pk, 1, 8, i + 1, NULL));
			EXPECT_EQ(space_of(8), result(writev(self->pk, iov, 2)));
			EXPECT_EQ(8, take_msg(self->nb, 8, i));
		} else {
			EXPECT_EQ(2, take_packed(self->pk, 2, 8, i, NULL));
		}
	}
}

/* The length that a header says while it is read once is the one that counts. */
static void *change_length(void *arg)
{
	struct mpmcq_msg *msg = arg;

	while (!__atomic_load_n(&msg->id, __ATOMIC_RELAXED)) {
		__atomic_store_n(&msg->len, 40, __ATOMIC_RELAXED);
		__atomic_store_n(&msg->len, 8, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(packed, header_changes)
{
	struct mpmcq_msg *msg = (void *)large;
	int i, ret, seen = 0;
	pthread_t thread;

	memset(large, 0, space_of(40));
	msg->len = 8;
	ASSERT_EQ(0, pthread_create(&thread, NULL, change_length, msg));
	for (i = 0; i < 20000 && (i < 2000 || seen != 3); i++) {
		unsigned char buf[40];
		int len = -1;

		/* After the shorter there are zeros, which are no message. */
		ret = put(self->pn, large, space_of(40));
		if (ret == space_of(8))
			len = 8;
		if (ret == space_of(40))
			len = 40;
		seen |= len == 8 ? 1 : 2;
		ASSERT_EQ(len, take(self->nb, buf, sizeof(buf)));
		ASSERT_EQ(-EAGAIN, take(self->nb, buf, sizeof(buf)));
	}
	__atomic_store_n(&msg->id, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

TEST_HARNESS_MAIN
