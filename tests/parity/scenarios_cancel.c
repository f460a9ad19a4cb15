/*
 * Cancellation: in each state of a task, along chains, counted.
 */
#include "parity.h"

#include <errno.h>

/* Awaits the task, keeping the reference, and says all that can be told of it. */
ASYNC(ends, asyncio_task *, task)
{
    intptr_t outcome = asyncio_await(asyncio_ref(task));

    say("main: %s, cancelled %d, cancelling %d, at %g", text(outcome), asyncio_cancelled(task),
        asyncio_task_cancelling(task), now());
    return 0;
}

/* The same, for the last reference. */
static intptr_t ends_last(asyncio_task *task)
{
    asyncio_await(ends(task));
    asyncio_release(task);
    return 0;
}

/* ---- In each state ---- */

SCENARIO(cancel_a_sleeping_task)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, done %d", cancelled, asyncio_done(task));
    asyncio_await(ends(task));
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
    return ends_last(task);
}

SCENARIO(cancel_a_task_that_awaits_a_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waiter("task", asyncio_ref(future)));

    asyncio_sleep(0);
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, future cancelled %d", cancelled, asyncio_cancelled(future));
    asyncio_release(future);
    return ends_last(task);
}

SCENARIO(cancel_a_task_that_awaits_a_task)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));
    asyncio_task *outer = asyncio_create_task(task_waiter("outer", asyncio_ref(inner)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(outer);
    say("cancel %d, inner cancelling %d", cancelled, asyncio_task_cancelling(inner));
    ends_last(outer);
    return ends_last(inner);
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
    return ends_last(task);
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
        ends_last(tasks[i]);
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
    return ends_last(outer);
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
    return ends_last(task);
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
    ends_last(outer);
    return ends_last(inner);
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
    return ends_last(outer);
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
    ends_last(outer);
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
    return ends_last(asyncio_create_task(cancels_itself()));
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
    return ends_last(asyncio_create_task(cancels_itself_and_yields()));
}

ASYNC(cancels_itself_and_awaits, asyncio_future *, future)
{
    asyncio_cancel(asyncio_current_task());
    intptr_t outcome = asyncio_await(future);
    say("awaited: %s", text(outcome));
    return outcome;
}

SCENARIO(cancel_oneself_and_then_await_a_task)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 9, 0));

    ends_last(asyncio_create_task(cancels_itself_and_awaits(ASYNCIO_AS_FUTURE(asyncio_ref(inner)))));
    return ends_last(inner);
}

SCENARIO(cancel_oneself_and_then_await_a_future)
{
    asyncio_future *future = asyncio_future_new();

    ends_last(asyncio_create_task(cancels_itself_and_awaits(asyncio_ref(future))));
    say("future cancelled %d", asyncio_cancelled(future));
    asyncio_release(future);
    return 0;
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
    return ends_last(asyncio_create_task(cancels_itself_and_takes(future)));
}

ASYNC(cancels_itself_and_fails)
{
    asyncio_cancel(asyncio_current_task());
    return -5;
}

SCENARIO(cancel_oneself_and_then_fail)
{
    return ends_last(asyncio_create_task(cancels_itself_and_fails()));
}

SCENARIO(cancel_a_task_that_is_done)
{
    asyncio_task *task = asyncio_create_task(says("task", 4));

    asyncio_sleep(0);
    say("cancel %d", asyncio_cancel(task));
    return ends_last(task);
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
    return ends_last(task);
}

ASYNC(is_cancelled)
{
    return -ECANCELED;
}

SCENARIO(a_task_ends_cancelled_without_a_request)
{
    return ends_last(asyncio_create_task(is_cancelled()));
}

SCENARIO(cancel_from_a_callback)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_cancel, task);
    return ends_last(task);
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
    return ends_last(task);
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
    return ends_last(task);
}

/* The timer of the sleep is first: its task is ready, and has not resumed. */
SCENARIO(cancel_a_sleep_that_has_just_ended)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 0));

    asyncio_sleep(0);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_cancel, task);
    return ends_last(task);
}

