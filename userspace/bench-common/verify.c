// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages that can be recognised, and a ledger of what a consumer received
 *
 * The first eight bytes of a message are its producer and number; every later
 * word follows from them and its place, so a message that is not whole shows.
 * Ledgers are shared memory: a consumer process fills its own, unlocked, and
 * the parent adds them up.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "process.h"
#include "verify.h"

/* Of the words behind the first: the first of them, and from one to the next. */
#define FACTOR	0x9e3779b97f4a7c15ULL
#define STEP	(sizeof(unsigned long long) * FACTOR)

static unsigned long long second_word(unsigned long long id)
{
	return id * FACTOR + STEP;
}

/*
 * This and message_whole() are done for each message of a measured run, and should cost
 * little beside what is measured.  So a compiler is told of one usual size, for which it
 * needs half of the instructions.
 */
#define USUAL	64

static inline __attribute__((always_inline)) void fill(char *bytes, size_t size,
						       unsigned long long id)
{
	unsigned long long word = second_word(id);
	size_t at = sizeof(id);

	memcpy(bytes, &id, sizeof(id));
#pragma GCC unroll 8
	for (; at + sizeof(word) <= size; at += sizeof(word), word += STEP)
		memcpy(bytes + at, &word, sizeof(word));
	if (at < size)
		memcpy(bytes + at, &word, size - at);
}

void message_fill(void *message, size_t size, unsigned int producer, unsigned int number)
{
	unsigned long long id = (unsigned long long)producer << 32 | number;

	if (size == USUAL)
		fill(message, USUAL, id);
	else
		fill(message, size, id);
}

static inline __attribute__((always_inline)) bool whole(const char *bytes, size_t size,
							unsigned long long id)
{
	unsigned long long word = second_word(id), is, wrong = 0;
	size_t at = sizeof(id);

#pragma GCC unroll 8
	for (; at + sizeof(word) <= size; at += sizeof(word), word += STEP) {
		memcpy(&is, bytes + at, sizeof(is));
		wrong |= is ^ word;
	}
	return !wrong && (at == size || !memcmp(bytes + at, &word, size - at));
}

static inline bool message_whole(const char *bytes, size_t size, unsigned long long id)
{
	return size == USUAL ? whole(bytes, USUAL, id) : whole(bytes, size, id);
}

static size_t ledger_bytes(unsigned int producers, unsigned int messages)
{
	return sizeof(struct ledger) + producers * sizeof(unsigned int) +
	       (size_t)producers * messages;
}

struct ledger *ledger_new(size_t size, unsigned int producers, unsigned int messages)
{
	struct ledger *l = shared_memory(ledger_bytes(producers, messages));

	assert(size >= MESSAGE_MIN);
	l->size = size;
	l->producers = producers;
	l->messages = messages;
	l->last = (unsigned int *)(l + 1);
	l->times = (unsigned char *)(l->last + producers);
	return l;
}

void ledger_free(struct ledger *l)
{
	munmap(l, ledger_bytes(l->producers, l->messages));
}

void ledger_map(struct ledger *l)
{
	map_all(l, ledger_bytes(l->producers, l->messages));
}

/* One that came before, or comes after a later one of its producer. */
static void enter_fault(struct ledger *l, unsigned char *times, bool is_late)
{
	if (*times)
		l->verdict.repeated++;
	else if (is_late)
		l->verdict.disordered++;
	if (*times < UCHAR_MAX)
		++*times;
}

/* Enters a message; false if it is the one to stop. */
bool ledger_enter(struct ledger *l, const void *message, size_t length)
{
	unsigned int producer, number;
	unsigned char *times;
	unsigned long long id;

	if (length != l->size)
		goto torn;
	memcpy(&id, message, sizeof(id));
	if (!message_whole(message, length, id))
		goto torn;
	producer = id >> 32;
	number = id;
	if (producer >= l->producers || number >= l->messages) {
		if (producer == STOP)
			return false;
		goto torn;
	}

	l->verdict.received++;
	times = &l->times[(size_t)producer * l->messages + number];
	if (*times || number < l->last[producer])
		enter_fault(l, times, number < l->last[producer]);
	else
		*times = 1;
	if (number >= l->last[producer])
		l->last[producer] = number + 1;
	return true;
torn:
	l->verdict.torn++;
	return true;
}

struct verdict ledger_sum(struct ledger *const *l, unsigned int consumers)
{
	size_t messages = (size_t)l[0]->producers * l[0]->messages;
	struct verdict sum = { };

	for (unsigned int c = 0; c < consumers; c++) {
		sum.received += l[c]->verdict.received;
		sum.repeated += l[c]->verdict.repeated;
		sum.disordered += l[c]->verdict.disordered;
		sum.torn += l[c]->verdict.torn;
	}
	for (size_t i = 0; i < messages; i++) {
		unsigned int holders = 0;

		for (unsigned int c = 0; c < consumers; c++)
			holders += l[c]->times[i] > 0;
		if (!holders)
			sum.lost++;
		else
			sum.repeated += holders - 1;
	}
	return sum;
}

bool verdict_clean(const struct verdict *v)
{
	return !v->lost && !v->repeated && !v->disordered && !v->torn;
}

void verdict_print(const struct verdict *v)
{
	printf("# received %lu lost %lu repeated %lu disordered %lu torn %lu\n", v->received,
	       v->lost, v->repeated, v->disordered, v->torn);
}

void verdict_json(const struct verdict *v, FILE *f)
{
	fprintf(f, "\"lost\": %lu, \"repeated\": %lu, \"disordered\": %lu, \"torn\": %lu",
		v->lost, v->repeated, v->disordered, v->torn);
}

