/*
 * Queues: order, hand-over, cancels on both sides of it, shutdown, failures of
 * allocation.
 */
#include "support/test.h"
#include "sync/queue_test.h"
#include <stdlib.h>

/* ---- Plain use ------------------------------------------------------------------ */

ASYNC_TEST(plain_use)
{
    CHECK_EQUAL(make(FIFO, 3), 0);
    CHECK(asyncio_queue_empty(&queue) && !asyncio_queue_full(&queue));
    CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_EMPTY);
    uint64_t steps = asyncio_current_task()->steps;
    asyncio_cancel(asyncio_current_task());
    for (int i = 0; i < 3; i++) {
        int item = i;
        CHECK_EQUAL(asyncio_queue_put(&queue, &item), 0); /* no wait, no delivery */
        item = -1;
    }
    CHECK(asyncio_queue_full(&queue) && !asyncio_queue_empty(&queue));
    CHECK_EQUAL(asyncio_queue_size(&queue), 3);
    CHECK_EQUAL(put_now(9), ASYNCIO_EQUEUE_FULL);
    for (int i = 0; i < 3; i++) {
        int item = -1;
        CHECK_EQUAL(asyncio_queue_get(&queue, &item), 0);
        CHECK_EQUAL(item, i);
    }
    CHECK_EQUAL(asyncio_current_task()->steps, steps);
    int item = 7;
    CHECK_EQUAL(asyncio_queue_get(&queue, &item), -ECANCELED);
    CHECK_EQUAL(item, 7);
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST(bad_arguments)
{
    int item = 0;
    asyncio_queue zero = {0};
    assert_int_equal(asyncio_queue_init(NULL, 4, 1), -EINVAL);
    assert_int_equal(asyncio_queue_init(&queue, 0, 1), -EINVAL);
    assert_int_equal(asyncio_queue_init_priority(&queue, 4, 1, NULL), -EINVAL);
    assert_int_equal(asyncio_queue_init(&queue, SIZE_MAX / 2, 3), -ENOMEM);
    assert_int_equal(asyncio_queue_init_priority(&queue, SIZE_MAX - 3, 1, by_tens), -ENOMEM);
    assert_int_equal(put_now(1), -EINVAL); /* it was not made */
    asyncio_queue_destroy(&queue);
    asyncio_queue_destroy(&queue);
    asyncio_queue_destroy(NULL);

    asyncio_queue *bad[] = {NULL, &zero, &queue};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(asyncio_queue_put(bad[i], &item), -EINVAL);
        assert_int_equal(asyncio_queue_get(bad[i], &item), -EINVAL);
        assert_int_equal(asyncio_queue_put_nowait(bad[i], &item), -EINVAL);
        assert_int_equal(asyncio_queue_get_nowait(bad[i], &item), -EINVAL);
        assert_int_equal(asyncio_queue_task_done(bad[i]), -EINVAL);
        assert_int_equal(asyncio_queue_join(bad[i]), -EINVAL);
        assert_int_equal(asyncio_queue_shutdown(bad[i], true), -EINVAL);
        assert_int_equal(asyncio_queue_size(bad[i]), 0);
        assert_true(asyncio_queue_empty(bad[i]));
        assert_false(asyncio_queue_full(bad[i]));
    }
    assert_int_equal(make(FIFO, 1), 0);
    assert_int_equal(asyncio_queue_put_nowait(&queue, NULL), -EINVAL);
    assert_int_equal(asyncio_queue_get_nowait(&queue, NULL), -EINVAL);
    assert_int_equal(asyncio_queue_put(&queue, NULL), -EINVAL);
    assert_int_equal(asyncio_queue_get(&queue, NULL), -EINVAL);
    assert_int_equal(asyncio_queue_put(&queue, &item), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_queue_get(&queue, &item), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_queue_join(&queue), ASYNCIO_ENOTASK);
    asyncio_queue_destroy(&queue);
}

