/*
 * Context variables: values that go with a task, and with all that it starts.
 *
 *     static asyncio_contextvar user = ASYNCIO_CONTEXTVAR_INIT("user", NULL);
 *
 *     asyncio_contextvar_token token;
 *     int err = asyncio_contextvar_set(&user, name, &token);
 *     ...     in whatever is called, awaited and started from here:
 *     const char *name = asyncio_contextvar_get(&user);
 *     ...
 *     asyncio_contextvar_reset(&user, token);     as it was before
 *
 * Each task has a context of its own. It begins as a copy of the context in which the task was made: the
 * task sees the values that were set there before, and nobody else sees what the task sets. This holds for
 * asyncio_create_task, for the coroutines of gather and shield, and for the children of a group. The
 * handlers of a server have copies of the context in which the server was started. A coroutine that is
 * awaited runs in the awaiting task and shares its context.
 *
 * A callback of the loop (call_soon, call_later, call_at, a done callback, a reader) runs in a copy of the
 * context in which it was scheduled or added. Values that it sets last until it returns, and the tasks that
 * it starts inherit them. asyncio_loop_call_soon_threadsafe and asyncio_run_coroutine_threadsafe copy the
 * context of the calling thread. A callback that a signal handler posts has an empty context. The function
 * of asyncio_to_thread sees a copy of its caller's context, the function of asyncio_run_in_executor an
 * empty one.
 *
 * A thread has a context, too, for what it does outside its loop. The main task of asyncio_run begins with
 * a copy of it. The main tasks of one asyncio_runner share one context, which began as such a copy.
 *
 * A copy costs one count, whatever is in it. Values are borrowed: the program keeps alive what they point
 * to, for as long as a task or callback may look at them. Nothing here waits. Each call may be made in
 * tasks, in callbacks and in plain threads.
 */
#ifndef ASYNCIO_CONTEXTVARS_H
#define ASYNCIO_CONTEXTVARS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A variable, known by its address. As a rule one stands in static storage and serves all threads. Fields
 * that end in _ are private. (ContextVar) */
typedef struct asyncio_contextvar {
    const char *name_; /* for people; borrowed */
    void *default_;
    uintptr_t reserved_[2];
} asyncio_contextvar;

#define ASYNCIO_CONTEXTVAR_INIT(name, default_value) {(name), (default_value), {0, 0}}

/* Remembers what a variable was before it was set. A plain value: the program need not use it, nor dispose
 * of it. (Token) */
typedef struct asyncio_contextvar_token {
    asyncio_contextvar *var_;
    void *old_;
    uint64_t context_, number_;
    int was_set_;
} asyncio_contextvar_token;

/* Returns the variable's value in the current context, or its default where none was set. NULL gives NULL.
 * (ContextVar.get) */
ASYNCIO_API void *asyncio_contextvar_get(asyncio_contextvar *var);

/*
 * Sets the variable in the current context. Unless `token` is NULL, *token then serves one
 * asyncio_contextvar_reset. 0; -ENOMEM, and nothing has changed; -EINVAL for NULL. (ContextVar.set)
 */
ASYNCIO_API int asyncio_contextvar_set(asyncio_contextvar *var, void *value, asyncio_contextvar_token *token);

/*
 * Brings the variable back to what it was before the call that gave the token: to that value, or to none.
 * Tokens may be used in any order, each once, in the context in which they were given. 0; ASYNCIO_ESTATE if
 * the token was used before; -EINVAL if it belongs to another variable or context, or is all zero; -ENOMEM,
 * and nothing has changed: the token is still good. (ContextVar.reset)
 */
ASYNCIO_API int asyncio_contextvar_reset(asyncio_contextvar *var, asyncio_contextvar_token token);

/*
 * Copies the current context, for asyncio_task_options.context. A task that is made with the copy runs in
 * this very context, and so several such tasks see what each of them sets. The caller ends it by
 * asyncio_context_release; tasks that run in it keep it for themselves. A context belongs to the thread
 * that made it: its use in another thread aborts with a message. NULL: out of memory. (copy_context)
 */
ASYNCIO_API asyncio_context *asyncio_copy_context(void);
/* Drops the program's reference to a context. Accepts NULL. */
ASYNCIO_API void asyncio_context_release(asyncio_context *context);

ASYNCIO_END_DECLS

#endif
