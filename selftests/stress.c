// SPDX-License-Identifier: GPL-2.0-only
/*
 * Producer and consumer processes, 1, 2, 4 or 8 of each: every message arrives
 * once and whole, those of one producer reach a consumer in the order they were
 * written, and in the end nobody is left asleep.
 *
 * Each consumer looks at every message it gets and marks it in a table that all
 * processes share; when all are done the table tells what was lost or repeated.
 * The control_ tests feed the same two functions with faults.
 *
 * MPMCQ_STRESS_MESSAGES is how many messages each test sends (default 10000).
 */

#include <poll.h>
#include <sys/time.h>

#include "mpmcq_test.h"
#include "record.h"

#define PROCESSES	8		/* at most, of each kind */
#define STOP		UINT32_MAX	/* as producer: the consumer has to end */

/* What can be wrong; a bit each. */
enum fault {
	TORN		= 1,	/* not as it was written */
	REORDERED	= 2,	/* after a later one of the same producer */
	UNKNOWN		= 4,	/* never written */
	LOST		= 8,
	REPEATED	= 16,
};

/* What the consumers saw, all together. */
struct tally {
	__u32 producers;
	__u32 messages;	/* of each producer */
	__u8 seen[];		/* how often, by producer and number */
};

/* Numbers expected next at one consumer, or later ones, by producer. */
struct order {
	__u32 next[PROCESSES];
};

/* What is wrong with a message of @len bytes that a consumer got. */
static int check_message(struct tally *tally, struct order *order, const void *buf, int len)
{
	const struct record *rec = buf;
	int faults = 0;

	if (!is_whole(buf, len))
		return TORN;
	if (rec->producer >= tally->producers || rec->number >= tally->messages)
		return UNKNOWN;
	if (rec->number < order->next[rec->producer])
		faults |= REORDERED;
	order->next[rec->producer] = rec->number + 1;
	__atomic_add_fetch(&tally->seen[rec->producer * tally->messages + rec->number], 1,
			   __ATOMIC_RELAXED);
	return faults;
}

/* What is wrong with all of them, once the consumers have ended. */
static int check_all(const struct tally *tally)
{
	__u32 i;
	int faults = 0;

	for (i = 0; i < tally->producers * tally->messages; i++) {
		if (!tally->seen[i])
			faults |= LOST;
		else if (tally->seen[i] > 1)
			faults |= REPEATED;
	}
	return faults;
}

static struct tally *new_tally(__u32 producers, __u32 messages)
{
	struct tally *tally = mmap(NULL, sizeof(*tally) + producers * messages,
				   PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (tally == MAP_FAILED)
		return NULL;
	tally->producers = producers;
	tally->messages = messages;
	return tally;
}

/*
 * The controls: two producers' messages 0, 1, 2, handed to check_message()
 * by a bad queue.
 */
FIXTURE(control)
{
	struct tally *tally;
	struct order order;
	unsigned char buf[1024];
};

FIXTURE_SETUP(control)
{
	self->tally = new_tally(2, 3);
	ASSERT_NE(NULL, self->tally);
}

FIXTURE_TEARDOWN(control)
{
}

#define deliver(producer, number) \
	check_message(self->tally, &self->order, self->buf, \
		      make_message(self->buf, producer, number, sizeof(self->buf)))

#define deliver_all(producer) do { \
	EXPECT_EQ(0, deliver(producer, 0)); \
	EXPECT_EQ(0, deliver(producer, 1)); \
	EXPECT_EQ(0, deliver(producer, 2)); \
} while (0)

TEST_F(control, good)
{
	EXPECT_EQ(0, deliver(0, 0));
	EXPECT_EQ(0, deliver(1, 0));
	EXPECT_EQ(0, deliver(1, 1));
	EXPECT_EQ(0, deliver(0, 1));
	EXPECT_EQ(0, deliver(0, 2));
	EXPECT_EQ(0, deliver(1, 2));
	EXPECT_EQ(0, check_all(self->tally));
}

TEST_F(control, lost)
{
	EXPECT_EQ(0, deliver(0, 0));
	EXPECT_EQ(0, deliver(0, 2));
	deliver_all(1);
	EXPECT_EQ(LOST, check_all(self->tally));
}

TEST_F(control, last_lost)
{
	deliver_all(0);
	EXPECT_EQ(0, deliver(1, 0));
	EXPECT_EQ(0, deliver(1, 1));
	EXPECT_EQ(LOST, check_all(self->tally));
}

