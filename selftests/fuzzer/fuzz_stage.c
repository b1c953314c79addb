// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stage: namespaces and mounts, and what all workers share before they begin
 */
#include <sched.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "fuzz.h"

#define OWN_CAPACITY	1024U	/* at most, of a queue that a worker has to itself */
#define OPTIONS_SIZE	200

static const struct mpmcq_create shared_queues[SHARED] = {
	[DROPPING] = {
		.capacity = 8, .msg_size = 200, .flags = MPMCQ_DROP_OLDEST, .max_deliveries = 3,
		.levels = 3,
	},
	[TIMED] = {
		.capacity = 16, .msg_size = 300, .lease_ms = 20, .max_deliveries = 2, .levels = 1,
		.flags = MPMCQ_STAMP, .retry_ms = 2, .retry_max_ms = 9,
	},
	[POOLED] = {
		.capacity = 32, .msg_size = 100, .max_deliveries = 4, .levels = 2,
		.flags = MPMCQ_DELAY,
	},
};

static const __u32 pool_modes[] = { MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, MPMCQ_MODE_LEASE };

#define POOL_HELD	6	/* by each of these two */

/*
 * Namespaces
 */
static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/* As somebody who stays outside: all ids of @pid's new namespace are the same as here. */
static int map_all(pid_t pid)
{
	char path[64];
	int ret;

	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	ret = write_text(path, "0 0 65536");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	return write_text(path, "0 0 65536");
}

/* As somebody who may map no more than that: root is the user. */
static int map_self(uid_t uid, gid_t gid)
{
	char map[64];
	int ret;

	snprintf(map, sizeof(map), "0 %u 1", uid);
	ret = write_text("/proc/self/uid_map", map);
	if (ret)
		return ret;
	ret = write_text("/proc/self/setgroups", "deny");
	if (ret)
		return ret;
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return write_text("/proc/self/gid_map", map);
}

/* A child stays outside meanwhile, and maps the ids. */
static int enter_mapped(void)
{
	pid_t self = getpid(), pid;
	int pipes[2], ret = 0, status;
	char c = 0;

	if (pipe(pipes))
		return -errno;
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &c, 1) != 1 || map_all(self));
	}
	close(pipes[0]);
	if (pid < 0 || unshare(CLONE_NEWUSER) || write(pipes[1], &c, 1) != 1)
		ret = -errno;
	close(pipes[1]);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || (!ret && status)))
		ret = -EPERM;
	return ret;
}

static int enter_user_namespace(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();

	if (!uid)
		return enter_mapped();
	return unshare(CLONE_NEWUSER) ? -errno : map_self(uid, gid);
}

static bool is_outside(void)
{
	unsigned int inside, outside, count;
	FILE *file = fopen("/proc/self/uid_map", "r");
	bool all = file && fscanf(file, "%u %u %u", &inside, &outside, &count) == 3 &&
		   !inside && !outside && count == UINT32_MAX;

	if (file)
		fclose(file);
	return all;
}

/* Leaves the path of a new folder in the stage, which an empty filesystem covers for us. */
static int make_base(struct stage *stage)
{
	char path[] = "/tmp/mpmcq-fuzz-XXXXXX", *real;

	if (!mkdtemp(path))
		return -errno;
	real = realpath(path, NULL);
	if (!real || strlen(real) > sizeof(stage->base) - sizeof("/w00.00"))
		return -ENAMETOOLONG;
	strcpy(stage->base, real);
	free(real);
	return mount("tmpfs", stage->base, "tmpfs", 0, "mode=0755") ? -errno : 0;
}

const char *enter_namespaces(struct stage *stage, bool inside)
{
	static char why[128];
	const char *what = "user namespace";
	int ret = inside || geteuid() ? enter_user_namespace() : 0;

	if (!ret) {
		what = "mount namespace";
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
			ret = -errno;
	}
	if (!ret) {
		what = "mounts in /tmp";
		ret = make_base(stage);
	}
	stage->outside = is_outside();
	if (!ret)
		return NULL;
	snprintf(why, sizeof(why), "no %s of one's own: %s", what, strerror(-ret));
	return why;
}

