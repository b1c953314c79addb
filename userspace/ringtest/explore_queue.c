// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue, explored: a few tasks that send, receive, keep messages, close, sleep, poll,
 * fault and are signalled, in every order of their steps.  For each order:
 *  - an index is taken only from a ring that has it: each is in one place;
 *  - a message that was sent arrives once and whole, or is still in the queue; one
 *    whose sending failed does not arrive; one that was given back arrives again;
 *  - "full", "empty", "closed" and "the end" are said only if that was so at some
 *    moment of the call, and nothing comes after the end;
 *  - the history is that of a FIFO, but where messages come back;
 *  - no message overtakes one of a higher level that was sent before it and waits, and none is
 *    dropped for one of a lower level;
 *  - nobody sleeps in the end who has something to do.
 *
 * Usage: explore_queue [--quick|--short|--control [WORDS]]
 *
 * --short has lower bounds, --quick the lowest, and either takes only what has WORDS in its name.
 * --control does as --short, and ends at the first fault.
 */

#include "queue_under_test.h"
#include "linear.h"

#define MAX_THREADS	STEPS_MAX_THREADS
#define OPS_PER_THREAD	(LINEAR_MAX_OPS / MAX_THREADS)
#define MAX_HELD	2

/*
 * What a thread does, a letter each:
 *	s send, t send or EAGAIN, l send a long message, S send two at once,
 *	W send with a higher priority,
 *	T send with a delay, j let what is parked be due,
 *	f send from a page that is missing, F from a bad address, y from a page that can be
 *	fetched and never read,
 *	E send and A receive with a limit of time, after which it is EAGAIN,
 *	r receive, q receive or EAGAIN, k receive with room for a short message,
 *	Q and K the same as a packed read does, in no case the usual one,
 *	R receive up to two at once,
 *	g receive to a page that is missing again and again, G to a bad address, Y to a page
 *	that can be fetched and never written,
 *	h receive and keep the message, H the same, but a suspect only if nothing is kept;
 *	then, with those that are kept,
 *	a acknowledge, b give back to the front, B to the tail, V with a delay, z as the end of
 *	an open file does, d set aside,
 *	D receive a dead message, v revive all of them, x purge all,
 *	c close, C close with all due, p reopen,
 *	i poll until there is something to read, e the same exclusively, I the same and then
 *	end the file, w until there is a dead message, o until there is room, u until the end,
 *	P copy the first message that is ready, and leave it there,
 *	n whether there is something to read just now, m whether there is room,
 *	0 to 5 send that thread a signal, 6 to 8 let the time of threads 0 to 2 be up.
 * A signal ends the call that it interrupts; what comes next in the script is what
 * the process does then, if anything.
 */
#define SENDS		"stlSfFyTEW"
#define RECEIVES	"rqkQKRgGYhHA"
#define KEEPS		"hH"
#define POLLS		"ieIwou"
#define LOOKS		"nm"
#define SIGNALS		"012345"
#define TIMES_OUT	"678"
#define HANDS_BACK	"GYbBVzdDvxTW"	/* not in the order of a FIFO from then on */

/*
 * The rings are @skew positions on at first, and @fill messages wait.  @flags,
 * @max_deliveries and @order are the queue's.
 */
struct scenario {
	const char *name;
	unsigned int skew, fill;
	const char *scripts[MAX_THREADS + 1];
	unsigned int brief, full;	/* bounds on preemptions */
	u32 flags, max_deliveries;
	unsigned int order;	/* of the capacity; 0 for 1 */
	u32 levels;		/* 0 for 1 */
};

#define ALL	SEARCH_ALL
#define QUICK	2	/* preemptions at most with --quick */
#define DROP	MPMCQ_DROP_OLDEST
#define DELAY	MPMCQ_DELAY

