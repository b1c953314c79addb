// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq top: the queues on a terminal, or as tables
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <ncurses.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"
#include "top.h"

enum {
	LINE_SIZE = 1024,
	NAME_SIZE = 4 * NAME_MAX * MB_LEN_MAX + 1,	/* each byte may be a \xHH */
	NAME_WIDTH_MIN = 12,
	DELAY_MIN_MS = 100,
	HEAD_LINES = 2,
	ESCAPE_KEY = 27,
	CTRL_U = 'U' & 0x1f,
};

/**
 * struct top - what is shown, and how
 * @rows: all queues
 * @shown: those that the filter lets through, in the order of the screen
 * @shown_count: how many
 * @first: number of the one at the top
 * @column: they are sorted by it
 * @reversed: the other way round
 * @delay_ms: between two looks
 * @filter: text that is in their names
 * @editing: keys go to @filter
 */
struct top {
	struct rows rows;
	const struct row **shown;
	size_t shown_count;
	size_t first;
	enum column column;
	bool reversed;
	int delay_ms;
	char filter[NAME_MAX + 1];
	bool editing;
};

static bool on_screen;

/* The terminal is as it was before. */
static void leave_screen(void)
{
	if (on_screen)
		endwin();
	on_screen = false;
}

/* --- which rows, in which order --- */

/* Queues that cannot be opened come last. Those that are equal are sorted by name. */
static int in_order(const void *a, const void *b, void *arg)
{
	const struct row *left = *(const struct row **)a, *right = *(const struct row **)b;
	const struct top *t = arg;
	int order = 0;

	if (!left->error != !right->error)
		return left->error ? 1 : -1;
	if (!left->error)
		order = compare_rows(left, right, t->column);
	if (!order)
		order = left < right ? -1 : left > right;
	return t->reversed ? -order : order;
}

static void choose_rows(struct top *t)
{
	t->shown = reallocarray(t->shown, t->rows.count + 1, sizeof(*t->shown));
	if (!t->shown)
		err(EXIT_FAILURE, NULL);
	t->shown_count = 0;
	for (size_t i = 0; i < t->rows.count; i++) {
		if (strstr(t->rows.array[i].name, t->filter))
			t->shown[t->shown_count++] = &t->rows.array[i];
	}
	qsort_r(t->shown, t->shown_count, sizeof(*t->shown), in_order, t);
}

static void look(struct top *t)
{
	const char *why = look_at_queues(&t->rows);

	if (why) {
		leave_screen();
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
	}
	choose_rows(t);
}

/* Returns how many columns of the terminal the longest name takes. */
static int longest_name(const struct top *t)
{
	int longest = strlen(column_texts[NAME].title);

	for (size_t i = 0; i < t->shown_count; i++) {
		int columns = name_columns(t->shown[i]->name);

		if (columns > longest)
			longest = columns;
	}
	return longest;
}

/* --- tables --- */

static void print_table(const struct top *t)
{
	char name[NAME_SIZE], line[LINE_SIZE];
	int width = longest_name(t);

	format_titles(line, sizeof(line), LINE_SIZE);
	printf("%-*s%s\n", width, column_texts[NAME].title, line);
	for (size_t i = 0; i < t->shown_count; i++) {
		format_name(name, t->shown[i]->name, width);
		format_cells(line, sizeof(line), t->shown[i], LINE_SIZE);
		printf("%s%s\n", name, line);
	}
}

/* Each table tells the rates since the look before. */
static void print_tables(struct top *t, bool once)
{
	look(t);
	for (;;) {
		usleep(t->delay_ms * 1000);
		look(t);
		print_table(t);
		if (once)
			return;
		putchar('\n');
		if (fflush(stdout) == EOF)
			err(EXIT_FAILURE, "standard output");
	}
}

/* --- screen --- */

static int rows_on_screen(void)
{
	int rows = LINES - HEAD_LINES - 1;

	return rows > 0 ? rows : 0;
}

static void scroll_to(struct top *t, long first)
{
	long last = (long)t->shown_count - rows_on_screen();

	if (first > last)
		first = last;
	t->first = first > 0 ? first : 0;
}

static void draw_head(const struct top *t, int width)
{
	char line[LINE_SIZE], titles[LINE_SIZE / 2];

	snprintf(line, sizeof(line), "mpmcq top: %zu queues, %zu shown, by %s%s, every %g s",
		 t->rows.count, t->shown_count, column_texts[t->column].name,
		 t->reversed ? " reversed" : "", t->delay_ms / 1000.0);
	mvaddnstr(0, 0, line, COLS);
	format_titles(titles, sizeof(titles), COLS - width);
	snprintf(line, sizeof(line), "%-*s%s", width, column_texts[NAME].title, titles);
	attron(A_REVERSE);
	mvaddnstr(1, 0, line, COLS);
	attroff(A_REVERSE);
}

