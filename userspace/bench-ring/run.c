// SPDX-License-Identifier: GPL-2.0-only
/*
 * One run of one candidate: timed, verified, and ended if it takes too long
 */
#include <err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "measure.h"
#include "process.h"
#include "run.h"

#define PARTS		20			/* of a run of one thread */
#define MAX_EACH	(MAX_THREADS / 2)	/* producers, and consumers */

struct job {
	const struct candidate *candidate;
	const struct load *load;
	unsigned int messages;		/* of each producer */
	struct result result;
};

struct thread {
	const struct candidate *candidate;
	pthread_barrier_t *start;
	struct work work;
	double begin, end;
};

bool can_run(const struct candidate *c, const struct load *load)
{
	return !load->producers || c->produce;
}

/* Half a queue of messages in and out, each looked at as a whole. */
static struct verdict verify_alone(const struct candidate *c, void *handle)
{
	unsigned int producing = 1;
	struct work work = {
		.handle = handle,
		.messages = c->capacity / 2,
		.producing = &producing,
		.ledger = ledger_new(sizeof(struct message), 1, c->capacity / 2),
	};

	c->produce(&work);
	c->consume(&work);
	return ledger_sum(&work.ledger, 1);
}

/* In parts, of which the median counts: an interruption hits but one. */
static unsigned int time_pairs(const struct candidate *c, void *handle, unsigned int pairs,
			       double *seconds)
{
	double values[PARTS];
	unsigned int faults = 0;

	for (unsigned int i = 0; i < PARTS; i++) {
		double begin = now();

		faults += c->pairs(handle, pairs / PARTS);
		values[i] = (now() - begin) / (pairs / PARTS);
	}
	*seconds = spread_of(values, PARTS).median * pairs;
	return faults;
}

/* The first laps find memory that has never been touched. */
static void run_alone(struct job *job)
{
	const struct candidate *c = job->candidate;
	void *handle = c->attach(c->open(), PRODUCER | CONSUMER);
	unsigned int faults = c->pairs(handle, 2 * CAPACITY);

	faults += time_pairs(c, handle, job->messages, &job->result.seconds);
	if (c->produce)
		job->result.verdict = verify_alone(c, handle);
	job->result.verdict.received += job->messages;
	job->result.verdict.torn += faults;
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	pthread_barrier_wait(t->start);
	t->begin = now();
	if (t->work.ledger)
		t->candidate->consume(&t->work);
	else
		t->candidate->produce(&t->work);
	t->end = now();
	return NULL;
}

static void run_threads(struct thread *threads, unsigned int n)
{
	pthread_t ids[MAX_THREADS];

	for (unsigned int i = 0; i < n; i++) {
		int error = pthread_create(&ids[i], NULL, thread_main, &threads[i]);

		if (error)
			errx(EXIT_FAILURE, "pthread_create: %s", strerror(error));
	}
	for (unsigned int i = 0; i < n; i++)
		pthread_join(ids[i], NULL);
}

static double time_taken(const struct thread *threads, unsigned int n)
{
	double begin = threads[0].begin, end = threads[0].end;

	for (unsigned int i = 1; i < n; i++) {
		begin = threads[i].begin < begin ? threads[i].begin : begin;
		end = threads[i].end > end ? threads[i].end : end;
	}
	return end - begin;
}

static void run_contended(struct job *job)
{
	unsigned int producers = job->load->producers, n = producers + job->load->consumers;
	struct thread threads[MAX_THREADS] = { };
	struct ledger *ledgers[MAX_EACH];
	unsigned int producing = producers;
	void *queue = job->candidate->open();
	pthread_barrier_t start;

	pthread_barrier_init(&start, NULL, n);
	for (unsigned int i = 0; i < n; i++) {
		bool consumer = i >= producers;
		struct thread *t = &threads[i];

		t->candidate = job->candidate;
		t->start = &start;
		t->work.handle = job->candidate->attach(queue, consumer ? CONSUMER : PRODUCER);
		t->work.self = consumer ? i - producers : i;
		t->work.messages = job->messages;
		t->work.producing = &producing;
		if (consumer) {
			t->work.ledger = ledger_new(sizeof(struct message), producers,
						    job->messages);
			ledgers[i - producers] = t->work.ledger;
		}
	}
	run_threads(threads, n);
	job->result.seconds = time_taken(threads, n);
	job->result.verdict = ledger_sum(ledgers, job->load->consumers);
}

/* What any queue is charged with for each message, in seconds. */
double verification_cost(unsigned int messages)
{
	struct ledger *l = ledger_new(sizeof(struct message), 1, messages);
	double begin = now(), end;
	struct message m;

	for (unsigned int i = 0; i < messages; i++) {
		message_fill(&m, sizeof(m), 0, i);
		ledger_enter(l, &m, sizeof(m));
	}
	end = now();
	ledger_free(l);
	return (end - begin) / messages;
}

static void run_job(void *arg)
{
	struct job *job = arg;

	if (job->load->producers)
		run_contended(job);
	else
		run_alone(job);
}

/* @messages are shared out among the producers. */
struct result run_once(const struct candidate *c, const struct load *load, unsigned int messages,
		       unsigned int limit)
{
	unsigned int producers = load->producers ? load->producers : 1;
	struct job *job = shared_memory(sizeof(*job));
	struct result result;

	job->candidate = c;
	job->load = load;
	job->messages = messages / producers;
	job->result.messages = job->messages * producers;
	job->result.end = in_child(run_job, job, limit);
	result = job->result;
	munmap(job, sizeof(*job));
	return result;
}
