/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_FILE_H
#define _MPMCQ_FILE_H

#include <linux/fs.h>

struct mpmcq_queue;

extern const struct file_operations mpmcq_fops;

int mpmcq_file_open(struct file *file, struct mpmcq_queue *q);

#endif /* _MPMCQ_FILE_H */
