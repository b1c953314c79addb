// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of queues, and of delays
 */
#include "fuzz.h"

#define PATIENCE	20000000000ULL	/* ns, until what is due has to be there */

/* The kernel has told others meanwhile, who do so in their own time. */
static void await_due(struct worker *w, const struct queue *q, int fd)
{
	__u64 end = boottime() + PATIENCE;
	__u32 depth = waiting(q, false) + q->parked.n;
	struct mpmcq_info info;

	do {
		has_to(w, "ioctl: INFO", query(fd, &info), 0);
		if (!w->failed && !info.parked && info.depth == depth) {
			/* Those who poll are woken after that. */
			usleep(1000);
			return;
		}
		usleep(500);
	} while (!w->failed && boottime() < end);
	complain(w, "ioctl: CLOSE", info.parked, " messages are parked, though all are due");
}

/* Other workers have to know when the queue may be closed. */
void close_queue(struct worker *w, struct queue *q, int fd, bool all_due)
{
	unsigned long flags = all_due ? MPMCQ_CLOSE_DUE : 0;

	increment(&q->closings);
	has_to(w, "ioctl: CLOSE", result(ioctl(fd, MPMCQ_IOC_CLOSE, flags)), 0);
	q->closed = true;
	increment(&q->closings_done);
	if (!all_due || !q->exact || !(q->like.flags & MPMCQ_DELAY))
		return;
	await_due(w, q, fd);
	make_all_due(q);
}

void reopen_queue(struct worker *w, struct queue *q, int fd)
{
	__u32 begun = load(&q->closings), all_done, old = load(&q->reopened);

	all_done = load(&q->closings_done) == begun;
	has_to(w, "ioctl: REOPEN", result(ioctl(fd, MPMCQ_IOC_REOPEN, 0)), 0);
	q->closed = false;
	q->all_due = false;
	/* Those that began later may take effect later. */
	while (all_done && old < begun &&
	       !__atomic_compare_exchange_n(&q->reopened, &old, begun, false, __ATOMIC_SEQ_CST,
					    __ATOMIC_SEQ_CST))
		;
}

/* Mostly one of a queue that waits for delays, if there is one. */
static int draw_delayed_file(struct worker *w)
{
	int i, j, from = draw_file(w);

	if (one_in(w, 2))
		return from;
	for (i = 0; i < OWN; i++) {
		j = (from + i) % OWN;
		if (open_file(w, j)->queue->parked.n && writable(open_file(w, j)))
			return j;
	}
	return from;
}

void call_close(struct worker *w)
{
	int i = draw_delayed_file(w), fd = w->files.fd[i];
	struct open_file *f = open_file(w, i);
	struct queue *q = f->queue;
	bool reopen = one_in(w, 2), again = one_in(w, 4), all_due = one_in(w, 2);
	struct expected e = NOTHING;
	struct identity id = draw_identity(w);
	unsigned long arg = one_in(w, 8) ? 1UL << draw(w, 8 * sizeof(long)) : 0;
	int ret;

	if (arg && (reopen || arg != MPMCQ_CLOSE_DUE))
		may_fail(&e, -EINVAL);
	if (!writable(f))
		may_fail(&e, -EBADF);
	if (q == &w->stage->queue[DEFAULT] && !(w->stage->outside && id.able))
		may_fail(&e, -EPERM);
	if (e.errors) {
		become(w, &id);
		ret = result(ioctl(fd, reopen ? MPMCQ_IOC_REOPEN : MPMCQ_IOC_CLOSE, arg));
		be_oneself(w);
		returned(w, "ioctl: CLOSE or REOPEN", ret, &e);
		return;
	}
	/* One's own stays closed for some calls. */
	if (q->exact && (q->closed ? !again : reopen)) {
		reopen_queue(w, q, fd);
	} else if (q->exact) {
		close_queue(w, q, fd, all_due);
		turn(q);
	} else {
		if (!reopen) {
			close_queue(w, q, fd, all_due);
			usleep(draw(w, 1000));
		}
		reopen_queue(w, q, fd);
	}
}
