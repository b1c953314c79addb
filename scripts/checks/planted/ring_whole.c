// SPDX-License-Identifier: GPL-2.0-only
/*
 * A sender and a receiver hand slots to each other through two rings, with plain
 * accesses to the slots: only the rings' memory order keeps them apart.
 */

#include <linux/bits.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

#include "index_ring.h"

#define ORDER		2
#define SLOTS		BIT(ORDER)

static int messages = 200000;
module_param(messages, int, 0444);

static atomic64_t entries[2][SLOTS];
static struct index_ring empty, ready;
static long slots[SLOTS];

static int take(struct index_ring *ring)
{
	int index;

	while ((index = index_ring_take(ring)) == INDEX_RING_EMPTY)
		cond_resched();
	return index;
}

static int sender(void *done)
{
	int i;

	for (i = 0; i < messages; i++) {
		int index = take(&empty);

		slots[index] = i;
		index_ring_put(&ready, index);
	}
	/* Not back into this module, which may be gone by then. */
	kthread_complete_and_exit(done, 0);
}

static int __init ring_init(void)
{
	DECLARE_COMPLETION_ONSTACK(done);
	struct task_struct *task;
	int i, wrong = 0;

	index_ring_init(&empty, entries[0], ORDER, SLOTS);
	index_ring_init(&ready, entries[1], ORDER, 0);
	task = kthread_run(sender, &done, "ring_sender");
	if (IS_ERR(task))
		return PTR_ERR(task);
	for (i = 0; i < messages; i++) {
		int index = take(&ready);

		if (slots[index] != i)
			wrong++;
		index_ring_put(&empty, index);
	}
	wait_for_completion(&done);
	return wrong ? -EIO : 0;
}

static void __exit ring_exit(void)
{
}

module_init(ring_init);
module_exit(ring_exit);

MODULE_DESCRIPTION("A sender and a receiver with two rings");
MODULE_LICENSE("GPL");
