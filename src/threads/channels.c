/*
 * Channels: their life, and the calls of tasks. See channel.h for what goes on inside, and for the lock.
 *
 * A waiter of a task on this thread's loop is woken at once; on another loop, by a post that lies in the
 * waiter itself. A task that is granted something does not leave before that post has run: until then a
 * cancel is refused. So the post's memory is there. And so is the loop: when it closes it first takes its
 * waiters out, under the lock; and a task that was woken takes the lock once more before it goes on, so that
 * the thread that woke it is done with the loop by then.
 */
#include "asyncio/channels.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/task.h"
#include "sys/slab.h"
#include "sys/thread.h"
#include "threads/channel.h"
#include <errno.h>

static const char what_channel[] = "channel";

/* ---- Life ---------------------------------------------------------------------------- */

/* 0: there is no such power of two. */
static size_t round_up_capacity(size_t capacity)
{
    size_t rounded = 1;
    while (rounded && rounded < capacity)
        rounded *= 2;
    return rounded;
}

asyncio_channel *asyncio_channel_new(size_t item_size, size_t capacity)
{
    if (!item_size || !capacity) {
        asyncio_raise(-EINVAL, "%s: the %s is 0", __func__, item_size ? "capacity" : "item size");
        return NULL;
    }
    size_t places = round_up_capacity(capacity), bytes;
    if (!places || __builtin_mul_overflow(places, item_size, &bytes) ||
        __builtin_add_overflow(bytes, sizeof(asyncio_channel), &bytes)) {
        asyncio_raise(-ENOMEM, "%s: %zu items of %zu bytes are more than memory can hold", __func__, capacity,
                      item_size);
        return NULL;
    }
    asy_watch_forks();
    asyncio_channel *channel = asy_slab_alloc(bytes);
    if (!channel) {
        asyncio_raise(-ENOMEM, "%s: no memory for %zu items of %zu bytes", __func__, capacity, item_size);
        return NULL;
    }
    channel->object = (struct loose_object){what_channel, bytes};
    channel->fork_generation = asy_fork_generation;
    atomic_init(&channel->refs, 1);
    channel->users = 1;
    atomic_init(&channel->lock.word, SHORT_LOCK_FREE);
    asy_channel_init(channel, item_size, places);
    return channel;
}

void asy_channel_leave(asyncio_channel *channel, struct channel_wake *wake)
{
    ASY_ASSERT(channel->users > 0);
    bool is_last = --channel->users == 0;
    channel_unlock(channel, wake);
    if (is_last)
        asy_loose_object_free(&channel->object);
}

static bool is_channel_parents(const asyncio_channel *channel)
{
    return channel->fork_generation != asy_fork_generation;
}

asyncio_channel *asyncio_channel_ref(asyncio_channel *channel)
{
    if (!channel)
        return NULL;
    asy_object_check_alive(channel->object.what, what_channel, __func__);
    atomic_fetch_add_explicit(&channel->refs, 1, memory_order_relaxed); /* the caller has one */
    return channel;
}

void asyncio_channel_release(asyncio_channel *channel)
{
    if (!channel || is_channel_parents(channel)) /* the parent's stays as the fork has left it */
        return;
    asy_object_check_alive(channel->object.what, what_channel, __func__);
    /* The last one sees what all others did with theirs. */
    if (atomic_fetch_sub_explicit(&channel->refs, 1, memory_order_acq_rel) > 1)
        return;
    struct channel_wake wake = {0};
    channel->object.what = NULL;
    channel_lock(channel);
    asy_channel_end(channel, &wake);
    asy_channel_leave(channel, &wake);
}

static COLD int raise_unusable(const asyncio_channel *channel, const char *call)
{
    if (!channel)
        return (int)asyncio_raise(-EINVAL, "%s: the channel is NULL", call);
    if (is_channel_parents(channel))
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the channel belongs to the parent process", call);
    return (int)asyncio_raise(-EINVAL, "%s: the item is NULL", call);
}

int asy_channel_check(const asyncio_channel *channel, const void *item, const char *call)
{
    if (UNLIKELY(!channel || !item || is_channel_parents(channel)))
        return raise_unusable(channel, call);
    asy_object_check_alive(channel->object.what, what_channel, call);
    return 0;
}

