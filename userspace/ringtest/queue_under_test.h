/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The queue (what of kmod/ the Makefile lists as QUEUE) and mpmcq_file_poll(), as
 * shipped but for their kernel includes (the Makefile takes those out), on kernel.h; and a note of
 * which ring has which index, taken whenever one is put or taken.
 */
#ifndef _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H
#define _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H

#include "kernel.h"
#include "park.h"
#include "queue.h"
#include "search.h"

#define LEN_SHORT	8
#define LEN_LONG	16

/* Masks of the indices that are in each ring of a queue, or being put there. */
struct holds {
	unsigned int free, ready, returned, dead;
};

static struct holds holds, other_holds;

/* The queue, and one more to which messages are forwarded, if a test does that. */
static struct mpmcq_queue *queue, *other;

/*
 * Set when a reader was told that no message will come, and when a reader of dead ones
 * was: nothing may come to them from then on.
 */
static bool ended, dead_ended, other_ended;

/* Called when a send takes a message from ready to have its slot. */
static void (*on_drop)(u32 index);

/* Called when a message is about to be published in the other queue. */
static void (*on_forwarded)(u32 index);

static bool is_of_other(const struct index_ring *ring)
{
	return other && ring >= &other->free && ring <= &other->dead;
}

static unsigned int *holds_of(const struct index_ring *ring)
{
	const struct mpmcq_queue *q = is_of_other(ring) ? other : queue;
	struct holds *h = is_of_other(ring) ? &other_holds : &holds;

	return ring == &q->free ? &h->free : ring == &q->returned ? &h->returned :
		ring == &q->dead ? &h->dead : &h->ready;
}

static unsigned int held_by(const struct holds *h)
{
	return h->free | h->ready | h->returned | h->dead;
}

static unsigned int held_by_rings(void)
{
	return held_by(&holds) | parked_now;
}

static bool is_still(const void *p)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(shim_still); i++)
		if (p >= shim_still[i].from && p < shim_still[i].to)
			return true;
	return false;
}

static void note_put(const struct index_ring *ring, u32 index)
{
	bool elsewhere = is_of_other(ring);

	if ((elsewhere ? held_by(&other_holds) : held_by_rings()) & 1U << index)
		search_fault("an index was put that is in a ring");
	if (is_still(ring))
		search_fault("a ring is used that the test takes for unused");
	if (elsewhere && ring != &other->free && other_ended)
		search_fault("a message comes after the end");
	if (elsewhere && ring == &other->ready && on_forwarded)
		on_forwarded(index);
	if (!elsewhere && ended && ring != &queue->free && ring != &queue->dead)
		search_fault("a message comes after the end");
	if (!elsewhere && dead_ended && ring != &queue->free)
		search_fault("a message comes after the end");
	*holds_of(ring) |= 1U << index;
}

static void note_taken(const struct index_ring *ring, u32 index)
{
	if (!(*holds_of(ring) & 1U << index))
		search_fault("an index was taken that is not in the ring");
	*holds_of(ring) &= ~(1U << index);
}

/*
 * What the functions of index_ring.h keep in their local variables is gone when they
 * return; that need not be told apart any more.
 */
static s64 noted_put_n(struct index_ring *ring, const u32 *indices, unsigned int n)
{
	uint64_t seen = steps_seen(steps_self());
	s64 pos;

	for (unsigned int i = 0; i < n; i++)
		note_put(ring, indices[i]);
	pos = index_ring_put_n(ring, indices, n);
	steps_forget(seen);
	return saw(pos);
}

static s64 noted_put(struct index_ring *ring, u32 index)
{
	uint64_t seen = steps_seen(steps_self());
	s64 pos;

	note_put(ring, index);
	pos = index_ring_put(ring, index);
	steps_forget(seen);
	return saw(pos);
}

static unsigned int noted_take_n(struct index_ring *ring, u32 *indices, unsigned int n)
{
	uint64_t seen = steps_seen(steps_self());
	unsigned int got = index_ring_take_n(ring, indices, n);

	steps_forget(seen);
	saw(got);
	for (unsigned int i = 0; i < got; i++) {
		note_taken(ring, saw(indices[i]));
		if (!is_of_other(ring) && ring != &queue->free && ring != &queue->dead && on_drop)
			on_drop(indices[i]);
	}
	return got;
}

static int noted_peek(const struct index_ring *ring, s64 *pos)
{
	uint64_t seen = steps_seen(steps_self());
	int index = index_ring_peek(ring, pos);

	steps_forget(seen);
	saw(*pos);
	return saw(index);
}

