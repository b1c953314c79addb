// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controls: a queue with a lock, and with a fault of each kind at its message FAULT_AT
 */
#include <err.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "verify.h"
#include "candidate.h"

#define FAULT_AT	3000

enum fault { NO_FAULT, LOSE, REPEAT, TEAR, SWAP, HANG, CRASH };

struct locked {
	enum fault fault;
	bool lock;
	unsigned int pushed, popped;
	unsigned int calls;		/* of push */
	struct message slots[CAPACITY];
};

static void take_lock(struct locked *l)
{
	while (__atomic_exchange_n(&l->lock, true, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void drop_lock(struct locked *l)
{
	__atomic_store_n(&l->lock, false, __ATOMIC_RELEASE);
}

static struct message *slot(struct locked *l, unsigned int pos)
{
	return &l->slots[pos % CAPACITY];
}

/* How often this message is to be put in. */
static unsigned int copies(struct locked *l)
{
	if (l->calls++ != FAULT_AT)
		return 1;
	switch (l->fault) {
	case LOSE:
		return 0;
	case REPEAT:
		return 2;
	case HANG:
		for (;;)
			pause();
	case CRASH:
		abort();
	default:
		return 1;
	}
}

static bool push(void *handle, const struct message *m)
{
	struct locked *l = handle;
	bool room;

	take_lock(l);
	room = l->pushed - l->popped < CAPACITY - 1;
	if (room)
		for (unsigned int n = copies(l); n; n--)
			*slot(l, l->pushed++) = *m;
	drop_lock(l);
	return room;
}

/* Does to the next message what is planted; false as long as there are too few to do it. */
static bool spoil(struct locked *l)
{
	struct message *first = slot(l, l->popped), *second = slot(l, l->popped + 1), m = *first;

	if (l->fault == TEAR)
		first->words[WORDS / 2] ^= 1;
	if (l->fault != SWAP)
		return true;
	if (l->pushed - l->popped < 2)
		return false;
	*first = *second;
	*second = m;
	return true;
}

static bool pop(void *handle, struct message *m)
{
	struct locked *l = handle;
	bool some;

	take_lock(l);
	some = l->pushed != l->popped && (l->popped != FAULT_AT || spoil(l));
	if (some)
		*m = *slot(l, l->popped++);
	drop_lock(l);
	return some;
}

#include "loops.h"

static void *locked_open(enum fault fault)
{
	struct locked *l = aligned_alloc(64, sizeof(*l));

	if (!l)
		err(EXIT_FAILURE, "memory");
	*l = (struct locked){ .fault = fault };
	return l;
}

#define OPEN(fault)				\
static void *open_##fault(void)			\
{						\
	return locked_open(fault);		\
}

OPEN(NO_FAULT)
OPEN(LOSE)
OPEN(REPEAT)
OPEN(TEAR)
OPEN(SWAP)
OPEN(HANG)
OPEN(CRASH)

#define PLANT(the_name, fault)			\
{						\
	.name = the_name,			\
	.capacity = CAPACITY - 1,		\
	.open = open_##fault,			\
	.attach = plain_attach,			\
	LOOPS,					\
}

const struct candidate planted[PLANTS] = {
	PLANT("no fault", NO_FAULT),
	PLANT("a lost message", LOSE),
	PLANT("a repeated message", REPEAT),
	PLANT("a changed bit", TEAR),
	PLANT("two messages swapped", SWAP),
	PLANT("a queue that hangs", HANG),
	PLANT("a queue that crashes", CRASH),
};
