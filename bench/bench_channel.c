/*
 * channel: how long does it take to hand an item from one side of a bounded channel to the other? The channel
 * has room for 1,024 items of 8 bytes.
 *
 * one        one task sends and receives in turn, with nobody beside it
 * tasks      from one task to another of the same loop
 * loops      from a task to one of another loop, in another thread, both busy with it all the time
 * loops-cpu  the same, processor time of both
 * many       from eight tasks to eight, of two loops
 * ping       to the other loop and back, one item at a time: the loops sleep, or spin, in between
 */
#include "bench.h"

#include <asyncio.h>
#include <pthread.h>

#define CAPACITY 1024
#define MANY 8

ASYNCIO_CHANNEL_OF(numbers, uint64_t);

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t (*channel_clock)(void) = bench_now_ns;

ASYNC(sends, numbers *, channel, uint64_t, times)
{
    int err = 0;
    for (uint64_t i = 0; i < times && !err; i++)
        err = numbers_send(channel, i);
    return err;
}

ASYNC(receives, numbers *, channel, uint64_t, times)
{
    uint64_t item;
    int err = 0;
    for (uint64_t i = 0; i < times && !err; i++)
        err = numbers_receive(channel, &item);
    return err;
}

/* ---- On one loop ---------------------------------------------------------------- */

ASYNC(turns, numbers *, channel, uint64_t, times)
{
    uint64_t item = 0;
    for (uint64_t i = 0; i < times; i++) {
        BENCH_CHECK(numbers_send(channel, i) == 0);
        BENCH_CHECK(numbers_receive(channel, &item) == 0 && item == i);
    }
    return 0;
}

static int64_t measure_one(void *arg, uint64_t times)
{
    numbers *channel = numbers_new(CAPACITY);
    int64_t began = bench_now_ns();
    BENCH_CHECK(asyncio_await(turns(channel, times)) == 0);
    int64_t took = bench_now_ns() - began;
    numbers_release(channel);
    (void)arg;
    return took;
}

static int64_t measure_tasks(void *arg, uint64_t times)
{
    numbers *channel = numbers_new(CAPACITY);
    int64_t began = bench_now_ns();
    BENCH_CHECK(asyncio_gather(NULL, receives(channel, times), sends(channel, times)) == 0);
    int64_t took = bench_now_ns() - began;
    numbers_release(channel);
    (void)arg;
    return took;
}

/* ---- On two --------------------------------------------------------------------- */

struct side {
    numbers *to, *back;
    uint64_t times;
    int tasks;
};

ASYNC(send_side, const struct side *, side)
{
    asyncio_coro *tasks[MANY] = {NULL};
    asyncio_task *all[MANY];
    for (int i = 0; i < side->tasks; i++) {
        tasks[i] = sends(side->to, side->times);
        all[i] = asyncio_create_task(tasks[i]);
    }
    return asyncio_gather_array(NULL, all, (size_t)side->tasks);
}

static void *run_sends(void *arg)
{
    BENCH_CHECK(asyncio_run(send_side(arg)) == 0);
    return NULL;
}

static int64_t measure_loops(void *arg, uint64_t times)
{
    struct side side = {numbers_new(CAPACITY), NULL, times, *(const int *)arg};
    asyncio_task *tasks[MANY];
    pthread_t thread;
    int64_t began = channel_clock();
    BENCH_CHECK(pthread_create(&thread, NULL, run_sends, &side) == 0);
    for (int i = 0; i < side.tasks; i++)
        tasks[i] = asyncio_create_task(receives(side.to, times));
    BENCH_CHECK(asyncio_gather_array(NULL, tasks, (size_t)side.tasks) == 0);
    int64_t took = channel_clock() - began;
    pthread_join(thread, NULL);
    numbers_release(side.to);
    return took;
}

ASYNC(answers, const struct side *, side)
{
    uint64_t item;
    for (uint64_t i = 0; i < side->times; i++)
        BENCH_CHECK(numbers_receive(side->to, &item) == 0 && numbers_send(side->back, item) == 0);
    return 0;
}

static void *run_answers(void *arg)
{
    BENCH_CHECK(asyncio_run(answers(arg)) == 0);
    return NULL;
}

static int64_t measure_ping(void *arg, uint64_t times)
{
    struct side side = {numbers_new(1), numbers_new(1), times, 1};
    uint64_t item = 0;
    pthread_t thread;
    int64_t began = bench_now_ns();
    BENCH_CHECK(pthread_create(&thread, NULL, run_answers, &side) == 0);
    for (uint64_t i = 0; i < times; i++) {
        BENCH_CHECK(numbers_send(side.to, i) == 0 && numbers_receive(side.back, &item) == 0);
        BENCH_CHECK(item == i);
    }
    int64_t took = bench_now_ns() - began;
    pthread_join(thread, NULL);
    numbers_release(side.to);
    numbers_release(side.back);
    (void)arg;
    return took;
}

ASYNC(async_main, const char *const *, variants)
{
    int one = 1, many = MANY;
    for (size_t i = 0; variants[i]; i++) {
        const char *variant = variants[i];
        channel_clock = strcmp(variant, "loops-cpu") == 0 ? cpu_ns : bench_now_ns;
        if (strcmp(variant, "one") == 0)
            bench_measure("channel", variant, measure_one, NULL, 1);
        else if (strcmp(variant, "tasks") == 0)
            bench_measure("channel", variant, measure_tasks, NULL, 1);
        else if (strcmp(variant, "many") == 0)
            bench_measure("channel", variant, measure_loops, &many, MANY);
        else if (strcmp(variant, "ping") == 0)
            bench_measure("channel", variant, measure_ping, NULL, 1);
        else
            bench_measure("channel", variant, measure_loops, &one, 1);
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"one", "tasks", "loops", "loops-cpu", "many", "ping", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
