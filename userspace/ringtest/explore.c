// SPDX-License-Identifier: GPL-2.0-only
/*
 * The index ring, explored: a few threads, each a few operations, in every order
 * of their accesses to shared memory (sequentially consistent; what processors
 * may reorder is for ThreadSanitizer and the memory model).
 *
 * Two rings hand slots round, as in the queue.  For each order:
 *  - an index is taken only from a ring that has it: each is in one place;
 *  - the history of each ring is that of a FIFO (linear.h);
 *  - rings are said to hold all indices only if they did at some moment of the call,
 *    and not to only if they did not;
 *  - in the end every index is in a ring or was never put back by its script.
 *
 * Usage: explore [--short|--control [WORDS]]
 *
 * --short leaves out the larger cases.  --control does as well, takes only what has
 * WORDS in its name, and ends at the first fault.
 */

#include <string.h>

#define SHIM_STEPS
#include "shim.h"
#include "linear.h"
#include "search.h"
#ifdef PLANT_NAIVE_RING
#include "naive_ring.h"
#elif defined(RING_HEADER)
#include RING_HEADER
#else
#include "../../kmod/index_ring.h"
#endif

#define MAX_SLOTS	8
#define MAX_THREADS	4
#define OPS_PER_THREAD	(LINEAR_MAX_OPS / MAX_THREADS)

/*
 * What a thread does, a letter each: s send, r receive, S and R two at once, h ask
 * whether the two rings hold all indices, H whether free does.
 * Before the threads start, @skew messages have gone through the queue, so that
 * positions wrap within the case, and @fill wait in it.
 */
struct scenario {
	const char *name;
	unsigned int order, skew, fill;
	const char *scripts[MAX_THREADS + 1];
	bool is_long;
};

static const struct scenario scenarios[] = {
	{ "2 producers, 1 consumer, capacity 2", 1, 1, 0, { "s", "s", "rr" }, false },
	{ "1 producer, 2 consumers, capacity 2", 1, 1, 0, { "ss", "rr", "r" }, false },
	{ "2 producers, 2 consumers, capacity 2", 1, 1, 1, { "s", "s", "r", "r" }, true },
	{ "2 producers, full, capacity 2", 1, 3, 2, { "s", "s", "r" }, false },
	{ "2 consumers, nearly empty, capacity 2", 1, 2, 1, { "rr", "r", "s" }, false },
	{ "2 producers, 1 consumer, capacity 4", 2, 3, 1, { "s", "s", "rr" }, false },
	{ "1 producer, 2 consumers, capacity 4", 2, 3, 2, { "ss", "r", "r" }, false },
	{ "two at once, capacity 2", 1, 1, 0, { "S", "s", "R" }, false },
	{ "two at once, capacity 4", 2, 3, 1, { "S", "s", "R" }, false },
	{ "two producers two at once, capacity 4", 2, 3, 0, { "S", "S", "R" }, false },
	{ "two consumers two at once, capacity 4", 2, 2, 3, { "R", "R", "S" }, false },
#ifndef PLANT_NAIVE_RING
	{ "all in two rings? 2 producers, capacity 2", 1, 1, 0, { "s", "s", "h" }, false },
	{ "all in two rings? 2 consumers, capacity 2", 1, 1, 2, { "r", "r", "h" }, false },
	{ "all in two rings? one of each, capacity 2", 1, 1, 1, { "s", "r", "h" }, false },
	{ "all in two rings? twice, capacity 2", 1, 1, 1, { "sr", "r", "h" }, false },
	{ "all in two rings? two ask, capacity 2", 1, 3, 1, { "s", "r", "h", "h" }, false },
	{ "all in two rings? two at once, capacity 4", 2, 3, 2, { "S", "r", "h" }, false },
	{ "all in one ring? 2 consumers, capacity 2", 1, 1, 1, { "s", "r", "r", "H" }, false },
	{ "all in one ring? round and round, capacity 2", 1, 1, 1, { "rsr", "r", "H" }, false },
	{ "all in one ring? behind by a lap, capacity 2", 1, 1, 2, { "rH", "rsrsr" }, false },
	{ "all in one ring? two at once, capacity 4", 2, 3, 3, { "R", "r", "H" }, false },
	{ "all in two rings? 2 producers, capacity 4", 2, 3, 2, { "s", "s", "r", "h" }, true },
#endif
	{ "send behind by a lap, capacity 2", 1, 1, 0, { "s", "srsrsr" }, false },
	{ "receive behind by a lap, capacity 2", 1, 1, 1, { "r", "srsrsrs" }, false },
	{ "two at once through laps, capacity 2", 1, 1, 0, { "SS", "RR", "r" }, true },
	{ "2 producers, 1 consumer, twice, capacity 2", 1, 1, 0, { "ss", "s", "rr" }, true },
	{ "2 producers, 1 consumer, twice, capacity 4", 2, 3, 1, { "ss", "s", "rr" }, true },
	{ "1 producer, 2 consumers, twice, capacity 4", 2, 3, 2, { "ss", "rr", "r" }, true },
};

