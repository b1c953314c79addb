/* SPDX-License-Identifier: MIT */
/*
 * libmpmcq - queues of messages of the mpmcq module, from C
 *
 * A queue is a file descriptor: poll(2), fcntl(2), io_uring(7) and close(2) work on it.  The
 * library has no state and starts no thread, so all calls are safe in all threads, and those that
 * are one system call are safe in signal handlers.  It defines no struct of its own; those of
 * linux/mpmcq.h begin with their size, which the caller sets.
 *
 * A thread that pthread_cancel(3) ends within a call, or a handler that does not return, leaves
 * descriptors open and memory allocated.
 *
 * Each call returns a negative errno if it fails, and leaves the variable errno undefined.  Besides
 * those that a call lists:
 *
 * -EBADF: the descriptor is not open, or not open for what the call does; or it is of no queue, but
 *	mpmcq_send(), mpmcq_receive() and the calls like them use any file as write(2) and read(2)
 *	do.
 * -EFAULT: memory that the caller names is not accessible.  The library itself reads names, paths
 *	and structs, so these have to be.
 * -EINVAL: a flag is not known, a field is out of range, or two do not go together.
 * -E2BIG: @size of a struct is more than a page.
 * -EACCES: of calls that send, forward or receive, also if a security module forbids that.
 * -ENOSYS: the library or the module is older than what the call asks for.  No call returns
 *	-ENOTTY.  mpmcq_check_features() tells both versions.
 */
#ifndef LIBMPMCQ_H
#define LIBMPMCQ_H

#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <linux/mpmcq.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- versions --- */

/**
 * mpmcq_get_version() - the version of the library
 *
 * Return: MPMCQ_VERSION_CODE(major, minor, patch).
 */
unsigned int mpmcq_get_version(void);

/**
 * mpmcq_check_features() - whether the module can do what a program needs
 * @fd: a queue
 * @features: MPMCQ_FEATURE_PACKED and the like; 0 to ask for the versions alone
 * @text: for the versions of the library and the module, and the names of what is missing, in
 *	one line of at most 255 bytes and a 0; NULL if it is not wanted
 * @size: bytes there; the text is cut to fit
 *
 * Return: 0; -ENOSYS if the module lacks one of @features; -EBADF if @fd is of no queue.
 */
int mpmcq_check_features(int fd, __u64 features, char *text, size_t size);

/* --- queues --- */

/**
 * mpmcq_open() - open a queue by name or path
 * @name: a file in /dev/mpmcqfs; with a '/', a path
 * @flags: O_RDONLY, O_WRONLY or O_RDWR, and O_NONBLOCK or not; O_CLOEXEC is implied
 *
 * Return: a descriptor, or
 * -EACCES: the permissions forbid it, or the mount has the option nodev.
 * -EINVAL: another flag.
 * -EMFILE, -ENFILE, -ENOMEM: as of open(2).
 * -ELOOP: as of open(2).
 * -ENAMETOOLONG: the path is longer than 4095 bytes, or the name than 255.
 * -ENODEV: no mpmcqfs is mounted there, the module is not loaded, or the file is no queue.
 * -ENOENT: there is no such queue in that mpmcqfs, or the name is empty.
 * -ENXIO: the node is a copy of a queue file, or has outlived the module.
 * -EPERM: the device cgroup forbids it.
 */
int mpmcq_open(const char *name, int flags);

/**
 * mpmcq_create_queue() - make a queue with a name
 * @name: as of mpmcq_open()
 * @config: what the queue is like; @name and @open_flags are 0.  With MPMCQ_EXIST_OK a queue of
 *	this name will do if it is like @config
 *
 * umask(2) takes away from @mode.  mpmcq_open() opens the queue.
 *
 * Return: 0, or
 * -EACCES: the caller may not read the directory, or not write to it.
 * -EDQUOT, -EFBIG, -ENOSPC: a limit of the account, a queue, the mount or the module.
 * -EEXIST: there is such a queue; with MPMCQ_EXIST_OK, and it is different.
 * -ELOOP, -EMFILE, -ENFILE: as of open(2).
 * -ENAMETOOLONG, -ENODEV: as of mpmcq_open().
 * -ENOENT: the name is empty.
 * -ENOMEM: there is no memory for it.
 * -EOVERFLOW: the caller's ids are not mapped in the user namespace of the mount.
 * -EPERM: the device cgroup forbids it.
 * -EROFS: the mount is read-only.
 */
