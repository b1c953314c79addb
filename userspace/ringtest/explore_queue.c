// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue, explored: a few tasks that send, receive, sleep, poll, fault and are
 * signalled, in every order of their steps.  For each order:
 *  - an index is taken only from a ring that has it: each is in one place;
 *  - a message that was sent arrives once and whole, or is still in the queue; one
 *    whose sending failed does not arrive;
 *  - "full" and "empty" are said only if that was so at some moment of the call;
 *  - the history is that of a FIFO, but where a buffer of a reader was not there;
 *  - nobody sleeps in the end who has something to do.
 *
 * Usage: explore_queue [--short|--control]
 *
 * --short has lower bounds, and --control ends at the first fault.
 */

#include <stdio.h>

#include "queue_under_test.h"
#include "linear.h"

#define MAX_THREADS	STEPS_MAX_THREADS
#define OPS_PER_THREAD	(LINEAR_MAX_OPS / MAX_THREADS)

/*
 * What a thread does, a letter each:
 *	s send, t send or EAGAIN, l send a long message,
 *	f send from a page that is missing, F from a bad address,
 *	r receive, q receive or EAGAIN, k receive with room for a short message,
 *	g receive to a page that is missing again and again, G to a bad address,
 *	i poll until there is something to read, e the same exclusively, o until there
 *	is room, n whether there is something to read just now,
 *	0 to 5 send that thread a signal.
 * A signal ends the call that it interrupts; what comes next in the script is what
 * the process does then, if anything.
 *
 * The rings are @skew positions on at first, and @fill messages wait.
 */
struct scenario {
	const char *name;
	unsigned int skew, fill;
	const char *scripts[MAX_THREADS];
	unsigned int brief, full;	/* bounds on preemptions */
};

#define ALL	SEARCH_ALL

/* All with 2 slots. */
static const struct scenario scenarios[] = {
	{ "1 writer, 1 reader, twice", 1, 0, { "ss", "rr" }, ALL, ALL },
	{ "reader that steals", 1, 0, { "r", "q", "s" }, ALL, ALL },
	{ "writer that steals", 1, 2, { "s", "t", "r" }, ALL, ALL },
	{ "message too long for one of two readers", 1, 0, { "k", "r", "l" }, ALL, ALL },
	{ "message too long, others before", 1, 2, { "k", "q", "l" }, ALL, ALL },
	{ "2 writers, 1 reader", 1, 0, { "s", "s", "r" }, ALL, ALL },
	{ "1 writer, 2 readers", 1, 0, { "s", "r", "r" }, ALL, ALL },
	{ "poller for messages that never reads", 1, 0, { "i", "r", "s" }, 4, ALL },
	{ "exclusive poller that never reads", 1, 0, { "e", "r", "s" }, 4, ALL },
	{ "poller for room that never writes", 1, 2, { "o", "s", "r" }, 4, ALL },
	{ "poller, reader with a bad address", 1, 0, { "i", "G", "s" }, 4, ALL },
	{ "reader whose page is missing", 1, 1, { "g", "r", "s" }, 4, 6 },
	{ "reader with a bad address", 1, 1, { "G", "r", "s" }, 5, ALL },
	{ "writer whose page is missing", 1, 1, { "f", "s", "r" }, 4, ALL },
	{ "2 writers asleep", 1, 2, { "s", "s", "rr" }, 4, ALL },
	{ "reader with a bad address, never empty", 1, 2, { "q", "rsr", "G" }, 5, 6 },
	{ "poller, reader with a bad address, never empty", 1, 2, { "n", "rsr", "G" }, 5, 6 },
	{ "2 writers, 1 reader, twice", 1, 0, { "ss", "s", "rr" }, 4, 6 },
	{ "1 writer, 2 readers, twice", 1, 0, { "ss", "r", "r" }, 4, 6 },
	{ "2 writers, 2 readers", 1, 1, { "s", "s", "r", "r" }, 3, 5 },
	{ "signal for one of two writers", 1, 2, { "s", "s", "r", "0" }, 3, ALL },
	{ "signal for one of two readers", 1, 0, { "r", "r", "s", "0" }, 3, ALL },
	{ "two readers with bad addresses", 1, 1, { "G", "G", "q", "s" }, 3, 4 },
	{ "writer with a bad address", 1, 1, { "F", "s", "s", "r" }, 3, 5 },
	{ "poller, signal, two readers", 1, 0, { "i", "r", "r", "s", "1" }, 2, 3 },
};

static const struct scenario *scenario;

enum outcome { UNSENT, SENDING, SENT, FAILED };

static struct {
	struct linear_op ops[LINEAR_MAX_OPS];
	int initial[8];
	uint64_t ended;
	unsigned int n_ops[MAX_THREADS];
	/* By message. */
	enum outcome outcome[LINEAR_MAX_OPS];
	bool received[LINEAR_MAX_OPS];
	/* By thread: what it is about, and what was so at some moment of its call. */
	char doing[MAX_THREADS];
	bool was_empty[MAX_THREADS], was_full[MAX_THREADS];
} now;

