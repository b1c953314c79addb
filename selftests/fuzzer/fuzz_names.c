// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues with names: made, opened, changed and removed in directories of mpmcqfs, by several
 * users with and without capabilities
 */
#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>

#include "fuzz.h"

#define OWN_NAMES	4	/* a worker has to itself, in each mount */
#define OWN_MSG_SIZE	2000U	/* at most, but for the default */

static void set_capabilities(bool all)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	int i;

	syscall(SYS_capget, &header, data);
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		data[i].effective = all ? data[i].permitted : 0;
	syscall(SYS_capset, &header, data);
}

/* Not in a user namespace that knows one user only. */
static bool has_other_users(void)
{
	uid_t self = setfsuid(OTHER_IDS);

	return setfsuid(self) == OTHER_IDS;
}

bool is_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
	bool able;

	syscall(SYS_capget, &header, data);
	able = data[0].effective & 1 << CAP_SYS_ADMIN &&
	       data[0].effective & 1 << CAP_DAC_OVERRIDE &&
	       data[0].effective & 1 << CAP_SETUID && data[0].effective & 1 << CAP_SETGID &&
	       has_other_users();
	set_capabilities(true);		/* setfsuid() takes some away */
	return able;
}

struct identity draw_identity(struct worker *w)
{
	struct identity id = w->self;
	bool other_user = one_in(w, 3), other_group = one_in(w, 2), unable = one_in(w, 2);

	if (!w->privileged)
		return id;
	if (other_user)
		id.uid = OTHER_IDS + draw(w, 2);
	if (other_group)
		id.gid = OTHER_IDS + draw(w, 2);
	id.able = !unable;
	return id;
}

void become(struct worker *w, const struct identity *id)
{
	if (!w->privileged)
		return;
	setfsgid(id->gid);
	setfsuid(id->uid);
	set_capabilities(id->able);
}

void be_oneself(struct worker *w)
{
	if (!w->privileged)
		return;
	set_capabilities(true);
	setfsuid(w->self.uid);
	setfsgid(w->self.gid);
}

static bool in_group(const struct identity *id, gid_t gid)
{
	gid_t groups[64];
	int n = getgroups(ARRAY_SIZE(groups), groups);

	if (id->gid == gid)
		return true;
	while (n-- > 0)
		if (groups[n] == gid)
			return true;
	return false;
}

bool may_access(struct worker *w, const struct identity *id, uid_t uid, gid_t gid, mode_t mode,
		int want)
{
	if (id->able)
		return true;
	if (id->uid == uid)
		mode >>= 6;
	else if (in_group(id, gid))
		mode >>= 3;
	return !(want & ~mode);
}

static bool may_open(struct worker *w, const struct queue *q, int flags, const struct identity *id)
{
	int access = flags & O_ACCMODE;
	int want = (access != O_WRONLY ? R_OK : 0) |
		   (access != O_RDONLY || flags & O_TRUNC ? W_OK : 0);

	return may_access(w, id, q->uid, q->gid, q->mode, want);
}

static bool may_search(struct worker *w, const struct mount *m, const struct identity *id)
{
	return may_access(w, id, m->uid, m->gid, m->mode, X_OK);
}

/* Whether @id may make and remove names there, but for what the sticky bit forbids. */
static bool may_write(struct worker *w, const struct mount *m, const struct identity *id)
{
	return may_access(w, id, m->uid, m->gid, m->mode, W_OK | X_OK);
}

struct queue *find_queue(struct worker *w, const struct mount *m, const char *name)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (w->own[i].serial && w->own[i].named && w->own[i].mount == m &&
		    !strcmp(w->own[i].name, name))
			return &w->own[i];
	for (i = DEFAULT + 1; i < w->stage->queues && m == &w->stage->mount; i++)
		if (w->stage->queue[i].named && !strcmp(w->stage->queue[i].name, name))
			return &w->stage->queue[i];
	return NULL;
}

void lose_name(struct queue *q)
{
	q->named = false;
	if (!q->files)
		q->serial = 0;
}

void name_own(struct worker *w, char *name, int i)
{
	static const char *const odd[OWN_NAMES] = { "long", "plain", "- y\n*", "\xc3\xbc\xff." };
	int n = sprintf(name, "%d%s", w->id, odd[i]);

	/* One is as long as can be. */
	if (i)
		return;
	memset(name + n, 'x', NAME_MAX - n);
	name[NAME_MAX] = '\0';
}

