// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long messages take from send to receive
 *
 * Debian has no C library of HDR histograms, and there is memory for every sample: they are
 * kept and sorted, which is exact.
 */
#define _GNU_SOURCE
#include <err.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "latency.h"
#include "process.h"

static size_t stamps_bytes(unsigned int producers, unsigned int each)
{
	return sizeof(struct stamps) + 2 * sizeof(unsigned long long) * producers * each;
}

struct stamps *stamps_new(unsigned int producers, unsigned int messages, bool all)
{
	unsigned int each = all ? messages : messages / SAMPLE_EVERY + 1;
	struct stamps *s = shared_memory(stamps_bytes(producers, each));

	s->producers = producers;
	s->messages = messages;
	s->each = each;
	s->all = all;
	s->received = s->sent + (size_t)producers * each;
	return s;
}

void stamps_free(struct stamps *s)
{
	munmap(s, stamps_bytes(s->producers, s->each));
}

void stamps_map(struct stamps *s)
{
	map_all(s, stamps_bytes(s->producers, s->each));
}

/* Where the time of a message goes, -1 for nowhere. */
static long place(const struct stamps *s, unsigned int producer, unsigned int number)
{
	if (producer >= s->producers || number >= s->messages)
		return -1;
	return (long)producer * s->each + (s->all ? number : number / SAMPLE_EVERY);
}

void stamp_sent_at(struct stamps *s, unsigned int producer, unsigned int number,
		   unsigned long long ns)
{
	long at = place(s, producer, number);

	if (at >= 0)
		s->sent[at] = ns;
}

void stamp_received_at(struct stamps *s, unsigned int producer, unsigned int number,
		       unsigned long long ns)
{
	long at = place(s, producer, number);

	if (at >= 0)
		s->received[at] = ns;
}

void samples_add(struct samples *s, unsigned long long ns)
{
	if (s->count == s->room) {
		s->room = s->room ? 2 * s->room : 1024;
		s->ns = realloc(s->ns, s->room * sizeof(*s->ns));
		if (!s->ns)
			err(EXIT_FAILURE, "memory for the times");
	}
	/* Four seconds are an answer, whatever it was in truth. */
	s->ns[s->count++] = ns < UINT_MAX ? ns : UINT_MAX;
}

void samples_collect(struct samples *s, const struct stamps *stamps)
{
	size_t n = (size_t)stamps->producers * stamps->each;

	for (size_t i = 0; i < n; i++)
		if (stamps->sent[i] && stamps->received[i] >= stamps->sent[i])
			samples_add(s, stamps->received[i] - stamps->sent[i]);
}

void samples_free(struct samples *s)
{
	free(s->ns);
	*s = (struct samples){ };
}

static int compare(const void *a, const void *b)
{
	unsigned int x = *(const unsigned int *)a, y = *(const unsigned int *)b;

	return (x > y) - (x < y);
}

/*
 * The least sample that @thousandths of all do not exceed.  Not told when no sample is
 * above that rank: it would be the maximum under another name.
 */
static double rank(const struct samples *s, size_t thousandths)
{
	size_t at = (s->count * thousandths + 999) / 1000;

	if (at >= s->count)
		return NAN;
	return s->ns[at ? at - 1 : 0] / 1e3;
}

struct percentiles percentiles_of(struct samples *s)
{
	if (s->count)
		qsort(s->ns, s->count, sizeof(*s->ns), compare);
	return (struct percentiles){
		.count = s->count,
		.p50 = rank(s, 500),
		.p99 = rank(s, 990),
		.p999 = rank(s, 999),
	};
}
