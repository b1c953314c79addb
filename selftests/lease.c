// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: a message stays its reader's until it is acknowledged, comes back when
 * it is given back or its reader ends, however that comes about, and is set aside
 * if it does so too often.
 */

#include <linux/aio_abi.h>

#include "own_test.h"
#include "record.h"
#include "uring_test.h"

#define FEW	6
#define COUNT_MAX	MPMCQ_MAX_HELD_MAX

static unsigned char large[MSG_SIZE_MAX];

static long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Takes @n messages, the first number @seed; -1, or the number of the last. */
static int take_some(int nb, int n, unsigned int seed)
{
	int i;

	for (i = 0; i < n; i++)
		if (take_msg(nb, LEN, seed + i) != LEN)
			return -1;
	return seed + n - 1;
}

/*
 * A queue of one's own, on which @fd waits and @nb does not.  @n messages are
 * some, but no more than fit.
 */
FIXTURE(lease)
{
	int fd;
	int nb;
	int capacity;
	int n;
};

FIXTURE_VARIANT(lease)
{
	int capacity;
};

FIXTURE_VARIANT_ADD(lease, shortest)
{
	.capacity = 2,
};

FIXTURE_VARIANT_ADD(lease, usual)
{
	.capacity = 32,
};

FIXTURE_SETUP(lease)
{
	self->capacity = variant->capacity;
	self->n = self->capacity < FEW ? self->capacity : FEW;
	self->fd = make_queue(.capacity = self->capacity, .msg_size = 64, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = attach(self->fd, O_RDWR | O_NONBLOCK, 0, 0);
	ASSERT_LE(0, self->nb);
}

/* Nothing is held, and no slot is missing. */
FIXTURE_TEARDOWN(lease)
{
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(0, dead(self->fd));
	EXPECT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(self->nb);
	close(self->fd);
}

TEST_F(lease, held_until_the_next_read)
{
	int i, le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	for (i = 0; i < self->capacity; i++) {
		ASSERT_EQ(LEN, take_msg(le, LEN, i));
		EXPECT_EQ(1, held(le));
		EXPECT_EQ(0, held(self->fd));
		EXPECT_EQ(1, leased(self->fd));
		EXPECT_EQ(self->capacity - 1 - i, depth(self->fd));
	}
	EXPECT_EQ(-EAGAIN, take(le, large, LEN));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(0, leased(self->fd));
	close(le);
}

/* What is held has its slot. */
TEST_F(lease, takes_room)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(-EAGAIN, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(READABLE, poll_now(self->nb));
	ASSERT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(LEN, put_msg(self->nb, LEN, self->capacity));
	EXPECT_EQ(-EAGAIN, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(LEN, put_msg(self->nb, LEN, self->capacity + 1));
	EXPECT_EQ(self->capacity + 1, take_some(self->nb, self->capacity, 2));
	close(le);
}

/* A read acknowledges what the last one delivered, unless it fails for its buffer. */
TEST_F(lease, which_reads_acknowledge)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	unsigned char *edge = map_edge();
	struct iovec iov = { large, LEN };
	int i;

	ASSERT_LE(0, le);
	ASSERT_NE(NULL, edge);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(0, take(le, large, 0));
	EXPECT_EQ(0, readv(le, &iov, 0));
	EXPECT_EQ(1, held(le));

	EXPECT_EQ(-EAGAIN, take(le, large, LEN));
	EXPECT_EQ(0, held(le));

	/* Be the next message a first delivery or one that came back. */
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(LEN, take_msg(le, LEN, 2));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 3));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(-EMSGSIZE, take(le, large, LEN - 1));
		EXPECT_EQ(-EFAULT, result(read(le, edge - LEN + 1, LEN)));
		EXPECT_EQ(1, held(le));
		EXPECT_EQ(1, depth(self->fd));
	}
	ASSERT_EQ(LEN, take_msg(le, LEN, 3));
	EXPECT_EQ(1, held(le));

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 4));
	ASSERT_EQ(LEN, take_msg(le, LEN, 4));
	EXPECT_EQ(-EAGAIN, result(readv(le, &iov, 1)));
	EXPECT_EQ(0, held(le));

	/* But what fails before a read begins does not. */
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 5));
	ASSERT_EQ(LEN, take_msg(le, LEN, 5));
	EXPECT_EQ(-EINVAL, result(preadv2(le, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(-ESPIPE, result(pread(le, large, LEN, 0)));
	EXPECT_EQ(-EBADF, put(le, large, LEN));
	EXPECT_EQ(0, next_len(le));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

/* A read that has waited has acknowledged, whatever comes then. */
TEST_F(lease, waiting_read_fails_later)
{
	int le = attach(self->fd, O_RDONLY, LEASE, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN - 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(-EMSGSIZE, finish_call(&call));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	close(le);
}

TEST_F(lease, waiting_read_acknowledges_first)
{
	int le = attach(self->fd, O_RDONLY, LEASE, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(0, leased(self->fd));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

static void ignore_signal(int sig)
{
}

TEST_F(lease, interrupted_read)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	int le = attach(self->fd, O_RDONLY, LEASE, 0);
	struct call call;

	ASSERT_LE(0, le);
	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN));
	pthread_kill(call.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, finish_call(&call));
	EXPECT_EQ(0, held(le));
	close(le);
}

TEST_F(lease, second_read_is_refused)
{
	int le = attach(self->fd, O_RDONLY, LEASE, 0), twin = dup(le);
	struct iovec iov = { large + LEN, LEN };
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_LE(0, twin);
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN));
	EXPECT_EQ(-EBUSY, take(le, large + LEN, LEN));
	EXPECT_EQ(-EBUSY, take(twin, large + LEN, LEN));
	EXPECT_EQ(-EBUSY, result(readv(le, &iov, 1)));
	EXPECT_EQ(-EBUSY, set_modes(le, 0, 0));
	EXPECT_EQ(-EBUSY, set_modes(le, LEASE | PACKED, 0));
	EXPECT_EQ(0, ack_all(le));
	wait_asleep(call.tid, SYS_read);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	EXPECT_EQ(LEN, take_msg(twin, LEN, 2));
	EXPECT_EQ(1, ack_all(twin));
	close(twin);
	close(le);
}

/* Two processes that share an open file by mistake. */
TEST_F(lease, second_read_by_another_process)
{
	int le = attach(self->fd, O_RDONLY, LEASE, 0);
	unsigned char buf[LEN];
	pid_t pid;

	ASSERT_LE(0, le);
	pid = fork_child(take(le, buf, LEN) != LEN);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	EXPECT_EQ(-EBUSY, take(le, large, LEN));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

/* A killed reader leaves the file as usable as it was. */
TEST_F(lease, reading_process_killed)
{
	int le = attach(self->fd, O_RDONLY, LEASE, 0);
	unsigned char buf[LEN];
	pid_t pid;

	ASSERT_LE(0, le);
	pid = fork_child(take(le, buf, LEN) != LEN);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

TEST_F(lease, packed_reads_together)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	unsigned char buf[2][100];
	struct call call[2];
	int i;

	ASSERT_LE(0, le);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, le, buf[i], 100));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	/* One may have got both, and the other waits on. */
	ASSERT_TRUE(comes_true(held(le) == 2));
	EXPECT_EQ(2, ack_all(le));
	while (!__atomic_load_n(&call[0].done, __ATOMIC_ACQUIRE) ||
	       !__atomic_load_n(&call[1].done, __ATOMIC_ACQUIRE)) {
		put_msg(self->nb, LEN, 2);
		usleep(1000);
	}
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, finish_call(&call[i]) % space_of(LEN));
	ack_all(le);
	take_all(self->nb);
	close(le);
}

TEST_F(lease, packed_reads_acknowledge_nothing)
{
	int i, le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg[FEW];

	ASSERT_LE(0, le);
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	for (i = 0; i < self->n; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg[i]));
		EXPECT_EQ(1, msg[i].deliveries);
		EXPECT_EQ(i + 1, held(le));
		EXPECT_EQ(i + 1, leased(self->fd));
		EXPECT_EQ(0, take(le, large, 0));
	}
	while (i--) {
		EXPECT_EQ(1, ack(le, msg[i].id));
		EXPECT_EQ(i, held(le));
		EXPECT_EQ(-ENOENT, ack(le, msg[i].id));
	}
	close(le);
}

/* A queue with @n messages, all of them held by a packed file. */
static int hold(int fd, int n, struct mpmcq_msg *msg)
{
	int i, le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);

	for (i = 0; i < n; i++)
		if (put_msg(fd, LEN, i) != LEN)
			return -1;
	return take_packed(le, n, LEN, 0, msg) == n ? le : -1;
}

