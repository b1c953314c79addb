// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a queue cannot do, nor a directory of queues
 */
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fuzz.h"

void call_ioctl(struct worker *w)
{
	static const unsigned int known[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_SETTLE, MPMCQ_IOC_CREATE,
		MPMCQ_IOC_ATTACH, MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN, MPMCQ_IOC_REVIVE,
		MPMCQ_IOC_PURGE, MPMCQ_IOC_PEEK, MPMCQ_IOC_FORWARD,
	};
	unsigned int dir = draw(w, 4), size = draw(w, 1 << 14), cmd = draw_of(w, known);

	/* Not the types of those that the kernel knows for all files. */
	if (one_in(w, 2))
		cmd = _IOC(dir, one_in(w, 2) ? MPMCQ_IOC_MAGIC : 'm',
			   _IOC_NR(MPMCQ_IOC_PURGE) + 1 + draw(w, 240), size);
	else if (dir != _IOC_DIR(cmd))
		cmd = _IOC(dir, MPMCQ_IOC_MAGIC, _IOC_NR(cmd), size);
	else
		cmd = _IOC(dir, 'm', _IOC_NR(cmd), size);
	has_to(w, "ioctl", result(ioctl(w->files.fd[draw_file(w)], cmd, w->arena->hole)),
	       -ENOTTY);
}

static void call_splice(struct worker *w, int i)
{
	int fd = w->files.fd[i], pipes[2];
	int from = readable(open_file(w, i)) ? -EINVAL : -EBADF;
	int to = writable(open_file(w, i)) ? -EINVAL : -EBADF;
	off_t start = 0;

	if (pipe(pipes)) {
		complain(w, "pipe", -errno, "");
		return;
	}
	has_to(w, "splice from", result(splice(fd, NULL, pipes[1], NULL, 1, SPLICE_F_NONBLOCK)),
	       from);
	if (write(pipes[1], "", 1) != 1)
		complain(w, "write to a pipe", -errno, "");
	has_to(w, "splice to", result(splice(pipes[0], NULL, fd, NULL, 1, SPLICE_F_NONBLOCK)), to);
	has_to(w, "sendfile from", result(sendfile(pipes[1], fd, NULL, 1)), from);
	has_to(w, "sendfile to", result(sendfile(fd, w->arena->file, &start, 1)), to);
	close(pipes[0]);
	close(pipes[1]);
}

void call_wrong(struct worker *w)
{
	int i = draw_file(w), fd = w->files.fd[i];
	unsigned char *mem = w->arena->view[GOOD];
	struct expected e = NOTHING;
	void *got;

	switch (draw(w, 6)) {
	case 0:
		has_to(w, "lseek", result(lseek(fd, draw(w, 9), draw(w, 3))), -ESPIPE);
		break;
	case 1:
		has_to(w, "pread", result(pread(fd, mem, draw(w, 9), draw(w, 9))), -ESPIPE);
		has_to(w, "pwrite", result(pwrite(fd, mem, draw(w, 9), draw(w, 9))), -ESPIPE);
		break;
	case 2:
		may_fail(&e, -EINVAL);
		/* Of files without a path newer kernels say so. */
		if (open_file(w, i)->queue->is_private && writable(open_file(w, i)))
			may_fail(&e, -EOPNOTSUPP);
		returned(w, "ftruncate", result(ftruncate(fd, draw(w, 9))), &e);
		break;
	case 3:
		has_to(w, "fsync", result(fsync(fd)), -EINVAL);
		break;
	case 4:
		got = mmap(NULL, getpagesize(), PROT_READ, MAP_PRIVATE, fd, 0);
		has_to(w, "mmap", got == MAP_FAILED ? -errno : 0,
		       readable(open_file(w, i)) ? -ENODEV : -EACCES);
		break;
	case 5:
		call_splice(w, i);
		break;
	}
}

/* Some queue that has a name in mount @k, or NULL. */
static const struct queue *draw_named(struct worker *w, int k)
{
	int i, from = draw(w, OWNED_QUEUES);

	for (i = 0; i < OWNED_QUEUES; i++) {
		const struct queue *q = &w->own[(from + i) % OWNED_QUEUES];

		if (q->serial && q->named && q->mount == mount_of(w, k))
			return q;
	}
	return NULL;
}

