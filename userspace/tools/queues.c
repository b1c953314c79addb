// SPDX-License-Identifier: GPL-2.0-only
/*
 * All queues of a directory, and their states
 *
 * A queue is opened for reading, asked for its state, and closed.  It has this open file as a
 * reader that takes nothing, and never as a writer.  No two queues are open at a time.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpmcq.h"
#include "output.h"
#include "queues.h"

static const char sysfs_dir[] = "/sys/class/mpmcq/mpmcq";

#define MEMBER(name) { #name, offsetof(struct mpmcq_info, name), \
		       sizeof(((struct mpmcq_info *)NULL)->name) }

/* The members of struct mpmcq_info that are files in sysfs. */
static const struct {
	const char *name;
	size_t offset;
	size_t size;
} sysfs_members[] = {
	MEMBER(number), MEMBER(capacity), MEMBER(msg_size), MEMBER(max_deliveries),
	MEMBER(lease_ms), MEMBER(depth), MEMBER(dead), MEMBER(leased), MEMBER(closed),
	MEMBER(sent), MEMBER(received), MEMBER(acked), MEMBER(returned), MEMBER(set_aside),
	MEMBER(dropped),
};

enum { SYSFS_MEMBERS = sizeof(sysfs_members) / sizeof(*sysfs_members) };

/**
 * is_known() - whether a number of a queue is known to this user
 * @q: the queue
 * @offset: where the number is in struct mpmcq_info
 */
bool is_known(const struct queue *q, size_t offset)
{
	if (q->known != KNOWN_SYSFS)
		return q->known == KNOWN_ALL;
	/* The default queue has no flags, and so no delays. */
	if (offset == offsetof(struct mpmcq_info, flags) ||
	    offset == offsetof(struct mpmcq_info, parked))
		return true;
	for (int i = 0; i < SYSFS_MEMBERS; i++) {
		if (sysfs_members[i].offset == offset)
			return true;
	}
	return false;
}

static bool read_member(struct mpmcq_info *info, int i)
{
	char *member = (char *)info + sysfs_members[i].offset;
	FILE *file = fopen(text("%s/%s", sysfs_dir, sysfs_members[i].name), "r");
	unsigned long long large = 0;
	uint32_t number;
	int got;

	if (!file)
		return false;
	got = fscanf(file, "%llu", &large);
	fclose(file);
	number = large;
	if (sysfs_members[i].size == sizeof(number))
		memcpy(member, &number, sizeof(number));
	else
		memcpy(member, &large, sizeof(large));
	return got == 1;
}

/* Opens a queue below @dir without an effect on it, and asks for its state. */
static bool look(int dir, const char *name, struct mpmcq_info *info)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | OPEN_FLAGS);
	bool done;

	if (fd < 0)
		return false;
	done = get_info(fd, info);
	close(fd);
	return done;
}

/* Returns false if this machine or container has none. */
static bool get_default_queue(struct queue *q)
{
	*q = (struct queue){ .path = DEFAULT_QUEUE, .name = DEFAULT_QUEUE };
	if (stat(DEFAULT_QUEUE, &q->st) < 0 || !S_ISCHR(q->st.st_mode))
		return false;
	if (look(AT_FDCWD, DEFAULT_QUEUE, &q->info)) {
		q->known = KNOWN_ALL;
		return true;
	}
	q->known = KNOWN_SYSFS;
	for (int i = 0; i < SYSFS_MEMBERS; i++) {
		if (!read_member(&q->info, i))
			q->known = KNOWN_NOTHING;
	}
	return true;
}

/* Returns false if the queue was removed after its name was read. */
static bool get_queue(int dir, const char *path, const char *name, struct queue *q)
{
	*q = (struct queue){ .path = text("%s/%s", path, name), .name = name };
	if (fstatat(dir, name, &q->st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISCHR(q->st.st_mode))
		return false;
	if (look(dir, name, &q->info))
		q->known = KNOWN_ALL;
	return true;
}

static int is_file(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* Appends the queues of @path to an array of @count.  Returns the new length. */
static size_t add_queues(const char *path, struct queue **queues, size_t count)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent **entries;
	int names;

	if (dir < 0)
		err(EXIT_FAILURE, "cannot list %s", printable(path));
	names = scandirat(dir, ".", &entries, is_file, alphasort);
	if (names < 0)
		err(EXIT_FAILURE, "cannot list %s", printable(path));
	*queues = reallocarray(*queues, count + names + 1, sizeof(**queues));
	if (!*queues)
		no_memory();
	for (int i = 0; i < names; i++)
		count += get_queue(dir, path, entries[i]->d_name, &(*queues)[count]);
	close(dir);
	return count;
}

/**
 * find_queues() - the queues of a directory, sorted by name
 * @path: of the directory; NULL for the default queue and the directory /dev/mpmcqfs
 * @queues: for the array, which is never freed
 * @why: for why the directory has no queues, or NULL
 *
 * Return: how many there are; the default queue is among them also if @why is set.
 */
size_t find_queues(const char *path, struct queue **queues, const char **why)
{
	size_t count = 0;

	*queues = allocate(sizeof(**queues));
	if (!path)
		count = get_default_queue(*queues);
	*why = why_no_queues(path ? path : MOUNT);
	return *why ? count : add_queues(path ? path : MOUNT, queues, count);
}
