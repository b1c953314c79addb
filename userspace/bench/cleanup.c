// SPDX-License-Identifier: GPL-2.0-only
/*
 * What would stay behind if the program ended now: queues of POSIX and of System V
 *
 * They are removed however the program ends, but by SIGKILL.  The handler calls
 * msgctl(), which is not on the list of what a handler may call; it is a bare system
 * call in the C libraries there are.
 */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <unistd.h>

#include "cleanup.h"
#include "measure.h"

#define MAX_QUEUES	8

static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM };

static struct {
	volatile pid_t owner;	/* 0 for none; a child must not remove its parent's */
	volatile int id;
} queues[MAX_QUEUES];

static void remove_all(void)
{
	for (int i = 0; i < MAX_QUEUES; i++)
		if (queues[i].owner && queues[i].owner == getpid())
			msgctl(queues[i].id, IPC_RMID, NULL);
}

/* Who waits for this program is to see what ended it. */
static void interrupted(int number)
{
	remove_all();
	signal(number, SIG_DFL);
	raise(number);
}

/* What the parent has chosen to ignore stays ignored. */
static void install(void)
{
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		if (signals[i] != SIGALRM && signal(signals[i], interrupted) == SIG_IGN)
			signal(signals[i], SIG_IGN);
	limit_hook = remove_all;
	atexit(remove_all);
}

sigset_t cleanup_hold(void)
{
	sigset_t set, before;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	return before;
}

void cleanup_go_on(const sigset_t *before)
{
	sigprocmask(SIG_SETMASK, before, NULL);
}

void cleanup_sysv(int id)
{
	static bool installed;

	if (!installed)
		install();
	installed = true;
	for (int i = 0; i < MAX_QUEUES; i++) {
		if (queues[i].owner)
			continue;
		queues[i].id = id;
		queues[i].owner = getpid();
		return;
	}
	msgctl(id, IPC_RMID, NULL);
	errx(EXIT_FAILURE, "more than %d System V queues at once", MAX_QUEUES);
}

void cleanup_sysv_done(int id)
{
	for (int i = 0; i < MAX_QUEUES; i++)
		if (queues[i].owner && queues[i].id == id)
			queues[i].owner = 0;
}
