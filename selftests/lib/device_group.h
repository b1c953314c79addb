/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A control group that may use some devices only.
 */
#ifndef MPMCQ_DEVICE_GROUP_H
#define MPMCQ_DEVICE_GROUP_H

#include <linux/bpf.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "own_test.h"

/* Accesses to devices, as bpf(2) has them. */
#define DEV_M	BPF_DEVCG_ACC_MKNOD
#define DEV_R	BPF_DEVCG_ACC_READ
#define DEV_W	BPF_DEVCG_ACC_WRITE
#define DEV_RWM	(DEV_R | DEV_W | DEV_M)

/* A character device, and how a control group may use it.  A number of -1 stands for all. */
struct rule {
	int major;
	int minor;
	int access;
};

#define INSN(code_, ...)	((struct bpf_insn){ .code = (code_), ##__VA_ARGS__ })

/*
 * Adds the instructions for a rule.  They end the program if the rule allows the access, else
 * jump behind themselves.  Register 2 is access and type, 3 is the major, 4 the minor number.
 */
static inline int add_rule(struct bpf_insn *insn, const struct rule *rule)
{
	int n = 0, left = 5;	/* instructions after those that compare numbers */

	if (rule->major >= 0)
		insn[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 3, .imm = rule->major,
				 .off = left + (rule->minor >= 0));
	if (rule->minor >= 0)
		insn[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 4, .imm = rule->minor,
				 .off = left);
	/* The type must be all that is left when the allowed accesses are masked out. */
	insn[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 5, .src_reg = 2);
	insn[n++] = INSN(BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = 5, .imm = ~(rule->access << 16));
	insn[n++] = INSN(BPF_JMP | BPF_JNE | BPF_K, .dst_reg = 5, .imm = BPF_DEVCG_DEV_CHAR,
			 .off = 2);
	insn[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1);
	insn[n++] = INSN(BPF_JMP | BPF_EXIT);
	return n;
}

#define RULES_MAX	8

/* Loads a program that allows what any of the rules allows; its descriptor, or -errno. */
static inline int load_rules(const struct rule *rules, int count)
{
	struct bpf_insn insns[3 + RULES_MAX * 7 + 2];
	union bpf_attr attr = {};
	int i, n = 0;

	for (i = 0; i < 3; i++)
		insns[n++] = INSN(BPF_LDX | BPF_MEM | BPF_W, .dst_reg = 2 + i, .src_reg = 1,
				  .off = 4 * i);
	for (i = 0; i < count; i++)
		n += add_rule(insns + n, &rules[i]);
	insns[n++] = INSN(BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0);
	insns[n++] = INSN(BPF_JMP | BPF_EXIT);
	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (unsigned long)insns;
	attr.insn_cnt = n;
	attr.license = (unsigned long)"GPL";
	return result(syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)));
}

static inline int attach_rules(int cmd, int group, int prog)
{
	union bpf_attr attr = {};

	attr.target_fd = group;
	attr.attach_bpf_fd = prog;
	attr.attach_type = BPF_CGROUP_DEVICE;
	if (cmd == BPF_PROG_ATTACH)
		attr.attach_flags = BPF_F_ALLOW_MULTI;
	return result(syscall(SYS_bpf, cmd, &attr, sizeof(attr)));
}

/* A control group, and the program that says what devices it may use. */
struct device_group {
	char path[32];
	int fd;
	int prog;	/* 0 if there is none */
};

/* Replaces the rules of a group. */
static inline int set_rules(struct device_group *group, const struct rule *rules, int count)
{
	int ret, prog = load_rules(rules, count);

	if (prog < 0)
		return prog;
	if (group->prog) {
		ret = attach_rules(BPF_PROG_DETACH, group->fd, group->prog);
		close(group->prog);
		group->prog = 0;
		if (ret)
			return ret;
	}
	ret = attach_rules(BPF_PROG_ATTACH, group->fd, prog);
	if (ret)
		close(prog);
	else
		group->prog = prog;
	return ret;
}

/* Makes a group that may use no device.  Returns why there is none, or NULL. */
static inline const char *make_group(struct device_group *group)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };
	static char why[80];
	int ret;

	/* Kernels before 5.11 count programs as locked memory. */
	setrlimit(RLIMIT_MEMLOCK, &limit);
	if (mount("cgroup2", "cgroup", "cgroup2", 0, NULL)) {
		snprintf(why, sizeof(why), "mount -t cgroup2: %s", strerror(errno));
		return why;
	}
	snprintf(group->path, sizeof(group->path), "cgroup/mpmcq.%d", getpid());
	if (mkdir(group->path, 0755)) {
		snprintf(why, sizeof(why), "mkdir in cgroup2: %s", strerror(errno));
		*group->path = '\0';
		return why;
	}
	group->fd = open(group->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ret = set_rules(group, NULL, 0);
	if (!ret)
		return NULL;
	snprintf(why, sizeof(why), "bpf: %s", strerror(-ret));
	return why;
}

static inline void remove_group(struct __test_metadata *_metadata, struct device_group *group)
{
	if (!*group->path)
		return;
	if (group->prog)
		close(group->prog);
	close(group->fd);
	EXPECT_TRUE(comes_true(!rmdir(group->path)));
}

#endif /* MPMCQ_DEVICE_GROUP_H */
