// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq receive
 *
 * Messages are taken under lease, a pack at a time.  What standard output has accepted is
 * acknowledged.  What it has not, because of a signal, a full disk or a reader that has gone, goes
 * back to the front, as if it had not been delivered.  A message counts as accepted with its last
 * byte.
 *
 * Many receivers may wait, and one message wakes one of them.  A receiver waits in read(2), where
 * the kernel passes wake-ups on.  If the reader of the output may go meanwhile, the receiver waits
 * by EPOLLEXCLUSIVE.  If it ends instead of taking the message, the kernel wakes the next one.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"
#include "receive.h"

#define PACK_BYTES	(256U << 10)

/*
 * Messages held at a time, and no more than a quarter of the queue, so that senders have room
 * meanwhile.  More would not go faster, and stay away from other receivers while the output waits.
 */
#define HELD_MAX	256U

enum outcome {
	TAKEN,
	CLOSED,
	NONE,
	FAILED,		/* because of receiver.error */
};

static bool is_stopping(struct receiver *r)
{
	if (signal_seen)
		r->error = EINTR;
	return signal_seen;
}

/* --- what is held --- */

/* As if what is held had not been delivered. */
void give_back(struct receiver *r)
{
	int ret = mpmcq_settle_all(r->fd, MPMCQ_SETTLE_NACK,
				   MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_UNTRIED, 0);

	if (ret < 0)
		errx(EXIT_FAILURE, "%s: messages cannot be given back: %s", queue_text(),
		     strerror(-ret));
}

/* @done: how many of the messages that were accepted were acknowledged, or an error */
static void count_taken(struct receiver *r, int done)
{
	if (done < 0)
		errx(EXIT_FAILURE, "%s: messages cannot be acknowledged: %s", queue_text(),
		     strerror(-done));
	if ((unsigned int)done < r->accepted)
		warnx("%s: leases had ended before %u messages were printed: they come again",
		      queue_text(), r->accepted - done);
	r->taken += r->accepted;
}

/* Renews the leases of what is held after a third of their time. */
static void renew_leases(struct receiver *r)
{
	int64_t now;

	if (!r->length || !r->info.lease_ms)
		return;
	now = now_ms();
	if (now - r->renewed < r->info.lease_ms / 3)
		return;
	mpmcq_settle_all(r->fd, MPMCQ_SETTLE_TOUCH, 0, 0);
	r->renewed = now;
}

/* --- standard output --- */

static void check_output(void)
{
	int flags = fcntl(STDOUT_FILENO, F_GETFL);

	if (flags < 0)
		err(EXIT_FAILURE, "standard output");
	if ((flags & O_ACCMODE) == O_RDONLY)
		errx(EXIT_FAILURE, "standard output is open for reading only");
}

/* The reader of our output has gone: end as other programs in a pipeline do. */
static noreturn void end_by_sigpipe(void)
{
	signal(SIGPIPE, SIG_DFL);
	raise(SIGPIPE);
	exit(EXIT_FAILURE);	/* the signal was blocked when we started */
}

/* Whether each write to standard output arrives as one: it is a queue, or a socket of packets. */
static bool keeps_writes_apart(void)
{
	struct mpmcq_info info;
	socklen_t length = sizeof(int);
	int type;

	if (get_info(STDOUT_FILENO, &info))
		return true;
	return !getsockopt(STDOUT_FILENO, SOL_SOCKET, SO_TYPE, &type, &length) &&
	       type != SOCK_STREAM;
}

static bool has_reader(void)
{
	struct stat st;

	if (fstat(STDOUT_FILENO, &st) < 0)
		err(EXIT_FAILURE, "standard output");
	return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode) || isatty(STDOUT_FILENO);
}

/*
 * Waits until a write of PIPE_BUF bytes does not wait.  Leases run on meanwhile, and are renewed.
 * Sets r->error and returns false if the reader has gone or a signal was caught.
 */
static bool wait_for_output(struct receiver *r)
{
	struct pollfd fds[] = {
		{ .fd = STDOUT_FILENO, .events = POLLOUT },
		{ .fd = stop_fd, .events = POLLIN },
	};
	int timeout = r->length && r->info.lease_ms ? (int)(r->info.lease_ms / 3) + 1 : -1;
	int ready;

	do {
		ready = poll(fds, 2, timeout);
		if (ready < 0 && errno != EINTR)
			err(EXIT_FAILURE, "poll");
		if (is_stopping(r))
			return false;
		renew_leases(r);
	} while (ready <= 0);
	if (fds[0].revents & (POLLERR | POLLHUP))
		r->error = EPIPE;
	return !r->error;
}

