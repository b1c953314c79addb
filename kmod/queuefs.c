// SPDX-License-Identifier: GPL-2.0-only
/*
 * mpmcqfs: a filesystem whose files are queues.
 *
 * Each mount has its own set of queues.  It has one directory, the root, and queues in it.
 * MPMCQ_IOC_CREATE on that directory makes a queue, unlink(2) removes its name, and open(2) opens
 * it.  Permissions, ownership, labels and notifications are those of the VFS.  The inode has a
 * reference to the queue, and so has each open file; the last one frees the queue.
 *
 * The models are the filesystem of ipc/mqueue.c, and for device nodes in mounts of user namespaces
 * drivers/android/binderfs.c.
 */

#include <linux/ctype.h>
#include <linux/dcache.h>
#include <linux/device_cgroup.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/fs_struct.h>
#include <linux/kdev_t.h>
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/mutex.h>
#include <linux/namei.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include <linux/mpmcq.h>

#include "chardev.h"
#include "compat.h"
#include "create.h"
#include "device.h"
#include "file.h"
#include "limits.h"
#include "queue.h"
#include "queuefs.h"

#define MPMCQFS_MODE	0755	/* of the root directory, by default */

/**
 * struct queue_set - the queues of a mount, in s_fs_info of its superblock
 * @quota: their limits; stays as long as any open file, because an open file keeps the mount
 * @exist_ok_lock: lets calls with MPMCQ_EXIST_OK make queues one at a time, see create_named()
 */
struct queue_set {
	struct mpmcq_quota quota;
	struct mutex exist_ok_lock;	/* see above */
};

static struct queue_set *set_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

static struct mpmcq_quota *quota_of(const struct super_block *sb)
{
	return &set_of(sb)->quota;
}

/*
 * Gives a queue its name.  vfs_mkobj() checks permissions and then calls this.  @arg points to the
 * caller's reference to the queue, which passes to the inode.
 */
static int mpmcqfs_make_inode(struct dentry *dentry, umode_t mode, void *arg)
{
	struct inode *dir = d_inode(dentry->d_parent);
	struct inode *inode = new_inode(dir->i_sb);
	struct mpmcq_queue **q = arg;

	if (!inode)
		return -ENOMEM;
	inode->i_ino = get_next_ino();
	init_special_inode(inode, S_IFCHR | (mode & 0777), mpmcq_device_number(MPMCQ_MINOR_FILE));
	inode->i_uid = current_fsuid();
	inode->i_gid = dir->i_mode & S_ISGID ? dir->i_gid : current_fsgid();
	mpmcq_inode_init_times(inode);
	/* Not the operations that init_special_inode() set, which go by the device number. */
	inode->i_fop = &mpmcq_fops;
	inode->i_private = *q;
	*q = NULL;
	mpmcq_dir_changed(dir, inode);
	mpmcq_dentry_add(dentry, inode);
	return 0;
}

/* Compares all that MPMCQ_IOC_CREATE configures, except MPMCQ_START_LEASE. */
static bool same_config(const struct mpmcq_config *a, const struct mpmcq_config *b)
{
	return a->capacity == b->capacity && a->msg_size == b->msg_size &&
		!((a->flags ^ b->flags) & ~MPMCQ_START_LEASE) &&
		a->max_deliveries == b->max_deliveries && a->lease_ms == b->lease_ms &&
		a->retry_ms == b->retry_ms && a->retry_max_ms == b->retry_max_ms &&
		a->levels == b->levels;
}

/* Returns the result of MPMCQ_IOC_CREATE for a name that exists. */
static int check_existing(const struct dentry *dentry, const struct mpmcq_create *args,
			  const struct mpmcq_config *config)
{
	const struct mpmcq_queue *q = d_inode(dentry)->i_private;

	return args->flags & MPMCQ_EXIST_OK && same_config(&q->config, config) ? 0 : -EEXIST;
}

/*
 * Call under the directory's lock.  If the name does not exist, returns its negative dentry.  If it
 * exists, returns the result of MPMCQ_IOC_CREATE as an ERR_PTR, so NULL if the queue is as wanted.
 */
static struct dentry *lookup_new(struct file *dir, const struct qstr *name,
				 const struct mpmcq_create *args,
				 const struct mpmcq_config *config)
{
	struct dentry *dentry = mpmcq_lookup(name, dir);
	int ret;

	if (IS_ERR(dentry) || d_really_is_negative(dentry))
		return dentry;
	ret = check_existing(dentry, args, config);
	dput(dentry);
	return ERR_PTR(ret);
}

