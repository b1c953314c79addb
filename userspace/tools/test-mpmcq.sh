#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the command mpmcq, against a loaded module. Prints TAP.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
mpmcq=$here/../../build/userspace/mpmcq
device=/dev/mpmcq
sysfs=/sys/module/mpmcq

usage() {
	cat <<-EOF
	Usage: $0 [MPMCQ]

	Test the command MPMCQ (default build/userspace/mpmcq) on $device, which
	must be empty, not in use, and have a capacity of 4 or more. Exit status: 0 if every test passed.
	EOF
}

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

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
tests=0
failed=0

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
depth() {
	[ "$(cat /sys/class/mpmcq/mpmcq/depth)" -eq "$1" ]
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

empty_queue() {
	"$mpmcq" receive --all >"$tmp/rest"
}

nl=$'\n'
capacity=$(cat $sysfs/parameters/capacity)
msg_size=$(cat $sysfs/parameters/msg_size)
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$here/../../dkms.conf")
if [ "$(cat /sys/class/mpmcq/mpmcq/depth)" -ne 0 ]; then
	echo "Bail out! $device is not empty"
	exit 1
fi
if [ "$capacity" -lt 4 ]; then
	echo "Bail out! $device has a capacity of $capacity, 4 are needed"
	exit 1
fi

# --- what it says of itself and of the queue

run "$mpmcq" --version
result '--version is that of dkms.conf' 0 "mpmcq $version$nl"
ok 'the module has the same version' [ "$(cat $sysfs/version)" = "$version" ]
run "$mpmcq" --help
ok '--help: status' came 0
ok '--help: all commands' [ "$(grep -c '^  mpmcq ' "$tmp/out")" -eq 3 ]

run "$mpmcq" send one two
run "$mpmcq" info
result 'info' 0 "version:   $version${nl}capacity:  $capacity${nl}msg_size:  $msg_size${nl}depth:     2$nl"
run "$mpmcq" info --json
ok 'info --json: status' came 0
ok 'info --json: content' python3 -c "
import json, sys
assert json.load(open(sys.argv[1])) == {'version': '$version', 'capacity': $capacity,
                                        'msg_size': $msg_size, 'depth': 2}" "$tmp/out"
empty_queue

# --- there and back

run "$mpmcq" send 'hello world'
result 'send' 0 ''
run "$mpmcq" receive
result 'receive' 0 "hello world$nl"
run "$mpmcq" send -- one -two three
run "$mpmcq" receive --count 3
result 'arguments, in order' 0 "one$nl-two${nl}three$nl"
run "$mpmcq" send -n -- --
run "$mpmcq" receive --nonblock
result 'a message that looks like an option' 0 "--$nl"

printf 'a\nb c\nno newline' >"$tmp/in"
run "$mpmcq" send <"$tmp/in"
ok 'lines: status' came 0
ok 'lines: one message each' depth 3
run "$mpmcq" receive --all
result 'lines' 0 "a${nl}b c${nl}no newline$nl"

printf 'a\nb\0c\0' >"$tmp/in"
run "$mpmcq" send --null <"$tmp/in"
ok 'null: one message each' depth 2
run "$mpmcq" receive --all --null
ok 'null' cmp "$tmp/in" "$tmp/out"

head -c "$msg_size" /dev/urandom >"$tmp/in"
run "$mpmcq" send --file "$tmp/in"
run "$mpmcq" receive --raw
ok 'file of msg_size random bytes' cmp "$tmp/in" "$tmp/out"
printf '\0' >"$tmp/in"
run "$mpmcq" send --file - <"$tmp/in"
run "$mpmcq" receive --raw
ok 'file - of one byte' cmp "$tmp/in" "$tmp/out"

# --- what cannot be a message

head -c $((msg_size + 1)) /dev/zero | tr '\0' x >"$tmp/in"
run "$mpmcq" send --file "$tmp/in"
ok 'file too long: status' came 1
ok 'file too long: says so' said "longer than msg_size, $msg_size bytes: Message too long"
run "$mpmcq" send <"$tmp/in"
ok 'line too long: status' came 1
ok 'line too long: says which' said '^mpmcq: line 1 is longer'
run "$mpmcq" send fine "$(cat "$tmp/in")" 'not sent'
ok 'argument too long: status' came 1
ok 'argument too long: says which' said '^mpmcq: message 2 .*(sent before it: 1)'
run "$mpmcq" receive --all
result 'only what came before it was sent' 0 "fine$nl"

run "$mpmcq" send <<<$'first\n\nthird'
ok 'empty line: status' came 1
ok 'empty line: says which' said '^mpmcq: line 2 is empty.*(sent before it: 1)'
run "$mpmcq" receive --all
result 'only what came before the empty line was sent' 0 "first$nl"
run "$mpmcq" send ''
ok 'empty argument' came 1
run "$mpmcq" send --file /dev/null
ok 'empty file' came 1
run "$mpmcq" send </dev/null
result 'no lines, no messages' 0 ''
run "$mpmcq" send --file "$tmp"
ok 'a directory is no message' came 1
ok 'nothing was sent' depth 0

# --- empty and full

run "$mpmcq" receive --nonblock
result 'empty, --nonblock' 3 ''
ok 'empty, --nonblock: says so' said 'mpmcq is empty (taken: 0)'
begin=$(date +%s%N)
run "$mpmcq" receive --timeout 0.3
took=$((($(date +%s%N) - begin) / 1000000))
result 'empty, --timeout' 3 ''
ok 'it took its time, and no more' [ $((took >= 300 && took < 10000)) -eq 1 ]
run "$mpmcq" receive --all
result 'empty, --all' 0 ''
"$mpmcq" send one two
run "$mpmcq" receive --count 3 --nonblock
result 'fewer than --count' 3 "one${nl}two$nl"

seq $((capacity + 1)) >"$tmp/in"
run "$mpmcq" send --nonblock <"$tmp/in"
ok 'full, --nonblock: status' came 3
ok 'full, --nonblock: says so' said "full: line $((capacity + 1)) not sent (sent before it: $capacity)"
run "$mpmcq" send --timeout 0.2 late
ok 'full, --timeout: status' came 3
"$mpmcq" send patient &
pid=$!
ok 'full: send waits' until_true asleep $pid
run "$mpmcq" receive
result 'full: the first comes first' 0 "1$nl"
ok 'full: send goes on' wait $pid
run "$mpmcq" receive --all
ok 'full: everything arrives in order' \
	cmp <(seq 2 "$capacity"; echo patient) "$tmp/out"

"$mpmcq" receive >"$tmp/waited" &
pid=$!
ok 'empty: receive waits' until_true asleep $pid
kill -STOP $pid
kill -CONT $pid
"$mpmcq" send 'at last'
ok 'empty: receive goes on' wait $pid
ok 'empty: it got the message' [ "$(cat "$tmp/waited")" = 'at last' ]

# --- output that goes wrong

"$mpmcq" send kept
status=0
"$mpmcq" receive >&- 2>"$tmp/err" || status=$?
ok 'output closed: status' came 1
status=0
"$mpmcq" receive 1</dev/null 2>"$tmp/err" || status=$?
ok 'output read-only: status' came 1
status=0
"$mpmcq" send lost 2>&- || status=$?
ok 'errors closed: status' came 1
ok 'nothing was taken, nothing sent' depth 1
status=0
"$mpmcq" receive >/dev/full 2>"$tmp/err" || status=$?
ok 'output full: status' came 1
ok 'output full: says what is lost' \
	said 'standard output: a message of 4 bytes .* is lost: No space left'
ok 'output full: it was taken' depth 0
status=0
"$mpmcq" info >/dev/full 2>"$tmp/err" || status=$?
ok 'info, output full: status' came 1

# head ends after a line; the receiver has to notice without another message.
mkfifo "$tmp/pipe"
"$mpmcq" receive --follow >"$tmp/pipe" 2>"$tmp/err" &
pid=$!
"$mpmcq" send 'for head'
run head -n 1 "$tmp/pipe"
result 'follow: a message' 0 "for head$nl"
status=0
wait $pid || status=$?
ok 'follow: ends with its reader, by SIGPIPE' came 141
ok 'follow: quietly' [ ! -s "$tmp/err" ]

# --- being ended

# Receivers are ended in the middle of their work until all has come.
last=30000
seq $last >"$tmp/in"
"$mpmcq" send <"$tmp/in" &
sender=$!
: >"$tmp/got"
ended=0
while [ "$(tail -n 1 "$tmp/got")" != $last ] && [ $ended -lt 1000 ]; do
	"$mpmcq" receive --follow >>"$tmp/got" &
	pid=$!
	sleep 0.0$((RANDOM % 10))
	kill -TERM $pid
	status=0
	wait $pid 2>/dev/null || status=$?
	[ $status -eq 143 ] || break
	ended=$((ended + 1))
done
ok 'follow: ends by SIGTERM' came 143
ok "ended in the middle, $ended times" [ $ended -gt 2 ]
ok 'the sender is done' wait $sender
ok 'and no message was lost or repeated' cmp "$tmp/in" "$tmp/got"

# --- wrong usage

while read -r arguments; do
	# shellcheck disable=SC2086 # several arguments
	run "$mpmcq" $arguments </dev/null
	ok "usage: $arguments: status" came 2
	ok "usage: $arguments: says so" said '^mpmcq: '
done <<-EOF

	nonsense
	--nonsense
	send --nonsense
	send --count 3 x
	send --timeout x y
	send --timeout -1 y
	send --timeout nan y
	send --timeout 1e99 y
	send --file /etc/hostname x
	send --null x
	receive x
	receive --count
	receive --count 0
	receive --count -1
	receive --count 1x
	receive --all --follow
	receive --null --raw
	receive --json
	info x
	info --nonblock
EOF

run "$mpmcq" --device /nonexistent info
ok 'no such device: status' came 1
ok 'no such device: says so' said '^mpmcq: /nonexistent: No such file or directory'
for command in send receive info; do
	run "$mpmcq" $command --device /dev/null
	ok "not a queue: $command: status" came 1
	ok "not a queue: $command: says so" said '^mpmcq: /dev/null: not a queue'
done
ok 'the queue is empty in the end' depth 0

echo "1..$tests"
[ $failed -eq 0 ]
