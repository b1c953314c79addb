// SPDX-License-Identifier: GPL-2.0-only
/*
 * One process sends messages to itself in turns, so that nobody ever waits
 *
 * Between the two looks at the clock there are only the calls and a loop around them,
 * the same for all that take one message a call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#include "measure.h"
#include "pass.h"
#include "process.h"
#include "queue.h"

#define NOTHING	0xff	/* in memory that a message is to come to */

static char *message_at(const struct passing *p, char *memory, unsigned int i)
{
	return memory + i * p->stride + p->header;
}

static bool has_headers(const struct way *way)
{
	return way->batch || way->delay_ms;
}

static int open_channel(struct passing *p)
{
	const struct transport *t = p->way->transport;

	if (t->open(&p->channel, p->size) < 0)
		return -1;
	/* Of a batch, the calls are made here. */
	if (p->way->batch || !t->begin || t->begin(&p->channel, false) == 0)
		return 0;
	t->close(&p->channel);
	return -1;
}

/*
 * Opens what @rounds times @messages of @size bytes are to go through; returns -1 and
 * sets errno if that cannot be.
 */
int passing_begin(struct passing *p, const struct way *way, size_t size, unsigned int messages,
		  unsigned int rounds)
{
	*p = (struct passing) { .way = way, .size = size, .messages = messages };
	if (open_channel(p) < 0)
		return -1;
	p->header = has_headers(way) ? sizeof(struct mpmcq_msg) : HEADROOM;
	p->stride = MPMCQ_MSG_SPACE(size) - sizeof(struct mpmcq_msg) + p->header;
	p->out = shared_memory(messages * p->stride);
	p->in = shared_memory(messages * p->stride);
	p->lengths = shared_memory(messages * sizeof(*p->lengths));
	p->ledger = ledger_new(size, 1, messages * rounds);
	return 0;
}

static void prepare(struct passing *p)
{
	struct mpmcq_msg header = { .len = p->size, .delay_ms = p->way->delay_ms };

	memset(p->in, NOTHING, p->messages * p->stride);
	memset(p->lengths, 0, p->messages * sizeof(*p->lengths));
	for (unsigned int i = 0; i < p->messages; i++) {
		char *message = message_at(p, p->out, i);

		message_fill(message, p->size, 0, p->round * p->messages + i);
		if (has_headers(p->way))
			memcpy(message - p->header, &header, p->header);
	}
}

/* One message a call. */
static int pass_each(struct passing *p)
{
	const struct transport *t = p->way->transport;
	struct channel *c = &p->channel;

	for (unsigned int i = 0; i < p->messages; i++) {
		if (t->send(c, message_at(p, p->out, i), p->size) < 0)
			return -1;
		p->lengths[i] = t->receive(c, message_at(p, p->in, i), p->size);
		if (p->lengths[i] < 0)
			return -1;
	}
	return 0;
}

static int pass_batches(struct passing *p)
{
	size_t bytes = p->way->batch * p->stride;

	for (size_t at = 0; at < p->messages * p->stride; at += bytes) {
		ssize_t written = write(p->channel.in, p->out + at, bytes);
		ssize_t got = written < 0 ? -1 : read(p->channel.out, p->in + at, bytes);

		if (got < 0)
			return -1;
		if ((size_t)written != bytes || (size_t)got != bytes) {
			errno = EMSGSIZE;	/* a call more would be needed, and be counted */
			return -1;
		}
	}
	return 0;
}

/* Seconds of this process's own work. */
static double own_work(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Waits until all are due; what the kernel does for that meanwhile counts, the wait does not. */
static int wait_due(int fd, double *waited)
{
	double begin = own_work();
	struct mpmcq_info info;

	do {
		sched_yield();
		if (queue_info(fd, &info) < 0)
			return -1;
	} while (info.parked);
	*waited = own_work() - begin;
	return 0;
}

static int pass_delayed(struct passing *p, double *waited)
{
	unsigned int i;

	for (i = 0; i < p->messages; i++)
		if (write(p->channel.in, p->out + i * p->stride, p->stride) < 0)
			return -1;
	if (wait_due(p->channel.out, waited) < 0)
		return -1;
	for (i = 0; i < p->messages; i++) {
		p->lengths[i] = read(p->channel.out, message_at(p, p->in, i), p->size);
		if (p->lengths[i] < 0)
			return -1;
	}
	return 0;
}

static void read_headers(struct passing *p)
{
	for (unsigned int i = 0; i < p->messages; i++) {
		struct mpmcq_msg header;

		memcpy(&header, p->in + i * p->stride, sizeof(header));
		p->lengths[i] = header.len;
	}
}

static bool is_zeros(const char *bytes, size_t size)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, size - 1);
}

/* Of zeros nothing can be said but that they came. */
static void enter(struct passing *p, unsigned int i)
{
	char *message = message_at(p, p->in, i);

	if (p->way->zeros && is_zeros(message, p->size))
		message_fill(message, p->size, 0, p->round * p->messages + i);
	else if (p->way->zeros)
		memset(message, NOTHING, p->size);
	ledger_enter(p->ledger, message, p->lengths[i]);
}

/* Returns -1 and sets errno if a call fails; what came is entered in the ledger. */
int passing_round(struct passing *p, double *seconds)
{
	double begin, waited = 0;
	int ret;

	prepare(p);
	begin = now();
	if (p->way->delay_ms)
		ret = pass_delayed(p, &waited);
	else
		ret = p->way->batch ? pass_batches(p) : pass_each(p);
	*seconds = now() - begin - waited;
	if (ret < 0)
		return -1;
	if (p->way->batch)
		read_headers(p);
	for (unsigned int i = 0; i < p->messages; i++)
		enter(p, i);
	p->round++;
	return 0;
}

struct verdict passing_end(struct passing *p)
{
	struct verdict v = ledger_sum(&p->ledger, 1);

	ledger_free(p->ledger);
	munmap(p->out, p->messages * p->stride);
	munmap(p->in, p->messages * p->stride);
	munmap(p->lengths, p->messages * sizeof(*p->lengths));
	p->way->transport->close(&p->channel);
	return v;
}
