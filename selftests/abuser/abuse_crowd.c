// SPDX-License-Identifier: GPL-2.0-only
/*
 * Thousands of tasks asleep in write at a full queue, or in read at an empty one,
 * with pollers among them.  The queue is drained, or filled, a little at a time,
 * while processes are killed and threads interrupted, many of them just when it is
 * their turn to be woken.  After each step the queue has to be full, or empty,
 * again: else somebody sleeps although there is something to do.
 */

#include <poll.h>

#include "abuse.h"

#define WAITERS	2000		/* at 100 percent */
#define GROUP	50		/* threads in a process */
#define GROUPS	((WAITERS + GROUP - 1) / GROUP)
#define LEN	((int)sizeof(struct record))
#define STEP	8		/* messages at most */

/* Producers of the messages. */
enum { TEST_ITSELF, CROWD };

enum state {
	WAITING,
	DONE,
	INTERRUPTED,
	BROKEN,		/* its call returned what it must not */
};

/* Number I of the crowd writes message I, or makes delivery I + 1. */
struct waiter {
	enum state state;
	pid_t tid;
	bool polls;
	union {
		struct record record;
		unsigned char bytes[LEN + MARGIN];
	} buf;
};

struct crowd {
	int fd;
	int nb;
	int capacity;
	__u64 random;
	bool writing;
	int waiters;
	int groups;
	int first;			/* before it nobody waits any more */
	struct waiter *waiter;
	struct ledger *ledger;
	pid_t pid[GROUPS];		/* 0: dead */
	__u32 deliveries;		/* to the test itself */
	int killed;
	int interrupted;
};

/* The crowd that this process belongs to. */
static struct crowd *my_crowd;

static int call(struct crowd *crowd, struct waiter *me)
{
	struct pollfd pfd = { .fd = crowd->nb, .events = crowd->writing ? POLLOUT : POLLIN };
	int fd = me->polls ? crowd->nb : crowd->fd;
	int ret;

	for (;;) {
		if (me->polls && ppoll(&pfd, 1, NULL, NULL) < 0)
			return -errno;
		ret = result(crowd->writing ? write(fd, &me->buf, LEN) :
					      read(fd, &me->buf, sizeof(me->buf)));
		if (ret != -EAGAIN)
			return ret;
	}
}

static void *wait_in_crowd(void *arg)
{
	struct crowd *crowd = my_crowd;
	struct waiter *me = arg;
	int number = me - crowd->waiter, ret;
	struct entry *entry = entry_of(crowd->ledger, CROWD, number);

	if (crowd->writing) {
		make_message(&me->buf, CROWD, number, LEN);
		set(&entry->sent, TRYING);
	}
	set(&me->tid, gettid());
	ret = call(crowd, me);
	if (ret != LEN && ret != -EINTR)
		say("waiter %d: %d", number, ret);
	if (crowd->writing)
		set(&entry->sent, ret == LEN ? SENT : UNSENT);
	set(&me->state, ret == LEN ? DONE : ret == -EINTR ? INTERRUPTED : BROKEN);
	return NULL;
}

static int size_of(const struct crowd *crowd, int group)
{
	int rest = crowd->waiters - group * GROUP;

	return rest < GROUP ? rest : GROUP;
}

/* A process whose threads all wait. */
static void run_group(struct crowd *crowd, int group)
{
	pthread_t thread[GROUP];
	pthread_attr_t attr;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	my_crowd = crowd;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 * 1024);
	for (i = 0; i < size_of(crowd, group); i++)
		if (pthread_create(&thread[i], &attr, wait_in_crowd,
				   &crowd->waiter[group * GROUP + i]))
			_exit(1);
	for (i = 0; i < size_of(crowd, group); i++)
		pthread_join(thread[i], NULL);
	_exit(0);
}

/* Group by group, so that the first are at the head of the wait queue. */
static bool gather(struct crowd *crowd)
{
	int group, i;

	for (i = 0; i < crowd->waiters; i++)
		crowd->waiter[i].polls = one_in(&crowd->random, 16);
	for (group = 0; group < crowd->groups; group++) {
		crowd->pid[group] = fork();
		if (crowd->pid[group] < 0)
			return false;
		if (!crowd->pid[group])
			run_group(crowd, group);
		for (i = group * GROUP; i < group * GROUP + size_of(crowd, group); i++) {
			struct waiter *waiter = &crowd->waiter[i];

			while (!get(&waiter->tid)) {
				if (waitpid(crowd->pid[group], NULL, WNOHANG))
					return false;
				usleep(100);
			}
			wait_asleep(waiter->tid, waiter->polls ? SYS_ppoll :
						 crowd->writing ? SYS_write : SYS_read);
		}
	}
	return true;
}

