/* A queue with room for two: the producer waits for the consumer. */
#include <asyncio.h>
#include <stdio.h>

ASYNC(produce, asyncio_queue *, queue)
{
    int err = 0;
    for (int i = 1; i <= 4 && !err; i++) {
        err = asyncio_queue_put(queue, &i); /* copies the item */
        if (!err)
            printf("put %d\n", i);
    }
    asyncio_queue_shutdown(queue, false); /* no more puts; the consumer takes the rest */
    return err;
}

ASYNC(consume, asyncio_queue *, queue)
{
    int item, err;
    while ((err = asyncio_queue_get(queue, &item)) == 0) {
        printf("      got %d\n", item);
        err = asyncio_sleep(0.1);
        if (err)
            return err;
    }
    return err == ASYNCIO_EQUEUE_SHUTDOWN ? 0 : err;
}

ASYNC(async_main)
{
    asyncio_queue queue;
    int err = asyncio_queue_init(&queue, sizeof(int), 2);
    if (err)
        return err;
    err = asyncio_gather(NULL, produce(&queue), consume(&queue));
    asyncio_queue_destroy(&queue);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
