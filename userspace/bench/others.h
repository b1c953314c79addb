/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * More of what the kernel has that carries messages
 */
#ifndef OTHERS_H
#define OTHERS_H

#include "transport.h"

extern const struct transport sysv_transport;
extern const struct transport seqpacket_transport;
extern const struct transport dgram_transport;

#endif /* OTHERS_H */