void leave_namespaces(struct stage *stage)
{
	umount2(stage->base, MNT_DETACH);
	rmdir(stage->base);
}

/*
 * Mounts
 */
int draw_mount(struct worker *w)
{
	int k = draw(w, MOUNTS);

	return mount_of(w, k)->where == NOWHERE ? 0 : k;
}

__u64 least_bytes(const struct mpmcq_create *c)
{
	return (__u64)(c->capacity ? c->capacity : 1024) * (c->msg_size ? c->msg_size : 1024);
}

/*
 * A slot takes at most 56 bytes besides the message, 32 more to be parked, 16 for a stamp.  Each
 * further level takes 8 bytes a slot and less than 256 besides.
 */
__u64 most_bytes(const struct stage *stage, const struct mpmcq_create *c)
{
	bool delay = c->flags & MPMCQ_DELAY || c->retry_ms;
	__u32 lower = c->levels > 1 ? c->levels - 1 : 0;
	__u64 slot = 56 + (delay ? 32 : 0) + (c->flags & MPMCQ_STAMP ? 16 : 0) + 8 * lower;

	return least_bytes(c) + (c->capacity ? c->capacity : 1024) * slot + 256 * lower +
	       stage->overhead;
}

static bool is_in(const struct queue *q, const struct mount *m)
{
	return q->serial && q->mount == m;
}

__u32 queues_in(struct worker *w, const struct mount *m)
{
	__u32 n = 0;
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		n += is_in(&w->own[i], m);
	return n;
}

__u64 least_bytes_in(struct worker *w, const struct mount *m)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (is_in(&w->own[i], m))
			sum += least_bytes(&w->own[i].like);
	return sum;
}

__u64 most_bytes_in(struct worker *w, const struct mount *m)
{
	__u64 sum = 0;
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (is_in(&w->own[i], m))
			sum += most_bytes(w->stage, &w->own[i].like);
	return sum;
}

