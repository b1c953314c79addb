/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_QUEUE_H
#define _MPMCQ_QUEUE_H

#include <linux/bits.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/smp.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/uuid.h>
#include <linux/wait.h>

#include <asm/local64.h>

#include "index_ring.h"

struct fasync_struct;
struct iov_iter;
struct mpmcq_charge;
struct mpmcq_park;
struct mpmcq_quota;
struct work_struct;

#define MPMCQ_CAPACITY_MIN	2U
#define MPMCQ_CAPACITY_MAX	1048576U
#define MPMCQ_CAPACITY_DEFAULT	1024U
#define MPMCQ_MSG_SIZE_MAX	65536U
#define MPMCQ_MSG_SIZE_DEFAULT	1024U

#define MPMCQ_WAIT_FOREVER	U32_MAX
#define MPMCQ_BATCH		64U	/* messages in one operation's hands, at most */

/**
 * struct mpmcq_config - how a queue is to be
 * @capacity: messages it has room for; a power of two,
 *	%MPMCQ_CAPACITY_MIN to %MPMCQ_CAPACITY_MAX
 * @msg_size: longest message in bytes, 1 to %MPMCQ_MSG_SIZE_MAX
 * @flags: %MPMCQ_DROP_OLDEST, %MPMCQ_AUTO_CLOSE, %MPMCQ_DELAY, %MPMCQ_STAMP; others are nothing
 *	to the queue
 * @max_deliveries: after how many deliveries a message that comes back is set aside,
 *	0 for never
 * @lease_ms: how long a lease lasts, in milliseconds, up to %INT_MAX; 0 for ever
 * @retry_ms: how long a message is parked after its first delivery, if its reader gives it back,
 *	in milliseconds; twice as long after each further one; 0 for not at all; else @flags has
 *	%MPMCQ_DELAY
 * @retry_max_ms: but no longer than this; 0 for no limit, else at least @retry_ms
 * @levels: of priority, 1 to %MPMCQ_LEVELS_MAX
 * @admin_closes: closing and reopening it takes CAP_SYS_ADMIN; nothing to the queue
 */
struct mpmcq_config {
	u32 capacity;
	u32 msg_size;
	u32 flags;
	u32 max_deliveries;
	u32 lease_ms;
	u32 retry_ms;
	u32 retry_max_ms;
	u32 levels;
	bool admin_closes;
};

/**
 * struct mpmcq_waiters - who waits on one side of a queue
 * @tasks: tasks blocked in a send or receive; exclusive, woken one by one.  Nobody else
 *	may be in it: the key of a wake-up is for their wake function only
 * @pollers: poll, select, epoll, io_uring; apart from @tasks so that a poller
 *	who does nothing cannot swallow a blocked task's wake-up
 * @asleep: how many tasks are in @tasks, or about to be; for people
 * @full_holders: number of open files of theirs that were told that they hold as much as they may,
 *	see lease.c; not on that of writers
 * @async: open files that want SIGIO
 * @ring: where most of what they wait for is put, and puts may rely on one before them
 *	(not on that of @dead_readers)
 * @events: what @pollers are told
 * @band: what @async are told, POLL_IN or POLL_OUT
 *
 * The wait queues and @async have locks of their own and may be looked at without: after a full
 * barrier, or to guess.  @ring and what follows are written once.
 */
struct mpmcq_waiters {
	wait_queue_head_t tasks;
	wait_queue_head_t pollers;
	atomic_t asleep;
	atomic_t full_holders;
	struct fasync_struct *async;
	const struct index_ring *ring;
	__poll_t events;
	int band;
};

/**
 * enum mpmcq_counter - what has happened to messages
 * @MPMCQ_PUT_AGAIN: put into ready, but not sent, less those that were sent and parked: see
 *	mpmcq_queue_sent()
 * @MPMCQ_UNDELIVERED: taken, but not delivered: see mpmcq_queue_received()
 * @MPMCQ_LEASED: delivered to a reader who kept them, less dead ones that he did not free
 * @MPMCQ_ACKED: of these, acknowledged
 * @MPMCQ_RETURNED: of these, given back
 * @MPMCQ_REJECTED: of these, rejected
 * @MPMCQ_SET_ASIDE: set aside, when rejected or given back too often
 * @MPMCQ_DROPPED: dropped to make room
 * @MPMCQ_COUNTERS: how many counters there are
 */
enum mpmcq_counter {
	MPMCQ_PUT_AGAIN,
	MPMCQ_UNDELIVERED,
	MPMCQ_LEASED,
	MPMCQ_ACKED,
	MPMCQ_RETURNED,
	MPMCQ_REJECTED,
	MPMCQ_SET_ASIDE,
	MPMCQ_DROPPED,
	MPMCQ_COUNTERS,
};

