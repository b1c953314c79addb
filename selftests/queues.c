// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests, valid and invalid, from programs of 64 and of 32 bits; private queues; ATTACH; and
 * what INFO and /proc tell.  queuefs.c tests queues with names, limits.c tests limits.
 */

#include <assert.h>
#include <stddef.h>
#include <sys/stat.h>

#include "own_test.h"

static unsigned char large[MSG_SIZE_MAX];

/* What programs of 32 and of 64 bits have to agree about. */
static_assert(sizeof(struct mpmcq_info) == 192, "info");
static_assert(offsetof(struct mpmcq_info, features) == MPMCQ_INFO_SIZE_VER0, "info");
static_assert(offsetof(struct mpmcq_info, modes) == 32, "info");
static_assert(offsetof(struct mpmcq_info, number) == 64, "info");
static_assert(offsetof(struct mpmcq_info, sent) == 80, "info");
static_assert(offsetof(struct mpmcq_info, dropped) == 120, "info");
static_assert(sizeof(struct mpmcq_msg) == 24, "msg");
static_assert(sizeof(struct mpmcq_meta) == 56, "meta");
static_assert(sizeof(struct mpmcq_mode) == 24, "mode");
static_assert(sizeof(struct mpmcq_settle) == 32, "settle");
static_assert(sizeof(struct mpmcq_create) == 56, "create");
static_assert(offsetof(struct mpmcq_create, open_flags) == 40, "create");
static_assert(offsetof(struct mpmcq_create, name) == 48, "create");
static_assert(sizeof(struct mpmcq_attach) == 32, "attach");
static_assert(sizeof(struct mpmcq_dead) == 16, "dead");
static_assert(sizeof(struct mpmcq_peek) == 72, "peek");
static_assert(sizeof(struct mpmcq_forward) == 48, "forward");
static_assert(offsetof(struct mpmcq_peek, found) == 40, "peek");

/*
 * Every request, as it should be; it then does nothing that lasts.
 */
#define DESCRIPTOR	1	/* a good one returns a descriptor */
#define OTHER_OPEN_FLAGS	(~(__u32)(O_ACCMODE | O_NONBLOCK | O_CLOEXEC))

/* A directory of mpmcqfs, and the name of a queue in it. */
static int directory;
static char file_name[32];

struct request {
	const char *name;
	unsigned int cmd;
	size_t size;
	size_t least;		/* size that is enough, if not @size */
	bool directory;		/* it is made on a directory of mpmcqfs */
	int good;		/* what comes of it */
	union args {
		__u32 size;
		struct mpmcq_info info;
		struct mpmcq_mode mode;
		struct mpmcq_settle settle;
		struct mpmcq_create create;
		struct mpmcq_attach attach;
		struct mpmcq_dead dead;
	} args;
	struct {
		size_t offset;
		__u32 bits;
	} zero[5];		/* bits each of which is refused */
};

#define ARGS(what)	sizeof(struct mpmcq_##what), .args.what.size = sizeof(struct mpmcq_##what)

/* What becomes of all that is held; @known are its flags. */
#define SETTLE(what, known)							\
	#what, MPMCQ_IOC_SETTLE, ARGS(settle),					\
	.args.settle.op = MPMCQ_SETTLE_##what,					\
	.args.settle.flags = MPMCQ_SETTLE_ALL,					\
	.zero = {								\
		{ offsetof(struct mpmcq_settle, flags), ~(known) },		\
		{ offsetof(struct mpmcq_settle, ids), -1 },			\
		{ offsetof(struct mpmcq_settle, ids) + 4, -1 },			\
		{ offsetof(struct mpmcq_settle, count), -1 },			\
		{ offsetof(struct mpmcq_settle, delay_ms), -1 },		\
	},

