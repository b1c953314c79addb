/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_PARK_H
#define _MPMCQ_PARK_H

#include <linux/atomic.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/spinlock.h>
#include <linux/timerqueue.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct mpmcq_queue;

/**
 * struct mpmcq_park - messages that are parked until they are due
 * @q: the queue of the messages; park.c does not use it
 * @closings: changes when the queue is closed or reopened
 * @lock: protects @tree, @n, @all_due and @ending, and the arming of @timer; taken from process
 *	context only
 * @tree: the parked messages, in the order of their times; equal times in the order parked
 * @n: number of parked messages; also read without the lock
 * @all_due: every message is due while @closings has this value, which is odd; 0 at first; never
 *	goes back
 * @ending: @timer may not be armed any more
 * @timer: queues @work when the first message is due
 * @work: publishes the messages that are due
 * @nodes: one for each slot
 */
struct mpmcq_park {
	struct mpmcq_queue *q;
	const atomic_t *closings;
	spinlock_t lock;	/* see above */
	struct timerqueue_head tree;
	u32 n;
	int all_due;
	bool ending;
	struct hrtimer timer;
	struct work_struct work;
	struct timerqueue_node nodes[];
};

int mpmcq_parks_init(void);
void mpmcq_parks_exit(void);

size_t mpmcq_park_bytes(u32 capacity);
void mpmcq_park_init(struct mpmcq_park *p, u32 capacity, const atomic_t *closings,
		     work_func_t work);
void mpmcq_park_end(struct mpmcq_park *p);

bool mpmcq_park_add(struct mpmcq_park *p, const u32 *indices, unsigned int n, u32 delay_ms);
unsigned int mpmcq_park_remove_due(struct mpmcq_park *p, u32 *indices, unsigned int max);
void mpmcq_park_all_due(struct mpmcq_park *p, int closings);

void mpmcq_park_lock(struct mpmcq_park *p) __acquires(&p->lock);
void mpmcq_park_unlock(struct mpmcq_park *p) __releases(&p->lock);
int mpmcq_park_first(const struct mpmcq_park *p);
int mpmcq_park_after(const struct mpmcq_park *p, u32 index);
bool mpmcq_park_has(const struct mpmcq_park *p, u32 index);
u32 mpmcq_park_left_ms(const struct mpmcq_park *p, u32 index);

#endif /* _MPMCQ_PARK_H */
