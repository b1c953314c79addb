// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq create, destroy, close, reopen
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mpmcq.h"

enum {
	OPT_DROP_OLDEST = 256,
	OPT_AUTO_CLOSE,
	OPT_AUTO_DESTROY,
	OPT_MAX_DELIVERIES,
	OPT_LEASE_MS,
};

static unsigned int parse_mode(const char *arg)
{
	char *end;
	unsigned long mode = strtoul(arg, &end, 8);

	if (end == arg || *end || *arg < '0' || *arg > '7' || mode > 0777)
		usage_error("not octal permissions: '%s'", arg);
	return mode;
}

/* What went wrong, where the text of the errno would leave one guessing. */
static const char *why_not_created(int error, const struct mpmcq_create *create)
{
	switch (error) {
	case EINVAL:
		if (create->capacity & (create->capacity - 1) || create->capacity == 1 ||
		    create->capacity > 1048576)
			return "CAPACITY must be a power of two from 2 to 1048576";
		if (create->msg_size > 65536)
			return "MSG_SIZE must be from 1 to 65536";
		return "NAME must be of letters, digits, '_', '.', '-', not first '.' or '-'";
	case EEXIST:
		return "there is a queue of this name";
	case EFBIG:
		return "more bytes than a queue may have: parameter max_queue_bytes";
	case EDQUOT:
		return "more queues or bytes than a user may have: max_user_queues, max_user_bytes";
	case ENOSPC:
		return "more bytes than all queues may have: parameter max_total_bytes";
	default:
		return NULL;
	}
}

static int create_queue(struct mpmcq_create *create)
{
	struct mpmcq_info info;
	int device_fd = open_device(O_WRONLY, &info);
	int fd = ioctl(device_fd, MPMCQ_IOC_CREATE, create);
	const char *why;

	if (fd < 0) {
		why = why_not_created(errno, create);
		if (why)
			errx(EXIT_FAILURE, "%s: %s", create->name, why);
		err(EXIT_FAILURE, "%s", create->name);
	}
	close(device_fd);
	return fd;
}

void command_create(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "capacity", required_argument, NULL, 'c' },
		{ "msg-size", required_argument, NULL, 's' },
		{ "mode", required_argument, NULL, 'm' },
		{ "drop-oldest", no_argument, NULL, OPT_DROP_OLDEST },
		{ "auto-close", no_argument, NULL, OPT_AUTO_CLOSE },
		{ "auto-destroy", no_argument, NULL, OPT_AUTO_DESTROY },
		{ "max-deliveries", required_argument, NULL, OPT_MAX_DELIVERIES },
		{ "lease-ms", required_argument, NULL, OPT_LEASE_MS },
		{ }
	};
	struct mpmcq_create create = {
		.size = sizeof(create),
		.max_deliveries = MPMCQ_MAX_DELIVERIES_DEFAULT,
		.open_flags = O_RDONLY,		/* no writer, whose end would close it */
		.mode = 0600,
	};
	char **command;
	int fd, opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "c:s:m:", options, NULL)) != -1) {
		if (opt == 'c')
			create.capacity = parse_number(optarg, 1, UINT32_MAX, "capacity");
		else if (opt == 's')
			create.msg_size = parse_number(optarg, 1, UINT32_MAX, "size of a message");
		else if (opt == 'm')
			create.mode = parse_mode(optarg);
		else if (opt == OPT_DROP_OLDEST)
			create.flags |= MPMCQ_DROP_OLDEST;
		else if (opt == OPT_AUTO_CLOSE)
			create.flags |= MPMCQ_AUTO_CLOSE;
		else if (opt == OPT_AUTO_DESTROY)
			create.flags |= MPMCQ_AUTO_DESTROY;
		else if (opt == OPT_MAX_DELIVERIES)
			create.max_deliveries = parse_number(optarg, 0, UINT32_MAX,
							     "number of deliveries");
		else if (opt == OPT_LEASE_MS)
			create.lease_ms = parse_number(optarg, 0, INT32_MAX,
						       "number of milliseconds");
		else
			common_option(opt);
	}
	no_queue_option("create");
	if (optind == argc)
		usage_error("no name given");
	set_name(create.name, argv[optind]);
	command = &argv[optind + 1];
	if (*command && !(create.flags & MPMCQ_AUTO_DESTROY))
		usage_error("a command goes with --auto-destroy only: '%s'", *command);
	if (!*command && (create.flags & MPMCQ_AUTO_DESTROY))
		usage_error("--auto-destroy needs a command to be the first user");

	fd = create_queue(&create);
	if (!*command)
		return;
	/* The queue is there as long as the command or a child of it has this file. */
	fcntl(fd, F_SETFD, 0);
	execvp(*command, command);
	err(EXIT_FAILURE, "%s", *command);
}

static void only_common_options(int argc, char **argv)
{
	static const struct option options[] = { COMMON_LONG_OPTIONS, { } };
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS, options, NULL)) != -1)
		common_option(opt);
}

void command_destroy(int argc, char **argv)
{
	struct mpmcq_name name = { .size = sizeof(name) };
	struct mpmcq_info info;

	only_common_options(argc, argv);
	no_queue_option("destroy");
	if (optind == argc)
		usage_error("no name given");
	set_name(name.name, argv[optind++]);
	no_arguments(argc, argv);
	if (ioctl(open_device(O_RDONLY, &info), MPMCQ_IOC_DESTROY, &name) < 0)
		err(EXIT_FAILURE, "%s", name.name);
}

static void do_on_queue(int argc, char **argv, unsigned int cmd)
{
	struct mpmcq_info info;

	only_common_options(argc, argv);
	no_arguments(argc, argv);
	if (ioctl(open_queue(O_WRONLY, &info), cmd, 0) < 0)
		err(EXIT_FAILURE, "%s", queue_text());
}

void command_close(int argc, char **argv)
{
	do_on_queue(argc, argv, MPMCQ_IOC_CLOSE);
}

void command_reopen(int argc, char **argv)
{
	do_on_queue(argc, argv, MPMCQ_IOC_REOPEN);
}
