#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Tests of mpmcq list, info, metrics, dump and create --file, against a loaded module. Prints TAP.
set -euo pipefail

# shellcheck source=userspace/tools/test-helpers.sh
. "$(dirname "$0")/test-helpers.sh"
parameters=/sys/module/mpmcq/parameters

begin "$@"
other=$tmp/other # another mpmcqfs
small=$tmp/small # a file system of 16 KiB
max_queues=$(cat $parameters/max_user_queues)
device_mode=$(stat -c %a $device)
# Where every user may run it.
install -m 755 "$mpmcq" "$tmp/mpmcq"
mpmcq=$tmp/mpmcq
chmod 755 "$tmp"
mkdir "$other" "$small"

clean_up() {
	find $mount -mindepth 1 -delete
	echo "$max_queues" >$parameters/max_user_queues
	chmod "$device_mode" $device
	for path in "$other" "$small"; do
		! mountpoint -q "$path" || umount "$path"
	done
	rm -rf "$tmp"
}

# python NAME CODE ARGUMENT...: a test that passes if CODE runs to its end
python() {
	local name=$1

	shift
	ok "$name" python3 -c "$@"
}

# queue_is NAME MEMBER VALUE...: what "info --json" says of a queue; VALUE is Python
queue_is() {
	"$mpmcq" -q "$1" info --json >"$tmp/info" &&
		python3 -c 'import json, sys
info = json.load(open(sys.argv[1]))
for name, value in zip(sys.argv[2::2], sys.argv[3::2]):
    assert info[name] == eval(value), (name, info[name])' "$tmp/info" "${@:2}"
}

# --- create: delays, retries, levels, stamps, leases from the start

"$mpmcq" create -c 8 -s 64 --retry-ms 100 --retry-max-ms 1000 --levels 3 --start-lease --stamp test.all
ok 'create: all of them' queue_is test.all capacity 8 msg_size 64 retry_ms 100 retry_max_ms 1000 \
	levels 3 flags "['delay', 'start-lease', 'stamp']"
"$mpmcq" create --delay test.delay
ok 'create --delay' queue_is test.delay flags "['delay']" retry_ms 0 retry_max_ms 0 levels 1
run "$mpmcq" create --retry-ms 100 --retry-max-ms 99 test.none
error 'create --retry-max-ms: too short' 1 ': retry-max-ms must not be less than retry-ms$'
run "$mpmcq" create --retry-max-ms 99 test.none
error 'create --retry-max-ms alone' 1 ': retry-max-ms goes with retry-ms$'
run "$mpmcq" create --exist-ok -c 8 -s 64 --retry-ms 100 --retry-max-ms 1000 --levels 3 --stamp test.all
result '--exist-ok: the same, but for the leases' 0 ''
run "$mpmcq" create --exist-ok -c 8 -s 64 --levels 2 --delay --auto-close test.all
error '--exist-ok: another' 1 ' with auto-close no instead of yes, stamp yes instead of no, retry-ms 100 '
ok '--exist-ok: another: says all' said 'instead of 0, retry-max-ms 1000 instead of 0, levels 3 instead of 2$'

# --- list, info: what there is to see, and no more

send_delayed test.delay later
"$mpmcq" -q test.all send one two
ok 'info: parked, not waiting' queue_is test.delay parked 1 depth 0 sent 1
run "$mpmcq" list
ok 'list: parked' has_row 'test.delay root root 0640 1024 1024 0 1 0 0 open delay'
python 'info: the age of the oldest' 'import json, sys, subprocess, time
def age():
    return json.loads(subprocess.check_output(sys.argv[1:]))["oldest_ns"]
first = age()
time.sleep(0.05)
assert age() - first >= 50000000 and first > 0' "$mpmcq" -q test.all info --json
ok 'info: leases from the start: it holds nothing' queue_is test.all leased 0 depth 2 received 0
dd if=$mount/test.delay of=/dev/null bs=64K count=1 status=none &
pid=$!
ok 'info: a reader that waits, and no other' \
	until_true queue_is test.delay readers_asleep 1 writers_asleep 0
