/*
 * Channels as cases of a select. Any thread may claim the select for a channel, under the channel's lock; the
 * task's own thread then takes the case out of the channel.
 */
#include "threads/channel_case.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/select.h"
#include "core/task.h"
#include "threads/channel.h"
#include <errno.h>

static struct channel_waiter *waiter_of_case(asyncio_case *one)
{
    return (struct channel_waiter *)(void *)one->wait_;
}
_Static_assert(sizeof(struct channel_waiter) <= sizeof(((asyncio_case *)0)->wait_), "it fits into a case");

static const char *refuse_channel(asyncio_case *one, int *err)
{
    *err = asy_channel_check(one->object_, one->item_, "asyncio_select");
    if (!*err)
        return NULL;
    if (*err == ASYNCIO_ESTATE)
        return "the channel belongs to the parent process";
    return one->object_ ? "the item is NULL" : "the channel is NULL";
}

/* ---- Winning ------------------------------------------------------------------------ */

static bool claim_channel_case(struct channel_waiter *waiter)
{
    asyncio_case *one = LIST_ENTRY(waiter, asyncio_case, wait_);
    return asy_select_claim(one->call_);
}

static void wake_channel_case(struct channel_waiter *waiter, int result, struct channel_wake *wake)
{
    asyncio_case *one = LIST_ENTRY(waiter, asyncio_case, wait_);
    struct select_call *call = one->call_;
    asyncio_loop *loop = call->wait.task->future.loop;
    one->result = result;
    if (loop == asy_running_loop) {
        asy_select_wake(call, one, 0);
        return;
    }
    call->winner = one;
    asy_channel_post(wake, loop, &call->post);
}

static const struct channel_waiter_kind channel_case_kind = {claim_channel_case, wake_channel_case};

/* ---- Trying and waiting ---------------------------------------------------------------- */

static bool try_receive_case(asyncio_case *one)
{
    one->result = asyncio_channel_try_receive(one->object_, one->item_);
    return one->result != ASYNCIO_EQUEUE_EMPTY;
}

static bool try_send_case(asyncio_case *one)
{
    one->result = asyncio_channel_try_send(one->object_, one->item_);
    return one->result != ASYNCIO_EQUEUE_FULL;
}

static int enlist_receive_case(asyncio_case *one)
{
    waiter_of_case(one)->kind = &channel_case_kind;
    channel_await(one->object_, waiter_of_case(one), NULL);
    return 0;
}

static int enlist_send_case(asyncio_case *one)
{
    waiter_of_case(one)->kind = &channel_case_kind;
    channel_await(one->object_, waiter_of_case(one), one->item_);
    return 0;
}

/* ---- Leaving --------------------------------------------------------------------------- */

static void leave_channel_case(asyncio_case *one, bool has_won)
{
    asyncio_channel *channel = one->object_;
    struct channel_waiter *waiter = waiter_of_case(one);
    struct channel_wake wake = {0};
    channel_lock(channel);
    asy_channel_withdraw(waiter);
    ASY_ASSERT(has_won || !waiter->is_granted);
    if (waiter->is_granted)
        asy_channel_take_granted(channel, waiter, one->item_, &wake);
    asy_channel_leave(channel, &wake);
}

static void abandon_channel_case(asyncio_case *one)
{
    asyncio_channel *channel = one->object_;
    struct channel_wake wake = {0};
    channel_lock(channel);
    asy_channel_revoke(channel, waiter_of_case(one), &wake);
    asy_channel_leave(channel, &wake);
}

const struct case_kind asy_case_receive = {
    .name = "receive",
    .refuse = refuse_channel,
    .try_now = try_receive_case,
    .enlist = enlist_receive_case,
    .leave = leave_channel_case,
    .abandon = abandon_channel_case,
    .leaves_late = true,
    .is_shared = true,
    .alone = &asy_wait_channel_receive,
};
const struct case_kind asy_case_send = {
    .name = "send",
    .refuse = refuse_channel,
    .try_now = try_send_case,
    .enlist = enlist_send_case,
    .leave = leave_channel_case,
    .abandon = abandon_channel_case,
    .leaves_late = true,
    .is_shared = true,
    .alone = &asy_wait_channel_send,
};
