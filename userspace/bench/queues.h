/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kinds of queues with names: ours, and those of POSIX
 */
#ifndef QUEUES_H
#define QUEUES_H

#include <stddef.h>
#include <sys/types.h>

#define CAPACITY	16	/* messages that each queue has room for */
#define SIZE		64	/* of a message */

/* Functions return -1 and set errno when they fail.  A name begins with a slash. */
struct queue_kind {
	const char *name;	/* in JSON */
	const char *text;
	const char *limits;	/* which ones create() meets */
	/* Prepares for @queues of them; returns NULL, or why that cannot be. */
	const char *(*begin)(unsigned int queues);
	/* Makes a queue, which nobody has open afterwards; returns 0. */
	int (*create)(const char *name);
	int (*open)(const char *name, int flags);
	ssize_t (*send)(int fd, const char *message);
	ssize_t (*receive)(int fd, char *message);
	int (*remove)(const char *name);
};

extern const struct queue_kind mpmcqfs_kind;
extern const struct queue_kind posix_kind;

extern const char *mpmcqfs_directory;

#endif /* QUEUES_H */
