/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_OUTPUT_H
#define _MPMCQ_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdnoreturn.h>

struct json_object;

bool is_utf8(const void *data, size_t length);

/* What escape() escapes beside the bytes outside of UTF-8. */
enum {
	ESCAPE_CONTROLS = 0x01,	/* control characters, but newline and tab */
	ESCAPE_LAYOUT = 0x02,	/* newline and tab */
	ESCAPE_MARK = 0x04,	/* a backslash before an x, for unescape() */
};

char *escape(const void *data, size_t length, unsigned int what, size_t *escaped);
char *unescape(const char *string);
char *payload_text(const void *data, size_t length, size_t *escaped);
bool is_terminal(void);

noreturn void no_memory(void);
char *json_text(struct json_object *object, size_t *length);
const char *json_string(const char *string);
const char *json_words(const char *words);

#endif /* _MPMCQ_OUTPUT_H */
