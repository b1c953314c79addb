/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What fuzz.c expects of queues: which messages are in them and where, which results a
 * call may have, and what is wrong.  A queue that one worker has to itself is predicted
 * exactly; one that several use, within what the others may do, and in the end its
 * account has to add up.
 */
#ifndef MPMCQ_FUZZ_MODEL_H
#define MPMCQ_FUZZ_MODEL_H

#include <poll.h>
#include <stddef.h>

#include "record.h"

#define WORKERS		8	/* at most */
#define BATCH		100	/* messages in a packed write, at most */
#define PACKED_MAX	16384	/* bytes of a packed read or write, at most */
#define MESSAGES_MAX	(PACKED_MAX / (int)MPMCQ_MSG_SPACE(1))

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

/* What has happened to messages of a queue, so far as is known. */
enum count { SENT, RECEIVED, ACKED, RETURNED, REJECTED, DROPPED, PURGED, COUNTS };

/* A message as the model knows it; of one too short for a record only its length. */
struct message {
	__u32 len;
	__u32 producer;
	__u32 number;
	__u32 deliveries;
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
};

enum state { NOT_SENT, IN_DOUBT, WRITTEN };

/* A queue; shared by all processes of a test. */
struct queue {
	struct mpmcq_create like;	/* as it was created, with what 0 stands for */
	__u32 serial;			/* 0 while there is no such queue */
	uid_t uid;
	gid_t gid;
	bool named;			/* it can be found by like.name */
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
	bool vague;			/* ready and returned are in any order */
	bool mixed;			/* which of those that are alike is which is lost */
	__u32 files;
	__u32 writers;
	__u32 leased;
	struct list ready;
	struct list returned;
	struct list dead;
};

/* An open file. */
struct open_file {
	struct queue *queue;		/* NULL if it is not in use */
	int refs;			/* descriptors, and the like */
	int access;
	bool node;			/* it was opened by a node */
	bool nonblock;
	bool async;
	bool pooled;			/* other workers have it, too */
	bool fixed;			/* its modes must stay */
	__u32 modes;
	__u32 max_held;
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
};

/* The numbers a worker expects next, or later ones, by the worker that wrote them. */
struct order {
	__u32 next[WORKERS];
};

