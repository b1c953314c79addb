#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of the command mpmcq, against a loaded module: queues, names and permissions. Prints TAP.
set -euo pipefail

# shellcheck source=userspace/tools/test-helpers.sh
. "$(dirname "$0")/test-helpers.sh"

begin "$@"
other=$tmp/other # another mpmcqfs
device_mode=$(stat -c %a $device)

clean_up() {
	destroy_all
	chmod "$device_mode" $device
	! mountpoint -q "$other" || umount "$other"
	rm -rf "$tmp"
}

use_device
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$here/../../dkms.conf")

# --- what it says of itself and of the queue

run "$mpmcq" --version
result '--version is that of dkms.conf' 0 "mpmcq $version$nl"
ok 'the module has the same version' [ "$(cat /sys/module/mpmcq/version)" = "$version" ]
run "$mpmcq" --help
ok '--help: status' came 0
ok '--help: all commands' [ "$(sed '1,/^Commands:/d;/^$/,$d' "$tmp/out" | wc -l)" -eq 18 ]
run "$mpmcq" create --help
ok 'create --help: its options' grep -q -e '--exist-ok' "$tmp/out"

features='packed lease dead close attach create files drop delay timeout start peek forward meta levels'
uuid='[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
owner=$(stat -c %U $device)
group=$(stat -c %G $device)
mode=$(printf %04o "0$device_mode")
run "$mpmcq" send one two
declare -A state=()
for attribute in max_deliveries lease_ms sent received acked returned set_aside dropped; do
	state[$attribute]=$(cat /sys/class/mpmcq/mpmcq/$attribute)
done
run "$mpmcq" info
ok 'info: uuid' grep -qE "^uuid:            $uuid\$" "$tmp/out"
# What nobody else knows of it.
sed -i '/^uuid:\|^redelivered:\|^suspected:/d' "$tmp/out"
result 'info' 0 "\
path:            $device
owner:           $owner
group:           $group
mode:            $mode
capacity:        $capacity
msg_size:        $msg_size
depth:           2
parked:          0
leased:          0
dead:            0
free:            $((capacity - 2))
max_deliveries:  ${state[max_deliveries]}
lease_ms:        ${state[lease_ms]}
retry_ms:        0
retry_max_ms:    0
levels:          1
sent:            ${state[sent]}
received:        ${state[received]}
acked:           ${state[acked]}
returned:        ${state[returned]}
set_aside:       ${state[set_aside]}
dropped:         ${state[dropped]}
oldest_ns:       0
readers_asleep:  0
writers_asleep:  0
number:          1
closed:          no
flags:           none
version:         $version
features:        $features
"
run "$mpmcq" info --json
ok 'info --json: status' came 0
ok 'info --json: content' python3 -c "
import json, re, sys
info = json.load(open(sys.argv[1]))
assert re.fullmatch('$uuid', info.pop('uuid'))
del info['redelivered'], info['suspected']
assert info == {
    'path': '$device', 'owner': '$owner', 'group': '$group', 'mode': '$mode',
    'version': '$version', 'capacity': $capacity, 'msg_size': $msg_size,
    'depth': 2, 'leased': 0, 'dead': 0, 'free': $capacity - 2, 'closed': False,
    'max_deliveries': ${state[max_deliveries]}, 'lease_ms': ${state[lease_ms]},
    'sent': ${state[sent]}, 'received': ${state[received]}, 'acked': ${state[acked]},
    'returned': ${state[returned]}, 'set_aside': ${state[set_aside]},
    'dropped': ${state[dropped]}, 'number': 1, 'parked': 0, 'retry_ms': 0, 'retry_max_ms': 0,
    'levels': 1, 'oldest_ns': 0, 'readers_asleep': 0, 'writers_asleep': 0,
    'flags': [], 'features': '$features'.split()}" "$tmp/out"
empty_queue

# --- queues with names

run "$mpmcq" create --capacity 4 --msg-size 16 --mode 640 --max-deliveries 3 --lease-ms 60000 \
	test.jobs
result 'create' 0 ''
ok 'create: the file has its mode' is $mount/test.jobs root:root:640
run "$mpmcq" create test.jobs
ok 'create: the name is taken: status' came 1
ok 'create: the name is taken: says so' \
	said "^mpmcq: cannot create $mount/test.jobs: there is a queue of this name\$"