/*
 * Call under the directory's lock.  Makes the checks that mknod(2) makes for a character device,
 * except CAP_MKNOD, because our files lead to no other device.  vfs_mkobj() asks the security
 * module about a regular file, the only kind it knows (SELinux: "file create").
 */
static int add_name(const struct file *dir, struct dentry *dentry, umode_t mode,
		    struct mpmcq_queue **q)
{
	dev_t dev = mpmcq_device_number(MPMCQ_MINOR_FILE);
	int ret;

	mode &= ~current_umask();
	ret = security_path_mknod(&dir->f_path, dentry, S_IFCHR | mode, new_encode_dev(dev));
	if (!ret)
		ret = devcgroup_inode_mknod(S_IFCHR | mode, dev);
	return ret ?: vfs_mkobj(dentry, mode, mpmcqfs_make_inode, q);
}

/*
 * Gives a queue a name.  @dentry is from find_new().  Drops the caller's references to the dentry,
 * and to the queue if this fails or the name exists.
 */
static int name_queue(struct file *dir, struct dentry *dentry, const struct qstr *name,
		      const struct mpmcq_create *args, struct mpmcq_queue *q)
{
	struct inode *inode = file_inode(dir);
	int ret;

	inode_lock_nested(inode, I_MUTEX_PARENT);
	/* Others may have made a queue of that name since, and may have removed it again. */
	if (d_really_is_positive(dentry) || d_unhashed(dentry)) {
		dput(dentry);
		dentry = lookup_new(dir, name, args, &q->config);
	}
	ret = PTR_ERR_OR_ZERO(dentry);
	if (!IS_ERR_OR_NULL(dentry)) {
		ret = add_name(dir, dentry, args->mode, &q);
		dput(dentry);
	}
	inode_unlock(inode);
	if (q)
		mpmcq_queue_put(q);
	return ret;
}

static struct mpmcq_queue *make_queue(const struct file *dir, const struct mpmcq_config *config)
{
	struct mpmcq_charge *charge = mpmcq_queue_charge(config,
							 quota_of(file_inode(dir)->i_sb));

	return IS_ERR(charge) ? ERR_CAST(charge) : mpmcq_queue_create(config, charge);
}

/* Makes the queue without the directory's lock, then gives it its name: it is complete by then. */
static int create_new(struct file *dir, struct dentry *dentry, const struct qstr *name,
		      const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	/* vfs_mkobj() checks again, but a caller without permission must not charge the mount. */
	int ret = file_permission(dir, MAY_WRITE | MAY_EXEC);
	struct mpmcq_queue *q = ret ? ERR_PTR(ret) : make_queue(dir, config);

	if (IS_ERR(q)) {
		dput(dentry);
		return PTR_ERR(q);
	}
	return name_queue(dir, dentry, name, args, q);
}

/* As lookup_new(), but takes the directory's lock. */
static struct dentry *find_new(struct file *dir, const struct qstr *name,
			       const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	struct inode *inode = file_inode(dir);
	struct dentry *dentry;

	inode_lock_shared(inode);
	dentry = lookup_new(dir, name, args, config);
	inode_unlock_shared(inode);
	return dentry;
}

/* Makes the queue unless it exists.  @dentry is from find_new(); drops the reference to it. */
static int create_found(struct file *dir, struct dentry *dentry, const struct qstr *name,
			const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	int ret;

	if (IS_ERR_OR_NULL(dentry))
		return PTR_ERR_OR_ZERO(dentry);
	ret = mnt_want_write_file(dir);
	if (ret) {
		dput(dentry);
		return ret;
	}
	ret = create_new(dir, dentry, name, args, config);
	mnt_drop_write_file(dir);
	return ret;
}

/*
 * Looks for the name before it makes a queue, because the caller's limits may allow no second
 * queue.  If many processes start with the same call with MPMCQ_EXIST_OK, one has to make the queue
 * and the others have to find it.  At the same time they would ask for as many times its memory.
 * So callers that do not find the name take a lock and look again.
 */
