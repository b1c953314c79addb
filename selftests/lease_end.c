// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a lease by the end of its reader, however that comes about, and of messages that come
 * back too often.
 */

#include "lease_test.h"

TEST_F(lease, close_gives_back_in_order)
{
	struct mpmcq_msg msg[FEW];
	int i, again, le = put_and_hold(self->fd, self->n, msg);

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
	int le = put_and_hold(self->fd, self->n, msg), twin = dup(le);

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
		le = put_and_hold(self->fd, self->n, msg);
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
	int sock[2], le = put_and_hold(self->fd, self->n, msg), got;

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
	int le = put_and_hold(fd, FEW, msg);

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
	int le = put_and_hold(fd, 2, msg);

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

TEST_HARNESS_MAIN
