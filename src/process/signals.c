/*
 * The signals that a loop watches. See asyncio/signals.h.
 *
 * The process's handler (signal_dispatch.c) marks a watch and posts it to its loop. It does not post it again
 * before the loop has looked, so the loop's places for posts suffice for all the signals that there are. A
 * watch lives until its loop closes, since a post may be on its way; it is idle when the dispatcher does not
 * have it.
 */
#include "asyncio/signals.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "base/signal_names.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/handles.h"
#include "core/loop.h"
#include "core/task.h"
#include "process/signal_dispatch.h"
#include "sys/sys.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct watch {
    struct signal_watch dispatched;
    struct list node; /* among the loop's */
    asyncio_loop *loop;
    int signo;
    bool is_watched; /* the dispatcher has it */

    /* Any thread. The handler sets is_marked, then looks at is_posted; the loop clears is_posted, then looks
     * at is_marked. One of the two sees the other's write, so no signal is lost: that needs sequential
     * consistency. */
    _Atomic bool is_marked; /* the signal has come, and the loop has not seen it */
    _Atomic bool is_posted; /* a post is on its way */

    /* Of add_signal_handler; NULL: none. */
    asyncio_callback fn;
    void *arg;
    asyncio_context *context;

    /* Of asyncio_wait_signal. */
    bool was_waited_for; /* there was a wait: from then on one signal is kept */
    bool is_kept;        /* a signal came when no task waited */
    struct list waiters;
};

struct watches {
    struct asy_io_hooks hooks;
    struct list all;
};

/* ---- A signal's way -------------------------------------------------------------------------- */

static void wake_signal_waiters(struct watch *watch)
{
    watch->is_kept = watch->was_waited_for && list_is_empty(&watch->waiters);
    struct list *node;
    while ((node = list_take_first(&watch->waiters))) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), 0);
    }
}

/* In the loop. */
static void deliver_signal(void *arg)
{
    struct watch *watch = arg;
    ASY_ASSERT(watch->loop == asy_running_loop);
    atomic_store(&watch->is_posted, false);
    if (!atomic_exchange(&watch->is_marked, false))
        return; /* the watch has ended, or a wait has seen the signal */
    wake_signal_waiters(watch);
    asyncio_callback fn = watch->fn;
    if (!fn)
        return;
    asy_vars_enter(watch->loop, asy_vars_ref(watch->context));
    fn(watch->arg); /* may remove itself */
}

/* In the handler. If the loop has no place left the mark stays, and the next signal or wait posts it. */
static void mark_signal(struct signal_watch *dispatched)
{
    struct watch *watch = LIST_ENTRY(dispatched, struct watch, dispatched);
    atomic_store(&watch->is_marked, true);
    if (!atomic_exchange(&watch->is_posted, true) &&
        asyncio_loop_call_soon_signalsafe(watch->loop, deliver_signal, watch))
        atomic_store(&watch->is_posted, false);
}

/* ---- Watches --------------------------------------------------------------------------------- */

static void stop_watch(struct watch *watch)
{
    if (watch->is_watched)
        asy_signal_unwatch(watch->signo, &watch->dispatched);
    watch->is_watched = false;
}

static void close_watches(struct asy_io_hooks *hooks)
{
    struct watches *watches = (struct watches *)hooks;
    LIST_EACH_SAFE(node, next, &watches->all) {
        struct watch *watch = LIST_ENTRY(node, struct watch, node);
        stop_watch(watch);
        asy_vars_put(&watch->context, NULL);
        asy_sys_free(watch);
    }
    asy_sys_free(watches);
}

static struct watch *find_watch(asyncio_loop *loop, int signo)
{
    struct watches *watches = (struct watches *)loop->signals;
    if (!watches)
        return NULL;
    LIST_EACH(node, &watches->all)
        if (LIST_ENTRY(node, struct watch, node)->signo == signo)
            return LIST_ENTRY(node, struct watch, node);
    return NULL;
}

