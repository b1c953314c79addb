// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of messages that are held, and workers
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/time.h>
#include <time.h>

#include "test.h"

#define LEASE	(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE)

static void settling(void)
{
	int fd = PRIVATE(.max_deliveries = 2), held = attach(fd, LEASE, 8);
	struct mpmcq_msg msg;
	char text[SIZE + 1];
	__u64 ids[2];

	IS(1, put(fd, "a"));
	IS(1, take(held, &msg, text));
	ids[0] = msg.id;
	ids[1] = msg.id + 1;
	IS(1, mpmcq_settle_ids(held, MPMCQ_SETTLE_TOUCH, 0, 0, ids, 2));
	IS(-EINVAL, mpmcq_settle_ids(held, MPMCQ_SETTLE_ACK, 0, 0, ids, 0));
	IS(-EINVAL, mpmcq_settle_ids(held, MPMCQ_SETTLE_ACK, 0, 0, ids, MPMCQ_MAX_HELD_MAX + 1));
	IS(-EINVAL, mpmcq_settle_ids(held, MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_ALL, 0, ids, 1));
	IS(-EINVAL, mpmcq_settle_all(held, MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_ALL, 0));
	IS(-EINVAL, mpmcq_settle_all(held, 99, 0, 0));
	IS(-EINVAL, mpmcq_settle_all(held, MPMCQ_SETTLE_REVIVE, 0, 0));
	IS(-EOPNOTSUPP, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_DELAY, 1));
	IS(1, mpmcq_settle_ids(held, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_UNTRIED, 0, ids, 1));
	IS(0, mpmcq_settle_ids(held, MPMCQ_SETTLE_ACK, 0, 0, ids, 1));
	IS(1, take(held, &msg, text));
	IS(1, msg.deliveries);
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_REJECT, 0, 0));
	IS(0, mpmcq_settle_all(held, MPMCQ_SETTLE_ACK, 0, 0));
	IS(1, info_of(fd).dead);
	close(held);
	close(fd);
}

static void dead(void)
{
	int fd = PRIVATE(), held = attach(fd, LEASE, 8), reader = attach(fd, MPMCQ_MODE_DEAD, 0);
	struct mpmcq_attach args = { .size = sizeof(args), .modes = MPMCQ_MODE_DEAD | LEASE };
	struct mpmcq_msg msg;
	char text[SIZE + 1];

	for (int i = 0; i < 3; i++) {
		IS(1, put(fd, "a"));
		IS(1, take(held, &msg, text));
		IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_REJECT, 0, 0));
	}
	IS(1, mpmcq_revive_dead(fd, 1));
	IS(1, mpmcq_purge_dead(fd, 1));
	TRUE(got(reader, "a"));
	IS(0, mpmcq_revive_dead(fd, 0));
	IS(0, mpmcq_purge_dead(fd, 0));
	TRUE(got(fd, "a"));
	close(reader);
	close(held);
	close(fd);
	fd = PRIVATE(.open_flags = O_RDONLY);
	IS(-EBADF, mpmcq_revive_dead(fd, 0));
	IS(0, mpmcq_purge_dead(fd, 0));
	args.open_flags = O_RDONLY;
	held = mpmcq_attach_queue(fd, &args);
	IS(-EBADF, mpmcq_settle_all(held, MPMCQ_SETTLE_REVIVE, 0, 0));
	IS(0, mpmcq_settle_all(held, MPMCQ_SETTLE_ACK, 0, 0));
	close(held);
	close(fd);
	fd = PRIVATE(.open_flags = O_WRONLY);
	IS(-EBADF, mpmcq_revive_dead(fd, 0));
	IS(-EBADF, mpmcq_purge_dead(fd, 0));
	IS(-EBADF, mpmcq_settle_all(fd, MPMCQ_SETTLE_ACK, 0, 0));
	close(fd);
}

