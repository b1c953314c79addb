// SPDX-License-Identifier: GPL-2.0-only
/*
 * A self test, as TAP
 */
#include <stdarg.h>
#include <stdio.h>

#include "tap.h"

static unsigned int tests, failed;

void tap_begin(void)
{
	puts("TAP version 13");
}

bool tap_test(bool ok, const char *format, ...)
{
	va_list args;

	printf("%sok %u - ", ok ? "" : "not ", ++tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
	failed += !ok;
	return ok;
}

void tap_skip(const char *name, const char *why)
{
	printf("ok %u - %s # SKIP %s\n", ++tests, name, why);
	fflush(stdout);
}

bool tap_end(void)
{
	printf("1..%u\n", tests);
	return !failed;
}
