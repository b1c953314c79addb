// SPDX-License-Identifier: GPL-2.0-only
/*
 * The self test: planted faults are noticed, and nothing else is; prints TAP
 */
#include <stdio.h>
#include <string.h>

#include "report.h"
#include "run.h"
#include "self_test.h"
#include "stop.h"
#include "tap.h"

#define MESSAGES	8000
#define STOPS		30
#define STOPS_LOCKED	2000	/* it is certain to be found long before */

static const struct {
	enum end end;
	struct verdict faults;	/* @received is not compared */
} expected[PLANTS] = {
	{ FINISHED, { } },
	{ FINISHED, { .lost = 1 } },
	{ FINISHED, { .repeated = 1 } },
	{ FINISHED, { .lost = 1, .torn = 1 } },
	{ FINISHED, { .disordered = 1 } },
	{ TIMED_OUT, { } },
	{ FAILED, { } },
};

static struct result run(const struct candidate *c, const struct load *load)
{
	return run_once(c, load, MESSAGES, 2);
}

static void explain(const struct result *r)
{
	printf("# end %d\n", r->end);
	verdict_print(&r->verdict);
}

/* By one producer and one consumer, which tell the kinds apart. */
static void test_told(unsigned int i)
{
	struct result r = run(&planted[i], &loads[1]);
	struct verdict v = r.verdict;
	bool ok;

	v.received = 0;
	ok = r.end == expected[i].end &&
	     (r.end != FINISHED || !memcmp(&v, &expected[i].faults, sizeof(v)));
	if (!ok)
		explain(&r);
	tap_test(ok, "%s: told by 1x1", planted[i].name);
}

/* By one thread, which only tells that there is a fault. */
static void test_noticed(unsigned int i)
{
	struct result r = run(&planted[i], &loads[0]);
	bool ok = r.end == expected[i].end &&
		  (r.end != FINISHED || verdict_clean(&r.verdict) == !i);

	if (!ok)
		explain(&r);
	tap_test(ok, "%s: %s alone", planted[i].name, i ? "noticed" : "nothing noticed");
}

static void test_clean(const struct candidate *c)
{
	bool ok = true;

	for (unsigned int i = 0; i < load_count; i++) {
		struct result r;

		if (!can_run(c, &loads[i]))
			continue;
		r = run(c, &loads[i]);
		/* Others than ours may take their time. */
		if (r.end == FAILED || (r.end == FINISHED && !verdict_clean(&r.verdict)) ||
		    (r.end == TIMED_OUT && c->lock_free)) {
			explain(&r);
			ok = false;
		}
	}
	tap_test(ok, "%s: no fault", c->name);
}

static void test_stops(void)
{
	struct stops locked = stop_test(&planted[0], STOPS_LOCKED, 20);
	struct stops ours = stop_test(&candidate_mpmcq, STOPS, 20);

	tap_test(locked.end == FINISHED && locked.blocked, "a lock: holds up others");
	tap_test(ours.end == FINISHED && ours.stops == STOPS && !ours.blocked,
		 "%s: nobody is held up", candidate_mpmcq.name);
}

bool self_test(void)
{
	tap_begin();
	for (unsigned int i = 0; i < PLANTS; i++) {
		test_told(i);
		test_noticed(i);
	}
	for (unsigned int i = 0; i < candidate_count; i++)
		test_clean(candidates[i]);
	test_stops();
	return tap_end();
}
