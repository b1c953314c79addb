/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs that use /dev/mpmcq share, also those files of them that have no tests: a
 * helper per call, which returns what the call returned, or -errno, and fills what the
 * call is to fill in with junk first; calls made by another thread, to be caught while
 * they wait.
 */
#ifndef MPMCQ_CALLS_H
#define MPMCQ_CALLS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#define DEVICE		"/dev/mpmcq"
#define JUNK		0xa5
#define MSG_SIZE_MIN	16	/* a queue with shorter messages is not tested */
#define MSG_SIZE_MAX	65536	/* no queue has longer ones */
#define MARGIN		8	/* bytes beyond a message that must stay junk */

/* What an environment variable says. */
static inline unsigned long long number_from(const char *variable, unsigned long long otherwise)
{
	const char *value = getenv(variable);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static inline long long now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* A handler that lets a signal do no more than interrupt. */
static inline void ignore_signal(int sig)
{
}

static inline ssize_t result(ssize_t ret)
{
	return ret < 0 ? -errno : ret;
}

static inline ssize_t put(int fd, void *msg, size_t len)
{
	return result(write(fd, msg, len));
}

static inline ssize_t take(int fd, void *buf, size_t len)
{
	memset(buf, JUNK, len);
	return result(read(fd, buf, len));
}

static inline int query(int fd, struct mpmcq_info *info)
{
	memset(info, JUNK, sizeof(*info));
	info->size = sizeof(*info);
	return result(ioctl(fd, MPMCQ_IOC_INFO, info));
}

static inline int depth(int fd)
{
	struct mpmcq_info info;
	int ret = query(fd, &info);

	return ret < 0 ? ret : (int)info.depth;
}

static inline int next_len(int fd)
{
	int len = JUNK;
	int ret = result(ioctl(fd, FIONREAD, &len));

	return ret < 0 ? ret : len;
}

/* Makes @buf message number @seed of @len bytes. */
static inline void fill(void *buf, int len, unsigned int seed)
{
	unsigned char *p = buf;
	int i;

	for (i = 0; i < len; i++)
		p[i] = seed ^ seed >> 8 ^ i * 7 ^ i >> 8;
}

static inline bool is_filled(const void *buf, int len, unsigned int seed)
{
	unsigned char want[MSG_SIZE_MAX];

	fill(want, len, seed);
	return !memcmp(buf, want, len);
}

static inline bool is_junk(const void *buf, int len)
{
	unsigned char want[MSG_SIZE_MAX];

	memset(want, JUNK, len);
	return !memcmp(buf, want, len);
}

/* Sends message number @seed. */
static inline int put_msg(int fd, int len, unsigned int seed)
{
	unsigned char msg[MSG_SIZE_MAX];

	fill(msg, len, seed);
	return put(fd, msg, len);
}

/* Takes a message; -EBADMSG if it is not number @seed of @len bytes. */
static inline int take_msg(int fd, int len, unsigned int seed)
{
	unsigned char msg[MSG_SIZE_MAX + MARGIN];
	int ret = take(fd, msg, len + MARGIN);

	if (ret < 0)
		return ret;
	if (ret != len || !is_filled(msg, len, seed) || !is_junk(msg + len, MARGIN))
		return -EBADMSG;
	return ret;
}

/* Fills the queue with messages of @len bytes, the first number @seed; how many. */
static inline int put_all(int nonblocking, int len, unsigned int seed)
{
	int n = 0;

	while (put_msg(nonblocking, len, seed + n) == len)
		n++;
	return n;
}

/* Takes what is there; how many. */
static inline int take_all(int nonblocking)
{
	unsigned char msg[MSG_SIZE_MAX];
	int n = 0;

	while (read(nonblocking, msg, sizeof(msg)) > 0)
		n++;
	return n;
}

/* A call made by another thread. */
struct call {
	ssize_t (*fn)(int fd, void *buf, size_t len);
	int fd;
	void *buf;
	size_t len;
	ssize_t ret;
	bool done;
	pid_t tid;
	pthread_t thread;
};

static inline void *call_thread(void *arg)
{
	struct call *call = arg;

	__atomic_store_n(&call->tid, gettid(), __ATOMIC_RELEASE);
	call->ret = call->fn(call->fd, call->buf, call->len);
	__atomic_store_n(&call->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Returns when the thread runs, with 0 or -errno. */
static inline int start_call(struct call *call, ssize_t (*fn)(int, void *, size_t),
			     int fd, void *buf, size_t len)
{
	pthread_attr_t attr;
	int ret;

	*call = (struct call){ .fn = fn, .fd = fd, .buf = buf, .len = len };
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	ret = pthread_create(&call->thread, &attr, call_thread, call);
	pthread_attr_destroy(&attr);
	while (!ret && !__atomic_load_n(&call->tid, __ATOMIC_ACQUIRE))
		sched_yield();
	return -ret;
}

/* Waits for the call to end; what it returned. */
static inline ssize_t finish_call(struct call *call)
{
	pthread_join(call->thread, NULL);
	return call->ret;
}

/* Returns once thread or process @tid is asleep in system call @nr. */
static inline void wait_asleep(pid_t tid, long nr)
{
	char path[64];
	long now;

	snprintf(path, sizeof(path), "/proc/%d/syscall", tid);
	do {
		FILE *file = fopen(path, "r");

		/* The file says "running" of a thread that is awake. */
		if (!file || fscanf(file, "%ld", &now) != 1)
			now = -1;
		if (file)
			fclose(file);
		if (now != nr)
			usleep(500);
	} while (now != nr);
}

/* As start_call(), for a read or write that has to wait. */
static inline int start_blocked(struct call *call, ssize_t (*fn)(int, void *, size_t),
				int fd, void *buf, size_t len)
{
	int ret = start_call(call, fn, fd, buf, len);

	if (!ret)
		wait_asleep(call->tid, fn == put ? SYS_write : SYS_read);
	return ret;
}

#endif /* MPMCQ_CALLS_H */
