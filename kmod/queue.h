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
#define MPMCQ_BATCH		64U	/* messages that one operation owns, at most */

/**
 * struct mpmcq_config - configuration of a queue
 * @capacity: number of slots; a power of two, %MPMCQ_CAPACITY_MIN to %MPMCQ_CAPACITY_MAX
 * @msg_size: longest message in bytes, 1 to %MPMCQ_MSG_SIZE_MAX
 * @flags: %MPMCQ_DROP_OLDEST, %MPMCQ_AUTO_CLOSE, %MPMCQ_DELAY, %MPMCQ_STAMP; the queue ignores
 *	others
 * @max_deliveries: a message that comes back after so many deliveries becomes a dead letter;
 *	0 for never
 * @lease_ms: how long a lease lasts, in milliseconds, up to %INT_MAX; 0 for ever
 * @retry_ms: how long a message is parked that its reader gives back after its first delivery, in
 *	milliseconds; doubles with each further delivery; 0 for not at all, else @flags has
 *	%MPMCQ_DELAY
 * @retry_max_ms: upper limit of that, in milliseconds; 0 for no limit, else at least @retry_ms
 * @levels: number of priority levels, 1 to %MPMCQ_LEVELS_MAX
 * @admin_closes: closing and reopening takes CAP_SYS_ADMIN; file.c checks that
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
 * struct mpmcq_waiters - the waiters on one side of a queue
 * @tasks: tasks blocked in a send or receive; all exclusive, woken one by one.  Nothing else may be
 *	in this wait queue, because only their wake function understands the key of a wake-up
 * @pollers: poll, select, epoll, io_uring; apart from @tasks, because a poller that takes nothing
 *	could swallow a blocked task's wake-up
 * @asleep: number of tasks that are in @tasks, or about to be; for statistics
 * @full_holders: number of holders on this side that were told that they are full, see lease.c;
 *	0 for writers
 * @async: open files that want SIGIO
 * @ring: the ring where most of what they wait for is put.  Its puts may skip their wake-up, but
 *	not those into the ring of @dead_readers
 * @events: events for @pollers
 * @band: POLL_IN or POLL_OUT, for @async
 *
 * The wait queues and @async have locks of their own.  A look without the lock counts only after a
 * full barrier; else it is a guess.  @ring, @events and @band are written once.
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
 * @MPMCQ_PUT_AGAIN: put into ready without being sent, minus those sent with a delay: see
 *	mpmcq_queue_sent()
 * @MPMCQ_UNDELIVERED: taken, but not delivered: see mpmcq_queue_received()
 * @MPMCQ_LEASED: delivered under lease, minus dead letters that were not acknowledged
 * @MPMCQ_ACKED: of the leased ones, acknowledged
 * @MPMCQ_RETURNED: of the leased ones, given back
 * @MPMCQ_REJECTED: of the leased ones, rejected
 * @MPMCQ_SET_ASIDE: set aside as dead letters: rejected, or given back too often
 * @MPMCQ_DROPPED: dropped to make room
 * @MPMCQ_COUNTERS: number of counters
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
 * @n: the counters, by enum mpmcq_counter; written by tasks on that CPU only
 */
struct mpmcq_counters {
	local64_t n[MPMCQ_COUNTERS];
} ____cacheline_aligned_in_smp;

