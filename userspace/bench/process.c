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
#include <unistd.h>

#include "process.h"

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

/* Zeroed, and present, so that no run is charged with the page faults. */
void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory == MAP_FAILED)
		err(EXIT_FAILURE, "shared memory of %zu bytes", bytes);
	return memory;
}
