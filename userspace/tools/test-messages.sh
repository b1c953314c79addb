#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of mpmcq send, receive, peek and dead, against a loaded module. Prints TAP.
set -euo pipefail

# shellcheck source=userspace/tools/test-helpers.sh
. "$(dirname "$0")/test-helpers.sh"

begin "$@"
disk=$tmp/disk # a small file system

clean_up() {
	destroy_all
	! mountpoint -q "$disk" || umount "$disk"
	rm -rf "$tmp"
}

use_device

# run_on_terminal STREAM COMMAND...: as run(), with STREAM, stdout or stderr, on a terminal, and
# what that got in $tmp/out
run_on_terminal() {
	run python3 -c '
import os, pty, subprocess, sys, tty
terminal, end = pty.openpty()
tty.setraw(end)
process = subprocess.Popen(sys.argv[2:], **{sys.argv[1]: end})
os.close(end)
try:
    while data := os.read(terminal, 65536):
        os.write(1, data)
except OSError:
    pass
sys.exit(process.wait())' "$@"
}

# stop_and_go COMMAND...: as run(), and COMMAND is stopped and continued five times a second
stop_and_go() {
	local i pid

	"$@" >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	for ((i = 0; i < 25; i++)); do
		sleep 0.2
		kill -STOP $pid 2>/dev/null || break
		kill -CONT $pid
	done
	kill $pid 2>/dev/null || :
	status=0
	wait $pid 2>/dev/null || status=$?
}

# members NAME...: of each line of JSON that the last run() has printed, one line
members() {
	python3 -c '
import json, sys
for line in open(sys.argv[1]):
    record = json.loads(line)
    print(*[record.get(name, "-") for name in sys.argv[2:]])' "$tmp/out" "$@"
}

# has_members TEXT NAME...: these are TEXT
has_members() {
	local text=$1

	shift
	[ "$(members "$@")" = "$text" ]
}

# The line that an interrupted send says to go on from.
next_line() {
	sed -n 's/^go on with: mpmcq .*--from-line \([0-9]*\), .*/\1/p' "$1"
}

# ends PID STATUS
ends() {
	status=0
	wait "$1" 2>/dev/null || status=$?
	came "$2"
}

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

printf 'a\r\n\rb\r\n' >"$tmp/in"
run "$mpmcq" send <"$tmp/in"
run "$mpmcq" receive --all
ok 'carriage returns are kept' cmp "$tmp/in" "$tmp/out"
printf 'a\r\r\n\rb\nc\r' >"$tmp/in"
run "$mpmcq" send --crlf <"$tmp/in"
run "$mpmcq" receive --all
ok '--crlf: one before a newline is not' cmp <(printf 'a\r\n\rb\nc\r\n') "$tmp/out"

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
printf 'x\ny' >"$tmp/first"
run "$mpmcq" send -F "$tmp/first" -F - -F "$tmp/first" <<<z
run "$mpmcq" receive --all --null
ok 'several files' cmp <(printf 'x\ny\0z\n\0x\ny\0') "$tmp/out"

"$mpmcq" create --msg-size 65536 --capacity 16 test.long
head -c 65536 /dev/urandom >"$tmp/in"
head -c 65536 /dev/zero | tr '\0' x >"$tmp/line"
run "$mpmcq" -q test.long send -F "$tmp/in" -F "$tmp/line" -F "$tmp/in" -F "$tmp/in" -F "$tmp/in"
result '64 KiB: send' 0 ''
run "$mpmcq" -q test.long receive --all --raw
ok '64 KiB: receive' cmp <(cat "$tmp/in" "$tmp/line" "$tmp/in" "$tmp/in" "$tmp/in") "$tmp/out"
run "$mpmcq" -q test.long send < <(cat "$tmp/line"; echo; cat "$tmp/line")
run "$mpmcq" -q test.long receive --all
ok '64 KiB: lines' cmp <(cat "$tmp/line"; echo; cat "$tmp/line"; echo) "$tmp/out"

# Of all lengths, so that lines end everywhere in what is read and written at once.
awk 'BEGIN { for (i = 1; i <= 4000; i++) { s = s (i % 10); if (i % 1000 == 0) s = ""; print i s } }' \
	>"$tmp/in"
"$mpmcq" create --capacity 4096 test.lines
run "$mpmcq" -q test.lines send <"$tmp/in"
run "$mpmcq" -q test.lines receive --all
ok 'lines of 1 to 1003 bytes' cmp "$tmp/in" "$tmp/out"
# shellcheck disable=SC2002 # from a pipe
cat "$tmp/in" | "$mpmcq" -q test.lines send
"$mpmcq" -q test.lines receive --all | cat >"$tmp/out"
ok 'lines of 1 to 1003 bytes, through pipes' cmp "$tmp/in" "$tmp/out"

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

