// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sending and receiving, one message a call and many
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "test.h"

static long ms_of(const struct timespec *begin)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
}

static void single(void)
{
	char buf[SIZE + 1] = "", longer[SIZE + 1] = "";
	int fd = PRIVATE(.capacity = 2);

	IS(-EAGAIN, mpmcq_receive(fd, buf, sizeof(buf)));
	IS(-EINVAL, mpmcq_send(fd, "", 0));
	IS(-EMSGSIZE, mpmcq_send(fd, longer, sizeof(longer)));
	IS(SIZE, mpmcq_send(fd, longer, SIZE));
	IS(2, put(fd, "bb"));
	IS(-EAGAIN, put(fd, "c"));
	IS(0, mpmcq_receive(fd, buf, 0));
	IS(-EMSGSIZE, mpmcq_receive(fd, buf, SIZE - 1));
	IS(SIZE, mpmcq_receive(fd, buf, sizeof(buf)));
	TRUE(got(fd, "bb"));
	close(fd);
	fd = PRIVATE(.open_flags = O_RDONLY);
	IS(-EBADF, put(fd, "x"));
	close(fd);
	fd = PRIVATE(.open_flags = O_WRONLY);
	IS(-EBADF, mpmcq_receive(fd, buf, 1));
	close(fd);
}

/* @fd blocks, or has O_NONBLOCK: that makes no difference. */
static void timed_by(int fd)
{
	struct timespec begin;
	char buf[SIZE];

	clock_gettime(CLOCK_MONOTONIC, &begin);
	IS(-EAGAIN, mpmcq_receive_timed(fd, buf, sizeof(buf), 0));
	IS(-EAGAIN, mpmcq_receive_timed(fd, buf, sizeof(buf), 50));
	TRUE(ms_of(&begin) >= 50);
	IS(1, mpmcq_send_timed(fd, "a", 1, 0));
	IS(1, mpmcq_send_timed(fd, "b", 1, -1));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	IS(-EAGAIN, mpmcq_send_timed(fd, "c", 1, 50));
	TRUE(ms_of(&begin) >= 50);
	IS(-EINVAL, mpmcq_send_timed(fd, "", 0, 50));
	IS(-EMSGSIZE, mpmcq_send_timed(fd, "x", 100, 50));
	IS(1, mpmcq_receive_timed(fd, buf, sizeof(buf), -1));
	IS(2, mpmcq_send_timed(fd, "cc", 2, 50));
	IS(1, mpmcq_receive_timed(fd, buf, sizeof(buf), 50));
	IS(-EMSGSIZE, mpmcq_receive_timed(fd, buf, 1, 50));
	IS(2, mpmcq_receive_timed(fd, buf, sizeof(buf), 50));
}

static void timed(void)
{
	int fd = PRIVATE(.capacity = 2), blocks = PRIVATE(.capacity = 2, .open_flags = O_RDWR);
	char buf[SIZE];

	timed_by(fd);
	timed_by(blocks);
	IS(0, mpmcq_close_queue(fd, 0));
	IS(-EPIPE, mpmcq_send_timed(fd, "x", 1, -1));
	IS(0, mpmcq_receive_timed(fd, buf, sizeof(buf), -1));
	close(fd);
	close(blocks);
}

/* Timeouts of the open file. */
static void timed_files(void)
{
	struct mpmcq_mode mode = {
		.size = sizeof(mode), .rcv_timeout_ms = 50, .snd_timeout_ms = 50,
	};
	int fd = PRIVATE(.capacity = 2, .open_flags = O_RDWR);
	struct timespec begin;
	char buf[SIZE];

	IS(0, mpmcq_set_mode(fd, &mode));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	IS(-EAGAIN, mpmcq_receive(fd, buf, sizeof(buf)));
	TRUE(ms_of(&begin) >= 50);
	IS(1, put(fd, "a"));
	IS(1, put(fd, "b"));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	IS(-EAGAIN, put(fd, "c"));
	TRUE(ms_of(&begin) >= 50);
	close(fd);
}

static void *send_later(void *fd)
{
	usleep(50000);
	put(*(int *)fd, "late");
	return NULL;
}

static void timed_is_woken(void)
{
	int fd = PRIVATE(.open_flags = O_RDWR);
	pthread_t thread;
	char buf[SIZE];

	IS(0, pthread_create(&thread, NULL, send_later, &fd));
	IS(4, mpmcq_receive_timed(fd, buf, sizeof(buf), 60000));
	pthread_join(thread, NULL);
	IS(0, pthread_create(&thread, NULL, send_later, &fd));
	IS(4, mpmcq_receive_timed(fd, buf, sizeof(buf), -1));
	pthread_join(thread, NULL);
	close(fd);
}