/* A name that may be one, or too long; mostly one of the worker's own. */
static void draw_name(struct worker *w, char *name)
{
	static const int lengths[] = { NAME_MAX + 1, 300, PATH_MAX, PATH_MAX + 100 };
	int kind = draw(w, 24), len;

	if (!kind) {
		*name = '\0';
	} else if (kind == 1) {
		len = draw_of(w, lengths);
		memset(name, 'a', len);
		name[len] = '\0';
	} else if (kind < 4 && !is_alone(w)) {
		strcpy(name, w->stage->queue[1 + draw(w, SHARED - 1)].name);
	} else {
		name_own(w, name, draw(w, OWN_NAMES));
	}
}

/* Puts a name where it ends with the accessible memory, or goes on beyond that; its address. */
static __u64 lay_out_name(struct worker *w, const char *name, struct expected *e)
{
	bool there = !one_in(w, 32), ends = !one_in(w, 32);
	unsigned char *at = w->arena->text_end - strlen(name) - ends;

	memcpy(at, name, strlen(name) + ends);
	if (!there || !ends)
		may_fail(e, -EFAULT);
	return (unsigned long)(there ? at : draw_kernel_address(w));
}

static struct queue *unused_queue(struct worker *w)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (!w->own[i].serial)
			return &w->own[i];
	return NULL;
}

/* Arguments for a CREATE, with @name or 0, if there is @like to be compared with. */
static void draw_create(struct worker *w, struct mpmcq_create *c, __u64 name,
			const struct queue *like)
{
	static const __u32 capacities[] = { 2, 2, 4, 8, 16, 64, 256, 0 };
	static const __u32 msg_sizes[] = { 1, 8, 15, 16, 24, 40, 100, 600, OWN_MSG_SIZE, 0 };
	static const __u32 bad_capacities[] = { 1, 3, 1000, 2097152, 1U << 31, UINT32_MAX };
	static const __u32 deliveries[] = { 0, 0, 1, 2, 3, 8, MPMCQ_MAX_DELIVERIES_MAX };
	static const __u32 lease_ms[] = { 0, 0, 3600000, INT_MAX };
	static const __u32 modes[] = { 0600, 0600, 0660, 0666, 0400, 0040, 0 };

	*c = (struct mpmcq_create){
		.capacity = draw_of(w, capacities),
		.msg_size = draw_of(w, msg_sizes),
		.max_deliveries = draw_of(w, deliveries),
		.lease_ms = draw_of(w, lease_ms),
		.levels = one_in(w, 2) ? draw(w, MPMCQ_LEVELS_MAX + 1) : 0,
		.retry_ms = one_in(w, 6) ? 3600000 : 0,
		.flags = (one_in(w, 4) ? MPMCQ_DROP_OLDEST : 0) |
			 (one_in(w, 4) ? MPMCQ_AUTO_CLOSE : 0) |
			 (one_in(w, 2) ? MPMCQ_DELAY : 0) |
			 (one_in(w, 4) ? MPMCQ_START_LEASE : 0) |
			 (one_in(w, 3) ? MPMCQ_STAMP : 0),
	};
	if (c->retry_ms && one_in(w, 2))
		c->retry_max_ms = c->retry_ms << draw(w, 10);
	if (like && one_in(w, 2)) {
		*c = like->like;
		c->flags |= MPMCQ_EXIST_OK;
	}
	c->open_flags = name ? 0 : draw_open_flags(w);
	if (name) {
		c->mode = draw_of(w, modes);
		c->flags |= one_in(w, 4) ? MPMCQ_EXIST_OK : 0;
	}
	switch (draw(w, 32)) {
	case 9:
		c->levels = MPMCQ_LEVELS_MAX + 1 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 8:
		c->retry_ms = 0;
		c->retry_max_ms = 1 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 0:
		c->capacity = draw_of(w, bad_capacities);
		break;
	case 1:
		c->msg_size = 65537 + draw(w, 2) * draw(w, 1U << 31);
		break;
	case 2:
		c->flags ^= 1U << draw(w, 32);
		break;
	case 3:
		c->open_flags ^= 1U << draw(w, 32);
		break;
	case 4:
		c->mode ^= 1U << draw(w, 32);
		break;
	case 5:
		c->lease_ms = INT_MAX + 1U + draw(w, 2);
		break;
	case 6:
		c->capacity = 1048576;
		c->msg_size = 65536;
		break;
	case 7:
		draw_garbage(w, c, sizeof(*c));
		break;
	}
	c->name = name;
}