TEST_F(lease, ack_some)
{
	struct mpmcq_msg msg[FEW];
	__u64 ids[FEW];
	int i, le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	for (i = 0; i < self->n - 1; i++)
		ids[i] = msg[i + 1].id;
	EXPECT_EQ(self->n - 1, settle(le, MPMCQ_SETTLE_ACK, 0, ids, self->n - 1, NULL));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(0, ack_all(le));
	close(le);
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
		le = hold(self->fd, 1, msg);
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
	int bit, le = hold(self->fd, 1, &msg);
	__u32 done;
	size_t i;

	ASSERT_LE(0, le);
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
	close(le);
}

/* Nor for the same message when it comes again, by whichever way. */
TEST_F(lease, id_of_an_earlier_delivery)
{
	struct mpmcq_msg msg[20];
	int le = hold(self->fd, 1, msg), i, j;

	ASSERT_LE(0, le);
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
	close(le);
}

TEST_F(lease, bad_requests)
{
	struct mpmcq_msg msg;
	static __u64 ids[COUNT_MAX + 1];
	int le = hold(self->fd, 1, &msg);
	__u32 done;
	size_t i;

	ASSERT_LE(0, le);
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
		EXPECT_EQ(-EFAULT, settle(le, op, 0, (void *)-8UL, COUNT_MAX, NULL));
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
	close(le);
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
		le = hold(self->fd, self->n, msg);
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
	int le = hold(self->fd, 1, &msg);

	ASSERT_LE(0, le);
	ASSERT_NE(MAP_FAILED, req);
	*req = (struct mpmcq_settle){
		.size = sizeof(*req), .op = MPMCQ_SETTLE_ACK, .flags = ALL,
	};
	ASSERT_EQ(0, mprotect(req, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(le, MPMCQ_IOC_SETTLE, req)));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(1, ack_all(le));
	munmap(req, getpagesize());
	close(le);
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

TEST_F(lease, nack_to_tail)
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
	EXPECT_EQ(half, settle(le, MPMCQ_SETTLE_NACK, 0, ids, half, NULL));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(self->n, depth(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - half, half));
	EXPECT_EQ(half - 1, take_some(self->nb, half, 0));
	close(le);
}

TEST_F(lease, nack_to_front)
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
	EXPECT_EQ(half, settle(le, MPMCQ_SETTLE_NACK, FRONT, ids, half, NULL));
	EXPECT_EQ(self->n, depth(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n, 0));
	close(le);
}

TEST_F(lease, nack_all)
{
	struct mpmcq_msg msg[FEW];
	int le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_NACK));
	EXPECT_EQ(self->n, depth(self->fd));
	EXPECT_EQ(self->n, take_packed(le, self->n, LEN, 0, msg));
	EXPECT_EQ(2, msg[0].deliveries);
	EXPECT_EQ(self->n, settle(le, MPMCQ_SETTLE_NACK, ALL | FRONT, NULL, 0, NULL));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n, 0));
	close(le);
}

/* The length that FIONREAD tells is that of what is read next. */
TEST_F(lease, returned_is_next)
{
	struct mpmcq_msg msg;
	int le = hold(self->fd, 1, &msg);

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN + 1, put_msg(self->nb, LEN + 1, 1));
	EXPECT_EQ(LEN + 1, next_len(self->fd));
	EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, FRONT, &msg.id, 1, NULL));
	EXPECT_EQ(LEN, next_len(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 0));
	EXPECT_EQ(LEN + 1, take_msg(self->nb, LEN + 1, 1));
	close(le);
}

/* One message at a time, and requests for it without its id. */
TEST_F(lease, requests_for_all_of_one)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, le);
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
	close(le);
}

TEST_F(lease, reject)
{
	struct mpmcq_msg msg[FEW];
	int i, le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	for (i = 0; i < self->n; i++) {
		EXPECT_EQ(1, reject(le, msg[i].id));
		EXPECT_EQ(i + 1, dead(self->fd));
		EXPECT_EQ(0, depth(self->fd));
		EXPECT_EQ(self->n - 1 - i, held(le));
	}
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	EXPECT_EQ(self->n, purge(self->fd, 0));
	close(le);
}

TEST_F(lease, touch)
{
	struct mpmcq_msg msg[FEW];
	int i, le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(1, touch(le, msg[i].id));
	EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_TOUCH));
	EXPECT_EQ(self->n, held(le));
	EXPECT_EQ(self->n, ack_all(le));
	close(le);
}

TEST_F(lease, give_backs_wake_readers)
{
	unsigned char buf[FEW][LEN];
	struct mpmcq_msg msg[FEW];
	struct call call[FEW];
	int i, way, le;

	for (way = 0; way < 3; way++) {
		le = hold(self->fd, self->n, msg);
		ASSERT_LE(0, le);
		for (i = 0; i < self->n; i++)
			ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
		if (way == 0)
			EXPECT_EQ(self->n, settle_all(le, MPMCQ_SETTLE_NACK));
		if (way == 1)
			EXPECT_EQ(self->n, settle(le, MPMCQ_SETTLE_NACK, ALL | FRONT, NULL, 0,
						  NULL));
		close(le);
		for (i = 0; i < self->n; i++)
			EXPECT_EQ(LEN, finish_call(&call[i]));
	}
}

TEST_F(lease, acks_wake_writers)
{
	struct mpmcq_msg msg[FEW];
	struct call call[FEW];
	int i, le, one = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, one);
	fill(large, LEN, 1);
	le = hold(self->fd, self->n, msg);
	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity - self->n, put_all(self->nb, LEN, 1));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, self->fd, large, LEN));
	EXPECT_EQ(self->n, ack_all(le));
	for (i = 0; i < self->n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));

	/* And by the next read. */
	ASSERT_EQ(LEN, take(one, large + 100, LEN));
	ASSERT_EQ(0, start_blocked(&call[0], put, self->fd, large, LEN));
	ASSERT_EQ(LEN, take(one, large + 100, LEN));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	EXPECT_EQ(1, ack_all(one));
	take_all(self->nb);
	close(le);
	close(one);
}

TEST_F(lease, edges)
{
	int in = watch(self->nb, EPOLLIN | EPOLLET), out = watch(self->nb, EPOLLOUT | EPOLLET);
	struct mpmcq_msg msg[FEW];
	int le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity - self->n, put_all(self->nb, LEN, 0));
	event_now(in);
	event_now(out);
	EXPECT_EQ(0, event_now(in));
	EXPECT_EQ(0, event_now(out));
	EXPECT_EQ(1, nack(le, msg[0].id));
	EXPECT_EQ(EPOLLIN, event_now(in));
	EXPECT_EQ(0, event_now(out));
	EXPECT_EQ(1, ack(le, msg[1].id));
	EXPECT_EQ(0, event_now(in));
	EXPECT_EQ(EPOLLOUT, event_now(out));
	close(le);
	if (self->n > 2)
		EXPECT_EQ(EPOLLIN, event_now(in));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
	close(in);
	close(out);
}

/* Nobody is told of what somebody else holds, not even the holder. */
TEST_F(lease, poll)
{
	struct mpmcq_msg msg;
	int le = hold(self->fd, 1, &msg);

	ASSERT_LE(0, le);
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	EXPECT_EQ(WRITABLE, poll_now(le));
	EXPECT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(le));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 0));
	close(le);
}

static ssize_t poll_for_message(int fd, void *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = result(ppoll(&pfd, 1, NULL, NULL));

	return ret < 0 ? ret : pfd.revents;
}

/* How often a thread has gone to sleep. */
static int sleeps(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
	return atoi(line(path, "voluntary_ctxt_switches:\t"));
}

/* Takes as many as it may hold, and leaves one; the file, which reads and writes, or -1. */
static int hold_all(int fd, int n, struct mpmcq_msg *msg)
{
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, n);
	int i, got, all = 0;

	for (i = 0; i <= n; i++)
		if (put_msg(fd, LEN, i) != LEN)
			return -1;
	/* A read takes half of the room that is left. */
	while ((got = take_packed(le, n - all, LEN, all, msg + all)) > 0)
		all += got;
	return all == n ? le : -1;
}

/* An event loop that has enough in hand is not told of what it could not read. */
TEST_F(lease, full_holder_is_not_readable)
{
	int le, max = self->n - 1, out = watch(self->nb, EPOLLOUT);
	struct mpmcq_msg msg[FEW];

	ASSERT_LE(0, out);
	le = hold_all(self->nb, max, msg);
	ASSERT_LE(0, le);
	EXPECT_EQ(max == self->capacity - 1 ? 0 : WRITABLE, poll_now(le));
	EXPECT_EQ(READABLE, poll_now(self->nb) & READABLE);
	EXPECT_EQ(-ENOBUFS, take_packed(le, 1, LEN, 0, NULL));
	EXPECT_EQ(1, touch(le, msg[0].id));
	EXPECT_EQ(0, poll_now(le) & READABLE);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(READABLE, poll_now(le) & READABLE);
	EXPECT_EQ(1, take_packed(le, 1, LEN, max, NULL));
	EXPECT_EQ(0, poll_now(le) & READABLE);
	EXPECT_EQ(max, ack_all(le));
	close(le);
	close(out);
}

