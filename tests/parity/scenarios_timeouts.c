/*
 * Timeouts: who is woken when, and what wins.
 */
#include "parity.h"

#include <errno.h>

/* After the call, what came of it and when. */
static void tell(const char *what, intptr_t outcome)
{
    say("%s: %s at %g", what, text(outcome), now());
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

/* The body's outcome, through a timeout. Takes the body over. */
ASYNC(limited, const char *, name, double, delay, asyncio_coro *, body)
{
    asyncio_timeout limit;

    asyncio_timeout_enter(&limit, delay);
    intptr_t outcome = asyncio_timeout_exit(&limit, asyncio_await(body));
    say("%s: expired %d, cancelling %d at %g", name, asyncio_timeout_expired(&limit), cancelling(), now());
    return outcome;
}

static void cancels(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

SCENARIO(timeout_among_timers)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_later(loop, 1, said_at, "before");
    asyncio_task *task = asyncio_create_task(limited("task", 1, nap(5)));
    asyncio_sleep(0);
    asyncio_loop_call_later(loop, 1, said_at, "after");
    return ends(task);
}

ASYNC(ticks)
{
    asyncio_sleep(1);
    return asyncio_await(ticker(4));
}

SCENARIO(turns_of_a_timeout)
{
    asyncio_task *tick = asyncio_create_task(ticks());

    say("main: %s", text(asyncio_await(limited("main", 1, nap(5)))));
    return asyncio_await(tick);
}

ASYNC(nothing)
{
    return 4;
}

SCENARIO(timeout_of_zero_without_a_wait)
{
    say("main: %s", text(asyncio_await(limited("main", 0, nothing()))));
    say("main: %s", text(asyncio_await(limited("main", -3, nothing()))));
    return 0;
}

SCENARIO(timeout_of_zero_with_waits)
{
    asyncio_task *tick = asyncio_create_task(ticker(6));

    say("main: %s", text(asyncio_await(limited("main", 0, nap(5)))));
    say("main: %s", text(asyncio_await(limited("main", -1, ticker(9)))));
    return asyncio_await(tick);
}

SCENARIO(timeout_at_equal_sleep)
{
    say("main: %s", text(asyncio_await(limited("main", 1, nap(1)))));
    return 0;
}

SCENARIO(timeout_and_a_cancel_before_it)
{
    asyncio_task *task = asyncio_create_task(limited("task", 5, nap(9)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

SCENARIO(timeout_and_a_cancel_in_its_tick)
{
    asyncio_task *task = asyncio_create_task(limited("task", 1, nap(9)));

    asyncio_sleep(0);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancels, task);
    return ends(task);
}

SCENARIO(timeout_after_a_cancel_in_its_tick)
{
    asyncio_task *task = asyncio_create_task(limited("task", 1, nap(9)));

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancels, task);
    return ends(task);
}

ASYNC(slow_to_end, double, delay)
{
    int err = asyncio_sleep(9);

    say("body: %s at %g", text(err), now());
    tell("tidied", asyncio_sleep(delay));
    return err;
}

SCENARIO(timeout_and_a_cancel_after_it)
{
    asyncio_task *task = asyncio_create_task(limited("task", 1, slow_to_end(4)));

    asyncio_sleep(2);
    asyncio_cancel(task);
    return ends(task);
}

SCENARIO(timeout_of_a_slow_body)
{
    return ends(asyncio_create_task(limited("task", 1, slow_to_end(4))));
}

ASYNC(swallows_and_returns)
{
    tell("body", asyncio_sleep(9));
    tell("body", asyncio_sleep(9));
    return 5;
}

SCENARIO(timeout_swallowed)
{
    return ends(asyncio_create_task(limited("task", 1, swallows_and_returns())));
}

ASYNC(fails_then)
{
    asyncio_sleep(9);
    return -5;
}

SCENARIO(timeout_and_another_error)
{
    return ends(asyncio_create_task(limited("task", 1, fails_then())));
}

SCENARIO(timeouts_nested_inner)
{
    say("main: %s", text(asyncio_await(limited("outer", 5, limited("inner", 1, nap(9))))));
    return 0;
}

SCENARIO(timeouts_nested_outer)
{
    say("main: %s", text(asyncio_await(limited("outer", 1, limited("inner", 5, nap(9))))));
    return 0;
}

ASYNC(inner_and_wait, bool, wait)
{
    say("inner gives %s", text(asyncio_await(limited("inner", -1, nap(9)))));
    if (wait) {
        int err = asyncio_sleep(1);
        say("slept: %s at %g", text(err), now());
        if (err)
            return err;
    }
    return 3;
}

SCENARIO(timeouts_overdue_at_once)
{
    say("main: %s", text(asyncio_await(limited("outer", 0, inner_and_wait(true)))));
    return 0;
}

SCENARIO(timeouts_overdue_at_once_without_a_wait_between)
{
    say("main: %s", text(asyncio_await(limited("outer", 0, inner_and_wait(false)))));
    return 0;
}

ASYNC(cleans_up)
{
    say("slept: %s", text(asyncio_sleep(9)));
    say("cleanup: %s", text(asyncio_await(limited("cleanup", 1, nap(9)))));
    tell("slept", asyncio_sleep(1));
    return 0;
}

SCENARIO(timeout_in_a_cancelled_tasks_cleanup)
{
    asyncio_task *task = asyncio_create_task(cleans_up());

    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

ASYNC(waits_twice)
{
    say("slept: %s", text(asyncio_sleep(1)));
    return asyncio_sleep(9);
}

ASYNC(cancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    say("limited: %s", text(asyncio_await(limited("task", 1, waits_twice()))));
    return 0;
}

SCENARIO(timeout_of_a_task_cancelled_before_it)
{
    return ends(asyncio_create_task(cancels_itself()));
}

SCENARIO(timeout_rescheduled)
{
    static const double delays[] = {1, 5, ASYNCIO_FOREVER, -1};

    for (int i = 0; i < 4; i++) {
        asyncio_timeout limit;
        asyncio_timeout_enter(&limit, 3);
        asyncio_timeout_reschedule(&limit, asyncio_time() + delays[i]);
        if (asyncio_timeout_exit(&limit, asyncio_sleep(9)) == -ETIMEDOUT)
            say("timeout");
        say("expired %d at %g", asyncio_timeout_expired(&limit), now());
    }
    return 0;
}

SCENARIO(timeout_at_a_time)
{
    asyncio_timeout limit;

    asyncio_timeout_enter_at(&limit, asyncio_time() + 2);
    if (asyncio_timeout_exit(&limit, asyncio_sleep(9)) == -ETIMEDOUT)
        said_at("timeout");
    return 0;
}

ASYNC(swallows)
{
    tell("child", asyncio_sleep(9));
    asyncio_sleep(1);
    return 6;
}

ASYNC(awaits, asyncio_future *, future)
{
    return asyncio_await(future);
}

SCENARIO(timeout_passed_on_to_a_task)
{
    say("main: %s", text(asyncio_await(limited("main", 1, awaits(asyncio_ensure_future(swallows()))))));
    asyncio_future *task = asyncio_ensure_future(sleeper("child", 9, 0));
    say("main: %s", text(asyncio_await(limited("main", 1, awaits(task)))));
    return 0;
}

struct two {
    asyncio_future *first, *second;
};

static void give_second(void *arg)
{
    asyncio_future_set_result(((struct two *)arg)->second, 7);
}

static void give_first(void *arg)
{
    asyncio_future_set_result(((struct two *)arg)->first, 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), give_second, arg);
}

SCENARIO(timeout_noticed_after_a_result)
{
    struct two two = {asyncio_future_new(), asyncio_future_new()};

    asyncio_loop_call_soon(asyncio_get_running_loop(), give_first, &two);
    asyncio_await(two.first);
    say("main: %s", text(asyncio_await(limited("main", 0, awaits(two.second)))));
    return 0;
}
