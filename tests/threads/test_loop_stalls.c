/*
 * Calls between loops with threads that stall: at each post, at the look before the sleep, at the sleep,
 * while a loop closes. The linker sends these calls of the library through here (tests/meson.build), and a
 * seed says where a thread stalls. Loops end at any time, with calls under way in all directions; each call
 * has one outcome, each coroutine's argument is dropped once, and nothing is left.
 */
#include "asyncio.h"
#include "base/random.h"
#include "core/loop.h"
#include "core/post.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "sys/sys.h"
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

/* ---- Stalls -------------------------------------------------------------------------------- */

static uint64_t stall_seed; /* set while one thread runs */
static _Atomic uint64_t threads_seen;
static _Thread_local struct random draws;
static _Thread_local uint64_t draws_of; /* the seed that they are of */

static uint64_t draw(uint64_t below)
{
    if (draws_of != stall_seed) {
        asy_random_seed(&draws, stall_seed + atomic_fetch_add(&threads_seen, 1) * 1000003);
        draws_of = stall_seed;
    }
    return asy_random_below(&draws, below);
}

static void stall(void)
{
    if (!stall_seed || draw(6))
        return;
    if (draw(8) == 0)
        usleep((useconds_t)draw(200));
    else
        sched_yield();
}

#define STALLED(type, name, parameters, arguments)                                                           \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        stall();                                                                                             \
        type result = __real_##name arguments;                                                               \
        stall();                                                                                             \
        return result;                                                                                       \
    }
#define STALLED_VOID(name, parameters, arguments)                                                            \
    void __real_##name parameters;                                                                           \
    void __wrap_##name parameters;                                                                           \
    void __wrap_##name parameters                                                                            \
    {                                                                                                        \
        stall();                                                                                             \
        __real_##name arguments;                                                                             \
        stall();                                                                                             \
    }

STALLED(int, asy_post, (asyncio_loop * loop, struct callback *post), (loop, post))
STALLED(bool, asy_posts_pending, (asyncio_loop * loop), (loop))
STALLED(int, asy_sys_epoll_wait, (int epfd, struct epoll_event *events, int max, int64_t timeout_ns),
        (epfd, events, max, timeout_ns))
STALLED_VOID(asy_posts_collect, (asyncio_loop * loop), (loop))
STALLED_VOID(asy_posts_close, (asyncio_loop * loop), (loop))
STALLED_VOID(asy_loop_let_go, (asyncio_loop * loop), (loop))

/* ---- Calls in all directions ------------------------------------------------------------------ */

#define LOOPS 3
#define CALLS 20

static asyncio_loops *loops;
static _Atomic int made, dropped;

static void drop_one(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static intptr_t act(void *arg);

static asyncio_coro *make_act(intptr_t depth)
{
    atomic_fetch_add(&made, 1);
    return asyncio_coro_new(act, (void *)depth, drop_one);
}

static bool is_outcome(intptr_t result)
{
    return result == 1 || result == -ECANCELED || result == ASYNCIO_ESTATE;
}

static asyncio_loop *any_loop(void)
{
    return draw(4) ? asyncio_loops_get(loops, (int)draw(LOOPS)) : asyncio_loops_idlest(loops);
}

/* What runs on another loop: ends at once, waits for a while, or calls another one in turn. */
static intptr_t act(void *arg)
{
    intptr_t depth = (intptr_t)arg, result = 0;
    uint64_t way = draw(4);
    if (way == 0)
        result = asyncio_sleep(0);
    else if (way == 1)
        result = asyncio_sleep((double)draw(300) * 1e-6);
    else if (way == 2 && depth)
        result = asyncio_await_on(any_loop(), make_act(depth - 1));
    CHECK(result == 0 || is_outcome(result));
    return result < 0 ? result : 1;
}

static void submit_and_cancel(void)
{
    asyncio_future *future = asyncio_submit_to(any_loop(), make_act(2));
    for (uint64_t i = draw(4); i > 0; i--)
        asyncio_sleep(0);
    asyncio_cancel(future);
    CHECK(is_outcome(asyncio_await(future)));
}

static asyncio_coro *make_share(int index, asyncio_loops *all, void *arg)
{
    (void)index, (void)all, (void)arg;
    return make_act(1);
}

static void call_all(void)
{
    intptr_t results[LOOPS];
    int err = asyncio_gather_on_all(loops, make_share, NULL, results);
    CHECK(err == 0 || is_outcome(err));
    for (int i = 0; i < LOOPS; i++)
        CHECK(is_outcome(results[i]));
}

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    CHECK_EQUAL(context->error, ASYNCIO_ESTATE); /* of a call that was released, to a loop that closes */
}

ASYNC(calls_others)
{
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), ignore_report, NULL);
    for (uint64_t i = draw(CALLS); i > 0; i--) {
        uint64_t way = draw(5);
        if (way == 0)
            submit_and_cancel();
        else if (way == 1)
            call_all();
        else if (way == 2)
            asyncio_release(asyncio_submit_to(any_loop(), make_act(1)));
        else
            CHECK(is_outcome(asyncio_await_on(any_loop(), make_act(3))));
    }
    if (draw(8) == 0)
        asyncio_loops_stop(loops);
    return 0;
}

static asyncio_coro *make_calling(int index, asyncio_loops *all, void *arg)
{
    (void)arg;
    if (index == 0)
        atomic_store((asyncio_loops * _Atomic *)&loops, all);
    while (!atomic_load((asyncio_loops * _Atomic *)&loops))
        sched_yield();
    return calls_others();
}

static void call_with_stalls(uint64_t seed)
{
    struct ledger before = ledger_now();
    asyncio_loops_options options = {.count = LOOPS, .spin = seed % 3 ? 0 : 0.00005};
    stall_seed = seed + 1;
    loops = NULL;
    atomic_store(&made, 0);
    atomic_store(&dropped, 0);
    intptr_t result = asyncio_run_loops(make_calling, NULL, &options);
    stall_seed = 0;
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(atomic_load(&made), atomic_load(&dropped));
    CHECK(ledger_is(&before));
}

TEST(calls_with_stalls)
{
    for_each_seed(call_with_stalls);
}

/* ---- A wake-up between the spin and the sleep ------------------------------------------------------ */

ASYNC(answers, int, n)
{
    return n;
}

ASYNC(asks_often)
{
    for (int i = 0; i < 60; i++)
        CHECK_EQUAL(asyncio_await_on(asyncio_loops_get(loops, 1), answers(i)), i);
    asyncio_loops_stop(loops);
    return 0;
}

ASYNC(sleeps_for_ever)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static asyncio_coro *make_asking(int index, asyncio_loops *all, void *arg)
{
    (void)arg;
    if (index)
        return sleeps_for_ever();
    loops = all;
    return asks_often();
}

/* Nothing but the post wakes the loop: a lost wake-up hangs. */
static void ask_with_stalls(uint64_t seed)
{
    asyncio_loops_options options = {.count = 2, .spin = (double)(seed % 5) * 1e-5};
    stall_seed = seed + 1;
    CHECK_EQUAL(asyncio_run_loops(make_asking, NULL, &options), 0);
    stall_seed = 0;
}

TEST(no_wake_up_is_lost)
{
    for_each_seed(ask_with_stalls);
}

TEST_MAIN()