# Longer than what is read at once.
{
	echo before
	head -c 600000 /dev/zero | tr '\0' x
	printf '\nafter\n'
} >"$tmp/in"
run "$mpmcq" send <"$tmp/in"
ok 'a very long line: status' came 1
ok 'a very long line: says which' said '^mpmcq: line 2 is longer.*(sent before it: 1)'
ok 'a very long line: says how to go on' \
	said '^go on with: mpmcq send --from-line 3, and the same options and input$'
run "$mpmcq" send --from-line 3 <"$tmp/in"
result '--from-line: behind a very long line' 0 ''
run "$mpmcq" receive --all
result '--from-line: each line once' 0 "before${nl}after$nl"

run "$mpmcq" send <<<$'first\n\nthird\n\n'
ok 'empty line: status' came 1
ok 'empty line: says which' said '^mpmcq: line 2 is empty.*(sent before it: 1)'
ok 'empty line: says how to go on' \
	said '^go on with: mpmcq send --skip-empty --from-line 3, and the same options and input$'
run "$mpmcq" send --skip-empty --from-line 3 <<<$'first\n\nthird\n\n'
result '--skip-empty' 0 ''
run "$mpmcq" receive --all
result '--skip-empty: all others were sent' 0 "first${nl}third$nl"
run "$mpmcq" send --crlf <<<$'first\n\r'
ok 'empty line, with --crlf' said '^mpmcq: line 2 is empty.*(sent before it: 1)'
run "$mpmcq" receive --all
run "$mpmcq" send ''
ok 'empty argument' came 1
run "$mpmcq" send --skip-empty '' x ''
run "$mpmcq" receive --all
result '--skip-empty: arguments' 0 "x$nl"
run "$mpmcq" send --file /dev/null
ok 'empty file' came 1
run "$mpmcq" send </dev/null
result 'no lines, no messages' 0 ''
run "$mpmcq" send --file "$tmp"
ok 'a directory is no message' came 1
ok 'nothing was sent' depth 0
run "$mpmcq" send --file "$tmp/first" --file "$tmp/none"
ok 'no such file: status' came 1
ok 'no such file: says which' \
	said "^mpmcq: $tmp/none: No such file or directory (sent before it: 1)\$"
run "$mpmcq" receive --all
result 'no such file: the one before it was sent' 0 "x${nl}y$nl"

# --- delays and priorities

run "$mpmcq" send --delay 1 x
error 'no delays' 1 "^mpmcq: $device has no delays (make a queue that has: "
run "$mpmcq" send --priority 1 x
error 'no priorities' 1 "^mpmcq: $device has 1 level of priority, .*--levels 2 NAME)\$"
ok 'no delays, no priorities: nothing was sent' depth 0
"$mpmcq" create --delay --levels 3 test.both
run "$mpmcq" -q test.both send --delay 3 late
result 'delay' 0 ''
run "$mpmcq" -q test.both receive --nonblock
ok 'delay: it cannot be received yet' came 3
run "$mpmcq" -q test.both peek --where parked --json
ok 'delay: it is parked' has_members 'late' text
ok 'delay: for as long' [ "$(members delay_ms)" -le 3000 ]
run "$mpmcq" -q test.both receive --timeout 20
result 'delay: it can in the end' 0 "late$nl"
run "$mpmcq" -q test.both send low
run "$mpmcq" -q test.both send --priority 2 high
run "$mpmcq" -q test.both send --priority 1 middle
run "$mpmcq" -q test.both peek --all --json
ok 'priority: peek has the order of receive' \
	has_members "2 high${nl}1 middle${nl}0 low" priority text
run "$mpmcq" -q test.both receive --all
result 'priority: the highest first' 0 "high${nl}middle${nl}low$nl"

# --- empty and full

run "$mpmcq" receive --nonblock
result 'empty, --nonblock' 3 ''
ok 'empty, --nonblock: says so' said 'mpmcq is empty (taken: 0)'
# timed COMMAND...: leaves the milliseconds that it took in $took
timed() {
	local begin

	begin=$(date +%s%N)
	"$@"
	took=$((($(date +%s%N) - begin) / 1000000))
}
timed run "$mpmcq" receive --timeout 0.3
result 'empty, --timeout' 3 ''
ok 'it took its time, and no more' [ $((took >= 300 && took < 10000)) -eq 1 ]
timed run bash -o pipefail -c "'$mpmcq' receive --timeout 0.3 | cat"
result 'empty, --timeout, in a pipeline' 3 ''
ok 'it took its time, and no more, in a pipeline' [ $((took >= 300 && took < 10000)) -eq 1 ]
stop_and_go "$mpmcq" receive --timeout 1
error 'empty, --timeout: stopped and continued, it waits no longer' 3 'is empty (taken: 0)'
run "$mpmcq" receive --all
result 'empty, --all' 0 ''
"$mpmcq" send one two
run "$mpmcq" receive --count 3 --nonblock
result 'fewer than --count' 3 "one${nl}two$nl"

