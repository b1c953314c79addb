// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures while queues, open files of them, and mounts are made and removed.
 */

#include "data.h"

/*
 * Making queues, and open files of them.  The limits leave room for just one more queue
 * meanwhile, so that a failure that is not taken off the account is noticed.
 */
#define CGROUPS		"/sys/fs/cgroup/"
#define CGROUP		CGROUPS "mpmcq_inject/"

static const struct {
	const char *path;
	const char *option;	/* or of the mount, in place of a path */
	long most;		/* more than enough */
	int error;
} limits[] = {
	{ PARAMETERS "max_user_queues", NULL, 1 << 20, -EDQUOT },
	{ PARAMETERS "max_user_bytes", NULL, 1L << 40, -EDQUOT },
	{ PARAMETERS "max_total_bytes", NULL, 1L << 40, -ENOSPC },
	{ NULL, "max", 1 << 20, -ENOSPC },
	{ NULL, "size", 1L << 40, -ENOSPC },
};

#define LIMITS		ARRAY_SIZE(limits)

FIXTURE(make)
{
	struct data data;
	long limit[LIMITS];
};

/* Does without the capability that limits do not apply to, or has it again. */
static bool obey_limits(bool obey)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	__u32 bit = 1 << CAP_SYS_RESOURCE;

	if (syscall(SYS_capget, &header, data))
		return false;
	data[0].effective = obey ? data[0].effective & ~bit : data[0].effective | bit;
	return !syscall(SYS_capset, &header, data);
}

/* A private queue, or one with a name; its descriptor, or 0. */
static int run_create(struct data *d)
{
	return result(ioctl(d->named ? d->dir : d->fd, MPMCQ_IOC_CREATE, &d->create));
}

static bool has_name(struct data *d)
{
	return !faccessat(d->dir, NAME, F_OK, 0);
}

