/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place where kernels differ.  What a kernel has is found out by
 * compiling, see Kbuild: version numbers say little where fixes and features
 * are backported.
 */
#ifndef _MPMCQ_COMPAT_H
#define _MPMCQ_COMPAT_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#ifndef HAVE_FAULT_IN_IOV_ITER	/* before 5.16 */
/* Both return how many of @bytes are not there, 0 if all are. */
static inline size_t fault_in_iov_iter_readable(struct iov_iter *i, size_t bytes)
{
	return iov_iter_fault_in_readable(i, bytes) ? bytes : 0;
}

/*
 * By way of the fault handler, which also marks the page accessed and dirty:
 * some processors fault without, and pinning the page would not do it.
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

/* Makes an iterator over one buffer of the user's; @iov is to stay as long. */
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

/* The user's buffer that an iterator is over, where it is by now; NULL if it is no such. */
static inline void __user *mpmcq_user_buffer(const struct iov_iter *i)
{
#ifdef HAVE_IOV_ITER_UBUF
	if (likely(iter_is_ubuf(i)))
		return i->ubuf + i->iov_offset;
#endif
#ifndef HAVE_ITER_IOV	/* before 6.4; since then nothing makes one of a single segment */
	if (likely(iter_is_iovec(i) && i->nr_segs == 1))
		return i->iov->iov_base + i->iov_offset;
#endif
	return NULL;
}

/*
 * The same if words can be copied there by unsafe_get_user() and unsafe_put_user(), with
 * user access opened once for all: architectures without a user_access_begin() of their own
 * open it for each word.
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
 * From 6.11 to 7.1 processors that copy inline declare these two, but have them for Rust
 * only.
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

/* What device_type's devnode() is given. */
#ifdef HAVE_CONST_DEVNODE	/* from 6.2 on */
#define mpmcq_const	const
#else
#define mpmcq_const
#endif

#endif /* _MPMCQ_COMPAT_H */
