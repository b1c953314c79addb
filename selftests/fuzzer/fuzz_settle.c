// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end: each queue has to be as it is known to be, and of use
 */
#include <sys/mount.h>

#include "fuzz.h"

/* Reads all that is there, by file @i, which does not wait; how many messages, and @ret after. */
static __u32 empty(struct worker *w, int i, ssize_t *end)
{
	struct open_file *f = open_file(w, i);
	struct message m;
	ssize_t ret = 0;
	__u32 n = 0;
	int faults;

	while (!w->failed &&
	       (ret = result(read(w->files.fd[i], w->arena->msg, MSG_SIZE_MAX))) > 0) {
		faults = arrived(w->world, f, &w->order, w->arena->msg, ret, &m);
		if (!(faults & (TORN | UNKNOWN)))
			faults |= delivered(w->world, f, m);
		tell_faults(w, "read, in the end", ret, faults);
		n++;
	}
	*end = ret;
	return n;
}

static __u32 empty_open(struct worker *w, int i)
{
	ssize_t end;
	__u32 n = empty(w, i, &end);

	if (!w->failed)
		has_to(w, "read, in the end", end, -EAGAIN);
	return n;
}

/* What is parked in a queue that all have used comes until the queue ends. */
static void empty_parked(struct worker *w, struct queue *q)
{
	__u64 patience = boottime() + 20000000000ULL;
	ssize_t end = -EAGAIN;

	close_queue(w, q, w->files.fd[LAST], true);
	while (!w->failed && end == -EAGAIN && boottime() < patience) {
		empty(w, LAST, &end);
		usleep(500);
	}
	if (!w->failed)
		has_to(w, "read, until the end of delays", end, 0);
}

/* Each slot is where it can be used. */
static void use_all_slots(struct worker *w, const struct queue *q, int fd)
{
	__u32 i, len = q->like.msg_size;

	for (i = 0; i < q->like.capacity && !w->failed; i++)
		has_to(w, "write, in the end", put_msg(fd, len, i), len);
	if (!(q->like.flags & MPMCQ_DROP_OLDEST) && !w->failed)
		has_to(w, "write, in the end", put_msg(fd, len, i), -EAGAIN);
	for (i = 0; i < q->like.capacity && !w->failed; i++)
		has_to(w, "read, in the end", take_msg(fd, len, i), len);
}

/* What INFO says of file @i. */
static struct mpmcq_info info_of(struct worker *w, int i, const char *when)
{
	struct mpmcq_info info;
	__u64 counts[COUNTS];
	const char *field;

	copy_counts(open_file(w, i)->queue, counts);
	has_to(w, "ioctl: INFO", query(w->files.fd[i], &info), 0);
	field = misinformed(&info, sizeof(info), open_file(w, i), counts);
	if (field)
		complain(w, field, 0, when);
	return info;
}

/* How many messages have left unseen.  Workers that were killed could not tell of theirs. */
static __s64 count_unseen(const struct queue *q, const struct mpmcq_info *info)
{
	return q->counts[PURGED] + info->dropped - q->before[DROPPED] + info->acked -
	       q->before[ACKED] - q->counts[ACKED];
}

/* The descriptor of the directory in which a queue has its name. */
static int directory_of(struct worker *w, const struct queue *q)
{
	int k = 0;

	while (k < MOUNTS - 1 && mount_of(w, k) != q->mount)
		k++;
	return w->files.dir[k];
}

/* What it had by MPMCQ_START_LEASE would hold the last message. */
static void take_lease_away(struct worker *w, int fd)
{
	struct mpmcq_mode none = { .size = sizeof(none) };

	has_to(w, "ioctl: MODE, in the end", result(ioctl(fd, MPMCQ_IOC_MODE, &none)), 0);
}

/* One more file of the queue, by which to look at it in the end; false if there is none. */
static bool open_last(struct worker *w, struct queue *q)
{
	int i, fd = -1, flags = O_RDWR | O_NONBLOCK;

	if (q == &w->stage->queue[DEFAULT])
		fd = result(open(DEVICE, flags));
	else if (q->named)
		fd = result(openat(directory_of(w, q), q->name, flags));
	if (fd < 0 && q->named && !(q->mount && q->mount->nodev))
		complain(w, "openat, in the end", fd, "");
	for (i = 0; i < OWN && fd < 0; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q &&
		    open_file(w, i)->access == O_RDWR)
			fd = attach(w->files.fd[i], flags, 0, 0);
	if (fd < 0)
		return false;
	take_lease_away(w, fd);
	put_file(w, LAST, fd, q, flags, 0, 0);
	return true;
}

