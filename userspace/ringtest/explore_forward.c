// SPDX-License-Identifier: GPL-2.0-only
/*
 * Forwards, explored: a few tasks that hold messages of one queue and forward them to another,
 * while others send, receive and close in both, and end leases, in every order of their steps.
 * For each order:
 *  - a message that was forwarded is in one queue or in both at each moment, and in one in the end;
 *    one that was not forwarded is where it was, and arrives once in any case;
 *  - an index is in one place of its queue;
 *  - a forward that fails says why, and nothing comes after the end of a queue;
 *  - nobody sleeps in the end who has something to do.
 *
 * Usage: explore_forward [--quick|--short|--control [WORDS]]
 *
 * The options are those of explore_queue.
 */

#include "queue_under_test.h"

#define MAX_THREADS	STEPS_MAX_THREADS
#define MAX_MESSAGES	16
#define ALL_SLOTS	3U	/* of a queue, a mask */

/*
 * What a thread does, a letter each.  In the first queue:
 *	h receive and hold the message, S send, R receive, c close,
 *	z a deadline passes: what thread 0 holds comes back to be read again,
 * with what the thread holds:
 *	w forward it to the other queue, t the same or EAGAIN, H forward it to the first queue,
 *	a acknowledge it,
 * and in the other queue:
 *	s send, r receive, C close.
 */
struct scenario {
	const char *name;
	unsigned int fill, other_fill;	/* messages that wait at first */
	const char *scripts[MAX_THREADS + 1];
	unsigned int brief, full;	/* bounds on preemptions */
};

#define ALL	SEARCH_ALL
#define QUICK	2	/* preemptions at most with --quick */

/* Each queue has 2 slots. */
static const struct scenario scenarios[] = {
	{ "forward, 1 reader", 1, 0, { "hw", "r" }, ALL, ALL },
	{ "forward, readers on both sides", 2, 0, { "hw", "r", "R" }, 4, ALL },
	{ "2 forwards, room for one", 2, 1, { "hw", "hw", "r" }, 3, 4 },
	{ "forward waits for room", 1, 2, { "hw", "rr" }, ALL, ALL },
	{ "forward waits for room beside a writer", 1, 2, { "hw", "s", "rr" }, 3, 4 },
	{ "forward makes room for a writer", 2, 0, { "hw", "S", "r" }, 4, ALL },
	{ "forward that does not wait", 1, 1, { "hta", "s", "r" }, 4, ALL },
	{ "lease ends", 1, 0, { "hw", "z", "r" }, ALL, ALL },
	{ "lease ends while the forward waits", 1, 2, { "hw", "z", "rr" }, 4, ALL },
	{ "lease ends, a writer waits for the slot", 1, 2, { "hw", "z", "s", "r" }, 2, 3 },
	{ "lease ends, reader", 1, 1, { "hw", "z", "R" }, ALL, ALL },
	{ "other queue closes", 1, 2, { "hwa", "C", "rr" }, 3, 5 },
	{ "other queue closes, reader waits for its end", 1, 0, { "hwa", "C", "r" }, ALL, ALL },
	{ "end waits for a forward", 1, 0, { "hw", "R", "c" }, ALL, ALL },
	{ "end waits for a forward that waits", 1, 2, { "hw", "R", "c", "r" }, 2, 3 },
	{ "end waits for a lease that ends", 1, 1, { "hw", "z", "RR", "c" }, 2, 3 },
	{ "to the same queue", 2, 0, { "hH", "R", "S" }, 4, ALL },
	{ "to the same queue, lease ends", 1, 0, { "hH", "z", "R" }, ALL, ALL },
	{ "to the same queue, close", 1, 0, { "hHa", "R", "c" }, ALL, ALL },
};

static const struct scenario *scenario;

enum outcome { UNSENT, SENDING, SENT };

static struct {
	u64 messages;			/* so many so far, numbered from 1 on */
	enum outcome outcome[MAX_MESSAGES];
	bool received[MAX_MESSAGES];
	bool forwarded[MAX_MESSAGES];	/* it is about to be in the other queue */
	struct mpmcq_holder holder[MAX_THREADS];
	u64 holds[MAX_THREADS];		/* which message it was, 0 for none */
	char doing[MAX_THREADS];
	bool was_full[MAX_THREADS];	/* the other queue, at some moment of a forward */
} now;

static bool is_closed(const struct mpmcq_queue *q)
{
	return q->closings.counter & 1;
}

static void note_forward(u32 index)
{
	u64 value = value_at(other, index);

	if (!value || value > now.messages)
		search_fault("what was forwarded is no message");
	now.forwarded[value] = true;
}

