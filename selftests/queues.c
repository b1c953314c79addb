// SPDX-License-Identifier: GPL-2.0-only
/*
 * Private queues; ATTACH; and what INFO and /proc tell.  requests.c tests requests, queuefs.c
 * queues with names, limits.c limits.
 */

#include <sys/stat.h>

#include "own_test.h"

static unsigned char large[MSG_SIZE_MAX];

/* By which one sees that something is wrong. */
TEST(health)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK), i;
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	int wait = attach(fd, O_RDWR, 0, 0);
	unsigned char buf[2][LEN];
	struct mpmcq_info info;
	struct mpmcq_msg msg;
	struct call call[2];

	ASSERT_LE(0, wait);
	ASSERT_LE(0, le);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start_call(&call[i], take, wait, buf[i], LEN));
	wait_all_asleep(call, 2, SYS_read);
	info = info_of(fd);
	EXPECT_EQ(2, info.readers_asleep);
	EXPECT_EQ(0, info.writers_asleep);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_EQ(0, info_of(fd).readers_asleep);
	ASSERT_EQ(2, put_all(fd, LEN, 0));
	fill(buf[0], LEN, 2);
	ASSERT_EQ(0, start_blocked(&call[0], put, wait, buf[0], LEN));
	EXPECT_EQ(1, info_of(fd).writers_asleep);

	ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
	info = info_of(fd);
	EXPECT_EQ(0, info.redelivered);
	EXPECT_EQ(0, info.suspected);
	EXPECT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(0, info_of(fd).suspected);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(0, info.redelivered);
	EXPECT_EQ(1, info.suspected);
	le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, info_of(fd).redelivered);
	EXPECT_EQ(1, ack(le, msg.id));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	EXPECT_EQ(0, info_of(fd).writers_asleep);
	close(le);
	close(wait);
	close(fd);
}

/* What INFO and /proc tell of a queue and of an open file. */
TEST(counters)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .max_deliveries = 2,
			    .lease_ms = 3600000, .open_flags = O_RDWR | O_NONBLOCK);
	struct mpmcq_msg msg[4];
	struct mpmcq_info info;
	int le, pk;

	ASSERT_LE(0, fd);
	info = info_of(fd);
	EXPECT_EQ(8, info.capacity);
	EXPECT_EQ(64, info.msg_size);
	EXPECT_EQ(2, info.max_deliveries);
	EXPECT_EQ(3600000, info.lease_ms);
	EXPECT_EQ(0, info.parked);
	EXPECT_EQ(0, info.retry_ms);
	EXPECT_EQ(0, info.retry_max_ms);
	EXPECT_EQ(0, info.sent);
	EXPECT_EQ(0, info.received);
	EXPECT_EQ(0, info.acked);
	EXPECT_EQ(0, info.returned);
	EXPECT_EQ(0, info.set_aside);
	EXPECT_EQ(0, info.dropped);

	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	pk = attach(fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_LE(0, pk);
	ASSERT_EQ(5, put_packed(pk, 5, LEN, 0));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 5));
	ASSERT_EQ(LEN, take_msg(fd, LEN, 0));
	ASSERT_EQ(4, take_packed(le, 4, LEN, 1, msg));
	info = info_of(fd);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(5, info.received);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(4, info.leased);
	EXPECT_EQ(3, info.free);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, reject(le, msg[2].id));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(1, info.acked);
	EXPECT_EQ(2, info.returned);
	EXPECT_EQ(1, info.set_aside);
	EXPECT_EQ(0, info.leased);
	EXPECT_EQ(1, info.dead);
	EXPECT_EQ(3, info.depth);
	EXPECT_EQ(4, info.free);
	EXPECT_EQ(0, info.reserved);

	/* The one that came back comes back once more, and is set aside. */
	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	ASSERT_EQ(LEN, take_msg(le, LEN, 4));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(3, info.returned);
	EXPECT_EQ(2, info.set_aside);
	EXPECT_EQ(2, info.dead);
	EXPECT_EQ(6, info.received);
	EXPECT_EQ(0, info.dropped);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(0, close_queue(fd));

	/* Calls that fail do not count. */
	EXPECT_EQ(-EPIPE, put_msg(fd, LEN, 5));
	EXPECT_EQ(-EMSGSIZE, take(fd, large, 1));
	info = info_of(fd);
	EXPECT_EQ(1, info.closed);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(6, info.received);
	close(pk);
	close(fd);
}

