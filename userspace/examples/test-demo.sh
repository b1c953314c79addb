#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Tests of the demo against a loaded module: that it shows what it should, and
# that it fails when an item is stolen or somebody else's message comes.
# Prints TAP.
set -euo pipefail

# shellcheck source=userspace/tools/test-helpers.sh
. "$(dirname "$0")/../tools/test-helpers.sh"
demo=$here/../../build/userspace/demo
patience=60

case ${1-} in
-h | --help)
	echo "Usage: $0"
	echo 'Test build/userspace/demo; /dev/mpmcq must be empty and not in use.'
	exit
	;;
?*)
	echo "$0: no arguments are taken" >&2
	exit 2
	;;
esac

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

depth() {
	[ "$(cat /sys/class/mpmcq/mpmcq/depth)" -eq "$1" ]
}

# Every item is said to be sent once, and later said to be got once.
each_item_once() {
	awk '/ sends item / { sent[$5]++ }
	     / got item / { got[$5]++; if (!sent[$5]) early++ }
	     END {
		for (i in sent) n += sent[i] == 1 && got[i] == 1
		exit !(n == 40 && length(got) == 40 && !early)
	     }' "$1"
}

run "$demo"
ok 'the demo: status' came 0
ok 'the demo: its lines' each_item_once "$tmp/out"
ok 'the demo: its count' grep -q '^40 items sent: 40 arrived once, 0 lost, 0 repeated' "$tmp/out"
ok 'the demo: leaves nothing' depth 0
sed '0,/got item/{/got item/d}' "$tmp/out" >"$tmp/less"
ok 'control: a missing line is noticed' not each_item_once "$tmp/less"

"$mpmcq" send hands-off
run "$demo"
ok 'a queue in use: status' came 1
ok 'a queue in use: says so' grep -q 'holds 1 messages of somebody else' "$tmp/err"
ok 'a queue in use: its message stays' [ "$("$mpmcq" receive -n)" = hands-off ]

timeout 60 dd if=/dev/mpmcq of="$tmp/stolen" bs=64K count=1 status=none &
run "$demo"
wait
ok 'an item is stolen' [ -s "$tmp/stolen" ]
ok 'an item is stolen: status' came 1
ok 'an item is stolen: its count' grep -q ': 39 arrived once, 1 lost, 0 repeated' "$tmp/out"
ok 'an item is stolen: leaves nothing' depth 0

# Somebody who waits for an item gets in at once; the demo lasts a second.
{
	dd if=/dev/mpmcq of="$tmp/stolen" bs=64K count=1 status=none
	printf foreign >/dev/mpmcq
} &
run "$demo"
wait
ok 'a foreign message: status' came 1
ok 'a foreign message: says so' grep -q 'message of somebody else came, and was put back' "$tmp/err"
ok 'a foreign message: it alone is left' [ "$("$mpmcq" receive --all)" = foreign ]

run "$demo" --help
ok '--help' came 0
run "$demo" --nonsense
ok 'wrong option' came 2
run "$demo" --device /dev/null
ok 'not a queue' came 1

plan
