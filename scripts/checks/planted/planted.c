// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults that a debug kernel must report; the parameter says which one.
 */

#include <linux/kernel.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>

static char *fault = "";
module_param(fault, charp, 0444);

/* What the compiler must not see through. */
static int hidden = 64;
module_param(hidden, int, 0444);

static void use_after_free(void)
{
	char *p = kmalloc(hidden, GFP_KERNEL);

	kfree(p);
	WRITE_ONCE(p[8], 1);
}

static void undefined_shift(void)
{
	pr_info("%d\n", 1 << hidden);
}

static void sleep_in_atomic(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	kfree(kmalloc(hidden, GFP_KERNEL));
	spin_unlock(&lock);
}

static void lock_inversion(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);

	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void leak(void)
{
	char *p = kmalloc(hidden, GFP_KERNEL);

	/* Or the compiler drops what nobody uses. */
	OPTIMIZER_HIDE_VAR(p);
}

static void broken_list(void)
{
	LIST_HEAD(head);
	struct list_head entry = { .next = &head, .prev = &head };

	list_del(&entry);
}

/* For longer than the detector's patience, which the test sets. */
static void hung_task(void)
{
	schedule_timeout_uninterruptible(20 * HZ);
}

static const struct {
	const char *name;
	void (*commit)(void);
} faults[] = {
	{ "use_after_free", use_after_free },
	{ "undefined_shift", undefined_shift },
	{ "sleep_in_atomic", sleep_in_atomic },
	{ "lock_inversion", lock_inversion },
	{ "leak", leak },
	{ "broken_list", broken_list },
	{ "hung_task", hung_task },
};

static int __init planted_init(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!strcmp(fault, faults[i].name)) {
			faults[i].commit();
			return 0;
		}
	}
	return -EINVAL;
}

static void __exit planted_exit(void)
{
}

module_init(planted_init);
module_exit(planted_exit);

MODULE_DESCRIPTION("Faults for debug kernels to report");
MODULE_LICENSE("GPL");
