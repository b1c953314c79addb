/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_RECORD_H
#define _MPMCQ_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mpmcq_meta;
struct mpmcq_peek;

/**
 * struct record - a message as JSON shows it
 * @data: the payload
 * @length: its length in bytes
 * @seq: names the message in its queue; 0 if it is not known, and then is not shown
 * @priority: of the message
 * @deliveries: how often it was delivered
 * @suspect: it came back because its reader died or hung
 * @where: MPMCQ_PEEK_READY and the like; 0: not shown
 * @reason: MPMCQ_REASON_REJECTED and the like; 0: not shown
 * @delay_ms: delay that is left; shown with MPMCQ_PEEK_PARKED
 * @stamped: the queue has MPMCQ_STAMP, so @age_ns, @uid and @gid are known and shown
 * @age_ns: time since it was sent, in nanoseconds
 * @uid: user id of the sender
 * @gid: group id of the sender
 */
struct record {
	const void *data;
	size_t length;
	uint64_t seq;
	unsigned int priority;
	unsigned int deliveries;
	bool suspect;
	unsigned int where;
	unsigned int reason;
	unsigned int delay_ms;
	bool stamped;
	uint64_t age_ns;
	unsigned int uid;
	unsigned int gid;
};

struct record meta_record(const struct mpmcq_meta *meta, const void *data, bool stamped);
struct record peek_record(const struct mpmcq_peek *peek);
char *record_line(const struct record *r, size_t *length);
const char *reason_text(unsigned int reason);

#endif /* _MPMCQ_RECORD_H */
