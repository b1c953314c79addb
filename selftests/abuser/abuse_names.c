// SPDX-License-Identifier: GPL-2.0-only
/*
 * Names and mounts that come and go.  Many processes create queues by a few names in one
 * mount, open, use and unlink them, all at once.  Others mount and unmount, also where the
 * former are at work.  All of them are killed meanwhile.  Each call works or says that there
 * is no such queue, or that there is one already; what is open works on without its name and
 * without its mount; and in the end nothing is left.
 *
 * All mounts are in a mount namespace of the test's own.
 */

#include <sys/statfs.h>

#include "queuefs_test.h"
#include "abuse.h"

#define SHARERS		5	/* processes that share names */
#define OWNERS		2	/* processes that make names of their own */
#define MOUNTERS	3
#define PROCESSES	(SHARERS + OWNERS + MOUNTERS)
#define NAMES		3	/* that are shared */
#define FILES		6	/* that a process has open at most */
#define ROUNDS		100	/* at 100 percent */
#define NAME_SIZE	32
#define PATH_SIZE	64
#define PREFIX		"abuse."	/* of all names */
#define OPTIONS		"size=64m,max=1000"	/* of the mount that stays */
#define MODULE_USERS	"/sys/module/mpmcq/refcnt"

/* How often; shared by all. */
struct counts {
	__u32 calls;
	__u32 created;
	__u32 taken;		/* EEXIST */
	__u32 same;		/* with EXIST_OK */
	__u32 opened;
	__u32 absent;		/* ENOENT */
	__u32 unlinked;
	__u32 nameless;		/* uses of a queue whose name is gone */
	__u32 listed;
	__u32 owned;		/* names that were nobody else's */
	__u32 mounted;
	__u32 busy;		/* EBUSY of umount(2) */
	__u32 not_mounted;	/* what would be done to a mount was done to no mount */
	__u32 homeless;		/* uses of a queue whose mount is gone */
};

struct crowd {
	__u64 random;
	struct counts *counts;
	char base[PATH_SIZE / 2];
	char steady[PATH_SIZE];		/* where a mount stays */
	char unsteady[PATH_SIZE];	/* where mounts come and go */
	int dir;			/* of the former */
	long users;
	pid_t pid[PROCESSES];
	int killed;
};

struct process {
	struct crowd *crowd;
	struct counts *counts;
	__u64 random;
	int files;
	int fd[FILES];
};

