// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forwarding: a message that is held goes to another queue in one call, so that a worker that dies
 * neither loses it nor sends it twice.
 */

#include <stddef.h>

#include "own_test.h"

#define CAPACITY	4

static int forward(int fd, struct mpmcq_forward req)
{
	req.size = sizeof(req);
	return result(ioctl(fd, MPMCQ_IOC_FORWARD, &req));
}

#define forward_to(from, to, id_, ...)	\
	forward(from, (struct mpmcq_forward){ .fd = to, .id = id_, __VA_ARGS__ })

/* Two queues, neither of which waits, and a file that holds messages of the first. */
FIXTURE(forward)
{
	int from;
	int to;
	int le;
};

FIXTURE_SETUP(forward)
{
	self->from = make_queue(.capacity = CAPACITY, .msg_size = 64, .flags = MPMCQ_DELAY,
				.open_flags = O_RDWR | O_NONBLOCK);
	self->to = make_queue(.capacity = CAPACITY, .msg_size = 32,
			      .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->from);
	ASSERT_LE(0, self->to);
	self->le = attach(self->from, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_LE(0, self->le);
}

/* No slot is lost. */
FIXTURE_TEARDOWN(forward)
{
	close(self->le);
	take_all(self->from);
	take_all(self->to);
	EXPECT_EQ(CAPACITY, put_all(self->from, LEN, 0));
	EXPECT_EQ(CAPACITY, put_all(self->to, LEN, 0));
	close(self->from);
	close(self->to);
}

/* Sends message number @seed and holds it. */
static struct mpmcq_msg hold_one(int fd, int le, unsigned int seed)
{
	struct mpmcq_msg msg = { };

	if (put_msg(fd, LEN, seed) != LEN || take_packed(le, 1, LEN, seed, &msg) != 1)
		msg.len = 0;
	return msg;
}

TEST_F(forward, itself)
{
	int le = attach(self->to, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg = hold_one(self->from, self->le, 7), got;
	struct mpmcq_info info;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, msg.len);
	ASSERT_EQ(0, forward_to(self->le, self->to, msg.id));
	info = info_of(self->from);
	EXPECT_EQ(0, info.leased);
	EXPECT_EQ(0, info.depth);
	EXPECT_EQ(1, info.acked);
	EXPECT_EQ(0, info_of(self->le).held);
	info = info_of(self->to);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(1, info.sent);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 7, &got));
	EXPECT_EQ(1, got.deliveries);
	EXPECT_EQ(-ENOENT, forward_to(self->le, self->to, msg.id));
	EXPECT_EQ(1, ack(le, got.id));
	close(le);
}

/* The call names the new message, and nothing if there is none. */
TEST_F(forward, names_the_new_one)
{
	struct mpmcq_peek peek = { .size = sizeof(peek), .where = MPMCQ_PEEK_READY };
	struct mpmcq_forward req = { .size = sizeof(req), .fd = self->to, .seq = 99 };
	struct mpmcq_msg msg = hold_one(self->from, self->le, 3);
	struct mpmcq_forward *fixed;

	req.id = msg.id;
	ASSERT_EQ(0, result(ioctl(self->le, MPMCQ_IOC_FORWARD, &req)));
	ASSERT_EQ(0, result(ioctl(self->to, MPMCQ_IOC_PEEK, &peek)));
	EXPECT_EQ(peek.found, req.seq);
	ASSERT_EQ(LEN, take_msg(self->to, LEN, 3));
	EXPECT_EQ(-ENOENT, result(ioctl(self->le, MPMCQ_IOC_FORWARD, &req)));
	EXPECT_EQ(0, req.seq);

	msg = hold_one(self->from, self->le, 4);
	req.id = msg.id;
	req.fd = self->from;
	ASSERT_EQ(0, result(ioctl(self->le, MPMCQ_IOC_FORWARD, &req)));
	ASSERT_EQ(0, result(ioctl(self->from, MPMCQ_IOC_PEEK, &peek)));
	EXPECT_EQ(peek.found, req.seq);

	/* Who cannot be told is refused, and the message stays held. */
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 4, &msg));
	fixed = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, fixed);
	*fixed = req;
	fixed->id = msg.id;
	ASSERT_EQ(0, mprotect(fixed, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(self->le, MPMCQ_IOC_FORWARD, fixed)));
	EXPECT_EQ(0, depth(self->from));
	EXPECT_EQ(1, ack(self->le, msg.id));
	munmap(fixed, 4096);
}

