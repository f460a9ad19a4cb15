/*
 * Messages: how they travel with an error, and what replaces them.
 */
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

ASYNC(raises, intptr_t, err, const char *, message)
{
    asyncio_sleep(0);
    return asyncio_raise(err, "%s", message);
}

ASYNC(fails, intptr_t, err)
{
    return err;
}

ASYNC(passes_on, asyncio_task *, task)
{
    return asyncio_await(task);
}

ASYNC(raises_then_returns, intptr_t, result)
{
    asyncio_raise(-EIO, "of another error");
    return result;
}

ASYNC_TEST(travel)
{
    CHECK_TEXT(asyncio_error_message(), "");
    CHECK_EQUAL(asyncio_raise(-EPERM, "%d of %s", 3, "four"), -EPERM);
    CHECK_TEXT(asyncio_error_message(), "3 of four");

    /* From task to awaiter, on and on. */
    asyncio_task *task = asyncio_create_task(raises(-EIO, "deep down"));
    for (int i = 0; i < 5; i++)
        task = asyncio_create_task(passes_on(task));
    CHECK_EQUAL(asyncio_await(task), -EIO);
    CHECK_TEXT(asyncio_error_message(), "deep down");

    /* A success leaves it; an error without one replaces it. */
    CHECK_EQUAL(asyncio_await(asyncio_create_task(fails(4))), 4);
    CHECK_TEXT(asyncio_error_message(), "deep down");
    CHECK_EQUAL(asyncio_await(asyncio_create_task(fails(-EIO))), -EIO);
    CHECK_TEXT(asyncio_error_message(), "");

    /* It goes with its code alone. */
    CHECK_EQUAL(asyncio_await(asyncio_create_task(raises_then_returns(-EPERM))), -EPERM);
    CHECK_TEXT(asyncio_error_message(), "");
    CHECK_EQUAL(asyncio_await(asyncio_create_task(raises_then_returns(-EIO))), -EIO);
    CHECK_TEXT(asyncio_error_message(), "of another error");
    CHECK_EQUAL(asyncio_await(asyncio_create_task(raises_then_returns(0))), 0);

    /* Each who awaits it sees it; the task itself is long gone. */
    task = asyncio_create_task(raises(-EIO, "shared"));
    asyncio_task *a = asyncio_create_task(passes_on(asyncio_ref(task)));
    asyncio_task *b = asyncio_create_task(passes_on(task));
    CHECK_EQUAL(asyncio_await(a), -EIO);
    CHECK_TEXT(asyncio_error_message(), "shared");
    asyncio_raise(-EPERM, "in between");
    CHECK_EQUAL(asyncio_await(b), -EIO);
    CHECK_TEXT(asyncio_error_message(), "shared");

    /* One message wrapped in the next. */
    asyncio_raise(-EIO, "connect: %s", asyncio_error_message());
    CHECK_TEXT(asyncio_error_message(), "connect: shared");
    CHECK_EQUAL(asyncio_gather(NULL, raises(-EIO, "of a child"), fails(0)), -EIO);
    CHECK_TEXT(asyncio_error_message(), "of a child");
    return 0;
}

/* Long ones, empty ones, and those of each task for itself. */
ASYNC(other)
{
    CHECK_TEXT(asyncio_error_message(), "");
    asyncio_raise(-EIO, "the other's");
    asyncio_sleep(1);
    CHECK_TEXT(asyncio_error_message(), "the other's");
    return 0;
}

ASYNC_TEST(sizes)
{
    static char text[100000];
    memset(text, 'm', sizeof text - 1);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(raises(-EIO, text))), -EIO);
    CHECK_EQUAL(strlen(asyncio_error_message()), sizeof text - 1);
    asyncio_raise(-EIO, "%s", "");
    CHECK_TEXT(asyncio_error_message(), "");
    asyncio_raise(-EIO, "mine");
    asyncio_task *task = asyncio_create_task(other());
    asyncio_sleep(0);
    CHECK_TEXT(asyncio_error_message(), "mine");
    return asyncio_await(task);
}

