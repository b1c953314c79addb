/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One run: producers and consumers, let go at once, measured and verified
 */
#ifndef RUN_H
#define RUN_H

#include "latency.h"
#include "transport.h"
#include "verify.h"

#define MAX_WORKERS	64	/* producers, and consumers */

struct load {
	const struct transport *transport;
	unsigned int producers;
	unsigned int consumers;
	unsigned int size;
	unsigned int messages;	/* of each producer */
	unsigned int rate;	/* messages per second of all producers, 0 for all they can */
	unsigned int limit;	/* seconds; a run that takes longer is a failure */
};

struct result {
	unsigned int capacity;
	double seconds;
	double cpu;		/* seconds of all workers */
	unsigned long switches;	/* context switches of all workers */
	unsigned long calls;	/* system calls to send and receive */
	struct verdict verdict;
};

/* Adds how long messages took to @latency. */
struct result run_once(const struct load *load, struct samples *latency);

#endif /* RUN_H */
