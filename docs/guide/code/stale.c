/* A task that is used after its reference was given away. */
#include <asyncio.h>

ASYNC(quick)
{
    return 0;
}

ASYNC(async_main)
{
    asyncio_task *task = asyncio_create_task(quick());
    asyncio_await(task);  /* takes the reference */
    asyncio_cancel(task); /* too late: the task is gone */
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
