/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages that can be recognised, and a ledger of what a consumer received
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/*
 * No message is shorter.  In a longer one each word after the first shows tearing.  Of
 * this one nothing but whose and which it is; halves of two are another message, which is
 * then lost or repeated.
 */
#define MESSAGE_MIN	8
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
void ledger_map(struct ledger *l);	/* by the consumer, before it begins */
bool ledger_enter(struct ledger *l, const void *message, size_t length);
struct verdict ledger_sum(struct ledger *const *l, unsigned int consumers);

void message_fill(void *message, size_t size, unsigned int producer, unsigned int number);

/* Of one that is too short, or torn, what is there. */
static inline void message_read(const void *message, unsigned int *producer,
				unsigned int *number)
{
	unsigned long long id;

	memcpy(&id, message, sizeof(id));
	*producer = id >> 32;
	*number = id;
}

bool verdict_clean(const struct verdict *v);
void verdict_print(const struct verdict *v);	/* as a remark in TAP */
void verdict_json(const struct verdict *v, FILE *f);	/* the faults, as members */
const char *verdict_text(const struct verdict *v);	/* the faults; until the next call */
void verdict_add(struct verdict *sum, const struct verdict *v);
size_t verify_plants(void);
bool verify_plant(size_t i, bool usual, const char **name);

#endif /* VERIFY_H */
