// SPDX-License-Identifier: GPL-2.0-only
#include <setjmp.h>
#include <stddef.h>
#include <ucontext.h>

#include "steps.h"

/*
 * A context is entered once, for its stack; from then on control goes back and
 * forth by _longjmp(), which unlike swapcontext() makes no system call.
 */
static struct {
	ucontext_t context;
	jmp_buf place;
	char stack[64 * 1024];
	bool entered;
	bool alive;
	uint64_t seen;
} threads[STEPS_MAX_THREADS];

static jmp_buf scheduler;
static unsigned int n_threads;
static int running = -1;	/* number of the thread that has control, or -1 */
static void (*body)(unsigned int self);

static void entry(unsigned int self)
{
	body(self);
	threads[self].alive = false;
	running = -1;
	_longjmp(scheduler, 1);
}

void steps_run(unsigned int thread)
{
	running = thread;
	if (_setjmp(scheduler))
		return;
	if (threads[thread].entered)
		_longjmp(threads[thread].place, 1);
	threads[thread].entered = true;
	setcontext(&threads[thread].context);
}

void steps_start(unsigned int n, void (*thread)(unsigned int self))
{
	n_threads = n;
	body = thread;
	for (unsigned int i = 0; i < n; i++) {
		getcontext(&threads[i].context);
		threads[i].context.uc_stack.ss_sp = threads[i].stack;
		threads[i].context.uc_stack.ss_size = sizeof(threads[i].stack);
		threads[i].context.uc_link = NULL;
		threads[i].entered = false;
		threads[i].alive = true;
		threads[i].seen = i;
		makecontext(&threads[i].context, (void (*)(void))entry, 1, i);
		steps_run(i);
	}
}

unsigned int steps_alive(void)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < n_threads; i++)
		mask |= threads[i].alive << i;
	return mask;
}

int steps_self(void)
{
	return running;
}

uint64_t steps_seen(int thread)
{
	return thread < 0 ? 0 : threads[thread].seen;
}

void steps_forget(uint64_t seen)
{
	if (running >= 0)
		threads[running].seen = seen;
}

void step(void)
{
	int self = running;

	if (self < 0)
		return;
	running = -1;
	if (!_setjmp(threads[self].place))
		_longjmp(scheduler, 1);
	/* Also an access without a result leads to another place. */
	saw(0);
}

int64_t saw(int64_t value)
{
	uint64_t *seen;

	if (running >= 0) {
		seen = &threads[running].seen;
		/* The odd number added keeps any hash from staying as it is. */
		*seen = ((*seen + 0x632be59bd9b4e019ULL) ^ value) * 0x9e3779b97f4a7c15ULL;
		*seen ^= *seen >> 29;
	}
	return value;
}
