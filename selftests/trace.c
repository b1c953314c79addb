// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracepoints: each event of a queue is told once, in order, with what it is about,
 * in a buffer of tracefs that the test has to itself.
 */

#include <sys/mount.h>
#include <sys/stat.h>

#include "own_test.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/mpmcq_selftest"
#define RECORD_NAMES	TRACEFS "/options/record-cmd"

FIXTURE(trace)
{
	int fd;			/* a queue, which does not wait */
	int blocking;
	int number;		/* by which the events name it */
	char record_names;	/* as it was found: "0" or "1" */
	unsigned char buf[LEN];
};

FIXTURE_VARIANT(trace)
{
	__u32 flags;
};

FIXTURE_VARIANT_ADD(trace, blocks) { .flags = 0 };
FIXTURE_VARIANT_ADD(trace, drops) { .flags = MPMCQ_DROP_OLDEST };

static bool write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return done;
}

/*
 * Makes a buffer in which tasks have no names.  To learn these the kernel would patch its
 * scheduler while other processors run it, and QEMU's emulation of several processors now and
 * then misses such a patch, and the machine hangs.  A new buffer inherits the option.
 */
static bool make_instance(char *record_names)
{
	*record_names = *line(RECORD_NAMES, "");
	return write_to(RECORD_NAMES, "0") && (!mkdir(INSTANCE, 0755) || errno == EEXIST);
}

/* By which number the events name a queue. */
static int number_of(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return atoi(line(path, "number:"));
}