/* With 2 slots where nothing else is said; with 8 a put may rely on the one before it. */
static const struct scenario scenarios[] = {
	{ "1 writer, 1 reader, twice", 1, 0, { "ss", "rr" }, ALL, ALL },
	{ "reader that steals", 1, 0, { "r", "q", "s" }, ALL, ALL },
	{ "writer that steals", 1, 2, { "s", "t", "r" }, ALL, ALL },
	{ "message too long for one of two readers", 1, 0, { "k", "r", "l" }, ALL, ALL },
	{ "message too long, others before", 1, 2, { "k", "q", "l" }, ALL, ALL },
	{ "message too long, others before, packed", 1, 2, { "K", "q", "l" }, ALL, ALL },
	{ "2 writers, 1 reader", 1, 0, { "s", "s", "r" }, ALL, ALL },
	{ "1 writer, 2 readers", 1, 0, { "s", "r", "r" }, ALL, ALL },
	{ "poller for messages that never reads", 1, 0, { "i", "r", "s" }, ALL, ALL },
	{ "exclusive poller that never reads", 1, 0, { "e", "r", "s" }, ALL, ALL },
	{ "exclusive poller that dies", 1, 0, { "I", "e", "s" }, ALL, ALL },
	{ "two exclusive pollers that die", 1, 0, { "I", "I", "e", "s" }, ALL, ALL },
	{ "poller for room that never writes", 1, 2, { "o", "s", "r" }, ALL, ALL },
	{ "poller, reader with a bad address", 1, 0, { "i", "G", "s" }, ALL, ALL },
	{ "reader whose page is missing", 1, 1, { "g", "r", "s" }, 4, 6 },
	{ "reader whose page is missing, another reads twice", 1, 2, { "g", "rr", "s" }, 3, 5 },
	{ "reader whose page is missing, close", 1, 1, { "g", "r", "c" }, ALL, ALL },
	{ "reader with a bad address", 1, 1, { "G", "r", "s" }, ALL, ALL },
	{ "writer whose page is missing", 1, 1, { "f", "s", "r" }, 4, ALL },
	{ "page that can be fetched and never read", 1, 1, { "ysrr" }, ALL, ALL },
	{ "page that can be fetched and never written", 1, 1, { "Ysrr" }, ALL, ALL },
	{ "2 writers asleep", 1, 2, { "s", "s", "rr" }, 4, ALL },
	{ "reader with a bad address, never empty", 1, 2, { "q", "rsr", "G" }, 3, 5 },
	{ "reader with a bad address, never empty, packed", 1, 2, { "Q", "rsr", "G" }, 4, 5 },
	{ "poller, reader with a bad address, never empty", 1, 2, { "n", "rsr", "G" }, ALL, ALL },
	{ "2 writers, 1 reader, twice", 1, 0, { "ss", "s", "rr" }, 3, 5 },
	{ "1 writer, 2 readers, twice", 1, 0, { "ss", "r", "r" }, 3, ALL },
	{ "2 writers, 2 readers", 1, 1, { "s", "s", "r", "r" }, 3, 4 },
	{ "signal for one of two writers", 1, 2, { "s", "s", "r", "0" }, ALL, ALL },
	{ "signal for one of two readers", 1, 0, { "r", "r", "s", "0" }, ALL, ALL },
	{ "timeout for one of two writers", 1, 2, { "E", "s", "r", "6" }, ALL, ALL },
	{ "timeout for one of two readers", 1, 0, { "A", "r", "s", "6" }, ALL, ALL },
	{ "timeout for one of two readers, who comes again", 1, 0, { "Ar", "r", "s", "6" }, 3, 5 },
	{ "timeout for one of two readers, close", 1, 0, { "A", "r", "s", "6c" }, 2, 4 },
	{ "timeout for both readers", 1, 0, { "A", "A", "s", "67" }, 4, ALL },
	{ "two readers with bad addresses", 1, 1, { "G", "G", "q", "s" }, 2, 3 },
	{ "writer with a bad address", 1, 1, { "F", "s", "s", "r" }, 2, 5 },
	{ "signal for one of two readers, who comes again", 1, 0, { "rr", "r", "s", "0" }, 3, 5 },
	{ "signal for one of two writers, who comes again", 1, 2, { "ss", "s", "rr", "0" }, 2, 4 },
	{ "signal for one of two readers, who then sends", 1, 0, { "rs", "r", "ss", "0" }, 2, 4 },
	{ "message too long for one of two readers, who comes again", 1, 0, { "kr", "r", "ls" },
	  3, 5 },
	{ "poller, signal, two readers", 1, 0, { "i", "r", "r", "s", "1" }, 2, 3 },

	{ "two exclusive pollers, two at once", 1, 0, { "e", "e", "S" }, ALL, ALL },
	{ "two at once, twice", 1, 0, { "SS", "RR" }, ALL, ALL },
	{ "two at once, 2 readers", 1, 0, { "S", "r", "r" }, 4, ALL },
	{ "two at once, 2 writers", 1, 1, { "S", "s", "R" }, ALL, ALL },
	{ "two at once, 2 writers, 2 readers", 1, 1, { "S", "S", "R", "R" }, 2, 4 },

	{ "rely, 2 readers", 1, 0, { "r", "r", "ss" }, 4, ALL, .order = 3 },
	{ "rely, 2 readers, 2 writers", 1, 0, { "r", "r", "s", "s" }, 3, 4, .order = 3 },
	{ "rely, reader that steals", 1, 0, { "r", "q", "ss" }, 4, ALL, .order = 3 },
	{ "rely, message too long for one of two readers", 1, 0, { "k", "r", "ls" }, 4, ALL,
	  .order = 3 },
	{ "rely, 2 writers asleep", 1, 8, { "s", "s", "rr" }, 4, ALL, .order = 3 },
	{ "rely, writer that steals", 1, 8, { "s", "t", "rr" }, ALL, ALL, .order = 3 },
	{ "rely, signal for one of two readers", 1, 0, { "r", "r", "ss", "0" }, 3, 4, .order = 3 },
	{ "rely, signal for one of two readers, who comes again", 1, 0, { "rr", "r", "ss", "0" },
	  2, 3, .order = 3 },
	{ "rely, poller, reader", 1, 0, { "i", "r", "ss" }, ALL, ALL, .order = 3 },
	{ "rely, two at once, 3 readers", 1, 0, { "r", "r", "r", "Ss" }, 2, 3, .order = 3 },
	{ "rely, one that comes back", 1, 1, { "G", "r", "ss" }, 3, ALL, .order = 3 },
	{ "rely, close", 1, 0, { "r", "r", "ss", "c" }, 2, 3, .order = 3 },

	{ "close, 1 writer, 1 reader", 1, 0, { "s", "rr", "c" }, ALL, ALL },
	{ "close, nobody waits", 1, 0, { "t", "qq", "c" }, ALL, ALL },
	{ "close, 2 readers", 1, 0, { "s", "r", "r", "c" }, 3, 4 },
	{ "close, 2 writers asleep", 1, 2, { "s", "s", "c" }, ALL, ALL },
	{ "close, 2 writers asleep, 1 reader", 1, 2, { "s", "s", "rrr", "c" }, 2, 3 },
	{ "close, two at once", 1, 0, { "S", "RR", "c" }, ALL, ALL },
	{ "close twice", 1, 0, { "s", "r", "c", "c" }, ALL, ALL },
	{ "close, writer whose page is missing", 1, 0, { "f", "r", "c" }, ALL, ALL },
	{ "close, reader with a bad address", 1, 1, { "G", "r", "c" }, ALL, ALL },
	{ "close, message too long for one of two readers", 1, 0, { "l", "k", "r", "c" }, 2, 4 },
	{ "close, writer, reader, another that steals", 1, 0, { "s", "r", "q", "c" }, 3, 5 },
	{ "close, pollers", 1, 1, { "i", "r", "c" }, ALL, ALL },
	{ "close, poller for the end", 1, 1, { "u", "r", "sc" }, ALL, ALL },
	{ "close, poller for room", 1, 2, { "o", "s", "c" }, ALL, ALL },
	{ "close, signal for one of two readers", 1, 0, { "r", "r", "c", "0" }, ALL, ALL },
	{ "reopen, 1 writer, 1 reader", 1, 0, { "ts", "r", "cp" }, 4, ALL },
	{ "reopen, nobody waits", 1, 1, { "t", "qq", "cp" }, ALL, ALL },
	{ "reopen, another closes", 1, 0, { "s", "r", "cp", "c" }, 3, 5 },

	{ "end waits for a lease", 1, 1, { "ha", "r", "c" }, ALL, ALL },
	{ "end waits for a lease, 2 readers", 1, 1, { "ha", "r", "r", "c" }, 2, 4 },
	{ "end waits for a lease that is given back", 1, 1, { "hb", "r", "c" }, ALL, ALL },
	{ "end waits for a lease that goes to the tail", 1, 1, { "hB", "r", "sc" }, ALL, ALL },
	{ "end waits for a lease, writer that fails", 1, 1, { "hb", "q", "t", "c" }, 3, 5 },
	{ "end waits for a lease, poller", 1, 1, { "ha", "u", "c" }, ALL, ALL },
	{ "end with a message set aside", 1, 1, { "hd", "r", "c" }, ALL, ALL },
	{ "end with a message set aside too late", 1, 1, { "hb", "r", "c" }, ALL, ALL,
	  .max_deliveries = 1 },
	{ "reader that keeps what it waits for", 1, 1, { "hra", "c" }, ALL, ALL },
	{ "reader that keeps what it waits for, and another", 1, 1, { "hra", "r", "c" }, ALL, ALL },
	{ "leases, 2 readers", 1, 2, { "hb", "hB", "rr" }, 3, ALL },
	{ "lease, writer asleep", 1, 2, { "ha", "hb", "s" }, ALL, ALL },

	{ "suspect for one who keeps another", 1, 2, { "hz", "HH", "r" }, 3, ALL },
	{ "suspect for one who keeps another, close", 1, 2, { "hz", "HHa", "r", "c" }, 2, 3 },
	{ "suspect, 2 who keep others", 1, 2, { "hz", "HHa", "HHa", "s" }, 2, 3 },
	{ "suspect too long for one of two readers", 1, 0, { "lhz", "k", "r" }, 3, 5 },
	{ "suspect, poller that never reads", 1, 1, { "hz", "i", "H" }, ALL, ALL },

	{ "delay, 1 reader", 1, 0, { "Tj", "r", "s" }, ALL, ALL, DELAY },
	{ "delay, 2 readers", 1, 0, { "Tj", "r", "r", "s" }, 3, 4, DELAY },
	{ "delay, poller that never reads", 1, 0, { "Tj", "i", "s" }, ALL, ALL, DELAY },
	{ "delay, close", 1, 0, { "Tj", "rr", "c" }, ALL, ALL, DELAY },
	{ "delay, close, poller for the end", 1, 0, { "Tjc", "u", "q" }, ALL, ALL, DELAY },
	{ "delay, close with all due", 1, 0, { "T", "rr", "Cj" }, ALL, ALL, DELAY },
	{ "delay, close, then all due", 1, 0, { "T", "rr", "c", "Cj" }, 3, 4, DELAY },
	{ "delay, close with all due, reopen", 1, 0, { "T", "qq", "Cjp" }, ALL, ALL, DELAY },
	{ "give back with a delay, close", 1, 1, { "hVj", "r", "c" }, ALL, ALL, DELAY },
	{ "give back with a delay, all due", 1, 1, { "hV", "r", "Cj" }, ALL, ALL, DELAY },
	{ "delay, drop", 1, 1, { "Tj", "s", "s" }, 4, ALL, DELAY | DROP },

	{ "levels, 1 reader", 1, 0, { "s", "W", "rr" }, ALL, ALL, .levels = 2 },
	{ "levels, reader that steals", 1, 1, { "W", "qr", "r" }, 4, ALL, .levels = 2 },
	{ "levels, reader that steals, packed", 1, 1, { "W", "Qr", "r" }, 4, ALL, .levels = 2 },
	{ "levels, nobody waits", 1, 1, { "W", "qq", "q" }, ALL, ALL, .levels = 2 },
	{ "levels, never empty", 1, 1, { "q", "Wrr", "s" }, 4, 6, .levels = 2 },
	{ "levels, 2 readers", 1, 0, { "s", "W", "r", "r" }, 2, 3, .levels = 2 },
	{ "levels, 2 readers, 3 of them", 1, 0, { "sW", "r", "r" }, 2, ALL, .levels = 3 },
	{ "levels, poller", 1, 1, { "n", "Wrr" }, ALL, ALL, .levels = 2 },
	{ "levels, poller that never reads", 1, 0, { "i", "s", "W", "r" }, 2, 4, .levels = 2 },
	{ "levels, one that comes back", 1, 1, { "hB", "W", "rr" }, 3, ALL, .levels = 2 },
	{ "levels, order", 1, 0, { "Ws", "r" }, ALL, ALL, .levels = 2 },
	{ "levels, order, packed", 1, 0, { "Ws", "Qr" }, ALL, ALL, .levels = 2 },
	{ "levels, order, 2 readers", 1, 0, { "Ws", "r", "Q" }, 3, ALL, .levels = 2 },
	{ "levels, close", 1, 0, { "W", "rrr", "c", "s" }, 2, 4, .levels = 2 },
	{ "levels, drop", 1, 2, { "W", "W", "r" }, 3, ALL, DROP, .levels = 2 },
	{ "levels, drop, nothing below", 1, 0, { "WWs", "r" }, ALL, ALL, DROP, .levels = 2 },
	{ "levels, drop, 2 writers asleep", 1, 2, { "ha", "hB", "W", "s" }, 2, 3, DROP,
	  .levels = 2 },
	{ "levels, drop, 2 writers asleep, one below", 1, 0, { "WWhhB", "s", "W" }, 3, 4, DROP,
	  .levels = 2 },
	{ "levels, drop, one below that does not wait", 1, 1, { "W", "t", "W" }, 4, ALL, DROP,
	  .levels = 2 },
	{ "levels, drop, poller, never full", 1, 2, { "m", "Wrr" }, ALL, ALL, DROP, .levels = 2 },

	{ "peek, reader that sends again", 1, 1, { "P", "rs" }, ALL, ALL },
	{ "peek, reader, writer", 1, 2, { "P", "r", "s" }, ALL, ALL },
	{ "peek twice, reader, writer", 1, 1, { "PP", "rr", "ss" }, 3, 5 },
	{ "peek, drop", 1, 2, { "P", "ss" }, ALL, ALL, DROP },

	{ "reader of dead messages", 1, 1, { "hd", "D" }, ALL, ALL },
	{ "poller for dead messages", 1, 1, { "hd", "w" }, ALL, ALL },
	{ "2 readers of dead messages", 1, 2, { "hd", "hd", "D", "D" }, 2, 4 },
	{ "readers of dead messages, of others, close", 1, 1, { "hd", "D", "r", "c" }, 2, 4 },
	{ "reader of dead messages with a bad address", 1, 2, { "hd", "G", "D" }, ALL, ALL },
	{ "revive", 1, 1, { "hdv", "r", "s" }, ALL, ALL },
	{ "revive, reader of dead messages", 1, 2, { "hdv", "D", "r" }, ALL, ALL },
	{ "purge, writer asleep", 1, 2, { "hdx", "s", "x" }, ALL, ALL },
	{ "purge, end waits for a lease", 1, 2, { "hdcx", "hb", "q" }, 3, 5 },

	{ "drop, 1 reader", 1, 2, { "ss", "rr" }, ALL, ALL, DROP },
	{ "drop, 2 writers, 1 reader", 1, 2, { "s", "s", "r" }, 4, ALL, DROP },
	{ "drop, nobody waits", 1, 2, { "t", "rr" }, ALL, ALL, DROP },
	{ "drop, writer asleep", 1, 2, { "ha", "ha", "s" }, 4, ALL, DROP },
	{ "drop, 2 writers asleep", 1, 2, { "ha", "ha", "s", "s" }, 2, 3, DROP },
	{ "drop, poller, never full", 1, 2, { "m", "rr" }, ALL, ALL, DROP },
	{ "drop, poller for room", 1, 2, { "o", "ha", "hB" }, ALL, ALL, DROP },
	{ "drop, writer with a bad address", 1, 2, { "F", "s", "r" }, ALL, ALL, DROP },
	{ "drop, two at once", 1, 1, { "S", "s", "R" }, 4, ALL, DROP },
	{ "drop, close", 1, 2, { "s", "rrr", "c" }, 3, ALL, DROP },
};

