// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dead messages: set aside, they are read by files for that alone, sent again, or
 * purged; until then they take up room.
 */

#include "own_test.h"
#include "uring_test.h"

static unsigned char large[MSG_SIZE_MAX];

/*
 * A queue of one's own.  @fd does not wait, @wait does; @le holds what it reads;
 * @dd reads dead messages and does not wait, @dw does.
 */
FIXTURE(dead)
{
	int fd;
	int wait;
	int le;
	int dd;
	int dw;
	int capacity;
	int n;
};

FIXTURE_VARIANT(dead)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(dead, shortest) { .capacity = 2 };
FIXTURE_VARIANT_ADD(dead, usual) { .capacity = 16 };

FIXTURE_SETUP(dead)
{
	self->capacity = variant->capacity;
	self->n = self->capacity < 6 ? self->capacity : 6;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64,
			      .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->wait = attach(self->fd, O_RDWR, 0, 0);
	self->le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	self->dd = attach(self->fd, O_RDWR | O_NONBLOCK, DEAD, 0);
	self->dw = attach(self->fd, O_RDONLY, DEAD, 0);
	ASSERT_LE(0, self->wait);
	ASSERT_LE(0, self->le);
	ASSERT_LE(0, self->dd);
	ASSERT_LE(0, self->dw);
}

FIXTURE_TEARDOWN(dead)
{
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, info_of(self->fd).dead);
	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(self->capacity, put_all(self->fd, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->fd));
	close(self->dw);
	close(self->dd);
	close(self->le);
	close(self->wait);
	close(self->fd);
}

/* Sends @n messages, the first number @seed, and sets them aside; how many. */
static int set_aside(int fd, int le, int n, unsigned int seed)
{
	int i;

	for (i = 0; i < n; i++)
		if (put_msg(fd, LEN, seed + i) != LEN)
			return -1;
	if (take_packed(le, n, LEN, seed, NULL) != n)
		return -1;
	return settle_all(le, MPMCQ_SETTLE_REJECT);
}

TEST_F(dead, read_by_those_who_want)
{
	int i;

	EXPECT_EQ(DEAD, info_of(self->dd).modes);
	EXPECT_EQ(-EAGAIN, take(self->dd, large, LEN));
	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(-EAGAIN, take(self->fd, large, LEN));
	EXPECT_EQ(-EAGAIN, take(self->le, large, 100));
	for (i = 0; i < self->n; i++) {
		EXPECT_EQ(self->n - i, dead(self->fd));
		EXPECT_EQ(LEN, take_msg(i % 2 ? self->dd : self->dw, LEN, i));
	}
	EXPECT_EQ(-EAGAIN, take(self->dd, large, LEN));
	EXPECT_EQ(0, info_of(self->dd).held);
}

TEST_F(dead, read_packed)
{
	struct mpmcq_msg msg[6];
	int i;

	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	EXPECT_EQ(0, set_modes(self->dd, PACKED, 0));
	EXPECT_EQ(DEAD | PACKED, info_of(self->dd).modes);
	ASSERT_EQ(self->n, take_packed(self->dd, self->n, LEN, 0, msg));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(1, msg[i].deliveries);
	EXPECT_EQ(-EAGAIN, take(self->dd, large, 100));
	EXPECT_EQ(0, take(self->dd, large, 0));
}

TEST_F(dead, read_waits)
{
	struct call call[2];
	unsigned char buf[2][LEN];
	int i;

	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->dw, buf[i], LEN));
	/* What is not dead is not for them. */
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	wait_all_asleep(call, 2, SYS_read);
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 2));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_TRUE(is_filled(buf[0], LEN, 2) || is_filled(buf[1], LEN, 2));
	EXPECT_TRUE(is_filled(buf[0], LEN, 3) || is_filled(buf[1], LEN, 3));
}

/* Nor is what is dead for those who wait for others. */
TEST_F(dead, others_wait_on)
{
	struct call call;

	ASSERT_EQ(0, start_blocked(&call, take, self->wait, large, LEN));
	/* The message may be read first by who waits, and then there is another. */
	while (set_aside(self->fd, self->le, 1, 1) != 1) {
		finish_call(&call);
		ASSERT_EQ(0, start_blocked(&call, take, self->wait, large, LEN));
	}
	wait_asleep(call.tid, SYS_read);
	EXPECT_EQ(1, revive(self->fd, 0));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
}

