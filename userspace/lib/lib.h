/* SPDX-License-Identifier: MIT */
/*
 * What the files of the library share
 */
#ifndef LIB_H
#define LIB_H

#include <stdbool.h>
#include <stdint.h>

#include "libmpmcq.h"

#define EXPORT	__attribute__((visibility("default")))

#define MOUNT	"/dev/mpmcqfs"	/* a name without a '/' is a file in it */

/*
 * The largest struct that the kernel takes.  One that is longer than the library's is taken, too,
 * where what the library does not know is zero.
 */
#define ARGS_MAX	4096U

/**
 * struct place - where a queue with a name is, or is to be
 * @path: its path
 * @file: its name in its directory, in @path
 * @dir: path of that
 */
struct place {
	const char *file;
	char path[4096];
	char dir[4096];
};

int find_place(const char *name, struct place *place);
int open_dir(const struct place *place);
int request(int fd, unsigned long cmd, void *args, uint64_t features);
int request_number(int fd, unsigned long cmd, unsigned long number, uint64_t features);
int get_features(int fd, uint64_t *features);

int64_t now_ms(void);
int64_t end_of(int timeout_ms);
int left_until(int64_t end);

#endif /* LIB_H */
