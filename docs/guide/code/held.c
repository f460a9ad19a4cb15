/* The watchdog tells who holds the loop, while that lasts. */
#include <asyncio.h>
#include <unistd.h>

ASYNC(report)
{
    sleep(1); /* a call that blocks: of a database's plain client, say */
    return 0;
}

ASYNC(async_main)
{
    return asyncio_await(asyncio_create_task(report()));
}

int main(void)
{
    asyncio_run_options options = {.watchdog = 0.1};
    return asyncio_run_with(async_main(), &options) < 0;
}
