/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_TABLE_H
#define _MPMCQ_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* What the values of a column are; JSON shows them as such. */
enum kind {
	KIND_TEXT,
	KIND_NUMBER,
	KIND_TRUTH,	/* "yes" or "no" */
	KIND_WORDS,	/* with blanks between them; "" if there are none */
};

/**
 * struct column - a column of a table, a line of a list, a member of JSON
 * @name: its name; a table has it in capitals
 * @kind: what its values are
 * @views: the views that have it, see struct table
 * @offset: the member of the row that it shows
 * @size: size of that member
 */
struct column {
	const char *name;
	enum kind kind;
	unsigned int views;
	size_t offset;
	size_t size;
};

/* The column @name, of @member of the struct @type. */
#define COLUMN_OF(type, member, name, kind, views) \
	{ name, kind, views, offsetof(type, member), sizeof(((type *)NULL)->member) }

/* How a table is printed. */
enum form {
	FORM_TABLE,	/* headings, and a line for each row */
	FORM_LINES,	/* of the only row, "name: value" in each line */
	FORM_ARRAY,	/* JSON: an array of objects */
	FORM_OBJECT,	/* JSON: the object of the only row */
};

/**
 * struct table - what print_table() prints
 * @columns: description of all columns
 * @column_count: how many there are
 * @get: returns the value of a column in a row, as text; NULL if the user may not know it
 * @view: a bit; columns that have it in their @views are printed
 * @form: how it is printed
 * @rows: the first row
 * @row_size: bytes from a row to the next
 * @row_count: how many rows there are
 */
struct table {
	const struct column *columns;
	size_t column_count;
	const char *(*get)(const void *row, const struct column *column);
	unsigned int view;
	enum form form;
	const void *rows;
	size_t row_size;
	size_t row_count;
};

void print_table(const struct table *t);
uint64_t number_at(const void *row, size_t offset, size_t size);
const char *number_text(const void *row, const struct column *column);

#endif /* _MPMCQ_TABLE_H */
