// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may do what with queues in mpmcqfs: modes, owners, directories, and processes that are not
 * related.
 */

#include <sys/fsuid.h>

#include "fs_test.h"

TEST_F(fs, modes_and_umask)
{
	const mode_t masks[] = { 0, 022, 027, 077, 0777, 0111 };
	size_t i;
	mode_t mode;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		for (mode = 0; mode <= 0777; mode += 7) {
			umask(masks[i]);
			ASSERT_EQ(0, make(self->root, "x", mode));
			EXPECT_EQ(mode & ~masks[i], (mode_t)mode_of("q/x"))
				TH_LOG("mode %o, umask %o", mode, masks[i]);
			ASSERT_EQ(0, remove_at(self->root, "x"));
		}
	}
	umask(022);
}

TEST_F(fs, owner)
{
	struct stat st;

	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OWNER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(0, stat("q", &st));
	EXPECT_EQ(0, st.st_uid);

	/* Owner and group are fsuid and fsgid. */
	setfsgid(GROUP);
	setfsuid(OTHER);
	EXPECT_EQ(0, make(self->root, "y", 0600));
	setfsuid(0);
	setfsgid(0);
	ASSERT_EQ(0, stat("q/y", &st));
	EXPECT_EQ(OTHER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
}

TEST_F(fs, group_of_the_directory)
{
	struct stat st;

	ASSERT_EQ(0, chown("q", 0, GROUP));
	ASSERT_EQ(0, chmod("q", 02777));
	ASSERT_EQ(0, become(OWNER, OWNER, 0));
	ASSERT_EQ(0, make(self->root, "x", 0670));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OWNER, st.st_uid);
	EXPECT_EQ(GROUP, st.st_gid);
	EXPECT_EQ(0650, st.st_mode & 07777);
	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, OWNER, 0));
	ASSERT_EQ(0, make(self->root, "y", 0670));
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, stat("q/y", &st));
	EXPECT_EQ(OWNER, st.st_gid);
}

/* Users, and how far the bits of a mode are shifted that count for them: the file is OWNER's. */
static const struct {
	uid_t uid;
	gid_t gid, more;
	int shift;	/* -1: all is allowed */
} people[] = {
	{ OWNER, GROUP, 0, 6 }, { OWNER, OTHER, 0, 6 }, { OTHER, GROUP, 0, 3 },
	{ OTHER, OTHER, GROUP, 3 }, { OTHER, OTHER, 0, 0 }, { 0, 0, 0, -1 },
};

static bool may(int who, mode_t mode, mode_t what)
{
	return people[who].shift < 0 || (mode >> people[who].shift & what) == what;
}

TEST_F(fs, permissions_of_the_directory)
{
	const mode_t modes[] = {
		0777, 0755, 0750, 0700, 0733, 0722, 0711, 0744, 0766, 0573, 0375, 0677, 0, 01777,
	};
	size_t i;
	int j;

	ASSERT_EQ(0, chown("q", OWNER, GROUP));
	ASSERT_EQ(0, make(self->root, "there", 0666));
	ASSERT_EQ(0, chmod("q/there", 0666));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, chmod("q", modes[i]));
		for (j = 0; j < (int)ARRAY_SIZE(people); j++) {
			bool make_it = may(j, modes[i], 3), find_it = may(j, modes[i], 1);

			ASSERT_EQ(0, become(people[j].uid, people[j].gid, people[j].more));
			EXPECT_EQ(make_it ? 0 : -EACCES, make(self->root, "x", 0600))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			/* With EXIST_OK search permission is enough for an existing queue. */
			EXPECT_EQ(find_it ? 0 : -EACCES, make_exist_ok(self->root, "there"))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(make_it ? 0 : -EACCES, make_exist_ok(self->root, "y"))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(find_it ? 0 : -EACCES, try_open("q/there", O_RDWR))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			EXPECT_EQ(may(j, modes[i], 4) ? 0 : -EACCES, try_open("q", O_RDONLY))
				TH_LOG("directory of mode %o, user %d", modes[i], j);
			if (make_it) {
				EXPECT_EQ(0, remove_at(self->root, "x"));
				EXPECT_EQ(0, remove_at(self->root, "y"));
			} else {
				EXPECT_EQ(-EACCES, remove_at(self->root, "there"))
					TH_LOG("directory of mode %o, user %d", modes[i], j);
			}
			ASSERT_EQ(0, become(0, 0, 0));
		}
	}
	EXPECT_TRUE(is_there(self->root, "there"));
	EXPECT_FALSE(is_there(self->root, "x"));
}

/* Without permission nothing is charged to the mount, so nothing there can be too much. */
TEST_F(fs, no_charge_without_permission)
{
	ASSERT_EQ(0, mount_anew(&self->root, 0, "max=1,size=1m"));
	ASSERT_EQ(0, make(self->root, "one", 0600));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(-EACCES, make(self->root, "two", 0600));
	EXPECT_EQ(-EACCES, create_at(self->root, "large", (struct mpmcq_create){
		.capacity = 1 << 20, .msg_size = 65536,
	}));
	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(-ENOSPC, make(self->root, "two", 0600));
}

