// SPDX-License-Identifier: GPL-2.0-only
/*
 * Saving and restoring a queue: each message is where it was, and as it was
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdint.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "test.h"

#define LEASE	(MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE)
#define DIR_	"/tmp/lib-test"
#define SAVED	DIR_ "/saved"
#define OWNER	1234

/* All that peek tells of a queue, as text; delays in minutes, because time goes on. */
static void describe(int fd, char *text, size_t size)
{
	static const struct { unsigned int where, levels; } kinds[] = {
		{ MPMCQ_PEEK_DEAD, 1 }, { MPMCQ_PEEK_RETURNED, 1 }, { MPMCQ_PEEK_READY, 3 },
		{ MPMCQ_PEEK_PARKED, 1 },
	};
	char buf[SIZE], *at = text;

	*at = '\0';
	for (unsigned int i = 0; i < 4 * 3; i++) {
		struct mpmcq_peek peek = {
			.size = sizeof(peek), .where = kinds[i / 3].where, .priority = i % 3,
			.buf = (unsigned long)buf, .buf_len = sizeof(buf),
		};

		if (i % 3 >= kinds[i / 3].levels)
			continue;
		while (!mpmcq_peek_message(fd, &peek)) {
			at += snprintf(at, text + size - at, "%u:%.*s level %u, %u deliveries, ",
				       peek.where, (int)peek.len, buf, peek.msg_priority,
				       peek.deliveries);
			at += snprintf(at, text + size - at, "reason %u, %u minutes\n",
				       peek.reason, (peek.delay_ms + 30000) / 60000);
			peek.flags = peek.where == MPMCQ_PEEK_PARKED ? MPMCQ_PEEK_NEXT : 0;
			peek.seq = peek.flags ? peek.found : 0;
			peek.position += !peek.flags;
		}
	}
}

static void send_msg(int packed, const char *text, unsigned int level, unsigned int delay_ms)
{
	struct mpmcq_msg msg = { .priority = level, .delay_ms = delay_ms };
	struct iovec iov = { (void *)text, strlen(text) };

	IS(1, mpmcq_send_msgs(packed, &msg, &iov, 1));
}

/* Has @text delivered so often, each time with @flags in the end. */
static void deliver(int held, const char *text, int times, unsigned int flags, unsigned int delay)
{
	struct mpmcq_msg msg;
	char found[SIZE + 1];

	while (times--) {
		TRUE(take(held, &msg, found) > 0);
		IS(0, strcmp(found, text));
		IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK,
				       times ? MPMCQ_SETTLE_FRONT : flags, delay * !times));
	}
}

/* Fills a queue of 64 messages, 3 levels and 4 deliveries with messages of every kind. */
static void fill(int fd)
{
	int packed = attach(fd, MPMCQ_MODE_PACKED, 0), held = attach(fd, LEASE, 8);
	struct mpmcq_msg msg;
	char found[SIZE + 1];

	send_msg(packed, "too often", 2, 0);
	deliver(held, "too often", 4, MPMCQ_SETTLE_FRONT, 0);
	send_msg(packed, "rejected", 1, 0);
	deliver(held, "rejected", 2, MPMCQ_SETTLE_FRONT, 0);
	TRUE(take(held, &msg, found) > 0);
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_REJECT, 0, 0));
	send_msg(packed, "parked later", 1, 3600000);
	send_msg(packed, "parked", 0, 1800000);
	send_msg(packed, "parked too", 2, 1800000);
	send_msg(packed, "tried and parked", 0, 0);
	deliver(held, "tried and parked", 2, MPMCQ_SETTLE_DELAY, 2700000);
	send_msg(packed, "tried", 1, 0);
	deliver(held, "tried", 3, MPMCQ_SETTLE_DELAY, 0);
	send_msg(packed, "ready, level 1", 1, 0);
	send_msg(packed, "b", 2, 0);
	send_msg(packed, "returned", 2, 0);
	IS(1, take(held, &msg, found));
	TRUE(take(held, &msg, found) > 0);
	IS(2, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, 0));
	send_msg(packed, "ready, level 0", 0, 0);
	send_msg(packed, "r", 2, 0);
	send_msg(packed, "and one of many bytes, 0123456789", 2, 0);
	close(held);
	close(packed);
}

