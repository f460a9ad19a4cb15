/*
 * Futures, their callbacks, and what is told of a task.
 */
#include "parity.h"

#include <stdlib.h>
#include <string.h>

static void called(asyncio_future *future, void *name)
{
    say("callback %s: %s", (const char *)name, text(asyncio_result(future)));
}

SCENARIO(callbacks_run_a_turn_later_in_order)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, called, "b");
    asyncio_add_done_callback(future, called, "a");
    asyncio_add_done_callback(future, called, "b");
    asyncio_future_set_result(future, 3);
    say("set");
    asyncio_sleep(0);
    say("main");
    asyncio_release(future);
    return 0;
}

SCENARIO(callbacks_and_waiters_keep_their_order)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, called, "a");
    asyncio_task *task = asyncio_create_task(waiter("waiter", asyncio_ref(future)));
    asyncio_sleep(0);
    asyncio_add_done_callback(future, called, "b");
    asyncio_future_set_result(future, 1);
    asyncio_await(asyncio_create_task(ticker(2)));
    asyncio_release(future);
    return asyncio_await(task) < 0;
}

SCENARIO(a_callback_added_when_done_is_deferred)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_future_set_result(future, 2);
    asyncio_add_done_callback(future, called, "a");
    say("added");
    asyncio_sleep(0);
    say("main");
    asyncio_release(future);
    return 0;
}

SCENARIO(callbacks_of_a_task)
{
    asyncio_task *task = asyncio_create_task(says("task", 4));
    asyncio_task *tick = asyncio_create_task(ticker(3));

    asyncio_add_done_callback(task, called, "a");
    asyncio_add_done_callback(task, called, "b");
    say("main %s", text(asyncio_await(task)));
    return asyncio_await(tick);
}

static void adds(asyncio_future *future, void *arg)
{
    say("adds");
    asyncio_add_done_callback(future, called, arg);
}

SCENARIO(a_callback_adds_a_callback)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, adds, "a");
    asyncio_add_done_callback(future, called, "b");
    asyncio_future_set_result(future, 0);
    asyncio_await(asyncio_create_task(ticker(3)));
    asyncio_release(future);
    return 0;
}

static void removes(asyncio_future *future, void *arg)
{
    say("removes %zu", asyncio_remove_done_callback(future, called, arg));
}

SCENARIO(a_callback_removes_a_callback_too_late)
{
    static char a[] = "a";
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, removes, a);
    asyncio_add_done_callback(future, called, a);
    asyncio_future_set_result(future, 0);
    asyncio_sleep(0);
    say("main");
    asyncio_release(future);
    return 0;
}

SCENARIO(remove_counts_what_it_removed)
{
    static char a[] = "a", b[] = "b";
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, called, a);
    asyncio_add_done_callback(future, called, b);
    asyncio_add_done_callback(future, called, a);
    say("removed %zu", asyncio_remove_done_callback(future, called, a));
    say("removed %zu", asyncio_remove_done_callback(future, called, a));
    asyncio_future_set_result(future, 0);
    asyncio_sleep(0);
    say("removed %zu", asyncio_remove_done_callback(future, called, b));
    asyncio_release(future);
    return 0;
}

SCENARIO(callbacks_of_a_cancelled_future)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_add_done_callback(future, called, "a");
    say("cancel %d", asyncio_cancel(future));
    say("cancel %d", asyncio_cancel(future));
    asyncio_sleep(0);
    say("main");
    asyncio_release(future);
    return 0;
}

SCENARIO(a_future_is_set_once)
{
    asyncio_future *future = asyncio_future_new();

    say("done %d, result %s", asyncio_done(future), text(asyncio_result(future)));
    say("first %s", text(asyncio_future_set_result(future, 1)));
    say("second %s", text(asyncio_future_set_result(future, 2)));
    say("error %s", text(asyncio_future_set_error(future, -5)));
    say("cancel %d", asyncio_cancel(future));
    say("done %d, result %s", asyncio_done(future), text(asyncio_result(future)));
    asyncio_release(future);
    return 0;
}

SCENARIO(a_cancelled_future_takes_no_result)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_cancel(future);
    say("set %s", text(asyncio_future_set_result(future, 1)));
    say("done %d, cancelled %d, result %s", asyncio_done(future), asyncio_cancelled(future),
        text(asyncio_result(future)));
    asyncio_release(future);
    return 0;
}

