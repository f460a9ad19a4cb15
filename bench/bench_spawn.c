/*
 * spawn: how long does it take to create a task, run it and await it, one at a time? Queued, and eager.
 */
#include "bench.h"

#include <asyncio.h>

ASYNC(child, intptr_t, value)
{
    return value + 1;
}

static int64_t measure_spawn(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_await(asyncio_create_task(child((intptr_t)i))) == (intptr_t)i + 1);
    return bench_now_ns() - began;
}

ASYNC(async_main, const char *, variant)
{
    bench_measure("spawn", variant, measure_spawn, NULL, 1);
    return 0;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 2; i < argc; i++) {
        asyncio_run_options options = {.eager = strcmp(argv[i], "eager") == 0};
        failed |= asyncio_run_with(async_main(argv[i]), &options) != 0;
    }
    return failed;
}
