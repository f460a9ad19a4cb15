#include <asyncio.h>
#include <stdio.h>

ASYNC(say_after, double, delay, const char *, what)
{
    int err = asyncio_sleep(delay);
    if (err)
        return err;
    puts(what);
    return 0;
}

ASYNC(async_main)
{
    asyncio_task *task1 = asyncio_create_task(say_after(1, "hello"));
    asyncio_task *task2 = asyncio_create_task(say_after(2, "world"));
    asyncio_await(task1);
    return asyncio_await(task2);
}

int main(void)
{
    return asyncio_run(async_main());
}
