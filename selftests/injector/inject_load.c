// SPDX-License-Identifier: GPL-2.0-only
/*
 * Failures while the module is loaded, and what kmemleak says of queues that live.
 *
 * Loading is tested if MPMCQ_RELOAD=1 allows that and MPMCQ_KO is the module's file; in the end
 * it is loaded as it was.
 */

#include "data.h"

FIXTURE(load)
{
	char as_found[100];
	char mounts[64];	/* list of mounts, as in /proc/self/mounts */
};

/* Where works() mounts; what is there else is hidden for a moment. */
#define PLACE		"/mnt"

/* The module's file */
static void *image;
static size_t image_size;

static int load_module(const char *parameters)
{
	return result(syscall(SYS_init_module, image, image_size, parameters));
}

static int unload_module(void)
{
	return result(syscall(SYS_delete_module, "mpmcq", O_NONBLOCK));
}

/* Nothing is left of it, nor of its device numbers. */
static bool module_gone(void)
{
	char text[4096];

	if (!access("/sys/module/mpmcq", F_OK) || !access("/sys/class/mpmcq", F_OK) ||
	    !access(DEVICE, F_OK))
		return false;
	return read_text("/proc/devices", text, sizeof(text)) && !strstr(text, " mpmcq\n") &&
	       read_text("/proc/filesystems", text, sizeof(text)) && !strstr(text, "\tmpmcqfs\n");
}

static bool works(void)
{
	int fd = open(DEVICE, O_RDWR | O_NONBLOCK);
	bool ok = fd >= 0 && takes_messages(fd) && !mount_queues(PLACE, 0, NULL) &&
		  !umount2(PLACE, 0);

	close(fd);
	return ok;
}

/* Unmounts all of mpmcqfs, and notes in file @list what that was. */
static bool unmount_all(const char *list)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "grep ' mpmcqfs ' /proc/self/mounts >%s; umount -a -t mpmcqfs", list);
	return !system(command);
}

static bool mount_all(const char *list)
{
	char command[300];

	snprintf(command, sizeof(command),
		 "while read -r name path type options rest; do mount -t mpmcqfs -o \"$options\" \"$name\" \"$(printf %%b \"$path\")\" || exit; done <%s",
		 list);
	return !system(command);
}

FIXTURE_SETUP(load)
{
	const char *allowed = getenv("MPMCQ_RELOAD"), *path = getenv("MPMCQ_KO");
	int file;

	strcpy(self->mounts, "/tmp/mpmcq-mounts-XXXXXX");
	if (!allowed || strcmp(allowed, "1") || !path)
		SKIP(return, "MPMCQ_RELOAD=1 and MPMCQ_KO would allow me to reload the module");
	file = open(path, O_RDONLY);
	ASSERT_LE(0, file);
	image_size = lseek(file, 0, SEEK_END);
	image = malloc(image_size);
	ASSERT_NE(NULL, image);
	ASSERT_EQ(image_size, pread(file, image, image_size, 0));
	close(file);
	snprintf(self->as_found, sizeof(self->as_found), "capacity=%ld msg_size=%ld lease_ms=%ld",
		 read_number(PARAMETERS "capacity"), read_number(PARAMETERS "msg_size"),
		 read_number(PARAMETERS "lease_ms"));
	file = mkstemp(self->mounts);
	ASSERT_LE(0, file);
	close(file);
	ASSERT_TRUE(unmount_all(self->mounts));
	ASSERT_TRUE(injection_begin());
	ASSERT_EQ(0, unload_module());
}

FIXTURE_TEARDOWN(load)
{
	injection_end();
	EXPECT_EQ(0, load_module(self->as_found));
	EXPECT_TRUE(mount_all(self->mounts));
	unlink(self->mounts);
}

/* Loads the module with the @nth point failing; whether there is such a point. */
static bool load_failing(struct __test_metadata *_metadata, unsigned int nth, int *failed)
{
	bool injected;
	int ret;

	ASSERT_TRUE(arm(nth));
	ret = load_module("capacity=2 msg_size=16");
	injected = !disarm();
	if (!ret) {
		EXPECT_TRUE(works()) TH_LOG("point %u", nth);
		ASSERT_EQ(0, unload_module()) TH_LOG("point %u", nth);
	} else {
		EXPECT_TRUE(injected);
		EXPECT_EQ(-ENOMEM, ret) TH_LOG("point %u", nth);
		++*failed;
	}
	ASSERT_TRUE(module_gone()) TH_LOG("point %u: something is left after %d", nth, ret);
	return injected;
}

