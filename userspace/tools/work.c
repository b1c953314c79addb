// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq receive --exec: a worker that holds a message while a command works on it
 *
 * It is acknowledged or given back by what came of the command; if this program
 * dies, the kernel gives it back.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"
#include "receive.h"

/*
 * Returns what waitpid() says.  The message is in a file, not a pipe, as the command
 * may not read it.
 */
static int run(const char *command, const char *message, size_t length)
{
	int input = memfd_create("message", MFD_CLOEXEC);
	int status;
	pid_t pid;

	if (input < 0 || pwrite(input, message, length, 0) != (ssize_t)length)
		err(EXIT_FAILURE, "file for a message");
	hold_signals_back();
	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		dup2(input, STDIN_FILENO);
		signal(SIGPIPE, SIG_DFL);
		catch_no_signals();
		let_signals_through();
		execl("/bin/sh", "sh", "-c", command, NULL);
		warn("/bin/sh");
		_exit(127);
	}
	let_signals_through();
	close(input);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			err(EXIT_FAILURE, "wait");
	}
	return status;
}

/* What sh(1) says: the command was not found, or may not be run.  So it is with every message. */
static bool cannot_be_run(int status)
{
	return WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127);
}

static noreturn void stop(struct receiver *r, int status)
{
	give_back(r);
	errx(EXIT_CONFIG, "%s: exit status %d: it cannot be run, so the message is given back",
	     r->command, WEXITSTATUS(status));
}

void work_on_message(struct receiver *r, const char *message, size_t length)
{
	int status = run(r->command, message, length), done;

	if (cannot_be_run(status))
		stop(r, status);
	done = mpmcq_settle_all(r->fd, status ? MPMCQ_SETTLE_NACK : MPMCQ_SETTLE_ACK, 0, 0);
	if (done < 0)
		errx(EXIT_FAILURE, "%s: %s", queue_text(), strerror(-done));
	if (WIFSIGNALED(status))
		warnx("%s: %s: the message is given back", r->command,
		      strsignal(WTERMSIG(status)));
	else if (status)
		warnx("%s: exit status %d: the message is given back", r->command,
		      WEXITSTATUS(status));
	else if (!done)
		warnx("%s: took longer than the lease: the message was given back", r->command);
	else
		return;
	r->failed++;
}