int mpmcq_create_queue(const char *name, const struct mpmcq_create *config);

/**
 * mpmcq_create_private() - make a queue without a name
 * @config: what the queue is like; @open_flags are those of the descriptor, @name and @mode are 0
 *
 * The queue lasts as long as its open files.  The call needs a descriptor of the module, for which
 * it opens the directory /dev/mpmcqfs, or /dev/mpmcq.
 *
 * Return: a descriptor, which is close-on-exec, or
 * -EACCES: the caller may open neither.
 * -EDQUOT, -EFBIG, -ENOSPC, -ENOMEM: as of mpmcq_create_queue().
 * -EMFILE, -ENFILE: as of open(2).
 * -ENODEV: the module is not loaded.
 * -EPERM: the device cgroup forbids to open /dev/mpmcq.
 */
int mpmcq_create_private(const struct mpmcq_create *config);

/**
 * mpmcq_attach_queue() - another open file of the same queue
 * @fd: a queue
 * @attach: access, modes, timeouts and priority of the new open file
 *
 * Return: a descriptor, which is close-on-exec, or
 * -EACCES: @fd is not open for that, or a security module forbids it.
 * -EBADF: MPMCQ_MODE_LEASE or MPMCQ_MODE_DEAD without read access in @open_flags; or as above.
 * -EDQUOT, -ENOSPC: a limit of the account or the module.
 * -EMFILE, -ENFILE, -ENOMEM: as of open(2).
 */
int mpmcq_attach_queue(int fd, const struct mpmcq_attach *attach);

/**
 * mpmcq_remove_queue() - remove the name of a queue
 * @name: as of mpmcq_open()
 *
 * Programs that have the queue open go on using it.
 *
 * Return: 0, or
 * -EACCES, -EBUSY, -EPERM, -EROFS: as of unlink(2).
 * -EISDIR: the name is "." or "..".
 * -ELOOP, -EMFILE, -ENFILE, -ENOMEM: as of open(2), of the directory.
 * -ENAMETOOLONG, -ENODEV, -ENOENT: as of mpmcq_open().
 */
int mpmcq_remove_queue(const char *name);

/**
 * mpmcq_get_info() - what a queue and an open file of it are like
 * @fd: a queue
 * @info: @size is in, all else out.  What the module does not know stays as it is, so begin with
 *	zeros
 *
 * Return: 0 or an errno that all calls have.
 */
int mpmcq_get_info(int fd, struct mpmcq_info *info);

/**
 * mpmcq_set_mode() - how an open file reads and writes from now on
 * @fd: a queue
 * @mode: modes, timeouts in milliseconds, priority: all are set
 *
 * Return: 0, or
 * -EBUSY: the open file has MPMCQ_MODE_LEASE, with other modes or another @max_held.
 * -EDQUOT, -ENOSPC: a limit of the account or the module.
 * -ENOMEM: there is no memory for the leases.
 */
int mpmcq_set_mode(int fd, const struct mpmcq_mode *mode);

/**
 * mpmcq_close_queue() - end a queue for its writers
 * @fd: a queue, open for writing
 * @flags: 0, or MPMCQ_CLOSE_DUE: nothing waits for its delay any more
 *
 * Readers get what is left, and then 0.  close(2) closes the descriptor.
 *
 * Return: 0; -EPERM if it is the default queue and the caller lacks CAP_SYS_ADMIN.
 */
