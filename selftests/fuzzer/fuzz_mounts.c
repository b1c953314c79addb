// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mounts of mpmcqfs: workers make, change and remove their own, and all together those that
 * they share.
 */

#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "fuzz.h"

#define OPTIONS_SIZE	200

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

int open_directory(const char *path)
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

void name_contended_mount(struct stage *stage, char *path, int i)
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
