/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time, what many measurements came to, and numbers in options
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#define EXIT_USAGE	2

struct spread {
	double median;
	double min;
	double max;
};

/* Measurements of one kind. */
struct series {
	const char *name;	/* in JSON */
	const char *text;	/* in a table */
	double *seconds;
};

/* Called when the time is up; may be NULL. */
extern void (*limit_hook)(void);

double now(void);
unsigned long long now_ns(void);
void limit_time(unsigned int seconds);
struct spread spread_of(const double *values, unsigned int n);
void print_series(const struct series *series, size_t count, unsigned int n, bool json);
unsigned int parse_number(const char *arg, unsigned int min, unsigned int max);
void no_arguments(int argc);
void close_output(void);

#endif /* MEASURE_H */
