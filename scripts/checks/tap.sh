# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Sourced by scripts that print TAP: one line for each test, and the log of what
# failed.  They end with "plan".

status=0		# of the script
count=0			# of tests
scratch=$(mktemp -d)	# gone at the end
log=$scratch/log	# what the last command printed
trap 'rm -rf "$scratch"' EXIT

# report CODE NAME: passed if CODE is 0
report() {
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count - $2"
	else
		echo "not ok $count - $2"
		sed 's/^/# /' "$log" | tail -n 40
		status=1
	fi
}

# passes NAME COMMAND..., fails NAME COMMAND...
passes() {
	local name=$1

	shift
	"$@" >"$log" 2>&1
	report $? "$name"
}

fails() {
	local name=$1

	shift
	! "$@" >"$log" 2>&1
	report $? "$name"
}

# said NAME PATTERN, unsaid NAME PATTERN: what the last command printed
said() {
	grep -qE -- "$2" "$log"
	report $? "$1"
}

unsaid() {
	! grep -qE -- "$2" "$log"
	report $? "$1"
}

# The end: the plan, and the exit status.
plan() {
	echo "1..$count"
	exit $status
}
