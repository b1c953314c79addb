#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of mpmcq wait, close --due, save, restore, top, doctor, bench and of the names that the
# completion offers, against a loaded module. Prints TAP.
set -euo pipefail

# shellcheck source=userspace/tools/test-helpers.sh
. "$(dirname "$0")/test-helpers.sh"
patience=60

begin "$@"
chmod 755 "$tmp"
other=$tmp/other # another mpmcqfs
machine=$tmp/machine # what "doctor --root" looks at

clean_up() {
	find $mount -mindepth 1 -delete
	! mountpoint -q "$other" || umount "$other"
	rm -rf "$tmp"
}

# ended STATUS PID
ended() {
	status=0
	wait "$2" || status=$?
	[ $status -eq "$1" ]
}

# hold QUEUE: a process that holds a message, $holder
hold() {
	python3 -c 'import fcntl, os, signal, struct, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
fcntl.ioctl(fd, 0x4018a801, struct.pack("6I", 24, 2, 0, 0, 0, 0))
os.read(fd, 65536)
print("held", flush=True)
signal.pause()' $mount/"$1" >"$tmp/holder" &
	holder=$!
	until_true [ -s "$tmp/holder" ]
	rm "$tmp/holder"
}
let_go() {
	kill "$holder"
	wait "$holder" 2>/dev/null || :
}

# row QUEUE CONDITION: a row of the table that the last run() of top has printed. Columns are counted
# from the last, because there are spaces in a bar.
row() {
	awk -v queue="$1" '$1 == queue && '"$2"' { n++ } END { exit n != 1 }' "$tmp/out"
}

# --- wait

"$mpmcq" create test.wait
run "$mpmcq" -q test.wait wait --drained
result 'wait: drained' 0 ''
run "$mpmcq" -q test.wait wait --ready --timeout 0.2
error 'wait: not ready' 3 "^mpmcq: $mount/test.wait is empty\$"
run "$mpmcq" -q test.wait wait -c -t 0.2
error 'wait: not closed' 3 "^mpmcq: $mount/test.wait is not closed\$"
"$mpmcq" -q test.wait send x
run "$mpmcq" -q test.wait wait -d -t 0.2
error 'wait: a message' 3 ": depth 1, leased 0, parked 0\$"
run "$mpmcq" -q test.wait wait -r
result 'wait: ready' 0 ''
ok 'wait: and the message is there' shows test.wait depth 1
hold test.wait
run "$mpmcq" -q test.wait wait -d -t 0.2
error 'wait: a message that is held' 3 ": depth 0, leased 1, parked 0\$"
let_go
run "$mpmcq" -q test.wait wait -d -t 0.2
error 'wait: it is back' 3 ": depth 1, leased 0, parked 0\$"
"$mpmcq" -q test.wait wait --drained &
pid=$!
sleep 0.5
"$mpmcq" -q test.wait receive >"$tmp/out"
ok 'wait: ends when it is taken' ended 0 $pid
"$mpmcq" -q test.wait wait --ready &
pid=$!
sleep 0.5
run "$mpmcq" top --once --delay 0.1 --filter test.wait
ok 'wait: a waiting process is no reader' row test.wait '$(NF - 2) == 0'
"$mpmcq" -q test.wait send x
ok 'wait: ends when one is sent' ended 0 $pid
"$mpmcq" -q test.wait wait --closed &
pid=$!
"$mpmcq" -q test.wait close
ok 'wait: ends when the queue is closed' ended 0 $pid
run "$mpmcq" -q test.wait wait --ready
result 'wait: ready, though closed' 0 ''
"$mpmcq" -q test.wait receive >"$tmp/out"
run "$mpmcq" -q test.wait wait --ready
error 'wait: never ready again' 1 "^mpmcq: $mount/test.wait is closed and empty\$"
run_as_nobody "$mpmcq" -q test.wait wait --drained
error 'wait: without permission' 1 'Permission denied for reading'

# --- delays: wait, close --due

