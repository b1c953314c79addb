// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "search.h"
#include "steps.h"

#define MAX_DEPTH	4096
#define MIN_BITS	12
#define MAX_BITS	25

/* The states met: a hash that is not 0, and the orders that go on from there. */
static struct state {
	uint64_t hash;
	double orders;
} *table;
static unsigned int table_bits;

/* The present order, and what is still to be tried from each of its states. */
static struct {
	struct state *state;
	uint64_t hash;		/* of that */
	unsigned int thread;	/* that makes the step from here */
	unsigned int todo;	/* mask of those that shall make it in other orders */
	unsigned int able;	/* mask of those that could */
	unsigned int spent;	/* preemptions on the way here */
	double orders;		/* those of the threads tried so far */
} path[MAX_DEPTH];

static const struct search *now;
static struct search_case present;
static unsigned int threads, preemptions;	/* in the present case */
static struct {
	unsigned long states;	/* different ones, met */
	unsigned long steps;	/* made */
	double orders;
} count;
static const char *fault;
static unsigned int fault_depth;

void search_fault(const char *what)
{
	if (!fault)
		fault = what;
}

bool search_has(const char *letters)
{
	for (unsigned int i = 0; present.scripts[i]; i++)
		if (strpbrk(present.scripts[i], letters))
			return true;
	return false;
}

/* The number of each thread that made a step on the way to the fault. */
static void print_order(void)
{
	printf("# order:");
	for (unsigned int i = 0; i < fault_depth; i++)
		printf(" %u", path[i].thread);
	printf("\n");
}

static void make_table(unsigned int bits)
{
	table_bits = bits;
	table = calloc(1UL << bits, sizeof(*table));
	if (!table) {
		perror("search");
		exit(1);
	}
}

/* Where that hash is, or would be. */
static struct state *find(uint64_t hash)
{
	size_t mask = (1UL << table_bits) - 1;
	size_t at = hash >> 1 & mask;

	while (table[at].hash && table[at].hash != hash)
		at = (at + 1) & mask;
	return &table[at];
}

/* Makes room for more states; @depth of them are on the path. */
static void grow_table(unsigned int depth)
{
	size_t size = 1UL << table_bits;
	struct state *old = table;

	if (table_bits == MAX_BITS) {
		fprintf(stderr, "search: more states than the table has room for\n");
		exit(1);
	}
	make_table(table_bits + 1);
	for (size_t i = 0; i < size; i++)
		if (old[i].hash)
			*find(old[i].hash) = old[i];
	for (unsigned int i = 0; i < depth; i++)
		path[i].state = find(path[i].hash);
	free(old);
}

/* Of the state that the threads are in, at the end of the path; whether it is new. */
static bool look_up(unsigned int depth, uint64_t hash)
{
	path[depth].hash = hash;
	path[depth].state = find(hash);
	if (path[depth].state->hash)
		return false;
	if (++count.states > 1UL << (table_bits - 1)) {
		grow_table(depth);
		path[depth].state = find(hash);
	}
	path[depth].state->hash = hash;
	return true;
}

static unsigned int able_threads(void)
{
	return steps_alive() & ~(now->asleep ? now->asleep() : 0);
}

/* Preemptions spent when the step at @depth has been made. */
static unsigned int spent_after(unsigned int depth)
{
	unsigned int last = depth ? path[depth - 1].thread : path[0].thread;

	return path[depth].spent +
		(path[depth].thread != last && path[depth].able & 1U << last);
}

static uint64_t hash_state(unsigned int depth)
{
	uint64_t hash = steps_alive();

	for (unsigned int i = 0; i < threads; i++)
		hash = search_mix(hash, steps_seen(i));
	if (preemptions != SEARCH_ALL && depth)
		hash = search_mix(search_mix(hash, path[depth - 1].thread), path[depth].spent);
	return search_mix(hash, now->hash()) | 1;
}

