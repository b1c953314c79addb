// SPDX-License-Identifier: GPL-2.0-only
/*
 * Queues that have a name: their nodes in /dev, what sysfs shows of them, and who may
 * open and destroy them.
 *
 * A device is its name.  It can be found until it is destroyed; those who use it by
 * then keep its queue, as with a file after unlink().  The default queue is the device
 * with minor 0, made at load and destroyed at unload.
 */

#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uidgid.h>

#include <linux/mpmcq.h>

#include "compat.h"
#include "device.h"
#include "limits.h"
#include "queue.h"

#define MPMCQ_MINORS	(MINORMASK + 1)
#define MPMCQ_DEFAULT	"mpmcq"

/**
 * struct mpmcq_device - a queue's name
 * @dev: the device in sysfs; the last reference to it frees the struct
 * @queue: the queue; has a reference
 * @uid: the owner
 * @gid: the owner's group
 * @mode: who may open it, as of a file
 * @users: open files that came by it, and calls about to make one; under devices_lock
 * @name: the name, without what /dev puts before it
 *
 * What is not said otherwise is written once, before the device can be found.
 */
struct mpmcq_device {
	struct device dev;
	struct mpmcq_queue *queue;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	unsigned int users;
	char name[MPMCQ_NAME_MAX + 1];
};

/*
 * Names come and go under names_lock, with their nodes, for which the driver core may
 * wait long.  The table of those that can be found, and their users, are changed under
 * devices_lock, inside of the former, for which nobody waits long: opening and closing
 * take that alone.
 */
static DEFINE_MUTEX(names_lock);
static DEFINE_MUTEX(devices_lock);
static DEFINE_IDR(devices);	/* by minor */

static dev_t mpmcq_devt;
static struct cdev mpmcq_cdev;

static struct mpmcq_device *device_of(const struct device *dev)
{
	return container_of(dev, struct mpmcq_device, dev);
}

#define MPMCQ_ATTR(name, value)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	struct mpmcq_queue *q = device_of(dev)->queue;				\
										\
	return sysfs_emit(buf, "%llu\n", (u64)(value));				\
}										\
static DEVICE_ATTR_RO(name)

MPMCQ_ATTR(number, q->number);
MPMCQ_ATTR(capacity, q->config.capacity);
MPMCQ_ATTR(msg_size, q->config.msg_size);
MPMCQ_ATTR(max_deliveries, q->config.max_deliveries);
MPMCQ_ATTR(lease_ms, q->config.lease_ms);
MPMCQ_ATTR(depth, mpmcq_queue_depth(q));
MPMCQ_ATTR(dead, mpmcq_queue_dead(q));
MPMCQ_ATTR(leased, mpmcq_queue_leased(q));
MPMCQ_ATTR(closed, mpmcq_queue_closed(q));
MPMCQ_ATTR(sent, mpmcq_queue_counter(q, MPMCQ_SENT));
MPMCQ_ATTR(received, mpmcq_queue_counter(q, MPMCQ_RECEIVED));
MPMCQ_ATTR(acked, mpmcq_queue_counter(q, MPMCQ_ACKED));
MPMCQ_ATTR(returned, mpmcq_queue_counter(q, MPMCQ_RETURNED));
MPMCQ_ATTR(rejected, mpmcq_queue_counter(q, MPMCQ_SET_ASIDE));
MPMCQ_ATTR(dropped, mpmcq_queue_counter(q, MPMCQ_DROPPED));

static struct attribute *mpmcq_attrs[] = {
	&dev_attr_number.attr,
	&dev_attr_capacity.attr,
	&dev_attr_msg_size.attr,
	&dev_attr_max_deliveries.attr,
	&dev_attr_lease_ms.attr,
	&dev_attr_depth.attr,
	&dev_attr_dead.attr,
	&dev_attr_leased.attr,
	&dev_attr_closed.attr,
	&dev_attr_sent.attr,
	&dev_attr_received.attr,
	&dev_attr_acked.attr,
	&dev_attr_returned.attr,
	&dev_attr_rejected.attr,
	&dev_attr_dropped.attr,
	NULL
};
ATTRIBUTE_GROUPS(mpmcq);

static struct class mpmcq_class = {
	.name		= "mpmcq",
	.dev_groups	= mpmcq_groups,
};

/* Asked without a mode when the node goes. */
static char *mpmcq_devnode(mpmcq_const struct device *dev, umode_t *mode, kuid_t *uid, kgid_t *gid)
{
	const struct mpmcq_device *d = device_of(dev);

	if (mode) {
		*mode = S_IFCHR | d->mode;	/* or 0 would stand for 0600 */
		*uid = d->uid;
		*gid = d->gid;
	}
	return NULL;
}

static const struct device_type mpmcq_device_type = {
	.name		= "mpmcq",
	.devnode	= mpmcq_devnode,
};

