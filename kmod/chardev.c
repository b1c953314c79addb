// SPDX-License-Identifier: GPL-2.0-only
/*
 * The character device: opening and releasing a queue, calls that make or need another open file,
 * INFO and fdinfo.  What one open file does with its queue is in file.c.
 */

#include <linux/anon_inodes.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fsnotify.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/stat.h>
#include <linux/uaccess.h>

#include <linux/mpmcq.h>

#include "chardev.h"
#include "compat.h"
#include "create.h"
#include "device.h"
#include "file.h"
#include "forward.h"
#include "lease.h"
#include "look.h"
#include "queue.h"

#define MPMCQ_FEATURES (MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_LEASE | MPMCQ_FEATURE_DEAD | \
			MPMCQ_FEATURE_CLOSE | MPMCQ_FEATURE_ATTACH | MPMCQ_FEATURE_CREATE | \
			MPMCQ_FEATURE_FILES | MPMCQ_FEATURE_DROP | MPMCQ_FEATURE_DELAY | \
			MPMCQ_FEATURE_TIMEOUT | MPMCQ_FEATURE_START | MPMCQ_FEATURE_PEEK | \
			MPMCQ_FEATURE_FORWARD | MPMCQ_FEATURE_META | MPMCQ_FEATURE_LEVELS)

#define MPMCQ_CONFIG_FLAGS (MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY | \
			    MPMCQ_START_LEASE | MPMCQ_STAMP)

/*
 * Opens a file of mpmcqfs, whose inode has the queue, or a device node.
 *
 * An open(2) that fails must not count as a writer that has come and gone, or MPMCQ_AUTO_CLOSE
 * would close the queue.  The VFS refuses O_DIRECT only after this function, so this function
 * refuses it first.  An open that a security module refuses after this function still counts.
 */
static int chardev_open(struct inode *inode, struct file *file)
{
	struct mpmcq_queue *q = inode->i_fop == &mpmcq_fops ? inode->i_private :
				mpmcq_device_queue(iminor(inode));
	struct mpmcq_file *f;

	if (!q)
		return -ENXIO;
	if (file->f_flags & O_DIRECT)
		return -EINVAL;
	f = mpmcq_file_create(q, file->f_mode & FMODE_READ);
	if (!f)
		return -ENOMEM;
	mpmcq_file_begin(file, f);
	return 0;
}

static int chardev_release(struct inode *inode, struct file *file)
{
	mpmcq_file_end(file);
	return 0;
}

static bool open_flags_valid(u32 flags)
{
	return !(flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) &&
		(flags & O_ACCMODE) != O_ACCMODE;
}

/* Returns a new open file of a queue that has no path, or an ERR_PTR. */
static struct file *open_private(struct mpmcq_queue *q, u32 open_flags)
{
	struct mpmcq_file *f = mpmcq_file_create(q, OPEN_FMODE(open_flags) & FMODE_READ);
	struct file *file;

	if (!f)
		return ERR_PTR(-ENOMEM);
	file = mpmcq_anon_file("[mpmcq]", &mpmcq_fops, f, open_flags & (O_ACCMODE | O_NONBLOCK));
	if (IS_ERR(file))
		mpmcq_file_destroy(f);
	else
		mpmcq_file_begin(file, f);
	return file;
}

/*
 * Opens the queue of an open file anew.  If the file has a path, the VFS opens it, so our ->open is
 * the only way in, and security modules see the open.  This checks neither permissions
 * nor the device cgroup, because the new file has no access that @file lacks.
 */
static struct file *open_again(const struct file *file, u32 open_flags)
{
	const struct mpmcq_file *f = file->private_data;

	if (!S_ISCHR(file_inode(file)->i_mode))
		return open_private(f->queue, open_flags);
	return dentry_open(&file->f_path, open_flags & (O_ACCMODE | O_NONBLOCK), current_cred());
}