/* One ring with its history. */
struct tracked {
	struct index_ring ring;
	atomic64_t entries[MAX_SLOTS];
	struct linear_op ops[LINEAR_MAX_OPS];
	int initial[MAX_SLOTS];
	unsigned int n_initial;
	unsigned int holds;		/* mask of indices: put or being put, not taken */
};

static struct state {
	struct tracked free, ready;
	atomic64_t slots[MAX_SLOTS];
	uint64_t ended[2];		/* per ring: mask of operations that ended */
	unsigned int n_ops[MAX_THREADS];
	/* By thread: what it asks, and what was so at some moment of the call. */
	char asks[MAX_THREADS];
	bool was_all[MAX_THREADS], was_not_all[MAX_THREADS];
} now;

static const struct scenario *scenario;

static uint64_t *ended_of(struct tracked *t)
{
	return &now.ended[t == &now.ready];
}

/* Notes that thread @self begins an operation; returns its number. */
static unsigned int begin(struct tracked *t, unsigned int self, bool put, int value)
{
	unsigned int id = self * OPS_PER_THREAD + now.n_ops[self]++;

	t->ops[id] = (struct linear_op){ .used = true, .put = put, .value = value,
					 .before = *ended_of(t) };
	return id;
}

static void end(struct tracked *t, unsigned int id)
{
	*ended_of(t) |= 1ULL << id;
}

static void note_taken(struct tracked *t, int index)
{
	if (!(t->holds & 1U << index))
		search_fault("an index was taken that is not in the ring");
	t->holds &= ~(1U << index);
}

static void note_put(struct tracked *t, u32 index)
{
	if ((now.free.holds | now.ready.holds) & 1U << index)
		search_fault("an index was put that is in a ring");
	t->holds |= 1U << index;
}

/* Takes up to @want; how many.  Those of one call are one after the other. */
static unsigned int take(struct tracked *t, unsigned int self, u32 *indices, unsigned int want)
{
	unsigned int id = begin(t, self, false, LINEAR_EMPTY), got;
	uint64_t before = t->ops[id].before;

	if (want > 1) {
		got = index_ring_take_n(&t->ring, indices, want);
	} else {
		int index = index_ring_take(&t->ring);

		got = index != INDEX_RING_EMPTY;
		indices[0] = index;
	}
	for (unsigned int i = 0; i < got; i++) {
		note_taken(t, indices[i]);
		if (i) {
			unsigned int last = id;

			id = begin(t, self, false, LINEAR_EMPTY);
			t->ops[id].before = before | 1ULL << last;
			end(t, last);
		}
		t->ops[id].value = indices[i];
	}
	end(t, id);
	return got;
}

static void put(struct tracked *t, unsigned int self, const u32 *indices, unsigned int n)
{
	unsigned int first = 0, id = 0;

	for (unsigned int i = 0; i < n; i++) {
		note_put(t, indices[i]);
		id = begin(t, self, true, indices[i]);
		if (i)
			t->ops[id].before |= 1ULL << (id - 1);
		else
			first = id;
	}
	if (n > 1)
		index_ring_put_n(&t->ring, indices, n);
	else
		index_ring_put(&t->ring, indices[0]);
	for (unsigned int i = 0; i < n; i++)
		end(t, first + i);
}

static void send(unsigned int self, unsigned int want)
{
	u32 indices[2];
	unsigned int n = take(&now.free, self, indices, want);

	for (unsigned int i = 0; i < n; i++)
		atomic64_set(&now.slots[indices[i]], 1);
	if (n)
		put(&now.ready, self, indices, n);
}

static void receive(unsigned int self, unsigned int want)
{
	u32 indices[2];
	unsigned int n = take(&now.ready, self, indices, want);

	for (unsigned int i = 0; i < n; i++) {
		if (atomic64_read(&now.slots[indices[i]]) != 1)
			search_fault("a message was taken that is not written");
		atomic64_set(&now.slots[indices[i]], 0);
	}
	if (n)
		put(&now.free, self, indices, n);
}

#ifdef PLANT_NAIVE_RING
static void ask(unsigned int self, char what)
{
	(void)self;
	(void)what;
}

static void look_on(void)
{
}
#else
/* How many indices can be taken just now. */
static unsigned int filled(const struct index_ring *ring)
{
	s64 head = ring->head.counter, pos = head;

	while (!__index_ring_ahead(ring->table, __index_ring_entry(ring->table, pos)->counter, pos))
		pos++;
	return pos - head;
}

