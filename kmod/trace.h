/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints.  They name a queue by its number, because to copy a name would slow the hot path.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM mpmcq

#if !defined(_MPMCQ_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _MPMCQ_TRACE_H

#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(mpmcq_message,
	TP_PROTO(u32 queue, u32 len),
	TP_ARGS(queue, len),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->len = len;
	),
	TP_printk("queue=%u len=%u", __entry->queue, __entry->len)
);

/* A sender is about to publish or park a message. */
DEFINE_EVENT(mpmcq_message, mpmcq_send,
	TP_PROTO(u32 queue, u32 len),
	TP_ARGS(queue, len)
);

/* A reader has copied a message out. */
DEFINE_EVENT(mpmcq_message, mpmcq_receive,
	TP_PROTO(u32 queue, u32 len),
	TP_ARGS(queue, len)
);

/* A sender has dropped a message and takes its slot. */
DEFINE_EVENT(mpmcq_message, mpmcq_drop,
	TP_PROTO(u32 queue, u32 len),
	TP_ARGS(queue, len)
);

DECLARE_EVENT_CLASS(mpmcq_waiting,
	TP_PROTO(u32 queue, bool writer),
	TP_ARGS(queue, writer),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(bool, writer)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->writer = writer;
	),
	TP_printk("queue=%u %s", __entry->queue, __entry->writer ? "writer" : "reader")
);

/* A waiter has stopped spinning and is about to sleep. */
DEFINE_EVENT(mpmcq_waiting, mpmcq_block,
	TP_PROTO(u32 queue, bool writer),
	TP_ARGS(queue, writer)
);

/* A waker is about to wake the task that has slept longest. */
DEFINE_EVENT(mpmcq_waiting, mpmcq_wake,
	TP_PROTO(u32 queue, bool writer),
	TP_ARGS(queue, writer)
);

DECLARE_EVENT_CLASS(mpmcq_parking,
	TP_PROTO(u32 queue, u32 len, u32 delay_ms),
	TP_ARGS(queue, len, delay_ms),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, len)
		__field(u32, delay_ms)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->len = len;
		__entry->delay_ms = delay_ms;
	),
	TP_printk("queue=%u len=%u delay_ms=%u",
		  __entry->queue, __entry->len, __entry->delay_ms)
);

/* A message with a delay is about to be parked, after a send or for redelivery. */
DEFINE_EVENT(mpmcq_parking, mpmcq_park,
	TP_PROTO(u32 queue, u32 len, u32 delay_ms),
	TP_ARGS(queue, len, delay_ms)
);

/* A parked message is due and is about to be published. */
DEFINE_EVENT(mpmcq_message, mpmcq_due,
	TP_PROTO(u32 queue, u32 len),
	TP_ARGS(queue, len)
);

/* A held message is about to be sent to another queue. */
TRACE_EVENT(mpmcq_forward,
	TP_PROTO(u32 queue, u32 to, u32 len),
	TP_ARGS(queue, to, len),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, to)
		__field(u32, len)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->to = to;
		__entry->len = len;
	),
	TP_printk("queue=%u to=%u len=%u", __entry->queue, __entry->to, __entry->len)
);

/* A held message comes back. */
TRACE_EVENT(mpmcq_return,
	TP_PROTO(u32 queue, u32 len, u32 deliveries),
	TP_ARGS(queue, len, deliveries),
	TP_STRUCT__entry(
		__field(u32, queue)
		__field(u32, len)
		__field(u32, deliveries)
	),
	TP_fast_assign(
		__entry->queue = queue;
		__entry->len = len;
		__entry->deliveries = deliveries;
	),
	TP_printk("queue=%u len=%u deliveries=%u",
		  __entry->queue, __entry->len, __entry->deliveries)
);

#endif /* _MPMCQ_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
