// SPDX-License-Identifier: MIT
/*
 * uring QUEUE - print the messages of a queue by io_uring, a request for each, until it is closed
 *
 * Up to READS requests are in flight, each with a buffer of its own.  The order in which requests
 * in flight complete is not that of the messages: take READS 1 where the order matters.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>

#include <libmpmcq.h>

#define READS	4
#define LONGEST	65536	/* bytes of a message of any queue */

static char buffers[READS][LONGEST];

/* Asks for a message, into that buffer. */
static void ask(struct io_uring *ring, int queue, char *buffer)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	io_uring_prep_read(sqe, queue, buffer, LONGEST, 0);
	io_uring_sqe_set_data(sqe, buffer);
}

static int failed;

/*
 * Prints a message, and asks for the next.  Returns how many requests have come to their end.  The
 * others go on after an error, because they may have taken messages already.
 */
static int take(struct io_uring *ring, int queue, const struct io_uring_cqe *cqe)
{
	char *buffer = io_uring_cqe_get_data(cqe);

	if (cqe->res < 0) {
		warnx("read: %s", strerror(-cqe->res));
		failed = 1;
	}
	if (cqe->res <= 0)
		return 1;
	printf("%.*s\n", cqe->res, buffer);
	ask(ring, queue, buffer);
	return 0;
}

int main(int argc, char **argv)
{
	int queue = argc == 2 ? mpmcq_open(argv[1], O_RDONLY) : -1, ended = 0, ret;
	struct io_uring ring;
	struct io_uring_cqe *cqe;

	if (queue < 0)
		errx(1, "%s: %s", argc == 2 ? argv[1] : "usage: uring QUEUE", strerror(-queue));
	ret = io_uring_queue_init(READS, &ring, 0);
	if (ret < 0)
		errx(1, "io_uring: %s", strerror(-ret));
	for (int i = 0; i < READS; i++)
		ask(&ring, queue, buffers[i]);
	while (ended < READS) {
		ret = io_uring_submit_and_wait(&ring, 1);
		if (ret < 0 && ret != -EINTR)
			errx(1, "io_uring: %s", strerror(-ret));
		while (!io_uring_peek_cqe(&ring, &cqe)) {
			ended += take(&ring, queue, cqe);
			io_uring_cqe_seen(&ring, cqe);
		}
	}
	io_uring_queue_exit(&ring);
	return failed;
}
