// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pool of workers with leases, who are killed at any moment: in the middle of reads
 * and acknowledgments, while they hold many messages, while children of theirs have the
 * open file still, while it is under way to somebody else.  Every message is done in
 * the end, and once; and all slots are free.
 *
 * Producers and workers work in rounds, as in abuse.c: producers may send a number of
 * messages, and when the round is over, all must have been acknowledged.  If they are
 * not, somebody is asleep who should not be, or holds what he should not.  What happens
 * to the pool meanwhile is the test.
 *
 * The account is in memory that outlives whoever is killed.  A worker notes what it is
 * about to acknowledge, and when that is done; if it was killed in between, the message
 * may be delivered once more, or not.  What the kernel has counted settles that: as
 * many were acknowledged as were sent.
 */

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

/*
 * The pool
 */
static bool hire(struct pool *pool, int i)
{
	struct place *place = &pool->account->place[i];

	place->idle = false;
	place->life++;
	pool->random += PRODUCERS + WORKERS;
	pool->pid[i] = fork();
	if (!pool->pid[i]) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (is_producer(i))
			produce(pool, i);
		else
			work(pool, i);
	}
	return pool->pid[i] > 0;
}

static bool hire_all(struct pool *pool)
{
	int i;

	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (!pool->pid[i] && !hire(pool, i))
			return false;
	return true;
}

static void doom(struct pool *pool, int i)
{
	struct place *place = &pool->account->place[i];

	set(&place->doomed, place->life);
	kill(pool->pid[i], SIGKILL);
}

static bool bury(struct pool *pool, int i)
{
	int status = wait_for_end(pool->pid[i], "a killed worker");

	pool->pid[i] = 0;
	pool->killed++;
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	say("worker %d ended with %#x", i, status);
	return false;
}

/* What is under way on the socket comes to its end. */
static void receive_files(struct pool *pool)
{
	int fd;

	while ((fd = receive_fd(pool->sock[1])) >= 0)
		close(fd);
}

/* Ends the round for all who have a file that was somebody else's. */
static void end_round(struct pool *pool)
{
	add(&pool->account->round, 1);
	receive_files(pool);
}

static bool bury_all(struct pool *pool)
{
	bool good = true;
	int i;

	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			doom(pool, i);
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			good &= bury(pool, i);
	return good;
}

/* All that was to be sent was, and has been acknowledged. */
static bool settled(struct pool *pool)
{
	struct mpmcq_info info;
	int i;

	if (get(&pool->account->leave))
		return false;
	for (i = 0; i < PRODUCERS; i++)
		if (pool->pid[i] && !get(&pool->account->place[i].idle))
			return false;
	info = info_of(pool->fd);
	return !info.depth && !info.leased && !info.dead && info.acked == info.sent;
}

static void tell_pool(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);
	int i;

	say("waiting %u, leased %u, dead %u; sent %llu, acknowledged %llu; leave to send %u",
	    info.depth, info.leased, info.dead, (unsigned long long)info.sent,
	    (unsigned long long)info.acked, pool->account->leave);
	say("of these the sharers have %u", info_of(pool->shared_file).held);
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (pool->pid[i])
			tell_waits(pool->pid[i], is_producer(i) ? "producer" : "worker");
}

/* Of those who have died somewhere else; false if it is one of the pool. */
static bool reap(struct pool *pool)
{
	int status, i;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < PRODUCERS + WORKERS; i++) {
			if (pool->pid[i] == pid) {
				say("process %d of the pool ended with %#x", pid, status);
				pool->pid[i] = 0;
				return false;
			}
		}
	}
	return true;
}

/* What sharers have held who are dead, their open file holds on: we give it back. */
static void help_sharers(struct pool *pool, int turn)
{
	if (turn % 64 == 63)
		settle_all(pool->shared_file, MPMCQ_SETTLE_NACK);
}