run "$mpmcq" -q test.jobs send a b
result 'send --queue' 0 ''
ok 'send --queue: not to the default queue' depth 0
run "$mpmcq" info --queue test.jobs
ok 'info --queue: status' came 0
grep -v '^number: \|^uuid: ' "$tmp/out" >"$tmp/info" || :
ok 'info --queue: content' diff - "$tmp/info" <<-EOF
	path:            $mount/test.jobs
	owner:           root
	group:           root
	mode:            0640
	capacity:        4
	msg_size:        16
	depth:           2
	parked:          0
	leased:          0
	dead:            0
	free:            2
	max_deliveries:  3
	lease_ms:        60000
	retry_ms:        0
	retry_max_ms:    0
	levels:          1
	sent:            2
	received:        0
	acked:           0
	returned:        0
	redelivered:     0
	suspected:       0
	set_aside:       0
	dropped:         0
	oldest_ns:       0
	readers_asleep:  0
	writers_asleep:  0
	closed:          no
	flags:           none
	version:         $version
	features:        $features
EOF
run "$mpmcq" receive -q $mount/test.jobs
result 'a path' 0 "a$nl"
run sh -c "cd $mount && exec '$mpmcq' -q ./test.jobs receive"
result 'a path from the working folder' 0 "b$nl"
run "$mpmcq" -q $device send 'for all'
run "$mpmcq" receive
result 'the path of the default queue' 0 "for all$nl"
run "$mpmcq" -q test.jobs receive --nonblock
ok 'empty: says which' said "^mpmcq: $mount/test.jobs is empty"
run "$mpmcq" -q test.jobs send 'seventeen bytes!!'
ok 'its own msg_size' said 'longer than msg_size, 16 bytes'
run "$mpmcq" -q test.jobs send -n 1 2 3 4 5
ok 'full: says which' \
	said "^mpmcq: $mount/test.jobs is full: message 5 not sent (sent before it: 4)"

run "$mpmcq" create --drop-oldest --auto-close -c 2 test.latest
exec 3>$mount/test.latest # a writer that stays
run "$mpmcq" -q test.latest send --nonblock 1 2 3
result '--drop-oldest: there is always room' 0 ''
run "$mpmcq" list
ok 'list: status' came 0
ok 'list: the default queue' \
	has_row "$device $owner $group $mode $capacity $msg_size 0 0 0 0 open none"
ok 'list: a full one' has_row 'test.jobs root root 0640 4 16 4 0 0 0 open none'
ok 'list: flags' has_row 'test.latest root root 0640 2 1024 2 0 0 0 open drop-oldest,auto-close'
ok 'list: all, below a headline' lines_in "$tmp/out" 4
run "$mpmcq" list $mount
ok 'list DIR: status' came 0
ok 'list DIR: the queues there' has_row 'test.jobs root root 0640 4 16 4 0 0 0 open none'
ok 'list DIR: and no other, below a headline' lines_in "$tmp/out" 3
run "$mpmcq" list --json
ok 'list --json: status' came 0
ok 'list --json: content' python3 -c "
import json, sys
queues = {queue.pop('name'): queue for queue in json.load(open(sys.argv[1]))}
assert queues['$device']['number'] == 1
assert queues['test.jobs'].pop('number') > 1
assert queues['test.jobs'].pop('uuid') != queues['test.latest']['uuid']
assert sorted(queues) == ['$device', 'test.jobs', 'test.latest']
assert queues['test.jobs'] == {
    'path': '$mount/test.jobs', 'owner': 'root', 'group': 'root', 'mode': '0640',
    'capacity': 4, 'msg_size': 16, 'depth': 4, 'leased': 0, 'dead': 0, 'free': 0, 'closed': False,
    'max_deliveries': 3, 'lease_ms': 60000, 'sent': 6, 'received': 2, 'acked': 2,
    'returned': 0, 'set_aside': 0, 'dropped': 0, 'flags': [], 'parked': 0, 'retry_ms': 0,
    'retry_max_ms': 0, 'levels': 1, 'redelivered': 0, 'suspected': 0, 'oldest_ns': 0,
    'readers_asleep': 0, 'writers_asleep': 0}, queues['test.jobs']
