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

template <int kind> static void pass(bench_ring *ring, bool is_first)
{
    BENCH_OWN_CODE(kind);
    BENCH_RING_LOOP(ring, is_first, (this_fiber::yield(), true));
}

static int64_t measure_ring(void *arg, uint64_t times)
{
    static void (*const kinds[BENCH_KINDS])(bench_ring *, bool) = {pass<0>, pass<1>, pass<2>, pass<3>};
    bench_ring *ring = static_cast<bench_ring *>(arg);
    std::vector<fibers::fiber> all;
    all.reserve(ring->n);
    ring->times = times;
    for (size_t i = 0; i < ring->n; i++)
        all.emplace_back(kinds[i % ring->kinds], ring, i == 0);
    for (auto &fiber : all)
        fiber.join();
    return ring->took_ns;
}

static void question_switch(const char *variant)
{
    bench_ring ring = bench_ring_of(variant);
    bench_measure("switch", variant, measure_ring, &ring, static_cast<double>(ring.n));
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
            question_switch(argv[i]);
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
