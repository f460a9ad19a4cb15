/*
 * Call graphs from within.
 */
#ifndef ASY_CORE_CALL_GRAPH_H
#define ASY_CORE_CALL_GRAPH_H

#include "asyncio/inspect.h"
#include "core/debug.h"
#include <stdbool.h>

struct asyncio_call_graph {
    asyncio_call_graph *next;           /* in the order in which they were met, the root first */
    asyncio_task *task;                 /* while it is captured: it may be gone later */
    bool is_repeated;                   /* the task has another node, which tells the rest of it */
    const asyncio_site *body, *made_at; /* made_at may be NULL */
    asyncio_call_frame *frames;
    size_t frame_count;
    asyncio_call_graph **callers;
    size_t caller_count;
    char words[ASY_DEBUG_WORDS]; /* what it does: "waits in sleep" */
    char name[];
};

/* Of a task of this thread. NULL: no memory. `caller`: the address that the public function returns to. */
asyncio_call_graph *asy_call_graph_capture(asyncio_task *task, const void *caller);

#endif
