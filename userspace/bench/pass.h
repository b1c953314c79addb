/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One process sends messages to itself in turns, so that nobody ever waits
 */
#ifndef PASS_H
#define PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "transport.h"
#include "verify.h"

/*
 * struct way - how messages go
 * @batch: messages of a call, each behind its struct mpmcq_msg; 0 for one as it is
 * @delay_ms: of each message, written behind its struct mpmcq_msg and read as it is; all of a round
 *	are sent before the first is received
 * @zeros: what comes back are zeros, whatever was sent
 */
struct way {
	const char *name;
	const struct transport *transport;
	unsigned int batch;
	unsigned int delay_ms;
	bool zeros;
};

/*
 * struct passing - a way in use
 * @messages: of a round; each has its own memory, there from the start, so that what
 *	fills and verifies them need not be done while the time is taken
 * @stride: from one message to the next, in bytes
 * @header: bytes before each message
 * @lengths: of the messages received
 * @round: how many there were
 */
struct passing {
	const struct way *way;
	struct channel channel;
	size_t size;
	unsigned int messages;
	size_t stride;
	size_t header;
	char *out;
	char *in;
	ssize_t *lengths;
	unsigned int round;
	struct ledger *ledger;
};

int passing_begin(struct passing *p, const struct way *way, size_t size, unsigned int messages,
		  unsigned int rounds);
int passing_round(struct passing *p, double *seconds);
struct verdict passing_end(struct passing *p);

#endif /* PASS_H */