/**
 * mpmcq_get_create_args() - copy the argument of MPMCQ_IOC_CREATE, and check its flags
 * @args: out: the struct
 * @config: out: the queue's configuration; its values are not checked here
 * @uargs: the user's struct
 *
 * Return: 0; -EINVAL for unknown flags or a reserved field that is not 0; and those of
 * mpmcq_copy_args().
 * Context: may sleep.
 */
int mpmcq_get_create_args(struct mpmcq_create *args, struct mpmcq_config *config,
			  const void __user *uargs)
{
	int ret = mpmcq_copy_args(args, sizeof(*args), MPMCQ_CREATE_SIZE_VER0, uargs);

	if (ret < 0)
		return ret;
	if (args->flags & ~(MPMCQ_CONFIG_FLAGS | MPMCQ_EXIST_OK) || args->reserved)
		return -EINVAL;
	*config = (struct mpmcq_config) {
		.capacity = args->capacity ?: MPMCQ_CAPACITY_DEFAULT,
		.msg_size = args->msg_size ?: MPMCQ_MSG_SIZE_DEFAULT,
		.flags = (args->flags & MPMCQ_CONFIG_FLAGS) | (args->retry_ms ? MPMCQ_DELAY : 0),
		.max_deliveries = args->max_deliveries,
		.lease_ms = args->lease_ms,
		.retry_ms = args->retry_ms,
		.retry_max_ms = args->retry_max_ms,
		.levels = args->levels ?: 1,
	};
	return 0;
}

static struct mpmcq_queue *make_private(const struct mpmcq_config *config)
{
	struct mpmcq_charge *charge = mpmcq_queue_charge(config, NULL);

	return IS_ERR(charge) ? ERR_CAST(charge) : mpmcq_queue_create(config, charge);
}

/**
 * mpmcq_create_private() - make a queue that has no name
 * @args: from mpmcq_get_create_args()
 * @config: the queue's configuration
 *
 * Return: a descriptor; -EINVAL for wrong @open_flags, or for what only a queue with a name has;
 * -EMFILE; -ENFILE; -ENOMEM; and those of mpmcq_queue_charge() and mpmcq_queue_create().
 * Context: may sleep.
 */
int mpmcq_create_private(const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	struct mpmcq_queue *q;
	struct file *file;
	int fd;

	if (args->mode || args->flags & MPMCQ_EXIST_OK || !open_flags_valid(args->open_flags))
		return -EINVAL;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	q = make_private(config);
	if (IS_ERR(q)) {
		put_unused_fd(fd);
		return PTR_ERR(q);
	}
	file = open_private(q, args->open_flags);
	mpmcq_queue_put(q);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

static int ioctl_create(const void __user *uargs)
{
	struct mpmcq_create args;
	struct mpmcq_config config;
	int ret = mpmcq_get_create_args(&args, &config, uargs);

	if (ret)
		return ret;
	/* Only a directory of mpmcqfs has names. */
	return args.name ? -ENOTDIR : mpmcq_create_private(&args, &config);
}

static bool attach_args_valid(const struct mpmcq_attach *args)
{
	return open_flags_valid(args->open_flags) && !args->reserved &&
		!(args->modes & ~(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD |
				  MPMCQ_MODE_META));
}

/*
 * If the modes or the priority are refused, the new file was open for a moment.  MPMCQ_AUTO_CLOSE
 * does not close the queue then: if the new file is a writer, so is @file, which is still open.
 */
static int ioctl_attach(const struct file *file, const void __user *uargs)
{
	struct mpmcq_attach args;
	int fd, ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_ATTACH_SIZE_VER0, uargs);
	struct file *new;
	fmode_t access;

	if (ret < 0)
		return ret;
	if (!attach_args_valid(&args))
		return -EINVAL;
	access = OPEN_FMODE(args.open_flags) & (FMODE_READ | FMODE_WRITE);
	if (access & ~file->f_mode)
		return -EACCES;
	if (args.modes & (MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD) && !(access & FMODE_READ))
		return -EBADF;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	new = open_again(file, args.open_flags);
	if (IS_ERR(new)) {
		ret = PTR_ERR(new);
		goto err_fd;
	}
	ret = new->f_op == &mpmcq_fops ?
		mpmcq_file_set_modes(new->private_data, args.modes, args.max_held) : -ENXIO;
	if (ret)
		goto err_file;
	mpmcq_file_set_timeouts(new->private_data, args.rcv_timeout_ms, args.snd_timeout_ms);
	ret = mpmcq_file_set_priority(new->private_data, args.priority);
	if (ret)
		goto err_file;
	fd_install(fd, new);
	return fd;

err_file:
	fput(new);
err_fd:
	put_unused_fd(fd);
	return ret;
}