static inline void *share(size_t n)
{
	void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static inline struct world *new_world(__u32 workers, __u32 calls)
{
	struct world *world = share(sizeof(*world));

	if (!world)
		return NULL;
	world->workers = workers;
	world->calls = calls;
	world->numbers = 16 * calls;
	for (world->ids_size = 1024; world->ids_size < 64 * workers * calls;)
		world->ids_size *= 2;
	world->entries = share((size_t)workers * world->numbers * sizeof(*world->entries));
	world->ids = share(world->ids_size * sizeof(*world->ids));
	return world->entries && world->ids ? world : NULL;
}

static inline __u32 load(const __u32 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

#define increment(p)	__atomic_add_fetch(p, 1, __ATOMIC_SEQ_CST)
#define decrement(p)	__atomic_sub_fetch(p, 1, __ATOMIC_SEQ_CST)

static inline void count(struct queue *q, enum count which, __u32 n)
{
	__atomic_add_fetch(&q->counts[which], n, __ATOMIC_RELAXED);
}

/*
 * Lists
 */
static inline bool list_init(struct list *list, __u32 most)
{
	/* Twice, so that they are moved to the start but now and then. */
	*list = (struct list){ .size = 2 * most };
	list->array = share(list->size * sizeof(*list->array));
	return list->array;
}

static inline struct message *at(const struct list *list, __u32 i)
{
	return &list->array[list->first + i];
}

static inline void append(struct list *list, struct message m)
{
	if (!list->n)
		list->first = 0;
	if (list->first + list->n == list->size) {
		memmove(list->array, at(list, 0), list->n * sizeof(m));
		list->first = 0;
	}
	list->n++;
	*at(list, list->n - 1) = m;
}

static inline struct message take_at(struct list *list, __u32 i)
{
	struct message m = *at(list, i);

	memmove(at(list, 1), at(list, 0), i * sizeof(m));
	list->first++;
	list->n--;
	return m;
}

/*
 * Queues that are exact
 */
static inline void begin_queue(struct world *world, struct queue *q)
{
	q->serial = increment(&world->serial);
	memset(q->counts, 0, sizeof(q->counts));
	memset(q->shorts_sent, 0, sizeof(q->shorts_sent));
	memset(q->shorts_gone, 0, sizeof(q->shorts_gone));
	q->filling = true;
	q->closed = false;
	q->fuzzy = false;
	q->vague = false;
	q->mixed = false;
	q->files = 0;
	q->writers = 0;
	q->leased = 0;
	q->ready.n = 0;
	q->returned.n = 0;
	q->dead.n = 0;
}

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

/* Empty slots. */
static inline __u32 room(const struct queue *q)
{
	return q->like.capacity - q->ready.n - q->returned.n - q->dead.n - q->leased;
}

/* Whether a send that finds no empty slot drops a message. */
static inline bool can_drop(const struct queue *q)
{
	return q->like.flags & MPMCQ_DROP_OLDEST && q->ready.n;
}

/* Whether it is closed, and nothing will come any more. */
static inline bool drained(const struct queue *q, bool dead)
{
	return q->closed && room(q) + (dead ? 0 : q->dead.n) == q->like.capacity;
}

/* The messages that reads find, in order: so many, and that one. */
static inline __u32 waiting(const struct queue *q, bool dead)
{
	return dead ? q->dead.n : q->returned.n + q->ready.n;
}

static inline const struct message *nth(const struct queue *q, bool dead, __u32 i)
{
	if (dead)
		return at(&q->dead, i);
	return i < q->returned.n ? at(&q->returned, i) : at(&q->ready, i - q->returned.n);
}

/* How many of them may be the first. */
static inline __u32 choices(const struct queue *q, bool dead)
{
	__u32 n = waiting(q, dead);

	return n && (dead || !q->vague) ? 1 : n;
}

static inline struct message take_nth(struct queue *q, bool dead, __u32 i)
{
	struct message m;

	if (dead)
		return take_at(&q->dead, i);
	m = i < q->returned.n ? take_at(&q->returned, i) : take_at(&q->ready, i - q->returned.n);
	if (!waiting(q, false)) {
		q->fuzzy = false;
		q->vague = false;
	}
	return m;
}

static inline void set_aside(struct queue *q, struct message m)
{
	count(q, REJECTED, 1);
	append(&q->dead, m);
}

static inline void to_returned(struct queue *q, struct message m)
{
	/* Behind those of ready that are there already. */
	if (q->fuzzy && q->ready.n) {
		q->vague = true;
		q->mixed = true;
	}
	append(&q->returned, m);
}

static inline void give_back(struct queue *q, struct message m, bool front)
{
	count(q, RETURNED, 1);
	if (q->like.max_deliveries && m.deliveries >= q->like.max_deliveries)
		set_aside(q, m);
	else if (front)
		to_returned(q, m);
	else
		append(&q->ready, m);
}

/*
 * A read could not copy what it took: @packed, what it took of ready is in returned, for
 * as many as that was; else one.
 */
static inline void hand_back(struct queue *q, bool dead, bool packed)
{
	if (dead || !q->ready.n)
		return;
	if (packed)
		q->fuzzy = true;
	else if (!q->fuzzy && !q->vague && !q->returned.n)
		append(&q->returned, take_at(&q->ready, 0));
}

/*
 * Accounts
 */
static inline bool is_short(const struct message *m)
{
	return m->len < sizeof(struct record);
}

static inline struct entry *entry_of(const struct world *world, __u32 worker, __u32 number)
{
	return &world->entries[(size_t)worker * world->numbers + number];
}

static inline struct entry *entry(const struct world *world, const struct message *m)
{
	return entry_of(world, m->producer, m->number);
}

/* Messages too short for a record are all alike, and only counted. */
static inline void write_message(void *buf, __u32 len, __u32 worker, __u32 number)
{
	struct record rec = { .producer = worker, .number = number, .len = len };
	unsigned char *bytes = buf;

	if (len < sizeof(rec)) {
		fill(buf, len, len);
		return;
	}
	fill(bytes + sizeof(rec), len - sizeof(rec), number + worker);
	memcpy(buf, &rec, sizeof(rec));
	rec.sum = sum_of(buf, len);
	memcpy(buf, &rec, sizeof(rec));
}

/* A write is about to send that message. */
static inline void will_send(struct world *world, const struct queue *q, __u32 worker,
			     __u32 number)
{
	struct entry *e = entry_of(world, worker, number);

	e->queue = q->serial;
	__atomic_store_n(&e->state, IN_DOUBT, __ATOMIC_SEQ_CST);
}

static inline void not_sent(struct world *world, __u32 worker, __u32 number)
{
	entry_of(world, worker, number)->state = NOT_SENT;
}

/* It has returned that it was sent. */
static inline void sent(struct world *world, struct queue *q, __u32 worker, __u32 number,
			__u32 len)
{
	const struct message m = { .len = len, .producer = worker, .number = number };

	if (is_short(&m)) {
		increment(&q->shorts_sent[len]);
		not_sent(world, worker, number);
	} else {
		entry(world, &m)->state = WRITTEN;
	}
	count(q, SENT, 1);
	if (!q->exact)
		return;
	if (!room(q) && q->ready.n) {
		take_at(&q->ready, 0);
		count(q, DROPPED, 1);
	}
	append(&q->ready, m);
}

/* A message has left the queue for good. */
static inline int gone(struct world *world, struct queue *q, const struct message *m)
{
	if (!is_short(m))
		return increment(&entry(world, m)->gone) > 1 ? REPEATED : 0;
	increment(&q->shorts_gone[m->len]);
	return 0;
}

/* An open file is to hold it, or about to hold it no longer. */
static inline int hold(struct world *world, const struct queue *q, const struct message *m)
{
	if (is_short(m) || q->timed || q->pooled)
		return 0;
	return increment(&entry(world, m)->out) > 1 ? REPEATED : 0;
}

static inline void let_go(struct world *world, const struct queue *q, const struct message *m)
{
	if (!is_short(m) && !q->timed && !q->pooled)
		decrement(&entry(world, m)->out);
}

/* Notes that a delivery has that id; false if another had it. */
static inline bool is_new_id(struct world *world, const struct queue *q, __u64 id)
{
	__u64 key = ((__u64)q->serial << 48) + id + 1, old;
	__u32 i = (key * 0x9e3779b97f4a7c15ULL >> 32) % world->ids_size, tries;

	for (tries = 0; tries < 64; tries++, i = (i + 1) % world->ids_size) {
		old = 0;
		if (__atomic_compare_exchange_n(&world->ids[i], &old, key, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return true;
		if (old == key)
			return false;
	}
	return true;
}

/* Takes the message from where it has to be, and learns of its deliveries. */
static inline bool take_message(struct queue *q, bool dead, struct message *m)
{
	__u32 i, n = choices(q, dead);

	for (i = 0; i < n; i++) {
		const struct message *have = nth(q, dead, i);

		if (have->len != m->len || (!is_short(m) && (have->producer != m->producer ||
							     have->number != m->number)))
			continue;
		m->deliveries = take_nth(q, dead, i).deliveries;
		return true;
	}
	if (n)
		take_nth(q, dead, 0);
	return false;
}

/* What is wrong with a message that was read by @f; what is right of it goes to @m. */
static inline int arrived(struct world *world, const struct open_file *f, struct order *order,
			  const void *buf, __u32 len, struct message *m)
{
	struct queue *q = f->queue;
	const struct entry *e;
	struct record rec;
	int faults = 0;

	*m = (struct message){ .len = len };
	if (is_short(m)) {
		if (!is_filled(buf, len, len))
			return TORN;
	} else {
		if (!is_whole(buf, len))
			return TORN;
		memcpy(&rec, buf, sizeof(rec));
		if (rec.producer >= world->workers || rec.number >= world->numbers)
			return UNKNOWN;
		m->producer = rec.producer;
		m->number = rec.number;
		e = entry(world, m);
		if (e->queue != q->serial || e->state == NOT_SENT)
			return UNKNOWN;
		/* With leases that others may end, it can be so by now. */
		if (e->gone && !q->timed && !q->pooled)
			faults |= REPEATED;
		if (q->ordered && m->number < order->next[m->producer])
			faults |= REORDERED;
		if (q->ordered)
			order->next[m->producer] = m->number + 1;
	}
	if (q->exact && !take_message(q, has_mode(f, MPMCQ_MODE_DEAD), m))
		faults |= REORDERED;
	return faults;
}

/* It is its reader's. */
static inline int delivered(struct world *world, struct open_file *f, struct message m)
{
	struct queue *q = f->queue;
	int faults = 0;

	count(q, RECEIVED, 1);
	if (!has_mode(f, MPMCQ_MODE_LEASE))
		return gone(world, q, &m);
	if (f->pooled)
		return 0;
	m.deliveries++;
	if (q->exact)
		q->leased++;
	/* Of those that a queue that is timed took back nobody has told us. */
	if (f->held.n == f->max_held) {
		faults = q->timed ? 0 : EXCESSIVE;
		take_at(&f->held, 0);
	}
	append(&f->held, m);
	return faults | hold(world, q, &m);
}

/* Whether a header and padding may stand around that message. */
static inline bool is_labelled(struct world *world, const struct open_file *f,
			       const struct mpmcq_msg *msg, const void *padding,
			       const struct message *m)
{
	static const unsigned char zeros[8];
	__u32 kept = has_mode(f, MPMCQ_MODE_LEASE), max = f->queue->like.max_deliveries;

	if (msg->flags || msg->reserved || !is_new_id(world, f->queue, msg->id))
		return false;
	if (memcmp(padding, zeros, MPMCQ_MSG_SPACE(m->len) - sizeof(*msg) - m->len))
		return false;
	if (f->queue->exact && !(f->queue->mixed && is_short(m)))
		return msg->deliveries == m->deliveries + kept;
	return msg->deliveries >= kept && (!max || msg->deliveries <= max);
}

/* What is wrong with those of a packed read of @len bytes.  Their ids go to @ids. */
static inline int arrived_packed(struct world *world, struct open_file *f, struct order *order,
				 const unsigned char *buf, __u32 len, __u64 *ids, __u32 *n)
{
	struct mpmcq_msg msg;
	struct message m;
	int faults = 0;

	for (*n = 0; len; ++*n) {
		if (len < sizeof(msg))
			return faults | MISLABELLED;
		memcpy(&msg, buf, sizeof(msg));
		if (!msg.len || msg.len > f->queue->like.msg_size || MPMCQ_MSG_SPACE(msg.len) > len)
			return faults | MISLABELLED;
		faults |= arrived(world, f, order, buf + sizeof(msg), msg.len, &m);
		if (faults & (TORN | UNKNOWN))
			return faults;
		if (!is_labelled(world, f, &msg, buf + sizeof(msg) + msg.len, &m))
			faults |= MISLABELLED;
		m.id = msg.id;
		ids[*n] = msg.id;
		faults |= delivered(world, f, m);
		buf += MPMCQ_MSG_SPACE(msg.len);
		len -= MPMCQ_MSG_SPACE(msg.len);
	}
	return faults;
}

/*
 * Leases
 */
enum verdict { ACK, NACK, NACK_FRONT, REJECT, TOUCH };

/* The lease of message @i that is held ends; whoever ended it has let it go. */
static inline int end_lease(struct world *world, struct open_file *f, __u32 i,
			    enum verdict verdict)
{
	struct message m = take_at(&f->held, i);
	struct queue *q = f->queue;

	if (q->exact)
		q->leased--;
	if (verdict == ACK) {
		/* Whether it had ended before, nobody has told us. */
		if (q->timed)
			return 0;
		count(q, ACKED, 1);
		return gone(world, q, &m);
	}
	if (!q->exact)
		return 0;
	if (verdict == REJECT)
		set_aside(q, m);
	else
		give_back(q, m, verdict == NACK_FRONT);
	return 0;
}

/* Where in those that are held the delivery of that id is; -1 if it is not. */
static inline int find_held(const struct open_file *f, __u64 id)
{
	__u32 i;

	for (i = 0; i < f->held.n; i++)
		if (at(&f->held, i)->id == id)
			return i;
	return -1;
}

/* How many of these deliveries are held. */
static inline __u32 count_held(const struct open_file *f, const __u64 *ids, __u32 n,
			       enum verdict verdict)
{
	__u32 i, j, held = 0;

	for (i = 0; i < n; i++) {
		for (j = 0; verdict != TOUCH && j < i && ids[j] != ids[i]; j++)
			;
		if (find_held(f, ids[i]) >= 0 && (verdict == TOUCH || j == i))
			held++;
	}
	return held;
}

/* What of @f is about to be given back, or acknowledged, when nobody names it. */
static inline void let_all_go(struct world *world, const struct open_file *f)
{
	__u32 i;

	for (i = 0; i < f->held.n; i++)
		let_go(world, f->queue, at(&f->held, i));
}

static inline int end_all_leases(struct world *world, struct open_file *f, enum verdict verdict)
{
	int faults = 0;

	while (f->held.n)
		faults |= end_lease(world, f, 0, verdict);
	return faults;
}

/* Open files come and go. */
static inline void opened(struct open_file *f, struct queue *q, int access, __u32 modes,
			  __u32 max_held)
{
	struct list held = f->held;

	*f = (struct open_file){
		.queue = q, .refs = 1, .access = access, .modes = modes, .max_held = max_held,
		.held = held,
	};
	f->held.n = 0;
	if (!q->exact)
		return;
	q->files++;
	q->writers += writable(f);
}

static inline void closed(struct world *world, struct open_file *f)
{
	struct queue *q = f->queue;

	end_all_leases(world, f, NACK_FRONT);
	f->queue = NULL;
	if (!q->exact)
		return;
	if (writable(f) && !--q->writers && q->like.flags & MPMCQ_AUTO_CLOSE)
		q->closed = true;
	if (!--q->files && q->like.flags & MPMCQ_AUTO_DESTROY)
		q->named = false;
	if (!q->files && !q->named)
		q->serial = 0;
}

/* As it is cut to what the queue has. */
static inline __u32 most_held(const struct queue *q, __u32 max_held)
{
	if (!max_held)
		max_held = MPMCQ_MAX_HELD_DEFAULT;
	return max_held < q->like.capacity ? max_held : q->like.capacity;
}

/*
 * What is wrong with the messages that @n workers, @from one on, have sent to a queue that is
 * empty now; @unnamed have left by calls that do not tell which.
 */
static inline int balance(const struct world *world, const struct queue *q, __u32 from, __u32 n,
			  __s64 unnamed)
{
	const struct entry *entries = entry_of(world, from, 0);
	__s64 missing = 0, doubtful = 0;
	int faults = 0;
	size_t i;

	for (i = 0; i < (size_t)n * world->numbers; i++) {
		const struct entry *e = &entries[i];

		if (e->queue != q->serial)
			continue;
		if (e->gone > 1)
			faults |= REPEATED;
		else if (e->gone && e->state == NOT_SENT)
			faults |= UNKNOWN;
		else if (!e->gone && (e->doubt || e->state == IN_DOUBT))
			doubtful++;
		else if (!e->gone && e->state == WRITTEN)
			missing++;
	}
	for (i = 1; i < sizeof(struct record); i++) {
		if (q->shorts_gone[i] > q->shorts_sent[i])
			faults |= REPEATED;
		else if (q->shorts_gone[i] < q->shorts_sent[i])
			missing += q->shorts_sent[i] - q->shorts_gone[i];
	}
	if (missing > unnamed)
		faults |= LOST;
	else if (missing + doubtful < unnamed)
		faults |= REPEATED;
	return faults;
}

/*
 * Results
 */
#define ERRORS	12

/* Any of these errors, or a value from @min to @max. */
struct expected {
	int errors;
	int error[ERRORS];
	ssize_t min;
	ssize_t max;
};

#define NOTHING	((struct expected){ .min = 1 })

static inline void may_fail(struct expected *e, int error)
{
	int i;

	for (i = 0; i < e->errors; i++)
		if (e->error[i] == error)
			return;
	e->error[e->errors++] = error;
}

static inline void may_return(struct expected *e, ssize_t min, ssize_t max)
{
	e->min = min;
	e->max = max;
}

static inline bool as_expected(const struct expected *e, ssize_t ret)
{
	int i;

	for (i = 0; i < e->errors; i++)
		if (ret == e->error[i])
			return true;
	return ret >= e->min && ret <= e->max;
}

/* The messages of a packed write, of which the first @good are well-formed. */
struct batch {
	__u32 n;
	__u32 good;
	struct expected wrong;		/* what the next one is refused with */
	struct {
		__u32 len;
		__u32 number;
		__u32 end;		/* of it, with its padding */
	} of[BATCH];
};

/* A read or write, as far as its result depends on it. */
struct request {
	const struct open_file *file;
	const struct batch *batch;	/* of a packed write */
	bool write;
	bool vector;		/* that of 0 bytes does nothing, and is not wrong */
	bool may_wait;
	bool may_refuse;	/* to wait; both if others decide */
	bool cancelled;		/* in the end, rather than interrupted */
	bool early;		/* perhaps before it has begun */
	bool flaky;		/* pages come and go */
	bool faulty;		/* pages may have to be fetched, or may not be had */
	bool quiet;		/* no signal will come */
	size_t total;		/* bytes asked for */
	size_t there;		/* of which so many, from the first on, are accessible */
	__u32 reopened;		/* of the queue, when the call began */
	struct expected refusal;	/* by the kernel, before the driver is asked */
};

static inline bool may_be_closed(const struct request *r)
{
	const struct queue *q = r->file->queue;

	return q->exact ? q->closed : load(&q->closings) > r->reopened;
}

static inline void expect_interruption(const struct request *r, struct expected *e)
{
	may_fail(e, -EINTR);
	if (r->cancelled)
		may_fail(e, -ECANCELED);
}

static inline void expect_waiting(const struct request *r, struct expected *e)
{
	if (r->may_refuse)
		may_fail(e, -EAGAIN);
	if (r->may_wait)
		expect_interruption(r, e);
}

/* Missing pages are fetched, unless there is a signal. */
static inline void expect_fetching(const struct request *r, struct expected *e)
{
	if (r->faulty && !r->quiet)
		expect_interruption(r, e);
}

/* Whether one message can be sent, or that it cannot. */
static inline bool expect_slot(const struct request *r, struct expected *e)
{
	const struct queue *q = r->file->queue;

	if (may_be_closed(r))
		may_fail(e, -EPIPE);
	if (q->exact && q->closed)
		return false;
	if (q->exact && (room(q) || can_drop(q)))
		return true;
	expect_waiting(r, e);
	return !q->exact;
}

static inline void expect_write_one(const struct request *r, struct expected *e)
{
	const struct queue *q = r->file->queue;
	bool can_send, bad = r->flaky || r->there < r->total;

	if (!r->total || r->total > q->like.msg_size) {
		may_fail(e, r->total ? -EMSGSIZE : -EINVAL);
		if (may_be_closed(r))
			may_fail(e, -EPIPE);
		return;
	}
	can_send = expect_slot(r, e);
	/* Nothing is dropped before the pages are there. */
	if (bad && (can_send || q->like.flags & MPMCQ_DROP_OLDEST))
		may_fail(e, -EFAULT);
	if (!can_send)
		return;
	expect_fetching(r, e);
	if (r->there >= r->total)
		may_return(e, r->total, r->total);
}

/* The messages up to the first that has a part that is not accessible. */
static inline __u32 accessible(const struct request *r, bool padding_too)
{
	const struct batch *b = r->batch;
	size_t start = 0;
	__u32 i;

	for (i = 0; i < b->good; i++) {
		size_t end = start + sizeof(struct mpmcq_msg) + b->of[i].len;

		if ((padding_too ? b->of[i].end : end) > r->there)
			break;
		start = b->of[i].end;
	}
	return i;
}

static inline void expect_write_packed(const struct request *r, struct expected *e)
{
	const struct queue *q = r->file->queue;
	const struct batch *b = r->batch;
	__u32 least = accessible(r, true), most = accessible(r, false);

	if (!least && (r->flaky || r->there < r->total))
		may_fail(e, -EFAULT);
	if (!b->good) {
		*e = b->wrong;
		if (r->flaky || r->there < r->total)
			may_fail(e, -EFAULT);
		if (may_be_closed(r))
			may_fail(e, -EPIPE);
		return;
	}
	if (!expect_slot(r, e))
		return;
	expect_fetching(r, e);
	if (r->flaky)
		may_fail(e, -EFAULT);
	if (!most)
		return;
	if (q->exact && !(q->like.flags & MPMCQ_DROP_OLDEST)) {
		least = least < room(q) ? least : room(q);
		most = most < room(q) ? most : room(q);
	}
	if (!q->exact || !r->quiet || !least)
		least = 1;
	may_return(e, b->of[least - 1].end, b->of[most - 1].end);
}

/* Bytes that a message of that length takes in the buffer. */
static inline size_t space_in(const struct request *r, __u32 len)
{
	return has_mode(r->file, MPMCQ_MODE_PACKED) ? MPMCQ_MSG_SPACE(len) : len;
}

/* There is no message, or may be none. */
static inline void expect_no_message(const struct request *r, struct expected *e)
{
	const struct open_file *f = r->file;
	const struct queue *q = f->queue;
	bool holds = f->held.n || f->pooled;

	if (q->exact && drained(q, has_mode(f, MPMCQ_MODE_DEAD))) {
		may_return(e, 0, 0);
		return;
	}
	if (may_be_closed(r) && holds && !f->nonblock) {
		may_fail(e, -EDEADLK);
		/* Unless it is not to wait for other reasons, there is no other way out. */
		if (q->exact && r->may_wait && !r->cancelled)
			return;
	}
	expect_waiting(r, e);
}

/* How many bytes a packed read gets of a queue that is exact and has messages. */
static inline size_t packed_bytes(const struct request *r)
{
	const struct open_file *f = r->file;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);
	__u32 i, n = waiting(f->queue, dead);
	size_t sum = 0, most = r->there;

	if (has_mode(f, MPMCQ_MODE_LEASE) && n > f->max_held - f->held.n)
		n = f->max_held - f->held.n;
	for (i = 0; i < n; i++) {
		size_t space = MPMCQ_MSG_SPACE(nth(f->queue, dead, i)->len);

		if (sum + space > most)
			break;
		sum += space;
	}
	return sum;
}

static inline void expect_read(const struct request *r, struct expected *e)
{
	const struct open_file *f = r->file;
	const struct queue *q = f->queue;
	bool packed = has_mode(f, MPMCQ_MODE_PACKED), dead = has_mode(f, MPMCQ_MODE_DEAD);
	size_t shortest = space_in(r, 1), longest = space_in(r, q->like.msg_size);
	__u32 i;

	if (f->pooled && has_mode(f, MPMCQ_MODE_LEASE))
		may_fail(e, packed ? -ENOBUFS : -EBUSY);
	if (!r->total) {
		may_return(e, 0, 0);
		return;
	}
	if (packed && has_mode(f, MPMCQ_MODE_LEASE) && f->held.n == f->max_held) {
		may_fail(e, -ENOBUFS);
		if (r->flaky || r->there < r->total)
			may_fail(e, -EFAULT);
		if (!q->timed)
			return;
	}
	if (!q->exact || !waiting(q, dead))
		expect_no_message(r, e);
	if (q->exact && !waiting(q, dead))
		return;
	if (q->exact) {
		shortest = SIZE_MAX;
		longest = 0;
	}
	for (i = 0; q->exact && i < choices(q, dead); i++) {
		size_t space = space_in(r, nth(q, dead, i)->len);

		shortest = space < shortest ? space : shortest;
		longest = space > longest ? space : longest;
	}
	if (longest > r->total)
		may_fail(e, -EMSGSIZE);
	/* Of a buffer that is both too short and not accessible either may be said. */
	if (r->flaky || (r->there < r->total && r->there < longest))
		may_fail(e, -EFAULT);
	expect_fetching(r, e);
	if (!q->exact && may_be_closed(r))
		may_return(e, 0, 0);
	if (r->there < shortest)
		return;
	if (packed && q->exact && !q->vague) {
		longest = packed_bytes(r);
		shortest = r->quiet ? longest : shortest;
	} else if (packed || longest > r->there) {
		longest = r->there;
	}
	may_return(e, !q->exact && may_be_closed(r) ? 0 : shortest, longest);
}

static inline struct expected expect(const struct request *r)
{
	struct expected e = NOTHING;

	if (r->refusal.errors)
		e = r->refusal;
	else if (r->write && !r->total && r->vector)
		may_return(&e, 0, 0);
	else if (r->write && r->batch)
		expect_write_packed(r, &e);
	else if (r->write)
		expect_write_one(r, &e);
	else
		expect_read(r, &e);
	if (r->early)
		may_fail(&e, -ECANCELED);
	return e;
}

/* Whether the driver is asked. */
static inline bool gets_through(const struct request *r)
{
	return !r->refusal.errors && (r->total || !r->vector);
}

/* What poll may tell of @f, or has to if @must. */
static inline __u32 ready_events(const struct open_file *f, bool must)
{
	const struct queue *q = f->queue;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);
	__u32 mask = 0;

	if (!q->exact && must)
		return 0;
	if (readable(f) && (!q->exact || waiting(q, dead)))
		mask |= POLLIN | POLLRDNORM;
	if (readable(f) && (!q->exact || (!waiting(q, dead) && drained(q, dead))))
		mask |= POLLHUP;
	if (writable(f) && (!q->exact || room(q) || can_drop(q) || q->closed))
		mask |= POLLOUT | POLLWRNORM;
	return mask;
}

/* What of the first @size bytes of @info cannot be so; NULL if all can. */
static inline const char *misinformed(const struct mpmcq_info *info, __u32 size,
				      const struct open_file *f)
{
	const struct queue *q = f->queue;

#define CHECK(field, condition) do { \
	if (size >= offsetof(struct mpmcq_info, field) + sizeof(info->field) && !(condition)) \
		return #field; \
} while (0)
#define CHECK_COUNT(field, n) \
	CHECK(field, q->exact ? info->field == (n) : info->field <= q->like.capacity)

	CHECK(size, info->size == sizeof(*info));
	CHECK(version, info->version);
	CHECK(capacity, info->capacity == q->like.capacity);
	CHECK(msg_size, info->msg_size == q->like.msg_size);
	CHECK_COUNT(depth, waiting(q, false));
	CHECK(flags, info->flags == q->like.flags);
	CHECK(features, info->features == 2 * MPMCQ_FEATURE_DROP - 1);
	CHECK(modes, info->modes == f->modes);
	CHECK(closed, q->exact ? info->closed == q->closed : info->closed <= 1);
	CHECK_COUNT(dead, q->dead.n);
	CHECK_COUNT(leased, q->leased);
	CHECK(max_deliveries, info->max_deliveries == q->like.max_deliveries);
	CHECK(lease_ms, info->lease_ms == q->like.lease_ms);
	CHECK(held, f->pooled ? info->held <= f->max_held :
	      q->timed ? info->held <= f->held.n : info->held == f->held.n);
	CHECK(max_held, info->max_held == f->max_held);
	CHECK(name, !memcmp(info->name, q->like.name, sizeof(info->name)));
#undef CHECK_COUNT
#undef CHECK
	return NULL;
}

/* Arguments: what each may be refused with; nothing if it may not. */
static inline bool are_open_flags(__u32 flags)
{
	return !(flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC)) && (flags & O_ACCMODE) != O_ACCMODE;
}

