// SPDX-License-Identifier: MIT
/*
 * A loop that takes messages under lease, has them worked on, and settles them
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib.h"

#define BUFFER_MAX	(256U << 10)	/* bytes, unless one message takes more */

/**
 * struct worker - a worker
 * @fd: its open file: leases, packed, O_NONBLOCK
 * @stop_fd: as of mpmcq_run_worker()
 * @handler: likewise
 * @arg: likewise
 * @max_held: likewise
 * @renews: leases end by themselves, and are renewed
 * @buf: for packed messages
 * @size: bytes there
 * @msgs: headers of what was read last
 * @ids: their deliveries
 * @iov: where these messages are
 */
struct worker {
	int fd;
	int stop_fd;
	mpmcq_handler handler;
	void *arg;
	unsigned int max_held;
	bool renews;
	char *buf;
	size_t size;
	struct mpmcq_msg *msgs;
	__u64 *ids;
	struct iovec *iov;
};

static bool is_to_stop(const struct worker *w)
{
	struct pollfd stop = { .fd = w->stop_fd, .events = POLLIN };

	return w->stop_fd >= 0 && poll(&stop, 1, 0) > 0;
}

/* Returns false if the lease of message @i, of @n, has ended.  Renews those of all that follow. */
static bool renew(const struct worker *w, int i, int n)
{
	if (!w->renews)
		return true;
	if (mpmcq_settle_ids(w->fd, MPMCQ_SETTLE_TOUCH, 0, 0, w->ids + i, n - i) == n - i)
		return true;
	return mpmcq_settle_ids(w->fd, MPMCQ_SETTLE_TOUCH, 0, 0, w->ids + i, 1) == 1;
}

/* Gives back messages @i to @n - 1, which have not been begun, in order, and returns @ret. */
static int give_back(const struct worker *w, int i, int n, int ret)
{
	if (i < n)
		mpmcq_settle_ids(w->fd, MPMCQ_SETTLE_NACK,
				 MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_UNTRIED, 0, w->ids + i, n - i);
	return ret;
}

/* Works on message @i, of @n.  Returns 1 to go on; else what the worker is to return. */
static int work_on(const struct worker *w, int i, int n)
{
	int op = w->handler(w->fd, &w->msgs[i], w->iov[i].iov_base, w->arg), ret;

	if (!op)
		return 1;
	if (op < 0)
		return give_back(w, i, n, op);
	if (op > MPMCQ_SETTLE_REJECT)
		return give_back(w, i, n, -EINVAL);
	ret = mpmcq_settle_ids(w->fd, op, 0, 0, &w->ids[i], 1);
	return ret < 0 ? give_back(w, i, n, ret) : 1;
}

/* Works on the first @n messages of w->msgs.  Returns as work_on(). */
static int work_on_all(const struct worker *w, int n)
{
	int ret;

	for (int i = 0; i < n; i++)
		w->ids[i] = w->msgs[i].id;
	for (int i = 0; i < n; i++) {
		if (is_to_stop(w))
			return give_back(w, i, n, 0);
		if (!renew(w, i, n))
			continue;
		ret = work_on(w, i, n);
		if (ret <= 0)
			return ret;
	}
	return 1;
}

/* Works on the messages in the first @length bytes of the buffer.  Returns as work_on(). */
static int work_on_pack(const struct worker *w, size_t length)
{
	size_t offset = 0;
	int n, ret;

	/* There may be more than @max_held: leases that ended during the read made room. */
	do {
		n = mpmcq_unpack_msgs(w->buf, length, &offset, w->msgs, w->iov, w->max_held);
		if (n <= 0)
			return n < 0 ? n : 1;
		ret = work_on_all(w, n);
	} while (ret > 0);
	return ret;
}

static int wait_for_message(const struct worker *w)
{
	struct pollfd fds[] = {
		{ .fd = w->fd, .events = POLLIN },
		{ .fd = w->stop_fd, .events = POLLIN },
	};

	if (poll(fds, 2, -1) < 0)
		return -errno;
	return fds[1].revents ? 0 : 1;
}

static int work(const struct worker *w)
{
	ssize_t length;
	int ret = 1;

	while (ret > 0) {
		if (is_to_stop(w))
			return 0;
		length = mpmcq_receive(w->fd, w->buf, w->size);
		if (length > 0)
			ret = work_on_pack(w, length);
		else if (length == -EAGAIN || length == -ENOBUFS)
			ret = wait_for_message(w);
		else
			ret = length;
	}
	return ret;
}

static int allocate(struct worker *w, const struct mpmcq_info *info)
{
	size_t each = MPMCQ_MSG_SPACE(info->msg_size);

	w->size = each * w->max_held;
	if (w->size > BUFFER_MAX)
		w->size = each > BUFFER_MAX ? each : BUFFER_MAX;
	w->buf = malloc(w->size);
	w->msgs = calloc(w->max_held, sizeof(*w->msgs));
	w->ids = calloc(w->max_held, sizeof(*w->ids));
	w->iov = calloc(w->max_held, sizeof(*w->iov));
	return w->buf && w->msgs && w->ids && w->iov ? 0 : -ENOMEM;
}

EXPORT int mpmcq_run_worker(int fd, unsigned int max_held, int stop_fd, unsigned int flags,
			    mpmcq_handler handler, void *arg)
{
	struct mpmcq_attach attach = {
		.size = sizeof(attach), .open_flags = O_RDONLY | O_NONBLOCK,
		.modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, .max_held = max_held,
	};
	struct worker w = {
		.stop_fd = stop_fd, .handler = handler, .arg = arg, .max_held = max_held,
	};
	struct mpmcq_info info = { .size = sizeof(info) };
	int ret;

	if (!max_held || max_held > MPMCQ_MAX_HELD_MAX || flags || !handler)
		return -EINVAL;
	/* poll(2) would call it readable. */
	if (stop_fd >= 0 && fcntl(stop_fd, F_GETFD) < 0)
		return -EBADF;
	ret = mpmcq_get_info(fd, &info);
	if (ret)
		return ret;
	/* To attach would fail with EACCES, as it does if a security module forbids it. */
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	w.fd = mpmcq_attach_queue(fd, &attach);
	if (w.fd < 0)
		return w.fd;
	w.renews = info.lease_ms;
	ret = allocate(&w, &info);
	if (!ret)
		ret = work(&w);
	free(w.buf);
	free(w.msgs);
	free(w.ids);
	free(w.iov);
	close(w.fd);
	return ret;
}
