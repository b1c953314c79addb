# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by tests of the command mpmcq, which set mpmcq to its path and tmp to a folder of their own.

tests=0
failed=0
nl=$'\n'

# Runs a command, bounded in time; leaves $status, $tmp/out and $tmp/err.
run() {
	status=0
	timeout 30 "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
}

# ok NAME COMMAND...: a test that passes if COMMAND succeeds.
ok() {
	local name=$1
	shift
	tests=$((tests + 1))
	if "$@"; then
		echo "ok $tests - $name"
	else
		failed=$((failed + 1))
		echo "not ok $tests - $name"
		echo "# failed: $*"
		echo "# status ${status-}"
		sed 's/^/# stderr: /' "$tmp/err"
	fi
}

# What the last run() came to.
came() {
	[ "$status" -eq "$1" ]
}
printed() {
	[ "$(cat "$tmp/out"; echo .)" = "$1." ]
}
said() {
	grep -q -- "$1" "$tmp/err"
}
# result NAME STATUS OUTPUT: the last run()'s status and exact output.
result() {
	ok "$1: status" came "$2"
	ok "$1: output" printed "$3"
}

# Waits until a command succeeds.
until_true() {
	local i
	for ((i = 0; i < 200; i++)); do
		"$@" && return
		sleep 0.05
	done
	return 1
}

asleep() {
	[ "$(cut -d ' ' -f 3 "/proc/$1/stat")" = S ]
}

lines_in() {
	[ "$(wc -l <"$1")" -eq "$2" ]
}

# shows QUEUE LINE VALUE: what "info" says of a queue
shows() {
	[ "$("$mpmcq" -q "$1" info | sed -n "s/^$2: *//p")" = "$3" ]
}

# is PATH OWNER:GROUP:MODE
is() {
	[ "$(stat -c %U:%G:%a "$1")" = "$2" ]
}

# run_as_nobody COMMAND...: as run(), with no more rights than every user has
run_as_nobody() {
	run setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \
		--inh-caps=-all "$@"
}

# run_hidden DIR COMMAND...: as run(), with an empty file system mounted on DIR, which
# only COMMAND sees
run_hidden() {
	# shellcheck disable=SC2016 # for the shell that is run
	run unshare --mount sh -c 'mount -t tmpfs hidden "$1" && shift && exec "$@"' sh "$@"
}

# has_row FIELDS: whether the table of the last run() has them in a row
has_row() {
	awk -v fields="$1" '{ $1 = $1 } $0 == fields { n++ } END { exit n != 1 }' "$tmp/out"
}
