// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-ring - the ring alone, beside the queues of well-known libraries
 *
 * Candidates take turns, round after round, so that what else the machine does hits them
 * alike.  Each run has a process of its own and a time limit.
 */
#define _GNU_SOURCE
#include <err.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "report.h"
#include "self_test.h"

const struct load loads[] = {
	{ "alone", 0, 0 },
	{ "1x1", 1, 1 },
	{ "2x2", 2, 2 },
	{ "4x4", 4, 4 },
};

const unsigned int load_count = sizeof(loads) / sizeof(*loads);

const struct candidate *const candidates[] = {
	&candidate_copy,
	&candidate_mpmcq,
	&candidate_vyukov,
	&candidate_ck_ring,
	&candidate_ck_fifo,
	&candidate_rte_ring,
	&candidate_rte_rts,
	&candidate_rte_hts,
	&candidate_moodycamel,
	&candidate_boost,
};

const unsigned int candidate_count = sizeof(candidates) / sizeof(*candidates);

#define ENOUGH_TIMEOUTS	2	/* then no more runs of this candidate under this load */

static struct report report = { .rounds = 15, .messages = 200000, .limit = 10 };
static unsigned int stops = 300;
static bool skipped[MAX_LOADS];
static const char *json;
static bool progress;

/* --- the runs --- */

static double value_of(const struct result *r, const struct load *load)
{
	if (!load->producers)
		return r->seconds / r->messages * 1e9;
	return r->messages / r->seconds / 1e6;
}

static void measure(struct series_of *s, unsigned int load)
{
	struct result r = run_once(s->candidate, &loads[load], report.messages, report.limit);
	struct outcome *o = &s->outcomes[load];

	if (r.end == TIMED_OUT)
		o->timed_out++;
	if (r.end == FAILED)
		o->failed++;
	if (r.end != FINISHED)
		return;
	o->values[o->finished++] = value_of(&r, &loads[load]);
	verdict_add(&o->faults, &r.verdict);
}

static void say(const char *load, unsigned int round, const char *candidate)
{
	if (progress)
		fprintf(stderr, "%s: round %u of %u: %s\n", load, round + 1, report.rounds,
			candidate);
}

static bool to_run(const struct series_of *s, unsigned int load)
{
	return can_run(s->candidate, &loads[load]) &&
	       s->outcomes[load].timed_out < ENOUGH_TIMEOUTS;
}

static void run_load(unsigned int load)
{
	for (unsigned int round = 0; round < report.rounds; round++) {
		for (unsigned int i = 0; i < report.count; i++) {
			struct series_of *s = &report.series[(round + i) % report.count];

			if (!to_run(s, load))
				continue;
			say(loads[load].name, round, s->candidate->name);
			measure(s, load);
		}
	}
}

static void run_stops(void)
{
	for (unsigned int i = 0; stops && i < report.count; i++) {
		struct series_of *s = &report.series[i];

		if (!s->candidate->churn)
			continue;
		if (progress)
			fprintf(stderr, "one thread stopped: %s\n", s->candidate->name);
		s->stops = stop_test(s->candidate, stops, report.limit);
	}
}

/* --- what is wrong --- */

static bool outcome_good(const struct candidate *c, const struct load *load,
			 const struct outcome *o)
{
	bool clean = verdict_clean(&o->faults);

	if (!clean)
		warnx("%s, %s: %s", c->name, load->name, verdict_text(&o->faults));
	if (o->failed)
		warnx("%s, %s: %u runs failed", c->name, load->name, o->failed);
	if (o->timed_out)
		warnx("%s, %s: %u runs did not finish", c->name, load->name, o->timed_out);
	return clean && !o->failed && !(o->timed_out && c == &candidate_mpmcq);
}

static bool stops_good(const struct candidate *c, const struct stops *s)
{
	if (s->end == FAILED || (s->end == TIMED_OUT && c == &candidate_mpmcq)) {
		warnx("%s: stopping a thread %s", c->name,
		      s->end == FAILED ? "failed" : "did not finish");
		return false;
	}
	if (!c->lock_free || !s->blocked)
		return true;
	warnx("%s: a thread that was stopped has held up another", c->name);
	return false;
}

static bool all_good(void)
{
	bool good = true;

	for (unsigned int i = 0; i < report.count; i++) {
		const struct series_of *s = &report.series[i];

		for (unsigned int l = 0; l < load_count; l++)
			good &= outcome_good(s->candidate, &loads[l], &s->outcomes[l]);
		good &= stops_good(s->candidate, &s->stops);
	}
	return good;
}

/* --- options --- */

