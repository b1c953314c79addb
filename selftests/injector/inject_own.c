// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures in calls that have many messages, or messages that are held, with a queue of our own.
 */

#include "data.h"

FIXTURE(own)
{
	struct data data;
};

FIXTURE_SETUP(own)
{
	struct data *d = &self->data;

	d->capacity = CAPACITY;
	d->fd = make_queue(.capacity = CAPACITY, .msg_size = LONGEST, .open_flags = O_RDWR);
	ASSERT_LE(0, d->fd);
	d->nb = attach(d->fd, O_RDWR | O_NONBLOCK, 0, 0);
	d->packer = attach(d->fd, O_WRONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	d->taker = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			  CAPACITY);
	ASSERT_LE(0, d->nb);
	ASSERT_LE(0, d->packer);
	ASSERT_LE(0, d->taker);
	ASSERT_TRUE(injection_begin());
}

FIXTURE_TEARDOWN(own)
{
	injection_end();
}

/* No message is anywhere, and every slot can be used. */
static bool all_slots_free(struct data *d)
{
	struct mpmcq_info info = info_of(d->fd);

	return !info.depth && !info.dead && !info.leased &&
	       put_all(d->nb, 1, 0) == d->capacity && take_all(d->nb) == d->capacity;
}

/*
 * The lengths in a batch: with padding and without.  Failures reach the copies of long ones
 * only, and of those behind a long one in a write; short ones need pages that are missing,
 * see "over_edge" in packed.c.
 */
static const int length[BATCH] = { 1025, 16, LONGEST, 1040, 7 };

/* Bytes that the first @n messages of it take. */
static int space_of_batch(int n)
{
	int space = 0;

	while (n--)
		space += space_of(length[n]);
	return space;
}

static void pack_batch(struct data *d)
{
	int i;

	for (i = 0; i < BATCH; i++)
		pack(d->buf + space_of_batch(i), length[i], i);
	d->len = space_of_batch(BATCH);
	cut_buffer(d);
}

/*
 * How many messages the @bytes at @buf are; -EBADMSG if they are not those of a batch
 * from number @first on, delivered so often.
 */
static int unpack_batch(const unsigned char *buf, int bytes, int first, __u32 deliveries)
{
	struct mpmcq_msg msg;
	int i, at = 0;

	for (i = first; at < bytes; i++) {
		if (i == BATCH || unpack(buf + at, bytes - at, length[i], i, &msg) < 0 ||
		    msg.deliveries != deliveries)
			return -EBADMSG;
		at += space_of(length[i]);
	}
	return i - first;
}

/*
 * From number @first on @n messages of a batch wait, which nobody has had before.  Those that were
 * revived come one by one.
 */
static bool are_waiting(struct data *d, int first, int n)
{
	unsigned char buf[BATCH * MPMCQ_MSG_SPACE(LONGEST)];
	int bytes, got, done = 0;

	while ((bytes = take(d->taker, buf, sizeof(buf))) > 0) {
		got = unpack_batch(buf, bytes, first + done, 1);
		if (got <= 0 || ack_all(d->taker) != got)
			return false;
		done += got;
	}
	return bytes == -EAGAIN && done == n;
}

static int run_packed_write(struct data *d)
{
	return result(write(d->packer, d->buf, d->len));
}

static int run_packed_writev(struct data *d)
{
	return result(writev(d->packer, d->iov, SEGMENTS));
}

/* So many messages were sent as it says. */
static bool verify_packed_write(struct data *d, int ret)
{
	int n = 0;

	while (n < BATCH && ret > space_of_batch(n))
		n++;
	return (ret < 0 || ret == space_of_batch(n)) && depth(d->fd) == n && are_waiting(d, 0, n) &&
	       all_slots_free(d);
}

/* The first header is copied, and then each header and each message. */
TEST_F_TIMEOUT(own, packed_write, 200)
{
	const struct operation op = {
		"packed write", BATCH + 1, pack_batch, run_packed_write, { -EFAULT },
		verify_packed_write
	};

	all_points(&self->data, &op);
	all_copies(&self->data, &op);
}

TEST_F_TIMEOUT(own, packed_writev, 200)
{
	const struct operation op = {
		"packed writev", BATCH + SEGMENTS, pack_batch, run_packed_writev,
		{ -EFAULT, -ENOMEM }, verify_packed_write
	};

	all_points(&self->data, &op);
	all_copies(&self->data, &op);
}

static void prepare_packed_read(struct data *d)
{
	pack_batch(d);
	put(d->packer, d->buf, d->len);
	memset(d->buf, JUNK, d->len);
}

static int run_packed_read(struct data *d)
{
	return result(read(d->reader, d->buf, d->len));
}

static int run_packed_readv(struct data *d)
{
	return result(readv(d->reader, d->iov, SEGMENTS));
}

