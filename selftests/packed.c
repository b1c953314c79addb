// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packed: many messages in one read or write, each behind a header.
 */

#include "packed_test.h"
#include "held_page.h"
#include "record.h"

/* Every length near a multiple of 8, and others. */
#define for_each_length(len, longest) \
	for (len = 1; len <= (longest); len += len < 100 || (longest) - len < 10 ? 1 : 997)

TEST_F(packed, written_packed_read_plain)
{
	int len;

	for_each_length(len, self->msg_size) {
		ASSERT_EQ(1, put_packed(self->pk, 1, len, len));
		ASSERT_EQ(1, depth(self->fd));
		ASSERT_EQ(len, next_len(self->pk));
		ASSERT_EQ(len, take_msg(self->fd, len, len));
	}
}

TEST_F(packed, written_plain_read_packed)
{
	struct mpmcq_msg msg;
	int len;

	for_each_length(len, self->msg_size) {
		ASSERT_EQ(len, put_msg(self->fd, len, len));
		ASSERT_EQ(1, take_packed(self->pk, 1, len, len, &msg));
		ASSERT_EQ(0, msg.deliveries);
	}
}

static ssize_t read_vector(int fd, void *iov, size_t n)
{
	return result(readv(fd, iov, n));
}

/* A batch whose second page is long in coming stays together, and others go on. */
TEST_F(packed, stuck_batch)
{
	unsigned char first[64];
	struct iovec iov[] = { { first, space_of(LEN) }, { NULL, space_of(LEN) } };
	struct held held;
	struct call stuck;
	struct mpmcq_msg msg;
	int i;

	if (!hold(_metadata, &held))
		return;
	iov[1].iov_base = held.page;
	for (i = 0; i < 2; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	ASSERT_EQ(0, start_call(&stuck, read_vector, self->pk, iov, 2));
	ASSERT_EQ(0, await_faults(&held, 1));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(-EAGAIN, take_packed(self->pn, 1, LEN, 0, NULL));
	if (self->capacity > 2) {
		EXPECT_EQ(LEN, put_msg(self->nb, LEN, 2));
		EXPECT_EQ(LEN, take_msg(self->nb, LEN, 2));
	} else {
		EXPECT_EQ(-EAGAIN, put_msg(self->nb, LEN, 2));
	}

	ASSERT_EQ(0, release(&held));
	EXPECT_EQ(2 * space_of(LEN), finish_call(&stuck));
	EXPECT_LT(0, unpack(first, sizeof(first), LEN, 0, &msg));
	EXPECT_LT(0, unpack(held.page, getpagesize(), LEN, 1, &msg));
	drop(&held);
}

/* A reader that is killed while it fetches the second message's page has had neither. */
TEST_F(packed, stuck_batch_killed)
{
	/* With leases half of the room is reserved: of two slots, that is no batch of two. */
	const int modes[] = { MPMCQ_MODE_PACKED, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE };
	int i, status;
	struct mpmcq_msg msg[2];
	size_t m;
	pid_t pid;

	for (m = 0; m < (self->capacity > 2 ? ARRAY_SIZE(modes) : 1); m++) {
		int fd = attach(self->fd, O_RDONLY, modes[m], 0);

		ASSERT_LE(0, fd);
		for (i = 0; i < 2; i++)
			ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			unsigned char first[64];
			struct iovec iov[] = { { first, space_of(LEN) }, { NULL, space_of(LEN) } };
			struct held held;
			struct call stuck;

			if (!hold(_metadata, &held))
				_exit(KSFT_SKIP);
			iov[1].iov_base = held.page;
			if (start_call(&stuck, read_vector, fd, iov, 2) || await_faults(&held, 1))
				_exit(KSFT_FAIL);
			kill(getpid(), SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(2, depth(self->fd)) TH_LOG("modes %d", modes[m]);
		EXPECT_EQ(2, take_packed(self->pn, 2, LEN, 0, msg));
		EXPECT_EQ(0, msg[0].deliveries);
		if (WIFEXITED(status) && WEXITSTATUS(status) == KSFT_SKIP)
			SKIP(return, "no userfaultfd for us");
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		close(fd);
	}
}

/* A read that is signalled while it copies its first batch keeps that, and begins no other. */
TEST_F(packed, signal_ends_pack)
{
	enum { BATCH = 64, MESSAGES = 100 };
	struct sigaction action = { .sa_handler = ignore_signal };
	struct iovec iov[] = { { large, 0 }, { NULL, space_of(LEN) }, { large, 0 } };
	struct held held;
	struct call stuck;
	int i;

	if (self->capacity < MESSAGES || !hold(_metadata, &held))
		return;
	ASSERT_EQ(0, sigaction(SIGUSR1, &action, NULL));
	for (i = 0; i < MESSAGES; i++)
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, i));
	/* The page that is long in coming is for the last message of the batch. */
	iov[0].iov_len = (BATCH - 1) * space_of(LEN);
	iov[1].iov_base = held.page;
	iov[2].iov_base = large + BATCH * space_of(LEN);
	iov[2].iov_len = MESSAGES * space_of(LEN);
	ASSERT_EQ(0, start_call(&stuck, read_vector, self->pk, iov, ARRAY_SIZE(iov)));
	ASSERT_EQ(0, await_faults(&held, 1));
	ASSERT_EQ(0, pthread_kill(stuck.thread, SIGUSR1));
	ASSERT_EQ(0, release(&held));
	EXPECT_EQ(BATCH * space_of(LEN), finish_call(&stuck));
	EXPECT_EQ(MESSAGES - BATCH, take_packed(self->pn, MESSAGES, LEN, BATCH, NULL));
	drop(&held);
}

