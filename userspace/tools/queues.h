/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_QUEUES_H
#define _MPMCQ_QUEUES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <linux/mpmcq.h>

/* How much of the state of a queue this user may read. */
enum known {
	KNOWN_NOTHING,
	KNOWN_SYSFS,	/* what sysfs tells everybody about the default queue */
	KNOWN_ALL,
};

/**
 * struct queue - a queue, and its state as far as this user may read it
 * @path: as open(2) takes it
 * @name: in a list
 * @st: its file
 * @info: its state
 * @known: how much of @info is filled in
 */
struct queue {
	const char *path;
	const char *name;
	struct stat st;
	struct mpmcq_info info;
	enum known known;
};

bool is_known(const struct queue *q, size_t offset);
size_t find_queues(const char *path, struct queue **queues, const char **why);

#endif /* _MPMCQ_QUEUES_H */
