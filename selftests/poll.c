// SPDX-License-Identifier: GPL-2.0-only
/*
 * poll, select and epoll.
 */

#include <sys/eventfd.h>
#include <sys/select.h>

#include "mpmcq_test.h"
#include "test_util.h"

TEST_F(queue, poll_tells)
{
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
	ASSERT_EQ(2, put_msg(self->fd, 2, 1));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	ASSERT_EQ(self->capacity - 1, put_all(self->nb, 2, 2));
	EXPECT_EQ(READABLE, poll_now(self->fd));
	ASSERT_EQ(2, take_msg(self->fd, 2, 1));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->fd));
	ASSERT_EQ(self->capacity - 1, take_all(self->nb));
	EXPECT_EQ(WRITABLE, poll_now(self->fd));
}

TEST_F(queue, poll_by_access_mode)
{
	int reader = open(DEVICE, O_RDONLY);
	int writer = open(DEVICE, O_WRONLY);

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	EXPECT_EQ(0, poll_now(reader));
	EXPECT_EQ(WRITABLE, poll_now(writer));
	ASSERT_EQ(2, put_msg(self->fd, 2, 1));
	EXPECT_EQ(READABLE, poll_now(reader));
	EXPECT_EQ(WRITABLE, poll_now(writer));
	ASSERT_EQ(self->capacity - 1, put_all(self->nb, 2, 2));
	EXPECT_EQ(READABLE, poll_now(reader));
	EXPECT_EQ(0, poll_now(writer));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(reader);
	close(writer);
}

TEST_F(queue, poll_times_out)
{
	struct pollfd pfd = { .fd = self->fd, .events = POLLIN };
	const struct timespec soon = { .tv_nsec = 1000000 };

	EXPECT_EQ(0, poll(&pfd, 1, 1));
	EXPECT_EQ(0, ppoll(&pfd, 1, &soon, NULL));
	pfd.events = POLLOUT;
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(0, poll(&pfd, 1, 1));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* One message is news to every poller. */
TEST_F(queue, poll_wakes_all_on_message)
{
	struct call call[4];
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, start_call(&call[i], poll_in, self->fd, NULL, 0));
		wait_asleep(call[i].tid, SYS_ppoll);
	}
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(POLLIN, finish_call(&call[i]));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

TEST_F(queue, poll_wakes_all_on_room)
{
	struct call call[4];
	int i;

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, start_call(&call[i], poll_out, self->fd, NULL, 0));
		wait_asleep(call[i].tid, SYS_ppoll);
	}
	ASSERT_EQ(1, take_msg(self->nb, 1, 0));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(POLLOUT, finish_call(&call[i]));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
}

/* Of what select says at once: 1 for readable, 2 for writable, 4 for exceptional. */
static int select_now(int fd)
{
	struct timeval now = {};
	fd_set sets[3];
	int i, ret = 0;

	for (i = 0; i < 3; i++) {
		FD_ZERO(&sets[i]);
		FD_SET(fd, &sets[i]);
	}
	if (select(fd + 1, &sets[0], &sets[1], &sets[2], &now) < 0)
		return -errno;
	for (i = 0; i < 3; i++)
		ret |= !!FD_ISSET(fd, &sets[i]) << i;
	return ret;
}

TEST_F(queue, select_tells)
{
	EXPECT_EQ(2, select_now(self->fd));
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(1, select_now(self->fd));
	ASSERT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(3, select_now(self->fd));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
}

TEST_F(queue, select_waits)
{
	struct call call;

	ASSERT_EQ(0, start_call(&call, select_in, self->fd, NULL, 0));
	wait_asleep(call.tid, SYS_pselect6);
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(1, finish_call(&call));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

TEST_F(queue, level)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLOUT);

	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, event_now(ep));
	EXPECT_EQ(EPOLLOUT, event_now(ep));
	ASSERT_EQ(1, put_msg(self->fd, 1, 1));
	EXPECT_EQ(EPOLLIN | EPOLLOUT, event_now(ep));
	EXPECT_EQ(EPOLLIN | EPOLLOUT, event_now(ep));
	ASSERT_EQ(self->capacity - 1, put_all(self->nb, 1, 2));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(EPOLLOUT, event_now(ep));
	close(ep);
}

TEST_F(queue, level_by_access_mode)
{
	int reader = open(DEVICE, O_RDONLY);
	int writer = open(DEVICE, O_WRONLY);
	int ep_reader = watch(reader, EPOLLIN | EPOLLOUT);
	int ep_writer = watch(writer, EPOLLIN | EPOLLOUT);

	ASSERT_LE(0, ep_reader);
	ASSERT_LE(0, ep_writer);
	EXPECT_EQ(0, event_now(ep_reader));
	EXPECT_EQ(EPOLLOUT, event_now(ep_writer));
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(EPOLLIN, event_now(ep_reader));
	EXPECT_EQ(0, event_now(ep_writer));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	close(ep_writer);
	close(ep_reader);
	close(writer);
	close(reader);
}

