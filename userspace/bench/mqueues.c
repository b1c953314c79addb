// SPDX-License-Identifier: GPL-2.0-only
/*
 * The message queues of POSIX and of System V
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <unistd.h>

#include "cleanup.h"
#include "transport.h"

/* A queue without a name, as the others have none. */
static int mqueue_make(struct mq_attr *attr)
{
	sigset_t before = cleanup_hold();
	char name[32];
	int fd;

	snprintf(name, sizeof(name), "/mpmcq-bench-%d", getpid());
	fd = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, attr);
	if (fd >= 0)
		mq_unlink(name);
	cleanup_go_on(&before);
	return fd;
}

static int mqueue_open(struct channel *c, size_t size)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct mq_attr attr = { .mq_maxmsg = ROOM, .mq_msgsize = size };

	/* Only root may; others get what their limit has room for. */
	setrlimit(RLIMIT_MSGQUEUE, &all);
	while ((c->in = mqueue_make(&attr)) < 0) {
		if ((errno != EINVAL && errno != EMFILE) || attr.mq_maxmsg == 1)
			return -1;
		attr.mq_maxmsg -= attr.mq_maxmsg < 8 ? 1 : attr.mq_maxmsg / 8;
	}
	c->out = c->in;
	c->capacity = attr.mq_maxmsg;
	return 0;
}

ssize_t mqueue_send(struct channel *c, const void *message, size_t size)
{
	c->calls++;
	return mq_send(c->in, message, size, 0);
}

ssize_t mqueue_receive(struct channel *c, void *message, size_t size)
{
	c->calls++;
	return mq_receive(c->out, message, size, NULL);
}

static void mqueue_close(struct channel *c)
{
	mq_close(c->in);
}

/*
 * The limit is of bytes, and of messages as many as there are bytes.  Above
 * kernel.msgmnb only root gets it.
 */
static unsigned int sysv_make_room(int id, size_t size)
{
	struct msqid_ds ds;
	size_t room;

	if (msgctl(id, IPC_STAT, &ds) < 0)
		return 0;
	room = ds.msg_qbytes / size;
	ds.msg_qbytes = ROOM * size;
	if (msgctl(id, IPC_SET, &ds) == 0)
		return ROOM;
	return room;
}

/* Unlike the others it would outlive us. */
static int sysv_make(void)
{
	sigset_t before = cleanup_hold();
	int id = msgget(IPC_PRIVATE, 0600);

	if (id >= 0)
		cleanup_sysv(id);
	cleanup_go_on(&before);
	return id;
}

static int sysv_open(struct channel *c, size_t size)
{
	struct msginfo info;

	if (msgctl(0, IPC_INFO, (struct msqid_ds *)&info) < 0)
		return -1;
	if (size > (size_t)info.msgmax) {
		errno = EMSGSIZE;
		return -1;
	}
	c->in = sysv_make();
	if (c->in < 0)
		return -1;
	c->out = c->in;
	c->capacity = sysv_make_room(c->in, size);
	return 0;
}

ssize_t sysv_send(struct channel *c, const void *message, size_t size)
{
	long *type = (long *)message - 1;

	*type = 1;
	c->calls++;
	return msgsnd(c->in, type, size, 0);
}

ssize_t sysv_receive(struct channel *c, void *message, size_t size)
{
	c->calls++;
	return msgrcv(c->out, (long *)message - 1, size, 0, 0);
}

static void sysv_close(struct channel *c)
{
	msgctl(c->in, IPC_RMID, NULL);
	cleanup_sysv_done(c->in);
}

const struct transport mqueue_transport = {
	.name = "mqueue",
	.text = "POSIX message queue, mq_maxmsg as large as may be",
	.kind = KIND_PEER,
	.open = mqueue_open,
	.send = mqueue_send,
	.receive = mqueue_receive,
	.close = mqueue_close,
};

const struct transport sysv_transport = {
	.name = "sysv",
	.text = "System V message queue, msg_qbytes as large as may be",
	.kind = KIND_PEER,
	.open = sysv_open,
	.send = sysv_send,
	.receive = sysv_receive,
	.close = sysv_close,
};
