/* SPDX-License-Identifier: ((GPL-2.0-only WITH Linux-syscall-note) OR MIT) */
/*
 * mpmcq - message queues that any number of processes write and read
 *
 * A write(2) to /dev/mpmcq queues one message, a read(2) takes one.  This header is for all else:
 * calls that carry many messages, leases that keep a message until its reader settles it, and more
 * queues: private ones, and files of mpmcqfs.  See mpmcq(4) and Documentation/mpmcq.rst.
 *
 * Each struct begins with its size as the caller was compiled with.  The kernel reads the fields
 * that a shorter struct lacks as zeros.  It takes a longer struct if what the kernel does not know
 * is zero.  Flags that are not defined here must be 0.
 */
#ifndef _UAPI_LINUX_MPMCQ_H
#define _UAPI_LINUX_MPMCQ_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MPMCQFS_MAGIC		0x6d706d71	/* f_type of statfs(2) */

/* Properties of a queue: struct mpmcq_create and mpmcq_info, flags. */
#define MPMCQ_DROP_OLDEST	0x01	/* when full, drop the oldest ready message */
#define MPMCQ_AUTO_CLOSE	0x02	/* close when the last writer goes */
#define MPMCQ_DELAY		0x04	/* messages may have a delay, see mpmcq_msg.delay_ms */
#define MPMCQ_START_LEASE	0x08	/* files opened for reading begin with MPMCQ_MODE_LEASE */
#define MPMCQ_STAMP		0x10	/* keep with each message when and by whom it was sent */
/* struct mpmcq_create, flags: only for the call, not kept with the queue. */
#define MPMCQ_EXIST_OK		0x10000	/* succeed if there is such a queue already */

/* Modes of an open file: struct mpmcq_mode and mpmcq_attach, modes. */
#define MPMCQ_MODE_PACKED	0x01	/* a call carries many messages, see struct mpmcq_msg */
#define MPMCQ_MODE_LEASE	0x02	/* the file holds what it reads until it is settled */
#define MPMCQ_MODE_DEAD		0x04	/* reads take dead messages; only ATTACH sets it */
#define MPMCQ_MODE_META		0x08	/* with PACKED: headers are struct mpmcq_meta */

/* Features of the module: struct mpmcq_info, features. */
#define MPMCQ_FEATURE_PACKED	0x01ULL
#define MPMCQ_FEATURE_LEASE	0x02ULL
#define MPMCQ_FEATURE_DEAD	0x04ULL
#define MPMCQ_FEATURE_CLOSE	0x08ULL
#define MPMCQ_FEATURE_ATTACH	0x10ULL
#define MPMCQ_FEATURE_CREATE	0x20ULL
#define MPMCQ_FEATURE_FILES	0x40ULL	/* mpmcqfs */
#define MPMCQ_FEATURE_DROP	0x80ULL
#define MPMCQ_FEATURE_DELAY	0x100ULL
#define MPMCQ_FEATURE_TIMEOUT	0x200ULL
#define MPMCQ_FEATURE_START	0x400ULL
#define MPMCQ_FEATURE_PEEK	0x800ULL
#define MPMCQ_FEATURE_FORWARD	0x1000ULL
#define MPMCQ_FEATURE_META	0x2000ULL	/* and MPMCQ_STAMP */
#define MPMCQ_FEATURE_LEVELS	0x4000ULL

