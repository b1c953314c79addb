/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that run one step at a time, in the order that somebody else decides.
 *
 * Each thread is a coroutine.  Before every access to shared memory it calls
 * step(), which gives control back; steps_run() lets one thread do the access
 * that it stands before, and go on to the next.  So an order of threads is an
 * order of accesses, and the same order gives the same run.
 */
#ifndef _MPMCQ_RINGTEST_STEPS_H
#define _MPMCQ_RINGTEST_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#define STEPS_MAX_THREADS	6

/**
 * steps_start() - begin a run
 * @n: number of threads, at most %STEPS_MAX_THREADS
 * @thread: what each does, given its number
 *
 * Threads of an earlier run are dropped, wherever they are.  Each new one goes
 * up to its first step.
 */
void steps_start(unsigned int n, void (*thread)(unsigned int self));

/**
 * steps_run() - let a thread do its next access
 * @thread: which; not at its end
 */
void steps_run(unsigned int thread);

/**
 * steps_alive() - the threads that are not at their end
 *
 * Return: a mask of their numbers.
 */
unsigned int steps_alive(void);

/**
 * steps_self() - the thread that makes a step
 *
 * Return: its number; -1 outside of the threads.
 */
int steps_self(void);

/**
 * steps_seen() - what a thread has seen so far, as one number
 * @thread: which; -1, outside of the threads, gives 0
 *
 * Threads that run the same code and have seen the same are at the same place
 * with the same local variables.
 *
 * Return: a hash of its accesses and their results.
 */
uint64_t steps_seen(int thread);

/**
 * steps_forget() - of what the running thread has seen, keep no more than this
 * @seen: steps_seen() of the thread, earlier
 *
 * To be called when a function returns whose local variables are gone; what it
 * returned must be told by saw() again.  Does nothing outside of the threads.
 */
void steps_forget(uint64_t seen);

/**
 * step() - stand before an access to shared memory
 *
 * Does nothing outside of the threads.
 */
void step(void);

/**
 * saw() - tell what an access brought
 * @value: what was read, or whether a compare-and-swap succeeded
 *
 * Return: @value.
 */
int64_t saw(int64_t value);

#endif /* _MPMCQ_RINGTEST_STEPS_H */
