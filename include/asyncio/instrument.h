/*
 * Instruments: functions that are told what the loop does, as it does it. For tools, tutorials and tests.
 * They cost nothing while none is set; with one, every step goes through the loop.
 */
#ifndef ASYNCIO_INSTRUMENT_H
#define ASYNCIO_INSTRUMENT_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef enum asyncio_trace_kind {
    ASYNCIO_TRACE_TASK_CREATED, /* a task was made; the first step of an eager one follows, inside the step
                                 * of its creator */
    ASYNCIO_TRACE_STEP_BEGIN,   /* a task runs */
    ASYNCIO_TRACE_STEP_END, /* it gave way; `what` says what it waits in, "ready" if it only yielded */
    ASYNCIO_TRACE_TASK_DONE,  /* it ended, with `result` */
    ASYNCIO_TRACE_CALLBACK,   /* a callback runs */
    ASYNCIO_TRACE_TIMER,      /* a timer was set for `when` */
    ASYNCIO_TRACE_WAIT_BEGIN, /* nothing is ready: the loop waits, until `when` if it has a timer */
    ASYNCIO_TRACE_WAIT_END    /* the loop goes on */
} asyncio_trace_kind;

typedef struct asyncio_trace_event {
    asyncio_trace_kind kind;
    asyncio_task *task; /* borrowed, or NULL */
    const char *name;   /* of the task's coroutine function, or NULL */
    const char *what;   /* see above, or NULL */
    intptr_t result;
    double when;        /* ASYNCIO_FOREVER: no timer */
    uintptr_t reserved[4];
} asyncio_trace_event;

/* An instrument: `event` is called on the loop's stack; it cannot wait, and must not change the loop. */
typedef struct asyncio_instrument {
    void (*event)(asyncio_loop *loop, const asyncio_trace_event *event, void *arg);
    void *arg;
} asyncio_instrument;

/* Sets the loop's instrument, which is borrowed until it is replaced; NULL removes it. Loop's thread. Does
 * not wait. */
ASYNCIO_API void asyncio_loop_set_instrument(asyncio_loop *loop, const asyncio_instrument *instrument);

ASYNCIO_END_DECLS

#endif
