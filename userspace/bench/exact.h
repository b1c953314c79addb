/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Instructions per message: what was measured
 */
#ifndef EXACT_H
#define EXACT_H

#include <stdbool.h>
#include <stdio.h>

#include "icount.h"
#include "measure.h"
#include "ratios.h"
#include "verify.h"
#include "ways.h"

#define MAX_ROUNDS	101
#define STABLE_PERCENT	1.0	/* a row that is spread more is not stable */

#define EXIT_UNSTABLE	3
#define EXIT_NO_COUNT	4

struct line {
	struct way way;
	/* Nanoseconds per message, which are instructions if the clock counts them. */
	struct spread cost;
	struct verdict verdict;
};

struct report {
	unsigned int size;
	unsigned int messages;	/* of a round */
	unsigned int rounds;
	struct icount clock;
	size_t count;
	struct line lines[MAX_WAYS];
	int limit_count;
	struct limit limits[MAX_LIMITS];
};

bool line_stable(const struct line *line);
const struct line *find_line(const struct report *r, const char *name);
bool limit_of_report_kept(const struct report *r, const struct limit *limit);

void print_table(FILE *to, const struct report *r);
void print_json(FILE *to, const struct report *r);

bool exact_self_test(void);

#endif /* EXACT_H */
