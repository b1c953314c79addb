// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables and their JSON, from one description of the columns
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "mpmcq.h"
#include "output.h"
#include "table.h"

/**
 * number_at() - the number that is a member of a struct
 * @row: the struct
 * @offset: where the member is
 * @size: its size, 4 or 8
 */
uint64_t number_at(const void *row, size_t offset, size_t size)
{
	const char *member = (const char *)row + offset;
	uint32_t number;
	uint64_t large;

	if (size == sizeof(large)) {
		memcpy(&large, member, sizeof(large));
		return large;
	}
	memcpy(&number, member, sizeof(number));
	return number;
}

/* Returns the number that @column shows. */
const char *number_text(const void *row, const struct column *column)
{
	return text("%llu", (unsigned long long)number_at(row, column->offset, column->size));
}

static const char *with_commas(const char *words)
{
	char *copy = strdup(words);

	if (!copy)
		no_memory();
	for (char *p = copy; (p = strchr(p, ' ')); )
		*p = ',';
	return copy;
}

static const char *json_cell(const struct column *c, const char *value)
{
	if (!value)
		return NULL;
	switch (c->kind) {
	case KIND_NUMBER:
		return value;
	case KIND_TRUTH:
		return strcmp(value, "yes") ? "false" : "true";
	case KIND_WORDS:
		return json_words(value);
	default:
		return json_string(value);
	}
}

static const char *cell(const struct table *t, const struct column *c, const void *row)
{
	const char *value = t->get(row, c);

	if (t->form == FORM_ARRAY || t->form == FORM_OBJECT)
		return json_cell(c, value);
	if (!value)
		return "-";
	if (c->kind != KIND_WORDS)
		return value;
	if (!*value)
		return "none";
	return t->form == FORM_TABLE ? with_commas(value) : value;
}

static const char *capitals(const char *name)
{
	char *copy = strdup(name);

	if (!copy)
		no_memory();
	for (char *p = copy; *p; p++)
		*p = toupper((unsigned char)*p);
	return copy;
}

/*
 * libsmartcols prints JSON numbers as the cell has them, so cells of all kinds pass for numbers.
 * By itself it would print an empty array as null, and bytes outside of UTF-8 as they are.
 */
static void add_column(struct libscols_table *table, const char *name, bool right)
{
	struct libscols_column *column;

	column = scols_table_new_column(table, name, 0, right ? SCOLS_FL_RIGHT : 0);
	if (!column || scols_column_set_json_type(column, SCOLS_JSON_NUMBER))
		no_memory();
}

static void set_cell(struct libscols_line *line, size_t column, const char *value)
{
	if (scols_line_set_data(line, column, value))
		no_memory();
}

static struct libscols_line *add_line(struct libscols_table *table)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);

	if (!line)
		no_memory();
	return line;
}

/* A table looks the same on a terminal and in a pipe.  Names are UTF-8 in every locale. */
static struct libscols_table *new_table(void)
{
	struct libscols_table *table;

	setlocale(LC_CTYPE, "C.UTF-8");
	table = scols_new_table();
	if (!table || scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER))
		no_memory();
	return table;
}

static void fill_rows(struct libscols_table *table, const struct table *t)
{
	for (size_t i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];

		if (c->views & t->view)
			add_column(table, capitals(c->name), c->kind == KIND_NUMBER);
	}
	for (size_t i = 0; i < t->row_count; i++) {
		const void *row = (const char *)t->rows + i * t->row_size;
		struct libscols_line *line = add_line(table);
		size_t n = 0;

		for (size_t j = 0; j < t->column_count; j++) {
			if (t->columns[j].views & t->view)
				set_cell(line, n++, cell(t, &t->columns[j], row));
		}
	}
}

static void fill_lines(struct libscols_table *table, const struct table *t)
{
	add_column(table, "NAME", false);
	add_column(table, "VALUE", false);
	if (scols_table_enable_noheadings(table, true) ||
	    scols_table_set_column_separator(table, "  "))
		no_memory();
	for (size_t i = 0; i < t->column_count; i++) {
		const struct column *c = &t->columns[i];
		struct libscols_line *line;

		if (!(c->views & t->view))
			continue;
		line = add_line(table);
		set_cell(line, 0, text("%s:", c->name));
		set_cell(line, 1, cell(t, c, t->rows));
	}
}

/*
 * libsmartcols prints {"rows": [ROW, ...]}.  The array is printed without that object around it, or
 * its only row without both.
 */
static void print_json(struct libscols_table *table, const struct table *t)
{
	char *json, *begin, *end;

	if (scols_table_enable_json(table, true) || scols_table_set_name(table, "rows") ||
	    scols_print_table_to_string(table, &json))
		no_memory();
	begin = strchr(json, '[');
	end = strrchr(json, ']');
	if (t->form == FORM_OBJECT) {
		begin = strchr(begin, '{');
		end = memrchr(begin, '}', end - begin);
	}
	fwrite(begin, 1, end - begin + 1, stdout);
	putchar('\n');
	free(json);
}

/**
 * print_table() - print rows as a table, as lines, or as JSON
 * @t: the rows, and the description of their columns
 *
 * A value that the user may not know is '-', and null in JSON.  In a table and in lines, control
 * characters and bytes outside of UTF-8 are escaped, on a terminal or not.
 */
void print_table(const struct table *t)
{
	struct libscols_table *table = new_table();

	if (t->form == FORM_LINES)
		fill_lines(table, t);
	else
		fill_rows(table, t);
	if (t->form == FORM_ARRAY && !t->row_count)
		puts("[]");
	else if (t->form == FORM_ARRAY || t->form == FORM_OBJECT)
		print_json(table, t);
	else if (scols_print_table(table))
		no_memory();
	scols_unref_table(table);
}