/* Every message is an edge, also when others wait already. */
TEST_F(queue, edge_on_message)
{
	int ep = watch(self->fd, EPOLLIN | EPOLLET);
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(0, event_now(ep));
	for (i = 0; i < self->capacity && i < 10; i++) {
		ASSERT_EQ(1, put_msg(self->nb, 1, i));
		EXPECT_EQ(EPOLLIN, event_now(ep));
		EXPECT_EQ(0, event_now(ep));
	}
	/* Reading is none, neither in part nor to the end. */
	ASSERT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(i - 1, take_all(self->nb));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	close(ep);
}

TEST_F(queue, edge_on_room)
{
	int ep = watch(self->fd, EPOLLOUT | EPOLLET);
	int i;

	ASSERT_LE(0, ep);
	EXPECT_EQ(EPOLLOUT, event_now(ep));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(0, event_now(ep));
	for (i = 0; i < self->capacity; i++) {
		ASSERT_EQ(1, take_msg(self->nb, 1, i));
		ASSERT_EQ(EPOLLOUT, event_now(ep));
		ASSERT_EQ(0, event_now(ep));
	}
	close(ep);
}

/* Epoll registers once; what is asked for later must come, too. */
TEST_F(queue, modified)
{
	struct epoll_event event = { .events = EPOLLOUT | EPOLLET };
	int ep = watch(self->nb, EPOLLIN | EPOLLET);

	ASSERT_LE(0, ep);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->nb, &event));
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(1, take_msg(self->fd, 1, 0));
	EXPECT_EQ(EPOLLOUT, event_now(ep));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
	event_now(ep);
	event.events = EPOLLIN | EPOLLET;
	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->nb, &event));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(1, put_msg(self->fd, 1, 2));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(1, take_msg(self->fd, 1, 2));
	close(ep);
}

TEST_F(queue, oneshot)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	int ep = watch(self->fd, event.events);

	ASSERT_LE(0, ep);
	ASSERT_EQ(1, put_msg(self->fd, 1, 1));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(1, put_msg(self->fd, 1, 2));
	EXPECT_EQ(0, event_now(ep));

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &event));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(2, take_all(self->nb));

	ASSERT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, self->fd, &event));
	EXPECT_EQ(0, event_now(ep));
	ASSERT_EQ(1, put_msg(self->fd, 1, 3));
	EXPECT_EQ(EPOLLIN, event_now(ep));
	EXPECT_EQ(1, take_msg(self->fd, 1, 3));
	close(ep);
}

/* Waits on an epoll; the descriptor it was told of. */
static ssize_t epoll_in(int ep, void *buf, size_t len)
{
	struct epoll_event event;
	int n = result(epoll_pwait(ep, &event, 1, -1, NULL));

	return n < 0 ? n : event.data.fd;
}

TEST_F(queue, epoll_waits)
{
	int ep = watch(self->fd, EPOLLIN);
	struct call call;

	ASSERT_LE(0, ep);
	ASSERT_EQ(0, start_call(&call, epoll_in, ep, NULL, 0));
	wait_asleep(call.tid, SYS_epoll_pwait);
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(self->fd, finish_call(&call));
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	close(ep);
}

/* Threads that wait on an epoll each, exclusively; a stop ends the wait. */
#define EXCLUSIVE	4

struct exclusive {
	int stop;
	int ep[EXCLUSIVE];
	struct call call[EXCLUSIVE];
};

static int start_exclusive(struct exclusive *x, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int i;

	x->stop = eventfd(0, 0);
	event.data.fd = x->stop;
	for (i = 0; i < EXCLUSIVE; i++) {
		x->ep[i] = watch(fd, EPOLLIN | EPOLLEXCLUSIVE);
		if (epoll_ctl(x->ep[i], EPOLL_CTL_ADD, x->stop, &event) ||
		    start_call(&x->call[i], epoll_in, x->ep[i], NULL, 0))
			return -1;
		wait_asleep(x->call[i].tid, SYS_epoll_pwait);
	}
	return 0;
}

/* How many of them have ended their wait. */
static int woken(struct exclusive *x)
{
	int i, n = 0;

	for (i = 0; i < EXCLUSIVE; i++)
		n += __atomic_load_n(&x->call[i].done, __ATOMIC_ACQUIRE);
	return n;
}

