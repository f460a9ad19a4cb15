/*
 * Calls from one loop to another: a coroutine goes there, runs as a task, and its result comes back.
 *
 * A call is one block. It begins with the future that the caller waits for, and has all that the way there
 * and back needs, so that nothing on the way can fail for want of memory. One post takes it there and brings
 * it back; a second one carries requests to cancel.
 *
 *     caller      makes the call, holds the target, posts
 *     target      begins the task, or refuses; when that has ended, posts the result back
 *     caller      completes the future
 *
 * Each loop holds the other one for as long as it may have to wake it: the caller the target, until the call
 * is back; the target the caller, until it has posted it back.
 *
 * If the target closes first it sends ASYNCIO_ESTATE back. If the caller closes first its future stays
 * pending, and the target frees the call when it cannot send it back.
 */
#include "asyncio/contextvars.h"
#include "asyncio/errors.h"
#include "asyncio/loops.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/post.h"
#include "core/quarantine.h"
#include "core/task.h"
#include "sys/slab.h"
#include "threads/loops.h"
#include <errno.h>

struct loop_call {
    struct proxy_future proxy; /* the caller's. While the call is under way it has a reference */
    asyncio_loop *target;

    /* The future, the way there and back, and a request on its way have one each. The thread that drops the
     * last must see what the others wrote before they dropped theirs: a drop releases and acquires. */
    _Atomic uint32_t refs;

    /* Requests to cancel that the target has not taken yet. The thread that adds the first one owns `cancel`,
     * until the target has taken them all. */
    _Atomic uint32_t requests;
    _Atomic(struct message *) words; /* of the latest request; whoever exchanges it owns it */
    struct callback cancel;

    struct callback way;   /* there, then back */
    struct abroad at_home; /* among what the caller's loop has abroad, while the call is under way */

    /* The target's, from the post to the post back. */
    struct abroad guest;
    asyncio_coro *coro;       /* until it begins */
    asyncio_context *context; /* a copy of the caller's, until then */
    asyncio_task *task;       /* a reference, from then on */
    struct waiter ended;      /* on the task */

    /* On the way back. */
    intptr_t result;
    struct message *message;
};

static struct loop_call *call_of_way(struct callback *callback)
{
    return LIST_ENTRY(callback, struct loop_call, way);
}

static void unref_call(struct loop_call *call)
{
    uint32_t refs = atomic_fetch_sub(&call->refs, 1);
    ASY_ASSERT(refs > 0);
    if (refs > 1)
        return;
    asy_message_unref(call->message);
    asy_message_unref(atomic_load(&call->words));
    asy_object_free(asy_running_loop, call, sizeof *call);
}

/* ---- The caller ------------------------------------------------------------------------- */

/* The call is under way no longer, or its caller closes. */
static void end_call_at_home(struct loop_call *call)
{
    asyncio_loop *loop = call->proxy.future.loop;
    ASY_ASSERT(loop->abroad.calls > 0 && loop->abroad.awaited_work > 0);
    list_remove(&call->at_home.node);
    loop->abroad.awaited_work--;
    loop->abroad.calls--;
    if (!asy_loop_is_owed(loop) && loop->is_shutting_down && !loop->is_closed)
        asyncio_loop_stop(loop);
    asy_loop_let_go(call->target);
}

static void call_loop_closes(struct abroad *abroad)
{
    struct loop_call *call = LIST_ENTRY(abroad, struct loop_call, at_home);
    end_call_at_home(call);
    asy_future_unref(&call->proxy.future);
}

static void complete_call(struct loop_call *call, intptr_t result, struct message *message)
{
    asyncio_future *future = &call->proxy.future;
    asy_message_set(&future->message, message);
    asy_future_complete(future, result);
    asy_future_unref(future);
    unref_call(call); /* the way's */
}

static void run_call_back(struct callback *callback)
{
    struct loop_call *call = call_of_way(callback);
    struct message *message = call->message;
    call->message = NULL;
    end_call_at_home(call);
    complete_call(call, call->result, message);
}