static void do_send(struct mpmcq_queue *q)
{
	const struct mpmcq_caller by = { };
	u64 value = ++now.messages;
	struct iov_iter from = { .count = LEN_SHORT, .value = value };
	ssize_t ret;

	now.outcome[value] = SENDING;	/* and may arrive */
	ret = mpmcq_send(q, &from, MPMCQ_WAIT_FOREVER, &by);
	if (ret != LEN_SHORT && !(ret == -EPIPE && is_closed(q)))
		search_fault("a send returned another error");
	if (ret < 0 && now.received[value])
		search_fault("a message arrived whose sending failed");
	now.outcome[value] = ret > 0 ? SENT : UNSENT;
}

static void received(u64 value)
{
	if (!value || value > now.messages || now.outcome[value] == UNSENT)
		search_fault("what arrived is no message that was sent");
	else if (now.received[value])
		search_fault("a message arrived twice");
	now.received[value] = true;
}

/* When somebody was told that it is the end of a queue.  A send that fails may have a slot yet. */
static void check_end(const struct mpmcq_queue *q)
{
	const struct holds *h = q == queue ? &holds : &other_holds;
	bool held = false;

	for (unsigned int i = 0; i < MAX_THREADS; i++)
		held |= q == queue && now.holder[i].held;
	if (!is_closed(q) || held || h->ready || h->returned)
		search_fault("a receive said that it was the end, and it is not");
}

/* Takes a message, and holds it if that is wanted. */
static void do_receive(unsigned int self, struct mpmcq_queue *q, bool hold)
{
	struct iov_iter to = { .count = LEN_SHORT };
	u32 index;
	struct mpmcq_claim claim = { .wait_ms = MPMCQ_WAIT_FOREVER, .index = &index };
	ssize_t ret = mpmcq_receive(q, &to, &claim);

	if (!ret) {
		ended |= q == queue;
		other_ended |= q == other;
		check_end(q);
	} else if (ret != LEN_SHORT) {
		search_fault("a receive returned an error");
	} else if (hold) {
		now.holder[self] = (struct mpmcq_holder){ queue, index, true };
		now.holds[self] = to.value;
	} else {
		received(to.value);
		mpmcq_free_one(q, index);
	}
}

/* One that comes back is read again. */
static void end_lease(unsigned int self)
{
	struct mpmcq_holder *h = &now.holder[self];
	u32 index;

	if (mpmcq_holder_release(h, 0, &index))
		mpmcq_give_back(queue, &index, 1, MPMCQ_SETTLE_FRONT | MPMCQ_CAME_BACK, 0);
}

static void do_forward(unsigned int self, char what)
{
	struct mpmcq_queue *to = what == 'H' ? queue : other;
	struct mpmcq_forwarding msg = { .wait_ms = what == 't' ? 0 : MPMCQ_WAIT_FOREVER };
	bool other_was_closed = is_closed(to);
	int ret;

	if (!now.holds[self])
		return;
	ret = mpmcq_forward(queue, &now.holder[self], to, &msg);
	if (ret == -ENOENT && (!search_has("z") || now.holder[self].held))
		search_fault("a forward said ENOENT of a message that is held");
	if (ret && ret != -ENOENT && !now.holder[self].held && !search_has("z"))
		search_fault("a forward failed, and its message is not held any more");
	if (ret == -EPIPE && !is_closed(to))
		search_fault("a forward said EPIPE of an open queue");
	if (ret == -EAGAIN && !(what == 't' && now.was_full[self]))
		search_fault("a forward said EAGAIN though it may wait, or there was room");
	if (ret && ret != -ENOENT && ret != -EPIPE && ret != -EAGAIN)
		search_fault("a forward returned another error");
	if (!ret && other_was_closed)
		search_fault("a forward to a closed queue went through");
	if (!ret && now.holder[self].held)
		search_fault("a forward left its message held");
	if (!ret && to == other && !now.forwarded[now.holds[self]])
		search_fault("a forward sent nothing");
	if (ret && to == other && now.forwarded[now.holds[self]])
		search_fault("a forward failed and went through");
}

static void acknowledge(unsigned int self)
{
	u32 index;

	if (!mpmcq_holder_release(&now.holder[self], 0, &index))
		return;
	received(now.holds[self]);
	mpmcq_free_one(queue, index);
}

static void do_one(unsigned int self, char what)
{
	switch (what) {
	case 'h':
	case 'R':
		do_receive(self, queue, what == 'h');
		break;
	case 'r':
		do_receive(self, other, false);
		break;
	case 'S':
		do_send(queue);
		break;
	case 's':
		do_send(other);
		break;
	case 'w':
	case 't':
	case 'H':
		do_forward(self, what);
		break;
	case 'a':
		acknowledge(self);
		break;
	case 'z':
		end_lease(0);
		break;
	case 'c':
		mpmcq_queue_close(queue, false);
		break;
	case 'C':
		mpmcq_queue_close(other, false);
		break;
	}
}

