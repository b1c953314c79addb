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

/* The command that runs; NULL before it is known. */
static const struct command *running;

static const struct command *const commands[] = {
	&send_command, &receive_command, &peek_command, &dead_command, &info_command, &list_command,
	&create_command, &dump_command, &destroy_command, &close_command, &reopen_command,
	&wait_command, &save_command, &restore_command, &top_command, &metrics_command,
	&doctor_command, &bench_command,
};

static void print_help(void)
{
	if (running) {
		printf("Usage: mpmcq %s\n%s\n\n%s", running->usage, running->summary,
		       running->help);
		return;
	}
	puts("Usage: mpmcq [-q NAME] COMMAND [ARGUMENT...]\n"
	     "\n"
	     "Write messages to a queue, read them from it, show its state; make queues.\n"
	     "\n"
	     "  -q, --queue NAME       use this queue (default /dev/mpmcq)\n"
	     "  -h, --help             print this, or the help of COMMAND, and exit\n"
	     "  -V, --version          print the version and exit\n"
	     "\n"
	     "NAME is a file in /dev/mpmcqfs. A NAME with a '/' is a path: ./jobs, /mnt/jobs.\n"
	     "\n"
	     "Commands:");
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		printf("  %-10s %s\n", commands[i]->name, commands[i]->summary);
	puts("\nExit status: 0 done, 1 error, 2 wrong usage, 3 would block or timed out.");
}

noreturn void usage_hint(void)
{
	fprintf(stderr, "Try 'mpmcq %s%s--help'.\n", running ? running->name : "",
		running ? " " : "");
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

/* Returns milliseconds, never too few. */
uint32_t parse_seconds(const char *arg, uint32_t max_ms)
{
	char *end;
	double ms;
	uint32_t n;

	errno = 0;
	ms = strtod(arg, &end) * 1000;
	if (errno || end == arg || *end || !(ms >= 0))
		usage_error("not a number of seconds: '%s'", arg);
	if (ms > max_ms)
		usage_error("more than %u seconds: '%s'", max_ms / 1000, arg);
	n = ms;
	return n < ms ? n + 1 : n;
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
		print_help();
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
		timeout_ms = parse_seconds(optarg, INT_MAX);
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

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
		if (!strcmp(name, commands[i]->name))
			return commands[i];
	}
	usage_error("no such command: '%s'", name);
}

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
	running = find_command(argv[optind]);
	argv[optind] = argv[0];
	argc -= optind;
	argv += optind;
	optind = 0;	/* glibc: start afresh */
	running->run(argc, argv);
	return EXIT_SUCCESS;
}