/* A worker that dies once too often wakes who waits for the dead. */
TEST(read_waits_for_a_death)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR,
			    .max_deliveries = 1);
	int dw = attach(fd, O_RDONLY, DEAD, 0), le;
	struct call call;
	pid_t pid;

	ASSERT_LE(0, dw);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(0, start_blocked(&call, take, dw, large, LEN));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		le = attach(fd, O_RDONLY, LEASE, 0);
		_exit(take_msg(le, LEN, 1) != LEN);
	}
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	close(dw);
	close(fd);
}

TEST_F(dead, poll)
{
	int ep = watch(self->dd, EPOLLIN | EPOLLET), other = watch(self->fd, EPOLLIN | EPOLLET);

	ASSERT_LE(0, ep);
	ASSERT_LE(0, other);
	EXPECT_EQ(WRITABLE, poll_now(self->dd));
	EXPECT_EQ(0, poll_now(self->dw));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 0));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->dd));
	EXPECT_EQ(READABLE, poll_now(self->dw));
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	EXPECT_EQ(0, poll_now(self->le));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(0, event_now(other));
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(LEN, take_msg(self->dd, LEN, 0));
	EXPECT_EQ(READABLE, poll_now(self->dw));
	EXPECT_EQ(1, revive(self->fd, 0));
	EXPECT_EQ(0, poll_now(self->dw));
	EXPECT_EQ(EPOLLIN, event_now(other));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	close(ep);
	close(other);
}

TEST_F(dead, next_length)
{
	EXPECT_EQ(0, next_len(self->dd));
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 0));
	ASSERT_EQ(LEN + 3, put_msg(self->fd, LEN + 3, 1));
	EXPECT_EQ(LEN, next_len(self->dd));
	EXPECT_EQ(LEN + 3, next_len(self->fd));
	EXPECT_EQ(1, purge(self->fd, 0));
	EXPECT_EQ(0, next_len(self->dd));
	EXPECT_EQ(LEN + 3, take_msg(self->fd, LEN + 3, 1));
}

TEST_F(dead, buffers_too_short_or_not_there)
{
	unsigned char *edge = map_edge();

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 7));
	EXPECT_EQ(0, take(self->dd, large, 0));
	EXPECT_EQ(-EMSGSIZE, take(self->dd, large, LEN - 1));
	EXPECT_EQ(-EMSGSIZE, take(self->dw, large, 1));
	EXPECT_EQ(-EFAULT, result(read(self->dd, edge - LEN + 1, LEN)));
	EXPECT_EQ(-EFAULT, result(read(self->dw, edge, LEN)));
	EXPECT_EQ(1, dead(self->fd));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(self->dd, LEN, 7));
}

/* Its writes are those of any other file. */
TEST_F(dead, writes_go_to_the_queue)
{
	EXPECT_EQ(LEN, put_msg(self->dd, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(self->dd, large, LEN));
	EXPECT_EQ(-EBADF, put_msg(self->dw, LEN, 1));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
}

TEST_F(dead, takes_room)
{
	struct call call;
	int i;

	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(1, set_aside(self->fd, self->le, 1, i));
	EXPECT_EQ(-EAGAIN, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(0, poll_now(self->fd));
	fill(large, LEN, 50);
	ASSERT_EQ(0, start_blocked(&call, put, self->wait, large, LEN));
	EXPECT_EQ(LEN, take_msg(self->dd, LEN, 0));
	EXPECT_EQ(LEN, finish_call(&call));

	ASSERT_EQ(0, start_blocked(&call, put, self->wait, large, LEN));
	EXPECT_EQ(1, purge(self->fd, 1));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_EQ(-EAGAIN, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(self->capacity - 2, purge(self->fd, 0));
	EXPECT_EQ(2, take_all(self->fd));
}

TEST_F(dead, purge)
{
	int ro = attach(self->fd, O_RDONLY, 0, 0), wo = attach(self->fd, O_WRONLY, 0, 0);
	int i, half = self->n / 2;

	EXPECT_EQ(0, purge(self->fd, 0));
	EXPECT_EQ(0, purge(self->fd, 5));
	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	EXPECT_EQ(-EBADF, purge(wo, 0));
	EXPECT_EQ(self->n, dead(self->fd));
	EXPECT_EQ(half, purge(ro, half));
	for (i = half; i < self->n; i++)
		EXPECT_EQ(LEN, take_msg(self->dd, LEN, i));

	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	EXPECT_EQ(self->n, purge(self->dd, UINT32_MAX));
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 0));
	EXPECT_EQ(1, purge(self->le, 0));
	close(ro);
	close(wo);
}

TEST_F(dead, purge_wakes_writers)
{
	struct call call[6];
	int i;

	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	ASSERT_EQ(self->capacity - self->n, put_all(self->fd, LEN, 0));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, self->wait, large, LEN));
	EXPECT_EQ(self->n, purge(self->fd, 0));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_EQ(self->capacity, take_all(self->fd));
}

