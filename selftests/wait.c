// SPDX-License-Identifier: GPL-2.0-only
/*
 * Waiting: who is woken, what a signal does, and that a wake-up is never lost
 * on somebody who cannot use it.
 */

#include <poll.h>
#include <time.h>

#include "mpmcq_test.h"

#define MANY	64

static unsigned char large[MSG_SIZE_MAX];

TEST_F(queue, read_waits)
{
	struct call call;

	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, sizeof(large)));
	EXPECT_EQ(3, put_msg(self->nb, 3, 1));
	EXPECT_EQ(3, finish_call(&call));
	EXPECT_TRUE(is_filled(large, 3, 1));
}

TEST_F(queue, write_waits)
{
	struct call call;
	int i;

	ASSERT_EQ(self->capacity, put_all(self->nb, 2, 0));
	fill(large, 2, self->capacity);
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, 2));
	EXPECT_EQ(self->capacity, depth(self->fd));
	EXPECT_EQ(2, take_msg(self->nb, 2, 0));
	EXPECT_EQ(2, finish_call(&call));
	EXPECT_EQ(self->capacity, depth(self->fd));
	for (i = 1; i <= self->capacity; i++)
		ASSERT_EQ(2, take_msg(self->nb, 2, i));
}

/* A reader whose buffer is too short is told so when the message comes. */
TEST_F(queue, read_waits_with_short_buffer)
{
	struct call shorter, longer;
	unsigned char buf[2];

	ASSERT_EQ(0, start_blocked(&shorter, take, self->fd, buf, 2));
	ASSERT_EQ(0, start_blocked(&longer, take, self->fd, large, sizeof(large)));
	EXPECT_EQ(3, put_msg(self->nb, 3, 2));
	EXPECT_EQ(3, finish_call(&longer));
	EXPECT_TRUE(is_filled(large, 3, 2));
	EXPECT_EQ(-EMSGSIZE, finish_call(&shorter));
	EXPECT_TRUE(is_junk(buf, 2));
}

static int signals;

static void count_signal(int sig)
{
	__atomic_add_fetch(&signals, 1, __ATOMIC_RELAXED);
}

static void on_signal(int flags)
{
	struct sigaction action = { .sa_handler = count_signal, .sa_flags = flags };

	signals = 0;
	sigaction(SIGUSR1, &action, NULL);
}

static void send_signal(struct call *call)
{
	int before = signals;

	pthread_kill(call->thread, SIGUSR1);
	while (__atomic_load_n(&signals, __ATOMIC_RELAXED) == before)
		sched_yield();
}

TEST_F(queue, signal_ends_read)
{
	struct call call;

	on_signal(0);
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, 8));
	send_signal(&call);
	EXPECT_EQ(-EINTR, finish_call(&call));
	EXPECT_TRUE(is_junk(large, 8));
	EXPECT_EQ(3, put_msg(self->nb, 3, 3));
	EXPECT_EQ(3, take_msg(self->nb, 3, 3));
}

TEST_F(queue, signal_ends_write)
{
	struct call call;

	on_signal(0);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, 8));
	send_signal(&call);
	EXPECT_EQ(-EINTR, finish_call(&call));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

TEST_F(queue, signal_restarts_read)
{
	struct call call;
	int i;

	on_signal(SA_RESTART);
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, 8));
	for (i = 0; i < 10; i++) {
		send_signal(&call);
		wait_asleep(call.tid, SYS_read);
	}
	EXPECT_EQ(8, put_msg(self->nb, 8, 4));
	EXPECT_EQ(8, finish_call(&call));
	EXPECT_TRUE(is_filled(large, 8, 4));
}

TEST_F(queue, signal_restarts_write)
{
	struct call call;
	int i;

	on_signal(SA_RESTART);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, 8));
	for (i = 0; i < 10; i++) {
		send_signal(&call);
		wait_asleep(call.tid, SYS_write);
	}
	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(8, finish_call(&call));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* A call that can complete does so, whatever signals are pending. */
