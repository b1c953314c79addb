// SPDX-License-Identifier: GPL-2.0-only
/*
 * Closing a queue: nobody writes any more, what is there is read, and then there
 * is an end.
 */

#include "close_test.h"

#define MANY	32

/* Without a signal: SIGPIPE would end the test. */
TEST_F(close, writes_fail)
{
	int pk = attach(self->fd, O_WRONLY, PACKED, 0);
	struct iovec iov = { large, LEN };

	ASSERT_LE(0, pk);
	EXPECT_EQ(0, info_of(self->fd).closed);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(1, info_of(self->fd).closed);
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(-EPIPE, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(-EPIPE, put_packed(pk, 2, LEN, 0));
	EXPECT_EQ(-EPIPE, result(writev(self->fd, &iov, 1)));
	EXPECT_EQ(-EPIPE, result(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(0, depth(self->fd));
	close(pk);
}

TEST_F(close, writes_to_the_full_queue_fail)
{
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
	EXPECT_EQ(-EPIPE, put_msg(self->nb, LEN, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(-EPIPE, put_msg(self->fd, LEN, 0));
}

TEST_F(close, only_by_writers)
{
	EXPECT_EQ(-EBADF, close_queue(self->reader));
	EXPECT_EQ(0, info_of(self->fd).closed);
	EXPECT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(0, close_queue(self->writer));
	EXPECT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EBADF, reopen_queue(self->reader));
	EXPECT_EQ(1, info_of(self->reader).closed);
	EXPECT_EQ(0, reopen_queue(self->writer));
	EXPECT_EQ(0, info_of(self->reader).closed);
	EXPECT_EQ(0, reopen_queue(self->writer));
	EXPECT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
}

TEST_F(close, argument)
{
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, 2)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, large)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, -1UL)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_CLOSE, 1UL << 32)));
	EXPECT_EQ(0, info_of(self->fd).closed);
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, 1)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, large)));
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_REOPEN, 1UL << 32)));
	EXPECT_EQ(1, info_of(self->fd).closed);
}

TEST_F(close, drained_then_ended)
{
	int i, pk = attach(self->fd, O_RDONLY, PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(self->capacity, depth(self->fd));
	for (i = 0; i < self->capacity - 1; i++)
		EXPECT_EQ(LEN, take_msg(i % 2 ? self->fd : self->reader, LEN, i));
	EXPECT_EQ(-EMSGSIZE, take(self->fd, large, LEN - 1));
	EXPECT_EQ(1, take_packed(pk, 5, LEN, i, NULL));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, take(self->fd, large, LEN));
		EXPECT_EQ(0, take(self->reader, large, 1));
		EXPECT_EQ(0, take(pk, large, 100));
		EXPECT_EQ(0, take(pk, large, 1));
	}
	EXPECT_TRUE(is_junk(large, 1));
	EXPECT_EQ(0, next_len(self->fd));
	close(pk);
}

TEST_F(close, wakes_all_readers)
{
	static unsigned char buf[MANY][LEN];
	struct call call[MANY];
	int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
	ASSERT_EQ(0, close_queue(self->writer));
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, finish_call(&call[i]));
		EXPECT_TRUE(is_junk(buf[i], LEN));
	}
}

TEST_F(close, wakes_all_writers)
{
	struct call call[MANY];
	int i, pk = attach(self->fd, O_WRONLY, PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	pack(large, LEN, 99);
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, i % 2 ? pk : self->fd, large,
					   space_of(LEN)));
	ASSERT_EQ(0, close_queue(self->nb));
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(-EPIPE, finish_call(&call[i]));
	for (i = 0; i < self->capacity; i++)
		EXPECT_EQ(LEN, take_msg(self->fd, LEN, i));
	EXPECT_EQ(0, take(self->fd, large, LEN));
	close(pk);
}

/* More readers than messages: the end comes to those who got none. */
TEST_F(close, some_get_a_message)
{
	static unsigned char buf[MANY][LEN];
	struct call call[MANY];
	int i, n = 0;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 0));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < MANY; i++) {
		int ret = finish_call(&call[i]);

		EXPECT_TRUE(!ret || ret == LEN) TH_LOG("%d", ret);
		n += ret == LEN;
	}
	EXPECT_EQ(2, n);
}

