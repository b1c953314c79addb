// SPDX-License-Identifier: GPL-2.0-only
/*
 * Leases: a message stays its reader's until it is acknowledged.  How reads acknowledge, how many
 * messages a file may hold, its modes, and how deliveries are counted.
 */

#include "lease_test.h"

TEST_F(lease, held_until_the_next_read)
{
	int i, le = reader(O_NONBLOCK, 0);

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
}

/* What is held has its slot. */
TEST_F(lease, takes_room)
{
	int le = reader(O_NONBLOCK, 0);

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
}

/* A read acknowledges what the last one delivered, unless it fails for its buffer. */
TEST_F(lease, which_reads_acknowledge)
{
	int le = reader(O_NONBLOCK, 0);
	unsigned char *edge = map_edge();
	struct iovec iov = { large, LEN };
	int i;

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
}

/* A read that has waited has acknowledged, whatever comes then. */
TEST_F(lease, waiting_read_fails_later)
{
	int le = reader(0, 0);
	struct call call;

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN - 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(-EMSGSIZE, finish_call(&call));
	EXPECT_EQ(0, held(le));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
}

TEST_F(lease, waiting_read_acknowledges_first)
{
	int le = reader(0, 0);
	struct call call;

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
}

TEST_F(lease, interrupted_read)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	int le = reader(0, 0);
	struct call call;

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, take_msg(le, LEN, 0));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, LEN));
	pthread_kill(call.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, finish_call(&call));
	EXPECT_EQ(0, held(le));
}

TEST_F(lease, second_read_is_refused)
{
	int le = reader(0, 0), twin = dup(le);
	struct iovec iov = { large + LEN, LEN };
	struct call call;

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
}

/* Two processes that share an open file by mistake. */
TEST_F(lease, second_read_by_another_process)
{
	int le = reader(0, 0);
	unsigned char buf[LEN];
	pid_t pid;

	pid = fork_child(take(le, buf, LEN) != LEN);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	EXPECT_EQ(-EBUSY, take(le, large, LEN));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(0, child_end(pid));
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack_all(le));
}

/* A killed reader leaves the file as usable as it was. */
TEST_F(lease, reading_process_killed)
{
	int le = reader(0, 0);
	unsigned char buf[LEN];
	pid_t pid;

	pid = fork_child(take(le, buf, LEN) != LEN);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	EXPECT_EQ(LEN, take_msg(le, LEN, 1));
	EXPECT_EQ(1, ack_all(le));
}

TEST_F(lease, packed_reads_together)
{
	int le = reader(0, PACKED);
	unsigned char buf[2][100];
	struct call call[2];
	int i;

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
}

TEST_F(lease, packed_reads_acknowledge_nothing)
{
	int i, le = reader(O_NONBLOCK, PACKED);
	struct mpmcq_msg msg[FEW];

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
	int le = hold_some(1, &msg);

	EXPECT_EQ(-EBUSY, set_modes(le, 0, 0));
	EXPECT_EQ(-EBUSY, set_modes(le, PACKED, 0));
	EXPECT_EQ(-EBUSY, set_modes(le, LEASE, 0));
	EXPECT_EQ(LEASE | PACKED, info_of(le).modes);
	EXPECT_EQ(1, held(le));
	EXPECT_EQ(1, ack(le, msg.id));
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
	int i, le = reader(0, PACKED);
	int pk = attach(self->fd, O_RDONLY, PACKED, 0);
	unsigned char *edge = map_edge();
	struct mpmcq_msg msg;

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

TEST_HARNESS_MAIN