static const struct request requests[] = {
	{
		"INFO", MPMCQ_IOC_INFO, ARGS(info), .least = MPMCQ_INFO_SIZE_VER0,
	}, {
		"MODE", MPMCQ_IOC_MODE, ARGS(mode),
		.zero = {
			{ offsetof(struct mpmcq_mode, modes), ~(PACKED | LEASE | META) },
			{ offsetof(struct mpmcq_mode, max_held), -1 },
			{ offsetof(struct mpmcq_mode, priority), -1 },
		},
	}, {
		SETTLE(ACK, MPMCQ_SETTLE_ALL)
	}, {
		SETTLE(NACK, MPMCQ_SETTLE_ALL | MPMCQ_SETTLE_FRONT | MPMCQ_SETTLE_UNTRIED |
		       MPMCQ_SETTLE_DELAY)
	}, {
		SETTLE(REJECT, MPMCQ_SETTLE_ALL)
	}, {
		SETTLE(TOUCH, MPMCQ_SETTLE_ALL)
	}, {
		"CREATE", MPMCQ_IOC_CREATE, ARGS(create), .good = DESCRIPTOR,
		.args.create.capacity = 2, .args.create.msg_size = 8,
		.zero = {
			{
				offsetof(struct mpmcq_create, flags),
				~(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY |
				  MPMCQ_START_LEASE | MPMCQ_STAMP),
			},
			{ offsetof(struct mpmcq_create, open_flags), OTHER_OPEN_FLAGS },
			{ offsetof(struct mpmcq_create, mode), -1 },
			{ offsetof(struct mpmcq_create, levels), ~7 },
			{ offsetof(struct mpmcq_create, reserved), -1 },
		},
	}, {
		"CREATE on a directory", MPMCQ_IOC_CREATE, ARGS(create), .good = DESCRIPTOR,
		.directory = true, .args.create.capacity = 2, .args.create.msg_size = 8,
		.zero = {
			{
				offsetof(struct mpmcq_create, flags),
				~(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY |
				  MPMCQ_START_LEASE | MPMCQ_STAMP),
			},
			{ offsetof(struct mpmcq_create, open_flags), OTHER_OPEN_FLAGS },
			{ offsetof(struct mpmcq_create, mode), -1 },
			{ offsetof(struct mpmcq_create, levels), ~7 },
			{ offsetof(struct mpmcq_create, reserved), -1 },
		},
	}, {
		"CREATE with a name", MPMCQ_IOC_CREATE, ARGS(create), .directory = true,
		.args.create.capacity = 2, .args.create.msg_size = 8,
		.args.create.flags = MPMCQ_EXIST_OK,
		.args.create.name = (unsigned long)file_name,
		.zero = {
			{
				offsetof(struct mpmcq_create, flags),
				~(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY |
				  MPMCQ_START_LEASE | MPMCQ_STAMP | MPMCQ_EXIST_OK),
			},
			{ offsetof(struct mpmcq_create, open_flags), -1 },
			{ offsetof(struct mpmcq_create, mode), ~0777 },
			{ offsetof(struct mpmcq_create, reserved), -1 },
		},
	}, {
		"ATTACH", MPMCQ_IOC_ATTACH, ARGS(attach), .good = DESCRIPTOR,
		.zero = {
			{ offsetof(struct mpmcq_attach, open_flags), OTHER_OPEN_FLAGS },
			{ offsetof(struct mpmcq_attach, modes), ~(PACKED | LEASE | DEAD | META) },
			{ offsetof(struct mpmcq_attach, max_held), -1 },
			{ offsetof(struct mpmcq_attach, priority), -1 },
			{ offsetof(struct mpmcq_attach, reserved), -1 },
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
	directory = open(MOUNT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, directory) TH_LOG("cannot open " MOUNT ": %s", strerror(errno));
	snprintf(file_name, sizeof(file_name), "test-%d", getpid());
	ASSERT_EQ(0, create_at(directory, file_name, (struct mpmcq_create){
				.capacity = 2, .msg_size = 8, .mode = 0600 }))
		TH_LOG("is there an mpmcqfs at " MOUNT "?");
	self->mem = map32(2 * self->page);
	ASSERT_NE(MAP_FAILED, self->mem);
	ASSERT_EQ(0, mprotect(self->mem + self->page, self->page, PROT_NONE));
	if (variant->compat && !has_call32(self->fd))
		SKIP(return, "no 32-bit system calls here");
}

FIXTURE_TEARDOWN(request)
{
	munmap(self->mem, 2 * self->page);
	EXPECT_EQ(0, remove_named(file_name));
	close(directory);
	close(self->fd);
}

/* As a program of 64 bits makes it, or one of 32.  A descriptor is closed again. */
static int make_request(bool compat, int fd, const struct request *r, unsigned int cmd,
			const void *args)
{
	int ret;

	if (r->directory)
		fd = directory;
	ret = compat ? ioctl32(fd, cmd, (unsigned long)args) : result(ioctl(fd, cmd, args));
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
	unsigned int dir, nr;
	union args *args;
	size_t i;

	if (_metadata->skip)
		return;
	for_each_request(r) {
		nr = _IOC_NR(r->cmd);
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
	for (nr = _IOC_NR(MPMCQ_IOC_CLOSE); nr <= _IOC_NR(MPMCQ_IOC_REOPEN); nr++) {
		EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IOW(MPMCQ_IOC_MAGIC, nr, int), 0)));
		EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IOC(_IOC_NONE, MPMCQ_IOC_MAGIC, nr, 4),
						0)));
	}
	EXPECT_EQ(-ENOTTY, result(ioctl(self->fd, _IO(MPMCQ_IOC_MAGIC, 0x0c), 0)));
	EXPECT_EQ(0, info_of(self->fd).closed);
}

