// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq wait
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "mpmcq.h"

/* The pause between two looks at the queue grows from the first to the last of these. */
enum {
	FIRST_PAUSE_MS = 10,
	LAST_PAUSE_MS = 100,
};

typedef bool (*condition_fn)(int fd, struct mpmcq_info *info);

static void look(int fd, struct mpmcq_info *info)
{
	if (!get_info(fd, info))
		err(EXIT_FAILURE, "%s", queue_text());
}

static bool has_none(const struct mpmcq_info *info)
{
	return !info->depth && !info->leased && !info->parked;
}

/*
 * The kernel reads the three numbers one after the other. A message that moves meanwhile, by the
 * end of a delay or of a lease, may be in none of them. So two looks in a row have to find none,
 * and no move between them that could have hidden it from the second one, too.
 */
static bool is_drained(int fd, struct mpmcq_info *info)
{
	struct mpmcq_info before;

	look(fd, &before);
	*info = before;
	if (!has_none(&before))
		return false;
	look(fd, info);
	return has_none(info) && info->sent == before.sent && info->received == before.received &&
	       info->returned == before.returned;
}

static bool is_closed(int fd, struct mpmcq_info *info)
{
	look(fd, info);
	return info->closed;
}

/* No event tells that a queue is drained or closed, so this looks again and again. */
static bool wait_until(condition_fn condition, int fd, struct mpmcq_info *info)
{
	int64_t start = now_ms();
	int pause = FIRST_PAUSE_MS;

	while (!condition(fd, info)) {
		int left = time_left(start);

		if (!left)
			return false;
		usleep((left > 0 && left < pause ? left : pause) * 1000);
		pause = pause * 3 / 2 < LAST_PAUSE_MS ? pause * 3 / 2 : LAST_PAUSE_MS;
	}
	return true;
}

static void wait_until_drained(int fd)
{
	struct mpmcq_info info;

	if (!wait_until(is_drained, fd, &info))
		errx(EXIT_WOULD_BLOCK, "%s is not drained: depth %u, leased %u, parked %u",
		     queue_text(), info.depth, info.leased, info.parked);
}

static void wait_until_closed(int fd)
{
	struct mpmcq_info info;

	if (!wait_until(is_closed, fd, &info))
		errx(EXIT_WOULD_BLOCK, "%s is not closed", queue_text());
}

/* Waits until timeout_ms after @start at most, and returns false when that has passed. */
static bool wait_for(struct pollfd *queue, int64_t start)
{
	int left = time_left(start), ready;

	if (!left)
		return false;
	ready = poll(queue, 1, left);
	if (ready < 0 && errno != EINTR)
		err(EXIT_FAILURE, "poll");
	return ready != 0;
}

/* A poller is no reader: it takes no message, and no wake-up from a reader. */
static void wait_until_ready(int fd)
{
	struct pollfd queue = { .fd = fd, .events = POLLIN };
	int64_t start = now_ms();
	struct mpmcq_info info;

	do {
		if (!wait_for(&queue, start))
			errx(EXIT_WOULD_BLOCK, "%s is empty", queue_text());
	} while (!queue.revents);
	look(fd, &info);
	if (queue.revents & POLLHUP && !info.depth)
		errx(EXIT_FAILURE, "%s is closed and empty", queue_text());
}

static void run_wait(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "timeout", required_argument, NULL, 't' },
		{ "drained", no_argument, NULL, 'd' },
		{ "ready", no_argument, NULL, 'r' },
		{ "closed", no_argument, NULL, 'c' },
		{ }
	};
	struct mpmcq_info info;
	int what = 0, fd, opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "t:drc", options, NULL)) != -1) {
		if (opt == 'd' || opt == 'r' || opt == 'c')
			set_once(&what, opt, "--drained, --ready and --closed");
		else
			waiting_option(opt);
	}
	no_arguments(argc, argv);
	if (!what)
		usage_error("what for? --drained, --ready or --closed");

	fd = open_queue(O_RDONLY, &info);
	if (what == 'd')
		wait_until_drained(fd);
	else if (what == 'r')
		wait_until_ready(fd);
	else
		wait_until_closed(fd);
}

const struct command wait_command = {
	.name = "wait",
	.usage = "[-q NAME] wait [-t SECONDS] {-d | -r | -c}",
	.summary = "wait until a queue is drained, ready or closed",
	.help =
		"Takes no message.\n"
		"\n"
		"  -d, --drained          until no message is ready, delayed or held by a reader\n"
		"  -r, --ready            until there is a message to receive\n"
		"  -c, --closed           until the queue is closed\n"
		"  -t, --timeout SECONDS  wait no longer than this\n",
	.run = run_wait,
};
