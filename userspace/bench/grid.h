/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that is measured: every transport, shape and size
 */
#ifndef GRID_H
#define GRID_H

#include "cell.h"
#include "pingpong.h"

struct grid {
	struct cell *cells;		/* by shape, by size, by transport */
	unsigned int cell_count;
	struct pingpong *trips;		/* by size, by transport */
	unsigned int trip_count;
	double seconds;			/* that it took */
};

/* @block_done: called with the cells of each shape and size, @trips_done once. */
struct grid grid_run(void (*trips_done)(const struct pingpong *trips, unsigned int n),
		     void (*block_done)(const struct cell *block));

double cell_rate(const struct cell *c);		/* median of messages per second */
/* That to the best of what else the kernel has in the same block, 0 if there is none. */
double cell_ratio(const struct cell *block, const struct cell *c);
/* The first cell of the block of this one. */
const struct cell *grid_block(const struct grid *g, unsigned int cell);
/* Also says so on standard error, of each that is not. */
bool grid_clean(const struct grid *g);

#endif /* GRID_H */
