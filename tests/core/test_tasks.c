/*
 * Tasks: states, names and numbers, references, refusals.
 */
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

ASYNC(value, intptr_t, result)
{
    return result;
}

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

/* ---- States ------------------------------------------------------------------ */

static int steps;

ASYNC(two_steps)
{
    steps++;
    CHECK(!asyncio_done(asyncio_current_task()));
    CHECK_EQUAL(asyncio_result(asyncio_current_task()), ASYNCIO_ESTATE);
    asyncio_sleep(0);
    steps++;
    return 8;
}

ASYNC_TEST(states)
{
    steps = 0;
    asyncio_task *task = asyncio_create_task(two_steps());
    CHECK_EQUAL(steps, 0); /* it starts when the caller waits */
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(asyncio_result(task), ASYNCIO_ESTATE);
    asyncio_sleep(0);
    CHECK_EQUAL(steps, 1);
    CHECK(!asyncio_done(task));
    asyncio_sleep(0);
    CHECK_EQUAL(steps, 2);
    CHECK(asyncio_done(task));
    CHECK(!asyncio_cancelled(task));
    CHECK(!asyncio_cancel(task));
    CHECK_EQUAL(asyncio_result(task), 8);
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 8);
    intptr_t result = 0;
    CHECK_EQUAL(asyncio_join(task, &result), 0);
    CHECK_EQUAL(result, 8);
    return 0;
}

/* Results are whole words: pointers, and errors without a name. */
ASYNC_TEST(results)
{
    CHECK_EQUAL(asyncio_await(asyncio_create_task(value(INTPTR_MAX))), INTPTR_MAX);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(value(INTPTR_MIN))), INTPTR_MIN);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(value((intptr_t)&steps))), (intptr_t)&steps);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(value(-ECANCELED))), -ECANCELED);
    asyncio_task *task = asyncio_create_task(value(-ECANCELED));
    asyncio_sleep(0);
    CHECK(asyncio_cancelled(task)); /* it says so itself */
    asyncio_release(task);
    return 0;
}

/* ---- Order ---------------------------------------------------------------------- */

static char order[32];

ASYNC(notes, char, name)
{
    order[strlen(order)] = name;
    asyncio_sleep(0);
    order[strlen(order)] = name;
    return 0;
}

ASYNC_TEST(order)
{
    memset(order, 0, sizeof order);
    asyncio_release(asyncio_create_task(notes('a')));
    asyncio_release(asyncio_create_task(notes('b')));
    asyncio_sleep(0);
    asyncio_release(asyncio_create_task(notes('c')));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK_TEXT(order, "ababcc");
    return 0;
}

/* ---- Names, numbers, who is there -------------------------------------------------- */

