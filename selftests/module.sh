#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Loading and unloading: parameters good and bad, unloading while in use, also by a
# mount, what the log says; and the other programs again with the shortest queue and
# with the longest messages.
#
# MPMCQ_RELOAD=1 allows the test to unload and load the module, again and again, and to
# unmount /dev/mpmcqfs for it; in the end both are as they were.  MPMCQ_KO is the
# module's file; without it
# modprobe finds one.  MPMCQ_AGAIN=0 leaves out the other programs and loads less often, for
# kernels in which they take long.

set -euo pipefail

cd "$(dirname "$(realpath "$0")")"
sys=/sys/module/mpmcq
dev=/dev/mpmcq
mnt=/dev/mpmcqfs
tens=10
[ "${MPMCQ_AGAIN-1}" != 0 ] || tens=2
modprobe_conf=/run/modprobe.d/mpmcq-test.conf

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

echo "TAP version 13"
[ "${MPMCQ_RELOAD-}" = 1 ] || skip_all "MPMCQ_RELOAD=1 would allow me to reload the module"
[ "$(id -u)" -eq 0 ] || skip_all "only root may load modules"
[ -e $sys/refcnt ] || skip_all "the module is not loaded"
[ "$(cat /sys/class/mpmcq/mpmcq/depth)" = 0 ] || skip_all "the queue is in use"

# mounts: the mounts of mpmcqfs, as /proc has them
mounts()
{
	awk '$3 == "mpmcqfs"' /proc/mounts
}

# With what options $mnt is mounted; empty if it is not.
mount_options=$(mounts | awk -v at=$mnt '$2 == at { print $4; exit }')
[ "$(mounts | wc -l)" -eq "$([ -z "$mount_options" ]; echo $?)" ] ||
	skip_all "mpmcqfs is mounted elsewhere, too"
[ -z "$mount_options" ] || [ -z "$(ls $mnt)" ] || skip_all "there are queues in $mnt"

load()
{
	if [ -n "${MPMCQ_KO-}" ]; then
		insmod "$MPMCQ_KO" "$@"
	else
		modprobe mpmcq "$@"
	fi
}

mount_queues()
{
	mkdir -p $mnt
	mount -t mpmcqfs ${1:+-o "$1"} mpmcqfs $mnt
}

mounted()
{
	[ -n "$(mounts)" ]
}

unload()
{
	rmmod mpmcq
}

loaded()
{
	[ -e $sys ]
}

# gone: neither the module nor its device nor its filesystem is there
gone()
{
	if loaded || [ -e $dev ] || grep -qw mpmcqfs /proc/filesystems; then
		echo "# still there:" $sys* $dev* "$(grep -w mpmcqfs /proc/filesystems)"
		return 1
	fi
}

as_found=()
for parameter in capacity msg_size lease_ms; do
	as_found+=("$parameter=$(cat $sys/parameters/$parameter)")
done
restore()
{
	exec 3>&-
	if mounted; then
		umount $mnt
	fi
	if loaded; then
		unload
	fi
	load "${as_found[@]}"
	[ -z "$mount_options" ] || mount_queues "$mount_options"
}
trap restore EXIT

exec 4</dev/kmsg

# What the kernel has logged since the last time, from the first line on.
logged()
{
	# Ends with EAGAIN.
	dd iflag=nonblock bs=8k <&4 2>/dev/null | sed -n 's/^[0-9][^;]*;//p' || :
}

# The lines that the module brought about, but those that say it is not part of
# this kernel.
said()
{
	grep -E '^mpmcq:|\[mpmcq\]|vmalloc|Out of memory|oom-kill|allocation failure' |
		grep -vE '^mpmcq: .*(taints|tainting) kernel' || :
}

# quiet_so_far: since the system started, but for what loading and unloading say
quiet_so_far()
{
	quiet "$(logged | said |
		grep -vE 'must be|invalid for parameter|no memory for|messages discarded')"
}

number=0
failed=0

# check NAME CONDITION...: one test, passed if the command succeeds
check()
{
	local name=$1
	shift
	number=$((number + 1))
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		failed=1
	fi
}

# quiet LINES: nothing was said; shows it if there was
quiet()
{
	[ -z "$1" ] || sed 's/^/# log: /' <<<"$1"
	[ -z "$1" ]
}

