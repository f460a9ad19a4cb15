/*
 * One after the other: each await waits for its coroutine to end, so this
 * takes three seconds.
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
    print_time("started");
    intptr_t err = asyncio_await(say_after(1, "hello"));
    if (err)
        return err;
    err = asyncio_await(say_after(2, "world"));
    if (err)
        return err;
    print_time("finished");
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