static int open_directory(const char *path)
{
	return result(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* With the same configuration each time, so that EXIST_OK may find it so. */
static int make_at(int dir, const char *name, __u32 flags)
{
	return create_at(dir, name, (struct mpmcq_create){
		.flags = flags, .capacity = 8, .msg_size = MSG_SIZE_MIN, .mode = 0600,
	});
}

/*
 * Processes that share names
 */
static void some_name(struct process *p, char *name)
{
	snprintf(name, NAME_SIZE, PREFIX "%u", below(&p->random, NAMES));
}

static void keep(struct process *p, int fd)
{
	int i = p->files < FILES ? p->files++ : (int)below(&p->random, FILES);

	if (p->fd[i])
		close(p->fd[i]);
	p->fd[i] = fd;
}

static void close_some(struct process *p)
{
	int i = below(&p->random, FILES);

	if (i < p->files) {
		close(p->fd[i]);
		p->fd[i] = p->fd[--p->files];
		p->fd[p->files] = 0;
	}
}

static void use(struct process *p, int fd)
{
	struct mpmcq_info info;
	int ret;

	switch (below(&p->random, 5)) {
	case 0:
		write_one(fd);
		break;
	case 1:
		read_one(fd);
		break;
	case 2:
		poll_once(fd, below(&p->random, 2));
		break;
	case 3:
		ret = attach(fd, O_RDWR | O_NONBLOCK, 0, 0);
		expect(ret >= 0, "ATTACH", ret);
		keep(p, ret);
		break;
	default:
		ret = query(fd, &info);
		expect(!ret && info.depth <= info.capacity && info.capacity == 8, "INFO", ret);
	}
}

/* The directory that stays, or whatever is at the other place just now. */
static int some_directory(struct process *p, bool *steady)
{
	int dir;

	*steady = !one_in(&p->random, 3);
	dir = *steady ? dup(p->crowd->dir) : open_directory(p->crowd->unsteady);
	expect(dir >= 0, "open of a directory", dir);
	return dir;
}

static void create_some(struct process *p)
{
	__u32 flags = one_in(&p->random, 2) ? MPMCQ_EXIST_OK : 0;
	char name[NAME_SIZE];
	bool steady;
	int dir = some_directory(p, &steady), ret;

	some_name(p, name);
	if (one_in(&p->random, 4))
		flags |= MPMCQ_DROP_OLDEST;
	ret = make_at(dir, name, flags);
	close(dir);
	/* A mount of others has room for few queues, and may not be there. */
	if (!steady && (ret == -ENOSPC || ret == -ENOTTY)) {
		count(&p->counts->not_mounted);
		return;
	}
	expect(!ret || ret == -EEXIST, "CREATE", ret);
	count(ret ? &p->counts->taken : flags & MPMCQ_EXIST_OK ? &p->counts->same :
							      &p->counts->created);
}

static void open_some(struct process *p)
{
	char name[NAME_SIZE], path[PATH_SIZE + NAME_SIZE];
	bool steady;
	int dir = some_directory(p, &steady), fd;

	some_name(p, name);
	snprintf(path, sizeof(path), "%s/%s", steady ? p->crowd->steady : p->crowd->unsteady, name);
	if (one_in(&p->random, 2))
		fd = open_at(dir, name, O_RDWR | O_NONBLOCK);
	else
		fd = open_at(AT_FDCWD, path, O_RDWR | O_NONBLOCK);
	close(dir);
	expect(fd >= 0 || fd == -ENOENT, "open", fd);
	count(fd >= 0 ? &p->counts->opened : &p->counts->absent);
	if (fd >= 0)
		keep(p, fd);
}

/* What is open has to work on, under whatever name it was. */
static void use_nameless(struct process *p)
{
	struct stat st;
	int i, ret;

	for (i = 0; i < p->files; i++) {
		ret = result(fstat(p->fd[i], &st));
		expect(!ret, "fstat", ret);
		if (st.st_nlink)
			continue;
		use(p, p->fd[i]);
		count(&p->counts->nameless);
	}
}

static void unlink_some(struct process *p)
{
	char name[NAME_SIZE];
	bool steady;
	int dir = some_directory(p, &steady), ret;

	some_name(p, name);
	ret = remove_at(dir, name);
	close(dir);
	expect(!ret || ret == -ENOENT, "unlink", ret);
	count(ret ? &p->counts->absent : &p->counts->unlinked);
	use_nameless(p);
}

static void change_some(struct process *p)
{
	char name[NAME_SIZE];
	int ret;

	some_name(p, name);
	ret = result(one_in(&p->random, 2) ?
		     fchmodat(p->crowd->dir, name, 0600 + below(&p->random, 0200), 0) :
		     fchownat(p->crowd->dir, name, below(&p->random, 3), -1, 0));
	expect(!ret || ret == -ENOENT, "chmod or chown", ret);
}

/* Each entry is a queue, if it is still there. */
static void list_all(struct process *p)
{
	int fd = open_directory(p->crowd->steady), ret;
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	expect(dir, "fdopendir", fd);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		ret = result(fstatat(p->crowd->dir, entry->d_name, &st, 0));
		expect(ret == -ENOENT || (!ret && S_ISCHR(st.st_mode)), "fstatat", ret);
		expect(!strncmp(entry->d_name, PREFIX, strlen(PREFIX)), "readdir", 0);
		count(&p->counts->listed);
	}
	closedir(dir);
}

static void share_names(struct process *p)
{
	for (;; count(&p->counts->calls)) {
		if (one_in(&p->random, 8))
			dawdle(&p->random);
		switch (below(&p->random, 9)) {
		case 0:
			create_some(p);
			break;
		case 1:
		case 2:
			open_some(p);
			break;
		case 3:
			unlink_some(p);
			break;
		case 4:
			if (one_in(&p->random, 2))
				list_all(p);
			else
				change_some(p);
			break;
		case 5:
			close_some(p);
			break;
		default:
			if (p->files)
				use(p, p->fd[below(&p->random, p->files)]);
		}
	}
}

/*
 * Processes that do not: every call has to do what it would if they were alone.
 */
static void expect_file(const char *what, int fd)
{
	expect(fd >= 0, what, fd);
	expect(put_msg(fd, LEN, 1) == LEN && take_msg(fd, LEN, 1) == LEN, what, 0);
	close(fd);
}

static void expect_present(struct process *p, const char *name)
{
	char path[PATH_SIZE + NAME_SIZE];
	struct stat st;
	int ret;

	snprintf(path, sizeof(path), "%s/%s", p->crowd->steady, name);
	expect_file("openat of one's own", open_at(p->crowd->dir, name, O_RDWR));
	expect_file("open of one's own", open_at(AT_FDCWD, path, O_RDWR));
	ret = make_at(p->crowd->dir, name, 0);
	expect(ret == -EEXIST, "CREATE of what is there", ret);
	ret = make_at(p->crowd->dir, name, MPMCQ_EXIST_OK);
	expect(!ret, "CREATE with EXIST_OK", ret);
	ret = make_at(p->crowd->dir, name, MPMCQ_EXIST_OK | MPMCQ_AUTO_CLOSE);
	expect(ret == -EEXIST, "CREATE with EXIST_OK and another configuration", ret);
	ret = result(fstatat(p->crowd->dir, name, &st, 0));
	expect(!ret && S_ISCHR(st.st_mode) && st.st_nlink == 1, "fstatat", ret);
}

static void expect_absent(struct process *p, const char *name)
{
	int ret = open_at(p->crowd->dir, name, O_RDWR);

	expect(ret == -ENOENT, "open of none", ret);
	ret = remove_at(p->crowd->dir, name);
	expect(ret == -ENOENT, "unlink of none", ret);
	ret = open_at(p->crowd->dir, name, O_RDWR | O_CREAT);
	expect(ret == -EACCES, "open of none with O_CREAT", ret);
}

static void own_a_name(struct process *p, const char *name)
{
	int fd, ret = make_at(p->crowd->dir, name, 0);
	char path[64];

	expect(!ret, "CREATE of one's own", ret);
	expect_present(p, name);
	fd = open_at(p->crowd->dir, name, O_RDWR);
	expect(fd >= 0, "open of one's own", fd);
	ret = remove_at(p->crowd->dir, name);
	expect(!ret, "unlink of one's own", ret);
	expect_absent(p, name);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	expect_file("open of a queue without a name", open_at(AT_FDCWD, path, O_RDWR));
	expect_file("a queue without a name", fd);
	count(&p->counts->owned);
}

static void own_names(struct process *p)
{
	char name[NAME_SIZE];

	snprintf(name, sizeof(name), PREFIX "of.%d", getpid());
	for (;; count(&p->counts->calls)) {
		own_a_name(p, name);
		dawdle(&p->random);
	}
}

/*
 * Processes that mount
 */

/* Takes away all that is mounted there. */
static void unmount_all(const char *path)
{
	int ret;

	while (!umount2(path, MNT_DETACH))
		;
	ret = -errno;
	expect(ret == -EINVAL, "umount of what is no mount", ret);
}

/* A mount that is nobody else's, with a queue that is open while it goes. */
static void own_a_mount(struct process *p, const char *path)
{
	bool lazy = one_in(&p->random, 2);
	int ret = mount_queues(path, 0, "max=1"), dir, fd;

	expect(!ret, "mount of one's own", ret);
	count(&p->counts->mounted);
	dir = open_directory(path);
	ret = make_at(dir, "a", 0);
	expect(!ret, "CREATE in one's own mount", ret);
	ret = make_at(dir, "b", 0);
	expect(ret == -ENOSPC, "CREATE of one too many", ret);
	fd = open_at(dir, "a", O_RDWR | O_NONBLOCK);
	close(dir);
	ret = result(umount2(path, 0));
	expect(ret == -EBUSY, "umount of what is in use", ret);
	count(&p->counts->busy);
	if (lazy) {
		ret = result(umount2(path, MNT_DETACH));
		expect(!ret, "umount of what is in use, lazily", ret);
		expect_file("a queue without a mount", attach(fd, O_RDWR, 0, 0));
		count(&p->counts->homeless);
	}
	expect_file("a queue of one's own", fd);
	ret = result(umount2(path, 0));
	expect(ret == (lazy ? -EINVAL : 0), "umount of what is not in use", ret);
}

/* A place where all of them mount. */
static void mount_some(struct process *p)
{
	const char *path = p->crowd->unsteady;
	int ret;

	switch (below(&p->random, 5)) {
	case 0:
	case 1:
		ret = mount_queues(path, 0, one_in(&p->random, 2) ? "max=2" : "size=1m");
		count(&p->counts->mounted);
		break;
	case 2:
		ret = result(umount2(path, MNT_DETACH));
		break;
	case 3:
		ret = result(umount2(path, 0));
		if (ret == -EBUSY) {
			count(&p->counts->busy);
			ret = 0;
		}
		break;
	default:
		ret = result(mount(NULL, path, NULL, MS_REMOUNT, "max=1,size=2m"));
	}
	/* What was there has been unmounted by now; some kernels then say ENOENT of a mount. */
	expect(!ret || ret == -EINVAL || ret == -ENOENT, "mount or umount where others do", ret);
	if (ret)
		count(&p->counts->not_mounted);
}

/* In a namespace with copies of all mounts, which then ends. */
static void copy_mounts(struct process *p)
{
	int ret = child_end(fork_child(unshare(CLONE_NEWNS) ||
				       umount2(p->crowd->steady, MNT_DETACH)));

	expect(!ret, "a mount namespace", ret);
}

static void mount_and_unmount(struct process *p, int i)
{
	char own[PATH_SIZE];
	int ret;

	snprintf(own, sizeof(own), "%s/own.%d", p->crowd->base, i);
	/* An earlier one may have been killed with it. */
	unmount_all(own);
	for (;; count(&p->counts->calls)) {
		mount_some(p);
		if (one_in(&p->random, 4))
			own_a_mount(p, own);
		if (one_in(&p->random, 32))
			copy_mounts(p);
		ret = result(umount2(p->crowd->steady, 0));
		expect(ret == -EBUSY, "umount of what all use", ret);
		dawdle(&p->random);
	}
}

/*
 * All of them
 */
static void work(struct process *p, int i)
{
	if (i < MOUNTERS)
		mount_and_unmount(p, i);
	else if (i < MOUNTERS + OWNERS)
		own_names(p);
	else
		share_names(p);
}

static bool hire(struct crowd *crowd, int i)
{
	crowd->random += PROCESSES;
	crowd->pid[i] = fork();
	if (!crowd->pid[i]) {
		struct process p = {
			.crowd = crowd, .counts = crowd->counts, .random = crowd->random + i,
		};

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(&p, i);
	}
	return crowd->pid[i] > 0;
}

static bool bury(struct crowd *crowd, int i)
{
	int status = wait_for_end(crowd->pid[i], "a killed process");

	crowd->pid[i] = 0;
	crowd->killed++;
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	say("process %d ended with %#x", i, status);
	return false;
}

static bool hire_all(struct crowd *crowd)
{
	int i;

	for (i = 0; i < PROCESSES; i++)
		if (!crowd->pid[i] && !hire(crowd, i))
			return false;
	return true;
}

/* Kills some, or all; false if one had ended otherwise. */
static bool kill_some(struct crowd *crowd, bool all)
{
	bool dead[PROCESSES] = {}, good = true;
	int i;

	for (i = 0; i < PROCESSES; i++) {
		dead[i] = crowd->pid[i] && (all || one_in(&crowd->random, 3));
		if (dead[i])
			kill(crowd->pid[i], SIGKILL);
		if (!all)
			dawdle(&crowd->random);
	}
	for (i = 0; i < PROCESSES; i++)
		if (dead[i])
			good &= bury(crowd, i);
	return good;
}

/* Waits until so much more has been done; false if nothing is, or a process has ended. */
static bool wait_for_calls(struct crowd *crowd, __u32 calls)
{
	__u32 end = get(&crowd->counts->calls) + calls;
	struct watchdog dog = {};
	int i;

	while ((int)(get(&crowd->counts->calls) - end) < 0) {
		if (hangs(&dog, get(&crowd->counts->calls))) {
			for (i = 0; i < PROCESSES; i++)
				tell_waits(crowd->pid[i], "a process");
			return false;
		}
		usleep(500);
	}
	return true;
}

static long module_users(void)
{
	return atol(line(MODULE_USERS, ""));
}

/* Removes the names that the dead have left; how many. */
static int remove_rest(struct crowd *crowd)
{
	DIR *dir = opendir(crowd->steady);
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !remove_at(crowd->dir, entry->d_name))
			n++;
	if (dir)
		closedir(dir);
	return n;
}