static inline bool is_name(const char *name, size_t size)
{
	size_t len = strnlen(name, size), i;

	if (!len || len == size || strchr(".-", *name))
		return false;
	for (i = 0; i < size; i++) {
		char c = name[i];

		if (i >= len ? c : !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				     (c >= 'a' && c <= 'z') || (c && strchr("_.-", c))))
			return false;
	}
	return true;
}

static inline bool has_no_name(const struct mpmcq_create *create)
{
	static const char none[sizeof(create->name)];

	return !memcmp(create->name, none, sizeof(none));
}

static inline void check_create(const struct mpmcq_create *c, const struct open_file *f,
				struct expected *e)
{
	__u32 capacity = c->capacity ? c->capacity : 1024;
	__u32 msg_size = c->msg_size ? c->msg_size : 1024;
	__u32 flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_AUTO_DESTROY;

	if (capacity & (capacity - 1) || capacity < 2 || capacity > 1048576 ||
	    msg_size > 65536 || c->lease_ms > INT_MAX || c->flags & ~flags ||
	    !are_open_flags(c->open_flags))
		may_fail(e, -EINVAL);
	if (has_no_name(c)) {
		if (c->mode || c->flags & MPMCQ_AUTO_DESTROY)
			may_fail(e, -EINVAL);
	} else {
		if (!is_name(c->name, sizeof(c->name)) || c->mode & ~0777)
			may_fail(e, -EINVAL);
		if (!writable(f))
			may_fail(e, -EBADF);
	}
	/* No user has so much; less is not asked for in vain. */
	if ((__u64)capacity * msg_size > 1U << 30) {
		may_fail(e, -EFBIG);
		may_fail(e, -ENOSPC);
	}
}