/* Whether the limits of the mount leave no room for one more queue; if so, may is set, too. */
static bool is_full(struct worker *w, const struct mount *m, const struct mpmcq_create *c,
		    bool *may)
{
	__u64 least = least_bytes_in(w, m) + least_bytes(c);
	__u64 most = most_bytes_in(w, m) + most_bytes(w->stage, c);
	bool full = m->exact && ((m->max && queues_in(w, m) >= m->max) ||
				 (m->size && least > m->size));

	*may = full || (m->exact && m->size && most > m->size);
	return full;
}

/* The result of a CREATE of that name, where there is @q or no queue, by what is not args. */
static void expect_named(struct worker *w, const struct mount *m, const struct queue *q,
			 const struct mpmcq_create *c, const struct identity *id,
			 struct expected *e)
{
	bool same = q && is_like(q, c), may_be_full, full = is_full(w, m, c, &may_be_full);

	if (!may_search(w, m, id)) {
		may_fail(e, -EACCES);
		return;
	}
	if (!same && !may_write(w, m, id))
		may_fail(e, -EACCES);
	if (q && !same)
		may_fail(e, -EEXIST);
	if (!same && full)
		may_fail(e, -ENOSPC);
	if (!same && m->read_only)
		may_fail(e, -EROFS);
	if (!e->errors)
		may_return(e, 0, 0);
	/* Nothing has to be written. */
	if (same && m->read_only)
		may_fail(e, -EROFS);
	if (!same && may_be_full)
		may_fail(e, -ENOSPC);
}

/* There is a new queue in place of @q. */
static void has_created(struct worker *w, struct queue *q, const struct mpmcq_create *c,
			const struct identity *id)
{
	begin_queue(w->world, q);
	q->like = normalized(*c);
	q->is_private = !c->name;
	q->uid = id->uid;
	q->gid = id->gid;
}

static void create_private(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), k = draw_mount(w), ret;
	bool on_directory = one_in(w, 3);
	struct identity id = draw_identity(w);
	struct queue *q = unused_queue(w);
	struct mpmcq_create c;
	struct expected e;
	struct args a;

	draw_create(w, &c, 0, NULL);
	a = lay_out_args(w, &c, sizeof(c), sizeof(c), true);
	e = a.refusal;
	check_create(&c, on_directory, &e);
	if (!e.errors && !q)
		return;
	if (!e.errors)
		may_return(&e, 0, INT_MAX);
	become(w, &id);
	ret = call_args(w, on_directory ? w->files.dir[k] : w->files.fd[by], MPMCQ_IOC_CREATE, &a);
	be_oneself(w);
	if (!returned(w, "ioctl: CREATE", ret, &e) || ret < 0)
		return;
	has_created(w, q, &c, &id);
	put_opened(w, i, ret, q, c.open_flags);
}

/* Opens a queue that was just made. */
static void open_new(struct worker *w, int k, struct queue *q)
{
	int i = draw(w, OWN), flags = draw_open_flags(w), fd;

	fd = result(openat(w->files.dir[k], q->name, flags));
	if (mount_of(w, k)->nodev)
		has_to(w, "openat, of a mount with nodev", fd, -EACCES);
	else if (fd < 0)
		complain(w, "openat, of a queue that was just made", fd, "");
	else
		put_opened(w, i, fd, q, flags);
}

