// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals come first: a reader that is about to die, to stop, to freeze or to exec takes
 * nothing that is sent after it was told so, though it has not run yet.
 *
 * The readers sleep on a processor that the test then has for itself, as a real-time task:
 * it tells all of them, sends as many messages, and only then lets them run.
 */

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "own_test.h"

#define READERS		20
#define ROOM		1024	/* for some 30 packed messages */
#define CGROUPS		"/sys/fs/cgroup/"
#define CGROUP		CGROUPS "mpmcq_signals/"

/* Microseconds of each second for real-time tasks; -1 for all of it. */
#define RT_RUNTIME	"/proc/sys/kernel/sched_rt_runtime_us"

enum how { KILL, STOP, FREEZE, EXEC };

FIXTURE(signals)
{
	int fd;			/* a queue */
	int reader;		/* an open file of it, for the readers */
	int told[2];		/* a pipe; its end tells the readers' other threads to exec */
	pid_t pid[READERS];
	char runtime[32];	/* RT_RUNTIME before the test */
	pid_t tid[READERS];	/* that is in the read, if it is not the first thread */
};

FIXTURE_VARIANT(signals)
{
	enum how how;
	__u32 modes;
};

#define READERS_THAT(what, how_, modes_) \
	FIXTURE_VARIANT_ADD(signals, what) { .how = how_, .modes = modes_ }

READERS_THAT(killed, KILL, 0);
READERS_THAT(killed_packed, KILL, MPMCQ_MODE_PACKED);
READERS_THAT(killed_leased, KILL, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED);
READERS_THAT(stopped, STOP, 0);
READERS_THAT(stopped_packed, STOP, MPMCQ_MODE_PACKED);
READERS_THAT(stopped_leased, STOP, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED);
READERS_THAT(frozen, FREEZE, 0);
READERS_THAT(frozen_packed, FREEZE, MPMCQ_MODE_PACKED);
READERS_THAT(exec, EXEC, 0);
READERS_THAT(exec_packed, EXEC, MPMCQ_MODE_PACKED);

/* The calling thread is on that processor from here on, and shares it with nobody if @alone. */
static bool settle_on(int cpu, bool alone)
{
	struct sched_param param = { .sched_priority = alone };
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	return !sched_setaffinity(0, sizeof(cpus), &cpus) &&
	       !sched_setscheduler(0, alone ? SCHED_FIFO : SCHED_OTHER, &param);
}

static ssize_t read_once(int fd, void *buf, size_t len)
{
	return settle_on(0, false) ? read(fd, buf, len) : -1;
}

/* Ends with how many bytes it read, or by an exec that its first thread makes when told. */
static int be_reader(int fd, const int told[2], enum how how)
{
	static char buf[ROOM];
	struct call call;
	char c;

	if (how == FREEZE && !write_text(CGROUP "cgroup.procs", "0"))
		return 255;
	if (how != EXEC)
		return read_once(fd, buf, sizeof(buf));
	/* The test, which is on processor 0, waits for all of these. */
	if (!settle_on(1, false) || start_call(&call, read_once, fd, buf, sizeof(buf)))
		return 255;
	close(told[1]);
	if (read(told[0], &c, 1) != 0)
		return 255;
	execl("/bin/sleep", "sleep", "0", NULL);
	return 255;
}

/* The thread of @pid that is not its first, once there is one. */
static pid_t other_thread(pid_t pid)
{
	struct dirent *entry;
	char path[64];
	pid_t tid = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	while (!tid) {
		tasks = opendir(path);
		while (tasks && (!tid || tid == pid) && (entry = readdir(tasks)))
			tid = atoi(entry->d_name);
		tid = tid == pid ? 0 : tid;
		if (tasks)
			closedir(tasks);
	}
	return tid;
}

/*
 * Whether SIGKILL is pending for a thread, which has not run since.  If the thread is gone, it did
 * run: the scheduler may grant other tasks 5 % of a processor that a real-time task has.
 */
static bool is_doomed(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	return access(path, F_OK) ||
	       strtoull(line(path, "SigPnd:\t"), NULL, 16) & 1ULL << (SIGKILL - 1);
}