const char *verdict_text(const struct verdict *v)
{
	static char text[128];

	snprintf(text, sizeof(text), "lost %lu, repeated %lu, disordered %lu, torn %lu", v->lost,
		 v->repeated, v->disordered, v->torn);
	return text;
}

void verdict_add(struct verdict *sum, const struct verdict *v)
{
	sum->received += v->received;
	sum->lost += v->lost;
	sum->repeated += v->repeated;
	sum->disordered += v->disordered;
	sum->torn += v->torn;
}

/*
 * The self test: what two consumers received from two producers, with and
 * without a fault planted, and what the ledgers must say of it.
 */
#define TEST_SIZE	157	/* more words than are done at a time, the last not a whole one */
#define EACH_BYTE	ULONG_MAX
#define TEST_MESSAGES	10

static void enter(struct ledger *l, unsigned int producer, unsigned int number)
{
	char message[TEST_SIZE];

	message_fill(message, l->size, producer, number);
	if (!ledger_enter(l, message, l->size))
		abort();
}

/* Even numbers to one consumer, odd ones to the other, but for @except. */
static void enter_all_but(struct ledger **l, unsigned int except)
{
	for (unsigned int number = 0; number < TEST_MESSAGES; number++) {
		enter(l[number % 2], 1, number);
		if (number != except)
			enter(l[number % 2], 0, number);
	}
}

static void plant_nothing(struct ledger **l)
{
	enter_all_but(l, TEST_MESSAGES);
}

static void plant_stop(struct ledger **l)
{
	char message[TEST_SIZE];

	enter_all_but(l, TEST_MESSAGES);
	message_fill(message, l[0]->size, STOP, 0);
	if (ledger_enter(l[0], message, l[0]->size))
		enter_all_but(l, TEST_MESSAGES);	/* it went unnoticed */
}

static void plant_lost(struct ledger **l)
{
	enter_all_but(l, 4);
}

static void plant_lost_last(struct ledger **l)
{
	enter_all_but(l, TEST_MESSAGES - 1);
}

static void plant_repeated(struct ledger **l)
{
	enter_all_but(l, TEST_MESSAGES);
	enter(l[1], 0, TEST_MESSAGES - 1);
}

static void plant_repeated_elsewhere(struct ledger **l)
{
	enter(l[1], 0, 0);
	enter_all_but(l, TEST_MESSAGES);
}

static void plant_disordered(struct ledger **l)
{
	enter_all_but(l, 4);
	enter(l[0], 0, 4);
}

static void plant_torn_bytes(struct ledger **l)
{
	char message[TEST_SIZE];

	enter_all_but(l, TEST_MESSAGES);
	for (size_t at = 0; at < l[0]->size; at++) {
		message_fill(message, l[0]->size, 0, 4);
		message[at] ^= 1;
		ledger_enter(l[0], message, l[0]->size);
	}
}

static void plant_torn_halves(struct ledger **l)
{
	char message[TEST_SIZE], other[TEST_SIZE];

	message_fill(message, l[0]->size, 0, 4);
	message_fill(other, l[0]->size, 0, 6);
	memcpy(message + 32, other + 32, l[0]->size - 32);
	enter_all_but(l, 4);
	ledger_enter(l[0], message, l[0]->size);
}

static void plant_short(struct ledger **l)
{
	char message[TEST_SIZE];

	message_fill(message, l[0]->size, 0, 4);
	enter_all_but(l, 4);
	ledger_enter(l[0], message, l[0]->size - 1);
}

static void plant_foreign(struct ledger **l)
{
	char message[TEST_SIZE];

	message_fill(message, l[0]->size, 2, 4);
	enter_all_but(l, TEST_MESSAGES);
	ledger_enter(l[0], message, l[0]->size);
}

static const struct {
	const char *name;
	void (*plant)(struct ledger **l);
	struct verdict expected;
} plants[] = {
	{ "no fault", plant_nothing, { 20, 0, 0, 0, 0 } },
	{ "a message to stop", plant_stop, { 20, 0, 0, 0, 0 } },
	{ "a lost message", plant_lost, { 19, 1, 0, 0, 0 } },
	{ "a lost last message", plant_lost_last, { 19, 1, 0, 0, 0 } },
	{ "a repeated message", plant_repeated, { 21, 0, 1, 0, 0 } },
	{ "one message to both", plant_repeated_elsewhere, { 21, 0, 1, 0, 0 } },
	{ "a late message", plant_disordered, { 20, 0, 0, 1, 0 } },
	{ "a changed bit in each byte", plant_torn_bytes, { 20, 0, 0, 0, EACH_BYTE } },
	{ "halves of two messages", plant_torn_halves, { 19, 1, 0, 0, 1 } },
	{ "a shortened message", plant_short, { 19, 1, 0, 0, 1 } },
	{ "a message of no producer", plant_foreign, { 20, 0, 0, 0, 1 } },
};

size_t verify_plants(void)
{
	return sizeof(plants) / sizeof(*plants);
}

/*
 * True when the fault, and nothing else, was noticed: with messages of the usual size, or
 * of another.
 */
bool verify_plant(size_t i, bool usual, const char **name)
{
	size_t size = usual ? USUAL : TEST_SIZE;
	struct verdict want = plants[i].expected;
	struct ledger *l[2];
	struct verdict got;
	bool ok;

	if (want.torn == EACH_BYTE)
		want.torn = size;
	for (int c = 0; c < 2; c++)
		l[c] = ledger_new(size, 2, TEST_MESSAGES);
	plants[i].plant(l);
	got = ledger_sum(l, 2);
	for (int c = 0; c < 2; c++)
		ledger_free(l[c]);

	*name = plants[i].name;
	ok = !memcmp(&got, &want, sizeof(got));
	if (!ok)
		verdict_print(&got);
	return ok;
}
