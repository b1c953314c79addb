// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the clock counts instructions, one a nanosecond
 *
 * That is so in a machine of scripts/machine/vm --icount.  Loops of a known number of
 * instructions tell: a processor needs several times as long for an instruction of the
 * slow one, where each waits for the result of the one before, as for one of the other.
 */
#include <math.h>

#include "icount.h"
#include "measure.h"

#define ITERATIONS	1000000UL
#define TRIES		7	/* of which the shortest counts: interrupts only add */
#define TOLERANCE	0.01

#ifdef __x86_64__

#define PLAIN_LENGTH	2
#define SLOW_LENGTH	4

static void run_plain(void)
{
	unsigned long n = ITERATIONS;

	asm volatile("1: dec %0; jnz 1b" : "+r" (n) : : "cc");
}

static void run_slow(void)
{
	unsigned long n = ITERATIONS, product = 3;

	asm volatile("1: imul %1, %1; imul %1, %1; dec %0; jnz 1b"
		     : "+r" (n), "+r" (product) : : "cc");
}

#else

/* What the compiler makes of an iteration is not known: a whole number of instructions. */
#define PLAIN_LENGTH	0
#define SLOW_LENGTH	0

static void run_plain(void)
{
	for (unsigned long n = ITERATIONS; n; n--)
		asm volatile("" : "+r" (n));
}

static void run_slow(void)
{
	unsigned long product = 3;

	for (unsigned long n = ITERATIONS; n; n--) {
		product *= product;
		asm volatile("" : "+r" (n), "+r" (product));
		product *= product;
		asm volatile("" : "+r" (product));
	}
}

#endif

/* Nanoseconds of an instruction; @length is that of an iteration, 0 if not known. */
static double time_loop(void (*run)(void), unsigned int length)
{
	double begin, took, best = INFINITY;

	for (unsigned int i = 0; i < TRIES; i++) {
		begin = now();
		run();
		took = (now() - begin) * 1e9 / ITERATIONS;
		best = took < best ? took : best;
	}
	if (!length)
		length = best < 1 ? 1 : lround(best);
	return best / length;
}

struct icount icount_measure(void)
{
	return (struct icount) {
		.plain = time_loop(run_plain, PLAIN_LENGTH),
		.slow = time_loop(run_slow, SLOW_LENGTH),
	};
}

static bool is_one(double ns)
{
	return fabs(ns - 1) <= TOLERANCE;
}

bool icount_exact(const struct icount *i)
{
	return is_one(i->plain) && is_one(i->slow);
}
