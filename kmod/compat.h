/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that depends on the kernel's version.  Kbuild finds out by compiling what a kernel has,
 * because version numbers say little where fixes and features are backported.
 */
#ifndef _MPMCQ_COMPAT_H
#define _MPMCQ_COMPAT_H

#include <linux/anon_inodes.h>
#include <linux/dcache.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#ifndef HAVE_FAULT_IN_IOV_ITER	/* before 5.16 */
/* Both return how many of @bytes are not accessible, 0 if all are. */
static inline size_t fault_in_iov_iter_readable(struct iov_iter *i, size_t bytes)
{
	return iov_iter_fault_in_readable(i, bytes) ? bytes : 0;
}

/*
 * Calls the fault handler, because it also marks the page accessed and dirty.  Some processors
 * fault if it is not marked.  Pinning the page would not mark it.
 */
static inline size_t fault_in_iov_iter_writeable(const struct iov_iter *i, size_t bytes)
{
	struct iov_iter rest = *i;
	struct mm_struct *mm = current->mm;
	bool unlocked = false;

	if (!iter_is_iovec(i))
		return 0;
	mmap_read_lock(mm);
	while (bytes) {
		struct iovec v = iov_iter_iovec(&rest);
		unsigned long start = untagged_addr((unsigned long)v.iov_base);
		size_t n = min3(v.iov_len, bytes, PAGE_SIZE - offset_in_page(start));

		if (n && fixup_user_fault(mm, start, FAULT_FLAG_WRITE, &unlocked))
			break;
		iov_iter_advance(&rest, n);	/* by 0: past an empty segment */
		bytes -= n;
	}
	mmap_read_unlock(mm);
	return bytes;
}
#endif

/* Asks security modules as write(2) does.  Returns less than 0 if they forbid to write to @file. */
static inline int mpmcq_may_write(struct file *file, size_t bytes)
{
#ifdef HAVE_RW_VERIFY_AREA	/* from 6.1 on */
	return rw_verify_area(WRITE, file, NULL, bytes);
#else
	return 0;	/* they were asked when the file was opened or passed */
#endif
}

/* Makes an iterator over one user buffer; @iov must stay as long as the iterator. */
static inline void mpmcq_buffer_init(struct iov_iter *i, unsigned int direction,
				     struct iovec *iov, void __user *buf, size_t len)
{
#ifdef HAVE_IOV_ITER_UBUF	/* from 6.0 on */
	iov_iter_ubuf(i, direction, buf, len);
#else
	*iov = (struct iovec){ .iov_base = buf, .iov_len = len };
	iov_iter_init(i, direction, iov, 1, len);
#endif
}

/*
 * Returns the current address in the user buffer of an iterator; NULL unless it is over one buffer.
 *
 * Only this function looks into an iterator, for which there is no accessor.  With copy_to_iter()
 * and copy_from_iter() alone a packed message takes 2.2 times as many instructions, and a plain one
 * 3 % more (make bench-exact).
 */
static inline void __user *mpmcq_user_buffer(const struct iov_iter *i)
{
#ifdef HAVE_IOV_ITER_UBUF
	if (likely(iter_is_ubuf(i)))
		return i->ubuf + i->iov_offset;
#endif
#ifndef HAVE_ITER_IOV	/* before 6.4; later kernels make no such iterator */
	if (likely(iter_is_iovec(i) && i->nr_segs == 1))
		return i->iov->iov_base + i->iov_offset;
#endif
	return NULL;
}

/*
 * The same, if unsafe_get_user() and unsafe_put_user() can copy words there with user access opened
 * once for all of them.  Architectures without a user_access_begin() of their own open it for each
 * word, so this returns NULL there.
 */
static inline void __user *mpmcq_user_words(const struct iov_iter *i)
{
#ifdef HAVE_USER_ACCESS_BEGIN
	void __user *buf = mpmcq_user_buffer(i);

	if (IS_ENABLED(CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS) ||
	    IS_ALIGNED((unsigned long)buf, sizeof(u64)))
		return buf;
#endif
	return NULL;
}

/*
 * From 6.11 to 7.1, architectures that copy inline declare these two, but define them for Rust
 * only.  message.c says why copy_to_user() will not do.
 */
