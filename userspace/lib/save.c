// SPDX-License-Identifier: MIT
/*
 * Saving a queue: all its messages are copied where they are, and stay there until the file is on
 * the disk.  Nobody may take one meanwhile, which the counters of the queue tell.
 *
 * A message that a call has in hand is in no place where it could be copied.  Then the numbers of
 * free slots and of messages in all places do not add up to the capacity, and saving waits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"
#include "saved.h"

#define CHANGED	(-4096)	/* no errno: messages were moved meanwhile, so try again */
#define LOOK_MS	10	/* between two looks whether messages are held, and between tries */

static int info_of(int fd, struct mpmcq_info *info)
{
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	return mpmcq_get_info(fd, info);
}

/* --- messages --- */

/*
 * Returns the delay that a parked message had left when saving began.  Parked messages come in the
 * order in which they are due, and their delays keep that order, though each is told by the
 * millisecond and at another time.
 */
static uint32_t delay_of(struct saved *s, const struct mpmcq_peek *peek)
{
	int64_t delay = peek->delay_ms + mpmcq__now_ms() - s->begin_ms;

	if (peek->where != MPMCQ_PEEK_PARKED)
		return 0;
	if (delay > UINT32_MAX)
		delay = UINT32_MAX;
	if (s->last_delay_ms < delay)
		s->last_delay_ms = delay;
	return s->last_delay_ms;
}

static int save_message(struct saved *s, const struct mpmcq_peek *peek)
{
	struct saved_message message = {
		.where = peek->where, .len = peek->len, .deliveries = peek->deliveries,
		.delay_ms = delay_of(s, peek), .reason = peek->reason,
		.priority = peek->msg_priority,
	};
	int ret = mpmcq__saved_write(s, &message, sizeof(message));

	if (s->count == s->room)
		return CHANGED;
	s->seqs[s->count++] = peek->found;
	return ret ? ret : mpmcq__saved_write(s, (void *)(uintptr_t)peek->buf, peek->len);
}

/* Saves the messages of a kind, of one level if they are ready ones. */
static int save_kind(struct saved *s, int fd, uint32_t where, uint32_t level, void *buf,
		     size_t size)
{
	struct mpmcq_peek peek = {
		.size = sizeof(peek), .where = where, .priority = level,
		.buf = (uintptr_t)buf, .buf_len = size,
	};
	int ret;

	while (!(ret = mpmcq_peek_message(fd, &peek))) {
		ret = save_message(s, &peek);
		if (ret)
			return ret;
		if (where == MPMCQ_PEEK_PARKED) {
			peek.flags = MPMCQ_PEEK_NEXT;
			peek.seq = peek.found;
		} else {
			peek.position++;
		}
	}
	if (ret == -EAGAIN || ret == -ESTALE)
		return CHANGED;
	return ret == -ENOENT ? 0 : ret;
}

static int save_messages(struct saved *s, int fd, const struct mpmcq_info *info)
{
	char *buf = malloc(info->msg_size);
	int ret;

	if (!buf)
		return -ENOMEM;
	ret = save_kind(s, fd, MPMCQ_PEEK_DEAD, 0, buf, info->msg_size);
	if (!ret)
		ret = save_kind(s, fd, MPMCQ_PEEK_RETURNED, 0, buf, info->msg_size);
	for (uint32_t level = 0; !ret && level < info->levels; level++)
		ret = save_kind(s, fd, MPMCQ_PEEK_READY, level, buf, info->msg_size);
	if (!ret)
		ret = save_kind(s, fd, MPMCQ_PEEK_PARKED, 0, buf, info->msg_size);
	free(buf);
	return ret;
}

static int save_header(struct saved *s, int fd, const struct mpmcq_info *info)
{
	struct saved_header header = {
		.version = SAVED_VERSION, .flags = info->flags, .capacity = info->capacity,
		.msg_size = info->msg_size, .max_deliveries = info->max_deliveries,
		.lease_ms = info->lease_ms, .retry_ms = info->retry_ms,
		.retry_max_ms = info->retry_max_ms, .levels = info->levels,
	};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	memcpy(header.magic, SAVED_MAGIC, sizeof(header.magic));
	header.mode = st.st_mode & 0777;
	header.uid = st.st_uid;
	header.gid = st.st_gid;
	return mpmcq__saved_write(s, &header, sizeof(header));
}

static int save_end(struct saved *s)
{
	struct saved_message end = { .deliveries = s->count, .sum = s->sum };

	return mpmcq__saved_write(s, &end, sizeof(end));
}

/* --- the queue --- */

/*
 * Whether the queue was closed all the time, and nobody has done anything to the messages.  A
 * parked one may have become ready meanwhile: ready ones are copied first, so that one is in the
 * file once, or not at all.
 */
static bool is_unchanged(const struct mpmcq_info *a, const struct mpmcq_info *b)
{
	return a->closed && b->closed && a->sent == b->sent && a->received == b->received &&
	       a->returned == b->returned && a->set_aside == b->set_aside &&
	       a->suspected == b->suspected && a->dead == b->dead && a->leased == b->leased &&
	       a->parked + a->depth == b->parked + b->depth;
}

/* Returns 0 after a while, -EAGAIN if the time is over. */
static int pause_until(int64_t end)
{
	int left = mpmcq__left_until(end);

	if (!left)
		return -EAGAIN;
	return poll(NULL, 0, left > 0 && left < LOOK_MS ? left : LOOK_MS) < 0 ? -errno : 0;
}

/* Whether all messages are where they can be copied: no reader and no call has one. */
static bool is_quiet(const struct mpmcq_info *info)
{
	return !info->leased &&
	       info->free + info->depth + info->dead + info->parked == info->capacity;
}