/* One as any user may have it, made and gone again; 0 or -errno. */
static int make_one(struct data *d)
{
	int fd;

	obey_limits(true);
	setfsuid(d->uid);
	fd = d->one(d);
	setfsuid(0);
	obey_limits(false);
	remove_at(d->dir, NAME);
	if (fd > 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static bool set_limit(struct data *d, int i, long value)
{
	char option[64];

	if (limits[i].path)
		return write_number(limits[i].path, value);
	snprintf(option, sizeof(option), "%s=%ld", limits[i].option, value);
	return !mount(NULL, d->mount, NULL, MS_REMOUNT, option);
}

/* Sets the limit to the least with which there is room for one; that, or -1. */
static long tighten(struct data *d, int i)
{
	long low = 0, high = limits[i].most, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (!set_limit(d, i, mid))
			return -1;
		if (make_one(d))
			low = mid;
		else
			high = mid;
	}
	return set_limit(d, i, high) ? high : -1;
}

static const char *limit_name(int i)
{
	return limits[i].path ? limits[i].path : limits[i].option;
}

/* The mount's have been none. */
static void loosen_all(struct __test_metadata *_metadata, struct data *d, const long *limit)
{
	size_t i;

	for (i = 0; i < LIMITS; i++)
		EXPECT_TRUE(set_limit(d, i, limit[i])) TH_LOG("%s", limit_name(i));
}

static void tighten_all(struct __test_metadata *_metadata, struct data *d)
{
	size_t i;

	for (i = 0; i < LIMITS; i++) {
		ASSERT_LT(0, tighten(d, i)) TH_LOG("%s", limit_name(i));
		EXPECT_EQ(0, make_one(d));
	}
}

FIXTURE_SETUP(make)
{
	const struct rlimit files = { 4096, 4096 }, memory = { RLIM_INFINITY, RLIM_INFINITY };
	struct data *d = &self->data;
	size_t i;

	for (i = 0; i < LIMITS; i++)
		self->limit[i] = limits[i].path ? read_number(limits[i].path) : 0;
	/* Where memory is charged, that takes memory, too. */
	write_text(CGROUPS "cgroup.subtree_control", "+memory");
	if (!mkdir(CGROUP, 0755) || errno == EEXIST)
		ASSERT_TRUE(write_text(CGROUP "cgroup.procs", "0"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memory));
	d->fd = open(DEVICE, O_RDWR);
	ASSERT_LE(0, d->fd);
	ASSERT_EQ(0, enter_scratch(d->base, sizeof(d->base)));
	snprintf(d->mount, sizeof(d->mount), "%s/mount", d->base);
	snprintf(d->place, sizeof(d->place), "%s/place", d->base);
	ASSERT_EQ(0, mkdir(d->mount, 0755));
	ASSERT_EQ(0, mkdir(d->place, 0755));
	ASSERT_EQ(0, mount_queues(d->mount, 0, "mode=1777"));
	d->dir = open(d->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LT(0, d->dir);
	d->capacity = CAPACITY;
	d->create = (struct mpmcq_create) {
		.size = sizeof(d->create), .capacity = CAPACITY, .msg_size = LONGEST,
		.open_flags = O_RDWR | O_NONBLOCK,
	};
	d->one = run_create;
	ASSERT_TRUE(injection_begin());
	EXPECT_EQ(0, make_one(d));
}

FIXTURE_TEARDOWN(make)
{
	injection_end();
	loosen_all(_metadata, &self->data, self->limit);
	close(self->data.dir);
	leave_scratch(self->data.base);
	if (!access(CGROUP, F_OK)) {
		EXPECT_TRUE(write_text(CGROUPS "cgroup.procs", "0"));
		EXPECT_EQ(0, rmdir(CGROUP));
	}
}

static void prepare_create(struct data *d)
{
	d->traces = look_for_traces(d);
	setfsuid(d->uid);
}

/* It works until it is gone, or has never been; and there is room for one more. */
static bool verify_create(struct data *d, int ret)
{
	bool good = has_name(d) == (d->named && !ret);
	int fd = ret;

	setfsuid(0);
	if (d->named && !ret)
		fd = open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
	if (fd > 0) {
		good = good && takes_messages(fd);
		close(fd);
	}
	if (d->named && !ret)
		good = good && !remove_at(d->dir, NAME);
	return good && !has_name(d) && nothing_left(d) && !make_one(d) && nothing_left(d);
}

/* From now on the queue that is tried has a name. */
static void give_name(struct data *d)
{
	d->named = true;
	d->create.open_flags = 0;
	d->create.mode = 0600;
	d->create.name = (unsigned long)NAME;
}

TEST_F_TIMEOUT(make, create, 200)
{
	const struct operation op = {
		"CREATE", 10, prepare_create, run_create, { -EFAULT, -ENOMEM }, verify_create
	};

	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

/* By a user for whom there is no account yet */
TEST_F_TIMEOUT(make, create_the_first, 200)
{
	const struct operation op = {
		"the first CREATE", 11, prepare_create, run_create, { -EFAULT, -ENOMEM },
		verify_create
	};

	self->data.uid = OTHER_USER;
	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

TEST_F_TIMEOUT(make, create_with_a_name, 400)
{
	const struct operation op = {
		"CREATE with a name", 12, prepare_create, run_create, { -EFAULT, -ENOMEM },
		verify_create
	};

	give_name(&self->data);
	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

/* The child that starts it is root of a namespace, for which there is no account yet. */
static int judge_in_namespace(void *arg)
{
	const struct operation op = {
		"CREATE with a name, in a user namespace", 13, prepare_create, run_create,
		{ -EFAULT, -ENOMEM }, verify_create
	};
	struct __test_metadata child = { .name = "create_in_a_namespace" };

	/* Those of the parent are not inherited. */
	close(fail_nth);
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0 || mlockall(MCL_CURRENT | MCL_FUTURE))
		return -1;
	return judge(&child, arg, &op, fail_one);
}

TEST_F_TIMEOUT(make, create_in_a_namespace, 400)
{
	struct data *d = &self->data;
	int ret;

	give_name(d);
	if (child_end(fork_child(!!unshare(CLONE_NEWUSER))))
		SKIP(return, "there are no user namespaces");
	tighten_all(_metadata, d);
	ret = in_namespace(0, 0, 65536, judge_in_namespace, d);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, make_one(d));
}

/* There is such a queue already: it stays as it is, and nothing comes to it. */
static void prepare_exist_ok(struct data *d)
{
	struct mpmcq_create create = d->create;

	create.flags &= ~MPMCQ_EXIST_OK;
	ioctl(d->dir, MPMCQ_IOC_CREATE, &create);
	d->traces = look_for_traces(d);
}

static bool verify_exist_ok(struct data *d, int ret)
{
	bool good = nothing_left(d);
	int fd = open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);

	good = good && takes_messages(fd);
	close(fd);
	return good && !remove_at(d->dir, NAME) && !make_one(d);
}

TEST_F_TIMEOUT(make, create_what_exists, 200)
{
	const struct operation op = {
		"CREATE with EXIST_OK", 2, prepare_exist_ok, run_create, { -EFAULT, -ENOMEM },
		verify_exist_ok
	};
	struct data *d = &self->data;

	give_name(d);
	d->create.flags = MPMCQ_EXIST_OK;
	tighten_all(_metadata, d);
	all_points(d, &op);
}

/* A queue that closes with its last writer, the only one of which is open then */
static int make_closing(struct data *d)
{
	struct mpmcq_create create = d->create;
	int ret;

	create.flags = MPMCQ_AUTO_CLOSE | (d->create.flags & (MPMCQ_START_LEASE | MPMCQ_DELAY));
	ret = result(ioctl(d->named ? d->dir : d->fd, MPMCQ_IOC_CREATE, &create));
	return ret || !d->named ? ret : open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
}

static void prepare_closing(struct data *d)
{
	d->traces = look_for_traces(d);
	d->reader = make_closing(d);
}

static bool takes_messages_by(struct data *d, int fd)
{
	const __u32 modes = d->attach.modes;
	struct mpmcq_info info = info_of(fd);
	struct mpmcq_msg msg;
	int got;

	if (info.modes != modes || info.max_held != d->attach.max_held ||
	    put_msg(d->reader, LEN, 3) != LEN)
		return false;
	if (modes & MPMCQ_MODE_DEAD)
		return take_packed(fd, 1, LEN, 3, &msg) == -EAGAIN &&
		       take_msg(d->reader, LEN, 3) == LEN;
	got = modes & MPMCQ_MODE_PACKED ? take_packed(fd, 1, LEN, 3, &msg) :
					  take_msg(fd, LEN, 3) / LEN;
	return got == 1 && ack_all(fd) == !!(modes & MPMCQ_MODE_LEASE);
}

/* It is one more user and writer until it is closed, or has never been. */
static bool verify_another(struct data *d, int ret)
{
	bool good = ret < 0 || takes_messages_by(d, ret);
	int watcher = attach(d->reader, O_RDONLY, 0, 0);

	if (ret >= 0)
		close(ret);
	good = good && !info_of(d->reader).closed;
	close(d->reader);
	good = good && info_of(watcher).closed == 1;
	close(watcher);
	if (d->named)
		good = good && !remove_at(d->dir, NAME);
	return good && nothing_left(d) && !make_one(d);
}

static int run_open_name(struct data *d)
{
	return open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
}

static int run_open_path(struct data *d)
{
	char path[2 * PATH_SIZE];

	snprintf(path, sizeof(path), "%s/" NAME, d->mount);
	return open_at(AT_FDCWD, path, O_RDWR | O_NONBLOCK);
}

TEST_F_TIMEOUT(make, open, 200)
{
	const struct operation op = {
		"open of a queue", 3, prepare_closing, run_open_name, { -EFAULT, -ENOMEM },
		verify_another
	};
	const struct operation op_path = {
		"open of a queue by its path", 3, prepare_closing, run_open_path,
		{ -EFAULT, -ENOMEM }, verify_another
	};

	give_name(&self->data);
	all_points(&self->data, &op);
	all_points(&self->data, &op_path);
}

static int run_attach(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_ATTACH, &d->attach));
}

