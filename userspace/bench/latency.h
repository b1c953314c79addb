/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long messages take from send to receive
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stdbool.h>
#include <stddef.h>

#include "measure.h"

/* A prime, so that a sample may be at any place of a packed call. */
#define SAMPLE_EVERY 17

/*
 * When messages of one run were sent and received, in shared memory.  Not in the messages,
 * the shortest of which have no room for it.  Each time is written by one process and read
 * when all have ended.
 */
struct stamps {
	unsigned int producers;
	unsigned int messages;	/* of each producer */
	unsigned int each;	/* samples of each producer */
	bool all;
	unsigned long long *received;
	unsigned long long sent[];
};

/* Of all messages, or, as looking at the clock costs time, of one in SAMPLE_EVERY. */
struct stamps *stamps_new(unsigned int producers, unsigned int messages, bool all);
void stamps_free(struct stamps *s);
void stamps_map(struct stamps *s);
/* Of a sample. */
void stamp_sent_at(struct stamps *s, unsigned int producer, unsigned int number,
		   unsigned long long ns);
void stamp_received_at(struct stamps *s, unsigned int producer, unsigned int number,
		       unsigned long long ns);

/* Inline, as most messages are no sample. */
static inline bool is_sample(const struct stamps *s, unsigned int number)
{
	return !(number % SAMPLE_EVERY) || s->all;
}

static inline void stamp_sent(struct stamps *s, unsigned int producer, unsigned int number)
{
	if (is_sample(s, number))
		stamp_sent_at(s, producer, number, now_ns());
}

static inline void stamp_received(struct stamps *s, unsigned int producer, unsigned int number)
{
	if (is_sample(s, number))
		stamp_received_at(s, producer, number, now_ns());
}

/* Durations in nanoseconds: all are kept, so that percentiles are exact. */
struct samples {
	unsigned int *ns;
	size_t count;
	size_t room;
};

void samples_add(struct samples *s, unsigned long long ns);
void samples_collect(struct samples *s, const struct stamps *stamps);
void samples_free(struct samples *s);

/* In microseconds; NAN where there are too few samples to say. */
struct percentiles {
	size_t count;
	double p50;
	double p99;
	double p999;
};

struct percentiles percentiles_of(struct samples *s);

#endif /* LATENCY_H */
