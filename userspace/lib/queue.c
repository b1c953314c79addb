// SPDX-License-Identifier: MIT
/*
 * Queues: by name, without one, and what is done with them as a whole
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib.h"

#define MOUNT	"/dev/mpmcqfs"	/* a name without a '/' is a file in it */

/**
 * struct place - where a queue with a name is, or is to be
 * @file: its name in its directory, in @path
 * @path: its path
 * @dir: path of the directory
 */
struct place {
	const char *file;
	char path[PATH_MAX];
	char dir[PATH_MAX];
};

static int find_place(const char *name, struct place *place)
{
	const char *slash;
	int length;

	if (!*name)
		return -ENOENT;
	length = snprintf(place->path, sizeof(place->path), "%s%s",
			  strchr(name, '/') ? "" : MOUNT "/", name);
	if (length >= (int)sizeof(place->path))
		return -ENAMETOOLONG;
	slash = strrchr(place->path, '/');
	place->file = slash + 1;
	if (!*place->file)
		return -ENOENT;
	length = slash == place->path ? 1 : slash - place->path;
	memcpy(place->dir, place->path, length);
	place->dir[length] = '\0';
	return 0;
}

/* Returns a descriptor of the directory for queues at @path, which is opened with @flags. */
static int open_mpmcqfs(const char *path, int flags)
{
	int dir = open(path, flags | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (dir < 0)
		return errno == ENOENT || errno == ENOTDIR ? -ENODEV : -errno;
	if (!fstatfs(dir, &fs) && fs.f_type == MPMCQFS_MAGIC)
		return dir;
	close(dir);
	return -ENODEV;
}

/* Returns what an open of @place that failed with @error is to fail with. */
static int why_not_opened(const struct place *place, int error)
{
	struct statfs fs;

	if (error != ENOENT && error != ENOTDIR)
		return -error;
	if (!statfs(place->dir, &fs) && fs.f_type == MPMCQFS_MAGIC)
		return error == ENOTDIR ? -ENODEV : -error;
	return -ENODEV;
}

/* Whether a device with this number is of another module, as far as sysfs tells. */
static bool is_other_device(dev_t number)
{
	char path[64], subsystem[PATH_MAX];
	const char *name;
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/dev/char/%u:%u/subsystem", major(number), minor(number));
	length = readlink(path, subsystem, sizeof(subsystem) - 1);
	if (length < 0)
		return false;
	subsystem[length] = '\0';
	name = strrchr(subsystem, '/');
	return strcmp(name ? name + 1 : subsystem, "mpmcq");
}

/* Whether @found, opened with O_PATH, may be a queue. */
static bool may_be_queue(int found)
{
	struct statfs fs;
	struct stat st;

	if (fstat(found, &st) < 0 || !S_ISCHR(st.st_mode))
		return false;
	if (!fstatfs(found, &fs) && fs.f_type == MPMCQFS_MAGIC)
		return true;
	return !is_other_device(st.st_rdev);
}

/* Opens the file itself that was found, so that no other can take its place. */
static int open_found(int found, const struct place *place, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/thread-self/fd/%d", found);
	fd = open(path, flags | O_CLOEXEC | O_NOCTTY);
	/* There may be no procfs. */
	if (fd < 0 && errno == ENOENT)
		fd = open(place->path, flags | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return why_not_opened(place, errno);
	if (mpmcq__is_queue(fd))
		return fd;
	close(fd);
	return -ENODEV;
}

EXPORT int mpmcq_open(const char *name, int flags)
{
	struct place place;
	int found, ret;

	if (flags & ~(O_ACCMODE | O_NONBLOCK | O_CLOEXEC) || (flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	ret = find_place(name, &place);
	if (ret)
		return ret;
	found = open(place.path, O_PATH | O_CLOEXEC);
	if (found < 0)
		return why_not_opened(&place, errno);
	/* The open of another kind of file may wait, or have effects. */
	ret = may_be_queue(found) ? open_found(found, &place, flags) : -ENODEV;
	close(found);
	return ret;
}

/* --- making queues --- */

/*
 * Copies a struct of the caller, which may be shorter or longer than the library's.  Names are
 * arguments of their own.
 */
static int copy_config(struct mpmcq_create *to, const struct mpmcq_create *from)
{
	const char *bytes = (const char *)from;

	if (from->size > ARGS_MAX)
		return -E2BIG;
	if (from->size < MPMCQ_CREATE_SIZE_VER0)
		return -EINVAL;
	for (uint32_t i = sizeof(*to); i < from->size; i++)
		if (bytes[i])
			return -ENOSYS;
	mpmcq__copy_args(to, sizeof(*to), from);
	to->size = sizeof(*to);
	return to->name ? -EINVAL : 0;
}

static uint64_t features_of(const struct mpmcq_create *create)
{
	uint64_t features = MPMCQ_FEATURE_CREATE;

	if (create->name)
		features |= MPMCQ_FEATURE_FILES;
	if (create->flags & MPMCQ_DROP_OLDEST)
		features |= MPMCQ_FEATURE_DROP;
	if (create->flags & MPMCQ_DELAY || create->retry_ms)
		features |= MPMCQ_FEATURE_DELAY;
	if (create->flags & MPMCQ_START_LEASE)
		features |= MPMCQ_FEATURE_START;
	if (create->flags & MPMCQ_STAMP)
		features |= MPMCQ_FEATURE_META;
	if (create->levels > 1)
		features |= MPMCQ_FEATURE_LEVELS;
	return features;
}

/* Makes a queue by @fd, of a directory or a queue, which is closed.  A negative @fd is an error. */
static int create_by(int fd, struct mpmcq_create *create)
{
	int ret;

	if (fd < 0)
		return fd;
	ret = mpmcq__request(fd, MPMCQ_IOC_CREATE, create, features_of(create));
	close(fd);
	return ret;
}

EXPORT int mpmcq_create_queue(const char *name, const struct mpmcq_create *config)
{
	struct mpmcq_create create;
	struct place place;
	int ret = copy_config(&create, config);

	if (!ret)
		ret = find_place(name, &place);
	if (ret)
		return ret;
	create.name = (uintptr_t)place.file;
	return create_by(open_mpmcqfs(place.dir, O_RDONLY), &create);
}

/* Returns a descriptor of the module by which a queue without a name can be made. */
static int open_module(void)
{
	int fd = open_mpmcqfs(MOUNT, O_RDONLY), other;

	if (fd >= 0)
		return fd;
	other = mpmcq_open("/dev/mpmcq", O_RDONLY);
	if (other == -EACCES)
		other = mpmcq_open("/dev/mpmcq", O_WRONLY);
	return other == -ENODEV || other == -ENXIO ? fd : other;
}

EXPORT int mpmcq_create_private(const struct mpmcq_create *config)
{
	struct mpmcq_create create;
	int ret = copy_config(&create, config);

	return ret ? ret : create_by(open_module(), &create);
}

/* Describes the file of a queue.  Takes no descriptor. */
int mpmcq__stat_queue(const char *name, struct stat *st)
{
	struct place place;
	int ret = find_place(name, &place);

	return ret ? ret : stat(place.path, st) < 0 ? -errno : 0;
}

EXPORT int mpmcq_remove_queue(const char *name)
{
	struct place place;
	int dir, ret;

	ret = find_place(name, &place);
	if (ret)
		return ret;
	dir = open_mpmcqfs(place.dir, O_PATH);
	if (dir < 0)
		return dir;
	ret = unlinkat(dir, place.file, 0) < 0 ? -errno : 0;
	close(dir);
	return ret;
}

/* --- queues that are open --- */

static uint64_t features_of_modes(uint32_t modes, uint32_t timeouts, uint32_t priority)
{
	uint64_t features = 0;

	if (timeouts)
		features |= MPMCQ_FEATURE_TIMEOUT;
	if (priority)
		features |= MPMCQ_FEATURE_LEVELS;
	if (modes & MPMCQ_MODE_PACKED)
		features |= MPMCQ_FEATURE_PACKED;
	if (modes & MPMCQ_MODE_LEASE)
		features |= MPMCQ_FEATURE_LEASE;
	if (modes & MPMCQ_MODE_DEAD)
		features |= MPMCQ_FEATURE_DEAD;
	if (modes & MPMCQ_MODE_META)
		features |= MPMCQ_FEATURE_META;
	return features;
}

EXPORT int mpmcq_attach_queue(int fd, const struct mpmcq_attach *attach)
{
	struct mpmcq_attach args;
	uint64_t features;

	mpmcq__copy_args(&args, sizeof(args), attach);
	features = MPMCQ_FEATURE_ATTACH |
		   features_of_modes(args.modes, args.rcv_timeout_ms | args.snd_timeout_ms,
				     args.priority);
	return mpmcq__request(fd, MPMCQ_IOC_ATTACH, (void *)attach, features);
}

EXPORT int mpmcq_get_info(int fd, struct mpmcq_info *info)
{
	return mpmcq__request(fd, MPMCQ_IOC_INFO, info, 0);
}

EXPORT int mpmcq_set_mode(int fd, const struct mpmcq_mode *mode)
{
	struct mpmcq_mode args;
	uint64_t features;

	mpmcq__copy_args(&args, sizeof(args), mode);
	features = features_of_modes(args.modes, args.rcv_timeout_ms | args.snd_timeout_ms,
				     args.priority);
	return mpmcq__request(fd, MPMCQ_IOC_MODE, (void *)mode, features);
}

EXPORT int mpmcq_close_queue(int fd, unsigned int flags)
{
	uint64_t features = MPMCQ_FEATURE_CLOSE;

	if (flags & MPMCQ_CLOSE_DUE)
		features |= MPMCQ_FEATURE_DELAY;
	return mpmcq__request_number(fd, MPMCQ_IOC_CLOSE, flags, features);
}

EXPORT int mpmcq_reopen_queue(int fd)
{
	return mpmcq__request_number(fd, MPMCQ_IOC_REOPEN, 0, MPMCQ_FEATURE_CLOSE);
}
