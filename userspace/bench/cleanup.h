/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What would stay behind if the program ended now
 */
#ifndef CLEANUP_H
#define CLEANUP_H

#include <signal.h>

/* No signal ends the program between these, while it makes what would stay behind. */
sigset_t cleanup_hold(void);
void cleanup_go_on(const sigset_t *before);

/* A System V queue that was made, and that it was removed. */
void cleanup_sysv(int id);
void cleanup_sysv_done(int id);

#endif /* CLEANUP_H */