/* What is held may come back, so that is waited for. */
TEST_F(close, waits_for_leases)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0), way, i;
	unsigned char buf[3][LEN];
	struct mpmcq_msg msg;
	struct call call[3];

	ASSERT_LE(0, le);
	for (way = 0; way < 2; way++) {
		int got = 0;

		ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
		ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
		ASSERT_EQ(0, close_queue(self->fd));
		EXPECT_EQ(-EAGAIN, take(self->reader, large, LEN));
		for (i = 0; i < 3; i++)
			ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
		EXPECT_EQ(1, way ? nack(le, msg.id) : ack(le, msg.id));
		for (i = 0; i < 3; i++)
			got += finish_call(&call[i]);
		EXPECT_EQ(way ? LEN : 0, got);
		EXPECT_EQ(0, take(self->reader, large, LEN));
		ASSERT_EQ(0, reopen_queue(self->fd));
	}
	close(le);
}

/* It may be the worker's death that brings it back. */
TEST_F(close, waits_for_a_dead_worker)
{
	struct call call;
	pid_t pid = fork();
	int le;

	ASSERT_LE(0, pid);
	if (!pid) {
		le = attach(self->fd, O_RDONLY, LEASE, 0);
		take(le, large, LEN);
		pause();
	}
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_TRUE(comes_true(info_of(self->fd).leased == 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 1));
	EXPECT_EQ(0, take(self->fd, large, LEN));
}

/* Rejected ones are dead, and not waited for. */
TEST_F(close, dead_are_not_waited_for)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	int dd = attach(self->fd, O_RDONLY | O_NONBLOCK, DEAD, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_LE(0, dd);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, close_queue(self->fd));
	/* Not only are there dead ones to come, there is one to be read, too. */
	EXPECT_EQ(-EAGAIN, take(dd, large, LEN));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(-EAGAIN, take(dd, large, LEN));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(POLLHUP, poll_now(self->reader));
	EXPECT_EQ(READABLE, poll_now(dd));
	EXPECT_EQ(LEN, take_msg(dd, LEN, 1));
	EXPECT_EQ(POLLHUP, poll_now(dd));
	EXPECT_EQ(0, take(dd, large, LEN));
	close(dd);
	close(le);
}

TEST_F(close, wakes_readers_of_the_dead)
{
	int dw = attach(self->fd, O_RDONLY, DEAD, 0);
	struct call call[4];
	int i;

	ASSERT_LE(0, dw);
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, dw, large, LEN));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, finish_call(&call[i]));
	ASSERT_EQ(0, reopen_queue(self->fd));

	/* As long as there is something else, it may die. */
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, dw, large, LEN));
	ASSERT_EQ(0, close_queue(self->fd));
	wait_all_asleep(call, 4, SYS_read);
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, finish_call(&call[i]));
	close(dw);
}

/* Who holds messages cannot wait for himself. */
TEST_F(close, holder_would_wait)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0), flags;
	struct iovec iov = { large, 100 };
	struct mpmcq_msg msg;

	ASSERT_LE(0, le);
	flags = fcntl(le, F_GETFL);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(-EDEADLK, take(le, large, 100));
	EXPECT_EQ(-EDEADLK, take(le, large, 1));
	EXPECT_EQ(0, take(le, large, 0));
	/* It is no use to poll, which is what io_uring does after EAGAIN. */
	EXPECT_EQ(-EDEADLK, result(preadv2(le, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(0, fcntl(le, F_SETFL, flags | O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, take(le, large, 100));
	ASSERT_EQ(0, fcntl(le, F_SETFL, flags));
	EXPECT_EQ(1, info_of(le).held);
	/* What it gives back it may read again. */
	EXPECT_EQ(1, nack(le, msg.id));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(-EDEADLK, take(le, large, 100));
	EXPECT_EQ(1, ack(le, msg.id));
	EXPECT_EQ(0, take(le, large, 100));
	close(le);
}

/* Also if others hold some as well; one who holds none waits for all of them. */
TEST_F(close, holders_would_wait)
{
	int one = attach(self->fd, O_RDONLY, LEASE | PACKED, 1);
	int two = attach(self->fd, O_RDONLY, LEASE | PACKED, 2);
	struct call call;

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(1, take_packed(one, 1, LEN, 1, NULL));
	ASSERT_EQ(1, take_packed(two, 1, LEN, 2, NULL));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-ENOBUFS, take(one, large, 100));
	EXPECT_EQ(-EDEADLK, take(two, large, 100));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(1, ack_all(one));
	EXPECT_EQ(-EDEADLK, take(two, large + LEN, 100));
	wait_asleep(call.tid, SYS_read);
	EXPECT_EQ(1, ack_all(two));
	EXPECT_EQ(0, finish_call(&call));
	EXPECT_EQ(0, take(one, large, 100));
	close(one);
	close(two);
}

/* Nor go on waiting for himself. */
TEST_F(close, holder_waits_already)
{
	int le = attach(self->fd, O_RDONLY, LEASE | PACKED, 0);
	struct call call;

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	ASSERT_EQ(0, start_blocked(&call, take, le, large, 100));
	ASSERT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(-EDEADLK, finish_call(&call));
	EXPECT_EQ(1, ack_all(le));
	EXPECT_EQ(0, take(le, large, 100));
	close(le);
}

/* One at a time there is nothing that the reader holds when it waits. */
TEST_F(close, one_at_a_time)
{
	int one = attach(self->fd, O_RDONLY, LEASE, 0), two = attach(self->fd, O_RDONLY, LEASE, 0);
	struct call call;

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 2));
	ASSERT_EQ(LEN, take_msg(one, LEN, 1));
	ASSERT_EQ(LEN, take_msg(two, LEN, 2));
	ASSERT_EQ(0, close_queue(self->fd));
	/* The one waits for what the other holds. */
	ASSERT_EQ(0, start_blocked(&call, take, one, large, LEN));
	EXPECT_EQ(0, take(two, large + LEN, LEN));
	EXPECT_EQ(0, finish_call(&call));
	close(one);
	close(two);
}

