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
 * Each task has a context of its own, which begins as a copy of the one in which the
 * task was made: it sees the values that were set there until then, and nobody
 * else sees what it sets. So it is with asyncio_create_task, the coroutines of gather
 * and shield, and the children of a group; the handlers of a server have copies of the
 * context in which it was started. A coroutine that is awaited runs in the awaiting
 * task and shares its context.
 *
 * A callback of the loop (call_soon, call_later, call_at, a done callback, a reader)
 * runs in a copy of the context in which it was scheduled or added: what it sets is
 * there for what it starts, and until it returns. asyncio_loop_call_soon_threadsafe
 * and asyncio_run_coroutine_threadsafe copy the context of the calling thread; what a
 * signal handler posts has an empty one. The function of asyncio_to_thread sees a copy of
 * its caller's, that of asyncio_run_in_executor an empty one.
 *
 * A thread has a context, too, for what it does outside its loop. The main task of
 * asyncio_run begins with a copy of it; those of one asyncio_runner share one context,
 * which began as such a copy.
 *
 * A copy costs one count, whatever is in it. Values are borrowed: the program keeps
 * what they point to alive for as long as a task or callback may look at them.
 * Nothing here waits, and each call may be made in tasks, callbacks and plain threads.
 */
#ifndef ASYNCIO_CONTEXTVARS_H
#define ASYNCIO_CONTEXTVARS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A variable, known by its address: one in static storage, as a rule, for all
 * threads. Fields that end in _ are private. (ContextVar) */
typedef struct asyncio_contextvar {
    const char *name_; /* for people; borrowed */
    void *default_;
    uintptr_t reserved_[2];
} asyncio_contextvar;

#define ASYNCIO_CONTEXTVAR_INIT(name, default_value) {(name), (default_value), {0, 0}}

/* What a variable was before it was set. A plain value: it need not be used, nor disposed of. (Token) */
typedef struct asyncio_contextvar_token {
    asyncio_contextvar *var_;
    void *old_;
    uint64_t context_, number_;
    int was_set_;
} asyncio_contextvar_token;

/* The value in the current context; where none was set, the variable's default.
 * NULL for NULL. (ContextVar.get) */
ASYNCIO_API void *asyncio_contextvar_get(asyncio_contextvar *var);

/*
 * Sets the variable in the current context. Unless `token` is NULL, *token is then
 * good for one asyncio_contextvar_reset.
 * 0; -ENOMEM: all is as before; -EINVAL for no variable. (ContextVar.set)
 */
ASYNCIO_API int asyncio_contextvar_set(asyncio_contextvar *var, void *value, asyncio_contextvar_token *token);

/*
 * Brings the variable back to what it was before the call that gave the token: to that
 * value, or to none. Tokens may be used in any order, each once, and in the
 * context in which they were given.
 * 0; ASYNCIO_ESTATE: it was used before; -EINVAL: it belongs to another variable
 * or context, or is all zero; -ENOMEM: all is as before, and the token still good. (ContextVar.reset)
 */
ASYNCIO_API int asyncio_contextvar_reset(asyncio_contextvar *var, asyncio_contextvar_token token);

/*
 * A copy of the current context, for asyncio_task_options.context: a task made with it
 * runs in this very context, and what it sets is seen by the others that were.
 * Ends by asyncio_context_release; tasks that run in it keep it for themselves.
 * It belongs to the thread that made it: its use in another aborts with a message.
 * NULL: out of memory. A task that is given NULL has a copy of its creator's. (copy_context)
 */
ASYNCIO_API asyncio_context *asyncio_copy_context(void);
/* Drops the program's reference to a context. Accepts NULL. */
ASYNCIO_API void asyncio_context_release(asyncio_context *context);

ASYNCIO_END_DECLS

#endif
