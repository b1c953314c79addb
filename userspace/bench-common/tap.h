/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A self test, as TAP
 */
#ifndef TAP_H
#define TAP_H

#include <stdbool.h>

void tap_begin(void);
bool tap_test(bool ok, const char *format, ...) __attribute__((format(printf, 2, 3)));
void tap_skip(const char *name, const char *why);
/* Returns whether all was well. */
bool tap_end(void);

#endif /* TAP_H */