# refused MESSAGE WORD PARAMETER...: loading fails with MESSAGE and leaves nothing
# behind but one line in the log, which has WORD in it.
refused()
{
	local message=$1 word=$2 errors lines
	shift 2
	logged >/dev/null
	if errors=$(load "$@" 2>&1); then
		unload
		return 1
	fi
	lines=$(logged | said)
	echo "# $errors"
	echo "# log: $lines"
	gone && grep -Eq "$message" <<<"$errors" &&
		[ "$(wc -l <<<"$lines")" -eq 1 ] && grep -q "$word" <<<"$lines"
}

invalid()
{
	refused 'Invalid (parameters|argument)' "${1%%=*}" "$1"
}

# said() would show what the kernel has to say when memory runs out.
no_memory()
{
	refused 'Cannot allocate memory' 'mpmcq: no memory' "$@"
}

# Prints parameters for a queue of nearly all of the memory there is.
nearly_all_memory()
{
	awk '/^MemTotal:/ {
		bytes = $2 * 1024 * 0.99
		for (capacity = 2; bytes / capacity > 65536; capacity *= 2)
			;
		printf "capacity=%d msg_size=%d\n", capacity, bytes / capacity - 40
	}' /proc/meminfo
}

# accepted PARAMETER...: the queue is there and as wanted, and can be unloaded
accepted()
{
	local parameter
	logged >/dev/null
	load "$@" || return
	[ -c $dev ] || return
	for parameter; do
		[ "$(cat "/sys/class/mpmcq/mpmcq/${parameter%%=*}")" = "${parameter#*=}" ] || return
	done
	send_one && receive_one || return
	unload && gone && quiet "$(logged | said)"
}

send_one()
{
	printf m >$dev
}

receive_one()
{
	[ "$(head -c 1 $dev)" = m ]
}

# in_use: a file is open, so the module stays and works on
in_use()
{
	exec 3<>$dev
	held && send_one && receive_one
}

no_longer_in_use()
{
	exec 3>&-
	unload && gone
}

# With unread messages it goes, and says so.
unread()
{
	load
	send_one && send_one && send_one
	logged >/dev/null
	unload || return
	[ "$(logged | said)" = "mpmcq: 3 unread messages discarded" ]
}

# held: rmmod fails, as the module is in use
held()
{
	local errors
	if errors=$(unload 2>&1); then
		return 1
	fi
	echo "# $errors"
	grep -q 'in use' <<<"$errors"
}

# A mount holds it, also an empty one; what is in it is gone with the mount, and the log
# says nothing of that.
held_by_mount()
{
	load && mount_queues || return
	held || return
	./make_queue test-1 2 && ./make_queue test-2 0 || return
	[ -c $mnt/test-1 ] && [ -c $mnt/test-2 ] && held || return
	logged >/dev/null
	umount $mnt && unload && gone && quiet "$(logged | said)" && [ -z "$(ls $mnt)" ]
}

# An open file holds it when the mount is out of sight.
held_by_detached_mount()
{
	load && mount_queues && ./make_queue test-1 1 || return
	exec 3<>$mnt/test-1
	umount -l $mnt && ! mounted && held || return
	[ "$(head -c 5 <&3 | wc -c)" = 5 ] || return
	exec 3>&-
	logged >/dev/null
	unload && gone && quiet "$(logged | said)"
}

# So does a descriptor of the directory.
held_by_directory()
{
	load && mount_queues || return
	exec 3<$mnt
	umount -l $mnt && held || return
	exec 3>&-
	unload && gone
}

# The unread messages of the default queue are counted, whatever was mounted.
unread_beside_a_mount()
{
	load && mount_queues && ./make_queue test-1 7 && send_one && send_one || return
	umount $mnt || return
	logged >/dev/null
	unload || return
	[ "$(logged | said)" = "mpmcq: 2 unread messages discarded" ] && gone
}

# By this alias mount(2) finds the module.
has_alias()
{
	modinfo -F alias "${MPMCQ_KO:-mpmcq}" | grep -qx fs-mpmcqfs
}

# Tells modprobe how to load the filesystem, if it does not know.
tell_modprobe()
{
	modprobe -qn fs-mpmcqfs && return
	mkdir -p /run/modprobe.d
	echo "install fs-mpmcqfs insmod $(realpath "$MPMCQ_KO")" >$modprobe_conf
}