run "$mpmcq" list --json
python 'list --json: a reader that waits, and no other' 'import json, sys
queues = {queue["name"]: queue for queue in json.load(open(sys.argv[1]))}
assert queues["test.delay"]["readers_asleep"] == 1
assert queues["test.all"]["levels"] == 3 and queues["test.all"]["retry_max_ms"] == 1000
assert len({queue["uuid"] for queue in queues.values()}) == len(queues) == 3' "$tmp/out"
kill $pid
wait $pid 2>/dev/null || :

# A look by somebody who writes, too, would close it.
"$mpmcq" create --auto-close test.auto
for command in list metrics dump "-q test.auto info"; do
	# shellcheck disable=SC2086 # several arguments
	run "$mpmcq" $command
	ok "$command: status" came 0
	ok "$command: is no writer" queue_is test.auto closed False depth 0
done

# --- names

"$mpmcq" create "line${nl}feed"
"$mpmcq" create $'escape\e[31m \\x41 "\x7f'
"$mpmcq" create $'n\xc3\xa4me \xff\xc2\x9b'
for locale in C C.UTF-8; do
	run env LC_ALL=$locale "$mpmcq" list
	ok "list: a newline is escaped: $locale" grep -q '^line\\x0afeed  *root ' "$tmp/out"
	ok "list: so is what a terminal obeys: $locale" \
		grep -q '^escape\\x1b\[31m \\x5cx41 "\\x7f  *root ' "$tmp/out"
	ok "list: UTF-8 is not, other bytes are: $locale" \
		grep -q $'^n\xc3\xa4me \\\\xff\\\\xc2\\\\x9b  *root ' "$tmp/out"
done
cp "$tmp/out" "$tmp/table"
run script -qec "stty cols 40; '$mpmcq' list" /dev/null </dev/null
ok 'list: the same on a narrow terminal' cmp "$tmp/table" <(tr -d '\r' <"$tmp/out")
run "$mpmcq" -q "line${nl}feed" info
ok 'info: the path keeps to its line' grep -qx "path:  *$mount/line\\\\x0afeed" "$tmp/out"
run "$mpmcq" list --json
python 'list --json: the very names' 'import json, os, sys
text = open(sys.argv[1], "rb").read()
assert not set(text) & {0x1b, 0x7f, 0xff, 0x9b}, text
names = {os.fsencode(queue["name"]) for queue in json.loads(text)}
assert {b"line\nfeed", b"escape\x1b[31m \\x41 \"\x7f", b"n\xc3\xa4me \xff\xc2\x9b"} < names, names' \
	"$tmp/out"
mount -t mpmcqfs mpmcqfs "$other"
run "$mpmcq" list --json "$other"
result 'list --json: no queues' 0 "[]$nl"

# --- metrics

# Reads the text of OpenMetrics, and fails where it is wrong.
cat >"$tmp/openmetrics.py" <<'EOF'
import re


def read(path):
    """The samples of each family, by the label "queue"."""
    text = open(path, encoding="utf-8", newline="\n").read()
    assert text.endswith("\n# EOF\n")
    families, name, meta = {}, None, {}
    for line in text.split("\n")[:-2]:
        comment = re.fullmatch(r"# (TYPE|UNIT|HELP) ([a-z_]+) (.+)", line)
        if comment:
            word, of, value = comment.groups()
            if word == "TYPE":
                assert of not in families and value in ("counter", "gauge"), line
                name, meta = of, {}
                families[name] = {}
            assert of == name and word not in meta and not families[name], line
            meta[word] = value
            assert word != "UNIT" or name.endswith("_" + value), line
            continue
        sample = re.fullmatch(r'([a-z_]+)\{queue="((?:[^"\\\n]|\\["\\n])*)"\} ([0-9.]+)', line)
        assert sample and {"TYPE", "HELP"} <= meta.keys(), line
        of, label, value = sample.groups()
        assert of == name + ("_total" if meta["TYPE"] == "counter" else ""), line
        label = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), label)
        assert label not in families[name], line
        families[name][label] = float(value)
    return families
EOF
run "$mpmcq" metrics
cp "$tmp/out" "$tmp/metrics"
PYTHONPATH=$tmp python 'metrics: OpenMetrics, with each queue' 'import openmetrics, sys
families = openmetrics.read(sys.argv[1])
queues = {"/dev/mpmcq", "test.all", "test.delay", "test.auto", "line\nfeed",
          "escape\x1b[31m \\x5cx41 \"\x7f", "n\u00e4me \\xff\u009b"}
