// SPDX-License-Identifier: GPL-2.0-only
/*
 * The open file: turns system calls into calls of the queue.
 *
 * struct mpmcq_file, with the file's modes and the messages it holds, is the file's private_data
 * from open to the final close.
 */

#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include <asm/ioctls.h>

#include <linux/mpmcq.h>

#include "close.h"
#include "compat.h"
#include "create.h"
#include "file.h"
#include "lease.h"
#include "look.h"
#include "message.h"
#include "packed.h"
#include "peek.h"
#include "put.h"
#include "queue.h"
#include "redeliver.h"
#include "wake.h"

#define MPMCQ_READING	0	/* bit of struct mpmcq_file, reading */

/* Makes a holder and stores it in place of @old, which is NULL or the holder of the start. */
static int make_holder(struct mpmcq_file *f, struct mpmcq_holder *old, u32 max_held, bool dead)
{
	struct mpmcq_holder *h = mpmcq_holder_create(f->queue, &f->room, max_held, dead);

	if (IS_ERR(h))
		return PTR_ERR(h);
	if (cmpxchg(&f->holder, old, h) != old)	/* HOLDER */
		mpmcq_holder_destroy(h);	/* another call was quicker */
	return 0;
}

/*
 * Replaces the modes that a file began with, unless it was read.  While the bit is set no read is
 * under way, and the next read sees that the modes have changed.  A settle or a poll may still use
 * the old holder, which is empty.
 */
static int replace_start(struct mpmcq_file *f, u32 modes, u32 max_held)
{
	int ret = 0;
	u32 old;

	if (test_and_set_bit_lock(MPMCQ_READING, &f->reading))
		return -EBUSY;
	old = READ_ONCE(f->modes);
	if (!(old & MPMCQ_MODE_STARTED))
		ret = old != modes || (modes & MPMCQ_MODE_LEASE &&
				       mpmcq_holder_max(f->holder) != max_held) ? -EBUSY : 0;
	else if (modes & MPMCQ_MODE_LEASE)
		ret = make_holder(f, f->start, max_held, modes & MPMCQ_MODE_DEAD);
	if (!ret && old & MPMCQ_MODE_STARTED)
		cmpxchg(&f->modes, old, modes);	/* MODES */
	clear_bit_unlock(MPMCQ_READING, &f->reading);
	return ret;
}

/**
 * mpmcq_file_set_modes() - set the modes of an open file
 * @f: the file's
 * @modes: %MPMCQ_MODE_PACKED and the like; %MPMCQ_MODE_DEAD only before others know the file
 * @max_held: with %MPMCQ_MODE_LEASE, how many messages it may hold, 1 to %MPMCQ_MAX_HELD_MAX; 0 for
 *	%MPMCQ_MAX_HELD_DEFAULT; cut to the capacity
 *
 * Modes do not change any more once there is a lease.  Otherwise a read that began in the old modes
 * could end in the new ones, and acknowledge a message that its reader has not seen.
 *
 * A reader that sees the mode or the holder sees what is in the holder, because the
 * compare-and-swaps HOLDER and MODES release and USE acquires.  The litmus tests are HOLDER+USE and
 * MODES+USE.
 *
 * Return: 0; -EINVAL for modes that do not go together, or for @max_held without a lease or out of
 * range; -EBUSY if there is a lease already with other modes or another @max_held, or if a file
 * that began with a lease is being read, or is in another such call; -ENOMEM, and those of
 * mpmcq_charge().
 * Context: may sleep.
 */
int mpmcq_file_set_modes(struct mpmcq_file *f, u32 modes, u32 max_held)
{
	/* The holder is stored before the mode that needs it. */
	u32 old, seen = smp_load_acquire(&f->modes);	/* USE */
	struct mpmcq_holder *h = READ_ONCE(f->holder);
	int ret = 0;

	if (max_held > MPMCQ_MAX_HELD_MAX || (max_held && !(modes & MPMCQ_MODE_LEASE)) ||
	    (modes & MPMCQ_MODE_META && !(modes & MPMCQ_MODE_PACKED)))
		return -EINVAL;
	max_held = min(max_held ?: MPMCQ_MAX_HELD_DEFAULT, f->queue->config.capacity);
	if (seen & MPMCQ_MODE_STARTED)
		return replace_start(f, modes, max_held);
	if (modes & MPMCQ_MODE_LEASE && !(seen & MPMCQ_MODE_LEASE) && (!h || h == f->start))
		ret = make_holder(f, h, max_held, modes & MPMCQ_MODE_DEAD);
	if (ret)
		return ret;
	if (modes & MPMCQ_MODE_LEASE && mpmcq_holder_max(READ_ONCE(f->holder)) != max_held)
		return -EBUSY;

	/* Not try_cmpxchg(), which older kernels have on x86 only. */
	do {
		old = seen;
		if (old & MPMCQ_MODE_LEASE)
			return old == modes ? 0 : -EBUSY;
		seen = cmpxchg(&f->modes, old, modes);	/* MODES */
	} while (seen != old);
	return 0;
}

