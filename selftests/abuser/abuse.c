// SPDX-License-Identifier: GPL-2.0-only
/*
 * Traffic under ill treatment: processes killed in the middle of what they do,
 * processors taken away, memory short.  No message is lost, repeated, torn or
 * out of order, no slot is missing, and nobody sleeps who has something to do.
 *
 * A crew of producers and consumers works in rounds.  In a round one side may
 * make a number of calls and the other as many as it likes, so that in the end
 * the queue has to be full, or empty, with all of the first side idle: if it is
 * not, somebody is asleep who should not be.  What happens to the crew meanwhile
 * is the test; the dead are replaced after the round, since newcomers would do
 * the work of those that were not woken.
 *
 * The account is exact although processes are killed anywhere.  A producer
 * notes before a write that it tries and afterwards that it has sent; if it was
 * killed in between, the message may arrive or not.  A consumer reads into
 * memory that outlives it, and the message of one that was killed before it
 * could note it is found there: what is not found was not consumed.
 *
 * The same buffers are mapped a second time for the calls, at a place where pages
 * are missing at first, or are taken away again and again.
 */

#include <linux/futex.h>
#include <poll.h>
#include <limits.h>
#include <sys/stat.h>

#include "abuse.h"

#define PRODUCERS	PRODUCERS_MAX
#define CONSUMERS	4
#define WORKERS		(PRODUCERS + CONSUMERS)
#define NUMBERS		0x100000	/* of each producer, in one episode */
#define BUDGET_MAX	4096		/* calls in a round */
#define PLENTY		0x40000000
#define PAGE		4096
#define BUFFER		(MSG_SIZE_MAX + 2 * PAGE)

enum side { PRODUCING, CONSUMING };

/* What becomes of the pages of the buffer, as the calls see it. */
enum pages {
	PRESENT,
	MISSING,	/* some dropped before each call; they come back when touched */
	UNMAPPED,	/* taken away and put back by another thread */
	ABSENT,		/* no call ever succeeds */
};

/* A process that works: what it shares with those before and after it. */
struct worker {
	bool idle;		/* waits for leave to make a call */
	__u32 calls;		/* completed */
	__u32 refused;		/* with EFAULT */
	__u32 deliveries;	/* a consumer's, begun */
	__u32 next[PRODUCERS];	/* a consumer's, see check_message() */
	__u32 offset;		/* of the message in the buffer */
};

struct shared {
	__u32 leave[2];		/* how many calls either side may still make */
	__u32 faults;
	struct worker worker[WORKERS + 1];	/* the last is the test itself */
};

struct crew {
	int fd;			/* inherited by all workers */
	int nb;
	int capacity;
	int msg_size;
	__u64 random;
	bool ordered;		/* no consumer's pages are ever missing */
	bool full;		/* the rounds end with a full queue */
	int memory;		/* the file with the buffers */
	unsigned char *buffers;	/* mapped for good */
	struct ledger *ledger;
	struct shared *shared;
	pid_t pid[WORKERS];	/* 0: dead */
	int killed;
	int inherited;		/* messages found in the buffers of the dead */
	int drained;
	__u64 written;
	bool own_swap;
};

static enum side side_of(int i)
{
	return i < PRODUCERS ? PRODUCING : CONSUMING;
}

/* Those who cannot do anything leave the work to the others. */
static bool can_be_absent(int i)
{
	return i % 2;
}

static unsigned char *message_of(struct crew *crew, int i)
{
	return crew->buffers + i * BUFFER + crew->shared->worker[i].offset;
}

