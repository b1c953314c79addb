// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-queues - what it takes to have many queues
 *
 * In each round it makes queues with names, fills each with messages, empties them, last
 * queue first, so that a message that went to another queue would show, and removes the
 * queues.  It does so with files of mpmcqfs and with POSIX message queues,
 * which of them first alternating from round to round.  A POSIX message queue is open when it
 * has been made, and is closed then.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "measure.h"
#include "queues.h"
#include "verify.h"

#define MAX_QUEUES	100000
#define MAX_ROUNDS	100
#define FEW		1000	/* more than these are compared with as many as these */
#define POSIX_GOAL	1.0	/* most that a queue of ours may take, in queues of POSIX */
#define GROWTH_GOAL	2.0	/* most that one of many may take, in ones of FEW */

static unsigned int queues = 1000;
static unsigned int rounds = 5;
static bool check;
static bool json;

enum { CREATE, SEND, RECEIVE, REMOVE, TOTAL, KINDS };

static const struct series steps[KINDS] = {
	[CREATE] = { "create", "made", NULL },
	[SEND] = { "send", "opened by name, filled, and closed", NULL },
	[RECEIVE] = { "receive", "opened by name, emptied, and closed", NULL },
	[REMOVE] = { "remove", "removed", NULL },
	[TOTAL] = { "total", "in total", NULL },
};

/* So many queues of a kind, and what they took. */
struct set {
	const struct queue_kind *kind;
	unsigned int queues;
	double seconds[KINDS][MAX_ROUNDS];	/* for each queue */
	long kb_with;	/* in the first round: how much less memory is free with them ... */
	long kb_left;	/* ... and when they are gone */
};

/* The one in use: */
static const struct set *set;
static unsigned int made;	/* queues that there are: from 0 on, ... */
static unsigned int removed;	/* ... but for so many of the first */
static volatile sig_atomic_t interrupted;

/* --- what is done with each queue --- */

static const char *name_of(unsigned int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "/bench-%d-%u", getpid(), i);
	return name;
}

static void create_one(unsigned int i)
{
	int ret = set->kind->create(name_of(i));

	if (ret < 0 && (errno == EDQUOT || errno == ENOSPC || errno == EMFILE))
		warnx("limits: %s", set->kind->limits);
	if (ret < 0)
		err(EXIT_FAILURE, "%s: queue %u: create", set->kind->text, i);
	made++;
}

static int open_one(unsigned int i, int flags)
{
	int fd = set->kind->open(name_of(i), flags | O_NONBLOCK);

	if (fd < 0)
		err(EXIT_FAILURE, "%s: queue %u: open", set->kind->text, i);
	return fd;
}

static void send_one(unsigned int i)
{
	int fd = open_one(i, O_WRONLY);
	char message[SIZE];

	for (unsigned int n = 0; n < CAPACITY; n++) {
		message_fill(message, SIZE, n, i);
		if (set->kind->send(fd, message) != SIZE)
			err(EXIT_FAILURE, "%s: queue %u: send", set->kind->text, i);
	}
	close(fd);
}

static void receive_message(int fd, unsigned int i, unsigned int n)
{
	char message[SIZE], want[SIZE];
	ssize_t length = set->kind->receive(fd, message);

	if (length < 0)
		err(EXIT_FAILURE, "%s: queue %u: receive", set->kind->text, i);
	message_fill(want, SIZE, n, i);
	if (length != SIZE || memcmp(message, want, SIZE))
		errx(EXIT_FAILURE, "%s: queue %u: another message came than was sent",
		     set->kind->text, i);
}

static void receive_one(unsigned int nth)
{
	unsigned int i = set->queues - 1 - nth;
	int fd = open_one(i, O_RDONLY);

	for (unsigned int n = 0; n < CAPACITY; n++)
		receive_message(fd, i, n);
	close(fd);
}

static void remove_one(unsigned int i)
{
	if (set->kind->remove(name_of(i)) < 0)
		err(EXIT_FAILURE, "%s: queue %u: remove", set->kind->text, i);
	removed++;
}

