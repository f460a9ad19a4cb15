/*
 * Cancellation, counted: several requests, several waiters, messages.
 */
#include "parity.h"

ASYNC(tidies, const char *, name, double, delay)
{
    int outcome = asyncio_sleep(9);

    say("%s: %s", name, text(outcome));
    int tidied = asyncio_sleep(delay);
    say("%s tidied: %s at %g", name, text(tidied), now());
    return outcome;
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

/* ---- Several requests, several waiters ---- */

SCENARIO(two_requests_before_delivery_are_one)
{
    asyncio_task *task = asyncio_create_task(naps_and_sleeps("task", 9));

    asyncio_sleep(1);
    say("cancel %d", asyncio_cancel(task));
    bool cancelled = asyncio_cancel(task);
    say("cancel %d, cancelling %d", cancelled, asyncio_task_cancelling(task));
    return ends(task);
}

SCENARIO(two_requests_to_a_yielding_task_are_one)
{
    asyncio_task *task = asyncio_create_task(naps_and_sleeps("task", 0));

    asyncio_sleep(0);
    asyncio_cancel(task);
    asyncio_cancel(task);
    return ends(task);
}

SCENARIO(a_second_request_during_cleanup)
{
    asyncio_task *task = asyncio_create_task(tidies("task", 4));

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_sleep(1);
    asyncio_cancel(task);
    return ends(task);
}

SCENARIO(a_second_request_to_an_awaiter_reaches_the_inner_task)
{
    asyncio_task *inner = asyncio_create_task(tidies("inner", 4));
    asyncio_task *outer = asyncio_create_task(task_waiter("outer", asyncio_ref(inner)));

    asyncio_sleep(1);
    asyncio_cancel(outer);
    asyncio_sleep(1);
    asyncio_cancel(outer);
    ends(outer);
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
    return ends(task);
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
    ends(asyncio_ref(task));
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
    return ends(asyncio_create_task(uncancels_one_of_two()));
}

SCENARIO(uncancel_does_not_help_a_task_whose_sleep_was_cancelled)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));

    asyncio_sleep(1);
    asyncio_cancel(task);
    say("uncancel %d", asyncio_task_uncancel(task));
    return ends(task);
}

SCENARIO(a_cancelled_task_with_two_awaiters)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));
    asyncio_task *a = asyncio_create_task(task_waiter("a", asyncio_ref(task)));
    asyncio_task *b = asyncio_create_task(task_waiter("b", asyncio_ref(task)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_release(task);
    ends(a);
    return ends(b);
}

SCENARIO(one_of_two_awaiters_is_cancelled)
{
    asyncio_task *task = asyncio_create_task(sleeper("task", 9, 0));
    asyncio_task *a = asyncio_create_task(task_waiter("a", asyncio_ref(task)));
    asyncio_task *b = asyncio_create_task(task_waiter("b", asyncio_ref(task)));

    asyncio_sleep(1);
    asyncio_cancel(a);
    ends(b);
    ends(a);
    return ends(task);
}

SCENARIO(one_of_two_waiters_of_a_future_is_cancelled)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *a = asyncio_create_task(waiter("a", asyncio_ref(future)));
    asyncio_task *b = asyncio_create_task(waiter("b", future));

    asyncio_sleep(1);
    asyncio_cancel(b);
    ends(b);
    return ends(a);
}

SCENARIO(cancel_the_future_and_then_its_waiter)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waits_and_sleeps("task", asyncio_ref(future)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(future);
    say("future %d, task %d", cancelled, asyncio_cancel(task));
    asyncio_release(future);
    return ends(task);
}

SCENARIO(cancel_the_waiter_and_then_its_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(waits_and_sleeps("task", asyncio_ref(future)));

    asyncio_sleep(1);
    bool cancelled = asyncio_cancel(task);
    say("task %d, future %d", cancelled, asyncio_cancel(future));
    asyncio_release(future);
    return ends(task);
}

SCENARIO(an_awaiter_survives_a_cancelled_child)
{
    asyncio_task *child = asyncio_create_task(sleeper("child", 9, 0));
    asyncio_task *task = create_waits_and_sleeps("task", child);

    asyncio_sleep(1);
    asyncio_cancel(child);
    asyncio_release(child);
    return ends(task);
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
    ends(tasks[1]);
    return ends(tasks[0]);
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

ASYNC(reads_three_messages)
{
    for (int i = 0; i < 3; i++) {
        int outcome = asyncio_sleep(9);
        say("task: %s, %s", text(outcome), asyncio_error_message());
    }
    return 0;
}

SCENARIO(a_message_goes_with_its_request_alone)
{
    asyncio_task *task = asyncio_create_task(reads_three_messages());

    asyncio_sleep(1);
    asyncio_cancel_with(task, "first");
    asyncio_sleep(1);
    asyncio_cancel(task);
    asyncio_sleep(1);
    asyncio_cancel_with(task, "third");
    asyncio_await(task);
    return 0;
}

SCENARIO(two_messages_to_a_sleeping_task)
{
    asyncio_task *task = asyncio_create_task(naps_and_reads_message("task", 9));

    asyncio_sleep(1);
    asyncio_cancel_with(task, "one");
    asyncio_cancel_with(task, "two");
    asyncio_await(task);
    return 0;
}

SCENARIO(two_messages_to_a_yielding_task)
{
    asyncio_task *task = asyncio_create_task(naps_and_reads_message("task", 0));

    asyncio_sleep(0);
    asyncio_cancel_with(task, "one");
    asyncio_cancel_with(task, "two");
    asyncio_await(task);
    return 0;
}
