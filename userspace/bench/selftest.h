/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Whether the checks notice what they are for, and every transport works
 */
#ifndef SELFTEST_H
#define SELFTEST_H

#include <stdbool.h>

/* Prints TAP; true when nothing failed. */
bool self_test(void);

#endif /* SELFTEST_H */
