// SPDX-License-Identifier: GPL-2.0-only
/*
 * Peeking: copies of messages that stay where they are, wherever that is; by their place, and by
 * names that last as long as they do.
 */

#include <stddef.h>

#include "own_test.h"

#define READY		MPMCQ_PEEK_READY
#define RETURNED	MPMCQ_PEEK_RETURNED
#define DEAD_ONES	MPMCQ_PEEK_DEAD
#define PARKED		MPMCQ_PEEK_PARKED
#define SEQ		MPMCQ_PEEK_SEQ
#define NEXT		MPMCQ_PEEK_NEXT

#define CAPACITY	16
#define FOR_EVER	UINT32_MAX

/* The call as it is; what it is to fill in is junk first. */
static int peek(int fd, struct mpmcq_peek *req)
{
	size_t in = offsetof(struct mpmcq_peek, found);
	struct mpmcq_peek before;
	int ret;

	req->size = sizeof(*req);
	memset((char *)req + in, JUNK, sizeof(*req) - in);
	before = *req;
	ret = result(ioctl(fd, MPMCQ_IOC_PEEK, req));
	if (memcmp(&before, req, in))
		return -EBADMSG;
	return ret;
}

/* Looks at message number @seed of @len bytes; -EBADMSG if it is another. */
static int peek_msg(int fd, struct mpmcq_peek *req, int len, unsigned int seed)
{
	unsigned char buf[MSG_SIZE_MAX];
	int ret;

	memset(buf, JUNK, sizeof(buf));
	req->buf = (unsigned long)buf;
	req->buf_len = sizeof(buf) - MARGIN;
	ret = peek(fd, req);
	if (ret)
		return is_junk(buf, sizeof(buf)) ? ret : -EBADMSG;
	if (req->len != (__u32)len || !is_filled(buf, len, seed) ||
	    !is_junk(buf + len, MARGIN))
		return -EBADMSG;
	return 0;
}

static int peek_at(int fd, __u32 where, __u32 position, unsigned int seed, struct mpmcq_peek *got)
{
	*got = (struct mpmcq_peek){ .where = where, .position = position };
	return peek_msg(fd, got, LEN, seed);
}

static int peek_seq(int fd, __u32 where, __u32 flags, __u64 seq, unsigned int seed,
		    struct mpmcq_peek *got)
{
	*got = (struct mpmcq_peek){ .where = where, .flags = flags, .seq = seq };
	return peek_msg(fd, got, LEN, seed);
}

FIXTURE(peek)
{
	int fd;		/* does not wait, as the others */
	int le;
	int pk;
};

FIXTURE_SETUP(peek)
{
	self->fd = make_queue(.capacity = CAPACITY, .msg_size = 64, .flags = MPMCQ_DELAY,
			      .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	self->pk = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, self->le);
	ASSERT_LE(0, self->pk);
}

FIXTURE_TEARDOWN(peek)
{
	close(self->le);
	close(self->pk);
	close(self->fd);
}

TEST_F(peek, ready)
{
	struct mpmcq_peek got, again;
	__u32 i;

	EXPECT_EQ(-ENOENT, peek_at(self->fd, READY, 0, 0, &got));
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
	for (i = 0; i < CAPACITY; i++) {
		ASSERT_EQ(0, peek_at(self->fd, READY, i, i, &got)) TH_LOG("%u", i);
		EXPECT_EQ(0, got.deliveries | got.delay_ms | got.state | got.reason);
		/* Its name says where it is. */
		EXPECT_EQ(0, peek_seq(self->fd, READY, SEQ, got.found, i, &again));
		EXPECT_EQ(got.found, again.found);
	}
	EXPECT_EQ(-ENOENT, peek_at(self->fd, READY, CAPACITY, 0, &got));
	EXPECT_EQ(-ENOENT, peek_at(self->fd, READY, UINT32_MAX, 0, &got));
	EXPECT_EQ(CAPACITY, depth(self->fd));
	EXPECT_EQ(0, info_of(self->fd).received);

	/* And is gone with it, though the bytes are still there. */
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 0));
	EXPECT_EQ(0, peek_at(self->fd, READY, 0, 1, &got));
	EXPECT_EQ(-ENOENT, peek_at(self->fd, READY, CAPACITY - 1, 0, &got));
	again = got;
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, READY, SEQ, again.found, 1, &got));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 20));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 21));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, READY, SEQ, again.found, 1, &got));
}

