// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/mpmcq, the default queue: its device node, and its attributes in sysfs.
 */

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/sysfs.h>

#include "compat.h"
#include "create.h"
#include "device.h"
#include "queue.h"

/* All written once, by mpmcq_device_init(). */
static struct mpmcq_queue *default_queue;
static struct class *mpmcq_class;
static struct cdev *mpmcq_cdev;
static dev_t mpmcq_devt;

#define MPMCQ_ATTR(name, value)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	struct mpmcq_queue *q = dev_get_drvdata(dev);				\
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
MPMCQ_ATTR(sent, mpmcq_queue_sent(q));
MPMCQ_ATTR(received, mpmcq_queue_received(q));
MPMCQ_ATTR(acked, mpmcq_queue_counter(q, MPMCQ_ACKED));
MPMCQ_ATTR(returned, mpmcq_queue_counter(q, MPMCQ_RETURNED));
MPMCQ_ATTR(set_aside, mpmcq_queue_counter(q, MPMCQ_SET_ASIDE));
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
	&dev_attr_set_aside.attr,
	&dev_attr_dropped.attr,
	NULL
};
ATTRIBUTE_GROUPS(mpmcq);

/**
 * mpmcq_device_queue() - the queue of a device number
 * @minor: the minor number, one of ours
 *
 * The minor of mpmcqfs files has no queue, because a copy of such a node in another filesystem must
 * open no queue.
 *
 * Return: the queue; NULL if the number has none.
 * Context: any; between mpmcq_device_init() and mpmcq_device_exit().
 */
struct mpmcq_queue *mpmcq_device_queue(unsigned int minor)
{
	return minor == MPMCQ_MINOR_DEFAULT ? default_queue : NULL;
}

/**
 * mpmcq_device_number() - the device number of one of our minors
 * @minor: the minor number
 *
 * Context: as mpmcq_device_queue().
 */
dev_t mpmcq_device_number(unsigned int minor)
{
	return MKDEV(MAJOR(mpmcq_devt), minor);
}

static int add_cdev(const struct file_operations *fops)
{
	int ret;

	/* Not static, because its last reference may be dropped after the module is gone. */
	mpmcq_cdev = cdev_alloc();
	if (!mpmcq_cdev)
		return -ENOMEM;
	mpmcq_cdev->ops = fops;
	mpmcq_cdev->owner = THIS_MODULE;
	ret = cdev_add(mpmcq_cdev, mpmcq_devt, MPMCQ_MINORS);
	if (ret)
		kobject_put(&mpmcq_cdev->kobj);
	return ret;
}

/**
 * mpmcq_device_init() - make the default queue and its device
 * @fops: operations of its open files
 * @config: configuration of the default queue; its values are in range
 *
 * The node may be opened before this returns, but not before the queue is complete.
 *
 * Return: 0, or an errno; -ENOMEM if there is no memory for the queue.
 * Context: may sleep.
 */
int mpmcq_device_init(const struct file_operations *fops, const struct mpmcq_config *config)
{
	struct device *dev;
	int ret;

	default_queue = mpmcq_queue_create(config, NULL);
	if (IS_ERR(default_queue))
		return PTR_ERR(default_queue);
	mpmcq_class = mpmcq_class_create("mpmcq");
	if (IS_ERR(mpmcq_class)) {
		ret = PTR_ERR(mpmcq_class);
		goto err_queue;
	}
	ret = alloc_chrdev_region(&mpmcq_devt, 0, MPMCQ_MINORS, "mpmcq");
	if (ret)
		goto err_class;
	ret = add_cdev(fops);
	if (ret)
		goto err_region;
	dev = device_create_with_groups(mpmcq_class, NULL,
					mpmcq_device_number(MPMCQ_MINOR_DEFAULT), default_queue,
					mpmcq_groups, "mpmcq");
	if (IS_ERR(dev)) {
		ret = PTR_ERR(dev);
		goto err_cdev;
	}
	return 0;

err_cdev:
	cdev_del(mpmcq_cdev);
err_region:
	unregister_chrdev_region(mpmcq_devt, MPMCQ_MINORS);
err_class:
	class_destroy(mpmcq_class);
err_queue:
	mpmcq_queue_put(default_queue);
	return ret;
}

/**
 * mpmcq_device_exit() - undo mpmcq_device_init()
 *
 * At unload no file is open, because an open file has a reference to the module.  After a load that
 * failed one may be open, and cdev_del() leaves it open, as with any driver.
 *
 * Return: how many messages of the default queue were unread, dead ones included.
 * Context: may sleep.
 */
u64 mpmcq_device_exit(void)
{
	u64 unread = mpmcq_queue_depth(default_queue) + mpmcq_queue_dead(default_queue);

	/* Waits for readers of attributes. */
	device_destroy(mpmcq_class, mpmcq_device_number(MPMCQ_MINOR_DEFAULT));
	cdev_del(mpmcq_cdev);
	unregister_chrdev_region(mpmcq_devt, MPMCQ_MINORS);
	class_destroy(mpmcq_class);
	mpmcq_queue_put(default_queue);
	return unread;
}
