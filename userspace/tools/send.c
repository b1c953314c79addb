// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq send
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"

static unsigned long sent;

/* Where a message came from, for what is said when it cannot be sent. */
static const char *source(const char *what, unsigned long number)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s %lu", what, number);
	return text;
}

static void check_length(const char *from, size_t length, size_t msg_size)
{
	if (!length)
		errx(EXIT_FAILURE,
		     "%s is empty, a message has at least one byte (sent before it: %lu)",
		     from, sent);
	if (length > msg_size)
		errx(EXIT_FAILURE,
		     "%s is longer than msg_size, %zu bytes: %s (sent before it: %lu)",
		     from, msg_size, strerror(EMSGSIZE), sent);
}

static void send_message(int fd, const char *from, const void *message,
			 size_t length)
{
	struct pollfd queue = { .fd = fd, .events = POLLOUT };
	int64_t start = now_ms();

	while (write(fd, message, length) < 0) {
		if (errno == EPIPE)
			errx(EXIT_FAILURE,
			     "%s is closed: %s not sent (sent before it: %lu)",
			     queue_text(), from, sent);
		if (errno != EAGAIN)
			err(EXIT_FAILURE, "%s: %s not sent (sent before it: %lu)",
			    queue_text(), from, sent);
		if (!wait_for(&queue, 1, start))
			errx(EXIT_WOULD_BLOCK,
			     "%s is full: %s not sent (sent before it: %lu)",
			     queue_text(), from, sent);
	}
	sent++;
}

static void send_file(int fd, const char *path, size_t msg_size)
{
	bool is_stdin = !strcmp(path, "-");
	FILE *file = is_stdin ? stdin : fopen(path, "r");
	char *buffer = allocate(msg_size + 1);
	size_t length;

	if (!file)
		err(EXIT_FAILURE, "%s", path);
	if (is_stdin)
		path = "standard input";
	length = fread(buffer, 1, msg_size + 1, file);
	if (ferror(file))
		err(EXIT_FAILURE, "%s", path);
	check_length(path, length, msg_size);
	send_message(fd, path, buffer, length);
}

static void send_lines(int fd, int delimiter, size_t msg_size)
{
	unsigned long number = 0;
	size_t room = 0;
	char *line = NULL;
	ssize_t length;

	while ((length = getdelim(&line, &room, delimiter, stdin)) > 0) {
		const char *from = source(delimiter ? "line" : "input message",
					  ++number);

		if (line[length - 1] == delimiter)
			length--;
		check_length(from, length, msg_size);
		send_message(fd, from, line, length);
	}
	if (!feof(stdin))
		err(EXIT_FAILURE, "standard input (sent before: %lu)", sent);
}

static void run_send(int argc, char **argv)
{
	static const struct option options[] = {
		WAITING_LONG_OPTIONS,
		{ "file", required_argument, NULL, 'F' },
		{ "null", no_argument, NULL, '0' },
		{ }
	};
	const char *file = NULL;
	int delimiter = '\n';
	struct mpmcq_info info;
	int fd, opt;

	while ((opt = getopt_long(argc, argv, WAITING_OPTIONS "F:0", options, NULL)) != -1) {
		if (opt == 'F')
			file = optarg;
		else if (opt == '0')
			delimiter = '\0';
		else
			waiting_option(opt);
	}
	if (file && (optind < argc || !delimiter))
		usage_error("--file goes with neither a MESSAGE nor --null");
	if (optind < argc && !delimiter)
		usage_error("--null is for messages from standard input");

	fd = open_queue(O_WRONLY, &info);
	if (file) {
		send_file(fd, file, info.msg_size);
	} else if (optind == argc) {
		send_lines(fd, delimiter, info.msg_size);
	} else {
		for (int i = optind; i < argc; i++) {
			const char *from = source("message", i - optind + 1);

			check_length(from, strlen(argv[i]), info.msg_size);
			send_message(fd, from, argv[i], strlen(argv[i]));
		}
	}
}

const struct command send_command = {
	.name = "send",
	.usage = "[-q NAME] send [-n | -t SECONDS] [-0] [-F FILE | MESSAGE...]",
	.summary = "send messages",
	.help =
		"Each MESSAGE is one message; without any, each line of standard input is.\n"
		"\n"
		"  -F, --file FILE        the contents of FILE (-: standard input) are one message\n"
		"  -0, --null             messages on standard input end in NUL, not newline\n"
		"  -n, --nonblock         do not wait while the queue is full\n"
		"  -t, --timeout SECONDS  wait no longer than this for room for a message\n",
	.run = run_send,
};