/* A queue, and another open file of it, which is all that is left of it */
static int attach_one(struct data *d)
{
	int fd;

	d->reader = make_closing(d);
	if (d->reader < 0)
		return d->reader;
	fd = run_attach(d);
	close(d->reader);
	return fd;
}

/* A table goes with the open file where the queue's readers begin with a lease. */
TEST_F_TIMEOUT(make, open_with_a_lease, 200)
{
	const struct operation op = {
		"open of a queue whose readers begin with a lease", 4, prepare_closing,
		run_open_name, { -EFAULT, -ENOMEM }, verify_another
	};

	give_name(&self->data);
	self->data.create.flags = MPMCQ_START_LEASE | MPMCQ_DELAY;
	self->data.attach.modes = MPMCQ_MODE_LEASE;
	self->data.attach.max_held = 1;
	all_points(&self->data, &op);
}

static void attach_all(struct __test_metadata *_metadata, struct data *d, const long *limit)
{
	static const struct {
		const char *name;
		unsigned int least;
		__u32 modes;
		__u32 max_held;
	} kinds[] = {
		{ "ATTACH", 4, 0, 0 },
		{ "ATTACH: packed", 4, MPMCQ_MODE_PACKED, 0 },
		{ "ATTACH: lease", 6, MPMCQ_MODE_LEASE, 8 },
		{ "ATTACH: packed lease", 6, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, CAPACITY },
		{ "ATTACH: packed dead", 4, MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD, 0 },
	};
	size_t i;

	d->one = attach_one;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct operation op = {
			kinds[i].name, kinds[i].least - d->named, prepare_closing, run_attach,
			{ -EFAULT, -ENOMEM }, verify_another
		};

		d->attach = (struct mpmcq_attach) {
			.size = sizeof(d->attach), .open_flags = O_RDWR | O_NONBLOCK,
			.modes = kinds[i].modes, .max_held = kinds[i].max_held,
		};
		tighten_all(_metadata, d);
		all_points(d, &op);
		loosen_all(_metadata, d, limit);
	}
}

