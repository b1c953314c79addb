// SPDX-License-Identifier: GPL-2.0-only
/*
 * More queues: made, found, used and destroyed, by whom they may be; what is told of
 * them; how many and how large they may be; and requests that are not as they
 * should be, from programs of 64 and of 32 bits.
 */

#include <assert.h>
#include <ctype.h>
#include <grp.h>
#include <limits.h>
#include <stddef.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "own_test.h"

#define LEASE	MPMCQ_MODE_LEASE
#define PACKED	MPMCQ_MODE_PACKED
#define DEAD	MPMCQ_MODE_DEAD
#define NODE	"/dev/mpmcq-"
#define SYSFS	"/sys/class/mpmcq/mpmcq-"

static unsigned char large[MSG_SIZE_MAX];

/* What programs of 32 and of 64 bits have to agree about. */
static_assert(sizeof(struct mpmcq_info) == 112, "info");
static_assert(offsetof(struct mpmcq_info, features) == MPMCQ_INFO_SIZE_VER0, "info");
static_assert(sizeof(struct mpmcq_msg) == 24, "msg");
static_assert(sizeof(struct mpmcq_mode) == 16, "mode");
static_assert(sizeof(struct mpmcq_leases) == 24, "leases");
static_assert(sizeof(struct mpmcq_create) == 80, "create");
static_assert(sizeof(struct mpmcq_name) == 56, "name");
static_assert(sizeof(struct mpmcq_attach) == 16, "attach");
static_assert(sizeof(struct mpmcq_dead) == 16, "dead");

/*
 * Every request, as it should be; it then does nothing that lasts.
 */
#define DESCRIPTOR	1	/* a good one returns a descriptor */
#define OTHER_OPEN_FLAGS	(~(__u32)(O_ACCMODE | O_NONBLOCK | O_CLOEXEC))

struct request {
	const char *name;
	unsigned int cmd;
	size_t size;
	size_t least;		/* size that is enough, if not @size */
	int good;		/* what comes of it */
	union args {
		__u32 size;
		struct mpmcq_info info;
		struct mpmcq_mode mode;
		struct mpmcq_leases leases;
		struct mpmcq_create create;
		struct mpmcq_name name;
		struct mpmcq_attach attach;
		struct mpmcq_dead dead;
	} args;
	struct {
		size_t offset;
		__u32 bits;
	} zero[4];		/* bits each of which is refused */
};

#define ARGS(what)	sizeof(struct mpmcq_##what), .args.what.size = sizeof(struct mpmcq_##what)

static const struct request requests[] = {
	{
		"INFO", MPMCQ_IOC_INFO, ARGS(info), .least = MPMCQ_INFO_SIZE_VER0,
	}, {
		"MODE", MPMCQ_IOC_MODE, ARGS(mode),
		.zero = {
			{ offsetof(struct mpmcq_mode, modes), ~(PACKED | LEASE) },
			{ offsetof(struct mpmcq_mode, max_held), -1 },
			{ offsetof(struct mpmcq_mode, reserved), -1 },
		},
	}, {
		"ACK", MPMCQ_IOC_ACK, ARGS(leases), .args.leases.flags = MPMCQ_LEASES_ALL,
		.zero = {
			{ offsetof(struct mpmcq_leases, flags), ~MPMCQ_LEASES_ALL },
			{ offsetof(struct mpmcq_leases, ids), -1 },
			{ offsetof(struct mpmcq_leases, ids) + 4, -1 },
			{ offsetof(struct mpmcq_leases, count), -1 },
		},
	}, {
		"NACK", MPMCQ_IOC_NACK, ARGS(leases), .args.leases.flags = MPMCQ_LEASES_ALL,
		.zero = {
			{
				offsetof(struct mpmcq_leases, flags),
				~(MPMCQ_LEASES_ALL | MPMCQ_LEASES_FRONT),
			},
			{ offsetof(struct mpmcq_leases, ids), -1 },
			{ offsetof(struct mpmcq_leases, ids) + 4, -1 },
			{ offsetof(struct mpmcq_leases, count), -1 },
		},
	}, {
		"REJECT", MPMCQ_IOC_REJECT, ARGS(leases), .args.leases.flags = MPMCQ_LEASES_ALL,
		.zero = {
			{ offsetof(struct mpmcq_leases, flags), ~MPMCQ_LEASES_ALL },
			{ offsetof(struct mpmcq_leases, ids), -1 },
			{ offsetof(struct mpmcq_leases, count), -1 },
		},
	}, {
		"TOUCH", MPMCQ_IOC_TOUCH, ARGS(leases), .args.leases.flags = MPMCQ_LEASES_ALL,
		.zero = {
			{ offsetof(struct mpmcq_leases, flags), ~MPMCQ_LEASES_ALL },
			{ offsetof(struct mpmcq_leases, ids), -1 },
			{ offsetof(struct mpmcq_leases, count), -1 },
		},
	}, {
		"CREATE", MPMCQ_IOC_CREATE, ARGS(create), .good = DESCRIPTOR,
		.args.create.capacity = 2, .args.create.msg_size = 8,
		.zero = {
			{
				offsetof(struct mpmcq_create, flags),
				~(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE),
			},
			{ offsetof(struct mpmcq_create, open_flags), OTHER_OPEN_FLAGS },
			{ offsetof(struct mpmcq_create, mode), -1 },
		},
	}, {
		"OPEN", MPMCQ_IOC_OPEN, ARGS(name), .args.name.name = "no-such-queue",
		.good = -ENOENT,
		.zero = { { offsetof(struct mpmcq_name, open_flags), OTHER_OPEN_FLAGS } },
	}, {
		"DESTROY", MPMCQ_IOC_DESTROY, ARGS(name), .args.name.name = "no-such-queue",
		.good = -ENOENT,
		.zero = { { offsetof(struct mpmcq_name, open_flags), -1 } },
	}, {
		"ATTACH", MPMCQ_IOC_ATTACH, ARGS(attach), .good = DESCRIPTOR,
		.zero = {
			{ offsetof(struct mpmcq_attach, open_flags), OTHER_OPEN_FLAGS },
			{ offsetof(struct mpmcq_attach, modes), ~(PACKED | LEASE | DEAD) },
			{ offsetof(struct mpmcq_attach, max_held), -1 },
		},
	}, {
		"REVIVE", MPMCQ_IOC_REVIVE, ARGS(dead),
		.zero = { { offsetof(struct mpmcq_dead, flags), -1 } },
	}, {
		"PURGE", MPMCQ_IOC_PURGE, ARGS(dead),
		.zero = { { offsetof(struct mpmcq_dead, flags), -1 } },
	},
};

#define for_each_request(r) for (r = requests; r < requests + ARRAY_SIZE(requests); r++)

/*
 * @mem is a page behind which there is nothing.  Older harnesses run a test though
 * its setup has skipped it, so each looks for itself.
 */
FIXTURE(request)
{
	unsigned char *mem;
	int page;
	int fd;
};

FIXTURE_VARIANT(request)
{
	bool compat;
};

FIXTURE_VARIANT_ADD(request, bits_64)
{
	.compat = false,
};

FIXTURE_VARIANT_ADD(request, bits_32)
{
	.compat = true,
};

FIXTURE_SETUP(request)
{
	self->page = getpagesize();
	self->fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR);
	ASSERT_LE(0, self->fd);
	self->mem = map32(2 * self->page);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, mprotect(self->mem + self->page, self->page, PROT_NONE));
	if (variant->compat && !has_call32(self->fd))
		SKIP(return, "no 32-bit system calls here");
}

FIXTURE_TEARDOWN(request)
{
	munmap(self->mem, 2 * self->page);
	close(self->fd);
}

/* As a program of 64 bits makes it, or one of 32.  A descriptor is closed again. */
static int make_request(bool compat, int fd, const struct request *r, unsigned int cmd,
			const void *args)
{
	int ret = compat ? ioctl32(fd, cmd, (unsigned long)args) : result(ioctl(fd, cmd, args));

	if (ret < 0 || r->good != DESCRIPTOR)
		return ret;
	return result(close(ret)) ?: DESCRIPTOR;
}

/* A good request with another @size at the end of the page. */
static union args *args_at_end(unsigned char *mem, const struct request *r, __u32 size)
{
	unsigned char *at = mem + getpagesize() - size;

	memset(mem, JUNK, getpagesize() - size);
	memset(at, 0, size);
	memcpy(at, &r->args, size < r->size ? size : r->size);
	memcpy(at, &size, size < sizeof(size) ? size : sizeof(size));
	return (union args *)at;
}

TEST_F(request, good)
{
	const struct request *r;
	union args *args;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		args = args_at_end(self->mem, r, r->size);
		EXPECT_EQ(r->good, make_request(variant->compat, self->fd, r, r->cmd, args))
			TH_LOG("%s", r->name);
		EXPECT_EQ(r->size, args->size);
	}
}

