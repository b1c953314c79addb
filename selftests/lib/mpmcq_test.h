/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of /dev/mpmcq share: the calls, and a fixture that finds the queue
 * empty and leaves it so.  Only one file of a program can have tests, as the harness
 * has variables.
 *
 * The tests take the queue as it was loaded.  They are written for any
 * capacity, and for messages of at least MSG_SIZE_MIN bytes.
 */
#ifndef MPMCQ_TEST_H
#define MPMCQ_TEST_H

#include "kselftest_harness.h"

#include "mpmcq_calls.h"

/* A program that makes queues of its own leaves the default queue alone. */
#ifndef OWN_QUEUES

/*
 * Without a queue, or with one that is somebody's, there is nothing to test:
 * the program then ends before the harness begins.
 */
static void __attribute__((constructor)) queue_or_skip(void)
{
	int fd = open(DEVICE, O_RDWR);
	struct mpmcq_info info;
	int ret;

	if (fd < 0) {
		ksft_print_header();
		ksft_exit_skip("cannot open " DEVICE ": %s\n", strerror(errno));
	}
	ret = query(fd, &info);
	close(fd);
	if (!ret && !info.depth && info.msg_size >= MSG_SIZE_MIN)
		return;

	ksft_print_header();
	if (ret)
		ksft_exit_fail_msg("cannot query " DEVICE ": %s\n", strerror(-ret));
	if (info.depth)
		ksft_exit_skip(DEVICE " is in use: it holds %u messages\n", info.depth);
	ksft_exit_skip("msg_size is %u, the tests need %d\n", info.msg_size, MSG_SIZE_MIN);
}

/*
 * @fd waits, @nb does not; both read and write.
 */
FIXTURE(queue)
{
	int fd;
	int nb;
	int capacity;
	int msg_size;
};

FIXTURE_SETUP(queue)
{
	struct mpmcq_info info;

	self->fd = open(DEVICE, O_RDWR);
	ASSERT_LE(0, self->fd);
	self->nb = open(DEVICE, O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->nb);
	ASSERT_EQ(0, query(self->fd, &info));
	ASSERT_EQ(0, info.depth) TH_LOG("an earlier test, or somebody, left messages");
	self->capacity = info.capacity;
	self->msg_size = info.msg_size;
}

FIXTURE_TEARDOWN(queue)
{
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, take_all(self->nb));
	close(self->nb);
	close(self->fd);
}

#endif /* OWN_QUEUES */

#endif /* MPMCQ_TEST_H */
