// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures that the kernel is told to have.  Each operation is repeated with its
 * 1st, 2nd, 3rd ... allocation or copy failing until one goes through without; and
 * those that copy more than once with all copies failing from there on.  After each
 * no message is lost, every slot can be used, no queue, name, mount or memory is left
 * behind, and the accounts have room for as much as before.
 *
 * Needs a kernel with CONFIG_FAULT_INJECTION and the three kinds of failures of
 * inject.h, and root.  Loading the module is tested if MPMCQ_RELOAD=1 allows that and
 * MPMCQ_KO is its file; in the end it is loaded as it was.
 */

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "inject.h"	/* with the default queue, which has to be there and empty */
#include "queuefs_test.h"

#define SEGMENTS	12	/* more than the kernel has room for without allocating */
#define FILES		80	/* more than poll has room for without allocating */
#define BATCH		5	/* messages in a packed buffer */
#define HELD		6	/* messages that the reader of these may hold */
#define MANY		100	/* ids that are more than one copy */
#define CAPACITY	128	/* of queues of our own */
#define LONGEST		1100	/* message there */
#define NAME		"inject"
#define PATH_SIZE	64
#define OTHER_USER	54321	/* a user that has no queues */

/* What there is of the module's, by which it shows whether something was left. */
struct traces {
	long users;		/* of the module; -1 if it is built in */
	int tables;		/* of memory */
	int names;		/* in the directory, if there is one */
	int mounts;
	int descriptor;		/* the next one */
};

/* What the operations work on. */
struct data {
	int fd;
	int nb;				/* does not wait */
	int capacity;
	int len;			/* of what is read or written */
	unsigned char buf[MSG_SIZE_MAX];
	struct iovec iov[SEGMENTS];
	struct pollfd pfd[FILES];
	int epoll;
	int file;			/* that is read */
	struct traces traces;
	struct mpmcq_info *info;

	/* With a queue of our own */
	int packer;			/* writes, packed */
	int taker;			/* packed, holds; neither waits */
	int reader;			/* that which is tried */
	unsigned int cmd;
	struct mpmcq_settle settle;
	struct mpmcq_dead dead;
	struct mpmcq_forward forward;
	struct mpmcq_peek peek;
	int target;			/* of forwards */
	struct mpmcq_msg msg[MANY];
	__u64 id[MANY];

	/* Making them, in a mount of our own */
	char base[PATH_SIZE / 2];
	char mount[PATH_SIZE];
	char place[PATH_SIZE];		/* for one more mount */
	int dir;			/* of the mount; 0 if there is none */
	bool named;			/* the queue that is tried has a name */
	uid_t uid;
	int (*one)(struct data *d);	/* makes one; its descriptor, or 0 if it has a name only */
	struct mpmcq_create create;
	struct mpmcq_attach attach;
	struct mpmcq_mode mode;
};

static int count_entries(const char *path, const char *start)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += !strncmp(entry->d_name, start, strlen(start));
	if (dir)
		closedir(dir);
	return dir ? n : -1;
}

static int count_lines(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256];
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += !!strstr(line, word);
	if (file)
		fclose(file);
	return file ? n : -1;
}

static struct traces look_for_traces(const struct data *d)
{
	struct traces traces = {
		.users = read_number("/sys/module/mpmcq/refcnt"),
		.tables = count_lines("/proc/vmallocinfo", "[mpmcq]"),
		.names = d->dir ? count_entries(d->mount, "") : 0,
		.mounts = count_lines("/proc/self/mounts", " mpmcqfs "),
		.descriptor = dup(STDOUT_FILENO),
	};

	close(traces.descriptor);
	return traces;
}

/* That and all later ones */
static void close_from(int fd)
{
	syscall(SYS_close_range, fd, ~0U, 0);
}

/* Since @traces was looked for. */
static bool nothing_left(const struct data *d)
{
	struct traces now = look_for_traces(d);
	bool same = !memcmp(&now, &d->traces, sizeof(now));

	if (!same)
		printf("# left: users %ld, tables %d, names %d, mounts %d, descriptors %d\n",
		       now.users - d->traces.users, now.tables - d->traces.tables,
		       now.names - d->traces.names, now.mounts - d->traces.mounts,
		       now.descriptor - d->traces.descriptor);
	return same;
}

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

/* Cuts what is read or written in pieces of all sizes. */
static void cut_buffer(struct data *d)
{
	int i, done = 0;

	for (i = 0; i < SEGMENTS; i++) {
		d->iov[i].iov_base = d->buf + done;
		d->iov[i].iov_len = i < SEGMENTS - 1 ? d->len / SEGMENTS + i % 2 : d->len - done;
		if ((int)d->iov[i].iov_len > d->len - done)
			d->iov[i].iov_len = d->len - done;
		done += d->iov[i].iov_len;
	}
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

/* What the kernel tells in text */
static void prepare_fdinfo(struct data *d)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	d->file = open(path, O_RDONLY);
}

static void prepare_sysfs(struct data *d)
{
	d->file = open("/sys/class/mpmcq/mpmcq/capacity", O_RDONLY);
}

static int run_text(struct data *d)
{
	return result(read(d->file, d->buf, 1024));
}