seq $((capacity + 1)) >"$tmp/in"
run "$mpmcq" send --nonblock <"$tmp/in"
ok 'full, --nonblock: status' came 3
ok 'full, --nonblock: says so' said "full: line $((capacity + 1)) not sent (sent before it: $capacity)"
ok 'full, --nonblock: says how to go on' [ "$(next_line "$tmp/err")" = $((capacity + 1)) ]
run "$mpmcq" send --timeout 0.2 late
ok 'full, --timeout: status' came 3
stop_and_go "$mpmcq" send --timeout 1 late
error 'full, --timeout: stopped and continued, it waits no longer' 3 'full: message 1 not sent'
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

# Exactly as many as were asked for, however they come.
seq 1 "$capacity" | "$mpmcq" send
for count in 1 $((capacity / 2)); do
	"$mpmcq" receive --count $count
done >"$tmp/waited"
ok '--count: no more are taken' depth $((capacity - 1 - capacity / 2))
run "$mpmcq" receive --all
ok '--count: none is lost' cmp <(seq 1 "$capacity") <(cat "$tmp/waited" "$tmp/out")

# --- send: slow input, and its end

mkfifo "$tmp/pipe"
"$mpmcq" send <"$tmp/pipe" 2>"$tmp/interrupted" &
pid=$!
exec 3>"$tmp/pipe"
printf 'one\ntw' >&3
ok 'a slow line is sent at once' until_true depth 1
echo o >&3
ok 'a line that comes in parts is sent when it is whole' until_true depth 2
kill -TERM $pid
ok 'interrupted while it waits for input: ends by the signal' ends $pid 143
ok 'interrupted while it waits for input: says how to go on' \
	[ "$(next_line "$tmp/interrupted")" = 3 ]
exec 3>&-
run "$mpmcq" receive --all
result 'interrupted while it waits for input: what was sent' 0 "one${nl}two$nl"

seq $((capacity + 100)) >"$tmp/in"
env --default-signal=INT "$mpmcq" send <"$tmp/in" 2>"$tmp/interrupted" &
pid=$!
ok 'a send fills the queue' until_true depth "$capacity"
kill -INT $pid
ok 'interrupted while it waits for room: ends by the signal' ends $pid 130
ok 'interrupted while it waits for room: says so' grep -q "^mpmcq: $device: interrupted: line \
$((capacity + 1)) not sent (sent before it: $capacity)\$" "$tmp/interrupted"
"$mpmcq" receive --all >"$tmp/waited"
run "$mpmcq" send --nonblock --from-line "$(next_line "$tmp/interrupted")" <"$tmp/in"
result 'interrupted: the rest' 0 ''
"$mpmcq" receive --all >>"$tmp/waited"
ok 'interrupted: each line once' cmp "$tmp/in" "$tmp/waited"

# shellcheck disable=SC2016 # for the shell that is run
slowly='for i in 1 2 3 4 5 6 7 8; do echo line $i; sleep 0.15; done | "$0" send'
timed run_on_terminal stderr sh -c "$slowly" "$mpmcq"
updates=$(tr '\r' '\n' <"$tmp/out" | grep -c '^[0-9]* sent' || :)
ok 'progress: some, but at most four a second' [ $((updates >= 1 && updates <= took / 250 + 1)) -eq 1 ]
ok 'progress: is wiped out' grep -q $'\r *\r$' "$tmp/out"
run sh -c "$slowly" "$mpmcq"
result 'no progress without a terminal' 0 ''
ok 'no progress without a terminal, nothing at all' [ ! -s "$tmp/err" ]
run "$mpmcq" receive --all
ok 'progress: all was sent' lines_in "$tmp/out" 16

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
"$mpmcq" send too
status=0
"$mpmcq" receive --all >/dev/full 2>"$tmp/err" || status=$?
ok 'output full: status' came 1
ok 'output full: says what became of the messages' said \
	'^mpmcq: standard output: No space left on device: what was not printed is back in .*(printed: 0)$'
run "$mpmcq" receive --all --json
ok 'output full: they are back, in order, and untried' \
	has_members "1 kept${nl}1 too" deliveries text
status=0
"$mpmcq" info >/dev/full 2>"$tmp/err" || status=$?
ok 'info, output full: status' came 1

