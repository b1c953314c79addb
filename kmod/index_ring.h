/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * index_ring - a bounded lock-free FIFO of indices
 *
 * Any number of threads put and take at the same time.  An operation that is
 * stopped half-way, at any instruction and for good, holds up nobody: every
 * loop below goes round again only because another operation made progress, or at
 * most a lap of times.
 *
 * This is NCQ of R. Nikolaev, "A Scalable, Portable, and Memory-Efficient
 * Lock-Free FIFO Queue", DISC 2019, with operations on several indices added.
 *
 * The ring
 * --------
 * There are 2^order entries and at most 2^order indices in circulation, so a
 * ring can never be full.  Positions count up for ever; position P belongs to
 * lap P >> order and in it has an entry to itself.  An entry holds
 *
 *	lap << order | index
 *
 * and is "filled" for position P if its lap is that of P or a later one, and "open"
 * if it still has the lap before.  A put fills the first open entry by a
 * compare-and-swap; a take moves head on by a compare-and-swap over a filled entry:
 *
 *	         head   tail       end
 *	          v      v          v
 *	| taken | filled | filled | open | open |
 *
 * tail is a hint where the end, the first open entry, is to be looked for.  A put walks
 * from there over filled entries, and at last stores the position after its own in tail if tail
 * is not there yet, where NCQ has a compare-and-swap.  So tail lags behind while a put is stopped
 * before that store, and goes back if the put is stopped between the look and the store.
 *
 * What holds at all times:
 *
 *  - Entries are filled in the order of their positions: a position is filled
 *    only by a put that has found all entries before it filled, or knows it from tail
 *    or from an entry of a later lap.
 *  - tail never passes an entry that is not filled.
 *  - An entry that is overwritten has been taken: the indices put into the
 *    positions since then, and the one in hand, would otherwise be more than
 *    exist.
 *  - A ring is empty exactly when the entry at head is open.
 *
 * An entry of a later lap proves that every position before it has been filled, so the walk
 * continues right after it.  So however far tail lags, the walk looks at a lap of entries and one
 * more at most, unless others put meanwhile.
 *
 * Positions are 64 bits wide and never wrap in practice: at 10^9 operations a
 * second it takes 292 years.  So a compare-and-swap that succeeds has seen no
 * ABA.
 *
 * Memory order
 * ------------
 * What a thread wrote before it put an index is seen by the thread that takes
 * it: FILL releases, LOOK acquires.
 *
 * A put that finds an entry filled must not fill the next one in sight of anybody who
 * might still see the former one open, or a take could report the ring empty after a
 * put that had completed.  It finds it by LOOK, which acquires what FILL released, or by
 * TAIL, which acquires what MOVE released; and FILL passes that on.  (In the kernel's
 * memory model FILL would do so whatever LOOK and TAIL are, in that of C11 it would not.)
 *
 * Who counts indices looks for ends, and then at heads.  One that it sees to have
 * come to a ring, by LOOK or by TAIL, it sees to have left the one where it was.
 *
 * head needs no order of its own: the entry is found by the position that was
 * read (an address dependency), what it protects is handed over by the entry,
 * and the compare-and-swap fails unless the value read was the newest.
 *
 *  Label    Operation                              Pairs with
 *  FILL     compare-and-swap of an entry, release  LOOK
 *  LOOK     load of an entry, acquire              FILL
 *  MOVE     store of tail if it is less, release   TAIL
 *  TAIL     load of tail, acquire                  MOVE
 *  TAKE     compare-and-swap of head, relaxed      TAKE
 *  RECHECK  load of head after smp_rmb()           the owner's store-release
 *                                                  to what was peeked at
 *
 * Their litmus tests are FILL+LOOK, FILL+LOOK+reuse, FILL+LOOK+walk, FILL+LOOK+heads,
 * FILL+LOOK+round, MOVE+TAIL, MOVE+TAIL+walk, MOVE+TAIL+heads, MOVE+TAIL+skip, MOVE+TAIL+round,
 * TAKE+TAKE and RECHECK+LEN in Documentation/litmus-tests/.
 */
#ifndef _MPMCQ_INDEX_RING_H
#define _MPMCQ_INDEX_RING_H

#ifdef __KERNEL__
#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/cache.h>
#include <linux/kernel.h>
#include <linux/types.h>
#endif

#define INDEX_RING_EMPTY	(-1)

/**
 * struct index_ring_table - where the entries of a ring are
 * @entries: 2^order entries, each lap << order | index
 * @mask: 2^order - 1, the bits of a word that are not of the lap
 *
 * Passed by value: a compiler keeps a copy in registers, but after a compare-and-swap
 * loads again what is in memory.
 */
