// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a worker: how they come, by whom they are shared, and how they go
 */
#include "fuzz.h"
#include "test_util.h"

int draw_file(struct worker *w)
{
	__u32 others = (is_alone(w) ? COMMON + 1 : LAST) - OWN;

	return draw(w, 4) ? draw(w, OWN) : OWN + draw(w, others);
}

/* Whether other descriptors of the worker are of the same open file. */
static bool has_twin(struct worker *w, int i)
{
	return open_file(w, i)->refs > 1;
}

/* Before file @i is replaced: closing it would leave it with epoll if it has a twin. */
static void forget(struct worker *w, int i)
{
	struct interest *interest = &w->files.interest[i];

	if (interest->events && has_twin(w, i))
		has_to(w, "epoll_ctl: del", result(epoll_ctl(w->files.epoll, EPOLL_CTL_DEL,
							     w->files.fd[i], NULL)), 0);
	*interest = (struct interest){ .generation = interest->generation + 1 };
}

pthread_mutex_t forking = PTHREAD_MUTEX_INITIALIZER;

void before_close(struct worker *w, const struct open_file *f)
{
	if (f->refs == 1)
		let_all_go(w->world, f);
	pthread_mutex_lock(&forking);
}

void after_close(struct worker *w, struct open_file *f)
{
	pthread_mutex_unlock(&forking);
	if (!--f->refs)
		closed(w->world, f);
}

void close_file(struct worker *w, int i)
{
	struct open_file *f = open_file(w, i);

	forget(w, i);
	before_close(w, f);
	has_to(w, "close", result(close(w->files.fd[i])), 0);
	after_close(w, f);
	w->files.fd[i] = -1;
	w->files.of[i] = -1;
}

static int unused_open_file(struct worker *w)
{
	int of;

	for (of = 0; of < OPEN_FILES && w->open[of].queue; of++)
		;
	return of;
}

struct open_file *put_file(struct worker *w, int i, int fd, struct queue *q, int flags, __u32 modes,
			   __u32 max_held)
{
	int of = unused_open_file(w);
	struct open_file *f = &w->open[of];

	opened(f, q, flags & O_ACCMODE, modes, max_held);
	f->nonblock = flags & O_NONBLOCK;
	if (w->files.fd[i] >= 0)
		close_file(w, i);
	w->files.fd[i] = fd;
	w->files.of[i] = of;
	return f;
}

void put_opened(struct worker *w, int i, int fd, struct queue *q, int flags)
{
	begin_with_lease(put_file(w, i, fd, q, flags, 0, 0));
}

/* Of the default queue: with neither access nothing can be read or written. */
static int draw_node_flags(struct worker *w)
{
	return draw_open_flags(w) | (one_in(w, 8) ? O_ACCMODE : 0) |
	       (one_in(w, 4) ? O_APPEND : 0);
}

void open_default(struct worker *w, int i)
{
	int flags = draw_node_flags(w), fd;
	char path[32] = DEVICE;

	if (one_in(w, 4))
		snprintf(path, sizeof(path), "/proc/self/fd/%d", w->files.fd[COMMON]);
	fd = result(open(path, flags));
	if (fd < 0)
		complain(w, "open", fd, "");
	else
		put_opened(w, i, fd, &w->stage->queue[DEFAULT], flags);
}

static void open_badly(struct worker *w)
{
	static const struct { int flag, error; } bad[] = {
		{ O_DIRECT, -EINVAL }, { O_DIRECTORY, -ENOTDIR }, { O_CREAT | O_EXCL, -EEXIST },
	};
	int i = draw(w, ARRAY_SIZE(bad));

	has_to(w, "open", result(open(DEVICE, draw_node_flags(w) | bad[i].flag, 0)),
	       bad[i].error);
}

void call_open(struct worker *w)
{
	if (one_in(w, 4))
		open_badly(w);
	else
		open_default(w, draw(w, OWN));
}

int attach(int fd, int flags, __u32 modes, __u32 max_held)
{
	struct mpmcq_attach req = {
		.size = sizeof(req), .open_flags = flags, .modes = modes, .max_held = max_held,
	};

	return result(ioctl(fd, MPMCQ_IOC_ATTACH, &req));
}