loaded_by_mount()
{
	local ret
	logged >/dev/null
	tell_modprobe || return
	mount_queues && [ -c $dev ] && ./make_queue test-1 1
	ret=$?
	rm -f $modprobe_conf
	[ $ret = 0 ] && umount $mnt && unload && gone && quiet "$(logged | said)"
}

mounted_again_and_again()
{
	local i
	logged >/dev/null
	for ((i = 1; i <= 3 * tens; i++)); do
		load && mount_queues "size=1m,max=$i" && ./make_queue "test-$i" 1 && umount $mnt &&
			unload || return
	done
	quiet "$(logged | said)"
}

# A queue that has no name holds it as long as there is a file of it.
private_in_use()
{
	load
	exec 3> >(./make_queue '' 1)
	until [ "$(cat $sys/refcnt)" != 0 ]; do
		sleep 0.1
	done
	held || return
	exec 3>&-
	until [ "$(cat $sys/refcnt)" = 0 ]; do
		sleep 0.1
	done
	logged >/dev/null
	unload && gone && quiet "$(logged | said)"
}

again_and_again()
{
	local i
	logged >/dev/null
	for ((i = 1; i <= 5 * tens; i++)); do
		load capacity=$((1 << i % 10 + 1)) && send_one && receive_one && unload || return
	done
	quiet "$(logged | said)"
}

# program NAME: runs it, and it has to pass whole and to leave the log quiet
program()
{
	local status=0
	logged >/dev/null
	"./$1" 2>&1 | sed 's/^/# /' || status=1
	quiet "$(logged | said)" || status=1
	return $status
}

# programs PARAMETERS NAME...
programs()
{
	local parameters=$1 name
	shift
	echo "# with $parameters"
	# shellcheck disable=SC2086 # several parameters
	check "loads with $parameters" load $parameters
	check "mounts" mount_queues mode=1775
	for name; do
		check "$name with $parameters" program "$name"
	done
	check "unmounts" umount $mnt
	check "unloads" unload
}

check "the log is quiet so far" quiet_so_far

if mounted; then
	check "$mnt is mounted: is not unloaded" held
	check "$mnt is unmounted" umount $mnt
fi
check "open: is not unloaded" in_use
check "closed: is unloaded" no_longer_in_use

for value in 0 1 3 2097152 4294967295 4294967298 -1 2x ''; do
	check "capacity=$value is refused" invalid "capacity=$value"
done
for value in 0 65537 4294967297 -1 abc; do
	check "msg_size=$value is refused" invalid "msg_size=$value"
done
for value in 2147483648 4294967296 -1 x ''; do
	check "lease_ms=$value is refused" invalid "lease_ms=$value"
done
for parameters in "capacity=2 msg_size=1" "capacity=2 msg_size=65536" \
	"capacity=1048576 msg_size=1" "capacity=4 msg_size=7" "lease_ms=1" "lease_ms=2147483647"; do
	# shellcheck disable=SC2086 # several parameters
	check "$parameters is accepted" accepted $parameters
done
check "much more than there is memory for is refused" \
	no_memory capacity=1048576 msg_size=65536
# shellcheck disable=SC2046 # several parameters
check "a little more than there is memory for is refused" no_memory $(nearly_all_memory)
check "and the module still loads" accepted "${as_found[@]}"

check "unread messages are counted" unread
check "those of the default queue, beside a mount" unread_beside_a_mount
check "a private queue: is not unloaded" private_in_use
check "a mount: is not unloaded" held_by_mount
check "a file of a detached mount: is not unloaded" held_by_detached_mount
check "a directory of a detached mount: is not unloaded" held_by_directory
check "says that it has the filesystem" has_alias
check "is loaded by mount" loaded_by_mount
check "loads and unloads $((5 * tens)) times" again_and_again
check "loads, mounts, unmounts and unloads $((3 * tens)) times" mounted_again_and_again

if [ "${MPMCQ_AGAIN-1}" != 0 ]; then
	export MPMCQ_STRESS_MESSAGES=1000 MPMCQ_FUZZ_CALLS=2000
	programs "capacity=2 msg_size=16" rw fault wait poll sigio uring files stress fuzz
	programs "capacity=4 msg_size=17" rw fault
	programs "capacity=64 msg_size=65536" rw fault uring stress fuzz
fi

echo "1..$number"
exit $failed
