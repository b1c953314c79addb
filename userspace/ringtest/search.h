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
 * struct search_case - what the threads do
 * @name: of the case
 * @scripts: of each thread, a letter for each operation; NULL after the last
 * @brief: how often in an order a thread that could go on is made to wait for another, with
 *	options; %SEARCH_ALL for no bound, 0 to leave the case out
 * @full: the same without options
 */
struct search_case {
	const char *name;
	const char *const *scripts;
	unsigned int brief;
	unsigned int full;
};

/**
 * struct search - what to search
 * @name: of the program
 * @quick: the highest bound with --quick; 0 if there is no such option
 * @cases: number of cases
 * @choose: makes case @i the present one
 * @prepare: looks at the present case before its first order; may be NULL
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
	const char *name;
	unsigned int quick;
	unsigned int cases;
	struct search_case (*choose)(unsigned int i);
	void (*prepare)(void);
	void (*set_up)(void);
	void (*thread)(unsigned int self);
	unsigned int (*asleep)(void);
	void (*after)(void);
	uint64_t (*hash)(void);
	void (*end)(void);
};

/**
 * search_main() - be the program that runs every order of each case
 * @s: of what
 * @argc: of main()
 * @argv: of main(), [--quick|--short|--control [WORDS]]
 *
 * Prints TAP: for each case the first fault and the order that has led to it, or that there
 * is none, and how many orders there are, how many states were met and how many steps made.
 * Ends the program when there are too many states for its memory.
 *
 * Return: the exit status.
 */
int search_main(const struct search *s, int argc, char **argv);

/**
 * search_has() - whether any script of the present case has one of these letters
 * @letters: to look for
 */
bool search_has(const char *letters);

/**
 * search_fault() - say that something is wrong in the present order
 * @what: is wrong
 */
void search_fault(const char *what);

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
