/*
 * Eager tasks, as Python 3.14 has them.
 */
#include "parity.h"

#include <errno.h>

static const asyncio_task_options eager = {.eager_start = 1}, queued = {.eager_start = -1};

/* A scenario on a loop whose tasks are all eager but the first. */
#define EAGER_SCENARIO(name)                                                                                 \
    static asyncio_coro *main_of_##name(void);                                                               \
    LOOP_SCENARIO(name)                                                                                      \
    {                                                                                                        \
        (void)loop;                                                                                          \
        run_eagerly(main_of_##name());                                                                       \
    }                                                                                                        \
    ASYNC(main_of_##name)

static void run_eagerly(asyncio_coro *main)
{
    asyncio_run_options options = virtual_options;

    options.eager = 1;
    asyncio_run_with(main, &options);
}

ASYNC(twice, const char *, name, intptr_t, value)
{
    say("%s begins", name);
    int err = asyncio_sleep(0);
    say("%s goes on: %s", name, text(err));
    return err ? err : value;
}

ASYNC(crashes, const char *, name, intptr_t, code)
{
    say("%s fails", name);
    return -code;
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

SCENARIO(eager_order_of_start)
{
    asyncio_task *tick = asyncio_create_task(ticker(2));

    say("before");
    asyncio_task *task = asyncio_create_task_with(twice("a", 7), &eager);
    say("after, done %d", asyncio_done(task));
    asyncio_sleep(0);
    ends(task);
    return asyncio_await(tick);
}

SCENARIO(eager_task_that_ends_at_once_costs_no_turn)
{
    asyncio_task *tick = asyncio_create_task(ticker(1));
    asyncio_task *task = asyncio_create_task_with(says("a", 7), &eager);

    say("done %d, all %zu", asyncio_done(task), asyncio_all_tasks(NULL, 0));
    say("result %s", text(asyncio_await(task)));
    return asyncio_await(tick);
}

static bool is_there(asyncio_task *task)
{
    asyncio_task *all[8];
    size_t count = asyncio_all_tasks(all, 8);
    bool found = false;

    for (size_t i = 0; i < count; i++)
        found |= all[i] == task;
    return found;
}

ASYNC(looks, asyncio_task *, creator)
{
    asyncio_task *self = asyncio_current_task();

    say("creator current %d, creator there %d, child there %d, all %zu, %s", self == creator,
        is_there(creator), is_there(self), asyncio_all_tasks(NULL, 0), asyncio_task_name(self));
    return 0;
}

SCENARIO(eager_task_is_the_current_one)
{
    asyncio_task *self = asyncio_current_task();
    asyncio_task_options options = {.name = "child", .eager_start = 1};
    asyncio_task *task = asyncio_create_task_with(looks(self), &options);

    say("main current %d", asyncio_current_task() == self);
    return ends(task);
}

static asyncio_contextvar colour = ASYNCIO_CONTEXTVAR_INIT("colour", "none");

static const char *seen(void)
{
    return asyncio_contextvar_get(&colour);
}

ASYNC(paints, void *, value)
{
    say("child sees %s", seen());
    asyncio_contextvar_set(&colour, value, NULL);
    asyncio_sleep(0);
    say("child sees %s", seen());
    return 0;
}

SCENARIO(eager_task_has_a_context_of_its_own)
{
    asyncio_contextvar_set(&colour, "red", NULL);
    asyncio_task *task = asyncio_create_task_with(paints("blue"), &eager);
    say("main sees %s", seen());
    asyncio_contextvar_set(&colour, "green", NULL);
    asyncio_await(task);
    say("main sees %s", seen());
    return 0;
}

ASYNC(cancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    say("still");
    int err = asyncio_sleep(9);
    say("sleep: %s, cancelling %d", text(err), cancelling());
    return err;
}

SCENARIO(eager_task_cancelled_before_its_first_wait)
{
    asyncio_task *tick = asyncio_create_task(ticker(3));
    asyncio_task *task = asyncio_create_task_with(cancels_itself(), &eager);

    say("done %d", asyncio_done(task));
    ends(task);
    return asyncio_await(tick);
}

SCENARIO(eager_task_cancelled_after_its_first_wait)
{
    asyncio_task *task = asyncio_create_task_with(twice("a", 0), &eager);

    say("cancel %d", asyncio_cancel(task));
    ends(task);
    task = asyncio_create_task_with(says("b", 3), &eager);
    say("cancel %d", asyncio_cancel(task));
    return ends(task);
}

ASYNC(cancels, asyncio_task *, task)
{
    say("cancel %d", asyncio_cancel(task));
    return 0;
}

SCENARIO(eager_task_that_cancels_its_creator)
{
    asyncio_task *task = asyncio_create_task_with(cancels(asyncio_current_task()), &eager);

    say("still here, cancelling %d", cancelling());
    say("sleep: %s", text(asyncio_sleep(9)));
    return ends(task);
}

SCENARIO(eager_task_that_fails)
{
    asyncio_task *task = asyncio_create_task_with(crashes("a", 5), &eager);

    say("done %d", asyncio_done(task));
    return ends(task);
}

ASYNC(waits_for, asyncio_task *, task)
{
    say("creator: %s", text(asyncio_await(asyncio_ref(task))));
    return 0;
}

ASYNC(makes_a_waiter, asyncio_task **, waiter)
{
    *waiter = asyncio_create_task_with(waits_for(asyncio_current_task()), &eager);
    say("waiter done %d", asyncio_done(*waiter));
    return 5;
}

SCENARIO(eager_task_that_awaits_its_creator)
{
    asyncio_task *waiter = NULL;

    ends(asyncio_create_task(makes_a_waiter(&waiter)));
    return asyncio_await(waiter);
}

ASYNC(makes_two)
{
    asyncio_task *a = asyncio_create_task_with(twice("xa", 0), &eager);
    say("x between");
    asyncio_task *b = asyncio_create_task_with(twice("xb", 0), &eager);
    say("x awaits");
    asyncio_await(a);
    return asyncio_await(b);
}

SCENARIO(eager_tasks_within_eager_tasks)
{
    asyncio_task *task = asyncio_create_task_with(makes_two(), &eager);

    say("main");
    return asyncio_await(task);
}

static void called_back(asyncio_future *future, void *arg)
{
    (void)future;
    said(arg);
}

SCENARIO(eager_task_and_done_callbacks)
{
    asyncio_task *tick = asyncio_create_task(ticker(2));
    asyncio_task *task = asyncio_create_task_with(says("a", 0), &eager);

    asyncio_add_done_callback(task, called_back, "called back");
    say("main");
    asyncio_await(task);
    say("awaited");
    return asyncio_await(tick);
}

ASYNC(sets_and_waits, asyncio_event *, mine, asyncio_event *, other)
{
    asyncio_event_set(mine);
    say("set");
    asyncio_event_wait(other);
    say("woken");
    return 0;
}

SCENARIO(eager_tasks_that_wake_each_other)
{
    asyncio_event a = ASYNCIO_EVENT_INIT, b = ASYNCIO_EVENT_INIT;
    asyncio_task *first = asyncio_create_task_with(sets_and_waits(&a, &b), &eager);
    asyncio_task *second = asyncio_create_task_with(sets_and_waits(&b, &a), &eager);

    say("done %d %d", asyncio_done(first), asyncio_done(second));
    asyncio_await(first);
    return asyncio_await(second);
}

EAGER_SCENARIO(eager_by_the_loop)
{
    asyncio_task *task = asyncio_create_task(twice("a", 1));

    say("after a");
    asyncio_task *last = asyncio_create_task_with(says("b", 0), &queued);
    say("after b");
    ends(task);
    return asyncio_await(last);
}

EAGER_SCENARIO(eager_gather)
{
    intptr_t r[2];
    asyncio_task *tick = asyncio_create_task_with(ticker(2), &queued);

    say("gather: %s", gathered(asyncio_gather(r, says("a", 1), says("b", 2)), r, 2));
    say("gather: %s", gathered(asyncio_gather(r, twice("c", 3), says("d", 4)), r, 2));
    return asyncio_await(tick);
}

EAGER_SCENARIO(eager_gather_that_fails)
{
    intptr_t r[3];

    say("gather: %s", gathered(asyncio_gather(r, says("a", 1), crashes("b", 5), crashes("c", 6)), r, 3));
    say("gather: %s", gathered(asyncio_gather_settled(r, crashes("d", 7), says("e", 0)), r, 2));
    return 0;
}

EAGER_SCENARIO(eager_shield)
{
    say("shield: %s", text(asyncio_shield(says("a", 1))));
    say("shield: %s", text(asyncio_shield(twice("b", 2))));
    return 0;
}

/* Runs up to three children in a group. */
static void run_group(asyncio_coro *a, asyncio_coro *b, asyncio_coro *c)
{
    asyncio_coro *children[] = {a, b, c};
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    for (int i = 0; i < 3 && children[i]; i++)
        say("done %d", asyncio_done(asyncio_task_group_create_task(&group, children[i])));
    int err = asyncio_sleep(1);
    if (!err)
        say("slept");
    intptr_t outcome = asyncio_task_group_exit(&group, err);
    say("group: %s, cancelling %d", text(outcome), cancelling());
}

EAGER_SCENARIO(eager_group)
{
    run_group(says("a", 0), twice("b", 0), says("c", 0));
    return 0;
}

EAGER_SCENARIO(eager_group_whose_first_child_fails)
{
    run_group(crashes("a", 5), twice("b", 0), NULL);
    return 0;
}

ASYNC(spawns, asyncio_task_group *, group, int, left)
{
    say("child %d", left);
    if (left)
        asyncio_task_group_create_task(group, spawns(group, left - 1));
    return 0;
}

EAGER_SCENARIO(eager_group_whose_children_make_more)
{
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, spawns(&group, 2));
    say("body ends");
    asyncio_task_group_exit(&group, 0);
    say("group ends");
    return 0;
}

EAGER_SCENARIO(eager_turns_of_a_group)
{
    asyncio_task *tick = asyncio_create_task_with(ticker(4), &queued);
    asyncio_task_group group;

    asyncio_task_group_enter(&group);
    asyncio_task_group_create_task(&group, says("a", 0));
    asyncio_task_group_create_task(&group, says("b", 0));
    asyncio_task_group_exit(&group, 0);
    say("group ends");
    return asyncio_await(tick);
}
