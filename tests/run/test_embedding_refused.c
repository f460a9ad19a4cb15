/*
 * A loop inside another one: what is refused, and the virtual clock.
 */
#include "run/embedding_test.h"

/* ---- What is refused ------------------------------------------------------------------------- */

static asyncio_loop *another;

static void check_nested(void)
{
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "asyncio_loop_run_once: a loop runs in this thread already");
    CHECK_EQUAL(asyncio_loop_run_once(another, 0), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_run(returns()), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_loop_close(loop), ASYNCIO_ESTATE);
    CHECK(asyncio_loop_fd(loop) >= 0);
    CHECK(asyncio_loop_is_running(loop));
}

static void nests_in_a_callback(void *arg)
{
    (void)arg;
    check_nested();
}

ASYNC(nests)
{
    check_nested();
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    check_nested();
    return 0;
}

TEST(nested_turns_are_refused)
{
    another = asyncio_loop_new(NULL);
    begin();
    asyncio_loop_call_soon(loop, nests_in_a_callback, NULL);
    run_inside(nests(), false);
    asyncio_loop_release(another);
    end();
}

TEST(after_the_close)
{
    int calls = 0;
    begin();
    asyncio_loop_call_soon(loop, count, &calls);
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, count, &calls), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK_EQUAL(asyncio_loop_fd(loop), ASYNCIO_ESTATE);
    CHECK(asyncio_loop_timeout(loop) == ASYNCIO_FOREVER);
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "asyncio_loop_run_once: the loop is closed");
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, count, &calls), ASYNCIO_ESTATE);
    CHECK_EQUAL(calls, 0);
    asyncio_loop_release(loop);
    harness_settle();
}

TEST(wrong_arguments)
{
    begin();
    CHECK_EQUAL(asyncio_loop_run_once(loop, NAN), -EINVAL);
    CHECK_EQUAL(asyncio_loop_run_once(NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_loop_fd(NULL), -EINVAL);
    CHECK(asyncio_loop_timeout(NULL) == ASYNCIO_FOREVER);
    end();
}

static void *turn_elsewhere(void *call)
{
    (void)(call ? asyncio_loop_timeout(loop) : asyncio_loop_fd(loop));
    return NULL;
}

static void ask_elsewhere(void)
{
    pthread_t thread;
    loop = asyncio_loop_new(NULL);
    pthread_create(&thread, NULL, turn_elsewhere, NULL);
    pthread_join(thread, NULL);
}

static void ask_timeout_elsewhere(void)
{
    pthread_t thread;
    loop = asyncio_loop_new(NULL);
    pthread_create(&thread, NULL, turn_elsewhere, &loop);
    pthread_join(thread, NULL);
}

TEST(from_the_wrong_thread)
{
    check_dies(ask_elsewhere, "asyncio_loop_fd");
    check_dies(ask_timeout_elsewhere, "asyncio_loop_timeout");
}

TEST(a_virtual_clock)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    loop = asyncio_loop_new(&options);
    record_reports(loop);
    CHECK_EQUAL(asyncio_loop_fd(loop), -ENOSYS);
    asyncio_task *task = asyncio_loop_create_task(loop, sleeps(100));
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    CHECK(asyncio_loop_timeout(loop) == 100);
    CHECK_EQUAL(asyncio_loop_run_once(loop, 40), 0);
    CHECK(asyncio_loop_timeout(loop) == 60);
    for (int i = 0; i < 5 && !asyncio_done(task); i++)
        CHECK_EQUAL(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(asyncio_result(task), 0);
    CHECK(asyncio_loop_time(loop) == 100);
    CHECK_EQUAL(asyncio_loop_run_once(loop, ASYNCIO_FOREVER), -EDEADLK);
    asyncio_release(task);
    end();
}

TEST_MAIN()
