/*
 * The loop itself: run, stop, close; and how a run ends.
 */
#include "parity.h"

static asyncio_future *create_on(asyncio_loop *loop, asyncio_coro *coro)
{
    return ASYNCIO_AS_FUTURE(asyncio_loop_create_task(loop, coro));
}

static void stop(void *loop)
{
    asyncio_loop_stop(loop);
}

LOOP_SCENARIO(loop_runs_until_complete)
{
    say("result %s", text(asyncio_loop_run_until_complete(loop, create_on(loop, sleeper("task", 1, 7)))));
    say("clock %g", now_of(loop));
}

LOOP_SCENARIO(loop_runs_until_an_error)
{
    say("result %s", text(asyncio_loop_run_until_complete(loop, create_on(loop, fails(1, 5)))));
}

static void cancels(void *future)
{
    asyncio_cancel((asyncio_future *)future);
}

LOOP_SCENARIO(loop_runs_until_cancelled)
{
    asyncio_future *task = create_on(loop, sleeper("task", 9, 0));

    asyncio_loop_call_later(loop, 1, cancels, task);
    say("result %s", text(asyncio_loop_run_until_complete(loop, task)));
}

LOOP_SCENARIO(loop_runs_what_is_done_already)
{
    asyncio_future *task = create_on(loop, says("task", 3));

    say("result %s", text(asyncio_loop_run_until_complete(loop, asyncio_ref(task))));
    asyncio_loop_call_soon(loop, said, "callback");
    say("result %s", text(asyncio_loop_run_until_complete(loop, task)));
}

LOOP_SCENARIO(loop_leaves_a_task_for_the_next_run)
{
    asyncio_future *task = create_on(loop, sleeper("task", 3, 1));

    say("result %s", text(asyncio_loop_run_until_complete(loop, create_on(loop, sleeper("first", 1, 2)))));
    say("done %d", asyncio_done(task));
    say("result %s", text(asyncio_loop_run_until_complete(loop, task)));
}

static void adds_callback(void *what)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), said, what);
}

LOOP_SCENARIO(loop_finishes_the_turn_in_which_its_future_is_done)
{
    asyncio_future *task = create_on(loop, says("task", 0));

    asyncio_loop_call_soon(loop, said, "after");
    asyncio_loop_call_soon(loop, adds_callback, "after that");
    say("result %s", text(asyncio_loop_run_until_complete(loop, task)));
    asyncio_loop_call_soon(loop, stop, loop);
    asyncio_loop_run_forever(loop);
}

LOOP_SCENARIO(loop_stops_before_it_runs)
{
    asyncio_loop_call_soon(loop, said, "callback");
    asyncio_loop_call_soon(loop, adds_callback, "callback of the callback");
    asyncio_loop_call_later(loop, 1, said, "timer");
    for (int i = 0; i < 2; i++) {
        asyncio_loop_stop(loop);
        asyncio_loop_run_forever(loop);
        say("stopped at %g", now_of(loop));
    }
}

LOOP_SCENARIO(loop_stops_after_the_turn)
{
    asyncio_loop_call_soon(loop, said, "before");
    asyncio_loop_call_soon(loop, stop, loop);
    asyncio_loop_call_soon(loop, said, "after");
    asyncio_loop_call_soon(loop, adds_callback, "added");
    asyncio_loop_run_forever(loop);
    say("stopped");
    asyncio_loop_call_soon(loop, stop, loop);
    asyncio_loop_run_forever(loop);
}

LOOP_SCENARIO(loop_stops_at_a_timer)
{
    asyncio_loop_call_later(loop, 1, said, "first");
    asyncio_loop_call_later(loop, 2, stop, loop);
    asyncio_loop_call_later(loop, 3, said, "third");
    asyncio_loop_run_forever(loop);
    say("stopped at %g", now_of(loop));
    asyncio_loop_call_later(loop, 5, stop, loop);
    asyncio_loop_run_forever(loop);
    say("stopped at %g", now_of(loop));
}

