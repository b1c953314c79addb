// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq dead: messages that were set aside
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"
#include "output.h"
#include "peek.h"

#define PACK_BYTES	(256U << 10)
#define PACK_MESSAGES	64U
#define OUTPUT_BYTES	(64U << 10)	/* written at once, or more */
#define BEGIN_BYTES	40U		/* of a message, in the list */

struct request;

/**
 * struct verb - what is to be done with dead messages
 * @name: its name
 * @options: letters of the options that go with it
 * @arguments: what its arguments are, NULL if it takes none
 * @access: of the queue
 * @op: how the messages that are asked for are settled; 0 if they are not
 * @run: does it
 */
struct verb {
	const char *name;
	const char *options;
	const char *arguments;
	int access;
	unsigned int op;
	void (*run)(struct request *d);
};

/**
 * struct request - what is asked for
 * @verb: what is to be done
 * @queue: the queue
 * @info: of the queue
 * @given: letters of the options that were given
 * @count: no more messages than this, 0 for all
 * @ids: the messages that are asked for
 * @is_found: for each of them, whether it was found
 * @n_ids: how many there are
 * @format: how messages are printed
 * @output: what was printed and not yet written
 * @pack: room for messages that are held
 * @first: the first that was held and is dead again; 0 if there is none
 * @done: how many were settled
 */
struct request {
	const struct verb *verb;
	int queue;
	struct mpmcq_info info;
	char given[8];
	unsigned long count;
	uint64_t *ids;
	bool *is_found;
	size_t n_ids;
	struct record_format format;
	struct output output;
	char *pack;
	uint64_t first;
	unsigned int done;
};

/* --- output --- */

static void print_text(struct output *output, const char *s)
{
	add_bytes(output, s, strlen(s));
}

static void print_row(struct output *output, const char *id, const char *reason, const char *age,
		      const char *deliveries, const char *length, const char *message)
{
	char row[128];

	snprintf(row, sizeof(row), "%-16s  %-19s  %5s  %10s  %6s  %s", id, reason, age,
		 deliveries, length, message);
	print_text(output, row);
}

/* Prints an age in its largest unit; '-' if it is not known. */
static const char *age_text(const struct record *r)
{
	static const struct { uint64_t seconds; char name; } units[] = {
		{ 86400, 'd' }, { 3600, 'h' }, { 60, 'm' }, { 1, 's' },
	};
	uint64_t seconds = r->age_ns / 1000000000;
	static char age[24];
	size_t i = 0;

	if (!r->stamped)
		return "-";
	while (units[i].seconds > 1 && seconds < units[i].seconds)
		i++;
	snprintf(age, sizeof(age), "%llu%c", (unsigned long long)(seconds / units[i].seconds),
		 units[i].name);
	return age;
}

static bool list_message(const struct record *r, void *arg)
{
	struct request *d = arg;
	char id[24], deliveries[12], length[12];

	if (d->format.json) {
		print_record(&d->output, r, &d->format);
	} else {
		snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
		snprintf(deliveries, sizeof(deliveries), "%u", r->deliveries);
		snprintf(length, sizeof(length), "%u", r->len);
		print_row(&d->output, id, reason_text(r->reason), age_text(r), deliveries, length,
			  "");
		add_begin(&d->output, r, BEGIN_BYTES);
		print_text(&d->output, "\n");
	}
	if (d->output.used >= OUTPUT_BYTES)
		write_output(&d->output);
	return true;
}

static bool show_message(const struct record *r, void *arg)
{
	struct request *d = arg;

	print_record(&d->output, r, &d->format);
	write_output(&d->output);
	return true;
}

/* --- a walk --- */

static bool is_asked_for(struct request *d, uint64_t id)
{
	for (size_t i = 0; i < d->n_ids; i++) {
		if (d->ids[i] != id)
			continue;
		d->is_found[i] = true;
		return true;
	}
	return false;
}

/*
 * Collects the deliveries of the messages of a pack that are asked for in @chosen, and sets
 * @n_chosen.  Returns how many messages it has seen: at most @max, as leases that end
 * during a read make room for more, and none from the first of the walk on.
 */