/* Returns 0 when the queue is quiet. */
static int wait_for_quiet(int fd, int64_t end, struct mpmcq_info *info)
{
	int ret = info_of(fd, info);

	while (!ret && !is_quiet(info)) {
		ret = pause_until(end);
		if (!ret)
			ret = info_of(fd, info);
	}
	return ret;
}

static int compare_seqs(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/*
 * Whether no message is in the file twice.  A reader that takes a message and fails puts it behind
 * others, which no counter tells: then one is there twice, and another not at all.
 */
static bool are_all_different(struct saved *s)
{
	qsort(s->seqs, s->count, sizeof(*s->seqs), compare_seqs);
	for (uint32_t i = 1; i < s->count; i++)
		if (s->seqs[i] == s->seqs[i - 1])
			return false;
	return true;
}

static int save_content(struct saved *s, int fd, const struct mpmcq_info *before)
{
	struct mpmcq_info after;
	int ret = save_header(s, fd, before);

	if (!ret)
		ret = save_messages(s, fd, before);
	if (!ret)
		ret = save_end(s);
	if (!ret)
		ret = info_of(fd, &after);
	if (ret)
		return ret;
	if (!is_unchanged(before, &after) || !are_all_different(s) ||
	    s->count != after.depth + after.dead + after.parked)
		return CHANGED;
	if (fflush(s->file) || fsync(fileno(s->file)))
		return -errno;
	/* Readers may have come while the file went to the disk. */
	ret = info_of(fd, &after);
	return ret ? ret : is_unchanged(before, &after) ? 0 : CHANGED;
}

/* --- the file --- */

/**
 * struct target - where the content goes
 * @path: what the file is to be called
 * @temporary: what it is called until it is complete
 * @dir: descriptor of its directory
 * @file: it
 */
struct target {
	const char *path;
	char *temporary;
	int dir;
	FILE *file;
};

static int open_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash ? strdup(".") : strndup(path, slash == path ? 1 : slash - path);
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int ret = fd < 0 ? -errno : fd;

	free(dir);
	return ret;
}

/* A device or a link at @path would be gone: rename(2) replaces whatever is there. */
static int check_path(const char *path)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (S_ISREG(st.st_mode))
		return 0;
	return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
}

/* Opens a new file.  After an error close_target() closes what is open. */
static int open_target(struct target *t)
{
	int file, ret = check_path(t->path);

	if (ret)
		return ret;
	t->dir = open_dir(t->path);
	if (t->dir < 0)
		return t->dir;
	if (asprintf(&t->temporary, "%s.XXXXXX", t->path) < 0) {
		t->temporary = NULL;
		return -ENOMEM;
	}
	file = mkostemp(t->temporary, O_CLOEXEC);
	if (file < 0)
		return -errno;
	t->file = fdopen(file, "w");
	if (t->file)
		return 0;
	close(file);
	unlink(t->temporary);
	return -ENOMEM;
}

/* Gives the file its name, unless that failed already with @ret.  Returns what came of it. */
static int close_target(struct target *t, int ret)
{
	if (t->file) {
		fclose(t->file);
		if (ret >= 0 && rename(t->temporary, t->path) < 0)
			ret = -errno;
		if (ret < 0)
			unlink(t->temporary);
		else if (fsync(t->dir) < 0)
			ret = -errno;
	}
	free(t->temporary);
	if (t->dir >= 0)
		close(t->dir);
	return ret;
}

static int try_to_save(int fd, const struct target *t, int64_t end)
{
	struct saved s = { .file = t->file };
	struct mpmcq_info before;
	int ret = mpmcq_close_queue(fd, 0);

	if (!ret)
		ret = wait_for_quiet(fd, end, &before);
	if (ret)
		return ret;
	rewind(s.file);
	if (ftruncate(fileno(s.file), 0) < 0)
		return -errno;
	s.begin_ms = mpmcq__now_ms();
	s.room = before.capacity;
	s.seqs = calloc(s.room, sizeof(*s.seqs));
	ret = s.seqs ? save_content(&s, fd, &before) : -ENOMEM;
	free(s.seqs);
	return ret ? ret : (int)s.count;
}

static int save(int fd, const struct target *t, int64_t end)
{
	int ret, wait;

	while ((ret = try_to_save(fd, t, end)) == CHANGED) {
		wait = pause_until(end);
		if (wait)
			return wait == -EAGAIN ? -EBUSY : wait;
	}
	return ret;
}

/* Finds what would fail after the queue was closed, so that readers see no end for nothing. */
static int check_queue(int fd, int timeout_ms, const struct mpmcq_info *info)
{
	if (!(info->features & MPMCQ_FEATURE_PEEK))
		return -ENOSYS;
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR)
		return -EBADF;
	if (info->held)
		return -EDEADLK;
	return timeout_ms || !info->leased ? 0 : -EAGAIN;
}

EXPORT int mpmcq_save_queue(int fd, const char *path, int timeout_ms, unsigned int flags)
{
	int64_t end = mpmcq__end_of(timeout_ms);
	struct target target = { .path = path, .dir = -1 };
	struct mpmcq_info info;
	int ret;

	if (flags)
		return -EINVAL;
	ret = info_of(fd, &info);
	if (!ret)
		ret = check_queue(fd, timeout_ms, &info);
	if (ret)
		return ret;
	ret = open_target(&target);
	if (!ret)
		ret = save(fd, &target, end);
	ret = close_target(&target, ret);
	if (ret < 0 && !info.closed)
		mpmcq_reopen_queue(fd);
	return ret;
}
