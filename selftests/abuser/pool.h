/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The producers and workers of abuse_pool.c, and their account.
 */
#ifndef MPMCQ_POOL_H
#define MPMCQ_POOL_H

#include <linux/futex.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "own_test.h"
#include "abuse.h"

#define PRODUCERS	3
#define WORKERS		7
#define SHARERS		2	/* of them, who have one open file together */
#define NUMBERS		0x8000	/* of each producer, in one episode */
#define CAPACITY	64
#define LONGEST		200
#define MAX_DELIVERIES	6
#define BATCH		40	/* messages that are read or written at once, at most */
#define BUFFER		(BATCH * MPMCQ_MSG_SPACE(LONGEST))
#define HOLD_MAX	(2 * CAPACITY)	/* some of which may have been taken from one */
#define LEASE_MS	20

/* More that can be wrong, see abuse.h */
#define SHARED		32	/* delivered while somebody else holds it */
#define MISCOUNTED	64

/* A message */
struct job {
	__u32 sent;		/* enum sent */
	__u32 seen;		/* deliveries */
	__u32 acks;		/* that succeeded */
	__u32 acking;		/* begun, and perhaps killed then */
	__u32 holder;		/* who must have it for himself; 0 for nobody */
};

/* A process that works: what it shares with those before and after it. */
struct place {
	bool idle;		/* a producer's: waits for leave to send */
	__u32 life;		/* how many have had the place */
	__u32 doomed;		/* up to which of them they were killed */
};

struct account {
	__u32 leave;		/* how many messages may still be sent */
	__u32 round;
	__u32 faults;
	__u32 late;		/* ACKs, that had lost their message */
	__u32 heirs;		/* children that were left the open file */
	__u32 passed;		/* descriptors sent away */
	__u32 next[PRODUCERS];	/* number to be written next */
	struct place place[PRODUCERS + WORKERS];
	struct job job[PRODUCERS][NUMBERS];
};

struct pool {
	int fd;
	int nb;
	int shared_file;	/* packed, with a lease: that of the sharers */
	int sock[2];		/* where descriptors are on their way */
	__u32 lease_ms;
	__u64 random;
	struct account *account;
	pid_t pid[PRODUCERS + WORKERS];	/* 0: dead */
	int killed;
	int revived;
	long returned;
};

static bool is_producer(int i)
{
	return i < PRODUCERS;
}

static bool is_sharer(int i)
{
	return i >= PRODUCERS + WORKERS - SHARERS;
}

static void fault(struct pool *pool, int faults)
{
	__atomic_or_fetch(&pool->account->faults, faults, __ATOMIC_SEQ_CST);
}

static void add(__u32 *n, int more)
{
	__atomic_add_fetch(n, more, __ATOMIC_SEQ_CST);
}

/*
 * Producers
 */
