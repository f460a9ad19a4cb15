/*
 * Beside each other, in one call: gather makes the tasks, waits for all of
 * them and hands over their results. Two seconds.
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
    int err = asyncio_gather(NULL, say_after(1, "hello"), say_after(2, "world"));
    if (err)
        return err;
    print_time("finished");
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
