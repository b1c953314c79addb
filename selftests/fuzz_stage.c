// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all workers share, before they begin
 */
#include <sys/epoll.h>
#include <sys/socket.h>

#include "fuzz.h"

#define OWN_CAPACITY	1024U	/* at most, of a queue that a worker has to itself */

static const struct mpmcq_create shared_queues[SHARED] = {
	[DROPPING] = {
		.capacity = 8, .msg_size = 200, .flags = MPMCQ_DROP_OLDEST, .max_deliveries = 3,
	},
	[TIMED] = { .capacity = 16, .msg_size = 300, .lease_ms = 20, .max_deliveries = 2 },
	[POOLED] = { .capacity = 32, .msg_size = 100, .max_deliveries = 4 },
};

static const __u32 pool_modes[] = { MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, MPMCQ_MODE_LEASE };

#define POOL_HELD	6	/* by each of these two */

const char *const counters[] = {
	[SENT] = "sent", [RECEIVED] = "received", [ACKED] = "acked", [RETURNED] = "returned",
	[REJECTED] = "rejected", [DROPPED] = "dropped",
};

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
			    !list_init(&q->dead, OWN_CAPACITY))
				return NULL;
		}
	}
	return w;
}

static int create_queue(struct stage *stage, int by, int k, struct mpmcq_create c)
{
	struct queue *q = &stage->queue[k];

	c.size = sizeof(c);
	c.open_flags = O_RDWR;
	c.mode = 0600;
	snprintf(c.name, sizeof(c.name), "fuzz-%d-%d", stage->pid, k);
	q->like = c;
	q->timed = c.lease_ms;
	q->pooled = k == POOLED;
	q->named = true;
	q->uid = geteuid();
	q->gid = getegid();
	q->fd = result(ioctl(by, MPMCQ_IOC_CREATE, &c));
	begin_queue(stage->world, q);
	return q->fd;
}

/* The default queue as it is, with what it has counted before. */
static bool find_default(struct stage *stage, int fd, bool exact)
{
	struct queue *q = &stage->queue[DEFAULT];
	struct mpmcq_info info;
	char path[64];
	int i;

	if (query(fd, &info))
		return false;
	begin_queue(stage->world, q);
	q->fd = fd;
	q->named = true;
	q->exact = exact;
	q->like = (struct mpmcq_create){
		.flags = info.flags, .capacity = info.capacity, .msg_size = info.msg_size,
		.max_deliveries = info.max_deliveries, .lease_ms = info.lease_ms,
	};
	memcpy(q->like.name, info.name, sizeof(info.name));
	for (i = 0; i < (int)ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), "/sys/class/mpmcq/mpmcq/%s", counters[i]);
		q->before[i] = number_in(path, "");
	}
	return list_init(&q->ready, info.capacity) && list_init(&q->returned, info.capacity) &&
	       list_init(&q->dead, info.capacity);
}

bool set_up(struct stage *stage, int fd, bool alone)
{
	struct mpmcq_create probe = {
		.size = sizeof(probe), .flags = MPMCQ_AUTO_DESTROY, .open_flags = O_RDONLY,
	};
	char path[96];
	int i;

	stage->pid = getpid();
	if (!find_default(stage, fd, alone))
		return false;
	stage->longest = stage->queue[DEFAULT].like.msg_size + 64;
	if (stage->longest < PACKED_MAX + 256)
		stage->longest = PACKED_MAX + 256;

	snprintf(probe.name, sizeof(probe.name), "fuzz-%d-probe", stage->pid);
	i = ioctl(fd, MPMCQ_IOC_CREATE, &probe);
	snprintf(path, sizeof(path), "/dev/mpmcq-%s", probe.name);
	stage->nodes = !access(path, F_OK);
	close(i);

	stage->queues = alone ? 1 : SHARED;
	if (alone)
		return true;
	for (i = DROPPING; i < SHARED; i++)
		if (create_queue(stage, fd, i, shared_queues[i]) < 0)
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
		w->open[of].node = k == DEFAULT;
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