static struct watch *make_watch(asyncio_loop *loop, int signo)
{
    struct watches *watches = (struct watches *)loop->signals;
    if (!watches) {
        watches = asy_sys_calloc(1, sizeof *watches);
        if (!watches)
            return NULL;
        watches->hooks.close = close_watches;
        list_init(&watches->all);
        loop->signals = &watches->hooks;
    }
    struct watch *watch = asy_sys_calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->dispatched.notify = mark_signal;
    watch->loop = loop;
    watch->signo = signo;
    list_init(&watch->waiters);
    list_append(&watches->all, &watch->node);
    return watch;
}

/* Posts a signal that came when no place was left for it. */
static void post_again(struct watch *watch)
{
    if (atomic_load(&watch->is_marked) && !atomic_exchange(&watch->is_posted, true) &&
        asy_call_soon(watch->loop, deliver_signal, watch))
        atomic_store(&watch->is_posted, false);
}

/* A handler of a fault would return to the fault. The kernel refuses the other signals that cannot be
 * caught. */
static bool is_catchable(int signo)
{
    return signo > 0 && signo != SIGSEGV && signo != SIGBUS && signo != SIGFPE && signo != SIGILL;
}

/* Makes sure that the loop watches the signal. 0 or a negative errno. */
static int begin_watch(asyncio_loop *loop, int signo, struct watch **out)
{
    struct watch *watch = find_watch(loop, signo);
    if (!watch)
        watch = make_watch(loop, signo);
    if (!watch)
        return -ENOMEM;
    *out = watch;
    if (watch->is_watched) {
        post_again(watch);
        return 0;
    }
    atomic_store(&watch->is_marked, false);
    int err = asy_signal_watch(signo, &watch->dispatched);
    watch->is_watched = err == 0;
    return err;
}

/* ---- Waited for ------------------------------------------------------------------------------ */

static void describe_signal(const struct wait *wait, char *text, size_t bytes)
{
    const struct watch *watch = wait->object;
    const char *name = asy_signal_name(watch->signo);
    if (name)
        snprintf(text, bytes, " %s", name);
    else
        snprintf(text, bytes, " %d", watch->signo);
}

static const struct wait_kind signal_kind = {
    .name = "signal",
    .describe = describe_signal,
    .shape = {.kind = SHAPE_SIGNAL, .at = {offsetof(struct watch, signo)}},
};

int asyncio_wait_signal(int signo)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!is_catchable(signo))
        return -EINVAL;
    int err = asy_budget_spend(loop);
    if (err)
        return err;
    struct watch *watch = find_watch(loop, signo);
    if (watch && watch->is_kept) {
        watch->is_kept = false;
        return 0;
    }
    err = asy_cancel_deliver(loop->current); /* before a handler is installed for nobody */
    if (!err)
        err = begin_watch(loop, signo, &watch);
    if (err)
        return err;
    watch->was_waited_for = true;
    return (int)asy_wait_in(&watch->waiters, &signal_kind, watch);
}

/* ---- Called back ----------------------------------------------------------------------------- */

int asyncio_loop_add_signal_handler(asyncio_loop *loop, int signo, asyncio_callback fn, void *arg)
{
    if (!loop || !fn || !is_catchable(signo))
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    asyncio_context *context;
    int err = asy_vars_capture(loop, &context);
    if (err)
        return err;
    struct watch *watch;
    err = begin_watch(loop, signo, &watch);
    if (err) {
        asy_vars_drop(context);
        return err;
    }
    watch->fn = fn;
    watch->arg = arg;
    asy_vars_put(&watch->context, context);
    return 0;
}

bool asyncio_loop_remove_signal_handler(asyncio_loop *loop, int signo)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    struct watch *watch = asy_loop_unusable(loop) ? NULL : find_watch(loop, signo);
    if (!watch || !watch->fn)
        return false;
    watch->fn = NULL;
    asy_vars_put(&watch->context, NULL);
    if (!watch->was_waited_for) {
        ASY_ASSERT(list_is_empty(&watch->waiters));
        stop_watch(watch);
    }
    return true;
}
