/*
 * asyncio_shutdown_threads: who may call it, what it waits for, what comes after it.
 */
#include "base/sanitizer.h"
#include "threads/thread_test.h"
#include <math.h>
#include <sys/wait.h>

/* Those of the default executor, of another, of names and of files. */
ASYNC(main_uses_all)
{
    struct addrinfo *addresses;
    struct stat status;
    asyncio_executor *executor = asyncio_executor_new(3);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, gate_pass, (void *)1, NULL)), 1);
    asyncio_executor_release(executor);
    CHECK_EQUAL(asyncio_to_thread(gate_pass, (void *)2), 2);
    CHECK_EQUAL(asyncio_stat("/proc/self/stat", &status), 0);
    if (asyncio_getaddrinfo("localhost", "80", NULL, &addresses) == 0)
        freeaddrinfo(addresses);
    return 3;
}

TEST(ends_all)
{
    gate_set(true);
    CHECK_EQUAL(asyncio_shutdown_threads(0), 0); /* there are none */
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_run(main_uses_all()), 3);
        CHECK(threads_now() > 0);
        CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
        wait_for_threads_to_be(0); /* one that was joined may be seen for a moment */
    }
    harness_settle();
}

static intptr_t shut_down(void *arg)
{
    (void)arg;
    return asyncio_shutdown_threads(1);
}

ASYNC(main_may_not)
{
    CHECK_EQUAL(asyncio_shutdown_threads(0), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_to_thread(shut_down, NULL), -EDEADLK);
    CHECK_TEXT(asyncio_error_message(), "asyncio_shutdown_threads: this is a thread of an executor");
    return 0;
}

TEST(who_may_call)
{
    CHECK_EQUAL(asyncio_shutdown_threads((double)NAN), -EINVAL);
    CHECK_EQUAL(run(main_may_not), 0);
    CHECK_EQUAL(asyncio_shutdown_threads(1e300), 0);
    harness_settle();
}

/* ---- Work under way, and queued ------------------------------------------------------------------ */

#define PIECES 5 /* for two threads */

static asyncio_executor *narrow;
static pthread_barrier_t inside;

ASYNC(main_has_much)
{
    asyncio_future *pieces[PIECES];
    for (int i = 0; i < PIECES; i++)
        pieces[i] = asyncio_run_in_executor(narrow, gate_pass, (void *)(intptr_t)i, NULL);
    wait_inside(2);
    pthread_barrier_wait(&inside);
    for (int i = 0; i < PIECES; i++)
        CHECK_EQUAL(asyncio_await(pieces[i]), i);
    return 0;
}

static void *work_elsewhere(void *arg)
{
    *(intptr_t *)arg = asyncio_run(main_has_much());
    return NULL;
}

/* What another thread's loop has queued is done: the threads end after it, and not after having been idle. */
TEST(waits_for_work)
{
    pthread_t thread;
    intptr_t result = -1;
    gate_set(false);
    narrow = asyncio_executor_new(2);
    pthread_barrier_init(&inside, NULL, 2);
    CHECK_EQUAL(pthread_create(&thread, NULL, work_elsewhere, &result), 0);
    pthread_barrier_wait(&inside);
    CHECK_EQUAL(asyncio_shutdown_threads(0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_shutdown_threads(0.01), -ETIMEDOUT);
    CHECK_TEXT(asyncio_error_message(), "asyncio_shutdown_threads: 2 threads are at work still");
    gate_set(true);
    CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
    pthread_join(thread, NULL);
    CHECK_EQUAL(result, 0);
    CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
    asyncio_executor_release(narrow);
    pthread_barrier_destroy(&inside);
    harness_settle();
}

/* ---- Others at the same time ----------------------------------------------------------------------- */

static void *shut_down_often(void *arg)
{
    for (int i = 0; i < 200; i++)
        asyncio_shutdown_threads(i % 2 ? ASYNCIO_FOREVER : 0);
    return arg;
}

ASYNC(main_works_on)
{
    for (int i = 0; i < 300; i++)
        CHECK_EQUAL(asyncio_to_thread(gate_pass, (void *)(intptr_t)i), i);
    return 0;
}

TEST(beside_loops)
{
    pthread_t threads[2];
    gate_set(true);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, shut_down_often, NULL), 0);
    CHECK_EQUAL(asyncio_run(main_works_on()), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
    wait_for_threads_to_be(0);
    harness_settle();
}

/* The parent's threads are no business of a child's. */
TEST(in_a_child)
{
    int status = -1;
    if (ASY_TSAN || RUNNING_ON_VALGRIND)
        skip(); /* one allows no threads in such a child, the other finds what the parent's had */
    CHECK_EQUAL(asyncio_run(main_uses_all()), 3);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        bool ends = asyncio_shutdown_threads(ASYNCIO_FOREVER) == 0 && asyncio_run(main_uses_all()) == 3 &&
                    asyncio_shutdown_threads(ASYNCIO_FOREVER) == 0;
        _exit(ends ? 0 : 1);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    CHECK_EQUAL(asyncio_shutdown_threads(ASYNCIO_FOREVER), 0);
    harness_settle();
}

TEST_MAIN()