# A disk with room for some of the messages, and a part of one.
"$mpmcq" create --capacity 2048 --max-deliveries 1 test.output
mkdir "$disk"
mount -t tmpfs -o size=64k disk "$disk"
seq -f 'message number %.0f of so many that a pipe does not hold all of them' 10001 12000 >"$tmp/in"
"$mpmcq" -q test.output send <"$tmp/in"
status=0
"$mpmcq" -q test.output receive --all >"$disk/got" 2>"$tmp/err" || status=$?
ok 'disk full: status' came 1
head -n "$(wc -l <"$disk/got")" "$disk/got" >"$tmp/got"
ok 'disk full: it holds some' [ -s "$tmp/got" ]
run "$mpmcq" -q test.output receive --all
ok 'disk full: the rest is back, in order, and untried' cmp "$tmp/in" <(cat "$tmp/got" "$tmp/out")
umount "$disk"

# head ends after a line; the receiver has to notice without another message.
"$mpmcq" receive --follow >"$tmp/pipe" 2>"$tmp/err" &
pid=$!
"$mpmcq" send 'for head'
run head -n 1 "$tmp/pipe"
result 'follow: a message' 0 "for head$nl"
ok 'follow: ends with its reader, by SIGPIPE' ends $pid 141
ok 'follow: quietly' [ ! -s "$tmp/err" ]

# acked QUEUE: how many messages were acknowledged
acked() {
	"$mpmcq" -q "$1" info | sed -n 's/^acked: *//p'
}

"$mpmcq" -q test.output send <"$tmp/in"
before=$(acked test.output)
status=0
"$mpmcq" -q test.output receive --follow 2>"$tmp/err" | head -n 1 >"$tmp/got" || status=$?
ok 'a reader that goes: status' came 141
ok 'a reader that goes: it got a line' cmp <(head -n 1 "$tmp/in") "$tmp/got"
accepted=$(($(acked test.output) - before))
ok 'a reader that goes: the pipe had accepted no more than it holds' \
	[ $((accepted > 0 && accepted < 2000)) -eq 1 ]
run "$mpmcq" -q test.output receive --all
ok 'a reader that goes: the rest is back, in order, and untried' \
	cmp <(tail -n +$((accepted + 1)) "$tmp/in") "$tmp/out"

# A pipe that nobody reads is full in the middle of a message.
"$mpmcq" -q test.output send <"$tmp/in"
exec 3<>"$tmp/pipe"
"$mpmcq" -q test.output receive --follow >"$tmp/pipe" &
pid=$!
ok 'a full pipe: receive waits' until_true shows test.output leased 256
sleep 0.5
kill -TERM $pid
ok 'a full pipe: ends by SIGTERM' ends $pid 143
python3 -c '
import fcntl, os, sys
os.set_blocking(3, False)
data = b""
try:
    while part := os.read(3, 65536):
        data += part
except BlockingIOError:
    pass
whole = data[:data.rindex(b"\n") + 1]
sys.stdout.buffer.write(whole)
assert len(data) > 4096, len(data)' >"$tmp/got"
exec 3>&-
run "$mpmcq" -q test.output receive --all
ok 'a full pipe: what is not in it is back, in order, and untried' \
	cmp "$tmp/in" <(cat "$tmp/got" "$tmp/out")

# A slow reader keeps no message for longer than its lease, and gets none twice.
"$mpmcq" create --capacity 2048 --lease-ms 300 test.lease
"$mpmcq" -q test.lease send <"$tmp/in"
run bash -c "'$mpmcq' -q test.lease receive --all | (sleep 2; cat)"
ok 'leases are renewed while the output waits' cmp "$tmp/in" "$tmp/out"
ok 'leases are renewed while the output waits: quietly' [ ! -s "$tmp/err" ]

# --- being ended

# Receivers are ended in the middle of their work until all has come.
last=300000
seq $last >"$tmp/in"
"$mpmcq" send <"$tmp/in" &
sender=$!
: >"$tmp/got"
grown() {
	[ "$(stat -c %s "$tmp/got")" -gt "$size" ]
}
ended=0
while [ "$(tail -n 1 "$tmp/got")" != $last ] && [ $ended -lt 1000 ]; do
	size=$(stat -c %s "$tmp/got")
	"$mpmcq" receive --follow >>"$tmp/got" &
	pid=$!
	for ((tries = 0; tries < 10000; tries++)); do
		! grown || break
	done
	kill -TERM $pid
	ends $pid 143 || break
	ended=$((ended + 1))
done
ok 'follow: ends by SIGTERM' came 143
ok "ended in the middle, $ended times" [ $ended -gt 2 ]
ok 'the sender is done' wait $sender
ok 'and no message was lost or repeated' cmp "$tmp/in" "$tmp/got"