static bool is_fifo;	/* no receive of this scenario hands a message back */

static void look_on(void)
{
	bool empty = !mpmcq_queue_readable(queue), full = !mpmcq_queue_writable(queue);

	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		now.was_empty[i] |= (now.doing[i] == 'q' || now.doing[i] == 'n') && empty;
		now.was_full[i] |= now.doing[i] == 't' && full;
	}
}

static void begin(unsigned int self, char what)
{
	now.doing[self] = what;
	now.was_empty[self] = false;
	now.was_full[self] = false;
}

/* A thread between two operations has nothing on its mind but its script. */
static void end(unsigned int self, const char *script)
{
	now.doing[self] = 0;
	now.was_empty[self] = false;
	now.was_full[self] = false;
	tasks[self].signalled = false;
	steps_forget(self);
	saw((intptr_t)script);
}

static void sent(unsigned int message, ssize_t ret, size_t len, char what, unsigned int self)
{
	if (ret > 0 && (size_t)ret != len)
		search_fault("a send returned another length");
	if (ret == -EAGAIN && (what != 't' || !now.was_full[self]))
		search_fault("a send said EAGAIN though there was room all the time");
	if (ret == -ERESTARTSYS && !tasks[self].signalled)
		search_fault("a send was interrupted by no signal");
	if (ret == -EFAULT && what != 'F')
		search_fault("a send said EFAULT of a good address");
	if (ret <= 0 && ret != -EAGAIN && ret != -ERESTARTSYS && ret != -EFAULT)
		search_fault("a send returned another error");
	if (ret <= 0 && now.received[message])
		search_fault("a message arrived whose sending failed");
	now.outcome[message] = ret > 0 ? SENT : FAILED;
}

static void do_send(unsigned int self, char what)
{
	bool is_long = what == 'l';
	unsigned int id = self * OPS_PER_THREAD + now.n_ops[self]++;
	u64 message = id | (is_long ? LINEAR_LONG : 0);
	ssize_t ret;

	now.outcome[id] = SENDING;
	now.ops[id] = (struct linear_op){ .put = true, .value = message, .before = now.ended };
	ret = send_value(message, is_long, what == 'f', what == 'F', what == 't');
	sent(id, ret, is_long ? LEN_LONG : LEN_SHORT, what, self);
	if (ret > 0) {
		now.ops[id].used = true;
		now.ended |= 1ULL << id;
	}
}

static void received(u64 message, ssize_t ret)
{
	unsigned int id = message & ~LINEAR_LONG;

	if (ret != (message & LINEAR_LONG ? LEN_LONG : LEN_SHORT) || id >= LINEAR_MAX_OPS ||
	    (now.outcome[id] != SENDING && now.outcome[id] != SENT)) {
		search_fault("what arrived is no message that was sent");
		return;
	}
	if (now.received[id])
		search_fault("a message arrived twice");
	now.received[id] = true;
}

static void not_received(ssize_t ret, char what, unsigned int self)
{
	if (ret == -EAGAIN && (what != 'q' || !now.was_empty[self]))
		search_fault("a receive said EAGAIN though there was a message all the time");
	if (ret == -ERESTARTSYS && !tasks[self].signalled)
		search_fault("a receive was interrupted by no signal");
	if (ret == -EFAULT && what != 'G')
		search_fault("a receive said EFAULT of a good address");
	if (ret == -EMSGSIZE && what != 'k')
		search_fault("a receive said EMSGSIZE though there is room");
	if (ret != -EAGAIN && ret != -ERESTARTSYS && ret != -EFAULT && ret != -EMSGSIZE)
		search_fault("a receive returned another error");
}

static void do_receive(unsigned int self, char what)
{
	unsigned int id = self * OPS_PER_THREAD + now.n_ops[self]++;
	struct linear_op *op = &now.ops[id];
	ssize_t ret;
	u64 message;

	*op = (struct linear_op){ .before = now.ended };
	ret = receive_value(&message, what != 'k', 2 * (what == 'g'), what == 'G', what == 'q');
	if (ret > 0)
		received(message, ret);
	else
		not_received(ret, what, self);
	op->value = ret > 0 ? (int)message : ret == -EAGAIN ? LINEAR_EMPTY : LINEAR_TOO_LONG;
	op->used = ret > 0 || ret == -EAGAIN || ret == -EMSGSIZE;
	if (op->used)
		now.ended |= 1ULL << id;
}

/* poll(2) that does not wait: says no only if that was so at some moment. */
static void look_once(unsigned int self)
{
	if (!poll_queue(FMODE_READ, false, false) && !now.was_empty[self])
		search_fault("poll said no though there was a message all the time");
}

