/*
 * Posts from other threads and from signal handlers.
 *
 * Threads push onto a lock-free stack, which the loop takes whole and reverses. Signal handlers may not
 * allocate: they take a place in a bounded ring. The place's sequence number says who may use it, as in
 * Vyukov's queue: the writer whose ticket equals it may fill the place; ticket + 1 means filled, until the
 * callback has run. The loop queues the places themselves, and so needs no memory either.
 *
 * Going to sleep: the loop sets is_sleeping, then looks at has_any again. A poster sets has_any, then looks
 * at is_sleeping; if that is up, it takes it down and, if no other poster did, wakes the loop. All are
 * sequentially consistent: with any weaker order both could miss the other's store, and the loop would sleep
 * on a post.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/post.h"
#include "sys/sys.h"
#include <errno.h>

/* What asyncio_loop_call_soon_threadsafe posts. */
struct call {
    struct callback callback;
    asyncio_callback fn;
    void *arg;
    asyncio_context *context; /* the loop's to count, whoever posted */
};

/* In place of the stack once the loop is closed. */
static struct callback closed_mark;

void asy_posts_init(asyncio_loop *loop)
{
    atomic_init(&loop->posts.newest, NULL);
    atomic_init(&loop->posts.has_any, false);
    atomic_init(&loop->posts.is_sleeping, false);
    atomic_init(&loop->posts.signal_tail, 0);
    for (uint32_t i = 0; i < ASY_SIGNAL_PLACES; i++)
        atomic_init(&loop->posts.signal_places[i].sequence, i);
}

/* Comes after the post itself, so that a loop that sees has_any finds it. For the order of the two below, see
 * the head of this file. Most often the loop is awake: then a look does, and no exchange. True: the loop
 * sleeps, and the caller alone is to wake it. */
static inline bool announce_post(asyncio_loop *loop)
{
    if (UNLIKELY(loop->posts.is_watched) && asy_this_thread() != loop->thread)
        atomic_store(&loop->posts.has_foreign, true);
    atomic_store(&loop->posts.has_any, true);
    return atomic_load(&loop->posts.is_sleeping) && atomic_exchange(&loop->posts.is_sleeping, false);
}

void asy_loop_wake(asyncio_loop *loop)
{
    loop->backend->ops->wake(loop->backend);
}

int asy_post_quietly(asyncio_loop *loop, struct callback *post, bool *must_wake)
{
    ASY_ASSERT(post->kind);
    *must_wake = false;
    if (UNLIKELY(asy_loop_is_parents(loop)))
        return ASYNCIO_ESTATE;
    struct callback *head = atomic_load(&loop->posts.newest);
    do { /* the exchange releases what the poster wrote; the loop's, which takes all, acquires it */
        if (head == &closed_mark)
            return ASYNCIO_ESTATE;
        post->ready.next = (struct ready *)head;
    } while (!atomic_compare_exchange_weak(&loop->posts.newest, &head, post));
    *must_wake = announce_post(loop);
    return 0;
}

int asy_post(asyncio_loop *loop, struct callback *post)
{
    bool must_wake;
    int err = asy_post_quietly(loop, post, &must_wake);
    if (must_wake)
        asy_loop_wake(loop);
    return err;
}

static void free_posted_call(struct call *call)
{
    asy_vars_drop(call->context);
    asy_sys_free(call);
}

static void run_posted_call(struct callback *callback)
{
    struct call *call = (struct call *)callback;
    asyncio_callback fn = call->fn;
    void *arg = call->arg;
    asy_vars_enter(asy_running_loop, call->context);
    asy_sys_free(call);
    fn(arg);
}

static void drop_posted_call(struct callback *callback)
{
    free_posted_call((struct call *)callback);
}

static const struct callback_kind call_kind = {run_posted_call, drop_posted_call};

