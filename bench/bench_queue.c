/*
 * queue: how long does it take to hand one item from a task to another? The
 * queue is bounded: the variant is how many items it holds.
 */
#include "bench.h"

#include <asyncio.h>

ASYNC(produce, asyncio_queue *, queue, uint64_t, times)
{
    int err = 0;
    for (uint64_t i = 0; i < times && err == 0; i++)
        err = asyncio_queue_put(queue, &i);
    return err;
}

ASYNC(consume, asyncio_queue *, queue, uint64_t, times)
{
    uint64_t item = 0;
    for (uint64_t i = 0; i < times; i++) {
        int err = asyncio_queue_get(queue, &item);
        if (err || item != i)
            return err ? err : -1;
    }
    return 0;
}

static int64_t measure_queue(void *arg, uint64_t times)
{
    asyncio_queue queue;
    BENCH_CHECK(asyncio_queue_init(&queue, sizeof(uint64_t), *(size_t *)arg) == 0);
    int64_t began = bench_now_ns();
    asyncio_task *consumer = asyncio_create_task(consume(&queue, times));
    asyncio_task *producer = asyncio_create_task(produce(&queue, times));
    BENCH_CHECK(asyncio_await(producer) == 0);
    BENCH_CHECK(asyncio_await(consumer) == 0);
    int64_t took_ns = bench_now_ns() - began;
    asyncio_queue_destroy(&queue);
    return took_ns;
}

ASYNC(async_main, const char *const *, variants)
{
    for (size_t i = 0; variants[i]; i++) {
        size_t maxsize = strtoul(variants[i], NULL, 10);
        bench_measure("queue", variants[i], measure_queue, &maxsize, 1);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"128", "1", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
