/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues of our own, by calls to the device
 *
 * Calls return -1 and set errno when they fail.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <linux/mpmcq.h>

extern const char *mpmcq_device;

int queue_create(const struct mpmcq_create *like);
int queue_attach(int fd, unsigned int open_flags, unsigned int modes, unsigned int max_held);
int queue_mode(int fd, unsigned int modes);
int queue_info(int fd, struct mpmcq_info *info);
int queue_close(int fd);

#endif /* QUEUE_H */