ASYNC_TEST(names)
{
    asyncio_task *a = asyncio_create_task(value(0)), *b = asyncio_create_task(value(0));
    CHECK(strncmp(asyncio_task_name(a), "Task-", 5) == 0);
    CHECK_EQUAL(atol(asyncio_task_name(b) + 5), atol(asyncio_task_name(a) + 5) + 1);
    CHECK(asyncio_task_name(a) == asyncio_task_name(a));
    char text[] = "reader";
    CHECK_EQUAL(asyncio_task_set_name(a, text), 0);
    text[0] = 'x';
    CHECK_TEXT(asyncio_task_name(a), "reader");
    CHECK_EQUAL(asyncio_task_set_name(a, ""), 0);
    CHECK_TEXT(asyncio_task_name(a), "");
    CHECK_EQUAL(asyncio_task_set_name(a, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_task_set_name(NULL, "x"), -EINVAL);
    CHECK_TEXT(asyncio_task_name(NULL), "");

    char given[] = "writer";
    const asyncio_task_options options = {.name = given};
    asyncio_task *c = asyncio_create_task_with(value(0), &options);
    given[0] = 'x';
    CHECK_TEXT(asyncio_task_name(c), "writer");
    asyncio_await(c);
    c = asyncio_create_task_with(value(0), &(asyncio_task_options){.name = "literal"});
    CHECK_TEXT(asyncio_task_name(c), "literal");
    asyncio_await(asyncio_ref(c));
    CHECK_TEXT(asyncio_task_name(c), "literal"); /* as long as there is a reference */
    asyncio_release(c);
    c = asyncio_create_task_with(value(3), NULL);
    CHECK_EQUAL(asyncio_await(c), 3);
    asyncio_await(a);
    return asyncio_await(b);
}

ASYNC(who_am_i, asyncio_task **, out)
{
    *out = asyncio_current_task();
    return 0;
}

ASYNC(who_main)
{
    asyncio_task *self = asyncio_current_task(), *seen = NULL, *all[4] = {NULL};
    CHECK(self != NULL);
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), 1);
    CHECK_EQUAL(asyncio_await(who_am_i(&seen)), 0); /* in place: no new task */
    CHECK(seen == self);
    asyncio_task *task = asyncio_create_task(who_am_i(&seen));
    CHECK(asyncio_current_task() == self);
    asyncio_task *other = asyncio_create_task(sleeps(1, 0));
    CHECK_EQUAL(asyncio_all_tasks(all, 2), 3);
    CHECK(all[0] == self && all[1] == task && all[2] == NULL);
    CHECK_EQUAL(asyncio_all_tasks(all, 4), 3);
    CHECK(all[2] == other && all[3] == NULL);
    asyncio_await(asyncio_ref(task));
    CHECK(seen == task);
    CHECK(asyncio_current_task() == self);
    CHECK_EQUAL(asyncio_all_tasks(all, 4), 2); /* those that have not ended */
    CHECK(all[1] == other);
    asyncio_release(task);
    return asyncio_await(other);
}

TEST(who_is_there)
{
    assert_int_equal(run(who_main), 0);
    assert_null(asyncio_current_task());
    assert_int_equal(asyncio_all_tasks(NULL, 0), 0);
}

/* ---- References --------------------------------------------------------------------- */

static asyncio_task *made;

/* A task that is released goes on, owned by the loop; a reference keeps the result. */
ASYNC(references_main)
{
    steps = 0;
    asyncio_release(asyncio_create_task(two_steps()));
    asyncio_sleep(0);
    CHECK_EQUAL(steps, 1);
    asyncio_sleep(0);
    CHECK_EQUAL(steps, 2);

    asyncio_task *task = asyncio_create_task(value(4));
    CHECK(asyncio_ref(task) == task);
    CHECK_EQUAL(asyncio_await(task), 4);
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 4);
    CHECK_EQUAL(asyncio_result(task), 4);
    asyncio_release(task);

    /* The same one by its cast, and by ensure_future. */
    task = asyncio_create_task(value(5));
    asyncio_future *future = asyncio_ensure_future(task);
    CHECK(future == (asyncio_future *)task);
    CHECK_EQUAL(asyncio_await(future), 5);
    future = asyncio_ensure_future(value(6));
    CHECK(!asyncio_done(future));
    CHECK_EQUAL(asyncio_await(future), 6);
    made = asyncio_ref(asyncio_current_task());
    return 7;
}

TEST(references)
{
    asyncio_task *none = NULL;
    assert_null(asyncio_ref(none));
    assert_int_equal(asyncio_run(references_main()), 7);
    harness_settle();
    /* Main's result outlives its loop. */
    assert_true(asyncio_done(made));
    assert_int_equal(asyncio_result(made), 7);
    asyncio_release(made);
}

/* ---- Failures that nobody sees --------------------------------------------------------- */

static int line_made;

ASYNC(unseen_main)
{
    line_made = __LINE__ + 1;
    asyncio_task *task = asyncio_create_task_with(value(-EIO), &(asyncio_task_options){.name = "lost"});
    asyncio_sleep(0);
    CHECK_EQUAL(report_count, 0);
    asyncio_release(task);
    CHECK_EQUAL(report_count, 1);
    asyncio_release(asyncio_create_task(value(-EPERM)));
    CHECK_EQUAL(report_count, 1);
    asyncio_sleep(0);
    CHECK_EQUAL(report_count, 2); /* at once, when it ends detached */
    asyncio_release(asyncio_create_task(value(-ECANCELED)));
    asyncio_sleep(0);
    task = asyncio_create_task(value(-EIO));
    CHECK_EQUAL(asyncio_await(task), -EIO);
    return 0;
}