static unsigned int noted_peek_n(const struct index_ring *ring, u32 *indices, unsigned int n,
				 s64 *pos)
{
	uint64_t seen = steps_seen(steps_self());
	unsigned int got = index_ring_peek_n(ring, indices, n, pos);

	steps_forget(seen);
	saw(*pos);
	for (unsigned int i = 0; i < got; i++)
		saw(indices[i]);
	return saw(got);
}

static bool noted_take_at(struct index_ring *ring, s64 pos, unsigned int n)
{
	if (!index_ring_take_at(ring, pos, n))
		return false;
	for (s64 i = pos; i < pos + n; i++) {
		s64 entry = __index_ring_entry(ring->table, i)->counter;

		note_taken(ring, __index_ring_index(ring->table, entry));
	}
	return true;
}

static bool noted_hold_all(struct index_ring *a, struct index_ring *b, u32 n)
{
	uint64_t seen = steps_seen(steps_self());
	bool all = index_ring_hold_all(a, b, n);

	steps_forget(seen);
	return saw(all);
}

static int noted_take(struct index_ring *ring)
{
	uint64_t seen = steps_seen(steps_self());
	int index = index_ring_take(ring);

	steps_forget(seen);
	if (index != INDEX_RING_EMPTY)
		note_taken(ring, index);
	return saw(index);
}

#define index_ring_put(ring, index)		noted_put(ring, index)
#define index_ring_put_n(ring, indices, n)	noted_put_n(ring, indices, n)
#define index_ring_take(ring)			noted_take(ring)
#define index_ring_take_n(ring, indices, n)	noted_take_n(ring, indices, n)
#define index_ring_peek(ring, pos)		noted_peek(ring, pos)
#define index_ring_peek_n(ring, indices, n, pos) noted_peek_n(ring, indices, n, pos)
#define index_ring_take_at(ring, pos, n)	noted_take_at(ring, pos, n)
#define index_ring_hold_all(a, b, n)		noted_hold_all(a, b, n)

#include "claim.h"

static int noted_claim_ready(struct mpmcq_queue *q, size_t room, s64 *pos, u32 *len)
{
	uint64_t seen = steps_seen(steps_self());
	int index = mpmcq_claim_ready_fast(q, room, pos, len);

	steps_forget(seen);
	if (index != INDEX_RING_EMPTY) {
		saw(*pos);
		saw(*len);
	}
	return saw(index);
}

#define mpmcq_claim_ready_fast(q, room, pos, len)	noted_claim_ready(q, room, pos, len)

#include "look.c"
#include "wake.c"
#include "close.c"
#include "put.c"
#include "wait.c"
#include "claim.c"
#include "redeliver.c"
#include "create.c"
#include "message.c"
#include "peek.c"
#include "forward.c"

#undef index_ring_put
#undef index_ring_put_n
#undef index_ring_take
#undef index_ring_take_n
#undef index_ring_peek
#undef index_ring_peek_n
#undef index_ring_take_at
#undef index_ring_hold_all
#undef mpmcq_claim_ready_fast

/* The limits are for a real kernel. */
struct mpmcq_charge *mpmcq_charge(struct mpmcq_quota *quota, size_t bytes, unsigned int queues)
{
	return NULL;
}

void mpmcq_uncharge(struct mpmcq_charge *charge)
{
}

/* Modes do not change here. */
#undef READ_ONCE
#define READ_ONCE(x)		(x)
#define smp_load_acquire(p)	(*(p))

#include "file.h"

/* Nobody who polls holds messages. */
bool mpmcq_holder_full(struct mpmcq_holder *h)
{
	return false;
}

/* Who forwards holds one; each call is a step, as it is under one lock. */
struct mpmcq_holder {
	struct mpmcq_queue *queue;
	u32 index;
	bool held;
};

int mpmcq_holder_len(struct mpmcq_holder *h, u64 id)
{
	step();
	return saw(h->held) ? (int)mpmcq_len(mpmcq_slot(h->queue, h->index)) : -ENOENT;
}

bool mpmcq_holder_release(struct mpmcq_holder *h, u64 id, u32 *index)
{
	step();
	if (!saw(h->held))
		return false;
	h->held = false;
	*index = saw(h->index);
	return true;
}

#include "poll.c"

