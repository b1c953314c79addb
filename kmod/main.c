// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load and unload, and the parameters of the default queue.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/stringify.h>

#include "device.h"
#include "queue.h"

#ifndef CONFIG_64BIT
#error "The positions of a ring need atomic operations on 64 bits that take no lock."
#endif

static struct mpmcq_queue *default_queue;
static struct mpmcq_device *default_device;

/* A number too large for its type is as bad a value as any other. */
static int param_set_limit(const char *val, const struct kernel_param *kp)
{
	return param_set_uint(val, kp) ? -EINVAL : 0;
}

static const struct kernel_param_ops param_ops_limit = {
	.set = param_set_limit,
	.get = param_get_uint,
};

static unsigned int capacity = 1024;
module_param_cb(capacity, &param_ops_limit, &capacity, 0444);
MODULE_PARM_DESC(capacity, "messages the queue has room for, a power of two from 2 to 1048576 (1024)");

static unsigned int msg_size = 1024;
module_param_cb(msg_size, &param_ops_limit, &msg_size, 0444);
MODULE_PARM_DESC(msg_size, "longest message in bytes, 1 to 65536 (1024)");

static int __init check_parameters(void)
{
	if (!is_power_of_2(capacity) || capacity < MPMCQ_CAPACITY_MIN ||
	    capacity > MPMCQ_CAPACITY_MAX) {
		pr_err("capacity=%u: must be a power of two from %u to %u\n",
		       capacity, MPMCQ_CAPACITY_MIN, MPMCQ_CAPACITY_MAX);
		return -EINVAL;
	}
	if (!msg_size || msg_size > MPMCQ_MSG_SIZE_MAX) {
		pr_err("msg_size=%u: must be from 1 to %u\n", msg_size, MPMCQ_MSG_SIZE_MAX);
		return -EINVAL;
	}
	return 0;
}

static int __init mpmcq_init(void)
{
	int ret = check_parameters();

	if (ret)
		return ret;
	default_queue = mpmcq_queue_create(capacity, msg_size);
	if (IS_ERR(default_queue)) {
		pr_err("no memory for capacity=%u msg_size=%u\n", capacity, msg_size);
		return PTR_ERR(default_queue);
	}
	ret = mpmcq_devices_init();
	if (ret)
		goto err_queue;
	default_device = mpmcq_device_add(default_queue);
	if (IS_ERR(default_device)) {
		ret = PTR_ERR(default_device);
		goto err_devices;
	}
	return 0;

err_devices:
	mpmcq_devices_exit();
err_queue:
	mpmcq_queue_destroy(default_queue);
	return ret;
}

static void __exit mpmcq_exit(void)
{
	u32 unread;

	mpmcq_device_remove(default_device);
	mpmcq_devices_exit();
	unread = mpmcq_queue_depth(default_queue);
	if (unread)
		pr_info("%u unread messages discarded\n", unread);
	mpmcq_queue_destroy(default_queue);
}

module_init(mpmcq_init);
module_exit(mpmcq_exit);

MODULE_DESCRIPTION("Lock-free queue of messages for any number of writers and readers");
MODULE_AUTHOR("The mpmcq developers");
MODULE_VERSION(__stringify(MPMCQ_MAJOR) "." __stringify(MPMCQ_MINOR) "." __stringify(MPMCQ_PATCH));
MODULE_LICENSE("GPL");