static __u32 wait_for_leave(struct pool *pool, struct place *me, __u32 most)
{
	__u32 *leave = &pool->account->leave, have, n;

	for (;;) {
		set(&me->idle, false);
		have = get(leave);
		while (have) {
			n = have < most ? have : most;
			if (__atomic_compare_exchange_n(leave, &have, have - n, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				return n;
		}
		set(&me->idle, true);
		syscall(SYS_futex, leave, FUTEX_WAIT, 0, NULL, NULL, 0);
	}
}

static void set_sent(struct pool *pool, int i, __u32 number, int n, enum sent sent)
{
	while (n--)
		set(&pool->account->job[i][number + n].sent, sent);
}

/* Makes @n messages, packed one after the other, or one that is not. */
static int make_messages(unsigned char *buf, bool packed, int i, __u32 number, int n)
{
	int len, k, at = 0;

	if (!packed)
		return make_message(buf, i, number, LONGEST);
	for (k = 0; k < n; k++) {
		struct mpmcq_msg msg = {};

		len = make_message(buf + at + sizeof(msg), i, number + k, LONGEST);
		msg.len = len;
		memcpy(buf + at, &msg, sizeof(msg));
		at += space_of(len);
	}
	return at;
}

/* How many messages the first @bytes in the buffer are */
static int count_messages(const unsigned char *buf, bool packed, int bytes)
{
	struct mpmcq_msg msg;
	int at, n = 0;

	if (!packed || bytes < 0)
		return bytes > 0;
	for (at = 0; at < bytes; at += space_of(msg.len), n++)
		memcpy(&msg, buf + at, sizeof(msg));
	return at == bytes ? n : -1;
}

static void produce(struct pool *pool, int i)
{
	struct place *me = &pool->account->place[i];
	__u32 *next = &pool->account->next[i];
	__u64 random = pool->random + i;
	bool packed = one_in(&random, 2);
	int fd = attach(pool->fd, O_WRONLY, packed ? MPMCQ_MODE_PACKED : 0, 0);
	unsigned char buf[BUFFER];
	int left, n, len, ret;

	/* What the one before was about to send may have been sent. */
	while (get(&pool->account->job[i][*next].sent) != UNSENT)
		++*next;
	for (left = 0; *next + BATCH < NUMBERS; left -= n) {
		if (!left)
			left = wait_for_leave(pool, me, 1 + below(&random, 2 * BATCH));
		n = packed ? 1 + below(&random, left < BATCH ? left : BATCH) : 1;
		len = make_messages(buf, packed, i, *next, n);
		set_sent(pool, i, *next, n, TRYING);
		ret = put(fd, buf, len);
		if (ret < 0 && ret != -EINTR) {
			say("write: %d", ret);
			_exit(5);
		}
		len = count_messages(buf, packed, ret);
		if (len < 0 || len > n)
			_exit(6);
		set_sent(pool, i, *next, len, SENT);
		set_sent(pool, i, *next + len, n - len, UNSENT);
		*next += len;
		n = len;
		dawdle(&random);
	}
	_exit(7);
}

/*
 * Workers
 */
struct worker {
	struct pool *pool;
	__u32 self;			/* 0 if it may lose what it holds while it lives */
	int fd;
	bool packed;
	bool pages_missing;
	__u64 random;
	unsigned char *buf;
	__u32 heir;			/* the round in which it had one */
	int held;
	struct {
		__u64 id;
		struct job *job;
	} hold[HOLD_MAX];
};

/* Who is noted as the holder: a place, and which of those who have had it */
static __u32 identity(int i, __u32 life)
{
	return life * (PRODUCERS + WORKERS) + i;
}

static bool is_doomed(struct pool *pool, __u32 who)
{
	struct place *place = &pool->account->place[who % (PRODUCERS + WORKERS)];

	return who / (PRODUCERS + WORKERS) <= get(&place->doomed);
}

/*
 * Notes that a message was delivered, to @self if it is certain that it stays there;
 * what is wrong with it, or else 0 and its @job.
 */
static int receive(struct pool *pool, __u32 self, const void *msg, int len, struct job **job)
{
	const struct record *rec = msg;
	__u32 holder;

	if (!is_whole(msg, len))
		return TORN;
	if (rec->producer >= PRODUCERS || rec->number >= NUMBERS)
		return UNKNOWN;
	*job = &pool->account->job[rec->producer][rec->number];
	add(&(*job)->seen, 1);
	if (get(&(*job)->sent) == UNSENT)
		return UNKNOWN;
	/* Or it may have been returned and done before we get to look. */
	if (!self)
		return 0;
	if (get(&(*job)->acks))
		return REPEATED;
	holder = __atomic_exchange_n(&(*job)->holder, self, __ATOMIC_SEQ_CST);
	return holder && !is_doomed(pool, holder) ? SHARED : 0;
}

static void hold(struct worker *w, const void *msg, int len, __u64 id)
{
	const struct record *rec = msg;
	struct job *job = NULL;
	int faults = receive(w->pool, w->self, msg, len, &job);

	if (faults) {
		say("message %u of producer %u, %d bytes: fault %#x", rec->number, rec->producer,
		    len, faults);
		fault(w->pool, faults);
	}
	if (!job || (w->self && w->held == HOLD_MAX))
		_exit(8);
	/* Where leases end by themselves, a slow worker holds few of these any more. */
	if (w->held == HOLD_MAX)
		memmove(w->hold, w->hold + 1, --w->held * sizeof(w->hold[0]));
	w->hold[w->held].id = id;
	w->hold[w->held++].job = job;
}

static void hold_packed(struct worker *w, int bytes)
{
	struct mpmcq_msg msg;
	int at;

	for (at = 0; at < bytes; at += space_of(msg.len)) {
		memcpy(&msg, w->buf + at, sizeof(msg));
		if (!msg.deliveries || msg.deliveries > MAX_DELIVERIES)
			fault(w->pool, MISCOUNTED);
		hold(w, w->buf + at + sizeof(msg), msg.len, msg.id);
	}
}

/* Before a call after which somebody else may hold the last @n. */
static void let_go(struct worker *w, int n)
{
	int i;

	for (i = w->held - n; w->self && i < w->held; i++)
		set(&w->hold[i].job->holder, 0);
}

static void begin_ack(struct worker *w, int n)
{
	int i;

	let_go(w, n);
	for (i = w->held - n; i < w->held; i++)
		add(&w->hold[i].job->acking, 1);
}

/* The last @n were acknowledged. */
static void end_ack(struct worker *w, int n)
{
	for (; n; n--) {
		struct job *job = w->hold[--w->held].job;

		if (__atomic_fetch_add(&job->acks, 1, __ATOMIC_SEQ_CST))
			fault(w->pool, REPEATED);
		__atomic_sub_fetch(&job->acking, 1, __ATOMIC_SEQ_CST);
	}
}

/* The last one was not acknowledged: it had been returned before. */
static void end_late_ack(struct worker *w)
{
	__atomic_sub_fetch(&w->hold[--w->held].job->acking, 1, __ATOMIC_SEQ_CST);
	add(&w->pool->account->late, 1);
}

static void check_done(struct worker *w, int ret, const char *what, int n)
{
	if (ret == n || (ret == -ENOENT && !w->self))
		return;
	say("%s of %d: %d", what, n, ret);
	fault(w->pool, LOST);
}

static void acknowledge(struct worker *w, int n)
{
	__u64 id[HOLD_MAX];
	int i, ret;

	for (i = 0; i < n; i++)
		id[i] = w->hold[w->held - n + i].id;
	begin_ack(w, n);
	if (n == w->held && w->self && one_in(&w->random, 2))
		ret = ack_all(w->fd);
	else
		ret = settle(w->fd, MPMCQ_SETTLE_ACK, 0, id, n, NULL);
	check_done(w, ret, "ACK", n);
	if (ret == n)
		end_ack(w, n);
	else if (n == 1)
		end_late_ack(w);
	else
		w->held -= n;		/* some of them were: acking tells of all */
}

/* What else there is to be done with the last one */
static void refuse(struct worker *w)
{
	__u64 id = w->hold[w->held - 1].id;
	__u32 front = one_in(&w->random, 4) ? MPMCQ_SETTLE_FRONT : 0;
	bool reject_it = one_in(&w->random, 4);
	int ret;

	let_go(w, 1);
	ret = reject_it ? reject(w->fd, id) :
			  settle(w->fd, MPMCQ_SETTLE_NACK, front, &id, 1, NULL);
	check_done(w, ret, reject_it ? "REJECT" : "NACK", 1);
	w->held--;
}

/* Works until it holds no more than @rest messages. */
static void finish(struct worker *w, int rest)
{
	while (w->held > rest) {
		if (one_in(&w->random, 2))
			dawdle(&w->random);
		if (one_in(&w->random, 16))
			touch(w->fd, w->hold[w->held - 1].id);
		if (one_in(&w->random, 16))
			refuse(w);
		else if (!w->self && !one_in(&w->random, 4))
			acknowledge(w, 1);	/* whose end is known */
		else
			acknowledge(w, 1 + below(&w->random, w->held - rest));
	}
}

/* A read as large as it may be, or one that has to leave messages behind */
static int read_some(struct worker *w, int flags)
{
	struct iovec iov = { w->buf, LONGEST + MARGIN };

	if (w->packed)
		iov.iov_len = MPMCQ_MSG_SPACE(LONGEST) * (1 + below(&w->random, BATCH));
	if (w->pages_missing)
		madvise(w->buf, BUFFER, MADV_DONTNEED);
	return result(preadv2(w->fd, &iov, 1, -1, flags));
}

/* Each read that gets a message, or finds none, acknowledges what the one before delivered. */
static void work_one_by_one(struct worker *w)
{
	int ret;

	begin_ack(w, w->held);
	ret = read_some(w, 0);
	end_ack(w, w->held);
	if (ret > 0)
		hold(w, w->buf, ret, 0);
	else if (ret != -EINTR)
		_exit(9);
	dawdle(&w->random);
	if (w->held && one_in(&w->random, 16)) {
		let_go(w, 1);
		w->held = 0;
		check_done(w, settle_all(w->fd, MPMCQ_SETTLE_NACK), "NACK", 1);
	}
}

/* It may hold messages while it reads more, but not while it waits for them. */
static void work_in_batches(struct worker *w)
{
	int ret;

	finish(w, w->held > CAPACITY ? CAPACITY : w->held);
	ret = read_some(w, w->held ? RWF_NOWAIT : 0);
	if (ret > 0) {
		hold_packed(w, ret);
	} else if (ret == -ENOBUFS || ret == -EAGAIN) {
		if (!w->held)
			usleep(500);
		finish(w, 0);
	} else if (ret != -EINTR) {
		say("read: %d", ret);
		_exit(10);
	}
	finish(w, one_in(&w->random, 2) ? below(&w->random, w->held + 1) : 0);
}

/* A child that has the open file until the round is over, and does nothing with it. */
static void have_heir(struct worker *w)
{
	__u32 *round = &w->pool->account->round;

	if (w->heir == get(round) || !one_in(&w->random, 16))
		return;
	w->heir = get(round);
	add(&w->pool->account->heirs, 1);
	if (fork())
		return;
	alarm(60);		/* should there be nobody to end the round */
	while (get(round) == w->heir)
		usleep(500);
	_exit(0);
}

static void work(struct pool *pool, int i)
{
	struct worker w = { .pool = pool };
	__u32 modes = MPMCQ_MODE_LEASE;

	w.random = pool->random + i;
	w.buf = map(BUFFER, PROT_READ | PROT_WRITE);
	/* Without an end that is certain a message cannot be acknowledged by a read. */
	w.packed = is_sharer(i) || pool->lease_ms || !one_in(&w.random, 3);
	w.pages_missing = one_in(&w.random, 2);
	if (w.packed)
		modes |= MPMCQ_MODE_PACKED;
	if (!is_sharer(i) && !pool->lease_ms)
		w.self = identity(i, pool->account->place[i].life);
	if (!is_sharer(i))
		w.fd = attach(pool->fd, O_RDONLY, modes, 1 + below(&w.random, CAPACITY));
	else
		w.fd = pool->shared_file;
	if (w.fd < 0 || w.buf == MAP_FAILED)
		_exit(11);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		if (w.packed)
			work_in_batches(&w);
		else
			work_one_by_one(&w);
		have_heir(&w);
		if (one_in(&w.random, 32) && send_fd(pool->sock[0], w.fd) > 0)
			add(&pool->account->passed, 1);
	}
}

#endif /* MPMCQ_POOL_H */
