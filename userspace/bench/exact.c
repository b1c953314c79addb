// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-exact - instructions per message
 *
 * In a machine whose clock counts instructions (scripts/machine/vm --icount) the time that calls
 * take is how many instructions they are, the same each time.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "exact.h"
#include "queue.h"

#define ROUND_BYTES	(32U << 20)	/* bytes of messages of a round */
#define MESSAGES_MAX	262144U

static struct report report = { .size = 64, .messages = 4096, .rounds = 11 };
static const char *output;
static bool json;
static bool any_clock;
static bool progress;

/* What the kernel has put off is done now, and not in what is measured. */
static void settle(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
}

/* A call that moves many is short for each, and a tick of the timer then a large part. */
static unsigned int messages_of(const struct way *way)
{
	unsigned int n = way->batch ? 8 * report.messages : report.messages;

	if (n > ROUND_BYTES / report.size)
		n = ROUND_BYTES / report.size;
	return way->batch ? n - n % way->batch : n;
}

static void measure(struct line *line)
{
	double seconds, costs[MAX_ROUNDS];
	unsigned int n = messages_of(&line->way);
	struct passing p;

	if (progress)
		fprintf(stderr, "%s\n", line->way.name);
	if (passing_begin(&p, &line->way, report.size, n, report.rounds + 1) < 0)
		err(EXIT_FAILURE, "%s: open", line->way.name);
	/* The first time is a warm-up. */
	for (unsigned int round = 0; round <= report.rounds; round++) {
		settle();
		if (passing_round(&p, &seconds) < 0)
			err(EXIT_FAILURE, "%s: a call in round %u", line->way.name, round);
		if (round)
			costs[round - 1] = seconds * 1e9 / n;
	}
	line->cost = spread_of(costs, report.rounds);
	line->verdict = passing_end(&p);
}

/* --- the end --- */

static void write_output(void)
{
	FILE *to = fopen(output, "w");

	if (!to)
		err(EXIT_FAILURE, "%s", output);
	print_json(to, &report);
	close_file(to, output);
}

static bool all_whole(void)
{
	bool ok = true;

	for (size_t i = 0; i < report.count; i++) {
		if (verdict_clean(&report.lines[i].verdict))
			continue;
		warnx("%s: messages were lost, repeated, disordered or torn",
		      report.lines[i].way.name);
		ok = false;
	}
	return ok;
}

static bool limits_kept(void)
{
	bool ok = true;

	for (int i = 0; i < report.limit_count; i++) {
		const struct limit *limit = &report.limits[i];

		if (limit_of_report_kept(&report, limit))
			continue;
		warnx("%s costs more than %g times what %s does", limit->row, limit->ratio,
		      limit->beside);
		ok = false;
	}
	return ok;
}

static bool all_stable(void)
{
	bool ok = true;

	for (size_t i = 0; i < report.count; i++) {
		if (line_stable(&report.lines[i]))
			continue;
		warnx("%s: not stable to %g %%", report.lines[i].way.name, STABLE_PERCENT);
		ok = false;
	}
	return ok;
}

static int verdict(void)
{
	bool ok = all_whole();

	ok &= limits_kept();
	if (!ok)
		return EXIT_FAILURE;
	return all_stable() ? EXIT_SUCCESS : EXIT_UNSTABLE;
}

/* --- options --- */

static const char help[] =
"Usage: bench-exact [OPTION...]\n"
"\n"
"One process writes and reads messages in turns, so that nobody waits, and tells how\n"
"many instructions each took, to write and to read; and verifies that each came\n"
"whole, once and in order.  That takes a machine whose clock counts instructions:\n"
"scripts/machine/vm --icount.  Nobody else may use the device meanwhile.\n"
"\n"
"  -s, --size BYTES       length of a message (64)\n"
"  -m, --messages N       of a round (4096, or what is 32 MiB; 8 times as many if packed)\n"
"  -r, --rounds N         rounds of each row, after one that does not count (11)\n"
"  -t, --transports LIST  rows, names with commas between (all)\n"
"  -d, --device PATH      our queue, and what makes more of them (/dev/mpmcq)\n"
"  -c, --check LIMITS     fail if a row costs more than so many times another, e.g.\n"
"                         mpmcq/floor=2.0,packed/mpmcq=0.5\n"
"  -j, --json             print JSON instead of a table\n"
"  -o, --output FILE      write JSON into FILE, too\n"
"      --nanoseconds      go on if the clock does not count instructions\n"
"      --progress         tell on standard error what is being measured, which is what a\n"
"                         terminal is told anyway\n"
"      --self-test        check that planted faults are noticed (TAP)\n"
"  -h, --help             print this and exit\n"
"\n"
"Rows:\n";

