/*
 * Locks and queues as a program uses them: initialisers in static storage, in arrays and
 * in structs; each call once.
 */
#include <asyncio.h>

struct account {
    asyncio_lock lock;
    long balance;
};

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_lock locks[2] = {ASYNCIO_LOCK_INIT, ASYNCIO_LOCK_INIT};
static struct account account = {ASYNCIO_LOCK_INIT, 100};
static asyncio_event event = ASYNCIO_EVENT_INIT;
static asyncio_condition on_lock = ASYNCIO_CONDITION_INIT(&lock), on_its_own = ASYNCIO_CONDITION_INIT(NULL);
static asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(2);
static asyncio_bounded_semaphore bounded = ASYNCIO_BOUNDED_SEMAPHORE_INIT(2);
static asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);

struct job {
    int priority;
    char name[20];
};

static int by_priority(const void *a, const void *b)
{
    return ((const struct job *)a)->priority - ((const struct job *)b)->priority;
}

static bool is_rich(void *arg)
{
    return ((struct account *)arg)->balance > 1000;
}

ASYNC(use_locks)
{
    int err = asyncio_lock_acquire(&account.lock);
    if (err)
        return err;
    account.balance--;
    err = asyncio_lock_release(&account.lock);
    if (!err && !asyncio_lock_locked(&locks[0]))
        err = asyncio_event_wait(&event);
    if (!err)
        err = asyncio_event_set(&event);
    if (!err && asyncio_event_is_set(&event))
        err = asyncio_event_clear(&event);
    if (!err)
        err = asyncio_condition_acquire(&on_lock);
    if (!err)
        err = asyncio_condition_wait(&on_its_own);
    if (!err)
        err = asyncio_condition_wait_for(&on_lock, is_rich, &account);
    if (!err && asyncio_condition_locked(&on_lock))
        err = asyncio_condition_notify(&on_lock, 1) | asyncio_condition_notify_all(&on_lock);
    return err ? err : asyncio_condition_release(&on_lock);
}

ASYNC(use_semaphores)
{
    int err = asyncio_semaphore_acquire(&semaphore) | asyncio_bounded_semaphore_acquire(&bounded);
    if (!asyncio_semaphore_locked(&semaphore) && !asyncio_bounded_semaphore_locked(&bounded))
        err |= asyncio_semaphore_release(&semaphore) | asyncio_bounded_semaphore_release(&bounded);
    int index = asyncio_barrier_wait(&barrier);
    if (index < 0 || asyncio_barrier_broken(&barrier))
        return asyncio_barrier_reset(&barrier) | asyncio_barrier_abort(&barrier);
    return err ? err : asyncio_barrier_parties(&barrier) - asyncio_barrier_n_waiting(&barrier);
}

ASYNC(use_queue, asyncio_queue *, queue)
{
    struct job job = {1, "first"};
    int err = asyncio_queue_put(queue, &job);
    if (!err)
        err = asyncio_queue_put_nowait(queue, &job);
    if (!err && !asyncio_queue_full(queue))
        err = asyncio_queue_get(queue, &job);
    if (!err && !asyncio_queue_empty(queue))
        err = asyncio_queue_get_nowait(queue, &job);
    if (!err && asyncio_queue_size(queue) == 0)
        err = asyncio_queue_task_done(queue) | asyncio_queue_task_done(queue);
    if (!err)
        err = asyncio_queue_join(queue);
    return err ? err : asyncio_queue_shutdown(queue, true);
}

ASYNC(async_main)
{
    asyncio_queue queue, last_first, by_rank;
    int err = asyncio_queue_init(&queue, sizeof(struct job), 10);
    if (!err)
        err = asyncio_queue_init_lifo(&last_first, sizeof(struct job), 0);
    if (!err)
        err = asyncio_queue_init_priority(&by_rank, sizeof(struct job), 0, by_priority);
    if (!err)
        err = asyncio_gather(NULL, use_locks(), use_semaphores(), use_queue(&queue));
    asyncio_queue_destroy(&queue);
    asyncio_queue_destroy(&last_first);
    asyncio_queue_destroy(&by_rank);
    asyncio_lock_init(&lock);
    asyncio_event_init(&event);
    asyncio_condition_init(&on_lock, &lock);
    asyncio_semaphore_init(&semaphore, 1);
    asyncio_bounded_semaphore_init(&bounded, 1);
    asyncio_barrier_init(&barrier, 2);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
