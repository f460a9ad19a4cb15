/*
 * switch: how long does a yield, asyncio_sleep(0), take from one task to the
 * next? bench.h says how the tasks are arranged.
 */
#include "bench.h"

#include <asyncio.h>

/* The same loop in functions of their own. */
#define KIND(name, mark)                                                                                     \
    ASYNC(name, bench_ring *, ring, bool, is_first)                                                          \
    {                                                                                                        \
        BENCH_OWN_CODE(mark);                                                                                \
        BENCH_RING_LOOP(ring, is_first, asyncio_sleep(0) == 0);                                              \
        return 0;                                                                                            \
    }

KIND(pass_0, 0)
KIND(pass_1, 1)
KIND(pass_2, 2)
KIND(pass_3, 3)

static asyncio_coro *(*const kinds[BENCH_KINDS])(bench_ring *, bool) = {pass_0, pass_1, pass_2, pass_3};
static asyncio_task **tasks;

static int64_t measure_ring(void *arg, uint64_t times)
{
    bench_ring *ring = arg;
    ring->times = times;
    for (size_t i = 0; i < ring->n; i++)
        tasks[i] = asyncio_create_task(kinds[i % ring->kinds](ring, i == 0));
    for (size_t i = 0; i < ring->n; i++)
        BENCH_CHECK(asyncio_await(tasks[i]) == 0);
    return ring->took_ns;
}

ASYNC(async_main, const char *const *, variants)
{
    for (size_t i = 0; variants[i]; i++) {
        bench_ring ring = bench_ring_of(variants[i]);
        BENCH_CHECK(tasks = calloc(ring.n, sizeof(asyncio_task *)));
        bench_measure("switch", variants[i], measure_ring, &ring, (double)ring.n);
        free(tasks);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"2", "10", "100", "1000", "mixed", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
