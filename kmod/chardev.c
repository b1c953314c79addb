// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations of files: how they come to be open, by node, by name, and by calls
 * that return a descriptor.  What an open file then does is file.c's.
 */

#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include <linux/mpmcq.h>

#include "chardev.h"
#include "device.h"
#include "file.h"
#include "lease.h"
#include "queue.h"

#define MPMCQ_FEATURES (MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_LEASE | MPMCQ_FEATURE_DEAD | \
			MPMCQ_FEATURE_CLOSE | MPMCQ_FEATURE_ATTACH | MPMCQ_FEATURE_CREATE | \
			MPMCQ_FEATURE_NAMES | MPMCQ_FEATURE_DROP)

#define MPMCQ_CREATE_FLAGS (MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_AUTO_DESTROY)

static int chardev_open(struct inode *inode, struct file *file)
{
	struct mpmcq_device *d = mpmcq_device_open(iminor(inode), file->f_mode);
	struct mpmcq_file *f;

	if (IS_ERR(d))
		return PTR_ERR(d);
	f = mpmcq_file_create(mpmcq_device_queue(d), d, 0, 0);
	if (IS_ERR(f)) {
		mpmcq_device_put(d);
		return PTR_ERR(f);
	}
	mpmcq_file_begin(file, f);
	return 0;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_device *d = f->device;

	mpmcq_file_end(file);
	if (d)
		mpmcq_device_put(d);
	return 0;
}

static bool open_flags_valid(u32 flags)
{
	return !(flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) &&
		(flags & O_ACCMODE) != O_ACCMODE;
}

/*
 * Opens a queue anew.  On success the caller's use of the device, if there is one, has
 * passed to the file.
 */
static int new_file(struct mpmcq_queue *q, struct mpmcq_device *d, u32 open_flags, u32 modes,
		    u32 max_held)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct mpmcq_file *f;
	struct file *file;

	if (fd < 0)
		return fd;
	f = mpmcq_file_create(q, d, modes, max_held);
	if (IS_ERR(f)) {
		put_unused_fd(fd);
		return PTR_ERR(f);
	}
	file = anon_inode_getfile("[mpmcq]", &mpmcq_fops, f,
				  open_flags & (O_ACCMODE | O_NONBLOCK));
	if (IS_ERR(file)) {
		mpmcq_file_destroy(f);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	mpmcq_file_begin(file, f);
	fd_install(fd, file);
	return fd;
}

static int new_file_of(struct mpmcq_device *d, u32 open_flags)
{
	int fd = new_file(mpmcq_device_queue(d), d, open_flags, 0, 0);

	if (fd < 0)
		mpmcq_device_put(d);
	return fd;
}

static int create_private(const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	struct mpmcq_queue *q;
	int fd;

	if (args->mode || args->flags & MPMCQ_AUTO_DESTROY)
		return -EINVAL;
	q = mpmcq_queue_create(config, true);
	if (IS_ERR(q))
		return PTR_ERR(q);
	fd = new_file(q, NULL, args->open_flags, 0, 0);
	mpmcq_queue_put(q);
	return fd;
}

static int create_named(const struct file *file, const struct mpmcq_create *args,
			const struct mpmcq_config *config)
{
	struct mpmcq_device *d;
	int fd;

	if (!mpmcq_name_valid(args->name, sizeof(args->name)) || args->mode & ~0777)
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	d = mpmcq_device_create(args->name, config, args->mode);
	if (IS_ERR(d))
		return PTR_ERR(d);
	fd = new_file(mpmcq_device_queue(d), d, args->open_flags, 0, 0);
	if (fd < 0) {
		mpmcq_device_destroy(d);
		mpmcq_device_put(d);
	}
	return fd;
}

static int ioctl_create(const struct file *file, const void __user *uargs)
{
	struct mpmcq_create args;
	struct mpmcq_config config;
	int ret = mpmcq_copy_args(&args, sizeof(args), sizeof(args), uargs);

	if (ret < 0)
		return ret;
	if (args.flags & ~MPMCQ_CREATE_FLAGS || !open_flags_valid(args.open_flags))
		return -EINVAL;
	config = (struct mpmcq_config) {
		.capacity = args.capacity ?: MPMCQ_CAPACITY_DEFAULT,
		.msg_size = args.msg_size ?: MPMCQ_MSG_SIZE_DEFAULT,
		.flags = args.flags,
		.max_deliveries = args.max_deliveries,
		.lease_ms = args.lease_ms,
		.named = memchr_inv(args.name, 0, sizeof(args.name)),
	};
	if (config.named)
		return create_named(file, &args, &config);
	return create_private(&args, &config);
}

static int ioctl_open(const void __user *uargs)
{
	struct mpmcq_name args;
	struct mpmcq_device *d;
	int ret = mpmcq_copy_args(&args, sizeof(args), sizeof(args), uargs);

	if (ret < 0)
		return ret;
	if (!open_flags_valid(args.open_flags) || !mpmcq_name_valid(args.name, sizeof(args.name)))
		return -EINVAL;
	d = mpmcq_device_open_name(args.name, OPEN_FMODE(args.open_flags));
	if (IS_ERR(d))
		return PTR_ERR(d);
	return new_file_of(d, args.open_flags);
}

