// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of the memory of queues and leases, and of the number of queues.
 *
 * A queue is charged from its creation until it is freed.  So is a table of leases, which does not
 * count as a queue.  Memory cgroups are charged besides.
 *
 * A charge is entered once in each of several accounts:
 *
 *  - the account of the creator's filesystem uid, as a kuid;
 *  - for each user namespace from the creator's up to the initial one, the account of the
 *    namespace's owner.  If the owner is global root, the namespace has its own account, so
 *    containers that root starts do not use up root's.  The initial namespace has none.
 *
 * So a user who maps many ids into a namespace gets no more than one user may have.
 *
 * kernel/ucount.c works like that.  A module cannot use it: it has no kinds for modules, and before
 * 7.3 its functions are not exported.  So the limits are module parameters, not sysctls of a
 * namespace.
 */

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

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
 * struct mpmcq_account - what a user, or a user namespace of global root, takes
 * @node: entry in the accounts
 * @uid: the user, if @ns is NULL
 * @ns: the namespace, with a reference; NULL for a user's account
 * @charges: number of charges entered here, and of calls about to enter one; the last one frees it
 * @queues: number of queues
 * @bytes: memory of queues and leases, in bytes
 *
 * @uid and @ns are written once, the rest under accounts_lock.
 */
struct mpmcq_account {
	struct hlist_node node;
	kuid_t uid;
	struct user_namespace *ns;
	unsigned int charges;
	unsigned long queues;
	unsigned long bytes;
};

/**
 * struct mpmcq_charge - memory that is entered in accounts
 * @quota: the limits of the set of queues, or NULL; stays as long as the charge
 * @bytes: memory in bytes
 * @queues: number of queues, 0 or 1
 * @n: number of accounts
 * @accounts: the accounts, each once
 */
struct mpmcq_charge {
	struct mpmcq_quota *quota;
	size_t bytes;
	unsigned int queues;
	unsigned int n;
	struct mpmcq_account *accounts[];
};

/* No memory is allocated under it. */
static DEFINE_MUTEX(accounts_lock);
static DEFINE_HASHTABLE(accounts, 8);	/* under accounts_lock */
static unsigned long total_bytes;	/* under accounts_lock */

/* Limits may change at any time, also to less than what is taken already. */
static bool exceeds(unsigned long have, unsigned long more, unsigned long limit)
{
	return more && (more > limit || have > limit - more);
}

static unsigned long total_limit(void)
{
	return READ_ONCE(max_total_bytes) ?: totalram_pages() / 4 << PAGE_SHIFT;
}

static unsigned long hash_of(kuid_t uid, const struct user_namespace *ns)
{
	return ns ? (unsigned long)ns : __kuid_val(uid);
}

/* Under accounts_lock. */
static struct mpmcq_account *find_account(kuid_t uid, const struct user_namespace *ns)
{
	struct mpmcq_account *account;

	hash_for_each_possible(accounts, account, node, hash_of(uid, ns))
		if (account->ns == ns && (ns || uid_eq(account->uid, uid)))
			return account;
	return NULL;
}

/* Returns the account, new if there was none, with one charge more; NULL without memory. */
static struct mpmcq_account *get_account(kuid_t uid, struct user_namespace *ns)
{
	struct mpmcq_account *account, *spare = NULL;

	for (;;) {
		mutex_lock(&accounts_lock);
		account = find_account(uid, ns);
		if (!account && spare) {
			account = spare;
			spare = NULL;
			account->uid = uid;
			account->ns = ns ? get_user_ns(ns) : NULL;
			hash_add(accounts, &account->node, hash_of(uid, ns));
		}
		if (account)
			account->charges++;
		mutex_unlock(&accounts_lock);
		if (account)
			break;
		spare = kzalloc(sizeof(*spare), GFP_KERNEL_ACCOUNT);
		if (!spare)
			return NULL;
	}
	kfree(spare);
	return account;
}

/* Under accounts_lock.  Leaves in the charge only the accounts that are unused now. */
static void put_accounts(struct mpmcq_charge *charge)
{
	unsigned int i, unused = 0;

	for (i = 0; i < charge->n; i++) {
		struct mpmcq_account *account = charge->accounts[i];

		if (--account->charges)
			continue;
		hash_del(&account->node);
		charge->accounts[unused++] = account;
	}
	charge->n = unused;
}

/* After put_accounts(). */
static void free_charge(struct mpmcq_charge *charge)
{
	while (charge->n) {
		struct mpmcq_account *account = charge->accounts[--charge->n];

		if (account->ns)
			put_user_ns(account->ns);
		kfree(account);
	}
	kfree(charge);
}

/* Frees a charge that is not entered. */
static void drop_charge(struct mpmcq_charge *charge)
{
	mutex_lock(&accounts_lock);
	put_accounts(charge);
	mutex_unlock(&accounts_lock);
	free_charge(charge);
}

/* Adds an account to the charge, unless it is there already.  Returns false without memory. */
static bool add_account(struct mpmcq_charge *charge, kuid_t uid, struct user_namespace *ns)
{
	struct mpmcq_account *account;
	unsigned int i;

	for (i = 0; i < charge->n; i++) {
		account = charge->accounts[i];
		if (account->ns == ns && (ns || uid_eq(account->uid, uid)))
			return true;
	}
	account = get_account(uid, ns);
	if (!account)
		return false;
	charge->accounts[charge->n++] = account;
	return true;
}