int mpmcq_close_queue(int fd, unsigned int flags);

/**
 * mpmcq_reopen_queue() - undo mpmcq_close_queue()
 * @fd: a queue, open for writing
 *
 * Return: as of mpmcq_close_queue().
 */
int mpmcq_reopen_queue(int fd);

/* --- single messages --- */

/**
 * mpmcq_send() - send a message
 * @fd: a queue; if it is packed, @message is one or more with their headers
 * @message: the message
 * @len: its length in bytes, 1 to @msg_size of the queue
 *
 * Waits for room as the open file says: O_NONBLOCK, @snd_timeout_ms.  It is write(2).
 *
 * Return: @len; if @fd is packed, how many bytes of it were sent; or
 * -EAGAIN: there is no room, and the call may not wait, or no longer.
 * -EINTR: a signal came while it waited.
 * -EINVAL: @len is 0; packed: the first header is wrong.
 * -EMSGSIZE: the message is longer than @msg_size.
 * -EPIPE: the queue is closed.  There is no SIGPIPE.
 */
ssize_t mpmcq_send(int fd, const void *message, size_t len);

/**
 * mpmcq_receive() - receive a message
 * @fd: a queue; if it is packed, as many messages with their headers as fit, see
 *	mpmcq_unpack_msgs()
 * @buf: for the message
 * @size: bytes there
 *
 * Waits for a message as the open file says: O_NONBLOCK, @rcv_timeout_ms.  It is read(2): with
 * MPMCQ_MODE_LEASE and without MPMCQ_MODE_PACKED it acknowledges what the one before delivered.
 *
 * Return: the length in bytes; 0 at the end of a closed queue, or if @size is 0; or
 * -EAGAIN: there is no message, and the call may not wait, or no longer.
 * -EBUSY: another thread reads by this open file, which has leases and is not packed.
 * -EDEADLK: the queue is closed, and what this open file holds would have to be settled first; with
 *	O_NONBLOCK that is -EAGAIN.
 * -EINTR: a signal came while it waited.
 * -EMSGSIZE: @buf is too short for the message, which stays.
 * -ENOBUFS: this open file holds as many messages as it may.
 */
ssize_t mpmcq_receive(int fd, void *buf, size_t size);

/**
 * mpmcq_send_timed() - send a message, and wait no longer than that
 * @fd: as of mpmcq_send()
 * @message: likewise
 * @len: likewise
 * @timeout_ms: how long to wait for room, in milliseconds; 0: not at all, negative: for ever
 *
 * O_NONBLOCK and the timeouts of the open file do not matter.  The call waits by poll(2), which
 * goes by the priority of the open file.  In a queue that drops the oldest, a packed message of a
 * lower priority may find no room where poll(2) says that there is some: the call then tries again
 * each millisecond.
 *
 * Return: as of mpmcq_send(); -EAGAIN if the time is over; -EINTR also with SA_RESTART.
 */
ssize_t mpmcq_send_timed(int fd, const void *message, size_t len, int timeout_ms);

/**
 * mpmcq_receive_timed() - receive a message, and wait no longer than that
 * @fd: as of mpmcq_receive(); with MPMCQ_MODE_LEASE it has to have MPMCQ_MODE_PACKED or O_NONBLOCK
 * @buf: likewise
 * @size: likewise
 * @timeout_ms: how long to wait for a message, in milliseconds; 0: not at all, negative: for ever
 *
 * O_NONBLOCK and the timeouts of the open file do not matter.  A message wakes all that wait in
 * this call, and one that waits in mpmcq_receive(): where many wait, use @rcv_timeout_ms.
 *
 * Return: as of mpmcq_receive(), but
 * -EAGAIN: the time is over.
 * -EDEADLK: also with O_NONBLOCK; if the queue is closed during the call, up to 100 ms later.
 * -EINTR: also with SA_RESTART.
 * -EINVAL: also if the open file has leases, and neither MPMCQ_MODE_PACKED nor O_NONBLOCK.
 */
