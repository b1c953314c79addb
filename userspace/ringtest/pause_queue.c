// SPDX-License-Identifier: GPL-2.0-only
/*
 * The queue, paused anywhere: a task is stopped for good before one of its steps, in
 * whatever it does, and others must go on sending and receiving.  For each step of
 * each operation, for one task and for each pair of places in two.  If it has closed
 * the queue, the others reopen it.
 *
 * The others either never sleep (EAGAIN, and try again), or sleep when there is nothing
 * to do.  A task that is stopped between a put and its wake, where the kernel keeps
 * preemption away, may leave one of those asleep until the next put; as both send and
 * receive, there is a next one.  Between picking a task and waking it, where preemption is
 * away, too, none is stopped: nobody else finds a picked task, so no later put would wake it.
 */

#include <stdio.h>

#include "queue_under_test.h"

#define ORDER		3
#define MESSAGES	1000	/* that have to get through after each pause */
#define PATIENCE	5000	/* steps in which one has to */
#define MOST_STEPS	200	/* of a task; one that is woken too late goes round for ever */

/* Threads 0 and 1 are stopped, 2 sends, 3 receives; 2 and 3 run for ever. */
enum { FIRST, SECOND, SENDER, RECEIVER, THREADS };

enum answer { STUCK, OVER, WENT_ON };	/* OVER: the script, before that place */

static struct {
	/*
	 * Of FIRST and SECOND, letters as in explore_queue.c; and w forwards what is kept to
	 * another queue, U to the end of the queue itself, H keeps a message of the other, W
	 * forwards that to the queue.
	 */
	const char *scripts[2];
	unsigned int fill;		/* messages that wait at first, long ones */
	u32 flags;			/* of the queue */
	bool signalled;			/* FIRST is, when it falls asleep */
	bool sleepers;			/* the others sleep when there is nothing to do */
	bool mixed;			/* and make a step after each of FIRST and SECOND */
} now;

static unsigned long n_received;
static const char *fault;

/* For queue_under_test.h. */
void search_fault(const char *what)
{
	fault = what;
}

/* A receive; one that keeps the message leaves it in @index. */
static ssize_t receive(char what, u32 *index)
{
	struct want want = { .is_long = what != 'k', .dead = what == 'D',
			     .wait_ms = what == 'q' ? 0 : MPMCQ_WAIT_FOREVER,
			     .missing = 2 * (what == 'g'), .bad = what == 'G' };
	u64 value;

	return what == 'h' ? receive_kept(&value, index, &want) : receive_value(&value, &want);
}

/* Takes a message of the other queue, and keeps it. */
static void keep_other(struct mpmcq_holder *h)
{
	struct iov_iter to = { .count = LEN_LONG };
	struct mpmcq_claim claim = { .index = &h->index };

	h->queue = other;
	h->held = mpmcq_receive(other, &to, &claim) > 0;
}

static void forward(struct mpmcq_holder *h, struct mpmcq_queue *to)
{
	struct mpmcq_forwarding msg = { .wait_ms = MPMCQ_WAIT_FOREVER };

	mpmcq_forward(h->queue, h, to, &msg);
}