static int open_directory(const char *path)
{
	return result(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Numbers of fsconfig(2) and its kind, for the sake of old headers */
enum { SET_FLAG = 0, SET_STRING = 1, CMD_CREATE = 6 };
enum { FSOPEN_CLOSES = 1, FSMOUNT_CLOSES = 1, MOVE_EMPTY_PATH = 4 };
enum { ATTR_RDONLY = 1, ATTR_NOSUID = 2, ATTR_NODEV = 4, ATTR_NOEXEC = 8 };

static int configure(int fs, const char *options, int flags)
{
	char text[OPTIONS_SIZE], *rest = text, *option, *value;
	int ret = 0;

	strcpy(text, options);
	while (!ret && (option = strsep(&rest, ","))) {
		if (!*option)
			continue;
		value = strchr(option, '=');
		if (value)
			*value++ = '\0';
		ret = result(syscall(SYS_fsconfig, fs, value ? SET_STRING : SET_FLAG, option,
				     value, 0));
	}
	if (!ret && flags & MS_RDONLY)
		ret = result(syscall(SYS_fsconfig, fs, SET_FLAG, "ro", NULL, 0));
	return ret ? ret : result(syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0));
}

/*
 * As mount(2), step by step.  Where @path is NULL it is never attached to a directory, and
 * its own, which is returned, is the only way to it.
 */
static int mount_in_steps(const char *path, int flags, const char *options)
{
	int attrs = (flags & MS_RDONLY ? ATTR_RDONLY : 0) | (flags & MS_NOSUID ? ATTR_NOSUID : 0) |
		    (flags & MS_NODEV ? ATTR_NODEV : 0) | (flags & MS_NOEXEC ? ATTR_NOEXEC : 0);
	int fs = syscall(SYS_fsopen, "mpmcqfs", FSOPEN_CLOSES), mnt, ret;

	if (fs < 0)
		return -errno;
	ret = configure(fs, options, flags);
	mnt = ret ? ret : result(syscall(SYS_fsmount, fs, FSMOUNT_CLOSES, attrs));
	close(fs);
	if (mnt < 0)
		return mnt;
	if (path)
		ret = result(syscall(SYS_move_mount, mnt, "", AT_FDCWD, path, MOVE_EMPTY_PATH));
	else
		ret = result(openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	close(mnt);
	return ret;
}

__attribute__((format(printf, 2, 3)))
static void add_option(char *text, const char *format, ...)
{
	va_list args;

	if (*text)
		strcat(text, ",");
	va_start(args, format);
	vsprintf(text + strlen(text), format, args);
	va_end(args);
}

/* Options for a mount, or a remount, and what @m is to be like with them; false if one is bad. */
static bool draw_options(struct worker *w, struct mount *m, char *text, bool remount)
{
	static const struct { const char *text; __u64 size; } sizes[] = {
		{ "0", 0 }, { "65536", 65536 }, { "300k", 300 << 10 }, { "3m", 3 << 20 },
		{ "1g", 1 << 30 },
	};
	static const mode_t modes[] = { 0755, 0777, 01777, 0700, 02775, 03777, 0555, 0 };
	static const char *const bad[] = {
		"nonsense", "nonsense=1", "size", "size=x", "size=1x", "size=-1", "size=", "max=-1",
		"max=x", "max=1k", "max=", "mode=8", "mode=x", "mode=10000", "uid=x", "gid=-1",
	};
	static const __u32 most[] = { 0, 1, 2, 3, 1000 };
	struct mount given = *m;
	bool good = !one_in(w, 8);
	int i;

	*text = '\0';
	if (one_in(w, 2)) {
		given.mode = draw_of(w, modes);
		add_option(text, "mode=%o", given.mode);
	}
	if (one_in(w, 2) && w->privileged) {
		given.uid = OTHER_IDS + draw(w, 2);
		add_option(text, "uid=%u", given.uid);
	}
	if (one_in(w, 2) && w->privileged) {
		given.gid = OTHER_IDS + draw(w, 2);
		add_option(text, "gid=%u", given.gid);
	}
	if (one_in(w, 2)) {
		i = draw(w, ARRAY_SIZE(sizes));
		m->size = sizes[i].size;
		add_option(text, "size=%s", sizes[i].text);
	}
	if (one_in(w, 2)) {
		m->max = draw_of(w, most);
		add_option(text, "max=%u", m->max);
	}
	/* They are about the directory as it is made. */
	if (!remount) {
		m->mode = given.mode;
		m->uid = given.uid;
		m->gid = given.gid;
	}
	if (!good)
		add_option(text, "%s", draw_of(w, bad));
	return good;
}

static int draw_mount_flags(struct worker *w)
{
	return (one_in(w, 8) ? MS_RDONLY : 0) | (one_in(w, 12) ? MS_NODEV : 0) |
	       (one_in(w, 2) ? MS_NOSUID : 0) | (one_in(w, 2) ? MS_NOEXEC : 0);
}

/* Whether the directory of a new mount is as it was asked for. */
static void check_directory(struct worker *w, int k)
{
	const struct mount *m = mount_of(w, k);
	struct stat st;

	if (!has_to(w, "fstat of a directory", result(fstat(w->files.dir[k], &st)), 0))
		return;
	has_to(w, "fstat: directory", st.st_mode, S_IFDIR | m->mode);
	has_to(w, "fstat: user of a directory", st.st_uid, m->uid);
	has_to(w, "fstat: group of a directory", st.st_gid, m->gid);
	check_statfs(w, k);
	check_list(w, k);
}

static void mount_new(struct worker *w, int k)
{
	struct mount *m = mount_of(w, k), new = *m;
	struct identity id = draw_identity(w);
	int flags = draw_mount_flags(w), how = draw(w, 4), ret;
	struct expected e = NOTHING;
	char options[OPTIONS_SIZE];
	const char *place = how == 1 ? NULL : m->path;

	new.mode = 0755;
	new.uid = 0;
	new.gid = 0;
	new.size = 0;
	new.max = 0;
	new.read_only = flags & MS_RDONLY;
	new.nodev = flags & MS_NODEV;
	new.where = place ? MOUNTED : ADRIFT;
	if (!draw_options(w, &new, options, false))
		may_fail(&e, -EINVAL);
	if (!id.able)
		may_fail(&e, -EPERM);
	if (!e.errors)
		may_return(&e, 0, place ? 0 : INT_MAX);
	become(w, &id);
	ret = how < 2 ? mount_in_steps(place, flags, options) :
			result(mount("queues", m->path, "mpmcqfs", flags, options));
	be_oneself(w);
	if (!returned(w, how < 2 ? "fsopen" : "mount", ret, &e) || ret < 0)
		return;
	*m = new;
	w->files.dir[k] = place ? open_directory(m->path) : ret;
	if (w->files.dir[k] < 0)
		complain(w, "open of a mount", w->files.dir[k], "");
	else
		check_directory(w, k);
}

/* A queue without a name that is open keeps its filesystem from becoming read-only. */
static bool has_nameless(struct worker *w, const struct mount *m)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (is_in(&w->own[i], m) && !w->own[i].linked)
			return true;
	return false;
}

static void remount(struct worker *w, int k)
{
	struct mount *m = mount_of(w, k), new = *m;
	struct identity id = draw_identity(w);
	int flags = one_in(w, 4) ? MS_RDONLY : 0, ret;
	struct expected e = NOTHING;
	char options[OPTIONS_SIZE];

	new.read_only = flags & MS_RDONLY;
	if (!draw_options(w, &new, options, true))
		may_fail(&e, -EINVAL);
	if (!id.able)
		may_fail(&e, -EPERM);
	if (new.read_only && !m->read_only && has_nameless(w, m))
		may_fail(&e, -EBUSY);
	if (!e.errors)
		may_return(&e, 0, 0);
	flags |= m->nodev ? MS_NODEV : 0;
	become(w, &id);
	ret = result(mount(NULL, m->path, NULL, MS_REMOUNT | flags, options));
	be_oneself(w);
	if (!returned(w, "remount", ret, &e) || ret)
		return;
	*m = new;
	check_statfs(w, k);
}

/* Nobody will find a name in it any more. */
static void forget_mount(struct worker *w, struct mount *m)
{
	int i;

	m->where = NOWHERE;
	for (i = 0; i < OWNED_QUEUES; i++) {
		if (!is_in(&w->own[i], m))
			continue;
		w->own[i].mount = NULL;
		lose_name(&w->own[i]);
	}
}

static void close_directory(struct worker *w, int k)
{
	has_to(w, "close of a directory", result(close(w->files.dir[k])), 0);
	w->files.dir[k] = -1;
}

static bool is_busy(struct worker *w, const struct mount *m)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (is_in(&w->own[i], m) && w->own[i].files)
			return true;
	return false;
}

