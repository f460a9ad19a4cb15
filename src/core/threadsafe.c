/*
 * What other threads and signal handlers post to the loop.
 *
 * Threads push onto a lock-free stack, which the loop takes whole and turns
 * round. Signal handlers may not allocate: they take a place in a bounded
 * ring, each place with a turn that says whose it is (as in Vyukov's queue):
 * turn == ticket: free for the writer with that ticket; ticket + 1: filled, until it has run. The
 * loop queues the places themselves, and so needs no memory either.
 *
 * Going to sleep: the loop sets `sleeping`, then looks again; a poster posts,
 * then takes `sleeping` down and, if it was up, wakes. All sequentially consistent,
 * so that one of the two sees the other.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "core/contextvars.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/post.h"
#include "sys/sys.h"
#include <errno.h>

/* What asyncio_loop_call_soon_threadsafe posts. */
struct call {
    struct post post;
    asyncio_callback fn;
    void *arg;
    asyncio_context *context; /* the loop's to count, whoever posted */
};

/* In place of the stack once the loop is closed. */
static struct post closed_mark;

void asy_posts_init(asyncio_loop *loop)
{
    atomic_init(&loop->posts.newest, NULL);
    atomic_init(&loop->posts.has_any, false);
    atomic_init(&loop->posts.is_sleeping, false);
    atomic_init(&loop->posts.signal_tail, 0);
    for (uint32_t i = 0; i < ASY_SIGNAL_PLACES; i++)
        atomic_init(&loop->posts.signal_places[i].turn, i);
}

static void wake(asyncio_loop *loop)
{
    atomic_store(&loop->posts.has_any, true);
    if (atomic_exchange(&loop->posts.is_sleeping, false))
        loop->backend->ops->wake(loop->backend);
}

int asy_post(asyncio_loop *loop, struct post *post)
{
    if (UNLIKELY(asy_loop_is_parents(loop)))
        return ASYNCIO_ESTATE;
    struct post *head = atomic_load(&loop->posts.newest);
    do {
        if (head == &closed_mark)
            return ASYNCIO_ESTATE;
        post->next = head;
    } while (!atomic_compare_exchange_weak(&loop->posts.newest, &head, post));
    wake(loop);
    return 0;
}

static void free_call(struct call *call)
{
    asy_vars_drop(call->context);
    asy_sys_free(call);
}

static void run_call(struct callback *callback)
{
    struct call *call = (struct call *)callback;
    asyncio_callback fn = call->fn;
    void *arg = call->arg;
    asy_vars_enter(asy_running_loop, call->context);
    asy_sys_free(call);
    fn(arg);
}

static void drop_call(struct callback *callback)
{
    free_call((struct call *)callback);
}

static const struct callback_kind call_kind = {run_call, drop_call};

int asyncio_loop_call_soon_threadsafe(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    struct call *call = asy_sys_alloc(sizeof *call);
    if (!call)
        return -ENOMEM;
    *call = (struct call){.post.callback.kind = &call_kind, .fn = fn, .arg = arg};
    int err = asy_vars_capture(loop, &call->context);
    if (!err)
        err = asy_post(loop, &call->post);
    if (err)
        free_call(call);
    return err;
}

int asyncio_loop_call_soon_signalsafe(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    if (asy_loop_is_parents(loop) || atomic_load(&loop->posts.newest) == &closed_mark)
        return ASYNCIO_ESTATE;
    uint32_t ticket = atomic_load(&loop->posts.signal_tail);
    struct signal_place *place;
    for (;;) {
        place = &loop->posts.signal_places[ticket % ASY_SIGNAL_PLACES];
        uint32_t turn = atomic_load_explicit(&place->turn, memory_order_acquire);
        if (turn == ticket) {
            if (atomic_compare_exchange_weak(&loop->posts.signal_tail, &ticket, ticket + 1))
                break;
        } else if ((int32_t)(turn - ticket) < 0) {
            return -EAGAIN;
        } else {
            ticket = atomic_load(&loop->posts.signal_tail);
        }
    }
    place->fn = fn;
    place->arg = arg;
    atomic_store_explicit(&place->turn, ticket + 1, memory_order_release);
    wake(loop);
    return 0;
}

static struct post *reversed(struct post *post)
{
    struct post *before = NULL;
    while (post) {
        struct post *next = post->next;
        post->next = before;
        before = post;
        post = next;
    }
    return before;
}

static void collect_threads(asyncio_loop *loop)
{
    struct post *post = reversed(atomic_exchange(&loop->posts.newest, NULL));
    while (post) {
        struct post *next = post->next;
        callback_push(&loop->ready, &post->callback, post->callback.kind);
        post = next;
    }
}

/* It is for the writer whose ticket comes round to it next. */
static void free_place(struct callback *callback)
{
    struct signal_place *place = (struct signal_place *)callback;
    atomic_fetch_add_explicit(&place->turn, ASY_SIGNAL_PLACES - 1, memory_order_release);
}

static void run_place(struct callback *callback)
{
    const struct signal_place *place = (struct signal_place *)callback;
    asyncio_callback fn = place->fn;
    void *arg = place->arg;
    asy_vars_enter(asy_running_loop, NULL);
    free_place(callback);
    fn(arg);
}

static const struct callback_kind place_kind = {run_place, free_place};

/* Stops at a place that is taken but not filled yet: who fills it wakes again. */
static void collect_signals(asyncio_loop *loop)
{
    for (;;) {
        struct signal_place *place = &loop->posts.signal_places[loop->posts.signal_head % ASY_SIGNAL_PLACES];
        if (atomic_load_explicit(&place->turn, memory_order_acquire) != loop->posts.signal_head + 1)
            return;
        callback_push(&loop->ready, &place->callback, &place_kind);
        loop->posts.signal_head++;
    }
}

HOT void asy_posts_collect(asyncio_loop *loop)
{
    if (LIKELY(!atomic_load_explicit(&loop->posts.has_any, memory_order_relaxed)))
        return;
    atomic_store(&loop->posts.has_any, false);
    asy_exceptions_update(loop);
    collect_threads(loop);
    collect_signals(loop);
}

HOT bool asy_posts_pending(asyncio_loop *loop)
{
    return atomic_load(&loop->posts.has_any);
}

void asy_posts_close(asyncio_loop *loop)
{
    struct post *post = atomic_exchange(&loop->posts.newest, &closed_mark);
    while (post && post != &closed_mark) {
        struct post *next = post->next;
        post->callback.kind->drop(&post->callback);
        post = next;
    }
}
