/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_PEEK_H
#define _MPMCQ_PEEK_H

#include "record.h"

/* Is called for a message; returns false if it wants no more. */
typedef bool (*visit_fn)(const struct record *r, void *arg);

bool peek_place(int fd, const struct mpmcq_info *info, uint32_t where, uint32_t level,
		visit_fn visit, void *arg);
bool peek_dead(int fd, const struct mpmcq_info *info, uint64_t id, visit_fn visit, void *arg);

#endif /* _MPMCQ_PEEK_H */
