/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_TOOL_H
#define _MPMCQ_TOOL_H

#include <getopt.h>
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

/*
 * Every queue is opened with these. A terminal that was named by mistake stays as it is. A call
 * that waits uses an open file of its own, see attach_queue().
 */
#define OPEN_FLAGS	(O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

enum {
	EXIT_USAGE = 2,
	EXIT_WOULD_BLOCK = 3,
	EXIT_CONFIG = 78,	/* EX_CONFIG of sysexits.h */
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
