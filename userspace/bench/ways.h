/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What bench-exact compares
 */
#ifndef WAYS_H
#define WAYS_H

#include <stddef.h>

#include "pass.h"

#define MAX_WAYS	16

size_t ways_find(struct way *ways);
const char *way_text(const struct way *way);

#endif /* WAYS_H */
