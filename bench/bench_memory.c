/*
 * memory: what does a task cost that waits, in bytes and in nanoseconds, when
 * there are n of them?
 *
 * bytes-n    held per task while all wait: resident memory and page tables
 * start-n    to create one and let it run until it waits, in memory never touched
 * again-n    the same in the place of one that has ended, while the others wait
 * wake-n     to let each run once more, until it waits again
 *
 * Each n is measured in a process of its own.
 */
#include "bench.h"

#include <asyncio.h>
#include <sys/wait.h>
#include <unistd.h>

struct group {
    asyncio_task **tasks;
    asyncio_future *first, *second;
    size_t parked, woken;
};

static bench_crowd crowd;

ASYNC(idle, struct group *, group)
{
    group->parked++;
    intptr_t err = asyncio_await(asyncio_ref(group->first));
    group->woken++;
    return err ? err : asyncio_await(asyncio_ref(group->second));
}

/* Yields until the count is there; gives up when yielding does not change it. */
static void wait_until(const size_t *count, size_t n)
{
    for (size_t in_vain = 0; *count < n; in_vain++) {
        size_t before = *count;
        asyncio_sleep(0);
        if (*count != before)
            in_vain = 0;
        if (in_vain == 1000) {
            crowd.refused = "tasks were refused, for want of memory or of mappings";
            return;
        }
    }
}

static void group_start(void *arg, size_t n)
{
    struct group *group = arg;
    group->parked = group->woken = 0;
    BENCH_CHECK(group->first = asyncio_future_new());
    BENCH_CHECK(group->second = asyncio_future_new());
    for (size_t i = 0; i < n; i++)
        group->tasks[i] = asyncio_create_task(idle(group));
    wait_until(&group->parked, n);
}

static void group_wake(void *arg, size_t n)
{
    struct group *group = arg;
    asyncio_future_set_result(group->first, 0);
    wait_until(&group->woken, n);
}

static void group_end(void *arg, size_t n)
{
    struct group *group = arg;
    asyncio_future_set_result(group->second, 0);
    for (size_t i = 0; i < n; i++)
        BENCH_CHECK(asyncio_await(group->tasks[i]) == 0);
    asyncio_release(group->first);
    asyncio_release(group->second);
}

ASYNC(async_main, size_t, n)
{
    struct group groups[BENCH_GROUPS] = {0};
    asyncio_task **tasks;

    if (!bench_has_room(n, 6 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return 0;
    }
    /* Touched, so that it does not count as the tasks'. */
    BENCH_CHECK(tasks = malloc(n * sizeof(asyncio_task *)));
    memset(tasks, 1, n * sizeof(asyncio_task *));
    for (size_t i = 0; i < BENCH_GROUPS; i++)
        groups[i].tasks = tasks + n / BENCH_GROUPS * i;
    crowd = (bench_crowd){group_start, group_wake, group_end, NULL};
    bench_memory(n, &crowd, groups, sizeof *groups);
    free(tasks);
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
