// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files of the default queue: shared by fork, dup, threads and sockets, many at once,
 * closed while in use; what they and sysfs tell of the queue; and which users may close it.
 */

#include <dirent.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "mpmcq_test.h"
#include "test_util.h"

static unsigned char large[MSG_SIZE_MAX];

TEST_F(queue, fork_shares)
{
	int status;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(put_msg(self->fd, 5, 1) != 5);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(5, take_msg(self->nb, 5, 1));
}

/* O_NONBLOCK belongs to the open file, so it is set for the duplicate too. */
TEST_F(queue, dup_shares)
{
	int twin = dup(self->fd);

	ASSERT_LE(0, twin);
	EXPECT_EQ(5, put_msg(twin, 5, 2));
	EXPECT_EQ(5, take_msg(self->fd, 5, 2));
	ASSERT_EQ(0, fcntl(self->fd, F_SETFL, O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, take(twin, large, 5));
	close(self->fd);
	EXPECT_EQ(5, put_msg(twin, 5, 3));
	self->fd = twin;
	EXPECT_EQ(5, take_msg(self->fd, 5, 3));
}

/* A file that one process opened and sent away works for who gets it. */
TEST_F(queue, passed_by_socket)
{
	int sock[2], status, fd;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(send_fd(sock[1], open(DEVICE, O_WRONLY)) != 1);
	fd = receive_fd(sock[0]);
	ASSERT_LE(0, fd);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(5, put_msg(fd, 5, 4));
	EXPECT_EQ(-EBADF, take(fd, large, 5));
	EXPECT_EQ(5, take_msg(self->fd, 5, 4));
	close(fd);
	close(sock[0]);
	close(sock[1]);
}

/* Many threads write and read by one descriptor: each message arrives once. */
#define THREADS		4
#define PER_THREAD	2000

struct shared {
	int fd;
	int next;
	unsigned char seen[THREADS * PER_THREAD];
};

static void *write_some(void *arg)
{
	struct shared *s = arg;
	int i, number;

	for (i = 0; i < PER_THREAD; i++) {
		number = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
		if (put(s->fd, &number, sizeof(number)) != sizeof(number))
			return "a write failed";
	}
	return NULL;
}

static void *read_some(void *arg)
{
	struct shared *s = arg;
	int i, number;

	for (i = 0; i < PER_THREAD; i++) {
		if (take(s->fd, &number, sizeof(number)) != sizeof(number))
			return "a read failed";
		if (number < 0 || number >= THREADS * PER_THREAD)
			return "a message was garbled";
		__atomic_add_fetch(&s->seen[number], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F_TIMEOUT(queue, threads_share, 60)
{
	pthread_t thread[2 * THREADS];
	static struct shared s;
	void *failure;
	int i;

	s.fd = self->fd;
	for (i = 0; i < 2 * THREADS; i++)
		ASSERT_EQ(0, pthread_create(&thread[i], NULL, i % 2 ? write_some : read_some, &s));
	for (i = 0; i < 2 * THREADS; i++) {
		ASSERT_EQ(0, pthread_join(thread[i], &failure));
		EXPECT_EQ(NULL, failure) TH_LOG("%s", (char *)failure);
	}
	for (i = 0; i < THREADS * PER_THREAD; i++)
		EXPECT_EQ(1, s.seen[i]);
}

TEST_F(queue, thousand_open)
{
	struct rlimit limit;
	int i, fd[1000];

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_max < 1100)
		SKIP(return, "only %ld files allowed", (long)limit.rlim_max);
	for (i = 0; i < 1000; i++) {
		fd[i] = open(DEVICE, O_RDWR | O_NONBLOCK);
		ASSERT_LE(0, fd[i]);
	}
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(5, put_msg(fd[i], 5, i));
		ASSERT_EQ(5, take_msg(fd[999 - i], 5, i));
	}
	for (i = 0; i < 1000; i++)
		ASSERT_EQ(0, close(fd[i]));
}

/* The read that is under way keeps the file, and ends when a message comes. */
TEST_F(queue, close_while_reading)
{
	int fd = open(DEVICE, O_RDONLY);
	struct call call;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, start_blocked(&call, take, fd, large, 5));
	ASSERT_EQ(0, close(fd));
	wait_asleep(call.tid, SYS_read);
	EXPECT_EQ(5, put_msg(self->fd, 5, 5));
	EXPECT_EQ(5, finish_call(&call));
	EXPECT_TRUE(is_filled(large, 5, 5));
	EXPECT_EQ(-EBADF, take(fd, large, 5));
}

TEST_F(queue, messages_outlive_files)
{
	int fd = open(DEVICE, O_WRONLY);

	ASSERT_LE(0, fd);
	ASSERT_EQ(5, put_msg(fd, 5, 6));
	close(fd);
	close(self->fd);
	close(self->nb);
	self->fd = open(DEVICE, O_RDWR);
	self->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	EXPECT_EQ(5, take_msg(self->nb, 5, 6));
}

TEST_F(queue, path_only)
{
	int fd = open(DEVICE, O_PATH);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, put_msg(fd, 5, 7));
	EXPECT_EQ(-EBADF, take(fd, large, 5));
	EXPECT_EQ(-EBADF, next_len(fd));
	close(fd);
}

