/* The call in which a task waits delivers a request to cancel. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>

ASYNC(worker)
{
    int err = 0;
    for (int i = 1; !err; i++) {
        printf("step %d\n", i);
        err = asyncio_sleep(0.2);
    }
    /* Cleanup is straight-line code, and may wait: the request was delivered. */
    puts("cleaning up");
    asyncio_sleep(0.1);
    puts("clean");
    return err; /* pass -ECANCELED on */
}

ASYNC(async_main)
{
    asyncio_task *task = asyncio_create_task(worker());
    int err = asyncio_sleep(0.5);
    if (err)
        return err;
    asyncio_cancel_with(task, "enough of it");
    intptr_t result = asyncio_await(task);
    printf("the worker ended with %s: %s\n", asyncio_errname(result), asyncio_error_message());
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
