// SPDX-License-Identifier: GPL-2.0-only
/*
 * What was measured, for people
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "measure.h"
#include "report.h"

static void print_us(double us)
{
	if (isnan(us))
		printf("%9s", "-");
	else
		printf("%9.*f", us < 1000 ? 2 : 0, us);
}

static void print_percentiles(const struct percentiles *p)
{
	print_us(p->p50);
	print_us(p->p99);
	print_us(p->p999);
}

void table_begin(void)
{
	struct utsname system;

	uname(&system);
	printf("Linux %s, CPUs: %ld, rounds: %u, ", system.release,
	       sysconf(_SC_NPROCESSORS_ONLN), options.rounds);
	printf("seconds of a run: %g, steady messages/s: %u\n", options.seconds, options.rate);
	fflush(stdout);
}

void table_trips(const struct pingpong *trips, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		if (i % options.transport_count == 0)
			printf("\nround trip of a message of %u bytes, us\n%-10s%9s%9s%9s\n",
			       trips[i].size, "", "p50", "p99", "p99.9");
		printf("%-10s", trips[i].transport->name);
		print_percentiles(&trips[i].percentiles);
		putchar('\n');
	}
	fflush(stdout);
}

static const char *plural(unsigned int n)
{
	return n == 1 ? "" : "s";
}

static void print_header(const struct cell *c)
{
	char title[80];

	snprintf(title, sizeof(title), "%u producer%s, %u consumer%s, messages of %u bytes",
		 c->shape.producers, plural(c->shape.producers), c->shape.consumers,
		 plural(c->shape.consumers), c->size);
	printf("\n%-77s%27s%27s\n", title, "at full speed, us", "at the steady rate, us");
	printf("%-10s%6s%10s%10s%10s%7s%8s%8s%8s%9s%9s%9s%9s%9s%9s\n", "", "room", "msg/s",
	       "min", "max", "ratio", "cpu us", "switch", "calls", "p50", "p99", "p99.9",
	       "p50", "p99", "p99.9");
}

static double median(const double *values)
{
	return spread_of(values, options.rounds).median;
}

static void print_cell(const struct cell *block, const struct cell *c)
{
	struct spread s = spread_of(c->rates, options.rounds);
	double ratio = cell_ratio(block, c);

	printf("%-10s%6u%10.0f%10.0f%10.0f", c->transport->name, c->capacity, s.median, s.min,
	       s.max);
	if (ratio)
		printf("%7.2f", ratio);
	else
		printf("%7s", "-");
	printf("%8.2f%8.4f%8.4f", median(c->cpu) * 1e6, median(c->switches), median(c->calls));
	print_percentiles(&c->fast);
	print_percentiles(&c->steady);
	if (!verdict_clean(&c->faults))
		printf("  WRONG: %s", verdict_text(&c->faults));
	putchar('\n');
}

void table_block(const struct cell *block)
{
	print_header(block);
	for (unsigned int i = 0; i < options.transport_count; i++)
		print_cell(block, &block[i]);
	fflush(stdout);
}

static const char legend[] =
"room: messages it has room for; msg/s: median of the rounds, then least and most; ratio:\n"
"to the best of what else the kernel has; cpu us, switch, calls: CPU time of all processes\n"
"(with making and checking the message), context switches, system calls to send and to\n"
"receive, each per message; p50, p99, p99.9: of all rounds, from before the send to after\n"
"the receive, \"-\" where there are too few messages to tell.\n";

void table_end(void)
{
	printf("\n%s", legend);
	for (unsigned int i = 0; i < options.transport_count; i++)
		printf("%s: %s\n", options.transports[i]->name, options.transports[i]->text);
}