TEST_F(queue, signal_pending)
{
	sigset_t set;

	on_signal(0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	EXPECT_EQ(8, put_msg(self->fd, 8, 5));
	EXPECT_EQ(8, take_msg(self->fd, 8, 5));
	EXPECT_EQ(0, signals);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	EXPECT_EQ(1, signals);
}

/* A process that makes the call once and exits with 0 if all went well. */
static pid_t fork_call(ssize_t (*fn)(int, void *, size_t), int fd, size_t len)
{
	pid_t pid = fork();

	if (!pid)
		_exit(fn(fd, large, len) != (ssize_t)len);
	return pid;
}

TEST_F(queue, stop_and_continue)
{
	pid_t pid = fork_call(take, self->fd, 4);
	int status;

	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	ASSERT_EQ(0, kill(pid, SIGSTOP));
	ASSERT_EQ(pid, waitpid(pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(pid, SIGCONT));
	wait_asleep(pid, SYS_read);
	EXPECT_EQ(4, put_msg(self->nb, 4, 6));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(queue, killed_reader)
{
	struct call call;
	int status;
	pid_t pid;

	pid = fork_call(take, self->fd, 4);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_read);
	ASSERT_EQ(0, start_blocked(&call, take, self->fd, large, 4));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(4, put_msg(self->nb, 4, 7));
	EXPECT_EQ(4, finish_call(&call));
	EXPECT_TRUE(is_filled(large, 4, 7));
}

TEST_F(queue, killed_writer)
{
	struct call call;
	int status;
	pid_t pid;

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	pid = fork_call(put, self->fd, 4);
	ASSERT_LE(0, pid);
	wait_asleep(pid, SYS_write);
	ASSERT_EQ(0, start_blocked(&call, put, self->fd, large, 4));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(4, finish_call(&call));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* Each of two waiting processes may be the one that is killed. */
static void kill_one(pid_t pid[2], int round)
{
	kill(pid[round / 2 % 2], SIGKILL);
	waitpid(pid[round / 2 % 2], NULL, 0);
}

/*
 * Of two blocked readers one is killed at the time a message comes.  Either it
 * still takes the message, or the other one does: the message never stays while
 * somebody sleeps.  The time limit of the test tells.
 */
TEST_F_TIMEOUT(queue, kill_races_with_write, 60)
{
	int round, status;
	pid_t pid[2], other;

	for (round = 0; round < 100; round++) {
		pid[0] = fork_call(take, self->fd, 4);
		ASSERT_LE(0, pid[0]);
		wait_asleep(pid[0], SYS_read);
		pid[1] = fork_call(take, self->fd, 4);
		ASSERT_LE(0, pid[1]);
		wait_asleep(pid[1], SYS_read);
		other = pid[!(round / 2 % 2)];

		if (round % 2) {
			kill_one(pid, round);
			ASSERT_EQ(4, put_msg(self->nb, 4, round));
		} else {
			ASSERT_EQ(4, put_msg(self->nb, 4, round));
			kill_one(pid, round);
		}
		while (depth(self->fd))
			sched_yield();

		/* One for the other, should the message have died with the first. */
		ASSERT_EQ(4, put_msg(self->nb, 4, round));
		ASSERT_EQ(other, waitpid(other, &status, 0));
		ASSERT_EQ(0, status);
		take_all(self->nb);
	}
}

/* The same of two blocked writers and a slot. */
TEST_F_TIMEOUT(queue, kill_races_with_read, 60)
{
	int round, status;
	pid_t pid[2], other;

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	for (round = 0; round < 100; round++) {
		pid[0] = fork_call(put, self->fd, 4);
		ASSERT_LE(0, pid[0]);
		wait_asleep(pid[0], SYS_write);
		pid[1] = fork_call(put, self->fd, 4);
		ASSERT_LE(0, pid[1]);
		wait_asleep(pid[1], SYS_write);
		other = pid[!(round / 2 % 2)];

		if (round % 2) {
			kill_one(pid, round);
			ASSERT_LT(0, take(self->nb, large, 4));
		} else {
			ASSERT_LT(0, take(self->nb, large, 4));
			kill_one(pid, round);
		}
		while (depth(self->fd) < self->capacity)
			sched_yield();

		ASSERT_LT(0, take(self->nb, large, 4));
		ASSERT_EQ(other, waitpid(other, &status, 0));
		ASSERT_EQ(0, status);
		put_all(self->nb, 1, 0);
	}
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

TEST_F_TIMEOUT(queue, many_readers, 60)
{
	static unsigned char buf[MANY][4];
	struct call call[MANY];
	bool seen[MANY] = {};
	int i;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], 4));
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(4, put(self->fd, &i, 4));
	for (i = 0; i < MANY; i++) {
		int got;

		ASSERT_EQ(4, finish_call(&call[i]));
		memcpy(&got, buf[i], 4);
		ASSERT_LE(0, got);
		ASSERT_GT(MANY, got);
		EXPECT_FALSE(seen[got]) TH_LOG("message %d came twice", got);
		seen[got] = true;
	}
}

TEST_F_TIMEOUT(queue, many_writers, 60)
{
	struct call call[MANY];
	bool seen[MANY] = {};
	int i, number[MANY];

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	for (i = 0; i < MANY; i++) {
		number[i] = i;
		ASSERT_EQ(0, start_blocked(&call[i], put, self->fd, &number[i], 4));
	}
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(1, take_msg(self->fd, 1, i));
	for (i = 0; i < MANY; i++) {
		int got;

		ASSERT_EQ(4, take(self->fd, &got, 4));
		ASSERT_LE(0, got);
		ASSERT_GT(MANY, got);
		EXPECT_FALSE(seen[got]) TH_LOG("message %d came twice", got);
		seen[got] = true;
	}
	for (i = 0; i < MANY; i++)
		EXPECT_EQ(4, finish_call(&call[i]));
}

#define THREADS	4
#define ROUNDS	2000

struct loop {
	int fd;
	int done;	/* calls completed */
	bool end;
};

static void *read_on(void *arg)
{
	struct loop *loop = arg;
	char c;

	while (!__atomic_load_n(&loop->end, __ATOMIC_RELAXED) && take(loop->fd, &c, 1) == 1)
		__atomic_add_fetch(&loop->done, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *write_on(void *arg)
{
	struct loop *loop = arg;

	while (!__atomic_load_n(&loop->end, __ATOMIC_RELAXED) && put(loop->fd, "m", 1) == 1)
		__atomic_add_fetch(&loop->done, 1, __ATOMIC_RELAXED);
	return NULL;
}

/* Bursts of messages, fewer than there are sleeping readers and more: all are read. */
TEST_F_TIMEOUT(queue, bursts_of_messages, 60)
{
	struct loop loop = { .fd = self->fd };
	pthread_t thread[THREADS];
	int round, i, sent = 0;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, read_on, &loop));
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < round % (2 * THREADS); i++, sent++)
			ASSERT_EQ(1, put(self->fd, "m", 1));
		while (__atomic_load_n(&loop.done, __ATOMIC_RELAXED) != sent)
			sched_yield();
	}
	__atomic_store_n(&loop.end, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(1, put(self->fd, "m", 1));
	for (i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	take_all(self->nb);
}

/* Bursts of reads from a full queue, and writers asleep: it gets full again. */
TEST_F_TIMEOUT(queue, bursts_of_room, 60)
{
	struct loop loop = { .fd = self->fd };
	pthread_t thread[THREADS];
	int round, i, taken = 0;
	char c;

	for (i = 0; i < THREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, write_on, &loop));
	for (round = 0; round < ROUNDS; round++) {
		while (__atomic_load_n(&loop.done, __ATOMIC_RELAXED) != taken + self->capacity)
			sched_yield();
		for (i = 0; i < round % (2 * THREADS); i++, taken++)
			ASSERT_EQ(1, take(self->fd, &c, 1));
	}
	__atomic_store_n(&loop.end, true, __ATOMIC_RELAXED);
	for (i = 0; i < THREADS; i++)
		while (pthread_tryjoin_np(thread[i], NULL))
			take_all(self->nb);
	take_all(self->nb);
}