/**
 * struct mpmcq_info - state of a queue, and of one open file of it
 * @size: in: size of this struct as the caller was compiled with, in bytes; stays as it is
 * @version: out: version of the module, see MPMCQ_VERSION_CODE()
 * @capacity: out: messages the queue has room for
 * @msg_size: out: longest message, in bytes
 * @depth: out: messages that wait, ready and returned; approximate while others write and read
 * @flags: out: MPMCQ_DROP_OLDEST and the like
 * @features: out: MPMCQ_FEATURE_PACKED and the like
 * @modes: out: MPMCQ_MODE_PACKED and the like, of this open file
 * @closed: out: 1 if the queue is closed, else 0
 * @dead: out: dead messages
 * @leased: out: messages that readers hold, of all open files
 * @max_deliveries: out: number of deliveries after which a message is set aside; 0 for never
 * @lease_ms: out: how long a lease lasts, in milliseconds; 0 for as long as the open file
 * @held: out: messages that this open file holds
 * @max_held: out: messages that this open file may hold; 0 without MPMCQ_MODE_LEASE
 * @number: out: number of the queue in traces
 * @parked: out: messages that wait until their delay is over; not in @depth
 * @retry_ms: out: as in struct mpmcq_create
 * @retry_max_ms: out: as in struct mpmcq_create
 * @sent: out: messages sent so far
 * @received: out: deliveries so far; each redelivery of a message counts
 * @acked: out: messages acknowledged so far
 * @returned: out: messages given back so far
 * @set_aside: out: messages set aside so far
 * @dropped: out: messages dropped so far to make room
 * @redelivered: out: deliveries so far, to files with MPMCQ_MODE_LEASE, of messages whose
 *	@deliveries of struct mpmcq_msg was not 0 before
 * @suspected: out: how often so far a message became a suspect: it came back because a file ended
 *	or a deadline passed, or was revived
 * @oldest_ns: out: of the first returned message and the first ready one of each level, the age of
 *	the oldest, in nanoseconds; 0 if there is none, or in a queue without MPMCQ_STAMP
 * @levels: out: number of levels of priority
 * @priority: out: of this open file, as in struct mpmcq_mode
 * @rcv_timeout_ms: out: of this open file, as in struct mpmcq_mode; 0 for no limit
 * @snd_timeout_ms: out: of this open file, as in struct mpmcq_mode; 0 for no limit
 * @readers_asleep: out: tasks that wait in a read, also of dead messages
 * @writers_asleep: out: tasks that wait for room, in a write or MPMCQ_IOC_FORWARD
 * @free: out: slots without a message.  What is missing in @free + @depth + @leased + @dead +
 *	@parked to make @capacity are messages that a call copies or moves at this moment
 * @reserved: out: 0
 * @uuid: out: random UUID of the queue; together with @found of struct mpmcq_peek it names a
 *	message in the world
 *
 * A caller with a shorter struct than the kernel's gets the fields that it has.  In a longer struct
 * the fields that the kernel does not know must be zero, and stay as they are.
 */
struct mpmcq_info {
	__u32 size;
	__u32 version;
	__u32 capacity;
	__u32 msg_size;
	__u32 depth;
	__u32 flags;
	__aligned_u64 features;
	__u32 modes;
	__u32 closed;
	__u32 dead;
	__u32 leased;
	__u32 max_deliveries;
	__u32 lease_ms;
	__u32 held;
	__u32 max_held;
	__u32 number;
	__u32 parked;
	__u32 retry_ms;
	__u32 retry_max_ms;
	__aligned_u64 sent;
	__aligned_u64 received;
	__aligned_u64 acked;
	__aligned_u64 returned;
	__aligned_u64 set_aside;
	__aligned_u64 dropped;
	__aligned_u64 redelivered;
	__aligned_u64 suspected;
	__aligned_u64 oldest_ns;
	__u32 levels;
	__u32 priority;
	__u32 rcv_timeout_ms;
	__u32 snd_timeout_ms;
	__u32 readers_asleep;
	__u32 writers_asleep;
	__u32 free;
	__u32 reserved;
	__u8 uuid[16];
};

/* Sizes of the first version of each struct.  A smaller size fails with EINVAL. */
#define MPMCQ_INFO_SIZE_VER0	24	/* up to and with @flags */
#define MPMCQ_MODE_SIZE_VER0	24
#define MPMCQ_SETTLE_SIZE_VER0	32
#define MPMCQ_CREATE_SIZE_VER0	56
#define MPMCQ_ATTACH_SIZE_VER0	32
#define MPMCQ_DEAD_SIZE_VER0	16
#define MPMCQ_FORWARD_SIZE_VER0	48
#define MPMCQ_PEEK_SIZE_VER0	88

#define MPMCQ_VERSION_CODE(major, minor, patch) \
	(((major) << 16) | ((minor) << 8) | (patch))

/* Why a message is dead: struct mpmcq_msg and mpmcq_peek, reason. */
#define MPMCQ_REASON_REJECTED	1	/* by MPMCQ_SETTLE_REJECT */
#define MPMCQ_REASON_DELIVERIES	2	/* it came back after max_deliveries deliveries */