static bool verify_text(struct data *d, int ret)
{
	char wanted[16];

	close(d->file);
	d->buf[ret < 0 ? 0 : ret] = '\0';
	snprintf(wanted, sizeof(wanted), "%d\n", d->capacity);
	return ret < 0 || strstr((char *)d->buf, wanted);
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

static bool verify_nothing(struct data *d, int ret)
{
	return true;
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

/*
 * Many messages a call, and messages that are held: with a queue of our own
 */
FIXTURE(own)
{
	struct data data;
};

FIXTURE_SETUP(own)
{
	struct data *d = &self->data;

	d->capacity = CAPACITY;
	d->fd = make_queue(.capacity = CAPACITY, .msg_size = LONGEST, .open_flags = O_RDWR);
	ASSERT_LE(0, d->fd);
	d->nb = attach(d->fd, O_RDWR | O_NONBLOCK, 0, 0);
	d->packer = attach(d->fd, O_WRONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	d->taker = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			  CAPACITY);
	ASSERT_LE(0, d->nb);
	ASSERT_LE(0, d->packer);
	ASSERT_LE(0, d->taker);
	ASSERT_TRUE(injection_begin());
}

FIXTURE_TEARDOWN(own)
{
	injection_end();
}

/* No message is anywhere, and every slot can be used. */
static bool all_slots_free(struct data *d)
{
	struct mpmcq_info info = info_of(d->fd);

	return !info.depth && !info.dead && !info.leased &&
	       put_all(d->nb, 1, 0) == d->capacity && take_all(d->nb) == d->capacity;
}

/*
 * The lengths in a batch: with padding and without.  Failures reach the copies of long ones
 * only, and of those behind a long one in a write; short ones need pages that are missing,
 * see "over_edge" in packed.c.
 */
static const int length[BATCH] = { 1025, 16, LONGEST, 1040, 7 };

/* Bytes that the first @n messages of it take. */
static int space_of_batch(int n)
{
	int space = 0;

	while (n--)
		space += space_of(length[n]);
	return space;
}

static void pack_batch(struct data *d)
{
	int i;

	for (i = 0; i < BATCH; i++)
		pack(d->buf + space_of_batch(i), length[i], i);
	d->len = space_of_batch(BATCH);
	cut_buffer(d);
}

/*
 * How many messages the @bytes at @buf are; -EBADMSG if they are not those of a batch
 * from number @first on, delivered so often.
 */
static int unpack_batch(const unsigned char *buf, int bytes, int first, __u32 deliveries)
{
	struct mpmcq_msg msg;
	int i, at = 0;

	for (i = first; at < bytes; i++) {
		if (i == BATCH || unpack(buf + at, bytes - at, length[i], i, &msg) < 0 ||
		    msg.deliveries != deliveries)
			return -EBADMSG;
		at += space_of(length[i]);
	}
	return i - first;
}

/*
 * From number @first on @n messages of a batch wait, which nobody has had before.  Those that were
 * revived come one by one.
 */
static bool waiting(struct data *d, int first, int n)
{
	unsigned char buf[BATCH * MPMCQ_MSG_SPACE(LONGEST)];
	int bytes, got, done = 0;

	while ((bytes = take(d->taker, buf, sizeof(buf))) > 0) {
		got = unpack_batch(buf, bytes, first + done, 1);
		if (got <= 0 || ack_all(d->taker) != got)
			return false;
		done += got;
	}
	return bytes == -EAGAIN && done == n;
}

static int run_packed_write(struct data *d)
{
	return result(write(d->packer, d->buf, d->len));
}

static int run_packed_writev(struct data *d)
{
	return result(writev(d->packer, d->iov, SEGMENTS));
}

/* So many messages were sent as it says. */
static bool verify_packed_write(struct data *d, int ret)
{
	int n = 0;

	while (n < BATCH && ret > space_of_batch(n))
		n++;
	return (ret < 0 || ret == space_of_batch(n)) && depth(d->fd) == n && waiting(d, 0, n) &&
	       all_slots_free(d);
}

/* The first header is copied, and then each header and each message. */
TEST_F_TIMEOUT(own, packed_write, 200)
{
	const struct operation op = {
		"packed write", BATCH + 1, pack_batch, run_packed_write, { -EFAULT },
		verify_packed_write
	};

	all_points(&self->data, &op);
	all_copies(&self->data, &op);
}

TEST_F_TIMEOUT(own, packed_writev, 200)
{
	const struct operation op = {
		"packed writev", BATCH + SEGMENTS, pack_batch, run_packed_writev,
		{ -EFAULT, -ENOMEM }, verify_packed_write
	};

	all_points(&self->data, &op);
	all_copies(&self->data, &op);
}

static void prepare_packed_read(struct data *d)
{
	pack_batch(d);
	put(d->packer, d->buf, d->len);
	memset(d->buf, JUNK, d->len);
}

static int run_packed_read(struct data *d)
{
	return result(read(d->reader, d->buf, d->len));
}

static int run_packed_readv(struct data *d)
{
	return result(readv(d->reader, d->iov, SEGMENTS));
}

/* So many messages were delivered as it says; the others come next. */
static bool verify_packed_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 0);

	return n >= 0 && depth(d->fd) == BATCH - n && waiting(d, n, BATCH - n) &&
	       all_slots_free(d);
}

/* The reader can hold as many messages as ever. */
static bool can_hold_all(struct data *d)
{
	int i;

	for (i = 0; i <= HELD; i++)
		if (put_msg(d->nb, LEN, i) != LEN)
			return false;
	return take_packed(d->reader, HELD + 1, LEN, 0, NULL) == HELD &&
	       take_packed(d->reader, 1, LEN, HELD, NULL) == -ENOBUFS &&
	       ack_all(d->reader) == HELD && take_msg(d->nb, LEN, HELD) == LEN;
}

/* Those delivered are held, and no others. */
static bool verify_held_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 1);
	struct mpmcq_info info = info_of(d->reader);

	return n >= 0 && (int)info.held == n && (int)info.leased == n &&
	       (int)info.depth == BATCH - n && ack_all(d->reader) == n &&
	       waiting(d, n, BATCH - n) && can_hold_all(d) && all_slots_free(d);
}

/* One copy that fails is tried again: a read may fail only if more do. */
static void packed_reads(struct __test_metadata *_metadata, struct data *d, const char *name,
			 void (*prepare)(struct data *d), bool (*verify)(struct data *d, int ret))
{
	const struct operation op = {
		name, BATCH, prepare, run_packed_read, { 0 }, verify
	};
	const struct operation op_all = {
		name, BATCH, prepare, run_packed_read, { -EFAULT }, verify
	};
	const struct operation op_pieces = {
		name, BATCH + SEGMENTS, prepare, run_packed_readv, { -EFAULT, -ENOMEM }, verify
	};

	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
	all_points(d, &op_pieces);
	all_copies(d, &op_pieces);
}

TEST_F_TIMEOUT(own, packed_read, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	packed_reads(_metadata, d, "packed read", prepare_packed_read, verify_packed_read);
}

TEST_F_TIMEOUT(own, packed_read_with_a_lease, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   HELD);
	packed_reads(_metadata, d, "packed read with a lease", prepare_packed_read,
		     verify_held_read);
}

/* A batch of dead messages */
static void prepare_dead_read(struct data *d)
{
	prepare_packed_read(d);
	take_packed(d->taker, BATCH, LONGEST, 0, NULL);
	settle_all(d->taker, MPMCQ_SETTLE_REJECT);
	memset(d->buf, JUNK, d->len);
}

/* The first @n were delivered, the others are dead. */
static bool rest_is_dead(struct data *d, int n)
{
	return (int)info_of(d->fd).dead == BATCH - n && revive(d->fd, 0) == BATCH - n &&
	       waiting(d, n, BATCH - n) && all_slots_free(d);
}

static bool verify_packed_dead_read(struct data *d, int ret)
{
	int n = ret < 0 ? 0 : unpack_batch(d->buf, ret, 0, 1);

	return n >= 0 && rest_is_dead(d, n);
}

/* A bit for the message of a batch that this is, 1 if it is none. */
static unsigned int bit_of(const unsigned char *msg, int len)
{
	int i;

	for (i = 0; i < BATCH; i++)
		if (len == length[i] && is_filled(msg, len, i))
			return 2 << i;
	return 1;
}

/*
 * One was delivered, and the others are dead; in any order, as one that was taken and
 * could not be delivered goes behind them.
 */
static bool verify_dead_read(struct data *d, int ret)
{
	unsigned int seen = ret < 0 ? 0 : bit_of(d->buf, ret);

	if (revive(d->fd, 0) != (ret > 0 ? BATCH - 1 : BATCH))
		return false;
	while ((ret = take(d->nb, d->buf, LONGEST)) > 0)
		seen |= bit_of(d->buf, ret);
	return ret == -EAGAIN && seen == (2 << BATCH) - 2 && all_slots_free(d);
}

TEST_F_TIMEOUT(own, packed_read_of_the_dead, 400)
{
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD, 0);
	packed_reads(_metadata, d, "packed read of the dead", prepare_dead_read,
		     verify_packed_dead_read);
}