#ifdef HAVE_INLINE_COPY
#if defined(INLINE_COPY_FROM_USER) && !defined(_copy_from_user)
#define _copy_from_user	_inline_copy_from_user
#endif
#if defined(INLINE_COPY_TO_USER) && !defined(_copy_to_user)
#define _copy_to_user	_inline_copy_to_user
#endif
#endif

#ifndef HAVE_TIMER_DELETE_SYNC	/* before 6.2 */
#define timer_delete_sync	del_timer_sync
#endif

/* Deadlines, devices and files: nothing that the ring, the queue and copying need. */

static inline void mpmcq_hrtimer_setup(struct hrtimer *timer,
				       enum hrtimer_restart (*function)(struct hrtimer *),
				       clockid_t clock, enum hrtimer_mode mode)
{
#ifdef HAVE_HRTIMER_SETUP	/* from 6.13 on */
	hrtimer_setup(timer, function, clock, mode);
#else
	hrtimer_init(timer, clock, mode);
	timer->function = function;
#endif
}

#ifdef HAVE_CLASS_CREATE_NAME	/* from 6.4 on */
#define mpmcq_class_create(name)	class_create(name)
#else
#define mpmcq_class_create(name)	class_create(THIS_MODULE, name)
#endif

/* As anon_inode_getfile(), but from 6.8 on with its own inode, which security modules see. */
static inline struct file *mpmcq_anon_file(const char *name, const struct file_operations *fops,
					   void *priv, int flags)
{
#ifdef HAVE_ANON_INODE_CREATE_GETFILE	/* from 6.8 on */
	return anon_inode_create_getfile(name, fops, priv, flags, NULL);
#else
	return anon_inode_getfile(name, fops, priv, flags);
#endif
}

/*
 * Looks a name up; call under the directory's lock.  Fails if the caller may not search the
 * directory.
 */
static inline struct dentry *mpmcq_lookup(const struct qstr *name, struct file *dir)
{
#ifdef HAVE_LOOKUP_NOPERM	/* from 6.16 on */
	struct qstr qstr = *name;
	int ret = file_permission(dir, MAY_EXEC);

	return ret ? ERR_PTR(ret) : lookup_noperm(&qstr, dir->f_path.dentry);
#else
	return lookup_one_len(name->name, dir->f_path.dentry, name->len);
#endif
}

static inline void mpmcq_inode_init_times(struct inode *inode)
{
#if defined(HAVE_SIMPLE_INODE_INIT_TS)		/* from 6.7 on */
	simple_inode_init_ts(inode);
#elif defined(HAVE_INODE_SET_CTIME_CURRENT)	/* from 6.6 on */
	inode->i_mtime = inode_set_ctime_current(inode);
	inode->i_atime = inode->i_mtime;
#else
	inode->i_ctime = current_time(inode);
	inode->i_mtime = inode->i_ctime;
	inode->i_atime = inode->i_ctime;
#endif
}

/* Sets the times of a directory to those of an inode that was just made in it. */
static inline void mpmcq_dir_changed(struct inode *dir, struct inode *inode)
{
#if defined(HAVE_SIMPLE_INODE_INIT_TS)
	inode_set_mtime_to_ts(dir, inode_set_ctime_to_ts(dir, inode_get_ctime(inode)));
#elif defined(HAVE_INODE_SET_CTIME_CURRENT)
	dir->i_mtime = inode_set_ctime_to_ts(dir, inode_get_ctime(inode));
#else
	dir->i_ctime = inode->i_ctime;
	dir->i_mtime = inode->i_ctime;
#endif
}

/* Adds a file to its directory.  The dentry stays in the cache until unlink(2) or unmount. */
#ifdef HAVE_D_MAKE_PERSISTENT	/* from 6.19 on */
#define mpmcq_dentry_add(dentry, inode)	d_make_persistent(dentry, inode)
#define mpmcq_kill_super(sb)		kill_anon_super(sb)
#else
static inline void mpmcq_dentry_add(struct dentry *dentry, struct inode *inode)
{
	d_instantiate(dentry, inode);
	dget(dentry);
}

#define mpmcq_kill_super(sb)		kill_litter_super(sb)
#endif

#endif /* _MPMCQ_COMPAT_H */