static void forwarding(void)
{
	int from = PRIVATE(), to = PRIVATE(.capacity = 2, .msg_size = 4), reader;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int held = attach(from, LEASE, 8);
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = to };
	struct mpmcq_msg msg;
	char text[SIZE + 1];

	IS(1, put(from, "a"));
	IS(1, take(held, &msg, text));
	forward.id = msg.id;
	forward.delay_ms = 1;
	IS(-EOPNOTSUPP, mpmcq_forward_message(held, &forward));
	forward.delay_ms = 0;
	forward.priority = 1;
	IS(-EINVAL, mpmcq_forward_message(held, &forward));
	forward.priority = 0;
	forward.buf = (unsigned long)"longer";
	forward.len = 6;
	IS(-EMSGSIZE, mpmcq_forward_message(held, &forward));
	forward.buf = 1;
	forward.len = 1;
	IS(-EFAULT, mpmcq_forward_message(held, &forward));
	forward.buf = 0;
	forward.len = 0;
	IS(1, put(to, "x"));
	IS(1, put(to, "x"));
	IS(-EAGAIN, mpmcq_forward_message(held, &forward));
	TRUE(got(to, "x"));
	IS(0, mpmcq_close_queue(to, 0));
	IS(-EPIPE, mpmcq_forward_message(held, &forward));
	IS(0, mpmcq_reopen_queue(to));
	IS(0, mpmcq_forward_message(held, &forward));
	TRUE(forward.seq);
	IS(-ENOENT, mpmcq_forward_message(held, &forward));
	TRUE(got(to, "x"));
	TRUE(got(to, "a"));
	reader = PRIVATE(.open_flags = O_RDONLY);
	forward.fd = reader;
	IS(-EBADF, mpmcq_forward_message(held, &forward));
	close(reader);
	IS(-EBADF, mpmcq_forward_message(held, &forward));
	forward.fd = null;
	IS(-EINVAL, mpmcq_forward_message(held, &forward));
	close(null);
	close(held);
	close(to);
	close(from);
}

static void peeking(void)
{
	int fd = PRIVATE(), writer = PRIVATE(.open_flags = O_WRONLY);
	char buf[SIZE];
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = MPMCQ_PEEK_READY, .buf = (unsigned long)buf,
		.buf_len = sizeof(buf),
	};

	IS(-ENOENT, mpmcq_peek_message(fd, &peek));
	IS(3, put(fd, "abc"));
	IS(0, mpmcq_peek_message(fd, &peek));
	IS(3, peek.len);
	IS(0, memcmp(buf, "abc", 3));
	peek.buf_len = 2;
	IS(-EMSGSIZE, mpmcq_peek_message(fd, &peek));
	peek.where = 9;
	IS(-EINVAL, mpmcq_peek_message(fd, &peek));
	peek.where = MPMCQ_PEEK_PARKED;
	peek.flags = MPMCQ_PEEK_NEXT;
	peek.seq = peek.found;
	IS(-ESTALE, mpmcq_peek_message(fd, &peek));
	IS(-EBADF, mpmcq_peek_message(writer, &peek));
	TRUE(got(fd, "abc"));
	close(writer);
	close(fd);
}

#define LONG	65536	/* bytes of a message that takes long to copy */

static volatile bool is_enough;

/* Of a queue that drops the oldest: soon another message is in the place of each. */
static void *keep_sending(void *fd)
{
	static char message[LONG];

	while (!is_enough)
		IS(LONG, mpmcq_send(*(int *)fd, message, LONG));
	return NULL;
}

/* Peeks at the first message, by its place and then by its name. */
static int peek_twice(int fd)
{
	static char buf[LONG];
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = MPMCQ_PEEK_READY, .buf = (unsigned long)buf,
		.buf_len = LONG,
	};
	int ret = mpmcq_peek_message(fd, &peek);

	if (ret)
		return ret;
	peek.flags = MPMCQ_PEEK_SEQ;
	peek.seq = peek.found;
	return mpmcq_peek_message(fd, &peek);
}

