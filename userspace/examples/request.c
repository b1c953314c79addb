// SPDX-License-Identifier: MIT
/*
 * request QUEUE TEXT - send a request, and print the reply
 * request --serve QUEUE - reply to requests, in capital letters, until the queue is closed
 *
 * A client makes a queue for its replies, and puts its name before the request.  So no client gets
 * the reply of another, any number of servers can share the requests, and a client that is gone
 * keeps nobody waiting.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include <libmpmcq.h>

#define SIZE		1024	/* bytes of a request or a reply of this client */
#define LONGEST		65536	/* bytes of a message of any queue */
#define PREFIX		"reply-"	/* of the names of queues for replies */
#define PATIENCE_MS	10000

static int check(int ret, const char *what)
{
	if (ret < 0)
		errx(1, "%s: %s", what, strerror(-ret));
	return ret;
}

/* --- the client --- */

static char reply_queue[64];

static void remove_reply_queue(void)
{
	mpmcq_remove_queue(reply_queue);
}

/* For a server of the same user: one of another user has to be allowed to write, by @mode. */
static int make_reply_queue(void)
{
	struct mpmcq_create create = {
		.size = sizeof(create), .capacity = 2, .msg_size = SIZE, .mode = 0600,
	};

	unsigned long long number;

	/* Nobody else has it, or had it: a late reply to a client that is gone finds no queue. */
	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		err(1, "random number");
	snprintf(reply_queue, sizeof(reply_queue), PREFIX "%016llx", number);
	check(mpmcq_create_queue(reply_queue, &create), reply_queue);
	atexit(remove_reply_queue);
	return check(mpmcq_open(reply_queue, O_RDONLY), reply_queue);
}

static void request(int requests, const char *text)
{
	int replies = make_reply_queue();
	char message[SIZE];
	int length = snprintf(message, sizeof(message), "%s %s", reply_queue, text);

	if (length >= SIZE)
		errx(1, "longer than %d bytes", SIZE);
	check(mpmcq_send_timed(requests, message, length, PATIENCE_MS), "request");
	length = check(mpmcq_receive_timed(replies, message, sizeof(message), PATIENCE_MS),
		       "reply");
	printf("%.*s\n", length, message);
}

/* --- the server --- */

static void reply(const char *to, char *text)
{
	/* Never wait for a client. */
	int replies = mpmcq_open(to, O_WRONLY | O_NONBLOCK), ret = replies;

	for (char *c = text; *c; c++)
		*c = toupper((unsigned char)*c);
	if (replies >= 0) {
		ret = mpmcq_send(replies, text, strlen(text));
		close(replies);
	}
	if (ret < 0)
		warnx("%s: %s", to, strerror(-ret));
}

static void serve(int requests)
{
	static char message[LONGEST + 1];
	char *text;
	int length;

	while ((length = check(mpmcq_receive(requests, message, LONGEST), "request")) > 0) {
		message[length] = '\0';
		text = strchr(message, ' ');
		if (!text || !text[1])
			continue;
		*text = '\0';
		/* Else the client could choose any queue, or by a '/' any file. */
		if (!strncmp(message, PREFIX, strlen(PREFIX)) && !strchr(message, '/'))
			reply(message, text + 1);
	}
}

int main(int argc, char **argv)
{
	int is_server = argc == 3 && !strcmp(argv[1], "--serve");

	if (argc != 3)
		errx(2, "usage: request QUEUE TEXT, request --serve QUEUE");
	if (is_server)
		serve(check(mpmcq_open(argv[2], O_RDONLY), argv[2]));
	else
		request(check(mpmcq_open(argv[1], O_WRONLY), argv[1]), argv[2]);
	return 0;
}