/**
 * struct mpmcq_msg - header of each message of a packed read or write
 * @len: length of the message in bytes, without this header and the padding
 * @flags: 0
 * @priority: less than the queue's levels; readers get messages of a higher one first
 * @reason: read: MPMCQ_REASON_REJECTED and the like, of a dead message, else 0; written: ignored
 * @id: read: names this delivery, for MPMCQ_IOC_SETTLE; written: ignored
 * @deliveries: read: number of deliveries of the message to files with MPMCQ_MODE_LEASE, this one
 *	included if the open file has that mode and the message is not dead; written: ignored
 * @delay_ms: written: delay before readers can get the message, in milliseconds; must be 0 in a
 *	queue without MPMCQ_DELAY; read: 0
 *
 * The message follows, then padding up to the next multiple of 8 bytes, then the next header.  The
 * padding is zero when it is read, and ignored when it is written.  A program may write what it has
 * read.
 */
struct mpmcq_msg {
	__u32 len;
	__u16 flags;
	__u8 priority;
	__u8 reason;
	__aligned_u64 id;
	__u32 deliveries;
	__u32 delay_ms;
};

/* Bytes that a message of @len bytes takes in a packed buffer. */
#define MPMCQ_MSG_SPACE(len) \
	(sizeof(struct mpmcq_msg) + (((len) + (__u64)7) & ~(__u64)7))

/* State of a message: struct mpmcq_meta and mpmcq_peek, state. */
#define MPMCQ_STATE_SUSPECT	0x01	/* a packed read with leases takes it alone */

/**
 * struct mpmcq_meta - header of each message with MPMCQ_MODE_META
 * @msg: the header without MPMCQ_MODE_META
 * @seq: read: names the message in this queue, from its send to its end
 * @age_ns: read: time since the message was sent, in nanoseconds; 0 in a queue without MPMCQ_STAMP
 * @uid: read: effective user id of the process that opened the sending file, at that time.  It is
 *	shown as in the user namespace of the process that opened the reading file.  If it is not
 *	mapped there, or without MPMCQ_STAMP, it is 65534, or what /proc/sys/kernel/overflowuid says
 * @gid: read: effective group id, likewise, with /proc/sys/kernel/overflowgid
 * @state: read: MPMCQ_STATE_SUSPECT or 0
 * @reserved: read: 0
 *
 * A write ignores all fields but @msg.
 */
struct mpmcq_meta {
	struct mpmcq_msg msg;
	__aligned_u64 seq;
	__aligned_u64 age_ns;
	__u32 uid;
	__u32 gid;
	__u32 state;
	__u32 reserved;
};

/* Bytes that a message of @len bytes takes in a packed buffer with MPMCQ_MODE_META. */
#define MPMCQ_META_SPACE(len) \
	(sizeof(struct mpmcq_meta) + (((len) + (__u64)7) & ~(__u64)7))

/**
 * struct mpmcq_mode - modes of an open file from now on
 * @size: size of this struct, in bytes
 * @modes: MPMCQ_MODE_PACKED, MPMCQ_MODE_LEASE, MPMCQ_MODE_META; a file with MPMCQ_MODE_DEAD keeps
 *	that mode, named here or not
 * @max_held: with MPMCQ_MODE_LEASE, how many messages the file may hold at a time, 1 to
 *	MPMCQ_MAX_HELD_MAX, cut to the queue's capacity; 0 for MPMCQ_MAX_HELD_DEFAULT.  Without
 *	MPMCQ_MODE_LEASE, 0
 * @rcv_timeout_ms: how long a read waits, in milliseconds, before it fails with EAGAIN; 0 or
 *	4294967295 for no limit
 * @snd_timeout_ms: how long a write, or a forward to this file, waits, likewise
 * @priority: of messages that are not packed, less than the queue's levels
 *
 * With MPMCQ_MODE_LEASE alone a read acknowledges the message that the previous read delivered.
 * Only read(2) and readv(2) do that, one at a time.  Add MPMCQ_MODE_PACKED for io_uring, aio and
 * several reads at once.  In a queue with MPMCQ_START_LEASE a file that is opened for reading has
 * MPMCQ_MODE_LEASE and a @max_held of 1, and MPMCQ_IOC_MODE may replace these once before the first
 * read.
 */
