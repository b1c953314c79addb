// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench - messages per second, and whether each arrived whole, once, in order
 *
 * For every transport alike: the parent opens it, forks producers and
 * consumers that share it, lets them all go at once, and when the producers
 * are done sends each consumer a message to stop, or closes the queue.  Time
 * runs until the last consumer has stopped.  Transports take turns, round
 * after round, so that what else the machine does hits them alike.
 */
#define _GNU_SOURCE
#include <err.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "measure.h"
#include "queue.h"
#include "transport.h"
#include "verify.h"

#define MAX_WORKERS	64	/* producers, and consumers */
#define MAX_ROUNDS	100
#define MAX_TRANSPORTS	16

static unsigned int producers = 1;
static unsigned int consumers = 1;
static unsigned int rounds = 5;
static unsigned int messages = 100000;	/* of a run; of each producer once main() runs */
static unsigned int size = 64;
static unsigned int limit = 120;
static bool json;

/* What one process tells the parent, in shared memory. */
struct worker {
	double end;
	long switches;
};

/* What came of one transport. */
struct outcome {
	const struct transport *transport;
	unsigned int capacity;
	double rates[MAX_ROUNDS];	/* messages per second */
	double switches[MAX_ROUNDS];	/* context switches per message */
	struct verdict faults;		/* of all rounds */
};

static struct outcome outcomes[MAX_TRANSPORTS];
static unsigned int chosen;

static long switches(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_nvcsw + usage.ru_nivcsw;
}

/* --- one run --- */

struct run {
	const struct transport *transport;
	struct channel channel;
	struct worker *workers;		/* producers first; shared memory */
	struct ledger *ledgers[MAX_WORKERS];
	pid_t pids[2 * MAX_WORKERS];
	int ready[2];			/* each worker writes a byte ... */
	int go[2];			/* ... and waits for the end of this */
};

static void send_or_die(struct run *r, const void *message)
{
	ssize_t n = r->transport->send(&r->channel, message, size);

	if (n < 0)
		err(EXIT_FAILURE, "%s: send", r->transport->name);
}

static void produce(struct run *r, unsigned int self)
{
	char message[size];

	for (unsigned int number = 0; number < messages; number++) {
		message_fill(message, size, self, number);
		send_or_die(r, message);
	}
	if (r->transport->flush && r->transport->flush(&r->channel) < 0)
		err(EXIT_FAILURE, "%s: send", r->transport->name);
}

static void consume(struct run *r, unsigned int self)
{
	char message[size + 1];		/* one too long would show */
	ssize_t length;

	/* There from the start: see mpmcq(4) on order and missing pages. */
	memset(message, 0, sizeof(message));
	do {
		length = r->transport->receive(&r->channel, message, sizeof(message));
		if (length < 0)
			err(EXIT_FAILURE, "%s: receive", r->transport->name);
		if (!length && r->transport->finish)
			break;
	} while (ledger_enter(r->ledgers[self], message, length));
}

/* The producers are done. */
static void stop_consumers(struct run *r)
{
	char message[size];

	if (r->transport->finish) {
		if (r->transport->finish(&r->channel) < 0)
			err(EXIT_FAILURE, "%s: close", r->transport->name);
		return;
	}
	message_fill(message, size, STOP, 0);
	for (unsigned int i = 0; i < consumers; i++)
		send_or_die(r, message);
}

static noreturn void work(struct run *r, unsigned int i)
{
	struct worker *self = &r->workers[i];
	long before;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(r->go[1]);
	if (r->transport->begin && r->transport->begin(&r->channel, i < producers) < 0)
		err(EXIT_FAILURE, "%s", r->transport->name);
	if (write(r->ready[1], &byte, 1) != 1 || close(r->ready[1]) < 0 ||
	    read(r->go[0], &byte, 1) != 0)
		err(EXIT_FAILURE, "start");

	before = switches();
	if (i < producers)
		produce(r, i);
	else
		consume(r, i - producers);
	self->end = now();
	self->switches = switches() - before;
	_exit(EXIT_SUCCESS);
}

static void start_workers(struct run *r)
{
	unsigned int n = producers + consumers;
	char byte;

	if (pipe(r->ready) < 0 || pipe(r->go) < 0)
		err(EXIT_FAILURE, "pipe");
	fflush(NULL);
	for (unsigned int i = 0; i < n; i++) {
		r->pids[i] = fork();
		if (r->pids[i] < 0)
			err(EXIT_FAILURE, "fork");
		if (!r->pids[i])
			work(r, i);
	}
	close(r->ready[1]);
	close(r->go[0]);
	for (unsigned int i = 0; i < n; i++)
		if (read(r->ready[0], &byte, 1) != 1)
			errx(EXIT_FAILURE, "a process ended before the start");
	close(r->ready[0]);
}

