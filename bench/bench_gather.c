/*
 * gather: how long does a gather of 100 children take, for each child?
 *
 * ready   the children return at once
 * yield   each waits once, so that all 100 are there at the same time
 */
#include "bench.h"

#include <asyncio.h>

#define CHILDREN 100

ASYNC(child_return, intptr_t, value)
{
    return value + 1;
}

ASYNC(child_yield, intptr_t, value)
{
    int err = asyncio_sleep(0);
    return err ? err : value + 1;
}

static int64_t measure_gather(void *arg, uint64_t times)
{
    asyncio_coro *(*child)(intptr_t) = *(asyncio_coro * (**)(intptr_t)) arg;
    asyncio_task *tasks[CHILDREN];
    intptr_t results[CHILDREN];

    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        for (intptr_t j = 0; j < CHILDREN; j++)
            tasks[j] = asyncio_create_task(child(j));
        BENCH_CHECK(asyncio_gather_array(results, tasks, CHILDREN) == 0);
        BENCH_CHECK(results[CHILDREN - 1] == CHILDREN);
    }
    return bench_now_ns() - began;
}

ASYNC(async_main, const char *const *, variants)
{
    for (size_t i = 0; variants[i]; i++) {
        asyncio_coro *(*child)(intptr_t) = strcmp(variants[i], "yield") == 0 ? child_yield : child_return;
        bench_measure("gather", variants[i], measure_gather, &child, CHILDREN);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"ready", "yield", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
