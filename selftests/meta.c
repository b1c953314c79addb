// SPDX-License-Identifier: GPL-2.0-only
/*
 * The long header: the name of a message, its age, and who sent it.
 */

#include "own_test.h"

#define NOBODY	65534
#define MAX_LEN	2048	/* some are longer than what is copied by words */

/* Packs message number @seed with a long header, in which all that is ignored is junk. */
static int pack_meta(unsigned char *at, int len, unsigned int seed, __u32 delay_ms)
{
	struct mpmcq_meta meta;

	memset(&meta, JUNK, sizeof(meta));
	meta.msg.len = len;
	meta.msg.flags = 0;
	meta.msg.priority = 0;
	meta.msg.delay_ms = delay_ms;
	memset(at, JUNK, MPMCQ_META_SPACE(len));
	memcpy(at, &meta, sizeof(meta));
	fill(at + sizeof(meta), len, seed);
	return MPMCQ_META_SPACE(len);
}

/* Takes @n messages of @len bytes, the first number @seed, with their headers; how many. */
static int take_meta(int fd, int n, int len, unsigned int seed, struct mpmcq_meta *meta)
{
	static unsigned char buf[16 * MPMCQ_META_SPACE(MAX_LEN)];
	static const unsigned char zeros[8];
	int ret = take(fd, buf, n * MPMCQ_META_SPACE(len)), i, space = MPMCQ_META_SPACE(len);
	const unsigned char *at = buf;

	for (i = 0; i * space < ret; i++, at += space) {
		memcpy(&meta[i], at, sizeof(*meta));
		if (meta[i].msg.len != (__u32)len || meta[i].msg.flags || meta[i].msg.delay_ms ||
		    !is_filled(at + sizeof(*meta), len, seed + i) ||
		    memcmp(at + sizeof(*meta) + len, zeros, space - sizeof(*meta) - len))
			return -EBADMSG;
	}
	return ret < 0 ? ret : ret % space ? -EBADMSG : i;
}

FIXTURE(meta)
{
	int fd;
	int me;		/* with long headers */
};

FIXTURE_VARIANT(meta)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(meta, stamped) { .flags = MPMCQ_STAMP | MPMCQ_DELAY };
FIXTURE_VARIANT_ADD(meta, plain) { .flags = MPMCQ_DELAY };

FIXTURE_SETUP(meta)
{
	self->fd = make_queue(.capacity = 16, .msg_size = MAX_LEN, .flags = variant->flags,
			      .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->me = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED | META, 0);
	ASSERT_LE(0, self->me);
	EXPECT_EQ(variant->flags, info_of(self->fd).flags);
	EXPECT_EQ(PACKED | META, info_of(self->me).modes);
}

FIXTURE_TEARDOWN(meta)
{
	close(self->me);
	take_all(self->fd);
	EXPECT_EQ(16, put_all(self->fd, LEN, 0));
	close(self->fd);
}

TEST_F(meta, told)
{
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY };
	bool stamped = variant->flags & MPMCQ_STAMP;
	struct mpmcq_meta meta[4];
	static const int lengths[] = { 1, 7, 8, 64, 1024, 1025, MAX_LEN };
	size_t i;
	int j;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		for (j = 0; j < 4; j++)
			ASSERT_EQ(lengths[i], put_msg(self->fd, lengths[i], j));
		usleep(20000);
		ASSERT_EQ(0, ioctl(self->fd, MPMCQ_IOC_PEEK, &peek));
		ASSERT_EQ(4, take_meta(self->me, 4, lengths[i], 0, meta));
		EXPECT_LE(stamped ? 20000000 : 0, peek.age_ns);
		EXPECT_GE(meta[0].age_ns, peek.age_ns);
		EXPECT_EQ(meta[0].uid, peek.uid);
		EXPECT_EQ(meta[0].gid, peek.gid);
		for (j = 0; j < 4; j++) {
			if (stamped) {
				EXPECT_LE(20000000, meta[j].age_ns);
				EXPECT_GT(10000000000, meta[j].age_ns);
				EXPECT_EQ(geteuid(), meta[j].uid);
				EXPECT_EQ(getegid(), meta[j].gid);
			} else {
				EXPECT_EQ(0, meta[j].age_ns);
				EXPECT_EQ(NOBODY, meta[j].uid);
				EXPECT_EQ(NOBODY, meta[j].gid);
			}
			EXPECT_NE(0, meta[j].seq);
			EXPECT_TRUE(!j || meta[j].seq != meta[j - 1].seq);
		}
	}
}