TEST_F(request, too_short)
{
	const struct request *r;
	__u32 size;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (size = 0; size < (r->least ?: r->size); size++) {
			unsigned char *at = (void *)args_at_end(self->mem, r, r->size);

			memcpy(at, &size, sizeof(size));
			EXPECT_EQ(-EINVAL, make_request(variant->compat, self->fd, r, r->cmd, at))
				TH_LOG("%s, size %u", r->name, size);
		}
	}
}

TEST_F(request, every_size)
{
	const struct request *r;
	__u32 size;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (size = r->least ?: r->size; size <= (__u32)self->page;
		     size += size < 256 ? 1 : 240) {
			union args *args = args_at_end(self->mem, r, size);

			EXPECT_EQ(r->good, make_request(variant->compat, self->fd, r, r->cmd, args))
				TH_LOG("%s, size %u", r->name, size);
			EXPECT_TRUE(is_junk(self->mem, self->page - size));
		}
	}
}

TEST_F(request, too_long)
{
	const __u32 sizes[] = { self->page + 1, 1U << 31, UINT32_MAX };
	const struct request *r;
	size_t i;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			unsigned char *at = (void *)args_at_end(self->mem, r, self->page);

			memcpy(at, &sizes[i], sizeof(sizes[i]));
			EXPECT_EQ(-E2BIG, make_request(variant->compat, self->fd, r, r->cmd, at))
				TH_LOG("%s, size %u", r->name, sizes[i]);
		}
	}
}

TEST_F(request, unknown_tail)
{
	const struct request *r;
	__u32 size, at;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (size = r->size + 1; size < r->size + 20; size++) {
			for (at = r->size; at < size; at++) {
				unsigned char *args = (void *)args_at_end(self->mem, r, size);

				args[at] = 1 << at % 8;
				EXPECT_EQ(-E2BIG, make_request(variant->compat, self->fd, r, r->cmd,
							       args))
					TH_LOG("%s, byte %u of %u", r->name, at, size);
			}
		}
	}
}

TEST_F(request, over_edge)
{
	const struct request *r;
	unsigned char *at;
	size_t before;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (before = 0; before < r->size; before++) {
			at = self->mem + self->page - before;
			memcpy(at, &r->args, before);
			EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, r, r->cmd, at))
				TH_LOG("%s, %zu bytes", r->name, before);
		}
		/* Nor is the tail there. */
		at = (void *)args_at_end(self->mem, r, r->size);
		memcpy(at, &(__u32){ r->size + 8 }, sizeof(__u32));
		EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, r, r->cmd, at))
			TH_LOG("%s", r->name);
		EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, r, r->cmd, NULL))
			TH_LOG("%s", r->name);
		EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, r, r->cmd, (void *)-1UL))
			TH_LOG("%s", r->name);
	}
}

TEST_F(request, read_only)
{
	const struct request *r;
	union args *args;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		args = args_at_end(self->mem, r, r->size);
		ASSERT_EQ(0, mprotect(self->mem, self->page, PROT_READ));
		EXPECT_EQ(_IOC_DIR(r->cmd) & _IOC_READ ? -EFAULT : r->good,
			  make_request(variant->compat, self->fd, r, r->cmd, args))
			TH_LOG("%s", r->name);
		ASSERT_EQ(0, mprotect(self->mem, self->page, PROT_READ | PROT_WRITE));
	}
}

TEST_F(request, unknown_bits)
{
	const struct request *r;
	__u32 value, bit;
	size_t i;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		for (i = 0; i < ARRAY_SIZE(r->zero); i++) {
			for (bit = 1; bit; bit <<= 1) {
				unsigned char *at = (void *)args_at_end(self->mem, r, r->size);

				if (!(r->zero[i].bits & bit))
					continue;
				memcpy(&value, at + r->zero[i].offset, sizeof(value));
				value |= bit;
				memcpy(at + r->zero[i].offset, &value, sizeof(value));
				EXPECT_EQ(-EINVAL, make_request(variant->compat, self->fd, r,
								r->cmd, at))
					TH_LOG("%s, bit %#x at %zu", r->name, bit,
					       r->zero[i].offset);
			}
		}
	}
	EXPECT_EQ(0, info_of(self->fd).modes);
}

/* A descriptor is for reading, for writing, or for both. */
TEST_F(request, unknown_access)
{
	const struct request *r;
	union args *args;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		args = args_at_end(self->mem, r, r->size);
		if (r->cmd == MPMCQ_IOC_CREATE)
			args->create.open_flags = O_ACCMODE;
		else if (r->cmd == MPMCQ_IOC_OPEN)
			args->name.open_flags = O_ACCMODE;
		else if (r->cmd == MPMCQ_IOC_ATTACH)
			args->attach.open_flags = O_ACCMODE;
		else
			continue;
		EXPECT_EQ(-EINVAL, make_request(variant->compat, self->fd, r, r->cmd, args))
			TH_LOG("%s", r->name);
	}
}

/* Of the number of a request its size is no part, as it may grow; all else is. */
TEST_F(request, numbers)
{
	const unsigned int sizes[] = { 0, 1, 16, 4096, _IOC_SIZEMASK };
	const struct request *r;
	unsigned int dir;
	union args *args;
	size_t i;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		unsigned int nr = _IOC_NR(r->cmd);

		args = args_at_end(self->mem, r, r->size);
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			EXPECT_EQ(r->good, make_request(variant->compat, self->fd, r,
							_IOC(_IOC_DIR(r->cmd), MPMCQ_IOC_MAGIC, nr,
							     sizes[i]), args))
				TH_LOG("%s, size %u", r->name, sizes[i]);
		}
		for (dir = 0; dir < 4; dir++) {
			if (dir == _IOC_DIR(r->cmd))
				continue;
			EXPECT_EQ(-ENOTTY, make_request(variant->compat, self->fd, r,
							_IOC(dir, MPMCQ_IOC_MAGIC, nr, r->size),
							args))
				TH_LOG("%s, direction %u", r->name, dir);
		}
		EXPECT_EQ(-ENOTTY, make_request(variant->compat, self->fd, r,
						_IOC(_IOC_DIR(r->cmd), 'm', nr, r->size), args));
	}
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IO(MPMCQ_IOC_MAGIC, 0x0e), 0)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IOW(MPMCQ_IOC_MAGIC, 0x0a, int), 0)));
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IOC(_IOC_NONE, MPMCQ_IOC_MAGIC, 0x0a, 4), 0)));
	EXPECT_EQ(0, info_of(self->fd).closed);
}

static int any_ioctl(bool compat, int fd, unsigned int cmd, unsigned int at)
{
	return compat ? ioctl32(fd, cmd, at) : result(ioctl(fd, cmd, (unsigned long)at));
}

static int any_read(bool compat, int fd, unsigned int at, unsigned int len)
{
	return compat ? read32(fd, at, len) : result(read(fd, (void *)(unsigned long)at, len));
}

static int any_write(bool compat, int fd, unsigned int at, unsigned int len)
{
	return compat ? write32(fd, at, len) : result(write(fd, (void *)(unsigned long)at, len));
}

/* What a program does with a queue, from first to last. */
TEST_F(request, in_use)
{
	unsigned int at = (unsigned long)self->mem;
	struct mpmcq_leases *leases = (void *)self->mem;
	struct mpmcq_attach *more = (void *)self->mem;
	struct mpmcq_info *info = (void *)self->mem;
	struct mpmcq_dead *corpses = (void *)self->mem;
	__u64 *ids = (void *)(self->mem + 512);
	struct mpmcq_msg msg;
	int le, i, len = 0;

	if (_metadata->skip)
		return;
	*more = (struct mpmcq_attach){
		.size = sizeof(*more), .open_flags = O_RDWR | O_NONBLOCK, .modes = LEASE | PACKED,
	};
	le = any_ioctl(variant->compat, self->fd, MPMCQ_IOC_ATTACH, at);
	ASSERT_LE(0, le);
	for (i = 0; i < 3; i++)
		len += pack(self->mem + len, LEN, i);
	EXPECT_EQ(len, any_write(variant->compat, le, at, len));
	memset(self->mem, JUNK, len);
	EXPECT_EQ(len, any_read(variant->compat, le, at, 512));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(space_of(LEN), unpack(self->mem + i * space_of(LEN), 512, LEN, i, &msg));
		ids[i] = msg.id;
	}
	EXPECT_EQ(-EAGAIN, any_read(variant->compat, le, at, 512));

	memset(info, JUNK, sizeof(*info));
	info->size = sizeof(*info);
	info->flags = 0;
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_INFO, at));
	EXPECT_EQ(LEASE | PACKED, info->modes);
	EXPECT_EQ(3, info->held);
	EXPECT_EQ(255, info->features);

	*leases = (struct mpmcq_leases){
		.size = sizeof(*leases), .ids = at + 512, .count = 1, .done = -1,
	};
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_ACK, at));
	EXPECT_EQ(1, leases->done);
	leases->ids = at + 520;
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_REJECT, at));
	leases->ids = at + 512;
	leases->count = 3;
	EXPECT_EQ(-ENOENT, any_ioctl(variant->compat, le, MPMCQ_IOC_NACK, at));
	EXPECT_EQ(1, leases->done);
	leases->ids |= 1ULL << 32;
	EXPECT_EQ(-EFAULT, any_ioctl(variant->compat, le, MPMCQ_IOC_NACK, at));

	*corpses = (struct mpmcq_dead){ .size = sizeof(*corpses), .done = -1 };
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_REVIVE, at));
	EXPECT_EQ(1, corpses->done);
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_CLOSE, 0));
	EXPECT_EQ(-EINVAL, any_ioctl(variant->compat, le, MPMCQ_IOC_CLOSE, at));
	EXPECT_EQ(-EPIPE, any_write(variant->compat, self->fd, at, 5));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 2));
	EXPECT_EQ(LEN, take_msg(self->fd, LEN, 1));
	EXPECT_EQ(0, any_read(variant->compat, self->fd, at, 5));
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_REOPEN, 0));
	EXPECT_EQ(0, info_of(le).closed);
	close(le);
}