struct index_ring_table {
	atomic64_t *entries;
	s64 mask;
};

/**
 * struct index_ring - a bounded lock-free FIFO of indices
 * @table: its entries; written once, by index_ring_init()
 * @head: next position to take; takers compare-and-swap it
 * @tail: a position up to which all is filled, not always the last; putters store it
 *
 * Takers and putters have a cache line each.
 */
struct index_ring {
	struct index_ring_table table;
	atomic64_t head ____cacheline_aligned_in_smp;
	atomic64_t tail ____cacheline_aligned_in_smp;
};

/* How many laps an entry is ahead of a position, times 2^order. */
static inline s64 __index_ring_ahead(struct index_ring_table table, s64 entry, s64 pos)
{
	return (entry | table.mask) - (pos | table.mask);
}

/* What that is of one that is open to be filled there. */
static inline s64 __index_ring_open(struct index_ring_table table)
{
	return ~table.mask;	/* -2^order */
}

static inline u32 __index_ring_index(struct index_ring_table table, s64 entry)
{
	return entry & table.mask;
}

static inline s64 __index_ring_word(struct index_ring_table table, s64 pos, u32 index)
{
	return (pos & ~table.mask) | index;
}

/*
 * Runs of neighbours in position lie together, half a cache line of 64 bytes, as who puts
 * or takes many touches them one after the other.  In a table of more than two lines the
 * next run lies in another line, so that those who put and those who take, close behind,
 * seldom get in each other's way.  From one run to the next it is an odd number of runs,
 * so each position of a lap has an entry of its own.
 */
#define INDEX_RING_RUN	4
#define INDEX_RING_SKIP	((SMP_CACHE_BYTES / sizeof(atomic64_t) / INDEX_RING_RUN) & ~1ULL)
static_assert(!(INDEX_RING_RUN & (INDEX_RING_RUN - 1)));

static inline atomic64_t *__index_ring_entry(struct index_ring_table table, s64 pos)
{
	u64 run = (u64)pos & ~(INDEX_RING_RUN - 1ULL);

	return &table.entries[((u64)pos + run * INDEX_RING_SKIP) & table.mask];
}

/**
 * index_ring_init() - make a ring of given memory
 * @ring: the ring
 * @entries: 2^@order entries, all 0; must outlive the ring
 * @order: 1 to 30, so that an index fits an int
 * @count: indices 0 to @count - 1 are put in; at most 2^@order
 *
 * Context: any; nobody else may use the ring meanwhile.
 */
static inline void index_ring_init(struct index_ring *ring, atomic64_t *entries,
				   unsigned int order, u32 count)
{
	s64 size = 1LL << order;
	s64 i;

	ring->table.entries = entries;
	ring->table.mask = size - 1;
	/* Lap 0 is what the open entries hold, so positions start in lap 1. */
	for (i = 0; i < count; i++)
		atomic64_set(__index_ring_entry(ring->table, i), size | i);
	atomic64_set(&ring->head, size);
	atomic64_set(&ring->tail, size + count);
}

/*
 * Walks from @pos, below which every entry is filled, to the first open entry.  Returns its
 * position, and in @entry what it holds.
 */
static inline s64 __index_ring_walk(struct index_ring_table table, s64 pos, s64 *entry)
{
	for (;;) {
		*entry = atomic64_read_acquire(__index_ring_entry(table, pos));	/* LOOK */
		/* Less than any that is filled there. */
		if (*entry < __index_ring_word(table, pos, 0))
			return pos;
		/* Behind it, in the lap that it has. */
		pos += __index_ring_ahead(table, *entry, pos) + 1;
	}
}

/* Puts @index into the first open entry, found from @pos on; returns its position. */
static inline s64 __index_ring_fill(struct index_ring_table table, s64 pos, u32 index)
{
	s64 old;

	do {
		pos = __index_ring_walk(table, pos, &old);
	} while (!atomic64_try_cmpxchg_release(__index_ring_entry(table, pos), &old,
					       __index_ring_word(table, pos, index))); /* FILL */
	return pos;
}

/*
 * Stores @pos, below which every entry is filled, unless tail is there already.  A late store would
 * set tail back, and later puts would walk from there; only a put that is stopped between the two
 * lines below still does that.  A put may leave a further tail as it is, because the putter that
 * stored it has seen every entry below.
 */
static inline void __index_ring_move_tail(struct index_ring *ring, s64 pos)
{
	if (atomic64_read(&ring->tail) < pos)
		atomic64_set_release(&ring->tail, pos);	/* MOVE */
}

