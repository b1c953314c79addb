// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues with names, and as whom they are used
 */
#include <linux/capability.h>
#include <sys/fsuid.h>

#include "fuzz.h"

#define OWN_NAMES	3	/* a worker has to itself */
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

bool is_privileged(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};

	syscall(SYS_capget, &header, data);
	return data[0].effective & 1 << CAP_SYS_ADMIN &&
	       data[0].effective & 1 << CAP_DAC_OVERRIDE &&
	       data[0].effective & 1 << CAP_SETUID && data[0].effective & 1 << CAP_SETGID;
}

static struct identity draw_identity(struct worker *w)
{
	struct identity id = w->self;
	bool other_user = one_in(w, 3), other_group = one_in(w, 2), unable = one_in(w, 2);

	if (!w->privileged)
		return id;
	if (other_user)
		id.uid = 61000 + draw(w, 2);
	if (other_group)
		id.gid = 61000 + draw(w, 2);
	id.able = !unable;
	return id;
}

/* As that for a call, ... */
static void become(struct worker *w, const struct identity *id)
{
	if (!w->privileged)
		return;
	setfsgid(id->gid);
	setfsuid(id->uid);
	set_capabilities(id->able);
}

/* ... and then again as oneself. */
static void be_oneself(struct worker *w)
{
	if (!w->privileged)
		return;
	set_capabilities(true);
	setfsuid(w->self.uid);
	setfsgid(w->self.gid);
}

static bool in_group(struct worker *w, const struct identity *id, gid_t gid)
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

bool may_open(struct worker *w, const struct queue *q, int flags, const struct identity *id)
{
	__u32 access = flags & O_ACCMODE, mode = q->like.mode;
	__u32 want = (access != O_WRONLY ? 4 : 0) | (access != O_RDONLY ? 2 : 0);

	if (id->uid == q->uid)
		mode >>= 6;
	else if (in_group(w, id, q->gid))
		mode >>= 3;
	return !(want & ~mode) || (id->able && w->privileged);
}

/* The queue of that name, of those this worker has to do with. */
static struct queue *find_queue(struct worker *w, const char *name)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (w->own[i].serial && w->own[i].named && !strcmp(w->own[i].like.name, name))
			return &w->own[i];
	for (i = DEFAULT + 1; i < w->stage->queues; i++)
		if (!strcmp(w->stage->queue[i].like.name, name))
			return &w->stage->queue[i];
	return NULL;
}

static bool is_taken(struct worker *w, const char *name)
{
	return !strcmp(name, "mpmcq") || find_queue(w, name);
}

static void name_own(struct worker *w, char *name, int i)
{
	int n = snprintf(name, MPMCQ_NAME_MAX + 1, "fuzz-%d-%d_%d.", w->stage->pid, w->id, i);

	/* One is as long as can be. */
	if (!i)
		memset(name + n, 'x', MPMCQ_NAME_MAX - n);
}

/* A name, or what is none; @name is all 0 before. */
static void draw_name(struct worker *w, char *name)
{
	static const char *const names[] = {
		"mpmcq", "", ".a", "-a", "a/b", "a b", "..", "a\n", "\xc3\xbc",
	};

	switch (draw(w, 16)) {
	case 0:
		strcpy(name, draw_of(w, names));
		break;
	case 1:		/* which does not end */
		memset(name, 'a', MPMCQ_NAME_MAX + 1);
		break;
	case 2:		/* with more behind its end */
		name_own(w, name, 1);
		name[MPMCQ_NAME_MAX - draw(w, 4)] = 'a';
		break;
	case 3 ... 4:
		if (!is_alone(w))
			strcpy(name, w->stage->queue[1 + draw(w, SHARED - 1)].like.name);
		break;
	default:
		name_own(w, name, draw(w, OWN_NAMES));
	}
}

static struct queue *unused_queue(struct worker *w)
{
	int i;

	for (i = 0; i < OWNED_QUEUES; i++)
		if (!w->own[i].serial)
			return &w->own[i];
	return NULL;
}

