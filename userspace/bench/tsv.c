// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was measured, as tab-separated values, for gnuplot
 *
 * A round trip is a line whose shape is "trip", its percentiles those of the steady rate.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>

#include "measure.h"
#include "report.h"

static void number(FILE *f, double value)
{
	if (isfinite(value))
		fprintf(f, "\t%.9g", value);
	else
		fputs("\tNaN", f);
}

static void percentiles(FILE *f, const struct percentiles *p)
{
	number(f, p->p50);
	number(f, p->p99);
	number(f, p->p999);
}

static void write_cell(FILE *f, const struct cell *c)
{
	struct spread s = spread_of(c->rates, options.rounds);

	fprintf(f, "%s\t%ux%u\t%u", c->transport->name, c->shape.producers, c->shape.consumers,
		c->size);
	number(f, s.median);
	number(f, s.min);
	number(f, s.max);
	number(f, spread_of(c->cpu, options.rounds).median * 1e6);
	number(f, spread_of(c->switches, options.rounds).median);
	number(f, spread_of(c->calls, options.rounds).median);
	percentiles(f, &c->fast);
	percentiles(f, &c->steady);
	fputc('\n', f);
}

static void write_trip(FILE *f, const struct pingpong *p)
{
	fprintf(f, "%s\ttrip\t%u", p->transport->name, p->size);
	for (int i = 0; i < 9; i++)
		fputs("\tNaN", f);
	percentiles(f, &p->percentiles);
	fputc('\n', f);
}

void tsv_write(FILE *f, const struct grid *g)
{
	fputs("transport\tshape\tsize\trate\trate_min\trate_max\tcpu_us\tswitches\tcalls\t"
	      "fast_p50\tfast_p99\tfast_p999\tsteady_p50\tsteady_p99\tsteady_p999\n", f);
	for (unsigned int i = 0; i < g->trip_count; i++)
		write_trip(f, &g->trips[i]);
	for (unsigned int i = 0; i < g->cell_count; i++)
		write_cell(f, &g->cells[i]);
}