struct mpmcq_mode {
	__u32 size;
	__u32 modes;
	__u32 max_held;
	__u32 rcv_timeout_ms;
	__u32 snd_timeout_ms;
	__u32 priority;
};

#define MPMCQ_MAX_HELD_DEFAULT	64U
#define MPMCQ_MAX_HELD_MAX	4096U

/* How to settle messages that are held: struct mpmcq_settle, op. */
#define MPMCQ_SETTLE_ACK	1	/* acknowledge: done, their slots are free */
#define MPMCQ_SETTLE_NACK	2	/* give back for redelivery */
#define MPMCQ_SETTLE_REJECT	3	/* set aside, as dead messages */
#define MPMCQ_SETTLE_TOUCH	4	/* keep them held, and restart their lease_ms */
#define MPMCQ_SETTLE_REVIVE	5	/* dead messages: send them again */

/* struct mpmcq_settle, flags */
#define MPMCQ_SETTLE_ALL	0x01	/* all that are held; @ids and @count are 0 */
#define MPMCQ_SETTLE_FRONT	0x02	/* NACK: readers get them before ready messages */
#define MPMCQ_SETTLE_UNTRIED	0x04	/* NACK: this delivery does not count */
#define MPMCQ_SETTLE_DELAY	0x08	/* NACK: after @delay_ms, not after the queue's retry_ms */

/**
 * struct mpmcq_settle - settle messages that this open file holds
 * @size: size of this struct, in bytes
 * @op: MPMCQ_SETTLE_ACK and the like
 * @flags: MPMCQ_SETTLE_ALL and the like
 * @count: number of ids, 1 to MPMCQ_MAX_HELD_MAX
 * @ids: address of an array of __u64, from @id of struct mpmcq_msg
 * @delay_ms: with MPMCQ_SETTLE_DELAY, delay before readers can get the messages, in milliseconds, 0
 *	for none; else 0
 * @done: out: how many of the messages were held; unchanged after EBADF, EINVAL, EOPNOTSUPP and
 *	E2BIG
 *
 * Dead messages: MPMCQ_SETTLE_ACK frees them.  MPMCQ_SETTLE_REVIVE sends them again; it needs write
 * access.  With MPMCQ_SETTLE_NACK and MPMCQ_SETTLE_REJECT they stay dead.
 *
 * The call passes over ids that the file does not hold, or not any more.  It settles the others
 * and fails with ENOENT.  After any other error it has settled nothing.  The exception is EFAULT
 * because memory at @done could be written at first and is gone in the end.
 */
struct mpmcq_settle {
	__u32 size;
	__u32 op;
	__u32 flags;
	__u32 count;
	__aligned_u64 ids;
	__u32 delay_ms;
	__u32 done;
};

/**
 * struct mpmcq_create - make a queue
 * @size: size of this struct, in bytes
 * @flags: MPMCQ_DROP_OLDEST and the like, and MPMCQ_EXIST_OK
 * @capacity: messages the queue has room for, a power of two from 2 to 1048576; 0 for 1024
 * @msg_size: longest message in bytes, 1 to 65536; 0 for 1024
 * @max_deliveries: a message that comes back after this number of deliveries is set aside, up to
 *	MPMCQ_MAX_DELIVERIES_MAX; 0 for never; MPMCQ_MAX_DELIVERIES_DEFAULT is a good choice
 * @lease_ms: how long a lease lasts (the visibility timeout), in milliseconds, up to 2147483647; 0
 *	for as long as the open file
 * @retry_ms: delay of a message that comes back by MPMCQ_SETTLE_NACK, with no flag but perhaps
 *	MPMCQ_SETTLE_ALL, in milliseconds, after its first delivery; twice as long after each
 *	further one; 0 for none.  If it is not 0, it implies MPMCQ_DELAY
 * @retry_max_ms: limit of that delay, in milliseconds, at least @retry_ms; 0 for 4294967295, and
 *	with a @retry_ms of 0
 * @levels: number of levels of priority, 1 to MPMCQ_LEVELS_MAX; 0 for 1.  Readers get all messages
 *	of a higher level before those of a lower one
 * @reserved: 0
 * @open_flags: private queue: O_RDWR, O_RDONLY or O_WRONLY, with O_NONBLOCK if wanted; the
 *	descriptor is close-on-exec in any case.  Queue with a name: 0
 * @mode: queue with a name: permissions as of open(2), 0 to 0777, to which umask(2) applies.
 *	Private queue: 0
 * @name: address of the name, which ends with a 0 byte; 0 for a private queue
 *
 * With a name, on a descriptor of a directory of mpmcqfs, the call makes a file there and returns
 * 0; open(2) opens it.  Without a name, on any descriptor of this module, the call returns a
 * descriptor of a new queue, which lasts as long as its open files.
 *
 * If there is a file of that name the call fails with EEXIST.  With MPMCQ_EXIST_OK it succeeds if
 * that queue is as this struct would make it, and changes nothing.  It does not compare the owner,
 * @mode or MPMCQ_START_LEASE.
 */
