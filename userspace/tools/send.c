// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq send
 *
 * Messages are collected into a pack, which one packed write sends.  The pack goes when it is full,
 * and before more input is awaited, so a line of a slow producer is sent at once.  A write waits
 * for room in the kernel, and so room wakes one of many senders.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"

#define BUFFER_BYTES	(256U << 10)	/* of a pack, and of input */
#define PROGRESS_MS	250

enum {
	OPT_DELAY = 256,
	OPT_PRIORITY,
	OPT_CRLF,
	OPT_SKIP_EMPTY,
	OPT_FROM_LINE,
};

/**
 * struct sender - what is sent, and how
 * @fd: the queue; writes are packed, and wait as long as they may
 * @info: of the queue
 * @header: priority and delay of each message
 * @what: what messages are called in errors: "line" and the like
 * @files: --file options, each a message; NULL if there are none
 * @delimiter: ends each message of standard input
 * @crlf: a CR before the delimiter is no part of the message
 * @skip_empty: empty messages are left out
 * @from: number of the first message that is sent
 * @sent: how many were sent
 * @is_limited: what is left of a timeout was set, which is less than timeout_ms
 * @pack: messages to send, each behind a header, of which @id is the message's number
 * @used: bytes there
 * @shown: when progress was shown, or the beginning; -1 if it is not to be shown
 * @width: of the progress that is on the terminal
 */
struct sender {
	int fd;
	struct mpmcq_info info;
	struct mpmcq_msg header;
	const char *what;
	const char **files;
	int delimiter;
	bool crlf;
	bool skip_empty;
	unsigned long from;
	unsigned long sent;
	bool is_limited;
	char *pack;
	size_t used;
	int64_t shown;
	int width;
};

/* --- progress --- */

static void show_progress(struct sender *s)
{
	int64_t now;

	if (s->shown < 0)
		return;
	now = now_ms();
	if (now - s->shown < PROGRESS_MS)
		return;
	s->shown = now;
	s->width = fprintf(stderr, "\r%lu sent ", s->sent);
}

static void clear_progress(struct sender *s)
{
	if (s->width > 0)
		fprintf(stderr, "\r%*s\r", s->width, "");
	s->width = 0;
}

/* --- errors --- */

/* Returns what a message is called. */
static const char *name_of(const struct sender *s, unsigned long number)
{
	const char *file = s->files ? s->files[number - 1] : NULL;

	if (!file)
		return text("%s %lu", s->what, number);
	return strcmp(file, "-") ? printable(file) : "standard input";
}

/* Says how to go on from a message, with one more option or "". */
static void say_how_to_go_on(const struct sender *s, unsigned long number, const char *option)
{
	if (s->delimiter == EOF && number == s->from)
		return;
	fprintf(stderr, "go on with: mpmcq%s send %s--from-line %lu, and the same options and %s\n",
		queue_option(), option, number,
		s->files ? "files" : s->delimiter == EOF ? "messages" : "input");
}

/* Says why a message cannot be one, after what came before it was sent. */
static noreturn void refuse(struct sender *s, unsigned long number, size_t length)
{
	const char *name = name_of(s, number);

	clear_progress(s);
	if (!length) {
		warnx("%s is empty, a message has at least one byte (sent before it: %lu)", name,
		      s->sent);
		if (s->delimiter != EOF)
			say_how_to_go_on(s, number + 1, "--skip-empty ");
	} else {
		warnx("%s is longer than msg_size, %u bytes: %s (sent before it: %lu)", name,
		      s->info.msg_size, strerror(EMSGSIZE), s->sent);
		if (s->delimiter != EOF)
			say_how_to_go_on(s, number + 1, "");
	}
	exit(EXIT_FAILURE);
}

/* Ends the program, as a message and all that follow were not sent. */
static noreturn void stop_at(struct sender *s, unsigned long number, int error)
{
	const char *why = error == EINTR ? "interrupted" : strerror(error);

	clear_progress(s);
	if (error == EPIPE || error == EAGAIN)
		warnx("%s is %s: %s not sent (sent before it: %lu)", queue_text(),
		      error == EPIPE ? "closed" : "full", name_of(s, number), s->sent);
	else
		warnx("%s: %s: %s not sent (sent before it: %lu)", queue_text(), why,
		      name_of(s, number), s->sent);
	say_how_to_go_on(s, number, "");
	if (error == EINTR)
		die_of_signal();
	exit(error == EAGAIN ? EXIT_WOULD_BLOCK : EXIT_FAILURE);
}

/* --- packs --- */

/* Counts the messages in @bytes of the pack from @at on as sent. */
static void count_sent(struct sender *s, size_t at, size_t bytes)
{
	size_t end = at + bytes;

	for (; at < end; s->sent++)
		at += MPMCQ_MSG_SPACE(((struct mpmcq_msg *)(s->pack + at))->len);
}

