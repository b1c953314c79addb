// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that is measured: every transport, shape and size
 *
 * Transports take turns, round after round and each time another first, so that what else
 * the machine does hits them alike.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "grid.h"
#include "measure.h"
#include "progress.h"

#define OVERHEAD	0.1	/* seconds by a guess to start and end a run */

/* Rather than in the middle of it all. */
static void try_all(void)
{
	for (unsigned int t = 0; t < options.transport_count; t++) {
		for (unsigned int s = 0; s < options.size_count; s++) {
			const struct transport *transport = options.transports[t];
			struct channel c = { };

			if (transport->open(&c, options.sizes[s]) < 0)
				err(EXIT_FAILURE, "%s with messages of %u bytes (%s)",
				    transport->name, options.sizes[s],
				    "see --transports and --size");
			transport->close(&c);
		}
	}
}

static void *array(unsigned int n, size_t size)
{
	void *memory = calloc(n, size);

	if (!memory)
		err(EXIT_FAILURE, "memory");
	return memory;
}

static struct grid grid_new(void)
{
	unsigned int n = options.transport_count, i = 0, k = 0;
	struct grid g = { .trip_count = options.size_count * n };

	g.cell_count = options.shape_count * g.trip_count;
	g.cells = array(g.cell_count, sizeof(*g.cells));
	g.trips = array(g.trip_count, sizeof(*g.trips));
	for (unsigned int size = 0; size < options.size_count; size++)
		for (unsigned int t = 0; t < n; t++)
			g.trips[k++] = (struct pingpong){
				.transport = options.transports[t],
				.size = options.sizes[size],
			};
	for (unsigned int shape = 0; shape < options.shape_count; shape++) {
		for (k = 0; k < g.trip_count; k++) {
			g.cells[i].shape = options.shapes[shape];
			g.cells[i].size = g.trips[k].size;
			g.cells[i++].transport = g.trips[k].transport;
		}
	}
	return g;
}

static void run_trips(struct grid *g)
{
	for (unsigned int round = 0; round < options.rounds; round++) {
		for (unsigned int i = 0; i < g->trip_count; i++) {
			struct pingpong *p = &g->trips[(i + round) % g->trip_count];

			progress_step("round trips of %u bytes: %s", p->size,
				      p->transport->name);
			pingpong_run(p, options.seconds / 2, options.limit);
		}
	}
	for (unsigned int i = 0; i < g->trip_count; i++) {
		g->trips[i].percentiles = percentiles_of(&g->trips[i].samples);
		samples_free(&g->trips[i].samples);
	}
}

static void say(const struct cell *c, const char *what)
{
	progress_step("%ux%u, %u bytes: %s, %s", c->shape.producers, c->shape.consumers,
		      c->size, c->transport->name, what);
}

static void run_block(struct cell *block)
{
	unsigned int n = options.transport_count;

	for (unsigned int i = 0; i < n; i++) {
		say(&block[i], "to see how fast it is");
		cell_calibrate(&block[i]);
	}
	for (unsigned int round = 0; round < options.rounds; round++) {
		for (unsigned int i = 0; i < n; i++) {
			struct cell *c = &block[(round + i) % n];

			say(c, "measuring");
			cell_run(c, round);
		}
	}
	for (unsigned int i = 0; i < n; i++)
		cell_finish(&block[i]);
}

static void begin_progress(const struct grid *g)
{
	double trips = g->trip_count * options.rounds;
	double cells = g->cell_count;
	double run = options.seconds + OVERHEAD;

	progress_begin(trips + cells * (options.rounds + 1),
		       trips * (options.seconds / 2 + OVERHEAD) +
		       cells * (2 * options.rounds * run + run));
}

struct grid grid_run(void (*trips_done)(const struct pingpong *trips, unsigned int n),
		     void (*block_done)(const struct cell *block))
{
	struct grid g = grid_new();
	double began = now();

	try_all();
	begin_progress(&g);
	run_trips(&g);
	progress_clear();
	trips_done(g.trips, g.trip_count);
	for (unsigned int i = 0; i < g.cell_count; i += options.transport_count) {
		run_block(&g.cells[i]);
		progress_clear();
		block_done(&g.cells[i]);
	}
	g.seconds = now() - began;
	return g;
}

double cell_rate(const struct cell *c)
{
	return spread_of(c->rates, options.rounds).median;
}

double cell_ratio(const struct cell *block, const struct cell *c)
{
	double best = 0;

	for (unsigned int i = 0; i < options.transport_count; i++) {
		double rate = cell_rate(&block[i]);

		if (block[i].transport->kind == KIND_PEER && rate > best)
			best = rate;
	}
	return best ? cell_rate(c) / best : 0;
}

const struct cell *grid_block(const struct grid *g, unsigned int cell)
{
	return &g->cells[cell - cell % options.transport_count];
}

bool grid_clean(const struct grid *g)
{
	bool clean = true;

	for (unsigned int i = 0; i < g->cell_count; i++) {
		const struct cell *c = &g->cells[i];

		if (verdict_clean(&c->faults))
			continue;
		clean = false;
		warnx("%s, %ux%u, %u bytes: %lu lost, %lu repeated, %lu disordered, %lu torn",
		      c->transport->name, c->shape.producers, c->shape.consumers, c->size,
		      c->faults.lost, c->faults.repeated, c->faults.disordered,
		      c->faults.torn);
	}
	for (unsigned int i = 0; i < g->trip_count; i++) {
		if (!g->trips[i].wrong)
			continue;
		clean = false;
		warnx("%s, round trips of %u bytes: %lu wrong", g->trips[i].transport->name,
		      g->trips[i].size, g->trips[i].wrong);
	}
	return clean;
}