static int create_named(struct file *dir, const struct qstr *name,
			const struct mpmcq_create *args, const struct mpmcq_config *config)
{
	struct mutex *lock = &set_of(file_inode(dir)->i_sb)->exist_ok_lock;
	struct dentry *dentry = find_new(dir, name, args, config);
	int ret;

	if (IS_ERR_OR_NULL(dentry) || !(args->flags & MPMCQ_EXIST_OK))
		return create_found(dir, dentry, name, args, config);
	dput(dentry);
	if (mutex_lock_killable(lock))
		return -EINTR;
	ret = create_found(dir, find_new(dir, name, args, config), name, args, config);
	mutex_unlock(lock);
	return ret;
}

/* @name has room for NAME_MAX + 1 bytes.  Returns the length of the name. */
static int get_name(char *name, u64 uname)
{
	long len = strncpy_from_user(name, u64_to_user_ptr(uname), NAME_MAX + 1);

	if (len < 0)
		return len;
	if (!len)
		return -ENOENT;
	if (len > NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(name, '/', len) || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	return len;
}

static int ioctl_create(struct file *dir, const void __user *uargs)
{
	struct mpmcq_create args;
	struct mpmcq_config config;
	int ret = mpmcq_get_create_args(&args, &config, uargs);
	char name[NAME_MAX + 1];

	if (ret)
		return ret;
	if (!args.name)
		return mpmcq_create_private(&args, &config);
	if (args.open_flags || args.mode & ~0777)
		return -EINVAL;
	ret = get_name(name, args.name);
	if (ret < 0)
		return ret;
	return create_named(dir, &(struct qstr)QSTR_INIT(name, ret), &args, &config);
}

static long mpmcqfs_dir_ioctl(struct file *dir, unsigned int cmd, unsigned long arg)
{
	if (_IOC_DIR(cmd) != _IOC_NONE && MPMCQ_CALL(cmd) == MPMCQ_CALL(MPMCQ_IOC_CREATE))
		return ioctl_create(dir, (void __user *)arg);
	return -ENOTTY;
}

/* The operations of simple_dir_operations, and our ioctls. */
static const struct file_operations mpmcqfs_dir_operations = {
	.owner		= THIS_MODULE,
	.open		= dcache_dir_open,
	.release	= dcache_dir_close,
	.llseek		= dcache_dir_lseek,
	.read		= generic_read_dir,
	.iterate_shared	= dcache_readdir,
	.fsync		= noop_fsync,
	.unlocked_ioctl	= mpmcqfs_dir_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/* Only MPMCQ_IOC_CREATE makes files here.  Queues keep their names, so there is no ->rename. */
static const struct inode_operations mpmcqfs_dir_inode_operations = {
	.lookup	= simple_lookup,
	.unlink	= simple_unlink,
};

static void mpmcqfs_evict_inode(struct inode *inode)
{
	clear_inode(inode);
	if (inode->i_private)
		mpmcq_queue_put(inode->i_private);
	/* An unmount may evict 100,000 inodes. */
	cond_resched();
}

/*
 * Shows ids as they are in the mount's user namespace.  Not in the reader's: seq_user_ns() needs
 * the file of the seq_file, and statmount(2) calls this without one.
 */
static int mpmcqfs_show_options(struct seq_file *m, struct dentry *root)
{
	const struct mpmcq_quota *quota = quota_of(root->d_sb);
	struct user_namespace *ns = root->d_sb->s_user_ns;
	const struct inode *inode = d_inode(root);
	unsigned long max_bytes = READ_ONCE(quota->max_bytes);
	unsigned long max_queues = READ_ONCE(quota->max_queues);

	if ((inode->i_mode & 07777) != MPMCQFS_MODE)
		seq_printf(m, ",mode=%o", inode->i_mode & 07777);
	if (!uid_eq(inode->i_uid, make_kuid(ns, 0)))
		seq_printf(m, ",uid=%u", from_kuid_munged(ns, inode->i_uid));
	if (!gid_eq(inode->i_gid, make_kgid(ns, 0)))
		seq_printf(m, ",gid=%u", from_kgid_munged(ns, inode->i_gid));
	if (max_bytes)
		seq_printf(m, ",size=%lu", max_bytes);
	if (max_queues)
		seq_printf(m, ",max=%lu", max_queues);
	return 0;
}

static u64 left_of(unsigned long limit, unsigned long have)
{
	return limit > have ? limit - have : 0;
}

static int mpmcqfs_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	const struct mpmcq_quota *quota = quota_of(dentry->d_sb);
	unsigned long max_bytes = READ_ONCE(quota->max_bytes);
	unsigned long max_queues = READ_ONCE(quota->max_queues);
	int ret = simple_statfs(dentry, buf);

	if (ret)
		return ret;
	buf->f_blocks = max_bytes >> PAGE_SHIFT;
	buf->f_bfree = left_of(max_bytes, READ_ONCE(quota->bytes)) >> PAGE_SHIFT;
	buf->f_bavail = buf->f_bfree;
	buf->f_files = max_queues;
	buf->f_ffree = left_of(max_queues, READ_ONCE(quota->queues));
	return 0;
}

static const struct super_operations mpmcqfs_super_operations = {
	.evict_inode	= mpmcqfs_evict_inode,
	.show_options	= mpmcqfs_show_options,
	.statfs		= mpmcqfs_statfs,
};

enum { OPT_MODE, OPT_UID, OPT_GID, OPT_SIZE, OPT_MAX };

static const struct fs_parameter_spec mpmcqfs_parameters[] = {
	fsparam_u32oct("mode", OPT_MODE),
	fsparam_u32("uid", OPT_UID),
	fsparam_u32("gid", OPT_GID),
	fsparam_string("size", OPT_SIZE),
	fsparam_u32("max", OPT_MAX),
	{}
};

/**
 * struct mpmcqfs_options - options of a mount(2)
 * @mode: mode of the root directory, 0 to 07777
 * @uid: owner of the root directory
 * @gid: group of the root directory
 * @max_bytes: as in struct mpmcq_quota
 * @max_queues: as in struct mpmcq_quota
 * @given: the options that were given, a bit for each OPT_
 */
struct mpmcqfs_options {
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
	unsigned long max_bytes;
	unsigned long max_queues;
	unsigned int given;
};

/*
 * Takes digits, then k, m, g or nothing.  Not memparse(), which wraps: a huge limit could become 0,
 * which is no limit.
 */
static bool parse_size(char *text, unsigned long *bytes)
{
	static const char units[] = "kmg";
	char *end = text + strspn(text, "0123456789");
	const char *unit = *end ? strchr(units, tolower(*end)) : NULL;
	unsigned int shift = unit ? 10 * (unit - units + 1) : 0;
	unsigned long n;

	if (end == text || (*end && (!unit || end[1])))
		return false;
	*end = '\0';
	return !kstrtoul(text, 10, &n) && !check_shl_overflow(n, shift, bytes);
}

/* Reads ids in the user namespace of the caller.  They must be mapped in that of the mount, too. */
static int mpmcqfs_parse_param(struct fs_context *fc, struct fs_parameter *param)
{
	struct mpmcqfs_options *opts = fc->fs_private;
	struct fs_parse_result result;
	int opt = fs_parse(fc, mpmcqfs_parameters, param, &result);

	switch (opt) {
	case OPT_MODE:
		if (result.uint_32 & ~07777)
			return invalfc(fc, "mode: not from 0 to 07777");
		opts->mode = result.uint_32;
		break;
	case OPT_UID:
		opts->uid = make_kuid(current_user_ns(), result.uint_32);
		if (!kuid_has_mapping(fc->user_ns, opts->uid))
			return invalfc(fc, "uid: not mapped in this user namespace");
		break;
	case OPT_GID:
		opts->gid = make_kgid(current_user_ns(), result.uint_32);
		if (!kgid_has_mapping(fc->user_ns, opts->gid))
			return invalfc(fc, "gid: not mapped in this user namespace");
		break;
	case OPT_SIZE:
		if (!parse_size(param->string, &opts->max_bytes))
			return invalfc(fc, "size: not a number of bytes");
		break;
	case OPT_MAX:
		opts->max_queues = result.uint_32;
		break;
	default:
		return opt;
	}
	opts->given |= BIT(opt);
	return 0;
}

static int mpmcqfs_make_root(struct super_block *sb, const struct mpmcqfs_options *opts)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return -ENOMEM;
	inode->i_ino = get_next_ino();
	inode->i_mode = S_IFDIR | opts->mode;
	inode->i_uid = opts->uid;
	inode->i_gid = opts->gid;
	mpmcq_inode_init_times(inode);
	inode->i_op = &mpmcqfs_dir_inode_operations;
	inode->i_fop = &mpmcqfs_dir_operations;
	inc_nlink(inode);
	sb->s_root = d_make_root(inode);
	return sb->s_root ? 0 : -ENOMEM;
}