static void unmount_rest(struct crowd *crowd)
{
	char own[PATH_SIZE];
	int i;

	unmount_all(crowd->unsteady);
	for (i = 0; i < MOUNTERS; i++) {
		snprintf(own, sizeof(own), "%s/own.%d", crowd->base, i);
		unmount_all(own);
	}
}

/* No queue, of all that there were in the mount that stays, takes anything of its limits. */
static bool is_empty(struct crowd *crowd)
{
	struct statfs fs;

	return !fstatfs(crowd->dir, &fs) && fs.f_files == 1000 && fs.f_ffree == fs.f_files &&
	       fs.f_blocks && fs.f_bfree == fs.f_blocks;
}

static bool nothing_left(struct crowd *crowd)
{
	return is_empty(crowd) && module_users() == crowd->users;
}

FIXTURE(names)
{
	struct crowd crowd;
};

static int make_places(struct crowd *crowd)
{
	char own[PATH_SIZE];
	int i;

	snprintf(crowd->steady, sizeof(crowd->steady), "%s/steady", crowd->base);
	snprintf(crowd->unsteady, sizeof(crowd->unsteady), "%s/unsteady", crowd->base);
	if (mkdir(crowd->steady, 0755) || mkdir(crowd->unsteady, 0755))
		return -errno;
	for (i = 0; i < MOUNTERS; i++) {
		snprintf(own, sizeof(own), "%s/own.%d", crowd->base, i);
		if (mkdir(own, 0755))
			return -errno;
	}
	return mount_queues(crowd->steady, 0, OPTIONS);
}