TEST_F(dead, revive)
{
	int ro = attach(self->fd, O_RDONLY, 0, 0), wo = attach(self->fd, O_WRONLY, 0, 0);
	int i, half = self->n / 2;

	EXPECT_EQ(0, revive(self->fd, 0));
	EXPECT_EQ(0, revive(self->fd, 5));
	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	EXPECT_EQ(-EBADF, revive(ro, 0));
	EXPECT_EQ(-EBADF, revive(wo, 0));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(half, revive(self->fd, half));
	EXPECT_EQ(half, depth(self->fd));
	EXPECT_EQ(self->n - half, dead(self->fd));
	EXPECT_EQ(self->n - half, revive(self->dd, UINT32_MAX));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(LEN, take_msg(self->fd, LEN, i));
	close(ro);
	close(wo);
}

/* Behind all that wait, as a message that nobody has seen yet, but as a suspect. */
TEST_F(dead, revived_is_new)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 1));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	EXPECT_EQ(1, revive(self->fd, 0));
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 2, NULL));
	EXPECT_EQ(-ENOBUFS, take_packed(self->le, 1, LEN, 1, NULL));
	EXPECT_EQ(1, ack_all(self->le));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, msg.deliveries);
	EXPECT_EQ(1, ack_all(self->le));
}

/* The reason is that of its last death, and none while it lives. */
TEST_F(dead, reason)
{
	int i, dp = attach(self->fd, O_RDONLY | O_NONBLOCK, PACKED | MPMCQ_MODE_DEAD, 0);
	struct mpmcq_msg msg[2];

	ASSERT_LE(0, dp);
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 1));
	ASSERT_EQ(1, revive(self->fd, 1));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, msg));
	EXPECT_EQ(0, msg[0].reason);
	ASSERT_EQ(1, settle_all(self->le, MPMCQ_SETTLE_NACK));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, msg));
	EXPECT_EQ(0, msg[0].reason);
	ASSERT_EQ(1, settle_all(self->le, MPMCQ_SETTLE_REJECT));
	ASSERT_EQ(1, take_packed(dp, 1, LEN, 2, &msg[0]));
	ASSERT_EQ(1, take_packed(dp, 1, LEN, 1, &msg[1]));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(MPMCQ_REASON_REJECTED, msg[i].reason);
	EXPECT_EQ(-EAGAIN, take_packed(dp, 1, LEN, 1, NULL));
	close(dp);
}

TEST_F(dead, revive_wakes_readers)
{
	unsigned char buf[6][LEN];
	struct call call[6];
	int i;

	ASSERT_EQ(self->n, set_aside(self->fd, self->le, self->n, 0));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->wait, buf[i], LEN));
	EXPECT_EQ(self->n, revive(self->fd, 0));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
}

/* It may die again, after as many deliveries as before. */
TEST(revived_dies_again)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .max_deliveries = 2);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;
	int life, i;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	for (life = 0; life < 3; life++) {
		for (i = 1; i <= 2; i++) {
			EXPECT_EQ(0, dead(fd));
			ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
			EXPECT_EQ(i, (int)msg.deliveries);
			EXPECT_EQ(1, nack(le, msg.id));
		}
		EXPECT_EQ(1, dead(fd));
		EXPECT_EQ(0, depth(fd));
		EXPECT_EQ(1, revive(fd, 0));
	}
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(le);
	close(fd);
}

/* A file that holds dead messages; it does not wait. */
static int attach_leased(int fd, __u32 access, __u32 modes, __u32 max_held)
{
	return attach(fd, access | O_NONBLOCK, DEAD | LEASE | modes, max_held);
}

