// SPDX-License-Identifier: GPL-2.0-only
/*
 * The stage: namespaces and mounts, and what all workers share before they begin
 */
#include <sched.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "fuzz.h"

#define OWN_CAPACITY	1024U	/* at most, of a queue that a worker has to itself */

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
