// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether a thread that stops anywhere holds up the others
 *
 * Two threads push and pop.  One of them is stopped by a signal, at whatever instruction
 * that finds it; then the other must still pop more messages than the queue can hold.
 * Being stopped is random, so this can show that a queue is not lock-free, and only make
 * likely that it is.
 */
#define _GNU_SOURCE
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "measure.h"
#include "process.h"
#include "stop.h"

#define ENOUGH		(64 * CAPACITY)	/* messages: many laps, to find any obstacle */
#define PATIENCE	0.25		/* seconds without one message: others are held up */

struct job {
	const struct candidate *candidate;
	unsigned int wanted;
	struct stops stops;
};

static bool stopped, go_on;

static void nap(long nanoseconds)
{
	nanosleep(&(struct timespec){ .tv_nsec = nanoseconds }, NULL);
}

static void stop_here(int signal)
{
	(void)signal;
	__atomic_store_n(&stopped, true, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&go_on, __ATOMIC_SEQ_CST))
		nap(20000);
	__atomic_store_n(&stopped, false, __ATOMIC_SEQ_CST);
}

static unsigned long popped(const struct churn *churn)
{
	return __atomic_load_n(&churn->popped, __ATOMIC_RELAXED);
}

/* Sees to it that ENOUGH messages are popped; false if there come no more. */
static bool goes_on(const struct churn *other)
{
	unsigned long begin = popped(other), last = begin;
	double deadline = now() + PATIENCE;

	while (last - begin < ENOUGH) {
		unsigned long n = popped(other);

		if (n != last)
			deadline = now() + PATIENCE;
		else if (now() > deadline)
			return false;
		last = n;
		nap(20000);
	}
	return true;
}

static void stop_once(struct job *job, pthread_t victim, const struct churn *other)
{
	__atomic_store_n(&go_on, false, __ATOMIC_SEQ_CST);
	pthread_kill(victim, SIGUSR1);
	while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		sched_yield();
	job->stops.blocked += !goes_on(other);
	job->stops.stops++;
	__atomic_store_n(&go_on, true, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&stopped, __ATOMIC_SEQ_CST))
		nap(20000);
	/* For as long as that takes, the next stop comes at another place. */
	nap(1000 + (rand() & 0xffff));
}

struct thread {
	const struct candidate *candidate;
	struct churn churn;
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->candidate->churn(&t->churn);
	return NULL;
}

static void stop_job(void *arg)
{
	struct job *job = arg;
	const struct candidate *c = job->candidate;
	struct thread threads[2];
	void *queue = c->open();
	pthread_t ids[2];

	signal(SIGUSR1, stop_here);
	for (int i = 0; i < 2; i++) {
		threads[i] = (struct thread){ .candidate = c };
		threads[i].churn.handle = c->attach(queue, PRODUCER | CONSUMER);
		if (pthread_create(&ids[i], NULL, thread_main, &threads[i]))
			errx(EXIT_FAILURE, "pthread_create");
	}
	/* One obstacle is proof. */
	while (job->stops.stops < job->wanted && !job->stops.blocked)
		stop_once(job, ids[0], &threads[1].churn);
}

struct stops stop_test(const struct candidate *c, unsigned int stops, unsigned int limit)
{
	struct job *job = shared_memory(sizeof(*job));
	struct stops result;

	job->candidate = c;
	job->wanted = stops;
	job->stops.end = in_child(stop_job, job, limit);
	result = job->stops;
	munmap(job, sizeof(*job));
	return result;
}
