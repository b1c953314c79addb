// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a queue, for module.sh: make_queue NAME MESSAGES
 *
 * A queue with a name is left behind with so many messages in it.  A private one,
 * with the name "", is kept until the standard input ends.
 */

#include "own_test.h"

int main(int argc, char **argv)
{
	struct mpmcq_create like = {
		.capacity = 16, .msg_size = 16, .open_flags = O_RDWR | O_NONBLOCK,
	};
	int i, fd;
	char c;

	if (argc != 3 || strlen(argv[1]) > MPMCQ_NAME_MAX)
		return KSFT_FAIL;
	strcpy(like.name, argv[1]);
	like.mode = *like.name ? 0600 : 0;
	fd = create_by_device(like);
	if (fd < 0)
		return KSFT_FAIL;
	for (i = atoi(argv[2]); i; i--)
		if (put_msg(fd, LEN, i) != LEN)
			return KSFT_FAIL;
	while (!*like.name && read(STDIN_FILENO, &c, 1) > 0)
		;
	return KSFT_PASS;
}
