/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the runs came to: a table and JSON
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "run.h"
#include "stop.h"

#define MAX_ROUNDS	100
#define MAX_LOADS	4
#define MAX_CANDIDATES	16

extern const struct load loads[];
extern const unsigned int load_count;
extern const struct candidate *const candidates[];
extern const unsigned int candidate_count;

/* One candidate under one load. */
struct outcome {
	double values[MAX_ROUNDS];	/* ns per pair, or millions of messages per second */
	unsigned int finished;		/* how many values there are */
	unsigned int timed_out;
	unsigned int failed;
	struct verdict faults;		/* of all rounds */
};

struct series_of {
	const struct candidate *candidate;
	struct outcome outcomes[MAX_LOADS];
	struct stops stops;
};

struct report {
	struct series_of series[MAX_CANDIDATES];
	unsigned int count;
	unsigned int rounds;
	unsigned int messages;
	unsigned int limit;
	double verification;		/* ns to make and to check one message */
};

void print_table(const struct report *r);
void print_json(const struct report *r, FILE *to);

#endif /* REPORT_H */
