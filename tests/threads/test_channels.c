/*
 * Channels on one thread: order, limits, cancel, close, release, refusals. Threads: test_channel_threads.c.
 */
#include "child.h"
#include "sync/sync_test.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

ASYNCIO_CHANNEL_OF(ints, int);

static ints *channel;

ASYNC(sends, int, item)
{
    int err = ints_send(channel, item);
    say("s%d:%s ", item, outcome(err));
    return err ? err : asyncio_sleep(0);
}

/* Receives one, says so, and waits once more. */
ASYNC(receives, const char *, name)
{
    int item = -1, err = ints_receive(channel, &item);
    if (err)
        say("%s:%s ", name, outcome(err));
    else
        say("%s:%d ", name, item);
    CHECK(err == 0 || item == -1);
    return err ? err : asyncio_sleep(0);
}

/* The item, or an error. */
static int receive_now(void)
{
    int item = -1, err = ints_try_receive(channel, &item);
    return err ? err : item;
}

/* ---- Order and limits ---------------------------------------------------------------------------- */

ASYNC_TEST(items_leave_in_the_order_in_which_they_came)
{
    channel = ints_new(4);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(ints_send(channel, round * 10 + i), 0);
        CHECK_EQUAL(ints_size(channel), 3);
        for (int i = 0; i < 3; i++)
            CHECK_EQUAL(receive_now(), round * 10 + i);
        CHECK_EQUAL(ints_size(channel), 0);
    }
    ints_release(channel);
    return 0;
}

ASYNC_TEST(the_capacity_is_rounded_up_to_a_power_of_two)
{
    static const size_t capacities[][2] = {{1, 1}, {2, 2}, {3, 4}, {5, 8}, {8, 8}, {1000, 1024}};
    for (size_t i = 0; i < sizeof capacities / sizeof *capacities; i++) {
        channel = ints_new(capacities[i][0]);
        size_t count = 0;
        while (ints_try_send(channel, 1) == 0)
            count++;
        CHECK_EQUAL(count, capacities[i][1]);
        CHECK_EQUAL(ints_try_send(channel, 1), ASYNCIO_EQUEUE_FULL);
        ints_release(channel);
    }
    return 0;
}

/* Items of any size, aligned or not. */
ASYNC_TEST(items_of_many_sizes)
{
    static const size_t sizes[] = {1, 3, 8, 17, 64, 1000, 70000};
    static unsigned char sent[70000], received[70000];
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        asyncio_channel *any = asyncio_channel_new(sizes[s], 3);
        for (int round = 0; round < 9; round++) {
            memset(sent, 'a' + round, sizes[s]);
            CHECK_EQUAL(asyncio_channel_send(any, sent), 0);
            CHECK_EQUAL(asyncio_channel_receive(any, received), 0);
            CHECK(memcmp(sent, received, sizes[s]) == 0);
        }
        asyncio_channel_release(any);
    }
    return 0;
}

ASYNC_TEST(first_come_first_served_on_both_sides)
{
    channel = ints_new(1);
    asyncio_task *receivers[] = {asyncio_create_task(receives("a")), asyncio_create_task(receives("b")),
                                 asyncio_create_task(receives("c"))};
    settle();
    for (int i = 1; i <= 3; i++)
        asyncio_release(asyncio_create_task(sends(i)));
    CHECK_EQUAL(asyncio_gather_array(NULL, receivers, 3), 0);
    settle();
    CHECK_TRAIL("s1:ok a:1 s2:ok b:2 s3:ok c:3 ");
    for (int i = 1; i <= 4; i++)
        asyncio_release(asyncio_create_task(sends(i)));
    settle();
    CHECK_TRAIL("s1:ok ");
    for (int i = 1; i <= 4; i++)
        CHECK_EQUAL(receive_now(), i);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_EMPTY);
    settle();
    CHECK_TRAIL("s2:ok s3:ok s4:ok ");
    ints_release(channel);
    return 0;
}

