/*
 * The records of a trace: one function for each thing that a loop does. See trace.h.
 */
#include "core/trace.h"
#include "asyncio/tasks.h"
#include "core/cancel.h"
#include "core/task.h"
#include "sys/sys.h"
#include "sys/ticks.h"
#include <string.h>

/* ---- Records --------------------------------------------------------------------- */

static NOINLINE uint64_t read_slow_clock(asyncio_loop *loop)
{
    return (uint64_t)(loop->trace->clock == TRACE_VIRTUAL ? asy_loop_now_ns(loop) : asy_sys_now_ns());
}

static inline uint64_t read_clock(asyncio_loop *loop)
{
    return LIKELY(loop->trace->clock == TRACE_TICKS) ? asy_sys_ticks() : read_slow_clock(loop);
}

static inline void write_record(struct trace *trace, uint64_t time, uint64_t subject, uint64_t other,
                                int64_t value)
{
    trace->records[trace->index & trace->mask] =
        (struct trace_record){.time = time, .subject = subject, .other = other, .value = value};
    /* Release: the record stands before it counts, also for a reader that finds the process killed. */
    __atomic_store_n(&trace->head->index, ++trace->index, __ATOMIC_RELEASE);
}

static inline uint64_t task_number(const asyncio_task *task)
{
    return task ? task->id & TRACE_TASK_MASK : 0;
}

static inline uint64_t subject_of(enum trace_kind kind, uint64_t name, const asyncio_task *task)
{
    return (uint64_t)kind << TRACE_KIND_SHIFT | name << TRACE_TASK_BITS | task_number(task);
}

/* ---- Names ----------------------------------------------------------------------- */

static uint32_t add_name(struct trace *trace, const char *name, uint32_t limit)
{
    for (uint32_t at = 1; at < trace->names_end; at += (uint32_t)strlen(trace->names + at) + 1)
        if (strcmp(trace->names + at, name) == 0)
            return at;
    size_t bytes = strlen(name) + 1;
    uint32_t place = trace->names_end;
    if (bytes > limit - place)
        return 0;
    memcpy(trace->names + place, name, bytes);
    trace->names_end = place + (uint32_t)bytes;
    __atomic_store_n(&trace->head->names, trace->names_end, __ATOMIC_RELEASE);
    return place;
}

static NOINLINE uint32_t learn_name(struct trace *trace, struct trace_key *free_key, const void *key,
                                    const char *name)
{
    if (trace->key_count >= TRACE_KEYS * 3 / 4)
        return 0;
    trace->key_count++;
    *free_key = (struct trace_key){.key = key, .name = add_name(trace, name, TRACE_NAMES_BYTES)};
    return free_key->name;
}

static inline size_t first_place(const void *key)
{
    return (size_t)((uintptr_t)key * UINT64_C(0x9e3779b97f4a7c15) >> 54);
}

/* 0: it is not known, or not in its first place. */
static inline uint64_t find_known_name(const struct trace *trace, const void *key)
{
    const struct trace_key *known = &trace->keys[first_place(key)];
    return LIKELY(known->key == key) ? known->name : 0;
}

static inline uint32_t find_name(struct trace *trace, const void *key, const char *const *name)
{
    size_t place = first_place(key);
    for (;; place++) {
        struct trace_key *known = &trace->keys[place % TRACE_KEYS];
        if (LIKELY(known->key == key))
            return known->name;
        if (!known->key)
            return learn_name(trace, known, key, *name);
    }
}

uint32_t asy_trace_intern(struct trace *trace, const void *key, const char *name)
{
    return find_name(trace, key, &name);
}

static inline uint32_t name_of_coroutine(struct trace *trace, const asyncio_task *task)
{
    return find_name(trace, task->type, &task->type->site.func);
}

/* ---- Who leaves ------------------------------------------------------------------ */

struct leaving {
    uint64_t other;
    int64_t value;
};

