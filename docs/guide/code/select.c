/* A worker takes jobs of two sorts, urgent ones first, until it is told to stop or has nothing to do. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

static asyncio_queue urgent, ordinary;
static asyncio_event stop = ASYNCIO_EVENT_INIT;

ASYNC(work)
{
    for (;;) {
        int job;
        asyncio_case cases[] = {
            ASYNCIO_CASE_EVENT(&stop),
            ASYNCIO_CASE_GET(&urgent, &job),
            ASYNCIO_CASE_GET(&ordinary, &job),
        };
        ptrdiff_t which = asyncio_select(cases, 3, 1.0);
        if (which == -ETIMEDOUT) {
            puts("nothing to do");
            continue;
        }
        if (which <= 0) /* stop, or a cancel */
            return which;
        if (cases[which].result < 0) /* the queue was shut down */
            return cases[which].result;
        printf("%s job %d\n", which == 1 ? "urgent" : "ordinary", job);
    }
}

static void put(asyncio_queue *queue, int job)
{
    asyncio_queue_put_nowait(queue, &job);
}

ASYNC(async_main)
{
    if (asyncio_queue_init(&urgent, sizeof(int), 8) || asyncio_queue_init(&ordinary, sizeof(int), 8))
        return asyncio_raise(-ENOMEM, "no memory for the queues");
    put(&ordinary, 1);
    put(&ordinary, 2);
    put(&urgent, 3);
    asyncio_task *worker = asyncio_create_task(work());
    asyncio_sleep(1.5);
    put(&ordinary, 4);
    asyncio_sleep(0.1);
    asyncio_event_set(&stop);
    intptr_t err = asyncio_await(worker);
    asyncio_queue_destroy(&urgent);
    asyncio_queue_destroy(&ordinary);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
