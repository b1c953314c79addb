// SPDX-License-Identifier: GPL-2.0-only
/*
 * A message queue of System V
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>

#include "others.h"

#define SYSV_SIZE_MAX	8192	/* the default of /proc/sys/kernel/msgmax */

/* These calls want a type before the text. */
struct sysv_message {
	long type;
	char text[SYSV_SIZE_MAX];
};

/* Of the process that made it: such a queue outlives its users. */
static int left = -1;

static void remove_left(void)
{
	if (left >= 0)
		msgctl(left, IPC_RMID, NULL);
	left = -1;
}

static int sysv_open(struct channel *c, size_t size)
{
	static int registered;
	struct msqid_ds info;

	if (size > SYSV_SIZE_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	if (!registered && atexit(remove_left))
		return -1;
	registered = 1;
	left = msgget(IPC_PRIVATE, 0600);
	if (left < 0)
		return -1;
	c->in = left;
	c->out = left;
	if (msgctl(left, IPC_STAT, &info) < 0)
		return -1;
	c->capacity = info.msg_qbytes / size;
	return 0;
}

static ssize_t sysv_send(struct channel *c, const void *message, size_t size)
{
	struct sysv_message m;

	m.type = 1;
	memcpy(m.text, message, size);
	return msgsnd(c->in, &m, size, 0);
}

static ssize_t sysv_receive(struct channel *c, void *message, size_t size)
{
	struct sysv_message m;
	ssize_t n = msgrcv(c->out, &m, size < sizeof(m.text) ? size : sizeof(m.text), 0, 0);

	if (n > 0)
		memcpy(message, m.text, n);
	return n;
}

static void sysv_close(struct channel *c)
{
	(void)c;
	remove_left();
}

const struct transport sysv_transport = {
	.name = "sysv",
	.text = "System V message queue of default size",
	.open = sysv_open,
	.send = sysv_send,
	.receive = sysv_receive,
	.close = sysv_close,
};