/* What ends a lease makes room, and that is news for who was told, or found, that there is none. */
TEST_F(lease, room_is_an_edge)
{
	static const __u32 ends[] = { MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_REJECT };
	int i, le, ep, ended, max = self->n - 1;
	struct mpmcq_msg msg[FEW];

	for (i = 0; i < 4; i++) {
		le = hold_all(self->nb, max, msg);
		ASSERT_LE(0, le);
		ep = watch(le, EPOLLIN | EPOLLET);
		ASSERT_LE(0, ep);
		EXPECT_EQ(0, event_now(ep));
		/* An edge that was told before the read found no room. */
		EXPECT_EQ(-ENOBUFS, take_packed(le, 1, LEN, 0, NULL));
		EXPECT_EQ(0, event_now(ep));
		ended = i < 3 ? settle(le, ends[i], 0, &msg[0].id, 1, NULL) : ack_all(le);
		EXPECT_EQ(i < 3 ? 1 : max, ended);
		EXPECT_EQ(EPOLLIN, event_now(ep));
		/* Told once: another acknowledgment is no news. */
		if (i < 3 && max > 1) {
			EXPECT_EQ(1, ack(le, msg[1].id));
			EXPECT_EQ(0, event_now(ep));
		}
		close(le);
		close(ep);
		take_all(self->nb);
		purge(self->fd, 0);
		ASSERT_EQ(0, depth(self->fd));
	}
}

/*
 * A put wakes one exclusive poller.  If that one's holder is full it cannot take the message, and
 * another has to be woken.
 */
TEST(full_holder_takes_no_wakeup)
{
	enum { WORKERS = 4 };
	int fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, n, le[WORKERS], ep[WORKERS];
	struct mpmcq_msg msg;

	ASSERT_LE(0, fd);
	for (i = 0; i < WORKERS; i++) {
		le[i] = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
		ep[i] = watch(le[i], EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_LE(0, ep[i]);
	}
	/* Whoever is told takes one message, and keeps it. */
	for (n = 0; n < WORKERS; n++) {
		int told = 0, took = 0;

		ASSERT_EQ(LEN, put_msg(fd, LEN, n));
		for (i = 0; i < WORKERS; i++) {
			if (!event_now(ep[i]))
				continue;
			told++;
			took += take_packed(le[i], 1, LEN, n, &msg) == 1;
		}
		EXPECT_LE(1, told);
		EXPECT_EQ(1, took);
	}
	/* All are full: nobody is told, until one has room. */
	ASSERT_EQ(LEN, put_msg(fd, LEN, n));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, event_now(ep[i]));
	EXPECT_EQ(1, ack_all(le[2]));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(i == 2 ? EPOLLIN : 0, event_now(ep[i]));
	for (i = 0; i < WORKERS; i++) {
		close(ep[i]);
		close(le[i]);
	}
	close(fd);
}

/* The same if the others were full, and told, when a message came that one of them left. */
TEST(full_holder_passes_on)
{
	int fd = make_queue(.capacity = 16, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, le[2], ep[2];

	ASSERT_LE(0, fd);
	for (i = 0; i < 2; i++) {
		le[i] = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
		ep[i] = watch(le[i], EPOLLIN | EPOLLEXCLUSIVE);
		ASSERT_LE(0, ep[i]);
	}
	/* The first is full, and nobody has asked yet; so the put wakes it alone. */
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(1, take_packed(le[0], 1, LEN, 0, NULL));
	for (i = 0; i < 2; i++)
		event_now(ep[i]);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(0, event_now(ep[0]));
	EXPECT_EQ(EPOLLIN, event_now(ep[1]));
	for (i = 0; i < 2; i++) {
		close(ep[i]);
		close(le[i]);
	}
	close(fd);
}

/* Room of one holder is no news for others: 50 acknowledgments wake one poller, not two. */
TEST(room_is_no_news_for_others)
{
	enum { N = 50 };
	int fd = make_queue(.capacity = 128, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	int i, before, le, other;
	struct mpmcq_msg msg;
	struct call call;

	ASSERT_LE(0, fd);
	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
	other = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 1);
	ASSERT_LE(0, other);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(1, take_packed(other, 1, LEN, 0, NULL));
	for (i = 0; i <= N; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	ASSERT_EQ(0, start_call(&call, poll_for_message, other, NULL, 0));
	wait_asleep(call.tid, SYS_ppoll);
	before = sleeps(call.tid);
	for (i = 0; i < N; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		EXPECT_EQ(0, poll_now(le) & READABLE);
		EXPECT_EQ(1, ack(le, msg.id));
		EXPECT_EQ(READABLE, poll_now(le) & READABLE);
		usleep(1000);
	}
	EXPECT_GT(5, sleeps(call.tid) - before);
	EXPECT_FALSE(call.done);
	EXPECT_EQ(1, ack_all(other));
	EXPECT_EQ(POLLIN, finish_call(&call));
	close(other);
	close(le);
	close(fd);
}

/* A task that sleeps in poll is woken by room; also by a deadline's. */
TEST_F(lease, room_wakes_pollers)
{
	int i, le, fd, max = self->n - 1;
	struct mpmcq_msg msg[FEW];
	struct call call;

	for (i = 0; i < 2; i++) {
		fd = make_queue(.capacity = self->capacity, .msg_size = 64, .lease_ms = i ? 100 : 0,
				.open_flags = O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd);
		le = hold_all(fd, max, msg);
		ASSERT_LE(0, le);
		ASSERT_EQ(0, start_call(&call, poll_for_message, le, NULL, 0));
		if (!i) {
			wait_asleep(call.tid, SYS_ppoll);
			EXPECT_EQ(1, ack(le, msg[0].id));
		}
		EXPECT_EQ(POLLIN, finish_call(&call));
		close(le);
		close(fd);
	}
}

/* While a closed queue drains only the last message home is news. */
TEST(end_wakes_once)
{
	enum { N = 64 };
	int i, le, before[2], fd = make_queue(.capacity = N, .msg_size = 64, .open_flags = O_RDWR);
	struct mpmcq_msg msg[N];
	struct call call[2];

	ASSERT_LE(0, fd);
	le = hold(fd, N, msg);
	ASSERT_LE(0, le);
	EXPECT_EQ(0, close_queue(fd));
	ASSERT_EQ(0, start_blocked(&call[0], take, fd, large, LEN));
	ASSERT_EQ(0, start_call(&call[1], poll_for_message, attach(fd, O_RDONLY, 0, 0), NULL, 0));
	wait_asleep(call[1].tid, SYS_ppoll);
	for (i = 0; i < 2; i++)
		before[i] = sleeps(call[i].tid);
	for (i = 0; i < N - 1; i++) {
		ASSERT_EQ(1, ack(le, msg[i].id));
		usleep(1000);
	}
	for (i = 0; i < 2; i++) {
		EXPECT_GT(3, sleeps(call[i].tid) - before[i]);
		EXPECT_FALSE(call[i].done);
	}
	EXPECT_EQ(1, ack(le, msg[N - 1].id));
	EXPECT_EQ(0, finish_call(&call[0]));
	EXPECT_EQ(POLLHUP, finish_call(&call[1]));
	close(call[1].fd);
	close(le);
	close(fd);
}

TEST_F(lease, as_many_as_may_be_held)
{
	int i, max, le;
	struct mpmcq_msg msg[FEW];

	for (max = 1; max < self->n; max++) {
		le = attach(self->fd, O_RDWR, LEASE | PACKED, max);
		ASSERT_LE(0, le);
		EXPECT_EQ(max, (int)info_of(le).max_held);
		for (i = 0; i < self->n; i++)
			ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(max, take_packed(le, self->n, LEN, 0, msg));
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(0, take(le, large, 0));
		EXPECT_EQ(self->n - max, depth(self->fd));
		EXPECT_EQ(1, ack(le, msg[0].id));
		EXPECT_EQ(1, take_packed(le, self->n, LEN, max, NULL));
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(self->n - max - 1, take_all(self->nb));
		/* It does not wait for a message that it may not take. */
		EXPECT_EQ(-ENOBUFS, take_packed(le, self->n, LEN, 0, NULL));
		EXPECT_EQ(max, ack_all(le));
		close(le);
	}
}

/* One after the other is possible also if only one may be held. */
enum { ALL_HELD = 4096, ALL_SIZE = 16 };

struct feed {
	int fd;
	int le;
	bool stop;
};

/* Keeps the queue full. */
static void *feed_messages(void *arg)
{
	struct feed *feed = arg;
	unsigned char *buf = malloc(64 * space_of(ALL_SIZE));
	int i;

	for (i = 0; i < 64; i++)
		pack(buf + i * space_of(ALL_SIZE), ALL_SIZE, i);
	while (!__atomic_load_n(&feed->stop, __ATOMIC_RELAXED))
		if (write(feed->fd, buf, 64 * space_of(ALL_SIZE)) < 0)
			sched_yield();
	free(buf);
	return NULL;
}

static void *keep_reading(void *arg)
{
	struct feed *feed = arg;
	unsigned char *buf = malloc(4096 * space_of(ALL_SIZE));

	while (!__atomic_load_n(&feed->stop, __ATOMIC_RELAXED))
		if (read(feed->le, buf, 4096 * space_of(ALL_SIZE)) < 0)
			sched_yield();
	free(buf);
	return NULL;
}

/* "All" is no more than a file may hold, however fast others read more through the file. */
TEST(all_is_bounded)
{
	int i, fd = make_queue(.capacity = 16384, .msg_size = ALL_SIZE, .open_flags = O_RDWR);
	struct feed feed = { .fd = attach(fd, O_WRONLY | O_NONBLOCK, PACKED, 0) };
	pthread_t feeder, reader;

	ASSERT_LE(0, fd);
	feed.le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, ALL_HELD);
	ASSERT_LE(0, feed.le);
	ASSERT_EQ(0, pthread_create(&feeder, NULL, feed_messages, &feed));
	ASSERT_EQ(0, pthread_create(&reader, NULL, keep_reading, &feed));
	for (i = 0; i < 200; i++) {
		int done = ack_all(feed.le);

		EXPECT_LE(0, done);
		EXPECT_GE(ALL_HELD, done);
		if (done < 0 || done > ALL_HELD)
			break;
		usleep(2000);
	}
	__atomic_store_n(&feed.stop, true, __ATOMIC_RELAXED);
	pthread_join(feeder, NULL);
	pthread_join(reader, NULL);
	close(feed.le);
	close(feed.fd);
	close(fd);
}

TEST_F(lease, one_at_a_time)
{
	int i, le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE, 1);

	ASSERT_LE(0, le);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(LEN, take_msg(le, LEN, i));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

TEST_F(lease, max_held_values)
{
	const int max[] = { 0, 1, self->capacity, self->capacity + 1, MPMCQ_MAX_HELD_MAX };
	int fd;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(max); i++) {
		int want = max[i] && max[i] < self->capacity ? max[i] : self->capacity;

		fd = attach(self->fd, O_RDONLY, LEASE, max[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(want, (int)info_of(fd).max_held);
		close(fd);
		fd = attach(self->fd, O_RDONLY, 0, 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, set_modes(fd, LEASE, max[i]));
		EXPECT_EQ(want, (int)info_of(fd).max_held);
		close(fd);
	}
}

TEST(max_held_by_default)
{
	int i, fd = make_queue(.capacity = 256, .msg_size = 8, .open_flags = O_RDWR);
	struct mpmcq_msg msg[MPMCQ_MAX_HELD_DEFAULT];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_modes(fd, LEASE | PACKED, 0));
	EXPECT_EQ(MPMCQ_MAX_HELD_DEFAULT, info_of(fd).max_held);
	ASSERT_EQ(200, put_packed(fd, 200, LEN, 0));
	EXPECT_EQ(64, take_packed(fd, 200, LEN, 0, msg));
	EXPECT_EQ(-ENOBUFS, take_packed(fd, 200, LEN, 0, NULL));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(1, ack(fd, msg[i].id));
	close(fd);
}

TEST(many_held)
{
	static struct mpmcq_msg msg[1000];
	static __u64 ids[1000];
	int i, fd = make_queue(.capacity = 1024, .msg_size = 8, .open_flags = O_RDWR);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, set_modes(fd, LEASE | PACKED, 1000));
	ASSERT_EQ(1000, put_packed(fd, 1000, LEN, 0));
	EXPECT_EQ(1000, take_packed(fd, 1000, LEN, 0, msg));
	EXPECT_EQ(1000, held(fd));
	for (i = 0; i < 1000; i++)
		ids[i] = msg[i * 7 % 1000].id;
	EXPECT_EQ(500, settle(fd, MPMCQ_SETTLE_ACK, 0, ids, 500, NULL));
	EXPECT_EQ(500, settle(fd, MPMCQ_SETTLE_NACK, 0, ids + 500, 500, NULL));
	EXPECT_EQ(500, depth(fd));
	EXPECT_EQ(0, held(fd));
	close(fd);
}

