// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcq doctor: whether the module can be built, is installed, may be loaded, and is
 *
 * The checks are in the order in which each needs the one before. So the first that fails has the
 * next command.
 */
#define _GNU_SOURCE
#include <err.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "doctor.h"
#include "mpmcq.h"

#define DKMS_DIR	"/var/lib/dkms/mpmcq"
#define EFI_DIR		"/sys/firmware/efi"
#define SECURE_BOOT	EFI_DIR "/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define ENROLLED_KEYS	EFI_DIR "/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"

enum {
	EFI_ATTRIBUTES = 4,	/* bytes before the content of a variable */
};

/* --- building --- */

static bool is_like(const char *os, const char *name)
{
	return os && strcasestr(os, name);
}

static const char *headers_command(const struct doctor *d)
{
	const char *os = read_file(d, "/etc/os-release", NULL);

	if (is_like(os, "debian"))
		return text("%sapt-get install linux-headers-%s", as_root(), d->kernel);
	if (is_like(os, "fedora") || is_like(os, "rhel"))
		return text("%sdnf install kernel-devel-%s", as_root(), d->kernel);
	if (is_like(os, "suse"))
		return text("%szypper install kernel-devel", as_root());
	if (is_like(os, "arch"))
		return text("%spacman -S linux-headers", as_root());
	return "install the package with the headers of this kernel";
}

static void check_headers(struct doctor *d)
{
	const char *path = text("/lib/modules/%s/build", d->kernel);

	if (path_exists(d, text("%s/Makefile", path)))
		say_good("headers", path);
	else if (d->file || d->loaded)
		say_note("headers", text("none in %s: only to build the module anew", path));
	else
		say_bad(d, "headers", text("none in %s", path), headers_command(d));
}

/* Returns the last path, in alphabetical order, that matches; NULL if none does. */
static const char *last_match(const struct doctor *d, const char *pattern)
{
	const char *path = NULL;
	glob_t found;

	if (!glob(find_path(d, pattern), 0, NULL, &found)) {
		path = text("%s", found.gl_pathv[found.gl_pathc - 1] + strlen(d->root));
		globfree(&found);
	}
	return path;
}

/* Returns the first line of a compiler's or make's log that tells of an error, or NULL. */
static const char *first_error(char *log)
{
	static const char *const signs[] = { "error:", "mpmcq: ", "not found", "***" };
	char *line;

	while ((line = strsep(&log, "\n"))) {
		for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
			if (strcasestr(line, signs[i]))
				return line;
		}
	}
	return NULL;
}

/* The log of a build that failed stays where it was built, and may be for another kernel. */
static bool check_log(struct doctor *d, const char *path)
{
	char *log = path ? read_file(d, path, NULL) : NULL;
	const char *error;

	if (!log || !strstr(log, text("for kernel %s ", d->kernel)))
		return false;
	error = first_error(log);
	if (error)
		say_bad(d, "DKMS", text("%s: %s", path, printable(error)), text("less %s", path));
	return error;
}

static void check_dkms(struct doctor *d)
{
	const char *dir = last_match(d, DKMS_DIR "/[0-9]*"), *version;

	if (!dir) {
		say_note("DKMS", "does not have mpmcq");
		return;
	}
	version = strrchr(dir, '/') + 1;
	if (d->file) {
		say_good("DKMS", text("has mpmcq %s", version));
		return;
	}
	if (check_log(d, last_match(d, DKMS_DIR "/*/build/make.log")) ||
	    check_log(d, last_match(d, text(DKMS_DIR "/*/%s/*/log/make.log", d->kernel))))
		return;
	say_bad(d, "DKMS", text("has mpmcq %s, but not for kernel %s", version, d->kernel),
		text("%sdkms install mpmcq/%s -k %s", as_root(), version, d->kernel));
}

/* --- the file --- */

/* The module that modprobe would load. */
static const char *find_module(const struct doctor *d)
{
	const char *dir = text("/lib/modules/%s", d->kernel);
	char *list = read_file(d, text("%s/modules.dep", dir), NULL), *line;

	while ((line = strsep(&list, "\n"))) {
		const char *file = strsep(&line, ":"), *slash = strrchr(file, '/');

		if (!strncmp(slash ? slash + 1 : file, "mpmcq.ko", strlen("mpmcq.ko")))
			return text("%s/%s", dir, file);
	}
	return NULL;
}

/* Returns what modinfo(8) says of a field of the module's file; "" if that is nothing. */
static const char *ask_modinfo(const struct doctor *d, const char *field)
{
	char answer[256] = "";
	int fds[2];
	FILE *file;
	pid_t pid;

	if (pipe(fds) < 0)
		err(EXIT_FAILURE, "pipe");
	pid = fork();
	if (pid < 0)
		err(EXIT_FAILURE, "fork");
	if (!pid) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		freopen("/dev/null", "w", stderr);
		/* An ordinary user's PATH may lack it. */
		setenv("PATH", text("%s:/usr/sbin:/sbin", getenv("PATH") ?: "/bin"), 1);
		execlp("modinfo", "modinfo", "-F", field, find_path(d, d->file), NULL);
		_exit(127);
	}
	close(fds[1]);
	file = fdopen(fds[0], "r");
	if (file && fgets(answer, sizeof(answer), file))
		answer[strcspn(answer, "\n")] = '\0';
	if (file)
		fclose(file);
	waitpid(pid, NULL, 0);
	return printable(answer);
}

