/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What was measured: as tables, as JSON, and as tab-separated values
 */
#ifndef REPORT_H
#define REPORT_H

#include <stdio.h>

#include "grid.h"

void table_begin(void);
void table_trips(const struct pingpong *trips, unsigned int n);
void table_block(const struct cell *block);
void table_end(void);

void json_write(FILE *file, const struct grid *g);
void tsv_write(FILE *file, const struct grid *g);

#endif /* REPORT_H */
