// SPDX-License-Identifier: GPL-2.0-only
/*
 * Text for people and programs: UTF-8, escapes, JSON
 *
 * A byte outside of UTF-8 is printed as \xHH for people.  In JSON it is a lone surrogate, \udcHH,
 * which Python's os.fsencode() turns into the byte again.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <json-c/json.h>

#include "mpmcq.h"
#include "output.h"

noreturn void no_memory(void)
{
	errx(EXIT_FAILURE, "%s", strerror(ENOMEM));
}

/* As printf(), into memory that is never freed: the program ends soon. */
const char *text(const char *format, ...)
{
	va_list args;
	char *s;
	int length;

	va_start(args, format);
	length = vasprintf(&s, format, args);
	va_end(args);
	if (length < 0)
		no_memory();
	return s;
}

/* --- UTF-8 --- */

/* Returns the length of the UTF-8 character at @s, before @end; 0 if there is none. */
static size_t character_length(const unsigned char *s, const unsigned char *end)
{
	size_t length = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 :
			*s < 0xf5 ? 4 : 0;

	if (length > (size_t)(end - s))
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong, a surrogate, or above U+10FFFF. */
	if ((*s == 0xe0 && s[1] < 0xa0) || (*s == 0xed && s[1] > 0x9f) ||
	    (*s == 0xf0 && s[1] < 0x90) || (*s == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

/**
 * is_utf8() - whether bytes are text
 * @data: the bytes
 * @length: how many
 *
 * Return: true if all of them are UTF-8, and none is NUL.
 */
bool is_utf8(const void *data, size_t length)
{
	const unsigned char *s = data, *end = s + length;

	while (s < end) {
		size_t bytes = character_length(s, end);

		if (!bytes || !*s)
			return false;
		s += bytes;
	}
	return true;
}

/* Whether a terminal obeys the character at @s instead of showing it: C0, DEL and C1. */
static bool is_control(const unsigned char *s)
{
	return *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
}

/* --- escapes --- */

static bool is_escaped(const unsigned char *s, const unsigned char *end, unsigned int what)
{
	if (*s == '\\')
		return what & ESCAPE_MARK && s + 1 < end && s[1] == 'x';
	if (*s == '\n' || *s == '\t')
		return what & ESCAPE_LAYOUT;
	return what & ESCAPE_CONTROLS && is_control(s);
}

/**
 * escape() - write the bytes that cannot be shown as \xHH
 * @data: the bytes
 * @length: how many
 * @what: ESCAPE_CONTROLS and the like; bytes outside of UTF-8 are escaped in any case
 * @escaped: for the length of the result, without its 0; or NULL
 *
 * Return: a string for the caller to free.
 */
char *escape(const void *data, size_t length, unsigned int what, size_t *escaped)
{
	const unsigned char *s = data, *end = s + length;
	char *copy = allocate(4 * length + 1), *p = copy;

	while (s < end) {
		size_t bytes = character_length(s, end);

		if (bytes && !is_escaped(s, end, what)) {
			p = mempcpy(p, s, bytes);
			s += bytes;
			continue;
		}
		do {
			p += sprintf(p, "\\x%02x", *s++);
		} while (bytes-- > 1);
	}
	*p = '\0';
	if (escaped)
		*escaped = p - copy;
	return copy;
}

/**
 * unescape() - undo escape() with ESCAPE_MARK
 * @string: the text
 *
 * Return: a string for the caller to free; NULL if @string has a \x without two digits, or \x00.
 */
char *unescape(const char *string)
{
	char *copy = allocate(strlen(string) + 1), *p = copy;
	unsigned int byte;

	while (*string) {
		if (string[0] != '\\' || string[1] != 'x') {
			*p++ = *string++;
			continue;
		}
		if (!isxdigit((unsigned char)string[2]) || !isxdigit((unsigned char)string[3]) ||
		    sscanf(string + 2, "%2x", &byte) != 1 || !byte) {
			free(copy);
			return NULL;
		}
		*p++ = byte;
		string += 4;
	}
	*p = '\0';
	return copy;
}

/* Returns @name as it is shown, in one line and unambiguous. */
const char *printable(const char *name)
{
	return escape(name, strlen(name), ESCAPE_CONTROLS | ESCAPE_LAYOUT | ESCAPE_MARK, NULL);
}

/**
 * payload_text() - a payload as a terminal shows it
 * @data: the payload
 * @length: its length in bytes
 * @escaped: for the length of the result, without its 0
 *
 * Newlines and tabs stay.
 *
 * Return: a string for the caller to free.
 */
char *payload_text(const void *data, size_t length, size_t *escaped)
{
	return escape(data, length, ESCAPE_CONTROLS, escaped);
}

/* Whether payloads are escaped before they are printed, unless --raw says otherwise. */
bool is_terminal(void)
{
	return isatty(STDOUT_FILENO);
}

/* --- JSON --- */

/*
 * Copies @json, in which json-c has left the bytes of strings from 0x7f on as they are.  Those that
 * a terminal obeys, and those outside of UTF-8, become escapes.
 */
static char *finish_json(const char *json, size_t *length)
{
	const unsigned char *s = (const unsigned char *)json, *end = s + *length;
	char *copy = allocate(6 * *length + 1), *p = copy;

	while (s < end) {
		size_t bytes = character_length(s, end);

		if (!bytes)
			p += sprintf(p, "\\udc%02x", *s);
		else if (is_control(s))
			p += sprintf(p, "\\u%04x", s[bytes - 1]);
		else
			p = mempcpy(p, s, bytes);
		s += bytes ? bytes : 1;
	}
	*p = '\0';
	*length = p - copy;
	return copy;
}

/**
 * json_text() - JSON in one line
 * @object: what is printed; freed here
 * @length: for the length of the text
 *
 * Return: a string for the caller to free.
 */
char *json_text(struct json_object *object, size_t *length)
{
	int flags = JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE;
	const char *json = json_object_to_json_string_length(object, flags, length);
	char *copy;

	if (!json)
		no_memory();
	copy = finish_json(json, length);
	json_object_put(object);
	return copy;
}

/* Returns @string as JSON. */
const char *json_string(const char *string)
{
	struct json_object *object = json_object_new_string(string);
	size_t length;

	if (!object)
		no_memory();
	return json_text(object, &length);
}

/* Returns the words of @words, which blanks divide, as a JSON array of strings. */
const char *json_words(const char *words)
{
	struct json_object *array = json_object_new_array();
	char *copy = strdup(words);
	size_t length;

	if (!array || !copy)
		no_memory();
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		if (json_object_array_add(array, json_object_new_string(word)) < 0)
			no_memory();
	}
	free(copy);
	return json_text(array, &length);
}