static const struct scenario *scenario;

enum outcome { UNSENT, SENDING, SENT, FAILED };

static struct {
	struct linear_op ops[LINEAR_MAX_OPS];
	int initial[8];
	uint64_t ended;
	unsigned int n_ops[MAX_THREADS];
	unsigned int purged;
	/* By message. */
	enum outcome outcome[LINEAR_MAX_OPS];
	bool received[LINEAR_MAX_OPS];
	bool high[LINEAR_MAX_OPS];	/* sent with a higher priority */
	/* By thread: what it keeps. */
	u32 held[MAX_THREADS][MAX_HELD], n_held[MAX_THREADS];
	/*
	 * By thread: what it is about, what had ended when it began, which take it is to
	 * have dropped a message, and of what matters what was so at some moment of its
	 * call.
	 */
	char doing[MAX_THREADS];
	uint64_t before[MAX_THREADS];
	unsigned int drop[MAX_THREADS];
	unsigned int matters[MAX_THREADS], was[MAX_THREADS];
} now;

/* What may be so at a moment. */
enum {
	EMPTY		= 1 << 0,
	FULL		= 1 << 1,
	CLOSED		= 1 << 2,
	AT_END		= 1 << 3,	/* for readers, for readers of dead messages */
	AT_DEAD_END	= 1 << 4,
	NOT_AT_END	= 1 << 5,
};