/* The zeros behind a message are zeros also where a longer one has been. */
TEST_F(packed, nothing_of_earlier_messages)
{
	int i, len;

	for (len = 1; len < 24; len++) {
		memset(large, JUNK, self->msg_size);
		for (i = 0; i < self->capacity; i++)
			ASSERT_EQ(self->msg_size, put(self->nb, large, self->msg_size));
		ASSERT_EQ(self->capacity, take_all(self->nb));
		ASSERT_EQ(self->capacity, put_packed(self->pk, self->capacity, len, len));
		ASSERT_EQ(self->capacity, take_packed(self->pk, self->capacity, len, len, NULL));
	}
}

TEST_F(packed, all_at_once)
{
	int round;

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(self->capacity, put_packed(self->pk, self->capacity, 13, 7 * round));
		EXPECT_EQ(self->capacity, depth(self->fd));
		EXPECT_EQ(-EAGAIN, put_packed(self->pn, 1, 13, 0));
		ASSERT_EQ(self->capacity, take_packed(self->pk, self->capacity, 13, 7 * round,
						      NULL));
		EXPECT_EQ(0, depth(self->fd));
		EXPECT_EQ(-EAGAIN, take_packed(self->pn, 1, 13, 0, NULL));
	}
}

TEST_F(packed, longest_at_once)
{
	int n = smaller(self->capacity, 16);

	ASSERT_EQ(n, put_packed(self->pk, n, self->msg_size, 1));
	ASSERT_EQ(n, take_packed(self->pk, n, self->msg_size, 1, NULL));
}

/* Long and short, one after the other; and the same to a queue again, as it was read. */
TEST_F(packed, different_lengths)
{
	int again = attach(self->pk, O_RDWR, MPMCQ_MODE_PACKED, 0);
	int i, at = 0, got, space, n = smaller(self->capacity, 12);
	struct mpmcq_msg msg;

	ASSERT_LE(0, again);
	for (i = 0; i < n; i++)
		at += pack(large + at, 1 + i * 11 % self->msg_size, i);
	ASSERT_EQ(at, put(self->pk, large, at));
	got = take(self->pk, large, sizeof(large));
	ASSERT_EQ(at, got);
	ASSERT_EQ(at, put(again, large, at));
	memset(large, JUNK, at);
	ASSERT_EQ(at, take(again, large, sizeof(large)));
	for (i = at = 0; i < n; i++, at += space) {
		space = unpack(large + at, got - at, 1 + i * 11 % self->msg_size, i, &msg);
		ASSERT_LT(0, space);
	}
	EXPECT_EQ(got, at);
	EXPECT_TRUE(is_junk(large + at, MSG_SIZE_MAX));
	close(again);
}

/*
 * Those that are copied one way and those that are copied another, behind each other; and
 * each differs from what its slot has held before.
 */
