// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq metrics: the state of all queues in the text format of OpenMetrics
 *
 * The parser of node_exporter's textfile collector is that of Prometheus' older text format, which
 * knows fewer types.  So all families here are counters and gauges.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mpmcq.h"
#include "output.h"
#include "queues.h"
#include "table.h"

/**
 * struct family - numbers of one kind, one for each queue
 * @name: what follows "mpmcq_"; the spec has "_total" after the name of a counter's samples
 * @unit: the unit, which is the last word of @name, or NULL
 * @is_counter: it grows only, else it is a gauge
 * @help: what the numbers are
 * @offset: where in struct mpmcq_info the number is
 * @size: its size
 */
struct family {
	const char *name;
	const char *unit;
	bool is_counter;
	const char *help;
	size_t offset;
	size_t size;
};

#define OF(member)	offsetof(struct mpmcq_info, member), \
			sizeof(((struct mpmcq_info *)NULL)->member)
#define GAUGE(name, unit, member, help)		{ name, unit, false, help, OF(member) }
#define COUNTER(name, unit, member, help)	{ name, unit, true, help, OF(member) }

static const struct family families[] = {
	GAUGE("capacity_messages", "messages", capacity, "Messages that the queue has room for."),
	GAUGE("max_message_bytes", "bytes", msg_size, "Longest message."),
	GAUGE("depth_messages", "messages", depth, "Messages that wait for a reader."),
	GAUGE("parked_messages", "messages", parked, "Messages that wait for their delay."),
	GAUGE("leased_messages", "messages", leased, "Messages that readers hold."),
	GAUGE("dead_messages", "messages", dead, "Messages that are set aside."),
	GAUGE("free_slots", NULL, free, "Slots without a message."),
	GAUGE("closed", NULL, closed, "1 if the queue is closed, else 0."),
	GAUGE("readers_asleep", NULL, readers_asleep, "Tasks that wait for a message."),
	GAUGE("writers_asleep", NULL, writers_asleep, "Tasks that wait for room."),
	COUNTER("sent_messages", "messages", sent, "Messages sent."),
	COUNTER("deliveries", NULL, received, "Deliveries, redeliveries included."),
	COUNTER("redeliveries", NULL, redelivered, "Deliveries of messages that came back."),
	COUNTER("acked_messages", "messages", acked, "Messages acknowledged."),
	COUNTER("returns", NULL, returned, "Times that a message was given back."),
	COUNTER("suspicions", NULL, suspected, "Times that a message became a suspect."),
	COUNTER("set_aside_messages", "messages", set_aside, "Messages set aside."),
	COUNTER("dropped_messages", "messages", dropped, "Messages dropped to make room."),
};

static void print_header(FILE *out, const struct family *f)
{
	fprintf(out, "# TYPE mpmcq_%s %s\n", f->name, f->is_counter ? "counter" : "gauge");
	if (f->unit)
		fprintf(out, "# UNIT mpmcq_%s %s\n", f->name, f->unit);
	fprintf(out, "# HELP mpmcq_%s %s\n", f->name, f->help);
}

/* As --queue takes it.  A label has to be UTF-8, so other bytes are escaped before. */
static void print_label(FILE *out, const struct queue *q)
{
	bool is_name = !strncmp(q->path, MOUNT "/", sizeof(MOUNT));
	const char *name = is_name ? q->name : q->path;
	char *label = escape(name, strlen(name), ESCAPE_MARK, NULL);

	for (const char *p = label; *p; p++) {
		if (*p == '\n')
			fputs("\\n", out);
		else if (*p == '\\' || *p == '"')
			fprintf(out, "\\%c", *p);
		else
			fputc(*p, out);
	}
	free(label);
}

static void begin_sample(FILE *out, const struct family *f, const struct queue *q)
{
	fprintf(out, "mpmcq_%s%s{queue=\"", f->name, f->is_counter ? "_total" : "");
	print_label(out, q);
	fputs("\"} ", out);
}