/**
 * mpmcq_file_modes() - modes of an open file, as the user interface has them
 * @f: the file's
 *
 * The caller then sees the holder that these modes need.
 *
 * Return: the modes, without %MPMCQ_MODE_STARTED.
 * Context: any.
 */
u32 mpmcq_file_modes(const struct mpmcq_file *f)
{
	return smp_load_acquire(&f->modes) & ~MPMCQ_MODE_STARTED;	/* USE */
}

/**
 * mpmcq_file_set_timeouts() - limit how long reads and writes wait from now on
 * @f: the file's
 * @rcv_timeout_ms: of a read, in milliseconds; 0 for no limit
 * @snd_timeout_ms: of a write, in milliseconds; 0 for no limit
 *
 * Context: any.
 */
void mpmcq_file_set_timeouts(struct mpmcq_file *f, u32 rcv_timeout_ms, u32 snd_timeout_ms)
{
	WRITE_ONCE(f->rcv_wait_ms, rcv_timeout_ms ?: MPMCQ_WAIT_FOREVER);
	WRITE_ONCE(f->snd_wait_ms, snd_timeout_ms ?: MPMCQ_WAIT_FOREVER);
}

/**
 * mpmcq_file_set_priority() - set the priority of plain writes of a new file
 * @f: the file's; no other task knows the file yet
 * @priority: less than the levels of the queue; readers get higher ones first
 *
 * Return: 0; -EINVAL if the queue has no such level.
 * Context: any.
 */
int mpmcq_file_set_priority(struct mpmcq_file *f, u32 priority)
{
	if (priority >= f->queue->config.levels)
		return -EINVAL;
	f->by.priority = priority;
	return 0;
}

/*
 * Sets the priority of a file that others use.  With a higher priority the file may drop messages
 * that it could not drop before, so its pollers for room have to look again.
 */
static void change_priority(struct mpmcq_file *f, u32 priority)
{
	u32 before = xchg(&f->by.priority, priority);

	if (priority > before && f->queue->config.flags & MPMCQ_DROP_OLDEST)
		mpmcq_wake_writers_pollers(f->queue);
}

/**
 * mpmcq_file_create() - make the state of an open file to come
 * @q: the queue
 * @reads: whether the file will be open for reading
 *
 * Return: the state, for mpmcq_file_begin() or mpmcq_file_destroy(); NULL if there is no memory.
 * Context: may sleep.
 */
struct mpmcq_file *mpmcq_file_create(struct mpmcq_queue *q, bool reads)
{
	struct mpmcq_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return NULL;
	init_waitqueue_head(&f->room.pollers);
	mutex_init(&f->async_lock);
	mpmcq_file_set_timeouts(f, 0, 0);
	if (reads && q->config.flags & MPMCQ_START_LEASE) {
		f->start = mpmcq_holder_create(q, &f->room, 1, false);
		if (IS_ERR(f->start)) {
			kfree(f);
			return NULL;
		}
		f->holder = f->start;
		f->modes = MPMCQ_MODE_LEASE | MPMCQ_MODE_STARTED;
	}
	f->queue = mpmcq_queue_get(q);
	return f;
}

/**
 * mpmcq_file_destroy() - free what mpmcq_file_create() made
 * @f: the state, of no open file; messages that it holds come back
 *
 * Context: may sleep.
 */
void mpmcq_file_destroy(struct mpmcq_file *f)
{
	if (f->holder)
		mpmcq_holder_destroy(f->holder);
	if (f->start && f->start != f->holder)
		mpmcq_holder_destroy(f->start);
	mpmcq_queue_put(f->queue);
	kfree(f);
}

/**
 * mpmcq_file_begin() - attach a file to its queue
 * @file: the file; its operations are those of chardev.c
 * @f: its state, from mpmcq_file_create()
 *
 * Context: may sleep.
 */
