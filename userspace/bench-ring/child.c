// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work in a process of its own, for a limited time
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "process.h"
#include "child.h"

/* Waits for SIGCHLD, which is blocked, until the child has ended; false if it has not. */
static bool ended(pid_t pid, const sigset_t *set, double deadline, int *status)
{
	for (;;) {
		double left = deadline - now();
		struct timespec t = { .tv_sec = left, .tv_nsec = (left - (long)left) * 1e9 };
		pid_t done = waitpid(pid, status, WNOHANG);

		if (done < 0)
			err(EXIT_FAILURE, "waitpid");
		if (done == pid)
			return true;
		if (left <= 0)
			return false;
		sigtimedwait(set, NULL, &t);
	}
}

/* Runs @work(@arg) in a child, which is killed when it takes more than @limit seconds. */
enum end in_child(void (*work)(void *arg), void *arg, unsigned int limit)
{
	pid_t pid;
	sigset_t set, old;
	bool in_time;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	pid = fork_child();
	if (!pid) {
		work(arg);
		_exit(EXIT_SUCCESS);
	}
	in_time = ended(pid, &set, now() + limit, &status);
	if (!in_time) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (!in_time)
		return TIMED_OUT;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? FINISHED : FAILED;
}