/* ---- Several requests, several waiters ---- */

SCENARIO(two_requests_before_delivery_are_one)
{
    asyncio_task *task = asyncio_create_task(naps_and_sleeps("task", 9));

    asyncio_sleep(1);
    say("cancel %d", asyncio_cancel(task));
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, cancelling %d", cancelled, asyncio_task_cancelling(task));
    return ends_last(task);
}

SCENARIO(two_requests_to_a_yielding_task_are_one)
{
    asyncio_task *task = asyncio_create_task(naps_and_sleeps("task", 0));

    asyncio_sleep(0);
    asyncio_cancel(task);
    asyncio_cancel(task);
    return ends_last(task);
}

SCENARIO(a_second_request_during_cleanup)
{
    asyncio_task *task = asyncio_create_task(tidies("task", 4));

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends_last(task);
}

SCENARIO(a_second_request_to_an_awaiter_reaches_the_inner_task)
{
    asyncio_task *inner = asyncio_create_task(tidies("inner", 4));
    asyncio_task *outer = asyncio_create_task(task_waiter("outer", asyncio_ref(inner)));

    asyncio_sleep(1);
    asyncio_cancel(outer);
    asyncio_sleep(1);
    asyncio_cancel(outer);
    ends_last(outer);
    say("inner cancelling %d", asyncio_task_cancelling(inner));
    asyncio_release(inner);
    return 0;
}

ASYNC(gives_back)
{
    for (int i = 0; i < 2; i++) {
        int outcome = asyncio_sleep(9);
        say("task: %s at %g, cancelling %d", text(outcome), now(),
            asyncio_task_cancelling(asyncio_current_task()));
        say("uncancel %d", asyncio_task_uncancel(asyncio_current_task()));
    }
    return 1;
}

SCENARIO(a_request_given_back_makes_room_for_the_next)
{
    asyncio_task *task = asyncio_create_task(gives_back());

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends_last(task);
}

ASYNC(counts_down)
{
    int outcome = asyncio_sleep(9);
    asyncio_task *me = asyncio_current_task();

    say("task: %s, cancelling %d", text(outcome), asyncio_task_cancelling(me));
    int first = asyncio_task_uncancel(me), second = asyncio_task_uncancel(me);
    say("uncancel %d, %d, %d", first, second, asyncio_task_uncancel(me));
    say("slept: %s", text(asyncio_sleep(1)));
    return 0;
}

SCENARIO(uncancel_counts_down_to_zero)
{
    asyncio_task *task = asyncio_create_task(counts_down());

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_cancel(task);
    asyncio_await(ends(task));
    say("uncancel %d", asyncio_task_uncancel(task));
    asyncio_release(task);
    return 0;
}

ASYNC(uncancels_one_of_two)
{
    asyncio_cancel(asyncio_current_task());
    asyncio_cancel(asyncio_current_task());
    say("uncancel %d", asyncio_task_uncancel(asyncio_current_task()));
    int slept = asyncio_sleep(1);
    say("slept: %s at %g", text(slept), now());
    return 0;
}

SCENARIO(uncancel_of_one_of_two_leaves_the_other)
{
    return ends_last(asyncio_create_task(uncancels_one_of_two()));
}

SCENARIO(uncancel_does_not_help_a_task_whose_sleep_was_cancelled)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_sleep(1);
    asyncio_cancel(task);
    say("uncancel %d", asyncio_task_uncancel(task));
    return ends_last(task);
}

SCENARIO(a_cancelled_task_with_two_awaiters)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));
    asyncio_task *a = asyncio_create_task(task_waiter("a", asyncio_ref(task)));
    asyncio_task *b = asyncio_create_task(task_waiter("b", asyncio_ref(task)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_release(task);
    ends_last(a);
    return ends_last(b);
}

SCENARIO(one_of_two_awaiters_is_cancelled)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));
    asyncio_task *a = asyncio_create_task(task_waiter("a", asyncio_ref(task)));
    asyncio_task *b = asyncio_create_task(task_waiter("b", asyncio_ref(task)));

    asyncio_sleep(1);
    asyncio_cancel(a);
    ends_last(b);
    ends_last(a);
    return ends_last(task);
}