static void draw_foot(const struct top *t)
{
	const char *title = t->editing ? "Filter (Enter, Esc): " : "Filter (/): ";
	char line[LINE_SIZE], filter[NAME_SIZE];
	int length;

	if (t->editing || *t->filter) {
		mvaddnstr(LINES - 1, 0, title, COLS);
		format_name(filter, t->filter, name_columns(t->filter));
		addnstr(filter, COLS);
		return;
	}
	length = snprintf(line, sizeof(line), "q quit  / filter  sort by:");
	for (int i = 0; i < COLUMNS; i++)
		length += snprintf(line + length, sizeof(line) - length, " %c %s",
				   column_texts[i].key, column_texts[i].name);
	mvaddnstr(LINES - 1, 0, line, COLS);
}

/* What the other columns leave, but some in any case. */
static int name_width(const struct top *t)
{
	char line[LINE_SIZE];
	int left = COLS - format_titles(line, sizeof(line), LINE_SIZE);
	int width = longest_name(t);

	if (left < NAME_WIDTH_MIN)
		left = NAME_WIDTH_MIN;
	if (left > COLS)
		left = COLS;
	return width < left ? width : left;
}

static void draw(struct top *t)
{
	char name[NAME_SIZE], line[LINE_SIZE];
	int width = name_width(t);

	scroll_to(t, t->first);
	erase();
	draw_head(t, width);
	for (int i = 0; i < rows_on_screen() && t->first + i < t->shown_count; i++) {
		const struct row *row = t->shown[t->first + i];

		format_name(name, row->name, width);
		format_cells(line, sizeof(line), row, COLS - width);
		mvaddstr(HEAD_LINES + i, 0, name);
		addnstr(line, COLS - width);
	}
	draw_foot(t);
	refresh();
}

/* --- keys --- */

static void remove_last_character(char *string)
{
	size_t length = strlen(string);

	while (length && (string[--length] & 0xc0) == 0x80)
		;
	string[length] = '\0';
}

static void edit_filter(struct top *t, int key)
{
	size_t length = strlen(t->filter);

	if (key == '\n' || key == '\r' || key == KEY_ENTER)
		t->editing = false;
	else if (key == KEY_BACKSPACE || key == '\b' || key == 0x7f)
		remove_last_character(t->filter);
	else if (key == CTRL_U || key == ESCAPE_KEY)
		*t->filter = '\0';
	else if (key >= ' ' && key <= 0xff && length + 1 < sizeof(t->filter))
		memcpy(t->filter + length, (char[]){ key, '\0' }, 2);
	if (key == ESCAPE_KEY)
		t->editing = false;
}

static void sort_by_key(struct top *t, int key)
{
	for (int i = 0; i < COLUMNS; i++) {
		if (column_texts[i].key != key)
			continue;
		t->reversed = t->column == (enum column)i && !t->reversed;
		t->column = i;
	}
}

/* Returns false if the key ends the program. */
static bool obey_key(struct top *t, int key)
{
	if (t->editing) {
		edit_filter(t, key);
		return true;
	}
	switch (key) {
	case 'q':
		return false;
	case '/':
		t->editing = true;
		break;
	case KEY_UP:
		scroll_to(t, (long)t->first - 1);
		break;
	case KEY_DOWN:
		scroll_to(t, t->first + 1);
		break;
	case KEY_PPAGE:
		scroll_to(t, (long)t->first - rows_on_screen());
		break;
	case KEY_NPAGE:
		scroll_to(t, t->first + rows_on_screen());
		break;
	case KEY_HOME:
		scroll_to(t, 0);
		break;
	case KEY_END:
		scroll_to(t, LONG_MAX);
		break;
	default:
		sort_by_key(t, key);
	}
	return true;
}

/* Returns false if a key ended the program. A change of the terminal's size is a key, too. */
static bool obey_keys(struct top *t)
{
	int key;

	while ((key = getch()) != ERR) {
		if (!obey_key(t, key))
			return false;
	}
	choose_rows(t);
	return true;
}

/* --- the terminal --- */