/* It is the name by which PEEK finds it, and stays; and a suspect is told. */
TEST_F(meta, seq)
{
	int le = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED | META | LEASE, 0);
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY };
	struct mpmcq_meta meta[2], again;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(0, ioctl(self->fd, MPMCQ_IOC_PEEK, &peek));
	ASSERT_EQ(1, take_meta(le, 1, LEN, 1, meta));
	EXPECT_EQ(peek.found, meta[0].seq);
	EXPECT_EQ(1, nack(le, meta[0].msg.id));
	ASSERT_EQ(1, take_meta(le, 1, LEN, 1, &again));
	EXPECT_EQ(meta[0].seq, again.seq);
	EXPECT_NE(meta[0].msg.id, again.msg.id);
	EXPECT_LE(meta[0].age_ns, again.age_ns);
	EXPECT_EQ(0, again.state | again.reserved);
	close(le);
	le = attach(self->fd, O_RDWR | O_NONBLOCK, PACKED | META | LEASE, 0);
	ASSERT_LE(0, le);
	ASSERT_EQ(1, take_meta(le, 1, LEN, 1, &again));
	EXPECT_EQ(meta[0].seq, again.seq);
	EXPECT_EQ(MPMCQ_STATE_SUSPECT, again.state);
	EXPECT_EQ(0, again.reserved);
	EXPECT_EQ(1, ack(le, again.msg.id));
	close(le);
}

/* What was read can be written; what a header tells of a message is for its readers. */
TEST_F(meta, written)
{
	unsigned char buf[4 * MPMCQ_META_SPACE(64)];
	struct mpmcq_meta meta[4];
	int i, len = 0;

	for (i = 0; i < 4; i++)
		len += pack_meta(buf + len, 64, i, 0);
	ASSERT_EQ(len, put(self->me, buf, len));
	ASSERT_EQ(4, take_meta(self->me, 4, 64, 0, meta));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(variant->flags & MPMCQ_STAMP ? geteuid() : NOBODY, meta[i].uid);
	/* Delays, and headers that are cut off. */
	len = pack_meta(buf, 64, 9, 30);
	EXPECT_EQ(-EINVAL, put(self->me, buf, sizeof(struct mpmcq_meta) - 1));
	EXPECT_EQ(-EINVAL, put(self->me, buf, len - 1));
	ASSERT_EQ(len, put(self->me, buf, len));
	EXPECT_EQ(1, info_of(self->fd).parked);
	EXPECT_TRUE(comes_true(depth(self->fd) == 1));
	ASSERT_EQ(1, take_meta(self->me, 1, 64, 9, meta));
	if (variant->flags & MPMCQ_STAMP)
		EXPECT_LE(30000000, meta[0].age_ns);
	/* Room for one, and for none. */
	ASSERT_EQ(64, put_msg(self->fd, 64, 1));
	ASSERT_EQ(64, put_msg(self->fd, 64, 2));
	EXPECT_EQ(-EMSGSIZE, take(self->me, buf, MPMCQ_META_SPACE(64) - 1));
	EXPECT_EQ(MPMCQ_META_SPACE(64), take(self->me, buf, 2 * MPMCQ_META_SPACE(64) - 1));
	EXPECT_EQ(64, take_msg(self->fd, 64, 2));
}

/* Also where pages have to be fetched, in pieces, and a bad address. */
TEST_F(meta, pieces)
{
	int space = MPMCQ_META_SPACE(100), i;
	void *bad = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *in = malloc(space), *out = malloc(space);
	struct iovec iov[8];

	ASSERT_NE(MAP_FAILED, bad);

	pack_meta(in, 100, 5, 0);
	for (i = 0; i < 8; i++)
		iov[i] = (struct iovec){ in + i * space / 8, (i + 1) * space / 8 - i * space / 8 };
	ASSERT_EQ(space, writev(self->me, iov, 8));
	EXPECT_EQ(-EFAULT, result(read(self->me, bad, space)));
	for (i = 0; i < 8; i++)
		iov[i].iov_base = out + i * space / 8;
	ASSERT_EQ(space, readv(self->me, iov, 8));
	EXPECT_TRUE(is_filled(out + sizeof(struct mpmcq_meta), 100, 5));
	munmap(bad, 4096);
	free(out);
	free(in);
}