/* What its holder does not free or revive is dead again when it goes, as it was. */
TEST_F(dead, leased)
{
	int h = attach_leased(self->fd, O_RDWR, PACKED, 0), n = self->n, i, left;
	struct mpmcq_msg msg[6];
	struct mpmcq_info info;

	ASSERT_LE(0, h);
	ASSERT_EQ(n, set_aside(self->fd, self->le, n, 0));
	ASSERT_EQ(n, take_packed(h, n, LEN, 0, msg));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(1, msg[i].deliveries);
		EXPECT_EQ(MPMCQ_REASON_REJECTED, msg[i].reason);
	}
	info = info_of(h);
	EXPECT_EQ(n, info.held);
	EXPECT_EQ(n, info.leased);
	EXPECT_EQ(0, info.dead);
	EXPECT_EQ(0, poll_now(self->dd) & POLLIN);
	EXPECT_EQ(1, ack(h, msg[0].id));
	EXPECT_EQ(1, info_of(h).acked);
	EXPECT_EQ(0, info_of(h).returned);
	close(h);

	EXPECT_EQ(0, info_of(self->fd).leased);
	EXPECT_EQ(0, info_of(self->fd).returned);
	EXPECT_EQ(0, depth(self->fd));
	left = n - 1;
	EXPECT_EQ(left, dead(self->fd));
	EXPECT_EQ(0, set_modes(self->dd, PACKED, 0));
	ASSERT_EQ(left, take_packed(self->dd, n, LEN, 1, msg));
	for (i = 0; i < left; i++) {
		EXPECT_EQ(1, msg[i].deliveries);
		EXPECT_EQ(MPMCQ_REASON_REJECTED, msg[i].reason);
	}
}

TEST_F(dead, leased_settled)
{
	int h = attach_leased(self->fd, O_RDWR, PACKED, 0);
	struct mpmcq_msg msg[2];

	ASSERT_LE(0, h);
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 0));
	ASSERT_EQ(2, take_packed(h, 2, LEN, 0, msg));
	/* Again among the dead, behind the others. */
	EXPECT_EQ(1, nack(h, msg[0].id));
	EXPECT_EQ(1, dead(self->fd));
	EXPECT_EQ(1, touch(h, msg[1].id));
	EXPECT_EQ(1, reject(h, msg[1].id));
	EXPECT_EQ(2, dead(self->fd));
	EXPECT_EQ(2, info_of(h).set_aside);
	ASSERT_EQ(2, take_packed(h, 2, LEN, 0, msg));
	EXPECT_EQ(-EINVAL, settle(h, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, &msg[0].id, 1, NULL));
	EXPECT_EQ(-EINVAL, settle(h, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_UNTRIED, &msg[0].id, 1,
				  NULL));

	/* As if it had never been delivered, but a suspect. */
	EXPECT_EQ(1, settle(h, MPMCQ_SETTLE_REVIVE, 0, &msg[0].id, 1, NULL));
	EXPECT_EQ(-ENOENT, settle(h, MPMCQ_SETTLE_REVIVE, 0, &msg[0].id, 1, NULL));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(2, info_of(self->fd).sent);
	EXPECT_EQ(1, settle_all(h, MPMCQ_SETTLE_REVIVE));
	EXPECT_EQ(0, info_of(h).leased);
	EXPECT_EQ(0, dead(self->fd));
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 0, msg));
	EXPECT_EQ(1, msg[0].deliveries);
	EXPECT_EQ(0, msg[0].reason);
	EXPECT_EQ(-ENOBUFS, take(self->le, large, 100));
	EXPECT_EQ(1, ack_all(self->le));
	ASSERT_EQ(1, take_packed(self->le, 2, LEN, 1, msg));
	EXPECT_EQ(1, ack_all(self->le));
	close(h);
}

TEST_F(dead, leased_one_at_a_time)
{
	int h = attach_leased(self->fd, O_RDWR, 0, 0);

	ASSERT_LE(0, h);
	EXPECT_EQ(-EAGAIN, take(h, large, LEN));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 9));
	EXPECT_EQ(-EAGAIN, take(h, large, LEN));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 9));
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 0));
	EXPECT_EQ(LEN, take_msg(h, LEN, 0));
	EXPECT_EQ(1, dead(self->fd));
	EXPECT_EQ(LEN, take_msg(h, LEN, 1));
	EXPECT_EQ(1, info_of(h).acked);
	EXPECT_EQ(1, settle_all(h, MPMCQ_SETTLE_NACK));
	EXPECT_EQ(LEN, take_msg(h, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(h, large, LEN));
	EXPECT_EQ(2, info_of(h).acked);
	EXPECT_EQ(0, info_of(h).leased);
	close(h);
}

