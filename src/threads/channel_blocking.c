/*
 * Channels for threads without a loop: the calls that block.
 */
#include "asyncio/channels.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/timer.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "threads/channel.h"
#include <errno.h>
#include <math.h>

enum { THREAD_WAITS, THREAD_IS_WOKEN };

struct thread_waiter {
    struct channel_waiter waiter;
    int result; /* once woken */
    /* A futex. Written after `result`, which it releases; the thread that sees it set acquires that. */
    _Atomic uint32_t state;
};

/* The frame may be gone once the state is set; the kernel does not mind to wake nobody there. */
static void wake_blocked_thread(struct channel_waiter *waiter, int result, struct channel_wake *wake)
{
    struct thread_waiter *thread = LIST_ENTRY(waiter, struct thread_waiter, waiter);
    thread->result = result;
    atomic_store_explicit(&thread->state, THREAD_IS_WOKEN, memory_order_release);
    asy_channel_wake_thread(wake, &thread->state);
}

static const struct channel_waiter_kind channel_thread_kind = {NULL, wake_blocked_thread};

static int enter_blocking(const asyncio_channel *channel, const void *item, double timeout, const char *call)
{
    int err = asy_channel_check(channel, item, call);
    if (err)
        return err;
    if (isnan(timeout))
        return (int)asyncio_raise(-EINVAL, "%s: the timeout is no number", call);
    if (asy_running_loop)
        return (int)asyncio_raise(-EDEADLK, "%s: a loop runs in this thread, and would stand still", call);
    return 0;
}

/* Sleeps until the waiter is woken, or withdraws it. Its result, or -ETIMEDOUT. */
static int block_thread(asyncio_channel *channel, struct thread_waiter *thread, int64_t until_ns)
{
    while (atomic_load_explicit(&thread->state, memory_order_acquire) == THREAD_WAITS) {
        int64_t left_ns = until_ns == ASY_NO_DEADLINE ? -1 : until_ns - asy_sys_now_ns();
        if (left_ns <= 0 && until_ns != ASY_NO_DEADLINE) {
            channel_lock(channel);
            bool has_left = asy_channel_withdraw(&thread->waiter);
            short_lock_leave(&channel->lock);
            if (has_left)
                return -ETIMEDOUT;
            until_ns = ASY_NO_DEADLINE; /* the state is set, or is about to be */
            continue;
        }
        asy_sys_futex_wait(&thread->state, THREAD_WAITS, left_ns);
    }
    return thread->result;
}

/* Of a sender, `received` is NULL; of a receiver, `sent`. */
static int wait_blocking(asyncio_channel *channel, const void *sent, void *received, int64_t until_ns)
{
    struct thread_waiter thread = {.waiter.kind = &channel_thread_kind, .state = THREAD_WAITS};
    channel_await(channel, &thread.waiter, sent);
    int err = block_thread(channel, &thread, until_ns);
    channel_end_wait(channel, &thread.waiter, err ? NULL : received);
    return err;
}

int asyncio_channel_send_blocking(asyncio_channel *channel, const void *item, double timeout)
{
    int err = enter_blocking(channel, item, timeout, __func__);
    if (err)
        return err;
    int64_t until_ns = asy_deadline_after(asy_sys_now_ns(), timeout);
    err = asyncio_channel_try_send(channel, item);
    if (err != ASYNCIO_EQUEUE_FULL)
        return err;
    return timeout > 0 ? wait_blocking(channel, item, NULL, until_ns) : -ETIMEDOUT;
}

int asyncio_channel_receive_blocking(asyncio_channel *channel, void *item, double timeout)
{
    int err = enter_blocking(channel, item, timeout, __func__);
    if (err)
        return err;
    int64_t until_ns = asy_deadline_after(asy_sys_now_ns(), timeout);
    err = asyncio_channel_try_receive(channel, item);
    if (err != ASYNCIO_EQUEUE_EMPTY)
        return err;
    return timeout > 0 ? wait_blocking(channel, NULL, item, until_ns) : -ETIMEDOUT;
}
