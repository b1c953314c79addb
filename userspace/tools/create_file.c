// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq create --file: makes the queues that a file lists
 *
 *	# a comment
 *	[NAME]
 *	SETTING = VALUE
 *
 * mpmcq dump prints such a file.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "create.h"
#include "output.h"

/**
 * struct config - a file while it is read
 * @path: its path, for messages
 * @line: number of the line that is read
 * @defaults: what a queue is like of which the file says nothing
 * @request: the queue of the section that is read
 * @name: its name; NULL before the first section
 * @name_line: number of the line that has its name
 * @given: settings of the section, a bit for each of settings[]
 * @wrong: an error was found in the section, so its queue is not made
 * @failed: there was an error somewhere
 */
struct config {
	const char *path;
	unsigned int line;
	const struct request *defaults;
	struct request request;
	char *name;
	unsigned int name_line;
	unsigned int given;
	bool wrong;
	bool failed;
};

static void say(struct config *c, unsigned int line, const char *why)
{
	warnx("%s:%u: %s", printable(c->path), line, why);
	c->failed = true;
}

static void refuse_line(struct config *c, const char *why)
{
	say(c, c->line, why);
	c->wrong = true;
}

static void end_section(struct config *c)
{
	const char *why;

	if (!c->name || c->wrong)
		return;
	why = make_queue(&c->request, c->name);
	if (why)
		say(c, c->name_line, text("cannot create %s: %s",
					  printable(c->request.place.path), why));
}

/* @line begins with a '['. */
static void begin_section(struct config *c, char *line)
{
	size_t length = strlen(line);

	end_section(c);
	c->request = *c->defaults;
	c->request.exist_ok = true;
	c->given = 0;
	c->wrong = false;
	c->name_line = c->line;
	free(c->name);
	c->name = NULL;
	if (line[length - 1] != ']') {
		refuse_line(c, "a ] is missing after the name of a queue");
		return;
	}
	line[length - 1] = '\0';
	c->name = unescape(line + 1);
	if (!c->name)
		refuse_line(c, "\\x needs two hexadecimal digits, and not 00 (a backslash: \\x5c)");
}

/* Cuts the blanks at the end of @string off, and returns what follows those at its begin. */
static char *trim(char *string)
{
	char *end = string + strlen(string);

	while (end > string && isspace((unsigned char)end[-1]))
		end--;
	*end = '\0';
	while (isspace((unsigned char)*string))
		string++;
	return string;
}

static const struct setting *setting_named(const char *name)
{
	for (int i = 0; i < SETTINGS; i++) {
		if (!strcmp(settings[i].name, name))
			return &settings[i];
	}
	return NULL;
}

static void read_setting(struct config *c, char *line)
{
	char *value = strchr(line, '=');
	const struct setting *s;
	const char *why;

	if (!value) {
		refuse_line(c, "neither [NAME] nor SETTING = VALUE");
		return;
	}
	*value++ = '\0';
	line = trim(line);
	s = setting_named(line);
	if (!s) {
		refuse_line(c, text("no such setting: '%s' (there are: %s)", printable(line),
				    setting_names()));
		return;
	}
	if (c->given & 1U << (s - settings)) {
		refuse_line(c, text("%s is given twice for this queue", s->name));
		return;
	}
	c->given |= 1U << (s - settings);
	why = apply_setting(&c->request, s, trim(value));
	if (why)
		refuse_line(c, text("%s: %s", s->name, printable(why)));
}

static void read_line(struct config *c, char *line, size_t length)
{
	bool has_nul = strlen(line) != length;

	line = trim(line);
	if (has_nul)
		refuse_line(c, "a NUL byte");
	else if (*line == '[')
		begin_section(c, line);
	else if (!*line || *line == '#' || *line == ';')
		return;
	else if (!c->name_line)
		refuse_line(c, "a [NAME] has to come first");
	else
		read_setting(c, line);
}

/* Returns false if there was an error, which has been told. */
static bool read_file(const struct request *defaults, const char *path)
{
	bool is_stdin = !strcmp(path, "-");
	struct config c = { .path = is_stdin ? "standard input" : path, .defaults = defaults };
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	struct mpmcq_info info;
	char *line = NULL;
	size_t room = 0;
	ssize_t length;

	if (!file) {
		warn("cannot read %s", printable(path));
		return false;
	}
	if (get_info(fileno(file), &info)) {
		warnx("%s is a queue, whose messages are no list of queues (print one: mpmcq dump)",
		      printable(c.path));
		return false;
	}
	while ((length = getline(&line, &room, file)) > 0) {
		c.line++;
		read_line(&c, line, length);
	}
	if (ferror(file)) {
		warn("cannot read %s", printable(c.path));
		c.failed = true;
	} else {
		end_section(&c);
	}
	free(line);
	free(c.name);
	if (!is_stdin)
		fclose(file);
	return !c.failed;
}

static int is_config(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return *entry->d_name != '.' && end && !strcmp(end, ".conf");
}

static bool read_dir(const struct request *defaults, const char *path)
{
	struct dirent **entries;
	int count = scandir(path, &entries, is_config, alphasort);
	bool done = true;

	if (count < 0) {
		warn("cannot read %s", printable(path));
		return false;
	}
	for (int i = 0; i < count; i++)
		done &= read_file(defaults, text("%s/%s", path, entries[i]->d_name));
	return done;
}

/**
 * make_from_file() - make the queues that a file lists, or accept them if they are there
 * @defaults: what queues are like of which the file says nothing
 * @path: of the file, or of a folder for its files *.conf; "-" for standard input
 *
 * A queue that cannot be made keeps none of the others from being made.
 *
 * Return: false if there was an error; each has been told.
 */
bool make_from_file(const struct request *defaults, const char *path)
{
	struct stat st;

	if (!stat(path, &st) && S_ISDIR(st.st_mode))
		return read_dir(defaults, path);
	return read_file(defaults, path);
}
