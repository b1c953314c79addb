// SPDX-License-Identifier: GPL-2.0-only
/*
 * Timeouts of an open file: a read or write waits no longer, and loses nothing; a signal ends it
 * for good; others are woken as if it had not been there.
 */

#include <sys/time.h>

#include "own_test.h"

#define SOON	40	/* ms */
#define LATE	20000

/* As set_modes(), with timeouts. */
static int set_timeouts(int fd, __u32 modes, __u32 rcv_ms, __u32 snd_ms)
{
	struct mpmcq_mode req = {
		.size = sizeof(req), .modes = modes, .rcv_timeout_ms = rcv_ms,
		.snd_timeout_ms = snd_ms,
	};

	return result(ioctl(fd, MPMCQ_IOC_MODE, &req));
}

static int attach_timed(int fd, __u32 open_flags, __u32 modes, __u32 rcv_ms, __u32 snd_ms)
{
	struct mpmcq_attach req = {
		.size = sizeof(req), .open_flags = open_flags, .modes = modes,
		.rcv_timeout_ms = rcv_ms, .snd_timeout_ms = snd_ms,
	};

	return result(ioctl(fd, MPMCQ_IOC_ATTACH, &req));
}

/* Whether a call fails with EAGAIN, and not before @ms. */
#define times_out(call, ms) ({ \
	long long since_ = now_ns(CLOCK_MONOTONIC); \
	int ret_ = call; \
	\
	if (ret_ != -EAGAIN) \
		TH_LOG("returned %d", ret_); \
	ret_ == -EAGAIN && now_ns(CLOCK_MONOTONIC) - since_ >= (ms) * 1000000LL; \
})

FIXTURE(timeout)
{
	int fd;		/* does not wait */
	int wait;	/* waits */
};

FIXTURE_SETUP(timeout)
{
	self->fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, self->fd);
	self->wait = attach(self->fd, O_RDWR, 0, 0);
	ASSERT_LE(0, self->wait);
}

FIXTURE_TEARDOWN(timeout)
{
	close(self->wait);
	take_all(self->fd);
	EXPECT_EQ(2, put_all(self->fd, LEN, 0));
	close(self->fd);
}

/* Sets what is set. */
static int set_as_told(int fd)
{
	struct mpmcq_info info = info_of(fd);
	struct mpmcq_mode req = {
		.size = sizeof(req), .modes = info.modes, .max_held = info.max_held,
		.rcv_timeout_ms = info.rcv_timeout_ms, .snd_timeout_ms = info.snd_timeout_ms,
		.priority = info.priority,
	};

	return result(ioctl(fd, MPMCQ_IOC_MODE, &req));
}

TEST_F(timeout, by_mode)
{
	unsigned char buf[LEN];

	ASSERT_EQ(0, set_timeouts(self->wait, 0, SOON, UINT32_MAX));
	EXPECT_EQ(SOON, info_of(self->wait).rcv_timeout_ms);
	EXPECT_EQ(0, info_of(self->wait).snd_timeout_ms);
	EXPECT_TRUE(times_out(take(self->wait, buf, LEN), SOON));
	ASSERT_EQ(2, put_all(self->fd, LEN, 0));
	EXPECT_EQ(LEN, take(self->wait, buf, LEN));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 2));
	ASSERT_EQ(0, set_timeouts(self->wait, 0, 0, SOON));
	EXPECT_TRUE(times_out(put_msg(self->wait, LEN, 3), SOON));
	EXPECT_EQ(2, depth(self->fd));
	/* Nothing waits who must not. */
	ASSERT_EQ(0, set_timeouts(self->fd, 0, LATE, LATE));
	EXPECT_EQ(-EAGAIN, put_msg(self->fd, LEN, 3));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	EXPECT_EQ(-EAGAIN, take(self->fd, buf, LEN));
}

TEST_F(timeout, in_each_mode)
{
	static const __u32 modes[] = {
		0, PACKED, LEASE, LEASE | PACKED, DEAD, DEAD | PACKED, DEAD | LEASE,
		DEAD | LEASE | PACKED,
	};
	unsigned char buf[100];
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = attach_timed(self->fd, O_RDWR, modes[i], SOON, SOON);
		ASSERT_LE(0, fd);
		/* What INFO tells is what MODE takes. */
		EXPECT_EQ(0, set_as_told(fd));
		EXPECT_TRUE(times_out(take(fd, buf, sizeof(buf)), SOON)) TH_LOG("%u", modes[i]);
		if (!(modes[i] & DEAD)) {
			ASSERT_EQ(2, put_all(self->fd, LEN, 0));
			EXPECT_TRUE(times_out(modes[i] & PACKED ? put_packed(fd, 1, LEN, 2) :
					      put_msg(fd, LEN, 2), SOON)) TH_LOG("%u", modes[i]);
			EXPECT_LT(0, take(fd, buf, sizeof(buf)));
		}
		close(fd);
		take_all(self->fd);
	}
}

