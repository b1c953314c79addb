/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of limits share: limits that each test may set, as they are restored, and how much
 * room there is.
 */
#ifndef MPMCQ_LIMITS_TEST_H
#define MPMCQ_LIMITS_TEST_H

#include "queuefs_test.h"

static const char * const parameters[] = {
	"max_queue_bytes", "max_user_bytes", "max_total_bytes", "max_user_queues",
};

/* @root is the directory of an mpmcqfs at "q", in which every user may make queues. */
FIXTURE(limits)
{
	char base[32];
	int root;
	int device;
	char was[ARRAY_SIZE(parameters)][32];
};

static inline const char *parameter(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	return line(path, "");
}

FIXTURE_SETUP(limits)
{
	size_t i;

	self->device = open(DEVICE, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->device);
	for (i = 0; i < ARRAY_SIZE(parameters); i++) {
		snprintf(self->was[i], sizeof(self->was[i]), "%.31s", parameter(parameters[i]));
		ASSERT_NE('\0', self->was[i][0]) TH_LOG("cannot read %s", parameters[i]);
	}
	ASSERT_EQ(0, enter_scratch(self->base, sizeof(self->base)));
	ASSERT_EQ(0, mkdir("q", 0755));
	ASSERT_EQ(0, mount_queues("q", 0, "mode=777"));
	self->root = open("q", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, self->root);
}

FIXTURE_TEARDOWN(limits)
{
	size_t i;

	EXPECT_EQ(0, become(0, 0, 0));
	for (i = 0; i < ARRAY_SIZE(parameters); i++)
		EXPECT_TRUE(set_parameter(parameters[i], self->was[i]));
	close(self->root);
	leave_scratch(self->base);
	close(self->device);
}

static const struct mpmcq_create some_kb = {
	.capacity = 64, .msg_size = 1024, .open_flags = O_RDWR,
};

/* The same with a name. */
static const struct mpmcq_create named_kb = { .capacity = 64, .msg_size = 1024, .mode = 0600 };

/*
 * Makes private queues until CREATE fails, at most 32, and closes them.  Returns how many;
 * @failure is the error, or 0.
 */
static inline int room_for(int device, int *failure)
{
	int i, n, fd[32];

	for (n = 0; n < (int)ARRAY_SIZE(fd); n++) {
		fd[n] = create(device, some_kb);
		if (fd[n] < 0)
			break;
	}
	*failure = n < (int)ARRAY_SIZE(fd) ? fd[n] : 0;
	for (i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

/* Returns how many queues user @uid can make before EDQUOT; -1 if something else stops him. */
static inline int room_of(int device, uid_t uid)
{
	int n, failure, ret = become(uid, GROUP, 0);

	n = room_for(device, &failure);
	ret = ret ?: become(0, 0, 0);
	return ret || failure != -EDQUOT ? -1 : n;
}

/*
 * Leases
 */
#define FILES	64

/* Opens files with the largest table of leases until that fails, and closes them. */
static inline int leases_for(int queue, int *failure)
{
	int i, n, fd[FILES];

	for (n = 0; n < FILES; n++) {
		fd[n] = attach(queue, O_RDONLY, LEASE, MPMCQ_MAX_HELD_MAX);
		if (fd[n] < 0)
			break;
	}
	*failure = n < FILES ? fd[n] : 0;
	for (i = 0; i < n; i++)
		close(fd[i]);
	return n;
}

static inline int make_large(int device)
{
	return create(device, (struct mpmcq_create){
			.capacity = 4096, .msg_size = 8, .open_flags = O_RDWR });
}

#endif /* MPMCQ_LIMITS_TEST_H */
