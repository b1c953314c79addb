/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the fuzzer share.  A worker draws a call and makes it, all in one
 * function, call_...(); the result is judged (fuzz_expect.h), and then it is known what
 * has become of the queue (fuzz_model.h).
 */
#ifndef MPMCQ_FUZZ_H
#define MPMCQ_FUZZ_H

#include <liburing.h>
#include <limits.h>
#include <stdint.h>
#include <time.h>

#include "kselftest.h"

#include "fuzz_expect.h"

#define OWN		8	/* files a worker has to itself */
#define HOT		8	/* another one, that all in its process replace */
#define COMMON		9	/* one of each queue that all workers share, for all */
#define POOL		13	/* and two, packed and not, that hold messages for all */
#define LAST		15	/* two by which to look at a queue in the end */
#define FILES		17
#define OPEN_FILES	32
#define SEGMENTS	(IOV_MAX + 1)
#define TIMERS		2

/* Queues that all workers share: the default queue, ... */
enum { DEFAULT, DROPPING, TIMED, POOLED, SHARED };

#define OWNED_QUEUES	4	/* a worker has to itself, at a time */
#define OWNED_MOUNTS	2	/* likewise */
#define MOUNTS		(1 + OWNED_MOUNTS)	/* that a worker uses; the first is for all */
#define CONTENDED	2	/* names, and places of mounts, that all workers replace */
#define NAME_SIZE	4400	/* of what may be too long for a name, and for a path */
#define OTHER_IDS	61000	/* the first of two users, and groups */
#define STALE		64

/* What epoll was asked to tell of a file. */
struct interest {
	__u32 events;		/* 0 if it is not registered */
	bool disarmed;		/* EPOLLONESHOT has struck */
	__u32 generation;	/* of the file in its place */
};

/* The descriptors of a worker, and its timers. */
struct files {
	int fd[FILES];
	int of[FILES];			/* which open file */
	int dir[MOUNTS];		/* directories of mpmcqfs, -1 for none */
	int epoll;
	struct interest interest[FILES];
	timer_t timer[TIMERS];
};

/* Memory for buffers: the pages of one file, mapped several times. */
enum view { GOOD, READ_ONLY, FRESH, FLAKY /* the last, see lay_out() */, VIEWS };

struct arena {
	unsigned char *view[VIEWS];	/* beyond the end of which nothing is accessible */
	unsigned char *hole;		/* nor is this page */
	size_t size;
	unsigned char *text_end;	/* of pages for names; nothing is accessible behind it */
	int file;
	struct io_uring ring;
	unsigned char msg[2 * MSG_SIZE_MAX];
	struct batch batch;
	__u64 ids[MESSAGES_MAX];

	/* The buffer of the call: */
	struct iovec iov[SEGMENTS];
	int segments;
	int broken;			/* the one of them that is in the hole */
	size_t at[SEGMENTS + 1];	/* where in the pages; the last is the end */
};

/* What all workers share besides the world. */
struct stage {
	struct world *world;
	struct queue queue[SHARED];
	int queues;			/* of these; the others are not there */
	int pool[2];
	char base[PATH_SIZE];		/* folder in which all mounts are */
	struct mount mount;		/* with the queues that all workers share */
	int dir;			/* its directory */
	bool outside;			/* in the initial user namespace */
	unsigned int major;		/* number of the devices */
	__u64 overhead;			/* what a queue takes without its messages, in bytes */
	bool copy;			/* there is a copy of the node of a queue at NODE_COPY */
	__u32 longest;			/* buffer, in bytes */
};

#define NODE_COPY	"copy"		/* in the folder of mounts */

/* The user, group and capabilities that a call is made with. */
struct identity {
	uid_t uid;
	gid_t gid;
	bool able;			/* with all capabilities that the worker has; or none */
};