/*
 * Returns how many bytes of the output from @done on to write at once.  To a pipe, whole messages
 * that it takes at once, or else a part of one: other receivers may write to the same pipe.
 */
static size_t next_write(const struct receiver *r, size_t done)
{
	size_t left = r->output.used - done;
	unsigned int n = r->accepted;

	if (!r->watches || r->keeps_apart)
		return left;
	while (n < r->printed && r->ends[n] <= done + PIPE_BUF)
		n++;
	if (n > r->accepted)
		return r->ends[n - 1] - done;
	return left < PIPE_BUF ? left : PIPE_BUF;
}

/* Writes the output, and counts in r->accepted.  If not all is accepted, sets r->error. */
static void write_pack(struct receiver *r)
{
	bool waits = r->watches;
	size_t done = 0;
	ssize_t n;

	r->accepted = 0;
	while (done < r->output.used) {
		if (waits ? !wait_for_output(r) : is_stopping(r))
			return;
		n = write(STDOUT_FILENO, r->output.data + done, next_write(r, done));
		if (n < 0 && errno == EAGAIN)
			waits = true;
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			r->error = errno;
			return;
		}
		if (n > 0)
			done += n;
		while (r->accepted < r->printed && r->ends[r->accepted] <= done)
			r->accepted++;
	}
}

/* --- packs --- */

/* Returns the message behind @msg in the pack, or the first if that is NULL; NULL at the end. */
static const struct mpmcq_msg *next_message(const struct receiver *r, const struct mpmcq_msg *msg)
{
	const char *at = r->pack;

	/* The padding is to a multiple of 8 bytes, as the headers are. */
	if (msg)
		at = (const char *)msg + r->header + MPMCQ_MSG_SPACE(msg->len) - sizeof(*msg);
	return at < r->pack + r->length ? (const struct mpmcq_msg *)at : NULL;
}

static void print_message(struct receiver *r, const struct mpmcq_msg *msg)
{
	struct record record = { .data = (const char *)msg + r->header, .len = msg->len };

	if (r->format.json)
		record = record_of_meta((const struct mpmcq_meta *)msg, &r->info);
	print_record(&r->output, &record, &r->format);
}

/* Acknowledges the messages that were accepted. */
static void acknowledge_part(struct receiver *r)
{
	__u64 *ids = allocate(r->accepted * sizeof(*ids));
	const struct mpmcq_msg *msg = NULL;

	for (unsigned int i = 0; i < r->accepted; i++) {
		msg = next_message(r, msg);
		ids[i] = msg->id;
	}
	count_taken(r, mpmcq_settle_ids(r->fd, MPMCQ_SETTLE_ACK, 0, 0, ids, r->accepted));
	free(ids);
}

/*
 * As print_messages() does, for messages that are printed as they are: a million of them a second.
 * A message with its tail takes less room than with its header.
 */
static void print_plain_messages(struct receiver *r)
{
	const struct mpmcq_msg *msg = NULL;
	char *begin, *to;

	reserve_bytes(&r->output, r->length);
	begin = r->output.data;
	to = begin;
	while ((msg = next_message(r, msg))) {
		to = mempcpy(to, (const char *)msg + r->header, msg->len);
		if (r->format.has_tail)
			*to++ = r->format.tail;
		r->ends[r->printed++] = to - begin;
	}
	r->output.used = to - begin;
}

static void print_messages(struct receiver *r)
{
	const struct mpmcq_msg *msg = NULL;

	while ((msg = next_message(r, msg))) {
		print_message(r, msg);
		r->ends[r->printed++] = r->output.used;
	}
}

static enum outcome print_pack(struct receiver *r)
{
	r->output.used = 0;
	r->printed = 0;
	if (r->format.json || r->format.escape)
		print_messages(r);
	else
		print_plain_messages(r);
	write_pack(r);
	if (!r->error) {
		count_taken(r, mpmcq_settle_all(r->fd, MPMCQ_SETTLE_ACK, 0, 0));
		return TAKEN;
	}
	if (r->accepted)
		acknowledge_part(r);
	give_back(r);
	return FAILED;
}

