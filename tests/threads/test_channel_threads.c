/*
 * Channels between loops and threads: a million items, each received once; tasks that are cancelled, loops
 * that die and last references that go while items cross.
 */
#include "threads/stalls.h"
#include "threads/thread_test.h"

/* ---- Many items -------------------------------------------------------------------------------------- */

#define SIDES 8

struct item {
    uint32_t sender, number;
};

ASYNCIO_CHANNEL_OF(items, struct item);

static items *channel;
static uint32_t items_each;

/* What a receiver was given. */
struct tally {
    uint64_t count, sum;
    uint32_t next[SIDES]; /* a sender's items come in order to each receiver */
};

static struct tally tallies[SIDES];

static void note_item(struct tally *tally, struct item item)
{
    CHECK(item.sender < SIDES && item.number >= tally->next[item.sender]);
    tally->next[item.sender] = item.number + 1;
    tally->count++;
    tally->sum += (uint64_t)(item.sender + 1) * (item.number + 1);
}

ASYNC(sends_many, uint32_t, sender)
{
    for (uint32_t i = 0; i < items_each; i++)
        CHECK_EQUAL(items_send(channel, (struct item){sender, i}), 0);
    return 0;
}

ASYNC(receives_many, int, receiver)
{
    struct item item;
    int err;
    while (!(err = items_receive(channel, &item)))
        note_item(&tallies[receiver], item);
    CHECK_EQUAL(err, ASYNCIO_EQUEUE_SHUTDOWN);
    return 0;
}

/* Sides 0 to 2 are tasks of one loop, 3 to 5 of another, 6 and 7 threads without a loop. */
ASYNC(sends_as_tasks, uint32_t, first)
{
    return asyncio_gather(NULL, sends_many(first), sends_many(first + 1), sends_many(first + 2));
}

ASYNC(receives_as_tasks, int, first)
{
    return asyncio_gather(NULL, receives_many(first), receives_many(first + 1), receives_many(first + 2));
}

static void *send_side(void *arg)
{
    uint32_t first = (uint32_t)(uintptr_t)arg;
    if (first < 6) {
        CHECK_EQUAL(asyncio_run(sends_as_tasks(first)), 0);
        return NULL;
    }
    for (uint32_t i = 0; i < items_each; i++)
        CHECK_EQUAL(items_send_blocking(channel, (struct item){first, i}, ASYNCIO_FOREVER), 0);
    return NULL;
}

static void *receive_side(void *arg)
{
    int first = (int)(intptr_t)arg, err;
    struct item item;
    if (first < 6) {
        CHECK_EQUAL(asyncio_run(receives_as_tasks(first)), 0);
        return NULL;
    }
    while (!(err = items_receive_blocking(channel, &item, ASYNCIO_FOREVER)))
        note_item(&tallies[first], item);
    CHECK_EQUAL(err, ASYNCIO_EQUEUE_SHUTDOWN);
    return NULL;
}

static void cross_with(size_t capacity)
{
    static const int firsts[] = {0, 3, 6, 7};
    enum { THREADS = sizeof firsts / sizeof *firsts };
    pthread_t senders[THREADS], receivers[THREADS];
    channel = items_new(capacity);
    memset(tallies, 0, sizeof tallies);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&senders[i], NULL, send_side, (void *)(intptr_t)firsts[i]);
        pthread_create(&receivers[i], NULL, receive_side, (void *)(intptr_t)firsts[i]);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(senders[i], NULL);
    CHECK_EQUAL(items_close(channel), 0);
    struct tally all = {0};
    for (int i = 0; i < THREADS; i++)
        pthread_join(receivers[i], NULL);
    for (int i = 0; i < SIDES; i++) {
        all.count += tallies[i].count;
        all.sum += tallies[i].sum;
    }
    uint64_t numbers = (uint64_t)items_each * (items_each + 1) / 2;
    CHECK_EQUAL(all.count, (uint64_t)SIDES * items_each);
    CHECK_EQUAL(all.sum, numbers * (SIDES * (SIDES + 1) / 2));
    items_release(channel);
    channel = NULL;
}

TEST(a_million_items_of_eight_senders)
{
    items_each = (uint32_t)(repeats(80000, 1000000, 8000000) / SIDES);
    cross_with(256);
    harness_settle();
}

static void cross_one_by_one(void)
{
    cross_with(1);
}

TEST(capacity_of_one)
{
    items_each = (uint32_t)repeats(100, 500, 20000);
    with_stalls(cross_one_by_one, repeats(3, 4, 30));
}

/* ---- Cancels that cross grants ----------------------------------------------------------------------- */

static _Atomic bool is_over;

/* Each receiver is cancelled again and again; the number that it had received goes on. */
ASYNC(receives_until_cancelled, int, receiver)
{
    struct item item;
    int err;
    while (!(err = items_receive(channel, &item)))
        note_item(&tallies[receiver], item);
    return err;
}

