/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_TOP_H
#define _MPMCQ_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/mpmcq.h>

/* In the order of the screen. What does not fit on it is left out from the end. */
enum column {
	NAME,
	DEPTH,
	FILL,
	SENT,
	RECEIVED,
	OLDEST,
	LEASED,
	DEAD,
	PARKED,
	REDELIVERED,
	READERS,
	WRITERS,
	STATE,
	COLUMNS,
};

/**
 * struct column_text - how a column is called and shown
 * @name: for --sort
 * @title: its heading
 * @width: in characters; that of NAME varies
 * @key: sorts by it
 */
struct column_text {
	const char *name;
	const char *title;
	int width;
	char key;
};

extern const struct column_text column_texts[COLUMNS];

/**
 * struct row - a queue, as it was at the last look
 * @name: in its directory; that of the default queue is its path
 * @error: why it could not be opened, or 0
 * @info: its state
 * @at_ns: when that was read
 * @sent_rate: messages a second since the look before; negative if that has not seen this queue
 * @received_rate: likewise
 */
struct row {
	char *name;
	int error;
	struct mpmcq_info info;
	int64_t at_ns;
	double sent_rate;
	double received_rate;
};

/**
 * struct rows - the queues of a directory
 * @dir: its path
 * @with_default: the default queue is one of them
 * @array: the queues, sorted by name
 * @count: how many
 */
struct rows {
	const char *dir;
	bool with_default;
	struct row *array;
	size_t count;
};

const char *look_at_queues(struct rows *rows);
int compare_rows(const struct row *a, const struct row *b, enum column column);

int name_columns(const char *name);
void format_name(char *buffer, const char *name, int width);
int format_titles(char *buffer, size_t size, int width);
void format_cells(char *buffer, size_t size, const struct row *row, int width);

#endif /* _MPMCQ_TOP_H */