struct mpmcq_create {
	__u32 size;
	__u32 flags;
	__u32 capacity;
	__u32 msg_size;
	__u32 max_deliveries;
	__u32 lease_ms;
	__u32 retry_ms;
	__u32 retry_max_ms;
	__u32 levels;
	__u32 reserved;
	__u32 open_flags;
	__u32 mode;
	__aligned_u64 name;
};

#define MPMCQ_LEVELS_MAX	4U
#define MPMCQ_MAX_DELIVERIES_DEFAULT	8U
#define MPMCQ_MAX_DELIVERIES_MAX	16777215U

/**
 * struct mpmcq_attach - make another open file of the same queue
 * @size: size of this struct, in bytes
 * @open_flags: as in struct mpmcq_create; EACCES for access that the first file lacks
 * @modes: MPMCQ_MODE_PACKED, MPMCQ_MODE_LEASE, MPMCQ_MODE_DEAD, MPMCQ_MODE_META
 * @max_held: as in struct mpmcq_mode
 * @rcv_timeout_ms: as in struct mpmcq_mode
 * @snd_timeout_ms: as in struct mpmcq_mode
 * @priority: as in struct mpmcq_mode
 * @reserved: 0
 */
struct mpmcq_attach {
	__u32 size;
	__u32 open_flags;
	__u32 modes;
	__u32 max_held;
	__u32 rcv_timeout_ms;
	__u32 snd_timeout_ms;
	__u32 priority;
	__u32 reserved;
};

/**
 * struct mpmcq_dead - revive or purge dead messages
 * @size: size of this struct, in bytes
 * @flags: 0
 * @count: maximum number of messages, the oldest first; 0 for all
 * @done: out: how many messages were revived or purged
 */
struct mpmcq_dead {
	__u32 size;
	__u32 flags;
	__u32 count;
	__u32 done;
};

/**
 * struct mpmcq_forward - send a message that is held to another queue
 * @size: size of this struct, in bytes
 * @fd: a descriptor of the target queue, open for writing; may be of the same queue
 * @id: names the delivery, from struct mpmcq_msg
 * @buf: address of a payload to send in place of the message's own; 0 for the message's own
 * @len: length of that payload in bytes; 0 if @buf is 0
 * @delay_ms: delay before readers of the target can get the message, in milliseconds, as in struct
 *	mpmcq_msg
 * @priority: of the message in the target, less than the target's levels
 * @flags: 0
 * @seq: out: names the new message in the target; after an error 0, or unchanged
 *
 * The call sends a new message to the target and acknowledges the message here, or does neither.
 * It waits for room as a write to @fd does, and the lease runs on meanwhile.  It fails with ENOENT
 * if the message is not held any more when there is room.  After an error the call has done nothing
 * to the message.  The exception is EFAULT because the page of @seq has gone meanwhile.
 */
struct mpmcq_forward {
	__u32 size;
	__s32 fd;
	__aligned_u64 id;
	__aligned_u64 buf;
	__u32 len;
	__u32 delay_ms;
	__u32 priority;
	__u32 flags;
	__aligned_u64 seq;
};

/* Where a message is: struct mpmcq_peek, where. */
#define MPMCQ_PEEK_READY	1
#define MPMCQ_PEEK_RETURNED	2
#define MPMCQ_PEEK_DEAD		3
#define MPMCQ_PEEK_PARKED	4