/* So many messages were delivered as it says; the others come next. */
static bool verify_packed_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 0);

	return n >= 0 && depth(d->fd) == BATCH - n && are_waiting(d, n, BATCH - n) &&
	       all_slots_free(d);
}

/* Those delivered are held, and no others. */
static bool verify_held_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 1);
	struct mpmcq_info info = info_of(d->reader);

	return n >= 0 && (int)info.held == n && (int)info.leased == n &&
	       (int)info.depth == BATCH - n && ack_all(d->reader) == n &&
	       are_waiting(d, n, BATCH - n) && can_hold_all(d) && all_slots_free(d);
}

/* One copy that fails is tried again: a read may fail only if more do. */
static void packed_reads(struct __test_metadata *_metadata, struct data *d, const char *name,
			 void (*prepare)(struct data *d), bool (*verify)(struct data *d, int ret))
{
	const struct operation op = {
		name, BATCH, prepare, run_packed_read, { 0 }, verify
	};
	const struct operation op_all = {
		name, BATCH, prepare, run_packed_read, { -EFAULT }, verify
	};
	const struct operation op_pieces = {
		name, BATCH + SEGMENTS, prepare, run_packed_readv, { -EFAULT, -ENOMEM }, verify
	};

	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
	all_points(d, &op_pieces);
	all_copies(d, &op_pieces);
}

TEST_F_TIMEOUT(own, packed_read, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	packed_reads(_metadata, d, "packed read", prepare_packed_read, verify_packed_read);
}

TEST_F_TIMEOUT(own, packed_read_with_a_lease, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   HELD);
	packed_reads(_metadata, d, "packed read with a lease", prepare_packed_read,
		     verify_held_read);
}

/* A batch of dead messages */
static void prepare_dead_read(struct data *d)
{
	prepare_packed_read(d);
	take_packed(d->taker, BATCH, LONGEST, 0, NULL);
	settle_all(d->taker, MPMCQ_SETTLE_REJECT);
	memset(d->buf, JUNK, d->len);
}

/* The first @n were delivered, the others are dead. */
static bool rest_is_dead(struct data *d, int n)
{
	return (int)info_of(d->fd).dead == BATCH - n && revive(d->fd, 0) == BATCH - n &&
	       are_waiting(d, n, BATCH - n) && all_slots_free(d);
}

static bool verify_packed_dead_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 1);

	return n >= 0 && rest_is_dead(d, n);
}

/* A bit for the message of a batch that this is, 1 if it is none. */
static unsigned int bit_of(const unsigned char *msg, int len)
{
	int i;

	for (i = 0; i < BATCH; i++)
		if (len == length[i] && is_filled(msg, len, i))
			return 2 << i;
	return 1;
}

/*
 * One was delivered, and the others are dead; in any order, as one that was taken and
 * could not be delivered goes behind them.
 */
static bool verify_dead_read(struct data *d, int ret)
{
	unsigned int seen = ret < 0 ? 0 : bit_of(d->buf, ret);

	if (revive(d->fd, 0) != (ret > 0 ? BATCH - 1 : BATCH))
		return false;
	while ((ret = take(d->nb, d->buf, LONGEST)) > 0)
		seen |= bit_of(d->buf, ret);
	return ret == -EAGAIN && seen == (2 << BATCH) - 2 && all_slots_free(d);
}

TEST_F_TIMEOUT(own, packed_read_of_the_dead, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD, 0);
	packed_reads(_metadata, d, "packed read of the dead", prepare_dead_read,
		     verify_packed_dead_read);
}

TEST_F_TIMEOUT(own, read_of_the_dead, 200)
{
	const struct operation op = {
		"read of the dead", 1, prepare_dead_read, run_packed_read, { 0 }, verify_dead_read
	};
	const struct operation op_all = {
		"read of the dead", 1, prepare_dead_read, run_packed_read, { -EFAULT },
		verify_dead_read
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
}

/* The reader holds the first of a batch. */
static void prepare_lease_read(struct data *d)
{
	prepare_packed_read(d);
	take_msg(d->reader, length[0], 0);
}

/* That one is acknowledged once the second is held; if that comes next, nothing is. */
static bool verify_lease_read(struct data *d, int ret)
{
	struct mpmcq_info info = info_of(d->reader);
	int n = ret > 0;

	return (ret < 0 || (ret == length[1] && is_filled(d->buf, ret, 1))) &&
	       info.held == 1 && info.leased == 1 && ack_all(d->reader) == 1 &&
	       are_waiting(d, 1 + n, BATCH - 1 - n) && all_slots_free(d);
}

TEST_F_TIMEOUT(own, read_with_a_lease, 200)
{
	const struct operation op = {
		"read with a lease", 1, prepare_lease_read, run_packed_read, { 0 },
		verify_lease_read
	};
	const struct operation op_all = {
		"read with a lease", 1, prepare_lease_read, run_packed_read, { -EFAULT },
		verify_lease_read
	};
	struct data *d = &self->data;

	/* With room for one, that none is left reserved. */
	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE, 1);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
}