/* An item that a receiver was granted is not for those that come later. */
ASYNC_TEST(nobody_overtakes_a_receiver_that_was_granted)
{
    channel = ints_new(2);
    asyncio_task *receiver = asyncio_create_task(receives("a"));
    settle();
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    CHECK_EQUAL(ints_size(channel), 1);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_EMPTY);
    CHECK_EQUAL(ints_try_send(channel, 2), 0);
    CHECK_EQUAL(ints_try_send(channel, 3), ASYNCIO_EQUEUE_FULL);
    CHECK_EQUAL(asyncio_await(receiver), 0);
    CHECK_TRAIL("a:1 ");
    CHECK_EQUAL(receive_now(), 2);
    ints_release(channel);
    return 0;
}

/* ---- Cancel -------------------------------------------------------------------------------------- */

ASYNC_TEST(a_cancelled_call_has_done_nothing)
{
    channel = ints_new(1);
    asyncio_task *receiver = asyncio_create_task(receives("a"));
    settle();
    asyncio_cancel(receiver);
    CHECK_EQUAL(asyncio_await(receiver), -ECANCELED);
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    asyncio_task *sender = asyncio_create_task(sends(2));
    settle();
    asyncio_cancel(sender);
    CHECK_EQUAL(asyncio_await(sender), -ECANCELED);
    CHECK_EQUAL(receive_now(), 1);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_EMPTY);
    CHECK_TRAIL("a:ECANCELED s2:ECANCELED ");
    ints_release(channel);
    return 0;
}

ASYNC_TEST(a_grant_comes_before_a_later_cancel)
{
    channel = ints_new(1);
    asyncio_task *receiver = asyncio_create_task(receives("a"));
    settle();
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    asyncio_cancel(receiver);
    CHECK_EQUAL(asyncio_await(receiver), -ECANCELED);
    CHECK_EQUAL(ints_try_send(channel, 2), 0);
    asyncio_task *sender = asyncio_create_task(sends(3));
    settle();
    CHECK_EQUAL(receive_now(), 2);
    asyncio_cancel(sender);
    CHECK_EQUAL(asyncio_await(sender), -ECANCELED);
    CHECK_EQUAL(receive_now(), 3);
    CHECK_TRAIL("a:1 s3:ok ");
    ints_release(channel);
    return 0;
}