static void run_script(unsigned int self)
{
	for (const char *p = scenario->scripts[self]; *p; p++) {
		step();		/* so that it begins late in some orders */
		now.doing[self] = *p;
		now.was_full[self] = false;
		do_one(self, *p);
		now.doing[self] = 0;
		steps_forget(self);
		saw((intptr_t)p);
	}
}

/* Slots of a queue that are not free and have that message. */
static unsigned int places_in(struct mpmcq_queue *q, const struct holds *h, u64 value)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < q->config.capacity; i++)
		n += !(h->free & 1U << i) && value_at(q, i) == value;
	return n;
}

/* At each moment: a message that somebody forwards is there; and whether there is room for it. */
static void look_on(void)
{
	bool full = !filled(&other->free);

	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		u64 value = now.holds[i];

		now.was_full[i] |= full && now.doing[i] == 't';
		if (value && now.doing[i] && !now.received[value] && !now.forwarded[value] &&
		    !places_in(queue, &holds, value))
			search_fault("a message is in neither queue");
	}
}

/* In the end: a message has arrived, or is in one place. */
static void check_messages(void)
{
	for (u64 value = 1; value <= now.messages; value++) {
		unsigned int places = now.received[value];

		if (now.outcome[value] != SENT)
			continue;
		places += places_in(queue, &holds, value) + places_in(other, &other_holds, value);
		if (!places)
			search_fault("a message is lost");
		if (places > 1)
			search_fault("a message is in two places");
	}
}

static void check_sleeper(char what)
{
	if (strchr("wts", what) && (other_holds.free || is_closed(other)))
		search_fault("somebody sleeps though there is room, or the queue is closed");
	if (what == 'S' && (holds.free || is_closed(queue)))
		search_fault("somebody sleeps though there is room, or the queue is closed");
	if (what == 'r' && other_holds.ready)
		search_fault("somebody sleeps though a message waits");
	if (strchr("hR", what) && (holds.ready || holds.returned))
		search_fault("somebody sleeps though a message waits");
	if ((what == 'r' && is_closed(other) && other_holds.free == ALL_SLOTS) ||
	    (strchr("hR", what) && is_closed(queue) && holds.free == ALL_SLOTS))
		search_fault("somebody sleeps though it is the end");
}

static void end_of_order(void)
{
	unsigned int held = 0;

	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		if (now.doing[i])
			check_sleeper(now.doing[i]);
		if (now.holder[i].held)
			held |= 1U << now.holder[i].index;
	}
	if ((held_by(&holds) | held) != ALL_SLOTS || held_by(&holds) & held)
		search_fault("an index is in no ring, or in a ring and held");
	if (held_by(&other_holds) != ALL_SLOTS)
		search_fault("an index of the other queue is in no ring");
	check_messages();
}

static void set_up(void)
{
	memset(&now, 0, sizeof(now));
	on_forwarded = NULL;
	queue_set_up(1, 1, 0, 0, 1, USES_RETURNED);
	other_set_up(1);
	for (unsigned int i = 0; i < scenario->fill; i++)
		do_send(queue);
	for (unsigned int i = 0; i < scenario->other_fill; i++)
		do_send(other);
	on_forwarded = note_forward;
}

static uint64_t hash(void)
{
	uint64_t hash = search_mix(hash_queue(), now.messages);

	for (u64 i = 1; i <= now.messages; i++)
		hash = search_mix(hash, now.outcome[i] << 2 | now.received[i] << 1 |
				  now.forwarded[i]);
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		hash = search_mix(search_mix(hash, now.holds[i]),
				  now.doing[i] << 16 | now.was_full[i] << 8 |
				  now.holder[i].index << 1 | now.holder[i].held);
	return hash;
}

static void prepare(void)
{
	closers = search_has("cC");
}

static struct search_case choose(unsigned int i)
{
	scenario = &scenarios[i];
	return (struct search_case){ scenario->name, scenario->scripts, scenario->brief,
				     scenario->full };
}

int main(int argc, char **argv)
{
	static const struct search explorer = {
		.name = "explore_forward", .quick = QUICK, .cases = ARRAY_SIZE(scenarios),
		.choose = choose, .prepare = prepare, .set_up = set_up, .thread = run_script,
		.asleep = shim_asleep, .after = look_on, .hash = hash, .end = end_of_order,
	};

	return search_main(&explorer, argc, argv);
}
