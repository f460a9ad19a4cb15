/*
 * Select: each kind of case, which of several happens, what a cancel and a timeout leave, and refusals. The
 * model is in test_select_model.c.
 */
#include "base/random.h"
#include "support/net.h"
#include "sync/sync_test.h"
#include "sys/sys.h"
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static asyncio_queue full, empty; /* of one int each */
static asyncio_event event;
static asyncio_lock lock;
static asyncio_semaphore semaphore;
static asyncio_channel *channel;
static int got;

static void make_objects(void)
{
    int one = 1;
    asyncio_queue_init(&full, sizeof(int), 1);
    asyncio_queue_init(&empty, sizeof(int), 1);
    asyncio_queue_put_nowait(&full, &one);
    asyncio_event_init(&event);
    asyncio_lock_init(&lock);
    asyncio_semaphore_init(&semaphore, 0);
    channel = asyncio_channel_new(sizeof(int), 1);
    got = -1;
}

static void destroy_objects(void)
{
    asyncio_queue_destroy(&full);
    asyncio_queue_destroy(&empty);
    asyncio_channel_release(channel);
}

/* Selects and notes the outcome, for others to look at. */
static ptrdiff_t selected;

ASYNC(selects, asyncio_case *, cases, size_t, n, double, timeout)
{
    selected = -1000;
    selected = asyncio_select(cases, n, timeout);
    return selected < 0 ? selected : 0;
}

/* ---- Each kind ----------------------------------------------------------------------------------- */

ASYNC_TEST(what_can_happen_at_once_does)
{
    make_objects();
    int item = 7;
    asyncio_event_set(&event);
    asyncio_semaphore_release(&semaphore);
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 42);
    asyncio_case cases[] = {
        ASYNCIO_CASE_GET(&full, &got),     ASYNCIO_CASE_PUT(&empty, &item),    ASYNCIO_CASE_EVENT(&event),
        ASYNCIO_CASE_LOCK(&lock),          ASYNCIO_CASE_SEMAPHORE(&semaphore), ASYNCIO_CASE_DONE(future),
        ASYNCIO_CASE_SEND(channel, &item),
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQUAL(asyncio_select(&cases[i], 1, 0), 0);
        CHECK_EQUAL(cases[i].result, i == 5 ? 42 : 0);
    }
    CHECK_EQUAL(got, 1);
    CHECK_EQUAL(asyncio_queue_get_nowait(&empty, &got), 0);
    CHECK_EQUAL(got, 7);
    CHECK(asyncio_lock_locked(&lock) && asyncio_semaphore_locked(&semaphore));
    asyncio_case receive = ASYNCIO_CASE_RECEIVE(channel, &got);
    got = -1;
    CHECK_EQUAL(asyncio_select(&receive, 1, 0), 0);
    CHECK_EQUAL(got, 7);
    CHECK_EQUAL(asyncio_select(&receive, 1, 0), -ETIMEDOUT);
    asyncio_release(future);
    destroy_objects();
    return 0;
}

static void trigger(int which)
{
    int item = 9;
    switch (which) {
    case 0:
        CHECK_EQUAL(asyncio_queue_put_nowait(&empty, &item), 0);
        break;
    case 1:
        CHECK_EQUAL(asyncio_queue_get_nowait(&full, &item), 0);
        break;
    case 2:
        asyncio_event_set(&event);
        break;
    case 3:
        CHECK_EQUAL(asyncio_lock_release(&lock), 0);
        break;
    case 4:
        CHECK_EQUAL(asyncio_semaphore_release(&semaphore), 0);
        break;
    default:
        CHECK_EQUAL(asyncio_channel_try_send(channel, &item), 0);
    }
}