/*
 * Queues by name.  Those of a test are called by its process and a number; the
 * teardown destroys what is left of them.
 */
#define NAMES	8

FIXTURE(names)
{
	int device;
	char name[NAMES][MPMCQ_NAME_MAX + 1];
};

FIXTURE_SETUP(names)
{
	int i;

	self->device = open(DEVICE, O_RDWR);
	ASSERT_LE(0, self->device);
	for (i = 0; i < NAMES; i++)
		snprintf(self->name[i], sizeof(self->name[i]), "test-%d.%d", getpid(), i);
}

FIXTURE_TEARDOWN(names)
{
	int i;

	for (i = 0; i < NAMES; i++)
		destroy_queue(self->device, self->name[i]);
	close(self->device);
}

static struct mpmcq_create named(const char *name, __u32 open_flags, __u32 mode)
{
	struct mpmcq_create like = {
		.capacity = 4, .msg_size = 64, .open_flags = open_flags, .mode = mode,
	};
	size_t len = strlen(name);

	memcpy(like.name, name, len < sizeof(like.name) ? len : sizeof(like.name));
	return like;
}

/* The path of the queue's node, or of what sysfs tells of it. */
static const char *path_of(const char *prefix, const char *name, const char *what)
{
	static char path[2][128];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s%s%s", prefix, name, what);
	return path[turn];
}

static const char *sysfs(const char *name, const char *what)
{
	return line(path_of(SYSFS, name, what), "");
}

static bool has_node(const char *name)
{
	return !access(path_of(NODE, name, ""), F_OK);
}

static bool has_folder(const char *name)
{
	return !access(path_of(SYSFS, name, ""), F_OK);
}

TEST_F(names, created_opened_destroyed)
{
	int first, second, third;

	EXPECT_EQ(-ENOENT, open_queue(self->device, self->name[0], O_RDWR));
	EXPECT_EQ(-ENOENT, destroy_queue(self->device, self->name[0]));
	first = create(self->device, named(self->name[0], O_RDWR | O_NONBLOCK, 0600));
	ASSERT_LE(0, first);
	EXPECT_EQ(-EEXIST, create(self->device, named(self->name[0], O_RDWR, 0600)));
	EXPECT_EQ(-EEXIST, create(first, named(self->name[0], O_RDWR, 0600)));
	second = open_queue(self->device, self->name[0], O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, second);
	ASSERT_EQ(LEN, put_msg(first, LEN, 1));
	EXPECT_EQ(LEN, take_msg(second, LEN, 1));
	EXPECT_EQ(-EAGAIN, take(second, large, LEN));
	EXPECT_EQ(-EBADF, put_msg(second, LEN, 1));

	/* Messages stay while nobody has it open. */
	ASSERT_EQ(LEN, put_msg(first, LEN, 2));
	close(first);
	close(second);
	first = open_queue(self->device, self->name[0], O_RDWR | O_NONBLOCK);
	ASSERT_LE(0, first);
	EXPECT_EQ(LEN, take_msg(first, LEN, 2));

	/* Destroyed, it is as good as ever for those who have it, and another takes its name. */
	ASSERT_EQ(LEN, put_msg(first, LEN, 3));
	EXPECT_EQ(0, destroy_queue(first, self->name[0]));
	EXPECT_EQ(-ENOENT, destroy_queue(first, self->name[0]));
	EXPECT_EQ(-ENOENT, open_queue(first, self->name[0], O_RDWR));
	second = create(self->device, named(self->name[0], O_RDWR | O_NONBLOCK, 0600));
	ASSERT_LE(0, second);
	EXPECT_EQ(-EAGAIN, take(second, large, LEN));
	third = attach(first, O_RDWR, 0, 0);
	ASSERT_LE(0, third);
	EXPECT_EQ(LEN, take_msg(third, LEN, 3));
	EXPECT_EQ(LEN, put_msg(third, LEN, 4));
	EXPECT_EQ(LEN, take_msg(first, LEN, 4));
	close(third);
	close(second);
	close(first);
}

TEST_F(names, good_and_bad)
{
	char name[64];
	int c, fd;

	for (c = 1; c < 256; c++) {
		bool good = c < 128 && (isalnum(c) || strchr("_.-", c));

		/* Behind a first letter, in the middle and at the end. */
		snprintf(name, sizeof(name), "t%d%cx", getpid(), c);
		fd = create(self->device, named(name, O_RDWR, 0600));
		EXPECT_EQ(good, fd >= 0) TH_LOG("character %d: %d", c, fd);
		EXPECT_EQ(good ? 0 : -EINVAL, fd < 0 ? fd : 0);
		EXPECT_EQ(good ? 0 : -EINVAL, destroy_queue(self->device, name));
		close(fd);

		/* First. */
		good = good && c != '.' && c != '-';
		snprintf(name, sizeof(name), "%ct%d", c, getpid());
		fd = create(self->device, named(name, O_RDWR, 0600));
		EXPECT_EQ(good, fd >= 0) TH_LOG("first character %d: %d", c, fd);
		EXPECT_EQ(good ? 0 : -EINVAL, fd < 0 ? fd : 0);
		EXPECT_EQ(good ? 0 : -EINVAL, destroy_queue(self->device, name));
		close(fd);
	}
	EXPECT_EQ(-EINVAL, create(self->device, named(".", O_RDWR, 0600)));
	EXPECT_EQ(-EINVAL, create(self->device, named("..", O_RDWR, 0600)));
	EXPECT_EQ(-EINVAL, open_queue(self->device, "", O_RDWR));
	EXPECT_EQ(-EINVAL, open_queue(self->device, "../mem", O_RDWR));
	EXPECT_EQ(-EINVAL, destroy_queue(self->device, ""));
}

TEST_F(names, lengths)
{
	char name[64] = {};
	int len, fd;

	for (len = 1; len <= MPMCQ_NAME_MAX + 1; len++) {
		memset(name, 'a' + getpid() % 26, len);
		fd = create(self->device, named(name, O_RDWR, 0600));
		if (len > MPMCQ_NAME_MAX) {
			EXPECT_EQ(-EINVAL, fd);
			EXPECT_EQ(-EINVAL, open_queue(self->device, name, O_RDWR));
			EXPECT_EQ(-EINVAL, destroy_queue(self->device, name));
			break;
		}
		ASSERT_LE(0, fd) TH_LOG("length %d", len);
		EXPECT_STREQ(name, info_of(fd).name);
		EXPECT_TRUE(has_folder(name));
		EXPECT_EQ(0, destroy_queue(self->device, name));
		close(fd);
	}
}

/* All behind the name is 0, or it is no name. */
TEST_F(names, junk_behind_the_name)
{
	struct mpmcq_create like = named(self->name[0], O_RDWR, 0600);
	struct mpmcq_name req = { .size = sizeof(req) };
	int fd;
	size_t at;

	fd = create(self->device, like);
	ASSERT_LE(0, fd);
	close(fd);
	for (at = strlen(self->name[0]) + 1; at < sizeof(like.name); at++) {
		like = named(self->name[1], O_RDWR, 0600);
		like.name[at] = 'x';
		EXPECT_EQ(-EINVAL, create(self->device, like));
		memset(req.name, 0, sizeof(req.name));
		strcpy(req.name, self->name[0]);
		req.name[at] = 'x';
		EXPECT_EQ(-EINVAL, result(ioctl(self->device, MPMCQ_IOC_OPEN, &req)));
		EXPECT_EQ(-EINVAL, result(ioctl(self->device, MPMCQ_IOC_DESTROY, &req)));
	}
	/* A private queue has none at all. */
	like = named("", O_RDWR, 0);
	like.name[5] = 'x';
	EXPECT_EQ(-EINVAL, create(self->device, like));
	EXPECT_EQ(0, destroy_queue(self->device, self->name[0]));
}