static void mpmcq_device_free(struct device *dev)
{
	struct mpmcq_device *d = device_of(dev);

	mpmcq_queue_put(d->queue);
	kfree(d);
}

/**
 * mpmcq_name_valid() - whether a queue may have that name
 * @name: the name
 * @size: of the array it is in, in bytes, of which all after the name must be 0
 *
 * Context: any.
 */
bool mpmcq_name_valid(const char *name, size_t size)
{
	size_t len = strnlen(name, size), i;

	if (!len || len == size || memchr_inv(name + len, 0, size - len))
		return false;
	if (*name == '.' || *name == '-')
		return false;
	for (i = 0; i < len; i++)
		if (!isascii(name[i]) || !(isalnum(name[i]) || strchr("_.-", name[i])))
			return false;
	return true;
}

/* Under either lock. */
static struct mpmcq_device *find_device(const char *name)
{
	struct mpmcq_device *d;
	int minor;

	idr_for_each_entry(&devices, d, minor)
		if (!strcmp(d->name, name))
			return d;
	return NULL;
}

/* Under either lock: one that was given its name by a user. */
static struct mpmcq_device *find_named(const char *name)
{
	return strcmp(name, MPMCQ_DEFAULT) ? find_device(name) : NULL;
}

/* As for a file with that owner and mode. */
static bool may_open(const struct mpmcq_device *d, fmode_t access)
{
	unsigned int want = (access & FMODE_READ ? 4 : 0) | (access & FMODE_WRITE ? 2 : 0);
	umode_t mode = d->mode;

	if (uid_eq(current_fsuid(), d->uid))
		mode >>= 6;
	else if (in_group_p(d->gid))
		mode >>= 3;
	return !(want & ~mode) || capable(CAP_DAC_OVERRIDE);
}

/* Under devices_lock: one more user. */
static struct mpmcq_device *use_device(struct mpmcq_device *d)
{
	d->users++;
	get_device(&d->dev);
	return d;
}

/* Has one user less.  Returns whether that was the last. */
static bool unuse_device(struct mpmcq_device *d)
{
	bool last;

	mutex_lock(&devices_lock);
	last = !--d->users;
	mutex_unlock(&devices_lock);
	return last;
}

/* Under names_lock: lets it be found, with one user, by a number that is its own. */
static int enter_device(struct mpmcq_device *d, bool is_default)
{
	int minor;

	mutex_lock(&devices_lock);
	/* Cyclic, for the sake of those who have the number of one that is gone. */
	minor = is_default ? idr_alloc(&devices, d, 0, 1, MPMCQ_GFP) :
		idr_alloc_cyclic(&devices, d, 1, MPMCQ_MINORS, MPMCQ_GFP);
	if (minor >= 0) {
		d->dev.devt = MKDEV(MAJOR(mpmcq_devt), minor);
		use_device(d);
	}
	mutex_unlock(&devices_lock);
	return minor < 0 ? minor : 0;
}

/* Under names_lock, not devices_lock. */
static void leave_device(struct mpmcq_device *d)
{
	mutex_lock(&devices_lock);
	idr_remove(&devices, MINOR(d->dev.devt));
	mutex_unlock(&devices_lock);
}

/* Under names_lock: the node and its folder in sysfs. */
static int add_device(struct mpmcq_device *d, bool is_default)
{
	int ret;

	d->dev.class = &mpmcq_class;
	if (is_default) {
		ret = dev_set_name(&d->dev, MPMCQ_DEFAULT);
	} else {
		d->dev.type = &mpmcq_device_type;
		/* Anybody can make them, as fast as they like: udev need not know. */
		dev_set_uevent_suppress(&d->dev, true);
		ret = dev_set_name(&d->dev, "mpmcq-%s", d->name);
	}
	if (ret)
		return ret;
	ret = enter_device(d, is_default);
	if (ret)
		return ret;
	ret = device_add(&d->dev);
	if (ret) {
		leave_device(d);
		unuse_device(d);
		put_device(&d->dev);
	}
	return ret;
}

static struct mpmcq_device *make_device(const char *name, struct mpmcq_queue *q, umode_t mode)
{
	struct mpmcq_device *d = kzalloc(sizeof(*d), MPMCQ_GFP);

	if (!d)
		return NULL;
	strscpy(d->name, name, sizeof(d->name));
	d->queue = mpmcq_queue_get(q);
	d->uid = current_fsuid();
	d->gid = current_fsgid();
	d->mode = mode;
	device_initialize(&d->dev);
	d->dev.release = mpmcq_device_free;
	return d;
}

