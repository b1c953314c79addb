/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_CHARDEV_H
#define _MPMCQ_CHARDEV_H

#include <linux/fs.h>

extern const struct file_operations mpmcq_fops;

#endif /* _MPMCQ_CHARDEV_H */
