// SPDX-License-Identifier: MIT
/*
 * worker QUEUE - work on the messages of a queue until it is closed, or a SIGTERM comes
 *
 * Here the work is to print the message.  One that begins with "bad" is set aside, one that begins
 * with "later" is given back to be tried again.  If the worker is killed, its messages come back.
 */
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include <libmpmcq.h>

#define AT_A_TIME	16

static int begins_with(const char *text, const char *message, size_t length)
{
	return length >= strlen(text) && !memcmp(message, text, strlen(text));
}

static int work(int queue, const struct mpmcq_msg *msg, const void *message, void *arg)
{
	(void)queue;
	(void)arg;
	if (begins_with("bad", message, msg->len))
		return MPMCQ_SETTLE_REJECT;
	if (begins_with("later", message, msg->len) && msg->deliveries == 1)
		return MPMCQ_SETTLE_NACK;
	printf("%.*s\n", (int)msg->len, (const char *)message);
	return fflush(stdout) ? MPMCQ_SETTLE_NACK : MPMCQ_SETTLE_ACK;
}

/* Returns a descriptor that is readable when a SIGTERM has come. */
static int catch_term(void)
{
	sigset_t term;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	return signalfd(-1, &term, SFD_CLOEXEC);
}

int main(int argc, char **argv)
{
	int queue = argc == 2 ? mpmcq_open(argv[1], O_RDONLY) : -1, ret;

	if (queue < 0)
		errx(1, "%s: %s", argc == 2 ? argv[1] : "usage: worker QUEUE", strerror(-queue));
	ret = mpmcq_run_worker(queue, AT_A_TIME, catch_term(), 0, work, NULL);
	if (ret < 0)
		errx(1, "%s: %s", argv[1], strerror(-ret));
	return 0;
}
