/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Options, and files for what was measured
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdio.h>
#include <stdnoreturn.h>

#define EXIT_USAGE	2

noreturn void wrong(const char *what, const char *word);
unsigned int parse_number(const char *arg, unsigned int min, unsigned int max);
/* Calls @add for each word of a list with commas; returns how many, 1 to @max. */
unsigned int each_word(char *list, unsigned int max,
		       void (*add)(unsigned int i, const char *word));
/* For --help, and for an option that there is not. */
noreturn void help_option(int opt, const char *help);
/* After getopt_long() has seen all options. */
void no_arguments(int argc);

/* NULL for none, standard output for "-". */
FILE *open_file(const char *path);
/* Leaves standard output open. */
void close_file(FILE *file, const char *path);
void close_output(void);

#endif /* COMMAND_H */
