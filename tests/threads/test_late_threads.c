/*
 * Executors, and futures of other threads, that are used after their release: the program ends, and is told
 * which call it was.
 */
#include "support/late_use.h"
#include "threads/thread_test.h"

static asyncio_executor *released_executor(int more)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    asyncio_executor_release(executor);
    while (more--)
        asyncio_executor_new(1);
    return executor;
}

static intptr_t does_nothing(void *arg)
{
    return (intptr_t)arg;
}

static void run_late(int more)
{
    asyncio_run_in_executor(released_executor(more), does_nothing, NULL, NULL);
}

static void release_executor_twice(int more)
{
    asyncio_executor_release(released_executor(more));
}

/* Work that is queued keeps what is inside, but the owner has left. */
static void run_beside_what_runs(int more)
{
    (void)more;
    asyncio_executor *executor = asyncio_executor_new(1);
    gate_set(false);
    asyncio_run_in_executor(executor, gate_pass, NULL, NULL);
    asyncio_executor_release(executor);
    asyncio_run_in_executor(executor, does_nothing, NULL, NULL);
}

TEST(executors)
{
    check_late(run_late, "asyncio_run_in_executor: used after its release; it was an executor");
    check_late(release_executor_twice, "asyncio_executor_release: used after its release");
    check_late(run_beside_what_runs, "asyncio_run_in_executor: used after its release");
}

ASYNC(ends)
{
    return 0;
}

/* Submitted here as by another thread; it has ended, and its result was not asked for. */
static asyncio_thread_future *make_thread_future(void)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(ends(), loop);
    CHECK(future);
    asyncio_sleep(0);
    asyncio_sleep(0);
    return future;
}

static asyncio_thread_future *released_thread_future(int more)
{
    asyncio_thread_future *future = make_thread_future();
    asyncio_thread_future_release(future);
    while (more--)
        make_thread_future();
    return future;
}

static void ask_late(int more)
{
    asyncio_thread_future_result(released_thread_future(more), 0);
}

static void cancel_late(int more)
{
    asyncio_thread_future_cancel(released_thread_future(more));
}

static void release_twice(int more)
{
    asyncio_thread_future_release(released_thread_future(more));
}

TEST(thread_futures)
{
    check_late(ask_late, "asyncio_thread_future_result: used after its release; it was a thread future");
    check_late(cancel_late, "asyncio_thread_future_cancel: used after its release");
    check_late(release_twice, "asyncio_thread_future_release: used after its release");
}

static void release_many(void)
{
    for (int i = 0; i < 5000; i++) {
        asyncio_executor *executor = asyncio_executor_new(1);
        assert_non_null(executor);
        asyncio_executor_release(executor);
    }
}

static void *releases_many(void *arg)
{
    release_many();
    return arg;
}

/* More than are kept, by several threads at once. */
TEST(many)
{
    pthread_t threads[3];
    asyncio_run_options options = {.debug = 1};
    assert_int_equal(asyncio_run_with(ends(), &options), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, releases_many, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

TEST_MAIN()
