/*
 * Task groups: turns, failures, requests from outside. One failure is written as
 * itself, several as a list in brackets.
 */
#include "parity.h"

#include <errno.h>
#include <stdio.h>

/* After the call, what came of it and when. */
static void tell(const char *what, intptr_t outcome)
{
    say("%s: %s at %g", what, text(outcome), now());
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static const char *told(intptr_t outcome, const asyncio_task_group *group)
{
    static char list[256];
    size_t used = 0;

    if (outcome != ASYNCIO_EGROUP)
        return text(outcome);
    for (size_t i = 0; i < asyncio_task_group_error_count(group); i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "[",
                                 text(asyncio_task_group_error(group, i)));
    snprintf(list + used, sizeof list - used, "]");
    return list;
}

/* Runs up to three children in a group, with a body. Takes all of them over. */
ASYNC(grouped, const char *, name, asyncio_coro *, body, asyncio_coro *, a, asyncio_coro *, b, asyncio_coro *,
      c, asyncio_coro *, d)
{
    asyncio_coro *children[] = {a, b, c, d};
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    for (int i = 0; i < 4; i++)
        if (children[i])
            asyncio_task_group_create_task(&group, children[i]);
    intptr_t outcome = asyncio_task_group_exit(&group, asyncio_await(body));
    say("%s: %s, cancelling %d at %g", name, told(outcome, &group), cancelling(), now());
    return outcome;
}

ASYNC(crashes, double, delay, intptr_t, code)
{
    asyncio_sleep(99);
    asyncio_sleep(delay);
    return -code;
}

ASYNC(nothing)
{
    return 0;
}

static asyncio_coro *three(const char *name, asyncio_coro *body, asyncio_coro *a, asyncio_coro *b)
{
    return grouped(name, body, a, b, NULL, NULL);
}

static intptr_t ticked(int ticks, asyncio_coro *(*make)(void))
{
    asyncio_task *tick = asyncio_create_task(ticker(ticks));

    asyncio_await(make());
    return asyncio_await(tick);
}

static asyncio_coro *empty(void)
{
    return three("main", nothing(), NULL, NULL);
}

SCENARIO(turns_of_an_empty_group)
{
    return ticked(2, empty);
}

static asyncio_coro *of_two(void)
{
    return three("main", nothing(), says("a", 0), says("b", 0));
}

SCENARIO(turns_of_a_group)
{
    return ticked(6, of_two);
}

static asyncio_coro *of_waiting(void)
{
    return three("main", nap(0), sleeper("a", 0, 0), sleeper("b", 1, 0));
}

SCENARIO(turns_of_a_group_whose_children_wait)
{
    return ticked(8, of_waiting);
}

static asyncio_coro *of_failing(void)
{
    return three("main", nap(9), sleeper("a", 9, 0), fails(0, 5));
}

SCENARIO(turns_when_a_child_fails)
{
    return ticked(8, of_failing);
}

static asyncio_coro *of_failing_late(void)
{
    return three("main", nothing(), sleeper("a", 9, 0), fails(0, 5));
}

SCENARIO(turns_when_a_child_fails_during_the_exit)
{
    return ticked(8, of_failing_late);
}

SCENARIO(group_waits_for_all)
{
    asyncio_coro *a = sleeper("a", 2, 0), *b = sleeper("b", 3, 0), *c = sleeper("c", 0.5, 0);

    asyncio_await(grouped("main", nap(1), a, b, c, NULL));
    return 0;
}

SCENARIO(group_with_a_cancelled_child)
{
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    asyncio_task *a = asyncio_task_group_create_task(&group, sleeper("a", 2, 0));
    asyncio_task_group_create_task(&group, sleeper("b", 3, 0));
    asyncio_sleep(0);
    asyncio_cancel(a);
    intptr_t outcome = asyncio_task_group_exit(&group, 0);
    say("main: %s at %g", told(outcome, &group), now());
    return 0;
}

SCENARIO(group_with_a_failing_child)
{
    asyncio_coro *a = sleeper("a", 9, 0), *b = sleeper("b", 0.5, 0);

    asyncio_await(grouped("main", sleeper("body", 9, 0), a, fails(1, 5), b, NULL));
    return 0;
}

SCENARIO(group_with_two_that_fail_at_once)
{
    asyncio_await(grouped("main", sleeper("body", 9, 0), fails(1, 5), fails(1, 6), sleeper("a", 9, 0), NULL));
    return 0;
}

SCENARIO(group_with_siblings_that_crash)
{
    asyncio_await(grouped("main", nothing(), crashes(2, 5), crashes(1, 6), fails(1, 7), sleeper("a", 9, 0)));
    return 0;
}

SCENARIO(group_with_a_failing_body)
{
    asyncio_await(three("main", fails(1, 5), sleeper("a", 9, 0), NULL));
    asyncio_await(three("main", fails(1, 5), sleeper("a", 9, 0), crashes(1, 6)));
    return 0;
}

ASYNC(swallows)
{
    tell("body", asyncio_sleep(9));
    tell("body", asyncio_sleep(1));
    return 0;
}

SCENARIO(group_whose_body_swallows)
{
    asyncio_await(three("main", swallows(), fails(1, 5), NULL));
    return 0;
}

static void cancel_in_a_second(asyncio_task *task)
{
    asyncio_sleep(1);
    asyncio_cancel(task);
}

SCENARIO(group_cancelled_while_it_is_left)
{
    asyncio_task *task = asyncio_create_task(three("task", nothing(), sleeper("a", 9, 0), nap(9)));

    cancel_in_a_second(task);
    asyncio_await(task);
    return 0;
}

SCENARIO(group_cancelled_in_its_body)
{
    asyncio_task *task = asyncio_create_task(three("task", sleeper("body", 9, 0), sleeper("a", 9, 0), NULL));

    cancel_in_a_second(task);
    asyncio_await(task);
    return 0;
}

ASYNC(grouped_and_sleeps, asyncio_coro *, group)
{
    asyncio_await(group);
    tell("slept", asyncio_sleep(1));
    tell("slept", asyncio_sleep(1));
    return 0;
}

SCENARIO(group_cancelled_and_a_child_crashes)
{
    asyncio_coro *group = three("task", nothing(), crashes(1, 5), NULL);
    asyncio_task *task = asyncio_create_task(grouped_and_sleeps(group));

    cancel_in_a_second(task);
    return ends(task);
}

SCENARIO(groups_nested_inner_fails)
{
    asyncio_coro *inner = three("inner", sleeper("body", 9, 0), fails(1, 5), NULL);

    asyncio_await(three("outer", inner, sleeper("a", 9, 0), NULL));
    return 0;
}

SCENARIO(groups_nested_outer_fails)
{
    asyncio_coro *inner = three("inner", sleeper("body", 9, 0), sleeper("a", 9, 0), NULL);

    asyncio_await(three("outer", inner, fails(1, 5), NULL));
    return 0;
}

SCENARIO(groups_nested_both_fail_at_once)
{
    asyncio_coro *inner = three("inner", sleeper("body", 9, 0), fails(1, 5), NULL);

    asyncio_await(three("outer", inner, fails(1, 6), NULL));
    return 0;
}

SCENARIO(groups_nested_both_fail_during_the_exit)
{
    asyncio_coro *inner = three("inner", nothing(), fails(1, 5), NULL);

    asyncio_await(three("outer", inner, fails(1, 6), NULL));
    return 0;
}

ASYNC(spawns, asyncio_task_group *, group, int, depth)
{
    asyncio_sleep(1);
    say("depth %d at %g", depth, now());
    if (depth)
        asyncio_task_group_create_task(group, spawns(group, depth - 1));
    return 0;
}

SCENARIO(group_spawns_while_it_is_left)
{
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, spawns(&group, 3));
    asyncio_task_group_exit(&group, 0);
    say("main at %g", now());
    return 0;
}

