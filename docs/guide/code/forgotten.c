/* Coroutines that were never awaited are reported when the loop closes. */
#include <asyncio.h>

ASYNC(save)
{
    return 0;
}

ASYNC(async_main)
{
    save(); /* makes a coroutine, and forgets it */
    return asyncio_sleep(0);
}

int main(void)
{
    return asyncio_main(async_main());
}
