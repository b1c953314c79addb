// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq top: the queues, and a line for each
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>

#include <libmpmcq.h>

#include "mpmcq.h"
#include "top.h"

enum {
	BAR_WIDTH = 8,	/* between the brackets */
};

const struct column_text column_texts[COLUMNS] = {
	[NAME] = { "name", "QUEUE", 0, 'n' },
	[DEPTH] = { "depth", "DEPTH", 6, 'd' },
	[FILL] = { "fill", "FILL", BAR_WIDTH + 2, 'f' },
	[SENT] = { "sent", "SENT/S", 7, 's' },
	[RECEIVED] = { "received", "RECV/S", 7, 'r' },
	[OLDEST] = { "oldest", "OLDEST", 6, 'o' },
	[LEASED] = { "leased", "LEASED", 6, 'l' },
	[DEAD] = { "dead", "DEAD", 6, 'x' },
	[PARKED] = { "parked", "PARKED", 6, 'p' },
	[REDELIVERED] = { "redelivered", "REDELIV", 7, 'v' },
	[READERS] = { "readers", "RDWAIT", 6, 'i' },
	[WRITERS] = { "writers", "WRWAIT", 6, 'b' },
	[STATE] = { "state", "STATE", 6, 'c' },
};

/* --- looking --- */

static void add_row(struct rows *rows, const char *name)
{
	struct row *row;

	/* Room for 64, and then twice as many each time. */
	if (!rows->count || (rows->count >= 64 && !(rows->count & (rows->count - 1)))) {
		rows->array = reallocarray(rows->array, rows->count ? rows->count * 2 : 64,
					   sizeof(*rows->array));
		if (!rows->array)
			err(EXIT_FAILURE, NULL);
	}
	row = &rows->array[rows->count++];
	*row = (struct row){ .name = strdup(name), .sent_rate = -1, .received_rate = -1 };
	if (!row->name)
		err(EXIT_FAILURE, NULL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static void read_names(DIR *dir, struct rows *rows)
{
	const struct dirent *entry;

	if (rows->with_default)
		add_row(rows, DEFAULT_QUEUE);
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			add_row(rows, entry->d_name);
	}
	if (rows->count)
		qsort(rows->array, rows->count, sizeof(*rows->array), by_name);
}

/*
 * One queue is open at a time, for reading and for this moment only, so that it has neither a
 * reader nor a writer more. A writer that goes could close it.
 */
static void look_at(int dir, struct row *row)
{
	int fd = openat(dir, row->name, O_RDONLY | O_NOFOLLOW | OPEN_FLAGS);

	if (fd < 0) {
		row->error = errno;
		return;
	}
	row->info.size = sizeof(row->info);
	row->error = -mpmcq_get_info(fd, &row->info);
	row->at_ns = now_ns();
	close(fd);
}

/* A queue that was removed and made again counts from zero. */
static void set_rates(struct row *row, const struct row *before)
{
	double seconds = (row->at_ns - before->at_ns) / 1e9;

	if (row->error || before->error || seconds <= 0 ||
	    memcmp(row->info.uuid, before->info.uuid, sizeof(row->info.uuid)))
		return;
	row->sent_rate = (row->info.sent - before->info.sent) / seconds;
	row->received_rate = (row->info.received - before->info.received) / seconds;
}

/* Both are sorted by name. */
static void compare_with(struct rows *rows, const struct rows *before)
{
	size_t j = 0;

	for (size_t i = 0; i < rows->count; i++) {
		int order = -1;

		while (j < before->count &&
		       (order = strcmp(before->array[j].name, rows->array[i].name)) < 0)
			j++;
		if (j < before->count && !order)
			set_rates(&rows->array[i], &before->array[j]);
	}
}

/* Drops queues that were removed after their name was read, and a default queue that is missing. */
static void remove_missing(struct rows *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++) {
		if (rows->array[i].error == ENOENT)
			free(rows->array[i].name);
		else
			rows->array[count++] = rows->array[i];
	}
	rows->count = count;
}

static void free_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free(rows->array[i].name);
	free(rows->array);
}

/*
 * Looks at all queues anew. The directory is open meanwhile only, because it keeps its mount.
 * Returns NULL, or why that failed.
 */
const char *look_at_queues(struct rows *rows)
{
	struct rows before = *rows;
	const char *why = why_no_queues(rows->dir);
	DIR *dir = why ? NULL : opendir(rows->dir);

	if (why)
		return why;
	if (!dir)
		return text("%s: %s", printable(rows->dir), strerror(errno));
	rows->array = NULL;
	rows->count = 0;
	read_names(dir, rows);
	for (size_t i = 0; i < rows->count; i++)
		look_at(dirfd(dir), &rows->array[i]);
	closedir(dir);
	remove_missing(rows);
	compare_with(rows, &before);
	free_rows(&before);
	return NULL;
}

/* --- values --- */

/* Messages that take up room: all of the queue. */
static uint32_t used(const struct mpmcq_info *info)
{
	return info->depth + info->leased + info->parked + info->dead;
}

static double value(const struct row *row, enum column column)
{
	const struct mpmcq_info *info = &row->info;

	switch (column) {
	case DEPTH:
		return info->depth;
	case FILL:
		return info->capacity ? (double)used(info) / info->capacity : 0;
	case SENT:
		return row->sent_rate;
	case RECEIVED:
		return row->received_rate;
	case OLDEST:
		return info->oldest_ns;
	case LEASED:
		return info->leased;
	case DEAD:
		return info->dead;
	case PARKED:
		return info->parked;
	case REDELIVERED:
		return info->redelivered;
	case READERS:
		return info->readers_asleep;
	case WRITERS:
		return info->writers_asleep;
	case STATE:
		return info->closed;
	default:
		return 0;
	}
}

