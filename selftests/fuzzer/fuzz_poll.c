// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events: timers and files that signal, and those who wait for a file
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "fuzz.h"

/* Timers that signal this thread: one whose signal restarts calls, one not. */
void new_timers(struct worker *w)
{
	static const int sig[] = { SIGUSR1, SIGUSR2 };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID };
	int i;

	event._sigev_un._tid = gettid();
	for (i = 0; i < TIMERS; i++) {
		event.sigev_signo = sig[i];
		if (timer_create(CLOCK_MONOTONIC, &event, &w->files.timer[i]))
			complain(w, "timer_create", -errno, "");
	}
}

void start_timers(struct worker *w)
{
	int i;

	for (i = 0; i < TIMERS; i++) {
		const struct itimerspec soon = {
			.it_value.tv_nsec = 1 + draw(w, 3000000),
			.it_interval.tv_nsec = 50000000,
		};

		timer_settime(w->files.timer[i], 0, &soon, NULL);
	}
}

void stop_timers(struct worker *w)
{
	const struct itimerspec never = {};
	int i;

	for (i = 0; i < TIMERS; i++)
		timer_settime(w->files.timer[i], 0, &never, NULL);
}

static void check_flags(struct worker *w, int i)
{
	const struct open_file *of = open_file(w, i);

	has_to(w, "fcntl: F_GETFL",
	       result(fcntl(w->files.fd[i], F_GETFL)) & (O_ACCMODE | O_NONBLOCK | O_ASYNC),
	       of->access | (of->nonblock ? O_NONBLOCK : 0) | (of->async ? O_ASYNC : 0));
}

static void set_owner(struct worker *w, int fd)
{
	const struct f_owner_ex owner = { F_OWNER_TID, gettid() };

	has_to(w, "fcntl: F_SETOWN_EX", result(fcntl(fd, F_SETOWN_EX, &owner)), 0);
	has_to(w, "fcntl: F_SETSIG",
	       result(fcntl(fd, F_SETSIG, one_in(w, 2) ? 0 : SIGRTMIN + (int)draw(w, 2))), 0);
}

void call_set_flags(struct worker *w)
{
	int i = draw_file(w), fd = w->files.fd[i];
	struct open_file *f = open_file(w, i);
	int nonblock = draw(w, 2), async = one_in(w, 3);

	/* The hot one may just now be another's own. */
	if (i == HOT)
		return;
	set_owner(w, fd);
	if (one_in(w, 2)) {
		has_to(w, "fcntl: F_SETFL", result(fcntl(fd, F_SETFL, (nonblock ? O_NONBLOCK : 0) |
							 (async ? O_ASYNC : 0))), 0);
	} else {
		has_to(w, "ioctl: FIONBIO", result(ioctl(fd, FIONBIO, &nonblock)), 0);
		has_to(w, "ioctl: FIOASYNC", result(ioctl(fd, FIOASYNC, &async)), 0);
	}
	if (i >= OWN)
		return;
	f->nonblock = nonblock;
	/* With neither access there is nothing that a signal could tell. */
	f->async = async && (readable(f) || writable(f));
	check_flags(w, i);
}

/* Which of @events poll may tell, or has to if @must, of file @i. */
static __u32 ready(struct worker *w, int i, __u32 events, bool must)
{
	return ready_events(open_file(w, i), must) & (events | POLLHUP);
}

void call_poll(struct worker *w)
{
	struct pollfd pfd[3];
	int i, ret, n = 0, file[ARRAY_SIZE(pfd)];

	for (i = 0; i < (int)ARRAY_SIZE(pfd); i++) {
		file[i] = draw_file(w);
		pfd[i].fd = w->files.fd[file[i]];
		pfd[i].events = draw(w, 2) * POLLIN | draw(w, 2) * POLLOUT |
				draw(w, 2) * POLLRDNORM | draw(w, 2) * POLLWRNORM |
				draw(w, 2) * POLLPRI | draw(w, 2) * POLLRDHUP;
	}
	ret = result(poll(pfd, ARRAY_SIZE(pfd), draw(w, 3)));
	for (i = 0; i < (int)ARRAY_SIZE(pfd); i++) {
		int can = ready(w, file[i], pfd[i].events, false);
		int must = ready(w, file[i], pfd[i].events, true);

		if (pfd[i].revents & ~can || must & ~pfd[i].revents)
			complain(w, "poll", pfd[i].revents, " as events");
		n += !!pfd[i].revents;
	}
	if (n || ret != -EINTR)
		has_to(w, "poll", ret, n);
}

