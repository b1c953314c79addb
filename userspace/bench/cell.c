// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one transport comes to, with so many producers and consumers and messages so long
 */
#define _GNU_SOURCE
#include "cell.h"
#include "run.h"

#define FIRST		1000		/* messages of the first run */
#define MOST		4000000		/* messages, unless told: ledgers take memory */
#define CALIBRATIONS	4

/* So many of each producer that there are @total. */
static unsigned int share(const struct cell *c, double total)
{
	if (total < c->shape.producers)
		return 1;
	return total / c->shape.producers;
}

static struct result run(struct cell *c, unsigned int messages, unsigned int rate,
			 struct samples *latency)
{
	struct load load = {
		.transport = c->transport,
		.producers = c->shape.producers,
		.consumers = c->shape.consumers,
		.size = c->size,
		.messages = messages,
		.rate = rate,
		.limit = options.limit,
	};
	struct result result = run_once(&load, latency);

	c->capacity = result.capacity;
	verdict_add(&c->faults, &result.verdict);
	return result;
}

void cell_calibrate(struct cell *c)
{
	double total = FIRST;

	if (options.messages) {
		c->messages = share(c, options.messages);
		return;
	}
	for (int i = 0; i < CALIBRATIONS; i++) {
		struct samples unused = { };
		struct result r;
		double pace;

		c->messages = share(c, total < MOST ? total : MOST);
		r = run(c, c->messages, 0, &unused);
		samples_free(&unused);
		pace = (double)c->messages * c->shape.producers / r.seconds;
		total = pace * options.seconds;
		/* Long enough to be believed? */
		if (r.seconds > options.seconds / 8)
			break;
		if (i + 1 < CALIBRATIONS)
			total /= 4;
	}
	c->messages = share(c, total < MOST ? total : MOST);
}

void cell_run(struct cell *c, unsigned int round)
{
	double total = (double)c->messages * c->shape.producers;
	struct result r = run(c, c->messages, 0, &c->fast_samples);

	c->rates[round] = total / r.seconds;
	c->cpu[round] = r.cpu / total;
	c->switches[round] = r.switches / total;
	c->calls[round] = r.calls / total;
	run(c, share(c, options.rate * options.seconds), options.rate, &c->steady_samples);
}

void cell_finish(struct cell *c)
{
	c->fast = percentiles_of(&c->fast_samples);
	c->steady = percentiles_of(&c->steady_samples);
	samples_free(&c->fast_samples);
	samples_free(&c->steady_samples);
}
