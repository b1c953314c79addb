// SPDX-License-Identifier: GPL-2.0-only
/*
 * Controls of the fuzzer: wrong results of requests: arguments, modes, peeks, forwards, names.
 */

#include "control.h"

#define refused(check, ...) ({ \
	struct expected e_ = NOTHING; \
	check(__VA_ARGS__, self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })
#define create_refused(...) ({ \
	struct expected e_ = NOTHING; \
	check_create((&(struct mpmcq_create){ __VA_ARGS__ }), true, &e_); \
	e_.errors ? e_.error[0] : 0; })
#define named_refused(...)	create_refused(.name = 1, __VA_ARGS__)
#define attach_refused(...)	refused(check_attach, (&(struct mpmcq_attach){ __VA_ARGS__ }))
#define mode_refused(...)	refused(check_mode, (&(struct mpmcq_mode){ __VA_ARGS__ }))
#define peek_refused(...)	refused(check_peek, (&(struct mpmcq_peek){ __VA_ARGS__ }))
#define forward_refused(...) ({ \
	struct expected e_ = NOTHING; \
	check_forward((&(struct mpmcq_forward){ __VA_ARGS__ }), &e_); \
	e_.errors ? e_.error[0] : 0; })
#define settle_refused(op_, ...) \
	refused(check_settle, (&(struct mpmcq_settle){ .op = MPMCQ_SETTLE_##op_, __VA_ARGS__ }))

TEST_F(control, arguments)
{
	EXPECT_EQ(0, create_refused(.open_flags = O_RDWR));
	EXPECT_EQ(0, named_refused(.capacity = 2, .msg_size = 1, .mode = 0777));
	EXPECT_EQ(0, named_refused(.flags = MPMCQ_EXIST_OK | MPMCQ_DROP_OLDEST));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 1));
	EXPECT_EQ(-EINVAL, create_refused(.capacity = 12));
	EXPECT_EQ(-EINVAL, create_refused(.msg_size = 65537));
	EXPECT_EQ(-EINVAL, create_refused(.flags = 32));
	EXPECT_EQ(-EINVAL, create_refused(.flags = MPMCQ_EXIST_OK));
	EXPECT_EQ(-EINVAL, create_refused(.mode = 0600));
	EXPECT_EQ(-EINVAL, named_refused(.mode = 01000));
	EXPECT_EQ(-EINVAL, named_refused(.open_flags = O_RDWR));
	EXPECT_EQ(-EFBIG, create_refused(.capacity = 1048576, .msg_size = 65536));
	EXPECT_EQ(0, attach_refused(.open_flags = O_RDWR, .modes = MPMCQ_MODE_LEASE,
				    .max_held = 1));
	EXPECT_EQ(-EINVAL, attach_refused(.open_flags = O_ACCMODE));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = 16));
	EXPECT_EQ(-EINVAL, attach_refused(.modes = MPMCQ_MODE_META));
	EXPECT_EQ(0, attach_refused(.modes = MPMCQ_MODE_META | MPMCQ_MODE_PACKED));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_META));
	EXPECT_EQ(0, mode_refused(.modes = MPMCQ_MODE_META | MPMCQ_MODE_PACKED));
	EXPECT_EQ(-EINVAL, attach_refused(.max_held = 1));
	EXPECT_EQ(-EBADF, attach_refused(.open_flags = O_WRONLY, .modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(0, mode_refused(.modes = MPMCQ_MODE_LEASE, .max_held = MPMCQ_MAX_HELD_MAX));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_LEASE,
					.max_held = MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, mode_refused(.modes = MPMCQ_MODE_DEAD));
	EXPECT_EQ(-EINVAL, mode_refused(.priority = 1));
	EXPECT_EQ(-EINVAL, attach_refused(.priority = 1));
	self->q->like.levels = 2;
	EXPECT_EQ(0, mode_refused(.priority = 1));
	EXPECT_EQ(0, attach_refused(.priority = 1));
	EXPECT_EQ(-EINVAL, mode_refused(.priority = 2));
	EXPECT_EQ(-EINVAL, create_refused(.levels = MPMCQ_LEVELS_MAX + 1));
	EXPECT_EQ(0, settle_refused(ACK, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = 0));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .flags = MPMCQ_SETTLE_ALL, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_UNTRIED, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(TOUCH, .flags = MPMCQ_SETTLE_UNTRIED, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = 1, .delay_ms = 1));
	EXPECT_EQ(-EOPNOTSUPP, settle_refused(NACK, .flags = MPMCQ_SETTLE_DELAY, .count = 1));
	self->q->like.flags |= MPMCQ_DELAY;
	EXPECT_EQ(0, settle_refused(NACK, .flags = MPMCQ_SETTLE_DELAY, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .count = 1, .delay_ms = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .count = 1, .flags = MPMCQ_SETTLE_DELAY |
						MPMCQ_SETTLE_FRONT));
	EXPECT_EQ(-EINVAL, settle_refused(ACK, .count = MPMCQ_MAX_HELD_MAX + 1));
	EXPECT_EQ(-EINVAL, refused(check_settle, (&(struct mpmcq_settle){ .count = 1 })));
	EXPECT_EQ(-EINVAL, refused(check_settle,
				   (&(struct mpmcq_settle){ .op = 6, .count = 1 })));
	EXPECT_EQ(-EINVAL, settle_refused(REVIVE, .count = 1));
	self->f->modes = MPMCQ_MODE_DEAD;
	EXPECT_EQ(0, settle_refused(REVIVE, .count = 1));
	EXPECT_EQ(-EINVAL, settle_refused(NACK, .flags = MPMCQ_SETTLE_FRONT, .count = 1));
	self->f->access = O_RDONLY;
	EXPECT_EQ(-EBADF, settle_refused(REVIVE, .count = 1));
	self->f->modes = 0;
	self->f->access = O_RDWR;
	self->f->access = O_RDONLY;
	EXPECT_EQ(-EACCES, attach_refused(.open_flags = O_RDWR));
	EXPECT_EQ(-EBADF, refused(check_dead, (&(struct mpmcq_dead){}), true));
	EXPECT_EQ(0, refused(check_dead, (&(struct mpmcq_dead){}), false));
	self->f->access = O_WRONLY;
	EXPECT_EQ(-EBADF, mode_refused(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBADF, settle_refused(ACK, .count = 1));
}