/* Under a virtual clock, addresses are left out: they differ from run to run. */
static struct leaving note_wait(struct trace *trace, const asyncio_task *task, const struct wait *wait)
{
    struct leaving leaving = {.other = task_number(task)};
    leaving.other |= (uint64_t)find_name(trace, wait->kind, &wait->kind->name) << TRACE_TASK_BITS;
    const asyncio_future *awaited = wait->object;
    if (wait->kind == &asy_wait_await && awaited->kind == OBJECT_TASK) {
        leaving.other |= TRACE_AWAITS_TASK;
        leaving.value = (int64_t)task_number((const asyncio_task *)awaited);
    } else if (trace->clock != TRACE_VIRTUAL) {
        leaving.value = (int64_t)(intptr_t)wait->object;
    }
    return leaving;
}

/* How the task whose step is the latest has left. */
static inline struct leaving leave_step(struct trace *trace)
{
    const asyncio_task *task = trace->running;
    trace->running = NULL;
    trace->is_in_poll = false;
    if (!task)
        return (struct leaving){0};
    if (UNLIKELY(task->wait != NULL))
        return note_wait(trace, task, task->wait);
    return (struct leaving){.other = task_number(task) | (uint64_t)trace->name_ready << TRACE_TASK_BITS};
}

static inline void write_leaving(asyncio_loop *loop, uint64_t subject)
{
    struct leaving leaving = leave_step(loop->trace);
    write_record(loop->trace, read_clock(loop), subject, leaving.other, leaving.value);
}

/* ---- Steps ------------------------------------------------------------------------- */

static inline void begin_step(struct trace *trace, asyncio_task *task)
{
    trace->running = task;
    trace->began = task->steps;
    task->flags |= TASK_TRACED;
}

/* Whatever is next. */
static NOINLINE void tell_next(asyncio_loop *loop)
{
    struct trace *trace = loop->trace;
    const struct ready *entry = loop->ready.first;
    if (UNLIKELY(entry->kind == READY_CALLBACK))
        write_leaving(loop, subject_of(TRACE_STEP, 0, NULL));
    if (UNLIKELY(entry->kind != READY_TASK))
        return;
    asyncio_task *task = LIST_ENTRY(entry, asyncio_task, ready);
    if (UNLIKELY(task == trace->running && task->steps == trace->began))
        return; /* it was told of, and has waited for another stack since */
    write_leaving(loop, subject_of(TRACE_STEP, name_of_coroutine(trace, task), task));
    begin_step(trace, task);
}

/* How a task has left, if the name of its wait is known: else false. NULL: nobody has. */
static inline bool leave_quickly(struct trace *trace, const asyncio_task *from, struct leaving *leaving)
{
    *leaving = (struct leaving){0};
    if (!from) {
        trace->is_in_poll = false;
        return true;
    }
    const struct wait *wait = from->wait;
    uint64_t why = wait ? find_known_name(trace, wait->kind) : trace->name_ready;
    leaving->other = task_number(from) | why << TRACE_TASK_BITS;
    leaving->value = wait ? (int64_t)(intptr_t)wait->object : 0;
    if (wait && wait->kind == &asy_wait_await &&
        ((const asyncio_future *)wait->object)->kind == OBJECT_TASK) {
        leaving->other |= TRACE_AWAITS_TASK;
        leaving->value = (int64_t)task_number(wait->object);
    }
    return why != 0;
}

/* To a task, with names that are known: without a call, so that it takes a few nanoseconds. */
HOT void asy_trace_next(asyncio_loop *loop)
{
    struct trace *trace = loop->trace;
    const struct ready *entry = loop->ready.first;
    asyncio_task *task = LIST_ENTRY(entry, asyncio_task, ready);
    struct leaving leaving;
    if (UNLIKELY(entry->kind != READY_TASK || trace->clock != TRACE_TICKS || task == trace->running)) {
        tell_next(loop);
        return;
    }
    uint64_t name = find_known_name(trace, task->type);
    if (UNLIKELY(!name || !leave_quickly(trace, trace->running, &leaving))) {
        tell_next(loop);
        return;
    }
    write_record(trace, asy_sys_ticks(), subject_of(TRACE_STEP, name, task), leaving.other, leaving.value);
    begin_step(trace, task);
}

