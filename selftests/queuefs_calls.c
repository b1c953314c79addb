// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a file in mpmcqfs and its directory make of calls besides CREATE, open and unlink: these
 * fail, or tell what is so.
 */

#include <dirent.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>

#include "fs_test.h"

static unsigned char large[MSG_SIZE_MAX];

TEST_F(fs, nothing_else_can_be_made)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "q/y" };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	struct stat st;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFCHR | 0600, st.st_rdev)));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFIFO | 0600, 0)));
	EXPECT_EQ(-EPERM, result(mknod("q/y", S_IFBLK | 0600, makedev(7, 0))));
	EXPECT_EQ(-EPERM, result(mkdir("q/y", 0755)));
	EXPECT_EQ(-EPERM, result(symlink("x", "q/y")));
	EXPECT_EQ(-EPERM, result(link("q/x", "q/y")));
	EXPECT_EQ(-EPERM, result(rename("q/x", "q/y")));
	EXPECT_EQ(-EPERM, result(bind(sock, (struct sockaddr *)&at, sizeof(at))));
	EXPECT_EQ(-EACCES, result(mknod("q/y", S_IFREG | 0600, 0)));
	EXPECT_EQ(-EACCES, try_open("q/y", O_RDWR | O_CREAT));
	EXPECT_EQ(-EACCES, try_open("q/y", O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(-EOPNOTSUPP, try_open("q", O_RDWR | O_TMPFILE));
	EXPECT_FALSE(is_there(self->root, "y"));
	EXPECT_TRUE(is_there(self->root, "x"));

	/* On an existing queue. */
	EXPECT_EQ(-EEXIST, result(mknod("q/x", S_IFCHR | 0600, st.st_rdev)));
	EXPECT_EQ(-EEXIST, result(mkdir("q/x", 0755)));
	EXPECT_EQ(-EEXIST, try_open("q/x", O_RDWR | O_CREAT | O_EXCL));
	EXPECT_EQ(0, try_open("q/x", O_RDWR | O_CREAT));
	EXPECT_EQ(-ENOTDIR, try_open("q/x", O_RDONLY | O_DIRECTORY));
	EXPECT_EQ(-ENOTDIR, try_open("q/x/y", O_RDONLY));
	EXPECT_EQ(-ENOTDIR, result(rmdir("q/x")));
	EXPECT_EQ(-EINVAL, result(truncate("q/x", 0)));
	EXPECT_EQ(-EISDIR, try_open("q", O_RDWR));
	EXPECT_EQ(-ENOENT, result(rename("q/y", "q/x")));
	close(sock);
}

/* rename(2) and link(2) cross no mount. */
TEST_F(fs, nothing_moves_in_or_out)
{
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_LE(0, close(creat("plain", 0600)));
	EXPECT_EQ(-EXDEV, result(rename("q/x", "x")));
	EXPECT_EQ(-EXDEV, result(rename("plain", "q/plain")));
	EXPECT_EQ(-EXDEV, result(link("q/x", "x")));
	EXPECT_EQ(-EXDEV, result(link("plain", "q/plain")));
}

static int execute(const char *path)
{
	execl(path, path, NULL);
	return errno;
}

TEST_F(fs, nothing_can_be_executed)
{
	ASSERT_EQ(0, make(self->root, "x", 0777));
	EXPECT_EQ(EACCES, child_end(fork_child(execute("q/x"))));
	EXPECT_EQ(-EOPNOTSUPP, result(setxattr("q", "user.x", "x", 1, 0)));
}

/* An open(2) that fails does not count as a writer, so AUTO_CLOSE does not close the queue. */
TEST_F(fs, direct_io)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	char path[64];
	int reader, writer;
	size_t i;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, reader);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", reader);
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		EXPECT_EQ(-EINVAL, try_open("q/x", accesses[i] | O_DIRECT));
		EXPECT_EQ(-EINVAL, try_open(path, accesses[i] | O_DIRECT));
		EXPECT_EQ(0, info_of(reader).closed) TH_LOG("access %d", accesses[i]);
	}
	EXPECT_EQ(-EINVAL, attach(reader, O_RDONLY | O_DIRECT, 0, 0));
	EXPECT_EQ(-EINVAL, result(fcntl(reader, F_SETFL, O_DIRECT)));
	writer = open_at(self->root, "x", O_WRONLY);
	ASSERT_LE(0, writer);
	EXPECT_EQ(LEN, put_msg(writer, LEN, 1));
	EXPECT_EQ(-EINVAL, try_open("q/x", O_WRONLY | O_DIRECT));
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(writer);
	EXPECT_EQ(1, info_of(reader).closed);
	close(reader);
}

