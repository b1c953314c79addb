// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq bench: this queue, on this machine, beside a pipe
 *
 * A process writes for some time, and another one reads. A signal ends these two first, then the
 * program empties the queue, and then the signal ends the program.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"

enum {
	MESSAGE_SIZE = 64,
	PACK_MESSAGES = 64,
	PACKED_SIZE = MPMCQ_MSG_SPACE(MESSAGE_SIZE),
	BUFFER_SIZE = PACK_MESSAGES * PACKED_SIZE,
	PIPE_PAGES = 1024,
	TIME_MIN_MS = 100,
	PATIENCE_S = 10,	/* for what the reader has to read after that time */
};

/**
 * struct way - how messages go from one process to the other
 * @in: descriptor to write
 * @out: descriptor to read
 * @message_size: bytes of a message, with its header
 * @unit: bytes of a call
 * @end: bytes of a shorter message, which is the last; 0 if the end of @in will do
 */
struct way {
	int in;
	int out;
	size_t message_size;
	size_t unit;
	size_t end;
};

/**
 * struct result - what the two processes tell, in memory that they share
 * @sent: messages written, with the last
 * @received: messages read, without the last
 * @begin_ns: when the first was read
 * @end_ns: when all were
 */
struct result {
	uint64_t sent;
	uint64_t received;
	int64_t begin_ns;
	int64_t end_ns;
};

static int time_ms = 1000;
static struct result *result;

/* --- the two processes --- */

/* Fills @buffer with what is written by a call. */
static void fill(const struct way *way, char *buffer)
{
	const struct mpmcq_msg msg = { .len = MESSAGE_SIZE };

	memset(buffer, 'm', BUFFER_SIZE);
	if (way->message_size != PACKED_SIZE)
		return;
	for (size_t i = 0; i < PACK_MESSAGES; i++)
		memcpy(buffer + i * PACKED_SIZE, &msg, sizeof(msg));
}

static void write_all(int fd, const char *bytes, size_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0)
			err(EXIT_FAILURE, "a write failed");
		bytes += written;
		size -= written;
	}
}

static void write_end(const struct way *way)
{
	struct {
		struct mpmcq_msg msg;
		uint64_t byte;
	} last = { .msg.len = 1 };

	if (way->end == 1)
		write_all(way->in, "e", 1);
	else if (way->end)
		write_all(way->in, (const char *)&last, sizeof(last));
	result->sent += way->end != 0;
}

static void run_writer(const struct way *way)
{
	int64_t end = now_ns() + time_ms * INT64_C(1000000);
	static char buffer[BUFFER_SIZE];
	size_t calls = PACK_MESSAGES / (way->unit / way->message_size);

	close(way->out);
	fill(way, buffer);
	do {
		for (size_t i = 0; i < calls; i++)
			write_all(way->in, buffer, way->unit);
		result->sent += PACK_MESSAGES;
	} while (now_ns() < end);
	write_end(way);
}

static void run_reader(const struct way *way)
{
	static char buffer[BUFFER_SIZE];
	uint64_t bytes = 0;
	ssize_t length;

	close(way->in);
	memset(buffer, 0, sizeof(buffer));	/* all pages are there from now on */
	while ((length = read(way->out, buffer, way->unit)) > 0) {
		if (!bytes)
			result->begin_ns = now_ns();
		bytes += length;
		if (length % way->message_size)
			break;	/* the last message */
	}
	if (length < 0)
		err(EXIT_FAILURE, "a read failed");
	result->end_ns = now_ns();
	result->received = bytes / way->message_size;
}

/* --- running them --- */

static pid_t start(void (*work)(const struct way *way), const struct way *way)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (pid)
		return pid;
	let_signals_through();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		work(way);
	_exit(EXIT_SUCCESS);
}

static void kill_both(const pid_t *pids)
{
	for (int i = 0; i < 2; i++) {
		if (pids[i])
			kill(pids[i], SIGKILL);
	}
}

/* Takes note of those that have ended. Returns false if one did badly. */
static bool reap(pid_t *pids)
{
	bool well = true;
	int status;

	for (int i = 0; i < 2; i++) {
		if (!pids[i] || waitpid(pids[i], &status, WNOHANG) != pids[i])
			continue;
		pids[i] = 0;
		well = well && !status;
	}
	return well;
}

/*
 * Waits until both have ended, and ends them if one ends badly, a signal comes, or they take too
 * long. Returns 0, the signal, or -1.
 */