static void check_file(struct doctor *d)
{
	if (d->file)
		say_good("installed", text("%s, version %s", d->file, ask_modinfo(d, "version")));
	else if (d->loaded)
		say_note("installed", "no, so the module is gone after a reboot");
	else
		say_bad(d, "installed", text("no module for kernel %s", d->kernel),
			text("make && %smake install  # in the source of mpmcq", as_root()));
}

/* --- signatures --- */

/* Returns the word in brackets, as the file marks it; NULL if the kernel does not tell. */
static const char *find_lockdown(const struct doctor *d)
{
	const char *modes = read_file(d, "/sys/kernel/security/lockdown", NULL);
	const char *begin = modes ? strchr(modes, '[') : NULL;

	return begin ? text("%.*s", (int)strcspn(begin + 1, "]"), begin + 1) : NULL;
}

static bool has_secure_boot(const struct doctor *d)
{
	size_t size;
	const char *variable = read_file(d, SECURE_BOOT, &size);

	return variable && size > EFI_ATTRIBUTES && variable[EFI_ATTRIBUTES] == 1;
}

/* Returns whether the kernel takes signed modules only. */
static bool check_policy(const struct doctor *d)
{
	const char *enforce = read_file(d, "/sys/module/module/parameters/sig_enforce", NULL);
	const char *lockdown = find_lockdown(d);
	bool secure_boot = has_secure_boot(d);
	bool needed = enforce && *enforce == 'Y';

	if (lockdown)
		needed = needed || strcmp(lockdown, "none");
	else
		needed = needed || secure_boot;
	say_note("policy", text("Secure Boot %s, lockdown %s: %s", secure_boot ? "on" : "off",
				lockdown ? lockdown : "not known",
				needed ? "signed modules only" : "any module"));
	return needed;
}

static bool contains(const char *data, size_t size, const char *part, size_t length)
{
	return data && part && length && memmem(data, size, part, length);
}

/*
 * Says of the key at @path, which must be there, whether the firmware knows it. Returns true if it
 * does not, and it is the one of @signer: the certificate has that text as it is.
 */
static bool check_key(const struct doctor *d, const char *path, const char *signer)
{
	size_t size = 0, known_size = 0;
	const char *key = read_file(d, path, &size);
	const char *known = read_file(d, ENROLLED_KEYS, &known_size);
	bool enrolled = contains(known, known_size, key, size);

	say_note("key", text("%s: %s", path, !key ? "cannot be read" :
			     enrolled ? "enrolled" : "not enrolled"));
	return !enrolled && contains(key, size, signer, strlen(signer));
}

/* Returns the path of the key that has signed the module, if it is to be enrolled; else NULL. */
static const char *check_keys(const struct doctor *d, const char *signer)
{
	/* That of Ubuntu and Mint, and that of all others. */
	static const char *const paths[] = {
		"/var/lib/shim-signed/mok/MOK.der", "/var/lib/dkms/mok.pub",
	};
	const char *missing = NULL;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (path_exists(d, paths[i]) && check_key(d, paths[i], signer))
			missing = paths[i];
	}
	return missing;
}

/* The kernel has accepted the signature of a module that is loaded. */
static void check_signature(struct doctor *d, bool needed)
{
	const char *signer = ask_modinfo(d, "signer"), *key;
	const char *how = *signer ? text("by %s", signer) : "none";

	key = check_keys(d, signer);
	if (!needed || d->loaded)
		say_note("signature", how);
	else if (!*signer)
		say_bad(d, "signature", "none, but the kernel takes signed modules only",
			text("%sdkms install --force mpmcq/%s -k %s", as_root(),
			     ask_modinfo(d, "version"), d->kernel));
	else if (key)
		say_bad(d, "signature", text("%s, whose key is not enrolled", how),
			text("%smokutil --import %s  # then reboot and choose Enroll MOK",
			     as_root(), key));
	else
		say_good("signature", how);
}

/* --- loaded --- */

static const char *loaded_version(const struct doctor *d)
{
	char *version = read_file(d, "/sys/module/mpmcq/version", NULL);

	if (version)
		version[strcspn(version, "\n")] = '\0';
	return version ? printable(version) :
	       path_exists(d, "/sys/module/mpmcq") ? "not known" : NULL;
}

void check_module(struct doctor *d)
{
	bool needed;

	d->loaded = loaded_version(d);
	d->file = find_module(d);
	check_headers(d);
	check_dkms(d);
	check_file(d);
	needed = check_policy(d);
	if (d->file)
		check_signature(d, needed);
	if (d->loaded)
		say_good("loaded", text("version %s", d->loaded));
	else
		say_bad(d, "loaded", "no", text("%smodprobe mpmcq", as_root()));
}
