// SPDX-License-Identifier: MIT
/*
 * Messages that are held, dead, or looked at
 */
#include <errno.h>
#include <stdint.h>

#include "lib.h"

static int settle(int fd, struct mpmcq_settle *settle)
{
	uint64_t features = MPMCQ_FEATURE_LEASE;
	int ret;

	settle->size = sizeof(*settle);
	if (settle->flags & MPMCQ_SETTLE_DELAY)
		features |= MPMCQ_FEATURE_DELAY;
	if (settle->op == MPMCQ_SETTLE_REVIVE)
		features |= MPMCQ_FEATURE_DEAD;
	ret = mpmcq__request(fd, MPMCQ_IOC_SETTLE, settle, features);
	/* Leases that had ended show in the number of those that had not. */
	return ret && ret != -ENOENT ? ret : (int)settle->done;
}

EXPORT int mpmcq_settle_ids(int fd, unsigned int op, unsigned int flags, unsigned int delay_ms,
			    const __u64 *ids, unsigned int count)
{
	struct mpmcq_settle args = {
		.op = op, .flags = flags, .delay_ms = delay_ms, .ids = (uintptr_t)ids,
		.count = count,
	};

	return flags & MPMCQ_SETTLE_ALL ? -EINVAL : settle(fd, &args);
}

EXPORT int mpmcq_settle_all(int fd, unsigned int op, unsigned int flags, unsigned int delay_ms)
{
	struct mpmcq_settle args = {
		.op = op, .flags = flags | MPMCQ_SETTLE_ALL, .delay_ms = delay_ms,
	};

	return flags & MPMCQ_SETTLE_ALL ? -EINVAL : settle(fd, &args);
}

EXPORT int mpmcq_forward_message(int fd, struct mpmcq_forward *forward)
{
	struct mpmcq_forward args;
	uint64_t features = MPMCQ_FEATURE_FORWARD;

	mpmcq__copy_args(&args, sizeof(args), forward);
	if (args.delay_ms)
		features |= MPMCQ_FEATURE_DELAY;
	if (args.priority)
		features |= MPMCQ_FEATURE_LEVELS;
	return mpmcq__request(fd, MPMCQ_IOC_FORWARD, forward, features);
}

EXPORT int mpmcq_peek_message(int fd, struct mpmcq_peek *peek)
{
	return mpmcq__request(fd, MPMCQ_IOC_PEEK, peek, MPMCQ_FEATURE_PEEK);
}

static int request_dead(int fd, unsigned long cmd, unsigned int count)
{
	struct mpmcq_dead dead = { .size = sizeof(dead), .count = count };
	int ret = mpmcq__request(fd, cmd, &dead, MPMCQ_FEATURE_DEAD);

	return ret ? ret : (int)dead.done;
}

EXPORT int mpmcq_revive_dead(int fd, unsigned int count)
{
	return request_dead(fd, MPMCQ_IOC_REVIVE, count);
}

EXPORT int mpmcq_purge_dead(int fd, unsigned int count)
{
	return request_dead(fd, MPMCQ_IOC_PURGE, count);
}