#define FIRST_OF_OURS	32	/* up to where the module's numbers and class are registered */
#define TRIES		3

/* How many points the kernel has before it calls the module, which differs: in @most, too. */
static unsigned int points_before(struct __test_metadata *_metadata, unsigned int *most)
{
	unsigned int i, n, least = POINTS_MAX;

	*most = 0;
	for (i = 0; i < TRIES; i++) {
		ASSERT_TRUE(arm(POINTS_MAX));
		/* Fails before it has allocated anything. */
		ASSERT_EQ(-EINVAL, load_module("capacity=3"));
		n = POINTS_MAX - disarm();
		least = n < least ? n : least;
		*most = n > *most ? n : *most;
	}
	return least;
}

/*
 * What the kernel does before it calls the module is not ours to try, and some of it
 * complains; a few of it are tried, as not every load takes as many.  For the same reason
 * one of ours may be passed over, so the first are tried more than once.
 *
 * With CONFIG_DEBUG_KOBJECT_RELEASE each load takes 6 s, in which the machine is idle.
 */
TEST_F_TIMEOUT(load, load, 2400)
{
	unsigned int nth, i, most, before = points_before(_metadata, &most);
	bool injected = true;
	int failed = 0;

	ASSERT_LT(8, before);
	for (nth = before - 4; injected; nth++) {
		ASSERT_GT(POINTS_MAX, nth);
		for (i = 0; i < (nth < most + FIRST_OF_OURS ? TRIES : 1U); i++)
			injected = load_failing(_metadata, nth, &failed);
	}
	TH_LOG("load: %u points, after %u to %u of the kernel's own", nth - 2 - before, before,
	       most);
	EXPECT_LE(40, nth - 2 - before);
	EXPECT_EQ(0, leaks(failed));
}

FIXTURE(leaks) { };
FIXTURE_SETUP(leaks) { }
FIXTURE_TEARDOWN(leaks) { }

/* A queue that lives is no leak, nor is what only it points to. */
TEST_F_TIMEOUT(leaks, queues_that_live, 200)
{
	int fd[2], i;

	for (i = 0; i < 2; i++) {
		fd[i] = make_queue(.capacity = i ? 1024 : 2, .msg_size = 64, .open_flags = O_RDWR);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(0, fcntl(fd[i], F_SETOWN, getpid()));
		ASSERT_EQ(0, fcntl(fd[i], F_SETFL, O_RDWR | O_ASYNC));
	}
	EXPECT_EQ(0, leaks(0));
	for (i = 0; i < 2; i++)
		close(fd[i]);
}

/* The control: what kmemleak may say. */
TEST(control_leaks_are_counted)
{
	static const char name[] =
		"unreferenced object 0xffff888003a1c2f0 (size 8):\n"
		"  comm \"inject\", pid 77, jiffies 4294901234 (age 8.120s)\n"
		"  hex dump (first 8 bytes):\n"
		"    6d 70 6d 63 71 00 a5 a5                          mpmcq...\n"
		"  backtrace:\n"
		"    [<00000000f7a1c6d2>] kstrdup+0x35/0x70\n"
		"    [<000000001d4d6f1c>] __class_register+0x123/0x2a0\n";
	static const char other[] =
		"unreferenced object 0xffff888003a1c300 (size 64):\n"
		"  comm \"inject\", pid 77, jiffies 4294901234 (age 8.120s)\n"
		"  hex dump (first 32 bytes):\n"
		"    00 00 00 00 00 00 00 00 6d 70 6d 63 71 00 00 00  ........mpmcq...\n"
		"  backtrace:\n"
		"    [<000000001d4d6f1c>] __class_register+0x123/0x2a0\n";
	char path[] = "/tmp/mpmcq-leaks-XXXXXX";
	FILE *file = fdopen(mkstemp(path), "w");

	ASSERT_NE(NULL, file);
	EXPECT_EQ(0, count_leaks(path, 2));
	fprintf(file, "%s%s", name, name);
	fflush(file);
	EXPECT_EQ(2, count_leaks(path, 0));
	EXPECT_EQ(1, count_leaks(path, 1));
	EXPECT_EQ(0, count_leaks(path, 2));
	fprintf(file, "%s", other);
	fflush(file);
	EXPECT_EQ(1, count_leaks(path, 2));
	EXPECT_EQ(1, count_leaks(path, 10));
	fclose(file);
	unlink(path);
	EXPECT_EQ(-1, count_leaks(path, 0));
}

TEST_HARNESS_MAIN
