/* A plain function may wait; only a function that is awaited or becomes a task needs ASYNC. */
#include <asyncio.h>
#include <stdio.h>

/* An ordinary function with an ordinary result. */
static int pause_between(const char *a, const char *b)
{
    puts(a);
    int err = asyncio_sleep(0.1);
    if (err)
        return err;
    puts(b);
    return 0;
}

/* A coroutine function: calling it stores the arguments and runs nothing. */
ASYNC(add, int, a, int, b)
{
    int err = pause_between("adding", "added");
    if (err)
        return err;
    return a + b;
}

ASYNC(async_main)
{
    asyncio_coro *coro = add(1, 2);
    puts("made, not started");
    intptr_t sum = asyncio_await(coro);
    if (sum < 0)
        return sum;
    printf("the sum is %ld\n", (long)sum);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
