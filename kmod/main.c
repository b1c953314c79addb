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

#include <linux/mpmcq.h>

#include "chardev.h"
#include "device.h"
#include "lease.h"
#include "queue.h"
#include "park.h"
#include "queuefs.h"

#ifndef CONFIG_64BIT
#error "The positions of a ring need atomic operations on 64 bits that take no lock."
#endif

/* A number too large for its type fails with -EINVAL, as any other bad value, not with -ERANGE. */
static int param_set_limit(const char *val, const struct kernel_param *kp)
{
	return param_set_uint(val, kp) ? -EINVAL : 0;
}

static const struct kernel_param_ops param_ops_limit = {
	.set = param_set_limit,
	.get = param_get_uint,
};

static unsigned int capacity = MPMCQ_CAPACITY_DEFAULT;
module_param_cb(capacity, &param_ops_limit, &capacity, 0444);
MODULE_PARM_DESC(capacity, "messages the queue has room for, a power of two from 2 to 1048576 (1024)");

static unsigned int msg_size = MPMCQ_MSG_SIZE_DEFAULT;
module_param_cb(msg_size, &param_ops_limit, &msg_size, 0444);
MODULE_PARM_DESC(msg_size, "longest message in bytes, 1 to 65536 (1024)");

static unsigned int lease_ms;
module_param_cb(lease_ms, &param_ops_limit, &lease_ms, 0444);
MODULE_PARM_DESC(lease_ms, "how long a lease of the queue lasts, in milliseconds, up to 2147483647; 0: as long as the open file (0)");

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
	if (lease_ms > INT_MAX) {
		pr_err("lease_ms=%u: must be from 0 to %d\n", lease_ms, INT_MAX);
		return -EINVAL;
	}
	return 0;
}

static int __init mpmcq_init(void)
{
	struct mpmcq_config config = {
		.max_deliveries = MPMCQ_MAX_DELIVERIES_DEFAULT,
		.levels = 1,
		.admin_closes = true,
	};
	int ret = check_parameters();

	if (ret)
		return ret;
	config.capacity = capacity;
	config.msg_size = msg_size;
	config.lease_ms = lease_ms;
	ret = mpmcq_parks_init();
	if (ret)
		return ret;
	ret = mpmcq_leases_init();
	if (ret)
		goto err_parks;
	ret = mpmcq_device_init(&mpmcq_fops, &config);
	if (ret == -ENOMEM)
		pr_err("no memory for capacity=%u msg_size=%u\n", capacity, msg_size);
	if (ret)
		goto err_leases;
	ret = mpmcq_queuefs_init();
	if (ret)
		goto err_device;
	return 0;

err_device:
	mpmcq_device_exit();
err_leases:
	mpmcq_leases_exit();
err_parks:
	mpmcq_parks_exit();
	return ret;
}

static void __exit mpmcq_exit(void)
{
	u64 unread;

	mpmcq_queuefs_exit();
	unread = mpmcq_device_exit();
	mpmcq_leases_exit();
	mpmcq_parks_exit();
	if (unread)
		pr_info("%llu unread messages discarded\n", unread);
}

module_init(mpmcq_init);
module_exit(mpmcq_exit);

MODULE_DESCRIPTION("Lock-free queue of messages for any number of writers and readers");
MODULE_AUTHOR("The mpmcq developers");
MODULE_VERSION(__stringify(MPMCQ_MAJOR) "." __stringify(MPMCQ_MINOR) "." __stringify(MPMCQ_PATCH));
MODULE_LICENSE("GPL");
