// SPDX-License-Identifier: GPL-2.0-only
/*
 * The signals that would end the program between two of its steps
 */
#include <signal.h>

#include "mpmcq.h"

static sigset_t let_through;

void hold_signals_back(void)
{
	sigset_t held;

	sigemptyset(&held);
	sigaddset(&held, SIGHUP);
	sigaddset(&held, SIGINT);
	sigaddset(&held, SIGTERM);
	sigprocmask(SIG_BLOCK, &held, &let_through);
}

void let_signals_through(void)
{
	sigprocmask(SIG_SETMASK, &let_through, NULL);
}
