/*
 * Runs of a scenario, a seed each. See asyncio/sim.h.
 */
#include "asyncio/sim.h"
#include <errno.h>

intptr_t asyncio_sim_run(asyncio_coro *(*scenario)(void *arg), void *arg, const asyncio_sim_options *options,
                         asyncio_sim_result *result)
{
    (void)scenario, (void)arg, (void)options, (void)result;
    return -ENOSYS;
}
