// SPDX-License-Identifier: GPL-2.0-only
/*
 * One run: producers and consumers, let go at once, measured and verified
 *
 * For every transport alike: the parent opens it, forks producers and consumers that share
 * it, lets them all go at once, and when the producers are done sends each consumer a
 * message to stop, or closes the queue.  Time runs until the last consumer has stopped.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "measure.h"
#include "packed.h"
#include "process.h"
#include "run.h"

/* What one process tells the parent, in shared memory. */
struct worker {
	double end;
	double cpu;
	unsigned long switches;
	unsigned long calls;
};

struct run {
	const struct load *load;
	const struct transport *transport;
	struct channel channel;
	struct worker *workers;		/* producers first; shared memory */
	struct stamps *stamps;
	struct ledger *ledgers[MAX_WORKERS];
	int ready[2];			/* each worker writes a byte ... */
	int go[2];			/* ... and waits for the end of this */
};

/* Of this process; one byte more, as a message too long would show. */
static alignas(HEADROOM) char buffer[HEADROOM + MESSAGE_MAX + 1];
static char *const message = buffer + HEADROOM;

/*
 * Calls by a pointer, and the returns from them, can cost an emulated machine more than all
 * else that is done for a message here.  So the transports are called by name.
 */
static inline void *call_place(struct run *r)
{
	void *(*place)(struct channel *c) = r->transport->place;

	return place == packed_place ? packed_place(&r->channel) : place(&r->channel);
}

static inline ssize_t call_send(struct run *r, const void *at)
{
	ssize_t (*send)(struct channel *c, const void *at, size_t size) = r->transport->send;

	if (send == packed_send)
		return packed_send(&r->channel, at, r->load->size);
	if (send == fd_send)
		return fd_send(&r->channel, at, r->load->size);
	if (send == mqueue_send)
		return mqueue_send(&r->channel, at, r->load->size);
	if (send == sysv_send)
		return sysv_send(&r->channel, at, r->load->size);
	if (send == ring_send)
		return ring_send(&r->channel, at, r->load->size);
	return send(&r->channel, at, r->load->size);
}

static inline ssize_t call_take(struct run *r, const void **at)
{
	ssize_t (*take)(struct channel *c, const void **at) = r->transport->take;

	return take == packed_take ? packed_take(&r->channel, at) : take(&r->channel, at);
}

/* A byte more than there should be, see above. */
static inline ssize_t call_receive(struct run *r)
{
	ssize_t (*receive)(struct channel *c, void *at, size_t size) = r->transport->receive;

	if (receive == fd_receive)
		return fd_receive(&r->channel, message, r->load->size + 1);
	if (receive == mqueue_receive)
		return mqueue_receive(&r->channel, message, r->load->size + 1);
	if (receive == sysv_receive)
		return sysv_receive(&r->channel, message, r->load->size + 1);
	if (receive == ring_receive)
		return ring_receive(&r->channel, message, r->load->size + 1);
	return receive(&r->channel, message, r->load->size + 1);
}

/* Where it is best made: a user who fills a pack does not copy into it. */
static void *place(struct run *r)
{
	return r->transport->place ? call_place(r) : message;
}

static void send_or_die(struct run *r, const void *at)
{
	if (call_send(r, at) < 0)
		err(EXIT_FAILURE, "%s: send", r->transport->name);
}

static void flush_or_die(struct run *r)
{
	if (r->transport->flush && r->transport->flush(&r->channel) < 0)
		err(EXIT_FAILURE, "%s: send", r->transport->name);
}

/* This and consume() with what they call in line, as calls cost, too. */
static __attribute__((flatten)) void produce_fast(struct run *r, unsigned int self)
{
	for (unsigned int number = 0; number < r->load->messages; number++) {
		void *at = place(r);

		message_fill(at, r->load->size, self, number);
		stamp_sent(r->stamps, self, number);
		send_or_die(r, at);
	}
	flush_or_die(r);
}

static void sleep_until(unsigned long long ns)
{
	struct timespec t = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

/*
 * A message that is late because the one before took so long counts from when it was due:
 * else a stall would count once, and not for all whom it holds up.  A late timer is not the
 * transport's fault.  Messages are not kept back until there is a pack of them.
 */
static void produce_steadily(struct run *r, unsigned int self)
{
	unsigned long long step = 1000000000ULL / r->load->rate;
	unsigned long long due = now_ns() + (self + 1) * step;

	for (unsigned int number = 0; number < r->load->messages; number++) {
		void *at = place(r);

		message_fill(at, r->load->size, self, number);
		if (now_ns() < due) {
			sleep_until(due);
			stamp_sent(r->stamps, self, number);
		} else {
			stamp_sent_at(r->stamps, self, number, due);
		}
		send_or_die(r, at);
		flush_or_die(r);
		due += step * r->load->producers;
	}
}

static ssize_t receive_or_die(struct run *r, const void **at)
{
	ssize_t length;

	*at = message;
	length = r->transport->take ? call_take(r, at) : call_receive(r);
	if (length < 0)
		err(EXIT_FAILURE, "%s: receive", r->transport->name);
	return length;
}

static __attribute__((flatten)) void consume(struct run *r, unsigned int self)
{
	unsigned int producer, number;
	const void *at;
	ssize_t length;

	do {
		length = receive_or_die(r, &at);
		if (!length && r->transport->finish)
			break;
		message_read(at, &producer, &number);
		stamp_received(r->stamps, producer, number);
	} while (ledger_enter(r->ledgers[self], at, length));
}

/* The producers are done. */
static void stop_consumers(struct run *r)
{
	if (r->transport->finish) {
		if (r->transport->finish(&r->channel) < 0)
			err(EXIT_FAILURE, "%s: close", r->transport->name);
		return;
	}
	message_fill(message, r->load->size, STOP, 0);
	for (unsigned int i = 0; i < r->load->consumers; i++)
		send_or_die(r, message);
}

static double seconds(const struct timeval *t)
{
	return t->tv_sec + t->tv_usec / 1e6;
}

static struct worker so_far(const struct run *r)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct worker){
		.end = now(),
		.cpu = seconds(&usage.ru_utime) + seconds(&usage.ru_stime),
		.switches = usage.ru_nvcsw + usage.ru_nivcsw,
		.calls = r->channel.calls,
	};
}

