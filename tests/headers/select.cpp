/* Cases of a select, from C++. */
#include <asyncio/select.h>
#include <asyncio/tasks.h>

int main()
{
    asyncio_queue queue;
    asyncio_event event = ASYNCIO_EVENT_INIT;
    asyncio_lock lock = ASYNCIO_LOCK_INIT;
    asyncio_bounded_semaphore semaphore = ASYNCIO_BOUNDED_SEMAPHORE_INIT(1);
    const int item = 1;
    int got = 0;
    if (asyncio_queue_init(&queue, sizeof item, 1))
        return 1;
    asyncio_case cases[] = {
        ASYNCIO_CASE_GET(&queue, &got),
        ASYNCIO_CASE_PUT(&queue, &item),
        ASYNCIO_CASE_EVENT(&event),
        ASYNCIO_CASE_LOCK(&lock),
        ASYNCIO_CASE_SEMAPHORE(&semaphore.semaphore_),
        ASYNCIO_CASE_DONE(asyncio_current_task()),
        ASYNCIO_CASE_FD(0, 1),
        ASYNCIO_CASE_RECEIVE(nullptr, &got),
        ASYNCIO_CASE_SEND(nullptr, &item),
    };
    return asyncio_select(cases, sizeof cases / sizeof cases[0], ASYNCIO_FOREVER) < 0;
}