/* A full holder of dead messages is not readable, and is woken when it has room. */
TEST_F(dead, leased_full)
{
	int h = attach_leased(self->fd, O_RDONLY, PACKED, 1);
	struct pollfd pfd = { .fd = h, .events = POLLIN };
	struct mpmcq_msg msg;
	pid_t child;

	ASSERT_LE(0, h);
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 0));
	EXPECT_EQ(POLLIN, poll_now(h) & POLLIN);
	ASSERT_EQ(1, take_packed(h, 2, LEN, 0, &msg));
	EXPECT_EQ(0, poll_now(h) & POLLIN);
	EXPECT_EQ(-ENOBUFS, take(h, large, 100));
	EXPECT_EQ(POLLIN, poll_now(self->dd) & POLLIN);
	child = fork_child(poll(&pfd, 1, 10000) == 1 && pfd.revents == POLLIN);
	ASSERT_LT(0, child);
	wait_asleep(child, SYS_poll);
	EXPECT_EQ(1, ack(h, msg.id));
	EXPECT_EQ(1, child_end(child));
	ASSERT_EQ(1, take_packed(h, 2, LEN, 1, &msg));
	EXPECT_EQ(1, ack(h, msg.id));
	close(h);
}

TEST_F(dead, leased_by_whom)
{
	int reader = attach_leased(self->fd, O_RDONLY, PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, reader);
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 0));
	ASSERT_EQ(1, take_packed(reader, 1, LEN, 0, &msg));
	EXPECT_EQ(-EBADF, settle(reader, MPMCQ_SETTLE_REVIVE, 0, &msg.id, 1, NULL));
	EXPECT_EQ(-EINVAL, settle(self->le, MPMCQ_SETTLE_REVIVE, 0, &msg.id, 1, NULL));
	EXPECT_EQ(1, info_of(reader).held);
	EXPECT_EQ(1, ack(reader, msg.id));
	close(reader);
}

/* The end of a reader of dead messages waits for those that are held, unless by itself. */
TEST_F(dead, leased_end)
{
	int h = attach_leased(self->fd, O_RDWR, PACKED, 0), w = attach(self->fd, O_RDONLY,
								       DEAD | LEASE | PACKED, 0);
	unsigned char buf[100];
	struct mpmcq_msg msg;
	struct call call;

	ASSERT_LE(0, h);
	ASSERT_LE(0, w);
	ASSERT_EQ(2, set_aside(self->fd, self->le, 2, 0));
	ASSERT_EQ(1, take_packed(h, 1, LEN, 0, NULL));
	ASSERT_EQ(1, take_packed(w, 1, LEN, 1, &msg));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EDEADLK, take(w, buf, sizeof(buf)));
	EXPECT_EQ(1, ack(w, msg.id));
	ASSERT_EQ(0, start_blocked(&call, take, w, buf, sizeof(buf)));
	EXPECT_EQ(1, ack_all(h));
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(0, reopen_queue(self->fd));
	close(w);
	close(h);
}

/* A deadline leaves them dead as well. */
TEST(leased_deadline)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .lease_ms = 50, .max_deliveries = 1);
	int h = attach_leased(fd, O_RDWR, PACKED, 0), le = attach(fd, O_RDONLY, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, h);
	ASSERT_LE(0, le);
	ASSERT_EQ(1, set_aside(fd, le, 1, 0));
	ASSERT_EQ(1, take_packed(h, 1, LEN, 0, &msg));
	EXPECT_EQ(0, dead(fd));
	EXPECT_TRUE(comes_true(dead(fd) == 1));
	EXPECT_EQ(-ENOENT, ack(h, msg.id));
	ASSERT_EQ(1, take_packed(h, 1, LEN, 0, &msg));
	EXPECT_EQ(1, msg.deliveries);
	EXPECT_EQ(MPMCQ_REASON_REJECTED, msg.reason);
	close(le);
	close(h);
	close(fd);
}

