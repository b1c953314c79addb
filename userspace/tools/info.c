// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq info, mpmcq list: what a queue is like, and which there are
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"

static const struct option options[] = {
	COMMON_LONG_OPTIONS,
	{ "json", no_argument, NULL, 'j' },
	{ }
};

static bool parse_json_option(int argc, char **argv)
{
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "j", options, NULL)) != -1) {
		if (opt == 'j')
			json = true;
		else
			common_option(opt);
	}
	no_arguments(argc, argv);
	return json;
}

/* --- info --- */

/* By the numbers of the bits. */
static const char *const flag_words[] = { "drop-oldest", "auto-close", "auto-destroy" };
static const char *const feature_words[] = {
	"packed", "lease", "dead", "close", "attach", "create", "names", "drop",
};

#define WORDS(array) array, sizeof(array) / sizeof(*(array))

static void print_words(uint64_t bits, const char *const *words, size_t count, bool json)
{
	const char *between = "";

	for (size_t i = 0; i < count; i++) {
		if (!(bits >> i & 1))
			continue;
		printf(json ? "%s\"%s\"" : "%s%s", between, words[i]);
		between = json ? ", " : " ";
	}
	if (!*between && !json)
		fputs("none", stdout);
}

static void print_text(const char *name, const char *text, bool json)
{
	if (json)
		printf("\"%s\": \"%s\", ", name, text);
	else
		printf("%s:%*s%s\n", name, 16 - (int)strlen(name), "", text);
}

static void print_number(const char *name, unsigned int number, bool json)
{
	if (json)
		printf("\"%s\": %u, ", name, number);
	else
		printf("%s:%*s%u\n", name, 16 - (int)strlen(name), "", number);
}

static void print_info(const struct mpmcq_info *info, bool json)
{
	char version[32];

	snprintf(version, sizeof(version), "%u.%u.%u", info->version >> 16,
		 info->version >> 8 & 0xff, info->version & 0xff);
	fputs(json ? "{" : "", stdout);
	print_text("name", info->name, json);
	print_text("version", version, json);
	print_number("capacity", info->capacity, json);
	print_number("msg_size", info->msg_size, json);
	print_number("depth", info->depth, json);
	print_number("leased", info->leased, json);
	print_number("dead", info->dead, json);
	print_number("max_deliveries", info->max_deliveries, json);
	print_number("lease_ms", info->lease_ms, json);
	if (json)
		printf("\"closed\": %s", info->closed ? "true" : "false");
	else
		printf("closed:          %s", info->closed ? "yes" : "no");
	fputs(json ? ", \"flags\": [" : "\nflags:           ", stdout);
	print_words(info->flags, WORDS(flag_words), json);
	fputs(json ? "], \"features\": [" : "\nfeatures:        ", stdout);
	print_words(info->features, WORDS(feature_words), json);
	puts(json ? "]}" : "");
}

void command_info(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	struct mpmcq_info info;

	close(open_queue(O_RDONLY, &info));
	print_info(&info, json);
}

/* --- list --- */

static const char class_dir[] = "/sys/class/mpmcq";

/* Those that the table has come first; "closed" is the last of them. */
static const char *const attributes[] = {
	"capacity", "msg_size", "depth", "leased", "dead", "closed",
	"max_deliveries", "lease_ms", "sent", "received", "acked", "returned", "rejected",
	"dropped", "number",
};

enum {
	CLOSED_ATTRIBUTE = 5,
	ATTRIBUTES = sizeof(attributes) / sizeof(*attributes),
};

/* False if the queue has gone in the meantime. */
static bool read_attributes(const char *dir, unsigned long long *values)
{
	for (int i = 0; i < ATTRIBUTES; i++) {
		char path[PATH_MAX];
		FILE *file;
		int got;

		snprintf(path, sizeof(path), "%s/%s/%s", class_dir, dir, attributes[i]);
		file = fopen(path, "r");
		if (!file && errno == ENOENT)
			return false;
		if (!file)
			err(EXIT_FAILURE, "%s", path);
		got = fscanf(file, "%llu", &values[i]);
		fclose(file);
		if (got != 1)
			return false;
	}
	return true;
}

static void print_row(const char *name, const unsigned long long *values)
{
	printf("%-20s", name);
	for (int i = 0; i < CLOSED_ATTRIBUTE; i++)
		printf(" %8llu", values[i]);
	printf("  %s\n", values[CLOSED_ATTRIBUTE] ? "closed" : "open");
}

static void print_object(const char *name, const unsigned long long *values)
{
	printf("{\"name\": \"%s\"", name);
	for (int i = 0; i < ATTRIBUTES; i++) {
		if (i == CLOSED_ATTRIBUTE)
			printf(", \"closed\": %s", values[i] ? "true" : "false");
		else
			printf(", \"%s\": %llu", attributes[i], values[i]);
	}
	printf("}");
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void command_list(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	const char *between = "";
	struct dirent **entries;
	int count;

	no_queue_option("list");
	count = scandir(class_dir, &entries, visible, alphasort);
	if (count < 0)
		err(EXIT_FAILURE, "%s: is the module loaded?", class_dir);

	if (json)
		fputs("[", stdout);
	else
		printf("%-20s %8s %8s %8s %8s %8s  %s\n", "NAME", "CAPACITY", "MSG_SIZE",
		       "DEPTH", "LEASED", "DEAD", "STATE");
	for (int i = 0; i < count; i++) {
		static const char prefix[] = "mpmcq-";
		const char *name = entries[i]->d_name;
		unsigned long long values[ATTRIBUTES];

		if (!read_attributes(name, values))
			continue;
		if (!strncmp(name, prefix, strlen(prefix)))
			name += strlen(prefix);
		if (json) {
			fputs(between, stdout);
			print_object(name, values);
			between = ",\n ";
		} else {
			print_row(name, values);
		}
	}
	if (json)
		puts("]");
}
