// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq dead: messages that were set aside
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "mpmcq.h"

enum {
	OPT_READ = 256,
	OPT_REVIVE,
	OPT_PURGE,
};

static void read_dead(int fd, struct receiver *r)
{
	struct mpmcq_attach attach = {
		.size = sizeof(attach),
		.open_flags = O_RDONLY | O_NONBLOCK,
		.modes = MPMCQ_MODE_DEAD,
	};

	r->fd = ioctl(fd, MPMCQ_IOC_ATTACH, &attach);
	if (r->fd < 0)
		err(EXIT_FAILURE, "%s", queue_text());
	timeout_ms = 0;
	receive_messages(r);
}

static void print_done(int fd, unsigned int cmd, unsigned long count)
{
	struct mpmcq_dead dead = { .size = sizeof(dead), .count = count };

	if (ioctl(fd, cmd, &dead) < 0)
		err(EXIT_FAILURE, "%s", queue_text());
	printf("%u\n", dead.done);
}

static void run_dead(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "read", no_argument, NULL, OPT_READ },
		{ "revive", no_argument, NULL, OPT_REVIVE },
		{ "purge", no_argument, NULL, OPT_PURGE },
		{ "count", required_argument, NULL, 'c' },
		{ "null", no_argument, NULL, '0' },
		{ "raw", no_argument, NULL, 'r' },
		{ }
	};
	struct receiver r = { };
	int action = 0, form = 0;
	struct mpmcq_info info;
	int fd, opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "c:0r", options, NULL)) != -1) {
		if (opt == 'c')
			r.count = parse_number(optarg, 1, UINT32_MAX, "number of messages");
		else if (opt >= OPT_READ)
			set_once(&action, opt, "--read, --revive and --purge");
		else if (opt == '0' || opt == 'r')
			set_once(&form, opt, "--null and --raw");
		else
			common_option(opt);
	}
	no_arguments(argc, argv);
	if (r.count && !action)
		usage_error("--count goes with --read, --revive or --purge");
	if (form && action != OPT_READ)
		usage_error("--null and --raw go with --read");

	fd = open_queue(action == OPT_REVIVE ? O_RDWR : O_RDONLY, &info);
	r.msg_size = info.msg_size;
	set_tail(&r, form);
	if (action == OPT_READ)
		read_dead(fd, &r);
	else if (action == OPT_REVIVE)
		print_done(fd, MPMCQ_IOC_REVIVE, r.count);
	else if (action == OPT_PURGE)
		print_done(fd, MPMCQ_IOC_PURGE, r.count);
	else
		printf("%u\n", info.dead);
	close(fd);
}

const struct command dead_command = {
	.name = "dead",
	.usage = "[-q NAME] dead [--read [-0 | -r] | --revive | --purge] [-c N]",
	.summary = "count dead messages, take, revive or purge them",
	.help =
		"Prints how many messages were set aside.\n"
		"\n"
		"      --read             take them and print them, as receive does (-0, -r)\n"
		"      --revive           send them again, and print how many\n"
		"      --purge            discard them, and print how many\n"
		"  -c, --count N          no more than N, the oldest first\n",
	.run = run_dead,
};
