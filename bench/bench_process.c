/*
 * process: see process.h.
 */
#include "process.h"

#include <asyncio.h>

static int64_t measure_process(void *arg, uint64_t times)
{
    static const char *const argv[] = {PROCESS_PROGRAM, NULL};
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        asyncio_process *process;
        int returncode;
        BENCH_CHECK(asyncio_create_subprocess_exec(argv, NULL, &process) == 0);
        BENCH_CHECK(asyncio_process_wait(process, &returncode) == 0 && returncode == 0);
        asyncio_process_release(process);
    }
    return bench_now_ns() - began;
}

ASYNC(async_main, int, count, char **, variants)
{
    for (int i = 0; i < count; i++)
        process_measure(variants[i], measure_process, NULL);
    return 0;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 2 ? argc - 2 : 0, argv + 2));
}