/* It is a new message, without a history. */
TEST_F(forward, suspect)
{
	int le = attach(self->to, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg = hold_one(self->from, self->le, 1), got[2];

	ASSERT_LE(0, le);
	close(self->le);
	self->le = attach(self->from, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 1, &msg));
	EXPECT_EQ(2, msg.deliveries);
	ASSERT_EQ(0, forward_to(self->le, self->to, msg.id));
	ASSERT_EQ(LEN, put_msg(self->to, LEN, 2));
	ASSERT_EQ(2, take_packed(le, 2, LEN, 1, got));
	EXPECT_EQ(1, got[0].deliveries);
	EXPECT_EQ(2, ack_all(le));
	close(le);
}

TEST_F(forward, other_payload)
{
	struct mpmcq_msg msg = hold_one(self->from, self->le, 1);
	unsigned char data[32];

	fill(data, 32, 9);
	ASSERT_EQ(0, forward_to(self->le, self->to, msg.id, .buf = (unsigned long)data, .len = 32));
	EXPECT_EQ(32, take_msg(self->to, 32, 9));
	msg = hold_one(self->from, self->le, 1);
	ASSERT_EQ(0, forward_to(self->le, self->to, msg.id, .buf = (unsigned long)data, .len = 1));
	EXPECT_EQ(1, take_msg(self->to, 1, 9));
	EXPECT_EQ(2, info_of(self->from).acked);
}

/* To the end of the queue it is in: in its own slot, so also if that is full. */
TEST_F(forward, same_queue)
{
	struct mpmcq_msg msg = hold_one(self->from, self->le, 0);
	unsigned char data[64];
	int i;

	for (i = 1; i < CAPACITY; i++)
		ASSERT_EQ(LEN, put_msg(self->from, LEN, i));
	EXPECT_EQ(-EAGAIN, put_msg(self->from, LEN, i));
	ASSERT_EQ(0, forward_to(self->le, self->from, msg.id));
	EXPECT_EQ(CAPACITY + 1, info_of(self->from).sent);
	for (i = 1; i < CAPACITY; i++)
		ASSERT_EQ(LEN, take_msg(self->from, LEN, i));
	ASSERT_EQ(1, take_packed(self->le, 1, LEN, 0, &msg));
	EXPECT_EQ(1, msg.deliveries);
	fill(data, 64, 5);
	ASSERT_EQ(0, forward_to(self->le, self->from, msg.id, .buf = (unsigned long)data,
				.len = 64, .delay_ms = 1));
	EXPECT_TRUE(comes_true(depth(self->from) == 1));
	EXPECT_EQ(64, take_msg(self->from, 64, 5));
}

