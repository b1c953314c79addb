/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share that ill-treat the queue and those who use it: random
 * numbers that come again with the same seed, a ledger of every message, and a
 * watchdog that tells who waits for what.
 *
 * MPMCQ_ABUSE_SEED is the seed (default: another one each time; it is printed).
 * The choices of a test come again with it, not the moments at which they meet.
 * MPMCQ_ABUSE_PERCENT is how much of everything there is (default 100),
 * MPMCQ_ABUSE_PATIENCE how many seconds without progress are a hang (default 100).
 */
#ifndef MPMCQ_ABUSE_H
#define MPMCQ_ABUSE_H

#include <dirent.h>
#include <poll.h>
#include <sys/prctl.h>
#include <time.h>

#include "mpmcq_test.h"
#include "record.h"

#define say(fmt, ...)	fprintf(stderr, "# " fmt "\n", ##__VA_ARGS__)

static inline int percent_of(int amount)
{
	int n = amount * number_from("MPMCQ_ABUSE_PERCENT", 100) / 100;

	return n > 1 ? n : 1;
}

static inline __u64 seed(void)
{
	__u64 value = number_from("MPMCQ_ABUSE_SEED", now_ns(CLOCK_REALTIME));

	say("MPMCQ_ABUSE_SEED=%#llx", (unsigned long long)value);
	return value;
}

/* The next random number (splitmix64), from 0 to @n - 1. */
static inline __u32 below(__u64 *state, __u32 n)
{
	__u64 z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z >> 32) * n >> 32;
}

static inline bool one_in(__u64 *state, __u32 n)
{
	return !below(state, n);
}

/* From no time at all to some that is long for the queue. */
static inline void dawdle(__u64 *state)
{
	int spins = below(state, 1 << below(state, 16));

	if (one_in(state, 8))
		usleep(below(state, 1000));
	while (spins--)
		__asm__ volatile("");
}

/* Memory that stays the same for all the processes to come. */
static inline void *shared_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

#define get(p)		__atomic_load_n(p, __ATOMIC_SEQ_CST)
#define set(p, value)	__atomic_store_n(p, value, __ATOMIC_SEQ_CST)

#define count(p)	__atomic_add_fetch(p, 1, __ATOMIC_RELAXED)

/* Ends a process that got what is not right whatever others do. */
static inline void expect(bool good, const char *what, int ret)
{
	if (good)
		return;
	say("%s: %d", what, ret);
	_exit(1);
}

/* Calls on a queue of messages of MSG_SIZE_MIN bytes, by a file that does not wait. */
static inline void write_one(int fd)
{
	unsigned char buf[MSG_SIZE_MIN] = {};
	int ret = put(fd, buf, sizeof(buf));

	expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "write", ret);
}

static inline void read_one(int fd)
{
	unsigned char buf[MSG_SIZE_MIN + MARGIN];
	int ret = take(fd, buf, sizeof(buf));

	expect(ret == MSG_SIZE_MIN || ret == -EAGAIN, "read", ret);
}

static inline void poll_once(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLOUT };
	int ret = result(poll(&pfd, 1, timeout_ms));

	expect(ret == !!pfd.revents && !(pfd.revents & ~pfd.events), "poll", ret);
}

/* What can be wrong with messages; a bit each. */
enum fault {
	TORN		= 1,	/* not as it was written */
	REORDERED	= 2,	/* after a later one of the same producer */
	UNKNOWN		= 4,	/* never written, or its write has failed */
	LOST		= 8,
	REPEATED	= 16,
};

/* What its producer knows of a message. */
enum sent {
	UNSENT,		/* has not begun to write it, or was refused */
	TRYING,		/* has begun; whoever was killed then may have sent it */
	SENT,		/* the write has returned */
};

#define PRODUCERS_MAX	4

/* Every message there is, in memory that outlives whoever is killed. */
struct ledger {
	__u32 producers;
	__u32 numbers;			/* each producer's messages at most */
	__u32 next[PRODUCERS_MAX];	/* by producer: number to be written next */
	struct entry {
		__u32 sent;
		__u32 taken;		/* by which delivery; 0 for none */
	} entry[];
};

static inline size_t ledger_size(__u32 producers, __u32 numbers)
{
	return sizeof(struct ledger) + (size_t)producers * numbers * sizeof(struct entry);
}

static inline struct ledger *ledger_new(__u32 producers, __u32 numbers)
{
	struct ledger *ledger = shared_memory(ledger_size(producers, numbers));

	if (ledger) {
		ledger->producers = producers;
		ledger->numbers = numbers;
	}
	return ledger;
}

static inline void ledger_free(struct ledger *ledger)
{
	munmap(ledger, ledger_size(ledger->producers, ledger->numbers));
}

