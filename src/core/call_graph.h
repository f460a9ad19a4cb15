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

/* The call that an address lies in. Unless it is exact, it is where a call returns to: the call lies before
 * it, maybe in another function. */
asyncio_call_frame asy_call_frame_of(const void *pc, bool is_exact);
/* Where the library's code is a file of its own, its functions without a public name are of no interest. */
bool asy_call_frame_is_ours(const asyncio_call_frame *frame);
/* "function+0x12", or "program+0x1234". */
#define ASY_CALL_TEXT 512
void asy_call_frame_text(const asyncio_call_frame *frame, char text[ASY_CALL_TEXT]);

#endif
