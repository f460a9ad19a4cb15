/*
 * Many tasks select over shared objects, are cancelled and time out, in the order of each seed. Each item is
 * received exactly once, each lock and permit is held by one task, and nothing is left in a queue. And with
 * two loops, over channels: nothing is lost where another thread is first.
 */
#include "sync/sync_test.h"
#include "threads/stalls.h"
#include <pthread.h>

#define TASKS 8
#define ROUNDS 60
#define QUEUES 2
#define PERMITS 2

static asyncio_queue queues[QUEUES];
static asyncio_channel *channels[QUEUES];
static asyncio_lock lock;
static asyncio_semaphore semaphore;
static asyncio_event event;
static asyncio_task *selecting[TASKS];

static int next_item, holders, permits;
static bool was_sent[TASKS * ROUNDS * 4], was_received[TASKS * ROUNDS * 4];

static void note_received(int item)
{
    CHECK(item >= 0 && item < next_item && !was_received[item]);
    was_received[item] = true;
}

/* A task's own storage for a call: what each case reads or writes. */
struct cases {
    asyncio_case all[6];
    int items[6], kinds[6];
    int count;
};

enum { GET, PUT, RECEIVE, SEND, LOCK, SEMAPHORE, EVENT, KINDS };

static void draw_case(struct cases *cases)
{
    int i = cases->count++, which = draw(QUEUES);
    int *item = &cases->items[i];
    cases->kinds[i] = draw(KINDS);
    *item = -1;
    if (cases->kinds[i] == PUT || cases->kinds[i] == SEND)
        *item = next_item++;
    switch (cases->kinds[i]) {
    case GET:
        cases->all[i] = ASYNCIO_CASE_GET(&queues[which], item);
        break;
    case PUT:
        cases->all[i] = ASYNCIO_CASE_PUT(&queues[which], item);
        break;
    case RECEIVE:
        cases->all[i] = ASYNCIO_CASE_RECEIVE(channels[which], item);
        break;
    case SEND:
        cases->all[i] = ASYNCIO_CASE_SEND(channels[which], item);
        break;
    case LOCK:
        cases->all[i] = ASYNCIO_CASE_LOCK(&lock);
        break;
    case SEMAPHORE:
        cases->all[i] = ASYNCIO_CASE_SEMAPHORE(&semaphore);
        break;
    default:
        cases->all[i] = ASYNCIO_CASE_EVENT(&event);
    }
}

/* The losers have done nothing: what they would have received is untouched. */
static void check_losers(const struct cases *cases, ptrdiff_t winner)
{
    for (int i = 0; i < cases->count; i++)
        if (i != winner && (cases->kinds[i] == GET || cases->kinds[i] == RECEIVE))
            CHECK_EQUAL(cases->items[i], -1);
}

static void use_winner(const struct cases *cases, ptrdiff_t i)
{
    CHECK_EQUAL(cases->all[i].result, 0);
    switch (cases->kinds[i]) {
    case GET:
    case RECEIVE:
        note_received(cases->items[i]);
        break;
    case PUT:
    case SEND:
        was_sent[cases->items[i]] = true;
        break;
    case LOCK:
        CHECK_EQUAL(++holders, 1);
        pause_somewhat();
        CHECK_EQUAL(holders--, 1);
        CHECK_EQUAL(asyncio_lock_release(&lock), 0);
        break;
    case SEMAPHORE:
        CHECK(++permits <= PERMITS);
        pause_somewhat();
        permits--;
        CHECK_EQUAL(asyncio_semaphore_release(&semaphore), 0);
        break;
    default:
        if (draw(2))
            asyncio_event_clear(&event);
    }
}

ASYNC(selects_often)
{
    for (int round = 0; round < ROUNDS; round++) {
        struct cases cases = {.count = 0};
        for (int count = 1 + draw(6); count > 0; count--)
            draw_case(&cases);
        double timeouts[] = {0, 1e-3 * draw(5), 1e-3 * draw(20)};
        ptrdiff_t which = asyncio_select(cases.all, (size_t)cases.count, timeouts[draw(3)]);
        CHECK(which >= 0 || which == -ETIMEDOUT || which == -ECANCELED);
        check_losers(&cases, which);
        if (which >= 0)
            use_winner(&cases, which);
        memset(cases.items, 0x55, sizeof cases.items); /* nobody reads or writes them any more */
        pause_somewhat();
    }
    return 0;
}