/**
 * struct mpmcq_queue - slots, and where each of them is
 * @config: the configuration
 * @number: names the queue in traces
 * @uuid: random name of the queue, unique in the world
 * @stride: from one slot to the next, in bytes
 * @marks: messages have a stamp, a priority or both
 * @slots: the slots, one after the other
 * @entries: memory of the rings
 * @park: parked messages; NULL without %MPMCQ_DELAY
 * @charge: its memory in the accounts; NULL if it is in none
 * @refs: open files, and the inode, or the module for the default queue
 * @writers_lock: protects @writers_open, and the close when it reaches 0
 * @writers_open: number of open files with write access
 * @closings: number of closes and reopens; odd while the queue is closed.
 *	Written by compare-and-swap, see mpmcq_queue_close()
 * @free: indices of empty slots
 * @ready: indices of messages of the highest priority level, in the order sent
 * @lower: the same for each lower level, from the next on; NULL if there is one level
 * @returned: indices of messages handed back; read before @ready
 * @dead: indices of dead letters
 * @readers: waiters for a message
 * @writers: waiters for an empty slot
 * @dead_readers: waiters for a dead letter
 * @late: wakes waiters if puts have skipped their wake-ups, see mpmcq_wake_late(); armed by any
 *	putter
 * @redelivered: number of deliveries under lease of messages that had been delivered before
 * @suspected: how many times a message became a suspect.  This and @redelivered are rare; without
 *	them the counters of a CPU fit one cache line
 * @counters: for each of nr_cpu_ids CPUs; read at any time.  Not by alloc_percpu(), which takes
 *	more time than the rest of making a small queue
 *
 * Invariant: every index is in exactly one ring, parked, or owned by one operation or lease.
 *
 * The taker of an index owns the slot until it puts or parks the index.  Others only read the slot,
 * and check what they have read: see struct mpmcq_slot.  Fields are written once, by
 * mpmcq_queue_create(), unless said otherwise.
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
 * @word: length and state of the message, see below
 * @data: the message
 *
 * Only the owner of the slot writes it.  Receivers also read @word of the message at the head, to
 * see whether it fits: see claim_from() and mpmcq_claim_ready_fast().  Peeks read all of it, of any
 * message in a ring: see peek.c.
 *
 * The word:
 *	bits 0-30	length in bytes
 *	bit 31		suspect, see lease.c
 *	bits 32-33	priority
 *	bits 34-36	reason of a dead letter, %MPMCQ_REASON_REJECTED and the like
 *	bits 40-63	number of deliveries under lease
 *
 * A buffer has less than 2^31 bytes.  So a word with any bit above the length, taken as a length,
 * fits no buffer.
 */
struct mpmcq_slot {
	u64 generation;
	u64 word;
	u8 data[];
};

/**
 * struct mpmcq_stamp - when a message was sent, and by which user
 * @sent_ns: time by CLOCK_BOOTTIME, in nanoseconds
 * @uid: effective user id of the opener of the sending file, in the initial user namespace
 * @gid: effective group id of the opener, likewise
 *
 * At the end of a slot, in queues with %MPMCQ_STAMP.  Written by the owner of the slot.  Others
 * read it for a copy of the message, and @sent_ns for the age of the next message.
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
 * A flag of mpmcq_give_back(), beside MPMCQ_SETTLE_FRONT and the like: the lease was ended by its
 * deadline or by the end of the reader's file, not by a call of the reader.
 */
#define MPMCQ_CAME_BACK	0x80000000U

/**
 * struct mpmcq_claim - what an operation wants, and what it has got
 * @wait_ms: longest wait in milliseconds; 0 for none, or %MPMCQ_WAIT_FOREVER
 * @dead: of messages: dead letters
 * @header: of messages: bytes that each takes in the buffer beside its length
 * @align: of messages: what their lengths are rounded up to in the buffer; a power of two
 * @room: of messages: bytes in the buffer
 * @held: of messages: number of messages that the caller holds under lease, may change; NULL if it
 *	may wait while it holds some
 * @holds: of messages: if the caller takes suspects alone, how many messages its holder has, with
 *	%MPMCQ_SUSPECT if that is a suspect, may change; else NULL
 * @suspect: out: of messages: one of them is a suspect
 * @priority: of slots: of the message to be sent; none of a higher priority is dropped for it
 * @earlier: for look.c and claim.c: several rings, in the order of the looks
 * @n_earlier: how many of them come before the one that is looked at
 * @drop: of slots: a message may be dropped for its slot
 * @dropped: out: of slots: one was dropped
 * @max: at most so many; 1 to %MPMCQ_BATCH
 * @n: out: how many
 * @id: out: names the delivery of the first message; each further one has %MPMCQ_ID_STEP more
 * @index: out: the indices, which the caller owns from then on; room for @max
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

#define MPMCQ_SEQ_SHIFT	20	/* index below, generation above */

/* The name of a message in its queue. */
static inline u64 mpmcq_seq(u32 index, u64 generation)
{
	return generation << MPMCQ_SEQ_SHIFT | index;
}

static inline struct mpmcq_stamp *mpmcq_stamp_of(const struct mpmcq_queue *q,
						 const struct mpmcq_slot *slot)
{
	return (void *)slot + q->stride - sizeof(struct mpmcq_stamp);
}

/* Always inline: packed.c may call no function while user access is open. */
static __always_inline struct mpmcq_slot *mpmcq_slot(const struct mpmcq_queue *q, u32 index)
{
	return q->slots + index * q->stride;
}

static __always_inline u32 mpmcq_word_len(u64 word)
{
	return word & MPMCQ_LEN;
}

/* The word of a message to be sent. */
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
 * mpmcq_ready_ring() - the ring of ready messages of a priority
 * @q: the queue
 * @priority: less than the number of levels
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
 * @slot: the slot; a caller that does not own it has to check later that it was not taken meanwhile
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
