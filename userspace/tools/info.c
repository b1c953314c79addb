// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq info, mpmcq list: the state of one queue, and of all in a directory
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"
#include "queues.h"
#include "table.h"

/* --- texts --- */

/* A word for each bit of the header, from the lowest on. */
static const char *const flag_words[] = {
	"drop-oldest", "auto-close", "delay", "start-lease", "stamp",
};

static const char *const feature_words[] = {
	"packed", "lease", "dead", "close", "attach", "create", "files", "drop", "delay", "timeout",
	"start", "peek", "forward", "meta", "levels",
};

#define WORDS(array) array, sizeof(array) / sizeof(*(array))

static const char *join(uint64_t bits, const char *const *words, size_t count)
{
	const char *list = "";

	for (size_t i = 0; i < count; i++) {
		if (bits >> i & 1)
			list = text("%s%s%s", list, *list ? " " : "", words[i]);
	}
	return list;
}

static const char *version_text(uint32_t version)
{
	return text("%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
}

static const char *uuid_text(const uint8_t *u)
{
	return text("%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		    u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12],
		    u[13], u[14], u[15]);
}

/* --- columns --- */

enum {
	VIEW_LIST = 0x01,
	VIEW_LIST_JSON = 0x02,
	VIEW_INFO = 0x04,
	VIEW_INFO_JSON = 0x08,
	EVERYWHERE = 0x0f,
	NOT_IN_TABLE = EVERYWHERE & ~VIEW_LIST,
};

#define FILE_COLUMN(member, name, kind, views) \
	COLUMN_OF(struct queue, member, name, kind, views)
#define STATE_COLUMN(name, kind, views) \
	COLUMN_OF(struct queue, info.name, #name, kind, views)

static const struct column columns[] = {
	FILE_COLUMN(name, "name", KIND_TEXT, VIEW_LIST | VIEW_LIST_JSON),
	FILE_COLUMN(path, "path", KIND_TEXT, NOT_IN_TABLE),
	FILE_COLUMN(st.st_uid, "owner", KIND_TEXT, EVERYWHERE),
	FILE_COLUMN(st.st_gid, "group", KIND_TEXT, EVERYWHERE),
	FILE_COLUMN(st.st_mode, "mode", KIND_TEXT, EVERYWHERE),
	STATE_COLUMN(capacity, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(msg_size, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(depth, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(parked, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(leased, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(dead, KIND_NUMBER, EVERYWHERE),
	STATE_COLUMN(free, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(max_deliveries, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(lease_ms, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(retry_ms, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(retry_max_ms, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(levels, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(sent, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(received, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(acked, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(returned, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(redelivered, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(suspected, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(set_aside, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(dropped, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(oldest_ns, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(readers_asleep, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(writers_asleep, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(number, KIND_NUMBER, NOT_IN_TABLE),
	STATE_COLUMN(uuid, KIND_TEXT, NOT_IN_TABLE),
	COLUMN_OF(struct queue, info.closed, "state", KIND_TEXT, VIEW_LIST),
	STATE_COLUMN(closed, KIND_TRUTH, NOT_IN_TABLE),
	STATE_COLUMN(flags, KIND_WORDS, EVERYWHERE),
	STATE_COLUMN(version, KIND_TEXT, VIEW_INFO | VIEW_INFO_JSON),
	STATE_COLUMN(features, KIND_WORDS, VIEW_INFO | VIEW_INFO_JSON),
};

#define MEMBER(name)	offsetof(struct mpmcq_info, name)

static const char *get_state(const struct queue *q, const struct column *c, size_t member)
{
	const struct mpmcq_info *info = &q->info;

	if (!is_known(q, member))
		return NULL;
	switch (member) {
	case MEMBER(uuid):
		return uuid_text(info->uuid);
	case MEMBER(closed):
		if (c->kind == KIND_TEXT)
			return info->closed ? "closed" : "open";
		return info->closed ? "yes" : "no";
	case MEMBER(flags):
		return join(info->flags, WORDS(flag_words));
	case MEMBER(version):
		return version_text(info->version);
	case MEMBER(features):
		return join(info->features, WORDS(feature_words));
	default:
		return number_text(q, c);
	}
}

static const char *get_value(const void *row, const struct column *c)
{
	const struct queue *q = row;

	switch (c->offset) {
	case offsetof(struct queue, name):
		return q->name;
	case offsetof(struct queue, path):
		return q->path;
	case offsetof(struct queue, st.st_uid):
		return owner_text(q->st.st_uid);
	case offsetof(struct queue, st.st_gid):
		return group_text(q->st.st_gid);
	case offsetof(struct queue, st.st_mode):
		return mode_text(q->st.st_mode);
	default:
		return get_state(q, c, c->offset - offsetof(struct queue, info));
	}
}

static void print_queues(const struct queue *queues, size_t count, unsigned int view,
			 enum form form)
{
	print_table(&(struct table){
		.columns = columns,
		.column_count = sizeof(columns) / sizeof(*columns),
		.get = get_value,
		.view = view,
		.form = form,
		.rows = queues,
		.row_size = sizeof(*queues),
		.row_count = count,
	});
}

/* --- info, list --- */

static bool parse_json_option(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "json", no_argument, NULL, 'j' },
		{ }
	};
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "j", options, NULL)) != -1) {
		if (opt == 'j')
			json = true;
		else
			common_option(opt);
	}
	return json;
}

static void run_info(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	struct queue q = { .known = KNOWN_ALL };
	int fd;

	if (optind == argc - 1 && !queue_name)
		usage_error("the name of a queue follows -q: mpmcq -q %s info",
			    printable(argv[optind]));
	no_arguments(argc, argv);
	fd = open_queue(O_RDONLY, &q.info);
	q.path = queue_path();
	if (fstat(fd, &q.st) < 0)
		err(EXIT_FAILURE, "%s", queue_text());
	close(fd);
	print_queues(&q, 1, json ? VIEW_INFO_JSON : VIEW_INFO, json ? FORM_OBJECT : FORM_LINES);
}

const struct command info_command = {
	.name = "info",
	.usage = "[-q NAME] info [-j]",
	.summary = "print the state of a queue",
	.help =
		"Prints owner, mode, configuration, state and counters of the queue.\n"
		"\n"
		"  -j, --json             as JSON\n",
	.run = run_info,
};

static void run_list(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	const char *path = NULL, *why;
	struct queue *queues;
	size_t count;

	no_queue_option("list");
	if (optind < argc)
		path = argv[optind++];
	no_arguments(argc, argv);

	count = find_queues(path, &queues, &why);
	/* The default queue is shown even if the mount is missing. */
	if (!why || count)
		print_queues(queues, count, json ? VIEW_LIST_JSON : VIEW_LIST,
			     json ? FORM_ARRAY : FORM_TABLE);
	if (why && path && !strchr(path, '/'))
		errx(EXIT_FAILURE, "cannot list queues: %s (a queue: mpmcq -q %s info)", why,
		     printable(path));
	if (why)
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
}

const struct command list_command = {
	.name = "list",
	.usage = "list [-j] [DIR]",
	.summary = "print a table of queues",
	.help =
		"Prints the default queue and those in /dev/mpmcqfs, or the queues in DIR.\n"
		"\n"
		"  -j, --json             as JSON, with all counters\n",
	.run = run_list,
};
