/*
 * What tests of asyncio_sim_run share: coroutines without parameters as scenarios, and their results.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "asyncio.h"
#include "asyncio/sim.h"
#include "support/harness.h"
#include <stdint.h>

/* Of the latest simulation. */
static asyncio_sim_result result;

/* Runs a coroutine without parameters. */
static inline asyncio_coro *call_scenario(void *arg)
{
    return ((coroutine_function)(uintptr_t)arg)();
}

static inline intptr_t simulate(coroutine_function scenario, const asyncio_sim_options *options)
{
    return asyncio_sim_run(call_scenario, (void *)(uintptr_t)scenario, options, &result);
}

/* Of streams that a scenario forgets on purpose: a leak checker is not to find them. */
static asyncio_stream *forgotten[256];
static size_t forgotten_count;

static inline void forget(asyncio_stream *stream)
{
    forgotten[forgotten_count++ % 256] = stream;
}

#endif
