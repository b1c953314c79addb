/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the clock counts instructions, one a nanosecond
 */
#ifndef ICOUNT_H
#define ICOUNT_H

#include <stdbool.h>

/* Nanoseconds an instruction took, in two loops that a processor runs at different speeds. */
struct icount {
	double plain;
	double slow;
};

struct icount icount_measure(void);
bool icount_exact(const struct icount *i);

#endif /* ICOUNT_H */
