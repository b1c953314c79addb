// SPDX-License-Identifier: MIT
/*
 * uring-multishot QUEUE - print the messages of a queue by io_uring, until it is closed
 *
 * One request polls for as long as the program runs.  Whenever messages come it completes, and the
 * program takes what is there, many messages a call.  (From Linux 6.7 on a request of the kind
 * IORING_OP_READ_MULTISHOT reads each message into a buffer of its own.)
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include <libmpmcq.h>

#define ROOM	(2 * 65536)	/* bytes, more than any one message takes with its header */
#define AT_ONCE	64		/* messages */

static void print_messages(const char *pack, size_t length)
{
	struct iovec messages[AT_ONCE];
	size_t offset = 0;
	int n;

	while ((n = mpmcq_unpack_msgs(pack, length, &offset, NULL, messages, AT_ONCE)) > 0)
		for (int i = 0; i < n; i++)
			printf("%.*s\n", (int)messages[i].iov_len, (char *)messages[i].iov_base);
	if (n < 0)
		errx(1, "unpack: %s", strerror(-n));
}

/* Takes all that is there.  Returns 0 at the end of the queue. */
static int take_all(int queue)
{
	static char pack[ROOM];
	ssize_t length;

	while ((length = mpmcq_receive(queue, pack, sizeof(pack))) > 0)
		print_messages(pack, length);
	if (length < 0 && length != -EAGAIN)
		errx(1, "receive: %s", strerror(-length));
	return length != 0;
}

static void ask(struct io_uring *ring, int queue)
{
	int ret;

	io_uring_prep_poll_multishot(io_uring_get_sqe(ring), queue, POLLIN);
	ret = io_uring_submit(ring);
	if (ret < 0)
		errx(1, "io_uring: %s", strerror(-ret));
}

/* Waits for a completion.  Returns whether the request goes on. */
static int wait_for_messages(struct io_uring *ring)
{
	struct io_uring_cqe *cqe;
	int ret = io_uring_wait_cqe(ring, &cqe), more;

	if (ret < 0 || cqe->res < 0)
		errx(1, "io_uring: %s", strerror(ret < 0 ? -ret : -cqe->res));
	more = cqe->flags & IORING_CQE_F_MORE;
	io_uring_cqe_seen(ring, cqe);
	return more;
}

int main(int argc, char **argv)
{
	int queue = argc == 2 ? mpmcq_open(argv[1], O_RDONLY | O_NONBLOCK) : -1, ret;
	struct mpmcq_mode mode = { .size = sizeof(mode), .modes = MPMCQ_MODE_PACKED };
	struct io_uring ring;

	if (queue < 0)
		errx(1, "%s: %s", argc == 2 ? argv[1] : "usage: uring-multishot QUEUE",
		     strerror(-queue));
	ret = mpmcq_set_mode(queue, &mode);
	if (!ret)
		ret = io_uring_queue_init(4, &ring, 0);
	if (ret < 0)
		errx(1, "%s: %s", argv[1], strerror(-ret));
	ask(&ring, queue);
	while (take_all(queue))
		if (!wait_for_messages(&ring))
			ask(&ring, queue);
	io_uring_queue_exit(&ring);
	return 0;
}