/* Waits until only @left workers run. */
static void wait_workers(struct run *r, unsigned int *running, unsigned int left)
{
	while (*running > left) {
		int status;

		if (wait(&status) < 0)
			err(EXIT_FAILURE, "wait");
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			errx(EXIT_FAILURE, "%s: a process failed", r->transport->name);
		--*running;
	}
}

static void add_verdict(struct verdict *sum, const struct verdict *v)
{
	sum->received += v->received;
	sum->lost += v->lost;
	sum->repeated += v->repeated;
	sum->disordered += v->disordered;
	sum->torn += v->torn;
}

static void run_once(struct outcome *o, unsigned int round)
{
	unsigned int total = messages * producers;
	unsigned int running = producers + consumers;
	size_t bytes = running * sizeof(struct worker);
	struct run r = { .transport = o->transport };
	double begin, end = 0;
	long switched = 0;
	struct verdict v;

	if (r.transport->open(&r.channel, size) < 0)
		err(EXIT_FAILURE, "%s", r.transport->name);
	o->capacity = r.channel.capacity;
	r.workers = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r.workers == MAP_FAILED)
		err(EXIT_FAILURE, "shared memory");
	for (unsigned int i = 0; i < consumers; i++)
		r.ledgers[i] = ledger_new(size, producers, messages);

	limit_time(limit);
	start_workers(&r);
	begin = now();
	close(r.go[1]);
	wait_workers(&r, &running, consumers);
	stop_consumers(&r);
	wait_workers(&r, &running, 0);
	limit_time(0);

	for (unsigned int i = 0; i < producers + consumers; i++) {
		end = r.workers[i].end > end ? r.workers[i].end : end;
		switched += r.workers[i].switches;
	}
	o->rates[round] = total / (end - begin);
	o->switches[round] = (double)switched / total;
	v = ledger_sum(r.ledgers, consumers);
	add_verdict(&o->faults, &v);

	for (unsigned int i = 0; i < consumers; i++)
		ledger_free(r.ledgers[i]);
	munmap(r.workers, bytes);
	r.transport->close(&r.channel);
}

static void run_all(void)
{
	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < chosen; i++) {
			struct outcome *o = &outcomes[(round + i) % chosen];

			run_once(o, round);
			fprintf(stderr, "round %u of %u: %-10s %9.0f messages/s\n",
				round + 1, rounds, o->transport->name,
				o->rates[round]);
		}
	}
}

/* --- what is printed --- */

static double median(const double *values)
{
	return spread_of(values, rounds).median;
}

/* The median rate of the plain pipe, 0 if it is not among the chosen. */
static double pipe_rate(void)
{
	for (unsigned int i = 0; i < chosen; i++)
		if (!strcmp(outcomes[i].transport->name, "pipe"))
			return median(outcomes[i].rates);
	return 0;
}

static void print_table(void)
{
	double pipe = pipe_rate();

	printf("%u-byte messages, producers: %u, consumers: %u, messages of each producer: %u,\n",
	       size, producers, consumers, messages);
	printf("CPUs: %ld, medians of %u rounds\n\n",
	       sysconf(_SC_NPROCESSORS_ONLN), rounds);
	printf("%-11s%9s%12s%9s%11s%8s%9s%9s%6s\n", "", "capacity",
	       "messages/s", "to pipe", "switches/m", "lost", "repeated",
	       "disorder", "torn");
	for (unsigned int i = 0; i < chosen; i++) {
		const struct outcome *o = &outcomes[i];
		double rate = median(o->rates);

		printf("%-11s%9u%12.0f", o->transport->name, o->capacity, rate);
		if (pipe)
			printf("%9.2f", rate / pipe);
		else
			printf("%9s", "-");
		printf("%11.4f%8lu%9lu%9lu%6lu\n", median(o->switches),
		       o->faults.lost, o->faults.repeated,
		       o->faults.disordered, o->faults.torn);
	}
	printf("\nswitches/m: context switches per message\n");
	for (unsigned int i = 0; i < chosen; i++)
		printf("%s: %s\n", outcomes[i].transport->name,
		       outcomes[i].transport->text);
}

static void print_array(const char *name, const double *values)
{
	printf("\"%s\": [", name);
	for (unsigned int i = 0; i < rounds; i++)
		printf("%s%.6g", i ? ", " : "", values[i]);
	printf("], ");
}

