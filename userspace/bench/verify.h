/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages that can be recognised, and a ledger of what a consumer received
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_MIN	16	/* the shortest message that shows tearing */
#define STOP		UINT_MAX	/* as a producer: the consumer is to stop */

/* What a run came to.  All but @received are faults. */
struct verdict {
	unsigned long received;
	unsigned long lost;
	unsigned long repeated;
	unsigned long disordered;	/* came after a later one of the same producer */
	unsigned long torn;		/* not the bytes, or not the length, sent */
};

/* Belongs to one consumer; the parent reads it when the consumer is done. */
struct ledger {
	size_t size;		/* of each message */
	unsigned int producers;
	unsigned int messages;	/* of each producer */
	struct verdict verdict;
	unsigned int *last;		/* of each producer: highest number, plus 1 */
	unsigned char *times;		/* how often each message came, at most 255 */
};

struct ledger *ledger_new(size_t size, unsigned int producers, unsigned int messages);
void ledger_free(struct ledger *l);
bool ledger_enter(struct ledger *l, const void *message, size_t length);
struct verdict ledger_sum(struct ledger *const *l, unsigned int consumers);

void message_fill(void *message, size_t size, unsigned int producer, unsigned int number);
bool verdict_clean(const struct verdict *v);
bool verify_self_test(void);

#endif /* VERIFY_H */
