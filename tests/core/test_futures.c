/*
 * Futures: completion, callbacks, references, refusals and reports.
 */
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

/* ---- State ------------------------------------------------------------------- */

ASYNC_TEST(states)
{
    asyncio_future *future = asyncio_future_new();
    CHECK(!asyncio_done(future));
    CHECK(!asyncio_cancelled(future));
    CHECK_EQUAL(asyncio_result(future), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_future_set_result(future, -1), -EINVAL);
    CHECK_EQUAL(asyncio_future_set_error(future, 0), -EINVAL);
    CHECK(!asyncio_done(future));
    CHECK_EQUAL(asyncio_future_set_result(future, 42), 0);
    CHECK(asyncio_done(future));
    CHECK_EQUAL(asyncio_result(future), 42);
    CHECK_EQUAL(asyncio_future_set_result(future, 43), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_future_set_error(future, -EIO), ASYNCIO_ESTATE);
    CHECK(!asyncio_cancel(future));
    CHECK_EQUAL(asyncio_await(future), 42);

    future = asyncio_future_new();
    CHECK_EQUAL(asyncio_future_set_error(future, -EIO), 0);
    CHECK(!asyncio_cancelled(future));
    CHECK_EQUAL(asyncio_await(asyncio_ref(future)), -EIO);
    CHECK_EQUAL(asyncio_await(future), -EIO);

    future = asyncio_future_new();
    CHECK(asyncio_cancel(future));
    CHECK(asyncio_done(future));
    CHECK(asyncio_cancelled(future));
    CHECK_EQUAL(asyncio_future_set_result(future, 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(future), -ECANCELED);

    /* An error that was set to be -ECANCELED is a cancel, too. */
    future = asyncio_future_new();
    CHECK_EQUAL(asyncio_future_set_error(future, -ECANCELED), 0);
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    return 0;
}

/* ---- NULL, and tasks where futures are wanted --------------------------------- */

static void never(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
    CHECK(!"called");
}

ASYNC_TEST(null)
{
    asyncio_future *none = NULL;
    CHECK(asyncio_done(none));
    CHECK(!asyncio_cancelled(none));
    CHECK(!asyncio_cancel(none));
    CHECK(!asyncio_cancel_with(none, "x"));
    CHECK_EQUAL(asyncio_result(none), -ENOMEM);
    CHECK(asyncio_ref(none) == NULL);
    asyncio_release(none);
    CHECK_EQUAL(asyncio_future_set_result(none, 0), -EINVAL);
    CHECK_EQUAL(asyncio_future_set_error(none, -EIO), -EINVAL);
    CHECK_EQUAL(asyncio_add_done_callback(none, never, NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_remove_done_callback(none, never, NULL), 0);
    CHECK(asyncio_ensure_future(none) == NULL);
    CHECK_EQUAL(asyncio_await(none), -ENOMEM);
    intptr_t result = 7;
    CHECK_EQUAL(asyncio_join(none, &result), 0);
    CHECK_EQUAL(result, -ENOMEM);
    CHECK_EQUAL(asyncio_join(none, NULL), 0);

    /* A literal NULL, of no type. */
    CHECK(asyncio_done(NULL));
    CHECK_EQUAL(asyncio_await(NULL), -ENOMEM);
    asyncio_release(NULL);

    asyncio_future *self = (asyncio_future *)asyncio_current_task();
    CHECK_EQUAL(asyncio_future_set_result(self, 1), -EINVAL);
    CHECK_EQUAL(asyncio_future_set_error(self, -1), -EINVAL);
    CHECK_EQUAL(asyncio_add_done_callback(self, NULL, NULL), -EINVAL);
    return 0;
}

TEST(without_loop)
{
    assert_null(asyncio_future_new());
    assert_int_equal(asyncio_await(asyncio_future_new()), -ENOMEM);
}

/* ---- Waiters ------------------------------------------------------------------ */

static char order[64];

static void note(char c)
{
    size_t length = strlen(order);
    if (length + 1 < sizeof order)
        order[length] = c;
}

ASYNC(await_and_note, asyncio_future *, future, char, name)
{
    intptr_t result = asyncio_await(future);
    note(name);
    return result;
}

static void note_callback(asyncio_future *future, void *arg)
{
    (void)future;
    note((char)(intptr_t)arg);
}

ASYNC_TEST(order)
{
    memset(order, 0, sizeof order);
    asyncio_future *future = asyncio_future_new();
    asyncio_task *a = asyncio_create_task(await_and_note(asyncio_ref(future), 'a'));
    asyncio_task *b = asyncio_create_task(await_and_note(asyncio_ref(future), 'b'));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_add_done_callback(future, note_callback, (void *)'1'), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, note_callback, (void *)'2'), 0);
    asyncio_task *c = asyncio_create_task(await_and_note(asyncio_ref(future), 'c'));
    asyncio_sleep(0);
    asyncio_future_set_result(future, 5);
    CHECK_TEXT(order, "");
    CHECK_EQUAL(asyncio_add_done_callback(future, note_callback, (void *)'3'), 0);
    CHECK_TEXT(order, "");
    asyncio_sleep(0);
    CHECK_TEXT(order, "ab12c3");
    CHECK_EQUAL(asyncio_await(a), 5);
    CHECK_EQUAL(asyncio_await(b), 5);
    CHECK_EQUAL(asyncio_await(c), 5);
    asyncio_release(future);
    return 0;
}

