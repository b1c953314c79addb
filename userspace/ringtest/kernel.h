/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the queue takes from the kernel beyond the ring's atomics, for threads of steps.h:
 * tasks that sleep and are woken, wait queues, signals, poll, and buffers whose pages
 * may be missing.  After kernel/sched/core.c, kernel/sched/wait.c and fs/select.c.
 *
 * Each call that takes the lock of a wait queue is one step: nobody sees its middle
 * but waitqueue_active(), for which one of its stores decides.  A task's state is
 * changed together with the queue for the same reason.
 */
#ifndef _MPMCQ_RINGTEST_KERNEL_H
#define _MPMCQ_RINGTEST_KERNEL_H

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SHIM_STEPS
#include "shim.h"
#include "../../kmod/uapi/linux/mpmcq.h"

typedef uint8_t u8;
typedef unsigned int __poll_t;
typedef unsigned int gfp_t;

#define HAVE_FAULT_IN_IOV_ITER
#define HAVE_IOV_ITER_UBUF
#define HAVE_ITER_IOV

#define ERESTARTSYS		512
#define U32_MAX			UINT32_MAX
#define U64_MAX			UINT64_MAX
#define INT_MAX			__INT_MAX__
#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0
#define __GFP_ZERO		0
#define __GFP_NOWARN		0
#define __GFP_NORETRY		0
#define __GFP_DIRECT_RECLAIM	0
#ifndef CONFIG_PREEMPT_RT
#define CONFIG_PREEMPT_RT	0
#endif
#define IS_ENABLED(option)	(option)
#define likely(x)		(x)
#define unlikely(x)		(x)
#define noinline
#define __user
#define __aligned(n)		__attribute__((__aligned__(n)))
#define ALIGN(n, to)		(((n) + (to) - 1) / (to) * (to))
#define PAGE_SIZE		4096UL
#define PAGE_ALIGN(n)		ALIGN(n, PAGE_SIZE)
#define container_of(p, type, member) \
	((type *)((char *)(p) - offsetof(type, member)))
#define BIT_ULL(n)		(1ULL << (n))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))
#define check_mul_overflow(a, b, to)	__builtin_mul_overflow(a, b, to)
#define check_add_overflow(a, b, to)	__builtin_add_overflow(a, b, to)
#define min(a, b)		((a) < (b) ? (a) : (b))
#define max(a, b)		((a) > (b) ? (a) : (b))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define max_t(type, a, b)	max((type)(a), (type)(b))

#define ERR_PTR(error)		((void *)(long)(error))
#define PTR_ERR(p)		((long)(p))
#define IS_ERR(p)		((unsigned long)(p) >= -4095UL)
#define __vmalloc(size, flags)	((void)(flags), aligned_zeroes(size))
#define vfree(p)		free(p)
#define is_vmalloc_addr(p)	true
#define PAGE_ALLOC_COSTLY_ORDER	3
#define get_order(size)		3
#define __get_free_pages(flags, order)	((void)(order), 0UL)
#define free_pages(p, order)	((void)0)
#define kmemleak_alloc(p, size, min_count, flags)	((void)0)
#define kmemleak_free(p)	((void)0)

/* One processor: nobody looks at counters before the threads are at their ends. */
typedef struct {
	uint64_t n;
} local64_t;

#define get_cpu()			0
#define put_cpu()			((void)0)
#define local64_add(i, counter)		((counter)->n += (i))
#define local64_read(counter)		((counter)->n)
#define nr_cpu_ids			1U
#define for_each_possible_cpu(cpu)	for ((cpu) = 0; (cpu) < 1; (cpu)++)
/* And nobody looks again where nothing can have changed; a look more is a step more. */
#define num_online_cpus()		1U
#define need_resched()			false
#define single_task_running()		true
#define cpu_relax()			((void)0)

/* Time stands still: who relies on others gets no help from a timer. */
struct timer_list {
	bool unused;
};

#define jiffies					0UL
#define timer_setup(timer, function, flags)	((void)(function))
#define mod_timer(timer, expires)		((void)(timer))
#define timer_reduce(timer, expires)		((void)(timer))
#define del_timer_sync(timer)			((void)(timer))