TEST_F_TIMEOUT(own, read_of_the_dead, 200)
{
	const struct operation op = {
		"read of the dead", 1, prepare_dead_read, run_packed_read, { 0 }, verify_dead_read
	};
	const struct operation op_all = {
		"read of the dead", 1, prepare_dead_read, run_packed_read, { -EFAULT },
		verify_dead_read
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_DEAD, 0);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
}

/* The reader holds the first of a batch. */
static void prepare_lease_read(struct data *d)
{
	prepare_packed_read(d);
	take_msg(d->reader, length[0], 0);
}

/* That one is acknowledged once the second is held; if that comes next, nothing is. */
static bool verify_lease_read(struct data *d, int ret)
{
	struct mpmcq_info info = info_of(d->reader);
	int n = ret > 0;

	return (ret < 0 || (ret == length[1] && is_filled(d->buf, ret, 1))) &&
	       info.held == 1 && info.leased == 1 && ack_all(d->reader) == 1 &&
	       waiting(d, 1 + n, BATCH - 1 - n) && all_slots_free(d);
}

TEST_F_TIMEOUT(own, read_with_a_lease, 200)
{
	const struct operation op = {
		"read with a lease", 1, prepare_lease_read, run_packed_read, { 0 },
		verify_lease_read
	};
	const struct operation op_all = {
		"read with a lease", 1, prepare_lease_read, run_packed_read, { -EFAULT },
		verify_lease_read
	};
	struct data *d = &self->data;

	/* With room for one, that none is left reserved. */
	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE, 1);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
	all_copies(d, &op_all);
}

/* Ids, in more than one copy */
static void prepare_ids(struct data *d)
{
	int i;

	put_packed(d->packer, MANY, LEN, 0);
	take_packed(d->reader, MANY, LEN, 0, d->msg);
	for (i = 0; i < MANY; i++)
		d->id[i] = d->msg[i].id;
	d->settle = (struct mpmcq_settle) {
		.size = sizeof(d->settle), .op = d->cmd, .ids = (unsigned long)d->id,
		.count = MANY, .done = JUNK,
	};
}

static int run_ids(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_SETTLE, &d->settle));
}

/* Messages numbers 0 to @n - 1 wait, read before. */
static bool waiting_again(struct data *d, int n)
{
	int i;

	if (!n)
		return true;
	if (take_packed(d->taker, n, LEN, 0, d->msg) != n)
		return false;
	for (i = 0; i < n; i++)
		if (d->msg[i].deliveries != 2)
			return false;
	return ack_all(d->taker) == n;
}

/* All is done, or nothing. */
static bool verify_ids(struct data *d, int ret)
{
	int done = ret < 0 ? 0 : MANY;
	int ended = d->cmd == MPMCQ_SETTLE_TOUCH ? 0 : done;
	int ready = d->cmd == MPMCQ_SETTLE_NACK ? done : 0;
	int dead = d->cmd == MPMCQ_SETTLE_REJECT ? done : 0;
	struct mpmcq_info info = info_of(d->reader);

	return (ret < 0 || d->settle.done == MANY) &&
	       (int)info.held == MANY - ended && (int)info.leased == MANY - ended &&
	       (int)info.depth == ready && (int)info.dead == dead && waiting_again(d, ready) &&
	       purge(d->fd, 0) == dead && ack_all(d->reader) == MANY - ended && all_slots_free(d);
}

static void ids(struct __test_metadata *_metadata, struct data *d, const char *name,
		unsigned int cmd)
{
	const struct operation op = {
		name, 3, prepare_ids, run_ids, { -EFAULT, -ENOMEM }, verify_ids
	};

	d->cmd = cmd;
	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   MANY);
	ASSERT_LE(0, d->reader);
	all_points(d, &op);
}

TEST_F_TIMEOUT(own, acknowledge, 200)
{
	ids(_metadata, &self->data, "ACK", MPMCQ_SETTLE_ACK);
}

TEST_F_TIMEOUT(own, give_back, 200)
{
	ids(_metadata, &self->data, "NACK", MPMCQ_SETTLE_NACK);
}

TEST_F_TIMEOUT(own, reject, 200)
{
	ids(_metadata, &self->data, "REJECT", MPMCQ_SETTLE_REJECT);
}

TEST_F_TIMEOUT(own, touch, 200)
{
	ids(_metadata, &self->data, "TOUCH", MPMCQ_SETTLE_TOUCH);
}

/* One message that is held, and what is to be sent in its place */
static void prepare_forward(struct data *d)
{
	put_packed(d->packer, 1, LEN, 1);
	take_packed(d->reader, 1, LEN, 1, d->msg);
	fill(d->buf, LONGEST, 2);
	d->forward = (struct mpmcq_forward) {
		.size = sizeof(d->forward), .fd = d->target, .id = d->msg[0].id,
		.buf = (unsigned long)d->buf, .len = LONGEST,
	};
}

static int run_forward(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_FORWARD, &d->forward));
}

/* It is there, or still here. */
static bool verify_forward(struct data *d, int ret)
{
	bool there = take_msg(d->target, LONGEST, 2) == LONGEST;

	return there == !ret && info_of(d->reader).held == !!ret &&
	       ack_all(d->reader) == !!ret && all_slots_free(d) &&
	       put_all(d->target, LEN, 0) == 2 && take_all(d->target) == 2;
}

TEST_F_TIMEOUT(own, forward, 200)
{
	const struct operation op = {
		"FORWARD", 4, prepare_forward, run_forward, { -EFAULT, -ENOMEM }, verify_forward
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 1);
	d->target = make_queue(.capacity = 2, .msg_size = LONGEST,
			       .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, d->reader);
	ASSERT_LE(0, d->target);
	all_points(d, &op);
	close(d->target);
}

static void prepare_peek(struct data *d)
{
	put_msg(d->nb, LONGEST, 3);
	memset(d->buf, JUNK, LONGEST);
	d->peek = (struct mpmcq_peek) {
		.size = sizeof(d->peek), .where = MPMCQ_PEEK_READY,
		.buf = (unsigned long)d->buf, .buf_len = LONGEST,
	};
}

static int run_peek(struct data *d)
{
	return result(ioctl(d->fd, MPMCQ_IOC_PEEK, &d->peek));
}

static bool verify_peek(struct data *d, int ret)
{
	return (ret || (d->peek.len == LONGEST && is_filled(d->buf, LONGEST, 3))) &&
	       take_msg(d->nb, LONGEST, 3) == LONGEST && all_slots_free(d);
}

TEST_F_TIMEOUT(own, peek, 200)
{
	const struct operation op = {
		"PEEK", 5, prepare_peek, run_peek, { -EFAULT, -ENOMEM }, verify_peek
	};

	all_points(&self->data, &op);
}

/* Dead messages; how many were moved can be read, but perhaps not written. */
static void prepare_dead(struct data *d)
{
	prepare_dead_read(d);
	d->dead = (struct mpmcq_dead){ .size = sizeof(d->dead), .done = JUNK };
}

static int run_dead(struct data *d)
{
	return result(ioctl(d->fd, d->cmd, &d->dead));
}

/* So many of the dead were revived, or purged; the others are as they were. */
static bool moved_dead(struct data *d, int n)
{
	if ((int)info_of(d->fd).dead != BATCH - n)
		return false;
	if (d->cmd == MPMCQ_IOC_REVIVE && !waiting(d, 0, n))
		return false;
	return rest_is_dead(d, n);
}