/* The default queue is not one of these. */
TEST_F(names, default_queue)
{
	EXPECT_EQ(-EEXIST, create(self->device, named("mpmcq", O_RDWR, 0600)));
	EXPECT_EQ(-ENOENT, open_queue(self->device, "mpmcq", O_RDWR));
	EXPECT_EQ(-ENOENT, destroy_queue(self->device, "mpmcq"));
	EXPECT_EQ(0, access(DEVICE, F_OK));
	EXPECT_STREQ("mpmcq", info_of(self->device).name);
	EXPECT_EQ(0, info_of(self->device).flags);
	EXPECT_EQ(MPMCQ_MAX_DELIVERIES_DEFAULT, info_of(self->device).max_deliveries);
	EXPECT_EQ(0, info_of(self->device).lease_ms);
	EXPECT_EQ(-EINVAL, destroy_queue(self->device, DEVICE));
}

TEST_F(names, what_is_not_possible)
{
	int reader = open(DEVICE, O_RDONLY);
	struct mpmcq_create like = named(self->name[0], O_RDWR, 01000);

	ASSERT_LE(0, reader);
	EXPECT_EQ(-EBADF, create(reader, named(self->name[0], O_RDWR, 0600)));
	EXPECT_EQ(-EINVAL, create(self->device, like));
	like.mode = 04755;
	EXPECT_EQ(-EINVAL, create(self->device, like));
	like.mode = 1U << 31;
	EXPECT_EQ(-EINVAL, create(self->device, like));
	EXPECT_EQ(-ENOENT, open_queue(reader, self->name[0], O_RDWR));
	EXPECT_FALSE(has_node(self->name[0]));
	close(reader);
}

/* By any file of any queue. */
TEST_F(names, found_by_any_file)
{
	int reader = open(DEVICE, O_RDONLY);
	int private = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDONLY);
	int fd = create(self->device, named(self->name[0], O_WRONLY, 0600));
	const int files[] = { reader, private, fd, self->device };
	size_t i;
	int got;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_LE(0, files[i]);
		got = open_queue(files[i], self->name[0], O_RDWR);
		ASSERT_LE(0, got);
		EXPECT_EQ(LEN, put_msg(fd, LEN, i));
		EXPECT_EQ(LEN, take_msg(got, LEN, i));
		close(got);
	}
	/* And one by one of them. */
	got = create(fd, named(self->name[1], O_RDWR, 0600));
	EXPECT_LE(0, got);
	close(got);
	EXPECT_EQ(0, destroy_queue(reader, self->name[0]));
	EXPECT_EQ(0, destroy_queue(private, self->name[1]));
	close(fd);
	close(private);
	close(reader);
}

/* Whoever creates it may do what he asked for, though the mode allows it nobody. */
TEST_F(names, access_of_the_creator)
{
	int fd = create(self->device, named(self->name[0], O_RDWR, 0));

	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
}

TEST_F(names, descriptors)
{
	const __u32 flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK, O_CLOEXEC };
	int fd[3], i, way;

	for (i = 0; i < (int)ARRAY_SIZE(flags); i++) {
		fd[0] = create(self->device, named(self->name[i], flags[i], 0600));
		fd[1] = open_queue(self->device, self->name[i], flags[i]);
		fd[2] = attach(fd[0], flags[i], 0, 0);
		for (way = 0; way < 3; way++) {
			ASSERT_LE(0, fd[way]);
			EXPECT_EQ(FD_CLOEXEC, fcntl(fd[way], F_GETFD));
			EXPECT_EQ(flags[i] & (O_ACCMODE | O_NONBLOCK),
				  fcntl(fd[way], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
			EXPECT_EQ(-ESPIPE, result(lseek(fd[way], 0, SEEK_CUR)));
		}
		for (way = 0; way < 3; way++)
			close(fd[way]);
	}
}

TEST_F(names, node)
{
	const mode_t modes[] = { 0600, 0640, 0666, 0444, 0222, 0777, 0 };
	char dev[32];
	struct stat st;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = create(self->device, named(self->name[i], O_RDWR, modes[i]));
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, stat(path_of(NODE, self->name[i], ""), &st));
		EXPECT_TRUE(S_ISCHR(st.st_mode));
		EXPECT_EQ(modes[i], st.st_mode & 07777);
		EXPECT_EQ(geteuid(), st.st_uid);
		EXPECT_EQ(getegid(), st.st_gid);
		snprintf(dev, sizeof(dev), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
		EXPECT_STREQ(dev, sysfs(self->name[i], "/dev"));
		close(fd);

		fd = open(path_of(NODE, self->name[i], ""), O_RDWR);
		ASSERT_LE(0, fd);
		EXPECT_STREQ(self->name[i], info_of(fd).name);
		EXPECT_EQ(LEN, put_msg(fd, LEN, i));
		EXPECT_EQ(LEN, take_msg(fd, LEN, i));
		EXPECT_EQ(0, destroy_queue(self->device, self->name[i]));
		EXPECT_FALSE(has_node(self->name[i]));
		EXPECT_FALSE(has_folder(self->name[i]));
		EXPECT_EQ(LEN, put_msg(fd, LEN, i));
		close(fd);
	}
}

/* A node that somebody copied leads nowhere once its queue has lost its name. */
TEST_F(names, stale_node)
{
	char path[] = "/tmp/mpmcq-test-XXXXXX", node[64];
	struct stat st;
	int i, fd;

	if (geteuid())
		SKIP(return, "only root makes nodes");
	ASSERT_NE(NULL, mkdtemp(path));
	snprintf(node, sizeof(node), "%s/node", path);
	fd = create(self->device, named(self->name[0], O_RDWR, 0600));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stat(path_of(NODE, self->name[0], ""), &st));
	ASSERT_EQ(0, mknod(node, S_IFCHR | 0600, st.st_rdev));
	close(fd);
	fd = open(node, O_RDWR);
	if (fd < 0 && errno == EACCES)
		SKIP(return, "no nodes in /tmp");
	ASSERT_LE(0, fd);
	EXPECT_STREQ(self->name[0], info_of(fd).name);
	EXPECT_EQ(0, destroy_queue(self->device, self->name[0]));
	EXPECT_EQ(-1, open(node, O_RDWR));
	EXPECT_EQ(ENXIO, errno);
	/* Its number is not that of a later one soon. */
	for (i = 0; i < 100; i++) {
		int later = create(self->device, named(self->name[1], O_RDWR, 0600));

		ASSERT_LE(0, later);
		close(later);
		EXPECT_EQ(-1, open(node, O_RDWR));
		EXPECT_EQ(ENXIO, errno);
		EXPECT_EQ(0, destroy_queue(self->device, self->name[1]));
	}
	close(fd);
	unlink(node);
	rmdir(path);
}

/* As a user without privileges, and back again. */
static int become(uid_t uid, gid_t gid, gid_t more)
{
	if (seteuid(0) || setgroups(!!more, &more) || setegid(gid) || seteuid(uid))
		return -errno;
	return 0;
}

#define OWNER	1001
#define OTHER	1002
#define GROUP	2001

/* By name as by node, as of any file. */
TEST_F(names, permissions)
{
	const mode_t modes[] = {
		0600, 0640, 0660, 0604, 0666, 0444, 0222, 0400, 0040, 0004, 0420, 0077, 0707, 0777,
		0,
	};
	const struct {
		uid_t uid;
		gid_t gid, more;
		int shift;	/* of the bits that count; -1: all is allowed */
	} who[] = {
		{ OWNER, GROUP, 0, 6 }, { OWNER, OTHER, 0, 6 }, { OTHER, GROUP, 0, 3 },
		{ OTHER, OTHER, GROUP, 3 }, { OTHER, OTHER, 0, 0 }, { 0, 0, 0, -1 },
	};
	const __u32 accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const mode_t needed[] = { 4, 2, 6 };
	size_t i, j, k;
	int fd;

	if (geteuid())
		SKIP(return, "only root can be several users");
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, become(OWNER, GROUP, 0));
		fd = create(self->device, named(self->name[0], O_RDWR, modes[i]));
		ASSERT_LE(0, fd);
		close(fd);
		for (j = 0; j < ARRAY_SIZE(who); j++) {
			ASSERT_EQ(0, become(who[j].uid, who[j].gid, who[j].more));
			for (k = 0; k < ARRAY_SIZE(accesses); k++) {
				bool may = who[j].shift < 0 ||
					   (modes[i] >> who[j].shift & needed[k]) == needed[k];

				fd = open_queue(self->device, self->name[0], accesses[k]);
				EXPECT_EQ(may ? 0 : -EACCES, fd < 0 ? fd : 0)
					TH_LOG("mode %o, user %zu, access %u", modes[i], j,
					       accesses[k]);
				close(fd);
				fd = open(path_of(NODE, self->name[0], ""), accesses[k]);
				EXPECT_EQ(may ? 0 : -EACCES, fd < 0 ? -errno : 0)
					TH_LOG("node of mode %o, user %zu, access %u", modes[i], j,
					       accesses[k]);
				close(fd);
			}
			if (who[j].uid == OTHER)
				EXPECT_EQ(-EPERM, destroy_queue(self->device, self->name[0]));
		}
		ASSERT_EQ(0, become(i % 2 ? OWNER : 0, OTHER, 0));
		EXPECT_EQ(0, destroy_queue(self->device, self->name[0]));
		ASSERT_EQ(0, become(0, 0, 0));
	}
}