/* What is traced can be told from what the calls return. */
#define trace_mpmcq_send(queue, len)			((void)0)
#define trace_mpmcq_send_enabled()			false
#define trace_mpmcq_receive(queue, len)			((void)0)
#define trace_mpmcq_drop(queue, len)			((void)0)
#define trace_mpmcq_forward(from, to, len)		((void)0)
#define trace_mpmcq_return(queue, len, deliveries)	((void)0)
#define trace_mpmcq_park(queue, len, delay_ms)		((void)0)
#define trace_mpmcq_park_enabled()			false
#define trace_mpmcq_due(queue, len)			((void)0)
#define trace_mpmcq_due_enabled()			false
#define trace_mpmcq_block(queue, writer)		((void)0)
#define trace_mpmcq_wake(queue, writer)			((void)0)

/* Aligned as pages are. */
static inline void *aligned_zeroes(size_t size)
{
	void *p = aligned_alloc(PAGE_SIZE, PAGE_ALIGN(size));

	return p ? memset(p, 0, size) : NULL;
}

/* The queue lives as long as the test wants, and its open files. */
struct kref {
	unsigned int n;
};

#define kref_init(kref)		((kref)->n = 1)
#define kref_get(kref)		((kref)->n++)
#define kref_put(kref, release)	(--(kref)->n ? (void)0 : (release)(kref))

struct mutex {
	bool unused;
};

typedef struct {
	u8 b[16];
} uuid_t;

/* Nobody asks who sends. */
struct cred {
	unsigned int euid, egid;
};

#define __kuid_val(uid)		(uid)
#define __kgid_val(gid)		(gid)

#define uuid_gen(uuid)		((void)(uuid))

#define mutex_init(lock)	((void)(lock))
#define mutex_lock(lock)	((void)(lock))
#define mutex_unlock(lock)	((void)(lock))

/*
 * Between threads only integers are shared this way; pointers here never change.  A store by
 * WRITE_ONCE() is no step: what is stored so is for nobody else before a later step of its thread.
 */
#define READ_ONCE(x)							\
	((__typeof__(x))shim_read(&(x), sizeof(x),			\
				  __builtin_types_compatible_p(__typeof__(x), u64)))
#define WRITE_ONCE(x, value)	((x) = (value))
#define smp_store_release(p, v)	shim_store(p, v)

static inline u64 shim_read(const void *p, size_t size, bool is_u64)
{
	if (size == sizeof(u64) && !is_u64)
		return *(const uintptr_t *)p;
	step_at(p);
	return saw(is_u64 ? *(const u64 *)p : *(const u32 *)p);
}

static inline void shim_store(u64 *p, u64 value)
{
	step_at(p);
	*p = value;
}