TEST_F(queue, no_mmap)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, getpagesize(), PROT_READ, MAP_SHARED, self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

TEST_F(queue, fdinfo)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", self->fd);
	EXPECT_STREQ(DEVICE, line(path, "queue:\t"));
	EXPECT_EQ(self->capacity, atoi(line(path, "capacity:\t")));
	EXPECT_EQ(self->msg_size, atoi(line(path, "msg_size:\t")));
	EXPECT_STREQ("0", line(path, "depth:\t"));
	ASSERT_EQ(5, put_msg(self->fd, 5, 8));
	EXPECT_STREQ("1", line(path, "depth:\t"));
	EXPECT_EQ(5, take_msg(self->fd, 5, 8));
}

TEST_F(queue, sysfs)
{
	EXPECT_EQ(self->capacity, atoi(line("/sys/class/mpmcq/mpmcq/capacity", "")));
	EXPECT_EQ(self->msg_size, atoi(line("/sys/class/mpmcq/mpmcq/msg_size", "")));
	EXPECT_STREQ("0", line("/sys/class/mpmcq/mpmcq/depth", ""));
	ASSERT_EQ(self->capacity, put_all(self->nb, 1, 0));
	EXPECT_EQ(self->capacity, atoi(line("/sys/class/mpmcq/mpmcq/depth", "")));
	EXPECT_EQ(self->capacity, take_all(self->nb));
	EXPECT_EQ(self->capacity, atoi(line("/sys/module/mpmcq/parameters/capacity", "")));
	EXPECT_EQ(self->msg_size, atoi(line("/sys/module/mpmcq/parameters/msg_size", "")));
}