static void create_named(struct worker *w)
{
	static const char *const bad_names[] = { ".", "..", "a/b", "/", "/a", "a/", "//" };
	int by = draw_file(w), k = draw_mount(w), ret;
	bool on_directory = !one_in(w, 8), bad_name = one_in(w, 16), open_it = !one_in(w, 4);
	struct mount *m = mount_of(w, k);
	struct identity id = draw_identity(w);
	struct queue *q = unused_queue(w), *like;
	struct expected named = NOTHING, e;
	struct mpmcq_create c;
	char name[NAME_SIZE];
	struct args a;
	int i;

	draw_name(w, name);
	if (bad_name)
		strcpy(name, draw_of(w, bad_names));
	like = find_queue(w, m, name);
	draw_create(w, &c, lay_out_name(w, name, &named), like);
	a = lay_out_args(w, &c, sizeof(c), sizeof(c), true);
	e = a.refusal;
	check_create(&c, on_directory, &e);
	check_name(name, &e);
	for (i = 0; i < named.errors; i++)
		may_fail(&e, named.error[i]);
	if (!e.errors && !like && !q)
		return;
	expect_named(w, m, like, &c, &id, &e);
	become(w, &id);
	ret = call_args(w, on_directory ? w->files.dir[k] : w->files.fd[by], MPMCQ_IOC_CREATE, &a);
	be_oneself(w);
	if (!returned(w, "ioctl: CREATE with a name", ret, &e) || ret || like)
		return;
	has_created(w, q, &c, &id);
	strcpy(q->name, name);
	q->mount = m;
	q->named = true;
	q->linked = true;
	q->mode = c.mode & ~w->umask;
	if (m->mode & S_ISGID)
		q->gid = m->gid;
	if (open_it)
		open_new(w, k, q);
}

void call_create(struct worker *w)
{
	if (one_in(w, 2))
		create_private(w);
	else
		create_named(w);
}

/* How a call gets to a name: from the directory, or, if it has one, by its path. */
static int reach(struct worker *w, int k, const char *name, char *path)
{
	const struct mount *m = mount_of(w, k);

	if (m->where != MOUNTED || !*name || one_in(w, 2)) {
		strcpy(path, name);
		return w->files.dir[k];
	}
	sprintf(path, "%s/%s", m->path, name);
	return AT_FDCWD;
}

#define REACH_SIZE	(PATH_SIZE + NAME_SIZE)

/* Whether a lookup gets as far as the directory, or why not. */
static bool expect_directory(struct worker *w, const struct mount *m, const char *name,
			     const struct identity *id, struct expected *e)
{
	size_t len = strlen(name);

	if (!len)
		may_fail(e, -ENOENT);
	else if (len >= PATH_MAX)
		may_fail(e, -ENAMETOOLONG);
	else if (!may_search(w, m, id))
		may_fail(e, -EACCES);
	return !e->errors;
}

/* ..., and to the queue. */
static bool expect_found(struct worker *w, const char *name, const struct queue *q,
			 struct expected *e)
{
	if (strlen(name) > NAME_MAX)
		may_fail(e, -ENAMETOOLONG);
	else if (!q)
		may_fail(e, -ENOENT);
	return !e->errors;
}

/* O_CREAT of what is there, in a directory where all may write: only the owners may. */
static bool may_create_in_sticky(const struct mount *m, const struct queue *q,
				 const struct identity *id)
{
	return !(m->mode & S_ISVTX) || !(m->mode & 0002) || m->uid == q->uid || id->uid == q->uid;
}

static void expect_open(struct worker *w, const struct mount *m, const struct queue *q,
			const char *name, int flags, const struct identity *id,
			struct expected *e)
{
	if (!expect_directory(w, m, name, id, e))
		return;
	if (flags & O_CREAT && !q && strlen(name) <= NAME_MAX) {
		may_fail(e, m->read_only ? -EROFS : -EACCES);
		return;
	}
	if (!expect_found(w, name, q, e))
		return;
	if (m->nodev || !may_open(w, q, flags, id) ||
	    (flags & O_CREAT && !may_create_in_sticky(m, q, id)))
		may_fail(e, -EACCES);
	else
		may_return(e, 0, INT_MAX);
}

void call_open_name(struct worker *w)
{
	int k = draw_mount(w), i = draw(w, OWN), flags = draw_open_flags(w), from, ret;
	struct mount *m = mount_of(w, k);
	struct identity id = draw_identity(w);
	char name[NAME_SIZE], path[REACH_SIZE];
	struct expected e = NOTHING;
	struct queue *q;

	draw_name(w, name);
	flags |= (one_in(w, 8) ? O_CREAT : 0) | (one_in(w, 8) ? O_TRUNC : 0) |
		 (one_in(w, 8) ? O_APPEND : 0);
	q = find_queue(w, m, name);
	expect_open(w, m, q, name, flags, &id, &e);
	from = reach(w, k, name, path);
	become(w, &id);
	ret = result(openat(from, path, flags, 0600));
	be_oneself(w);
	if (returned(w, "openat", ret, &e) && ret >= 0)
		put_opened(w, i, ret, q, flags);
}