/* Nor does a copy of its node, made for whatever mode, let in more than the queue does. */
TEST_F(names, copied_node)
{
	char path[] = "/tmp/mpmcq-test-XXXXXX", node[64];
	struct stat st;
	int fd;

	if (geteuid())
		SKIP(return, "only root makes nodes");
	ASSERT_NE(NULL, mkdtemp(path));
	ASSERT_EQ(0, chmod(path, 0755));
	snprintf(node, sizeof(node), "%s/node", path);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	fd = create(self->device, named(self->name[0], O_RDWR, 0640));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stat(path_of(NODE, self->name[0], ""), &st));
	ASSERT_EQ(0, mknod(node, S_IFCHR | 0666, st.st_rdev));
	ASSERT_EQ(0, chmod(node, 0666));
	close(fd);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, result(open(node, O_RDONLY)));
	EXPECT_EQ(-EACCES, result(open(node, O_RDWR)));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(-EACCES, result(open(node, O_WRONLY)));
	fd = open(node, O_RDONLY);
	EXPECT_LE(0, fd);
	close(fd);
	ASSERT_EQ(0, become(0, 0, 0));
	unlink(node);
	rmdir(path);
}

/* Its owner and group are those of who created it. */
TEST_F(names, owner)
{
	struct stat st;
	int fd;

	if (geteuid())
		SKIP(return, "only root can be several users");
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	fd = create(self->device, named(self->name[0], O_RDWR, 0640));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, stat(path_of(NODE, self->name[0], ""), &st));
	EXPECT_EQ(OWNER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(0640, st.st_mode & 0777);
	close(fd);
}

/* Who is let in by its owner needs no permission of his own. */
TEST_F(names, inherited_file)
{
	int fd;

	if (geteuid())
		SKIP(return, "only root can be several users");
	fd = create(self->device, named(self->name[0], O_RDWR, 0600));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, open_queue(fd, self->name[0], O_RDWR));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_LE(0, attach(fd, O_RDONLY, 0, 0));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	EXPECT_EQ(-EPERM, destroy_queue(fd, self->name[0]));
	ASSERT_EQ(0, become(0, 0, 0));
	close(fd);
}

/* In a container that has no nodes; @fd was there before. */
static int work_without_nodes(int fd, const char *old, const char *new)
{
	int got;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/dev", "tmpfs", 0, NULL))
		return 1;
	if (!access(DEVICE, F_OK))
		return 2;
	got = open_queue(fd, old, O_RDWR);
	if (got < 0 || take_msg(got, LEN, 1) != LEN || put_msg(got, LEN, 2) != LEN)
		return 3;
	got = create(fd, named(new, O_RDWR, 0600));
	if (got < 0 || put_msg(got, LEN, 3) != LEN)
		return 4;
	return has_node(new) ? 5 : 0;
}

TEST_F(names, without_nodes)
{
	int fd = create(self->device, named(self->name[0], O_RDWR, 0600)), reader;

	ASSERT_LE(0, fd);
	if (geteuid())
		SKIP(return, "only root mounts");
	reader = open_queue(fd, self->name[0], O_RDWR);
	ASSERT_LE(0, reader);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(0, child_end(fork_child(work_without_nodes(fd, self->name[0], self->name[1]))));
	EXPECT_EQ(LEN, take_msg(reader, LEN, 2));
	close(reader);
	/* What was made in there is there for all. */
	EXPECT_TRUE(has_node(self->name[1]));
	reader = open_queue(fd, self->name[1], O_RDWR);
	ASSERT_LE(0, reader);
	EXPECT_EQ(LEN, take_msg(reader, LEN, 3));
	close(reader);
	close(fd);
}

static int create_auto(int device, const char *name)
{
	struct mpmcq_create like = named(name, O_RDWR, 0600);

	like.flags = MPMCQ_AUTO_DESTROY;
	return create(device, like);
}

TEST_F(names, destroyed_by_its_last_user)
{
	int first = create_auto(self->device, self->name[0]), second, third;
	pid_t pid;

	ASSERT_LE(0, first);
	EXPECT_EQ(MPMCQ_AUTO_DESTROY, info_of(first).flags);
	second = open_queue(first, self->name[0], O_RDONLY);
	third = attach(second, O_RDONLY, 0, 0);
	ASSERT_LE(0, second);
	ASSERT_LE(0, third);
	close(first);
	close(second);
	EXPECT_TRUE(has_node(self->name[0]));
	first = open_queue(third, self->name[0], O_WRONLY);
	EXPECT_LE(0, first);
	close(first);
	close(third);
	EXPECT_FALSE(has_node(self->name[0]));
	EXPECT_FALSE(has_folder(self->name[0]));
	EXPECT_EQ(-ENOENT, open_queue(self->device, self->name[0], O_RDWR));
	EXPECT_EQ(-ENOENT, destroy_queue(self->device, self->name[0]));

	/* Also if that one is killed; a name that was taken away is taken once. */
	first = create_auto(self->device, self->name[0]);
	ASSERT_LE(0, first);
	pid = fork_child(pause());
	ASSERT_LE(0, pid);
	close(first);
	EXPECT_TRUE(has_node(self->name[0]));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_end(pid));
	EXPECT_FALSE(has_node(self->name[0]));

	first = create_auto(self->device, self->name[0]);
	ASSERT_LE(0, first);
	EXPECT_EQ(0, destroy_queue(first, self->name[0]));
	second = create_auto(self->device, self->name[0]);
	ASSERT_LE(0, second);
	close(first);
	EXPECT_TRUE(has_node(self->name[0]));
	EXPECT_EQ(LEN, put_msg(second, LEN, 1));
	close(second);
	EXPECT_FALSE(has_node(self->name[0]));
}

/* Opened by its node while it goes: it works, or it is gone. */
static int open_again_and_again(const char *path)
{
	int i, fd, opened = 0;

	for (i = 0; i < 3000; i++) {
		fd = open(path, O_RDWR | O_NONBLOCK);
		if (fd < 0) {
			if (errno != ENOENT && errno != ENXIO)
				return 1;
			continue;
		}
		opened++;
		put_msg(fd, LEN, 0);
		if (take_msg(fd, LEN, 0) == -EBADMSG)
			return 2;
		close(fd);
	}
	return 0;
}

TEST_F(names, opened_while_destroyed)
{
	int i, status, fd;
	pid_t pid[2];

	for (i = 0; i < 2; i++)
		pid[i] = fork_child(open_again_and_again(path_of(NODE, self->name[0], "")));
	while (!waitpid(pid[0], &status, WNOHANG)) {
		fd = create_auto(self->device, self->name[0]);
		/* Somebody may have the last one open yet. */
		if (fd == -EEXIST)
			continue;
		ASSERT_LE(0, fd);
		if (i++ % 2)
			EXPECT_EQ(0, destroy_queue(self->device, self->name[0]));
		close(fd);
	}
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, child_end(pid[1]));
	EXPECT_EQ(-ENOENT, destroy_queue(self->device, self->name[0]));
	EXPECT_LT(10, i);
}

#define THOUSAND	1000

TEST_F_TIMEOUT(names, thousand, 120)
{
	char name[32];
	int i, fd;

	if (geteuid())
		SKIP(return, "only root has no quota");
	for (i = 0; i < THOUSAND; i++) {
		struct mpmcq_create like;

		snprintf(name, sizeof(name), "thousand-%d.%d", getpid(), i);
		like = named(name, O_WRONLY, 0600);
		like.capacity = 2;
		fd = create(self->device, like);
		ASSERT_LE(0, fd) TH_LOG("queue %d", i);
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
		close(fd);
	}
	for (i = 0; i < THOUSAND; i++) {
		snprintf(name, sizeof(name), "thousand-%d.%d", getpid(), i * 7 % THOUSAND);
		fd = i % 2 ? open_queue(self->device, name, O_RDONLY) :
			     open(path_of(NODE, name, ""), O_RDONLY);
		ASSERT_LE(0, fd) TH_LOG("queue %s", name);
		ASSERT_EQ(LEN, take_msg(fd, LEN, i * 7 % THOUSAND));
		ASSERT_EQ(0, destroy_queue(self->device, name));
		close(fd);
		ASSERT_FALSE(has_node(name));
	}
}

