// SPDX-License-Identifier: GPL-2.0-only
/*
 * A ring of messages in shared memory; sleeps on and wakes by futexes
 *
 * What a user would write who needs no kernel but to sleep.  A bounded ring as Dmitry
 * Vyukov's: a slot's turn says whose it is.  It is 2 * lap when a sender may fill the slot
 * for that lap, 2 * lap + 1 when a receiver may empty it.  Positions are claimed by
 * compare-and-swap, the slot is handed on by a release store of its turn, which the other
 * side reads by an acquire load.
 *
 * Sleeping.  There are two events: "a slot was filled" and "a slot was emptied".
 *
 *	who waits			who makes it happen
 *	A1  waiters++			B1  hand the slot on
 *	A2  ticket = count		    fence
 *	A3  told = 0			B2  if no waiters, or told: done
 *	    fence			B3  if exchange(told, 1) was 1: done
 *	A4  look at the ring again	B4  count++, wake one
 *	A5  sleep if count == ticket
 *	A6  told = 0, fence, look; again from A1 if there is nothing
 *
 * The fences are sequentially consistent, so of two one is first.  Had A the first, then B2
 * sees the waiter; else A4 sees the slot.
 *
 * "told" says that somebody awake is going to look, which spares the others the call for as
 * long as who was woken waits for a processor.  Whoever resets it looks afterwards, and so
 * sees the slot of anybody who found it set and was done.  It is never set for nobody while
 * somebody sleeps: if B4 finds a sleeper, that one goes on at A6; if it finds none, then who
 * goes to sleep later has read its ticket after B4, or does not sleep, and so has reset what
 * B3 set.
 *
 * One is told at a time, and the slot in front may be the one of a sender that was
 * preempted, in which case who was woken for the next sleeps again.  So whoever takes the
 * front looks whether the slot behind it is ready too, and tells one more.  Either this look
 * sees that slot, or the one who hands it on has the later fence, and tells somebody who
 * sees the new front.
 *
 * While nobody sleeps, or is about to, there is no system call.  A process that is stopped or
 * killed in the middle of a call holds up the others: this is not lock-free, unlike our queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "process.h"
#include "shm_ring.h"
#include "transport.h"

#define LINE	64	/* bytes of a cache line */

/* Each of these, and the first part of the ring, has a line to itself. */
struct event {
	atomic_uint count;	/* the futex */
	atomic_uint waiters;
	atomic_uint told;
	char rest[LINE - 3 * sizeof(atomic_uint)];
};

struct front {
	atomic_uint position;
	char rest[LINE - sizeof(atomic_uint)];
};

struct slot {
	atomic_uint turn;
	unsigned int length;
	char message[];
};

struct shm_ring {
	unsigned int capacity;
	unsigned int shift;	/* capacity is 1 << shift */
	size_t size;		/* of the longest message */
	size_t stride;		/* from slot to slot */
	char rest[LINE - 2 * (sizeof(unsigned int) + sizeof(size_t))];
	struct front head;	/* next to fill */
	struct front tail;	/* next to empty */
	struct event filled;
	struct event emptied;
	char slots[];
};

static size_t ring_bytes(unsigned int capacity, size_t stride)
{
	return sizeof(struct shm_ring) + capacity * stride;
}

struct shm_ring *shm_ring_new(unsigned int capacity, size_t size)
{
	/* Whole lines, so that neighbours do not disturb each other. */
	size_t stride = (sizeof(struct slot) + size + LINE - 1) / LINE * LINE;
	struct shm_ring *r;

	if (capacity < 2 || capacity & (capacity - 1)) {
		errno = EINVAL;
		return NULL;
	}
	r = mmap(NULL, ring_bytes(capacity, stride), PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r == MAP_FAILED)
		return NULL;
	r->capacity = capacity;
	r->shift = __builtin_ctz(capacity);
	r->size = size;
	r->stride = stride;
	return r;
}

void shm_ring_free(struct shm_ring *r)
{
	munmap(r, ring_bytes(r->capacity, r->stride));
}

