// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that are not there, or not yet: a call that fails with EFAULT has
 * sent nothing and lost nothing, and one that waits for a page holds up nobody.
 */

#include <limits.h>

#include "held_page.h"
#include "mpmcq_test.h"
#include "test_util.h"

static unsigned char large[MSG_SIZE_MAX];
static const unsigned char zeros[MSG_SIZE_MAX];

TEST_F(queue, write_over_edge)
{
	const int lengths[] = { 1, 8, MSG_SIZE_MIN, self->msg_size };
	unsigned char *edge = map_edge();
	int before, len;
	size_t i;

	ASSERT_NE(NULL, edge);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		for (before = 0; before < len; before = next_cut(before, len)) {
			ASSERT_EQ(-EFAULT, put(self->fd, edge - before, len))
				TH_LOG("%d of %d bytes are there", before, len);
			ASSERT_EQ(-EFAULT, put(self->nb, edge - before, len));
			ASSERT_EQ(0, depth(self->fd));
		}
		fill(edge - len, len, i);
		ASSERT_EQ(len, put(self->fd, edge - len, len));
		ASSERT_EQ(len, take_msg(self->fd, len, i));
	}
}

TEST_F(queue, read_over_edge)
{
	const int lengths[] = { 1, 8, MSG_SIZE_MIN, self->msg_size };
	unsigned char *edge = map_edge();
	int before, len;
	size_t i;

	ASSERT_NE(NULL, edge);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		len = lengths[i];
		ASSERT_EQ(len, put_msg(self->fd, len, i));
		ASSERT_EQ(2, put_msg(self->fd, 2, 99));
		for (before = 0; before < len; before = next_cut(before, len)) {
			ASSERT_EQ(-EFAULT, result(read(self->fd, edge - before, len)))
				TH_LOG("%d of %d bytes are there", before, len);
			ASSERT_EQ(-EFAULT, result(read(self->nb, edge - before, len)));
			ASSERT_EQ(2, depth(self->fd));
			ASSERT_EQ(len, next_len(self->fd));
		}
		ASSERT_EQ(len, result(read(self->fd, edge - len, len)));
		ASSERT_TRUE(is_filled(edge - len, len, i));
		ASSERT_EQ(2, take_msg(self->fd, 2, 99));
	}
}

/* Only what the message fills of a buffer has to be there. */
TEST_F(queue, read_up_to_edge)
{
	unsigned char *edge = map_edge();
	int len;

	ASSERT_NE(NULL, edge);
	for (len = 1; len <= self->msg_size; len += len < 72 ? 1 : 997) {
		ASSERT_EQ(len, put_msg(self->fd, len, len));
		ASSERT_EQ(len, result(read(self->fd, edge - len, self->msg_size)));
		ASSERT_TRUE(is_filled(edge - len, len, len));
	}
}

TEST_F(queue, bad_middle_segment)
{
	unsigned char *edge = map_edge();
	struct iovec iov[] = { { large, 3 }, { edge - 1, 2 }, { large + 3, 3 } };

	ASSERT_NE(NULL, edge);
	EXPECT_EQ(-EFAULT, result(writev(self->fd, iov, 3)));
	EXPECT_EQ(0, depth(self->fd));

	ASSERT_EQ(8, put_msg(self->fd, 8, 1));
	EXPECT_EQ(-EFAULT, result(readv(self->fd, iov, 3)));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(8, take_msg(self->fd, 8, 1));
}

