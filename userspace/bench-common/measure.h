/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time, and what many measurements came to
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct spread {
	double median;
	double min;
	double max;
	double middle;	/* percent of the median between which the middle half lies */
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
/* A member of JSON, and what comes after it; null for a number that there is not. */
void json_number(FILE *f, const char *name, double value, int digits, const char *after);
/* Members of JSON: what @n @values came to, and as @name all of them, times @factor. */
void json_values(FILE *f, const char *name, const double *values, unsigned int n, double factor,
		 int digits);

#endif /* MEASURE_H */
