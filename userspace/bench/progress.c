// SPDX-License-Identifier: GPL-2.0-only
/*
 * How far it is, on standard error, for who waits at a terminal
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>

#include "measure.h"
#include "options.h"
#include "progress.h"

static unsigned int total, done;
static double began;
static double guess;

void progress_begin(unsigned int steps, double seconds)
{
	total = steps;
	done = 0;
	guess = seconds;
	began = now();
	if (options.progress)
		fprintf(stderr, "about %.0f minutes\n", seconds / 60 < 1 ? 1 : seconds / 60);
}

/* The guess counts for less the more has been seen. */
static double minutes_left(void)
{
	double part = (double)done / total;
	double seen = part > 0 ? (now() - began) / part : guess;

	return (1 - part) * (part * seen + (1 - part) * guess) / 60;
}

void progress_step(const char *format, ...)
{
	va_list args;

	if (options.progress) {
		fprintf(stderr, "\r%3u%%, %.0f min left: ", total ? 100 * done / total : 0,
			total ? minutes_left() : 0);
		va_start(args, format);
		vfprintf(stderr, format, args);
		va_end(args);
		fputs("\033[K", stderr);
		fflush(stderr);
	}
	if (done < total)
		done++;
}

/* Before anything else is printed. */
void progress_clear(void)
{
	if (options.progress)
		fputs("\r\033[K", stderr);
}