/* One name through all that may become of a message; another message has another. */
TEST_F(peek, name_lasts)
{
	struct mpmcq_peek got;
	struct mpmcq_msg msg;
	__u64 seq;
	int dd;

	ASSERT_EQ(1, put_delayed(self->pk, &(__u32){ FOR_EVER }, 1, 1));
	ASSERT_EQ(0, peek_at(self->fd, PARKED, 0, 1, &got));
	seq = got.found;
	EXPECT_NE(0, seq);
	EXPECT_LT(FOR_EVER - 60000, got.delay_ms);
	ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, MPMCQ_CLOSE_DUE)));
	EXPECT_TRUE(comes_true(!peek_seq(self->fd, READY, SEQ, seq, 1, &got)));
	EXPECT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, PARKED, SEQ, seq, 1, &got));
	EXPECT_EQ(-ESTALE, peek_seq(self->fd, PARKED, NEXT, seq, 1, &got));

	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, READY, SEQ, seq, 1, &got));
	EXPECT_EQ(1, settle(self->le, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, &msg.id, 1, NULL));
	ASSERT_EQ(0, peek_seq(self->fd, RETURNED, SEQ, seq, 1, &got));
	EXPECT_EQ(1, got.deliveries);
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, READY, SEQ, seq, 1, &got));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, reject(self->le, msg.id));
	ASSERT_EQ(0, peek_at(self->fd, DEAD_ONES, 0, 1, &got));
	EXPECT_EQ(seq, got.found);
	EXPECT_EQ(2, got.deliveries);
	EXPECT_EQ(MPMCQ_REASON_REJECTED, got.reason);
	EXPECT_EQ(1, revive(self->fd, 0));
	ASSERT_EQ(0, peek_seq(self->fd, READY, SEQ, seq, 1, &got));
	EXPECT_EQ(0, got.deliveries);
	EXPECT_EQ(MPMCQ_STATE_SUSPECT, got.state);
	dd = attach(self->fd, O_RDONLY | O_NONBLOCK, 0, 0);
	EXPECT_EQ(LEN, take_msg(dd, LEN, 1));
	close(dd);
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, READY, SEQ, seq, 1, &got));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, DEAD_ONES, SEQ, seq, 1, &got));
}

/* A queue is saved by these. */
TEST_F(peek, parked)
{
	static const __u32 delays[] = { 50000, 10000, 40000, 10000, FOR_EVER };
	static const unsigned int order[] = { 1, 3, 2, 0, 4 };
	struct mpmcq_peek got, first;
	size_t i;
	__u64 seq;

	EXPECT_EQ(-ENOENT, peek_at(self->fd, PARKED, 0, 0, &got));
	for (i = 0; i < ARRAY_SIZE(delays); i++)
		ASSERT_EQ(1, put_delayed(self->pk, &delays[i], 1, i));
	ASSERT_EQ(0, peek_at(self->fd, PARKED, 0, 1, &first));
	EXPECT_GE(10000, first.delay_ms);
	EXPECT_LT(5000, first.delay_ms);
	for (seq = first.found, i = 1; i < ARRAY_SIZE(delays); i++, seq = got.found) {
		ASSERT_EQ(0, peek_seq(self->fd, PARKED, NEXT, seq, order[i], &got));
		EXPECT_EQ(0, peek_seq(self->fd, PARKED, SEQ, got.found, order[i], &got));
	}
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, PARKED, NEXT, seq, 0, &got));
	EXPECT_EQ(-ESTALE, peek_seq(self->fd, PARKED, NEXT, seq + (1 << 20), 0, &got));
	EXPECT_EQ(-ENOENT, peek_seq(self->fd, PARKED, SEQ, UINT64_MAX, 0, &got));
	EXPECT_EQ(-ESTALE, peek_seq(self->fd, PARKED, NEXT, UINT64_MAX, 0, &got));
	EXPECT_EQ(5, info_of(self->fd).parked);
}