/* ---- Callbacks ---------------------------------------------------------------- */

static int calls[4];

static void count_call(asyncio_future *future, void *arg)
{
    CHECK(asyncio_done(future));
    CHECK(asyncio_current_task() == NULL);
    CHECK_EQUAL(asyncio_sleep(0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_await(asyncio_ref(future)), ASYNCIO_ENOTASK);
    ++*(int *)arg;
}

/* Adds one more and takes another back, while callbacks run. */
static void meddle(asyncio_future *future, void *arg)
{
    ++*(int *)arg;
    CHECK_EQUAL(asyncio_add_done_callback(future, count_call, &calls[2]), 0);
    CHECK_EQUAL(asyncio_remove_done_callback(future, count_call, &calls[1]), 0); /* queued already */
}

ASYNC_TEST(callbacks)
{
    memset(calls, 0, sizeof calls);
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, meddle, &calls[0]), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, count_call, &calls[1]), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, count_call, &calls[3]), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, count_call, &calls[3]), 0);
    CHECK_EQUAL(asyncio_remove_done_callback(future, count_call, NULL), 0);
    CHECK_EQUAL(asyncio_remove_done_callback(future, count_call, &calls[3]), 2);
    CHECK_EQUAL(asyncio_remove_done_callback(future, count_call, &calls[3]), 0);
    asyncio_future_set_error(future, -EIO);
    asyncio_sleep(0);
    CHECK_EQUAL(calls[0], 1);
    CHECK_EQUAL(calls[1], 1);
    CHECK_EQUAL(calls[2], 0);
    asyncio_sleep(0);
    CHECK_EQUAL(calls[2], 1);
    CHECK_EQUAL(calls[3], 0);
    CHECK_EQUAL(asyncio_result(future), -EIO);
    asyncio_release(future);
    return 0;
}

/* A queued callback keeps its future; one of a future that goes, goes with it. */
ASYNC_TEST(callback_keeps_future)
{
    memset(calls, 0, sizeof calls);
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, count_call, &calls[0]), 0);
    asyncio_future_set_result(future, 1);
    asyncio_release(future);
    CHECK_EQUAL(calls[0], 0);
    asyncio_sleep(0);
    CHECK_EQUAL(calls[0], 1);

    future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, never, NULL), 0);
    asyncio_release(future);

    return 0;
}

static asyncio_future *kept;

static void keep_it(asyncio_future *future, void *arg)
{
    (void)arg;
    kept = asyncio_ref(future);
}

ASYNC_TEST(callback_may_keep_it)
{
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, keep_it, NULL), 0);
    asyncio_future_set_result(future, 77);
    asyncio_release(future);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_result(kept), 77);
    asyncio_release(kept);
    return 0;
}

/* ---- Reports ------------------------------------------------------------------ */

static int line_made;

ASYNC(unseen_main)
{
    line_made = __LINE__ + 1;
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_error(future, -EIO);
    asyncio_release(asyncio_ref(future));
    CHECK_EQUAL(report_count, 0);
    asyncio_release(future);
    CHECK_EQUAL(report_count, 1);

    /* Looked at, cancelled or well: no report. */
    future = asyncio_future_new();
    asyncio_future_set_error(future, -EIO);
    CHECK_EQUAL(asyncio_result(future), -EIO);
    asyncio_release(future);
    future = asyncio_future_new();
    asyncio_future_set_error(future, -EIO);
    CHECK_EQUAL(asyncio_await(future), -EIO);
    future = asyncio_future_new();
    asyncio_cancel(future);
    asyncio_release(future);
    future = asyncio_future_new();
    asyncio_future_set_result(future, 3);
    asyncio_release(future);
    asyncio_release(asyncio_future_new());
    return 0;
}

TEST(unseen)
{
    expect_reports(1);
    assert_int_equal(run(unseen_main), 0);
    assert_int_equal(reports[0].error, -EIO);
    assert_int_equal(reports[0].line, line_made);
    assert_non_null(strstr(reports[0].file, "test_futures.c"));
    assert_non_null(strstr(reports[0].message, "nobody awaited"));
}

/* ---- Another loop's, another thread's, after its end ---------------------------- */

