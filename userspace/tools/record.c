// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages as lines of JSON
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "mpmcq.h"
#include "output.h"
#include "record.h"

/**
 * meta_record() - the record of a message that was read with MPMCQ_MODE_META
 * @meta: its header
 * @data: the payload
 * @stamped: the queue has MPMCQ_STAMP
 */
struct record meta_record(const struct mpmcq_meta *meta, const void *data, bool stamped)
{
	return (struct record){
		.data = data,
		.length = meta->msg.len,
		.seq = meta->seq,
		.priority = meta->msg.priority,
		.deliveries = meta->msg.deliveries,
		.suspect = meta->state & MPMCQ_STATE_SUSPECT,
		.reason = meta->msg.reason,
		.stamped = stamped,
		.age_ns = meta->age_ns,
		.uid = meta->uid,
		.gid = meta->gid,
	};
}

/**
 * peek_record() - the record of a message that MPMCQ_IOC_PEEK has found
 * @peek: what the call was given and has filled in
 */
struct record peek_record(const struct mpmcq_peek *peek)
{
	return (struct record){
		.data = (const void *)(uintptr_t)peek->buf,
		.length = peek->len,
		.seq = peek->found,
		.priority = peek->msg_priority,
		.deliveries = peek->deliveries,
		.suspect = peek->state & MPMCQ_STATE_SUSPECT,
		.where = peek->where,
		.reason = peek->reason,
		.delay_ms = peek->delay_ms,
	};
}

/* Returns why a message is dead; NULL if @reason says nothing, or nothing that is known here. */
const char *reason_text(unsigned int reason)
{
	static const char *const reasons[] = {
		[MPMCQ_REASON_REJECTED] = "rejected",
		[MPMCQ_REASON_DELIVERIES] = "deliveries",
	};

	return reason < sizeof(reasons) / sizeof(*reasons) ? reasons[reason] : NULL;
}

static const char *where_text(unsigned int where)
{
	static const char *const places[] = {
		[MPMCQ_PEEK_READY] = "ready",
		[MPMCQ_PEEK_RETURNED] = "returned",
		[MPMCQ_PEEK_DEAD] = "dead",
		[MPMCQ_PEEK_PARKED] = "parked",
	};

	return where < sizeof(places) / sizeof(*places) ? places[where] : NULL;
}

/* RFC 4648, with padding.  Returns a string for the caller to free. */
static char *base64(const unsigned char *s, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	char *copy = allocate((length + 2) / 3 * 4 + 1), *p = copy;

	for (; length; s += 3) {
		size_t n = length < 3 ? length : 3;
		unsigned int bits = s[0] << 16 | (n > 1 ? s[1] << 8 : 0) | (n > 2 ? s[2] : 0);

		*p++ = digits[bits >> 18];
		*p++ = digits[bits >> 12 & 63];
		*p++ = n > 1 ? digits[bits >> 6 & 63] : '=';
		*p++ = n > 2 ? digits[bits & 63] : '=';
		length -= n;
	}
	*p = '\0';
	return copy;
}

/* --- JSON --- */

static void add(struct json_object *object, const char *name, struct json_object *value)
{
	if (!value || json_object_object_add(object, name, value) < 0)
		no_memory();
}

static void add_number(struct json_object *object, const char *name, uint64_t number)
{
	add(object, name, json_object_new_int64(number));
}

static void add_text(struct json_object *object, const char *name, const char *string)
{
	if (string)
		add(object, name, json_object_new_string(string));
}

static void add_payload(struct json_object *object, const void *data, size_t length)
{
	char *encoded;

	if (is_utf8(data, length)) {
		add(object, "text", json_object_new_string_len(data, length));
		return;
	}
	encoded = base64(data, length);
	add_text(object, "base64", encoded);
	free(encoded);
}

/**
 * record_line() - a message as a line of JSON
 * @r: the message
 * @length: for the length of the line, with its newline
 *
 * The payload is the member "text" if it is UTF-8 without NUL, else "base64".
 *
 * Return: the line, which has no 0 at its end, for the caller to free.
 */
char *record_line(const struct record *r, size_t *length)
{
	struct json_object *object = json_object_new_object();
	char *line;

	if (!object)
		no_memory();
	if (r->seq)
		add_number(object, "seq", r->seq);
	add_text(object, "where", where_text(r->where));
	add_number(object, "priority", r->priority);
	add_number(object, "deliveries", r->deliveries);
	add(object, "suspect", json_object_new_boolean(r->suspect));
	add_text(object, "reason", reason_text(r->reason));
	if (r->where == MPMCQ_PEEK_PARKED)
		add_number(object, "delay_ms", r->delay_ms);
	if (r->stamped) {
		add_number(object, "age_ns", r->age_ns);
		add_number(object, "uid", r->uid);
		add_number(object, "gid", r->gid);
	}
	add_payload(object, r->data, r->length);
	line = json_text(object, length);
	line[(*length)++] = '\n';	/* in place of its 0 */
	return line;
}
