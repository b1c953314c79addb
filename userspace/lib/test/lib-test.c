// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests of the library against a loaded module.  Prints TAP.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "tap.h"
#include "test.h"

static bool failed;
static char skipped[256];	/* why; empty if the test was not */

void test_is(const char *file, int line, const char *what, long want, long got)
{
	if (want == got)
		return;
	printf("# %s:%d: %s: %ld instead of %ld\n", file, line, what, got, want);
	failed = true;
}

void test_skip(const char *what, const char *why)
{
	snprintf(skipped, sizeof(skipped), "%s: %s", what, why);
}

void in_child(void (*run)(void))
{
	int status = -1;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		run();
		fflush(stdout);
		_exit(failed);
	}
	waitpid(pid, &status, 0);
	IS(0, status);
}

void own_mounts(void)
{
	IS(0, unshare(CLONE_NEWNS));
	IS(0, mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL));
}

void own_mount(const char *options)
{
	own_mounts();
	IS(0, mount("none", "/dev/mpmcqfs", "mpmcqfs", 0, options));
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	IS(strlen(text), write(fd, text, strlen(text)));
	close(fd);
}

int handle_nothing(int fd, const struct mpmcq_msg *msg, const void *data, void *arg)
{
	(void)fd;
	(void)msg;
	(void)data;
	(void)arg;
	return 0;
}

int make_private(struct mpmcq_create like)
{
	like.size = sizeof(like);
	return mpmcq_create_private(&like);
}

int make_named(const char *name, struct mpmcq_create like)
{
	like.size = sizeof(like);
	return mpmcq_create_queue(name, &like);
}

int attach(int fd, unsigned int modes, unsigned int max_held)
{
	struct mpmcq_attach args = {
		.size = sizeof(args), .open_flags = O_RDWR | O_NONBLOCK, .modes = modes,
		.max_held = max_held,
	};

	return mpmcq_attach_queue(fd, &args);
}

struct mpmcq_info info_of(int fd)
{
	struct mpmcq_info info = { .size = sizeof(info) };

	IS(0, mpmcq_get_info(fd, &info));
	return info;
}

int put(int fd, const char *text)
{
	return mpmcq_send(fd, text, strlen(text));
}

bool got(int fd, const char *text)
{
	char buf[SIZE];
	ssize_t length = mpmcq_receive(fd, buf, sizeof(buf));

	return length == (ssize_t)strlen(text) && !memcmp(buf, text, length);
}

int take(int fd, struct mpmcq_msg *msg, char *text)
{
	char buf[MPMCQ_MSG_SPACE(SIZE)];
	struct iovec iov;
	size_t offset = 0;
	ssize_t length = mpmcq_receive(fd, buf, sizeof(buf));

	if (length <= 0)
		return length;
	if (mpmcq_unpack_msgs(buf, length, &offset, msg, &iov, 1) != 1)
		return -EBADMSG;
	memcpy(text, iov.iov_base, iov.iov_len);
	text[iov.iov_len] = '\0';
	return iov.iov_len;
}

static void run(const struct test *test)
{
	for (; test->name; test++) {
		failed = false;
		*skipped = '\0';
		test->run();
		if (*skipped && !failed)
			tap_skip(test->name, skipped);
		else
			tap_test(!failed, "%s", test->name);
	}
}

/* In a program that was executed: nothing of the library's is open. */
static int count_queues(void)
{
	struct mpmcq_info info = { .size = sizeof(info) };
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += mpmcq_get_info(fd, &info) == 0;
	return n;
}

static const struct { const char *name; const struct test *tests; } groups[] = {
	{ "queues", queue_tests },
	{ "messages", message_tests },
	{ "leases", lease_tests },
	{ "stuck", stuck_tests },
	{ "saving", save_tests },
	{ "processes", process_tests },
	{ "denied", denied_tests },
	{ "memory", memory_tests },
};

static bool is_wanted(const char *group, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], group))
			return true;
	return argc == 1;
}

/* The arguments are the groups that are wanted; by default all are. */
int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--count-queues"))
		return count_queues();
	tap_begin();
	for (unsigned int i = 0; i < sizeof(groups) / sizeof(*groups); i++)
		if (is_wanted(groups[i].name, argc, argv))
			run(groups[i].tests);
	return tap_end() ? EXIT_SUCCESS : EXIT_FAILURE;
}
