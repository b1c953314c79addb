// SPDX-License-Identifier: GPL-2.0-only
/*
 * The round trip: two processes, one message that goes there and back
 *
 * Through two queues of the transport, one for each way.
 */
#define _GNU_SOURCE
#include <err.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "measure.h"
#include "pingpong.h"
#include "process.h"

#define MAX_TRIPS	200000
#define WARM_UP		20	/* trips that are not counted */

struct match {
	const struct transport *transport;
	unsigned int size;
	double seconds;
	struct channel there;
	struct channel back;
	struct tally *tally;
};

/* In shared memory. */
struct tally {
	unsigned int trips;
	unsigned long wrong;
	unsigned int ns[MAX_TRIPS];
};

static alignas(HEADROOM) char buffer[HEADROOM + MESSAGE_MAX + 1];
static char *const message = buffer + HEADROOM;
static char expected[MESSAGE_MAX];

static void send_one(const struct match *m, struct channel *c)
{
	const struct transport *t = m->transport;

	if (t->send(c, message, m->size) < 0 || (t->flush && t->flush(c) < 0))
		err(EXIT_FAILURE, "%s: send", t->name);
}

static ssize_t receive_one(const struct match *m, struct channel *c)
{
	ssize_t length = m->transport->receive(c, message, m->size + 1);

	if (length < 0)
		err(EXIT_FAILURE, "%s: receive", m->transport->name);
	return length;
}

static void begin(struct match *m, struct channel *sends, struct channel *receives)
{
	int (*begin)(struct channel *c, bool producer) = m->transport->begin;

	memset(buffer, 0, HEADROOM + m->size + 1);
	if (begin && (begin(sends, true) < 0 || begin(receives, false) < 0))
		err(EXIT_FAILURE, "%s", m->transport->name);
}

static void trip(struct match *m, unsigned int number)
{
	unsigned long long sent = now_ns(), took;
	struct tally *t = m->tally;
	ssize_t length;

	send_one(m, &m->there);
	length = receive_one(m, &m->back);
	took = now_ns() - sent;
	if (length != m->size || memcmp(message, expected, m->size))
		t->wrong++;
	if (number >= WARM_UP)
		t->ns[t->trips++] = took < UINT_MAX ? took : UINT_MAX;
}

static noreturn void ping(struct match *m)
{
	double end;

	begin(m, &m->there, &m->back);
	end = now() + m->seconds;
	for (unsigned int number = 0; m->tally->trips < MAX_TRIPS && now() < end; number++) {
		message_fill(message, m->size, 0, number);
		memcpy(expected, message, m->size);
		trip(m, number);
	}
	message_fill(message, m->size, STOP, 0);
	send_one(m, &m->there);
	_exit(EXIT_SUCCESS);
}

/* What came goes back as it is. */
static noreturn void pong(struct match *m)
{
	unsigned int producer, number;

	begin(m, &m->back, &m->there);
	for (;;) {
		if (receive_one(m, &m->there) != m->size)
			errx(EXIT_FAILURE, "%s: a message of another length",
			     m->transport->name);
		message_read(message, &producer, &number);
		if (producer == STOP)
			_exit(EXIT_SUCCESS);
		send_one(m, &m->back);
	}
}

static void open_match(struct match *m)
{
	m->tally = shared_memory(sizeof(*m->tally));
	if (m->transport->open(&m->there, m->size) < 0 ||
	    m->transport->open(&m->back, m->size) < 0)
		err(EXIT_FAILURE, "%s", m->transport->name);
}

static void close_match(struct match *m)
{
	m->transport->close(&m->there);
	m->transport->close(&m->back);
	munmap(m->tally, sizeof(*m->tally));
}

void pingpong_run(struct pingpong *p, double seconds, unsigned int limit)
{
	struct match m = { .transport = p->transport, .size = p->size, .seconds = seconds };

	open_match(&m);
	limit_time(limit);
	if (!fork_child())
		pong(&m);
	if (!fork_child())
		ping(&m);
	for (int i = 0; i < 2; i++)
		wait_for_child(m.transport->name);
	limit_time(0);
	for (unsigned int i = 0; i < m.tally->trips; i++)
		samples_add(&p->samples, m.tally->ns[i]);
	p->wrong += m.tally->wrong;
	close_match(&m);
}