SCENARIO(group_refuses_children)
{
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, fails(0, 5));
    say("slept: %s", text(asyncio_sleep(1)));
    say("spawn: %s", text(asyncio_result(asyncio_task_group_create_task(&group, says("late", 0)))));
    intptr_t outcome = asyncio_task_group_exit(&group, 0);
    say("main: %s", told(outcome, &group));
    say("spawn: %s", text(asyncio_result(asyncio_task_group_create_task(&group, says("late", 0)))));
    return 0;
}

SCENARIO(timeout_around_a_group)
{
    asyncio_timeout limit;

    asyncio_timeout_enter(&limit, 1);
    intptr_t outcome = asyncio_await(three("group", nothing(), sleeper("a", 9, 0), NULL));
    if (asyncio_timeout_exit(&limit, outcome) == -ETIMEDOUT)
        say("timeout at %g, cancelling %d", now(), cancelling());
    return 0;
}

SCENARIO(timeout_around_a_group_that_crashes)
{
    asyncio_timeout limit;

    asyncio_timeout_enter(&limit, 1);
    intptr_t outcome = asyncio_await(three("group", nothing(), crashes(1, 5), NULL));
    outcome = asyncio_timeout_exit(&limit, outcome);
    say("main: %s, expired %d, cancelling %d", text(outcome), asyncio_timeout_expired(&limit), cancelling());
    return 0;
}

ASYNC(limited)
{
    asyncio_timeout limit;

    asyncio_timeout_enter(&limit, 1);
    return asyncio_timeout_exit(&limit, asyncio_sleep(9));
}

SCENARIO(timeout_in_a_child_of_a_group)
{
    asyncio_await(three("main", nothing(), limited(), sleeper("a", 9, 0)));
    return 0;
}

ASYNC(cleans_up)
{
    say("slept: %s", text(asyncio_sleep(9)));
    asyncio_await(three("cleanup", nap(2), sleeper("a", 1, 0), NULL));
    tell("slept", asyncio_sleep(1));
    return 0;
}

SCENARIO(group_in_a_cancelled_tasks_cleanup)
{
    asyncio_task *task = asyncio_create_task(cleans_up());

    cancel_in_a_second(task);
    return ends(task);
}

SCENARIO(group_and_a_callback_in_the_tick_of_a_failure)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_later(loop, 1, said, "callback before");
    asyncio_task *task =
        asyncio_create_task(three("task", sleeper("body", 9, 0), fails(1, 5), sleeper("a", 9, 0)));
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_loop_call_later(loop, 1, said, "callback after");
    asyncio_await(task);
    return 0;
}