TEST_F_TIMEOUT(make, attach, 400)
{
	attach_all(_metadata, &self->data, self->limit);
}

/* By opening its file again */
TEST_F_TIMEOUT(make, attach_with_a_name, 400)
{
	give_name(&self->data);
	attach_all(_metadata, &self->data, self->limit);
}

static int run_unlink(struct data *d)
{
	return remove_at(d->dir, NAME);
}

/* The name is gone, or is as it was; the queue stays with its open file. */
static bool verify_unlink(struct data *d, int ret)
{
	bool good = takes_messages(d->reader) && has_name(d) == (ret < 0);

	if (ret < 0)
		good = good && !remove_at(d->dir, NAME);
	close(d->reader);
	return good && !has_name(d) && nothing_left(d) && !make_one(d);
}

TEST_F_TIMEOUT(make, unlink, 200)
{
	const struct operation op = {
		"unlink", 2, prepare_closing, run_unlink, { -EFAULT, -ENOMEM }, verify_unlink
	};

	give_name(&self->data);
	all_points(&self->data, &op);
}

/*
 * Mounts
 */
#define OPTIONS		"mode=1777,uid=1,gid=2,size=4m,max=2"

static void prepare_mount(struct data *d)
{
	d->traces = look_for_traces(d);
}

static int run_mount(struct data *d)
{
	return mount_queues(d->place, 0, OPTIONS);
}

/* Numbers of fsconfig(2) and its kind, for the sake of old headers */
enum { SET_STRING = 1, CMD_CREATE = 6, MOVE_EMPTY_PATH = 4 };

/* As mount(2), by several calls, up to the first that fails. */
static int run_mount_in_steps(struct data *d)
{
	static const struct { const char *key, *value; } options[] = {
		{ "mode", "1777" }, { "uid", "1" }, { "gid", "2" }, { "size", "4m" },
		{ "max", "2" },
	};
	int fs = result(syscall(SYS_fsopen, "mpmcqfs", 0)), mnt, ret = fs;
	size_t i;

	for (i = 0; ret >= 0 && i < ARRAY_SIZE(options); i++)
		ret = result(syscall(SYS_fsconfig, fs, SET_STRING, options[i].key,
				     options[i].value, 0));
	if (ret >= 0)
		ret = result(syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0));
	mnt = ret < 0 ? ret : result(syscall(SYS_fsmount, fs, 0, 0));
	if (fs >= 0)
		close(fs);
	if (mnt < 0)
		return mnt;
	ret = result(syscall(SYS_move_mount, mnt, "", AT_FDCWD, d->place, MOVE_EMPTY_PATH));
	close(mnt);
	return ret;
}

