// SPDX-License-Identifier: GPL-2.0-only
/*
 * Planted faults, each of which bench-exact has to notice
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "exact.h"
#include "tap.h"

#define TEST_SIZE	64
#define TEST_MESSAGES	128
#define FAULTY		50	/* the message that something happens to */

/* --- a transport of one message in memory, and what may go wrong with it --- */

static char kept[TEST_SIZE];
static char before[TEST_SIZE];	/* the message before */
static unsigned int received;

static int memory_open(struct channel *c, size_t size)
{
	(void)size;
	c->in = -1;
	c->out = -1;
	received = 0;
	return 0;
}

static void memory_close(struct channel *c)
{
	(void)c;
}

static ssize_t memory_send(struct channel *c, const void *message, size_t size)
{
	(void)c;
	memcpy(before, kept, size);
	memcpy(kept, message, size);
	return size;
}

static ssize_t receive_whole(struct channel *c, void *message, size_t size)
{
	(void)c;
	memcpy(message, kept, size);
	return size;
}

static ssize_t receive_again(struct channel *c, void *message, size_t size)
{
	receive_whole(c, message, size);
	if (received++ == FAULTY)
		memcpy(message, before, size);
	return size;
}

static ssize_t receive_torn(struct channel *c, void *message, size_t size)
{
	receive_whole(c, message, size);
	if (received++ == FAULTY)
		memcpy((char *)message + size / 2, before + size / 2, size / 2);
	return size;
}

static ssize_t receive_short(struct channel *c, void *message, size_t size)
{
	receive_whole(c, message, size);
	return size - (received++ == FAULTY);
}

static ssize_t receive_nothing(struct channel *c, void *message, size_t size)
{
	if (received++ != FAULTY)
		receive_whole(c, message, size);
	return size;
}

/* Two messages change places. */
static ssize_t receive_late(struct channel *c, void *message, size_t size)
{
	static char late[TEST_SIZE];
	unsigned int i = received++;

	receive_whole(c, message, size);
	if (i == FAULTY) {
		unsigned long long number;

		memcpy(late, message, size);
		memcpy(&number, message, sizeof(number));
		message_fill(message, size, 0, number + 1);
	} else if (i == FAULTY + 1) {
		memcpy(message, late, size);
	}
	return size;
}

static ssize_t receive_fails(struct channel *c, void *message, size_t size)
{
	if (received++ == FAULTY) {
		errno = EIO;
		return -1;
	}
	return receive_whole(c, message, size);
}

static const struct {
	const char *name;
	ssize_t (*receive)(struct channel *c, void *message, size_t size);
	struct verdict expected;
	bool fails;
} plants[] = {
	{ "no fault", receive_whole, { 128, 0, 0, 0, 0 }, false },
	{ "a message twice", receive_again, { 128, 1, 1, 0, 0 }, false },
	{ "halves of two messages", receive_torn, { 127, 1, 0, 0, 1 }, false },
	{ "a shortened message", receive_short, { 127, 1, 0, 0, 1 }, false },
	{ "a message that did not come", receive_nothing, { 127, 1, 0, 0, 1 }, false },
	{ "a late message", receive_late, { 128, 0, 0, 1, 0 }, false },
	{ "a call that fails", receive_fails, { 0, 128, 0, 0, 0 }, true },
};

static bool pass_once(const struct way *way, struct verdict *v, bool *failed)
{
	double seconds;
	struct passing p;

	if (passing_begin(&p, way, TEST_SIZE, TEST_MESSAGES, 1) < 0)
		return false;
	*failed = passing_round(&p, &seconds) < 0;
	*v = passing_end(&p);
	return true;
}

static void test_plants(void)
{
	for (size_t i = 0; i < sizeof(plants) / sizeof(*plants); i++) {
		const struct transport t = {
			.name = plants[i].name,
			.open = memory_open,
			.send = memory_send,
			.receive = plants[i].receive,
			.close = memory_close,
		};
		const struct way way = { .name = t.name, .transport = &t };
		struct verdict v;
		bool failed;

		tap_test(pass_once(&way, &v, &failed) && failed == plants[i].fails &&
			 !memcmp(&v, &plants[i].expected, sizeof(v)), "%s", t.name);
	}
}

/* --- batches, through what knows nothing of them --- */

static int stream_open(struct channel *c, size_t size)
{
	int fds[2];

	(void)size;
	if (pipe(fds) < 0)
		return -1;
	c->out = fds[0];
	c->in = fds[1];
	return 0;
}

static void stream_close(struct channel *c)
{
	close(c->in);
	close(c->out);
}