/* A file that holds messages of a closed queue is told so, whether or not it may wait. */
static void timed_holds(void)
{
	int fd = PRIVATE(), held = attach(fd, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED, 8);
	char buf[64];

	IS(1, put(fd, "a"));
	TRUE(mpmcq_receive_timed(held, buf, sizeof(buf), -1) > 0);
	IS(-EAGAIN, mpmcq_receive_timed(held, buf, sizeof(buf), 150));
	IS(0, mpmcq_close_queue(fd, 0));
	IS(-EAGAIN, mpmcq_receive(held, buf, sizeof(buf)));
	IS(-EDEADLK, mpmcq_receive_timed(held, buf, sizeof(buf), -1));
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_ACK, 0, 0));
	IS(0, mpmcq_receive_timed(held, buf, sizeof(buf), -1));
	close(held);
	close(fd);
}

static void timed_leases(void)
{
	struct mpmcq_attach args = {
		.size = sizeof(args), .open_flags = O_RDONLY, .modes = MPMCQ_MODE_LEASE,
		.max_held = 1,
	};
	int fd = PRIVATE(), blocks = mpmcq_attach_queue(fd, &args), packed;
	int leased = attach(fd, MPMCQ_MODE_LEASE, 1);
	char buf[64];

	IS(-EINVAL, mpmcq_receive_timed(blocks, buf, sizeof(buf), 10));
	IS(-EAGAIN, mpmcq_receive_timed(leased, buf, sizeof(buf), 10));
	IS(1, put(fd, "x"));
	IS(1, mpmcq_receive_timed(leased, buf, sizeof(buf), 10));
	IS(1, mpmcq_settle_all(leased, MPMCQ_SETTLE_ACK, 0, 0));
	args.modes |= MPMCQ_MODE_PACKED;
	packed = mpmcq_attach_queue(fd, &args);
	IS(-EAGAIN, mpmcq_receive_timed(packed, buf, sizeof(buf), 10));
	IS(1, put(fd, "x"));
	IS(1, put(fd, "x"));
	IS(MPMCQ_MSG_SPACE(1), mpmcq_receive_timed(packed, buf, sizeof(buf), 10));
	IS(-ENOBUFS, mpmcq_receive_timed(packed, buf, sizeof(buf), 10));
	IS(-ENOBUFS, mpmcq_receive(packed, buf, sizeof(buf)));
	close(packed);
	close(leased);
	close(blocks);
	close(fd);
}

static void *receive_one(void *fd)
{
	char buf[SIZE];

	return (void *)(long)mpmcq_receive(*(int *)fd, buf, sizeof(buf));
}

static void busy_readers(void)
{
	struct mpmcq_attach args = {
		.size = sizeof(args), .open_flags = O_RDONLY, .modes = MPMCQ_MODE_LEASE,
		.max_held = 1,
	};
	int fd = PRIVATE(), leased = mpmcq_attach_queue(fd, &args);
	int packed = attach(fd, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 8);
	pthread_t thread;
	char buf[64];
	void *ret;

	IS(0, pthread_create(&thread, NULL, receive_one, &leased));
	while (!info_of(fd).readers_asleep)
		usleep(1000);
	IS(-EBUSY, mpmcq_receive(leased, buf, sizeof(buf)));
	IS(0, fcntl(leased, F_SETFL, O_NONBLOCK));
	IS(-EBUSY, mpmcq_receive_timed(leased, buf, sizeof(buf), 50));
	IS(1, put(fd, "x"));
	pthread_join(thread, &ret);
	IS(1, (long)ret);
	IS(1, mpmcq_settle_all(leased, MPMCQ_SETTLE_ACK, 0, 0));
	close(leased);
	IS(1, put(fd, "x"));
	TRUE(mpmcq_receive(packed, buf, sizeof(buf)) > 0);
	IS(0, mpmcq_close_queue(fd, 0));
	IS(0, fcntl(packed, F_SETFL, 0));
	IS(-EDEADLK, mpmcq_receive(packed, buf, sizeof(buf)));
	IS(-EDEADLK, mpmcq_receive_timed(packed, buf, sizeof(buf), 1000));
	close(packed);
	close(fd);
}

static void nothing(int signal)
{
	(void)signal;
}