TEST(orders)
{
    static const int items[] = {31, 10, 32, 11, 20, 12, 33, 0};
    static const int expected[][8] = {
        {31, 10, 32, 11, 20, 12, 33, 0},
        {0, 33, 12, 20, 11, 32, 10, 31},
        {0, 10, 11, 12, 20, 31, 32, 33}, /* of equal tens the first comes first */
    };
    for (int order = FIFO; order <= PRIORITY; order++) {
        for (size_t maxsize = 0; maxsize <= 8; maxsize += 8) {
            assert_int_equal(make((enum order)order, maxsize), 0);
            for (int i = 0; i < 8; i++)
                assert_int_equal(put_now(items[i]), 0);
            assert_int_equal(asyncio_queue_full(&queue), maxsize == 8);
            for (int i = 0; i < 8; i++)
                assert_int_equal(get_now(), expected[order][i]);
            asyncio_queue_destroy(&queue);
        }
    }
}

/* ---- Items of all sizes ------------------------------------------------------------ */

#define SIZE_LARGEST 1000

/* Items whose first byte tells them apart; the rest is filled from it. */
static void fill(unsigned char *item, size_t bytes, int number)
{
    for (size_t i = 0; i < bytes; i++)
        item[i] = (unsigned char)(number + (int)i * 7);
}

static size_t alignment_wanted;

static int by_first_byte(const void *a, const void *b)
{
    assert_int_equal((uintptr_t)a % alignment_wanted, 0);
    assert_int_equal((uintptr_t)b % alignment_wanted, 0);
    return (int)*(const unsigned char *)a - (int)*(const unsigned char *)b;
}

/* In and out, so that a ring wraps and grows while it is wrapped. */
static void pump(asyncio_queue *q, size_t bytes, bool lifo)
{
    unsigned char in[SIZE_LARGEST], out[SIZE_LARGEST];
    int next = 0, expected = 0;
    for (int round = 0; round < 12; round++) {
        for (int i = 0; i < 10; i++) {
            fill(in, bytes, next++);
            assert_int_equal(asyncio_queue_put_nowait(q, in), 0);
        }
        for (int i = 0; i < 7; i++) {
            fill(in, bytes, lifo ? --next : expected++);
            assert_int_equal(asyncio_queue_get_nowait(q, out), 0);
            assert_memory_equal(in, out, bytes);
        }
    }
    assert_int_equal(asyncio_queue_size(q), 36);
}

TEST(items_of_all_sizes)
{
    static const size_t sizes[] = {1, 2, 3, 4, 7, 8, 12, 16, 17, 24, 32, 48, 100, SIZE_LARGEST};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        asyncio_queue q;
        alignment_wanted = sizes[i] & -sizes[i] & 15 ? sizes[i] & -sizes[i] & 15 : 16;
        for (size_t maxsize = 0; maxsize <= 64; maxsize += 64) {
            assert_int_equal(asyncio_queue_init(&q, sizes[i], maxsize), 0);
            pump(&q, sizes[i], false);
            asyncio_queue_destroy(&q);
            assert_int_equal(asyncio_queue_init_lifo(&q, sizes[i], maxsize), 0);
            pump(&q, sizes[i], true);
            asyncio_queue_destroy(&q);
            assert_int_equal(asyncio_queue_init_priority(&q, sizes[i], maxsize, by_first_byte), 0);
            pump(&q, sizes[i], false);
            asyncio_queue_destroy(&q);
        }
    }
}

/* ---- Hand-over ------------------------------------------------------------------------ */

ASYNC_TEST(a_put_hands_the_item_to_the_first_getter)
{
    CHECK_EQUAL(make(FIFO, 2), 0);
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b"));
    settle();
    CHECK_EQUAL(put_now(1), 0);
    CHECK(asyncio_queue_empty(&queue)); /* a has it */
    CHECK_EQUAL(put_now(2), 0);
    CHECK_EQUAL(put_now(3), 0);
    CHECK_EQUAL(asyncio_queue_size(&queue), 1);
    CHECK_EQUAL(get_now(), 3);
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);
    CHECK_TRAIL("a:1 b:2 ");
    asyncio_queue_destroy(&queue);
    return 0;
}

