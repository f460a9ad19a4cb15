/*
 * wait, as_completed, wait_for and shield.
 */
#include "parity.h"

#include <errno.h>
#include <string.h>

#define N_MAX 4

/* After the call, what came of it and when. */
static void tell(const char *what, intptr_t outcome)
{
    say("%s: %s at %g", what, text(outcome), now());
}

ASYNC(quiet, double, delay, intptr_t, value)
{
    int err = asyncio_sleep(delay);

    return err ? err : value;
}

/* The tasks stay in their places: wait gets a copy. */
static intptr_t waited(asyncio_task *const tasks[], size_t n, asyncio_return_when when, double timeout)
{
    asyncio_task *set[N_MAX];
    char flags[2 * N_MAX + 1] = "";

    memcpy(set, tasks, n * sizeof *set);
    ptrdiff_t done = asyncio_wait(set, n, timeout, when);
    for (size_t i = 0; i < n; i++)
        memcpy(flags + 2 * i, asyncio_done(tasks[i]) ? "1 " : "0 ", 3);
    flags[2 * n - 1] = '\0';
    say("done %s: %s at %g", text(done), flags, now());
    return done;
}

static intptr_t end(asyncio_task *const tasks[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        asyncio_cancel(tasks[i]);
        asyncio_await(tasks[i]);
    }
    return 0;
}

SCENARIO(wait_for_all_of_them)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 0)), asyncio_create_task(fails(1, 5)),
                             asyncio_create_task(quiet(2, 0))};

    waited(tasks, 3, ASYNCIO_ALL_COMPLETED, ASYNCIO_FOREVER);
    return end(tasks, 3);
}

SCENARIO(wait_for_the_first)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 0)), asyncio_create_task(quiet(1, 0)),
                             asyncio_create_task(quiet(2, 0))};

    waited(tasks, 3, ASYNCIO_FIRST_COMPLETED, ASYNCIO_FOREVER);
    asyncio_task *others[] = {tasks[0], tasks[2]};
    waited(others, 2, ASYNCIO_FIRST_COMPLETED, ASYNCIO_FOREVER);
    return end(tasks, 3);
}

SCENARIO(wait_for_the_first_error)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 0)), asyncio_create_task(fails(2, 5)),
                             asyncio_create_task(quiet(9, 0)), asyncio_create_task(quiet(1, 0))};

    asyncio_sleep(0);
    asyncio_cancel(tasks[2]);
    waited(tasks, 4, ASYNCIO_FIRST_ERROR, ASYNCIO_FOREVER);
    return end(tasks, 4);
}

SCENARIO(wait_with_a_timeout)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 0)), asyncio_create_task(quiet(1, 0))};

    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, 0);
    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, 2);
    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, 9);
    return end(tasks, 2);
}

ASYNC(waits, asyncio_task **, tasks)
{
    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, ASYNCIO_FOREVER);
    return 0;
}

SCENARIO(wait_that_is_cancelled)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 0)), asyncio_create_task(quiet(5, 0))};
    asyncio_task *waiter = asyncio_create_task(waits(tasks));

    asyncio_sleep(1);
    asyncio_cancel(waiter);
    ends(waiter);
    say("cancelling %d", asyncio_task_cancelling(tasks[0]));
    return end(tasks, 2);
}

SCENARIO(turns_of_a_wait)
{
    asyncio_task *tick = asyncio_create_task(ticker(6));
    asyncio_task *tasks[] = {asyncio_create_task(says("a", 0)), asyncio_create_task(says("b", 0))};

    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, ASYNCIO_FOREVER);
    asyncio_await(tick);
    return end(tasks, 2);
}

SCENARIO(turns_of_a_wait_for_the_first)
{
    asyncio_task *tick = asyncio_create_task(ticker(6));
    asyncio_task *tasks[] = {asyncio_create_task(says("a", 0)), asyncio_create_task(says("b", 0)),
                             asyncio_create_task(quiet(9, 0))};

    waited(tasks, 3, ASYNCIO_FIRST_COMPLETED, ASYNCIO_FOREVER);
    asyncio_await(tick);
    return end(tasks, 3);
}

SCENARIO(turns_of_a_wait_for_what_has_ended)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(0, 0)), asyncio_create_task(quiet(0, 0))};

    asyncio_sleep(1);
    asyncio_task *tick = asyncio_create_task(ticker(3));
    asyncio_sleep(0);
    waited(tasks, 2, ASYNCIO_ALL_COMPLETED, ASYNCIO_FOREVER);
    asyncio_await(tick);
    return end(tasks, 2);
}

/* Python's iterator gives awaitables; the first one done is what the next of them gives. */
static intptr_t completed(asyncio_task *tasks[], size_t n, double timeout)
{
    asyncio_as_completed it;
    size_t i;
    int more;

    asyncio_as_completed_init(&it, tasks, n, timeout);
    while ((more = asyncio_as_completed_next(&it, &i)) > 0)
        tell("main", asyncio_result(tasks[i]));
    if (more < 0)
        say("main: %s at %g", text(more), now());
    return end(tasks, n);
}

SCENARIO(completed_in_order)
{
    asyncio_task *tasks[] = {asyncio_create_task(sleeper("a", 3, 1)), asyncio_create_task(sleeper("b", 1, 2)),
                             asyncio_create_task(sleeper("c", 2, 3))};

    return completed(tasks, 3, ASYNCIO_FOREVER);
}