static unsigned int look_at_pack(struct request *d, size_t length, unsigned int max, __u64 *chosen,
				 unsigned int *n_chosen)
{
	const struct mpmcq_meta *meta;
	unsigned int n = 0;

	for (size_t at = 0; at < length && n < max; n++, at += MPMCQ_META_SPACE(meta->msg.len)) {
		meta = (const struct mpmcq_meta *)(d->pack + at);
		if (meta->seq == d->first)
			break;
		if (is_asked_for(d, meta->seq))
			chosen[(*n_chosen)++] = meta->msg.id;
		else if (!d->first)
			d->first = meta->seq;
	}
	return n;
}

/* Holds up to @max dead messages for a moment; returns how many it has seen. */
static unsigned int walk_pack(struct request *d, unsigned int max)
{
	struct mpmcq_attach attach = {
		.open_flags = d->verb->access | O_NONBLOCK,
		.modes = MPMCQ_MODE_DEAD | MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED | MPMCQ_MODE_META,
		.max_held = max,
	};
	unsigned int n = 0, n_chosen = 0;
	__u64 chosen[PACK_MESSAGES];
	int fd = attach_queue(d->queue, &attach), done;
	ssize_t length = mpmcq_receive(fd, d->pack, PACK_BYTES);

	if (length < 0 && length != -EAGAIN)
		errx(EXIT_FAILURE, "%s: %s", queue_text(), strerror(-length));
	if (length > 0)
		n = look_at_pack(d, length, max, chosen, &n_chosen);
	if (n_chosen) {
		done = mpmcq_settle_ids(fd, d->verb->op, 0, 0, chosen, n_chosen);
		if (done < 0)
			errx(EXIT_FAILURE, "%s: dead messages cannot be settled: %s", queue_text(),
			     strerror(-done));
		d->done += done;
	}
	close(fd);	/* what is still held is dead again */
	return n;
}

/*
 * Holds all dead messages, one pack after the other.  Each pack goes behind the others, so only
 * after the whole walk they are in their order again.  Signals wait for that.
 */
static void walk_dead(struct request *d)
{
	unsigned int left = d->info.dead, n;

	catch_signals();
	d->pack = allocate(PACK_BYTES);
	for (; left; left -= n) {
		n = walk_pack(d, left < PACK_MESSAGES ? left : PACK_MESSAGES);
		if (!n)
			break;
	}
	free(d->pack);
}

/* --- verbs --- */

static void list_dead(struct request *d)
{
	if (strchr(d->given, 'n')) {
		printf("%u\n", d->info.dead);
		return;
	}
	if (!d->format.json)
		print_row(&d->output, "ID", "REASON", "AGE", "DELIVERIES", "LENGTH", "MESSAGE\n");
	peek_place(d->queue, &d->info, MPMCQ_PEEK_DEAD, 0, list_message, d);
	write_output(&d->output);
}

static void report_missing(const struct request *d)
{
	bool missing = false;

	for (size_t i = 0; i < d->n_ids; i++) {
		if (d->is_found[i])
			continue;
		warnx("%s has no dead message %llu (see: mpmcq%s dead list)", queue_text(),
		      (unsigned long long)d->ids[i], queue_option());
		missing = true;
	}
	if (missing)
		exit(EXIT_FAILURE);
}

static void show_dead(struct request *d)
{
	for (size_t i = 0; i < d->n_ids; i++)
		d->is_found[i] = peek_dead(d->queue, &d->info, d->ids[i], show_message, d);
	report_missing(d);
}

static void settle_oldest(struct request *d)
{
	int done = d->verb->op == MPMCQ_SETTLE_REVIVE ? mpmcq_revive_dead(d->queue, d->count) :
							mpmcq_purge_dead(d->queue, d->count);

	if (done < 0)
		errx(EXIT_FAILURE, "%s: dead %s: %s", queue_text(), d->verb->name,
		     strerror(-done));
	d->done = done;
}

static void settle_dead(struct request *d)
{
	if (d->n_ids)
		walk_dead(d);
	else
		settle_oldest(d);
	printf("%u\n", d->done);
	fflush(stdout);
	die_of_signal();
	report_missing(d);
}

