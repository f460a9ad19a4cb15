/*
 * Where C differs from Python on purpose. What C must say stands beside the
 * Python twin; why it differs is told in docs/parity-*.md.
 */
#include "parity.h"

ASYNC(works, const char *, name)
{
    say("%s begins", name);
    int outcome = asyncio_sleep(1);
    say("%s: %s", name, text(outcome));
    return outcome;
}

SCENARIO(a_task_cancelled_before_its_first_step_runs)
{
    asyncio_task *task = asyncio_create_task(works("task"));

    say("cancel %d", asyncio_cancel(task));
    return ends(task);
}

ASYNC(returns, intptr_t, value)
{
    return value;
}

SCENARIO(a_task_cancelled_before_its_first_step_that_never_waits)
{
    asyncio_task *task = asyncio_create_task(returns(4));

    asyncio_cancel(task);
    return ends(task);
}

ASYNC(waits_and_sleeps, asyncio_future *, future)
{
    intptr_t outcome = asyncio_await(future);

    say("task: %s, cancelling %d", text(outcome), asyncio_task_cancelling(asyncio_current_task()));
    int slept = asyncio_sleep(1);
    say("task slept: %s at %g", text(slept), now());
    slept = asyncio_sleep(1);
    say("task slept again: %s at %g", text(slept), now());
    return 0;
}

SCENARIO(a_result_set_before_the_cancel_is_kept)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waits_and_sleeps(asyncio_ref(future)));

    asyncio_sleep(0);
    asyncio_future_set_result(future, 7);
    asyncio_release(future);
    say("cancel %d", asyncio_cancel(task));
    return ends(task);
}

static void says_cancel_when_done(asyncio_future *future, void *task)
{
    (void)future;
    say("cancel %d", asyncio_cancel((asyncio_task *)task));
}

static void cancels_when_done(asyncio_future *future, void *task)
{
    (void)future;
    asyncio_cancel((asyncio_task *)task);
}

SCENARIO(the_result_of_a_task_that_ended_before_the_cancel_is_kept)
{
    asyncio_task *child = asyncio_create_task(sleeper("child", 1, 7));
    asyncio_task *task = asyncio_create_task(waits_and_sleeps(ASYNCIO_AS_FUTURE(child)));

    asyncio_add_done_callback(child, says_cancel_when_done, task);
    return ends(task);
}

SCENARIO(an_error_set_before_the_cancel_is_kept)
{
    asyncio_task *child = asyncio_create_task(fails(0, 5));
    asyncio_task *task = asyncio_create_task(waits_and_sleeps(ASYNCIO_AS_FUTURE(child)));

    asyncio_add_done_callback(child, cancels_when_done, task);
    return ends(task);
}

ASYNC(cancels_itself_and_returns)
{
    asyncio_cancel(asyncio_current_task());
    return 6;
}

SCENARIO(a_task_that_returns_keeps_its_value)
{
    return ends(asyncio_create_task(cancels_itself_and_returns()));
}

ASYNC(uncancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    say("uncancel %d", asyncio_task_uncancel(asyncio_current_task()));
    int slept = asyncio_sleep(1);
    say("slept: %s at %g", text(slept), now());
    return 0;
}

SCENARIO(uncancel_before_delivery_drops_the_request)
{
    return ends(asyncio_create_task(uncancels_itself()));
}

SCENARIO(uncancel_of_a_yielding_task_drops_the_request)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 0, 0));

    asyncio_sleep(0);
    asyncio_cancel(task);
    say("uncancel %d", asyncio_task_uncancel(task));
    return ends(task);
}

/* ---- gather ---- */

ASYNC(tidies, const char *, name, double, delay, intptr_t, value)
{
    int outcome = asyncio_sleep(9);

    say("%s: %s at %g", name, text(outcome), now());
    int tidied = asyncio_sleep(delay);
    say("%s tidied: %s at %g", name, text(tidied), now());
    return value ? value : outcome;
}

static intptr_t says_gathered(int status, intptr_t r[])
{
    say("gather: %s at %g", gathered(status, r, 2), now());
    int slept = asyncio_sleep(20);
    say("slept: %s at %g", text(slept), now());
    return 0;
}

ASYNC(gathers, asyncio_coro *, a, asyncio_coro *, b)
{
    intptr_t r[2];

    return says_gathered(asyncio_gather(r, a, b), r);
}

ASYNC(gathers_tasks, asyncio_task *, a, asyncio_task *, b)
{
    intptr_t r[2];

    return says_gathered(asyncio_gather(r, a, b), r);
}

