// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq create
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "create.h"

/* By default other users have no permission, because a reader takes messages away. */
#define DEFAULT_MODE	0660

enum {
	OPT_EXIST_OK = 256,
	OPT_SETTING,	/* and those after it: settings[] */
};

/* --- create: errors --- */

static const char *why_invalid(const struct request *r)
{
	const struct mpmcq_create *create = &r->create;

	if (create->capacity & (create->capacity - 1))
		return "capacity must be a power of two";
	if (create->retry_max_ms && create->retry_max_ms < create->retry_ms)
		return "retry-max-ms must not be less than retry-ms";
	if (create->retry_max_ms && !create->retry_ms)
		return "retry-max-ms goes with retry-ms";
	if (!strcmp(r->place.file, ".") || !strcmp(r->place.file, ".."))
		return "NAME must not be '.' or '..'";
	return "the module knows less than this command (see: mpmcq doctor)";
}

/* Returns why --exist-ok does not accept the existing queue. */
static const char *why_other(const struct request *r)
{
	int fd = openat(r->dir, r->place.file, O_RDONLY | O_NOFOLLOW | OPEN_FLAGS);
	const char *list = NULL;
	struct mpmcq_info info;
	struct stat st;

	if (fd >= 0) {
		if (get_info(fd, &info))
			list = differences(&info, &r->create);
		close(fd);
	}
	if (list)
		return text("there is a queue of this name with %s", list);
	if (!fstatat(r->dir, r->place.file, &st, AT_SYMLINK_NOFOLLOW))
		return text("there is a queue of this name with another configuration (%s)",
			    access_text(&st));
	return "there was a queue of this name with another configuration (try again)";
}

static const char *why_no_write(const struct request *r)
{
	struct stat st;

	if (fstat(r->dir, &st) < 0)
		return strerror(errno);
	return text("Permission denied for the directory (%s)", access_text(&st));
}

/* Returns which limit a queue in @dir has met with @error, or what the error is called. */
const char *limit_text(int error, const char *dir)
{
	switch (error) {
	case EFBIG:
		return "more bytes than a queue may have: parameter max_queue_bytes";
	case EDQUOT:
		return "more queues or bytes than a user may have: max_user_queues, max_user_bytes";
	case ENOSPC:
		return text("no room: parameter max_total_bytes, mount options size, max (df %s)",
			    printable(dir));
	default:
		return strerror(error);
	}
}

static const char *why_not_created(const struct request *r, int error)
{
	switch (error) {
	case EINVAL:
		return why_invalid(r);
	case EEXIST:
		return r->exist_ok ? why_other(r) : "there is a queue of this name";
	case EACCES:
		return why_no_write(r);
	case ENAMETOOLONG:
		return text("a NAME has at most %d bytes", NAME_MAX);
	case EOVERFLOW:
		return "the mount's user namespace does not know this user or group";
	default:
		return limit_text(error, r->place.dir);
	}
}

/* --- make a queue --- */

/*
 * Gives a queue of mode 0 its owner and group, and then its mode.  So no user has more access
 * at any time than was asked for.  Returns NULL, or why that failed.
 */
static const char *hand_over(const struct request *r)
{
	if (fchownat(r->dir, r->place.file, r->owner, r->group, AT_SYMLINK_NOFOLLOW) < 0)
		return text("its owner or group cannot be set: %s%s", strerror(errno),
			    errno == EPERM ? " (only root may name others than his own)" : "");
	if (fchmodat(r->dir, r->place.file, r->mode, 0) < 0)
		return text("its mode cannot be set: %s", strerror(errno));
	return NULL;
}

static const char *hand_over_new(const struct request *r)
{
	const char *why = hand_over(r);

	if (why && unlinkat(r->dir, r->place.file, 0) < 0)
		warn("cannot destroy %s", printable(r->place.path));
	return why;
}

/*
 * Accepts the existing queue.  The kernel compares, because that needs no permission to open
 * the queue.  The same call makes a queue if the existing one was removed meanwhile.
 *
 * A queue with mode 0 of this user, or of the owner that is asked for, is that one, or one whose
 * command was killed before it had handed the queue over.  Both are completed here.
 */
static const char *accept_existing(struct request *r)
{
	struct stat st;

	r->create.flags |= MPMCQ_EXIST_OK;
	if (ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create) < 0 ||
	    fstatat(r->dir, r->place.file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return why_not_created(r, errno);
	if ((st.st_uid == geteuid() || st.st_uid == r->owner) && !(st.st_mode & 0777))
		return hand_over(r);
	return NULL;
}

static const char *create_for_creator(struct request *r)
{
	r->create.mode = r->mode;
	if (r->exist_ok)
		r->create.flags |= MPMCQ_EXIST_OK;
	return ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create) < 0 ? why_not_created(r, errno) : NULL;
}

static const char *create_for_other(struct request *r)
{
	if (!ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create))
		return hand_over_new(r);
	return r->exist_ok ? accept_existing(r) : why_not_created(r, errno);
}

/**
 * make_queue() - make a queue, or accept one that is there
 * @r: what it is like; @place and @dir are set here
 * @name: its name or path
 *
 * Return: NULL, or why that failed.
 */
