/*
 * Calls, posts, timers and wait hooks while each allocation and each system call fails in turn: what was
 * accepted comes once, and what was refused does not come.
 */
#include "asyncio.h"
#include "support/harness.h"
#include <errno.h>

static int calls, rings, waits_begun, waits_ended;

static void count_call(asyncio_call *call)
{
    (void)call;
    calls++;
}

static void count_ring(asyncio_timer *timer)
{
    (void)timer;
    rings++;
}

static void count_begin(void *arg)
{
    (void)arg;
    waits_begun++;
}

static int count_end(void *arg)
{
    (void)arg;
    CHECK_EQUAL(++waits_ended, waits_begun);
    return 0;
}

ASYNC(uses_each)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_call call, post;
    asyncio_timer soon, later;
    calls = rings = waits_begun = waits_ended = 0;
    asyncio_call_init(&call, count_call);
    asyncio_call_init(&post, count_call);
    asyncio_timer_init(&soon, count_ring);
    asyncio_timer_init(&later, count_ring);
    CHECK_EQUAL(asyncio_loop_set_wait_hooks(loop, count_begin, count_end, NULL), 0);
    CHECK(asyncio_loop_call(loop, &call));
    CHECK_EQUAL(asyncio_loop_post(loop, &post), 0);
    int64_t now_ns = asyncio_loop_time_ns(loop);
    int err = asyncio_timer_start(loop, &soon, now_ns);
    CHECK(err == 0 || err == -ENOMEM);
    bool has_later = asyncio_timer_start(loop, &later, now_ns + 3600000000000) == 0;
    int slept = asyncio_sleep(0.001);
    if (slept == 0) {
        CHECK_EQUAL(calls, 2);
        CHECK_EQUAL(rings, err == 0);
    }
    CHECK_EQUAL(asyncio_timer_stop(&later), has_later);
    asyncio_timer_stop(&soon);
    asyncio_call_cancel(&call);
    asyncio_call_cancel(&post);
    CHECK_EQUAL(waits_ended, waits_begun);
    CHECK_EQUAL(asyncio_loop_set_wait_hooks(loop, NULL, NULL, NULL), 0);
    return slept;
}

TEST(what_was_accepted_comes_once)
{
    sweep_failures(uses_each);
    harness_settle();
}

TEST_MAIN()