static void futex(atomic_uint *word, int op, unsigned int value, unsigned long *calls)
{
	++*calls;
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

/* The fence is the caller's. */
static void event_happened(struct event *e, unsigned long *calls)
{
	if (!atomic_load_explicit(&e->waiters, memory_order_relaxed) ||
	    atomic_load_explicit(&e->told, memory_order_relaxed) ||
	    atomic_exchange_explicit(&e->told, 1, memory_order_acq_rel))
		return;
	atomic_fetch_add_explicit(&e->count, 1, memory_order_release);
	futex(&e->count, FUTEX_WAKE, 1, calls);
}

static struct slot *slot_at(struct shm_ring *r, unsigned int position)
{
	return (struct slot *)(r->slots + (position & (r->capacity - 1)) * r->stride);
}

/* What the slot's turn is when this position may be filled (0), or emptied (1). */
static unsigned int turn_at(const struct shm_ring *r, unsigned int position, unsigned int side)
{
	/* Positions wrap, so laps do at 1 << (32 - shift), and turns with them. */
	return 2 * (position >> r->shift) + side;
}

static bool ready(struct shm_ring *r, unsigned int position, unsigned int side)
{
	return atomic_load_explicit(&slot_at(r, position)->turn, memory_order_acquire) ==
	       turn_at(r, position, side);
}

/* Claims the front, if it is ready; *@position is where. */
static bool claim(struct shm_ring *r, atomic_uint *front, unsigned int side,
		  unsigned int *position)
{
	unsigned int at = atomic_load_explicit(front, memory_order_relaxed);

	for (;;) {
		unsigned int now;

		if (ready(r, at, side)) {
			if (atomic_compare_exchange_weak_explicit(front, &at, at + 1,
								  memory_order_relaxed,
								  memory_order_relaxed))
				break;
			continue;
		}
		/* Not ready, or no longer the front. */
		now = atomic_load_explicit(front, memory_order_relaxed);
		if (now == at)
			return false;
		at = now;
	}
	*position = at;
	return true;
}

/* Hands the slot on, and wakes whom this concerns. */
static void hand_on(struct shm_ring *r, unsigned int position, unsigned int side,
		    unsigned long *calls)
{
	struct event *theirs = side ? &r->emptied : &r->filled;
	struct event *ours = side ? &r->filled : &r->emptied;
	unsigned int turn = turn_at(r, side ? position + r->capacity : position, !side);

	atomic_store_explicit(&slot_at(r, position)->turn, turn, memory_order_release);
	atomic_thread_fence(memory_order_seq_cst);
	event_happened(theirs, calls);
	if (atomic_load_explicit(&ours->waiters, memory_order_relaxed) &&
	    ready(r, position + 1, side))
		event_happened(ours, calls);
}

bool shm_ring_try_send(struct shm_ring *r, const void *message, size_t length,
		       unsigned long *calls)
{
	unsigned int position;
	struct slot *slot;

	if (!claim(r, &r->head.position, 0, &position))
		return false;
	slot = slot_at(r, position);
	slot->length = length;
	memcpy(slot->message, message, length);
	hand_on(r, position, 0, calls);
	return true;
}

bool shm_ring_try_receive(struct shm_ring *r, void *message, size_t *length,
			  unsigned long *calls)
{
	unsigned int position;
	struct slot *slot;

	if (!claim(r, &r->tail.position, 1, &position))
		return false;
	slot = slot_at(r, position);
	*length = slot->length;
	memcpy(message, slot->message, slot->length);
	hand_on(r, position, 1, calls);
	return true;
}

/* Who calls it is going to look. */
static void reset_told(struct event *e)
{
	atomic_exchange_explicit(&e->told, 0, memory_order_acq_rel);
	atomic_thread_fence(memory_order_seq_cst);
}

static unsigned int prepare(struct event *e)
{
	unsigned int ticket;

	atomic_fetch_add_explicit(&e->waiters, 1, memory_order_relaxed);
	ticket = atomic_load_explicit(&e->count, memory_order_acquire);
	reset_told(e);
	return ticket;
}

static void finish(struct event *e)
{
	atomic_fetch_sub_explicit(&e->waiters, 1, memory_order_relaxed);
}

static void sleep_on(struct event *e, unsigned int ticket, unsigned long *calls)
{
	futex(&e->count, FUTEX_WAIT, ticket, calls);
	finish(e);
	reset_told(e);
}

void shm_ring_send(struct shm_ring *r, const void *message, size_t length,
		   unsigned long *calls)
{
	while (!shm_ring_try_send(r, message, length, calls)) {
		unsigned int ticket = prepare(&r->emptied);

		if (shm_ring_try_send(r, message, length, calls)) {
			finish(&r->emptied);
			break;
		}
		sleep_on(&r->emptied, ticket, calls);
	}
}

size_t shm_ring_receive(struct shm_ring *r, void *message, unsigned long *calls)
{
	size_t length;

	while (!shm_ring_try_receive(r, message, &length, calls)) {
		unsigned int ticket = prepare(&r->filled);

		if (shm_ring_try_receive(r, message, &length, calls)) {
			finish(&r->filled);
			break;
		}
		sleep_on(&r->filled, ticket, calls);
	}
	return length;
}

/* --- as a transport --- */

static int ring_open(struct channel *c, size_t size)
{
	c->ring = shm_ring_new(ROOM, size);
	c->capacity = ROOM;
	return c->ring ? 0 : -1;
}

static int ring_begin(struct channel *c, bool producer)
{
	(void)producer;
	map_all(c->ring, ring_bytes(c->ring->capacity, c->ring->stride));
	return 0;
}

ssize_t ring_send(struct channel *c, const void *message, size_t size)
{
	shm_ring_send(c->ring, message, size, &c->calls);
	return size;
}

/* No message is longer than the ring was made for. */
ssize_t ring_receive(struct channel *c, void *message, size_t size)
{
	(void)size;
	return shm_ring_receive(c->ring, message, &c->calls);
}

static void ring_close(struct channel *c)
{
	shm_ring_free(c->ring);
}

const struct transport ring_transport = {
	.name = "shm-ring",
	.text = "a ring in shared memory, which sleeps on futexes",
	.kind = KIND_MEMORY,
	.open = ring_open,
	.begin = ring_begin,
	.send = ring_send,
	.receive = ring_receive,
	.close = ring_close,
};