void mpmcq_file_begin(struct file *file, struct mpmcq_file *f)
{
	f->by.cred = file->f_cred;
	file->private_data = f;
	if (file->f_mode & FMODE_WRITE)
		mpmcq_queue_add_writer(f->queue);
	/* io_uring may try with IOCB_NOWAIT before it polls. */
	file->f_mode |= FMODE_NOWAIT;
	stream_open(file_inode(file), file);
}

static bool reads_dead(const struct mpmcq_file *f)
{
	return READ_ONCE(f->modes) & MPMCQ_MODE_DEAD;
}

static struct mpmcq_waiters *readers_of(const struct mpmcq_file *f)
{
	return mpmcq_readers_of(f->queue, reads_dead(f));
}

/*
 * A poller of the file may have been woken alone (EPOLLEXCLUSIVE), and killed before it called.
 * Then another one is told.  What its waker put is seen here: the poller has left the wait queue,
 * under the lock under which it was woken.
 */
static void pass_on_wakeups(struct mpmcq_queue *q, fmode_t mode, bool dead)
{
	if (mode & FMODE_READ && mpmcq_queue_readable(q, dead))
		mpmcq_wake_pollers(q, mpmcq_readers_of(q, dead), 1, false);
	if (mode & FMODE_WRITE && mpmcq_slot_left(q, false))
		mpmcq_wake_pollers(q, &q->writers, 1, false);
}

/**
 * mpmcq_file_end() - the last reference to a file of a queue is dropped
 * @file: the file
 *
 * Context: may sleep.
 */
void mpmcq_file_end(struct file *file)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_queue *q = mpmcq_queue_get(f->queue);
	bool polled = f->polled, dead = reads_dead(f);

	mpmcq_file_destroy(f);
	if (polled)
		pass_on_wakeups(q, file->f_mode, dead);
	/* Only now: a reader that sees the end has seen the messages that came back. */
	if (file->f_mode & FMODE_WRITE)
		mpmcq_queue_remove_writer(q);
	mpmcq_queue_put(q);
}

static bool is_nowait(const struct kiocb *iocb)
{
	return (iocb->ki_filp->f_flags & O_NONBLOCK) || (iocb->ki_flags & IOCB_NOWAIT);
}

/*
 * The slow path of read_one_leased(): mpmcq_try_receive_leased() has taken nothing.  A read that is
 * about to wait, or to return that there is no message, acknowledges first, because the queue may
 * end by that.
 */
static noinline ssize_t receive_next(struct mpmcq_file *f, struct iov_iter *to, bool dead,
				     u32 wait_ms)
{
	u32 index;
	struct mpmcq_claim claim = { .dead = dead, .index = &index };
	ssize_t ret = mpmcq_receive(f->queue, to, &claim);

	if (ret > 0)
		mpmcq_holder_keep_next(f->holder, claim.id, index);
	if (ret != -EAGAIN)
		return ret;
	mpmcq_holder_end_all(f->holder, (struct mpmcq_verdict){ .op = MPMCQ_SETTLE_ACK });
	claim.wait_ms = wait_ms;
	ret = mpmcq_receive(f->queue, to, &claim);
	if (ret > 0)
		mpmcq_holder_keep(f->holder, &claim, 1, 0);
	return ret;
}

/*
 * Clears MPMCQ_MODE_STARTED at the first read of a file that began with a lease.  Returns false if
 * another call has changed the modes.
 */
static bool start_reading(struct mpmcq_file *f, u32 modes)
{
	if (!(modes & MPMCQ_MODE_STARTED))
		return true;
	return cmpxchg(&f->modes, modes, modes & ~MPMCQ_MODE_STARTED) == modes;
}

/*
 * Takes one message, and acknowledges what the previous read delivered.  There is room for the
 * message, because a file in this mode has reads of this kind only, one at a time.  A read that
 * fails with EFAULT or EMSGSIZE before it waits acknowledges nothing.  Returns -EBUSY if another
 * read is under way, -ESTALE if the modes have changed.
 */
static ssize_t read_one_leased(struct mpmcq_file *f, struct iov_iter *to, u32 modes, u32 wait_ms)
{
	bool dead = modes & MPMCQ_MODE_DEAD;
	ssize_t ret;
	u32 index;
	u64 id;

	if (test_and_set_bit_lock(MPMCQ_READING, &f->reading))
		return -EBUSY;
	if (unlikely(!start_reading(f, modes))) {
		clear_bit_unlock(MPMCQ_READING, &f->reading);
		return -ESTALE;
	}
	ret = unlikely(dead) ? 0 : mpmcq_try_receive_leased(f->queue, to, &index, &id);
	if (likely(ret > 0))
		mpmcq_holder_keep_next(f->holder, id, index);
	else if (!ret)
		ret = receive_next(f, to, dead, wait_ms);
	clear_bit_unlock(MPMCQ_READING, &f->reading);
	return ret;
}