static void run_script(const char *script)
{
	struct mpmcq_holder h = { .queue = queue };
	u32 index = 0, held = 0;
	u64 values[2] = { 0 };

	for (; *script; script++) {
		switch (*script) {
		case 's':
		case 't':
		case 'f':
		case 'F':
			send_value(0, false, *script == 'f', *script == 'F',
				   *script == 't' ? 0 : MPMCQ_WAIT_FOREVER, 0);
			break;
		case 'S':
			send_two(values);
			break;
		case 'r':
		case 'q':
		case 'g':
		case 'G':
		case 'k':
		case 'D':
			receive(*script, NULL);
			break;
		case 'R':
			receive_two(values);
			break;
		case 'h':
			held = receive('h', &index) > 0;
			break;
		case 'a':
			if (held)
				mpmcq_free(queue, &index, held);
			break;
		case 'b':
		case 'B':
			if (held)
				mpmcq_give_back(queue, &index, held,
						*script == 'b' ? MPMCQ_SETTLE_FRONT : 0, 0);
			break;
		case 'd':
			if (held)
				mpmcq_set_aside(queue, &index, held, MPMCQ_REASON_REJECTED);
			break;
		case 'v':
			mpmcq_revive(queue, 0);
			break;
		case 'x':
			mpmcq_purge(queue, 0);
			break;
		case 'c':
			mpmcq_queue_close(queue, false);
			break;
		case 'p':
			mpmcq_queue_reopen(queue);
			break;
		case 'H':
			keep_other(&h);
			break;
		case 'W':
			forward(&h, queue);
			break;
		case 'w':
		case 'U':
			h.index = index;
			h.held = held;
			forward(&h, *script == 'w' ? other : queue);
			break;
		case 'i':
			poll_queue(FMODE_READ, 0, EPOLLIN, false, true);
			break;
		}
	}
}

static void thread(unsigned int self)
{
	u32 wait_ms = now.sleepers ? MPMCQ_WAIT_FOREVER : 0;
	struct want want = { .is_long = true, .wait_ms = wait_ms };
	u64 value;

	if (self < SENDER) {
		run_script(now.scripts[self]);
		return;
	}
	for (;;) {
		if (self == RECEIVER)
			n_received += receive_value(&value, &want) > 0;
		else if (send_value(0, false, 0, false, wait_ms, 0) == -EPIPE)
			mpmcq_queue_reopen(queue);
		steps_forget(self);
	}
}

/* One step of one of the others, in turn; false if none can make one. */
static bool run_others(void)
{
	static unsigned int turn;
	unsigned int able = steps_alive() & ~shim_asleep();
	unsigned int next = SENDER + turn++ % 2;

	if (!(able & 1U << next))
		next = next == SENDER ? RECEIVER : SENDER;
	if (!(able & 1U << next))
		return false;
	steps_run(next);
	return true;
}

/* Whether MESSAGES more get through. */
static bool others_go_on(void)
{
	unsigned long goal = n_received + MESSAGES;
	unsigned int idle = 0;

	while (n_received < goal) {
		unsigned long before = n_received;

		if (!run_others() || fault)
			return false;
		idle = n_received == before ? idle + 1 : 0;
		if (idle > PATIENCE)
			return false;
	}
	return true;
}

/*
 * Lets a thread make so many steps; while it is asleep the others do, so that it is
 * woken, unless a signal does that.  OVER if it was at its end before.
 */
static enum answer advance(unsigned int self, unsigned int steps)
{
	unsigned int idle = 0;

	while (steps) {
		if (!(steps_alive() & 1U << self))
			return OVER;
		if (!tasks[self].asleep) {
			steps_run(self);
			steps--;
			idle = 0;
			if (now.mixed)
				run_others();
		} else if (now.signalled) {
			shim_signal(&tasks[self]);
		} else if (!run_others() || ++idle > PATIENCE) {
			return STUCK;
		}
	}
	return steps_alive() & 1U << self ? WENT_ON : OVER;
}

/* A message in the other queue. */
static void send_other(void)
{
	const struct mpmcq_caller by = { };
	struct iov_iter from = { .count = LEN_LONG };

	mpmcq_send(other, &from, 0, &by);
}

static enum answer pause_at(unsigned int first, unsigned int second)
{
	enum answer answer;

	fault = NULL;
	signals = now.signalled;
	pollers = now.scripts[FIRST][0] == 'i';
	closers = now.scripts[FIRST][0] == 'c';
	pauses = true;
	queue_set_up(ORDER, 5, now.flags, 0, 1, USES_ALL);
	other_set_up(ORDER);
	for (unsigned int i = 0; i < 2; i++)
		send_other();
	for (unsigned int i = 0; i < now.fill; i++)
		send_value(0, true, 0, false, 0, 0);
	steps_start(THREADS, thread);
	answer = advance(FIRST, first);
	if (answer == WENT_ON && now.scripts[SECOND][0])
		answer = advance(SECOND, second);
	if (fault)
		return STUCK;
	if (answer != WENT_ON)
		return answer;
	return others_go_on() ? WENT_ON : STUCK;
}