static void signals(void)
{
	struct sigaction action = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM };
	struct itimerspec when = { { 0, 20000000 }, { 0, 20000000 } };
	int fd = PRIVATE(.open_flags = O_RDWR);
	timer_t timer;
	char buf[SIZE];

	IS(0, sigaction(SIGALRM, &action, NULL));
	IS(0, timer_create(CLOCK_MONOTONIC, &event, &timer));
	IS(0, timer_settime(timer, 0, &when, NULL));
	IS(-EINTR, mpmcq_receive_timed(fd, buf, sizeof(buf), 60000));
	action.sa_flags = 0;
	IS(0, sigaction(SIGALRM, &action, NULL));
	IS(-EINTR, mpmcq_receive(fd, buf, sizeof(buf)));
	for (int i = 0; i < 8; i++)
		while (put(fd, "x") != 1)
			;
	IS(-EINTR, put(fd, "x"));
	IS(-EINTR, mpmcq_send_timed(fd, "x", 1, 60000));
	IS(-EINTR, mpmcq_send_msgs(fd, NULL, &(struct iovec){ "x", 1 }, 1));
	timer_delete(timer);
	close(fd);
}

/* --- packed --- */

#define N	5

/* Messages of 1 to N bytes. */
static void describe(struct iovec *iov)
{
	for (int i = 0; i < N; i++)
		iov[i] = (struct iovec){ (void *)"abcde", i + 1 };
}

static void send_and_unpack(int fd)
{
	struct mpmcq_msg msgs[N] = { }, found[N];
	struct iovec iov[N], parts[N];
	char room[512], *buf = room + 1;	/* not aligned */
	size_t offset = 0;
	ssize_t length;

	describe(iov);
	for (int i = 0; i < N; i++)
		msgs[i].len = 77;	/* does not count */
	IS(N, mpmcq_send_msgs(fd, msgs, iov, N));
	length = mpmcq_receive(fd, buf, 511);
	TRUE(length > 0);
	IS(2, mpmcq_unpack_msgs(buf, length, &offset, found, parts, 2));
	IS(N - 2, mpmcq_unpack_msgs(buf, length, &offset, found + 2, parts + 2, N));
	IS(0, mpmcq_unpack_msgs(buf, length, &offset, found, parts, N));
	IS(length, offset);
	for (int i = 0; i < N; i++) {
		IS(i + 1, found[i].len);
		IS(i + 1, parts[i].iov_len);
		IS(0, memcmp(parts[i].iov_base, "abcde", i + 1));
	}
}

static void batches(void)
{
	struct mpmcq_msg msgs[N] = { };
	struct iovec iov[N];
	int fd = PRIVATE(.levels = 2), packed = attach(fd, MPMCQ_MODE_PACKED, 0);
	char buf[SIZE];

	send_and_unpack(packed);
	describe(iov);
	IS(0, mpmcq_send_msgs(packed, NULL, iov, 0));
	IS(N, mpmcq_send_msgs(packed, NULL, iov, N));
	IS(3, mpmcq_send_msgs(packed, NULL, iov, N));	/* then it is full */
	IS(-EAGAIN, mpmcq_send_msgs(packed, NULL, iov, N));
	for (int i = 0; i < 8; i++)
		TRUE(mpmcq_receive(fd, buf, sizeof(buf)) > 0);
	msgs[2].priority = 1;
	IS(3, mpmcq_send_msgs(packed, msgs, iov, 3));
	TRUE(got(fd, "abc"));
	TRUE(got(fd, "a"));
	TRUE(got(fd, "ab"));
	msgs[1].priority = 2;
	IS(1, mpmcq_send_msgs(packed, msgs, iov, N));
	IS(-EINVAL, mpmcq_send_msgs(packed, msgs + 1, iov + 1, 1));
	iov[1].iov_len = SIZE + 1;
	TRUE(got(fd, "a"));
	IS(1, mpmcq_send_msgs(packed, NULL, iov, N));
	IS(-EMSGSIZE, mpmcq_send_msgs(packed, NULL, iov + 1, 1));
	iov[1].iov_len = 1ULL << 32;
	IS(-EMSGSIZE, mpmcq_send_msgs(packed, NULL, iov + 1, 1));
	iov[1].iov_len = 0;
	IS(-EINVAL, mpmcq_send_msgs(packed, NULL, iov + 1, 1));
	close(packed);
	close(fd);
}