/* The caller has closed meanwhile: call_loop_closes was there. */
static void drop_call_back(struct callback *callback)
{
    unref_call(call_of_way(callback));
}

static const struct callback_kind back_kind = {run_call_back, drop_call_back};

/* ---- The target --------------------------------------------------------------------------- */

/* False: the caller's loop is closed. */
static bool send_back(struct loop_call *call, intptr_t result, const char *words)
{
    asyncio_loop *caller = call->proxy.future.loop;
    call->result = result;
    call->message = asy_message_new(result, words);
    call->way.kind = &back_kind;
    bool is_sent = asy_post(caller, &call->way) == 0;
    if (!is_sent)
        unref_call(call);
    asy_loop_let_go(caller);
    return is_sent;
}

static asyncio_task *detach_called_task(struct loop_call *call)
{
    asyncio_task *task = call->task;
    ASY_ASSERT(task);
    call->task = NULL;
    list_remove(&call->ended.node);
    list_remove(&call->guest.node);
    return task;
}

/* A failure that the caller does not get is reported here, as that of any task. */
static void end_with_called_task(struct waiter *waiter, asyncio_future *ended)
{
    struct loop_call *call = LIST_ENTRY(waiter, struct loop_call, ended);
    const struct message *message = ended->message;
    detach_called_task(call);
    if (send_back(call, ended->result, message && message->code == ended->result ? message->text : NULL))
        ended->flags |= FUTURE_SEEN;
    asy_future_unref(ended);
}

static void target_loop_closes(struct abroad *abroad)
{
    struct loop_call *call = LIST_ENTRY(abroad, struct loop_call, guest);
    asyncio_task *task = detach_called_task(call);
    send_back(call, ASYNCIO_ESTATE, "the loop was closed before the task ended");
    asy_future_unref(&task->future);
}

/* The call need not have begun at its loop. */
static void drop_called_coroutine(struct loop_call *call)
{
    asy_loop_call_went(call->target);
    asyncio_coro_close(call->coro);
    asy_vars_drop(call->context);
}

static void refuse_call(struct loop_call *call, const char *words)
{
    drop_called_coroutine(call);
    send_back(call, ASYNCIO_ESTATE, words);
}

static void drop_call_there(struct callback *callback)
{
    refuse_call(call_of_way(callback), "the loop is closed");
}

static void begin_call(struct callback *callback)
{
    struct loop_call *call = call_of_way(callback);
    asyncio_loop *loop = call->target;
    if (loop->is_shutting_down) {
        refuse_call(call, "the loop is about to close");
        return;
    }
    asy_loop_call_went(loop);
    const asyncio_site *site = call->proxy.future.site;
    asy_vars_enter(loop, call->context);
    call->task = asy_task_queue(asy_task_make(loop, call->coro, site ? site : asy_coro_site(call->coro)));
    asy_future_watch(&call->task->future, &call->ended, end_with_called_task);
    list_append(&loop->abroad.entries, &call->guest.node);
}

static const struct callback_kind there_kind = {begin_call, drop_call_there};

/* ---- Requests to cancel ----------------------------------------------------------------------- */

static void drop_requests(struct callback *callback)
{
    unref_call(LIST_ENTRY(callback, struct loop_call, cancel));
}

/* Posts run in order, so the task has begun, or was refused, before. */
static void take_requests_there(struct callback *callback)
{
    struct loop_call *call = LIST_ENTRY(callback, struct loop_call, cancel);
    struct message *words = atomic_exchange(&call->words, NULL);
    for (uint32_t left = atomic_exchange(&call->requests, 0); left > 0 && call->task; left--)
        asyncio_cancel_with(call->task, words ? words->text : NULL);
    asy_message_unref(words);
    unref_call(call);
}

static const struct callback_kind cancel_kind = {take_requests_there, drop_requests};

static void send_request(asyncio_future *future, const char *words)
{
    struct loop_call *call = LIST_ENTRY(future, struct loop_call, proxy.future);
    if (list_is_empty(&call->at_home.node))
        return; /* the caller's loop is closed: the target may be gone */
    if (words)
        asy_message_unref(atomic_exchange(&call->words, asy_message_new(-ECANCELED, words)));
    if (atomic_fetch_add(&call->requests, 1))
        return; /* an earlier one is on its way, and takes this one along */
    atomic_fetch_add(&call->refs, 1);
    if (asy_post(call->target, &call->cancel)) /* it closes; then the call is on its way back */
        drop_requests(&call->cancel);
}