ASYNC(cancels_receivers)
{
    intptr_t result;
    struct random draws;
    asy_random_seed(&draws, atomic_load(&stall_seed) + 1);
    do {
        asyncio_task *first = asyncio_create_task(receives_until_cancelled(0));
        asyncio_task *second = asyncio_create_task(receives_until_cancelled(1));
        for (uint64_t hops = asy_random_below(&draws, 20); hops > 0; hops--)
            asyncio_sleep(0);
        asyncio_cancel(first);
        asyncio_cancel(second);
        asyncio_join(first, &result);
        asyncio_join(second, NULL);
    } while (result != ASYNCIO_EQUEUE_SHUTDOWN);
    return 0;
}

static void *cancel_receivers(void *arg)
{
    CHECK_EQUAL(asyncio_run(cancels_receivers()), 0);
    return arg;
}

/* Each send is cancelled by a timeout that has come, or has almost; it tells whether the item was sent. */
ASYNC(sends_with_timeouts, uint32_t, sender, uint64_t *, sum)
{
    for (uint32_t i = 0; i < items_each; i++) {
        int err;
        ASYNCIO_TIMEOUT(err, 1e-6 * (i % 50)) {
            err = items_send(channel, (struct item){sender, i});
        }
        CHECK(err == 0 || err == -ETIMEDOUT);
        if (!err)
            *sum += (uint64_t)(sender + 1) * (i + 1);
    }
    return 0;
}

static void cross_with_cancels(void)
{
    pthread_t receivers;
    uint64_t sums[2] = {0, 0};
    channel = items_new(1);
    memset(tallies, 0, sizeof tallies);
    pthread_create(&receivers, NULL, cancel_receivers, NULL);
    CHECK_EQUAL(asyncio_run(sends_with_timeouts(0, &sums[0])), 0);
    CHECK_EQUAL(asyncio_run(sends_with_timeouts(1, &sums[1])), 0);
    CHECK_EQUAL(items_close(channel), 0);
    pthread_join(receivers, NULL);
    CHECK_EQUAL(tallies[0].sum + tallies[1].sum, sums[0] + sums[1]);
    items_release(channel);
}

TEST(cancels_cross_grants)
{
    items_each = (uint32_t)repeats(300, 3000, 20000);
    with_stalls(cross_with_cancels, repeats(4, 6, 60));
}

/* Blocking calls give up at any moment. */
static void *send_blocking_with_timeouts(void *arg)
{
    uint64_t *sum = arg;
    for (uint32_t i = 0; i < items_each; i++) {
        int err = items_send_blocking(channel, (struct item){0, i}, 1e-6 * (i % 50));
        CHECK(err == 0 || err == -ETIMEDOUT);
        if (!err)
            *sum += i + 1;
    }
    items_close(channel);
    return NULL;
}

static void cross_with_timeouts(void)
{
    pthread_t sender;
    uint64_t sum = 0;
    struct item item;
    int err;
    channel = items_new(1);
    memset(tallies, 0, sizeof tallies);
    pthread_create(&sender, NULL, send_blocking_with_timeouts, &sum);
    do {
        err = items_receive_blocking(channel, &item, 20e-6);
        if (!err)
            note_item(&tallies[0], item);
    } while (err != ASYNCIO_EQUEUE_SHUTDOWN);
    pthread_join(sender, NULL);
    CHECK_EQUAL(tallies[0].sum, sum);
    items_release(channel);
}

TEST(timeouts_cross_grants)
{
    items_each = (uint32_t)repeats(300, 3000, 20000);
    with_stalls(cross_with_timeouts, repeats(4, 6, 60));
}

/* ---- Loops that die with what they were granted ------------------------------------------------------ */