/* With its directory open or not, and at once or, if @lazy, when it is not in use any more. */
static void unmount(struct worker *w, int k)
{
	struct mount *m = mount_of(w, k);
	bool lazy = one_in(w, 2), keep = one_in(w, 3);
	struct identity id = draw_identity(w);
	struct expected e = NOTHING;
	int ret;

	if (!id.able)
		may_fail(&e, -EPERM);
	else if (!lazy && (keep || is_busy(w, m)))
		may_fail(&e, -EBUSY);
	else
		may_return(&e, 0, 0);
	/* The children of other threads have no descriptor of it meanwhile. */
	pthread_mutex_lock(&forking);
	if (!keep)
		close_directory(w, k);
	become(w, &id);
	ret = result(umount2(m->path, lazy ? MNT_DETACH : 0));
	be_oneself(w);
	pthread_mutex_unlock(&forking);
	if (!returned(w, "umount", ret, &e))
		return;
	if (!ret && keep)
		m->where = ADRIFT;
	else if (!ret)
		forget_mount(w, m);
	else if (!keep)
		w->files.dir[k] = open_directory(m->path);
	if (!ret)
		has_to(w, "umount again", result(umount2(m->path, 0)), -EINVAL);
}

/* The last that kept it was its directory, unless a queue is open. */
static void abandon(struct worker *w, int k)
{
	pthread_mutex_lock(&forking);
	close_directory(w, k);
	pthread_mutex_unlock(&forking);
	forget_mount(w, mount_of(w, k));
}

