/*
 * Handles: callbacks that the program schedules. Their blocks belong to the loop and are reused. An
 * asyncio_handle holds no pointer, but a place in the loop's table and the number of one use of that place.
 * No two loops use the same numbers. So a stale handle, or one of another loop, is recognised without a look
 * at memory that may be gone.
 */
#include "core/handles.h"
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/due.h"
#include "core/loop.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

enum handle_state { HANDLE_FREE, HANDLE_TIMED, HANDLE_QUEUED };

struct handle {
    union due due; /* a timer while timed, a callback while queued */
    asyncio_callback fn;
    void *arg;
    asyncio_context *context;
    asyncio_loop *loop;
    uint64_t id; /* of its present use; never 0 while in use */
    uint32_t state;
    uint32_t place; /* in the loop's table, from 1 */
    struct handle *next_free;
};

#define CHUNK_HANDLES 64

struct handle_chunk {
    struct handle handles[CHUNK_HANDLES];
};

/* Makes room for one more chunk. The table doubles when it is full: when its size is a power of two. */
static int grow_handle_table(asyncio_loop *loop)
{
    size_t count = loop->handles.chunk_count;
    if (count & (count - 1))
        return 0;
    size_t room = count ? 2 * count : 1;
    struct handle_chunk **table = asy_sys_realloc(loop->handles.chunks, room * sizeof(struct handle_chunk *));
    if (!table)
        return -ENOMEM;
    loop->handles.chunks = table;
    return 0;
}

static int add_handle_chunk(asyncio_loop *loop)
{
    if (grow_handle_table(loop))
        return -ENOMEM;
    struct handle_chunk *chunk = asy_sys_calloc(1, sizeof *chunk);
    if (!chunk)
        return -ENOMEM;
    size_t first = loop->handles.chunk_count * CHUNK_HANDLES;
    loop->handles.chunks[loop->handles.chunk_count++] = chunk;
    for (size_t i = CHUNK_HANDLES; i-- > 0;) {
        struct handle *handle = &chunk->handles[i];
        handle->loop = loop;
        handle->place = (uint32_t)(first + i + 1);
        /* Far from any other loop's first number: each loop has more than it will ever use. */
        handle->id = loop->id * UINT64_C(0x9e3779b97f4a7c15);
        handle->next_free = loop->handles.free;
        loop->handles.free = handle;
    }
    return 0;
}

void asy_handles_destroy(asyncio_loop *loop)
{
    for (size_t i = 0; i < loop->handles.chunk_count; i++) {
        for (size_t j = 0; j < CHUNK_HANDLES; j++)
            asy_vars_drop(loop->handles.chunks[i]->handles[j].context); /* of timers that never fired */
        asy_sys_free(loop->handles.chunks[i]);
    }
    asy_sys_free(loop->handles.chunks);
    loop->handles.chunks = NULL;
    loop->handles.chunk_count = 0;
    loop->handles.free = NULL;
}

/* The handle, if this is its present use. */
static struct handle *find_handle(const asyncio_loop *loop, asyncio_handle public)
{
    size_t at = (uintptr_t) public.asyncio_slot_ - 1; /* a refused handle's lies beyond all */
    if (at / CHUNK_HANDLES >= loop->handles.chunk_count)
        return NULL;
    struct handle *handle = &loop->handles.chunks[at / CHUNK_HANDLES]->handles[at % CHUNK_HANDLES];
    return handle->id == public.asyncio_id_ ? handle : NULL;
}

static void put_handle_back(struct handle *handle)
{
    ASY_ASSERT(handle->state != HANDLE_FREE);
    asy_vars_drop(handle->context);
    handle->context = NULL;
    handle->state = HANDLE_FREE;
    handle->id++;
    handle->next_free = handle->loop->handles.free;
    handle->loop->handles.free = handle;
}

static void run_handle(struct callback *callback)
{
    struct handle *handle = (struct handle *)callback;
    asyncio_callback fn = handle->fn;
    void *arg = handle->arg;
    asy_vars_enter(handle->loop, handle->context);
    handle->context = NULL;
    put_handle_back(handle);
    fn(arg);
}

static void drop_handle(struct callback *callback)
{
    put_handle_back((struct handle *)callback);
}

static const struct callback_kind handle_kind = {run_handle, drop_handle};

