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
[ "$(id -u)" -eq 0 ] || skip_all "only root may trace"
[ -e $tracefs/trace ] || mount -t tracefs tracefs $tracefs 2>/dev/null ||
	skip_all "the kernel has no tracefs"
cd $tracefs
grep -qw function_graph available_tracers || skip_all "the kernel has no function_graph"
[ "$(cat current_tracer)" = nop ] || skip_all "the tracer is in use"
echo "1..4"

# Interrupts are left out, and of the rest only the calls themselves are printed.
set_up()
{
	echo 0 >tracing_on
	echo mpmcq_read_iter >set_graph_function
	echo mpmcq_write_iter >>set_graph_function
	echo function_graph >current_tracer
	echo 0 | tee options/funcgraph-{irqs,cpu,duration,overhead} >/dev/null
}

# Back to what the kernel starts with.
restore()
{
	echo 1 | tee options/funcgraph-{irqs,cpu,duration,overhead} >/dev/null
	echo nop >current_tracer
	echo >set_graph_function
	echo >set_ftrace_pid
	echo 1 >tracing_on
	rm -rf "$work"
}

work=$(mktemp -d)
trap restore EXIT
set_up

# trace CALLS: has nolock_pair make them, and keeps what was called.
trace()
{
	echo >trace
	bash -c "echo \$\$ >set_ftrace_pid && exec $here/nolock_pair tracing_on $1" || return
	sed '/^#/d; /^$/d' trace >"$work/$1"
}

# The functions of trace $1 that were called by a write or a read, a line each.
# Those called by an interrupt are left out: the tracer shows what comes when an
# interrupt is over, which is softirqs, or another task.
functions()
{
	awk '
	{
		name = $1
		sub(/\(.*/, "", name)
		opens = /\{$/
	}
	name == "}" {
		depth -= depth > 0
		if (depth < outside)
			outside = 0
		next
	}
	{
		depth += opens
	}
	outside {
		next
	}
	depth == opens && name !~ /^mpmcq_(read|write)_iter$/ ||
	name ~ /^(do_softirq|__do_softirq|handle_softirqs)$/ ||
	name ~ /^_*irq_(enter|exit)_rcu$|^preempt_schedule_irq$/ ||
	name ~ /^(raw_)?irqentry_exit_cond_resched$/ {
		if (opens)
			outside = depth
		next
	}
	{
		print name
	}' "$work/$1"
}

lock='_*raw_(spin|read|write)_(try)?lock|(native_)?queued_(spin|read|write)_lock'
lock+='|_*mutex_(try)?lock|_*rt_(mutex|spin|read|write)_|_*down(_|$)|rwsem_|percpu_down_'
lock+='|_*(folio|page|sock)_lock|_*lock_(page|sock)'
wait='_*prepare_to_wait|_*(add|remove)_wait_queue|finish_wait|_*schedule|io_schedule|_*wait_for_'
wake='_*wake_up|try_to_wake_up'
alloc='_*kv?[mz]alloc|_*kv?calloc|_*krealloc|_*kmem_cache_alloc|_*v[mz]alloc|_*alloc_pages'
alloc+='|_*get_(free|zeroed)_page|_*pcpu_alloc'

# Those of them that take a lock, sleep, wake or allocate; separated by blanks.
offenders()
{
	functions "$1" | sort -u | sed -nE "/^($lock|$wait|$wake|$alloc)/p" | paste -sd' '
}

number=0
failed=0

# result STATUS NAME
result()
{
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		failed=1
	fi
}

for calls in pair wake sleep; do
	if ! trace $calls; then
		echo "# nolock_pair $calls: failed"
		failed=1
	fi
done

echo "# what was called by a write and a read:"
sed 's/^/# /' "$work/pair"

# A trace of nothing, or of less than both calls, would prove nothing.  Those whose
# name is followed by a brace called something.
status=0
for name in mpmcq_write_iter mpmcq_read_iter; do
	[ "$(functions pair | grep -cx $name)" = 1 ] || status=1
	grep -q "^$name.*{\$" "$work/pair" || status=1
done
result $status "the trace shows one write, one read, and what they call"

found=$(offenders pair)
[ -z "$found" ] || echo "# found: $found"
result ${#found} "no lock, no allocation, no sleep, no wake-up"

found=$(offenders wake)
echo "# found: $found"
status=0
grep -Eq "(^| )($lock)" <<<"$found" && grep -Eq "(^| )($wake)" <<<"$found" || status=1
result $status "control: a write that wakes a reader is found out"

found=$(offenders sleep)
echo "# found: $found"
status=0
grep -Eq "(^| )($lock)" <<<"$found" && grep -Eq "(^| )($wait)" <<<"$found" || status=1
result $status "control: a read that sleeps is found out"

exit $failed