/* Makes a charge with the caller's accounts, but does not enter it; NULL without memory. */
static struct mpmcq_charge *make_charge(void)
{
	struct user_namespace *ns = current_user_ns();
	struct mpmcq_charge *charge;
	bool added;

	charge = kzalloc(struct_size(charge, accounts, ns->level + 1), GFP_KERNEL_ACCOUNT);
	if (!charge)
		return NULL;
	added = add_account(charge, current_fsuid(), NULL);
	for (; added && ns != &init_user_ns; ns = ns->parent)
		added = add_account(charge, ns->owner,
				    uid_eq(ns->owner, GLOBAL_ROOT_UID) ? ns : NULL);
	if (!added) {
		drop_charge(charge);
		return NULL;
	}
	return charge;
}

/* Under accounts_lock. */
static int check_limits(const struct mpmcq_charge *charge, bool exempt)
{
	const struct mpmcq_quota *quota = charge->quota;
	unsigned int i;

	for (i = 0; i < charge->n && !exempt; i++) {
		struct mpmcq_account *account = charge->accounts[i];

		if (exceeds(account->bytes, charge->bytes, READ_ONCE(max_user_bytes)) ||
		    exceeds(account->queues, charge->queues, READ_ONCE(max_user_queues)))
			return -EDQUOT;
	}
	if (quota && (exceeds(quota->bytes, charge->bytes,
			      READ_ONCE(quota->max_bytes) ?: ULONG_MAX) ||
		      exceeds(quota->queues, charge->queues,
			      READ_ONCE(quota->max_queues) ?: ULONG_MAX)))
		return -ENOSPC;
	if (exceeds(total_bytes, charge->bytes, total_limit()))
		return -ENOSPC;
	return 0;
}

/* Under accounts_lock. */
static void enter(struct mpmcq_charge *charge)
{
	unsigned int i;

	for (i = 0; i < charge->n; i++) {
		charge->accounts[i]->bytes += charge->bytes;
		charge->accounts[i]->queues += charge->queues;
	}
	if (charge->quota) {
		WRITE_ONCE(charge->quota->bytes, charge->quota->bytes + charge->bytes);
		WRITE_ONCE(charge->quota->queues, charge->quota->queues + charge->queues);
	}
	total_bytes += charge->bytes;
}

/* Under accounts_lock. */
static void leave(struct mpmcq_charge *charge)
{
	unsigned int i;

	for (i = 0; i < charge->n; i++) {
		charge->accounts[i]->bytes -= charge->bytes;
		charge->accounts[i]->queues -= charge->queues;
	}
	if (charge->quota) {
		WRITE_ONCE(charge->quota->bytes, charge->quota->bytes - charge->bytes);
		WRITE_ONCE(charge->quota->queues, charge->quota->queues - charge->queues);
	}
	total_bytes -= charge->bytes;
}

static int try_enter(struct mpmcq_charge *charge, bool exempt)
{
	int ret;

	mutex_lock(&accounts_lock);
	ret = check_limits(charge, exempt);
	if (!ret)
		enter(charge);
	mutex_unlock(&accounts_lock);
	return ret;
}

/**
 * mpmcq_charge() - charge memory to the caller's accounts
 * @quota: limits of the set of queues that the queue is in, which stay until mpmcq_uncharge();
 *	or NULL
 * @bytes: memory in bytes
 * @queues: number of queues, 0 or 1
 *
 * Return: the charge, or an ERR_PTR: -EFBIG if the queue is too large; -EDQUOT if an account would
 * exceed its limit and the caller lacks CAP_SYS_RESOURCE; -ENOSPC if the set, or all queues and
 * leases, would exceed theirs; -ENOMEM.
 * Context: may sleep.
 */
struct mpmcq_charge *mpmcq_charge(struct mpmcq_quota *quota, size_t bytes, unsigned int queues)
{
	struct mpmcq_charge *charge;
	int ret;

	if (queues && bytes > READ_ONCE(max_queue_bytes))
		return ERR_PTR(-EFBIG);
	charge = make_charge();
	if (!charge)
		return ERR_PTR(-ENOMEM);
	charge->quota = quota;
	charge->bytes = bytes;
	charge->queues = queues;
	ret = try_enter(charge, false);
	/* Asked for only where it makes a difference, because asking is audited. */
	if (ret == -EDQUOT && capable(CAP_SYS_RESOURCE))
		ret = try_enter(charge, true);
	if (ret) {
		drop_charge(charge);
		return ERR_PTR(ret);
	}
	return charge;
}

/**
 * mpmcq_uncharge() - take a charge off the accounts
 * @charge: from mpmcq_charge(), or NULL
 *
 * Context: may sleep.
 */
void mpmcq_uncharge(struct mpmcq_charge *charge)
{
	if (!charge)
		return;
	mutex_lock(&accounts_lock);
	leave(charge);
	put_accounts(charge);
	mutex_unlock(&accounts_lock);
	free_charge(charge);
}