/* Shared by the process it runs in and by those that it forks, one at a time. */
struct worker {
	struct stage *stage;
	struct world *world;
	struct order order;
	struct arena *arena;
	__u64 seed;
	int id;
	__u32 call;			/* number of the current call */
	__u32 number;			/* of the next message */
	__u64 random;
	bool forked;
	bool parked;			/* to be killed */
	bool failed;
	bool done;			/* its pages may stay */
	bool privileged;		/* it can take other identities */
	mode_t umask;
	struct identity self;
	struct files files;
	struct open_file open[OPEN_FILES];
	struct queue own[OWNED_QUEUES];
	struct mount mount[OWNED_MOUNTS];
	__u64 stale[STALE];		/* ids of the last deliveries */
	__u32 stales;
	__u64 seqs[STALE];		/* names of messages that were seen last, of any queue */
	__u32 seqs_seen;
	int mail[2];			/* a socket, and what is in it: */
	int parcel;			/* which open file, or -1 */
};

static inline bool is_alone(const struct worker *w)
{
	return w->world->workers == 1;
}

/*
 * fuzz_draw.c: what all draw
 */

/* Below @n; the same each time for a seed, a worker, its call and how many that has drawn. */
__u32 draw(struct worker *w, __u32 n);
/* The next call begins: what it draws does not depend on what those before did. */
void draw_anew(struct worker *w);
bool one_in(struct worker *w, __u32 n);
/* Modes for MODE and ATTACH, of those in @among; some do not go together. */
__u32 draw_modes(struct worker *w, __u32 among);
__u32 draw_max_held(struct worker *w, __u32 modes);
/* For how long a file waits, in milliseconds: mostly for ever, or not for long. */
__u32 draw_timeout(struct worker *w);
/* Of a file or message of @q. */
__u32 draw_priority(struct worker *w, const struct queue *q);
/*
 * Of a message of @q that may wait, in milliseconds.  In an exact queue it is over at once, or not
 * before the test.
 */
__u32 draw_delay(struct worker *w, const struct queue *q);
#define draw_of(w, array)	(array)[draw(w, ARRAY_SIZE(array))]

void *draw_kernel_address(struct worker *w);
int draw_open_flags(struct worker *w);
/* All but the size is anything. */
void draw_garbage(struct worker *w, void *args, __u32 size);

/* A struct for the kernel, which may be laid out so that it has to be refused. */
struct args {
	unsigned char *at;
	bool read_only;			/* nothing can come back */
	struct expected refusal;
};

/*
 * Gives @args, which begins with its size, any size and tail, and puts it at the end of
 * the pages, or over it.  @least is the size of the first that was published.  What comes
 * back may have no place there.
 */
struct args lay_out_args(struct worker *w, void *args, __u32 known, __u32 least,
			 bool may_be_read_only);
/* With any size in @cmd. */
int call_args(struct worker *w, int fd, unsigned int cmd, const struct args *a);

/*
 * fuzz_tell.c: failures.  The first of a worker is told, and is its end.
 */
void complain(struct worker *w, const char *call, ssize_t ret, const char *instead);
/* The call has to have returned what was expected; whether it has. */
bool returned(struct worker *w, const char *call, ssize_t ret, const struct expected *e);
/* That, where there is only one result. */
bool has_to(struct worker *w, const char *call, ssize_t ret, ssize_t result);
void tell_faults(struct worker *w, const char *call, ssize_t ret, int faults);

/*
 * fuzz_files.c: the files of a worker
 */
static inline struct open_file *open_file(struct worker *w, int i)
{
	return &w->open[w->files.of[i]];
}

/* Any that the worker may use: mostly one of its own. */
int draw_file(struct worker *w);
/* A new descriptor is to be file @i; what else is to be known of it can be set. */
struct open_file *put_file(struct worker *w, int i, int fd, struct queue *q, int flags, __u32 modes,
			   __u32 max_held);
/* The same of one that was opened by open(2) or CREATE, and has the modes that the queue gives. */
void put_opened(struct worker *w, int i, int fd, struct queue *q, int flags);
void close_file(struct worker *w, int i);
void open_default(struct worker *w, int i);
int attach(int fd, int flags, __u32 modes, __u32 max_held);

/*
 * A child of another thread has all descriptors for a moment.  What the last close
 * of an open file does cannot be expected meanwhile.
 */