/* What fails leaves the message where it is. */
TEST_F(forward, fails)
{
	int ro = attach(self->to, O_RDONLY, 0, 0), file = open("/dev/null", O_RDWR);
	int wo = attach(self->from, O_WRONLY, 0, 0), path = open("/dev/null", O_PATH);
	struct mpmcq_msg msg = hold_one(self->from, self->le, 1);
	unsigned char data[64] = { };
	__u64 at = (unsigned long)data;
	int i;

	ASSERT_EQ(LEN, msg.len);
	EXPECT_EQ(-ENOENT, forward_to(self->le, self->to, msg.id + 4));
	EXPECT_EQ(-ENOENT, forward_to(self->from, self->to, msg.id));
	EXPECT_EQ(-EBADF, forward_to(wo, self->to, msg.id));
	EXPECT_EQ(-EBADF, forward_to(self->le, -1, msg.id));
	EXPECT_EQ(-EBADF, forward_to(self->le, INT_MAX, msg.id));
	EXPECT_EQ(-EBADF, forward_to(self->le, path, msg.id));
	EXPECT_EQ(-EBADF, forward_to(self->le, ro, msg.id));
	EXPECT_EQ(-EINVAL, forward_to(self->le, file, msg.id));
	EXPECT_EQ(-EINVAL, forward_to(self->le, self->to, msg.id, .flags = 1));
	EXPECT_EQ(-EINVAL, forward_to(self->le, self->to, msg.id, .priority = 1));
	EXPECT_EQ(-EINVAL, forward_to(self->le, self->to, msg.id, .len = 1));
	EXPECT_EQ(-EINVAL, forward_to(self->le, self->to, msg.id, .buf = at));
	EXPECT_EQ(-EFAULT, forward_to(self->le, self->to, msg.id, .buf = 1, .len = 1));
	EXPECT_EQ(-EMSGSIZE, forward_to(self->le, self->to, msg.id, .buf = at, .len = 33));
	EXPECT_EQ(-EMSGSIZE, forward_to(self->le, self->to, msg.id, .buf = at, .len = 65537));
	EXPECT_EQ(-EMSGSIZE, forward_to(self->le, self->to, msg.id, .buf = at, .len = UINT32_MAX));
	EXPECT_EQ(-EMSGSIZE, forward_to(self->le, self->from, msg.id, .buf = at, .len = 65));
	EXPECT_EQ(-EOPNOTSUPP, forward_to(self->le, self->to, msg.id, .delay_ms = 1));
	for (i = 0; i < CAPACITY; i++)
		ASSERT_EQ(LEN, put_msg(self->to, LEN, i));
	EXPECT_EQ(-EAGAIN, forward_to(self->le, self->to, msg.id));
	ASSERT_EQ(0, close_queue(self->to));
	EXPECT_EQ(-EPIPE, forward_to(self->le, self->to, msg.id));
	ASSERT_EQ(0, reopen_queue(self->to));
	ASSERT_EQ(0, close_queue(self->from));
	EXPECT_EQ(-EPIPE, forward_to(self->le, self->from, msg.id));
	ASSERT_EQ(0, reopen_queue(self->from));
	EXPECT_EQ(1, info_of(self->le).held);
	EXPECT_EQ(CAPACITY, depth(self->to));
	EXPECT_EQ(1, ack(self->le, msg.id));
	close(path);
	close(wo);
	close(file);
	close(ro);
}

struct forward_call {
	int from, to;
	__u64 id;
};

static ssize_t forward_by_thread(int fd, void *buf, size_t len)
{
	const struct forward_call *c = buf;

	return forward_to(c->from, c->to, c->id);
}

/* It waits for room as a write to that file does. */
TEST_F(forward, waits)
{
	int wait = attach(self->to, O_WRONLY, 0, 0);
	struct forward_call c = { .from = self->le, .to = wait };
	struct call call;
	int i;

	ASSERT_LE(0, wait);
	c.id = hold_one(self->from, self->le, 9).id;
	ASSERT_EQ(CAPACITY, put_all(self->to, LEN, 0));
	ASSERT_EQ(0, start_call(&call, forward_by_thread, self->le, &c, 0));
	wait_all_asleep(&call, 1, SYS_ioctl);
	EXPECT_EQ(1, info_of(self->le).held);
	EXPECT_EQ(LEN, take_msg(self->to, LEN, 0));
	EXPECT_EQ(0, finish_call(&call));
	for (i = 1; i < CAPACITY; i++)
		EXPECT_EQ(LEN, take_msg(self->to, LEN, i));
	EXPECT_EQ(LEN, take_msg(self->to, LEN, 9));
	close(wait);
}

