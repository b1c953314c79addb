// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forks, executed programs, threads
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "test.h"

#define THREADS	4
#define EACH	200

static void forks(void)
{
	int fd = PRIVATE(.open_flags = O_RDWR), status = -1;
	pid_t pid = fork();

	if (!pid)
		_exit(put(fd, "from the child") == 14 ? 0 : 1);
	TRUE(got(fd, "from the child"));
	waitpid(pid, &status, 0);
	IS(0, status);
	close(fd);
}

static void executed(void)
{
	int fd = PRIVATE(), other = attach(fd, 0, 0), status = -1;
	pid_t pid;

	IS(0, NAMED("lib-x"));
	TRUE(mpmcq_open("lib-x", O_RDWR) >= 0);
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "lib-test", "--count-queues", NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	IS(0, status);
	/* Control: one that is inherited is counted. */
	IS(0, fcntl(other, F_SETFD, 0));
	pid = fork();
	if (!pid) {
		execl("/proc/self/exe", "lib-test", "--count-queues", NULL);
		_exit(99);
	}
	waitpid(pid, &status, 0);
	IS(1, WEXITSTATUS(status));
	IS(0, mpmcq_remove_queue("lib-x"));
	close(other);
	close(fd);
}

static int count_one(int fd, const struct mpmcq_msg *msg, const void *data, void *arg)
{
	(void)fd;
	(void)msg;
	(void)data;
	__atomic_add_fetch((int *)arg, 1, __ATOMIC_RELAXED);
	return MPMCQ_SETTLE_ACK;
}

static int worked;

static void *worker(void *fd)
{
	return (void *)(long)mpmcq_run_worker(*(int *)fd, 16, -1, 0, count_one, &worked);
}

static void *sender(void *fd)
{
	for (int i = 0; i < EACH; i++)
		if (mpmcq_send_timed(*(int *)fd, "x", 1, -1) != 1)
			return (void *)1;
	return NULL;
}

static void threads(void)
{
	int fd = PRIVATE();
	pthread_t senders[THREADS], workers[THREADS];
	void *ret;

	worked = 0;
	for (int i = 0; i < THREADS; i++) {
		IS(0, pthread_create(&workers[i], NULL, worker, &fd));
		IS(0, pthread_create(&senders[i], NULL, sender, &fd));
	}
	for (int i = 0; i < THREADS; i++) {
		IS(0, pthread_join(senders[i], &ret));
		TRUE(!ret);
	}
	IS(0, mpmcq_close_queue(fd, 0));
	for (int i = 0; i < THREADS; i++) {
		IS(0, pthread_join(workers[i], &ret));
		TRUE(!ret);
	}
	IS(THREADS * EACH, worked);
	close(fd);
}

const struct test process_tests[] = {
	{ "a child uses what it has inherited", forks },
	{ "an executed program inherits nothing", executed },
	{ "threads: senders with timeouts, and workers", threads },
	{ }
};