TEST_F(peek, short_buffer)
{
	struct mpmcq_peek req = { .where = READY };
	unsigned char buf[8];

	ASSERT_EQ(8, put_msg(self->fd, 8, 1));
	EXPECT_EQ(0, peek(self->fd, &req));
	EXPECT_EQ(8, req.len);
	req.buf = (unsigned long)buf;
	req.buf_len = 7;
	memset(buf, JUNK, 8);
	EXPECT_EQ(-EMSGSIZE, peek(self->fd, &req));
	EXPECT_EQ(8, req.len);
	EXPECT_TRUE(is_junk(buf, 8));
	req.buf_len = 8;
	EXPECT_EQ(0, peek(self->fd, &req));
	EXPECT_TRUE(is_filled(buf, 8, 1));
	req.buf_len = UINT32_MAX;
	EXPECT_EQ(0, peek(self->fd, &req));
	req.buf = 1;
	EXPECT_EQ(-EFAULT, peek(self->fd, &req));
	EXPECT_EQ(8, take_msg(self->fd, 8, 1));
}

TEST_F(peek, bad)
{
	const struct mpmcq_peek bad[] = {
		{ }, { .where = PARKED + 1 }, { .where = UINT32_MAX },
		{ .where = READY, .seq = 1 }, { .where = READY, .flags = SEQ },
		{ .where = READY, .flags = SEQ, .seq = 1, .position = 1 },
		{ .where = READY, .flags = NEXT, .seq = 1 },
		{ .where = DEAD_ONES, .flags = SEQ | NEXT, .seq = 1 },
		{ .where = PARKED, .flags = SEQ | NEXT, .seq = 1 },
		{ .where = PARKED, .flags = 4, .seq = 1 }, { .where = PARKED, .position = 1 },
		{ .where = READY, .priority = 1 },
	};
	int wo = attach(self->fd, O_WRONLY, 0, 0);
	struct mpmcq_peek req;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		req = bad[i];
		EXPECT_EQ(-EINVAL, peek(self->fd, &req)) TH_LOG("%zu", i);
	}
	req = (struct mpmcq_peek){ .where = READY };
	EXPECT_EQ(-EBADF, peek(wo, &req));
	close(wo);
}

/* What writers write and readers read meanwhile: each copy is whole, and of a message. */
TEST_F(peek, races)
{
	enum { ROUNDS = 20000, SIZE = 64, NUMBERS = 250 };
	unsigned char buf[SIZE], want[SIZE];
	int i, seen = 0, gone = 0, late = 0;
	struct mpmcq_peek req;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		for (i = 0;; i = (i + 1) % NUMBERS) {
			put_msg(self->fd, SIZE, i);
			if (i % 3)
				take_all(self->fd);
		}
	}
	for (i = 0; i < ROUNDS; i++) {
		req = (struct mpmcq_peek){
			.where = READY, .position = i % 3,
			.buf = (unsigned long)buf, .buf_len = SIZE,
		};
		switch (peek(self->fd, &req)) {
		case 0:
			seen++;
			/* Its number is that of its first byte. */
			fill(want, SIZE, buf[0]);
			if (req.len == SIZE && !memcmp(buf, want, SIZE))
				break;
			ksft_print_msg("round %d: len %u\n", i, req.len);
			i = 2 * ROUNDS;
			break;
		case -ENOENT:
			gone++;
			break;
		case -EAGAIN:
			late++;
			break;
		default:
			i = 2 * ROUNDS;
		}
	}
	kill(child, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(child));
	EXPECT_EQ(ROUNDS, i);
	EXPECT_LT(0, seen);
	TH_LOG("%d seen, %d not there, %d too late", seen, gone, late);
}

TEST_F(peek, uuid)
{
	static const __u8 zero[16];
	int other = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	struct mpmcq_info a = info_of(self->fd), b = info_of(self->le), c = info_of(other);

	EXPECT_NE(0, memcmp(a.uuid, zero, 16));
	EXPECT_EQ(0, memcmp(a.uuid, b.uuid, 16));
	EXPECT_NE(0, memcmp(a.uuid, c.uuid, 16));
	close(other);
}

TEST_HARNESS_MAIN
