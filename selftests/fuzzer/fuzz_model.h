/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is known of queues: which messages are in them and where, and what is wrong with
 * those that arrive.  A queue that one worker has to itself is predicted exactly; one
 * that several use, within what the others may do, and in the end its account has to add
 * up.
 *
 * Calls that return int, if not said otherwise, return what is wrong: bits of enum fault.
 */
#ifndef MPMCQ_FUZZ_MODEL_H
#define MPMCQ_FUZZ_MODEL_H

#include <limits.h>

#include "record.h"

#define WORKERS		8	/* at most */
#define PATH_SIZE	64	/* of the path of a mount */
#define BATCH		100	/* messages in a packed write, at most */
#define PACKED_MAX	16384	/* bytes of a packed read or write, at most */
#define MESSAGES_MAX	(PACKED_MAX / (int)MPMCQ_MSG_SPACE(1))
#define SEQ_SHIFT	20	/* of what names a message: below it is the number of a slot */
#define NOBODY		65534	/* overflowuid and overflowgid */

/* What can be wrong with the messages; a bit each. */
enum fault {
	TORN		= 1,	/* not as it was written */
	REORDERED	= 2,	/* another one was next */
	UNKNOWN		= 4,	/* of a write that failed, or never written there */
	LOST		= 8,
	REPEATED	= 16,	/* acknowledged before, or held by somebody */
	MISLABELLED	= 32,	/* in a packed read, what stands before or behind it is wrong */
	EXCESSIVE	= 64,	/* more than the open file may hold */
};

/* What has happened to messages of a queue, so far as is known.  INFO tells all but the last. */
enum count {
	SENT, RECEIVED, ACKED, RETURNED, SET_ASIDE, DROPPED, REDELIVERED, SUSPECTED, PURGED,
	COUNTS
};

/* A message as the model knows it; of one too short for a record only its length. */
struct message {
	__u32 len;
	__u32 producer;
	__u32 number;
	__u32 deliveries;
	__u8 priority;
	__u32 delay_ms;		/* with which it was parked, or is to be */
	__u64 seq;		/* that names it, if that is known; else 0 */
	__u64 sent_from;	/* between these it was sent, by CLOCK_BOOTTIME, in ns */
	__u64 sent_to;
	bool suspect;		/* its last reader has not settled it */
	__u8 reason;		/* why it is dead, or 0 */
	__u64 id;		/* of its delivery, if that is known; else 0 */
};

/* Messages in order. */
struct list {
	__u32 first;
	__u32 n;
	__u32 size;
	struct message *array;
};

/* What has become of a message, by its worker and number; shared by all. */
struct entry {
	__u32 queue;		/* serial number of the queue that it was written to */
	__u8 state;
	__u8 gone;		/* how often it has left the queue, by the reader's account */
	__u8 doubt;		/* whether somebody was killed acknowledging it */
	__u8 out;		/* by how many open files it is held */
	__u8 priority;
	__u64 seq;		/* as of struct message, of queues that are not exact */
};

enum state { NOT_SENT, IN_DOUBT, WRITTEN };

enum where {
	NOWHERE,	/* there is no mount */
	MOUNTED,
	ADRIFT,		/* unmounted, but its directory is still open */
};

/* A mount of mpmcqfs; shared by all processes of a test. */
struct mount {
	char path[PATH_SIZE];
	enum where where;
	bool exact;			/* one worker has it to itself */
	bool read_only;
	bool nodev;
	uid_t uid;			/* of its directory */
	gid_t gid;
	mode_t mode;
	__u64 size;			/* limits; 0 for none */
	__u32 max;
};

/* A queue; shared by all processes of a test. */
struct queue {
	struct mpmcq_create like;	/* as it was created, with what 0 stands for */
	__u32 serial;			/* 0 while there is no such queue */
	__u32 number;			/* that INFO tells, once it has; else 0 */
	__u64 uuid;			/* likewise, as uuid_of() has it */
	char name[NAME_MAX + 1];
	struct mount *mount;		/* NULL if it has none, or has lost it */
	uid_t uid;
	gid_t gid;
	mode_t mode;
	bool is_private;
	bool named;			/* it can be found by its name */
	bool linked;			/* it has one, though perhaps nobody can look there */
	bool exact;			/* one worker has it to itself */
	bool timed;			/* leases end by themselves */
	bool pooled;			/* workers share open files that hold messages */
	bool ordered;			/* no message ever comes back */
	bool filling;			/* more is to be written than read just now */
	int fd;				/* of a queue that all workers use */

	__u64 counts[COUNTS];
	__u64 before[COUNTS];		/* what the queue had counted already */
	__u32 shorts_sent[sizeof(struct record)];
	__u32 shorts_gone[sizeof(struct record)];