static void test_batches(const struct way *floor)
{
	static const struct transport stream = { .open = stream_open, .close = stream_close };
	struct way way = { .name = "batches", .transport = &stream, .batch = PACK_MESSAGES };
	struct verdict v;
	bool failed;

	tap_test(pass_once(&way, &v, &failed) && !failed && verdict_clean(&v) &&
		 v.received == TEST_MESSAGES, "batches, with no fault");
	way.transport = floor->transport;
	tap_test(pass_once(&way, &v, &failed) && !failed && v.torn == TEST_MESSAGES,
		 "batches of zeros");
}

/* --- each row --- */

static void test_rows(const struct way *ways, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct verdict v;
		bool failed = true;

		if (!pass_once(&ways[i], &v, &failed)) {
			tap_skip(ways[i].name, strerror(errno));
			warn("SKIPPED: %s: open", ways[i].name);
			continue;
		}
		tap_test(!failed && verdict_clean(&v) && v.received == TEST_MESSAGES,
			 "%s", ways[i].name);
	}
}

/* What is wanted to be zeros, and is not. */
static void test_zeros(void)
{
	const struct transport t = {
		.open = memory_open,
		.send = memory_send,
		.receive = receive_whole,
		.close = memory_close,
	};
	const struct way way = { .name = "zeros", .transport = &t, .zeros = true };
	struct verdict v;
	bool failed;

	tap_test(pass_once(&way, &v, &failed) && v.torn == TEST_MESSAGES,
		 "no zeros where there should be");
}

/* --- numbers --- */

static void test_clock(void)
{
	static const struct {
		const char *name;
		struct icount clock;
		bool exact;
	} clocks[] = {
		{ "a clock that counts instructions", { 1.0003, 1.0002 }, true },
		{ "a clock 2 % fast", { 1.02, 1.02 }, false },
		{ "a clock 2 % slow", { 0.98, 0.98 }, false },
		{ "a processor of one plain instruction a nanosecond", { 1, 3 }, false },
		{ "a processor of one slow instruction a nanosecond", { 0.3, 1 }, false },
	};

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
		tap_test(icount_exact(&clocks[i].clock) == clocks[i].exact,
			 "%s", clocks[i].name);
}

static void test_spread(void)
{
	double steady[] = { 1004, 1000, 1001, 1500, 1002, 1003, 1000, 1001, 1002, 1000, 1001 };
	double uneven[] = { 1000, 1010, 1020, 1030, 1040, 1000, 1010, 1020, 1030, 1040, 1000 };
	struct line line = { .cost = spread_of(steady, 11) };

	tap_test(line_stable(&line) && line.cost.median == 1001 && line.cost.max == 1500,
		 "steady, with one round that is not");
	line.cost = spread_of(uneven, 11);
	tap_test(!line_stable(&line) && line.cost.median == 1020, "unsteady");
}

static bool parses(const char *text, int n)
{
	struct limit limits[MAX_LIMITS];
	char *copy = strdup(text);
	bool ok = copy && limits_parse(copy, limits) == n;

	free(copy);
	return ok;
}

static void test_limits(void)
{
	struct limit limit = { .row = "a", .beside = "b", .ratio = 2 };
	struct report r = { .count = 2 };

	tap_test(parses("a/b=2,b/a=0.5", 2), "limits");
	tap_test(parses("a/b", -1) && parses("a=2", -1) && parses("a/b=x", -1) &&
		 parses("/b=1", -1) && parses("a/b=-1", -1) && parses("a/b=1,", -1) &&
		 parses("a/b=nan", -1), "limits that are none");
	r.lines[0] = (struct line) { .way.name = "a", .cost.median = 1999 };
	r.lines[1] = (struct line) { .way.name = "b", .cost.median = 1000 };
	tap_test(limit_of_report_kept(&r, &limit), "a limit that is kept");
	r.lines[0].cost.median = 2001;
	tap_test(!limit_of_report_kept(&r, &limit), "a limit that is not kept");
	r.lines[0].cost.median = 0;
	tap_test(!limit_of_report_kept(&r, &limit), "a limit of what was not measured");
}

/* Prints TAP; true when each fault was noticed, and nothing else. */
bool exact_self_test(void)
{
	struct way ways[MAX_WAYS];
	size_t count = ways_find(ways);
	bool ok;

	tap_begin();
	test_plants();
	test_batches(&ways[0]);
	test_zeros();
	test_clock();
	test_spread();
	test_limits();
	test_rows(ways, count);
	ok = tap_end();
	close_output();
	return ok;
}
