/* SPDX-License-Identifier: MIT */
/*
 * The content of a queue as a file: a header, a record for each message, an end.  Numbers have the
 * byte order of the machine.  The end has a sum over all bytes before it, so that half a file is
 * noticed.  A file that an older library cannot restore gets another version.
 */
#ifndef SAVED_H
#define SAVED_H

#include <stdint.h>
#include <stdio.h>

#define SAVED_MAGIC	"qmsavd"
#define SAVED_VERSION	1

/**
 * struct saved_header - begins a file
 * @magic: SAVED_MAGIC, without its 0
 * @version: SAVED_VERSION
 * @flags: as of struct mpmcq_create
 * @capacity: likewise
 * @msg_size: likewise
 * @max_deliveries: likewise
 * @lease_ms: likewise
 * @retry_ms: likewise
 * @retry_max_ms: likewise
 * @levels: likewise
 * @mode: likewise
 * @uid: its owner
 * @gid: its group
 * @reserved: 0
 */
struct saved_header {
	char magic[6];
	uint16_t version;
	uint32_t flags;
	uint32_t capacity;
	uint32_t msg_size;
	uint32_t max_deliveries;
	uint32_t lease_ms;
	uint32_t retry_ms;
	uint32_t retry_max_ms;
	uint32_t levels;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t reserved;
};

/**
 * struct saved_message - stands before each message
 * @where: MPMCQ_PEEK_DEAD and the like; 0 is the end
 * @len: its length, in bytes; at the end, 0
 * @deliveries: so far; at the end, how many messages there are
 * @delay_ms: left, of a parked one
 * @reason: of a dead one
 * @priority: its level
 * @sum: at the end, over all before it; else 0
 */
struct saved_message {
	uint32_t where;
	uint32_t len;
	uint32_t deliveries;
	uint32_t delay_ms;
	uint32_t reason;
	uint32_t priority;
	uint64_t sum;
};

/**
 * struct saved - a file that is being written or read
 * @file: the open file
 * @sum: over all bytes so far
 * @count: of messages so far
 * @begin_ms: when writing began, by mpmcq__now_ms()
 * @last_delay_ms: the longest delay so far
 * @seqs: names of the messages that were written so far; NULL when reading
 * @room: how many @seqs there is room for
 */
struct saved {
	FILE *file;
	uint64_t sum;
	uint32_t count;
	int64_t begin_ms;
	uint32_t last_delay_ms;
	uint64_t *seqs;
	uint32_t room;
};

int mpmcq__saved_write(struct saved *s, const void *bytes, size_t len);
int mpmcq__saved_read(struct saved *s, void *bytes, size_t len);

#endif /* SAVED_H */