ASYNC(stops_its_loop, uint64_t, hops)
{
    for (int i = 2; i < SIDES - 2; i++)
        asyncio_release(asyncio_create_task(receives_until_cancelled(i)));
    while (hops-- > 0)
        asyncio_sleep(0);
    asyncio_loop_stop(asyncio_get_running_loop());
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

/* Loops of four receivers each, which live for some iterations, and close over what they wait for. What a
 * receiver has noted it has received, and all else goes to others. */
static void *let_loops_die(void *arg)
{
    struct random draws;
    asy_random_seed(&draws, atomic_load(&stall_seed) + 1);
    for (int i = 0; i < 10 || !atomic_load(&is_over); i++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        asyncio_loop_set_exception_handler(loop, ignore_report, NULL);
        asyncio_release(asyncio_loop_create_task(loop, stops_its_loop(asy_random_below(&draws, 30))));
        CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
        if (asy_random_below(&draws, 2))
            usleep(50);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
    }
    return arg;
}

static void cross_with_deaths(void)
{
    pthread_t deaths, survivor;
    uint64_t sum = 0;
    channel = items_new(2);
    memset(tallies, 0, sizeof tallies);
    atomic_store(&is_over, false);
    pthread_create(&deaths, NULL, let_loops_die, NULL);
    pthread_create(&survivor, NULL, receive_side, (void *)(intptr_t)6);
    for (uint32_t i = 0; i < items_each; i++) {
        CHECK_EQUAL(items_send_blocking(channel, (struct item){0, i}, ASYNCIO_FOREVER), 0);
        sum += i + 1;
    }
    atomic_store(&is_over, true);
    pthread_join(deaths, NULL);
    CHECK_EQUAL(items_close(channel), 0);
    pthread_join(survivor, NULL);
    for (int i = 0; i < SIDES; i++)
        sum -= tallies[i].sum;
    CHECK_EQUAL(sum, 0);
    items_release(channel);
}

TEST(loops_die_with_granted_items)
{
    items_each = (uint32_t)repeats(500, 4000, 20000);
    with_stalls(cross_with_deaths, repeats(3, 4, 30));
}

/* ---- The end, while all wait ---------------------------------------------------------------- */

static _Atomic int waiting;

ASYNC(waits_for_the_end)
{
    struct item item;
    items *own = channel;
    asyncio_task *others[] = {asyncio_create_task(receives_until_cancelled(0)),
                              asyncio_create_task(receives_until_cancelled(1))};
    asyncio_sleep(0);
    atomic_fetch_add(&waiting, 1);
    int err = items_receive(own, &item);
    CHECK(err == 0 || err == ASYNCIO_EQUEUE_SHUTDOWN);
    asyncio_cancel(others[0]);
    asyncio_gather_settled_array(NULL, others, 2);
    return 0;
}

static void *wait_for_the_end(void *arg)
{
    CHECK_EQUAL(asyncio_run(waits_for_the_end()), 0);
    return arg;
}

/* Receivers are in their calls, or have yet to begin, when the channel is closed. */
static void close_under_receivers(void)
{
    for (unsigned i = 0; i < 20; i++) {
        pthread_t threads[2];
        channel = items_new(1);
        memset(tallies, 0, sizeof tallies);
        atomic_store(&waiting, 0);
        for (int t = 0; t < 2; t++)
            pthread_create(&threads[t], NULL, wait_for_the_end, NULL);
        wait_for(&waiting, 2);
        if (i % 2)
            items_try_send(channel, (struct item){0, 0});
        items_close(channel);
        for (int t = 0; t < 2; t++)
            pthread_join(threads[t], NULL);
        items_release(channel);
    }
}

TEST(closes_under_receivers)
{
    with_stalls(close_under_receivers, repeats(3, 5, 50));
}

static void *release_soon(void *arg)
{
    while (atomic_load(&waiting) == 0)
        sched_yield();
    items_release(channel);
    return arg;
}

ASYNC(waits_and_is_released)
{
    asyncio_task *tasks[4];
    for (int i = 0; i < 4; i++)
        tasks[i] = asyncio_create_task(receives_until_cancelled(i));
    asyncio_sleep(0);
    asyncio_sleep(0);
    atomic_store(&waiting, 1); /* all four wait */
    asyncio_cancel(tasks[1]);
    asyncio_sleep(0);
    asyncio_cancel(tasks[2]);
    asyncio_gather_settled_array(NULL, tasks, 4);
    return 0;
}

/* Cancels, and ends of waits, cross the last release. */
static void release_under_cancels(void)
{
    for (int i = 0; i < 50; i++) {
        pthread_t releaser;
        channel = items_new(1);
        memset(tallies, 0, sizeof tallies);
        atomic_store(&waiting, 0);
        pthread_create(&releaser, NULL, release_soon, NULL);
        CHECK_EQUAL(asyncio_run(waits_and_is_released()), 0);
        pthread_join(releaser, NULL);
    }
}

TEST(the_last_release_crosses_cancels)
{
    with_stalls(release_under_cancels, repeats(3, 5, 50));
}

/* A loop closes over its receivers while another thread drops the last reference. */
ASYNC(waits_and_dies)
{
    for (int i = 0; i < 4; i++)
        asyncio_release(asyncio_create_task(receives_until_cancelled(i)));
    asyncio_sleep(0);
    asyncio_sleep(0);
    atomic_store(&waiting, 1);
    asyncio_loop_stop(asyncio_get_running_loop());
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static void release_under_deaths(void)
{
    for (int i = 0; i < 50; i++) {
        pthread_t releaser;
        channel = items_new(1);
        memset(tallies, 0, sizeof tallies);
        atomic_store(&waiting, 0);
        pthread_create(&releaser, NULL, release_soon, NULL);
        asyncio_loop *loop = asyncio_loop_new(NULL);
        asyncio_loop_set_exception_handler(loop, ignore_report, NULL);
        asyncio_release(asyncio_loop_create_task(loop, waits_and_dies()));
        CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
        CHECK_EQUAL(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        pthread_join(releaser, NULL);
    }
}

TEST(the_last_release_crosses_the_end_of_a_loop)
{
    with_stalls(release_under_deaths, repeats(2, 4, 30));
}

TEST_MAIN()
