// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be learnt of a queue, by requests, stat(2), fdinfo and sysfs; and of a mount
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "fuzz.h"

const char *const counters[] = {
	[SENT] = "sent", [RECEIVED] = "received", [ACKED] = "acked", [RETURNED] = "returned",
	[SET_ASIDE] = "set_aside", [DROPPED] = "dropped", [REDELIVERED] = "redelivered",
	[SUSPECTED] = "suspected",
};

__u64 counter_of(const struct mpmcq_info *info, enum count which)
{
	const __u64 counts[] = {
		[SENT] = info->sent, [RECEIVED] = info->received, [ACKED] = info->acked,
		[RETURNED] = info->returned, [SET_ASIDE] = info->set_aside,
		[DROPPED] = info->dropped, [REDELIVERED] = info->redelivered,
		[SUSPECTED] = info->suspected,
	};

	return counts[which];
}

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
	struct queue *q = open_file(w, i)->queue;
	__u64 counts[COUNTS];
	__u32 size = info.size;
	struct expected e = a.refusal;
	const char *field;
	char text[64];

	if (!e.errors && a.read_only)
		may_fail(&e, -EFAULT);
	else if (!e.errors)
		may_return(&e, 0, 0);
	copy_counts(q, counts);
	ret = call_args(w, w->files.fd[i], MPMCQ_IOC_INFO, &a);
	if (!returned(w, "ioctl: INFO", ret, &e) || ret)
		return;
	memcpy(&info, a.at, size < sizeof(info) ? size : sizeof(info));
	field = misinformed(&info, size, open_file(w, i), counts);
	if (field) {
		snprintf(text, sizeof(text), ", with a wrong %s", field);
		complain(w, "ioctl: INFO", ret, text);
	} else if (size >= sizeof(info)) {
		q->number = info.number;
		__atomic_store_n(&q->uuid, uuid_of(&info), __ATOMIC_RELAXED);
	}
}

/* What is behind @key, with which a line of a file begins; "" if none does. */
static const char *shown(const char *path, const char *key)
{
	static __thread char text[2048];
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

/* The number behind @key, with which a line of a file begins; -1 if there is none. */
static long number_in(const char *path, const char *key)
{
	const char *text = shown(path, key);

	return *text ? strtol(text, NULL, 10) : -1;
}

/* What sysfs shows of the default queue. */
static void check_sysfs(struct worker *w, const struct queue *q)
{
	/* The first 4 are so whatever others do. */
	const struct {
		const char *name;
		__u64 value;
	} attrs[] = {
		{ "capacity", q->like.capacity }, { "msg_size", q->like.msg_size },
		{ "max_deliveries", q->like.max_deliveries },
		{ "lease_ms", q->like.lease_ms }, { "closed", q->closed },
		{ "depth", waiting(q, false) }, { "dead", q->dead.n }, { "leased", q->leased },
		{ "sent", q->before[SENT] + q->counts[SENT] },
		{ "received", q->before[RECEIVED] + q->counts[RECEIVED] },
		{ "acked", q->before[ACKED] + q->counts[ACKED] },
		{ "returned", q->before[RETURNED] + q->counts[RETURNED] },
		{ "set_aside", q->before[SET_ASIDE] + q->counts[SET_ASIDE] },
		{ "dropped", q->before[DROPPED] + q->counts[DROPPED] },
	};
	int i = draw(w, ARRAY_SIZE(attrs));
	char path[128];
	long value;

	snprintf(path, sizeof(path), "/sys/class/mpmcq/mpmcq/%s", attrs[i].name);
	value = number_in(path, "");
	if (i < 4 || q->exact)
		has_to(w, path, value, attrs[i].value);
	else if (value < 0)
		complain(w, path, value, "");
}

/* As fdinfo writes a path. */
static void escape(char *to, const char *from)
{
	for (; *from; from++)
		to += *from == '\n' || *from == '\\' ? sprintf(to, "\\%03o", *from) :
							 sprintf(to, "%c", *from);
	*to = '\0';
}

/* The path of file @i as /proc has it, which is checked where it is known. */
static void check_path(struct worker *w, int i, char *path, size_t size)
{
	const struct queue *q = open_file(w, i)->queue;
	char link[64], want[PATH_SIZE + NAME_MAX + 32] = "";
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/thread-self/fd/%d", w->files.fd[i]);
	n = readlink(link, path, size - 1);
	path[n < 0 ? 0 : n] = '\0';
	if (q->is_private)
		strcpy(want, "anon_inode:[mpmcq]");
	else if (q == &w->stage->queue[DEFAULT])
		strcpy(want, DEVICE);
	else if (q->mount && q->mount->where == MOUNTED)
		snprintf(want, sizeof(want), "%s/%s%s", q->mount->path, q->name,
			 q->linked ? "" : " (deleted)");
	if (*want && strcmp(path, want))
		complain(w, path, n, " as the path of a file");
}

/* As fdinfo shows them. */
static void name_modes(const struct open_file *f, char *text)
{
	static const char *const names[] = { "packed", "lease", "dead", "meta" };	/* by bit */
	__u32 i;

	strcpy(text, f->modes ? "" : "plain");
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (!has_mode(f, 1U << i))
			continue;
		strcat(text, *text ? " " : "");
		strcat(text, names[i]);
	}
}