static bool is_fifo;	/* no message of this scenario comes back */
static bool end_is_final;	/* nor does anybody reopen, or revive */
static bool comes_back;	/* a message does */

static bool is_one_of(char what, const char *those)
{
	return what && strchr(those, what);
}

static bool is_closed(void)
{
	return queue->closings.counter & 1;
}

static unsigned int state_now(void)
{
	unsigned int capacity = queue->config.capacity, free = filled(&queue->free);
	unsigned int ready = filled(&queue->ready), state = 0;

	for (unsigned int i = 1; i < queue->config.levels; i++)
		ready += filled(&queue->lower[i - 1]);
	if (!ready && !filled(&queue->returned))
		state |= EMPTY;
	/* Those whom that concerns send with the lowest priority. */
	if (!free && !(scenario->flags & DROP && filled(mpmcq_ready_ring(queue, 0))))
		state |= FULL;
	if (!is_closed())
		return state | NOT_AT_END;
	if (free == capacity)
		state |= AT_DEAD_END;
	return state | CLOSED | (free + filled(&queue->dead) == capacity ? AT_END : NOT_AT_END);
}

/* What matters to a call, so that no more has to be told apart. */
static unsigned int matters(char what)
{
	unsigned int closed = closers ? CLOSED : 0, at_end = closers ? AT_END : 0;

	if (is_one_of(what, SENDS))
		return closed | (what == 't' || what == 'E' ? FULL : 0);
	if (what == 'q' || what == 'Q' || what == 'A')
		return EMPTY | NOT_AT_END | at_end;
	if (is_one_of(what, RECEIVES))
		return closed | at_end;
	return is_one_of(what, "nP") ? EMPTY : what == 'm' ? FULL : what == 'D' ? AT_DEAD_END :
		what == 'u' ? AT_END : 0;
}