/* What a test may do to a queue; to look for the rest is no step. */
enum {
	USES_RETURNED	= 1 << 0,	/* the ring */
	USES_DEAD	= 1 << 1,	/* the ring, and who waits for it */
	USES_LENGTHS	= 1 << 2,	/* messages are not all of LEN_SHORT */
	USES_ALL	= ~0,
};

static void leave_still(unsigned int i, bool still, const void *from, size_t size)
{
	shim_still[i].from = still ? from : NULL;
	shim_still[i].to = still ? (const char *)from + size : NULL;
}

static void leave_ring_still(unsigned int i, bool still, const struct index_ring *ring)
{
	leave_still(i, still, ring->table.entries,
		    sizeof(*ring->table.entries) * (ring->table.mask + 1));
	leave_still(i + 1, still, ring, sizeof(*ring));
}

/* The slots as far as steps look there: to write a length that is there is no step. */
static void leave_lengths_still(bool still)
{
	leave_still(4, still, queue->slots, queue->config.capacity * queue->stride);
	for (unsigned int i = 0; still && i < queue->config.capacity; i++)
		mpmcq_slot(queue, i)->word = LEN_SHORT;
}

static void set_up_waiters(struct mpmcq_waiters *w, bool used)
{
	w->tasks.unused = !used;
	w->pollers.unused = !used || !pollers;
}

/*
 * An empty queue of 2^@order slots whose rings are @skew positions on, with free's
 * indices backwards, so that no entry has by chance the index that comes next.
 */
static void queue_set_up(unsigned int order, unsigned int skew, u32 flags, u32 max_deliveries,
			 u32 levels, unsigned int uses)
{
	struct mpmcq_config config = { .capacity = 1U << order, .msg_size = LEN_LONG,
				       .levels = levels,
				       .flags = flags, .max_deliveries = max_deliveries };
	u32 indices[1 << order];
	unsigned int n = 0;

	if (queue)
		mpmcq_queue_put(queue);
	queue = mpmcq_queue_create(&config, NULL);
	set_up_waiters(&queue->readers, true);
	set_up_waiters(&queue->writers, true);
	set_up_waiters(&queue->dead_readers, uses & USES_DEAD);
	leave_ring_still(0, !(uses & USES_RETURNED), &queue->returned);
	leave_ring_still(2, !(uses & USES_DEAD), &queue->dead);
	leave_lengths_still(!(uses & USES_LENGTHS));
	memset(tasks, 0, sizeof(tasks));
	while (skew--) {
		int index = index_ring_take(&queue->free);

		index_ring_put(&queue->ready, index);
		index_ring_put(&queue->free, index_ring_take(&queue->ready));
	}
	while (n < 1U << order)
		indices[n++] = index_ring_take(&queue->free);
	while (n)
		index_ring_put(&queue->free, indices[--n]);
	memset(&holds, 0, sizeof(holds));
	holds.free = (1U << (1U << order)) - 1;
	ended = false;
	dead_ended = false;
}

/* An empty queue of 2^@order slots beside that, to forward to. */
static void other_set_up(unsigned int order)
{
	struct mpmcq_config config = { .capacity = 1U << order, .msg_size = LEN_LONG, .levels = 1 };

	if (other)
		mpmcq_queue_put(other);
	other = mpmcq_queue_create(&config, NULL);
	set_up_waiters(&other->readers, true);
	set_up_waiters(&other->writers, true);
	set_up_waiters(&other->dead_readers, false);
	other_holds = (struct holds){ .free = (1U << (1U << order)) - 1 };
	other_ended = false;
}

/* How many indices can be taken from a ring just now; unlike holds, not those being put. */
static unsigned int filled(const struct index_ring *ring)
{
	s64 head = ring->head.counter, pos = head;

	while (!__index_ring_ahead(ring->table, __index_ring_entry(ring->table, pos)->counter, pos))
		pos++;
	return pos - head;
}

static u64 value_at(struct mpmcq_queue *q, u32 index)
{
	return *(u64 *)mpmcq_slot(q, index)->data;
}

static u64 value_in(u32 index)
{
	return value_at(queue, index);
}

/* A message of which @value tells all. */
static ssize_t send_value(u64 value, bool is_long, unsigned int missing, bool bad, u32 wait_ms,
			  u32 priority)
{
	const struct mpmcq_caller by = { .priority = priority };

	struct iov_iter from = { .count = is_long ? LEN_LONG : LEN_SHORT, .value = value,
				 .missing = missing, .bad = bad };

	return mpmcq_send(queue, &from, wait_ms, &by);
}

