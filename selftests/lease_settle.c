// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests that settle leases: acknowledge, give back, reject and touch, of ids good and bad.
 */

#include "lease_test.h"

TEST_F(lease, ack_some)
{
	struct mpmcq_msg msg[FEW];
	__u64 ids[FEW];
	int i, le = hold_some(self->n, msg);

	for (i = 0; i < self->n - 1; i++)
		ids[i] = msg[i + 1].id;
	EXPECT_EQ(self->n - 1, settle(le, MPMCQ_SETTLE_ACK, 0, ids, self->n - 1, NULL));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(0, ack_all(le));
}

static const __u32 ops[] = {
	MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_REJECT, MPMCQ_SETTLE_TOUCH,
};

/* What is not held does not keep the rest from being done. */
TEST_F(lease, unknown_among_known)
{
	int le, other, done;
	struct mpmcq_msg msg[FEW], theirs;
	__u64 ids[4];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 9));
		other = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
		ASSERT_EQ(1, take_packed(other, 1, LEN, 9, &theirs));
		le = put_and_hold(self->fd, 1, msg);
		ASSERT_LE(0, le);
		ids[0] = theirs.id;
		ids[1] = msg[0].id;
		ids[2] = msg[0].id;
		ids[3] = 0;
		EXPECT_EQ(-ENOENT, settle(le, ops[i], 0, ids, 4, (__u32 *)&done))
			TH_LOG("op %zu", i);
		/* It can be touched twice. */
		EXPECT_EQ(ops[i] == MPMCQ_SETTLE_TOUCH ? 2 : 1, done);
		EXPECT_EQ(ops[i] == MPMCQ_SETTLE_TOUCH ? 1 : 0, held(le));
		EXPECT_EQ(1, held(other));
		EXPECT_EQ(1, ack(other, theirs.id));
		close(other);
		close(le);
		take_all(self->nb);
		purge(self->fd, 0);
	}
}

TEST_F(lease, unknown_ids)
{
	struct mpmcq_msg msg;
	int bit, le = hold_some(1, &msg);
	__u32 done;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (bit = 0; bit < 64; bit++) {
			__u64 id = msg.id ^ 1ULL << bit;

			ASSERT_EQ(-ENOENT, settle(le, ops[i], 0, &id, 1, &done))
				TH_LOG("bit %d", bit);
			ASSERT_EQ(0, done);
			id = 1ULL << bit;
			if (id != msg.id)
				ASSERT_EQ(-ENOENT, settle(le, ops[i], 0, &id, 1, &done));
			id = ~id;
			if (id != msg.id)
				ASSERT_EQ(-ENOENT, settle(le, ops[i], 0, &id, 1, &done));
		}
		EXPECT_EQ(1, held(le));
	}
	EXPECT_EQ(1, ack(le, msg.id));
	/* Nor is the id good for the next message in the same slot. */
	for (bit = 0; bit < 2 * self->capacity; bit++) {
		struct mpmcq_msg next;

		ASSERT_EQ(LEN, put_msg(self->nb, LEN, bit));
		ASSERT_EQ(1, take_packed(le, 1, LEN, bit, &next));
		ASSERT_NE(msg.id, next.id);
		ASSERT_EQ(-ENOENT, ack(le, msg.id));
		ASSERT_EQ(1, ack(le, next.id));
	}
}

/* Nor for the same message when it comes again, by whichever way. */
TEST_F(lease, id_of_an_earlier_delivery)
{
	struct mpmcq_msg msg[20];
	int le = hold_some(1, msg), i, j;

	for (i = 1; i < 20; i++) {
		ASSERT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, i % 3 ? FRONT : 0,
				    &msg[i - 1].id, 1, NULL));
		ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg[i]));
		for (j = 0; j < i; j++) {
			ASSERT_NE(msg[j].id, msg[i].id);
			ASSERT_EQ(-ENOENT, ack(le, msg[j].id));
			ASSERT_EQ(-ENOENT, nack(le, msg[j].id));
			ASSERT_EQ(-ENOENT, reject(le, msg[j].id));
			ASSERT_EQ(-ENOENT, touch(le, msg[j].id));
		}
		EXPECT_EQ(1, held(le));
	}
	EXPECT_EQ(1, ack(le, msg[i - 1].id));
}