TEST_F(fs, permissions_of_the_queue)
{
	const mode_t modes[] = {
		0600, 0640, 0660, 0604, 0666, 0444, 0222, 0400, 0040, 0004, 0420, 0077, 0707, 0777,
		0111, 0,
	};
	const int accesses[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const mode_t needed[] = { 4, 2, 6 };
	size_t i, k;
	int j;

	umask(0);
	ASSERT_EQ(0, chmod("q", 0777));
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		ASSERT_EQ(0, become(OWNER, GROUP, 0));
		ASSERT_EQ(0, make(self->root, "x", modes[i]));
		for (j = 0; j < (int)ARRAY_SIZE(people); j++) {
			ASSERT_EQ(0, become(people[j].uid, people[j].gid, people[j].more));
			for (k = 0; k < ARRAY_SIZE(accesses); k++) {
				EXPECT_EQ(may(j, modes[i], needed[k]) ? 0 : -EACCES,
					  try_open("q/x", accesses[k]))
					TH_LOG("mode %o, user %d, access %d", modes[i], j,
					       accesses[k]);
			}
		}
		ASSERT_EQ(0, become(0, 0, 0));
		ASSERT_EQ(0, remove_at(self->root, "x"));
	}
}

/* In a child that cannot become root again. */
static int stranger(int root)
{
	bool good = CHECK(0, become_for_good(OTHER, OTHER));

	good &= CHECK(-EACCES, try_open("q/owners", O_RDONLY));
	good &= CHECK(-EACCES, try_open("q/owners", O_WRONLY));
	good &= CHECK(0, try_open("q/shared", O_RDWR));
	good &= CHECK(-EPERM, result(chmod("q/shared", 0777)));
	good &= CHECK(-EPERM, result(chown("q/shared", OTHER, OTHER)));
	good &= CHECK(-EPERM, result(chmod("q", 0777)));
	good &= CHECK(-EACCES, make(root, "x", 0600));
	good &= CHECK(-EACCES, remove_at(root, "shared"));
	good &= CHECK(0, make_exist_ok(root, "shared"));
	return !good;
}

TEST_F(fs, other_process)
{
	ASSERT_EQ(0, make(self->root, "owners", 0600));
	ASSERT_EQ(0, make(self->root, "shared", 0666));
	ASSERT_EQ(0, chmod("q/shared", 0666));
	ASSERT_EQ(0, chown("q/owners", OWNER, GROUP));
	EXPECT_EQ(0, child_end(fork_child(stranger(self->root))));
	EXPECT_EQ(0666, mode_of("q/shared"));
	EXPECT_EQ(0755, mode_of("q"));
}

/* chmod(2) and chown(2) decide about later opens.  Open files work on. */
TEST_F(fs, chmod_and_chown)
{
	struct stat st;
	int fd, more;

	ASSERT_EQ(0, chmod("q", 0777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0600));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDWR));
	EXPECT_EQ(-EPERM, result(chmod("q/x", 0666)));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, chmod("q/x", 0606));
	EXPECT_EQ(-EPERM, result(chown("q/x", OTHER, -1)));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	fd = result(open("q/x", O_RDWR | O_NONBLOCK));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, chmod("q/x", 0600));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	EXPECT_EQ(LEN, take_msg(fd, LEN, 1));
	more = attach(fd, O_RDWR, 0, 0);
	EXPECT_LE(0, more);
	close(more);

	ASSERT_EQ(0, become(0, 0, 0));
	EXPECT_EQ(0, chown("q/x", OTHER, OTHER));
	ASSERT_EQ(0, stat("q/x", &st));
	EXPECT_EQ(OTHER, st.st_uid);
	EXPECT_EQ(OTHER, st.st_gid);
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(-EACCES, try_open("q/x", O_RDONLY));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(0, try_open("q/x", O_RDWR));
	close(fd);
}

/* A process that inherits an open file needs no permission, and can open nothing more. */
TEST_F(fs, inherited_file)
{
	int fd, more;

	ASSERT_EQ(0, make(self->root, "x", 0600));
	fd = open_at(self->root, "x", O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, open_at(self->root, "x", O_RDWR));
	EXPECT_EQ(LEN, put_msg(fd, LEN, 1));
	more = attach(fd, O_RDONLY, 0, 0);
	EXPECT_LE(0, more);
	EXPECT_EQ(LEN, take_msg(more, LEN, 1));
	EXPECT_EQ(-EACCES, attach(more, O_RDWR, 0, 0));
	EXPECT_EQ(-EACCES, remove_at(self->root, "x"));
	close(more);
	close(fd);
}

/* In a sticky directory users remove their own queues only. */
TEST_F(fs, sticky_directory)
{
	ASSERT_EQ(0, chmod("q", 01777));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	ASSERT_EQ(0, make(self->root, "x", 0666));
	ASSERT_EQ(0, chmod("q/x", 0666));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(-EPERM, remove_at(self->root, "x"));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY));
	EXPECT_EQ(0, try_open("q/x", O_RDWR | O_TRUNC));
	/* The VFS refuses O_CREAT of another's file here.  A shell's ">" uses O_CREAT. */
	EXPECT_EQ(-EACCES, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));

	/* In a directory that only a group can write to, as /dev/mpmcqfs, O_CREAT works. */
	ASSERT_EQ(0, become(0, 0, 0));
	ASSERT_EQ(0, chown("q", 0, GROUP));
	ASSERT_EQ(0, chmod("q", 01775));
	ASSERT_EQ(0, become(OTHER, GROUP, 0));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	EXPECT_EQ(-EPERM, remove_at(self->root, "x"));
	EXPECT_EQ(0, make(self->root, "y", 0600));
	EXPECT_EQ(0, remove_at(self->root, "y"));
	ASSERT_EQ(0, become(OTHER, OTHER, 0));
	EXPECT_EQ(-EACCES, make(self->root, "y", 0600));
	EXPECT_EQ(0, try_open("q/x", O_WRONLY | O_CREAT | O_TRUNC));
	ASSERT_EQ(0, become(OWNER, GROUP, 0));
	EXPECT_EQ(0, remove_at(self->root, "x"));
}

TEST_HARNESS_MAIN
