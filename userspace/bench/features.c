// SPDX-License-Identifier: GPL-2.0-only
/*
 * What queues of ours can do beyond sending and receiving; what goes through two queues is for one
 * process that counts what it costs
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "queue.h"
#include "transport.h"

/* All that is sent with a delay has room before the first is due. */
#define PARKED_MAX	16384

static int stamp_open(struct channel *c, size_t size)
{
	return ours_open_like(c, &(struct mpmcq_create){ .flags = MPMCQ_STAMP }, size);
}

/* Messages are of the lowest level, which is looked at last. */
static int levels_open(struct channel *c, size_t size)
{
	return ours_open_like(c, &(struct mpmcq_create){ .levels = MPMCQ_LEVELS_MAX }, size);
}

static int delay_open(struct channel *c, size_t size)
{
	const struct mpmcq_create like = { .capacity = PARKED_MAX, .flags = MPMCQ_DELAY };

	if (ours_open_like(c, &like, size) < 0)
		return -1;
	c->in = queue_attach(c->out, O_WRONLY, MPMCQ_MODE_PACKED, 0);
	if (c->in >= 0)
		return 0;
	c->in = c->out;
	return ours_give_up(c);
}

static void delay_close(struct channel *c)
{
	close(c->in);
	close(c->out);
}

static ssize_t delay_send(struct channel *c, const void *message, size_t size)
{
	struct mpmcq_msg header = { .len = size, .delay_ms = 1 };
	static const char zeros[8];
	const struct iovec parts[] = {
		{ &header, sizeof(header) },
		{ (void *)message, size },
		{ (void *)zeros, MPMCQ_MSG_SPACE(size) - sizeof(header) - size },
	};

	c->calls++;
	return writev(c->in, parts, 3) < 0 ? -1 : (ssize_t)size;
}

/* --- from one queue to another --- */

/* Of a channel whose messages go through two queues: who holds those of the first. */
static int holder = -1;

static int relay_open(struct channel *c, size_t size)
{
	const struct mpmcq_create second = {
		.capacity = ROOM, .msg_size = size, .open_flags = O_RDWR,
	};

	if (ours_open_like(c, &(struct mpmcq_create){ }, size) < 0)
		return -1;
	holder = queue_attach(c->in, O_RDONLY, MPMCQ_MODE_PACKED | MPMCQ_MODE_LEASE, 1);
	if (holder < 0)
		return ours_give_up(c);
	c->out = queue_create(&second);
	if (c->out >= 0)
		return 0;
	close(holder);
	c->out = c->in;
	return ours_give_up(c);
}

static void relay_close(struct channel *c)
{
	close(holder);
	close(c->in);
	close(c->out);
}

/* A message of the first queue with its header; NULL if there is none. */
static struct mpmcq_msg *hold(struct channel *c)
{
	static union {
		struct mpmcq_msg msg;
		char bytes[MPMCQ_MSG_SPACE(MESSAGE_MAX)];
	} buffer;
	ssize_t n = read(holder, &buffer, MPMCQ_MSG_SPACE(c->size));

	return n > 0 ? &buffer.msg : NULL;
}

/* By hand: written to the other queue, and then acknowledged. */
static ssize_t relay_receive(struct channel *c, void *message, size_t size)
{
	struct mpmcq_msg *msg = hold(c);
	struct mpmcq_settle settle = {
		.size = sizeof(settle), .op = MPMCQ_SETTLE_ACK, .count = 1,
	};

	if (!msg || write(c->out, msg + 1, msg->len) < 0)
		return -1;
	settle.ids = (unsigned long)&msg->id;
	if (ioctl(holder, MPMCQ_IOC_SETTLE, &settle) < 0)
		return -1;
	return read(c->out, message, size);
}

static ssize_t forward_receive(struct channel *c, void *message, size_t size)
{
	struct mpmcq_msg *msg = hold(c);
	struct mpmcq_forward forward = { .size = sizeof(forward), .fd = c->out };

	if (!msg)
		return -1;
	forward.id = msg->id;
	if (ioctl(holder, MPMCQ_IOC_FORWARD, &forward) < 0)
		return -1;
	return read(c->out, message, size);
}

const struct transport stamp_transport = {
	.name = "stamp",
	.text = "a private queue that knows when and by whom each message was sent",
	.kind = KIND_OURS,
	.open = stamp_open,
	.send = fd_send,
	.finish = ours_finish,
	.receive = fd_receive,
	.close = fd_close,
};

const struct transport levels_transport = {
	.name = "levels",
	.text = "a private queue with 4 levels of priority, messages of the lowest",
	.kind = KIND_OURS,
	.open = levels_open,
	.send = fd_send,
	.finish = ours_finish,
	.receive = fd_receive,
	.close = fd_close,
};

const struct transport delay_transport = {
	.name = "delay",
	.text = "a private queue, each message sent with a delay of 1 ms",
	.kind = KIND_OURS,
	.open = delay_open,
	.send = delay_send,
	.finish = ours_finish,
	.receive = fd_receive,
	.close = delay_close,
};

const struct transport relay_transport = {
	.name = "relay",
	.text = "two private queues, each message held, written to the second and acknowledged",
	.kind = KIND_OURS,
	.open = relay_open,
	.send = fd_send,
	.receive = relay_receive,
	.close = relay_close,
};

const struct transport forward_transport = {
	.name = "forward",
	.text = "two private queues, each message held and forwarded to the second",
	.kind = KIND_OURS,
	.open = relay_open,
	.send = fd_send,
	.receive = forward_receive,
	.close = relay_close,
};
