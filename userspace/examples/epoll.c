// SPDX-License-Identifier: MIT
/*
 * epoll QUEUE... - print the messages of several queues, as they come, until all are closed
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <libmpmcq.h>

#define LONGEST	65536	/* bytes of a message of any queue */

/* Adds the queue to those that are waited for. */
static void add(int epoll, const char *name)
{
	int queue = mpmcq_open(name, O_RDONLY | O_NONBLOCK);
	struct epoll_event event = { .events = EPOLLIN, .data.fd = queue };

	if (queue < 0)
		errx(1, "%s: %s", name, strerror(-queue));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &event) < 0)
		err(1, "%s", name);
}

/* Prints a message.  Returns false at the end of the queue. */
static int print_message(int queue)
{
	static char message[LONGEST];
	ssize_t length = mpmcq_receive(queue, message, sizeof(message));

	if (length == -EAGAIN)	/* another reader was quicker */
		return 1;
	if (length < 0)
		errx(1, "receive: %s", strerror(-length));
	if (length > 0)
		printf("%.*s\n", (int)length, message);
	return length > 0;
}

int main(int argc, char **argv)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC), open_queues = argc - 1;
	struct epoll_event event;

	if (epoll < 0)
		err(1, "epoll");
	for (int i = 1; i < argc; i++)
		add(epoll, argv[i]);
	while (open_queues > 0) {
		if (epoll_wait(epoll, &event, 1, -1) < 0) {
			if (errno == EINTR)
				continue;
			err(1, "epoll");
		}
		if (print_message(event.data.fd))
			continue;
		close(event.data.fd);
		open_queues--;
	}
	return 0;
}
