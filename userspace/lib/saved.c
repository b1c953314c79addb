// SPDX-License-Identifier: MIT
/*
 * The file of a saved queue: bytes, and a sum over them
 */
#include <errno.h>

#include "saved.h"

/* FNV-1a. */
#define SUM_PRIME	UINT64_C(0x100000001b3)

static void add_to_sum(struct saved *s, const unsigned char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		s->sum = (s->sum ^ bytes[i]) * SUM_PRIME;
}

int mpmcq__saved_write(struct saved *s, const void *bytes, size_t len)
{
	add_to_sum(s, bytes, len);
	errno = EIO;
	return fwrite(bytes, 1, len, s->file) == len ? 0 : -errno;
}

int mpmcq__saved_read(struct saved *s, void *bytes, size_t len)
{
	errno = EIO;
	if (fread(bytes, 1, len, s->file) != len)
		return ferror(s->file) ? -errno : -EBADMSG;
	add_to_sum(s, bytes, len);
	return 0;
}