TEST_F(lease, bad_requests)
{
	struct mpmcq_msg msg;
	static __u64 ids[MPMCQ_MAX_HELD_MAX + 1];
	int le = hold_some(1, &msg);
	__u32 done;
	size_t i;

	ids[0] = msg.id;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		__u32 op = ops[i];

		EXPECT_EQ(-EINVAL, settle(le, op, 0, ids, 0, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, 0, NULL, 0, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, 0, ids, ARRAY_SIZE(ids), NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, 0, ids, UINT32_MAX, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, ALL, ids, 0, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, ALL, NULL, 1, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, ALL, ids, 1, NULL));
		EXPECT_EQ(-EFAULT, settle(le, op, 0, NULL, 1, NULL));
		EXPECT_EQ(-EFAULT, settle(le, op, 0, (void *)-8UL, 1, NULL));
		EXPECT_EQ(-EFAULT, settle(le, op, 0, (void *)-8UL, MPMCQ_MAX_HELD_MAX, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, 16, ids, 1, NULL));
		EXPECT_EQ(-EINVAL, settle(le, op, 1U << 31, ids, 1, NULL));
		if (op != MPMCQ_SETTLE_NACK) {
			EXPECT_EQ(-EINVAL, settle(le, op, FRONT, ids, 1, NULL));
			EXPECT_EQ(-EINVAL, settle(le, op, FRONT | ALL, NULL, 0, NULL));
			EXPECT_EQ(-EINVAL, settle(le, op, UNTRIED, ids, 1, NULL));
			EXPECT_EQ(-EINVAL, settle(le, op, UNTRIED | ALL, NULL, 0, NULL));
		}
		EXPECT_EQ(1, held(le));
	}
	EXPECT_EQ(-EINVAL, settle(le, 0, 0, ids, 1, NULL));
	EXPECT_EQ(-EINVAL, settle(le, 0, ALL, NULL, 0, NULL));
	EXPECT_EQ(-EINVAL, settle(le, MPMCQ_SETTLE_REVIVE, 0, ids, 1, NULL));
	EXPECT_EQ(-EINVAL, settle(le, MPMCQ_SETTLE_REVIVE + 1, 0, ids, 1, NULL));
	EXPECT_EQ(-EINVAL, settle(le, UINT32_MAX, ALL, NULL, 0, NULL));
	ids[0] = 0;
	ids[ARRAY_SIZE(ids) - 2] = msg.id;
	EXPECT_EQ(-ENOENT, settle(le, MPMCQ_SETTLE_ACK, 0, ids, ARRAY_SIZE(ids) - 1, &done));
	EXPECT_EQ(1, done);
	EXPECT_EQ(0, held(le));
}

/* Ids over the edge of what is there: nothing is done. */
TEST_F(lease, ids_over_edge)
{
	struct mpmcq_msg msg[FEW];
	__u64 *edge = (void *)map_edge();
	__u32 done;
	int i, le;
	size_t op;

	ASSERT_NE(NULL, edge);
	for (op = 0; op < ARRAY_SIZE(ops); op++) {
		le = put_and_hold(self->fd, self->n, msg);
		ASSERT_LE(0, le);
		for (i = 0; i < self->n - 1; i++)
			edge[i - self->n + 1] = msg[i].id;
		EXPECT_EQ(-EFAULT, settle(le, ops[op], 0, edge - self->n + 1, self->n, &done));
		EXPECT_EQ(0, done);
		EXPECT_EQ(self->n, ack_all(le));
		close(le);
	}
}

/* The request can be read and the answer not be written: nothing is done. */
TEST_F(lease, answer_not_writable)
{
	struct mpmcq_settle *req = map(getpagesize(), PROT_READ | PROT_WRITE);
	struct mpmcq_msg msg;
	int le = hold_some(1, &msg);

	ASSERT_NE(MAP_FAILED, req);
	*req = (struct mpmcq_settle){
		.size = sizeof(*req), .op = MPMCQ_SETTLE_ACK, .flags = ALL,
	};
	ASSERT_EQ(0, mprotect(req, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(le, MPMCQ_IOC_SETTLE, req)));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(1, ack_all(le));
	munmap(req, getpagesize());
}

