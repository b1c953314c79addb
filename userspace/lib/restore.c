// SPDX-License-Identifier: MIT
/*
 * Restoring a queue.
 *
 * A message gets its deliveries by being delivered that often, because no call sets them.  So the
 * file is read three times:
 *
 * 1. The sum is checked, before anything is done.
 * 2. Each dead message is sent, delivered and set aside.  Each other one that was delivered, or
 *    returned, is sent, delivered, and then kept under lease.  Whatever is sent is taken at once,
 *    so the next read delivers the message that was sent last.
 * 3. In the order of the file, what was kept is given back to where it was, and all else is sent.
 *    An extra delivery is what it is kept by, and that is taken back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"
#include "saved.h"

/**
 * struct keeper - an open file that keeps messages under lease
 * @fd: it
 * @count: how many it keeps
 * @ids: of the deliveries
 */
struct keeper {
	int fd;
	unsigned int count;
	__u64 ids[MPMCQ_MAX_HELD_MAX];
};

/**
 * struct restore - a queue that is being restored
 * @saved: the file
 * @header: the header of the file
 * @sum: the sum at the end of the file, when it was read before; else 0
 * @fd: descriptor of the queue, without modes
 * @packed: another open file of the queue, packed, for writing
 * @reader: another open file, which holds a message while it is delivered
 * @keepers: open files that hold messages, in the order of the file
 * @keeper_count: number of keepers
 * @given: how many messages were given back by keepers
 * @renew_at: when to renew all leases, by mpmcq__now_ms()
 * @message: of the file, the last one read
 * @data: its bytes
 * @buf: for a packed read of one
 */
struct restore {
	struct saved saved;
	struct saved_header header;
	uint64_t sum;
	int fd;
	int packed;
	int reader;
	struct keeper **keepers;
	unsigned int keeper_count;
	unsigned int given;
	int64_t renew_at;
	struct saved_message message;
	char *data;
	char *buf;
};

/* --- reading the file --- */

static bool is_possible(const struct restore *r, const struct saved_message *m)
{
	uint32_t max = r->header.max_deliveries;

	if (m->where > MPMCQ_PEEK_PARKED || !m->len || m->len > r->header.msg_size ||
	    m->priority >= r->header.levels || m->deliveries > MPMCQ_MAX_DELIVERIES_MAX)
		return false;
	if (m->where != MPMCQ_PEEK_DEAD)
		return !max || m->deliveries < max;
	if (m->reason == MPMCQ_REASON_DELIVERIES)
		return max && m->deliveries == max;
	return !max || m->deliveries <= max;
}

static bool is_end(const struct restore *r, const struct saved_message *m, uint64_t sum)
{
	struct saved_message end = { .deliveries = r->saved.count, .sum = sum };

	return !memcmp(m, &end, sizeof(end)) && fgetc(r->saved.file) == EOF;
}

/* Returns 1 with a message, 0 at a good end. */
static int next_message(struct restore *r)
{
	struct saved_message *m = &r->message;
	uint64_t sum = r->saved.sum;
	int ret = mpmcq__saved_read(&r->saved, m, sizeof(*m));

	if (ret)
		return ret;
	if (!m->where)
		return is_end(r, m, sum) ? 0 : -EBADMSG;
	if (!is_possible(r, m) || r->saved.count == r->header.capacity)
		return -EBADMSG;
	r->saved.count++;
	ret = mpmcq__saved_read(&r->saved, r->data, m->len);
	return ret ? ret : 1;
}

/*
 * Reads the header, from the beginning of the file.  Buffers are as large as the first one said, so
 * a file that another program has changed since is refused.
 */
