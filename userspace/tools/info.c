// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq info, mpmcq list: the state of one queue, and of all in a directory
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"

static const struct option options[] = {
	COMMON_LONG_OPTIONS,
	{ "json", no_argument, NULL, 'j' },
	{ }
};

static bool parse_json_option(int argc, char **argv)
{
	bool json = false;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "j", options, NULL)) != -1) {
		if (opt == 'j')
			json = true;
		else
			common_option(opt);
	}
	return json;
}

/* --- texts --- */

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
		err(EXIT_FAILURE, NULL);
	return s;
}

static bool is_control(const unsigned char *s)
{
	return *s < 0x20 || *s == 0x7f || (*s == 0xc2 && s[1] < 0xa0);
}

/* Returns the length of the UTF-8 character at @s, 0 if there is none. */
static size_t character_length(const unsigned char *s)
{
	size_t length = *s < 0x80 ? 1 : *s < 0xc2 ? 0 : *s < 0xe0 ? 2 : *s < 0xf0 ? 3 :
			*s < 0xf5 ? 4 : 0;

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

/* Returns @name with a '?' for what a terminal would obey instead of showing it. */
const char *printable(const char *name)
{
	const unsigned char *s = (const unsigned char *)name;
	char *copy = allocate(strlen(name) + 1), *p = copy;

	while (*s) {
		size_t length = character_length(s);

		if (!length || is_control(s))
			*p++ = '?';
		else
			p = mempcpy(p, s, length);
		s += length ? length : 1;
	}
	*p = '\0';
	return copy;
}

/*
 * A byte outside of UTF-8 becomes a lone surrogate. Python's os.fsencode() turns it into the
 * byte again.
 */
static void print_json_string(const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	putchar('"');
	while (*s) {
		size_t length = character_length(s);

		if (!length)
			printf("\\udc%02x", *s);
		else if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (length == 1 && is_control(s))
			printf("\\u%04x", *s);
		else
			fwrite(s, 1, length, stdout);
		s += length ? length : 1;
	}
	putchar('"');
}

/* Neighbours in a list mostly belong to the same user, so the last answer is kept. */
static const char *owner_text(uid_t uid)
{
	static const char *last_text;
	static uid_t last;
	const struct passwd *user;

	if (last_text && uid == last)
		return last_text;
	user = getpwuid(uid);
	last = uid;
	last_text = user ? printable(user->pw_name) : text("%u", uid);
	return last_text;
}

static const char *group_text(gid_t gid)
{
	static const char *last_text;
	static gid_t last;
	const struct group *group;

	if (last_text && gid == last)
		return last_text;
	group = getgrgid(gid);
	last = gid;
	last_text = group ? printable(group->gr_name) : text("%u", gid);
	return last_text;
}

static const char *mode_text(mode_t mode)
{
	return text("%04o", mode & 07777);
}

/* Owner, group and mode, for messages. */
const char *access_text(const struct stat *st)
{
	return text("owner %s, group %s, mode %s", owner_text(st->st_uid),
		    group_text(st->st_gid), mode_text(st->st_mode));
}

/* --- the state of a queue --- */

/**
 * struct queue - a queue, and its state as far as this user may read it
 * @path: as open(2) takes it
 * @name: in the list
 * @st: its file
 * @info: its state
 * @known: @info is filled in
 */
struct queue {
	const char *path;
	const char *name;
	struct stat st;
	struct mpmcq_info info;
	bool known;
};

/* By the numbers of the bits. */
/* A word for each bit of the header, from the lowest on. */
static const char *const flag_words[] = {
	"drop-oldest", "auto-close", "delay", "start-lease", "stamp",
};

static const char *const feature_words[] = {
	"packed", "lease", "dead", "close", "attach", "create", "files", "drop", "delay", "timeout",
	"start", "peek", "forward", "meta", "levels",
};

#define WORDS(array) array, sizeof(array) / sizeof(*(array))

static const char *join(uint64_t bits, const char *const *words, size_t count,
			const char *between)
{
	const char *list = NULL;

	for (size_t i = 0; i < count; i++) {
		if (bits >> i & 1)
			list = list ? text("%s%s%s", list, between, words[i]) : words[i];
	}
	return list ? list : "none";
}

const char *flags_text(uint32_t flags)
{
	return join(flags, WORDS(flag_words), " ");
}

#define NUMBER(name) { #name, offsetof(struct mpmcq_info, name), \
		       sizeof(((struct mpmcq_info *)NULL)->name) }

/* In the order in which they are printed; sysfs has the same names. */
static const struct number {
	const char *name;
	size_t offset;
	size_t size;
} numbers[] = {
	NUMBER(capacity), NUMBER(msg_size), NUMBER(depth), NUMBER(leased), NUMBER(dead),
	NUMBER(max_deliveries), NUMBER(lease_ms), NUMBER(sent), NUMBER(received), NUMBER(acked),
	NUMBER(returned), NUMBER(set_aside), NUMBER(dropped), NUMBER(number), NUMBER(closed),
};

