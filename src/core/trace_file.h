/*
 * The layout of trace files, for the library that writes them and the command that reads them. The order of
 * bytes is the machine's, which is little-endian on all that the library runs on.
 *
 * A file is a head, names, and a ring of records. The number of records ever written is stored after each
 * record, so a process that is killed while it writes one spoils the oldest record of a full ring, or none.
 */
#ifndef ASY_CORE_TRACE_FILE_H
#define ASY_CORE_TRACE_FILE_H

#include <stdint.h>

#define TRACE_MAGIC "asyncio trace\n\0"
#define TRACE_VERSION 1
#define TRACE_HEAD_BYTES 4096
#define TRACE_NAMES_BYTES 65536 /* a name is known by its place in there, 16 bits */
#define TRACE_NAME_READY 1      /* where "ready" stands: it left without a wait */
#define TRACE_RECORDS_MAX (UINT64_C(1) << 22)
#define TRACE_RING_OFFSET (TRACE_HEAD_BYTES + TRACE_NAMES_BYTES)

enum trace_clock { TRACE_TICKS, TRACE_MONOTONIC, TRACE_VIRTUAL };

/* The same moment by three clocks: that of the records, CLOCK_MONOTONIC and CLOCK_REALTIME. */
struct trace_moment {
    uint64_t time;
    int64_t monotonic_ns, wall_ns;
};

struct trace_head {
    char magic[16];
    uint32_t version, record_bytes;
    uint64_t count; /* of the ring's records: a power of two */
    uint32_t clock; /* enum trace_clock */
    int32_t pid, tid;
    uint32_t latest; /* which of the two below is whole */
    uint64_t loop;   /* its number */
    struct trace_moment begin, later[2];
    uint32_t names; /* bytes of names */
    uint32_t stopped;
    uint64_t index; /* of records ever written */
};

enum trace_kind {
    TRACE_NOTHING,
    TRACE_STEP,      /* a task runs, or where there is none a callback; the one before it has left */
    TRACE_LEFT,      /* the one before it has left, and the loop itself goes on */
    TRACE_POLL,      /* the loop polls; value: the deadline in ns */
    TRACE_POLLED,    /* other: tasks, value: entries that were ready before events came */
    TRACE_WAKE,      /* other: by which task; value: the outcome; for a name: enum trace_cause */
    TRACE_SPAWN,     /* other: by which task */
    TRACE_DONE,      /* value: the result */
    TRACE_NAME,      /* the task has a name of its own */
    TRACE_CANCEL,    /* a request for it; other: by which task */
    TRACE_MARK,      /* in the task, or where there is none in a callback */
    TRACE_OFFLOAD,   /* a thread began work for the task; name: its wait; other: the thread; value: when, by
                        CLOCK_MONOTONIC in ns. Written with the next one, when the work has come back. */
    TRACE_OFFLOADED, /* and has ended it */
    TRACE_SLOW,      /* debug mode: the step, or where there is no task the callback, took `value` ns */
    TRACE_KINDS_END,
};

enum trace_cause { TRACE_BY_TASK, TRACE_BY_TIMER, TRACE_BY_EVENT, TRACE_BY_CALLBACK, TRACE_CAUSES_END };

/* In `subject`: the kind from bit 56, a name from bit 40, and the number of a task, modulo 2^40. Of a step
 * the name is the coroutine's. In `other` of a record with which a task has left: its number, from bit 40 the
 * name of what it waits in, and TRACE_AWAITS_TASK if `value` is a task's number, not an address. */
#define TRACE_TASK_BITS 40
#define TRACE_TASK_MASK ((UINT64_C(1) << TRACE_TASK_BITS) - 1)
#define TRACE_KIND_SHIFT 56
#define TRACE_AWAITS_TASK (UINT64_C(1) << 56)

struct trace_record {
    uint64_t time, subject, other;
    int64_t value;
};

#endif
