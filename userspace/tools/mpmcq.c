// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq - send, receive and look at messages of a queue from the shell
 *
 * The device is always opened non-blocking and waited for with poll(2), so
 * that one piece of code serves --nonblock, --timeout and waiting for ever.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/mpmcq.h>

enum {
	EXIT_USAGE = 2,
	EXIT_WOULD_BLOCK = 3,
};

static const char *device = "/dev/mpmcq";
static int timeout_ms = -1;	/* for each message; negative: no limit */

static const char help[] =
"Usage:\n"
"  mpmcq [-d PATH] send [-n | -t SECONDS] [-0] [-F FILE | MESSAGE...]\n"
"  mpmcq [-d PATH] receive [-n | -t SECONDS] [-c N | -a | -f] [-0 | -r]\n"
"  mpmcq [-d PATH] info [-j]\n"
"\n"
"Write messages to a queue, read them from it, or say what it is like.\n"
"\n"
"  -d, --device PATH      the queue (default /dev/mpmcq)\n"
"  -h, --help             print this and exit\n"
"  -V, --version          print the version and exit\n"
"\n"
"send: each MESSAGE is one message; without any, each line of standard input is\n"
"  -F, --file FILE        the contents of FILE (-: standard input) are one message\n"
"  -0, --null             messages on standard input end in NUL, not newline\n"
"  -n, --nonblock         do not wait while the queue is full\n"
"  -t, --timeout SECONDS  wait no longer than this for room for a message\n"
"\n"
"receive: take one message and print it with a newline\n"
"  -c, --count N          take N messages\n"
"  -a, --all              take messages until there are none\n"
"  -f, --follow           take messages for ever\n"
"  -0, --null             end each message with NUL, not newline\n"
"  -r, --raw              print nothing after a message\n"
"  -n, --nonblock         do not wait while the queue is empty\n"
"  -t, --timeout SECONDS  wait no longer than this for a message\n"
"\n"
"info: print version, capacity, msg_size and depth\n"
"  -j, --json             as JSON\n"
"\n"
"Exit status: 0 done, 1 error, 2 wrong usage, 3 would block or timed out.\n";

static noreturn void usage_hint(void)
{
	fputs("Try 'mpmcq --help'.\n", stderr);
	exit(EXIT_USAGE);
}

#define usage_error(...) do { warnx(__VA_ARGS__); usage_hint(); } while (0)

/* Output that stdio could not deliver is an error too. */
static void close_stdout(void)
{
	if (fclose(stdout) == 0)
		return;
	warn("standard output");
	_exit(EXIT_FAILURE);
}

static int parse_timeout(const char *arg)
{
	char *end;
	double seconds;
	int ms;

	errno = 0;
	seconds = strtod(arg, &end);
	if (errno || end == arg || *end || !(seconds >= 0))
		usage_error("not a number of seconds: '%s'", arg);
	if (seconds >= INT_MAX / 1000)
		usage_error("too long a timeout: '%s'", arg);
	ms = seconds * 1000;
	return ms < seconds * 1000 ? ms + 1 : ms;	/* never too short */
}

static unsigned long parse_count(const char *arg)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (errno || end == arg || *end || strchr(arg, '-') || !n)
		usage_error("not a number of messages: '%s'", arg);
	return n;
}

static const char short_options[] = "+d:hVF:0nt:c:afrj";
static const struct option long_options[] = {
	{ "device", required_argument, NULL, 'd' },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ "file", required_argument, NULL, 'F' },
	{ "null", no_argument, NULL, '0' },
	{ "nonblock", no_argument, NULL, 'n' },
	{ "timeout", required_argument, NULL, 't' },
	{ "count", required_argument, NULL, 'c' },
	{ "all", no_argument, NULL, 'a' },
	{ "follow", no_argument, NULL, 'f' },
	{ "raw", no_argument, NULL, 'r' },
	{ "json", no_argument, NULL, 'j' },
	{ }
};

/* Options that every command has; any other that comes here is wrong. */
static void common_option(int opt)
{
	switch (opt) {
	case 'd':
		device = optarg;
		return;
	case 'h':
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	case 'V':
		puts("mpmcq " MPMCQ_VERSION);
		exit(EXIT_SUCCESS);
	case '?':	/* getopt has said what is wrong */
		usage_hint();
	default:
		usage_error("option -%c does not go with this command", opt);
	}
}

/* Options of the commands that may wait. */
static void waiting_option(int opt)
{
	if (opt == 'n')
		timeout_ms = 0;
	else if (opt == 't')
		timeout_ms = parse_timeout(optarg);
	else
		common_option(opt);
}

/* The next option after the command's name; -1 when there are no more. */
static int next_option(int argc, char **argv)
{
	return getopt_long(argc, argv, short_options, long_options, NULL);
}