static void print_family(FILE *out, const struct family *f, const struct queue *queues,
			 size_t count)
{
	print_header(out, f);
	for (size_t i = 0; i < count; i++) {
		if (!is_known(&queues[i], f->offset))
			continue;
		begin_sample(out, f, &queues[i]);
		fprintf(out, "%llu\n", (unsigned long long)
			number_at(&queues[i].info, f->offset, f->size));
	}
}

/* Of queues that know it. */
static void print_ages(FILE *out, const struct queue *queues, size_t count)
{
	static const struct family f =
		GAUGE("oldest_message_age_seconds", "seconds", oldest_ns,
		      "Age of the oldest message that waits, 0 if none does.");

	print_header(out, &f);
	for (size_t i = 0; i < count; i++) {
		unsigned long long ns = queues[i].info.oldest_ns;

		if (!is_known(&queues[i], f.offset) || !(queues[i].info.flags & MPMCQ_STAMP))
			continue;
		begin_sample(out, &f, &queues[i]);
		fprintf(out, "%llu.%09llu\n", ns / 1000000000, ns % 1000000000);
	}
}

/* Of all queues, so that one without numbers is there, too. */
static void print_readable(FILE *out, const struct queue *queues, size_t count)
{
	static const struct family f = {
		.name = "readable",
		.help = "1 if mpmcq metrics may read the state of the queue, else 0.",
	};

	print_header(out, &f);
	for (size_t i = 0; i < count; i++) {
		begin_sample(out, &f, &queues[i]);
		fprintf(out, "%d\n", queues[i].known != KNOWN_NOTHING);
	}
}

static void print_metrics(FILE *out, const struct queue *queues, size_t count)
{
	print_readable(out, queues, count);
	for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++)
		print_family(out, &families[i], queues, count);
	print_ages(out, queues, count);
	fputs("# EOF\n", out);
}

/* A device or a link at @path would be gone: rename(2) replaces whatever is there. */
static void check_file(const char *path)
{
	struct stat st;

	if (!lstat(path, &st) && !S_ISREG(st.st_mode))
		errx(EXIT_FAILURE,
		     "cannot write %s: it is no regular file (print there: mpmcq metrics >%s)",
		     printable(path), printable(path));
}

/* A reader of @path finds the old file or the new one, whole. */
static void replace_file(const char *path, const struct queue *queues, size_t count)
{
	char *new_path = (char *)text("%s.XXXXXX", path);
	mode_t mask = umask(0);
	FILE *out;
	int fd;

	umask(mask);
	check_file(path);
	hold_signals_back();
	fd = mkstemp(new_path);
	if (fd < 0)
		err(EXIT_FAILURE, "cannot create %s", printable(new_path));
	out = fdopen(fd, "w");
	if (!out)
		no_memory();
	print_metrics(out, queues, count);
	if (fflush(out) == EOF || ferror(out) || fchmod(fd, 0666 & ~mask) < 0 ||
	    fclose(out) == EOF || rename(new_path, path) < 0) {
		warn("cannot write %s", printable(path));
		unlink(new_path);
		exit(EXIT_FAILURE);
	}
	let_signals_through();
}

static void run_metrics(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "output", required_argument, NULL, 'o' },
		{ }
	};
	const char *path = NULL, *file = NULL, *why;
	struct queue *queues;
	size_t count;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "o:", options, NULL)) != -1) {
		if (opt == 'o')
			file = optarg;
		else
			common_option(opt);
	}
	no_queue_option("metrics");
	if (optind < argc)
		path = argv[optind++];
	no_arguments(argc, argv);

	count = find_queues(path, &queues, &why);
	/* The default queue is there even if the mount is missing. */
	if (why && !count)
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
	if (file)
		replace_file(file, queues, count);
	else
		print_metrics(stdout, queues, count);
	if (why)
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
}

const struct command metrics_command = {
	.name = "metrics",
	.usage = "metrics [-o FILE] [DIR]",
	.summary = "print the state of queues as OpenMetrics",
	.help =
		"Prints the state of the default queue and of the queues in /dev/mpmcqfs, or of the\n"
		"queues in DIR, for monitoring.\n"
		"\n"
		"  -o, --output FILE      replace FILE by it, at once\n",
	.run = run_metrics,
};
