// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that come to an end with the files that they have
 */
#include <sys/epoll.h>

#include "fuzz.h"

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* In a child: closes all but @one and what is the worker's. */
static void close_others(struct worker *w, int one)
{
	int fd[7 + FILES + MOUNTS] = { 0, 1, 2, w->arena->file, w->mail[0], w->mail[1], one };
	int i, last = -1;

	memcpy(fd + 7, w->files.fd, sizeof(w->files.fd));
	memcpy(fd + 7 + FILES, w->files.dir, sizeof(w->files.dir));
	qsort(fd, ARRAY_SIZE(fd), sizeof(*fd), compare);
	for (i = 0; i < (int)ARRAY_SIZE(fd); i++) {
		if (fd[i] > last + 1)
			syscall(SYS_close_range, last + 1, fd[i] - 1, 0);
		last = fd[i] > last ? fd[i] : last;
	}
	syscall(SYS_close_range, last + 1, ~0U, 0);
}

/* A child, which soon has no descriptors but the worker's own. */
static pid_t fork_worker(struct worker *w)
{
	int pipes[2];
	pid_t pid;
	char c;

	pthread_mutex_lock(&forking);
	if (pipe(pipes))
		complain(w, "pipe", -errno, "");
	pid = fork();
	if (!pid) {
		pthread_mutex_init(&forking, NULL);
		close_others(w, pipes[1]);
		close(pipes[1]);
		return pid;
	}
	if (pid < 0)
		complain(w, "fork", -errno, "");
	close(pipes[1]);
	/* Ends when the child has closed it, too. */
	while (read(pipes[0], &c, 1) < 0 && errno == EINTR)
		;
	close(pipes[0]);
	pthread_mutex_unlock(&forking);
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Whether another file before @i, of the same queue, holds messages as well. */
static bool is_second(struct worker *w, int i)
{
	const struct open_file *f = open_file(w, i), *other;
	int j;

	for (j = 0; j < i; j++) {
		other = w->files.fd[j] < 0 ? f : open_file(w, j);
		if (other != f && other->queue == f->queue && other->held.n)
			return true;
	}
	return false;
}

/*
 * Before a process ends.  In which order its files end then is not known, so of those by
 * which messages come back only one of a queue is left.
 */
static void leave(struct worker *w)
{
	int i, j;

	for (i = 0; i < OWN; i++) {
		struct open_file *f = open_file(w, i);
		int before = 0, mine = 0;

		for (j = 0; j < OWN; j++) {
			mine += w->files.of[j] == w->files.of[i];
			before += j < i && w->files.of[j] == w->files.of[i];
		}
		if (f->queue->exact && f->held.n && is_second(w, i))
			close_file(w, i);
		else if (!before && mine == f->refs)
			let_all_go(w->world, f);
	}
}

/*
 * A child goes on in the worker's place, and ends, or is killed; what it did with its
 * descriptors is its own.
 */
void call_fork(struct worker *w)
{
	__u32 end = w->call + 1 + draw(w, 16);
	bool killed = one_in(w, 2);
	struct files saved = w->files;
	int i, status;
	pid_t pid;

	w->forked = true;
	w->parked = false;
	for (i = 0; i < OWN; i++)
		open_file(w, i)->refs++;
	pid = fork_worker(w);
	if (!pid) {
		new_timers(w);
		w->files.epoll = epoll_create1(0);
		memset(w->files.interest, 0, sizeof(w->files.interest));
		while (w->call < end && !w->failed)
			any_call(w);
		leave(w);
		__atomic_store_n(&w->parked, true, __ATOMIC_SEQ_CST);
		while (killed)
			pause();
		_exit(0);
	}
	while (killed && !__atomic_load_n(&w->parked, __ATOMIC_SEQ_CST) && !kill(pid, 0))
		usleep(100);
	if (killed)
		kill(pid, SIGKILL);
	status = wait_for(pid);
	if (status != (killed ? SIGKILL : 0))
		complain(w, "fork", status, " as status");
	for (i = 0; i < OWN; i++)
		if (w->files.fd[i] >= 0 && !--open_file(w, i)->refs)
			closed(w->world, open_file(w, i));
	w->forked = false;
	w->files = saved;
}

static int settle_one(int fd, __u32 op, const __u64 *id)
{
	struct mpmcq_settle req = {
		.size = sizeof(req), .op = op, .flags = id ? 0 : MPMCQ_SETTLE_ALL,
		.ids = (unsigned long)id, .count = !!id,
	};

	return result(ioctl(fd, MPMCQ_IOC_SETTLE, &req));
}

/* The one who does it may be killed meanwhile: what is not certain then is in doubt. */
static void acknowledge_first(struct worker *w, struct open_file *f, int fd)
{
	unsigned char *buf = w->arena->msg;
	struct mpmcq_msg msg;
	struct message m;
	struct record rec;
	int ret;

	memcpy(&msg, buf, sizeof(msg));
	if (msg.len < sizeof(rec))
		return;
	memcpy(&rec, buf + sizeof(msg), sizeof(rec));
	m = (struct message){ .len = rec.len, .producer = rec.producer, .number = rec.number };
	entry(w->world, &m)->doubt = 1;
	ret = settle_one(fd, MPMCQ_SETTLE_ACK, &msg.id);
	if (!ret) {
		count(f->queue, ACKED, 1);
		tell_faults(w, "ioctl: ACK", ret, gone(w->world, f->queue, &m));
	} else if (ret != -ENOENT || !f->queue->timed) {
		complain(w, "ioctl: ACK", ret, ", by one who is to be killed");
	}
	entry(w->world, &m)->doubt = 0;
}

static void send_some(struct worker *w, struct open_file *f, int fd)
{
	struct batch *b = &w->arena->batch;
	__u32 msg_size = f->queue->like.msg_size, n = 1 + draw(w, 3), i;
	const struct request r = { .file = f, .batch = b };
	ssize_t ret;

	*b = (struct batch){};
	for (i = 0; i < n; i++)
		pack_message(w, b, f, sizeof(struct record) + draw(w, msg_size - 15));
	b->good = n;
	for (i = 0; i < n; i++)
		will_send(w->world, f->queue, &b->of[i].m);
	ret = result(write(fd, w->arena->msg, b->of[n - 1].end));
	if (ret < 0 && ret != -EAGAIN && ret != -EPIPE)
		complain(w, "write", ret, ", by one who is to be killed");
	has_written(w, &r, "write", ret);
}

/* Takes messages, acknowledges and sends some, until it is killed. */
static void work_until_killed(struct worker *w, struct queue *q, int fd, __u32 numbers)
{
	/* Nobody is told what it holds. */
	struct open_file f = {
		.queue = q, .access = O_RDWR, .pooled = true,
		.modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
	};
	__u64 *ids = w->arena->ids;

	for (;;) {
		ssize_t ret = result(read(fd, w->arena->msg, 1000));
		__u32 n;

		if (ret > 0) {
			tell_faults(w, "read", ret, arrived_packed(w->world, &f, &w->order,
								   w->arena->msg, ret, ids, &n));
			acknowledge_first(w, &f, fd);
		} else if (ret == -ENOBUFS) {
			settle_one(fd, MPMCQ_SETTLE_NACK, NULL);
		} else if (ret && ret != -EAGAIN && ret != -EDEADLK) {
			complain(w, "read", ret, ", by one who is to be killed");
		}
		if (w->number + 3 <= numbers)
			send_some(w, &f, fd);
		if (w->failed)
			_exit(KSFT_FAIL);
	}
}

#define DOOMED_NUMBERS	30

/* A process that is killed at any moment, with whatever it holds. */
void call_doomed(struct worker *w)
{
	int k = 1 + draw(w, SHARED - 1), flags = O_RDWR | (one_in(w, 2) ? O_NONBLOCK : 0);
	__u32 delay = draw(w, 4000);
	int fd, status;
	pid_t pid;

	if (is_alone(w) || w->number + DOOMED_NUMBERS > w->world->numbers)
		return;
	w->number += DOOMED_NUMBERS;
	pid = fork_worker(w);
	if (!pid) {
		/* What it draws is its own, or nothing could be had again. */
		struct worker self = *w;

		self.number -= DOOMED_NUMBERS;
		self.random = ~self.random;
		fd = attach(w->files.fd[COMMON + k], flags,
			    MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 0);
		if (fd < 0)
			_exit(KSFT_FAIL);
		work_until_killed(&self, &w->stage->queue[k], fd, w->number);
	}
	usleep(delay);
	kill(pid, SIGKILL);
	status = wait_for(pid);
	if (status != SIGKILL)
		complain(w, "a process to be killed", status, " as status");
}
