/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How far it is, on standard error, for who waits at a terminal
 */
#ifndef PROGRESS_H
#define PROGRESS_H

/* Steps there will be, and for how long by a guess. */
void progress_begin(unsigned int steps, double seconds);
void progress_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void);

#endif /* PROGRESS_H */