void asy_trace_eager(asyncio_loop *loop, asyncio_task *from, asyncio_task *to)
{
    struct trace *trace = loop->trace;
    asy_trace_made(loop, to);
    write_record(trace, read_clock(loop), subject_of(TRACE_STEP, name_of_coroutine(trace, to), to),
                 task_number(from) | (uint64_t)trace->name_eager << TRACE_TASK_BITS, 0);
    begin_step(trace, to);
}

void asy_trace_came_back(asyncio_loop *loop, asyncio_task *to)
{
    struct trace *trace = loop->trace;
    write_leaving(loop, subject_of(TRACE_STEP, to ? name_of_coroutine(trace, to) : 0, to));
    if (to)
        begin_step(trace, to);
}

void asy_trace_left(asyncio_loop *loop)
{
    write_leaving(loop, subject_of(TRACE_LEFT, 0, NULL));
    asy_trace_tell_time(loop);
}

/* ---- Tasks ------------------------------------------------------------------------- */

static enum trace_cause find_cause(const asyncio_loop *loop)
{
    if (loop->trace->running)
        return TRACE_BY_TASK;
    if (loop->wake_kind == READY_RELAY)
        return TRACE_BY_TIMER;
    return loop->trace->is_in_poll ? TRACE_BY_EVENT : TRACE_BY_CALLBACK;
}

HOT void asy_trace_queued(asyncio_loop *loop, asyncio_task *task)
{
    if (UNLIKELY(asy_loop_is_parents(loop)))
        return;
    asy_loop_queued(loop);
    if (!loop->is_traced)
        return;
    struct trace *trace = loop->trace;
    if (!task->wait)
        asy_trace_made(loop, task);
    else
        write_record(trace, read_clock(loop), subject_of(TRACE_WAKE, find_cause(loop), task),
                     task_number(trace->running), task->wait->value);
}

/* Names that a program makes up may be many: they get half of the room, and the static ones always find
 * some. */
void asy_trace_named(asyncio_loop *loop, const asyncio_task *task)
{
    struct trace *trace = loop->trace;
    uint32_t limit = TRACE_NAMES_BYTES / 2;
    uint32_t name = trace->names_end < limit ? add_name(trace, task->name, limit) : 0;
    if (name)
        write_record(trace, read_clock(loop), subject_of(TRACE_NAME, name, task), 0, 0);
}

void asy_trace_note(asyncio_loop *loop, const char *words)
{
    struct trace *trace = loop->trace;
    uint32_t limit = TRACE_NAMES_BYTES / 2;
    uint32_t name = trace->names_end < limit ? add_name(trace, words, limit) : 0;
    if (name)
        write_record(trace, read_clock(loop), subject_of(TRACE_MARK, name, trace->running), 0, 0);
}

HOT void asy_trace_made(asyncio_loop *loop, const asyncio_task *task)
{
    struct trace *trace = loop->trace;
    write_record(trace, read_clock(loop), subject_of(TRACE_SPAWN, name_of_coroutine(trace, task), task),
                 task_number(trace->running), 0);
    if (UNLIKELY(task->name != NULL))
        asy_trace_named(loop, task);
}

HOT void asy_trace_done(asyncio_loop *loop, const asyncio_task *task)
{
    if (!loop->is_traced)
        return;
    struct trace *trace = loop->trace;
    int64_t result = trace->clock == TRACE_VIRTUAL && !asy_is_failure(task->future.result)
                         ? 0 /* it may be a pointer */
                         : (int64_t)task->future.result;
    write_record(trace, read_clock(loop), subject_of(TRACE_DONE, name_of_coroutine(trace, task), task), 0,
                 result);
    if (trace->running == task)
        trace->running = NULL;
}