static bool waits(const struct crowd *crowd, int i)
{
	return crowd->pid[i / GROUP] && get(&crowd->waiter[i].state) == WAITING;
}

static int count_waiting(struct crowd *crowd)
{
	int i, n = 0;

	while (crowd->first < crowd->waiters && !waits(crowd, crowd->first))
		crowd->first++;
	for (i = crowd->first; i < crowd->waiters; i++)
		n += waits(crowd, i);
	return n;
}

static int goal(const struct crowd *crowd)
{
	return crowd->writing ? crowd->capacity : 0;
}

/* False if somebody sleeps though there is something for him. */
static bool settle(struct crowd *crowd)
{
	struct watchdog dog = {};
	int waiting, held, group;

	for (;;) {
		held = depth(crowd->fd);
		if (held == goal(crowd))
			return true;
		waiting = count_waiting(crowd);
		if (!waiting)
			return true;
		if (hangs(&dog, ((__u64)waiting << 32) + held))
			break;
		sched_yield();
	}
	say("the queue holds %d messages, %d tasks wait to %s, the first:", held, waiting,
	    crowd->writing ? "write" : "read");
	group = crowd->first / GROUP;
	tell_waits(crowd->pid[group], "a group");
	return false;
}

/* What write returned; -EAGAIN may be right while a reader empties the last slot. */
static int put_one(struct crowd *crowd)
{
	__u32 *next = &crowd->ledger->next[TEST_ITSELF];
	struct record record;
	int ret, len = make_message(&record, TEST_ITSELF, *next, LEN);

	ret = put(crowd->nb, &record, len);
	if (ret == len)
		entry_of(crowd->ledger, TEST_ITSELF, (*next)++)->sent = SENT;
	return ret;
}

/* False if there was none, or not a good one. */
static bool take_one(struct crowd *crowd)
{
	unsigned char buf[LEN + MARGIN];
	int len = take(crowd->nb, buf, sizeof(buf));

	return len > 0 && !check_message(crowd->ledger, NULL,
					 crowd->waiters + ++crowd->deliveries, buf, len);
}

/* The next to be woken, or any. */
static int victim(struct crowd *crowd)
{
	if (one_in(&crowd->random, 4) || crowd->first == crowd->waiters)
		return below(&crowd->random, crowd->waiters);
	return crowd->first;
}

/* Ends a process, unless all its threads have had their turn and it has ended itself. */
static bool disperse(struct crowd *crowd, int group, int sig)
{
	int status;

	if (!crowd->pid[group])
		return true;
	kill(crowd->pid[group], sig);
	status = wait_for_end(crowd->pid[group], "a group");
	crowd->pid[group] = 0;
	if (status < 0)
		return false;
	if (!WIFSIGNALED(status))
		return !WEXITSTATUS(status);
	crowd->killed++;
	return WTERMSIG(status) == sig;
}

/* Now and then a process is killed with all its threads; more often one gets a signal. */
static bool disturb(struct crowd *crowd)
{
	int i = victim(crowd);

	if (one_in(&crowd->random, GROUP))
		return disperse(crowd, i / GROUP, SIGKILL);
	if (one_in(&crowd->random, 2) && waits(crowd, i)) {
		crowd->interrupted++;
		tgkill(crowd->pid[i / GROUP], crowd->waiter[i].tid, SIGUSR1);
		dawdle(&crowd->random);
	}
	return true;
}

/* A few messages taken, or sent, with a disturbance at some point. */
static bool step(struct crowd *crowd)
{
	int n = one_in(&crowd->random, 4) ? below(&crowd->random, STEP) : 0;
	int when = below(&crowd->random, n + 1), ret;

	for (; n >= 0; n--) {
		if (n == when && !disturb(crowd))
			return false;
		if (crowd->writing) {
			if (depth(crowd->fd) && !take_one(crowd))
				return false;
		} else {
			ret = put_one(crowd);
			if (ret != LEN && ret != -EAGAIN)
				return false;
		}
	}
	return true;
}

/* What a waiter that does not write has in its buffer. */
static int faults_of(struct crowd *crowd, int i)
{
	struct waiter *waiter = &crowd->waiter[i];
	static const struct waiter untouched;

	if (!memcmp(&waiter->buf, &untouched.buf, sizeof(waiter->buf)))
		return waiter->state == DONE ? LOST : 0;
	if (waiter->state == INTERRUPTED)
		return REPEATED;
	return check_message(crowd->ledger, NULL, i + 1, &waiter->buf, LEN);
}

