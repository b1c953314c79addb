// SPDX-License-Identifier: GPL-2.0-only
/*
 * The signals that would end the program between two of its steps
 */
#include <signal.h>

#include "mpmcq.h"

volatile sig_atomic_t signal_seen;

static sigset_t let_through;

/* Adds the signals that end a program by default, and that users send. */
void add_ending_signals(sigset_t *signals)
{
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
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
