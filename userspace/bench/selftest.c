// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether the checks notice what they are for, and every transport works
 *
 * Faults are planted in messages, and in transports that are the ring in shared memory but
 * for what their senders do to one message each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "pingpong.h"
#include "process.h"
#include "run.h"
#include "selftest.h"
#include "shm_ring.h"
#include "tap.h"

#define MESSAGES	2000	/* of each producer */
#define FAULTY		100	/* the message that is lost, ... */
#define SIZE		61	/* the last word is not a whole one */

/* --- transports with a fault --- */

static unsigned int sent;	/* by this process */

static ssize_t send_losing(struct channel *c, const void *message, size_t size)
{
	return sent++ == FAULTY ? (ssize_t)size : ring_transport.send(c, message, size);
}

static ssize_t send_repeating(struct channel *c, const void *message, size_t size)
{
	if (sent++ == FAULTY)
		ring_transport.send(c, message, size);
	return ring_transport.send(c, message, size);
}

static ssize_t send_tearing(struct channel *c, const void *message, size_t size)
{
	char torn[SIZE];

	if (sent++ != FAULTY)
		return ring_transport.send(c, message, size);
	memcpy(torn, message, size);
	/* Not a flip, which the way back would undo. */
	torn[size - 1]++;
	return ring_transport.send(c, torn, size);
}

static ssize_t send_shortening(struct channel *c, const void *message, size_t size)
{
	return ring_transport.send(c, message, sent++ == FAULTY ? size - 1 : size);
}

/* The one after it first. */
static ssize_t send_swapping(struct channel *c, const void *message, size_t size)
{
	static char held[SIZE];

	if (sent == FAULTY)
		memcpy(held, message, size);
	else
		ring_transport.send(c, message, size);
	if (sent++ == FAULTY + 1)
		ring_transport.send(c, held, size);
	return size;
}

static ssize_t send_stalling(struct channel *c, const void *message, size_t size)
{
	if (sent++ == FAULTY)
		usleep(50000);
	return ring_transport.send(c, message, size);
}

static struct result run_shape(const struct transport *t, unsigned int producers,
			       unsigned int consumers, unsigned int size)
{
	struct samples samples = { };
	struct load load = { t, producers, consumers, size, MESSAGES, 0, 60 };
	struct result result = run_once(&load, &samples);

	samples_free(&samples);
	return result;
}

static void expect(const char *what, ssize_t (*send)(struct channel *, const void *, size_t),
		   struct verdict want)
{
	struct transport t = ring_transport;
	struct verdict got;
	bool ok;

	t.send = send;
	got = run_shape(&t, 2, 1, SIZE).verdict;
	want.received += 2 * MESSAGES;
	ok = !memcmp(&got, &want, sizeof(got));
	if (!ok)
		verdict_print(&got);
	tap_test(ok, "a transport that %s", what);
}

static void test_planted(void)
{
	expect("does nothing wrong", ring_transport.send, (struct verdict){ });
	expect("loses", send_losing, (struct verdict){ .received = -2UL, .lost = 2 });
	expect("repeats", send_repeating, (struct verdict){ .received = 2, .repeated = 2 });
	expect("tears", send_tearing,
	       (struct verdict){ .received = -2UL, .lost = 2, .torn = 2 });
	expect("shortens", send_shortening,
	       (struct verdict){ .received = -2UL, .lost = 2, .torn = 2 });
	expect("swaps", send_swapping, (struct verdict){ .disordered = 2 });
}

/* --- messages --- */

static void test_messages(void)
{
	const char *name;
	bool ok;

	for (size_t i = 0; i < verify_plants(); i++) {
		ok = verify_plant(i, false, &name);
		tap_test(ok, "messages: %s", name);
		ok = verify_plant(i, true, &name);
		tap_test(ok, "messages of the usual size: %s", name);
	}
}

static void test_shortest(void)
{
	struct ledger *l = ledger_new(MESSAGE_MIN, 2, 2);
	char message[MESSAGE_MIN], other[MESSAGE_MIN];
	struct verdict v;

	for (unsigned int producer = 0; producer < 2; producer++) {
		message_fill(message, sizeof(message), producer, 0);
		ledger_enter(l, message, sizeof(message));
		message_fill(message, sizeof(message), producer, 1);
		message_fill(other, sizeof(other), !producer, 0);
		memcpy(message, other, sizeof(message) / 2);
		ledger_enter(l, message, sizeof(message));
	}
	v = ledger_sum(&l, 1);
	tap_test(v.lost == 2 && v.repeated == 2, "messages: halves of the shortest");
	ledger_free(l);
}

/* --- times --- */

static void test_percentiles(void)
{
	struct samples s = { };
	struct percentiles p;

	for (unsigned int i = 0; i < 1000; i++)
		samples_add(&s, 1000 * (i * 7 % 1000 + 1));
	p = percentiles_of(&s);
	tap_test(p.p50 == 500 && p.p99 == 990 && p.p999 == 999, "percentiles of 1 to 1000");
	s.count = 999;
	p = percentiles_of(&s);
	tap_test(p.p99 == 990 && isnan(p.p999), "of 999 samples there is no 99.9 %%");
	samples_free(&s);
}

/*
 * At 1000 messages per second a stall of 50 ms makes 50 late, by up to 50 ms: more than a
 * quarter of these by over 20 ms.
 */
