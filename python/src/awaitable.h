/*
 * Awaitables: coroutines in C as Python sees them. One is a future to asyncio, since it has what a future has
 * (_asyncio_future_blocking, get_loop, add_done_callback, result), and a coroutine, since it can be sent to.
 *
 *   UNSTARTED   nobody has awaited it. It has the coroutine.
 *   PENDING     a task of the library's runs the coroutine, inside run_awaitable, and has a reference.
 *   DONE, FAILED, CANCELLED   for good: `outcome` is the result or the exception; there are no callbacks.
 */
#ifndef AWAITABLE_H
#define AWAITABLE_H

#include "bridge.h"

enum awaitable_state {
    AWAITABLE_UNSTARTED,
    AWAITABLE_PENDING,
    AWAITABLE_DONE,
    AWAITABLE_FAILED,
    AWAITABLE_CANCELLED
};

struct awaitable {
    PyObject_HEAD struct face_loop *face; /* counted */
    const asyncio_site *site;
    asyncio_coro *coro; /* until it starts */
    asyncio_task *task; /* while it runs, a reference; NULL in an eager start */
    asyncio_task *body; /* the same one, borrowed, while the coroutine runs */
    asyncio_py_result result;
    void *arg;
    PyObject *keep;    /* what the coroutine's arguments point into */
    PyObject *context; /* of whoever awaited it first; NULL until then */
    PyObject *outcome, *cancel_message;
    PyObject *callbacks; /* a list of pairs (callable, context); NULL: none */
    PyObject *weak_references;
    enum awaitable_state state;
    char is_blocking; /* a task of Python's is about to wait for it */
    bool is_untold;   /* it failed, and nobody has looked */
};

static inline struct awaitable *as_awaitable(PyObject *self)
{
    return (struct awaitable *)self;
}

/* Is the running task the one that runs its coroutine? */
static inline bool awaitable_runs_here(const struct awaitable *awaitable)
{
    return awaitable->body && awaitable->body == asyncio_current_task();
}

static inline bool awaitable_has_ended(const struct awaitable *awaitable)
{
    return awaitable->state >= AWAITABLE_DONE;
}

/* Has a callable called with it, in a context: 0, or -1 and an exception. */
int awaitable_schedule(struct awaitable *awaitable, PyObject *callback, PyObject *context);
/* It ends as cancelled, and will not run. */
void awaitable_end_unrun(struct awaitable *awaitable);
/* Makes the task; `eager` 1: its first steps run in here. 0, or -1 and an exception. */
int awaitable_start(struct awaitable *awaitable, int eager);
/* May this thread, and this loop, start it or wait for it? 0, or -1 and RuntimeError. */
int awaitable_check_loop(struct awaitable *awaitable);

#endif
