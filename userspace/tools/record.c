// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records: messages as bytes, with escapes for a terminal, or as lines of JSON
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "mpmcq.h"
#include "output.h"
#include "record.h"

/* --- output --- */

/* Makes room for @length bytes more. */
void reserve_bytes(struct output *out, size_t length)
{
	if (out->room - out->used >= length)
		return;
	out->room = 2 * (out->used + length);
	out->data = realloc(out->data, out->room);
	if (!out->data)
		no_memory();
}

void add_bytes(struct output *out, const char *data, size_t length)
{
	reserve_bytes(out, length);
	memcpy(out->data + out->used, data, length);
	out->used += length;
}

/* Frees @text. */
static void add_text(struct output *out, char *text, size_t length)
{
	add_bytes(out, text, length);
	free(text);
}

/*
 * Adds the first bytes of a message as part of a line, without what a terminal obeys.  They end
 * with a character of UTF-8, if they do not end with the message.
 */
void add_begin(struct output *out, const struct record *r, size_t length)
{
	size_t escaped;
	char *text;

	if (length < r->len) {
		for (int i = 0; i < 3 && length && (r->data[length] & 0xc0) == 0x80; i++)
			length--;
	} else {
		length = r->len;
	}
	text = escape(r->data, length, ESCAPE_CONTROLS | ESCAPE_LAYOUT, &escaped);
	add_text(out, text, escaped);
	if (length < r->len)
		add_bytes(out, "...", 3);
}

/* Writes what there is in @out, and ends the program if standard output does not accept it. */
void write_output(struct output *out)
{
	struct pollfd output = { .fd = STDOUT_FILENO, .events = POLLOUT };
	size_t done = 0;

	while (done < out->used) {
		ssize_t n = write(STDOUT_FILENO, out->data + done, out->used - done);

		if (n >= 0)
			done += n;
		else if (errno == EAGAIN)
			poll(&output, 1, -1);
		else if (errno != EINTR)
			err(EXIT_FAILURE, "standard output");
	}
	out->used = 0;
}

/* --- JSON --- */

/* Returns memory that the caller frees. */
static char *base64_of(const char *data, size_t length)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = (const unsigned char *)data;
	char *base64 = allocate((length + 2) / 3 * 4 + 1), *p = base64;

	for (; length >= 3; length -= 3, s += 3) {
		*p++ = digits[s[0] >> 2];
		*p++ = digits[(s[0] & 3) << 4 | s[1] >> 4];
		*p++ = digits[(s[1] & 15) << 2 | s[2] >> 6];
		*p++ = digits[s[2] & 63];
	}
	if (length) {
		unsigned char second = length > 1 ? s[1] : 0;

		*p++ = digits[s[0] >> 2];
		*p++ = digits[(s[0] & 3) << 4 | second >> 4];
		*p++ = length > 1 ? digits[(second & 15) << 2] : '=';
		*p++ = '=';
	}
	*p = '\0';
	return base64;
}

static void add_member(json_object *object, const char *name, json_object *value)
{
	if (!value || json_object_object_add(object, name, value) < 0)
		no_memory();
}

static void add_number(json_object *object, const char *name, uint64_t number)
{
	add_member(object, name, json_object_new_int64(number));
}

/* A string: many programs read numbers as doubles, which do not hold 64 bits. */
static void add_id(json_object *object, uint64_t id)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%llu", (unsigned long long)id);
	add_member(object, "id", json_object_new_string(digits));
}

static void add_payload(json_object *object, const struct record *r)
{
	char *base64;

	if (is_utf8(r->data, r->len)) {
		add_member(object, "text", json_object_new_string_len(r->data, r->len));
		return;
	}
	base64 = base64_of(r->data, r->len);
	add_member(object, "base64", json_object_new_string(base64));
	free(base64);
}

static void print_json(struct output *out, const struct record *r)
{
	json_object *object = json_object_new_object();
	size_t length;
	char *json;

	if (!object)
		no_memory();
	add_id(object, r->id);
	add_number(object, "len", r->len);
	add_number(object, "deliveries", r->deliveries);
	add_number(object, "priority", r->priority);
	add_member(object, "suspect", json_object_new_boolean(r->state & MPMCQ_STATE_SUSPECT));
	if (r->reason)
		add_member(object, "reason", json_object_new_string(reason_text(r->reason)));
	if (r->delay_ms)
		add_number(object, "delay_ms", r->delay_ms);
	if (r->stamped) {
		add_number(object, "age_ns", r->age_ns);
		add_number(object, "uid", r->uid);
		add_number(object, "gid", r->gid);
	}
	add_payload(object, r);
	json = json_text(object, &length);
	add_text(out, json, length);
	add_bytes(out, "\n", 1);
}

/* --- records --- */

const char *reason_text(uint32_t reason)
{
	switch (reason) {
	case MPMCQ_REASON_REJECTED:
		return "rejected";
	case MPMCQ_REASON_DELIVERIES:
		return "too many deliveries";
	default:	/* of a newer module */
		return "other";
	}
}

/* @option: '0', 'r' or 'j', as of FORMAT_OPTIONS; 0 if there is none */
struct record_format format_of(int option)
{
	return (struct record_format){
		.json = option == 'j',
		.escape = option != 'r' && is_terminal(),
		.has_tail = option != 'r',
		.tail = option == '0' ? '\0' : '\n',
	};
}

/* A message in a packed buffer with long headers. */
struct record record_of_meta(const struct mpmcq_meta *meta, const struct mpmcq_info *info)
{
	return (struct record){
		.data = (const char *)(meta + 1), .len = meta->msg.len, .id = meta->seq,
		.deliveries = meta->msg.deliveries, .priority = meta->msg.priority,
		.reason = meta->msg.reason, .state = meta->state,
		.stamped = info->flags & MPMCQ_STAMP, .age_ns = meta->age_ns,
		.uid = meta->uid, .gid = meta->gid,
	};
}

struct record record_of_peek(const struct mpmcq_peek *peek, const struct mpmcq_info *info)
{
	return (struct record){
		.data = (const char *)(uintptr_t)peek->buf, .len = peek->len, .id = peek->found,
		.deliveries = peek->deliveries, .priority = peek->msg_priority,
		.reason = peek->reason, .state = peek->state, .delay_ms = peek->delay_ms,
		.stamped = info->flags & MPMCQ_STAMP, .age_ns = peek->age_ns,
		.uid = peek->uid, .gid = peek->gid,
	};
}

void print_record(struct output *out, const struct record *r, const struct record_format *format)
{
	size_t length;
	char *text;

	if (format->json) {
		print_json(out, r);
		return;
	}
	if (format->escape) {
		text = payload_text(r->data, r->len, &length);
		add_text(out, text, length);
	} else {
		add_bytes(out, r->data, r->len);
	}
	if (format->has_tail)
		add_bytes(out, &format->tail, 1);
}
