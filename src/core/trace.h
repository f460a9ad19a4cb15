/*
 * Traces: the records of what a loop does, in a file in memory (core/trace_file.h).
 *
 * A loop without a trace spends nothing on it. A loop with one takes one ready entry at a time, where it
 * takes a batch otherwise: so each passes asy_loop_goes_on, and that tells of it. The rest of the batch waits
 * in `stretch`, so that the order of things stays as it is.
 */
#ifndef ASY_CORE_TRACE_H
#define ASY_CORE_TRACE_H

#include "asyncio/trace.h"
#include "base/compiler.h"
#include "core/loop.h"
#include "core/trace_file.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whose names are known by their addresses: types of coroutines, kinds of waits, texts of marks. */
#define TRACE_KEYS 1024
struct trace_key {
    const void *key;
    uint32_t name;
};

struct trace {
    struct trace_record *records;
    struct trace_head *head; /* of the mapping */
    char *names;
    uint64_t mask;
    uint64_t index;        /* of records ever written */
    asyncio_task *running; /* whose step is the latest, if it has not left; or NULL */
    uint64_t began;        /* its number of steps before that one */
    enum trace_clock clock;
    bool is_in_poll; /* from its end until something runs */
    uint32_t names_end;
    uint32_t name_ready, name_eager; /* of the waits that are none */
    uint32_t key_count;
    uint64_t told_index; /* when the later moment was written */
    struct trace_key keys[TRACE_KEYS];
};

/* ---- trace_open.c: a trace's life ---- */
void asy_trace_from_environment(asyncio_loop *loop);
void asy_trace_end(asyncio_loop *loop);

/* ---- trace.c: its records. The loop has a trace. ---- */
/* The place of a name that is known by an address. 0: there is no more room. */
uint32_t asy_trace_intern(struct trace *trace, const void *key, const char *name);
/* A trace has begun: tells of what is there. */
void asy_trace_begun(asyncio_loop *loop);
/* Writes down how the clocks relate. */
void asy_trace_tell_time(asyncio_loop *loop);

/* The first ready entry is about to run. */
void asy_trace_next(asyncio_loop *loop);
/* asy_trace_queued, which asy_loop_task_queued calls, tells who was woken or made. */
void asy_trace_made(asyncio_loop *loop, const asyncio_task *task);
void asy_trace_done(asyncio_loop *loop, const asyncio_task *task);
void asy_trace_named(asyncio_loop *loop, const asyncio_task *task);
/* A mark whose words are made up. */
void asy_trace_note(asyncio_loop *loop, const char *words);
void asy_trace_cancelled(asyncio_loop *loop, const asyncio_task *task);
/* Debug mode: a step, or for NULL a callback, was slow. */
void asy_trace_slow(asyncio_loop *loop, const asyncio_task *task, int64_t took_ns);
/* Work that was done on another thread has come back. */
struct trace_work {
    const asyncio_task *task; /* that waits for it; NULL: none does any more */
    const char *name;         /* a static one */
    int tid;
    int64_t begin_ns, end_ns; /* CLOCK_MONOTONIC */
};
void asy_trace_work(asyncio_loop *loop, const struct trace_work *work);
/* Whether times by the system's clock belong into the trace: not under a virtual one. */
static inline bool asy_trace_has_real_time(const asyncio_loop *loop)
{
    return loop->is_traced && loop->trace->clock != TRACE_VIRTUAL;
}
void asy_trace_poll(asyncio_loop *loop, int64_t deadline_ns);
void asy_trace_polled(asyncio_loop *loop);
/* An eager start: the creator leaves for the new task, and comes back. */
void asy_trace_eager(asyncio_loop *loop, asyncio_task *from, asyncio_task *to);
void asy_trace_came_back(asyncio_loop *loop, asyncio_task *to);
/* The run ends. */
void asy_trace_left(asyncio_loop *loop);

#endif
