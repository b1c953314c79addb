// SPDX-License-Identifier: GPL-2.0-only
/*
 * What nolock.sh traces: six calls by the main thread.
 *
 *	1 2	a write and a read; what they do for the first time is not looked at
 *	3 4	a write and a read that need not wait
 *	5	a write that has to wake a reader
 *	6	a read that has to sleep
 */

#include "mpmcq_test.h"

static char msg[8], buf[8];

/* Writes a message once the main thread is asleep. */
static void *write_later(void *fd)
{
	wait_asleep(getpid(), SYS_read);
	return put(*(int *)fd, msg, 8) == 8 ? NULL : "write failed";
}

int main(void)
{
	int i, fd = open(DEVICE, O_RDWR);
	struct call reader;
	pthread_t writer;
	void *failure;

	for (i = 0; i < 2; i++) {
		if (put(fd, msg, 8) != 8 || take(fd, buf, 8) != 8)
			return KSFT_FAIL;
	}
	if (start_blocked(&reader, take, fd, buf, 8) || put(fd, msg, 8) != 8 ||
	    finish_call(&reader) != 8)
		return KSFT_FAIL;
	if (pthread_create(&writer, NULL, write_later, &fd) || take(fd, buf, 8) != 8 ||
	    pthread_join(writer, &failure) || failure)
		return KSFT_FAIL;
	return KSFT_PASS;
}
