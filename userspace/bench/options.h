/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is to be measured
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>

#include "transport.h"

#define MAX_TRANSPORTS	16
#define MAX_SHAPES	16
#define MAX_SIZES	16
#define MAX_ROUNDS	100

struct shape {
	unsigned int producers;
	unsigned int consumers;
};

struct options {
	const struct transport *transports[MAX_TRANSPORTS];
	unsigned int transport_count;
	struct shape shapes[MAX_SHAPES];
	unsigned int shape_count;
	unsigned int sizes[MAX_SIZES];
	unsigned int size_count;
	unsigned int rounds;
	double seconds;		/* that a run is to take */
	unsigned int rate;	/* messages per second of the steady runs */
	unsigned int messages;	/* of a run; 0 for as many as take that time */
	unsigned int limit;	/* seconds; a run that takes longer is a failure */
	const char *json;	/* files, NULL for none */
	const char *tsv;
	bool progress;
	bool self_test;
};

extern struct options options;

void parse_options(int argc, char **argv);

#endif /* OPTIONS_H */