static void check_gone(void)
{
	for (unsigned int i = 0; i < set->queues; i++)
		if (set->kind->open(name_of(i), O_RDWR) >= 0 || errno != ENOENT)
			errx(EXIT_FAILURE, "%s: queue %u: still there", set->kind->text, i);
}

/* No queue of ours stays, however the program ends. */
static void remove_rest(void)
{
	while (removed < made)
		set->kind->remove(name_of(removed++));
}

/* --- rounds --- */

static void interrupt(int signal)
{
	interrupted = signal;
}

/* Returns the seconds for each queue. */
static double each(void (*what)(unsigned int i))
{
	double begin = now();

	for (unsigned int i = 0; i < set->queues && !interrupted; i++)
		what(i);
	if (interrupted)
		errx(EXIT_FAILURE, "%s", strsignal(interrupted));
	return (now() - begin) / set->queues;
}

/* In kB; it falls by what other programs take meanwhile, too. */
static long free_memory(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char name[64];
	long kb;

	if (!file)
		err(EXIT_FAILURE, "/proc/meminfo");
	while (fscanf(file, "%63s %ld%*[^\n]", name, &kb) == 2) {
		if (!strcmp(name, "MemFree:")) {
			fclose(file);
			return kb;
		}
	}
	errx(EXIT_FAILURE, "/proc/meminfo does not tell of MemFree");
}

static void run(struct set *s, unsigned int round)
{
	double (*seconds)[MAX_ROUNDS] = s->seconds;
	long before = free_memory(), with;

	set = s;
	made = 0;
	removed = 0;
	seconds[CREATE][round] = each(create_one);
	with = free_memory();
	seconds[SEND][round] = each(send_one);
	seconds[RECEIVE][round] = each(receive_one);
	seconds[REMOVE][round] = each(remove_one);
	seconds[TOTAL][round] = seconds[CREATE][round] + seconds[SEND][round] +
		seconds[RECEIVE][round] + seconds[REMOVE][round];
	if (!round) {
		s->kb_with = before - with;
		s->kb_left = before - free_memory();
	}
	check_gone();
}

/* --- reports --- */

static double median(const struct set *s, unsigned int step)
{
	return spread_of(s->seconds[step], rounds).median;
}

static void print_set(const struct set *s)
{
	struct series series[KINDS];

	if (json)
		printf(",\n\"%s%s\": {\"queues\": %u, \"rounds\": %u, ", s->kind->name,
		       s->queues < queues ? "_few" : "", s->queues, rounds);
	else
		printf("\n%u %s, each of them\n", s->queues, s->kind->text);
	for (unsigned int i = 0; i < KINDS; i++) {
		series[i] = steps[i];
		series[i].seconds = (double *)s->seconds[i];
	}
	print_series(series, KINDS, rounds, json);
	if (json)
		printf(",\n\"kb_with\": %ld, \"kb_left\": %ld}", s->kb_with, s->kb_left);
	else
		printf("free memory: %ld kB less with them, %.1f kB for each;\n"
		       "%ld kB less when they were gone\n",
		       s->kb_with, (double)s->kb_with / s->queues, s->kb_left);
}

/* Of the medians of @s to those of @of; which text goes with it: @name in JSON, or @text. */
static void print_ratios(const struct set *s, const struct set *of, const char *name,
			 const char *text)
{
	if (json)
		printf(",\n\"%s\": {", name);
	else
		printf("\n%-54s%12s\n", text, "ratio");
	for (unsigned int i = 0; i < KINDS; i++) {
		double ratio = median(s, i) / median(of, i);

		if (json)
			printf("\"%s\": %.3f%s", steps[i].name, ratio, i + 1 < KINDS ? ", " : "}");
		else
			printf("%-54s%12.3f\n", steps[i].text, ratio);
	}
}

static void print(const struct set *ours, const struct set *posix, const struct set *few)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (json)
		printf("{\"queues\": %u, \"capacity\": %u, \"msg_size\": %u, \"cpus\": %ld",
		       queues, CAPACITY, SIZE, cpus);
	else
		printf("queues: %u, each for %u messages of %u bytes, rounds: %u, CPUs: %ld\n",
		       queues, CAPACITY, SIZE, rounds, cpus);
	print_set(ours);
	if (posix) {
		print_set(posix);
		print_ratios(ours, posix, "ratio", "of mpmcqfs to POSIX, in medians");
	}
	if (few) {
		print_set(few);
		print_ratios(ours, few, "growth", "of many to few, in medians");
	}
	if (json)
		puts("}");
}

