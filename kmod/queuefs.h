/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_QUEUEFS_H
#define _MPMCQ_QUEUEFS_H

int mpmcq_queuefs_init(void);
void mpmcq_queuefs_exit(void);

#endif /* _MPMCQ_QUEUEFS_H */