SCENARIO(completed_until_the_time_is_over)
{
    asyncio_task *tasks[] = {asyncio_create_task(quiet(3, 1)), asyncio_create_task(quiet(1, 2))};

    return completed(tasks, 2, 2);
}

SCENARIO(shielded_to_the_end)
{
    asyncio_task *tick = asyncio_create_task(ticker(6));

    say("main: %s", text(asyncio_shield(says("a", 5))));
    say("main: %s", text(asyncio_shield(asyncio_create_task(fails(0, 5)))));
    return asyncio_await(tick);
}

ASYNC(shields, asyncio_future *, inner)
{
    intptr_t outcome = asyncio_shield(inner);

    say("shield: %s at %g", text(outcome), now());
    return outcome;
}

static asyncio_task *shielding(asyncio_task *inner)
{
    return asyncio_create_task(shields(asyncio_ensure_future(asyncio_ref(inner))));
}

SCENARIO(shield_keeps_the_inner_one)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 3, 5)), *task = shielding(inner);

    asyncio_sleep(1);
    asyncio_cancel(task);
    ends(task);
    tell("inner", asyncio_await(inner));
    return 0;
}

SCENARIO(shield_whose_inner_one_is_cancelled)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 3, 5)), *task = shielding(inner);

    asyncio_sleep(1);
    asyncio_cancel(inner);
    asyncio_release(inner);
    return ends(task);
}

ASYNC(shields_fresh, asyncio_coro *, inner)
{
    intptr_t outcome = asyncio_shield(inner);

    say("shield: %s at %g", text(outcome), now());
    return outcome;
}

SCENARIO(shield_whose_inner_one_fails_unseen)
{
    asyncio_task *task = asyncio_create_task(shields_fresh(fails(2, 5)));

    asyncio_sleep(1);
    asyncio_cancel(task);
    ends(task);
    asyncio_sleep(5);
    say("slept");
    return 0;
}

ASYNC(gathers, asyncio_task *, a, asyncio_task *, b)
{
    intptr_t results[2];
    int err = asyncio_gather(results, a, b);

    return err ? err : results[0] + results[1];
}

SCENARIO(shield_of_a_gather)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 2, 1)), *b = asyncio_create_task(sleeper("b", 3, 2));
    asyncio_task *inner = asyncio_create_task(gathers(a, b)), *task = shielding(inner);

    asyncio_sleep(1);
    asyncio_cancel(task);
    ends(task);
    tell("inner", asyncio_await(inner));
    return 0;
}

/* ---- wait_for ---- */

static intptr_t limited(asyncio_future *x, double timeout)
{
    intptr_t outcome = asyncio_wait_for(x, timeout);

    say("wait_for: %s at %g", text(outcome), now());
    return outcome;
}

static intptr_t limited_coro(asyncio_coro *x, double timeout)
{
    intptr_t outcome = asyncio_wait_for(x, timeout);

    say("wait_for: %s at %g", text(outcome), now());
    return outcome;
}

ASYNC(slow_to_end, double, delay, intptr_t, outcome)
{
    tell("inner", asyncio_sleep(9));
    asyncio_sleep(delay);
    return outcome;
}

SCENARIO(wait_for_in_time)
{
    limited_coro(sleeper("a", 1, 0), 2);
    limited_coro(fails(1, 5), 2);
    limited(asyncio_ensure_future(sleeper("a", 1, 0)), ASYNCIO_FOREVER);
    return 0;
}

SCENARIO(wait_for_too_long)
{
    limited(asyncio_ensure_future(sleeper("a", 5, 0)), 1);
    limited(asyncio_future_new(), 1);
    return 0;
}

SCENARIO(wait_for_a_slow_end)
{
    limited(asyncio_ensure_future(slow_to_end(2, -ECANCELED)), 1);
    limited(asyncio_ensure_future(slow_to_end(2, 6)), 1);
    limited(asyncio_ensure_future(slow_to_end(2, -5)), 1);
    return 0;
}

SCENARIO(wait_for_without_time)
{
    asyncio_future *future = asyncio_future_new();

    asyncio_future_set_result(future, 8);
    limited(future, 0);
    limited_coro(says("never", 0), 0);
    future = asyncio_ensure_future(slow_to_end(2, -ECANCELED));
    asyncio_sleep(0);
    limited(future, -1);
    return 0;
}

ASYNC(limits, asyncio_task *, inner, double, timeout)
{
    return limited(asyncio_ensure_future(inner), timeout);
}

SCENARIO(wait_for_that_is_cancelled)
{
    asyncio_task *inner = asyncio_create_task(sleeper("inner", 5, 0));
    asyncio_task *task = asyncio_create_task(limits(asyncio_ref(inner), 9));

    asyncio_sleep(1);
    asyncio_cancel(task);
    ends(task);
    say("inner cancelled %d", asyncio_cancelled(inner));
    asyncio_release(inner);
    return 0;
}

SCENARIO(wait_for_a_coroutine_costs_no_turn)
{
    asyncio_task *tick = asyncio_create_task(ticker(4));

    asyncio_sleep(0);
    limited_coro(says("a", 0), 1);
    return asyncio_await(tick);
}