ssize_t mpmcq_receive_timed(int fd, void *buf, size_t size, int timeout_ms);

/* --- many messages a call --- */

/* Messages that one call sends at most. */
#define MPMCQ_SEND_MAX	64U

/**
 * mpmcq_send_msgs() - send messages by one call
 * @fd: a queue, packed by mpmcq_set_mode() or mpmcq_attach_queue(), without MPMCQ_MODE_META
 * @msgs: a header for each, of which @priority, @delay_ms and @flags count; NULL: all are 0
 * @iov: where each message is, and its length
 * @count: how many there are; the call sends at most MPMCQ_SEND_MAX
 *
 * Waits for room for the first message only, as mpmcq_send() does.
 *
 * Return: how many were sent, in order, which may be less than @count; 0 if @count is 0; or the
 * errors of mpmcq_send() if the first was not; or
 * -EBADMSG: what was sent ends within a message, because @fd has headers of the other kind.
 * -EMSGSIZE: also if @fd is not packed, where all is one message.
 * Another mode may also go unnoticed, and send other messages.
 */
int mpmcq_send_msgs(int fd, const struct mpmcq_msg *msgs, const struct iovec *iov,
		    unsigned int count);

/**
 * mpmcq_send_metas() - send messages by one call, with long headers
 * @fd: a queue, packed, with MPMCQ_MODE_META
 * @metas: a header for each, of which @msg counts as in mpmcq_send_msgs()
 * @iov: as of mpmcq_send_msgs()
 * @count: likewise
 *
 * Return: as of mpmcq_send_msgs().
 */
int mpmcq_send_metas(int fd, const struct mpmcq_meta *metas, const struct iovec *iov,
		     unsigned int count);

/**
 * mpmcq_unpack_msgs() - find the messages in a packed buffer
 * @buf: what mpmcq_receive(), or a read by io_uring(7), has delivered; need not be aligned
 * @len: its length in bytes
 * @offset: where the next message begins, 0 at first; moved behind those found
 * @msgs: for their headers; NULL if they are not wanted
 * @iov: for where in @buf each message is, and its length
 * @count: how many there is room for
 *
 * Call it again until it returns 0.
 *
 * Return: how many were found; 0 at the end; -EBADMSG if at @offset there is no whole message.
 */
int mpmcq_unpack_msgs(const void *buf, size_t len, size_t *offset, struct mpmcq_msg *msgs,
		      struct iovec *iov, unsigned int count);

/**
 * mpmcq_unpack_metas() - find the messages in a packed buffer with long headers
 * @buf: as of mpmcq_unpack_msgs(), from an open file with MPMCQ_MODE_META
 * @len: likewise
 * @offset: likewise
 * @metas: likewise, for long headers
 * @iov: likewise
 * @count: likewise
 *
 * Return: as of mpmcq_unpack_msgs().
 */
int mpmcq_unpack_metas(const void *buf, size_t len, size_t *offset, struct mpmcq_meta *metas,
		       struct iovec *iov, unsigned int count);

/* --- leases --- */

/**
 * mpmcq_settle_ids() - say what becomes of messages that an open file holds
 * @fd: a queue, open for reading; for MPMCQ_SETTLE_REVIVE also for writing
 * @op: MPMCQ_SETTLE_ACK and the like
 * @flags: MPMCQ_SETTLE_FRONT and the like, but MPMCQ_SETTLE_ALL
 * @delay_ms: with MPMCQ_SETTLE_DELAY, in milliseconds; else 0
 * @ids: of the deliveries, from their headers
 * @count: how many, 1 to MPMCQ_MAX_HELD_MAX
 *
 * Return: how many of them were held, and are settled: less than @count if leases had ended.
 * After an error none is settled:
 * -ENOMEM: there is no memory for a copy of @ids.
 * -EOPNOTSUPP: MPMCQ_SETTLE_DELAY, and the queue was made without MPMCQ_DELAY.
 */