TEST(unseen)
{
    expect_reports(2);
    assert_int_equal(run(unseen_main), 0);
    assert_int_equal(reports[0].error, -EIO);
    assert_string_equal(reports[0].task, "lost");
    assert_int_equal(reports[0].line, line_made);
    assert_non_null(strstr(reports[0].file, "test_tasks.c"));
    assert_int_equal(reports[1].error, -EPERM);
}

/* ---- Refusals ------------------------------------------------------------------------------ */

static int dropped;

static void drop(void *arg)
{
    CHECK(arg == &dropped);
    dropped++;
}

static intptr_t returns_one(void *arg)
{
    (void)arg;
    return 1;
}

static asyncio_coro *droppable(void)
{
    return asyncio_coro_new(returns_one, &dropped, drop);
}

TEST(without_loop)
{
    dropped = 0;
    asyncio_task *task = asyncio_create_task(droppable());
    assert_int_equal(dropped, 1);
    assert_true(asyncio_done(task));
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    assert_false(asyncio_cancel(task));
    assert_int_equal(asyncio_task_cancelling(task), 0);
    assert_non_null(asyncio_task_name(task));
    assert_int_equal(asyncio_await(task), ASYNCIO_ENOTASK);

    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_loop_close(loop);
    task = asyncio_loop_create_task(loop, droppable());
    assert_int_equal(dropped, 2);
    asyncio_loop_release(loop);
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    asyncio_release(task);
    task = asyncio_loop_create_task(NULL, droppable());
    assert_int_equal(asyncio_result(task), ASYNCIO_ESTATE);
    asyncio_release(task);
    assert_null(asyncio_create_task(NULL));
    assert_null(asyncio_loop_create_task(NULL, NULL));
    assert_int_equal(dropped, 3);
    assert_int_equal(asyncio_sleep(0), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_await(droppable()), ASYNCIO_ENOTASK);
    intptr_t result = 11;
    assert_int_equal(asyncio_join(droppable(), &result), ASYNCIO_ENOTASK);
    assert_int_equal(result, 11);
    assert_int_equal(dropped, 5);
    harness_settle();
}

ASYNC(refused_main)
{
    dropped = 0;
    const asyncio_task_options huge = {.stack_size = SIZE_MAX / 2};
    asyncio_task *task = asyncio_create_task_with(droppable(), &huge);
    CHECK(asyncio_done(task));
    CHECK_EQUAL(dropped, 1);
    CHECK_EQUAL(asyncio_await(task), -EINVAL);
    CHECK(asyncio_create_task_with(NULL, NULL) == NULL);
    /* One that nobody looks at is no news: the caller was told. */
    asyncio_release(asyncio_create_task_with(value(1), &huge));
    /* A size of its own is granted. */
    task = asyncio_create_task_with(sleeps(0, 5), &(asyncio_task_options){.stack_size = 1 << 20});
    return asyncio_await(task);
}

TEST(refused)
{
    assert_int_equal(run(refused_main), 5);
}

ASYNC_TEST(awaits_itself)
{
    intptr_t result = 3;
    asyncio_task *self = asyncio_current_task();
    CHECK_EQUAL(asyncio_await(asyncio_ref(self)), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "cannot await itself");
    CHECK_EQUAL(asyncio_join(asyncio_ref(self), &result), -EINVAL);
    CHECK_EQUAL(result, 3);
    CHECK_EQUAL(asyncio_gather(NULL, asyncio_ref(self)), -EINVAL);
    return 0;
}

/* ---- Misuse ------------------------------------------------------------------------------- */

ASYNC(make_one)
{
    made = asyncio_create_task(value(1));
    asyncio_sleep(0);
    return 0;
}

static void cancel_late(void)
{
    asyncio_run(make_one());
    asyncio_release(made);
    asyncio_cancel(made);
}

static void name_late(void)
{
    asyncio_run(make_one());
    asyncio_release(made);
    asyncio_task_name(made);
}

static void name_text(void)
{
    asyncio_task_name((asyncio_task *)(void *)"this is no task, far from it; it is text.");
}