/* ---- Out of run, in threads, in callbacks --------------------------------------------- */

TEST(out_of_run)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    assert_int_equal(asyncio_run_with(raises(-EIO, "of main"), &options), -EIO);
    assert_string_equal(asyncio_error_message(), "of main");
    assert_int_equal(asyncio_run_with(fails(-EIO), &options), -EIO);
    assert_string_equal(asyncio_error_message(), "");
}

static void *in_thread(void *arg)
{
    (void)arg;
    CHECK_TEXT(asyncio_error_message(), "");
    CHECK_EQUAL(asyncio_raise(-EIO, "line %d", 7), -EIO);
    CHECK_TEXT(asyncio_error_message(), "line 7");
    /* One in the next, where both are kept in the same place. */
    asyncio_raise(-EIO, "file: %s; %s", asyncio_error_message(), asyncio_error_message());
    CHECK_TEXT(asyncio_error_message(), "file: line 7; line 7");
    char text[2000];
    memset(text, 'm', sizeof text);
    text[sizeof text - 1] = '\0';
    asyncio_raise(-EIO, "%s", text);
    CHECK(strncmp(asyncio_error_message(), text, 200) == 0);
    return NULL;
}

TEST(in_thread)
{
    pthread_t thread;
    asyncio_raise(-EPERM, "main's");
    assert_int_equal(pthread_create(&thread, NULL, in_thread, NULL), 0);
    pthread_join(thread, NULL);
    assert_string_equal(asyncio_error_message(), "main's");
    harness_settle();
}

static void raise_in_callback(void *arg)
{
    (void)arg;
    asyncio_raise(-EIO, "the callback's");
    CHECK_TEXT(asyncio_error_message(), "the callback's");
}

ASYNC_TEST(in_callback)
{
    asyncio_raise(-EPERM, "the task's");
    asyncio_loop_call_soon(asyncio_get_running_loop(), raise_in_callback, NULL);
    asyncio_sleep(0);
    CHECK_TEXT(asyncio_error_message(), "the task's");
    return 0;
}

/* ---- Reports show it --------------------------------------------------------------------- */

ASYNC(lost_main)
{
    asyncio_release(asyncio_create_task(raises(-EIO, "lost on the way")));
    asyncio_sleep(1);
    return 0;
}

static void report_on_stderr(void)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    asyncio_run_with(lost_main(), &options);
}

ASYNC(main_reports_a_peer)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_exception_context context = {.message = "no answer", .peer = "192.0.2.1:80"};
    asyncio_loop_call_exception_handler(loop, &context);
    context.message = "no answer (192.0.2.1:80)";
    asyncio_loop_call_exception_handler(loop, &context);
    return 0;
}

static void report_a_peer(void)
{
    asyncio_run(main_reports_a_peer());
}

TEST(default_report)
{
    check_prints(report_on_stderr, "lost on the way (EIO); task 'Task-");
    check_prints(report_on_stderr, "test_messages.c:");
    check_prints(report_a_peer, "asyncio: no answer, peer 192.0.2.1:80\n");
    check_prints(report_a_peer, "asyncio: no answer (192.0.2.1:80)\n"); /* once is enough */
}

/* ---- Days without memory ------------------------------------------------------------------ */

ASYNC(sweep_main)
{
    asyncio_raise(-EIO, "one %d", 1);
    asyncio_raise(-EIO, "two: %s", asyncio_error_message());
    (void)asyncio_await(asyncio_create_task(raises(-EIO, "three")));
    asyncio_task *task = asyncio_create_task(raises(-EIO, "four"));
    asyncio_cancel_with(task, "five");
    (void)asyncio_await(task);
    return 0;
}

TEST(failures)
{
    sweep_failures(sweep_main);
}

/* ---- NULL for a coroutine ------------------------------------------------------------- */

#define CHECK_SAYS_NULL(call)                                                                                \
    do {                                                                                                     \
        asyncio_raise(-EIO, "of another error");                                                             \
        CHECK_EQUAL((call), -ENOMEM);                                                                        \
        CHECK(strstr(asyncio_error_message(), "a NULL coroutine") != NULL);                                  \
    } while (0)