/* ---- Waking --------------------------------------------------------------------------- */

void asy_channel_wake_up(struct channel_wake *wake)
{
    if (wake->loop) {
        asy_loop_wake(wake->loop);
        asy_loop_let_go(wake->loop);
    }
    if (wake->word)
        asy_sys_futex_wake(wake->word, 1);
    *wake = (struct channel_wake){0};
}

void asy_channel_wake_thread(struct channel_wake *wake, const _Atomic uint32_t *word)
{
    if (wake->word)
        asy_sys_futex_wake(wake->word, 1);
    wake->word = word;
}

void asy_channel_post(struct channel_wake *wake, asyncio_loop *loop, struct callback *post)
{
    bool must_wake;
    int err = asy_post_quietly(loop, post, &must_wake);
    ASY_ASSERT(!err); /* the loop is closed only after it has taken its waiters out */
    if (!must_wake)
        return;
    if (wake->loop) {
        asy_loop_wake(wake->loop);
        asy_loop_let_go(wake->loop);
    }
    asy_loop_hold(loop);
    wake->loop = loop;
}

/* ---- A task that waits ------------------------------------------------------------------- */

struct channel_call {
    struct wait wait;
    struct channel_waiter waiter;
    struct callback post; /* wakes the task, from another thread */
    intptr_t result;      /* then */
    struct abroad abroad;
    asyncio_channel *channel;
};

static void run_channel_post(struct callback *callback)
{
    struct channel_call *call = LIST_ENTRY(callback, struct channel_call, post);
    asy_wait_wake(&call->wait, call->result);
}

/* The loop closes, and has told the call before. */
static void drop_channel_post(struct callback *callback)
{
    (void)callback;
}

static const struct callback_kind channel_post_kind = {run_channel_post, drop_channel_post};

static void wake_channel_task(struct channel_waiter *waiter, int result, struct channel_wake *wake)
{
    struct channel_call *call = LIST_ENTRY(waiter, struct channel_call, waiter);
    asyncio_loop *loop = call->wait.task->future.loop;
    if (loop == asy_running_loop) {
        asy_wait_wake(&call->wait, result);
        return;
    }
    call->result = result;
    asy_channel_post(wake, loop, &call->post);
}

static const struct channel_waiter_kind channel_task_kind = {NULL, wake_channel_task};

static void channel_loop_closes(struct abroad *abroad)
{
    struct channel_call *call = LIST_ENTRY(abroad, struct channel_call, abroad);
    asyncio_channel *channel = call->channel;
    struct channel_wake wake = {0};
    channel_lock(channel);
    asy_channel_revoke(channel, &call->waiter, &wake);
    asy_channel_leave(channel, &wake);
}

static bool cancel_channel_call(struct wait *wait)
{
    struct channel_call *call = LIST_ENTRY(wait, struct channel_call, wait);
    channel_lock(call->channel);
    bool has_left = asy_channel_withdraw(&call->waiter);
    short_lock_leave(&call->channel->lock);
    if (has_left)
        asy_wait_wake(wait, -ECANCELED);
    return has_left;
}

#define CHANNEL_SHAPE                                                                                        \
    {                                                                                                        \
        .kind = SHAPE_QUEUE, .at = {                                                                         \
            offsetof(struct asyncio_channel, count),                                                         \
            offsetof(struct asyncio_channel, capacity)                                                       \
        }                                                                                                    \
    }
const struct wait_kind asy_wait_channel_send = {
    .name = "channel send", .cancel = cancel_channel_call, .shape = CHANNEL_SHAPE};
const struct wait_kind asy_wait_channel_receive = {
    .name = "channel receive", .cancel = cancel_channel_call, .shape = CHANNEL_SHAPE};

static void init_channel_call(struct channel_call *call, asyncio_channel *channel, asyncio_task *task,
                              const struct wait_kind *kind)
{
    asy_wait_init(&call->wait, task, kind, channel);
    call->channel = channel;
    call->waiter.kind = &channel_task_kind;
    call->post.kind = &channel_post_kind;
    call->abroad.loop_closes = channel_loop_closes;
    list_append(&task->future.loop->abroad.entries, &call->abroad.node);
}

