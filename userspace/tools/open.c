// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finding and opening a queue, and the time to wait for it
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "mpmcq.h"

/* The path that @name stands for: below the mount, unless it has a '/'. */
static const char *path_of(const char *name)
{
	return strchr(name, '/') ? name : text(MOUNT "/%s", name);
}

const char *queue_path(void)
{
	return queue_name ? path_of(queue_name) : DEFAULT_QUEUE;
}

/* What the queue is called in messages. */
const char *queue_text(void)
{
	return printable(queue_path());
}

/* Returns what a command line needs between "mpmcq" and a command for this queue. */
const char *queue_option(void)
{
	return queue_name ? text(" -q %s", printable(queue_name)) : "";
}

struct place find_place(const char *name)
{
	const char *path = path_of(name);
	const char *slash = strrchr(path, '/');

	return (struct place){
		.path = path,
		.dir = slash == path ? "/" : text("%.*s", (int)(slash - path), path),
		.file = slash + 1,
	};
}

static bool is_module_missing(void)
{
	return !access("/sys/module", F_OK) && access("/sys/module/mpmcq", F_OK);
}

/* Returns why @dir can hold no queue, with the command that changes it; NULL if it can. */
const char *why_no_queues(const char *dir)
{
	bool is_mount = !strcmp(dir, MOUNT), missing = false;
	struct statfs fs;

	if (!statfs(dir, &fs)) {
		if (fs.f_type == MPMCQFS_MAGIC)
			return NULL;
	} else {
		missing = errno == ENOENT;
		if (!missing || !is_mount)
			return text("%s: %s", printable(dir), strerror(errno));
	}
	if (!is_mount)
		return text("%s is not a mounted mpmcqfs", printable(dir));
	return text("%s (as root: %s%smount -t " FSTYPE " " FSTYPE " " MOUNT ")",
		    is_module_missing() ? "the module is not loaded" :
					  "no mpmcqfs is mounted at " MOUNT,
		    is_module_missing() ? "modprobe mpmcq && " : "",
		    missing ? "mkdir " MOUNT " && " : "");
}

/* Returns why the kernel refuses this user to open @path, whose file is @st. */
static const char *why_no_access(const char *path, const struct stat *st, int flags)
{
	static const char *const wanted[] = { "reading", "writing", "reading and writing" };
	struct statvfs fs;

	if (!statvfs(path, &fs) && fs.f_flag & ST_NODEV)
		return "its file system is mounted with the option nodev";
	return text("Permission denied for %s (%s)", wanted[flags & O_ACCMODE], access_text(st));
}

/* Returns why open(2) of @path failed with @error. ENOTTY: it succeeded, on no queue. */
static const char *why_not_opened(const char *path, int flags, int error)
{
	bool is_default = !strcmp(path, DEFAULT_QUEUE);
	struct stat st;
	bool exists = !stat(path, &st);
	const char *why = NULL;

	if (is_default && (error == ENOENT || error == ENXIO) && is_module_missing())
		return "the module is not loaded (as root: modprobe mpmcq)";
	if (!is_default && (!exists || !strchr(queue_name, '/')))
		why = why_no_queues(find_place(queue_name).dir);
	if (why)
		return why;
	if (error == ENOTTY || (exists && !S_ISCHR(st.st_mode)))
		return "not a queue";
	if (error == ENOENT && !is_default)
		return text("no such queue (make it: mpmcq create %s)", printable(queue_name));
	if (error == ENXIO && !is_default)
		return "a device node without a queue (queues are files below " MOUNT ")";
	if (error == EACCES && exists)
		return why_no_access(path, &st, flags);
	return strerror(error);
}

/* Returns false and sets ENOTTY if @fd is not a queue. */
bool get_info(int fd, struct mpmcq_info *info)
{
	struct stat st;

	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	if (!fstat(fd, &st) && S_ISCHR(st.st_mode) && !ioctl(fd, MPMCQ_IOC_INFO, info))
		return true;
	errno = ENOTTY;
	return false;
}

/* Opens the queue that queue_name says.  Returns NULL, or why that failed. */
const char *try_open_queue(int flags, int *fd, struct mpmcq_info *info)
{
	const char *why;

	*fd = open(queue_path(), flags | OPEN_FLAGS);
	if (*fd < 0)
		return why_not_opened(queue_path(), flags, errno);
	if (*fd <= STDERR_FILENO)	/* what we print would go to the queue */
		why = "standard input, output or error is closed";
	else if (!get_info(*fd, info))
		why = why_not_opened(queue_path(), flags, errno);
	else
		return NULL;
	close(*fd);
	return why;
}

int open_queue(int flags, struct mpmcq_info *info)
{
	const char *why;
	int fd;

	why = try_open_queue(flags, &fd, info);
	if (why)
		errx(EXIT_FAILURE, "cannot open %s: %s", queue_text(), why);
	return fd;
}

/* Returns another open file of the queue @fd. */
int attach_queue(int fd, struct mpmcq_attach *attach)
{
	int attached;

	attach->size = sizeof(*attach);
	attached = mpmcq_attach_queue(fd, attach);
	if (attached == -EDQUOT || attached == -ENOSPC)
		errx(EXIT_FAILURE,
		     "%s: no memory to hold messages: parameters max_user_bytes, max_total_bytes (see: mpmcq list)",
		     queue_text());
	if (attached < 0)
		errx(EXIT_FAILURE, "%s: another open file: %s", queue_text(), strerror(-attached));
	return attached;
}

void *allocate(size_t size)
{
	void *p = malloc(size);

	if (!p)
		err(EXIT_FAILURE, NULL);
	return p;
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t now_ms(void)
{
	return now_ns() / 1000000;
}

/* Returns how much of timeout_ms is left, when @start is when it began; negative: no limit. */
int time_left(int64_t start)
{
	int64_t left = start + timeout_ms - now_ms();

	return timeout_ms < 0 ? -1 : left < 0 ? 0 : left;
}

/*
 * A call that waits for a time fails with EINTR when the program was stopped and goes on, and
 * would begin its time anew.  Sets the timeouts of @fd to what is left of timeout_ms, and returns
 * false if nothing is.
 */
bool set_time_left(int fd, int64_t start)
{
	int left = time_left(start), ret;
	struct mpmcq_info info;

	if (left <= 0)
		return left;
	if (!get_info(fd, &info))
		err(EXIT_FAILURE, "%s", queue_text());
	ret = mpmcq_set_mode(fd, &(struct mpmcq_mode){
		.size = sizeof(struct mpmcq_mode), .modes = info.modes, .max_held = info.max_held,
		.rcv_timeout_ms = left, .snd_timeout_ms = left, .priority = info.priority,
	});
	if (ret < 0)
		errx(EXIT_FAILURE, "%s: timeout: %s", queue_text(), strerror(-ret));
	return true;
}
