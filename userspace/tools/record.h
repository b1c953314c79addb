/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_RECORD_H
#define _MPMCQ_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/mpmcq.h>

/**
 * struct output - what is to be written to standard output
 * @data: the bytes
 * @used: how many there are
 * @room: how many there is memory for
 */
struct output {
	char *data;
	size_t used;
	size_t room;
};

/**
 * struct record - a message and what is known of it
 * @data: the message
 * @len: its length in bytes
 * @id: its name in the queue, from its send to its end
 * @deliveries: how often it was delivered to readers with leases
 * @priority: its priority
 * @reason: MPMCQ_REASON_REJECTED and the like of a dead message, else 0
 * @state: MPMCQ_STATE_SUSPECT or 0
 * @delay_ms: of a parked message, the delay that is left
 * @stamped: whether @age_ns, @uid and @gid are known
 * @age_ns: time since it was sent
 * @uid: user id of its sender
 * @gid: group id of its sender
 */
struct record {
	const char *data;
	uint32_t len;
	uint64_t id;
	uint32_t deliveries;
	uint32_t priority;
	uint32_t reason;
	uint32_t state;
	uint32_t delay_ms;
	bool stamped;
	uint64_t age_ns;
	uint32_t uid;
	uint32_t gid;
};

/**
 * struct record_format - how records are printed
 * @json: as JSON, else the message alone
 * @escape: with escapes for what a terminal would obey instead of showing it
 * @has_tail: a byte follows each message
 * @tail: this one
 */
struct record_format {
	bool json;
	bool escape;
	bool has_tail;
	char tail;
};

/* The options of a struct record_format: --null, --raw and --json. */
#define FORMAT_OPTIONS	"0rj"
#define FORMAT_LONG_OPTIONS \
	{ "null", no_argument, NULL, '0' }, \
	{ "raw", no_argument, NULL, 'r' }, \
	{ "json", no_argument, NULL, 'j' }

struct record_format format_of(int option);
struct record record_of_meta(const struct mpmcq_meta *meta, const struct mpmcq_info *info);
struct record record_of_peek(const struct mpmcq_peek *peek, const struct mpmcq_info *info);
const char *reason_text(uint32_t reason);

void reserve_bytes(struct output *out, size_t length);
void add_bytes(struct output *out, const char *data, size_t length);
void add_begin(struct output *out, const struct record *r, size_t length);
void print_record(struct output *out, const struct record *r, const struct record_format *format);
void write_output(struct output *out);

#endif /* _MPMCQ_RECORD_H */