SCENARIO(a_task_takes_no_result)
{
    asyncio_task *task = asyncio_create_task(says("task", 1));

    say("set %s", text(asyncio_future_set_result(ASYNCIO_AS_FUTURE(task), 2)));
    say("result %s", text(asyncio_result(task)));
    say("main %s", text(asyncio_await(asyncio_ref(task))));
    say("result %s", text(asyncio_result(task)));
    asyncio_release(task);
    return 0;
}

SCENARIO(waiters_of_a_future_resume_in_order)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    asyncio_future *future = asyncio_future_new();
    asyncio_task *waiters[4];

    for (int i = 0; i < 4; i++)
        waiters[i] = asyncio_create_task(waiter(names[i], asyncio_ref(future)));
    asyncio_sleep(0);
    asyncio_future_set_result(future, 9);
    say("set");
    for (int i = 0; i < 4; i++)
        asyncio_await(waiters[i]);
    asyncio_release(future);
    return 0;
}

SCENARIO(waiters_of_a_failed_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *a = asyncio_create_task(waiter("a", asyncio_ref(future)));
    asyncio_task *b = asyncio_create_task(waiter("b", asyncio_ref(future)));

    asyncio_sleep(0);
    asyncio_future_set_error(future, -5);
    say("main a: %s", text(asyncio_await(a)));
    say("main b: %s", text(asyncio_await(b)));
    say("main: %s", text(asyncio_await(future)));
    return 0;
}

ASYNC(counts, const char *, name, asyncio_future *, future)
{
    intptr_t outcome = asyncio_await(future);

    say("%s: %s, cancelling %d", name, text(outcome), asyncio_task_cancelling(asyncio_current_task()));
    return outcome;
}

SCENARIO(waiters_of_a_cancelled_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *a = asyncio_create_task(counts("a", asyncio_ref(future)));
    asyncio_task *b = asyncio_create_task(counts("b", asyncio_ref(future)));

    asyncio_sleep(0);
    asyncio_cancel(future);
    const char *outcome = text(asyncio_await(asyncio_ref(a)));
    say("main a: %s, cancelled %d", outcome, asyncio_cancelled(a));
    outcome = text(asyncio_await(asyncio_ref(b)));
    say("main b: %s, cancelled %d", outcome, asyncio_cancelled(b));
    asyncio_release(a);
    asyncio_release(b);
    asyncio_release(future);
    return 0;
}

static void sets_one(void *future)
{
    asyncio_future_set_result(future, 1);
}

SCENARIO(turns_to_await_a_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waiter("waiter", asyncio_ref(future)));
    asyncio_task *tick = asyncio_create_task(ticker(5));

    asyncio_loop_call_later(asyncio_get_running_loop(), 0, sets_one, future);
    say("main %s", text(asyncio_await(task)));
    asyncio_release(future);
    return asyncio_await(tick);
}

SCENARIO(a_done_future_is_awaited_without_a_turn)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *tick = asyncio_create_task(ticker(2));

    asyncio_sleep(0);
    asyncio_future_set_result(future, 1);
    const char *first = text(asyncio_await(asyncio_ref(future)));
    say("main %s, %s", first, text(asyncio_await(future)));
    return asyncio_await(tick);
}

/* ---- What is told of errors ---- */

SCENARIO(a_failed_task_that_nobody_awaits_is_reported)
{
    asyncio_release(asyncio_create_task(fails(0, 5)));
    asyncio_sleep(1);
    say("main");
    return 0;
}

SCENARIO(a_failed_task_is_reported_when_it_is_dropped)
{
    asyncio_task *task = asyncio_create_task(fails(0, 5));

    asyncio_sleep(1);
    say("done %d", asyncio_done(task));
    asyncio_release(task);
    say("main");
    return 0;
}

SCENARIO(a_failed_task_whose_result_was_read_is_not_reported)
{
    asyncio_task *task = asyncio_create_task(fails(0, 5));

    asyncio_sleep(1);
    say("result %s", text(asyncio_result(task)));
    asyncio_release(task);
    say("main");
    return 0;
}

SCENARIO(a_cancelled_task_is_not_reported)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 0));

    asyncio_sleep(0);
    asyncio_cancel(task);
    asyncio_release(task);
    asyncio_sleep(1);
    say("main");
    return 0;
}

SCENARIO(a_failed_future_is_reported_when_it_is_dropped)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_future_set_error(future, -7);
    asyncio_release(future);
    say("main");
    return 0;
}

ASYNC(raises, intptr_t, code, const char *, message)
{
    return asyncio_raise(-code, "%s", message);
}