/* Waits in poll, and does nothing about what it is told. */
static ssize_t poll_only(int fd, void *buf, size_t len)
{
	struct pollfd pfd = { .fd = fd, .events = *(short *)buf };

	return result(ppoll(&pfd, 1, NULL, NULL));
}

TEST_F(queue, poller_takes_no_wakeup_from_reader)
{
	struct call poller[2], reader;
	short events = POLLIN;

	ASSERT_EQ(0, start_call(&poller[0], poll_only, self->fd, &events, 0));
	wait_asleep(poller[0].tid, SYS_ppoll);
	ASSERT_EQ(0, start_blocked(&reader, take, self->fd, large, 4));
	ASSERT_EQ(0, start_call(&poller[1], poll_only, self->fd, &events, 0));
	wait_asleep(poller[1].tid, SYS_ppoll);

	EXPECT_EQ(4, put_msg(self->nb, 4, 8));
	EXPECT_EQ(4, finish_call(&reader));

	/* The pollers may have looked before or after the reader. */
	EXPECT_EQ(4, put_msg(self->nb, 4, 9));
	EXPECT_EQ(1, finish_call(&poller[0]));
	EXPECT_EQ(1, finish_call(&poller[1]));
	EXPECT_EQ(4, take_msg(self->nb, 4, 9));
}