/* Each queue has a number of its own, the same for all its files. */
TEST(numbers_of_queues)
{
	int one = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	int two = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	int device = open(DEVICE, O_RDWR), more = attach(one, O_RDONLY, 0, 0);

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_LE(0, more);
	ASSERT_LE(0, device);
	EXPECT_NE(info_of(one).number, info_of(two).number);
	EXPECT_NE(info_of(one).number, info_of(device).number);
	EXPECT_EQ(info_of(one).number, info_of(more).number);
	close(more);
	close(device);
	close(two);
	close(one);
}

TEST(told_by_fdinfo)
{
	const struct {
		__u32 modes;
		const char *text;
	} modes[] = {
		{ 0, "plain" }, { PACKED, "packed" }, { LEASE, "lease" },
		{ PACKED | LEASE, "packed lease" }, { DEAD, "dead" },
		{ PACKED | DEAD, "packed dead" }, { LEASE | DEAD, "lease dead" },
		{ PACKED | LEASE | DEAD, "packed lease dead" },
		{ PACKED | META, "packed meta" }, { PACKED | LEASE | META, "packed lease meta" },
	};
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR), file;
	char number[16];
	size_t i;

	ASSERT_LE(0, fd);
	snprintf(number, sizeof(number), "%u", info_of(fd).number);
	EXPECT_STREQ("anon_inode:[mpmcq]", told_of(fd, "queue:\t"));
	EXPECT_STREQ(number, told_of(fd, "number:\t"));
	EXPECT_STREQ("4", told_of(fd, "capacity:\t"));
	EXPECT_STREQ("64", told_of(fd, "msg_size:\t"));
	EXPECT_STREQ("0", told_of(fd, "depth:\t"));
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		file = attach(fd, O_RDWR, modes[i].modes, 0);
		ASSERT_LE(0, file);
		EXPECT_STREQ("anon_inode:[mpmcq]", told_of(file, "queue:\t"));
		EXPECT_STREQ(modes[i].text, told_of(file, "modes:\t"));
		close(file);
	}
	file = attach(fd, O_RDWR, LEASE, 0);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	EXPECT_STREQ("2", told_of(fd, "depth:\t"));
	ASSERT_EQ(LEN, take_msg(file, LEN, 1));
	EXPECT_STREQ("1", told_of(fd, "depth:\t"));
	EXPECT_STREQ("1", told_of(file, "held:\t"));
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	close(file);
	close(fd);
}

TEST(told_by_info)
{
	const __u32 flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE;
	int fd = make_queue(.capacity = 4, .msg_size = 64, .flags = flags, .max_deliveries = 8,
			    .lease_ms = 60000, .open_flags = O_RDWR), le;
	struct mpmcq_info info;

	ASSERT_LE(0, fd);
	le = attach(fd, O_RDONLY, LEASE | PACKED, 3);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 3));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 2, NULL));

	ASSERT_EQ(0, query(le, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(4, info.capacity);
	EXPECT_EQ(64, info.msg_size);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(flags, info.flags);
	EXPECT_EQ(MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_LEASE | MPMCQ_FEATURE_DEAD |
		  MPMCQ_FEATURE_CLOSE | MPMCQ_FEATURE_ATTACH | MPMCQ_FEATURE_CREATE |
		  MPMCQ_FEATURE_FILES | MPMCQ_FEATURE_DROP | MPMCQ_FEATURE_DELAY |
		  MPMCQ_FEATURE_TIMEOUT | MPMCQ_FEATURE_START |
		  MPMCQ_FEATURE_PEEK | MPMCQ_FEATURE_FORWARD | MPMCQ_FEATURE_META |
		  MPMCQ_FEATURE_LEVELS, info.features);
	EXPECT_EQ(LEASE | PACKED, info.modes);
	EXPECT_EQ(0, info.closed);
	EXPECT_EQ(1, info.dead);
	EXPECT_EQ(1, info.leased);
	EXPECT_EQ(8, info.max_deliveries);
	EXPECT_EQ(60000, info.lease_ms);
	EXPECT_EQ(1, info.held);
	EXPECT_EQ(3, info.max_held);

	/* Asked again with the answer, flags and all. */
	ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &info)));
	EXPECT_EQ(flags, info.flags);
	EXPECT_EQ(0, info.modes);
	EXPECT_EQ(1, info.leased);
	EXPECT_EQ(0, info.held);
	EXPECT_EQ(0, close_queue(fd));
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(1, info.closed);
	close(le);
	close(fd);
}

