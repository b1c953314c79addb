// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq destroy
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "mpmcq.h"

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