/**
 * struct mpmcq_counters - the counters of a queue, on one CPU
 * @n: the counters, by enum mpmcq_counter; written by that CPU, by tasks only
 */
struct mpmcq_counters {
	local64_t n[MPMCQ_COUNTERS];
} ____cacheline_aligned_in_smp;

/**
 * struct mpmcq_queue - slots, and where each of them is
 * @config: what it is like
 * @number: names the queue in traces
 * @uuid: names the queue in the world, random
 * @stride: from one slot to the next, in bytes
 * @marks: messages have a stamp, a priority or both
 * @slots: the slots, one after the other
 * @entries: memory of the rings
 * @park: messages that are parked; NULL without %MPMCQ_DELAY
 * @charge: its memory in the accounts; NULL if it is in none
 * @refs: open files, and the inode if it has one
 * @writers_lock: protects @writers_open, and what comes of its reaching 0
 * @writers_open: open files with write access
 * @closings: how often the queue was closed and reopened; odd while it is closed.
 *	Written by compare-and-swap, see mpmcq_queue_close()
 * @free: indices of empty slots
 * @ready: indices of messages, in the order sent; of the highest level of priority
 * @lower: those of lower levels, from the next on; NULL if there is one level
 * @returned: indices of messages handed back; read before @ready
 * @dead: indices of messages set aside
 * @readers: who waits for a message
 * @writers: who waits for an empty slot
 * @dead_readers: who waits for a message in @dead
 * @late: wakes, a tick later, those whom a put left to others to wake; armed by any putter
 * @redelivered: deliveries to readers who kept the message, not for the first time
 * @suspected: how many messages were made suspects.  Both are for what is rare, so that the
 *	counters of a CPU fit one cache line
 * @counters: for each of nr_cpu_ids CPUs, read any time.  Not alloc_percpu(), which takes
 *	more time than all else that a small queue needs
 *
 * Every index is at every moment in one ring, parked, or in the hands of one operation or lease.
 * Its taker owns the slot until he puts or parks it; others only read there, and find out whether
 * what they read is whole: see struct mpmcq_slot.  What is not said otherwise is written once, by
 * mpmcq_queue_create().
 */
struct mpmcq_queue {
	struct mpmcq_config config;
	u32 number;
	uuid_t uuid;
	size_t stride;
	struct index_ring *lower;
	bool marks;
	void *slots;
	atomic64_t *entries;
	struct mpmcq_park *park;
	struct mpmcq_charge *charge;
	struct kref refs;
	struct mutex writers_lock;	/* see above */
	unsigned int writers_open;
	atomic_t closings;
	struct index_ring free;
	struct index_ring ready;
	struct index_ring returned;
	struct index_ring dead;
	struct mpmcq_waiters readers;
	struct mpmcq_waiters writers;
	struct mpmcq_waiters dead_readers;
	struct timer_list late;
	atomic64_t redelivered;
	atomic64_t suspected;
	struct mpmcq_counters counters[];
};

/**
 * struct mpmcq_slot - room for one message
 * @generation: number of messages begun here; the owner advances it before it writes a new
 *	message, see mpmcq_slot_begin()
 * @word: what is known of the message, see below
 * @data: the message
 *
 * Written by the owner of the index only.  Receives also read @word of the message at the head, to
 * see whether it fits: see claim_from() and mpmcq_claim_ready_fast().  Peeks read all of it, of any
 * message in a ring: see peek.c.
 *
 * The word:
 *	bits 0-30	length in bytes
 *	bit 31		suspect, see lease.c
 *	bits 32-33	priority
 *	bits 34-36	of a dead message: why, %MPMCQ_REASON_REJECTED and the like
 *	bits 40-63	deliveries to readers who kept it
 *
 * A buffer has less than 2^31 bytes, so a word with more than a length fits into none.
 */
struct mpmcq_slot {
	u64 generation;
	u64 word;
	u8 data[];
};

/**
 * struct mpmcq_stamp - when a message was sent, and by whom
 * @sent_ns: by CLOCK_BOOTTIME
 * @uid: effective user id of who opened the sending file, in the initial user namespace
 * @gid: effective group id
 *
 * At the end of a slot, in queues with %MPMCQ_STAMP.  Written by the owner of the index.
 * Others read @sent_ns, to say how old the next message is.
 */
struct mpmcq_stamp {
	u64 sent_ns;
	u32 uid;
	u32 gid;
};

#define MPMCQ_LEN		(BIT_ULL(31) - 1)
#define MPMCQ_SUSPECT		BIT_ULL(31)
#define MPMCQ_PRIORITY_SHIFT	32
#define MPMCQ_PRIORITY		(3ULL << MPMCQ_PRIORITY_SHIFT)
#define MPMCQ_REASON_SHIFT	34
#define MPMCQ_REASON		(7ULL << MPMCQ_REASON_SHIFT)
#define MPMCQ_DELIVERY_SHIFT	40
#define MPMCQ_DELIVERY		BIT_ULL(MPMCQ_DELIVERY_SHIFT)

