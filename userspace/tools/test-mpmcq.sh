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
	must be empty, not in use, and have a capacity of 4 or more; there must be no other queue.
	Exit status: 0 if every test passed.
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
trap clean_up EXIT
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

# Bash runs this also for a child that is killed before it has become a command.
clean_up() {
	[ "$BASHPID" = $$ ] || return 0
	rm -rf "$tmp"
	destroy_all
}

empty_queue() {
	"$mpmcq" receive --all >"$tmp/rest"
}

# shows QUEUE ATTRIBUTE VALUE: what sysfs says of a queue with a name
shows() {
	[ "$(cat "/sys/class/mpmcq/mpmcq-$1/$2")" = "$3" ]
}

# All queues that these tests may have made.
destroy_all() {
	local path

	for path in /sys/class/mpmcq/mpmcq-test.*; do
		[ ! -e "$path" ] || "$mpmcq" destroy "${path#*/mpmcq-}"
	done
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
ok '--help: all commands' [ "$(grep -c '^  mpmcq ' "$tmp/out")" -eq 9 ]

limit=$(cat /sys/class/mpmcq/mpmcq/max_deliveries)
features='packed lease dead close attach create names drop'
run "$mpmcq" send one two
run "$mpmcq" info
result 'info' 0 "\
name:            mpmcq
version:         $version
capacity:        $capacity
msg_size:        $msg_size
depth:           2
leased:          0
dead:            0
max_deliveries:  $limit
lease_ms:        0
closed:          no
flags:           none
features:        $features
"
run "$mpmcq" info --json
ok 'info --json: status' came 0
ok 'info --json: content' python3 -c "
import json, sys
assert json.load(open(sys.argv[1])) == {
    'name': 'mpmcq', 'version': '$version', 'capacity': $capacity, 'msg_size': $msg_size,
    'depth': 2, 'leased': 0, 'dead': 0, 'closed': False, 'max_deliveries': $limit,
    'lease_ms': 0, 'flags': [], 'features': '$features'.split()}" "$tmp/out"
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

# --- queues with names

run "$mpmcq" create --capacity 4 --msg-size 16 --mode 640 --max-deliveries 3 --lease-ms 60000 \
	test.jobs
result 'create' 0 ''
ok 'create: the node has its mode' [ "$(stat -c %a /dev/mpmcq-test.jobs)" = 640 ]
run "$mpmcq" create test.jobs
ok 'create: the name is taken: status' came 1
ok 'create: the name is taken: says so' said '^mpmcq: test.jobs: there is a queue of this name'
run "$mpmcq" create mpmcq
ok 'create: so is that of the default queue' came 1

run "$mpmcq" -q test.jobs send a b
result 'send --queue' 0 ''
ok 'send --queue: not to the default queue' depth 0
run "$mpmcq" info --queue test.jobs
result 'info --queue' 0 "\
name:            test.jobs
version:         $version
capacity:        4
msg_size:        16
depth:           2
leased:          0
dead:            0
max_deliveries:  3
lease_ms:        60000
closed:          no
flags:           none
features:        $features
"
run "$mpmcq" receive -d /dev/mpmcq-test.jobs
result 'receive, by its node' 0 "a$nl"
run "$mpmcq" -d /dev/mpmcq-test.jobs -q mpmcq info
ok 'the default queue is not opened by name' came 1
run "$mpmcq" -q mpmcq send 'for all'
run "$mpmcq" receive
result 'but is what --queue mpmcq means' 0 "for all$nl"
run "$mpmcq" -d /dev/mpmcq-test.jobs -q test.jobs receive
result 'a queue through its own node' 0 "b$nl"
run "$mpmcq" -q test.jobs receive --nonblock
ok 'empty: says which' said '^mpmcq: test.jobs is empty'
run "$mpmcq" -q test.jobs send 'seventeen bytes!!'
ok 'its own msg_size' said 'longer than msg_size, 16 bytes'
run "$mpmcq" -q test.jobs send -n 1 2 3 4 5
ok 'full: says which' said '^mpmcq: test.jobs is full: message 5 not sent (sent before it: 4)'

run "$mpmcq" create --drop-oldest -c 2 test.latest
run "$mpmcq" -q test.latest send --nonblock 1 2 3
result '--drop-oldest: there is always room' 0 ''
run "$mpmcq" list
ok 'list: status' came 0
ok 'list: the default queue' grep -qE "^mpmcq +$capacity +$msg_size +0 +0 +0  open\$" "$tmp/out"
ok 'list: a full one' grep -qE '^test\.jobs +4 +16 +4 +0 +0  open$' "$tmp/out"
ok 'list: all, below a headline' lines_in "$tmp/out" 4
run "$mpmcq" list --json
ok 'list --json: status' came 0
ok 'list --json: content' python3 -c "
import json, sys
queues = {queue.pop('name'): queue for queue in json.load(open(sys.argv[1]))}
assert queues['mpmcq']['number'] == 1
assert queues['test.jobs'].pop('number') > 1
assert sorted(queues) == ['mpmcq', 'test.jobs', 'test.latest']
assert queues['test.jobs'] == {
    'capacity': 4, 'msg_size': 16, 'depth': 4, 'leased': 0, 'dead': 0, 'closed': False,
    'max_deliveries': 3, 'lease_ms': 60000, 'sent': 6, 'received': 2, 'acked': 0,
    'returned': 0, 'rejected': 0, 'dropped': 0}, queues['test.jobs']
assert queues['test.latest']['max_deliveries'] == 8
assert queues['test.latest']['dropped'] == 1" "$tmp/out"
run "$mpmcq" info -q test.latest
ok 'info: a flag' grep -qx 'flags:           drop-oldest' "$tmp/out"
run "$mpmcq" -q test.latest receive --all
result '--drop-oldest: the oldest is dropped' 0 "2${nl}3$nl"

exec 3<>/dev/mpmcq-test.jobs
run "$mpmcq" destroy test.jobs
result 'destroy' 0 ''
ok 'destroy: the node is gone' [ ! -e /dev/mpmcq-test.jobs ]
run "$mpmcq" -q test.jobs info
ok 'destroy: the name is gone: status' came 1
ok 'destroy: the name is gone: says so' said '^mpmcq: test.jobs: No such file or directory'
run dd bs=64K count=1 status=none <&3
result 'destroy: who has it open reads on' 0 1
run "$mpmcq" destroy test.jobs
ok 'destroy: not twice' came 1
run "$mpmcq" create --auto-close --capacity 8 test.jobs
result 'destroy: the name can be had again' 0 ''
exec 3>&-
ok 'destroy: for another queue' shows test.jobs capacity 8

for name in .hidden -n 'with blank' a/b; do
	run "$mpmcq" create -- "$name"
	ok "create: not a name: $name: status" came 1
	ok "create: not a name: $name: says so" said 'NAME must be of letters, digits'
done
run "$mpmcq" create "$(printf %048d 0)"
ok 'create: a name that is too long' came 2
run "$mpmcq" -q "$(printf %048d 0)" info
ok '--queue: a name that is too long' came 2
run "$mpmcq" create --capacity 3 test.odd
ok 'create: not a power of two: status' came 1
ok 'create: not a power of two: says so' said '^mpmcq: test.odd: CAPACITY must be a power of two'
run "$mpmcq" create --msg-size 65537 test.odd
ok 'create: too long messages: says so' said '^mpmcq: test.odd: MSG_SIZE must be from 1 to 65536'
run "$mpmcq" create --capacity 1048576 --msg-size 65536 test.huge
ok 'create: too large: status' came 1
ok 'create: too large: says so' said '^mpmcq: test.huge: more bytes than .*max_queue_bytes'

# shellcheck disable=SC2016 # for the shell that is run
run "$mpmcq" create --auto-destroy test.temporary \
	sh -c '"$0" -q test.temporary send hi; "$0" -q test.temporary receive; exit 7' "$mpmcq"
result '--auto-destroy: the command' 7 "hi$nl"
ok '--auto-destroy: gone with its last user' [ ! -e /dev/mpmcq-test.temporary ]
run "$mpmcq" create --auto-destroy test.temporary /nonexistent
ok '--auto-destroy: no such command: status' came 1
ok '--auto-destroy: no such command: leaves no queue' [ ! -e /dev/mpmcq-test.temporary ]

# --- closing

"$mpmcq" create --capacity 2 test.closing
"$mpmcq" -q test.closing send 1 2
"$mpmcq" -q test.closing send late 2>"$tmp/late" &
pid=$!
ok 'close: a send waits' until_true asleep $pid
run "$mpmcq" -q test.closing close
result 'close' 0 ''
status=0
wait $pid || status=$?
ok 'close: the send ends' came 1
ok 'close: it says why' grep -q '^mpmcq: test.closing is closed' "$tmp/late"
run "$mpmcq" -q test.closing send early late
ok 'closed: send: status' came 1
ok 'closed: send: says so' \
	said '^mpmcq: test.closing is closed: message 1 not sent (sent before it: 0)'
run "$mpmcq" -q test.closing info
ok 'closed: info' grep -qx 'closed:          yes' "$tmp/out"
run "$mpmcq" list
ok 'closed: list' grep -qE '^test\.closing .* closed$' "$tmp/out"
run "$mpmcq" -q test.closing close
result 'close again' 0 ''
run "$mpmcq" -q test.closing receive --follow
result 'closed: receive --follow takes the rest and ends' 0 "1${nl}2$nl"
for option in --count=3 --all --timeout=20; do
	run "$mpmcq" -q test.closing receive $option
	result "closed: receive $option: the end" 0 ''
done
run "$mpmcq" -q test.closing reopen
result 'reopen' 0 ''
run "$mpmcq" -q test.closing send again
result 'reopen: send' 0 ''
"$mpmcq" -q test.closing receive --follow >"$tmp/waited" &
pid=$!
ok 'close: a receive waits' until_true lines_in "$tmp/waited" 1
"$mpmcq" -q test.closing close
ok 'close: and ends' wait $pid

"$mpmcq" -q test.jobs receive --follow >"$tmp/waited" &
pid=$!
seq 20 | "$mpmcq" -q test.jobs send
ok '--auto-close: the reader ends with the last writer' wait $pid
ok '--auto-close: it got everything' cmp <(seq 20) "$tmp/waited"
run "$mpmcq" -q test.jobs send more
ok '--auto-close: it stays closed' said 'test.jobs is closed'

# --- workers

"$mpmcq" create --max-deliveries 2 test.work
printf 'no newline' | "$mpmcq" -q test.work send --file -
run "$mpmcq" -q test.work receive --exec cat
result 'exec: the message is the standard input' 0 'no newline'
ok 'exec: it is done with' shows test.work acked 1
run "$mpmcq" -q test.work receive --nonblock --exec "touch '$tmp/never'"
ok 'exec: empty: status' came 3
ok 'exec: empty: nothing is run' [ ! -e "$tmp/never" ]
"$mpmcq" -q test.work send one
run "$mpmcq" -q test.work receive --exec 'yes | head -n 1'
result 'exec: a command that does not read' 0 "y$nl"
ok 'exec: and can be ended by SIGPIPE' [ ! -s "$tmp/err" ]

"$mpmcq" -q test.work send poison
run "$mpmcq" -q test.work receive --exec 'cat; exit 3'
result 'exec: failed' 1 poison
ok 'exec: failed: says so' said '^mpmcq: cat; exit 3: exit status 3: the message is given back'
ok 'exec: failed: it is back' shows test.work depth 1
# shellcheck disable=SC2016 # for the shell that is run
run "$mpmcq" -q test.work receive --exec 'kill $$'
ok 'exec: killed: status' came 1
ok 'exec: killed: says so' said ': Terminated: the message is given back'
ok 'exec: it does not come back more often than that' shows test.work depth 0
run "$mpmcq" -q test.work dead
result 'exec: it is set aside' 0 "1$nl"

"$mpmcq" create test.held
"$mpmcq" -q test.held send dear next
"$mpmcq" -q test.held receive --exec "echo \$\$ >'$tmp/command'; exec sleep 60" &
pid=$!
ok 'exec: the command runs' until_true [ -s "$tmp/command" ]
ok 'exec: the message is held' shows test.held leased 1
kill -KILL $pid
wait $pid 2>/dev/null || :
kill "$(cat "$tmp/command")"
ok 'exec: worker killed: nothing is held' shows test.held leased 0
run "$mpmcq" -q test.held receive --all
result 'exec: worker killed: the message is back, and first' 0 "dear${nl}next$nl"

"$mpmcq" -q test.held send dear next
"$mpmcq" -q test.held receive --follow --exec "touch '$tmp/begun'; sleep 1; cat >'$tmp/done'" &
pid=$!
ok 'exec: another command runs' until_true [ -e "$tmp/begun" ]
kill -TERM $pid
status=0
wait $pid 2>/dev/null || status=$?
ok 'exec: the worker ends by SIGTERM' came 143
ok 'exec: but not before the command' [ "$(cat "$tmp/done")" = dear ]
run "$mpmcq" -q test.held receive --all
result 'exec: and takes no other message' 0 "next$nl"

"$mpmcq" create --lease-ms 100 test.hasty
"$mpmcq" -q test.hasty send slow
run "$mpmcq" -q test.hasty receive --exec 'sleep 2'
ok 'exec: too slow: status' came 1
ok 'exec: too slow: says so' said ': took longer than the lease: the message was given back'
run "$mpmcq" -q test.hasty receive --nonblock
result 'exec: too slow: it is back' 0 "slow$nl"

"$mpmcq" create --auto-close test.pool
workers=()
for _ in 1 2 3; do
	"$mpmcq" -q test.pool receive --follow --exec "echo \$(cat) >>'$tmp/pool'" &
	workers+=($!)
done
seq 30 | "$mpmcq" -q test.pool send
ok 'a pool of workers ends when all is done' wait "${workers[@]}"
ok 'a pool of workers: each message once' cmp <(seq 30) <(sort -n "$tmp/pool")

"$mpmcq" -q test.held receive --follow --exec 'cat; echo' >"$tmp/pipe" 2>"$tmp/err" &
pid=$!
"$mpmcq" -q test.held send 'for head'
run head -n 1 "$tmp/pipe"
result 'exec: a pipe' 0 "for head$nl"
status=0
wait $pid || status=$?
ok 'exec: ends with who reads its output, by SIGPIPE' came 141

# --- messages set aside

"$mpmcq" create --max-deliveries 1 test.dead
seq 5 | "$mpmcq" -q test.dead send
run "$mpmcq" -q test.dead receive --all --exec false
ok 'dead: all failed' came 1
run "$mpmcq" -q test.dead dead
result 'dead: all are set aside' 0 "5$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead: none of them is received' 0 ''
run "$mpmcq" -q test.dead dead --read --count 1
result 'dead --read --count' 0 "1$nl"
run "$mpmcq" -q test.dead dead --revive --count 1
result 'dead --revive --count' 0 "1$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead --revive: the oldest' 0 "2$nl"
run "$mpmcq" -q test.dead dead --purge --count 1
result 'dead --purge --count' 0 "1$nl"
run "$mpmcq" -q test.dead dead --read --null
ok 'dead --read: status' came 0
ok 'dead --read: the rest' cmp <(printf '4\0005\0') "$tmp/out"
run "$mpmcq" -q test.dead dead --read
result 'dead --read: none' 0 ''
run "$mpmcq" -q test.dead dead --purge
result 'dead --purge: none' 0 "0$nl"
"$mpmcq" -q test.dead send 1 2
run "$mpmcq" -q test.dead receive --all --exec false
run "$mpmcq" -q test.dead dead --revive
result 'dead --revive: all' 0 "2$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead --revive: in order' 0 "1${nl}2$nl"
run "$mpmcq" dead
result 'dead: none in the default queue' 0 "0$nl"

destroy_all
run "$mpmcq" list
ok 'list: the default queue alone is left' lines_in "$tmp/out" 2

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
	receive --null --exec cat
	receive --exec
	info x
	info --nonblock
	info --queue
	dead x
	dead --count 1
	dead --raw
	dead --read --purge
	dead --revive --null
	dead --timeout 1
	close x
	close --json
	reopen x
	create
	create test.name ls
	create --auto-destroy test.name
	create --capacity 0 test.name
	create --count 4 test.name
	create --mode 1000 test.name
	create --mode 8 test.name
	create --mode rw test.name
	create --lease-ms -1 test.name
	create --lease-ms 2147483648 test.name
	create --max-deliveries x test.name
	create --queue x test.name
	destroy
	destroy test.name x
	destroy --queue x test.name
	list x
	list --queue x
EOF
ok 'usage: no queue was made' [ "$(echo /sys/class/mpmcq/*)" = /sys/class/mpmcq/mpmcq ]

run "$mpmcq" --device /nonexistent info
ok 'no such device: status' came 1
ok 'no such device: says so' said '^mpmcq: /nonexistent: No such file or directory'
for command in send receive info dead close reopen create destroy; do
	case $command in
	create | destroy) name=(test.name) ;;
	*) name=() ;;
	esac
	run "$mpmcq" $command --device /dev/null "${name[@]}"
	ok "not a queue: $command: status" came 1
	ok "not a queue: $command: says so" said '^mpmcq: /dev/null: not a queue'
done
ok 'the queue is empty in the end' depth 0

echo "1..$tests"
[ $failed -eq 0 ]
