/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The measured loops, in C and in C++.  Each candidate includes this after its
 *
 *	static inline bool push(void *handle, const struct message *m);
 *	static inline bool pop(void *handle, struct message *m);
 *
 * so that all of them are inlined alike, and no call through a pointer is measured.
 */
#ifndef LOOPS_H
#define LOOPS_H

#include <sched.h>

#define SPINS	64	/* of a thread that finds the queue full or empty, before it yields */
#define READY	61	/* messages */

static inline void pause_spin(void)
{
#if __has_builtin(__builtin_ia32_pause)
	__builtin_ia32_pause();
#endif
}

static inline void back_off(unsigned int *tries)
{
	if (++*tries % SPINS)
		pause_spin();
	else
		sched_yield();
}

/* The compiler must believe that the message is used. */
static inline void seen_by_others(const struct message *m)
{
	__asm__ __volatile__("" : : "r"(m) : "memory");
}

/*
 * One thread: returns how many messages did not come out as they went in.
 *
 * Messages are ready beforehand: words that were just written would be slow to read as
 * vectors, and hide what the queue costs.  Their number does not divide the capacity, so
 * what a slot held a lap ago is never what it should hold.
 */
static inline unsigned int loop_pairs(void *handle, unsigned int pairs)
{
	static struct message in[READY];
	unsigned int faults = 0;
	struct message out;

	for (unsigned int i = 0; i < READY; i++)
		message_fill(&in[i], sizeof(in[i]), 0, i);
	for (unsigned int i = 0, at = 0; i < pairs; i++, at = at + 1 < READY ? at + 1 : 0) {
		unsigned long long wrong = 0;

		seen_by_others(&in[at]);
		faults += !push(handle, &in[at]);
		faults += !pop(handle, &out);
		seen_by_others(&out);
		for (unsigned int w = 0; w < WORDS; w++)
			wrong |= out.words[w] ^ in[at].words[w];
		faults += !!wrong;
	}
	return faults;
}

static inline void loop_produce(struct work *work)
{
	struct message m;

	for (unsigned int number = 0; number < work->messages; number++) {
		unsigned int tries = 0;

		message_fill(&m, sizeof(m), work->self, number);
		while (!push(work->handle, &m))
			back_off(&tries);
	}
	__atomic_sub_fetch(work->producing, 1, __ATOMIC_RELEASE);
}

/* Empty after the last producer was done is empty for good. */
static inline void loop_consume(struct work *work)
{
	unsigned int tries = 0;
	bool last = false;
	struct message m;

	for (;;) {
		if (pop(work->handle, &m)) {
			ledger_enter(work->ledger, &m, sizeof(m));
			tries = 0;
			continue;
		}
		if (last)
			return;
		last = !__atomic_load_n(work->producing, __ATOMIC_ACQUIRE);
		if (!last)
			back_off(&tries);
	}
}

static inline void loop_churn(struct churn *churn)
{
	struct message m = { { 0 } };

	for (;;) {
		push(churn->handle, &m);
		if (pop(churn->handle, &m))
			__atomic_add_fetch(&churn->popped, 1, __ATOMIC_RELAXED);
	}
}

/* Of a candidate in which all threads are alike. */
static inline void *plain_attach(void *queue, unsigned int roles)
{
	(void)roles;
	return queue;
}

#define LOOPS				\
	.pairs = loop_pairs,		\
	.produce = loop_produce,	\
	.consume = loop_consume,	\
	.churn = loop_churn

#endif /* LOOPS_H */
