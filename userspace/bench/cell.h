/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What one transport comes to, with so many producers and consumers and messages so long
 */
#ifndef CELL_H
#define CELL_H

#include "latency.h"
#include "options.h"
#include "verify.h"

struct cell {
	const struct transport *transport;
	struct shape shape;
	unsigned int size;
	unsigned int capacity;
	unsigned int messages;		/* of each producer in a run as fast as they can */
	/* Of these runs, by round, per message but for the first. */
	double rates[MAX_ROUNDS];	/* messages per second */
	double cpu[MAX_ROUNDS];		/* seconds */
	double switches[MAX_ROUNDS];
	double calls[MAX_ROUNDS];
	struct samples fast_samples;	/* of all rounds */
	struct samples steady_samples;
	struct percentiles fast;
	struct percentiles steady;
	struct verdict faults;		/* of all runs */
};

/* Finds out how many messages a run is to have. */
void cell_calibrate(struct cell *c);
void cell_run(struct cell *c, unsigned int round);
/* When all rounds are done. */
void cell_finish(struct cell *c);

#endif /* CELL_H */
