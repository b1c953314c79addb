/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether a thread that stops anywhere holds up the others
 */
#ifndef STOP_H
#define STOP_H

#include "candidate.h"
#include "child.h"

struct stops {
	enum end end;
	unsigned int stops;	/* how often a thread was stopped */
	unsigned int blocked;	/* in how many of them no other could go on */
};

struct stops stop_test(const struct candidate *c, unsigned int stops, unsigned int limit);

#endif /* STOP_H */