static inline void smp_mb(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

#define smp_mb__after_atomic()	smp_mb()
#define smp_wmb()		smp_mb()
/* A copy of what another thread may be writing. */
#define data_race(expression)	(step(), (expression))

/*
 * Whether there are any signals, any pollers, and anybody who closes or reopens the
 * queue.  To look for what never is there is no step: nobody could tell when that was.
 */
static bool signals, pollers, closers;

/* Whether any thread peeks: else a message that is being written is seen by nobody. */
static bool peekers;

/* Whether tasks are stopped for good.  None is between picking a task and waking it. */
static bool pauses;

/* In the queue, only whether it is closed. */
typedef struct {
	int counter;
} atomic_t;

static inline int atomic_read(const atomic_t *v)
{
	if (!closers)
		return v->counter;
	step();
	return saw(v->counter);
}

#define atomic_set(v, i)	((v)->counter = (i))
/* Of those that nobody looks at but people. */
#define atomic_inc(v)		((void)(v))
#define atomic_dec(v)		((void)(v))
#define atomic64_add(i, v)	((void)(v))

static inline int atomic_inc_return(atomic_t *v)
{
	step();
	return saw(++v->counter);
}

static inline bool atomic_try_cmpxchg(atomic_t *v, int *old, int new)
{
	bool done;

	step();
	done = v->counter == *old;
	if (done)
		v->counter = new;
	else
		*old = saw(v->counter);
	return saw(done);
}

/* Tasks: the threads of steps.h. */
enum { TASK_RUNNING, TASK_INTERRUPTIBLE };

static struct task_struct {
	bool sleepy;		/* state is TASK_INTERRUPTIBLE */
	bool asleep;		/* off the processor, until woken */
	bool signalled;
	bool struck;		/* the signal came while it was asleep */
	bool timed_out;		/* it has waited as long as it may, if there is a limit */
	bool triggered;		/* a poller's: woken since it last looked */
	uint64_t seen;		/* when preemption was disabled */
} tasks[STEPS_MAX_THREADS];

#define current			(&tasks[steps_self()])

/*
 * put.c and claim.c keep nothing in local variables of what it sees between the two.  (There
 * is no current outside of the threads, where the queue is set up.)
 */
static inline void preempt_disable(void)
{
	if (steps_self() < 0)
		return;
	current->seen = steps_seen(steps_self());
}

static inline void preempt_enable(void)
{
	if (steps_self() < 0)
		return;
	steps_forget(current->seen);
	saw(0);
}

/* There are no interrupts. */
#define local_irq_save(flags)		((flags) = 0)
#define local_irq_restore(flags)	((void)(flags))

/* Who has one is no task of a test any more. */
#define fatal_signal_pending(task)	((void)(task), false)

static inline void cond_resched(void)
{
}

static inline bool signal_pending(struct task_struct *task)
{
	if (!signals)
		return false;
	step();
	return saw(task->signalled);
}

/* try_to_wake_up(): whether the task was about to sleep */
static inline bool wake_up_process(struct task_struct *task)
{
	bool was = task->sleepy;

	task->sleepy = false;
	task->asleep = false;
	return was;
}

static inline void set_current_state(int state)
{
	step();
	current->sleepy = state == TASK_INTERRUPTIBLE;
}

static inline void schedule(void)
{
	step();
	if (current->signalled)
		current->sleepy = false;
	current->asleep = current->sleepy;
	if (saw(current->asleep))
		step();
}

/* The time of a task that sleeps with a limit is up, or soon will be. */
typedef uint64_t ktime_t;

#define ktime_get()			0
#define ktime_get_boottime_ns()		0
#define ktime_add_ms(time, ms)		((time) + (ms))
#define HRTIMER_MODE_ABS		0
#define schedule_hrtimeout_range(until, slack, mode)	((void)(until), shim_schedule_timed())

static inline int shim_schedule_timed(void)
{
	step();
	if (current->signalled || current->timed_out)
		current->sleepy = false;
	current->asleep = current->sleepy;
	if (saw(current->asleep))
		step();
	return saw(current->timed_out) ? 0 : -EINTR;
}

static inline void shim_time_out(struct task_struct *task)
{
	step();
	task->timed_out = true;
	wake_up_process(task);
}

static inline void shim_signal(struct task_struct *task)
{
	step();
	task->signalled = true;
	task->struck |= task->asleep;
	wake_up_process(task);
}

static inline unsigned int shim_asleep(void)
{
	unsigned int mask = 0;

	for (unsigned int i = 0; i < STEPS_MAX_THREADS; i++)
		mask |= tasks[i].asleep << i;
	return mask;
}

/* No task ever goes away; but which one was picked is seen, and kept in a local variable. */
#define get_task_struct(task)	(saw((struct task_struct *)(task) - tasks), (task))
#define put_task_struct(task)	((void)(task))

/*
 * Wait queues: who is in it, once at most; pollers that are not exclusive first, the
 * others in the order of coming.
 */
struct wait_queue_entry;
typedef int (*wait_queue_func_t)(struct wait_queue_entry *entry, unsigned int mode, int flags,
				 void *key);

typedef struct wait_queue_head {
	struct wait_queue_entry {
		struct task_struct *private;
		wait_queue_func_t func;
		struct shim_place {
			struct wait_queue_head *head;
		} entry;
		__poll_t polls;		/* for what */
		bool exclusive;
	} entries[STEPS_MAX_THREADS];
	unsigned int n;
	bool unused;			/* nobody ever waits here */
} wait_queue_head_t;

#define DEFINE_WAIT_FUNC(name, function)		wait_queue_func_t name = function
#define prepare_to_wait_exclusive(head, wait, state)	shim_prepare_to_wait(head, *(wait))
#define finish_wait(head, wait)				shim_finish_wait(head)

static inline void init_waitqueue_head(wait_queue_head_t *head)
{
	head->n = 0;
	head->unused = false;
}

static inline void shim_remove(wait_queue_head_t *head, const struct task_struct *task)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < head->n; i++)
		if (head->entries[i].private != task)
			head->entries[left++] = head->entries[i];
	head->n = left;
}