int mpmcq_settle_ids(int fd, unsigned int op, unsigned int flags, unsigned int delay_ms,
		     const __u64 *ids, unsigned int count);

/**
 * mpmcq_settle_all() - say what becomes of all messages that an open file holds
 * @fd: as of mpmcq_settle_ids()
 * @op: likewise
 * @flags: likewise
 * @delay_ms: likewise
 *
 * Return: how many it held; or the errors of mpmcq_settle_ids().
 */
int mpmcq_settle_all(int fd, unsigned int op, unsigned int flags, unsigned int delay_ms);

/**
 * mpmcq_forward_message() - send a message that is held to another queue, and end its lease
 * @fd: the queue that it is held of, open for reading
 * @forward: @fd is the other queue, open for writing, and @id names the delivery
 *
 * Both are done, or neither.  Waits for room as a write to the other queue does.
 *
 * Return: 0, or
 * -EAGAIN: the other queue is full, and the call may not wait, or no longer.
 * -EINTR: a signal came while it waited.
 * -EINVAL: also if @fd of @forward is of no queue.
 * -EMSGSIZE: the message is too long for the other queue.
 * -ENOENT: the message is not held, or no longer.
 * -ENOMEM: there is no memory for a copy of what is sent in its place.
 * -EOPNOTSUPP: @delay_ms is not 0, and the other queue was made without MPMCQ_DELAY.
 * -EPIPE: the other queue is closed.
 */
int mpmcq_forward_message(int fd, struct mpmcq_forward *forward);

/**
 * typedef mpmcq_handler - works on a message
 * @fd: the open file that holds the message, to settle or to forward it, or to renew its lease:
 *	mpmcq_settle_all(fd, MPMCQ_SETTLE_TOUCH, 0, 0)
 * @msg: the header of the message
 * @data: the message
 * @arg: as passed to mpmcq_run_worker()
 *
 * Return: MPMCQ_SETTLE_ACK, MPMCQ_SETTLE_NACK or MPMCQ_SETTLE_REJECT, which is then done; 0 if the
 * handler has settled the message itself; a negative number to stop: the message is given back, as
 * if it had not been delivered.
 */
typedef int (*mpmcq_handler)(int fd, const struct mpmcq_msg *msg, const void *data, void *arg);

/**
 * mpmcq_run_worker() - take messages under lease, have them worked on, and settle them
 * @fd: a queue, open for reading; its own modes do not matter and stay
 * @max_held: how many messages to take at a time at most, 1 to MPMCQ_MAX_HELD_MAX
 * @stop_fd: the call stops when this descriptor becomes readable; negative if there is none
 * @flags: 0
 * @handler: called for one message after the other, in the calling thread
 * @arg: for it
 *
 * The call makes an open file of its own, so threads can run a worker each by one descriptor.
 * Before each message it renews the leases of all that it holds, and passes over a message whose
 * lease has ended.  When it ends it gives back what has not been begun.
 *
 * Return: 0 at the end of a closed queue, or if @stop_fd is readable; what @handler returned if
 * that is negative; or
 * -EACCES: a security module forbids the open file.
 * -EBADF: also if @stop_fd is not open.
 * -EDQUOT, -ENOSPC: a limit of the account or the module.
 * -EINTR: a signal came while the call waited.
 * -EINVAL: also if @handler returned another number, or @max_held is 0 or too large.
 * -EMFILE, -ENFILE, -ENOMEM: there is no descriptor, or no memory, for the open file.
 */
int mpmcq_run_worker(int fd, unsigned int max_held, int stop_fd, unsigned int flags,
		     mpmcq_handler handler, void *arg);

/* --- looking, dead messages --- */

