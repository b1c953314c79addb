/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests share that make queues of their own, by a request to the device:
 * a helper per request, which returns what it returned, or -errno, and fills what
 * is to be filled in with junk first; and packed messages.
 *
 * The default queue may be in use, and nobody else sees the others.
 */
#ifndef MPMCQ_OWN_TEST_H
#define MPMCQ_OWN_TEST_H

#define OWN_QUEUES

#include <limits.h>

#include "mpmcq_test.h"
#include "test_util.h"

#define LEN	5	/* of messages whose length does not matter */

#define PACKED	MPMCQ_MODE_PACKED
#define LEASE	MPMCQ_MODE_LEASE
#define DEAD	MPMCQ_MODE_DEAD
#define META	MPMCQ_MODE_META

#define ALL	MPMCQ_SETTLE_ALL
#define FRONT	MPMCQ_SETTLE_FRONT
#define UNTRIED	MPMCQ_SETTLE_UNTRIED

/* Without the device the program ends before the harness begins. */
static void __attribute__((constructor)) device_or_skip(void)
{
	int fd = open(DEVICE, O_RDWR);

	if (fd < 0) {
		ksft_print_header();
		ksft_exit_skip("cannot open " DEVICE ": %s\n", strerror(errno));
	}
	close(fd);
}

static inline int create(int fd, struct mpmcq_create create)
{
	create.size = sizeof(create);
	return result(ioctl(fd, MPMCQ_IOC_CREATE, &create));
}

static inline int create_by_device(struct mpmcq_create like)
{
	int device = open(DEVICE, O_RDWR);
	int fd = device < 0 ? -errno : create(device, like);

	close(device);
	return fd;
}

/* A queue by members of struct mpmcq_create, of which open_flags is 0 if it is left out. */
#define make_queue(...)	create_by_device((struct mpmcq_create){ __VA_ARGS__ })

static inline int attach(int fd, __u32 open_flags, __u32 modes, __u32 max_held)
{
	struct mpmcq_attach req = {
		.size = sizeof(req), .open_flags = open_flags, .modes = modes, .max_held = max_held,
	};

	return result(ioctl(fd, MPMCQ_IOC_ATTACH, &req));
}

static inline int set_modes(int fd, __u32 modes, __u32 max_held)
{
	struct mpmcq_mode req = { .size = sizeof(req), .modes = modes, .max_held = max_held };

	return result(ioctl(fd, MPMCQ_IOC_MODE, &req));
}

/* Queues with names are made here, by default. */
#define MOUNT	"/dev/mpmcqfs"

/* Makes queue @name in directory @dir. */
static inline int create_at(int dir, const char *name, struct mpmcq_create like)
{
	like.name = (unsigned long)name;
	return create(dir, like);
}

static inline int create_named(const char *name, struct mpmcq_create like)
{
	int dir = open(MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = dir < 0 ? -errno : create_at(dir, name, like);

	close(dir);
	return ret;
}

/* As make_queue(), but with a name, and not open. */
#define make_named(name, ...)	create_named(name, (struct mpmcq_create){ __VA_ARGS__ })

static inline int open_named(const char *name, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MOUNT "/%s", name);
	return result(open(path, flags | O_CLOEXEC));
}

static inline int remove_named(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), MOUNT "/%s", name);
	return result(unlink(path));
}

static inline int close_queue(int fd)
{
	return result(ioctl(fd, MPMCQ_IOC_CLOSE, 0));
}

static inline int reopen_queue(int fd)
{
	return result(ioctl(fd, MPMCQ_IOC_REOPEN, 0));
}

/* How many messages it was done to. */
static inline int request_dead(int fd, unsigned int cmd, __u32 count)
{
	struct mpmcq_dead req = { .size = sizeof(req), .count = count };
	int ret;

	memset(&req.done, JUNK, sizeof(req.done));
	ret = result(ioctl(fd, cmd, &req));
	if (req.size != sizeof(req) || req.flags || req.count != count)
		return -EBADMSG;
	return ret < 0 ? ret : (int)req.done;
}

static inline int revive(int fd, __u32 count)
{
	return request_dead(fd, MPMCQ_IOC_REVIVE, count);
}

static inline int purge(int fd, __u32 count)
{
	return request_dead(fd, MPMCQ_IOC_PURGE, count);
}

/* How many messages it was done to; also if it fails in @done, unless that is NULL. */
static inline int settle(int fd, __u32 op, __u32 flags, const __u64 *ids, __u32 count, __u32 *done)
{
	struct mpmcq_settle req = {
		.size = sizeof(req), .op = op, .flags = flags, .ids = (unsigned long)ids,
		.count = count,
	};
	int ret;

	memset(&req.done, JUNK, sizeof(req.done));
	ret = result(ioctl(fd, MPMCQ_IOC_SETTLE, &req));
	if (done)
		*done = req.done;
	if (req.size != sizeof(req) || req.op != op || req.flags != flags ||
	    req.ids != (unsigned long)ids || req.count != count || req.delay_ms)
		return -EBADMSG;
	return ret < 0 ? ret : (int)req.done;
}

static inline int ack(int fd, __u64 id)
{
	return settle(fd, MPMCQ_SETTLE_ACK, 0, &id, 1, NULL);
}

static inline int nack(int fd, __u64 id)
{
	return settle(fd, MPMCQ_SETTLE_NACK, 0, &id, 1, NULL);
}

static inline int reject(int fd, __u64 id)
{
	return settle(fd, MPMCQ_SETTLE_REJECT, 0, &id, 1, NULL);
}

