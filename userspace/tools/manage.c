// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq create, destroy
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "mpmcq.h"

/* By default other users have no permission, because a reader takes messages away. */
#define DEFAULT_MODE	0660

enum {
	OPT_DROP_OLDEST = 256,
	OPT_AUTO_CLOSE,
	OPT_MAX_DELIVERIES,
	OPT_LEASE_MS,
	OPT_EXIST_OK,
};

#define NOBODY	((uid_t)-1)	/* chown(2): leave the owner, or the group, as it is */

/**
 * struct request - a queue that is to be made
 * @place: where
 * @dir: descriptor of its directory
 * @create: for the kernel
 * @mode: permissions it has in the end
 * @owner: owner it has in the end, or NOBODY
 * @group: group it has in the end, or NOBODY
 * @exist_ok: an existing queue of the same configuration will do
 */
struct request {
	struct place place;
	int dir;
	struct mpmcq_create create;
	mode_t mode;
	uid_t owner;
	gid_t group;
	bool exist_ok;
};

/* --- create: errors --- */

static const char *why_invalid(const struct mpmcq_create *create)
{
	if (create->capacity & (create->capacity - 1) || create->capacity < 2 ||
	    create->capacity > 1048576)
		return "CAPACITY must be a power of two from 2 to 1048576";
	if (create->msg_size > 65536)
		return "MSG_SIZE must be from 1 to 65536";
	return "NAME must not be '.' or '..'";
}

static void add_difference(const char **list, const char *name, const char *is, const char *asked)
{
	if (strcmp(is, asked))
		*list = text("%s%s %s instead of %s", *list ? text("%s, ", *list) : "", name, is,
			     asked);
}

static void add_number(const char **list, const char *name, uint32_t is, uint32_t asked)
{
	add_difference(list, name, text("%u", is), text("%u", asked));
}

/* Returns the values in which @info differs from @create; NULL if there are none. */
static const char *differences(const struct mpmcq_info *info, const struct mpmcq_create *create)
{
	const char *list = NULL;

	add_number(&list, "capacity", info->capacity, create->capacity);
	add_number(&list, "msg_size", info->msg_size, create->msg_size);
	add_number(&list, "max_deliveries", info->max_deliveries, create->max_deliveries);
	add_number(&list, "lease_ms", info->lease_ms, create->lease_ms);
	add_difference(&list, "flags", flags_text(info->flags),
		       flags_text(create->flags & ~MPMCQ_EXIST_OK));
	return list;
}

