/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The round trip: two processes, one message that goes there and back
 */
#ifndef PINGPONG_H
#define PINGPONG_H

#include "latency.h"
#include "transport.h"
#include "verify.h"

struct pingpong {
	const struct transport *transport;
	unsigned int size;
	struct samples samples;
	struct percentiles percentiles;
	unsigned long wrong;	/* messages that were not those that were sent */
};

/* For about so long; adds to what earlier rounds came to. */
void pingpong_run(struct pingpong *p, double seconds, unsigned int limit);

#endif /* PINGPONG_H */
