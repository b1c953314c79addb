// SPDX-License-Identifier: MIT
/*
 * demo - the queue at work: two producers, two consumers, each item once
 *
 * Four processes open the queue.  Each producer writes ITEMS numbered items,
 * each consumer reads what it can get and reports it to the parent through a
 * pipe.  When the producers are done the parent sends each consumer a message
 * to stop, and counts from the reports how often each item arrived.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/mpmcq.h>

#define PRODUCERS	2
#define CONSUMERS	2
#define ITEMS		20	/* of each producer */
#define PACE_US		30000	/* of each producer and each consumer */
#define LIMIT_S		20	/* no process of ours lives longer */

#define EXIT_USAGE	2

/* What is written to the queue. */
struct item {
	char tag[12];		/* TAG: this is a message of a demo ... */
	pid_t run;		/* ... and of this one */
	int producer;		/* 0: the consumer that gets this stops */
	int number;
};

/* What a consumer tells the parent. */
struct report {
	int consumer;
	int producer;
	int number;
};

static const char TAG[12] = "mpmcq-demo";

static const char *device = "/dev/mpmcq";
static size_t msg_size;
static pid_t run;
static int reports[2];		/* pipe from the consumers to the parent */
static pid_t children[PRODUCERS + CONSUMERS + 1];
static int running;		/* entries of children in use */

static int open_queue(int flags)
{
	int queue = open(device, flags | O_CLOEXEC);

	if (queue < 0)
		err(EXIT_FAILURE, "%s", device);
	return queue;
}

static void *new_buffer(void)
{
	void *buffer = malloc(msg_size);

	if (!buffer)
		err(EXIT_FAILURE, NULL);
	return buffer;
}

static void send_item(int queue, int producer, int number)
{
	struct item item = {
		.run = run,
		.producer = producer,
		.number = number,
	};

	memcpy(item.tag, TAG, sizeof(TAG));
	if (write(queue, &item, sizeof(item)) < 0)
		err(EXIT_FAILURE, "%s", device);
}

static bool is_ours(const struct item *item, size_t length)
{
	return length == sizeof(*item) && item->run == run &&
	       !memcmp(item->tag, TAG, sizeof(TAG)) &&
	       item->producer >= 0 && item->producer <= PRODUCERS &&
	       item->number >= 0 && item->number <= ITEMS;
}

static void put_back(int queue, const void *message, size_t length)
{
	if (write(queue, message, length) < 0)
		err(EXIT_FAILURE, "%s: a message of somebody else is lost",
		    device);
}

/* What the processes do; each of these ends with its process. */

/* It says what it sends before it does, so "got" never comes first. */
static void produce(int self)
{
	int queue = open_queue(O_WRONLY);

	for (int number = 1; number <= ITEMS; number++) {
		printf("producer %d sends item %d.%02d\n", self, self, number);
		send_item(queue, self, number);
		usleep(PACE_US);
	}
}

static void consume(int self)
{
	int queue = open_queue(O_RDWR);
	struct item *item = new_buffer();

	for (;;) {
		ssize_t length = read(queue, item, msg_size);
		struct report report = { .consumer = self };

		if (length < 0)
			err(EXIT_FAILURE, "%s", device);
		if (!is_ours(item, length)) {
			put_back(queue, item, length);
			errx(EXIT_FAILURE,
			     "a message of somebody else came, and was put back");
		}
		if (!item->producer)
			return;

		printf("%32sconsumer %d got item %d.%02d\n", "", self,
		       item->producer, item->number);
		report.producer = item->producer;
		report.number = item->number;
		if (write(reports[1], &report, sizeof(report)) < 0)
			err(EXIT_FAILURE, "pipe");
		usleep(PACE_US);
	}
}

static void stop(int consumers)
{
	int queue = open_queue(O_WRONLY);

	while (consumers--)
		send_item(queue, 0, 0);
}

static void start(void (*work)(int), int argument)
{
	pid_t pid = fork();

	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(LIMIT_S);
		work(argument);
		exit(ferror(stdout) ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	children[running++] = pid;
}

static void stop_children(void)
{
	for (int i = 0; i < running; i++)
		kill(children[i], SIGKILL);
}

/* Waits until @left children run; once one fails the others are ended. */
static bool wait_children(int left)
{
	bool ok = true;

	while (running > left) {
		int status, i = 0;
		pid_t pid = wait(&status);

		if (pid < 0)
			err(EXIT_FAILURE, "wait");
		while (children[i] != pid)
			i++;
		children[i] = children[--running];

		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS)
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
			warnx("a process was not done after %d s", LIMIT_S);
		ok = false;
		left = 0;
		stop_children();
	}
	return ok;
}