# Nothing is taken for an output that accepts nothing. 15 of 16 pages full: it accepts a part.
exec 3<>"$tmp/pipe"
head -c 65536 /dev/zero >&3
"$mpmcq" -q test.lines send <<<"$(seq -f '%0900.0f' 20)"
"$mpmcq" -q test.lines receive --follow >"$tmp/pipe" &
pid=$!
ok 'a pipe that is full from the first: receive waits' until_true asleep $pid
sleep 0.3
ok 'a pipe that is full from the first: nothing is held' shows test.lines leased 0
dd bs=4096 count=1 status=none <&3 >/dev/null
ok 'a pipe with room for some: messages are held' until_true shows test.lines leased 20
kill -KILL $pid
wait $pid 2>/dev/null || :
exec 3>&-
run "$mpmcq" -q test.lines receive --all --json
ok 'killed: they are back, and each has one delivery more' \
	has_members "$(seq -f '2 True %0900.0f' 20)" deliveries suspect text

# --- idle receivers

# Context switches of all receivers so far.
switches() {
	local files=("${receivers[@]/%//status}")

	awk '/ctxt_switches/ { n += $2 } END { print n }' "${files[@]/#//proc/}"
}

all_asleep() {
	local files=("${receivers[@]/%//stat}")

	awk '$3 != "S" { exit 1 }' "${files[@]/#//proc/}"
}

# idle NAME OUTPUT FILE: 100 receivers that write to OUTPUT, from where it comes to FILE
idle() {
	local before after

	receivers=()
	for _ in $(seq 100); do
		"$mpmcq" -q test.idle receive --follow >>"$2" &
		receivers+=($!)
	done
	ok "$1: 100 receivers wait" until_true all_asleep
	sleep 0.5
	before=$(switches)
	for i in $(seq 50); do
		echo "$i"
		sleep 0.01
	done | "$mpmcq" -q test.idle send
	ok "$1: all messages come" until_true lines_in "$3" 50
	after=$(switches)
	ok "$1: at most 150 context switches for 50 messages: $((after - before))" \
		[ $((after - before)) -le 150 ]
	ok "$1: each message once" cmp <(seq 50 | sort) <(sort "$3")
	kill "${receivers[@]}"
	wait "${receivers[@]}" 2>/dev/null || :
}

"$mpmcq" create test.idle
idle 'idle, in read' "$tmp/read" "$tmp/read"
exec 3<>"$tmp/pipe"
cat <&3 >"$tmp/watched" &
cat=$!
idle 'idle, with a reader to watch' "$tmp/pipe" "$tmp/watched"
kill $cat
wait $cat 2>/dev/null || :
exec 3>&-

# Receivers that write to one pipe do not mix their lines.
seq -f 'line %.0f of those that four receivers print' 20000 >"$tmp/in"
exec 3<>"$tmp/pipe"
cat <&3 >"$tmp/mixed" &
cat=$!
receivers=()
for _ in 1 2 3 4; do
	"$mpmcq" -q test.lines receive --follow >"$tmp/pipe" &
	receivers+=($!)
done
"$mpmcq" -q test.lines send <"$tmp/in"
ok 'four receivers, one pipe: all lines come' until_true lines_in "$tmp/mixed" 20000
ok 'four receivers, one pipe: each line as it was' cmp <(sort "$tmp/in") <(sort "$tmp/mixed")
kill "${receivers[@]}" $cat
wait "${receivers[@]}" $cat 2>/dev/null || :
exec 3>&-

# A receiver whose reader goes as the message comes prints it or leaves it to the other one.
run python3 -c '
import fcntl, os, struct, subprocess, sys, time
tool, queue = sys.argv[1:]
def start():
    process = subprocess.Popen([tool, "-q", queue, "receive", "--follow"], stdout=subprocess.PIPE)
    while not asleep(process):
        time.sleep(0.01)
    return process
def asleep(process):
    with open(f"/proc/{process.pid}/stat") as stat, open(f"/proc/{process.pid}/wchan") as wchan:
        return stat.read().rsplit(")")[-1].split()[0] == "S" and "poll" in wchan.read()
def waiting():
    info = struct.pack("6I", 24, 0, 0, 0, 0, 0)
    return struct.unpack("6I", fcntl.ioctl(writer, 3 << 30 | 24 << 16 | 0xa8 << 8, info))[4]
writer = os.open("/dev/mpmcqfs/" + queue, os.O_WRONLY)
for i in range(20):
    first, second = start(), start()
    steps = [first.stdout.close, lambda: os.write(writer, b"message")]
    for step in steps if i % 2 else reversed(steps):
        step()
    assert first.wait(timeout=10) == -13
    end = time.monotonic() + 5
    while waiting():
        assert time.monotonic() < end, "the message stays in round %d" % i
        time.sleep(0.01)
    second.terminate()
    assert second.stdout.read() in (b"", b"message\n")
    second.wait()' "$mpmcq" test.idle