/* What select may say of file @i, as poll would; the end can be read. */
static __u32 selected(struct worker *w, int i, bool must)
{
	__u32 events = ready(w, i, POLLIN | POLLOUT, must);

	return (events & POLLHUP ? POLLIN : 0) | (events & (POLLIN | POLLOUT));
}

/* Mostly one of a full queue, if there is one: who may write there depends on priorities. */
static int draw_full_file(struct worker *w)
{
	int i, j, from = draw_file(w);

	if (one_in(w, 4))
		return from;
	for (i = 0; i < OWN; i++) {
		j = (from + i) % OWN;
		if (open_file(w, j)->queue->exact && !room(open_file(w, j)->queue))
			return j;
	}
	return from;
}

void call_select(struct worker *w)
{
	int i = draw_full_file(w), fd = w->files.fd[i], n, got;
	struct timeval timeout = {};
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	FD_SET(fd, &except);
	n = result(select(fd + 1, &in, &out, &except, &timeout));
	if (n == -EINTR && !selected(w, i, true))
		return;
	got = !!FD_ISSET(fd, &in) * POLLIN | !!FD_ISSET(fd, &out) * POLLOUT;
	has_to(w, "select", n, !!FD_ISSET(fd, &in) + !!FD_ISSET(fd, &out));
	if (got & ~selected(w, i, false) || selected(w, i, true) & ~got)
		complain(w, "select", got, " as events");
}

void call_epoll_ctl(struct worker *w)
{
	static const int ops[] = { EPOLL_CTL_ADD, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL };
	int i = draw_file(w), op = draw_of(w, ops), want = 0;
	struct interest *interest = &w->files.interest[i];
	struct epoll_event event = {
		.events = draw(w, 2) * EPOLLIN | draw(w, 2) * EPOLLOUT | draw(w, 2) * EPOLLET |
			  draw(w, 2) * EPOLLONESHOT |
			  (one_in(w, 4) ? (__u32)EPOLLEXCLUSIVE : 0) | EPOLLERR | EPOLLHUP,
		.data.u64 = (__u64)interest->generation << 32 | i,
	};

	/* The hot one may be another between two calls. */
	if (i == HOT)
		return;
	if (op != EPOLL_CTL_DEL && event.events & EPOLLEXCLUSIVE &&
	    (op == EPOLL_CTL_MOD || event.events & EPOLLONESHOT))
		want = -EINVAL;
	else if (op == EPOLL_CTL_ADD)
		want = interest->events ? -EEXIST : 0;
	else if (!interest->events)
		want = -ENOENT;
	else if (op == EPOLL_CTL_MOD && interest->events & EPOLLEXCLUSIVE)
		want = -EINVAL;
	has_to(w, "epoll_ctl", result(epoll_ctl(w->files.epoll, op, w->files.fd[i], &event)), want);
	if (want)
		return;
	interest->events = op == EPOLL_CTL_DEL ? 0 : event.events;
	interest->disarmed = false;
}

void call_epoll_wait(struct worker *w)
{
	int i, n;
	struct epoll_event event[2 * FILES];
	__u32 got[FILES] = {}, wanted[FILES] = {};

	for (i = 0; i < FILES; i++)
		if (!w->files.interest[i].disarmed)
			wanted[i] = w->files.interest[i].events;
	n = result(epoll_wait(w->files.epoll, event, ARRAY_SIZE(event), draw(w, 3)));
	if (n < 0 && n != -EINTR)
		complain(w, "epoll_wait", n, "");
	while (n-- > 0) {
		i = event[n].data.u32;
		/* A file replaced here may live on elsewhere. */
		if (w->files.interest[i].generation != event[n].data.u64 >> 32)
			continue;
		got[i] = event[n].events;
		if (wanted[i] & EPOLLONESHOT)
			w->files.interest[i].disarmed = true;
	}
	for (i = 0; i < FILES; i++) {
		__u32 can = wanted[i] ? ready(w, i, wanted[i], false) : 0;
		__u32 must = !wanted[i] || wanted[i] & EPOLLET ? 0 : ready(w, i, wanted[i], true);

		if (got[i] & ~can || must & ~got[i])
			complain(w, "epoll_wait", got[i], " as events");
	}
}