static ssize_t read_packed(struct file *file, struct iov_iter *to, u32 modes, u32 wait_ms)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_holder *h = modes & MPMCQ_MODE_LEASE ? f->holder : NULL;
	struct mpmcq_claim claim = {
		.wait_ms = wait_ms,
		.dead = modes & MPMCQ_MODE_DEAD,
		/* A nonblocking read fails with EAGAIN where others fail with EDEADLK. */
		.held = file->f_flags & O_NONBLOCK ? NULL : mpmcq_holder_held(h),
	};
	const struct mpmcq_caller by = {
		.cred = file->f_cred, .meta = modes & MPMCQ_MODE_META,
	};

	return mpmcq_packed_receive(f->queue, to, &claim, h, &by);
}

static ssize_t read_one(struct mpmcq_queue *q, struct iov_iter *to, u32 modes, u32 wait_ms)
{
	u32 index;
	struct mpmcq_claim claim = {
		.wait_ms = wait_ms,
		.dead = modes & MPMCQ_MODE_DEAD,
		.index = &index,
	};
	ssize_t ret = mpmcq_receive(q, to, &claim);

	if (ret > 0)
		mpmcq_free_one(q, index);
	return ret;
}

static noinline ssize_t read_by_mode(struct file *file, struct iov_iter *to, bool nowait,
				     bool sync)
{
	struct mpmcq_file *f = file->private_data;
	u32 wait_ms = nowait ? 0 : READ_ONCE(f->rcv_wait_ms);
	ssize_t ret;
	u32 modes;

	do {
		modes = smp_load_acquire(&f->modes);	/* USE */
		if (modes & MPMCQ_MODE_PACKED)
			return read_packed(file, to, modes, wait_ms);
		if (!(modes & MPMCQ_MODE_LEASE))
			return read_one(f->queue, to, modes, wait_ms);
		ret = sync ? read_one_leased(f, to, modes, wait_ms) : -EINVAL;
	} while (unlikely(ret == -ESTALE));
	return ret;
}

/* Reads in the file's modes.  @sync: the caller has the data when this returns. */
static __always_inline ssize_t read_to(struct file *file, struct iov_iter *to, bool nowait,
				       bool sync)
{
	struct mpmcq_file *f = file->private_data;
	ssize_t ret;

	if (likely(!READ_ONCE(f->modes))) {
		ret = mpmcq_try_receive(f->queue, to);
		if (likely(ret))
			return ret;
	}
	return read_by_mode(file, to, nowait, sync);
}

/*
 * Advances the iterator if the copy went by the user's pointer and has not done so: some callers of
 * ->read_iter and ->write_iter rely on it.
 */
static ssize_t moved(struct iov_iter *i, size_t before, ssize_t ret)
{
	iov_iter_advance(i, ret > 0 && iov_iter_count(i) == before ? ret : 0);
	return ret;
}

/**
 * mpmcq_file_read_iter() - readv(2), io_uring and the like, in the file's modes
 * @iocb: the read
 * @to: the buffer
 *
 * Return: as mpmcq_receive() and mpmcq_packed_receive().  If reads of the file acknowledge: -EBUSY
 * if another read is under way, and -EINVAL if this is neither read(2) nor readv(2), because a
 * caller of io_uring or aio may not have seen the previous message yet.
 * Context: may sleep.
 */
ssize_t mpmcq_file_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	/* A multishot read of io_uring looks synchronous, but for IOCB_NOWAIT. */
	bool sync = is_sync_kiocb(iocb) && !(iocb->ki_flags & IOCB_NOWAIT);
	size_t room = iov_iter_count(to);

	return moved(to, room, read_to(iocb->ki_filp, to, is_nowait(iocb), sync));
}

/**
 * mpmcq_file_read() - read(2), without the cost of a kiocb
 * @file: the file
 * @buf: the buffer, after access_ok()
 * @len: its length in bytes
 * @pos: unused
 *
 * Return, context: as mpmcq_file_read_iter().
 */
ssize_t mpmcq_file_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct iov_iter to;
	struct iovec iov;

	mpmcq_buffer_init(&to, READ, &iov, buf, len);
	return read_to(file, &to, file->f_flags & O_NONBLOCK, true);
}