static void look_on(void)
{
	unsigned int missing = 0, state;

	for (unsigned int i = 0; i < MAX_THREADS; i++)
		missing |= now.matters[i] & ~now.was[i];
	if (!missing)
		return;
	state = state_now();
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		now.was[i] |= state & now.matters[i];
}

static void begin(unsigned int self, char what)
{
	now.doing[self] = what;
	now.before[self] = now.ended;
	now.matters[self] = matters(what);
	now.was[self] = 0;
}

/* A thread between two operations has nothing on its mind but its script. */
static void end(unsigned int self, const char *script)
{
	now.doing[self] = 0;
	now.matters[self] = 0;
	now.was[self] = 0;
	tasks[self].signalled = false;
	tasks[self].struck = false;
	tasks[self].timed_out = false;
	steps_forget(self);
	saw((intptr_t)script);
}

static unsigned int new_op(unsigned int self, bool put, int value)
{
	unsigned int id = self * OPS_PER_THREAD + now.n_ops[self]++;

	now.ops[id] = (struct linear_op){ .put = put, .value = value, .before = now.ended };
	return id;
}

static void end_op(unsigned int id)
{
	now.ops[id].used = true;
	now.ended |= 1ULL << id;
}

/* A send drops a message: a take that begins and ends with the send. */
static void note_drop(u32 index)
{
	int self = steps_self();

	if (now.drop[self])
		search_fault("two messages gone for one send");
	if (mpmcq_word_priority(mpmcq_slot(queue, index)->word) > (now.doing[self] == 'W'))
		search_fault("a message was dropped for one of a lower level");
	now.drop[self] = new_op(self, false, value_in(index));
	now.ops[now.drop[self]].before = now.before[self];
}

static void end_drop(unsigned int self, bool done)
{
	if (now.drop[self] && done)
		end_op(now.drop[self]);
	now.drop[self] = 0;
}

/*
 * A task that was asleep when its signal came is about to die, to stop or to run its handler:
 * it takes nothing from the queue any more.
 */
static void check_struck(unsigned int self)
{
	if (tasks[self].struck)
		search_fault("a call goes on though a signal has ended its sleep");
}

static void sent(unsigned int message, ssize_t ret, size_t len, char what, unsigned int self)
{
	if (ret > 0 && (size_t)ret != len)
		search_fault("a send returned another length");
	if (ret == -EAGAIN && !((what == 't' || (what == 'E' && tasks[self].timed_out)) &&
				now.was[self] & FULL))
		search_fault("a send said EAGAIN though there was room all the time");
	if (ret == -ERESTARTSYS && !tasks[self].signalled)
		search_fault("a send was interrupted by no signal");
	if (ret == -EFAULT && what != 'F' && what != 'y')
		search_fault("a send said EFAULT of a good address");
	if (ret == -EPIPE && !(now.was[self] & CLOSED))
		search_fault("a send said EPIPE though the queue was open all the time");
	if (ret <= 0 && ret != -EAGAIN && ret != -ERESTARTSYS && ret != -EFAULT && ret != -EPIPE)
		search_fault("a send returned another error");
	if (ret <= 0 && now.received[message])
		search_fault("a message arrived whose sending failed");
	if (ret > 0)
		check_struck(self);
	now.outcome[message] = ret > 0 ? SENT : FAILED;
}

