/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that end with their parent, and the memory that they share with it
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stddef.h>
#include <sys/types.h>

pid_t fork_child(void);
/* Of any child; one that failed ends the program, with @name of what it worked on. */
void wait_for_child(const char *name);
void *shared_memory(size_t bytes);
void map_all(void *memory, size_t bytes);

#endif /* PROCESS_H */