/* False if somebody sleeps who should not, or holds messages, or has ended. */
static bool come_to_rest(struct pool *pool)
{
	struct watchdog dog = {};
	struct mpmcq_info info;
	int turn;

	for (turn = 0; !settled(pool); turn++) {
		end_round(pool);
		if (!reap(pool))
			return false;
		info = info_of(pool->fd);
		if (hangs(&dog, info.acked + info.sent)) {
			tell_pool(pool);
			return false;
		}
		pool->revived += revive(pool->fd, 0);
		help_sharers(pool, turn);
		usleep(500);
	}
	return reap(pool);
}

/* Some are killed, some only disturbed; a producer and a worker of each kind are spared. */
static bool kill_some(struct pool *pool)
{
	int spared = below(&pool->random, PRODUCERS), i, n;
	int spared_worker = PRODUCERS + below(&pool->random, WORKERS - SHARERS);
	bool dead[PRODUCERS + WORKERS] = {}, good = true;

	for (n = below(&pool->random, 12); n >= 0; n--) {
		dawdle(&pool->random);
		i = below(&pool->random, PRODUCERS + WORKERS);
		if (dead[i])
			continue;
		switch (below(&pool->random, 8)) {
		case 0:
			kill(pool->pid[i], SIGUSR1);
			break;
		case 1:
			kill(pool->pid[i], SIGSTOP);
			dawdle(&pool->random);
			kill(pool->pid[i], SIGCONT);
			break;
		case 2:
			end_round(pool);
			break;
		default:
			dead[i] = i != spared && i != spared_worker;
			if (dead[i])
				doom(pool, i);
		}
	}
	for (i = 0; i < PRODUCERS + WORKERS; i++)
		if (dead[i])
			good &= bury(pool, i);
	return good;
}

static bool has_room(const struct pool *pool, int messages)
{
	int i;

	for (i = 0; i < PRODUCERS; i++)
		if (get(&pool->account->next[i]) + messages + 2 * BATCH >= NUMBERS)
			return false;
	return true;
}