/* Every place of FIRST, and of SECOND if it has a script; whether all went well. */
static bool pause_everywhere(unsigned long *places)
{
	unsigned int first, second;
	enum answer answer;

	*places = 0;
	for (first = 0; first < MOST_STEPS; first++) {
		for (second = 0; second < MOST_STEPS; second++) {
			answer = pause_at(first, second);
			if (answer == STUCK) {
				printf("# stuck: %s stopped after %u steps, %s after %u; %u waited",
				       now.scripts[FIRST], first, now.scripts[SECOND], second,
				       now.fill);
				printf("%s%s\n", fault ? ": " : "", fault ?: "");
				return false;
			}
			if (answer == OVER)
				break;
			*places += answer == WENT_ON;
			if (!now.scripts[SECOND][0])
				break;
		}
		if (answer == OVER && !second)
			return *places > 0;
	}
	printf("# %s, %u waited: the others are always quicker; %u steps tried\n",
	       now.scripts[FIRST], now.fill, MOST_STEPS);
	return *places > 0;
}

static bool test(unsigned int number)
{
	static const unsigned int fills[] = { 4, 0, 1 << ORDER };
	unsigned long places, all = 0;
	bool good = true;

	/* Two at once with slots and messages for all; else also where one must sleep. */
	for (unsigned int i = 0; i < (now.scripts[SECOND][0] ? 1 : 3) && good; i++) {
		now.fill = fills[i];
		good = pause_everywhere(&places);
		all += places;
	}
	printf("%s %u - stopped for good: %s%s%s%s%s, others %s%s: %lu places\n",
	       good ? "ok" : "not ok", number,
	       now.scripts[FIRST], now.signalled ? " signalled" : "",
	       now.flags & MPMCQ_DROP_OLDEST ? " where the oldest is dropped" : "",
	       now.scripts[SECOND][0] ? " and " : "",
	       now.scripts[SECOND], now.sleepers ? "sleep" : "never sleep",
	       now.mixed ? " and go between" : "", all);
	fflush(stdout);
	return good;
}

int main(void)
{
	static const char *const one[] = { "s", "f", "F", "r", "g", "G", "k", "i", "srt", "rsq",
					   "S", "R", "ha", "hb", "hB", "hdD", "hdv", "hdx", "cp",
					   "hw", "hU", "HW" };
	static const char *const drop[] = { "s", "F", "S", "i" };
	static const char *const signalled[] = { "s", "r", "i" };
	static const char *const two[] = { "s", "F", "r", "G" };
	unsigned int number = 0, failed = 0;

	printf("TAP version 13\n");
	for (int i = 0; i < 4; i++) {
		now.sleepers = i & 2;
		now.mixed = i & 1;
		now.scripts[SECOND] = "";
		for (unsigned int i = 0; i < ARRAY_SIZE(one); i++) {
			now.scripts[FIRST] = one[i];
			failed += !test(++number);
		}
		now.flags = MPMCQ_DROP_OLDEST;
		for (unsigned int i = 0; i < ARRAY_SIZE(drop); i++) {
			now.scripts[FIRST] = drop[i];
			failed += !test(++number);
		}
		now.flags = 0;
		now.signalled = true;
		for (unsigned int i = 0; i < ARRAY_SIZE(signalled); i++) {
			now.scripts[FIRST] = signalled[i];
			failed += !test(++number);
		}
		now.signalled = false;
		for (unsigned int i = 0; i < ARRAY_SIZE(two) * ARRAY_SIZE(two); i++) {
			now.scripts[FIRST] = two[i / ARRAY_SIZE(two)];
			now.scripts[SECOND] = two[i % ARRAY_SIZE(two)];
			failed += !test(++number);
		}
	}
	printf("1..%u\n", number);
	return failed ? 1 : 0;
}
