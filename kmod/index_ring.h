/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * index_ring - a bounded lock-free FIFO of indices, for any number of putters and takers
 *
 * This is NCQ of R. Nikolaev, "A Scalable, Portable, and Memory-Efficient Lock-Free FIFO Queue",
 * DISC 2019, with operations on several indices added.
 *
 * The ring has 2^order entries, and at most 2^order indices are in circulation, so a put always
 * finds room.  Positions count up for ever.  Position P belongs to lap P >> order and has an entry
 * of its own in that lap.  An entry holds lap << order | index.  It is "filled" for P if its lap is
 * that of P or a later one, and "open" if its lap is the one before.
 *
 *	         head   tail       end
 *	          v      v          v
 *	| taken | filled | filled | open | open |
 *
 * The end is the first open entry.  tail is a hint where to look for the end.
 *
 *	put                                     take
 *	reads tail                      TAIL    reads head
 *	walks from there to the end     LOOK    finds the entry at head filled  LOOK
 *	fills it by compare-and-swap    FILL    moves head by compare-and-swap  TAKE
 *	stores tail if that was less    MOVE
 *
 * Invariant: entries are filled in the order of their positions, see __index_ring_fill().
 * Invariant: every entry below tail is filled, see __index_ring_move_tail().
 * Invariant: the ring is empty exactly when the entry at head is open.
 *
 * An operation that is stopped at any instruction, for good, holds up no other operation.  Every
 * loop below repeats because another operation made progress, or at most 2^order + 1 times.
 *
 * Positions have 64 bits: 10^9 operations a second take 292 years to wrap them.  So a
 * compare-and-swap that succeeds has seen no ABA.
 *
 *  Label    Operation                              Pairs with
 *  FILL     compare-and-swap of an entry, release  LOOK
 *  LOOK     load of an entry, acquire              FILL
 *  MOVE     store of tail if it is less, release   TAIL
 *  TAIL     load of tail, acquire                  MOVE
 *  TAKE     compare-and-swap of head, relaxed      TAKE
 *  RECHECK  load of head after smp_rmb()           the owner's store-release to what was peeked at
 *
 * The litmus tests in Documentation/litmus-tests/ are named at the functions.
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
 * @mask: 2^order - 1, the bits of an entry that hold the index
 *
 * Passed by value, so that a compiler keeps a copy in registers.  It would reload values in memory
 * after each compare-and-swap.
 */
struct index_ring_table {
	atomic64_t *entries;
	s64 mask;
};

/**
 * struct index_ring - a bounded lock-free FIFO of indices
 * @table: the entries; written once, by index_ring_init()
 * @head: next position to take; takers compare-and-swap it
 * @tail: hint: every entry below it is filled, and perhaps more; putters store it
 *
 * @head and @tail have a cache line each, so takers and putters do not share one.
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

/* The value of __index_ring_ahead() for an entry that is open. */
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
 * A run of 4 positions lies together in 32 bytes, because an operation on several indices touches
 * them one after the other.  The next run lies in another cache line if the table has more than
 * two, so putters and the takers close behind them seldom share a line.  From one run to the next
 * it is an odd number of runs, so each position of a lap has an entry of its own.
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
 * index_ring_init() - initialise a ring
 * @ring: the ring
 * @entries: 2^@order entries, all 0; must outlive the ring
 * @order: 1 to 30, so that an index fits an int
 * @count: puts indices 0 to @count - 1; at most 2^@order
 *
 * Context: any; no other operation may use the ring meanwhile.
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
 *
 * An entry of a later lap proves that every position before it has been filled, so the walk
 * continues right after it.  So however far tail lags, the walk looks at no more than 2^order + 1
 * entries, unless other threads put meanwhile.
 */
static inline s64 __index_ring_walk(struct index_ring_table table, s64 pos, s64 *entry)
{
	for (;;) {
		*entry = atomic64_read_acquire(__index_ring_entry(table, pos));	/* LOOK */
		/* Of an earlier lap, so it is open. */
		if (*entry < __index_ring_word(table, pos, 0))
			return pos;
		/* Right after the entry, in its own lap. */
		pos += __index_ring_ahead(table, *entry, pos) + 1;
	}
}

/*
 * Puts @index into the first open entry, found from @pos on; returns its position.
 *
 * A put fills a position only after it has found every entry before it filled, or knows that from
 * tail or from an entry of a later lap.  So entries are filled in the order of their positions.
 *
 * The put overwrites an index of the lap before, which has been taken: otherwise that index, those
 * put into the 2^order - 1 positions since, and @index would be more than exist.
 *
 *	first put                second put                  taker
 *	fills an entry   FILL    finds it filled   LOOK      knows that the second put completed
 *	stores tail      MOVE    or tail past it   TAIL      looks at the first entry   LOOK
 *	                         fills the next    FILL
 *
 * Impossible: the taker finds the first entry open and reports the ring empty, because the second
 * FILL releases what LOOK or TAIL has acquired.  In the kernel's memory model it would do so
 * without the acquire, but not in that of C11, for which this file is compiled, too.
 *
 * The litmus tests are MOVE+TAIL, MOVE+TAIL+walk and FILL+LOOK+walk.
 */
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
 * Stores @pos, below which every entry is filled, unless tail is there already.  NCQ has a
 * compare-and-swap here.
 *
 * tail lags while a put is stopped before the store.  A put that is stopped between the load and
 * the store sets tail back, and later puts walk from there.  The load makes that rare.
 *
 * A put may leave a further tail as it is, because the putter that stored it has seen every entry
 * below.  The litmus test is MOVE+TAIL+skip.
 */