static void test_stall(void)
{
	struct samples samples = { };
	struct transport t = ring_transport;
	struct load load = { &t, 1, 1, SIZE, 2 * FAULTY, 1000, 60 };
	unsigned int late = 0;

	t.send = send_stalling;
	run_once(&load, &samples);
	for (size_t i = 0; i < samples.count; i++)
		late += samples.ns[i] > 20000000;
	tap_test(samples.count == 2 * FAULTY && late > 12, "a stall counts for all that it delays");
	samples_free(&samples);
}

/* --- the ring --- */

static int open_small(struct channel *c, size_t size)
{
	c->capacity = 2;
	c->ring = shm_ring_new(2, size);
	return c->ring ? 0 : -1;
}

static void test_ring(void)
{
	struct shm_ring *r = shm_ring_new(2, 8);
	struct transport t = ring_transport;
	unsigned long calls = 0;
	bool ok = true;
	size_t length;
	char message[8];

	t.open = open_small;
	t.begin = NULL;
	for (int i = 0; i < 1000; i++) {
		shm_ring_send(r, "1234567", 8, &calls);
		ok &= shm_ring_receive(r, message, &calls) == 8;
	}
	tap_test(ok && !calls, "shm-ring: no system call while nobody sleeps");
	for (int i = 0; i < 2; i++)
		ok &= shm_ring_try_send(r, "1234567", 8, &calls);
	ok &= !shm_ring_try_send(r, "1234567", 8, &calls);
	for (int i = 0; i < 2; i++)
		ok &= shm_ring_try_receive(r, message, &length, &calls);
	tap_test(ok && !shm_ring_try_receive(r, message, &length, &calls),
		 "shm-ring: full and empty");
	shm_ring_free(r);
	tap_test(run_shape(&t, 1, 1, 8).calls > 0, "shm-ring: sleeping takes system calls");
	for (unsigned int n = 1; n <= 8; n *= 2) {
		struct verdict v = run_shape(&t, n, n, 64).verdict;

		tap_test(verdict_clean(&v) && v.received == n * MESSAGES,
			 "shm-ring: two slots and many processes");
	}
}

/* --- every transport --- */

static bool carries(const struct transport *t, unsigned int size)
{
	struct result r = run_shape(t, 4, 4, size);

	if (!r.capacity || r.verdict.received != 4 * MESSAGES)
		return false;
	return verdict_clean(&r.verdict);
}

static bool ping_is_pong(const struct transport *t)
{
	struct pingpong p = { .transport = t, .size = SIZE };

	pingpong_run(&p, 0.05, 60);
	samples_free(&p.samples);
	return !p.wrong;
}

/* One to send and one to receive each; the end takes one more. */
static bool calls_are_counted(const struct transport *t)
{
	return run_shape(t, 1, 1, 8).calls == 2 * MESSAGES + 1;
}

static noreturn void send_for_ever(const struct transport *t, struct channel *c,
				   atomic_uint *done)
{
	static alignas(HEADROOM) char buffer[HEADROOM + SIZE];

	while (t->send(c, buffer + HEADROOM, SIZE) >= 0)
		++*done;
	_exit(EXIT_FAILURE);
}

/* As many go in, and then no more, when nobody receives. */
static bool room_is_told(const struct transport *t)
{
	atomic_uint *done = shared_memory(sizeof(*done));
	struct channel c = { };
	bool ok;
	pid_t pid;

	if (t->open(&c, SIZE) < 0)
		return false;
	pid = fork_child();
	if (!pid)
		send_for_ever(t, &c, done);
	for (int i = 0; i < 500 && *done < c.capacity; i++)
		usleep(10000);
	usleep(50000);
	ok = *done == c.capacity;
	if (!ok)
		printf("# room for %u, said to be %u\n", *done, c.capacity);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	t->close(&c);
	munmap(done, sizeof(*done));
	return ok;
}

static void test_transport(const struct transport *t)
{
	struct channel c = { };
	bool counted = t->kind != KIND_MEMORY && t != &packed_transport;

	if (t->open(&c, SIZE) < 0) {
		const char *why = strerror(errno);

		printf("# SKIPPED: %s: %s\n", t->name, why);
		tap_skip(t->name, why);
		return;
	}
	t->close(&c);
	tap_test(carries(t, 8) && carries(t, SIZE) && carries(t, 4096),
		 "4x4, all whole, once, in order: %s", t->name);
	tap_test(ping_is_pong(t), "round trips: %s", t->name);
	if (t != &packed_transport)
		tap_test(room_is_told(t), "as much room as it says: %s", t->name);
	if (counted)
		tap_test(calls_are_counted(t), "system calls are counted: %s", t->name);
}

static void test_wrong_trip(void)
{
	struct transport t = ring_transport;
	struct pingpong p = { .transport = &t, .size = SIZE };

	t.send = send_tearing;
	pingpong_run(&p, 0.1, 60);
	samples_free(&p.samples);
	tap_test(p.wrong > 0, "round trips: a torn message");
}

bool self_test(void)
{
	tap_begin();
	test_messages();
	test_shortest();
	test_percentiles();
	test_planted();
	test_stall();
	test_ring();
	test_wrong_trip();
	for (size_t i = 0; i < transport_count; i++)
		test_transport(transports[i]);
	return tap_end();
}