assert families["mpmcq_readable"] == dict.fromkeys(queues, 1), families["mpmcq_readable"]
assert families["mpmcq_depth_messages"].keys() == queues
value = {name: samples.get("test.all") for name, samples in families.items()}
assert value["mpmcq_capacity_messages"] == 8 and value["mpmcq_max_message_bytes"] == 64
assert value["mpmcq_depth_messages"] == 2 and value["mpmcq_sent_messages"] == 2
assert 0 < value["mpmcq_oldest_message_age_seconds"] < 600
assert families["mpmcq_oldest_message_age_seconds"].keys() == {"test.all"}
assert families["mpmcq_parked_messages"]["test.delay"] == 1' "$tmp/metrics"
chmod 600 $device
run_as_nobody "$mpmcq" metrics
cp "$tmp/out" "$tmp/metrics"
ok 'metrics: as nobody: status' came 0
PYTHONPATH=$tmp python 'metrics: as nobody: what he may not read is there, without numbers' \
	'import openmetrics, sys
families = openmetrics.read(sys.argv[1])
assert families["mpmcq_readable"]["test.all"] == 0
assert families["mpmcq_readable"]["/dev/mpmcq"] == 1
assert families["mpmcq_sent_messages"].keys() == {"/dev/mpmcq"}' "$tmp/metrics"
chmod "$device_mode" $device

mount -t tmpfs -o size=16k tmpfs "$small"
run "$mpmcq" metrics -o "$small/mpmcq.prom" "$other"
result 'metrics --output' 0 ''
ok 'metrics --output: the file' cmp "$small/mpmcq.prom" <("$mpmcq" metrics "$other")
ok 'metrics --output: for all to read' is "$small/mpmcq.prom" root:root:644
cp "$small/mpmcq.prom" "$tmp/old"
"$mpmcq" create "$other/test.jobs"
exec 3<"$small/mpmcq.prom"
run "$mpmcq" metrics -o "$small/mpmcq.prom" "$other"
ok 'metrics --output: a reader keeps the old file' cmp "$tmp/old" - <&3
exec 3<&-
ok 'metrics --output: others get the new one, by the path of the queue' \
	grep -q "^mpmcq_readable{queue=\"$other/test.jobs\"} 1\$" "$small/mpmcq.prom"
cp "$small/mpmcq.prom" "$tmp/old"
head -c 8k /dev/zero >"$small/full"
run "$mpmcq" metrics -o "$small/mpmcq.prom"
error 'metrics --output: no room' 1 "cannot write $small/mpmcq.prom: No space left on device"
ok 'metrics --output: no room: the old file stays' cmp "$tmp/old" "$small/mpmcq.prom"
ok 'metrics --output: no room: and nothing else' [ "$(ls "$small")" = "full${nl}mpmcq.prom" ]
ln -s full "$small/link"
run "$mpmcq" metrics -o "$small/link"
error 'metrics --output: a link' 1 "cannot write $small/link: it is no regular file"
ok 'metrics --output: a link stays one' [ -L "$small/link" ]
run "$mpmcq" metrics -o /dev/stdout
ok 'metrics --output: a pipe stays one' [ -L /dev/stdout ]
run_hidden $mount "$mpmcq" metrics
error 'metrics: not mounted' 1 ': no mpmcqfs is mounted at '
ok 'metrics: not mounted: the default queue' grep -q '^mpmcq_readable{queue="/dev/mpmcq"} 1$' "$tmp/out"

# --- dump

run "$mpmcq" dump test.all
result 'dump' 0 "\
[test.all]
capacity = 8
msg-size = 64
mode = 0640
owner = root
group = root
drop-oldest = no
auto-close = no
delay = yes
start-lease = yes
stamp = yes
max-deliveries = 8
lease-ms = 0
retry-ms = 100
retry-max-ms = 1000
levels = 3

"
run "$mpmcq" dump $device test.none test.delay
error 'dump: two that cannot be: one is not there' 1 "^mpmcq: cannot dump $mount/test.none: no such queue"
ok 'dump: two that cannot be: the default queue' said "^mpmcq: cannot dump $device: the default queue "
ok 'dump: two that cannot be: the third is printed' grep -qx '\[test.delay\]' "$tmp/out"
"$mpmcq" create --owner nobody --group mail --mode 620 --drop-oldest --lease-ms 5 \
	--max-deliveries 0 test.mail