	/* Of one that is not exact: */
	__u32 closings;			/* calls to close it that have begun */
	__u32 closings_done;
	__u32 reopened;			/* of the first so many nothing is left */

	/* Of one that is: */
	bool closed;
	bool fuzzy;			/* some first ones of ready may be in returned */
	bool vague;			/* ready and returned are in any order; mixed, too */
	bool dead_vague;		/* dead ones are in any order */
	bool mixed;			/* which of those that are alike is which is lost */
	bool all_due;			/* closed so that nothing waits for its delay */
	__u32 files;
	__u32 writers;
	__u32 leased;
	struct list ready;		/* in the order of reading, of all levels */
	struct list returned;
	struct list dead;
	struct list parked;		/* in the order in which they are due */
};

/* An open file. */
struct open_file {
	struct queue *queue;		/* NULL if it is not in use */
	int refs;			/* descriptors, and the like */
	int access;
	bool nonblock;
	bool async;
	bool pooled;			/* other workers have it, too */
	bool fixed;			/* its modes must stay */
	bool started;			/* unread, it has what MPMCQ_START_LEASE gave it */
	__u32 modes;
	__u32 max_held;
	__u32 priority;			/* of plain writes */
	__u32 rcv_timeout_ms;		/* as INFO tells, 0 for no limit */
	__u32 snd_timeout_ms;
	struct list held;		/* at most, of a queue that is timed */
};

/* All that is known; shared by all processes of a test. */
struct world {
	__u32 workers;
	__u32 calls;			/* of each worker */
	__u32 numbers;			/* of each worker's messages */
	struct entry *entries;		/* by worker and number */
	__u64 *ids;			/* that deliveries had, of all queues; hashed */
	__u32 ids_size;
	__u32 serial;			/* of the last queue made */
	__u64 began;			/* by CLOCK_BOOTTIME, in ns */
	uid_t uid;			/* of who opens all files */
	gid_t gid;
};

/* The numbers a worker expects next, or later ones, by the worker that wrote them. */
struct order {
	__u32 next[WORKERS];
	__u64 call_began;		/* the worker's current call, by CLOCK_BOOTTIME, in ns */
};

/* Of CLOCK_BOOTTIME, in ns. */
__u64 boottime(void);
/* Memory that children share, or NULL. */
void *share(size_t n);
/* For @workers that make so many @calls each; NULL without memory. */
struct world *new_world(__u32 workers, __u32 calls);

