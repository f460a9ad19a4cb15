/*
 * Fairness: no load of yields starves what comes from elsewhere, though the loop does
 * not poll at every hop; and what a seed does to the order.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/test.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
static asyncio_loop *loop;

static void open_loop(const asyncio_run_options *options)
{
    loop = asyncio_loop_new(options);
    assert_non_null(loop);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

static void stop(void *arg)
{
    (void)arg;
    asyncio_loop_stop(loop);
}

static asyncio_future *started(asyncio_coro *coro)
{
    return (asyncio_future *)asyncio_loop_create_task(loop, coro);
}

/* ---- Under a load of yields ------------------------------------------------------------------ */

static bool enough;
static _Atomic uint64_t yields;

ASYNC(yields_for_ever)
{
    for (; !enough; yields++)
        asyncio_sleep(0);
    return 0;
}

static void is_enough(void *arg)
{
    (void)arg;
    enough = true;
}

static void on_signal(int signo)
{
    (void)signo;
    asyncio_loop_call_soon_signalsafe(loop, is_enough, NULL);
}

/* Once the tasks are at it. */
static void *post_later(void *by_signal)
{
    struct timespec pause = {.tv_nsec = 3000000};
    do
        nanosleep(&pause, NULL);
    while (!atomic_load(&yields));
    if (by_signal)
        pthread_kill(*(pthread_t *)by_signal, SIGUSR1);
    else
        asyncio_loop_call_soon_threadsafe(loop, is_enough, NULL);
    return NULL;
}

/* Runs two tasks that yield until a callback from elsewhere ends them. */
static void yield_until(int how)
{
    open_loop(NULL);
    enough = false;
    yields = 0;
    pthread_t self = pthread_self(), thread;
    asyncio_release(asyncio_loop_create_task(loop, yields_for_ever()));
    if (how == 0)
        asyncio_loop_call_later(loop, 0.003, is_enough, NULL);
    else
        assert_int_equal(pthread_create(&thread, NULL, post_later, how == 2 ? &self : NULL), 0);
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(yields_for_ever())), 0);
    if (how)
        pthread_join(thread, NULL);
    assert_true(yields > 0);
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    close_loop();
}

TEST(yields_starve_no_timer)
{
    yield_until(0);
}

TEST(yields_starve_no_post)
{
    yield_until(1);
}

TEST(yields_starve_no_signal)
{
#if ASY_TSAN
    skip(); /* it holds signals back until the program makes a call that it knows */
#endif
    signal(SIGUSR1, on_signal);
    yield_until(2);
    signal(SIGUSR1, SIG_DFL);
}

static uint64_t polls;
static bool count_poll(const struct asy_backend *backend)
{
    (void)backend;
    polls++;
    return false;
}

ASYNC(yields_times, int, times)
{
    for (int i = 0; i < times; i++)
        asyncio_sleep(0);
    return 0;
}

ASYNC(both_yield, int, times)
{
    asyncio_task *other = asyncio_create_task(yields_times(times));
    asyncio_await(yields_times(times));
    return asyncio_await(other);
}

static uint64_t polls_of(const asyncio_run_options *options, asyncio_coro *coro)
{
    open_loop(options);
    struct asy_backend_ops ops = *loop->backend->ops, *counting = &ops;
    const struct asy_backend_ops *real = loop->backend->ops;
    counting->needs_poll = count_poll;
    loop->backend->ops = counting;
    polls = 0;
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(coro)), 0);
    loop->backend->ops = real;
    uint64_t seen = polls;
    close_loop();
    return seen;
}

/* At least one poll in 64 hops; but not one each hop, unless the clock is virtual. */
TEST(the_poll_is_amortised)
{
    uint64_t seen = polls_of(NULL, both_yield(6400));
    assert_in_range(seen, 2 * 6400 / 72, 2 * 6400 / 32);
    assert_true(polls_of(&simulated, both_yield(1000)) >= 1000);
    static const asyncio_run_options seeded = {.seed = 7};
    assert_true(polls_of(&seeded, both_yield(1000)) >= 1000);
}

static void note_yields(void *out)
{
    *(uint64_t *)out = yields;
}