static __always_inline ssize_t write_from(struct file *file, struct iov_iter *from, bool nowait)
{
	struct mpmcq_file *f = file->private_data;
	u32 wait_ms = nowait ? 0 : READ_ONCE(f->snd_wait_ms);
	u32 modes = READ_ONCE(f->modes);

	if (modes & MPMCQ_MODE_PACKED) {
		const struct mpmcq_caller by = {
			.cred = file->f_cred, .meta = modes & MPMCQ_MODE_META,
		};

		return mpmcq_packed_send(f->queue, from, wait_ms, &by);
	}
	return mpmcq_send(f->queue, from, wait_ms, &f->by);
}

/**
 * mpmcq_file_write_iter() - writev(2), io_uring and the like, in the file's modes
 * @iocb: the write
 * @from: the buffer
 *
 * Return: as mpmcq_send() and mpmcq_packed_send().
 * Context: may sleep.
 */
ssize_t mpmcq_file_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	size_t len = iov_iter_count(from);

	return moved(from, len, write_from(iocb->ki_filp, from, is_nowait(iocb)));
}

/**
 * mpmcq_file_write() - write(2), without the cost of a kiocb
 * @file: the file
 * @buf: the buffer, after access_ok()
 * @len: its length in bytes
 * @pos: unused
 *
 * Return, context: as mpmcq_file_write_iter().
 */
ssize_t mpmcq_file_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct iov_iter from;
	struct iovec iov;

	mpmcq_buffer_init(&from, WRITE, &iov, (char __user *)buf, len);
	return write_from(file, &from, file->f_flags & O_NONBLOCK);
}

/* Returns true if reads of the file fail when its holder is full. */
static bool needs_room(const struct mpmcq_file *f)
{
	u32 modes = smp_load_acquire(&f->modes);	/* USE */

	return modes & MPMCQ_MODE_LEASE && modes & MPMCQ_MODE_PACKED;
}

/* Returns false if the caller only looks. */
static bool registers(const poll_table *wait)
{
	return wait && wait->_qproc;
}

/*
 * Registers a poller that may have to wait for room.  io_uring refuses a third wait queue, so a
 * file that is open for writing, too, is told of room by the readers' wait queue.  So is a file
 * that is polled before it has its mode.
 */
static void poll_room(struct file *file, struct mpmcq_file *f, poll_table *wait)
{
	if (!registers(wait))
		return;
	if (needs_room(f) && !(file->f_mode & FMODE_WRITE))
		poll_wait(file, &f->room.pollers, wait);
	else
		WRITE_ONCE(f->room.shared, true);
}

/**
 * mpmcq_file_poll() - what a file can do without waiting
 * @file: the file
 * @wait: the poller to register; may be NULL
 *
 * Registers the poller with all wait queues that the file may need, whatever events it asks for,
 * because epoll registers once and EPOLL_CTL_MOD may ask for more later.
 *
 * Return: EPOLLIN and EPOLLRDNORM if a message waits and may be read, EPOLLHUP if none will come,
 * EPOLLOUT and EPOLLWRNORM if a write would not wait; of these what the file is open for.
 * Context: may sleep.
 */
__poll_t mpmcq_file_poll(struct file *file, poll_table *wait)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_queue *q = f->queue;
	__poll_t mask = 0;

	if (registers(wait))
		WRITE_ONCE(f->polled, true);
	if (file->f_mode & FMODE_READ) {
		poll_wait(file, &readers_of(f)->pollers, wait);
		poll_room(file, f, wait);
	}
	if (file->f_mode & FMODE_WRITE)
		poll_wait(file, &q->writers.pollers, wait);
	/*
	 * See wake.h: the poller is in the wait queues before it looks at the rings.
	 * Newer kernels have this barrier in poll_wait().
	 */
	smp_mb();	/* WAIT */
	if (file->f_mode & FMODE_READ) {
		if (mpmcq_queue_readable(q, reads_dead(f)))
			mask |= needs_room(f) && mpmcq_holder_full(f->holder) ? 0 :
				q->readers.events;
		else if (mpmcq_queue_drained(q, reads_dead(f)))
			mask |= EPOLLHUP;
	}
	if ((file->f_mode & FMODE_WRITE) && mpmcq_queue_writable(q, READ_ONCE(f->by.priority)))
		mask |= q->writers.events;
	return mask;
}

