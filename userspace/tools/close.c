// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq close, reopen
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <libmpmcq.h>

#include "mpmcq.h"

static noreturn void fail(const char *what, int error)
{
	if (error == EPERM)
		errx(EXIT_FAILURE,
		     "cannot %s %s: only root may, as it is the default queue (make your own: mpmcq create NAME)",
		     what, queue_text());
	errx(EXIT_FAILURE, "cannot %s %s: %s", what, queue_text(), strerror(error));
}

static void run_close(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "due", no_argument, NULL, 'd' },
		{ }
	};
	struct mpmcq_info info;
	unsigned int flags = 0;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "d", options, NULL)) != -1) {
		if (opt == 'd')
			flags = MPMCQ_CLOSE_DUE;
		else
			common_option(opt);
	}
	no_arguments(argc, argv);
	ret = mpmcq_close_queue(open_queue(O_WRONLY, &info), flags);
	if (ret)
		fail("close", -ret);
}

const struct command close_command = {
	.name = "close",
	.usage = "[-q NAME] close [-d]",
	.summary = "let writers fail and readers end",
	.help =
		"Writers fail from now on. Readers end when they have taken what is left.\n"
		"\n"
		"  -d, --due              do not wait for delays: parked messages are ready now\n",
	.run = run_close,
};

static void run_reopen(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	struct mpmcq_info info;
	int opt, ret;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
		common_option(opt);
	no_arguments(argc, argv);
	ret = mpmcq_reopen_queue(open_queue(O_WRONLY, &info));
	if (ret)
		fail("reopen", -ret);
}

const struct command reopen_command = {
	.name = "reopen",
	.usage = "[-q NAME] reopen",
	.summary = "undo close",
	.help = "",
	.run = run_reopen,
};