assert queues['test.latest']['max_deliveries'] == 8
assert queues['test.latest']['dropped'] == 1
assert queues['test.latest']['flags'] == ['drop-oldest', 'auto-close']" "$tmp/out"
run "$mpmcq" info -q test.latest
ok 'info: flags' grep -qx 'flags:           drop-oldest auto-close' "$tmp/out"
run "$mpmcq" -q test.latest receive --all
result '--drop-oldest: the oldest is dropped' 0 "2${nl}3$nl"
exec 3>&-

exec 3<>$mount/test.jobs
run "$mpmcq" destroy test.jobs
result 'destroy' 0 ''
ok 'destroy: the file is gone' [ ! -e $mount/test.jobs ]
run "$mpmcq" -q test.jobs info
ok 'destroy: the name is gone: status' came 1
ok 'destroy: the name is gone: says what to do' said \
	"^mpmcq: cannot open $mount/test.jobs: no such queue (make it: mpmcq create test.jobs)\$"
run dd bs=64K count=1 status=none <&3
result 'destroy: who has it open reads on' 0 1
run "$mpmcq" destroy test.jobs
ok 'destroy: not twice: status' came 1
ok 'destroy: not twice: says so' \
	said "^mpmcq: cannot destroy $mount/test.jobs: no such queue\$"
run "$mpmcq" create --auto-close --capacity 8 test.jobs
result 'destroy: the name can be had again' 0 ''
exec 3>&-
ok 'destroy: for another queue' shows test.jobs capacity 8

for name in .test -n 'with blank' "line${nl}feed" "$(printf %0255d 0)" mpmcq; do
	run "$mpmcq" create -- "$name"
	result "create: a name: ${name//$nl/?}" 0 ''
	run "$mpmcq" -q "$name" send x
	result "send: a name: ${name//$nl/?}" 0 ''
done
run "$mpmcq" list
ok 'list: begins with a dot' has_row '.test root root 0640 1024 1024 1 0 0 0 open none'
ok 'list: a name keeps to its line' grep -q '^line\\x0afeed  *root ' "$tmp/out"
printf 'bytes\xff\xc2\x9b' >"$tmp/name"
run "$mpmcq" create "$(cat "$tmp/name")"
run "$mpmcq" list
ok 'list: nothing that a terminal obeys' grep -q '^bytes\\xff\\xc2\\x9b  *root ' "$tmp/out"
run "$mpmcq" list --json
ok 'list --json: every name' python3 -c "
import json, os, sys
names = {os.fsencode(queue['name']) for queue in json.load(open(sys.argv[1]))}
assert names == {
    b'$device', b'test.jobs', b'test.latest', b'.test', b'-n', b'with blank', b'line\nfeed',
    b'0' * 255, b'mpmcq', b'bytes\xff\xc2\x9b'}, names" "$tmp/out"
run "$mpmcq" destroy -- .test -n 'with blank' nothing "line${nl}feed" "$(printf %0255d 0)" \
	mpmcq "$(cat "$tmp/name")"
ok 'destroy: several, and one that is not there: status' came 1
ok 'destroy: several, and one that is not there: says so' \
	said "^mpmcq: cannot destroy $mount/nothing: no such queue\$"
ok 'destroy: several, and one that is not there: that is all' lines_in "$tmp/err" 1
ok 'destroy: several: they are gone' [ "$(ls -A $mount)" = "test.jobs${nl}test.latest" ]

for name in . ..; do
	run "$mpmcq" create $name
	ok "create: not a name: $name: status" came 1
	ok "create: not a name: $name: says so" said "NAME must not be '.' or '..'"
done
run "$mpmcq" create "$(printf %0256d 0)"
ok 'create: a name that is too long: status' came 1
ok 'create: a name that is too long: says so' said ': a NAME has at most 255 bytes$'
run "$mpmcq" create --capacity 3 test.odd
ok 'create: not a power of two: status' came 1
ok 'create: not a power of two: says so' \
	said "^mpmcq: cannot create $mount/test.odd: capacity must be a power of two"
run "$mpmcq" create --msg-size 65537 test.odd
ok 'create: too long messages: status' came 2
ok 'create: too long messages: says so' \
	said "^mpmcq: --msg-size: not a number from 1 to 65536: '65537'\$"
run "$mpmcq" create --capacity 1048576 --msg-size 65536 test.huge
ok 'create: too large: status' came 1
ok 'create: too large: says so' said ': more bytes than .*max_queue_bytes'

# --- owner, group and mode

