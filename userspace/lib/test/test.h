/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the library share
 */
#ifndef TEST_H
#define TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libmpmcq.h>

#define SIZE	32	/* longest message of queues that are made for a test */

/**
 * struct test - a test
 * @name: what it shows
 * @run: calls IS() and TRUE()
 */
struct test {
	const char *name;
	void (*run)(void);
};

extern const struct test queue_tests[], message_tests[], lease_tests[], save_tests[];
extern const struct test process_tests[], stuck_tests[], denied_tests[], memory_tests[];

void test_is(const char *file, int line, const char *what, long want, long got);
/* This kernel cannot do what the test needs. */
void test_skip(const char *what, const char *why);

#define IS(want, what)	test_is(__FILE__, __LINE__, #what, want, what)
#define TRUE(what)	test_is(__FILE__, __LINE__, #what, 1, !!(what))

/* A private queue of 8 messages of SIZE bytes, and by members of struct mpmcq_create. */
int make_private(struct mpmcq_create like);
#define PRIVATE(...)	make_private((struct mpmcq_create){ \
	.capacity = 8, .msg_size = SIZE, .open_flags = O_RDWR | O_NONBLOCK, __VA_ARGS__ })
/* The same with a name. */
int make_named(const char *name, struct mpmcq_create like);
#define NAMED(name, ...)	make_named(name, (struct mpmcq_create){ \
	.capacity = 8, .msg_size = SIZE, .mode = 0600, __VA_ARGS__ })

#define NOBODY	65534	/* a user */

/* Calls @run in a child, which may change what it likes. */
void in_child(void (*run)(void));
/* In a child: mounts that others do not see, and one of its own at /dev/mpmcqfs. */
void own_mounts(void);
void own_mount(const char *options);
/* Forbids this process to read and write until the descriptor is closed; negative if it cannot. */
int deny_by_bpf(void);
void write_text(const char *path, const char *text);
/* A handler of mpmcq_run_worker(). */
int handle_nothing(int fd, const struct mpmcq_msg *msg, const void *data, void *arg);

int attach(int fd, unsigned int modes, unsigned int max_held);
struct mpmcq_info info_of(int fd);
/* Sends a text; receives one, and returns whether it is @text. */
int put(int fd, const char *text);
bool got(int fd, const char *text);
/* Takes a message from a packed file into @msg; the length, or an errno. */
int take(int fd, struct mpmcq_msg *msg, char *text);

#endif /* TEST_H */
