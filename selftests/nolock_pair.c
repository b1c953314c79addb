// SPDX-License-Identifier: GPL-2.0-only
/*
 * What nolock.sh traces: a few calls with tracing on, and nothing else.
 *
 *	nolock_pair TRACING pair	a write and a read that need not wait
 *	nolock_pair TRACING wake	a write that has to wake a reader
 *	nolock_pair TRACING sleep	a read that has to sleep
 *
 * TRACING is the file that turns tracing on and off.
 */

#include "mpmcq_test.h"

static int tracing;
static int fd;
static char msg[8], buf[8];

static bool trace(char on)
{
	return write(tracing, &on, 1) == 1;
}

/* Writes a message once the main thread is asleep. */
static void *write_later(void *unused __maybe_unused)
{
	wait_asleep(getpid(), SYS_read);
	return put(fd, msg, 8) == 8 ? NULL : "write failed";
}

static bool pair(void)
{
	return trace('1') && put(fd, msg, 8) == 8 && take(fd, buf, 8) == 8 && trace('0');
}

static bool wake(void)
{
	struct call reader;

	return !start_blocked(&reader, take, fd, buf, 8) &&
	       trace('1') && put(fd, msg, 8) == 8 && trace('0') && finish_call(&reader) == 8;
}

static bool fall_asleep(void)
{
	pthread_t writer;
	void *failure;

	return !pthread_create(&writer, NULL, write_later, NULL) &&
	       trace('1') && take(fd, buf, 8) == 8 && trace('0') &&
	       !pthread_join(writer, &failure) && !failure;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: nolock_pair TRACING pair|wake|sleep\n");
		return KSFT_FAIL;
	}
	fd = open(DEVICE, O_RDWR);
	tracing = open(argv[1], O_WRONLY);
	/* What is done for the first time may need more than what we look for. */
	if (fd < 0 || tracing < 0 || put(fd, msg, 8) != 8 || take(fd, buf, 8) != 8)
		return KSFT_FAIL;
	if (!strcmp(argv[2], "pair"))
		return pair() ? KSFT_PASS : KSFT_FAIL;
	if (!strcmp(argv[2], "wake"))
		return wake() ? KSFT_PASS : KSFT_FAIL;
	if (!strcmp(argv[2], "sleep"))
		return fall_asleep() ? KSFT_PASS : KSFT_FAIL;
	return KSFT_FAIL;
}
