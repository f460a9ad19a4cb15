/*
 * Who runs when: tasks, callbacks, timers and turns of the loop.
 */
#include "parity.h"

#include <stdio.h>

SCENARIO(tasks_start_in_the_order_made)
{
    asyncio_task *a = asyncio_create_task(says("a", 0));
    asyncio_task *b = asyncio_create_task(says("b", 0));
    asyncio_task *c = asyncio_create_task(says("c", 0));

    say("made");
    asyncio_await(a);
    asyncio_await(b);
    return asyncio_await(c);
}

SCENARIO(a_new_task_waits_for_the_ready_ones)
{
    asyncio_task *task = asyncio_create_task(ticker(3));

    asyncio_sleep(0);
    asyncio_task *late = asyncio_create_task(says("late", 0));
    asyncio_sleep(0);
    say("main");
    asyncio_await(late);
    return asyncio_await(task);
}

SCENARIO(tasks_and_callbacks_share_one_queue)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_soon(loop, said, "callback 1");
    asyncio_task *task = asyncio_create_task(says("task", 0));
    asyncio_loop_call_soon(loop, said, "callback 2");
    asyncio_sleep(0);
    say("main");
    return asyncio_await(task);
}

ASYNC(takes_turns, const char *, name)
{
    for (int i = 1; i <= 3; i++) {
        say("%s%d", name, i);
        asyncio_sleep(0);
    }
    return 0;
}

SCENARIO(yields_take_turns)
{
    asyncio_task *a = asyncio_create_task(takes_turns("a"));
    asyncio_task *b = asyncio_create_task(takes_turns("b"));

    asyncio_await(a);
    say("main");
    return asyncio_await(b);
}

static void again(void *arg)
{
    intptr_t n = (intptr_t)arg;

    say("callback %d", (int)n);
    if (n > 1)
        asyncio_loop_call_soon(asyncio_get_running_loop(), again, (void *)(n - 1));
}

SCENARIO(a_callback_from_a_callback_runs_a_turn_later)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), again, (void *)3);
    return asyncio_await(asyncio_create_task(ticker(4)));
}

static void makes_task(void *arg)
{
    asyncio_task **task = arg;

    say("callback");
    *task = asyncio_loop_create_task(asyncio_get_running_loop(), says("task", 0));
}

SCENARIO(a_task_from_a_callback_runs_a_turn_later)
{
    asyncio_task *task = NULL;

    asyncio_loop_call_soon(asyncio_get_running_loop(), makes_task, &task);
    asyncio_await(asyncio_create_task(ticker(3)));
    return asyncio_await(task);
}

SCENARIO(sleeps_end_in_time_order)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 1.5, 0));
    asyncio_task *b = asyncio_create_task(sleeper("b", 0.5, 0));
    asyncio_task *c = asyncio_create_task(sleeper("c", 1, 0));

    asyncio_await(a);
    asyncio_await(b);
    return asyncio_await(c);
}

SCENARIO(two_equal_sleeps)
{
    asyncio_task *a = asyncio_create_task(sleeper("a", 1, 0));
    asyncio_task *b = asyncio_create_task(sleeper("b", 1, 0));

    asyncio_await(b);
    return asyncio_await(a);
}

SCENARIO(two_equal_timers)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_later(loop, 1, said_at, "later");
    asyncio_loop_call_at(loop, asyncio_loop_time(loop) + 1, said_at, "at");
    return asyncio_sleep(2);
}

SCENARIO(a_sleep_and_then_an_equal_timer)
{
    asyncio_task *task = asyncio_create_task(sleeper("sleep", 1, 0));

    asyncio_sleep(0);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, said_at, "timer");
    return asyncio_await(task);
}

SCENARIO(a_timer_and_then_an_equal_sleep)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, said_at, "timer");
    return asyncio_await(asyncio_create_task(sleeper("sleep", 1, 0)));
}

static void says_soon(void *arg)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), said, arg);
}

SCENARIO(a_due_sleep_and_a_ticker)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, says_soon, "callback of the timer");
    asyncio_task *task = asyncio_create_task(sleeper("sleep", 1, 0));
    asyncio_sleep(1);
    say("main");
    asyncio_await(asyncio_create_task(ticker(2)));
    return asyncio_await(task);
}

SCENARIO(a_timer_of_zero_comes_after_what_is_ready)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_loop_call_later(loop, 0, said, "timer");
    asyncio_loop_call_soon(loop, said, "callback");
    asyncio_sleep(0);
    say("main");
    asyncio_sleep(0);
    say("main again");
    return 0;
}

SCENARIO(a_timer_in_the_past_is_one_of_zero)
{
    asyncio_loop *loop = asyncio_get_running_loop();

    asyncio_sleep(2);
    asyncio_loop_call_at(loop, asyncio_loop_time(loop) - 1, said_at, "timer");
    asyncio_loop_call_later(loop, -1, said_at, "negative");
    return asyncio_await(asyncio_create_task(ticker(2)));
}

static void rearms(void *arg)
{
    double *delay = arg;

    say("timer %g at %g", *delay, now());
    if (*delay >= 0) {
        asyncio_loop_call_later(asyncio_get_running_loop(), *delay, rearms, delay);
        *delay -= 0.25;
    }
}

SCENARIO(a_timer_from_a_timer)
{
    double delay = 0.5;

    asyncio_loop_call_later(asyncio_get_running_loop(), 1, rearms, &delay);
    asyncio_sleep(3);
    said_at("main");
    return 0;
}

