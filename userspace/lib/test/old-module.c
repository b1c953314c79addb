// SPDX-License-Identifier: GPL-2.0-only
/*
 * The library on a module of version 0.1.0, which this file stands in for: each call says that the
 * module is too old, and no call returns ENOTTY.  Of the module that is loaded only the directory
 * is used.  Prints TAP.
 */
#define _GNU_SOURCE
#include <stdarg.h>

#include "tap.h"
#include "test.h"

#define OLD_VERSION	MPMCQ_VERSION_CODE(0, 1, 0)
#define OLD_FEATURES	(MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_CREATE)

static bool failed;
static int answer;	/* the errno of all requests but INFO */

void test_is(const char *file, int line, const char *what, long want, long got)
{
	if (want == got)
		return;
	printf("# %s:%d: %s: %ld instead of %ld\n", file, line, what, got, want);
	failed = true;
}

/* The linker puts this in the place of ioctl(). */
int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	struct mpmcq_info *info;
	va_list args;

	(void)fd;
	va_start(args, cmd);
	info = va_arg(args, struct mpmcq_info *);
	va_end(args);
	if (cmd == MPMCQ_IOC_INFO) {
		info->version = OLD_VERSION;
		info->features = OLD_FEATURES;
		return 0;
	}
	errno = answer;
	return -1;
}

static int create(const char *name, int open_flags)
{
	const struct mpmcq_create like = {
		.size = sizeof(like), .levels = 2, .open_flags = open_flags,
	};

	return name ? mpmcq_create_queue(name, &like) : mpmcq_create_private(&like);
}

/* Each call for which the old module lacks something, on a file that stands for a queue of it. */
static void each_call(int fd, int want)
{
	struct mpmcq_mode mode = { .size = sizeof(mode), .modes = MPMCQ_MODE_LEASE };
	struct mpmcq_attach attach = { .size = sizeof(attach), .open_flags = O_RDONLY };
	struct mpmcq_peek peek = { .size = sizeof(peek) };
	struct mpmcq_forward forward = { .size = sizeof(forward) };
	__u64 id = 1;

	IS(want, create("lib-a", 0));
	IS(want, create(NULL, O_RDWR));
	IS(want, mpmcq_set_mode(fd, &mode));
	mode = (struct mpmcq_mode){ .size = sizeof(mode), .modes = MPMCQ_MODE_META };
	IS(want, mpmcq_set_mode(fd, &mode));
	mode = (struct mpmcq_mode){ .size = sizeof(mode), .rcv_timeout_ms = 1 };
	IS(want, mpmcq_set_mode(fd, &mode));
	mode = (struct mpmcq_mode){ .size = sizeof(mode), .priority = 1 };
	IS(want, mpmcq_set_mode(fd, &mode));
	IS(want, mpmcq_attach_queue(fd, &attach));
	IS(want, mpmcq_settle_ids(fd, MPMCQ_SETTLE_ACK, 0, 0, &id, 1));
	IS(want, mpmcq_settle_all(fd, MPMCQ_SETTLE_NACK, MPMCQ_SETTLE_DELAY, 1));
	IS(want, mpmcq_forward_message(fd, &forward));
	IS(want, mpmcq_peek_message(fd, &peek));
	IS(want, mpmcq_revive_dead(fd, 0));
	IS(want, mpmcq_purge_dead(fd, 0));
	IS(-ENOSYS, mpmcq_save_queue(fd, "/tmp/lib-saved", 0, 0));
}

static void too_old(int fd)
{
	static const int answers[] = { ENOTTY, EINVAL, E2BIG, EOPNOTSUPP };

	for (unsigned int i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		answer = answers[i];
		each_call(fd, -ENOSYS);
	}
	answer = ENOTTY;
	IS(-ENOSYS, mpmcq_close_queue(fd, 0));
	IS(-ENOSYS, mpmcq_reopen_queue(fd));
}

/* Errors that have nothing to do with versions stay what they are. */
static void other_errors(int fd)
{
	static const int passed_on[] = {
		ENOMEM, ENFILE, ENOSPC, EACCES, EPERM, EAGAIN, EINTR, EOVERFLOW,
	};
	struct mpmcq_mode mode = { .size = sizeof(mode), .modes = MPMCQ_MODE_PACKED };

	answer = EINVAL;
	IS(-EINVAL, mpmcq_set_mode(fd, &mode));
	answer = EBUSY;
	IS(-EBUSY, mpmcq_set_mode(fd, &mode));
	for (unsigned int i = 0; i < sizeof(passed_on) / sizeof(*passed_on); i++) {
		answer = passed_on[i];
		each_call(fd, -answer);
	}
	mode.size = 5000;
	answer = E2BIG;
	IS(-E2BIG, mpmcq_set_mode(fd, &mode));
}

static void text(int fd)
{
	char line[256], want[256];

	snprintf(want, sizeof(want), "libmpmcq %u.%u.%u, module mpmcq %s",
		 mpmcq_get_version() >> 16, mpmcq_get_version() >> 8 & 0xff,
		 mpmcq_get_version() & 0xff, "0.1.0, which lacks peek levels");
	IS(-ENOSYS, mpmcq_check_features(fd, MPMCQ_FEATURE_LEVELS | MPMCQ_FEATURE_PEEK |
					 MPMCQ_FEATURE_PACKED, line, sizeof(line)));
	IS(0, strcmp(line, want));
	IS(0, mpmcq_check_features(fd, MPMCQ_FEATURE_PACKED, line, sizeof(line)));
}

static void run(const char *name, void (*test)(int fd))
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	failed = false;
	test(fd);
	tap_test(!failed, "%s", name);
	close(fd);
}

int main(void)
{
	tap_begin();
	run("an old module: each call says that it is too old, and none ENOTTY", too_old);
	run("an old module: other errors stay as they are", other_errors);
	run("an old module: one line has both versions, and what is missing", text);
	return tap_end() ? EXIT_SUCCESS : EXIT_FAILURE;
}