TEST_F(lease, mode_errors)
{
	int writer = attach(self->fd, O_WRONLY, 0, 0);

	ASSERT_LE(0, writer);
	EXPECT_EQ(-EBADF, set_modes(writer, LEASE, 0));
	EXPECT_EQ(-EBADF, set_modes(writer, LEASE | PACKED, 1));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, MPMCQ_MODE_DEAD, 0));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, MPMCQ_MODE_DEAD | PACKED, 0));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, 0, 1));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, PACKED, 1));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, LEASE, MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, set_modes(self->fd, LEASE, UINT32_MAX));
	EXPECT_EQ(-EBADF, attach(self->fd, O_WRONLY, LEASE, 0));
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, 0, 1));
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, PACKED, 1));
	EXPECT_EQ(-EINVAL, attach(self->fd, O_RDWR, LEASE, MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(0, info_of(self->fd).modes);
	EXPECT_EQ(0, info_of(writer).modes);
	close(writer);
}

/* There is a way to leases, but none back. */
TEST_F(lease, mode_on)
{
	const int modes[] = { 0, PACKED, 0, LEASE, LEASE, PACKED, LEASE | PACKED };
	struct mpmcq_msg msg;
	int fd, way, want;
	size_t i;

	for (way = 0; way < 2; way++) {
		fd = attach(self->fd, O_RDWR, 0, 0);
		ASSERT_LE(0, fd);
		for (i = want = 0; i < ARRAY_SIZE(modes); i++) {
			int mode = modes[i] & LEASE && way ? modes[i] ^ PACKED : modes[i];
			bool stays = want & LEASE && mode != want;

			EXPECT_EQ(stays ? -EBUSY : 0, set_modes(fd, mode, 0))
				TH_LOG("from %d to %d", want, mode);
			want = stays ? want : mode;
			EXPECT_EQ(want, (int)info_of(fd).modes);
			ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
			ASSERT_EQ(want & PACKED ? 1 : LEN,
				  want & PACKED ? take_packed(fd, 1, LEN, i, &msg) :
						  take_msg(fd, LEN, i));
			EXPECT_EQ(!!(want & LEASE), held(fd));
			EXPECT_EQ(!!(want & LEASE), ack_all(fd));
		}
		close(fd);
	}
}

TEST_F(lease, mode_while_held)
{
	struct mpmcq_msg msg;
	int le = hold(self->fd, 1, &msg);

	ASSERT_LE(0, le);
	EXPECT_EQ(-EBUSY, set_modes(le, 0, 0));
	EXPECT_EQ(-EBUSY, set_modes(le, PACKED, 0));
	EXPECT_EQ(-EBUSY, set_modes(le, LEASE, 0));
	EXPECT_EQ(LEASE | PACKED, info_of(le).modes);
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack(le, msg.id));
	close(le);
}

TEST_F(lease, max_held_is_fixed_once)
{
	int fd = attach(self->fd, O_RDONLY, 0, 0);

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, set_modes(fd, PACKED, 0));
	EXPECT_EQ(0, set_modes(fd, LEASE, 1));
	EXPECT_EQ(0, set_modes(fd, LEASE, 1));
	EXPECT_EQ(-EBUSY, set_modes(fd, LEASE, 0));
	EXPECT_EQ(-EBUSY, set_modes(fd, LEASE, 2));
	EXPECT_EQ(1, info_of(fd).max_held);
	close(fd);

	/* What is too much in any case is not taken for what there is. */
	fd = attach(self->fd, O_RDONLY, LEASE, self->capacity);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, set_modes(fd, LEASE, MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(0, set_modes(fd, LEASE, MPMCQ_MAX_HELD_MAX));
	close(fd);
}

/* A delivery that is taken back counts for nothing: the message never dies of it. */
TEST_F(lease, untried)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .max_deliveries = 2);
	int i, ended, le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i % 2, &msg));
		EXPECT_EQ(1, msg.deliveries);
		if (i < 10)
			ended = settle(le, MPMCQ_SETTLE_NACK, UNTRIED, &msg.id, 1, NULL);
		else
			ended = settle(le, MPMCQ_SETTLE_NACK, UNTRIED | ALL, NULL, 0, NULL);
		EXPECT_EQ(1, ended);
	}
	/* To the front: the same one comes again. */
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
		EXPECT_EQ(1, msg.deliveries);
		EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, UNTRIED | FRONT, &msg.id, 1, NULL));
	}
	EXPECT_EQ(0, dead(fd));
	EXPECT_EQ(30, (int)info_of(fd).returned);

	/* The last that it may have, taken back, is the last that it may have. */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
		EXPECT_EQ(i ? 2 : 1, (int)msg.deliveries);
		EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, FRONT | (i == 1 ? UNTRIED : 0),
				    &msg.id, 1, NULL));
	}
	EXPECT_EQ(1, dead(fd));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(le);
	close(fd);
}