static const struct verb verbs[] = {
	{ "list", "jn", NULL, O_RDONLY, 0, list_dead },
	{ "show", "0rj", "ID...", O_RDONLY, 0, show_dead },
	{ "requeue", "ac", "ID...", O_RDWR, MPMCQ_SETTLE_REVIVE, settle_dead },
	{ "purge", "ac", "ID...", O_RDONLY, MPMCQ_SETTLE_ACK, settle_dead },
};

/* --- the command --- */

static const struct option options[] = {
	COMMON_LONG_OPTIONS,
	FORMAT_LONG_OPTIONS,
	{ "count", required_argument, NULL, 'c' },
	{ "all", no_argument, NULL, 'a' },
	{ "count-only", no_argument, NULL, 'n' },
	{ }
};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(name, verbs[i].name))
			return &verbs[i];
	}
	usage_error("not one of list, show, requeue and purge: '%s'", name);
}

static void parse_options(int argc, char **argv, struct request *d)
{
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS FORMAT_OPTIONS "c:a", options,
				  NULL)) != -1) {
		if (opt == 'c')
			d->count = parse_number(optarg, 1, UINT32_MAX, "number of messages");
		if (!strchr("ca0rjn", opt))
			common_option(opt);
		else if (!strchr(d->given, opt))
			d->given[strlen(d->given)] = opt;
	}
}

static void check_options(const struct request *d)
{
	int form = 0;

	for (const struct option *o = options; o->name; o++) {
		if (!strchr(d->given, o->val))
			continue;
		if (!strchr(d->verb->options, o->val))
			usage_error("--%s does not go with dead %s", o->name, d->verb->name);
		set_once(&form, o->val, "--null, --raw, --json, --count, --all and --count-only");
	}
	if (!d->verb->op || (form && !d->n_ids))
		return;
	if (form || !d->n_ids)
		usage_error("dead %s takes either IDs, or --all, or --count", d->verb->name);
}

static void parse_ids(int argc, char **argv, struct request *d)
{
	if (!d->verb->arguments) {
		no_arguments(argc, argv);
		return;
	}
	d->ids = allocate((argc - optind + 1) * sizeof(*d->ids));
	d->is_found = calloc(argc - optind + 1, sizeof(*d->is_found));
	if (!d->is_found)
		no_memory();
	for (; optind < argc; optind++)
		d->ids[d->n_ids++] = parse_number(argv[optind], 1, ULONG_MAX,
						  "message id");
	if (!d->n_ids && !d->verb->op)
		usage_error("no ID given");
}

static void run_dead(int argc, char **argv)
{
	struct request d = { .verb = &verbs[0] };

	parse_options(argc, argv, &d);
	if (optind < argc) {
		d.verb = find_verb(argv[optind++]);
		parse_options(argc, argv, &d);
	}
	parse_ids(argc, argv, &d);
	check_options(&d);
	d.format = format_of(d.given[0]);
	d.queue = open_queue(d.verb->access, &d.info);
	d.verb->run(&d);
}

const struct command dead_command = {
	.name = "dead",
	.usage = "[-q NAME] dead [list | show | requeue | purge] [OPTION...] [ID...]",
	.summary = "list dead messages, show, requeue or purge them",
	.help =
		"Lists the messages that were set aside, with their ids.  requeue and purge print how\n"
		"many messages they found.\n"
		"\n"
		"  list                   print a line for each of them; this is the default\n"
		"  show ID...             print these messages\n"
		"  requeue ID...          send these messages again\n"
		"  purge ID...            discard these messages\n"
		"\n"
		"  -a, --all              requeue, purge: all of them\n"
		"  -c, --count N          requeue, purge: N of them, the oldest first\n"
		"  -j, --json             list, show: print a line of JSON for each message\n"
		"      --count-only       list: print how many there are\n"
		"  -0, --null             show: end each message with NUL, not newline\n"
		"  -r, --raw              show: print messages as they are, and nothing after them\n",
	.run = run_dead,
};