SCENARIO(one_of_two_waiters_of_a_future_is_cancelled)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *a = asyncio_create_task(waiter("a", asyncio_ref(future)));
    asyncio_task *b = asyncio_create_task(waiter("b", future));

    asyncio_sleep(1);
    asyncio_cancel(b);
    ends_last(b);
    return ends_last(a);
}

SCENARIO(cancel_the_future_and_then_its_waiter)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waits_and_sleeps("task", asyncio_ref(future)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(future);
    say("future %d, task %d", cancelled, asyncio_cancel(task));
    asyncio_release(future);
    return ends_last(task);
}

SCENARIO(cancel_the_waiter_and_then_its_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waits_and_sleeps("task", asyncio_ref(future)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(task);
    say("task %d, future %d", cancelled, asyncio_cancel(future));
    asyncio_release(future);
    return ends_last(task);
}

SCENARIO(an_awaiter_survives_a_cancelled_child)
{
    asyncio_task *child = asyncio_create_task(sleeper("child", 9, 0));
    asyncio_task *task = create_waits_and_sleeps("task", child);

    asyncio_sleep(1);
    asyncio_cancel(child);
    asyncio_release(child);
    return ends_last(task);
}

ASYNC(cancels_other, const char *, name, asyncio_task **, other)
{
    say("%s yielded: %s", name, text(asyncio_sleep(0)));
    say("%s cancels %d", name, asyncio_cancel(*other));
    int outcome = asyncio_sleep(1);
    say("%s: %s at %g", name, text(outcome), now());
    return outcome;
}

SCENARIO(two_tasks_cancel_each_other)
{
    asyncio_task *tasks[2];

    tasks[0] = asyncio_create_task(cancels_other("a", &tasks[1]));
    tasks[1] = asyncio_create_task(cancels_other("b", &tasks[0]));
    ends_last(tasks[1]);
    return ends_last(tasks[0]);
}

/* ---- Messages ---- */

ASYNC(reads_message, const char *, name, asyncio_future *, future)
{
    intptr_t outcome = asyncio_await(future);

    say("%s: %s, %s", name, text(outcome), asyncio_error_message());
    return outcome;
}

ASYNC(naps_and_reads_message, const char *, name, double, delay)
{
    int outcome = asyncio_sleep(delay);

    say("%s: %s, %s", name, text(outcome), asyncio_error_message());
    return outcome;
}

SCENARIO(a_cancel_with_a_message)
{
    asyncio_task *task = asyncio_create_task(naps_and_reads_message("task", 9));

    asyncio_sleep(1);
    asyncio_cancel_with(task, "enough");
    return asyncio_await(reads_message("main", ASYNCIO_AS_FUTURE(task)));
}

SCENARIO(a_future_is_cancelled_with_a_message)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(reads_message("task", asyncio_ref(future)));

    asyncio_sleep(0);
    asyncio_cancel_with(future, "no more");
    asyncio_release(future);
    asyncio_await(task);
    return 0;
}

SCENARIO(a_message_goes_down_and_up_the_chain)
{
    asyncio_task *inner = asyncio_create_task(naps_and_reads_message("inner", 9));
    asyncio_task *outer = asyncio_create_task(reads_message("outer", ASYNCIO_AS_FUTURE(inner)));

    asyncio_sleep(1);
    asyncio_cancel_with(outer, "all of you");
    return asyncio_await(reads_message("main", ASYNCIO_AS_FUTURE(outer)));
}

/* ---- What cannot be awaited ---- */

ASYNC(awaits_itself)
{
    say("task: %s", text(asyncio_await(asyncio_ref(asyncio_current_task()))));
    return 2;
}

SCENARIO(a_task_awaits_itself)
{
    return ends_last(asyncio_create_task(awaits_itself()));
}