ASYNC_TEST(a_get_lets_the_first_putter_in)
{
    CHECK_EQUAL(make(FIFO, 1), 0);
    CHECK_EQUAL(put_now(1), 0);
    asyncio_task *tasks[] = {asyncio_create_task(puts_item(2)), asyncio_create_task(puts_item(3))};
    settle();
    CHECK_EQUAL(put_now(9), ASYNCIO_EQUEUE_FULL);
    CHECK_EQUAL(get_now(), 1);
    CHECK(asyncio_queue_full(&queue)); /* 2 has come in */
    CHECK_EQUAL(get_now(), 2);
    CHECK_EQUAL(get_now(), 3);
    CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_EMPTY);
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 2), 0);
    CHECK_TRAIL("put 2:ok put 3:ok ");
    asyncio_queue_destroy(&queue);
    return 0;
}

static void put_from_callback(void *arg)
{
    (void)arg;
    CHECK_EQUAL(put_now(5), 0);
    CHECK_EQUAL(put_now(6), 0);
    CHECK_EQUAL(get_now(), 6);
    int item;
    CHECK_EQUAL(asyncio_queue_get(&queue, &item), ASYNCIO_ENOTASK);
}

ASYNC(callback_main)
{
    CHECK_EQUAL(get_now(), 4);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, put_from_callback, NULL);
    int item = -1;
    CHECK_EQUAL(asyncio_queue_get(&queue, &item), 0);
    CHECK_EQUAL(item, 5);
    return 0;
}

TEST(nowait_calls_in_callbacks_and_before_any_loop)
{
    assert_int_equal(make(FIFO, 0), 0);
    assert_int_equal(put_now(4), 0);
    assert_int_equal(run(callback_main), 0);
    assert_int_equal(put_now(8), 0);
    assert_int_equal(get_now(), 8);
    asyncio_queue_destroy(&queue);
}

/* ---- Behaviour 50 ------------------------------------------------------------------------ */

ASYNC(getter_after_put_main)
{
    CHECK_EQUAL(make(FIFO, 0), 0);
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b"));
    settle();
    put_now(1);
    CHECK(asyncio_cancel(a)); /* it has its item: the request ends its next wait */
    put_now(2);
    put_now(3);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("a:1 b:2 ");
    CHECK_EQUAL(get_now(), 3);
    asyncio_queue_destroy(&queue);
    return 0;
}

ASYNC(getter_before_put_main)
{
    CHECK_EQUAL(make(FIFO, 0), 0);
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b"));
    settle();
    CHECK(asyncio_cancel(a));
    CHECK(waiters_are(&queue.getters_, &b, 1)); /* a is not kept */
    put_now(1);
    put_now(2);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("a:ECANCELED b:1 ");
    CHECK_EQUAL(get_now(), 2);
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST(behaviour_50_a_getter_cancelled_around_a_put_loses_nothing)
{
    assert_int_equal(run(getter_after_put_main), 0);
    assert_int_equal(run(getter_before_put_main), 0);
}

ASYNC(putter_main, bool, get_first)
{
    CHECK_EQUAL(make(FIFO, 1), 0);
    put_now(1);
    asyncio_task *a = asyncio_create_task(puts_item(2)), *b = asyncio_create_task(puts_item(3));
    settle();
    if (get_first)
        CHECK_EQUAL(get_now(), 1);
    CHECK(asyncio_cancel(a));
    if (get_first) {
        CHECK_EQUAL(get_now(), 2); /* a had put already */
    } else {
        CHECK(waiters_are(&queue.putters_, &b, 1));
        CHECK_EQUAL(get_now(), 1);
    }
    CHECK_EQUAL(get_now(), 3);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), 0);
    if (get_first)
        CHECK_TRAIL("put 2:ok put 3:ok ");
    else
        CHECK_TRAIL("put 2:ECANCELED put 3:ok ");
    CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_EMPTY);
    asyncio_queue_destroy(&queue);
    return 0;
}

static asyncio_coro *putter_cancelled_after(void)
{
    return putter_main(true);
}

static asyncio_coro *putter_cancelled_before(void)
{
    return putter_main(false);
}

TEST(behaviour_50_a_putter_cancelled_around_a_get_lets_the_next_one_in)
{
    assert_int_equal(run(putter_cancelled_after), 0);
    assert_int_equal(run(putter_cancelled_before), 0);
}

