/* Debug mode reports a step that makes all others wait. */
#include <asyncio.h>
#include <stdio.h>
#include <unistd.h>

ASYNC(rude)
{
    usleep(150000); /* blocks the thread, and so the loop */
    return 0;
}

ASYNC(async_main)
{
    return asyncio_await(asyncio_create_task(rude()));
}

int main(void)
{
    asyncio_run_options options = {.debug = 1};
    return asyncio_run_with(async_main(), &options) < 0;
}