/* Pointers to the name that are bad, or almost. */
TEST_F(request, name_out_of_reach)
{
	const __u64 pointers[] = {
		1, (unsigned long)self->mem + self->page, 1ULL << 47, 1ULL << 63, -1ULL,
	};
	struct mpmcq_create *args = (void *)self->mem;
	struct request by_name = { .cmd = MPMCQ_IOC_CREATE, .directory = true };
	char *name;
	size_t i;

	if (_metadata->skip)
		return;
	*args = (struct mpmcq_create){
		.size = sizeof(*args), .flags = MPMCQ_EXIST_OK, .capacity = 2, .msg_size = 8,
	};
	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		args->name = pointers[i];
		EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, &by_name, by_name.cmd,
						args))
			TH_LOG("address %#llx", pointers[i]);
	}

	/* A name that ends at the end of the page, and one that goes on behind it. */
	name = (char *)self->mem + self->page - strlen(file_name) - 1;
	strcpy(name, file_name);
	args->name = (unsigned long)name;
	EXPECT_EQ(0, make_request(variant->compat, self->fd, &by_name, by_name.cmd, args));
	name++;
	memcpy(name, file_name, strlen(file_name));
	args->name = (unsigned long)name;
	EXPECT_EQ(-EFAULT, make_request(variant->compat, self->fd, &by_name, by_name.cmd, args));
}

/* A name takes a descriptor of a directory. */
TEST_F(request, name_without_directory)
{
	struct mpmcq_create *args = (void *)self->mem;
	struct request by_name = { .cmd = MPMCQ_IOC_CREATE };
	int queue = open_named(file_name, O_RDWR), device = open(DEVICE, O_RDWR);
	const int files[] = { self->fd, queue, device };
	size_t i;

	if (_metadata->skip)
		return;
	*args = (struct mpmcq_create){
		.size = sizeof(*args), .capacity = 2, .msg_size = 8, .mode = 0600,
		.name = (unsigned long)file_name,
	};
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		ASSERT_LE(0, files[i]);
		EXPECT_EQ(-ENOTDIR, make_request(variant->compat, files[i], &by_name, by_name.cmd,
						 args))
			TH_LOG("file %zu", i);
	}
	close(device);
	close(queue);
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
	struct mpmcq_settle *end = (void *)self->mem;
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
	EXPECT_EQ(2 * MPMCQ_FEATURE_LEVELS - 1, info->features);

	*end = (struct mpmcq_settle){
		.size = sizeof(*end), .op = MPMCQ_SETTLE_ACK, .ids = at + 512, .count = 1,
		.done = -1,
	};
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_SETTLE, at));
	EXPECT_EQ(1, end->done);
	end->op = MPMCQ_SETTLE_REJECT;
	end->ids = at + 520;
	EXPECT_EQ(0, any_ioctl(variant->compat, le, MPMCQ_IOC_SETTLE, at));
	end->op = MPMCQ_SETTLE_NACK;
	end->ids = at + 512;
	end->count = 3;
	EXPECT_EQ(-ENOENT, any_ioctl(variant->compat, le, MPMCQ_IOC_SETTLE, at));
	EXPECT_EQ(1, end->done);
	end->ids |= 1ULL << 32;
	EXPECT_EQ(-EFAULT, any_ioctl(variant->compat, le, MPMCQ_IOC_SETTLE, at));
	EXPECT_EQ(0, end->done);

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

