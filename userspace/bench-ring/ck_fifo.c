// SPDX-License-Identifier: GPL-2.0-only
/*
 * Concurrency Kit: ck_hp_fifo, a linked queue whose nodes hazard pointers protect
 *
 * A node goes with a message that is not in the queue.  When the message is popped, the
 * node that leaves the queue is the one before its own, and takes the message's memory
 * with it to the stack of free nodes.
 */
#include <err.h>
#include <stddef.h>
#include <stdlib.h>

#include <ck_hp.h>
#include <ck_hp_fifo.h>
#include <ck_stack.h>

#include "verify.h"
#include "candidate.h"

/* How many nodes a thread may keep until it looks which are free. */
#define PENDING		64
#define NODES		(CAPACITY + 1 + MAX_THREADS * (PENDING + 2))

struct node {
	struct ck_hp_fifo_entry entry OWN_LINE;
	struct ck_stack_entry free;
	struct message *message;
};

struct fifo {
	struct ck_hp_fifo fifo OWN_LINE;
	struct ck_stack free OWN_LINE;
	struct ck_hp hazards OWN_LINE;
	struct node nodes[NODES] OWN_LINE;
	struct message messages[NODES];
};

struct thread {
	struct ck_hp_record record;
	void *pointers[CK_HP_FIFO_SLOTS_COUNT];
	struct fifo *fifo;
};

/* The destructor is told nothing else. */
static struct fifo *the_fifo;

static inline struct node *node_of(struct ck_hp_fifo_entry *entry)
{
	return (struct node *)((char *)entry - offsetof(struct node, entry));
}

static void node_free(void *entry)
{
	ck_stack_push_mpmc(&the_fifo->free, &node_of(entry)->free);
}

static inline struct node *node_new(struct fifo *f)
{
	struct ck_stack_entry *free = ck_stack_pop_mpmc(&f->free);

	return free ? (struct node *)((char *)free - offsetof(struct node, free)) : NULL;
}

static inline bool push(void *handle, const struct message *m)
{
	struct thread *t = handle;
	struct node *node = node_new(t->fifo);

	if (!node)
		return false;
	*node->message = *m;
	ck_hp_fifo_enqueue_mpmc(&t->record, &t->fifo->fifo, &node->entry, node->message);
	return true;
}

static inline bool pop(void *handle, struct message *m)
{
	struct thread *t = handle;
	struct message *message;
	struct ck_hp_fifo_entry *entry;

	entry = ck_hp_fifo_dequeue_mpmc(&t->record, &t->fifo->fifo, &message);
	if (!entry) {
		ck_hp_reclaim(&t->record);
		return false;
	}
	*m = *message;
	node_of(entry)->message = message;
	ck_hp_free(&t->record, &entry->hazard, entry, entry);
	return true;
}

#include "loops.h"

static void *fifo_open(void)
{
	struct fifo *f = aligned_alloc(64, sizeof(*f));

	if (!f)
		err(EXIT_FAILURE, "memory");
	the_fifo = f;
	ck_stack_init(&f->free);
	ck_hp_init(&f->hazards, CK_HP_FIFO_SLOTS_COUNT, PENDING, node_free);
	ck_hp_fifo_init(&f->fifo, &f->nodes[0].entry);
	for (unsigned int i = 1; i < NODES; i++) {
		f->nodes[i].message = &f->messages[i];
		node_free(&f->nodes[i].entry);
	}
	return f;
}

static void *fifo_attach(void *queue, unsigned int roles)
{
	struct fifo *f = queue;
	struct thread *t = aligned_alloc(64, (sizeof(*t) + 63) / 64 * 64);

	(void)roles;
	if (!t)
		err(EXIT_FAILURE, "memory");
	*t = (struct thread){ .fifo = f };
	ck_hp_register(&f->hazards, &t->record, t->pointers);
	return t;
}

const struct candidate candidate_ck_fifo = {
	.name = "ck-fifo",
	.text = "Concurrency Kit's ck_hp_fifo and ck_stack",
	.capacity = CAPACITY,
	.lock_free = true,
	.bounded = true,
	.fifo = true,
	.note = "the capacity is at least this",
	.open = fifo_open,
	.attach = fifo_attach,
	LOOPS,
};
