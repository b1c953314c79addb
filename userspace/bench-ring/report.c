// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the runs came to: a table and JSON
 */
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "measure.h"
#include "report.h"

#define GOAL	0.5	/* of the speed of Vyukov's ring, alone */

static const struct series_of *find(const struct report *r, const struct candidate *c)
{
	for (unsigned int i = 0; i < r->count; i++)
		if (r->series[i].candidate == c)
			return &r->series[i];
	return NULL;
}

/* 0 if there is none. */
static double median(const struct series_of *s, unsigned int load)
{
	if (!s || !s->outcomes[load].finished)
		return 0;
	return spread_of(s->outcomes[load].values, s->outcomes[load].finished).median;
}

/* Of one pair alone, in ns; without the copies of the message if @net. */
static double alone(const struct report *r, const struct candidate *c, bool net)
{
	double all = median(find(r, c), 0), copy = median(find(r, &candidate_copy), 0);

	if (!net)
		return all;
	return all && copy && all > copy ? all - copy : 0;
}

/* Our speed alone to that of Vyukov's ring; 0 if there is none. */
static double ratio_alone(const struct report *r, bool net)
{
	double ours = alone(r, &candidate_mpmcq, net);

	return ours ? alone(r, &candidate_vyukov, net) / ours : 0;
}

/* Of the others that are strictly lock-free the fastest, or NULL. */
static const struct series_of *best_other(const struct report *r, unsigned int load)
{
	const struct series_of *best = NULL;

	for (unsigned int i = 0; i < r->count; i++) {
		const struct series_of *s = &r->series[i];
		double m = median(s, load), b = median(best, load);

		if (s->candidate != &candidate_mpmcq && s->candidate->lock_free && m &&
		    (!b || (load ? m > b : m < b)))
			best = s;
	}
	return best;
}

/* Our speed to that of the best other; 0 if either is missing. */
static double ratio_to_best(const struct report *r, unsigned int load)
{
	double ours = median(find(r, &candidate_mpmcq), load);
	double other = median(best_other(r, load), load);

	if (!ours || !other)
		return 0;
	return load ? ours / other : other / ours;
}

static const char *yes(bool b)
{
	return b ? "yes" : "no";
}

/* --- the table --- */

static void print_cell(const struct report *r, const struct series_of *s, unsigned int load)
{
	const struct outcome *o = &s->outcomes[load];
	char text[64];

	if (!o->finished && !o->timed_out && !o->failed) {
		snprintf(text, sizeof(text), "-");
	} else if (o->failed) {
		snprintf(text, sizeof(text), "FAILED %u of %u", o->failed, r->rounds);
	} else if (!o->finished) {
		snprintf(text, sizeof(text), "did not finish");
	} else {
		struct spread v = spread_of(o->values, o->finished);

		snprintf(text, sizeof(text), "%.2f (%.2f-%.2f)%s", v.median, v.min, v.max,
			 o->timed_out ? "*" : "");
	}
	printf("  %-23s", text);
}

static void print_stops(const struct series_of *s)
{
	const struct stops *t = &s->stops;

	if (t->blocked)
		printf("held up at stop %u\n", t->stops);
	else if (t->stops)
		printf("%u, none held up\n", t->stops);
	else
		puts("-");
}

static void print_row(const struct report *r, const struct series_of *s)
{
	const struct candidate *c = s->candidate;

	if (c->produce)
		printf("%-11s%-10s%-5s%-8s", c->name, yes(c->lock_free), yes(c->fifo),
		       yes(c->bounded));
	else
		printf("%-11s%-10s%-5s%-8s", c->name, "-", "-", "-");
	for (unsigned int i = 0; i < load_count; i++)
		print_cell(r, s, i);
	printf("  ");
	print_stops(s);
}

static const char *goal(double ratio, double wanted)
{
	return ratio >= wanted ? "reached" : "MISSED";
}

static void print_goals(const struct report *r)
{
	double ratio = ratio_alone(r, false), net = ratio_alone(r, true);

	putchar('\n');
	if (ratio)
		printf("mpmcq alone has %.2f of the speed of vyukov, wanted %.2f: %s\n", ratio,
		       GOAL, goal(ratio, GOAL));
	if (net)
		printf("without the time that the copies take, it has %.2f\n", net);
	for (unsigned int i = 0; i < load_count; i++) {
		ratio = ratio_to_best(r, i);
		if (ratio)
			printf("mpmcq %s has %.2f of the speed of %s, which is the fastest\n"
			       "other that is strictly lock-free, wanted 1.00: %s\n",
			       loads[i].name, ratio, best_other(r, i)->candidate->name,
			       goal(ratio, 1));
	}
}