/* What several workers change. */
static inline __u32 load(const __u32 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

#define increment(p)	__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST)
#define decrement(p)	__atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST)

void count(struct queue *q, enum count which, __u32 n);

/*
 * Lists
 */
static inline struct message *at(const struct list *list, __u32 i)
{
	return &list->array[list->first + i];
}

bool list_init(struct list *list, __u32 most);
void append(struct list *list, struct message m);

/* Messages too short for a record are all alike. */
static inline bool is_short(const struct message *m)
{
	return m->len < sizeof(struct record);
}

/*
 * Queues
 */

/* It is new, and empty. */
void begin_queue(struct world *world, struct queue *q);
/* Empty slots. */
__u32 room(const struct queue *q);
/* Whether a send of that priority drops a message if it finds no empty slot. */
bool can_drop(const struct queue *q, __u32 priority);
/* Whether it is closed, and nothing will come any more. */
bool drained(const struct queue *q, bool dead);
/* The messages that reads find, in order: so many, and that one. */
__u32 waiting(const struct queue *q, bool dead);
const struct message *nth(const struct queue *q, bool dead, __u32 i);
/* No message that waits was sent before that time. */
__u64 oldest_from(const struct queue *q);
/* How many of them may be the first. */
__u32 choices(const struct queue *q, bool dead);
/* Whether the next message is a suspect, or may be; and whether @f holds one. */
bool next_is_suspect(const struct queue *q);
bool next_may_be_suspect(const struct queue *q);
bool holds_suspect(const struct open_file *f);
/* Whether the @i-th message is a suspect; of those that are alike it may be another. */
bool is_suspect(const struct queue *q, __u32 i);
bool may_be_suspect(const struct queue *q, __u32 i);
/*
 * A read could not copy what it took: @packed, what it took of ready is in returned, for
 * as many as that was; else one.
 */
void hand_back(struct queue *q, bool dead, bool packed);
/* What has been counted by now, to be compared with what INFO tells later. */
void copy_counts(const struct queue *q, __u64 *counts);
/* All that is parked is to be read now. */
void make_all_due(struct queue *q);
/* What becomes of dead messages; of how many. */
__u32 end_dead(struct queue *q, __u32 most, bool revive);

/*
 * Open files.  The list of what one holds stays with it when another takes its place.
 */
static inline bool has_mode(const struct open_file *f, __u32 mode)
{
	return f->modes & mode;
}

static inline bool readable(const struct open_file *f)
{
	return f->access == O_RDONLY || f->access == O_RDWR;
}

static inline bool writable(const struct open_file *f)
{
	return f->access == O_WRONLY || f->access == O_RDWR;
}

/* Bytes of a header of packed reads and writes, and of a message with it. */
static inline __u32 header_size(const struct open_file *f)
{
	return has_mode(f, MPMCQ_MODE_META) ? sizeof(struct mpmcq_meta) : sizeof(struct mpmcq_msg);
}

static inline size_t space_by(const struct open_file *f, __u32 len)
{
	return header_size(f) + MPMCQ_MSG_SPACE(len) - sizeof(struct mpmcq_msg);
}

void opened(struct open_file *f, struct queue *q, int access, __u32 modes, __u32 max_held);
/* It was opened so by open(2) or CREATE; what it has by MPMCQ_START_LEASE. */
void begin_with_lease(struct open_file *f);
/* MODE has given it these. */
void set_modes(struct open_file *f, __u32 modes, __u32 max_held);
/* As they were given to MODE or ATTACH. */
void set_timeouts(struct open_file *f, __u32 rcv_timeout_ms, __u32 snd_timeout_ms);
void closed(struct world *world, struct open_file *f);
/* As it is cut to what the queue has. */
__u32 most_held(const struct queue *q, __u32 max_held);

/*
 * Accounts
 */
struct entry *entry_of(const struct world *world, __u32 worker, __u32 number);
struct entry *entry(const struct world *world, const struct message *m);
/* Messages too short for a record are all alike, and only counted. */
void write_message(void *buf, __u32 len, __u32 worker, __u32 number);
/* A write is about to send that message. */
void will_send(struct world *world, const struct queue *q, const struct message *m);
void not_sent(struct world *world, const struct message *m);
/* It has returned that it was sent. */
void sent(struct world *world, struct queue *q, struct message m);
/* A message has left the queue for good. */
int gone(struct world *world, struct queue *q, const struct message *m);
/* An open file is to hold it, or about to hold it no longer. */
int hold(struct world *world, const struct queue *q, const struct message *m);
void let_go(struct world *world, const struct queue *q, const struct message *m);
/* What is wrong with a message that was read by @f; what is right of it goes to @m. */
int arrived(struct world *world, const struct open_file *f, struct order *order, const void *buf,
	    __u32 len, struct message *m);
/* Whether @seq may name that message; if it had no name yet it has this one from now on. */
bool has_seq(struct world *world, const struct queue *q, struct message *m, __u64 seq);
/* It is its reader's. */
int delivered(struct world *world, struct open_file *f, struct message m);
/* As both, for those of a packed read of @len bytes.  Their ids go to @ids. */
int arrived_packed(struct world *world, struct open_file *f, struct order *order,
		   const unsigned char *buf, __u32 len, __u64 *ids, __u32 *n);
/*
 * What is wrong with the messages that @n workers, @from one on, have sent to a queue that is
 * empty now; @unnamed have left by calls that do not tell which.
 */
int balance(const struct world *world, const struct queue *q, __u32 from, __u32 n, __s64 unnamed);

/*
 * Leases
 */
enum fate {
	ACK, NACK, REJECT, TOUCH, REVIVE,
	CAME_BACK,		/* without a call: the open file has ended */
};

struct verdict {
	enum fate fate;
	__u32 flags;		/* of a NACK: MPMCQ_SETTLE_FRONT and the like */
	__u32 delay_ms;
};

/* The lease of message @i that is held ends; whoever ended it has let it go. */
int end_lease(struct world *world, struct open_file *f, __u32 i, struct verdict verdict);
int end_all_leases(struct world *world, struct open_file *f, struct verdict verdict);
/*
 * Message @i that is held has gone to another queue, or the end of its own, as @m: @m is the same
 * one, but for what is new, or has its own number.
 */
int forwarded(struct world *world, struct open_file *f, __u32 i, struct queue *to, struct message m,
	      bool itself);
/* What of @f is about to be given back, or acknowledged, when nobody names it. */
void let_all_go(struct world *world, const struct open_file *f);
/* Where in those that are held the delivery of that id is; -1 if it is not. */
int find_held(const struct open_file *f, __u64 id);
/* How many of these deliveries are held. */
__u32 count_held(const struct open_file *f, const __u64 *ids, __u32 n, enum fate fate);

#endif /* MPMCQ_FUZZ_MODEL_H */
