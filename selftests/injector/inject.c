// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures that the kernel is told to have.  Each operation is repeated with its
 * 1st, 2nd, 3rd ... allocation or copy failing until one goes through without; and
 * those that copy more than once with all copies failing from there on.  After each
 * no message is lost, every slot can be used, no queue, name, mount or memory is left
 * behind, and the accounts have room for as much as before.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION and the three kinds of failures of
 * inject.h, and root.
 */

#include "data.h"

FIXTURE(inject)
{
	struct data data;
};

FIXTURE_SETUP(inject)
{
	struct data *d = &self->data;
	struct mpmcq_info info;

	d->fd = open(DEVICE, O_RDWR);
	d->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	d->epoll = epoll_create1(0);
	ASSERT_LE(0, d->fd);
	ASSERT_LE(0, d->nb);
	ASSERT_LE(0, d->epoll);
	ASSERT_EQ(0, query(d->fd, &info));
	ASSERT_EQ(0, info.depth);
	d->capacity = info.capacity;
	d->len = info.msg_size;
	ASSERT_TRUE(injection_begin());
}

FIXTURE_TEARDOWN(inject)
{
	struct data *d = &self->data;

	injection_end();
	EXPECT_EQ(0, depth(d->fd));
	EXPECT_EQ(d->capacity, put_all(d->nb, 1, 0));
	EXPECT_EQ(d->capacity, take_all(d->nb));
	close(d->epoll);
	close(d->nb);
	close(d->fd);
}

/* Writing */
static void prepare_write(struct data *d)
{
	fill(d->buf, d->len, 1);
	cut_buffer(d);
}

static int run_write(struct data *d)
{
	return result(write(d->fd, d->buf, d->len));
}

static int run_writev(struct data *d)
{
	return result(writev(d->fd, d->iov, SEGMENTS));
}

/* It was sent whole, or not at all. */
static bool verify_write(struct data *d, int ret)
{
	if (ret < 0)
		return depth(d->fd) == 0;
	return ret == d->len && depth(d->fd) == 1 && take_msg(d->nb, d->len, 1) == d->len;
}

/* Reading */
static void prepare_read(struct data *d)
{
	put_msg(d->nb, d->len, 1);
	put_msg(d->nb, d->len, 2);
	memset(d->buf, JUNK, d->len);
	cut_buffer(d);
}

static int run_read(struct data *d)
{
	return result(read(d->fd, d->buf, d->len));
}

static int run_readv(struct data *d)
{
	return result(readv(d->fd, d->iov, SEGMENTS));
}

/* It was read whole, or comes next. */
static bool verify_read(struct data *d, int ret)
{
	if (ret < 0 ? take_msg(d->nb, d->len, 1) != d->len :
		      ret != d->len || !is_filled(d->buf, d->len, 1))
		return false;
	return take_msg(d->nb, d->len, 2) == d->len && depth(d->fd) == 0;
}

/* Opening */
static void prepare_open(struct data *d)
{
	d->traces = look_for_traces(d);
}

static int run_open(struct data *d)
{
	return result(open(DEVICE, O_RDWR));
}

/* It works and is closed, or has never been. */
static bool verify_open(struct data *d, int ret)
{
	bool works = ret < 0 || (put_msg(ret, 5, 3) == 5 && take_msg(ret, 5, 3) == 5);

	if (ret >= 0)
		close(ret);
	return works && nothing_left(d);
}

/* ioctl */
static void prepare_info(struct data *d)
{
	d->info = (void *)d->buf;
	memset(d->buf, 0, getpagesize());
	d->info->size = sizeof(*d->info);
}

static void prepare_long_info(struct data *d)
{
	prepare_info(d);
	d->info->size = getpagesize();
}

static int run_info(struct data *d)
{
	return result(ioctl(d->fd, MPMCQ_IOC_INFO, d->info));
}

static bool verify_info(struct data *d, int ret)
{
	return ret < 0 || ((int)d->info->capacity == d->capacity && !d->info->depth &&
			   d->info->number && !d->info->parked);
}

/* Waiting: with more entries in wait queues than fit on the stack. */
static void prepare_poll(struct data *d)
{
	int i;

	for (i = 0; i < FILES; i++)
		d->pfd[i] = (struct pollfd){ .fd = d->fd, .events = POLLIN | POLLOUT };
}

