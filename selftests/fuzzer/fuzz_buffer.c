// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory to read and write: how much of it, where, and what of it is not accessible
 */
#include "fuzz.h"

static unsigned char *map_pages(size_t len, int prot, int file)
{
	void *mem = mmap(NULL, len, prot, file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
			 file, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

bool new_arena(struct worker *w)
{
	size_t page = getpagesize();
	struct arena *a = calloc(1, sizeof(*a));
	int i;

	if (!a)
		return false;
	w->arena = a;
	a->size = (w->stage->longest + (SEGMENTS + 1) * MARGIN + 3 * page) / page * page;
	a->file = memfd_create("arena", 0);
	a->hole = map_pages(page, PROT_NONE, -1);
	a->text_end = map_pages(NAME_SIZE + 2 * page, PROT_READ | PROT_WRITE, -1);
	if (a->file < 0 || !a->hole || !a->text_end || ftruncate(a->file, a->size))
		return false;
	a->text_end += (NAME_SIZE + page - 1) / page * page;
	if (mprotect(a->text_end, page, PROT_NONE))
		return false;
	for (i = 0; i < VIEWS; i++) {
		/* The last page is beyond the end of the file. */
		a->view[i] = map_pages(a->size + page, PROT_READ | PROT_WRITE, a->file);
		if (!a->view[i])
			return false;
	}
	return !mprotect(a->view[GOOD] + a->size, page, PROT_NONE) &&
	       !mprotect(a->view[READ_ONLY], a->size + page, PROT_READ) &&
	       !io_uring_queue_init(8, &a->ring, 0);
}

/* Of @left bytes, those for one of @more segments. */
static size_t draw_part(struct worker *w, size_t left, int more)
{
	size_t len = more > 1 ? draw(w, 2 * left / more + 2) : left;

	return len < left ? len : left;
}

void lay_out(struct worker *w, struct request *r, size_t len, int segments, bool bad)
{
	struct arena *a = w->arena;
	size_t taken = len + (segments + 1) * MARGIN, page = getpagesize();
	size_t pos = draw(w, a->size - taken), left = len, done = 0;
	enum view view = bad ? draw(w, r->file->queue->exact ? FLAKY : VIEWS) : GOOD;
	int i, broken = bad && segments && one_in(w, 4) ? (int)draw(w, segments) : -1;

	/* Padding is not asked for, and what is behind it would be accessible. */
	if (r->write && has_mode(r->file, MPMCQ_MODE_PACKED))
		broken = -1;

	if (bad && one_in(w, 3))
		pos = a->size - taken + draw(w, taken);		/* over the end */
	else if (bad && one_in(w, 2))
		pos = 2 * page - draw(w, taken < page ? taken : page);
	r->total = len;
	r->there = view == READ_ONLY && !r->write ? 0 : SIZE_MAX;
	r->flaky = view == FLAKY;
	a->segments = segments;
	a->broken = broken;
	memset(a->view[GOOD] + pos, JUNK, pos + taken < a->size ? taken : a->size - pos);
	if (view == FRESH)
		madvise(a->view[FRESH], a->size, MADV_DONTNEED);
	/* A page that is there, so that the copy breaks off at the next one. */
	if (view == FRESH && one_in(w, 2))
		a->view[FRESH][pos] = JUNK;
	for (i = 0; i < segments; i++) {
		struct iovec *v = &a->iov[i];

		pos += MARGIN;
		v->iov_len = draw_part(w, left, segments - i);
		v->iov_base = i == broken ? a->hole : a->view[view] + pos;
		a->at[i] = pos;
		if (v->iov_len && r->there > done && i == broken)
			r->there = done;
		else if (v->iov_len && r->there > done && pos + v->iov_len > a->size)
			r->there = done + (pos < a->size ? a->size - pos : 0);
		pos += v->iov_len;
		done += v->iov_len;
		left -= v->iov_len;
	}
	a->at[i] = pos + MARGIN;
	if (r->there == SIZE_MAX)
		r->there = len;
	r->faulty = view != GOOD || r->there < len;
}

/* The length of segment @i, whatever the call is told, and how much of it is accessible. */
static size_t length_at(const struct arena *a, int i)
{
	return a->at[i + 1] - MARGIN - a->at[i];
}

static size_t visible(const struct arena *a, int i)
{
	size_t len = length_at(a, i);

	if (i == a->broken || a->at[i] >= a->size)
		return 0;
	return a->at[i] + len < a->size ? len : a->size - a->at[i];
}

void scatter(struct arena *a)
{
	size_t done = 0;
	int i;

	for (i = 0; i < a->segments; i++) {
		memcpy(a->view[GOOD] + a->at[i], a->msg + done, visible(a, i));
		done += length_at(a, i);
	}
}

void collect(struct arena *a, size_t len)
{
	size_t n, done = 0;
	int i;

	for (i = 0; done < len; i++) {
		n = visible(a, i);
		if (n > len - done)
			n = len - done;
		memcpy(a->msg + done, a->view[GOOD] + a->at[i], n);
		done += length_at(a, i);
	}
}

bool gaps_are_junk(const struct arena *a)
{
	size_t from, to;
	int i;

	for (i = 0; i <= a->segments; i++) {
		from = a->at[i] - MARGIN;
		to = a->at[i] < a->size ? a->at[i] : a->size;
		if (from < to && !is_junk(a->view[GOOD] + from, to - from))
			return false;
	}
	return true;
}

size_t draw_length(struct worker *w, __u32 longest, bool write)
{
	switch (draw(w, 16)) {
	case 0:
		return 0;
	case 1:
		return longest;
	case 2:
		return longest + 1 + draw(w, 63);
	case 3 ... 5:
		return 1 + draw(w, sizeof(struct record) - 1);
	case 6 ... 8:
		return 1 + draw(w, longest);
	default:
		if (!write)
			return longest + draw(w, 64);
		if (longest < sizeof(struct record))
			return 1 + draw(w, longest);
		return sizeof(struct record) + draw(w, longest < 128 ? longest - 15 : 112);
	}
}

size_t draw_room(struct worker *w, const struct open_file *f)
{
	size_t least = space_by(f, 1), most = space_by(f, f->queue->like.msg_size);

	if (most > PACKED_MAX)
		most = PACKED_MAX;
	switch (draw(w, 16)) {
	case 0:
		return 0;
	case 1:
		return 1 + draw(w, least);
	case 2 ... 4:
		return least + draw(w, 200);
	case 5 ... 7:
		return 1 + draw(w, most);
	case 8 ... 11:
		return most + draw(w, 200);
	default:
		return most + draw(w, PACKED_MAX - most + 1);
	}
}

int draw_segments(struct worker *w)
{
	switch (draw(w, 32)) {
	case 0:
		return one_in(w, 4) ? IOV_MAX : 64;
	case 1:
		return one_in(w, 4) ? 0 : 1;
	default:
		return 1 + draw(w, 8);
	}
}