/* What comes in time ends the wait; and who has no limit waits on. */
TEST_F(timeout, in_time)
{
	unsigned char buf[2][LEN];
	struct call call[2];
	int i, timed = attach_timed(self->fd, O_RDWR, 0, LATE, LATE);

	ASSERT_LE(0, timed);
	ASSERT_EQ(0, start_blocked(&call[0], take, timed, buf[0], LEN));
	ASSERT_EQ(0, start_blocked(&call[1], take, self->wait, buf[1], LEN));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_EQ(0, depth(self->fd));
	/* 0 is no limit. */
	ASSERT_EQ(0, set_timeouts(timed, 0, SOON, 0));
	ASSERT_EQ(0, set_timeouts(timed, 0, 0, 0));
	ASSERT_EQ(0, start_blocked(&call[0], take, timed, buf[0], LEN));
	usleep(3 * SOON * 1000);
	EXPECT_EQ(0, __atomic_load_n(&call[0].done, __ATOMIC_SEQ_CST));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 5));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	close(timed);
}

static void on_alarm(int signal)
{
}

/* It would wait anew, so it is not restarted. */
TEST_F(timeout, signal)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval soon = { .it_value.tv_usec = SOON * 1000 };
	unsigned char buf[LEN];

	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, set_timeouts(self->wait, 0, LATE, LATE));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, take(self->wait, buf, LEN));
	ASSERT_EQ(2, put_all(self->fd, LEN, 0));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &soon, NULL));
	EXPECT_EQ(-EINTR, put_msg(self->wait, LEN, 2));
	EXPECT_EQ(2, depth(self->fd));
}

/* What is wrong changes nothing. */
TEST_F(timeout, bounds)
{
	unsigned char buf[LEN];
	struct call call;

	ASSERT_EQ(0, set_timeouts(self->wait, 0, UINT32_MAX, 1));
	ASSERT_EQ(0, start_blocked(&call, take, self->wait, buf, LEN));
	ASSERT_EQ(LEN, put_msg(self->fd, LEN, 1));
	EXPECT_EQ(LEN, finish_call(&call));
	ASSERT_EQ(0, set_timeouts(self->wait, 0, SOON, SOON));
	EXPECT_EQ(-EINVAL, set_timeouts(self->wait, DEAD, LATE, LATE));
	EXPECT_TRUE(times_out(take(self->wait, buf, LEN), SOON));
	/* A lease stays, and its timeouts may be changed. */
	ASSERT_EQ(0, set_timeouts(self->wait, LEASE | PACKED, LATE, 0));
	EXPECT_EQ(-EBUSY, set_timeouts(self->wait, LEASE, SOON, 0));
	ASSERT_EQ(0, set_timeouts(self->wait, LEASE | PACKED, SOON, 0));
	EXPECT_TRUE(times_out(take(self->wait, buf, LEN), SOON));
}

/* One whose time is up as a message comes leaves it to the other. */
TEST_F(timeout, leaves_none_asleep)
{
	unsigned char buf[2][LEN];
	struct call call[2];
	int i, timed, got;

	for (i = 0; i < 300; i++) {
		timed = attach_timed(self->fd, O_RDWR, 0, 1 + i % 3, 0);
		ASSERT_LE(0, timed);
		ASSERT_EQ(0, start_call(&call[0], take, timed, buf[0], LEN));
		ASSERT_EQ(0, start_blocked(&call[1], take, self->wait, buf[1], LEN));
		usleep(i % 40 * 50);
		ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
		got = finish_call(&call[0]);
		EXPECT_TRUE(got == LEN || got == -EAGAIN);
		if (got == LEN)
			ASSERT_EQ(LEN, put_msg(self->fd, LEN, i));
		ASSERT_EQ(LEN, finish_call(&call[1]));
		close(timed);
	}
}

TEST_HARNESS_MAIN
