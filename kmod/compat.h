/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only place where kernels differ.  What a kernel has is found out by
 * compiling, see Kbuild: version numbers say little where fixes and features
 * are backported.
 */
#ifndef _MPMCQ_COMPAT_H
#define _MPMCQ_COMPAT_H

#include <linux/mm.h>
#include <linux/uio.h>

#ifndef HAVE_FAULT_IN_IOV_ITER	/* before 5.16 */
/* Both return how many of @bytes are not there, 0 if all are. */
static inline size_t fault_in_iov_iter_readable(struct iov_iter *i, size_t bytes)
{
	return iov_iter_fault_in_readable(i, bytes) ? bytes : 0;
}

static inline size_t fault_in_iov_iter_writeable(const struct iov_iter *i, size_t bytes)
{
	struct iov_iter rest = *i;
	struct page *page;
	size_t offset;
	ssize_t n;

	if (!iter_is_iovec(i))
		return 0;
	while (bytes) {
		n = iov_iter_get_pages(&rest, &page, bytes, 1, &offset);
		if (n <= 0)
			break;
		put_page(page);
		iov_iter_advance(&rest, n);
		bytes -= n;
	}
	return bytes;
}
#endif

#endif /* _MPMCQ_COMPAT_H */
