// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be learnt of a queue: by requests, and by sysfs and fdinfo
 */
#include "fuzz.h"

void call_next_len(struct worker *w)
{
	int i = draw_file(w), len = next_len(w->files.fd[i]);
	const struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	bool dead = has_mode(f, MPMCQ_MODE_DEAD);
	struct expected e = { .max = q->like.msg_size };
	__u32 n;

	if (!readable(f)) {
		e = NOTHING;
		may_fail(&e, -EBADF);
	} else if (q->exact) {
		e = NOTHING;
		if (!waiting(q, dead))
			may_return(&e, 0, 0);
		for (n = 0; n < choices(q, dead) && !as_expected(&e, len); n++)
			may_return(&e, nth(q, dead, n)->len, nth(q, dead, n)->len);
	}
	returned(w, "ioctl: FIONREAD", len, &e);
}

/* INFO with any size, flags and tail, at the end of the pages or over it. */
void call_info(struct worker *w)
{
	struct mpmcq_info info = { .flags = one_in(w, 8) ? 1U << draw(w, 32) : 0 };
	struct args a = lay_out_args(w, &info, sizeof(info), MPMCQ_INFO_SIZE_VER0, true);
	int i = draw_file(w), ret;
	__u32 size = info.size;
	struct expected e = a.refusal;
	const char *field;
	char text[64];

	if (!e.errors && a.read_only)
		may_fail(&e, -EFAULT);
	else if (!e.errors)
		may_return(&e, 0, 0);
	ret = call_args(w, i, MPMCQ_IOC_INFO, &a);
	if (!returned(w, "ioctl: INFO", ret, &e) || ret)
		return;
	memcpy(&info, a.at, size < sizeof(info) ? size : sizeof(info));
	field = misinformed(&info, size, open_file(w, i));
	if (field) {
		snprintf(text, sizeof(text), ", with a wrong %s", field);
		complain(w, "ioctl: INFO", ret, text);
	}
}

/* What is behind @key, with which a line of a file begins; "" if none does. */
static const char *shown(const char *path, const char *key)
{
	static __thread char text[512];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	char *at = text;

	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	while (at && strncmp(at, key, strlen(key))) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	if (!at)
		return "";
	at[strcspn(at, "\n")] = '\0';
	return at + strlen(key);
}

long number_in(const char *path, const char *key)
{
	const char *text = shown(path, key);

	return *text ? strtol(text, NULL, 10) : -1;
}

/* All that sysfs shows of a queue. */
static void check_sysfs(struct worker *w, const struct queue *q)
{
	/* The first 4 are so whatever others do, and the last 6 count from the start. */
	const struct {
		const char *name;
		__u64 value;
	} attrs[] = {
		{ "capacity", q->like.capacity }, { "msg_size", q->like.msg_size },
		{ "max_deliveries", q->like.max_deliveries },
		{ "lease_ms", q->like.lease_ms }, { "closed", q->closed },
		{ "depth", waiting(q, false) }, { "dead", q->dead.n }, { "leased", q->leased },
		{ "sent", q->counts[SENT] }, { "received", q->counts[RECEIVED] },
		{ "acked", q->counts[ACKED] }, { "returned", q->counts[RETURNED] },
		{ "rejected", q->counts[REJECTED] }, { "dropped", q->counts[DROPPED] },
	};
	int i = draw(w, ARRAY_SIZE(attrs));
	char folder[96], path[128];
	long value;

	path_of(q, "/sys/class/mpmcq", folder, sizeof(folder));
	snprintf(path, sizeof(path), "%s/%s", folder, attrs[i].name);
	value = number_in(path, "");
	if (i < 4 || (q->exact && (i < 8 || q != &w->stage->queue[DEFAULT])))
		has_to(w, path, value, attrs[i].value);
	else if (value < 0)
		complain(w, path, value, "");
}

static void check_fdinfo(struct worker *w, int i)
{
	static const char *const modes[] = {
		"plain", "packed", "lease", "packed lease", "dead", "packed dead",
	};
	const struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	char path[64], name[96] = "private";
	struct expected e = { .max = q->like.capacity };

	if (!has_no_name(&q->like))
		path_of(q, "", name, sizeof(name));
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", w->files.fd[i]);
	has_to(w, "fdinfo: queue", strcmp(shown(path, "queue:\t"), name + (*name == '/')), 0);
	has_to(w, "fdinfo: capacity", number_in(path, "capacity:\t"), q->like.capacity);
	has_to(w, "fdinfo: msg_size", number_in(path, "msg_size:\t"), q->like.msg_size);
	has_to(w, "fdinfo: modes", strcmp(shown(path, "modes:\t"), modes[f->modes]), 0);
	if (q->exact)
		may_return(&e, waiting(q, false), waiting(q, false));
	returned(w, "fdinfo: depth", number_in(path, "depth:\t"), &e);
	may_return(&e, q->timed ? 0 : f->held.n, f->pooled ? f->max_held : f->held.n);
	if (!f->pooled)
		returned(w, "fdinfo: held", number_in(path, "held:\t"), &e);
}

void call_show(struct worker *w)
{
	int i = draw_file(w);
	const struct queue *q = open_file(w, i)->queue;

	/* Of a queue that has lost its name another may have it. */
	if (!has_no_name(&q->like) && (!q->exact || q->named))
		check_sysfs(w, q);
	check_fdinfo(w, i);
}