static void do_send(unsigned int self, char what)
{
	bool is_long = what == 'l';
	unsigned int id = new_op(self, true, 0);
	ssize_t ret;

	now.ops[id].value = id | (is_long ? LINEAR_LONG : 0);
	now.outcome[id] = SENDING;
	now.high[id] = what == 'W';
	ret = what == 'T' ? send_later(id) :
	      send_value(now.ops[id].value, is_long, what == 'y' ? U32_MAX : what == 'f',
			 what == 'F', what == 't' ? 0 : what == 'E' ? 1 : MPMCQ_WAIT_FOREVER,
			 what == 'W');
	sent(id, ret, is_long ? LEN_LONG : LEN_SHORT, what, self);
	end_drop(self, ret > 0);
	if (ret > 0)
		end_op(id);
}

/* Each of several messages is sent, and comes, after the one before. */
static void do_send_two(unsigned int self)
{
	unsigned int ids[2] = { new_op(self, true, 0), new_op(self, true, 0) };
	u64 messages[2] = { ids[0], ids[1] };
	int ret;

	for (int i = 0; i < 2; i++) {
		now.ops[ids[i]].value = ids[i];
		now.outcome[ids[i]] = SENDING;
	}
	now.ops[ids[1]].before |= 1ULL << ids[0];
	ret = send_two(messages);
	sent(ids[0], ret < 1 ? ret : LEN_SHORT, LEN_SHORT, 'S', self);
	end_drop(self, ret > 0);
	if (ret > 0)
		end_op(ids[0]);
	if (ret > 1)
		sent(ids[1], LEN_SHORT, LEN_SHORT, 'S', self);
	if (ret > 1)
		end_op(ids[1]);
}