/* Leave to make calls. */
static void give(__u32 *leave, __u32 calls)
{
	__atomic_add_fetch(leave, calls, __ATOMIC_SEQ_CST);
	syscall(SYS_futex, leave, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void wait_for_leave(struct worker *me, __u32 *leave)
{
	__u32 calls;

	for (;;) {
		set(&me->idle, false);
		calls = get(leave);
		while (calls)
			if (__atomic_compare_exchange_n(leave, &calls, calls - 1, false,
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				return;
		set(&me->idle, true);
		syscall(SYS_futex, leave, FUTEX_WAIT, 0, NULL, NULL, 0);
	}
}

/* How a process makes its calls. */
struct manner {
	int fd;
	unsigned char *buffer;	/* as the calls see it */
	unsigned char *at;	/* the message in it */
	enum pages pages;
	__u64 random;
	int memory;
	off_t place;		/* of the buffer in it */
};

/* Takes the buffer away and puts it back, for ever. */
static void *unmap_and_map(void *arg)
{
	struct manner *how = arg;
	__u64 random = ~how->random;

	for (;;) {
		size_t kept = PAGE * below(&random, 2);

		mmap(how->buffer + kept, BUFFER - kept, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
		dawdle(&random);
		mmap(how->buffer, BUFFER, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_FIXED, how->memory, how->place);
		usleep(below(&random, 1000));
	}
	return NULL;
}

/* A file of its own, or the one that all have, as it is or by another number. */
static int some_file(struct crew *crew, struct manner *how, int access)
{
	int flags = one_in(&how->random, 4) ? O_NONBLOCK : 0;

	if (flags || one_in(&how->random, 2))
		return open(DEVICE, access | flags);
	return one_in(&how->random, 2) ? dup(crew->fd) : crew->fd;
}

static void begin(struct crew *crew, int i, struct manner *how)
{
	pthread_t thread;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	how->random = crew->random + i;
	how->fd = some_file(crew, how, side_of(i) == PRODUCING ? O_WRONLY : O_RDONLY);
	how->memory = crew->memory;
	how->place = i * BUFFER;
	how->pages = below(&how->random, can_be_absent(i) ? ABSENT + 1 : ABSENT);
	if (crew->ordered && side_of(i) == CONSUMING)
		how->pages = PRESENT;
	how->buffer = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE, MAP_SHARED,
			   how->memory, how->place);
	how->at = how->buffer + crew->shared->worker[i].offset;
	if (how->fd < 0 || how->buffer == MAP_FAILED)
		_exit(2);
	if (how->pages == PRESENT)
		memset(how->buffer, JUNK, BUFFER);
	if (how->pages == ABSENT)
		mprotect(how->buffer, BUFFER, PROT_NONE);
	if (how->pages == UNMAPPED && pthread_create(&thread, NULL, unmap_and_map, how))
		_exit(3);
}

/* Of the first two pages, where the message begins, one may stay. */
static void drop_pages(struct manner *how)
{
	unsigned char *from = how->buffer + PAGE * below(&how->random, 2);
	size_t len = one_in(&how->random, 2) ? BUFFER - PAGE : PAGE;

	madvise(from, len, MADV_PAGEOUT);
	madvise(from, len, MADV_DONTNEED);
}

/*
 * Makes the call until it does something; its result, or -EFAULT where that may
 * be.  Another error ends the process.
 */
static int persist(struct manner *how, short events, size_t len)
{
	struct pollfd pfd = { .fd = how->fd, .events = events };
	ssize_t ret;

	for (;;) {
		if (how->pages == MISSING)
			drop_pages(how);
		ret = result(events == POLLOUT ? write(how->fd, how->at, len) :
						 read(how->fd, how->at, len));
		if (ret > 0 || (ret == -EFAULT && how->pages >= UNMAPPED))
			return ret;
		if (ret == -EAGAIN) {
			poll(&pfd, 1, -1);
		} else if (ret != -EINTR) {
			say("a %s returned %zd", events == POLLOUT ? "write" : "read", ret);
			_exit(4);
		}
	}
}

/* The call has failed, and another may make it. */
static void refuse(struct crew *crew, int i)
{
	crew->shared->worker[i].refused++;
	give(&crew->shared->leave[side_of(i)], 1);
}

static void produce(struct crew *crew, int i)
{
	struct worker *me = &crew->shared->worker[i];
	__u32 *next = &crew->ledger->next[i];
	struct manner how;
	int len, ret;

	begin(crew, i, &how);
	/* Who was here before may have sent it. */
	if (entry_of(crew->ledger, i, *next)->sent != UNSENT)
		++*next;
	while (*next < NUMBERS) {
		struct entry *entry = entry_of(crew->ledger, i, *next);

		wait_for_leave(me, &crew->shared->leave[PRODUCING]);
		len = make_message(message_of(crew, i), i, *next, crew->msg_size);
		set(&entry->sent, TRYING);
		ret = persist(&how, POLLOUT, len);
		if (ret == -EFAULT) {
			set(&entry->sent, UNSENT);
			refuse(crew, i);
			continue;
		}
		if (ret != len)
			_exit(5);
		set(&entry->sent, SENT);
		++*next;
		me->calls++;
	}
	_exit(6);
}

/* Notes what consumer @i has read, or had when it was killed. */
static void note(struct crew *crew, int i, int len)
{
	struct worker *worker = &crew->shared->worker[i];
	const struct record *rec = (void *)message_of(crew, i);
	int faults = check_message(crew->ledger, crew->ordered ? worker->next : NULL,
				   worker->deliveries * (WORKERS + 1) + i, rec, len);

	if (!faults)
		return;
	say("consumer %d: message %u of producer %u, %d bytes: fault %#x",
	    i, rec->number, rec->producer, len, faults);
	__atomic_or_fetch(&crew->shared->faults, faults, __ATOMIC_SEQ_CST);
}

/*
 * Before the next is read the last must be gone, or it could be found again; all
 * of it, for a copy that ends where a page is missing could be made whole by what
 * was there before.  A record does not end in junk.
 */
static void prepare(struct crew *crew, int i)
{
	struct record *rec = (void *)message_of(crew, i);

	set(&rec->len, 0);
	memset(rec, JUNK, crew->msg_size);
	__atomic_add_fetch(&crew->shared->worker[i].deliveries, 1, __ATOMIC_SEQ_CST);
}

static void consume(struct crew *crew, int i)
{
	struct worker *me = &crew->shared->worker[i];
	struct manner how;
	int ret;

	begin(crew, i, &how);
	for (;;) {
		wait_for_leave(me, &crew->shared->leave[CONSUMING]);
		prepare(crew, i);
		ret = persist(&how, POLLIN, crew->msg_size + MARGIN);
		if (ret == -EFAULT) {
			refuse(crew, i);
			continue;
		}
		note(crew, i, ret);
		me->calls++;
	}
}

/* A worker in the place of a dead one. */
static bool hire(struct crew *crew, int i)
{
	struct worker *worker = &crew->shared->worker[i];

	worker->idle = false;
	memset(worker->next, 0, sizeof(worker->next));
	/* Some messages lie across the end of a page. */
	worker->offset = PAGE - 4 * below(&crew->random, 64);
	memset(message_of(crew, i), 0, sizeof(struct record));
	crew->pid[i] = fork();
	if (!crew->pid[i]) {
		if (side_of(i) == PRODUCING)
			produce(crew, i);
		else
			consume(crew, i);
	}
	return crew->pid[i] > 0;
}

static bool hire_all(struct crew *crew)
{
	int i;

	for (i = 0; i < WORKERS; i++)
		if (!crew->pid[i] && !hire(crew, i))
			return false;
	return true;
}

/* After the death of a worker: what it had read is in its buffer. */
static bool bury(struct crew *crew, int i)
{
	const struct record *rec = (void *)message_of(crew, i);
	int status = wait_for_end(crew->pid[i], "a killed worker");

	crew->pid[i] = 0;
	crew->killed++;
	if (status < 0 || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
		say("worker %d ended with %#x", i, status);
		return false;
	}
	if (side_of(i) == CONSUMING && rec->len <= (__u32)crew->msg_size &&
	    is_whole(rec, rec->len)) {
		note(crew, i, rec->len);
		crew->inherited++;
	}
	return true;
}

static bool bury_all(struct crew *crew)
{
	bool good = true;
	int i;

	for (i = 0; i < WORKERS; i++)
		if (crew->pid[i])
			kill(crew->pid[i], SIGKILL);
	for (i = 0; i < WORKERS; i++)
		if (crew->pid[i])
			good &= bury(crew, i);
	return good;
}

static __u64 calls(const struct crew *crew)
{
	__u64 n = 0;
	int i;

	for (i = 0; i < WORKERS; i++)
		n += get(&crew->shared->worker[i].calls);
	return n;
}

static enum side limited(const struct crew *crew)
{
	return crew->full ? CONSUMING : PRODUCING;
}

/* The limited side has used its leave, and the queue is as the other side wants it. */
static bool settled(const struct crew *crew)
{
	int i;

	if (get(&crew->shared->leave[limited(crew)]))
		return false;
	for (i = 0; i < WORKERS; i++)
		if (crew->pid[i] && side_of(i) == limited(crew) &&
		    !get(&crew->shared->worker[i].idle))
			return false;
	return depth(crew->fd) == (crew->full ? crew->capacity : 0);
}

static void tell_crew(const struct crew *crew)
{
	int i;

	say("the queue should be %s and holds %d; leave to write %u, to read %u",
	    crew->full ? "full" : "empty", depth(crew->fd),
	    crew->shared->leave[PRODUCING], crew->shared->leave[CONSUMING]);
	for (i = 0; i < WORKERS; i++)
		if (crew->pid[i])
			tell_waits(crew->pid[i], side_of(i) == PRODUCING ? "producer" : "consumer");
}

/* False if somebody sleeps who should not, or has ended. */
static bool settle(struct crew *crew)
{
	struct watchdog dog = {};
	int status;
	pid_t pid;

	while (!settled(crew)) {
		pid = waitpid(-1, &status, WNOHANG);
		if (pid > 0) {
			say("process %d of the crew ended with %#x", pid, status);
			return false;
		}
		if (hangs(&dog, calls(crew))) {
			tell_crew(crew);
			return false;
		}
		usleep(100);
	}
	return true;
}

/* The other side is limited now. */
static void change_sides(struct crew *crew)
{
	crew->full = !crew->full;
	set(&crew->shared->leave[limited(crew)], 0);
	give(&crew->shared->leave[!limited(crew)], PLENTY);
}

static bool has_room(const struct crew *crew)
{
	int i;

	for (i = 0; i < PRODUCERS; i++)
		if (get(&crew->ledger->next[i]) + crew->capacity + BUDGET_MAX >= NUMBERS)
			return false;
	return true;
}

/* Often few, so that there is no later wake-up to hide that one was lost. */
static __u32 some_calls(__u64 *random)
{
	return below(random, 2 << below(random, one_in(random, 2) ? 2 : 11)) + 1;
}

/* Rounds, as far as the ledger has room; false if one ends badly. */
static bool work(struct crew *crew, int rounds, bool (*treat)(struct crew *crew))
{
	for (; rounds && has_room(crew); rounds--) {
		if (one_in(&crew->random, 6))
			change_sides(crew);
		give(&crew->shared->leave[limited(crew)], some_calls(&crew->random));
		if (!treat(crew) || !settle(crew) || !hire_all(crew))
			return false;
	}
	return true;
}

/* Takes what is left, by the test itself. */
static bool drain(struct crew *crew)
{
	int i = WORKERS, left = depth(crew->fd), n = 0, len;

	for (;;) {
		prepare(crew, i);
		len = read(crew->nb, message_of(crew, i), crew->msg_size + MARGIN);
		if (len < 0)
			break;
		note(crew, i, len);
		n++;
	}
	if (errno != EAGAIN || n != left)
		say("the queue held %d messages and gave %d: %s", left, n, strerror(errno));
	crew->drained += n;
	return errno == EAGAIN && n == left;
}

static bool start(struct crew *crew)
{
	crew->ledger = ledger_new(PRODUCERS, NUMBERS);
	crew->full = one_in(&crew->random, 2);
	memset(crew->shared, 0, sizeof(*crew->shared));
	if (!crew->ledger || !hire_all(crew))
		return false;
	change_sides(crew);
	return true;
}

/* Kills all of the crew in the middle of its work; then everything must add up. */
static void stop(struct __test_metadata *_metadata, struct crew *crew)
{
	int i;

	give(&crew->shared->leave[limited(crew)], BUDGET_MAX);
	dawdle(&crew->random);
	EXPECT_TRUE(bury_all(crew));
	EXPECT_TRUE(drain(crew));
	EXPECT_EQ(0, crew->shared->faults);
	EXPECT_EQ(0, check_all(crew->ledger));
	check_slots(_metadata, crew->nb, crew->capacity);
	for (i = 0; i < PRODUCERS; i++)
		crew->written += crew->ledger->next[i];
	ledger_free(crew->ledger);
}

/* Some are killed, some only disturbed; one of each side is spared. */
static bool kill_some(struct crew *crew)
{
	bool spared[WORKERS] = {}, dead[WORKERS] = {}, good = true;
	int i, n;

	do {
		i = below(&crew->random, PRODUCERS);
	} while (can_be_absent(i));
	spared[i] = true;
	do {
		i = PRODUCERS + below(&crew->random, CONSUMERS);
	} while (can_be_absent(i));
	spared[i] = true;
	for (n = below(&crew->random, 8); n >= 0; n--) {
		dawdle(&crew->random);
		i = below(&crew->random, WORKERS);
		switch (below(&crew->random, 8)) {
		case 0:
			kill(crew->pid[i], SIGUSR1);
			break;
		case 1:
			kill(crew->pid[i], SIGSTOP);
			dawdle(&crew->random);
			kill(crew->pid[i], SIGCONT);
			break;
		default:
			dead[i] = !spared[i];
			if (dead[i])
				kill(crew->pid[i], SIGKILL);
		}
	}
	for (i = 0; i < WORKERS; i++)
		if (dead[i])
			good &= bury(crew, i);
	return good;
}

#define CPU		"/sys/devices/system/cpu/cpu1/online"

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool done = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (!done)
		say("%s: %s", path, strerror(errno));
	close(fd);
	return done;
}

static bool plug(bool online)
{
	return write_file(CPU, online ? "1" : "0");
}

/* Takes a processor away or puts it back. */
static bool change_processors(struct crew *crew)
{
	static bool offline;

	dawdle(&crew->random);
	offline = !offline;
	return plug(!offline);
}

#define CGROUPS		"/sys/fs/cgroup/"
#define CGROUP		CGROUPS "mpmcq_abuse/"

/* Somewhere for pages to go; false if there is nothing to be had. */
static bool have_swap(struct crew *crew)
{
	if (!system("[ -e /proc/swaps ] && [ $(wc -l </proc/swaps) -gt 1 ]"))
		return true;
	crew->own_swap = !system("[ -e /sys/block/zram0 ] || modprobe -q zram") &&
			 write_file("/sys/block/zram0/disksize", "256M") &&
			 !system("mkswap /dev/zram0 >/dev/null && swapon /dev/zram0");
	return crew->own_swap;
}

/* A control group for this process and its children. */
static bool enter_cgroup(void)
{
	write_file(CGROUPS "cgroup.subtree_control", "+memory");
	return !mkdir(CGROUP, 0755) && write_file(CGROUP "cgroup.procs", "0");
}

/*
 * Puts back what a test has changed of the machine.  One that runs out of time is
 * killed and cannot: then the next does.
 */
static void put_back(struct __test_metadata *_metadata, struct crew *crew)
{
	if (!access(CPU, W_OK))
		EXPECT_TRUE(plug(true));
	if (!access(CGROUP, F_OK)) {
		EXPECT_TRUE(write_file(CGROUPS "cgroup.procs", "0"));
		EXPECT_EQ(0, rmdir(CGROUP));
	}
	if (crew->own_swap)
		EXPECT_EQ(0, system("swapoff /dev/zram0 && echo 1 >/sys/block/zram0/reset"));
}

/* How often the group had to wait for a page that had been taken from it. */
static long pages_brought_back(void)
{
	FILE *file = fopen(CGROUP "memory.stat", "r");
	char line[128];
	long n = -1;

	while (file && fgets(line, sizeof(line), file))
		sscanf(line, "pgmajfault %ld", &n);
	if (file)
		fclose(file);
	return n;
}

/* Takes from the group all memory that can be taken. */
static bool squeeze(struct crew *crew)
{
	bool done = write_file(CGROUP "memory.high", "0");

	dawdle(&crew->random);
	return write_file(CGROUP "memory.high", "max") && done;
}

FIXTURE(abuse)
{
	struct crew crew;
};

FIXTURE_SETUP(abuse)
{
	const struct sigaction action = { .sa_handler = ignore_signal };
	struct crew *crew = &self->crew;
	struct mpmcq_info info;

	put_back(_metadata, crew);
	crew->fd = open(DEVICE, O_RDWR);
	crew->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, crew->fd);
	ASSERT_LE(0, crew->nb);
	ASSERT_EQ(0, query(crew->fd, &info));
	ASSERT_EQ(0, info.depth) TH_LOG("an earlier test, or somebody, left messages");
	crew->capacity = info.capacity;
	crew->msg_size = info.msg_size;
	crew->random = seed();
	crew->shared = shared_memory(sizeof(*crew->shared));
	ASSERT_NE(NULL, crew->shared);
	crew->memory = memfd_create("buffers", 0);
	ASSERT_EQ(0, ftruncate(crew->memory, BUFFER * (WORKERS + 1)));
	crew->buffers = mmap(NULL, BUFFER * (WORKERS + 1), PROT_READ | PROT_WRITE,
			     MAP_SHARED, crew->memory, 0);
	ASSERT_NE(MAP_FAILED, crew->buffers);
	sigaction(SIGUSR1, &action, NULL);
}

FIXTURE_TEARDOWN(abuse)
{
	struct crew *crew = &self->crew;
	int i, refused = 0;

	bury_all(crew);
	put_back(_metadata, crew);
	for (i = 0; i < WORKERS; i++)
		refused += crew->shared->worker[i].refused;
	say("%llu messages, %d processes killed, %d messages found in their buffers, %d drained",
	    (unsigned long long)crew->written, crew->killed, crew->inherited, crew->drained);
	say("%d calls refused with EFAULT", refused);
	EXPECT_EQ(0, take_all(crew->nb));
}

TEST_F_TIMEOUT(abuse, killed, 800)
{
	struct crew *crew = &self->crew;
	int episode;

	for (episode = percent_of(20); episode; episode--) {
		/* Readers with bad addresses put messages back, and so do those that are killed. */
		crew->ordered = episode % 2;
		ASSERT_TRUE(start(crew));
		ASSERT_TRUE(work(crew, 50, kill_some));
		stop(_metadata, crew);
	}
}

TEST_F_TIMEOUT(abuse, processors_unplugged, 800)
{
	struct crew *crew = &self->crew;

	if (access(CPU, W_OK))
		SKIP(return, "no leave to take a processor away: " CPU);
	crew->ordered = true;
	ASSERT_TRUE(start(crew));
	EXPECT_TRUE(work(crew, 2 * percent_of(50), change_processors));
	stop(_metadata, crew);
}

TEST_F_TIMEOUT(abuse, memory_short, 800)
{
	struct crew *crew = &self->crew;

	if (geteuid())
		SKIP(return, "only root may take memory away");
	if (!have_swap(crew))
		SKIP(return, "there is no swap space and no zram");
	if (access(CGROUPS "cgroup.procs", W_OK))
		SKIP(return, "there are no control groups at " CGROUPS);
	ASSERT_TRUE(enter_cgroup());
	ASSERT_TRUE(start(crew));
	EXPECT_TRUE(work(crew, percent_of(5), squeeze));
	stop(_metadata, crew);
	say("%ld pages had to be brought back", pages_brought_back());
	EXPECT_LT(0, pages_brought_back());
}

/* A control: consumers that do not wake are found, and only they. */
TEST_F(abuse, sleeper_is_found)
{
	struct crew *crew = &self->crew;
	int i;

	patience = 1;
	ASSERT_TRUE(start(crew));
	if (crew->full)
		change_sides(crew);
	ASSERT_TRUE(settle(crew));
	for (i = PRODUCERS; i < WORKERS; i++) {
		kill(crew->pid[i], SIGSTOP);
		EXPECT_EQ(crew->pid[i], waitpid(crew->pid[i], NULL, WUNTRACED));
	}
	give(&crew->shared->leave[PRODUCING], 1);
	EXPECT_FALSE(settle(crew));
	for (i = PRODUCERS; i < WORKERS; i++)
		kill(crew->pid[i], SIGCONT);
	EXPECT_TRUE(settle(crew));
	stop(_metadata, crew);
}

TEST_HARNESS_MAIN