TEST_F(names, told_by_sysfs)
{
	struct mpmcq_create like = named(self->name[0], O_RDWR | O_NONBLOCK, 0600);
	int fd, le, pk;
	struct mpmcq_msg msg[4];
	char path[64];

	like.capacity = 8;
	like.max_deliveries = 2;
	like.lease_ms = 3600000;
	fd = create(self->device, like);
	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	EXPECT_STREQ(line(path, "number:\t"), sysfs(self->name[0], "/number"));
	EXPECT_STREQ("8", sysfs(self->name[0], "/capacity"));
	EXPECT_STREQ("64", sysfs(self->name[0], "/msg_size"));
	EXPECT_STREQ("2", sysfs(self->name[0], "/max_deliveries"));
	EXPECT_STREQ("3600000", sysfs(self->name[0], "/lease_ms"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/depth"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/dead"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/leased"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/closed"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/sent"));

	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	pk = attach(fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_LE(0, pk);
	ASSERT_EQ(5, put_packed(pk, 5, LEN, 0));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 5));
	ASSERT_EQ(LEN, take_msg(fd, LEN, 0));
	ASSERT_EQ(4, take_packed(le, 4, LEN, 1, msg));
	EXPECT_STREQ("6", sysfs(self->name[0], "/sent"));
	EXPECT_STREQ("5", sysfs(self->name[0], "/received"));
	EXPECT_STREQ("1", sysfs(self->name[0], "/depth"));
	EXPECT_STREQ("4", sysfs(self->name[0], "/leased"));
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, reject(le, msg[2].id));
	close(le);
	EXPECT_STREQ("1", sysfs(self->name[0], "/acked"));
	EXPECT_STREQ("2", sysfs(self->name[0], "/returned"));
	EXPECT_STREQ("1", sysfs(self->name[0], "/rejected"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/leased"));
	EXPECT_STREQ("1", sysfs(self->name[0], "/dead"));
	EXPECT_STREQ("3", sysfs(self->name[0], "/depth"));

	/* The one that came back comes back once more, and is set aside. */
	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	ASSERT_EQ(LEN, take_msg(le, LEN, 4));
	close(le);
	EXPECT_STREQ("3", sysfs(self->name[0], "/returned"));
	EXPECT_STREQ("2", sysfs(self->name[0], "/rejected"));
	EXPECT_STREQ("2", sysfs(self->name[0], "/dead"));
	EXPECT_STREQ("6", sysfs(self->name[0], "/received"));
	EXPECT_STREQ("0", sysfs(self->name[0], "/dropped"));
	EXPECT_STREQ("6", sysfs(self->name[0], "/sent"));
	EXPECT_EQ(0, close_queue(fd));
	EXPECT_STREQ("1", sysfs(self->name[0], "/closed"));

	/* Who was refused did nothing. */
	EXPECT_EQ(-EPIPE, put_msg(fd, LEN, 5));
	EXPECT_EQ(-EMSGSIZE, take(fd, large, 1));
	EXPECT_STREQ("6", sysfs(self->name[0], "/sent"));
	EXPECT_STREQ("6", sysfs(self->name[0], "/received"));
	close(pk);
	close(fd);
}

/* A read that is in the middle of it keeps nobody from destroying the queue for long. */
TEST_F(names, destroyed_while_sysfs_is_read)
{
	int i, attr, fd;
	char buf[16];

	for (i = 0; i < 50; i++) {
		fd = create(self->device, named(self->name[0], O_RDWR, 0600));
		ASSERT_LE(0, fd);
		attr = open(path_of(SYSFS, self->name[0], "/sent"), O_RDONLY);
		ASSERT_LE(0, attr);
		if (i % 2)
			EXPECT_LT(0, read(attr, buf, sizeof(buf)));
		EXPECT_EQ(0, destroy_queue(fd, self->name[0]));
		close(fd);
		EXPECT_EQ(-ENODEV, result(pread(attr, buf, sizeof(buf), 0)));
		close(attr);
	}
}

static const char *told_of(int fd, const char *key)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	return line(path, key);
}

TEST_F(names, told_by_fdinfo)
{
	const struct {
		__u32 modes;
		const char *text;
	} modes[] = {
		{ 0, "plain" }, { PACKED, "packed" }, { LEASE, "lease" },
		{ PACKED | LEASE, "packed lease" }, { DEAD, "dead" },
		{ PACKED | DEAD, "packed dead" },
	};
	int fd = create(self->device, named(self->name[0], O_RDWR, 0600)), private, file;
	char want[64];
	size_t i;

	ASSERT_LE(0, fd);
	snprintf(want, sizeof(want), "mpmcq-%s", self->name[0]);
	EXPECT_STREQ(want, told_of(fd, "queue:\t"));
	EXPECT_STREQ("4", told_of(fd, "capacity:\t"));
	EXPECT_STREQ("64", told_of(fd, "msg_size:\t"));
	EXPECT_STREQ("0", told_of(fd, "depth:\t"));
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		file = attach(fd, O_RDWR, modes[i].modes, 0);
		ASSERT_LE(0, file);
		EXPECT_STREQ(modes[i].text, told_of(file, "modes:\t"));
		close(file);
	}
	file = attach(fd, O_RDWR, LEASE, 0);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	EXPECT_STREQ("2", told_of(fd, "depth:\t"));
	ASSERT_EQ(LEN, take_msg(file, LEN, 1));
	EXPECT_STREQ("1", told_of(fd, "depth:\t"));
	EXPECT_STREQ("1", told_of(file, "held:\t"));
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	close(file);

	private = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	ASSERT_LE(0, private);
	EXPECT_STREQ("private", told_of(private, "queue:\t"));
	EXPECT_STREQ("mpmcq", told_of(self->device, "queue:\t"));
	EXPECT_EQ(0, destroy_queue(fd, self->name[0]));
	EXPECT_STREQ("2", told_of(fd, "depth:\t"));
	close(private);
	close(fd);
}

TEST_F(names, told_by_info)
{
	struct mpmcq_create like = named(self->name[0], O_RDWR, 0600);
	struct mpmcq_info info;
	int fd, le;

	like.flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_AUTO_DESTROY;
	like.max_deliveries = 8;
	like.lease_ms = 60000;
	fd = create(self->device, like);
	ASSERT_LE(0, fd);
	le = attach(fd, O_RDONLY, LEASE | PACKED, 3);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 3));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	EXPECT_EQ(1, request_all(le, MPMCQ_IOC_REJECT));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 2, NULL));

	ASSERT_EQ(0, query(le, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(4, info.capacity);
	EXPECT_EQ(64, info.msg_size);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(like.flags, info.flags);
	EXPECT_EQ(MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_LEASE | MPMCQ_FEATURE_DEAD |
		  MPMCQ_FEATURE_CLOSE | MPMCQ_FEATURE_ATTACH | MPMCQ_FEATURE_CREATE |
		  MPMCQ_FEATURE_NAMES | MPMCQ_FEATURE_DROP, info.features);
	EXPECT_EQ(LEASE | PACKED, info.modes);
	EXPECT_EQ(0, info.closed);
	EXPECT_EQ(1, info.dead);
	EXPECT_EQ(1, info.leased);
	EXPECT_EQ(8, info.max_deliveries);
	EXPECT_EQ(60000, info.lease_ms);
	EXPECT_EQ(1, info.held);
	EXPECT_EQ(3, info.max_held);
	EXPECT_STREQ(self->name[0], info.name);
	EXPECT_EQ('\0', info.name[sizeof(info.name) - 1]);

	/* Asked again with the answer, flags and all. */
	ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &info)));
	EXPECT_EQ(like.flags, info.flags);
	EXPECT_EQ(0, info.modes);
	EXPECT_EQ(1, info.leased);
	EXPECT_EQ(0, info.held);
	EXPECT_EQ(0, close_queue(fd));
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(1, info.closed);
	close(le);
	close(fd);
}

/* As short as it was once, and every length from there on. */
TEST_F(names, told_by_short_info)
{
	int fd = create(self->device, named(self->name[0], O_RDWR, 0600));
	struct mpmcq_info whole, part;
	size_t size;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &whole));
	for (size = MPMCQ_INFO_SIZE_VER0; size < sizeof(part); size++) {
		memset(&part, JUNK, sizeof(part));
		part.size = size;
		ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &part)));
		EXPECT_EQ(size, part.size);
		whole.size = size;
		EXPECT_EQ(0, memcmp(&whole, &part, size));
		EXPECT_TRUE(is_junk((unsigned char *)&part + size, sizeof(part) - size));
	}
	close(fd);
}

/* Queues without a name. */
TEST(private_defaults)
{
	int fd = make_queue(.open_flags = O_RDWR | O_NONBLOCK);
	struct mpmcq_info info;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &info));
	EXPECT_EQ(1024, info.capacity);
	EXPECT_EQ(1024, info.msg_size);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(0, info.max_deliveries);
	EXPECT_EQ(0, info.lease_ms);
	EXPECT_STREQ("", info.name);
	EXPECT_EQ(1024, put_all(fd, LEN, 0));
	EXPECT_EQ(1024, take_all(fd));
	close(fd);
}

/* The largest queue takes long to make in a kernel that watches. */
FIXTURE(large)
{
};

FIXTURE_SETUP(large)
{
}

FIXTURE_TEARDOWN(large)
{
}