TEST(use_after_release)
{
    check_dies_of_late_use(cancel_late, "asyncio_cancel: used after its release; it was made at ");
    check_dies_of_late_use(cancel_late, "in make_one");
    check_dies_of_late_use(name_late, "asyncio_task_name: used after its release");
    check_dies(name_text, "asyncio_task_name: the pointer is not a task or future");
}

static const char *wrong_call;

static void *in_another_thread(void *arg)
{
    (void)arg;
    switch (wrong_call[0]) {
    case 'c':
        asyncio_cancel(made);
        break;
    case 'd':
        asyncio_done(made);
        break;
    case 'r':
        asyncio_ref(made);
        break;
    case 'n':
        asyncio_task_name(made);
        break;
    case 'a':
        asyncio_await(made);
        break;
    case 'u':
        asyncio_task_uncancel(made);
        break;
    default:
        break;
    }
    return NULL;
}

static void misuse(void)
{
    pthread_t thread;
    asyncio_run(make_one());
    pthread_create(&thread, NULL, in_another_thread, NULL);
    pthread_join(thread, NULL);
}

TEST(wrong_thread)
{
    static const char *const names[] = {"cancel", "done", "ref", "name", "await", "uncancel"};
    static const char *const words[] = {"asyncio_cancel was called", "asyncio_done was called",
                                        "asyncio_ref was called",    "asyncio_task_name was called",
                                        "asyncio_await was called",  "asyncio_task_uncancel was called"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        wrong_call = names[i];
        check_dies(misuse, words[i]);
    }
}

/* ---- Loops that end early -------------------------------------------------------------------- */

TEST(close_before_it_ran)
{
    dropped = 0;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *kept = asyncio_loop_create_task(loop, value(1));
    asyncio_release(asyncio_loop_create_task(loop, droppable()));
    asyncio_release(asyncio_loop_create_task(loop, value(2)));
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_int_equal(report_count, 3);
    assert_non_null(strstr(reports[0].message, "pending"));
    assert_non_null(strstr(reports[0].file, "test_tasks.c"));
    assert_int_equal(dropped, 1);
    assert_true(asyncio_cancelled(kept));
    asyncio_release(kept);
    asyncio_loop_release(loop);
}

ASYNC(leftovers_main)
{
    asyncio_release(asyncio_create_task(sleeps(100, 0)));
    asyncio_release(asyncio_create_task(sleeps(200, 0)));
    asyncio_sleep(1);
    asyncio_release(asyncio_create_task(sleeps(300, 0))); /* not begun when main ends */
    return 9;
}

TEST(leftovers)
{
    assert_int_equal(run_with_leftovers(leftovers_main), 9);
}

/* ---- Sweeps ------------------------------------------------------------------------------------ */

ASYNC(busy_main)
{
    const asyncio_task_options named = {.name = "named", .stack_size = 1 << 20};
    asyncio_task *tasks[4] = {
        asyncio_create_task(sleeps(1, 1)),
        asyncio_create_task_with(sleeps(0, 2), &named),
        asyncio_create_task(value(3)),
        asyncio_create_task_with(value(-EIO), &named),
    };
    (void)asyncio_task_set_name(tasks[0], "other");
    asyncio_cancel_with(tasks[0], "enough");
    for (int i = 0; i < 4; i++)
        (void)asyncio_await(tasks[i]);
    asyncio_release(asyncio_create_task(value(-EPERM)));
    (void)asyncio_sleep(1);
    return 0;
}

TEST(failures)
{
    expect_reports(1);
    sweep_failures(busy_main);
}

ASYNC(all_kinds)
{
    asyncio_task *task = asyncio_create_task(sleeps(3, 1));
    int err = asyncio_sleep(1);
    if (!err)
        err = asyncio_sleep(0);
    intptr_t result = asyncio_await(sleeps(1, 2)); /* in place */
    intptr_t other = asyncio_await(task);
    return err ? err : result < 0 ? result : other;
}

static void check_kinds(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 1);
}

TEST(cancel_sweep)
{
    sweep_cancels(all_kinds, check_kinds);
}

TEST_MAIN()
