// SPDX-License-Identifier: MIT
/*
 * Packed messages, to and from arrays of iovecs
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lib.h"

#define ALIGNMENT	8U	/* of headers in a packed buffer */
#define PARTS		3U	/* of a packed message: header, message, padding */

static size_t padded(size_t len)
{
	return (len + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

/* Header number @i of an array, of which each has @size bytes and begins with the short one. */
static const struct mpmcq_msg *header_at(const void *headers, size_t size, unsigned int i)
{
	return (const struct mpmcq_msg *)((const char *)headers + i * size);
}

/*
 * Returns how many of @count messages the first @bytes of a packed write were; -EBADMSG if they end
 * within one, because @fd is not a queue in that mode.
 */
static int count_sent(const struct iovec *iov, size_t header_size, unsigned int count,
		      size_t bytes)
{
	unsigned int n;
	size_t space;

	for (n = 0; bytes && n < count; n++) {
		space = header_size + padded(iov[n].iov_len);
		if (bytes < space)
			return -EBADMSG;
		bytes -= space;
	}
	return bytes ? -EBADMSG : (int)n;
}

static int send_packed(int fd, const void *headers, size_t header_size, const struct iovec *iov,
		       unsigned int count)
{
	static const char zeros[ALIGNMENT];
	struct mpmcq_meta copies[MPMCQ_SEND_MAX];	/* with room for a header of either size */
	struct iovec parts[MPMCQ_SEND_MAX * PARTS];
	ssize_t ret;

	if (count > MPMCQ_SEND_MAX)
		count = MPMCQ_SEND_MAX;
	memset(copies, 0, count * sizeof(*copies));
	for (unsigned int i = 0; i < count; i++) {
		struct iovec *part = &parts[i * PARTS];

		if (headers)
			copies[i].msg = *header_at(headers, header_size, i);
		/* Too long for any queue, and for len, and for the sum with its padding. */
		if (iov[i].iov_len > INT32_MAX) {
			if (!i)
				return -EMSGSIZE;
			count = i;
			break;
		}
		copies[i].msg.len = iov[i].iov_len;
		part[0] = (struct iovec){ &copies[i], header_size };
		part[1] = iov[i];
		part[2] = (struct iovec){ (void *)zeros, padded(iov[i].iov_len) - iov[i].iov_len };
	}
	ret = writev(fd, parts, count * PARTS);
	return ret < 0 ? -errno : count_sent(iov, header_size, count, ret);
}

EXPORT int mpmcq_send_msgs(int fd, const struct mpmcq_msg *msgs, const struct iovec *iov,
			   unsigned int count)
{
	return send_packed(fd, msgs, sizeof(*msgs), iov, count);
}

EXPORT int mpmcq_send_metas(int fd, const struct mpmcq_meta *metas, const struct iovec *iov,
			    unsigned int count)
{
	return send_packed(fd, metas, sizeof(*metas), iov, count);
}

/* Copies the header at @at, of which @left bytes are left.  Returns 0, or -EBADMSG. */
static int unpack_header(const char *at, size_t left, void *header, size_t header_size)
{
	struct mpmcq_msg msg;

	if (left < header_size)
		return -EBADMSG;
	memcpy(&msg, at, sizeof(msg));
	left -= header_size;
	/* The first comparison keeps the sum of the second from wrapping around. */
	if (!msg.len || msg.len > left || padded(msg.len) > left)
		return -EBADMSG;
	memcpy(header, at, header_size);
	return 0;
}

static int unpack(const void *buf, size_t len, size_t *offset, void *headers, size_t header_size,
		  struct iovec *iov, unsigned int count)
{
	struct mpmcq_meta header;
	unsigned int n;

	if (*offset > len)
		return -EBADMSG;
	for (n = 0; n < count && *offset < len; n++) {
		const char *at = (const char *)buf + *offset;

		if (unpack_header(at, len - *offset, &header, header_size))
			return n ? (int)n : -EBADMSG;
		if (headers)
			memcpy((char *)headers + n * header_size, &header, header_size);
		iov[n] = (struct iovec){ (void *)(at + header_size), header.msg.len };
		*offset += header_size + padded(header.msg.len);
	}
	return n;
}

EXPORT int mpmcq_unpack_msgs(const void *buf, size_t len, size_t *offset, struct mpmcq_msg *msgs,
			     struct iovec *iov, unsigned int count)
{
	return unpack(buf, len, offset, msgs, sizeof(*msgs), iov, count);
}

EXPORT int mpmcq_unpack_metas(const void *buf, size_t len, size_t *offset,
			      struct mpmcq_meta *metas, struct iovec *iov, unsigned int count)
{
	return unpack(buf, len, offset, metas, sizeof(*metas), iov, count);
}
