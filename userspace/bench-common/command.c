// SPDX-License-Identifier: GPL-2.0-only
/*
 * Options, and files for what was measured
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

noreturn void wrong(const char *what, const char *word)
{
	warnx("%s: '%s'", what, word);
	exit(EXIT_USAGE);
}

unsigned int parse_number(const char *arg, unsigned int min, unsigned int max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(arg, &end, 10);
	if (!errno && end != arg && !*end && n >= min && n <= max)
		return n;
	warnx("'%s' is not a number from %u to %u", arg, min, max);
	exit(EXIT_USAGE);
}

unsigned int each_word(char *list, unsigned int max,
		       void (*add)(unsigned int i, const char *word))
{
	unsigned int n = 0;

	for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
		if (n == max)
			wrong("too many", word);
		add(n++, word);
	}
	if (!n)
		wrong("an empty list", "");
	return n;
}

noreturn void help_option(int opt, const char *help)
{
	if (opt != 'h')
		exit(EXIT_USAGE);	/* getopt_long() has said why */
	fputs(help, stdout);
	exit(EXIT_SUCCESS);
}

void no_arguments(int argc)
{
	if (optind == argc)
		return;
	warnx("there are no arguments but options");
	exit(EXIT_USAGE);
}

FILE *open_file(const char *path)
{
	FILE *file;

	if (!path)
		return NULL;
	file = strcmp(path, "-") ? fopen(path, "we") : stdout;
	if (!file)
		err(EXIT_FAILURE, "%s", path);
	return file;
}

void close_file(FILE *file, const char *path)
{
	if (file != stdout && (ferror(file) || fclose(file)))
		err(EXIT_FAILURE, "%s", path);
}

void close_output(void)
{
	if (ferror(stdout) || fclose(stdout))
		err(EXIT_FAILURE, "standard output");
}