static int begin(struct restore *r)
{
	struct saved_header header;
	int ret;

	rewind(r->saved.file);
	r->saved.sum = 0;
	r->saved.count = 0;
	ret = mpmcq__saved_read(&r->saved, &header, sizeof(header));
	if (ret)
		return ret;
	if (memcmp(header.magic, SAVED_MAGIC, sizeof(header.magic)))
		return -EBADMSG;
	if (header.version != SAVED_VERSION)
		return -ENOSYS;
	/* Flags of the call, such as MPMCQ_EXIST_OK, are never those of a queue. */
	if (header.flags >= MPMCQ_EXIST_OK || header.msg_size > 65536 || header.reserved ||
	    header.levels > MPMCQ_LEVELS_MAX || header.mode > 0777)
		return -EBADMSG;
	if (r->data && memcmp(&header, &r->header, sizeof(header)))
		return -EBADMSG;
	r->header = header;
	return 0;
}

typedef int (*step_fn)(struct restore *r);

/* Calls @step for each message.  A file that has changed since the last time is refused. */
static int walk_messages(struct restore *r, step_fn step)
{
	int ret = begin(r);

	if (ret)
		return ret;
	while ((ret = next_message(r)) > 0) {
		ret = step(r);
		if (ret)
			return ret;
	}
	if (!ret && r->sum && r->sum != r->saved.sum)
		return -EBADMSG;
	r->sum = r->saved.sum;
	return ret;
}

static int check(struct restore *r)
{
	(void)r;
	return 0;
}

/* --- sending, delivering --- */

static int send_one(const struct restore *r, uint32_t delay_ms)
{
	struct mpmcq_msg msg = { .priority = r->message.priority, .delay_ms = delay_ms };
	struct iovec iov = { r->data, r->message.len };
	int ret = mpmcq_send_msgs(r->packed, &msg, &iov, 1);

	/* There is room for all that was saved, unless others send. */
	return ret == 1 ? 0 : ret == -EAGAIN ? -EBUSY : ret;
}

/* Receives the one message that there is, by @fd.  Returns 0, or -EBUSY if it is another. */
static int take_one(const struct restore *r, int fd, __u64 *id)
{
	struct mpmcq_msg msg;
	struct iovec iov;
	size_t offset = 0;
	ssize_t length = mpmcq_receive(fd, r->buf, MPMCQ_MSG_SPACE(r->header.msg_size));

	if (length < 0)
		return length == -EAGAIN ? -EBUSY : length;
	if (mpmcq_unpack_msgs(r->buf, length, &offset, &msg, &iov, 1) != 1 ||
	    offset != (size_t)length || msg.len != r->message.len ||
	    memcmp(iov.iov_base, r->data, msg.len))
		return -EBUSY;
	*id = msg.id;
	return 0;
}

static int settle_one(int fd, unsigned int op, unsigned int flags, unsigned int delay_ms, __u64 id)
{
	int ret = mpmcq_settle_ids(fd, op, flags, delay_ms, &id, 1);

	/* The lease has ended meanwhile. */
	return ret == 1 ? 0 : ret ? ret : -EBUSY;
}

/* Renews all leases several times in lease_ms, where they end by themselves. */
static int renew(struct restore *r)
{
	int ret = 0;

	if (!r->header.lease_ms || mpmcq__now_ms() < r->renew_at)
		return 0;
	r->renew_at = mpmcq__now_ms() + r->header.lease_ms / 8;
	for (unsigned int i = 0; ret >= 0 && i < r->keeper_count; i++)
		ret = mpmcq_settle_all(r->keepers[i]->fd, MPMCQ_SETTLE_TOUCH, 0, 0);
	return ret < 0 ? ret : 0;
}

/* Delivers the message so often, each time to be read again before all others. */
static int deliver(struct restore *r, uint32_t times)
{
	__u64 id;
	int ret = 0;

	while (!ret && times--) {
		ret = renew(r);
		if (!ret)
			ret = take_one(r, r->reader, &id);
		if (!ret)
			ret = settle_one(r->reader, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_FRONT, 0, id);
	}
	return ret;
}