void settle(struct worker *w, struct queue *q)
{
	const bool own = q >= w->own && q < w->own + OWNED_QUEUES;
	struct mpmcq_info info;
	__s64 unseen;
	int i, dead;

	if (!open_last(w, q))
		return;
	info_of(w, LAST, ", in the end");
	for (i = 0; i < OWN; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q)
			close_file(w, i);
	if (q->like.flags & MPMCQ_DELAY && !q->exact)
		empty_parked(w, q);
	else if (q->like.flags & MPMCQ_DELAY)
		close_queue(w, q, w->files.fd[LAST], true);
	if (q != &w->stage->queue[DEFAULT] || w->stage->outside)
		reopen_queue(w, q, w->files.fd[LAST]);
	dead = attach(w->files.fd[LAST], O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);
	if (dead < 0) {
		complain(w, "ioctl: ATTACH, in the end", dead, "");
		return;
	}
	put_file(w, LAST + 1, dead, q, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);

	info = info_of(w, LAST, ", when all others are closed");
	has_to(w, "leased", info.leased, 0);
	has_to(w, "depth", info.depth, empty_open(w, LAST));
	has_to(w, "dead", info.dead, empty_open(w, LAST + 1));
	info = info_of(w, LAST, ", when it is empty");
	has_to(w, "depth", info.depth, 0);
	has_to(w, "dead", info.dead, 0);
	has_to(w, "parked", info.parked, 0);
	unseen = count_unseen(q, &info);
	tell_faults(w, "the account", unseen,
		    balance(w->world, q, own ? w->id : 0, own ? 1 : w->world->workers, unseen));
	use_all_slots(w, q, w->files.fd[LAST]);
	close_file(w, LAST + 1);
	close_file(w, LAST);
}

void remove_queue(struct worker *w, struct queue *q)
{
	if (q->mount->read_only)
		return;
	has_to(w, "unlink, in the end", result(unlinkat(directory_of(w, q), q->name, 0)), 0);
	q->linked = false;
	lose_name(q);
}

/* Whatever has gone wrong, others find the default queue empty and open. */
static void restore(int fd)
{
	struct mpmcq_dead all = { .size = sizeof(all) };
	int nonblocking = open(DEVICE, O_RDONLY | O_NONBLOCK);

	ioctl(fd, MPMCQ_IOC_REOPEN, 0);
	ioctl(fd, MPMCQ_IOC_PURGE, &all);
	take_all(nonblocking);
	close(nonblocking);
}

/* Nothing is left in the mount that all have used, and nothing keeps it busy. */
static void end_shared_mount(struct worker *w)
{
	struct mount *m = &w->stage->mount;
	char name[NAME_MAX + 1];
	int i, ret;

	for (i = 0; i < CONTENDED; i++) {
		name_contended(name, i);
		ret = result(unlinkat(w->stage->dir, name, 0));
		if (ret && ret != -ENOENT)
			complain(w, "unlink, in the end", ret, "");
	}
	m->exact = true;
	m->size = 1 << 20;
	m->max = 1000;
	has_to(w, "remount, in the end",
	       result(mount(NULL, m->path, NULL, MS_REMOUNT, "size=1m,max=1000")), 0);
	check_statfs(w, 0);
	check_list(w, 0);
	close(w->stage->dir);
	has_to(w, "umount, in the end", result(umount2(m->path, 0)), 0);
}

bool judge_shared(struct worker *w)
{
	struct stage *stage = w->stage;
	int i;

	if (!new_arena(w))
		return false;
	begin_work(w);
	for (i = 0; i < 2 && stage->queues == SHARED; i++)
		close(stage->pool[i]);
	for (i = 0; i < stage->queues && !w->failed; i++) {
		settle(w, &stage->queue[i]);
		if (i == DEFAULT)
			continue;
		remove_queue(w, &stage->queue[i]);
		close(stage->queue[i].fd);
	}
	if (w->failed)
		restore(stage->queue[DEFAULT].fd);
	else
		end_shared_mount(w);
	return !w->failed;
}