static void whole(unsigned int flags, unsigned int lease_ms)
{
	char before[4096], after[4096];
	struct mpmcq_info old, new;
	int fd, restored;
	struct stat st;

	IS(0, NAMED("lib-s", .capacity = 64, .msg_size = 40, .levels = 3, .max_deliveries = 4,
		    .retry_ms = 7, .lease_ms = lease_ms, .flags = flags, .mode = 0640));
	fd = mpmcq_open("lib-s", O_RDWR | O_NONBLOCK);
	IS(0, fchown(fd, OWNER, OWNER + 1));
	fill(fd);
	describe(fd, before, sizeof(before));
	old = info_of(fd);
	IS(13, mpmcq_save_queue(fd, SAVED, 1000, 0));
	old.closed = info_of(fd).closed;
	IS(1, old.closed);
	IS(-EEXIST, mpmcq_restore_queue(SAVED, "lib-s", 0));
	IS(0, mpmcq_remove_queue("lib-s"));
	restored = mpmcq_restore_queue(SAVED, "lib-s", 0);
	TRUE(restored >= 0);
	TRUE(fcntl(restored, F_GETFD) & FD_CLOEXEC);
	describe(restored, after, sizeof(after));
	if (strcmp(before, after))
		printf("# before:\n%s# after:\n%s", before, after);
	IS(0, strcmp(before, after));
	new = info_of(restored);
	IS(old.flags, new.flags);
	IS(old.capacity, new.capacity);
	IS(old.msg_size, new.msg_size);
	IS(old.max_deliveries, new.max_deliveries);
	IS(old.lease_ms, new.lease_ms);
	IS(old.retry_ms, new.retry_ms);
	IS(old.retry_max_ms, new.retry_max_ms);
	IS(old.levels, new.levels);
	IS(0, new.closed);
	IS(0, new.leased);
	TRUE(memcmp(old.uuid, new.uuid, sizeof(old.uuid)));
	IS(0, fstat(restored, &st));
	IS(0640, st.st_mode & 0777);
	IS(OWNER, st.st_uid);
	IS(OWNER + 1, st.st_gid);
	IS(0, stat(SAVED, &st));
	IS(0600, st.st_mode & 0777);
	close(restored);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
	IS(0, unlink(SAVED));
}

/* Messages that are due one millisecond after the other stay in that order. */
static void order_of_parked(void)
{
	char before[4096], after[4096], text[2] = "a";
	int fd = PRIVATE(.capacity = 32, .flags = MPMCQ_DELAY), packed, restored;

	packed = attach(fd, MPMCQ_MODE_PACKED, 0);
	for (; *text <= 'z'; (*text)++)
		send_msg(packed, text, 0, 1800000 + (*text - 'a') / 2);
	describe(fd, before, sizeof(before));
	IS(26, mpmcq_save_queue(fd, SAVED, 60000, 0));
	restored = mpmcq_restore_queue(SAVED, "lib-s", 0);
	describe(restored, after, sizeof(after));
	IS(0, strcmp(before, after));
	close(restored);
	close(packed);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
	IS(0, unlink(SAVED));
}

static void everything(void)
{
	mkdir(DIR_, 0700);
	whole(0, 0);
	whole(MPMCQ_STAMP, 60000);
	whole(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE, 0);
	whole(MPMCQ_START_LEASE, 0);
}