static void print_json(void)
{
	double pipe = pipe_rate();

	printf("{\"size\": %u, \"producers\": %u, \"consumers\": %u, ",
	       size, producers, consumers);
	printf("\"messages_of_each\": %u, \"cpus\": %ld, \"rounds\": %u, ",
	       messages, sysconf(_SC_NPROCESSORS_ONLN), rounds);
	puts("\"transports\": [");
	for (unsigned int i = 0; i < chosen; i++) {
		const struct outcome *o = &outcomes[i];
		double rate = median(o->rates);

		printf("  {\"name\": \"%s\", \"capacity\": %u, ", o->transport->name,
		       o->capacity);
		print_array("rates", o->rates);
		printf("\"messages_per_second\": %.6g, ", rate);
		if (pipe)
			printf("\"ratio_to_pipe\": %.4f, ", rate / pipe);
		printf("\"switches_per_message\": %.6f, ", median(o->switches));
		printf("\"lost\": %lu, \"repeated\": %lu, \"disordered\": %lu, \"torn\": %lu}%s\n",
		       o->faults.lost, o->faults.repeated,
		       o->faults.disordered, o->faults.torn,
		       i + 1 < chosen ? "," : "");
	}
	printf("]}\n");
}

/* --- options --- */

static const char help[] =
"Usage: bench [OPTION...]\n"
"\n"
"Send messages through our queues and through other things the kernel has, in\n"
"turns, count messages per second, and verify that each arrives whole, once and\n"
"in the order of its producer.  Nobody else may use the device meanwhile.\n"
"\n"
"  -p, --producers N      processes that send (1)\n"
"  -c, --consumers N      processes that receive (1)\n"
"  -s, --size BYTES       length of a message (64)\n"
"  -m, --messages N       messages of a run, shared out among the producers (100000)\n"
"  -r, --rounds N         runs of each transport (5)\n"
"  -t, --transports LIST  names with commas between (all)\n"
"  -l, --limit SECONDS    a run that takes longer is a failure (120)\n"
"  -d, --device PATH      our queue, and what makes more of them (/dev/mpmcq)\n"
"  -j, --json             print JSON instead of a table\n"
"      --self-test        check that the verifier notices planted faults\n"
"  -h, --help             print this and exit\n"
"\n"
"Transports:\n";

static void print_help(void)
{
	fputs(help, stdout);
	for (size_t i = 0; i < transport_count; i++)
		printf("  %-11s %s\n", transports[i].name, transports[i].text);
	puts("\nExit status: 0 done, 1 a message was lost, repeated, disordered or torn, or\n"
	     "another error, 2 wrong usage.");
}

static void choose_all(void)
{
	for (chosen = 0; chosen < transport_count; chosen++)
		outcomes[chosen].transport = &transports[chosen];
}

static void choose(char *list)
{
	chosen = 0;
	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < transport_count && strcmp(name, transports[i].name))
			i++;
		if (i == transport_count || chosen == MAX_TRANSPORTS) {
			warnx("no such transport: '%s'", name);
			exit(EXIT_USAGE);
		}
		outcomes[chosen++].transport = &transports[i];
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "producers", required_argument, NULL, 'p' },
		{ "consumers", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "messages", required_argument, NULL, 'm' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "transports", required_argument, NULL, 't' },
		{ "limit", required_argument, NULL, 'l' },
		{ "device", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "self-test", no_argument, NULL, 'S' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	choose_all();
	while ((opt = getopt_long(argc, argv, "p:c:s:m:r:t:l:d:jh", options, NULL)) != -1) {
		switch (opt) {
		case 'p':
			producers = parse_number(optarg, 1, MAX_WORKERS);
			break;
		case 'c':
			consumers = parse_number(optarg, 1, MAX_WORKERS);
			break;
		case 's':
			size = parse_number(optarg, MESSAGE_MIN, 65536);
			break;
		case 'm':
			messages = parse_number(optarg, 1, 100000000);
			break;
		case 'r':
			rounds = parse_number(optarg, 1, MAX_ROUNDS);
			break;
		case 't':
			choose(optarg);
			break;
		case 'l':
			limit = parse_number(optarg, 1, 86400);
			break;
		case 'd':
			mpmcq_device = optarg;
			break;
		case 'j':
			json = true;
			break;
		case 'S':
			exit(verify_self_test() ? EXIT_SUCCESS : EXIT_FAILURE);
		case 'h':
			print_help();
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_USAGE);
		}
	}
	no_arguments(argc);
	if (messages < producers) {
		warnx("fewer messages than producers");
		exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	parse_options(argc, argv);
	messages /= producers;
	run_all();
	if (json)
		print_json();
	else
		print_table();
	for (unsigned int i = 0; i < chosen; i++) {
		if (verdict_clean(&outcomes[i].faults))
			continue;
		warnx("%s: messages were lost, repeated, disordered or torn",
		      outcomes[i].transport->name);
		status = EXIT_FAILURE;
	}
	close_output();
	return status;
}