"$mpmcq" create test.one
umask 077
"$mpmcq" create test.two
umask 0
"$mpmcq" create test.three
umask 077
"$mpmcq" create --mode 666 test.four
"$mpmcq" create --mode 0 test.five
"$mpmcq" create --owner nobody --group mail --mode 626 test.six
"$mpmcq" create --group 4711 test.seven
umask 022
"$mpmcq" create -o 4711 -g 4712 -m 060 test.eight
ok 'mode: 660 without the bits of umask' is $mount/test.one root:root:640
ok 'mode: which may be others' is $mount/test.two root:root:600
ok 'mode: or none' is $mount/test.three root:root:660
ok '--mode: exactly this, whatever umask is' is $mount/test.four root:root:666
ok '--mode 0' is $mount/test.five root:root:0
ok '--owner, --group, --mode: names' is $mount/test.six nobody:mail:626
ok '--group: a number, and the mode by umask' \
	[ "$(stat -c %u:%g:%a $mount/test.seven)" = 0:4711:600 ]
ok '--owner, --group: numbers' [ "$(stat -c %u:%g:%a $mount/test.eight)" = 4711:4712:60 ]
run "$mpmcq" -q test.six info
ok 'info: owner' grep -qx 'owner:           nobody' "$tmp/out"
ok 'info: group' grep -qx 'group:           mail' "$tmp/out"
ok 'info: mode' grep -qx 'mode:            0626' "$tmp/out"
for option in --owner=no.one --group=no.one --owner= --owner=4294967295; do
	run "$mpmcq" create $option test.nine
	ok "create $option: status" came 1
	ok "create $option: says so" said '^mpmcq: no such \(user\|group\): '
done
ok 'create: nothing for a user that there is not' [ ! -e $mount/test.nine ]

# Looks at queues while they are made: a wider mode would be seen some time.
umask 0
run python3 -c '
import os, subprocess, sys
group, seen = int(sys.argv[3]), set()
for _ in range(15):
    tool = subprocess.Popen([sys.argv[1], "create", "--group", str(group), sys.argv[2]])
    while tool.poll() is None:
        for _ in range(50):
            try:
                st = os.stat(sys.argv[2])
            except FileNotFoundError:
                continue
            seen.add((st.st_gid, st.st_mode & 0o777))
    os.unlink(sys.argv[2])
assert (group, 0o660) in seen, seen
assert seen <= {(0, 0), (group, 0), (group, 0o660)}, seen' "$mpmcq" $mount/test.watched 4711
umask 022
ok '--group: at no time has anybody more access' came 0

# --- create --exist-ok

"$mpmcq" -q test.six send kept
run "$mpmcq" create --exist-ok test.six
result '--exist-ok: the same' 0 ''
run "$mpmcq" create --exist-ok --owner root --group root --mode 600 test.six
result '--exist-ok: the same, for another' 0 ''
ok '--exist-ok: changes no owner, group and mode' is $mount/test.six nobody:mail:626
ok '--exist-ok: and no message' shows test.six depth 1
run "$mpmcq" create --exist-ok -c 8 -s 2048 --max-deliveries 9 --lease-ms 7 --drop-oldest test.six
ok '--exist-ok: another: status' came 1
ok '--exist-ok: another: says what differs' \
	said "^mpmcq: cannot create $mount/test.six: there is a queue of this name with capacity \
1024 instead of 8, msg-size 1024 instead of 2048, drop-oldest no instead of yes, max-deliveries 8 \
instead of 9, lease-ms 0 instead of 7\$"
run "$mpmcq" create --exist-ok --group mail --lease-ms 7 test.six
ok '--exist-ok: another, for a group: status' came 1
ok '--exist-ok: another, for a group: says what differs' said ' with lease-ms 0 instead of 7$'
run "$mpmcq" create --exist-ok --lease-ms 7 test.nine
result '--exist-ok: a new one' 0 ''
ok '--exist-ok: a new one is as asked for' shows test.nine lease_ms 7
run "$mpmcq" create --exist-ok --group mail --mode 620 test.ten
result '--exist-ok: a new one for a group' 0 ''
ok '--exist-ok: a new one for a group: is theirs' is $mount/test.ten root:mail:620
# As SIGKILL would leave it.
"$mpmcq" create --mode 0 test.eleven
run "$mpmcq" create --exist-ok --group mail --mode 620 test.eleven
result '--exist-ok: one half made' 0 ''
ok '--exist-ok: one half made: is made whole' is $mount/test.eleven root:mail:620
# The same a moment later.
"$mpmcq" create --mode 0 test.twelve
chown nobody:mail $mount/test.twelve
run "$mpmcq" create --exist-ok --owner nobody --group mail --mode 620 test.twelve
result '--exist-ok: one that has its owner' 0 ''
ok '--exist-ok: one that has its owner: gets its mode' is $mount/test.twelve nobody:mail:620

