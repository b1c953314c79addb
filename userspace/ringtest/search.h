/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every order of steps: runs a few threads of steps.h again and again, in each
 * order of their steps, from the same beginning.
 *
 * A state that was met before is not gone on from: what the threads have seen and
 * what they share is the same, so what follows is.  Thus it is found how many
 * orders there are, of which only a few have to be run.
 */
#ifndef _MPMCQ_RINGTEST_SEARCH_H
#define _MPMCQ_RINGTEST_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#define SEARCH_ALL	(~0U)

/**
 * struct search - what to search
 * @threads: number of threads
 * @preemptions: how often in an order a thread that could go on is made to wait
 *	for another; %SEARCH_ALL for no bound
 * @set_up: makes the beginning
 * @thread: what each thread does, given its number
 * @asleep: mask of the threads that cannot go on just now; may be NULL
 * @after: looks on at the beginning and after each step; may be NULL
 * @hash: of all that the threads share, and of what @after and @end go by
 * @end: looks on when no thread can go on any more
 *
 * The last three say what is wrong by search_fault().
 */
struct search {
	unsigned int threads;
	unsigned int preemptions;
	void (*set_up)(void);
	void (*thread)(unsigned int self);
	unsigned int (*asleep)(void);
	void (*after)(void);
	uint64_t (*hash)(void);
	void (*end)(void);
};

/**
 * struct search_counts - how large it was
 * @states: different states met
 * @steps: steps made
 * @orders: how many orders there are
 */
struct search_counts {
	unsigned long states;
	unsigned long steps;
	double orders;
};

/**
 * search() - run every order
 * @s: of what
 * @counts: out: how large it was
 *
 * Ends the program when there are too many states for its memory.
 *
 * Return: NULL, or the first fault; then search_print_order() tells how to get there.
 */
const char *search(const struct search *s, struct search_counts *counts);

/**
 * search_fault() - say that something is wrong in the present order
 * @what: is wrong
 */
void search_fault(const char *what);

/**
 * search_print_order() - print the order that has led to a fault
 *
 * The number of each thread that made a step, as a comment of TAP.
 */
void search_print_order(void);

/**
 * search_mix() - add a value to a hash
 * @hash: so far
 * @value: next
 */
static inline uint64_t search_mix(uint64_t hash, uint64_t value)
{
	hash = (hash ^ value) * 0xff51afd7ed558ccdULL;
	return hash ^ hash >> 32;
}

#endif /* _MPMCQ_RINGTEST_SEARCH_H */