/* A message that waits, of a higher level, and was sent before that one. */
static void check_overtaken(unsigned int id)
{
	for (unsigned int i = 0; i < queue->config.capacity; i++) {
		unsigned int other = value_in(i) & ~LINEAR_LONG;

		if (holds.ready & 1U << i && now.ops[id].before & 1ULL << other &&
		    mpmcq_word_priority(mpmcq_slot(queue, i)->word) && !now.high[id])
			search_fault("a message overtook one of a higher level");
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
	/* What comes back may have been in somebody's hands meanwhile. */
	if (scenario->levels && !comes_back)
		check_overtaken(id);
	now.received[id] = true;
}

static void not_received(ssize_t ret, char what, unsigned int self)
{
	unsigned int was = now.was[self];

	if (ret == -EAGAIN && !((what == 'q' || what == 'Q' ||
				 (what == 'A' && tasks[self].timed_out)) && was & EMPTY))
		search_fault("a receive said EAGAIN though there was a message all the time");
	if (ret == -EAGAIN && !(was & NOT_AT_END))
		search_fault("a receive said EAGAIN though it was the end all the time");
	if (!ret && !(was & (what == 'D' ? AT_DEAD_END : AT_END)))
		search_fault("a receive said that it was the end, and it never was");
	if (ret == -EDEADLK && !(now.n_held[self] && was & CLOSED))
		search_fault("a receive said EDEADLK though nothing is kept, or nothing is closed");
	if (ret == -ERESTARTSYS && !tasks[self].signalled)
		search_fault("a receive was interrupted by no signal");
	if (ret == -EFAULT && what != 'G' && what != 'Y')
		search_fault("a receive said EFAULT of a good address");
	if (ret == -EMSGSIZE && what != 'k' && what != 'K')
		search_fault("a receive said EMSGSIZE though there is room");
	if (ret == -ENOBUFS && !(what == 'H' && now.n_held[self]))
		search_fault("a receive said ENOBUFS though nothing is kept");
	if (ret && ret != -EAGAIN && ret != -EDEADLK && ret != -ERESTARTSYS && ret != -EFAULT &&
	    ret != -EMSGSIZE && ret != -ENOBUFS)
		search_fault("a receive returned another error");
	ended |= !ret && end_is_final;
	dead_ended |= !ret && end_is_final && what == 'D';
}

/* How a receive that brought no message looks in the history; false if not at all. */
static bool nothing_received(struct linear_op *op, ssize_t ret)
{
	op->value = ret == -EMSGSIZE ? LINEAR_TOO_LONG : LINEAR_EMPTY;
	return ret == -EMSGSIZE || ret == -EAGAIN || ret == -EDEADLK || !ret;
}

static void do_receive(unsigned int self, char what)
{
	u32 wait_ms = what == 'q' || what == 'Q' ? 0 : what == 'A' ? 1 : MPMCQ_WAIT_FOREVER;
	struct want want = { .is_long = what != 'k' && what != 'K',
			     .wait_ms = wait_ms, .dead = what == 'D',
			     .packed = what == 'Q' || what == 'K',
			     .missing = what == 'Y' ? U32_MAX : 2 * (what == 'g'),
			     .bad = what == 'G', .leased = what == 'H',
			     .held = &now.n_held[self] };
	unsigned int id = new_op(self, false, 0);
	struct linear_op *op = &now.ops[id];
	ssize_t ret;
	u64 message;

	if (is_one_of(what, KEEPS))
		ret = receive_kept(&message, &now.held[self][now.n_held[self]], &want);
	else
		ret = receive_value(&message, &want);
	if (ret > 0) {
		check_struck(self);
		received(message, ret);
		op->value = message;
	} else {
		not_received(ret, what, self);
	}
	if (ret > 0 || nothing_received(op, ret))
		end_op(id);
	if (what == 'H' && ret > 0 && now.n_held[self] &&
	    mpmcq_slot(queue, now.held[self][now.n_held[self]])->word & MPMCQ_SUSPECT)
		search_fault("a suspect came to one who keeps another");
	if (is_one_of(what, KEEPS) && ret > 0)
		mpmcq_slot(queue, now.held[self][now.n_held[self]++])->word += MPMCQ_DELIVERY;
}

static void do_receive_two(unsigned int self)
{
	unsigned int ids[2] = { new_op(self, false, 0), new_op(self, false, 0) };
	u64 messages[2];
	int ret = receive_two(messages);

	if (ret > 0)
		check_struck(self);
	for (int i = 0; i < ret; i++) {
		received(messages[i], LEN_SHORT);
		now.ops[ids[i]].value = messages[i];
		end_op(ids[i]);
	}
	now.ops[ids[1]].before |= 1ULL << ids[0];
	if (ret > 0)
		return;
	not_received(ret, 'R', self);
	if (nothing_received(&now.ops[ids[0]], ret))
		end_op(ids[0]);
}

/* What becomes of the messages that are kept.  Others may have them before this ends. */
static void do_settle(unsigned int self, char what)
{
	u32 *held = now.held[self], n = now.n_held[self];

	now.n_held[self] = 0;
	if (!n)
		return;
	for (unsigned int i = 0; i < n && what != 'a'; i++)
		now.received[value_in(held[i]) & ~LINEAR_LONG] = false;
	if (what == 'a')
		mpmcq_free(queue, held, n);
	else if (what == 'd')
		mpmcq_set_aside(queue, held, n, MPMCQ_REASON_REJECTED);
	else
		mpmcq_give_back(queue, held, n, what == 'z' ? MPMCQ_SETTLE_FRONT | MPMCQ_CAME_BACK :
				what == 'b' ? MPMCQ_SETTLE_FRONT :
				what == 'V' ? MPMCQ_SETTLE_DELAY : 0, 1);
}

static __poll_t events_of(char what)
{
	return is_one_of(what, "om") ? EPOLLOUT : what == 'u' ? EPOLLHUP : EPOLLIN;
}

/* poll(2); one that does not wait says no only if that was so at some moment. */
static void do_poll(unsigned int self, char what)
{
	bool able = poll_queue(is_one_of(what, "om") ? FMODE_WRITE : FMODE_READ,
			       what == 'w' ? MPMCQ_MODE_DEAD : 0, events_of(what),
			       is_one_of(what, "eI"), !is_one_of(what, LOOKS));

	if (what == 'I')
		pass_on_wakeups(queue, FMODE_READ, false);
	if (what == 'n' && !able && !(now.was[self] & EMPTY))
		search_fault("poll said no though there was a message all the time");
	if (what == 'm' && !able && !(now.was[self] & FULL))
		search_fault("poll said no though there was room all the time");
	if (what == 'u' && able && !(now.was[self] & AT_END))
		search_fault("poll said that it was the end, and it never was");
}

/* What had been received before is not there any more. */
static void do_peek(unsigned int self)
{
	bool before[LINEAR_MAX_OPS];
	u64 message = 0;
	struct mpmcq_peeked p = { .data = &message, .room = sizeof(message) };
	unsigned int id;
	int ret;

	memcpy(before, now.received, sizeof(before));
	ret = mpmcq_peek_at(queue, &queue->ready, 0, &p);
	if (ret == -ENOENT && !(now.was[self] & EMPTY))
		search_fault("nothing to peek at though there was a message all the time");
	if (ret && ret != -ENOENT)
		search_fault("a peek returned another error");
	if (ret)
		return;
	id = message & ~LINEAR_LONG;
	if (id >= LINEAR_MAX_OPS || (now.outcome[id] != SENDING && now.outcome[id] != SENT) ||
	    mpmcq_word_len(p.word) != LEN_SHORT)
		search_fault("a copy is of no message");
	else if (before[id])
		search_fault("a copy is of a message that was not there");
}

static void do_one(unsigned int self, char what)
{
	if (what == 'S')
		do_send_two(self);
	else if (is_one_of(what, SENDS))
		do_send(self, what);
	else if (what == 'R')
		do_receive_two(self);
	else if (is_one_of(what, RECEIVES "D"))
		do_receive(self, what);
	else if (is_one_of(what, "abBVzd"))
		do_settle(self, what);
	else if (what == 'P')
		do_peek(self);
	else if (is_one_of(what, POLLS LOOKS))
		do_poll(self, what);
	else if (is_one_of(what, "cC"))
		mpmcq_queue_close(queue, what == 'C');
	else if (what == 'j')
		mpmcq_publish_due(queue);
	else if (what == 'p')
		mpmcq_queue_reopen(queue);
	else if (what == 'v')
		mpmcq_revive(queue, 0);
	else if (what == 'x')
		now.purged += mpmcq_purge(queue, 0);
	else if (is_one_of(what, TIMES_OUT))
		shim_time_out(&tasks[what - '6']);
	else
		shim_signal(&tasks[what - '0']);
}

static void run_script(unsigned int self)
{
	for (const char *p = scenario->scripts[self]; *p; p++) {
		step();		/* so that it begins late in some orders */
		begin(self, *p);
		do_one(self, *p);
		end(self, p);
	}
}

static unsigned int uses(void)
{
	unsigned int uses = search_has("lkP") ? USES_LENGTHS : 0;

	if (search_has("gGYbz") || (scenario->flags & DROP && search_has("cC")))
		uses |= USES_RETURNED;
	if (search_has("dDvxw") || scenario->max_deliveries)
		uses |= USES_DEAD;
	return uses;
}

/* The messages that wait at first have the highest numbers, which no operation has. */
static void set_up(void)
{
	memset(&now, 0, sizeof(now));
	on_drop = NULL;
	queue_set_up(scenario->order ?: 1, scenario->skew, scenario->flags,
		     scenario->max_deliveries, scenario->levels ?: 1, uses());
	for (unsigned int i = 0; i < scenario->fill; i++) {
		unsigned int id = LINEAR_MAX_OPS - 1 - i;

		send_value(id, false, 0, false, 0, 0);
		now.initial[i] = id;
		now.outcome[id] = SENT;
	}
	on_drop = note_drop;
}

static uint64_t hash(void)
{
	uint64_t hash = search_mix(hash_queue(), now.purged);

	for (unsigned int i = 0; i < LINEAR_MAX_OPS; i++)
		if (now.outcome[i] || now.ops[i].used)
			hash = search_mix(search_mix(search_mix(hash, i), now.ops[i].value),
					  now.outcome[i] << 1 | now.received[i]);
	for (unsigned int i = 0; is_fifo && i < LINEAR_MAX_OPS; i++)
		hash = search_mix(hash, now.ops[i].before);
	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		hash = search_mix(hash, now.doing[i] << 8 | now.was[i]);
		hash = search_mix(hash, now.n_held[i]);
		for (unsigned int n = 0; n < now.n_held[i]; n++)
			hash = search_mix(hash, now.held[i][n]);
		if (now.drop[i])
			hash = search_mix(hash, now.ops[now.drop[i]].value);
	}
	return hash;
}

