// SPDX-License-Identifier: GPL-2.0-only
/*
 * No queue: a message is copied to memory and back.  What any queue costs at least.
 */
#include <err.h>
#include <stdlib.h>

#include "verify.h"
#include "candidate.h"

struct copy {
	unsigned long pushed;
	unsigned long popped;
	struct message slots[CAPACITY];
};

static inline bool push(void *handle, const struct message *m)
{
	struct copy *c = handle;

	c->slots[c->pushed++ % CAPACITY] = *m;
	__asm__ __volatile__("" : : : "memory");
	return true;
}

static inline bool pop(void *handle, struct message *m)
{
	struct copy *c = handle;

	*m = c->slots[c->popped++ % CAPACITY];
	return true;
}

#include "loops.h"

static void *copy_open(void)
{
	struct copy *c = aligned_alloc(64, sizeof(*c));

	if (!c)
		err(EXIT_FAILURE, "memory");
	*c = (struct copy){ };
	return c;
}

const struct candidate candidate_copy = {
	.name = "copy",
	.text = "no queue, only the copies of the message: the least there can be",
	.capacity = CAPACITY,
	.note = "one thread only",
	.open = copy_open,
	.attach = plain_attach,
	.pairs = loop_pairs,
};
