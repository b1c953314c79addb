// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index ring, paused anywhere: a thread is stopped for good before one of its
 * accesses to shared memory, and the others must go on.  That is what lock-free
 * means; it is done for every access of every operation, for one thread and for
 * each pair of places in two threads.
 *
 * A sender and a receiver move messages through two rings, as in the queue.  What
 * counts as going on is a message received: a ring that is stuck reports empty or
 * full for ever, which completes too.  A stopped thread holds two slots at most, so
 * with a capacity of 8 there is always one left.
 */

#include <stdio.h>
#include <string.h>

#define SHIM_STEPS
#include "shim.h"
#ifdef PLANT_VYUKOV_RING
#include "vyukov_ring.h"
#elif defined(RING_HEADER)
#include RING_HEADER
#else
#include "../../kmod/index_ring.h"
#endif

#define ORDER		3
#define MESSAGES	1000	/* that have to get through after each pause */
#define PATIENCE	2000	/* steps in which one has to */

/* Threads 0 and 1 are stopped, 2 sends, 3 receives; 2 and 3 run for ever. */
enum { FIRST, SECOND, SENDER, RECEIVER, THREADS };

static struct {
	struct index_ring free, ready;
	atomic64_t entries[2][1 << ORDER];
	unsigned long received;
} now;

static const char *scripts[2];	/* of FIRST and SECOND, letters as in explore.c */

static void move(struct index_ring *from, struct index_ring *to, unsigned int want)
{
	u32 indices[2];
	unsigned int n = 1;

	if (want > 1) {
		n = index_ring_take_n(from, indices, want);
	} else {
		int index = index_ring_take(from);

		if (index == INDEX_RING_EMPTY)
			return;
		indices[0] = index;
	}
	if (n > 1)
		index_ring_put_n(to, indices, n);
	else if (n)
		index_ring_put(to, indices[0]);
}

static void run_script(unsigned int self)
{
	for (const char *p = scripts[self]; *p; p++) {
		unsigned int want = *p == 'S' || *p == 'R' ? 2 : 1;

		if (*p == 's' || *p == 'S')
			move(&now.free, &now.ready, want);
		else
			move(&now.ready, &now.free, want);
	}
}

static void thread(unsigned int self)
{
	if (self < SENDER) {
		run_script(self);
		return;
	}
	for (;;) {
		int index = index_ring_take(self == SENDER ? &now.free : &now.ready);

		if (index == INDEX_RING_EMPTY)
			continue;
		now.received += self == RECEIVER;
		index_ring_put(self == SENDER ? &now.ready : &now.free, index);
	}
}

/*
 * Lets FIRST do @first accesses and SECOND @second, and stops them there; one
 * access of the others after each, if @mixed.  Then the others alone.  0 if
 * FIRST or SECOND was at its end before, -1 if the others are stuck, else 1.
 */
static int pause_at(unsigned int first, unsigned int second, bool mixed)
{
	const unsigned int left[2] = { first, second };
	unsigned int idle = 0, turn = 0;
	unsigned long goal;

	memset(&now, 0, sizeof(now));
	index_ring_init(&now.free, now.entries[0], ORDER, 1 << ORDER);
	index_ring_init(&now.ready, now.entries[1], ORDER, 0);
	/* Some wait already, at positions that end a lap. */
	for (int i = 0; i < 6; i++)
		move(&now.free, &now.ready, 1);
	for (int i = 0; i < 3; i++)
		move(&now.ready, &now.free, 1);

	steps_start(THREADS, thread);
	for (unsigned int self = FIRST; self <= SECOND; self++) {
		for (unsigned int i = 0; i < left[self]; i++) {
			if (!(steps_alive() & 1U << self))
				return 0;
			steps_run(self);
			if (mixed)
				steps_run(SENDER + turn++ % 2);
		}
		if (left[self] && !(steps_alive() & 1U << self))
			return 0;
	}
	for (goal = now.received + MESSAGES; now.received < goal;) {
		unsigned long before = now.received;

		steps_run(SENDER + turn++ % 2);
		idle = now.received == before ? idle + 1 : 0;
		if (idle > PATIENCE)
			return -1;
	}
	return 1;
}

/* Every place of FIRST, and of SECOND with @two; the number of places, or -1. */
static long pause_everywhere(bool two, bool mixed)
{
	unsigned int first, second;
	long places = 0;
	int ret;

	for (first = 0;; first++) {
		for (second = 0;; second++) {
			ret = pause_at(first, second, mixed);
			if (ret < 0) {
				printf("# stuck: %s stopped after %u accesses, %s after %u\n",
				       scripts[FIRST], first, scripts[SECOND], second);
				return -1;
			}
			if (!ret)
				break;
			places++;
			if (!two)
				break;
		}
		if (!ret && !second)
			return places;
	}
}

int main(void)
{
	static const char *const all[] = { "s", "r", "S", "R", "sSrR", "RSsr" };
	const unsigned int n = ARRAY_SIZE(all);
	unsigned int test = 0, failed = 0;
	long places;

	printf("TAP version 13\n1..%u\n", 2 * (n + n * n));
	for (unsigned int i = 0; i < 2 * (n + n * n); i++) {
		bool mixed = i & 1;
		unsigned int pair = i / 2;
		bool two = pair >= n;

		scripts[FIRST] = two ? all[(pair - n) / n] : all[pair];
		scripts[SECOND] = two ? all[(pair - n) % n] : "";
		places = pause_everywhere(two, mixed);
		failed += places < 1;
		printf("%s %u - stopped for good: %s%s%s%s: %ld places\n",
		       places < 1 ? "not ok" : "ok", ++test, scripts[FIRST],
		       two ? " and " : "", scripts[SECOND], mixed ? ", others between" : "",
		       places);
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