static int wait_for_both(pid_t *pids, const sigset_t *signals)
{
	const struct timespec limit = { .tv_sec = time_ms / 1000 + PATIENCE_S };
	int why = 0;

	while (pids[0] || pids[1]) {
		int number = sigtimedwait(signals, NULL, &limit);

		if (number < 0 && errno == EINTR)
			continue;
		if (number < 0)
			why = -1;
		else if (number != SIGCHLD)
			why = number;
		else if (!reap(pids))
			why = why ? why : -1;
		if (why)
			kill_both(pids);
	}
	return why;
}

static int run_both(const struct way *way, const sigset_t *signals)
{
	pid_t pids[2];
	int why;

	*result = (struct result){ };
	pids[0] = start(run_reader, way);
	pids[1] = start(run_writer, way);
	close(way->in);
	close(way->out);
	why = wait_for_both(pids, signals);
	if (!why && result->end_ns <= result->begin_ns)
		why = -1;
	return why;
}

static double rate(void)
{
	return result->received * 1e9 / (result->end_ns - result->begin_ns);
}

/* --- pipes --- */

/* Packets for single messages; a stream of bytes for many a call. */
static struct way open_pipe(bool packed)
{
	struct way way = { .message_size = MESSAGE_SIZE, .unit = MESSAGE_SIZE };
	int pages = PIPE_PAGES, fds[2];

	if (packed)
		way.unit *= PACK_MESSAGES;
	if (pipe2(fds, O_CLOEXEC | (packed ? 0 : O_DIRECT)) < 0)
		err(EXIT_FAILURE, "cannot make a pipe");
	way.out = fds[0];
	way.in = fds[1];
	/* Without privileges less may be had. */
	while (pages > 1 && fcntl(way.in, F_SETPIPE_SZ, pages * getpagesize()) < 0)
		pages /= 2;
	return way;
}

/* --- queues --- */

static int attach(int queue, int access, bool packed)
{
	struct mpmcq_attach attach = {
		.size = sizeof(attach), .open_flags = access,
		.modes = packed ? MPMCQ_MODE_PACKED : 0,
	};
	int fd = mpmcq_attach_queue(queue, &attach);

	if (fd < 0)
		errx(EXIT_FAILURE, "cannot open the queue again: %s", strerror(-fd));
	return fd;
}

static struct way open_way(int queue, bool packed)
{
	struct way way = { .message_size = MESSAGE_SIZE, .unit = MESSAGE_SIZE, .end = 1 };

	if (packed)
		way = (struct way){ .message_size = PACKED_SIZE, .unit = BUFFER_SIZE,
				    .end = MPMCQ_MSG_SPACE(1) };
	way.in = attach(queue, O_WRONLY, packed);
	way.out = attach(queue, O_RDONLY, packed);
	return way;
}

/* Takes what is left when the two were killed. */
static void empty(int queue, const struct mpmcq_info *info)
{
	int fd = attach(queue, O_RDONLY | O_NONBLOCK, false);
	char *buffer = allocate(info->msg_size);

	while (read(fd, buffer, info->msg_size) > 0)
		;
	free(buffer);
	close(fd);
}

static const char *why_unfit(const struct mpmcq_info *info)
{
	if (info->closed)
		return text("is closed (mpmcq%s reopen)", queue_option());
	if (info->depth || info->leased || info->parked || info->dead)
		return "is not empty, and its messages would be mixed up with others";
	if (info->readers_asleep)
		return "has readers that wait (stop them)";
	if (info->msg_size < MESSAGE_SIZE)
		return "has shorter messages than 64 bytes";
	if (info->flags & MPMCQ_DROP_OLDEST)
		return "drops messages (see --drop-oldest of mpmcq create)";
	if (info->flags & MPMCQ_AUTO_CLOSE)
		return "would be closed in the end (see --auto-close of mpmcq create)";
	return NULL;
}

/* Without --queue, a private one. */
static int open_bench_queue(struct mpmcq_info *info)
{
	const struct mpmcq_create create = {
		.size = sizeof(create), .msg_size = MESSAGE_SIZE, .open_flags = O_RDWR,
	};
	const char *why;
	int queue;

	if (queue_name) {
		queue = open_queue(O_RDWR, info);
		why = why_unfit(info);
		if (why)
			errx(EXIT_FAILURE, "%s %s", queue_text(), why);
		return queue;
	}
	queue = mpmcq_create_private(&create);
	if (queue < 0)
		errx(EXIT_FAILURE, "cannot make a private queue: %s (see: mpmcq doctor)",
		     strerror(-queue));
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	mpmcq_get_info(queue, info);
	return queue;
}

