// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is known of queues, and what is wrong with messages that arrive
 */
#include <stdint.h>

#include "fuzz_model.h"

void *share(size_t n)
{
	void *mem = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

__u64 boottime(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

struct world *new_world(__u32 workers, __u32 calls)
{
	struct world *world = share(sizeof(*world));

	if (!world)
		return NULL;
	world->began = boottime();
	world->uid = geteuid();
	world->gid = getegid();
	world->workers = workers;
	world->calls = calls;
	world->numbers = 16 * calls;
	for (world->ids_size = 1024; world->ids_size < 64 * workers * calls;)
		world->ids_size *= 2;
	world->entries = share((size_t)workers * world->numbers * sizeof(*world->entries));
	world->ids = share(world->ids_size * sizeof(*world->ids));
	return world->entries && world->ids ? world : NULL;
}

void count(struct queue *q, enum count which, __u32 n)
{
	__atomic_add_fetch(&q->counts[which], n, __ATOMIC_RELAXED);
}

void copy_counts(const struct queue *q, __u64 *counts)
{
	int i;

	for (i = 0; i < COUNTS; i++)
		counts[i] = __atomic_load_n(&q->counts[i], __ATOMIC_SEQ_CST);
}

/*
 * Lists
 */
bool list_init(struct list *list, __u32 most)
{
	/* Twice, so that they are moved to the start but now and then. */
	*list = (struct list){ .size = 2 * most };
	list->array = share(list->size * sizeof(*list->array));
	return list->array;
}

void append(struct list *list, struct message m)
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

static void insert(struct list *list, __u32 i, struct message m)
{
	append(list, m);
	memmove(at(list, i + 1), at(list, i), (list->n - 1 - i) * sizeof(m));
	*at(list, i) = m;
}

static struct message take_at(struct list *list, __u32 i)
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
void begin_queue(struct world *world, struct queue *q)
{
	q->serial = increment(&world->serial);
	q->number = 0;
	q->uuid = 0;
	q->name[0] = '\0';
	q->mount = NULL;
	q->is_private = false;
	q->named = false;
	q->linked = false;
	memset(q->counts, 0, sizeof(q->counts));
	memset(q->shorts_sent, 0, sizeof(q->shorts_sent));
	memset(q->shorts_gone, 0, sizeof(q->shorts_gone));
	q->filling = true;
	q->closed = false;
	q->fuzzy = false;
	q->vague = false;
	q->dead_vague = false;
	q->mixed = false;
	q->all_due = false;
	q->files = 0;
	q->writers = 0;
	q->leased = 0;
	q->ready.n = 0;
	q->returned.n = 0;
	q->dead.n = 0;
	q->parked.n = 0;
}

__u32 room(const struct queue *q)
{
	return q->like.capacity - q->ready.n - q->returned.n - q->dead.n - q->parked.n - q->leased;
}

bool can_drop(const struct queue *q, __u32 priority)
{
	/* The last is of the lowest level that there is. */
	return q->like.flags & MPMCQ_DROP_OLDEST && q->ready.n &&
	       at(&q->ready, q->ready.n - 1)->priority <= priority;
}

bool drained(const struct queue *q, bool dead)
{
	return q->closed && room(q) + (dead ? 0 : q->dead.n) == q->like.capacity;
}

__u32 waiting(const struct queue *q, bool dead)
{
	return dead ? q->dead.n : q->returned.n + q->ready.n;
}

const struct message *nth(const struct queue *q, bool dead, __u32 i)
{
	if (dead)
		return at(&q->dead, i);
	return i < q->returned.n ? at(&q->returned, i) : at(&q->ready, i - q->returned.n);
}

__u64 oldest_from(const struct queue *q)
{
	__u64 from = UINT64_MAX;
	__u32 i, n = waiting(q, false);

	for (i = 0; i < n; i++)
		if (nth(q, false, i)->sent_from < from)
			from = nth(q, false, i)->sent_from;
	return from;
}

__u32 choices(const struct queue *q, bool dead)
{
	__u32 n = waiting(q, dead);

	return n && !(dead ? q->dead_vague : q->vague) ? 1 : n;
}

bool is_suspect(const struct queue *q, __u32 i)
{
	const struct message *m = nth(q, false, i);

	return m->suspect && !(q->mixed && is_short(m));
}

bool may_be_suspect(const struct queue *q, __u32 i)
{
	const struct message *m = nth(q, false, i);

	return m->suspect || (q->mixed && is_short(m));
}

bool next_is_suspect(const struct queue *q)
{
	__u32 i, n = choices(q, false);

	for (i = 0; i < n; i++)
		if (!is_suspect(q, i))
			return false;
	return n;
}

bool next_may_be_suspect(const struct queue *q)
{
	__u32 i, n = choices(q, false);

	for (i = 0; i < n; i++)
		if (may_be_suspect(q, i))
			return true;
	return false;
}

bool holds_suspect(const struct open_file *f)
{
	return f->held.n && at(&f->held, 0)->suspect;
}

static struct message take_nth(struct queue *q, bool dead, __u32 i)
{
	struct message m;

	if (dead) {
		m = take_at(&q->dead, i);
		q->dead_vague &= q->dead.n > 1;
		return m;
	}
	m = i < q->returned.n ? take_at(&q->returned, i) : take_at(&q->ready, i - q->returned.n);
	if (!waiting(q, false)) {
		q->fuzzy = false;
		q->vague = false;
	}
	return m;
}

static void lose_order(struct queue *q)
{
	q->vague = true;
	q->mixed = true;
}

/* At the end of its level, before those of lower ones. */
static void make_ready(struct queue *q, struct message m)
{
	__u32 i = q->ready.n;

	while (i && at(&q->ready, i - 1)->priority < m.priority)
		i--;
	/* Those that it passes may be in returned; or another that is alike is of another level. */
	if ((q->fuzzy && i < q->ready.n) || (q->mixed && is_short(&m) && q->like.levels > 1))
		lose_order(q);
	insert(&q->ready, i, m);
}

/* Not before its delay is over; nothing does while the queue is closed so. */
static void make_ready_later(struct queue *q, struct message m)
{
	__u32 i = q->parked.n;

	if (!m.delay_ms || q->all_due) {
		make_ready(q, m);
		return;
	}
	/* Delays are equal, or differ by more than a test takes. */
	while (i && at(&q->parked, i - 1)->delay_ms > m.delay_ms)
		i--;
	insert(&q->parked, i, m);
}

void make_all_due(struct queue *q)
{
	while (q->parked.n)
		make_ready(q, take_at(&q->parked, 0));
	q->all_due = true;
}

/* The oldest of the lowest level that there is. */
static void drop_oldest(struct queue *q)
{
	__u32 i = q->ready.n - 1;

	while (i && at(&q->ready, i - 1)->priority == at(&q->ready, i)->priority)
		i--;
	take_at(&q->ready, i);
	count(q, DROPPED, 1);
}

static void set_aside(struct queue *q, struct message m, __u8 reason)
{
	m.reason = reason;
	m.suspect = false;
	count(q, SET_ASIDE, 1);
	append(&q->dead, m);
}

static void to_returned(struct queue *q, struct message m)
{
	/* Behind those of ready that are there already. */
	if (q->fuzzy && q->ready.n)
		lose_order(q);
	append(&q->returned, m);
}

/* For how many milliseconds a message that is given back is parked. */
static __u32 delay_of(const struct queue *q, const struct message *m, struct verdict v)
{
	__u32 most = q->like.retry_max_ms ? q->like.retry_max_ms : UINT32_MAX;
	__u64 delay = q->like.retry_ms;
	__u32 i;

	if (v.flags & MPMCQ_SETTLE_DELAY)
		return v.delay_ms;
	if (v.flags & MPMCQ_SETTLE_UNTRIED)
		return 0;
	for (i = 1; i < m->deliveries && delay < most; i++)
		delay *= 2;
	return delay < most ? delay : most;
}

static void give_back(struct queue *q, struct message m, struct verdict v)
{
	count(q, RETURNED, 1);
	if (q->like.max_deliveries && m.deliveries >= q->like.max_deliveries) {
		set_aside(q, m, MPMCQ_REASON_DELIVERIES);
		return;
	}
	count(q, SUSPECTED, v.fate == CAME_BACK);
	if (v.fate == CAME_BACK || v.flags & MPMCQ_SETTLE_FRONT) {
		to_returned(q, m);
	} else {
		m.delay_ms = delay_of(q, &m, v);
		make_ready_later(q, m);
	}
}

void hand_back(struct queue *q, bool dead, bool packed)
{
	struct list *from = dead ? &q->dead : q->returned.n ? &q->returned : &q->ready;

	if (!from->n || (dead ? q->dead_vague : q->vague))
		return;
	if (dead && packed) {
		q->dead_vague = true;
		q->mixed = true;
	} else if (dead) {
		append(&q->dead, take_at(&q->dead, 0));
	} else if (q->fuzzy || (packed && q->returned.n)) {
		lose_order(q);
	} else if (packed) {
		q->fuzzy = true;
	} else {
		append(&q->returned, take_at(from, 0));
	}
}

/* It is sent again as one that nobody has seen. */
static void revive_one(struct queue *q, struct message m)
{
	m.deliveries = 0;
	m.suspect = true;
	m.reason = 0;
	count(q, SUSPECTED, 1);
	make_ready(q, m);
}

__u32 end_dead(struct queue *q, __u32 most, bool revive)
{
	__u32 n = most && most < q->dead.n ? most : q->dead.n, i;

	for (i = 0; i < n; i++) {
		struct message m = take_nth(q, true, 0);

		if (revive)
			revive_one(q, m);
	}
	if (!revive)
		count(q, PURGED, n);
	return n;
}

/*
 * Accounts
 */
struct entry *entry_of(const struct world *world, __u32 worker, __u32 number)
{
	return &world->entries[(size_t)worker * world->numbers + number];
}

struct entry *entry(const struct world *world, const struct message *m)
{
	return entry_of(world, m->producer, m->number);
}

void write_message(void *buf, __u32 len, __u32 worker, __u32 number)
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

void will_send(struct world *world, const struct queue *q, const struct message *m)
{
	struct entry *e = entry(world, m);

	e->queue = q->serial;
	e->priority = m->priority;
	e->seq = 0;
	__atomic_store_n(&e->state, IN_DOUBT, __ATOMIC_SEQ_CST);
}

void not_sent(struct world *world, const struct message *m)
{
	entry(world, m)->state = NOT_SENT;
}

void sent(struct world *world, struct queue *q, struct message m)
{
	if (is_short(&m)) {
		increment(&q->shorts_sent[m.len]);
		not_sent(world, &m);
	} else {
		entry(world, &m)->state = WRITTEN;
	}
	count(q, SENT, 1);
	if (!q->exact)
		return;
	if (!room(q) && can_drop(q, m.priority))
		drop_oldest(q);
	make_ready_later(q, m);
}

int gone(struct world *world, struct queue *q, const struct message *m)
{
	if (!is_short(m))
		return increment(&entry(world, m)->gone) > 1 ? REPEATED : 0;
	increment(&q->shorts_gone[m->len]);
	return 0;
}

int hold(struct world *world, const struct queue *q, const struct message *m)
{
	if (is_short(m) || q->timed || q->pooled)
		return 0;
	return increment(&entry(world, m)->out) > 1 ? REPEATED : 0;
}

void let_go(struct world *world, const struct queue *q, const struct message *m)
{
	if (!is_short(m) && !q->timed && !q->pooled)
		decrement(&entry(world, m)->out);
}

/* Takes the message from where it has to be, with what is known of it. */
static bool take_message(struct queue *q, bool dead, struct message *m)
{
	__u32 i, n = choices(q, dead);

	for (i = 0; i < n; i++) {
		const struct message *have = nth(q, dead, i);

		if (have->len != m->len || (!is_short(m) && (have->producer != m->producer ||
							     have->number != m->number)))
			continue;
		*m = take_nth(q, dead, i);
		m->id = 0;
		return true;
	}
	if (n)
		take_nth(q, dead, 0);
	return false;
}

int arrived(struct world *world, const struct open_file *f, struct order *order, const void *buf,
	    __u32 len, struct message *m)
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

int delivered(struct world *world, struct open_file *f, struct message m)
{
	struct queue *q = f->queue;
	int faults = 0;

	count(q, RECEIVED, 1);
	if (!has_mode(f, MPMCQ_MODE_LEASE))
		return gone(world, q, &m);
	if (f->pooled)
		return 0;
	if (q->exact)
		q->leased++;
	if (!has_mode(f, MPMCQ_MODE_DEAD)) {
		count(q, REDELIVERED, m.deliveries > 0);
		m.deliveries++;
	}
	/* Of those that a queue that is timed took back nobody has told us. */
	if (f->held.n == f->max_held) {
		faults = q->timed ? 0 : EXCESSIVE;
		take_at(&f->held, 0);
	}
	append(&f->held, m);
	return faults | hold(world, q, &m);
}

int balance(const struct world *world, const struct queue *q, __u32 from, __u32 n, __s64 unnamed)
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
 * Leases
 */
/* What is not sent again is dead as before, and not counted. */
static void end_dead_lease(struct queue *q, struct message m, enum fate fate)
{
	if (fate == REVIVE)
		revive_one(q, m);
	else
		append(&q->dead, m);
}

int end_lease(struct world *world, struct open_file *f, __u32 i, struct verdict verdict)
{
	struct message m = take_at(&f->held, i);
	struct queue *q = f->queue;

	if (q->exact)
		q->leased--;
	if (verdict.fate == ACK) {
		/* Whether it had ended before, nobody has told us. */
		if (q->timed)
			return 0;
		count(q, ACKED, 1);
		return gone(world, q, &m);
	}
	if (!q->exact)
		return 0;
	if (has_mode(f, MPMCQ_MODE_DEAD)) {
		end_dead_lease(q, m, verdict.fate);
		return 0;
	}
	if (verdict.flags & MPMCQ_SETTLE_UNTRIED)
		m.deliveries--;
	else
		m.suspect = verdict.fate == CAME_BACK;
	if (verdict.fate == REJECT)
		set_aside(q, m, MPMCQ_REASON_REJECTED);
	else
		give_back(q, m, verdict);
	return 0;
}

int forwarded(struct world *world, struct open_file *f, __u32 i, struct queue *to, struct message m,
	      bool itself)
{
	int faults = end_lease(world, f, i, (struct verdict){ .fate = ACK });

	if (itself && !is_short(&m)) {
		/* It is not gone for good. */
		entry(world, &m)->gone--;
		will_send(world, to, &m);
	}
	sent(world, to, m);
	return faults;
}

int find_held(const struct open_file *f, __u64 id)
{
	__u32 i;

	for (i = 0; i < f->held.n; i++)
		if (at(&f->held, i)->id == id)
			return i;
	return -1;
}

__u32 count_held(const struct open_file *f, const __u64 *ids, __u32 n, enum fate fate)
{
	__u32 i, j, held = 0;

	for (i = 0; i < n; i++) {
		for (j = 0; fate != TOUCH && j < i && ids[j] != ids[i]; j++)
			;
		if (find_held(f, ids[i]) >= 0 && (fate == TOUCH || j == i))
			held++;
	}
	return held;
}

void let_all_go(struct world *world, const struct open_file *f)
{
	__u32 i;

	for (i = 0; i < f->held.n; i++)
		let_go(world, f->queue, at(&f->held, i));
}

int end_all_leases(struct world *world, struct open_file *f, struct verdict verdict)
{
	int faults = 0;

	while (f->held.n)
		faults |= end_lease(world, f, 0, verdict);
	return faults;
}

/*
 * Open files
 */
void opened(struct open_file *f, struct queue *q, int access, __u32 modes, __u32 max_held)
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

void begin_with_lease(struct open_file *f)
{
	if (!(f->queue->like.flags & MPMCQ_START_LEASE) || !readable(f))
		return;
	f->modes = MPMCQ_MODE_LEASE;
	f->max_held = 1;
	f->started = true;
}

void set_modes(struct open_file *f, __u32 modes, __u32 max_held)
{
	f->started = false;
	f->modes = modes | (f->modes & MPMCQ_MODE_DEAD);
	f->max_held = has_mode(f, MPMCQ_MODE_LEASE) ? most_held(f->queue, max_held) : 0;
}

void set_timeouts(struct open_file *f, __u32 rcv_timeout_ms, __u32 snd_timeout_ms)
{
	f->rcv_timeout_ms = rcv_timeout_ms == UINT32_MAX ? 0 : rcv_timeout_ms;
	f->snd_timeout_ms = snd_timeout_ms == UINT32_MAX ? 0 : snd_timeout_ms;
}

void closed(struct world *world, struct open_file *f)
{
	struct queue *q = f->queue;

	end_all_leases(world, f, (struct verdict){ .fate = CAME_BACK });
	f->queue = NULL;
	if (!q->exact)
		return;
	if (writable(f) && !--q->writers && q->like.flags & MPMCQ_AUTO_CLOSE)
		q->closed = true;
	if (!--q->files && !q->named)
		q->serial = 0;
}

__u32 most_held(const struct queue *q, __u32 max_held)
{
	if (!max_held)
		max_held = MPMCQ_MAX_HELD_DEFAULT;
	return max_held < q->like.capacity ? max_held : q->like.capacity;
}