/**
 * index_ring_put() - put an index at the end
 * @ring: the ring
 * @index: an index that is in the caller's hands and in no ring
 *
 * Everything the caller wrote before is seen by whoever takes @index.
 *
 * Return: where it was put, to be compared with index_ring_head().
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline s64 index_ring_put(struct index_ring *ring, u32 index)
{
	s64 pos = atomic64_read_acquire(&ring->tail);	/* TAIL */

	pos = __index_ring_fill(ring->table, pos, index);
	__index_ring_move_tail(ring, pos + 1);
	return pos;
}

/**
 * index_ring_put_n() - put several indices at the end
 * @ring: the ring
 * @indices: indices that are in the caller's hands and in no ring
 * @n: how many; 0 puts none
 *
 * They come out in the order given; other putters' may come between.  Each one
 * can be taken as soon as it is in, before the call returns.
 *
 * Return: where the first was put, if any, to be compared with index_ring_head().
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline s64 index_ring_put_n(struct index_ring *ring, const u32 *indices, unsigned int n)
{
	const struct index_ring_table table = ring->table;
	s64 pos = atomic64_read_acquire(&ring->tail);	/* TAIL */
	s64 first = pos;
	unsigned int done;

	for (done = 0; done < n; done++) {
		pos = __index_ring_fill(table, pos, indices[done]);
		if (!done)
			first = pos;
		pos++;
	}
	__index_ring_move_tail(ring, pos);
	return first;
}

/**
 * index_ring_peek() - look at the index at the head
 * @ring: the ring
 * @pos: out: position of the head, also of an empty ring; for
 *	index_ring_take_at() and index_ring_at_head()
 *
 * The index stays where it is and may be taken by another at once.  So may
 * what it stands for be overwritten: of what the caller reads there it may
 * believe nothing until one of those two has returned true.
 *
 * Return: the index, or %INDEX_RING_EMPTY.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline int index_ring_peek(const struct index_ring *ring, s64 *pos)
{
	for (;;) {
		s64 head = atomic64_read(&ring->head);
		s64 entry = atomic64_read_acquire(__index_ring_entry(ring->table, head)); /* LOOK */
		s64 ahead = __index_ring_ahead(ring->table, entry, head);

		*pos = head;
		if (!ahead)
			return __index_ring_index(ring->table, entry);
		if (ahead == __index_ring_open(ring->table))
			return INDEX_RING_EMPTY;
		/* head has moved since */
	}
}

/**
 * index_ring_peek_n() - look at several indices, from the head on
 * @ring: the ring
 * @indices: out: the indices, in order
 * @n: at most so many; at least 1
 * @pos: out: as of index_ring_peek()
 *
 * As with that, nothing may be believed of the first until index_ring_take_at() or
 * index_ring_at_head() has returned true; of the others, until the former has.
 *
 * Return: how many there are; 0 if the ring is empty.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline unsigned int index_ring_peek_n(const struct index_ring *ring, u32 *indices,
					     unsigned int n, s64 *pos)
{
	const struct index_ring_table table = ring->table;
	int index = index_ring_peek(ring, pos);
	unsigned int got;
	s64 at = *pos;

	if (index == INDEX_RING_EMPTY)
		return 0;
	indices[0] = index;
	for (got = 1; got < n; got++) {
		s64 entry = atomic64_read_acquire(__index_ring_entry(table, ++at));	/* LOOK */

		if (__index_ring_ahead(table, entry, at))
			break;
		indices[got] = __index_ring_index(table, entry);
	}
	return got;
}

/**
 * index_ring_take_at() - take the indices that were peeked at
 * @ring: the ring
 * @pos: from index_ring_peek() or index_ring_peek_n()
 * @n: how many, from @pos on; at least 1, no more than were peeked at
 *
 * Return: true if the indices are now in the caller's hands, false if the first was
 * taken by another; then none is.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline bool index_ring_take_at(struct index_ring *ring, s64 pos, unsigned int n)
{
	return atomic64_try_cmpxchg_relaxed(&ring->head, &pos, pos + n);	/* TAKE */
}

/**
 * index_ring_at_head() - whether the head is still where it was
 * @ring: the ring
 * @pos: from index_ring_peek(), index_ring_peek_n() or index_ring_head()
 *
 * If so, nothing was taken since, and looks at the ring were looks at the entry there.
 * And what the caller has read through the index since it peeked belongs to
 * that index at that position, provided that it was read by READ_ONCE() and
 * that owners store it by smp_store_release().  Whoever overwrote it had the
 * index in hand, so head was moved before; who has read the new value and
 * then looks at head sees that.
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline bool index_ring_at_head(const struct index_ring *ring, s64 pos)
{
	smp_rmb();	/* RECHECK */
	return atomic64_read(&ring->head) == pos;
}