TEST_F(lease, deliveries_are_counted)
{
	int i, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	int pk = attach(self->fd, O_RDONLY, PACKED, 0);
	unsigned char *edge = map_edge();
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	ASSERT_LE(0, pk);
	ASSERT_NE(NULL, edge);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	for (i = 1; i <= 5; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
		EXPECT_EQ(i, (int)msg.deliveries);
		ASSERT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, i % 2 ? FRONT : 0, &msg.id, 1,
				    NULL));
		/* Reads that fail are none. */
		EXPECT_EQ(-EFAULT, result(read(le, edge - 30, 100)));
		EXPECT_EQ(-EFAULT, result(read(pk, edge - 30, 100)));
		EXPECT_EQ(-EMSGSIZE, take(le, large, 30));
		EXPECT_EQ(0, held(le));
	}
	ASSERT_EQ(1, take_packed(pk, 1, LEN, 0, &msg));
	EXPECT_EQ(5, msg.deliveries);
	/* The next message has not been delivered yet. */
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(pk, 1, LEN, 1, &msg));
	EXPECT_EQ(0, msg.deliveries);
	close(pk);
	close(le);
}

/* A read over the edge holds what it delivered; the rest stays, in order. */
TEST_F(lease, read_over_edge)
{
	int i, before, n = self->n < 3 ? self->n : 3, total = n * space_of(LEN);
	unsigned char *edge = map_edge();
	struct mpmcq_msg msg[3];

	ASSERT_NE(NULL, edge);
	for (before = 0; before < total; before++) {
		int whole = before / space_of(LEN);
		int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);

		ASSERT_LE(0, le);
		for (i = 0; i < n; i++)
			ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(whole ? whole * space_of(LEN) : -EFAULT,
			  result(read(le, edge - before, total + 50)));
		ASSERT_EQ(whole, held(le));
		ASSERT_EQ(n - whole, depth(self->fd));
		ASSERT_EQ(n - whole, take_packed(le, n, LEN, whole, msg));
		for (i = 0; i < n - whole; i++)
			EXPECT_EQ(1, msg[i].deliveries);
		ASSERT_EQ(n, ack_all(le));
		close(le);
	}
}

TEST_F(lease, close_gives_back_in_order)
{
	struct mpmcq_msg msg[FEW];
	int i, again, le = hold(self->fd, self->n, msg);

	ASSERT_LE(0, le);
	/* What is written meanwhile is read later. */
	if (self->n > 2) {
		EXPECT_EQ(1, ack(le, msg[1].id));
		EXPECT_EQ(LEN, put_msg(self->nb, LEN, 50));
	}
	EXPECT_EQ(0, close(le));
	EXPECT_EQ(self->n, depth(self->fd));
	EXPECT_EQ(0, leased(self->fd));
	again = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	for (i = 0; i < self->n; i++) {
		if (self->n > 2 && i == 1)
			continue;
		EXPECT_EQ(1, take_packed(again, 1, LEN, i, msg));
		EXPECT_EQ(2, msg[0].deliveries);
		EXPECT_EQ(1, ack_all(again));
	}
	if (self->n > 2) {
		EXPECT_EQ(1, take_packed(again, 1, LEN, 50, msg));
		EXPECT_EQ(1, msg[0].deliveries);
		EXPECT_EQ(1, ack_all(again));
	}
	close(again);
}

/* Before close returns. */
TEST_F(lease, close_gives_back_at_once)
{
	int i, le;

	for (i = 0; i < 200; i++) {
		le = attach(self->fd, O_RDONLY, LEASE, 0);
		ASSERT_LE(0, le);
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		ASSERT_EQ(LEN, take_msg(le, LEN, i));
		close(le);
		ASSERT_EQ(LEN, take_msg(self->nb, LEN, i));
	}
}

/* Two files' messages, however the files are closed. */
TEST_F(lease, two_files)
{
	int one = attach(self->fd, O_RDONLY, LEASE, 0), two = attach(self->fd, O_RDONLY, LEASE, 0);

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(LEN, take_msg(one, LEN, 1));
	ASSERT_EQ(LEN, take_msg(two, LEN, 2));
	EXPECT_EQ(2, leased(self->fd));
	close(two);
	EXPECT_EQ(1, leased(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 2));
	EXPECT_EQ(1, ack_all(one));
	close(one);
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
}

TEST_F(lease, not_before_the_last_duplicate_is_closed)
{
	struct mpmcq_msg msg[FEW];
	int le = hold(self->fd, self->n, msg), twin = dup(le);

	ASSERT_LE(0, le);
	ASSERT_LE(0, twin);
	close(le);
	EXPECT_EQ(self->n, leased(self->fd));
	EXPECT_EQ(self->n, held(twin));
	EXPECT_EQ(1, ack(twin, msg[0].id));
	close(twin);
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - 1, 1));
}

/* A child has all files of its parent; each of the two may be the last. */
TEST_F(lease, not_before_the_last_process_ends)
{
	int way, fds[2], le;
	struct mpmcq_msg msg[FEW];
	pid_t pid[2];
	char c;

	for (way = 0; way < 2; way++) {
		le = hold(self->fd, self->n, msg);
		ASSERT_LE(0, le);
		ASSERT_EQ(0, pipe(fds));
		pid[0] = fork_child(read(fds[0], &c, 1));
		pid[1] = fork_child(pause());
		ASSERT_LE(0, pid[0]);
		ASSERT_LE(0, pid[1]);
		close(le);
		EXPECT_EQ(self->n, leased(self->fd));
		kill(pid[1], SIGKILL);
		EXPECT_EQ(-SIGKILL, child_end(pid[1]));
		EXPECT_EQ(self->n, leased(self->fd));
		EXPECT_EQ(way, way ? write(fds[1], "x", 1) : kill(pid[0], SIGKILL));
		EXPECT_EQ(way ? 1 : -SIGKILL, child_end(pid[0]));
		EXPECT_EQ(0, leased(self->fd));
		EXPECT_EQ(self->n - 1, take_some(self->nb, self->n, 0));
		close(fds[0]);
		close(fds[1]);
	}
}

/* Takes @n messages with a lease, acknowledges the first of several, and says so. */
static int worker(int fd, int n, int say)
{
	int le = attach(fd, O_RDONLY, LEASE | PACKED, 0);
	struct mpmcq_msg msg[FEW];

	if (take_packed(le, n, LEN, 0, msg) != n || (n > 1 && ack(le, msg[0].id) != 1) ||
	    write(say, "x", 1) != 1)
		return 1;
	return 0;
}

TEST_F(lease, exit_gives_back)
{
	int i, fds[2];
	pid_t pid;

	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	pid = fork_child(worker(self->fd, self->n, fds[1]));
	ASSERT_LE(0, pid);
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(self->n - 1, depth(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - 1, 1));
	close(fds[0]);
	close(fds[1]);
}

TEST_F(lease, kill_gives_back)
{
	int i, fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	for (i = 0; i < self->n; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	pid = fork_child(worker(self->fd, self->n, fds[1]) || pause());
	ASSERT_LE(0, pid);
	ASSERT_EQ(1, read(fds[0], &c, 1));
	EXPECT_EQ(self->n - 1, leased(self->fd));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(self->n - 1, depth(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - 1, 1));
	close(fds[0]);
	close(fds[1]);
}

/* Killed in a read that waits, holding others; and while a stranger waits for them. */
TEST_F(lease, kill_in_read_gives_back)
{
	unsigned char buf[100];
	struct call call;
	int round, le;
	pid_t pid;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
			_exit(take_packed(le, 1, LEN, 0, NULL) != 1 || take(le, buf, 100) > 0);
		}
		ASSERT_TRUE(comes_true(leased(self->fd) == 1));
		wait_asleep(pid, SYS_read);
		ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
		kill(pid, SIGKILL);
		EXPECT_EQ(-SIGKILL, child_end(pid));
		EXPECT_EQ(LEN, finish_call(&call));
		EXPECT_TRUE(is_filled(large, LEN, 0));
	}
}