/* Forwards a message that @file holds to the queue of @target, and sets seq of @args. */
static int forward(const struct file *file, struct file *target, struct mpmcq_forward *args,
		   const void *data)
{
	const struct mpmcq_file *f = file->private_data, *to;
	struct mpmcq_holder *h = smp_load_acquire(&f->holder);	/* USE */
	struct mpmcq_forwarding msg = {
		.id = args->id, .data = data, .len = args->len, .delay_ms = args->delay_ms,
		.cred = target->f_cred, .priority = args->priority,
	};
	int ret;

	if (!(target->f_mode & FMODE_WRITE))
		return -EBADF;
	if (target->f_op != &mpmcq_fops)
		return -EINVAL;
	ret = mpmcq_may_write(target, args->len);
	if (ret < 0)
		return ret;
	to = target->private_data;
	msg.wait_ms = target->f_flags & O_NONBLOCK ? 0 : READ_ONCE(to->snd_wait_ms);
	ret = h ? mpmcq_forward(f->queue, h, to->queue, &msg) : -ENOENT;
	args->seq = msg.seq;
	return ret;
}

static int forward_to_fd(const struct file *file, struct mpmcq_forward *args, const void *data)
{
	struct file *target = fget(args->fd);
	int ret;

	if (!target)
		return -EBADF;
	ret = forward(file, target, args, data);
	if (!ret)
		fsnotify_modify(target);	/* as write(2) does */
	fput(target);
	return ret;
}

static int ioctl_forward(const struct file *file, struct mpmcq_forward __user *uargs)
{
	struct mpmcq_forward args;
	void *data = NULL;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_FORWARD_SIZE_VER0, uargs);
	if (ret < 0)
		return ret;
	if (args.flags || !args.buf != !args.len)
		return -EINVAL;
	if (args.len > MPMCQ_MSG_SIZE_MAX)
		return -EMSGSIZE;
	args.seq = 0;
	if (put_user(args.seq, &uargs->seq))
		return -EFAULT;
	if (args.buf)
		data = mpmcq_dup_user(u64_to_user_ptr(args.buf), args.len);
	if (IS_ERR(data))
		return PTR_ERR(data);
	ret = forward_to_fd(file, &args, data);
	kvfree(data);
	/* It could be written at first, so this fails only if the page has gone since. */
	return !ret && put_user(args.seq, &uargs->seq) ? -EFAULT : ret;
}

/* Returns a timeout as the user interface has it: 0 for no limit. */
static u32 timeout_of(u32 wait_ms)
{
	return wait_ms == MPMCQ_WAIT_FOREVER ? 0 : wait_ms;
}

