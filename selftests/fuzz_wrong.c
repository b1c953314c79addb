// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a queue cannot do
 */
#include <sys/sendfile.h>

#include "fuzz.h"

void call_ioctl(struct worker *w)
{
	static const unsigned int known[] = {
		MPMCQ_IOC_INFO, MPMCQ_IOC_MODE, MPMCQ_IOC_ACK, MPMCQ_IOC_NACK, MPMCQ_IOC_REJECT,
		MPMCQ_IOC_TOUCH, MPMCQ_IOC_CREATE, MPMCQ_IOC_OPEN, MPMCQ_IOC_DESTROY,
		MPMCQ_IOC_ATTACH, MPMCQ_IOC_CLOSE, MPMCQ_IOC_REOPEN, MPMCQ_IOC_REVIVE,
		MPMCQ_IOC_PURGE,
	};
	unsigned int dir = draw(w, 4), size = draw(w, 1 << 14), cmd = draw_of(w, known);

	/* Not the types of those that the kernel knows for all files. */
	if (one_in(w, 2))
		cmd = _IOC(dir, one_in(w, 2) ? MPMCQ_IOC_MAGIC : 'm',
			   ARRAY_SIZE(known) + draw(w, 240), size);
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
		/* Of files without a node newer kernels say so. */
		if (!open_file(w, i)->node && writable(open_file(w, i)))
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