ASYNC_TEST(a_timeout_ends_a_wait)
{
    channel = ints_new(1);
    int err, item = -1;
    ASYNCIO_TIMEOUT(err, 0.1) {
        err = ints_receive(channel, &item);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_EQUAL(ints_send(channel, 1), 0);
    ASYNCIO_TIMEOUT(err, 0.1) {
        err = ints_send(channel, 2);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_EQUAL(ints_size(channel), 1);
    ints_release(channel);
    return 0;
}

static int received_sum;

ASYNC(passes_on)
{
    int item = 0, err = ints_receive(channel, &item);
    received_sum += err ? 0 : item;
    if (!err)
        err = ints_send(channel, 100);
    return err;
}

ASYNC(sends_and_receives)
{
    asyncio_channel *own = asyncio_channel_new(sizeof(int), 1);
    if (!own)
        return -ENOMEM;
    channel = (ints *)(void *)own;
    received_sum = 0;
    asyncio_task *other = asyncio_create_task(passes_on());
    int item = 0, err = asyncio_sleep(0);
    if (!err)
        err = asyncio_done(other) ? -ENOMEM : ints_send(channel, 1);
    if (!err)
        err = ints_send(channel, 2);
    while (!err && item != 100 && !(err = ints_receive(channel, &item)))
        received_sum += item;
    asyncio_cancel(other);
    asyncio_join(other, NULL);
    while ((item = receive_now()) > 0)
        received_sum += item;
    asyncio_channel_release(own);
    return err;
}

static void check_sum(intptr_t result, unsigned suspension)
{
    CHECK(suspension == 0 ? result == 0 : result == 0 || result == -ECANCELED);
    if (!result)
        CHECK_EQUAL(received_sum, 103);
}

TEST(a_cancel_at_each_suspension)
{
    sweep_cancels(sends_and_receives, check_sum);
}

TEST(each_allocation_fails)
{
    sweep_failures(sends_and_receives);
}

/* ---- Fairness ------------------------------------------------------------------------------------ */

static int other_steps;

ASYNC(counts_its_steps)
{
    while (!asyncio_sleep(0))
        other_steps++;
    return 0;
}

ASYNC_TEST(calls_that_need_not_wait_give_way_now_and_then)
{
    channel = ints_new(8);
    other_steps = 0;
    asyncio_task *other = asyncio_create_task(counts_its_steps());
    for (int i = 0; i < 10000; i++) {
        int item = -1;
        CHECK_EQUAL(ints_send(channel, i), 0);
        CHECK_EQUAL(ints_receive(channel, &item), 0);
        CHECK_EQUAL(item, i);
    }
    CHECK(other_steps > 100 && other_steps < 1000);
    asyncio_cancel(other);
    asyncio_join(other, NULL);
    ints_release(channel);
    return 0;
}

/* ---- The end ------------------------------------------------------------------------------------- */

ASYNC_TEST(a_closed_channel_is_drained)
{
    channel = ints_new(2);
    asyncio_release(asyncio_create_task(sends(1)));
    asyncio_release(asyncio_create_task(sends(2)));
    asyncio_task *refused = asyncio_create_task(sends(3));
    settle();
    CHECK_EQUAL(ints_close(channel), 0);
    CHECK_EQUAL(ints_close(channel), 0);
    CHECK_EQUAL(asyncio_await(refused), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_TRAIL("s1:ok s2:ok s3:ASYNCIO_EQUEUE_SHUTDOWN ");
    CHECK_EQUAL(ints_send(channel, 4), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(ints_try_send(channel, 4), ASYNCIO_EQUEUE_SHUTDOWN);
    int item = -1;
    CHECK_EQUAL(ints_receive(channel, &item), 0);
    CHECK_EQUAL(item, 1);
    CHECK_EQUAL(receive_now(), 2);
    item = -1;
    CHECK_EQUAL(ints_receive(channel, &item), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(item, -1);
    ints_release(channel);
    return 0;
}

ASYNC_TEST(a_close_wakes_receivers)
{
    channel = ints_new(2);
    asyncio_task *receivers[] = {asyncio_create_task(receives("a")), asyncio_create_task(receives("b"))};
    settle();
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    CHECK_EQUAL(ints_close(channel), 0);
    asyncio_gather_settled_array(NULL, receivers, 2);
    CHECK_TRAIL("a:1 b:ASYNCIO_EQUEUE_SHUTDOWN ");
    ints_release(channel);
    return 0;
}

/* Calls that wait are no references: they leave, and the last of them frees the channel. */
ASYNC_TEST(the_last_release_sends_all_away)
{
    channel = ints_new(1);
    asyncio_task *tasks[] = {asyncio_create_task(receives("a")), asyncio_create_task(receives("b"))};
    settle();
    CHECK(ints_ref(channel) == channel);
    ints_release(channel);
    settle();
    CHECK_TRAIL("");
    ints_release(channel);
    asyncio_gather_settled_array(NULL, tasks, 2);
    CHECK_TRAIL("a:ASYNCIO_EQUEUE_SHUTDOWN b:ASYNCIO_EQUEUE_SHUTDOWN ");
    channel = ints_new(1);
    for (int i = 0; i < 2; i++)
        tasks[i] = asyncio_create_task(sends(i));
    settle();
    ints_release(channel);
    asyncio_gather_settled_array(NULL, tasks, 2);
    CHECK_TRAIL("s0:ok s1:ASYNCIO_EQUEUE_SHUTDOWN ");
    return 0;
}

ASYNC_TEST(a_granted_receiver_outlives_the_last_release)
{
    channel = ints_new(2);
    asyncio_task *tasks[] = {asyncio_create_task(receives("a")), asyncio_create_task(receives("b"))};
    settle();
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    ints_release(channel);
    asyncio_gather_settled_array(NULL, tasks, 2);
    CHECK_TRAIL("a:1 b:ASYNCIO_EQUEUE_SHUTDOWN ");
    return 0;
}

/* ---- Loops that close over their tasks ----------------------------------------------------------- */

ASYNC(leaves_tasks_that_wait, int, sent)
{
    asyncio_release(asyncio_create_task(receives("a")));
    asyncio_release(asyncio_create_task(receives("b")));
    asyncio_release(asyncio_create_task(receives("c")));
    settle();
    for (int i = 1; i <= sent; i++)
        CHECK_EQUAL(ints_try_send(channel, i), 0);
    return stop_for_good();
}

ASYNC(receives_two)
{
    CHECK_EQUAL(receive_now(), 1);
    CHECK_EQUAL(receive_now(), 2);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_EMPTY);
    CHECK_EQUAL(ints_send(channel, 3), 0);
    CHECK_EQUAL(ints_try_send(channel, 4), 0);
    return 0;
}

/* Items come back in order; the waiters are gone. */
TEST(a_loop_that_closes_gives_items_back)
{
    for (int is_released = 0; is_released < 2; is_released++) {
        channel = ints_new(2);
        run_and_close(leaves_tasks_that_wait(2));
        if (!is_released)
            CHECK_EQUAL(asyncio_run(receives_two()), 0);
        ints_release(channel);
        trail[0] = '\0';
    }
    harness_settle();
}

ASYNC(leaves_senders)
{
    for (int i = 1; i <= 4; i++)
        asyncio_release(asyncio_create_task(sends(i)));
    settle();
    CHECK_EQUAL(receive_now(), 1);
    return stop_for_good();
}

/* The third one's item went in: it was sent, though its task has not run. The fourth's was not. */
TEST(a_loop_that_closes_takes_its_senders_out)
{
    channel = ints_new(2);
    run_and_close(leaves_senders());
    CHECK_EQUAL(receive_now(), 2);
    CHECK_EQUAL(receive_now(), 3);
    CHECK_EQUAL(receive_now(), ASYNCIO_EQUEUE_EMPTY);
    ints_release(channel);
    trail[0] = '\0';
    harness_settle();
}

ASYNC(releases_the_last)
{
    asyncio_release(asyncio_create_task(receives("a")));
    asyncio_release(asyncio_create_task(receives("b")));
    settle();
    CHECK_EQUAL(ints_try_send(channel, 1), 0);
    ints_release(channel);
    return stop_for_good();
}

/* The tasks of the closing loop, of which none ran again, were the last users of the channel. */
TEST(a_closing_loop_frees_a_released_channel)
{
    channel = ints_new(2);
    run_and_close(releases_the_last());
    trail[0] = '\0';
    harness_settle();
}

/* ---- Refusals ------------------------------------------------------------------------------------ */

#define CHECK_MESSAGE(words) CHECK_HAS(asyncio_error_message(), words)

TEST(channels_that_cannot_be)
{
    CHECK(asyncio_channel_new(0, 1) == NULL);
    CHECK_MESSAGE("the item size is 0");
    CHECK(asyncio_channel_new(1, 0) == NULL);
    CHECK_MESSAGE("the capacity is 0");
    CHECK(asyncio_channel_new(1, SIZE_MAX) == NULL);
    CHECK(asyncio_channel_new(16, SIZE_MAX / 8) == NULL);
    CHECK(asyncio_channel_new(SIZE_MAX, 1) == NULL);
    CHECK(asyncio_channel_new(SIZE_MAX / 2, 2) == NULL);
    CHECK_MESSAGE("more than memory can hold");
    harness_settle();
}

static asyncio_channel *any;

static void check_nulls(void)
{
    int item = 0;
    CHECK_EQUAL(asyncio_channel_send(NULL, &item), -EINVAL);
    CHECK_MESSAGE("asyncio_channel_send: the channel is NULL");
    CHECK_EQUAL(asyncio_channel_receive(NULL, &item), -EINVAL);
    CHECK_EQUAL(asyncio_channel_try_send(NULL, &item), -EINVAL);
    CHECK_EQUAL(asyncio_channel_try_receive(NULL, &item), -EINVAL);
    CHECK_EQUAL(asyncio_channel_send_blocking(NULL, &item, 0), -EINVAL);
    CHECK_EQUAL(asyncio_channel_receive_blocking(NULL, &item, 0), -EINVAL);
    CHECK_EQUAL(asyncio_channel_send(any, NULL), -EINVAL);
    CHECK_MESSAGE("asyncio_channel_send: the item is NULL");
    CHECK_EQUAL(asyncio_channel_receive(any, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_channel_try_send(any, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_channel_try_receive(any, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_channel_send_blocking(any, NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_channel_close(NULL), 0);
    CHECK(asyncio_channel_ref(NULL) == NULL);
    asyncio_channel_release(NULL);
    CHECK_EQUAL(asyncio_channel_size(NULL), 0);
}

static void call_outside_a_task(void *arg)
{
    int item = 0;
    CHECK_EQUAL(asyncio_channel_send(any, &item), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_channel_receive(any, &item), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_channel_try_send(any, &item), 0);
    CHECK_EQUAL(asyncio_channel_try_receive(any, &item), 0);
    *(bool *)arg = true;
}

ASYNC_TEST(calls_that_are_refused)
{
    int item = 0;
    bool was_called = false;
    any = asyncio_channel_new(sizeof item, 1);
    check_nulls();
    CHECK_EQUAL(asyncio_channel_send_blocking(any, &item, 0), -EDEADLK);
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, 0), -EDEADLK);
    CHECK_MESSAGE("a loop runs in this thread");
    asyncio_loop_call_soon(asyncio_get_running_loop(), call_outside_a_task, &was_called);
    settle();
    CHECK(was_called);
    asyncio_channel_release(any);
    return 0;
}

TEST(a_thread_without_a_loop)
{
    int item = 7;
    any = asyncio_channel_new(sizeof item, 1);
    check_nulls();
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, __builtin_nan("")), -EINVAL);
    CHECK_MESSAGE("the timeout is no number");
    CHECK_EQUAL(asyncio_channel_send(any, &item), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_channel_receive(any, &item), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, -1), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, 0.001), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_channel_send_blocking(any, &item, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(asyncio_channel_send_blocking(any, &item, 0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_channel_send_blocking(any, &item, 0.001), -ETIMEDOUT);
    item = 0;
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(item, 7);
    CHECK_EQUAL(asyncio_channel_close(any), 0);
    CHECK_EQUAL(asyncio_channel_receive_blocking(any, &item, ASYNCIO_FOREVER), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(asyncio_channel_send_blocking(any, &item, ASYNCIO_FOREVER), ASYNCIO_EQUEUE_SHUTDOWN);
    asyncio_channel_release(any);
    harness_settle();
}

static void use_in_child(void *arg)
{
    (void)arg;
    int item = 0;
    CHILD_CHECK(asyncio_channel_try_send(any, &item) == ASYNCIO_ESTATE);
    CHILD_CHECK(strstr(asyncio_error_message(), "belongs to the parent process"));
    CHILD_CHECK(asyncio_channel_try_receive(any, &item) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_send(any, &item) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_receive(any, &item) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_send_blocking(any, &item, 0) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_receive_blocking(any, &item, 0) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_close(any) == ASYNCIO_ESTATE);
    CHILD_CHECK(asyncio_channel_size(any) == 0);
    asyncio_channel_release(asyncio_channel_ref(any));
    asyncio_channel_release(any);
    asyncio_channel_release(any);
    asyncio_channel *own = asyncio_channel_new(sizeof item, 1);
    CHILD_CHECK(asyncio_channel_send_blocking(own, &item, 0) == 0);
    asyncio_channel_release(own);
}

/* Also where the process had no loop yet. */
TEST(a_forked_child_has_no_use_of_it)
{
    static struct child child;
    int item = 0;
    any = asyncio_channel_new(sizeof item, 1);
    CHECK_EQUAL(asyncio_channel_try_send(any, &item), 0);
    child_run(&child, use_in_child, NULL);
    CHECK_TEXT(child.text, "");
    CHECK_EQUAL(child.status, 0);
    CHECK_EQUAL(asyncio_channel_try_receive(any, &item), 0);
    asyncio_channel_release(any);
    harness_settle();
}

TEST_MAIN()