TEST_F(queue, poller_takes_no_wakeup_from_writer)
{
	struct call poller[2], writer;
	short events = POLLOUT;

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, start_call(&poller[0], poll_only, self->fd, &events, 0));
	wait_asleep(poller[0].tid, SYS_ppoll);
	ASSERT_EQ(0, start_blocked(&writer, put, self->fd, large, 4));
	ASSERT_EQ(0, start_call(&poller[1], poll_only, self->fd, &events, 0));
	wait_asleep(poller[1].tid, SYS_ppoll);

	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(4, finish_call(&writer));

	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	EXPECT_EQ(1, finish_call(&poller[0]));
	EXPECT_EQ(1, finish_call(&poller[1]));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
}

#define RT_RUNTIME "/proc/sys/kernel/sched_rt_runtime_us"

/* How much of a second real-time tasks may have; false if that cannot be read or set. */
static bool rt_runtime(const char *mode, int *us)
{
	FILE *file = fopen(RT_RUNTIME, mode);
	bool done;

	if (!file)
		return false;
	done = (*mode == 'r' ? fscanf(file, "%d", us) : fprintf(file, "%d", *us)) > 0;
	return !fclose(file) && done;
}

static bool pin(pthread_t thread, int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !pthread_setaffinity_np(thread, sizeof(cpus), &cpus);
}

struct hog {
	pthread_t thread;
	bool runs, stop;
};

/* Leaves a processor to nobody. */
static void *spin(void *arg)
{
	struct sched_param rt = { .sched_priority = 1 };
	struct hog *hog = arg;

	if (!pin(pthread_self(), 0) || pthread_setschedparam(pthread_self(), SCHED_FIFO, &rt))
		return NULL;
	__atomic_store_n(&hog->runs, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&hog->stop, __ATOMIC_ACQUIRE))
		;
	return hog;
}

/* Returns false if @flag is not set before too much time has passed. */
static bool set_soon(const bool *flag)
{
	for (int ms = 0; ms < 20000; ms++) {
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
			return true;
		usleep(1000);
	}
	return false;
}

/*
 * The reader that the first message wakes does not get to run, on a processor that a
 * real-time task has for itself; the other has the next message, though nobody sends any
 * more.  They are sent from the other processor: even the kernel's timers may not get to run
 * on the first.
 */
TEST_F_TIMEOUT(queue, woken_reader_cannot_run, 60)
{
	struct hog hog = { };
	unsigned char buf[2][4];
	struct call starved, other;
	int runtime, unlimited = -1;
	bool runs, done, waited;
	void *ran;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "takes two processors");
	if (!rt_runtime("r", &runtime) || !rt_runtime("w", &unlimited))
		SKIP(return, "no leave to set " RT_RUNTIME);
	ASSERT_EQ(0, start_blocked(&starved, take, self->fd, buf[0], 4));
	ASSERT_EQ(0, start_blocked(&other, take, self->fd, buf[1], 4));
	ASSERT_TRUE(pin(starved.thread, 0) && pin(other.thread, 1) && pin(pthread_self(), 1));

	ASSERT_EQ(0, pthread_create(&hog.thread, NULL, spin, &hog));
	runs = set_soon(&hog.runs);
	put_msg(self->nb, 4, 0);
	put_msg(self->nb, 4, 1);
	done = set_soon(&other.done);
	waited = !__atomic_load_n(&starved.done, __ATOMIC_ACQUIRE);
	__atomic_store_n(&hog.stop, true, __ATOMIC_RELEASE);

	EXPECT_TRUE(runs);
	EXPECT_TRUE(done);
	EXPECT_TRUE(waited);
	EXPECT_EQ(0, pthread_join(hog.thread, &ran));
	EXPECT_EQ(&hog, ran);
	EXPECT_EQ(4, finish_call(&starved));
	EXPECT_EQ(4, finish_call(&other));
	EXPECT_TRUE(rt_runtime("w", &runtime));
}

TEST_HARNESS_MAIN