static void draw_create(struct worker *w, struct mpmcq_create *c)
{
	static const __u32 capacities[] = { 2, 2, 4, 8, 16, 64, 256, 0 };
	static const __u32 msg_sizes[] = { 1, 8, 15, 16, 24, 40, 100, 600, OWN_MSG_SIZE, 0 };
	static const __u32 bad_capacities[] = { 1, 3, 1000, 2097152, 1U << 31, UINT32_MAX };
	static const __u32 deliveries[] = { 0, 0, 1, 2, 3, 8, UINT32_MAX };
	static const __u32 lease_ms[] = { 0, 0, 3600000, INT_MAX };
	static const __u32 modes[] = { 0600, 0600, 0660, 0666, 0400, 0040, 0 };

	*c = (struct mpmcq_create){
		.capacity = draw_of(w, capacities),
		.msg_size = draw_of(w, msg_sizes),
		.max_deliveries = draw_of(w, deliveries),
		.lease_ms = draw_of(w, lease_ms),
		.open_flags = draw_open_flags(w),
		.flags = (one_in(w, 4) ? MPMCQ_DROP_OLDEST : 0) |
			 (one_in(w, 4) ? MPMCQ_AUTO_CLOSE : 0),
	};
	if (one_in(w, 2)) {
		draw_name(w, c->name);
		c->mode = draw_of(w, modes);
		c->flags |= one_in(w, 3) ? MPMCQ_AUTO_DESTROY : 0;
	}
	switch (draw(w, 32)) {
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
}

void call_create(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct identity id = draw_identity(w);
	struct queue *q = unused_queue(w);
	struct mpmcq_create c;
	struct expected e;
	struct args a;

	draw_create(w, &c);
	a = lay_out_args(w, &c, sizeof(c), sizeof(c), true);
	e = a.refusal;
	check_create(&c, open_file(w, by), &e);
	if (is_name(c.name, sizeof(c.name)) && is_taken(w, c.name))
		may_fail(&e, -EEXIST);
	if (!e.errors && !q)
		return;
	if (!e.errors)
		may_return(&e, 0, INT_MAX);
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_CREATE, &a);
	be_oneself(w);
	if (!returned(w, "ioctl: CREATE", ret, &e) || ret < 0)
		return;
	begin_queue(w->world, q);
	q->like = c;
	q->like.capacity = c.capacity ? c.capacity : 1024;
	q->like.msg_size = c.msg_size ? c.msg_size : 1024;
	q->named = !has_no_name(&c);
	q->uid = id.uid;
	q->gid = id.gid;
	put_file(w, i, ret, q, c.open_flags, 0, 0);
}

void call_open_name(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct mpmcq_name name = { .open_flags = draw_open_flags(w) };
	struct identity id = draw_identity(w);
	const struct queue *q;
	struct expected e;
	struct args a;

	draw_name(w, name.name);
	if (one_in(w, 16))
		name.open_flags ^= 1U << draw(w, 32);
	if (one_in(w, 32))
		draw_garbage(w, &name, sizeof(name));
	a = lay_out_args(w, &name, sizeof(name), sizeof(name), true);
	e = a.refusal;
	if (!are_open_flags(name.open_flags) || !is_name(name.name, sizeof(name.name)))
		may_fail(&e, -EINVAL);
	if (!e.errors) {
		q = find_queue(w, name.name);
		if (!q)
			may_fail(&e, -ENOENT);
		else if (!may_open(w, q, name.open_flags, &id))
			may_fail(&e, -EACCES);
		else
			may_return(&e, 0, INT_MAX);
	}
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_OPEN, &a);
	be_oneself(w);
	if (returned(w, "ioctl: OPEN", ret, &e) && ret >= 0)
		put_file(w, i, ret, find_queue(w, name.name), name.open_flags, 0, 0);
}

void path_of(const struct queue *q, const char *where, char *path, size_t size)
{
	snprintf(path, size, "%s/mpmcq%s%s", where, strcmp(q->like.name, "mpmcq") ? "-" : "",
		 strcmp(q->like.name, "mpmcq") ? q->like.name : "");
}

/* By its node, if it has one. */
void call_open_node(struct worker *w)
{
	int i = draw(w, OWN), flags = draw_open_flags(w), ret;
	struct expected e = NOTHING;
	char name[MPMCQ_NAME_MAX + 1] = "", path[96];
	struct queue *q;

	draw_name(w, name);
	q = is_name(name, sizeof(name)) ? find_queue(w, name) : NULL;
	if (!q || !w->stage->nodes)
		return;
	path_of(q, "/dev", path, sizeof(path));
	if (may_open(w, q, flags, &w->self))
		may_return(&e, 0, INT_MAX);
	else
		may_fail(&e, -EACCES);
	ret = result(open(path, flags));
	if (returned(w, "open", ret, &e) && ret >= 0)
		put_file(w, i, ret, q, flags, 0, 0)->node = true;
}

