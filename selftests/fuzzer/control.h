/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the controls of the fuzzer share: a queue, as the model knows it.  What a bad queue would do
 * is told to the model, which has to find it.
 */
#ifndef MPMCQ_FUZZ_CONTROL_H
#define MPMCQ_FUZZ_CONTROL_H

#include <poll.h>
#include <stddef.h>

#include "kselftest_harness.h"

#include "fuzz_expect.h"

FIXTURE(control)
{
	struct world *world;
	struct queue *q;
	struct open_file *f;
	struct order order;
	unsigned char buf[256];
	__u64 id;		/* of the last delivery */
};

FIXTURE_VARIANT(control)
{
	int workers;
};

FIXTURE_VARIANT_ADD(control, exact) { .workers = 1 };
FIXTURE_VARIANT_ADD(control, crowd) { .workers = 2 };

FIXTURE_SETUP(control)
{
	self->world = new_world(variant->workers, 4);
	self->q = share(sizeof(*self->q));
	self->f = share(sizeof(*self->f));
	ASSERT_TRUE(self->world && self->q && self->f);
	ASSERT_TRUE(list_init(&self->q->ready, 2) && list_init(&self->q->returned, 2) &&
		    list_init(&self->q->dead, 2) && list_init(&self->q->parked, 2) &&
		    list_init(&self->f->held, 2));
	self->q->like = (struct mpmcq_create){
		.capacity = 2, .msg_size = 64, .max_deliveries = 2, .levels = 1,
	};
	self->q->exact = variant->workers == 1;
	self->q->ordered = true;
	begin_queue(self->world, self->q);
	self->q->named = true;
	self->q->number = 7;
	opened(self->f, self->q, O_RDWR, 0, 0);
}

FIXTURE_TEARDOWN(control)
{
}

static inline int deliver_one(FIXTURE_DATA(control) * self, __u32 number, __u32 len)
{
	struct message m;
	int faults;

	write_message(self->buf, len, 0, number);
	faults = arrived(self->world, self->f, &self->order, self->buf, len, &m);
	m.id = ++self->id;
	return faults & (TORN | UNKNOWN) ? faults : faults | delivered(self->world, self->f, m);
}

static inline void send_one(FIXTURE_DATA(control) * self, struct message m)
{
	will_send(self->world, self->q, &m);
	sent(self->world, self->q, m);
}

#define send(number_, len_, ...) \
	send_one(self, (struct message){ .number = number_, .len = len_, __VA_ARGS__ })

#define message(number_)	(&(struct message){ .number = number_, .len = 20 })
#define deliver(number, len)	deliver_one(self, number, len)
#define account(unseen)	balance(self->world, self->q, 0, self->world->workers, unseen)

/* A fault that only an exact prediction tells. */
#define if_exact(fault)		(self->q->exact ? (fault) : 0)

#define of_20_bytes	.write = true, .total = 20, .there = 20, .may_wait = true
#define into_30_bytes	.total = 30, .there = 30, .may_refuse = true

#define lease(modes_, max) ({ \
	self->f->modes = MPMCQ_MODE_LEASE | (modes_); \
	self->f->max_held = max; \
	self->q->ordered = false; })

#define levels(n)	({ self->q->like.levels = n; self->q->ordered = false; })

/* What the reader says of the only message that it holds. */
#define end_with(fate_, ...) ({ \
	let_all_go(self->world, self->f); \
	end_all_leases(self->world, self->f, (struct verdict){ .fate = fate_, __VA_ARGS__ }); })

#define judge(ret, ...) ({ \
	const struct request r = { .file = self->f, __VA_ARGS__ }; \
	const struct expected e = expect(&r); \
	as_expected(&e, ret); })

#define is_closed() ({ \
	self->q->closed = true; \
	increment(&self->q->closings); })

#define SEQ(generation, slot)	((__u64)(generation) << SEQ_SHIFT | (slot))

#define delays()	({ self->q->like.flags = MPMCQ_DELAY; self->q->ordered = false; })
#define HOUR	3600000

#endif /* MPMCQ_FUZZ_CONTROL_H */
