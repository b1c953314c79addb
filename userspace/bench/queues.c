// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-queues - what it takes to have many queues
 *
 * Makes queues with names, sends a message through each, receives them all, last queue
 * first, so that one that went to another queue would show, and destroys them.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "measure.h"
#include "queue.h"
#include "verify.h"

#define CAPACITY	64
#define SIZE		64	/* of a message */
#define MAX_QUEUES	100000

static unsigned int queues = 1000;
static bool json;

static int device;
static unsigned int made;	/* queues that there are: from 0 on, ... */
static unsigned int destroyed;	/* ... but for so many of the first */
static volatile sig_atomic_t interrupted;

static void set_name(char *name, unsigned int i)
{
	snprintf(name, MPMCQ_NAME_MAX + 1, "bench-%d-%u", getpid(), i);
}

static int call_by_name(unsigned long call, unsigned int i, unsigned int open_flags)
{
	struct mpmcq_name name = { .size = sizeof(name), .open_flags = open_flags };

	set_name(name.name, i);
	return ioctl(device, call, &name);
}

/* --- what is done with each queue --- */

static void create_one(unsigned int i)
{
	struct mpmcq_create create = {
		.capacity = CAPACITY,
		.msg_size = SIZE,
		.open_flags = O_RDWR,
		.mode = 0600,
	};
	int fd;

	set_name(create.name, i);
	fd = queue_create(&create);
	if (fd < 0)
		err(EXIT_FAILURE, "queue %u: create", i);
	made++;
	close(fd);
}

static int open_queue(unsigned int i, unsigned int flags)
{
	int fd = call_by_name(MPMCQ_IOC_OPEN, i, flags | O_NONBLOCK);

	if (fd < 0)
		err(EXIT_FAILURE, "queue %u: open", i);
	return fd;
}

static void send_one(unsigned int i)
{
	int fd = open_queue(i, O_WRONLY);
	char message[SIZE];

	message_fill(message, SIZE, 0, i);
	if (write(fd, message, SIZE) != SIZE)
		err(EXIT_FAILURE, "queue %u: send", i);
	close(fd);
}

static void receive_one(unsigned int nth)
{
	unsigned int i = queues - 1 - nth;
	int fd = open_queue(i, O_RDONLY);
	char message[SIZE], want[SIZE];
	ssize_t length = read(fd, message, SIZE);

	if (length < 0)
		err(EXIT_FAILURE, "queue %u: receive", i);
	message_fill(want, SIZE, 0, i);
	if (length != SIZE || memcmp(message, want, SIZE))
		errx(EXIT_FAILURE, "queue %u: another message came than was sent", i);
	close(fd);
}

static void destroy_one(unsigned int i)
{
	if (call_by_name(MPMCQ_IOC_DESTROY, i, 0) < 0)
		err(EXIT_FAILURE, "queue %u: destroy", i);
	destroyed++;
}

static void check_gone(void)
{
	for (unsigned int i = 0; i < queues; i++)
		if (call_by_name(MPMCQ_IOC_OPEN, i, O_RDWR) >= 0 || errno != ENOENT)
			errx(EXIT_FAILURE, "queue %u: still there", i);
}

/* No name of ours stays, however the program ends. */
static void destroy_rest(void)
{
	while (destroyed < made)
		call_by_name(MPMCQ_IOC_DESTROY, destroyed++, 0);
}

static void interrupt(int signal)
{
	interrupted = signal;
}

static double *each(void (*what)(unsigned int i))
{
	double *seconds = calloc(queues, sizeof(*seconds));

	if (!seconds)
		err(EXIT_FAILURE, "memory");
	for (unsigned int i = 0; i < queues && !interrupted; i++) {
		double begin = now();

		what(i);
		seconds[i] = now() - begin;
	}
	if (interrupted)
		errx(EXIT_FAILURE, "%s", strsignal(interrupted));
	return seconds;
}

/* --- memory --- */

/* What of the kernel's memory queues are made of, in kB. */
static long kernel_memory(void)
{
	static const char *const wanted[] = { "Slab:", "VmallocUsed:", "Percpu:" };
	const size_t n = sizeof(wanted) / sizeof(*wanted);
	FILE *file = fopen("/proc/meminfo", "r");
	size_t found = 0;
	long kb, sum = 0;
	char name[64];

	if (!file)
		err(EXIT_FAILURE, "/proc/meminfo");
	while (fscanf(file, "%63s %ld%*[^\n]", name, &kb) == 2) {
		for (size_t i = 0; i < n; i++) {
			if (!strcmp(name, wanted[i])) {
				sum += kb;
				found++;
			}
		}
	}
	fclose(file);
	if (found != n)
		errx(EXIT_FAILURE, "/proc/meminfo does not say all");
	return sum;
}

/* --- options --- */

static const char help[] =
"Usage: bench-queues [OPTION...]\n"
"\n"
"Make many queues with names, of 64 messages of 64 bytes, send and receive one\n"
"message through each, opened by name, and destroy them; measure how long each\n"
"takes, and what memory the kernel needs for them.\n"
"\n"
"  -n, --queues N     how many (1000)\n"
"  -d, --device PATH  what makes them (/dev/mpmcq)\n"
"  -j, --json         print JSON instead of a table\n"
"  -h, --help         print this and exit\n"
"\n"
"Exit status: 0 done, 1 error, 2 wrong usage.\n";

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "queues", required_argument, NULL, 'n' },
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "n:d:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'n':
			queues = parse_number(optarg, 1, MAX_QUEUES);
			break;
		case 'd':
			mpmcq_device = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(help, stdout);
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_USAGE);
		}
	}
	no_arguments(argc);
}

static void catch_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGTERM };

	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		signal(signals[i], interrupt);
}

int main(int argc, char **argv)
{
	struct series series[] = {
		{ "create", "made, and closed", NULL },
		{ "send", "opened by name, sent to, and closed", NULL },
		{ "receive", "opened by name, received from, and closed", NULL },
		{ "destroy", "destroyed", NULL },
	};
	const size_t n = sizeof(series) / sizeof(*series);
	long before, with, after;

	parse_options(argc, argv);
	device = open(mpmcq_device, O_RDWR | O_CLOEXEC);
	if (device < 0)
		err(EXIT_FAILURE, "%s", mpmcq_device);
	atexit(destroy_rest);
	catch_signals();

	before = kernel_memory();
	series[0].seconds = each(create_one);
	with = kernel_memory();
	series[1].seconds = each(send_one);
	series[2].seconds = each(receive_one);
	series[3].seconds = each(destroy_one);
	after = kernel_memory();
	check_gone();

	if (json)
		printf("{\"queues\": %u, \"capacity\": %u, \"msg_size\": %u, \"cpus\": %ld, ",
		       queues, CAPACITY, SIZE, sysconf(_SC_NPROCESSORS_ONLN));
	else
		printf("queues: %u, each for %u messages of %u bytes, CPUs: %ld\n\n",
		       queues, CAPACITY, SIZE, sysconf(_SC_NPROCESSORS_ONLN));
	print_series(series, n, queues, json);
	if (json)
		printf(",\n\"kb_with\": %ld, \"kb_left\": %ld}\n", with - before, after - before);
	else
		printf("\nSlab, VmallocUsed and Percpu: %ld kB more with them, %.1f kB for each;\n"
		       "%ld kB more when they were gone\n",
		       with - before, (double)(with - before) / queues, after - before);
	close_output();
	return EXIT_SUCCESS;
}