static void queue_handle(struct handle *handle)
{
    handle->state = HANDLE_QUEUED;
    callback_push(&handle->loop->ready, &handle->due.callback, &handle_kind);
    asy_loop_queued(handle->loop);
}

static void queue_due_handle(struct timer *timer)
{
    queue_handle((struct handle *)(void *)timer);
}

static struct handle *take_handle(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    if (UNLIKELY(!loop->handles.free) && add_handle_chunk(loop))
        return NULL;
    struct handle *handle = loop->handles.free;
    ASY_ASSERT(handle->state == HANDLE_FREE);
    loop->handles.free = handle->next_free;
    handle->fn = fn;
    handle->arg = arg;
    if (!handle->id)
        handle->id = 1;
    return handle;
}

/* The same, with a copy of the caller's context. */
static struct handle *take_captured_handle(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    asyncio_context *context;
    if (asy_vars_capture(loop, &context))
        return NULL;
    struct handle *handle = take_handle(loop, fn, arg);
    if (handle)
        handle->context = context;
    else
        asy_vars_drop(context);
    return handle;
}

static asyncio_handle refuse_handle(asyncio_loop *loop, intptr_t err, const char *call)
{
    asy_report_site(loop, NULL, err, "%s was refused", call);
    return (asyncio_handle){0};
}

static asyncio_handle public_handle(struct handle *handle)
{
    return (asyncio_handle){(void *)(uintptr_t)handle->place, handle->id};
}

static intptr_t check_scheduling(asyncio_loop *loop, asyncio_callback fn, double time, const char *call)
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
    intptr_t err = check_scheduling(loop, fn, 0, call);
    struct handle *handle = err ? NULL : take_captured_handle(loop, fn, arg);
    if (!handle)
        return refuse_handle(loop, err ? err : -ENOMEM, call);
    queue_handle(handle);
    return public_handle(handle);
}

int asy_call_soon(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    struct handle *handle = take_handle(loop, fn, arg);
    if (!handle)
        return -ENOMEM;
    queue_handle(handle);
    return 0;
}

static asyncio_handle call_at_ns(asyncio_loop *loop, int64_t deadline_ns, asyncio_callback fn, void *arg,
                                 const char *call)
{
    struct handle *handle = take_captured_handle(loop, fn, arg);
    if (!handle)
        return refuse_handle(loop, -ENOMEM, call);
    handle->due.timer = (struct timer){.fire = queue_due_handle};
    handle->state = HANDLE_TIMED;
    if (asy_timer_start(loop, &handle->due.timer, deadline_ns)) {
        put_handle_back(handle);
        return refuse_handle(loop, -ENOMEM, call);
    }
    asy_loop_queued(loop); /* it may be the next one now */
    return public_handle(handle);
}

asyncio_handle asyncio_loop_call_later(asyncio_loop *loop, double delay, asyncio_callback fn, void *arg)
{
    static const char call[] = "asyncio_loop_call_later";
    intptr_t err = check_scheduling(loop, fn, delay, call);
    if (err)
        return refuse_handle(loop, err, call);
    return call_at_ns(loop, asy_deadline_after(asy_loop_now_ns(loop), delay), fn, arg, call);
}

asyncio_handle asyncio_loop_call_at(asyncio_loop *loop, double when, asyncio_callback fn, void *arg)
{
    static const char call[] = "asyncio_loop_call_at";
    intptr_t err = check_scheduling(loop, fn, when, call);
    if (err)
        return refuse_handle(loop, err, call);
    return call_at_ns(loop, asy_ns_from_seconds(when), fn, arg, call);
}

bool asyncio_handle_cancel(asyncio_loop *loop, asyncio_handle public)
{
    if (!loop || !asyncio_handle_valid(public))
        return false;
    asy_loop_check(loop, __func__);
    struct handle *handle = loop->is_closed ? NULL : find_handle(loop, public);
    if (!handle)
        return false;
    if (handle->state == HANDLE_TIMED)
        asy_timer_stop(loop, &handle->due.timer);
    else
        callback_remove(&loop->ready, &handle->due.callback);
    put_handle_back(handle);
    return true;
}

bool asyncio_handle_valid(asyncio_handle handle)
{
    return handle.asyncio_slot_ != NULL;
}