/* All wait; one thing happens, and the others are as if nobody had waited. */
ASYNC_TEST(one_of_all_that_wait_happens)
{
    for (int which = 0; which < 6; which++) {
        make_objects();
        int item = 5;
        CHECK_EQUAL(asyncio_lock_acquire(&lock), 0);
        asyncio_case cases[] = {
            ASYNCIO_CASE_GET(&empty, &got),     ASYNCIO_CASE_PUT(&full, &item),
            ASYNCIO_CASE_EVENT(&event),         ASYNCIO_CASE_LOCK(&lock),
            ASYNCIO_CASE_SEMAPHORE(&semaphore), ASYNCIO_CASE_RECEIVE(channel, &got),
        };
        asyncio_task *task = asyncio_create_task(selects(cases, 6, ASYNCIO_FOREVER));
        asyncio_sleep(0);
        trigger(which);
        CHECK(!waiters_any(&empty.getters_) && !waiters_any(&full.putters_) &&
              !waiters_any(&event.waiters_) && !waiters_any(&lock.waiters_) &&
              !waiters_any(&semaphore.waiters_));
        CHECK_EQUAL(asyncio_await(task), 0);
        CHECK_EQUAL(selected, which);
        CHECK_EQUAL(cases[which].result, 0);
        CHECK_EQUAL(got, which == 0 || which == 5 ? 9 : -1);
        for (int other = 0; other < 6; other++)
            if (other != which)
                trigger(other);
        CHECK_EQUAL(asyncio_queue_size(&empty), which == 0 ? 0 : 1);
        CHECK_EQUAL(asyncio_queue_size(&full), which == 1 ? 1 : 0);
        CHECK_EQUAL(asyncio_lock_locked(&lock), which == 3);
        CHECK_EQUAL(asyncio_semaphore_locked(&semaphore), which == 4);
        CHECK_EQUAL(asyncio_channel_size(channel), which == 5 ? 0 : 1);
        destroy_objects();
    }
    return 0;
}

ASYNC(gives, intptr_t, result)
{
    int err = asyncio_sleep(1);
    return err ? err : result < 0 ? asyncio_raise(result, "it failed on purpose") : result;
}

