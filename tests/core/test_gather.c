/*
 * Gather: outcomes and their order, errors that end the rest, requests, and
 * references on every path.
 */
#include "support/harness.h"
#include "sys/sys.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

ASYNC(value, intptr_t, result)
{
    return result;
}

ASYNC(swallows, double, delay, intptr_t, result)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(delay), 0);
    return result;
}

/* How many of the closures below were made and not dropped. */
static int open_arguments;

static intptr_t sleeps_one(void *arg)
{
    (void)arg;
    return asyncio_sleep(1);
}

static void drop(void *arg)
{
    (void)arg;
    open_arguments--;
}

static asyncio_coro *droppable(void)
{
    open_arguments++;
    return asyncio_coro_new(sleeps_one, NULL, drop);
}

/* ---- Outcomes ------------------------------------------------------------------- */

ASYNC_TEST(order)
{
    intptr_t r[16];
    double begun = asyncio_time();
    asyncio_task *task = asyncio_create_task(sleeps(2, 4));
    CHECK_EQUAL(asyncio_gather(r, sleeps(3, 1), sleeps(1, 2), value(3), task), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(r[i], i + 1);
    CHECK(asyncio_time() - begun >= 3 && asyncio_time() - begun < 3.001);
    CHECK_EQUAL(asyncio_gather(r, value(9)), 0);
    CHECK_EQUAL(r[0], 9);
    CHECK_EQUAL(asyncio_gather(NULL, value(9), value(8)), 0);
    CHECK_EQUAL(asyncio_gather(r, value(0), value(1), value(2), value(3), value(4), value(5), value(6),
                               value(7), value(8), value(9), value(10), value(11), value(12), value(13),
                               value(14), value(15)),
                0);
    for (int i = 0; i < 16; i++)
        CHECK_EQUAL(r[i], i);
    CHECK_EQUAL(asyncio_gather_settled(r, value(-EIO), sleeps(1, 2), value(-ECANCELED)), 0);
    CHECK_EQUAL(r[0], -EIO);
    CHECK_EQUAL(r[1], 2);
    CHECK_EQUAL(r[2], -ECANCELED);
    return 0;
}

ASYNC(arrays_main)
{
    intptr_t r[3];
    asyncio_task *tasks[3] = {asyncio_create_task(sleeps(2, 1)), asyncio_create_task(value(2)), NULL};
    CHECK_EQUAL(asyncio_gather_array(r, tasks, 2), 0);
    CHECK_EQUAL(r[0], 1);
    CHECK_EQUAL(r[1], 2);
    asyncio_future *futures[2] = {asyncio_future_new(), asyncio_ensure_future(value(4))};
    asyncio_future_set_result(futures[0], 3);
    CHECK_EQUAL(asyncio_gather_array(r, futures, 2), 0);
    CHECK_EQUAL(r[0], 3);
    CHECK_EQUAL(r[1], 4);
    tasks[0] = asyncio_create_task(value(-EIO));
    tasks[1] = asyncio_create_task(value(6));
    CHECK_EQUAL(asyncio_gather_settled_array(r, tasks, 3), 0);
    CHECK_EQUAL(r[0], -EIO);
    CHECK_EQUAL(r[1], 6);
    CHECK_EQUAL(r[2], -ENOMEM);
    CHECK_EQUAL(asyncio_gather_array(r, tasks, 0), 0);
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, (asyncio_future **)NULL, 0), 0);
    CHECK_EQUAL(asyncio_gather_array(r, (asyncio_future **)NULL, 1), -EINVAL);
    return 0;
}

TEST(arrays)
{
    assert_int_equal(run(arrays_main), 0);
    asyncio_task *none[1];
    assert_int_equal(asyncio_gather_array(NULL, none, 0), ASYNCIO_ENOTASK);
}