TEST_F(packed, short_and_long)
{
	static const int lengths[] = { 1024, 1025, 1, 4096, 1017, 1031, 1023, 8 };
	int offset, first, i, len, at, got, seed = 0, n = smaller(self->capacity, 4);
	struct mpmcq_msg msg;

	for (offset = 0; offset < 8; offset++)
		for (first = 0; first < (int)ARRAY_SIZE(lengths); first++, seed += n) {
			for (i = at = 0; i < n; i++) {
				len = lengths[(first + i) % ARRAY_SIZE(lengths)];
				at += pack(large + offset + at, smaller(len, self->msg_size),
					   seed + i);
			}
			ASSERT_EQ(at, put(self->pk, large + offset, at));
			memset(large, JUNK, at + 2 * MARGIN);
			got = take(self->pk, large + 7 - offset, at + MARGIN);
			ASSERT_EQ(at, got);
			for (i = at = 0; i < n; i++) {
				len = lengths[(first + i) % ARRAY_SIZE(lengths)];
				at += unpack(large + 7 - offset + at, got - at,
					     smaller(len, self->msg_size), seed + i, &msg);
			}
			ASSERT_EQ(got, at);
			ASSERT_TRUE(is_junk(large + 7 - offset + at, MARGIN));
		}
}

/* Plain and packed writers and readers, in turn: one queue, one order. */
TEST_F(packed, mixed_with_plain)
{
	int in = 0, out = 0, round, n = self->capacity / 2;

	for (round = 0; round < 20; round++) {
		ASSERT_EQ(LEN, put_msg(self->nb, LEN, in++));
		ASSERT_EQ(n, put_packed(self->pn, n, LEN, in));
		in += n;
		if (round % 2) {
			ASSERT_EQ(n, take_packed(self->pn, n, LEN, out, NULL));
			out += n;
			ASSERT_EQ(LEN, take_msg(self->nb, LEN, out++));
		} else {
			ASSERT_EQ(LEN, take_msg(self->nb, LEN, out++));
			ASSERT_EQ(n, take_packed(self->pn, n, LEN, out, NULL));
			out += n;
		}
	}
	EXPECT_EQ(in, out);
}

/* The waiting file, too, sends what there is room for, and returns. */
TEST_F(packed, as_many_as_there_is_room_for)
{
	int rooms[] = { 1, self->capacity / 2, self->capacity - 1, self->capacity };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		int room = rooms[i], others = self->capacity - room;
		int fd = i % 2 ? self->pk : self->pn;

		if (others)
			ASSERT_EQ(others, put_packed(self->pn, others, LEN, 0));
		ASSERT_EQ(room, put_packed(fd, room + 3, LEN, 100));
		ASSERT_EQ(-EAGAIN, put_packed(self->pn, 3, LEN, 0));
		if (others)
			ASSERT_EQ(others, take_packed(self->pn, others, LEN, 0, NULL));
		ASSERT_EQ(room, take_packed(self->pn, room + 3, LEN, 100, NULL));
	}
}

TEST_F(packed, many_more_than_fit)
{
	int n = 3 * self->capacity + 1, sent = 0, read = 0;

	while (sent < n) {
		ASSERT_EQ(smaller(self->capacity, n - sent),
			  put_packed(self->pk, n - sent, LEN, sent));
		sent += smaller(self->capacity, n - sent);
		ASSERT_EQ(sent - read, take_packed(self->pk, n, LEN, read, NULL));
		read = sent;
	}
}

/* A read takes whole messages only, as many as the buffer has room for. */
TEST_F(packed, as_many_as_the_buffer_has_room_for)
{
	int room, len = 13, space = space_of(len), n = smaller(self->capacity, 4);
	struct mpmcq_msg msg;
	int i, want;

	for (room = space; room <= (n + 1) * space; room++) {
		ASSERT_EQ(n, put_packed(self->pk, n, len, room));
		want = smaller(room / space, n);
		ASSERT_EQ(want * space, take(self->pk, large, room)) TH_LOG("room %d", room);
		for (i = 0; i < want; i++)
			ASSERT_EQ(space, unpack(large + i * space, space, len, room + i, &msg));
		ASSERT_TRUE(is_junk(large + want * space, room - want * space));
		for (; i < n; i++)
			ASSERT_EQ(len, take_msg(self->nb, len, room + i));
	}
}

