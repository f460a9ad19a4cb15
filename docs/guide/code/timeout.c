/* Timeouts: as a block, and for one awaitable. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

static int fetch(double takes)
{
    return asyncio_sleep(takes);
}

ASYNC(slow)
{
    return asyncio_sleep(10);
}

ASYNC(async_main)
{
    int err;
    ASYNCIO_TIMEOUT(err, 0.3) {
        err = fetch(0.1);
        if (err < 0)
            break; /* leaves the block */
        err = fetch(0.1);
    }
    printf("two fetches: %s\n", asyncio_errname(err));

    ASYNCIO_TIMEOUT(err, 0.3) {
        err = fetch(0.1);
        if (err < 0)
            break;
        err = fetch(10);
    }
    printf("a slow one: %s\n", asyncio_errname(err));

    intptr_t result = asyncio_wait_for(slow(), 0.1);
    printf("wait_for: %s\n", asyncio_errname(result));
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
