/*
 * The questions of bench/, asked of Boost.Fiber with its default scheduler and
 * stacks. Called and printed as bench.h says.
 *
 * Its timers are sleeping fibers, and it has no cancellation.
 */
#include "../../bench.h"

#include <boost/fiber/all.hpp>
#include <memory>
#include <new>
#include <vector>

namespace fibers = boost::fibers;
namespace this_fiber = boost::this_fiber;

static const size_t children = 100;

/* ---- switch --------------------------------------------------------------- */

static int64_t measure_switch(void *arg, uint64_t times)
{
    size_t n = *static_cast<size_t *>(arg);
    int64_t took_ns = 0;
    std::vector<fibers::fiber> all;
    all.reserve(n);
    all.emplace_back([&took_ns, times] {
        this_fiber::yield();
        this_fiber::yield();
        int64_t began = bench_now_ns();
        for (uint64_t i = 0; i < times; i++)
            this_fiber::yield();
        took_ns = bench_now_ns() - began;
    });
    for (size_t j = 1; j < n; j++) {
        all.emplace_back([times] {
            for (uint64_t i = 0; i < times + 4; i++)
                this_fiber::yield();
        });
    }
    for (auto &fiber : all)
        fiber.join();
    return took_ns;
}

/* ---- spawn, gather -------------------------------------------------------- */

static int64_t measure_spawn(void *, uint64_t times)
{
    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        uint64_t result = 0;
        fibers::fiber([&result, i] { result = i + 1; }).join();
        BENCH_CHECK(result == i + 1);
    }
    return bench_now_ns() - began;
}

static int64_t measure_gather(void *arg, uint64_t times)
{
    bool yields = *static_cast<bool *>(arg);
    uint64_t results[children];
    fibers::fiber all[children];

    int64_t began = bench_now_ns();
    for (uint64_t i = 0; i < times; i++) {
        for (size_t j = 0; j < children; j++) {
            all[j] = fibers::fiber([&results, yields, j] {
                if (yields)
                    this_fiber::yield();
                results[j] = j + 1;
            });
        }
        for (auto &fiber : all)
            fiber.join();
        BENCH_CHECK(results[children - 1] == children);
    }
    return bench_now_ns() - began;
}

/* ---- memory --------------------------------------------------------------- */

struct group {
    fibers::mutex mutex;
    fibers::condition_variable first, second;
    size_t parked = 0, woken = 0;
    fibers::fiber *all = nullptr;
};

static bench_crowd crowd;

static void group_start(void *arg, size_t n)
{
    struct group *group = static_cast<struct group *>(arg);
    group->parked = group->woken = 0;
    try {
        for (size_t i = 0; i < n; i++) {
            group->all[i] = fibers::fiber([group] {
                std::unique_lock<fibers::mutex> lock(group->mutex);
                group->parked++;
                group->first.wait(lock);
                group->woken++;
                group->second.wait(lock);
            });
        }
    } catch (const std::bad_alloc &) {
        crowd.refused = "out of memory";
        return;
    }
    while (group->parked < n)
        this_fiber::yield();
}

static void group_wake(void *arg, size_t n)
{
    struct group *group = static_cast<struct group *>(arg);
    group->first.notify_all();
    while (group->woken < n)
        this_fiber::yield();
}

static void group_end(void *arg, size_t n)
{
    struct group *group = static_cast<struct group *>(arg);
    group->second.notify_all();
    for (size_t i = 0; i < n; i++)
        group->all[i].join();
}

static void question_memory(size_t n)
{
    struct group groups[BENCH_GROUPS];
    if (!bench_has_room(n, 13 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return;
    }
    /* Constructed, hence touched, so that it does not count as the fibers'. */
    std::vector<fibers::fiber> all(n);
    for (size_t i = 0; i < BENCH_GROUPS; i++)
        groups[i].all = all.data() + n / BENCH_GROUPS * i;
    crowd.start = group_start;
    crowd.wake = group_wake;
    crowd.end = group_end;
    bench_memory(n, &crowd, groups, sizeof *groups);
    /* Fibers that wait for ever cannot be taken down. */
    if (crowd.refused)
        std::_Exit(0);
}

int main(int argc, char **argv)
{
    for (int i = 2; i < argc; i++) {
        size_t n = strtoul(argv[i], NULL, 10);
        bool yields = strcmp(argv[i], "yield") == 0;
        if (strcmp(argv[1], "switch") == 0)
            bench_measure("switch", argv[i], measure_switch, &n, static_cast<double>(n));
        else if (strcmp(argv[1], "spawn") == 0)
            bench_measure("spawn", argv[i], measure_spawn, NULL, 1);
        else if (strcmp(argv[1], "gather") == 0)
            bench_measure("gather", argv[i], measure_gather, &yields, children);
        else if (strcmp(argv[1], "timer") == 0)
            bench_print_none("timer", argv[i], "has no timers but sleeping fibers");
        else if (strcmp(argv[1], "memory") == 0)
            question_memory(n);
    }
    return 0;
}
