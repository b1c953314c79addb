/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * mpmcq - a queue of messages that any number of processes write and read
 *
 * A write(2) to /dev/mpmcq queues one message, a read(2) takes one; the calls
 * below tell what the queue is like.  See mpmcq(4).
 */
#ifndef _UAPI_LINUX_MPMCQ_H
#define _UAPI_LINUX_MPMCQ_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct mpmcq_info - what a queue is like
 * @size: in: size of this struct as the caller knows it, in bytes;
 *	out: as the kernel knows it
 * @version: out: version of the module, see MPMCQ_VERSION_CODE()
 * @capacity: out: messages the queue has room for
 * @msg_size: out: longest message, in bytes
 * @depth: out: messages waiting; approximate while others write and read
 * @flags: must be 0 when passed in; out: 0
 *
 * A caller with a shorter struct than the kernel's gets the part it knows.  A
 * caller with a longer one must have zeroed the part beyond @flags; the
 * kernel leaves what it does not know as it is.
 */
struct mpmcq_info {
	__u32 size;
	__u32 version;
	__u32 capacity;
	__u32 msg_size;
	__u32 depth;
	__u32 flags;
};

#define MPMCQ_INFO_SIZE_VER0	24	/* sizeof the first published struct */

#define MPMCQ_VERSION_CODE(major, minor, patch) \
	(((major) << 16) | ((minor) << 8) | (patch))

#define MPMCQ_IOC_MAGIC		0xA8

#define MPMCQ_IOC_INFO		_IOWR(MPMCQ_IOC_MAGIC, 0x00, struct mpmcq_info)

#endif /* _UAPI_LINUX_MPMCQ_H */
