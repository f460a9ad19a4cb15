/* Two tasks that wait for each other. Under the virtual clock that is an error. */
#include <asyncio.h>
#include <stdio.h>

static asyncio_task *first, *second;

ASYNC(wait_for_second)
{
    return asyncio_await(asyncio_ref(second));
}

ASYNC(wait_for_first)
{
    return asyncio_await(asyncio_ref(first));
}

ASYNC(async_main)
{
    first = asyncio_create_task(wait_for_second());
    second = asyncio_create_task(wait_for_first());
    intptr_t err = asyncio_await(first);
    asyncio_release(second);
    return err;
}

int main(void)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    intptr_t err = asyncio_run_with(async_main(), &options);
    printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
    return 0;
}
