# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by tests of the command mpmcq, which have a function clean_up and call begin, and
# by those of the demo.

here=$(cd "$(dirname "$0")" && pwd)
mpmcq=$here/../../build/userspace/mpmcq
mount=/dev/mpmcqfs
device=/dev/mpmcq
patience=30 # for a command, in seconds
tests=0
failed=0
nl=$'\n'

usage() {
	cat <<-EOF
	Usage: $0 [MPMCQ]

	Test the command MPMCQ (default build/userspace/mpmcq) as root, on $mount, where an
	mpmcqfs without queues must be mounted.
	Exit status: 0 if every test passed.
	EOF
}

# begin [MPMCQ]: reads the arguments of a script, and sees that its tests can be made. Leaves $mpmcq
# and $tmp, a folder of its own; clean_up of the script is called in the end.
begin() {
	case ${1-} in
	-h | --help)
		usage
		exit
		;;
	-*)
		usage >&2
		exit 2
		;;
	esac
	mpmcq=$(realpath -- "${1-$mpmcq}")
	if [ "$(id -u)" -ne 0 ]; then
		echo 'Bail out! only root can make these tests'
		exit 1
	fi
	if [ "$(stat -f -c %t $mount)" != 6d706d71 ] || [ "$(ls -A $mount)" ]; then
		echo "Bail out! $mount is not a mounted mpmcqfs without queues"
		exit 1
	fi
	tmp=$(mktemp -d)
	# Bash runs this also for a child that is killed before it has become a command.
	trap '[ "$BASHPID" != $$ ] || clean_up' EXIT
	umask 022
}

# For tests that use the default queue: it has to be empty. Leaves its $capacity and $msg_size.
use_device() {
	local parameters=/sys/module/mpmcq/parameters

	capacity=$(cat $parameters/capacity)
	msg_size=$(cat $parameters/msg_size)
	if ! depth 0 || [ "$capacity" -lt 4 ]; then
		echo "Bail out! $device is not empty, or has a capacity of less than 4"
		exit 1
	fi
}

# The end: the plan, and the exit status.
plan() {
	echo "1..$tests"
	[ $failed -eq 0 ]
}

# Runs a command, bounded in time; leaves $status, $tmp/out and $tmp/err.
run() {
	status=0
	timeout $patience "$@" >"$tmp/out" 2>"$tmp/err" || status=$?
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
		head -n 20 "$tmp/out" "$tmp/err" | sed 's/^/# /'
	fi
}

not() {
	! "$@"
}

# What the last run() came to.
came() {
	[ "$status" -eq "$1" ]
}
printed() {
	[ "$(cat "$tmp/out"; echo .)" = "$1." ]
}
has() {
	grep -q -- "$1" "$tmp/out"
}
said() {
	grep -q -- "$1" "$tmp/err"
}

# result NAME STATUS OUTPUT: the last run()'s status and exact output.
result() {
	ok "$1: status" came "$2"
	ok "$1: output" printed "$3"
}

# error NAME STATUS PATTERN: the last run()'s status and what it said
error() {
	ok "$1: status" came "$2"
	ok "$1: says so" said "$3"
}

# wrong_usage: each line of standard input is arguments that are refused
wrong_usage() {
	local arguments

	while read -r arguments; do
		# shellcheck disable=SC2086 # several arguments
		run "$mpmcq" $arguments </dev/null
		error "usage: $arguments" 2 '^mpmcq: '
	done
}

# Waits until a command succeeds, a third of $patience.
until_true() {
	local i

	for ((i = 0; i < patience * 20 / 3; i++)); do
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

# depth NUMBER: of the default queue
depth() {
	[ "$(cat /sys/class/mpmcq/mpmcq/depth)" -eq "$1" ]
}

empty_queue() {
	"$mpmcq" receive --all >"$tmp/rest"
}

# All queues whose names begin with "test.".
destroy_all() {
	local path

	for path in $mount/test.*; do
		[ ! -e "$path" ] || "$mpmcq" destroy "$path"
	done
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

# send_delayed QUEUE MESSAGE: with a delay of an hour
send_delayed() {
	"$mpmcq" -q "$1" send --delay 3600 "$2"
}

# many_queues DIR COUNT CAPACITY: a configuration of queue-0 and so on, for messages of one byte
many_queues() {
	seq -f "[$1/queue-%.0f]${nl}capacity = $3${nl}msg-size = 1" 0 $(($2 - 1))
}