static const char help_status[] =
"\n"
"Exit status: 0 done; 1 a message was lost, repeated, disordered or torn, a row is above\n"
"its limit, or another error; 2 wrong usage; 3 a row is not stable: the middle half of\n"
"its rounds is spread over more than 1 %; 4 the clock does not count instructions.";

static void print_help(void)
{
	fputs(help, stdout);
	for (size_t i = 0; i < report.count; i++)
		printf("  %-11s %s\n", report.lines[i].way.name,
		       way_text(&report.lines[i].way));
	puts(help_status);
}

static void choose_all(void)
{
	struct way ways[MAX_WAYS];

	report.count = ways_find(ways);
	for (size_t i = 0; i < report.count; i++)
		report.lines[i].way = ways[i];
}

static void choose(char *list)
{
	size_t n = 0;
	struct report all = report;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		const struct line *line = find_line(&all, name);

		if (!line || n == MAX_WAYS)
			wrong("no such row", name);
		report.lines[n++] = *line;
	}
	report.count = n;
	if (!n) {
		warnx("--transports wants names with commas between");
		exit(EXIT_USAGE);
	}
}

static void set_limits(char *text)
{
	report.limit_count = limits_parse(text, report.limits);
	if (report.limit_count > 0)
		return;
	warnx("--check wants ROW/ROW=RATIO, with commas between");
	exit(EXIT_USAGE);
}

static void check_limits(void)
{
	for (int i = 0; i < report.limit_count; i++) {
		const struct limit *limit = &report.limits[i];

		if (find_line(&report, limit->row) && find_line(&report, limit->beside))
			continue;
		warnx("--check: %s or %s is not measured", limit->row, limit->beside);
		exit(EXIT_USAGE);
	}
}

enum { OPT_SELF_TEST = 256, OPT_NANOSECONDS, OPT_PROGRESS };

static const struct option options[] = {
	{ "size", required_argument, NULL, 's' },
	{ "messages", required_argument, NULL, 'm' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "transports", required_argument, NULL, 't' },
	{ "device", required_argument, NULL, 'd' },
	{ "check", required_argument, NULL, 'c' },
	{ "json", no_argument, NULL, 'j' },
	{ "output", required_argument, NULL, 'o' },
	{ "nanoseconds", no_argument, NULL, OPT_NANOSECONDS },
	{ "progress", no_argument, NULL, OPT_PROGRESS },
	{ "self-test", no_argument, NULL, OPT_SELF_TEST },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void parse_option(int opt)
{
	switch (opt) {
	case 's':
		report.size = parse_number(optarg, MESSAGE_MIN, 65536);
		break;
	case 'm':
		report.messages = parse_number(optarg, PACK_MESSAGES, MESSAGES_MAX);
		break;
	case 'r':
		report.rounds = parse_number(optarg, 1, MAX_ROUNDS);
		break;
	case 't':
		choose(optarg);
		break;
	case 'd':
		mpmcq_device = optarg;
		break;
	case 'c':
		set_limits(optarg);
		break;
	case 'j':
		json = true;
		break;
	case 'o':
		output = optarg;
		break;
	case OPT_NANOSECONDS:
		any_clock = true;
		break;
	case OPT_PROGRESS:
		progress = true;
		break;
	case OPT_SELF_TEST:
		exit(exact_self_test() ? EXIT_SUCCESS : EXIT_FAILURE);
	case 'h':
		print_help();
		exit(EXIT_SUCCESS);
	default:
		exit(EXIT_USAGE);
	}
}

static void parse_options(int argc, char **argv)
{
	int opt;

	progress = isatty(STDERR_FILENO);
	choose_all();
	while ((opt = getopt_long(argc, argv, "s:m:r:t:d:c:jo:h", options, NULL)) != -1)
		parse_option(opt);
	no_arguments(argc);
	check_limits();
}

static void look_at_clock(void)
{
	report.clock = icount_measure();
	if (icount_exact(&report.clock))
		return;
	warnx("NOT INSTRUCTION COUNTS: NANOSECONDS; instructions take %.4f ns, slow ones %.4f ns",
	      report.clock.plain, report.clock.slow);
	if (any_clock)
		return;
	warnx("run it in scripts/machine/vm --icount, or see --nanoseconds");
	exit(EXIT_NO_COUNT);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	/* Without the right to it, it is noisier. */
	setpriority(PRIO_PROCESS, 0, -20);
	settle();
	look_at_clock();
	for (size_t i = 0; i < report.count; i++)
		measure(&report.lines[i]);
	if (output)
		write_output();
	if (json)
		print_json(stdout, &report);
	else
		print_table(stdout, &report);
	close_output();
	return verdict();
}
