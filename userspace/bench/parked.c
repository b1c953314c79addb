// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-parked - many messages that are due at once
 *
 * Sends messages to one queue as they are, and to another with delays that are all over at one
 * moment, and takes the time from that moment on until they are all out.  A thread with a real-time
 * priority sleeps for short times meanwhile and finds out how late it is woken: for so long no
 * processor was to be had.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "measure.h"
#include "queue.h"

#define SIZE		64
#define PACK		64	/* messages of a write */
#define MESSAGES_MAX	1048576U
#define TURN_NS		250000	/* for which the watcher sleeps */
#define MOST_OUT_S	60	/* until they are missing */
#define MOST_S		600

static unsigned int messages = 1000000;
static bool json;

/* --- how late a task is woken --- */

static volatile bool watching;
static volatile unsigned long long latest_ns;

static void *watch(void *unused)
{
	unsigned long long next = now_ns(), late;

	(void)unused;
	while (watching) {
		struct timespec until;

		next += TURN_NS;
		until.tv_sec = next / 1000000000;
		until.tv_nsec = next % 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
		late = now_ns() - next;
		if (late > latest_ns)
			latest_ns = late;
		if (now_ns() > next)
			next = now_ns();
	}
	return NULL;
}

static pthread_t watch_begin(void)
{
	struct sched_param param = { .sched_priority = 50 };
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	watching = true;
	latest_ns = 0;
	pthread_attr_init(&attr);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	error = pthread_create(&thread, &attr, watch, NULL);
	if (error)
		errx(EXIT_FAILURE, "a thread with a real-time priority: %s", strerror(error));
	return thread;
}

/* Returns the latest wake-up, in milliseconds. */
static double watch_end(pthread_t thread)
{
	watching = false;
	pthread_join(thread, NULL);
	return latest_ns / 1e6;
}

/* --- queues --- */

static int make_queue(unsigned int flags)
{
	const struct mpmcq_create like = {
		.capacity = MESSAGES_MAX, .msg_size = SIZE, .flags = flags, .open_flags = O_RDWR,
	};
	int fd = queue_create(&like);

	if (fd < 0)
		err(EXIT_FAILURE, "a queue for %u messages", MESSAGES_MAX);
	return fd;
}

/* Seconds that it takes to send all, one a call. */
static double send_plain(void)
{
	static const char message[SIZE];
	int fd = make_queue(0);
	double begin = now();

	for (unsigned int i = 0; i < messages; i++)
		if (write(fd, message, SIZE) != SIZE)
			err(EXIT_FAILURE, "write");
	begin = now() - begin;
	close(fd);
	return begin;
}

/* Sends all with what is left until @due as their delay. */
static void send_parked(int fd, double due)
{
	static char pack[PACK * MPMCQ_MSG_SPACE(SIZE)];
	const size_t space = MPMCQ_MSG_SPACE(SIZE);

	for (unsigned int i = 0, n; i < messages; i += n) {
		struct mpmcq_msg header = { .len = SIZE, .delay_ms = (due - now()) * 1000 };

		if (due < now())
			errx(EXIT_FAILURE, "the first are due before the last are sent");
		n = messages - i < PACK ? messages - i : PACK;
		for (unsigned int j = 0; j < n; j++)
			memcpy(pack + j * space, &header, sizeof(header));
		if (write(fd, pack, n * space) != (ssize_t)(n * space))
			err(EXIT_FAILURE, "write");
	}
}

static unsigned int parked(int fd)
{
	struct mpmcq_info info;

	if (queue_info(fd, &info) < 0)
		err(EXIT_FAILURE, "INFO");
	return info.parked;
}

static void sleep_until(double due)
{
	double left = due - now();

	if (left > 0)
		usleep(left * 1e6);
}

/* What was measured. */
static struct {
	double send_s;		/* to send all, plain */
	double out_s;		/* from the moment on at which all were due */
	double quiet_ms;	/* latest wake-up when nothing happens ... */
	double busy_ms;		/* ... and while the messages come out */
	unsigned int ready;	/* messages in the end */
} found;

static void measure_parked(void)
{
	int fd = make_queue(MPMCQ_DELAY);
	double due = now() + 2 * found.send_s + 1;
	struct mpmcq_info info;
	pthread_t thread;

	if (queue_mode(fd, MPMCQ_MODE_PACKED) < 0)
		err(EXIT_FAILURE, "MODE");
	send_parked(fd, due);
	thread = watch_begin();
	sleep_until(due - 0.2);
	found.quiet_ms = watch_end(thread);
	if (parked(fd) != messages)
		errx(EXIT_FAILURE, "only %u are parked", parked(fd));
	thread = watch_begin();
	sleep_until(due);
	/* The last are in nobody's count while they are on their way. */
	do {
		usleep(1000);
		if (queue_info(fd, &info) < 0)
			err(EXIT_FAILURE, "INFO");
	} while (info.depth < messages && now() < due + MOST_OUT_S);
	found.out_s = now() - due;
	found.busy_ms = watch_end(thread);
	found.ready = info.depth;
	close(fd);
}

/* --- the end --- */

static void print_found(void)
{
	if (json) {
		printf("{\"messages\": %u, \"send_seconds\": %.6f, \"out_seconds\": %.6f, ",
		       messages, found.send_s, found.out_s);
		printf("\"latest_wakeup_ms\": {\"before\": %.4f, \"while\": %.4f}, ",
		       found.quiet_ms, found.busy_ms);
		printf("\"ready\": %u}\n", found.ready);
		return;
	}
	printf("%u messages of %u bytes, all due at one moment\n\n", messages, SIZE);
	printf("to send as many, one a call       %10.3f s\n", found.send_s);
	printf("until all were out                %10.3f s (%.2f of that)\n", found.out_s,
	       found.out_s / found.send_s);
	printf("latest wake-up of a task, before  %10.3f ms\n", found.quiet_ms);
	printf("and while they came out           %10.3f ms\n", found.busy_ms);
}

static const char help[] =
"Usage: bench-parked [OPTION...]\n"
"\n"
"Sends messages with delays that are all over at one moment, and tells how long it takes\n"
"from then on until they are ready, beside the time to send as many; and how late a task\n"
"with a real-time priority is woken at most, before and meanwhile.  Needs the right to\n"
"such a priority, and memory for 2^20 messages of 64 bytes (0.2 GB).\n"
"\n"
"  -m, --messages N   how many (1000000)\n"
"  -d, --device PATH  what makes the queues (/dev/mpmcq)\n"
"  -j, --json         print JSON instead of a table\n"
"  -h, --help         print this and exit\n"
"\n"
"Exit status: 0 done; 1 messages are missing, or another error; 2 wrong usage.\n";

static const struct option options[] = {
	{ "messages", required_argument, NULL, 'm' },
	{ "device", required_argument, NULL, 'd' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void parse_options(int argc, char **argv)
{
	int opt;

	while ((opt = getopt_long(argc, argv, "m:d:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			messages = parse_number(optarg, 1, MESSAGES_MAX);
			break;
		case 'd':
			mpmcq_device = optarg;
			break;
		case 'j':
			json = true;
			break;
		default:
			help_option(opt, help);
		}
	}
	no_arguments(argc);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	limit_time(MOST_S);
	found.send_s = send_plain();
	measure_parked();
	print_found();
	close_output();
	if (found.ready == messages)
		return EXIT_SUCCESS;
	warnx("%u messages are ready, and %u were sent", found.ready, messages);
	return EXIT_FAILURE;
}