/**
 * mpmcq_file_fasync() - begin or stop to send SIGIO to the file's owner
 * @fd: the descriptor
 * @file: the file
 * @on: 0 to stop
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int mpmcq_file_fasync(int fd, struct file *file, int on)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_waiters *readers = readers_of(f);
	struct mpmcq_waiters *writers = &f->queue->writers;
	int ret = 0, added;

	/* One flag, FASYNC, stands for both lists, and several tasks may change it at once. */
	mutex_lock(&f->async_lock);
	if (file->f_mode & FMODE_READ)
		ret = fasync_helper(fd, file, on, &readers->async);
	added = ret;
	if (ret >= 0 && (file->f_mode & FMODE_WRITE)) {
		ret = fasync_helper(fd, file, on, &writers->async);
		if (ret < 0 && added > 0)
			fasync_helper(-1, file, 0, &readers->async);
	}
	mutex_unlock(&f->async_lock);
	/* See wake.h: the file is in the lists before the caller looks at the rings. */
	smp_mb();	/* WAIT */
	return ret < 0 ? ret : 0;
}

/**
 * mpmcq_copy_args() - copy a struct that begins with its size from the user
 * @args: out: the struct; what the user's lacks is zero
 * @known: size of the struct here, in bytes
 * @least: size of its first published version, in bytes
 * @uargs: the user's struct
 *
 * Return: size of the user's struct, in bytes; -EINVAL if that is less than @least; -E2BIG if it
 * is more than a page, or if what lies beyond @known is not zero; -EFAULT.
 * Context: may sleep.
 */
int mpmcq_copy_args(void *args, size_t known, size_t least, const void __user *uargs)
{
	u32 size;

	if (get_user(size, (const u32 __user *)uargs))
		return -EFAULT;
	if (size < least)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(args, known, uargs, size) ?: size;
}

/**
 * mpmcq_dup_user() - copy from the user into memory of the call
 * @from: the user's memory
 * @bytes: its length in bytes
 *
 * As vmemdup_user(), but charged to the caller's memory cgroup, because the call may hold the
 * memory while it waits.
 *
 * Return: the memory, for kvfree(); or an ERR_PTR: -ENOMEM, -EFAULT.
 * Context: may sleep.
 */
void *mpmcq_dup_user(const void __user *from, size_t bytes)
{
	void *to = kvmalloc(bytes, GFP_KERNEL_ACCOUNT);

	if (!to)
		return ERR_PTR(-ENOMEM);
	if (copy_from_user(to, from, bytes)) {
		kvfree(to);
		return ERR_PTR(-EFAULT);
	}
	return to;
}

static int ioctl_mode(struct file *file, void __user *arg)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_mode args;
	int ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_MODE_SIZE_VER0, arg);
	u32 dead;

	if (ret < 0)
		return ret;
	dead = READ_ONCE(f->modes) & MPMCQ_MODE_DEAD;	/* never changes */
	if (args.priority >= f->queue->config.levels ||
	    args.modes & ~(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE | MPMCQ_MODE_META | dead))
		return -EINVAL;
	if (args.modes & MPMCQ_MODE_LEASE && !(file->f_mode & FMODE_READ))
		return -EBADF;

	ret = mpmcq_file_set_modes(f, args.modes | dead, args.max_held);
	if (ret)
		return ret;
	mpmcq_file_set_timeouts(f, args.rcv_timeout_ms, args.snd_timeout_ms);
	change_priority(f, args.priority);
	return 0;
}

static bool settle_args_valid(const struct mpmcq_settle *args, bool dead)
{
	u32 known = MPMCQ_SETTLE_ALL, both = MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_DELAY;

	if (args->op == MPMCQ_SETTLE_NACK && !dead)
		known |= both | MPMCQ_SETTLE_UNTRIED;
	if (args->op < MPMCQ_SETTLE_ACK || args->op > MPMCQ_SETTLE_REVIVE || args->flags & ~known ||
	    (args->flags & both) == both ||
	    (args->delay_ms && !(args->flags & MPMCQ_SETTLE_DELAY)) ||
	    (args->op == MPMCQ_SETTLE_REVIVE && !dead))
		return false;
	if (args->flags & MPMCQ_SETTLE_ALL)
		return !args->ids && !args->count;
	return args->count && args->count <= MPMCQ_MAX_HELD_MAX;
}

static u32 settle_named(struct mpmcq_holder *h, struct mpmcq_verdict verdict, const u64 *ids,
			u32 count)
{
	u32 at, n, done = 0;

	for (at = 0; at < count; at += n) {
		n = min(count - at, MPMCQ_BATCH);
		done += verdict.op == MPMCQ_SETTLE_TOUCH ? mpmcq_holder_touch(h, ids + at, n) :
			mpmcq_holder_end(h, ids + at, n, verdict);
		cond_resched();
	}
	return done;
}

