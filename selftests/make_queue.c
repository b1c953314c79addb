// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a queue, for module.sh: make_queue NAME MESSAGES
 *
 * A queue with a name is a file in /dev/mpmcqfs, and left behind with so many messages in
 * it.  A private one, with the name "", is kept until the standard input ends.
 */

#include "own_test.h"

static int open_new(const char *name)
{
	int ret;

	if (!*name)
		return make_queue(.capacity = 16, .msg_size = 16,
				  .open_flags = O_RDWR | O_NONBLOCK);
	ret = make_named(name, .capacity = 16, .msg_size = 16, .mode = 0600);
	return ret ?: open_named(name, O_RDWR | O_NONBLOCK);
}

int main(int argc, char **argv)
{
	int i, fd;
	char c;

	if (argc != 3)
		return KSFT_FAIL;
	fd = open_new(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "# make_queue '%s': %s\n", argv[1], strerror(-fd));
		return KSFT_FAIL;
	}
	for (i = atoi(argv[2]); i; i--)
		if (put_msg(fd, LEN, i) != LEN)
			return KSFT_FAIL;
	while (!*argv[1] && read(STDIN_FILENO, &c, 1) > 0)
		;
	return KSFT_PASS;
}
