// SPDX-License-Identifier: GPL-2.0-only
/*
 * read and write, with nobody else about: lengths, limits, order.
 */

#include <limits.h>
#include <sys/sendfile.h>

#include "mpmcq_test.h"
#include "test_util.h"

static unsigned char large[MSG_SIZE_MAX + 1];

TEST_F(queue, shortest_message)
{
	EXPECT_EQ(1, put_msg(self->fd, 1, 1));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(1, next_len(self->fd));
	EXPECT_EQ(1, take_msg(self->fd, 1, 1));
}

TEST_F(queue, longest_message)
{
	EXPECT_EQ(self->msg_size, put_msg(self->fd, self->msg_size, 2));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(self->msg_size, next_len(self->fd));
	EXPECT_EQ(self->msg_size, take_msg(self->fd, self->msg_size, 2));
}

TEST_F(queue, every_length)
{
	int len;

	for (len = 1; len <= self->msg_size; len += len < 300 ? 1 : 997) {
		ASSERT_EQ(len, put_msg(self->fd, len, len));
		ASSERT_EQ(len, take_msg(self->fd, len, len));
	}
}

TEST_F(queue, write_too_long)
{
	EXPECT_EQ(-EMSGSIZE, put(self->fd, large, self->msg_size + 1));
	EXPECT_EQ(-EMSGSIZE, put(self->nb, large, self->msg_size + 1));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, next_len(self->fd));
}

TEST_F(queue, write_too_long_when_full)
{
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(-EMSGSIZE, put(self->fd, large, self->msg_size + 1));
	EXPECT_EQ(-EMSGSIZE, put(self->nb, large, self->msg_size + 1));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* By syscall(), lest the compiler complain that the buffer is not that long. */
static const size_t huge[] = {
	1UL << 20, (1UL << 31) - 65536, INT_MAX, 1UL << 31, (1UL << 32) + 1,
};

TEST_F(queue, write_huge_length)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		EXPECT_EQ(-EMSGSIZE, result(syscall(SYS_write, self->fd, large, huge[i])))
			TH_LOG("a write of %zu bytes", huge[i]);
	}
	EXPECT_EQ(0, depth(self->fd));
}

/* Which of these it is, is up to the architecture; the kernel itself refuses. */
TEST_F(queue, write_impossible_length)
{
	ssize_t ret = result(syscall(SYS_write, self->fd, large, SIZE_MAX));

	EXPECT_TRUE(ret == -EFAULT || ret == -EINVAL) TH_LOG("%zd", ret);
	EXPECT_EQ(0, depth(self->fd));
}

TEST_F(queue, read_huge_length)
{
	int len = self->msg_size;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(huge); i++) {
		ASSERT_EQ(len, put_msg(self->fd, len, i));
		EXPECT_EQ(len, result(syscall(SYS_read, self->fd, large, huge[i])));
		EXPECT_TRUE(is_filled(large, len, i));
	}
}

TEST_F(queue, write_nothing)
{
	EXPECT_EQ(-EINVAL, put(self->fd, large, 0));
	EXPECT_EQ(-EINVAL, put(self->nb, large, 0));
	EXPECT_EQ(0, depth(self->fd));
}

TEST_F(queue, read_nothing)
{
	EXPECT_EQ(0, take(self->fd, large, 0));
	EXPECT_EQ(0, take(self->nb, large, 0));

	ASSERT_EQ(5, put_msg(self->fd, 5, 4));
	EXPECT_EQ(0, take(self->fd, large, 0));
	EXPECT_EQ(0, take(self->nb, large, 0));
	EXPECT_EQ(5, take_msg(self->fd, 5, 4));
}

TEST_F(queue, buffer_too_short)
{
	unsigned char buf[8];
	int room;

	ASSERT_EQ(8, put_msg(self->fd, 8, 5));
	ASSERT_EQ(1, put_msg(self->fd, 1, 6));
	for (room = 1; room < 8; room++) {
		EXPECT_EQ(-EMSGSIZE, take(self->fd, buf, room));
		EXPECT_EQ(-EMSGSIZE, take(self->nb, buf, room));
		EXPECT_TRUE(is_junk(buf, room));
		EXPECT_EQ(8, next_len(self->fd));
		EXPECT_EQ(2, depth(self->fd));
	}
	EXPECT_EQ(8, take(self->fd, buf, 8));
	EXPECT_TRUE(is_filled(buf, 8, 5));
	EXPECT_EQ(1, next_len(self->fd));
	EXPECT_EQ(1, take_msg(self->fd, 1, 6));
}

