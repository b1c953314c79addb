/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_DOCTOR_H
#define _MPMCQ_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

/**
 * struct doctor - what is known of the machine so far
 * @root: comes before each path that is looked at
 * @kernel: release of the kernel
 * @loaded: version of the module that is loaded, or NULL
 * @file: path of the module that modprobe would load, or NULL
 * @mounted: there is a mpmcqfs at its place
 * @next: the command that changes what was found to be wrong first, or NULL
 */
struct doctor {
	const char *root;
	const char *kernel;
	const char *loaded;
	const char *file;
	bool mounted;
	const char *next;
};

void say_good(const char *what, const char *how);
void say_note(const char *what, const char *how);
void say_bad(struct doctor *d, const char *what, const char *how, const char *next);

const char *as_root(void);
const char *find_path(const struct doctor *d, const char *path);
bool path_exists(const struct doctor *d, const char *path);
char *read_file(const struct doctor *d, const char *path, size_t *size);

void check_module(struct doctor *d);

#endif /* _MPMCQ_DOCTOR_H */