# --- other users

install -m 755 "$mpmcq" "$tmp/mpmcq"
chmod 755 "$tmp"
mkdir "$other"
mount -t mpmcqfs -o mode=1777 mpmcqfs "$other"
chmod 600 $device

"$mpmcq" create --mode 666 test.public
run_as_nobody "$tmp/mpmcq" -q test.public send hello
result 'as nobody: send, without /dev/mpmcq' 0 ''
run_as_nobody "$tmp/mpmcq" -q test.public receive
result 'as nobody: receive, without /dev/mpmcq' 0 "hello$nl"
run_as_nobody "$tmp/mpmcq" -q test.public info
ok 'as nobody: info, without /dev/mpmcq' came 0
for command in close reopen dead; do
	run_as_nobody "$tmp/mpmcq" -q test.public $command
	ok "as nobody: $command, without /dev/mpmcq" came 0
done
run_as_nobody "$tmp/mpmcq" info
ok 'as nobody: the default queue: status' came 1
ok 'as nobody: the default queue: says why' said "^mpmcq: cannot open $device: \
Permission denied for reading (owner $owner, group $group, mode 0600)\$"
chmod 666 $device
for command in close reopen; do
	run_as_nobody "$tmp/mpmcq" $command
	ok "as nobody: $command of the default queue: status" came 1
	ok "as nobody: $command of the default queue: says why" \
		said "^mpmcq: cannot $command $device: only root may"
done
chmod 600 $device
run_as_nobody "$tmp/mpmcq" -q test.six send x
result 'as nobody: a queue of his own' 0 ''
run_as_nobody "$tmp/mpmcq" -q test.one send x
ok 'as nobody: not allowed: status' came 1
ok 'as nobody: not allowed: says why' said "^mpmcq: cannot open $mount/test.one: \
Permission denied for writing (owner root, group root, mode 0640)\$"
run_as_nobody "$tmp/mpmcq" -q test.one dead requeue --all
ok 'as nobody: not allowed to read and write' \
	said 'Permission denied for reading and writing (owner root, group root, mode 0640)'
run_as_nobody "$tmp/mpmcq" create test.nobody
ok 'as nobody: create, not allowed: status' came 1
ok 'as nobody: create, not allowed: says why' said "^mpmcq: cannot create $mount/test.nobody: \
Permission denied for the directory (owner root, "
run_as_nobody "$tmp/mpmcq" create --exist-ok --lease-ms 7 test.one
ok 'as nobody: --exist-ok, another that he may not open: status' came 1
ok 'as nobody: --exist-ok, another that he may not open: says why' \
	said ' with another configuration (owner root, group root, mode 0640)$'
run_as_nobody "$tmp/mpmcq" create --exist-ok test.one
result 'as nobody: --exist-ok, the same' 0 ''
run_as_nobody "$tmp/mpmcq" destroy test.public
ok 'as nobody: destroy, not allowed: status' came 1
ok 'as nobody: destroy, not allowed: it stays' [ -e $mount/test.public ]

run_as_nobody "$tmp/mpmcq" list
ok 'as nobody: list: status' came 0
ok 'as nobody: list: one that is open to all' \
	has_row 'test.public root root 0666 1024 1024 0 0 0 0 open none'
ok 'as nobody: list: one of his own' has_row 'test.six nobody mail 0626 1024 1024 2 0 0 0 open none'
ok 'as nobody: list: one that he may not open' has_row 'test.one root root 0640 - - - - - - - -'
ok 'as nobody: list: the state of the default queue' \
	has_row "$device $owner $group 0600 $capacity $msg_size 0 0 0 0 open none"
