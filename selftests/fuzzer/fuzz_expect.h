/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which results a call may have, of queues as they are known to be (fuzz_model.h)
 */
#ifndef MPMCQ_FUZZ_EXPECT_H
#define MPMCQ_FUZZ_EXPECT_H

#include "fuzz_model.h"

#define ERRORS	12

/* Any of these errors, or a value from @min to @max. */
struct expected {
	int errors;
	int error[ERRORS];
	ssize_t min;
	ssize_t max;
};

#define NOTHING	((struct expected){ .min = 1 })

void may_fail(struct expected *e, int error);
void may_return(struct expected *e, ssize_t min, ssize_t max);
bool as_expected(const struct expected *e, ssize_t ret);

/* The messages of a packed write, of which the first @good are well-formed. */
struct batch {
	__u32 n;
	__u32 good;
	struct expected wrong;		/* what the next one is refused with */
	struct {
		struct message m;
		__u32 end;		/* of it, with its padding */
	} of[BATCH];
};

/* A read or write, as far as its result depends on it. */
struct request {
	const struct open_file *file;
	const struct batch *batch;	/* of a packed write */
	struct message message;		/* of another write, as it is sent */
	bool write;
	bool vector;		/* that of 0 bytes does nothing, and is not wrong */
	bool may_wait;
	bool may_refuse;	/* to wait; both if others decide */
	bool cancelled;		/* in the end, rather than interrupted */
	bool early;		/* perhaps before it has begun */
	bool flaky;		/* pages come and go */
	bool faulty;		/* pages may have to be fetched, or may not be had */
	bool quiet;		/* no signal will come */
	bool deferred;		/* not by read(2) or readv(2): what was read may be had later */
	size_t total;		/* bytes asked for */
	size_t there;		/* of which so many, from the first on, are accessible */
	__u32 reopened;		/* of the queue, when the call began */
	struct expected refusal;	/* by the kernel, before the driver is asked */
};

/* What a FORWARD depends on; its arguments are all right as such. */
struct forwarding {
	const struct open_file *to;
	const struct mpmcq_forward *args;
	const struct queue *from;
	const struct message *held;	/* what is to be forwarded, or NULL */
	bool uncertain;			/* it may be held or not */
	struct request request;		/* as of a write, with the rest */
};

/* Of a queue that is exact before the call is made, of others after it. */
struct expected expect(const struct request *r);
/* Whether the driver is asked. */
bool gets_through(const struct request *r);
/* What poll may tell of @f, or has to if @must. */
__u32 ready_events(const struct open_file *f, bool must);
/* A number for the uuid, which is not 0. */
__u64 uuid_of(const struct mpmcq_info *info);
/*
 * Which member among the first @size bytes of @info is wrong; NULL if none is.  @counts is what
 * was counted when INFO was called.
 */
const char *misinformed(const struct mpmcq_info *info, __u32 size, const struct open_file *f,
			const __u64 *counts);

/*
 * Arguments: what each may be refused with is added to @e; nothing if it may not.
 */
bool are_open_flags(__u32 flags);
/* The name of a queue to be made, if it can be read. */
void check_name(const char *name, struct expected *e);
/* All but the name.  @on_directory: the call is made on a directory of mpmcqfs. */
void check_create(const struct mpmcq_create *c, bool on_directory, struct expected *e);
/* What a queue is to be like that is made so, with what 0 stands for. */
struct mpmcq_create normalized(struct mpmcq_create c);
/* Whether a CREATE with MPMCQ_EXIST_OK for that queue succeeds. */
bool is_like(const struct queue *q, const struct mpmcq_create *c);
void check_attach(const struct mpmcq_attach *a, const struct open_file *f, struct expected *e);
void check_mode(const struct mpmcq_mode *m, const struct open_file *f, struct expected *e);
/* Whether modes that are all right as such can be set: once there is a lease they stay. */
void expect_mode(const struct mpmcq_mode *m, const struct open_file *f, struct expected *e);
void check_settle(const struct mpmcq_settle *s, const struct open_file *f,
		  struct expected *e);
void check_dead(const struct mpmcq_dead *d, bool revive, const struct open_file *f,
		struct expected *e);
/* All but the files and the id. */
void check_forward(const struct mpmcq_forward *fw, struct expected *e);
/* @e has no errors but such that may be there in any case. */
void expect_forward(const struct forwarding *fw, struct expected *e);
void check_peek(const struct mpmcq_peek *p, const struct open_file *f, struct expected *e);

/*
 * fuzz_sight.c: what a peek finds
 */
struct sight {
	struct message *m;	/* or NULL, and then: */
	bool unknown;		/* it may find one */
	bool stale;		/* it asks for the one after one that is not parked */
};

/* By arguments that are all right. */
struct sight look_at(struct queue *q, const struct mpmcq_peek *p);
/* What PEEK may return, with a buffer of which so many bytes are accessible. */
void expect_peek(const struct queue *q, const struct mpmcq_peek *p, const struct sight *sight,
		 __u32 there, struct expected *e);
/* What is wrong in what PEEK has filled in, with @data unless that is NULL; NULL if nothing is. */
const char *misseen(struct world *world, const struct queue *q, const struct mpmcq_peek *p,
		    const struct sight *sight, const void *data);

#endif /* MPMCQ_FUZZ_EXPECT_H */