/* sysfs and INFO tell the same. */
TEST_F(queue, sysfs_and_info)
{
	struct mpmcq_info info;

	ASSERT_EQ(5, put_msg(self->fd, 5, 1));
	ASSERT_EQ(5, put_msg(self->fd, 5, 2));
	ASSERT_EQ(5, take_msg(self->fd, 5, 1));
	ASSERT_EQ(0, query(self->fd, &info));
	EXPECT_LE(2, info.sent);
	EXPECT_LE(1, info.received);
#define EXPECT_SAME(name) \
	EXPECT_EQ(info.name, strtoull(line("/sys/class/mpmcq/mpmcq/" #name, ""), NULL, 10))
	EXPECT_SAME(number);
	EXPECT_SAME(max_deliveries);
	EXPECT_SAME(lease_ms);
	EXPECT_SAME(depth);
	EXPECT_SAME(dead);
	EXPECT_SAME(leased);
	EXPECT_SAME(closed);
	EXPECT_SAME(sent);
	EXPECT_SAME(received);
	EXPECT_SAME(acked);
	EXPECT_SAME(returned);
	EXPECT_SAME(set_aside);
	EXPECT_SAME(dropped);
	EXPECT_EQ(5, take_msg(self->fd, 5, 2));
}

static int entries_of(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	if (!dir)
		return -errno;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

/* sysfs shows the default queue only. */
TEST_F(queue, sysfs_has_one)
{
	struct mpmcq_create like = {
		.size = sizeof(like), .capacity = 2, .msg_size = 8, .open_flags = O_RDWR,
	};
	int private = result(ioctl(self->fd, MPMCQ_IOC_CREATE, &like));

	ASSERT_LE(0, private);
	EXPECT_EQ(1, entries_of("/sys/class/mpmcq"));
	close(private);
}

TEST_F(queue, node)
{
	struct stat st;
	char dev[32];

	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	EXPECT_EQ(0, minor(st.st_rdev));
	snprintf(dev, sizeof(dev), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	EXPECT_STREQ(dev, line("/sys/class/mpmcq/mpmcq/dev", ""));
}

/* O_DIRECT is refused. */
TEST_F(queue, no_direct_io)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++)
		EXPECT_EQ(-EINVAL, result(open(DEVICE, accesses[i] | O_DIRECT)));
	EXPECT_EQ(-EINVAL, result(fcntl(self->fd, F_SETFL, O_DIRECT)));
	EXPECT_EQ(5, put_msg(self->fd, 5, 1));
	EXPECT_EQ(5, take_msg(self->fd, 5, 1));
}

/* An open file holds the module. */
TEST_F(queue, module_in_use)
{
	const char *refcnt = "/sys/module/mpmcq/refcnt";
	int before, fd;

	if (access(refcnt, R_OK))
		SKIP(return, "the module cannot be unloaded here anyway");
	before = atoi(line(refcnt, ""));
	EXPECT_LT(0, before);
	fd = open(DEVICE, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_LT(before, atoi(line(refcnt, "")));
	close(fd);
	EXPECT_EQ(before, atoi(line(refcnt, "")));
}

TEST_F(queue, ioctl_info)
{
	struct mpmcq_info info;

	ASSERT_EQ(5, put_msg(self->fd, 5, 9));
	ASSERT_EQ(0, query(self->fd, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_LE(MPMCQ_VERSION_CODE(0, 1, 0), info.version);
	EXPECT_GT(MPMCQ_VERSION_CODE(100, 0, 0), info.version);
	EXPECT_EQ(self->capacity, (int)info.capacity);
	EXPECT_EQ(self->msg_size, (int)info.msg_size);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(MPMCQ_MAX_DELIVERIES_DEFAULT, info.max_deliveries);
	EXPECT_EQ(atoi(line("/sys/module/mpmcq/parameters/lease_ms", "")), (int)info.lease_ms);
	EXPECT_EQ(0, info.parked);
	EXPECT_EQ(0, info.retry_ms);
	EXPECT_EQ(0, info.retry_max_ms);
	EXPECT_EQ(5, take_msg(self->fd, 5, 9));
}

TEST_F(queue, ioctl_by_access_mode)
{
	int reader = open(DEVICE, O_RDONLY);
	int writer = open(DEVICE, O_WRONLY);

	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	EXPECT_EQ(0, depth(reader));
	EXPECT_EQ(0, depth(writer));
	EXPECT_EQ(0, next_len(reader));
	EXPECT_EQ(-EBADF, next_len(writer));
	close(reader);
	close(writer);
}

/* The struct as an older and as a newer program may know it, at the end of a page. */
static struct mpmcq_info *info_at_end(unsigned char *page, int size)
{
	struct mpmcq_info *info = (void *)(page + getpagesize() - size);

	memset(page, JUNK, getpagesize());
	info->size = size;
	if (size >= (int)sizeof(*info))
		memset(info + 1, 0, size - sizeof(*info));
	return info;
}

TEST_F(queue, ioctl_info_sizes)
{
	int size, page = getpagesize();
	unsigned char *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mpmcq_info *info;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	for (size = 4; size < MPMCQ_INFO_SIZE_VER0; size += 4) {
		info = info_at_end(mem, size);
		EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_INFO, info)));
		EXPECT_EQ(size, (int)info->size);
		EXPECT_TRUE(is_junk(&info->version, size - 4));
	}
	for (; size <= page; size += 4) {
		info = info_at_end(mem, size);
		ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_INFO, info)))
			TH_LOG("size %d", size);
		ASSERT_EQ(self->capacity, (int)info->capacity);
		ASSERT_EQ(size, (int)info->size);
		/* The same again: nothing of the first answer counts as a question. */
		ASSERT_EQ(0, result(ioctl(self->fd, MPMCQ_IOC_INFO, info)));
		ASSERT_EQ(size, (int)info->size);
		ASSERT_TRUE(is_junk(mem, page - size));
	}
	munmap(mem, 2 * page);
}

