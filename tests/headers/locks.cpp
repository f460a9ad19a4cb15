/*
 * Initialisers are constant expressions in C++, too.
 */
#include <asyncio.h>

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_condition conditions[] = {ASYNCIO_CONDITION_INIT(&lock), ASYNCIO_CONDITION_INIT(nullptr),
                                         ASYNCIO_CONDITION_INIT(nullptr)};
static constexpr asyncio_lock free_lock = ASYNCIO_LOCK_INIT;
static constexpr asyncio_event event = ASYNCIO_EVENT_INIT;
static constexpr asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(2);
static constexpr asyncio_bounded_semaphore bounded = ASYNCIO_BOUNDED_SEMAPHORE_INIT(2);
static constexpr asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);

struct account {
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    long balance = 0;
};

ASYNC(use, account *, from)
{
    int err = asyncio_lock_acquire(&from->lock);
    if (err)
        return err;
    from->balance--;
    return asyncio_lock_release(&from->lock);
}

int main()
{
    account mine;
    asyncio_queue queue;
    if (asyncio_queue_init(&queue, sizeof(long), 1) == 0)
        asyncio_queue_destroy(&queue);
    bool any = asyncio_lock_locked(&free_lock) || asyncio_event_is_set(&event) ||
               asyncio_semaphore_locked(&semaphore) || asyncio_bounded_semaphore_locked(&bounded) ||
               asyncio_barrier_broken(&barrier) || asyncio_condition_locked(&conditions[0]);
    return any ? 1 : asyncio_main(use(&mine));
}