/* A message that is parked. */
static ssize_t send_later(u64 value)
{
	struct iov_iter from = { .count = LEN_SHORT, .value = value };
	int ret = mpmcq_claim_slot(queue, &from, LEN_SHORT, MPMCQ_WAIT_FOREVER, 0);
	u32 index = ret;

	if (ret < 0)
		return ret;
	copy_in(mpmcq_slot(queue, index), LEN_SHORT, &from);
	mpmcq_slot_fill(mpmcq_slot(queue, index), LEN_SHORT);
	mpmcq_publish_delayed(queue, &index, 1, 1);
	return LEN_SHORT;
}

/* Two messages at once, as a packed write; how many there was room for, or an error. */
static int send_two(const u64 values[2])
{
	struct iov_iter from = { .count = 2 * LEN_SHORT };
	u32 indices[2];
	struct mpmcq_claim claim = { .wait_ms = MPMCQ_WAIT_FOREVER, .max = 2, .index = indices };
	int ret = mpmcq_claim_slots(queue, &claim, &from, LEN_SHORT);

	if (ret < 0)
		return ret;
	for (int i = 0; i < ret; i++) {
		struct mpmcq_slot *slot = mpmcq_slot(queue, indices[i]);

		from.value = values[i];
		copy_in(slot, LEN_SHORT, &from);
		mpmcq_slot_fill(slot, LEN_SHORT);
	}
	mpmcq_publish(queue, indices, ret);
	return ret;
}

/* A receive, as the tests want it. */
struct want {
	bool is_long;		/* room for a long message */
	u32 wait_ms;
	bool dead;		/* one that was set aside */
	bool packed;		/* as a packed read, for one */
	bool bad;		/* a bad address */
	unsigned int missing;	/* so often the page is */
	const u32 *held;	/* how many the open file holds */
	bool leased;		/* as a packed read with a lease, for one */
};

static struct iov_iter iter_for(const struct want *want)
{
	return (struct iov_iter) { .count = want->is_long ? LEN_LONG : LEN_SHORT,
				   .missing = want->missing, .bad = want->bad };
}

/* If it is not the usual case; leaves the message in @index. */
static ssize_t receive_otherwise(struct iov_iter *to, u32 *index, const struct want *want)
{
	struct mpmcq_claim claim = { .wait_ms = want->wait_ms, .dead = want->dead,
				     .held = want->held, .index = index };

	return mpmcq_receive(queue, to, &claim);
}

/* As a packed read with a lease does: a suspect only for one who holds nothing. */
static ssize_t receive_leased(struct iov_iter *to, u32 *index, const struct want *want)
{
	struct mpmcq_claim claim = { .room = to->count, .align = 1, .max = 1, .index = index,
				     .wait_ms = want->wait_ms,
				     .held = want->held, .holds = want->held };
	int ret = mpmcq_claim_messages(queue, &claim);

	if (ret <= 0)
		return ret;
	ret = mpmcq_len(mpmcq_slot(queue, *index));
	copy_out(mpmcq_slot(queue, *index), ret, to);
	return ret;
}

/* As a read with a lease in file.c; leaves the message in @index. */
static ssize_t receive_kept(u64 *value, u32 *index, const struct want *want)
{
	struct iov_iter to = iter_for(want);
	u64 id;
	ssize_t ret = want->leased ? receive_leased(&to, index, want) :
		      mpmcq_try_receive_leased(queue, &to, index, &id);

	if (!ret)
		ret = receive_otherwise(&to, index, want);
	*value = to.value;
	return ret;
}

/* As one without. */
static ssize_t receive_value(u64 *value, const struct want *want)
{
	struct iov_iter to = iter_for(want);
	ssize_t ret = want->dead || want->packed ? 0 : mpmcq_try_receive(queue, &to);
	u32 index;

	if (!ret) {
		ret = receive_otherwise(&to, &index, want);
		if (ret > 0)
			mpmcq_free_one(queue, index);
	}
	*value = to.value;
	return ret;
}