TEST_F(lease, requests_without_lease)
{
	int writer = attach(self->fd, O_WRONLY, 0, 0);
	__u64 id = 1;
	__u32 done;
	size_t i;

	ASSERT_LE(0, writer);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		EXPECT_EQ(0, settle_all(self->fd, ops[i]));
		EXPECT_EQ(-ENOENT, settle(self->fd, ops[i], 0, &id, 1, &done));
		EXPECT_EQ(0, done);
		EXPECT_EQ(-EBADF, settle_all(writer, ops[i]));
		EXPECT_EQ(-EBADF, settle(writer, ops[i], 0, &id, 1, NULL));
	}
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 0));
	close(writer);
}

/* Sends @n messages, and has the first half of them given back. */
static void nack_half(struct __test_metadata *_metadata, FIXTURE_DATA(lease) * self, __u32 flags)
{
	struct mpmcq_msg msg[FEW];
	int i, le, half = self->n / 2;
	__u64 ids[FEW];

	for (i = 0; i < self->n; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	ASSERT_EQ(half, take_packed(le, half, LEN, 0, msg));
	for (i = 0; i < half; i++)
		ids[i] = msg[i].id;
	EXPECT_EQ(half, settle(le, MPMCQ_SETTLE_NACK, flags, ids, half, NULL));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(self->n, depth(self->fd));
	close(le);
}

TEST_F(lease, nack_to_tail)
{
	int half = self->n / 2;

	nack_half(_metadata, self, 0);
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - half, half));
	EXPECT_EQ(half - 1, take_some(self->nb, half, 0));
}

TEST_F(lease, nack_to_front)
{
	nack_half(_metadata, self, FRONT);
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n, 0));
}

TEST_F(lease, nack_all)
{
	struct mpmcq_msg msg[FEW];
	int le = hold_some(self->n, msg);

	EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_NACK));
	EXPECT_EQ(self->n, depth(self->fd));
	EXPECT_EQ(self->n, take_packed(le, self->n, LEN, 0, msg));
	EXPECT_EQ(2, msg[0].deliveries);
	EXPECT_EQ(self->n, settle(le, MPMCQ_SETTLE_NACK, ALL | FRONT, NULL, 0, NULL));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n, 0));
}

/* The length that FIONREAD tells is that of what is read next. */
TEST_F(lease, returned_is_next)
{
	struct mpmcq_msg msg;
	int le = hold_some(1, &msg);

	ASSERT_EQ(LEN + 1, put_msg(self->nb, LEN + 1, 1));
	EXPECT_EQ(LEN + 1, next_len(self->fd));
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, FRONT, &msg.id, 1, NULL));
	EXPECT_EQ(LEN, next_len(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 0));
	EXPECT_EQ(LEN + 1, take_msg(self->nb, LEN + 1, 1));
}

/* One message at a time, and requests for it without its id. */
TEST_F(lease, requests_for_all_of_one)
{
	int le = reader(O_NONBLOCK, 0);

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_TOUCH));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_NACK));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, ALL | FRONT, NULL, 0, NULL));
	EXPECT_EQ(2, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	EXPECT_EQ(1, dead(self->fd));
	EXPECT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(0, ack_all(le));
	EXPECT_EQ(-EAGAIN, take(le, large, LEN));
	EXPECT_EQ(1, purge(self->fd, 0));
}

TEST_F(lease, reject)
{
	struct mpmcq_msg msg[FEW];
	int i, le = hold_some(self->n, msg);

	for (i = 0; i < self->n; i++) {
		EXPECT_EQ(1, reject(le, msg[i].id));
		EXPECT_EQ(i + 1, dead(self->fd));
		EXPECT_EQ(0, depth(self->fd));
		EXPECT_EQ(self->n - 1 - i, held(le));
	}
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	EXPECT_EQ(self->n, purge(self->fd, 0));
}

TEST_F(lease, touch)
{
	struct mpmcq_msg msg[FEW];
	int i, le = hold_some(self->n, msg);

	for (i = 0; i < self->n; i++)
		EXPECT_EQ(1, touch(le, msg[i].id));
	EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_TOUCH));
	EXPECT_EQ(self->n, held(le));
	EXPECT_EQ(self->n, ack_all(le));
}

TEST_HARNESS_MAIN
