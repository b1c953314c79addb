// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time, and what many measurements came to
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"

void (*limit_hook)(void);

/* In seconds, since whenever. */
double now(void)
{
	return now_ns() / 1e9;
}

unsigned long long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* The workers die with their parent. */
static void out_of_time(int signal)
{
	static const char text[] = ": a run took too long, see --limit\n";
	const char *name = program_invocation_short_name;

	(void)signal;
	if (limit_hook)
		limit_hook();
	if (write(STDERR_FILENO, name, strlen(name)) < 0 ||
	    write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_FAILURE);
	_exit(EXIT_FAILURE);
}

/* The program fails unless it comes back within @seconds; 0 lifts the limit. */
void limit_time(unsigned int seconds)
{
	signal(SIGALRM, out_of_time);
	alarm(seconds);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct spread spread_of(const double *values, unsigned int n)
{
	double *sorted = calloc(n, sizeof(*sorted));
	struct spread s;

	if (!sorted)
		err(EXIT_FAILURE, "memory");
	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	s.median = (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
	s.min = sorted[0];
	s.max = sorted[n - 1];
	s.middle = 100 * (sorted[n - 1 - n / 4] - sorted[n / 4]) / s.median;
	free(sorted);
	return s;
}

void json_number(FILE *f, const char *name, double value, int digits, const char *after)
{
	if (isfinite(value))
		fprintf(f, "\"%s\": %.*g%s", name, digits, value, after);
	else
		fprintf(f, "\"%s\": null%s", name, after);
}

void json_values(FILE *f, const char *name, const double *values, unsigned int n, double factor,
		 int digits)
{
	struct spread s = { NAN, NAN, NAN, NAN };

	if (n)
		s = spread_of(values, n);
	json_number(f, "median", s.median * factor, digits, ", ");
	json_number(f, "min", s.min * factor, digits, ", ");
	json_number(f, "max", s.max * factor, digits, ", ");
	fprintf(f, "\"%s\": [", name);
	for (unsigned int i = 0; i < n; i++)
		fprintf(f, "%s%.*g", i ? ", " : "", digits, values[i] * factor);
	putc(']', f);
}

static void print_table(const struct series *series, size_t count, unsigned int n)
{
	printf("%-54s%12s%12s%12s\n", "microseconds", "median", "min", "max");
	for (size_t i = 0; i < count; i++) {
		struct spread s = spread_of(series[i].seconds, n);

		printf("%-54s%12.1f%12.1f%12.1f\n", series[i].text, s.median * 1e6,
		       s.min * 1e6, s.max * 1e6);
	}
}

static void print_members(const struct series *series, size_t count, unsigned int n)
{
	printf("\"microseconds\": {\n");
	for (size_t i = 0; i < count; i++) {
		struct spread s = spread_of(series[i].seconds, n);

		printf("  \"%s\": {\"median\": %.6g, \"min\": %.6g, \"max\": %.6g}%s\n",
		       series[i].name, s.median * 1e6, s.min * 1e6, s.max * 1e6,
		       i + 1 < count ? "," : "");
	}
	putchar('}');
}

/* What @n measurements of each kind came to, as a table or a member of JSON. */
void print_series(const struct series *series, size_t count, unsigned int n, bool json)
{
	if (json)
		print_members(series, count, n);
	else
		print_table(series, count, n);
}