TEST_F_TIMEOUT(large, private_sizes, 300)
{
	const struct {
		__u32 capacity, msg_size;
		bool good;
	} sizes[] = {
		{ 2, 1, true }, { 2, 65536, true }, { 4, 7, true }, { 1048576, 1, true },
		{ 1, 8, false }, { 3, 8, false }, { 6, 8, false }, { 1023, 8, false },
		{ 2097152, 1, false }, { 1U << 31, 1, false }, { UINT32_MAX, 1, false },
		{ 2, 65537, false }, { 2, 1U << 31, false }, { 2, UINT32_MAX, false },
	};
	struct mpmcq_info info;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = make_queue(.capacity = sizes[i].capacity, .msg_size = sizes[i].msg_size,
				.open_flags = O_RDWR | O_NONBLOCK);
		if (!sizes[i].good) {
			EXPECT_EQ(-EINVAL, fd) TH_LOG("capacity %u, msg_size %u",
						      sizes[i].capacity, sizes[i].msg_size);
			continue;
		}
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, query(fd, &info));
		EXPECT_EQ(sizes[i].capacity, info.capacity);
		EXPECT_EQ(sizes[i].msg_size, info.msg_size);
		EXPECT_EQ(sizes[i].msg_size, put_msg(fd, sizes[i].msg_size, i));
		EXPECT_EQ(-EMSGSIZE, put(fd, large, (size_t)sizes[i].msg_size + 1));
		EXPECT_EQ(sizes[i].msg_size, take_msg(fd, sizes[i].msg_size, i));
		close(fd);
	}
}

TEST(private_lease_ms)
{
	const struct {
		__u32 lease_ms;
		bool good;
	} times[] = {
		{ 1, true }, { 60000, true }, { INT_MAX, true }, { 1U << 31, false },
		{ UINT32_MAX, false },
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(times); i++) {
		fd = make_queue(.capacity = 2, .msg_size = 8, .lease_ms = times[i].lease_ms,
				.max_deliveries = UINT32_MAX, .open_flags = O_RDWR);
		if (!times[i].good) {
			EXPECT_EQ(-EINVAL, fd) TH_LOG("lease_ms %u", times[i].lease_ms);
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_EQ(times[i].lease_ms, info_of(fd).lease_ms);
		EXPECT_EQ(UINT32_MAX, info_of(fd).max_deliveries);
		close(fd);
	}
}

/* By a file of whatever access; and one by another. */
TEST(private_by_any_file)
{
	const int access[] = { O_RDONLY, O_WRONLY, O_RDWR };
	struct mpmcq_create like = { .capacity = 2, .msg_size = 8, .open_flags = O_RDWR };
	int i, device, fd, inner;

	for (i = 0; i < 3; i++) {
		device = open(DEVICE, access[i]);
		fd = create(device, like);
		ASSERT_LE(0, fd);
		inner = create(fd, like);
		ASSERT_LE(0, inner);
		EXPECT_EQ(LEN, put_msg(inner, LEN, 1));
		EXPECT_EQ(0, depth(fd));
		EXPECT_EQ(LEN, take_msg(inner, LEN, 1));
		close(device);
		close(fd);
		EXPECT_EQ(LEN, put_msg(inner, LEN, 2));
		close(inner);
	}
}

/* No part of one is part of another, and new ones are empty. */
TEST(private_ones_are_apart)
{
	int i, fd[20];

	for (i = 0; i < 20; i++) {
		fd[i] = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR);
		ASSERT_LE(0, fd[i]);
		ASSERT_EQ(LEN, put_msg(fd[i], LEN, i));
	}
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(1, depth(fd[i]));
		EXPECT_EQ(LEN, take_msg(fd[i], LEN, i));
		close(fd[i]);
	}
}

TEST(private_has_no_path)
{
	int fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR), again;
	char path[64];

	ASSERT_LE(0, fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDWR);
	EXPECT_EQ(-1, again);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	close(fd);
}

/* It lives in whoever has it, and nowhere else. */
TEST(private_passed_by_socket)
{
	int sock[2], fd, got;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
		_exit(put_msg(fd, LEN, 1) != LEN || send_fd(sock[1], fd) != 1);
	}
	EXPECT_EQ(0, child_end(pid));
	got = receive_fd(sock[0]);
	ASSERT_LE(0, got);
	EXPECT_EQ(LEN, take_msg(got, LEN, 1));
	close(got);
	close(sock[0]);
	close(sock[1]);
}

/* Not over an exec, unless that is asked for. */
TEST(private_is_closed_by_exec)
{
	int fds[2], fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	char number[32];
	pid_t pid;
	int keep;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, pipe(fds));
	snprintf(number, sizeof(number), "/proc/self/fd/%d", fd);
	for (keep = 0; keep < 2; keep++) {
		ASSERT_EQ(0, fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			execlp("test", "test", "-h", number, NULL);
			_exit(99);
		}
		EXPECT_EQ(!keep, child_end(pid));
	}
	close(fd);
}

