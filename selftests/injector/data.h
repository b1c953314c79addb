/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the operations that are made to fail work on, and what they may leave behind.
 */
#ifndef MPMCQ_INJECT_DATA_H
#define MPMCQ_INJECT_DATA_H

#include <dirent.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/resource.h>
#include <sys/statfs.h>

#include "inject.h"	/* with the default queue, which has to be there and empty */
#include "queuefs_test.h"

#define SEGMENTS	12	/* more than the kernel has room for without allocating */
#define FILES		80	/* more than poll has room for without allocating */
#define BATCH		5	/* messages in a packed buffer */
#define HELD		6	/* messages that the reader of these may hold */
#define MANY		100	/* ids that are more than one copy */
#define CAPACITY	128	/* of queues of our own */
#define LONGEST		1100	/* message there */
#define NAME		"inject"
#define PATH_SIZE	64
#define OTHER_USER	54321	/* a user that has no queues */

/* What there is of the module's, by which it shows whether something was left. */
struct traces {
	long users;		/* of the module; -1 if it is built in */
	int tables;		/* of memory */
	int names;		/* in the directory, if there is one */
	int mounts;
	int descriptor;		/* the next one */
};

/* What the operations work on. */
struct data {
	int fd;
	int nb;				/* does not wait */
	int capacity;
	int len;			/* of what is read or written */
	unsigned char buf[MSG_SIZE_MAX];
	struct iovec iov[SEGMENTS];
	struct pollfd pfd[FILES];
	int epoll;
	int file;			/* that is read */
	struct traces traces;
	struct mpmcq_info *info;

	/* With a queue of our own */
	int packer;			/* writes, packed */
	int taker;			/* packed, holds; neither waits */
	int reader;			/* that which is tried */
	unsigned int cmd;
	struct mpmcq_settle settle;
	struct mpmcq_dead dead;
	struct mpmcq_forward forward;
	struct mpmcq_peek peek;
	int target;			/* of forwards */
	struct mpmcq_msg msg[MANY];
	__u64 id[MANY];

	/* Making them, in a mount of our own */
	char base[PATH_SIZE / 2];
	char mount[PATH_SIZE];
	char place[PATH_SIZE];		/* for one more mount */
	int dir;			/* of the mount; 0 if there is none */
	bool named;			/* the queue that is tried has a name */
	uid_t uid;
	int (*one)(struct data *d);	/* makes one; its descriptor, or 0 if it has a name only */
	struct mpmcq_create create;
	struct mpmcq_attach attach;
	struct mpmcq_mode mode;
};

static inline int count_entries(const char *path, const char *start)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int n = 0;

	while (dir && (entry = readdir(dir)))
		n += !strncmp(entry->d_name, start, strlen(start));
	if (dir)
		closedir(dir);
	return dir ? n : -1;
}

static inline int count_lines(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char line[256];
	int n = 0;

	while (file && fgets(line, sizeof(line), file))
		n += !!strstr(line, word);
	if (file)
		fclose(file);
	return file ? n : -1;
}

static inline struct traces look_for_traces(const struct data *d)
{
	struct traces traces = {
		.users = read_number("/sys/module/mpmcq/refcnt"),
		.tables = count_lines("/proc/vmallocinfo", "[mpmcq]"),
		.names = d->dir ? count_entries(d->mount, "") : 0,
		.mounts = count_lines("/proc/self/mounts", " mpmcqfs "),
		.descriptor = dup(STDOUT_FILENO),
	};

	close(traces.descriptor);
	return traces;
}

/* That and all later ones */
static inline void close_from(int fd)
{
	syscall(SYS_close_range, fd, ~0U, 0);
}

/* Since @traces was looked for. */
static inline bool nothing_left(const struct data *d)
{
	struct traces now = look_for_traces(d);
	bool same = !memcmp(&now, &d->traces, sizeof(now));

	if (!same)
		printf("# left: users %ld, tables %d, names %d, mounts %d, descriptors %d\n",
		       now.users - d->traces.users, now.tables - d->traces.tables,
		       now.names - d->traces.names, now.mounts - d->traces.mounts,
		       now.descriptor - d->traces.descriptor);
	return same;
}

/* Cuts what is read or written in pieces of all sizes. */
static inline void cut_buffer(struct data *d)
{
	int i, done = 0;

	for (i = 0; i < SEGMENTS; i++) {
		d->iov[i].iov_base = d->buf + done;
		d->iov[i].iov_len = i < SEGMENTS - 1 ? d->len / SEGMENTS + i % 2 : d->len - done;
		if ((int)d->iov[i].iov_len > d->len - done)
			d->iov[i].iov_len = d->len - done;
		done += d->iov[i].iov_len;
	}
}

/* What the kernel tells in text */
static inline void prepare_fdinfo(struct data *d)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", d->fd);
	d->file = open(path, O_RDONLY);
}

static inline int run_text(struct data *d)
{
	return result(read(d->file, d->buf, 1024));
}

static inline bool verify_text(struct data *d, int ret)
{
	char wanted[16];

	close(d->file);
	d->buf[ret < 0 ? 0 : ret] = '\0';
	snprintf(wanted, sizeof(wanted), "%d\n", d->capacity);
	return ret < 0 || strstr((char *)d->buf, wanted);
}

static inline bool takes_messages(int fd)
{
	return put_msg(fd, LEN, 3) == LEN && take_msg(fd, LEN, 3) == LEN;
}

/* The reader can hold as many messages as ever. */
static inline bool can_hold_all(struct data *d)
{
	int i;

	for (i = 0; i <= HELD; i++)
		if (put_msg(d->nb, LEN, i) != LEN)
			return false;
	return take_packed(d->reader, HELD + 1, LEN, 0, NULL) == HELD &&
	       take_packed(d->reader, 1, LEN, HELD, NULL) == -ENOBUFS &&
	       ack_all(d->reader) == HELD && take_msg(d->nb, LEN, HELD) == LEN;
}

static inline bool verify_nothing(struct data *d, int ret)
{
	return true;
}

#endif /* MPMCQ_INJECT_DATA_H */