enum {
	NUMBERS = sizeof(numbers) / sizeof(*numbers),
	CLOSED_NUMBER = NUMBERS - 1,	/* printed as a truth value */
	TABLE_NUMBERS = 5,	/* the table has these */
};

static uint64_t get_number(const struct mpmcq_info *info, int i)
{
	uint32_t number;
	uint64_t large;

	if (numbers[i].size == sizeof(large)) {
		memcpy(&large, (const char *)info + numbers[i].offset, sizeof(large));
		return large;
	}
	memcpy(&number, (const char *)info + numbers[i].offset, sizeof(number));
	return number;
}

static void set_number(struct mpmcq_info *info, int i, uint64_t large)
{
	uint32_t number = large;

	if (numbers[i].size == sizeof(large))
		memcpy((char *)info + numbers[i].offset, &large, sizeof(large));
	else
		memcpy((char *)info + numbers[i].offset, &number, sizeof(number));
}

/* --- JSON --- */

static void print_json_member(const char *name, const char *string)
{
	printf("\"%s\": ", name);
	print_json_string(string);
	fputs(", ", stdout);
}

static void print_json_words(const char *name, uint64_t bits, const char *const *words,
			     size_t count)
{
	printf("\"%s\": [", name);
	if (bits & ((1ULL << count) - 1))
		printf("\"%s\"", join(bits, words, count, "\", \""));
	putchar(']');
}

static void print_json_access(const struct stat *st)
{
	print_json_member("owner", owner_text(st->st_uid));
	print_json_member("group", group_text(st->st_gid));
	print_json_member("mode", mode_text(st->st_mode));
}

/* Ends without a comma. */
static void print_json_state(const struct queue *q)
{
	for (int i = 0; i < NUMBERS; i++) {
		printf("\"%s\": ", numbers[i].name);
		if (!q->known)
			fputs("null, ", stdout);
		else if (i == CLOSED_NUMBER)
			printf("%s, ", q->info.closed ? "true" : "false");
		else
			printf("%llu, ", (unsigned long long)get_number(&q->info, i));
	}
	if (q->known)
		print_json_words("flags", q->info.flags, WORDS(flag_words));
	else
		fputs("\"flags\": null", stdout);
}

/* --- info --- */

static void print_line(const char *name, const char *value)
{
	printf("%s:%*s%s\n", name, 16 - (int)strlen(name), "", value);
}

static void print_info(const struct queue *q)
{
	print_line("path", q->path);
	print_line("owner", owner_text(q->st.st_uid));
	print_line("group", group_text(q->st.st_gid));
	print_line("mode", mode_text(q->st.st_mode));
	for (int i = 0; i < CLOSED_NUMBER; i++)
		print_line(numbers[i].name,
			   text("%llu", (unsigned long long)get_number(&q->info, i)));
	print_line("closed", q->info.closed ? "yes" : "no");
	print_line("flags", flags_text(q->info.flags));
}