FIXTURE_SETUP(names)
{
	struct crowd *crowd = &self->crowd;

	crowd->random = seed();
	crowd->counts = shared_memory(sizeof(*crowd->counts));
	ASSERT_NE(NULL, crowd->counts);
	ASSERT_EQ(0, enter_scratch(crowd->base, sizeof(crowd->base)));
	ASSERT_EQ(0, make_places(crowd));
	crowd->dir = open_directory(crowd->steady);
	ASSERT_LE(0, crowd->dir);
	crowd->users = module_users();
}

FIXTURE_TEARDOWN(names)
{
	struct crowd *crowd = &self->crowd;

	kill_some(crowd, true);
	unmount_rest(crowd);
	close(crowd->dir);
	leave_scratch(crowd->base);
}

static void tell_counts(struct crowd *crowd, int rest)
{
	struct counts *counts = crowd->counts;

	say("%d processes killed, %d names were left; %u calls", crowd->killed, rest,
	    counts->calls);
	say("created %u, or the same %u, there already %u; opened %u, absent %u; unlinked %u",
	    counts->created, counts->same, counts->taken, counts->opened, counts->absent,
	    counts->unlinked);
	say("used without a name %u, without a mount %u; listed %u; %u names of one's own",
	    counts->nameless, counts->homeless, counts->listed, counts->owned);
	say("mounted %u, busy %u, not mounted %u", counts->mounted, counts->busy,
	    counts->not_mounted);
}

