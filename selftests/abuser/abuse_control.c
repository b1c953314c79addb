// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controls of the tests that ill-treat the queue: the ledger finds what a bad queue would do.
 */

#include "abuse.h"

/* A bad queue's deliveries of two producers' messages 0, 1, 2. */
FIXTURE(control)
{
	struct ledger *ledger;
	__u32 next[2];
	__u32 deliveries;
	unsigned char buf[1024];
};

FIXTURE_SETUP(control)
{
	__u32 producer, number;

	self->ledger = ledger_new(2, 3);
	ASSERT_NE(NULL, self->ledger);
	for (producer = 0; producer < 2; producer++) {
		self->ledger->next[producer] = 3;
		for (number = 0; number < 3; number++)
			entry_of(self->ledger, producer, number)->sent = SENT;
	}
}

FIXTURE_TEARDOWN(control)
{
}

#define deliver(producer, number) \
	check_message(self->ledger, self->next, ++self->deliveries, self->buf, \
		      make_message(self->buf, producer, number, sizeof(self->buf)))

#define deliver_all_but_one() do { \
	EXPECT_EQ(0, deliver(0, 0)); \
	EXPECT_EQ(0, deliver(1, 0)); \
	EXPECT_EQ(0, deliver(1, 1)); \
	EXPECT_EQ(0, deliver(0, 1)); \
	EXPECT_EQ(0, deliver(0, 2)); \
} while (0)

TEST_F(control, good)
{
	deliver_all_but_one();
	EXPECT_EQ(0, deliver(1, 2));
	EXPECT_EQ(0, check_all(self->ledger));
}

TEST_F(control, lost)
{
	deliver_all_but_one();
	EXPECT_EQ(LOST, check_all(self->ledger));
}

TEST_F(control, killed_while_writing)
{
	entry_of(self->ledger, 1, 2)->sent = TRYING;
	deliver_all_but_one();
	EXPECT_EQ(0, check_all(self->ledger));
	EXPECT_EQ(0, deliver(1, 2));
	EXPECT_EQ(0, check_all(self->ledger));
	EXPECT_EQ(REPEATED | REORDERED, deliver(1, 2));
}

TEST_F(control, refused_and_sent_all_the_same)
{
	entry_of(self->ledger, 1, 2)->sent = UNSENT;
	deliver_all_but_one();
	EXPECT_EQ(0, check_all(self->ledger));
	EXPECT_EQ(0, deliver(1, 2));
	EXPECT_EQ(UNKNOWN, check_all(self->ledger));
}

TEST_F(control, repeated_at_another_consumer)
{
	deliver_all_but_one();
	memset(self->next, 0, sizeof(self->next));
	EXPECT_EQ(REPEATED, deliver(0, 1));
}

/* The same delivery, noted by a consumer and found again after its death. */
TEST_F(control, noted_twice)
{
	deliver_all_but_one();
	self->deliveries--;
	EXPECT_EQ(0, deliver(0, 2));
}

TEST_F(control, reordered)
{
	EXPECT_EQ(0, deliver(0, 1));
	EXPECT_EQ(REORDERED, deliver(0, 0));
	EXPECT_EQ(0, deliver(0, 2));
}

TEST_F(control, torn)
{
	int i, len = make_message(self->buf, 1, 2, sizeof(self->buf));

	for (i = 0; i < len; i++) {
		self->buf[i] ^= 0x10;
		EXPECT_EQ(TORN, check_message(self->ledger, NULL, 1, self->buf, len))
			TH_LOG("byte %d", i);
		self->buf[i] ^= 0x10;
	}
	EXPECT_EQ(TORN, check_message(self->ledger, NULL, 1, self->buf, len - 1));
	EXPECT_EQ(0, check_message(self->ledger, NULL, 1, self->buf, len));
}

TEST_F(control, unknown)
{
	EXPECT_EQ(UNKNOWN, deliver(2, 0));
	EXPECT_EQ(UNKNOWN, deliver(0, 3));
}

TEST_HARNESS_MAIN