ASYNC(posts_to_itself, uint64_t *, out)
{
    asyncio_loop_call_soon_threadsafe(loop, note_yields, out);
    for (yields = 0; yields < 200; yields++)
        asyncio_sleep(0);
    return 0;
}

/* Long before the 64 hops are over. */
TEST(a_post_waits_for_a_few_hops_at_most)
{
    open_loop(NULL);
    uint64_t seen_at = 1000;
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(posts_to_itself(&seen_at))), 0);
    assert_true(seen_at <= 16);
    close_loop();
}

ASYNC(yields_slowly, uint64_t *, out)
{
    asyncio_loop_call_later(loop, 0.0005, note_yields, out);
    for (yields = 0; yields < 100; yields++) {
        double until = asyncio_time() + 0.0001;
        while (asyncio_time() < until)
            continue;
        asyncio_sleep(0);
    }
    return 0;
}

/* And so does a timer, where hops take long. */
TEST(a_timer_waits_for_a_few_slow_hops_at_most)
{
    open_loop(NULL);
    uint64_t seen_at = 1000;
    assert_int_equal(asyncio_loop_run_until_complete(loop, started(yields_slowly(&seen_at))), 0);
    assert_true(seen_at <= 32);
    close_loop();
}

/* ---- Many tasks, each with much to do ------------------------------------------------------------- */

#define BUSY_TASKS 500

/* Items that are there, each of which takes a while: 200 us in all, without a wait. */
ASYNC(drains_items, asyncio_queue *, queue)
{
    int item;
    for (int i = 0; i < 20; i++) {
        double until = asyncio_time() + 0.00001;
        asyncio_queue_put_nowait(queue, &i);
        asyncio_queue_get(queue, &item);
        while (asyncio_time() < until)
            continue;
    }
    return 0;
}

ASYNC(starts_many)
{
    static asyncio_task *tasks[BUSY_TASKS];
    asyncio_queue queue;
    asyncio_queue_init(&queue, sizeof(int), 0);
    asyncio_handle timer = asyncio_loop_call_later(loop, 1000, stop, NULL);
    for (int i = 0; i < BUSY_TASKS; i++)
        tasks[i] = asyncio_create_task(drains_items(&queue));
    for (int i = 0; i < BUSY_TASKS; i++)
        asyncio_await(tasks[i]);
    asyncio_handle_cancel(loop, timer);
    asyncio_queue_destroy(&queue);
    return 0;
}

/* What was ready when an iteration began is no reason not to poll, either. */
TEST(a_poll_comes_between_many_ready_tasks)
{
    assert_true(polls_of(NULL, starts_many()) >= BUSY_TASKS / 16);
}

/* ---- Seeds --------------------------------------------------------------------------------- */

static char story[64];
static size_t story_length;

static void tell(char letter)
{
    assert_true(story_length < sizeof story - 1);
    story[story_length++] = letter;
    story[story_length] = '\0';
}

static void say(void *letter)
{
    tell((char)(intptr_t)letter);
}

ASYNC(tells, char, letter)
{
    tell(letter);
    asyncio_sleep(0);
    tell(letter);
    return 0;
}

static void run_seeded(uint64_t seed, char *out)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = seed};
    open_loop(&options);
    story_length = 0;
    for (char letter = 'a'; letter <= 'd'; letter++) {
        asyncio_release(asyncio_loop_create_task(loop, tells(letter)));
        asyncio_loop_call_soon(loop, say, (void *)(intptr_t)(letter - 'a' + '1'));
    }
    asyncio_loop_call_later(loop, 1, stop, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    memcpy(out, story, story_length + 1);
    close_loop();
}

TEST(a_seed_orders_tasks_and_nothing_else)
{
    char fifo[64], one[64], again[64];
    run_seeded(0, fifo);
    assert_string_equal(fifo, "a1b2c3d4abcd");
    int different = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_seeded(seed, one);
        run_seeded(seed, again);
        assert_string_equal(one, again);
        assert_int_equal(strlen(one), strlen(fifo));
        for (size_t i = 1; i < 8; i += 2)
            assert_int_equal(one[i], fifo[i]);
        different += strcmp(one, fifo) != 0;
    }
    assert_true(different > 10);
}

TEST_MAIN()
