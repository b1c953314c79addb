// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is to be measured
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "queue.h"
#include "run.h"

struct options options = {
	.shapes = { { 1, 1 }, { 2, 2 }, { 4, 4 }, { 8, 8 }, { 1, 8 }, { 8, 1 } },
	.shape_count = 6,
	.sizes = { 8, 64, 256, 1024, 4096 },
	.size_count = 5,
	.rounds = 3,
	.seconds = 0.35,
	.rate = 1000,
	.limit = 120,
};

static const char help[] =
"Usage: bench [OPTION...]\n"
"\n"
"Send messages through our queue and through what else there is, in turns; measure\n"
"messages per second, CPU time, context switches, system calls, and latency, when all\n"
"send as fast as they can and at a steady rate, and the round trip of one message; and\n"
"verify that each arrives whole, once and in the order of its producer.\n"
"\n"
"  -t, --transports LIST  names with commas between (the first ones below)\n"
"      --shape LIST       producers x consumers (1x1,2x2,4x4,8x8,1x8,8x1)\n"
"  -p, --producers N      one shape: processes that send (1)\n"
"  -c, --consumers N      one shape: processes that receive (1)\n"
"  -s, --size LIST        bytes of a message (8,64,256,1024,4096)\n"
"  -r, --rounds N         runs of each kind (3)\n"
"  -T, --time SECONDS     that a run is to take (0.35)\n"
"  -m, --messages N       messages of a run as fast as they can, whatever time that takes\n"
"      --rate N           messages per second of the steady runs, of all producers (1000)\n"
"  -q, --quick            1x1 and 4x4, 64 and 1024 bytes, one round of 0.2 seconds; what\n"
"                         options after it say comes before that\n"
"  -l, --limit SECONDS    a run that takes longer is a failure (120)\n"
"  -d, --device PATH      what makes our queues (/dev/mpmcq)\n"
"  -j, --json FILE        write all results as JSON; - is standard output, in place of\n"
"                         the tables\n"
"      --tsv FILE         write them as a table for scripts/machine/bench-plots; - as above\n"
"      --progress         say on standard error how far it is, also if no terminal\n"
"      --self-test        check the checks, by planted faults, and every transport;\n"
"                         prints TAP\n"
"  -h, --help             print this and exit\n"
"\n"
"Transports:\n";

static void print_help(void)
{
	fputs(help, stdout);
	for (size_t i = 0; i < transport_count; i++)
		printf("  %-11s %s\n", transports[i]->name, transports[i]->text);
	puts("\nMeasured only if named:");
	for (size_t i = 0; i < more_transport_count; i++)
		printf("  %-11s %s\n", more_transports[i]->name, more_transports[i]->text);
	puts("\nExit status: 0 done, 1 a message was lost, repeated, disordered or torn, or\n"
	     "another error, 2 wrong usage.");
}

static void add_transport(unsigned int i, const char *word)
{
	options.transports[i] = transport_find(word);
	if (!options.transports[i])
		wrong("no such transport", word);
	for (unsigned int k = 0; k < i; k++)
		if (options.transports[k] == options.transports[i])
			wrong("twice the same transport", word);
}

static void add_shape(unsigned int i, const char *word)
{
	struct shape *s = &options.shapes[i];
	char rest;

	if (sscanf(word, "%ux%u%c", &s->producers, &s->consumers, &rest) != 2 ||
	    s->producers - 1 >= MAX_WORKERS || s->consumers - 1 >= MAX_WORKERS)
		wrong("no shape as 2x4, of 1 to 64", word);
}

static void add_size(unsigned int i, const char *word)
{
	options.sizes[i] = parse_number(word, MESSAGE_MIN, MESSAGE_MAX);
}

static double parse_seconds(const char *word)
{
	char *end;
	double seconds = strtod(word, &end);

	if (end == word || *end || !(seconds >= 0.01 && seconds <= 60))
		wrong("not 0.01 to 60 seconds", word);
	return seconds;
}

static void one_shape(void)
{
	if (options.shape_count != 1) {
		options.shapes[0] = (struct shape){ 1, 1 };
		options.shape_count = 1;
	}
}

static void quick(void)
{
	options.shapes[1] = (struct shape){ 4, 4 };
	options.shape_count = 2;
	options.sizes[0] = 64;
	options.sizes[1] = 1024;
	options.size_count = 2;
	options.rounds = 1;
	options.seconds = 0.2;
}

enum { SHAPE = 256, RATE, TSV, PROGRESS, SELF_TEST };

static void parse_option(int opt)
{
	switch (opt) {
	case 't':
		options.transport_count = each_word(optarg, MAX_TRANSPORTS, add_transport);
		break;
	case SHAPE:
		options.shape_count = each_word(optarg, MAX_SHAPES, add_shape);
		break;
	case 'p':
		one_shape();
		options.shapes[0].producers = parse_number(optarg, 1, MAX_WORKERS);
		break;
	case 'c':
		one_shape();
		options.shapes[0].consumers = parse_number(optarg, 1, MAX_WORKERS);
		break;
	case 's':
		options.size_count = each_word(optarg, MAX_SIZES, add_size);
		break;
	case 'r':
		options.rounds = parse_number(optarg, 1, MAX_ROUNDS);
		break;
	case 'T':
		options.seconds = parse_seconds(optarg);
		break;
	case 'm':
		options.messages = parse_number(optarg, 1, 100000000);
		break;
	case RATE:
		options.rate = parse_number(optarg, 1, 1000000);
		break;
	case 'q':
		quick();
		break;
	case 'l':
		options.limit = parse_number(optarg, 1, 86400);
		break;
	case 'd':
		mpmcq_device = optarg;
		break;
	case 'j':
		options.json = optarg;
		break;
	case TSV:
		options.tsv = optarg;
		break;
	case PROGRESS:
		options.progress = true;
		break;
	case SELF_TEST:
		options.self_test = true;
		break;
	case 'h':
		print_help();
		close_output();
		exit(EXIT_SUCCESS);
	default:
		exit(EXIT_USAGE);
	}
}

void parse_options(int argc, char **argv)
{
	static const struct option names[] = {
		{ "transports", required_argument, NULL, 't' },
		{ "shape", required_argument, NULL, SHAPE },
		{ "producers", required_argument, NULL, 'p' },
		{ "consumers", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "time", required_argument, NULL, 'T' },
		{ "messages", required_argument, NULL, 'm' },
		{ "rate", required_argument, NULL, RATE },
		{ "quick", no_argument, NULL, 'q' },
		{ "limit", required_argument, NULL, 'l' },
		{ "device", required_argument, NULL, 'd' },
		{ "json", required_argument, NULL, 'j' },
		{ "tsv", required_argument, NULL, TSV },
		{ "progress", no_argument, NULL, PROGRESS },
		{ "self-test", no_argument, NULL, SELF_TEST },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	for (size_t i = 0; i < transport_count; i++)
		options.transports[i] = transports[i];
	options.transport_count = transport_count;
	options.progress = isatty(STDERR_FILENO);
	while ((opt = getopt_long(argc, argv, "t:p:c:s:r:T:m:ql:d:j:h", names, NULL)) != -1)
		parse_option(opt);
	no_arguments(argc);
	if (options.json && options.tsv && !strcmp(options.json, "-") &&
	    !strcmp(options.tsv, "-"))
		wrong("standard output takes one of JSON and TSV", "-");
}