/* Whether the directory at @path is as OPTIONS say, and queues can be made there. */
static bool is_mounted(struct data *d, const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct mpmcq_create create = {
		.size = sizeof(create), .name = (unsigned long)"a", .capacity = 2, .msg_size = 100,
	};
	struct statfs fs;
	struct stat st;
	bool good;

	good = !fstatfs(dir, &fs) && fs.f_type == MPMCQFS_MAGIC && fs.f_files == 2 &&
	       fs.f_blocks * fs.f_bsize == 4 << 20 && !fstat(dir, &st) &&
	       st.st_mode == (S_IFDIR | 01777) && st.st_uid == 1 && st.st_gid == 2 &&
	       !ioctl(dir, MPMCQ_IOC_CREATE, &create);
	fd = open_at(dir, "a", O_RDWR | O_NONBLOCK);
	good = good && takes_messages(fd);
	close(fd);
	close(dir);
	return good;
}

/* It is mounted until it is unmounted, or has never been. */
static bool verify_mount(struct data *d, int ret)
{
	bool good = ret < 0 || (is_mounted(d, d->place) && !umount2(d->place, 0));

	return good && nothing_left(d) && umount2(d->place, 0) == -1 && errno == EINVAL;
}

TEST_F_TIMEOUT(make, mount, 400)
{
	const struct operation op = {
		"mount", 12, prepare_mount, run_mount, { -EFAULT, -ENOMEM }, verify_mount
	};
	const struct operation op_steps = {
		"fsopen, fsconfig, fsmount, move_mount", 20, prepare_mount, run_mount_in_steps,
		{ -EFAULT, -ENOMEM }, verify_mount
	};

	all_points(&self->data, &op);
	all_points(&self->data, &op_steps);
}

/* A mount with a queue in it, which goes with it */
static void prepare_umount(struct data *d)
{
	d->traces = look_for_traces(d);
	if (run_mount(d) || !is_mounted(d, d->place))
		d->traces.mounts = -1;
}

static int run_umount(struct data *d)
{
	return result(umount2(d->place, 0));
}

/* It is gone with its queue, or is there with it. */
static bool verify_umount(struct data *d, int ret)
{
	char path[2 * PATH_SIZE];
	bool good;

	snprintf(path, sizeof(path), "%s/a", d->place);
	good = !access(path, F_OK) == (ret < 0);
	if (ret < 0)
		good = good && !run_umount(d);
	return good && nothing_left(d);
}

TEST_F_TIMEOUT(make, umount, 200)
{
	const struct operation op = {
		"umount", 2, prepare_umount, run_umount, { -EFAULT, -ENOMEM }, verify_umount
	};

	all_points(&self->data, &op);
}

static int run_remount(struct data *d)
{
	return result(mount(NULL, d->mount, NULL, MS_REMOUNT, "size=8m,max=9"));
}

static void prepare_remount(struct data *d)
{
	d->traces = look_for_traces(d);
	mount(NULL, d->mount, NULL, MS_REMOUNT, "size=4m,max=5");
}

/* Both limits have changed, or none has. */
static bool verify_remount(struct data *d, int ret)
{
	struct statfs fs;

	return !statfs(d->mount, &fs) && (int)fs.f_files == (ret < 0 ? 5 : 9) &&
	       (int)(fs.f_blocks * fs.f_bsize >> 20) == (ret < 0 ? 4 : 8) && nothing_left(d);
}

TEST_F_TIMEOUT(make, remount, 200)
{
	const struct operation op = {
		"remount", 6, prepare_remount, run_remount, { -EFAULT, -ENOMEM }, verify_remount
	};

	all_points(&self->data, &op);
}

