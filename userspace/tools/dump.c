// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq dump: the configuration of queues, as a file for mpmcq create --file
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "create.h"
#include "queues.h"

/* Prints the queue that queue_name says.  Returns NULL, or why that failed. */
static const char *dump_queue(void)
{
	struct mpmcq_info info;
	const char *why;
	struct stat st;
	int fd;

	if (!strcmp(queue_path(), DEFAULT_QUEUE))
		return "the default queue is made by the module, with its parameters";
	why = try_open_queue(O_RDONLY, &fd, &info);
	if (why)
		return why;
	if (fstat(fd, &st) < 0)
		err(EXIT_FAILURE, "%s", queue_text());
	close(fd);
	printf("[%s]\n", printable(queue_name));
	for (int i = 0; i < SETTINGS; i++)
		printf("%s = %s\n", settings[i].name, setting_text(&settings[i], &info, &st));
	putchar('\n');
	return NULL;
}

/* Returns the names of the queues in /dev/mpmcqfs, with a NULL after them. */
static const char **all_names(void)
{
	struct queue *queues;
	const char *why, **names;
	size_t count = find_queues(MOUNT, &queues, &why);

	if (why)
		errx(EXIT_FAILURE, "cannot list queues: %s", why);
	names = allocate((count + 1) * sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = queues[i].name;
	names[count] = NULL;
	return names;
}

static void run_dump(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	const char **names;
	bool failed = false;
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
		common_option(opt);
	no_queue_option("dump");
	names = optind < argc ? (const char **)argv + optind : all_names();
	for (int i = 0; names[i]; i++) {
		const char *why;

		queue_name = names[i];
		why = dump_queue();
		if (!why)
			continue;
		warnx("cannot dump %s: %s", queue_text(), why);
		failed = true;
	}
	if (failed)
		exit(EXIT_FAILURE);
}

const struct command dump_command = {
	.name = "dump",
	.usage = "dump [NAME...]",
	.summary = "print the configuration of queues",
	.help =
		"Prints what each queue NAME is like, or all in /dev/mpmcqfs, as a file for\n"
		"mpmcq create --file.  Messages are not in it.\n",
	.run = run_dump,
};