/* Sends what of the pack is from @at on, as far as there is room.  Returns how many bytes. */
static size_t send_part(struct sender *s, size_t at)
{
	int64_t start = now_ms();
	ssize_t n;

	if (s->is_limited)
		set_time_left(s->fd, start);
	s->is_limited = false;
	for (;;) {
		n = signal_seen ? -EINTR : mpmcq_send(s->fd, s->pack + at, s->used - at);
		if (n > 0)
			return n;
		if (signal_seen)
			n = -EINTR;
		else if (n == -EINTR && !set_time_left(s->fd, start))
			n = -EAGAIN;
		if (n != -EINTR || signal_seen)
			stop_at(s, ((struct mpmcq_msg *)(s->pack + at))->id, -n);
		s->is_limited = true;
	}
}

static void send_pack(struct sender *s)
{
	size_t at = 0, n;

	for (; at < s->used; at += n) {
		n = send_part(s, at);
		count_sent(s, at, n);
	}
	s->used = 0;
	show_progress(s);
}

static void add_message(struct sender *s, unsigned long number, const char *data, size_t length)
{
	struct mpmcq_msg *header;

	if (number < s->from || (!length && s->skip_empty))
		return;
	if (!length || length > s->info.msg_size) {
		send_pack(s);
		refuse(s, number, length);
	}
	if (s->used + MPMCQ_MSG_SPACE(length) > BUFFER_BYTES)
		send_pack(s);
	header = (struct mpmcq_msg *)(s->pack + s->used);
	*header = s->header;
	header->len = length;
	header->id = number;
	memcpy(header + 1, data, length);
	s->used += MPMCQ_MSG_SPACE(length);
}

/* --- where messages come from --- */

static void send_arguments(struct sender *s, char **arguments)
{
	for (unsigned long i = 0; arguments[i]; i++)
		add_message(s, i + 1, arguments[i], strlen(arguments[i]));
	send_pack(s);
}

/* Ends the program, as @name, or what is in it, cannot be read. */
static noreturn void cannot_read(struct sender *s, const char *name, unsigned long number)
{
	int error = errno;

	send_pack(s);
	if (signal_seen)
		stop_at(s, number, EINTR);
	clear_progress(s);
	errx(EXIT_FAILURE, "%s: %s (sent before it: %lu)", name, strerror(error), s->sent);
}

/* Returns how many bytes were read, 0 at the end, -1 and errno after an error or a signal. */
static ssize_t read_some(int fd, char *buffer, size_t room)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = stop_fd, .events = POLLIN },
	};
	ssize_t n;

	do {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (signal_seen) {
			errno = EINTR;
			return -1;
		}
		n = read(fd, buffer, room);
	} while (n < 0 && (errno == EINTR || errno == EAGAIN));
	return n;
}

/* Reads a file up to its end, or to @room bytes; returns how many. */
static size_t read_file(struct sender *s, unsigned long number, char *buffer, size_t room)
{
	const char *path = s->files[number - 1];
	bool is_stdin = !strcmp(path, "-");
	int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t length = 0;
	ssize_t n = fd < 0 ? -1 : 1;

	for (; n > 0 && length < room; length += n > 0 ? n : 0)
		n = read_some(fd, buffer + length, room - length);
	if (n < 0)
		cannot_read(s, name_of(s, number), number);
	if (!is_stdin)
		close(fd);
	return length;
}

static void send_files(struct sender *s)
{
	size_t room = s->info.msg_size + 1;
	char *buffer = allocate(room);

	for (unsigned long number = 1; s->files[number - 1]; number++) {
		if (number >= s->from)
			add_message(s, number, buffer, read_file(s, number, buffer, room));
	}
	send_pack(s);
	free(buffer);
}

static void add_line(struct sender *s, unsigned long number, const char *line, size_t length)
{
	if (s->crlf && length && line[length - 1] == '\r')
		length--;
	add_message(s, number, line, length);
}

/*
 * Sends the lines of standard input.  Of a line that is not complete only the new part is searched
 * for its end.  One that is too long already is refused; if it is before the first that is to be
 * sent, it is forgotten up to here.
 */
static void send_lines(struct sender *s)
{
	char *buffer = allocate(BUFFER_BYTES), *line, *at, *end;
	unsigned long number = 1;
	size_t used = 0;
	ssize_t n;

	while ((n = read_some(STDIN_FILENO, buffer + used, BUFFER_BYTES - used)) > 0) {
		line = buffer;
		at = buffer + used;
		end = at + n;
		while ((at = memchr(at, s->delimiter, end - at))) {
			add_line(s, number++, line, at - line);
			line = ++at;
		}
		used = end - line;
		if (used > s->info.msg_size + s->crlf) {
			add_message(s, number, line, used);
			used = 0;
		}
		send_pack(s);
		memmove(buffer, line, used);
	}
	if (n < 0)
		cannot_read(s, "standard input", number);
	if (used)
		add_message(s, number, buffer, used);
	send_pack(s);
	free(buffer);
}

