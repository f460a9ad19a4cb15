/*
 * Beside each other: both coroutines become tasks before either is awaited, so
 * this takes two seconds.
 */
#include "clock.h"
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

    print_time("started");
    intptr_t err1 = asyncio_await(task1);
    intptr_t err2 = asyncio_await(task2);
    if (err1 || err2)
        return err1 ? err1 : err2;
    print_time("finished");
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