/* How many of them were told of @fd, and not of the stop. */
static int stop_exclusive(struct exclusive *x, int fd)
{
	int i, n = 0;

	eventfd_write(x->stop, 1);
	for (i = 0; i < EXCLUSIVE; i++) {
		n += finish_call(&x->call[i]) == fd;
		close(x->ep[i]);
	}
	close(x->stop);
	return n;
}

TEST_F(queue, exclusive_wakes_one)
{
	struct exclusive x;

	ASSERT_EQ(0, start_exclusive(&x, self->fd));
	EXPECT_EQ(0, woken(&x));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	while (!woken(&x))
		sched_yield();
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	EXPECT_LE(1, stop_exclusive(&x, self->fd));
}

TEST_F(queue, exclusive_takes_no_wakeup_from_reader)
{
	struct exclusive x;
	struct call reader;
	char buf[1];

	ASSERT_EQ(0, start_exclusive(&x, self->fd));
	ASSERT_EQ(0, start_blocked(&reader, take, self->fd, buf, 1));
	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(1, finish_call(&reader));
	EXPECT_TRUE(is_filled(buf, 1, 1));
	stop_exclusive(&x, self->fd);
}

/* Waits exclusively for @events of a file of its own, and makes no call then. */
static int wait_alone(__u32 events)
{
	epoll_in(watch(open(DEVICE, O_RDWR), events | EPOLLEXCLUSIVE), NULL, 0);
	return ppoll(NULL, 0, NULL, NULL);
}

/* One is told alone, and killed before it takes what it was told of.  Then the other is told. */
static void exclusive_dies(struct __test_metadata *_metadata, int fd, __u32 events,
			   int (*cause)(int fd))
{
	pid_t child = fork();
	struct call call;
	int ep;

	ASSERT_LE(0, child);
	if (!child)
		_exit(wait_alone(events));
	wait_asleep(child, SYS_epoll_pwait);
	ep = watch(fd, events | EPOLLEXCLUSIVE);
	ASSERT_EQ(0, start_call(&call, epoll_in, ep, NULL, 0));
	wait_asleep(call.tid, SYS_epoll_pwait);
	ASSERT_EQ(1, cause(fd));
	wait_asleep(child, SYS_ppoll);
	EXPECT_FALSE(__atomic_load_n(&call.done, __ATOMIC_ACQUIRE));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(fd, finish_call(&call));
	close(ep);
}

static int send_one(int fd)
{
	return put_msg(fd, 1, 1);
}

static int take_one(int fd)
{
	return take_msg(fd, 1, 0);
}

TEST_F(queue, exclusive_reader_dies)
{
	exclusive_dies(_metadata, self->nb, EPOLLIN, send_one);
	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
}

TEST_F(queue, exclusive_writer_dies)
{
	int n = put_all(self->nb, 1, 0);

	exclusive_dies(_metadata, self->nb, EPOLLOUT, take_one);
	EXPECT_EQ(n - 1, take_all(self->nb));
}

#define LOOP	5000

/* Writes LOOP messages, waiting for edges on which to go on. */
static int edge_writer(int nb)
{
	int ep = watch(nb, EPOLLOUT | EPOLLET);
	struct epoll_event event;
	int i = 0, ret;

	while (i < LOOP) {
		if (epoll_wait(ep, &event, 1, -1) != 1)
			return 1;
		while (i < LOOP && (ret = put(nb, &i, sizeof(i))) == sizeof(i))
			i++;
		if (i < LOOP && ret != -EAGAIN)
			return 1;
	}
	return 0;
}

/*
 * Event loops at both ends, each reading or writing until EAGAIN and then
 * waiting for an edge.  An edge that gets lost leaves them asleep.
 */
TEST_F_TIMEOUT(queue, event_loops, 60)
{
	int status, got, ret, i = 0, ep = watch(self->nb, EPOLLIN | EPOLLET);
	struct epoll_event event;
	pid_t pid;

	ASSERT_LE(0, ep);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(edge_writer(self->nb));
	while (i < LOOP) {
		ASSERT_EQ(1, epoll_wait(ep, &event, 1, -1));
		while ((ret = take(self->nb, &got, sizeof(got))) == sizeof(got)) {
			ASSERT_EQ(i, got);
			i++;
		}
		ASSERT_EQ(-EAGAIN, ret);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(ep);
}

/* A closed file is gone from the epoll; the queue works on. */
TEST_F(queue, close_while_watched)
{
	int fd = open(DEVICE, O_RDWR);
	int ep = watch(fd, EPOLLIN);

	ASSERT_LE(0, ep);
	close(fd);
	ASSERT_EQ(1, put_msg(self->fd, 1, 1));
	EXPECT_EQ(0, event_now(ep));
	EXPECT_EQ(1, take_msg(self->fd, 1, 1));
	close(ep);
}

TEST_HARNESS_MAIN