/* So many that more than one open file has to keep them. */
static void many(void)
{
	const int n = MPMCQ_MAX_HELD_MAX + 10;
	struct mpmcq_msg msg;
	char text[SIZE + 1];
	int fd = PRIVATE(.capacity = 8192), restored, restored_held;
	int held[] = { attach(fd, LEASE, MPMCQ_MAX_HELD_MAX), attach(fd, LEASE, 10) };

	for (int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "%d", i);
		TRUE(put(fd, text) > 0);
		TRUE(take(held[i / MPMCQ_MAX_HELD_MAX], &msg, text) > 0);
	}
	IS(n - 10, mpmcq_settle_all(held[0], MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, 0));
	IS(10, mpmcq_settle_all(held[1], MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, 0));
	IS(n, mpmcq_save_queue(fd, SAVED, 0, 0));
	restored = mpmcq_restore_queue(SAVED, "lib-s", 0);
	restored_held = attach(restored, LEASE, 1);
	for (int i = 0; i < n; i++) {
		char want[SIZE];

		snprintf(want, sizeof(want), "%d", i);
		TRUE(take(restored_held, &msg, text) > 0);
		IS(0, strcmp(text, want));
		IS(2, msg.deliveries);
		IS(1, mpmcq_settle_all(restored_held, MPMCQ_SETTLE_ACK, 0, 0));
	}
	close(restored_held);
	close(restored);
	close(held[0]);
	close(held[1]);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
}

static void *settle_later(void *held)
{
	usleep(100000);
	return (void *)(long)mpmcq_settle_all(*(int *)held, MPMCQ_SETTLE_ACK, 0, 0);
}

