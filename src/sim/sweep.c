/*
 * Runs of a subject with a cancel, or a failing call, in each place. See asyncio/sim.h.
 */
#include "asyncio/sim.h"
#include <errno.h>

intptr_t asyncio_sim_sweep_cancel(asyncio_coro *(*subject)(void *arg), void *arg,
                                  const asyncio_sim_options *options, asyncio_sim_result *result)
{
    (void)subject, (void)arg, (void)options, (void)result;
    return -ENOSYS;
}

intptr_t asyncio_sim_sweep_faults(asyncio_coro *(*subject)(void *arg), void *arg,
                                  const asyncio_sim_options *options, asyncio_sim_result *result)
{
    (void)subject, (void)arg, (void)options, (void)result;
    return -ENOSYS;
}