static const char help[] =
"Usage: bench-ring [OPTION...]\n"
"\n"
"Copy 64-byte messages through this project's ring and through the queues of\n"
"libraries, in one process, alone and with many threads, in turns, and verify that\n"
"each arrives whole, once and in the order of its producer.  Then stop a thread at\n"
"random places and see whether another can go on.\n"
"\n"
"  -m, --messages N         messages of a run (200000)\n"
"  -r, --rounds N           runs of each candidate under each load (15)\n"
"  -c, --candidates LIST    names with commas between (all)\n"
"  -w, --workloads LIST     of alone, 1x1, 2x2, 4x4 (all)\n"
"  -l, --limit SECONDS      a run that takes longer is ended: \"did not finish\"; after\n"
"                           two there are no more of this candidate and load (10)\n"
"  -s, --stops N            how often a thread is stopped; 0: never (300)\n"
"  -j, --json FILE          write JSON, too; \"-\": to standard output, and no table\n"
"      --progress           say on standard error what is run, as on a terminal\n"
"      --self-test          check that planted faults are noticed\n"
"  -h, --help               print this and exit\n"
"\n"
"Candidates:\n";

static void print_help(void)
{
	fputs(help, stdout);
	for (unsigned int i = 0; i < candidate_count; i++)
		printf("  %-11s %s\n", candidates[i]->name, candidates[i]->text);
	puts("\nExit status: 0 done, 1 a message was lost, repeated, disordered or torn, a run\n"
	     "failed, one of mpmcq did not finish, or another error, 2 wrong usage.");
}

static void choose_all(void)
{
	for (report.count = 0; report.count < candidate_count; report.count++)
		report.series[report.count].candidate = candidates[report.count];
}

static void choose(unsigned int n, const char *name)
{
	unsigned int i = 0;

	while (i < candidate_count && strcmp(name, candidates[i]->name))
		i++;
	if (i == candidate_count)
		wrong("no such candidate", name);
	for (report.count = 0; report.count < n; report.count++)
		if (report.series[report.count].candidate == candidates[i])
			wrong("twice the same candidate", name);
	report.series[report.count++].candidate = candidates[i];
}

static void choose_load(unsigned int n, const char *name)
{
	unsigned int i = 0;

	while (i < load_count && strcmp(name, loads[i].name))
		i++;
	if (i == load_count)
		wrong("no such workload", name);
	for (unsigned int k = 0; !n && k < load_count; k++)
		skipped[k] = true;
	skipped[i] = false;
}

static void parse_option(int opt)
{
	switch (opt) {
	case 'm':
		report.messages = parse_number(optarg, 100, 100000000);
		break;
	case 'r':
		report.rounds = parse_number(optarg, 1, MAX_ROUNDS);
		break;
	case 'c':
		each_word(optarg, MAX_CANDIDATES, choose);
		break;
	case 'w':
		each_word(optarg, UINT_MAX, choose_load);
		break;
	case 'l':
		report.limit = parse_number(optarg, 1, 3600);
		break;
	case 's':
		stops = parse_number(optarg, 0, 1000000);
		break;
	case 'j':
		json = optarg;
		break;
	case 'P':
		progress = true;
		break;
	case 'S':
		exit(self_test() ? EXIT_SUCCESS : EXIT_FAILURE);
	case 'h':
		print_help();
		close_output();
		exit(EXIT_SUCCESS);
	default:
		exit(EXIT_USAGE);
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "messages", required_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "candidates", required_argument, NULL, 'c' },
		{ "workloads", required_argument, NULL, 'w' },
		{ "limit", required_argument, NULL, 'l' },
		{ "stops", required_argument, NULL, 's' },
		{ "json", required_argument, NULL, 'j' },
		{ "progress", no_argument, NULL, 'P' },
		{ "self-test", no_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	choose_all();
	progress = isatty(STDERR_FILENO);
	while ((opt = getopt_long(argc, argv, "m:r:c:w:l:s:j:h", options, NULL)) != -1)
		parse_option(opt);
	no_arguments(argc);
}

int main(int argc, char **argv)
{
	FILE *to;

	parse_options(argc, argv);
	to = open_file(json);
	report.verification = verification_cost(report.messages) * 1e9;
	for (unsigned int i = 0; i < load_count; i++)
		if (!skipped[i])
			run_load(i);
	run_stops();
	if (to) {
		print_json(&report, to);
		close_file(to, json);
	}
	if (to != stdout)
		print_table(&report);
	close_output();
	return all_good() ? EXIT_SUCCESS : EXIT_FAILURE;
}
