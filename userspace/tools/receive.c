// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq receive
 *
 * A message that was taken is in nobody's hands but ours.  So nothing is taken
 * before standard output is fit to be written to, and the usual ways to end a
 * program are held back from a take until what it brought is written, or worked on.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"

static void check_output(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0)
		err(EXIT_FAILURE, "standard output");
	if ((flags & O_ACCMODE) == O_RDONLY)
		errx(EXIT_FAILURE, "standard output is open for reading only");
}

/* Whoever read our output has gone: end as other programs in a pipeline do. */
static noreturn void end_by_sigpipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
	exit(EXIT_FAILURE);	/* the signal was blocked when we started */
}

static void wait_for_output(void)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (poll(&output, 1, -1) < 0 && errno != EINTR)
		err(EXIT_FAILURE, "poll");
	if (output.revents & (POLLERR | POLLHUP))
		end_by_sigpipe();
}

/* Returns 0 or the error that kept some of @data from being written. */
static int write_output(const char *data, size_t length)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (length) {
		ssize_t n = write(STDOUT_FILENO, data, length);

		if (n >= 0) {
			data += n;
			length -= n;
		} else if (errno == EAGAIN) {
			poll(&output, 1, -1);
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

/*
 * Takes a message; returns its length, 0 if none will come any more, -1 if none came
 * in time.  With a message in hand signals are held back.
 */
static ssize_t take_message(const struct receiver *r, char *buffer)
{
	struct pollfd fds[] = {
		{ .fd = r->fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO },	/* is its reader still there? */
	};
	int64_t start = now_ms();
	ssize_t length;

	for (;;) {
		wait_for_output();
		hold_signals_back();
		length = read(r->fd, buffer, r->msg_size);
		if (length > 0)
			return length;
		if (length < 0 && errno != EAGAIN)
			err(EXIT_FAILURE, "%s", queue_text());
		let_signals_through();
		if (!length)
			return 0;
		if (!wait_for(fds, 2, start))
			return -1;
	}
}

static void print_message(const struct receiver *r, char *message, size_t length)
{
	memcpy(message + length, r->tail, r->tail_length);
	errno = write_output(message, length + r->tail_length);
	if (errno)
		err(EXIT_FAILURE,
		    "standard output: a message of %zu bytes was taken from %s and is lost",
		    length, queue_text());
}

enum outcome receive_messages(struct receiver *r)
{
	enum outcome outcome = ENOUGH;
	char *buffer = allocate(r->msg_size + 1);

	check_output();
	signal(SIGPIPE, SIG_IGN);
	while (!r->count || r->taken < r->count) {
		ssize_t length = take_message(r, buffer);

		if (length <= 0) {
			outcome = length ? EMPTY : CLOSED;
			break;
		}
		r->taken++;
		if (r->command)
			work_on_message(r, buffer, length);
		else
			print_message(r, buffer, length);
		let_signals_through();
	}
	free(buffer);
	return outcome;
}

/* What is printed after each message, by the options --null and --raw. */
void set_tail(struct receiver *r, int form)
{
	r->tail = form == '0' ? "" : "\n";
	r->tail_length = form != 'r';
}

static void run_receive(int argc, char **argv)
{
	static const struct option options[] = {
		WAITING_LONG_OPTIONS,
		{ "count", required_argument, NULL, 'c' },
		{ "all", no_argument, NULL, 'a' },
		{ "follow", no_argument, NULL, 'f' },
		{ "null", no_argument, NULL, '0' },
		{ "raw", no_argument, NULL, 'r' },
		{ "exec", required_argument, NULL, 'e' },
		{ }
	};
	struct receiver r = { .count = 1 };
	int amount = 0, form = 0;
	struct mpmcq_info info;
	int opt;

	while ((opt = getopt_long(argc, argv, WAITING_OPTIONS "c:af0re:", options, NULL)) != -1) {
		if (opt == 'c')
			r.count = parse_number(optarg, 1, ULONG_MAX, "number of messages");
		if (opt == 'e')
			r.command = optarg;
		if (opt == 'c' || opt == 'a' || opt == 'f')
			set_once(&amount, opt, "--count, --all and --follow");
		else if (opt == '0' || opt == 'r' || opt == 'e')
			set_once(&form, opt, "--null, --raw and --exec");
		else
			waiting_option(opt);
	}
	no_arguments(argc, argv);
	if (amount == 'a' && timeout_ms < 0)
		timeout_ms = 0;
	if (amount == 'a' || amount == 'f')
		r.count = 0;

	r.fd = open_queue(O_RDONLY, &info);
	r.msg_size = info.msg_size;
	set_tail(&r, form);
	if (r.command)
		prepare_work(&r);
	if (receive_messages(&r) == EMPTY && amount != 'a')
		errx(EXIT_WOULD_BLOCK, "%s is empty (taken: %lu)", queue_text(), r.taken);
	if (r.failed)
		exit(EXIT_FAILURE);	/* each has been told */
}

const struct command receive_command = {
	.name = "receive",
	.usage = "[-q NAME] receive [-n | -t SECONDS] [-c N | -a | -f] [-0 | -r | -e COMMAND]",
	.summary = "take messages and print them",
	.help =
		"Takes one message and prints it with a newline; a closed queue that has no more\n"
		"ends it.\n"
		"\n"
		"  -c, --count N          take N messages\n"
		"  -a, --all              take messages until there are none\n"
		"  -f, --follow           take messages for ever\n"
		"  -0, --null             end each message with NUL, not newline\n"
		"  -r, --raw              print nothing after a message\n"
		"  -e, --exec COMMAND     instead of printing it, give the message to a shell command\n"
		"                         on its standard input; it comes back unless that succeeds\n"
		"  -n, --nonblock         do not wait while the queue is empty\n"
		"  -t, --timeout SECONDS  wait no longer than this for a message\n",
	.run = run_receive,
};
