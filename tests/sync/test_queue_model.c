/*
 * Queues: no item is lost or doubled, whoever is cancelled, whatever the order, and
 * whichever loop it is.
 */
#include "support/test.h"
#include "sync/items.h"
#include "sync/queue_test.h"
#include <pthread.h>

/* ---- One cancel at each hop ------------------------------------------------------------------------- */

static int taken, put; /* how many items, and their sum */

ASYNC(takes_one)
{
    int item = -1, err = asyncio_queue_get(&queue, &item);
    if (!err)
        taken += item;
    return err;
}

ASYNC(puts_one, int, item)
{
    int copy = item, err = asyncio_queue_put(&queue, &copy);
    if (!err)
        put += item;
    copy = -1000;
    return err;
}

/* Three take, three put: whoever is cancelled, what was put was taken or is there. */
ASYNC(hops_queue_main, bool, cancel_putter, size_t, maxsize)
{
    taken = put = 0;
    CHECK_EQUAL(make(FIFO, maxsize), 0);
    asyncio_task *tasks[6] = {asyncio_create_task(takes_one()), asyncio_create_task(takes_one())};
    asyncio_sleep(0);
    tasks[2] = asyncio_create_task(puts_one(1));
    tasks[3] = asyncio_create_task(puts_one(10));
    tasks[4] = asyncio_create_task(puts_one(100));
    asyncio_task *late = asyncio_create_task(puts_one(1000));
    victim = tasks[cancel_putter ? 4 : 1];
    asyncio_task *canceller = asyncio_create_task(cancel_victim());
    settle();
    tasks[5] = asyncio_create_task(takes_one());
    settle();
    for (int item; (item = get_now()) >= 0;)
        taken += item;
    CHECK_EQUAL(asyncio_await(canceller), 0);
    CHECK_EQUAL(asyncio_await(late), 0);
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, tasks, 6), 0);
    CHECK_EQUAL(taken, put);
    CHECK(put == 1111 || (cancel_putter && put == 1011));
    asyncio_queue_destroy(&queue);
    return 0;
}

static asyncio_coro *hops_getter(void)
{
    return hops_queue_main(false, 1);
}

static asyncio_coro *hops_putter(void)
{
    return hops_queue_main(true, 1);
}

static asyncio_coro *hops_unbounded(void)
{
    return hops_queue_main(false, 0);
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_getter);
    sweep_hops(hops_putter);
    sweep_hops(hops_unbounded);
}

/* ---- The model ----------------------------------------------------------------------------------- */

#define ITEMS_MAX 1024

static struct {
    enum order order;
    int maxsize, count, unfinished, next;
    bool shutdown;
    int items[ITEMS_MAX]; /* the next to leave first */
    struct line getters, putters, joiners;
    int item[WORKERS]; /* what it puts, or is to get */
} model;

static void model_add(int item)
{
    int at = model.order == LIFO ? 0 : model.count;
    while (model.order == PRIORITY && at > 0 && model.items[at - 1] / 10 > item / 10)
        at--;
    memmove(&model.items[at + 1], &model.items[at], (size_t)(model.count - at) * sizeof(int));
    model.items[at] = item;
    model.count++;
}

static int model_take(void)
{
    int item = model.items[0];
    memmove(&model.items[0], &model.items[1], (size_t)--model.count * sizeof(int));
    if (model.putters.count) {
        int who = line_take(&model.putters);
        model_add(model.item[who]);
        model.unfinished++;
        outcomes[who] = 0;
    }
    return item;
}

static bool model_is_full(void)
{
    return model.maxsize && model.count >= model.maxsize;
}

/* What a put returns at once; ASYNCIO_EQUEUE_FULL: it has to wait. */
static int model_put(int item)
{
    if (model.shutdown)
        return ASYNCIO_EQUEUE_SHUTDOWN;
    if (model_is_full())
        return ASYNCIO_EQUEUE_FULL;
    model.unfinished++;
    if (model.getters.count) {
        int who = line_take(&model.getters);
        model.item[who] = item;
        outcomes[who] = 0;
    } else {
        model_add(item);
    }
    return 0;
}

static void check_model(void)
{
    CHECK_EQUAL(asyncio_queue_size(&queue), model.count);
    CHECK_EQUAL(asyncio_queue_empty(&queue), model.count == 0);
    CHECK_EQUAL(asyncio_queue_full(&queue), model_is_full());
    CHECK_EQUAL(queue.unfinished_, model.unfinished);
    CHECK(waiters_are_line(&queue.getters_, &model.getters));
    CHECK(waiters_are_line(&queue.putters_, &model.putters));
    CHECK(waiters_are_line(&queue.joiners_, &model.joiners));
    for (int i = 0; i < model.count && model.order != PRIORITY; i++) {
        int at = model.order == FIFO ? i : model.count - 1 - i, item;
        memcpy(&item, items_at(&queue.items_, (size_t)at), sizeof item);
        CHECK_EQUAL(item, model.items[i]);
    }
}