/* The larger value comes first. Returns 0 for equal ones, and for NAME. */
int compare_rows(const struct row *a, const struct row *b, enum column column)
{
	double left = value(a, column), right = value(b, column);

	return left > right ? -1 : left < right;
}

/* --- texts --- */

/* Returns how many columns the first character of @s takes, or -1 if the locale cannot show it. */
static int character_columns(const char *s, size_t *length)
{
	mbstate_t state = { };
	wchar_t character;

	*length = mbrtowc(&character, s, MB_CUR_MAX, &state);
	if (*length <= MB_CUR_MAX && wcwidth(character) >= 0)
		return wcwidth(character);
	*length = 1;
	return -1;
}

/* Returns how many columns of the terminal the whole name takes. */
int name_columns(const char *name)
{
	const char *whole = printable(name);
	size_t length;
	int sum = 0;

	for (const char *s = whole; *s; s += length)
		sum += abs(character_columns(s, &length));
	free((char *)whole);
	return sum;
}

/*
 * Writes the name, cut or padded to @width columns of the terminal.  @buffer has room for
 * MB_LEN_MAX bytes in each of them.  What the terminal's locale cannot show becomes a '?'.
 */
void format_name(char *buffer, const char *name, int width)
{
	const char *whole = printable(name);
	size_t length;

	for (const char *s = whole; *s && width > 0; s += length) {
		int columns = character_columns(s, &length);

		if (columns > width)
			break;
		buffer = mempcpy(buffer, columns < 0 ? "?" : s, length);
		width -= abs(columns);
	}
	memset(buffer, ' ', width);
	buffer[width] = '\0';
	free((char *)whole);
}

/* At most 6 characters. */
static void format_count(char *buffer, size_t size, double n)
{
	if (n < 0)
		snprintf(buffer, size, "-");
	else if (n > 0 && n < 9.95)
		snprintf(buffer, size, "%.1f", n);
	else if (n < 999999.5)
		snprintf(buffer, size, "%.0f", n);
	else if (n < 999.95e6)
		snprintf(buffer, size, "%.1fM", n / 1e6);
	else
		snprintf(buffer, size, "%.0fG", n / 1e9);
}

static void format_age(char *buffer, size_t size, double ns)
{
	double s = ns / 1e9;

	if (!ns)
		snprintf(buffer, size, "-");
	else if (s < 1)
		snprintf(buffer, size, "%.0fms", s * 1000);
	else if (s < 600)
		snprintf(buffer, size, "%.0fs", s);
	else if (s < 600 * 60)
		snprintf(buffer, size, "%.0fmin", s / 60);
	else if (s < 240 * 3600)
		snprintf(buffer, size, "%.0fh", s / 3600);
	else
		snprintf(buffer, size, "%.0fd", s / 86400);
}

/* '#' are messages that wait, '=' are others that take up room. Any number shows. */
static void format_bar(char *buffer, size_t size, const struct mpmcq_info *info)
{
	uint32_t capacity = info->capacity ? info->capacity : 1;
	int ready = (info->depth * BAR_WIDTH + capacity - 1) / capacity;
	int all = (used(info) * BAR_WIDTH + capacity - 1) / capacity;
	char bar[BAR_WIDTH + 1];

	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < ready ? '#' : i < all ? '=' : ' ';
	bar[BAR_WIDTH] = '\0';
	snprintf(buffer, size, "[%s]", bar);
}

static void format_cell(char *buffer, size_t size, const struct row *row, enum column column)
{
	double n = value(row, column);

	switch (column) {
	case FILL:
		format_bar(buffer, size, &row->info);
		break;
	case SENT:
	case RECEIVED:
		format_count(buffer, size, n);
		break;
	case OLDEST:
		format_age(buffer, size, n);
		break;
	case STATE:
		snprintf(buffer, size, "%s", n ? "closed" : "open");
		break;
	default:
		if (n < 1e6)
			snprintf(buffer, size, "%.0f", n);
		else
			format_count(buffer, size, n);
	}
}

/* The columns but NAME, as many as fit into @width characters. Returns how wide they are. */
int format_titles(char *buffer, size_t size, int width)
{
	size_t length = 0;

	*buffer = '\0';
	for (int i = NAME + 1; i < COLUMNS; i++) {
		const struct column_text *c = &column_texts[i];

		if ((int)length + 1 + c->width > width)
			break;
		length += snprintf(buffer + length, size - length, " %*s", c->width, c->title);
	}
	return length;
}

/* Likewise, of a queue. */
void format_cells(char *buffer, size_t size, const struct row *row, int width)
{
	size_t length = 0;

	*buffer = '\0';
	if (row->error) {
		snprintf(buffer, size, " cannot open: %s", strerror(row->error));
		return;
	}
	for (int i = NAME + 1; i < COLUMNS; i++) {
		char cell[32];

		if ((int)length + 1 + column_texts[i].width > width)
			break;
		format_cell(cell, sizeof(cell), row, i);
		length += snprintf(buffer + length, size - length, " %*s", column_texts[i].width,
				   cell);
	}
}
