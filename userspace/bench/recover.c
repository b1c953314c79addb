// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench-recover - how soon the messages of a worker that is killed are back
 *
 * In each round a worker takes all messages of a queue on lease and is killed, while a
 * reader waits for one.  By the time waitpid(2) returns all of them must be back, in
 * order: a process closes its files before its parent is told of its end, and what an
 * open file holds is given back before its last close returns.  Then the same with a
 * worker whose open file the parent has too: the messages must stay away until the
 * parent closes it as well.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "measure.h"
#include "packed.h"
#include "process.h"
#include "queue.h"
#include "verify.h"

#define SIZE		64	/* of a message */
#define MAX_ROUNDS	1000
#define SETTLE_US	2000	/* what is given back by mistake shows within this */

static unsigned int messages = 64;
static unsigned int rounds = 50;
static unsigned int limit = 120;
static bool json;

enum { ALONE_WAIT, ALONE_MESSAGE, SHARED_WAIT, SHARED_MESSAGE, KINDS };

static double times[KINDS][MAX_ROUNDS];

static const struct series kinds[KINDS] = {
	[ALONE_WAIT] = { "killed_to_wait",
		"killed, until waitpid() returned", times[ALONE_WAIT] },
	[ALONE_MESSAGE] = { "killed_to_message",
		"killed, until the reader had the first message", times[ALONE_MESSAGE] },
	[SHARED_WAIT] = { "shared_killed_to_wait",
		"file shared: killed, until waitpid() returned", times[SHARED_WAIT] },
	[SHARED_MESSAGE] = { "shared_closed_to_message",
		"file shared: closed, until the reader had the first", times[SHARED_MESSAGE] },
};

static int queue;
static struct channel sender;	/* two packs, one open file that does not block */
static struct channel drain;

/* --- the reader: a process that takes one message whenever it is told to --- */

/* Shared memory. */
struct reader {
	atomic_bool reading;	/* is in read(), or just about to be */
	double end;		/* when that returned */
	ssize_t length;
	char message[SIZE];
};

static struct reader *reader;
static pid_t reader_pid;
static int reader_go[2];	/* the parent writes a byte ... */
static int reader_done[2];	/* ... and has one back when the reader has a message */

static noreturn void read_when_told(void)
{
	char byte;

	close(reader_go[1]);
	while (read(reader_go[0], &byte, 1) == 1) {
		atomic_store(&reader->reading, true);
		reader->length = read(queue, reader->message, SIZE);
		reader->end = now();
		if (write(reader_done[1], &byte, 1) != 1)
			err(EXIT_FAILURE, "reader");
	}
	_exit(EXIT_SUCCESS);
}

static void start_reader(void)
{
	reader = shared_memory(sizeof(*reader));
	if (pipe2(reader_go, O_CLOEXEC) < 0 || pipe2(reader_done, O_CLOEXEC) < 0)
		err(EXIT_FAILURE, "pipe");
	reader_pid = fork_child();
	if (!reader_pid)
		read_when_told();
	close(reader_go[0]);
	close(reader_done[1]);
}

static bool asleep(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		err(EXIT_FAILURE, "%s", path);
	fclose(file);
	return state == 'S';
}

/* Returns once the reader waits in read(). */
static void let_read(void)
{
	atomic_store(&reader->reading, false);
	if (write(reader_go[1], "", 1) != 1)
		err(EXIT_FAILURE, "reader");
	while (!atomic_load(&reader->reading) || !asleep(reader_pid))
		usleep(100);
}

static bool is_number(const char *message, ssize_t length, unsigned int number)
{
	char want[SIZE];

	message_fill(want, SIZE, 0, number);
	return length == SIZE && !memcmp(message, want, SIZE);
}

/* Returns when the reader got the first message. */
static double first_message(void)
{
	char byte;

	if (read(reader_done[0], &byte, 1) != 1)
		errx(EXIT_FAILURE, "the reader ended");
	if (!is_number(reader->message, reader->length, 0))
		errx(EXIT_FAILURE, "the reader got something other than the first message");
	return reader->end;
}

/* --- messages --- */

static int attach_leasing(void)
{
	int fd = queue_attach(queue, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, messages);

	if (fd < 0)
		err(EXIT_FAILURE, "attach");
	return fd;
}

static void send_all(void)
{
	char message[SIZE];

	for (unsigned int i = 0; i < messages; i++) {
		message_fill(message, SIZE, 0, i);
		if (packed_send(&sender, message, SIZE) < 0)
			err(EXIT_FAILURE, "send");
	}
	if (packed_flush(&sender) < 0)
		err(EXIT_FAILURE, "send");
}

/* Takes all messages from number @first on, which must come in order. */
static void receive_all(struct channel *c, unsigned int first)
{
	char message[SIZE];

	for (unsigned int i = first; i < messages; i++) {
		ssize_t length = packed_receive(c, message, SIZE);

		if (length < 0)
			err(EXIT_FAILURE, "message %u of %u", i, messages);
		if (!is_number(message, length, i))
			errx(EXIT_FAILURE, "message %u of %u came out of order", i, messages);
	}
}

static void check_empty(void)
{
	char message[SIZE];

	if (packed_receive(&drain, message, SIZE) >= 0)
		errx(EXIT_FAILURE, "a message was repeated");
	if (errno != EAGAIN)
		err(EXIT_FAILURE, "receive");
}

static struct mpmcq_info get_info(void)
{
	struct mpmcq_info info;

	if (queue_info(queue, &info) < 0)
		err(EXIT_FAILURE, "info");
	return info;
}