ok 'a receiver that cannot print hands the wake-up on' came 0

# --- forms of output

printf 'tab\tand \033[31mred\n\177\302\205\303\244\377' >"$tmp/in"
"$mpmcq" send -F "$tmp/in"
run_on_terminal stdout "$mpmcq" peek
ok 'terminal: control characters are escaped' \
	cmp <(printf 'tab\tand \\x1b[31mred\n\\x7f\\xc2\\x85\303\244\\xff\n') "$tmp/out"
run_on_terminal stdout "$mpmcq" peek --raw
ok 'terminal, --raw: they are not' cmp "$tmp/in" "$tmp/out"
run "$mpmcq" peek --raw
ok 'no terminal: they are not' cmp "$tmp/in" "$tmp/out"
run_on_terminal stdout "$mpmcq" receive
ok 'terminal: received likewise' grep -q 'and \\x1b\[31mred' "$tmp/out"
printf 'a "\\/\n\t\177\302\205\303\244' >"$tmp/in"
"$mpmcq" send -F "$tmp/in"
run "$mpmcq" peek --json
ok 'json: one line, and nothing that a terminal obeys' \
	[ "$(LC_ALL=C tr -d '[:print:]\303\244' <"$tmp/out" | wc -c)" -eq 1 ]
id=$(members id)
run "$mpmcq" receive --json
ok 'json: text' python3 -c '
import json, sys
record = json.load(open(sys.argv[1]))
assert record == {"id": sys.argv[2], "len": 12, "deliveries": 1, "priority": 0,
                  "suspect": False, "text": "a \"\\/\n\t\x7f\x85\xe4"}, record' "$tmp/out" "$id"
for bytes in 'nul\0' '\377' '\377x' 'xx\377' '\355\240\200' '\300\200' '\364\220\200\200'; do
	printf %b "$bytes" >"$tmp/in"
	"$mpmcq" send -F "$tmp/in"
	run "$mpmcq" receive --json
	ok "json: base64: $bytes" python3 -c '
import base64, json, sys
record = json.load(open(sys.argv[1]))
assert "text" not in record
assert base64.b64decode(record["base64"], validate=True) == open(sys.argv[2], "rb").read()
' "$tmp/out" "$tmp/in"
done
"$mpmcq" create --stamp --max-deliveries 1 test.stamp
"$mpmcq" -q test.stamp send stamped
run "$mpmcq" -q test.stamp peek --json
ok 'json: peek: sender' has_members '0 0 stamped' uid gid text
ok 'json: peek: age' [ "$(members age_ns)" -gt 0 ]
run "$mpmcq" -q test.stamp receive --json
ok 'json: sender' has_members '0 0' uid gid
ok 'json: age' [ "$(members age_ns)" -gt 0 ]

"$mpmcq" create test.next
"$mpmcq" send one two
"$mpmcq" receive --all >$mount/test.next
run "$mpmcq" -q test.next receive --all --raw
result 'a queue as output: each message is one' 0 "one${nl}two$nl"
"$mpmcq" send one two
run python3 -c '
import socket, subprocess, sys
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
subprocess.run([sys.argv[1], "receive", "--all"], stdout=theirs, check=True)
assert [ours.recv(99), ours.recv(99)] == [b"one\n", b"two\n"]' "$mpmcq"
ok 'a socket of packets: each message is one' came 0
"$mpmcq" create --start-lease test.start
"$mpmcq" -q test.start send one two
run "$mpmcq" -q test.start receive --all
result 'a queue whose files begin with a lease' 0 "one${nl}two$nl"

# --- peek

"$mpmcq" send one two three
run "$mpmcq" peek
result 'peek' 0 "one$nl"
run "$mpmcq" peek --count 2 --null
ok 'peek --count' cmp <(printf 'one\0two\0') "$tmp/out"
run "$mpmcq" peek --all
result 'peek --all' 0 "one${nl}two${nl}three$nl"
ok 'peek takes nothing' depth 3
"$mpmcq" receive --exec false 2>/dev/null || :
"$mpmcq" receive >/dev/full 2>/dev/null || :
run "$mpmcq" peek --all --json
ok 'peek: what was returned, then what is ready' \
	has_members "0 two${nl}0 three${nl}1 one" deliveries text