static u32 settle_all(struct mpmcq_holder *h, struct mpmcq_verdict verdict)
{
	return verdict.op == MPMCQ_SETTLE_TOUCH ? mpmcq_holder_touch_all(h) :
		mpmcq_holder_end_all(h, verdict);
}

/*
 * Copies all ids before the first message is settled, so a call that fails, or is stopped at a
 * missing page, has settled nothing.  @few has room for MPMCQ_BATCH ids.
 */
static u64 *get_ids(const struct mpmcq_settle *args, u64 *few)
{
	const void __user *uids = u64_to_user_ptr(args->ids);
	size_t bytes = args->count * sizeof(*few);

	if (args->count > MPMCQ_BATCH)
		return mpmcq_dup_user(uids, bytes);
	return copy_from_user(few, uids, bytes) ? ERR_PTR(-EFAULT) : few;
}

/* Returns how many messages were held; @h may be NULL. */
static u32 settle(struct mpmcq_holder *h, const struct mpmcq_settle *args, const u64 *ids)
{
	const struct mpmcq_verdict verdict = {
		.op = args->op, .flags = args->flags, .delay_ms = args->delay_ms,
	};

	if (!h)
		return 0;
	return args->flags & MPMCQ_SETTLE_ALL ? settle_all(h, verdict) :
		settle_named(h, verdict, ids, args->count);
}

static int ioctl_settle(struct file *file, struct mpmcq_settle __user *uargs)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_holder *h = smp_load_acquire(&f->holder);	/* USE */
	struct mpmcq_settle args;
	u64 few[MPMCQ_BATCH], *ids = few;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_SETTLE_SIZE_VER0, uargs);
	if (ret < 0)
		return ret;
	if (!settle_args_valid(&args, reads_dead(f)))
		return -EINVAL;
	if (args.op == MPMCQ_SETTLE_REVIVE && !(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (args.flags & MPMCQ_SETTLE_DELAY && !f->queue->park)
		return -EOPNOTSUPP;
	args.done = 0;
	if (put_user(args.done, &uargs->done))
		return -EFAULT;

	if (!(args.flags & MPMCQ_SETTLE_ALL))
		ids = get_ids(&args, few);
	if (IS_ERR(ids))
		return PTR_ERR(ids);
	args.done = settle(h, &args, ids);
	if (ids != few)
		kvfree(ids);
	if (put_user(args.done, &uargs->done))
		return -EFAULT;
	return args.done < args.count ? -ENOENT : 0;
}

static int ioctl_dead(struct file *file, unsigned int cmd, struct mpmcq_dead __user *uargs)
{
	struct mpmcq_file *f = file->private_data;
	bool revive = cmd == MPMCQ_CALL(MPMCQ_IOC_REVIVE);
	struct mpmcq_dead args;
	int ret;

	if (!(file->f_mode & FMODE_READ) || (revive && !(file->f_mode & FMODE_WRITE)))
		return -EBADF;
	ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_DEAD_SIZE_VER0, uargs);
	if (ret < 0)
		return ret;
	if (args.flags)
		return -EINVAL;

	args.done = revive ? mpmcq_revive(f->queue, args.count) :
			     mpmcq_purge(f->queue, args.count);
	return put_user(args.done, &uargs->done);
}

static bool peek_args_valid(const struct mpmcq_peek *args)
{
	bool parked = args->where == MPMCQ_PEEK_PARKED;
	bool named = args->flags == MPMCQ_PEEK_SEQ || (args->flags == MPMCQ_PEEK_NEXT && parked);

	if (args->where < MPMCQ_PEEK_READY || args->where > MPMCQ_PEEK_PARKED ||
	    (args->flags && !named) || (args->priority && args->where != MPMCQ_PEEK_READY))
		return false;
	if (named)
		return !args->position && args->seq;
	return !args->seq && !(parked && args->position);
}

static int peek(struct mpmcq_queue *q, const struct mpmcq_peek *args, struct mpmcq_peeked *p)
{
	const struct index_ring *ring = args->where == MPMCQ_PEEK_READY ?
				mpmcq_ready_ring(q, args->priority) :
				args->where == MPMCQ_PEEK_RETURNED ? &q->returned : &q->dead;

	if (args->where == MPMCQ_PEEK_PARKED)
		return mpmcq_peek_parked(q, args->seq, args->flags & MPMCQ_PEEK_NEXT, p);
	if (args->flags & MPMCQ_PEEK_SEQ)
		return mpmcq_peek_seq(q, ring, args->seq, p);
	return mpmcq_peek_at(q, ring, args->position, p);
}

