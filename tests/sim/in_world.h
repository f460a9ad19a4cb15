/*
 * Runs of a coroutine in a simulated world, without the runner of asyncio_sim_run: one seed, one run.
 */
#ifndef TESTS_SIM_IN_WORLD_H
#define TESTS_SIM_IN_WORLD_H

#include "asyncio/sim.h"
#include "sim/draws.h"
#include "sim/history.h"
#include "sim/world.h"
#include "support/harness.h"
#include "sys/world.h"

/* Whole segments, a second of latency: times are easy to add up. */
#define PLAIN_LINK ((asyncio_sim_link){.latency = 1, .segment = SIZE_MAX})

static inline intptr_t run_in_world_seeded(coroutine_function main, asyncio_sim_link link, uint64_t seed)
{
    asyncio_sim_options options = {.link = link};
    struct sim_plan plan = {.seed = seed, .limit = UINT64_MAX};
    char text[512];
    if (asy_sim) /* an earlier test failed */
        asy_sim_world_end(text, sizeof text);
    CHECK_EQUAL(asy_sim_world_begin(&options), 0);
    asy_sim_draws_begin(&plan, asy_sim_world_now_ns);
    asy_sim_history_begin(asy_sim_world_now_ns, NULL);
    intptr_t result = run_seeded(main, seed);
    asy_sim_history_end();
    asy_sim_draws_end();
    if (asy_sim_world_end(text, sizeof text))
        harness_failed(__FILE__, __LINE__, "sockets are left: %s", text);
    harness_settle();
    return result;
}

static inline intptr_t run_in_world(coroutine_function main, asyncio_sim_link link)
{
    return run_in_world_seeded(main, link, 1);
}

/* A test that is a coroutine in a world whose hosts are `link` apart. */
#define WORLD_TEST(name, link)                                                                               \
    static asyncio_coro *main_of_##name(void);                                                               \
    TEST_WITH(test_##name, case_##name, #name, false)                                                        \
    {                                                                                                        \
        CHECK_EQUAL(run_in_world(main_of_##name, (link)), 0);                                                \
        harness_settle();                                                                                    \
    }                                                                                                        \
    ASYNC(main_of_##name)

/* Virtual seconds since the world began, of whole milliseconds. */
static inline double world_time(void)
{
    return (double)asy_sim_world_now_ns() / 1e9;
}
#define CHECK_TIME(seconds) CHECK_EQUAL(llround(world_time() * 1e6), llround((seconds)*1e6))

#endif