static inline struct entry *entry_of(struct ledger *ledger, __u32 producer, __u32 number)
{
	return &ledger->entry[(size_t)producer * ledger->numbers + number];
}

/*
 * What is wrong with a message of @len bytes that was delivered.  @delivery is a
 * number of its own, not 0, for each message that anybody reads; the same one
 * may be reported again.  @next, if any, has the numbers expected next by this
 * reader, or later ones, by producer.
 */
static inline int check_message(struct ledger *ledger, __u32 *next, __u32 delivery,
				const void *buf, int len)
{
	const struct record *rec = buf;
	__u32 taken = 0;
	int faults = 0;

	if (!is_whole(buf, len))
		return TORN;
	if (rec->producer >= ledger->producers || rec->number >= ledger->numbers)
		return UNKNOWN;
	if (!__atomic_compare_exchange_n(&entry_of(ledger, rec->producer, rec->number)->taken,
					 &taken, delivery, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST)) {
		if (taken == delivery)
			return 0;
		faults |= REPEATED;
	}
	if (next) {
		if (rec->number < next[rec->producer])
			faults |= REORDERED;
		next[rec->producer] = rec->number + 1;
	}
	return faults;
}

/* What is wrong with all of them, once the queue is empty. */
static inline int check_all(struct ledger *ledger)
{
	__u32 producer, number;
	int faults = 0;

	for (producer = 0; producer < ledger->producers; producer++) {
		/* With the one that it was trying to write. */
		__u32 end = ledger->next[producer] + 1;

		for (number = 0; number < end && number < ledger->numbers; number++) {
			struct entry *entry = entry_of(ledger, producer, number);
			int fault = 0;

			if (entry->sent == SENT && !entry->taken)
				fault = LOST;
			if (entry->sent == UNSENT && entry->taken)
				fault = UNKNOWN;
			if (fault)
				say("message %u of producer %u: %s", number, producer,
				    fault == LOST ? "lost" : "delivered, though never sent");
			faults |= fault;
		}
	}
	return faults;
}

#define THREADS_TOLD	4

/* Tells what a thread waits for; root sees the stack. */
static inline void tell_thread(pid_t pid, const char *tid)
{
	static const char * const files[] = { "comm", "syscall", "wchan", "stack" };
	char path[300], text[4096], *line, *rest;
	unsigned int i;
	FILE *file;

	for (i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", pid, tid, files[i]);
		file = fopen(path, "r");
		if (!file)
			continue;
		text[fread(text, 1, sizeof(text) - 1, file)] = 0;
		fclose(file);
		for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			say("  %s %s: %s", tid, files[i], line);
	}
}

static inline void tell_waits(pid_t pid, const char *who)
{
	struct dirent *thread;
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	say("%s, process %d%s", who, pid, dir ? ":" : ", is gone");
	while (dir && n < THREADS_TOLD && (thread = readdir(dir))) {
		if (thread->d_name[0] != '.') {
			tell_thread(pid, thread->d_name);
			n++;
		}
	}
	if (dir)
		closedir(dir);
}

static int patience;

struct watchdog {
	__u64 progress;
	long long since;
};

/* @progress is a number that changes as long as all is well. */
static inline bool hangs(struct watchdog *dog, __u64 progress)
{
	if (!patience)
		patience = number_from("MPMCQ_ABUSE_PATIENCE", 100);
	if (!dog->since || progress != dog->progress) {
		dog->progress = progress;
		dog->since = now_ns(CLOCK_MONOTONIC);
	}
	return now_ns(CLOCK_MONOTONIC) - dog->since > patience * 1000000000LL;
}

/* The status of a child that has to end, or -ETIMEDOUT. */
static inline int wait_for_end(pid_t pid, const char *who)
{
	struct watchdog dog = {};
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		if (hangs(&dog, 0)) {
			tell_waits(pid, who);
			return -ETIMEDOUT;
		}
		usleep(100);
	}
	return status;
}

/* Every slot is there: the queue takes capacity messages and gives them back. */
static inline void check_slots(struct __test_metadata *_metadata, int nonblocking, int capacity)
{
	int i, n;

	EXPECT_EQ(0, depth(nonblocking));
	n = put_all(nonblocking, MSG_SIZE_MIN, 1);
	EXPECT_EQ(capacity, n);
	EXPECT_EQ(-EAGAIN, put_msg(nonblocking, 1, 0));
	EXPECT_EQ(n, depth(nonblocking));
	for (i = 0; i < n; i++)
		ASSERT_EQ(MSG_SIZE_MIN, take_msg(nonblocking, MSG_SIZE_MIN, 1 + i));
	EXPECT_EQ(-EAGAIN, take_msg(nonblocking, 1, 0));
	EXPECT_EQ(0, depth(nonblocking));
}

#endif /* MPMCQ_ABUSE_H */
