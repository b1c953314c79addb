/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_DEVICE_H
#define _MPMCQ_DEVICE_H

#include <linux/fs.h>
#include <linux/types.h>

struct mpmcq_config;
struct mpmcq_queue;

/* Minors of our major number: of the default queue, and of all files of mpmcqfs. */
enum { MPMCQ_MINOR_DEFAULT, MPMCQ_MINOR_FILE, MPMCQ_MINORS };

int mpmcq_device_init(const struct file_operations *fops, const struct mpmcq_config *config);
u64 mpmcq_device_exit(void);
struct mpmcq_queue *mpmcq_device_queue(unsigned int minor);
dev_t mpmcq_device_number(unsigned int minor);

#endif /* _MPMCQ_DEVICE_H */