/* As short as it was once, and every length from there on. */
TEST(told_by_short_info)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR);
	struct mpmcq_info whole, part;
	size_t size;
	int again;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &whole));
	for (size = MPMCQ_INFO_SIZE_VER0; size < sizeof(part); size++) {
		memset(&part, JUNK, sizeof(part));
		part.size = size;
		whole.size = size;
		/* The second call gets what the first has stored. */
		for (again = 0; again < 2; again++) {
			ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &part)));
			EXPECT_EQ(0, memcmp(&whole, &part, size));
			EXPECT_TRUE(is_junk((unsigned char *)&part + size, sizeof(part) - size));
		}
	}
	close(fd);
}

/* Queues without a name. */
TEST(private_defaults)
{
	int fd = make_queue(.open_flags = O_RDWR | O_NONBLOCK);
	struct mpmcq_info info;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(1024, info.capacity);
	EXPECT_EQ(1024, info.msg_size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.max_deliveries);
	EXPECT_EQ(0, info.lease_ms);
	EXPECT_EQ(1024, put_all(fd, LEN, 0));
	EXPECT_EQ(1024, take_all(fd));
	close(fd);
}

/* EXIST_OK and a mode are for queues with names. */
TEST(private_has_no_file)
{
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .flags = MPMCQ_EXIST_OK,
				      .open_flags = O_RDWR));
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .mode = 0600,
				      .open_flags = O_RDWR));
}

/* Descriptors are close-on-exec, and have the access and mode that was asked for. */
TEST(private_descriptors)
{
	const __u32 flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK, O_CLOEXEC };
	int fd[2], i, way;

	for (i = 0; i < (int)ARRAY_SIZE(flags); i++) {
		fd[0] = make_queue(.capacity = 2, .msg_size = 8, .open_flags = flags[i]);
		fd[1] = attach(fd[0], flags[i], 0, 0);
		for (way = 0; way < 2; way++) {
			ASSERT_LE(0, fd[way]);
			EXPECT_EQ(FD_CLOEXEC, fcntl(fd[way], F_GETFD));
			EXPECT_EQ(flags[i] & (O_ACCMODE | O_NONBLOCK),
				  fcntl(fd[way], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
			EXPECT_EQ(-ESPIPE, result(lseek(fd[way], 0, SEEK_CUR)));
		}
		close(fd[1]);
		close(fd[0]);
	}
}

/* The largest queue takes long to make in a kernel that watches. */
FIXTURE(large)
{
};

FIXTURE_SETUP(large)
{
}

FIXTURE_TEARDOWN(large)
{
}

TEST_F_TIMEOUT(large, private_sizes, 300)
{
	const struct {
		__u32 capacity, msg_size;
		bool good;
	} sizes[] = {
		{ 2, 1, true }, { 2, 65536, true }, { 4, 7, true }, { 1048576, 1, true },
		{ 1, 8, false }, { 3, 8, false }, { 6, 8, false }, { 1023, 8, false },
		{ 2097152, 1, false }, { 1U << 31, 1, false }, { UINT32_MAX, 1, false },
		{ 2, 65537, false }, { 2, 1U << 31, false }, { 2, UINT32_MAX, false },
	};
	struct mpmcq_info info;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = make_queue(.capacity = sizes[i].capacity, .msg_size = sizes[i].msg_size,
				.open_flags = O_RDWR | O_NONBLOCK);
		if (!sizes[i].good) {
			EXPECT_EQ(-EINVAL, fd) TH_LOG("capacity %u, msg_size %u",
						      sizes[i].capacity, sizes[i].msg_size);
			continue;
		}
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, query(fd, &info));
		EXPECT_EQ(sizes[i].capacity, info.capacity);
		EXPECT_EQ(sizes[i].msg_size, info.msg_size);
		EXPECT_EQ(sizes[i].msg_size, put_msg(fd, sizes[i].msg_size, i));
		EXPECT_EQ(-EMSGSIZE, put(fd, large, (size_t)sizes[i].msg_size + 1));
		EXPECT_EQ(sizes[i].msg_size, take_msg(fd, sizes[i].msg_size, i));
		close(fd);
	}
}