/* Others must neither have sent nor taken messages. */
static void check_alone(int queue, const struct mpmcq_info *before)
{
	struct mpmcq_info after = { .size = sizeof(after) };

	if (!mpmcq_get_info(queue, &after) && after.sent - before->sent == result->sent &&
	    after.received - before->received == result->sent)
		return;
	empty(queue, before);
	errx(EXIT_FAILURE, "another program used %s meanwhile", queue_text());
}

/* --- all --- */

static noreturn void give_up(int queue, const struct mpmcq_info *info, int why)
{
	empty(queue, info);
	let_signals_through();
	if (why > 0) {
		raise(why);
		exit(EXIT_FAILURE);	/* it was blocked when the program started */
	}
	errx(EXIT_FAILURE, "nothing was measured: a process ended early, or took too long");
}

/**
 * struct row - rates, in messages a second
 * @pipe: of the pipe
 * @queue: of the queue
 */
struct row {
	double pipe;
	double queue;
};

static struct row measure(int queue, bool packed, const sigset_t *signals)
{
	struct mpmcq_info before = { .size = sizeof(before) };
	struct row row;
	struct way way;
	int why;

	mpmcq_get_info(queue, &before);
	way = open_pipe(packed);
	why = run_both(&way, signals);
	if (why)
		give_up(queue, &before, why);
	row.pipe = rate();

	way = open_way(queue, packed);
	why = run_both(&way, signals);
	if (why)
		give_up(queue, &before, why);
	row.queue = rate();
	check_alone(queue, &before);
	return row;
}

static void print_row(const char *name, const struct row *row)
{
	printf("%-8s %12.0f %12.0f %8.2f\n", name, row->pipe, row->queue, row->queue / row->pipe);
}

static void print_json_row(const char *name, const struct row *row)
{
	printf(", \"%s\": {\"pipe\": %.0f, \"queue\": %.0f, \"ratio\": %.3f}", name, row->pipe,
	       row->queue, row->queue / row->pipe);
}

static void print_result(const struct row *single, const struct row *packed, bool json)
{
	double seconds = time_ms / 1000.0;

	if (json) {
		printf("{\"message_size\": %d, \"seconds\": %g", MESSAGE_SIZE, seconds);
		print_json_row("single", single);
		print_json_row("packed", packed);
		puts("}");
		return;
	}
	printf("Messages of %d bytes a second, from one process to another, %g s each:\n",
	       MESSAGE_SIZE, seconds);
	printf("%-8s %12s %12s %8s\n", "", "pipe", "queue", "ratio");
	print_row("single", single);
	print_row("packed", packed);
}

static void run_bench(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "time", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ }
	};
	struct row single, packed;
	struct mpmcq_info info;
	bool json = false;
	sigset_t signals;
	int queue, opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "t:j", options, NULL)) != -1) {
		if (opt == 't')
			time_ms = parse_seconds(optarg, INT_MAX);
		else if (opt == 'j')
			json = true;
		else
			common_option(opt);
	}
	no_arguments(argc, argv);
	if (time_ms < TIME_MIN_MS)
		usage_error("the shortest time is %g s", TIME_MIN_MS / 1000.0);

	queue = open_bench_queue(&info);
	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (result == MAP_FAILED)
		err(EXIT_FAILURE, "memory");
	hold_signals_back();
	sigemptyset(&signals);
	add_ending_signals(&signals);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGCHLD, SIG_DFL);	/* if ignored, nobody would be told of an end */
	single = measure(queue, false, &signals);
	packed = measure(queue, true, &signals);
	let_signals_through();
	print_result(&single, &packed, json);
}

const struct command bench_command = {
	.name = "bench",
	.usage = "[-q NAME] bench [-t SECONDS] [-j]",
	.summary = "measure a queue beside a pipe",
	.help =
		"Sends messages of 64 bytes from one process to another, one or 64 a call, through a\n"
		"pipe, and through a private queue or the one of --queue, which must be empty and in\n"
		"nobody's use.\n"
		"\n"
		"  -t, --time SECONDS     of each of the four measurements (default 1)\n"
		"  -j, --json             as JSON\n",
	.run = run_bench,
};