TEST_F(close, reopen)
{
	struct call call;

	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(0, close_queue(self->fd));
	ASSERT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(LEN, take_msg(self->nb, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, LEN));
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, LEN));
	EXPECT_EQ(LEN, put_msg(self->nb, LEN, 2));
	EXPECT_EQ(LEN, finish_call(&call));
	EXPECT_TRUE(is_filled(large, LEN, 2));
}

/*
 * Writers that write until they may no more, readers that read until the end: what
 * was sent has been read, also that of the last moment.
 */
#define WRITERS	3
#define READERS	3
#define ROUNDS	60

struct traffic {
	int fd;
	int sent;
	int read;
	int readers;
};

static void *write_to_the_end(void *arg)
{
	struct traffic *all = arg;
	int ret, pk = attach(all->fd, O_WRONLY, PACKED, 0);

	for (;;) {
		ret = put(all->fd, "message", 7);
		if (ret == 7)
			__atomic_add_fetch(&all->sent, 1, __ATOMIC_SEQ_CST);
		else
			break;
		ret = put_packed(pk, 3, LEN, 0);
		if (ret > 0)
			__atomic_add_fetch(&all->sent, ret, __ATOMIC_SEQ_CST);
		else
			break;
	}
	close(pk);
	return ret == -EPIPE ? NULL : "a write failed otherwise";
}

/* One of them holds what it reads, one reads packed. */
static void *read_to_the_end(void *arg)
{
	struct traffic *all = arg;
	int me = __atomic_fetch_add(&all->readers, 1, __ATOMIC_SEQ_CST) % 3, ret, at;
	int fd = attach(all->fd, O_RDONLY, me == 0 ? LEASE : me == 1 ? PACKED : 0, 0);
	unsigned char buf[200];
	struct mpmcq_msg msg;

	while ((ret = take(fd, buf, sizeof(buf))) > 0) {
		for (at = 0; me == 1 && at < ret; at += space_of(msg.len)) {
			memcpy(&msg, buf + at, sizeof(msg));
			__atomic_add_fetch(&all->read, 1, __ATOMIC_SEQ_CST);
		}
		if (me != 1)
			__atomic_add_fetch(&all->read, 1, __ATOMIC_SEQ_CST);
	}
	close(fd);
	return ret ? "a read failed" : NULL;
}

TEST_F_TIMEOUT(close, amid_traffic, 60)
{
	struct traffic all = { .fd = self->fd };
	pthread_t thread[WRITERS + READERS];
	int round, i, sent = 0;
	void *failure;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < WRITERS + READERS; i++)
			ASSERT_EQ(0, pthread_create(&thread[i], NULL, i < WRITERS ?
						    write_to_the_end : read_to_the_end, &all));
		usleep(round * 100);
		ASSERT_EQ(0, close_queue(self->writer));
		for (i = 0; i < WRITERS + READERS; i++) {
			ASSERT_EQ(0, pthread_join(thread[i], &failure));
			ASSERT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
		}
		ASSERT_EQ(all.sent, all.read);
		ASSERT_EQ(0, depth(self->fd));
		ASSERT_EQ(0, reopen_queue(self->fd));
		sent = all.sent;
	}
	EXPECT_LT(100, sent);
}

TEST_HARNESS_MAIN
