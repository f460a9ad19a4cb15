/*
 * memory: what does a task cost that waits, in bytes and in nanoseconds, when
 * there are n of them?
 *
 * bytes-n    held per task while all wait: resident memory and page tables
 * start-n    to create one and let it run until it waits, in memory never touched
 * again-n    the same in a later round, where that memory is used again
 * wake-n     to let each run once more, until it waits again; in a later round
 *
 * Each n is measured in a process of its own.
 */
#include "bench.h"

#include <asyncio.h>
#include <sys/wait.h>
#include <unistd.h>

struct crowd {
    asyncio_task **tasks;
    asyncio_future *first, *second;
    size_t parked, woken;
};

ASYNC(idle, struct crowd *, crowd)
{
    crowd->parked++;
    intptr_t err = asyncio_await(asyncio_ref(crowd->first));
    crowd->woken++;
    return err ? err : asyncio_await(asyncio_ref(crowd->second));
}

/* Yields until the count is there; gives up when yielding does not change it. */
static bool wait_until(const size_t *count, size_t n)
{
    for (size_t in_vain = 0; *count < n && in_vain < 1000; in_vain++) {
        size_t before = *count;
        asyncio_sleep(0);
        if (*count != before)
            in_vain = 0;
    }
    return *count >= n;
}

static void memory_round(void *arg, size_t n, bench_round *round)
{
    struct crowd *crowd = arg;
    crowd->parked = crowd->woken = 0;
    BENCH_CHECK(crowd->first = asyncio_future_new());
    BENCH_CHECK(crowd->second = asyncio_future_new());
    int64_t faults = bench_faults(), began = bench_now_ns();
    for (size_t i = 0; i < n; i++)
        crowd->tasks[i] = asyncio_create_task(idle(crowd));
    bool all = wait_until(&crowd->parked, n);
    round->start_ns = bench_now_ns() - began;
    if (round->want_bytes)
        round->bytes = bench_memory_bytes();
    began = bench_now_ns();
    asyncio_future_set_result(crowd->first, 0);
    all = all && wait_until(&crowd->woken, n);
    round->wake_ns = bench_now_ns() - began;
    round->faults = bench_faults() - faults;
    if (!all)
        round->refused = "tasks were refused, for want of memory or of mappings";
    asyncio_future_set_result(crowd->second, 0);
    for (size_t i = 0; i < n; i++)
        asyncio_await(crowd->tasks[i]);
    asyncio_release(crowd->first);
    asyncio_release(crowd->second);
}

ASYNC(async_main, size_t, n)
{
    struct crowd crowd = {0};
    if (!bench_has_room(n, 6 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return 0;
    }
    /* Touched, so that it does not count as the tasks'. */
    BENCH_CHECK(crowd.tasks = malloc(n * sizeof *crowd.tasks));
    memset(crowd.tasks, 1, n * sizeof *crowd.tasks);
    bench_memory(n, memory_round, &crowd);
    free(crowd.tasks);
    return 0;
}

static int measure(const char *variant)
{
    fflush(stdout);
    pid_t pid = fork();
    BENCH_CHECK(pid >= 0);
    if (pid == 0)
        exit(asyncio_main(async_main(strtoul(variant, NULL, 10))));
    int status;
    BENCH_CHECK(waitpid(pid, &status, 0) == pid);
    return status != 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"1000", "10000", "100000", "1000000", NULL};
    const char *const *variants = argc > 2 ? (const char *const *)argv + 2 : all;
    int failed = 0;
    for (size_t i = 0; variants[i]; i++)
        failed |= measure(variants[i]);
    return failed;
}
