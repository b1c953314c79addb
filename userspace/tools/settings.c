// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be said of a queue that is to be made, by an option or in a file
 */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "create.h"
#include "table.h"

#define NUMBER(word, member, least, most) \
	.kind = SETTING_NUMBER, .name = word, \
	.in_create = offsetof(struct mpmcq_create, member), \
	.in_info = offsetof(struct mpmcq_info, member), .min = least, .max = most
#define FLAG(word, bit)	.kind = SETTING_FLAG, .name = word, .flag = bit

const struct setting settings[SETTINGS] = {
	{ NUMBER("capacity", capacity, 2, 1048576), .letter = 'c' },
	{ NUMBER("msg-size", msg_size, 1, 65536), .letter = 's' },
	{ .kind = SETTING_MODE, .name = "mode", .letter = 'm' },
	{ .kind = SETTING_OWNER, .name = "owner", .letter = 'o' },
	{ .kind = SETTING_GROUP, .name = "group", .letter = 'g' },
	{ FLAG("drop-oldest", MPMCQ_DROP_OLDEST) },
	{ FLAG("auto-close", MPMCQ_AUTO_CLOSE) },
	{ FLAG("delay", MPMCQ_DELAY) },
	{ FLAG("start-lease", MPMCQ_START_LEASE) },
	{ FLAG("stamp", MPMCQ_STAMP) },
	{ NUMBER("max-deliveries", max_deliveries, 0, MPMCQ_MAX_DELIVERIES_MAX) },
	{ NUMBER("lease-ms", lease_ms, 0, INT32_MAX) },
	{ NUMBER("retry-ms", retry_ms, 0, UINT32_MAX) },
	{ NUMBER("retry-max-ms", retry_max_ms, 0, UINT32_MAX) },
	{ NUMBER("levels", levels, 1, MPMCQ_LEVELS_MAX) },
};

/* Returns the names of all settings, for messages. */
const char *setting_names(void)
{
	const char *names = settings[0].name;

	for (int i = 1; i < SETTINGS; i++)
		names = text("%s %s", names, settings[i].name);
	return names;
}

/* --- from text --- */

static const char *set_number(void *create, const struct setting *s, const char *value)
{
	char *end;
	unsigned long n;
	uint32_t number;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (errno || end == value || *end || strchr(value, '-') || n < s->min || n > s->max)
		return text("not a number from %lu to %lu: '%s'", s->min, s->max, value);
	number = n;
	memcpy((char *)create + s->in_create, &number, sizeof(number));
	return NULL;
}

static const char *set_flag(uint32_t *flags, uint32_t flag, const char *value)
{
	if (value && strcmp(value, "yes") && strcmp(value, "no"))
		return text("neither yes nor no: '%s'", value);
	*flags &= ~flag;
	if (!value || !strcmp(value, "yes"))
		*flags |= flag;
	return NULL;
}

static const char *set_mode(mode_t *mode, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 8);

	if (end == value || *end || *value < '0' || *value > '7' || n > 0777)
		return text("not octal permissions: '%s'", value);
	*mode = n;
	return NULL;
}

/* A number stands for a user or group without an entry in the databases. */
static bool parse_id(const char *value, unsigned int *id)
{
	unsigned long n;

	if (!*value || value[strspn(value, "0123456789")])
		return false;
	errno = 0;
	n = strtoul(value, NULL, 10);
	*id = n;
	return !errno && n < NOBODY;
}

static const char *set_owner(uid_t *owner, const char *value)
{
	const struct passwd *user = getpwnam(value);

	if (user)
		*owner = user->pw_uid;
	else if (!parse_id(value, owner))
		return text("no such user: '%s'", value);
	return NULL;
}

static const char *set_group(gid_t *id, const char *value)
{
	const struct group *group = getgrnam(value);

	if (group)
		*id = group->gr_gid;
	else if (!parse_id(value, id))
		return text("no such group: '%s'", value);
	return NULL;
}

/**
 * apply_setting() - set what a request says of a queue
 * @r: the request
 * @s: what is set
 * @value: as an argument or a file has it; NULL for an option of kind SETTING_FLAG
 *
 * Return: NULL; or why not, and the request is as it was.
 */
const char *apply_setting(struct request *r, const struct setting *s, const char *value)
{
	switch (s->kind) {
	case SETTING_NUMBER:
		return set_number(&r->create, s, value);
	case SETTING_FLAG:
		return set_flag(&r->create.flags, s->flag, value);
	case SETTING_MODE:
		return set_mode(&r->mode, value);
	case SETTING_OWNER:
		return set_owner(&r->owner, value);
	default:
		return set_group(&r->group, value);
	}
}

/* --- to text --- */

/**
 * setting_text() - what a queue has, as apply_setting() takes it
 * @s: which of its values
 * @info: the queue
 * @st: its file; NULL for numbers and flags
 */
const char *setting_text(const struct setting *s, const struct mpmcq_info *info,
			 const struct stat *st)
{
	switch (s->kind) {
	case SETTING_NUMBER:
		return text("%u", (uint32_t)number_at(info, s->in_info, sizeof(uint32_t)));
	case SETTING_FLAG:
		return info->flags & s->flag ? "yes" : "no";
	case SETTING_MODE:
		return mode_text(st->st_mode);
	case SETTING_OWNER:
		return owner_text(st->st_uid);
	default:
		return group_text(st->st_gid);
	}
}

/* Returns what struct mpmcq_info says of a queue that @create makes. */
static struct mpmcq_info expected_info(const struct mpmcq_create *create)
{
	struct mpmcq_info info = { .flags = create->flags };

	if (create->retry_ms)
		info.flags |= MPMCQ_DELAY;
	for (int i = 0; i < SETTINGS; i++) {
		if (settings[i].kind == SETTING_NUMBER)
			memcpy((char *)&info + settings[i].in_info,
			       (const char *)create + settings[i].in_create, sizeof(uint32_t));
	}
	return info;
}

/* Whether MPMCQ_EXIST_OK compares it. */
static bool is_compared(const struct setting *s)
{
	return s->kind == SETTING_NUMBER ||
	       (s->kind == SETTING_FLAG && s->flag != MPMCQ_START_LEASE);
}

/**
 * differences() - why MPMCQ_EXIST_OK does not accept a queue
 * @info: the queue
 * @create: what was asked for
 *
 * Return: the values in which they differ; NULL if there are none.
 */
const char *differences(const struct mpmcq_info *info, const struct mpmcq_create *create)
{
	struct mpmcq_info expected = expected_info(create);
	const char *list = NULL;

	for (int i = 0; i < SETTINGS; i++) {
		const struct setting *s = &settings[i];
		const char *is, *asked;

		if (!is_compared(s))
			continue;
		is = setting_text(s, info, NULL);
		asked = setting_text(s, &expected, NULL);
		if (strcmp(is, asked))
			list = text("%s%s%s %s instead of %s", list ? list : "", list ? ", " : "",
				    s->name, is, asked);
	}
	return list;
}
