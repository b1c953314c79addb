// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ring of D. Vyukov, with the message beside the sequence number of its cell
 *
 * For position P, sequence P says that the cell may be written, P + 1 that it may be
 * read.
 */
#include <err.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "verify.h"
#include "candidate.h"

struct cell {
	atomic_ulong sequence OWN_LINE;
	unsigned long long words[WORDS];
};

struct vyukov {
	atomic_ulong head OWN_LINE;
	atomic_ulong tail OWN_LINE;
	struct cell cells[CAPACITY] OWN_LINE;
};

/* Claims the position at @at whose cell is at @step from it; NULL if there is none. */
static inline struct cell *claim(struct vyukov *v, atomic_ulong *at, unsigned long step,
				 unsigned long *pos)
{
	*pos = atomic_load_explicit(at, memory_order_relaxed);
	for (;;) {
		struct cell *cell = &v->cells[*pos % CAPACITY];
		unsigned long sequence = atomic_load_explicit(&cell->sequence,
							      memory_order_acquire);
		long ahead = sequence - (*pos + step);

		if (ahead < 0)
			return NULL;
		if (ahead)
			*pos = atomic_load_explicit(at, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(at, pos, *pos + 1,
							       memory_order_relaxed,
							       memory_order_relaxed))
			return cell;
	}
}

static inline bool push(void *handle, const struct message *m)
{
	struct vyukov *v = handle;
	unsigned long pos;
	struct cell *cell = claim(v, &v->tail, 0, &pos);

	if (!cell)
		return false;
	__builtin_memcpy(cell->words, m->words, sizeof(cell->words));
	atomic_store_explicit(&cell->sequence, pos + 1, memory_order_release);
	return true;
}

static inline bool pop(void *handle, struct message *m)
{
	struct vyukov *v = handle;
	unsigned long pos;
	struct cell *cell = claim(v, &v->head, 1, &pos);

	if (!cell)
		return false;
	__builtin_memcpy(m->words, cell->words, sizeof(cell->words));
	atomic_store_explicit(&cell->sequence, pos + CAPACITY, memory_order_release);
	return true;
}

#include "loops.h"

static void *vyukov_open(void)
{
	struct vyukov *v = aligned_alloc(64, sizeof(*v));

	if (!v)
		err(EXIT_FAILURE, "memory");
	atomic_init(&v->head, 0);
	atomic_init(&v->tail, 0);
	for (unsigned int i = 0; i < CAPACITY; i++)
		atomic_init(&v->cells[i].sequence, i);
	return v;
}

const struct candidate candidate_vyukov = {
	.name = "vyukov",
	.text = "D. Vyukov's ring, written for this comparison",
	.capacity = CAPACITY,
	.bounded = true,
	.fifo = true,
	.note = "who stops between claiming and publishing stops those behind",
	.open = vyukov_open,
	.attach = plain_attach,
	LOOPS,
};