/* Calls that would make something else than a queue, or move one. */
static void make_wrong(struct worker *w, int k)
{
	static const mode_t types[] = { S_IFIFO, S_IFSOCK, S_IFCHR };
	const struct queue *q = draw_named(w, k);
	int dir = w->files.dir[k], how = draw(w, 6);
	int error = mount_of(w, k)->read_only ? -EROFS : -EPERM;
	bool taken = q && one_in(w, 4);
	const char *name = taken ? q->name : "wrong";
	dev_t dev = makedev(w->stage->major, 1);

	if (!q && how > 3)
		return;
	if (taken && how < 4)
		error = -EEXIST;
	switch (how) {
	case 0:
		has_to(w, "mkdir", result(mkdirat(dir, name, 0700)), error);
		break;
	case 1:
		has_to(w, "mknod", result(mknodat(dir, name, draw_of(w, types) | 0600, dev)),
		       error);
		break;
	case 2:
		has_to(w, "symlink", result(symlinkat("there", dir, name)), error);
		break;
	case 3:
		has_to(w, "open: O_CREAT | O_EXCL",
		       result(openat(dir, name, O_RDWR | O_CREAT | O_EXCL, 0600)),
		       error == -EPERM ? -EACCES : error);
		break;
	case 4:
		has_to(w, "link", result(linkat(dir, q->name, dir, "wrong", 0)), error);
		break;
	default:
		has_to(w, "rename", result(renameat(dir, q->name, dir, "wrong")), error);
	}
}

/* Ways of opening what is there that cannot be, and leave no trace in the queue. */
static void open_wrong(struct worker *w, int k)
{
	const struct mount *m = mount_of(w, k);
	const struct queue *q = draw_named(w, k);
	int dir = w->files.dir[k], flags = draw_open_flags(w), fd;
	char path[PATH_SIZE + sizeof(NODE_COPY)];

	switch (draw(w, 5)) {
	case 0:
		has_to(w, "open: O_TMPFILE", result(openat(dir, ".", O_TMPFILE | O_RDWR, 0600)),
		       m->read_only ? -EROFS : -EOPNOTSUPP);
		break;
	case 1:
		has_to(w, "open of a directory", result(openat(dir, ".", O_RDWR)), -EISDIR);
		break;
	case 2:
		snprintf(path, sizeof(path), "%s/%s", w->stage->base, NODE_COPY);
		if (w->stage->copy)
			has_to(w, "open of a copied node", result(open(path, flags)), -ENXIO);
		break;
	case 3:
		if (!q)
			break;
		has_to(w, "open: O_DIRECT", result(openat(dir, q->name, flags | O_DIRECT)),
		       m->nodev ? -EACCES : -EINVAL);
		has_to(w, "open: O_DIRECTORY", result(openat(dir, q->name, flags | O_DIRECTORY)),
		       -ENOTDIR);
		break;
	default:
		if (!q)
			break;
		fd = openat(dir, q->name, O_PATH | O_CLOEXEC);
		has_to(w, "ioctl of a path", result(ioctl(fd, MPMCQ_IOC_CLOSE, 0)), -EBADF);
		close(fd);
	}
}

/* What a directory's descriptor is not for. */
static void use_wrong(struct worker *w, int k)
{
	static const unsigned int cmds[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_SETTLE, MPMCQ_IOC_ATTACH,
		MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN, MPMCQ_IOC_REVIVE, MPMCQ_IOC_PURGE,
		MPMCQ_IOC_PEEK, MPMCQ_IOC_FORWARD, FIONREAD,
	};
	const struct queue *q = draw_named(w, k);
	int dir = w->files.dir[k];
	void *mem = w->arena->view[GOOD];

	switch (draw(w, 4)) {
	case 0:
		has_to(w, "read of a directory", result(read(dir, mem, draw(w, 9))), -EISDIR);
		break;
	case 1:
		has_to(w, "write to a directory", result(write(dir, mem, draw(w, 9))), -EBADF);
		break;
	case 2:
		has_to(w, "ioctl of a directory", result(ioctl(dir, draw_of(w, cmds), mem)),
		       -ENOTTY);
		break;
	default:
		if (q)
			has_to(w, "rmdir", result(unlinkat(dir, q->name, AT_REMOVEDIR)),
			       mount_of(w, k)->read_only ? -EROFS : -ENOTDIR);
	}
}

void call_wrong_directory(struct worker *w)
{
	int k = draw_mount(w);

	switch (draw(w, 3)) {
	case 0:
		make_wrong(w, k);
		break;
	case 1:
		open_wrong(w, k);
		break;
	default:
		use_wrong(w, k);
	}
}
