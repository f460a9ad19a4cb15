/*
 * The invariants of locks and queues: each is broken on purpose while a task waits, and ends the process
 * with a line that says which.
 */
#include "asyncio.h"
#include "core/wait.h"
#include "sync/items.h"
#include "sync/lock.h"
#include <stddef.h>
#include <stdint.h>

#include "broken.h"
#include "support/test.h"

ASYNC(acquires, asyncio_lock *, lock)
{
    return asyncio_lock_acquire(lock);
}

static const struct wait_kind planted_kind = {.name = "a planted wait"};

ASYNC(frees_a_lock_with_waiters)
{
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    struct wait wait;
    asyncio_lock_acquire(&lock);
    asyncio_release(asyncio_create_task(acquires(&lock)));
    asyncio_sleep(0);
    lock.owner_ = 0;
    asy_wait_init(&wait, asyncio_current_task(), &planted_kind, NULL);
    asy_lock_queue(&lock, &wait);
    return 0;
}

TEST(a_free_lock_has_no_waiters)
{
    expect_broken(frees_a_lock_with_waiters(), "asy_lock_queue", "lock->owner_ || !waiters_any");
}

ASYNC(passes_a_semaphore, asyncio_semaphore *, semaphore)
{
    return asyncio_semaphore_acquire(semaphore);
}

ASYNC(raises_a_semaphore_with_waiters)
{
    asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(0);
    asyncio_release(asyncio_create_task(passes_a_semaphore(&semaphore)));
    asyncio_sleep(0);
    semaphore.value_ = 1;
    return asyncio_semaphore_release(&semaphore);
}

TEST(nobody_waits_above_zero)
{
    expect_broken(raises_a_semaphore_with_waiters(), "pass_semaphore", "semaphore->value_ == 0");
}

ASYNC(waits_inside, asyncio_barrier *, barrier)
{
    return asyncio_barrier_wait(barrier);
}

ASYNC(loses_count_inside)
{
    asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(2);
    asyncio_task *task = asyncio_create_task(waits_inside(&barrier));
    asyncio_sleep(0);
    barrier.count_ = 0;
    asyncio_cancel(task);
    return 0;
}

TEST(a_barrier_counts_those_inside)
{
    expect_broken(loses_count_inside(), "cancel_filling", "barrier->count_ > 0; task 'Task-");
    assert_child_says(&broken_child, ", which waits in barrier\n");
}

ASYNC(takes_an_item, asyncio_queue *, queue)
{
    int item;
    return asyncio_queue_get(queue, &item);
}

ASYNC(puts_beside_a_getter)
{
    asyncio_queue queue;
    int item = 1;
    asyncio_queue_init(&queue, sizeof item, 1);
    asyncio_release(asyncio_create_task(takes_an_item(&queue)));
    asyncio_sleep(0);
    queue.items_.count_ = 1;
    return asyncio_queue_put_nowait(&queue, &item);
}

TEST(a_queue_with_getters_is_empty)
{
    expect_broken(puts_beside_a_getter(), "hand_to_getter", "!queue->items_.count_");
}

static int compare_nothing(const void *a, const void *b)
{
    (void)a;
    (void)b;
    return 0;
}

ASYNC(pops_from_nothing)
{
    asyncio_queue queue;
    int item;
    asyncio_queue_init_priority(&queue, sizeof item, 1, compare_nothing);
    asy_items_pop(&queue.items_, &item);
    return 0;
}

TEST(a_heap_gives_only_what_it_has)
{
    expect_broken(pops_from_nothing(), "asy_items_pop", "items->count_ > 0");
}

TEST_MAIN()
