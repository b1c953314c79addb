// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that end with their parent, and the memory that they share with it
 */
#define _GNU_SOURCE
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Returns 0 in the child. */
pid_t fork_child(void)
{
	pid_t pid, parent = getpid();

	/* What is not written yet, the child would write again. */
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* It may have ended before that. */
	if (getppid() != parent)
		_exit(EXIT_FAILURE);
	return 0;
}

void wait_for_child(const char *name)
{
	int status;

	if (wait(&status) < 0)
		err(EXIT_FAILURE, "wait");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		errx(EXIT_FAILURE, "%s: a process failed", name);
}

/* Zeroed, and present, so that no run is charged with the page faults. */
void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		err(EXIT_FAILURE, "shared memory of %zu bytes", bytes);
	return memory;
}

/*
 * A child has to fault in each page of the shared memory it got from its parent, present
 * though it is.  Before Linux 5.14 there is no call to spare a run that.
 */
void map_all(void *memory, size_t bytes)
{
	size_t page = getpagesize(), begin = (size_t)memory & ~(page - 1);

	madvise((void *)begin, (size_t)memory + bytes - begin, MADV_POPULATE_WRITE);
}
