/*
 * Every call of locks and queues that waits, ended in each place: by a cancel at each suspension, and with
 * each allocation failing. What it waited for is then there for the next one, exactly once.
 */
#include "support/test.h"
#include "sync/sync_test.h"

static asyncio_lock lock;
static asyncio_event event;
static asyncio_condition condition;
static asyncio_semaphore semaphore;
static asyncio_bounded_semaphore bounded;
static asyncio_barrier barrier;
static asyncio_queue full, empty;
static int item;

static bool is_true(void *arg)
{
    return *(bool *)arg;
}

static bool is_time;

/* ---- The calls, what lets them go on, and what is to be true afterwards ------------------ */

static int wait_lock(void)
{
    return asyncio_lock_acquire(&lock);
}

static int wait_event(void)
{
    return asyncio_event_wait(&event);
}

static int wait_condition(void)
{
    return asyncio_condition_wait(&condition);
}

static int wait_predicate(void)
{
    return asyncio_condition_wait_for(&condition, is_true, &is_time);
}

static int wait_condition_lock(void)
{
    return asyncio_condition_acquire(&condition);
}

static int wait_semaphore(void)
{
    return asyncio_semaphore_acquire(&semaphore);
}

static int wait_bounded(void)
{
    return asyncio_bounded_semaphore_acquire(&bounded);
}

static int wait_barrier(void)
{
    return asyncio_barrier_wait(&barrier);
}

static int wait_put(void)
{
    return asyncio_queue_put(&full, &item);
}

static int wait_get(void)
{
    return asyncio_queue_get(&empty, &item);
}

static int wait_join(void)
{
    return asyncio_queue_join(&full);
}

static void let_lock(void)
{
    asyncio_lock_release(&lock);
}

static void let_event(void)
{
    asyncio_event_set(&event);
}

static void let_condition(void)
{
    is_time = true;
    asyncio_condition_acquire(&condition);
    asyncio_condition_notify(&condition, 1);
    asyncio_sleep(0);
    asyncio_condition_release(&condition);
}

static void let_condition_lock(void)
{
    asyncio_condition_release(&condition);
}

static void let_semaphore(void)
{
    asyncio_semaphore_release(&semaphore);
}

static void let_bounded(void)
{
    asyncio_bounded_semaphore_release(&bounded);
}

static void let_barrier(void)
{
    asyncio_barrier_wait(&barrier);
}

static void let_put(void)
{
    asyncio_queue_get_nowait(&full, &item);
}

static void let_get(void)
{
    asyncio_queue_put_nowait(&empty, &item);
}

static void let_join(void)
{
    asyncio_queue_task_done(&full);
}

static bool lock_is_right(bool got)
{
    return asyncio_lock_locked(&lock) == got;
}

static bool event_is_right(bool got)
{
    (void)got;
    return asyncio_event_is_set(&event);
}

static bool condition_is_right(bool got)
{
    (void)got;
    return asyncio_condition_locked(&condition);
}

static bool condition_lock_is_right(bool got)
{
    return asyncio_condition_locked(&condition) == got;
}

static bool semaphore_is_right(bool got)
{
    return semaphore.value_ == !got;
}

static bool bounded_is_right(bool got)
{
    return bounded.semaphore_.value_ == !got;
}

static bool barrier_is_right(bool got)
{
    return asyncio_barrier_n_waiting(&barrier) == !got;
}

static bool put_is_right(bool got)
{
    return asyncio_queue_size(&full) == got;
}

static bool get_is_right(bool got)
{
    return asyncio_queue_size(&empty) == !got;
}

static bool join_is_right(bool got)
{
    (void)got;
    return full.unfinished_ == 0;
}

static const struct call {
    int (*wait)(void);
    void (*let)(void);
    bool (*is_right)(bool got);
} calls[] = {
    {wait_lock, let_lock, lock_is_right},
    {wait_event, let_event, event_is_right},
    {wait_condition, let_condition, condition_is_right},
    {wait_predicate, let_condition, condition_is_right},
    {wait_condition_lock, let_condition_lock, condition_lock_is_right},
    {wait_semaphore, let_semaphore, semaphore_is_right},
    {wait_bounded, let_bounded, bounded_is_right},
    {wait_barrier, let_barrier, barrier_is_right},
    {wait_put, let_put, put_is_right},
    {wait_get, let_get, get_is_right},
    {wait_join, let_join, join_is_right},
};

static const struct call *call;

static bool nobody_waits(void)
{
    return !waiters_any(&lock.waiters_) && !waiters_any(&event.waiters_) &&
           !waiters_any(&condition.waiters_) && !waiters_any(&condition.own_.waiters_) &&
           !waiters_any(&semaphore.waiters_) && !waiters_any(&bounded.semaphore_.waiters_) &&
           !waiters_any(&barrier.blocked_) && !waiters_any(&full.putters_) && !waiters_any(&empty.getters_) &&
           !waiters_any(&full.joiners_);
}

/* Everything is taken, so that each call has to wait. */
static int take_everything(void)
{
    asyncio_lock_init(&lock);
    asyncio_event_init(&event);
    asyncio_condition_init(&condition, NULL);
    asyncio_semaphore_init(&semaphore, 0);
    asyncio_bounded_semaphore_init(&bounded, 1);
    asyncio_barrier_init(&barrier, 2);
    is_time = false;
    int err = asyncio_queue_init(&full, sizeof item, 1);
    if (err)
        return err;
    if (!(err = asyncio_queue_init(&empty, sizeof item, 1)))
        err = asyncio_queue_put_nowait(&full, &item);
    asyncio_lock_acquire(&lock);
    asyncio_condition_acquire(&condition);
    asyncio_bounded_semaphore_acquire(&bounded);
    return err;
}

ASYNC(lets_go_on)
{
    for (int i = 0; i < 3; i++)
        asyncio_sleep(0);
    call->let();
    return 0;
}

/* The call, and then, undisturbed, a look at what it left. */
ASYNC(subject)
{
    int err = take_everything();
    if (!err) {
        asyncio_task *other = asyncio_create_task(lets_go_on());
        err = asyncio_sleep(0);
        if (!err) /* without memory the other one never began, and nobody would let this one go on */
            err = asyncio_done(other) ? (int)asyncio_result(other) : call->wait();
        bool is_condition = call->let == let_condition;
        ASYNCIO_SHIELD_SCOPE
        {
            if (is_condition) { /* it holds the lock again: others may have it in turn */
                CHECK(call->is_right(err == 0));
                asyncio_condition_release(&condition);
            }
            settle();
            if (asyncio_result(other) == 0 && !is_condition)
                CHECK(call->is_right(err >= 0));
            asyncio_cancel(other);
            asyncio_await(other);
            CHECK(nobody_waits());
            CHECK(!is_condition || !asyncio_condition_locked(&condition));
        }
    }
    asyncio_queue_destroy(&full);
    asyncio_queue_destroy(&empty);
    return err > 0 ? 0 : err;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == 0 || result == -ECANCELED : result == 0);
}

TEST(each_call)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        call = &calls[i];
        sweep_cancels(subject, check_swept);
        sweep_failures(subject);
        run_all_seeds(subject);
    }
}

TEST_MAIN()
