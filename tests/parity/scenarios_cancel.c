/*
 * Cancellation: in each state of a task, along chains, counted.
 */
#include "parity.h"

#include <errno.h>

/* ---- In each state ---- */

SCENARIO(cancel_a_sleeping_task)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, done %d", cancelled, asyncio_done(task));
    ends(asyncio_ref(task));
    cancelled = asyncio_cancel(task);
    say("cancel %d, cancelling %d", cancelled, asyncio_task_cancelling(task));
    asyncio_release(task);
    return 0;
}

SCENARIO(cancel_a_task_that_yields)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 0, 0));

    asyncio_sleep(0);
    say("cancel %d", asyncio_cancel(task));
    return ends(task);
}

SCENARIO(cancel_a_task_that_awaits_a_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waiter("task", asyncio_ref(future)));

    asyncio_sleep(0);
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, future cancelled %d", cancelled, asyncio_cancelled(future));
    asyncio_release(future);
    return ends(task);
}

SCENARIO(cancel_a_task_that_awaits_a_task)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));
    asyncio_task *outer = asyncio_create_task(task_waiter("outer", asyncio_ref(inner)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(outer);
    say("cancel %d, inner cancelling %d", cancelled, asyncio_task_cancelling(inner));
    ends(outer);
    return ends(inner);
}

ASYNC(coro_waiter, const char *, name, asyncio_coro *, coro)
{
    intptr_t outcome = asyncio_await(coro);

    say("%s: %s", name, text(outcome));
    return outcome;
}

SCENARIO(cancel_a_task_that_awaits_a_coroutine)
{
    asyncio_task *task = asyncio_create_task(coro_waiter("outer", sleeper("inner", 9, 0)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

SCENARIO(cancel_along_a_chain_of_tasks)
{
    static const char *const names[] = {"0", "1", "2", "3"};
    asyncio_task *tasks[4] = {asyncio_create_task(sleeper(names[0], 9, 0))};

    for (int i = 1; i < 4; i++)
        tasks[i] = asyncio_create_task(task_waiter(names[i], asyncio_ref(tasks[i - 1])));
    asyncio_sleep(1);
    asyncio_cancel(tasks[3]);
    asyncio_task *tick = asyncio_create_task(ticker(6));
    for (int i = 3; i >= 0; i--)
        ends(tasks[i]);
    return asyncio_await(tick);
}

ASYNC(tidies, const char *, name, double, delay)
{
    int outcome = asyncio_sleep(9);

    say("%s: %s", name, text(outcome));
    int tidied = asyncio_sleep(delay);
    say("%s tidied: %s at %g", name, text(tidied), now());
    return outcome;
}

SCENARIO(a_cancelled_awaiter_waits_for_the_inner_task)
{
    asyncio_task *inner = asyncio_create_task(tidies("inner", 2));
    asyncio_task *outer = asyncio_create_task(task_waiter("outer", inner));

    asyncio_sleep(1);
    asyncio_cancel(outer);
    return ends(outer);
}

ASYNC(swallows, const char *, name, intptr_t, value)
{
    say("%s: %s", name, text(asyncio_sleep(9)));
    return value;
}

SCENARIO(a_task_swallows_its_cancel)
{
    asyncio_task *task = asyncio_create_task(swallows("task", 42));

    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

static intptr_t says_and_sleeps(const char *name, intptr_t outcome)
{
    say("%s: %s, cancelling %d", name, text(outcome), asyncio_task_cancelling(asyncio_current_task()));
    int slept = asyncio_sleep(1);
    say("%s slept: %s at %g", name, text(slept), now());
    return 5;
}

ASYNC(waits_and_sleeps, const char *, name, asyncio_future *, future)
{
    return says_and_sleeps(name, asyncio_await(future));
}

ASYNC(naps_and_sleeps, const char *, name, double, delay)
{
    return says_and_sleeps(name, asyncio_sleep(delay));
}

/* A task that awaits another in waits_and_sleeps; the other one's reference is kept. */
static asyncio_task *create_waits_and_sleeps(const char *name, asyncio_task *task)
{
    return asyncio_create_task(waits_and_sleeps(name, ASYNCIO_AS_FUTURE(asyncio_ref(task))));
}

SCENARIO(an_inner_task_swallows_the_cancel_of_the_outer)
{
    asyncio_task *inner = asyncio_create_task(swallows("inner", 7));
    asyncio_task *outer = create_waits_and_sleeps("outer", inner);

    asyncio_sleep(1);
    asyncio_cancel(outer);
    ends(outer);
    return ends(inner);
}

/* Both requests end in the one -ECANCELED of the inner task. */
SCENARIO(an_inner_task_was_cancelled_before_the_outer)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));
    asyncio_task *outer = create_waits_and_sleeps("outer", inner);

    asyncio_sleep(1);
    asyncio_cancel(inner);
    asyncio_cancel(outer);
    asyncio_release(inner);
    return ends(outer);
}

static void cancels_when_done(asyncio_future *future, void *task)
{
    (void)future;
    asyncio_cancel((asyncio_task *)task);
}

SCENARIO(an_inner_task_has_ended_cancelled_when_the_outer_is)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));
    asyncio_task *outer = create_waits_and_sleeps("outer", inner);

    asyncio_add_done_callback(inner, cancels_when_done, outer);
    asyncio_sleep(1);
    asyncio_cancel(inner);
    ends(outer);
    asyncio_release(inner);
    return 0;
}