TEST_F(control, forward_arguments)
{
	EXPECT_EQ(0, forward_refused());
	EXPECT_EQ(0, forward_refused(.buf = 1, .len = 65536));
	EXPECT_EQ(-EINVAL, forward_refused(.flags = 1));
	EXPECT_EQ(-EINVAL, forward_refused(.buf = 1));
	EXPECT_EQ(-EINVAL, forward_refused(.len = 1));
	EXPECT_EQ(-EMSGSIZE, forward_refused(.buf = 1, .len = 65537));
}

TEST_F(control, peek_arguments)
{
	const __u32 seq = MPMCQ_PEEK_SEQ, next = MPMCQ_PEEK_NEXT;

	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_READY, .position = 7));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_DEAD, .flags = seq, .seq = 1));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_PARKED));
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_PARKED, .flags = next, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = 0));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED + 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .flags = seq));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .flags = next, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED, .flags = 3, .seq = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_PARKED, .position = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_READY, .priority = 1));
	self->q->like.levels = 2;
	EXPECT_EQ(0, peek_refused(.where = MPMCQ_PEEK_READY, .priority = 1));
	EXPECT_EQ(-EINVAL, peek_refused(.where = MPMCQ_PEEK_DEAD, .priority = 1));
	self->f->access = O_WRONLY;
	EXPECT_EQ(-EBADF, peek_refused(.where = MPMCQ_PEEK_READY));
}

TEST_F(control, modes_stay)
{
#define mode_set(...) ({ \
	struct expected e_ = NOTHING; \
	expect_mode((&(struct mpmcq_mode){ __VA_ARGS__ }), self->f, &e_); \
	e_.errors ? e_.error[0] : 0; })

	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_PACKED));
	lease(0, 2);
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE));
	EXPECT_EQ(-EBUSY, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 1));
	EXPECT_EQ(-EBUSY, mode_set(.modes = 0));
}

/* One with which the file began may be replaced once, if the file was not read. */
TEST_F(control, start_lease)
{
	begin_with_lease(self->f);
	EXPECT_EQ(0, (int)self->f->modes);
	self->q->like.flags = MPMCQ_START_LEASE;
	self->f->access = O_WRONLY;
	begin_with_lease(self->f);
	EXPECT_EQ(0, (int)self->f->modes);
	self->f->access = O_RDWR;
	begin_with_lease(self->f);
	EXPECT_EQ(MPMCQ_MODE_LEASE, (int)self->f->modes);
	EXPECT_EQ(1, (int)self->f->max_held);
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_PACKED));
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 2));
	set_modes(self->f, MPMCQ_MODE_LEASE, 2);
	EXPECT_EQ(2, (int)self->f->max_held);
	EXPECT_EQ(-EBUSY, mode_set(.modes = MPMCQ_MODE_PACKED));
	EXPECT_EQ(0, mode_set(.modes = MPMCQ_MODE_LEASE, .max_held = 2));
}

