/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Single messages through an open file in packed mode
 */
#ifndef PACKED_H
#define PACKED_H

#include <stddef.h>
#include <sys/types.h>

#include "transport.h"

int packed_begin(struct channel *c);
void *packed_place(struct channel *c);
ssize_t packed_send(struct channel *c, const void *message, size_t size);
int packed_flush(struct channel *c);
ssize_t packed_take(struct channel *c, const void **message);
ssize_t packed_receive(struct channel *c, void *message, size_t size);

#endif /* PACKED_H */
