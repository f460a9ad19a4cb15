/*
 * Watching a loop: debug mode and instruments. A caller of asy_trace and its like has looked at
 * loop->instrument first.
 */
#ifndef ASY_CORE_DEBUG_H
#define ASY_CORE_DEBUG_H

#include "asyncio/instrument.h"
#include "core/loop.h"

COLD void asy_trace_emit(asyncio_loop *loop, asyncio_trace_event *event);

static inline void asy_trace(asyncio_loop *loop, asyncio_trace_kind kind, asyncio_task *task)
{
    asyncio_trace_event event = {.kind = kind, .task = task};
    asy_trace_emit(loop, &event);
}

static inline void asy_trace_time(asyncio_loop *loop, asyncio_trace_kind kind, asyncio_task *task,
                                  int64_t when_ns)
{
    asyncio_trace_event event = {.kind = kind, .task = task};
    event.when = when_ns == ASY_NO_DEADLINE ? ASYNCIO_FOREVER : (double)when_ns / 1e9;
    asy_trace_emit(loop, &event);
}

/* ---- Steps that somebody watches ------------------------------------------------ */
/* Sets is_stepping: is debug mode on, or an instrument or a director set? */
void asy_debug_update(asyncio_loop *loop);
/* Runs one of a task by step(loop, task), and tells of it. */
void asy_step_hooks(asyncio_loop *loop, asyncio_task *task, void (*step)(asyncio_loop *, asyncio_task *));
void asy_callback_hooks(asyncio_loop *loop, struct callback *callback);
/* What a task does, for people: "waits in sleep", "awaits task 'x'". Changes nothing. */
#define ASY_DEBUG_WORDS 256
void asy_debug_describe(const asyncio_task *task, char *text, size_t bytes);
/* The task's name; one that was not asked for yet is made in `made`. */
#define ASY_DEBUG_NAME 32
const char *asy_debug_name(const asyncio_task *task, char made[ASY_DEBUG_NAME]);
/* The loop is about to wait without limit: are there tasks that nobody can wake? */
COLD void asy_deadlock_report(asyncio_loop *loop);

#endif
