/*
 * The run of seed 7 does what UBSan reports: for check-undefined.
 */
#include <asyncio.h>
#include <asyncio/sim.h>
#include <limits.h>

static volatile int number = INT_MAX;

ASYNC(overflow_at_seed_7)
{
    static int runs;
    asyncio_sleep(1);
    if (++runs == 7)
        number = number + 1;
    return 0;
}

static asyncio_coro *make_scenario(void *arg)
{
    (void)arg;
    return overflow_at_seed_7();
}

int main(void)
{
    const asyncio_sim_options never_repeated = {.repeat = -1};
    return asyncio_sim_run(make_scenario, NULL, &never_repeated, NULL) != 0;
}