/* The mount that all workers use stays, whatever is tried. */
static void change_shared(struct worker *w)
{
	const char *path = w->stage->mount.path;
	char options[OPTIONS_SIZE];

	if (one_in(w, 2)) {
		has_to(w, "umount of what is in use", result(umount2(path, 0)), -EBUSY);
		return;
	}
	snprintf(options, sizeof(options), "size=%ug,max=%u", 1 + draw(w, 4), 1000 + draw(w, 1000));
	has_to(w, "remount of what is in use",
	       result(mount(NULL, path, NULL, MS_REMOUNT, options)), 0);
}

void call_mount(struct worker *w)
{
	int k = draw(w, MOUNTS);

	/* The descriptors of a child are its own. */
	if (w->forked)
		return;
	if (!k)
		change_shared(w);
	else if (mount_of(w, k)->where == NOWHERE)
		mount_new(w, k);
	else if (mount_of(w, k)->where == ADRIFT)
		abandon(w, k);
	else if (one_in(w, 2))
		remount(w, k);
	else
		unmount(w, k);
}

/* Makes and uses a queue where others mount and unmount; what is there may be no mount. */
static void use_contended(struct worker *w, const char *path)
{
	struct mpmcq_create c = {
		.size = sizeof(c), .capacity = 2, .msg_size = 8, .mode = 0600,
		.name = (unsigned long)"q",
	};
	int dir = open_directory(path), fd, ret;
	__u64 buf[8] = {};

	if (dir < 0) {
		complain(w, "open of a mount that others use", dir, "");
		return;
	}
	ret = result(ioctl(dir, MPMCQ_IOC_CREATE, &c));
	if (ret && ret != -EEXIST && ret != -ENOSPC && ret != -ENOTTY)
		complain(w, "ioctl: CREATE in a mount that others use", ret, "");
	fd = result(openat(dir, "q", O_RDWR | O_NONBLOCK | O_CLOEXEC));
	if (fd >= 0) {
		put(fd, buf, sizeof(buf[0]));
		take(fd, buf, sizeof(buf));
		close(fd);
	} else if (fd != -ENOENT) {
		complain(w, "open in a mount that others use", fd, "");
	}
	ret = result(unlinkat(dir, "q", 0));
	if (ret && ret != -ENOENT)
		complain(w, "unlink in a mount that others use", ret, "");
	close(dir);
}

static void name_contended_mount(struct stage *stage, char *path, int i)
{
	snprintf(path, PATH_SIZE, "%.40s/c%d", stage->base, i);
}

/* Mounts that others unmount at any moment, several on top of each other. */
void call_contended_mount(struct worker *w)
{
	int how = draw(w, 8), ret = 0;
	char path[PATH_SIZE];

	name_contended_mount(w->stage, path, draw(w, CONTENDED));
	if (is_alone(w))
		return;
	switch (how) {
	case 0:
		ret = result(mount("queues", path, "mpmcqfs", 0, one_in(w, 2) ? "max=1" : NULL));
		break;
	case 1 ... 2:
		ret = result(umount2(path, MNT_DETACH));
		break;
	case 3:
		ret = result(umount2(path, 0));
		if (ret == -EBUSY)
			ret = 0;
		break;
	case 4:
		ret = result(mount(NULL, path, NULL, MS_REMOUNT, "max=2,size=1m"));
		break;
	default:
		use_contended(w, path);
	}
	/* What was there has been unmounted by now; some kernels then say ENOENT of a mount. */
	if (ret && ret != -EINVAL && ret != -ENOENT)
		complain(w, "mount or umount where others do", ret, "");
}