/* Returns why --exist-ok does not accept the existing queue. */
static const char *why_other(const struct request *r)
{
	int fd = openat(r->dir, r->place.file, O_RDONLY | O_NOFOLLOW | OPEN_FLAGS);
	const char *list = NULL;
	struct mpmcq_info info;
	struct stat st;

	if (fd >= 0 && get_info(fd, &info))
		list = differences(&info, &r->create);
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

static const char *why_not_created(const struct request *r, int error)
{
	switch (error) {
	case EINVAL:
		return why_invalid(&r->create);
	case EEXIST:
		return r->exist_ok ? why_other(r) : "there is a queue of this name";
	case EACCES:
		return why_no_write(r);
	case ENAMETOOLONG:
		return text("a NAME has at most %d bytes", NAME_MAX);
	case EFBIG:
		return "more bytes than a queue may have: parameter max_queue_bytes";
	case EDQUOT:
		return "more queues or bytes than a user may have: max_user_queues, max_user_bytes";
	case ENOSPC:
		return text("no room: parameter max_total_bytes, mount options size, max (df %s)",
			    printable(r->place.dir));
	case EOVERFLOW:
		return "the mount's user namespace does not know this user or group";
	default:
		return strerror(error);
	}
}

static noreturn void cannot_create(const struct request *r, const char *why)
{
	errx(EXIT_FAILURE, "cannot create %s: %s", printable(r->place.path), why);
}

/* --- create: options --- */

static mode_t parse_mode(const char *arg)
{
	char *end;
	unsigned long mode = strtoul(arg, &end, 8);

	if (end == arg || *end || *arg < '0' || *arg > '7' || mode > 0777)
		usage_error("not octal permissions: '%s'", arg);
	return mode;
}

/* A number stands for a user or group without an entry in the databases. */
static unsigned int parse_id(const char *arg, const char *what)
{
	if (!*arg || arg[strspn(arg, "0123456789")])
		errx(EXIT_FAILURE, "no such %s: '%s'", what, arg);
	return parse_number(arg, 0, NOBODY - 1, what);
}

static uid_t parse_owner(const char *arg)
{
	const struct passwd *user = getpwnam(arg);

	return user ? user->pw_uid : parse_id(arg, "user");
}

static gid_t parse_group(const char *arg)
{
	const struct group *group = getgrnam(arg);

	return group ? group->gr_gid : parse_id(arg, "group");
}

static void parse_create(int argc, char **argv, struct request *r)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "capacity", required_argument, NULL, 'c' },
		{ "msg-size", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "owner", required_argument, NULL, 'o' },
		{ "group", required_argument, NULL, 'g' },
		{ "drop-oldest", no_argument, NULL, OPT_DROP_OLDEST },
		{ "auto-close", no_argument, NULL, OPT_AUTO_CLOSE },
		{ "max-deliveries", required_argument, NULL, OPT_MAX_DELIVERIES },
		{ "lease-ms", required_argument, NULL, OPT_LEASE_MS },
		{ "exist-ok", no_argument, NULL, OPT_EXIST_OK },
		{ }
	};
	struct mpmcq_create *create = &r->create;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "c:s:m:o:g:", options, NULL)) != -1) {
		if (opt == 'c')
			create->capacity = parse_number(optarg, 1, UINT32_MAX, "capacity");
		else if (opt == 's')
			create->msg_size = parse_number(optarg, 1, UINT32_MAX,
							"size of a message");
		else if (opt == 'm')
			r->mode = parse_mode(optarg);
		else if (opt == 'o')
			r->owner = parse_owner(optarg);
		else if (opt == 'g')
			r->group = parse_group(optarg);
		else if (opt == OPT_DROP_OLDEST)
			create->flags |= MPMCQ_DROP_OLDEST;
		else if (opt == OPT_AUTO_CLOSE)
			create->flags |= MPMCQ_AUTO_CLOSE;
		else if (opt == OPT_MAX_DELIVERIES)
			create->max_deliveries = parse_number(optarg, 0, MPMCQ_MAX_DELIVERIES_MAX,
							      "number of deliveries");
		else if (opt == OPT_LEASE_MS)
			create->lease_ms = parse_number(optarg, 0, INT32_MAX,
							"number of milliseconds");
		else if (opt == OPT_EXIST_OK)
			r->exist_ok = true;
		else
			common_option(opt);
	}
	no_queue_option("create");
	if (optind == argc)
		usage_error("no name given");
	r->place = find_place(argv[optind++]);
	no_arguments(argc, argv);
	if (!*r->place.file)
		usage_error("the name of a queue is empty");
}

/* --- create --- */

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

static void hand_over_new(const struct request *r)
{
	const char *why = hand_over(r);

	if (!why)
		return;
	if (unlinkat(r->dir, r->place.file, 0) < 0)
		warn("cannot destroy %s", printable(r->place.path));
	cannot_create(r, why);
}

/*
 * Accepts the existing queue.  The kernel compares, because that needs no permission to open
 * the queue.  The same call makes a queue if the existing one was removed meanwhile.
 *
 * A queue with mode 0 of this user, or of the owner that is asked for, is that one, or one whose
 * command was killed before it had handed the queue over.  Both are completed here.
 */
static void accept_existing(struct request *r)
{
	const char *why = NULL;
	struct stat st;

	r->create.flags |= MPMCQ_EXIST_OK;
	if (ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create) < 0 ||
	    fstatat(r->dir, r->place.file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		why = why_not_created(r, errno);
	else if ((st.st_uid == geteuid() || st.st_uid == r->owner) && !(st.st_mode & 0777))
		why = hand_over(r);
	if (why)
		cannot_create(r, why);
}

static void create_queue(struct request *r)
{
	if (r->owner == NOBODY && r->group == NOBODY) {
		r->create.mode = r->mode;
		if (r->exist_ok)
			r->create.flags |= MPMCQ_EXIST_OK;
		if (ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create) < 0)
			cannot_create(r, why_not_created(r, errno));
		return;
	}

	hold_signals_back();
	if (!ioctl(r->dir, MPMCQ_IOC_CREATE, &r->create))
		hand_over_new(r);
	else if (r->exist_ok)
		accept_existing(r);
	else
		cannot_create(r, why_not_created(r, errno));
}