static void get_info(const struct mpmcq_file *f, struct mpmcq_info *info)
{
	u32 modes = mpmcq_file_modes(f);
	struct mpmcq_holder *h = smp_load_acquire(&f->holder);	/* USE */
	struct mpmcq_queue *q = f->queue;

	*info = (struct mpmcq_info) {
		.version = MPMCQ_VERSION_CODE(MPMCQ_MAJOR, MPMCQ_MINOR, MPMCQ_PATCH),
		.capacity = q->config.capacity,
		.msg_size = q->config.msg_size,
		.depth = mpmcq_queue_depth(q),
		.flags = q->config.flags,
		.features = MPMCQ_FEATURES,
		.modes = modes,
		.closed = mpmcq_queue_closed(q),
		.dead = mpmcq_queue_dead(q),
		.leased = mpmcq_queue_leased(q),
		.max_deliveries = q->config.max_deliveries,
		.lease_ms = q->config.lease_ms,
		.held = mpmcq_holder_held(h) ? READ_ONCE(*mpmcq_holder_held(h)) : 0,
		.max_held = modes & MPMCQ_MODE_LEASE ? mpmcq_holder_max(h) : 0,
		.number = q->number,
		.parked = mpmcq_queue_parked(q),
		.retry_ms = q->config.retry_ms,
		.retry_max_ms = q->config.retry_max_ms,
		.levels = q->config.levels,
		.priority = READ_ONCE(f->by.priority),
		.rcv_timeout_ms = timeout_of(READ_ONCE(f->rcv_wait_ms)),
		.snd_timeout_ms = timeout_of(READ_ONCE(f->snd_wait_ms)),
		.sent = mpmcq_queue_sent(q),
		.received = mpmcq_queue_received(q),
		.acked = mpmcq_queue_counter(q, MPMCQ_ACKED),
		.returned = mpmcq_queue_counter(q, MPMCQ_RETURNED),
		.set_aside = mpmcq_queue_counter(q, MPMCQ_SET_ASIDE),
		.dropped = mpmcq_queue_counter(q, MPMCQ_DROPPED),
		.redelivered = atomic64_read(&q->redelivered),
		.suspected = atomic64_read(&q->suspected),
		.oldest_ns = mpmcq_queue_oldest_ns(q),
		.readers_asleep = mpmcq_queue_readers_asleep(q),
		.writers_asleep = atomic_read(&q->writers.asleep),
		.free = mpmcq_queue_free(q),
	};
	export_uuid(info->uuid, &q->uuid);
}

static int ioctl_info(const struct file *file, struct mpmcq_info __user *uinfo)
{
	struct mpmcq_info info;
	int size = mpmcq_copy_args(&info, sizeof(info), MPMCQ_INFO_SIZE_VER0, uinfo);

	if (size < 0)
		return size;
	get_info(file->private_data, &info);
	/* As the caller passed it: a larger one would let its next call overrun its struct. */
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
			return ioctl_create(uarg);
		case MPMCQ_CALL(MPMCQ_IOC_ATTACH):
			return ioctl_attach(file, uarg);
		case MPMCQ_CALL(MPMCQ_IOC_FORWARD):
			return ioctl_forward(file, uarg);
		}
	}
	return mpmcq_file_ioctl(file, cmd, uarg);
}

static void chardev_show_fdinfo(struct seq_file *m, struct file *file)
{
	static const char *const modes[] = { "packed", "lease", "dead", "meta" };	/* by bit */
	const struct mpmcq_file *f = file->private_data;
	const u32 *held = mpmcq_holder_held(smp_load_acquire(&f->holder));	/* USE */
	const struct mpmcq_queue *q = f->queue;
	u32 bits = mpmcq_file_modes(f);
	unsigned int i;

	seq_puts(m, "queue:\t");
	seq_file_path(m, file, "\n\\");
	seq_printf(m, "\nnumber:\t%u\n", q->number);
	seq_printf(m, "capacity:\t%u\nmsg_size:\t%u\ndepth:\t%u\n",
		   q->config.capacity, q->config.msg_size, mpmcq_queue_depth(q));
	seq_printf(m, "modes:\t%s", bits ? "" : "plain");
	for (i = 0; i < ARRAY_SIZE(modes); i++)
		if (bits & BIT(i))
			seq_printf(m, "%s%s", bits & (BIT(i) - 1) ? " " : "", modes[i]);
	seq_putc(m, '\n');
	seq_printf(m, "held:\t%u\n", held ? READ_ONCE(*held) : 0);
}

/*
 * ->read and ->write are here besides ->read_iter and ->write_iter because making a kiocb takes
 * 10 % of the instructions of a plain write and read (make bench-exact).
 */
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