void end_mounts(struct worker *w)
{
	struct mount *m;
	int k;

	for (k = 1; k < MOUNTS; k++) {
		m = mount_of(w, k);
		if (m->where == NOWHERE)
			continue;
		if (!w->failed) {
			check_statfs(w, k);
			check_list(w, k);
		}
		pthread_mutex_lock(&forking);
		close_directory(w, k);
		if (m->where == MOUNTED)
			has_to(w, "umount, in the end",
			       result(umount2(m->path, w->failed ? MNT_DETACH : 0)), 0);
		pthread_mutex_unlock(&forking);
		forget_mount(w, m);
	}
}

/*
 * What all workers share
 */
struct worker *new_workers(struct stage *stage, __u64 seed)
{
	struct world *world = stage->world;
	/* The last one does not work, but judges in the end. */
	struct worker *w = share((world->workers + 1) * sizeof(*w));
	__u32 i, j;

	for (i = 0; w && i < world->workers + 1; i++) {
		w[i].stage = stage;
		w[i].world = world;
		w[i].id = i;
		w[i].seed = seed;
		w[i].random = seed + i * 0x632be59bd9b4e019ULL;
		w[i].parcel = -1;
		for (j = 0; j < OPEN_FILES; j++)
			if (!list_init(&w[i].open[j].held, MPMCQ_MAX_HELD_MAX))
				return NULL;
		for (j = 0; j < OWNED_QUEUES; j++) {
			struct queue *q = &w[i].own[j];

			q->exact = true;
			if (!list_init(&q->ready, OWN_CAPACITY) ||
			    !list_init(&q->returned, OWN_CAPACITY) ||
			    !list_init(&q->dead, OWN_CAPACITY) ||
			    !list_init(&q->parked, OWN_CAPACITY))
				return NULL;
		}
		for (j = 0; j < OWNED_MOUNTS; j++) {
			w[i].mount[j].exact = true;
			snprintf(w[i].mount[j].path, PATH_SIZE, "%.40s/w%u.%u", stage->base, i, j);
			if (mkdir(w[i].mount[j].path, 0755))
				return NULL;
		}
	}
	return w;
}

/* With the name of its number. */
static int create_queue(struct stage *stage, int k, struct mpmcq_create c)
{
	struct queue *q = &stage->queue[k];
	int ret;

	begin_queue(stage->world, q);
	snprintf(q->name, sizeof(q->name), "shared %d", k);
	c.size = sizeof(c);
	c.mode = 0600;
	c.name = (unsigned long)q->name;
	ret = result(ioctl(stage->dir, MPMCQ_IOC_CREATE, &c));
	if (ret)
		return ret;
	q->like = normalized(c);
	q->mount = &stage->mount;
	q->mode = c.mode;
	q->timed = c.lease_ms;
	q->pooled = k == POOLED;
	q->named = true;
	q->linked = true;
	q->uid = geteuid();
	q->gid = getegid();
	q->fd = result(openat(stage->dir, q->name, O_RDWR | O_CLOEXEC));
	return q->fd < 0 ? q->fd : 0;
}

/* The default queue as it is, with what it has counted before. */
static bool find_default(struct stage *stage, int fd, bool exact)
{
	struct queue *q = &stage->queue[DEFAULT];
	struct mpmcq_info info;
	struct stat st;
	int i;

	if (query(fd, &info) || fstat(fd, &st))
		return false;
	stage->major = major(st.st_rdev);
	begin_queue(stage->world, q);
	q->fd = fd;
	q->exact = exact;
	/* It has a name, though not in a mount. */
	q->named = true;
	q->linked = true;
	q->like = (struct mpmcq_create){
		.flags = info.flags, .capacity = info.capacity, .msg_size = info.msg_size,
		.max_deliveries = info.max_deliveries, .lease_ms = info.lease_ms,
		.levels = info.levels, .retry_ms = info.retry_ms,
		.retry_max_ms = info.retry_max_ms,
	};
	for (i = 0; i < PURGED; i++)
		q->before[i] = counter_of(&info, i);
	return list_init(&q->ready, info.capacity) && list_init(&q->returned, info.capacity) &&
	       list_init(&q->dead, info.capacity) && list_init(&q->parked, info.capacity);
}