/**
 * mpmcq_peek_message() - copy a message that stays where it is
 * @fd: a queue, open for reading
 * @peek: which message, and a buffer for it; what is found
 *
 * Return: 0, or
 * -EAGAIN: others took the message while it was copied.
 * -EMSGSIZE: the buffer is too short; all fields are filled in.
 * -ENOENT: there is no such message there.
 * -ENOMEM: there is no memory for a copy of it.
 * -ESTALE: with MPMCQ_PEEK_NEXT, the message that @seq names is not parked any more.
 */
int mpmcq_peek_message(int fd, struct mpmcq_peek *peek);

/**
 * mpmcq_revive_dead() - send dead messages again
 * @fd: a queue, open for reading and writing
 * @count: at most so many, the oldest first; 0 for all
 *
 * Return: how many there were.
 */
int mpmcq_revive_dead(int fd, unsigned int count);

/**
 * mpmcq_purge_dead() - free dead messages
 * @fd: a queue, open for reading
 * @count: at most so many, the oldest first; 0 for all
 *
 * Return: how many there were.
 */
int mpmcq_purge_dead(int fd, unsigned int count);

/* --- the content of a queue as a file --- */

/**
 * mpmcq_save_queue() - write all messages of a queue to a file
 * @fd: a queue, open for reading and writing
 * @path: of the file; one that is there is replaced, at once, when the new one is on the disk
 * @timeout_ms: how long to wait for messages that readers hold, or that a call of a reader or a
 *	writer copies at that moment, in milliseconds; negative: for ever
 * @flags: 0
 *
 * Closes the queue, and leaves it closed, with all messages in it, for the caller to remove.  After
 * an error the queue is open again if it was open before, also if another program has closed it
 * meanwhile.  The file is then as it was; but if only its directory could not be synced, the file
 * is the new one.
 *
 * Return: how many messages were saved, or
 * -EAGAIN: readers held messages, or a call copied one, until the time was over.
 * -EBUSY: readers or writers changed the queue meanwhile, or a delay ended.
 * -EDEADLK: @fd itself holds messages.
 * -EEXIST: something else than a regular file or a directory is at @path.
 * -EINTR: a signal came while the call waited.
 * -EPERM: as of mpmcq_close_queue().
 * -ENOMEM: there is no memory for a message.
 * Any errno of open(2), write(2), fsync(2) and rename(2) of the file.
 */
int mpmcq_save_queue(int fd, const char *path, int timeout_ms, unsigned int flags);

/**
 * mpmcq_restore_queue() - make a queue with all messages that were saved
 * @path: of the file, which stays
 * @name: of the queue, as of mpmcq_open(); there must not be one
 * @flags: 0
 *
 * The queue has the configuration and the mode of the one that was saved, its owner and group as
 * far as the caller may set them, and a new uuid.  It is open, for readers and for writers.  Each
 * message has its bytes, order, priority, deliveries and reason, and waits for the delay that it
 * had left when it was saved.  It has a new name (@seq), age and sender, and is no suspect.
 *
 * Until the call ends only the caller's user id may open the queue.  Nobody may use it until then.
 * If the call fails it removes the queue.  Each delivery of a message takes two system calls, and
 * messages that were delivered before are held until the end: if the queue's lease_ms is so short
 * that leases end meanwhile, the call fails.  Restore only files that you trust: a few bytes can
 * ask for millions of deliveries.
 *
 * Return: a descriptor of the queue, open for reading and writing and close-on-exec, so that a
 * queue with MPMCQ_AUTO_CLOSE stays open; or
 * -EBADMSG: the file is not whole, or was not written by mpmcq_save_queue().
 * -EBUSY: another program used the queue, or leases ended before the queue was complete.
 * -ENOSYS: also if a newer library wrote the file.
 * The errors of mpmcq_create_queue() and mpmcq_attach_queue(), and any errno of open(2) and read(2)
 * of the file.
 */
int mpmcq_restore_queue(const char *path, const char *name, unsigned int flags);

#ifdef __cplusplus
}
#endif

#endif /* LIBMPMCQ_H */