static const char *version_text(uint32_t version)
{
	return text("%u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
}

static void run_info(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	struct queue q = { .known = true };
	int fd;

	no_arguments(argc, argv);
	fd = open_queue(O_RDONLY, &q.info);
	q.path = json ? queue_path() : queue_text();
	if (fstat(fd, &q.st) < 0)
		err(EXIT_FAILURE, "%s", queue_text());
	close(fd);
	if (json) {
		putchar('{');
		print_json_member("path", q.path);
		print_json_access(&q.st);
		print_json_state(&q);
		fputs(", ", stdout);
		print_json_member("version", version_text(q.info.version));
		print_json_words("features", q.info.features, WORDS(feature_words));
		puts("}");
	} else {
		print_info(&q);
		print_line("version", version_text(q.info.version));
		print_line("features", join(q.info.features, WORDS(feature_words), " "));
	}
}

const struct command info_command = {
	.name = "info",
	.usage = "[-q NAME] info [-j]",
	.summary = "print the state of a queue",
	.help =
		"Prints owner, mode, configuration, state and counters of the queue.\n"
		"\n"
		"  -j, --json             as JSON\n",
	.run = run_info,
};

/* --- list --- */

/* Every user may read the state of the default queue here. */
static const char sysfs_dir[] = "/sys/class/mpmcq/mpmcq";

static bool read_number(struct mpmcq_info *info, int i)
{
	FILE *file = fopen(text("%s/%s", sysfs_dir, numbers[i].name), "r");
	unsigned long long number;
	int got;

	if (!file)
		return false;
	got = fscanf(file, "%llu", &number);
	fclose(file);
	if (got != 1)
		return false;
	set_number(info, i, number);
	return true;
}

/* Returns false if this machine or container has none. */
static bool get_default_queue(struct queue *q)
{
	*q = (struct queue){ .path = DEFAULT_QUEUE, .name = DEFAULT_QUEUE, .known = true };
	if (stat(DEFAULT_QUEUE, &q->st) < 0 || !S_ISCHR(q->st.st_mode))
		return false;
	for (int i = 0; i < NUMBERS; i++)
		q->known = q->known && read_number(&q->info, i);
	return true;
}

/* Returns false if the queue was removed after its name was read. */
static bool get_queue(int dir, const char *path, const char *name, struct queue *q)
{
	int fd;

	*q = (struct queue){ .path = text("%s/%s", path, name), .name = name };
	if (fstatat(dir, name, &q->st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(q->st.st_mode))
		return false;
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | OPEN_FLAGS);
	if (fd >= 0) {
		q->known = get_info(fd, &q->info);
		close(fd);
	}
	return true;
}

static int is_file(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/*
 * Appends the queues of the directory @path, which is open as @dir, to an array of @count, and
 * returns the new length.
 */
static int get_queues(int dir, const char *path, struct queue **queues, int count)
{
	struct dirent **entries;
	int names = scandirat(dir, ".", &entries, is_file, alphasort);

	if (names < 0)
		err(EXIT_FAILURE, "cannot list %s", printable(path));
	*queues = reallocarray(*queues, count + names + 1, sizeof(**queues));
	if (!*queues)
		err(EXIT_FAILURE, NULL);
	for (int i = 0; i < names; i++)
		count += get_queue(dir, path, entries[i]->d_name, &(*queues)[count]);
	return count;
}

/* In characters. @string is UTF-8. */
static int width(const char *string)
{
	int characters = 0;

	for (; *string; string++)
		characters += (*string & 0xc0) != 0x80;
	return characters;
}

static void print_column(const char *string, int columns)
{
	printf("%s%*s ", string, columns - width(string), "");
}

static void widen(int *columns, const char *string)
{
	if (width(string) > *columns)
		*columns = width(string);
}

static void print_row(const struct queue *q)
{
	const char *flags = "-";

	for (int i = 0; i < TABLE_NUMBERS; i++) {
		if (q->known)
			printf(" %8llu", (unsigned long long)get_number(&q->info, i));
		else
			printf(" %8s", "-");
	}
	if (q->known)
		flags = join(q->info.flags, WORDS(flag_words), ",");
	printf("  %-6s  %s\n", !q->known ? "-" : q->info.closed ? "closed" : "open", flags);
}

static void print_table(const struct queue *queues, int count)
{
	int name = strlen("NAME"), owner = strlen("OWNER"), group = strlen("GROUP");

	for (int i = 0; i < count; i++) {
		widen(&name, printable(queues[i].name));
		widen(&owner, owner_text(queues[i].st.st_uid));
		widen(&group, group_text(queues[i].st.st_gid));
	}
	print_column("NAME", name);
	print_column("OWNER", owner);
	print_column("GROUP", group);
	printf("MODE %8s %8s %8s %8s %8s  STATE   FLAGS\n", "CAPACITY", "MSG_SIZE", "DEPTH",
	       "LEASED", "DEAD");
	for (int i = 0; i < count; i++) {
		print_column(printable(queues[i].name), name);
		print_column(owner_text(queues[i].st.st_uid), owner);
		print_column(group_text(queues[i].st.st_gid), group);
		fputs(mode_text(queues[i].st.st_mode), stdout);
		print_row(&queues[i]);
	}
}

static void print_array(const struct queue *queues, int count)
{
	putchar('[');
	for (int i = 0; i < count; i++) {
		fputs(i ? ",\n {" : "{", stdout);
		print_json_member("name", queues[i].name);
		print_json_member("path", queues[i].path);
		print_json_access(&queues[i].st);
		print_json_state(&queues[i]);
		putchar('}');
	}
	puts("]");
}

static void run_list(int argc, char **argv)
{
	bool json = parse_json_option(argc, argv);
	struct queue *queues = allocate(sizeof(*queues));
	const char *path = MOUNT, *why;
	int count = 0, dir;

	no_queue_option("list");
	if (optind < argc)
		path = argv[optind++];
	else
		count = get_default_queue(queues);
	no_arguments(argc, argv);

	why = why_no_queues(path);
	if (!why) {
		dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			err(EXIT_FAILURE, "cannot list %s", printable(path));
		count = get_queues(dir, path, &queues, count);
	}
	/* The default queue is shown even if the mount is missing. */
	if (!why || count)
		(json ? print_array : print_table)(queues, count);
	if (why)
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
}

const struct command list_command = {
	.name = "list",
	.usage = "list [-j] [DIR]",
	.summary = "print a table of queues",
	.help =
		"Prints the default queue and those in /dev/mpmcqfs, or the queues in DIR.\n"
		"\n"
		"  -j, --json             as JSON, with all counters\n",
	.run = run_list,
};