static void run_create(int argc, char **argv)
{
	struct request r = {
		.create = {
			.size = sizeof(r.create),
			.capacity = 1024,
			.msg_size = 1024,
			.max_deliveries = MPMCQ_MAX_DELIVERIES_DEFAULT,
		},
		.mode = DEFAULT_MODE & ~umask(0),
		.owner = NOBODY,
		.group = NOBODY,
	};
	const char *why;

	parse_create(argc, argv, &r);
	why = why_no_queues(r.place.dir);
	if (why)
		cannot_create(&r, why);
	r.dir = open(r.place.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r.dir < 0)
		cannot_create(&r, text("%s: %s", printable(r.place.dir), strerror(errno)));
	r.create.name = (uintptr_t)r.place.file;
	create_queue(&r);
}

const struct command create_command = {
	.name = "create",
	.usage = "create [OPTION...] NAME",
	.summary = "make a queue",
	.help =
		"  -c, --capacity N       room for N messages, a power of two (default 1024)\n"
		"  -s, --msg-size N       no message is longer than N bytes (default 1024)\n"
		"  -m, --mode MODE        permissions, octal; umask does not change them\n"
		"                         (default 660 without the bits of umask)\n"
		"  -o, --owner OWNER      its owner, a name or a number\n"
		"  -g, --group GROUP      its group, a name or a number\n"
		"      --drop-oldest      when full, drop the oldest message\n"
		"      --auto-close       close when the last writer goes\n"
		"      --max-deliveries N set a message aside that came back after N deliveries\n"
		"                         (default 8, 0: never)\n"
		"      --lease-ms N       how long a reader may hold a message (default 0: for ever)\n"
		"      --exist-ok         accept a queue NAME of the same configuration, as it is;\n"
		"                         its owner, group and mode may differ\n",
	.run = run_create,
};

/* --- destroy --- */

static void only_common_options(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
		common_option(opt);
}

static const char *why_not_destroyed(int error)
{
	switch (error) {
	case ENOENT:
		return "no such queue";
	case EISDIR:
		return "not a queue";
	case EPERM:
		return "Operation not permitted (its owner may, the directory's owner, and root)";
	default:
		return strerror(error);
	}
}

/*
 * Returns NULL, or why that failed.  Only the directory is checked, because a directory of
 * mpmcqfs holds nothing but queues.  It stays open, so no race can replace it.
 */
static const char *destroy(const struct place *place)
{
	struct statfs fs;
	const char *why;
	int dir;

	if (!strcmp(place->path, DEFAULT_QUEUE))
		return "the default queue stays as long as the module is loaded";
	dir = open(place->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstatfs(dir, &fs) < 0 || fs.f_type != MPMCQFS_MAGIC) {
		why = why_no_queues(place->dir);
		if (!why)
			why = strerror(errno);
	} else {
		why = unlinkat(dir, place->file, 0) < 0 ? why_not_destroyed(errno) : NULL;
	}
	close(dir);
	return why;
}

static void run_destroy(int argc, char **argv)
{
	bool failed = false;

	only_common_options(argc, argv);
	no_queue_option("destroy");
	if (optind == argc)
		usage_error("no name given");
	for (; optind < argc; optind++) {
		struct place place = find_place(argv[optind]);
		const char *why = destroy(&place);

		if (!why)
			continue;
		warnx("cannot destroy %s: %s", printable(place.path), why);
		failed = true;
	}
	if (failed)
		exit(EXIT_FAILURE);
}

const struct command destroy_command = {
	.name = "destroy",
	.usage = "destroy NAME...",
	.summary = "remove queues",
	.help =
		"Programs that have a queue open go on using it.\n",
	.run = run_destroy,
};