static void end_joins(void)
{
    while (!model.unfinished && model.joiners.count)
        outcomes[line_take(&model.joiners)] = 0;
}

static int new_item(void)
{
    return model.next++ % 10 + 10 * draw(4);
}

static void puts_somehow(int who)
{
    int item = new_item(), expected = model_put(item);
    if (draw(3) == 0) {
        CHECK_EQUAL(asyncio_queue_put_nowait(&queue, &item), expected);
        check_model();
        return;
    }
    outcomes[who] = expected;
    if (expected == ASYNCIO_EQUEUE_FULL) {
        outcomes[who] = has_request(who) ? -ECANCELED : UNDECIDED;
        model.item[who] = item;
        if (!has_request(who))
            line_add(&model.putters, who);
    }
    int err = asyncio_queue_put(&queue, &item);
    CHECK_EQUAL(err, outcomes[who]);
    check_model();
}

static void gets_somehow(int who)
{
    int item = -1;
    outcomes[who] = model.shutdown ? ASYNCIO_EQUEUE_SHUTDOWN : ASYNCIO_EQUEUE_EMPTY;
    if (model.count) {
        model.item[who] = model_take();
        outcomes[who] = 0;
    }
    if (draw(3) == 0) {
        CHECK_EQUAL(asyncio_queue_get_nowait(&queue, &item), outcomes[who]);
    } else {
        if (outcomes[who] == ASYNCIO_EQUEUE_EMPTY) {
            outcomes[who] = has_request(who) ? -ECANCELED : UNDECIDED;
            if (!has_request(who))
                line_add(&model.getters, who);
        }
        int err = asyncio_queue_get(&queue, &item);
        CHECK_EQUAL(err, outcomes[who]);
    }
    CHECK_EQUAL(item, outcomes[who] ? -1 : model.item[who]);
    check_model();
}

static void joins_somehow(int who)
{
    outcomes[who] = 0;
    if (model.unfinished) {
        outcomes[who] = has_request(who) ? -ECANCELED : UNDECIDED;
        if (!has_request(who))
            line_add(&model.joiners, who);
    }
    int err = asyncio_queue_join(&queue);
    CHECK_EQUAL(err, outcomes[who]);
    check_model();
}

static void deals_with_one(void)
{
    bool is_wrong = model.unfinished == 0;
    if (!is_wrong)
        model.unfinished--;
    if (!is_wrong)
        end_joins();
    CHECK_EQUAL(asyncio_queue_task_done(&queue), is_wrong ? ASYNCIO_ESTATE : 0);
    check_model();
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        if (draw(2))
            pause_somewhat();
        int what = draw(20);
        if (what < 8)
            puts_somehow(who);
        else if (what < 16)
            gets_somehow(who);
        else if (what < 19)
            deals_with_one();
        else
            joins_somehow(who);
    }
    return 0;
}

static void shuts_down(bool immediate)
{
    model.shutdown = true;
    if (immediate) {
        model.unfinished -= model.count < model.unfinished ? model.count : model.unfinished;
        model.count = 0;
        end_joins();
    }
    while (model.getters.count)
        outcomes[line_take(&model.getters)] = ASYNCIO_EQUEUE_SHUTDOWN;
    while (model.putters.count)
        outcomes[line_take(&model.putters)] = ASYNCIO_EQUEUE_SHUTDOWN;
    CHECK_EQUAL(asyncio_queue_shutdown(&queue, immediate), 0);
}

/* Another queue in the same place. Who waits to join goes on. */
static void makes_anew(void)
{
    while (model.joiners.count)
        outcomes[line_take(&model.joiners)] = ASYNCIO_EQUEUE_SHUTDOWN;
    asyncio_queue_destroy(&queue);
    model.shutdown = false;
    model.count = model.unfinished = 0;
    CHECK_EQUAL(make(model.order, (size_t)model.maxsize), 0);
}

ASYNC(meddler)
{
    for (;;) {
        int err = asyncio_sleep(draw(3) ? 0 : draw(3) * 1e-3);
        if (err)
            return err;
        int who = draw(WORKERS), what = draw(30);
        if (model.shutdown && what < 10) {
            makes_anew();
        } else if (what == 0) {
            shuts_down(draw(2));
        } else if (!asyncio_done(workers[who])) {
            if (line_remove(&model.getters, who) || line_remove(&model.putters, who) ||
                line_remove(&model.joiners, who))
                outcomes[who] = -ECANCELED;
            asyncio_cancel(workers[who]);
        }
        check_model();
    }
}