SCENARIO(many_timers_fire_by_deadline)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_handle handles[64];
    char names[64][24];

    for (int i = 0; i < 64; i++) {
        snprintf(names[i], sizeof names[i], "timer %d", i);
        handles[i] = asyncio_loop_call_later(loop, i * 37 % 64 * 0.25, said_at, names[i]);
    }
    for (int i = 0; i < 64; i += 3)
        asyncio_handle_cancel(loop, handles[i]);
    asyncio_sleep(20);
    said_at("main");
    return 0;
}

SCENARIO(a_negative_sleep_yields_once)
{
    asyncio_task *task = asyncio_create_task(ticker(3));

    asyncio_sleep(0);
    asyncio_sleep(-1);
    said_at("main");
    return asyncio_await(task);
}

SCENARIO(time_stands_still_between_waits)
{
    asyncio_sleep(0.25);
    asyncio_await(asyncio_create_task(ticker(3)));
    said_at("main");
    return 0;
}

ASYNC(in_place, int, depth)
{
    return depth == 3 ? depth : asyncio_await(in_place(depth + 1));
}

SCENARIO(a_coroutine_awaited_in_place_costs_no_turn)
{
    asyncio_task *task = asyncio_create_task(ticker(2));

    asyncio_sleep(0);
    say("depth %s", text(asyncio_await(in_place(1))));
    return asyncio_await(task);
}

SCENARIO(turns_to_await_a_task)
{
    asyncio_task *tick = asyncio_create_task(ticker(5));
    asyncio_task *task = asyncio_create_task(says("child", 0));

    asyncio_await(task);
    say("main");
    return asyncio_await(tick);
}

ASYNC(link_of, int, n)
{
    return n == 0 ? 1 : 1 + asyncio_await(asyncio_create_task(link_of(n - 1)));
}

SCENARIO(turns_along_a_chain_of_tasks)
{
    asyncio_task *tick = asyncio_create_task(ticker(12));

    say("links %s", text(asyncio_await(asyncio_create_task(link_of(4)))));
    return asyncio_await(tick);
}

/* Counts the turns of the loop until it is taken back. */
struct turns {
    int count;
    asyncio_handle handle;
};

static void turn(void *arg)
{
    struct turns *turns = arg;

    turns->count++;
    turns->handle = asyncio_loop_call_soon(asyncio_get_running_loop(), turn, turns);
}

SCENARIO(turns_along_a_long_chain_of_tasks)
{
    struct turns turns = {-1, {0}};

    turn(&turns);
    intptr_t links = asyncio_await(asyncio_create_task(link_of(200)));
    asyncio_handle_cancel(asyncio_get_running_loop(), turns.handle);
    say("links %s, turns %d", text(links), turns.count);
    return 0;
}

SCENARIO(an_ended_task_is_awaited_without_a_turn)
{
    asyncio_task *task = asyncio_create_task(says("child", 7));
    asyncio_task *tick = asyncio_create_task(ticker(3));

    asyncio_sleep(0);
    say("main %s", text(asyncio_await(asyncio_ref(task))));
    say("again %s", text(asyncio_await(task)));
    return asyncio_await(tick);
}

SCENARIO(waiters_of_a_task_resume_in_order)
{
    static const char *const names[] = {"a", "b", "c"};
    asyncio_task *task = asyncio_create_task(sleeper("task", 1, 5)), *waiters[3];

    for (int i = 0; i < 3; i++)
        waiters[i] = asyncio_create_task(task_waiter(names[i], asyncio_ref(task)));
    asyncio_await(task);
    say("main");
    for (int i = 0; i < 3; i++)
        asyncio_await(waiters[i]);
    return 0;
}

SCENARIO(a_late_waiter_overtakes)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *early = asyncio_create_task(waiter("early", asyncio_ref(future)));

    asyncio_sleep(0);
    asyncio_task *late = asyncio_create_task(waiter("late", asyncio_ref(future)));
    asyncio_future_set_result(future, 1);
    asyncio_release(future);
    asyncio_await(early);
    say("main");
    return asyncio_await(late);
}

static void takes_back(void *arg)
{
    said_at("first");
    asyncio_handle_cancel(asyncio_get_running_loop(), *(asyncio_handle *)arg);
}

SCENARIO(a_queued_callback_is_taken_back)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_handle second;

    asyncio_loop_call_soon(loop, takes_back, &second);
    second = asyncio_loop_call_soon(loop, said, "second");
    asyncio_loop_call_soon(loop, said, "third");
    asyncio_sleep(0);
    say("main");
    return 0;
}

SCENARIO(a_timer_is_taken_back_in_its_own_tick)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_handle second;

    asyncio_loop_call_later(loop, 1, takes_back, &second);
    second = asyncio_loop_call_later(loop, 1, said_at, "second");
    asyncio_sleep(2);
    said_at("main");
    return 0;
}

SCENARIO(a_timer_is_taken_back_early)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_handle handle = asyncio_loop_call_later(loop, 1, said_at, "timer");

    asyncio_sleep(0.5);
    asyncio_handle_cancel(loop, handle);
    asyncio_sleep(1);
    said_at("main");
    return 0;
}

SCENARIO(a_sleep_ends_among_yielding_tasks)
{
    asyncio_task *a = asyncio_create_task(takes_turns("a"));
    asyncio_task *b = asyncio_create_task(takes_turns("b"));

    asyncio_sleep(0);
    asyncio_sleep(0.25);
    said_at("main");
    asyncio_await(a);
    return asyncio_await(b);
}