LOOP_SCENARIO(loop_is_stopped_before_the_future_is_done)
{
    asyncio_future *task = create_on(loop, sleeper("task", 2, 4));

    asyncio_loop_call_later(loop, 1, stop, loop);
    const char *result = text(asyncio_loop_run_until_complete(loop, asyncio_ref(task)));
    say("result %s, done %d", result, asyncio_done(task));
    say("result %s", text(asyncio_loop_run_until_complete(loop, task)));
}

ASYNC(stops)
{
    asyncio_loop_stop(asyncio_get_running_loop());
    say("stopping");
    asyncio_sleep(0);
    say("in the next run");
    return 0;
}

LOOP_SCENARIO(loop_is_stopped_by_a_task)
{
    asyncio_future *task = create_on(loop, stops());

    asyncio_loop_run_forever(loop);
    say("stopped");
    asyncio_loop_run_until_complete(loop, task);
}

static void says_state(void *arg)
{
    asyncio_loop *loop = arg;

    say("running %d, closed %d", asyncio_loop_is_running(loop), asyncio_loop_is_closed(loop));
}

LOOP_SCENARIO(loop_states)
{
    says_state(loop);
    asyncio_loop_call_soon(loop, says_state, loop);
    asyncio_loop_call_soon(loop, stop, loop);
    asyncio_loop_run_forever(loop);
    says_state(loop);
    asyncio_loop_close(loop);
    says_state(loop);
    asyncio_loop_close(loop);
    says_state(loop);
}