static int run_poll(struct data *d)
{
	return result(poll(d->pfd, FILES, 0));
}

static bool verify_poll(struct data *d, int ret)
{
	int i;

	for (i = 0; ret >= 0 && i < FILES; i++)
		if (d->pfd[i].revents != POLLOUT)
			return false;
	return ret < 0 || ret == FILES;
}

static int epoll_op(struct data *d, int op)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT };

	return result(epoll_ctl(d->epoll, op, d->fd, &event));
}

static void prepare_nothing(struct data *d)
{
}

static int run_epoll(struct data *d)
{
	return epoll_op(d, EPOLL_CTL_ADD);
}

static bool verify_epoll(struct data *d, int ret)
{
	struct epoll_event event;
	int events = epoll_wait(d->epoll, &event, 1, 0);

	if (ret < 0)
		return events == 0 && epoll_op(d, EPOLL_CTL_MOD) == -ENOENT;
	return events == 1 && event.events == EPOLLOUT && epoll_op(d, EPOLL_CTL_DEL) == 0;
}

static void prepare_async(struct data *d)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fcntl(d->fd, F_SETOWN, getpid());
}

static int run_async(struct data *d)
{
	return result(fcntl(d->fd, F_SETFL, O_ASYNC));
}

/* Half of it would be a signal for one of message and room. */
static bool verify_async(struct data *d, int ret)
{
	const struct timespec now = {};
	bool was_on = fcntl(d->fd, F_GETFL) & O_ASYNC;
	int signals = 0, i;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	for (i = 0; i < 2; i++) {
		if ((i ? take_msg(d->nb, 1, 4) : put_msg(d->nb, 1, 4)) != 1)
			return false;
		if (sigtimedwait(&set, NULL, &now) == SIGIO)
			signals++;
	}
	if (fcntl(d->fd, F_SETFL, 0))
		return false;
	return was_on == (ret >= 0) && signals == (ret >= 0 ? 2 : 0);
}

static void prepare_sysfs(struct data *d)
{
	d->file = open("/sys/class/mpmcq/mpmcq/capacity", O_RDONLY);
}

/* One copy that fails is tried again: these two may not fail. */
TEST_F(inject, write)
{
	const struct operation op = {
		"write", 1, prepare_write, run_write, { 0 }, verify_write
	};

	all_points(&self->data, &op);
}

TEST_F(inject, writev)
{
	const struct operation op = {
		"writev", 2 + SEGMENTS, prepare_write, run_writev, { -EFAULT, -ENOMEM },
		verify_write
	};

	all_points(&self->data, &op);
}

TEST_F(inject, read)
{
	const struct operation op = {
		"read", 1, prepare_read, run_read, { 0 }, verify_read
	};

	all_points(&self->data, &op);
}

TEST_F(inject, readv)
{
	const struct operation op = {
		"readv", 2 + SEGMENTS, prepare_read, run_readv, { -EFAULT, -ENOMEM }, verify_read
	};

	all_points(&self->data, &op);
}

TEST_F(inject, open)
{
	const struct operation op = {
		"open", 3, prepare_open, run_open, { -ENOMEM, -EFAULT }, verify_open
	};

	all_points(&self->data, &op);
}

TEST_F(inject, ioctl_info)
{
	const struct operation op = {
		"ioctl: INFO", 2, prepare_info, run_info, { -EFAULT }, verify_info
	};
	const struct operation op_long = {
		"ioctl: INFO of a page", 2, prepare_long_info, run_info, { -EFAULT }, verify_info
	};

	all_points(&self->data, &op);
	all_points(&self->data, &op_long);
}

TEST_F(inject, poll)
{
	const struct operation op = {
		"poll", 3, prepare_poll, run_poll, { -EFAULT, -ENOMEM }, verify_poll
	};

	all_points(&self->data, &op);
}

TEST_F(inject, epoll)
{
	const struct operation op = {
		"epoll_ctl", 4, prepare_nothing, run_epoll, { -EFAULT, -ENOMEM }, verify_epoll
	};

	all_points(&self->data, &op);
}