extern pthread_mutex_t forking;

/* Around what closes a descriptor of @f. */
void before_close(struct worker *w, const struct open_file *f);
void after_close(struct worker *w, struct open_file *f);

void call_open(struct worker *w);
void call_attach(struct worker *w);
void call_dup(struct worker *w);
void call_mail(struct worker *w);

/*
 * fuzz_names.c: queues with names
 */

/* Whether this thread has capabilities and can take other identities. */
bool is_privileged(void);
struct identity draw_identity(struct worker *w);
/* Makes the calls that follow with that identity; and again with the worker's own. */
void become(struct worker *w, const struct identity *id);
void be_oneself(struct worker *w);
/* Whether @id may do @want, as of access(2), with what has that owner and mode. */
bool may_access(struct worker *w, const struct identity *id, uid_t uid, gid_t gid, mode_t mode,
		int want);
/* One of the names that all create and remove. */
void name_contended(char *name, int i);
/* A name of the worker's own, of at least NAME_MAX + 1 bytes with its end. */
void name_own(struct worker *w, char *name, int i);
/* Queue @name of mount @m, among those that this worker has to do with. */
struct queue *find_queue(struct worker *w, const struct mount *m, const char *name);
/* The queue, if there was one, has lost its name. */
void lose_name(struct queue *q);

void call_create(struct worker *w);
void call_open_name(struct worker *w);
void call_reopen(struct worker *w);
void call_unlink(struct worker *w);
void call_change(struct worker *w);
void call_contended(struct worker *w);

/*
 * fuzz_buffer.c: memory to read and write
 */

/* False if memory or a descriptor is not to be had. */
bool new_arena(struct worker *w);
/* Of a message for a queue of such as have @longest bytes at most; it may be too long. */
size_t draw_length(struct worker *w, __u32 longest, bool write);
/* Of a packed read. */
size_t draw_room(struct worker *w, const struct open_file *f);
int draw_segments(struct worker *w);
/*
 * Makes a buffer of @len bytes in so many segments, apart by MARGIN, and finds out
 * how much of it is accessible.
 */
void lay_out(struct worker *w, struct request *r, size_t len, int segments, bool bad);
/* Copies what is to be written to the buffer, or @len bytes of what was read back. */
void scatter(struct arena *a);
void collect(struct arena *a, size_t len);
/* Whether nothing was written before, between and after the segments. */
bool gaps_are_junk(const struct arena *a);

/*
 * fuzz_batch.c: packed writes
 */

/* Makes one, in the arena; how many bytes. */
size_t draw_batch(struct worker *w, const struct open_file *f);
/* Adds the worker's next message, as @f writes it. */
void pack_message(struct worker *w, struct batch *b, const struct open_file *f, __u32 len);
/* How many messages @bytes of the batch are; -1 if they are not whole. */
int messages_in(const struct batch *b, ssize_t bytes);

/*
 * fuzz_transfer.c: reads and writes
 */

/* A write returned @ret. */
void has_written(struct worker *w, const struct request *r, const char *name, ssize_t ret);
/* After a call: whether a queue that is exact is to be filled or emptied now. */
void turn(struct queue *q);

void call_transfer(struct worker *w);

/*
 * fuzz_leases.c: modes, leases, dead messages
 */
void call_mode(struct worker *w);
void call_settle(struct worker *w);
void call_dead(struct worker *w);

/*
 * fuzz_close.c: the end of queues, and of delays
 */
void reopen_queue(struct worker *w, struct queue *q, int fd);
/* With @all_due, of a queue with delays, what was parked is ready afterwards if it is exact. */
void close_queue(struct worker *w, struct queue *q, int fd, bool all_due);

void call_close(struct worker *w);

/* An id for a call about what @f holds. */
__u64 draw_id(struct worker *w, const struct open_file *f);
/* Mostly one that may hold messages. */
int draw_leased_file(struct worker *w);

/*
 * fuzz_forward.c: forwarding
 */
void call_forward(struct worker *w);