/* Each argument carries one reference; the same one may be there twice. */
ASYNC_TEST(duplicates)
{
    intptr_t r[4];
    asyncio_task *task = asyncio_create_task(sleeps(1, 7));
    CHECK_EQUAL(asyncio_gather(r, asyncio_ref(task), asyncio_ref(task), asyncio_ref(task)), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(r[i], 7);
    CHECK_EQUAL(asyncio_gather(r, task), 0); /* ended already: at once */

    /* A request reaches it once. */
    task = asyncio_create_task(sleeps(9, 7));
    CHECK_EQUAL(asyncio_gather(r, asyncio_ref(task), asyncio_ref(task), sleeps(1, -EIO)), -EIO);
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    asyncio_release(task);

    open_arguments = 0;
    asyncio_coro *coro = droppable(), *other = droppable();
    CHECK_EQUAL(asyncio_gather(r, other, coro, value(1), coro), -EINVAL);
    CHECK_EQUAL(open_arguments, 0);
    coro = droppable();
    CHECK_EQUAL(asyncio_gather_settled(r, coro, coro), -EINVAL);
    CHECK_EQUAL(open_arguments, 0);
    return 0;
}

/* A refused call has taken over its tasks: none is left to run on unowned, and none uses what
 * the caller had on its stack. */
ASYNC(ends_late, int *, place)
{
    int err = asyncio_sleep(ASYNCIO_FOREVER);
    asyncio_sleep(1);
    *place = 1;
    return err;
}

ASYNC(refused_main)
{
    int places[2] = {0};
    intptr_t r[6] = {1, 1, 1, 1, 1, 1};
    asyncio_task *tasks[2] = {asyncio_create_task(ends_late(&places[0])),
                              asyncio_create_task(ends_late(&places[1]))};
    asyncio_task *ended = asyncio_create_task(value(7));
    CHECK_EQUAL(asyncio_sleep(1), 0);
    open_arguments = 0;
    asyncio_coro *coro = droppable();
    CHECK_EQUAL(asyncio_gather(r, tasks[0], coro, ended, asyncio_ref(tasks[1]), coro, tasks[1]), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "the same coroutine is there twice");
    CHECK(places[0] == 1 && places[1] == 1);
    CHECK_EQUAL(open_arguments, 0);
    const intptr_t expected[] = {-ECANCELED, -EINVAL, 7, -ECANCELED, -EINVAL, -ECANCELED};
    for (int i = 0; i < 6; i++)
        CHECK_EQUAL(r[i], expected[i]);

    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_gather_settled(r, asyncio_ref(future), asyncio_ref(asyncio_current_task())), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "wait for itself");
    CHECK(asyncio_cancelled(future));
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 0);
    CHECK_EQUAL(r[1], -EINVAL);
    asyncio_release(future);
    return 0;
}

/* A request to the caller meanwhile stays for its next wait. */
ASYNC(is_refused_slowly)
{
    int place = 0;
    asyncio_task *task = asyncio_create_task(ends_late(&place));
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_coro *coro = value(1);
    CHECK_EQUAL(asyncio_gather(NULL, task, coro, coro), -EINVAL);
    CHECK_EQUAL(place, 1);
    return asyncio_sleep(9);
}

ASYNC(refused_request_main)
{
    asyncio_task *task = asyncio_create_task(is_refused_slowly());
    CHECK_EQUAL(asyncio_sleep(1.5), 0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return 0;
}

static asyncio_task *given_outside;

static void gathers_outside_a_task(void *arg)
{
    intptr_t r[1] = {0};
    (void)arg;
    CHECK_EQUAL(asyncio_gather(r, given_outside), ASYNCIO_ENOTASK);
    CHECK_EQUAL(r[0], ASYNCIO_ENOTASK);
}

ASYNC(refused_outside_main)
{
    int place = 0;
    given_outside = asyncio_create_task(ends_late(&place));
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), gathers_outside_a_task, NULL);
    CHECK_EQUAL(asyncio_sleep(3), 0);
    CHECK_EQUAL(place, 1);
    return 0;
}