/* Tasks that make the same calls one at a time, so that cases and plain waits stand in the same queues. */
ASYNC(calls_often)
{
    for (int round = 0; round < ROUNDS; round++) {
        int item = next_item++, got = -1, err;
        ASYNCIO_TIMEOUT(err, 1e-3 * draw(10)) {
            err = draw(2) ? asyncio_queue_put(&queues[draw(QUEUES)], &item)
                          : asyncio_channel_send(channels[draw(QUEUES)], &item);
        }
        was_sent[item] = !err;
        ASYNCIO_TIMEOUT(err, 1e-3 * draw(10)) {
            err = draw(2) ? asyncio_queue_get(&queues[draw(QUEUES)], &got)
                          : asyncio_channel_receive(channels[draw(QUEUES)], &got);
        }
        if (!err)
            note_received(got);
        if (draw(4) == 0 && !asyncio_lock_acquire(&lock)) {
            CHECK_EQUAL(++holders, 1);
            pause_somewhat();
            holders--;
            asyncio_lock_release(&lock);
        }
    }
    return 0;
}

ASYNC(meddles)
{
    while (!asyncio_sleep(draw(3) ? 0 : 1e-3 * draw(3))) {
        if (draw(3) == 0)
            asyncio_cancel(selecting[draw(TASKS)]);
        if (draw(5) == 0)
            asyncio_event_set(&event);
    }
    return -ECANCELED;
}

static void make_model(void)
{
    for (int i = 0; i < QUEUES; i++) {
        CHECK_EQUAL(asyncio_queue_init(&queues[i], sizeof(int), (size_t)i + 1), 0);
        channels[i] = asyncio_channel_new(sizeof(int), (size_t)i + 1);
    }
    asyncio_lock_init(&lock);
    asyncio_semaphore_init(&semaphore, PERMITS);
    asyncio_event_init(&event);
    next_item = holders = permits = 0;
    memset(was_sent, 0, sizeof was_sent);
    memset(was_received, 0, sizeof was_received);
}

static void end_model(void)
{
    int item;
    for (int i = 0; i < QUEUES; i++) {
        CHECK(!waiters_any(&queues[i].getters_) && !waiters_any(&queues[i].putters_));
        while (asyncio_queue_get_nowait(&queues[i], &item) == 0)
            note_received(item);
        while (asyncio_channel_try_receive(channels[i], &item) == 0)
            note_received(item);
        asyncio_queue_destroy(&queues[i]);
        asyncio_channel_release(channels[i]);
    }
    for (int i = 0; i < next_item; i++)
        CHECK_EQUAL(was_received[i], was_sent[i]);
    CHECK(!asyncio_lock_locked(&lock) && !waiters_any(&lock.waiters_));
    CHECK(semaphore.value_ == PERMITS && !waiters_any(&semaphore.waiters_) && !waiters_any(&event.waiters_));
}

ASYNC(model_of_select)
{
    make_model();
    for (int i = 0; i < TASKS; i++)
        selecting[i] = asyncio_create_task(i % 4 == 3 ? calls_often() : selects_often());
    asyncio_task *meddler = asyncio_create_task(meddles());
    for (int i = 0; i < TASKS; i++)
        asyncio_join(asyncio_ref(selecting[i]), NULL);
    asyncio_cancel(meddler);
    asyncio_join(meddler, NULL);
    for (int i = 0; i < TASKS; i++)
        asyncio_release(selecting[i]);
    end_model();
    return 0;
}

TEST(each_item_once_and_each_lock_by_one)
{
    run_model(model_of_select);
}

/* ---- Two loops --------------------------------------------------------------------------------------- */

#define SENT_MAX 20000

static asyncio_channel *shared[2];
static asyncio_queue local;
static int sent_count, local_count;
static unsigned char received[SENT_MAX];

static void *send_numbers(void *arg)
{
    for (int i = 0; i < sent_count; i++)
        CHECK_EQUAL(asyncio_channel_send_blocking(shared[i % 2], &i, ASYNCIO_FOREVER), 0);
    asyncio_channel_close(shared[0]);
    asyncio_channel_close(shared[1]);
    return arg;
}

