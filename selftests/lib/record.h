/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A message that says who wrote it, and that shows whether it is whole: for
 * tests that keep account of many of them.
 */
#ifndef MPMCQ_RECORD_H
#define MPMCQ_RECORD_H

#include "mpmcq_calls.h"

/* What a message begins with; the rest is bytes that depend on it. */
struct record {
	__u32 producer;
	__u32 number;
	__u32 len;		/* of the message, with this */
	__u32 sum;		/* over all the rest */
};

static inline __u32 sum_of(const struct record *rec, int len)
{
	const unsigned char *p = (const unsigned char *)(rec + 1);
	__u32 sum = rec->producer * 31 + rec->number * 17 + rec->len;

	for (len -= sizeof(*rec); len > 0; len--)
		sum = (sum << 5 | sum >> 27) ^ *p++;
	return sum;
}

/* Most messages are short; some are as long as can be. */
static inline __u32 length_of(__u32 number, __u32 longest)
{
	__u32 len = sizeof(struct record) + number * 7 % 120;

	if (number % 256 == 255 || len > longest)
		len = longest;
	return len;
}

/* The last byte of a body is never JUNK, so junk can not take the place of an end. */
static inline int make_message(void *buf, __u32 producer, __u32 number, __u32 longest)
{
	struct record *rec = buf;
	unsigned char *last;

	rec->producer = producer;
	rec->number = number;
	rec->len = length_of(number, longest);
	fill(rec + 1, rec->len - sizeof(*rec), number + producer);
	last = (unsigned char *)buf + rec->len - 1;
	if (rec->len > sizeof(*rec) && *last == JUNK)
		*last = (unsigned char)~JUNK;
	rec->sum = sum_of(rec, rec->len);
	return rec->len;
}

/* Whether what was read, @len bytes, is a message as it was made. */
static inline bool is_whole(const void *buf, int len)
{
	const struct record *rec = buf;

	return len >= (int)sizeof(*rec) && rec->len == (__u32)len && rec->sum == sum_of(rec, len);
}

#endif /* MPMCQ_RECORD_H */
