/* A program that says what its tasks wait for. */
#include <asyncio.h>

static asyncio_event opened = ASYNCIO_EVENT_INIT;

ASYNC(visitor)
{
    return asyncio_event_wait(&opened);
}

ASYNC(guide)
{
    return asyncio_await(asyncio_create_task(visitor()));
}

ASYNC(async_main)
{
    asyncio_task *task = asyncio_create_task(guide());
    asyncio_task_set_name(task, "guide");
    asyncio_sleep(0.001); /* both have begun */
    asyncio_print_tasks(stdout);

    asyncio_event_set(&opened);
    return asyncio_await(task);
}

int main(void)
{
    return asyncio_main(async_main());
}