static void peeking_at_what_moves(void)
{
	int fd = PRIVATE(.capacity = 2, .msg_size = LONG, .flags = MPMCQ_DROP_OLDEST), ret;
	time_t end = time(NULL) + 60;
	pthread_t thread;

	IS(0, pthread_create(&thread, NULL, keep_sending, &fd));
	do {
		ret = peek_twice(fd);
		TRUE(!ret || ret == -ENOENT || ret == -EAGAIN);
	} while (ret != -EAGAIN && time(NULL) < end);
	is_enough = true;
	pthread_join(thread, NULL);
	IS(-EAGAIN, ret);
	close(fd);
}

/* --- workers --- */

/**
 * struct log - what a handler was given, and what it is to say
 * @texts: of the messages, one after the other
 * @op: what it returns
 * @stop_fd: made readable after the first message; -1 if there is none
 * @sleep_ms: how long it works
 */
struct log {
	char texts[256];
	int op;
	int stop_fd;
	int sleep_ms;
};

static int handle(int fd, const struct mpmcq_msg *msg, const void *data, void *arg)
{
	struct log *log = arg;

	strncat(log->texts, data, msg->len);
	if (log->stop_fd >= 0)
		IS(0, eventfd_write(log->stop_fd, 1));
	if (!log->op)
		IS(1, mpmcq_settle_ids(fd, MPMCQ_SETTLE_ACK, 0, 0, &msg->id, 1));
	usleep(log->sleep_ms * 1000);
	return log->op;
}

/* A closed queue with three messages. */
static int make_work(void)
{
	int fd = PRIVATE(.max_deliveries = 2);

	IS(1, put(fd, "a"));
	IS(1, put(fd, "b"));
	IS(1, put(fd, "c"));
	IS(0, mpmcq_close_queue(fd, 0));
	return fd;
}

static void work_of(int op, unsigned int max_held, int want, const char *texts, unsigned int dead)
{
	struct log log = { .op = op, .stop_fd = -1 };
	int fd = make_work();

	IS(want, mpmcq_run_worker(fd, max_held, -1, 0, handle, &log));
	IS(0, strcmp(log.texts, texts));
	IS(dead, info_of(fd).dead);
	IS(0, info_of(fd).leased);
	IS(want < 0 ? 3 : 0, info_of(fd).depth);
	if (want < 0)
		TRUE(got(fd, "a") && got(fd, "b") && got(fd, "c"));
	close(fd);
}

static void workers(void)
{
	work_of(MPMCQ_SETTLE_ACK, 1, 0, "abc", 0);
	work_of(MPMCQ_SETTLE_ACK, 8, 0, "abc", 0);
	work_of(MPMCQ_SETTLE_ACK, MPMCQ_MAX_HELD_MAX, 0, "abc", 0);
	work_of(MPMCQ_SETTLE_REJECT, 2, 0, "abc", 3);
	work_of(MPMCQ_SETTLE_NACK, 8, 0, "abcabc", 3);
	work_of(0, 8, 0, "abc", 0);
	work_of(-EIO, 8, -EIO, "a", 0);
	work_of(-1000000, 8, -1000000, "a", 0);
	work_of(MPMCQ_SETTLE_TOUCH, 8, -EINVAL, "a", 0);
}

static void stopping(void)
{
	struct log log = { .op = MPMCQ_SETTLE_ACK, .stop_fd = eventfd(0, EFD_CLOEXEC) };
	int fd = make_work();

	IS(0, mpmcq_run_worker(fd, 8, log.stop_fd, 0, handle, &log));
	IS(0, strcmp(log.texts, "a"));
	TRUE(got(fd, "b") && got(fd, "c"));
	IS(0, mpmcq_run_worker(fd, 8, log.stop_fd, 0, handle, &log));
	close(log.stop_fd);
	close(fd);
}

static void renewing(void)
{
	struct log log = { .op = MPMCQ_SETTLE_ACK, .stop_fd = -1, .sleep_ms = 500 };
	int fd = PRIVATE(.lease_ms = 2000);

	for (int i = 0; i < 6; i++)
		IS(1, put(fd, "a"));
	IS(0, mpmcq_close_queue(fd, 0));
	IS(0, mpmcq_run_worker(fd, 8, -1, 0, handle, &log));
	IS(0, strcmp(log.texts, "aaaaaa"));
	IS(0, info_of(fd).redelivered);
	close(fd);
}

