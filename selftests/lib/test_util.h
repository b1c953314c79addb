/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What some of the tests of /dev/mpmcq share: buffers that end where nothing is,
 * or that lie in pieces; what poll and epoll say at once; what files tell; files
 * passed by a socket; calls as 32-bit programs make them.
 */
#ifndef MPMCQ_TEST_UTIL_H
#define MPMCQ_TEST_UTIL_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/utsname.h>

#include "mpmcq_calls.h"

static inline bool kernel_before(int major, int minor)
{
	struct utsname name;
	int running_major = 0, running_minor = 0;

	return !uname(&name) &&
		sscanf(name.release, "%d.%d", &running_major, &running_minor) == 2 &&
		(running_major < major || (running_major == major && running_minor < minor));
}

static inline void *map(size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

/* The same for memory that children share. */
static inline void *map_shared(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/* Room for @len bytes before the address returned; nothing from there on. */
static inline unsigned char *map_edge_of(size_t len)
{
	unsigned char *start;

	len = (len + getpagesize() - 1) / getpagesize() * getpagesize();
	start = map(len + getpagesize(), PROT_READ | PROT_WRITE);
	if (start == MAP_FAILED || mprotect(start + len, getpagesize(), PROT_NONE))
		return NULL;
	return start + len;
}

/* Room for a message before the address returned; nothing from there on. */
static inline unsigned char *map_edge(void)
{
	return map_edge_of(MSG_SIZE_MAX);
}

/*
 * The next place after @at to cut @len bytes in two: all near the ends, and
 * those near the ends of pages.
 */
static inline int next_cut(int at, int len)
{
	do {
		at++;
	} while (at >= 72 && len - at >= 72 && (at + 1) % getpagesize() > 2);
	return at;
}

/*
 * Cuts @buf in segments of 1, 2, 3, ... bytes with an empty one between any
 * two; the first segment lies last in @buf.  Returns the number of segments.
 */
static inline int cut(struct iovec *iov, unsigned char *buf, int len)
{
	int n = 0, size;

	for (size = 1; len; size++) {
		if (size > len)
			size = len;
		len -= size;
		iov[n++] = (struct iovec){ buf + len, size };
		iov[n++] = (struct iovec){ NULL, 0 };
	}
	return n;
}

static inline void gather(unsigned char *to, const struct iovec *iov, int n)
{
	for (; n--; iov++) {
		if (!iov->iov_len)
			continue;
		memcpy(to, iov->iov_base, iov->iov_len);
		to += iov->iov_len;
	}
}

#define READABLE	(POLLIN | POLLRDNORM)
#define WRITABLE	(POLLOUT | POLLWRNORM)
#define ALL_EVENTS	(READABLE | WRITABLE | POLLPRI | POLLRDHUP)

/* What poll says of @fd at once. */
static inline int poll_now(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = ALL_EVENTS, .revents = -1 };

	if (poll(&pfd, 1, 0) < 0)
		return -errno;
	return pfd.revents;
}

/* Waits for that in poll; what it says. */
static inline ssize_t poll_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };
	int ret = result(ppoll(&pfd, 1, NULL, NULL));

	return ret < 0 ? ret : pfd.revents;
}

/* As calls of another thread */
static inline ssize_t poll_in(int fd, void *buf, size_t len)
{
	return poll_for(fd, POLLIN);
}

static inline ssize_t poll_out(int fd, void *buf, size_t len)
{
	return poll_for(fd, POLLOUT);
}

static inline ssize_t select_in(int fd, void *buf, size_t len)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	return result(pselect(fd + 1, &set, NULL, NULL, NULL, NULL));
}

/* A new epoll that watches @fd for @events. */
static inline int watch(int fd, unsigned int events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };
	int ep = epoll_create1(0);

	if (ep >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	return ep;
}

/* What epoll has to say at once; 0 for nothing. */
static inline int event_now(int ep)
{
	struct epoll_event event = { .events = -1 };
	int n = epoll_wait(ep, &event, 1, 0);

	return n < 0 ? -errno : n ? (int)event.events : 0;
}

/* The first line of file @path that begins with @key, without it; or "". */
static inline const char *line(const char *path, const char *key)
{
	static char buf[128];
	FILE *file = fopen(path, "r");
	char *found = NULL;

	while (file && !found && fgets(buf, sizeof(buf), file)) {
		buf[strcspn(buf, "\n")] = '\0';
		if (!strncmp(buf, key, strlen(key)))
			found = buf + strlen(key);
	}
	if (file)
		fclose(file);
	return found ? found : "";
}

static inline const char *told_of(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return line(path, key);
}

/* How often thread @tid has gone to sleep. */
static inline long sleeps_of(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	return atol(line(path, "voluntary_ctxt_switches:"));
}

static inline bool write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

#define PARAMETERS	"/sys/module/mpmcq/parameters/"

static inline bool set_parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return write_text(path, value);
}

static inline int send_fd(int sock, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { "", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	return result(sendmsg(sock, &msg, 0));
}

static inline int receive_fd(int sock)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/*
 * System call @nr, by its number for 32-bit programs, as they make it; -EOPNOTSUPP
 * where that cannot be tried.
 */
static inline int call32(int nr, int fd, unsigned int arg1, unsigned int arg2)
{
#ifdef __x86_64__
	int ret;

	asm volatile("int $0x80"
		     : "=a" (ret)
		     : "a" (nr), "b" (fd), "c" (arg1), "d" (arg2)
		     : "memory", "r8", "r9", "r10", "r11");
	return ret;
#else
	return -EOPNOTSUPP;
#endif
}

static inline int read32(int fd, unsigned int buf, unsigned int len)
{
	return call32(3, fd, buf, len);
}

static inline int write32(int fd, unsigned int msg, unsigned int len)
{
	return call32(4, fd, msg, len);
}

static inline int ioctl32(int fd, unsigned int cmd, unsigned int arg)
{
	return call32(54, fd, cmd, arg);
}

#ifndef MAP_32BIT
#define MAP_32BIT 0
#endif

/* Memory that a 32-bit program can address. */
static inline void *map32(size_t len)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
}

/* Without support for 32-bit programs a call ends in a signal. */
static inline bool has_call32(int fd)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(ioctl32(fd, 0, 0) != -ENOTTY);
	return waitpid(pid, &status, 0) == pid && !status;
}

#endif /* MPMCQ_TEST_UTIL_H */
