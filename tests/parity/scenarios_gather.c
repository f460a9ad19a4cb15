/*
 * gather, where C does as Python.
 */
#include "parity.h"

SCENARIO(gather_keeps_the_order_of_its_arguments)
{
    intptr_t r[3];
    int status = asyncio_gather(r, sleeper("a", 3, 1), sleeper("b", 1, 2), sleeper("c", 2, 3));

    say("gather: %s at %g", gathered(status, r, 3), now());
    return 0;
}

SCENARIO(gather_starts_its_children_in_order)
{
    intptr_t r[3];
    asyncio_task *task = asyncio_create_task(says("task", 0));
    int status = asyncio_gather(r, says("a", 1), says("b", 2), task);

    say("gather: %s", gathered(status, r, 3));
    return 0;
}

static void sets_three(void *future)
{
    asyncio_future_set_result(future, 3);
}

SCENARIO(gather_takes_coroutines_tasks_and_futures)
{
    intptr_t r[3];
    asyncio_future *future = asyncio_future_new();

    asyncio_loop_call_later(asyncio_get_running_loop(), 2, sets_three, future);
    int status = asyncio_gather(r, says("coroutine", 1), asyncio_create_task(sleeper("task", 1, 2)), future);
    say("gather: %s at %g", gathered(status, r, 3), now());
    return 0;
}

SCENARIO(gather_of_nothing)
{
    asyncio_task *tick = asyncio_create_task(ticker(1));

    say("gather: %s", gathered(asyncio_gather_array(NULL, (asyncio_task **)NULL, 0), NULL, 0));
    return asyncio_await(tick);
}

SCENARIO(gather_takes_a_task_twice)
{
    intptr_t r[2];
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 4));
    int status = asyncio_gather(r, asyncio_ref(task), task);

    say("gather: %s", gathered(status, r, 2));
    return 0;
}

ASYNC(gathers, const char *, name, asyncio_future *, a, asyncio_future *, b)
{
    intptr_t r[2];
    int status = asyncio_gather(r, a, b);

    say("%s: %s", name, gathered(status, r, 2));
    return 0;
}

/* The same of two coroutines. */
ASYNC(gathers_coros, const char *, name, asyncio_coro *, a, asyncio_coro *, b)
{
    intptr_t r[2];
    int status = asyncio_gather(r, a, b);

    say("%s: %s", name, gathered(status, r, 2));
    return 0;
}

SCENARIO(turns_of_gather)
{
    asyncio_future *a = asyncio_future_new(), *b = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(gathers("gather", asyncio_ref(a), asyncio_ref(b)));

    asyncio_sleep(0);
    asyncio_future_set_result(a, 1);
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_future_set_result(b, 2);
    asyncio_await(asyncio_create_task(ticker(5)));
    asyncio_release(a);
    asyncio_release(b);
    return asyncio_await(task);
}

SCENARIO(turns_of_gather_over_tasks)
{
    asyncio_task *tick = asyncio_create_task(ticker(8));

    asyncio_await(gathers_coros("gather", says("a", 1), says("b", 2)));
    return asyncio_await(tick);
}

SCENARIO(gather_in_gather)
{
    intptr_t r[2];
    asyncio_coro *inner = gathers_coros("inner", says("a", 1), sleeper("b", 1, 2));
    int status = asyncio_gather(r, inner, sleeper("c", 2, 3));

    say("outer: %s at %g", gathered(status, r, 2), now());
    return 0;
}

SCENARIO(gather_fails_with_its_last_child)
{
    intptr_t r[2];
    int status = asyncio_gather(r, sleeper("a", 1, 0), fails(2, 5));

    say("gather: %s at %g", gathered(status, r, 2), now());
    return 0;
}

static void cancels(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

SCENARIO(gather_with_a_cancelled_child)
{
    intptr_t r[2];
    asyncio_task *a = asyncio_create_task(sleeper("a", 1, 0)), *b = asyncio_create_task(sleeper("b", 9, 0));

    asyncio_loop_call_later(asyncio_get_running_loop(), 2, cancels, b);
    int status = asyncio_gather(r, a, b);
    say("gather: %s at %g, cancelling %d", gathered(status, r, 2), now(),
        asyncio_task_cancelling(asyncio_current_task()));
    return 0;
}

SCENARIO(gather_reports_no_second_error)
{
    int status = asyncio_gather(NULL, fails(1, 5), fails(1, 6));

    say("gather: %s at %g", text(status), now());
    return 0;
}

static void sets_error_five(void *future)
{
    asyncio_future_set_error(future, -5);
}

SCENARIO(gather_takes_a_failed_future_twice)
{
    intptr_t r[2];
    asyncio_future *future = asyncio_future_new();

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, sets_error_five, future);
    int status = asyncio_gather_settled(r, asyncio_ref(future), future);
    say("gather: %s at %g", gathered(status, r, 2), now());
    return 0;
}