/* The pack is one message. */
static enum outcome work_on_pack(struct receiver *r)
{
	const struct mpmcq_msg *msg = next_message(r, NULL);

	if (is_stopping(r)) {
		give_back(r);
		return FAILED;
	}
	work_on_message(r, (const char *)msg + r->header, msg->len);
	r->taken++;
	return TAKEN;
}

/* --- taking --- */

static void watch(struct receiver *r, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	if (epoll_ctl(r->events, EPOLL_CTL_ADD, fd, &event) < 0)
		err(EXIT_FAILURE, "epoll");
}

/* Makes the open file that holds messages.  The one before it holds none. */
static void hold_at_most(struct receiver *r, uint32_t max)
{
	struct mpmcq_attach attach = {
		.open_flags = r->watches || !timeout_ms ? O_RDONLY | O_NONBLOCK : O_RDONLY,
		.modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE,
		.max_held = max,
		.rcv_timeout_ms = timeout_ms > 0 ? timeout_ms : 0,
	};
	int before = r->fd;

	if (r->format.json)
		attach.modes |= MPMCQ_MODE_META;
	r->fd = attach_queue(r->queue, &attach);
	r->max_held = max;
	stop_waits_on(r->fd);
	if (before >= 0)
		close(before);
	if (r->watches)
		watch(r, r->fd, EPOLLIN | EPOLLEXCLUSIVE);
}

/*
 * Makes sure that no more messages are held than are wanted.  An open file holds at most half of
 * these, so that N messages take log2(N) open files, however they come.
 */
static void fit_holder(struct receiver *r)
{
	unsigned long left = r->count ? r->count - r->taken : ULONG_MAX;
	uint32_t max = r->info.capacity / 4;

	if (r->max_held && r->max_held <= left)
		return;
	if (max > HELD_MAX)
		max = HELD_MAX;
	if (max > left / 2)
		max = left / 2;
	hold_at_most(r, max && !r->command && !r->keeps_apart ? max : 1);
}

/* Waits by epoll.  Returns TAKEN if it is worth to look for a message. */
static enum outcome wait_for_message(struct receiver *r, int64_t start)
{
	struct epoll_event events[3];
	int n;

	if (!wait_for_output(r))
		return FAILED;
	n = epoll_wait(r->events, events, 3, time_left(start));
	if (n < 0 && errno != EINTR)
		err(EXIT_FAILURE, "epoll");
	for (int i = 0; i < n; i++) {
		if (events[i].data.fd == STDOUT_FILENO)
			r->error = EPIPE;
	}
	if (is_stopping(r) || r->error)
		return FAILED;
	return n ? TAKEN : NONE;
}

/* Waits in read(2).  A caught signal makes that fail, see signals.c. */
static ssize_t read_pack(struct receiver *r, int64_t start)
{
	ssize_t n;

	if (r->is_limited)
		set_time_left(r->fd, start);
	r->is_limited = false;
	for (;;) {
		n = signal_seen ? -EINTR : mpmcq_receive(r->fd, r->pack, PACK_BYTES);
		if (n != -EINTR || signal_seen)
			return n;
		if (!set_time_left(r->fd, start))
			return -EAGAIN;
		r->is_limited = true;
	}
}

static enum outcome take_pack(struct receiver *r)
{
	int64_t start = now_ms();
	enum outcome outcome;
	ssize_t n;

	r->length = 0;
	do {
		if (r->watches) {
			outcome = wait_for_message(r, start);
			if (outcome != TAKEN)
				return outcome;
		}
		n = read_pack(r, start);
	} while (n == -EAGAIN && r->watches && !signal_seen);
	if (n > 0) {
		r->length = n;
		r->renewed = now_ms();
		return TAKEN;
	}
	if (!n)
		return CLOSED;
	if (is_stopping(r))
		return FAILED;
	if (n != -EAGAIN)
		errx(EXIT_FAILURE, "%s: %s", queue_text(), strerror(-n));
	return NONE;
}

static enum outcome receive_messages(struct receiver *r)
{
	enum outcome outcome = TAKEN;

	while (outcome == TAKEN && (!r->count || r->taken < r->count)) {
		fit_holder(r);
		outcome = take_pack(r);
		if (outcome == TAKEN)
			outcome = r->command ? work_on_pack(r) : print_pack(r);
	}
	return outcome;
}