void call_attach(struct worker *w)
{
	int by = draw_file(w), i = draw(w, OWN), ret;
	struct open_file *f = open_file(w, by);
	struct mpmcq_attach req = {
		.open_flags = draw_open_flags(w),
	};
	struct expected e;
	struct args a;

	req.modes = draw_modes(w, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD);
	/* Who reads dead ones is seldom there when there are some. */
	if (f->queue->exact && f->queue->dead.n && one_in(w, 2))
		req.modes |= MPMCQ_MODE_DEAD;
	/* Where all messages have to keep their order none may come back. */
	if (f->queue->ordered)
		req.modes &= ~MPMCQ_MODE_LEASE;
	req.max_held = draw_max_held(w, req.modes);
	req.rcv_timeout_ms = draw_timeout(w);
	req.snd_timeout_ms = draw_timeout(w);
	req.priority = draw_priority(w, f->queue);
	if (one_in(w, 32))
		req.priority = f->queue->like.levels + draw(w, 1U << 31);
	if (one_in(w, 32))
		req.modes ^= 1U << (4 + draw(w, 28));
	if (one_in(w, 32))
		req.open_flags ^= 1U << draw(w, 32);
	if (one_in(w, 64) && !f->queue->ordered)
		draw_garbage(w, &req, sizeof(req));
	a = lay_out_args(w, &req, sizeof(req), sizeof(req), true);
	e = a.refusal;
	check_attach(&req, f, &e);
	if (!e.errors)
		may_return(&e, 0, INT_MAX);
	ret = call_args(w, w->files.fd[by], MPMCQ_IOC_ATTACH, &a);
	if (!returned(w, "ioctl: ATTACH", ret, &e) || ret < 0)
		return;
	f = put_file(w, i, ret, f->queue, req.open_flags, req.modes,
		     req.modes & MPMCQ_MODE_LEASE ? most_held(f->queue, req.max_held) : 0);
	f->priority = req.priority;
	set_timeouts(f, req.rcv_timeout_ms, req.snd_timeout_ms);
}

void call_dup(struct worker *w)
{
	int from = draw(w, OWN), to = draw(w, OWN), fd = w->files.fd[to];
	struct open_file *f = open_file(w, from), *old = open_file(w, to);
	bool hot = one_in(w, 2), cloexec = one_in(w, 2);

	if (from == to)
		return;
	/* The hot one is in use by others just now. */
	if (hot && f->queue == &w->stage->queue[DEFAULT] && f->access == O_RDWR && !f->modes &&
	    !f->priority && !f->rcv_timeout_ms && !f->snd_timeout_ms) {
		has_to(w, "dup2", result(dup2(w->files.fd[from], w->files.fd[HOT])),
		       w->files.fd[HOT]);
		f->fixed = true;
		return;
	}
	forget(w, to);
	f->refs++;
	before_close(w, old);
	has_to(w, "dup3", result(dup3(w->files.fd[from], fd, cloexec ? O_CLOEXEC : 0)), fd);
	after_close(w, old);
	w->files.of[to] = w->files.of[from];
}

/* Files are sent through a socket, and received from it, or end with it. */
void call_mail(struct worker *w)
{
	int i = draw(w, OWN), fd, of = w->parcel;
	bool keep = one_in(w, 2), discard = one_in(w, 4);

	if (of < 0) {
		has_to(w, "sendmsg", send_fd(w->mail[0], w->files.fd[i]), 1);
		w->parcel = w->files.of[i];
		open_file(w, i)->refs++;
		if (keep)
			return;
		close_file(w, i);
		open_default(w, i);
	} else if (discard && !w->forked) {
		before_close(w, &w->open[of]);
		close(w->mail[1]);
		close(w->mail[0]);
		after_close(w, &w->open[of]);
		w->parcel = -1;
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, w->mail))
			complain(w, "socketpair", -errno, "");
	} else {
		fd = receive_fd(w->mail[1]);
		if (fd < 0)
			complain(w, "recvmsg", fd, "");
		w->parcel = -1;
		close_file(w, i);
		w->files.fd[i] = fd;
		w->files.of[i] = of;
	}
}