/* The reader may have one of them by now. */
static void check_back(const char *when)
{
	struct mpmcq_info info = get_info();

	if (info.leased || info.depth + 1 < messages)
		errx(EXIT_FAILURE, "%s, %u messages of %u waited and %u were leased",
		     when, info.depth, messages, info.leased);
}

static void check_away(void)
{
	struct mpmcq_info info;

	usleep(SETTLE_US);
	info = get_info();
	if (info.leased != messages || info.depth)
		errx(EXIT_FAILURE,
		     "while the file was open, %u messages of %u waited and %u were leased",
		     info.depth, messages, info.leased);
}

/* --- a round --- */

/* With an open file of its own, if @fd is -1. */
static noreturn void hold_all(int fd, int ready)
{
	struct channel c = { .out = fd < 0 ? attach_leasing() : fd, .size = SIZE };

	if (packed_begin(&c) < 0)
		err(EXIT_FAILURE, "memory");
	receive_all(&c, 0);
	if (write(ready, "", 1) != 1)
		err(EXIT_FAILURE, "worker");
	for (;;)
		pause();
}

/* Returns once the worker holds all messages. */
static pid_t start_worker(int fd)
{
	int ready[2];
	pid_t pid;
	char byte;

	if (pipe(ready) < 0)
		err(EXIT_FAILURE, "pipe");
	pid = fork_child();
	if (!pid)
		hold_all(fd, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		errx(EXIT_FAILURE, "a worker ended early");
	close(ready[0]);
	return pid;
}

/* Returns how long it took until the parent knew that the worker was gone. */
static double kill_worker(pid_t pid, double begin)
{
	double end;
	int status;

	if (kill(pid, SIGKILL) < 0 || waitpid(pid, &status, 0) != pid)
		err(EXIT_FAILURE, "killing a worker");
	end = now();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		errx(EXIT_FAILURE, "a worker ended by itself");
	return end - begin;
}

static void run_alone(unsigned int round)
{
	pid_t pid;
	double begin;

	send_all();
	pid = start_worker(-1);
	let_read();
	begin = now();
	times[ALONE_WAIT][round] = kill_worker(pid, begin);
	check_back("when waitpid() had returned");
	times[ALONE_MESSAGE][round] = first_message() - begin;
	receive_all(&drain, 1);
	check_empty();
}

static void run_shared(unsigned int round)
{
	int fd = attach_leasing();
	pid_t pid;
	double begin;

	send_all();
	pid = start_worker(fd);
	let_read();
	times[SHARED_WAIT][round] = kill_worker(pid, now());
	check_away();
	begin = now();
	close(fd);
	check_back("when the last close() had returned");
	times[SHARED_MESSAGE][round] = first_message() - begin;
	receive_all(&drain, 1);
	check_empty();
}

static void make_queue(void)
{
	struct mpmcq_create create = { .capacity = 2, .msg_size = SIZE, .open_flags = O_RDWR };

	while (create.capacity < messages)
		create.capacity *= 2;
	queue = queue_create(&create);
	if (queue < 0)
		err(EXIT_FAILURE, "%s", mpmcq_device);
	sender.in = queue_attach(queue, O_RDWR | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	if (sender.in < 0)
		err(EXIT_FAILURE, "attach");
	sender.size = SIZE;
	drain.out = sender.in;
	drain.size = SIZE;
	if (packed_begin(&sender) < 0 || packed_begin(&drain) < 0)
		err(EXIT_FAILURE, "memory");
}

/* --- options --- */

static const char help[] =
"Usage: bench-recover [OPTION...]\n"
"\n"
"Let a worker take messages on lease and kill it, again and again; measure how\n"
"soon its parent knows and a waiting reader has the first of the messages, and\n"
"verify that all are back by the time waitpid() returns, in order.  Then let\n"
"the parent have the worker's open file too, and verify that none comes back\n"
"until it closes that.  All this is done with a private queue.\n"
"\n"
"  -m, --messages N     messages that the worker holds (64)\n"
"  -r, --rounds N       workers of each kind (50)\n"
"  -l, --limit SECONDS  a round that takes longer is a failure (120)\n"
"  -d, --device PATH    what makes the queue (/dev/mpmcq)\n"
"  -j, --json           print JSON instead of a table\n"
"  -h, --help           print this and exit\n"
"\n"
"Exit status: 0 done, 1 messages were not back in time, in order, and once, or\n"
"another error, 2 wrong usage.\n";

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "messages", required_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "limit", required_argument, NULL, 'l' },
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "m:r:l:d:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'm':
			messages = parse_number(optarg, 1, MPMCQ_MAX_HELD_MAX);
			break;
		case 'r':
			rounds = parse_number(optarg, 1, MAX_ROUNDS);
			break;
		case 'l':
			limit = parse_number(optarg, 1, 86400);
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
	make_queue();
	start_reader();
	for (unsigned int round = 0; round < rounds; round++) {
		limit_time(limit);
		run_alone(round);
		run_shared(round);
	}
	limit_time(0);

	if (json)
		printf("{\"messages\": %u, \"rounds\": %u, \"cpus\": %ld, ",
		       messages, rounds, sysconf(_SC_NPROCESSORS_ONLN));
	else
		printf("messages: %u, rounds: %u, CPUs: %ld\n\n",
		       messages, rounds, sysconf(_SC_NPROCESSORS_ONLN));
	print_series(kinds, KINDS, rounds, json);
	if (json)
		puts("}");
	else
		puts("\nAll were back, in order, when waitpid() or the last close() returned.");
	close_output();
	return EXIT_SUCCESS;
}