TEST_F(inject, async)
{
	const struct operation op = {
		"fcntl: O_ASYNC", 2, prepare_async, run_async, { -ENOMEM }, verify_async
	};

	all_points(&self->data, &op);
}

TEST_F(inject, text)
{
	const struct operation op = {
		"fdinfo", 2, prepare_fdinfo, run_text, { -EFAULT, -ENOMEM }, verify_text
	};
	const struct operation op_sysfs = {
		"sysfs", 2, prepare_sysfs, run_text, { -EFAULT, -ENOMEM }, verify_text
	};

	all_points(&self->data, &op);
	all_points(&self->data, &op_sysfs);
}

/* The controls: operations that have to be found wrong. */
static int run_nothing(struct data *d)
{
	return 0;
}

TEST_F(inject, control_nothing_can_fail)
{
	const struct operation op = {
		"nothing", 1, prepare_nothing, run_nothing, { 0 }, verify_nothing
	};

	EXPECT_EQ(TOO_FEW, judge(_metadata, &self->data, &op, fail_one));
	EXPECT_EQ(TOO_FEW, judge(_metadata, &self->data, &op, fail_copies));
}

static int run_refused_write(struct data *d)
{
	return -ENOMEM;
}

TEST_F(inject, control_failed_without_reason)
{
	const struct operation op = {
		"a refused write", 0, prepare_write, run_refused_write, { -ENOMEM }, verify_write
	};

	EXPECT_EQ(MISREPORTED, judge(_metadata, &self->data, &op, fail_one));
	EXPECT_EQ(MISREPORTED, judge(_metadata, &self->data, &op, fail_copies));
}

static int run_lost_write(struct data *d)
{
	int ret = run_write(d);

	take_all(d->nb);
	return ret;
}

TEST_F(inject, control_write_loses)
{
	const struct operation op = {
		"a lost write", 1, prepare_write, run_lost_write, { 0 }, verify_write
	};

	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
}

/* Fails with the message already taken. */
static int run_losing_read(struct data *d)
{
	int ret = run_read(d);

	return ret < 0 ? ret : -EFAULT;
}

TEST_F(inject, control_failed_read_loses)
{
	const struct operation op = {
		"a losing read", 1, prepare_read, run_losing_read, { -EFAULT }, verify_read
	};

	EXPECT_EQ(MISREPORTED | MISDONE, judge(_metadata, &self->data, &op, fail_one));
}

static int run_leaving_open(struct data *d)
{
	int ret = run_open(d);

	return ret < 0 ? ret : dup(ret);
}

TEST_F(inject, control_open_leaves_a_file)
{
	const struct operation op = {
		"an open that leaves a file", 3, prepare_open, run_leaving_open,
		{ -ENOMEM, -EFAULT }, verify_open
	};

	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
}

/* All copies fail, as often as the operation is tried. */
struct often {
	struct data *d;
	int (*run)(struct data *d);
};

static ssize_t fail_often(int fd, void *arg, size_t times)
{
	struct often *often = arg;
	size_t i;

	if (!fail_from_now_on())
		return -1;
	for (i = 0; i < times && often->run(often->d) == -EFAULT; i++)
		;
	return i;
}

TEST_F_TIMEOUT(inject, all_copies, 200)
{
	struct data *d = &self->data;
	struct often writes = { d, run_write }, reads = { d, run_read };
	int times = 2 * d->capacity;
	struct call call;

	prepare_write(d);
	ASSERT_TRUE(write_text(USERCOPY "probability", "100"));
	ASSERT_EQ(0, start_call(&call, fail_often, d->fd, &writes, times));
	EXPECT_EQ(times, finish_call(&call));
	EXPECT_EQ(0, depth(d->fd));

	prepare_read(d);
	ASSERT_EQ(0, start_call(&call, fail_often, d->fd, &reads, times));
	EXPECT_EQ(times, finish_call(&call));
	EXPECT_EQ(2, depth(d->fd));
	EXPECT_EQ(d->len, next_len(d->fd));
	ASSERT_TRUE(write_text(USERCOPY "probability", "0"));
	EXPECT_TRUE(verify_read(d, -EFAULT));
}

TEST_HARNESS_MAIN