static void leases(void)
{
	int fd = PRIVATE(), held = attach(fd, LEASE, 8);
	struct mpmcq_msg msg;
	char text[SIZE + 1];
	pthread_t thread;

	IS(1, put(fd, "a"));
	IS(1, take(held, &msg, text));
	IS(1, put(fd, "b"));
	IS(-EAGAIN, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(-EAGAIN, mpmcq_save_queue(fd, SAVED, 30, 0));
	IS(0, info_of(fd).closed);
	IS(0, pthread_create(&thread, NULL, settle_later, &held));
	IS(1, mpmcq_save_queue(fd, SAVED, 60000, 0));
	pthread_join(thread, NULL);
	IS(1, info_of(fd).closed);
	IS(1, mpmcq_save_queue(fd, SAVED, -1, 0));
	close(held);
	close(fd);
}

static int count_files(void)
{
	DIR *dir = opendir(DIR_);
	int n = -2;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void errors(void)
{
	int fd = PRIVATE(), reader = PRIVATE(.open_flags = O_RDONLY);

	unlink(SAVED);
	IS(1, put(fd, "a"));
	IS(-EBADF, mpmcq_save_queue(reader, SAVED, 0, 0));
	IS(-ENOENT, mpmcq_save_queue(fd, "/nowhere/saved", 0, 0));
	IS(-EISDIR, mpmcq_save_queue(fd, DIR_, 0, 0));
	IS(-ENOTDIR, mpmcq_save_queue(fd, "/dev/full/saved", 0, 0));
	IS(0, count_files());
	IS(0, info_of(fd).closed);
	IS(-ENOENT, mpmcq_restore_queue(SAVED, "lib-s", 0));
	IS(-EBADMSG, mpmcq_restore_queue("/proc/version", "lib-s", 0));
	IS(-EBADMSG, mpmcq_restore_queue("/dev/null", "lib-s", 0));
	IS(-EISDIR, mpmcq_restore_queue("/proc", "lib-s", 0));
	IS(-ENOENT, mpmcq_open("lib-s", O_RDONLY));
	close(fd);
	close(reader);
}

/* Fills a directory of one page. */
static void full_disk(void)
{
	int fd = PRIVATE(.capacity = 256);

	own_mounts();
	IS(0, mount("none", DIR_, "tmpfs", 0, "size=4k"));
	for (int i = 0; i < 256; i++)
		IS(1, put(fd, "a"));
	IS(-ENOSPC, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(0, count_files());
	IS(0, info_of(fd).closed);
	IS(0, mount("none", DIR_, "none", MS_REMOUNT | MS_RDONLY, NULL));
	IS(-EROFS, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(0, info_of(fd).closed);
	IS(256, info_of(fd).depth);
}

static void disks(void)
{
	in_child(full_disk);
}

static mode_t type_of(const char *path)
{
	struct stat st;

	IS(0, lstat(path, &st));
	return st.st_mode & S_IFMT;
}

/* It stays what it is, and the queue stays open. */
static void other_files(void)
{
	int fd = PRIVATE();

	IS(0, mkfifo(DIR_ "/pipe", 0600));
	IS(0, symlink("/dev/null", DIR_ "/link"));
	IS(-EEXIST, mpmcq_save_queue(fd, DIR_ "/pipe", 0, 0));
	IS(-EEXIST, mpmcq_save_queue(fd, DIR_ "/link", 0, 0));
	IS(-EEXIST, mpmcq_save_queue(fd, "/dev/null", 0, 0));
	IS(S_IFIFO, type_of(DIR_ "/pipe"));
	IS(S_IFLNK, type_of(DIR_ "/link"));
	IS(S_IFCHR, type_of("/dev/null"));
	IS(2, count_files());
	IS(0, info_of(fd).closed);
	IS(0, unlink(DIR_ "/pipe"));
	IS(0, unlink(DIR_ "/link"));
	close(fd);
}

/* Each file that is cut short, or has a byte changed, is refused before a queue is made. */
static void half_files(void)
{
	int fd = PRIVATE(), file;
	char bytes[512];
	ssize_t length;

	IS(1, put(fd, "a"));
	IS(2, put(fd, "bb"));
	IS(2, mpmcq_save_queue(fd, SAVED, 0, 0));
	file = open(SAVED, O_RDWR | O_CLOEXEC);
	length = read(file, bytes, sizeof(bytes));
	TRUE(length > 0 && length < 512);
	for (ssize_t i = 0; i < length; i++) {
		bool is_version = i == 6 || i == 7;
		char changed = bytes[i] ^ 0x20;

		IS(1, pwrite(file, &changed, 1, i));
		IS(is_version ? -ENOSYS : -EBADMSG, mpmcq_restore_queue(SAVED, "lib-s", 0));
		IS(1, pwrite(file, &bytes[i], 1, i));
	}
	for (ssize_t i = length - 1; i >= 0; i--) {
		IS(0, ftruncate(file, i));
		IS(-EBADMSG, mpmcq_restore_queue(SAVED, "lib-s", 0));
	}
	IS(-ENOENT, mpmcq_open("lib-s", O_RDONLY));
	IS(length, pwrite(file, bytes, length, 0));
	close(fd);
	fd = mpmcq_restore_queue(SAVED, "lib-s", 0);
	TRUE(got(fd, "a") && got(fd, "bb"));
	close(file);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
}

/**
 * struct stuck - a reader whose buffer is a page that is not there yet
 * @fd: the queue
 * @page: the page
 * @faults: tells that it waits for the page, and brings it
 */
struct stuck {
	int fd;
	void *page;
	int faults;
};

static void *read_into_page(void *arg)
{
	struct stuck *s = arg;

	return (void *)(long)mpmcq_receive(s->fd, s->page, 8);
}

static void make_page(struct stuck *s)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	s->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	s->faults = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	TRUE(s->faults >= 0);
	IS(0, ioctl(s->faults, UFFDIO_API, &api));
	range.range.start = (unsigned long)s->page;
	range.range.len = 4096;
	IS(0, ioctl(s->faults, UFFDIO_REGISTER, &range));
}

/* A message that a read has in hand is waited for: it may come back, or not. */
static void message_in_hand(void)
{
	struct stuck s = { .fd = PRIVATE() };
	struct uffdio_zeropage zero = { .range.len = 4096 };
	struct pollfd fault;
	pthread_t thread;
	void *length;

	mkdir(DIR_, 0700);
	make_page(&s);
	fault = (struct pollfd){ .fd = s.faults, .events = POLLIN };
	IS(1, put(s.fd, "a"));
	IS(1, put(s.fd, "b"));
	IS(0, pthread_create(&thread, NULL, read_into_page, &s));
	IS(1, poll(&fault, 1, 60000));
	IS(POLLIN, fault.revents);
	IS(0, info_of(s.fd).leased);
	IS(-EAGAIN, mpmcq_save_queue(s.fd, SAVED, 50, 0));
	IS(0, info_of(s.fd).closed);
	zero.range.start = (unsigned long)s.page;
	IS(0, ioctl(s.faults, UFFDIO_ZEROPAGE, &zero));
	pthread_join(thread, &length);
	IS(1, (long)length);
	IS(1, mpmcq_save_queue(s.fd, SAVED, 50, 0));
	munmap(s.page, 4096);
	close(s.faults);
	close(s.fd);
	unlink(SAVED);
	IS(0, rmdir(DIR_));
}

static void flags(void)
{
	int fd = PRIVATE();

	IS(-EINVAL, mpmcq_save_queue(fd, SAVED, 0, 1));
	IS(0, info_of(fd).closed);
	IS(-EINVAL, mpmcq_restore_queue(SAVED, "lib-s", 1));
	close(fd);
}

/* Makes the sum at the end of a file that of its bytes. */
static void make_sum(unsigned char *bytes, size_t length)
{
	uint64_t sum = 0;

	/* The last record, of 32 bytes, has it in its last 8. */
	for (size_t i = 0; i < length - 32; i++)
		sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
	memcpy(bytes + length - 8, &sum, sizeof(sum));
}

/* A file whose sum is right cannot have the messages sent to a queue that is there. */
static void hostile_file(void)
{
	const uint32_t flags = MPMCQ_STAMP | MPMCQ_EXIST_OK;
	int fd = PRIVATE(.flags = MPMCQ_STAMP), file;
	unsigned char bytes[512];
	struct stat before, after;
	ssize_t length;

	IS(1, put(fd, "a"));
	IS(1, mpmcq_save_queue(fd, SAVED, 0, 0));
	file = open(SAVED, O_RDWR | O_CLOEXEC);
	length = read(file, bytes, sizeof(bytes));
	make_sum(bytes, length);
	IS(length, pwrite(file, bytes, length, 0));
	IS(0, NAMED("lib-s", .flags = MPMCQ_STAMP));
	IS(0, stat("/dev/mpmcqfs/lib-s", &before));
	IS(-EEXIST, mpmcq_restore_queue(SAVED, "lib-s", 0));
	memcpy(bytes + 8, &flags, sizeof(flags));
	make_sum(bytes, length);
	IS(length, pwrite(file, bytes, length, 0));
	IS(-EBADMSG, mpmcq_restore_queue(SAVED, "lib-s", 0));
	IS(0, stat("/dev/mpmcqfs/lib-s", &after));
	IS(before.st_ino, after.st_ino);
	IS(0, mpmcq_remove_queue("lib-s"));
	close(file);
	close(fd);
}

static volatile bool restored;

/* Takes what there is in the queue that is being restored. */
static void *read_half_queue(void *arg)
{
	char buf[SIZE];
	int fd = -1;

	(void)arg;
	while (!restored) {
		if (fd < 0)
			fd = mpmcq_open("lib-s", O_RDONLY | O_NONBLOCK);
		else
			mpmcq_receive(fd, buf, sizeof(buf));
	}
	close(fd);
	return NULL;
}

/* Another program reads before the queue is complete. */
static void early_reader(void)
{
	const int n = 2000;
	int fd = PRIVATE(.capacity = 2048), held = attach(fd, LEASE, n);
	struct mpmcq_msg msg;
	char text[SIZE + 1];
	pthread_t thread;
	struct stat st;

	for (int i = 0; i < n; i++) {
		IS(1, put(fd, "a"));
		IS(1, take(held, &msg, text));
	}
	IS(n, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK, 0, 0));
	IS(n, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(0, pthread_create(&thread, NULL, read_half_queue, NULL));
	IS(-EBUSY, mpmcq_restore_queue(SAVED, "lib-s", 0));
	restored = true;
	pthread_join(thread, NULL);
	IS(-1, stat("/dev/mpmcqfs/lib-s", &st));
	close(held);
	close(fd);
}

/* Whatever is missing, a restore that fails leaves no queue. */
static void few_descriptors(void)
{
	int fd = PRIVATE(), held = attach(fd, LEASE, 8), ret = -EMFILE;
	struct rlimit limit, less;
	struct mpmcq_msg msg;
	struct stat st;
	char text[SIZE + 1];

	IS(1, put(fd, "a"));
	IS(1, take(held, &msg, text));
	IS(-EDEADLK, mpmcq_save_queue(held, SAVED, -1, 0));
	IS(1, mpmcq_settle_all(held, MPMCQ_SETTLE_NACK, 0, 0));
	IS(1, mpmcq_save_queue(fd, SAVED, 0, 0));
	IS(0, getrlimit(RLIMIT_NOFILE, &limit));
	less = limit;
	/* The first number that is not open, and one more each time. */
	less.rlim_cur = held + 1;
	for (; ret == -EMFILE && less.rlim_cur < limit.rlim_cur; less.rlim_cur++) {
		IS(0, setrlimit(RLIMIT_NOFILE, &less));
		ret = mpmcq_restore_queue(SAVED, "lib-s", 0);
		if (ret < 0)
			IS(-1, stat("/dev/mpmcqfs/lib-s", &st));
	}
	IS(0, setrlimit(RLIMIT_NOFILE, &limit));
	TRUE(less.rlim_cur > (rlim_t)held + 5);
	TRUE(ret >= 0);
	close(ret);
	close(held);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
}

static volatile bool is_enough;

static void *keep_reading(void *fd)
{
	char buf[SIZE];

	while (!is_enough) {
		mpmcq_receive(*(int *)fd, buf, sizeof(buf));
		usleep(1000);
	}
	return NULL;
}

/* A reader that takes messages until saving has no more time to try. */
static void restless_reader(void)
{
	int fd = PRIVATE(.capacity = 1024), ret;
	time_t end = time(NULL) + 60;
	pthread_t thread;

	IS(0, pthread_create(&thread, NULL, keep_reading, &fd));
	do {
		while (put(fd, "a") == 1)
			;
		ret = mpmcq_save_queue(fd, SAVED, 0, 0);
		if (ret >= 0)
			IS(0, mpmcq_reopen_queue(fd));
		else
			TRUE(ret == -EBUSY || ret == -EAGAIN);
		IS(0, info_of(fd).closed);
	} while (ret != -EBUSY && time(NULL) < end);
	is_enough = true;
	pthread_join(thread, NULL);
	IS(-EBUSY, ret);
	close(fd);
}

#define TAKEN	300

static void *read_some(void *arg)
{
	int fd = *(int *)arg;
	char buf[SIZE];

	for (int i = 0; i < TAKEN; i++)
		IS(1, mpmcq_receive(fd, buf, sizeof(buf)));
	return NULL;
}

/* A reader that takes messages meanwhile: the file has what the queue had at one moment. */
static void readers(void)
{
	int fd = PRIVATE(.capacity = 1024), saved;
	pthread_t thread;

	for (int i = 0; i < 1024; i++)
		IS(1, put(fd, "a"));
	IS(0, pthread_create(&thread, NULL, read_some, &fd));
	saved = mpmcq_save_queue(fd, SAVED, 60000, 0);
	pthread_join(thread, NULL);
	TRUE(saved >= 1024 - TAKEN && saved <= 1024);
	IS(1024 - TAKEN, info_of(fd).depth);
	close(fd);
	fd = mpmcq_restore_queue(SAVED, "lib-s", 0);
	IS(saved, info_of(fd).depth);
	close(fd);
	IS(0, mpmcq_remove_queue("lib-s"));
	unlink(SAVED);
	IS(0, rmdir(DIR_));
}

const struct test save_tests[] = {
	{ "a queue is restored as it was saved", everything },
	{ "parked messages keep their order", order_of_parked },
	{ "more messages than one open file may keep", many },
	{ "saving waits for leases", leases },
	{ "errors leave the queue open, and no file", errors },
	{ "what is no regular file is not replaced by a saved queue", other_files },
	{ "a file that is not whole makes no queue", half_files },
	{ "a file with a right sum and wrong flags", hostile_file },
	{ "a restore that fails leaves no queue", few_descriptors },
	{ "another reader during a restore", early_reader },
	{ "flags are refused", flags },
	{ "a full disk, and one that cannot be written", disks },
	{ "a reader that does not stop", restless_reader },
	{ "readers meanwhile", readers },
	{ }
};

/* Apart, because valgrind has no userfaultfd(2). */
const struct test stuck_tests[] = {
	{ "a message in hand is waited for", message_in_hand },
	{ }
};