static void free_call_future(asyncio_future *future)
{
    unref_call(LIST_ENTRY(future, struct loop_call, proxy.future));
}

static const struct proxy_hooks call_hooks = {send_request, free_call_future};

/* ---- Made ---------------------------------------------------------------------------------------- */

static struct loop_call *make_call(asyncio_loop *caller, asyncio_loop *target, asyncio_coro *coro,
                                   const asyncio_site *site)
{
    asyncio_context *context;
    if (asy_vars_capture(target, &context))
        return NULL;
    struct loop_call *call = asy_slab_alloc(sizeof *call);
    if (!call) {
        asy_vars_drop(context);
        return NULL;
    }
    *call = (struct loop_call){
        .proxy.hooks = &call_hooks,
        .target = target,
        .cancel.kind = &cancel_kind,
        .way.kind = &there_kind,
        .at_home.loop_closes = call_loop_closes,
        .guest.loop_closes = target_loop_closes,
        .coro = coro,
        .context = context,
    };
    atomic_init(&call->refs, 2);
    list_init(&call->at_home.node);
    asy_future_init(&call->proxy.future, caller, site);
    call->proxy.future.flags = FUTURE_PROXY;
    call->proxy.future.refs = 2;
    asy_loop_object_made(caller);
    return call;
}

/* Sends a call there. If the target is closed it has ended when this returns. */
static void send_call(struct loop_call *call)
{
    asyncio_loop *caller = call->proxy.future.loop, *target = call->target;
    asy_coro_hand_over(call->coro);
    asy_loop_hold(caller);
    asy_loop_hold(target);
    asy_loop_call_came(target);
    list_append(&caller->abroad.entries, &call->at_home.node);
    caller->abroad.awaited_work++;
    caller->abroad.calls++;
    if (asy_post(target, &call->way) == 0)
        return;
    drop_called_coroutine(call);
    asy_loop_let_go(caller);
    end_call_at_home(call);
    complete_call(call, ASYNCIO_ESTATE, asy_message_new(ASYNCIO_ESTATE, "the loop is closed"));
}

static asyncio_future *failed_future(intptr_t err, const char *words, const asyncio_site *site)
{
    asyncio_future *future = asyncio_future_new_at(site);
    if (!future)
        return NULL;
    asy_message_set(&future->message, asy_message_new(err, words));
    asy_future_complete(future, err);
    return future;
}

asyncio_future *asyncio_submit_to_at(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_loop *here = asy_running_loop;
    if (!coro)
        return NULL;
    if (loop && loop == here)
        return &asyncio_create_task_at(coro, site)->future;
    struct loop_call *call = here && loop ? make_call(here, loop, coro, site) : NULL;
    if (!call) {
        asyncio_coro_close(coro);
        return here && !loop ? failed_future(-EINVAL, "asyncio_submit_to: the loop is NULL", site) : NULL;
    }
    send_call(call);
    return &call->proxy.future;
}

intptr_t asyncio_await_on_at(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site)
{
    if (!coro)
        return asy_null_awaited();
    if (!asy_current_task() || !loop) {
        asyncio_coro_close(coro);
        return loop ? ASYNCIO_ENOTASK : asyncio_raise(-EINVAL, "asyncio_await_on: the loop is NULL");
    }
    if (loop == asy_running_loop)
        return asyncio_await_coro(coro);
    return asyncio_await_future(asyncio_submit_to_at(loop, coro, site));
}

asyncio_future *(asyncio_submit_to)(asyncio_loop *loop, asyncio_coro *coro)
{
    return asyncio_submit_to_at(loop, coro, NULL);
}

intptr_t(asyncio_await_on)(asyncio_loop *loop, asyncio_coro *coro)
{
    return asyncio_await_on_at(loop, coro, NULL);
}