#define peek(...)	((struct mpmcq_peek){ __VA_ARGS__ })
#define ready_at(n, ...)	peek(.where = MPMCQ_PEEK_READY, .position = n, __VA_ARGS__)

/* Whether that may be what a peek into a buffer of @len_ bytes returns, of which @there_ are. */
#define peeked(ret, len_, there_, p_) ({ \
	struct mpmcq_peek asked_ = p_; \
	struct expected e_ = NOTHING; \
	struct sight sight_; \
	asked_.buf_len = len_; \
	sight_ = look_at(self->q, &asked_); \
	expect_peek(self->q, &asked_, &sight_, there_, &e_); \
	as_expected(&e_, ret); })

TEST_F(control, peek_results)
{
	bool crowd = !self->q->exact;
	struct message *m;

	self->q->like.levels = 2;
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_at(0)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(0)));
	EXPECT_EQ(crowd, peeked(-EAGAIN, 64, 64, ready_at(0)));
	EXPECT_FALSE(peeked(-ESTALE, 64, 64, ready_at(0)));
	send(0, 20, .priority = 1);
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(0)));
	EXPECT_TRUE(peeked(0, 64, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, ready_at(1, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 64, peek(.where = MPMCQ_PEEK_RETURNED)));
	EXPECT_TRUE(peeked(0, 0, 0, ready_at(0, .priority = 1)));
	EXPECT_TRUE(peeked(-EMSGSIZE, 19, 0, ready_at(0, .priority = 1)));
	EXPECT_FALSE(peeked(-EMSGSIZE, 0, 64, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 19, 64, ready_at(0, .priority = 1)));
	EXPECT_TRUE(peeked(-EFAULT, 64, 19, ready_at(0, .priority = 1)));
	EXPECT_EQ(crowd, peeked(0, 64, 19, ready_at(0, .priority = 1)));
	EXPECT_FALSE(peeked(-EFAULT, 64, 64, ready_at(0, .priority = 1)));

	/* Of one whose name is not known yet it cannot be known whether it has that one. */
#define ready_seq(seq_)	ready_at(0, .flags = MPMCQ_PEEK_SEQ, .seq = seq_, .priority = 1)
	EXPECT_TRUE(peeked(0, 64, 64, ready_seq(SEQ(1, 1))));
	if (crowd)
		return;
	m = at(&self->q->ready, 0);
	m->seq = SEQ(1, 0);
	EXPECT_FALSE(peeked(0, 64, 64, ready_seq(SEQ(1, 1))));
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 1))));
	EXPECT_TRUE(peeked(0, 64, 64, ready_seq(SEQ(1, 0))));
	EXPECT_FALSE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 0))));
	self->q->fuzzy = true;
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, ready_seq(SEQ(1, 0))));
}

TEST_F(control, peek_next)
{
#define after(seq_)	peek(.where = MPMCQ_PEEK_PARKED, .flags = MPMCQ_PEEK_NEXT, .seq = seq_)
	bool crowd = !self->q->exact;

	delays();
	EXPECT_TRUE(peeked(-ESTALE, 64, 64, after(SEQ(1, 0))));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, after(SEQ(1, 0))));
	send(0, 20, .delay_ms = HOUR, .seq = SEQ(1, 1));
	send(1, 20, .delay_ms = 2 * HOUR, .seq = SEQ(1, 0));
	EXPECT_TRUE(peeked(0, 64, 64, after(SEQ(1, 1))));
	EXPECT_EQ(crowd, peeked(-ENOENT, 64, 64, after(SEQ(1, 1))));
	EXPECT_TRUE(peeked(-ENOENT, 64, 64, after(SEQ(1, 0))));
	EXPECT_TRUE(peeked(-ESTALE, 64, 64, after(SEQ(2, 0))));
	EXPECT_EQ(crowd, peeked(-ESTALE, 64, 64, after(SEQ(1, 0))));
}