void print_table(const struct report *r)
{
	bool partly = false;

	printf("%zu-byte messages, capacity %d, %u messages a run, %u rounds, CPUs: %ld\n",
	       sizeof(struct message), CAPACITY, r->messages, r->rounds,
	       sysconf(_SC_NPROCESSORS_ONLN));
	puts("alone: ns for a push and a pop; PxC, producers and consumers: million messages/s");
	printf("PxC includes making and checking each message: %.1f ns, both together\n",
	       r->verification);
	puts("median (min-max)\n");
	printf("%-11s%-10s%-5s%-8s", "", "lock-free", "FIFO", "bounded");
	for (unsigned int i = 0; i < load_count; i++)
		printf("  %-23s", loads[i].name);
	puts("  one thread stopped");
	for (unsigned int i = 0; i < r->count; i++) {
		print_row(r, &r->series[i]);
		for (unsigned int l = 0; l < load_count; l++)
			partly |= r->series[i].outcomes[l].finished &&
				  r->series[i].outcomes[l].timed_out;
	}
	if (partly)
		printf("\n*: some runs did not finish within %u s\n", r->limit);
	putchar('\n');
	for (unsigned int i = 0; i < r->count; i++) {
		const struct candidate *c = r->series[i].candidate;

		printf("%s: %s%s%s\n", c->name, c->text, c->note ? "; " : "", c->note ?: "");
	}
	print_goals(r);
}

/* --- JSON --- */

static const char *truth(bool b)
{
	return b ? "true" : "false";
}

static void json_outcome(FILE *to, const struct series_of *s, unsigned int load)
{
	const struct outcome *o = &s->outcomes[load];

	fprintf(to, "      {\"load\": \"%s\", \"producers\": %u, \"consumers\": %u, ",
		loads[load].name, loads[load].producers, loads[load].consumers);
	fprintf(to, "\"unit\": \"%s\", ", load ? "million messages per second" : "ns per pair");
	json_values(to, "values", o->values, o->finished, 1, 6);
	fprintf(to, ", \"did_not_finish\": %u, \"failed\": %u, ", o->timed_out, o->failed);
	verdict_json(&o->faults, to);
	putc('}', to);
}

static void json_series(FILE *to, const struct series_of *s)
{
	const struct candidate *c = s->candidate;
	bool first = true;

	fprintf(to, "    {\"name\": \"%s\", \"text\": \"%s\", ", c->name, c->text);
	fprintf(to, "\"note\": \"%s\",\n", c->note ?: "");
	fprintf(to, "     \"capacity\": %u, \"lock_free\": %s, \"bounded\": %s, \"fifo\": %s,\n",
		c->capacity, truth(c->lock_free), truth(c->bounded), truth(c->fifo));
	fprintf(to, "     \"stops\": %u, \"held_up\": %s, \"loads\": [\n", s->stops.stops,
		truth(s->stops.blocked));
	for (unsigned int i = 0; i < load_count; i++) {
		if (!can_run(c, &loads[i]))
			continue;
		if (!first)
			fprintf(to, ",\n");
		json_outcome(to, s, i);
		first = false;
	}
	fprintf(to, "]}");
}

static void json_goals(FILE *to, const struct report *r)
{
	fprintf(to, "  \"alone_to_vyukov\": {\"wanted\": %g, ", GOAL);
	json_number(to, "ratio", ratio_alone(r, false) ?: NAN, 6, ", ");
	json_number(to, "without_copies", ratio_alone(r, true) ?: NAN, 6, "},\n");
	fprintf(to, "  \"to_best_other_lock_free\": {\"wanted\": 1");
	for (unsigned int i = 0; i < load_count; i++) {
		const struct series_of *best = best_other(r, i);

		fprintf(to, ", \"%s\": {\"other\": \"%s\", ", loads[i].name,
			best ? best->candidate->name : "");
		json_number(to, "ratio", ratio_to_best(r, i) ?: NAN, 6, "}");
	}
	fprintf(to, "}\n");
}

void print_json(const struct report *r, FILE *to)
{
	fprintf(to, "{\n  \"message_bytes\": %zu, \"capacity\": %d, \"messages\": %u,\n",
		sizeof(struct message), CAPACITY, r->messages);
	fprintf(to, "  \"rounds\": %u, \"limit_seconds\": %u, \"cpus\": %ld,\n", r->rounds,
		r->limit, sysconf(_SC_NPROCESSORS_ONLN));
	fprintf(to, "  \"verification_ns\": %.3g,\n", r->verification);
	fprintf(to, "  \"candidates\": [\n");
	for (unsigned int i = 0; i < r->count; i++) {
		json_series(to, &r->series[i]);
		fprintf(to, "%s\n", i + 1 < r->count ? "," : "");
	}
	fprintf(to, "  ],\n");
	json_goals(to, r);
	fprintf(to, "}\n");
}