run_as_nobody "$tmp/mpmcq" list --json
ok 'as nobody: list --json: status' came 0
ok 'as nobody: list --json: content' python3 -c "
import json, sys
queues = {queue['name']: queue for queue in json.load(open(sys.argv[1]))}
assert queues['test.public']['depth'] == 0
known = {name: value for name, value in queues['test.one'].items() if value is not None}
assert known == {'name': 'test.one', 'path': '$mount/test.one', 'owner': 'root',
                 'group': 'root', 'mode': '0640'}, known
assert queues['test.one'].keys() == queues['test.public'].keys()" "$tmp/out"

run_as_nobody "$tmp/mpmcq" create --group 65534 --mode 600 "$other/test.own"
result 'as nobody: create, for the own group' 0 ''
ok 'as nobody: create: it is his' [ "$(stat -c %u:%g:%a "$other/test.own")" = 65534:65534:600 ]
for option in --owner=root --group=mail; do
	run_as_nobody "$tmp/mpmcq" create $option --mode 666 "$other/test.gift"
	ok "as nobody: create $option: status" came 1
	ok "as nobody: create $option: says why" \
		said ': its owner or group cannot be set: Operation not permitted (only root may '
	ok "as nobody: create $option: leaves no queue" [ ! -e "$other/test.gift" ]
done
run_as_nobody sh -c "cd '$other' && exec '$tmp/mpmcq' -q ./test.own send here"
result 'as nobody: a path from the working folder' 0 ''
run "$mpmcq" list "$other/"
ok 'list DIR: another mount' lines_in "$tmp/out" 2
ok 'list DIR: another mount: its queue' \
	grep -q '^test\.own .* 0600  *1024  *1024  *1  *0  *0  *0  *open' "$tmp/out"
run "$mpmcq" -q "$other/test.none" info
ok 'a path: no such queue: says what to do' \
	said "^mpmcq: cannot open .*: no such queue (make it: mpmcq create $other/test.none)\$"
mount -o remount,max=1 "$other"
run "$mpmcq" create "$other/test.more"
ok 'create: the mount is full: status' came 1
ok 'create: the mount is full: says so' said ": no room: .* mount options size, max (df $other)\$"
run_as_nobody "$tmp/mpmcq" destroy "$other/test.own"
result 'as nobody: destroy a queue of his own' 0 ''
chmod "$device_mode" $device

mount -o remount,bind,nodev "$other"
"$mpmcq" create "$other/test.nodev"
run "$mpmcq" -q "$other/test.nodev" info
ok 'nodev: status' came 1
ok 'nodev: says so' said ': its file system is mounted with the option nodev$'
umount "$other"

# --- what is no queue

echo content >"$tmp/file"
mkfifo "$tmp/fifo"
cp -a $mount/test.one "$tmp/copy"
python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$tmp/socket"
ln -s $mount/test.one "$tmp/link"
run "$mpmcq" -q "$tmp/link" info
ok 'a symbolic link to a queue opens it' came 0
# is_refused FILE COMMAND: as it is no queue
is_refused() {
	run "$mpmcq" -q "$1" "$2" </dev/null
	ok "not a queue: ${1##*/}: $2: status" came 1
	ok "not a queue: ${1##*/}: $2: says so" said "^mpmcq: cannot open $1: not a queue\$"
}
for command in send receive info dead close reopen; do
	is_refused "$tmp/file" $command
done
for file in "$tmp/fifo" "$tmp/socket" "$tmp" $mount /dev/null; do
	is_refused "$file" send
	is_refused "$file" receive
done
ok 'not a queue: is not written to' [ "$(cat "$tmp/file")" = content ]
run "$mpmcq" -q "$tmp/copy" info
ok 'a copy of a node: status' came 1
ok 'a copy of a node: says so' \
	said "^mpmcq: cannot open $tmp/copy: a device node without a queue "
run "$mpmcq" -q "$tmp/none" info
ok 'no such file: status' came 1
ok 'no such file: says so' \
	said "^mpmcq: cannot open $tmp/none: $tmp is not a mounted mpmcqfs\$"
run "$mpmcq" -q "$tmp/none/none" info
ok 'no such folder: says so' said ": $tmp/none: No such file or directory\$"

for file in "$tmp/file" "$tmp/copy" "$tmp/link" /dev/null; do
	run "$mpmcq" destroy "$file"
	ok "destroy: not a queue: ${file##*/}: status" came 1
	ok "destroy: not a queue: ${file##*/}: says so" \
		said "^mpmcq: cannot destroy $file: ${file%/*} is not a mounted mpmcqfs\$"
	ok "destroy: not a queue: ${file##*/}: it stays" [ -e "$file" ]
