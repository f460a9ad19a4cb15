/*
 * timer: what does a timer cost while 1,000,000 others are pending?
 *
 * pair      one is made and cancelled at once: asyncio_loop_call_later, asyncio_handle_cancel
 * replace   one of the million, any, is cancelled, and another made in its place
 * sleep     a task in asyncio_sleep is cancelled, runs, and sleeps again
 */
#include "bench.h"

#include <asyncio.h>
#include <errno.h>

static asyncio_handle *handles;
static uint64_t random_state = 1;

static void never(void *arg)
{
    (void)arg;
    fputs("a timer fired\n", stderr);
    exit(1);
}

static double delay(void)
{
    return (double)bench_delay_ms(&random_state) / 1000;
}

static int64_t measure_pair(void *arg, uint64_t times)
{
    asyncio_loop *loop = arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        asyncio_handle handle = asyncio_loop_call_later(loop, delay(), never, NULL);
        BENCH_CHECK(asyncio_handle_cancel(loop, handle));
        if (i % BENCH_TIMERS_TURN == 0)
            asyncio_sleep(0);
    }
    return bench_now_ns() - began;
}

static int64_t measure_replace(void *arg, uint64_t times)
{
    asyncio_loop *loop = arg;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        asyncio_handle *handle = &handles[bench_random(&random_state) % BENCH_TIMERS];
        BENCH_CHECK(asyncio_handle_cancel(loop, *handle));
        *handle = asyncio_loop_call_later(loop, delay(), never, NULL);
        if (i % BENCH_TIMERS_TURN == 0)
            asyncio_sleep(0);
    }
    return bench_now_ns() - began;
}

static uint64_t cancelled;
static bool enough;

ASYNC(sleeper)
{
    while (!enough) {
        int err = asyncio_sleep(delay());
        if (err != -ECANCELED)
            return err;
        asyncio_task_uncancel(asyncio_current_task());
        cancelled++;
    }
    return 0;
}

static int64_t measure_sleep(void *arg, uint64_t times)
{
    asyncio_task *task = arg;
    uint64_t before = cancelled;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        asyncio_cancel(task);
        asyncio_sleep(0);
    }
    int64_t took = bench_now_ns() - began;
    BENCH_CHECK(cancelled == before + times);
    return took;
}

ASYNC(async_main, const char *const *, variants)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    BENCH_CHECK(handles = calloc(BENCH_TIMERS, sizeof *handles));
    for (size_t i = 0; i < BENCH_TIMERS; i++) {
        handles[i] = asyncio_loop_call_later(loop, delay(), never, NULL);
        BENCH_CHECK(asyncio_handle_valid(handles[i]));
    }
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_sleep(0);

    for (size_t i = 0; variants[i]; i++) {
        if (strcmp(variants[i], "pair") == 0)
            bench_measure("timer", variants[i], measure_pair, loop, 1);
        else if (strcmp(variants[i], "replace") == 0)
            bench_measure("timer", variants[i], measure_replace, loop, 1);
        else if (strcmp(variants[i], "sleep") == 0)
            bench_measure("timer", variants[i], measure_sleep, task, 1);
    }
    enough = true;
    asyncio_cancel(task);
    intptr_t err = asyncio_await(task);
    for (size_t i = 0; i < BENCH_TIMERS; i++)
        BENCH_CHECK(asyncio_handle_cancel(loop, handles[i]));
    free(handles);
    return err;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"pair", "replace", "sleep", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
