#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Runs what the Makefile built in DIR; one line of TAP for each test in it, and
# for each planted fault, which passes if it was caught.
set -uo pipefail

dir=${1:?usage: run.sh DIR}
log=$(mktemp)
explored=$(mktemp)
trap '[ -z "$exploring" ] || kill "$exploring"; rm -f "$log" "$explored"' EXIT
status=0

# What takes longest, beside all the others.
"$dir/explore_queue" --short >"$explored" &
exploring=$!

# caught NAME PATTERN COMMAND...: a control; passes if COMMAND fails and says so
caught() {
	local name=$1 pattern=$2

	shift 2
	if timeout 300 "$@" >"$log" 2>&1; then
		echo "not ok - $name was not caught: the program succeeded"
		status=1
	elif ! grep -q "$pattern" "$log"; then
		echo "not ok - $name: no \"$pattern\" in the output"
		sed 's/^/# /' "$log" | tail -n 20
		status=1
	else
		echo "ok - $name is caught"
	fi
}

"$dir/unit" || status=1
"$dir/stress" 20000 || status=1
echo '# the same under ThreadSanitizer'
TSAN_OPTIONS=halt_on_error=1 "$dir/stress-tsan" 2000 || status=1
echo '# every order of accesses'
"$dir/explore" --short || status=1
echo '# pauses at every access'
"$dir/pause" || status=1
"$dir/pause_queue" || status=1
caught 'planted fault: ring that claims before it fills' '^not ok' "$dir/stress-naive" 20000
caught 'planted fault: relaxed publish' 'WARNING: ThreadSanitizer: data race' \
	env TSAN_OPTIONS=halt_on_error=1 "$dir/stress-relaxed" 2000
caught 'planted fault: ring that claims before it fills, explored' '^not ok' \
	"$dir/explore-naive" --control
caught 'planted fault: ring in which a pause stops the others (Vyukov)' '^not ok' \
	"$dir/pause-vyukov"
caught 'planted fault: put that waits for tail' '^not ok' "$dir/pause-wait-for-tail"
caught 'planted fault: heads that are looked at before ends' '^not ok.*and never did' \
	"$dir/explore-heads-first" --control 'all in'
caught 'planted fault: count that ends at tail' '^not ok.*and did all the time' \
	"$dir/explore-count-to-tail" --control 'all in'

for what in 'all in one ring? behind' 'send behind' 'receive behind'; do
	caught "planted fault: a later lap is taken for open ($what)" \
		'^not ok.*\(and did all the time\|not that of a FIFO\)' \
		"$dir/explore-later-is-open" --control "$what"
done

# planted PROGRAM FAULT PATTERN [ARG...]: one in the queue, named as in the Makefile
planted() {
	caught "planted fault in the queue: $2 ($1)" "^not ok.*$3" "$dir/$1-$2" "${@:4}"
}

for fault in no-wake not-woken no-pass-writer no-pass-reader late-queueing poll-first; do
	planted explore_queue $fault 'somebody sleeps though' --control
done
planted explore_queue shared-head 'somebody sleeps though' --control poller
planted explore_queue no-pass-poller 'somebody sleeps though' --control 'that dies'
planted explore_queue one-poller 'somebody sleeps though' --control 'two exclusive pollers'
planted explore_queue lost-message 'a message is lost' --control
planted explore_queue lost-slot 'an index is in no ring' --control
planted explore_queue no-recheck 'not that of a FIFO' --control
planted explore_queue one-look 'receive said EAGAIN though' --control 'never empty'
planted explore_queue no-look-back 'send said EAGAIN though' --control 'drop, nobody waits'
planted explore_queue no-look-back 'poll said no though' --control 'drop, poller, never full'
planted explore_queue no-end-wake 'sleeps though it is the end' --control close
planted explore_queue no-pass-end 'sleeps though it is the end' --control close
planted explore_queue no-end-poll 'sleeps though it is the end' --control 'lease, poller'
planted explore_queue close-wakes-one 'sleeps who keeps what it waits for' --control keeps
planted explore_queue no-open 'comes after the end' --control close
planted explore_queue no-still 'was the end, and it never was' --control reopen
planted explore_queue no-dead 'sleeps though it is the end' --control 'end with'
planted explore_queue heads-first 'was the end, and it never was' --control 'purge, end'
planted explore_queue rely-on-taken 'somebody sleeps though' --control rely
planted explore_queue drop-stays 'put that is in a ring' --control drop
planted explore_queue drop-uncounted 'a message is lost' --control drop
planted explore_queue drop-for-nothing 'not that of a FIFO' --control 'drop, writer with'
planted explore_queue hands-back 'not that of a FIFO' --control 'page is missing'
planted explore_queue tries-to-send 'the run does not end' --control 'never read'
planted explore_queue tries-to-receive 'the run does not end' --control 'never written'
planted explore_queue signal-last 'goes on though a signal has ended its sleep' --control signal
planted explore_queue suspect-beside 'came to one who keeps another' --control suspect
planted explore_queue suspect-too-long 'EMSGSIZE though there is room' --control suspect
planted explore_queue no-pass-reader 'somebody sleeps though it is the end' --control timeout
planted explore_queue peek-not-checked 'a copy is of no message' --control peek
planted explore_queue peek-taken 'a copy is of' --control peek
planted explore_queue levels-once 'receive said EAGAIN though' --control 'steals, packed'
planted explore_queue levels-lowest 'overtook one of a higher level' --control 'levels, order'
planted explore_queue levels-overtaken 'overtook one of a higher level' --control 'levels, order'
planted explore_queue levels-wake-one 'somebody sleeps though there is room' --control 'one below'
planted explore_forward forward-frees-first 'in neither queue' --control forward
planted explore_forward forward-early 'its message is not held any more' --control 'does not wait'
planted explore_forward forward-keeps-slot 'of the other queue is in no ring' --control 'lease ends'
planted explore_queue due-before-closed 'a message stays parked' --control delay
planted explore_queue rt-none-woken 'somebody sleeps though' --control signal
planted pause_queue wait-for-tail 'stopped for good'
planted pause_queue no-wake 'stopped for good'
echo '# every order of accesses to the queue, with PREEMPT_RT, where signals come'
"$dir/explore_queue-rt" --short signal || status=1
echo '# every order of accesses of forwards'
"$dir/explore_forward" --short || status=1
echo '# every order of accesses to the queue'
wait "$exploring" || status=1
exploring=
cat "$explored"
exit $status
