/* A ticker, and three ways to go on when a tick was missed. */
#include <asyncio.h>
#include <stdio.h>

ASYNC(sample, const char *, name, asyncio_tick, policy)
{
    double began = asyncio_time();
    asyncio_ticker ticker;
    int err = asyncio_ticker_init(&ticker, 0.25, policy);
    if (err)
        return err;
    printf("%s:", name);
    for (int i = 1; i <= 6; i++) {
        int64_t skipped = asyncio_ticker_next(&ticker);
        if (skipped < 0)
            return (intptr_t)skipped;
        printf(" %.2f", asyncio_time() - began);
        if (skipped)
            printf(" (%d left out)", (int)skipped);
        if (i == 2 && (err = asyncio_sleep(0.6)))
            return err; /* the second sample took longer than two periods */
    }
    printf("\n");
    return 0;
}

ASYNC(async_main)
{
    intptr_t err = asyncio_await(sample("burst", ASYNCIO_TICK_BURST));
    if (!err)
        err = asyncio_await(sample("delay", ASYNCIO_TICK_DELAY));
    return err ? err : asyncio_await(sample("skip", ASYNCIO_TICK_SKIP));
}

int main(void)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL}; /* exact, and takes no time */
    return asyncio_run_with(async_main(), &options) < 0;
}