static inline void __index_ring_move_tail(struct index_ring *ring, s64 pos)
{
	if (atomic64_read(&ring->tail) < pos)
		atomic64_set_release(&ring->tail, pos);	/* MOVE */
}

/**
 * index_ring_put() - put an index at the end
 * @ring: the ring
 * @index: an index that the caller owns and that is in no ring
 *
 * The taker of @index sees everything that the caller wrote before: FILL releases, LOOK acquires.
 * The litmus tests are FILL+LOOK and FILL+LOOK+reuse.
 *
 * Return: its position, to be compared with index_ring_head().
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
 * @indices: indices that the caller owns and that are in no ring
 * @n: how many; 0 puts none
 *
 * They come out in the order given; indices of other putters may come between.  Each can be taken
 * as soon as it is in, before the call returns.
 *
 * Return: position of the first, if any, to be compared with index_ring_head().
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
 * The index stays in the ring.  Another taker may take it at once and overwrite its slot.  So what
 * the caller reads from the slot is valid only after index_ring_take_at() or index_ring_at_head()
 * has returned true.
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
		/* head has moved since it was read. */
	}
}

/**
 * index_ring_peek_n() - look at several indices, from the head on
 * @ring: the ring
 * @indices: out: the indices, in order
 * @n: at most so many; at least 1
 * @pos: out: as of index_ring_peek()
 *
 * What the caller reads from the first slot is valid only after index_ring_take_at() or
 * index_ring_at_head() has returned true.  For the other slots only index_ring_take_at() tells.
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
 * TAKE needs no order: the entry was found by the position that was read (an address dependency),
 * LOOK has acquired what the index protects, and the compare-and-swap fails unless @pos is still
 * the head.  The litmus test is TAKE+TAKE.
 *
 * Return: true if the caller now owns all @n indices; false if another taker took the first, and
 * then the caller owns none.
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
 * If so, nothing was taken since, so all looks at the ring since then saw this head.
 *
 * And then what the caller has read from the slot since it peeked belongs to the index at @pos,
 * provided that the caller reads by READ_ONCE() and owners store by smp_store_release():
 *
 *	taker, or a later owner                 caller
 *	moves head              TAKE            reads from the slot
 *	stores to the slot, release             read barrier            RECHECK
 *	                                        reads head
 *
 * Impossible: the caller reads the new value and then the old head.  The owner that stores is the
 * taker, or has the index from the taker (FILL, LOOK).  The litmus test is RECHECK+LEN.
 *
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline bool index_ring_at_head(const struct index_ring *ring, s64 pos)
{
	smp_rmb();	/* RECHECK */
	return atomic64_read(&ring->head) == pos;
}

/**
 * index_ring_look() - look at an index at any position
 * @ring: the ring
 * @pos: a position
 *
 * What the caller reads from the slot is valid only after index_ring_not_taken() has returned true.
 *
 * Return: the index; %INDEX_RING_EMPTY if none has been put at @pos yet, or the entry has been
 * overwritten.
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
 * If so, what the caller has read from the slot belongs to the index at @pos, as with
 * index_ring_at_head().
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
 * The caller sees everything that the putter wrote before it put the index.
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
 * The indices were neighbours in the ring, and one compare-and-swap takes them all.
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
 * index_ring_head() - position where the next index will be taken
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
 * index_ring_count() - estimate how many indices are in the ring
 * @ring: the ring
 *
 * To see whether the ring is empty, use index_ring_empty().
 *
 * Return: 0 to 2^order; exact while no other operation uses the ring.
 * Context: any, also interrupts; concurrent with every operation on the ring.
 */
static inline u32 index_ring_count(const struct index_ring *ring)
{
	s64 count = index_ring_end(ring) - atomic64_read(&ring->head);

	return clamp_t(s64, count, 0, ring->table.mask + 1);
}

/**
 * index_ring_hold_all() - whether one or two rings hold all indices
 * @a: a ring
 * @b: another, or NULL
 * @n: how many indices are in circulation
 *
 * Ends and heads only move forwards, and this reads ends first.  So between its last read of an end
 * and its first of a head the rings held at least as many indices as it counts.
 *
 * No index is counted twice: if the caller sees by LOOK or TAIL that an index has come to one ring,
 * it sees by the head that the index has left the other.  The litmus tests are FILL+LOOK+heads,
 * FILL+LOOK+round, MOVE+TAIL+heads and MOVE+TAIL+round.
 *
 * Return: true if they held @n at some moment of the call; false if at some moment they did not.
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