/* Channels that another thread fills, and a queue of this loop, race for one select. */
ASYNC(selects_from_all)
{
    for (;;) {
        int a = -1, b = -1, c = -1;
        asyncio_case cases[] = {ASYNCIO_CASE_RECEIVE(shared[0], &a), ASYNCIO_CASE_GET(&local, &c),
                                ASYNCIO_CASE_RECEIVE(shared[1], &b)};
        ptrdiff_t which = asyncio_select(cases, 3, 1e-4);
        if (which == -ETIMEDOUT)
            continue;
        if (which < 0)
            return which;
        if (cases[which].result == ASYNCIO_EQUEUE_SHUTDOWN)
            return 0;
        CHECK_EQUAL(cases[which].result, 0);
        int item = which == 0 ? a : which == 2 ? b : -1;
        CHECK_EQUAL((a >= 0) + (b >= 0) + (c >= 0), 1);
        local_count += which == 1;
        if (item >= 0)
            received[item]++;
    }
}

ASYNC(puts_and_cancels)
{
    asyncio_task *tasks[3];
    int put = 0, one = 1;
    asyncio_queue_init(&local, sizeof(int), 1);
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(selects_from_all());
    while (!asyncio_done(tasks[0]) && !asyncio_done(tasks[1]) && !asyncio_done(tasks[2])) {
        put += asyncio_queue_put_nowait(&local, &one) == 0;
        asyncio_sleep(0);
        if (draw(10) == 0) {
            int i = draw(3);
            asyncio_cancel(tasks[i]);
            asyncio_join(tasks[i], NULL);
            tasks[i] = asyncio_create_task(selects_from_all());
        }
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), 0);
    CHECK_EQUAL(put, local_count + (int)asyncio_queue_size(&local));
    asyncio_queue_destroy(&local);
    return 0;
}

static void begin_race(void)
{
    asy_random_seed(&draws, atomic_load(&stall_seed) + 1);
    sent_count = (int)repeats(500, 2000, SENT_MAX);
    local_count = 0;
    memset(received, 0, sizeof received);
    for (int i = 0; i < 2; i++)
        shared[i] = asyncio_channel_new(sizeof(int), 2);
}

/* What one channel still has when the other is found closed is counted, too. */
static void end_race(void)
{
    for (int i = 0, item; i < 2; i++) {
        while (asyncio_channel_try_receive(shared[i], &item) == 0)
            received[item]++;
        asyncio_channel_release(shared[i]);
    }
    for (int i = 0; i < sent_count; i++)
        CHECK_EQUAL(received[i], 1);
}

static void race_with_a_thread(void)
{
    pthread_t sender;
    begin_race();
    pthread_create(&sender, NULL, send_numbers, NULL);
    CHECK_EQUAL(asyncio_run(puts_and_cancels()), 0);
    pthread_join(sender, NULL);
    end_race();
}

TEST(another_thread_may_win)
{
    with_stalls(race_with_a_thread, repeats(3, 5, 50));
}

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

ASYNC(selects_and_dies)
{
    static int never = 0;
    asyncio_queue_init(&local, sizeof(int), 1);
    for (int i = 0; i < 3; i++)
        asyncio_release(asyncio_create_task(selects_from_all()));
    for (int hops = draw(30); hops > 0; hops--)
        asyncio_sleep(0);
    if (draw(2)) /* one of them is granted this, and does not run */
        asyncio_queue_put_nowait(&local, &never);
    return stop_for_good();
}

/* Loops close over selects that another thread may be granting something to right now. */
static void race_with_deaths(void)
{
    pthread_t sender;
    begin_race();
    pthread_create(&sender, NULL, send_numbers, NULL);
    for (int i = 0; i < 20; i++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        asyncio_loop_set_exception_handler(loop, ignore_report, NULL);
        asyncio_release(asyncio_loop_create_task(loop, selects_and_dies()));
        CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        CHECK(!waiters_any(&local.getters_));
        asyncio_queue_destroy(&local);
    }
    local_count = 0;
    CHECK_EQUAL(asyncio_run(puts_and_cancels()), 0);
    pthread_join(sender, NULL);
    end_race();
}

TEST(loops_close_over_selects)
{
    with_stalls(race_with_deaths, repeats(3, 5, 50));
}

TEST_MAIN()
