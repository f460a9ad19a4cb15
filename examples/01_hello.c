/*
 * Hello, one second, world. The first program of every asyncio tutorial.
 */
#include <asyncio.h>
#include <stdio.h>

ASYNC(async_main)
{
    puts("hello");
    int err = asyncio_sleep(1);
    if (err)
        return err;
    puts("world");
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
