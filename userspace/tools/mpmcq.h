/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_TOOL_H
#define _MPMCQ_TOOL_H

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/stat.h>

#include <linux/mpmcq.h>

#define DEFAULT_QUEUE	"/dev/mpmcq"
#define FSTYPE		"mpmcqfs"
#define MOUNT		"/dev/" FSTYPE	/* a NAME without a '/' is a file in it */

/* Every queue is opened with these. A terminal that was named by mistake stays as it is. */
#define OPEN_FLAGS	(O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

enum {
	EXIT_USAGE = 2,
	EXIT_WOULD_BLOCK = 3,
};

/*
 * Options of all commands, for the tables of getopt_long(). The "+" ends them at the first
 * message, because a later one may begin with a '-'.
 */
#define COMMON_OPTIONS		"+q:hV"
#define COMMON_LONG_OPTIONS \
	{ "queue", required_argument, NULL, 'q' }, \
	{ "help", no_argument, NULL, 'h' }, \
	{ "version", no_argument, NULL, 'V' }

/* Options of the commands that may wait. */
#define WAITING_OPTIONS		COMMON_OPTIONS "nt:"
#define WAITING_LONG_OPTIONS \
	COMMON_LONG_OPTIONS, \
	{ "nonblock", no_argument, NULL, 'n' }, \
	{ "timeout", required_argument, NULL, 't' }

extern const char *queue_name;	/* as --queue has it; NULL: the default queue */
extern int timeout_ms;		/* for each message; negative: no limit */

noreturn void usage_hint(void);
#define usage_error(...) do { warnx(__VA_ARGS__); usage_hint(); } while (0)

void common_option(int opt);
void waiting_option(int opt);
uint32_t parse_seconds(const char *arg, uint32_t max_ms);
void no_queue_option(const char *command);
void no_arguments(int argc, char **argv);
unsigned long parse_number(const char *arg, unsigned long min, unsigned long max,
			   const char *what);
void set_once(int *choice, int value, const char *choices);

/**
 * struct place - where a queue with a name is, or is to be
 * @path: its path
 * @dir: path of its directory
 * @file: its name there
 */
struct place {
	const char *path;
	const char *dir;
	const char *file;
};

struct place find_place(const char *name);
const char *why_no_queues(const char *dir);
const char *queue_path(void);
const char *queue_text(void);
const char *queue_option(void);
bool get_info(int fd, struct mpmcq_info *info);
const char *try_open_queue(int flags, int *fd, struct mpmcq_info *info);
int open_queue(int flags, struct mpmcq_info *info);
int attach_queue(int fd, struct mpmcq_attach *attach);

const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *printable(const char *name);
const char *owner_text(uid_t uid);
const char *group_text(gid_t gid);
const char *mode_text(mode_t mode);
const char *access_text(const struct stat *st);
void *allocate(size_t size);

int64_t now_ns(void);
int64_t now_ms(void);
int time_left(int64_t start);
bool set_time_left(int fd, int64_t start);
bool wait_for(struct pollfd *fds, nfds_t n, int64_t start);

/**
 * struct receiver - how messages are taken from a queue, and what becomes of them
 * @fd: the queue; does not block
 * @msg_size: its longest message
 * @count: how many to take, 0 for no limit
 * @taken: how many were taken
 * @tail: what is printed after each message
 * @tail_length: how many bytes that are
 * @command: what is run for each message instead of printing it, or NULL
 * @failed: how many runs of it failed
 */
struct receiver {
	int fd;
	size_t msg_size;
	unsigned long count;
	unsigned long taken;
	const char *tail;
	size_t tail_length;
	const char *command;
	unsigned long failed;
};

/* Why no more messages are taken. */
enum outcome { ENOUGH, CLOSED, EMPTY };

enum outcome receive_messages(struct receiver *r);
void set_tail(struct receiver *r, int form);

extern volatile sig_atomic_t signal_seen;	/* the last that was noted; 0: none */
extern int stop_fd;	/* readable once a signal was caught */

void add_ending_signals(sigset_t *set);
void hold_signals_back(void);
void let_signals_through(void);
void note_signal(int number);
void catch_signals(void);
void catch_no_signals(void);
void stop_waits_on(int fd);
void die_of_signal(void);

void prepare_work(struct receiver *r);
void work_on_message(struct receiver *r, const char *message, size_t length);

/**
 * struct command - a command of the program
 * @name: its name
 * @usage: what follows "mpmcq " in its first line of help
 * @summary: what it does, in one line
 * @help: its options, for --help
 * @run: reads them from argv[1] on, and does it
 */
struct command {
	const char *name;
	const char *usage;
	const char *summary;
	const char *help;
	void (*run)(int argc, char **argv);
};

extern const struct command bench_command, close_command, create_command, dead_command;
extern const struct command destroy_command, doctor_command, dump_command, info_command;
extern const struct command list_command, metrics_command, peek_command, receive_command;
extern const struct command reopen_command, restore_command, save_command, send_command;
extern const struct command top_command, wait_command;

#endif /* _MPMCQ_TOOL_H */