/* What is wrong in what PEEK says of the first ready message; @data is number @n of 20 bytes. */
#define seen(n, ...) ({ \
	bool stamped_ = self->q->like.flags & MPMCQ_STAMP; \
	struct mpmcq_peek p_ = { \
		.where = MPMCQ_PEEK_READY, .len = 20, .found = SEQ(3, 1), \
		.uid = stamped_ ? geteuid() : NOBODY, .gid = stamped_ ? getegid() : NOBODY, \
	}; \
	const struct mpmcq_peek said_ = { __VA_ARGS__ }; \
	struct sight sight_ = look_at(self->q, &p_); \
	p_.len += said_.len; \
	p_.found += said_.found; \
	p_.deliveries += said_.deliveries; \
	p_.delay_ms += said_.delay_ms; \
	p_.state += said_.state; \
	p_.reason += said_.reason; \
	p_.msg_priority += said_.msg_priority; \
	p_.age_ns += said_.age_ns; \
	p_.uid += said_.uid; \
	p_.gid += said_.gid; \
	write_message(self->buf, 20, 0, n); \
	misseen(self->world, self->q, &p_, &sight_, self->buf); })

TEST_F(control, peeked)
{
	bool crowd = !self->q->exact;

	send(0, 20);
	send(1, 20);
	EXPECT_EQ(NULL, seen(0));
	EXPECT_EQ(crowd, !seen(1));
	EXPECT_NE(NULL, seen(2));
	EXPECT_NE(NULL, seen(0, .len = 1));
	EXPECT_NE(NULL, seen(0, .found = 1 << SEQ_SHIFT));
	EXPECT_EQ(crowd, !seen(0, .deliveries = 1));
	EXPECT_NE(NULL, seen(0, .deliveries = 3));
	EXPECT_NE(NULL, seen(0, .delay_ms = 1));
	EXPECT_EQ(crowd, !seen(0, .state = MPMCQ_STATE_SUSPECT));
	EXPECT_NE(NULL, seen(0, .state = 2));
	EXPECT_NE(NULL, seen(0, .reason = 1));
	EXPECT_NE(NULL, seen(0, .msg_priority = 1));
	EXPECT_NE(NULL, seen(0, .age_ns = 1));
	EXPECT_NE(NULL, seen(0, .uid = 1));
	EXPECT_NE(NULL, seen(0, .gid = 1));
	EXPECT_EQ(NULL, seen(0));
}

TEST_F(control, peeked_stamps)
{
	self->q->like.flags |= MPMCQ_STAMP;
	send(0, 20);
	EXPECT_EQ(NULL, seen(0));
	EXPECT_NE(NULL, seen(0, .age_ns = -1));
	EXPECT_NE(NULL, seen(0, .uid = 1));
	EXPECT_NE(NULL, seen(0, .gid = 1));
}

TEST_F(control, peeked_delays)
{
	struct mpmcq_peek p = {
		.where = MPMCQ_PEEK_PARKED, .len = 20, .found = SEQ(1, 0), .delay_ms = HOUR - 10,
		.uid = NOBODY, .gid = NOBODY,
	};
	struct sight sight;

	delays();
	self->world->began -= 1000000000;
	send(0, 20, .delay_ms = HOUR);
	sight = look_at(self->q, &p);
	EXPECT_EQ(NULL, misseen(self->world, self->q, &p, &sight, NULL));
	p.delay_ms = HOUR + 1;
	EXPECT_EQ(!self->q->exact, !misseen(self->world, self->q, &p, &sight, NULL));
	p.delay_ms = HOUR / 2;
	EXPECT_EQ(!self->q->exact, !misseen(self->world, self->q, &p, &sight, NULL));
}

/* Whether that may be what a FORWARD to the same queue, or another, returns. */
#define forward_may(ret, other_, held_, ...) ({ \
	const struct mpmcq_forward args_ = { __VA_ARGS__ }; \
	const struct message m_ = { .len = 20 }; \
	struct forwarding fw_ = { \
		.to = self->f, .args = &args_, .held = (held_) ? &m_ : NULL, \
		.from = (other_) ? NULL : self->q, \
		.request = { .file = self->f, .write = true, .may_refuse = true }, \
	}; \
	struct expected e_ = NOTHING; \
	expect_forward(&fw_, &e_); \
	as_expected(&e_, ret); })