TEST_F(queue, ioctl_info_refused)
{
	struct {
		struct mpmcq_info info;
		unsigned char tail[8];
	} more;
	size_t i;

	memset(&more, 0, sizeof(more));
	more.info.size = 0;
	EXPECT_EQ(-EINVAL, result(ioctl(self->fd, MPMCQ_IOC_INFO, &more)));
	more.info.size = getpagesize() + 1;
	EXPECT_EQ(-E2BIG, result(ioctl(self->fd, MPMCQ_IOC_INFO, &more)));
	more.info.size = UINT32_MAX;
	EXPECT_EQ(-E2BIG, result(ioctl(self->fd, MPMCQ_IOC_INFO, &more)));

	for (i = 0; i < sizeof(more.tail); i++) {
		memset(more.tail, 0, sizeof(more.tail));
		more.tail[i] = 1;
		more.info.size = sizeof(more);
		EXPECT_EQ(-E2BIG, result(ioctl(self->fd, MPMCQ_IOC_INFO, &more)));
	}
	EXPECT_EQ(0, more.info.capacity);
}

TEST_F(queue, ioctl_bad_pointers)
{
	int page = getpagesize();
	unsigned char *mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mpmcq_info *info;
	int before;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	ASSERT_EQ(5, put_msg(self->fd, 5, 10));
	for (before = 0; before < (int)sizeof(*info); before += 4) {
		info = (void *)(mem + page - before);
		if (before)
			info->size = sizeof(*info);
		EXPECT_EQ(-EFAULT, result(ioctl(self->fd, MPMCQ_IOC_INFO, info)));
	}
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, MPMCQ_IOC_INFO, NULL)));
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, MPMCQ_IOC_INFO, -1UL)));
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, FIONREAD, mem + page)));
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, FIONREAD, mem + page - 3)));
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, FIONREAD, NULL)));

	/* What is asked for can be read there, but the answer not written. */
	info_at_end(mem, sizeof(*info));
	info = (void *)(mem + page - sizeof(*info));
	ASSERT_EQ(0, mprotect(mem, page, PROT_READ));
	EXPECT_EQ(-EFAULT, result(ioctl(self->fd, MPMCQ_IOC_INFO, info)));
	EXPECT_EQ(5, take_msg(self->fd, 5, 10));
	munmap(mem, 2 * page);
}

TEST_F(queue, ioctl_unknown)
{
	unsigned int nr;

	for (nr = _IOC_NR(MPMCQ_IOC_PURGE) + 1; nr < 256; nr++)
		EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IOWR(MPMCQ_IOC_MAGIC, nr,
								struct mpmcq_info), large)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IO(MPMCQ_IOC_MAGIC, 0), large)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, 0x5401 /* TCGETS */, large)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, 0, NULL)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, UINT32_MAX, NULL)));
}

static int close_queue(int fd)
{
	return result(ioctl(fd, MPMCQ_IOC_CLOSE, 0));
}

static int reopen_queue(int fd)
{
	return result(ioctl(fd, MPMCQ_IOC_REOPEN, 0));
}

static int closed(int fd)
{
	struct mpmcq_info info;
	int ret = query(fd, &info);

	return ret < 0 ? ret : (int)info.closed;
}

/* Drops CAP_SYS_ADMIN for good. */
static int lose_sys_admin(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].effective &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
	data[CAP_TO_INDEX(CAP_SYS_ADMIN)].permitted &= ~CAP_TO_MASK(CAP_SYS_ADMIN);
	return result(syscall(SYS_capset, &header, data));
}

enum who {
	USER,		/* another user, who was handed the open file */
	WEAK_ROOT,	/* user 0 without the capability */
	NAMESPACE_ROOT,	/* with the capability in a user namespace, which counts for nothing */
};

#define NO_NAMESPACE	77	/* exit status: users may have none here */

