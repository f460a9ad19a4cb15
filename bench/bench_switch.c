/*
 * switch: how long does a yield take, from one task to the next?
 *
 * n tasks call asyncio_sleep(0) in a circle. One of them reads the clock before
 * and after; in between each of the others has yielded as often as it did.
 */
#include "bench.h"

#include <asyncio.h>

struct ring {
    size_t n;
    asyncio_task **tasks;
    int64_t took_ns;
};

ASYNC(pass, uint64_t, times)
{
    /* A few more than the one that counts, so that all are there until it is done. */
    for (uint64_t i = 0; i < times + 4; i++) {
        int err = asyncio_sleep(0);
        if (err)
            return err;
    }
    return 0;
}

ASYNC(count, uint64_t, times, struct ring *, ring)
{
    int err = asyncio_sleep(0);
    if (!err)
        err = asyncio_sleep(0);
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times && !err; i++)
        err = asyncio_sleep(0);
    ring->took_ns = bench_now_ns() - began;
    return err;
}

static int64_t measure_ring(void *arg, uint64_t times)
{
    struct ring *ring = arg;
    ring->tasks[0] = asyncio_create_task(count(times, ring));
    for (size_t i = 1; i < ring->n; i++)
        ring->tasks[i] = asyncio_create_task(pass(times));
    for (size_t i = 0; i < ring->n; i++)
        BENCH_CHECK(asyncio_await(ring->tasks[i]) == 0);
    return ring->took_ns;
}

ASYNC(async_main, const char *const *, variants)
{
    for (size_t i = 0; variants[i]; i++) {
        struct ring ring = {strtoul(variants[i], NULL, 10), NULL, 0};
        BENCH_CHECK(ring.n > 0 && (ring.tasks = calloc(ring.n, sizeof(asyncio_task *))));
        bench_measure("switch", variants[i], measure_ring, &ring, (double)ring.n);
        free(ring.tasks);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"2", "10", "100", "1000", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