static void run_script(unsigned int self)
{
	for (const char *p = scenario->scripts[self]; *p; p++) {
		begin(self, *p);
		if (strchr("stlfF", *p))
			do_send(self, *p);
		else if (strchr("rqkgG", *p))
			do_receive(self, *p);
		else if (strchr("ieo", *p))
			poll_queue(*p == 'o' ? FMODE_WRITE : FMODE_READ, *p == 'e', true);
		else if (*p == 'n')
			look_once(self);
		else
			shim_signal(&tasks[*p - '0']);
		end(self, p);
	}
}

/* The messages that wait at first have the highest numbers, which no operation has. */
static void set_up(void)
{
	memset(&now, 0, sizeof(now));
	queue_set_up(1, scenario->skew);
	for (unsigned int i = 0; i < scenario->fill; i++) {
		unsigned int id = LINEAR_MAX_OPS - 1 - i;

		send_value(id, false, 0, false, true);
		now.initial[i] = id;
		now.outcome[id] = SENT;
	}
}

static uint64_t hash(void)
{
	uint64_t hash = hash_queue();

	for (unsigned int i = 0; i < LINEAR_MAX_OPS; i++)
		if (now.outcome[i] || now.ops[i].used)
			hash = search_mix(search_mix(search_mix(hash, i), now.ops[i].value),
					  now.outcome[i] << 1 | now.received[i]);
	for (unsigned int i = 0; is_fifo && i < LINEAR_MAX_OPS; i++)
		hash = search_mix(hash, now.ops[i].before);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		hash = search_mix(hash, now.doing[i] << 2 | now.was_empty[i] << 1 |
				  now.was_full[i]);
	return hash;
}

/* A message that was sent and did not arrive is in a slot, and that in a ring. */
static void check_messages(void)
{
	unsigned int waiting = 0, in_rings = __builtin_popcount(holds.ready | holds.returned);

	for (unsigned int id = 0; id < LINEAR_MAX_OPS; id++) {
		bool there = false;

		if (now.outcome[id] != SENT || now.received[id])
			continue;
		for (unsigned int i = 0; i < queue->capacity; i++)
			if ((holds.ready | holds.returned) & 1U << i)
				there |= (*(u64 *)slot_of(queue, i)->data & ~LINEAR_LONG) == id;
		if (!there)
			search_fault("a message is lost");
		waiting++;
	}
	if (waiting != in_rings)
		search_fault("there are more messages in the queue than were sent");
}

static void end_of_order(void)
{
	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		if (now.doing[i] && strchr("rqkgGie", now.doing[i]) && mpmcq_queue_readable(queue))
			search_fault("somebody sleeps though a message waits");
		if (now.doing[i] && strchr("stlfFo", now.doing[i]) && mpmcq_queue_writable(queue))
			search_fault("somebody sleeps though there is room");
	}
	if ((holds.free | holds.ready | holds.returned) != (1U << queue->capacity) - 1)
		search_fault("an index is in no ring");
	check_messages();
	if (is_fifo && !linear_fifo(now.ops, now.initial, scenario->fill))
		search_fault("the history is not that of a FIFO");
}

static const char *explore(unsigned int preemptions, struct search_counts *counts)
{
	struct search s = { .preemptions = preemptions, .set_up = set_up, .thread = run_script,
			    .asleep = shim_asleep, .after = look_on, .hash = hash,
			    .end = end_of_order };

	is_fifo = true;
	signals = false;
	pollers = false;
	while (s.threads < MAX_THREADS && scenario->scripts[s.threads]) {
		const char *script = scenario->scripts[s.threads++];

		is_fifo &= !strpbrk(script, "gG");
		signals |= !!strpbrk(script, "012345");
		pollers |= !!strpbrk(script, "ieo");
	}
	return search(&s, counts);
}

/* Explores the present scenario and prints what came of it; whether all is well. */
static bool test(unsigned int number, unsigned int preemptions)
{
	struct search_counts counts;
	const char *fault = explore(preemptions, &counts);
	char bound[64] = "every order";

	if (preemptions != ALL)
		snprintf(bound, sizeof(bound), "every order with up to %u preemptions",
			 preemptions);
	printf("%s %u - %s: %s\n", fault ? "not ok" : "ok", number, scenario->name,
	       fault ?: bound);
	if (fault)
		search_print_order();
	printf("# orders %.3g, states %lu, steps %lu\n", counts.orders, counts.states,
	       counts.steps);
	fflush(stdout);
	return !fault;
}

int main(int argc, char **argv)
{
	bool control = argc == 2 && !strcmp(argv[1], "--control");
	bool brief = control || (argc == 2 && !strcmp(argv[1], "--short"));
	unsigned int failed = 0;

	if (argc > 1 && !brief) {
		fprintf(stderr, "usage: explore_queue [--short|--control]\n");
		return 2;
	}
	printf("TAP version 13\n");
	for (unsigned int i = 0; i < ARRAY_SIZE(scenarios) && !(control && failed); i++) {
		scenario = &scenarios[i];
		failed += !test(i + 1, brief ? scenario->brief : scenario->full);
	}
	printf("1..%zu\n", ARRAY_SIZE(scenarios));
	return failed ? 1 : 0;
}