void asy_trace_cancelled(asyncio_loop *loop, const asyncio_task *task)
{
    write_record(loop->trace, read_clock(loop), subject_of(TRACE_CANCEL, 0, task),
                 task_number(loop->trace->running), 0);
}

void asyncio_trace_mark(const char *text)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->is_traced || !text)
        return;
    struct trace *trace = loop->trace;
    write_record(trace, read_clock(loop),
                 subject_of(TRACE_MARK, find_name(trace, text, &text), loop->trace->running), 0, 0);
}

void asy_trace_slow(asyncio_loop *loop, const asyncio_task *task, int64_t took_ns)
{
    struct trace *trace = loop->trace;
    if (asy_trace_has_real_time(loop))
        write_record(trace, read_clock(loop),
                     subject_of(TRACE_SLOW, task ? name_of_coroutine(trace, task) : 0, task), 0, took_ns);
}

void asy_trace_work(asyncio_loop *loop, const struct trace_work *work)
{
    struct trace *trace = loop->trace;
    uint64_t name = find_name(trace, work->name, &work->name), now = read_clock(loop);
    write_record(trace, now, subject_of(TRACE_OFFLOAD, name, work->task), (uint64_t)work->tid,
                 work->begin_ns);
    write_record(trace, now, subject_of(TRACE_OFFLOADED, name, work->task), (uint64_t)work->tid,
                 work->end_ns);
}

/* ---- Polls -------------------------------------------------------------------------- */

void asy_trace_tell_time(asyncio_loop *loop)
{
    struct trace *trace = loop->trace;
    trace->told_index = trace->index;
    if (trace->clock == TRACE_VIRTUAL)
        return;
    struct trace_head *head = trace->head;
    uint32_t latest = 1 - head->latest;
    head->later[latest] = (struct trace_moment){read_clock(loop), asy_sys_now_ns(), asy_sys_wall_ns()};
    __atomic_store_n(&head->latest, latest, __ATOMIC_RELEASE);
}

#define TELL_TIME_RECORDS 256

void asy_trace_poll(asyncio_loop *loop, int64_t deadline_ns)
{
    struct trace *trace = loop->trace;
    if (trace->running)
        write_leaving(loop, subject_of(TRACE_LEFT, 0, NULL));
    if (trace->index - trace->told_index >= TELL_TIME_RECORDS)
        asy_trace_tell_time(loop);
    trace->is_in_poll = false;
    write_record(trace, read_clock(loop), subject_of(TRACE_POLL, 0, NULL), 0, deadline_ns);
}

void asy_trace_polled(asyncio_loop *loop)
{
    write_record(loop->trace, read_clock(loop), subject_of(TRACE_POLLED, 0, NULL), loop->task_count,
                 (int64_t)loop->ready.count);
    loop->trace->is_in_poll = true;
}

/* ---- Its begin ----------------------------------------------------------------------- */

void asy_trace_begun(asyncio_loop *loop)
{
    struct trace *trace = loop->trace;
    LIST_EACH(node, &loop->tasks) {
        asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
        asy_trace_made(loop, task);
        if (loop->current == task)
            continue;
        struct leaving leaving = {0};
        if (task->wait)
            leaving = note_wait(trace, task, task->wait);
        if (leaving.other)
            write_record(trace, read_clock(loop), subject_of(TRACE_LEFT, 0, NULL), leaving.other,
                         leaving.value);
    }
    if (!loop->current)
        return;
    write_record(trace, read_clock(loop),
                 subject_of(TRACE_STEP, name_of_coroutine(trace, loop->current), loop->current), 0, 0);
    begin_step(trace, loop->current);
}
