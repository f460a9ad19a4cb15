/*
 * Handles: callbacks that the program schedules. Their blocks belong to the
 * loop and are reused, never freed before it ends, so that a stale
 * asyncio_handle can be told by its number.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

enum handle_state { HANDLE_FREE, HANDLE_TIMED, HANDLE_QUEUED, HANDLE_CANCELLED };

struct handle {
    struct callback callback; /* while queued */
    struct timer timer;       /* while timed */
    asyncio_callback fn;
    void *arg;
    asyncio_context *context;
    asyncio_loop *loop;
    uint64_t id;              /* of its present use; never 0 */
    uint32_t state;
    struct handle *next_free;
};

#define CHUNK_HANDLES 62

struct handle_chunk {
    struct handle_chunk *next;
    struct handle handles[CHUNK_HANDLES];
};

static int grow(asyncio_loop *loop)
{
    struct handle_chunk *chunk = asy_sys_calloc(1, sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    chunk->next = loop->handle_chunks;
    loop->handle_chunks = chunk;
    for (size_t i = CHUNK_HANDLES; i-- > 0;) {
        chunk->handles[i].loop = loop;
        chunk->handles[i].next_free = loop->free_handles;
        loop->free_handles = &chunk->handles[i];
    }
    return 0;
}

void asy_handles_destroy(asyncio_loop *loop)
{
    while (loop->handle_chunks) {
        struct handle_chunk *chunk = loop->handle_chunks;
        loop->handle_chunks = chunk->next;
        for (size_t i = 0; i < CHUNK_HANDLES; i++)
            asy_vars_drop(chunk->handles[i].context); /* of timers that never fired */
        asy_sys_free(chunk);
    }
    loop->free_handles = NULL;
}

static void put_back(struct handle *handle)
{
    asy_vars_drop(handle->context);
    handle->context = NULL;
    handle->state = HANDLE_FREE;
    handle->id++;
    handle->next_free = handle->loop->free_handles;
    handle->loop->free_handles = handle;
}

static void run_handle(struct callback *callback)
{
    struct handle *handle = (struct handle *)callback;
    asyncio_callback fn = handle->state == HANDLE_QUEUED ? handle->fn : NULL;
    void *arg = handle->arg;
    asy_vars_enter(handle->loop, handle->context);
    handle->context = NULL;
    put_back(handle);
    if (fn)
        fn(arg);
}

static void drop_handle(struct callback *callback)
{
    put_back((struct handle *)callback);
}

static const struct callback_kind handle_kind = {run_handle, drop_handle};

static void queue_handle(struct handle *handle)
{
    handle->state = HANDLE_QUEUED;
    callback_push(&handle->loop->ready, &handle->callback, &handle_kind);
    asy_loop_queued(handle->loop);
}

static void timer_due(struct timer *timer)
{
    queue_handle(LIST_ENTRY(timer, struct handle, timer));
}

static struct handle *take(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    if (UNLIKELY(!loop->free_handles) && grow(loop))
        return NULL;
    struct handle *handle = loop->free_handles;
    loop->free_handles = handle->next_free;
    handle->fn = fn;
    handle->arg = arg;
    if (!handle->id)
        handle->id = 1;
    return handle;
}

/* The same for whoever calls, whose context it gets a copy of. */
static struct handle *take_captured(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    asyncio_context *context;
    if (asy_vars_capture(loop, &context))
        return NULL;
    struct handle *handle = take(loop, fn, arg);
    if (handle)
        handle->context = context;
    else
        asy_vars_drop(context);
    return handle;
}

static asyncio_handle refused(asyncio_loop *loop, intptr_t err, const char *call)
{
    asy_report_site(loop, NULL, err, "%s was refused", call);
    return (asyncio_handle){0};
}

static asyncio_handle public_handle(struct handle *handle)
{
    return (asyncio_handle){handle, handle->id};
}

static intptr_t check(asyncio_loop *loop, asyncio_callback fn, double time, const char *call)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, call);
    if (!fn || isnan(time))
        return -EINVAL;
    return asy_loop_unusable(loop) ? ASYNCIO_ESTATE : 0;
}

asyncio_handle asyncio_loop_call_soon(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    static const char call[] = "asyncio_loop_call_soon";
    intptr_t err = check(loop, fn, 0, call);
    struct handle *handle = err ? NULL : take_captured(loop, fn, arg);
    if (!handle)
        return refused(loop, err ? err : -ENOMEM, call);
    queue_handle(handle);
    return public_handle(handle);
}

int asy_call_soon(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    struct handle *handle = take(loop, fn, arg);
    if (!handle)
        return -ENOMEM;
    queue_handle(handle);
    return 0;
}

static asyncio_handle call_at_ns(asyncio_loop *loop, int64_t deadline_ns, asyncio_callback fn, void *arg,
                                 const char *call)
{
    struct handle *handle = take_captured(loop, fn, arg);
    if (!handle)
        return refused(loop, -ENOMEM, call);
    handle->timer.fire = timer_due;
    handle->state = HANDLE_TIMED;
    if (asy_timer_start(loop, &handle->timer, deadline_ns)) {
        put_back(handle);
        return refused(loop, -ENOMEM, call);
    }
    asy_loop_queued(loop); /* it may be the next one now */
    return public_handle(handle);
}

asyncio_handle asyncio_loop_call_later(asyncio_loop *loop, double delay, asyncio_callback fn, void *arg)
{
    static const char call[] = "asyncio_loop_call_later";
    intptr_t err = check(loop, fn, delay, call);
    if (err)
        return refused(loop, err, call);
    return call_at_ns(loop, asy_deadline_after(asy_loop_now_ns(loop), delay), fn, arg, call);
}

asyncio_handle asyncio_loop_call_at(asyncio_loop *loop, double when, asyncio_callback fn, void *arg)
{
    static const char call[] = "asyncio_loop_call_at";
    intptr_t err = check(loop, fn, when, call);
    if (err)
        return refused(loop, err, call);
    return call_at_ns(loop, asy_ns_from_seconds(when), fn, arg, call);
}

bool asyncio_handle_cancel(asyncio_loop *loop, asyncio_handle public)
{
    struct handle *handle = public.asyncio_slot_;
    if (!loop || !handle)
        return false;
    asy_loop_check(loop, "asyncio_handle_cancel");
    if (loop->closed || handle->loop != loop || handle->id != public.asyncio_id_)
        return false;
    if (handle->state == HANDLE_TIMED) {
        asy_timer_stop(loop, &handle->timer);
        put_back(handle);
        return true;
    }
    if (handle->state != HANDLE_QUEUED)
        return false;
    handle->state = HANDLE_CANCELLED; /* skipped, and put back, when its turn comes */
    return true;
}

bool asyncio_handle_valid(asyncio_handle handle)
{
    return handle.asyncio_slot_ != NULL;
}