static asyncio_future *foreign;

ASYNC(make_foreign)
{
    foreign = asyncio_future_new();
    return 0;
}

ASYNC(use_foreign)
{
    CHECK_EQUAL(asyncio_await(asyncio_ref(foreign)), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "another loop");
    intptr_t result = 9;
    CHECK_EQUAL(asyncio_join(asyncio_ref(foreign), &result), -EINVAL);
    CHECK_EQUAL(result, 9);
    CHECK_EQUAL(asyncio_gather(NULL, asyncio_ref(foreign)), -EINVAL);
    /* What has ended belongs to nobody any more. */
    asyncio_future_set_result(foreign, 6);
    CHECK_EQUAL(asyncio_await(asyncio_ref(foreign)), 6);
    CHECK_EQUAL(asyncio_gather(&result, asyncio_ref(foreign)), 0);
    CHECK_EQUAL(result, 6);
    return 0;
}

TEST(another_loop)
{
    asyncio_loop *one = asyncio_loop_new(NULL);
    asyncio_future *made = (asyncio_future *)asyncio_loop_create_task(one, make_foreign());
    assert_int_equal(asyncio_loop_run_until_complete(one, made), 0);
    assert_int_equal(asyncio_add_done_callback(foreign, never, NULL), 0);
    assert_int_equal(run(use_foreign), 0);
    assert_int_equal(asyncio_loop_close(one), 0);
    assert_int_equal(asyncio_add_done_callback(foreign, never, NULL), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_result(foreign), 6);
    asyncio_loop_release(one); /* the future keeps what it needs */
    asyncio_release(foreign);
}

static void set_late(void)
{
    asyncio_run(make_foreign());
    asyncio_release(foreign);
    asyncio_future_set_result(foreign, 1);
}

static void await_late(void)
{
    asyncio_run(make_foreign());
    asyncio_release(foreign);
    asyncio_await(foreign);
}

static void release_twice(void)
{
    asyncio_run(make_foreign());
    asyncio_release(foreign);
    asyncio_release(foreign);
}

TEST(use_after_release)
{
    check_dies_of_late_use(set_late, "asyncio_future_set_result: used after its release; it was made at ");
    check_dies_of_late_use(set_late, "test_futures.c:");
    check_dies_of_late_use(set_late, "in make_foreign");
    check_dies_of_late_use(await_late, "asyncio_await: used after its release");
    check_dies_of_late_use(release_twice, "asyncio_release: used after its release");
}

static void *set_here(void *arg)
{
    (void)arg;
    asyncio_future_set_result(foreign, 1);
    return NULL;
}

static void *release_here(void *arg)
{
    (void)arg;
    asyncio_release(foreign);
    return NULL;
}

static void in_thread(void *(*fn)(void *))
{
    pthread_t thread;
    asyncio_run(make_foreign());
    pthread_create(&thread, NULL, fn, NULL);
    pthread_join(thread, NULL);
}

static void set_in_thread(void)
{
    in_thread(set_here);
}

static void release_in_thread(void)
{
    in_thread(release_here);
}

TEST(wrong_thread)
{
    check_dies(set_in_thread, "asyncio_future_set_result was called from a thread");
    check_dies(release_in_thread, "asyncio_release was called from a thread");
}

/* ---- Days without memory -------------------------------------------------------- */

ASYNC(complete, asyncio_future *, future, double, delay)
{
    asyncio_sleep(delay);
    asyncio_future_set_result(future, 1);
    asyncio_release(future);
    return 0;
}

static void nothing(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
}

ASYNC(failing_main)
{
    asyncio_future *future = asyncio_future_new();
    (void)asyncio_add_done_callback(future, nothing, NULL);
    (void)asyncio_add_done_callback(future, nothing, NULL);
    asyncio_cancel_with(future, "a message");
    asyncio_future *other = asyncio_future_new();
    asyncio_future_set_error(other, -EIO);
    asyncio_release(other);
    (void)asyncio_await(future);
    return 0;
}

TEST(failures)
{
    expect_reports(1);
    sweep_failures(failing_main);
}

ASYNC(awaits_future)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(complete(asyncio_ref(future), 1));
    intptr_t result = asyncio_await(future);
    asyncio_task *other = asyncio_ref(task);
    int status = asyncio_join(task, NULL);
    /* Cancelled in the second wait, or not: it is over at last. */
    CHECK_EQUAL(asyncio_await(other), 0);
    return result < 0 ? result : status;
}

/* Cancelled while it awaits the future: the other task's set_result comes too late. While it
 * awaits the task, which is cancelled before its first step, and has nothing to wait for. */
static void check_result(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

TEST(cancel_sweep)
{
    sweep_cancels(awaits_future, check_result);
}

TEST_MAIN()