/* The same for other opens that fail. */
TEST_F(fs, failed_opens_close_nothing)
{
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	struct rlimit files, none;
	int reader, i;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, reopen_queue(reader));
	close(attach(reader, O_RDONLY, 0, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EMFILE, try_open("q/x", O_WRONLY));
		EXPECT_EQ(-EMFILE, attach(reader, O_WRONLY, 0, 0));
	}
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	EXPECT_EQ(-EINVAL, attach(reader, O_WRONLY, 0, 1));
	EXPECT_EQ(-EBADF, attach(reader, O_WRONLY, MPMCQ_MODE_LEASE, 0));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_WRONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(0, info_of(reader).closed);
	EXPECT_EQ(LEN, put_msg(reader, LEN, 1));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));
	close(reader);
}

/* O_PATH does not open the queue. */
TEST_F(fs, path_only)
{
	const struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .flags = MPMCQ_AUTO_CLOSE, .mode = 0600,
	};
	char path[64];
	struct stat st;
	int fd, writer, reader, dir;

	ASSERT_EQ(0, create_at(self->root, "x", like));
	reader = open_at(self->root, "x", O_RDONLY);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	fd = open_at(self->root, "x", O_PATH);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, put_msg(fd, LEN, 1));
	EXPECT_EQ(-EBADF, take(fd, large, LEN));
	EXPECT_EQ(-EBADF, depth(fd));
	EXPECT_EQ(-EBADF, attach(fd, O_RDONLY, 0, 0));
	EXPECT_EQ(-EBADF, close_queue(fd));
	EXPECT_EQ(0, fstat(fd, &st));
	EXPECT_TRUE(S_ISCHR(st.st_mode));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT_EQ(-EACCES, try_open(path, O_RDONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	close(open_at(self->root, "x", O_PATH | O_RDWR));
	EXPECT_EQ(0, info_of(reader).closed);
	writer = result(open(path, O_WRONLY));
	ASSERT_LE(0, writer);
	EXPECT_EQ(LEN, put_msg(writer, LEN, 1));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 1));

	dir = result(open("q", O_PATH | O_DIRECTORY));
	ASSERT_LE(0, dir);
	EXPECT_EQ(-EBADF, make(dir, "y", 0600));
	EXPECT_FALSE(is_there(self->root, "y"));
	close(dir);
	close(writer);
	close(fd);
	close(reader);
}

/* A copy of a node, as "cp -a" makes it, leads to no queue. */
TEST_F(fs, copied_node)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK };
	struct stat st, other, device;
	unsigned int minor;
	size_t i;
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, make(self->root, "y", 0600));
	ASSERT_EQ(0, stat("q/x", &st));
	ASSERT_EQ(0, stat("q/y", &other));
	ASSERT_EQ(0, stat(DEVICE, &device));
	EXPECT_EQ(st.st_rdev, other.st_rdev);
	EXPECT_EQ(makedev(major(device.st_rdev), 1), st.st_rdev);
	ASSERT_EQ(0, mknod("copy", S_IFCHR | 0666, st.st_rdev));
	for (i = 0; i < ARRAY_SIZE(accesses); i++)
		EXPECT_EQ(-ENXIO, try_open("copy", accesses[i]));
	/* Each makes the kernel look for a module. */
	for (minor = 2; minor < 1 << 20; minor <<= 6) {
		ASSERT_EQ(0, mknod("none", S_IFCHR | 0666,
				   makedev(major(device.st_rdev), minor)));
		EXPECT_EQ(-ENXIO, try_open("none", O_RDWR)) TH_LOG("minor %u", minor);
		ASSERT_EQ(0, unlink("none"));
	}

	/* A copy of /dev/mpmcq leads to the default queue. */
	ASSERT_EQ(0, mknod("default", S_IFCHR | 0666, device.st_rdev));
	fd = result(open("default", O_RDONLY));
	ASSERT_LE(0, fd);
	i = open(DEVICE, O_RDONLY);
	EXPECT_EQ(info_of(i).number, info_of(fd).number);
	close(i);
	close(fd);
}