static int mpmcqfs_fill_super(struct super_block *sb, struct fs_context *fc)
{
	const struct mpmcqfs_options *opts = fc->fs_private;
	struct queue_set *set;

	/*
	 * A device node here is always a queue of this mount.  So device nodes are as safe in a
	 * mount of a user namespace as in any other.
	 */
	sb->s_iflags &= ~SB_I_NODEV;
	sb->s_iflags |= SB_I_NOEXEC;
	/* No overlayfs: it would copy up nodes, and a copy is no queue. */
	sb->s_stack_depth = FILESYSTEM_MAX_STACK_DEPTH;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = MPMCQFS_MAGIC;
	sb->s_op = &mpmcqfs_super_operations;
	sb->s_time_gran = 1;
	/* mpmcqfs_kill_sb() frees it, even if this function fails. */
	set = kzalloc(sizeof(*set), GFP_KERNEL_ACCOUNT);
	if (!set)
		return -ENOMEM;
	set->quota.max_bytes = opts->max_bytes;
	set->quota.max_queues = opts->max_queues;
	mutex_init(&set->exist_ok_lock);
	sb->s_fs_info = set;
	return mpmcqfs_make_root(sb, opts);
}

static int mpmcqfs_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, mpmcqfs_fill_super);
}

/* A remount changes the limits only.  chmod and chown change the root directory. */
static int mpmcqfs_reconfigure(struct fs_context *fc)
{
	const struct mpmcqfs_options *opts = fc->fs_private;
	struct mpmcq_quota *quota = quota_of(fc->root->d_sb);

	if (opts->given & BIT(OPT_SIZE))
		WRITE_ONCE(quota->max_bytes, opts->max_bytes);
	if (opts->given & BIT(OPT_MAX))
		WRITE_ONCE(quota->max_queues, opts->max_queues);
	return 0;
}