TEST_F(control, forward_results)
{
	const bool exact = self->q->exact;
	int other;

	self->q->like.msg_size = 30;
	for (other = 0; other < 2; other++) {
		EXPECT_TRUE(forward_may(0, other, true));
		EXPECT_FALSE(forward_may(-ENOENT, other, true));
		EXPECT_TRUE(forward_may(-ENOENT, other, false));
		EXPECT_FALSE(forward_may(0, other, false));
		EXPECT_FALSE(forward_may(-EPIPE, other, true));
		EXPECT_TRUE(forward_may(0, other, true, .buf = 1, .len = 30));
		EXPECT_TRUE(forward_may(-EMSGSIZE, other, true, .buf = 1, .len = 31));
		EXPECT_FALSE(forward_may(0, other, true, .buf = 1, .len = 31));
		EXPECT_TRUE(forward_may(-EINVAL, other, true, .priority = 1));
		EXPECT_FALSE(forward_may(0, other, true, .priority = 1));
		EXPECT_TRUE(forward_may(-EOPNOTSUPP, other, true, .delay_ms = 1));
		EXPECT_FALSE(forward_may(0, other, true, .delay_ms = 1));
	}
	self->q->like.flags = MPMCQ_DELAY;
	EXPECT_TRUE(forward_may(0, true, true, .delay_ms = 1));
	send(0, 20);
	send(1, 20);
	EXPECT_TRUE(forward_may(-EAGAIN, true, true));
	EXPECT_EQ(!exact, forward_may(0, true, true));
	EXPECT_TRUE(forward_may(0, false, true));
	EXPECT_FALSE(forward_may(-EAGAIN, false, true));
	is_closed();
	EXPECT_TRUE(forward_may(-EPIPE, true, true));
	EXPECT_TRUE(forward_may(-EPIPE, false, true));
	EXPECT_EQ(!exact, forward_may(0, false, true));
}

/* What goes to another queue leaves the first, and comes there as a new one. */
TEST_F(control, forwarded)
{
	struct message m = { .number = 0, .len = 20 };
	struct queue *from = self->q;
	struct queue *to = share(sizeof(*to));

	ASSERT_TRUE(to && list_init(&to->ready, 2) && list_init(&to->parked, 2));
	to->like = from->like;
	to->exact = from->exact;
	begin_queue(self->world, to);
	lease(0, 2);
	send(0, 20);
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(LOST, account(0));
	let_go(self->world, from, at(&self->f->held, 0));
	EXPECT_EQ(0, forwarded(self->world, self->f, 0, to, m, true));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(1, (int)from->counts[ACKED]);
	EXPECT_EQ(if_exact(1), (int)to->ready.n);
	EXPECT_EQ(UNKNOWN, deliver(0, 20) & UNKNOWN);
	self->q = to;
	self->f->queue = to;
	EXPECT_EQ(LOST, account(0));
	EXPECT_EQ(0, deliver(0, 20));
	EXPECT_EQ(0, end_with(NACK));
	EXPECT_EQ(0, deliver(0, 20));
	m.number = 1;
	will_send(self->world, from, &m);
	let_go(self->world, to, at(&self->f->held, 0));
	EXPECT_EQ(0, forwarded(self->world, self->f, 0, from, m, false));
	EXPECT_EQ(0, account(0));
	EXPECT_EQ(REPEATED, deliver(0, 20) & REPEATED);
}

#define name_refused(name) ({ \
	struct expected e_ = NOTHING; \
	check_name(name, &e_); \
	e_.errors ? e_.error[0] : 0; })

TEST_F(control, names)
{
	char name[NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	EXPECT_EQ(-ENAMETOOLONG, name_refused(name));
	EXPECT_EQ(0, name_refused(name + 1));
	EXPECT_EQ(0, name_refused("-.*\n"));
	EXPECT_EQ(0, name_refused("..."));
	EXPECT_EQ(-ENOENT, name_refused(""));
	EXPECT_EQ(-EINVAL, name_refused("."));
	EXPECT_EQ(-EINVAL, name_refused(".."));
	EXPECT_EQ(-EINVAL, name_refused("a/b"));
}

TEST_F(control, existing)
{
	struct mpmcq_create like = self->q->like;

	EXPECT_FALSE(is_like(self->q, &like));
	like.flags |= MPMCQ_EXIST_OK;
	EXPECT_TRUE(is_like(self->q, &like));
	like.mode = 0666;
	EXPECT_TRUE(is_like(self->q, &like));
	like.lease_ms = 1;
	EXPECT_FALSE(is_like(self->q, &like));
	like.lease_ms = 0;
	like.flags |= MPMCQ_AUTO_CLOSE;
	EXPECT_FALSE(is_like(self->q, &like));
	like.flags = MPMCQ_EXIST_OK;
	like.levels = 2;
	EXPECT_FALSE(is_like(self->q, &like));
	like.levels = 0;
	EXPECT_TRUE(is_like(self->q, &like));
	like.capacity = 0;
	EXPECT_FALSE(is_like(self->q, &like));
	self->q->like.capacity = 1024;
	EXPECT_TRUE(is_like(self->q, &like));
}

TEST_HARNESS_MAIN