/* Ids, in more than one copy */
static void prepare_ids(struct data *d)
{
	int i;

	put_packed(d->packer, MANY, LEN, 0);
	take_packed(d->reader, MANY, LEN, 0, d->msg);
	for (i = 0; i < MANY; i++)
		d->id[i] = d->msg[i].id;
	d->settle = (struct mpmcq_settle) {
		.size = sizeof(d->settle), .op = d->cmd, .ids = (unsigned long)d->id,
		.count = MANY, .done = JUNK,
	};
}

static int run_ids(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_SETTLE, &d->settle));
}

/* Messages numbers 0 to @n - 1 wait, read before. */
static bool waiting_again(struct data *d, int n)
{
	int i;

	if (!n)
		return true;
	if (take_packed(d->taker, n, LEN, 0, d->msg) != n)
		return false;
	for (i = 0; i < n; i++)
		if (d->msg[i].deliveries != 2)
			return false;
	return ack_all(d->taker) == n;
}

/* All is done, or nothing. */
static bool verify_ids(struct data *d, int ret)
{
	int done = ret < 0 ? 0 : MANY;
	int ended = d->cmd == MPMCQ_SETTLE_TOUCH ? 0 : done;
	int ready = d->cmd == MPMCQ_SETTLE_NACK ? done : 0;
	int dead = d->cmd == MPMCQ_SETTLE_REJECT ? done : 0;
	struct mpmcq_info info = info_of(d->reader);

	return (ret < 0 || d->settle.done == MANY) &&
	       (int)info.held == MANY - ended && (int)info.leased == MANY - ended &&
	       (int)info.depth == ready && (int)info.dead == dead && waiting_again(d, ready) &&
	       purge(d->fd, 0) == dead && ack_all(d->reader) == MANY - ended && all_slots_free(d);
}

static void ids(struct __test_metadata *_metadata, struct data *d, const char *name,
		unsigned int cmd)
{
	const struct operation op = {
		name, 3, prepare_ids, run_ids, { -EFAULT, -ENOMEM }, verify_ids
	};

	d->cmd = cmd;
	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   MANY);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
}

TEST_F_TIMEOUT(own, acknowledge, 200)
{
	ids(_metadata, &self->data, "ACK", MPMCQ_SETTLE_ACK);
}

TEST_F_TIMEOUT(own, give_back, 200)
{
	ids(_metadata, &self->data, "NACK", MPMCQ_SETTLE_NACK);
}

TEST_F_TIMEOUT(own, reject, 200)
{
	ids(_metadata, &self->data, "REJECT", MPMCQ_SETTLE_REJECT);
}

TEST_F_TIMEOUT(own, touch, 200)
{
	ids(_metadata, &self->data, "TOUCH", MPMCQ_SETTLE_TOUCH);
}

/* One message that is held, and what is to be sent in its place */
static void prepare_forward(struct data *d)
{
	put_packed(d->packer, 1, LEN, 1);
	take_packed(d->reader, 1, LEN, 1, d->msg);
	fill(d->buf, LONGEST, 2);
	d->forward = (struct mpmcq_forward) {
		.size = sizeof(d->forward), .fd = d->target, .id = d->msg[0].id,
		.buf = (unsigned long)d->buf, .len = LONGEST,
	};
}

static int run_forward(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_FORWARD, &d->forward));
}

/* It is there, or still here. */
static bool verify_forward(struct data *d, int ret)
{
	bool there = take_msg(d->target, LONGEST, 2) == LONGEST;

	return there == !ret && info_of(d->reader).held == !!ret &&
	       ack_all(d->reader) == !!ret && all_slots_free(d) &&
	       put_all(d->target, LEN, 0) == 2 && take_all(d->target) == 2;
}

TEST_F_TIMEOUT(own, forward, 200)
{
	const struct operation op = {
		"FORWARD", 4, prepare_forward, run_forward, { -EFAULT, -ENOMEM }, verify_forward
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 1);
	d->target = make_queue(.capacity = 2, .msg_size = LONGEST,
			       .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, d->reader);
	ASSERT_LE(0, d->target);
	all_points(d, &op);
	close(d->target);
}

static void prepare_peek(struct data *d)
{
	put_msg(d->nb, LONGEST, 3);
	memset(d->buf, JUNK, LONGEST);
	d->peek = (struct mpmcq_peek) {
		.size = sizeof(d->peek), .where = MPMCQ_PEEK_READY,
		.buf = (unsigned long)d->buf, .buf_len = LONGEST,
	};
}