TEST(attach_access)
{
	const __u32 all[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int i, j, fd[3], got;

	fd[2] = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	ASSERT_LE(0, fd[2]);
	fd[0] = attach(fd[2], O_RDONLY, 0, 0);
	fd[1] = attach(fd[2], O_WRONLY, 0, 0);
	for (i = 0; i < 3; i++) {
		ASSERT_LE(0, fd[i]);
		for (j = 0; j < 3; j++) {
			got = attach(fd[i], all[j] | O_NONBLOCK, 0, 0);
			if (i != 2 && i != j) {
				EXPECT_EQ(-EACCES, got) TH_LOG("%d by %d", j, i);
				continue;
			}
			ASSERT_LE(0, got);
			EXPECT_EQ(all[j] == O_RDONLY ? -EBADF : LEN, put_msg(got, LEN, 1));
			if (all[j] != O_RDONLY)
				EXPECT_EQ(LEN, take_msg(fd[2], LEN, 1));
			EXPECT_EQ(all[j] == O_WRONLY ? -EBADF : -EAGAIN, take(got, large, LEN));
			close(got);
		}
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

/* Each has its own of all that belongs to an open file. */
TEST(attach_is_another_file)
{
	int fd = make_queue(.capacity = 4, .msg_size = 8, .open_flags = O_RDWR), one, two;

	ASSERT_LE(0, fd);
	one = attach(fd, O_RDWR, LEASE, 1);
	two = attach(one, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	EXPECT_EQ(0, fcntl(one, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(O_NONBLOCK, fcntl(two, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, info_of(fd).modes);
	EXPECT_EQ(LEASE, info_of(one).modes);
	EXPECT_EQ(PACKED, info_of(two).modes);
	EXPECT_EQ(1, info_of(one).max_held);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(one, LEN, 1));
	EXPECT_EQ(0, info_of(two).held);
	EXPECT_EQ(1, info_of(two).leased);
	/* It outlives the one it was made by. */
	close(one);
	close(fd);
	EXPECT_EQ(1, take_packed(two, 1, LEN, 1, NULL));
	close(two);
}

/* To the default queue, too. */
TEST(attach_to_the_default_queue)
{
	int device = open(DEVICE, O_RDWR), fd;

	ASSERT_LE(0, device);
	fd = attach(device, O_RDONLY | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, fd);
	EXPECT_STREQ("mpmcq", info_of(fd).name);
	EXPECT_EQ(info_of(device).capacity, info_of(fd).capacity);
	close(fd);
	close(device);
}

/* Queues and open files hold the module. */
TEST(module_in_use)
{
	const char *refcnt = "/sys/module/mpmcq/refcnt";
	int before, fd, more;

	if (access(refcnt, R_OK))
		SKIP(return, "the module cannot be unloaded here anyway");
	before = atoi(line(refcnt, ""));
	fd = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_LE(before + 2, atoi(line(refcnt, "")));
	close(fd);
	EXPECT_LT(before, atoi(line(refcnt, "")));
	close(more);
	EXPECT_EQ(before, atoi(line(refcnt, "")));
}

/*
 * Limits, which root changes for the time of a test, and which count for a user.
 */
#define PARAMETERS	"/sys/module/mpmcq/parameters/"

static const char * const parameters[] = {
	"max_queue_bytes", "max_user_bytes", "max_total_bytes", "max_user_queues",
};

FIXTURE(limits)
{
	int device;
	char was[ARRAY_SIZE(parameters)][32];
	char name[32];
};

static bool set_parameter(const char *name, const char *value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	file = fopen(path, "w");
	if (!file)
		return false;
	fputs(value, file);
	return !fclose(file);
}

FIXTURE_SETUP(limits)
{
	size_t i;

	self->device = open(DEVICE, O_RDWR);
	ASSERT_LE(0, self->device);
	snprintf(self->name, sizeof(self->name), "test-%d", getpid());
	if (geteuid())
		SKIP(return, "only root may change the limits");
	for (i = 0; i < ARRAY_SIZE(parameters); i++)
		snprintf(self->was[i], sizeof(self->was[i]), "%.31s",
			 line(path_of(PARAMETERS, parameters[i], ""), ""));
}

FIXTURE_TEARDOWN(limits)
{
	size_t i;

	become(0, 0, 0);
	destroy_queue(self->device, self->name);
	for (i = 0; i < ARRAY_SIZE(parameters); i++)
		if (*self->was[i])
			EXPECT_TRUE(set_parameter(parameters[i], self->was[i]));
	close(self->device);
}

static const struct mpmcq_create some_kb = {
	.capacity = 64, .msg_size = 1024, .open_flags = O_RDWR,
};

TEST_F(limits, by_default)
{
	if (_metadata->skip)
		return;
	EXPECT_STREQ("268435456", self->was[0]);
	EXPECT_STREQ("268435456", self->was[1]);
	EXPECT_STREQ("0", self->was[2]);
	EXPECT_STREQ("1024", self->was[3]);
}

/* For everybody. */
TEST_F(limits, size_of_a_queue)
{
	struct mpmcq_create huge = { .capacity = 1048576, .msg_size = 65536 };
	int user, fd;

	if (_metadata->skip)
		return;
	EXPECT_EQ(-EFBIG, create(self->device, huge));
	ASSERT_TRUE(set_parameter("max_queue_bytes", "100000"));
	for (user = 0; user < 2; user++) {
		ASSERT_EQ(0, become(user ? OWNER : 0, user ? GROUP : 0, 0));
		fd = create(self->device, some_kb);
		EXPECT_LE(0, fd);
		close(fd);
		huge.capacity = 128;
		huge.msg_size = 1024;
		EXPECT_EQ(-EFBIG, create(self->device, huge));
		strcpy(huge.name, self->name);
		huge.mode = 0600;
		EXPECT_EQ(-EFBIG, create(self->device, huge));
		EXPECT_FALSE(has_node(self->name));
		memset(huge.name, 0, sizeof(huge.name));
		huge.mode = 0;
	}
}

/* Where limits let it pass, memory does not, and nobody is killed for it. */
TEST_F_TIMEOUT(limits, more_than_there_is, 300)
{
	struct mpmcq_create huge = {
		.capacity = 1048576, .msg_size = 65536, .open_flags = O_RDWR,
	};
	size_t i;
	int fd;

	if (_metadata->skip)
		return;
	if (sysconf(_SC_PHYS_PAGES) / (1073741824 / getpagesize()) >= 64)
		SKIP(return, "there may be memory for it here");
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(set_parameter(parameters[i], "1000000000000000"));
	EXPECT_EQ(-ENOMEM, create(self->device, huge));
	strcpy(huge.name, self->name);
	huge.mode = 0600;
	EXPECT_EQ(-ENOMEM, create(self->device, huge));
	EXPECT_FALSE(has_node(self->name));
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_F(limits, queues_of_a_user)
{
	struct mpmcq_create like = named(self->name, O_RDWR, 0600);
	int round, i, fd[4], with_name, more;

	if (_metadata->skip)
		return;
	ASSERT_TRUE(set_parameter("max_user_queues", "3"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 3; i++) {
			fd[i] = create(self->device, some_kb);
			ASSERT_LE(0, fd[i]);
		}
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		EXPECT_EQ(-EDQUOT, create(self->device, like));
		/* Files are not queues. */
		more = attach(fd[0], O_RDONLY, 0, 0);
		EXPECT_LE(0, more);
		close(fd[0]);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(more);
		with_name = create(self->device, like);
		ASSERT_LE(0, with_name);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));

		/* A queue with a name is one also if nobody has it open, */
		close(with_name);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		/* and one that is in use also if it has no name any more. */
		with_name = open_queue(self->device, self->name, O_RDWR);
		ASSERT_LE(0, with_name);
		EXPECT_EQ(0, destroy_queue(self->device, self->name));
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(with_name);
		fd[0] = create(self->device, some_kb);
		EXPECT_LE(0, fd[0]);
		for (i = 0; i < 3; i++)
			close(fd[i]);
	}

	/* Every user has his own, and root has all. */
	for (i = 0; i < 3; i++)
		fd[i] = create(self->device, some_kb);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	more = create(self->device, some_kb);
	EXPECT_LE(0, more);
	close(more);
	ASSERT_EQ(0, become(0, 0, 0));
	for (round = 0; round < 5; round++) {
		more = create(self->device, some_kb);
		EXPECT_LE(0, more);
		/* On his own account, not on that of who closes it. */
		EXPECT_EQ(0, become(OWNER, GROUP, 0));
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		close(more);
		EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
		EXPECT_EQ(0, become(0, 0, 0));
	}
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

TEST_F(limits, bytes_of_a_user)
{
	int round, i, n, first = 0, fd[8], more;

	if (_metadata->skip)
		return;
	ASSERT_TRUE(set_parameter("max_user_bytes", "300000"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (round = 0; round < 5; round++) {
		for (n = 0; n < 8; n++) {
			fd[n] = create(self->device, some_kb);
			if (fd[n] < 0)
				break;
		}
		EXPECT_EQ(-EDQUOT, fd[n]);
		/* All memory counts: there is room for 4 times the messages. */
		EXPECT_LT(1, n);
		EXPECT_GT(5, n);
		if (!round)
			first = n;
		EXPECT_EQ(first, n);
		ASSERT_EQ(0, become(0, 0, 0));
		more = create(self->device, some_kb);
		EXPECT_LE(0, more);
		close(more);
		ASSERT_EQ(0, become(OWNER, GROUP, 0));
		for (i = 0; i < n; i++)
			close(fd[i]);
	}
}

TEST_F_TIMEOUT(limits, bytes_of_all, 300)
{
	struct mpmcq_create mb = { .capacity = 1024, .msg_size = 1024, .open_flags = O_RDWR };
	int i, fd;

	if (_metadata->skip)
		return;
	ASSERT_TRUE(set_parameter("max_total_bytes", "1"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-ENOSPC, create(self->device, some_kb));
	EXPECT_EQ(-ENOSPC, create(self->device, named(self->name, O_RDWR, 0600)));
	EXPECT_FALSE(has_node(self->name));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_TRUE(set_parameter("max_total_bytes", "134217728"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	/* What is given back is there again, or it would be used up by this. */
	for (i = 0; i < 200; i++) {
		fd = create(self->device, mb);
		ASSERT_LE(0, fd) TH_LOG("queue %d", i);
		close(fd);
	}
}

/* Whoever keeps it, it is its maker's queue, until nobody does. */
TEST_F(limits, of_a_queue_that_is_passed_on)
{
	int fd, sock[2];

	if (_metadata->skip)
		return;
	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	fd = create(self->device, some_kb);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, send_fd(sock[1], fd));
	close(fd);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	fd = receive_fd(sock[0]);
	ASSERT_LE(0, fd);
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	close(fd);
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);

	/* The same if it is on its way for good. */
	ASSERT_EQ(1, send_fd(sock[1], fd));
	close(fd);
	EXPECT_EQ(-EDQUOT, create(self->device, some_kb));
	close(sock[0]);
	close(sock[1]);
	fd = create(self->device, some_kb);
	EXPECT_LE(0, fd);
	close(fd);
}

/* What an open file needs to hold messages counts as well. */
TEST_F(limits, bytes_of_leases)
{
	int i, n, round, first = 0, fd[64], queue;

	if (_metadata->skip)
		return;
	queue = create(self->device, (struct mpmcq_create){
			.capacity = 4096, .msg_size = 8, .open_flags = O_RDWR });
	ASSERT_LE(0, queue);
	ASSERT_TRUE(set_parameter("max_user_bytes", "1000000"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	for (round = 0; round < 3; round++) {
		for (n = 0; n < 64; n++) {
			fd[n] = attach(queue, O_RDONLY, LEASE, MPMCQ_MAX_HELD_MAX);
			if (fd[n] < 0)
				break;
		}
		ASSERT_GT(64, n);
		EXPECT_EQ(-EDQUOT, fd[n]);
		EXPECT_LT(0, n);
		if (!round)
			first = n;
		EXPECT_EQ(first, n);
		/* Without a lease there is nothing to be paid for. */
		fd[n] = attach(queue, O_RDONLY, PACKED, 0);
		ASSERT_LE(0, fd[n]);
		EXPECT_EQ(-EDQUOT, set_modes(fd[n], LEASE, MPMCQ_MAX_HELD_MAX));
		EXPECT_EQ(PACKED, info_of(fd[n]).modes);
		for (i = 0; i <= n; i++)
			close(fd[i]);
	}
	close(queue);
}

/* A failed request leaves nothing behind, neither a queue nor a name. */
TEST_F(limits, failures_do_not_count)
{
	struct mpmcq_create like = named(self->name, O_RDWR, 0600);
	struct rlimit files, none;
	int i, fd;

	if (_metadata->skip)
		return;
	ASSERT_TRUE(set_parameter("max_user_queues", "1"));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &files));
	none = files;
	none.rlim_cur = 3;
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
		EXPECT_EQ(-EMFILE, create(self->device, some_kb));
		EXPECT_EQ(-EMFILE, create(self->device, like));
		EXPECT_EQ(-EMFILE, attach(self->device, O_RDONLY, 0, 0));
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &files));
		EXPECT_FALSE(has_node(self->name));
		EXPECT_EQ(-EINVAL, create(self->device, (struct mpmcq_create){ .capacity = 3 }));
	}
	fd = create(self->device, like);
	ASSERT_LE(0, fd);
	close(fd);
}

TEST_HARNESS_MAIN