TEST_F(queue, bad_addresses)
{
	void *none = map(getpagesize(), PROT_NONE);
	int empty = memfd_create("empty", 0);
	void *beyond_eof = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, empty, 0);
	void *const bad[] = {
		NULL,
		(void *)8,
		none,
		beyond_eof,
		(void *)(1UL << 62),		/* belongs to nobody on x86 */
		(void *)(1UL << 63),		/* the kernel's from here on */
		(void *)(-1UL << 31),
		(void *)-4096UL,
		(void *)-1UL,
	};
	size_t i;

	ASSERT_NE(MAP_FAILED, none);
	ASSERT_NE(MAP_FAILED, beyond_eof);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct iovec iov[] = { { large, 1 }, { bad[i], 7 } };

		EXPECT_EQ(-EFAULT, put(self->fd, bad[i], 8))
			TH_LOG("at %p", bad[i]);
		EXPECT_EQ(-EFAULT, result(writev(self->fd, iov, 2)));
		EXPECT_EQ(-EFAULT, result(writev(self->fd, bad[i], 1)));
		ASSERT_EQ(0, depth(self->fd));

		ASSERT_EQ(8, put_msg(self->fd, 8, i));
		EXPECT_EQ(-EFAULT, result(read(self->fd, bad[i], 8)))
			TH_LOG("at %p", bad[i]);
		EXPECT_EQ(-EFAULT, result(readv(self->fd, iov, 2)));
		EXPECT_EQ(-EFAULT, result(readv(self->fd, bad[i], 1)));
		ASSERT_EQ(1, depth(self->fd));
		ASSERT_EQ(8, take_msg(self->fd, 8, i));
	}
	munmap(none, getpagesize());
	munmap(beyond_eof, getpagesize());
	close(empty);
}

TEST_F(queue, read_only_page)
{
	unsigned char *mem = map(getpagesize(), PROT_READ);

	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(8, put(self->fd, mem, 8));
	EXPECT_EQ(-EFAULT, result(read(self->fd, mem, 8)));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(8, take(self->fd, large, 8));
	EXPECT_EQ(0, memcmp(large, zeros, 8));
	munmap(mem, getpagesize());
}

/* The array of segments is itself over the edge. */
TEST_F(queue, bad_segments)
{
	struct iovec *edge = (void *)map_edge();

	ASSERT_NE(NULL, edge);
	edge[-1] = (struct iovec){ large, 8 };
	ASSERT_EQ(8, put_msg(self->fd, 8, 2));
	EXPECT_EQ(-EFAULT, result(writev(self->fd, edge - 1, 2)));
	EXPECT_EQ(-EFAULT, result(readv(self->fd, edge - 1, 2)));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(8, result(readv(self->fd, edge - 1, 1)));
	EXPECT_TRUE(is_filled(large, 8, 2));
}

/*
 * Pages that nobody has touched yet are no reason to fail: neither all of a
 * buffer's, nor the last ones only, with which a copy breaks off half-way.
 */
TEST_F(queue, fresh_pages)
{
	const int lengths[] = { 2, MSG_SIZE_MIN, self->msg_size };
	size_t i, room = MSG_SIZE_MAX + getpagesize();
	unsigned char *mem = map(room, PROT_READ | PROT_WRITE);
	int before, len, touched;

	ASSERT_NE(MAP_FAILED, mem);
	for (i = 0; i < 2 * ARRAY_SIZE(lengths); i++) {
		len = lengths[i / 2];
		touched = i % 2;
		for (before = 1; before < len && before <= getpagesize(); before *= 2) {
			unsigned char *buf = mem + getpagesize() - before;

			ASSERT_EQ(0, madvise(mem, room, MADV_DONTNEED));
			memset(mem, 0, touched);
			ASSERT_EQ(len, put(self->nb, buf, len));
			ASSERT_EQ(len, take(self->nb, large, len));
			ASSERT_EQ(0, memcmp(large, zeros, len));

			ASSERT_EQ(0, madvise(mem, room, MADV_DONTNEED));
			memset(mem, 0, touched);
			ASSERT_EQ(len, put_msg(self->nb, len, before));
			ASSERT_EQ(len, result(read(self->nb, buf, len)));
			ASSERT_TRUE(is_filled(buf, len, before));
		}
	}
	munmap(mem, room);
}

