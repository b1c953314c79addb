/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_DEVICE_H
#define _MPMCQ_DEVICE_H

#include <linux/fs.h>
#include <linux/types.h>

struct mpmcq_config;
struct mpmcq_device;
struct mpmcq_queue;

int mpmcq_devices_init(const struct file_operations *fops, const struct mpmcq_config *config);
u64 mpmcq_devices_exit(void);

bool mpmcq_name_valid(const char *name, size_t size);

struct mpmcq_device *mpmcq_device_create(const char *name, const struct mpmcq_config *config,
					 umode_t mode);
struct mpmcq_device *mpmcq_device_open(unsigned int minor, fmode_t access);
struct mpmcq_device *mpmcq_device_open_name(const char *name, fmode_t access);
void mpmcq_device_destroy(struct mpmcq_device *d);
int mpmcq_device_destroy_name(const char *name);

struct mpmcq_device *mpmcq_device_get(struct mpmcq_device *d);
void mpmcq_device_put(struct mpmcq_device *d);
struct mpmcq_queue *mpmcq_device_queue(const struct mpmcq_device *d);
const char *mpmcq_device_node(const struct mpmcq_device *d);
const char *mpmcq_device_name(const struct mpmcq_device *d);

#endif /* _MPMCQ_DEVICE_H */