/*
 * fuzz_peek.c: peeking
 */
void remember_seq(struct worker *w, __u64 seq);

void call_peek(struct worker *w);

/*
 * fuzz_poll.c: events
 */

/* Timers that signal this thread: one whose signal restarts calls, one not. */
void new_timers(struct worker *w);
/* Signals to come soon, and again: the call will not wait for long. */
void start_timers(struct worker *w);
/* Once it returns no signal comes of them any more. */
void stop_timers(struct worker *w);

void call_set_flags(struct worker *w);
void call_poll(struct worker *w);
void call_select(struct worker *w);
void call_epoll_ctl(struct worker *w);
void call_epoll_wait(struct worker *w);

/*
 * fuzz_show.c: what can be learnt of a queue
 */

/* What queues count, as INFO and sysfs name it. */
extern const char *const counters[PURGED];
__u64 counter_of(const struct mpmcq_info *info, enum count which);

/* Compares what statfs(2) and readdir(3) tell of mount @k with what is known. */
void check_statfs(struct worker *w, int k);
void check_list(struct worker *w, int k);

void call_next_len(struct worker *w);
void call_info(struct worker *w);
void call_show(struct worker *w);
void call_stat(struct worker *w);
void call_show_mount(struct worker *w);

/*
 * fuzz_wrong.c: what a queue cannot do
 */
void call_ioctl(struct worker *w);
void call_wrong(struct worker *w);
void call_wrong_directory(struct worker *w);

/*
 * fuzz_fork.c: processes that come to an end
 */
void call_fork(struct worker *w);
void call_doomed(struct worker *w);

/*
 * fuzz_stage.c: what all workers share
 */

/*
 * Makes this process have mounts of its own, in a user namespace of its own if @inside; NULL,
 * or why that cannot be.
 */
const char *enter_namespaces(struct stage *stage, bool inside);
/* The opposite, in the end: what is mounted goes. */
void leave_namespaces(struct stage *stage);
/* The queues that all use, and what they have of them; false if they are not to be had. */
bool set_up(struct stage *stage, int fd, bool alone);
/* As many as work, and one who judges in the end; NULL without memory. */
struct worker *new_workers(struct stage *stage, __u64 seed);
/* In the process it runs in: what a worker has of the stage. */
void begin_work(struct worker *w);

/*
 * fuzz_mounts.c: mounts
 */
static inline struct mount *mount_of(struct worker *w, int k)
{
	return k ? &w->mount[k - 1] : &w->stage->mount;
}

/* A mount that the worker can use; mostly one of its own. */
int draw_mount(struct worker *w);
int open_directory(const char *path);
/* How many queues there are in a mount that is exact. */
__u32 queues_in(struct worker *w, const struct mount *m);
/* What these take, in bytes: at least, and at most. */
__u64 least_bytes_in(struct worker *w, const struct mount *m);
__u64 most_bytes_in(struct worker *w, const struct mount *m);
__u64 least_bytes(const struct mpmcq_create *c);
__u64 most_bytes(const struct stage *stage, const struct mpmcq_create *c);

void call_mount(struct worker *w);
void call_contended_mount(struct worker *w);
/* Stores the path of the @i-th place where all mount. */
void name_contended_mount(struct stage *stage, char *path, int i);
/* Unmounts what the worker has mounted, which nothing keeps busy any more. */
void end_mounts(struct worker *w);

/*
 * fuzz_work.c: the workers
 */
void any_call(struct worker *w);
/* A process with @n workers, the first of which is @w; its exit status. */
int run_process(struct worker *w, int n);

/*
 * fuzz_settle.c: the end
 */

/*
 * A queue that nobody else uses any more has to be as it was predicted, to the last
 * message; and it has to be of use yet.
 */
void settle(struct worker *w, struct queue *q);
/* Unlinks it, unless its mount is read-only. */
void remove_queue(struct worker *w, struct queue *q);
/* When all workers have ended: what they shared.  Whether all is well with it. */
bool judge_shared(struct worker *w);

#endif /* MPMCQ_FUZZ_H */