static inline void check_attach(const struct mpmcq_attach *a, const struct open_file *f,
				struct expected *e)
{
	__u32 access = a->open_flags & O_ACCMODE;
	__u32 modes = MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD;

	if (!are_open_flags(a->open_flags) || a->modes & ~modes ||
	    (a->modes & MPMCQ_MODE_LEASE && a->modes & MPMCQ_MODE_DEAD) ||
	    (a->max_held && !(a->modes & MPMCQ_MODE_LEASE)) || a->max_held > MPMCQ_MAX_HELD_MAX)
		may_fail(e, -EINVAL);
	if ((access != O_WRONLY && !readable(f)) || (access != O_RDONLY && !writable(f)))
		may_fail(e, -EACCES);
	if (a->modes & (MPMCQ_MODE_LEASE | MPMCQ_MODE_DEAD) && access == O_WRONLY)
		may_fail(e, -EBADF);
}

static inline void check_mode(const struct mpmcq_mode *m, const struct open_file *f,
			      struct expected *e)
{
	bool lease = m->modes & MPMCQ_MODE_LEASE;

	if (m->reserved || m->modes & ~(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE) ||
	    (m->max_held && !lease) || m->max_held > MPMCQ_MAX_HELD_MAX ||
	    (lease && has_mode(f, MPMCQ_MODE_DEAD)))
		may_fail(e, -EINVAL);
	if (lease && !readable(f))
		may_fail(e, -EBADF);
}