static void give(struct pool *pool, int messages)
{
	add(&pool->account->leave, messages);
	syscall(SYS_futex, &pool->account->leave, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Rounds, as far as the account has room; false if one ends badly. */
static bool run(struct pool *pool, int rounds)
{
	for (; rounds && has_room(pool, 8192); rounds--) {
		give(pool, 1 + below(&pool->random, 2 << below(&pool->random, 12)));
		if (!kill_some(pool) || !come_to_rest(pool) || !hire_all(pool))
			return false;
	}
	return true;
}

/* What is wrong with a message, in the end */
static int faults_of(const struct job *job)
{
	if (job->acks > 1)
		return REPEATED;
	if (job->sent == UNSENT && job->seen)
		return UNKNOWN;
	/* Whoever was killed while it sent it may not have. */
	if (!job->seen)
		return job->sent == SENT ? LOST : 0;
	return job->acks || job->acking ? 0 : LOST;
}

/* All that was sent has been seen, and acknowledged once, by us as by the kernel. */
static int check_account(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);
	int i, number, faults = 0;
	__u64 seen = 0;

	for (i = 0; i < PRODUCERS; i++) {
		for (number = 0; number < NUMBERS; number++) {
			struct job *job = &pool->account->job[i][number];
			int fault = faults_of(job);

			seen += job->seen > 0;
			if (fault)
				say("message %d of %d: %#x: sent %u, seen %u, acks %u, begun %u",
				    number, i, fault, job->sent, job->seen, job->acks,
				    job->acking);
			faults |= fault;
		}
	}
	if (info.sent != seen || info.acked != seen) {
		say("%llu messages were seen; sent %llu, acknowledged %llu",
		    (unsigned long long)seen, (unsigned long long)info.sent,
		    (unsigned long long)info.acked);
		faults |= MISCOUNTED;
	}
	return faults | pool->account->faults;
}

static bool start(struct pool *pool)
{
	pool->fd = make_queue(.capacity = CAPACITY, .msg_size = LONGEST,
			      .max_deliveries = MAX_DELIVERIES, .lease_ms = pool->lease_ms,
			      .open_flags = O_RDWR);
	pool->nb = attach(pool->fd, O_RDWR | O_NONBLOCK, 0, 0);
	pool->shared_file = attach(pool->fd, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
				   CAPACITY);
	pool->account = shared_memory(sizeof(*pool->account));
	if (pool->fd < 0 || pool->nb < 0 || pool->shared_file < 0 || !pool->account)
		return false;
	pool->account->round = 1;
	return hire_all(pool);
}

static void end(struct pool *pool)
{
	struct mpmcq_info info = info_of(pool->fd);

	pool->returned += info.returned;
	say("%llu messages, %llu deliveries, %llu returned", (unsigned long long)info.sent,
	    (unsigned long long)info.received, (unsigned long long)info.returned);
	say("%d revived, %u late, %u heirs, %u passed", pool->revived, pool->account->late,
	    pool->account->heirs, pool->account->passed);
	close(pool->shared_file);
	close(pool->nb);
	close(pool->fd);
	munmap(pool->account, sizeof(*pool->account));
	pool->account = NULL;
}

/* Does what there is to do, one by one. */
static bool work_off(struct pool *pool)
{
	int fd = attach(pool->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE, 1);
	struct job *job = NULL;
	char buf[LONGEST];
	int ret;

	while ((ret = take(fd, buf, sizeof(buf))) > 0) {
		fault(pool, receive(pool, identity(0, 1), buf, ret, &job));
		if (!job || ack_all(fd) != 1)
			break;
		add(&job->acks, 1);
	}
	close(fd);
	return ret == -EAGAIN;
}

/*
 * Kills all of the pool in the middle of its work.  What it has held can be read at
 * once then, and when that is done everything must add up.
 */
static void stop(struct __test_metadata *_metadata, struct pool *pool)
{
	give(pool, 4 * CAPACITY);
	dawdle(&pool->random);
	EXPECT_TRUE(bury_all(pool));
	end_round(pool);
	EXPECT_TRUE(comes_true(reap(pool) && waitpid(-1, NULL, WNOHANG) < 0));
	close(pool->shared_file);
	pool->shared_file = -1;
	EXPECT_EQ(0, info_of(pool->fd).leased);

	revive(pool->fd, 0);
	EXPECT_TRUE(work_off(pool));
	EXPECT_EQ(0, info_of(pool->fd).leased);
	EXPECT_EQ(0, info_of(pool->fd).dead);
	EXPECT_EQ(0, check_account(pool));
	check_slots(_metadata, pool->nb, CAPACITY);
	end(pool);
}

FIXTURE(pool)
{
	struct pool pool;
};

FIXTURE_VARIANT(pool)
{
	__u32 lease_ms;
};

FIXTURE_VARIANT_ADD(pool, for_ever)
{
};

/* So short that a worker who is held up loses what it holds */
FIXTURE_VARIANT_ADD(pool, for_a_while)
{
	.lease_ms = LEASE_MS,
};

FIXTURE_SETUP(pool)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct pool *pool = &self->pool;

	pool->random = seed();
	pool->lease_ms = variant->lease_ms;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pool->sock));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_TEARDOWN(pool)
{
	struct pool *pool = &self->pool;

	if (pool->account) {
		bury_all(pool);
		end_round(pool);
	}
	say("%d processes killed", pool->killed);
}

TEST_F_TIMEOUT(pool, killed, 800)
{
	struct pool *pool = &self->pool;
	int episode;

	for (episode = percent_of(10); episode; episode--) {
		ASSERT_TRUE(start(pool));
		ASSERT_TRUE(run(pool, 30));
		stop(_metadata, pool);
	}
	EXPECT_LT(0, pool->returned);
}