static int ioctl_destroy(const void __user *uargs)
{
	struct mpmcq_name args;
	int ret = mpmcq_copy_args(&args, sizeof(args), sizeof(args), uargs);

	if (ret < 0)
		return ret;
	if (args.open_flags || !mpmcq_name_valid(args.name, sizeof(args.name)))
		return -EINVAL;
	return mpmcq_device_destroy_name(args.name);
}

static int ioctl_attach(const struct file *file, const void __user *uargs)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_attach args;
	int ret = mpmcq_copy_args(&args, sizeof(args), sizeof(args), uargs);
	fmode_t access;

	if (ret < 0)
		return ret;
	if (!open_flags_valid(args.open_flags) ||
	    args.modes & ~(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD))
		return -EINVAL;
	access = OPEN_FMODE(args.open_flags) & (FMODE_READ | FMODE_WRITE);
	if (access & ~file->f_mode)
		return -EACCES;
	if (args.modes & (MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD) && !(access & FMODE_READ))
		return -EBADF;

	if (f->device)
		mpmcq_device_get(f->device);
	ret = new_file(f->queue, f->device, args.open_flags, args.modes, args.max_held);
	if (ret < 0 && f->device)
		mpmcq_device_put(f->device);
	return ret;
}

static void get_info(const struct mpmcq_file *f, struct mpmcq_info *info)
{
	struct mpmcq_holder *h = smp_load_acquire(&f->holder);	/* USE */
	struct mpmcq_queue *q = f->queue;

	*info = (struct mpmcq_info) {
		.version = MPMCQ_VERSION_CODE(MPMCQ_MAJOR, MPMCQ_MINOR, MPMCQ_PATCH),
		.capacity = q->config.capacity,
		.msg_size = q->config.msg_size,
		.depth = mpmcq_queue_depth(q),
		.flags = q->config.flags,
		.features = MPMCQ_FEATURES,
		.modes = READ_ONCE(f->modes),
		.closed = mpmcq_queue_closed(q),
		.dead = mpmcq_queue_dead(q),
		.leased = mpmcq_queue_leased(q),
		.max_deliveries = q->config.max_deliveries,
		.lease_ms = q->config.lease_ms,
		.held = mpmcq_holder_held(h) ? READ_ONCE(*mpmcq_holder_held(h)) : 0,
		.max_held = mpmcq_holder_max(h),
	};
	if (f->device)
		strscpy(info->name, mpmcq_device_name(f->device), sizeof(info->name));
}

static int ioctl_info(const struct file *file, struct mpmcq_info __user *uinfo)
{
	struct mpmcq_info info;
	int size = mpmcq_copy_args(&info, sizeof(info), MPMCQ_INFO_SIZE_VER0, uinfo);

	if (size < 0)
		return size;
	get_info(file->private_data, &info);
	/* As it was passed in: the caller's next call must not tell of more than there is. */
	info.size = size;
	return copy_to_user(uinfo, &info, min_t(size_t, size, sizeof(info))) ? -EFAULT : 0;
}

static long chardev_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	if (_IOC_DIR(cmd) != _IOC_NONE) {
		switch (MPMCQ_CALL(cmd)) {
		case MPMCQ_CALL(MPMCQ_IOC_INFO):
			return ioctl_info(file, uarg);
		case MPMCQ_CALL(MPMCQ_IOC_CREATE):
			return ioctl_create(file, uarg);
		case MPMCQ_CALL(MPMCQ_IOC_OPEN):
			return ioctl_open(uarg);
		case MPMCQ_CALL(MPMCQ_IOC_DESTROY):
			return ioctl_destroy(uarg);
		case MPMCQ_CALL(MPMCQ_IOC_ATTACH):
			return ioctl_attach(file, uarg);
		}
	}
	return mpmcq_file_ioctl(file, cmd, uarg);
}

static void chardev_show_fdinfo(struct seq_file *m, struct file *file)
{
	static const char *const modes[] = {
		[0] = "plain",
		[MPMCQ_MODE_PACKED] = "packed",
		[MPMCQ_MODE_LEASE] = "lease",
		[MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE] = "packed lease",
		[MPMCQ_MODE_DEAD] = "dead",
		[MPMCQ_MODE_PACKED | MPMCQ_MODE_DEAD] = "packed dead",
	};
	const struct mpmcq_file *f = file->private_data;
	struct mpmcq_info info;

	get_info(f, &info);
	seq_printf(m, "queue:\t%s\nnumber:\t%u\n",
		   f->device ? mpmcq_device_node(f->device) : "private", f->queue->number);
	seq_printf(m, "capacity:\t%u\nmsg_size:\t%u\ndepth:\t%u\n",
		   info.capacity, info.msg_size, info.depth);
	seq_printf(m, "modes:\t%s\n", modes[info.modes]);
	seq_printf(m, "held:\t%u\n", info.held);
}

const struct file_operations mpmcq_fops = {
	.owner		= THIS_MODULE,
	.open		= chardev_open,
	.release	= chardev_release,
	.read		= mpmcq_file_read,
	.write		= mpmcq_file_write,
	.read_iter	= mpmcq_file_read_iter,
	.write_iter	= mpmcq_file_write_iter,
	.poll		= mpmcq_file_poll,
	.fasync		= mpmcq_file_fasync,
	.unlocked_ioctl	= chardev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= chardev_show_fdinfo,
};
