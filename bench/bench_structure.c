/*
 * Structure: what timeouts and task groups cost.
 *
 * call      an await of a task that has ended: what the next one is measured against
 * wait_for  the same in a wait_for with a limit of a second
 * yield     an await, in place, of a coroutine that gives way once
 * limited   the same in a wait_for: a scope entered and left, a timer made and cancelled
 * timeout   a timeout entered and left
 * block     the same as a block, ASYNCIO_TIMEOUT
 * group     a task group of 100 children that return at once, for each child
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

static int64_t measure_call(void *arg, uint64_t times)
{
    asyncio_task *task = arg;

    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_await(asyncio_ref(task)) == 2);
    return bench_now_ns() - began;
}

static int64_t measure_wait_for(void *arg, uint64_t times)
{
    asyncio_task *task = arg;

    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_wait_for(asyncio_ref(task), 1) == 2);
    return bench_now_ns() - began;
}

static int64_t measure_yield(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_await(child_yield(1)) == 2);
    return bench_now_ns() - began;
}

static int64_t measure_limited(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        BENCH_CHECK(asyncio_wait_for(child_yield(1), 1) == 2);
    return bench_now_ns() - began;
}

static int64_t measure_timeout(void *arg, uint64_t times)
{
    asyncio_timeout timeout;

    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        BENCH_CHECK(asyncio_timeout_enter(&timeout, 1) == 0);
        BENCH_CHECK(asyncio_timeout_exit(&timeout, 3) == 3);
    }
    return bench_now_ns() - began;
}

static int64_t measure_block(void *arg, uint64_t times)
{
    int err;

    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        ASYNCIO_TIMEOUT(err, 1) {
            err = 3;
        }
        BENCH_CHECK(err == 3);
    }
    return bench_now_ns() - began;
}

static int64_t measure_group(void *arg, uint64_t times)
{
    asyncio_task_group group;

    (void)arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        BENCH_CHECK(asyncio_task_group_enter(&group) == 0);
        for (intptr_t j = 0; j < CHILDREN; j++)
            asyncio_task_group_create_task(&group, child_return(j));
        BENCH_CHECK(asyncio_task_group_exit(&group, 0) == 0);
    }
    return bench_now_ns() - began;
}

static const struct {
    const char *variant;
    bench_function measure;
    double each;
} questions[] = {
    {"call", measure_call, 1},          {"wait_for", measure_wait_for, 1}, {"yield", measure_yield, 1},
    {"limited", measure_limited, 1},    {"timeout", measure_timeout, 1},   {"block", measure_block, 1},
    {"group", measure_group, CHILDREN},
};

ASYNC(async_main, const char *const *, variants)
{
    asyncio_task *task = asyncio_create_task(child_return(1));

    asyncio_sleep(0);
    for (size_t i = 0; variants[i]; i++)
        for (size_t j = 0; j < sizeof questions / sizeof *questions; j++)
            if (strcmp(variants[i], questions[j].variant) == 0)
                bench_measure("structure", variants[i], questions[j].measure, task, questions[j].each);
    asyncio_release(task);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"call",    "wait_for", "yield", "limited",
                                      "timeout", "block",    "group", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