/* Up to two messages at once, as a packed read, which waits for one; how many. */
static int receive_two(u64 values[2])
{
	struct iov_iter to = { .count = 2 * LEN_SHORT };
	u32 indices[2];
	struct mpmcq_claim claim = { .wait_ms = MPMCQ_WAIT_FOREVER, .room = 2 * LEN_SHORT,
				     .align = 1, .max = 2,
				     .index = indices };
	int ret = mpmcq_try_claim_messages(queue, &claim);

	if (ret == -EAGAIN) {
		claim.max = 1;
		ret = mpmcq_claim_messages(queue, &claim);
	}
	if (ret <= 0)
		return ret;
	for (int i = 0; i < ret; i++) {
		copy_out(mpmcq_slot(queue, indices[i]), LEN_SHORT, &to);
		values[i] = to.value;
	}
	mpmcq_free(queue, indices, ret);
	return ret;
}

/*
 * As poll(2): whether the queue can do one of @events, for an open file with that access
 * and those modes; unless interrupted, with @wait.
 */
static bool poll_queue(unsigned int access, u32 modes, __poll_t events, bool exclusive, bool wait)
{
	struct mpmcq_file f = { .queue = queue, .modes = modes };
	struct file file = { .private_data = &f, .f_mode = access };
	struct poll_table table = { .enter = wait, .exclusive = exclusive, .events = events };
	bool able;

	while (!(able = mpmcq_file_poll(&file, &table) & (events | EPOLLHUP)) && wait &&
	       !signal_pending(current)) {
		table.enter = false;
		set_current_state(TASK_INTERRUPTIBLE);
		step();
		if (!saw(current->triggered))
			schedule();
		current->sleepy = false;
		step();
		current->triggered = false;
	}
	poll_freewait(&table);
	return able;
}

static uint64_t hash_waiters(uint64_t hash, const wait_queue_head_t *head)
{
	for (unsigned int i = 0; i < head->n; i++)
		hash = search_mix(hash, (head->entries[i].private - tasks) << 1 |
				  head->entries[i].exclusive | (u64)head->entries[i].polls << 32);
	return search_mix(hash, -1);
}

static uint64_t hash_ring(uint64_t hash, const struct index_ring *ring)
{
	if (is_still(ring))
		return hash;
	hash = search_mix(hash, ring->head.counter);
	hash = search_mix(hash, ring->tail.counter);
	for (unsigned int i = 0; i <= ring->table.mask; i++)
		hash = search_mix(hash, ring->table.entries[i].counter);
	return hash;
}

/* Slots, who waits, and rings. */
static uint64_t hash_inside(uint64_t hash, struct mpmcq_queue *q)
{
	hash = search_mix(hash, q->closings.counter);
	for (unsigned int i = 0; i < q->config.capacity; i++) {
		const struct mpmcq_slot *slot = mpmcq_slot(q, i);

		hash = search_mix(hash, slot->word);
		if (peekers)
			hash = search_mix(hash, slot->generation);
		hash = search_mix(hash, value_at(q, i));
	}
	hash = hash_waiters(hash, &q->readers.tasks);
	hash = hash_waiters(hash, &q->readers.pollers);
	hash = hash_waiters(hash, &q->writers.tasks);
	hash = hash_waiters(hash, &q->writers.pollers);
	hash = hash_waiters(hash, &q->dead_readers.tasks);
	hash = hash_waiters(hash, &q->dead_readers.pollers);
	hash = hash_ring(hash_ring(hash, &q->free), &q->ready);
	for (unsigned int i = 1; i < q->config.levels; i++)
		hash = hash_ring(hash, &q->lower[i - 1]);
	return hash_ring(hash_ring(hash, &q->returned), &q->dead);
}

static uint64_t hash_holds(uint64_t hash, const struct holds *h)
{
	return search_mix(search_mix(hash, h->free), h->ready << 8 | h->returned << 16 |
			  h->dead << 24);
}

static uint64_t hash_queue(void)
{
	uint64_t hash = hash_holds(0, &holds);

	if (queue->park)
		hash = search_mix(search_mix(hash, queue->park->all_due), parked_now);
	hash = search_mix(hash, ended | dead_ended << 1 | other_ended << 2);
	hash = search_mix(hash, mpmcq_queue_counter(queue, MPMCQ_DROPPED));
	for (unsigned int i = 0; i < STEPS_MAX_THREADS; i++)
		hash = search_mix(hash, tasks[i].sleepy | tasks[i].asleep << 1 |
				  tasks[i].signalled << 2 | tasks[i].triggered << 3 |
				  tasks[i].struck << 4 | tasks[i].timed_out << 5);
	hash = hash_inside(hash, queue);
	return other ? hash_inside(hash_holds(hash, &other_holds), other) : hash;
}

#endif /* _MPMCQ_RINGTEST_QUEUE_UNDER_TEST_H */
