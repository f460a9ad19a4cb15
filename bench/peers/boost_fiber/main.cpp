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

struct crowd {
    fibers::mutex mutex;
    fibers::condition_variable first, second;
    size_t parked = 0, woken = 0;
    fibers::fiber *all = nullptr;
};

static void memory_round(void *arg, size_t n, bench_round *round)
{
    struct crowd *crowd = static_cast<struct crowd *>(arg);
    crowd->parked = crowd->woken = 0;
    int64_t faults = bench_faults(), began = bench_now_ns();
    for (size_t i = 0; i < n; i++) {
        crowd->all[i] = fibers::fiber([crowd] {
            std::unique_lock<fibers::mutex> lock(crowd->mutex);
            crowd->parked++;
            crowd->first.wait(lock);
            crowd->woken++;
            crowd->second.wait(lock);
        });
    }
    while (crowd->parked < n)
        this_fiber::yield();
    round->start_ns = bench_now_ns() - began;
    if (round->want_bytes)
        round->bytes = bench_memory_bytes();
    began = bench_now_ns();
    crowd->first.notify_all();
    while (crowd->woken < n)
        this_fiber::yield();
    round->wake_ns = bench_now_ns() - began;
    round->faults = bench_faults() - faults;
    crowd->second.notify_all();
    for (size_t i = 0; i < n; i++)
        crowd->all[i].join();
}

static void question_memory(size_t n)
{
    struct crowd crowd;
    if (!bench_has_room(n, 13 * 1024)) {
        bench_memory_none(n, "not enough memory in this machine");
        return;
    }
    /* Constructed, hence touched, so that it does not count as the fibers'. */
    std::vector<fibers::fiber> all(n);
    crowd.all = all.data();
    try {
        bench_memory(n, memory_round, &crowd);
    } catch (const std::bad_alloc &) {
        bench_memory_none(n, "out of memory");
        /* Fibers that wait for ever cannot be taken down. */
        std::_Exit(0);
    }
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
