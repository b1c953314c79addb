// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq peek: messages are printed and stay where they are
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <libmpmcq.h>

#include "mpmcq.h"
#include "peek.h"

#define OUTPUT_BYTES	(64U << 10)	/* written at once, or more */
#define OPT_WHERE	256

/**
 * struct peeker - what is printed, and how
 * @where: MPMCQ_PEEK_READY and the like; 0 for what readers get next
 * @count: how many messages, 0 for no limit
 * @printed: how many were printed
 * @format: how they are printed
 * @output: what was printed and not yet written
 */
struct peeker {
	uint32_t where;
	unsigned long count;
	unsigned long printed;
	struct record_format format;
	struct output output;
};

/* --- peeking --- */

static noreturn void cannot_peek(int error)
{
	errx(EXIT_FAILURE, "%s: messages cannot be looked at: %s", queue_text(),
	     strerror(-error));
}

/* Returns how the next peek goes on after @ret of this one: 0, -EAGAIN, or -ENOENT at the end. */
static int next_peek(struct mpmcq_peek *peek, int ret)
{
	switch (ret) {
	case 0:
		if (peek->where == MPMCQ_PEEK_PARKED) {
			peek->flags = MPMCQ_PEEK_NEXT;
			peek->seq = peek->found;
		} else {
			peek->position++;
		}
		return 0;
	case -ESTALE:	/* its delay is over: what is parked comes after it */
		peek->flags = 0;
		peek->seq = 0;
		return -EAGAIN;
	case -EAGAIN:
	case -ENOENT:
		return ret;
	default:
		cannot_peek(ret);
	}
}

/*
 * Calls @visit for each message that is there, in their order.  @level: priority, of ready ones.
 * Messages that come or go meanwhile may be missed.  Returns false if @visit wants no more.
 */
bool peek_place(int fd, const struct mpmcq_info *info, uint32_t where, uint32_t level,
		visit_fn visit, void *arg)
{
	char *buffer = allocate(info->msg_size);
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = where, .priority = level,
		.buf = (uintptr_t)buffer, .buf_len = info->msg_size,
	};
	bool more = true;
	int ret = 0;

	while (more && ret != -ENOENT) {
		ret = next_peek(&peek, mpmcq_peek_message(fd, &peek));
		if (!ret) {
			struct record r = record_of_peek(&peek, info);

			more = visit(&r, arg);
		}
	}
	free(buffer);
	return more;
}

/* Calls @visit for the dead message @id; returns false if there is none. */
bool peek_dead(int fd, const struct mpmcq_info *info, uint64_t id, visit_fn visit, void *arg)
{
	char *buffer = allocate(info->msg_size);
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = MPMCQ_PEEK_DEAD, .flags = MPMCQ_PEEK_SEQ,
		.seq = id, .buf = (uintptr_t)buffer, .buf_len = info->msg_size,
	};
	int ret;

	do {
		ret = mpmcq_peek_message(fd, &peek);
	} while (ret == -EAGAIN);
	if (!ret) {
		struct record r = record_of_peek(&peek, info);

		visit(&r, arg);
	} else if (ret != -ENOENT) {
		cannot_peek(ret);
	}
	free(buffer);
	return !ret;
}

/* --- the command --- */

static bool print(const struct record *r, void *arg)
{
	struct peeker *p = arg;

	print_record(&p->output, r, &p->format);
	if (p->output.used >= OUTPUT_BYTES)
		write_output(&p->output);
	return ++p->printed != p->count;
}

/* Of the highest priority first, as readers get them. */
static void peek_ready(int fd, const struct mpmcq_info *info, struct peeker *p)
{
	uint32_t level = info->levels;

	while (level-- && peek_place(fd, info, MPMCQ_PEEK_READY, level, print, p))
		;
}

static void peek_messages(int fd, const struct mpmcq_info *info, struct peeker *p)
{
	if (p->where && p->where != MPMCQ_PEEK_READY)
		peek_place(fd, info, p->where, 0, print, p);
	else if (p->where || peek_place(fd, info, MPMCQ_PEEK_RETURNED, 0, print, p))
		peek_ready(fd, info, p);
	write_output(&p->output);
}

static uint32_t parse_where(const char *arg)
{
	static const char *const places[] = {
		[MPMCQ_PEEK_READY] = "ready", [MPMCQ_PEEK_RETURNED] = "returned",
		[MPMCQ_PEEK_DEAD] = "dead", [MPMCQ_PEEK_PARKED] = "parked",
	};

	for (uint32_t i = MPMCQ_PEEK_READY; i <= MPMCQ_PEEK_PARKED; i++) {
		if (!strcmp(arg, places[i]))
			return i;
	}
	usage_error("not one of ready, returned, parked and dead: '%s'", arg);
}

static void run_peek(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		FORMAT_LONG_OPTIONS,
		{ "count", required_argument, NULL, 'c' },
		{ "all", no_argument, NULL, 'a' },
		{ "where", required_argument, NULL, OPT_WHERE },
		{ }
	};
	struct peeker p = { .count = 1 };
	int amount = 0, form = 0, opt;
	struct mpmcq_info info;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS FORMAT_OPTIONS "c:a", options,
				  NULL)) != -1) {
		if (opt == 'c')
			p.count = parse_number(optarg, 1, ULONG_MAX, "number of messages");
		if (opt == 'c' || opt == 'a')
			set_once(&amount, opt, "--count and --all");
		else if (opt == OPT_WHERE)
			p.where = parse_where(optarg);
		else if (strchr(FORMAT_OPTIONS, opt))
			set_once(&form, opt, "--null, --raw and --json");
		else
			common_option(opt);
	}
	no_arguments(argc, argv);
	if (amount == 'a')
		p.count = 0;
	p.format = format_of(form);
	peek_messages(open_queue(O_RDONLY, &info), &info, &p);
	if (!p.printed && amount != 'a')
		errx(EXIT_WOULD_BLOCK, "%s has no such messages (see: mpmcq%s info)", queue_text(),
		     queue_option());
}

const struct command peek_command = {
	.name = "peek",
	.usage = "[-q NAME] peek [--where PLACE] [-c N | -a] [-0 | -r | -j]",
	.summary = "print messages and leave them",
	.help =
		"Prints the message that readers get next, and takes nothing.\n"
		"\n"
		"      --where PLACE      look at those that are ready, returned, parked or dead\n"
		"                         (default: at returned ones, then at ready ones)\n"
		"  -c, --count N          print N messages\n"
		"  -a, --all              print all messages\n"
		"  -0, --null             end each message with NUL, not newline\n"
		"  -r, --raw              print messages as they are, and nothing after them\n"
		"  -j, --json             print a line of JSON for each message\n",
	.run = run_peek,
};