static int restore_dead(struct restore *r)
{
	uint32_t deliveries = r->message.deliveries;
	__u64 id;
	int ret = send_one(r, 0);

	if (ret)
		return ret;
	if (r->message.reason == MPMCQ_REASON_DELIVERIES)
		return deliver(r, deliveries);
	ret = deliver(r, deliveries ? deliveries - 1 : 0);
	if (!ret)
		ret = take_one(r, r->reader, &id);
	return ret ? ret : settle_one(r->reader, MPMCQ_SETTLE_REJECT, 0, 0, id);
}

/* --- keeping --- */

static int attach(const struct restore *r, uint32_t open_flags, uint32_t modes, uint32_t max_held)
{
	struct mpmcq_attach args = {
		.size = sizeof(args), .open_flags = open_flags | O_NONBLOCK, .modes = modes,
		.max_held = max_held,
	};

	return mpmcq_attach_queue(r->fd, &args);
}

/* Returns the keeper of the next message, NULL and a negative errno in @ret if there is none. */
static struct keeper *find_keeper(struct restore *r, int *ret)
{
	struct keeper *keeper, **keepers;

	if (r->keeper_count) {
		keeper = r->keepers[r->keeper_count - 1];
		if (keeper->count < MPMCQ_MAX_HELD_MAX)
			return keeper;
	}
	*ret = -ENOMEM;
	keepers = reallocarray(r->keepers, r->keeper_count + 1, sizeof(*keepers));
	if (!keepers)
		return NULL;
	r->keepers = keepers;
	keeper = calloc(1, sizeof(*keeper));
	if (!keeper)
		return NULL;
	keeper->fd = attach(r, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, MPMCQ_MAX_HELD_MAX);
	if (keeper->fd < 0) {
		*ret = keeper->fd;
		free(keeper);
		return NULL;
	}
	r->keepers[r->keeper_count++] = keeper;
	return keeper;
}

static bool is_to_be_kept(const struct saved_message *m)
{
	return m->deliveries || m->where == MPMCQ_PEEK_RETURNED;
}

static int keep(struct restore *r)
{
	struct keeper *keeper;
	int ret;

	keeper = find_keeper(r, &ret);
	if (!keeper)
		return ret;
	ret = send_one(r, 0);
	if (!ret)
		ret = deliver(r, r->message.deliveries);
	if (!ret)
		ret = take_one(r, keeper->fd, &keeper->ids[keeper->count]);
	if (!ret)
		keeper->count++;
	return ret;
}

/* Step 2. */
static int prepare(struct restore *r)
{
	int ret = renew(r);

	if (ret)
		return ret;
	if (r->message.where == MPMCQ_PEEK_DEAD)
		return restore_dead(r);
	return is_to_be_kept(&r->message) ? keep(r) : 0;
}

/* --- giving back --- */

/* Gives back the next message that was kept, to where it was. */
static int put_back(struct restore *r)
{
	const struct saved_message *m = &r->message;
	uint32_t number = r->given++, flags = MPMCQ_SETTLE_UNTRIED;
	const struct keeper *keeper;
	__u64 id;

	/* The file may have changed since the messages were kept. */
	if (number / MPMCQ_MAX_HELD_MAX >= r->keeper_count)
		return -EBADMSG;
	keeper = r->keepers[number / MPMCQ_MAX_HELD_MAX];
	if (number % MPMCQ_MAX_HELD_MAX >= keeper->count)
		return -EBADMSG;
	id = keeper->ids[number % MPMCQ_MAX_HELD_MAX];
	if (m->where == MPMCQ_PEEK_RETURNED)
		flags |= MPMCQ_SETTLE_FRONT;
	else if (m->delay_ms)
		flags |= MPMCQ_SETTLE_DELAY;
	return settle_one(keeper->fd, MPMCQ_SETTLE_NACK, flags, m->delay_ms, id);
}

/* Step 3. */
static int place(struct restore *r)
{
	int ret = renew(r);

	if (ret || r->message.where == MPMCQ_PEEK_DEAD)
		return ret;
	return is_to_be_kept(&r->message) ? put_back(r) : send_one(r, r->message.delay_ms);
}