/* What one queue more takes of the mount that all share. */
static bool measure_overhead(struct stage *stage)
{
	struct mpmcq_create c = {
		.size = sizeof(c), .capacity = 2, .msg_size = 1, .name = (unsigned long)"probe",
	};
	struct statfs before, after;

	if (fstatfs(stage->dir, &before) || ioctl(stage->dir, MPMCQ_IOC_CREATE, &c) ||
	    fstatfs(stage->dir, &after) || unlinkat(stage->dir, "probe", 0))
		return false;
	/* What is told is in blocks, and its tables in pages. */
	stage->overhead = (before.f_bfree - after.f_bfree + 2) * after.f_bsize +
			  2 * getpagesize();
	return true;
}

static bool set_up_mounts(struct stage *stage)
{
	struct mount *m = &stage->mount;
	char path[PATH_SIZE];
	int i;

	snprintf(m->path, sizeof(m->path), "%.40s/shared", stage->base);
	m->where = MOUNTED;
	m->mode = 01777;
	if (mkdir(m->path, 0755) || mount("queues", m->path, "mpmcqfs", 0, "mode=1777,size=1g"))
		return false;
	stage->dir = open_directory(m->path);
	for (i = 0; i < CONTENDED; i++) {
		name_contended_mount(stage, path, i);
		if (mkdir(path, 0755))
			return false;
	}
	snprintf(path, sizeof(path), "%.40s/" NODE_COPY, stage->base);
	stage->copy = !mknod(path, S_IFCHR | 0600, makedev(stage->major, 1));
	return stage->dir >= 0 && measure_overhead(stage);
}

bool set_up(struct stage *stage, int fd, bool alone)
{
	int i;

	umask(022);
	if (!find_default(stage, fd, alone) || !set_up_mounts(stage))
		return false;
	stage->longest = stage->queue[DEFAULT].like.msg_size + 64;
	if (stage->longest < PACKED_MAX + 256)
		stage->longest = PACKED_MAX + 256;
	stage->queues = alone ? 1 : SHARED;
	if (alone)
		return true;
	for (i = DROPPING; i < SHARED; i++)
		if (create_queue(stage, i, shared_queues[i]))
			return false;
	for (i = 0; i < 2; i++) {
		stage->pool[i] = attach(stage->queue[POOLED].fd, O_RDWR, pool_modes[i],
					POOL_HELD);
		if (stage->pool[i] < 0)
			return false;
	}
	return true;
}

void begin_work(struct worker *w)
{
	struct stage *stage = w->stage;
	int i, of = OPEN_FILES;

	w->self = (struct identity){ .uid = geteuid(), .gid = getegid(), .able = true };
	w->privileged = is_privileged();
	w->files.epoll = epoll_create1(0);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->mail))
		complain(w, "socketpair", -errno, "");
	for (i = 0; i < MOUNTS; i++)
		w->files.dir[i] = i ? -1 : stage->dir;
	for (i = 0; i < FILES; i++) {
		if (i != HOT)
			w->files.fd[i] = -1;
		w->files.of[i] = -1;
	}
	for (i = HOT; i < COMMON + stage->queues; i++) {
		int k = i == HOT ? DEFAULT : i - COMMON;

		if (i != HOT)
			w->files.fd[i] = stage->queue[k].fd;
		w->files.of[i] = --of;
		opened(&w->open[of], &stage->queue[k], O_RDWR, 0, 0);
		w->open[of].fixed = true;
	}
	for (i = 0; i < 2 && stage->queues == SHARED; i++) {
		w->files.fd[POOL + i] = stage->pool[i];
		w->files.of[POOL + i] = --of;
		opened(&w->open[of], &stage->queue[POOLED], O_RDWR, pool_modes[i], POOL_HELD);
		w->open[of].pooled = true;
		w->open[of].fixed = true;
	}
}
