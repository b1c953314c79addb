/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_FILE_H
#define _MPMCQ_FILE_H

#include <linux/fs.h>
#include <linux/ioctl.h>
#include <linux/mutex.h>
#include <linux/poll.h>

#include "lease.h"
#include "message.h"

struct mpmcq_queue;

/**
 * struct mpmcq_file - state of an open file
 * @queue: the queue; the file has a reference
 * @holder: messages that the file holds; made when MPMCQ_MODE_LEASE is first set, and kept until
 *	the file is released
 * @start: the holder that MPMCQ_START_LEASE of the queue gave the file at first, or NULL
 * @modes: %MPMCQ_MODE_PACKED and the like, and %MPMCQ_MODE_STARTED; MPMCQ_MODE_DEAD never changes
 * @rcv_wait_ms: how long a read may wait, in milliseconds, as of struct mpmcq_claim
 * @snd_wait_ms: how long a write may wait, likewise
 * @by: what mpmcq_send() needs of the file; its @meta is not used
 * @room: pollers that wait for room to hold another message
 * @polled: a poller may have registered with the file
 * @async_lock: keeps the file in all of its lists for SIGIO, or in none
 * @reading: bit 0 is set during a read with an implied acknowledgment, and during a change of the
 *	modes of a file that began with a lease
 *
 * @modes and @holder are written by compare-and-swap: @holder before the mode that needs it, and
 * @modes not any more once that mode is set.  While MPMCQ_MODE_STARTED is set, both may be replaced
 * once, see replace_start().
 */
struct mpmcq_file {
	struct mpmcq_queue *queue;
	struct mpmcq_holder *holder;
	struct mpmcq_holder *start;
	u32 modes;
	u32 rcv_wait_ms;
	u32 snd_wait_ms;
	struct mpmcq_caller by;
	struct mpmcq_room room;
	bool polled;
	struct mutex async_lock;	/* see above */
	unsigned long reading;
};

/* The number of a call without the size of its struct, because the struct may grow. */
#define MPMCQ_CALL(cmd)	((cmd) & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT))

/* MPMCQ_START_LEASE of the queue set the modes.  They may be replaced until the first read. */
#define MPMCQ_MODE_STARTED	0x80000000U

struct mpmcq_file *mpmcq_file_create(struct mpmcq_queue *q, bool reads);
int mpmcq_file_set_modes(struct mpmcq_file *f, u32 modes, u32 max_held);
void mpmcq_file_set_timeouts(struct mpmcq_file *f, u32 rcv_timeout_ms, u32 snd_timeout_ms);
int mpmcq_file_set_priority(struct mpmcq_file *f, u32 priority);
u32 mpmcq_file_modes(const struct mpmcq_file *f);
void mpmcq_file_destroy(struct mpmcq_file *f);
void mpmcq_file_begin(struct file *file, struct mpmcq_file *f);
void mpmcq_file_end(struct file *file);

ssize_t mpmcq_file_read(struct file *file, char __user *buf, size_t len, loff_t *pos);
ssize_t mpmcq_file_write(struct file *file, const char __user *buf, size_t len, loff_t *pos);
ssize_t mpmcq_file_read_iter(struct kiocb *iocb, struct iov_iter *to);
ssize_t mpmcq_file_write_iter(struct kiocb *iocb, struct iov_iter *from);
__poll_t mpmcq_file_poll(struct file *file, poll_table *wait);
int mpmcq_file_fasync(int fd, struct file *file, int on);
long mpmcq_file_ioctl(struct file *file, unsigned int cmd, void __user *arg);

void *mpmcq_dup_user(const void __user *from, size_t bytes);
int mpmcq_copy_args(void *args, size_t known, size_t least, const void __user *uargs);

#endif /* _MPMCQ_FILE_H */
