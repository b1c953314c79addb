/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_DEVICE_H
#define _MPMCQ_DEVICE_H

struct mpmcq_device;
struct mpmcq_queue;

int mpmcq_devices_init(void);
void mpmcq_devices_exit(void);

struct mpmcq_device *mpmcq_device_add(struct mpmcq_queue *q);
void mpmcq_device_remove(struct mpmcq_device *d);

#endif /* _MPMCQ_DEVICE_H */