/* Packed by the library, for open files that read that otherwise, or not at all. */
static void wrong_modes(void)
{
	int fd = PRIVATE(.msg_size = 64), packed = attach(fd, MPMCQ_MODE_PACKED, 0);
	int meta = attach(fd, MPMCQ_MODE_PACKED | MPMCQ_MODE_META, 0);
	int reader = PRIVATE(.open_flags = O_RDONLY);
	struct iovec iov[] = { { (void *)"123456789", 9 }, { (void *)"123456789", 9 } };
	char buf[64] = { };

	IS(-EINVAL, mpmcq_send(packed, buf, sizeof(buf)));
	IS(-EMSGSIZE, mpmcq_send_msgs(fd, NULL, iov, 2));
	IS(-EMSGSIZE, mpmcq_send_metas(fd, NULL, iov, 2));
	IS(0, info_of(fd).depth);
	IS(1, mpmcq_send_msgs(fd, NULL, iov, 1));	/* as one message */
	IS(MPMCQ_MSG_SPACE(9), mpmcq_receive(fd, buf, sizeof(buf)));
	IS(-EBADMSG, mpmcq_send_msgs(meta, NULL, iov, 2));
	IS(-EBADMSG, mpmcq_send_metas(packed, NULL, iov, 2));
	IS(-EBADF, mpmcq_send_msgs(reader, NULL, iov, 2));
	IS(-EBADF, mpmcq_send_metas(-1, NULL, iov, 2));
	IS(0, mpmcq_close_queue(fd, 0));
	IS(-EPIPE, mpmcq_send_msgs(packed, NULL, iov, 2));
	IS(-EPIPE, mpmcq_send_metas(meta, NULL, iov, 2));
	close(reader);
	close(meta);
	close(packed);
	close(fd);
}

static void large_batches(void)
{
	struct iovec iov[MPMCQ_SEND_MAX + 1];
	int fd = PRIVATE(.capacity = 128), packed = attach(fd, MPMCQ_MODE_PACKED, 0);

	for (unsigned int i = 0; i <= MPMCQ_SEND_MAX; i++)
		iov[i] = (struct iovec){ "x", 1 };
	IS(MPMCQ_SEND_MAX, mpmcq_send_msgs(packed, NULL, iov, MPMCQ_SEND_MAX + 1));
	close(packed);
	close(fd);
}

static void long_headers(void)
{
	int fd = PRIVATE(.flags = MPMCQ_STAMP);
	int meta = attach(fd, MPMCQ_MODE_PACKED | MPMCQ_MODE_META, 0);
	struct mpmcq_meta metas[N] = { }, found[N];
	struct iovec iov[N], parts[N];
	char buf[512];
	size_t offset = 0;
	ssize_t length;

	describe(iov);
	IS(N, mpmcq_send_metas(meta, metas, iov, N));
	length = mpmcq_receive(meta, buf, sizeof(buf));
	IS(N, mpmcq_unpack_metas(buf, length, &offset, found, parts, N));
	for (int i = 0; i < N; i++) {
		IS(i + 1, found[i].msg.len);
		IS(0, memcmp(parts[i].iov_base, "abcde", i + 1));
		IS(geteuid(), found[i].uid);
		TRUE(found[i].age_ns && found[i].seq);
	}
	IS(N, mpmcq_send_metas(meta, NULL, iov, N));
	close(meta);
	close(fd);
}

static void wrong_packs(void)
{
	struct mpmcq_msg msg = { .len = 1 };
	struct iovec iov;
	char buf[64] = { };
	size_t offset;

	memcpy(buf, &msg, sizeof(msg));
	for (size_t length = 1; length < MPMCQ_MSG_SPACE(1); length++) {
		offset = 0;
		IS(-EBADMSG, mpmcq_unpack_msgs(buf, length, &offset, NULL, &iov, 1));
		IS(0, offset);
	}
	IS(1, mpmcq_unpack_msgs(buf, MPMCQ_MSG_SPACE(1), &offset, NULL, &iov, 1));
	IS(-EBADMSG, mpmcq_unpack_msgs(buf, 1, &offset, NULL, &iov, 1));
	offset = 0;
	memset(buf, 0xff, sizeof(buf));
	IS(-EBADMSG, mpmcq_unpack_msgs(buf, sizeof(buf), &offset, NULL, &iov, 1));
	memset(buf, 0, sizeof(buf));
	IS(-EBADMSG, mpmcq_unpack_msgs(buf, sizeof(buf), &offset, NULL, &iov, 1));
	IS(-EBADMSG, mpmcq_unpack_metas(buf, 55, &offset, NULL, &iov, 1));
}

const struct test message_tests[] = {
	{ "send and receive", single },
	{ "send and receive with a timeout", timed },
	{ "timeouts of the open file", timed_files },
	{ "a timed receive gets what comes", timed_is_woken },
	{ "a timed receive of files that hold messages of a closed queue", timed_holds },
	{ "a timed receive of files with leases", timed_leases },
	{ "readers that would wait for themselves", busy_readers },
	{ "signals", signals },
	{ "messages from and to arrays", batches },
	{ "batches by files that are not packed, or otherwise", wrong_modes },
	{ "no more than MPMCQ_SEND_MAX", large_batches },
	{ "long headers", long_headers },
	{ "buffers that are not packed", wrong_packs },
	{ }
};