/* --- the command --- */

static void parse_send(int argc, char **argv, struct sender *s)
{
	static const struct option options[] = {
		WAITING_LONG_OPTIONS,
		{ "file", required_argument, NULL, 'F' },
		{ "null", no_argument, NULL, '0' },
		{ "delay", required_argument, NULL, OPT_DELAY },
		{ "priority", required_argument, NULL, OPT_PRIORITY },
		{ "crlf", no_argument, NULL, OPT_CRLF },
		{ "skip-empty", no_argument, NULL, OPT_SKIP_EMPTY },
		{ "from-line", required_argument, NULL, OPT_FROM_LINE },
		{ }
	};
	const char **files = calloc(argc + 1, sizeof(*files));
	size_t n_files = 0;
	int opt;

	if (!files)
		err(EXIT_FAILURE, NULL);
	while ((opt = getopt_long(argc, argv, WAITING_OPTIONS "F:0", options, NULL)) != -1) {
		if (opt == 'F')
			files[n_files++] = optarg;
		else if (opt == '0')
			s->delimiter = '\0';
		else if (opt == OPT_DELAY)
			s->header.delay_ms = parse_seconds(optarg, UINT32_MAX);
		else if (opt == OPT_PRIORITY)
			s->header.priority = parse_number(optarg, 0, MPMCQ_LEVELS_MAX - 1,
							  "priority");
		else if (opt == OPT_CRLF)
			s->crlf = true;
		else if (opt == OPT_SKIP_EMPTY)
			s->skip_empty = true;
		else if (opt == OPT_FROM_LINE)
			s->from = parse_number(optarg, 1, ULONG_MAX, "number of a line");
		else
			waiting_option(opt);
	}
	if (n_files && optind < argc)
		usage_error("--file does not go with a MESSAGE");
	if (!s->delimiter && (n_files || optind < argc))
		usage_error("--null is for messages from standard input");
	if (s->crlf && (n_files || optind < argc || !s->delimiter))
		usage_error("--crlf is for lines of standard input");
	if (n_files)
		s->files = files;
	if (n_files || optind < argc)
		s->delimiter = EOF;
}

/* Makes sure that the queue has what the options ask for. */
static void check_header(const struct sender *s)
{
	if (s->header.delay_ms && !(s->info.flags & MPMCQ_DELAY))
		errx(EXIT_FAILURE,
		     "%s has no delays (make a queue that has: mpmcq create --delay NAME)",
		     queue_text());
	if (s->header.priority >= s->info.levels)
		errx(EXIT_FAILURE,
		     "%s has %u level%s of priority, from 0 on (make a queue with more: mpmcq create --levels %u NAME)",
		     queue_text(), s->info.levels, s->info.levels == 1 ? "" : "s",
		     s->header.priority + 1);
}

static void open_sender(struct sender *s)
{
	struct mpmcq_attach attach = {
		.open_flags = timeout_ms ? O_WRONLY : O_WRONLY | O_NONBLOCK,
		.modes = MPMCQ_MODE_PACKED,
		.snd_timeout_ms = timeout_ms > 0 ? timeout_ms : 0,
	};
	int queue = open_queue(O_WRONLY, &s->info);

	check_header(s);
	s->fd = attach_queue(queue, &attach);
	close(queue);
	s->pack = allocate(BUFFER_BYTES);
	catch_signals();
	stop_waits_on(s->fd);
}

static void run_send(int argc, char **argv)
{
	struct sender s = { .what = "message", .delimiter = '\n', .from = 1, .shown = -1 };

	parse_send(argc, argv, &s);
	open_sender(&s);
	if (s.files) {
		send_files(&s);
		return;
	}
	if (s.delimiter == EOF) {
		send_arguments(&s, argv + optind);
		return;
	}
	s.what = s.delimiter ? "line" : "input message";
	if (isatty(STDERR_FILENO) && !isatty(STDIN_FILENO))
		s.shown = now_ms();
	send_lines(&s);
	clear_progress(&s);
}

const struct command send_command = {
	.name = "send",
	.usage = "[-q NAME] send [OPTION...] [MESSAGE...]",
	.summary = "send messages",
	.help =
		"Each MESSAGE is one message; without any, each line of standard input is.\n"
		"\n"
		"  -F, --file FILE        the contents of FILE (-: standard input) are one message;\n"
		"                         may be given several times\n"
		"  -0, --null             messages on standard input end in NUL, not newline\n"
		"      --crlf             a carriage return before a newline is no part of a line\n"
		"      --skip-empty       leave out empty messages, which are an error otherwise\n"
		"      --from-line N      begin with line N, or the Nth message or file\n"
		"      --delay SECONDS    readers get the messages after this time\n"
		"      --priority N       readers get messages of a higher priority first (default 0)\n"
		"  -n, --nonblock         do not wait while the queue is full\n"
		"  -t, --timeout SECONDS  wait no longer than this for room for a message\n",
	.run = run_send,
};
