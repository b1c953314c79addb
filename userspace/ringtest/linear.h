/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is a history of puts and takes that of a FIFO?
 *
 * It is if the operations can be put in one order, in which each that ended
 * before another began comes before it, such that a queue that does them one
 * after the other would have given the same results (Herlihy and Wing,
 * "Linearizability: a correctness condition for concurrent objects", 1990).
 */
#ifndef _MPMCQ_RINGTEST_LINEAR_H
#define _MPMCQ_RINGTEST_LINEAR_H

#include <stdbool.h>
#include <stdint.h>

#define LINEAR_MAX_OPS	64
#define LINEAR_EMPTY	(-1)
#define LINEAR_TOO_LONG	(-2)
#define LINEAR_LONG	0x100

/**
 * struct linear_op - an operation of a history
 * @used: whether there is this one
 * @put: a put, not a take
 * @value: what was put or taken; %LINEAR_EMPTY for a take that found nothing;
 *	%LINEAR_TOO_LONG for one that left a value with the bit %LINEAR_LONG where it was
 * @before: mask of the operations that had ended when this one began
 */
struct linear_op {
	bool used;
	bool put;
	int value;
	uint64_t before;
};

/**
 * linear_fifo() - whether a history is that of a FIFO
 * @ops: %LINEAR_MAX_OPS operations, all ended
 * @initial: what the FIFO held at first, in order
 * @n: how many that were
 */
bool linear_fifo(const struct linear_op *ops, const int *initial, unsigned int n);

#endif /* _MPMCQ_RINGTEST_LINEAR_H */