/* The controls: what is wrong is found. */
TEST_F_TIMEOUT(pool, lost_message_is_found, 200)
{
	struct pool *pool = &self->pool;
	char buf[LONGEST];

	ASSERT_TRUE(start(pool));
	ASSERT_TRUE(come_to_rest(pool));
	EXPECT_EQ(0, check_account(pool));
	EXPECT_TRUE(bury_all(pool));
	ASSERT_TRUE(hire(pool, 0));
	give(pool, CAPACITY / 2);
	ASSERT_TRUE(comes_true(get(&pool->account->place[0].idle) && !pool->account->leave));
	ASSERT_LT(0, take(pool->nb, buf, sizeof(buf)));
	EXPECT_TRUE(work_off(pool));
	EXPECT_EQ(LOST | MISCOUNTED, check_account(pool));
	EXPECT_TRUE(bury_all(pool));
	end(pool);
}

TEST_F_TIMEOUT(pool, sleeper_is_found, 200)
{
	struct pool *pool = &self->pool;
	int i;

	ASSERT_TRUE(start(pool));
	ASSERT_TRUE(come_to_rest(pool));
	for (i = PRODUCERS; i < PRODUCERS + WORKERS; i++) {
		kill(pool->pid[i], SIGSTOP);
		EXPECT_EQ(pool->pid[i], waitpid(pool->pid[i], NULL, WUNTRACED));
	}
	patience = 1;
	give(pool, 1);
	EXPECT_FALSE(come_to_rest(pool));
	for (i = PRODUCERS; i < PRODUCERS + WORKERS; i++)
		kill(pool->pid[i], SIGCONT);
	EXPECT_TRUE(come_to_rest(pool));
	stop(_metadata, pool);
}

TEST(account)
{
	static const struct {
		struct job job;
		int fault;
	} cases[] = {
		{ { .sent = SENT, .seen = 3, .acks = 1 }, 0 },
		{ { .sent = SENT, .seen = 1, .acking = 1 }, 0 },
		{ { .sent = TRYING, .seen = 1, .acks = 1 }, 0 },
		{ { .sent = TRYING }, 0 },
		{ { .sent = UNSENT }, 0 },
		{ { .sent = SENT }, LOST },
		{ { .sent = SENT, .seen = 1 }, LOST },
		{ { .sent = TRYING, .seen = 1 }, LOST },
		{ { .sent = SENT, .seen = 2, .acks = 2 }, REPEATED },
		{ { .sent = UNSENT, .seen = 1, .acks = 1 }, UNKNOWN },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].fault, faults_of(&cases[i].job)) TH_LOG("case %zu", i);
}

TEST(deliveries)
{
	struct pool pool = { .account = shared_memory(sizeof(*pool.account)) };
	__u32 first = identity(PRODUCERS, 1), other = identity(PRODUCERS + 1, 1);
	unsigned char msg[LONGEST];
	int len = make_message(msg, 1, 5, LONGEST);
	struct job *job;

	ASSERT_NE(NULL, pool.account);
	EXPECT_EQ(UNKNOWN, receive(&pool, first, msg, len, &job));
	pool.account->job[1][5].sent = TRYING;
	EXPECT_EQ(0, receive(&pool, first, msg, len, &job));
	EXPECT_EQ(&pool.account->job[1][5], job);
	EXPECT_EQ(SHARED, receive(&pool, other, msg, len, &job));
	pool.account->place[PRODUCERS + 1].doomed = 1;
	EXPECT_EQ(0, receive(&pool, first, msg, len, &job));
	job->acks = 1;
	EXPECT_EQ(REPEATED, receive(&pool, other, msg, len, &job));
	EXPECT_EQ(TORN, receive(&pool, first, msg, len - 1, &job));
	make_message(msg, PRODUCERS, 5, LONGEST);
	EXPECT_EQ(UNKNOWN, receive(&pool, first, msg, len, &job));
}

TEST_HARNESS_MAIN