/* --- the command --- */

static void open_receiver(struct receiver *r)
{
	r->queue = open_queue(O_RDONLY, &r->info);
	check_output();
	signal(SIGPIPE, SIG_IGN);
	if (r->command)
		signal(SIGCHLD, SIG_DFL);	/* if ignored, nobody would be told of an exit */
	catch_signals();
	r->pack = allocate(PACK_BYTES);
	r->ends = allocate(PACK_BYTES / MPMCQ_MSG_SPACE(1) * sizeof(*r->ends));
	r->header = r->format.json ? sizeof(struct mpmcq_meta) : sizeof(struct mpmcq_msg);
	r->keeps_apart = keeps_writes_apart();
	r->watches = has_reader() || r->keeps_apart;
	if (!r->watches)
		return;
	r->events = epoll_create1(EPOLL_CLOEXEC);
	if (r->events < 0)
		err(EXIT_FAILURE, "epoll");
	watch(r, STDOUT_FILENO, 0);
	watch(r, stop_fd, EPOLLIN);
}

static noreturn void fail(const struct receiver *r)
{
	if (r->error == EINTR)
		die_of_signal();
	if (r->error == EPIPE)
		end_by_sigpipe();
	errx(EXIT_FAILURE, "standard output: %s: what was not printed is back in %s (printed: %lu)",
	     strerror(r->error), queue_text(), r->taken);
}

static void run_receive(int argc, char **argv)
{
	static const struct option options[] = {
		WAITING_LONG_OPTIONS,
		FORMAT_LONG_OPTIONS,
		{ "count", required_argument, NULL, 'c' },
		{ "all", no_argument, NULL, 'a' },
		{ "follow", no_argument, NULL, 'f' },
		{ "exec", required_argument, NULL, 'e' },
		{ }
	};
	struct receiver r = { .fd = -1, .events = -1, .count = 1 };
	int amount = 0, form = 0, opt;
	enum outcome outcome;

	while ((opt = getopt_long(argc, argv, WAITING_OPTIONS FORMAT_OPTIONS "c:afe:", options,
				  NULL)) != -1) {
		if (opt == 'c')
			r.count = parse_number(optarg, 1, ULONG_MAX, "number of messages");
		if (opt == 'e')
			r.command = optarg;
		if (opt == 'c' || opt == 'a' || opt == 'f')
			set_once(&amount, opt, "--count, --all and --follow");
		else if (opt == 'e' || strchr(FORMAT_OPTIONS, opt))
			set_once(&form, opt, "--null, --raw, --json and --exec");
		else
			waiting_option(opt);
	}
	no_arguments(argc, argv);
	if (amount == 'a' && timeout_ms < 0)
		timeout_ms = 0;
	if (amount == 'a' || amount == 'f')
		r.count = 0;
	r.format = format_of(form);
	open_receiver(&r);
	outcome = receive_messages(&r);
	if (outcome == FAILED)
		fail(&r);
	if (outcome == NONE && amount != 'a')
		errx(EXIT_WOULD_BLOCK, "%s is empty (taken: %lu)", queue_text(), r.taken);
	if (r.failed)
		exit(EXIT_FAILURE);	/* each has been told */
}

const struct command receive_command = {
	.name = "receive",
	.usage = "[-q NAME] receive [-n | -t SECONDS] [-c N | -a | -f] [-0 | -r | -j | -e COMMAND]",
	.summary = "take messages and print them",
	.help =
		"Takes one message and prints it with a newline; a closed queue that has no more\n"
		"ends it.  What is not printed to its last byte goes back to the front.  On a terminal\n"
		"control characters appear as \\x1b and the like.\n"
		"\n"
		"  -c, --count N          take N messages\n"
		"  -a, --all              take messages until there are none\n"
		"  -f, --follow           take messages for ever\n"
		"  -0, --null             end each message with NUL, not newline\n"
		"  -r, --raw              print messages as they are, and nothing after them\n"
		"  -j, --json             print a line of JSON for each message\n"
		"  -e, --exec COMMAND     instead of printing it, give the message to a shell command\n"
		"                         on its standard input; it comes back unless that succeeds\n"
		"  -n, --nonblock         do not wait while the queue is empty\n"
		"  -t, --timeout SECONDS  wait no longer than this for a message\n",
	.run = run_receive,
};