static void lost_leases(void)
{
	struct log log = { .op = MPMCQ_SETTLE_ACK, .stop_fd = -1, .sleep_ms = 2500 };
	int fd = PRIVATE(.lease_ms = 1000, .max_deliveries = 1);

	IS(1, put(fd, "a"));
	IS(1, put(fd, "b"));
	IS(0, mpmcq_close_queue(fd, 0));
	IS(0, mpmcq_run_worker(fd, 8, -1, 0, handle, &log));
	/* The lease of b ends while the handler works on a. */
	IS(0, strcmp(log.texts, "a"));
	IS(2, info_of(fd).dead);
	close(fd);
}

static void no_workers(void)
{
	int writer = PRIVATE(.open_flags = O_WRONLY), fd = PRIVATE();

	IS(-EBADF, mpmcq_run_worker(writer, 1, -1, 0, handle, NULL));
	IS(-EBADF, mpmcq_run_worker(-1, 1, -1, 0, handle, NULL));
	IS(-EBADF, mpmcq_run_worker(fd, 1, 1000, 0, handle, NULL));
	IS(-EINVAL, mpmcq_run_worker(fd, 0, -1, 0, handle, NULL));
	IS(-EINVAL, mpmcq_run_worker(fd, MPMCQ_MAX_HELD_MAX + 1, -1, 0, handle, NULL));
	IS(-EINVAL, mpmcq_run_worker(fd, 1, -1, 0, NULL, NULL));
	IS(-EINVAL, mpmcq_run_worker(fd, 1, -1, 1, handle, NULL));
	close(writer);
	close(fd);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void interrupted(void)
{
	int full = PRIVATE(.capacity = 2, .open_flags = O_RDWR), held;
	struct log log = { .op = MPMCQ_SETTLE_ACK, .stop_fd = -1 };
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = full };
	char text[SIZE + 1];
	struct mpmcq_msg msg;
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	const struct itimerval often = { { 0, 100000 }, { 0, 100000 } }, never = { };
	int fd = PRIVATE();

	IS(1, put(full, "x"));
	IS(1, put(full, "x"));
	held = attach(fd, LEASE, 8);
	IS(1, put(fd, "a"));
	IS(1, take(held, &msg, text));
	forward.id = msg.id;
	action.sa_flags = 0;
	IS(0, sigaction(SIGALRM, &action, NULL));
	IS(0, setitimer(ITIMER_REAL, &often, NULL));
	IS(-EINTR, mpmcq_forward_message(held, &forward));
	IS(-EINTR, mpmcq_save_queue(fd, "/tmp/lib-saved", -1, 0));
	IS(0, info_of(fd).closed);
	IS(0, setitimer(ITIMER_REAL, &never, NULL));
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_ACK, 0, 0));
	close(held);
	close(full);
	action.sa_flags = SA_RESTART;
	IS(0, sigaction(SIGALRM, &action, NULL));
	/* Again and again, as the first may come before the wait. */
	IS(0, setitimer(ITIMER_REAL, &often, NULL));
	IS(-EINTR, mpmcq_run_worker(fd, 8, -1, 0, handle, &log));
	IS(0, setitimer(ITIMER_REAL, &never, NULL));
	close(fd);
}

const struct test lease_tests[] = {
	{ "settle", settling },
	{ "dead messages", dead },
	{ "forward", forwarding },
	{ "peek", peeking },
	{ "peek at messages that others take", peeking_at_what_moves },
	{ "workers: whatever the handler says is done", workers },
	{ "workers: stopped by a descriptor, they give back the rest in order", stopping },
	{ "workers: renew what they hold", renewing },
	{ "workers: pass over messages whose lease has ended", lost_leases },
	{ "a signal ends the wait of forward, save and workers", interrupted },
	{ "workers: wrong arguments", no_workers },
	{ }
};