/* A process of many threads is killed in one of them. */
TEST_F(lease, kill_of_threads_gives_back)
{
	pid_t pid = fork();
	struct call call;
	int le;

	ASSERT_LE(0, pid);
	if (!pid) {
		le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
		start_blocked(&call, take, le, large, 100);
		take(attach(self->fd, O_RDONLY, LEASE, 0), large + 100, 100);
		pause();
	}
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_TRUE(comes_true(leased(self->fd) > 0));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(2, depth(self->fd));
	EXPECT_EQ(2, take_all(self->nb));
}

TEST_F(lease, passed_by_socket)
{
	struct mpmcq_msg msg[FEW];
	int sock[2], le = hold(self->fd, self->n, msg), got;

	ASSERT_LE(0, le);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	/* On its way it is open, though nobody has it. */
	ASSERT_EQ(1, send_fd(sock[1], le));
	close(le);
	EXPECT_EQ(self->n, leased(self->fd));
	got = receive_fd(sock[0]);
	ASSERT_LE(0, got);
	EXPECT_EQ(self->n, held(got));
	EXPECT_EQ(1, ack(got, msg[0].id));

	/* It may not arrive. */
	ASSERT_EQ(1, send_fd(sock[1], got));
	close(got);
	EXPECT_EQ(self->n - 1, leased(self->fd));
	close(sock[0]);
	close(sock[1]);
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(self->n - 1, take_some(self->nb, self->n - 1, 1));
}

/* The queue goes with its last file, whatever that holds. */
TEST(queue_goes_with_leases)
{
	struct mpmcq_msg msg[FEW];
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR, .lease_ms = 500);
	int le = hold(fd, FEW, msg);

	ASSERT_LE(0, le);
	close(fd);
	EXPECT_EQ(FEW, held(le));
	close(le);
	usleep(600000);
}

/* A message that came back too often, by whichever way, is set aside. */
TEST_F(lease, too_many_deliveries)
{
	int way, i, fd, le, corpses;
	struct mpmcq_msg msg;

	for (way = 0; way < 4; way++) {
		fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
				.max_deliveries = 3, .lease_ms = way == 3 ? 100 : 0);
		ASSERT_LE(0, fd);
		EXPECT_EQ(3, info_of(fd).max_deliveries);
		ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
		ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
		for (i = 1; i <= 3; i++) {
			le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 1);
			/* At the tail it gives way to the other one. */
			if (way == 0 && i == 2)
				ASSERT_EQ(LEN, take_msg(fd, LEN, 1));
			ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
			EXPECT_EQ(i, (int)msg.deliveries);
			EXPECT_EQ(0, dead(fd));
			if (way == 0)
				EXPECT_EQ(1, nack(le, msg.id));
			if (way == 1)
				EXPECT_EQ(1, settle(le, MPMCQ_SETTLE_NACK, FRONT, &msg.id, 1,
						    NULL));
			if (way == 3)
				EXPECT_TRUE(comes_true(!held(le)));
			close(le);
		}
		EXPECT_EQ(1, dead(fd)) TH_LOG("way %d", way);
		EXPECT_EQ(way ? 1 : 0, depth(fd));
		if (way)
			EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
		EXPECT_EQ(-EAGAIN, take(fd, large, LEN));
		corpses = attach(fd, O_RDONLY, MPMCQ_MODE_DEAD | PACKED, 0);
		EXPECT_EQ(1, take_packed(corpses, 1, LEN, 0, &msg));
		EXPECT_EQ(3, msg.deliveries);
		close(corpses);
		close(fd);
	}
}

/* For a limit of 1 the first delivery is the last. */
TEST(one_delivery)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .max_deliveries = 1);
	struct mpmcq_msg msg[2];
	int le = hold(fd, 2, msg);

	ASSERT_LE(0, le);
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, dead(fd));
	close(le);
	EXPECT_EQ(2, dead(fd));
	EXPECT_EQ(0, depth(fd));
	close(fd);
}

/* Reads that fail, and reads that keep nothing, do not wear a message out. */
TEST(failures_do_not_count)
{
	int i, fd = make_queue(.capacity = 2, .msg_size = 64, .max_deliveries = 1,
			       .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	unsigned char *edge = map_edge();

	ASSERT_LE(0, le);
	ASSERT_NE(NULL, edge);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 0));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(-EFAULT, result(read(le, edge - 1, LEN)));
		EXPECT_EQ(-EMSGSIZE, take(le, large, 1));
		EXPECT_EQ(-EFAULT, result(read(fd, edge - 1, LEN)));
	}
	EXPECT_EQ(0, dead(fd));
	EXPECT_EQ(LEN, take_msg(le, LEN, 0));
	close(le);
	EXPECT_EQ(1, dead(fd));
	close(fd);
}

/* A queue whose leases last @ms, with @n messages held by @le. */
static int make_timed(int ms, int n, int *le, struct mpmcq_msg *msg)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .lease_ms = ms);

	*le = hold(fd, n, msg);
	return *le < 0 ? -1 : fd;
}

TEST(deadline)
{
	struct mpmcq_msg msg[4], again;
	long before = now_ms();
	int i, le, fd = make_timed(300, 4, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(300, info_of(fd).lease_ms);
	EXPECT_EQ(1, ack(le, msg[1].id));
	ASSERT_TRUE(comes_true(depth(fd) == 3));
	EXPECT_LE(300, now_ms() - before);
	EXPECT_GT(5000, now_ms() - before);
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(0, leased(fd));
	EXPECT_EQ(-ENOENT, ack(le, msg[0].id));
	EXPECT_EQ(-ENOENT, nack(le, msg[2].id));
	EXPECT_EQ(-ENOENT, touch(le, msg[3].id));
	EXPECT_EQ(0, ack_all(le));
	for (i = 0; i < 4; i++) {
		if (i == 1)
			continue;
		EXPECT_EQ(1, take_packed(le, 4, LEN, i, &again));
		EXPECT_EQ(2, again.deliveries);
		EXPECT_EQ(-ENOENT, ack(le, msg[i].id));
		EXPECT_EQ(1, ack(le, again.id));
	}
	close(le);
	close(fd);
}

/* The read after it acknowledges nothing, and says nothing of it. */
TEST(deadline_one_at_a_time)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			    .lease_ms = 20);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 1));
	ASSERT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	ASSERT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(le, large, LEN));
	EXPECT_EQ(0, leased(fd));
	close(le);
	close(fd);
}

/* In the order read, also if not all at once. */
TEST(deadline_order)
{
	struct mpmcq_msg msg;
	int i, fd = make_queue(.capacity = 8, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK,
			       .lease_ms = 200);
	int le = attach(fd, O_RDONLY, LEASE | PACKED, 0);

	ASSERT_LE(0, le);
	for (i = 0; i < 5; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		usleep(1000);
	}
	ASSERT_TRUE(comes_true(depth(fd) == 5));
	EXPECT_EQ(4, take_some(fd, 5, 0));
	close(le);
	close(fd);
}

/* Not so soon that a slow machine has not put the reader to sleep by then. */
TEST(deadline_wakes)
{
	struct mpmcq_msg msg[2];
	int ep, le, fd = make_timed(1000, 2, &le, msg);
	struct epoll_event event;
	struct call call;

	ASSERT_LE(0, fd);
	ep = watch(fd, EPOLLIN | EPOLLET);
	ASSERT_EQ(0, start_blocked(&call, take, attach(fd, O_RDONLY, 0, 0), large, LEN));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_EQ(1, epoll_wait(ep, &event, 1, 10000));
	EXPECT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(1, take_some(fd, 1, 1));
	close(ep);
	close(le);
	close(fd);
}

/* Also the file itself that held it, and waits for more. */
TEST(deadline_wakes_the_holder)
{
	int le, fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR,
				.lease_ms = 50);
	struct mpmcq_msg msg;
	struct call call;

	le = attach(fd, O_RDONLY, LEASE | PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	ASSERT_EQ(0, start_call(&call, take, le, large, 100));
	EXPECT_EQ(space_of(LEN), finish_call(&call));
	EXPECT_EQ(space_of(LEN), unpack(large, 100, LEN, 1, &msg));
	EXPECT_EQ(2, msg.deliveries);
	EXPECT_EQ(1, ack(le, msg.id));
	close(le);
	close(fd);
}

/* Who is held up here for nearly as long as the lease lasts tries again. */
TEST(deadline_moves)
{
	struct mpmcq_msg msg[2];
	int tries, le, fd;
	long start, last, before, longest;

	for (tries = 0; tries < 10; tries++) {
		fd = make_timed(400, 2, &le, msg);
		ASSERT_LE(0, fd);
		longest = 0;
		for (start = last = now_ms(); now_ms() - start < 1000; last = now_ms()) {
			usleep(20000);
			before = now_ms();
			touch(le, msg[0].id);
			settle_all(le, MPMCQ_SETTLE_TOUCH);
			if (now_ms() - last > longest)
				longest = now_ms() - last;
		}
		if (longest < 300)
			break;
		close(le);
		close(fd);
	}
	ASSERT_GT(10, tries) TH_LOG("this machine is too slow");
	EXPECT_EQ(2, held(le));
	EXPECT_TRUE(comes_true(depth(fd) == 2));
	EXPECT_LE(399, now_ms() - before);
	EXPECT_EQ(2, take_all(fd));
	close(le);
	close(fd);
}