static inline int touch(int fd, __u64 id)
{
	return settle(fd, MPMCQ_SETTLE_TOUCH, 0, &id, 1, NULL);
}

/* The same for all that @fd holds. */
static inline int settle_all(int fd, __u32 op)
{
	return settle(fd, op, MPMCQ_SETTLE_ALL, NULL, 0, NULL);
}

static inline int ack_all(int fd)
{
	return settle_all(fd, MPMCQ_SETTLE_ACK);
}

/* All junk if it fails. */
static inline struct mpmcq_info info_of(int fd)
{
	struct mpmcq_info info;

	query(fd, &info);
	return info;
}

static inline int held(int fd)
{
	return info_of(fd).held;
}

static inline int leased(int fd)
{
	return info_of(fd).leased;
}

static inline int dead(int fd)
{
	return info_of(fd).dead;
}

static inline long now_ms(void)
{
	return now_ns(CLOCK_MONOTONIC) / 1000000;
}

/* Whether @condition comes true within 10 seconds. */
#define comes_true(condition) ({ \
	long end_ = now_ms() + 10000; \
	bool true_; \
	\
	while (!(true_ = (condition)) && now_ms() < end_) \
		usleep(500); \
	true_; \
})

/* Bytes that a message of @len bytes takes in a packed buffer. */
static inline int space_of(int len)
{
	return MPMCQ_MSG_SPACE(len);
}

/* Makes @at message number @seed of @len bytes, with junk wherever it may be; its space. */
static inline int pack(void *at, int len, unsigned int seed)
{
	struct mpmcq_msg msg;

	memset(&msg, JUNK, sizeof(msg));
	msg.len = len;
	msg.flags = 0;
	msg.priority = 0;
	msg.delay_ms = 0;
	memset(at, JUNK, space_of(len));
	memcpy(at, &msg, sizeof(msg));
	fill((unsigned char *)at + sizeof(msg), len, seed);
	return space_of(len);
}

/*
 * The space of the message @at, of which @room bytes were read; -EBADMSG if it is
 * not number @seed of @len bytes with zeros around it.  Its header goes to @msg.
 */
static inline int unpack(const void *at, int room, int len, unsigned int seed,
			 struct mpmcq_msg *msg)
{
	static const unsigned char zeros[8];
	const unsigned char *data = (const unsigned char *)at + sizeof(*msg);
	int space = space_of(len);

	if (room < space)
		return -EBADMSG;
	memcpy(msg, at, sizeof(*msg));
	if (msg->len != (__u32)len || msg->flags || msg->priority || msg->delay_ms ||
	    !is_filled(data, len, seed) || memcmp(data + len, zeros, space - sizeof(*msg) - len))
		return -EBADMSG;
	return space;
}

/*
 * Sends @n messages of @len bytes in one write, the first number @seed; how many were sent.
 * Each has the priority and the delay of its own there, unless these are NULL.
 */
static inline int put_each(int fd, int n, int len, unsigned int seed, const __u8 *priority,
			   const __u32 *delay_ms)
{
	int i, ret, space = space_of(len);
	unsigned char *buf = malloc((unsigned int)(n * space));
	struct mpmcq_msg *msg;

	for (i = 0; i < n; i++) {
		msg = (struct mpmcq_msg *)(buf + i * space);
		pack(msg, len, seed + i);
		if (priority)
			msg->priority = priority[i];
		if (delay_ms)
			msg->delay_ms = delay_ms[i];
	}
	ret = put(fd, buf, n * space);
	free(buf);
	if (ret < 0)
		return ret;
	return ret % space ? -EBADMSG : ret / space;
}

static inline int put_packed(int fd, int n, int len, unsigned int seed)
{
	return put_each(fd, n, len, seed, NULL, NULL);
}

/* The same of LEN bytes with priorities, and with delays. */
static inline int put_prior(int fd, const __u8 *priority, int n, unsigned int seed)
{
	return put_each(fd, n, LEN, seed, priority, NULL);
}

static inline int put_delayed(int fd, const __u32 *delay_ms, int n, unsigned int seed)
{
	return put_each(fd, n, LEN, seed, NULL, delay_ms);
}

/*
 * Takes up to @n messages in one read; how many.  -EBADMSG if they are not numbers
 * @seed, @seed + 1, ... of @len bytes.  Their headers go to @msg, unless that is NULL.
 */
static inline int take_packed(int fd, int n, int len, unsigned int seed, struct mpmcq_msg *msg)
{
	int at, i = 0, space = space_of(len), size = n * space + MARGIN;
	unsigned char *buf = malloc(size);
	int ret = take(fd, buf, size);
	struct mpmcq_msg ignored;

	for (at = 0; at < ret; at += space, i++) {
		if (unpack(buf + at, ret - at, len, seed + i, msg ? &msg[i] : &ignored) < 0) {
			ret = -EBADMSG;
			break;
		}
	}
	if (ret >= 0 && !is_junk(buf + ret, size - ret < MSG_SIZE_MAX ? size - ret : MSG_SIZE_MAX))
		ret = -EBADMSG;
	free(buf);
	return ret < 0 ? ret : i;
}

/* As wait_asleep(), for all of @n threads. */
static inline void wait_all_asleep(const struct call *call, int n, long nr)
{
	while (n--)
		wait_asleep(call[n].tid, nr);
}

/* A child that runs @what and exits with what that is; -1 if there is none. */
#define fork_child(what) ({ \
	pid_t pid_ = fork(); \
	\
	if (!pid_) \
		_exit(what); \
	pid_; \
})

/* What the child exited with; -signal if it was killed. */
static inline int child_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return -ECHILD;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif /* MPMCQ_OWN_TEST_H */