ASYNC(awaits_null)
{
    asyncio_coro *none = NULL;
    intptr_t results[2];
    CHECK_SAYS_NULL(asyncio_await(none));
    CHECK_SAYS_NULL(asyncio_await(asyncio_create_task(none)));
    CHECK_SAYS_NULL(asyncio_await(NULL));
    CHECK_SAYS_NULL((asyncio_join(none, &results[0]), results[0]));
    CHECK_SAYS_NULL((asyncio_join(asyncio_create_task(none), &results[0]), results[0]));
    CHECK_SAYS_NULL(asyncio_wait_for(none, 1));
    CHECK_SAYS_NULL(asyncio_shield(none));
    CHECK_SAYS_NULL(asyncio_gather(results, fails(0), none));
    CHECK_SAYS_NULL(asyncio_gather(results, none, fails(-EIO)));
    return 0;
}

TEST(null_is_named)
{
    assert_int_equal(run(awaits_null), 0);
    assert_int_equal(asyncio_run(NULL), -ENOMEM);
    assert_non_null(strstr(asyncio_error_message(), "a NULL coroutine"));
    asyncio_runner runner;
    assert_int_equal(asyncio_runner_init(&runner, NULL), 0);
    asyncio_raise(-EIO, "of another error");
    assert_int_equal(asyncio_runner_run(&runner, NULL), -ENOMEM);
    assert_non_null(strstr(asyncio_error_message(), "a NULL coroutine"));
    assert_int_equal(asyncio_runner_close(&runner), 0);
}

/* ---- Objects ---- */

static int dropped;

static void count_drop(void *object)
{
    dropped += *(int *)object;
}

ASYNC(raises_object, int *, object)
{
    asyncio_sleep(0);
    return asyncio_raise_object(ASYNCIO_EPYTHON, object, count_drop, "ValueError: no");
}

ASYNC_TEST(objects_travel_with_messages)
{
    int one = 1;
    dropped = 0;
    asyncio_task *task = asyncio_create_task(raises_object(&one));
    for (int i = 0; i < 3; i++)
        task = asyncio_create_task(passes_on(task));
    CHECK_EQUAL(asyncio_await(task), ASYNCIO_EPYTHON);
    CHECK_TEXT(asyncio_error_message(), "ValueError: no");
    CHECK(asyncio_error_object(ASYNCIO_EPYTHON) == &one);
    CHECK(asyncio_error_object(-EIO) == NULL);
    CHECK_EQUAL(asyncio_error_code(), ASYNCIO_EPYTHON);
    CHECK_EQUAL(dropped, 0);
    asyncio_raise(-EIO, "another");
    CHECK_EQUAL(dropped, 1);
    CHECK(asyncio_error_object(ASYNCIO_EPYTHON) == NULL);
    CHECK(asyncio_error_object(-EIO) == NULL);
    return 0;
}

/* One for two tasks that wait. */
ASYNC_TEST(objects_are_dropped_once)
{
    int one = 1;
    dropped = 0;
    asyncio_task *task = asyncio_create_task(raises_object(&one));
    asyncio_task *a = asyncio_create_task(passes_on(asyncio_ref(task)));
    CHECK_EQUAL(asyncio_await(task), ASYNCIO_EPYTHON);
    CHECK_EQUAL(asyncio_await(a), ASYNCIO_EPYTHON);
    asyncio_raise_object(-EIO, NULL, NULL, NULL);
    CHECK_EQUAL(dropped, 1);
    CHECK_TEXT(asyncio_error_message(), "");
    return 0;
}

TEST(objects_without_a_task_are_dropped_at_once)
{
    int one = 1;
    dropped = 0;
    assert_int_equal(asyncio_raise_object(-EIO, &one, count_drop, "words"), -EIO);
    assert_int_equal(dropped, 1);
    assert_string_equal(asyncio_error_message(), "words");
    assert_null(asyncio_error_object(-EIO));
}

TEST_MAIN()