/* Goes on from a new state: by the lowest thread first, the others later. */
static void branch(unsigned int depth, unsigned int able)
{
	unsigned int last = depth ? 1U << path[depth - 1].thread : 0;

	path[depth].able = able;
	if (path[depth].spent == preemptions && able & last)
		able = last;
	path[depth].thread = __builtin_ctz(able);
	path[depth].todo = able & (able - 1);
	path[depth].orders = 0;
}

/*
 * Runs once, along the path for @replay steps, then wherever is new.  Returns the
 * length of the path, and in @orders how many go on from its end.
 */
static unsigned int run_once(unsigned int replay, double *orders)
{
	unsigned int depth = 0;

	now->set_up();
	steps_start(threads, now->thread);
	if (now->after)
		now->after();
	for (; !fault; depth++) {
		if (depth >= replay) {
			unsigned int able = able_threads();

			if (depth == MAX_DEPTH) {
				search_fault("the run does not end");
				break;
			}
			path[depth].spent = depth ? spent_after(depth - 1) : 0;
			if (!look_up(depth, hash_state(depth))) {
				*orders = path[depth].state->orders;
				return depth;
			}
			if (!able) {
				now->end();
				*orders = path[depth].state->orders = 1;
				break;
			}
			branch(depth, able);
		}
		steps_run(path[depth].thread);
		count.steps++;
		if (now->after)
			now->after();
	}
	fault_depth = depth;
	return depth;
}

/* Runs every order of the present case; returns the first fault, or NULL. */
static const char *search(void)
{
	unsigned int depth = 0;
	double orders = 0;

	free(table);
	make_table(MIN_BITS);
	memset(&count, 0, sizeof(count));
	fault = NULL;
	do {
		depth = run_once(depth, &orders);
		if (fault)
			return fault;
		/* Leave the states from which all has been tried. */
		while (depth) {
			path[depth - 1].orders += orders;
			if (path[depth - 1].todo)
				break;
			orders = path[--depth].orders;
			path[depth].state->orders = orders;
		}
		if (depth) {
			path[depth - 1].thread = __builtin_ctz(path[depth - 1].todo);
			path[depth - 1].todo &= path[depth - 1].todo - 1;
		}
	} while (depth);
	count.orders = orders;
	return NULL;
}

/* Whether all is well in the present case. */
static bool test(unsigned int number)
{
	const char *what;

	for (threads = 0; present.scripts[threads]; threads++)
		;
	if (now->prepare)
		now->prepare();
	what = search();
	printf("%s %u - %s: ", what ? "not ok" : "ok", number, present.name);
	if (what)
		printf("%s\n", what);
	else if (preemptions == SEARCH_ALL)
		printf("every order\n");
	else
		printf("every order with up to %u preemptions\n", preemptions);
	if (what)
		print_order();
	printf("# orders %.3g, states %lu, steps %lu\n", count.orders, count.states, count.steps);
	fflush(stdout);
	return !what;
}

int search_main(const struct search *s, int argc, char **argv)
{
	const char *option = argc > 1 && argc < 4 ? argv[1] : "";
	bool control = !strcmp(option, "--control");
	bool quick = s->quick && !strcmp(option, "--quick");
	bool brief = control || quick || !strcmp(option, "--short");
	const char *words = argc == 3 ? argv[2] : "";
	unsigned int failed = 0, tests = 0;

	if (argc > 1 && !brief) {
		fprintf(stderr, "usage: %s [%s--short|--control [WORDS]]\n", s->name,
			s->quick ? "--quick|" : "");
		return 2;
	}
	now = s;
	printf("TAP version 13\n");
	for (unsigned int i = 0; i < s->cases && !(control && failed); i++) {
		present = s->choose(i);
		preemptions = brief ? present.brief : present.full;
		if (quick && preemptions > s->quick)
			preemptions = s->quick;
		if (preemptions && strstr(present.name, words))
			failed += !test(++tests);
	}
	printf("1..%u\n", tests);
	return failed ? 1 : 0;
}