TEST_F(queue, empty_by_open)
{
	EXPECT_EQ(-EAGAIN, take(self->nb, large, sizeof(large)));
}

TEST_F(queue, empty_by_fcntl)
{
	int flags = fcntl(self->fd, F_GETFL);

	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, flags | O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, take(self->fd, large, sizeof(large)));
}

TEST_F(queue, empty_by_flag)
{
	struct iovec iov = { large, sizeof(large) };

	EXPECT_EQ(-EAGAIN, result(preadv2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(7, put_msg(self->fd, 7, 7));
	EXPECT_EQ(7, result(preadv2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_TRUE(is_filled(large, 7, 7));
}

TEST_F(queue, full_by_open)
{
	int n;

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(-EAGAIN, put_msg(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, depth(self->fd));
	for (n = 0; n < self->capacity; n++)
		ASSERT_EQ(1, take_msg(self->nb, 1, n));
	EXPECT_EQ(-EAGAIN, take(self->nb, large, 1));
}

TEST_F(queue, full_by_fcntl)
{
	int flags = fcntl(self->fd, F_GETFL);

	ASSERT_EQ(self->capacity, put_all(self->nb, self->msg_size, 0));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, flags | O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, put_msg(self->fd, 1, 0));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

TEST_F(queue, full_by_flag)
{
	struct iovec iov = { large, 1 };

	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(-EAGAIN, result(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	ASSERT_EQ(1, take_msg(self->fd, 1, 0));
	EXPECT_EQ(1, result(pwritev2(self->fd, &iov, 1, -1, RWF_NOWAIT)));
	EXPECT_EQ(self->capacity, take_all(self->nb));
}

/* Every slot is used again and again, with the queue nearly empty to full. */
TEST_F_TIMEOUT(queue, order_over_laps, 60)
{
	const int level[] = { 1, self->capacity / 2, self->capacity - 1, self->capacity };
	unsigned int in = 0, out = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(level); i++) {
		unsigned int end = in + 3 * self->capacity + 1;

		for (; in < end; in++) {
			while (in - out >= (unsigned int)level[i]) {
				ASSERT_EQ(4, take_msg(self->nb, 4, out));
				out++;
			}
			ASSERT_EQ(4, put_msg(self->nb, 4, in));
		}
	}
	for (; out < in; out++)
		ASSERT_EQ(4, take_msg(self->nb, 4, out));
}

TEST_F(queue, writev_gathers)
{
	int len = self->msg_size < 1000 ? self->msg_size : 1000;
	unsigned char buf[1000], want[1000];
	struct iovec iov[128];
	int n = cut(iov, buf, len);

	fill(buf, len, 8);
	gather(want, iov, n);
	EXPECT_EQ(len, result(writev(self->fd, iov, n)));
	EXPECT_EQ(len, take(self->fd, large, sizeof(large)));
	EXPECT_EQ(0, memcmp(want, large, len));
}

TEST_F(queue, readv_scatters)
{
	int len = self->msg_size < 1000 ? self->msg_size : 1000;
	unsigned char buf[1000 + MARGIN], got[1000 + MARGIN];
	struct iovec iov[128];
	int n = cut(iov, buf, len + MARGIN);

	memset(buf, JUNK, sizeof(buf));
	ASSERT_EQ(len, put_msg(self->fd, len, 9));
	EXPECT_EQ(len, result(readv(self->fd, iov, n)));
	gather(got, iov, n);
	EXPECT_TRUE(is_filled(got, len, 9));
	EXPECT_TRUE(is_junk(got + len, MARGIN));
}

TEST_F(queue, most_segments)
{
	int i, len = self->msg_size < IOV_MAX ? self->msg_size : IOV_MAX;
	struct iovec iov[IOV_MAX + 1];

	for (i = 0; i <= IOV_MAX; i++)
		iov[i] = (struct iovec){ large + i, i < len };
	fill(large, len, 10);
	EXPECT_EQ(-EINVAL, result(writev(self->fd, iov, IOV_MAX + 1)));
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(len, result(writev(self->fd, iov, IOV_MAX)));
	memset(large, JUNK, len);
	EXPECT_EQ(-EINVAL, result(readv(self->fd, iov, IOV_MAX + 1)));
	EXPECT_EQ(len, result(readv(self->fd, iov, IOV_MAX)));
	EXPECT_TRUE(is_filled(large, len, 10));
}

TEST_F(queue, segments_too_long)
{
	struct iovec iov[] = { { large, self->msg_size }, { large, 1 } };

	EXPECT_EQ(-EMSGSIZE, result(writev(self->fd, iov, 2)));
	EXPECT_EQ(0, depth(self->fd));
}

TEST_F(queue, segments_too_short)
{
	struct iovec iov[] = { { large, 3 }, { large + 3, 1 } };

	ASSERT_EQ(5, put_msg(self->fd, 5, 11));
	EXPECT_EQ(-EMSGSIZE, result(readv(self->fd, iov, 2)));
	EXPECT_EQ(5, take_msg(self->fd, 5, 11));
}

/* The kernel answers these itself. */
TEST_F(queue, segments_of_nothing)
{
	struct iovec iov[] = { { large, 0 }, { large, 0 } };

	EXPECT_EQ(0, result(writev(self->fd, iov, 2)));
	EXPECT_EQ(0, result(writev(self->fd, iov, 0)));
	EXPECT_EQ(0, result(readv(self->fd, iov, 2)));
	EXPECT_EQ(0, depth(self->fd));
}

TEST_F(queue, no_position)
{
	struct iovec iov = { large, 1 };

	ASSERT_EQ(1, put_msg(self->fd, 1, 12));
	EXPECT_EQ(-ESPIPE, result(lseek(self->fd, 0, SEEK_SET)));
	EXPECT_EQ(-ESPIPE, result(lseek(self->fd, 0, SEEK_CUR)));
	EXPECT_EQ(-ESPIPE, result(lseek(self->fd, 0, SEEK_END)));
	EXPECT_EQ(-ESPIPE, result(pread(self->fd, large, 1, 0)));
	EXPECT_EQ(-ESPIPE, result(pwrite(self->fd, large, 1, 0)));
	EXPECT_EQ(-ESPIPE, result(preadv(self->fd, &iov, 1, 0)));
	EXPECT_EQ(-ESPIPE, result(pwritev(self->fd, &iov, 1, 0)));
	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(1, take_msg(self->fd, 1, 12));
}

TEST_F(queue, no_splice)
{
	int fds[2], file;

	ASSERT_EQ(0, pipe(fds));
	file = memfd_create("file", 0);
	ASSERT_LE(0, file);
	ASSERT_EQ(9, write(file, "some text", 9));
	ASSERT_EQ(0, lseek(file, 0, SEEK_SET));
	ASSERT_EQ(9, write(fds[1], "some text", 9));
	ASSERT_EQ(1, put_msg(self->fd, 1, 13));

	EXPECT_EQ(-EINVAL, result(splice(self->fd, NULL, fds[1], NULL, 9, 0)));
	EXPECT_EQ(-EINVAL, result(splice(fds[0], NULL, self->fd, NULL, 9, 0)));
	EXPECT_EQ(-EINVAL, result(sendfile(self->fd, file, NULL, 9)));
	EXPECT_EQ(-EINVAL, result(sendfile(fds[1], self->fd, NULL, 9)));

	EXPECT_EQ(1, depth(self->fd));
	EXPECT_EQ(1, take_msg(self->fd, 1, 13));
	close(file);
	close(fds[0]);
	close(fds[1]);
}

TEST_F(queue, write_only)
{
	int fd = open(DEVICE, O_WRONLY | O_NONBLOCK);

	ASSERT_LE(0, fd);
	EXPECT_EQ(3, put_msg(fd, 3, 14));
	EXPECT_EQ(-EBADF, take(fd, large, 3));
	EXPECT_EQ(3, take_msg(self->fd, 3, 14));
	close(fd);
}

TEST_F(queue, read_only)
{
	int fd = open(DEVICE, O_RDONLY | O_NONBLOCK);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, put_msg(fd, 3, 15));
	EXPECT_EQ(-EAGAIN, take(fd, large, 3));
	EXPECT_EQ(3, put_msg(self->fd, 3, 15));
	EXPECT_EQ(3, take_msg(fd, 3, 15));
	close(fd);
}

TEST_HARNESS_MAIN