ASYNC(cancels_itself)
{
    say("cancel %d", asyncio_cancel(asyncio_current_task()));
    int slept = asyncio_sleep(9);
    say("slept: %s at %g", text(slept), now());
    slept = asyncio_sleep(1);
    say("slept again: %s at %g", text(slept), now());
    return 3;
}

SCENARIO(cancel_oneself_and_then_sleep)
{
    return ends(asyncio_create_task(cancels_itself()));
}

SCENARIO(turns_of_a_cancel_that_waits_for_a_sleep)
{
    asyncio_task *task = asyncio_create_task(cancels_itself()), *tick = asyncio_create_task(ticker(3));

    ends(task);
    return asyncio_await(tick);
}

ASYNC(cancels_itself_and_yields)
{
    asyncio_cancel(asyncio_current_task());
    int outcome = asyncio_sleep(0);
    say("yielded: %s", text(outcome));
    return outcome;
}

SCENARIO(cancel_oneself_and_then_yield)
{
    return ends(asyncio_create_task(cancels_itself_and_yields()));
}

ASYNC(cancels_itself_and_awaits, asyncio_future *, future)
{
    asyncio_cancel(asyncio_current_task());
    intptr_t outcome = asyncio_await(future);
    say("awaited: %s", text(outcome));
    return outcome;
}

SCENARIO(turns_of_a_cancel_that_waits_for_a_yield)
{
    asyncio_task *task = asyncio_create_task(cancels_itself_and_yields());
    asyncio_task *tick = asyncio_create_task(ticker(3));

    ends(task);
    return asyncio_await(tick);
}

SCENARIO(cancel_oneself_and_then_await_a_task)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));

    ends(asyncio_create_task(cancels_itself_and_awaits(ASYNCIO_AS_FUTURE(asyncio_ref(inner)))));
    return ends(inner);
}

SCENARIO(cancel_oneself_and_then_await_a_future)
{
    asyncio_future *future = asyncio_future_new();

    ends(asyncio_create_task(cancels_itself_and_awaits(asyncio_ref(future))));
    say("future cancelled %d", asyncio_cancelled(future));
    asyncio_release(future);
    return 0;
}