TEST(private_lease_ms)
{
	const struct {
		__u32 lease_ms;
		bool good;
	} times[] = {
		{ 1, true }, { 60000, true }, { INT_MAX, true }, { 1U << 31, false },
		{ UINT32_MAX, false },
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(times); i++) {
		fd = make_queue(.capacity = 2, .msg_size = 8, .lease_ms = times[i].lease_ms,
				.max_deliveries = MPMCQ_MAX_DELIVERIES_MAX, .open_flags = O_RDWR);
		if (!times[i].good) {
			EXPECT_EQ(-EINVAL, fd) TH_LOG("lease_ms %u", times[i].lease_ms);
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_EQ(times[i].lease_ms, info_of(fd).lease_ms);
		EXPECT_EQ(MPMCQ_MAX_DELIVERIES_MAX, info_of(fd).max_deliveries);
		close(fd);
	}
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR,
				      .max_deliveries = MPMCQ_MAX_DELIVERIES_MAX + 1));
}

/* By a file of whatever access; and one by another. */
TEST(private_by_any_file)
{
	const int access[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct mpmcq_create like = { .capacity = 2, .msg_size = 8, .open_flags = O_RDWR };
	int i, device, fd, inner;

	for (i = 0; i < 3; i++) {
		device = open(DEVICE, access[i]);
		fd = create(device, like);
		ASSERT_LE(0, fd);
		inner = create(fd, like);
		ASSERT_LE(0, inner);
		EXPECT_EQ(LEN, put_msg(inner, LEN, 1));
		EXPECT_EQ(0, depth(fd));
		EXPECT_EQ(LEN, take_msg(inner, LEN, 1));
		close(device);
		close(fd);
		EXPECT_EQ(LEN, put_msg(inner, LEN, 2));
		close(inner);
	}
}

/* No part of one is part of another, and new ones are empty. */
TEST(private_ones_are_apart)
{
	int i, fd[20];

	for (i = 0; i < 20; i++) {
		fd[i] = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(LEN, put_msg(fd[i], LEN, i));
	}
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(1, depth(fd[i]));
		EXPECT_EQ(LEN, take_msg(fd[i], LEN, i));
		close(fd[i]);
	}
}

TEST(private_has_no_path)
{
	int fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR), again;
	char path[64];

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = result(open(path, O_RDWR));
	EXPECT_EQ(-ENXIO, again);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
}

/* It lives in whoever has it, and nowhere else. */
TEST(private_passed_by_socket)
{
	int sock[2], fd, got;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
		_exit(put_msg(fd, LEN, 1) != LEN || send_fd(sock[1], fd) != 1);
	}
	EXPECT_EQ(0, child_end(pid));
	got = receive_fd(sock[0]);
	ASSERT_LE(0, got);
	EXPECT_EQ(LEN, take_msg(got, LEN, 1));
	close(got);
	close(sock[0]);
	close(sock[1]);
}