static void prepare_mode(struct data *d)
{
	d->traces = look_for_traces(d);
	d->reader = run_create(d);
}

static int run_mode(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_MODE, &d->mode));
}

static int mode_one(struct data *d)
{
	int ret;

	d->reader = run_create(d);
	if (d->reader < 0)
		return d->reader;
	ret = run_mode(d);
	if (!ret)
		return d->reader;
	close(d->reader);
	return ret;
}

/* The modes are as asked, or as they were, and can be set again. */
static bool verify_mode(struct data *d, int ret)
{
	struct mpmcq_info info = info_of(d->reader);
	bool good = ret < 0 ? !info.modes && !info.max_held && takes_messages(d->reader) :
			      info.modes == d->mode.modes && info.max_held == HELD;

	good = good && !set_modes(d->reader, d->mode.modes, HELD);
	d->nb = attach(d->reader, O_RDWR | O_NONBLOCK, 0, 0);
	good = good && can_hold_all(d);
	close(d->nb);
	close(d->reader);
	return good && nothing_left(d) && !make_one(d);
}

TEST_F_TIMEOUT(make, mode, 200)
{
	const struct operation op = {
		"MODE", 3, prepare_mode, run_mode, { -EFAULT, -ENOMEM }, verify_mode
	};
	struct data *d = &self->data;

	d->mode = (struct mpmcq_mode) {
		.size = sizeof(d->mode), .modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
		.max_held = HELD,
	};
	d->one = mode_one;
	tighten_all(_metadata, d);
	all_points(d, &op);
}

/* The controls */
TEST_F_TIMEOUT(make, control_limits, 200)
{
	struct mpmcq_create first;
	struct data *d = &self->data;
	size_t i;

	give_name(d);
	first = d->create;
	first.name = (unsigned long)"first";
	for (i = 0; i < LIMITS; i++) {
		ASSERT_LT(0, tighten(d, i)) TH_LOG("%s", limit_name(i));
		ASSERT_EQ(0, ioctl(d->dir, MPMCQ_IOC_CREATE, &first)) TH_LOG("%s", limit_name(i));
		EXPECT_EQ(limits[i].error, make_one(d)) TH_LOG("%s", limit_name(i));
		EXPECT_TRUE(set_limit(d, i, self->limit[i]));
		ASSERT_EQ(0, remove_at(d->dir, "first"));
	}
}

static int run_leaving_create(struct data *d)
{
	run_create(d);
	return run_create(d);
}

TEST_F_TIMEOUT(make, control_create_leaves_one, 200)
{
	const struct operation op = {
		"CREATE that leaves one behind", 10, prepare_create, run_leaving_create,
		{ -EFAULT, -ENOMEM }, verify_create
	};
	int first;

	first = dup(STDOUT_FILENO);
	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	close_from(first);
}

static int run_leaving_unlink(struct data *d)
{
	return 0;
}

TEST_F_TIMEOUT(make, control_name_stays, 200)
{
	const struct operation op = {
		"unlink that does nothing", 0, prepare_closing, run_leaving_unlink, { 0 },
		verify_unlink
	};

	give_name(&self->data);
	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	remove_at(self->data.dir, NAME);
}

/* Mounts twice: one stays. */
static int run_leaving_mount(struct data *d)
{
	int ret = run_mount(d);

	return ret ? ret : run_mount(d);
}

TEST_F_TIMEOUT(make, control_mount_stays, 200)
{
	const struct operation op = {
		"mount that leaves one behind", 12, prepare_mount, run_leaving_mount,
		{ -EFAULT, -ENOMEM }, verify_mount
	};

	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	while (!umount2(self->data.place, MNT_DETACH))
		;
}

/* The last of these tests: what they have left behind */
TEST_F_TIMEOUT(make, leaks, 200)
{
	if (access(KMEMLEAK, W_OK))
		SKIP(return, "the kernel does not look for leaks: " KMEMLEAK);
	EXPECT_EQ(0, leaks(0));
}

TEST_HARNESS_MAIN