/* By which one sees that something is wrong. */
TEST(health)
{
	int fd = make_queue(.capacity = 2, .msg_size = 64, .open_flags = O_RDWR | O_NONBLOCK), i;
	int le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	int wait = attach(fd, O_RDWR, 0, 0);
	unsigned char buf[2][LEN];
	struct mpmcq_info info;
	struct mpmcq_msg msg;
	struct call call[2];

	ASSERT_LE(0, wait);
	ASSERT_LE(0, le);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, start_call(&call[i], take, wait, buf[i], LEN));
	wait_all_asleep(call, 2, SYS_read);
	info = info_of(fd);
	EXPECT_EQ(2, info.readers_asleep);
	EXPECT_EQ(0, info.writers_asleep);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(LEN, put_msg(fd, LEN, i));
	for (i = 0; i < 2; i++)
		EXPECT_EQ(LEN, finish_call(&call[i]));
	EXPECT_EQ(0, info_of(fd).readers_asleep);
	ASSERT_EQ(2, put_all(fd, LEN, 0));
	fill(buf[0], LEN, 2);
	ASSERT_EQ(0, start_blocked(&call[0], put, wait, buf[0], LEN));
	EXPECT_EQ(1, info_of(fd).writers_asleep);

	ASSERT_EQ(1, take_packed(le, 1, LEN, 0, &msg));
	info = info_of(fd);
	EXPECT_EQ(0, info.redelivered);
	EXPECT_EQ(0, info.suspected);
	EXPECT_EQ(1, nack(le, msg.id));
	EXPECT_EQ(0, info_of(fd).suspected);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(0, info.redelivered);
	EXPECT_EQ(1, info.suspected);
	le = attach(fd, O_RDWR | O_NONBLOCK, LEASE | PACKED, 0);
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, &msg));
	EXPECT_EQ(1, info_of(fd).redelivered);
	EXPECT_EQ(1, ack(le, msg.id));
	EXPECT_EQ(LEN, finish_call(&call[0]));
	EXPECT_EQ(0, info_of(fd).writers_asleep);
	close(le);
	close(wait);
	close(fd);
}

/* What INFO and /proc tell of a queue and of an open file. */
TEST(counters)
{
	int fd = make_queue(.capacity = 8, .msg_size = 64, .max_deliveries = 2,
			    .lease_ms = 3600000, .open_flags = O_RDWR | O_NONBLOCK);
	struct mpmcq_msg msg[4];
	struct mpmcq_info info;
	int le, pk;

	ASSERT_LE(0, fd);
	info = info_of(fd);
	EXPECT_EQ(8, info.capacity);
	EXPECT_EQ(64, info.msg_size);
	EXPECT_EQ(2, info.max_deliveries);
	EXPECT_EQ(3600000, info.lease_ms);
	EXPECT_EQ(0, info.parked);
	EXPECT_EQ(0, info.retry_ms);
	EXPECT_EQ(0, info.retry_max_ms);
	EXPECT_EQ(0, info.sent);
	EXPECT_EQ(0, info.received);
	EXPECT_EQ(0, info.acked);
	EXPECT_EQ(0, info.returned);
	EXPECT_EQ(0, info.set_aside);
	EXPECT_EQ(0, info.dropped);

	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE | PACKED, 0);
	pk = attach(fd, O_RDWR | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, le);
	ASSERT_LE(0, pk);
	ASSERT_EQ(5, put_packed(pk, 5, LEN, 0));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 5));
	ASSERT_EQ(LEN, take_msg(fd, LEN, 0));
	ASSERT_EQ(4, take_packed(le, 4, LEN, 1, msg));
	info = info_of(fd);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(5, info.received);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(4, info.leased);
	EXPECT_EQ(1, ack(le, msg[0].id));
	EXPECT_EQ(1, nack(le, msg[1].id));
	EXPECT_EQ(1, reject(le, msg[2].id));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(1, info.acked);
	EXPECT_EQ(2, info.returned);
	EXPECT_EQ(1, info.set_aside);
	EXPECT_EQ(0, info.leased);
	EXPECT_EQ(1, info.dead);
	EXPECT_EQ(3, info.depth);

	/* The one that came back comes back once more, and is set aside. */
	le = attach(fd, O_RDONLY | O_NONBLOCK, LEASE, 0);
	ASSERT_EQ(LEN, take_msg(le, LEN, 4));
	close(le);
	info = info_of(fd);
	EXPECT_EQ(3, info.returned);
	EXPECT_EQ(2, info.set_aside);
	EXPECT_EQ(2, info.dead);
	EXPECT_EQ(6, info.received);
	EXPECT_EQ(0, info.dropped);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(0, close_queue(fd));

	/* Calls that fail do not count. */
	EXPECT_EQ(-EPIPE, put_msg(fd, LEN, 5));
	EXPECT_EQ(-EMSGSIZE, take(fd, large, 1));
	info = info_of(fd);
	EXPECT_EQ(1, info.closed);
	EXPECT_EQ(6, info.sent);
	EXPECT_EQ(6, info.received);
	close(pk);
	close(fd);
}