static int open_queue(int flags, struct mpmcq_info *info)
{
	int fd = open(device, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		err(EXIT_FAILURE, "%s", device);
	if (fd <= STDERR_FILENO) {
		close(fd);	/* or what we print would go to the queue */
		errx(EXIT_FAILURE,
		     "standard input, output or error is closed");
	}
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	if (ioctl(fd, MPMCQ_IOC_INFO, info) < 0)
		err(EXIT_FAILURE, "%s: not a queue", device);
	return fd;
}

static void *allocate(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(EXIT_FAILURE, NULL);
	return p;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Waits, no longer than timeout_ms after @start; false when that has passed. */
static bool wait_for(struct pollfd *fds, nfds_t n, int64_t start)
{
	int64_t left = -1;
	int ready;

	if (timeout_ms >= 0) {
		left = start + timeout_ms - now_ms();
		if (left <= 0)
			return false;
	}
	ready = poll(fds, n, left);
	if (ready < 0 && errno != EINTR)
		err(EXIT_FAILURE, "poll");
	return ready != 0;
}

/* --- send --- */

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
		if (errno != EAGAIN)
			err(EXIT_FAILURE, "%s: %s not sent (sent before it: %lu)",
			    device, from, sent);
		if (!wait_for(&queue, 1, start))
			errx(EXIT_WOULD_BLOCK,
			     "%s is full: %s not sent (sent before it: %lu)",
			     device, from, sent);
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

static void command_send(int argc, char **argv)
{
	const char *file = NULL;
	int delimiter = '\n';
	struct mpmcq_info info;
	int fd, opt;

	while ((opt = next_option(argc, argv)) != -1) {
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

/* --- receive --- */

/*
 * A message that was taken is in nobody's hands but ours.  So nothing is taken
 * before standard output is fit to be written to, and the usual ways to end a
 * program are held back from a take until what it brought is written.
 */
static sigset_t hold_back, let_through;

static void prepare_signals(void)
{
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&hold_back);
	sigaddset(&hold_back, SIGHUP);
	sigaddset(&hold_back, SIGINT);
	sigaddset(&hold_back, SIGTERM);
}

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
 * Takes a message and prints it, followed by the first @tail_length bytes of
 * @tail; false when none came in time.
 */
static bool receive_message(int fd, char *buffer, size_t msg_size,
			    const char *tail, size_t tail_length)
{
	struct pollfd fds[] = {
		{ .fd = fd, .events = POLLIN },
		{ .fd = STDOUT_FILENO },	/* is its reader still there? */
	};
	int64_t start = now_ms();
	ssize_t length;

	for (;;) {
		wait_for_output();
		sigprocmask(SIG_BLOCK, &hold_back, &let_through);
		length = read(fd, buffer, msg_size);
		if (length >= 0)
			break;
		if (errno != EAGAIN)
			err(EXIT_FAILURE, "%s", device);
		sigprocmask(SIG_SETMASK, &let_through, NULL);
		if (!wait_for(fds, 2, start))
			return false;
	}

	memcpy(buffer + length, tail, tail_length);
	errno = write_output(buffer, length + tail_length);
	if (errno)
		err(EXIT_FAILURE,
		    "standard output: a message of %zd bytes was taken from %s and is lost",
		    length, device);
	sigprocmask(SIG_SETMASK, &let_through, NULL);
	return true;
}

static void set_once(char *choice, char value, const char *choices)
{
	if (*choice && *choice != value)
		usage_error("%s exclude each other", choices);
	*choice = value;
}

static void command_receive(int argc, char **argv)
{
	unsigned long count = 1, taken = 0;
	char amount = 0, form = 0;
	struct mpmcq_info info;
	char *buffer;
	int fd, opt;

	while ((opt = next_option(argc, argv)) != -1) {
		if (opt == 'c')
			count = parse_count(optarg);
		if (opt == 'c' || opt == 'a' || opt == 'f')
			set_once(&amount, opt, "--count, --all and --follow");
		else if (opt == '0' || opt == 'r')
			set_once(&form, opt, "--null and --raw");
		else
			waiting_option(opt);
	}
	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);
	if (amount == 'a' && timeout_ms < 0)
		timeout_ms = 0;

	check_output();
	prepare_signals();
	fd = open_queue(O_RDONLY, &info);
	buffer = allocate(info.msg_size + 1);
	while (amount == 'a' || amount == 'f' || taken < count) {
		if (receive_message(fd, buffer, info.msg_size,
				    form == '0' ? "" : "\n", form != 'r')) {
			taken++;
			continue;
		}
		if (amount == 'a')
			break;
		errx(EXIT_WOULD_BLOCK, "%s is empty (taken: %lu)", device,
		     taken);
	}
}

/* --- info --- */

static void command_info(int argc, char **argv)
{
	static const char json[] =
		"{\"version\": \"%u.%u.%u\", \"capacity\": %u, \"msg_size\": %u, \"depth\": %u}\n";
	const char *format =
		"version:   %u.%u.%u\n"
		"capacity:  %u\n"
		"msg_size:  %u\n"
		"depth:     %u\n";
	struct mpmcq_info info;
	int opt;

	while ((opt = next_option(argc, argv)) != -1) {
		if (opt == 'j')
			format = json;
		else
			common_option(opt);
	}
	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);

	close(open_queue(O_RDONLY, &info));
	printf(format, info.version >> 16, info.version >> 8 & 0xff,
	       info.version & 0xff, info.capacity, info.msg_size, info.depth);
}

static const struct command {
	const char *name;
	void (*run)(int argc, char **argv);
} commands[] = {
	{ "send", command_send },
	{ "receive", command_receive },
	{ "info", command_info },
};

int main(int argc, char **argv)
{
	int opt;

	argv[0] = program_invocation_short_name;	/* for getopt's messages */
	atexit(close_stdout);
	while ((opt = next_option(argc, argv)) != -1)
		common_option(opt);
	if (optind == argc)
		usage_error("no command given");

	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		const struct command *command = &commands[i];

		if (strcmp(argv[optind], command->name))
			continue;
		argv[optind] = argv[0];
		argc -= optind;
		argv += optind;
		optind = 0;	/* glibc: start afresh */
		command->run(argc, argv);
		return EXIT_SUCCESS;
	}
	usage_error("no such command: '%s'", argv[optind]);
}