TEST_F(fs, stat)
{
	struct stat st, other, dir;
	time_t before = time(NULL), after;
	int fd;

	ASSERT_EQ(0, make(self->root, "x", 0640));
	ASSERT_EQ(0, make(self->root, "y", 0640));
	after = time(NULL);
	ASSERT_EQ(0, stat("q/x", &st));
	ASSERT_EQ(0, stat("q/y", &other));
	ASSERT_EQ(0, stat("q", &dir));
	EXPECT_EQ((mode_t)(S_IFCHR | 0640), st.st_mode);
	EXPECT_EQ(1, st.st_nlink);
	EXPECT_EQ(0, st.st_size);
	EXPECT_EQ(dir.st_dev, st.st_dev);
	EXPECT_NE(0, st.st_ino);
	EXPECT_NE(other.st_ino, st.st_ino);
	EXPECT_NE(dir.st_ino, st.st_ino);
	EXPECT_TRUE(S_ISDIR(dir.st_mode));
	EXPECT_EQ(2, dir.st_nlink);
	/* Timestamps of files are up to a tick late. */
	EXPECT_LE(before - 1, st.st_mtime);
	EXPECT_GE(after, st.st_mtime);
	EXPECT_EQ(st.st_mtime, st.st_ctime);
	EXPECT_LE(before - 1, st.st_atime);
	EXPECT_GE(after, st.st_atime);

	fd = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	ASSERT_EQ(0, fstat(fd, &other));
	EXPECT_EQ(st.st_ino, other.st_ino);
	EXPECT_EQ(0, other.st_nlink);
	close(fd);
}

static bool is_later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* The directory's times change with its names, and with nothing else. */
TEST_F(fs, times_of_the_directory)
{
	const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 2000 } };
	struct stat st, last;

	ASSERT_EQ(0, fstat(self->root, &last));
	usleep(20000);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_TRUE(is_later(&st.st_mtim, &last.st_mtim));
	EXPECT_TRUE(is_later(&st.st_ctim, &last.st_ctim));
	last = st;
	usleep(20000);
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(-EINVAL, make(self->root, "..", 0600));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_FALSE(is_later(&st.st_mtim, &last.st_mtim));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	ASSERT_EQ(0, fstat(self->root, &st));
	EXPECT_TRUE(is_later(&st.st_mtim, &last.st_mtim));
	EXPECT_TRUE(is_later(&st.st_ctim, &last.st_ctim));

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, utimensat(self->root, "x", old, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(1000, st.st_atime);
	EXPECT_EQ(2000, st.st_mtime);
}

/* Locks belong to the queue's file, however it was opened. */
TEST_F(fs, locks)
{
	struct flock whole = { .l_type = F_WRLCK };
	int one, two, three;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, make(self->root, "y", 0600));
	one = open_at(self->root, "x", O_RDWR);
	two = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	three = attach(one, O_RDWR, 0, 0);
	ASSERT_LE(0, three);
	EXPECT_EQ(0, flock(one, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(two, LOCK_SH | LOCK_NB)));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(three, LOCK_SH | LOCK_NB)));
	close(one);
	EXPECT_EQ(0, flock(two, LOCK_EX | LOCK_NB));
	EXPECT_EQ(-EWOULDBLOCK, result(flock(three, LOCK_EX | LOCK_NB)));
	one = open_at(self->root, "y", O_RDWR);
	EXPECT_EQ(0, flock(one, LOCK_EX | LOCK_NB));

	/* So do POSIX locks; another queue has its own. */
	ASSERT_EQ(0, fcntl(two, F_SETLK, &whole));
	EXPECT_EQ(EAGAIN, child_end(fork_child(fcntl(three, F_SETLK, &whole) ? errno : 0)));
	EXPECT_EQ(0, child_end(fork_child(fcntl(one, F_SETLK, &whole) ? errno : 0)));
	close(one);
	close(two);
	close(three);
}

