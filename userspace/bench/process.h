/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Processes that end with their parent, and the memory that they share with it
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stddef.h>
#include <sys/types.h>

pid_t fork_child(void);
void *shared_memory(size_t bytes);

#endif /* PROCESS_H */