TEST(refused)
{
    assert_int_equal(run(refused_main), 0);
    assert_int_equal(run(refused_request_main), 0);
    assert_int_equal(run(refused_outside_main), 0);
}

/* ---- Errors ----------------------------------------------------------------------- */

ASYNC(raises, double, delay, intptr_t, err, const char *, message)
{
    asyncio_sleep(delay);
    return asyncio_raise(err, "%s", message);
}

ASYNC_TEST(errors)
{
    intptr_t r[4];
    double begun = asyncio_time();
    /* The first in time, not in place; the others are cancelled and waited for. */
    CHECK_EQUAL(asyncio_gather(r, sleeps(50, 1), swallows(2, 8), raises(1, -EIO, "disk"), sleeps(0, 4)),
                -EIO);
    CHECK_EQUAL(r[0], -ECANCELED);
    CHECK_EQUAL(r[1], 8);
    CHECK_EQUAL(r[2], -EIO);
    CHECK_EQUAL(r[3], 4);
    CHECK_TEXT(asyncio_error_message(), "disk");
    CHECK(asyncio_time() - begun >= 3 && asyncio_time() - begun < 3.001);

    /* Two in one tick: the one that came first. */
    CHECK_EQUAL(asyncio_gather(r, raises(1, -EIO, "one"), raises(1, -EPERM, "two")), -EIO);
    CHECK_TEXT(asyncio_error_message(), "one");
    CHECK_EQUAL(r[1], -EPERM);

    /* A child that fails while it is being ended changes nothing. */
    CHECK_EQUAL(asyncio_gather(r, swallows(1, -EPERM), raises(1, -EIO, "first")), -EIO);
    CHECK_TEXT(asyncio_error_message(), "first");
    CHECK_EQUAL(r[0], -EPERM);

    /* A cancelled child is an error, too. */
    asyncio_task *task = asyncio_create_task(sleeps(9, 1));
    asyncio_sleep(0);
    asyncio_cancel_with(task, "child");
    CHECK_EQUAL(asyncio_gather(r, task, sleeps(9, 2)), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "child");
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 0);
    CHECK_EQUAL(asyncio_sleep(0), 0);

    /* Errors beyond the range of int stay errors. */
    CHECK(asyncio_gather(r, value(INTPTR_MIN)) < 0);
    CHECK_EQUAL(r[0], INTPTR_MIN);
    return 0;
}

/* Failed before it began: NULL, or one that has ended. */
ASYNC_TEST(failed_before)
{
    intptr_t r[3];
    CHECK_EQUAL(asyncio_gather(r, (asyncio_task *)NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_gather(r, (asyncio_coro *)NULL, sleeps(9, 1)), -ENOMEM);
    CHECK_EQUAL(r[0], -ENOMEM);
    CHECK_EQUAL(r[1], -ECANCELED);
    CHECK_EQUAL(asyncio_gather_settled(r, (asyncio_coro *)NULL, sleeps(9, 1)), 0);
    CHECK_EQUAL(r[0], -ENOMEM);
    CHECK_EQUAL(r[1], 1);

    asyncio_task *task = asyncio_create_task(raises(0, -EIO, "gone"));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_gather(r, sleeps(9, 1), task, swallows(1, 5)), -EIO);
    CHECK_TEXT(asyncio_error_message(), "gone");
    CHECK_EQUAL(r[0], -ECANCELED);
    return 0;
}

/* Plain futures end the moment they are cancelled, inside the call. */
ASYNC_TEST(futures)
{
    intptr_t r[3];
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_gather(r, (asyncio_task *)NULL, asyncio_ref(future)), -ENOMEM);
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    CHECK_EQUAL(r[1], -ECANCELED);
    /* Whoever was queued by mistake would run twice now. */
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_sleep(0), 0);

    asyncio_future *failed = asyncio_future_new();
    asyncio_future_set_error(failed, -EIO);
    CHECK_EQUAL(asyncio_gather(r, asyncio_future_new(), failed, sleeps(5, 1)), -EIO);
    CHECK_EQUAL(r[0], -ECANCELED);
    CHECK_EQUAL(r[2], -ECANCELED);
    double begun = asyncio_time();
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK(asyncio_time() - begun >= 1);

    CHECK_EQUAL(asyncio_gather(r, asyncio_future_new(), raises(1, -EIO, "x"), asyncio_future_new()), -EIO);
    CHECK_EQUAL(r[0], -ECANCELED);
    CHECK_EQUAL(r[2], -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    return 0;
}

