// SPDX-License-Identifier: MIT
/*
 * Saving a queue: all its messages are copied where they are, and stay there until the file is on
 * the disk.  Nobody may take one meanwhile, which the counters of the queue tell.
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

#define LOOK_MS	10	/* between two looks whether readers hold messages yet */

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

	s->count++;
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
		return -EBUSY;
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
		.magic = SAVED_MAGIC, .flags = info->flags, .capacity = info->capacity,
		.msg_size = info->msg_size, .max_deliveries = info->max_deliveries,
		.lease_ms = info->lease_ms, .retry_ms = info->retry_ms,
		.retry_max_ms = info->retry_max_ms, .levels = info->levels,
	};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	header.mode = st.st_mode & 0777;
	return mpmcq__saved_write(s, &header, sizeof(header));
}

static int save_end(struct saved *s)
{
	struct saved_message end = { .deliveries = s->count, .sum = s->sum };

	return mpmcq__saved_write(s, &end, sizeof(end));
}

/* --- the queue --- */

/*
 * Whether nobody has done anything to the messages.  A parked one may have become ready meanwhile:
 * ready ones are copied first, so that one is in the file once, or not at all.
 */
static bool is_unchanged(const struct mpmcq_info *a, const struct mpmcq_info *b)
{
	return a->closed == b->closed && a->sent == b->sent && a->received == b->received &&
	       a->returned == b->returned && a->set_aside == b->set_aside &&
	       a->suspected == b->suspected && a->dead == b->dead && a->leased == b->leased &&
	       a->parked + a->depth == b->parked + b->depth;
}

/* Returns 0 when no reader holds a message. */
static int wait_for_leases(int fd, int64_t end, struct mpmcq_info *info)
{
	int ret, left;

	for (;;) {
		ret = info_of(fd, info);
		if (ret || !info->leased)
			return ret;
		left = mpmcq__left_until(end);
		if (!left)
			return -EAGAIN;
		if (poll(NULL, 0, left > 0 && left < LOOK_MS ? left : LOOK_MS) < 0)
			return -errno;
	}
}

/* Writes the whole content, and returns 0 if that is what the queue has still. */
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
	if (!is_unchanged(before, &after) || s->count != after.depth + after.dead + after.parked)
		return -EBUSY;
	if (fflush(s->file) || fsync(fileno(s->file)))
		return -errno;
	return 0;
}

/* --- the file --- */

static int sync_dir(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *dir = !slash ? strdup(".") : strndup(path, slash == path ? 1 : slash - path);
	int fd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int ret = fd < 0 || fsync(fd) ? -errno : 0;

	free(dir);
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Makes the new file in the place of the old one, if readers have left the queue alone. */
static int put_in_place(int fd, const char *temporary, const char *path,
			const struct mpmcq_info *before)
{
	struct mpmcq_info after;
	int ret = info_of(fd, &after);

	if (!ret && !is_unchanged(before, &after))
		ret = -EBUSY;
	if (ret)
		return ret;
	return rename(temporary, path) < 0 ? -errno : sync_dir(path);
}

static int save_to(int fd, char *temporary, const char *path, const struct mpmcq_info *before)
{
	struct saved s = { .begin_ms = mpmcq__now_ms() };
	int file = mkostemp(temporary, O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	s.file = fdopen(file, "w");
	if (s.file) {
		ret = save_content(&s, fd, before);
		fclose(s.file);
	} else {
		ret = -errno;
		close(file);
	}
	if (!ret)
		ret = put_in_place(fd, temporary, path, before);
	if (ret) {
		unlink(temporary);
		return ret;
	}
	return s.count;
}

static int try_to_save(int fd, const char *path, int64_t end)
{
	struct mpmcq_info before;
	char *temporary;
	int ret = wait_for_leases(fd, end, &before);

	if (ret)
		return ret;
	if (asprintf(&temporary, "%s.XXXXXX", path) < 0)
		return -ENOMEM;
	ret = save_to(fd, temporary, path, &before);
	free(temporary);
	return ret;
}

static int save(int fd, const char *path, int64_t end)
{
	int ret;

	do
		ret = try_to_save(fd, path, end);
	while (ret == -EBUSY && mpmcq__left_until(end));
	return ret;
}

EXPORT int mpmcq_save_queue(int fd, const char *path, int timeout_ms)
{
	int64_t end = mpmcq__end_of(timeout_ms);
	struct mpmcq_info info;
	int ret = info_of(fd, &info);

	if (!ret && !(info.features & MPMCQ_FEATURE_PEEK))
		ret = -ENOSYS;
	if (!ret)
		ret = mpmcq_close_queue(fd, 0);
	if (ret)
		return ret;
	ret = save(fd, path, end);
	if (ret < 0 && !info.closed)
		mpmcq_reopen_queue(fd);
	return ret;
}