TEST_F(dead, modes)
{
	int wo = attach(self->fd, O_WRONLY, 0, 0), ro = attach(self->fd, O_RDONLY, 0, 0), fd;

	ASSERT_LE(0, wo);
	ASSERT_LE(0, ro);
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, DEAD, 1));
	EXPECT_EQ(-EBADF, attach(self->fd, O_WRONLY, DEAD, 0));
	EXPECT_EQ(-EACCES, attach(wo, O_RDONLY, DEAD, 0));
	EXPECT_EQ(-EACCES, attach(ro, O_RDWR, DEAD, 0));
	fd = attach(ro, O_RDONLY, DEAD | PACKED, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(DEAD | PACKED, info_of(fd).modes);
	EXPECT_EQ(0, set_modes(fd, DEAD, 0));
	EXPECT_EQ(DEAD, info_of(fd).modes);
	EXPECT_EQ(0, set_modes(fd, 0, 0));
	EXPECT_EQ(DEAD, info_of(fd).modes);
	EXPECT_EQ(0, set_modes(fd, PACKED, 0));
	EXPECT_EQ(DEAD | PACKED, info_of(fd).modes);
	EXPECT_EQ(-EINVAL, set_modes(self->fd, DEAD, 0));
	EXPECT_EQ(0, ack_all(fd));
	EXPECT_EQ(0, set_modes(fd, LEASE | PACKED, 3));
	EXPECT_EQ(DEAD | LEASE | PACKED, info_of(fd).modes);
	EXPECT_EQ(-EBUSY, set_modes(fd, 0, 0));
	close(fd);
	close(ro);
	close(wo);
}

TEST_F(dead, uring)
{
	struct io_uring ring;
	int id;

	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 1));
	prep_read(&ring, self->dw, large, LEN, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(LEN, done(&ring, &id));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	prep_read(&ring, self->dw, large, LEN, 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(1, set_aside(self->fd, self->le, 1, 2));
	EXPECT_EQ(LEN, done(&ring, &id));
	EXPECT_TRUE(is_filled(large, LEN, 2));
	io_uring_queue_exit(&ring);
}

/*
 * Workers that reject most of what they get, and somebody who sends it again and
 * again: each message is acknowledged once in the end.
 */
#define WORKERS		3
#define MESSAGES	2000

struct round {
	int fd;
	int next;
	int acked;
	bool end;
	unsigned char seen[MESSAGES];
};

static void *reject_and_ack(void *arg)
{
	struct round *round = arg;
	int le = attach(round->fd, O_RDONLY, LEASE | PACKED, 0), number, ret, at;
	unsigned char buf[256];
	struct mpmcq_msg msg;
	__u32 random = le;

	while ((ret = take(le, buf, sizeof(buf))) > 0) {
		for (at = 0; at < ret; at += space_of(msg.len)) {
			memcpy(&msg, buf + at, sizeof(msg));
			memcpy(&number, buf + at + sizeof(msg), sizeof(number));
			if (msg.len != sizeof(number) || number < 0 || number >= MESSAGES)
				return "a message was garbled";
			random = random * 1103515245 + 12345;
			if (random >> 16 & 3) {
				if (reject(le, msg.id) != 1)
					return "a message was lost before it was rejected";
				continue;
			}
			if (ack(le, msg.id) != 1)
				return "a message was lost before it was acknowledged";
			__atomic_add_fetch(&round->seen[number], 1, __ATOMIC_RELAXED);
			__atomic_add_fetch(&round->acked, 1, __ATOMIC_SEQ_CST);
		}
	}
	close(le);
	return ret ? "a read failed" : NULL;
}

static void *revive_all(void *arg)
{
	struct round *round = arg;

	while (!__atomic_load_n(&round->end, __ATOMIC_SEQ_CST)) {
		if (revive(round->fd, 0) < 0)
			return "could not revive";
		sched_yield();
	}
	return NULL;
}

TEST_F_TIMEOUT(dead, round_and_round, 60)
{
	struct round round = { .fd = self->wait };
	pthread_t worker[WORKERS], reviver;
	void *failure;
	int i;

	for (i = 0; i < WORKERS; i++)
		ASSERT_EQ(0, pthread_create(&worker[i], NULL, reject_and_ack, &round));
	ASSERT_EQ(0, pthread_create(&reviver, NULL, revive_all, &round));
	for (i = 0; i < MESSAGES; i++)
		ASSERT_EQ(sizeof(i), put(self->wait, &i, sizeof(i)));
	while (__atomic_load_n(&round.acked, __ATOMIC_SEQ_CST) < MESSAGES)
		usleep(1000);
	ASSERT_EQ(0, close_queue(self->fd));
	__atomic_store_n(&round.end, true, __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, pthread_join(reviver, &failure));
	EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	for (i = 0; i < WORKERS; i++) {
		ASSERT_EQ(0, pthread_join(worker[i], &failure));
		EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	}
	for (i = 0; i < MESSAGES; i++)
		EXPECT_EQ(1, round.seen[i]);
	ASSERT_EQ(0, reopen_queue(self->fd));
}

TEST_HARNESS_MAIN