/* Whether modes that are all right as such can be set: once there is a lease they stay. */
static inline void expect_mode(const struct mpmcq_mode *m, const struct open_file *f,
			       struct expected *e)
{
	if (has_mode(f, MPMCQ_MODE_LEASE) &&
	    (m->modes != f->modes || most_held(f->queue, m->max_held) != f->max_held))
		may_fail(e, -EBUSY);
	else
		may_return(e, 0, 0);
}

static inline void check_leases(const struct mpmcq_leases *l, enum verdict verdict,
				const struct open_file *f, struct expected *e)
{
	bool nack = verdict == NACK || verdict == NACK_FRONT;
	__u32 flags = MPMCQ_LEASES_ALL | (nack ? MPMCQ_LEASES_FRONT : 0);
	bool all = l->flags & MPMCQ_LEASES_ALL;

	if (l->flags & ~flags || (all && (l->ids || l->count)) ||
	    (!all && (!l->count || l->count > 65536)))
		may_fail(e, -EINVAL);
	if (!readable(f))
		may_fail(e, -EBADF);
}

static inline void check_dead(const struct mpmcq_dead *d, bool revive, const struct open_file *f,
			      struct expected *e)
{
	if (d->flags)
		may_fail(e, -EINVAL);
	if (!readable(f) || (revive && !writable(f)))
		may_fail(e, -EBADF);
}

/* What becomes of dead messages. */
static inline __u32 end_dead(struct queue *q, __u32 most, bool revive)
{
	__u32 n = most && most < q->dead.n ? most : q->dead.n, i;

	for (i = 0; i < n; i++) {
		struct message m = take_at(&q->dead, 0);

		m.deliveries = 0;
		if (revive)
			append(&q->ready, m);
	}
	if (!revive)
		count(q, PURGED, n);
	return n;
}

#endif /* MPMCQ_FUZZ_MODEL_H */