run "$mpmcq" peek --all --where returned
result 'peek --where returned' 0 "two$nl"
run "$mpmcq" peek --all --where ready
result 'peek --where ready' 0 "three${nl}one$nl"
run "$mpmcq" peek --where dead
result 'peek --where dead: none' 3 ''
ok 'peek --where dead: none: says so' said "^mpmcq: $device has no such messages"
run "$mpmcq" peek --all --where parked
result 'peek --all --where parked: none' 0 ''
status=0
"$mpmcq" peek >/dev/full 2>"$tmp/err" || status=$?
ok 'peek, output full: status' came 1
empty_queue
"$mpmcq" create --delay --capacity 64 test.parked
for delay in 110 100.5 200; do
	"$mpmcq" -q test.parked send --delay $delay "after $delay"
done
run "$mpmcq" -q test.parked peek --all --where parked
result 'peek --where parked: the next first' 0 "after 100.5${nl}after 110${nl}after 200$nl"

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
"$mpmcq" -q test.work send typo
run "$mpmcq" -q test.work receive --follow --exec 'exec no.such.program'
error 'exec: a command that is not there' 78 ': exit status 127: it cannot be run, so the message is given'
run "$mpmcq" -q test.work receive --json
ok 'exec: a command that is not there: the message is as it was' has '"deliveries": *1\b'
ok 'exec: it does not come back more often than that' shows test.work depth 0
run "$mpmcq" -q test.work dead --count-only
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
ok 'exec: the worker ends by SIGTERM' ends $pid 143
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
ok 'exec: ends with who reads its output, by SIGPIPE' ends $pid 141

# --- messages set aside

# kill_all QUEUE: sets all its messages aside; it has a max_deliveries of 1
kill_all() {
	"$mpmcq" -q "$1" receive --all --exec false 2>/dev/null || :
}

# reject_all QUEUE: sets all its messages aside, without a command for each
reject_all() {
	python3 -c '
import fcntl, os, struct, sys
queue = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
fcntl.ioctl(queue, 1 << 30 | 24 << 16 | 0xa8 << 8 | 1, struct.pack("6I", 24, 3, 0, 0, 0, 0))
reject_all = struct.pack("4IQ2I", 32, 3, 1, 0, 0, 0, 0)
try:
    while os.read(queue, 1 << 18):
        fcntl.ioctl(queue, 3 << 30 | 32 << 16 | 0xa8 << 8 | 2, reject_all)
except BlockingIOError:
    pass' "$mount/$1"
}

# ids QUEUE: of its dead messages
ids() {
	"$mpmcq" -q "$1" dead | awk 'NR > 1 { print $1 }'
}

"$mpmcq" create --max-deliveries 1 test.dead
seq 5 | "$mpmcq" -q test.dead send
run "$mpmcq" -q test.dead receive --all --exec false
ok 'dead: all failed' came 1
run "$mpmcq" -q test.dead dead --count-only
result 'dead: all are set aside' 0 "5$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead: none of them is received' 0 ''
mapfile -t id < <(ids test.dead)
run "$mpmcq" -q test.dead dead
ok 'dead list: a headline, and a row for each' lines_in "$tmp/out" 6
ok 'dead list: what is in a row' \
	[ "$(awk 'NR == 2 { $1 = $1; print }' "$tmp/out")" = "${id[0]} too many deliveries - 1 1 1" ]
run "$mpmcq" -q test.dead dead list --json
ok 'dead list --json' has_members "$(seq -f '1 too many deliveries %.0f' 5)" deliveries reason text
run "$mpmcq" -q test.dead dead show "${id[2]}" "${id[0]}"
result 'dead show' 0 "3${nl}1$nl"
run "$mpmcq" -q test.dead dead show --raw "${id[4]}"
result 'dead show --raw' 0 5
run "$mpmcq" -q test.dead dead show --json "${id[1]}"
ok 'dead show --json' has_members "${id[1]} 2" id text
run "$mpmcq" -q test.dead dead show 77 "${id[1]}"
result 'dead show: one that is not dead' 1 "2$nl"
ok 'dead show: one that is not dead: says so' said \
	"^mpmcq: $mount/test.dead has no dead message 77 (see: mpmcq -q test.dead dead list)\$"
ok 'dead: looking takes nothing' shows test.dead dead 5

run "$mpmcq" -q test.dead dead requeue "${id[3]}" "${id[1]}"
result 'dead requeue ID' 0 "2$nl"
run "$mpmcq" -q test.dead peek --all --json
ok 'dead requeue ID: they are there again, as if they were new' \
	has_members "0 2${nl}0 4" deliveries text