static void not_told(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

static const char *taken(asyncio_handle handle)
{
    return asyncio_handle_valid(handle) ? "taken" : "refused";
}

LOOP_SCENARIO(loop_takes_nothing_once_closed)
{
    asyncio_loop_close(loop);
    asyncio_loop_set_exception_handler(loop, not_told, NULL); /* where Python raises */
    say("run %s", text(asyncio_loop_run_forever(loop)));
    say("soon %s", taken(asyncio_loop_call_soon(loop, said, "never")));
    say("later %s", taken(asyncio_loop_call_later(loop, 1, said, "never")));
}

LOOP_SCENARIO(loop_drops_callbacks_when_closed)
{
    asyncio_loop_call_soon(loop, said, "never");
    asyncio_loop_call_later(loop, 1, said, "never");
    asyncio_loop_close(loop);
    say("closed");
}

static void runs_nested(void *loop)
{
    say("close %s", text(asyncio_loop_close(loop)));
    say("run %s", text(asyncio_loop_run_forever(loop)));
}

LOOP_SCENARIO(loop_refuses_to_run_in_itself)
{
    asyncio_loop_call_soon(loop, runs_nested, loop);
    asyncio_loop_call_soon(loop, stop, loop);
    asyncio_loop_run_forever(loop);
    say("closed %d", asyncio_loop_is_closed(loop));
}

ASYNC(makes_future, asyncio_future **, future)
{
    *future = asyncio_future_new();
    return 0;
}

ASYNC(awaits, asyncio_future *, future)
{
    return asyncio_await(future);
}

LOOP_SCENARIO(loop_refuses_a_future_of_another_loop)
{
    asyncio_loop *other = asyncio_loop_new(&virtual_options);
    asyncio_future *future = NULL;

    asyncio_loop_run_until_complete(other, create_on(other, makes_future(&future)));
    asyncio_future *task = create_on(loop, awaits(asyncio_ref(future)));
    say("await %s", text(asyncio_loop_run_until_complete(loop, task)));
    say("run %s", text(asyncio_loop_run_until_complete(loop, future)));
    asyncio_loop_close(other);
    asyncio_loop_release(other);
}

static void is_told(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    say("%s: %s", (const char *)arg, context->message);
}

LOOP_SCENARIO(loop_tells_its_exception_handler)
{
    const asyncio_exception_context context = {.message = "words"};

    asyncio_loop_call_exception_handler(loop, &context);
    asyncio_loop_set_exception_handler(loop, is_told, "another handler");
    asyncio_loop_call_exception_handler(loop, &context);
}

LOOP_SCENARIO(no_loop_no_task)
{
    asyncio_task *task = asyncio_create_task(says("never", 0));

    (void)loop;
    say("task %s", text(asyncio_result(task)));
    asyncio_release(task);
    say("loop %s", asyncio_get_running_loop() ? "some" : "none");
}

LOOP_SCENARIO(tasks_made_before_the_run_start_in_order)
{
    asyncio_future *a = create_on(loop, says("a", 0));

    asyncio_loop_call_soon(loop, said, "callback");
    asyncio_future *b = create_on(loop, says("b", 0));
    say("run");
    asyncio_loop_run_until_complete(loop, b);
    asyncio_loop_run_until_complete(loop, a);
}

/* ---- How asyncio_run ends ---- */

SCENARIO(run_cancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    int err = asyncio_sleep(1);
    if (!err)
        say("never");
    return err;
}

SCENARIO(run_fails)
{
    return asyncio_await(fails(1, 5));
}

ASYNC(tidies, const char *, name, double, delay)
{
    int outcome = asyncio_sleep(9);
    int tidied = asyncio_sleep(delay);

    say("%s: %s, tidied: %s at %g", name, text(outcome), text(tidied), now());
    return outcome;
}

SCENARIO(run_cancels_what_is_left)
{
    asyncio_release(asyncio_create_task(tidies("a", 1)));
    asyncio_release(asyncio_create_task(tidies("b", 0)));
    asyncio_release(asyncio_create_task(tidies("c", 0.5)));
    asyncio_sleep(1);
    say("main ends");
    return 0;
}

ASYNC(fails_when_cancelled, intptr_t, code)
{
    asyncio_sleep(9);
    return asyncio_await(fails(0, code));
}

SCENARIO(run_reports_what_fails_at_its_end)
{
    asyncio_release(asyncio_create_task(fails_when_cancelled(5)));
    asyncio_sleep(1);
    say("main ends");
    return 0;
}

ASYNC(swallows)
{
    for (int i = 0; i < 2; i++) {
        int outcome = asyncio_sleep(i ? 5 : 9);
        say("task: %s at %g", text(outcome), now());
    }
    return 0;
}

SCENARIO(run_waits_for_who_swallows_its_cancel)
{
    asyncio_release(asyncio_create_task(swallows()));
    asyncio_sleep(1);
    say("main ends");
    return 0;
}

SCENARIO(run_in_a_task_is_refused)
{
    say("run %s", text(asyncio_run(says("never", 0))));
    return 0;
}

LOOP_SCENARIO(runner_runs_twice)
{
    asyncio_runner runner;

    (void)loop;
    asyncio_runner_init(&runner, &virtual_options);
    asyncio_release(asyncio_loop_create_task(asyncio_runner_get_loop(&runner), sleeper("left", 2, 0)));
    say("result %s", text(asyncio_runner_run(&runner, sleeper("first", 1, 1))));
    say("result %s", text(asyncio_runner_run(&runner, sleeper("second", 2, 2))));
    asyncio_runner_close(&runner);
    say("run %s", text(asyncio_runner_run(&runner, says("never", 0))));
}

LOOP_SCENARIO(runner_ends_what_is_left)
{
    asyncio_runner runner;

    (void)loop;
    asyncio_runner_init(&runner, &virtual_options);
    asyncio_release(asyncio_loop_create_task(asyncio_runner_get_loop(&runner), tidies("left", 2)));
    say("result %s", text(asyncio_runner_run(&runner, fails(1, 5))));
    say("close");
    asyncio_runner_close(&runner);
    say("closed");
}

SCENARIO(run_drops_timers_at_its_end)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_later(loop, 1, said, "in time");
    asyncio_loop_call_later(loop, 3, said, "never");
    asyncio_sleep(2);
    say("main ends");
    return 0;
}
