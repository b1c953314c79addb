// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq doctor: what is wrong with this machine, and what to type
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <mntent.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <libmpmcq.h>

#include "doctor.h"
#include "mpmcq.h"

#define UNIT	"dev-mpmcqfs.mount"

/* --- what is said --- */

static void say(const char *mark, const char *what, const char *how)
{
	printf("%-5s %-10s %s\n", mark, what, how);
}

void say_good(const char *what, const char *how)
{
	say("ok", what, how);
}

void say_note(const char *what, const char *how)
{
	say("-", what, how);
}

void say_bad(struct doctor *d, const char *what, const char *how, const char *next)
{
	say("WRONG", what, how);
	if (!d->next)
		d->next = next;
}

const char *as_root(void)
{
	return geteuid() ? "sudo " : "";
}

/* --- files --- */

const char *find_path(const struct doctor *d, const char *path)
{
	return text("%s%s", d->root, path);
}

bool path_exists(const struct doctor *d, const char *path)
{
	return !access(find_path(d, path), F_OK);
}

/* Returns the content of a file, with a 0 behind it; NULL if it cannot be opened. */
char *read_file(const struct doctor *d, const char *path, size_t *size)
{
	FILE *file = fopen(find_path(d, path), "re");
	size_t length = 0, got;
	char *content = NULL;

	if (!file)
		return NULL;
	do {
		content = realloc(content, length + BUFSIZ + 1);
		if (!content)
			err(EXIT_FAILURE, NULL);
		got = fread(content + length, 1, BUFSIZ, file);
		length += got;
	} while (got);
	content[length] = '\0';
	fclose(file);
	if (size)
		*size = length;
	return content;
}

/* --- the mount --- */

static const char *mount_command(const struct doctor *d)
{
	static const char *const dirs[] = { "/etc", "/usr/local/lib", "/usr/lib", "/lib" };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++) {
		if (path_exists(d, "/run/systemd/system") &&
		    path_exists(d, text("%s/systemd/system/" UNIT, dirs[i])))
			return text("%ssystemctl enable --now " UNIT, as_root());
	}
	return text("%smkdir -p " MOUNT " && %smount -t " FSTYPE
		    " -o mode=1775,gid=mpmcq,nosuid,noexec " FSTYPE " " MOUNT,
		    as_root(), as_root());
}

/* Looks at the last mount there, which hides those before it. */
static void check_mount(struct doctor *d)
{
	FILE *mounts = setmntent(find_path(d, "/proc/mounts"), "re");
	const char *type = NULL, *options = NULL;
	const struct mntent *m;

	while (mounts && (m = getmntent(mounts))) {
		if (strcmp(m->mnt_dir, MOUNT))
			continue;
		type = text("%s", m->mnt_type);
		options = hasmntopt(m, "nodev") ? "nodev" : NULL;
	}
	if (mounts)
		endmntent(mounts);

	if (!type)
		say_bad(d, "mount", "no " FSTYPE " at " MOUNT, mount_command(d));
	else if (strcmp(type, FSTYPE))
		say_bad(d, "mount", text("%s is a %s", MOUNT, type),
			text("%sumount " MOUNT, as_root()));
	else if (options)
		say_bad(d, "mount", "has the option nodev, so no queue there can be opened",
			text("%smount -o remount,dev " MOUNT, as_root()));
	else
		say_good("mount", MOUNT);
	d->mounted = type && !strcmp(type, FSTYPE);
}

/* --- permissions --- */

static bool may(const struct doctor *d, const char *path, int mode)
{
	return !faccessat(AT_FDCWD, find_path(d, path), mode, AT_EACCESS);
}

/* Returns the group of this name, as the machine's own file has it. */
static const struct group *find_group(const struct doctor *d, const char *name)
{
	FILE *file = fopen(find_path(d, "/etc/group"), "re");
	const struct group *group = NULL;

	while (file && (group = fgetgrent(file))) {
		if (!strcmp(group->gr_name, name))
			break;
	}
	if (file)
		fclose(file);
	return group;
}

static const char *user_name(void)
{
	const struct passwd *user = getpwuid(geteuid());

	return user ? printable(user->pw_name) : text("%u", geteuid());
}

/* Whether the user is a member by the file, which only counts from the next login on. */
static bool is_listed(const struct group *group, const char *user)
{
	for (char **member = group->gr_mem; *member; member++) {
		if (!strcmp(*member, user))
			return true;
	}
	return false;
}

static const char *group_command(const struct group *group)
{
	const char *user = user_name();

	if (!group)
		return text("%sgroupadd --system mpmcq", as_root());
	if (group_member(group->gr_gid))
		return text("%schgrp mpmcq " MOUNT " " DEFAULT_QUEUE " && %schmod g+rw "
			    MOUNT " " DEFAULT_QUEUE, as_root(), as_root());
	if (is_listed(group, user))
		return "newgrp mpmcq, or log in again";
	return text("%susermod -aG mpmcq %s, then log in again", as_root(), user);
}

static void check_access(struct doctor *d, const char *path, int mode, const char *what,
			 const struct group *group)
{
	struct stat st;

	if (stat(find_path(d, path), &st) < 0)
		say_bad(d, "access", text("%s: %s", path, strerror(errno)), group_command(group));
	else if (may(d, path, mode))
		say_good("access", text("%s may %s %s", user_name(), what, path));
	else
		say_bad(d, "access", text("%s may not %s %s (%s)", user_name(), what, path,
					  access_text(&st)), group_command(group));
}

