/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits to what one row may cost beside another: "mpmcq/floor=2.0,packed/mpmcq=0.5"
 */
#ifndef RATIOS_H
#define RATIOS_H

#include <stdbool.h>
#include <stddef.h>

#define MAX_LIMITS	16

struct limit {
	char *row;
	char *beside;
	double ratio;
};

int limits_parse(char *text, struct limit *limits);
bool limit_kept(const struct limit *limit, double row, double beside);

#endif /* RATIOS_H */