ASYNC(model_queue_main)
{
    static const int sizes[] = {0, 1, 3, 20};
    for (int order = FIFO; order <= PRIORITY; order++) {
        memset(&model, 0, sizeof model);
        model.order = (enum order)order;
        model.maxsize = sizes[draw(4)];
        CHECK_EQUAL(make(model.order, (size_t)model.maxsize), 0);
        run_workers(worker, meddler);
        while (model.count)
            CHECK_EQUAL(get_now(), model_take());
        asyncio_queue_destroy(&queue);
    }
    return 0;
}

TEST(model)
{
    run_model(model_queue_main);
}

/* ---- Whose loop --------------------------------------------------------------------------- */

static void *put_in_thread(void *arg)
{
    (void)arg;
    put_now(1);
    return NULL;
}

static void *size_in_thread(void *arg)
{
    (void)arg;
    asyncio_queue_size(&queue);
    return NULL;
}

ASYNC(wrong_thread_main, bool, look)
{
    pthread_t thread;
    put_now(1); /* binds it */
    pthread_create(&thread, NULL, look ? size_in_thread : put_in_thread, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void put_in_a_wrong_thread(void)
{
    make(FIFO, 0);
    asyncio_run(wrong_thread_main(false));
}

static void look_in_a_wrong_thread(void)
{
    make(FIFO, 0);
    asyncio_run(wrong_thread_main(true));
}

TEST(a_wrong_thread_aborts)
{
    check_dies(put_in_a_wrong_thread, "asyncio_queue_put_nowait was called from a thread");
    check_dies(look_in_a_wrong_thread, "asyncio_queue_size was called from a thread");
}

ASYNC(leave_items_main)
{
    CHECK_EQUAL(put_now(1), 0);
    CHECK_EQUAL(put_now(2), 0);
    int item = -1;
    CHECK_EQUAL(asyncio_queue_get(&queue, &item), 0);
    CHECK_EQUAL(item, 1);
    return 0;
}

ASYNC(find_items_main)
{
    int item = -1;
    CHECK_EQUAL(asyncio_queue_get(&queue, &item), 0);
    CHECK_EQUAL(item, 2);
    CHECK(asyncio_queue_empty(&queue));
    return 0;
}

TEST(items_outlive_their_loop)
{
    assert_int_equal(make(FIFO, 4), 0);
    assert_int_equal(run(leave_items_main), 0);
    assert_int_equal(run(find_items_main), 0);
    asyncio_queue_destroy(&queue);
}

/* Getters that were handed items never run again; others wait, and more items follow. */
ASYNC(abandon_main, int, getters, int, items)
{
    for (int i = 0; i < getters; i++)
        asyncio_release(asyncio_create_task(takes("never")));
    settle();
    for (int i = 0; i < items; i++)
        put_now(i);
    return stop_for_good();
}

static void check_abandoned(enum order order, size_t maxsize, int getters, int items)
{
    assert_int_equal(make(order, maxsize), 0);
    run_and_close(abandon_main(getters, items));
    bool seen[16] = {false};
    assert_int_equal(asyncio_queue_size(&queue), items);
    for (int i = 0; i < items; i++) {
        int item = get_now();
        assert_true(item >= 0 && item < items && !seen[item]);
        seen[item] = true;
        /* What was never handed out comes last, as it would have. */
        assert_true(order != FIFO || (item < getters) == (i < getters));
    }
    assert_int_equal(get_now(), ASYNCIO_EQUEUE_EMPTY);
    assert_false(waiters_any(&queue.getters_));
    asyncio_queue_destroy(&queue);
}

TEST(an_item_handed_to_a_task_that_never_runs_again_comes_back)
{
    for (int getters = 0; getters < 4; getters++) {
        for (int items = 0; items < 4; items++) {
            check_abandoned(FIFO, 4, getters, items);
            check_abandoned(FIFO, 0, getters, items);
            check_abandoned(LIFO, 0, getters, items);
            check_abandoned(PRIORITY, 4, getters, items);
        }
    }
    check_abandoned(FIFO, 2, 3, 5); /* more than fit */
    check_abandoned(LIFO, 2, 3, 5);
    check_abandoned(PRIORITY, 2, 3, 5);
    assert_string_equal(trail, "");
}

/* As if a alone were never to run again. */
ASYNC_TEST(a_revoked_item_goes_to_the_next_getter)
{
    CHECK_EQUAL(make(FIFO, 0), 0);
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b"));
    settle();
    put_now(1);
    a->wait->kind->revoke(a->wait);
    a->wait->kind->revoke(b->wait);
    CHECK(!waiters_any(&queue.getters_));
    CHECK_EQUAL(get_now(), 1); /* back again */
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);
    CHECK_TRAIL("a:1 b:1 "); /* both had it, one after the other */
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST_MAIN()