/**
 * index_ring_look() - look at an index that may not be the next
 * @ring: the ring
 * @pos: a position
 *
 * As with index_ring_peek(), nothing may be believed of what the index stands for until
 * index_ring_not_taken() has returned true.
 *
 * Return: the index; %INDEX_RING_EMPTY if there is none, yet or any more.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline int index_ring_look(const struct index_ring *ring, s64 pos)
{
	s64 entry = atomic64_read_acquire(__index_ring_entry(ring->table, pos));	/* LOOK */

	if (__index_ring_ahead(ring->table, entry, pos))
		return INDEX_RING_EMPTY;
	return __index_ring_index(ring->table, entry);
}

/**
 * index_ring_not_taken() - whether the index at a position is there, or is yet to come
 * @ring: the ring
 * @pos: the position
 *
 * What the caller has read before by the index belongs to it then, as with index_ring_at_head().
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline bool index_ring_not_taken(const struct index_ring *ring, s64 pos)
{
	smp_rmb();	/* RECHECK */
	return atomic64_read(&ring->head) <= pos;
}

/**
 * index_ring_take() - take the index at the head
 * @ring: the ring
 *
 * Everything that was written before the index was put is seen by the caller.
 *
 * Return: the index, or %INDEX_RING_EMPTY.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline int index_ring_take(struct index_ring *ring)
{
	s64 pos;
	int index;

	do {
		index = index_ring_peek(ring, &pos);
	} while (index != INDEX_RING_EMPTY && !index_ring_take_at(ring, pos, 1));
	return index;
}

/**
 * index_ring_take_n() - take several indices at the head
 * @ring: the ring
 * @indices: out: the indices, in order
 * @n: at most so many; at least 1
 *
 * Those that are taken were next to each other, and leave together.
 *
 * Return: how many were taken; 0 if the ring was empty.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline unsigned int index_ring_take_n(struct index_ring *ring, u32 *indices, unsigned int n)
{
	unsigned int got;
	s64 pos;

	while ((got = index_ring_peek_n(ring, indices, n, &pos)))
		if (index_ring_take_at(ring, pos, got))
			return got;
	return 0;
}

/**
 * index_ring_empty() - whether there is nothing to take
 * @ring: the ring
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline bool index_ring_empty(const struct index_ring *ring)
{
	s64 pos;

	return index_ring_peek(ring, &pos) == INDEX_RING_EMPTY;
}

/**
 * index_ring_head() - where the next index will be taken
 * @ring: the ring
 *
 * Return: the position at this moment.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline s64 index_ring_head(const struct index_ring *ring)
{
	return atomic64_read(&ring->head);
}

/**
 * index_ring_start() - position of the first index ever put into a ring
 * @ring: the ring
 *
 * Context: any.
 */
static inline s64 index_ring_start(const struct index_ring *ring)
{
	return ring->table.mask + 1;
}

/**
 * index_ring_end() - position of the first open entry
 * @ring: the ring
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline s64 index_ring_end(const struct index_ring *ring)
{
	s64 tail = atomic64_read_acquire(&ring->tail);	/* TAIL */
	s64 entry;

	return __index_ring_walk(ring->table, tail, &entry);
}

/**
 * index_ring_count() - about how many indices are in the ring
 * @ring: the ring
 *
 * Exact when nobody else uses the ring; otherwise an estimate between 0 and
 * 2^order.  Says nothing about emptiness: see index_ring_empty().
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline u32 index_ring_count(const struct index_ring *ring)
{
	s64 count = index_ring_end(ring) - atomic64_read(&ring->head);

	return clamp_t(s64, count, 0, ring->table.mask + 1);
}

/**
 * index_ring_hold_all() - whether one or two rings hold so many indices
 * @a: a ring
 * @b: another, or NULL
 * @n: how many
 *
 * Heads and ends move while they are looked for, but only forwards, and ends are found
 * first.  So between the last look for an end and the first at a head there were at
 * least as many indices in the rings as are counted; with @n all that there are, all
 * of them.
 *
 * Return: true if they held @n at some moment of the call; false if at some moment
 * they did not.
 * Context: any, also interrupts; concurrent with every operation on the rings.
 */
static inline bool index_ring_hold_all(const struct index_ring *a, const struct index_ring *b,
				       u32 n)
{
	s64 count = index_ring_end(a);

	if (b)
		count += index_ring_end(b);
	/* Heads are read after ends, by LOOK and TAIL. */
	count -= atomic64_read(&a->head);
	if (b)
		count -= atomic64_read(&b->head);
	return count >= n;
}

#endif /* _MPMCQ_INDEX_RING_H */