/* Each queue has a number of its own, the same for all its files. */
TEST(numbers_of_queues)
{
	int one = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	int two = make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR);
	int device = open(DEVICE, O_RDWR), more = attach(one, O_RDONLY, 0, 0);

	ASSERT_LE(0, one);
	ASSERT_LE(0, two);
	ASSERT_LE(0, more);
	ASSERT_LE(0, device);
	EXPECT_NE(info_of(one).number, info_of(two).number);
	EXPECT_NE(info_of(one).number, info_of(device).number);
	EXPECT_EQ(info_of(one).number, info_of(more).number);
	close(more);
	close(device);
	close(two);
	close(one);
}

TEST(told_by_fdinfo)
{
	const struct {
		__u32 modes;
		const char *text;
	} modes[] = {
		{ 0, "plain" }, { PACKED, "packed" }, { LEASE, "lease" },
		{ PACKED | LEASE, "packed lease" }, { DEAD, "dead" },
		{ PACKED | DEAD, "packed dead" }, { LEASE | DEAD, "lease dead" },
		{ PACKED | LEASE | DEAD, "packed lease dead" },
		{ PACKED | META, "packed meta" }, { PACKED | LEASE | META, "packed lease meta" },
	};
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR), file;
	char number[16];
	size_t i;

	ASSERT_LE(0, fd);
	snprintf(number, sizeof(number), "%u", info_of(fd).number);
	EXPECT_STREQ("anon_inode:[mpmcq]", told_of(fd, "queue:\t"));
	EXPECT_STREQ(number, told_of(fd, "number:\t"));
	EXPECT_STREQ("4", told_of(fd, "capacity:\t"));
	EXPECT_STREQ("64", told_of(fd, "msg_size:\t"));
	EXPECT_STREQ("0", told_of(fd, "depth:\t"));
	EXPECT_STREQ("0", told_of(fd, "held:\t"));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		file = attach(fd, O_RDWR, modes[i].modes, 0);
		ASSERT_LE(0, file);
		EXPECT_STREQ("anon_inode:[mpmcq]", told_of(file, "queue:\t"));
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
	close(fd);
}

TEST(told_by_info)
{
	const __u32 flags = MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE;
	int fd = make_queue(.capacity = 4, .msg_size = 64, .flags = flags, .max_deliveries = 8,
			    .lease_ms = 60000, .open_flags = O_RDWR), le;
	struct mpmcq_info info;

	ASSERT_LE(0, fd);
	le = attach(fd, O_RDONLY, LEASE | PACKED, 3);
	ASSERT_LE(0, le);
	ASSERT_EQ(LEN, put_msg(fd, LEN, 1));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 2));
	ASSERT_EQ(LEN, put_msg(fd, LEN, 3));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 1, NULL));
	EXPECT_EQ(1, settle_all(le, MPMCQ_SETTLE_REJECT));
	ASSERT_EQ(1, take_packed(le, 1, LEN, 2, NULL));

	ASSERT_EQ(0, query(le, &info));
	EXPECT_EQ(sizeof(info), info.size);
	EXPECT_EQ(4, info.capacity);
	EXPECT_EQ(64, info.msg_size);
	EXPECT_EQ(1, info.depth);
	EXPECT_EQ(flags, info.flags);
	EXPECT_EQ(MPMCQ_FEATURE_PACKED | MPMCQ_FEATURE_LEASE | MPMCQ_FEATURE_DEAD |
		  MPMCQ_FEATURE_CLOSE | MPMCQ_FEATURE_ATTACH | MPMCQ_FEATURE_CREATE |
		  MPMCQ_FEATURE_FILES | MPMCQ_FEATURE_DROP | MPMCQ_FEATURE_DELAY |
		  MPMCQ_FEATURE_TIMEOUT | MPMCQ_FEATURE_START |
		  MPMCQ_FEATURE_PEEK | MPMCQ_FEATURE_FORWARD | MPMCQ_FEATURE_META |
		  MPMCQ_FEATURE_LEVELS, info.features);
	EXPECT_EQ(LEASE | PACKED, info.modes);
	EXPECT_EQ(0, info.closed);
	EXPECT_EQ(1, info.dead);
	EXPECT_EQ(1, info.leased);
	EXPECT_EQ(8, info.max_deliveries);
	EXPECT_EQ(60000, info.lease_ms);
	EXPECT_EQ(1, info.held);
	EXPECT_EQ(3, info.max_held);

	/* Asked again with the answer, flags and all. */
	ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &info)));
	EXPECT_EQ(flags, info.flags);
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
TEST(told_by_short_info)
{
	int fd = make_queue(.capacity = 4, .msg_size = 64, .open_flags = O_RDWR);
	struct mpmcq_info whole, part;
	size_t size;
	int again;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, query(fd, &whole));
	for (size = MPMCQ_INFO_SIZE_VER0; size < sizeof(part); size++) {
		memset(&part, JUNK, sizeof(part));
		part.size = size;
		whole.size = size;
		/* The second call gets what the first has stored. */
		for (again = 0; again < 2; again++) {
			ASSERT_EQ(0, result(ioctl(fd, MPMCQ_IOC_INFO, &part)));
			EXPECT_EQ(0, memcmp(&whole, &part, size));
			EXPECT_TRUE(is_junk((unsigned char *)&part + size, sizeof(part) - size));
		}
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
	EXPECT_EQ(1024, put_all(fd, LEN, 0));
	EXPECT_EQ(1024, take_all(fd));
	close(fd);
}

