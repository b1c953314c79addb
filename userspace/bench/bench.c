// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench - our queue beside what a user would pick instead
 *
 * The grid of what is measured is in grid.c and cell.c, one measurement in run.c and
 * pingpong.c, what carries the messages in ours.c, pipes.c, mqueues.c, sockets.c and
 * shm_ring.c, what checks them in bench-common/verify.c.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "options.h"
#include "report.h"
#include "selftest.h"

static void no_trips(const struct pingpong *trips, unsigned int n)
{
	(void)trips;
	(void)n;
}

static void no_block(const struct cell *block)
{
	(void)block;
}

static void write_file(FILE *file, void (*write)(FILE *file, const struct grid *g),
		       const struct grid *g, const char *path)
{
	if (!file)
		return;
	write(file, g);
	close_file(file, path);
}

int main(int argc, char **argv)
{
	FILE *json, *tsv;
	struct grid g;
	bool tables;

	parse_options(argc, argv);
	if (options.self_test)
		return self_test() ? EXIT_SUCCESS : EXIT_FAILURE;
	json = open_file(options.json);
	tsv = open_file(options.tsv);
	tables = json != stdout && tsv != stdout;
	if (tables)
		table_begin();
	g = grid_run(tables ? table_trips : no_trips, tables ? table_block : no_block);
	if (tables)
		table_end();
	write_file(json, json_write, &g, options.json);
	write_file(tsv, tsv_write, &g, options.tsv);
	close_output();
	return grid_clean(&g) ? EXIT_SUCCESS : EXIT_FAILURE;
}