/* At the end, or at the beginning if not exclusive. */
static inline void shim_add(wait_queue_head_t *head, wait_queue_func_t func, __poll_t polls,
			    bool exclusive)
{
	struct wait_queue_entry *entries = head->entries;
	struct wait_queue_entry entry = { current, func, { head }, polls, exclusive };

	for (unsigned int i = 0; i < head->n; i++)
		if (entries[i].private == current)
			return;
	if (!exclusive)
		memmove(entries + 1, entries, head->n * sizeof(*entries));
	entries[exclusive ? head->n : 0] = entry;
	head->n++;
}

static inline void shim_prepare_to_wait(wait_queue_head_t *head, wait_queue_func_t func)
{
	step();
	shim_add(head, func, 0, true);
	current->sleepy = true;
}

static inline void shim_finish_wait(wait_queue_head_t *head)
{
	step();
	current->sleepy = false;
	step();
	shim_remove(head, current);
}

static inline bool waitqueue_active(const wait_queue_head_t *head)
{
	if (head->unused)
		return false;
	step();
	return saw(head->n > 0);
}

static inline void list_del_init_careful(struct shim_place *entry)
{
	shim_remove(entry->head, container_of(entry, struct wait_queue_entry, entry)->private);
}

/* In the lock of a wait queue, so no step. */
static inline int autoremove_wake_function(struct wait_queue_entry *entry, unsigned int mode,
					   int flags, void *key)
{
	(void)mode;
	(void)flags;
	(void)key;
	if (!wake_up_process(entry->private))
		return 0;
	list_del_init_careful(&entry->entry);
	return 1;
}

/* Out of it. */
static inline int default_wake_function(struct wait_queue_entry *entry, unsigned int mode,
					int flags, void *key)
{
	(void)mode;
	(void)flags;
	(void)key;
	if (!pauses)
		step();
	return saw(wake_up_process(entry->private));
}

/* pollwake(): stays in the wait queue. */
static inline int shim_pollwake(struct wait_queue_entry *entry, unsigned int mode, int flags,
				void *key)
{
	__poll_t events = (uintptr_t)key;

	(void)mode;
	(void)flags;
	if (events && !(events & entry->polls))
		return 0;
	entry->private->triggered = true;
	return wake_up_process(entry->private);
}

/* __wake_up_common(): all up to that many exclusive ones, 0 for no limit */
static inline void shim_wake_up(wait_queue_head_t *head, int exclusive, void *key)
{
	struct wait_queue_entry entry;
	unsigned int i = 0, n;
	bool woken;

	if (head->unused)
		return;
	step();
	while (i < head->n) {
		n = head->n;
		entry = head->entries[i];
		woken = entry.func(&entry, TASK_INTERRUPTIBLE, 0, key);
		if (woken && entry.exclusive && !--exclusive)
			return;
		if (head->n == n)
			i++;
	}
}

#define wake_up_interruptible(head)			shim_wake_up(head, 1, NULL)
#define wake_up_interruptible_all(head)			shim_wake_up(head, 0, NULL)
#define __wake_up(head, state, exclusive, key)		shim_wake_up(head, exclusive, key)
#define __wake_up_sync_key(head, state, key)		shim_wake_up(head, 1, key)
#define poll_to_key(events)				((void *)(uintptr_t)(events))