/* ---- References on every path -------------------------------------------------------- */

ASYNC(refusals_main)
{
    open_arguments = 0;
    asyncio_task *self = asyncio_current_task();
    asyncio_task *task = asyncio_create_task(sleeps(1, 2));
    CHECK_EQUAL(asyncio_gather(NULL, droppable(), asyncio_ref(task), asyncio_ref(self), droppable()),
                -EINVAL);
    CHECK_EQUAL(open_arguments, 0);
    CHECK(asyncio_done(task)); /* whoever else has a reference */
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return 0;
}

static void call_gather(void *arg)
{
    asyncio_task *task = arg;
    CHECK_EQUAL(asyncio_gather(NULL, droppable(), task, (asyncio_future *)NULL), ASYNCIO_ENOTASK);
}

ASYNC(callback_main)
{
    open_arguments = 0;
    asyncio_task *task = asyncio_create_task(sleeps(1, 2));
    asyncio_loop_call_soon(asyncio_get_running_loop(), call_gather, asyncio_ref(task));
    asyncio_sleep(0);
    CHECK_EQUAL(open_arguments, 0);
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return 0;
}

TEST(refusals)
{
    assert_int_equal(run(refusals_main), 0);
    assert_int_equal(run(callback_main), 0);
    open_arguments = 0;
    assert_int_equal(asyncio_gather(NULL, droppable(), droppable()), ASYNCIO_ENOTASK);
    assert_int_equal(open_arguments, 0);
}

/* ---- Requests -------------------------------------------------------------------------- */

struct seen {
    int err;
    intptr_t r[3];
    int next; /* what the wait after it gave */
};

ASYNC(gathers, asyncio_task *, a, asyncio_task *, b, struct seen *, seen)
{
    seen->err = asyncio_gather(seen->r, a, b);
    CHECK_TEXT(asyncio_error_message(), seen->err == -ECANCELED ? "stop" : "");
    seen->next = asyncio_sleep(0);
    return seen->err;
}

static void cancel_gather_of(asyncio_coro *a, asyncio_coro *b, struct seen *seen)
{
    asyncio_task *task = asyncio_create_task(gathers(asyncio_create_task(a), asyncio_create_task(b), seen));
    asyncio_sleep(1);
    CHECK(asyncio_cancel_with(task, "stop"));
    asyncio_await(task);
}

ASYNC_TEST(requests)
{
    struct seen seen;
    cancel_gather_of(sleeps(9, 1), sleeps(9, 2), &seen);
    CHECK_EQUAL(seen.err, -ECANCELED);
    CHECK_EQUAL(seen.r[0], -ECANCELED);
    CHECK_EQUAL(seen.r[1], -ECANCELED);
    CHECK_EQUAL(seen.next, 0);

    /* All of them swallow it: it is delivered all the same, once. */
    double begun = asyncio_time();
    cancel_gather_of(swallows(1, 1), swallows(2, 2), &seen);
    CHECK(asyncio_time() - begun >= 3);
    CHECK_EQUAL(seen.err, -ECANCELED);
    CHECK_EQUAL(seen.r[0], 1);
    CHECK_EQUAL(seen.r[1], 2);
    CHECK_EQUAL(seen.next, 0);

    /* One fails for it. */
    cancel_gather_of(swallows(1, -EIO), swallows(2, 2), &seen);
    CHECK_EQUAL(seen.err, -ECANCELED);
    CHECK_EQUAL(seen.r[0], -EIO);
    CHECK_EQUAL(seen.r[1], 2);
    CHECK_EQUAL(seen.next, 0);
    return 0;
}

