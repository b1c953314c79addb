// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was measured, as JSON
 *
 * All strings are names of ours and of the kernel's, with nothing to escape; what cannot be
 * told is null.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "measure.h"
#include "report.h"

static void rounds(FILE *f, const char *name, const double *values, double factor)
{
	fprintf(f, "   \"%s\": {", name);
	json_values(f, "rounds", values, options.rounds, factor, 9);
	fputs("},\n", f);
}

static void percentiles(FILE *f, const char *name, const struct percentiles *p,
			const char *after)
{
	fprintf(f, "   \"%s\": {\"samples\": %zu, ", name, p->count);
	json_number(f, "p50", p->p50, 9, ", ");
	json_number(f, "p99", p->p99, 9, ", ");
	json_number(f, "p99.9", p->p999, 9, "}");
	fputs(after, f);
}

static void write_cell(FILE *f, const struct cell *block, const struct cell *c)
{
	double ratio = cell_ratio(block, c);

	fprintf(f, "  {\"transport\": \"%s\", \"producers\": %u, \"consumers\": %u, ",
		c->transport->name, c->shape.producers, c->shape.consumers);
	fprintf(f, "\"size\": %u, \"capacity\": %u, \"messages\": %lu,\n", c->size, c->capacity,
		(unsigned long)c->messages * c->shape.producers);
	rounds(f, "messages_per_second", c->rates, 1);
	fputs("   ", f);
	json_number(f, "ratio_to_best_peer", ratio ? ratio : NAN, 9, ",\n");
	rounds(f, "cpu_us_per_message", c->cpu, 1e6);
	rounds(f, "switches_per_message", c->switches, 1);
	rounds(f, "syscalls_per_message", c->calls, 1);
	percentiles(f, "latency_us_full_speed", &c->fast, ",\n");
	percentiles(f, "latency_us_steady", &c->steady, ",\n");
	fprintf(f, "   \"received\": %lu, ", c->faults.received);
	verdict_json(&c->faults, f);
	putc('}', f);
}

static void write_trip(FILE *f, const struct pingpong *p)
{
	fprintf(f, "  {\"transport\": \"%s\", \"size\": %u, \"wrong\": %lu,\n",
		p->transport->name, p->size, p->wrong);
	percentiles(f, "round_trip_us", &p->percentiles, "}");
}

void json_write(FILE *f, const struct grid *g)
{
	struct utsname system;

	uname(&system);
	fprintf(f, "{\"kernel\": \"%s\", \"machine\": \"%s\", \"cpus\": %ld, ", system.release,
		system.machine, sysconf(_SC_NPROCESSORS_ONLN));
	fprintf(f, "\"rounds\": %u, \"seconds_of_a_run\": %g, \"steady_rate\": %u, ",
		options.rounds, options.seconds, options.rate);
	json_number(f, "seconds", g->seconds, 9, ",\n \"round_trips\": [\n");
	for (unsigned int i = 0; i < g->trip_count; i++) {
		write_trip(f, &g->trips[i]);
		fputs(i + 1 < g->trip_count ? ",\n" : "\n", f);
	}
	fputs(" ],\n \"cells\": [\n", f);
	for (unsigned int i = 0; i < g->cell_count; i++) {
		write_cell(f, grid_block(g, i), &g->cells[i]);
		fputs(i + 1 < g->cell_count ? ",\n" : "\n", f);
	}
	fputs(" ]}\n", f);
}
