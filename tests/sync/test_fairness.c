/*
 * Fairness: calls that need not wait, made without end, starve neither timers nor other
 * tasks; and the yield that sees to it is a wait like any other, before the operation.
 */
#include "support/test.h"
#include "sync/sync_test.h"

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_condition condition = ASYNCIO_CONDITION_INIT(NULL);
static asyncio_event event = ASYNCIO_EVENT_INIT;
static asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(1);
static asyncio_bounded_semaphore bounded = ASYNCIO_BOUNDED_SEMAPHORE_INIT(1);
static asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(1);
static asyncio_queue queue;

static bool always(void *arg)
{
    (void)arg;
    return true;
}

/* ---- One greedy call each: it never has to wait ------------------------------------- */

static int use_lock(void)
{
    int err = asyncio_lock_acquire(&lock);
    return err ? err : asyncio_lock_release(&lock);
}

static int use_condition(void)
{
    int err = asyncio_condition_acquire(&condition);
    if (err)
        return err;
    err = asyncio_condition_wait_for(&condition, always, NULL);
    asyncio_condition_release(&condition);
    return err;
}

static int use_event(void)
{
    return asyncio_event_wait(&event);
}

static int use_semaphore(void)
{
    int err = asyncio_semaphore_acquire(&semaphore);
    return err ? err : asyncio_semaphore_release(&semaphore);
}

static int use_bounded_semaphore(void)
{
    int err = asyncio_bounded_semaphore_acquire(&bounded);
    return err ? err : asyncio_bounded_semaphore_release(&bounded);
}

static int use_barrier(void)
{
    return asyncio_barrier_wait(&barrier);
}

/* A consumer that finds the queue full each time. */
static int use_get(void)
{
    int item = 0, err = asyncio_queue_get(&queue, &item);
    return err ? err : asyncio_queue_put_nowait(&queue, &item);
}

static int use_put(void)
{
    int item = 0, err = asyncio_queue_put(&queue, &item);
    return err ? err : asyncio_queue_get_nowait(&queue, &item);
}

static int use_join(void)
{
    return asyncio_queue_join(&queue);
}

typedef int (*greedy_call)(void);

static const struct greedy {
    greedy_call call;
    size_t items; /* in a queue for 100 */
} greedy_calls[] = {
    {use_lock, 0},    {use_condition, 0}, {use_event, 0}, {use_semaphore, 0}, {use_bounded_semaphore, 0},
    {use_barrier, 0}, {use_get, 100},     {use_put, 0},   {use_join, 0},
};
#define CALLS (sizeof greedy_calls / sizeof greedy_calls[0])

static const struct greedy *subject;

static void set_up(void)
{
    CHECK_EQUAL(asyncio_queue_init(&queue, sizeof(int), 100), 0);
    for (size_t i = 0; i < subject->items; i++)
        CHECK_EQUAL(asyncio_queue_put_nowait(&queue, &(int){0}), 0);
    asyncio_event_set(&event);
}

/* ---- Timers and other tasks ----------------------------------------------------------- */

static void stop_it(void *arg)
{
    *(bool *)arg = true;
}

ASYNC(counts_turns, const bool *, stop, long *, turns)
{
    while (!*stop) {
        int err = asyncio_sleep(0);
        if (err)
            return err;
        ++*turns;
    }
    return 0;
}

#define CALLS_MAX 2000000000L /* some 10 seconds */

/* On the real clock. */
ASYNC(greedy_main)
{
    bool stop = false;
    long turns = 0, calls = 0;
    set_up();
    asyncio_task *other = asyncio_create_task(counts_turns(&stop, &turns));
    double begun = asyncio_time();
    asyncio_loop_call_later(asyncio_get_running_loop(), 0.01, stop_it, &stop);
    while (!stop && calls < CALLS_MAX) {
        CHECK_EQUAL(subject->call(), 0);
        calls++;
    }
    double took = asyncio_time() - begun;
    CHECK(stop && took >= 0.01);
    CHECK(took < 20); /* far more than any machine needs */
    CHECK(turns * 128 >= calls / 2);
    CHECK_EQUAL(asyncio_await(other), 0);
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST(greedy_calls_starve_nobody)
{
    for (size_t i = 0; i < CALLS; i++) {
        subject = &greedy_calls[i];
        assert_int_equal(asyncio_run(greedy_main()), 0);
        harness_settle();
    }
}

/* ---- The yield ------------------------------------------------------------------------------ */

ASYNC(yield_main)
{
    set_up();
    asyncio_sleep(0); /* a fresh budget */
    uint64_t steps = asyncio_current_task()->steps;
    int calls = 0;
    while (asyncio_current_task()->steps == steps && calls < 1000) {
        CHECK_EQUAL(subject->call(), 0);
        calls++;
    }
    CHECK(calls >= 64 && calls <= 128);
    asyncio_queue_destroy(&queue);
    return 0;
}

/* A request pends while nothing has to wait; the yield delivers it, once, and nothing was done. */
ASYNC(delivery_main)
{
    set_up();
    asyncio_cancel(asyncio_current_task());
    int calls = 0, err = 0;
    while (err == 0 && calls++ < 1000)
        err = subject->call();
    CHECK_EQUAL(err, -ECANCELED);
    CHECK(calls >= 64 && calls <= 128);
    CHECK(!asyncio_lock_locked(&lock) && !asyncio_condition_locked(&condition));
    CHECK_EQUAL(semaphore.value_, 1);
    CHECK_EQUAL(bounded.semaphore_.value_, 1);
    CHECK_EQUAL(asyncio_queue_size(&queue), subject->items);
    CHECK_EQUAL(subject->call(), 0);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    asyncio_queue_destroy(&queue);
    return 0;
}

TEST(the_yield_comes_before_the_operation)
{
    for (size_t i = 0; i < CALLS; i++) {
        subject = &greedy_calls[i];
        assert_int_equal(run(yield_main), 0);
        assert_int_equal(run(delivery_main), 0);
    }
}

/* ---- Waiters share ---------------------------------------------------------------------------- */

static long shares[4];

ASYNC(grabs, int, who, const bool *, stop)
{
    while (!*stop) {
        int err = asyncio_lock_acquire(&lock);
        if (err)
            return err;
        shares[who]++;
        asyncio_sleep(0);
        asyncio_lock_release(&lock);
    }
    return 0;
}

/* Each releases and comes back at once; yet nobody gets a turn more than another. */
ASYNC(shares_main)
{
    bool stop = false;
    asyncio_task *tasks[4];
    memset(shares, 0, sizeof shares);
    for (int i = 0; i < 4; i++)
        tasks[i] = asyncio_create_task(grabs(i, &stop));
    for (int i = 0; i < 1000; i++)
        asyncio_sleep(0);
    stop = true;
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 4), 0);
    for (int i = 1; i < 4; i++)
        CHECK(shares[i] - shares[0] <= 1 && shares[0] - shares[i] <= 1);
    CHECK(shares[0] > 10);
    return 0;
}

TEST(waiters_of_a_lock_share_it)
{
    run_all_seeds(shares_main);
}

TEST_MAIN()