ASYNC_TEST(behaviour_50_cancelled_waiters_are_not_retained)
{
    CHECK_EQUAL(make(FIFO, 1), 0);
    asyncio_task *tasks[100];
    for (int i = 0; i < 100; i++)
        tasks[i] = asyncio_create_task(takes("x"));
    settle();
    for (int i = 0; i < 100; i++)
        asyncio_cancel(tasks[(i * 37) % 100]);
    CHECK(!waiters_any(&queue.getters_));
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, tasks, 100), 0);
    CHECK_EQUAL(put_now(1), 0);
    CHECK_EQUAL(get_now(), 1);
    trail[0] = '\0';
    asyncio_queue_destroy(&queue);
    return 0;
}

/* ---- Behaviour 51 ------------------------------------------------------------------------ */

ASYNC(joins)
{
    int err = asyncio_queue_join(&queue);
    say("join:%s ", outcome(err));
    return err;
}

ASYNC(shutdown_empty_main)
{
    for (int immediate = 0; immediate < 2; immediate++) {
        CHECK_EQUAL(make(FIFO, 1), 0);
        asyncio_task *a = asyncio_create_task(takes("a"));
        settle();
        CHECK_EQUAL(asyncio_queue_shutdown(&queue, immediate), 0);
        CHECK_EQUAL(asyncio_queue_shutdown(&queue, immediate), 0);
        CHECK_EQUAL(asyncio_await(a), ASYNCIO_EQUEUE_SHUTDOWN);
        CHECK_TRAIL("a:ASYNCIO_EQUEUE_SHUTDOWN ");
        int item = 1;
        CHECK_EQUAL(asyncio_queue_put(&queue, &item), ASYNCIO_EQUEUE_SHUTDOWN);
        CHECK_EQUAL(asyncio_queue_get(&queue, &item), ASYNCIO_EQUEUE_SHUTDOWN);
        CHECK_EQUAL(put_now(1), ASYNCIO_EQUEUE_SHUTDOWN);
        CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_SHUTDOWN);
        CHECK_EQUAL(asyncio_queue_join(&queue), 0);
        asyncio_queue_destroy(&queue);
    }
    return 0;
}

ASYNC(shutdown_full_main)
{
    CHECK_EQUAL(make(FIFO, 2), 0);
    put_now(1);
    put_now(2);
    asyncio_task *a = asyncio_create_task(puts_item(3)), *join = asyncio_create_task(joins());
    settle();
    CHECK_EQUAL(asyncio_queue_shutdown(&queue, false), 0);
    CHECK_EQUAL(asyncio_await(a), ASYNCIO_EQUEUE_SHUTDOWN); /* its item was not put */
    CHECK_TRAIL("put 3:ASYNCIO_EQUEUE_SHUTDOWN ");
    CHECK_EQUAL(get_now(), 1); /* what is there can be had */
    CHECK_EQUAL(get_now(), 2);
    CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_SHUTDOWN);
    CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    settle();
    CHECK(!asyncio_done(join));
    CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    CHECK_EQUAL(asyncio_await(join), 0);
    CHECK_TRAIL("join:ok ");
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST(behaviour_51_shutdown_of_an_empty_and_of_a_full_queue)
{
    assert_int_equal(run(shutdown_empty_main), 0);
    assert_int_equal(run(shutdown_full_main), 0);
}

ASYNC(shutdown_immediate_main, int, taken)
{
    CHECK_EQUAL(make(FIFO, 0), 0);
    for (int i = 0; i < 4; i++)
        put_now(i);
    for (int i = 0; i < taken; i++)
        CHECK_EQUAL(get_now(), i);
    asyncio_task *join = asyncio_create_task(joins());
    settle();
    CHECK_EQUAL(asyncio_queue_shutdown(&queue, false), 0);
    CHECK_EQUAL(asyncio_queue_shutdown(&queue, true), 0); /* more so */
    CHECK(asyncio_queue_empty(&queue));
    CHECK_EQUAL(get_now(), ASYNCIO_EQUEUE_SHUTDOWN);
    settle();
    CHECK_EQUAL(asyncio_done(join), taken == 0); /* what was taken has yet to be dealt with */
    for (int i = 0; i < taken; i++)
        CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    CHECK_EQUAL(asyncio_await(join), 0);
    CHECK_EQUAL(asyncio_queue_task_done(&queue), ASYNCIO_ESTATE);
    CHECK_TRAIL("join:ok ");
    asyncio_queue_destroy(&queue);
    return 0;
}