static void check_fdinfo(struct worker *w, int i)
{
	const struct open_file *f = open_file(w, i);
	const struct queue *q = f->queue;
	char path[64], target[1024], escaped[4 * sizeof(target)], modes[64];
	struct expected e = { .max = q->like.capacity };

	name_modes(f, modes);
	check_path(w, i, target, sizeof(target));
	escape(escaped, target);
	snprintf(path, sizeof(path), "/proc/thread-self/fdinfo/%d", w->files.fd[i]);
	has_to(w, "fdinfo: queue", strcmp(shown(path, "queue:\t"), escaped), 0);
	has_to(w, "fdinfo: capacity", number_in(path, "capacity:\t"), q->like.capacity);
	has_to(w, "fdinfo: msg_size", number_in(path, "msg_size:\t"), q->like.msg_size);
	has_to(w, "fdinfo: modes", strcmp(shown(path, "modes:\t"), modes), 0);
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

	if (q == &w->stage->queue[DEFAULT])
		check_sysfs(w, q);
	check_fdinfo(w, i);
}

static void check_stat(struct worker *w, const char *call, const struct queue *q,
		       const struct stat *st)
{
	bool is_default = q == &w->stage->queue[DEFAULT];

	if (!S_ISCHR(st->st_mode) || major(st->st_rdev) != w->stage->major)
		complain(w, call, st->st_mode, " as type and mode, or another major number");
	has_to(w, call, minor(st->st_rdev), !is_default);
	if (is_default)
		return;
	has_to(w, call, st->st_mode & 07777, q->mode);
	has_to(w, call, st->st_uid, q->uid);
	has_to(w, call, st->st_gid, q->gid);
	has_to(w, call, st->st_nlink, q->linked);
	has_to(w, call, st->st_size, 0);
}

void call_stat(struct worker *w)
{
	int i = draw_file(w), k = draw_mount(w), name_of = draw(w, OWNED_QUEUES), ret;
	const struct queue *q = open_file(w, i)->queue;
	char name[NAME_MAX + 1];
	struct stat st;

	if (one_in(w, 2)) {
		has_to(w, "fstat", result(fstat(w->files.fd[i], &st)), 0);
		if (!q->is_private)
			check_stat(w, "fstat", q, &st);
		return;
	}
	name_own(w, name, name_of);
	q = find_queue(w, mount_of(w, k), name);
	ret = result(fstatat(w->files.dir[k], name, &st, AT_SYMLINK_NOFOLLOW));
	has_to(w, "fstatat", ret, q ? 0 : -ENOENT);
	if (q && !ret)
		check_stat(w, "fstatat", q, &st);
}

static __u64 left_of(__u64 limit, __u64 used)
{
	return limit > used ? limit - used : 0;
}

void check_statfs(struct worker *w, int k)
{
	const struct mount *m = mount_of(w, k);
	struct expected left = {};
	struct statfs fs;

	if (!has_to(w, "fstatfs", result(fstatfs(w->files.dir[k], &fs)), 0))
		return;
	has_to(w, "fstatfs: type", fs.f_type, MPMCQFS_MAGIC);
	has_to(w, "fstatfs: longest name", fs.f_namelen, NAME_MAX);
	if (!m->exact)
		return;
	has_to(w, "fstatfs: files", fs.f_files, m->max);
	has_to(w, "fstatfs: files free", fs.f_ffree, left_of(m->max, queues_in(w, m)));
	has_to(w, "fstatfs: blocks", fs.f_blocks, m->size / fs.f_bsize);
	may_return(&left, left_of(m->size, most_bytes_in(w, m)) / fs.f_bsize,
		   left_of(m->size, least_bytes_in(w, m)) / fs.f_bsize);
	returned(w, "fstatfs: blocks free", fs.f_bfree, &left);
}

void check_list(struct worker *w, int k)
{
	int fd = openat(w->files.dir[k], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct mount *m = mount_of(w, k);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	int i, found = 0, wanted = 0;
	struct dirent *entry;

	if (!dir) {
		complain(w, "fdopendir", -errno, "");
		return;
	}
	for (i = 0; i < OWNED_QUEUES; i++)
		wanted += w->own[i].serial && w->own[i].named && w->own[i].mount == m;
	for (i = DEFAULT + 1; i < w->stage->queues; i++)
		wanted += w->stage->queue[i].named && m == &w->stage->mount;
	while ((entry = readdir(dir))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		has_to(w, "readdir: type", entry->d_type, DT_CHR);
		if (find_queue(w, m, entry->d_name))
			found++;
		else if (m->exact)
			complain(w, "readdir", 0, ", and the name is unknown");
	}
	closedir(dir);
	has_to(w, "readdir: names", found, wanted);
}

void call_show_mount(struct worker *w)
{
	int k = draw_mount(w);

	if (one_in(w, 2))
		check_statfs(w, k);
	else
		check_list(w, k);
}
