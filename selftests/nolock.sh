#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A write and a read that need not wait take no lock, allocate nothing and neither
# sleep nor wake.  The kernel's function_graph tracer shows every function that is
# called below ours; the test looks for those that would.  The controls are calls
# that have to wake and to sleep: they must be found out.

set -euo pipefail

here=$(dirname "$(realpath "$0")")
tracefs=/sys/kernel/tracing

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

echo "TAP version 13"
[ -c /dev/mpmcq ] || skip_all "there is no /dev/mpmcq"
[ "$(cat /sys/class/mpmcq/mpmcq/depth)" = 0 ] || skip_all "the queue is in use"
[ "$(id -u)" -eq 0 ] || skip_all "only root may trace"
[ -e $tracefs/trace ] || mount -t tracefs tracefs $tracefs 2>/dev/null ||
	skip_all "the kernel has no tracefs"
cd $tracefs
grep -qw function_graph available_tracers || skip_all "the kernel has no function_graph"
[ "$(cat current_tracer)" = nop ] || skip_all "the tracer is in use"
echo "1..4"

# The tracer changes the text of the kernel, all of it.  An emulator that runs its
# processors side by side may hang in that, so there is one only.
one_processor()
{
	local file

	for file in /sys/devices/system/cpu/cpu[1-9]*/online; do
		if [ -e "$file" ] && [ "$(cat "$file")" = 1 ]; then
			echo 0 >"$file"
			unplugged+=("$file")
		fi
	done
}

# Back to what the kernel starts with.
restore()
{
	local file

	echo 1 | tee options/funcgraph-{irqs,cpu,duration,overhead} >/dev/null
	echo nop >current_tracer
	for file in ${unplugged[@]+"${unplugged[@]}"}; do
		echo 1 >"$file"
	done
	echo >set_graph_function
	echo >set_ftrace_pid
	rm -f "$trace"
}

# Traces nolock_calls below our functions, without interrupts, and keeps of each
# call its name and the braces around what it called.
trace_calls()
{
	echo mpmcq_file_read >set_graph_function
	echo mpmcq_file_write >>set_graph_function
	echo function_graph >current_tracer
	echo 0 | tee options/funcgraph-{irqs,cpu,duration,overhead} >/dev/null
	echo >trace
	echo 1 >tracing_on
	bash -c "echo \$\$ >set_ftrace_pid && exec $here/nolock_calls"
	sed '/^#/d; /^$/d' trace >"$trace"
}

unplugged=()
trace=$(mktemp)
trap restore EXIT
one_processor

# trace_of FIRST LAST: the trace of these calls, by number, and of what they called.
# Interrupts are left out: the tracer shows what comes when one is over, which is
# softirqs, or another task.
trace_of()
{
	awk -v first="$1" -v last="$2" '
	BEGIN {
		interrupt = "^(__do_softirq|do_softirq|handle_softirqs|preempt_schedule_irq" \
			"|_*irq_(enter|exit)_rcu|(raw_)?irqentry_exit_cond_resched)\\("
	}
	!depth && /^ *mpmcq_file_(read|write)[ (]/ {
		ours = ++call >= first && call <= last
	}
	!inside && $1 ~ interrupt {
		inside = depth + 1
	}
	ours && !inside
	/\{$/ {
		depth++
	}
	$1 == "}" && depth {
		depth--
	}
	depth < inside {
		inside = 0
	}
	!depth {
		ours = 0
	}' "$trace"
}

# A preemptible kernel may take the processor from a call of ours, and what the scheduler does then
# stands in its trace.  A call that sleeps is told by that each time.
for _ in {1..10}; do
	trace_calls
	trace_of 3 4 | grep rcu_note_context_switch >/dev/null || break
done

lock='_*raw_(spin|read|write)_(try)?lock|(native_)?queued_(spin|read|write)_lock'
lock+='|_*mutex_(try)?lock|_*rt_(mutex|spin|read|write)_|_*down[_(]|rwsem_|percpu_down_'
lock+='|_*(folio|page|sock)_lock|_*lock_(page|sock)'
wait='_*prepare_to_wait|_*(add|remove)_wait_queue|finish_wait|_*schedule|io_schedule|_*wait_for_'
wake='_*wake_up|try_to_wake_up'
alloc='_*kv?[mz]alloc|_*kv?calloc|_*krealloc|_*kmem_cache_alloc|_*v[mz]alloc|_*alloc_pages'
alloc+='|_*get_(free|zeroed)_page|_*pcpu_alloc'

# offenders KIND FIRST LAST: which functions of that kind these calls called
offenders()
{
	trace_of "$2" "$3" | sed -nE "s/^ *(($1)[^ (]*).*/\\1/p" | sort -u | paste -sd' '
}

number=0
failed=0

# check NAME COMMAND...: passed if the command succeeds
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

# A trace of nothing, or of less than the calls made, would prove nothing.  Those
# whose name is followed by a brace called something.
complete()
{
	local calls
	calls=$(trace_of 1 99 | sed -nE 's/^ *mpmcq_file_(read|write)[ (].*\{$/\1/p' | paste -sd' ')
	[ "$calls" = "write read write read write read" ]
}

none()
{
	local found
	found=$(offenders "$lock|$wait|$wake|$alloc" 3 4)
	[ -z "$found" ] || echo "# found: $found"
	[ -z "$found" ]
}

# found_out CALL KIND...: the call is found to do each of them
found_out()
{
	local call=$1 kind found
	shift
	for kind; do
		found=$(offenders "$kind" "$call" "$call")
		[ -n "$found" ] || return
		echo "# found: $found"
	done
}

echo "# what was called by a write and a read:"
trace_of 3 4 | sed 's/^/# /'

check "each call was traced, and what it called" complete
check "no lock, no allocation, no sleep, no wake-up" none
check "control: a write that wakes a reader is found out" found_out 5 "$lock" "$wake"
check "control: a read that sleeps is found out" found_out 6 "$lock" "$wait"
exit $failed