const char *make_queue(struct request *r, const char *name)
{
	const char *why;

	r->place = find_place(name);
	if (!*r->place.file)
		return "the name of a queue is empty";
	why = why_no_queues(r->place.dir);
	if (why)
		return why;
	r->dir = open(r->place.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0)
		return text("%s: %s", printable(r->place.dir), strerror(errno));
	r->create.name = (uintptr_t)r->place.file;
	hold_signals_back();
	if (r->owner == NOBODY && r->group == NOBODY)
		why = create_for_creator(r);
	else
		why = create_for_other(r);
	let_signals_through();
	close(r->dir);
	return why;
}

/* --- options --- */

static const struct setting *find_setting(int opt)
{
	for (int i = 0; i < SETTINGS; i++) {
		if (opt == OPT_SETTING + i || opt == settings[i].letter)
			return &settings[i];
	}
	return NULL;
}

static void set_by_option(struct request *r, const struct setting *s)
{
	const char *why = apply_setting(r, s, optarg);

	if (why && (s->kind == SETTING_OWNER || s->kind == SETTING_GROUP))
		errx(EXIT_FAILURE, "%s", why);
	if (why)
		usage_error("--%s: %s", s->name, why);
}

/* Returns whether the arguments are files. */
static bool parse_create(int argc, char **argv, struct request *r)
{
	struct option options[SETTINGS + 6] = {
		COMMON_LONG_OPTIONS,
		{ "exist-ok", no_argument, NULL, OPT_EXIST_OK },
		{ "file", no_argument, NULL, 'f' },
	};
	bool files = false, is_described = false;
	int opt;

	for (int i = 0; i < SETTINGS; i++) {
		bool is_flag = settings[i].kind == SETTING_FLAG;

		options[5 + i].name = settings[i].name;
		options[5 + i].has_arg = is_flag ? no_argument : required_argument;
		options[5 + i].val = OPT_SETTING + i;
	}
	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "c:s:m:o:g:f", options, NULL)) != -1) {
		const struct setting *s = find_setting(opt);

		if (s) {
			set_by_option(r, s);
			is_described = true;
		} else if (opt == OPT_EXIST_OK) {
			r->exist_ok = true;
		} else if (opt == 'f') {
			files = true;
		} else {
			common_option(opt);
		}
	}
	if (files && is_described)
		usage_error("--file goes with no option that says what a queue is like");
	return files;
}

static void make_named(struct request *r, const char *name)
{
	const char *why;

	if (!*find_place(name).file)
		usage_error("the name of a queue is empty");
	why = make_queue(r, name);
	if (why)
		errx(EXIT_FAILURE, "cannot create %s: %s", printable(r->place.path), why);
}

static void run_create(int argc, char **argv)
{
	struct request r = {
		.create = {
			.size = sizeof(r.create),
			.capacity = 1024,
			.msg_size = 1024,
			.max_deliveries = MPMCQ_MAX_DELIVERIES_DEFAULT,
			.levels = 1,
		},
		.mode = DEFAULT_MODE & ~umask(0),
		.owner = NOBODY,
		.group = NOBODY,
	};
	bool files = parse_create(argc, argv, &r), failed = false;

	no_queue_option("create");
	if (optind == argc)
		usage_error(files ? "no file given" : "no name given");
	if (!files) {
		char *name = argv[optind++];

		no_arguments(argc, argv);
		make_named(&r, name);
		return;
	}
	for (; optind < argc; optind++)
		failed |= !make_from_file(&r, argv[optind]);
	if (failed)
		exit(EXIT_FAILURE);	/* each error has been told */
}

const struct command create_command = {
	.name = "create",
	.usage = "create [OPTION...] NAME | create -f FILE...",
	.summary = "make a queue, or those of a file",
	.help =
		"  -c, --capacity N       room for N messages, a power of two (default 1024)\n"
		"  -s, --msg-size N       no message is longer than N bytes (default 1024)\n"
		"  -m, --mode MODE        permissions, octal; umask does not change them\n"
		"                         (default 660 without the bits of umask)\n"
		"  -o, --owner OWNER      its owner, a name or a number\n"
		"  -g, --group GROUP      its group, a name or a number\n"
		"      --drop-oldest      when full, drop the oldest message\n"
		"      --auto-close       close when the last writer goes\n"
		"      --delay            messages may have a delay\n"
		"      --start-lease      readers hold what they read until they read on\n"
		"      --stamp            keep with each message when and by whom it was sent\n"
		"      --max-deliveries N set a message aside that came back after N deliveries\n"
		"                         (default 8, 0: never)\n"
		"      --lease-ms N       how long a reader may hold a message (default 0: for ever)\n"
		"      --retry-ms N       delay of a message that a reader gives back, twice as long\n"
		"                         each time (default 0: none)\n"
		"      --retry-max-ms N   no longer than this (default 0: no limit)\n"
		"      --levels N         levels of priority, 1 to 4 (default 1)\n"
		"      --exist-ok         accept a queue NAME of the same configuration, as it is;\n"
		"                         its owner, group, mode and start-lease may differ\n"
		"  -f, --file             make the queues that each FILE lists, as dump prints them;\n"
		"                         accept those that are there, as with --exist-ok;\n"
		"                         of a folder, its files *.conf; -: standard input\n",
	.run = run_create,
};
