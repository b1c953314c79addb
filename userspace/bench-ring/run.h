/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One run of one candidate: timed, verified, and ended if it takes too long
 */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>

#include "verify.h"
#include "candidate.h"
#include "child.h"

/* Threads of each kind; 0 of both: one thread that pushes and pops in turn. */
struct load {
	const char *name;
	unsigned int producers;
	unsigned int consumers;
};

struct result {
	enum end end;
	double seconds;
	unsigned int messages;
	struct verdict verdict;
};

double verification_cost(unsigned int messages);
bool can_run(const struct candidate *c, const struct load *load);
struct result run_once(const struct candidate *c, const struct load *load, unsigned int messages,
		       unsigned int limit);

#endif /* RUN_H */