/* EXIST_OK and a mode are for queues with names. */
TEST(private_has_no_file)
{
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .flags = MPMCQ_EXIST_OK,
				      .open_flags = O_RDWR));
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .mode = 0600,
				      .open_flags = O_RDWR));
}

/* Descriptors are close-on-exec, and have the access and mode that was asked for. */
TEST(private_descriptors)
{
	const __u32 flags[] = { O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_NONBLOCK, O_CLOEXEC };
	int fd[2], i, way;

	for (i = 0; i < (int)ARRAY_SIZE(flags); i++) {
		fd[0] = make_queue(.capacity = 2, .msg_size = 8, .open_flags = flags[i]);
		fd[1] = attach(fd[0], flags[i], 0, 0);
		for (way = 0; way < 2; way++) {
			ASSERT_LE(0, fd[way]);
			EXPECT_EQ(FD_CLOEXEC, fcntl(fd[way], F_GETFD));
			EXPECT_EQ(flags[i] & (O_ACCMODE | O_NONBLOCK),
				  fcntl(fd[way], F_GETFL) & (O_ACCMODE | O_NONBLOCK));
			EXPECT_EQ(-ESPIPE, result(lseek(fd[way], 0, SEEK_CUR)));
		}
		close(fd[1]);
		close(fd[0]);
	}
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
				.max_deliveries = MPMCQ_MAX_DELIVERIES_MAX, .open_flags = O_RDWR);
		if (!times[i].good) {
			EXPECT_EQ(-EINVAL, fd) TH_LOG("lease_ms %u", times[i].lease_ms);
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_EQ(times[i].lease_ms, info_of(fd).lease_ms);
		EXPECT_EQ(MPMCQ_MAX_DELIVERIES_MAX, info_of(fd).max_deliveries);
		close(fd);
	}
	EXPECT_EQ(-EINVAL, make_queue(.capacity = 2, .msg_size = 8, .open_flags = O_RDWR,
				      .max_deliveries = MPMCQ_MAX_DELIVERIES_MAX + 1));
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
	again = result(open(path, O_RDWR));
	EXPECT_EQ(-ENXIO, again);
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
	struct stat one, two;

	ASSERT_LE(0, device);
	fd = attach(device, O_RDONLY | O_NONBLOCK, PACKED, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(info_of(device).number, info_of(fd).number);
	EXPECT_EQ(PACKED, info_of(fd).modes);
	EXPECT_EQ(0, info_of(device).modes);
	/* It is the same node, opened again. */
	ASSERT_EQ(0, fstat(device, &one));
	ASSERT_EQ(0, fstat(fd, &two));
	EXPECT_EQ(one.st_dev, two.st_dev);
	EXPECT_EQ(one.st_ino, two.st_ino);
	EXPECT_STREQ(DEVICE, told_of(fd, "queue:\t"));
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

TEST_HARNESS_MAIN