TEST_F(control, repeated_at_one_consumer)
{
	EXPECT_EQ(0, deliver(0, 0));
	EXPECT_EQ(0, deliver(0, 1));
	EXPECT_EQ(REORDERED, deliver(0, 1));
	EXPECT_EQ(0, deliver(0, 2));
	deliver_all(1);
	EXPECT_EQ(REPEATED, check_all(self->tally));
}

TEST_F(control, repeated_at_another_consumer)
{
	deliver_all(0);
	deliver_all(1);
	memset(&self->order, 0, sizeof(self->order));
	EXPECT_EQ(0, deliver(0, 1));
	EXPECT_EQ(REPEATED, check_all(self->tally));
}

TEST_F(control, reordered)
{
	EXPECT_EQ(0, deliver(0, 1));
	EXPECT_EQ(REORDERED, deliver(0, 0));
	EXPECT_EQ(0, deliver(0, 2));
	deliver_all(1);
	EXPECT_EQ(0, check_all(self->tally));
}

TEST_F(control, torn)
{
	int i, len = make_message(self->buf, 1, 2, sizeof(self->buf));

	for (i = 0; i < len; i++) {
		self->buf[i] ^= 0x10;
		EXPECT_EQ(TORN, check_message(self->tally, &self->order, self->buf, len))
			TH_LOG("byte %d", i);
		self->buf[i] ^= 0x10;
	}
	EXPECT_EQ(TORN, check_message(self->tally, &self->order, self->buf, len - 1));
	EXPECT_EQ(TORN, check_message(self->tally, &self->order, self->buf, len + 1));
	EXPECT_EQ(TORN, check_message(self->tally, &self->order, self->buf, 1));
	EXPECT_EQ(0, check_message(self->tally, &self->order, self->buf, len));
}

TEST_F(control, unknown)
{
	EXPECT_EQ(UNKNOWN, deliver(2, 0));
	EXPECT_EQ(UNKNOWN, deliver(0, 3));
	EXPECT_EQ(UNKNOWN, deliver(STOP - 1, 0));
}

/* How a process makes its calls. */
struct mode {
	int flags;		/* of open */
	bool interrupted;	/* by a timer's signals, without SA_RESTART */
	bool fresh;		/* consumers drop the pages of their buffers before each read */
};

static int open_in(const struct mode *mode, int access)
{
	const struct itimerval timer = { { 0, 1700 }, { 0, 1700 } };
	struct sigaction action = { .sa_handler = ignore_signal };

	if (mode->interrupted) {
		sigaction(SIGALRM, &action, NULL);
		setitimer(ITIMER_REAL, &timer, NULL);
	}
	return open(DEVICE, access | mode->flags);
}

/* Makes the call until it does something; its result. */
static ssize_t persist(ssize_t (*fn)(int, void *, size_t), int fd, void *buf, size_t len,
		       short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	ssize_t ret;

	while ((ret = fn(fd, buf, len)) == -EAGAIN || ret == -EINTR) {
		if (ret == -EAGAIN)
			poll(&pfd, 1, -1);
	}
	return ret;
}

/* As take(), without the junk: the message has a sum of its own. */
static ssize_t receive(int fd, void *buf, size_t len)
{
	return result(read(fd, buf, len));
}

/* The exit status: 0 for success. */
static int produce(const struct mode *mode, const struct tally *tally, int producer, int longest)
{
	static unsigned char buf[MSG_SIZE_MAX];
	int fd = open_in(mode, O_WRONLY);
	__u32 i;

	for (i = 0; i < tally->messages; i++) {
		int len = make_message(buf, producer, i, longest);

		if (persist(put, fd, buf, len, POLLOUT) != len)
			return 1;
	}
	return 0;
}

/* The exit status: the faults seen, or 128 if a call failed. */
static int consume(const struct mode *mode, struct tally *tally)
{
	static unsigned char buf[MSG_SIZE_MAX] __attribute__((aligned(65536)));
	const struct record *rec = (void *)buf;
	int len, fd = open_in(mode, O_RDONLY), faults = 0;
	struct order order = {};

	for (;;) {
		if (mode->fresh && madvise(buf, sizeof(buf), MADV_DONTNEED))
			return 128;
		len = persist(receive, fd, buf, sizeof(buf), POLLIN);
		if (len < 0)
			return 128;
		if (len == sizeof(*rec) && rec->producer == STOP)
			return faults;
		faults |= check_message(tally, &order, buf, len);
	}
}

/* One test: who takes part, and what came of it. */
struct run {
	int fd;
	int producers;
	int consumers;
	int longest;
	struct tally *tally;
	pid_t pid[2 * PROCESSES];	/* of the producers, then of the consumers */
};