static bool verify_dead(struct data *d, int ret)
{
	return moved_dead(d, ret < 0 ? 0 : d->dead.done);
}

TEST_F_TIMEOUT(own, revive_and_purge, 200)
{
	const struct operation op_revive = {
		"REVIVE", 1, prepare_dead, run_dead, { -EFAULT }, verify_dead
	};
	const struct operation op_purge = {
		"PURGE", 1, prepare_dead, run_dead, { -EFAULT }, verify_dead
	};
	struct data *d = &self->data;

	d->cmd = MPMCQ_IOC_REVIVE;
	all_points(d, &op_revive);
	d->cmd = MPMCQ_IOC_PURGE;
	all_points(d, &op_purge);
}

/*
 * What has been done is done, also if nobody can be told.  Nothing is, if that is seen before.
 */
TEST_F_TIMEOUT(own, done_cannot_be_written, 200)
{
	struct data *d = &self->data;
	void *page = map(getpagesize(), PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, page);
	d->cmd = MPMCQ_IOC_REVIVE;
	prepare_dead(d);
	memcpy(page, &d->dead, sizeof(d->dead));
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(d->fd, MPMCQ_IOC_REVIVE, page)));
	EXPECT_TRUE(moved_dead(d, BATCH));

	d->cmd = MPMCQ_IOC_PURGE;
	prepare_dead(d);
	EXPECT_EQ(-EFAULT, result(ioctl(d->fd, MPMCQ_IOC_PURGE, page)));
	EXPECT_TRUE(moved_dead(d, BATCH));

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   MANY);
	d->cmd = MPMCQ_SETTLE_NACK;
	prepare_ids(d);
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ | PROT_WRITE));
	memcpy(page, &d->settle, sizeof(d->settle));
	ASSERT_EQ(0, mprotect(page, getpagesize(), PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(d->reader, MPMCQ_IOC_SETTLE, page)));
	EXPECT_EQ(MANY, info_of(d->reader).held);
	EXPECT_EQ(MANY, ack_all(d->reader));
	EXPECT_TRUE(all_slots_free(d));
}

TEST_F(own, text)
{
	const struct operation op = {
		"fdinfo", 2, prepare_fdinfo, run_text, { -EFAULT, -ENOMEM }, verify_text
	};

	all_points(&self->data, &op);
}

/* The controls: reads that have to be found wrong. */
static int run_losing_packed_read(struct data *d)
{
	int ret = result(read(d->reader, d->buf, space_of_batch(BATCH - 1)));

	take_all(d->nb);
	return ret;
}

static int run_acknowledged_read(struct data *d)
{
	int ret = run_packed_read(d);

	ack_all(d->reader);
	return ret;
}

TEST_F_TIMEOUT(own, control_packed_reads, 200)
{
	const struct operation op_losing = {
		"a losing packed read", BATCH, prepare_packed_read, run_losing_packed_read, { 0 },
		verify_packed_read
	};
	const struct operation op_acknowledged = {
		"a read that holds nothing", BATCH, prepare_packed_read, run_acknowledged_read,
		{ 0 }, verify_held_read
	};
	struct data *d = &self->data;

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, d->reader);
	EXPECT_EQ(MISDONE, judge(_metadata, d, &op_losing, fail_one));

	d->reader = attach(d->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
			   HELD);
	ASSERT_LE(0, d->reader);
	EXPECT_EQ(MISDONE, judge(_metadata, d, &op_acknowledged, fail_one));
}

/*
 * Making queues, and open files of them.  The limits leave room for just one more queue
 * meanwhile, so that a failure that is not taken off the account is noticed.
 */
#define CGROUPS		"/sys/fs/cgroup/"
#define CGROUP		CGROUPS "mpmcq_inject/"

static const struct {
	const char *path;
	const char *option;	/* or of the mount, in place of a path */
	long most;		/* more than enough */
	int error;
} limits[] = {
	{ PARAMETERS "max_user_queues", NULL, 1 << 20, -EDQUOT },
	{ PARAMETERS "max_user_bytes", NULL, 1L << 40, -EDQUOT },
	{ PARAMETERS "max_total_bytes", NULL, 1L << 40, -ENOSPC },
	{ NULL, "max", 1 << 20, -ENOSPC },
	{ NULL, "size", 1L << 40, -ENOSPC },
};

#define LIMITS		ARRAY_SIZE(limits)

FIXTURE(make)
{
	struct data data;
	long limit[LIMITS];
};

/* Does without the capability that limits do not apply to, or has it again. */
static bool obey_limits(bool obey)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];
	__u32 bit = 1 << CAP_SYS_RESOURCE;

	if (syscall(SYS_capget, &header, data))
		return false;
	data[0].effective = obey ? data[0].effective & ~bit : data[0].effective | bit;
	return !syscall(SYS_capset, &header, data);
}

/* A private queue, or one with a name; its descriptor, or 0. */
static int run_create(struct data *d)
{
	return result(ioctl(d->named ? d->dir : d->fd, MPMCQ_IOC_CREATE, &d->create));
}

static bool has_name(struct data *d)
{
	return !faccessat(d->dir, NAME, F_OK, 0);
}