static int run_peek(struct data *d)
{
	return result(ioctl(d->fd, MPMCQ_IOC_PEEK, &d->peek));
}

static bool verify_peek(struct data *d, int ret)
{
	return (ret || (d->peek.len == LONGEST && is_filled(d->buf, LONGEST, 3))) &&
	       take_msg(d->nb, LONGEST, 3) == LONGEST && all_slots_free(d);
}

TEST_F_TIMEOUT(own, peek, 200)
{
	const struct operation op = {
		"PEEK", 5, prepare_peek, run_peek, { -EFAULT, -ENOMEM }, verify_peek
	};

	all_points(&self->data, &op);
}

/* Dead messages; how many were moved can be read, but perhaps not written. */
static void prepare_dead(struct data *d)
{
	prepare_dead_read(d);
	d->dead = (struct mpmcq_dead){ .size = sizeof(d->dead), .done = JUNK };
}

static int run_dead(struct data *d)
{
	return result(ioctl(d->fd, d->cmd, &d->dead));
}

/* So many of the dead were revived, or purged; the others are as they were. */
static bool moved_dead(struct data *d, int n)
{
	if ((int)info_of(d->fd).dead != BATCH - n)
		return false;
	if (d->cmd == MPMCQ_IOC_REVIVE && !are_waiting(d, 0, n))
		return false;
	return rest_is_dead(d, n);
}

static bool verify_dead(struct data *d, int ret)
{
	return moved_dead(d, ret < 0 ? 0 : d->dead.done);
}

TEST_F_TIMEOUT(own, revive_and_purge, 200)
{
	const struct operation op_revive = {
		"REVIVE", 1, prepare_dead, run_dead, { -EFAULT }, verify_dead
	};
	const struct operation op_purge = {
		"PURGE", 1, prepare_dead, run_dead, { -EFAULT }, verify_dead
	};
	struct data *d = &self->data;

	d->cmd = MPMCQ_IOC_REVIVE;
	all_points(d, &op_revive);
	d->cmd = MPMCQ_IOC_PURGE;
	all_points(d, &op_purge);
}

/*
 * What has been done is done, also if nobody can be told.  Nothing is, if that is seen before.
 */
TEST_F_TIMEOUT(own, done_cannot_be_written, 200)
{
	struct data *d = &self->data;
	void *page = map(getpagesize(), PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, page);
	d->cmd = MPMCQ_IOC_REVIVE;
	prepare_dead(d);
	memcpy(page, &d->dead, sizeof(d->dead));
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(d->fd, MPMCQ_IOC_REVIVE, page)));
	EXPECT_TRUE(moved_dead(d, BATCH));

	d->cmd = MPMCQ_IOC_PURGE;
	prepare_dead(d);
	EXPECT_EQ(-EFAULT, result(ioctl(d->fd, MPMCQ_IOC_PURGE, page)));
	EXPECT_TRUE(moved_dead(d, BATCH));

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   MANY);
	d->cmd = MPMCQ_SETTLE_NACK;
	prepare_ids(d);
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ | PROT_WRITE));
	memcpy(page, &d->settle, sizeof(d->settle));
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(d->reader, MPMCQ_IOC_SETTLE, page)));
	EXPECT_EQ(MANY, info_of(d->reader).held);
	EXPECT_EQ(MANY, ack_all(d->reader));
	EXPECT_TRUE(all_slots_free(d));
}

TEST_F(own, text)
{
	const struct operation op = {
		"fdinfo", 2, prepare_fdinfo, run_text, { -EFAULT, -ENOMEM }, verify_text
	};

	all_points(&self->data, &op);
}

/* The controls: reads that have to be found wrong. */
static int run_losing_packed_read(struct data *d)
{
	int ret = result(read(d->reader, d->buf, space_of_batch(BATCH - 1)));

	take_all(d->nb);
	return ret;
}

static int run_acknowledged_read(struct data *d)
{
	int ret = run_packed_read(d);

	ack_all(d->reader);
	return ret;
}

TEST_F_TIMEOUT(own, control_packed_reads, 200)
{
	const struct operation op_losing = {
		"a losing packed read", BATCH, prepare_packed_read, run_losing_packed_read, { 0 },
		verify_packed_read
	};
	const struct operation op_acknowledged = {
		"a read that holds nothing", BATCH, prepare_packed_read, run_acknowledged_read,
		{ 0 }, verify_held_read
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, d->reader);
	EXPECT_EQ(MISDONE, judge(_metadata, d, &op_losing, fail_one));

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   HELD);
	ASSERT_LE(0, d->reader);
	EXPECT_EQ(MISDONE, judge(_metadata, d, &op_acknowledged, fail_one));
}

TEST_HARNESS_MAIN
