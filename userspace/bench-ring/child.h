/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Work in a process of its own, for a limited time
 */
#ifndef CHILD_H
#define CHILD_H

enum end { FINISHED, TIMED_OUT, FAILED };

enum end in_child(void (*work)(void *arg), void *arg, unsigned int limit);

#endif /* CHILD_H */
