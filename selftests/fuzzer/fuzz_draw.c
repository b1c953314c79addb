// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all draw: numbers, flags, structs for the kernel
 */
#include "fuzz.h"

__u32 draw(struct worker *w, __u32 n)
{
	__u64 z = w->random += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z >> 32) % n;
}

void draw_anew(struct worker *w)
{
	w->random = w->seed + w->id * 0x632be59bd9b4e019ULL + w->call * 0xd1342543de82ef95ULL;
}

bool one_in(struct worker *w, __u32 n)
{
	return !draw(w, n);
}

__u32 draw_modes(struct worker *w, __u32 among)
{
	__u32 modes = draw(w, 16) & among & ~MPMCQ_MODE_META;

	/* Long headers where there are headers; seldom otherwise. */
	if (one_in(w, modes & MPMCQ_MODE_PACKED ? 2 : 32))
		modes |= MPMCQ_MODE_META;
	return modes;
}

__u32 draw_max_held(struct worker *w, __u32 modes)
{
	static const __u32 most[] = { 0, 0, 1, 2, 5, 64, 1000, MPMCQ_MAX_HELD_MAX };
	__u32 n = modes & MPMCQ_MODE_LEASE || one_in(w, 32) ? draw_of(w, most) : 0;

	if (one_in(w, 32))
		n = MPMCQ_MAX_HELD_MAX + 1 + draw(w, 2) * draw(w, 1U << 31);
	return n;
}

__u32 draw_timeout(struct worker *w)
{
	static const __u32 timeouts[] = {
		0, 0, 0, 0, UINT32_MAX, UINT32_MAX - 1, 3600000, 1, 1, 2, 5, 20,
	};

	return draw_of(w, timeouts);
}

#define HOUR	3600000U	/* ms */

__u32 draw_delay(struct worker *w, const struct queue *q)
{
	static const __u32 long_ones[] = { HOUR, 2 * HOUR, 100 * HOUR, UINT32_MAX };

	if (!(q->like.flags & MPMCQ_DELAY) || one_in(w, 4))
		return 0;
	if (!q->exact)
		return 1 + draw(w, 50);
	/* The others have to have room. */
	return q->parked.n < q->like.capacity / 2 ? draw_of(w, long_ones) : 0;
}

__u32 draw_priority(struct worker *w, const struct queue *q)
{
	return q->like.levels > 1 ? draw(w, q->like.levels) : 0;
}

/* The addresses that user space cannot have on any machine. */
void *draw_kernel_address(struct worker *w)
{
	static const unsigned long address[] = { 1UL << 63, -1UL << 31, -4096UL };

	return (void *)draw_of(w, address);
}

int draw_open_flags(struct worker *w)
{
	static const int access[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY };

	return draw_of(w, access) | (one_in(w, 2) ? O_NONBLOCK : 0) |
	       (one_in(w, 2) ? O_CLOEXEC : 0);
}

static __u32 draw_size(struct worker *w, __u32 known, __u32 least)
{
	const __u32 sizes[] = {
		0, 4, least - 1, least, known - 1, known, known + 1, known + 8,
		4095, 4096, 4097, UINT32_MAX,
	};

	return one_in(w, 6) ? draw_of(w, sizes) : known;
}

struct args lay_out_args(struct worker *w, void *args, __u32 known, __u32 least,
			 bool may_be_read_only)
{
	__u32 size = draw_size(w, known, least);
	__u32 len = size < least ? least : size > 4096 ? 4096 : size;
	__u32 there = one_in(w, 16) ? draw(w, len) : len;
	bool tail = size > known && one_in(w, 2) && there > known;
	unsigned char *end = w->arena->view[GOOD] + w->arena->size;
	struct args a = {
		.at = end - there, .read_only = one_in(w, 16) && may_be_read_only,
		.refusal = NOTHING,
	};

	memcpy(args, &size, sizeof(size));
	memset(a.at, 0, there);
	memcpy(a.at, args, there < known ? there : known);
	if (tail)
		end[-1] = 1;
	if (there < sizeof(size)) {
		may_fail(&a.refusal, -EFAULT);
	} else if (size < least) {
		may_fail(&a.refusal, -EINVAL);
	} else if (size > 4096) {
		may_fail(&a.refusal, -E2BIG);
	} else {
		if (there < len)
			may_fail(&a.refusal, -EFAULT);
		if (tail)
			may_fail(&a.refusal, -E2BIG);
	}
	if (a.read_only)
		a.at += w->arena->view[READ_ONLY] - w->arena->view[GOOD];
	if (one_in(w, 64)) {
		a.at = draw_kernel_address(w);
		a.refusal = NOTHING;
		may_fail(&a.refusal, -EFAULT);
	}
	return a;
}

void draw_garbage(struct worker *w, void *args, __u32 size)
{
	unsigned char *byte = args;
	__u32 i;

	for (i = sizeof(size); i < size; i++)
		byte[i] = one_in(w, 2) ? draw(w, 256) : 0;
}

int call_args(struct worker *w, int fd, unsigned int cmd, const struct args *a)
{
	/* The size in the call is that of some version of the struct. */
	if (one_in(w, 8))
		cmd = _IOC(_IOC_DIR(cmd), _IOC_TYPE(cmd), _IOC_NR(cmd), draw(w, 1 << 14));
	return result(ioctl(fd, cmd, a->at));
}