/* All is accounted for; the survivors have ended. */
static void check_crowd(struct __test_metadata *_metadata, struct crowd *crowd)
{
	int i, faults, count[BROKEN + 1] = {};

	for (i = 0; i < crowd->groups; i++)
		EXPECT_TRUE(disperse(crowd, i, 0)) TH_LOG("group %d", i);
	for (i = 0; i < crowd->waiters; i++) {
		count[crowd->waiter[i].state]++;
		faults = crowd->writing ? 0 : faults_of(crowd, i);
		EXPECT_EQ(0, faults) TH_LOG("waiter %d", i);
	}
	say("%d waited: %d had their turn, %d were interrupted, %d killed with %d processes",
	    crowd->waiters, count[DONE], count[INTERRUPTED], count[WAITING], crowd->killed);
	EXPECT_EQ(0, count[BROKEN]);
	for (i = depth(crowd->fd); i; i--)
		EXPECT_TRUE(take_one(crowd));
	EXPECT_EQ(0, check_all(crowd->ledger));
	check_slots(_metadata, crowd->nb, crowd->capacity);
}

static void run(struct __test_metadata *_metadata, struct crowd *crowd)
{
	bool good = true;

	while (crowd->writing && put_one(crowd) == LEN)
		;
	ASSERT_EQ(goal(crowd), depth(crowd->fd));
	ASSERT_TRUE(gather(crowd));
	while (good && count_waiting(crowd))
		good = step(crowd) && settle(crowd);
	ASSERT_TRUE(good);
	check_crowd(_metadata, crowd);
}

FIXTURE(crowd)
{
	struct crowd crowd;
};

FIXTURE_SETUP(crowd)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct crowd *crowd = &self->crowd;
	struct mpmcq_info info;

	crowd->fd = open(DEVICE, O_RDWR);
	crowd->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, crowd->fd);
	ASSERT_LE(0, crowd->nb);
	ASSERT_EQ(0, query(crowd->fd, &info));
	ASSERT_EQ(0, info.depth) TH_LOG("an earlier test, or somebody, left messages");
	crowd->capacity = info.capacity;
	crowd->random = seed();
	crowd->waiters = percent_of(WAITERS);
	if (crowd->waiters > WAITERS)
		crowd->waiters = WAITERS;
	crowd->groups = (crowd->waiters + GROUP - 1) / GROUP;
	crowd->waiter = shared_memory(WAITERS * sizeof(*crowd->waiter));
	crowd->ledger = ledger_new(2, WAITERS + crowd->capacity + STEP);
	ASSERT_NE(NULL, crowd->waiter);
	ASSERT_NE(NULL, crowd->ledger);
	crowd->ledger->next[CROWD] = crowd->waiters;
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_TEARDOWN(crowd)
{
	struct crowd *crowd = &self->crowd;
	int i;

	for (i = 0; i < crowd->groups; i++)
		disperse(crowd, i, SIGKILL);
	EXPECT_EQ(0, take_all(crowd->nb));
}

TEST_F_TIMEOUT(crowd, writers, 800)
{
	self->crowd.writing = true;
	run(_metadata, &self->crowd);
}

TEST_F_TIMEOUT(crowd, readers, 800)
{
	run(_metadata, &self->crowd);
}

/* A control: tasks that do not wake are found. */
TEST_F(crowd, sleepers_are_found)
{
	struct crowd *crowd = &self->crowd;

	patience = 1;
	crowd->waiters = GROUP;
	crowd->groups = 1;
	crowd->ledger->next[CROWD] = GROUP;
	ASSERT_TRUE(gather(crowd));
	EXPECT_TRUE(settle(crowd));
	kill(crowd->pid[0], SIGSTOP);
	ASSERT_EQ(crowd->pid[0], waitpid(crowd->pid[0], NULL, WUNTRACED));
	EXPECT_EQ(LEN, put_one(crowd));
	EXPECT_FALSE(settle(crowd));
	kill(crowd->pid[0], SIGCONT);
	EXPECT_TRUE(settle(crowd));
	EXPECT_TRUE(disperse(crowd, 0, SIGKILL));
	EXPECT_EQ(1, crowd->killed);
	check_crowd(_metadata, crowd);
}

TEST_HARNESS_MAIN