/* A message that was sent and did not arrive is in a slot, and that in a ring. */
static void check_messages(void)
{
	unsigned int in_rings = holds.ready | holds.returned | holds.dead | parked_now;
	unsigned int waiting = 0, gone = 0;

	for (unsigned int id = 0; id < LINEAR_MAX_OPS; id++) {
		bool there = false;

		if (now.outcome[id] != SENT || now.received[id])
			continue;
		for (unsigned int i = 0; i < queue->config.capacity; i++)
			if (in_rings & 1U << i)
				there |= (value_in(i) & ~LINEAR_LONG) == id;
		waiting += there;
		gone += !there;
	}
	if (gone != mpmcq_queue_counter(queue, MPMCQ_DROPPED) + now.purged)
		search_fault("a message is lost");
	if (waiting != (unsigned int)__builtin_popcount(in_rings))
		search_fault("there are more messages in the queue than were sent");
}

/* By what the rings hold, not by what the queue says of itself. */
static void check_sleepers(void)
{
	unsigned int all = (1U << queue->config.capacity) - 1;
	bool message = holds.ready || holds.returned;
	bool room = holds.free || (scenario->flags & DROP && holds.ready);
	bool low_waits = scenario->levels > 1 && filled(mpmcq_ready_ring(queue, 0));

	for (unsigned int i = 0; i < MAX_THREADS; i++) {
		bool reads_dead = is_one_of(now.doing[i], "Dw");
		bool reads = is_one_of(now.doing[i], RECEIVES "ieu");
		bool writes = is_one_of(now.doing[i], SENDS "o");
		bool low = scenario->levels > 1 && now.doing[i] != 'W';

		if (reads && message && now.doing[i] != 'u')
			search_fault("somebody sleeps though a message waits");
		if (reads_dead && holds.dead)
			search_fault("somebody sleeps though a dead message waits");
		if (writes && (low ? holds.free || (scenario->flags & DROP && low_waits) : room))
			search_fault("somebody sleeps though there is room");
		if (!is_closed())
			continue;
		if (writes)
			search_fault("somebody sleeps though the queue is closed");
		if ((reads && (holds.free | holds.dead) == all) ||
		    (reads_dead && holds.free == all))
			search_fault("somebody sleeps though it is the end");
		if (is_one_of(now.doing[i], RECEIVES) && now.n_held[i])
			search_fault("somebody sleeps who keeps what it waits for");
	}
}

static void end_of_order(void)
{
	unsigned int everywhere = held_by_rings();

	check_sleepers();
	if (parked_now && !search_has("p"))
		search_fault("a message stays parked");
	for (unsigned int i = 0; i < MAX_THREADS; i++)
		for (unsigned int n = 0; n < now.n_held[i]; n++)
			everywhere |= 1U << now.held[i][n];
	if (everywhere != (1U << queue->config.capacity) - 1)
		search_fault("an index is in no ring");
	check_messages();
	if (is_fifo && !linear_fifo(now.ops, now.initial, scenario->fill))
		search_fault("the history is not that of a FIFO");
}

static void prepare(void)
{
	/* A queue that closes hands back what it was about to drop. */
	is_fifo = !search_has(HANDS_BACK) && !(scenario->flags & DROP && search_has("cC"));
	end_is_final = !search_has("pv");
	comes_back = search_has("GYbBVzvT");
	signals = search_has(SIGNALS);
	pollers = search_has(POLLS);
	peekers = search_has("P");
	closers = search_has("cCp");
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
		.name = "explore_queue", .quick = QUICK, .cases = ARRAY_SIZE(scenarios),
		.choose = choose, .prepare = prepare, .set_up = set_up, .thread = run_script,
		.asleep = shim_asleep, .after = look_on, .hash = hash, .end = end_of_order,
	};

	return search_main(&explorer, argc, argv);
}