static int put_peeked(const struct mpmcq_file *f, struct mpmcq_peek *args,
		      const struct mpmcq_peeked *p, struct mpmcq_peek __user *uargs)
{
	args->found = mpmcq_seq(p->index, p->generation);
	args->len = mpmcq_word_len(p->word);
	args->deliveries = mpmcq_word_deliveries(p->word);
	args->delay_ms = p->left_ms;
	args->state = p->word & MPMCQ_SUSPECT ? MPMCQ_STATE_SUSPECT : 0;
	args->reason = (p->word & MPMCQ_REASON) >> MPMCQ_REASON_SHIFT;
	args->msg_priority = mpmcq_word_priority(p->word);
	mpmcq_tell_stamp(f->queue, &p->stamp, f->by.cred, &args->age_ns, &args->uid, &args->gid);
	if (args->len <= args->buf_len &&
	    copy_to_user(u64_to_user_ptr(args->buf), p->data, args->len))
		return -EFAULT;
	/* From @found on: what is before it is the caller's and stays. */
	if (copy_to_user(&uargs->found, &args->found,
			 sizeof(*args) - offsetof(struct mpmcq_peek, found)))
		return -EFAULT;
	return args->buf_len && args->len > args->buf_len ? -EMSGSIZE : 0;
}

static int ioctl_peek(struct file *file, struct mpmcq_peek __user *uargs)
{
	struct mpmcq_file *f = file->private_data;
	struct mpmcq_peeked p = { };
	struct mpmcq_peek args;
	int ret;

	if (!(file->f_mode & FMODE_READ))
		return -EBADF;
	ret = mpmcq_copy_args(&args, sizeof(args), MPMCQ_PEEK_SIZE_VER0, uargs);
	if (ret < 0)
		return ret;
	if (!peek_args_valid(&args) || args.priority >= f->queue->config.levels)
		return -EINVAL;
	p.room = min(args.buf_len, f->queue->config.msg_size);
	p.data = kvmalloc(p.room, GFP_KERNEL_ACCOUNT);
	if (!p.data)
		return -ENOMEM;
	ret = peek(f->queue, &args, &p);
	if (!ret)
		ret = put_peeked(f, &args, &p, uargs);
	kvfree(p.data);
	return ret;
}

static int ioctl_close(struct file *file, unsigned int cmd, unsigned long flags)
{
	struct mpmcq_file *f = file->private_data;

	if (flags & ~(cmd == MPMCQ_IOC_CLOSE ? MPMCQ_CLOSE_DUE : 0))
		return -EINVAL;
	if (!(file->f_mode & FMODE_WRITE))
		return -EBADF;
	if (f->queue->config.admin_closes && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == MPMCQ_IOC_CLOSE)
		mpmcq_queue_close(f->queue, flags & MPMCQ_CLOSE_DUE);
	else
		mpmcq_queue_reopen(f->queue);
	return 0;
}

/**
 * mpmcq_file_ioctl() - calls about one open file, or about its queue
 * @file: the file
 * @cmd: the call
 * @arg: its argument
 *
 * Return: 0 or an errno; -ENOTTY if there is no such call.
 * Context: may sleep.
 */
long mpmcq_file_ioctl(struct file *file, unsigned int cmd, void __user *arg)
{
	struct mpmcq_file *f = file->private_data;

	if (cmd == FIONREAD) {
		if (!(file->f_mode & FMODE_READ))
			return -EBADF;
		return put_user(mpmcq_queue_next_len(f->queue, reads_dead(f)), (int __user *)arg);
	}

	/* Without the size of the struct, because that may grow.  Some calls have no struct. */
	if (_IOC_DIR(cmd) != _IOC_NONE)
		cmd = MPMCQ_CALL(cmd);
	switch (cmd) {
	case MPMCQ_CALL(MPMCQ_IOC_MODE):
		return ioctl_mode(file, arg);
	case MPMCQ_CALL(MPMCQ_IOC_SETTLE):
		return ioctl_settle(file, arg);
	case MPMCQ_CALL(MPMCQ_IOC_PEEK):
		return ioctl_peek(file, arg);
	case MPMCQ_CALL(MPMCQ_IOC_REVIVE):
	case MPMCQ_CALL(MPMCQ_IOC_PURGE):
		return ioctl_dead(file, cmd, arg);
	case MPMCQ_IOC_CLOSE:
	case MPMCQ_IOC_REOPEN:
		return ioctl_close(file, cmd, (unsigned long)arg);
	}
	return -ENOTTY;
}
