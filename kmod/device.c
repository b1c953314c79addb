// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device node /dev/mpmcq, and what sysfs shows of its queue.
 */

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "device.h"
#include "file.h"
#include "queue.h"

/**
 * struct mpmcq_device - a node and its queue
 * @dev: the device in sysfs; the last reference to it frees the struct
 * @cdev: the character device; has a reference on @dev
 * @queue: the queue; outlives the node, and an open file pins the module and
 *	so both
 *
 * Written once, by mpmcq_device_add().
 */
struct mpmcq_device {
	struct device dev;
	struct cdev cdev;
	struct mpmcq_queue *queue;
};

static dev_t mpmcq_devt;

static struct mpmcq_queue *queue_of(struct device *dev)
{
	return container_of(dev, struct mpmcq_device, dev)->queue;
}

static ssize_t capacity_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", queue_of(dev)->capacity);
}
static DEVICE_ATTR_RO(capacity);

static ssize_t msg_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", queue_of(dev)->msg_size);
}
static DEVICE_ATTR_RO(msg_size);

static ssize_t depth_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", mpmcq_queue_depth(queue_of(dev)));
}
static DEVICE_ATTR_RO(depth);

static struct attribute *mpmcq_attrs[] = {
	&dev_attr_capacity.attr,
	&dev_attr_msg_size.attr,
	&dev_attr_depth.attr,
	NULL
};
ATTRIBUTE_GROUPS(mpmcq);

static struct class mpmcq_class = {
	.name		= "mpmcq",
	.dev_groups	= mpmcq_groups,
};

/*
 * Finds the queue; from then on the open file knows nothing of devices.  It
 * takes the new operations' reference on the module in the old ones' place.
 */
static int mpmcq_device_open(struct inode *inode, struct file *file)
{
	struct mpmcq_device *d = container_of(inode->i_cdev, struct mpmcq_device, cdev);

	__module_get(THIS_MODULE);
	replace_fops(file, &mpmcq_fops);
	return mpmcq_file_open(file, d->queue);
}

static const struct file_operations mpmcq_device_fops = {
	.owner	= THIS_MODULE,
	.open	= mpmcq_device_open,
};

static void mpmcq_device_release(struct device *dev)
{
	kfree(container_of(dev, struct mpmcq_device, dev));
}

/**
 * mpmcq_device_add() - make the node of a queue
 * @q: the queue; must stay until mpmcq_device_remove() has returned
 *
 * The node can be opened before this returns.
 *
 * Return: the device, or an ERR_PTR.
 * Context: may sleep.
 */
struct mpmcq_device *mpmcq_device_add(struct mpmcq_queue *q)
{
	struct mpmcq_device *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int ret;

	if (!d)
		return ERR_PTR(-ENOMEM);

	d->queue = q;
	device_initialize(&d->dev);
	d->dev.class = &mpmcq_class;
	d->dev.devt = mpmcq_devt;
	d->dev.release = mpmcq_device_release;
	cdev_init(&d->cdev, &mpmcq_device_fops);
	d->cdev.owner = THIS_MODULE;
	ret = dev_set_name(&d->dev, "mpmcq");
	if (!ret)
		ret = cdev_device_add(&d->cdev, &d->dev);
	if (ret) {
		put_device(&d->dev);
		return ERR_PTR(ret);
	}
	return d;
}

/**
 * mpmcq_device_remove() - take the node of a queue away
 * @d: the device; none of its files is open
 *
 * Context: may sleep; waits for readers of sysfs.
 */
void mpmcq_device_remove(struct mpmcq_device *d)
{
	cdev_device_del(&d->cdev, &d->dev);
	put_device(&d->dev);
}

/**
 * mpmcq_devices_init() - register the class and the device numbers
 *
 * Return: 0 or an errno.
 * Context: may sleep.
 */
int mpmcq_devices_init(void)
{
	int ret = alloc_chrdev_region(&mpmcq_devt, 0, 1, "mpmcq");

	if (ret)
		return ret;
	ret = class_register(&mpmcq_class);
	if (ret)
		unregister_chrdev_region(mpmcq_devt, 1);
	return ret;
}

/**
 * mpmcq_devices_exit() - undo mpmcq_devices_init(); no device is left
 *
 * Context: may sleep.
 */
void mpmcq_devices_exit(void)
{
	class_unregister(&mpmcq_class);
	unregister_chrdev_region(mpmcq_devt, 1);
}