/* By a descriptor, also when the queue has lost its name or its mount. */
void call_reopen(struct worker *w)
{
	int from = draw(w, OWN), i = draw(w, OWN), flags = draw_open_flags(w), ret;
	struct queue *q = open_file(w, from)->queue;
	struct identity id = draw_identity(w);
	struct expected e = NOTHING;
	char path[64];

	if (q == &w->stage->queue[DEFAULT])
		return;
	if (q->is_private)
		may_fail(&e, -ENXIO);
	else if (!may_open(w, q, flags, &id))
		may_fail(&e, -EACCES);
	else
		may_return(&e, 0, INT_MAX);
	/* The permissions of a file that is nowhere depend on the kernel. */
	if (q->is_private)
		id = w->self;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w->files.fd[from]);
	become(w, &id);
	ret = result(open(path, flags));
	be_oneself(w);
	if (returned(w, "open of a descriptor", ret, &e) && ret >= 0)
		put_opened(w, i, ret, q, flags);
}

static void expect_unlink(struct worker *w, const struct mount *m, const struct queue *q,
			  const char *name, const struct identity *id, struct expected *e)
{
	bool owner = q && (id->uid == q->uid || id->uid == m->uid);

	if (!expect_directory(w, m, name, id, e))
		return;
	if (m->read_only)
		may_fail(e, -EROFS);
	else if (!expect_found(w, name, q, e))
		return;
	else if (!may_write(w, m, id))
		may_fail(e, -EACCES);
	else if (m->mode & S_ISVTX && !owner && !id->able)
		may_fail(e, -EPERM);
	else
		may_return(e, 0, 0);
}

/* Open files of the queue go on without its name. */
void call_unlink(struct worker *w)
{
	int k = draw_mount(w), from, ret;
	struct mount *m = mount_of(w, k);
	struct identity id = draw_identity(w);
	char name[NAME_SIZE], path[REACH_SIZE];
	struct expected e = NOTHING;
	struct queue *q;

	draw_name(w, name);
	q = find_queue(w, m, name);
	if (q && !q->exact)
		return;
	expect_unlink(w, m, q, name, &id, &e);
	from = reach(w, k, name, path);
	become(w, &id);
	ret = result(unlinkat(from, path, 0));
	be_oneself(w);
	if (!returned(w, "unlink", ret, &e) || ret)
		return;
	q->linked = false;
	lose_name(q);
	has_to(w, "openat of what was unlinked",
	       result(openat(w->files.dir[k], name, O_RDONLY)), -ENOENT);
}

/* What chmod(2), or chown(2) if @chown_it, is to set. */
struct change {
	bool chown_it;
	mode_t mode;
	uid_t uid;	/* -1: as it is */
	gid_t gid;
};

static struct change draw_change(struct worker *w)
{
	static const mode_t modes[] = { 0600, 0660, 0666, 0400, 0200, 0040, 0777, 0 };
	struct change change = {
		.chown_it = one_in(w, 2), .mode = draw_of(w, modes), .uid = -1, .gid = -1,
	};
	bool user = one_in(w, 2), group = one_in(w, 2);

	if (user)
		change.uid = w->self.uid;
	if (group)
		change.gid = w->self.gid;
	if (user && w->privileged && one_in(w, 2))
		change.uid = OTHER_IDS + draw(w, 2);
	if (group && w->privileged && one_in(w, 2))
		change.gid = OTHER_IDS + draw(w, 2);
	return change;
}

static bool may_change(const struct queue *q, const struct change *change,
		       const struct identity *id)
{
	bool owner = id->uid == q->uid;

	if (id->able)
		return true;
	if (!change->chown_it)
		return owner;
	return (change->uid == (uid_t)-1 || (owner && change->uid == q->uid)) &&
	       (change->gid == (gid_t)-1 ||
		(owner && (in_group(id, change->gid) || change->gid == q->gid)));
}

static void has_changed(struct queue *q, const struct change *change)
{
	if (!change->chown_it) {
		q->mode = change->mode;
		return;
	}
	if (change->uid != (uid_t)-1)
		q->uid = change->uid;
	if (change->gid != (gid_t)-1)
		q->gid = change->gid;
}

