/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_CHARDEV_H
#define _MPMCQ_CHARDEV_H

#include <linux/fs.h>

struct mpmcq_config;
struct mpmcq_create;

extern const struct file_operations mpmcq_fops;

int mpmcq_get_create_args(struct mpmcq_create *args, struct mpmcq_config *config,
			  const void __user *uargs);
int mpmcq_create_private(const struct mpmcq_create *args, const struct mpmcq_config *config);

#endif /* _MPMCQ_CHARDEV_H */