/* One as any user may have it, made and gone again; 0 or -errno. */
static int make_one(struct data *d)
{
	int fd;

	obey_limits(true);
	setfsuid(d->uid);
	fd = d->one(d);
	setfsuid(0);
	obey_limits(false);
	remove_at(d->dir, NAME);
	if (fd > 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static bool set_limit(struct data *d, int i, long value)
{
	char option[64];

	if (limits[i].path)
		return write_number(limits[i].path, value);
	snprintf(option, sizeof(option), "%s=%ld", limits[i].option, value);
	return !mount(NULL, d->mount, NULL, MS_REMOUNT, option);
}

/* Sets the limit to the least with which there is room for one; that, or -1. */
static long tighten(struct data *d, int i)
{
	long low = 0, high = limits[i].most, mid;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (!set_limit(d, i, mid))
			return -1;
		if (make_one(d))
			low = mid;
		else
			high = mid;
	}
	return set_limit(d, i, high) ? high : -1;
}

static const char *limit_name(int i)
{
	return limits[i].path ? limits[i].path : limits[i].option;
}

/* The mount's have been none. */
static void loosen_all(struct __test_metadata *_metadata, struct data *d, const long *limit)
{
	size_t i;

	for (i = 0; i < LIMITS; i++)
		EXPECT_TRUE(set_limit(d, i, limit[i])) TH_LOG("%s", limit_name(i));
}

static void tighten_all(struct __test_metadata *_metadata, struct data *d)
{
	size_t i;

	for (i = 0; i < LIMITS; i++) {
		ASSERT_LT(0, tighten(d, i)) TH_LOG("%s", limit_name(i));
		EXPECT_EQ(0, make_one(d));
	}
}

FIXTURE_SETUP(make)
{
	const struct rlimit files = { 4096, 4096 }, memory = { RLIM_INFINITY, RLIM_INFINITY };
	struct data *d = &self->data;
	size_t i;

	for (i = 0; i < LIMITS; i++)
		self->limit[i] = limits[i].path ? read_number(limits[i].path) : 0;
	/* Where memory is charged, that takes memory, too. */
	write_text(CGROUPS "cgroup.subtree_control", "+memory");
	if (!mkdir(CGROUP, 0755) || errno == EEXIST)
		ASSERT_TRUE(write_text(CGROUP "cgroup.procs", "0"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &memory));
	d->fd = open(DEVICE, O_RDWR);
	ASSERT_LE(0, d->fd);
	ASSERT_EQ(0, enter_scratch(d->base, sizeof(d->base)));
	snprintf(d->mount, sizeof(d->mount), "%s/mount", d->base);
	snprintf(d->place, sizeof(d->place), "%s/place", d->base);
	ASSERT_EQ(0, mkdir(d->mount, 0755));
	ASSERT_EQ(0, mkdir(d->place, 0755));
	ASSERT_EQ(0, mount_queues(d->mount, 0, "mode=1777"));
	d->dir = open(d->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LT(0, d->dir);
	d->capacity = CAPACITY;
	d->create = (struct mpmcq_create) {
		.size = sizeof(d->create), .capacity = CAPACITY, .msg_size = LONGEST,
		.open_flags = O_RDWR | O_NONBLOCK,
	};
	d->one = run_create;
	ASSERT_TRUE(injection_begin());
	EXPECT_EQ(0, make_one(d));
}

FIXTURE_TEARDOWN(make)
{
	injection_end();
	loosen_all(_metadata, &self->data, self->limit);
	close(self->data.dir);
	leave_scratch(self->data.base);
	if (!access(CGROUP, F_OK)) {
		EXPECT_TRUE(write_text(CGROUPS "cgroup.procs", "0"));
		EXPECT_EQ(0, rmdir(CGROUP));
	}
}

static void prepare_create(struct data *d)
{
	d->traces = look_for_traces(d);
	setfsuid(d->uid);
}

static bool takes_messages(int fd)
{
	return put_msg(fd, LEN, 3) == LEN && take_msg(fd, LEN, 3) == LEN;
}

/* It works until it is gone, or has never been; and there is room for one more. */
static bool verify_create(struct data *d, int ret)
{
	bool good = has_name(d) == (d->named && !ret);
	int fd = ret;

	setfsuid(0);
	if (d->named && !ret)
		fd = open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
	if (fd > 0) {
		good = good && takes_messages(fd);
		close(fd);
	}
	if (d->named && !ret)
		good = good && !remove_at(d->dir, NAME);
	return good && !has_name(d) && nothing_left(d) && !make_one(d) && nothing_left(d);
}

/* From now on the queue that is tried has a name. */
static void give_name(struct data *d)
{
	d->named = true;
	d->create.open_flags = 0;
	d->create.mode = 0600;
	d->create.name = (unsigned long)NAME;
}

TEST_F_TIMEOUT(make, create, 200)
{
	const struct operation op = {
		"CREATE", 10, prepare_create, run_create, { -EFAULT, -ENOMEM }, verify_create
	};

	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

/* By a user for whom there is no account yet */
TEST_F_TIMEOUT(make, create_the_first, 200)
{
	const struct operation op = {
		"the first CREATE", 11, prepare_create, run_create, { -EFAULT, -ENOMEM },
		verify_create
	};

	self->data.uid = OTHER_USER;
	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

TEST_F_TIMEOUT(make, create_with_a_name, 400)
{
	const struct operation op = {
		"CREATE with a name", 12, prepare_create, run_create, { -EFAULT, -ENOMEM },
		verify_create
	};

	give_name(&self->data);
	tighten_all(_metadata, &self->data);
	all_points(&self->data, &op);
}

/* The child that starts it is root of a namespace, for which there is no account yet. */
static int judge_in_namespace(void *arg)
{
	const struct operation op = {
		"CREATE with a name, in a user namespace", 13, prepare_create, run_create,
		{ -EFAULT, -ENOMEM }, verify_create
	};
	struct __test_metadata child = { .name = "create_in_a_namespace" };

	/* Those of the parent are not inherited. */
	close(fail_nth);
	fail_nth = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_nth < 0 || mlockall(MCL_CURRENT | MCL_FUTURE))
		return -1;
	return judge(&child, arg, &op, fail_one);
}

TEST_F_TIMEOUT(make, create_in_a_namespace, 400)
{
	struct data *d = &self->data;
	int ret;

	give_name(d);
	if (child_end(fork_child(!!unshare(CLONE_NEWUSER))))
		SKIP(return, "there are no user namespaces");
	tighten_all(_metadata, d);
	ret = in_namespace(0, 0, 65536, judge_in_namespace, d);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, make_one(d));
}

/* There is such a queue already: it stays as it is, and nothing comes to it. */
static void prepare_exist_ok(struct data *d)
{
	struct mpmcq_create create = d->create;

	create.flags &= ~MPMCQ_EXIST_OK;
	ioctl(d->dir, MPMCQ_IOC_CREATE, &create);
	d->traces = look_for_traces(d);
}

static bool verify_exist_ok(struct data *d, int ret)
{
	bool good = nothing_left(d);
	int fd = open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);

	good = good && takes_messages(fd);
	close(fd);
	return good && !remove_at(d->dir, NAME) && !make_one(d);
}

TEST_F_TIMEOUT(make, create_what_exists, 200)
{
	const struct operation op = {
		"CREATE with EXIST_OK", 2, prepare_exist_ok, run_create, { -EFAULT, -ENOMEM },
		verify_exist_ok
	};
	struct data *d = &self->data;

	give_name(d);
	d->create.flags = MPMCQ_EXIST_OK;
	tighten_all(_metadata, d);
	all_points(d, &op);
}

/* A queue that closes with its last writer, the only one of which is open then */
static int make_closing(struct data *d)
{
	struct mpmcq_create create = d->create;
	int ret;

	create.flags = MPMCQ_AUTO_CLOSE | (d->create.flags & (MPMCQ_START_LEASE | MPMCQ_DELAY));
	ret = result(ioctl(d->named ? d->dir : d->fd, MPMCQ_IOC_CREATE, &create));
	return ret || !d->named ? ret : open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
}

static void prepare_closing(struct data *d)
{
	d->traces = look_for_traces(d);
	d->reader = make_closing(d);
}

static bool takes_messages_by(struct data *d, int fd)
{
	const __u32 modes = d->attach.modes;
	struct mpmcq_info info = info_of(fd);
	struct mpmcq_msg msg;
	int got;

	if (info.modes != modes || info.max_held != d->attach.max_held ||
	    put_msg(d->reader, LEN, 3) != LEN)
		return false;
	if (modes & MPMCQ_MODE_DEAD)
		return take_packed(fd, 1, LEN, 3, &msg) == -EAGAIN &&
		       take_msg(d->reader, LEN, 3) == LEN;
	got = modes & MPMCQ_MODE_PACKED ? take_packed(fd, 1, LEN, 3, &msg) :
					  take_msg(fd, LEN, 3) / LEN;
	return got == 1 && ack_all(fd) == !!(modes & MPMCQ_MODE_LEASE);
}

/* It is one more user and writer until it is closed, or has never been. */
static bool verify_another(struct data *d, int ret)
{
	bool good = ret < 0 || takes_messages_by(d, ret);
	int watcher = attach(d->reader, O_RDONLY, 0, 0);

	if (ret >= 0)
		close(ret);
	good = good && !info_of(d->reader).closed;
	close(d->reader);
	good = good && info_of(watcher).closed == 1;
	close(watcher);
	if (d->named)
		good = good && !remove_at(d->dir, NAME);
	return good && nothing_left(d) && !make_one(d);
}

static int run_open_name(struct data *d)
{
	return open_at(d->dir, NAME, O_RDWR | O_NONBLOCK);
}

static int run_open_path(struct data *d)
{
	char path[2 * PATH_SIZE];

	snprintf(path, sizeof(path), "%s/" NAME, d->mount);
	return open_at(AT_FDCWD, path, O_RDWR | O_NONBLOCK);
}

TEST_F_TIMEOUT(make, open, 200)
{
	const struct operation op = {
		"open of a queue", 3, prepare_closing, run_open_name, { -EFAULT, -ENOMEM },
		verify_another
	};
	const struct operation op_path = {
		"open of a queue by its path", 3, prepare_closing, run_open_path,
		{ -EFAULT, -ENOMEM }, verify_another
	};

	give_name(&self->data);
	all_points(&self->data, &op);
	all_points(&self->data, &op_path);
}

static int run_attach(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_ATTACH, &d->attach));
}