TEST_F(queue, pages_of_a_file)
{
	int len = self->msg_size, file = memfd_create("buffer", 0);
	unsigned char *mem;

	ASSERT_LE(0, file);
	fill(large, len, 3);
	ASSERT_EQ(len, pwrite(file, large, len, 0));
	mem = mmap(NULL, MSG_SIZE_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(len, put(self->nb, mem, len));
	EXPECT_EQ(len, take_msg(self->nb, len, 3));

	ASSERT_EQ(0, madvise(mem, MSG_SIZE_MAX, MADV_DONTNEED));
	ASSERT_EQ(len, put_msg(self->nb, len, 4));
	EXPECT_EQ(len, result(read(self->nb, mem, len)));
	EXPECT_EQ(len, pread(file, large, len, 0));
	EXPECT_TRUE(is_filled(large, len, 4));
	munmap(mem, MSG_SIZE_MAX);
	close(file);
}

/* A message that a read had to hand back stays the next one. */
TEST_F(queue, order_kept)
{
	int i, n = self->capacity < 16 ? self->capacity : 16;
	unsigned char *edge = map_edge();

	ASSERT_NE(NULL, edge);
	for (i = 0; i < n; i++)
		ASSERT_EQ(5, put_msg(self->fd, 5, i));
	for (i = 0; i < n; i++) {
		EXPECT_EQ(-EFAULT, result(read(self->fd, edge - 4, 5)));
		EXPECT_EQ(-EFAULT, result(read(self->nb, edge, 5)));
		EXPECT_EQ(-EMSGSIZE, result(read(self->nb, edge - 4, 4)));
		EXPECT_EQ(n - i, depth(self->fd));
		EXPECT_EQ(5, next_len(self->fd));
		EXPECT_EQ(5, take_msg(self->fd, 5, i));
	}
}

/* A message handed back keeps its slot, and gives it up when it is read. */
TEST_F(queue, room_kept)
{
	unsigned char *edge = map_edge();

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(-EFAULT, result(read(self->fd, edge, 1)));
	EXPECT_EQ(-EAGAIN, put_msg(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, depth(self->fd));
	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(1, put_msg(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* A write that fails keeps no slot. */
TEST_F(queue, no_slot_kept)
{
	unsigned char *edge = map_edge();
	int i;

	ASSERT_NE(NULL, edge);
	for (i = 0; i < 2 * self->capacity; i++)
		ASSERT_EQ(-EFAULT, put(self->nb, edge - 1, 2));
	EXPECT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* As take(), for a buffer that cannot be filled with junk first. */
static ssize_t take_raw(int fd, void *buf, size_t len)
{
	return result(read(fd, buf, len));
}

/* What woke a read that then fails has to wake the next. */
TEST_F(queue, failed_read_wakes_next)
{
	unsigned char *edge = map_edge();
	struct call bad, good;

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(0, start_blocked(&bad, take_raw, self->fd, edge - 2, 3));
	ASSERT_EQ(0, start_blocked(&good, take, self->fd, large, 3));
	EXPECT_EQ(3, put_msg(self->nb, 3, 5));
	EXPECT_EQ(3, finish_call(&good));
	EXPECT_TRUE(is_filled(large, 3, 5));

	/* Whether it failed then or waits on depends on which read was quicker. */
	EXPECT_EQ(3, put_msg(self->nb, 3, 6));
	EXPECT_EQ(-EFAULT, finish_call(&bad));
	EXPECT_EQ(3, take_msg(self->nb, 3, 6));
}

TEST_F(queue, failed_write_wakes_next)
{
	unsigned char *edge = map_edge();
	struct call bad, good;

	ASSERT_NE(NULL, edge);
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, start_blocked(&bad, put, self->fd, edge - 2, 3));
	ASSERT_EQ(0, start_blocked(&good, put, self->fd, large, 3));
	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(3, finish_call(&good));

	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	EXPECT_EQ(-EFAULT, finish_call(&bad));
	EXPECT_EQ(self->capacity - 1, take_all(self->nb));
}

#define CALLS_MAX	1025

/*
 * More writers than there are slots wait for a page.  The queue works on, with
 * all its slots.
 */
TEST_F_TIMEOUT(queue, stuck_writers, 300)
{
	static struct call call[CALLS_MAX];
	int i, n = self->capacity + 1;
	struct held held;

	if (n > CALLS_MAX)
		SKIP(return, "capacity %d would take as many threads", self->capacity);
	if (!hold(_metadata, &held))
		return;
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, start_call(&call[i], put, self->fd, held.page, 9));
	ASSERT_EQ(0, await_faults(&held, n));

	EXPECT_EQ(self->capacity, put_all(self->nb, 1, 0));
	for (i = 0; i < self->capacity; i++)
		ASSERT_EQ(1, take_msg(self->nb, 1, i));

	ASSERT_EQ(0, release(&held));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(9, take(self->fd, large, sizeof(large)));
		ASSERT_EQ(0, memcmp(large, zeros, 9));
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(9, finish_call(&call[i]));
	drop(&held);
}

#define STUCK_MAX	512	/* messages of 8 bytes in a page */

/*
 * Half of the messages go to readers that wait for a page.  They keep these, the others come in
 * the order sent, and the room that is left works on.
 */
TEST_F_TIMEOUT(queue, stuck_readers, 300)
{
	static struct call call[STUCK_MAX];
	int i, n = self->capacity / 2, rest = self->capacity - n;
	struct held held;

	if (n > STUCK_MAX)
		SKIP(return, "capacity %d would take as many threads", self->capacity);
	if (!hold(_metadata, &held))
		return;
	ASSERT_EQ(self->capacity, put_all(self->nb, 5, 0));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, start_call(&call[i], take_raw, self->fd, held.page + 8 * i, 5));
		ASSERT_EQ(0, await_faults(&held, 1));
	}
	EXPECT_EQ(rest, depth(self->fd));
	for (i = n; i < self->capacity; i++)
		ASSERT_EQ(5, take_msg(self->nb, 5, i));
	EXPECT_EQ(rest, put_all(self->nb, 5, 1000));
	for (i = 0; i < rest; i++)
		ASSERT_EQ(5, take_msg(self->nb, 5, 1000 + i));

	ASSERT_EQ(0, release(&held));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(5, finish_call(&call[i]));
		EXPECT_TRUE(is_filled(held.page + 8 * i, 5, i));
	}
	EXPECT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	drop(&held);
}

/* A reader that was woken and then gets stuck keeps its message; the next one goes on. */
TEST_F(queue, stuck_reader_keeps_its_message)
{
	struct call stuck, good;
	struct mpmcq_info info;
	struct held held;

	if (!hold(_metadata, &held))
		return;
	ASSERT_EQ(0, start_blocked(&stuck, take_raw, self->fd, held.page, 3));
	ASSERT_EQ(0, start_blocked(&good, take, self->fd, large, 3));
	EXPECT_EQ(3, put_msg(self->nb, 3, 7));
	ASSERT_EQ(0, await_faults(&held, 1));
	EXPECT_EQ(0, depth(self->fd));
	ASSERT_EQ(0, query(self->fd, &info));
	EXPECT_EQ(self->capacity - 1, info.free);
	EXPECT_EQ(3, put_msg(self->nb, 3, 8));
	EXPECT_EQ(3, finish_call(&good));
	EXPECT_TRUE(is_filled(large, 3, 8));

	ASSERT_EQ(0, release(&held));
	EXPECT_EQ(3, finish_call(&stuck));
	EXPECT_TRUE(is_filled(held.page, 3, 7));
	drop(&held);
}

/* A writer that was woken and then gets stuck leaves its slot for the next. */
TEST_F(queue, stuck_writer_wakes_next)
{
	struct call stuck, good;
	struct held held;

	if (!hold(_metadata, &held))
		return;
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	ASSERT_EQ(0, start_blocked(&stuck, put, self->fd, held.page, 3));
	ASSERT_EQ(0, start_blocked(&good, put, self->fd, large, 3));
	EXPECT_EQ(1, take_msg(self->nb, 1, 0));
	EXPECT_EQ(3, finish_call(&good));

	EXPECT_EQ(1, take_msg(self->nb, 1, 1));
	ASSERT_EQ(0, await_faults(&held, 1));
	ASSERT_EQ(0, release(&held));
	EXPECT_EQ(3, finish_call(&stuck));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	drop(&held);
}

/* A reader that is killed while it waits for a page takes nothing with it. */
TEST_F(queue, stuck_reader_killed)
{
	struct call stuck;
	struct held held;
	int status;
	pid_t pid;

	ASSERT_EQ(3, put_msg(self->fd, 3, 9));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (!hold(_metadata, &held))
			_exit(KSFT_SKIP);
		if (start_call(&stuck, take_raw, self->fd, held.page, 3) ||
		    await_faults(&held, 1))
			_exit(KSFT_FAIL);
		kill(getpid(), SIGKILL);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(3, take_msg(self->fd, 3, 9));
	if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
		SKIP(return, "no userfaultfd for us");
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

TEST_HARNESS_MAIN