TEST_F(fs, inotify)
{
	int in = inotify_init1(IN_NONBLOCK), fd;
	char name[16];

	ASSERT_LE(0, in);
	ASSERT_LE(0, inotify_add_watch(in, "q", IN_CREATE | IN_DELETE | IN_MOVE | IN_ATTRIB));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(IN_CREATE, next_event(in, name));
	EXPECT_STREQ("x", name);
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(0, make_exist_ok(self->root, "x"));
	EXPECT_EQ(-EINVAL, create_at(self->root, "y", (struct mpmcq_create){ .capacity = 3 }));
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	ASSERT_EQ(0, chmod("q/x", 0640));
	EXPECT_EQ(IN_ATTRIB, next_event(in, name));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(IN_DELETE, next_event(in, name));
	EXPECT_STREQ("x", name);
	close(fd);
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	close(in);

	/* Events of the queue itself. */
	in = inotify_init1(IN_NONBLOCK);
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_LE(0, inotify_add_watch(in, "q/x", IN_OPEN | IN_CLOSE | IN_ACCESS | IN_MODIFY |
				       IN_DELETE_SELF));
	fd = open_at(self->root, "x", O_RDWR);
	EXPECT_EQ(IN_OPEN, next_event(in, name));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(IN_MODIFY, next_event(in, name));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(IN_ACCESS, next_event(in, name));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	EXPECT_EQ(-EAGAIN, next_event(in, name));
	close(fd);
	EXPECT_EQ(IN_CLOSE_WRITE, next_event(in, name));
	EXPECT_EQ(IN_DELETE_SELF, next_event(in, name));
	close(in);
}

/* ATTACH opens the same file, with no access that the first open file lacks. */
TEST_F(fs, attach)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int i, j, fd[3], got, round;
	struct stat one, two;

	ASSERT_EQ(0, make(self->root, "x", 0));
	for (i = 0; i < 3; i++) {
		fd[i] = open_at(self->root, "x", accesses[i]);
		ASSERT_LE(0, fd[i]);
	}
	ASSERT_EQ(0, fstat(fd[0], &one));
	for (round = 0; round < 2; round++) {
		for (i = 0; i < 3; i++) {
			for (j = 0; j < 3; j++) {
				got = attach(fd[i], accesses[j] | O_NONBLOCK, 0, 0);
				if (i != 2 && i != j) {
					EXPECT_EQ(-EACCES, got) TH_LOG("%d by %d", j, i);
					continue;
				}
				ASSERT_LE(0, got) TH_LOG("%d by %d, round %d", j, i, round);
				EXPECT_EQ(FD_CLOEXEC, fcntl(got, F_GETFD));
				EXPECT_EQ(accesses[j] | O_NONBLOCK,
					  fcntl(got, F_GETFL) & (O_ACCMODE | O_NONBLOCK));
				ASSERT_EQ(0, fstat(got, &two));
				EXPECT_EQ(one.st_dev, two.st_dev);
				EXPECT_EQ(one.st_ino, two.st_ino);
				EXPECT_EQ(-ESPIPE, result(lseek(got, 0, SEEK_CUR)));
				EXPECT_EQ(i == 0 || j == 0 ? -EBADF : LEN, put_msg(got, LEN, 1));
				if (j)
					EXPECT_EQ(LEN, take_msg(fd[2], LEN, 1));
				close(got);
			}
		}
		/* Once more without its name. */
		if (!round)
			ASSERT_EQ(0, remove_at(self->root, "x"));
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* INFO works with any access. */
TEST_F(fs, info_of_any_access)
{
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct mpmcq_info info;
	__u32 number = 0;
	int i, fd;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	for (i = 0; i < 3; i++) {
		fd = open_at(self->root, "x", accesses[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, query(fd, &info));
		EXPECT_EQ(4, info.capacity);
		EXPECT_EQ(64, info.msg_size);
		if (!i)
			number = info.number;
		EXPECT_EQ(number, info.number);
		EXPECT_EQ(i == 1 ? -EBADF : 0, next_len(fd));
		close(fd);
	}
}

TEST_F(fs, opened_by_proc)
{
	char path[64];
	int fd, again;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDONLY);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = result(open(path, O_RDWR));
	ASSERT_LE(0, again);
	EXPECT_EQ(LEN, put_msg(again, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(again);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open(path, O_RDONLY));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, remove_at(self->root, "x"));
	again = result(open(path, O_RDWR));
	ASSERT_LE(0, again);
	EXPECT_EQ(LEN, put_msg(again, LEN, 2));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 2));
	close(again);
	close(fd);
}