/* A queue, and another open file of it, which is all that is left of it */
static int attach_one(struct data *d)
{
	int fd;

	d->reader = make_closing(d);
	if (d->reader < 0)
		return d->reader;
	fd = run_attach(d);
	close(d->reader);
	return fd;
}

/* A table goes with the open file where the queue's readers begin with a lease. */
TEST_F_TIMEOUT(make, open_with_a_lease, 200)
{
	const struct operation op = {
		"open of a queue whose readers begin with a lease", 4, prepare_closing,
		run_open_name, { -EFAULT, -ENOMEM }, verify_another
	};

	give_name(&self->data);
	self->data.create.flags = MPMCQ_START_LEASE | MPMCQ_DELAY;
	self->data.attach.modes = MPMCQ_MODE_LEASE;
	self->data.attach.max_held = 1;
	all_points(&self->data, &op);
}

static void attach_all(struct __test_metadata *_metadata, struct data *d, const long *limit)
{
	static const struct {
		const char *name;
		unsigned int least;
		__u32 modes;
		__u32 max_held;
	} kinds[] = {
		{ "ATTACH", 4, 0, 0 },
		{ "ATTACH: packed", 4, MPMCQ_MODE_PACKED, 0 },
		{ "ATTACH: lease", 6, MPMCQ_MODE_LEASE, 8 },
		{ "ATTACH: packed lease", 6, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, CAPACITY },
		{ "ATTACH: packed dead", 4, MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD, 0 },
	};
	size_t i;

	d->one = attach_one;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct operation op = {
			kinds[i].name, kinds[i].least - d->named, prepare_closing, run_attach,
			{ -EFAULT, -ENOMEM }, verify_another
		};

		d->attach = (struct mpmcq_attach) {
			.size = sizeof(d->attach), .open_flags = O_RDWR | O_NONBLOCK,
			.modes = kinds[i].modes, .max_held = kinds[i].max_held,
		};
		tighten_all(_metadata, d);
		all_points(d, &op);
		loosen_all(_metadata, d, limit);
	}
}

TEST_F_TIMEOUT(make, attach, 400)
{
	attach_all(_metadata, &self->data, self->limit);
}

/* By opening its file again */
TEST_F_TIMEOUT(make, attach_with_a_name, 400)
{
	give_name(&self->data);
	attach_all(_metadata, &self->data, self->limit);
}

static int run_unlink(struct data *d)
{
	return remove_at(d->dir, NAME);
}

/* The name is gone, or is as it was; the queue stays with its open file. */
static bool verify_unlink(struct data *d, int ret)
{
	bool good = takes_messages(d->reader) && has_name(d) == (ret < 0);

	if (ret < 0)
		good = good && !remove_at(d->dir, NAME);
	close(d->reader);
	return good && !has_name(d) && nothing_left(d) && !make_one(d);
}

TEST_F_TIMEOUT(make, unlink, 200)
{
	const struct operation op = {
		"unlink", 2, prepare_closing, run_unlink, { -EFAULT, -ENOMEM }, verify_unlink
	};

	give_name(&self->data);
	all_points(&self->data, &op);
}

/*
 * Mounts
 */
#define OPTIONS		"mode=1777,uid=1,gid=2,size=4m,max=2"

static void prepare_mount(struct data *d)
{
	d->traces = look_for_traces(d);
}

static int run_mount(struct data *d)
{
	return mount_queues(d->place, 0, OPTIONS);
}

/* Numbers of fsconfig(2) and its kind, for the sake of old headers */
enum { SET_STRING = 1, CMD_CREATE = 6, MOVE_EMPTY_PATH = 4 };

/* As mount(2), by several calls, up to the first that fails. */
static int run_mount_in_steps(struct data *d)
{
	static const struct { const char *key, *value; } options[] = {
		{ "mode", "1777" }, { "uid", "1" }, { "gid", "2" }, { "size", "4m" },
		{ "max", "2" },
	};
	int fs = result(syscall(SYS_fsopen, "mpmcqfs", 0)), mnt, ret = fs;
	size_t i;

	for (i = 0; ret >= 0 && i < ARRAY_SIZE(options); i++)
		ret = result(syscall(SYS_fsconfig, fs, SET_STRING, options[i].key,
				     options[i].value, 0));
	if (ret >= 0)
		ret = result(syscall(SYS_fsconfig, fs, CMD_CREATE, NULL, NULL, 0));
	mnt = ret < 0 ? ret : result(syscall(SYS_fsmount, fs, 0, 0));
	if (fs >= 0)
		close(fs);
	if (mnt < 0)
		return mnt;
	ret = result(syscall(SYS_move_mount, mnt, "", AT_FDCWD, d->place, MOVE_EMPTY_PATH));
	close(mnt);
	return ret;
}

/* Whether the directory at @path is as OPTIONS say, and queues can be made there. */
static bool is_mounted(struct data *d, const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct mpmcq_create create = {
		.size = sizeof(create), .name = (unsigned long)"a", .capacity = 2, .msg_size = 100,
	};
	struct statfs fs;
	struct stat st;
	bool good;

	good = !fstatfs(dir, &fs) && fs.f_type == MPMCQFS_MAGIC && fs.f_files == 2 &&
	       fs.f_blocks * fs.f_bsize == 4 << 20 && !fstat(dir, &st) &&
	       st.st_mode == (S_IFDIR | 01777) && st.st_uid == 1 && st.st_gid == 2 &&
	       !ioctl(dir, MPMCQ_IOC_CREATE, &create);
	fd = open_at(dir, "a", O_RDWR | O_NONBLOCK);
	good = good && takes_messages(fd);
	close(fd);
	close(dir);
	return good;
}

/* It is mounted until it is unmounted, or has never been. */
static bool verify_mount(struct data *d, int ret)
{
	bool good = ret < 0 || (is_mounted(d, d->place) && !umount2(d->place, 0));

	return good && nothing_left(d) && umount2(d->place, 0) == -1 && errno == EINVAL;
}

