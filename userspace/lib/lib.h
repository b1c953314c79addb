/* SPDX-License-Identifier: MIT */
/*
 * What the files of the library share
 */
#ifndef LIB_H
#define LIB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "libmpmcq.h"

#define EXPORT	__attribute__((visibility("default")))

/*
 * The largest struct that the kernel takes.  One that is longer than the library's is taken, too,
 * where what the library does not know is zero.
 */
#define ARGS_MAX	4096U

int mpmcq__request(int fd, unsigned long cmd, void *args, uint64_t features);
int mpmcq__request_number(int fd, unsigned long cmd, unsigned long number, uint64_t features);
void mpmcq__copy_args(void *to, size_t size, const void *from);
bool mpmcq__is_queue(int fd);
int mpmcq__stat_queue(const char *name, struct stat *st);

int64_t mpmcq__now_ms(void);
int64_t mpmcq__end_of(int timeout_ms);
int mpmcq__left_until(int64_t end);

#endif /* LIB_H */
