// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owner, group and mode of a queue, as text
 */
#define _GNU_SOURCE
#include <grp.h>
#include <pwd.h>

#include "mpmcq.h"

/* Neighbours in a list mostly belong to the same user, so the last answer is kept. */
const char *owner_text(uid_t uid)
{
	static const char *last_text;
	static uid_t last;
	const struct passwd *user;

	if (last_text && uid == last)
		return last_text;
	user = getpwuid(uid);
	last = uid;
	last_text = user ? printable(user->pw_name) : text("%u", uid);
	return last_text;
}

const char *group_text(gid_t gid)
{
	static const char *last_text;
	static gid_t last;
	const struct group *group;

	if (last_text && gid == last)
		return last_text;
	group = getgrgid(gid);
	last = gid;
	last_text = group ? printable(group->gr_name) : text("%u", gid);
	return last_text;
}

const char *mode_text(mode_t mode)
{
	return text("%04o", mode & 07777);
}

/* Owner, group and mode, for messages. */
const char *access_text(const struct stat *st)
{
	return text("owner %s, group %s, mode %s", owner_text(st->st_uid),
		    group_text(st->st_gid), mode_text(st->st_mode));
}