int asyncio_loop_call_soon_threadsafe(asyncio_loop *loop, asyncio_callback fn, void *arg)
{
    if (!loop || !fn)
        return -EINVAL;
    struct call *call = asy_sys_alloc(sizeof *call);
    if (!call)
        return -ENOMEM;
    *call = (struct call){.callback.kind = &call_kind, .fn = fn, .arg = arg};
    int err = asy_vars_capture(loop, &call->context);
    if (!err)
        err = asy_post(loop, &call->callback);
    if (err)
        free_posted_call(call);
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
        /* Acquire: the callback that used the place before has read fn and arg. */
        uint32_t sequence = atomic_load_explicit(&place->sequence, memory_order_acquire);
        if (sequence == ticket) {
            if (atomic_compare_exchange_weak(&loop->posts.signal_tail, &ticket, ticket + 1))
                break;
        } else if ((int32_t)(sequence - ticket) < 0) {
            return -EAGAIN;
        } else {
            ticket = atomic_load(&loop->posts.signal_tail);
        }
    }
    place->fn = fn;
    place->arg = arg;
    /* Release: the loop that reads this number finds fn and arg. */
    atomic_store_explicit(&place->sequence, ticket + 1, memory_order_release);
    if (announce_post(loop))
        asy_loop_wake(loop);
    return 0;
}

static struct ready *reverse_posts(struct ready *post)
{
    struct ready *before = NULL;
    while (post) {
        struct ready *next = post->next;
        post->next = before;
        before = post;
        post = next;
    }
    return before;
}

/* `empty` takes the place of what was posted: NULL, or the mark. */
static void collect_thread_posts(asyncio_loop *loop, struct callback *empty)
{
    struct ready *post = reverse_posts((struct ready *)atomic_exchange(&loop->posts.newest, empty));
    while (post) {
        struct callback *callback = (struct callback *)post;
        post = post->next;
        callback_push(&loop->ready, callback, callback->kind);
    }
}

/* Leaves the place to the writer whose ticket comes round to it next. Release: fn and arg were read
 * before. */
static void free_signal_place(struct callback *callback)
{
    struct signal_place *place = (struct signal_place *)callback;
    atomic_fetch_add_explicit(&place->sequence, ASY_SIGNAL_PLACES - 1, memory_order_release);
}

static void run_signal_place(struct callback *callback)
{
    const struct signal_place *place = (struct signal_place *)callback;
    asyncio_callback fn = place->fn;
    void *arg = place->arg;
    asy_vars_enter(asy_running_loop, NULL);
    free_signal_place(callback);
    fn(arg);
}

static const struct callback_kind place_kind = {run_signal_place, free_signal_place};

/* Stops at a place that is taken but not filled yet: the writer that fills it wakes the loop again. Acquire:
 * a filled place has its fn and arg. */
static void collect_signal_posts(asyncio_loop *loop)
{
    for (;;) {
        struct signal_place *place = &loop->posts.signal_places[loop->posts.signal_head % ASY_SIGNAL_PLACES];
        if (atomic_load_explicit(&place->sequence, memory_order_acquire) != loop->posts.signal_head + 1)
            return;
        callback_push(&loop->ready, &place->callback, &place_kind);
        loop->posts.signal_head++;
    }
}

void asy_posts_take(asyncio_loop *loop)
{
    if (atomic_load(&loop->posts.newest) == &closed_mark)
        return;
    /* First down, then collected: a post that comes in between sets it again. */
    atomic_store(&loop->posts.has_any, false);
    collect_thread_posts(loop, NULL);
    collect_signal_posts(loop);
}

HOT void asy_posts_collect(asyncio_loop *loop)
{
    /* Relaxed: a post that is missed now is found at the next look; before it sleeps, the loop looks in
     * order. */
    if (LIKELY(!atomic_load_explicit(&loop->posts.has_any, memory_order_relaxed)))
        return;
    asy_exceptions_update(loop);
    asy_posts_take(loop);
}

HOT bool asy_posts_pending(asyncio_loop *loop)
{
    return atomic_load(&loop->posts.has_any);
}

void asy_posts_close(asyncio_loop *loop)
{
    ASY_ASSERT(loop->is_closed && atomic_load(&loop->posts.newest) != &closed_mark);
    collect_thread_posts(loop, &closed_mark);
    collect_signal_posts(loop);
}