/* Waits, in the list already. What a receiver was granted is still to be taken. */
static int park_in_channel(struct channel_call *call)
{
    int result = (int)asy_wait_park(&call->wait);
    list_remove(&call->abroad.node);
    return result;
}

/* Of a sender, `received` is NULL; of a receiver, `sent`. */
static NOINLINE int wait_in_channel(asyncio_channel *channel, const void *sent, void *received)
{
    asyncio_task *task = asy_running_loop->current;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct channel_call call;
    init_channel_call(&call, channel, task, sent ? &asy_wait_channel_send : &asy_wait_channel_receive);
    channel_await(channel, &call.waiter, sent);
    err = park_in_channel(&call);
    channel_end_wait(channel, &call.waiter, err ? NULL : received);
    return err;
}

/* ---- The calls ------------------------------------------------------------------------- */

static inline int send_at_once(asyncio_channel *channel, const void *item)
{
    struct channel_wake wake = {0};
    channel_lock(channel);
    int err = asy_channel_try_send(channel, item, &wake);
    channel_unlock(channel, &wake);
    return err;
}

static inline int receive_at_once(asyncio_channel *channel, void *item)
{
    struct channel_wake wake = {0};
    channel_lock(channel);
    int err = asy_channel_try_receive(channel, item, &wake);
    channel_unlock(channel, &wake);
    return err;
}

int asyncio_channel_try_send(asyncio_channel *channel, const void *item)
{
    int err = asy_channel_check(channel, item, __func__);
    return LIKELY(!err) ? send_at_once(channel, item) : err;
}

int asyncio_channel_try_receive(asyncio_channel *channel, void *item)
{
    int err = asy_channel_check(channel, item, __func__);
    return LIKELY(!err) ? receive_at_once(channel, item) : err;
}

/* A call that has used up the task's budget gives way: it waits in any case, and is granted what is there. */
static inline int enter_channel_call(const asyncio_channel *channel, const void *item, bool *must_wait,
                                     const char *call)
{
    int err = asy_channel_check(channel, item, call);
    if (UNLIKELY(err))
        return err;
    asyncio_loop *loop = asy_running_loop;
    if (UNLIKELY(!loop || !loop->current))
        return ASYNCIO_ENOTASK;
    *must_wait = UNLIKELY(--loop->budget == 0);
    return 0;
}

int asyncio_channel_send(asyncio_channel *channel, const void *item)
{
    bool must_wait;
    int err = enter_channel_call(channel, item, &must_wait, __func__);
    if (UNLIKELY(err))
        return err;
    err = must_wait ? ASYNCIO_EQUEUE_FULL : send_at_once(channel, item);
    return LIKELY(err != ASYNCIO_EQUEUE_FULL) ? err : wait_in_channel(channel, item, NULL);
}

int asyncio_channel_receive(asyncio_channel *channel, void *item)
{
    bool must_wait;
    int err = enter_channel_call(channel, item, &must_wait, __func__);
    if (UNLIKELY(err))
        return err;
    err = must_wait ? ASYNCIO_EQUEUE_EMPTY : receive_at_once(channel, item);
    return LIKELY(err != ASYNCIO_EQUEUE_EMPTY) ? err : wait_in_channel(channel, NULL, item);
}

int asyncio_channel_close(asyncio_channel *channel)
{
    if (!channel)
        return 0;
    int err = asy_channel_check(channel, channel, __func__);
    if (err)
        return err;
    struct channel_wake wake = {0};
    channel_lock(channel);
    asy_channel_close(channel, &wake);
    channel_unlock(channel, &wake);
    return 0;
}

size_t asyncio_channel_size(asyncio_channel *channel)
{
    if (!channel || is_channel_parents(channel))
        return 0;
    asy_object_check_alive(channel->object.what, what_channel, __func__);
    channel_lock(channel);
    size_t count = channel->count;
    short_lock_leave(&channel->lock);
    return count;
}