TEST_F_TIMEOUT(make, mount, 400)
{
	const struct operation op = {
		"mount", 12, prepare_mount, run_mount, { -EFAULT, -ENOMEM }, verify_mount
	};
	const struct operation op_steps = {
		"fsopen, fsconfig, fsmount, move_mount", 20, prepare_mount, run_mount_in_steps,
		{ -EFAULT, -ENOMEM }, verify_mount
	};

	all_points(&self->data, &op);
	all_points(&self->data, &op_steps);
}

/* A mount with a queue in it, which goes with it */
static void prepare_umount(struct data *d)
{
	d->traces = look_for_traces(d);
	if (run_mount(d) || !is_mounted(d, d->place))
		d->traces.mounts = -1;
}

static int run_umount(struct data *d)
{
	return result(umount2(d->place, 0));
}

/* It is gone with its queue, or is there with it. */
static bool verify_umount(struct data *d, int ret)
{
	char path[2 * PATH_SIZE];
	bool good;

	snprintf(path, sizeof(path), "%s/a", d->place);
	good = !access(path, F_OK) == (ret < 0);
	if (ret < 0)
		good = good && !run_umount(d);
	return good && nothing_left(d);
}

TEST_F_TIMEOUT(make, umount, 200)
{
	const struct operation op = {
		"umount", 2, prepare_umount, run_umount, { -EFAULT, -ENOMEM }, verify_umount
	};

	all_points(&self->data, &op);
}

static int run_remount(struct data *d)
{
	return result(mount(NULL, d->mount, NULL, MS_REMOUNT, "size=8m,max=9"));
}

static void prepare_remount(struct data *d)
{
	d->traces = look_for_traces(d);
	mount(NULL, d->mount, NULL, MS_REMOUNT, "size=4m,max=5");
}

/* Both limits have changed, or none has. */
static bool verify_remount(struct data *d, int ret)
{
	struct statfs fs;

	return !statfs(d->mount, &fs) && (int)fs.f_files == (ret < 0 ? 5 : 9) &&
	       (int)(fs.f_blocks * fs.f_bsize >> 20) == (ret < 0 ? 4 : 8) && nothing_left(d);
}

TEST_F_TIMEOUT(make, remount, 200)
{
	const struct operation op = {
		"remount", 6, prepare_remount, run_remount, { -EFAULT, -ENOMEM }, verify_remount
	};

	all_points(&self->data, &op);
}

static void prepare_mode(struct data *d)
{
	d->traces = look_for_traces(d);
	d->reader = run_create(d);
}

static int run_mode(struct data *d)
{
	return result(ioctl(d->reader, MPMCQ_IOC_MODE, &d->mode));
}

static int mode_one(struct data *d)
{
	int ret;

	d->reader = run_create(d);
	if (d->reader < 0)
		return d->reader;
	ret = run_mode(d);
	if (!ret)
		return d->reader;
	close(d->reader);
	return ret;
}

/* The modes are as asked, or as they were, and can be set again. */
static bool verify_mode(struct data *d, int ret)
{
	struct mpmcq_info info = info_of(d->reader);
	bool good = ret < 0 ? !info.modes && !info.max_held && takes_messages(d->reader) :
			      info.modes == d->mode.modes && info.max_held == HELD;

	good = good && !set_modes(d->reader, d->mode.modes, HELD);
	d->nb = attach(d->reader, O_RDWR | O_NONBLOCK, 0, 0);
	good = good && can_hold_all(d);
	close(d->nb);
	close(d->reader);
	return good && nothing_left(d) && !make_one(d);
}

TEST_F_TIMEOUT(make, mode, 200)
{
	const struct operation op = {
		"MODE", 3, prepare_mode, run_mode, { -EFAULT, -ENOMEM }, verify_mode
	};
	struct data *d = &self->data;

	d->mode = (struct mpmcq_mode) {
		.size = sizeof(d->mode), .modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
		.max_held = HELD,
	};
	d->one = mode_one;
	tighten_all(_metadata, d);
	all_points(d, &op);
}

/* The controls */
TEST_F_TIMEOUT(make, control_limits, 200)
{
	struct mpmcq_create first;
	struct data *d = &self->data;
	size_t i;

	give_name(d);
	first = d->create;
	first.name = (unsigned long)"first";
	for (i = 0; i < LIMITS; i++) {
		ASSERT_LT(0, tighten(d, i)) TH_LOG("%s", limit_name(i));
		ASSERT_EQ(0, ioctl(d->dir, MPMCQ_IOC_CREATE, &first)) TH_LOG("%s", limit_name(i));
		EXPECT_EQ(limits[i].error, make_one(d)) TH_LOG("%s", limit_name(i));
		EXPECT_TRUE(set_limit(d, i, self->limit[i]));
		ASSERT_EQ(0, remove_at(d->dir, "first"));
	}
}

static int run_leaving_create(struct data *d)
{
	run_create(d);
	return run_create(d);
}

TEST_F_TIMEOUT(make, control_create_leaves_one, 200)
{
	const struct operation op = {
		"CREATE that leaves one behind", 10, prepare_create, run_leaving_create,
		{ -EFAULT, -ENOMEM }, verify_create
	};
	int first;

	first = dup(STDOUT_FILENO);
	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	close_from(first);
}

static int run_leaving_unlink(struct data *d)
{
	return 0;
}

TEST_F_TIMEOUT(make, control_name_stays, 200)
{
	const struct operation op = {
		"unlink that does nothing", 0, prepare_closing, run_leaving_unlink, { 0 },
		verify_unlink
	};

	give_name(&self->data);
	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	remove_at(self->data.dir, NAME);
}

/* Mounts twice: one stays. */
static int run_leaving_mount(struct data *d)
{
	int ret = run_mount(d);

	return ret ? ret : run_mount(d);
}

TEST_F_TIMEOUT(make, control_mount_stays, 200)
{
	const struct operation op = {
		"mount that leaves one behind", 12, prepare_mount, run_leaving_mount,
		{ -EFAULT, -ENOMEM }, verify_mount
	};

	EXPECT_EQ(MISDONE, judge(_metadata, &self->data, &op, fail_one));
	while (!umount2(self->data.place, MNT_DETACH))
		;
}

/* The last of these tests: what they have left behind */
TEST_F_TIMEOUT(make, leaks, 200)
{
	if (access(KMEMLEAK, W_OK))
		SKIP(return, "the kernel does not look for leaks: " KMEMLEAK);
	EXPECT_EQ(0, leaks(0));
}

/*
 * Loading
 */
FIXTURE(load)
{
	char as_found[100];
	char mounts[64];	/* list of mounts, as in /proc/self/mounts */
};

/* Where works() mounts; what is there else is hidden for a moment. */
#define PLACE		"/mnt"

/* The module's file */
static void *image;
static size_t image_size;

static int load(const char *parameters)
{
	return result(syscall(SYS_init_module, image, image_size, parameters));
}

static int unload(void)
{
	return result(syscall(SYS_delete_module, "mpmcq", O_NONBLOCK));
}

/* Nothing is left of it, nor of its device numbers. */
static bool gone(void)
{
	char text[4096];

	if (!access("/sys/module/mpmcq", F_OK) || !access("/sys/class/mpmcq", F_OK) ||
	    !access(DEVICE, F_OK))
		return false;
	return read_text("/proc/devices", text, sizeof(text)) && !strstr(text, " mpmcq\n") &&
	       read_text("/proc/filesystems", text, sizeof(text)) && !strstr(text, "\tmpmcqfs\n");
}