/* struct mpmcq_peek, flags */
#define MPMCQ_PEEK_SEQ		0x01	/* the message that @seq names */
#define MPMCQ_PEEK_NEXT		0x02	/* the parked message that is due next after @seq */

/**
 * struct mpmcq_peek - copy a message that stays where it is
 * @size: size of this struct, in bytes
 * @where: MPMCQ_PEEK_READY and the like
 * @flags: MPMCQ_PEEK_SEQ, MPMCQ_PEEK_NEXT, or 0 for the message at @position
 * @position: number of messages before the wanted one there; 0 with a flag, and for parked messages
 * @seq: with a flag, the name of a message; else 0
 * @buf: address of a buffer for the message
 * @buf_len: length of the buffer in bytes; 0 to copy no message
 * @priority: for MPMCQ_PEEK_READY, the level to look at; else 0
 * @found: out: names the message in this queue, from its send to its end
 * @len: out: length of the message, in bytes
 * @deliveries: out: number of deliveries so far, as in struct mpmcq_msg
 * @delay_ms: out: of a parked message, the delay that is left, in milliseconds, rounded up; else 0
 * @state: out: MPMCQ_STATE_SUSPECT or 0
 * @reason: out: of a dead message, MPMCQ_REASON_REJECTED and the like, else 0
 * @msg_priority: out: priority of the message
 * @age_ns: out: as in struct mpmcq_meta
 * @uid: out: as in struct mpmcq_meta
 * @gid: out: as in struct mpmcq_meta
 *
 * The call fails with ENOENT if there is no such message there; with ESTALE if MPMCQ_PEEK_NEXT is
 * set and @seq is not parked, or not any more; with EAGAIN if others took each message that was
 * about to be copied; with EMSGSIZE if the message is longer than a @buf_len that is not 0.  After
 * EMSGSIZE all fields are set, and the buffer is unchanged.
 */
struct mpmcq_peek {
	__u32 size;
	__u32 where;
	__u32 flags;
	__u32 position;
	__aligned_u64 seq;
	__aligned_u64 buf;
	__u32 buf_len;
	__u32 priority;
	__aligned_u64 found;
	__u32 len;
	__u32 deliveries;
	__u32 delay_ms;
	__u32 state;
	__u32 reason;
	__u32 msg_priority;
	__aligned_u64 age_ns;
	__u32 uid;
	__u32 gid;
};

/* MPMCQ_IOC_CLOSE, the argument itself */
#define MPMCQ_CLOSE_DUE		0x01	/* end all delays now, and until the queue is reopened */

#define MPMCQ_IOC_MAGIC		0xA8

#define MPMCQ_IOC_INFO		_IOWR(MPMCQ_IOC_MAGIC, 0x00, struct mpmcq_info)
#define MPMCQ_IOC_MODE		_IOW(MPMCQ_IOC_MAGIC, 0x01, struct mpmcq_mode)
#define MPMCQ_IOC_SETTLE	_IOWR(MPMCQ_IOC_MAGIC, 0x02, struct mpmcq_settle)
#define MPMCQ_IOC_PEEK		_IOWR(MPMCQ_IOC_MAGIC, 0x03, struct mpmcq_peek)
#define MPMCQ_IOC_FORWARD	_IOWR(MPMCQ_IOC_MAGIC, 0x04, struct mpmcq_forward)
#define MPMCQ_IOC_CREATE	_IOW(MPMCQ_IOC_MAGIC, 0x06, struct mpmcq_create)
#define MPMCQ_IOC_ATTACH	_IOW(MPMCQ_IOC_MAGIC, 0x07, struct mpmcq_attach)
#define MPMCQ_IOC_CLOSE		_IO(MPMCQ_IOC_MAGIC, 0x08)
#define MPMCQ_IOC_REOPEN	_IO(MPMCQ_IOC_MAGIC, 0x09)
#define MPMCQ_IOC_REVIVE	_IOWR(MPMCQ_IOC_MAGIC, 0x0a, struct mpmcq_dead)
#define MPMCQ_IOC_PURGE		_IOWR(MPMCQ_IOC_MAGIC, 0x0b, struct mpmcq_dead)

#endif /* _UAPI_LINUX_MPMCQ_H */