/* Its node goes, and who has come by it cannot open it any more. */
void call_destroy(struct worker *w)
{
	struct identity id = draw_identity(w);
	struct mpmcq_name name = {};
	int by = draw_file(w), node = -1, ret;
	struct queue *q = NULL;
	struct expected e;
	struct args a;
	char path[96];

	draw_name(w, name.name);
	if (one_in(w, 16))
		name.open_flags = 1U << draw(w, 32);
	if (one_in(w, 32))
		draw_garbage(w, &name, sizeof(name));
	a = lay_out_args(w, &name, sizeof(name), sizeof(name), true);
	e = a.refusal;
	if (name.open_flags || !is_name(name.name, sizeof(name.name)))
		may_fail(&e, -EINVAL);
	if (!e.errors) {
		q = find_queue(w, name.name);
		if (!q)
			may_fail(&e, -ENOENT);
		else if (!q->exact)
			return;
		else if (id.uid != q->uid && !(id.able && w->privileged))
			may_fail(&e, -EPERM);
		else
			may_return(&e, 0, 0);
	}
	if (q && w->stage->nodes) {
		path_of(q, "/dev", path, sizeof(path));
		node = open(path, O_PATH);
		if (node < 0)
			complain(w, "open: O_PATH", -errno, "");
	}
	become(w, &id);
	ret = call_args(w, by, MPMCQ_IOC_DESTROY, &a);
	be_oneself(w);
	if (returned(w, "ioctl: DESTROY", ret, &e) && !ret) {
		q->named = false;
		if (!q->files)
			q->serial = 0;
		if (node >= 0) {
			has_to(w, "open", result(open(path, O_RDWR)), -ENOENT);
			snprintf(path, sizeof(path), "/proc/self/fd/%d", node);
			has_to(w, "open", result(open(path, O_RDWR)), -ENXIO);
		}
	}
	if (node >= 0)
		close(node);
}

void name_contended(struct worker *w, char *name, int i)
{
	snprintf(name, MPMCQ_NAME_MAX + 1, "fuzz-%d-x%d", w->stage->pid, i);
}

/* Names that others create and destroy at any moment; what is sent there is nobody's. */
void call_contended(struct worker *w)
{
	struct mpmcq_create c = { .size = sizeof(c), .capacity = 2, .msg_size = 8, .mode = 0600 };
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = O_RDWR | O_NONBLOCK };
	int by = w->files.fd[COMMON], fd, how = draw(w, 4), k = draw(w, CONTENDED);
	bool end = one_in(w, 2), read_it = one_in(w, 2);
	char path[96];
	__u64 buf[8] = {};

	if (is_alone(w))
		return;
	name_contended(w, name.name, k);
	memcpy(c.name, name.name, sizeof(c.name));
	c.open_flags = name.open_flags;
	c.flags = draw(w, 8);
	snprintf(path, sizeof(path), "/dev/mpmcq-%s", name.name);
	switch (how) {
	case 0:
		fd = result(ioctl(by, MPMCQ_IOC_CREATE, &c));
		break;
	case 1:
		fd = result(ioctl(by, MPMCQ_IOC_OPEN, &name));
		break;
	case 2:
		fd = result(open(path, O_RDWR | O_NONBLOCK));
		break;
	default:
		name.open_flags = 0;
		fd = result(ioctl(by, MPMCQ_IOC_DESTROY, &name));
		if (fd && fd != -ENOENT)
			complain(w, "ioctl: DESTROY", fd, "");
		return;
	}
	if (fd < 0) {
		if (fd != (how ? -ENOENT : -EEXIST) && (fd != -ENXIO || how != 2))
			complain(w, "a name in use by others", fd, "");
		return;
	}
	put(fd, buf, sizeof(buf[0]));
	if (end)
		has_to(w, "ioctl: CLOSE", result(ioctl(fd, MPMCQ_IOC_CLOSE, 0)), 0);
	if (read_it)
		take(fd, buf, sizeof(buf));
	pthread_mutex_lock(&forking);
	close(fd);
	pthread_mutex_unlock(&forking);
}