/* Whoever ends the lease meanwhile has the message. */
TEST_F(forward, settled_meanwhile)
{
	int wait = attach(self->to, O_WRONLY, 0, 0);
	struct forward_call c = { .from = self->le, .to = wait };
	struct call call;

	ASSERT_LE(0, wait);
	c.id = hold_one(self->from, self->le, 9).id;
	ASSERT_EQ(CAPACITY, put_all(self->to, LEN, 0));
	ASSERT_EQ(0, start_call(&call, forward_by_thread, self->le, &c, 0));
	wait_all_asleep(&call, 1, SYS_ioctl);
	EXPECT_EQ(1, nack(self->le, c.id));
	EXPECT_EQ(LEN, take_msg(self->from, LEN, 9));
	EXPECT_EQ(LEN, take_msg(self->to, LEN, 0));
	EXPECT_EQ(-ENOENT, finish_call(&call));
	EXPECT_EQ(CAPACITY - 1, depth(self->to));
	EXPECT_EQ(LEN, put_msg(self->to, LEN, 5));
	close(wait);
}

TEST_F(forward, deadline_meanwhile)
{
	int from = make_queue(.capacity = 2, .msg_size = 32, .lease_ms = 100,
			      .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(from, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	int wait = attach(self->to, O_WRONLY, 0, 0);
	struct forward_call c = { .from = le, .to = wait };
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_EQ(CAPACITY, put_all(self->to, LEN, 0));
	c.id = hold_one(from, le, 9).id;
	ASSERT_EQ(0, start_call(&call, forward_by_thread, le, &c, 0));
	wait_all_asleep(&call, 1, SYS_ioctl);
	EXPECT_TRUE(comes_true(depth(from) == 1));
	EXPECT_EQ(LEN, take_msg(self->to, LEN, 0));
	EXPECT_EQ(-ENOENT, finish_call(&call));
	EXPECT_EQ(LEN, take_msg(from, LEN, 9));
	EXPECT_EQ(CAPACITY - 1, depth(self->to));
	close(wait);
	close(le);
	close(from);
}

/* To a queue that drops its oldest; and dead messages, from where they can go nowhere else. */
TEST_F(forward, dead_to_one_that_drops)
{
	int to = make_queue(.capacity = 2, .msg_size = 32, .flags = MPMCQ_DROP_OLDEST,
			    .open_flags = O_RDWR | O_NONBLOCK);
	int dead = attach(self->from, O_RDWR | O_NONBLOCK, DEAD | LEASE | PACKED, 0);
	struct mpmcq_msg msg = hold_one(self->from, self->le, 3);

	ASSERT_LE(0, to);
	ASSERT_LE(0, dead);
	ASSERT_EQ(LEN, put_msg(to, LEN, 1));
	ASSERT_EQ(LEN, put_msg(to, LEN, 2));
	EXPECT_EQ(1, reject(self->le, msg.id));
	ASSERT_EQ(1, take_packed(dead, 1, LEN, 3, &msg));
	ASSERT_EQ(0, forward_to(dead, to, msg.id));
	EXPECT_EQ(0, info_of(self->from).dead);
	EXPECT_EQ(1, info_of(to).dropped);
	EXPECT_EQ(LEN, take_msg(to, LEN, 2));
	EXPECT_EQ(LEN, take_msg(to, LEN, 3));
	close(dead);
	close(to);
}

/* A full holder has room afterwards, and who polls for that is woken. */
TEST_F(forward, makes_room)
{
	int le = attach(self->from, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
	struct pollfd pfd = { .fd = le, .events = POLLIN };
	struct mpmcq_msg msg;
	pid_t child;

	ASSERT_LE(0, le);
	msg = hold_one(self->from, le, 1);
	ASSERT_EQ(LEN, put_msg(self->from, LEN, 2));
	EXPECT_EQ(0, poll_now(le) & POLLIN);
	child = fork_child(poll(&pfd, 1, 10000) == 1 && pfd.revents == POLLIN);
	ASSERT_LT(0, child);
	wait_asleep(child, SYS_poll);
	EXPECT_EQ(0, forward_to(le, self->to, msg.id));
	EXPECT_EQ(1, child_end(child));
	close(le);
}

TEST_HARNESS_MAIN
