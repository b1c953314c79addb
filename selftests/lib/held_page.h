/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A page that is long in coming, as on a stalled FUSE mount, by userfaultfd.
 */
#ifndef MPMCQ_HELD_PAGE_H
#define MPMCQ_HELD_PAGE_H

#include <linux/userfaultfd.h>

#include "mpmcq_test.h"
#include "test_util.h"

/* A page that whoever touches it waits for until release() brings it. */
struct held {
	int uffd;
	unsigned char *page;
};

/* False, and the test skipped, if we may not hold up the kernel that way. */
static inline bool hold(struct __test_metadata *_metadata, struct held *held)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	held->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (held->uffd < 0)
		SKIP(return false, "no userfaultfd for us: %s", strerror(errno));
	held->page = map(getpagesize(), PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, held->page);
	reg.range.start = (unsigned long)held->page;
	reg.range.len = getpagesize();
	ASSERT_EQ(0, ioctl(held->uffd, UFFDIO_API, &api));
	ASSERT_EQ(0, ioctl(held->uffd, UFFDIO_REGISTER, &reg));
	return true;
}

/* Returns once @n threads, in all, wait for the page. */
static inline int await_faults(struct held *held, int n)
{
	struct uffd_msg msg;

	while (n--) {
		if (read(held->uffd, &msg, sizeof(msg)) != sizeof(msg) ||
		    msg.event != UFFD_EVENT_PAGEFAULT)
			return -1;
	}
	return 0;
}

static inline int release(struct held *held)
{
	struct uffdio_zeropage zero = {
		.range = { (unsigned long)held->page, getpagesize() },
	};

	return result(ioctl(held->uffd, UFFDIO_ZEROPAGE, &zero));
}

static inline void drop(struct held *held)
{
	close(held->uffd);
	munmap(held->page, getpagesize());
}

#endif /* MPMCQ_HELD_PAGE_H */