/*
 * mpmcq_give_back(), beside MPMCQ_SETTLE_FRONT and the like: the reader has not said so, its time
 * was up or its file has ended.
 */
#define MPMCQ_CAME_BACK	0x80000000U

/**
 * struct mpmcq_claim - what an operation wants, and what it has got
 * @wait_ms: how long it may wait, in milliseconds; 0 for not at all, %MPMCQ_WAIT_FOREVER
 * @dead: of messages: one that was set aside
 * @header: of messages: bytes that each takes in the buffer besides its length
 * @align: of messages: what their lengths are rounded up to there; a power of two
 * @room: of messages: bytes in the buffer
 * @held: of messages: how many the caller holds already, if it must not wait for the
 *	end of those; may change; else NULL
 * @holds: of messages: if the caller takes suspects alone, how many it has in hand, and
 *	%MPMCQ_SUSPECT if that is one; may change; else NULL
 * @suspect: out: of messages: one of them is a suspect
 * @priority: of slots: of what is to be sent, so that nothing above is dropped for it
 * @earlier: of several rings: all, in the order in which they are looked at; for look.c and claim.c
 * @n_earlier: how many come before the one that is looked at
 * @drop: of slots: one may be had by dropping a message
 * @dropped: out: of slots: it was
 * @max: at most so many; 1 to %MPMCQ_BATCH
 * @n: out: how many
 * @id: out: names this delivery of the first message; the next has %MPMCQ_ID_STEP more
 * @index: out: their indices, which are now in the caller's hands; room for @max
 */
struct mpmcq_claim {
	bool dead;
	bool drop;
	bool dropped;
	bool suspect;
	u32 wait_ms;
	u32 priority;
	u32 n_earlier;
	struct index_ring *const *earlier;
	u32 header;
	u32 align;
	size_t room;
	const u32 *held;
	const u32 *holds;
	unsigned int max;
	unsigned int n;
	u64 id;
	u32 *index;
};

#define MPMCQ_ID_STEP	8

#define MPMCQ_SEQ_SHIFT	20	/* the index below, the generation above */

/* What names a message in its queue. */
static inline u64 mpmcq_seq(u32 index, u64 generation)
{
	return generation << MPMCQ_SEQ_SHIFT | index;
}

static inline struct mpmcq_stamp *mpmcq_stamp_of(const struct mpmcq_queue *q,
						 const struct mpmcq_slot *slot)
{
	return (void *)slot + q->stride - sizeof(struct mpmcq_stamp);
}

/* Inline also where nothing may be called, see packed.c. */
static __always_inline struct mpmcq_slot *mpmcq_slot(const struct mpmcq_queue *q, u32 index)
{
	return q->slots + index * q->stride;
}

static __always_inline u32 mpmcq_word_len(u64 word)
{
	return word & MPMCQ_LEN;
}

/* The word of a message that is sent. */
static __always_inline u64 mpmcq_word(u32 len, u32 priority)
{
	return len | (u64)priority << MPMCQ_PRIORITY_SHIFT;
}

static __always_inline u32 mpmcq_word_priority(u64 word)
{
	return (word & MPMCQ_PRIORITY) >> MPMCQ_PRIORITY_SHIFT;
}

static __always_inline u32 mpmcq_word_deliveries(u64 word)
{
	return word >> MPMCQ_DELIVERY_SHIFT;
}

/**
 * mpmcq_ready_ring() - where messages of a priority wait
 * @q: the queue
 * @priority: less than its levels
 *
 * Context: any.
 */
static inline struct index_ring *mpmcq_ready_ring(struct mpmcq_queue *q, u32 priority)
{
	u32 below = q->config.levels - 1 - priority;

	return below ? &q->lower[below - 1] : &q->ready;
}

/**
 * mpmcq_len() - length of the message in a slot
 * @slot: a slot in the caller's hands; or else the caller finds out whether it was taken meanwhile
 *
 * Return: length in bytes.
 * Context: any.
 */
static __always_inline u32 mpmcq_len(const struct mpmcq_slot *slot)
{
	return mpmcq_word_len(READ_ONCE(slot->word));
}

/**
 * mpmcq_queue_closed() - whether the queue is closed
 * @q: the queue
 *
 * Context: any.
 */
static inline bool mpmcq_queue_closed(const struct mpmcq_queue *q)
{
	return atomic_read(&q->closings) & 1;
}

static inline void mpmcq_count(struct mpmcq_queue *q, enum mpmcq_counter which, long n)
{
	local64_add(n, &q->counters[get_cpu()].n[which]);
	put_cpu();
}

#endif /* _MPMCQ_QUEUE_H */
