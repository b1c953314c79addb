// SPDX-License-Identifier: MIT
/*
 * What the module can do, and what is said if that is not enough
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"

#define LIB_VERSION	MPMCQ_VERSION_CODE(LIB_MAJOR, LIB_MINOR, LIB_PATCH)
#define TEXT_MAX	256

EXPORT unsigned int mpmcq_get_version(void)
{
	return LIB_VERSION;
}

static int ask(int fd, struct mpmcq_info *info)
{
	*info = (struct mpmcq_info){ .size = sizeof(*info) };
	return ioctl(fd, MPMCQ_IOC_INFO, info) < 0 ? -errno : 0;
}

/* A directory of mpmcqfs makes a queue to ask, because only queues answer. */
static int ask_by_new_queue(int dir, struct mpmcq_info *info)
{
	struct mpmcq_create create = {
		.size = sizeof(create), .capacity = 2, .msg_size = 1, .open_flags = O_RDWR,
	};
	int fd = ioctl(dir, MPMCQ_IOC_CREATE, &create), ret;

	if (fd < 0)
		return -errno;
	ret = ask(fd, info);
	close(fd);
	return ret;
}

bool mpmcq__is_queue(int fd)
{
	struct mpmcq_info info;

	return !ask(fd, &info);
}

/* @fd: a queue, or a directory of mpmcqfs. */
static int get_features(int fd, uint64_t *features)
{
	struct mpmcq_info info;
	int ret = ask(fd, &info);
	struct stat st;

	if (ret == -ENOTTY && !fstat(fd, &st) && S_ISDIR(st.st_mode))
		ret = ask_by_new_queue(fd, &info);
	*features = info.features;
	return ret;
}

/* Returns what a request that failed with @error is to fail with. */
static int explain(int fd, int error, uint64_t features)
{
	uint64_t has;

	if (error != ENOTTY && error != EINVAL && error != EOPNOTSUPP)
		return -error;
	if (!get_features(fd, &has) && features & ~has)
		return -ENOSYS;
	return error == ENOTTY ? -EBADF : -error;
}

/**
 * mpmcq__request() - make an ioctl(2) of the module
 * @fd: a queue, or a directory of mpmcqfs
 * @cmd: MPMCQ_IOC_INFO and the like
 * @args: a struct for it, which begins with its size
 * @features: what the module has to have for it
 *
 * Return: what the ioctl(2) returned, or a negative errno.
 */
int mpmcq__request(int fd, unsigned long cmd, void *args, uint64_t features)
{
	int ret = ioctl(fd, cmd, args);

	if (ret >= 0)
		return ret;
	/* The module does not know a field that is not 0. */
	if (errno == E2BIG && *(const uint32_t *)args <= ARGS_MAX)
		return -ENOSYS;
	return explain(fd, errno, features);
}

/* As mpmcq__request(), for those that take a number. */
int mpmcq__request_number(int fd, unsigned long cmd, unsigned long number, uint64_t features)
{
	int ret = ioctl(fd, cmd, number);

	return ret < 0 ? explain(fd, errno, features) : ret;
}

/**
 * mpmcq__copy_args() - copy a struct of a caller that was compiled with a shorter or longer one
 * @to: the library's struct, which begins with its size
 * @size: its size, in bytes
 * @from: the caller's struct, which begins with its size; that is not checked
 *
 * What the caller's struct lacks is 0.
 */
void mpmcq__copy_args(void *to, size_t size, const void *from)
{
	uint32_t has = *(const uint32_t *)from;

	memset(to, 0, size);
	memcpy(to, from, has < size ? has : size);
}

static const char *const names[] = {
	"packed", "lease", "dead", "close", "attach", "create", "files", "drop", "delay",
	"timeout", "start", "peek", "forward", "meta", "levels",
};

__attribute__((format(printf, 2, 3)))
static void add(char *text, const char *format, ...)
{
	size_t length = strlen(text);
	va_list args;

	va_start(args, format);
	vsnprintf(text + length, TEXT_MAX - length, format, args);
	va_end(args);
}

static void add_version(char *text, const char *what, uint32_t version)
{
	add(text, "%s %u.%u.%u", what, version >> 16, version >> 8 & 0xff, version & 0xff);
}

static void add_missing(char *text, uint64_t missing)
{
	add(text, ", which lacks");
	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (missing & 1ULL << i)
			add(text, " %s", names[i]);
		missing &= ~(1ULL << i);
	}
	if (missing)
		add(text, " 0x%llx", (unsigned long long)missing);
}

EXPORT int mpmcq_check_features(int fd, __u64 features, char *text, size_t size)
{
	char line[TEXT_MAX] = "";
	struct mpmcq_info info;

	if (ask(fd, &info))
		return -EBADF;
	features &= ~info.features;
	add_version(line, "libmpmcq", LIB_VERSION);
	add_version(line, ", module mpmcq", info.version);
	if (features)
		add_missing(line, features);
	if (text && size)
		snprintf(text, size, "%s", line);
	return features ? -ENOSYS : 0;
}