/* Returns 1 if @call fails with EPERM in a child that is @who, and has no effect. */
static int is_refused(int fd, enum who who, int (*call)(int fd))
{
	int status, was = closed(fd);
	pid_t pid = fork();

	if (!pid) {
		if (who == WEAK_ROOT ? lose_sys_admin() : setresuid(1000, 1000, 1000))
			_exit(2);
		if (who == NAMESPACE_ROOT && unshare(CLONE_NEWUSER))
			_exit(NO_NAMESPACE);
		_exit(call(fd) == -EPERM && closed(fd) == was);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return WEXITSTATUS(status);
}

/* All users share the default queue, so write access is not enough to close it. */
TEST_F(queue, closed_by_whom_it_may_not)
{
	struct mpmcq_attach like = { .size = sizeof(like), .open_flags = O_RDWR };
	int more = result(ioctl(self->fd, MPMCQ_IOC_ATTACH, &like));

	ASSERT_LE(0, more);
	if (geteuid())
		SKIP(return, "only root can be several users");
	EXPECT_EQ(1, is_refused(self->fd, USER, close_queue));
	EXPECT_EQ(1, is_refused(self->fd, USER, reopen_queue));
	EXPECT_EQ(1, is_refused(more, USER, close_queue));
	close(more);
	EXPECT_EQ(1, is_refused(self->fd, WEAK_ROOT, close_queue));
	EXPECT_EQ(1, is_refused(self->fd, WEAK_ROOT, reopen_queue));
	EXPECT_EQ(0, closed(self->fd));
	EXPECT_EQ(5, put_msg(self->fd, 5, 1));
	EXPECT_EQ(5, take_msg(self->fd, 5, 1));
}

TEST_F(queue, closed_by_root_of_a_namespace)
{
	int ret;

	if (geteuid())
		SKIP(return, "only root can be several users");
	ret = is_refused(self->fd, NAMESPACE_ROOT, close_queue);
	if (ret == NO_NAMESPACE)
		SKIP(return, "users may have no user namespace here");
	EXPECT_EQ(1, ret);
	EXPECT_EQ(1, is_refused(self->fd, NAMESPACE_ROOT, reopen_queue));
}

/* CAP_SYS_ADMIN and write access are. */
TEST_F(queue, closed_by_the_administrator)
{
	int reader = open(DEVICE, O_RDONLY);

	ASSERT_LE(0, reader);
	if (geteuid())
		SKIP(return, "only root is the administrator");
	EXPECT_EQ(-EBADF, close_queue(reader));
	EXPECT_EQ(0, closed(self->fd));
	EXPECT_EQ(5, put_msg(self->fd, 5, 1));
	EXPECT_EQ(0, close_queue(self->fd));
	EXPECT_EQ(1, closed(reader));
	EXPECT_EQ(-EPIPE, put_msg(self->fd, 5, 2));
	EXPECT_EQ(-EBADF, reopen_queue(reader));
	EXPECT_EQ(1, is_refused(self->fd, USER, reopen_queue));
	EXPECT_EQ(1, is_refused(self->fd, WEAK_ROOT, reopen_queue));
	EXPECT_EQ(5, take_msg(self->fd, 5, 1));
	EXPECT_EQ(0, take(self->fd, large, 5));
	EXPECT_EQ(0, reopen_queue(self->fd));
	EXPECT_EQ(0, closed(reader));
	EXPECT_EQ(5, put_msg(self->fd, 5, 3));
	EXPECT_EQ(5, take_msg(self->fd, 5, 3));
	close(reader);
}

TEST_F(queue, ioctl_of_32_bit_caller)
{
	int page = getpagesize();
	unsigned char *mem = map32(2 * page);
	struct mpmcq_info *info = (void *)mem;
	unsigned int at = (unsigned long)mem;
	int *len = (void *)mem;

	ASSERT_NE(MAP_FAILED, mem);
	if (!has_call32(self->fd))
		SKIP(return, "no 32-bit system calls here");
	ASSERT_EQ(at, (unsigned long)mem);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_NONE));
	ASSERT_EQ(5, put_msg(self->fd, 5, 11));

	memset(info, JUNK, sizeof(*info));
	info->size = sizeof(*info);
	EXPECT_EQ(0, ioctl32(self->fd, MPMCQ_IOC_INFO, at));
	EXPECT_EQ(sizeof(*info), info->size);
	EXPECT_EQ(self->capacity, (int)info->capacity);
	EXPECT_EQ(self->msg_size, (int)info->msg_size);
	EXPECT_EQ(1, info->depth);

	info->size = MPMCQ_INFO_SIZE_VER0 - 1;
	EXPECT_EQ(-EINVAL, ioctl32(self->fd, MPMCQ_IOC_INFO, at));
	info->size = page + 1;
	EXPECT_EQ(-E2BIG, ioctl32(self->fd, MPMCQ_IOC_INFO, at));
	EXPECT_EQ(-EFAULT, ioctl32(self->fd, MPMCQ_IOC_INFO, at + page));
	EXPECT_EQ(-ENOTTY, ioctl32(self->fd, _IO(MPMCQ_IOC_MAGIC, 99), at));

	*len = JUNK;
	EXPECT_EQ(0, ioctl32(self->fd, FIONREAD, at));
	EXPECT_EQ(5, *len);
	EXPECT_EQ(-EFAULT, ioctl32(self->fd, FIONREAD, at + page));
	EXPECT_EQ(5, take_msg(self->fd, 5, 11));
	munmap(mem, 2 * page);
}

TEST_HARNESS_MAIN
