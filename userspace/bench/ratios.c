// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits to what one row may cost beside another
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ratios.h"

static bool parse_one(char *text, struct limit *limit)
{
	char *end;

	limit->row = strsep(&text, "/");
	limit->beside = strsep(&text, "=");
	if (!text || !*limit->row || !*limit->beside)
		return false;
	limit->ratio = strtod(text, &end);
	return end != text && !*end && isfinite(limit->ratio) && limit->ratio > 0;
}

/* Cuts @text up; returns how many limits there are, or -1 if it is none or too many. */
int limits_parse(char *text, struct limit *limits)
{
	char *one;
	int n = 0;

	while ((one = strsep(&text, ",")))
		if (n == MAX_LIMITS || !parse_one(one, &limits[n++]))
			return -1;
	return n;
}

/* What cost nothing was not measured. */
bool limit_kept(const struct limit *limit, double row, double beside)
{
	return row > 0 && beside > 0 && row <= limit->ratio * beside;
}
