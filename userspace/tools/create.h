/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MPMCQ_CREATE_H
#define _MPMCQ_CREATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <linux/mpmcq.h>

#include "mpmcq.h"

#define NOBODY	((uid_t)-1)	/* chown(2): leave the owner, or the group, as it is */

/**
 * struct request - a queue that is to be made
 * @place: where
 * @dir: descriptor of its directory
 * @create: for the kernel
 * @mode: permissions it has in the end
 * @owner: owner it has in the end, or NOBODY
 * @group: group it has in the end, or NOBODY
 * @exist_ok: an existing queue of the same configuration will do
 */
struct request {
	struct place place;
	int dir;
	struct mpmcq_create create;
	mode_t mode;
	uid_t owner;
	gid_t group;
	bool exist_ok;
};

enum setting_kind {
	SETTING_NUMBER,
	SETTING_FLAG,	/* yes or no; yes for an option */
	SETTING_MODE,
	SETTING_OWNER,
	SETTING_GROUP,
};

/**
 * struct setting - what an option of create, or a line of a file, says of a queue
 * @kind: what its value is
 * @name: name of the option, and in files
 * @letter: short option, or 0
 * @flag: of SETTING_FLAG: a bit of flags
 * @in_create: of SETTING_NUMBER: where it is in struct mpmcq_create
 * @in_info: of SETTING_NUMBER: where it is in struct mpmcq_info
 * @min: least number
 * @max: largest number
 */
struct setting {
	enum setting_kind kind;
	const char *name;
	int letter;
	uint32_t flag;
	size_t in_create;
	size_t in_info;
	unsigned long min;
	unsigned long max;
};

enum { SETTINGS = 15 };

extern const struct setting settings[SETTINGS];

const char *setting_names(void);
const char *apply_setting(struct request *r, const struct setting *s, const char *value);
const char *setting_text(const struct setting *s, const struct mpmcq_info *info,
			 const struct stat *st);
const char *differences(const struct mpmcq_info *info, const struct mpmcq_create *create);

const char *limit_text(int error, const char *dir);
const char *make_queue(struct request *r, const char *name);
bool make_from_file(const struct request *defaults, const char *path);

#endif /* _MPMCQ_CREATE_H */