static bool works(void)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK);
	bool ok = fd >= 0 && takes_messages(fd) && !mount_queues(PLACE, 0, NULL) &&
		  !umount2(PLACE, 0);

	close(fd);
	return ok;
}

/* Unmounts all of mpmcqfs, and notes in file @list what that was. */
static bool unmount_all(const char *list)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "grep ' mpmcqfs ' /proc/self/mounts >%s; umount -a -t mpmcqfs", list);
	return !system(command);
}

static bool mount_all(const char *list)
{
	char command[300];

	snprintf(command, sizeof(command),
		 "while read -r name path type options rest; do mount -t mpmcqfs -o \"$options\" \"$name\" \"$(printf %%b \"$path\")\" || exit; done <%s",
		 list);
	return !system(command);
}

FIXTURE_SETUP(load)
{
	const char *allowed = getenv("MPMCQ_RELOAD"), *path = getenv("MPMCQ_KO");
	int file;

	strcpy(self->mounts, "/tmp/mpmcq-mounts-XXXXXX");
	if (!allowed || strcmp(allowed, "1") || !path)
		SKIP(return, "MPMCQ_RELOAD=1 and MPMCQ_KO would allow me to reload the module");
	file = open(path, O_RDONLY);
	ASSERT_LE(0, file);
	image_size = lseek(file, 0, SEEK_END);
	image = malloc(image_size);
	ASSERT_NE(NULL, image);
	ASSERT_EQ(image_size, pread(file, image, image_size, 0));
	close(file);
	snprintf(self->as_found, sizeof(self->as_found), "capacity=%ld msg_size=%ld lease_ms=%ld",
		 read_number(PARAMETERS "capacity"), read_number(PARAMETERS "msg_size"),
		 read_number(PARAMETERS "lease_ms"));
	file = mkstemp(self->mounts);
	ASSERT_LE(0, file);
	close(file);
	ASSERT_TRUE(unmount_all(self->mounts));
	ASSERT_TRUE(injection_begin());
	ASSERT_EQ(0, unload());
}

FIXTURE_TEARDOWN(load)
{
	injection_end();
	EXPECT_EQ(0, load(self->as_found));
	EXPECT_TRUE(mount_all(self->mounts));
	unlink(self->mounts);
}

/* Loads the module with the @nth point failing; whether there is such a point. */
static bool load_failing(struct __test_metadata *_metadata, unsigned int nth, int *failed)
{
	bool injected;
	int ret;

	ASSERT_TRUE(arm(nth));
	ret = load("capacity=2 msg_size=16");
	injected = !disarm();
	if (!ret) {
		EXPECT_TRUE(works()) TH_LOG("point %u", nth);
		ASSERT_EQ(0, unload()) TH_LOG("point %u", nth);
	} else {
		EXPECT_TRUE(injected);
		EXPECT_EQ(-ENOMEM, ret) TH_LOG("point %u", nth);
		++*failed;
	}
	ASSERT_TRUE(gone()) TH_LOG("point %u: something is left after %d", nth, ret);
	return injected;
}

#define FIRST_OF_OURS	32	/* up to where the module's numbers and class are registered */
#define TRIES		6

/* How many points the kernel has before it calls the module, which differs: in @most, too. */
static unsigned int points_before(struct __test_metadata *_metadata, unsigned int *most)
{
	unsigned int i, n, least = POINTS_MAX;

	*most = 0;
	for (i = 0; i < TRIES; i++) {
		ASSERT_TRUE(arm(POINTS_MAX));
		/* Fails before it has allocated anything. */
		ASSERT_EQ(-EINVAL, load("capacity=3"));
		n = POINTS_MAX - disarm();
		least = n < least ? n : least;
		*most = n > *most ? n : *most;
	}
	return least;
}

/*
 * What the kernel does before it calls the module is not ours to try, and some of it
 * complains; a few of it are tried, as not every load takes as many.  For the same reason
 * one of ours may be passed over, so the first are tried more than once.
 */
TEST_F_TIMEOUT(load, load, 900)
{
	unsigned int nth, i, most, before = points_before(_metadata, &most);
	bool injected = true;
	int failed = 0;

	ASSERT_LT(8, before);
	for (nth = before - 4; injected; nth++) {
		ASSERT_GT(POINTS_MAX, nth);
		for (i = 0; i < (nth < most + FIRST_OF_OURS ? TRIES : 1U); i++)
			injected = load_failing(_metadata, nth, &failed);
	}
	TH_LOG("load: %u points, after %u to %u of the kernel's own", nth - 2 - before, before,
	       most);
	EXPECT_LE(40, nth - 2 - before);
	EXPECT_EQ(0, leaks(failed));
}

FIXTURE(leaks) { };
FIXTURE_SETUP(leaks) { }
FIXTURE_TEARDOWN(leaks) { }

/* A queue that lives is no leak, nor is what only it points to. */
TEST_F_TIMEOUT(leaks, queues_that_live, 200)
{
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		fd[i] = make_queue(.capacity = i ? 1024 : 2, .msg_size = 64, .open_flags = O_RDWR);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, fcntl(fd[i], F_SETOWN, getpid()));
		ASSERT_EQ(0, fcntl(fd[i], F_SETFL, O_RDWR | O_ASYNC));
	}
	EXPECT_EQ(0, leaks(0));
	for (i = 0; i < 2; i++)
		close(fd[i]);
}

/* The control: what kmemleak may say. */
TEST(control_leaks_are_counted)
{
	static const char name[] =
		"unreferenced object 0xffff888003a1c2f0 (size 8):\n"
		"  comm \"inject\", pid 77, jiffies 4294901234 (age 8.120s)\n"
		"  hex dump (first 8 bytes):\n"
		"    6d 70 6d 63 71 00 a5 a5                          mpmcq...\n"
		"  backtrace:\n"
		"    [<00000000f7a1c6d2>] kstrdup+0x35/0x70\n"
		"    [<000000001d4d6f1c>] __class_register+0x123/0x2a0\n";
	static const char other[] =
		"unreferenced object 0xffff888003a1c300 (size 64):\n"
		"  comm \"inject\", pid 77, jiffies 4294901234 (age 8.120s)\n"
		"  hex dump (first 32 bytes):\n"
		"    00 00 00 00 00 00 00 00 6d 70 6d 63 71 00 00 00  ........mpmcq...\n"
		"  backtrace:\n"
		"    [<000000001d4d6f1c>] __class_register+0x123/0x2a0\n";
	char path[] = "/tmp/mpmcq-leaks-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");

	ASSERT_NE(NULL, file);
	EXPECT_EQ(0, count_leaks(path, 2));
	fprintf(file, "%s%s", name, name);
	fflush(file);
	EXPECT_EQ(2, count_leaks(path, 0));
	EXPECT_EQ(1, count_leaks(path, 1));
	EXPECT_EQ(0, count_leaks(path, 2));
	fprintf(file, "%s", other);
	fflush(file);
	EXPECT_EQ(1, count_leaks(path, 2));
	EXPECT_EQ(1, count_leaks(path, 10));
	fclose(file);
	unlink(path);
	EXPECT_EQ(-1, count_leaks(path, 0));
}

TEST_HARNESS_MAIN