"$mpmcq" create --delay --capacity 4 --msg-size 64 test.due
send_delayed test.due delayed
run "$mpmcq" -q test.due wait --drained --timeout 0.2
error 'wait: a parked message' 3 ": depth 0, leased 0, parked 1\$"
run "$mpmcq" -q test.due close
result 'close: with a parked message' 0 ''
run "$mpmcq" -q test.due receive --nonblock
ok 'close: it waits for its delay' came 3
run "$mpmcq" -q test.due close --due
result 'close --due' 0 ''
run "$mpmcq" -q test.due receive --nonblock
result 'close --due: it is ready' 0 "delayed$nl"
run "$mpmcq" -q test.due reopen
send_delayed test.due delayed
run "$mpmcq" -q test.due receive --nonblock
ok 'reopen: there are delays again' came 3

# --- save, restore

"$mpmcq" create test.save
"$mpmcq" -q test.save send a b c
run "$mpmcq" -q test.save save "$tmp/saved"
result 'save' 0 "messages saved: 3${nl}$mount/test.save is closed, and has the messages still$nl"
ok 'save: the messages are there' shows test.save depth 3
ok 'save: the queue is closed' shows test.save closed yes
ok 'save: nobody else may read the file' [ "$(stat -c %a "$tmp/saved")" = 600 ]
run "$mpmcq" restore "$tmp/saved" test.save
error 'restore: there is such a queue' 1 'there is a queue of this name (to lose it: mpmcq destroy '
run "$mpmcq" restore "$tmp/saved" test.restored
result 'restore' 0 "messages restored: 3$nl"
run "$mpmcq" -q test.restored receive --all
result 'restore: the messages' 0 "a${nl}b${nl}c$nl"
run "$mpmcq" -q test.save reopen
run "$mpmcq" -q test.save save --keep-open "$tmp/saved"
result 'save --keep-open' 0 "messages saved: 3$nl"
run "$mpmcq" -q test.save send d
result 'save --keep-open: the queue is open' 0 ''
"$mpmcq" -q test.save close
run "$mpmcq" -q test.save save --keep-open "$tmp/saved"
ok 'save --keep-open: not if it was closed' shows test.save closed yes
"$mpmcq" -q test.save reopen

hold test.save
rm "$tmp/saved"
run "$mpmcq" -q test.save save --timeout 0.2 "$tmp/saved"
error 'save: a message that is held' 3 "cannot save $mount/test.save: readers hold 1 messages (stop them"
ok 'save: the queue is open again' shows test.save closed no
ok 'save: there is no file' [ ! -e "$tmp/saved" ]
"$mpmcq" -q test.save save "$tmp/saved" 2>"$tmp/err" &
pid=$!
ok 'save: waits, and has closed the queue' until_true shows test.save closed yes
kill -TERM $pid
ok 'save: ends by SIGTERM' ended 143 $pid
ok 'save: the queue is open once more' shows test.save closed no
let_go
run "$mpmcq" -q test.save save "$tmp/none/saved"
error 'save: no such folder' 1 "to $tmp/none/saved: No such file or directory\$"
ok 'save: the queue stays open' shows test.save closed no
run "$mpmcq" -q test.save save /dev/null
error 'save: a device' 1 'to /dev/null: it is there, and is no regular file$'
ok 'save: a device stays one' [ -c /dev/null ]
ok 'save: a device: the queue stays open' shows test.save closed no
run "$mpmcq" save "$tmp/saved"
result 'save: the default queue, which is empty' 0 "messages saved: 0$nl/dev/mpmcq is closed$nl"
run "$mpmcq" reopen

echo junk >"$tmp/junk"
run "$mpmcq" restore "$tmp/junk" test.junk
error 'restore: another file' 1 'the file is not whole, or was not written by mpmcq save$'
ok 'restore: no queue is left' [ ! -e $mount/test.junk ]
mkfifo "$tmp/fifo"
run "$mpmcq" restore "$tmp/fifo" test.junk
error 'restore: a fifo' 1 'is no regular file'
run "$mpmcq" restore "$tmp/none" test.junk
error 'restore: no file' 1 "^mpmcq: cannot open $tmp/none: No such file or directory\$"
run "$mpmcq" restore "$tmp/saved" "$tmp/test.junk"
error 'restore: elsewhere' 1 "$tmp is not a mounted mpmcqfs\$"
run_as_nobody "$mpmcq" restore "$tmp/saved" test.junk
error "restore: somebody else's file" 1 "^mpmcq: cannot open $tmp/saved: Permission denied\$"
chmod 644 "$tmp/saved"
mode=$(stat -c %a $mount)
chmod 755 $mount
run_as_nobody "$mpmcq" restore "$tmp/saved" test.junk
error 'restore: without permission' 1 "Permission denied for the directory $mount\$"
chmod "$mode" $mount

