// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests, valid and invalid, from programs of 64 and of 32 bits.
 */

#include <assert.h>
#include <stddef.h>

#include "own_test.h"

/* What programs of 32 and of 64 bits have to agree about. */
static_assert(sizeof(struct mpmcq_info) == 200, "info");
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
static_assert(sizeof(struct mpmcq_peek) == 88, "peek");
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

#define SMALL								\
	MPMCQ_IOC_CREATE, ARGS(create),						\
	.args.create.capacity = 2, .args.create.msg_size = 8,

#define CREATE_FLAGS	(MPMCQ_DROP_OLDEST | MPMCQ_AUTO_CLOSE | MPMCQ_DELAY | \
			 MPMCQ_START_LEASE | MPMCQ_STAMP)

/* A queue without a name. */
#define PRIVATE								\
	SMALL .good = DESCRIPTOR,						\
	.zero = {								\
		{ offsetof(struct mpmcq_create, flags), ~CREATE_FLAGS },	\
		{ offsetof(struct mpmcq_create, open_flags), OTHER_OPEN_FLAGS },	\
		{ offsetof(struct mpmcq_create, mode), -1 },			\
		{ offsetof(struct mpmcq_create, levels), ~7 },			\
		{ offsetof(struct mpmcq_create, reserved), -1 },		\
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
		"CREATE", PRIVATE
	}, {
		"CREATE on a directory", PRIVATE .directory = true,
	}, {
		"CREATE with a name", SMALL .directory = true,
		.args.create.flags = MPMCQ_EXIST_OK,
		.args.create.name = (unsigned long)file_name,
		.zero = {
			{ offsetof(struct mpmcq_create, flags), ~(CREATE_FLAGS | MPMCQ_EXIST_OK) },
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

/* Older harnesses run a test though its setup has skipped it: it has no requests then. */
#define for_each_request(r) \
	for (r = requests; !_metadata->skip && r < requests + ARRAY_SIZE(requests); r++)

/* @mem is a page behind which there is nothing. */
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

FIXTURE_VARIANT_ADD(request, bits_64) { .compat = false };
FIXTURE_VARIANT_ADD(request, bits_32) { .compat = true };

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

TEST_HARNESS_MAIN
