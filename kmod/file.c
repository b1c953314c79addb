// SPDX-License-Identifier: GPL-2.0-only
/*
 * The open file: turns system calls into calls of the queue.
 *
 * An open file's private_data is its queue, from open to the final close.
 */

#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/ioctls.h>

#include <linux/mpmcq.h>

#include "file.h"
#include "queue.h"

/**
 * mpmcq_file_open() - make an open file one of a queue's
 * @file: the file; its operations are mpmcq_fops
 * @q: the queue; must stay until the file is released
 *
 * Return: 0.
 * Context: may sleep.
 */
int mpmcq_file_open(struct file *file, struct mpmcq_queue *q)
{
	file->private_data = q;
	/* io_uring may try with IOCB_NOWAIT before it polls. */
	file->f_mode |= FMODE_NOWAIT;
	return stream_open(file_inode(file), file);
}

static bool mpmcq_nowait(const struct kiocb *iocb)
{
	return (iocb->ki_filp->f_flags & O_NONBLOCK) || (iocb->ki_flags & IOCB_NOWAIT);
}

static ssize_t mpmcq_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	return mpmcq_receive(iocb->ki_filp->private_data, to, mpmcq_nowait(iocb));
}

static ssize_t mpmcq_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	return mpmcq_send(iocb->ki_filp->private_data, from, mpmcq_nowait(iocb));
}

static __poll_t mpmcq_poll(struct file *file, poll_table *wait)
{
	struct mpmcq_queue *q = file->private_data;
	__poll_t mask = 0;

	if (file->f_mode & FMODE_READ)
		poll_wait(file, &q->readers.pollers, wait);
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &q->writers.pollers, wait);
	/*
	 * See queue.c: we are in the wait queues before we look at the rings.
	 * Newer kernels have this barrier in poll_wait().
	 */
	smp_mb();	/* WAIT */
	if ((file->f_mode & FMODE_READ) && mpmcq_queue_readable(q))
		mask |= q->readers.events;
	if ((file->f_mode & FMODE_WRITE) && mpmcq_queue_writable(q))
		mask |= q->writers.events;
	return mask;
}

static int mpmcq_fasync(int fd, struct file *file, int on)
{
	struct mpmcq_queue *q = file->private_data;
	int ret = 0;

	if (file->f_mode & FMODE_READ)
		ret = fasync_helper(fd, file, on, &q->readers.async);
	if (ret >= 0 && (file->f_mode & FMODE_WRITE)) {
		ret = fasync_helper(fd, file, on, &q->writers.async);
		if (ret < 0 && (file->f_mode & FMODE_READ))
			fasync_helper(-1, file, 0, &q->readers.async);
	}
	/* See queue.c: we are among async before the caller looks at the rings. */
	smp_mb();	/* WAIT */
	return ret < 0 ? ret : 0;
}

static int mpmcq_ioctl_info(struct mpmcq_queue *q, struct mpmcq_info __user *uinfo)
{
	struct mpmcq_info info;
	u32 size;
	int ret;

	if (get_user(size, &uinfo->size))
		return -EFAULT;
	if (size < MPMCQ_INFO_SIZE_VER0)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	ret = copy_struct_from_user(&info, sizeof(info), uinfo, size);
	if (ret)
		return ret;
	if (info.flags)
		return -EINVAL;

	info.size = sizeof(info);
	info.version = MPMCQ_VERSION_CODE(MPMCQ_MAJOR, MPMCQ_MINOR, MPMCQ_PATCH);
	info.capacity = q->capacity;
	info.msg_size = q->msg_size;
	info.depth = mpmcq_queue_depth(q);
	if (copy_to_user(uinfo, &info, min_t(size_t, size, sizeof(info))))
		return -EFAULT;
	return 0;
}

/* A command without the size of its struct, which may grow. */
static unsigned int mpmcq_ioctl_nosize(unsigned int cmd)
{
	return cmd & ~(_IOC_SIZEMASK << _IOC_SIZESHIFT);
}

static long mpmcq_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct mpmcq_queue *q = file->private_data;

	if (cmd == FIONREAD)
		return put_user(mpmcq_queue_next_len(q), (int __user *)arg);
	if (mpmcq_ioctl_nosize(cmd) == mpmcq_ioctl_nosize(MPMCQ_IOC_INFO))
		return mpmcq_ioctl_info(q, (struct mpmcq_info __user *)arg);
	return -ENOTTY;
}

static void mpmcq_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct mpmcq_queue *q = file->private_data;

	seq_printf(m, "queue:\tmpmcq\ncapacity:\t%u\nmsg_size:\t%u\ndepth:\t%u\n",
		   q->capacity, q->msg_size, mpmcq_queue_depth(q));
}

const struct file_operations mpmcq_fops = {
	.owner		= THIS_MODULE,
	.read_iter	= mpmcq_read_iter,
	.write_iter	= mpmcq_write_iter,
	.poll		= mpmcq_poll,
	.fasync		= mpmcq_fasync,
	.unlocked_ioctl	= mpmcq_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= mpmcq_show_fdinfo,
};