ASYNC(gathers_and_waits, asyncio_task *, a, asyncio_task *, b, struct seen *, seen)
{
    seen->err = asyncio_gather(seen->r, a, b);
    seen->next = asyncio_sleep(0);
    return 0;
}

/* A child's error that came first wins; the request stays for the next wait. */
ASYNC_TEST(error_before_the_request)
{
    struct seen seen;
    asyncio_task *a = asyncio_create_task(sleeps(1, -EIO)), *b = asyncio_create_task(swallows(2, 3));
    asyncio_task *task = asyncio_create_task(gathers_and_waits(a, b, &seen));
    asyncio_sleep(2); /* it is ending b */
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(seen.err, -EIO);
    CHECK_EQUAL(seen.r[1], 3);
    CHECK_EQUAL(seen.next, -ECANCELED);

    /* In the tick of the error, before gather resumes. */
    asyncio_future *future = asyncio_future_new();
    b = asyncio_create_task(sleeps(9, 3));
    task = asyncio_create_task(gathers_and_waits((asyncio_task *)asyncio_ref(future), b, &seen));
    asyncio_sleep(1);
    asyncio_future_set_error(future, -EPERM);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(seen.err, -EPERM);
    CHECK_EQUAL(seen.r[1], -ECANCELED);
    CHECK_EQUAL(seen.next, -ECANCELED);
    asyncio_release(future);

    /* In the tick in which the last one ends well. */
    future = asyncio_future_new();
    b = asyncio_create_task(sleeps(1, 3));
    task = asyncio_create_task(gathers_and_waits((asyncio_task *)asyncio_ref(future), b, &seen));
    asyncio_sleep(2);
    asyncio_future_set_result(future, 5);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(seen.err, 0);
    CHECK_EQUAL(seen.r[0], 5);
    CHECK_EQUAL(seen.next, -ECANCELED);
    asyncio_release(future);
    return 0;
}

/* Requested before the call: its children are cancelled as they are made. */
ASYNC_TEST(requested_before)
{
    struct seen seen;
    asyncio_task *task = asyncio_create_task(
        gathers_and_waits(asyncio_create_task(sleeps(9, 1)), asyncio_create_task(value(2)), &seen));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 0);
    CHECK_EQUAL(seen.err, -ECANCELED);
    CHECK_EQUAL(seen.r[0], -ECANCELED);
    CHECK_EQUAL(seen.r[1], 2);
    CHECK_EQUAL(seen.next, 0);
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    asyncio_release(task);

    task = asyncio_create_task(
        gathers_and_waits((asyncio_task *)asyncio_future_new(), (asyncio_task *)asyncio_future_new(), &seen));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(seen.err, -ECANCELED);
    CHECK_EQUAL(seen.next, 0);
    return 0;
}

/* In a loop, settled: it can still be cancelled. */
ASYNC(settles_for_ever)
{
    for (;;) {
        int err = asyncio_gather_settled(NULL, sleeps(1, 1), value(-EIO));
        if (err)
            return err;
    }
}

ASYNC(settled_main)
{
    asyncio_task *task = asyncio_create_task(settles_for_ever());
    asyncio_sleep(10.5);
    asyncio_cancel(task);
    return asyncio_await(task);
}

TEST(settled_in_a_loop)
{
    assert_int_equal(run(settled_main), -ECANCELED);
}

/* ---- Hops ----------------------------------------------------------------------------- */

static int ticks;

ASYNC(ticker)
{
    while (asyncio_sleep(0) == 0)
        ticks++;
    return 0;
}

static int ticks_of(asyncio_coro *a, asyncio_coro *b)
{
    asyncio_task *task = asyncio_create_task(ticker());
    asyncio_sleep(0);
    ticks = 0;
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);
    int taken = ticks;
    asyncio_cancel(task);
    asyncio_await(task);
    return taken;
}

