# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The static checks that scripts/checks/static-test and scripts/checks/lint share.  Sourced after
# tap.sh, with kver set to a kernel whose headers are installed.

kselftest=$(scripts/kernels/kselftest) || exit 1

# clean NAME COMMAND...: succeeds and has nothing to say
clean() {
	local name=$1

	shift
	"$@" >"$log" 2>&1 && [ ! -s "$log" ]
	report $? "$name"
}

# build DIR: the warnings of the compiler and of sparse, and nothing else
build() {
	make -j"$(nproc)" -C "/lib/modules/$kver/build" M="$1" W=1 C=2 modules 2>&1 |
		grep -vE '^make|^  (CC|LD|CHECK|MODPOST|BTF) |^Skipping BTF'
	[ "${PIPESTATUS[0]}" = 0 ]
}

checkpatch() {
	"$kselftest/scripts/checkpatch.pl" -f --no-tree --strict --terse --no-summary \
		--max-line-length=100 "$@"
}

# Tracepoints have a form of their own.
checkpatch_trace() {
	checkpatch --ignore OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT "$@"
}

# Programs use the types of C, sig_atomic_t, ENOSYS for a missing system call,
# the compiler's attributes, the macros of the kselftest harness, and, to stand in for
# the kernel, its names.
checkpatch_programs() {
	checkpatch --ignore PREFER_KERNEL_TYPES,VOLATILE,ENOSYS,PREFER_DEFINED_ATTRIBUTE_MACRO \
		--ignore COMPLEX_MACRO,MACRO_ARG_REUSE,MACRO_WITH_FLOW_CONTROL,MEMORY_BARRIER \
		--ignore NEW_TYPEDEFS,IS_ENABLED_CONFIG,WAITQUEUE_ACTIVE "$@"
}

kernel_doc() {
	"$kselftest/scripts/kernel-doc" -none -Werror "$@"
}

# shared_out COMMAND FILE...: the files are shared out to as many runs of COMMAND, a
# function, as there are processors
shared_out() {
	local command=$1 runs share i pid pids=() status=0

	shift
	runs=$(nproc)
	for ((i = 1; i <= runs && i <= $#; i++)); do
		mapfile -t share < <(printf '%s\n' "$@" | sed -n "$i~${runs}p")
		"$command" "${share[@]}" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || status=1
	done
	return $status
}

# scripts_among: of the files on standard input, those for a shell
scripts_among() {
	xargs -r grep -lE '^#!/bin/(ba)?sh' --
}

compiles() {
	python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$1"
}

# licences FILE...: each says its licence; the library and the examples have the MIT license
licences() {
	local file line

	for file; do
		case $file in
		*.md | *.svg | *.dot | *.abi | .gitignore | COPYING | LICENSES/* | */README) continue ;;
		Documentation/ABI/* | selftests/config | selftests/settings) continue ;;
		esac
		line=$(grep -m1 -o 'SPDX-License-Identifier: [^*]*' "$file") || {
			echo "$file: no SPDX-License-Identifier"
			continue
		}
		case $file in
		*userspace/lib/test/*) ;;
		*userspace/lib/* | *userspace/examples/*)
			[ "${line% }" = 'SPDX-License-Identifier: MIT' ] || echo "$file: not MIT: $line"
			;;
		esac
	done
}

manual_pages() {
	mandoc -T lint -W warning "$@"
}

# check_all NAME FILES COMMAND...: if there are any FILES, one on each line
check_all() {
	local name=$1 list

	mapfile -t list <<<"$2"
	[ -n "$2" ] || return 0
	clean "$name" "${@:3}" "${list[@]}"
}

# static_checks LISTER: of the files that LISTER prints for patterns, as git ls-files does
static_checks() {
	check_all 'checkpatch --strict: the module' \
		"$("$1" 'kmod/*.[ch]' | grep -vxF kmod/trace.h)" shared_out checkpatch
	check_all 'checkpatch --strict: tracepoints' "$("$1" kmod/trace.h)" checkpatch_trace
	check_all 'checkpatch --strict: planted modules' "$("$1" 'scripts/checks/planted/*.c')" checkpatch
	check_all 'checkpatch --strict: programs' \
		"$("$1" 'selftests/*.[ch]' 'userspace/*.[ch]')" checkpatch_programs -f
	check_all 'kernel-doc' "$("$1" 'kmod/*.[ch]' 'userspace/lib/*.[ch]')" kernel_doc
	check_all 'shellcheck' "$("$1" | scripts_among)" shellcheck -x -S warning
	check_all 'each file says its licence, that of the library and the examples is MIT' "$("$1")" licences
	check_all 'manual pages: mandoc' "$("$1" 'userspace/man/*')" manual_pages
	check_all 'scripts/coverage compiles' "$("$1" scripts/checks/coverage)" compiles
}