/* Takes what a failed run left in the queue and leaves what is not ours. */
static void remove_leftovers(int queue, unsigned int capacity)
{
	struct item *item = new_buffer();

	while (capacity--) {
		ssize_t length = read(queue, item, msg_size);

		if (length < 0)
			break;
		if (!is_ours(item, length))
			put_back(queue, item, length);
	}
	free(item);
}

/* Counts how often each item arrived, from what the consumers reported. */
static bool count_reports(void)
{
	int times[PRODUCERS + 1][ITEMS + 1] = { };
	int last[CONSUMERS + 1][PRODUCERS + 1] = { };
	int share[CONSUMERS + 1] = { };
	int once = 0, lost = 0, repeated = 0, disordered = 0;
	struct report report;

	while (read(reports[0], &report, sizeof(report)) == sizeof(report)) {
		int *before = &last[report.consumer][report.producer];

		times[report.producer][report.number]++;
		share[report.consumer]++;
		if (report.number < *before)
			disordered++;
		*before = report.number;
	}
	for (int producer = 1; producer <= PRODUCERS; producer++) {
		for (int number = 1; number <= ITEMS; number++) {
			once += times[producer][number] == 1;
			lost += times[producer][number] == 0;
			repeated += times[producer][number] > 1;
		}
	}
	for (int consumer = 1; consumer <= CONSUMERS; consumer++)
		printf("consumer %d got %d items\n", consumer, share[consumer]);
	printf("%d items sent: %d arrived once, %d lost, %d repeated, %d out of order\n",
	       PRODUCERS * ITEMS, once, lost, repeated, disordered);
	return once == PRODUCERS * ITEMS && !disordered;
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "d:h", options, NULL)) != -1) {
		switch (opt) {
		case 'd':
			device = optarg;
			break;
		case 'h':
			printf("Usage: demo [-d PATH]\n\n"
			       "Send %d items from each of %d producers to %d consumers and count what arrives.\n\n"
			       "  -d, --device PATH  the queue (default %s); it must be empty\n"
			       "  -h, --help         print this and exit\n\n"
			       "Exit status: 0 each item arrived once, 1 not so or error, 2 wrong usage.\n",
			       ITEMS, PRODUCERS, CONSUMERS, device);
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		warnx("unexpected argument '%s'", argv[optind]);
		exit(EXIT_USAGE);
	}
}

int main(int argc, char **argv)
{
	struct mpmcq_info info = { .size = sizeof(info) };
	bool ok;
	int queue;

	/* One write for each line: lines of different processes never mix. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_options(argc, argv);
	run = getpid();
	queue = open_queue(O_RDWR | O_NONBLOCK);
	if (ioctl(queue, MPMCQ_IOC_INFO, &info) < 0)
		err(EXIT_FAILURE, "%s: not a queue", device);
	msg_size = info.msg_size;
	if (msg_size < sizeof(struct item))
		errx(EXIT_FAILURE, "%s: the demo needs a msg_size of %zu, this is %zu",
		     device, sizeof(struct item), msg_size);
	if (info.depth)
		errx(EXIT_FAILURE,
		     "%s holds %u messages of somebody else; the demo leaves them alone",
		     device, info.depth);
	if (pipe2(reports, O_CLOEXEC) < 0)
		err(EXIT_FAILURE, "pipe");

	for (int i = 1; i <= CONSUMERS; i++)
		start(consume, i);
	for (int i = 1; i <= PRODUCERS; i++)
		start(produce, i);
	close(reports[1]);
	ok = wait_children(CONSUMERS);
	if (ok) {
		start(stop, CONSUMERS);
		ok = wait_children(0);
	}
	if (!ok)
		remove_leftovers(queue, info.capacity);
	if (!count_reports() || !ok)
		errx(EXIT_FAILURE, "FAILED");
	printf("each item arrived exactly once, in the order of its producer\n");
	if (ferror(stdout))
		errx(EXIT_FAILURE, "standard output could not be written");
	return EXIT_SUCCESS;
}