/* Not over an exec, unless that is asked for. */
TEST(private_is_closed_by_exec)
{
	int fds[2], fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	char number[32];
	pid_t pid;
	int keep;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(fds));
	snprintf(number, sizeof(number), "/proc/self/fd/%d", fd);
	for (keep = 0; keep < 2; keep++) {
		ASSERT_EQ(0, fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			execlp("test", "test", "-h", number, NULL);
			_exit(99);
		}
		EXPECT_EQ(!keep, child_end(pid));
	}
	close(fd);
}

TEST(attach_access)
{
	const __u32 all[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int i, j, fd[3], got;

	fd[2] = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	ASSERT_LE(0, fd[2]);
	fd[0] = attach(fd[2], O_RDONLY, 0, 0);
	fd[1] = attach(fd[2], O_WRONLY, 0, 0);
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, fd[i]);
		for (j = 0; j < 3; j++) {
			got = attach(fd[i], all[j] | O_NONBLOCK, 0, 0);
			if (i != 2 && i != j) {
				EXPECT_EQ(-EACCES, got) TH_LOG("%d by %d", j, i);
				continue;
			}
			ASSERT_LE(0, got);
			EXPECT_EQ(all[j] == O_RDONLY ? -EBADF : LEN, put_msg(got, LEN, 1));
			if (all[j] != O_RDONLY)
				EXPECT_EQ(LEN, take_msg(fd[2], LEN, 1));
			EXPECT_EQ(all[j] == O_WRONLY ? -EBADF : -EAGAIN, take(got, large, LEN));
			close(got);
		}
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* Each has its own of all that belongs to an open file. */
TEST(attach_is_another_file)
{
	int fd = make_queue(.capacity = 4, .msg_size = 8, .open_flags = O_RDWR), one, two;

	ASSERT_LE(0, fd);
	one = attach(fd, O_RDWR, LEASE, 1);
	two = attach(one, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	EXPECT_EQ(0, fcntl(one, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(O_NONBLOCK, fcntl(two, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, info_of(fd).modes);
	EXPECT_EQ(LEASE, info_of(one).modes);
	EXPECT_EQ(PACKED, info_of(two).modes);
	EXPECT_EQ(1, info_of(one).max_held);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(one, LEN, 1));
	EXPECT_EQ(0, info_of(two).held);
	EXPECT_EQ(1, info_of(two).leased);
	/* It outlives the one it was made by. */
	close(one);
	close(fd);
	EXPECT_EQ(1, take_packed(two, 1, LEN, 1, NULL));
	close(two);
}

/* To the default queue, too. */
TEST(attach_to_the_default_queue)
{
	int device = open(DEVICE, O_RDWR), fd;
	struct stat one, two;

	ASSERT_LE(0, device);
	fd = attach(device, O_RDONLY | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(info_of(device).number, info_of(fd).number);
	EXPECT_EQ(PACKED, info_of(fd).modes);
	EXPECT_EQ(0, info_of(device).modes);
	/* It is the same node, opened again. */
	ASSERT_EQ(0, fstat(device, &one));
	ASSERT_EQ(0, fstat(fd, &two));
	EXPECT_EQ(one.st_dev, two.st_dev);
	EXPECT_EQ(one.st_ino, two.st_ino);
	EXPECT_STREQ(DEVICE, told_of(fd, "queue:\t"));
	close(fd);
	close(device);
}

/* Queues and open files hold the module. */
TEST(module_in_use)
{
	const char *refcnt = "/sys/module/mpmcq/refcnt";
	int before, fd, more;

	if (access(refcnt, R_OK))
		SKIP(return, "the module cannot be unloaded here anyway");
	before = atoi(line(refcnt, ""));
	fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_LE(before + 2, atoi(line(refcnt, "")));
	close(fd);
	EXPECT_LT(before, atoi(line(refcnt, "")));
	close(more);
	EXPECT_EQ(before, atoi(line(refcnt, "")));
}

TEST_HARNESS_MAIN