/* Gives a queue a name.  The device has one user then. */
static struct mpmcq_device *name_queue(const char *name, struct mpmcq_queue *q, umode_t mode,
				       bool is_default)
{
	struct mpmcq_device *d = make_device(name, q, mode);
	int ret;

	if (!d)
		return ERR_PTR(-ENOMEM);
	ret = mutex_lock_killable(&names_lock);
	if (!ret) {
		ret = find_device(name) ? -EEXIST : add_device(d, is_default);
		mutex_unlock(&names_lock);
	}
	if (ret) {
		put_device(&d->dev);
		return ERR_PTR(ret);
	}
	return d;
}

static bool name_taken(const char *name)
{
	bool taken;

	mutex_lock(&devices_lock);
	taken = find_device(name);
	mutex_unlock(&devices_lock);
	return taken;
}

/**
 * mpmcq_device_create() - make a queue with a name
 * @name: the name, which is valid
 * @config: what the queue is to be like
 * @mode: who may open it, as of a file; the caller is its owner
 *
 * Return: the device, with one user, or an ERR_PTR: -EEXIST if there is one of that
 * name, -EINTR if the caller is being killed, and those of mpmcq_queue_create() and
 * device_add().
 * Context: may sleep.
 */
struct mpmcq_device *mpmcq_device_create(const char *name, const struct mpmcq_config *config,
					 umode_t mode)
{
	struct mpmcq_device *d;
	struct mpmcq_queue *q;

	/* Looked at again before it counts; a queue is much to make for nothing. */
	if (name_taken(name))
		return ERR_PTR(-EEXIST);
	q = mpmcq_queue_create(config, true);
	if (IS_ERR(q))
		return ERR_CAST(q);
	d = name_queue(name, q, mode, false);
	mpmcq_queue_put(q);
	return d;
}

/**
 * mpmcq_device_open() - find a device by number
 * @minor: the number
 * @access: FMODE_READ and FMODE_WRITE, what the caller is about to do
 *
 * Who has come by a node may open it; that of a queue that a user has made takes that
 * user's leave, too: the node may be the copy of another with the same number.
 *
 * Return: the device, with one more user, or an ERR_PTR: -ENXIO, or -EACCES.
 * Context: may sleep.
 */
struct mpmcq_device *mpmcq_device_open(unsigned int minor, fmode_t access)
{
	struct mpmcq_device *d;

	mutex_lock(&devices_lock);
	d = idr_find(&devices, minor);
	if (!d)
		d = ERR_PTR(-ENXIO);
	else if (minor && !may_open(d, access))
		d = ERR_PTR(-EACCES);
	else
		use_device(d);
	mutex_unlock(&devices_lock);
	return d;
}

/**
 * mpmcq_device_open_name() - find a device by name
 * @name: the name
 * @access: FMODE_READ and FMODE_WRITE, what the caller is about to do
 *
 * Return: the device, with one more user, or an ERR_PTR: -ENOENT, or -EACCES if
 * its owner and mode forbid it.
 * Context: may sleep.
 */
struct mpmcq_device *mpmcq_device_open_name(const char *name, fmode_t access)
{
	struct mpmcq_device *d;

	mutex_lock(&devices_lock);
	d = find_named(name);
	if (!d)
		d = ERR_PTR(-ENOENT);
	else if (!may_open(d, access))
		d = ERR_PTR(-EACCES);
	else
		use_device(d);
	mutex_unlock(&devices_lock);
	return d;
}

/* Under names_lock; it still has its name, which is the caller's reference then. */
static void remove_device(struct mpmcq_device *d)
{
	leave_device(d);
	device_del(&d->dev);
}

/* Under either lock. */
static bool has_name(const struct mpmcq_device *d)
{
	return idr_find(&devices, MINOR(d->dev.devt)) == d;
}

/**
 * mpmcq_device_destroy() - take a device's name away, if it still has it
 * @d: the device; the caller is a user
 *
 * Context: may sleep; waits for readers of sysfs.
 */
void mpmcq_device_destroy(struct mpmcq_device *d)
{
	bool had_name;

	mutex_lock(&names_lock);
	had_name = has_name(d);
	if (had_name)
		remove_device(d);
	mutex_unlock(&names_lock);
	if (had_name)
		put_device(&d->dev);
}

/**
 * mpmcq_device_destroy_name() - take a name away
 * @name: the name
 *
 * The queue goes when nobody uses it any more.
 *
 * Return: 0; -ENOENT if there is none of that name; -EPERM if the caller is neither its
 * owner nor has CAP_SYS_ADMIN; -EINTR if it is being killed.
 * Context: may sleep; waits for readers of sysfs.
 */
int mpmcq_device_destroy_name(const char *name)
{
	struct mpmcq_device *d;
	int ret = mutex_lock_killable(&names_lock);

	if (ret)
		return ret;
	d = find_named(name);
	if (!d)
		ret = -ENOENT;
	else if (!uid_eq(current_fsuid(), d->uid) && !capable(CAP_SYS_ADMIN))
		ret = -EPERM;
	else
		remove_device(d);
	mutex_unlock(&names_lock);
	if (!ret)
		put_device(&d->dev);
	return ret;
}