static void end_keepers(struct restore *r)
{
	for (unsigned int i = 0; i < r->keeper_count; i++) {
		close(r->keepers[i]->fd);
		free(r->keepers[i]);
	}
	free(r->keepers);
}

/* --- the queue --- */

/* Only the caller may open it until it is complete. */
static int create(const struct restore *r, const char *name)
{
	struct mpmcq_create create = {
		.size = sizeof(create), .flags = r->header.flags, .capacity = r->header.capacity,
		.msg_size = r->header.msg_size, .max_deliveries = r->header.max_deliveries,
		.lease_ms = r->header.lease_ms, .retry_ms = r->header.retry_ms,
		.retry_max_ms = r->header.retry_max_ms, .levels = r->header.levels, .mode = 0600,
	};

	return mpmcq_create_queue(name, &create);
}

/* Only root may give a queue to others; what the caller may not set stays as it is. */
static int set_access(const struct restore *r)
{
	const struct saved_header *h = &r->header;
	struct stat st;

	if (fstat(r->fd, &st) < 0)
		return -errno;
	if ((st.st_uid != h->uid || st.st_gid != h->gid) && fchown(r->fd, h->uid, h->gid) < 0 &&
	    fchown(r->fd, -1, h->gid) < 0 && errno != EPERM && errno != EINVAL)
		return -errno;
	return fchmod(r->fd, h->mode) < 0 ? -errno : 0;
}

static int fill(struct restore *r)
{
	int ret;

	r->packed = attach(r, O_WRONLY, MPMCQ_MODE_PACKED, 0);
	if (r->packed < 0)
		return r->packed;
	r->reader = attach(r, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 1);
	if (r->reader < 0)
		return r->reader;
	ret = walk_messages(r, prepare);
	if (!ret)
		ret = walk_messages(r, place);
	return ret ? ret : set_access(r);
}

/* Removes the name of the queue, unless it has become that of another.  Closes the queue. */
static void remove_queue(const struct restore *r, const char *name)
{
	struct stat ours, st;
	bool is_ours = true;

	if (r->fd >= 0) {
		is_ours = !fstat(r->fd, &ours) && !mpmcq__stat_queue(name, &st) &&
			  st.st_ino == ours.st_ino && st.st_dev == ours.st_dev;
		/* There may be no other descriptor. */
		close(r->fd);
	}
	if (is_ours)
		mpmcq_remove_queue(name);
}

/* Returns a descriptor of the queue. */
static int restore_queue(struct restore *r, const char *name)
{
	int ret = create(r, name);

	if (ret)
		return ret;
	r->fd = mpmcq_open(name, O_RDWR);
	ret = r->fd < 0 ? r->fd : fill(r);
	if (r->packed >= 0)
		close(r->packed);
	if (r->reader >= 0)
		close(r->reader);
	end_keepers(r);
	if (!ret)
		return r->fd;
	remove_queue(r, name);
	return ret;
}

/* Reads the whole file once, before the queue is made. */
static int restore(struct restore *r, const char *name)
{
	int ret = begin(r);

	if (ret)
		return ret;
	r->data = malloc(r->header.msg_size);
	r->buf = malloc(MPMCQ_MSG_SPACE(r->header.msg_size));
	ret = r->data && r->buf ? walk_messages(r, check) : -ENOMEM;
	if (!ret)
		ret = restore_queue(r, name);
	free(r->data);
	free(r->buf);
	return ret;
}

EXPORT int mpmcq_restore_queue(const char *path, const char *name, unsigned int flags)
{
	struct restore r = { .fd = -1, .packed = -1, .reader = -1 };
	int ret;

	if (flags)
		return -EINVAL;
	r.saved.file = fopen(path, "re");
	if (!r.saved.file)
		return -errno;
	ret = restore(&r, name);
	fclose(r.saved.file);
	return ret;
}