TEST_F(packed, buffer_too_short_for_the_first)
{
	int room, lengths[] = { 1, 8, 13, self->msg_size };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int len = lengths[i];

		EXPECT_EQ(-EAGAIN, take(self->pn, large, 1));
		ASSERT_EQ(len, put_msg(self->nb, len, 1));
		ASSERT_EQ(1, put_msg(self->nb, 1, 2));
		EXPECT_EQ(0, take(self->pk, large, 0));
		for (room = 1; room < space_of(len); room = next_cut(room, space_of(len))) {
			ASSERT_EQ(-EMSGSIZE, take(self->pk, large, room)) TH_LOG("room %d", room);
			ASSERT_EQ(-EMSGSIZE, take(self->pn, large, room));
			ASSERT_TRUE(is_junk(large, room));
			ASSERT_EQ(len, next_len(self->pk));
			ASSERT_EQ(2, depth(self->fd));
		}
		ASSERT_EQ(1, take_packed(self->pk, 1, len, 1, NULL));
		ASSERT_EQ(1, take_packed(self->pk, 1, 1, 2, NULL));
	}
}

/* A message that does not fit ends the read, and is the next. */
TEST_F(packed, later_message_does_not_fit)
{
	struct mpmcq_msg msg;

	ASSERT_EQ(9, put_msg(self->nb, 9, 1));
	ASSERT_EQ(60, put_msg(self->nb, 60, 2));
	ASSERT_EQ(space_of(9), take(self->pk, large, space_of(9) + space_of(60) - 1));
	EXPECT_EQ(space_of(9), unpack(large, space_of(9), 9, 1, &msg));
	EXPECT_EQ(-EMSGSIZE, take(self->pk, large, space_of(60) - 1));
	EXPECT_EQ(1, take_packed(self->pk, 1, 60, 2, NULL));
}

TEST_F(packed, nothing)
{
	EXPECT_EQ(0, take(self->pk, large, 0));
	EXPECT_EQ(0, take(self->pn, large, 0));
	EXPECT_EQ(-EINVAL, put(self->pk, large, 0));
	EXPECT_EQ(-EINVAL, put(self->pn, large, 0));
}