static void change_by_name(struct worker *w)
{
	int k = draw_mount(w), from, ret;
	struct mount *m = mount_of(w, k);
	struct identity id = draw_identity(w);
	struct change change = draw_change(w);
	char name[NAME_SIZE], path[REACH_SIZE];
	struct expected e = NOTHING;
	struct queue *q;

	draw_name(w, name);
	q = find_queue(w, m, name);
	if (q && !q->exact)
		return;
	if (expect_directory(w, m, name, &id, &e) && expect_found(w, name, q, &e)) {
		if (m->read_only)
			may_fail(&e, -EROFS);
		else if (!may_change(q, &change, &id))
			may_fail(&e, -EPERM);
		else
			may_return(&e, 0, 0);
	}
	from = reach(w, k, name, path);
	become(w, &id);
	ret = result(change.chown_it ? fchownat(from, path, change.uid, change.gid, 0) :
				       fchmodat(from, path, change.mode, 0));
	be_oneself(w);
	if (returned(w, change.chown_it ? "chown" : "chmod", ret, &e) && !ret)
		has_changed(q, &change);
}

static void change_by_file(struct worker *w)
{
	int i = draw(w, OWN), fd = w->files.fd[i], ret;
	struct queue *q = open_file(w, i)->queue;
	struct identity id = draw_identity(w);
	struct change change = draw_change(w);
	struct expected e = NOTHING;

	/* Whether a mount that is gone was read-only is forgotten. */
	if (!q->exact || !q->mount)
		return;
	if (q->mount->read_only)
		may_fail(&e, -EROFS);
	else if (!may_change(q, &change, &id))
		may_fail(&e, -EPERM);
	else
		may_return(&e, 0, 0);
	become(w, &id);
	ret = result(change.chown_it ? fchown(fd, change.uid, change.gid) :
				       fchmod(fd, change.mode));
	be_oneself(w);
	if (returned(w, change.chown_it ? "fchown" : "fchmod", ret, &e) && !ret)
		has_changed(q, &change);
}

void call_change(struct worker *w)
{
	if (one_in(w, 3))
		change_by_file(w);
	else
		change_by_name(w);
}

void name_contended(char *name, int i)
{
	sprintf(name, "contended %d", i);
}

/* Uses a queue that others remove at any moment; a message that is sent there is nobody's. */
static void use_contended(struct worker *w, int fd)
{
	bool end = one_in(w, 2), read_it = one_in(w, 2);
	__u64 buf[8] = {};

	put(fd, buf, sizeof(buf[0]));
	if (end)
		has_to(w, "ioctl: CLOSE", result(ioctl(fd, MPMCQ_IOC_CLOSE, 0)), 0);
	if (read_it)
		take(fd, buf, sizeof(buf));
	pthread_mutex_lock(&forking);
	close(fd);
	pthread_mutex_unlock(&forking);
}

void call_contended(struct worker *w)
{
	struct mpmcq_create c = { .size = sizeof(c), .capacity = 2, .msg_size = 8, .mode = 0600 };
	int dir = w->files.dir[0], how = draw(w, 4), ret;
	char name[NAME_MAX + 1], path[PATH_SIZE + NAME_MAX + 1];

	name_contended(name, draw(w, CONTENDED));
	snprintf(path, sizeof(path), "%s/%s", w->stage->mount.path, name);
	c.name = (unsigned long)name;
	c.flags = draw(w, 4) | (one_in(w, 2) ? MPMCQ_EXIST_OK : 0);
	if (is_alone(w))
		return;
	switch (how) {
	case 0:
		ret = result(ioctl(dir, MPMCQ_IOC_CREATE, &c));
		if (ret && ret != -EEXIST)
			complain(w, "ioctl: CREATE of a name that others use", ret, "");
		return;
	case 1:
		ret = result(unlinkat(dir, name, 0));
		if (ret && ret != -ENOENT)
			complain(w, "unlink of a name that others use", ret, "");
		return;
	case 2:
		ret = result(openat(dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC));
		break;
	default:
		ret = result(open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC));
	}
	if (ret >= 0)
		use_contended(w, ret);
	else if (ret != -ENOENT)
		complain(w, "open of a name that others use", ret, "");
}