/* All that is not to be charged to the run. */
static void prepare(struct run *r, unsigned int i)
{
	unsigned int producers = r->load->producers;
	char byte = 0;

	close(r->go[1]);
	/* Pages that are there from the start: see mpmcq(4) on order and missing pages. */
	memset(buffer, 0, HEADROOM + r->load->size + 1);
	stamps_map(r->stamps);
	if (i >= producers)
		ledger_map(r->ledgers[i - producers]);
	if (r->transport->begin && r->transport->begin(&r->channel, i < producers) < 0)
		err(EXIT_FAILURE, "%s", r->transport->name);
	if (write(r->ready[1], &byte, 1) != 1 || close(r->ready[1]) < 0 ||
	    read(r->go[0], &byte, 1) != 0)
		err(EXIT_FAILURE, "start");
}

static noreturn void work(struct run *r, unsigned int i)
{
	struct worker before, after;

	prepare(r, i);
	before = so_far(r);
	if (i >= r->load->producers)
		consume(r, i - r->load->producers);
	else if (r->load->rate)
		produce_steadily(r, i);
	else
		produce_fast(r, i);
	after = so_far(r);
	r->workers[i] = (struct worker){
		.end = after.end,
		.cpu = after.cpu - before.cpu,
		.switches = after.switches - before.switches,
		.calls = after.calls - before.calls,
	};
	_exit(EXIT_SUCCESS);
}

static void start_workers(struct run *r, unsigned int n)
{
	char byte;

	if (pipe(r->ready) < 0 || pipe(r->go) < 0)
		err(EXIT_FAILURE, "pipe");
	for (unsigned int i = 0; i < n; i++)
		if (!fork_child())
			work(r, i);
	close(r->ready[1]);
	close(r->go[0]);
	for (unsigned int i = 0; i < n; i++)
		if (read(r->ready[0], &byte, 1) != 1)
			errx(EXIT_FAILURE, "%s: a process ended before the start",
			     r->transport->name);
	close(r->ready[0]);
}

/* Waits until only @left workers run. */
static void wait_workers(struct run *r, unsigned int *running, unsigned int left)
{
	for (; *running > left; --*running)
		wait_for_child(r->transport->name);
}

static void open_run(struct run *r, const struct load *load)
{
	r->load = load;
	r->transport = load->transport;
	r->workers = shared_memory((load->producers + load->consumers) *
				   sizeof(struct worker));
	if (r->transport->open(&r->channel, load->size) < 0)
		err(EXIT_FAILURE, "%s", r->transport->name);
	r->stamps = stamps_new(load->producers, load->messages, load->rate);
	for (unsigned int i = 0; i < load->consumers; i++)
		r->ledgers[i] = ledger_new(load->size, load->producers, load->messages);
}

static void close_run(struct run *r)
{
	const struct load *load = r->load;

	for (unsigned int i = 0; i < load->consumers; i++)
		ledger_free(r->ledgers[i]);
	stamps_free(r->stamps);
	r->transport->close(&r->channel);
	munmap(r->workers, (load->producers + load->consumers) * sizeof(struct worker));
}

static struct result add_up(const struct run *r, double begin)
{
	struct result result = { .capacity = r->channel.capacity };
	unsigned int n = r->load->producers + r->load->consumers;
	double end = begin;

	for (unsigned int i = 0; i < n; i++) {
		const struct worker *w = &r->workers[i];

		end = w->end > end ? w->end : end;
		result.cpu += w->cpu;
		result.switches += w->switches;
		result.calls += w->calls;
	}
	result.seconds = end - begin;
	result.verdict = ledger_sum(r->ledgers, r->load->consumers);
	return result;
}

struct result run_once(const struct load *load, struct samples *latency)
{
	unsigned int running = load->producers + load->consumers;
	struct run r = { };
	struct result result;
	double begin;

	open_run(&r, load);
	limit_time(load->limit);
	start_workers(&r, running);
	begin = now();
	close(r.go[1]);
	wait_workers(&r, &running, load->consumers);
	stop_consumers(&r);
	wait_workers(&r, &running, 0);
	limit_time(0);
	result = add_up(&r, begin);
	samples_collect(latency, r.stamps);
	close_run(&r);
	return result;
}