TEST_F(fs, told_by_fdinfo)
{
	char want[64];
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	snprintf(want, sizeof(want), "%s/q/x", self->base);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_STREQ(want, link_of(fd));
	snprintf(want, sizeof(want), "%u", info_of(fd).number);
	EXPECT_STREQ(want, told_of(fd, "number:\t"));
	EXPECT_STREQ("4", told_of(fd, "capacity:\t"));
	more = attach(fd, O_RDONLY, MPMCQ_MODE_LEASE, 0);
	snprintf(want, sizeof(want), "%s/q/x", self->base);
	EXPECT_STREQ(want, told_of(more, "queue:\t"));
	EXPECT_STREQ("lease", told_of(more, "modes:\t"));
	close(more);
	ASSERT_EQ(0, remove_at(self->root, "x"));
	snprintf(want, sizeof(want), "%s/q/x (deleted)", self->base);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_STREQ(want, link_of(fd));
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_STREQ(want, told_of(more, "queue:\t"));
	close(more);
	close(fd);

	/* A name with a newline does not forge a line. */
	ASSERT_EQ(0, make(self->root, "x\nheld:\t77", 0600));
	fd = open_at(self->root, "x\nheld:\t77", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	close(fd);
}

/* The mount at /dev/mpmcqfs. */
TEST(default_mount)
{
	char name[32], want[64];
	struct statfs fs;
	int fd;

	if (statfs(MOUNT, &fs) || fs.f_type != MPMCQFS_MAGIC)
		SKIP(return, "no mpmcqfs is mounted at " MOUNT);
	snprintf(name, sizeof(name), "test-%d", getpid());
	ASSERT_EQ(0, make_named(name, .capacity = 4, .msg_size = 64, .mode = 0600));
	fd = open_named(name, O_RDWR);
	EXPECT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	snprintf(want, sizeof(want), MOUNT "/%s", name);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_EQ(0, remove_named(name));
	EXPECT_EQ(-ENOENT, remove_named(name));
	snprintf(want, sizeof(want), MOUNT "/%s (deleted)", name);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	close(fd);
}

/*
 * The directory
 */
#define THOUSAND	1000

TEST_F_TIMEOUT(fs, thousand, 120)
{
	bool seen[THOUSAND] = {};
	struct dirent *entry;
	char name[32];
	struct stat st;
	int i, fd, n;
	DIR *dir;

	for (i = 0; i < THOUSAND; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		ASSERT_EQ(0, create_at(self->root, name, (struct mpmcq_create){
					.capacity = 2, .msg_size = 16, .mode = 0600 }));
		fd = open_at(self->root, name, O_WRONLY);
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
		close(fd);
	}
	dir = opendir("q");
	ASSERT_NE(NULL, dir);
	for (n = 0; (entry = readdir(dir)); n++) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) {
			EXPECT_EQ(DT_DIR, entry->d_type);
			continue;
		}
		EXPECT_EQ(DT_CHR, entry->d_type);
		i = atoi(entry->d_name + 1);
		ASSERT_TRUE(i >= 0 && i < THOUSAND && !seen[i]) TH_LOG("%s", entry->d_name);
		seen[i] = true;
		ASSERT_EQ(0, fstatat(self->root, entry->d_name, &st, 0));
		EXPECT_EQ(st.st_ino, entry->d_ino);
	}
	EXPECT_EQ(THOUSAND + 2, n);

	/* Removing entries during the reading hides no others. */
	rewinddir(dir);
	for (n = 0; (entry = readdir(dir));) {
		if (*entry->d_name == '.')
			continue;
		i = atoi(entry->d_name + 1);
		fd = open_at(self->root, entry->d_name, O_RDONLY);
		ASSERT_EQ(LEN, take_msg(fd, LEN, i));
		close(fd);
		ASSERT_EQ(0, remove_at(self->root, entry->d_name));
		n++;
	}
	EXPECT_EQ(THOUSAND, n);
	closedir(dir);
}