TEST_F_TIMEOUT(names, come_and_go, 800)
{
	struct crowd *crowd = &self->crowd;
	struct counts *counts = crowd->counts;
	int round, rest;

	ASSERT_TRUE(nothing_left(crowd));
	for (round = percent_of(ROUNDS); round; round--) {
		ASSERT_TRUE(hire_all(crowd));
		ASSERT_TRUE(wait_for_calls(crowd, below(&crowd->random, 600)));
		ASSERT_TRUE(kill_some(crowd, false));
	}
	ASSERT_TRUE(kill_some(crowd, true));
	rest = remove_rest(crowd);
	unmount_rest(crowd);
	/* What the last process had mounted may be taken apart by a worker of the kernel. */
	EXPECT_TRUE(comes_true(nothing_left(crowd)));
	tell_counts(crowd, rest);
	EXPECT_LT(0, counts->created);
	EXPECT_LT(0, counts->same);
	EXPECT_LT(0, counts->taken);
	EXPECT_LT(0, counts->opened);
	EXPECT_LT(0, counts->absent);
	EXPECT_LT(0, counts->nameless);
	EXPECT_LT(0, counts->homeless);
	EXPECT_LT(0, counts->listed);
	EXPECT_LT(0, counts->owned);
	EXPECT_LT(0, counts->busy);
	EXPECT_LT(0, counts->not_mounted);
}

