// SPDX-License-Identifier: GPL-2.0-only
/*
 * The signals that would end the program between two of its steps: held back until a step is done,
 * or caught, so that the program ends by itself, and then by the signal.
 *
 * A signal that comes before the program waits must end that wait, too.  A wait in poll(2) or
 * epoll_wait(2) watches the descriptor that the handler makes readable.  A call that waits for the
 * queue cannot watch it: the handler makes the open file non-blocking.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "mpmcq.h"

#define SIGNALS	(sizeof(signals) / sizeof(*signals))

/* Those that end a program by default, and that users send. */
static const int signals[] = { SIGHUP, SIGINT, SIGTERM };

volatile sig_atomic_t signal_seen;
int stop_fd = -1;

static sigset_t let_through;
static volatile int waiting_fd = -1;

void add_ending_signals(sigset_t *set)
{
	for (size_t i = 0; i < SIGNALS; i++)
		sigaddset(set, signals[i]);
}

void hold_signals_back(void)
{
	sigset_t held;

	sigemptyset(&held);
	add_ending_signals(&held);
	sigprocmask(SIG_BLOCK, &held, &let_through);
}

void let_signals_through(void)
{
	sigprocmask(SIG_SETMASK, &let_through, NULL);
}

/* A handler, for programs that look at signal_seen. */
void note_signal(int number)
{
	signal_seen = number;
}

/* A handler, for programs that wait, too. */
static void stop(int number)
{
	int error = errno;

	note_signal(number);
	fcntl(waiting_fd, F_SETFL, O_NONBLOCK);
	eventfd_write(stop_fd, 1);
	errno = error;
}

/* Sets the handler @new for each of the signals that has @old. */
static void replace_handlers(void (*old)(int), void (*new)(int))
{
	struct sigaction now, action = { .sa_handler = new };

	for (size_t i = 0; i < SIGNALS; i++) {
		if (!sigaction(signals[i], NULL, &now) && now.sa_handler == old)
			sigaction(signals[i], &action, NULL);
	}
}

/* Lets the signals that would end the program set signal_seen instead.  Ignored ones stay so. */
void catch_signals(void)
{
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0)
		err(EXIT_FAILURE, "eventfd");
	replace_handlers(SIG_DFL, stop);
}

/* For a child process: its signals must not stop the parent, which shares the open file. */
void catch_no_signals(void)
{
	replace_handlers(stop, SIG_DFL);
}

/* Calls on @fd do not wait any more once a signal was caught; look at signal_seen after this. */
void stop_waits_on(int fd)
{
	waiting_fd = fd;
}

/* Ends the program by the signal that was noted; returns if there was none. */
void die_of_signal(void)
{
	sigset_t all;

	if (!signal_seen)
		return;
	signal(signal_seen, SIG_DFL);
	raise(signal_seen);
	sigfillset(&all);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
}