run "$mpmcq" -q test.dead receive --all
result 'dead requeue ID: they are received again' 0 "2${nl}4$nl"
run "$mpmcq" -q test.dead dead purge "${id[4]}" 77
result 'dead purge ID, and one that is not dead' 1 "1$nl"
ok 'dead purge ID, and one that is not dead: says so' said 'no dead message 77'
run "$mpmcq" -q test.dead dead list --json
ok 'dead requeue ID, purge ID: the others stay, in order' has_members "1${nl}3" text
run "$mpmcq" -q test.dead dead purge --count 1
result 'dead purge --count' 0 "1$nl"
run "$mpmcq" -q test.dead dead requeue --count 5
result 'dead requeue --count' 0 "1$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead requeue --count: the rest' 0 "3$nl"
run "$mpmcq" -q test.dead dead purge --all
result 'dead purge --all: none' 0 "0$nl"
"$mpmcq" -q test.dead send 1 2
kill_all test.dead
run "$mpmcq" -q test.dead dead requeue --all
result 'dead requeue --all' 0 "2$nl"
run "$mpmcq" -q test.dead receive --all
result 'dead requeue --all: in order' 0 "1${nl}2$nl"
run "$mpmcq" dead
ok 'dead: none in the default queue' lines_in "$tmp/out" 1
"$mpmcq" -q test.dead send "a${nl}b$(printf '\033[31m%060dend' 0)"
kill_all test.dead
run "$mpmcq" -q test.dead dead
ok 'dead list: one line each, and nothing that a terminal obeys' \
	grep -q ' 71  a\\x0ab\\x1b\[31m0*\.\.\.$' "$tmp/out"
"$mpmcq" -q test.dead send bad
reject_all test.dead
run "$mpmcq" -q test.dead dead
ok 'dead list: rejected' grep -q '^[0-9]*  *rejected  *-  *1  *3  bad$' "$tmp/out"

# More than are held at a time, with ages or without. To look at them keeps their order.
for stamp in '' --stamp; do
	# shellcheck disable=SC2086 # an option, or none
	"$mpmcq" create $stamp --capacity 4096 --max-deliveries 1 test.many$stamp
	seq 10001 13000 >"$tmp/in"
	"$mpmcq" -q test.many$stamp send <"$tmp/in"
	reject_all test.many$stamp
	run "$mpmcq" -q test.many$stamp dead --json
	ok "dead list --json $stamp: all, in order" has_members "$(cat "$tmp/in")" text
	status=0
	"$mpmcq" -q test.many$stamp dead list | head -n 1 >"$tmp/out" || status=$?
	ok "dead list, to a reader that goes $stamp" came 141
	ok "dead list, to a reader that goes: all are there $stamp" \
		shows test.many$stamp dead 3000
	mapfile -t id < <(ids test.many$stamp)
	run "$mpmcq" -q test.many$stamp dead requeue "${id[1999]}" "${id[0]}" "${id[2999]}"
	result "dead requeue ID $stamp" 0 "3$nl"
	run "$mpmcq" -q test.many$stamp receive --all
	result "dead requeue ID: in order $stamp" 0 "10001${nl}12000${nl}13000$nl"
	run "$mpmcq" -q test.many$stamp dead requeue --all
	run "$mpmcq" -q test.many$stamp receive --all
	ok "dead requeue --all: the others, in order $stamp" \
		cmp <(sed '1d;2000d;3000d' "$tmp/in") "$tmp/out"
done
"$mpmcq" -q test.many--stamp send old
kill_all test.many--stamp
run "$mpmcq" -q test.many--stamp dead
ok 'dead list: with its age' grep -q '^[0-9]*  *too many deliveries  *[0-9]*s  *1  *3  old$' "$tmp/out"
run "$mpmcq" -q test.many--stamp dead --json
ok 'dead list --json: with its sender' has_members '0 0 old' uid gid text

destroy_all

# --- wrong usage

wrong_usage <<-EOF
	send --nonsense
	send --count 3 x
	send --timeout x y
	send --timeout -1 y
	send --timeout nan y
	send --timeout 1e99 y
	send --delay -1 y
	send --delay 4294968 y
	send --priority 4 y
	send --priority
	send --file /etc/hostname x
	send --file /etc/hostname --null
	send --null x
	send --null --crlf
	send --crlf x
	send --from-line 0
	receive x
	receive --count
	receive --count 0
	receive --count -1
	receive --count 1x
	receive --all --follow
	receive --null --raw
	receive --json --raw
	receive --json --exec cat
	receive --null --exec cat
	receive --exec
	peek x
	peek --where
	peek --where here
	peek --count 1 --all
	peek --json --null
	peek --timeout 1
	dead x
	dead --count 1
	dead --raw
	dead list 1
	dead show
	dead show x
	dead show --count 1 1
	dead show --json --raw 1
	dead requeue
	dead requeue 0
	dead requeue --all 1
	dead requeue --all --count 1
	dead requeue --json 1
	dead purge
	dead purge --count 1 1
	dead --timeout 1
EOF
ok 'the queue is empty in the end' depth 0

plan