static asyncio_coro *with_nothing_taken(void)
{
    return shutdown_immediate_main(0);
}

static asyncio_coro *with_some_taken(void)
{
    return shutdown_immediate_main(3);
}

TEST(behaviour_51_immediate_shutdown_drops_what_is_there)
{
    assert_int_equal(run(with_nothing_taken), 0);
    assert_int_equal(run(with_some_taken), 0);
}

ASYNC_TEST(behaviour_51_join_and_task_done)
{
    CHECK_EQUAL(make(FIFO, 0), 0);
    CHECK_EQUAL(asyncio_queue_join(&queue), 0); /* nothing was ever put */
    CHECK_EQUAL(asyncio_queue_task_done(&queue), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "more often");
    put_now(1);
    put_now(2);
    asyncio_task *a = asyncio_create_task(joins()), *b = asyncio_create_task(joins());
    CHECK_EQUAL(get_now(), 1);
    CHECK_EQUAL(get_now(), 2);
    CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    settle();
    CHECK_TRAIL("");
    asyncio_cancel(a);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    CHECK_EQUAL(put_now(3), 0); /* comes too late for b, which was let go */
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("join:ECANCELED join:ok ");
    CHECK_EQUAL(asyncio_queue_task_done(&queue), 0);
    CHECK_EQUAL(asyncio_queue_task_done(&queue), ASYNCIO_ESTATE);
    asyncio_queue_destroy(&queue);
    return 0;
}

/* ---- The end of a queue ---------------------------------------------------------------------- */

ASYNC_TEST(a_destroy_lets_everybody_go)
{
    asyncio_task *tasks[3];
    CHECK_EQUAL(make(FIFO, 1), 0);
    tasks[0] = asyncio_create_task(takes("a"));
    settle();
    asyncio_queue_destroy(&queue);
    CHECK_EQUAL(make(FIFO, 1), 0);
    put_now(1);
    tasks[1] = asyncio_create_task(puts_item(2));
    tasks[2] = asyncio_create_task(joins());
    settle();
    asyncio_queue_destroy(&queue);
    memset(&queue, 0xff, sizeof queue); /* who wakes does not look at it */
    intptr_t results[3];
    CHECK_EQUAL(asyncio_gather_settled_array(results, tasks, 3), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(results[i], ASYNCIO_EQUEUE_SHUTDOWN);
    trail[0] = '\0';
    return 0;
}

/* ---- Failures ------------------------------------------------------------------------------------ */

/* Puts what fits; then what was put comes out, in order, whatever failed. */
ASYNC(allocates, int, order, size_t, maxsize)
{
    int err = make((enum order)order, maxsize), last = -1;
    if (err)
        return err;
    int count = 0, item;
    for (int i = 0; i < 100 && !err; i++) {
        err = put_now(i * 10);
        if (!err)
            count++;
        else
            CHECK(err == -ENOMEM || err == ASYNCIO_EQUEUE_FULL);
    }
    CHECK_EQUAL(asyncio_queue_size(&queue), count);
    for (int i = 0; i < count; i++) {
        CHECK((item = get_now()) >= 0);
        CHECK(order == LIFO ? last < 0 || item == last - 10 : item == last + 10 || i == 0);
        last = item;
    }
    CHECK(asyncio_queue_empty(&queue));
    asyncio_queue_destroy(&queue);
    return 0;
}

static asyncio_coro *allocates_fifo(void)
{
    return allocates(FIFO, 0);
}

static asyncio_coro *allocates_lifo(void)
{
    return allocates(LIFO, 0);
}

static asyncio_coro *allocates_priority(void)
{
    return allocates(PRIORITY, 0);
}

static asyncio_coro *allocates_bounded(void)
{
    return allocates(FIFO, 100);
}

TEST(each_allocation_may_fail)
{
    sweep_failures(allocates_fifo);
    sweep_failures(allocates_lifo);
    sweep_failures(allocates_priority);
    sweep_failures(allocates_bounded);
}

TEST_MAIN()