/* Signals come while the program waits for a key. SIGWINCH is ncurses', which reads the size. */
static void hold_screen_signals(void)
{
	static const int numbers[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action = { .sa_handler = note_signal };
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGWINCH);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		sigaddset(&held, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	sigprocmask(SIG_BLOCK, &held, NULL);
}

/* Waits for keys until @end. Returns false if the program is to end. */
static bool wait_for_keys(struct top *t, int64_t end)
{
	struct pollfd terminal = { .fd = STDIN_FILENO, .events = POLLIN };
	int64_t left = end - now_ms();
	struct timespec time = { };
	sigset_t none;

	if (left > 0)
		time = (struct timespec){ left / 1000, left % 1000 * 1000000 };
	sigemptyset(&none);
	if (ppoll(&terminal, 1, &time, &none) < 0 && errno != EINTR)
		return false;
	if (signal_seen || terminal.revents & ~POLLIN)
		return false;
	return obey_keys(t);
}

static void watch(struct top *t)
{
	int64_t next = now_ms();

	do {
		if (now_ms() >= next) {
			look(t);
			next = now_ms() + t->delay_ms;
		}
		draw(t);
	} while (wait_for_keys(t, next));
}

static void run_on_screen(struct top *t)
{
	const char *terminal = getenv("TERM");

	look(t);
	if (!newterm(NULL, stdout, stdin))
		errx(EXIT_FAILURE, "unknown terminal '%s' (set TERM, or use: mpmcq top --batch)",
		     terminal ? terminal : "");
	on_screen = true;
	atexit(leave_screen);
	hold_screen_signals();
	cbreak();
	noecho();
	nodelay(stdscr, true);
	keypad(stdscr, true);
	set_escdelay(50);
	curs_set(0);
	watch(t);
	leave_screen();
	die_of_signal();
}

/* --- options --- */

static enum column parse_column(const char *arg)
{
	const char *names = "";

	for (int i = 0; i < COLUMNS; i++) {
		if (!strcmp(arg, column_texts[i].name))
			return i;
		names = text("%s %s", names, column_texts[i].name);
	}
	usage_error("no such column: '%s' (there are:%s)", printable(arg), names);
}

static void parse_filter(struct top *t, const char *arg)
{
	if (strlen(arg) >= sizeof(t->filter))
		usage_error("no name of a queue is longer than %d bytes", NAME_MAX);
	strcpy(t->filter, arg);
}

static void parse_delay(struct top *t, const char *arg)
{
	t->delay_ms = parse_seconds(arg, INT_MAX);
	if (t->delay_ms < DELAY_MIN_MS)
		usage_error("the shortest time between two looks is %g s", DELAY_MIN_MS / 1000.0);
}

static void run_top(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "delay", required_argument, NULL, 'd' },
		{ "sort", required_argument, NULL, 's' },
		{ "filter", required_argument, NULL, 'F' },
		{ "batch", no_argument, NULL, 'b' },
		{ "once", no_argument, NULL, '1' },
		{ }
	};
	struct top t = { .rows.dir = MOUNT, .column = DEPTH, .delay_ms = 1000 };
	bool batch = false, once = false;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "d:s:F:b1", options, NULL)) != -1) {
		if (opt == 'd')
			parse_delay(&t, optarg);
		else if (opt == 's')
			t.column = parse_column(optarg);
		else if (opt == 'F')
			parse_filter(&t, optarg);
		else if (opt == 'b')
			batch = true;
		else if (opt == '1')
			once = true;
		else
			common_option(opt);
	}
	no_queue_option("top");
	t.rows.with_default = optind == argc;
	if (optind < argc)
		t.rows.dir = argv[optind++];
	no_arguments(argc, argv);

	setlocale(LC_CTYPE, "");
	if (batch || once || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		print_tables(&t, once);
	else
		run_on_screen(&t);
}

const struct command top_command = {
	.name = "top",
	.usage = "top [-d SECONDS] [-s COLUMN] [-F TEXT] [-b | -1] [DIR]",
	.summary = "watch queues on the terminal",
	.help =
		"Shows the default queue and those in /dev/mpmcqfs, or the queues in DIR.\n"
		"\n"
		"  -d, --delay SECONDS    time between two looks (default 1)\n"
		"  -s, --sort COLUMN      name, depth, fill, sent, received, oldest, leased, dead,\n"
		"                         parked, redelivered, readers, writers, state\n"
		"  -F, --filter TEXT      queues with TEXT in their name\n"
		"  -b, --batch            print tables, as without a terminal\n"
		"  -1, --once             print one table, after one delay\n"
		"\n"
		"Keys: q quits, / sets the filter, arrows and pages scroll, a letter sorts, and the\n"
		"same again sorts the other way.\n",
	.run = run_top,
};