TEST_F(fs, descriptor_of_the_directory)
{
	const unsigned int requests[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_SETTLE, MPMCQ_IOC_ATTACH,
		MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN,
		MPMCQ_IOC_REVIVE, MPMCQ_IOC_PURGE, _IO(MPMCQ_IOC_MAGIC, 99), 0x5401 /* TCGETS */,
		_IOW('m', _IOC_NR(MPMCQ_IOC_CREATE), struct mpmcq_create), 0, UINT32_MAX,
	};
	size_t i;
	int fd;

	memset(large, 0, sizeof(large));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		*(__u32 *)large = _IOC_SIZE(requests[i]);
		EXPECT_EQ(-ENOTTY, result(ioctl(self->root, requests[i], large)))
			TH_LOG("request %#x", requests[i]);
	}
	EXPECT_EQ(-EISDIR, take(self->root, large, 16));
	EXPECT_EQ(-EBADF, put(self->root, large, 16));

	/* CREATE without a name makes a private queue. */
	fd = make_private(self->root);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_STREQ("anon_inode:[mpmcq]", link_of(fd));
	close(fd);
	EXPECT_EQ(-EINVAL, create(self->root, (struct mpmcq_create){ .flags = MPMCQ_EXIST_OK }));
	EXPECT_EQ(-EINVAL, create(self->root, (struct mpmcq_create){ .mode = 0600 }));
}

/* CREATE with a name takes a directory of mpmcqfs. */
TEST_F(fs, no_directory)
{
	int queue, private = make_private(self->root), device = open(DEVICE, O_RDWR);
	int tmpfs = open(".", O_RDONLY | O_DIRECTORY);

	ASSERT_EQ(0, make(self->root, "x", 0600));
	queue = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, queue);
	EXPECT_EQ(-ENOTDIR, make(queue, "y", 0600));
	EXPECT_EQ(-ENOTDIR, make(private, "y", 0600));
	EXPECT_EQ(-ENOTDIR, make(device, "y", 0600));
	EXPECT_EQ(-ENOTTY, make(tmpfs, "y", 0600));
	close(tmpfs);
	close(device);
	close(private);
	close(queue);
}

/* CREATE with a name needs no free descriptor. */
TEST_F(fs, no_descriptor_left)
{
	struct rlimit files, none;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, make_private(self->root));
	EXPECT_EQ(-EMFILE, open_at(self->root, ".", O_RDONLY));
	EXPECT_EQ(0, make(self->root, "x", 0600));
	EXPECT_EQ(-EEXIST, make(self->root, "x", 0600));
	EXPECT_EQ(0, make_exist_ok(self->root, "x"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
	EXPECT_EQ(0, remove_at(self->root, "x"));
}

TEST_HARNESS_MAIN