ASYNC_TEST(a_task_that_ends)
{
    asyncio_task *quick = asyncio_create_task(gives(5)), *slow = asyncio_create_task(gives(-EIO));
    asyncio_case cases[] = {ASYNCIO_CASE_DONE(slow), ASYNCIO_CASE_DONE(quick), ASYNCIO_CASE_DONE(quick)};
    CHECK_EQUAL(asyncio_select(cases, 3, 0.5), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_select(cases + 1, 2, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(cases[1].result, 5);
    CHECK_EQUAL(asyncio_select(cases, 1, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(cases[0].result, -EIO);
    CHECK_TEXT(asyncio_error_message(), "it failed on purpose");
    asyncio_release(quick);
    asyncio_release(slow);
    return 0;
}

/* ---- Which one ----------------------------------------------------------------------------------- */

ASYNC_TEST(the_first_that_can_happen_does)
{
    make_objects();
    asyncio_event_set(&event);
    asyncio_case cases[] = {ASYNCIO_CASE_GET(&empty, &got), ASYNCIO_CASE_EVENT(&event),
                            ASYNCIO_CASE_GET(&full, &got)};
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(asyncio_select(cases, 3, 1), 1);
    CHECK_EQUAL(got, -1);
    destroy_objects();
    return 0;
}

static int drawn[2];

ASYNC(draws_one)
{
    asyncio_event events[2] = {ASYNCIO_EVENT_INIT, ASYNCIO_EVENT_INIT};
    asyncio_case cases[] = {ASYNCIO_CASE_EVENT(&event), ASYNCIO_CASE_EVENT(&events[0]),
                            ASYNCIO_CASE_EVENT(&events[1])};
    asyncio_event_init(&event);
    asyncio_event_set(&events[0]);
    asyncio_event_set(&events[1]);
    for (int i = 0; i < 100; i++)
        drawn[asyncio_select(cases, 3, 1) - 1]++;
    return 0;
}

TEST(a_seed_draws_one)
{
    drawn[0] = drawn[1] = 0;
    CHECK_EQUAL(run_seeded(draws_one, 7), 0);
    CHECK(drawn[0] > 20 && drawn[1] > 20);
    harness_settle();
}

/* First come, first served, tasks that select and tasks that do not. */
ASYNC_TEST(a_case_has_its_place_in_the_queue)
{
    make_objects();
    asyncio_case first = ASYNCIO_CASE_GET(&empty, &got);
    asyncio_task *selecting = asyncio_create_task(selects(&first, 1, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    int late = -1, item = 3;
    asyncio_case second = ASYNCIO_CASE_GET(&empty, &late);
    asyncio_task *later = asyncio_create_task(selects(&second, 1, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_queue_put_nowait(&empty, &item);
    item = 4;
    asyncio_queue_put_nowait(&empty, &item);
    CHECK_EQUAL(asyncio_gather(NULL, selecting, later), 0);
    CHECK_EQUAL(got, 3);
    CHECK_EQUAL(late, 4);
    destroy_objects();
    return 0;
}

ASYNC_TEST(one_object_in_several_cases)
{
    make_objects();
    int a = -1, b = -1, item = 3;
    asyncio_case cases[] = {ASYNCIO_CASE_GET(&empty, &a), ASYNCIO_CASE_GET(&empty, &b),
                            ASYNCIO_CASE_RECEIVE(channel, &a), ASYNCIO_CASE_RECEIVE(channel, &b)};
    asyncio_task *task = asyncio_create_task(selects(cases, 4, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_queue_put_nowait(&empty, &item);
    asyncio_queue_put_nowait(&empty, &item);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK(selected == 0 && a == 3 && b == -1);
    CHECK_EQUAL(asyncio_queue_size(&empty), 1);
    /* An empty queue is one to put into: a select never hands an item to itself. */
    CHECK_EQUAL(asyncio_queue_get_nowait(&empty, &got), 0);
    asyncio_case both[] = {ASYNCIO_CASE_GET(&empty, &a), ASYNCIO_CASE_PUT(&empty, &item)};
    CHECK_EQUAL(asyncio_select(both, 2, 1), 1);
    CHECK_EQUAL(asyncio_select(both, 2, 1), 0);
    asyncio_case ends[] = {ASYNCIO_CASE_RECEIVE(channel, &a), ASYNCIO_CASE_SEND(channel, &item)};
    CHECK_EQUAL(asyncio_select(ends, 2, 1), 1);
    CHECK_EQUAL(asyncio_select(ends, 2, 1), 0);
    destroy_objects();
    return 0;
}

/* ---- Time and cancel ----------------------------------------------------------------------------- */

ASYNC_TEST(a_timeout_leaves_nothing)
{
    make_objects();
    asyncio_case cases[] = {ASYNCIO_CASE_GET(&empty, &got), ASYNCIO_CASE_EVENT(&event),
                            ASYNCIO_CASE_RECEIVE(channel, &got)};
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_select(cases, 3, 2.5), -ETIMEDOUT);
    CHECK(asyncio_time() - began >= 2.5 && asyncio_time() - began < 2.6);
    CHECK(!waiters_any(&empty.getters_) && !waiters_any(&event.waiters_));
    int item = 1;
    CHECK_EQUAL(asyncio_channel_try_send(channel, &item), 0);
    CHECK_EQUAL(asyncio_channel_try_receive(channel, &item), 0);
    destroy_objects();
    return 0;
}

ASYNC(looks_with_a_request)
{
    asyncio_case one = ASYNCIO_CASE_GET(&empty, &got);
    asyncio_cancel(asyncio_current_task());
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_select(&one, 1, 0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_select(&one, 1, -1), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_select(&one, 1, 1), -ECANCELED);
    CHECK_EQUAL(asyncio_select(&one, 1, 1), -ETIMEDOUT);
    return 0;
}

ASYNC_TEST(a_look_delivers_no_request)
{
    make_objects();
    CHECK_EQUAL(asyncio_await(asyncio_create_task(looks_with_a_request())), 0);
    destroy_objects();
    return 0;
}

ASYNC_TEST(a_grant_comes_before_a_later_request)
{
    make_objects();
    for (int by_channel = 0; by_channel < 2; by_channel++) {
        asyncio_case cases[] = {ASYNCIO_CASE_GET(&empty, &got), ASYNCIO_CASE_RECEIVE(channel, &got)};
        asyncio_task *task = asyncio_create_task(selects(cases, 2, ASYNCIO_FOREVER));
        asyncio_sleep(0);
        int item = 3 + by_channel;
        if (by_channel)
            asyncio_channel_try_send(channel, &item);
        else
            asyncio_queue_put_nowait(&empty, &item);
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_await(task), 0);
        CHECK_EQUAL(selected, by_channel);
        CHECK_EQUAL(got, item);
    }
    destroy_objects();
    return 0;
}

ASYNC_TEST(a_request_is_not_passed_on)
{
    asyncio_task *other = asyncio_create_task(gives(1));
    asyncio_case one = ASYNCIO_CASE_DONE(other);
    asyncio_task *task = asyncio_create_task(selects(&one, 1, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(asyncio_await(other), 1);
    return 0;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK(suspension == 0 ? result == 0 : result == 0 || result == -ECANCELED);
}

ASYNC(puts_soon)
{
    int item = 8, err = asyncio_sleep(0);
    return err ? err : asyncio_queue_put(&empty, &item);
}

ASYNC(selects_thrice)
{
    asyncio_queue_init(&empty, sizeof(int), 1);
    asyncio_channel *own = asyncio_channel_new(sizeof(int), 1);
    asyncio_event_init(&event);
    int err = own && empty.maxsize_ ? 0 : -ENOMEM;
    asyncio_task *other = err ? NULL : asyncio_create_task(puts_soon());
    asyncio_case cases[] = {ASYNCIO_CASE_EVENT(&event), ASYNCIO_CASE_GET(&empty, &got),
                            ASYNCIO_CASE_RECEIVE(own, &got)};
    for (int i = 0; i < 3 && err >= 0; i++)
        err = (int)asyncio_select(cases, 3, 0.1);
    if (other)
        asyncio_cancel(other), asyncio_join(other, NULL);
    asyncio_queue_destroy(&empty);
    asyncio_channel_release(own);
    return err == -ETIMEDOUT ? 0 : err;
}

TEST(a_cancel_at_each_suspension)
{
    sweep_cancels(selects_thrice, check_swept);
}

TEST(each_call_of_the_seam_fails)
{
    sweep_failures(selects_thrice);
}

/* ---- Ends of objects, and of loops --------------------------------------------------------------- */

ASYNC_TEST(an_object_that_ends_is_something_that_happens)
{
    make_objects();
    asyncio_case cases[] = {ASYNCIO_CASE_EVENT(&event), ASYNCIO_CASE_GET(&empty, &got)};
    asyncio_task *task = asyncio_create_task(selects(cases, 2, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_queue_shutdown(&empty, false);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(selected, 1);
    CHECK_EQUAL(cases[1].result, ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(asyncio_select(cases, 2, 0), 1);
    cases[1] = ASYNCIO_CASE_PUT(&full, &got);
    task = asyncio_create_task(selects(cases, 2, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_queue_destroy(&full);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(cases[1].result, ASYNCIO_EQUEUE_SHUTDOWN);
    cases[1] = ASYNCIO_CASE_RECEIVE(channel, &got);
    task = asyncio_create_task(selects(cases, 2, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_channel_close(channel);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(cases[1].result, ASYNCIO_EQUEUE_SHUTDOWN);
    destroy_objects();
    return 0;
}

static asyncio_case left[4];

ASYNC(leaves_selects, bool, grants)
{
    static int items[3];
    left[0] = ASYNCIO_CASE_EVENT(&event);
    left[1] = ASYNCIO_CASE_GET(&empty, &items[0]);
    left[2] = ASYNCIO_CASE_LOCK(&lock);
    left[3] = ASYNCIO_CASE_RECEIVE(channel, &items[1]);
    asyncio_lock_acquire(&lock);
    asyncio_release(asyncio_create_task(selects(left, 4, ASYNCIO_FOREVER)));
    asyncio_sleep(0);
    int item = 6;
    if (grants)
        asyncio_queue_put_nowait(&empty, &item);
    return stop_for_good();
}

/* What a task that never runs was granted goes back, and nothing of it is left in a queue. */
TEST(a_loop_that_closes_over_a_select)
{
    for (int grants = 0; grants < 2; grants++) {
        make_objects();
        run_and_close(leaves_selects(grants));
        CHECK(!waiters_any(&event.waiters_) && !waiters_any(&empty.getters_) && !waiters_any(&lock.waiters_));
        CHECK_EQUAL(asyncio_queue_size(&empty), grants);
        int item = 1;
        CHECK_EQUAL(asyncio_channel_try_send(channel, &item), 0);
        CHECK_EQUAL(asyncio_channel_try_receive(channel, &item), 0);
        destroy_objects();
    }
    harness_settle();
}

/* ---- What it costs ------------------------------------------------------------------------------ */

ASYNC(sets_soon)
{
    int err = asyncio_sleep(0);
    asyncio_event_set(&event);
    return err;
}

ASYNC_TEST(nothing_is_allocated)
{
    make_objects();
    asyncio_case cases[16];
    for (int i = 0; i < 15; i++)
        cases[i] = i % 2 ? ASYNCIO_CASE_RECEIVE(channel, &got) : ASYNCIO_CASE_GET(&empty, &got);
    cases[15] = ASYNCIO_CASE_EVENT(&event);
    asyncio_task *setter = asyncio_create_task(sets_soon());
    asyncio_sleep(0);
    asy_fault_arm(0, /* sticky= */ false);
    ptrdiff_t which = asyncio_select(cases, 16, ASYNCIO_FOREVER);
    CHECK_EQUAL(asy_fault_disarm(), 0);
    CHECK_EQUAL(which, 15);
    CHECK_EQUAL(asyncio_await(setter), 0);
    destroy_objects();
    return 0;
}

#define MANY 20000

/* Each event in turn wins, at the far end of an array that grows: linear, or the test takes for ever. */
ASYNC_TEST(many_cases)
{
    asyncio_case *cases = calloc(MANY, sizeof *cases);
    asyncio_event *events = calloc(MANY, sizeof *events);
    for (size_t i = 0; i < MANY; i++)
        cases[i] = ASYNCIO_CASE_EVENT(&events[i]);
    for (size_t n = MANY / 10; n <= MANY; n += MANY / 10) {
        asyncio_task *task = asyncio_create_task(selects(cases, n, ASYNCIO_FOREVER));
        asyncio_sleep(0);
        asyncio_event_set(&events[n - 1]);
        CHECK_EQUAL(asyncio_await(task), 0);
        CHECK_EQUAL(selected, n - 1);
        asyncio_event_clear(&events[n - 1]);
    }
    for (size_t i = 0; i < MANY; i++)
        CHECK(!waiters_any(&events[i].waiters_));
    free(cases);
    free(events);
    return 0;
}

/* ---- Refusals ------------------------------------------------------------------------------------ */

#define CHECK_REFUSED(one, err, words)                                                                       \
    do {                                                                                                     \
        asyncio_case cases_[] = {ASYNCIO_CASE_GET(&full, &got), (one)};                                      \
        CHECK_EQUAL(asyncio_select(cases_, 2, 1), (err));                                                    \
        CHECK_HAS(asyncio_error_message(), (words));                                                         \
        CHECK_EQUAL(asyncio_queue_size(&full), 1);                                                           \
    } while (0)

ASYNC_TEST(cases_that_cannot_be)
{
    make_objects();
    asyncio_queue destroyed = {0};
    asyncio_semaphore negative = ASYNCIO_SEMAPHORE_INIT(-1);
    asyncio_case zero = {0}, any = ASYNCIO_CASE_EVENT(&event);
    CHECK_REFUSED(ASYNCIO_CASE_GET(NULL, &got), -EINVAL, "asyncio_select: case 1, get: the queue is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_PUT(&empty, NULL), -EINVAL, "case 1, put: the item is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_GET(&destroyed, &got), -EINVAL, "was destroyed, or never made");
    CHECK_REFUSED(ASYNCIO_CASE_EVENT(NULL), -EINVAL, "the event is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_LOCK(NULL), -EINVAL, "the lock is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_SEMAPHORE(NULL), -EINVAL, "the semaphore is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_SEMAPHORE(&negative), -EINVAL, "a value below 0");
    CHECK_REFUSED(ASYNCIO_CASE_DONE((asyncio_future *)NULL), -EINVAL,
                  "case 1, done: the task or future is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_DONE(asyncio_current_task()), -EINVAL, "it is the calling task");
    CHECK_REFUSED(ASYNCIO_CASE_FD(0, 0), -EINVAL, "case 1, descriptor: there are no events");
    CHECK_REFUSED(ASYNCIO_CASE_RECEIVE(NULL, &got), -EINVAL, "the channel is NULL");
    CHECK_REFUSED(ASYNCIO_CASE_SEND(channel, NULL), -EINVAL, "case 1, send: the item is NULL");
    CHECK_REFUSED(zero, -EINVAL, "case 1: no ASYNCIO_CASE_... made it");
    CHECK_EQUAL(asyncio_select(&any, 0, 1), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "there are no cases");
    CHECK_EQUAL(asyncio_select(NULL, 1, 1), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "the array is NULL");
    CHECK_EQUAL(asyncio_select(&any, 1, (double)NAN), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "the timeout is no number");
    destroy_objects();
    return 0;
}

TEST(outside_a_task)
{
    asyncio_case one = ASYNCIO_CASE_EVENT(&event);
    CHECK_EQUAL(asyncio_select(&one, 1, 0), ASYNCIO_ENOTASK);
    harness_settle();
}

ASYNC(uses_a_foreign_one)
{
    asyncio_case one = ASYNCIO_CASE_LOCK(&lock);
    CHECK_EQUAL(asyncio_select(&one, 1, 1), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "case 0, lock: it is in use on another event loop");
    return 0;
}

ASYNC(holds_the_lock)
{
    return asyncio_lock_acquire(&lock);
}

TEST(an_object_of_another_loop)
{
    asyncio_loop *other = asyncio_loop_new(NULL);
    asyncio_lock_init(&lock);
    CHECK_EQUAL(asyncio_loop_run_until_complete(
                    other, (asyncio_future *)(void *)asyncio_loop_create_task(other, holds_the_lock())),
                0);
    CHECK_EQUAL(asyncio_run(uses_a_foreign_one()), 0);
    asyncio_loop_release(other);
    harness_settle();
}

/* ---- Descriptors --------------------------------------------------------------------------------- */

ASYNC(writes_soon, int, fd)
{
    int err = asyncio_sleep(0.001);
    return err ? err : write(fd, "x", 1) == 1 ? 0 : -EIO;
}

ASYNC(selects_descriptors)
{
    int ends[2];
    asyncio_event_init(&event);
    net_pipe(ends);
    asyncio_case cases[] = {ASYNCIO_CASE_FD(ends[0], POLLIN), ASYNCIO_CASE_EVENT(&event),
                            ASYNCIO_CASE_FD(ends[0], POLLIN | POLLPRI)};
    CHECK_EQUAL(asyncio_select(cases, 3, 0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_select(cases, 3, 0.001), -ETIMEDOUT);
    CHECK_EQUAL(net_registrations(ends[0]), 0);
    asyncio_task *writer = asyncio_create_task(writes_soon(ends[1]));
    ptrdiff_t which = asyncio_select(cases, 3, ASYNCIO_FOREVER);
    CHECK(which == 0 || which == 2);
    CHECK_EQUAL(cases[which].result, POLLIN);
    CHECK_EQUAL(net_registrations(ends[0]), 0);
    CHECK_EQUAL(asyncio_await(writer), 0);
    char byte;
    CHECK_EQUAL(read(ends[0], &byte, 1), 1);
    asyncio_task *task = asyncio_create_task(selects(cases, 3, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    asyncio_event_set(&event);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(selected, 1);
    CHECK_EQUAL(net_registrations(ends[0]), 0);
    asyncio_event_clear(&event);
    task = asyncio_create_task(selects(cases, 3, ASYNCIO_FOREVER));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_close(ends[0]), 0);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(cases[selected].result, -EBADF);
    close(ends[1]);
    cases[0] = ASYNCIO_CASE_FD(-1, POLLIN);
    CHECK_EQUAL(asyncio_select(cases, 1, 1), 0);
    CHECK_EQUAL(cases[0].result, -EBADF);
    return 0;
}

TEST(descriptors)
{
    use_descriptors();
    CHECK_EQUAL(run(selects_descriptors), 0);
    harness_settle();
}

/* On any day: an outcome of the case, or an error of the call. */
ASYNC(selects_a_descriptor)
{
    int ends[2];
    asyncio_event_init(&event);
    net_pipe(ends);
    asyncio_task *setter = asyncio_create_task(sets_soon());
    asyncio_case cases[] = {ASYNCIO_CASE_FD(ends[0], POLLIN), ASYNCIO_CASE_EVENT(&event)};
    ptrdiff_t which = asyncio_select(cases, 2, 5);
    CHECK(which < 0 || which == 1 || cases[0].result < 0);
    asyncio_await(setter);
    close(ends[0]);
    close(ends[1]);
    return which < 0 ? which : cases[which].result;
}

TEST(each_call_for_a_descriptor_fails)
{
    use_descriptors();
    sweep_failures(selects_a_descriptor);
    harness_settle();
}

TEST(a_cancel_at_each_suspension_with_a_descriptor)
{
    use_descriptors();
    sweep_cancels(selects_a_descriptor, check_swept);
    harness_settle();
}

TEST_MAIN()