/**
 * mpmcq_device_get() - have one more user
 * @d: the device; the caller is a user
 *
 * Return: @d.
 * Context: may sleep.
 */
struct mpmcq_device *mpmcq_device_get(struct mpmcq_device *d)
{
	mutex_lock(&devices_lock);
	use_device(d);
	mutex_unlock(&devices_lock);
	return d;
}

/* Another may come by the name, until it is gone: so under names_lock, and look again. */
static void destroy_if_unused(struct mpmcq_device *d)
{
	bool gone = false;

	mutex_lock(&names_lock);
	mutex_lock(&devices_lock);
	if (!d->users && has_name(d)) {
		idr_remove(&devices, MINOR(d->dev.devt));
		gone = true;
	}
	mutex_unlock(&devices_lock);
	if (gone)
		device_del(&d->dev);
	mutex_unlock(&names_lock);
	if (gone)
		put_device(&d->dev);
}

/**
 * mpmcq_device_put() - have one user less
 * @d: the device; destroyed if it is so created and that was the last one
 *
 * Context: may sleep; waits for readers of sysfs.
 */
void mpmcq_device_put(struct mpmcq_device *d)
{
	if (unuse_device(d) && d->queue->config.flags & MPMCQ_AUTO_DESTROY)
		destroy_if_unused(d);
	put_device(&d->dev);
}

/**
 * mpmcq_device_queue() - the queue of a device
 * @d: the device
 *
 * Context: any.
 */
struct mpmcq_queue *mpmcq_device_queue(const struct mpmcq_device *d)
{
	return d->queue;
}

/**
 * mpmcq_device_node() - name of the node of a device, in /dev and sysfs
 * @d: the device
 *
 * Context: any.
 */
const char *mpmcq_device_node(const struct mpmcq_device *d)
{
	return dev_name(&d->dev);
}

/**
 * mpmcq_device_name() - name of a device, as it was created
 * @d: the device
 *
 * Context: any.
 */
const char *mpmcq_device_name(const struct mpmcq_device *d)
{
	return d->name;
}

static int add_default(const struct mpmcq_config *config)
{
	struct mpmcq_queue *q = mpmcq_queue_create(config, false);
	struct mpmcq_device *d;

	if (IS_ERR(q))
		return PTR_ERR(q);
	d = name_queue(MPMCQ_DEFAULT, q, 0, true);
	mpmcq_queue_put(q);
	if (IS_ERR(d))
		return PTR_ERR(d);
	mpmcq_device_put(d);
	return 0;
}

/**
 * mpmcq_devices_init() - register class and device numbers, and make the default queue
 * @fops: what to do with open files
 * @config: what the default queue is to be like
 *
 * Its node can be opened before this returns.
 *
 * Return: 0, or an errno; -ENOMEM if there is no memory for the queue.
 * Context: may sleep.
 */
int mpmcq_devices_init(const struct file_operations *fops, const struct mpmcq_config *config)
{
	int ret = alloc_chrdev_region(&mpmcq_devt, 0, MPMCQ_MINORS, "mpmcq");

	if (ret)
		return ret;
	ret = class_register(&mpmcq_class);
	if (ret)
		goto err_region;
	/* A node without a device is of no harm, a device without its node is. */
	cdev_init(&mpmcq_cdev, fops);
	mpmcq_cdev.owner = THIS_MODULE;
	ret = cdev_add(&mpmcq_cdev, mpmcq_devt, MPMCQ_MINORS);
	if (ret)
		goto err_class;
	ret = add_default(config);
	if (ret)
		goto err_cdev;
	return 0;

err_cdev:
	cdev_del(&mpmcq_cdev);
err_class:
	class_unregister(&mpmcq_class);
err_region:
	unregister_chrdev_region(mpmcq_devt, MPMCQ_MINORS);
	return ret;
}

/**
 * mpmcq_devices_exit() - destroy all devices, and undo mpmcq_devices_init()
 *
 * No file is open.
 *
 * Return: how many messages were unread.
 * Context: may sleep.
 */
u64 mpmcq_devices_exit(void)
{
	struct mpmcq_device *d;
	u64 unread = 0;
	int minor;

	mutex_lock(&names_lock);
	idr_for_each_entry(&devices, d, minor) {
		unread += mpmcq_queue_depth(d->queue) + mpmcq_queue_dead(d->queue);
		remove_device(d);
		put_device(&d->dev);
	}
	mutex_unlock(&names_lock);
	idr_destroy(&devices);
	cdev_del(&mpmcq_cdev);
	class_unregister(&mpmcq_class);
	unregister_chrdev_region(mpmcq_devt, MPMCQ_MINORS);
	return unread;
}