/* The control: a name that stays, and a file that does. */
TEST_F(names, rest_is_found)
{
	struct crowd *crowd = &self->crowd;
	int fd;

	EXPECT_TRUE(nothing_left(crowd));
	ASSERT_EQ(0, make_at(crowd->dir, PREFIX "0", 0));
	EXPECT_FALSE(nothing_left(crowd));
	fd = open_at(crowd->dir, PREFIX "0", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, remove_rest(crowd));
	EXPECT_FALSE(nothing_left(crowd));
	close(fd);
	EXPECT_TRUE(nothing_left(crowd));
}

/* The control: a mount that stays. */
TEST_F(names, mount_is_found)
{
	struct crowd *crowd = &self->crowd;

	ASSERT_EQ(0, mount_queues(crowd->unsteady, 0, NULL));
	EXPECT_FALSE(nothing_left(crowd));
	unmount_rest(crowd);
	EXPECT_TRUE(nothing_left(crowd));
}

/* The control: a wrong result ends the process, and that is noticed. */
TEST_F(names, wrong_result_is_found)
{
	struct crowd *crowd = &self->crowd;
	siginfo_t info;

	crowd->pid[0] = fork();
	if (!crowd->pid[0])
		expect(false, "as it has to be", -EIO);
	ASSERT_EQ(0, waitid(P_PID, crowd->pid[0], &info, WEXITED | WNOWAIT));
	EXPECT_FALSE(kill_some(crowd, true));
}

TEST_HARNESS_MAIN
