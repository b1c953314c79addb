// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library's own memory: with a little more of it each time, until a call works.  Apart, because
 * what watches memory needs some for itself.
 */
#define _GNU_SOURCE
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "test.h"

#define STEP	8192	/* bytes more each time */
#define SAVED	"/tmp/lib-saved"
#define LEASE	(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE)

/* Bytes of addresses that this process has in use. */
static rlim_t used(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	IS(1, fscanf(file, "%lu", &pages));
	fclose(file);
	return pages * sysconf(_SC_PAGESIZE);
}

/* Takes what the heap has kept of memory that was freed.  It is not given back. */
static void empty_heap(void)
{
	void *volatile taken;

	for (size_t size = STEP; size >= 16; size /= 2) {
		do {
			taken = malloc(size);
		} while (taken);
	}
}

/* Returns what the call returned first that is not -ENOMEM.  That has to come at least once. */
static int with_little(int (*call)(int fd), int fd, void (*check)(int fd))
{
	struct rlimit limit = { used(), RLIM_INFINITY };
	int ret = -ENOMEM, failures;

	IS(0, setrlimit(RLIMIT_AS, &limit));
	empty_heap();
	for (failures = -1; ret == -ENOMEM && failures < 1000; failures++) {
		IS(0, setrlimit(RLIMIT_AS, &limit));
		ret = call(fd);
		IS(0, setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }));
		if (ret < 0)
			check(fd);
		limit.rlim_cur += STEP;
	}
	TRUE(failures > 0);
	return ret;
}

static int stop;

static int work(int fd)
{
	return mpmcq_run_worker(fd, 64, stop, 0, handle_nothing, NULL);
}

/* The queue is as it was, and nobody holds one of its messages. */
static void is_whole(int fd)
{
	IS(0, info_of(fd).closed);
	IS(2, info_of(fd).depth);
}

static int save(int fd)
{
	return mpmcq_save_queue(fd, SAVED, 0, 0);
}

static void worker_and_save(void)
{
	/* A long message needs memory for it, many messages need it for their names. */
	const struct { unsigned int capacity, msg_size; } queues[] = {
		{ 2, 65536 }, { 131072, 8 },
	};

	stop = eventfd(1, EFD_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		int fd = PRIVATE(.capacity = queues[i].capacity, .msg_size = queues[i].msg_size);

		IS(1, put(fd, "a"));
		IS(1, put(fd, "b"));
		IS(0, with_little(work, fd, is_whole));
		IS(2, with_little(save, fd, is_whole));
		close(fd);
		IS(0, unlink(SAVED));
	}
}

static int restore(int fd)
{
	(void)fd;
	return mpmcq_restore_queue(SAVED, "lib-s", 0);
}

static void is_gone(int fd)
{
	struct stat st;

	(void)fd;
	IS(-1, stat("/dev/mpmcqfs/lib-s", &st));
}

static void restoring(void)
{
	int fd = PRIVATE(.msg_size = 65536), held = attach(fd, LEASE, 8), restored;
	char buf[MPMCQ_MSG_SPACE(1)];

	IS(1, put(fd, "a"));
	TRUE(mpmcq_receive(held, buf, sizeof(buf)) > 0);
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK, 0, 0));
	IS(1, save(fd));
	restored = with_little(restore, fd, is_gone);
	TRUE(got(restored, "a"));
	IS(0, mpmcq_remove_queue("lib-s"));
	IS(0, unlink(SAVED));
}

static void workers_and_saves(void)
{
	in_child(worker_and_save);
}

static void restores(void)
{
	in_child(restoring);
}

const struct test memory_tests[] = {
	{ "workers and saves with little memory", workers_and_saves },
	{ "restores with little memory leave no queue", restores },
	{ }
};