/* SIGIO goes out by the same rule as the wake-up of pollers; nobody wants it here. */
struct fasync_struct;

static inline void kill_fasync(struct fasync_struct **async, int signal, int band)
{
	(void)async;
	(void)signal;
	(void)band;
}

/* The open file, as far as mpmcq_file_poll() goes. */
struct kiocb;

#define EPOLLIN			POLLIN
#define EPOLLRDNORM		POLLRDNORM
#define EPOLLOUT		POLLOUT
#define EPOLLWRNORM		POLLWRNORM
#define EPOLLHUP		POLLHUP
#define POLL_IN			1
#define POLL_OUT		2
#define SIGIO			29
#define FMODE_READ		1
#define FMODE_WRITE		2

typedef unsigned int fmode_t;

struct file {
	void *private_data;
	fmode_t f_mode;
};

typedef struct poll_table {
	bool enter;			/* the wait queue, which is not done yet */
	bool exclusive;			/* as by EPOLLEXCLUSIVE */
	__poll_t events;		/* wanted */
	wait_queue_head_t *entered;
	void *_qproc;			/* NULL: a file without leases has no other wait queue */
} poll_table;

static inline void poll_wait(struct file *file, wait_queue_head_t *head, poll_table *wait)
{
	(void)file;
	if (!wait->enter)
		return;
	step();
	shim_add(head, shim_pollwake, wait->events | EPOLLHUP, wait->exclusive);
	wait->entered = head;
}

static inline void poll_freewait(poll_table *wait)
{
	if (!wait->entered)
		return;
	step();
	shim_remove(wait->entered, current);
}

/* A buffer that holds one value; its page is missing for the next @missing copies. */
struct iov_iter {
	size_t count;
	char *ubuf;		/* and where in it, of no use here */
	size_t iov_offset;
	u64 value;
	unsigned int missing;
	bool bad;		/* and will not be had */
};

/* The tests make their own. */
#define iov_iter_ubuf(i, direction, buf, bytes)	((void)0)
#define iter_is_ubuf(i)				false
#define _copy_from_user(to, from, bytes)	(bytes)
#define _copy_to_user(to, from, bytes)		(bytes)
struct iovec;

static inline size_t iov_iter_count(const struct iov_iter *i)
{
	return i->count;
}

static inline void iov_iter_revert(struct iov_iter *i, size_t bytes)
{
	i->count += bytes;
}

static inline void pagefault_disable(void)
{
}

static inline void pagefault_enable(void)
{
}

/* How much can be copied: half of it without the page. */
static inline size_t shim_there(const struct iov_iter *i, size_t bytes)
{
	return i->bad || i->missing ? bytes / 2 : bytes;
}

/*
 * The slot is the caller's alone, so a copy is no step of its own; that nobody else
 * has the slot is checked elsewhere.
 */
static inline size_t _copy_from_iter(void *to, size_t bytes, struct iov_iter *from)
{
	size_t n = shim_there(from, bytes);

	memset(to, 0xa5, bytes);
	if (peekers)
		step();
	if (n == bytes)
		memcpy(to, &from->value, sizeof(from->value));
	from->count -= n;
	return n;
}

static inline size_t _copy_to_iter(const void *from, size_t bytes, struct iov_iter *to)
{
	size_t n = shim_there(to, bytes);

	if (n == bytes) {
		memcpy(&to->value, from, sizeof(to->value));
		saw(to->value);
	}
	to->count -= n;
	return n;
}

static inline size_t shim_fault_in(struct iov_iter *i, size_t bytes)
{
	step();
	if (i->bad)
		return bytes;
	if (i->missing)
		i->missing--;
	return 0;
}

#define fault_in_iov_iter_readable(i, bytes)	shim_fault_in(i, bytes)
#define fault_in_iov_iter_writeable(i, bytes)	shim_fault_in(i, bytes)

#endif /* _MPMCQ_RINGTEST_KERNEL_H */
