// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end: each queue has to be as it is known to be, and of use
 */
#include "fuzz.h"

/* Reads all that is there, by file @i, which does not wait; how many messages. */
static __u32 empty(struct worker *w, int i)
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
	if (!w->failed)
		has_to(w, "read, in the end", ret, -EAGAIN);
	return n;
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

/* How many have left without a name, by what the queue itself has counted. */
static __s64 count_unnamed(struct worker *w, const struct queue *q)
{
	__s64 counts[ARRAY_SIZE(counters)];
	char folder[96], path[128];
	int i;

	if (!q->named)
		return q->counts[PURGED] + q->counts[DROPPED];
	path_of(q, "/sys/class/mpmcq", folder, sizeof(folder));
	for (i = 0; i < (int)ARRAY_SIZE(counters); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, counters[i]);
		counts[i] = number_in(path, "") - q->before[i];
		/* Those who were killed could not tell. */
		if (q->exact ? counts[i] != (__s64)q->counts[i] :
		    i < ACKED && counts[i] < (__s64)q->counts[i])
			complain(w, path, counts[i], ", not as often as it was seen");
	}
	return q->counts[PURGED] + counts[DROPPED] + counts[ACKED] - q->counts[ACKED];
}

/* What INFO says of file @i. */
static struct mpmcq_info info_of(struct worker *w, int i, const char *when)
{
	struct mpmcq_info info;
	const char *field;

	has_to(w, "ioctl: INFO", query(w->files.fd[i], &info), 0);
	field = misinformed(&info, sizeof(info), open_file(w, i));
	if (field)
		complain(w, field, 0, when);
	return info;
}

/* One more file of the queue, by which to look at it in the end; false if there is none. */
static bool open_last(struct worker *w, struct queue *q)
{
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = O_RDWR | O_NONBLOCK };
	int i, fd = -1;

	memcpy(name.name, q->like.name, sizeof(name.name));
	if (q == &w->stage->queue[DEFAULT])
		fd = result(open(DEVICE, O_RDWR | O_NONBLOCK));
	else if (q->named && may_open(w, q, O_RDWR, &w->self))
		fd = result(ioctl(w->files.fd[COMMON], MPMCQ_IOC_OPEN, &name));
	for (i = 0; i < OWN && fd < 0; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q &&
		    open_file(w, i)->access == O_RDWR)
			fd = attach(w->files.fd[i], O_RDWR | O_NONBLOCK, 0, 0);
	if (fd < 0)
		return false;
	put_file(w, LAST, fd, q, O_RDWR | O_NONBLOCK, 0, 0);
	return true;
}

void settle(struct worker *w, struct queue *q)
{
	const bool own = q >= w->own && q < w->own + OWNED_QUEUES;
	struct mpmcq_info info;
	__s64 unnamed;
	int i, dead;

	if (!open_last(w, q))
		return;
	info_of(w, LAST, ", in the end");
	for (i = 0; i < OWN; i++)
		if (w->files.fd[i] >= 0 && open_file(w, i)->queue == q)
			close_file(w, i);
	close_or_reopen(w, q, w->files.fd[LAST], true);
	dead = attach(w->files.fd[LAST], O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);
	if (dead < 0) {
		complain(w, "ioctl: ATTACH, in the end", dead, "");
		return;
	}
	put_file(w, LAST + 1, dead, q, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);

	info = info_of(w, LAST, ", when all others are closed");
	has_to(w, "leased", info.leased, 0);
	has_to(w, "depth", info.depth, empty(w, LAST));
	has_to(w, "dead", info.dead, empty(w, LAST + 1));
	info = info_of(w, LAST, ", when it is empty");
	has_to(w, "depth", info.depth, 0);
	has_to(w, "dead", info.dead, 0);
	unnamed = count_unnamed(w, q);
	tell_faults(w, "the account", unnamed,
		    balance(w->world, q, own ? w->id : 0, own ? 1 : w->world->workers, unnamed));
	use_all_slots(w, q, w->files.fd[LAST]);
	close_file(w, LAST + 1);
	close_file(w, LAST);
}

void destroy(struct worker *w, const char *text)
{
	struct mpmcq_name name = { .size = sizeof(name) };
	int ret;

	memcpy(name.name, text, strlen(text));
	ret = result(ioctl(w->files.fd[COMMON], MPMCQ_IOC_DESTROY, &name));
	if (ret && ret != -ENOENT)
		complain(w, "ioctl: DESTROY, in the end", ret, "");
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

bool judge_shared(struct worker *w)
{
	struct stage *stage = w->stage;
	char name[MPMCQ_NAME_MAX + 1];
	int i;

	if (!new_arena(w))
		return false;
	begin_work(w);
	for (i = 0; i < 2 && stage->queues == SHARED; i++)
		close(stage->pool[i]);
	for (i = 0; i < stage->queues; i++) {
		if (!w->failed)
			settle(w, &stage->queue[i]);
		if (i != DEFAULT)
			destroy(w, stage->queue[i].like.name);
	}
	for (i = 0; i < CONTENDED; i++) {
		name_contended(w, name, i);
		destroy(w, name);
	}
	if (w->failed)
		restore(stage->queue[DEFAULT].fd);
	return !w->failed;
}
