#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tests of the examples of the library against a loaded module.  Prints TAP.
#
# Usage: userspace/examples/test-examples.sh
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
. scripts/checks/tap.sh
PATH=$PWD/build/userspace:$PATH
examples=build/userspace/examples

# filled NAME TEXT...: a closed queue with these messages
filled() {
	local name=$1

	shift
	mpmcq create "$name" && mpmcq -q "$name" send "$@" && mpmcq -q "$name" close
}

# prints TEXT COMMAND...: that and nothing else
prints() {
	local want=$1

	shift
	timeout 60 "$@" >"$scratch/out" || return
	diff "$scratch/out" - <<<"$want"
}

three=$'one\ntwo\nthree'
filled example-a one two three
passes 'epoll' prints "$three" "$examples/epoll" example-a
mpmcq destroy example-a

filled example-a one
filled example-b two three
passes 'epoll, of two queues' sh -c '"$1" example-a example-b | sort | paste -sd " " |
	grep -x "one three two"' sh "$examples/epoll"
mpmcq destroy example-a example-b

filled example-a one two three
passes 'io_uring, a request for each message' sh -c '"$1" example-a | sort | paste -sd " " |
	grep -x "one three two"' sh "$examples/uring"
mpmcq destroy example-a

filled example-a one two three
passes 'io_uring, multishot' prints "$three" "$examples/uring-multishot" example-a
mpmcq destroy example-a

# The same for messages that come later.
for example in epoll uring uring-multishot worker; do
	mpmcq create example-a
	timeout 60 "$examples/$example" example-a >"$scratch/$example" &
	sleep 0.5
	mpmcq -q example-a send one
	sleep 0.5
	mpmcq -q example-a close
	passes "$example: waits, and ends with the queue" wait $!
	passes "$example: what came" grep -qx one "$scratch/$example"
	mpmcq destroy example-a
done

filled example-a one 'later two' bad three
passes 'worker' prints $'one\nthree\nlater two' "$examples/worker" example-a
passes 'worker: one message is set aside' sh -c '[ "$(mpmcq -q example-a dead --count-only)" = 1 ]'
mpmcq destroy example-a

mpmcq create example-a
"$examples/worker" example-a &
# Until it holds SIGTERM back.
until grep -q '^SigBlk:[[:space:]]*0*4000$' "/proc/$!/status"; do sleep 0.1; done
kill $!
passes 'worker: ends with SIGTERM, and without an error' wait $!
mpmcq destroy example-a

mpmcq create example-a
"$examples/request" --serve example-a &
serving=$!
passes 'request: a reply' prints 'HELLO' "$examples/request" example-a hello
passes 'request: and another' prints 'HELLO AGAIN' "$examples/request" example-a 'hello again'
mpmcq create victim
mpmcq create -s 65536 long
"$examples/request" --serve long &
server=$!
mpmcq -q long send 'victim stolen' "$(head -c 60000 /dev/zero | tr '\0' x)"
passes 'request: a reply after odd requests' prints 'FINE' "$examples/request" long fine
passes 'request: no reply to a queue that is not for replies' \
	sh -c '[ "$(mpmcq -q victim info | sed -n "s/^sent: *//p")" = 0 ]'
mpmcq -q long close
wait "$server"
mpmcq destroy victim long
mpmcq -q example-a close
passes 'request: the server ends with the queue' wait "$serving"
mpmcq destroy example-a
passes 'request: no queue is left' sh -c '! ls /dev/mpmcqfs | grep .'
fails 'without the queue' "$examples/epoll" example-a
said 'that is said' 'example-a: No such file'
plan