FIXTURE_SETUP(trace)
{
	if (access(TRACEFS "/trace", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (access(TRACEFS "/events/mpmcq", F_OK))
		SKIP(return, "the kernel has no events: " TRACEFS "/events/mpmcq");
	ASSERT_TRUE(make_instance(&self->record_names));
	self->fd = make_queue(.capacity = 2, .msg_size = LEN, .max_deliveries = 2,
			      .flags = variant->flags, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->blocking = attach(self->fd, O_RDWR, 0, 0);
	ASSERT_LE(0, self->blocking);
	self->number = number_of(self->fd);
	ASSERT_LT(0, self->number);
	/* In the order in which they happen, on whatever processor. */
	ASSERT_TRUE(write_to(INSTANCE "/trace_clock", "counter"));
	ASSERT_TRUE(write_to(INSTANCE "/events/mpmcq/enable", "1"));
}

FIXTURE_TEARDOWN(trace)
{
	close(self->blocking);
	close(self->fd);
	EXPECT_TRUE(write_to(INSTANCE "/events/mpmcq/enable", "0"));
	EXPECT_EQ(0, rmdir(INSTANCE));
	EXPECT_TRUE(write_to(RECORD_NAMES, self->record_names == '0' ? "0" : "1"));
}

/* Compares the events of the queue with @want, which ends with NULL. */
static void expect_events(struct __test_metadata *_metadata, int number,
			  const char *const *want)
{
	FILE *file = fopen(INSTANCE "/trace", "r");
	char text[512], queue[32], expected[128], *event, *rest;

	ASSERT_NE(NULL, file);
	snprintf(queue, sizeof(queue), ": queue=%d ", number);
	while (fgets(text, sizeof(text), file)) {
		event = strstr(text, ": mpmcq_");
		rest = event ? strstr(event, queue) : NULL;
		if (*text == '#' || !rest)
			continue;
		*rest = 0;
		snprintf(expected, sizeof(expected), "%s %s", event + 2, rest + strlen(queue));
		expected[strcspn(expected, "\n")] = 0;
		EXPECT_NE(NULL, *want) TH_LOG("%s", expected);
		if (*want) {
			EXPECT_STREQ(*want, expected);
			want++;
		}
	}
	EXPECT_EQ(NULL, *want) TH_LOG("there is no %s", *want);
	fclose(file);
}

#define EXPECT_EVENTS_OF(number, ...) \
	expect_events(_metadata, number, (const char *const []){ __VA_ARGS__, NULL })
#define EXPECT_EVENTS(...)	EXPECT_EVENTS_OF(self->number, __VA_ARGS__)

TEST_F(trace, send_and_receive)
{
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(1, put_msg(self->fd, 1, 2));
	ASSERT_EQ(LEN, take_msg(self->fd, LEN, 1));
	ASSERT_EQ(1, take_msg(self->fd, 1, 2));
	ASSERT_EQ(-EAGAIN, take_msg(self->fd, LEN, 3));
	EXPECT_EVENTS("mpmcq_send len=5", "mpmcq_send len=1",
		      "mpmcq_receive len=5", "mpmcq_receive len=1");
}

TEST_F(trace, packed)
{
	int pk = attach(self->fd, O_RDWR, MPMCQ_MODE_PACKED, 0);

	ASSERT_LE(0, pk);
	ASSERT_EQ(2, put_packed(pk, 2, 3, 1));
	ASSERT_EQ(2, take_packed(pk, 2, 3, 1, NULL));
	EXPECT_EVENTS("mpmcq_send len=3", "mpmcq_send len=3",
		      "mpmcq_receive len=3", "mpmcq_receive len=3");
	close(pk);
}

TEST_F(trace, reader_waits)
{
	struct call call;

	ASSERT_EQ(0, start_blocked(&call, take, self->blocking, self->buf, LEN));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, finish_call(&call));
	EXPECT_EVENTS("mpmcq_block reader", "mpmcq_send len=5", "mpmcq_wake reader",
		      "mpmcq_receive len=5");
}

TEST_F(trace, full)
{
	struct call call;

	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(2, put_msg(self->fd, 2, 2));
	fill(self->buf, LEN, 3);
	if (variant->flags & MPMCQ_DROP_OLDEST) {
		ASSERT_EQ(LEN, put(self->blocking, self->buf, LEN));
		EXPECT_EVENTS("mpmcq_send len=5", "mpmcq_send len=2",
			      "mpmcq_drop len=5", "mpmcq_send len=5");
		return;
	}
	ASSERT_EQ(0, start_blocked(&call, put, self->blocking, self->buf, LEN));
	ASSERT_EQ(LEN, take_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, finish_call(&call));
	EXPECT_EVENTS("mpmcq_send len=5", "mpmcq_send len=2", "mpmcq_block writer",
		      "mpmcq_receive len=5", "mpmcq_wake writer", "mpmcq_send len=5");
}

TEST_F(trace, given_back)
{
	int le = attach(self->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE, 0);

	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(LEN, take_msg(le, LEN, 1));
	ASSERT_EQ(1, settle_all(le, MPMCQ_SETTLE_NACK));
	ASSERT_EQ(LEN, take_msg(le, LEN, 1));
	close(le);
	EXPECT_EVENTS("mpmcq_send len=5", "mpmcq_receive len=5",
		      "mpmcq_return len=5 deliveries=1", "mpmcq_receive len=5",
		      "mpmcq_return len=5 deliveries=2");
}

TEST_F(trace, parked)
{
	int fd = make_queue(.capacity = 2, .msg_size = LEN, .flags = variant->flags | MPMCQ_DELAY,
			    .open_flags = O_RDWR);
	int pk = attach(fd, O_RDWR, MPMCQ_MODE_PACKED, 0);
	const __u32 delay_ms = 20;

	ASSERT_LE(0, pk);
	ASSERT_EQ(1, put_delayed(pk, &delay_ms, 1, 1));
	ASSERT_NE(0, poll_for(fd, POLLIN) & POLLIN);
	ASSERT_EQ(LEN, take_msg(fd, LEN, 1));
	close(pk);
	EXPECT_EVENTS_OF(number_of(fd), "mpmcq_send len=5", "mpmcq_park len=5 delay_ms=20",
			 "mpmcq_due len=5", "mpmcq_receive len=5");
	close(fd);
}

TEST_F(trace, forwarded)
{
	struct mpmcq_forward req = { .size = sizeof(req) };
	char to[64];
	int target, le;
	struct mpmcq_msg msg;

	target = make_queue(.capacity = 2, .msg_size = LEN, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, target);
	le = attach(self->fd, O_RDONLY | O_NONBLOCK, MPMCQ_MODE_LEASE | MPMCQ_MODE_PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	req.id = msg.id;
	req.fd = target;
	ASSERT_EQ(0, result(ioctl(le, MPMCQ_IOC_FORWARD, &req)));
	ASSERT_EQ(LEN, take_msg(target, LEN, 1));
	snprintf(to, sizeof(to), "mpmcq_forward to=%d len=5", number_of(target));
	EXPECT_EVENTS("mpmcq_send len=5", "mpmcq_receive len=5", to);
	EXPECT_EVENTS_OF(number_of(target), "mpmcq_send len=5", "mpmcq_receive len=5");
	close(le);
	close(target);
}

TEST_HARNESS_MAIN