"$mpmcq" create --owner 4711 --group 4712 --mode 0 test.numbers
"$mpmcq" create ' ]blanks[ '
run "$mpmcq" dump
ok 'dump: all: status' came 0
cp "$tmp/out" "$tmp/dump"
ok 'dump: all: each in a section' [ "$(grep -c '^\[' "$tmp/dump")" -eq 9 ]
run_as_nobody "$mpmcq" dump
error 'dump: as nobody' 1 "^mpmcq: cannot dump $mount/test.all: Permission denied for reading "
ok 'dump: as nobody: his own is printed' grep -qx '\[test.mail\]' "$tmp/out"
stat -c '%n %U %G %a' $mount/* >"$tmp/files"
find $mount -mindepth 1 -delete
run "$mpmcq" create --file - <"$tmp/dump"
result 'create --file: what dump has printed' 0 ''
ok 'create --file: the same configurations' cmp "$tmp/dump" <("$mpmcq" dump)
ok 'create --file: the same owners, groups and modes' \
	cmp "$tmp/files" <(stat -c '%n %U %G %a' $mount/*)
"$mpmcq" -q test.delay send kept
run "$mpmcq" create -f "$tmp/dump"
result 'create --file: again' 0 ''
ok 'create --file: again: what is there stays' queue_is test.delay depth 1

# --- create --file

mkdir "$tmp/queues.d"
cat >"$tmp/queues.d/b.conf" <<-EOF
	# a comment
	 ; another

	[test.one]
	  capacity=16
	  drop-oldest = no

	[$other/test.two]
	mode = 600
EOF
printf '[test.crlf]\r\nmode = 606\r\n' >"$tmp/queues.d/a.conf"
printf '[test.ignored]\n' | tee "$tmp/queues.d/c.conf~" "$tmp/queues.d/.d.conf" >"$tmp/queues.d/e"
printf '[test.last]' >"$tmp/queues.d/f.conf"
run "$mpmcq" create --file "$tmp/queues.d"
result 'create --file: a folder' 0 ''
ok 'create --file: as the file says' queue_is test.one capacity 16 msg_size 1024 flags '[]' \
	max_deliveries 8
ok 'create --file: the mode that a queue has without a word' is $mount/test.one root:root:640
ok 'create --file: a path' is "$other/test.two" root:root:600
ok 'create --file: CR LF' is $mount/test.crlf root:root:606
ok 'create --file: a last line without a newline' [ -e $mount/test.last ]
ok 'create --file: only *.conf' [ ! -e $mount/test.ignored ]

# In the order of their names: the second finds a queue that is different.
printf '[test.last]\nlevels = 2\nretry-ms = 5\n' >"$tmp/queues.d/g.conf"
run "$mpmcq" create --file "$tmp/queues.d"
error 'create --file: a queue that is there, and different' 1 "^mpmcq: $tmp/queues.d/g.conf:1: \
cannot create $mount/test.last: there is a queue of this name with delay no instead of yes, \
retry-ms 0 instead of 5, levels 1 instead of 2\$"
ok 'create --file: that is all' lines_in "$tmp/err" 1

cat >"$tmp/wrong.conf" <<-'EOF'
	mode = 600
	[test.good]
	[test.odd]
	capacity = 3
	[test.bad]
	capacity = 0
	colour = blue
	mode = rw
	stamp = maybe
	owner = no.one
	group =
	nonsense
	[test.open
	[test\x0]
	[]
	[test.better]
	delay = yes
EOF
printf '[test.\0nul]\n[test.twice]\nmode = 600\nmode = 640\n' >>"$tmp/wrong.conf"
run "$mpmcq" create -f "$tmp/none.conf" "$tmp/wrong.conf"
ok 'create --file: errors: status' came 1
ok 'create --file: errors: each with its line' diff - "$tmp/err" <<-EOF
	mpmcq: cannot read $tmp/none.conf: No such file or directory
	mpmcq: $tmp/wrong.conf:1: a [NAME] has to come first
	mpmcq: $tmp/wrong.conf:3: cannot create $mount/test.odd: capacity must be a power of two
	mpmcq: $tmp/wrong.conf:6: capacity: not a number from 2 to 1048576: '0'
	mpmcq: $tmp/wrong.conf:7: no such setting: 'colour' (there are: capacity msg-size mode owner \
group drop-oldest auto-close delay start-lease stamp max-deliveries lease-ms retry-ms retry-max-ms levels)
	mpmcq: $tmp/wrong.conf:8: mode: not octal permissions: 'rw'
	mpmcq: $tmp/wrong.conf:9: stamp: neither yes nor no: 'maybe'
	mpmcq: $tmp/wrong.conf:10: owner: no such user: 'no.one'
	mpmcq: $tmp/wrong.conf:11: group: no such group: ''
	mpmcq: $tmp/wrong.conf:12: neither [NAME] nor SETTING = VALUE
	mpmcq: $tmp/wrong.conf:13: a ] is missing after the name of a queue
	mpmcq: $tmp/wrong.conf:14: \\x needs two hexadecimal digits, and not 00 (a backslash: \\x5c)
	mpmcq: $tmp/wrong.conf:15: cannot create $mount/: the name of a queue is empty
	mpmcq: $tmp/wrong.conf:18: a NUL byte
	mpmcq: $tmp/wrong.conf:21: mode is given twice for this queue
EOF
ok 'create --file: errors: the good ones are made' [ -e $mount/test.good ]
ok 'create --file: errors: the wrong ones are not' [ ! -e $mount/test.bad ]
ok 'create --file: errors: nor is one if the line after it cannot be read' [ ! -e $mount/test.better ]
printf '[test.eight]\nowner = nobody\ngroup = mail\nmode = 620\n' >"$tmp/handed.conf"
run "$mpmcq" create -f "$tmp/handed.conf"
ok 'create --file: owner, group and mode' is $mount/test.eight nobody:mail:620
rm -r "$tmp/queues.d"
mkdir "$tmp/queues.d"
run "$mpmcq" create -f "$tmp/queues.d"
result 'create --file: an empty folder' 0 ''
"$mpmcq" -q test.eight send '[test.message]'
for file in $mount/test.eight $device; do
	run "$mpmcq" create -f $file
	error "create --file: $file is a queue" 1 "^mpmcq: $file is a queue, whose messages "
done
run "$mpmcq" create -f - <$mount/test.eight
error 'create --file: standard input is a queue' 1 '^mpmcq: standard input is a queue, '
ok 'create --file: a queue keeps its message' shows test.eight depth 1

# --- many queues, few descriptors

many=10000
umount "$other"
mount -t mpmcqfs -o max=$many mpmcqfs "$other"
echo $((2 * many)) >$parameters/max_user_queues
many_queues "$other" $many 2 >"$tmp/many.conf"
# few COMMAND...: as run(), with 32 descriptors
few() {
	# shellcheck disable=SC2016 # for the shell that is run
	run sh -c 'ulimit -n 32 && exec "$@"' sh "$@"
}
few "$mpmcq" create -f "$tmp/many.conf"
result 'many queues: create --file' 0 ''
few "$mpmcq" list "$other"
ok 'many queues: list' [ "$(grep -c ' 2  *1  *0  *0  *0  *0 open  none$' "$tmp/out")" -eq $many ]
few "$mpmcq" list --json "$other"
python 'many queues: list --json' 'import json, sys
queues = json.load(open(sys.argv[1]))
assert len(queues) == int(sys.argv[2]) and all(queue["capacity"] == 2 for queue in queues)
assert [queue["name"] for queue in queues] == sorted(queue["name"] for queue in queues)' \
	"$tmp/out" $many
few "$mpmcq" metrics "$other"
ok 'many queues: metrics' [ "$(grep -c '^mpmcq_capacity_messages{.*} 2$' "$tmp/out")" -eq $many ]
umount "$other"

# --- wrong usage

wrong_usage <<-EOF
	list --raw
	info --raw
	metrics x y
	metrics --output
	metrics --json
	metrics --queue x
	dump --file x
	dump --queue x
	create -f
	create -f --capacity 2 x
	create --stamp -f x
	create --levels 0 test.name
	create --levels 5 test.name
	create --retry-ms -1 test.name
	create --retry-max-ms 4294967296 test.name
	create --delay=3 test.name
EOF

plan