FIXTURE_SETUP(signals)
{
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "takes two processors");
	if (geteuid())
		SKIP(return, "only root has a processor for itself");
	if (variant->how == FREEZE && access(CGROUPS "cgroup.procs", W_OK))
		SKIP(return, "there are no control groups at " CGROUPS);
	ASSERT_TRUE(variant->how != FREEZE || !mkdir(CGROUP, 0755) || errno == EEXIST);
	/*
	 * What will be executed has to be in memory: what brings it from a file system may need
	 * the processor that the test has for itself.
	 */
	ASSERT_EQ(0, child_end(fork_child(execl("/bin/sleep", "sleep", "0", NULL))));
	ASSERT_EQ(0, pipe(self->told));
	snprintf(self->runtime, sizeof(self->runtime), "%.31s", line(RT_RUNTIME, ""));
	EXPECT_TRUE(write_text(RT_RUNTIME, "-1"));
	self->fd = make_queue(.capacity = 128, .msg_size = LEN, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->reader = attach(self->fd, O_RDONLY, variant->modes, 0);
	ASSERT_LE(0, self->reader);
	for (i = 0; i < READERS; i++) {
		self->pid[i] = fork_child(be_reader(self->reader, self->told, variant->how));
		ASSERT_LT(0, self->pid[i]);
		self->tid[i] = variant->how == EXEC ? other_thread(self->pid[i]) : self->pid[i];
		wait_asleep(self->tid[i], SYS_read);
	}
}

FIXTURE_TEARDOWN(signals)
{
	close(self->reader);
	close(self->fd);
	close(self->told[0]);
	EXPECT_TRUE(write_text(RT_RUNTIME, self->runtime));
	if (variant->how == FREEZE)
		EXPECT_EQ(0, rmdir(CGROUP));
}

static bool tell_all(int told, const pid_t *pid, const pid_t *tid, enum how how)
{
	int i;

	if (how == FREEZE)
		return write_text(CGROUP "cgroup.freeze", "1");
	if (how == EXEC)
		close(told);
	for (i = 0; i < READERS; i++) {
		if (how == EXEC)
			while (!is_doomed(pid[i], tid[i]))
				;
		else if (kill(pid[i], how == KILL ? SIGKILL : SIGSTOP))
			return false;
	}
	return true;
}

/* Lets those that are stopped or frozen go on, each of which reads one message or more. */
static void read_on(struct __test_metadata *_metadata, const pid_t *pid, enum how how, int fd)
{
	int i, status;

	if (how == FREEZE)
		EXPECT_TRUE(write_text(CGROUP "cgroup.freeze", "0"));
	for (i = 0; i < READERS && how == STOP; i++)
		EXPECT_EQ(0, kill(pid[i], SIGCONT));
	for (i = 0; i < READERS; i++)
		while (!waitpid(pid[i], &status, WNOHANG)) {
			/* One that is packed may have taken several. */
			put_msg(fd, LEN, 0);
			usleep(1000);
		}
}

TEST_F_TIMEOUT(signals, then_messages, 60)
{
	static unsigned char buf[READERS * 64];
	int i, n, at, packed, ret;
	struct mpmcq_msg msg;

	ASSERT_TRUE(settle_on(0, true));
	EXPECT_TRUE(tell_all(self->told[1], self->pid, self->tid, variant->how));
	for (i = 0; i < READERS; i++)
		EXPECT_EQ(LEN, put_msg(self->fd, LEN, i));
	ASSERT_TRUE(settle_on(0, false));
	for (i = 0; i < READERS && (variant->how == KILL || variant->how == EXEC); i++)
		EXPECT_EQ(variant->how == KILL ? -SIGKILL : 0, child_end(self->pid[i]));
	if (variant->how == STOP || variant->how == FREEZE)
		usleep(300000);

	/* Nobody has had them: they come in order, and for the first time. */
	EXPECT_EQ(READERS, depth(self->fd));
	packed = attach(self->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 0);
	ASSERT_LE(0, packed);
	ret = take(packed, buf, sizeof(buf));
	for (at = 0, n = 0; at < ret; at += space_of(LEN), n++) {
		EXPECT_LT(0, unpack(buf + at, ret - at, LEN, n, &msg));
		EXPECT_EQ(1, msg.deliveries);
	}
	EXPECT_EQ(READERS, n);
	close(packed);

	if (variant->how == STOP || variant->how == FREEZE)
		read_on(_metadata, self->pid, variant->how, self->fd);
}

TEST_HARNESS_MAIN