/* A shell's ">" makes a plain file there, unless the module is loaded. */
static void check_default_queue(struct doctor *d, const struct group *group)
{
	struct stat st;

	if (stat(find_path(d, DEFAULT_QUEUE), &st) < 0)
		say_note("access", "there is no " DEFAULT_QUEUE);
	else if (!S_ISCHR(st.st_mode))
		say_bad(d, "access", DEFAULT_QUEUE " is a file, and not the device",
			text("%ssh -c 'rm %s && modprobe -r mpmcq && modprobe mpmcq'", as_root(),
			     DEFAULT_QUEUE));
	else
		check_access(d, DEFAULT_QUEUE, R_OK | W_OK, "read and write", group);
}

static void check_permissions(struct doctor *d)
{
	const struct group *group = find_group(d, "mpmcq");

	if (group)
		say_good("group", text("mpmcq, number %u", group->gr_gid));
	else
		say_note("group", "no mpmcq in /etc/group, so queues are for root");
	if (d->mounted)
		check_access(d, MOUNT, R_OK | W_OK | X_OK, "make queues in", group);
	if (d->loaded)
		check_default_queue(d, group);
}

/* --- versions, a message --- */

/* Versions may differ: it is the features that a command needs. */
static void check_features(struct doctor *d, int queue)
{
	char line[256];

	if (!mpmcq_check_features(queue, 2 * MPMCQ_FEATURE_LEVELS - 1, line, sizeof(line)))
		say_good("features", line);
	else
		say_bad(d, "features", line,
			text("make && %smake install unload load  # in the source of mpmcq %s",
			     as_root(), MPMCQ_VERSION));
}

static void check_message(struct doctor *d, int queue)
{
	static const char message[] = "doctor";
	char got[sizeof(message)] = "";

	if (mpmcq_send(queue, message, sizeof(message)) == sizeof(message) &&
	    mpmcq_receive(queue, got, sizeof(got)) == sizeof(message) &&
	    !memcmp(got, message, sizeof(message)))
		say_good("message", "went through a private queue");
	else
		say_bad(d, "message", "did not come through a private queue",
			text("%sdmesg  # and report what it says", as_root()));
}

/* Only in a machine that is no copy of one. */
static void check_queue(struct doctor *d)
{
	const struct mpmcq_create create = {
		.size = sizeof(create), .capacity = 2, .msg_size = 64,
		.open_flags = O_RDWR | O_NONBLOCK,
	};
	int queue = mpmcq_create_private(&create);

	if (queue >= 0) {
		check_features(d, queue);
		check_message(d, queue);
		close(queue);
	} else if (queue != -EACCES) {
		say_bad(d, "message", text("no queue can be made: %s", strerror(-queue)),
			"head /sys/module/mpmcq/parameters/*");
	}
}

static void check_versions(const struct doctor *d)
{
	say_note("versions", text("command %s, module %s", MPMCQ_VERSION,
				  d->loaded ? d->loaded : "not loaded"));
}

/* --- all --- */

static void check_root(const char *root)
{
	struct stat st;

	if (stat(root, &st) < 0)
		err(EXIT_FAILURE, "%s", printable(root));
	if (!S_ISDIR(st.st_mode))
		errx(EXIT_FAILURE, "%s: not a directory", printable(root));
}

/* A copy of a machine has the kernel's release in a file. */
static const char *find_kernel(const struct doctor *d)
{
	char *release = read_file(d, "/proc/sys/kernel/osrelease", NULL);
	struct utsname name;

	if (release) {
		release[strcspn(release, "\n")] = '\0';
		return printable(release);
	}
	uname(&name);
	return text("%s", name.release);
}

static void run_doctor(int argc, char **argv)
{
	static const struct option options[] = {
		COMMON_LONG_OPTIONS,
		{ "root", required_argument, NULL, 'r' },
		{ }
	};
	struct doctor d = { .root = "" };
	int opt;

	while ((opt = getopt_long(argc, argv, COMMON_OPTIONS "r:", options, NULL)) != -1) {
		if (opt == 'r')
			d.root = optarg;
		else
			common_option(opt);
	}
	if (*d.root)
		check_root(d.root);
	no_queue_option("doctor");
	no_arguments(argc, argv);

	d.kernel = find_kernel(&d);
	say_note("kernel", d.kernel);
	check_module(&d);
	check_mount(&d);
	check_permissions(&d);
	check_versions(&d);
	if (d.loaded && !*d.root)
		check_queue(&d);
	if (!d.next) {
		puts("\nAll is well.");
		return;
	}
	printf("\nNext: %s\n", d.next);
	exit(EXIT_FAILURE);
}

const struct command doctor_command = {
	.name = "doctor",
	.usage = "doctor [-r DIR]",
	.summary = "say what is wrong here, and what to do next",
	.help =
		"Looks at the module, its signature, the mount and permissions, and sends a message\n"
		"through a private queue. Prints the next command to type. Exit status: 1 if there is\n"
		"something to do.\n"
		"\n"
		"  -r, --root DIR         look at the machine whose files are in DIR\n",
	.run = run_doctor,
};
