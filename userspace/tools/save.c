// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq save, restore
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "create.h"

/* Returns @path, which is that of a file: nothing is written to or read from a pipe. */
static const char *file_argument(const char *path)
{
	if (!strcmp(path, "-"))
		usage_error("- stands for no stream here (a file of that name: ./-)");
	if (!*path)
		usage_error("the name of the file is empty");
	return path;
}

/* --- save --- */

static noreturn void cannot_save(int fd, const char *path, int error)
{
	const char *queue = queue_text();
	struct mpmcq_info info;

	switch (error) {
	case EAGAIN:
		get_info(fd, &info);
		errx(EXIT_WOULD_BLOCK,
		     "cannot save %s: readers hold %u messages (stop them, or wait longer: --timeout)",
		     queue, info.leased);
	case EBUSY:
		errx(EXIT_FAILURE,
		     "cannot save %s: programs sent or took messages meanwhile (stop them first)",
		     queue);
	case EEXIST:
		errx(EXIT_FAILURE, "cannot save %s to %s: it is there, and is no regular file",
		     queue, printable(path));
	case EPERM:
		errx(EXIT_FAILURE,
		     "cannot save %s: only root may close it, as it is the default queue", queue);
	case ENOSYS:
		errx(EXIT_FAILURE,
		     "cannot save %s: the module is too old for that (see: mpmcq doctor)", queue);
	default:
		errx(EXIT_FAILURE, "cannot save %s to %s: %s", queue, printable(path),
		     strerror(error));
	}
}

static void save_queue(const char *path, bool keep_open)
{
	struct mpmcq_info info;
	int fd = open_queue(O_RDWR, &info), count;

	catch_signals();	/* one ends the wait of the library, which opens the queue again */
	count = mpmcq_save_queue(fd, path, timeout_ms, 0);
	if (count == -EINTR)
		die_of_signal();
	if (count < 0)
		cannot_save(fd, path, -count);
	printf("messages saved: %d\n", count);
	if (keep_open && !info.closed)
		mpmcq_reopen_queue(fd);
	else
		printf("%s is closed%s\n", queue_text(),
		       count ? ", and has the messages still" : "");
	fflush(stdout);
	die_of_signal();
}

static void run_save(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "timeout", required_argument, NULL, 't' },
		{ "keep-open", no_argument, NULL, 'k' },
		{ }
	};
	bool keep_open = false;
	const char *path;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "t:k", options, NULL)) != -1) {
		if (opt == 'k')
			keep_open = true;
		else
			waiting_option(opt);
	}
	if (optind == argc)
		usage_error("no file given");
	path = file_argument(argv[optind++]);
	no_arguments(argc, argv);
	save_queue(path, keep_open);
}

const struct command save_command = {
	.name = "save",
	.usage = "[-q NAME] save [-k] [-t SECONDS] FILE",
	.summary = "write all messages of a queue to a file",
	.help =
		"Closes the queue, and replaces FILE when all is on the disk. The messages stay in\n"
		"the queue, too. Stop writers and readers first.\n"
		"\n"
		"  -k, --keep-open        open the queue again afterwards\n"
		"  -t, --timeout SECONDS  wait no longer than this for messages that readers hold\n",
	.run = run_save,
};

/* --- restore --- */

static const char *why_not_restored(const struct place *place, int error)
{
	const char *why = why_no_queues(place->dir);

	if (why)
		return why;
	switch (error) {
	case EBADMSG:
		return "the file is not whole, or was not written by mpmcq save";
	case EEXIST:
		return text("there is a queue of this name (to lose it: mpmcq destroy %s)",
			    printable(place->path));
	case EBUSY:
		return "another program used the queue meanwhile, or leases ended (try again)";
	case EACCES:
		return text("Permission denied for the directory %s", printable(place->dir));
	case ENOSYS:
		return "the module is too old for this queue (see: mpmcq doctor)";
	default:
		return limit_text(error, place->dir);
	}
}

/* The library says EACCES both of the file and of the directory for the queue. */
static void check_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		err(EXIT_FAILURE, "cannot open %s", printable(path));
	if (!S_ISREG(st.st_mode))
		errx(EXIT_FAILURE, "%s is no regular file, which is read several times",
		     printable(path));
	close(fd);
}

static void restore_queue(const char *path, const char *name)
{
	struct place place = find_place(name);
	struct mpmcq_info info;
	int fd;

	check_file(path);
	hold_signals_back();	/* or half a queue would stay */
	fd = mpmcq_restore_queue(path, name, 0);
	if (fd < 0)
		errx(EXIT_FAILURE, "cannot restore %s from %s: %s", printable(place.path),
		     printable(path), why_not_restored(&place, -fd));
	if (!get_info(fd, &info))
		err(EXIT_FAILURE, "%s", printable(place.path));
	printf("messages restored: %u\n", info.depth + info.parked + info.dead);
	fflush(stdout);
	let_signals_through();
}

static void run_restore(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	const char *path, *name;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
		common_option(opt);
	no_queue_option("restore");
	if (argc - optind < 2)
		usage_error("no %s given", optind == argc ? "file" : "name");
	path = file_argument(argv[optind++]);
	name = argv[optind++];
	no_arguments(argc, argv);
	restore_queue(path, name);
}

const struct command restore_command = {
	.name = "restore",
	.usage = "restore FILE NAME",
	.summary = "make a queue with the messages of a file",
	.help =
		"FILE was written by mpmcq save, and stays. The queue NAME must not exist.\n",
	.run = run_restore,
};
