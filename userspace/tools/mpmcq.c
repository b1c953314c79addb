// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq - use queues of messages from the shell
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"

const char *queue_name;
int timeout_ms = -1;

static const char help[] =
"Usage:\n"
"  mpmcq [-q NAME] send [-n | -t SECONDS] [-0] [-F FILE | MESSAGE...]\n"
"  mpmcq [-q NAME] receive [-n | -t SECONDS] [-c N | -a | -f] [-0 | -r | -e COMMAND]\n"
"  mpmcq [-q NAME] dead [--read [-0 | -r] | --revive | --purge] [-c N]\n"
"  mpmcq [-q NAME] info [-j]\n"
"  mpmcq [-q NAME] close\n"
"  mpmcq [-q NAME] reopen\n"
"  mpmcq create [-c CAPACITY] [-s MSG_SIZE] [-m MODE] [-o OWNER] [-g GROUP]\n"
"               [--drop-oldest] [--auto-close] [--max-deliveries N] [--lease-ms N]\n"
"               [--exist-ok] NAME\n"
"  mpmcq destroy NAME...\n"
"  mpmcq list [-j] [DIR]\n"
"\n"
"Write messages to a queue, read them from it, show its state; make queues.\n"
"\n"
"NAME is a file in /dev/mpmcqfs. A NAME with a '/' is a path: ./jobs, /mnt/jobs.\n"
"\n"
"  -q, --queue NAME       use this queue (default /dev/mpmcq)\n"
"  -h, --help             print this and exit\n"
"  -V, --version          print the version and exit\n"
"\n"
"send: each MESSAGE is one message; without any, each line of standard input is\n"
"  -F, --file FILE        the contents of FILE (-: standard input) are one message\n"
"  -0, --null             messages on standard input end in NUL, not newline\n"
"  -n, --nonblock         do not wait while the queue is full\n"
"  -t, --timeout SECONDS  wait no longer than this for room for a message\n"
"\n"
"receive: take one message and print it with a newline; a closed queue that has\n"
"  no more ends it\n"
"  -c, --count N          take N messages\n"
"  -a, --all              take messages until there are none\n"
"  -f, --follow           take messages for ever\n"
"  -0, --null             end each message with NUL, not newline\n"
"  -r, --raw              print nothing after a message\n"
"  -e, --exec COMMAND     instead of printing it, give the message to a shell command\n"
"                         on its standard input; it comes back unless that succeeds\n"
"  -n, --nonblock         do not wait while the queue is empty\n"
"  -t, --timeout SECONDS  wait no longer than this for a message\n"
"\n"
"dead: print how many messages were set aside\n"
"      --read             take them and print them, as receive does (-0, -r)\n"
"      --revive           send them again, and print how many\n"
"      --purge            discard them, and print how many\n"
"  -c, --count N          no more than N, the oldest first\n"
"\n"
"info: print owner, mode, configuration, state and counters of the queue\n"
"  -j, --json             as JSON\n"
"\n"
"close: let writers fail and readers end; reopen: undo that\n"
"\n"
"create: make the queue NAME\n"
"  -c, --capacity N       room for N messages, a power of two (default 1024)\n"
"  -s, --msg-size N       no message is longer than N bytes (default 1024)\n"
"  -m, --mode MODE        permissions, octal; umask does not change them\n"
"                         (default 660 without the bits of umask)\n"
"  -o, --owner OWNER      its owner, a name or a number\n"
"  -g, --group GROUP      its group, a name or a number\n"
"      --drop-oldest      when full, drop the oldest message\n"
"      --auto-close       close when the last writer goes\n"
"      --max-deliveries N set a message aside that came back after N deliveries\n"
"                         (default 8, 0: never)\n"
"      --lease-ms N       how long a reader may hold a message (default 0: for ever)\n"
"      --exist-ok         accept a queue NAME of the same configuration, as it is;\n"
"                         its owner, group and mode may differ\n"
"\n"
"destroy: remove queues; programs that have one open go on using it\n"
"\n"
"list: print the default queue and those in /dev/mpmcqfs, or the queues in DIR\n"
"  -j, --json             as JSON, with all counters\n"
"\n"
"Exit status: 0 done, 1 error, 2 wrong usage, 3 would block or timed out.\n";

noreturn void usage_hint(void)
{
	fputs("Try 'mpmcq --help'.\n", stderr);
	exit(EXIT_USAGE);
}

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

unsigned long parse_number(const char *arg, unsigned long min, unsigned long max,
			   const char *what)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(arg, &end, 10);
	if (errno || end == arg || *end || strchr(arg, '-') || n < min || n > max)
		usage_error("not a %s: '%s'", what, arg);
	return n;
}

void common_option(int opt)
{
	switch (opt) {
	case 'q':
		if (!*optarg)
			usage_error("the name of a queue is empty");
		queue_name = optarg;
		return;
	case 'h':
		fputs(help, stdout);
		exit(EXIT_SUCCESS);
	case 'V':
		puts("mpmcq " MPMCQ_VERSION);
		exit(EXIT_SUCCESS);
	default:	/* getopt has said what is wrong */
		usage_hint();
	}
}

void waiting_option(int opt)
{
	if (opt == 'n')
		timeout_ms = 0;
	else if (opt == 't')
		timeout_ms = parse_timeout(optarg);
	else
		common_option(opt);
}

/* For the commands that take no queue, or take it as an argument. */
void no_queue_option(const char *command)
{
	if (queue_name)
		usage_error("--queue does not go with %s", command);
}

void no_arguments(int argc, char **argv)
{
	if (optind < argc)
		usage_error("unexpected argument '%s'", argv[optind]);
}

void set_once(int *choice, int value, const char *choices)
{
	if (*choice && *choice != value)
		usage_error("%s exclude each other", choices);
	*choice = value;
}

static const struct command {
	const char *name;
	void (*run)(int argc, char **argv);
} commands[] = {
	{ "send", command_send },
	{ "receive", command_receive },
	{ "dead", command_dead },
	{ "info", command_info },
	{ "close", command_close },
	{ "reopen", command_reopen },
	{ "create", command_create },
	{ "destroy", command_destroy },
	{ "list", command_list },
};

int main(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	int opt;

	argv[0] = program_invocation_short_name;	/* for getopt's messages */
	atexit(close_stdout);
	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
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
