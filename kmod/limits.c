// SPDX-License-Identifier: GPL-2.0-only
/*
 * How much queues may take: each, those of a user, and all.
 *
 * What counts is the memory of a queue, from its creation until it is freed, on the
 * account of the user who made it; and that of the table by which an open file holds
 * messages.  Memory cgroups are charged besides.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uidgid.h>

#include "limits.h"

static unsigned long max_queue_bytes = 256UL << 20;
module_param(max_queue_bytes, ulong, 0644);
MODULE_PARM_DESC(max_queue_bytes, "most memory that a queue may take, in bytes (256 MiB)");

static unsigned long max_user_bytes = 256UL << 20;
module_param(max_user_bytes, ulong, 0644);
MODULE_PARM_DESC(max_user_bytes, "most memory that a user's queues and leases may take, in bytes (256 MiB)");

static unsigned long max_total_bytes;
module_param(max_total_bytes, ulong, 0644);
MODULE_PARM_DESC(max_total_bytes, "most memory that all queues and leases may take, in bytes; 0: a quarter of all there is (0)");

static unsigned int max_user_queues = 1024;
module_param(max_user_queues, uint, 0644);
MODULE_PARM_DESC(max_user_queues, "most queues that a user may have (1024)");

/**
 * struct mpmcq_user - what a user has
 * @node: among the users; there are those who have something
 * @uid: the user
 * @queues: number of queues
 * @bytes: memory of queues, and of what holds leases, in bytes
 *
 * All but @uid is protected by users_lock.
 */
struct mpmcq_user {
	struct list_head node;
	kuid_t uid;
	unsigned long queues;
	size_t bytes;
};

static DEFINE_MUTEX(users_lock);
static LIST_HEAD(users);
static size_t total_bytes;	/* under users_lock */

/* Parameters may change at any time, also to less than there is already. */
static bool exceeds(size_t have, size_t more, unsigned long limit)
{
	return more > limit || have > limit - more;
}

static unsigned long total_limit(void)
{
	return READ_ONCE(max_total_bytes) ?: totalram_pages() / 4 << PAGE_SHIFT;
}

/* Under users_lock: the caller's entry, made of @spare if there is none. */
static struct mpmcq_user *user_of(kuid_t uid, struct mpmcq_user *spare)
{
	struct mpmcq_user *user;

	list_for_each_entry(user, &users, node)
		if (uid_eq(user->uid, uid))
			return user;
	spare->uid = uid;
	list_add(&spare->node, &users);
	return spare;
}

/* Under users_lock. */
static void forget_if_idle(struct mpmcq_user *user)
{
	if (user->queues || user->bytes)
		return;
	list_del(&user->node);
	kfree(user);
}

/* Under users_lock. */
static int enter(struct mpmcq_user *user, size_t bytes, unsigned int queues, bool user_limited,
		 bool total_limited)
{
	if (user_limited && (exceeds(user->bytes, bytes, READ_ONCE(max_user_bytes)) ||
			     exceeds(user->queues, queues, READ_ONCE(max_user_queues))))
		return -EDQUOT;
	if (total_limited && exceeds(total_bytes, bytes, total_limit()))
		return -ENOSPC;
	user->queues += queues;
	user->bytes += bytes;
	total_bytes += bytes;
	return 0;
}

/**
 * mpmcq_charge() - enter memory in the caller's account
 * @bytes: how much
 * @queues: how many queues it is, 0 or 1
 * @limited: whether limits apply
 *
 * Return: the account, for mpmcq_uncharge(), or an ERR_PTR: -EFBIG if the queue is too
 * large, -EDQUOT if the user has too much or too many and lacks CAP_SYS_RESOURCE,
 * -ENOSPC if all have too much, -ENOMEM.
 * Context: may sleep.
 */
struct mpmcq_user *mpmcq_charge(size_t bytes, unsigned int queues, bool limited)
{
	struct mpmcq_user *user, *spare;
	bool exempt = !limited;
	int ret;

	if (limited && queues && bytes > READ_ONCE(max_queue_bytes))
		return ERR_PTR(-EFBIG);
	for (;;) {
		spare = kzalloc(sizeof(*spare), MPMCQ_GFP);
		if (!spare)
			return ERR_PTR(-ENOMEM);
		mutex_lock(&users_lock);
		user = user_of(current_fsuid(), spare);
		if (user == spare)
			spare = NULL;
		ret = enter(user, bytes, queues, !exempt, limited);
		if (ret)
			forget_if_idle(user);
		mutex_unlock(&users_lock);
		kfree(spare);
		if (!ret)
			return user;
		/* Asked only where it makes a difference. */
		if (ret != -EDQUOT || exempt || !capable(CAP_SYS_RESOURCE))
			return ERR_PTR(ret);
		exempt = true;
	}
}

/**
 * mpmcq_uncharge() - take memory off an account
 * @user: from mpmcq_charge()
 * @bytes: as there
 * @queues: as there
 *
 * Context: may sleep.
 */
void mpmcq_uncharge(struct mpmcq_user *user, size_t bytes, unsigned int queues)
{
	mutex_lock(&users_lock);
	user->queues -= queues;
	user->bytes -= bytes;
	total_bytes -= bytes;
	forget_if_idle(user);
	mutex_unlock(&users_lock);
}