static void look_on(void)
{
	unsigned int free = filled(&now.free.ring), ready = filled(&now.ready.ring);

	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		bool all = free + (now.asks[i] == 'h' ? ready : 0) == 1U << scenario->order;

		now.was_all[i] |= now.asks[i] && all;
		now.was_not_all[i] |= now.asks[i] && !all;
	}
}

static void ask(unsigned int self, char what)
{
	bool all;

	now.asks[self] = what;
	all = index_ring_hold_all(&now.free.ring, what == 'h' ? &now.ready.ring : NULL,
				  1U << scenario->order);
	if (all && !now.was_all[self])
		search_fault("rings are said to hold all indices, and never did");
	if (!all && !now.was_not_all[self])
		search_fault("rings are said not to hold all indices, and did all the time");
	now.asks[self] = 0;
	now.was_all[self] = false;
	now.was_not_all[self] = false;
}
#endif

static void run_script(unsigned int self)
{
	for (const char *p = scenario->scripts[self]; *p; p++) {
		unsigned int want = *p == 'S' || *p == 'R' ? 2 : 1;

		step();		/* so that it begins late in some orders */
		if (*p == 's' || *p == 'S')
			send(self, want);
		else if (*p == 'r' || *p == 'R')
			receive(self, want);
		else
			ask(self, *p);
	}
}

/* The queue as the threads find it; none of this is part of the histories. */
static void set_up(void)
{
	unsigned int size = 1U << scenario->order, n = 0, i;
	u32 indices[MAX_SLOTS];

	memset(&now, 0, sizeof(now));
	index_ring_init(&now.free.ring, now.free.entries, scenario->order, size);
	index_ring_init(&now.ready.ring, now.ready.entries, scenario->order, 0);
	for (i = 0; i < scenario->skew + scenario->fill; i++) {
		u32 index = index_ring_take(&now.free.ring);

		if (i < scenario->skew) {
			index_ring_put(&now.ready.ring, index);
			index_ring_put(&now.free.ring, index_ring_take(&now.ready.ring));
			continue;
		}
		atomic64_set(&now.slots[index], 1);
		index_ring_put(&now.ready.ring, index);
		now.ready.initial[now.ready.n_initial++] = index;
		now.ready.holds |= 1U << index;
	}
	/* Backwards, so that no entry has by chance the index that comes next. */
	while (i++ < scenario->skew + size)
		indices[n++] = index_ring_take(&now.free.ring);
	while (n) {
		index_ring_put(&now.free.ring, indices[--n]);
		now.free.initial[now.free.n_initial++] = indices[n];
		now.free.holds |= 1U << indices[n];
	}
}

static uint64_t hash_ring(uint64_t hash, const struct tracked *t)
{
	hash = search_mix(hash, t->ring.head.counter);
	hash = search_mix(hash, t->ring.tail.counter);
	for (unsigned int i = 0; i < 1U << scenario->order; i++)
		hash = search_mix(hash, t->entries[i].counter);
	for (unsigned int i = 0; i < LINEAR_MAX_OPS; i++)
		if (t->ops[i].used)
			hash = search_mix(search_mix(search_mix(hash, i), t->ops[i].value),
					  t->ops[i].before);
	return hash;
}

static uint64_t hash(void)
{
	uint64_t hash = 0;

	for (unsigned int i = 0; i < MAX_SLOTS; i++)
		hash = search_mix(hash, now.slots[i].counter);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		hash = search_mix(hash, now.asks[i] << 2 | now.was_all[i] << 1 |
				  now.was_not_all[i]);
	return hash_ring(hash_ring(hash, &now.free), &now.ready);
}

static void end_of_order(void)
{
	if (now.free.holds + now.ready.holds != (1U << (1U << scenario->order)) - 1)
		search_fault("an index is in no ring");
	if (!linear_fifo(now.free.ops, now.free.initial, now.free.n_initial) ||
	    !linear_fifo(now.ready.ops, now.ready.initial, now.ready.n_initial))
		search_fault("a history is not that of a FIFO");
}

static struct search_case choose(unsigned int i)
{
	scenario = &scenarios[i];
	return (struct search_case){ scenario->name, scenario->scripts,
				     scenario->is_long ? 0 : SEARCH_ALL, SEARCH_ALL };
}

int main(int argc, char **argv)
{
	static const struct search explorer = {
		.name = "explore", .cases = ARRAY_SIZE(scenarios), .choose = choose,
		.set_up = set_up, .thread = run_script, .after = look_on, .hash = hash,
		.end = end_of_order,
	};

	return search_main(&explorer, argc, argv);
}