SCENARIO(an_error_carries_its_message)
{
    asyncio_task *task = asyncio_create_task(raises(5, "no luck"));
    intptr_t outcome = asyncio_await(task);

    say("main: %s, %s", text(outcome), asyncio_error_message());
    return 0;
}

SCENARIO(a_message_belongs_to_its_error)
{
    intptr_t outcome = asyncio_await(asyncio_create_task(raises(5, "no luck")));
    say("first: %s, %s", text(outcome), asyncio_error_message());
    outcome = asyncio_await(asyncio_create_task(fails(0, 5)));
    say("second: %s, %s", text(outcome), asyncio_error_message());
    asyncio_await(asyncio_create_task(raises(5, "again")));
    asyncio_sleep(1);
    outcome = asyncio_await(asyncio_create_task(raises(6, "another")));
    say("third: %s, %s", text(outcome), asyncio_error_message());
    return 0;
}

ASYNC(raises_through, int, depth, intptr_t, code, const char *, message)
{
    if (depth)
        return asyncio_await(raises_through(depth - 1, code, message));
    return asyncio_await(asyncio_create_task(raises(code, message)));
}

SCENARIO(a_message_goes_up_a_chain)
{
    intptr_t outcome = asyncio_await(asyncio_create_task(raises_through(3, 5, "deep down")));

    say("main: %s, %s", text(outcome), asyncio_error_message());
    return 0;
}

/* ---- Who am I, who is there ---- */

static void says_current(void *arg)
{
    (void)arg;
    say("in a callback: %s", asyncio_current_task() ? "some" : "none");
}

static void says_current_when_done(asyncio_future *future, void *arg)
{
    (void)future;
    says_current(arg);
}

ASYNC(is_current, asyncio_task **, box)
{
    say("in a task: %d", asyncio_current_task() == *box);
    asyncio_sleep(0);
    say("after a wait: %d", asyncio_current_task() == *box);
    return 0;
}

SCENARIO(the_current_task)
{
    asyncio_task *me = asyncio_current_task(), *task;

    asyncio_loop_call_soon(asyncio_get_running_loop(), says_current, NULL);
    asyncio_loop_call_later(asyncio_get_running_loop(), 0.5, says_current, NULL);
    task = asyncio_create_task(is_current(&task));
    asyncio_add_done_callback(task, says_current_when_done, NULL);
    asyncio_await(task);
    say("in main: %d", asyncio_current_task() == me);
    return asyncio_sleep(1);
}

SCENARIO(all_the_tasks)
{
    say("tasks %zu", asyncio_all_tasks(NULL, 0));
    asyncio_task *a = asyncio_create_task(sleeper("a", 1, 0));
    asyncio_task *b = asyncio_create_task(says("b", 0));
    say("tasks %zu", asyncio_all_tasks(NULL, 0));
    asyncio_sleep(0);
    asyncio_sleep(0);
    say("tasks %zu", asyncio_all_tasks(NULL, 0));
    asyncio_await(a);
    asyncio_await(b);
    say("tasks %zu", asyncio_all_tasks(NULL, 0));
    return 0;
}

ASYNC(own_name)
{
    say("I am %s", asyncio_task_name(asyncio_current_task()));
    return 0;
}

static int number(asyncio_task *task)
{
    return atoi(asyncio_task_name(task) + strlen("Task-"));
}

SCENARIO(names_of_tasks)
{
    asyncio_task *a = asyncio_create_task_with(own_name(), &(asyncio_task_options){.name = "first"});
    asyncio_task *b = asyncio_create_task(says("second", 0));

    say("a %s", asyncio_task_name(a));
    say("b %.5s", asyncio_task_name(b));
    asyncio_task *c = asyncio_create_task(says("third", 0));
    say("c is b plus %d", number(c) - number(b));
    asyncio_task_set_name(b, "renamed");
    say("b %s", asyncio_task_name(b));
    asyncio_await(asyncio_ref(a));
    asyncio_await(b);
    asyncio_await(c);
    say("a %s", asyncio_task_name(a));
    asyncio_release(a);
    return 0;
}

SCENARIO(states_of_a_task)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 6));

    for (int i = 0; i < 3; i++) {
        say("done %d, cancelled %d, result %s", asyncio_done(task), asyncio_cancelled(task),
            text(asyncio_result(task)));
        asyncio_sleep(1);
    }
    asyncio_release(task);
    return 0;
}