# --- top: tables

"$mpmcq" create --capacity 4 --auto-close test.top
"$mpmcq" create --capacity 4 test.half
"$mpmcq" -q test.half send 1 2
"$mpmcq" create "test.od${nl}d"
chmod 600 $mount/test.half
run "$mpmcq" top --once --delay 0.1
ok 'top: status' came 0
ok 'top: a row for each queue' [ "$(wc -l <"$tmp/out")" -eq "$(($(find $mount -mindepth 1 -printf x | wc -c) + 2))" ]
ok 'top: depth and bar' has '^test.half  *2 \[####    \]  *0  *0 '
ok 'top: the default queue' has '^/dev/mpmcq  *0 \[        \] '
ok 'top: a name with a newline' has '^test\.od\\x0ad '
ok 'top: a queue with auto-close is open' row test.top '$NF == "open"'
ok 'top: the fullest first' [ "$(sed -n '2s/ .*//p' "$tmp/out")" = test.save ]
run "$mpmcq" top -1 -d 0.1 -s name -F test.h
ok 'top --filter' [ "$(cut -d ' ' -f 1 "$tmp/out" | paste -sd ' ')" = 'QUEUE test.half' ]
run "$mpmcq" top -1 -d 0.1 -s name
ok 'top --sort name' [ "$(sed 1d "$tmp/out" | cut -d ' ' -f 1)" = "$(sed 1d "$tmp/out" | cut -d ' ' -f 1 | LC_ALL=C sort)" ]
"$mpmcq" create "test.${nl}escaped"
run "$mpmcq" top -1 -d 0.1
ok 'top: a newline in a name' has '^test\.\\x0aescaped  *0 '
"$mpmcq" destroy "test.${nl}escaped"
run_as_nobody "$mpmcq" top -1 -d 0.1
ok 'top: as nobody: status' came 0
ok 'top: as nobody: a queue that may not be opened' has '^test.half  *cannot open: Permission denied$'
"$mpmcq" create --drop-oldest test.rate
# Many a round, as a round takes a second on a slow machine.
(
	exec 3>$mount/test.rate
	while :; do
		for i in 1 2 3 4 5 6 7 8 9 10; do echo "$i" >&3; done
		"$mpmcq" -q test.rate receive --count 10 --nonblock || :
	done
) >"$tmp/rest" 2>&1 &
sender=$!
run "$mpmcq" top -1 -d 2 -F test.rate
ok 'top: rates' row test.rate '$(NF - 9) > 1 && $(NF - 8) > 1'
kill $sender
wait $sender 2>/dev/null || :
run sh -c '"$0" top --delay 0.1 --batch | head -n 1' "$mpmcq"
ok 'top: ends with the reader of its pipe' has '^QUEUE  *DEPTH '
run "$mpmcq" top --once "$tmp"
error 'top: no mpmcqfs' 1 "^mpmcq: cannot list queues: $tmp is not a mounted mpmcqfs\$"

mkdir "$other"
mount -t mpmcqfs -o max=20000,size=512m mpmcqfs "$other"
"$mpmcq" top --batch --delay 0.1 "$other" >"$tmp/tables" 2>"$tmp/err" &
pid=$!
ok 'top: tables, one after the other' until_true sh -c '[ "$(grep -c ^QUEUE "$1")" -ge 3 ]' sh "$tmp/tables"
ok 'top: does not keep the mount busy' until_true umount "$other"
ok 'top: ends with the mount' ended 1 $pid
ok 'top: and says so' said "$other is not a mounted mpmcqfs\$"
mount -t mpmcqfs -o max=20000,size=512m mpmcqfs "$other"
many_queues "$other" 10000 4 | "$mpmcq" create --file -
run sh -c 'ulimit -n 1024 && exec "$0" top --once --delay 0.1 "$1"' "$mpmcq" "$other"
ok 'top: 10,000 queues and 1024 descriptors' [ "$(grep -c '^queue-[0-9].* open$' "$tmp/out")" -eq 10000 ]
umount "$other"

