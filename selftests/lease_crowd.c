// SPDX-License-Identifier: GPL-2.0-only
/*
 * Workers are killed at random while they take messages, acknowledge them and give
 * them back.  Each notes in memory that outlives it that it is about to
 * acknowledge, and that it has; what was not acknowledged must come again, and what
 * was must not.
 */

#include "own_test.h"
#include "record.h"

#define WORKERS		4
#define NUMBERS		50000
#define KILLS		60
#define BATCH		8

enum fault {
	TORN = 1, UNKNOWN = 2, AFTER_ACK = 4, NOT_LATER = 8, NOT_HELD = 16, FAILED = 32,
};

struct account {
	bool stop;
	__u32 sent;		/* the writes of the numbers below have returned */
	int faults;
	struct {
		__u8 tries;	/* to acknowledge */
		__u8 acks;	/* of those, that returned */
		__u32 delivery;	/* the last that was seen */
	} message[NUMBERS];
};

static void fault(struct account *account, int what)
{
	__atomic_or_fetch(&account->faults, what, __ATOMIC_SEQ_CST);
}

/* Notes a delivery; the message's number, or -1. */
static int note_delivery(struct account *account, const void *buf, int len, __u32 delivery)
{
	const struct record *rec = buf;
	__u32 last;

	if (!is_whole(buf, len)) {
		fault(account, TORN);
		return -1;
	}
	if (rec->number >= NUMBERS) {
		fault(account, UNKNOWN);
		return -1;
	}
	if (__atomic_load_n(&account->message[rec->number].acks, __ATOMIC_SEQ_CST))
		fault(account, AFTER_ACK);
	/* In leases of one message at a time the count is not told. */
	last = delivery ? __atomic_exchange_n(&account->message[rec->number].delivery, delivery,
					      __ATOMIC_SEQ_CST) : 0;
	if (delivery && last >= delivery)
		fault(account, NOT_LATER);
	return rec->number;
}

static void note_try(struct account *account, int number)
{
	__atomic_add_fetch(&account->message[number].tries, 1, __ATOMIC_SEQ_CST);
}

static void note_ack(struct account *account, int number)
{
	__atomic_add_fetch(&account->message[number].acks, 1, __ATOMIC_SEQ_CST);
}

/* One message at a time; each read acknowledges the last. */
static int work_on_one(struct account *account, int fd)
{
	int le = attach(fd, O_RDONLY, LEASE, 0), ret, number = -1;
	unsigned char buf[256];

	for (;;) {
		if (number >= 0)
			note_try(account, number);
		ret = take(le, buf, sizeof(buf));
		if (number >= 0)
			note_ack(account, number);
		if (ret <= 0)
			break;
		number = note_delivery(account, buf, ret, 0);
		if (number < 0)
			return 1;
	}
	if (ret)
		fault(account, FAILED);
	return !!ret;
}

static int work_on_many(struct account *account, int fd, unsigned int seed)
{
	int le = attach(fd, O_RDONLY, LEASE | PACKED, BATCH), ret, at, i, n, number[BATCH];
	struct mpmcq_msg msg;
	unsigned char buf[1024];
	__u64 id[BATCH];

	while ((ret = take(le, buf, sizeof(buf))) > 0) {
		for (at = n = 0; at < ret; at += space_of(msg.len), n++) {
			memcpy(&msg, buf + at, sizeof(msg));
			id[n] = msg.id;
			number[n] = note_delivery(account, buf + at + sizeof(msg), msg.len,
						  msg.deliveries);
			if (number[n] < 0)
				return 1;
		}
		for (i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			if (seed >> 16 & 3) {
				note_try(account, number[i]);
				ret = ack(le, id[i]);
				note_ack(account, number[i]);
			} else {
				ret = settle(le, MPMCQ_SETTLE_NACK, seed >> 18 & FRONT, &id[i],
					     1, NULL);
			}
			if (ret != 1)
				fault(account, NOT_HELD);
		}
	}
	if (ret)
		fault(account, FAILED);
	return !!ret;
}

static ssize_t produce(int fd, void *arg, size_t longest)
{
	struct account *account = arg;
	unsigned char msg[256];
	int len;

	while (!__atomic_load_n(&account->stop, __ATOMIC_SEQ_CST) && account->sent < NUMBERS) {
		len = make_message(msg, 0, account->sent, longest);
		if (put(fd, msg, len) != len)
			return -1;
		account->sent++;
	}
	return 0;
}

FIXTURE(crowd)
{
	int fd;
	struct account *account;
};

FIXTURE_SETUP(crowd)
{
	self->fd = make_queue(.capacity = 32, .msg_size = 256, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->account = map_shared(sizeof(*self->account));
	ASSERT_NE(MAP_FAILED, self->account);
}

FIXTURE_TEARDOWN(crowd)
{
	close(self->fd);
}

static pid_t start_worker(struct account *account, int fd, int which, unsigned int seed)
{
	if (which % 2)
		return fork_child(work_on_one(account, fd));
	return fork_child(work_on_many(account, fd, seed));
}

TEST_F_TIMEOUT(crowd, killed_at_random, 120)
{
	struct account *account = self->account;
	int i, kills, unsure = 0, lost = 0, twice = 0;
	unsigned int random = now_ms();
	struct call producer;
	pid_t pid[WORKERS];

	TH_LOG("seed %u", random);
	ASSERT_EQ(0, start_call(&producer, produce, self->fd, account, 200));
	for (i = 0; i < WORKERS; i++)
		pid[i] = start_worker(account, self->fd, i, random + i);
	for (kills = 0; kills < KILLS; kills++) {
		random = random * 1103515245 + 12345;
		usleep((random >> 16) % 8000);
		i = (random >> 8) % WORKERS;
		ASSERT_LT(0, pid[i]);
		ASSERT_EQ(0, kill(pid[i], SIGKILL));
		ASSERT_EQ(-SIGKILL, child_end(pid[i]));
		pid[i] = start_worker(account, self->fd, i, random);
	}
	__atomic_store_n(&account->stop, true, __ATOMIC_SEQ_CST);
	ASSERT_EQ(0, finish_call(&producer));
	ASSERT_EQ(0, close_queue(self->fd));
	for (i = 0; i < WORKERS; i++)
		EXPECT_EQ(0, child_end(pid[i]));

	EXPECT_EQ(0, account->faults);
	EXPECT_EQ(0, depth(self->fd));
	EXPECT_EQ(0, leased(self->fd));
	EXPECT_EQ(0, dead(self->fd));
	for (i = 0; i < (int)account->sent; i++) {
		lost += !account->message[i].tries;
		twice += account->message[i].acks > 1;
		unsure += !account->message[i].acks;
	}
	TH_LOG("%u messages, %d acknowledged by somebody who did not live to say so",
	       account->sent, unsure);
	EXPECT_EQ(0, lost);
	EXPECT_EQ(0, twice);
	/* A kill comes between a try and the note of its success at most once. */
	EXPECT_GE(kills, unsure);
	EXPECT_LT(500, (int)account->sent);
}

TEST_HARNESS_MAIN