TEST_F(packed, would_wait)
{
	struct iovec iov = { large, space_of(LEN) };

	EXPECT_EQ(-EAGAIN, take(self->pn, large, sizeof(large)));
	EXPECT_EQ(-EAGAIN, result(preadv2(self->pk, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	pack(large, LEN, self->capacity);
	EXPECT_EQ(-EAGAIN, put(self->pn, large, space_of(LEN)));
	EXPECT_EQ(-EAGAIN, result(pwritev2(self->pk, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(LEN, take_msg(self->fd, LEN, 0));
	EXPECT_EQ(space_of(LEN), result(pwritev2(self->pk, &iov, 1, -1, RWF_NOWAIT)));
	iov.iov_len = sizeof(large);
	EXPECT_EQ(self->capacity * space_of(LEN),
		  result(preadv2(self->pk, &iov, 1, -1, RWF_NOWAIT)));
}

TEST_F(packed, read_waits_for_the_first)
{
	struct mpmcq_msg msg;
	struct call call;

	ASSERT_EQ(0, start_blocked(&call, take, self->pk, large, sizeof(large)));
	ASSERT_EQ(LEN, put_msg(self->nb, LEN, 1));
	ASSERT_EQ(space_of(LEN), finish_call(&call));
	EXPECT_EQ(space_of(LEN), unpack(large, space_of(LEN), LEN, 1, &msg));
}

TEST_F(packed, write_waits_for_the_first)
{
	int at = 0, i;
	struct call call;

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	for (i = 0; i < 3; i++)
		at += pack(large + at, LEN, self->capacity + i);
	ASSERT_EQ(0, start_blocked(&call, put, self->pk, large, at));
	EXPECT_EQ(self->capacity, depth(self->fd));
	ASSERT_EQ(LEN, take_msg(self->nb, LEN, 0));
	EXPECT_EQ(space_of(LEN), finish_call(&call));
	EXPECT_EQ(self->capacity, take_packed(self->pk, self->capacity, LEN, 1, NULL));
}

/* One write is news to as many sleepers as it has messages. */
TEST_F(packed, write_wakes_many)
{
	int i, n = smaller(self->capacity, 8);
	unsigned char buf[8][LEN];
	struct call call[8];

	for (i = 0; i < n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], take, self->fd, buf[i], LEN));
	ASSERT_EQ(n, put_packed(self->pn, n, LEN, 0));
	for (i = 0; i < n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
}

/* And so is one read to writers. */
TEST_F(packed, read_wakes_many)
{
	int i, n = smaller(self->capacity, 8);
	struct call call[8];

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	fill(large, LEN, 1);
	for (i = 0; i < n; i++)
		ASSERT_EQ(0, start_blocked(&call[i], put, self->fd, large, LEN));
	ASSERT_EQ(n, take_packed(self->pn, n, LEN, 0, NULL));
	for (i = 0; i < n; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

TEST_F(packed, signal_ends_wait)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct call call;

	sigaction(SIGUSR1, &action, NULL);
	ASSERT_EQ(0, start_blocked(&call, take, self->pk, large, 100));
	pthread_kill(call.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, finish_call(&call));

	ASSERT_EQ(self->capacity, put_all(self->nb, LEN, 0));
	pack(large, LEN, 0);
	ASSERT_EQ(0, start_blocked(&call, put, self->pk, large, space_of(LEN)));
	pthread_kill(call.thread, SIGUSR1);
	EXPECT_EQ(-EINTR, finish_call(&call));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* Headers and messages lie in several segments, and segments lie in reverse. */
TEST_F(packed, segments)
{
	int i, at, space, len, n = smaller(self->capacity, 5), total, cuts;
	unsigned char buf[1000], whole[1000];
	struct iovec iov[128];
	struct mpmcq_msg msg;

	for (len = 1; len <= 61; len++) {
		space = space_of(len);
		for (i = total = 0; i < n; i++)
			total += pack(whole + total, len, len + i);
		cuts = cut(iov, buf, total);
		for (i = at = 0; i < cuts; at += iov[i++].iov_len)
			if (iov[i].iov_len)
				memcpy(iov[i].iov_base, whole + at, iov[i].iov_len);
		ASSERT_EQ(total, result(writev(self->pk, iov, cuts)));

		memset(buf, JUNK, sizeof(buf));
		cuts = cut(iov, buf, total + MARGIN);
		ASSERT_EQ(total, result(readv(self->pk, iov, cuts)));
		gather(whole, iov, cuts);
		for (i = at = 0; i < n; i++, at += space)
			ASSERT_EQ(space, unpack(whole + at, space, len, len + i, &msg));
		ASSERT_TRUE(is_junk(whole + at, MARGIN));
	}
}

TEST_F(packed, segments_too_short)
{
	struct iovec iov[] = { { large, HEADER }, { large + HEADER, 7 } };

	ASSERT_EQ(1, put_msg(self->nb, 1, 1));
	EXPECT_EQ(-EMSGSIZE, result(readv(self->pk, iov, 2)));
	iov[1].iov_len = 8;
	EXPECT_EQ(space_of(1), result(readv(self->pk, iov, 2)));
	iov[1].iov_len = 7;
	pack(large, 1, 1);
	EXPECT_EQ(-EINVAL, result(writev(self->pk, iov, 2)));
	iov[1].iov_len = 0;
	EXPECT_EQ(-EINVAL, result(writev(self->pk, iov, 2)));
	EXPECT_EQ(0, result(writev(self->pk, iov, 0)));
	EXPECT_EQ(0, result(readv(self->pk, iov, 0)));
}

/* Pages that nobody has touched yet end no read and no write with an error. */
TEST_F(packed, fresh_pages)
{
	int n = smaller(self->capacity, 200), len = smaller(self->msg_size, 1000);
	int space = space_of(len), room = n * space, offset, ret, done, i;
	size_t size = room + 2 * getpagesize();
	unsigned char *mem = map(size, PROT_READ | PROT_WRITE);
	struct mpmcq_msg msg;

	ASSERT_NE(MAP_FAILED, mem);
	for (offset = 0; offset < 64; offset += 13) {
		unsigned char *buf = mem + getpagesize() - offset;

		ASSERT_EQ(n, put_packed(self->pk, n, len, offset));
		ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		for (done = 0; done < n; done += ret / space) {
			ret = result(read(self->pn, buf + done * space, room - done * space));
			ASSERT_LT(0, ret);
			ASSERT_EQ(0, ret % space);
		}
		ASSERT_EQ(n, done);
		for (i = 0; i < n; i++)
			ASSERT_EQ(space, unpack(buf + i * space, space, len, offset + i, &msg));

		/* Zeros are no message: it fails for that, and not for the pages. */
		ASSERT_EQ(0, madvise(mem, size, MADV_DONTNEED));
		ASSERT_EQ(-EINVAL, put(self->pn, buf, room));
	}
	munmap(mem, size);
}

TEST_F(packed, pages_of_a_file)
{
	int n = smaller(self->capacity, 8), len = smaller(self->msg_size, 1000);
	int i, ret, done, at = 0, file = memfd_create("buffer", 0);
	unsigned char *mem;

	ASSERT_LE(0, file);
	for (i = 0; i < n; i++)
		at += pack(large + at, len, i);
	ASSERT_EQ(at, pwrite(file, large, at, 0));
	mem = mmap(NULL, at, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	ASSERT_NE(MAP_FAILED, mem);
	for (done = 0; done < at; done += ret) {
		ret = put(self->pn, mem + done, at - done);
		ASSERT_LT(0, ret);
	}
	EXPECT_EQ(n, take_packed(self->pn, n, len, 0, NULL));
	munmap(mem, at);
	close(file);
}

TEST_F(packed, access_modes)
{
	int reader = attach(self->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);
	int writer = attach(self->fd, O_WRONLY | O_NONBLOCK, MPMCQ_MODE_PACKED, 0);

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	EXPECT_EQ(-EBADF, put_packed(reader, 1, LEN, 1));
	EXPECT_EQ(-EAGAIN, take_packed(reader, 1, LEN, 1, NULL));
	EXPECT_EQ(1, put_packed(writer, 1, LEN, 1));
	EXPECT_EQ(-EBADF, take_packed(writer, 1, LEN, 1, NULL));
	EXPECT_EQ(1, take_packed(reader, 1, LEN, 1, NULL));
	close(reader);
	close(writer);
}

/* The mode belongs to the open file, and can be changed at any time. */
TEST_F(packed, mode)
{
	int twin = dup(self->fd);

	ASSERT_LE(0, twin);
	EXPECT_EQ(0, info_of(self->fd).modes);
	EXPECT_EQ(0, set_modes(self->fd, MPMCQ_MODE_PACKED, 0));
	EXPECT_EQ(MPMCQ_MODE_PACKED, info_of(self->fd).modes);
	EXPECT_EQ(MPMCQ_MODE_PACKED, info_of(twin).modes);
	EXPECT_EQ(0, info_of(self->nb).modes);
	EXPECT_EQ(1, put_packed(twin, 1, LEN, 1));
	EXPECT_EQ(0, set_modes(self->fd, MPMCQ_MODE_PACKED, 0));
	EXPECT_EQ(1, take_packed(twin, 1, LEN, 1, NULL));
	EXPECT_EQ(0, set_modes(twin, 0, 0));
	EXPECT_EQ(0, info_of(self->fd).modes);
	EXPECT_EQ(LEN, put_msg(self->fd, LEN, 2));
	EXPECT_EQ(LEN, take_msg(twin, LEN, 2));
	close(twin);
}

TEST_F(packed, mode_of_writers_and_readers)
{
	int reader = attach(self->fd, O_RDONLY, 0, 0);
	int writer = attach(self->fd, O_WRONLY, 0, 0);

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	EXPECT_EQ(0, set_modes(reader, MPMCQ_MODE_PACKED, 0));
	EXPECT_EQ(0, set_modes(writer, MPMCQ_MODE_PACKED, 0));
	EXPECT_EQ(1, put_packed(writer, 1, LEN, 1));
	EXPECT_EQ(1, take_packed(reader, 1, LEN, 1, NULL));
	close(reader);
	close(writer);
}

TEST_F(packed, poll)
{
	EXPECT_EQ(WRITABLE, poll_now(self->pk));
	ASSERT_EQ(2, put_packed(self->pk, 2, LEN, 0));
	EXPECT_EQ(READABLE | (self->capacity == 2 ? 0 : WRITABLE), poll_now(self->pk));
	ASSERT_EQ(1, take_packed(self->pk, 1, LEN, 0, NULL));
	EXPECT_EQ(READABLE | WRITABLE, poll_now(self->pk));
	ASSERT_EQ(1, take_packed(self->pk, 1, LEN, 1, NULL));
	EXPECT_EQ(WRITABLE, poll_now(self->pk));
}

TEST_F(packed, edges)
{
	int in = watch(self->pn, EPOLLIN | EPOLLET), out = watch(self->pn, EPOLLOUT | EPOLLET);
	int i;

	ASSERT_LE(0, in);
	ASSERT_LE(0, out);
	EXPECT_EQ(EPOLLOUT, event_now(out));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, event_now(in));
		EXPECT_EQ(0, event_now(out));
		ASSERT_EQ(self->capacity, put_packed(self->pn, self->capacity + 1, LEN, i));
		EXPECT_EQ(EPOLLIN, event_now(in));
		EXPECT_EQ(0, event_now(in));
		EXPECT_EQ(0, event_now(out));
		ASSERT_EQ(self->capacity, take_packed(self->pn, self->capacity, LEN, i, NULL));
		EXPECT_EQ(0, event_now(in));
		EXPECT_EQ(EPOLLOUT, event_now(out));
	}
	close(in);
	close(out);
}

#define THREADS		3
#define PER_THREAD	2000
#define LONGEST		50

/* What threads do together that write and read packed. */
struct together {
	int fd;
	int capacity;
	int writers;
	unsigned char seen[THREADS][PER_THREAD];
	__u64 id[THREADS * PER_THREAD];
	int ids;
};

/* Lengths differ, so the bytes that were sent have to be looked at to be counted. */
static void *write_together(void *arg)
{
	struct together *all = arg;
	int next = 0, i, n, at, ret, me = __atomic_fetch_add(&all->writers, 1, __ATOMIC_RELAXED);
	unsigned char *buf = malloc((all->capacity + 3) * space_of(LONGEST));
	struct mpmcq_msg msg = {};

	while (next < PER_THREAD) {
		n = smaller(1 + next % (all->capacity + 3), PER_THREAD - next);
		for (i = at = 0; i < n; i++, at += space_of(msg.len)) {
			msg.len = make_message(buf + at + sizeof(msg), me, next + i, LONGEST);
			memcpy(buf + at, &msg, sizeof(msg));
		}
		ret = put(all->fd, buf, at);
		if (ret <= 0)
			return "a write failed";
		for (at = 0; at < ret; at += space_of(msg.len), next++)
			memcpy(&msg, buf + at, sizeof(msg));
		if (at != ret)
			return "a write took part of a message";
	}
	free(buf);
	return NULL;
}

static void *read_together(void *arg)
{
	struct together *all = arg;
	int next[THREADS] = {}, ret, at, space, size = 4096;
	unsigned char *buf = malloc(size);
	const struct record *rec;
	struct mpmcq_msg msg;

	while ((ret = take(all->fd, buf, size)) > 0) {
		for (at = 0; at < ret; at += space) {
			memcpy(&msg, buf + at, sizeof(msg));
			rec = (const void *)(buf + at + sizeof(msg));
			space = space_of(msg.len);
			if (at + space > ret || !is_whole(rec, msg.len) ||
			    rec->producer >= THREADS || rec->number >= PER_THREAD)
				return "a message was garbled";
			if ((int)rec->number < next[rec->producer])
				return "a message came before an earlier one";
			next[rec->producer] = rec->number + 1;
			__atomic_add_fetch(&all->seen[rec->producer][rec->number], 1,
					   __ATOMIC_RELAXED);
			all->id[__atomic_fetch_add(&all->ids, 1, __ATOMIC_RELAXED) %
				(THREADS * PER_THREAD)] = msg.id;
		}
	}
	free(buf);
	return ret ? "a read failed" : NULL;
}

static int compare_ids(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

TEST_F_TIMEOUT(packed, threads_together, 60)
{
	static struct together all;
	pthread_t writer[THREADS], reader[THREADS];
	void *failure;
	int i, j;

	all.fd = self->pk;
	all.capacity = smaller(self->capacity, 100);
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_create(&reader[i], NULL, read_together, &all));
		ASSERT_EQ(0, pthread_create(&writer[i], NULL, write_together, &all));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(writer[i], &failure));
		EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	}
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(reader[i], &failure));
		EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	}
	for (i = 0; i < THREADS; i++)
		for (j = 0; j < PER_THREAD; j++)
			EXPECT_EQ(1, all.seen[i][j]) TH_LOG("message %d of %d", j, i);
	ASSERT_EQ(THREADS * PER_THREAD, all.ids);
	qsort(all.id, all.ids, sizeof(all.id[0]), compare_ids);
	for (i = 1; i < all.ids; i++)
		ASSERT_NE(all.id[i - 1], all.id[i]);
}

TEST_HARNESS_MAIN