/* What is due first comes back first. */
TEST(deadline_order_after_touch)
{
	struct mpmcq_msg msg[3];
	int le, fd = make_timed(300, 3, &le, msg);

	ASSERT_LE(0, fd);
	usleep(20000);
	EXPECT_EQ(1, touch(le, msg[1].id));
	usleep(20000);
	EXPECT_EQ(1, touch(le, msg[0].id));
	ASSERT_TRUE(comes_true(depth(fd) == 3));
	EXPECT_EQ(2, take_some(fd, 1, 2));
	EXPECT_EQ(1, take_some(fd, 1, 1));
	EXPECT_EQ(0, take_some(fd, 1, 0));
	close(le);
	close(fd);
}

/* A touch moves the deadline of that message alone. */
TEST(deadline_of_others_stays)
{
	struct mpmcq_msg msg[2];
	int le, fd = make_timed(200, 2, &le, msg);

	ASSERT_LE(0, fd);
	while (!depth(fd)) {
		ASSERT_EQ(1, touch(le, msg[0].id)) TH_LOG("too slow, or touched in vain");
		usleep(5000);
	}
	EXPECT_EQ(1, take_some(fd, 1, 1));
	EXPECT_TRUE(comes_true(depth(fd) == 1));
	EXPECT_EQ(0, take_some(fd, 1, 0));
	close(le);
	close(fd);
}

TEST(long_deadline)
{
	struct mpmcq_msg msg[2];
	int le, fd = make_timed(INT_MAX, 2, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(INT_MAX, info_of(fd).lease_ms);
	usleep(50000);
	EXPECT_EQ(2, held(le));
	EXPECT_EQ(1, touch(le, msg[0].id));
	EXPECT_EQ(2, ack_all(le));
	close(le);
	close(fd);
}

static int by_value(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return (x > y) - (x < y);
}

/*
 * Deadlines do not lose precision with length, and never come early.  The timer wheel would be
 * up to an eighth late; one late message may be the machine's fault, half of them are not.
 */
TEST(deadline_is_exact)
{
	enum { QUEUES = 15, LEASE_MS = 4000, APART_MS = 37 };
	int fd[QUEUES], le[QUEUES], i;
	long end[QUEUES], late[QUEUES];
	struct mpmcq_msg msg;

	for (i = 0; i < QUEUES; i++) {
		long before;

		fd[i] = make_timed(LEASE_MS, 1, &le[i], &msg);
		ASSERT_LE(0, fd[i]);
		before = now_us();
		ASSERT_EQ(1, touch(le[i], msg.id));
		end[i] = before + LEASE_MS * 1000L;
		usleep(APART_MS * 1000);
	}
	for (i = 0; i < QUEUES; i++) {
		struct pollfd pfd = { .fd = fd[i], .events = POLLIN };

		EXPECT_EQ(1, poll(&pfd, 1, 2 * LEASE_MS));
		late[i] = now_us() - end[i];
		EXPECT_LE(0, late[i]);
		close(le[i]);
		close(fd[i]);
	}
	qsort(late, QUEUES, sizeof(*late), by_value);
	TH_LOG("late by %ld to %ld us, half of them by less than %ld", late[0], late[QUEUES - 1],
	       late[QUEUES / 2]);
	EXPECT_GT(30000, late[QUEUES / 2]);
}

/* A message that was given back before its time does not come back once more. */
TEST(deadline_after_the_end)
{
	struct mpmcq_msg msg[4];
	int i, le, fd = make_timed(200, 4, &le, msg);

	ASSERT_LE(0, fd);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, reject(le, msg[2].id));
	close(le);
	EXPECT_EQ(2, take_all(fd));
	EXPECT_EQ(1, purge(fd, 0));
	for (i = 0; i < 8; i++)
		EXPECT_EQ(LEN, put_msg(fd, LEN, i));
	usleep(300000);
	EXPECT_EQ(8, depth(fd));
	EXPECT_EQ(7, take_some(fd, 8, 0));
	EXPECT_EQ(-EAGAIN, take(fd, large, LEN));
	close(fd);
}

/* Whoever is first, the deadline or the request: one of them gets it, whole. */
TEST(deadline_races)
{
	int i, acked = 0, back = 0, fd = make_queue(.capacity = 4, .msg_size = 64, .lease_ms = 4,
						    .open_flags = O_RDWR | O_NONBLOCK);
	int le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	for (i = 0; i < 200; i++) {
		int ret = -ENOENT;

		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
		ASSERT_EQ(1, take_packed(le, 1, LEN, i, &msg));
		usleep(2000 + i % 40 * 250);
		if (i % 3 == 0) {
			ret = ack(le, msg.id);
		} else if (i % 3 == 1) {
			nack(le, msg.id);
		} else {
			close(le);
			le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
		}
		if (ret == 1) {
			acked++;
			ASSERT_EQ(-EAGAIN, take(fd, large, LEN));
		} else {
			back++;
			ASSERT_EQ(-ENOENT, ret);
			ASSERT_TRUE(comes_true(depth(fd) == 1));
			ASSERT_EQ(LEN, take_msg(fd, LEN, i));
			ASSERT_EQ(-EAGAIN, take(fd, large, LEN));
		}
		ASSERT_EQ(0, held(le));
		ASSERT_EQ(0, leased(fd));
	}
	EXPECT_EQ(200, acked + back);
	EXPECT_EQ(4, put_all(fd, LEN, 0));
	close(le);
	close(fd);
}

/* Makes a read by aio, which takes the file's position; its result. */
static int aio_read(int fd, void *buf, size_t len)
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
		.aio_buf = (unsigned long)buf, .aio_nbytes = len,
	}, *iocbs = &iocb;
	struct io_event event = { .res = -ENODATA };
	aio_context_t ctx = 0;
	int ret = -ENOSYS;

	if (syscall(SYS_io_setup, 1, &ctx) < 0)
		return -errno;
	if (syscall(SYS_io_submit, ctx, 1, &iocbs) < 0)
		ret = -errno;
	else if (syscall(SYS_io_getevents, ctx, 1, 1, &event, NULL) == 1)
		ret = event.res;
	syscall(SYS_io_destroy, ctx);
	return ret;
}

/* The result of one read by io_uring, of a ring made with @setup, with flags of an entry. */
static int uring_read(struct __test_metadata *_metadata, int fd, unsigned int setup, __u8 flags)
{
	struct io_uring ring;
	int id, ret = io_uring_queue_init(8, &ring, setup);

	if (ret)
		return ret == -ENOSYS || ret == -EPERM ? NOT_DONE : ret;
	prep_read(&ring, fd, large, LEN, 1)->flags |= flags;
	EXPECT_EQ(1, io_uring_submit(&ring));
	ret = done(&ring, &id);
	io_uring_queue_exit(&ring);
	return ret;
}

/*
 * A read that acknowledges the message before is one whose caller has that message by then.
 * With io_uring and aio the caller may not have seen it.
 */
TEST_F(lease, only_read_acknowledges)
{
	static const struct {
		unsigned int setup;
		__u8 flags;
	} ways[] = { { 0, 0 }, { 0, IOSQE_ASYNC }, { IORING_SETUP_SQPOLL, 0 } };
	int i, ret, le = attach(self->fd, O_RDONLY, LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	EXPECT_EQ(-EINVAL, aio_read(le, large, LEN));
	EXPECT_EQ(1, held(le));
	for (i = 0; i < 3; i++) {
		ret = uring_read(_metadata, le, ways[i].setup, ways[i].flags);
		if (ret == NOT_DONE)
			SKIP(break, "no io_uring for us");
		EXPECT_EQ(-EINVAL, ret);
		EXPECT_EQ(1, held(le));
	}
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, ack_all(le));
	close(le);
}

/* One request that reads again and again would acknowledge what nobody has looked at. */
TEST_F(lease, multishot_read_does_not_acknowledge)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE, 0);
	struct io_uring_sqe *sqe;
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	io_uring_prep_provide_buffers(io_uring_get_sqe(&ring), large, 16, 4, 1, 0);
	ASSERT_EQ(1, io_uring_submit(&ring));
	ASSERT_LE(0, done(&ring, &id));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_rw(OP_READ_MULTISHOT, sqe, le, NULL, 0, -1);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = 1;
	ASSERT_EQ(1, io_uring_submit(&ring));
	/* Kernels without multishot reads say the same. */
	EXPECT_EQ(-EINVAL, done(&ring, &id));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(1, take_some(self->nb, 2, 0));
	io_uring_queue_exit(&ring);
	close(le);
}