TEST_F(meta, modes)
{
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, META, 0));
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, META | LEASE, 0));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, META, 0));
	EXPECT_EQ(0, set_modes(self->me, PACKED, 0));
	EXPECT_EQ(0, set_modes(self->me, PACKED | META, 0));
	EXPECT_EQ(0, set_modes(self->me, PACKED | META | LEASE, 2));
	EXPECT_EQ(-EBUSY, set_modes(self->me, PACKED | LEASE, 2));
}

/* The sender is who opened the file, not who writes; forwards have the stamp of the target's. */
TEST(sender)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .flags = MPMCQ_STAMP,
			    .open_flags = O_RDWR | O_NONBLOCK);
	int me = attach(fd, O_RDWR | O_NONBLOCK, PACKED | META | LEASE, 0), by;
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY, .position = 1 };
	struct mpmcq_meta meta, other;

	ASSERT_LE(0, me);
	if (geteuid())
		SKIP(return, "only root becomes others");
	ASSERT_EQ(0, setegid(1001));
	ASSERT_EQ(0, seteuid(1000));
	by = attach(fd, O_WRONLY, 0, 0);
	ASSERT_LE(0, by);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(0, seteuid(0));
	ASSERT_EQ(0, setegid(0));
	ASSERT_EQ(LEN, put_msg(by, LEN, 2));
	ASSERT_EQ(0, ioctl(fd, MPMCQ_IOC_PEEK, &peek));
	EXPECT_EQ(1000, peek.uid);
	EXPECT_EQ(1001, peek.gid);
	ASSERT_EQ(1, take_meta(me, 1, LEN, 1, &meta));
	EXPECT_EQ(0, meta.uid);
	EXPECT_EQ(0, meta.gid);
	ASSERT_EQ(1, take_meta(me, 1, LEN, 2, &other));
	EXPECT_EQ(1000, other.uid);
	EXPECT_EQ(1001, other.gid);
	ASSERT_EQ(0, result(ioctl(me, MPMCQ_IOC_FORWARD, &(struct mpmcq_forward){
		.size = sizeof(struct mpmcq_forward), .fd = by, .id = meta.msg.id })));
	EXPECT_EQ(1, ack(me, other.msg.id));
	ASSERT_EQ(1, take_meta(me, 1, LEN, 1, &other));
	EXPECT_EQ(1000, other.uid);
	EXPECT_NE(meta.seq, other.seq);
	EXPECT_GT(meta.age_ns + 10000000000, other.age_ns);
	close(by);
	close(me);
	close(fd);
}

/* A parked message, and a dead one, are as old as when they were sent. */
TEST(elsewhere)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .flags = MPMCQ_STAMP | MPMCQ_DELAY,
			    .open_flags = O_RDWR | O_NONBLOCK);
	int me = attach(fd, O_RDWR | O_NONBLOCK, PACKED | META | LEASE, 0);
	unsigned char buf[MPMCQ_META_SPACE(LEN)];
	struct mpmcq_peek peek = { .size = sizeof(peek) };
	struct mpmcq_meta meta;

	ASSERT_LE(0, me);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(1, take_meta(me, 1, LEN, 1, &meta));
	EXPECT_EQ(1, settle(me, MPMCQ_SETTLE_REJECT, 0, &meta.msg.id, 1, NULL));
	pack_meta(buf, LEN, 2, 3600000);
	ASSERT_EQ(sizeof(buf), put(me, buf, sizeof(buf)));
	usleep(20000);
	for (peek.where = MPMCQ_PEEK_DEAD; peek.where <= MPMCQ_PEEK_PARKED; peek.where++) {
		peek.uid = NOBODY;
		peek.gid = NOBODY;
		ASSERT_EQ(0, ioctl(fd, MPMCQ_IOC_PEEK, &peek));
		EXPECT_LE(20000000, peek.age_ns);
		EXPECT_GT(10000000000, peek.age_ns);
		EXPECT_EQ(geteuid(), peek.uid);
		EXPECT_EQ(getegid(), peek.gid);
	}
	close(me);
	close(fd);
}

TEST(oldest)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .flags = MPMCQ_STAMP,
			    .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, PACKED | LEASE, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	EXPECT_EQ(0, info_of(fd).oldest_ns);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	usleep(30000);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	EXPECT_LE(30000000, info_of(fd).oldest_ns);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_GT(30000000, info_of(fd).oldest_ns);
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, &msg.id, 1, NULL));
	EXPECT_LE(30000000, info_of(fd).oldest_ns);
	EXPECT_EQ(2, take_all(fd));
	EXPECT_EQ(0, info_of(fd).oldest_ns);
	close(le);
	close(fd);
}

TEST_HARNESS_MAIN