static void mpmcqfs_free_context(struct fs_context *fc)
{
	kfree(fc->fs_private);
}

static const struct fs_context_operations mpmcqfs_context_operations = {
	.parse_param	= mpmcqfs_parse_param,
	.get_tree	= mpmcqfs_get_tree,
	.reconfigure	= mpmcqfs_reconfigure,
	.free		= mpmcqfs_free_context,
};

static int mpmcqfs_init_context(struct fs_context *fc)
{
	struct mpmcqfs_options *opts = kzalloc(sizeof(*opts), GFP_KERNEL_ACCOUNT);

	if (!opts)
		return -ENOMEM;
	opts->mode = MPMCQFS_MODE;
	opts->uid = make_kuid(fc->user_ns, 0);
	opts->gid = make_kgid(fc->user_ns, 0);
	if (!uid_valid(opts->uid))
		opts->uid = current_fsuid();
	if (!gid_valid(opts->gid))
		opts->gid = current_fsgid();
	fc->fs_private = opts;
	fc->ops = &mpmcqfs_context_operations;
	return 0;
}

static void mpmcqfs_kill_sb(struct super_block *sb)
{
	struct queue_set *set = set_of(sb);

	mpmcq_kill_super(sb);
	/* No file of the mount is open any more, so its last queue is freed already. */
	kfree(set);
}

static struct file_system_type mpmcqfs_type = {
	.owner			= THIS_MODULE,
	.name			= "mpmcqfs",
	.init_fs_context	= mpmcqfs_init_context,
	.parameters		= mpmcqfs_parameters,
	.kill_sb		= mpmcqfs_kill_sb,
	.fs_flags		= FS_USERNS_MOUNT,
};
MODULE_ALIAS_FS("mpmcqfs");

/**
 * mpmcq_queuefs_init() - register mpmcqfs
 *
 * It may be mounted before this returns, so nothing after this may fail.
 *
 * Return: 0; -EBUSY if a filesystem of that name is registered already.
 * Context: may sleep.
 */
int mpmcq_queuefs_init(void)
{
	return register_filesystem(&mpmcqfs_type);
}

/**
 * mpmcq_queuefs_exit() - undo mpmcq_queuefs_init()
 *
 * No mpmcqfs is mounted, because a mount has a reference to the module.
 *
 * Context: may sleep.
 */
void mpmcq_queuefs_exit(void)
{
	unregister_filesystem(&mpmcqfs_type);
	/* RCU frees the inodes of the last mount, which point to our operations until then. */
	rcu_barrier();
}
