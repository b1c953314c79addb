/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is compared: bounded queues of messages that are copied in and out again
 */
#ifndef CANDIDATE_H
#define CANDIDATE_H

#include <stdbool.h>

struct ledger;

#define OWN_LINE	__attribute__((__aligned__(64)))

#define CAPACITY	1024
#define MAX_THREADS	32	/* that attach to one queue */
#define WORDS		8

struct message {
	unsigned long long words[WORDS];
} OWN_LINE;

enum role { PRODUCER = 1, CONSUMER = 2 };

/* What one thread of a run is to do. */
struct work {
	void *handle;
	unsigned int self;		/* producers count from 0 */
	unsigned int messages;		/* of each producer */
	unsigned int *producing;	/* producers that are not done */
	struct ledger *ledger;		/* a consumer's */
};

/* A thread that pushes and pops for ever. */
struct churn {
	void *handle;
	unsigned long popped;
};

struct candidate {
	const char *name;
	const char *text;
	unsigned int capacity;
	bool lock_free;		/* whoever stops, for good and anywhere, stops nobody else */
	bool bounded;
	bool fifo;		/* across producers; each producer's order all of them keep */
	const char *note;	/* what else there is to know, or NULL */

	void *(*open)(void);
	void *(*attach)(void *queue, unsigned int roles);

	/* These are loops.h, compiled into each candidate. */
	unsigned int (*pairs)(void *handle, unsigned int pairs);
	void (*produce)(struct work *work);
	void (*consume)(struct work *work);
	void (*churn)(struct churn *churn);
};

#ifdef __cplusplus
#define CANDIDATE	extern "C" const struct candidate
#else
#define CANDIDATE	extern const struct candidate
#endif

CANDIDATE candidate_copy;
CANDIDATE candidate_mpmcq;
CANDIDATE candidate_vyukov;
CANDIDATE candidate_ck_ring;
CANDIDATE candidate_ck_fifo;
CANDIDATE candidate_rte_ring;
CANDIDATE candidate_rte_rts;
CANDIDATE candidate_rte_hts;
CANDIDATE candidate_moodycamel;
CANDIDATE candidate_boost;

#define PLANTS	7

/* Of the self test: a queue with a lock, and with a fault of each kind. */
extern const struct candidate planted[PLANTS];

#endif /* CANDIDATE_H */