done
run "$mpmcq" destroy $device
ok 'destroy: the default queue: status' came 1
ok 'destroy: the default queue: says so' said "^mpmcq: cannot destroy $device: the default queue "
ok 'destroy: the default queue: it stays' [ -c $device ]
for name in . .. $mount $mount/; do
	run "$mpmcq" destroy $name
	ok "destroy: not a queue: $name" came 1
done
run "$mpmcq" create "$tmp/test.queue"
ok 'create: not on mpmcqfs: status' came 1
ok 'create: not on mpmcqfs: says so' \
	said "^mpmcq: cannot create $tmp/test.queue: $tmp is not a mounted mpmcqfs\$"
run "$mpmcq" list "$tmp"
ok 'list: not mpmcqfs: status' came 1
ok 'list: not mpmcqfs: says so' said "^mpmcq: cannot list queues: $tmp is not a mounted mpmcqfs\$"

# --- no mount, no module

how='mount -t mpmcqfs mpmcqfs /dev/mpmcqfs)$'
for arguments in '-q test.one info' '-q test.one send x' 'create test.one' 'destroy test.one' list; do
	# shellcheck disable=SC2086 # several arguments
	run_hidden $mount "$mpmcq" $arguments
	ok "not mounted: $arguments: status" came 1
	ok "not mounted: $arguments: says what to do" \
		said ": no mpmcqfs is mounted at $mount (as root: $how"
done
ok 'not mounted: list: the default queue' \
	has_row "$device $owner $group $mode $capacity $msg_size 0 0 0 0 open none"
run_hidden $mount sh -c "echo content >$mount/test.one && exec '$mpmcq' -q test.one info"
ok 'not mounted: a file in its place: says what to do' \
	said ": no mpmcqfs is mounted at $mount (as root: $how"
run_hidden $mount "$mpmcq" info
ok 'not mounted: the default queue works' came 0
run_hidden /dev "$mpmcq" -q test.one info
ok 'no folder to mount it at: says what to do' \
	said ": no mpmcqfs is mounted at $mount (as root: mkdir $mount && $how"
run_hidden /dev "$mpmcq" info
ok 'no /dev/mpmcq: says so' said "^mpmcq: cannot open $device: No such file or directory\$"
# As it is without the module: not in /sys, no mount, no device.
# shellcheck disable=SC2016 # for the shell that is run
run_hidden /dev sh -c 'mount -t tmpfs hidden /sys/module &&
	for arguments in info "-q x info" list; do "$0" $arguments; done' "$mpmcq"
ok 'no module: status' came 1
ok 'no module: says what to do' \
	said "^mpmcq: cannot open $device: the module is not loaded (as root: modprobe mpmcq)\$"
ok 'no module: and to mount it' said "^mpmcq: cannot open $mount/x: \
the module is not loaded (as root: modprobe mpmcq && mkdir $mount && $how"
ok 'no module: list' said '^mpmcq: cannot list queues: the module is not loaded (as root: '

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
ok 'close: it says why' grep -q "^mpmcq: $mount/test.closing is closed" "$tmp/late"
run "$mpmcq" -q test.closing send early late
ok 'closed: send: status' came 1
ok 'closed: send: says so' \
	said "^mpmcq: $mount/test.closing is closed: message 1 not sent (sent before it: 0)"
run "$mpmcq" -q test.closing info
ok 'closed: info' grep -qx 'closed:          yes' "$tmp/out"
run "$mpmcq" list
ok 'closed: list' has_row 'test.closing root root 0640 2 1024 2 0 0 0 closed none'
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

destroy_all
run "$mpmcq" list
ok 'list: the default queue alone is left' lines_in "$tmp/out" 2

# --- wrong usage

wrong_usage <<-EOF

	nonsense
	--nonsense
	info x
	info --nonblock
	info --queue
	close x
	close --json
	reopen x
	create
	create test.name x
	create test.name/
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
	destroy --queue x test.name
	destroy --json test.name
	list x y
	list --queue x
	info --device /dev/mpmcq
EOF
run "$mpmcq" --queue '' info
ok 'usage: an empty name of a queue' came 2
ok 'usage: no queue was made' [ ! "$(ls -A $mount)" ]
ok 'the queue is empty in the end' depth 0

plan