/* Returns whether the medians are within the goals, and tells those that are not. */
static bool within_goals(const struct set *ours, const struct set *posix, const struct set *few)
{
	bool within = true;
	double ratio;

	if (!posix) {
		warnx("the goal cannot be checked without POSIX message queues");
		within = false;
	} else {
		ratio = median(ours, TOTAL) / median(posix, TOTAL);
		if (ratio > POSIX_GOAL) {
			warnx("a queue took %.3f times as long as one of POSIX, the goal is %g",
			      ratio, POSIX_GOAL);
			within = false;
		}
	}
	if (few) {
		ratio = median(ours, TOTAL) / median(few, TOTAL);
		if (ratio > GROWTH_GOAL) {
			warnx("one of %u took %.3f times as long as one of %u, the goal is %g",
			      queues, ratio, few->queues, GROWTH_GOAL);
			within = false;
		}
	}
	return within;
}

/* --- options --- */

static const char help[] =
"Usage: bench-queues [OPTION...]\n"
"\n"
"Make many queues with names, of 16 messages of 64 bytes, fill and empty each,\n"
"opened by name, and remove them; measure how long each takes, and what memory\n"
"the kernel needs for them.  Do it with files of mpmcqfs and with POSIX message\n"
"queues, in turn, and print medians and their ratios.\n"
"With more than 1000 queues also compare them with 1000.\n"
"\n"
"POSIX message queues need root, who may raise their limits; else they are left\n"
"out, which is said.\n"
"\n"
"  -n, --queues N        how many (1000)\n"
"  -r, --rounds N        how often (5)\n"
"  -d, --directory PATH  where mpmcqfs is mounted (/dev/mpmcqfs)\n"
"  -c, --check           fail if ours take longer than those of POSIX in total, or\n"
"                        one of many more than twice as long as one of 1000\n"
"  -j, --json            print JSON instead of tables\n"
"  -h, --help            print this and exit\n"
"\n"
"Exit status: 0 done, 1 error or, with --check, a goal missed, 2 wrong usage.\n";

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "queues", required_argument, NULL, 'n' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "directory", required_argument, NULL, 'd' },
		{ "check", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "n:r:d:cjh", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			queues = parse_number(optarg, 1, MAX_QUEUES);
			break;
		case 'r':
			rounds = parse_number(optarg, 1, MAX_ROUNDS);
			break;
		case 'd':
			mpmcqfs_directory = optarg;
			break;
		case 'c':
			check = true;
			break;
		case 'j':
			json = true;
			break;
		default:
			help_option(opt, help);
		}
	}
	no_arguments(argc);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], interrupt);
}

int main(int argc, char **argv)
{
	static struct set ours = { .kind = &mpmcqfs_kind };
	static struct set posix = { .kind = &posix_kind };
	static struct set few = { .kind = &mpmcqfs_kind, .queues = FEW };
	struct set *sets[3];
	unsigned int n = 0;
	const char *reason;

	parse_options(argc, argv);
	catch_signals();
	ours.queues = queues;
	reason = mpmcqfs_kind.begin(queues);
	if (reason)
		errx(EXIT_FAILURE, "%s", reason);
	sets[n++] = &ours;
	reason = posix_kind.begin(queues);
	if (reason) {
		warnx("SKIPPED: POSIX message queues: %s", reason);
	} else {
		posix.queues = queues;
		sets[n++] = &posix;
	}
	if (queues > FEW)
		sets[n++] = &few;
	/* Runs before what puts the limits back. */
	atexit(remove_rest);

	for (unsigned int round = 0; round < rounds; round++)
		for (unsigned int i = 0; i < n; i++)
			run(sets[round % 2 ? n - 1 - i : i], round);

	print(&ours, posix.queues ? &posix : NULL, queues > FEW ? &few : NULL);
	close_output();
	if (check && !within_goals(&ours, posix.queues ? &posix : NULL, queues > FEW ? &few : NULL))
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}