SCENARIO(turns_of_a_cancel_that_waits_for_a_future)
{
    asyncio_task *task = asyncio_create_task(cancels_itself_and_awaits(asyncio_future_new()));
    asyncio_task *tick = asyncio_create_task(ticker(3));

    ends(task);
    return asyncio_await(tick);
}

ASYNC(cancels_itself_and_takes, asyncio_future *, future)
{
    asyncio_cancel(asyncio_current_task());
    say("taken: %s", text(asyncio_await(future)));
    int outcome = asyncio_sleep(0);
    say("yielded: %s", text(outcome));
    return outcome;
}

SCENARIO(a_done_future_delivers_no_cancel)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_future_set_result(future, 8);
    return ends(asyncio_create_task(cancels_itself_and_takes(future)));
}

ASYNC(cancels_itself_and_fails)
{
    asyncio_cancel(asyncio_current_task());
    return -5;
}

SCENARIO(cancel_oneself_and_then_fail)
{
    return ends(asyncio_create_task(cancels_itself_and_fails()));
}

SCENARIO(cancel_a_task_that_is_done)
{
    asyncio_task *task = asyncio_create_task(says("task", 4));

    asyncio_sleep(0);
    say("cancel %d", asyncio_cancel(task));
    return ends(task);
}

static void says_cancel(void *task)
{
    say("cancel %d", asyncio_cancel((asyncio_task *)task));
}

static void says_cancel_when_done(asyncio_future *future, void *task)
{
    (void)future;
    says_cancel(task);
}

/* Its awaiter has not resumed yet. */
SCENARIO(cancel_a_task_that_has_just_ended)
{
    asyncio_task *task = asyncio_create_task(says("task", 4));

    asyncio_add_done_callback(task, says_cancel_when_done, task);
    return ends(task);
}

ASYNC(is_cancelled)
{
    return -ECANCELED;
}

SCENARIO(a_task_ends_cancelled_without_a_request)
{
    return ends(asyncio_create_task(is_cancelled()));
}

SCENARIO(cancel_from_a_callback)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_cancel, task);
    return ends(task);
}

ASYNC(cancels_its_parent, asyncio_task *, parent)
{
    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(parent);
    say("cancel %d, cancelling %d", cancelled, asyncio_task_cancelling(asyncio_current_task()));
    int outcome = asyncio_sleep(1);
    say("child: %s at %g", text(outcome), now());
    return outcome;
}

ASYNC(has_a_child)
{
    intptr_t outcome = asyncio_await(asyncio_create_task(cancels_its_parent(asyncio_current_task())));

    say("parent: %s", text(outcome));
    return outcome;
}

SCENARIO(a_child_cancels_its_parent_and_so_itself)
{
    return ends(asyncio_create_task(has_a_child()));
}

ASYNC(fails_instead)
{
    say("task: %s", text(asyncio_sleep(9)));
    return -5;
}

SCENARIO(a_cancelled_task_fails_in_its_cleanup)
{
    asyncio_task *task = asyncio_create_task(fails_instead());

    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

/* ---- As it ends anyway ---- */

static void says_cancel_of(void *task)
{
    says_cancel(*(asyncio_task **)task);
}

/* The timer of the canceller is first; that of the sleep is due as well. */
SCENARIO(cancel_a_sleep_in_the_tick_in_which_it_ends)
{
    asyncio_task *task = NULL;

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_cancel_of, &task);
    task = asyncio_create_task(sleeper("task", 1, 0));
    return ends(task);
}

/* The timer of the sleep is first: its task is ready, and has not resumed. */
SCENARIO(cancel_a_sleep_that_has_just_ended)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 0));

    asyncio_sleep(0);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_cancel, task);
    return ends(task);
}

/* ---- What cannot be awaited ---- */

ASYNC(awaits_itself)
{
    say("task: %s", text(asyncio_await(asyncio_ref(asyncio_current_task()))));
    return 2;
}

SCENARIO(a_task_awaits_itself)
{
    return ends(asyncio_create_task(awaits_itself()));
}
