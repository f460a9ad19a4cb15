/*
 * sync: what do locks cost?
 *
 * lock        acquire and release of a lock that nobody else wants
 * semaphore   the same with a semaphore
 * event       a wait for an event that is set
 * contended   two tasks take turns: acquire, yield, release
 * select      an item put, and a select of it and an event
 * select-get  the same with a get
 * soon        the same select, which waits until another task puts the item and yields
 * soon-get    the same with a get
 */
#include "bench.h"

#include <asyncio.h>

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(1);
static asyncio_event event = ASYNCIO_EVENT_INIT;

static int64_t measure_lock(void *arg, uint64_t times)
{
    (void)arg;
    int err = 0;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        err |= asyncio_lock_acquire(&lock) | asyncio_lock_release(&lock);
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(err == 0);
    return took_ns;
}

static int64_t measure_semaphore(void *arg, uint64_t times)
{
    (void)arg;
    int err = 0;
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        err |= asyncio_semaphore_acquire(&semaphore) | asyncio_semaphore_release(&semaphore);
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(err == 0);
    return took_ns;
}

static int64_t measure_event(void *arg, uint64_t times)
{
    (void)arg;
    int err = asyncio_event_set(&event);
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        err |= asyncio_event_wait(&event);
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(err == 0);
    return took_ns;
}

ASYNC(take_turns, uint64_t, times)
{
    for (uint64_t i = 0; i < times; i++) {
        int err = asyncio_lock_acquire(&lock);
        if (err)
            return err;
        asyncio_sleep(0);
        asyncio_lock_release(&lock);
    }
    return 0;
}

static int64_t measure_contended(void *arg, uint64_t times)
{
    (void)arg;
    int64_t began = bench_now_ns();
    asyncio_task *one = asyncio_create_task(take_turns(times)), *two = asyncio_create_task(take_turns(times));
    BENCH_CHECK(asyncio_await(one) == 0);
    BENCH_CHECK(asyncio_await(two) == 0);
    return bench_now_ns() - began;
}

/* ---- Select ------------------------------------------------------------------------- */

static asyncio_queue items;
static asyncio_event never = ASYNCIO_EVENT_INIT;

static int get_item(uint64_t *item)
{
    return asyncio_queue_get(&items, item);
}

static int select_item(uint64_t *item)
{
    asyncio_case cases[] = {ASYNCIO_CASE_EVENT(&never), ASYNCIO_CASE_GET(&items, item)};
    return asyncio_select(cases, 2, ASYNCIO_FOREVER) == 1 ? (int)cases[1].result : -1;
}

static int64_t measure_ready(uint64_t times, int (*take)(uint64_t *item))
{
    uint64_t item = 0;
    int err = asyncio_queue_init(&items, sizeof item, 1);
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        err |= asyncio_queue_put_nowait(&items, &i) | take(&item);
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(err == 0);
    asyncio_queue_destroy(&items);
    return took_ns;
}

static int64_t measure_select(void *arg, uint64_t times)
{
    (void)arg;
    return measure_ready(times, select_item);
}

static int64_t measure_select_get(void *arg, uint64_t times)
{
    (void)arg;
    return measure_ready(times, get_item);
}

ASYNC(puts_items, uint64_t, times)
{
    int err = 0;
    for (uint64_t i = 0; i < times; i++)
        err |= asyncio_queue_put_nowait(&items, &i) | asyncio_sleep(0);
    return err;
}

static int64_t measure_waiting(uint64_t times, int (*take)(uint64_t *item))
{
    uint64_t item = 0;
    int err = asyncio_queue_init(&items, sizeof item, 1);
    asyncio_task *putter = asyncio_create_task(puts_items(times));
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++)
        err |= take(&item);
    int64_t took_ns = bench_now_ns() - began;
    BENCH_CHECK(err == 0 && asyncio_await(putter) == 0);
    asyncio_queue_destroy(&items);
    return took_ns;
}

static int64_t measure_soon(void *arg, uint64_t times)
{
    (void)arg;
    return measure_waiting(times, select_item);
}

static int64_t measure_soon_get(void *arg, uint64_t times)
{
    (void)arg;
    return measure_waiting(times, get_item);
}

static const struct {
    const char *variant;
    bench_function measure;
    double each;
} questions[] = {
    {"lock", measure_lock, 1},     {"semaphore", measure_semaphore, 1},
    {"event", measure_event, 1},   {"contended", measure_contended, 2},
    {"select", measure_select, 1}, {"select-get", measure_select_get, 1},
    {"soon", measure_soon, 1},     {"soon-get", measure_soon_get, 1},
};

ASYNC(async_main, const char *const *, variants)
{
    for (size_t i = 0; variants[i]; i++)
        for (size_t j = 0; j < sizeof questions / sizeof questions[0]; j++)
            if (strcmp(variants[i], questions[j].variant) == 0)
                bench_measure("sync", variants[i], questions[j].measure, NULL, questions[j].each);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const all[] = {"lock",       "semaphore", "event",    "contended", "select",
                                      "select-get", "soon",      "soon-get", NULL};
    return asyncio_main(async_main(argc > 2 ? (const char *const *)argv + 2 : all));
}