/* As in asyncio: the children's turn, the gather's callback, the wake-up. */
ASYNC_TEST(hops)
{
    CHECK_EQUAL(ticks_of(value(1), value(2)), 3);
    CHECK_EQUAL(ticks_of(sleeps(0, 1), value(2)), 4);
    return 0;
}

/* ---- Without memory -------------------------------------------------------------------- */

/* No place for the children: those that run are ended all the same, in the call, whatever else comes. */
ASYNC(gathers_without_memory, intptr_t *, r, bool, settled)
{
    asyncio_task *first = asyncio_create_task(swallows(1, 5)), *second = asyncio_create_task(sleeps(9, 1));
    asyncio_task *third = asyncio_create_task(value(3));
    asyncio_future *future = asyncio_future_new();
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_future *all[] = {(asyncio_future *)first,
                             (asyncio_future *)droppable(),
                             (asyncio_future *)asyncio_ref(first),
                             (asyncio_future *)second,
                             NULL,
                             (asyncio_future *)third,
                             asyncio_ref(future)};
    asy_fault_arm(1, false);
    int err = settled ? asyncio_gather_settled_array(r, all, 7) : asyncio_gather_array(r, all, 7);
    asy_fault_disarm();
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    return err == -ENOMEM ? asyncio_sleep(0) : err;
}

ASYNC(without_memory_main)
{
    for (int requested = 0; requested < 2; requested++) {
        intptr_t r[7] = {0};
        double begun = asyncio_time();
        asyncio_task *task = asyncio_create_task(gathers_without_memory(r, requested == 1));
        CHECK_EQUAL(asyncio_sleep(0.5), 0);
        CHECK(!asyncio_done(task));
        if (requested)
            asyncio_cancel(task);
        /* Kept, for the next call that waits. */
        CHECK_EQUAL(asyncio_await(task), requested ? -ECANCELED : 0);
        CHECK(asyncio_time() - begun == 1); /* `first` took its time, and was asked once */
        const intptr_t expected[] = {5, -ENOMEM, 5, -ECANCELED, -ENOMEM, 3, -ECANCELED};
        for (int i = 0; i < 7; i++)
            CHECK_EQUAL(r[i], expected[i]);
    }
    return 0;
}

TEST(without_memory)
{
    open_arguments = 0;
    assert_int_equal(run(without_memory_main), 0);
    assert_int_equal(open_arguments, 0);
}

/* ---- Sweeps --------------------------------------------------------------------------- */

/* Whichever call fails: when gather is back nobody uses what was lent to the children. */
ASYNC(uses, int *, users)
{
    ++*users;
    (void)asyncio_sleep(1);
    (void)asyncio_sleep(0);
    --*users;
    return 0;
}

ASYNC(lending_main)
{
    intptr_t r[40];
    asyncio_task *tasks[40];
    int users = 0;
    for (int i = 0; i < 40; i++)
        tasks[i] = asyncio_create_task(uses(&users));
    asyncio_sleep(0);
    (void)asyncio_gather_array(r, tasks, 40);
    CHECK_EQUAL(users, 0);
    return 0;
}

ASYNC(sweep_main)
{
    intptr_t r[3];
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 1);
    (void)asyncio_gather(r, droppable(), asyncio_create_task(sleeps(1, 1)), future);
    (void)asyncio_gather_settled(r, droppable(), value(-EIO), sleeps(2, 1));
    (void)asyncio_gather(r, value(-EIO), droppable(), asyncio_future_new());
    return 0;
}

TEST(failures)
{
    open_arguments = 0;
    sweep_failures(sweep_main);
    assert_int_equal(open_arguments, 0);
    sweep_failures(lending_main);
}

TEST(cancel_sweep)
{
    open_arguments = 0;
    sweep_cancels(sweep_main, NULL);
    assert_int_equal(open_arguments, 0);
    sweep_cancels(lending_main, NULL);
}

TEST_MAIN()