# --- top: on a terminal

# on_terminal SIZE ARGUMENT...: as run(), with the steps on standard input
on_terminal() {
	run "$here/test-terminal" "$1" "$mpmcq" top "${@:2}"
}

mount -t mpmcqfs mpmcqfs "$other"
many_queues "$other" 100 4 | "$mpmcq" create --file -
"$mpmcq" -q "$other/queue-42" send 1 2
on_terminal 24x120 "$other" <<-EOF
	see mpmcq top: 100 queues, 100 shown, by depth, every 1 s
	first queue-42
	see [####    ]
	type n
	see by name
	first queue-0
	type n
	see by name reversed
	first queue-99
	type \x1bB
	type /
	see Filter (Enter, Esc):
	type ue-42x\x7f\n
	see 1 shown
	first queue-42
	type /
	type \x15-7
	see 11 shown
	type \x1b
	see 100 shown
	resize 10x60
	see OLDEST
	gone STATE
	resize 40x120
	see STATE
	type q
	end 0
EOF
ok 'top: sorts, filters, gets another size, quits' came 0
for signal in 1:HUP 2:INT 3:QUIT 15:TERM; do
	on_terminal 24x80 --delay 0.2 "$other" <<-EOF
		see 100 queues
		signal ${signal#*:}
		end -${signal%:*}
	EOF
	ok "top: SIG${signal#*:} ends it, and the terminal is as it was" came 0
done
on_terminal 3x8 "$other" <<-EOF
	see mpmcq
	resize 1x1
	resize 24x80
	see queue-42
	type q
	end 0
EOF
ok 'top: a tiny terminal' came 0
run "$here/test-terminal" --patience 1 24x120 "$mpmcq" top "$other" <<<'see 101 queues'
ok 'control: a step that fails' came 1
on_terminal 24x120 "$other" <<-EOF
	see 100 queues
	cpu 5 10
	type q
	end 0
EOF
# A processor that is not busy otherwise spends less than 2 % on it: here it may be.
ok 'top: 100 queues take a small part of a processor' came 0
grep '^# .* of a processor' "$tmp/out" || :
sed -n 's/^# /# top: /p' "$tmp/out"
run env TERM=none script -qec "'$mpmcq' top" /dev/null
ok 'top: an unknown terminal' has "unknown terminal 'none' (set TERM, or use: mpmcq top --batch)"
umount "$other"

# --- doctor: this machine

run "$mpmcq" doctor
ok 'doctor: status' came 0
ok 'doctor: all is well' has '^All is well\.$'
ok 'doctor: the module' has "^ok    loaded     version $(cat /sys/module/mpmcq/version)\$"
ok 'doctor: features' has '^ok    features   libmpmcq .*, module mpmcq '
ok 'doctor: a message' has '^ok    message '
run_as_nobody "$mpmcq" doctor
ok 'doctor: as nobody: status' came 1
ok 'doctor: as nobody' has '^WRONG access     nobody may not read and write /dev/mpmcq (owner root'
ok 'doctor: as nobody: the next command' has '^Next: sudo '

# --- doctor: other machines

kernel=6.1.0-9-test

# A machine where all is well.
make_machine() {
	rm -rf "$machine"
	mkdir -p "$machine"/{dev/mpmcqfs,etc,proc/sys/kernel,sys/kernel/security,sys/module/mpmcq} \
		"$machine/lib/modules/$kernel"/{build,updates}
	echo $kernel >"$machine/proc/sys/kernel/osrelease"
	echo 'mpmcqfs /dev/mpmcqfs mpmcqfs rw,nosuid,noexec 0 0' >"$machine/proc/mounts"
	echo 0.2.0 >"$machine/sys/module/mpmcq/version"
	echo '[none] integrity confidentiality' >"$machine/sys/kernel/security/lockdown"
	echo 'mpmcq:x:990:' >"$machine/etc/group"
	printf 'ID=debian\nVERSION_ID="12"\n' >"$machine/etc/os-release"
	echo 'updates/mpmcq.ko:' >"$machine/lib/modules/$kernel/modules.dep"
	cp "$here/../../build/$(uname -r)/mpmcq.ko" "$machine/lib/modules/$kernel/updates/"
	touch "$machine/lib/modules/$kernel/build/Makefile"
	mknod -m 666 "$machine/dev/mpmcq" c 1 3
	chmod 777 "$machine/dev/mpmcqfs"
}

# finds NAME FAULT NEXT: what doctor calls wrong, and its next command
finds() {
	run "$mpmcq" doctor --root "$machine"
	ok "doctor: $1: status" came 1
	ok "doctor: $1: says so" has "^WRONG $2"
	ok "doctor: $1: the next command" [ "$(tail -n 1 "$tmp/out")" = "Next: $3" ]
}

# Secure Boot is on, and the module not loaded yet.
make_secure() {
	make_machine
	rm -r "$machine/sys/module/mpmcq" "$machine/sys/kernel/security/lockdown"
	mkdir -p "$machine/sys/firmware/efi/efivars" "$machine/var/lib/dkms"
	printf '\6\0\0\0\1' >"$machine/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
}

make_machine
run "$mpmcq" doctor --root "$machine"
ok 'doctor: a machine where all is well: status' came 0
ok 'doctor: a machine where all is well' has '^All is well\.$'
ok 'doctor: the file of the module' has \
	"^ok    installed  /lib/modules/$kernel/updates/mpmcq.ko, version $(modinfo -F version \
		"$machine/lib/modules/$kernel/updates/mpmcq.ko")\$"
ok 'doctor: sends no message there' not has message

rm -r "$machine/sys/module/mpmcq"
finds 'not loaded' 'loaded     no$' 'modprobe mpmcq'
rm "$machine/lib/modules/$kernel/modules.dep"
finds 'not installed' "installed  no module for kernel $kernel\$" \
	'make && make install  # in the source of mpmcq'
dkms=$machine/var/lib/dkms/mpmcq/0.2.0
mkdir -p "$dkms/build"
finds 'not built by DKMS' "DKMS       has mpmcq 0.2.0, but not for kernel $kernel\$" \
	"dkms install mpmcq/0.2.0 -k $kernel"
printf 'DKMS make.log for mpmcq-0.2.0 for kernel %s (x86_64)\n%s\n%s\n' 6.9.0-other start \
	'kmod/file.c:1:2: error: other' >"$dkms/build/make.log"
finds 'a log for another kernel' "DKMS       has mpmcq 0.2.0, but not for kernel $kernel\$" \
	"dkms install mpmcq/0.2.0 -k $kernel"
printf 'DKMS make.log for mpmcq-0.2.0 for kernel %s (x86_64)\n%s\n%s\n' $kernel \
	'kmod/file.c:1:2: error: first' 'kmod/file.c:1:2: error: second' >"$dkms/build/make.log"
finds 'DKMS has failed' "DKMS       .*make.log: kmod/file.c:1:2: error: first\$" \
	'less /var/lib/dkms/mpmcq/0.2.0/build/make.log'
mkdir -p "$dkms/$kernel/x86_64/log"
mv "$dkms/build/make.log" "$dkms/$kernel/x86_64/log/"
finds 'DKMS has failed, and cleaned up' "DKMS       .*make.log: kmod/file.c:1:2: error: first\$" \
	"less /var/lib/dkms/mpmcq/0.2.0/$kernel/x86_64/log/make.log"
rm -r "$machine/lib/modules/$kernel/build"
finds 'no headers' "headers    none in /lib/modules/$kernel/build\$" \
	"apt-get install linux-headers-$kernel"
printf 'ID=rocky\nID_LIKE="rhel centos fedora"\n' >"$machine/etc/os-release"
finds 'no headers elsewhere' 'headers ' "dnf install kernel-devel-$kernel"

make_secure
finds 'Secure Boot, no signature' 'signature  none' \
	"dkms install --force mpmcq/$(cat /sys/module/mpmcq/version) -k $kernel"
ok 'doctor: Secure Boot: says so' has 'Secure Boot on, lockdown not known: signed modules only$'
# A signature that modinfo tells of.
printf '#!/bin/sh\n[ "$2" = signer ] && echo "DKMS module signing key"\n' >"$tmp/modinfo"
chmod 755 "$tmp/modinfo"
for key in /var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der; do
	make_secure
	mkdir -p "$machine/$(dirname $key)"
	printf '0\202\377\377DKMS module signing key\0\377' >"$machine$key"
	PATH=$tmp:$PATH finds "Secure Boot, $key is not enrolled" 'signature  by DKMS module' \
		"mokutil --import $key  # then reboot and choose Enroll MOK"
	{
		printf '\6\0\0\0list'
		cat "$machine$key"
	} >"$machine/sys/firmware/efi/efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23"
	PATH=$tmp:$PATH finds "Secure Boot, $key is enrolled" 'loaded ' 'modprobe mpmcq'
done
make_machine
rm -r "$machine/sys/module/mpmcq"
echo 'none [integrity] confidentiality' >"$machine/sys/kernel/security/lockdown"
finds 'lockdown' 'signature  none' \
	"dkms install --force mpmcq/$(cat /sys/module/mpmcq/version) -k $kernel"

make_machine
: >"$machine/proc/mounts"
finds 'not mounted' 'mount      no mpmcqfs at /dev/mpmcqfs$' \
	'mkdir -p /dev/mpmcqfs && mount -t mpmcqfs -o mode=1775,gid=mpmcq,nosuid,noexec mpmcqfs /dev/mpmcqfs'
mkdir -p "$machine/run/systemd/system" "$machine/usr/local/lib/systemd/system"
touch "$machine/usr/local/lib/systemd/system/dev-mpmcqfs.mount"
finds 'not mounted, with systemd' 'mount ' 'systemctl enable --now dev-mpmcqfs.mount'
echo 'mpmcqfs /dev/mpmcqfs mpmcqfs rw,nosuid,nodev 0 0' >"$machine/proc/mounts"
finds 'mounted with nodev' 'mount ' 'mount -o remount,dev /dev/mpmcqfs'
echo 'tmpfs /dev/mpmcqfs tmpfs rw 0 0' >>"$machine/proc/mounts"
finds 'something else is mounted' 'mount      /dev/mpmcqfs is a tmpfs$' 'umount /dev/mpmcqfs'
make_machine
rm "$machine/dev/mpmcq"
echo hello >"$machine/dev/mpmcq"
finds 'a file in the place of the default queue' 'access     /dev/mpmcq is a file' \
	"sh -c 'rm /dev/mpmcq && modprobe -r mpmcq && modprobe mpmcq'"
make_machine
rm "$machine/etc/group"
run "$mpmcq" doctor --root "$machine"
ok 'doctor: no group, as root' came 0

# As finds(), for an ordinary user.
nobody_finds() {
	run_as_nobody "$mpmcq" doctor --root "$machine"
	ok "doctor: $1: status" came 1
	ok "doctor: $1: the next command" [ "$(tail -n 1 "$tmp/out")" = "Next: $2" ]
}

make_machine
chmod 770 "$machine/dev/mpmcqfs"
nobody_finds 'no member' 'sudo usermod -aG mpmcq nobody, then log in again'
echo 'mpmcq:x:990:somebody,nobody' >"$machine/etc/group"
nobody_finds 'a member since' 'newgrp mpmcq, or log in again'
: >"$machine/etc/group"
nobody_finds 'no group' 'sudo groupadd --system mpmcq'
run "$mpmcq" doctor --root "$tmp/none"
error 'doctor: no machine' 1 "^mpmcq: $tmp/none: No such file or directory\$"
run "$mpmcq" doctor --root "$tmp/saved"
error 'doctor: a file' 1 "^mpmcq: $tmp/saved: not a directory\$"

# --- bench

# left: whether there are processes of a bench
left() {
	pgrep -f "^$mpmcq .*bench" >/dev/null
}
has_child() {
	pgrep -P "$1" >/dev/null
}

run "$mpmcq" bench --time 0.2
ok 'bench: status' came 0
ok 'bench: rows' [ "$(grep -cE '^(single|packed) +[1-9][0-9]+ +[1-9][0-9]+ +[0-9]+\.[0-9]{2}$' "$tmp/out")" -eq 2 ]
"$mpmcq" create test.bench
run "$mpmcq" -q test.bench bench --json -t 0.2
ok 'bench --json: status' came 0
ok 'bench --json' python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
assert r["message_size"] == 64 and r["seconds"] == 0.2
for row in r["single"], r["packed"]:
    assert row["pipe"] > 100 and row["queue"] > 100
    assert abs(row["ratio"] - row["queue"] / row["pipe"]) < 0.01' "$tmp/out"
ok 'bench: the queue is empty' shows test.bench depth 0
ok 'bench: messages went through it' not shows test.bench sent 0
ok 'bench: no process is left' not left
"$mpmcq" -q test.bench bench --time 60 2>"$tmp/err" &
pid=$!
ok 'bench: the pipe, then the queue' until_true has_child $pid
kill -TERM $pid
ok 'bench: ends by SIGTERM' ended 143 $pid
ok 'bench: no process is left after it' not left
ok 'bench: and no message' shows test.bench depth 0
"$mpmcq" -q test.bench send mine
run "$mpmcq" -q test.bench bench
error 'bench: a queue that is not empty' 1 'is not empty'
ok 'bench: the message is there' shows test.bench depth 1
run "$mpmcq" -q test.bench receive
"$mpmcq" -q test.bench close
run "$mpmcq" -q test.bench bench
error 'bench: a closed queue' 1 'is closed (mpmcq -q test.bench reopen)$'
"$mpmcq" create --msg-size 32 test.short
run "$mpmcq" -q test.short bench
error 'bench: short messages' 1 'has shorter messages than 64 bytes$'
"$mpmcq" create --drop-oldest test.drop
run "$mpmcq" -q test.drop bench
error 'bench: a queue that drops' 1 'drops messages'
run "$mpmcq" -q test.top bench
ok 'bench: a queue with auto-close' came 1

# --- the names that the completion of bash offers

"$mpmcq" create 'test.a b'
"$mpmcq" create test.a:b
"$mpmcq" create test.c

# names LINE: what it offers at the end of LINE
names() {
	run env LC_ALL=C PATH="${mpmcq%/*}:$PATH" bash -c '
		. "$1"
		COMP_LINE=$2
		COMP_POINT=${#2}
		read -ra COMP_WORDS <<<"$(sed "s/[=:]/ & /g" <<<"$2")"
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_mpmcq mpmcq
		printf "%s\n" "${COMPREPLY[@]}"' bash "$here/completion/mpmcq" "$1"
}

names 'mpmcq -q test.c'
result 'completion: a name' 0 "test.c$nl"
names 'mpmcq destroy test.od'
result 'completion: a name with a newline' 0 "\$'test.od\\nd'$nl"
names 'mpmcq send --queue=test.c'
result 'completion: a name behind =' 0 "test.c$nl"
names 'mpmcq info -q test.a'
result 'completion: names with a space and a colon' 0 "test.a\\ b${nl}test.a:b$nl"
names 'mpmcq info -q test.a:'
result 'completion: behind the colon' 0 "b$nl"

# --- wrong usage

wrong_usage <<-EOF
	close --json
	wait
	wait --drained --ready
	wait --drained --nonblock
	wait --drained --timeout x
	wait --drained x
	save
	save --json x
	save x y
	save -
	restore
	restore x
	restore x y z
	restore - y
	restore --queue x y z
	top x y
	top --queue x
	top --delay 0
	top --sort DEPTH
	doctor x
	doctor --queue x
	doctor --root
	bench x
	bench --time 0
EOF

plan