SCENARIO(gather_of_a_task_that_failed_before)
{
    asyncio_task *task = asyncio_create_task(fails(0, 5));

    asyncio_sleep(1);
    say("gather: %s at %g", gathered(asyncio_gather(NULL, task), NULL, 0), now());
    return 0;
}

SCENARIO(settled_gather_has_errors_in_their_places)
{
    intptr_t r[4];
    asyncio_task *cancelled = asyncio_create_task(sleeper("cancelled", 9, 0));

    asyncio_loop_call_later(asyncio_get_running_loop(), 1.5, cancels, cancelled);
    int status = asyncio_gather_settled(r, fails(1, 5), sleeper("b", 2, 7), cancelled, fails(0, 6));
    say("gather: %s at %g", gathered(status, r, 4), now());
    return 0;
}

/* When it is cancelled, it takes time to end. */
ASYNC(tidies, const char *, name, double, delay, intptr_t, value)
{
    int outcome = asyncio_sleep(9);

    say("%s: %s", name, text(outcome));
    int tidied = asyncio_sleep(delay);
    say("%s tidied: %s at %g", name, text(tidied), now());
    return value ? value : outcome;
}

SCENARIO(gather_is_cancelled)
{
    asyncio_task *task = asyncio_create_task(gathers_coros("gather", sleeper("a", 5, 0), sleeper("b", 6, 0)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    const char *outcome = text(asyncio_await(asyncio_ref(task)));
    say("main: %s, cancelling %d, at %g", outcome, asyncio_task_cancelling(task), now());
    asyncio_release(task);
    return 0;
}

SCENARIO(gather_is_cancelled_and_its_children_swallow_it)
{
    asyncio_task *task = asyncio_create_task(gathers_coros("gather", tidies("a", 0, 1), tidies("b", 1, 2)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    const char *outcome = text(asyncio_await(task));
    say("main: %s at %g", outcome, now());
    return 0;
}

ASYNC(gathers_settled, const char *, name, asyncio_coro *, a, asyncio_coro *, b)
{
    intptr_t r[2];
    int status = asyncio_gather_settled(r, a, b);

    say("%s: %s at %g", name, gathered(status, r, 2), now());
    return 0;
}

SCENARIO(settled_gather_is_cancelled)
{
    asyncio_task *task = asyncio_create_task(gathers_settled("gather", tidies("a", 2, 0), tidies("b", 1, 2)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    const char *outcome = text(asyncio_await(asyncio_ref(task)));
    say("main: %s at %g, cancelling %d", outcome, now(), asyncio_task_cancelling(task));
    asyncio_release(task);
    return 0;
}

ASYNC(fails_when_cancelled, intptr_t, code)
{
    asyncio_sleep(9);
    return -code;
}

SCENARIO(settled_gather_is_cancelled_and_a_child_fails)
{
    asyncio_coro *coro = gathers_settled("gather", fails_when_cancelled(5), tidies("b", 1, 0));
    asyncio_task *task = asyncio_create_task(coro);

    asyncio_sleep(1);
    asyncio_cancel(task);
    say("main: %s", text(asyncio_await(task)));
    return 0;
}

ASYNC(cancels_itself_and_gathers, asyncio_task *, a, asyncio_task *, b)
{
    asyncio_cancel(asyncio_current_task());
    return asyncio_await(gathers("gather", ASYNCIO_AS_FUTURE(a), ASYNCIO_AS_FUTURE(b)));
}

SCENARIO(cancel_oneself_and_then_gather)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 1, 0)), *b = asyncio_create_task(sleeper("b", 2, 0));

    return asyncio_await(asyncio_create_task(cancels_itself_and_gathers(a, b)));
}

SCENARIO(gather_is_cancelled_twice)
{
    asyncio_task *task = asyncio_create_task(gathers_settled("gather", tidies("a", 2, 0), tidies("b", 4, 0)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_sleep(1);
    asyncio_cancel(task);
    const char *outcome = text(asyncio_await(asyncio_ref(task)));
    say("main: %s at %g, cancelling %d", outcome, now(), asyncio_task_cancelling(task));
    asyncio_release(task);
    return 0;
}

/* Once it was delivered by gather, the next wait is an ordinary one. */
ASYNC(gathers_and_goes_on)
{
    asyncio_await(gathers_coros("gather", sleeper("a", 5, 0), sleeper("b", 6, 0)));
    const char *outcome = text(asyncio_sleep(1));
    say("sleep: %s at %g", outcome, now());
    return 0;
}

SCENARIO(gather_lets_a_request_go)
{
    asyncio_task *task = asyncio_create_task(gathers_and_goes_on());

    asyncio_sleep(1);
    asyncio_cancel(task);
    say("main: %s", text(asyncio_await(task)));
    return 0;
}
