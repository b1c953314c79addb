// SPDX-License-Identifier: GPL-2.0-only
/*
 * A security module that forbids this process to read or write any file that is open, as a program
 * of bpf(2)
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <linux/btf.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "test.h"

#define HOOK	"bpf_lsm_file_permission"
#define TYPES	"/sys/kernel/btf/vmlinux"

#define INSN(...)	((struct bpf_insn){ __VA_ARGS__ })

/* Bytes of a type behind struct btf_type. */
static size_t rest_of(const struct btf_type *type)
{
	const unsigned int count = BTF_INFO_VLEN(type->info);

	switch (BTF_INFO_KIND(type->info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return count * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return count * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return count * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return count * sizeof(struct btf_param);
	case BTF_KIND_DATASEC:
		return count * sizeof(struct btf_var_secinfo);
	}
	return 0;
}

/* Returns the number of the hook among the kernel's types, 0 if it is not there. */
static unsigned int find_hook(const char *types)
{
	const struct btf_header *header = (const void *)types;
	const char *at = types + header->hdr_len + header->type_off, *end = at + header->type_len;
	const char *names = types + header->hdr_len + header->str_off;

	for (unsigned int id = 1; at < end; id++) {
		const struct btf_type *type = (const void *)at;

		if (BTF_INFO_KIND(type->info) == BTF_KIND_FUNC &&
		    !strcmp(names + type->name_off, HOOK))
			return id;
		at += sizeof(*type) + rest_of(type);
	}
	return 0;
}

static unsigned int number_of_hook(void)
{
	int file = open(TYPES, O_RDONLY | O_CLOEXEC);
	unsigned int hook = 0;
	size_t length = 0;
	struct stat st;
	ssize_t n;
	char *types;

	if (fstat(file, &st) < 0)
		return 0;
	types = malloc(st.st_size);
	while ((n = read(file, types + length, st.st_size - length)) > 0)
		length += n;
	if (length == (size_t)st.st_size)
		hook = find_hook(types);
	free(types);
	close(file);
	return hook;
}

static int load(void)
{
	const struct bpf_insn program[] = {
		INSN(.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_get_current_pid_tgid),
		INSN(.code = BPF_ALU64 | BPF_RSH | BPF_K, .dst_reg = 0, .imm = 32),
		INSN(.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .imm = getpid(), .off = 2),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0),
		INSN(.code = BPF_JMP | BPF_EXIT),
		INSN(.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = -EACCES),
		INSN(.code = BPF_JMP | BPF_EXIT),
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_LSM, .expected_attach_type = BPF_LSM_MAC,
		.attach_btf_id = number_of_hook(), .insns = (unsigned long)program,
		.insn_cnt = sizeof(program) / sizeof(*program), .license = (unsigned long)"GPL",
	};

	return syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
}

int deny_by_bpf(void)
{
	union bpf_attr attr = { .raw_tracepoint.prog_fd = load() };

	return syscall(SYS_bpf, BPF_RAW_TRACEPOINT_OPEN, &attr, sizeof(attr));
}