/* A registered file is a reference like any other: its leases last as long as the ring. */
TEST_F(lease, uring_fixed_file)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, io_uring_register_files(&ring, &le, 1));
	close(le);
	usleep(20000);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(1, leased(self->fd));
	io_uring_queue_exit(&ring);
	/* The kernel may put the ring's files later than this. */
	EXPECT_TRUE(comes_true(depth(self->fd) == 1));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
}

TEST_F(lease, uring_packed)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct io_uring ring;
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	prep_read(&ring, le, large, sizeof(large), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 1, &msg));
	EXPECT_EQ(1, msg.deliveries);
	EXPECT_EQ(1, ack(le, msg.id));
	io_uring_queue_exit(&ring);
	close(le);
}

/* The request in flight has the file, and so has the message until that is gone. */
TEST_F(lease, uring_outlives_close)
{
	int id, le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct mpmcq_msg msg;
	struct io_uring ring;

	ASSERT_LE(0, le);
	if (!ring_init(_metadata, &ring))
		return;
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	prep_read(&ring, le, large, space_of(LEN), 1);
	ASSERT_EQ(1, io_uring_submit(&ring));
	close(le);
	EXPECT_EQ(NOT_DONE, done_now(&ring, &id));
	EXPECT_EQ(0, depth(self->fd));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	EXPECT_EQ(space_of(LEN), done(&ring, &id));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 2, &msg));
	EXPECT_TRUE(comes_true(depth(self->fd) == 2));
	EXPECT_EQ(2, take_some(self->nb, 2, 1));
	io_uring_queue_exit(&ring);
}

TEST_F(lease, uring_process_killed)
{
	int fds[2], status, le;
	struct io_uring ring;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!ring_init(_metadata, &ring))
			_exit(KSFT_SKIP);
		le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
		if (take_packed(le, 1, LEN, 1, NULL) != 1)
			_exit(KSFT_FAIL);
		prep_read(&ring, le, large, sizeof(large), 1);
		if (io_uring_submit(&ring) != 1 || write(fds[1], "r", 1) != 1)
			_exit(KSFT_FAIL);
		pause();
	}
	close(fds[1]);
	if (read(fds[0], &c, 1) == 1)
		kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(comes_true(depth(self->fd) == 1));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	close(fds[0]);
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no io_uring for us");
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

/*
 * Workers are killed at random while they take messages, acknowledge them and give
 * them back.  Each notes in memory that outlives it that it is about to
 * acknowledge, and that it has; what was not acknowledged must come again, and what
 * was must not.
 */
#define WORKERS		4
#define NUMBERS		50000
#define KILLS		60
#define BATCH		8

enum fault {
	TORN = 1, UNKNOWN = 2, AFTER_ACK = 4, NOT_LATER = 8, NOT_HELD = 16, FAILED = 32,
};

struct account {
	bool stop;
	__u32 sent;		/* the writes of the numbers below have returned */
	int faults;
	struct {
		__u8 tries;	/* to acknowledge */
		__u8 acks;	/* of those, that returned */
		__u32 delivery;	/* the last that was seen */
	} message[NUMBERS];
};

static void fault(struct account *account, int what)
{
	__atomic_or_fetch(&account->faults, what, __ATOMIC_SEQ_CST);
}

/* Notes a delivery; the message's number, or -1. */
static int note_delivery(struct account *account, const void *buf, int len, __u32 delivery)
{
	const struct record *rec = buf;
	__u32 last;

	if (!is_whole(buf, len)) {
		fault(account, TORN);
		return -1;
	}
	if (rec->number >= NUMBERS) {
		fault(account, UNKNOWN);
		return -1;
	}
	if (__atomic_load_n(&account->message[rec->number].acks, __ATOMIC_SEQ_CST))
		fault(account, AFTER_ACK);
	/* In leases of one message at a time the count is not told. */
	last = delivery ? __atomic_exchange_n(&account->message[rec->number].delivery, delivery,
					      __ATOMIC_SEQ_CST) : 0;
	if (delivery && last >= delivery)
		fault(account, NOT_LATER);
	return rec->number;
}

static void note_try(struct account *account, int number)
{
	__atomic_add_fetch(&account->message[number].tries, 1, __ATOMIC_SEQ_CST);
}

static void note_ack(struct account *account, int number)
{
	__atomic_add_fetch(&account->message[number].acks, 1, __ATOMIC_SEQ_CST);
}

/* One message at a time; each read acknowledges the last. */
static int work_on_one(struct account *account, int fd)
{
	int le = attach(fd, O_RDONLY, LEASE, 0), ret, number = -1;
	unsigned char buf[256];

	for (;;) {
		if (number >= 0)
			note_try(account, number);
		ret = take(le, buf, sizeof(buf));
		if (number >= 0)
			note_ack(account, number);
		if (ret <= 0)
			break;
		number = note_delivery(account, buf, ret, 0);
		if (number < 0)
			return 1;
	}
	if (ret)
		fault(account, FAILED);
	return !!ret;
}

static int work_on_many(struct account *account, int fd, unsigned int seed)
{
	int le = attach(fd, O_RDONLY, LEASE | PACKED, BATCH), ret, at, i, n, number[BATCH];
	struct mpmcq_msg msg;
	unsigned char buf[1024];
	__u64 id[BATCH];

	while ((ret = take(le, buf, sizeof(buf))) > 0) {
		for (at = n = 0; at < ret; at += space_of(msg.len), n++) {
			memcpy(&msg, buf + at, sizeof(msg));
			id[n] = msg.id;
			number[n] = note_delivery(account, buf + at + sizeof(msg), msg.len,
						  msg.deliveries);
			if (number[n] < 0)
				return 1;
		}
		for (i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			if (seed >> 16 & 3) {
				note_try(account, number[i]);
				ret = ack(le, id[i]);
				note_ack(account, number[i]);
			} else {
				ret = settle(le, MPMCQ_SETTLE_NACK, seed >> 18 & FRONT, &id[i],
					     1, NULL);
			}
			if (ret != 1)
				fault(account, NOT_HELD);
		}
	}
	if (ret)
		fault(account, FAILED);
	return !!ret;
}

static ssize_t produce(int fd, void *arg, size_t longest)
{
	struct account *account = arg;
	unsigned char msg[256];
	int len;

	while (!__atomic_load_n(&account->stop, __ATOMIC_SEQ_CST) && account->sent < NUMBERS) {
		len = make_message(msg, 0, account->sent, longest);
		if (put(fd, msg, len) != len)
			return -1;
		account->sent++;
	}
	return 0;
}

FIXTURE(crowd)
{
	int fd;
	struct account *account;
};

FIXTURE_SETUP(crowd)
{
	self->fd = make_queue(.capacity = 32, .msg_size = 256, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->account = map_shared(sizeof(*self->account));
	ASSERT_NE(MAP_FAILED, self->account);
}

FIXTURE_TEARDOWN(crowd)
{
	close(self->fd);
}

static pid_t start_worker(struct account *account, int fd, int which, unsigned int seed)
{
	if (which % 2)
		return fork_child(work_on_one(account, fd));
	return fork_child(work_on_many(account, fd, seed));
}

TEST_F_TIMEOUT(crowd, killed_at_random, 120)
{
	struct account *account = self->account;
	int i, kills, unsure = 0, lost = 0, twice = 0;
	unsigned int random = now_ms();
	struct call producer;
	pid_t pid[WORKERS];

	TH_LOG("seed %u", random);
	ASSERT_EQ(0, start_call(&producer, produce, self->fd, account, 200));
	for (i = 0; i < WORKERS; i++)
		pid[i] = start_worker(account, self->fd, i, random + i);
	for (kills = 0; kills < KILLS; kills++) {
		random = random * 1103515245 + 12345;
		usleep((random >> 16) % 8000);
		i = (random >> 8) % WORKERS;
		ASSERT_LT(0, pid[i]);
		ASSERT_EQ(0, kill(pid[i], SIGKILL));
		ASSERT_EQ(-SIGKILL, child_end(pid[i]));
		pid[i] = start_worker(account, self->fd, i, random);
	}
	__atomic_store_n(&account->stop, true, __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, finish_call(&producer));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));

	EXPECT_EQ(0, account->faults);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(0, dead(self->fd));
	for (i = 0; i < (int)account->sent; i++) {
		lost += !account->message[i].tries;
		twice += account->message[i].acks > 1;
		unsure += !account->message[i].acks;
	}
	TH_LOG("%u messages, %d acknowledged by somebody who did not live to say so",
	       account->sent, unsure);
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, twice);
	/* A kill comes between a try and the note of its success at most once. */
	EXPECT_GE(kills, unsure);
	EXPECT_LT(500, (int)account->sent);
}

TEST_HARNESS_MAIN