/* The @n children have to end with status 0. */
static void all_well(struct __test_metadata *_metadata, const pid_t *pid, int n, const char *who)
{
	int i, status;

	for (i = 0; i < n; i++) {
		EXPECT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status) TH_LOG("%s %d ended with %#x", who, i, status);
	}
}

static void run_in(const struct mode *mode, struct __test_metadata *_metadata, struct run *run)
{
	struct record stop = { .producer = STOP };
	int i, n = run->producers + run->consumers;

	for (i = 0; i < n; i++) {
		run->pid[i] = fork();
		ASSERT_LE(0, run->pid[i]);
		if (!run->pid[i])
			_exit(i < run->producers ? produce(mode, run->tally, i, run->longest) :
						   consume(mode, run->tally));
	}
	all_well(_metadata, run->pid, run->producers, "producer");
	for (i = 0; i < run->consumers; i++)
		ASSERT_EQ(sizeof(stop), put(run->fd, &stop, sizeof(stop)));
	all_well(_metadata, run->pid + run->producers, run->consumers, "consumer");
	EXPECT_EQ(0, check_all(run->tally));
}

FIXTURE(stress)
{
	struct run run;
};

FIXTURE_VARIANT(stress)
{
	int producers;
	int consumers;
};

FIXTURE_VARIANT_ADD(stress, 1_to_1) { .producers = 1, .consumers = 1 };
FIXTURE_VARIANT_ADD(stress, 1_to_2) { .producers = 1, .consumers = 2 };
FIXTURE_VARIANT_ADD(stress, 1_to_4) { .producers = 1, .consumers = 4 };
FIXTURE_VARIANT_ADD(stress, 1_to_8) { .producers = 1, .consumers = 8 };
FIXTURE_VARIANT_ADD(stress, 2_to_1) { .producers = 2, .consumers = 1 };
FIXTURE_VARIANT_ADD(stress, 2_to_2) { .producers = 2, .consumers = 2 };
FIXTURE_VARIANT_ADD(stress, 2_to_4) { .producers = 2, .consumers = 4 };
FIXTURE_VARIANT_ADD(stress, 2_to_8) { .producers = 2, .consumers = 8 };
FIXTURE_VARIANT_ADD(stress, 4_to_1) { .producers = 4, .consumers = 1 };
FIXTURE_VARIANT_ADD(stress, 4_to_2) { .producers = 4, .consumers = 2 };
FIXTURE_VARIANT_ADD(stress, 4_to_4) { .producers = 4, .consumers = 4 };
FIXTURE_VARIANT_ADD(stress, 4_to_8) { .producers = 4, .consumers = 8 };
FIXTURE_VARIANT_ADD(stress, 8_to_1) { .producers = 8, .consumers = 1 };
FIXTURE_VARIANT_ADD(stress, 8_to_2) { .producers = 8, .consumers = 2 };
FIXTURE_VARIANT_ADD(stress, 8_to_4) { .producers = 8, .consumers = 4 };
FIXTURE_VARIANT_ADD(stress, 8_to_8) { .producers = 8, .consumers = 8 };

FIXTURE_SETUP(stress)
{
	int messages = number_from("MPMCQ_STRESS_MESSAGES", 10000);
	struct run *run = &self->run;
	struct mpmcq_info info;

	run->fd = open(DEVICE, O_RDWR);
	ASSERT_LE(0, run->fd);
	ASSERT_EQ(0, query(run->fd, &info));
	ASSERT_EQ(0, info.depth) TH_LOG("an earlier test, or somebody, left messages");
	run->longest = info.msg_size;
	run->producers = variant->producers;
	run->consumers = variant->consumers;
	run->tally = new_tally(run->producers, messages / run->producers);
	ASSERT_NE(NULL, run->tally);
	ASSERT_LT(0, run->tally->messages);
}

FIXTURE_TEARDOWN(stress)
{
	EXPECT_EQ(0, depth(self->run.fd));
	close(self->run.fd);
}

TEST_F_TIMEOUT(stress, blocking, 60)
{
	run_in(&(struct mode){ }, _metadata, &self->run);
}

TEST_F_TIMEOUT(stress, polling, 60)
{
	run_in(&(struct mode){ .flags = O_NONBLOCK }, _metadata, &self->run);
}

TEST_F_TIMEOUT(stress, interrupted, 60)
{
	run_in(&(struct mode){ .interrupted = true }, _metadata, &self->run);
}

/* Every read finds that the pages of its buffer are missing, which costs no order. */
TEST_F_TIMEOUT(stress, fresh_buffers, 60)
{
	run_in(&(struct mode){ .fresh = true }, _metadata, &self->run);
}

TEST_HARNESS_MAIN