SCENARIO(gather_cancels_the_siblings_of_a_failed_child)
{
    return asyncio_await(gathers(fails(1, 5), tidies("b", 2, 0)));
}

SCENARIO(gather_that_is_cancelled_waits_for_all)
{
    asyncio_task *task = asyncio_create_task(gathers(tidies("a", 1, 0), tidies("b", 3, 0)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    return asyncio_await(task);
}

SCENARIO(gather_cancels_the_siblings_of_a_cancelled_child)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 9, 0));
    asyncio_task *b = asyncio_create_task(tidies("b", 2, 0));
    asyncio_task *task = asyncio_create_task(gathers_tasks(asyncio_ref(a), b));

    asyncio_sleep(2);
    asyncio_cancel(a);
    asyncio_release(a);
    return asyncio_await(task);
}

SCENARIO(gather_whose_children_have_ended_keeps_their_results)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 1, 1)), *b = asyncio_create_task(sleeper("b", 1, 2));
    asyncio_task *task = asyncio_create_task(gathers_tasks(a, b));

    asyncio_add_done_callback(b, cancels_when_done, task);
    return asyncio_await(task);
}

SCENARIO(gather_keeps_an_error_that_came_before_the_cancel)
{
    asyncio_task *task = asyncio_create_task(gathers(fails(1, 5), tidies("b", 2, 0)));

    asyncio_sleep(2);
    asyncio_cancel(task);
    return asyncio_await(task);
}

ASYNC(fails_when_cancelled, intptr_t, code)
{
    asyncio_sleep(9);
    return asyncio_await(fails(0, code));
}

SCENARIO(gather_that_is_cancelled_is_cancelled_though_a_child_fails)
{
    asyncio_task *task = asyncio_create_task(gathers(fails_when_cancelled(5), tidies("b", 1, 0)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    return asyncio_await(task);
}

SCENARIO(gather_of_null_fails_as_out_of_memory)
{
    return asyncio_await(gathers(says("a", 1), NULL));
}

static void cancels(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

SCENARIO(gather_that_is_cancelled_starts_its_children)
{
    asyncio_task *task = asyncio_create_task(gathers(says("a", 1), sleeper("b", 1, 0)));

    asyncio_loop_call_soon(asyncio_get_running_loop(), cancels, task);
    return asyncio_await(task);
}

SCENARIO(gather_of_ended_tasks_costs_no_turn)
{
    intptr_t r[2];
    asyncio_task *a = asyncio_create_task(returns(1)), *b = asyncio_create_task(returns(2));

    asyncio_sleep(0);
    asyncio_task *tick = asyncio_create_task(ticker(2));
    asyncio_sleep(0);
    int status = asyncio_gather(r, a, b);
    say("gather: %s", gathered(status, r, 2));
    return asyncio_await(tick);
}

SCENARIO(gather_refuses_the_same_coroutine_twice)
{
    intptr_t r[2];
    asyncio_coro *coro = says("once", 1);
    int status = asyncio_gather(r, coro, coro);

    say("gather: %s", gathered(status, r, 2));
    return 0;
}

/* ---- The rest ---- */

SCENARIO(null_is_out_of_memory)
{
    say("main: %s", text(asyncio_await((asyncio_task *)NULL)));
    return 0;
}

SCENARIO(equal_deadlines_keep_their_order)
{
    static char names[][8] = {"timer 0", "timer 1", "timer 2", "timer 3", "timer 4",
                              "timer 5", "timer 6", "timer 7", "timer 8", "timer 9"};
    asyncio_loop *loop = asyncio_get_running_loop();
    double when = asyncio_loop_time(loop) + 1;

    for (int i = 0; i < 10; i++)
        asyncio_loop_call_at(loop, when, said, names[i]);
    return asyncio_sleep(2);
}

SCENARIO(a_sleep_of_nan_is_refused)
{
    say("slept: %s", text(asyncio_sleep(__builtin_nan(""))));
    return 0;
}

ASYNC(stubborn)
{
    for (int i = 0; i < 5; i++) {
        int outcome = asyncio_sleep(4);
        say("stubborn: %s at %g", text(outcome), now());
    }
    return 0;
}

SCENARIO(a_task_that_will_not_end_is_left_behind)
{
    asyncio_release(asyncio_create_task(stubborn()));
    asyncio_sleep(1);
    say("main ends");
    return 0;
}
